//! What is durable about map runs.
//!
//! A run that has not ended is two small records which recovery reads into memory: what it is to
//! do, written once, and how far it is, written with every child that begins or ends. Its items
//! stand apart, in chunks. Its children are ordinary executions under the run's number.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::execution::{Batch, ItemReading, ResultWriting};
use stepwire_asl::history::Trouble;
use stepwire_asl::{EventId, Json, Timestamp};

use crate::executions::{ExecutionId, Origin, Write};
use crate::read::{Key, Range};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 2;
/// Numbers of map runs have this bit, so that their children stand apart from the executions of
/// any state machine.
pub(crate) const MAP_RUN: u64 = 1 << 63;

impl ExecutionId {
    /// The map run whose child it is.
    pub fn map_run(self) -> Option<u64> {
        (self.machine & MAP_RUN != 0).then_some(self.machine)
    }
}

/// What a map run is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Its number.
    pub number: u64,
    /// The execution with the Map state.
    pub parent: ExecutionId,
    /// Its `MapRunStarted` event.
    pub started_by: EventId,
    /// Number of the state machine whose definition the children run.
    pub machine: u64,
    /// The revision of it that the execution runs.
    pub revision: u64,
    /// The Map state in it.
    pub state: u32,
    /// `MACHINE/LABEL`: the name of what its children run.
    pub name: Arc<str>,
    /// The last part of its ARN.
    pub uuid: Arc<str>,
    /// When it started.
    pub started: Timestamp,
    /// Whether its children are Express executions.
    pub express: bool,
    /// What is still to be read; `None`: the items were in the state's input.
    pub reading: Option<ItemReading>,
    /// Whether its items are members of an object.
    pub pairs: bool,
    /// How items are put together.
    pub batch: Option<Batch>,
    /// What becomes of the results.
    pub writing: ResultWriting,
    /// Test case of the mock configuration that the parent runs, and so its children.
    pub test_case: Option<Arc<str>>,
    /// What began the parent, and so its children.
    pub origin: Option<Arc<Origin>>,
}

/// How many of something came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Have begun.
    pub begun: u64,
    /// Ended well.
    pub succeeded: u64,
    /// Ended with an error.
    pub failed: u64,
    /// Ran out of time.
    pub timed_out: u64,
    /// Were stopped.
    pub aborted: u64,
    /// Did not succeed and are to run again.
    pub again: u64,
    /// Stand in the results.
    pub written: u64,
}

impl Counts {
    pub(crate) fn running(&self) -> u64 {
        self.begun - self.succeeded - self.failed - self.timed_out - self.aborted - self.again
    }

    /// The same with everything that did not succeed to run again.
    pub(crate) fn redriven(self) -> Counts {
        let again = self.again + self.failed + self.timed_out + self.aborted;
        Counts { again, failed: 0, timed_out: 0, aborted: 0, ..self }
    }
}

/// A place in the items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Chunk.
    pub chunk: u32,
    /// Item of it.
    pub offset: u32,
}

/// What a map run does at present.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Items are being read.
    Reading(super::reader::Progress),
    /// Children run.
    Running,
    /// No more children begin, and those that run are stopped.
    Stopping(Ending),
    /// Results are being gathered.
    Gathering(Ending),
    /// It has ended.
    Ended(Ending),
}

/// How a map run ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// Well, as far as failures are tolerated.
    Succeeded,
    /// With this error.
    Failed(Trouble),
    /// Its execution no longer waits for it.
    Aborted,
}

impl Ending {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Ending::Succeeded => "SUCCEEDED",
            Ending::Failed(_) => "FAILED",
            Ending::Aborted => "ABORTED",
        }
    }
}

/// How far a map run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What it does.
    pub phase: Phase,
    /// Most children at a time; 0: no limit of its own.
    pub concurrency: u32,
    /// Failed items that do not fail it.
    pub tolerated_count: u64,
    /// The same in percent of all items.
    pub tolerated_percentage: f64,
    /// Chunks of items written so far.
    pub chunks: u32,
    /// Items in them.
    pub items_total: u64,
    /// Where the first item is that no child has been given.
    pub next: Cursor,
    /// Its children.
    pub executions: Counts,
    /// Their items.
    pub items: Counts,
    /// Redriven: children from this one on that did not succeed run again, as far as the second.
    pub again: Option<(u64, u64)>,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// Times it was redriven.
    pub redrives: u32,
    /// When that last was.
    pub redriven: Option<Timestamp>,
}

/// A map run whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapRunRecord {
    /// What it is to do.
    pub spec: Arc<Spec>,
    /// How far it is.
    pub progress: Progress,
}

const PROGRESS: u8 = 0;
const SPEC: u8 = 1;

fn open_key(number: u64, part: u8) -> Key {
    KeyBuilder::new(Space::MapRun).number(number).bytes(&[part]).build()
}

