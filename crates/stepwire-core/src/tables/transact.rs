//! TransactWriteItems and TransactGetItems: all or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stepwire_asl::{Json, Timestamp};

use super::capacity::{Consumed, Report, read_half_units, write_half_units};
use super::change::{Change, NOT_MET};
use super::derive::Old;
use super::expression::{Kind, Placeholders, Projection};
use super::item::Item;
use super::request::{TableName, constraint_error, required, word};
use super::table::{KeyIn, Table};
use super::value::{Attributes, parse_attributes};
use super::view::{find, shown};
use super::{Tables, Write, unreadable, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Read};
use crate::record::{Entry, KeyBuilder, Space};
use crate::settings::Settings;

/// Operations of one transaction, and bytes of all its items.
const OPERATIONS_MAX: usize = 100;
const BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// How long a transaction with the same token is not carried out again.
pub(super) const TOKEN_KEPT_MS: i64 = 10 * 60 * 1_000;

/// Changes of several items, of which all are made or none.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactWrite {
    operations: Vec<Change>,
    token: Option<Arc<str>>,
    /// Tells what was asked for.
    print: [u8; 32],
    capacity: Report,
    shows_collections: bool,
}

/// The entries of `TransactItems`, each with its one operation of those that are `known`.
fn operations<'a>(
    params: Params<'a>,
    known: &[&'static str],
) -> Result<Vec<(&'static str, Params<'a>)>, ApiError> {
    let items = required(params, "TransactItems", Json::as_array)?;
    let length = |constraint: &str| {
        let shown = if items.is_empty() { "[]" } else { "[…]" };
        let constraint = format!("Member must have length {constraint}");
        constraint_error(Some(shown), "transactItems", &constraint)
    };
    if items.is_empty() {
        return Err(length("greater than or equal to 1"));
    }
    if items.len() > OPERATIONS_MAX {
        return Err(length(&format!("less than or equal to {OPERATIONS_MAX}")));
    }
    let operation = |item: &'a Json| {
        let item = Params::new(item, "ValidationException");
        item.only(known)?;
        let mut present = known.iter().filter_map(|name| Some((*name, item.get(name)?)));
        match (present.next(), present.next()) {
            (Some((name, inside)), None) => Ok((name, Params::new(inside, "ValidationException"))),
            _ => Err(validation(if known.len() == 1 {
                "TransactItems must contain a Get".to_owned()
            } else {
                "TransactItems can only contain one of Check, Put, Update or Delete".to_owned()
            })),
        }
    };
    items.iter().map(operation).collect()
}

impl TransactWrite {
    pub(super) fn parse(params: Params<'_>) -> Result<TransactWrite, ApiError> {
        params.only(&[
            "TransactItems",
            "ClientRequestToken",
            "ReturnConsumedCapacity",
            "ReturnItemCollectionMetrics",
        ])?;
        let token = params.optional_text("ClientRequestToken")?;
        if let Some(token) = token
            && (token.is_empty() || token.len() > 36)
        {
            let constraint = if token.is_empty() {
                "Member must have length greater than or equal to 1"
            } else {
                "Member must have length less than or equal to 36"
            };
            return Err(constraint_error(Some(token), "clientRequestToken", constraint));
        }
        let operations = operations(params, &["ConditionCheck", "Put", "Delete", "Update"])?;
        let operations = operations
            .into_iter()
            .map(|(name, inside)| Change::parse_in_transaction(name, inside))
            .collect::<Result<_, _>>()?;
        let mut hash = Sha256::new();
        fold(params.get("TransactItems").unwrap_or(&Json::Null), &mut hash);
        Ok(TransactWrite {
            operations,
            token: token.map(Arc::from),
            print: hash.finalize().into(),
            capacity: Report::parse(params)?,
            shows_collections: word(
                params,
                "ReturnItemCollectionMetrics",
                &[("SIZE", true), ("NONE", false)],
            )?
            .unwrap_or(false),
        })
    }
}

/// Hashes `json`, whatever the order of its members.
fn fold(json: &Json, hash: &mut Sha256) {
    if let Some(members) = json.as_object() {
        hash.update(b"{");
        for (name, value) in members.iter().collect::<BTreeMap<_, _>>() {
            hash.update(Json::String(Arc::clone(name)).to_text());
            fold(value, hash);
        }
        hash.update(b"}");
    } else if let Some(items) = json.as_array() {
        hash.update(b"[");
        items.iter().for_each(|item| fold(item, hash));
        hash.update(b"]");
    } else {
        hash.update(json.to_text());
        hash.update(b",");
    }
}

