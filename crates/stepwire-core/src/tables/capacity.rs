//! Consumed capacity, counted as AWS does; nothing is throttled.

use stepwire_asl::Json;

use super::request::word;
use crate::error::ApiError;
use crate::params::Params;

/// `ReturnConsumedCapacity`: how much to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    None,
    Total,
    Indexes,
}

impl Report {
    pub(super) fn parse(params: Params<'_>) -> Result<Report, ApiError> {
        let words =
            [("INDEXES", Report::Indexes), ("TOTAL", Report::Total), ("NONE", Report::None)];
        Ok(word(params, "ReturnConsumedCapacity", &words)?.unwrap_or(Report::None))
    }

    /// The `ConsumedCapacity` of `half_units` halves of a unit; `None` if nobody asked.
    pub(super) fn consumed(self, table: &str, half_units: usize) -> Option<Json> {
        let units = || Json::from_f64(half_units as f64 / 2.0).unwrap_or_default();
        let mut members = vec![("TableName", Json::from(table)), ("CapacityUnits", units())];
        match self {
            Report::None => return None,
            Report::Total => {}
            Report::Indexes => members.push(("Table", Json::object([("CapacityUnits", units())]))),
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
