//! Tables: the part of Amazon DynamoDB that device workflows use.
//!
//! Definitions are in memory; items live in the store alone and are reached through [`Read`]. An
//! item's key orders as its key attributes do, so a query is a run of keys.
//!
//! Read in this order: [`Tables`], [`Request`], [`Write`], [`Table`], [`Item`], [`Value`]; then
//! `change` (what requests change), `page` (how queries and scans read), `expression`.

mod batch;
mod capacity;
mod change;
mod create;
mod expression;
mod item;
mod key;
mod number;
mod page;
mod request;
mod table;
#[cfg(test)]
mod tests;
mod update;
mod value;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use create::CreateTable;
pub use item::Item;
pub use number::{Number, NumberError};
pub use request::Request;
pub use table::{Counts, Encryption, KeyAttribute, KeyType, Provisioned, Table, Tags};
pub use value::{Attributes, Type, Value};
pub use view::answer;

use crate::error::ApiError;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, Entry, Space};
use key::Reader;

/// Items of a deleted table that one request removes.
const CLEANED_MAX: usize = 16;

/// The tables of a shard: what is known of them without their items.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tables {
    by_name: BTreeMap<Arc<str>, Arc<Table>>,
    /// Derived from `by_name`.
    by_number: BTreeMap<u64, Arc<Table>>,
    counts: BTreeMap<u64, Counts>,
    /// Numbers of deleted tables that may have stored items.
    retired: BTreeSet<u64>,
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
    /// Whether items of this deleted table may still be stored.
    Retired(u64, bool),
    /// The item at a key; `None` if there is none.
    Item(Key, Option<Arc<Item>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Table(table) => table.entry(),
            Write::NoTable(name) => (table::table_key(name), None),
            Write::Counts(number, counts) => Counts::entry(*number, *counts),
            Write::Retired(number, owes) => table::retired_entry(*number, *owes),
            Write::Item(key, item) => (key.clone(), item.as_ref().map(|item| item.encode())),
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
                self.forget(&table.name);
                self.by_number.insert(table.number, Arc::clone(table));
                self.by_name.insert(Arc::clone(&table.name), Arc::clone(table));
            }
            Write::NoTable(name) => self.forget(name),
            Write::Counts(number, Some(counts)) => drop(self.counts.insert(*number, *counts)),
            Write::Counts(number, None) => drop(self.counts.remove(number)),
            Write::Retired(number, true) => drop(self.retired.insert(*number)),
            Write::Retired(number, false) => drop(self.retired.remove(number)),
            Write::Item(..) => {}
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some(table) = self.by_name.remove(name) {
            self.by_number.remove(&table.number);
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
    /// recorded when the table is gone.
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
        self.replace(&table, key, Some(item.size()), Some(Item::new(attributes)), out);
    }

    /// Records that the item at `key` makes way for another or for none.
    fn replace(
        &mut self,
        table: &Table,
        key: Key,
        old: Option<usize>,
        new: Option<Item>,
        out: &mut Vec<Write>,
    ) {
        let counts = self.counts.get(&table.number).copied().unwrap_or_default();
        let counts = counts.changed(old, new.as_ref().map(Item::size));
        self.record(Write::Item(key, new.map(Arc::new)), out);
        self.record(Write::Counts(table.number, Some(counts)), out);
    }

    /// Whether items of deleted tables are still to be removed.
    pub fn owes_cleaning(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Reads what [`Tables::clean`] will remove.
    pub fn prefetch_cleaning(&self, read: &dyn Read) {
        if let Some(number) = self.retired.first() {
            read.range(&leftovers(*number));
        }
    }

    /// Removes a few items of deleted tables. Every changing request does so, so that none has to
    /// remove them all.
    pub fn clean(&mut self, read: &dyn Read, out: &mut Vec<Write>) {
        if let Some(number) = self.retired.first().copied() {
            self.clean_table(number, read, out);
        }
    }

    fn clean_table(&mut self, number: u64, read: &dyn Read, out: &mut Vec<Write>) {
        let entries = read.range(&leftovers(number));
        let done = entries.len() < CLEANED_MAX;
        for (key, _) in entries {
            self.record(Write::Item(key, None), out);
        }
        if done {
            self.record(Write::Retired(number, false), out);
        }
    }
}

fn leftovers(number: u64) -> Range {
    Range::prefix(&table::items_prefix(number)).limit(CLEANED_MAX)
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
