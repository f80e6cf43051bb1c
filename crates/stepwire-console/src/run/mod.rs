//! What an execution did: the fold of its history.
//!
//! Read in this order: [`Run`], [`Visit`], [`Attempt`], [`Frame`], [`Run::apply`].
//!
//! The history is AWS's (`GetExecutionHistory`), so that one downloaded elsewhere is shown alike. A
//! run of a prefix of the events is how things stood at that time. Nothing here fails: an event that
//! makes no sense is kept in the list and changes nothing.

mod event;
mod fold;
mod paint;
mod shape;
pub mod terminal;
mod why;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use event::{EVENTS_MAX, Event, NotHistory, Payload, events_of, missing, read_history};
pub use paint::{Scope, edges_taken};
pub use shape::{processor_of, rebuilt};
pub use why::{Deadline, Facts, Part, Why};

use crate::words::Status;

/// Position in [`Run::visits`].
pub type VisitId = usize;
/// Position in [`Run::frames`]; 0 is the workflow itself.
pub type FrameId = usize;

/// What an execution did until its last event.
#[derive(Debug, Clone)]
pub struct Run {
    /// How it ended; [`End::None`] as long as it has not.
    pub end: End,
    /// When its first event happened.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// Its input.
    pub input: Option<Payload>,
    /// Its output.
    pub output: Option<Payload>,
    /// Error and cause that it ended with.
    pub trouble: Trouble,
    /// Times it was redriven.
    pub redrives: u32,
    /// States that were entered, in order.
    pub visits: Vec<Visit>,
    /// The workflow itself, branches and iterations.
    pub frames: Vec<Frame>,
    /// Everything that happened, in order.
    pub events: Vec<Event>,
    /// The visit that the execution, or a container, failed in: the innermost, and the first.
    pub culprit: Option<VisitId>,
    definition: Option<Json>,
    contexts: BTreeMap<u64, Context>,
}

/// How an execution, or a part of it, ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// It has not.
    #[default]
    None,
    /// Well.
    Succeeded,
    /// With an error.
    Failed,
    /// Its time ran out.
    TimedOut,
    /// It was stopped.
    Stopped,
}

/// An error and its cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The error's name.
    pub error: Option<Arc<str>>,
    /// The cause.
    pub cause: Option<Arc<str>>,
}

/// Where events happen: the workflow itself, a branch, an iteration.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The Parallel or Map that it is of; `None` for the workflow itself.
    pub container: Option<VisitId>,
    /// Which of the container's attempts began it.
    pub attempt: usize,
    /// Which branch or item, from 0.
    pub index: usize,
    /// Whether it is an iteration of a Map.
    pub iteration: bool,
    /// How it ended.
    pub end: End,
    /// When its first event happened.
    pub began: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The latest visit in it.
    pub last: Option<VisitId>,
}

/// One stay in a state.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The state's name.
    pub name: Arc<str>,
    /// Its type, such as `Task`.
    pub kind: Arc<str>,
    /// Where it happened.
    pub frame: FrameId,
    /// The visit that led to it, in the same frame.
    pub from: Option<VisitId>,
    /// Its `…StateEntered` event.
    pub entered: u64,
    /// When.
    pub entered_at: Option<Timestamp>,
    /// Its `…StateExited` event.
    pub exited: Option<u64>,
    /// When it was left, or ended otherwise.
    pub ended_at: Option<Timestamp>,
    /// What it was given.
    pub input: Option<Payload>,
    /// What it gave.
    pub output: Option<Payload>,
    /// Variables that it assigned.
    pub assigned: Option<Json>,
    /// What it tried. States that do nothing outside have none.
    pub attempts: Vec<Attempt>,
    /// How it ended when it was not left.
    pub end: End,
    /// The visit before it of the same state, in the same frame.
    pub again: Option<VisitId>,
}

