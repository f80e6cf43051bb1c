//! PutItem, UpdateItem, DeleteItem, and all requests' way to the tables.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::capacity::{Report, collection};
use super::derive::Old;
use super::expression::{Condition, Kind, Placeholders, Update};
use super::index::By;
use super::item::Item;
use super::legacy;
use super::request::{Request, TableName, required, word};
use super::table::{KeyIn, Table};
use super::update::updated;
use super::value::{self, Attributes, parse_attributes};
use super::{Tables, Write, answer, not_found, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Read};
use crate::settings::Settings;

/// Bytes an item may have.
pub(super) const ITEM_MAX: usize = 400 * 1_024;
pub(super) const TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";

/// A change of one item, if a condition holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub(super) table: TableName,
    what: What,
    condition: Option<Condition>,
    returned: Returned,
    /// Whether to show the item that did not meet the condition.
    show_failed: bool,
    capacity: Report,
    /// Whether to tell of the item collection.
    shows_collection: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Put(Attributes),
    Update(Attributes, Update),
    Delete(Attributes),
    /// Nothing: in a transaction, only the condition counts.
    Check(Attributes),
}

/// `ReturnValues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Returned {
    Nothing,
    AllOld,
    UpdatedOld,
    AllNew,
    UpdatedNew,
}

const EVERY: [&str; 10] = [
    "TableName",
    "ReturnValues",
    "ReturnConsumedCapacity",
    "ReturnItemCollectionMetrics",
    "ReturnValuesOnConditionCheckFailure",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "Expected",
    "ConditionalOperator",
];
/// What an operation of a transaction has, beside its item or key.
const IN_TRANSACTION: [&str; 5] = [
    "TableName",
    "ReturnValuesOnConditionCheckFailure",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
];

impl Change {
    pub(super) fn parse_put(params: Params<'_>) -> Result<Change, ApiError> {
        params.only(&[&EVERY, &["Item"][..]].concat())?;
        Change::put(params)
    }

    fn put(params: Params<'_>) -> Result<Change, ApiError> {
        Change::parse(params, &[Kind::Condition], |params| {
            let item = parse_attributes(required(params, "Item", Some)?, "Item")?;
            if value::size(&item) > ITEM_MAX {
                return Err(validation(TOO_LARGE));
            }
            Ok(What::Put(item))
        })
    }

    pub(super) fn parse_delete(params: Params<'_>) -> Result<Change, ApiError> {
        params.only(&[&EVERY, &["Key"][..]].concat())?;
        Change::delete(params)
    }

    fn delete(params: Params<'_>) -> Result<Change, ApiError> {
        Change::parse(params, &[Kind::Condition], |_| Ok(What::Delete(key(params)?)))
    }

    pub(super) fn parse_update(params: Params<'_>) -> Result<Change, ApiError> {
        params.only(&[&EVERY, &["Key", "UpdateExpression", "AttributeUpdates"][..]].concat())?;
        Change::update(params)
    }

    fn update(params: Params<'_>) -> Result<Change, ApiError> {
        Change::parse(params, &[Kind::Update, Kind::Condition], |params| {
            Ok(What::Update(key(params)?, Update::default()))
        })
    }

    fn update_of(params: Params<'_>, placeholders: &mut Placeholders) -> Result<Update, ApiError> {
        match params.optional_text("UpdateExpression")? {
            Some(text) => Update::parse(text, placeholders),
            None => Ok(legacy::attribute_updates(params)?.unwrap_or_default()),
        }
    }

    /// An operation of a transaction, by its name there.
    pub(super) fn parse_in_transaction(
        operation: &str,
        params: Params<'_>,
    ) -> Result<Change, ApiError> {
        let only = |more: &[&str]| params.only(&[&IN_TRANSACTION, more].concat());
        match operation {
            "Put" => {
                only(&["Item"])?;
                Change::put(params)
            }
            "Delete" => {
                only(&["Key"])?;
                Change::delete(params)
            }
            "Update" => {
                only(&["Key", "UpdateExpression"])?;
                required(params, "UpdateExpression", Some)?;
                Change::update(params)
            }
            _ => {
                only(&["Key"])?;
                required(params, "ConditionExpression", Some)?;
                Change::parse(params, &[Kind::Condition], |_| Ok(What::Check(key(params)?)))
            }
        }
    }

