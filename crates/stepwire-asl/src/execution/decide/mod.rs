//! Deciding what happens next: makes events, applies each, asks for tasks.
//!
//! `mod.rs` enters states; [`evaluate`] reads what they are given, [`leave`] makes their output,
//! [`branches`] runs Parallel and Map, [`tasks`] asks the world, [`fail`] retries, catches and fails;
//! [`tried`] is what differs where a state is tried by itself.

mod branches;
mod evaluate;
mod fail;
pub(super) mod leave;
mod map_run;
mod states;
mod tasks;
mod tried;

use std::collections::VecDeque;
use std::sync::Arc;

use self::evaluate::About;
use super::trial::Probe;
use super::{
    Activity, Decision, Execution, OpenTask, Position, Rejected, Start, Status, Stimulus, Turn,
};
use crate::definition::{State, StateDefinition, StateId, StateMachine};
use crate::history::{Detail, HistoryEvent, Kind, Payload, Trouble};
use crate::scope::{Failure, Fault};

impl Execution {
    /// A new execution, run until it waits or ends.
    pub fn start(
        machine: Arc<StateMachine>,
        start: Start,
        turn: &mut Turn<'_>,
    ) -> (Execution, Decision) {
        let first = machine.start;
        Execution::start_at(machine, first, start, turn)
    }

    fn start_at(
        machine: Arc<StateMachine>,
        first: StateId,
        start: Start,
        turn: &mut Turn<'_>,
    ) -> (Execution, Decision) {
        let mut execution = Execution::empty(machine);
        let input = Payload::from_text(start.input);
        let mut decider = Decider::new(&mut execution, turn);
        decider.record(
            0,
            Detail::ExecutionStarted {
                input: input.clone(),
                execution_arn: start.execution_arn,
                role_arn: start.role_arn,
            },
        );
        decider.work.push_back((0, first, input));
        decider.run();
        let decision = decider.decision;
        (execution, decision)
    }

    /// Gives the execution a stimulus and runs it on as far as it can. On `Err` nothing has changed.
    pub fn step(&mut self, stimulus: Stimulus, turn: &mut Turn<'_>) -> Result<Decision, Rejected> {
        self.step_watched(stimulus, turn, None)
    }

    pub(super) fn step_watched(
        &mut self,
        stimulus: Stimulus,
        turn: &mut Turn<'_>,
        probe: Option<&mut Probe>,
    ) -> Result<Decision, Rejected> {
        if self.status != Status::Running {
            return Err(Rejected::ExecutionEnded);
        }
        let frame = self.told_of(&stimulus)?;
        let mut decider = Decider { probe, ..Decider::new(self, turn) };
        match stimulus {
            Stimulus::TaskReturned { result, .. } => decider.returned(frame, result),
            Stimulus::ActivityStarted { worker, .. } => {
                decider.record(frame, Detail::ActivityStarted { worker });
            }
            Stimulus::JobEnded { result, .. } => decider.ended(frame, result),
            Stimulus::TokenSucceeded { output, .. } => {
                decider.task_succeeded(frame, Payload::from_text(output));
            }
            Stimulus::TokenFailed { error, cause, .. } => {
                decider.task_failed(frame, Trouble { error, cause });
            }
            Stimulus::Heartbeat { .. } => decider.record(frame, Detail::Heartbeat),
            Stimulus::MapRunEnded { outcome, .. } => decider.map_run_ended(frame, outcome),
            Stimulus::Timer => decider.timers(),
            Stimulus::Stop { error, cause } => {
                decider.abort_map_runs();
                decider.record(0, Detail::ExecutionAborted(Trouble { error, cause }));
            }
        }
        decider.run();
        Ok(decider.decision)
    }

    /// Runs an execution on that failed, timed out or was stopped. `Err`: it runs, or succeeded.
    pub fn redrive(&mut self, turn: &mut Turn<'_>) -> Result<Decision, Rejected> {
        match self.status {
            Status::Running | Status::Succeeded { .. } => return Err(Rejected::ExecutionEnded),
            Status::Failed { .. } | Status::TimedOut { .. } | Status::Aborted { .. } => {}
        }
        let mut decider = Decider::new(self, turn);
        decider.redrive();
        Ok(decider.decision)
    }

