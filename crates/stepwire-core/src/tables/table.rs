//! Table definitions: keys, settings, and how they are described.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepwire_asl::{Json, Timestamp};

use super::index::{self, Index, Scope};
use super::key;
use super::validation;
use super::value::{Attributes, Type, Value};
use crate::error::ApiError;
use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

const FORMAT: u8 = 1;

/// Bytes of a partition key value and of a sort key value.
pub(super) const PARTITION_MAX: usize = 2_048;
pub(super) const SORT_MAX: usize = 1_024;

/// The definition of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: Arc<str>,
    /// What its items' keys begin with. Not used by another table while any of its items is left.
    pub number: u64,
    /// When it was created.
    pub created: Timestamp,
    /// The `HASH` key attribute.
    pub partition: KeyAttribute,
    /// The `RANGE` key attribute.
    pub sort: Option<KeyAttribute>,
    /// Provisioned capacity, shown but not enforced; `None` for `PAY_PER_REQUEST`.
    pub provisioned: Option<Provisioned>,
    /// Whether DeleteTable is refused.
    pub deletion_protection: bool,
    /// `TableClass`, shown but without effect.
    pub class: Option<Arc<str>>,
    /// `SSESpecification`, shown but without effect.
    pub encryption: Option<Encryption>,
    /// Tags, by key.
    pub tags: Tags,
    /// Secondary indexes, in the order of their making.
    pub indexes: Vec<Index>,
    /// By which attribute items expire.
    pub expiry: Option<TimeToLive>,
    /// `OnDemandThroughput`, shown but without effect.
    pub on_demand: Option<OnDemand>,
    /// When its billing mode was last set to `PAY_PER_REQUEST`.
    pub on_demand_since: Option<Timestamp>,
}

/// Keys and values of tags.
pub type Tags = Vec<(Arc<str>, Arc<str>)>;

/// An attribute of the primary key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttribute {
    /// Its name.
    pub name: Arc<str>,
    /// The type its values must have.
    pub kind: KeyType,
}

/// A type that key attributes can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `Type`")]
pub enum KeyType {
    S,
    N,
    B,
}

impl KeyType {
    /// The type of values.
    pub fn value_type(self) -> Type {
        match self {
            KeyType::S => Type::S,
            KeyType::N => Type::N,
            KeyType::B => Type::B,
        }
    }
}

/// Provisioned capacity units per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub struct Provisioned {
    pub read: i64,
    pub write: i64,
}

impl Provisioned {
    /// As DescribeTable shows it.
    pub(super) fn describe(self) -> Json {
        Json::object([
            ("NumberOfDecreasesToday", Json::from(0)),
            ("ReadCapacityUnits", Json::from(self.read)),
            ("WriteCapacityUnits", Json::from(self.write)),
        ])
    }
}

/// Most request units per second, when the caller named them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub struct OnDemand {
    pub read: Option<i64>,
    pub write: Option<i64>,
}

impl OnDemand {
    fn describe(self) -> Json {
        let unit = |name, units: Option<i64>| Some((name, Json::from(units?)));
        let units =
            [unit("MaxReadRequestUnits", self.read), unit("MaxWriteRequestUnits", self.write)];
        Json::object(units.into_iter().flatten())
    }
}

/// The attribute by which items of a table expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeToLive {
    /// Its name.
    pub attribute: Arc<str>,
    /// What the keys of its records begin with; one sequence with the numbers of tables.
    pub number: u64,
    /// Items stored at or behind this key may have no record yet; `None` once all have.
    pub unread: Option<Key>,
}

/// Server-side encryption as the caller asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `AES256` or `KMS`.
    pub kind: Arc<str>,
    /// The key, when the caller named one.
    pub key: Option<Arc<str>>,
}

/// How many items a table holds, and their bytes as the item size limit counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "said above")]
pub struct Counts {
    pub items: u64,
    pub bytes: u64,
}

