//! Query and Scan: a run of keys, read page by page.

use std::sync::Arc;

use stepwire_asl::Json;

use super::capacity::{Report, read_half_units};
use super::expression::{
    Condition, KeyCondition, Kind, Path, Placeholders, Projection, SortCondition,
};
use super::item::Item;
use super::key::{self, Reader};
use super::request::{TableName, integer, refuse, word};
use super::table::{KeyIn, KeyType, Table};
use super::value::{self, Attributes, Value, parse_attributes};
use super::view::{find, shown};
use super::{unreadable, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Range, Read, after_prefix};
use crate::settings::Settings;

/// Bytes of items that one page may read.
const PAGE_MAX: usize = 1_024 * 1_024;
/// Entries read at a time: at first, and at most.
const RUN_MIN: usize = 32;
const RUN_MAX: usize = 1_024;

/// A query or a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    table: TableName,
    what: What,
    filter: Option<Condition>,
    projection: Option<Projection>,
    /// Only count, do not show the items.
    count_only: bool,
    limit: Option<usize>,
    after: Option<Attributes>,
    consistent: bool,
    capacity: Report,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Query { condition: KeyCondition, backward: bool },
    Scan { segment: Option<Segment> },
}

/// One of the parts that a parallel scan divides a table into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    number: u64,
    of: u64,
}

const EVERY: [&str; 10] = [
    "TableName",
    "Select",
    "Limit",
    "ConsistentRead",
    "ExclusiveStartKey",
    "ReturnConsumedCapacity",
    "ProjectionExpression",
    "FilterExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
];

