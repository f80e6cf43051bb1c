//! What follows from a change of an item: index entries, the record of its expiry, counts.
//!
//! All of it is recorded with the item, in the same commit.

use std::sync::Arc;

use super::capacity::{Consumed, write_half_units};
use super::index::{By, Index, item_suffix};
use super::item::{Item, stored_size};
use super::table::{Table, TimeToLive};
use super::value::{Attributes, Value};
use super::{Tables, Write, unreadable};
use crate::error::ApiError;
use crate::read::Key;
use crate::record::{KeyBuilder, Space};

/// An item that a change replaces.
#[derive(Debug)]
pub(super) struct Old {
    pub(super) size: usize,
    /// The item itself, when something depends on it.
    pub(super) item: Option<Arc<Item>>,
}

impl Old {
    /// The item stored at `key` as `stored`; read whole only if `wanted` or if something is derived
    /// from it.
    pub(super) fn read(
        table: &Table,
        key: &[u8],
        stored: Option<&Vec<u8>>,
        wanted: bool,
    ) -> Result<Option<Old>, ApiError> {
        let Some(bytes) = stored else { return Ok(None) };
        if table.is_plain() && !wanted {
            return Ok(Some(Old { size: stored_size(bytes).unwrap_or(0), item: None }));
        }
        let item = Item::decode(key, bytes).map_err(|corrupt| unreadable(&corrupt))?;
        Ok(Some(Old::of(item)))
    }

    /// This item.
    pub(super) fn of(item: Item) -> Old {
        Old { size: item.size(), item: Some(Arc::new(item)) }
    }
}

impl Table {
    /// Refuses an item that has something else than a key where an index has one.
    pub(super) fn check_index_keys(&self, attributes: &Attributes, by: By) -> Result<(), ApiError> {
        self.indexes.iter().try_for_each(|index| index.check(attributes, by))
    }
}

impl TimeToLive {
    /// Where it is recorded that the item stored at `key` expires, if it does.
    pub(super) fn entry_key(&self, key: &[u8], attributes: &Attributes) -> Option<Key> {
        let Value::N(number) = attributes.get(&self.attribute)? else { return None };
        let seconds = number.whole().filter(|seconds| *seconds <= i64::MAX / 1_000)?;
        let mut entry = self.prefix();
        entry.extend_from_slice(&seconds.to_be_bytes());
        entry.extend_from_slice(item_suffix(key));
        Some(entry)
    }

    /// What the keys of all its records begin with.
    pub(super) fn prefix(&self) -> Key {
        expiries_prefix(self.number)
    }
}

/// What the keys of all records of the expiry of this number begin with.
pub(super) fn expiries_prefix(number: u64) -> Key {
    KeyBuilder::new(Space::Expiry).number(number).build()
}

/// The number and the second that the key of an expiry's record names, and the end of the item's.
pub(super) fn expiry_of(key: &[u8]) -> Option<(u64, i64, &[u8])> {
    let number = key.get(1..9)?.try_into().ok()?;
    let seconds = key.get(9..17)?.try_into().ok()?;
    Some((u64::from_be_bytes(number), i64::from_be_bytes(seconds), key.get(17..)?))
}

impl Tables {
    /// Records that the item at `key` makes way for another or for none, and all that follows from
    /// it. What it consumed comes back.
    pub(super) fn replace(
        &mut self,
        table: &Table,
        key: Key,
        old: Option<&Old>,
        new: Option<Item>,
        out: &mut Vec<Write>,
    ) -> Consumed {
        let sizes = (old.map(|old| old.size), new.as_ref().map(Item::size));
        let mut consumed = Consumed::of(write_half_units(sizes.0, sizes.1));
        if sizes == (None, None) {
            return consumed;
        }
        let new = new.map(Arc::new);
        if !table.is_plain() {
            let old = old.and_then(|old| old.item.as_ref());
            for index in &table.indexes {
                let units = self.reindex(table, index, &key, old, new.as_ref(), out);
                consumed.index(index, units);
            }
            if let Some(expiry) = &table.expiry {
                self.expire(expiry, &key, old, new.as_ref(), out);
            }
        }
        self.record(Write::Item(key, new), out);
        self.count(table.number, sizes.0, sizes.1, out);
        consumed
    }

    /// Records that what is counted under `number` lost an item of `old` bytes and got one of `new`.
    fn count(&mut self, number: u64, old: Option<usize>, new: Option<usize>, out: &mut Vec<Write>) {
        let counts = self.counts.get(&number).copied().unwrap_or_default();
        self.record(Write::Counts(number, Some(counts.changed(old, new))), out);
    }

    /// Keeps an index as the item is; the half units that took come back.
    fn reindex(
        &mut self,
        table: &Table,
        index: &Index,
        key: &Key,
        old: Option<&Arc<Item>>,
        new: Option<&Arc<Item>>,
        out: &mut Vec<Write>,
    ) -> usize {
        let entry = |item: Option<&Arc<Item>>| {
            let item = item?;
            Some((index.entry_key(key, item.attributes())?, index.part(table, item)))
        };
        let (before, after) = (entry(old), entry(new));
        if before == after {
            return 0;
        }
        let size = |entry: &Option<(Key, Arc<Item>)>| entry.as_ref().map(|(_, part)| part.size());
        let sizes = (size(&before), size(&after));
        let moved = match (&before, &after) {
            (Some((from, _)), Some((to, _))) => from != to,
            _ => true,
        };
        let units = if moved {
            let each = [sizes.0, sizes.1].into_iter().flatten();
            each.map(|size| write_half_units(Some(size), None)).sum()
        } else {
            write_half_units(sizes.0, sizes.1)
        };
        if let Some((from, _)) = before
            && moved
        {
            self.record(Write::Entry(from, None), out);
        }
        if let Some((to, part)) = after {
            self.record(Write::Entry(to, Some(part)), out);
        }
        if index.has_read(key) {
            self.count(index.number, sizes.0, sizes.1, out);
        }
        units
    }

    fn expire(
        &mut self,
        expiry: &TimeToLive,
        key: &Key,
        old: Option<&Arc<Item>>,
        new: Option<&Arc<Item>>,
        out: &mut Vec<Write>,
    ) {
        let entry = |item: Option<&Arc<Item>>| expiry.entry_key(key, item?.attributes());
        let (before, after) = (entry(old), entry(new));
        if before == after {
            return;
        }
        for (entry, stands) in [(before, false), (after, true)] {
            if let Some(entry) = entry {
                self.record(Write::Expiry(entry, stands), out);
            }
        }
    }

    /// Records the entry of an item that the index has not seen yet.
    pub(super) fn add_entry(
        &mut self,
        table: &Table,
        index: &Index,
        key: &Key,
        item: &Arc<Item>,
        out: &mut Vec<Write>,
    ) {
        if let Some(entry) = index.entry_key(key, item.attributes()) {
            let part = index.part(table, item);
            let size = part.size();
            self.record(Write::Entry(entry, Some(part)), out);
            self.count(index.number, None, Some(size), out);
        }
    }
}