fn part(kind: u8) -> KeyBuilder {
    KeyBuilder::new(Space::MapRunPart).bytes(&[kind])
}

/// Where a map run that has ended is.
pub(super) fn ended_key(number: u64) -> Key {
    part(b'e').number(number).build()
}

/// Every map run that has ended.
pub(crate) fn all_ended() -> Range {
    Range::prefix(&part(b'e').build())
}

/// Where a chunk of items is.
pub(crate) fn items_key(number: u64, chunk: u32) -> Key {
    part(b'i').number(number).number(u64::from(chunk)).build()
}

/// The chunks of items of a run.
pub(super) fn items_of(number: u64) -> Range {
    Range::prefix(&part(b'i').number(number).build())
}

/// Where it is said which map run has this name.
pub(crate) fn name_key(name: &str, uuid: &str) -> Key {
    part(b'n').text(name).text(uuid).build()
}

pub(crate) fn of_key(parent: ExecutionId, number: u64) -> Key {
    part(b'x').number(parent.machine).number(parent.number).number(number).build()
}

/// The map runs of an execution.
pub(crate) fn of_execution(parent: ExecutionId) -> Range {
    Range::prefix(&part(b'x').number(parent.machine).number(parent.number).build())
}

/// The number that ends a key of [`of_execution`] or [`all_ended`].
pub(crate) fn number_of(key: &[u8]) -> Option<u64> {
    let end = key.get(key.len().checked_sub(8)?..)?;
    Some(u64::from_be_bytes(end.try_into().ok()?))
}

pub(crate) fn spec_entry(number: u64, spec: Option<&Spec>) -> Entry {
    (open_key(number, SPEC), spec.map(|spec| encode(FORMAT, spec)))
}

pub(crate) fn progress_entry(number: u64, progress: Option<&Progress>) -> Entry {
    (open_key(number, PROGRESS), progress.map(|progress| encode(FORMAT, progress)))
}

pub(crate) fn ended_entry(record: &MapRunRecord) -> Entry {
    (ended_key(record.spec.number), Some(encode(FORMAT, record)))
}

pub(crate) fn name_entry(spec: &Spec) -> Entry {
    (name_key(&spec.name, &spec.uuid), Some(encode(FORMAT, &spec.number)))
}

pub(crate) fn of_entry(spec: &Spec) -> Entry {
    (of_key(spec.parent, spec.number), Some(Vec::new()))
}

pub(crate) fn items_entry(number: u64, chunk: u32, items: &[Json]) -> Entry {
    let texts: Vec<String> = items.iter().map(Json::to_text).collect();
    (items_key(number, chunk), Some(encode(FORMAT, &texts)))
}

/// The items of a stored chunk.
pub(crate) fn items(key: &[u8], value: &[u8]) -> Result<Vec<Json>, Corrupt> {
    let texts: Vec<String> = decode(FORMAT, key, value)?;
    let parse = |text: &String| {
        Json::parse(text).map_err(|error| Corrupt { key: key.to_vec(), why: error.to_string() })
    };
    texts.iter().map(parse).collect()
}

/// The change that a stored entry of [`Space::MapRun`] is.
pub(crate) fn load(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
    let corrupt = || Corrupt { key: key.to_vec(), why: "not a map run's key".to_owned() };
    let (number, part) =
        key.split_last().map(|(part, head)| (number_of(head), *part)).ok_or_else(corrupt)?;
    let number = number.ok_or_else(corrupt)?;
    match part {
        SPEC => Ok(Write::MapRunSpec(number, Some(Arc::new(decode(FORMAT, key, value)?)))),
        PROGRESS => Ok(Write::MapRunProgress(number, Some(Box::new(decode(FORMAT, key, value)?)))),
        _ => Err(corrupt()),
    }
}

/// The map run of this number, whether it has ended or not.
pub(crate) fn stored(
    number: u64,
    read: &dyn crate::read::Read,
) -> Result<Option<MapRunRecord>, Corrupt> {
    let (spec, progress) = (open_key(number, SPEC), open_key(number, PROGRESS));
    let ended = ended_key(number);
    match (read.get(&spec), read.get(&progress), read.get(&ended)) {
        (Some(spec_value), Some(progress_value), _) => Ok(Some(MapRunRecord {
            spec: Arc::new(decode(FORMAT, &spec, &spec_value)?),
            progress: decode(FORMAT, &progress, &progress_value)?,
        })),
        (_, _, Some(value)) => decode(FORMAT, &ended, &value).map(Some),
        _ => Ok(None),
    }
}

/// The map run whose ARN ends in these.
pub(crate) fn named(
    name: &str,
    uuid: &str,
    read: &dyn crate::read::Read,
) -> Result<Option<u64>, Corrupt> {
    let key = name_key(name, uuid);
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}