/// One try of a Task, or one round of a Parallel or Map.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// Its `…Scheduled` or `…StateStarted` event.
    pub scheduled: u64,
    /// When.
    pub scheduled_at: Option<Timestamp>,
    /// When the work began.
    pub started_at: Option<Timestamp>,
    /// When the service took the request, of one that waits for more.
    pub submitted_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The event that ended it.
    pub ended: Option<u64>,
    /// How it ended.
    pub end: End,
    /// Error and cause.
    pub trouble: Trouble,
    /// `resourceType`, `lambda` or `activity`; empty for rounds.
    pub service: Arc<str>,
    /// `resource`, such as `putItem.waitForTaskToken` or an ARN.
    pub resource: Arc<str>,
    /// What the service was given.
    pub parameters: Option<Payload>,
    /// What the service answered when it took the request.
    pub submitted: Option<Payload>,
    /// What came of it.
    pub output: Option<Payload>,
    /// `timeoutInSeconds`
    pub timeout_s: Option<i64>,
    /// `heartbeatInSeconds`
    pub heartbeat_s: Option<i64>,
    /// Name of the worker that took it.
    pub worker: Option<Arc<str>>,
    /// ARN of the map run that it started.
    pub map_run: Option<Arc<str>>,
    /// Items of a Map.
    pub items: Option<i64>,
    /// Branches or iterations.
    pub frames: Vec<FrameId>,
}

/// Where an event leaves the thread that it belongs to.
#[derive(Debug, Clone, Copy, Default)]
struct Context {
    visit: Option<VisitId>,
    frame: FrameId,
    /// What follows from it begins a branch.
    opens: bool,
}

/// Iterations of a Map by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Of how many, as far as is known.
    pub of: usize,
    /// Not begun.
    pub waiting: usize,
    /// At work.
    pub running: usize,
    /// Ended well.
    pub succeeded: usize,
    /// Ended with an error.
    pub failed: usize,
    /// Stopped.
    pub stopped: usize,
}

impl Run {
    /// What these events come to. `definition` tells branches apart and gives what a history leaves
    /// out; without it the graph is rebuilt from what was seen.
    pub fn of(events: impl IntoIterator<Item = Event>, definition: Option<&Json>) -> Run {
        let mut run = Run {
            end: End::None,
            started: None,
            stopped: None,
            input: None,
            output: None,
            trouble: Trouble::default(),
            redrives: 0,
            visits: Vec::new(),
            frames: vec![Frame::new(None, 0, 0, false, None)],
            events: Vec::new(),
            culprit: None,
            definition: definition.cloned(),
            contexts: BTreeMap::new(),
        };
        events.into_iter().for_each(|event| run.apply(event));
        run
    }

    /// The definition, as it was given or as the history shows it.
    pub fn definition(&self) -> Json {
        self.definition.clone().unwrap_or_else(|| rebuilt(self))
    }

    /// Whether the definition was given.
    pub fn is_defined(&self) -> bool {
        self.definition.is_some()
    }

