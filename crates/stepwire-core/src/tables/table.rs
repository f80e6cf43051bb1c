//! Table definitions: keys, settings, and how they are described.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepwire_asl::{Json, Timestamp};

use super::key;
use super::validation;
use super::value::{Attributes, Type, Value};
use crate::error::ApiError;
use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

const FORMAT: u8 = 1;

/// Bytes of a partition key value and of a sort key value.
const PARTITION_MAX: usize = 2_048;
const SORT_MAX: usize = 1_024;

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
        let mut bytes = self.items_prefix();
        check_key(&self.partition, value, PARTITION_MAX)?;
        key::write(value, &mut bytes);
        Ok(bytes)
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

    /// As DescribeTable shows it.
    pub(crate) fn describe(&self, status: &str, counts: Counts, settings: &Settings) -> Json {
        let attribute = |key: &KeyAttribute| {
            Json::object([
                ("AttributeName", Json::String(Arc::clone(&key.name))),
                ("AttributeType", Json::from(key.kind.value_type().name())),
            ])
        };
        let element = |key: &KeyAttribute, role: &str| {
            Json::object([
                ("AttributeName", Json::String(Arc::clone(&key.name))),
                ("KeyType", Json::from(role)),
            ])
        };
        let roles = ["HASH", "RANGE"];
        let units = self.provisioned.unwrap_or(Provisioned { read: 0, write: 0 });
        let mut members = vec![
            ("AttributeDefinitions", Json::array(self.keys().map(attribute))),
            ("TableName", Json::String(Arc::clone(&self.name))),
            (
                "KeySchema",
                Json::array(self.keys().zip(roles).map(|(key, role)| element(key, role))),
            ),
            ("TableStatus", Json::from(status)),
            ("CreationDateTime", Json::from_f64(self.created.seconds()).unwrap_or_default()),
            (
                "ProvisionedThroughput",
                Json::object([
                    ("NumberOfDecreasesToday", Json::from(0)),
                    ("ReadCapacityUnits", Json::from(units.read)),
                    ("WriteCapacityUnits", Json::from(units.write)),
                ]),
            ),
            ("TableSizeBytes", Json::from(counts.bytes as i64)),
            ("ItemCount", Json::from(counts.items as i64)),
            ("TableArn", Json::from(self.arn(settings))),
            ("TableId", Json::from(self.id(settings))),
            ("DeletionProtectionEnabled", Json::from(self.deletion_protection)),
        ];
        if self.provisioned.is_none() {
            let mode = [
                ("BillingMode", Json::from("PAY_PER_REQUEST")),
                ("LastUpdateToPayPerRequestDateTime", self.created_json()),
            ];
            members.push(("BillingModeSummary", Json::object(mode)));
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

    fn created_json(&self) -> Json {
        Json::from_f64(self.created.seconds()).unwrap_or_default()
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
pub(crate) fn tables_prefix() -> Key {
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

fn no_match() -> ApiError {
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
        (_, KeyIn::Key) => Err(no_match()),
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
