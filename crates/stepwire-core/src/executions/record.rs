//! What is durable about state machines and executions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{EventId, HistoryEvent, Json, Timestamp, history};

use super::activities::ActivityRecord;
use super::definition::Kind;
use super::machines::{self, Logging, Publish, Tags};
use super::map_runs::record as map_runs;
use super::origin::Origin;
use crate::read::{Key, Range};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

/// Format of [`MachineRecord`] and [`OpenRecord`].
const FORMAT: u8 = 1;
/// Format of [`ExecutionRecord`].
const EXECUTION: u8 = 2;

/// An execution: its state machine's number, then its own. Numbers grow with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutionId {
    /// Number of the state machine it runs.
    pub machine: u64,
    /// Its own number, unique in the shard.
    pub number: u64,
}

/// A state machine as one revision of it is. Executions name it by number and revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Unique number.
    pub number: u64,
    /// Name, unique among those not deleted.
    pub name: Arc<str>,
    /// The definition, byte for byte as it was given.
    pub definition: Arc<str>,
    /// The role it was given; stored and shown, not enforced.
    pub role_arn: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// Deleted: no new executions; those that run go on.
    pub deleted: bool,
    /// Members that are accepted without effect and shown again (`tracingConfiguration` …).
    pub shown: Json,
    /// What kind of executions it has.
    pub kind: Kind,
    /// Counts its revisions, from 1.
    pub revision: u64,
    /// `revisionId`; `None` until it is first changed.
    pub revision_id: Option<Arc<str>>,
    /// When this revision was made.
    pub updated: Timestamp,
    /// Executions of this revision that name no version have this number or a larger one.
    pub since: u64,
    /// `loggingConfiguration`
    pub logging: Logging,
    /// Keys and values, in the order in which they were set.
    pub tags: Tags,
    /// The largest number that a version of it has had.
    pub last_version: u64,
    /// Whether its creation published a version.
    pub published: Publish,
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It has not ended.
    Running,
    /// It ended in a Succeed state or an `End`.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// Its machine's `TimeoutSeconds` ran out.
    TimedOut,
    /// `StopExecution`.
    Aborted,
}

impl Status {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Running => "RUNNING",
            Status::Succeeded => "SUCCEEDED",
            Status::Failed => "FAILED",
            Status::TimedOut => "TIMED_OUT",
            Status::Aborted => "ABORTED",
        }
    }
}

/// Who started an execution and hears of its end, in the commit in which it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Parent {
    /// A task of another execution (`states:startExecution.sync`).
    Task {
        /// The other execution.
        execution: ExecutionId,
        /// Its `TaskScheduled` event.
        scheduled: EventId,
    },
}

/// Summary of an execution; everything else is its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRecord {
    /// Name, unique in its state machine's name.
    pub name: Arc<str>,
    /// How it stands.
    pub status: Status,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// First half of the SHA-256 of the input text: decides whether a repeated start is the same.
    pub input_digest: [u8; 16],
    /// [`stepwire_asl::REVISION`] of the interpreter that began it.
    pub revision: u16,
    /// `traceHeader` of its start.
    pub trace_header: Option<Arc<str>>,
    /// Who is told of its end.
    pub parent: Option<Parent>,
    /// The revision of its state machine that it runs.
    pub machine_revision: u64,
    /// The version that its start named or an alias led to.
    pub version: Option<u64>,
    /// The alias that its start named.
    pub alias: Option<Arc<str>>,
    /// Items of a map run that it is about; 0 when it is no child of one.
    pub items: u32,
    /// How it was last redriven.
    pub redriven: Option<Redriven>,
    /// Test case of the mock configuration that it runs.
    pub test_case: Option<Arc<str>>,
    /// The rule and the message that began it; `None` when a caller did.
    pub origin: Option<Arc<Origin>>,
}

/// The last of an execution's redrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// Which: 1 for the first.
    pub count: u32,
    /// When.
    pub at: Timestamp,
    /// `clientToken`: the same again is answered the same.
    pub token: Option<Arc<str>>,
}

impl ExecutionRecord {
    /// Times it was redriven.
    pub fn redrives(&self) -> u32 {
        self.redriven.as_ref().map_or(0, |redriven| redriven.count)
    }
}

