//! Secondary indexes: which items are in one, where, and how much of each.
//!
//! An entry of an index is a record of its own: the key attributes of the index, then the item's
//! key; its value is the part of the item that the index projects. So a query of an index reads a
//! run of entries and nothing else.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

use super::item::Item;
use super::key;
use super::schema::NewIndex;
use super::table::{
    Counts, KeyAttribute, PARTITION_MAX, Provisioned, SORT_MAX, Table, attributes_json, schema_json,
};
use super::validation;
use super::value::{Attributes, Value};
use crate::error::ApiError;
use crate::read::Key;
use crate::record::{KeyBuilder, Space};
use crate::settings::Settings;

/// A secondary index of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: Arc<str>,
    /// What its entries' keys begin with; one sequence with the numbers of tables.
    pub number: u64,
    /// Whether it has partitions of its own.
    pub scope: Scope,
    /// Its `HASH` key attribute.
    pub partition: KeyAttribute,
    /// Its `RANGE` key attribute.
    pub sort: Option<KeyAttribute>,
    /// How much of each item it holds.
    pub projected: Projected,
    /// Provisioned capacity, shown but not enforced.
    pub provisioned: Option<Provisioned>,
    /// Items stored at or behind this key may not be in it yet; `None` once all are.
    pub unread: Option<Key>,
}

/// Global or local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// With a partition key of its own.
    Global,
    /// With the partition key of the table.
    Local,
}

/// How much of each item an index holds, beside the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projected {
    /// Everything.
    All,
    /// Nothing.
    KeysOnly,
    /// These attributes.
    Include(Vec<Arc<str>>),
}

impl Projected {
    fn describe(&self) -> Json {
        let kind = |name: &str| ("ProjectionType", Json::from(name));
        match self {
            Projected::All => Json::object([kind("ALL")]),
            Projected::KeysOnly => Json::object([kind("KEYS_ONLY")]),
            Projected::Include(names) => {
                let names = names.iter().map(|name| Json::String(Arc::clone(name)));
                Json::object([kind("INCLUDE"), ("NonKeyAttributes", Json::array(names))])
            }
        }
    }
}

/// How an item came to have an attribute that is part of an index key: decides what is said about a
/// wrong one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Put,
    Update,
}

impl Index {
    /// An index as it was asked for; items from `unread` on are still to be taken in.
    pub(super) fn new(index: &NewIndex, number: u64, unread: Option<Key>) -> Index {
        Index {
            name: Arc::clone(&index.name),
            number,
            scope: index.scope,
            partition: index.keys.partition.clone(),
            sort: index.keys.sort.clone(),
            projected: index.projected.clone(),
            provisioned: index.provisioned,
            unread,
        }
    }

