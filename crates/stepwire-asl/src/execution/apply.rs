//! Folding an event into an execution. Never decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::map_run::MapRun;
use super::{Activity, Branches, Corrupt, Execution, Frame, OpenTask, Position, Status};
use crate::Json;
use crate::history::{Detail, HistoryEvent, Trouble};

type Applied = Result<(), Corrupt>;

impl Execution {
    /// Folds `event` in: the only function that changes an execution.
    pub(crate) fn apply(&mut self, event: &HistoryEvent) -> Applied {
        self.last_seq = event.seq;
        self.last_at = event.at;
        if event.id > 0 {
            self.last_id = event.id;
        }
        let before = self.frames.get(&event.frame).and_then(Frame::deadline);
        self.fold(event)?;
        let after = self.frames.get(&event.frame).and_then(Frame::deadline);
        if before != after {
            before.map(|due| self.deadlines.remove(&(due, event.frame)));
            after.map(|due| self.deadlines.insert((due, event.frame)));
        }
        if event.detail.leads()
            && let Some(frame) = self.frames.get_mut(&event.frame)
        {
            frame.last = event.id;
        }
        Ok(())
    }

    fn fold(&mut self, event: &HistoryEvent) -> Applied {
        match &event.detail {
            Detail::ExecutionStarted { input, execution_arn, role_arn } => {
                self.execution_arn = Arc::clone(execution_arn);
                self.role_arn = Arc::clone(role_arn);
                self.input = input.clone();
                self.started = event.at;
                let root = Frame { parent: None, last: 0, variables: BTreeMap::new(), at: None };
                self.frames.insert(0, root);
            }
            Detail::ExecutionSucceeded(output) => {
                self.end(event, Status::Succeeded { output: output.clone() });
                self.frames.clear();
            }
            Detail::ExecutionFailed(Trouble { error, cause }) => {
                self.end(event, Status::Failed { error: error.clone(), cause: cause.clone() });
            }
            Detail::ExecutionTimedOut(Trouble { error, cause }) => {
                self.end(event, Status::TimedOut { error: error.clone(), cause: cause.clone() });
            }
            Detail::ExecutionAborted(Trouble { error, cause }) => {
                self.end(event, Status::Aborted { error: error.clone(), cause: cause.clone() });
            }
            Detail::Entered { state, input, .. } => {
                if *state as usize >= self.machine.states.len() {
                    return Err(corrupt(event, "no such state"));
                }
                let position = Position {
                    state: *state,
                    input: input.clone(),
                    entered: event.id,
                    entered_from: event.previous,
                    entered_at: event.at,
                    retries: BTreeMap::new(),
                    activity: Activity::Deciding,
                    halted: None,
                    failed_run: None,
                };
                self.frame(event)?.at = Some(position);
            }
            Detail::Exited { output, next, assigned, .. } => {
                let frame = self.frame(event)?;
                frame.at = None;
                for (name, value) in assigned {
                    frame.variables.insert(Arc::clone(name), value.clone());
                }
                let parent = frame.parent;
                if next.is_none()
                    && let Some((parent, index)) = parent
                {
                    self.branch_ended(event, parent, index, output.value().clone())?;
                }
            }
            Detail::Aborted(_) => {
                self.close_task(event.frame);
                self.halt_branches(event.frame);
                self.position(event)?.activity = Activity::Aborted;
            }
            Detail::Scheduled { resource_type, parameters, timeout_s, heartbeat_s, .. } => {
                let started = resource_type.as_ref() != "activity";
                let after = |seconds: &Option<i64>| {
                    let seconds = seconds.filter(|_| started);
                    seconds.map(|seconds| event.at.plus_ms(seconds.saturating_mul(1_000)))
                };
                let state = self.position(event)?.state;
                let attempts = self.attempts.entry(state).or_default();
                let task = OpenTask {
                    scheduled: event.id,
                    scheduled_at: event.at,
                    attempt: *attempts,
                    submitted: false,
                    parameters: parameters.value().clone(),
                    timeout_at: after(timeout_s),
                    heartbeat_at: after(heartbeat_s),
                    heartbeat_ms: heartbeat_s.map(|seconds| seconds.saturating_mul(1_000)),
                    timeout_ms: timeout_s.map(|seconds| seconds.saturating_mul(1_000)),
                };
                *attempts += 1;
                self.position(event)?.activity = Activity::Task(task);
                self.tasks.insert(event.id, event.frame);
                self.unanswered += 1;
            }
            Detail::Submitted { .. } => {
                if let Activity::Task(task) = &mut self.position(event)?.activity
                    && !task.submitted
                {
                    task.submitted = true;
                    // Nobody needs the request any more, and waiting executions are many.
                    task.parameters = Json::Null;
                    self.unanswered -= 1;
                }
            }
            Detail::ActivityStarted { .. } => {
                if let Activity::Task(task) = &mut self.position(event)?.activity
                    && !task.submitted
                {
                    task.submitted = true;
                    task.parameters = Json::Null;
                    task.timeout_at = task.timeout_ms.map(|ms| event.at.plus_ms(ms));
                    task.heartbeat_at = task.heartbeat_ms.map(|ms| event.at.plus_ms(ms));
                    self.unanswered -= 1;
                }
            }
            Detail::TaskSucceeded { .. } | Detail::TaskEnded { .. } => {
                self.close_task(event.frame);
                self.position(event)?.activity = Activity::Deciding;
            }
            Detail::Heartbeat => {
                if let Activity::Task(task) = &mut self.position(event)?.activity {
                    task.heartbeat_at = task.heartbeat_ms.map(|ms| event.at.plus_ms(ms));
                }
            }
            Detail::ParallelStarted(total) => {
                self.position(event)?.activity = Activity::Branches(Branches {
                    started: event.id,
                    items: Json::Null,
                    concurrency: 0,
                    total: *total,
                    begun: 0,
                    running: BTreeMap::new(),
                    results: BTreeMap::new(),
                    halted: BTreeMap::new(),
                });
            }
            Detail::MapStarted { items, concurrency } => {
                let total = items.value().as_array().map_or(0, <[Json]>::len) as u32;
                self.position(event)?.activity = Activity::Branches(Branches {
                    started: event.id,
                    items: items.value().clone(),
                    concurrency: *concurrency,
                    total,
                    begun: 0,
                    running: BTreeMap::new(),
                    results: BTreeMap::new(),
                    halted: BTreeMap::new(),
                });
            }
            Detail::BranchStarted { parent, index } => {
                self.branch_started(event, *parent, *index)?;
            }
            Detail::ParallelFailed(_) | Detail::MapFailed(_) => {
                self.halt_branches(event.frame);
                self.position(event)?.activity = Activity::Deciding;
            }
            Detail::MapSucceeded => {
                let before =
                    std::mem::replace(&mut self.position(event)?.activity, Activity::Deciding);
                self.frame(event)?.last = match before {
                    Activity::MapRun(run) if self.machine.is_recent() => run.started,
                    _ => event.previous,
                };
            }
            Detail::IterationFailed { .. } | Detail::BranchFailed => {
                self.follow(event.frame);
                self.halt_frame(event.frame);
            }
            Detail::IterationAborted { .. } => self.halt_frame(event.frame),
            Detail::MapRunStarted { arn } => {
                let run = MapRun { started: event.id, arn: Arc::clone(arn), redrives: 0 };
                self.position(event)?.activity = Activity::MapRun(run);
            }
            Detail::MapRunFailed(_) | Detail::MapRunAborted => {
                let position = self.position(event)?;
                let before = std::mem::replace(&mut position.activity, Activity::Deciding);
                if let Activity::MapRun(run) = before {
                    position.failed_run = Some(run);
                }
            }
            Detail::MapRunRedriven { count, .. } => {
                let position = self.position(event)?;
                let run = position.failed_run.take();
                let mut run = run.ok_or_else(|| corrupt(event, "no map run has failed"))?;
                run.redrives = *count;
                position.activity = Activity::MapRun(run);
            }
            Detail::ExecutionRedriven(count) => self.revive_all(event, *count),
            Detail::DistributedMapStarted { .. }
            | Detail::MapRunSucceeded
            | Detail::Started { .. }
            | Detail::EvaluationFailed { .. }
            | Detail::IterationStarted { .. }
            | Detail::IterationSucceeded { .. } => {}
            Detail::WaitUntil(until) => {
                self.position(event)?.activity = Activity::Waiting { until: *until };
            }
            Detail::RetryScheduled { retrier, due } => {
                self.close_task(event.frame);
                self.halt_branches(event.frame);
                let position = self.position(event)?;
                (position.halted, position.failed_run) = (None, None);
                *position.retries.entry(*retrier).or_default() += 1;
                position.activity = Activity::Retrying { due: *due };
            }
            Detail::ParallelSucceeded | Detail::RetryDue => {
                self.position(event)?.activity = Activity::Deciding;
            }
        }
        Ok(())
    }