/// Whose attributes hold a key: decides what is said about a wrong one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyIn {
    /// A whole item.
    Item,
    /// A whole item of a batch, of which AWS says less.
    Batch,
    /// A key, which must have no other attributes.
    Key,
}

impl Table {
    /// The key attributes: partition key, sort key.
    pub fn keys(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    /// Whether an attribute is part of the key.
    pub fn is_key(&self, name: &str) -> bool {
        self.keys().any(|key| &*key.name == name)
    }

    /// The key under which an item of these attributes is stored.
    pub(crate) fn item_key(&self, attributes: &Attributes, whose: KeyIn) -> Result<Key, ApiError> {
        if whose == KeyIn::Key && attributes.len() != self.keys().count() {
            return Err(no_match());
        }
        let mut bytes = self.items_prefix();
        key::write(key_value(&self.partition, attributes, whose, PARTITION_MAX)?, &mut bytes);
        if let Some(sort) = &self.sort {
            key::write(key_value(sort, attributes, whose, SORT_MAX)?, &mut bytes);
        }
        Ok(bytes)
    }

    /// What the keys of all its items begin with.
    pub(crate) fn items_prefix(&self) -> Key {
        items_prefix(self.number)
    }

    /// What the keys of all items of a partition begin with; `value` must be of the right type.
    pub(crate) fn partition_prefix(&self, value: &Value) -> Result<Key, ApiError> {
        partition_prefix(self.items_prefix(), &self.partition, value)
    }

    /// Whether nothing is derived from its items: no index, no expiry.
    pub(crate) fn is_plain(&self) -> bool {
        self.indexes.is_empty() && self.expiry.is_none()
    }

    /// The index of this name.
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| &*index.name == name)
    }

    /// Its number and those of its indexes and of its expiry.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        let derived = self.indexes.iter().map(|index| index.number);
        let expiry = self.expiry.iter().map(|expiry| expiry.number);
        std::iter::once(self.number).chain(derived).chain(expiry)
    }

    /// Whether an index or the expiry does not know all items yet.
    pub(crate) fn is_unfinished(&self) -> bool {
        let expiry = self.expiry.as_ref().is_some_and(|expiry| expiry.unread.is_some());
        expiry || self.indexes.iter().any(|index| !index.is_active())
    }

    /// Whether there is a local index: then its partitions are item collections.
    pub(crate) fn has_collections(&self) -> bool {
        self.indexes.iter().any(|index| index.scope == Scope::Local)
    }

    /// The key attributes of an item.
    pub(crate) fn key_of(&self, attributes: &Attributes) -> Attributes {
        let keys = self.keys().filter_map(|key| attributes.get_key_value(&key.name));
        keys.map(|(name, value)| (Arc::clone(name), value.clone())).collect()
    }

    /// The table's ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        settings.arn("dynamodb", &format!("table/{}", self.name))
    }

    /// As DescribeTable shows it; `counts` tells how much a table or an index of a number holds.
    pub(crate) fn describe(
        &self,
        status: &str,
        counts: &dyn Fn(u64) -> Counts,
        settings: &Settings,
    ) -> Json {
        let own = counts(self.number);
        let units = self.provisioned.unwrap_or(Provisioned { read: 0, write: 0 });
        let mut members = vec![
            ("AttributeDefinitions", index::definitions(self)),
            ("TableName", Json::String(Arc::clone(&self.name))),
            ("KeySchema", schema_json(self.keys())),
            ("TableStatus", Json::from(status)),
            ("CreationDateTime", seconds_json(self.created)),
            ("ProvisionedThroughput", units.describe()),
            ("TableSizeBytes", Json::from(own.bytes as i64)),
            ("ItemCount", Json::from(own.items as i64)),
            ("TableArn", Json::from(self.arn(settings))),
            ("TableId", Json::from(self.id(settings))),
            ("DeletionProtectionEnabled", Json::from(self.deletion_protection)),
        ];
        let scopes =
            [("LocalSecondaryIndexes", Scope::Local), ("GlobalSecondaryIndexes", Scope::Global)];
        for (name, scope) in scopes {
            let indexes = self.indexes.iter().filter(|index| index.scope == scope);
            let shown: Vec<Json> = indexes
                .map(|index| {
                    let active = index.is_active() && status != "CREATING";
                    let status = if active { "ACTIVE" } else { "CREATING" };
                    index.describe(self, status, counts(index.number), settings)
                })
                .collect();
            if !shown.is_empty() {
                members.push((name, Json::array(shown)));
            }
        }
        if let Some(since) = self.on_demand_since {
            let mode = if self.provisioned.is_none() { "PAY_PER_REQUEST" } else { "PROVISIONED" };
            let mode = [
                ("BillingMode", Json::from(mode)),
                ("LastUpdateToPayPerRequestDateTime", seconds_json(since)),
            ];
            members.push(("BillingModeSummary", Json::object(mode)));
        }
        if let Some(on_demand) = self.on_demand {
            members.push(("OnDemandThroughput", on_demand.describe()));
        }
        if let Some(class) = &self.class {
            let class = Json::object([("TableClass", Json::String(Arc::clone(class)))]);
            members.push(("TableClassSummary", class));
        }
        if let Some(encryption) = &self.encryption {
            members.push(("SSEDescription", encryption.describe()));
        }
        Json::object(members)
    }

    /// A UUID of its own, also when a table of this name existed before.
    fn id(&self, settings: &Settings) -> String {
        let text = format!("{}\n{}\n{}", self.arn(settings), self.number, self.created.0);
        let hash = Sha256::digest(text.as_bytes());
        let word =
            |at: usize| u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]);
        let (one, two, three, four) = (word(0), word(4), word(8), word(12));
        // A custom UUID (RFC 9562, 5.8): version 8, variant 2.
        let (two, three) = (two & 0xFFFF_0FFF | 0x8000, three & 0x3FFF_FFFF | 0x8000_0000);
        let (time, version) = (two >> 16, two & 0xFFFF);
        let (variant, node) = (three >> 16, three & 0xFFFF);
        format!("{one:08x}-{time:04x}-{version:04x}-{variant:04x}-{node:04x}{four:08x}")
    }

    /// The stored form of the definition.
    pub(crate) fn entry(&self) -> Entry {
        (table_key(&self.name), Some(encode(FORMAT, self)))
    }

    /// The definition stored at `key`.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Table, Corrupt> {
        decode(FORMAT, key, value)
    }
}

