//! Log groups: the part of Amazon CloudWatch Logs that executions log to and people read.
//!
//! Groups and streams are in memory; events live in the store alone. What is deleted, expired or
//! beyond a group's bound is removed a slice at a time.
//!
//! Read in this order: [`Logs`], [`Request`], [`Write`]; then `call` (what requests change), `batch`, `tidy`.

mod batch;
mod call;
mod filters;
mod model;
mod pattern;
mod record;
mod request;
mod tidy;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

pub use call::Logged;
pub(crate) use filters::Outcome;
pub use filters::{Family, FilterRecord, Purpose, Transformation};
pub use record::{EventRecord, GroupRecord, StreamRecord, Write};
pub use request::Request;
pub use view::answer;

use crate::record::{Corrupt, Space};

/// The log groups of a shard.
#[derive(Debug, Default, PartialEq)]
pub struct Logs {
    groups: BTreeMap<Arc<str>, Arc<GroupRecord>>,
    /// Days that events of a group are kept, by number; derived from `groups`.
    retention: BTreeMap<u64, u32>,
    /// By group and number.
    streams: BTreeMap<(u64, u64), Arc<StreamRecord>>,
    /// By group and name; derived from `streams`.
    by_name: BTreeMap<(u64, Arc<str>), u64>,
    /// Bytes of events by group; derived from `streams`.
    bytes: BTreeMap<u64, u64>,
    /// The oldest event of each stream that expires; derived from `streams` and `groups`.
    expiring: BTreeSet<(Timestamp, u64, u64)>,
    /// Streams that are deleted and may have stored events.
    retired: BTreeSet<(u64, u64)>,
    /// By group, family and name.
    filters: BTreeMap<(u64, Family, Arc<str>), filters::Ready>,
    passing: filters::Passing,
}

impl Logs {
    /// What recovery reads into memory. Events stay in the store.
    pub const SPACES: &'static [Space] = &[Space::LogGroup, Space::LogStream, Space::LogFilter];

    /// The only thing that changes what is known of groups and streams.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Group(name, record) => {
                let before = self.groups.remove(name);
                let number = before.as_ref().or(record.as_ref()).map_or(0, |group| group.number);
                self.watch(number, None);
                if let Some(record) = record {
                    self.groups.insert(Arc::clone(name), Arc::clone(record));
                    self.watch(number, Some(record));
                }
            }
            Write::Stream(group, number, record) => {
                self.apply_stream(*group, *number, record.as_ref());
            }
            Write::Retired(group, number, true) => drop(self.retired.insert((*group, *number))),
            Write::Retired(group, number, false) => drop(self.retired.remove(&(*group, *number))),
            Write::Event(..) => {}
            Write::Filter(group, family, name, record) => {
                let key = (*group, *family, Arc::clone(name));
                match record {
                    Some(record) => {
                        self.filters.insert(key, filters::Ready::of(Arc::clone(record)));
                    }
                    None => drop(self.filters.remove(&key)),
                }
            }
        }
    }

    fn apply_stream(&mut self, group: u64, number: u64, record: Option<&Arc<StreamRecord>>) {
        let days = self.retention.get(&group).copied();
        if let Some(before) = self.streams.remove(&(group, number)) {
            self.by_name.remove(&(group, Arc::clone(&before.name)));
            if let (Some(first), Some(days)) = (before.first, days) {
                self.expiring.remove(&(first.plus_ms(days_ms(days)), group, number));
            }
            self.add_bytes(group, 0, before.bytes);
        }
        if let Some(record) = record {
            self.by_name.insert((group, Arc::clone(&record.name)), number);
            self.add_bytes(group, record.bytes, 0);
            if let (Some(first), Some(days)) = (record.first, days) {
                self.expiring.insert((first.plus_ms(days_ms(days)), group, number));
            }
            self.streams.insert((group, number), Arc::clone(record));
        }
    }

    fn add_bytes(&mut self, group: u64, more: u64, less: u64) {
        let bytes = self.bytes.entry(group).or_default();
        *bytes = (*bytes + more).saturating_sub(less);
        if *bytes == 0 {
            self.bytes.remove(&group);
        }
    }

    /// Takes up the streams of a group whose retention is now this, or of one that is gone.
    fn watch(&mut self, group: u64, record: Option<&Arc<GroupRecord>>) {
        self.expiring.retain(|(_, of, _)| *of != group);
        self.retention.remove(&group);
        let Some(days) = record.and_then(|record| record.retention_days) else { return };
        self.retention.insert(group, days);
        let streams = self.streams.range((group, 0)..=(group, u64::MAX));
        let due = streams.filter_map(|((_, number), stream)| {
            Some((stream.first?.plus_ms(days_ms(days)), group, *number))
        });
        self.expiring.extend(due.collect::<Vec<_>>());
    }

    /// Takes in one stored entry of [`Logs::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&Write::load(key, value)?);
        Ok(())
    }

    /// Whether there is a log group of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }
}

fn days_ms(days: u32) -> i64 {
    i64::from(days) * 24 * 3_600 * 1_000
}
