//! TestState: one state of a definition, carried out by itself and looked into.
//!
//! A [`Trial`] is an execution that nothing is recorded of. It lives in memory under a number of its
//! own ([`Trials::MACHINE`]), its task goes the way of every task, and when it has ended its caller is
//! answered. After a restart the caller is gone, and so is the trial.

mod answer;
mod context;
mod request;
mod shapes;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::execution::{Setup, Trial};
use stepwire_asl::{Entropy, EventId, Start, Stimulus, Task, Timestamp, Turn};

pub use request::TestState;

use crate::asking::Asker;
use crate::executions::{ExecutionId, TaskToken, derived_uuid};
use crate::settings::Settings;

/// Longest that a state may take. Source: AWS Step Functions API reference, TestState.
const DURATION_MAX_MS: i64 = 300_000;

/// States under test that wait for the world.
#[derive(Debug, Default)]
pub(crate) struct Trials {
    next: u64,
    running: BTreeMap<u64, Running>,
}

/// A state under test and who wants to know.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) asker: Asker,
    trial: Trial,
    request: Arc<TestState>,
    gives_up: Timestamp,
}

impl Trials {
    /// Where a state machine's number stands in the [`ExecutionId`] of a trial; no machine has it.
    pub(crate) const MACHINE: u64 = 0;

    /// Runs the state until it has ended or waits for the world, which is then asked for its tasks.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        asker: Asker,
        request: &Arc<TestState>,
        settings: &Settings,
    ) -> (ExecutionId, Vec<Task>) {
        self.next += 1;
        let id = ExecutionId { machine: Trials::MACHINE, number: self.next };
        let name = |kind| derived_uuid(&settings.secret, kind, &[now.0 as u64, id.number]);
        let (machine, execution) = (name("test-machine"), name("test-execution"));
        let start = Start {
            execution_arn: settings.arn("states", &format!("express:{machine}:{execution}")).into(),
            role_arn: request.role_arn.clone().unwrap_or_default(),
            input: Arc::clone(&request.input),
        };
        let setup = Setup {
            context: request.context.clone(),
            variables: request.variables.clone(),
            mock: request.mock.clone(),
            retries: request.retries,
            failures: request.failures,
            reader_data: request.reader_data.clone(),
        };
        let (trial, tasks) =
            with_turn(now, id, settings, |turn| Trial::begin(&request.state, setup, start, turn));
        let gives_up = now.plus_ms(DURATION_MAX_MS);
        let running = Running { asker, trial, request: Arc::clone(request), gives_up };
        self.running.insert(id.number, running);
        (id, tasks)
    }

    /// Gives a state what it waits for. One that has been answered wants nothing more.
    pub(crate) fn step(
        &mut self,
        now: Timestamp,
        id: ExecutionId,
        stimulus: Stimulus,
        settings: &Settings,
    ) {
        if let Some(running) = self.running.get_mut(&id.number) {
            // A task that is no longer open was answered before.
            let _ = with_turn(now, id, settings, |turn| running.trial.step(stimulus, turn));
        }
    }

    /// Whether this is a state under test that has not been answered.
    pub(crate) fn has(&self, id: ExecutionId) -> bool {
        id.machine == Trials::MACHINE && self.running.contains_key(&id.number)
    }

    /// Takes out a state that has ended, or has taken too long.
    pub(crate) fn take_ended(&mut self, now: Timestamp, id: ExecutionId) -> Option<Running> {
        let running = self.running.get(&id.number)?;
        let ended = running.trial.outcome().is_some() || running.gives_up <= now;
        if ended { self.running.remove(&id.number) } else { None }
    }

    /// When time alone brings one of them further.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.running.values().map(Running::due).min()
    }

    /// Those whose time has come.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<ExecutionId> {
        let overdue = self.running.iter().filter(|(_, running)| running.due() <= now);
        overdue
            .map(|(number, _)| ExecutionId { machine: Trials::MACHINE, number: *number })
            .collect()
    }
}

impl Running {
    fn due(&self) -> Timestamp {
        self.trial.due().map_or(self.gives_up, |due| due.min(self.gives_up))
    }
}

fn with_turn<T>(
    now: Timestamp,
    id: ExecutionId,
    settings: &Settings,
    decide: impl FnOnce(&mut Turn<'_>) -> T,
) -> T {
    let token = |scheduled: EventId| TaskToken { execution: id, scheduled }.seal(&settings.secret);
    let mut entropy = Entropy::new(now.0 as u64 ^ id.number.rotate_left(32));
    // What a mock stands for need not exist.
    let activity = |_: &str| true;
    let limits = settings.quotas.standard();
    decide(&mut Turn { now, entropy: &mut entropy, token: &token, activity: &activity, limits })
}