/// A time as the API's numbers of seconds.
pub(super) fn seconds_json(at: Timestamp) -> Json {
    Json::from_f64(at.seconds()).unwrap_or_default()
}

/// Key attributes as `KeySchema`.
pub(super) fn schema_json<'a>(keys: impl Iterator<Item = &'a KeyAttribute>) -> Json {
    Json::array(keys.zip(["HASH", "RANGE"]).map(|(key, role)| {
        Json::object([
            ("AttributeName", Json::String(Arc::clone(&key.name))),
            ("KeyType", Json::from(role)),
        ])
    }))
}

/// Key attributes as `AttributeDefinitions`.
pub(super) fn attributes_json<'a>(keys: impl Iterator<Item = &'a KeyAttribute>) -> Json {
    Json::array(keys.map(|key| {
        Json::object([
            ("AttributeName", Json::String(Arc::clone(&key.name))),
            ("AttributeType", Json::from(key.kind.value_type().name())),
        ])
    }))
}

/// `prefix` and a partition key value of the right type.
pub(super) fn partition_prefix(
    prefix: Key,
    key: &KeyAttribute,
    value: &Value,
) -> Result<Key, ApiError> {
    let mut bytes = prefix;
    check_key(key, value, PARTITION_MAX)?;
    key::write(value, &mut bytes);
    Ok(bytes)
}

impl Encryption {
    fn describe(&self) -> Json {
        let mut members = vec![
            ("Status", Json::from("ENABLED")),
            ("SSEType", Json::String(Arc::clone(&self.kind))),
        ];
        if let Some(key) = &self.key {
            members.push(("KMSMasterKeyArn", Json::String(Arc::clone(key))));
        }
        Json::object(members)
    }
}

