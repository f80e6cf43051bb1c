//! What goes on behind requests, a slice at a time: new indexes take in the items there are, expired
//! items go, and so does what is left of deleted tables and of transactions long answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::derive::{Old, expiries_prefix, expiry_of};
use super::index::entries_prefix;
use super::item::Item;
use super::table::{self, Table};
use super::transact::{TOKEN_KEPT_MS, age_of, aged_prefix};
use super::{Tables, Write};
use crate::read::{Key, Range, Read};

/// Records that one slice reads, at most, and the bytes of items it should come to.
const SLICE_MAX: usize = 256;
const SLICE_BYTES: u64 = 1_024 * 1_024;
/// Records of deleted tables that one slice removes.
const CLEANED_MAX: usize = 64;
/// Items that expired longer ago than this stay. Amazon DynamoDB Developer Guide, "Time to Live".
const EXPIRED_MAX_S: i64 = 5 * 365 * 24 * 60 * 60;

/// When there may be something to do next. Derived from stored records at the start, then kept: it
/// may be too early, never too late.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// The earliest second of each expiry, by its number.
    expiries: BTreeMap<u64, i64>,
    /// When the oldest token of a transaction was given.
    token: Option<Timestamp>,
}

/// It says nothing that is not in the records.
impl PartialEq for Horizon {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Horizon {}

impl Horizon {
    pub(super) fn expires(&mut self, key: &[u8]) {
        if let Some((number, seconds, _)) = expiry_of(key) {
            let earliest = self.expiries.entry(number).or_insert(seconds);
            *earliest = (*earliest).min(seconds);
        }
    }

    pub(super) fn forget(&mut self, number: u64) {
        self.expiries.remove(&number);
    }

    pub(super) fn token(&mut self, given: Timestamp) {
        self.token = Some(self.token.map_or(given, |oldest| oldest.min(given)));
    }

    fn due(&self) -> Option<Timestamp> {
        let expiry = self.expiries.values().min().map(|seconds| Timestamp(seconds * 1_000));
        let token = self.token.map(|given| Timestamp(given.0 + TOKEN_KEPT_MS));
        expiry.into_iter().chain(token).min()
    }
}

/// What a slice is about.
enum Slice {
    /// Records of a deleted table, index or expiry.
    Leftovers(u64),
    /// Items that an index or an expiry of a table does not know yet.
    Unread(Arc<Table>, Key),
    /// Items of a table that have expired, by the record.
    Expired(Arc<Table>, u64),
    /// Tokens of old transactions.
    Tokens,
}

impl Tables {
    /// Takes from stored records when there will be something to do.
    pub fn resume(&mut self, read: &dyn Read) {
        for table in self.by_name.values() {
            let Some(expiry) = &table.expiry else { continue };
            let first = read.range(&Range::prefix(&expiry.prefix()).limit(1));
            first.iter().for_each(|(key, _)| self.horizon.expires(key));
        }
        let oldest = read.range(&Range::prefix(&aged_prefix()).limit(1));
        for given in oldest.iter().filter_map(|(key, _)| age_of(key)) {
            self.horizon.token(given);
        }
    }

    /// When [`Tables::tidy`] is wanted next.
    pub fn due(&self) -> Option<Timestamp> {
        let owes = !self.retired.is_empty() || !self.unfinished.is_empty();
        if owes { Some(Timestamp(0)) } else { self.horizon.due() }
    }

    fn slice(&self, now: Timestamp) -> Option<Slice> {
        if let Some(number) = self.retired.first() {
            return Some(Slice::Leftovers(*number));
        }
        if let Some(table) = self.unfinished.first().and_then(|name| self.by_name.get(name)) {
            let expiry = table.expiry.iter().filter_map(|expiry| expiry.unread.as_ref());
            let unread = table.indexes.iter().filter_map(|index| index.unread.as_ref());
            let from = unread.chain(expiry).min()?;
            return Some(Slice::Unread(Arc::clone(table), from.clone()));
        }
        let token = self.horizon.token.map(|given| given.0 + TOKEN_KEPT_MS);
        if token.is_some_and(|until| until <= now.0) {
            return Some(Slice::Tokens);
        }
        let (number, seconds) = self.horizon.expiries.iter().min_by_key(|(_, at)| **at)?;
        if Timestamp(seconds * 1_000) > now {
            return None;
        }
        let table = self.by_expiry.get(number).and_then(|table| self.by_number.get(table))?;
        Some(Slice::Expired(Arc::clone(table), *number))
    }

    /// How many items of a table one slice reads.
    fn share(&self, table: &Table) -> usize {
        let counts = self.counts.get(&table.number).copied().unwrap_or_default();
        let each = (counts.bytes / counts.items.max(1)).max(1);
        usize::try_from(SLICE_BYTES / each).unwrap_or(SLICE_MAX).clamp(4, SLICE_MAX)
    }

    fn unread(&self, table: &Table, from: Key) -> Range {
        let limit = self.share(table);
        Range { from, ..Range::prefix(&table.items_prefix()) }.limit(limit)
    }

    /// The records of an expiry from its first, one more than a slice removes.
    fn expired(&self, table: &Table, number: u64) -> Range {
        Range::prefix(&expiries_prefix(number)).limit(self.share(table) + 1)
    }

