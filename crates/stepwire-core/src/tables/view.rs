//! Requests that read: answered from stored records alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;

use super::alter;
use super::capacity::{Consumed, Report, read_half_units};
use super::create::named_not_found;
use super::expression::{Kind, Placeholders, Projection};
use super::item::Item;
use super::legacy;
use super::request::{Request, TableName, integer, required};
use super::table::{self, Counts, KeyIn, Table};
use super::value::{self, Attributes, parse_attributes};
use super::{not_found, unreadable, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Range, Read};
use crate::settings::Settings;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::DescribeTable(name) => describe(name, read, settings),
        Request::DescribeTimeToLive(name) => alter::describe_expiry(name, read, settings),
        Request::DescribeContinuousBackups(name) => alter::describe_backups(name, read, settings),
        Request::DescribeEndpoints => Ok(endpoints(settings)),
        Request::DescribeLimits => Ok(limits()),
        Request::ListTagsOfResource(name) => list_tags(name, read, settings),
        Request::ListTables(list) => list.answer(read),
        Request::GetItem(get) => get.answer(read, settings),
        Request::Query(search) | Request::Scan(search) => search.answer(read, settings),
        Request::BatchGetItem(batch) => batch.answer(read, settings),
        Request::TransactGetItems(transaction) => transaction.answer(read, settings),
        Request::CreateTable(_)
        | Request::UpdateTable(_)
        | Request::DeleteTable(_)
        | Request::UpdateTimeToLive(_)
        | Request::TagResource(_)
        | Request::UntagResource(_)
        | Request::TransactWriteItems(_)
        | Request::PutItem(_)
        | Request::UpdateItem(_)
        | Request::DeleteItem(_)
        | Request::BatchWriteItem(_) => Err(validation("this request does not only read")),
    }
}

/// The stored definition of a table.
pub(super) fn find(
    name: &TableName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Table, ApiError> {
    if name.is_elsewhere(settings) {
        return Err(not_found());
    }
    let key = table::table_key(name.name());
    let value = read.get(&key).ok_or_else(not_found)?;
    Table::decode(&key, &value).map_err(|corrupt| unreadable(&corrupt))
}

/// The error, with the table's name in it if it is that there is none.
pub(super) fn naming(name: &TableName, error: ApiError) -> ApiError {
    match error.code.as_ref() {
        "ResourceNotFoundException" => named_not_found(name),
        _ => error,
    }
}

fn describe(name: &TableName, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let table = find(name, read, settings).map_err(|error| naming(name, error))?;
    let mut counted = BTreeMap::new();
    for number in table.numbers() {
        let key = table::counts_key(number);
        let counts = read.get(&key).map(|value| Counts::decode(&key, &value)).transpose();
        counted.insert(number, counts.map_err(|corrupt| unreadable(&corrupt))?.unwrap_or_default());
    }
    let counts = |number| counted.get(&number).copied().unwrap_or_default();
    Ok(Json::object([("Table", table.describe("ACTIVE", &counts, settings))]))
}

/// DescribeEndpoints: this node.
fn endpoints(settings: &Settings) -> Json {
    let host = settings.url.split_once("://").map_or(&*settings.url, |(_, host)| host);
    let endpoint =
        Json::object([("Address", Json::from(host)), ("CachePeriodInMinutes", Json::from(1_440))]);
    Json::object([("Endpoints", Json::array([endpoint]))])
}

/// DescribeLimits: AWS's own, which are not enforced.
fn limits() -> Json {
    Json::object([
        ("AccountMaxReadCapacityUnits", Json::from(80_000)),
        ("AccountMaxWriteCapacityUnits", Json::from(80_000)),
        ("TableMaxReadCapacityUnits", Json::from(40_000)),
        ("TableMaxWriteCapacityUnits", Json::from(40_000)),
    ])
}

fn list_tags(name: &TableName, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let table = find(name, read, settings).map_err(|error| match error.code.as_ref() {
        "ResourceNotFoundException" => alter::no_resource(name, settings),
        _ => error,
    })?;
    let tags = table.tags.iter().map(|(key, value)| {
        Json::object([
            ("Key", Json::String(Arc::clone(key))),
            ("Value", Json::String(Arc::clone(value))),
        ])
    });
    Ok(Json::object([("Tags", Json::array(tags))]))
}

/// A page of table names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListTables {
    after: Option<Arc<str>>,
    limit: usize,
}

