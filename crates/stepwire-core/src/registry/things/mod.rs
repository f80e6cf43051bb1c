//! Things, and the principals attached to them.

mod call;
mod request;
mod view;

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

pub use request::{Attached, Exclusive, Request};
pub use view::answer;

use super::attributes::Attributes;
use super::listing::key_texts;
use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// Name.
    pub name: Arc<str>,
    /// `thingId`
    pub id: Arc<str>,
    /// `thingTypeName`
    pub thing_type: Option<Arc<str>>,
    /// Attributes.
    pub attributes: Attributes,
    /// Grows with each change.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
}

/// An attachment is kept twice, so that both its ends find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Found by the thing.
    Thing = 1,
    /// Found by the principal.
    Principal = 2,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A thing as it now is, or gone.
    Thing(Arc<str>, Option<Thing>),
    /// A certificate attached to a thing, or detached.
    Principal {
        /// Which of the two records of it.
        side: Side,
        /// Thing name.
        thing: Arc<str>,
        /// Certificate id.
        certificate: Arc<str>,
        /// How; `None` once it no longer is.
        attached: Option<Attachment>,
    },
}

impl Write {
    /// The thing that it is about.
    pub fn thing(&self) -> &Arc<str> {
        match self {
            Write::Thing(thing, _) | Write::Principal { thing, .. } => thing,
        }
    }
}

/// How a certificate is attached to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Since when.
    pub since: Timestamp,
    /// Whether it belongs to this thing alone (`EXCLUSIVE_THING`).
    pub exclusive: bool,
}

impl Attachment {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        if self.exclusive { "EXCLUSIVE_THING" } else { "NON_EXCLUSIVE_THING" }
    }
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Thing(name, thing) => {
                (thing_key(name), thing.as_ref().map(|thing| encode(FORMAT, thing)))
            }
            Write::Principal { side, thing, certificate, attached } => {
                let (first, second) = match side {
                    Side::Thing => (thing, certificate),
                    Side::Principal => (certificate, thing),
                };
                let key = attached_to(*side, first).text(second).build();
                (key, attached.as_ref().map(|attached| encode(FORMAT, attached)))
            }
        }
    }
}

/// Where a thing is.
pub fn thing_key(name: &str) -> Key {
    KeyBuilder::new(Space::Thing).text(name).build()
}

/// What the keys of all attachments of a thing or principal begin with.
fn attached_to(side: Side, name: &str) -> KeyBuilder {
    KeyBuilder::new(Space::Attachment).bytes(&[side as u8]).text(name)
}

/// The stored thing.
pub fn stored(key: &[u8], value: &[u8]) -> Result<Thing, Corrupt> {
    decode(FORMAT, key, value)
}

fn stored_attachment(key: &[u8], value: &[u8]) -> Result<Attachment, Corrupt> {
    decode(FORMAT, key, value)
}

/// What something is attached to, by name.
type Attachments = BTreeMap<Arc<str>, Attachment>;

/// Every thing and what is attached to it.
#[derive(Debug, Default, PartialEq)]
pub struct Things {
    things: BTreeMap<Arc<str>, Thing>,
    /// Certificates by thing.
    principals: IndexMap<Arc<str>, Attachments>,
    /// Things by certificate.
    attached: IndexMap<Arc<str>, Attachments>,
}

impl Things {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::Thing, Space::Attachment];

    /// The thing called `name`.
    pub fn find(&self, name: &str) -> Option<&Thing> {
        self.things.get(name)
    }

    /// Every thing, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Thing> {
        self.things.values()
    }

    /// Things by name, after this one.
    pub(super) fn after(&self, thing: Option<&Arc<str>>) -> impl Iterator<Item = &Thing> {
        let from = thing.map_or(Unbounded, |thing| Excluded(Arc::clone(thing)));
        self.things.range((from, Unbounded)).map(|(_, thing)| thing)
    }

    /// Whether the certificate is attached to the thing.
    pub fn is_attached(&self, thing: &str, certificate: &str) -> bool {
        self.principals.get(thing).is_some_and(|principals| principals.contains_key(certificate))
    }

    /// The certificates attached to a thing.
    pub fn principals(&self, thing: &str) -> impl Iterator<Item = &Arc<str>> {
        self.principals.get(thing).into_iter().flat_map(BTreeMap::keys)
    }

    /// The thing that the certificate belongs to exclusively.
    pub fn exclusive_of(&self, certificate: &str) -> Option<&Arc<str>> {
        let attached = self.attached.get(certificate)?.iter();
        attached.filter(|(_, attachment)| attachment.exclusive).map(|(thing, _)| thing).next()
    }

    /// The things a certificate is attached to.
    pub fn of_certificate(&self, certificate: &str) -> impl Iterator<Item = &Arc<str>> {
        self.attached.get(certificate).into_iter().flat_map(BTreeMap::keys)
    }

    /// The only thing that changes things.
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Thing(name, Some(thing)) => {
                self.things.insert(Arc::clone(name), thing.clone());
            }
            Write::Thing(name, None) => {
                self.things.remove(name);
            }
            Write::Principal { side, thing, certificate, attached } => {
                let (sets, of, item) = match side {
                    Side::Thing => (&mut self.principals, thing, certificate),
                    Side::Principal => (&mut self.attached, certificate, thing),
                };
                if let Some(attached) = attached {
                    sets.entry(Arc::clone(of)).or_default().insert(Arc::clone(item), *attached);
                } else if let Some(set) = sets.get_mut(of) {
                    set.remove(item);
                    if set.is_empty() {
                        sets.swap_remove(of);
                    }
                }
            }
        }
    }

    /// Takes in one stored entry.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let corrupt = || Corrupt { key: key.to_vec(), why: "not an attachment's key".to_owned() };
        let write = if key.first() == Some(&(Space::Thing as u8)) {
            let thing = stored(key, value)?;
            Write::Thing(Arc::clone(&thing.name), Some(thing))
        } else {
            let side = match key.get(1) {
                Some(&side) if side == Side::Thing as u8 => Side::Thing,
                Some(&side) if side == Side::Principal as u8 => Side::Principal,
                _ => return Err(corrupt()),
            };
            let [first, second] = key_texts(key, 1).ok_or_else(corrupt)?;
            let (thing, certificate) = match side {
                Side::Thing => (first, second),
                Side::Principal => (second, first),
            };
            let attached = Some(decode(FORMAT, key, value)?);
            Write::Principal { side, thing, certificate, attached }
        };
        self.apply(&write);
        Ok(())
    }
}