/// Why an operation of a transaction cannot be.
struct Reason {
    code: &'static str,
    message: Option<String>,
    item: Option<Json>,
}

impl Reason {
    const NONE: Reason = Reason { code: "None", message: None, item: None };

    fn of(error: ApiError) -> Reason {
        Reason { code: "ValidationError", message: Some(error.message), item: None }
    }

    fn to_json(&self) -> Json {
        let mut members = Vec::new();
        members.extend(self.item.clone().map(|item| ("Item", item)));
        members.push(("Code", Json::from(self.code)));
        members.extend(self.message.clone().map(|message| ("Message", Json::from(message))));
        Json::object(members)
    }
}

/// The error that a transaction is not carried out; `None` if there is no reason against it.
fn cancelled(reasons: &[Reason]) -> Option<ApiError> {
    if reasons.iter().all(|reason| reason.code == Reason::NONE.code) {
        return None;
    }
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    let reasons = Json::array(reasons.iter().map(Reason::to_json));
    let error = ApiError::new("TransactionCanceledException", message);
    Some(error.with("CancellationReasons", reasons))
}

fn one_each() -> ApiError {
    validation("Transaction request cannot include multiple operations on one item")
}

fn too_large() -> ApiError {
    validation("The aggregate size of the items in the transaction exceeds 4 MB")
}

/// One operation, found possible.
struct Ready {
    key: Key,
    old: Option<Old>,
    new: Option<Item>,
}

impl Tables {
    pub(super) fn prefetch_transaction(&self, transaction: &TransactWrite, read: &dyn Read) {
        if let Some(token) = &transaction.token {
            read.get(&token_key(token));
        }
        transaction.operations.iter().for_each(|change| self.prefetch_change(change, read));
    }

    pub(super) fn transact(
        &mut self,
        now: Timestamp,
        transaction: &TransactWrite,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let known = transaction.token.as_ref().and_then(|token| known(token, read));
        let fresh = known.filter(|(given, _)| now.0 < given.0 + TOKEN_KEPT_MS);
        if let Some((_, print)) = fresh {
            return if print == transaction.print {
                self.again(transaction, read, settings)
            } else {
                Err(ApiError::new(
                    "IdempotentParameterMismatchException",
                    "DynamoDB rejected the request because you retried a request with a different \
                     payload but with an idempotent token that was already used.",
                ))
            };
        }
        let tables = transaction.operations.iter().map(|change| self.find(&change.table, settings));
        let tables: Vec<Arc<Table>> = tables.collect::<Result<_, _>>()?;
        let (mut reasons, mut ready) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        for (change, table) in transaction.operations.iter().zip(&tables) {
            let reason = match change.key(table) {
                Err(error) => Reason::of(error),
                Ok(key) => {
                    if !seen.insert(key.clone()) {
                        return Err(one_each());
                    }
                    match prepare(change, table, key, read)? {
                        Err(reason) => reason,
                        Ok(one) => {
                            bytes += one.new.as_ref().map_or(0, Item::size);
                            ready.push(one);
                            Reason::NONE
                        }
                    }
                }
            };
            reasons.push(reason);
        }
        if bytes > BYTES_MAX {
            return Err(too_large());
        }
        if let Some(error) = cancelled(&reasons) {
            return Err(error);
        }
        Ok(self.commit(now, transaction, &tables, ready, known.map(|(given, _)| given), out))
    }

