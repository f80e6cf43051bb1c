//! BatchGetItem and BatchWriteItem.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::capacity::{Consumed, Report, read_half_units};
use super::change::{ITEM_MAX, TOO_LARGE};
use super::derive::Old;
use super::expression::{Kind, Placeholders, Projection};
use super::index::By;
use super::item::Item;
use super::legacy;
use super::request::{TableName, constraint_error, required, word};
use super::table::{KeyIn, Table};
use super::value::{Attributes, parse_attributes};
use super::view::{find, shown};
use super::{Tables, Write, serialization, unreadable, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Read};
use crate::settings::Settings;

/// Items of one BatchGetItem, and bytes of its answer.
const GETS_MAX: usize = 100;
const ANSWER_MAX: usize = 16 * 1_024 * 1_024;
/// Items of one BatchWriteItem.
const WRITES_MAX: usize = 25;

/// Items of several tables to read.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchGet {
    tables: Vec<Gets>,
    capacity: Report,
}

#[derive(Debug, Clone, PartialEq)]
struct Gets {
    table: TableName,
    /// As the caller wrote it: by this name the answer tells.
    written: Arc<str>,
    keys: Vec<Attributes>,
    /// The request, for keys that had to be left out.
    request: Json,
    consistent: bool,
    projection: Option<Projection>,
}

/// Items of several tables to put or delete.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchWrite {
    tables: Vec<(TableName, Vec<One>)>,
    capacity: Report,
    shows_collections: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum One {
    Put(Attributes),
    Delete(Attributes),
}

/// The entries of `RequestItems`.
fn request_items(params: Params<'_>, max: usize) -> Result<&Object, ApiError> {
    let items = required(params, "RequestItems", Json::as_object)?;
    if items.is_empty() {
        let constraint = "Member must have length greater than or equal to 1";
        return Err(constraint_error(Some("{}"), "requestItems", constraint));
    }
    if items.len() > max {
        let constraint = format!("Member must have length less than or equal to {max}");
        return Err(constraint_error(Some("{…}"), "requestItems", &constraint));
    }
    Ok(items)
}

impl BatchGet {
    pub(super) fn parse(params: Params<'_>) -> Result<BatchGet, ApiError> {
        params.only(&["RequestItems", "ReturnConsumedCapacity"])?;
        let tables: Vec<Gets> = request_items(params, GETS_MAX)?
            .iter()
            .map(|(table, request)| Gets::parse(table, request))
            .collect::<Result<_, _>>()?;
        if tables.iter().map(|table| table.keys.len()).sum::<usize>() > GETS_MAX {
            return Err(validation("Too many items requested for the BatchGetItem call"));
        }
        Ok(BatchGet { tables, capacity: Report::parse(params)? })
    }

    pub(super) fn answer(&self, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
        let mut bytes = 0;
        let (mut responses, mut unprocessed, mut consumed) = (Vec::new(), Vec::new(), Vec::new());
        for gets in &self.tables {
            let table = find(&gets.table, read, settings)?;
            let mut items = Vec::new();
            let mut left = Vec::new();
            let mut units = 0;
            for (key, stored) in gets.stored(&table)? {
                let value = if bytes < ANSWER_MAX { read.get(&stored) } else { None };
                if bytes >= ANSWER_MAX {
                    left.push(super::value::to_json(key));
                    continue;
                }
                let item = value.map(|value| Item::decode(&stored, &value)).transpose();
                let item = item.map_err(|corrupt| unreadable(&corrupt))?;
                let size = item.as_ref().map_or(0, Item::size);
                bytes += size;
                units += read_half_units(size, gets.consistent);
                items.extend(item.map(|item| shown(item.attributes(), gets.projection.as_ref())));
            }
            consumed.extend(self.capacity.consumed(&table.name, &Consumed::of(units), None));
            responses.push((Arc::clone(&gets.written), Json::array(items)));
            if !left.is_empty() {
                unprocessed.push((Arc::clone(&gets.written), gets.again(left)));
            }
        }
        let mut members = vec![
            ("Responses", Json::object(responses)),
            ("UnprocessedKeys", Json::object(unprocessed)),
        ];
        if !consumed.is_empty() {
            members.push(("ConsumedCapacity", Json::array(consumed)));
        }
        Ok(Json::object(members))
    }
}