    fn end(&mut self, event: &HistoryEvent, status: Status) {
        self.status = status;
        self.stopped = Some(event.at);
        self.tasks.clear();
        self.unanswered = 0;
        self.deadlines.clear();
    }

    fn frame(&mut self, event: &HistoryEvent) -> Result<&mut Frame, Corrupt> {
        self.frames.get_mut(&event.frame).ok_or_else(|| corrupt(event, "no such branch"))
    }

    fn position(&mut self, event: &HistoryEvent) -> Result<&mut Position, Corrupt> {
        self.frame(event)?.at.as_mut().ok_or_else(|| corrupt(event, "the branch is in no state"))
    }

    fn branch_started(&mut self, event: &HistoryEvent, parent: u32, index: u32) -> Applied {
        let owner = self.frames.get_mut(&parent).ok_or_else(|| corrupt(event, "no such branch"))?;
        let last = owner.last;
        let Some(Activity::Branches(branches)) = owner.at.as_mut().map(|at| &mut at.activity)
        else {
            return Err(corrupt(event, "the state has no branches"));
        };
        branches.begun += 1;
        branches.running.insert(index, event.frame);
        let frame =
            Frame { parent: Some((parent, index)), last, variables: BTreeMap::new(), at: None };
        self.frames.insert(event.frame, frame);
        self.next_frame = self.next_frame.max(event.frame + 1);
        Ok(())
    }

