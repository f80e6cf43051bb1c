//! One run of a state machine: the fold of its history.
//!
//! [`Execution::apply`] is the only function that changes an execution, live and when it is read
//! back. Deciding what happens next (`decide`) makes events; applying never decides.

mod apply;
mod decide;
mod map_run;
mod redrive;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use map_run::MapRun;

pub use map_run::{
    Batch, ItemPlace, ItemReading, ItemSource, MapRunCommand, MapRunStart, ResultWriting,
};
pub use trial::{Inspection, Outcome, Setup, Stage, Trial};

use crate::definition::{Resource, State, StateId, StateMachine};
use crate::history::{EventId, HistoryEvent, Payload, Trouble};
use crate::scope::Failure;
use crate::{Entropy, Json, Timestamp};

/// How an execution stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// It has not ended.
    Running,
    /// It ended well.
    Succeeded {
        /// Its output.
        output: Payload,
    },
    /// It ended with an error.
    Failed {
        /// Error name.
        error: Option<Arc<str>>,
        /// In words.
        cause: Option<Arc<str>>,
    },
    /// The machine's `TimeoutSeconds` ran out.
    TimedOut {
        /// Error name.
        error: Option<Arc<str>>,
        /// In words.
        cause: Option<Arc<str>>,
    },
    /// It was stopped.
    Aborted {
        /// As the caller said.
        error: Option<Arc<str>>,
        /// As the caller said.
        cause: Option<Arc<str>>,
    },
}

/// What an execution starts with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its ARN, which ends in its state machine's name and its own.
    pub execution_arn: Arc<str>,
    /// The machine's role.
    pub role_arn: Arc<str>,
    /// Input text, valid JSON.
    pub input: Arc<str>,
}

/// What one turn may use.
pub struct Turn<'a> {
    /// The time.
    pub now: Timestamp,
    /// The dice.
    pub entropy: &'a mut Entropy,
    /// The token of the task that a `TaskScheduled` event of this id schedules.
    pub token: &'a dyn Fn(EventId) -> String,
    /// How far the execution may go.
    pub limits: Limits,
    /// Whether the activity of this ARN exists.
    pub activity: &'a dyn Fn(&str) -> bool,
}

/// How far an execution may go. The default is AWS's for Standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest input or output of a state or task, bytes of UTF-8.
    pub payload_bytes_max: usize,
    /// Most history events; the last of them is the failure.
    pub events_max: u64,
    /// Longest an execution runs, milliseconds.
    pub run_ms_max: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            payload_bytes_max: 262_144,
            events_max: 25_000,
            run_ms_max: 365 * 24 * 3_600 * 1_000,
        }
    }
}

/// What an execution is told.
#[derive(Debug, Clone)]
pub enum Stimulus {
    /// The integration answered. For `.waitForTaskToken` an `Ok` means submitted: the task stays open.
    TaskReturned {
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// What it answered.
        result: Result<Json, Failure>,
    },
    /// A worker takes the task of an activity.
    ActivityStarted {
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// `workerName`
        worker: Option<Arc<str>>,
    },
    /// The job that a submitted task started has ended (`.sync`).
    JobEnded {
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// The task's result.
        result: Result<Json, Failure>,
    },
    /// Somebody with the token says it succeeded.
    TokenSucceeded {
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// JSON text.
        output: Arc<str>,
    },
    /// Somebody with the token says it failed.
    TokenFailed {
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// Error name.
        error: Option<Arc<str>>,
        /// In words.
        cause: Option<Arc<str>>,
    },
    /// Somebody with the token says it is still at work.
    Heartbeat {
        /// Its `TaskScheduled` event.
        scheduled: EventId,
    },
    /// The map run of a distributed Map has ended.
    MapRunEnded {
        /// Its `MapRunStarted` event.
        started: EventId,
        /// The Map state's result, or why it failed.
        outcome: Result<Json, Trouble>,
    },
    /// Time has passed: everything due fires.
    Timer,
    /// The execution is to end.
    Stop {
        /// As the caller says.
        error: Option<Arc<str>>,
        /// As the caller says.
        cause: Option<Arc<str>>,
    },
}

/// The execution refused the stimulus and did not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The task is not open: completed, timed out, retried, or never scheduled.
    #[error("no open task has this token")]
    TaskNotOpen,
    /// The execution has ended.
    #[error("the execution has ended")]
    ExecutionEnded,
}

