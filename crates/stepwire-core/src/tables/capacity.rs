//! Consumed capacity, counted as AWS does; nothing is throttled.

use std::sync::Arc;

use stepwire_asl::Json;

use super::index::{Index, Scope};
use super::request::word;
use super::table::Table;
use super::value::Value;
use crate::error::ApiError;
use crate::params::Params;

/// `ReturnConsumedCapacity`: how much to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    None,
    Total,
    Indexes,
}

/// What a request consumed, in halves of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Consumed {
    table: usize,
    indexes: Vec<(Arc<str>, Scope, usize)>,
}

impl Consumed {
    /// This much of a table.
    pub(super) fn of(half_units: usize) -> Consumed {
        Consumed { table: half_units, indexes: Vec::new() }
    }

    /// And this much of an index.
    pub(super) fn index(&mut self, index: &Index, half_units: usize) {
        if half_units == 0 {
            return;
        }
        match self.indexes.iter_mut().find(|(name, ..)| *name == index.name) {
            Some((.., sum)) => *sum += half_units,
            None => self.indexes.push((Arc::clone(&index.name), index.scope, half_units)),
        }
    }

    /// And this much more.
    pub(super) fn add(&mut self, more: Consumed) {
        self.table += more.table;
        for (name, scope, half_units) in more.indexes {
            match self.indexes.iter_mut().find(|(known, ..)| *known == name) {
                Some((.., sum)) => *sum += half_units,
                None => self.indexes.push((name, scope, half_units)),
            }
        }
    }

    /// What it is in a transaction.
    pub(super) fn doubled(mut self) -> Consumed {
        self.table *= 2;
        self.indexes.iter_mut().for_each(|(.., half_units)| *half_units *= 2);
        self
    }
}

impl Report {
    pub(super) fn parse(params: Params<'_>) -> Result<Report, ApiError> {
        let words =
            [("INDEXES", Report::Indexes), ("TOTAL", Report::Total), ("NONE", Report::None)];
        Ok(word(params, "ReturnConsumedCapacity", &words)?.unwrap_or(Report::None))
    }

    /// `ConsumedCapacity`; `None` if nobody asked. `also` names the sum a second time.
    pub(super) fn consumed(
        self,
        table: &str,
        consumed: &Consumed,
        also: Option<&'static str>,
    ) -> Option<Json> {
        let units = |half_units: usize| Json::from_f64(half_units as f64 / 2.0).unwrap_or_default();
        let one = |half_units| Json::object([("CapacityUnits", units(half_units))]);
        let indexes = consumed.indexes.iter().map(|(.., half_units)| half_units).sum::<usize>();
        let sum = consumed.table + indexes;
        let mut members = vec![("TableName", Json::from(table)), ("CapacityUnits", units(sum))];
        members.extend(also.map(|name| (name, units(sum))));
        match self {
            Report::None => return None,
            Report::Total => {}
            Report::Indexes => {
                members.push(("Table", one(consumed.table)));
                let scopes = [
                    ("LocalSecondaryIndexes", Scope::Local),
                    ("GlobalSecondaryIndexes", Scope::Global),
                ];
                for (name, scope) in scopes {
                    let those = consumed.indexes.iter().filter(|(_, of, _)| *of == scope);
                    let those: Vec<_> = those
                        .map(|(name, _, half_units)| (Arc::clone(name), one(*half_units)))
                        .collect();
                    if !those.is_empty() {
                        members.push((name, Json::object(those)));
                    }
                }
            }
        }
        Some(Json::object(members))
    }
}

/// Half units of reading `bytes`: one per 4 KB, two when consistent.
pub(super) fn read_half_units(bytes: usize, consistent: bool) -> usize {
    bytes.div_ceil(4_096).max(1) * if consistent { 2 } else { 1 }
}

/// Half units of replacing `old` bytes by `new`: a unit per KB of the larger.
pub(super) fn write_half_units(old: Option<usize>, new: Option<usize>) -> usize {
    old.max(new).unwrap_or(0).div_ceil(1_024).max(1) * 2
}

/// `ItemCollectionMetrics` of the partition of `value`: an estimate between nothing and the `bytes`
/// of all partitions.
pub(super) fn collection(table: &Table, value: Option<&Value>, bytes: u64) -> Json {
    let key = value.map(|value| (Arc::clone(&table.partition.name), value.to_json()));
    let most = bytes.div_ceil(1_000_000_000).max(1) as f64;
    let range = [0.0, most].map(|gigabytes| Json::from_f64(gigabytes).unwrap_or_default());
    Json::object([
        ("ItemCollectionKey", Json::object(key)),
        ("SizeEstimateRangeGB", Json::array(range)),
    ])
}
