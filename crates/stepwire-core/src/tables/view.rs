//! Requests that read: answered from stored records alone.

use std::sync::Arc;

use stepwire_asl::Json;

use super::capacity::{Report, read_half_units};
use super::create::named_not_found;
use super::expression::{Kind, Placeholders, Projection};
use super::item::Item;
use super::request::{Request, TableName, integer, refuse, required};
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
        Request::ListTables(list) => list.answer(read),
        Request::GetItem(get) => get.answer(read, settings),
        Request::Query(search) | Request::Scan(search) => search.answer(read, settings),
        Request::BatchGetItem(batch) => batch.answer(read, settings),
        Request::CreateTable(_)
        | Request::DeleteTable(_)
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

fn describe(name: &TableName, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let table = find(name, read, settings).map_err(|error| match error.code.as_ref() {
        "ResourceNotFoundException" => named_not_found(name),
        _ => error,
    })?;
    let key = table::counts_key(table.number);
    let counts = read.get(&key).map(|value| Counts::decode(&key, &value)).transpose();
    let counts = counts.map_err(|corrupt| unreadable(&corrupt))?.unwrap_or_default();
    Ok(Json::object([("Table", table.describe("ACTIVE", counts, settings))]))
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
        refuse(params, &[("AttributesToGet", "use `ProjectionExpression`")])?;
        params.only(&[
            "TableName",
            "Key",
            "ConsistentRead",
            "ReturnConsumedCapacity",
            "ProjectionExpression",
            "ExpressionAttributeNames",
        ])?;
        let table = TableName::required(params)?;
        let key = parse_attributes(required(params, "Key", Some)?, "Key")?;
        let mut placeholders = Placeholders::parse(params.get("ExpressionAttributeNames"), None)?;
        let text = params.optional_text("ProjectionExpression")?;
        let projection = text.map(|text| Projection::parse(text, &mut placeholders)).transpose()?;
        placeholders.finish(&[Kind::Projection], projection.is_some())?;
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
        let item = read.get(&key).map(|value| Item::decode(&key, &value)).transpose();
        let item = item.map_err(|corrupt| unreadable(&corrupt))?;
        let mut members = Vec::new();
        if let Some(item) = &item {
            members.push(("Item", shown(item.attributes(), self.projection.as_ref())));
        }
        let units = read_half_units(item.as_ref().map_or(0, Item::size), self.consistent);
        let consumed = self.capacity.consumed(self.table.name(), units);
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