    /// Records a transaction whose operations are all possible.
    fn commit(
        &mut self,
        now: Timestamp,
        transaction: &TransactWrite,
        tables: &[Arc<Table>],
        ready: Vec<Ready>,
        known: Option<Timestamp>,
        out: &mut Vec<Write>,
    ) -> Json {
        let mut sums = BTreeMap::new();
        let mut collections: BTreeMap<Arc<str>, Vec<Json>> = BTreeMap::new();
        for ((change, table), one) in transaction.operations.iter().zip(tables).zip(ready) {
            let consumed = if change.only_checks() {
                let size = one.new.as_ref().map(Item::size);
                Consumed::of(write_half_units(size, None))
            } else {
                self.replace(table, one.key, one.old.as_ref(), one.new, out)
            };
            let sum: &mut Consumed = sums.entry(Arc::clone(&table.name)).or_default();
            sum.add(consumed.doubled());
            if transaction.shows_collections && table.has_collections() && !change.only_checks() {
                let shown = self.collection(table, change.names());
                let all = collections.entry(Arc::clone(&table.name)).or_default();
                if !all.contains(&shown) {
                    all.push(shown);
                }
            }
        }
        if let Some(token) = &transaction.token {
            if let Some(given) = known {
                self.record(Write::Aged(given, Arc::clone(token), false), out);
            }
            self.record(Write::Token(Arc::clone(token), Some((now, transaction.print))), out);
            self.record(Write::Aged(now, Arc::clone(token), true), out);
        }
        let mut members = told(transaction.capacity, &sums, "WriteCapacityUnits");
        if !collections.is_empty() {
            let collections = collections.into_iter();
            let collections = collections.map(|(table, all)| (table, Json::array(all)));
            members.push(("ItemCollectionMetrics", Json::object(collections)));
        }
        Json::object(members)
    }

    /// The answer to a transaction that has been carried out already: it has only read.
    fn again(
        &self,
        transaction: &TransactWrite,
        read: &dyn Read,
        settings: &Settings,
    ) -> Result<Json, ApiError> {
        let mut sums = BTreeMap::new();
        for change in &transaction.operations {
            let table = self.find(&change.table, settings)?;
            let Ok(key) = change.key(&table) else { continue };
            let size = Old::read(&table, &key, read.get(&key).as_ref(), false)?;
            let units = read_half_units(size.map_or(0, |old| old.size), true);
            let sum: &mut Consumed = sums.entry(Arc::clone(&table.name)).or_default();
            sum.add(Consumed::of(units).doubled());
        }
        Ok(Json::object(told(transaction.capacity, &sums, "ReadCapacityUnits")))
    }
}

/// Whether one operation is possible; `Err` of the outer kind: the item cannot be read.
fn prepare(
    change: &Change,
    table: &Table,
    key: Key,
    read: &dyn Read,
) -> Result<Result<Ready, Reason>, ApiError> {
    let wanted = change.wants_old() || change.only_checks();
    let old = Old::read(table, &key, read.get(&key).as_ref(), wanted)?;
    let item = old.as_ref().and_then(|old| old.item.as_deref());
    if !change.is_met(item) {
        return Ok(Err(Reason {
            code: "ConditionalCheckFailed",
            message: Some(NOT_MET.to_owned()),
            item: change.shown_failed(item),
        }));
    }
    match change.outcome(table, item) {
        Ok(new) => Ok(Ok(Ready { key, old, new })),
        Err(error) => Ok(Err(Reason::of(error))),
    }
}

/// `ConsumedCapacity` of several tables, if anybody asked.
fn told(
    report: Report,
    sums: &BTreeMap<Arc<str>, Consumed>,
    also: &'static str,
) -> Vec<(&'static str, Json)> {
    let consumed = sums.iter();
    let consumed: Vec<Json> =
        consumed.filter_map(|(table, sum)| report.consumed(table, sum, Some(also))).collect();
    if consumed.is_empty() { Vec::new() } else { vec![("ConsumedCapacity", Json::array(consumed))] }
}

/// Items of several tables as they are at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactGet {
    gets: Vec<Get>,
    capacity: Report,
}

#[derive(Debug, Clone, PartialEq)]
struct Get {
    table: TableName,
    key: Attributes,
    projection: Option<Projection>,
}

impl TransactGet {
    pub(super) fn parse(params: Params<'_>) -> Result<TransactGet, ApiError> {
        params.only(&["TransactItems", "ReturnConsumedCapacity"])?;
        let gets = operations(params, &["Get"])?;
        let gets = gets.into_iter().map(|(_, get)| Get::parse(get)).collect::<Result<_, _>>()?;
        Ok(TransactGet { gets, capacity: Report::parse(params)? })
    }

