//! Tables: Amazon DynamoDB without streams, backups and PartiQL.
//!
//! Definitions are in memory; items live in the store alone and are reached through [`Read`]. An
//! item's key orders as its key attributes do, so a query is a run of keys; so are the entries of
//! secondary indexes and the times at which items expire.
//!
//! Read in this order: [`Tables`], [`Request`], [`Write`], [`Table`], [`Item`], [`Value`]; then
//! `change` and `transact` (what requests change), `derive` (what follows from it), `page` (how
//! queries and scans read), `expression`, `tidy` (what goes on behind requests).

mod alter;
mod batch;
mod capacity;
mod change;
mod create;
mod derive;
mod expression;
mod index;
mod item;
mod key;
mod legacy;
mod number;
mod page;
mod request;
mod schema;
mod table;
#[cfg(test)]
mod tests;
mod tidy;
mod transact;
mod unavailable;
mod update;
mod value;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use create::CreateTable;
pub use index::{Index, Projected, Scope};
pub use item::Item;
pub use number::{Number, NumberError};
pub use request::Request;
pub use table::{
    Counts, Encryption, KeyAttribute, KeyType, OnDemand, Provisioned, Table, Tags, TimeToLive,
    tables_prefix,
};
pub use value::{Attributes, Type, Value};
pub use view::answer;

use derive::Old;
use key::Reader;
use stepwire_asl::Timestamp;
use tidy::Horizon;

use crate::error::ApiError;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, Entry, Space};

/// The tables of a shard: what is known of them without their items.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tables {
    by_name: BTreeMap<Arc<str>, Arc<Table>>,
    /// Derived from `by_name`.
    by_number: BTreeMap<u64, Arc<Table>>,
    counts: BTreeMap<u64, Counts>,
    /// Numbers of deleted tables, indexes and expiries that may have stored records.
    retired: BTreeSet<u64>,
    /// Names of tables with an index or an expiry that does not know all items yet. Derived.
    unfinished: BTreeSet<Arc<str>>,
    /// Numbers of tables by those of their expiries. Derived.
    by_expiry: BTreeMap<u64, u64>,
    horizon: Horizon,
}

/// One durable change to tables or items.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A table is defined so.
    Table(Arc<Table>),
    /// There is no table of this name.
    NoTable(Arc<str>),
    /// A table holds this much; `None` once it is gone.
    Counts(u64, Option<Counts>),
    /// Whether records of this deleted table, index or expiry may still be stored.
    Retired(u64, bool),
    /// The item at a key; `None` if there is none.
    Item(Key, Option<Arc<Item>>),
    /// The entry of an index at a key, as much of the item as is projected; `None` if there is none.
    Entry(Key, Option<Arc<Item>>),
    /// Whether an item expires: the key says when and which.
    Expiry(Key, bool),
    /// When a transaction with this token was carried out, and what it asked for; `None` once that
    /// is forgotten.
    Token(Arc<str>, Option<(Timestamp, [u8; 32])>),
    /// Whether the token that was given then is still known: finds the old ones.
    Aged(Timestamp, Arc<str>, bool),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Table(table) => table.entry(),
            Write::NoTable(name) => (table::table_key(name), None),
            Write::Counts(number, counts) => Counts::entry(*number, *counts),
            Write::Retired(number, owes) => table::retired_entry(*number, *owes),
            Write::Item(key, item) | Write::Entry(key, item) => {
                (key.clone(), item.as_ref().map(|item| item.encode()))
            }
            Write::Expiry(key, stands) => (key.clone(), stands.then(Vec::new)),
            Write::Token(token, known) => transact::token_entry(token, *known),
            Write::Aged(given, token, kept) => transact::aged_entry(*given, token, *kept),
        }
    }
}

impl Tables {
    /// What recovery reads into memory. Items stay in the store.
    pub const SPACES: &'static [Space] = &[Space::Table];