    /// Reads what [`Tables::tidy`] will read.
    pub fn prefetch_tidy(&self, now: Timestamp, read: &dyn Read) {
        match self.slice(now) {
            None => {}
            Some(Slice::Leftovers(number)) => drop(leftovers(number, read)),
            Some(Slice::Unread(table, from)) => drop(read.range(&self.unread(&table, from))),
            Some(Slice::Tokens) => drop(read.range(&tokens())),
            Some(Slice::Expired(table, number)) => {
                for (key, _) in read.range(&self.expired(&table, number)) {
                    if let Some((_, _, suffix)) = expiry_of(&key) {
                        read.get(&[&table.items_prefix(), suffix].concat());
                    }
                }
            }
        }
    }

    /// Does a slice of what is due.
    pub fn tidy(&mut self, now: Timestamp, read: &dyn Read, out: &mut Vec<Write>) {
        match self.slice(now) {
            None => {}
            Some(Slice::Leftovers(number)) => self.clean(number, read, out),
            Some(Slice::Unread(table, from)) => self.take_in(&table, from, read, out),
            Some(Slice::Tokens) => self.drop_tokens(now, read, out),
            Some(Slice::Expired(table, number)) => {
                self.remove_expired(now, &table, number, read, out);
            }
        }
    }

    fn clean(&mut self, number: u64, read: &dyn Read, out: &mut Vec<Write>) {
        let (items, entries, expiries) = leftovers(number, read);
        let done = [&items, &entries, &expiries].iter().all(|run| run.len() < CLEANED_MAX);
        for key in items {
            self.record(Write::Item(key, None), out);
        }
        for key in entries {
            self.record(Write::Entry(key, None), out);
        }
        for key in expiries {
            self.record(Write::Expiry(key, false), out);
        }
        if done {
            self.record(Write::Retired(number, false), out);
        }
    }

    /// Makes the entries of a run of items that indexes or the expiry do not know yet.
    fn take_in(&mut self, table: &Arc<Table>, from: Key, read: &dyn Read, out: &mut Vec<Write>) {
        let range = self.unread(table, from);
        let limit = range.limit;
        let items = read.range(&range);
        let next =
            (items.len() == limit).then(|| items.last().map(|(key, _)| after(key))).flatten();
        for (key, value) in &items {
            let Ok(item) = Item::decode(key, value).map(Arc::new) else { continue };
            for index in table.indexes.iter().filter(|index| !index.has_read(key)) {
                self.add_entry(table, index, key, &item, out);
            }
            let expiry = table.expiry.as_ref().filter(|expiry| expiry.unread.is_some());
            if let Some(entry) = expiry.and_then(|expiry| expiry.entry_key(key, item.attributes()))
            {
                self.record(Write::Expiry(entry, true), out);
            }
        }
        // Those that are further on have not been passed by.
        let further = |unread: &Option<Key>| match (unread, &next) {
            (Some(unread), Some(next)) => Some(unread.max(next).clone()),
            _ => None,
        };
        let mut changed = table.as_ref().clone();
        for index in &mut changed.indexes {
            index.unread = further(&index.unread);
        }
        if let Some(expiry) = &mut changed.expiry {
            expiry.unread = further(&expiry.unread);
        }
        self.record(Write::Table(Arc::new(changed)), out);
    }

    fn remove_expired(
        &mut self,
        now: Timestamp,
        table: &Arc<Table>,
        number: u64,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) {
        let range = self.expired(table, number);
        let limit = range.limit;
        let records = read.range(&range);
        let more = records.len() == limit;
        let seconds = now.0.div_euclid(1_000);
        let mut next = None;
        for (at, (record, _)) in records.into_iter().enumerate() {
            let Some((_, expires, suffix)) = expiry_of(&record) else { continue };
            if expires > seconds || (more && at + 1 == limit) {
                next = Some(expires);
                break;
            }
            let key = [&table.items_prefix(), suffix].concat();
            let stored = read.get(&key).and_then(|value| Item::decode(&key, &value).ok());
            match stored {
                Some(item) if expires >= seconds - EXPIRED_MAX_S => {
                    self.replace(table, key, Some(&Old::of(item)), None, out);
                }
                _ => self.record(Write::Expiry(record, false), out),
            }
        }
        self.horizon.forget(number);
        if let Some(next) = next {
            self.horizon.expiries.insert(number, next);
        }
    }

    fn drop_tokens(&mut self, now: Timestamp, read: &dyn Read, out: &mut Vec<Write>) {
        let aged = read.range(&tokens());
        let more = aged.len() == CLEANED_MAX;
        self.horizon.token = aged.last().filter(|_| more).and_then(|(key, _)| age_of(key));
        for (key, token) in aged {
            let Some(given) = age_of(&key) else { continue };
            if given.0 + TOKEN_KEPT_MS > now.0 {
                self.horizon.token(given);
                return;
            }
            let token: Arc<str> = String::from_utf8_lossy(&token).into();
            self.record(Write::Token(Arc::clone(&token), None), out);
            self.record(Write::Aged(given, token, false), out);
        }
    }
}

/// The first key behind `key`: no stored key continues another.
fn after(key: &[u8]) -> Key {
    [key, &[0]].concat()
}

fn tokens() -> Range {
    Range::prefix(&aged_prefix()).limit(CLEANED_MAX)
}

/// The keys of some records of what had this number: items, index entries, expiries.
fn leftovers(number: u64, read: &dyn Read) -> (Vec<Key>, Vec<Key>, Vec<Key>) {
    let some = |prefix: Key| {
        let run = read.range(&Range::prefix(&prefix).limit(CLEANED_MAX));
        run.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let items = some(table::items_prefix(number));
    (items, some(entries_prefix(number)), some(expiries_prefix(number)))
}