/// An execution that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRecord {
    /// Its earliest deadline.
    pub due: Option<Timestamp>,
    /// Whether the world still owes it an answer that recovery must ask for again.
    pub outstanding: bool,
    /// Who is told of its end, and stops it when nobody waits for it any more.
    pub parent: Option<Parent>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A state machine as it now is.
    Machine(Arc<MachineRecord>),
    /// The summary of an execution as it now is.
    Execution(ExecutionId, ExecutionRecord),
    /// The name of an execution in its state machine's name.
    Name {
        /// State machine name.
        machine: Arc<str>,
        /// Execution name.
        name: Arc<str>,
        /// Whose name it is.
        id: ExecutionId,
    },
    /// An execution is about the device of this name.
    OfDevice(Arc<str>, ExecutionId),
    /// An open execution's deadline; `None` once it has ended.
    Open(ExecutionId, Option<OpenRecord>),
    /// New history events of an execution, in order.
    History(ExecutionId, Arc<[HistoryEvent]>),
    /// The activity of this name; `None` once it is deleted.
    Activity(Arc<str>, Option<Arc<ActivityRecord>>),
    /// Earlier revisions, versions, aliases and names of state machines.
    Part(machines::Write),
    /// An execution has ended at this time; it is removed when it has been kept long enough.
    Ended(Timestamp, ExecutionId),
    /// A record of an execution that has been kept long enough is gone.
    Removed(Key),
    /// Where numbers go on, once what has the largest may be gone.
    Numbers(Numbers),
    /// What a map run is to do; `None` once it has ended.
    MapRunSpec(u64, Option<Arc<map_runs::Spec>>),
    /// How far a map run is; `None` once it has ended.
    MapRunProgress(u64, Option<Box<map_runs::Progress>>),
    /// A map run that has ended.
    MapRunEnded(Box<map_runs::MapRunRecord>),
    /// The name of a map run.
    MapRunNamed(Arc<map_runs::Spec>),
    /// Whose map run it is.
    MapRunOf(Arc<map_runs::Spec>),
    /// Items of a map run: which chunk, and what it holds.
    MapRunItems(u64, u32, Arc<[Json]>),
}

/// The next numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// Of a state machine.
    pub machine: u64,
    /// Of an execution.
    pub execution: u64,
    /// Of a map run.
    pub map_run: u64,
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Machine(record) => {
                (machine_key(record.number), Some(encode(FORMAT, record.as_ref())))
            }
            Write::Execution(id, record) => (execution_key(*id), Some(encode(EXECUTION, record))),
            Write::Name { machine, name, id } => {
                (name_key(machine, name), Some(encode(FORMAT, id)))
            }
            Write::OfDevice(device, id) => (of_device_key(device, *id), Some(Vec::new())),
            Write::Open(id, record) => {
                (open_key(*id), record.as_ref().map(|record| encode(FORMAT, record)))
            }
            Write::History(id, events) => {
                let first = events.first().map_or(0, |event| event.seq);
                (history_key(*id, first), Some(history::encode_chunk(events)))
            }
            Write::Part(write) => write.entry(),
            Write::Ended(at, id) => (ended_key(*at, *id), Some(Vec::new())),
            Write::Removed(key) => (key.clone(), None),
            Write::Numbers(numbers) => (numbers_key(), Some(encode(FORMAT, numbers))),
            Write::Activity(name, record) => {
                (activity_key(name), record.as_ref().map(|record| encode(FORMAT, record.as_ref())))
            }
            Write::MapRunSpec(number, spec) => map_runs::spec_entry(*number, spec.as_deref()),
            Write::MapRunProgress(number, progress) => {
                map_runs::progress_entry(*number, progress.as_deref())
            }
            Write::MapRunEnded(record) => map_runs::ended_entry(record),
            Write::MapRunNamed(spec) => map_runs::name_entry(spec),
            Write::MapRunOf(spec) => map_runs::of_entry(spec),
            Write::MapRunItems(number, chunk, items) => {
                map_runs::items_entry(*number, *chunk, items)
            }
        }
    }

    /// The change that a stored entry of a recovered space is; `None` for other spaces.
    pub fn load(key: &[u8], value: &[u8]) -> Result<Option<Write>, Corrupt> {
        Ok(match key.first() {
            Some(&space) if space == Space::StateMachine as u8 => {
                Some(Write::Machine(Arc::new(decode(FORMAT, key, value)?)))
            }
            Some(&space) if space == Space::Open as u8 => {
                Some(Write::Open(id_of(key)?, Some(decode(FORMAT, key, value)?)))
            }
            Some(&space) if space == Space::MachinePart as u8 => {
                Some(Write::Part(machines::Write::load(key, value)?))
            }
            Some(&space) if space == Space::Kernel as u8 => {
                Some(Write::Numbers(decode(FORMAT, key, value)?))
            }
            Some(&space) if space == Space::Activity as u8 => {
                let record: ActivityRecord = decode(FORMAT, key, value)?;
                Some(Write::Activity(Arc::clone(&record.name), Some(Arc::new(record))))
            }
            Some(&space) if space == Space::MapRun as u8 => Some(map_runs::load(key, value)?),
            _ => None,
        })
    }
}

/// The stored state machine.
pub fn machine(key: &[u8], value: &[u8]) -> Result<MachineRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// The stored activity.
pub fn activity(key: &[u8], value: &[u8]) -> Result<ActivityRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// The stored summary.
pub fn execution(key: &[u8], value: &[u8]) -> Result<ExecutionRecord, Corrupt> {
    decode(EXECUTION, key, value)
}

/// The execution a stored name stands for.
pub fn named(key: &[u8], value: &[u8]) -> Result<ExecutionId, Corrupt> {
    decode(FORMAT, key, value)
}