impl Gets {
    fn parse(written: &Arc<str>, request: &Json) -> Result<Gets, ApiError> {
        let params = Params::new(request, "ValidationException");
        params.only(&[
            "Keys",
            "AttributesToGet",
            "ConsistentRead",
            "ProjectionExpression",
            "ExpressionAttributeNames",
        ])?;
        legacy::not_both(params, &["ProjectionExpression"], &["AttributesToGet"])?;
        let keys = required(params, "Keys", Json::as_array)?;
        if keys.is_empty() {
            let name = format!("requestItems.{written}.member.keys");
            let constraint = "Member must have length greater than or equal to 1";
            return Err(constraint_error(Some("[]"), &name, constraint));
        }
        if keys.len() > GETS_MAX {
            let name = format!("requestItems.{written}.member.keys");
            let constraint = format!("Member must have length less than or equal to {GETS_MAX}");
            return Err(constraint_error(Some("[…]"), &name, &constraint));
        }
        Placeholders::usable(params, &[Kind::Projection])?;
        let mut placeholders = Placeholders::parse(params.get("ExpressionAttributeNames"), None)?;
        let text = params.optional_text("ProjectionExpression")?;
        let projection = text.map(|text| Projection::parse(text, &mut placeholders)).transpose()?;
        placeholders.finish()?;
        let projection = match projection {
            Some(projection) => Some(projection),
            None => legacy::attributes_to_get(params)?,
        };
        Ok(Gets {
            table: TableName::parse(written)?,
            written: Arc::clone(written),
            keys: keys.iter().map(|key| parse_attributes(key, "Keys")).collect::<Result<_, _>>()?,
            request: request.clone(),
            consistent: params.optional_bool("ConsistentRead")?.unwrap_or(false),
            projection,
        })
    }

    /// The keys with where their items are stored; refuses one that comes twice.
    fn stored(&self, table: &Table) -> Result<Vec<(&Attributes, Key)>, ApiError> {
        let mut seen = BTreeSet::new();
        let mut stored = Vec::new();
        for key in &self.keys {
            let at = table.item_key(key, KeyIn::Key)?;
            if !seen.insert(at.clone()) {
                return Err(validation("Provided list of item keys contains duplicates"));
            }
            stored.push((key, at));
        }
        Ok(stored)
    }

    /// The same request for the keys that are left.
    fn again(&self, keys: Vec<Json>) -> Json {
        let members = self.request.as_object().into_iter().flatten();
        let others = members.filter(|(name, _)| &***name != "Keys");
        let others = others.map(|(name, value)| (Arc::clone(name), value.clone()));
        Json::object(others.chain([(Arc::from("Keys"), Json::array(keys))]))
    }
}

impl BatchWrite {
    pub(super) fn parse(params: Params<'_>) -> Result<BatchWrite, ApiError> {
        let known = ["RequestItems", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"];
        params.only(&known)?;
        let metrics = [("SIZE", true), ("NONE", false)];
        let shows_collections =
            word(params, "ReturnItemCollectionMetrics", &metrics)?.unwrap_or(false);
        let mut tables = Vec::new();
        for (table, requests) in request_items(params, WRITES_MAX)? {
            let requests = requests
                .as_array()
                .ok_or_else(|| serialization("RequestItems", "a map of lists"))?;
            if requests.is_empty() {
                let name = format!("requestItems.{table}.member");
                let constraint = "Member must have length greater than or equal to 1";
                return Err(constraint_error(Some("[]"), &name, constraint));
            }
            if requests.len() > WRITES_MAX {
                let constraint = format!(
                    "Map value must satisfy constraint: [Member must have length less than or \
                     equal to {WRITES_MAX}, Member must have length greater than or equal to 1]"
                );
                return Err(constraint_error(Some("{…}"), "requestItems", &constraint));
            }
            let requests = requests.iter().map(One::parse).collect::<Result<Vec<_>, _>>()?;
            tables.push((TableName::parse(table)?, requests));
        }
        if tables.iter().map(|(_, requests)| requests.len()).sum::<usize>() > WRITES_MAX {
            return Err(validation("Too many items requested for the BatchWriteItem call"));
        }
        Ok(BatchWrite { tables, capacity: Report::parse(params)?, shows_collections })
    }
}

impl One {
    fn parse(request: &Json) -> Result<One, ApiError> {
        let params = Params::new(request, "ValidationException");
        params.only(&["PutRequest", "DeleteRequest"])?;
        let inside = |request, name| {
            let params = Params::new(request, "ValidationException");
            params.only(&[name])?;
            parse_attributes(required(params, name, Some)?, name)
        };
        match (params.get("PutRequest"), params.get("DeleteRequest")) {
            (Some(put), None) => {
                let item = inside(put, "Item")?;
                if super::value::size(&item) > ITEM_MAX {
                    return Err(validation(TOO_LARGE));
                }
                Ok(One::Put(item))
            }
            (None, Some(delete)) => Ok(One::Delete(inside(delete, "Key")?)),
            (Some(_), Some(_)) => Err(validation(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one \
                 of the supported datatypes",
            )),
            (None, None) => Err(validation(
                "Supplied AttributeValue is empty, must contain exactly one of the supported \
                 datatypes",
            )),
        }
    }