    /// The branch that a stimulus is for.
    fn told_of(&self, stimulus: &Stimulus) -> Result<u32, Rejected> {
        if let Stimulus::MapRunEnded { started, .. } = stimulus {
            return self.frame_of_run(*started).ok_or(Rejected::TaskNotOpen);
        }
        let (Stimulus::TaskReturned { scheduled, .. }
        | Stimulus::ActivityStarted { scheduled, .. }
        | Stimulus::JobEnded { scheduled, .. }
        | Stimulus::TokenSucceeded { scheduled, .. }
        | Stimulus::TokenFailed { scheduled, .. }
        | Stimulus::Heartbeat { scheduled }) = stimulus
        else {
            return Ok(0);
        };
        let frame = *self.tasks.get(scheduled).ok_or(Rejected::TaskNotOpen)?;
        // A repeated effect may be answered twice; what waits for its token has had its answer, and
        // an activity's task its worker.
        let once =
            matches!(stimulus, Stimulus::TaskReturned { .. } | Stimulus::ActivityStarted { .. });
        let answered = once
            && self.frames.get(&frame).and_then(|frame| frame.at.as_ref()).is_some_and(|at| {
                matches!(&at.activity, Activity::Task(OpenTask { submitted: true, .. }))
            });
        if answered { Err(Rejected::TaskNotOpen) } else { Ok(frame) }
    }
}

pub(super) struct Decider<'e, 't> {
    execution: &'e mut Execution,
    machine: Arc<StateMachine>,
    turn: &'e mut Turn<'t>,
    pub(super) decision: Decision,
    /// States to enter: branch, state, input.
    work: VecDeque<(u32, StateId, Payload)>,
    /// What watches a state that is tried by itself.
    probe: Option<&'e mut Probe>,
}

impl<'e, 't> Decider<'e, 't> {
    fn new(execution: &'e mut Execution, turn: &'e mut Turn<'t>) -> Self {
        let machine = Arc::clone(&execution.machine);
        let (decision, work) = (Decision::default(), VecDeque::new());
        Decider { execution, machine, turn, decision, work, probe: None }
    }

    /// The single way anything changes: make an event, fold it in, remember it for the caller.
    fn record(&mut self, frame: u32, detail: Detail) {
        if self.execution.status == Status::Running {
            self.record_always(frame, detail);
        }
    }

    /// The same even when the execution has ended.
    fn record_always(&mut self, frame: u32, detail: Detail) {
        let id = if detail.is_private() { 0 } else { self.execution.last_id + 1 };
        let most = self.turn.limits.events_max;
        let detail =
            if id >= most && !detail.is_terminal() { too_many_events(most) } else { detail };
        let previous = match detail {
            Detail::BranchStarted { .. } | Detail::ExecutionAborted(_) => 0,
            // The end of a Map follows from the end of its last iteration.
            Detail::MapSucceeded | Detail::ExecutionRedriven(_) => self.execution.last_id,
            // What could not be evaluated never came to be: it follows from what came before the state.
            Detail::EvaluationFailed { evaluated: false, .. } => {
                self.position(frame).map_or(0, |position| position.entered_from)
            }
            _ => self.execution.frames.get(&frame).map_or(0, |frame| frame.last),
        };
        let event = HistoryEvent {
            seq: self.execution.last_seq + 1,
            id,
            previous,
            at: self.turn.now.max(self.execution.last_at),
            frame,
            detail,
        };
        let applied = self.execution.apply(&event);
        debug_assert_eq!(applied, Ok(()), "an event we made fits");
        self.decision.events.push(event);
    }