impl ListTables {
    pub(super) fn parse(params: Params<'_>) -> Result<ListTables, ApiError> {
        params.only(&["ExclusiveStartTableName", "Limit"])?;
        let after = params.optional_text("ExclusiveStartTableName")?;
        let after = after.map(TableName::parse).transpose()?;
        let limit = integer(params, "Limit", 1, 100)?.unwrap_or(100);
        Ok(ListTables {
            after: after.map(|table| Arc::clone(table.shared())),
            limit: limit as usize,
        })
    }

    fn answer(&self, read: &dyn Read) -> Result<Json, ApiError> {
        let mut range = Range::prefix(&table::tables_prefix()).limit(self.limit + 1);
        if let Some(after) = &self.after {
            range.from = table::table_key(after);
            range.from.push(0);
        }
        let entries = read.range(&range);
        let more = entries.len() > self.limit;
        let mut names = Vec::new();
        for (key, value) in entries.iter().take(self.limit) {
            let table = Table::decode(key, value).map_err(|corrupt| unreadable(&corrupt))?;
            names.push(Json::String(table.name));
        }
        let last = names.last().cloned().filter(|_| more);
        let mut members = vec![("TableNames", Json::array(names))];
        members.extend(last.map(|last| ("LastEvaluatedTableName", last)));
        Ok(Json::object(members))
    }
}

/// GetItem.
#[derive(Debug, Clone, PartialEq)]
pub struct GetItem {
    table: TableName,
    key: Attributes,
    consistent: bool,
    projection: Option<Projection>,
    capacity: Report,
}

impl GetItem {
    pub(super) fn parse(params: Params<'_>) -> Result<GetItem, ApiError> {
        params.only(&[
            "AttributesToGet",
            "TableName",
            "Key",
            "ConsistentRead",
            "ReturnConsumedCapacity",
            "ProjectionExpression",
            "ExpressionAttributeNames",
        ])?;
        let table = TableName::required(params)?;
        legacy::not_both(params, &["ProjectionExpression"], &["AttributesToGet"])?;
        Placeholders::usable(params, &[Kind::Projection])?;
        let key = parse_attributes(required(params, "Key", Some)?, "Key")?;
        let mut placeholders = Placeholders::parse(params.get("ExpressionAttributeNames"), None)?;
        let text = params.optional_text("ProjectionExpression")?;
        let projection = text.map(|text| Projection::parse(text, &mut placeholders)).transpose()?;
        placeholders.finish()?;
        let projection = match projection {
            Some(projection) => Some(projection),
            None => legacy::attributes_to_get(params)?,
        };
        Ok(GetItem {
            table,
            key,
            consistent: params.optional_bool("ConsistentRead")?.unwrap_or(false),
            projection,
            capacity: Report::parse(params)?,
        })
    }

    fn answer(&self, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
        let table = find(&self.table, read, settings)?;
        let key = table.item_key(&self.key, KeyIn::Key)?;
        self.projection.iter().try_for_each(|projection| table.check_projection(projection))?;
        let item = read.get(&key).map(|value| Item::decode(&key, &value)).transpose();
        let item = item.map_err(|corrupt| unreadable(&corrupt))?;
        let mut members = Vec::new();
        if let Some(item) = &item {
            members.push(("Item", shown(item.attributes(), self.projection.as_ref())));
        }
        let units = read_half_units(item.as_ref().map_or(0, Item::size), self.consistent);
        let consumed = self.capacity.consumed(self.table.name(), &Consumed::of(units), None);
        members.extend(consumed.map(|consumed| ("ConsumedCapacity", consumed)));
        Ok(Json::object(members))
    }
}

/// The part of an item that was asked for.
pub(super) fn shown(attributes: &Attributes, projection: Option<&Projection>) -> Json {
    match projection {
        Some(projection) => value::to_json(&projection.select(attributes)),
        None => value::to_json(attributes),
    }
}