/// The events of a stored chunk.
pub fn events(key: &[u8], value: &[u8]) -> Result<Vec<HistoryEvent>, Corrupt> {
    let corrupt = |why: String| Corrupt { key: key.to_vec(), why };
    history::decode_chunk(value).map_err(|error| corrupt(error.to_string()))
}

/// The execution whose number ends `key`.
pub fn id_of(key: &[u8]) -> Result<ExecutionId, Corrupt> {
    let number = |at: usize| Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?));
    match (number(1), number(9)) {
        (Some(machine), Some(number)) => Ok(ExecutionId { machine, number }),
        _ => Err(Corrupt { key: key.to_vec(), why: "not an execution's key".to_owned() }),
    }
}

/// Where a state machine is.
pub fn machine_key(number: u64) -> Key {
    KeyBuilder::new(Space::StateMachine).number(number).build()
}

/// Where an execution's summary is.
pub fn execution_key(id: ExecutionId) -> Key {
    KeyBuilder::new(Space::Execution).number(id.machine).number(id.number).build()
}

/// All executions of a state machine, in order of start.
pub fn executions_of(machine: u64) -> Range {
    Range::prefix(&KeyBuilder::new(Space::Execution).number(machine).build())
}

/// Where an execution's name is.
pub fn name_key(machine: &str, name: &str) -> Key {
    KeyBuilder::new(Space::ExecutionName).text(machine).text(name).build()
}

/// Where it is kept that an execution is about a device.
pub fn of_device_key(device: &str, id: ExecutionId) -> Key {
    let of_device = KeyBuilder::new(Space::ExecutionOfDevice).text(device);
    of_device.number(id.number).number(id.machine).build()
}

/// The executions with smaller numbers than `before` that are about a device, in order of start.
pub fn executions_of_device(device: &str, before: u64) -> Range {
    let of_device = KeyBuilder::new(Space::ExecutionOfDevice).text(device);
    let to = of_device.clone().number(before).build();
    Range { to, ..Range::prefix(&of_device.build()) }
}

/// The execution that a key of [`Space::ExecutionOfDevice`] names.
pub fn id_of_device_key(key: &[u8]) -> Result<ExecutionId, Corrupt> {
    match key.last_chunk::<16>().map(|numbers| u128::from_be_bytes(*numbers)) {
        Some(numbers) => {
            Ok(ExecutionId { machine: numbers as u64, number: (numbers >> 64) as u64 })
        }
        None => Err(Corrupt { key: key.to_vec(), why: "not an execution's key".to_owned() }),
    }
}

/// Executions of a state machine from this number on.
pub fn executions_from(machine: u64, number: u64) -> Range {
    Range { from: execution_key(ExecutionId { machine, number }), ..executions_of(machine) }
}

/// Open executions of a state machine.
pub fn open_of(machine: u64) -> Range {
    Range::prefix(&KeyBuilder::new(Space::Open).number(machine).build())
}

fn numbers_key() -> Key {
    KeyBuilder::new(Space::Kernel).text("numbers").build()
}

/// Where it is said that an execution ended at a time.
pub fn ended_key(at: Timestamp, id: ExecutionId) -> Key {
    let at = u64::try_from(at.0).unwrap_or(0);
    KeyBuilder::new(Space::Ended).number(at).number(id.machine).number(id.number).build()
}

/// All executions that have ended, in order of time.
pub fn all_ended() -> Range {
    Range::prefix(&KeyBuilder::new(Space::Ended).build())
}

/// When the execution ended that a key of [`Space::Ended`] names, and which it is.
pub fn ended_of(key: &[u8]) -> Result<(Timestamp, ExecutionId), Corrupt> {
    let number = |at: usize| Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?));
    match (number(1).and_then(|at| i64::try_from(at).ok()), number(9), number(17)) {
        (Some(at), Some(machine), Some(number)) => {
            Ok((Timestamp(at), ExecutionId { machine, number }))
        }
        _ => Err(Corrupt { key: key.to_vec(), why: "not the key of an end".to_owned() }),
    }
}

/// Where an activity is.
pub fn activity_key(name: &str) -> Key {
    KeyBuilder::new(Space::Activity).text(name).build()
}

/// All activities, in order of name.
pub fn activities() -> Range {
    Range::prefix(&KeyBuilder::new(Space::Activity).build())
}

/// The stored summary of an open execution.
pub fn open(key: &[u8], value: &[u8]) -> Result<OpenRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// Where it is kept that an execution is open.
pub fn open_key(id: ExecutionId) -> Key {
    KeyBuilder::new(Space::Open).number(id.machine).number(id.number).build()
}

/// Where the chunk that begins with event `seq` is.
pub fn history_key(id: ExecutionId, seq: u64) -> Key {
    KeyBuilder::new(Space::History).number(id.machine).number(id.number).number(seq).build()
}

/// The whole history of an execution.
pub fn history_of(id: ExecutionId) -> Range {
    Range::prefix(&KeyBuilder::new(Space::History).number(id.machine).number(id.number).build())
}