/// What a step came to.
#[derive(Debug, Default)]
pub struct Decision {
    /// What happened, in order; already applied.
    pub events: Vec<HistoryEvent>,
    /// What is asked of the world.
    pub tasks: Vec<Task>,
    /// What is asked of map runs.
    pub map_runs: Vec<MapRunCommand>,
}

/// A task to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its `TaskScheduled` event.
    pub scheduled: EventId,
    /// When that was.
    pub scheduled_at: Timestamp,
    /// What it calls.
    pub resource: Arc<Resource>,
    /// With what.
    pub parameters: Json,
    /// `TimeoutSeconds` in milliseconds.
    pub timeout_ms: Option<i64>,
    /// Name of its state.
    pub state: Arc<str>,
    /// How often tasks of that state were scheduled before, by retries and visits alike.
    pub attempt: u32,
}

/// A history does not fit its state machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} does not fit: {why}")]
pub struct Corrupt {
    /// The event.
    pub seq: u64,
    /// Why not.
    pub why: &'static str,
}

/// One run of a state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    machine: Arc<StateMachine>,
    execution_arn: Arc<str>,
    role_arn: Arc<str>,
    input: Payload,
    started: Timestamp,
    stopped: Option<Timestamp>,
    status: Status,
    /// Times it was redriven.
    redrives: u32,
    /// When that last was.
    redriven: Option<Timestamp>,
    last_seq: u64,
    last_id: EventId,
    last_at: Timestamp,
    frames: BTreeMap<u32, Frame>,
    next_frame: u32,
    /// Frame of every open task, by its `TaskScheduled` event; derived from `frames`.
    tasks: BTreeMap<EventId, u32>,
    /// How many of them the world has not answered; derived from `frames`.
    unanswered: u32,
    /// Deadline of every frame that has one; derived from `frames`.
    deadlines: BTreeSet<(Timestamp, u32)>,
    /// Tasks scheduled so far, by state.
    attempts: BTreeMap<StateId, u32>,
}

/// A branch: the machine's own, of a Parallel, or an iteration of a Map.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    /// The frame of the Parallel or Map state, and which of its branches this is.
    parent: Option<(u32, u32)>,
    /// The event that the next one of this branch follows from.
    last: EventId,
    variables: BTreeMap<Arc<str>, Json>,
    at: Option<Position>,
}

/// Where a branch is.
#[derive(Debug, Clone, PartialEq)]
struct Position {
    state: StateId,
    input: Payload,
    entered: EventId,
    /// What its entry followed from.
    entered_from: EventId,
    entered_at: Timestamp,
    /// Times each retrier was used.
    retries: BTreeMap<u32, u32>,
    activity: Activity,
    /// Branches that failed or were aborted with the state, and what others of it came to.
    halted: Option<Box<Branches>>,
    /// The map run that failed or was aborted with the state.
    failed_run: Option<MapRun>,
}

/// What a state waits for.
#[derive(Debug, Clone, PartialEq)]
enum Activity {
    Deciding,
    Waiting { until: Timestamp },
    Task(OpenTask),
    Retrying { due: Timestamp },
    Branches(Branches),
    MapRun(MapRun),
    Aborted,
}

#[derive(Debug, Clone, PartialEq)]
struct OpenTask {
    scheduled: EventId,
    scheduled_at: Timestamp,
    attempt: u32,
    submitted: bool,
    parameters: Json,
    timeout_at: Option<Timestamp>,
    heartbeat_at: Option<Timestamp>,
    heartbeat_ms: Option<i64>,
    timeout_ms: Option<i64>,
}

/// The branches of a Parallel or Map state.
#[derive(Debug, Clone, PartialEq)]
struct Branches {
    /// Event they follow from.
    started: EventId,
    /// Items of a Map.
    items: Json,
    /// At a time; 0 for all.
    concurrency: u32,
    /// How many there are.
    total: u32,
    /// How many have begun.
    begun: u32,
    /// Frames that run, by branch.
    running: BTreeMap<u32, u32>,
    /// Outputs of those that ended.
    results: BTreeMap<u32, Json>,
    /// Those that failed or were aborted, as they stood.
    halted: BTreeMap<u32, Frame>,
}

impl OpenTask {
    fn deadline(&self) -> Option<Timestamp> {
        [self.timeout_at, self.heartbeat_at].into_iter().flatten().min()
    }
}