    fn parse(
        params: Params<'_>,
        kinds: &[Kind],
        what: impl FnOnce(Params<'_>) -> Result<What, ApiError>,
    ) -> Result<Change, ApiError> {
        let table = TableName::required(params)?;
        let expressions: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let older = ["AttributeUpdates", "Expected", "ConditionalOperator"];
        legacy::not_both(params, &expressions, &older)?;
        Placeholders::usable(params, kinds)?;
        let what = what(params)?;
        let mut placeholders = Placeholders::parse(
            params.get("ExpressionAttributeNames"),
            params.get("ExpressionAttributeValues"),
        )?;
        let what = match what {
            What::Update(key, _) => {
                What::Update(key, Change::update_of(params, &mut placeholders)?)
            }
            what => what,
        };
        let condition = params.optional_text("ConditionExpression")?;
        let condition = condition
            .map(|text| Condition::parse(Kind::Condition, text, &mut placeholders))
            .transpose()?;
        let condition = match condition {
            Some(condition) => Some(condition),
            None => legacy::expected(params)?,
        };
        placeholders.finish()?;
        let metrics = [("SIZE", true), ("NONE", false)];
        let failed = [("ALL_OLD", true), ("NONE", false)];
        Ok(Change {
            table,
            returned: returned(params, &what)?,
            what,
            condition,
            show_failed: word(params, "ReturnValuesOnConditionCheckFailure", &failed)?
                .unwrap_or(false),
            capacity: Report::parse(params)?,
            shows_collection: word(params, "ReturnItemCollectionMetrics", &metrics)?
                .unwrap_or(false),
        })
    }

    /// The item's stored key.
    pub(super) fn key(&self, table: &Table) -> Result<Key, ApiError> {
        match &self.what {
            What::Put(item) => table.item_key(item, KeyIn::Item),
            What::Update(key, _) | What::Delete(key) | What::Check(key) => {
                table.item_key(key, KeyIn::Key)
            }
        }
    }

    /// The attributes that name the item.
    pub(super) fn names(&self) -> &Attributes {
        match &self.what {
            What::Put(key) | What::Update(key, _) | What::Delete(key) | What::Check(key) => key,
        }
    }

    /// Whether it changes nothing and only has a condition.
    pub(super) fn only_checks(&self) -> bool {
        matches!(self.what, What::Check(_))
    }

    /// The item after the change of `old`.
    pub(super) fn outcome(
        &self,
        table: &Table,
        old: Option<&Item>,
    ) -> Result<Option<Item>, ApiError> {
        match &self.what {
            What::Delete(_) => Ok(None),
            What::Check(_) => Ok(old.cloned()),
            What::Put(attributes) => {
                table.check_index_keys(attributes, By::Put)?;
                Ok(Some(Item::new(attributes.clone())))
            }
            What::Update(key, update) => {
                let before = old.map_or(key, Item::attributes);
                let after = updated(table, before, update)?;
                if old.is_none() && update.only_removes() {
                    return Ok(None);
                }
                let item = Item::new(after);
                if item.size() > ITEM_MAX {
                    return Err(validation(
                        "Item size to update has exceeded the maximum allowed size",
                    ));
                }
                Ok(Some(item))
            }
        }
    }

    /// What `ReturnValues` asked for.
    fn attributes(&self, old: Option<&Item>, new: Option<&Item>) -> Option<Json> {
        let touched = |item: Option<&Item>| {
            let What::Update(_, update) = &self.what else { return None };
            Some(update.touched.select(item?.attributes())).filter(|part| !part.is_empty())
        };
        match self.returned {
            Returned::Nothing => None,
            Returned::AllOld => Some(value::to_json(old?.attributes())),
            Returned::AllNew => Some(value::to_json(new?.attributes())),
            Returned::UpdatedOld => Some(value::to_json(&touched(old)?)),
            Returned::UpdatedNew => Some(value::to_json(&touched(new)?)),
        }
    }

    /// Whether the old item itself is needed, not only its size.
    pub(super) fn wants_old(&self) -> bool {
        let put = matches!(self.what, What::Put(_) | What::Delete(_));
        !put || self.condition.is_some() || self.returned != Returned::Nothing
    }
}

fn key(params: Params<'_>) -> Result<Attributes, ApiError> {
    parse_attributes(required(params, "Key", Some)?, "Key")
}

fn returned(params: Params<'_>, what: &What) -> Result<Returned, ApiError> {
    let words = [
        ("NONE", Returned::Nothing),
        ("ALL_OLD", Returned::AllOld),
        ("UPDATED_OLD", Returned::UpdatedOld),
        ("ALL_NEW", Returned::AllNew),
        ("UPDATED_NEW", Returned::UpdatedNew),
    ];
    let returned = word(params, "ReturnValues", &words)?.unwrap_or(Returned::Nothing);
    let whole = matches!(returned, Returned::Nothing | Returned::AllOld);
    match what {
        What::Put(_) | What::Delete(_) | What::Check(_) if !whole => {
            Err(validation("ReturnValues can only be ALL_OLD or NONE"))
        }
        _ => Ok(returned),
    }
}

impl Tables {
    /// The table that a request names.
    pub(super) fn find(
        &self,
        name: &TableName,
        settings: &Settings,
    ) -> Result<Arc<Table>, ApiError> {
        let table = self.table(name.name()).filter(|_| !name.is_elsewhere(settings));
        table.cloned().ok_or_else(not_found)
    }

