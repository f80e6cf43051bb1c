//! PutItem, UpdateItem, DeleteItem, and all requests' way to the tables.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::capacity::{Report, write_half_units};
use super::expression::{Condition, Kind, Placeholders, Update};
use super::item::{Item, stored_size};
use super::request::{Request, TableName, refuse, required, word};
use super::table::{KeyIn, Table};
use super::update::updated;
use super::value::{self, Attributes, parse_attributes};
use super::{Tables, Write, answer, not_found, unreadable, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Read};
use crate::settings::Settings;

/// Bytes an item may have.
pub(super) const ITEM_MAX: usize = 400 * 1_024;

/// A change of one item, if a condition holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    table: TableName,
    what: What,
    condition: Option<Condition>,
    returned: Returned,
    /// Whether to show the item that did not meet the condition.
    show_failed: bool,
    capacity: Report,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Put(Attributes),
    Update(Attributes, Update),
    Delete(Attributes),
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

const EVERY: [&str; 8] = [
    "TableName",
    "ReturnValues",
    "ReturnConsumedCapacity",
    "ReturnItemCollectionMetrics",
    "ReturnValuesOnConditionCheckFailure",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
];

impl Change {
    pub(super) fn parse_put(params: Params<'_>) -> Result<Change, ApiError> {
        only(params, &["Item"])?;
        Change::parse(params, |_| {
            Ok(What::Put(parse_attributes(required(params, "Item", Some)?, "Item")?))
        })
    }

    pub(super) fn parse_delete(params: Params<'_>) -> Result<Change, ApiError> {
        only(params, &["Key"])?;
        Change::parse(params, |_| Ok(What::Delete(key(params)?)))
    }

    pub(super) fn parse_update(params: Params<'_>) -> Result<Change, ApiError> {
        refuse(params, &[("AttributeUpdates", "use `UpdateExpression`")])?;
        only(params, &["Key", "UpdateExpression"])?;
        Change::parse(params, |placeholders| {
            let text = params.optional_text("UpdateExpression")?;
            let update = text.map(|text| Update::parse(text, placeholders)).transpose()?;
            Ok(What::Update(key(params)?, update.unwrap_or_default()))
        })
    }

    fn parse(
        params: Params<'_>,
        what: impl FnOnce(&mut Placeholders) -> Result<What, ApiError>,
    ) -> Result<Change, ApiError> {
        let table = TableName::required(params)?;
        let mut placeholders = Placeholders::parse(
            params.get("ExpressionAttributeNames"),
            params.get("ExpressionAttributeValues"),
        )?;
        let what = what(&mut placeholders)?;
        let condition = params.optional_text("ConditionExpression")?;
        let condition = condition
            .map(|text| Condition::parse(Kind::Condition, text, &mut placeholders))
            .transpose()?;
        let updates = params.get("UpdateExpression").is_some();
        let kinds: &[Kind] = match what {
            What::Update(..) => &[Kind::Update, Kind::Condition],
            What::Put(_) | What::Delete(_) => &[Kind::Condition],
        };
        placeholders.finish(kinds, updates || condition.is_some())?;
        word(params, "ReturnItemCollectionMetrics", &[("SIZE", ()), ("NONE", ())])?;
        let failed = [("ALL_OLD", true), ("NONE", false)];
        Ok(Change {
            table,
            returned: returned(params, &what)?,
            what,
            condition,
            show_failed: word(params, "ReturnValuesOnConditionCheckFailure", &failed)?
                .unwrap_or(false),
            capacity: Report::parse(params)?,
        })
    }

    /// The item's stored key.
    fn key(&self, table: &Table) -> Result<Key, ApiError> {
        match &self.what {
            What::Put(item) => table.item_key(item, KeyIn::Item),
            What::Update(key, _) | What::Delete(key) => table.item_key(key, KeyIn::Key),
        }
    }

