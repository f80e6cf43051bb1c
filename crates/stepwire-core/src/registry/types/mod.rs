//! Thing types: what things of a kind have in common, and which things are of it.

mod call;
mod request;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

pub use request::Request;
pub(super) use view::answer;

use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

use super::listing::key_texts;

const FORMAT: u8 = 1;

/// A thing type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingType {
    /// Name.
    pub name: Arc<str>,
    /// `thingTypeId`
    pub id: Arc<str>,
    /// `thingTypeDescription`
    pub description: Option<Arc<str>>,
    /// `searchableAttributes`, at most three.
    pub searchable: Vec<Arc<str>>,
    /// Since when no thing can be given it.
    pub deprecated: Option<Timestamp>,
    /// When it was created.
    pub created: Timestamp,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A type as it now is, or gone.
    Type(Arc<str>, Option<ThingType>),
    /// A thing is of a type now, or no longer.
    Thing {
        /// The type's name.
        of: Arc<str>,
        /// The thing's name.
        thing: Arc<str>,
        /// Whether it is.
        there: bool,
    },
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Type(name, record) => {
                (type_key(name), record.as_ref().map(|record| encode(FORMAT, record)))
            }
            Write::Thing { of, thing, there } => {
                let key = things_of(of).text(thing).build();
                (key, there.then(|| encode(FORMAT, &())))
            }
        }
    }
}

fn type_key(name: &str) -> Key {
    KeyBuilder::new(Space::ThingType).text(name).build()
}

/// What the keys of a type's things begin with; the thing's name follows.
pub(super) fn things_of(name: &str) -> KeyBuilder {
    KeyBuilder::new(Space::ThingOfType).text(name)
}

/// The thing's name in the key of an entry below [`things_of`].
pub(super) fn thing_in(key: &[u8]) -> Option<Arc<str>> {
    key_texts::<2>(key, 0).map(|[_, thing]| thing)
}

/// All thing types.
#[derive(Debug, Default, PartialEq)]
pub struct Types {
    types: BTreeMap<Arc<str>, ThingType>,
    /// Things by type; no set stays empty.
    things: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Types {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::ThingType, Space::ThingOfType];

    /// The type of this name.
    pub fn find(&self, name: &str) -> Option<&ThingType> {
        self.types.get(name)
    }

    /// Whether some thing is of this type.
    fn is_used(&self, name: &str) -> bool {
        self.things.contains_key(name)
    }

    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Type(name, Some(record)) => {
                self.types.insert(Arc::clone(name), record.clone());
            }
            Write::Type(name, None) => {
                self.types.remove(name);
            }
            Write::Thing { of, thing, there } => {
                super::change(&mut self.things, of, thing, *there);
            }
        }
    }

    /// Takes in one stored entry.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let write = stored(key, value)?;
        self.apply(&write);
        Ok(())
    }
}

/// The change that a stored entry is.
fn stored(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
    if key.first() == Some(&(Space::ThingType as u8)) {
        let record: ThingType = decode(FORMAT, key, value)?;
        return Ok(Write::Type(Arc::clone(&record.name), Some(record)));
    }
    let () = decode(FORMAT, key, value)?;
    let [of, thing] = key_texts(key, 0).ok_or_else(|| Corrupt {
        key: key.to_vec(),
        why: "not the key of a thing of a type".to_owned(),
    })?;
    Ok(Write::Thing { of, thing, there: true })
}