    /// Reads everything [`Tables::call`] will read.
    pub fn prefetch(&self, request: &Request, read: &dyn Read) {
        match request {
            Request::PutItem(change)
            | Request::UpdateItem(change)
            | Request::DeleteItem(change) => self.prefetch_change(change, read),
            Request::BatchWriteItem(batch) => self.prefetch_batch(batch, read),
            Request::TransactWriteItems(transaction) => {
                self.prefetch_transaction(transaction, read);
            }
            Request::CreateTable(_)
            | Request::UpdateTable(_)
            | Request::DeleteTable(_)
            | Request::UpdateTimeToLive(_)
            | Request::TagResource(_)
            | Request::UntagResource(_) => {}
            Request::DescribeTable(_)
            | Request::DescribeTimeToLive(_)
            | Request::DescribeContinuousBackups(_)
            | Request::DescribeEndpoints
            | Request::DescribeLimits
            | Request::ListTables(_)
            | Request::ListTagsOfResource(_)
            | Request::GetItem(_)
            | Request::Query(_)
            | Request::Scan(_)
            | Request::TransactGetItems(_)
            | Request::BatchGetItem(_) => {}
        }
    }

    pub(super) fn prefetch_change(&self, change: &Change, read: &dyn Read) {
        let table = self.table(change.table.name());
        if let Some(key) = table.and_then(|table| change.key(table).ok()) {
            read.get(&key);
        }
    }

    /// Carries out a request. On `Err` nothing has changed.
    pub fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateTable(create) => self.create(now, create, settings, out),
            Request::UpdateTable(update) => self.alter(now, update, settings, out),
            Request::DeleteTable(name) => self.delete(name, settings, out),
            Request::UpdateTimeToLive(update) => self.update_expiry(update, settings, out),
            Request::TagResource(tagging) | Request::UntagResource(tagging) => {
                self.tag(tagging, settings, out)
            }
            Request::PutItem(change)
            | Request::UpdateItem(change)
            | Request::DeleteItem(change) => self.change(change, read, settings, out),
            Request::BatchWriteItem(batch) => self.write_batch(batch, read, settings, out),
            Request::TransactWriteItems(transaction) => {
                self.transact(now, transaction, read, settings, out)
            }
            Request::DescribeTable(_)
            | Request::DescribeTimeToLive(_)
            | Request::DescribeContinuousBackups(_)
            | Request::DescribeEndpoints
            | Request::DescribeLimits
            | Request::ListTables(_)
            | Request::ListTagsOfResource(_)
            | Request::GetItem(_)
            | Request::Query(_)
            | Request::Scan(_)
            | Request::TransactGetItems(_)
            | Request::BatchGetItem(_) => answer(request, read, settings),
        }
    }

    fn change(
        &mut self,
        change: &Change,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let table = self.find(&change.table, settings)?;
        let key = change.key(&table)?;
        let old = Old::read(&table, &key, read.get(&key).as_ref(), change.wants_old())?;
        let item = old.as_ref().and_then(|old| old.item.as_deref());
        if !change.is_met(item) {
            return Err(change.not_met(item));
        }
        let new = change.outcome(&table, item)?;
        let mut members = Vec::new();
        let shown = change.attributes(item, new.as_ref());
        members.extend(shown.map(|attributes| ("Attributes", attributes)));
        let consumed = self.replace(&table, key, old.as_ref(), new, out);
        let consumed = change.capacity.consumed(&table.name, &consumed, None);
        members.extend(consumed.map(|consumed| ("ConsumedCapacity", consumed)));
        if change.shows_collection && table.has_collections() {
            let collection = self.collection(&table, change.names());
            members.push(("ItemCollectionMetrics", collection));
        }
        Ok(Json::object(members))
    }

    /// `ItemCollectionMetrics` of the partition of an item.
    pub(super) fn collection(&self, table: &Table, names: &Attributes) -> Json {
        let bytes = table.numbers().map(|number| self.counted(number).bytes).sum();
        collection(table, names.get(&table.partition.name), bytes)
    }
}

impl Change {
    /// Whether the item meets the condition, if there is one.
    pub(super) fn is_met(&self, item: Option<&Item>) -> bool {
        let nothing = Attributes::new();
        let attributes = item.map_or(&nothing, Item::attributes);
        self.condition.as_ref().is_none_or(|condition| condition.holds(attributes))
    }

    /// The item to show with the error that it does not meet the condition.
    pub(super) fn shown_failed(&self, item: Option<&Item>) -> Option<Json> {
        item.filter(|_| self.show_failed).map(|item| value::to_json(item.attributes()))
    }

    /// The error that the item does not meet the condition.
    fn not_met(&self, item: Option<&Item>) -> ApiError {
        let error = ApiError::new("ConditionalCheckFailedException", NOT_MET);
        match self.shown_failed(item) {
            Some(item) => error.with("Item", item),
            None => error,
        }
    }
}

/// AWS's sentence for a condition that does not hold.
pub(super) const NOT_MET: &str = "The conditional request failed";
