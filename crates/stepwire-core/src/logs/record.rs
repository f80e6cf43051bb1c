//! What is durable about logs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::filters::{Family, FilterRecord};
use crate::read::{Key, Range};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// First part of a key in [`Space::LogGroup`].
const GROUP: u8 = b'g';
const RETIRED: u8 = b'r';

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Unique among groups of which anything is stored.
    pub number: u64,
    /// Name.
    pub name: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// How long events are kept; `None` for ever.
    pub retention_days: Option<u32>,
    /// Keys and values, in the order in which they were set.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Larger than the number of every stream it has had.
    pub next_stream: u64,
}

/// A log stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// Name, unique in its group.
    pub name: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// Time of its oldest event.
    pub first: Option<Timestamp>,
    /// Time of its latest event.
    pub last: Option<Timestamp>,
    /// When an event last came in.
    pub ingested: Option<Timestamp>,
    /// Number of the next event.
    pub next: u64,
    /// Bytes of its events' messages.
    pub bytes: u64,
    /// Made for what executions log: it goes with its last event.
    pub own: bool,
}

/// A log event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When it came in.
    pub ingested: Timestamp,
    /// What it says.
    pub message: Arc<str>,
}

/// Where a log event is: events of a stream order by time, then as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the group.
    pub group: u64,
    /// Number of the stream.
    pub stream: u64,
    /// Time of the event.
    pub at: Timestamp,
    /// Number of the event in its stream.
    pub number: u64,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// The log group of this name; `None` if there is none.
    Group(Arc<str>, Option<Arc<GroupRecord>>),
    /// A stream, by group and number; `None` if there is none.
    Stream(u64, u64, Option<Arc<StreamRecord>>),
    /// Whether events of this deleted stream may still be stored.
    Retired(u64, u64, bool),
    /// An event; `None` once it is removed.
    Event(Place, Option<EventRecord>),
    /// A filter of a group, by its name; `None` if there is none.
    Filter(u64, Family, Arc<str>, Option<Arc<FilterRecord>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Group(name, record) => {
                (group_key(name), record.as_ref().map(|record| encode(FORMAT, record.as_ref())))
            }
            Write::Stream(group, number, record) => (
                streams_of(*group).number(*number).build(),
                record.as_ref().map(|record| encode(FORMAT, record.as_ref())),
            ),
            Write::Retired(group, number, owes) => {
                let key = KeyBuilder::new(Space::LogGroup).bytes(&[RETIRED]);
                (key.number(*group).number(*number).build(), owes.then(Vec::new))
            }
            Write::Event(place, record) => {
                (place.key(), record.as_ref().map(|record| encode(FORMAT, record)))
            }
            Write::Filter(group, family, name, record) => (
                filters_of(*group, *family).text(name).build(),
                record.as_ref().map(|record| encode(FORMAT, record.as_ref())),
            ),
        }
    }

    /// The change that a stored entry of a group, a stream, a retired stream or a filter is.
    pub fn load(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        let number = |at| number(key, at);
        match (key.first(), key.get(1)) {
            (Some(&space), Some(&GROUP)) if space == Space::LogGroup as u8 => {
                let record: GroupRecord = decode(FORMAT, key, value)?;
                Ok(Write::Group(Arc::clone(&record.name), Some(Arc::new(record))))
            }
            (Some(&space), Some(&RETIRED)) if space == Space::LogGroup as u8 => {
                Ok(Write::Retired(number(2)?, number(10)?, true))
            }
            (Some(&space), _) if space == Space::LogFilter as u8 => {
                let record: FilterRecord = decode(FORMAT, key, value)?;
                let (group, family) = (record.group, record.family());
                let name = Arc::clone(&record.name);
                Ok(Write::Filter(group, family, name, Some(Arc::new(record))))
            }
            _ => {
                let record = Arc::new(decode(FORMAT, key, value)?);
                Ok(Write::Stream(number(1)?, number(9)?, Some(record)))
            }
        }
    }
}

impl Place {
    /// Its key.
    pub fn key(self) -> Key {
        let at = u64::try_from(self.at.0).unwrap_or(0);
        let key = KeyBuilder::new(Space::LogEvent).number(self.group).number(self.stream);
        key.number(at).number(self.number).build()
    }

    /// The place that a key says.
    pub fn of(key: &[u8]) -> Result<Place, Corrupt> {
        let at = i64::try_from(number(key, 17)?).unwrap_or(i64::MAX);
        Ok(Place {
            group: number(key, 1)?,
            stream: number(key, 9)?,
            at: Timestamp(at),
            number: number(key, 25)?,
        })
    }
}

fn number(key: &[u8], at: usize) -> Result<u64, Corrupt> {
    let bytes = key.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    let corrupt = || Corrupt { key: key.to_vec(), why: "not a log's key".to_owned() };
    bytes.map(u64::from_be_bytes).ok_or_else(corrupt)
}

/// Where a group is.
pub(super) fn group_key(name: &str) -> Key {
    KeyBuilder::new(Space::LogGroup).bytes(&[GROUP]).text(name).build()
}

/// All groups, in order of name.
pub(super) fn groups() -> Range {
    Range::prefix(&KeyBuilder::new(Space::LogGroup).bytes(&[GROUP]).build())
}

fn streams_of(group: u64) -> KeyBuilder {
    KeyBuilder::new(Space::LogStream).number(group)
}

fn filters_of(group: u64, family: Family) -> KeyBuilder {
    let family = match family {
        Family::Subscription => b's',
        Family::Metric => b'm',
    };
    KeyBuilder::new(Space::LogFilter).number(group).bytes(&[family])
}

/// All filters of a group of one family, by name.
pub(super) fn filters(group: u64, family: Family) -> Range {
    Range::prefix(&filters_of(group, family).build())
}

/// The stored filter.
pub(super) fn filter(key: &[u8], value: &[u8]) -> Result<FilterRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// All streams of a group, oldest first.
pub(super) fn streams(group: u64) -> Range {
    Range::prefix(&streams_of(group).build())
}

/// All events of a stream, in order.
pub(super) fn events(group: u64, stream: u64) -> Range {
    Range::prefix(&KeyBuilder::new(Space::LogEvent).number(group).number(stream).build())
}

/// The stored group.
pub(super) fn group(key: &[u8], value: &[u8]) -> Result<GroupRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// The stored stream, and its number.
pub(super) fn stream(key: &[u8], value: &[u8]) -> Result<(u64, StreamRecord), Corrupt> {
    Ok((number(key, 9)?, decode(FORMAT, key, value)?))
}

/// The stored event, and where it is.
pub(super) fn event(key: &[u8], value: &[u8]) -> Result<(Place, EventRecord), Corrupt> {
    Ok((Place::of(key)?, decode(FORMAT, key, value)?))
}