impl Search {
    pub(super) fn parse_query(params: Params<'_>) -> Result<Search, ApiError> {
        refuse(
            params,
            &[
                ("KeyConditions", "use `KeyConditionExpression`"),
                ("QueryFilter", "use `FilterExpression`"),
            ],
        )?;
        only(params, &["KeyConditionExpression", "ScanIndexForward"])?;
        let Some(text) = params.optional_text("KeyConditionExpression")? else {
            return Err(validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in \
                 the request.",
            ));
        };
        let backward = params.optional_bool("ScanIndexForward")? == Some(false);
        Search::parse(params, |placeholders| {
            Ok(What::Query { condition: KeyCondition::parse(text, placeholders)?, backward })
        })
    }

    pub(super) fn parse_scan(params: Params<'_>) -> Result<Search, ApiError> {
        refuse(params, &[("ScanFilter", "use `FilterExpression`")])?;
        only(params, &["Segment", "TotalSegments"])?;
        Search::parse(params, |_| Ok(What::Scan { segment: Segment::parse(params)? }))
    }

    fn parse(
        params: Params<'_>,
        what: impl FnOnce(&mut Placeholders) -> Result<What, ApiError>,
    ) -> Result<Search, ApiError> {
        let table = TableName::required(params)?;
        let mut placeholders = Placeholders::parse(
            params.get("ExpressionAttributeNames"),
            params.get("ExpressionAttributeValues"),
        )?;
        let filter = params.optional_text("FilterExpression")?;
        let filter = filter
            .map(|text| Condition::parse(Kind::Filter, text, &mut placeholders))
            .transpose()?;
        let projection = params.optional_text("ProjectionExpression")?;
        let projection =
            projection.map(|text| Projection::parse(text, &mut placeholders)).transpose()?;
        let what = what(&mut placeholders)?;
        let queries = matches!(what, What::Query { .. });
        let kinds: &[Kind] =
            if queries { &[Kind::Filter, Kind::KeyCondition] } else { &[Kind::Filter] };
        placeholders.finish(kinds, queries || filter.is_some() || projection.is_some())?;
        let after = params.get("ExclusiveStartKey");
        Ok(Search {
            table,
            what,
            count_only: count_only(params, projection.is_some())?,
            filter,
            projection,
            limit: integer(params, "Limit", 1, i64::from(i32::MAX))?.map(|limit| limit as usize),
            after: after.map(|key| parse_attributes(key, "ExclusiveStartKey")).transpose()?,
            consistent: params.optional_bool("ConsistentRead")?.unwrap_or(false),
            capacity: Report::parse(params)?,
        })
    }

    pub(super) fn answer(&self, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
        let table = find(&self.table, read, settings)?;
        let range = self.range(&table)?;
        let page = self.page(&table, range, read)?;
        let count = page.items.len() as i64;
        let mut members = Vec::new();
        if !self.count_only {
            let items = page.items.iter();
            let items = items.map(|item| shown(item.attributes(), self.projection.as_ref()));
            members.push(("Items", Json::array(items)));
        }
        members.push(("Count", Json::from(count)));
        members.push(("ScannedCount", Json::from(page.scanned as i64)));
        if let Some(last) = &page.last {
            members.push(("LastEvaluatedKey", value::to_json(last)));
        }
        let units = read_half_units(page.bytes, self.consistent);
        let consumed = self.capacity.consumed(&table.name, units);
        members.extend(consumed.map(|consumed| ("ConsumedCapacity", consumed)));
        Ok(Json::object(members))
    }

    /// The keys to read.
    fn range(&self, table: &Table) -> Result<Range, ApiError> {
        let invalid = |why: &str| validation(format!("The provided starting key is {why}"));
        let start = match &self.after {
            Some(after) => Some(
                table
                    .item_key(after, KeyIn::Key)
                    .map_err(|error| invalid(&format!("invalid: {}", error.message)))?,
            ),
            None => None,
        };
        match &self.what {
            What::Scan { .. } => {
                let mut range = Range::prefix(&table.items_prefix());
                range.from = start.map_or(range.from, next_key);
                Ok(range)
            }
            What::Query { condition, backward } => {
                let (partition, sort) = condition.resolve(table)?;
                self.filter_leaves_keys(table)?;
                let prefix = table.partition_prefix(partition)?;
                let (from, to) = bounds(prefix, sort);
                let mut range = Range { from, to, reverse: *backward, limit: usize::MAX };
                if let Some(start) = start {
                    if start < range.from || start >= range.to {
                        return Err(invalid(
                            "outside query boundaries based on provided conditions",
                        ));
                    }
                    if *backward {
                        range.to = start;
                    } else {
                        range.from = next_key(start);
                    }
                }
                Ok(range)
            }
        }
    }

    /// Refuses a query's filter that names a key attribute.
    fn filter_leaves_keys(&self, table: &Table) -> Result<(), ApiError> {
        let mut named = None;
        let mut visit = |path: &Path| {
            if table.is_key(&path.root) {
                named = Some(Arc::clone(&path.root));
            }
        };
        if let Some(filter) = &self.filter {
            filter.paths(&mut visit);
        }
        match named {
            Some(name) => Err(validation(format!(
                "Filter Expression can only contain non-primary key attributes: Primary key \
                 attribute: {name}"
            ))),
            None => Ok(()),
        }
    }

    /// Reads `range` until the page is full or the range ends.
    fn page(&self, table: &Table, range: Range, read: &dyn Read) -> Result<Page, ApiError> {
        let mut page = Page::default();
        let mut range = range;
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut run = RUN_MIN;
        loop {
            let asked = run.min(limit.saturating_sub(page.scanned)).max(1);
            let entries = read.range(&range.clone().limit(asked));
            let ended = entries.len() < asked;
            for (key, value) in entries {
                let item = Item::decode(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
                if page.read > 0 && page.read + item.size() > PAGE_MAX {
                    return Ok(page);
                }
                page.read += item.size();
                page.last = Some(table.key_of(item.attributes()));
                if self.is_mine(table, &key) {
                    page.scanned += 1;
                    page.bytes += item.size();
                    if self.filter.as_ref().is_none_or(|filter| filter.holds(item.attributes())) {
                        page.items.push(item);
                    }
                    if page.scanned == limit {
                        return Ok(page);
                    }
                }
                if range.reverse {
                    range.to = key;
                } else {
                    range.from = next_key(key);
                }
            }
            if ended {
                page.last = None;
                return Ok(page);
            }
            run = (run * 2).min(RUN_MAX).min(RUN_MIN + (PAGE_MAX - page.read.min(PAGE_MAX)) / 256);
        }
    }

    /// Whether the item at `key` belongs to the segment that is scanned.
    fn is_mine(&self, table: &Table, key: &[u8]) -> bool {
        match &self.what {
            What::Scan { segment: Some(segment) } => segment.holds(table, key),
            What::Scan { segment: None } | What::Query { .. } => true,
        }
    }
}