impl Counts {
    /// The stored form of the counts of table `number`; `None` once the table is gone.
    pub(crate) fn entry(number: u64, counts: Option<Counts>) -> Entry {
        (counts_key(number), counts.map(|counts| encode(FORMAT, &counts)))
    }

    /// The counts stored at `key`.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Counts, Corrupt> {
        decode(FORMAT, key, value)
    }

    /// The counts after an item of `old` bytes made way for one of `new` bytes.
    pub(crate) fn changed(self, old: Option<usize>, new: Option<usize>) -> Counts {
        let bytes = |size: Option<usize>| size.unwrap_or(0) as u64;
        let items = |size: Option<usize>| u64::from(size.is_some());
        Counts {
            items: (self.items + items(new)).saturating_sub(items(old)),
            bytes: (self.bytes + bytes(new)).saturating_sub(bytes(old)),
        }
    }
}

/// The second byte of keys in `Space::Table`: what about a table. Never renumber.
pub(crate) const DEFINITION: u8 = 1;
pub(crate) const COUNTS: u8 = 2;
pub(crate) const RETIRED: u8 = 3;

/// What the keys of all definitions begin with.
pub fn tables_prefix() -> Key {
    KeyBuilder::new(Space::Table).bytes(&[DEFINITION]).build()
}

/// Where the definition of the table of this name is stored.
pub(crate) fn table_key(name: &str) -> Key {
    KeyBuilder::new(Space::Table).bytes(&[DEFINITION]).text(name).build()
}

/// Where the counts of a table are stored.
pub(crate) fn counts_key(number: u64) -> Key {
    KeyBuilder::new(Space::Table).bytes(&[COUNTS]).number(number).build()
}

/// Says that items of the deleted table `number` may still be stored.
pub(crate) fn retired_entry(number: u64, owes: bool) -> Entry {
    let key = KeyBuilder::new(Space::Table).bytes(&[RETIRED]).number(number).build();
    (key, owes.then(|| vec![FORMAT]))
}

/// What the keys of all items of table `number` begin with.
pub(crate) fn items_prefix(number: u64) -> Key {
    KeyBuilder::new(Space::Item).number(number).build()
}

pub(super) fn no_match() -> ApiError {
    validation("The provided key element does not match the schema")
}

fn key_value<'a>(
    key: &KeyAttribute,
    attributes: &'a Attributes,
    whose: KeyIn,
    max: usize,
) -> Result<&'a Value, ApiError> {
    let value = attributes.get(&key.name);
    match (value, whose) {
        (Some(value), _) if value.kind() == key.kind.value_type() => {
            check_key(key, value, max)?;
            Ok(value)
        }
        (_, KeyIn::Key | KeyIn::Batch) => Err(no_match()),
        (None, KeyIn::Item) => Err(validation(format!(
            "One or more parameter values were invalid: Missing the key {} in the item",
            key.name
        ))),
        (Some(value), KeyIn::Item) => Err(validation(format!(
            "One or more parameter values were invalid: Type mismatch for key {} expected: {} \
             actual: {}",
            key.name,
            key.kind.value_type().name(),
            value.kind().name()
        ))),
    }
}

/// Refuses an empty or too long key value.
fn check_key(key: &KeyAttribute, value: &Value, max: usize) -> Result<(), ApiError> {
    let empty = match value {
        Value::S(text) if text.is_empty() => Some("string"),
        Value::B(bytes) if bytes.is_empty() => Some("binary"),
        _ => None,
    };
    if let Some(kind) = empty {
        return Err(validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute \
             cannot contain an empty {kind} value. Key: {}",
            key.name
        )));
    }
    if value.size() <= max {
        return Ok(());
    }
    // The missing space is AWS's.
    Err(validation(if max == PARTITION_MAX {
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size \
         limit of2048 bytes"
    } else {
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded \
         the size limit of 1024 bytes"
    }))
}
