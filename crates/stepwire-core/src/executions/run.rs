//! Running an execution: a stimulus in, history and the work it asks for out.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use stepwire_asl::{
    Decision, Entropy, EventId, Execution, HistoryEvent, Json, Limits, Rejected, Start, Stimulus,
    Task, Timestamp, Turn,
};

use super::activities::Activities;
use super::map_runs::{self, files::Ask, gather::File};
use super::record::{self, Write};
use super::{
    ExecutionId, ExecutionRecord, Executions, Hot, Kind, Mocked, OpenRecord, Origin, Parent,
    Status, Target, TaskToken, derived_uuid,
};
use crate::logs::Logged;
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// A start that has been found possible.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) target: Target,
    pub(crate) name: Arc<str>,
    pub(crate) input: Arc<str>,
    pub(crate) trace_header: Option<Arc<str>>,
    pub(crate) parent: Option<Parent>,
    /// Test case of the mock configuration that answers its tasks.
    pub(crate) test_case: Option<Arc<str>>,
    pub(crate) origin: Option<Arc<Origin>>,
}

/// What one run of an execution came to.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) writes: Vec<Write>,
    pub(crate) tasks: Vec<Task>,
    /// What began it, and so what its tasks start.
    pub(crate) origin: Option<Arc<Origin>>,
    /// What an Express execution that has ended comes to, as StartSyncExecution answers.
    pub(crate) outcome: Option<Json>,
    /// What it has logged.
    pub(crate) logged: Option<Logged>,
    /// Tasks that a test case has answered.
    pub(crate) mocked: Vec<Mocked>,
    /// Whom to tell that the execution has ended.
    pub(crate) tell: Option<Parent>,
    /// Executions whose end nobody waits for any more: they are to be stopped.
    pub(crate) orphans: Vec<ExecutionId>,
    /// Map runs that have work to do.
    pub(crate) wake: Vec<u64>,
    /// What the rim has to read for map runs.
    pub(crate) asks: Vec<(u64, Ask)>,
    /// Files of results to be stored.
    pub(crate) files: Vec<File>,
    /// Map runs to be redriven, by execution and `MapRunStarted` event.
    pub(crate) redriven_runs: Vec<(ExecutionId, EventId)>,
}

