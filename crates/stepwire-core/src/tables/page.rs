//! Query and Scan: a run of keys of a table or an index, read page by page.

use std::sync::Arc;

use stepwire_asl::Json;

use super::capacity::{Consumed, Report, read_half_units};
use super::expression::{
    Condition, KeyCondition, Kind, Path, Placeholders, Projection, SortCondition,
};
use super::index::{Index, Projected, Scope};
use super::item::Item;
use super::key::{self, Reader};
use super::legacy;
use super::request::{TableName, integer, word};
use super::schema::{self, invalid};
use super::table::{KeyAttribute, KeyIn, KeyType, Table, no_match, partition_prefix};
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
    index: Option<Arc<str>>,
    what: What,
    filter: Option<Condition>,
    /// What the filter was written as.
    filter_name: &'static str,
    projection: Option<Projection>,
    select: Select,
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

/// What is shown of each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Select {
    /// All of it, also what an index does not hold.
    All,
    /// What there is: all of it, or what the index holds.
    Projected,
    /// Nothing: they are only counted.
    Count,
}

/// One of the parts that a parallel scan divides a table into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    number: u64,
    of: u64,
}

const EVERY: [&str; 13] = [
    "TableName",
    "IndexName",
    "Select",
    "Limit",
    "ConsistentRead",
    "ExclusiveStartKey",
    "ReturnConsumedCapacity",
    "ProjectionExpression",
    "FilterExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "AttributesToGet",
    "ConditionalOperator",
];

impl Search {
    pub(super) fn parse_query(params: Params<'_>) -> Result<Search, ApiError> {
        let own = ["KeyConditionExpression", "KeyConditions", "QueryFilter", "ScanIndexForward"];
        params.only(&[&EVERY, &own[..]].concat())?;
        let text = params.optional_text("KeyConditionExpression")?;
        let mut older = vec!["AttributesToGet", "QueryFilter", "ConditionalOperator"];
        if text.is_some() || params.get("KeyConditions").is_none() {
            older.push("KeyConditions");
        }
        let expressions = ["ProjectionExpression", "FilterExpression", "KeyConditionExpression"];
        legacy::not_both(params, &expressions, &older)?;
        let backward = params.optional_bool("ScanIndexForward")? == Some(false);
        let kinds = [Kind::Filter, Kind::KeyCondition];
        Search::parse(params, &kinds, "QueryFilter", |placeholders| {
            let condition = match text {
                Some(text) => Some(KeyCondition::parse(text, placeholders)?),
                None => legacy::key_conditions(params)?,
            };
            let condition = condition.ok_or_else(|| {
                validation(
                    "Either the KeyConditions or KeyConditionExpression parameter must be \
                     specified in the request.",
                )
            })?;
            Ok(What::Query { condition, backward })
        })
    }

    pub(super) fn parse_scan(params: Params<'_>) -> Result<Search, ApiError> {
        params.only(&[&EVERY, &["ScanFilter", "Segment", "TotalSegments"][..]].concat())?;
        let older = ["AttributesToGet", "ScanFilter", "ConditionalOperator"];
        legacy::not_both(params, &["ProjectionExpression", "FilterExpression"], &older)?;
        Search::parse(params, &[Kind::Filter], "ScanFilter", |_| {
            Ok(What::Scan { segment: Segment::parse(params)? })
        })
    }

    fn parse(
        params: Params<'_>,
        kinds: &[Kind],
        older_filter: &'static str,
        what: impl FnOnce(&mut Placeholders) -> Result<What, ApiError>,
    ) -> Result<Search, ApiError> {
        let table = TableName::required(params)?;
        let index = params.get("IndexName").map(|_| schema::index_name(params)).transpose()?;
        let known: Vec<Kind> = [Kind::Projection].iter().chain(kinds).copied().collect();
        Placeholders::usable(params, &known)?;
        let after = params.get("ExclusiveStartKey");
        let after = after.map(|key| parse_attributes(key, "ExclusiveStartKey").map_err(starting));
        let after = after.transpose()?;
        let mut placeholders = Placeholders::parse(
            params.get("ExpressionAttributeNames"),
            params.get("ExpressionAttributeValues"),
        )?;
        let what = what(&mut placeholders)?;
        let written = params.optional_text("FilterExpression")?;
        let filter = written
            .map(|text| Condition::parse(Kind::Filter, text, &mut placeholders))
            .transpose()?;
        let projection = params.optional_text("ProjectionExpression")?;
        let projection =
            projection.map(|text| Projection::parse(text, &mut placeholders)).transpose()?;
        placeholders.finish()?;
        let projection = match projection {
            Some(projection) => Some(projection),
            None => legacy::attributes_to_get(params)?,
        };
        let filter = match filter {
            Some(filter) => Some(filter),
            None => legacy::filter(params, older_filter)?,
        };
        Ok(Search {
            table,
            select: select(params, index.is_some())?,
            index,
            what,
            filter,
            filter_name: if written.is_some() { "Filter Expression" } else { older_filter },
            projection,
            limit: integer(params, "Limit", 1, i64::from(i32::MAX))?.map(|limit| limit as usize),
            after,
            consistent: params.optional_bool("ConsistentRead")?.unwrap_or(false),
            capacity: Report::parse(params)?,
        })
    }

