//! Executions: which run, when they are due, and how a stimulus becomes history.
//!
//! An execution in memory is a cache: everything about it is in its history, and one that waits is
//! dropped from memory when others need the room. What stays is a few words per open execution.

pub mod activities;
mod call;
mod children;
mod definition;
mod express;
mod logged;
pub mod machines;
pub mod map_runs;
mod mocked;
mod model;
mod origin;
pub mod record;
mod redrive;
mod request;
mod retention;
mod run;
mod token;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Execution, StateMachine, Task, Timestamp};

use activities::Activities;
pub(crate) use children::described;
pub(crate) use definition::refusals;
pub use definition::{DEFINITION_MAX, Kind, Validate, diagnose};
pub(crate) use express::without_data;
pub(crate) use machines::Target;
pub(crate) use mocked::Mocked;
pub use origin::Origin;
pub use record::{
    ExecutionId, ExecutionRecord, MachineRecord, OpenRecord, Parent, Redriven, Status, Write,
};
pub(crate) use request::is_name_prefix;
pub use request::{ExecutionName, Page, Report, Request, StartExecution};
pub(crate) use run::{Begin, Ran};
pub use run::{arn_of, origin_of};
pub use token::{TaskToken, derived_uuid, uuid_text};
pub use view::{answer, id_of};

use machines::Machines;
use record::Numbers;

use crate::read::{Read, Reads};
use crate::record::{Corrupt, Space};
use crate::settings::Settings;

/// Most executions kept in memory; the least recently used beyond that live in the store alone.
const HOT_MAX: usize = 4_096;

/// An execution in memory.
#[derive(Debug)]
struct Hot {
    execution: Execution,
    record: ExecutionRecord,
    kind: Kind,
    /// First event of each chunk of its history that is stored.
    chunks: Vec<u64>,
    used: u64,
}

/// Everything a shard knows about state machines and open executions.
#[derive(Debug, Default)]
pub struct Executions {
    machines: Machines,
    next_execution: u64,
    open: BTreeMap<ExecutionId, OpenRecord>,
    /// `due` of every open execution that has one; derived from `open`.
    deadlines: BTreeSet<(Timestamp, ExecutionId)>,
    /// Open executions by who waits for them; derived from `open`.
    children: BTreeSet<(Parent, ExecutionId)>,
    pub(crate) activities: Activities,
    map_runs: map_runs::MapRuns,
    hot: BTreeMap<ExecutionId, Hot>,
    /// `used` of every hot execution; derived from `hot`.
    hot_order: BTreeSet<(u64, ExecutionId)>,
    clock: u64,
    /// When the first of those that have ended did; derived from what is stored.
    first_end: Option<Timestamp>,
}

