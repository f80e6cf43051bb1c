//! The tables as a caller sees them, over a store in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

mod conditions;
mod expiry;
mod indexes;
mod legacy;
mod lifecycle;
mod numbers;
mod queries;
mod transactions;
mod updates;

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};

use super::{Counts, Item, Request, Table, Tables, Write};
use crate::error::ApiError;
use crate::read::{Key, Range, Read, Reads};
use crate::settings::Settings;

/// Tables and the store behind them, used as the kernel does.
#[derive(Default)]
struct World {
    tables: Tables,
    store: BTreeMap<Key, Vec<u8>>,
    settings: Settings,
    /// Added to the time of day.
    later_ms: i64,
}

/// The time of day at first: a second.
const SECONDS: i64 = 1_700_000_000;

impl World {
    /// A world with table `T`: partition key `p` and sort key `s` of these types.
    fn with_table(partition: &str, sort: &str) -> World {
        let mut world = World::default();
        let create = format!(
            r#"{{"TableName":"Tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[
                {{"AttributeName":"p","AttributeType":"{partition}"}},
                {{"AttributeName":"s","AttributeType":"{sort}"}}],
                "KeySchema":[{{"AttributeName":"p","KeyType":"HASH"}},
                {{"AttributeName":"s","KeyType":"RANGE"}}]}}"#
        );
        world.ok("CreateTable", &create);
        world
    }

    /// Makes a request as the kernel does: fetches what it will read, carries it out, stores what
    /// it records. Checks that nothing was read that was not fetched.
    fn call(&mut self, operation: &str, body: &str) -> Result<Json, ApiError> {
        let body = Json::parse(body).unwrap();
        let request = Request::parse(operation, &body).unwrap()?;
        let mut reads = Reads::default();
        loop {
            if request.is_read() {
                let _ = super::answer(&request, &reads, &self.settings);
            } else {
                self.tables.prefetch(&request, &reads);
            }
            let missing = reads.take_missing();
            if missing.is_empty() {
                break;
            }
            for need in missing {
                reads.fetch(need, &self.store);
            }
        }
        let mut out = Vec::new();
        let before = format!("{:?}", self.tables);
        let now = self.now();
        let answer = self.tables.call(now, &request, &reads, &self.settings, &mut out);
        assert_eq!(reads.take_missing(), [], "read without being fetched");
        if answer.is_err() {
            assert_eq!((before, out.len()), (format!("{:?}", self.tables), 0), "changed on error");
        }
        self.save(&out);
        answer
    }

    fn now(&self) -> Timestamp {
        Timestamp(SECONDS * 1_000 + self.later_ms)
    }

    /// Does what is due, slice by slice, until nothing is.
    fn tidy(&mut self) {
        while self.tables.due().is_some_and(|due| due <= self.now()) {
            self.tidy_once();
        }
    }

    /// Does one slice of what is due.
    fn tidy_once(&mut self) {
        let (now, mut reads, mut out) = (self.now(), Reads::default(), Vec::new());
        loop {
            self.tables.prefetch_tidy(now, &reads);
            let missing = reads.take_missing();
            if missing.is_empty() {
                break;
            }
            missing.into_iter().for_each(|need| reads.fetch(need, &self.store));
        }
        self.tables.tidy(now, &reads, &mut out);
        assert_eq!(reads.take_missing(), [], "read without being fetched");
        self.save(&out);
    }

    /// What is derived from items is what a naive reading of all items derives.
    fn check_derived(&self) {
        for table in self.tables.by_name.values() {
            self.check_table(table);
        }
    }

    fn check_table(&self, table: &Table) {
        let items = Read::range(&self.store, &Range::prefix(&table.items_prefix()));
        let items: Vec<(Key, Item)> = items
            .into_iter()
            .map(|(key, value)| (key.clone(), Item::decode(&key, &value).unwrap()))
            .collect();
        let counted = |number: u64, sizes: Vec<usize>| {
            let bytes = sizes.iter().sum::<usize>() as u64;
            let expected = Counts { items: sizes.len() as u64, bytes };
            assert_eq!(self.tables.counted(number), expected, "counts of {number}");
        };
        counted(table.number, items.iter().map(|(_, item)| item.size()).collect());
        for index in table.indexes.iter().filter(|index| index.is_active()) {
            let stored = Read::range(&self.store, &Range::prefix(&index.prefix()));
            let expected: BTreeMap<Key, Vec<u8>> = items
                .iter()
                .filter_map(|(key, item)| {
                    let entry = index.entry_key(key, item.attributes())?;
                    let part = item.attributes().iter();
                    let part = part.filter(|(name, _)| index.projects(table, name));
                    let part = part.map(|(name, value)| (name.clone(), value.clone()));
                    Some((entry, Item::new(part.collect()).encode()))
                })
                .collect();
            let stored: BTreeMap<Key, Vec<u8>> = stored.into_iter().collect();
            assert_eq!(stored, expected, "entries of {}", index.name);
            let sizes = stored.iter().map(|(key, value)| Item::decode(key, value).unwrap().size());
            counted(index.number, sizes.collect());
        }
        if let Some(expiry) = table.expiry.as_ref().filter(|expiry| expiry.unread.is_none()) {
            let stored = Read::range(&self.store, &Range::prefix(&expiry.prefix()));
            let mut expected: Vec<Key> = items
                .iter()
                .filter_map(|(key, item)| expiry.entry_key(key, item.attributes()))
                .collect();
            expected.sort();
            // Records of items that expired too long ago may be gone.
            let stored: Vec<Key> = stored.into_iter().map(|(key, _)| key).collect();
            assert!(stored.iter().all(|key| expected.contains(key)), "expiries");
        }
    }

    fn save(&mut self, writes: &[Write]) {
        for write in writes {
            match write.entry() {
                (key, Some(value)) => drop(self.store.insert(key, value)),
                (key, None) => drop(self.store.remove(&key)),
            }
        }
        assert_eq!(self.recovered(), self.tables, "the fold of what is stored");
        self.check_derived();
    }

    /// Starts again from what is stored.
    fn restart(&mut self) {
        self.tables = self.recovered();
        self.tables.resume(&self.store);
    }

    /// The tables that recovery would make of the store.
    fn recovered(&self) -> Tables {
        let mut tables = Tables::default();
        for space in Tables::SPACES {
            for (key, value) in Read::range(&self.store, &Range::prefix(&[*space as u8])) {
                tables.load(&key, &value).unwrap();
            }
        }
        tables
    }

    /// A request that must succeed.
    #[track_caller]
    fn ok(&mut self, operation: &str, body: &str) -> Json {
        match self.call(operation, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{operation} {body}: {error}"),
        }
    }

    /// Why a request that must fail does: `code: message`.
    #[track_caller]
    fn refused(&mut self, operation: &str, body: &str) -> String {
        match self.call(operation, body) {
            Ok(answer) => panic!("{operation} {body}: {answer}"),
            Err(error) => error.to_string(),
        }
    }
}

/// The text of a JSON value, for comparisons.
fn text(json: Option<&Json>) -> String {
    json.map(Json::to_text).unwrap_or_default()
}