    pub(super) fn answer(&self, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
        let table = find(&self.table, read, settings)?;
        let source = self.source(&table)?;
        let range = self.range(source)?;
        let source = self.shown_by(source)?;
        let page = self.page(source, range, read)?;
        let count = page.items.len() as i64;
        let mut members = Vec::new();
        if self.select != Select::Count {
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
        let consumed = match source.index {
            None => Consumed::of(units),
            Some(index) => {
                let mut consumed = Consumed::of(page.fetched);
                consumed.index(index, units);
                consumed
            }
        };
        let consumed = self.capacity.consumed(&table.name, &consumed, None);
        members.extend(consumed.map(|consumed| ("ConsumedCapacity", consumed)));
        Ok(Json::object(members))
    }

    /// What is read, if it can be.
    fn source<'t>(&self, table: &'t Table) -> Result<Source<'t>, ApiError> {
        let Some(name) = &self.index else {
            return Ok(Source { table, index: None, fetches: false });
        };
        let index = table.index(name).ok_or_else(|| {
            validation(format!("The table does not have the specified index: {name}"))
        })?;
        if index.scope == Scope::Global && self.consistent {
            return Err(validation(
                "Consistent reads are not supported on global secondary indexes",
            ));
        }
        if !index.is_active() {
            return Err(validation(format!(
                "Cannot read from backfilling global secondary index: {name}"
            )));
        }
        Ok(Source { table, index: Some(index), fetches: false })
    }

    /// The source of what is to be shown and filtered by, if there is such a thing.
    fn shown_by<'t>(&self, source: Source<'t>) -> Result<Source<'t>, ApiError> {
        let Some(index) = source.index else {
            self.check_paths(source.table)?;
            return Ok(source);
        };
        let (table, name) = (source.table, &index.name);
        let wants_all = self.select == Select::All && index.projected != Projected::All;
        let mut beyond: Vec<Arc<str>> = Vec::new();
        let mut visit = |root: &Arc<str>| {
            if !index.projects(table, root) && !beyond.contains(root) {
                beyond.push(Arc::clone(root));
            }
        };
        self.projection.iter().for_each(|projection| projection.roots().for_each(&mut visit));
        if let Some(filter) = &self.filter {
            filter.paths(&mut |path| visit(&path.root));
        }
        if index.scope == Scope::Global && wants_all {
            return Err(invalid(format!(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index {name} \
                 because its projection type is not ALL"
            )));
        }
        self.check_paths(table)?;
        if index.scope == Scope::Global && !beyond.is_empty() {
            return Err(invalid(format!(
                "Global secondary index {name} does not project {}",
                schema::listed(beyond.iter())
            )));
        }
        Ok(Source { table, index: Some(index), fetches: wants_all || !beyond.is_empty() })
    }

    /// Refuses paths that lead into a key attribute.
    fn check_paths(&self, table: &Table) -> Result<(), ApiError> {
        self.projection.iter().try_for_each(|projection| table.check_projection(projection))?;
        let mut checked = Ok(());
        if let Some(filter) = &self.filter {
            filter.paths(&mut |path| {
                if checked.is_ok() && !path.rest.is_empty() {
                    checked = table.check_nested(&path.root);
                }
            });
        }
        checked
    }

    /// The keys to read.
    fn range(&self, source: Source<'_>) -> Result<Range, ApiError> {
        let start = self.after.as_ref().map(|after| source.start_key(after)).transpose()?;
        match &self.what {
            What::Scan { segment } => {
                let mut range = Range::prefix(&source.prefix());
                if let (Some(segment), Some(start)) = (segment, &start)
                    && !segment.holds(source, start)
                {
                    let Segment { number, of } = segment;
                    return Err(validation(format!(
                        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please \
                         use ExclusiveStartKey with correct Segment. TotalSegments: {of} Segment: \
                         {number}"
                    )));
                }
                range.from = start.map_or(range.from, next_key);
                Ok(range)
            }
            What::Query { condition, backward } => {
                let (partition, sort) = condition.resolve(source.partition(), source.sort())?;
                if let (Some(after), Some(sort), Some(key)) = (&self.after, sort, source.sort())
                    && !after.get(&key.name).is_some_and(|value| sort.holds(value))
                {
                    return Err(validation(
                        "The provided starting key does not match the range key predicate",
                    ));
                }
                self.filter_leaves_keys(source)?;
                let prefix = partition_prefix(source.prefix(), source.partition(), partition)?;
                let (from, to) = bounds(prefix, sort);
                let mut range = Range { from, to, reverse: *backward, limit: usize::MAX };
                if let Some(start) = start {
                    if start < range.from || start >= range.to {
                        return Err(validation(match sort {
                            None => OUTSIDE,
                            Some(_) => {
                                "The query can return at most one row and cannot be restarted"
                            }
                        }));
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

    /// Refuses a query's filter that names a key attribute of what is queried.
    fn filter_leaves_keys(&self, source: Source<'_>) -> Result<(), ApiError> {
        let mut named = None;
        let mut visit = |path: &Path| {
            let is = |key: &KeyAttribute| key.name == path.root;
            if is(source.partition()) || source.sort().is_some_and(is) {
                named = Some(Arc::clone(&path.root));
            }
        };
        if let Some(filter) = &self.filter {
            filter.paths(&mut visit);
        }
        match named {
            Some(name) => Err(validation(format!(
                "{} can only contain non-primary key attributes: Primary key attribute: {name}",
                self.filter_name
            ))),
            None => Ok(()),
        }
    }

    /// Reads `range` until the page is full or the range ends.
    fn page(&self, source: Source<'_>, range: Range, read: &dyn Read) -> Result<Page, ApiError> {
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
                page.last = Some(source.key_of(item.attributes()));
                if self.is_mine(source, &key) {
                    page.scanned += 1;
                    page.bytes += item.size();
                    let item = source.whole(item, read, &mut page)?;
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
    fn is_mine(&self, source: Source<'_>, key: &[u8]) -> bool {
        match &self.what {
            What::Scan { segment: Some(segment) } => segment.holds(source, key),
            What::Scan { segment: None } | What::Query { .. } => true,
        }
    }
}

/// What is wrong with the values of `ExclusiveStartKey`, as AWS says it.
fn starting(error: ApiError) -> ApiError {
    let bare =
        ["numeric value", "significant digits", "with magnitude", "number set", "duplicates"];
    if error.code != "ValidationException" || bare.iter().any(|part| error.message.contains(part)) {
        return error;
    }
    validation(format!("The provided starting key is invalid: {}", error.message))
}

const OUTSIDE: &str =
    "The provided starting key is outside query boundaries based on provided conditions";

/// What is read: a table, or one of its indexes.
#[derive(Debug, Clone, Copy)]
struct Source<'t> {
    table: &'t Table,
    index: Option<&'t Index>,
    /// Whether items are fetched from the table, because the index does not hold what is wanted.
    fetches: bool,
}

impl<'t> Source<'t> {
    fn prefix(self) -> Key {
        self.index.map_or_else(|| self.table.items_prefix(), Index::prefix)
    }

    fn partition(self) -> &'t KeyAttribute {
        self.index.map_or(&self.table.partition, |index| &index.partition)
    }

    fn sort(self) -> Option<&'t KeyAttribute> {
        self.index.map_or(self.table.sort.as_ref(), |index| index.sort.as_ref())
    }

    /// The attributes by which a search can go on behind an item.
    fn key_of(self, attributes: &Attributes) -> Attributes {
        let mut key = self.table.key_of(attributes);
        for one in self.index.into_iter().flat_map(Index::keys) {
            if let Some(value) = attributes.get(&one.name) {
                key.insert(Arc::clone(&one.name), value.clone());
            }
        }
        key
    }

    /// Where the item is stored that these attributes name.
    fn start_key(self, after: &Attributes) -> Result<Key, ApiError> {
        let invalid = |why: &str| validation(format!("The provided starting key is invalid{why}"));
        let Some(index) = self.index else {
            let key = self.table.item_key(after, KeyIn::Key);
            return key.map_err(|error| invalid(&format!(": {}", error.message)));
        };
        let is_table = |name: &&Arc<str>| self.table.is_key(name);
        let of_index = index.keys().filter(|key| !self.table.is_key(&key.name)).count();
        if after.len() != self.table.keys().count() + of_index {
            return Err(invalid(""));
        }
        for key in index.keys() {
            match after.get(&key.name) {
                None => return Err(invalid("")),
                Some(value) if value.kind() != key.kind.value_type() => return Err(no_match()),
                Some(_) => {}
            }
        }
        let own = after.iter().filter(|(name, _)| is_table(name));
        let own: Attributes = own.map(|(name, value)| (Arc::clone(name), value.clone())).collect();
        let key = self.table.item_key(&own, KeyIn::Key);
        let key = key.map_err(|error| invalid(&format!(": {}", error.message)))?;
        index.entry_key(&key, after).ok_or_else(no_match)
    }

    /// The whole item, if it is to be fetched.
    fn whole(self, entry: Item, read: &dyn Read, page: &mut Page) -> Result<Item, ApiError> {
        if !self.fetches {
            return Ok(entry);
        }
        let key = self.table.item_key(entry.attributes(), KeyIn::Item)?;
        let Some(value) = read.get(&key) else { return Ok(entry) };
        let item = Item::decode(&key, &value).map_err(|corrupt| unreadable(&corrupt))?;
        page.read += item.size();
        page.fetched += read_half_units(item.size(), false);
        Ok(item)
    }
}

impl Table {
    /// Refuses a projection that leads into a key attribute.
    pub(super) fn check_projection(&self, projection: &Projection) -> Result<(), ApiError> {
        projection.nested_roots().try_for_each(|root| self.check_nested(root))
    }

    /// Refuses a path of several elements that begins with `root`, if that is a key attribute.
    pub(super) fn check_nested(&self, root: &Arc<str>) -> Result<(), ApiError> {
        let what = if self.is_key(root) {
            "Key"
        } else if self.indexes.iter().flat_map(Index::keys).any(|key| key.name == *root) {
            "IndexKey"
        } else {
            return Ok(());
        };
        Err(validation(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not \
             allowed: {what}: {root}"
        )))
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
    /// Half units of the items fetched from the table.
    fetched: usize,
}

/// What `Select` asks for.
fn select(params: Params<'_>, of_index: bool) -> Result<Select, ApiError> {
    let words = ["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"];
    let select = word(params, "Select", &words.map(|select| (select, select)))?;
    let names = ["ProjectionExpression", "AttributesToGet"];
    let projects = names.into_iter().find(|name| params.get(name).is_some());
    match (select, projects) {
        (Some("ALL_PROJECTED_ATTRIBUTES"), _) if !of_index => Err(validation(
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        )),
        (Some("SPECIFIC_ATTRIBUTES"), None) => Err(validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get \
             SPECIFIC_ATTRIBUTES",
        )),
        (Some("COUNT"), Some(name)) => Err(validation(format!(
            "Cannot specify the {name} when choosing to get only the Count"
        ))),
        (Some(what @ ("ALL_ATTRIBUTES" | "ALL_PROJECTED_ATTRIBUTES")), Some(name)) => {
            Err(validation(format!("Cannot specify the {name} when choosing to get {what}")))
        }
        (Some("COUNT"), None) => Ok(Select::Count),
        (Some("ALL_ATTRIBUTES"), None) => Ok(Select::All),
        _ => Ok(Select::Projected),
    }
}

/// The first key behind `key`: no stored key continues another.
fn next_key(mut key: Key) -> Key {
    key.push(0);
    key
}

/// The keys of a partition whose sort keys meet a condition. Keys of index entries go on behind the
/// sort key.
fn bounds(prefix: Key, sort: Option<&SortCondition>) -> (Key, Key) {
    let at = |value: &Value| {
        let mut key = prefix.clone();
        key::write(value, &mut key);
        key
    };
    let (start, end) = (prefix.clone(), after_prefix(&prefix));
    match sort {
        None => (start, end),
        Some(SortCondition::Equal(value)) => (at(value), after_prefix(&at(value))),
        Some(SortCondition::Less(value)) => (start, at(value)),
        Some(SortCondition::LessOrEqual(value)) => (start, after_prefix(&at(value))),
        Some(SortCondition::Greater(value)) => (after_prefix(&at(value)), end),
        Some(SortCondition::GreaterOrEqual(value)) => (at(value), end),
        Some(SortCondition::Between(low, high)) => (at(low), after_prefix(&at(high))),
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
    fn holds(self, source: Source<'_>, key: &[u8]) -> bool {
        let start = source.prefix().len();
        let mut reader = Reader::new(key.get(start..).unwrap_or_default());
        let read = match source.partition().kind {
            KeyType::N => reader.key_number().map(|_| ()),
            KeyType::S | KeyType::B => reader.key_bytes().map(|_| ()),
        };
        let partition = &key[start..key.len() - reader.rest()];
        let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        let hash = partition.iter().fold(0xCBF2_9CE4_8422_2325, fnv);
        read.is_ok() && hash % self.of == self.number
    }
}