    fn key(&self, table: &Table) -> Result<Key, ApiError> {
        match self {
            One::Put(item) => table.item_key(item, KeyIn::Batch),
            One::Delete(key) => table.item_key(key, KeyIn::Key),
        }
    }

    /// The attributes that name the item.
    fn names(&self) -> &Attributes {
        match self {
            One::Put(attributes) | One::Delete(attributes) => attributes,
        }
    }

    fn item(&self, table: &Table) -> Result<Option<Item>, ApiError> {
        match self {
            One::Delete(_) => Ok(None),
            One::Put(attributes) => {
                table.check_index_keys(attributes, By::Put)?;
                Ok(Some(Item::new(attributes.clone())))
            }
        }
    }
}

impl Tables {
    pub(super) fn prefetch_batch(&self, batch: &BatchWrite, read: &dyn Read) {
        for (name, requests) in &batch.tables {
            let Some(table) = self.table(name.name()) else { continue };
            for key in requests.iter().filter_map(|one| one.key(table).ok()) {
                read.get(&key);
            }
        }
    }

    pub(super) fn write_batch(
        &mut self,
        batch: &BatchWrite,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let changes = self.batch_changes(batch, read, settings)?;
        let mut consumed = Vec::new();
        for (table, changes) in changes {
            let mut sum = Consumed::default();
            for (key, old, item) in changes {
                sum.add(self.replace(&table, key, old.as_ref(), item, out));
            }
            consumed.extend(batch.capacity.consumed(&table.name, &sum, None));
        }
        let none = Json::Object(Arc::default());
        let mut members = vec![("UnprocessedItems", none)];
        if !consumed.is_empty() {
            members.push(("ConsumedCapacity", Json::array(consumed)));
        }
        let collections = self.batch_collections(batch);
        if !collections.is_empty() {
            members.push(("ItemCollectionMetrics", Json::object(collections)));
        }
        Ok(Json::object(members))
    }

    /// The item collections that a batch touched, if they are asked for.
    fn batch_collections(&self, batch: &BatchWrite) -> Vec<(Arc<str>, Json)> {
        let mut collections = Vec::new();
        for (name, requests) in batch.tables.iter().filter(|_| batch.shows_collections) {
            let Some(table) = self.table(name.name()).filter(|table| table.has_collections())
            else {
                continue;
            };
            let mut shown: Vec<Json> = Vec::new();
            for one in requests {
                let collection = self.collection(table, one.names());
                if !shown.contains(&collection) {
                    shown.push(collection);
                }
            }
            collections.push((Arc::clone(&table.name), Json::array(shown)));
        }
        collections
    }

    /// All changes of a batch, or why one of them cannot be.
    fn batch_changes(
        &self,
        batch: &BatchWrite,
        read: &dyn Read,
        settings: &Settings,
    ) -> Result<Changes, ApiError> {
        let mut seen = BTreeSet::new();
        let mut changes = Vec::new();
        for (name, requests) in &batch.tables {
            let table = self.find(name, settings)?;
            let mut items = Vec::new();
            for one in requests {
                let key = one.key(&table)?;
                if !seen.insert(key.clone()) {
                    return Err(validation("Provided list of item keys contains duplicates"));
                }
                let old = Old::read(&table, &key, read.get(&key).as_ref(), false)?;
                items.push((key, old, one.item(&table)?));
            }
            changes.push((table, items));
        }
        Ok(changes)
    }
}

/// What a batch does to each table.
type Changes = Vec<(Arc<Table>, Vec<(Key, Option<Old>, Option<Item>)>)>;