    /// When its last event happened.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.events.iter().rev().find_map(|event| event.at)
    }

    /// How the execution stands.
    pub fn status(&self) -> Status {
        match self.end {
            End::None => {
                let open = self.open();
                let all = open.iter().map(|id| self.status_of(*id));
                all.min_by_key(|status| urgency(*status)).unwrap_or(Status::Running)
            }
            End::Succeeded => Status::Succeeded,
            End::Failed => Status::Failed,
            End::TimedOut => Status::TimedOut,
            End::Stopped => Status::Stopped,
        }
    }

    /// Visits that have not ended and are no containers of such, in order.
    pub fn open(&self) -> Vec<VisitId> {
        if self.end != End::None {
            return Vec::new();
        }
        let is_open = |id: &VisitId| self.visits[*id].is_open();
        let holds = |id: VisitId| {
            let last = self.visits[id].attempts.last();
            let frames = last.map_or(&[][..], |attempt| &attempt.frames);
            frames.iter().any(|frame| {
                self.frames[*frame].end == End::None && self.frames[*frame].last.is_some()
            })
        };
        (0..self.visits.len()).filter(is_open).filter(|id| !holds(*id)).collect()
    }

    /// How a visit stands.
    pub fn status_of(&self, id: VisitId) -> Status {
        let visit = &self.visits[id];
        match visit.end {
            End::Failed => return Status::Failed,
            End::TimedOut => return Status::TimedOut,
            End::Stopped => return Status::Stopped,
            End::None | End::Succeeded => {}
        }
        let last = visit.attempts.last();
        if visit.exited.is_some() {
            return match last {
                Some(attempt) if attempt.is_failed() => Status::Caught,
                _ if visit.attempts.iter().any(Attempt::is_failed) => Status::Retried,
                _ => Status::Succeeded,
            };
        }
        match (&*visit.kind, last) {
            ("Wait", _) => Status::Waiting,
            (_, None) => Status::Running,
            (_, Some(attempt)) if attempt.is_failed() => Status::Waiting,
            (_, Some(attempt)) => self.status_at_work(attempt),
        }
    }

    fn status_at_work(&self, attempt: &Attempt) -> Status {
        if !attempt.frames.is_empty() {
            let last = attempt.frames.iter().filter(|frame| self.frames[**frame].end == End::None);
            let last = last.filter_map(|frame| self.frames[*frame].last);
            let open = last.filter(|id| self.visits[*id].is_open()).map(|id| self.status_of(id));
            return open.min_by_key(|status| urgency(*status)).unwrap_or(Status::Running);
        }
        if attempt.waits_for_token() {
            return Status::WaitingForDevice;
        }
        let child = attempt.waits_for_child() && attempt.submitted_at.is_some();
        let worker = attempt.is_activity() && attempt.started_at.is_none();
        if child || worker { Status::Waiting } else { Status::Running }
    }

    /// Iterations of a Map's last round, by how they stand.
    pub fn tally(&self, id: VisitId) -> Option<Tally> {
        let visit = &self.visits[id];
        let attempt = visit.attempts.last().filter(|_| &*visit.kind == "Map")?;
        if attempt.map_run.is_some() {
            return None;
        }
        let mut tally = Tally::default();
        for frame in &attempt.frames {
            match self.frames[*frame].end {
                End::None => tally.running += 1,
                End::Succeeded => tally.succeeded += 1,
                End::Failed | End::TimedOut => tally.failed += 1,
                End::Stopped => tally.stopped += 1,
            }
        }
        let items = attempt.items.and_then(|items| usize::try_from(items).ok()).unwrap_or(0);
        tally.of = items.max(attempt.frames.len());
        tally.waiting = tally.of - attempt.frames.len();
        Some(tally)
    }

    /// The containers a visit is in, outermost first: each with the frame in it.
    pub fn way_to(&self, id: VisitId) -> Vec<(VisitId, FrameId)> {
        let mut way = Vec::new();
        let mut frame = self.visits[id].frame;
        while let Some(container) = self.frames[frame].container {
            way.push((container, frame));
            frame = self.visits[container].frame;
        }
        way.reverse();
        way
    }

    /// The visits of the state that `id` is a visit of, in the same frame, in order.
    pub fn visits_like(&self, id: VisitId) -> Vec<VisitId> {
        let of = &self.visits[id];
        let like = |other: &Visit| other.frame == of.frame && other.name == of.name;
        let all = self.visits.iter().enumerate().filter(|(_, other)| like(other));
        all.map(|(id, _)| id).collect()
    }

    /// The visit whose `TaskScheduled` event this is, and which of its attempts.
    pub fn attempt_at(&self, scheduled: u64) -> Option<(VisitId, usize)> {
        let visit = self.contexts.get(&scheduled)?.visit?;
        let attempts = &self.visits[visit].attempts;
        attempts.iter().position(|attempt| attempt.scheduled == scheduled).map(|at| (visit, at))
    }
}