    /// The only thing that changes what is known of tables. Items are not.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Table(table) => {
                let kept = table.expiry.as_ref().map(|expiry| expiry.number);
                self.forget(&table.name, kept);
                self.by_number.insert(table.number, Arc::clone(table));
                if let Some(number) = kept {
                    self.by_expiry.insert(number, table.number);
                }
                if table.is_unfinished() {
                    self.unfinished.insert(Arc::clone(&table.name));
                }
                self.by_name.insert(Arc::clone(&table.name), Arc::clone(table));
            }
            Write::NoTable(name) => self.forget(name, None),
            Write::Counts(number, Some(counts)) => drop(self.counts.insert(*number, *counts)),
            Write::Counts(number, None) => drop(self.counts.remove(number)),
            Write::Retired(number, true) => drop(self.retired.insert(*number)),
            Write::Retired(number, false) => drop(self.retired.remove(number)),
            Write::Expiry(key, true) => self.horizon.expires(key),
            Write::Aged(given, _, true) => self.horizon.token(*given),
            Write::Item(..)
            | Write::Entry(..)
            | Write::Expiry(..)
            | Write::Token(..)
            | Write::Aged(..) => {}
        }
    }

    /// Forgets a table; what is known of its expiry stays if that is `kept`.
    fn forget(&mut self, name: &str, kept: Option<u64>) {
        self.unfinished.remove(name);
        let Some(table) = self.by_name.remove(name) else { return };
        self.by_number.remove(&table.number);
        if let Some(expiry) = &table.expiry
            && kept != Some(expiry.number)
        {
            self.by_expiry.remove(&expiry.number);
            self.horizon.forget(expiry.number);
        }
    }

    /// Takes in one stored entry of [`Tables::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let corrupt = |why: &str| Corrupt { key: key.to_vec(), why: why.to_owned() };
        let number = || {
            let bytes = key.get(2..).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_be_bytes).ok_or_else(|| corrupt("not the key of a table"))
        };
        let write = match key.get(1) {
            Some(&table::DEFINITION) => Write::Table(Arc::new(Table::decode(key, value)?)),
            Some(&table::COUNTS) => Write::Counts(number()?, Some(Counts::decode(key, value)?)),
            Some(&table::RETIRED) => Write::Retired(number()?, true),
            _ => return Err(corrupt("an unknown record of a table")),
        };
        self.apply(&write);
        Ok(())
    }

    /// Applies a write and remembers it for the caller.
    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.by_name.get(name)
    }

    /// The items of a partition whose key is a string, in order of their sort keys. `None`: there
    /// is no such table, or its partition key is not a string. Items that cannot be read are left
    /// out.
    pub fn query_partition(
        &self,
        table: &str,
        partition_value: &str,
        read: &dyn Read,
    ) -> Option<Vec<Item>> {
        let table = self.table(table)?;
        let text = Value::string(partition_value);
        let fits = table.partition.kind == KeyType::S;
        let prefix = fits.then(|| table.partition_prefix(&text).ok())??;
        let entries = read.range(&Range::prefix(&prefix));
        Some(entries.iter().filter_map(|(key, value)| Item::decode(key, value).ok()).collect())
    }

    /// Sets a string attribute of an item, as it was read, that is not part of its key. Nothing is
    /// recorded when the table is gone, or when an index has another type of key there.
    pub fn set_string(
        &mut self,
        table: &str,
        item: &Item,
        attribute: &str,
        value: &str,
        out: &mut Vec<Write>,
    ) {
        let Some(table) = self.table(table).cloned() else { return };
        let Ok(key) = table.item_key(item.attributes(), table::KeyIn::Item) else { return };
        let mut attributes = item.attributes().clone();
        attributes.insert(attribute.into(), Value::string(value));
        let after = Item::new(attributes);
        if table.check_index_keys(after.attributes(), index::By::Update).is_ok() {
            self.replace(&table, key, Some(&Old::of(item.clone())), Some(after), out);
        }
    }
}

/// The table and the partition that a write puts an item into. `None` for any other write, and
/// where the partition key is not a string.
pub fn written_partition(tables: &Tables, write: &Write) -> Option<(Arc<str>, Arc<str>)> {
    let Write::Item(key, Some(_)) = write else { return None };
    let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)?;
    let table = tables.by_number.get(&number)?;
    let partition = || Reader::new(&key[9..]).key_text().ok();
    let text = (table.partition.kind == KeyType::S).then(partition)??;
    Some((Arc::clone(&table.name), text))
}

/// The error that a parameter or value is not valid.
fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

/// The error that the JSON under `name` is of the wrong kind.
fn serialization(name: &str, expected: &str) -> ApiError {
    ApiError::new("SerializationException", format!("`{name}` must be {expected}"))
}

/// The error that a stored record cannot be read.
fn unreadable(corrupt: &Corrupt) -> ApiError {
    ApiError::new("InternalServerError", corrupt.to_string())
}

fn not_found() -> ApiError {
    ApiError::new("ResourceNotFoundException", "Requested resource not found")
}