    /// The key attributes: partition key, sort key.
    pub fn keys(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    /// Whether queries can read it: it holds all items.
    pub fn is_active(&self) -> bool {
        self.unread.is_none()
    }

    /// Whether an item stored at `key` is counted as one of its entries already, if it is one.
    pub(super) fn has_read(&self, key: &[u8]) -> bool {
        self.unread.as_deref().is_none_or(|unread| key < unread)
    }

    /// What the keys of all its entries begin with.
    pub(super) fn prefix(&self) -> Key {
        entries_prefix(self.number)
    }

    /// Where the entry of the item stored at `key` is, if the item is in the index: an item without
    /// one of the index's key attributes is not.
    pub(super) fn entry_key(&self, key: &[u8], attributes: &Attributes) -> Option<Key> {
        let mut entry = self.prefix();
        for (attribute, max) in self.keys().zip([PARTITION_MAX, SORT_MAX]) {
            let value = attributes.get(&attribute.name)?;
            if fault(attribute, value, max).is_some() {
                return None;
            }
            key::write(value, &mut entry);
        }
        entry.extend_from_slice(item_suffix(key));
        Some(entry)
    }

    /// Whether an entry holds this attribute.
    pub(super) fn projects(&self, table: &Table, name: &str) -> bool {
        let is_key = || table.is_key(name) || self.keys().any(|key| &*key.name == name);
        match &self.projected {
            Projected::All => true,
            Projected::KeysOnly => is_key(),
            Projected::Include(names) => names.iter().any(|one| &**one == name) || is_key(),
        }
    }

    /// The part of an item that its entry holds.
    pub(super) fn part(&self, table: &Table, item: &Arc<Item>) -> Arc<Item> {
        if self.projected == Projected::All {
            return Arc::clone(item);
        }
        let attributes = item.attributes().iter();
        let kept = attributes.filter(|(name, _)| self.projects(table, name));
        let kept = kept.map(|(name, value)| (Arc::clone(name), value.clone()));
        Arc::new(Item::new(kept.collect()))
    }

    /// Refuses an item whose attribute cannot be a key of this index.
    pub(super) fn check(&self, attributes: &Attributes, by: By) -> Result<(), ApiError> {
        for (key, max) in self.keys().zip([PARTITION_MAX, SORT_MAX]) {
            let Some(value) = attributes.get(&key.name) else { continue };
            let Some(fault) = fault(key, value, max) else { continue };
            return Err(validation(match (fault, by) {
                (Fault::Type, By::Put) => format!(
                    "One or more parameter values were invalid: Type mismatch for Index Key {} \
                     Expected: {} Actual: {} IndexName: {}",
                    key.name,
                    key.kind.value_type().name(),
                    value.kind().name(),
                    self.name
                ),
                (Fault::Type, By::Update) => "The update expression attempted to update the \
                    secondary index key to unsupported type"
                    .to_owned(),
                (Fault::Empty(kind), _) => format!(
                    "One or more parameter values are not valid. A value specified for a secondary \
                     index key is not supported. The AttributeValue for a key attribute cannot \
                     contain an empty {kind} value. IndexName: {}, IndexKey: {}",
                    self.name, key.name
                ),
                (Fault::Size, By::Put) => format!(
                    "One or more parameter values were invalid: Size of {} has exceeded the \
                     maximum size limit of{} bytes",
                    if max == PARTITION_MAX { "hashkey" } else { "rangekey" },
                    max
                ),
                (Fault::Size, By::Update) => "The update expression attempted to update the \
                    secondary index key beyond allowed size limits"
                    .to_owned(),
            }));
        }
        Ok(())
    }

    /// Its ARN.
    fn arn(&self, table: &Table, settings: &Settings) -> String {
        format!("{}/index/{}", table.arn(settings), self.name)
    }

    /// As DescribeTable shows it, in this status if it is global.
    pub(super) fn describe(
        &self,
        table: &Table,
        status: &str,
        counts: Counts,
        settings: &Settings,
    ) -> Json {
        let mut members = vec![
            ("IndexName", Json::String(Arc::clone(&self.name))),
            ("KeySchema", schema_json(self.keys())),
            ("Projection", self.projected.describe()),
        ];
        if self.scope == Scope::Global {
            members.push(("IndexStatus", Json::from(status)));
            if !self.is_active() {
                members.push(("Backfilling", Json::from(true)));
            }
            let none = Provisioned { read: 0, write: 0 };
            members.push(("ProvisionedThroughput", self.provisioned.unwrap_or(none).describe()));
        }
        members.extend([
            ("IndexSizeBytes", Json::from(counts.bytes as i64)),
            ("ItemCount", Json::from(counts.items as i64)),
            ("IndexArn", Json::from(self.arn(table, settings))),
        ]);
        Json::object(members)
    }
}

/// What the keys of all entries of the index of this number begin with.
pub(super) fn entries_prefix(number: u64) -> Key {
    KeyBuilder::new(Space::IndexEntry).number(number).build()
}

/// The part of an item's stored key that tells it from others of its table.
pub(super) fn item_suffix(key: &[u8]) -> &[u8] {
    key.get(9..).unwrap_or_default()
}

/// The definitions of all attributes that are keys of the table or of an index.
pub(super) fn definitions(table: &Table) -> Json {
    let mut all: Vec<&KeyAttribute> = table.keys().collect();
    for key in table.indexes.iter().flat_map(Index::keys) {
        if !all.iter().any(|known| known.name == key.name) {
            all.push(key);
        }
    }
    attributes_json(all.into_iter())
}

/// Why a value cannot be a key.
enum Fault {
    Type,
    Empty(&'static str),
    Size,
}

fn fault(key: &KeyAttribute, value: &Value, max: usize) -> Option<Fault> {
    match value {
        _ if value.kind() != key.kind.value_type() => Some(Fault::Type),
        Value::S(text) if text.is_empty() => Some(Fault::Empty("string")),
        Value::B(bytes) if bytes.is_empty() => Some(Fault::Empty("binary")),
        _ => (value.size() > max).then_some(Fault::Size),
    }
}
