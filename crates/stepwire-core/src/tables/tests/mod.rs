//! The tables as a caller sees them, over a store in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

mod conditions;
mod lifecycle;
mod numbers;
mod queries;
mod updates;

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};

use super::{Request, Tables, Write};
use crate::error::ApiError;
use crate::read::{Key, Range, Read, Reads};
use crate::settings::Settings;

/// Tables and the store behind them, used as the kernel does.
#[derive(Default)]
struct World {
    tables: Tables,
    store: BTreeMap<Key, Vec<u8>>,
    settings: Settings,
}

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
        let now = Timestamp(1_700_000_000_000);
        let answer = self.tables.call(now, &request, &reads, &self.settings, &mut out);
        assert_eq!(reads.take_missing(), [], "read without being fetched");
        if answer.is_err() {
            assert_eq!((before, out.len()), (format!("{:?}", self.tables), 0), "changed on error");
        }
        self.save(&out);
        answer
    }

    fn save(&mut self, writes: &[Write]) {
        for write in writes {
            match write.entry() {
                (key, Some(value)) => drop(self.store.insert(key, value)),
                (key, None) => drop(self.store.remove(&key)),
            }
        }
        assert_eq!(self.recovered(), self.tables, "the fold of what is stored");
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