impl Executions {
    /// Starts an execution and runs it until it waits or ends.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        begin: Begin,
        settings: &Settings,
    ) -> Option<(ExecutionId, Ran)> {
        let target = begin.target;
        let machine = self.machines.revision(target.machine, target.revision)?;
        let id = ExecutionId { machine: target.machine, number: self.next_execution };
        let machine_name = Arc::clone(&machine.record.name);
        let compiled = Arc::clone(machine.compiled.as_ref()?);
        let kind = machine.record.kind;
        let execution_arn = match kind {
            Kind::Standard => execution_arn(settings, &machine_name, &begin.name),
            Kind::Express => express_arn(settings, &machine_name, &begin.name, id.number),
        };
        let start = Start {
            execution_arn: execution_arn.into(),
            role_arn: Arc::clone(&machine.record.role_arn),
            input: Arc::clone(&begin.input),
        };
        let (execution, decision) =
            with_turn(now, id, 0, settings, kind, &self.activities, |turn| {
                Execution::start(compiled, start, turn)
            });
        let record = ExecutionRecord {
            name: Arc::clone(&begin.name),
            status: Status::Running,
            started: now,
            stopped: None,
            input_digest: digest(&begin.input),
            revision: stepwire_asl::REVISION,
            trace_header: begin.trace_header,
            parent: begin.parent,
            machine_revision: target.revision,
            version: target.version,
            alias: target.alias,
            items: 0,
            redriven: None,
            test_case: begin.test_case,
            origin: begin.origin,
        };
        let mut ran = Ran::default();
        if kind == Kind::Standard {
            let name = Write::Name { machine: machine_name, name: begin.name, id };
            self.record(name, &mut ran);
            for device in record.origin.iter().flat_map(|origin| origin.devices()) {
                self.record(Write::OfDevice(Arc::clone(device), id), &mut ran);
            }
        }
        let hot = Hot { execution, record, kind, chunks: Vec::new(), used: 0 };
        self.settle(id, hot, decision, true, settings, &mut ran);
        Some((id, ran))
    }

    /// Gives an execution a stimulus. `Rejected` says that nothing changed.
    pub(crate) fn stimulate(
        &mut self,
        now: Timestamp,
        id: ExecutionId,
        stimulus: Stimulus,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Result<Ran, Rejected>, Corrupt> {
        let Some(mut hot) = self.take(id, reads)? else {
            return Ok(Err(Rejected::ExecutionEnded));
        };
        let seq = hot.execution.last_seq();
        let decided = with_turn(now, id, seq, settings, hot.kind, &self.activities, |turn| {
            hot.execution.step(stimulus, turn)
        });
        let mut ran = Ran::default();
        match decided {
            Ok(decision) => {
                self.settle(id, hot, decision, false, settings, &mut ran);
                Ok(Ok(ran))
            }
            Err(rejected) => {
                self.keep(id, hot);
                Ok(Err(rejected))
            }
        }
    }

    /// Records what a decision changed, and keeps or drops the execution.
    pub(super) fn settle(
        &mut self,
        id: ExecutionId,
        mut hot: Hot,
        decision: Decision,
        first: bool,
        settings: &Settings,
        ran: &mut Ran,
    ) {
        ran.tasks = decision.tasks;
        ran.origin.clone_from(&hot.record.origin);
        ran.mocked = self.mocked(id, &hot.record, &mut ran.tasks, settings);
        let at = decision.events.last().map_or(hot.record.started, |event| event.at);
        let events: Arc<[HistoryEvent]> = decision.events.into();
        if !events.is_empty() {
            ran.logged = self.logged(id, &hot, &events, settings);
        }
        let status = status_of(&hot.execution);
        let ended = status != Status::Running;
        if ended {
            hot.record.status = status;
            hot.record.stopped = hot.execution.stopped_at();
            ran.tell = hot.record.parent;
        }
        ran.orphans = self.orphans(id, &hot.execution);
        self.activities.withdraw(id, |scheduled| hot.execution.is_open(scheduled));
        self.command_map_runs(at, id, &hot, decision.map_runs, ran);
        if ended && hot.kind == Kind::Express {
            return self.end_express(id, &hot, settings, ran);
        }
        if let Some(event) = events.first() {
            hot.chunks.push(event.seq);
            self.record(Write::History(id, events), ran);
        }
        if first || ended {
            self.record(Write::Execution(id, hot.record.clone()), ran);
        }
        if ended {
            if self.open.contains_key(&id) {
                self.record(Write::Open(id, None), ran);
            }
            if id.map_run().is_some() {
                // It is kept as long as the execution with the Map state.
                self.item_ended(id, status, hot.record.items, ran);
            } else if let Some(at) = hot.record.stopped {
                self.record(Write::Ended(at, id), ran);
            }
            return;
        }
        let last = hot.record.started.plus_ms(limits(hot.kind, settings).run_ms_max);
        let due = hot.execution.due().map_or(last, |due| due.min(last));
        let open = OpenRecord {
            due: Some(due),
            outstanding: hot.execution.is_owed(),
            parent: match self.open.get(&id) {
                Some(open) => open.parent,
                None => hot.record.parent,
            },
        };
        if self.open.get(&id) != Some(&open) {
            self.record(Write::Open(id, Some(open)), ran);
        }
        self.keep(id, hot);
    }

    /// Tasks that an open execution asked the world for and has no answer to.
    pub(crate) fn outstanding(
        &mut self,
        id: ExecutionId,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Ran, Corrupt> {
        let Some(hot) = self.take(id, reads)? else { return Ok(Ran::default()) };
        let mut tasks = hot.execution.outstanding();
        tasks.sort_by_key(|task| task.scheduled);
        let mocked = self.mocked(id, &hot.record, &mut tasks, settings);
        let origin = hot.record.origin.clone();
        self.keep(id, hot);
        Ok(Ran { tasks, origin, mocked, ..Ran::default() })
    }

    pub(super) fn record(&mut self, write: Write, ran: &mut Ran) {
        self.apply(&write);
        ran.writes.push(write);
    }
}

/// Runs `decide` with what a turn of the interpreter needs; the same position gives the same dice.
pub(super) fn with_turn<T>(
    now: Timestamp,
    id: ExecutionId,
    seq: u64,
    settings: &Settings,
    kind: Kind,
    activities: &Activities,
    decide: impl FnOnce(&mut Turn<'_>) -> T,
) -> T {
    let seed = seed(settings, &[id.machine, id.number, seq]);
    let mut entropy = Entropy::new(seed);
    let token = |scheduled: EventId| TaskToken { execution: id, scheduled }.seal(&settings.secret);
    let activity = |arn: &str| activities.has(arn, settings);
    let limits = limits(kind, settings);
    decide(&mut Turn { now, entropy: &mut entropy, token: &token, activity: &activity, limits })
}

/// How far an execution of this kind may go.
fn limits(kind: Kind, settings: &Settings) -> Limits {
    match kind {
        Kind::Standard => settings.quotas.standard(),
        Kind::Express => settings.quotas.express(),
    }
}

/// A seed that only this position has, and that nobody can guess.
pub(super) fn seed(settings: &Settings, position: &[u64]) -> u64 {
    let mut seed = Sha256::new();
    seed.update(settings.secret);
    position.iter().for_each(|part| seed.update(part.to_be_bytes()));
    let seed = seed.finalize();
    seed.iter().take(8).fold(0_u64, |acc, byte| acc << 8 | u64::from(*byte))
}

fn status_of(execution: &Execution) -> Status {
    match execution.status() {
        stepwire_asl::Status::Running => Status::Running,
        stepwire_asl::Status::Succeeded { .. } => Status::Succeeded,
        stepwire_asl::Status::Failed { .. } => Status::Failed,
        stepwire_asl::Status::TimedOut { .. } => Status::TimedOut,
        stepwire_asl::Status::Aborted { .. } => Status::Aborted,
    }
}

/// First half of the SHA-256 of `text`.
pub(super) fn digest(text: &str) -> [u8; 16] {
    let full = Sha256::digest(text.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&full[..16]);
    half
}

/// The ARN of a state machine.
pub(super) fn machine_arn(settings: &Settings, name: &str) -> String {
    settings.arn("states", &format!("stateMachine:{name}"))
}

/// The ARN of an execution.
pub(super) fn execution_arn(settings: &Settings, machine: &str, name: &str) -> String {
    settings.arn("states", &format!("execution:{machine}:{name}"))
}

/// The ARN of an execution of an Express state machine.
pub(super) fn express_arn(settings: &Settings, machine: &str, name: &str, number: u64) -> String {
    let unique = derived_uuid(&settings.secret, "express", &[number]);
    settings.arn("states", &format!("express:{machine}:{name}:{unique}"))
}

/// What began a stored execution; `None` when that was a caller, or there is no such execution.
pub fn origin_of(id: ExecutionId, read: &dyn Read) -> Option<Arc<Origin>> {
    let key = record::execution_key(id);
    record::execution(&key, &read.get(&key)?).ok()?.origin
}

/// The ARN of a stored execution; `None` when there is no such execution.
pub fn arn_of(id: ExecutionId, read: &dyn Read, settings: &Settings) -> Option<Arc<str>> {
    let execution = record::execution_key(id);
    if let Some(number) = id.map_run() {
        let run = map_runs::record::stored(number, read).ok()??;
        let execution = record::execution(&execution, &read.get(&execution)?).ok()?;
        return Some(execution_arn(settings, &run.spec.name, &execution.name).into());
    }
    let machine = record::machine_key(id.machine);
    let machine = record::machine(&machine, &read.get(&machine)?).ok()?;
    let execution = record::execution(&execution, &read.get(&execution)?).ok()?;
    Some(match machine.kind {
        Kind::Standard => execution_arn(settings, &machine.name, &execution.name).into(),
        Kind::Express => express_arn(settings, &machine.name, &execution.name, id.number).into(),
    })
}
