//! The registry: things, certificates, policies, and what is attached to what.
//!
//! A device is what its certificate's fingerprint says: certificate, then the thing it is attached
//! to, then the policies attached to it. The registry is small enough to be in memory whole.

mod authorize;
mod call;
pub mod policy;
mod request;
pub mod search;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

pub use request::{CertificateStatus, Page, Request};
pub use view::answer;

use crate::read::{Key, Range};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use policy::Policy;

const FORMAT: u8 = 1;

/// A thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// Name.
    pub name: Arc<str>,
    /// `thingId`
    pub id: Arc<str>,
    /// Attributes.
    pub attributes: BTreeMap<Arc<str>, Arc<str>>,
    /// Grows with each change.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
}

/// A device certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of the DER, 64 hex digits.
    pub id: Arc<str>,
    /// PEM.
    pub pem: Arc<str>,
    /// Whether it may connect.
    pub status: CertificateStatus,
    /// When it was registered.
    pub created: Timestamp,
    /// When its status last changed.
    pub modified: Timestamp,
}

/// A policy as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Name.
    pub name: Arc<str>,
    /// The document, byte for byte.
    pub document: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
}

/// What is attached to a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attached {
    /// A policy, by name.
    Policy(Arc<str>),
    /// A thing, by name.
    Thing(Arc<str>),
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A thing as it now is, or gone.
    Thing(Arc<str>, Option<Thing>),
    /// A certificate as it now is, or gone.
    Certificate(Arc<str>, Option<Certificate>),
    /// A policy as it now is, or gone.
    Policy(Arc<str>, Option<PolicyRecord>),
    /// Something attached to a certificate, or detached.
    Attachment {
        /// Certificate id.
        certificate: Arc<str>,
        /// What.
        attached: Attached,
        /// Since when; `None` once it no longer is.
        since: Option<Timestamp>,
    },
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Thing(name, thing) => {
                (thing_key(name), thing.as_ref().map(|thing| encode(FORMAT, thing)))
            }
            Write::Certificate(id, certificate) => {
                (certificate_key(id), certificate.as_ref().map(|c| encode(FORMAT, c)))
            }
            Write::Policy(name, policy) => {
                (policy_key(name), policy.as_ref().map(|policy| encode(FORMAT, policy)))
            }
            Write::Attachment { certificate, attached, since } => {
                let key = attachment_key(certificate, attached);
                (key, since.as_ref().map(|since| encode(FORMAT, since)))
            }
        }
    }
}

pub(crate) fn thing_key(name: &str) -> Key {
    KeyBuilder::new(Space::Thing).text(name).build()
}

pub(crate) fn certificate_key(id: &str) -> Key {
    KeyBuilder::new(Space::Certificate).text(id).build()
}

pub(crate) fn policy_key(name: &str) -> Key {
    KeyBuilder::new(Space::Policy).text(name).build()
}

/// Everything attached to a certificate.
pub(crate) fn attachments_of(certificate: &str) -> Range {
    Range::prefix(&KeyBuilder::new(Space::Attachment).text(certificate).build())
}

fn attachment_key(certificate: &str, attached: &Attached) -> Key {
    let key = KeyBuilder::new(Space::Attachment).text(certificate);
    match attached {
        Attached::Policy(name) => key.text("policy").text(name),
        Attached::Thing(name) => key.text("thing").text(name),
    }
    .build()
}

/// The certificate and what is attached to it, as an attachment's key names them.
pub(crate) fn attachment(key: &[u8]) -> Option<(Arc<str>, Attached)> {
    let text = std::str::from_utf8(key.get(1..)?).ok()?;
    match text.split('\0').collect::<Vec<_>>().as_slice() {
        [certificate, "policy", name, ""] => {
            Some((Arc::from(*certificate), Attached::Policy(Arc::from(*name))))
        }
        [certificate, "thing", name, ""] => {
            Some((Arc::from(*certificate), Attached::Thing(Arc::from(*name))))
        }
        _ => None,
    }
}