/// What one page came to.
#[derive(Debug, Default)]
struct Page {
    items: Vec<Item>,
    scanned: usize,
    /// Bytes of the items scanned.
    bytes: usize,
    /// Bytes of all items read, also those of other segments.
    read: usize,
    /// Key of the last item read; `None` at the end of the range.
    last: Option<Attributes>,
}

fn only(params: Params<'_>, more: &[&str]) -> Result<(), ApiError> {
    refuse(
        params,
        &[
            ("AttributesToGet", "use `ProjectionExpression`"),
            ("ConditionalOperator", "use `FilterExpression`"),
            ("IndexName", "indexes are not available yet"),
        ],
    )?;
    params.only(&[&EVERY, more].concat())
}

/// Whether `Select` asks for the count alone.
fn count_only(params: Params<'_>, projects: bool) -> Result<bool, ApiError> {
    let words = ["ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "COUNT"];
    match word(params, "Select", &words.map(|select| (select, select)))? {
        Some("ALL_PROJECTED_ATTRIBUTES") => Err(validation(
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        )),
        Some("SPECIFIC_ATTRIBUTES") if !projects => Err(validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get \
             SPECIFIC_ATTRIBUTES",
        )),
        Some("ALL_ATTRIBUTES") if projects => Err(validation(
            "Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES",
        )),
        Some("COUNT") if projects => Err(validation(
            "Cannot specify the ProjectionExpression when choosing to get only the Count",
        )),
        select => Ok(select == Some("COUNT")),
    }
}

/// The first key behind `key`: no stored key continues another.
fn next_key(mut key: Key) -> Key {
    key.push(0);
    key
}

/// The keys of a partition whose sort keys meet a condition.
fn bounds(prefix: Key, sort: Option<&SortCondition>) -> (Key, Key) {
    let at = |value: &Value| {
        let mut key = prefix.clone();
        key::write(value, &mut key);
        key
    };
    let (start, end) = (prefix.clone(), after_prefix(&prefix));
    match sort {
        None => (start, end),
        Some(SortCondition::Equal(value)) => (at(value), next_key(at(value))),
        Some(SortCondition::Less(value)) => (start, at(value)),
        Some(SortCondition::LessOrEqual(value)) => (start, next_key(at(value))),
        Some(SortCondition::Greater(value)) => (next_key(at(value)), end),
        Some(SortCondition::GreaterOrEqual(value)) => (at(value), end),
        Some(SortCondition::Between(low, high)) => (at(low), next_key(at(high))),
        Some(SortCondition::BeginsWith(value)) => {
            let mut from = prefix.clone();
            match value {
                Value::S(text) => key::write_prefix(text.as_bytes(), &mut from),
                Value::B(bytes) => key::write_prefix(bytes, &mut from),
                _ => {}
            }
            let to = after_prefix(&from);
            (from, to)
        }
    }
}

impl Segment {
    fn parse(params: Params<'_>) -> Result<Option<Segment>, ApiError> {
        let number = integer(params, "Segment", 0, 999_999)?;
        let of = integer(params, "TotalSegments", 1, 1_000_000)?;
        match (number, of) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(validation(
                "The Segment parameter is required but was not present in the request when \
                 parameter TotalSegments is present",
            )),
            (Some(_), None) => Err(validation(
                "The TotalSegments parameter is required but was not present in the request when \
                 Segment parameter is present",
            )),
            (Some(number), Some(of)) if number >= of => Err(validation(format!(
                "The Segment parameter is zero-based and must be less than parameter TotalSegments: \
                 Segment: {number} is not less than TotalSegments: {of}"
            ))),
            (Some(number), Some(of)) => Ok(Some(Segment { number: number as u64, of: of as u64 })),
        }
    }

    /// Whether a partition falls into this segment: by a hash, so that segments are alike.
    fn holds(self, table: &Table, key: &[u8]) -> bool {
        let start = table.items_prefix().len();
        let mut reader = Reader::new(key.get(start..).unwrap_or_default());
        let read = match table.partition.kind {
            KeyType::N => reader.key_number().map(|_| ()),
            KeyType::S | KeyType::B => reader.key_bytes().map(|_| ()),
        };
        let partition = &key[start..key.len() - reader.rest()];
        let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        let hash = partition.iter().fold(0xCBF2_9CE4_8422_2325, fnv);
        read.is_ok() && hash % self.of == self.number
    }
}