impl Executions {
    /// What recovery reads into memory. Summaries, names and histories stay in the store.
    pub const SPACES: &'static [Space] = &[
        Space::Kernel,
        Space::StateMachine,
        Space::MachinePart,
        Space::Open,
        Space::MapRun,
        Space::Activity,
    ];

    /// The only thing that changes state machines and the index of open executions.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Machine(record) => self.machines.apply_current(record),
            Write::Part(write) => self.machines.apply(write),
            Write::Numbers(numbers) => {
                self.machines.next = self.machines.next.max(numbers.machine);
                self.next_execution = self.next_execution.max(numbers.execution);
                self.map_runs.apply_number(numbers.map_run);
            }
            Write::Execution(id, _) if id.map_run().is_some() => {}
            Write::Execution(id, _) => {
                self.next_execution = self.next_execution.max(id.number + 1);
            }
            Write::Open(id, record) => self.apply_open(*id, *record),
            Write::Activity(name, record) => self.activities.apply(name, record.as_ref()),
            Write::Ended(at, _) => {
                self.first_end = Some(self.first_end.map_or(*at, |first| first.min(*at)));
            }
            Write::MapRunSpec(number, spec) => self.map_runs.apply_spec(*number, spec.as_ref()),
            Write::MapRunProgress(number, progress) => {
                self.map_runs.apply_progress(*number, progress.as_deref());
            }
            Write::Name { .. }
            | Write::OfDevice(..)
            | Write::History(..)
            | Write::Removed(_)
            | Write::MapRunEnded(_)
            | Write::MapRunNamed(_)
            | Write::MapRunOf(_)
            | Write::MapRunItems(..) => {}
        }
    }

    fn apply_open(&mut self, id: ExecutionId, record: Option<OpenRecord>) {
        let before = match record {
            Some(record) => self.open.insert(id, record),
            None => self.open.remove(&id),
        };
        if let Some(before) = before {
            before.due.map(|due| self.deadlines.remove(&(due, id)));
            before.parent.map(|parent| self.children.remove(&(parent, id)));
        }
        if let Some(record) = record {
            record.due.map(|due| self.deadlines.insert((due, id)));
            record.parent.map(|parent| self.children.insert((parent, id)));
        }
    }

    /// Takes in one stored entry of [`Executions::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if let Some(write) = Write::load(key, value)? {
            self.apply(&write);
        }
        Ok(())
    }

    /// State machines whose stored definition this version does not accept. They start nothing,
    /// and their executions are set aside, until a version that does reads them.
    pub(crate) fn refused(&self) -> impl Iterator<Item = &Arc<str>> {
        self.machines.refused()
    }

    /// Finds, after `load`, where execution numbers go on.
    pub(crate) fn resume_numbers(&mut self, read: &dyn Read) -> Result<(), Corrupt> {
        let first = read.range(&record::all_ended().limit(1));
        self.first_end = first.first().and_then(|(key, _)| Some(record::ended_of(key).ok()?.0));
        for number in self.machines.numbers().collect::<Vec<_>>() {
            let last = record::executions_of(number).reversed().limit(1);
            for (key, _) in read.range(&last) {
                self.next_execution = self.next_execution.max(record::id_of(&key)?.number + 1);
            }
        }
        self.map_runs.resume_numbers(read);
        Ok(())
    }

    /// When the next deadline of any execution or waiting worker is.
    pub fn due(&self) -> Option<Timestamp> {
        let first = self.deadlines.first().map(|(due, _)| *due);
        [first, self.activities.due()].into_iter().flatten().min()
    }

    /// Executions whose deadline is at or before `now`, earliest first, at most `limit`.
    pub(crate) fn overdue(&self, now: Timestamp, limit: usize) -> Vec<ExecutionId> {
        let due = self.deadlines.iter().take_while(|(due, _)| *due <= now);
        due.take(limit).map(|(_, id)| *id).collect()
    }

    /// Open executions and what is known of them.
    pub fn open(&self) -> impl Iterator<Item = (ExecutionId, OpenRecord)> + '_ {
        self.open.iter().map(|(id, record)| (*id, *record))
    }

    /// Open executions of a state machine.
    fn open_of(&self, machine: u64) -> impl Iterator<Item = ExecutionId> + '_ {
        let (first, last) = (0, u64::MAX);
        let all = ExecutionId { machine, number: first }..=ExecutionId { machine, number: last };
        self.open.range(all).map(|(id, _)| *id)
    }

    /// The next numbers, to be kept when what has the largest may go.
    fn numbers(&self) -> Numbers {
        let (machine, execution) = (self.machines.next, self.next_execution);
        Numbers { machine, execution, map_run: self.map_runs.next_number() }
    }

    /// The definition that a stored execution runs.
    fn compiled(&self, id: ExecutionId, record: &ExecutionRecord) -> Option<&Arc<StateMachine>> {
        let machine = self.machine_of(id)?;
        self.machines.revision(machine, record.machine_revision)?.compiled.as_ref()
    }

    /// Reads what [`Executions::take`] will want.
    pub(crate) fn touch(&self, id: ExecutionId, read: &dyn Read) {
        if self.open.contains_key(&id) && !self.hot.contains_key(&id) {
            read.get(&record::execution_key(id));
            read.range(&record::history_of(id));
        }
    }

    /// The open execution, out of memory or replayed from its history; `None` if it is not open.
    fn take(&mut self, id: ExecutionId, reads: &Reads) -> Result<Option<Hot>, Corrupt> {
        if let Some(hot) = self.hot.remove(&id) {
            self.hot_order.remove(&(hot.used, id));
            return Ok(Some(hot));
        }
        if !self.open.contains_key(&id) {
            return Ok(None);
        }
        let key = record::execution_key(id);
        let corrupt = |why: &str| Corrupt { key: key.clone(), why: why.to_owned() };
        let value = reads.get(&key).ok_or_else(|| corrupt("an open execution has no summary"))?;
        let record = record::execution(&key, &value)?;
        if record.revision > stepwire_asl::REVISION {
            return Err(corrupt("a newer interpreter began it"));
        }
        let machine = self.machine_of(id).ok_or_else(|| corrupt("no map run"))?;
        let machine = self.machines.revision(machine, record.machine_revision);
        let machine = machine.ok_or_else(|| corrupt("no state machine"))?;
        let compiled = machine.compiled.as_ref().ok_or_else(|| corrupt("no valid definition"))?;
        let kind = machine.record.kind;
        let (execution, chunks) = replay(id, compiled, reads)?;
        Ok(Some(Hot { execution, record, kind, chunks, used: 0 }))
    }

    /// Whether the task that `token` names still waits.
    pub(crate) fn is_task_open(
        &mut self,
        token: TaskToken,
        reads: &Reads,
    ) -> Result<bool, Corrupt> {
        let Some(hot) = self.take(token.execution, reads)? else { return Ok(false) };
        let open = hot.execution.is_open(token.scheduled);
        self.keep(token.execution, hot);
        Ok(open)
    }

    /// The open task that `token` names.
    pub(crate) fn open_task(
        &mut self,
        token: TaskToken,
        reads: &Reads,
    ) -> Result<Option<Task>, Corrupt> {
        let Some(hot) = self.take(token.execution, reads)? else { return Ok(None) };
        let task = hot.execution.open_task(token.scheduled);
        self.keep(token.execution, hot);
        Ok(task)
    }

    /// Keeps an open execution in memory, and drops the least recently used beyond the limit.
    fn keep(&mut self, id: ExecutionId, mut hot: Hot) {
        self.clock += 1;
        hot.used = self.clock;
        self.hot_order.insert((hot.used, id));
        self.hot.insert(id, hot);
        while self.hot.len() > HOT_MAX {
            let Some((_, oldest)) = self.hot_order.pop_first() else { break };
            self.hot.remove(&oldest);
        }
    }

    /// Takes over the definitions that `other` has parsed, for the records that will be loaded: what a
    /// text means is the same in both.
    pub(crate) fn borrow_parsed(&mut self, other: &Executions) {
        self.machines.borrow_parsed(&other.machines);
    }

    /// Compares the index with a freshly loaded one, and each execution in memory with its history.
    pub(crate) fn check(&self, stored: &Executions, read: &dyn Read) -> Result<(), String> {
        let derived = |of: &Executions| (of.deadlines.clone(), of.children.clone());
        if self.open != stored.open || derived(self) != derived(stored) {
            return Err("the index of open executions is not what is stored".to_owned());
        }
        if !self.map_runs.same(&stored.map_runs) {
            return Err("map runs in memory are not what is stored".to_owned());
        }
        if !self.activities.is_same(&stored.activities) {
            return Err("activities in memory are not what is stored".to_owned());
        }
        if !self.machines.same(&stored.machines) || self.next_execution != stored.next_execution {
            return Err("state machines or numbers in memory are not what is stored".to_owned());
        }
        for (id, hot) in &self.hot {
            let machine = self.compiled(*id, &hot.record).ok_or("an execution without machine")?;
            let replayed = replay(*id, machine, read).map_err(|c| c.to_string())?;
            if replayed.0 != hot.execution || replayed.1 != hot.chunks {
                return Err(format!("{id:?} in memory is not what its history says"));
            }
        }
        Ok(())
    }

    /// Whether an execution is of a standard workflow.
    pub(crate) fn is_standard(&self, id: ExecutionId) -> bool {
        let machine = self.machines.current(id.machine);
        machine.is_some_and(|machine| machine.record.kind == Kind::Standard)
    }

    /// The ARNs of an execution in memory: its state machine's, then its own.
    pub(crate) fn arns(&self, id: ExecutionId, settings: &Settings) -> Option<[Arc<str>; 2]> {
        let (hot, machine) = (self.hot.get(&id)?, self.machines.current(id.machine)?);
        let name = &machine.record.name;
        let own = run::execution_arn(settings, name, &hot.record.name);
        Some([run::machine_arn(settings, name).into(), own.into()])
    }

    /// Executions held in memory.
    pub fn hot_count(&self) -> usize {
        self.hot.len()
    }

    /// Stops timing an execution until the next start: it cannot be read.
    pub(crate) fn set_aside(&mut self, id: ExecutionId) {
        self.apply_open(id, None);
    }

    /// Drops every execution from memory; the next touch replays it.
    pub fn forget_hot(&mut self) {
        self.hot.clear();
        self.hot_order.clear();
    }
}

/// The execution that its stored history makes, and the first event of each chunk of that.
fn replay(
    id: ExecutionId,
    machine: &Arc<StateMachine>,
    read: &dyn Read,
) -> Result<(Execution, Vec<u64>), Corrupt> {
    let range = record::history_of(id);
    let (mut events, mut chunks) = (Vec::new(), Vec::new());
    for (key, value) in read.range(&range) {
        let chunk = record::events(&key, &value)?;
        chunks.extend(chunk.first().map(|event| event.seq));
        events.extend(chunk);
    }
    let execution = Execution::replay(Arc::clone(machine), events);
    let execution =
        execution.map_err(|error| Corrupt { key: range.from, why: error.to_string() })?;
    Ok((execution, chunks))
}