    /// Enters states until every branch waits or has ended.
    fn run(&mut self) {
        while let Some((frame, state, input)) = self.work.pop_front() {
            let open = self.execution.frames.contains_key(&frame);
            if self.execution.status != Status::Running || !open {
                continue;
            }
            let definition = self.machine.state(state);
            let (kind, name) = (kind_of(&definition.state), Arc::clone(&definition.name));
            self.record(frame, Detail::Entered { kind, state, name, input });
            self.perform(frame);
        }
        // A branch that failed later in the turn may have aborted a task that another one scheduled.
        let open = &self.execution.tasks;
        self.decision.tasks.retain(|task| open.contains_key(&task.scheduled));
    }

    fn position(&self, frame: u32) -> Option<&Position> {
        self.execution.frames.get(&frame)?.at.as_ref()
    }

    fn definition(&self, frame: u32) -> Option<&StateDefinition> {
        Some(self.machine.state(self.position(frame)?.state))
    }

    /// Does what the state that `frame` is in does.
    fn perform(&mut self, frame: u32) {
        self.within(frame, |decider, definition| decider.attempt(frame, definition));
    }

    /// Runs part of the state that `frame` is in; when that fails, so does the state.
    fn within(
        &mut self,
        frame: u32,
        part: impl FnOnce(&mut Self, &StateDefinition) -> Result<(), Fault>,
    ) {
        let Some(state) = self.position(frame).map(|position| position.state) else { return };
        let machine = Arc::clone(&self.machine);
        if let Err(fault) = part(self, machine.state(state)) {
            let trouble = self.told(frame, fault);
            self.troubled(frame, trouble, Ended::Otherwise);
        }
    }

    fn attempt(&mut self, frame: u32, definition: &StateDefinition) -> Result<(), Fault> {
        let Some(raw) = self.position(frame).map(|at| at.input.clone()) else { return Ok(()) };
        let effective = self.effective(frame, definition, raw.value())?;
        self.note_input(definition, &effective);
        match &definition.state {
            State::Pass { result } => self.pass(frame, definition, result.as_ref(), raw, effective),
            State::Succeed => {
                let output = self.unchanged(frame, definition, None, raw, &effective)?;
                let output = Payload::Value(output.value().clone());
                self.exit(frame, definition, output, &effective, About::default())
            }
            State::Fail { error, cause } => {
                let error = self.words(frame, &effective, error.as_ref(), "ErrorPath")?;
                let cause = self.words(frame, &effective, cause.as_ref(), "CausePath")?;
                self.fail_branch(frame, Trouble { error, cause });
                Ok(())
            }
            State::Choice { .. } => self.choose(frame, definition, &effective),
            State::Wait(wait) => self.wait(frame, definition, wait, &effective),
            State::Task(task) => self.schedule(frame, definition, task, &effective),
            State::Parallel { .. } | State::Map(_) if self.probe.is_some() => {
                self.come_to_mock(frame, definition, &effective)
            }
            State::Parallel { branches } => self.fork(frame, definition, branches, &effective),
            State::Map(_) => self.map(frame, definition, &effective),
        }
    }
}

/// How a state's trouble came about, for retriers and catchers that ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// No heartbeat came in time.
    Heartbeat,
    /// In any other way.
    Otherwise,
}

impl StateDefinition {
    pub(crate) fn kind(&self) -> Kind {
        kind_of(&self.state)
    }
}

fn kind_of(state: &State) -> Kind {
    match state {
        State::Pass { .. } => Kind::Pass,
        State::Task(_) => Kind::Task,
        State::Choice { .. } => Kind::Choice,
        State::Wait(_) => Kind::Wait,
        State::Succeed => Kind::Succeed,
        State::Fail { .. } => Kind::Fail,
        State::Parallel { .. } => Kind::Parallel,
        State::Map(_) => Kind::Map,
    }
}

fn runtime(cause: impl Into<Arc<str>>) -> Fault {
    Failure::new("States.Runtime", cause).into()
}

fn too_many_events(most: u64) -> Detail {
    let cause = format!("The execution reached the maximum number of history events ({most}).");
    Detail::ExecutionFailed(Trouble {
        error: Some("States.Runtime".into()),
        cause: Some(cause.into()),
    })
}
