//! Failing: retriers, catchers, and what becomes of the branches around.

use std::sync::Arc;

use super::evaluate::About;
use super::leave::mismatch;
use super::{Decider, Ended};
use crate::Json;
use crate::definition::{Catcher, Data, State, StateDefinition, matches_error};
use crate::execution::Activity;
use crate::history::{Detail, Kind, Payload, Trouble};
use crate::jsonata::EVALUATION;
use crate::scope::Fault;

impl Decider<'_, '_> {
    /// A state failed: it is retried, caught, or fails its branch.
    pub(super) fn troubled(&mut self, frame: u32, trouble: Trouble, ended: Ended) {
        let error = trouble.error.clone().unwrap_or_default();
        if error.as_ref() == "States.Runtime" {
            // Nothing retries or catches it, in whatever branch it happens.
            self.record(frame, Detail::ExecutionFailed(trouble));
            return;
        }
        let machine = Arc::clone(&self.machine);
        let Some(position) = self.position(frame) else { return };
        let definition = machine.state(position.state);
        let (retries, run_failed) = (position.retries.clone(), position.failed_run.is_some());
        let heartbeat = ended == Ended::Heartbeat;
        self.watch(|probe| probe.trouble = trouble.clone());
        let mut retriers = definition.retry.iter().enumerate();
        let retrier = retriers.find(|(_, r)| matches_error(&r.errors, &error, heartbeat));
        if let Some((number, retrier)) = retrier {
            let number = number as u32;
            self.watch(|probe| probe.inspection.retrier = Some(number));
            let used = match &self.probe {
                Some(probe) => probe.setup.retries,
                None => retries.get(&number).copied().unwrap_or(0),
            };
            if used < retrier.attempts_max {
                let roll = self.turn.entropy.next_f64();
                let delay_ms = retrier.delay_ms(used, roll);
                self.watch(|probe| probe.inspection.backoff_ms = Some(delay_ms));
                let due = self.turn.now.plus_ms(delay_ms);
                self.record(frame, Detail::RetryScheduled { retrier: number, due });
                return;
            }
        }
        let is_map = matches!(definition.state, State::Map(_));
        let has_branches = is_map || matches!(definition.state, State::Parallel { .. });
        if self.branches(frame).is_some()
            || run_failed
            || (has_branches && error.as_ref() == EVALUATION)
        {
            let trouble = trouble.clone();
            self.record(
                frame,
                if is_map { Detail::MapFailed(trouble) } else { Detail::ParallelFailed(trouble) },
            );
        }
        let mut catchers = definition.catch.iter().enumerate();
        let catcher = catchers.find(|(_, c)| matches_error(&c.errors, &error, heartbeat));
        let Some((number, catcher)) = catcher else {
            return self.fail_branch(frame, trouble);
        };
        self.watch(|probe| probe.inspection.catcher = Some(number as u32));
        if let Err(fault) = self.caught(frame, definition, catcher, &trouble) {
            let trouble = self.told(frame, fault);
            self.fail_branch(frame, trouble);
        }
    }

    fn caught(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        catcher: &Catcher,
        trouble: &Trouble,
    ) -> Result<(), Fault> {
        let text = |text: &Option<Arc<str>>| text.clone().map_or(Json::Null, Json::String);
        let output =
            Json::object([("Error", text(&trouble.error)), ("Cause", text(&trouble.cause))]);
        let Some(raw) = self.position(frame).map(|at| at.input.clone()) else { return Ok(()) };
        if let Data::Jsonata { .. } = &definition.data {
            let about = About { error_output: Some(&output), ..About::default() };
            let assigned = self.assigned(frame, catcher.assign.as_ref(), raw.value(), about)?;
            let output = match &catcher.output {
                Some(template) => {
                    self.evaluate(frame, raw.value(), about, |s, e| template.evaluate(s, e))?
                }
                None => output,
            };
            return self.leave(
                frame,
                definition,
                Payload::Value(output),
                Some(catcher.next),
                assigned,
            );
        }
        let about = About::default();
        let assigned = self.assigned(frame, catcher.assign.as_ref(), &output, about)?;
        let output = match &catcher.result_path {
            None => raw,
            Some(path) => Payload::Value(path.write(raw.value(), output).map_err(mismatch)?),
        };
        self.leave(frame, definition, output, Some(catcher.next), assigned)
    }

    /// A branch fails: the state around it does, or the execution.
    pub(super) fn fail_branch(&mut self, frame: u32, trouble: Trouble) {
        let Some(branch) = self.execution.frames.get(&frame) else { return };
        let Some((parent, index)) = branch.parent else {
            return self.record(frame, Detail::ExecutionFailed(trouble));
        };
        let Some(definition) = self.definition(parent) else { return };
        let name = Arc::clone(&definition.name);
        let is_map = matches!(definition.state, State::Map(_));
        self.abort_state(frame);
        let failed = if is_map {
            Detail::IterationFailed { name: Arc::clone(&name), index }
        } else {
            Detail::BranchFailed
        };
        self.record(frame, failed);
        self.abort_branches(parent);
        self.troubled(parent, trouble, Ended::Otherwise);
    }

    /// Ends the branches that still run in the state `frame` is in.
    fn abort_branches(&mut self, frame: u32) {
        let Some(branches) = self.branches(frame) else { return };
        let running: Vec<(u32, u32)> =
            branches.running.iter().map(|(index, child)| (*index, *child)).collect();
        let machine = Arc::clone(&self.machine);
        let Some(position) = self.position(frame) else { return };
        let definition = machine.state(position.state);
        for (index, child) in running {
            self.abort_branches(child);
            self.abort_state(child);
            if matches!(definition.state, State::Map(_)) {
                let name = Arc::clone(&definition.name);
                self.record(child, Detail::IterationAborted { name, index });
            }
        }
    }

    /// Tells that the state `frame` is in will not end, if it is one that takes time.
    fn abort_state(&mut self, frame: u32) {
        let Some(position) = self.position(frame) else { return };
        let kind = super::kind_of(&self.machine.state(position.state).state);
        if matches!(kind, Kind::Task | Kind::Wait | Kind::Parallel | Kind::Map)
            && !matches!(position.activity, Activity::Aborted)
        {
            self.abort_map_run(frame);
            self.record(frame, Detail::Aborted(kind));
        }
    }
}