    fn branch_ended(
        &mut self,
        event: &HistoryEvent,
        parent: u32,
        index: u32,
        output: Json,
    ) -> Applied {
        self.frames.remove(&event.frame);
        let owner = self.frames.get_mut(&parent).ok_or_else(|| corrupt(event, "no such branch"))?;
        owner.last = event.id;
        let Some(Activity::Branches(branches)) = owner.at.as_mut().map(|at| &mut at.activity)
        else {
            return Err(corrupt(event, "the state has no branches"));
        };
        branches.running.remove(&index);
        branches.results.insert(index, output);
        Ok(())
    }

    /// What comes next in the branch around `frame` follows from what came last in it.
    fn follow(&mut self, frame: u32) {
        let Some(branch) = self.frames.get(&frame) else { return };
        let (last, parent) = (branch.last, branch.parent);
        if let Some(owner) = parent.and_then(|(parent, _)| self.frames.get_mut(&parent)) {
            owner.last = last;
        }
    }

    fn close_task(&mut self, frame: u32) {
        let position = self.frames.get(&frame).and_then(|frame| frame.at.as_ref());
        if let Some(Activity::Task(task)) = position.map(|position| &position.activity)
            && self.tasks.remove(&task.scheduled).is_some()
            && !task.submitted
        {
            self.unanswered -= 1;
        }
    }

    /// The branches of the state that `frame` is in stop. How they stood is kept for a redrive.
    fn halt_branches(&mut self, frame: u32) {
        let position = self.frames.get(&frame).and_then(|frame| frame.at.as_ref());
        let Some(Activity::Branches(branches)) = position.map(|position| &position.activity) else {
            return;
        };
        for branch in branches.running.values().copied().collect::<Vec<_>>() {
            self.halt_frame(branch);
        }
        let Some(position) = self.frames.get_mut(&frame).and_then(|frame| frame.at.as_mut()) else {
            return;
        };
        let before = std::mem::replace(&mut position.activity, Activity::Deciding);
        if let Activity::Branches(branches) = before {
            position.halted = Some(Box::new(branches));
        }
    }

    fn halt_frame(&mut self, frame: u32) {
        self.halt_branches(frame);
        self.close_task(frame);
        let Some(halted) = self.frames.remove(&frame) else { return };
        if let Some(due) = halted.deadline() {
            self.deadlines.remove(&(due, frame));
        }
        let owner = halted
            .parent
            .and_then(|(parent, index)| Some((self.frames.get_mut(&parent)?.at.as_mut()?, index)));
        if let Some((Position { activity: Activity::Branches(branches), .. }, index)) = owner {
            branches.running.remove(&index);
            branches.halted.insert(index, halted);
        }
    }
}

fn corrupt(event: &HistoryEvent, why: &'static str) -> Corrupt {
    Corrupt { seq: event.seq, why }
}

impl Detail {
    /// Whether the branch's next event follows from this one. Ends of branches are leaves: what
    /// comes after them follows from what came before.
    fn leads(&self) -> bool {
        !self.is_private()
            && !matches!(
                self,
                Detail::ExecutionStarted { .. }
                    | Detail::ParallelSucceeded
                    | Detail::MapSucceeded
                    | Detail::IterationSucceeded { .. }
                    | Detail::IterationFailed { .. }
                    | Detail::IterationAborted { .. }
                    | Detail::Aborted(_)
            )
    }
}