    pub(super) fn answer(&self, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
        let tables = self.gets.iter().map(|get| find(&get.table, read, settings));
        // All tables first, so that all of them are asked for at once.
        let tables: Vec<Result<Table, ApiError>> = tables.collect();
        let tables: Vec<Table> = tables.into_iter().collect::<Result<_, _>>()?;
        let (mut responses, mut reasons) = (Vec::new(), Vec::new());
        let (mut sums, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let mut bytes = 0;
        for (get, table) in self.gets.iter().zip(&tables) {
            let key = match table.item_key(&get.key, KeyIn::Key) {
                Ok(key) => key,
                Err(error) => {
                    reasons.push(Reason::of(error));
                    continue;
                }
            };
            reasons.push(Reason::NONE);
            if !seen.insert(key.clone()) {
                return Err(one_each());
            }
            let item = read.get(&key).map(|value| Item::decode(&key, &value)).transpose();
            let item = item.map_err(|corrupt| unreadable(&corrupt))?;
            let size = item.as_ref().map_or(0, Item::size);
            bytes += size;
            let sum: &mut Consumed = sums.entry(Arc::clone(&table.name)).or_default();
            sum.add(Consumed::of(read_half_units(size, true)).doubled());
            let item = item.map(|item| shown(item.attributes(), get.projection.as_ref()));
            responses.push(Json::object(item.map(|item| ("Item", item))));
        }
        if bytes > BYTES_MAX {
            return Err(too_large());
        }
        if let Some(error) = cancelled(&reasons) {
            return Err(error);
        }
        let mut members = vec![("Responses", Json::array(responses))];
        members.extend(told(self.capacity, &sums, "ReadCapacityUnits"));
        Ok(Json::object(members))
    }
}

impl Get {
    fn parse(params: Params<'_>) -> Result<Get, ApiError> {
        params.only(&["TableName", "Key", "ProjectionExpression", "ExpressionAttributeNames"])?;
        let table = TableName::required(params)?;
        Placeholders::usable(params, &[Kind::Projection])?;
        let key = parse_attributes(required(params, "Key", Some)?, "Key")?;
        let mut placeholders = Placeholders::parse(params.get("ExpressionAttributeNames"), None)?;
        let text = params.optional_text("ProjectionExpression")?;
        let projection = text.map(|text| Projection::parse(text, &mut placeholders)).transpose()?;
        placeholders.finish()?;
        Ok(Get { table, key, projection })
    }
}

// ---- tokens --------------------------------------------------------------------------------------

const FORMAT: u8 = 1;
/// The second byte of keys in `Space::Transaction`. Never renumber.
const BY_TOKEN: u8 = 1;
const BY_AGE: u8 = 2;

fn token_key(token: &str) -> Key {
    KeyBuilder::new(Space::Transaction).bytes(&[BY_TOKEN]).text(token).build()
}

/// The stored form of [`Write::Token`].
pub(super) fn token_entry(token: &str, known: Option<(Timestamp, [u8; 32])>) -> Entry {
    let value =
        known.map(|(given, print)| [&[FORMAT], &given.0.to_be_bytes()[..], &print].concat());
    (token_key(token), value)
}

/// When a token was given, and for what.
fn known(token: &str, read: &dyn Read) -> Option<(Timestamp, [u8; 32])> {
    let value = read.get(&token_key(token))?;
    let (format, rest) = value.split_first()?;
    let (given, print) = rest.split_at_checked(8).filter(|_| *format == FORMAT)?;
    Some((Timestamp(i64::from_be_bytes(given.try_into().ok()?)), print.try_into().ok()?))
}

/// What the keys of all tokens by age begin with.
pub(super) fn aged_prefix() -> Key {
    KeyBuilder::new(Space::Transaction).bytes(&[BY_AGE]).build()
}

/// The stored form of [`Write::Aged`]: the value is the token.
pub(super) fn aged_entry(given: Timestamp, token: &str, kept: bool) -> Entry {
    let mut key = aged_prefix();
    key.extend_from_slice(&given.0.to_be_bytes());
    key.extend_from_slice(token.as_bytes());
    (key, kept.then(|| token.as_bytes().to_vec()))
}

/// When the token was given that a key by age is about.
pub(super) fn age_of(key: &[u8]) -> Option<Timestamp> {
    let given = key.get(2..10)?.try_into().ok()?;
    Some(Timestamp(i64::from_be_bytes(given)))
}