/// Everything registered.
#[derive(Debug, Default, PartialEq)]
pub struct Registry {
    things: BTreeMap<Arc<str>, Thing>,
    certificates: BTreeMap<Arc<str>, Certificate>,
    policies: BTreeMap<Arc<str>, (PolicyRecord, Policy)>,
    /// By certificate.
    attached: BTreeMap<Arc<str>, BTreeSet<Attached>>,
    /// Certificates by thing; derived from `attached`.
    principals: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Registry {
    /// What recovery loads.
    pub const SPACES: &'static [Space] =
        &[Space::Thing, Space::Certificate, Space::Policy, Space::Attachment];

    /// The only thing that changes the registry.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Thing(name, Some(thing)) => {
                self.things.insert(Arc::clone(name), thing.clone());
            }
            Write::Thing(name, None) => {
                self.things.remove(name);
            }
            Write::Certificate(id, Some(certificate)) => {
                self.certificates.insert(Arc::clone(id), certificate.clone());
            }
            Write::Certificate(id, None) => {
                self.certificates.remove(id);
            }
            Write::Policy(name, Some(record)) => {
                // A document is checked before it is recorded; one that no longer compiles allows
                // nothing.
                let compiled = Policy::parse(&record.document).unwrap_or_default();
                self.policies.insert(Arc::clone(name), (record.clone(), compiled));
            }
            Write::Policy(name, None) => {
                self.policies.remove(name);
            }
            Write::Attachment { certificate, attached, since } => {
                self.apply_attachment(certificate, attached, since.is_some());
            }
        }
    }

    fn apply_attachment(&mut self, certificate: &Arc<str>, attached: &Attached, there: bool) {
        if let Attached::Thing(thing) = attached {
            change(&mut self.principals, thing, certificate, there);
        }
        change(&mut self.attached, certificate, attached, there);
    }

    /// Takes in one stored entry.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let corrupt = |why: &str| Corrupt { key: key.to_vec(), why: why.to_owned() };
        let space = key.first().copied().unwrap_or_default();
        let write = if space == Space::Thing as u8 {
            let thing: Thing = decode(FORMAT, key, value)?;
            Write::Thing(Arc::clone(&thing.name), Some(thing))
        } else if space == Space::Certificate as u8 {
            let certificate: Certificate = decode(FORMAT, key, value)?;
            Write::Certificate(Arc::clone(&certificate.id), Some(certificate))
        } else if space == Space::Policy as u8 {
            let policy: PolicyRecord = decode(FORMAT, key, value)?;
            Write::Policy(Arc::clone(&policy.name), Some(policy))
        } else {
            let (certificate, attached) =
                attachment(key).ok_or_else(|| corrupt("not an attachment's key"))?;
            Write::Attachment { certificate, attached, since: Some(decode(FORMAT, key, value)?) }
        };
        self.apply(&write);
        Ok(())
    }
}

/// Puts `item` into the set of `of`, or takes it out; no set stays empty.
fn change<K: Ord + Clone, V: Ord + Clone>(
    sets: &mut BTreeMap<K, BTreeSet<V>>,
    of: &K,
    item: &V,
    there: bool,
) {
    if there {
        sets.entry(of.clone()).or_default().insert(item.clone());
    } else if let Some(set) = sets.get_mut(of) {
        set.remove(item);
        if set.is_empty() {
            sets.remove(of);
        }
    }
}

/// The stored thing.
pub(crate) fn thing(key: &[u8], value: &[u8]) -> Result<Thing, Corrupt> {
    decode(FORMAT, key, value)
}

/// The stored certificate.
pub(crate) fn certificate(key: &[u8], value: &[u8]) -> Result<Certificate, Corrupt> {
    decode(FORMAT, key, value)
}

/// The stored policy.
pub(crate) fn stored_policy(key: &[u8], value: &[u8]) -> Result<PolicyRecord, Corrupt> {
    decode(FORMAT, key, value)
}
