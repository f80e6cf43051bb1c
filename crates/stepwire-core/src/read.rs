//! Reading stored records without waiting.
//!
//! Code that reads is written once, against [`Read`], and runs in three ways: on a snapshot of the
//! store (API queries, which see only what is committed), on what the shell fetched for a step, and
//! on a [`Reads`] that only notes what is missing ([`Kernel::needs`](crate::Kernel::needs)).

use std::cell::RefCell;
use std::collections::BTreeMap;

/// A key without its shard: a space byte and what the space says (see [`crate::record`]).
pub type Key = Vec<u8>;

/// Stored bytes by key. Keys order bytewise.
pub trait Read {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// The entries that `range` names, in its order.
    fn range(&self, range: &Range) -> Vec<(Key, Vec<u8>)>;
}

/// A run of keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// First key, inclusive.
    pub from: Key,
    /// End, exclusive.
    pub to: Key,
    /// From the end backwards.
    pub reverse: bool,
    /// At most this many entries.
    pub limit: usize,
}

impl Range {
    /// Every key that starts with `prefix`, forwards, without limit.
    pub fn prefix(prefix: &[u8]) -> Range {
        Range { from: prefix.to_vec(), to: after_prefix(prefix), reverse: false, limit: usize::MAX }
    }

    /// The same run from its end.
    #[must_use]
    pub fn reversed(self) -> Range {
        Range { reverse: true, ..self }
    }

    /// At most `limit` entries of the run.
    #[must_use]
    pub fn limit(self, limit: usize) -> Range {
        Range { limit, ..self }
    }
}

/// The first key after all keys that start with `prefix` (255 bytes of 0xFF if there is none).
pub fn after_prefix(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; 255]
}

/// One thing to fetch before a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The value at a key.
    Get(Key),
    /// A run of entries.
    Range(Range),
}

/// What was fetched for one step, and what was asked for and is not there yet.
#[derive(Debug, Default)]
pub struct Reads {
    values: BTreeMap<Key, Option<Vec<u8>>>,
    ranges: BTreeMap<Range, Vec<(Key, Vec<u8>)>>,
    missing: RefCell<Vec<Need>>,
}

impl Reads {
    /// Fetches `need` from `source` and keeps the answer.
    pub fn fetch(&mut self, need: Need, source: &dyn Read) {
        match need {
            Need::Get(key) => {
                let value = source.get(&key);
                self.values.insert(key, value);
            }
            Need::Range(range) => {
                let entries = source.range(&range);
                self.ranges.insert(range, entries);
            }
        }
    }

    /// What was asked for since the last call and has not been fetched.
    pub fn take_missing(&self) -> Vec<Need> {
        std::mem::take(&mut self.missing.borrow_mut())
    }
}

impl Read for Reads {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(value) = self.values.get(key) {
            value.clone()
        } else {
            self.missing.borrow_mut().push(Need::Get(key.to_vec()));
            None
        }
    }

    fn range(&self, range: &Range) -> Vec<(Key, Vec<u8>)> {
        if let Some(entries) = self.ranges.get(range) {
            entries.clone()
        } else {
            self.missing.borrow_mut().push(Need::Range(range.clone()));
            Vec::new()
        }
    }
}

/// Entries in memory: the simplest [`Read`], for tests and overlays.
impl Read for BTreeMap<Key, Vec<u8>> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        BTreeMap::get(self, key).cloned()
    }

    fn range(&self, range: &Range) -> Vec<(Key, Vec<u8>)> {
        if range.from >= range.to {
            return Vec::new();
        }
        let run = BTreeMap::range(self, range.from.clone()..range.to.clone());
        let copy = |(k, v): (&Key, &Vec<u8>)| (k.clone(), v.clone());
        if range.reverse {
            run.rev().take(range.limit).map(copy).collect()
        } else {
            run.take(range.limit).map(copy).collect()
        }
    }
}