impl Frame {
    fn deadline(&self) -> Option<Timestamp> {
        match &self.at.as_ref()?.activity {
            Activity::Waiting { until } => Some(*until),
            Activity::Retrying { due } => Some(*due),
            Activity::Task(task) => task.deadline(),
            Activity::Deciding
            | Activity::Branches(_)
            | Activity::MapRun(_)
            | Activity::Aborted => None,
        }
    }
}

impl Execution {
    /// How it stands.
    pub fn status(&self) -> &Status {
        &self.status
    }

    pub(crate) fn is_running(&self) -> bool {
        self.status == Status::Running
    }

    /// When it ended.
    pub fn stopped_at(&self) -> Option<Timestamp> {
        self.stopped
    }

    /// Sequence number of its last event.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Public number of its last public event.
    pub fn last_event_id(&self) -> EventId {
        self.last_id
    }

    /// Its input as it was given.
    pub fn input(&self) -> &Payload {
        &self.input
    }

    /// Its earliest deadline.
    pub fn due(&self) -> Option<Timestamp> {
        if self.status != Status::Running {
            return None;
        }
        let first = self.deadlines.first().map(|(due, _)| *due);
        [first, self.machine_deadline()].into_iter().flatten().min()
    }

    /// When it started.
    pub fn started_at(&self) -> Timestamp {
        self.started
    }

    fn machine_deadline(&self) -> Option<Timestamp> {
        let timeout_s = self.machine.timeout_s.filter(|_| !self.is_item())?;
        let from = self.redriven.unwrap_or(self.started);
        Some(from.plus_ms(timeout_s.saturating_mul(1_000)))
    }

    /// Its ARN.
    pub fn arn(&self) -> &Arc<str> {
        &self.execution_arn
    }

    /// Whether the task is open.
    pub fn is_open(&self, scheduled: EventId) -> bool {
        self.tasks.contains_key(&scheduled)
    }

    /// Whether the world owes it an answer.
    pub fn is_owed(&self) -> bool {
        self.unanswered > 0
    }

    /// Tasks the world has not answered or taken over: what recovery asks for again.
    pub fn outstanding(&self) -> Vec<Task> {
        let open = self.tasks.values().filter_map(|frame| self.task_of(*frame));
        open.filter_map(|(task, submitted)| (!submitted).then_some(task)).collect()
    }

    /// The open task of this `TaskScheduled` event.
    pub fn open_task(&self, scheduled: EventId) -> Option<Task> {
        self.task_of(*self.tasks.get(&scheduled)?).map(|(task, _)| task)
    }

    fn task_of(&self, frame: u32) -> Option<(Task, bool)> {
        let position = self.frames.get(&frame)?.at.as_ref()?;
        let Activity::Task(open) = &position.activity else { return None };
        let definition = self.machine.state(position.state);
        let State::Task(definition_of_task) = &definition.state else { return None };
        let task = Task {
            scheduled: open.scheduled,
            scheduled_at: open.scheduled_at,
            resource: Arc::clone(&definition_of_task.resource),
            parameters: open.parameters.clone(),
            timeout_ms: open.timeout_ms,
            state: Arc::clone(&definition.name),
            attempt: open.attempt,
        };
        Some((task, open.submitted))
    }

    /// The execution that these events make.
    pub fn replay(
        machine: Arc<StateMachine>,
        events: impl IntoIterator<Item = HistoryEvent>,
    ) -> Result<Execution, Corrupt> {
        let mut execution = Execution::empty(machine);
        for event in events {
            if event.seq != execution.last_seq + 1 {
                return Err(Corrupt { seq: event.seq, why: "the history has a gap" });
            }
            execution.apply(&event)?;
        }
        if execution.last_seq == 0 {
            return Err(Corrupt { seq: 0, why: "the history is empty" });
        }
        Ok(execution)
    }

    fn empty(machine: Arc<StateMachine>) -> Execution {
        let nothing: Arc<str> = "".into();
        Execution {
            machine,
            execution_arn: Arc::clone(&nothing),
            role_arn: nothing,
            input: Payload::Value(Json::Null),
            started: Timestamp(0),
            stopped: None,
            status: Status::Running,
            redrives: 0,
            redriven: None,
            last_seq: 0,
            last_id: 0,
            last_at: Timestamp(0),
            frames: BTreeMap::new(),
            next_frame: 1,
            tasks: BTreeMap::new(),
            unanswered: 0,
            deadlines: BTreeSet::new(),
            attempts: BTreeMap::new(),
        }
    }
}