/// What somebody who looks wants to know first.
pub(crate) fn urgency(status: Status) -> u8 {
    match status {
        Status::WaitingForDevice => 0,
        Status::Running => 1,
        Status::Waiting => 2,
        Status::Failed | Status::TimedOut => 3,
        Status::Stopped => 4,
        Status::Caught => 5,
        Status::Retried => 6,
        Status::Succeeded => 7,
        Status::None => 8,
    }
}

impl Frame {
    fn new(
        container: Option<VisitId>,
        attempt: usize,
        index: usize,
        iteration: bool,
        began: Option<Timestamp>,
    ) -> Frame {
        Frame {
            container,
            attempt,
            index,
            iteration,
            end: End::None,
            began,
            ended: None,
            last: None,
        }
    }
}

impl Visit {
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.exited.is_none() && self.end == End::None
    }

    /// Whether it holds others.
    pub fn is_container(&self) -> bool {
        matches!(&*self.kind, "Parallel" | "Map")
    }

    /// How long it took, or has taken until `now`.
    pub fn took_ms(&self, now: Option<Timestamp>) -> Option<i64> {
        Some(self.ended_at.or(now)?.since_ms(self.entered_at?))
    }

    /// Its last failure.
    pub fn failure(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.is_failed())
    }
}

impl Attempt {
    /// Whether it ended with an error.
    pub fn is_failed(&self) -> bool {
        matches!(self.end, End::Failed | End::TimedOut)
    }

    /// Whether somebody has to send back its token.
    pub fn waits_for_token(&self) -> bool {
        self.resource.ends_with(".waitForTaskToken")
    }

    /// Whether it waits for an execution or a job that it started.
    pub fn waits_for_child(&self) -> bool {
        self.resource.ends_with(".sync") || self.resource.ends_with(".sync:2")
    }

    /// Whether workers ask for it.
    pub fn is_activity(&self) -> bool {
        &*self.service == "activity"
    }

    /// Whether a function does it.
    pub fn is_function(&self) -> bool {
        &*self.service == "lambda"
    }

    /// What it calls, short: `dynamodb:putItem.waitForTaskToken`, `λ NAME`, `activity NAME`.
    pub fn call(&self) -> String {
        let tail = |arn: &str| arn.rsplit(':').next().unwrap_or(arn).to_owned();
        if self.is_activity() {
            return format!("activity {}", tail(&self.resource));
        }
        if self.is_function() {
            let named = self.function();
            return match named {
                Some(name) => format!("λ {name}"),
                None => format!("lambda:{}", self.resource),
            };
        }
        format!("{}:{}", self.service, self.resource)
    }

    /// Name of the function that does it.
    pub fn function(&self) -> Option<String> {
        let arn = if self.resource.starts_with("arn:") {
            self.resource.to_string()
        } else if self.is_function() {
            self.parameters.as_ref()?.value().member("FunctionName")?.as_str()?.to_owned()
        } else {
            return None;
        };
        let name = arn.split(":function:").nth(1).unwrap_or(&arn);
        Some(name.split(':').next().unwrap_or(name).to_owned())
    }

    /// ARN of the execution that it started.
    pub fn child(&self) -> Option<String> {
        if !self.resource.starts_with("startExecution") && !self.resource.starts_with("startSync") {
            return None;
        }
        let of = |payload: &Payload| {
            let value = payload.value();
            let body = value.member("executionArn").or_else(|| value.member("ExecutionArn"));
            body.and_then(Json::as_str).map(str::to_owned)
        };
        let from_cause = || {
            let cause = Json::parse(self.trouble.cause.as_deref()?).ok()?;
            Some(cause.member("ExecutionArn")?.as_str()?.to_owned())
        };
        let told = [&self.submitted, &self.output].into_iter().flatten().find_map(of);
        told.or_else(from_cause)
    }
}