    /// The item after the change of `old`.
    fn outcome(&self, table: &Table, old: Option<&Item>) -> Result<Option<Item>, ApiError> {
        match &self.what {
            What::Delete(_) => Ok(None),
            What::Put(attributes) => {
                let item = Item::new(attributes.clone());
                if item.size() > ITEM_MAX {
                    return Err(validation("Item size has exceeded the maximum allowed size"));
                }
                Ok(Some(item))
            }
            What::Update(_, update) if old.is_none() && update.only_removes() => Ok(None),
            What::Update(key, update) => {
                let before = old.map_or(key, Item::attributes);
                let item = Item::new(updated(table, before, update)?);
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
    fn wants_old(&self) -> bool {
        let put = matches!(self.what, What::Put(_) | What::Delete(_));
        !put || self.condition.is_some() || self.returned != Returned::Nothing
    }
}

fn key(params: Params<'_>) -> Result<Attributes, ApiError> {
    parse_attributes(required(params, "Key", Some)?, "Key")
}

fn only(params: Params<'_>, more: &[&str]) -> Result<(), ApiError> {
    let instead = "use `ConditionExpression`";
    refuse(params, &[("Expected", instead), ("ConditionalOperator", instead)])?;
    params.only(&[&EVERY, more].concat())
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
        What::Put(_) | What::Delete(_) if !whole => {
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
            | Request::DeleteItem(change) => {
                let table = self.table(change.table.name());
                if let Some(key) = table.and_then(|table| change.key(table).ok()) {
                    read.get(&key);
                }
            }
            Request::BatchWriteItem(batch) => self.prefetch_batch(batch, read),
            Request::CreateTable(_) | Request::DeleteTable(_) => {}
            Request::DescribeTable(_)
            | Request::ListTables(_)
            | Request::GetItem(_)
            | Request::Query(_)
            | Request::Scan(_)
            | Request::BatchGetItem(_) => return,
        }
        self.prefetch_cleaning(read);
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
        if request.is_read() {
            return answer(request, read, settings);
        }
        let owed = self.retired.first().copied();
        let answer = match request {
            Request::CreateTable(create) => self.create(now, create, settings, out),
            Request::DeleteTable(name) => self.delete(name, settings, out),
            Request::PutItem(change)
            | Request::UpdateItem(change)
            | Request::DeleteItem(change) => self.change(change, read, settings, out),
            Request::BatchWriteItem(batch) => self.write_batch(batch, read, settings, out),
            Request::DescribeTable(_)
            | Request::ListTables(_)
            | Request::GetItem(_)
            | Request::Query(_)
            | Request::Scan(_)
            | Request::BatchGetItem(_) => answer(request, read, settings),
        }?;
        if let Some(number) = owed {
            self.clean_table(number, read, out);
        }
        Ok(answer)
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
        let stored = read.get(&key);
        let old = stored.as_ref().filter(|_| change.wants_old());
        let old = old.map(|value| Item::decode(&key, value)).transpose();
        let old = old.map_err(|corrupt| unreadable(&corrupt))?;
        if let Some(condition) = &change.condition
            && !condition.holds(old.as_ref().map_or(&Attributes::new(), Item::attributes))
        {
            return Err(change.not_met(old.as_ref()));
        }
        let new = change.outcome(&table, old.as_ref())?;
        let old_size = stored.map(|value| stored_size(&value).unwrap_or(0));
        let new_size = new.as_ref().map(Item::size);
        let mut members = Vec::new();
        let shown = change.attributes(old.as_ref(), new.as_ref());
        members.extend(shown.map(|attributes| ("Attributes", attributes)));
        let units = write_half_units(old_size, new_size);
        let consumed = change.capacity.consumed(&table.name, units);
        members.extend(consumed.map(|consumed| ("ConsumedCapacity", consumed)));
        if old_size.is_some() || new_size.is_some() {
            self.replace(&table, key, old_size, new, out);
        }
        Ok(Json::object(members))
    }
}

impl Change {
    /// The error that the item does not meet the condition.
    fn not_met(&self, item: Option<&Item>) -> ApiError {
        let error =
            ApiError::new("ConditionalCheckFailedException", "The conditional request failed");
        match item.filter(|_| self.show_failed) {
            Some(item) => error.with("Item", value::to_json(item.attributes())),
            None => error,
        }
    }
}
