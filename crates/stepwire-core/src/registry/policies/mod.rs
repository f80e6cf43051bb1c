//! Policies, and what they are attached to.

mod actions;
mod attachment_call;
mod call;
mod condition;
mod document;
mod facts;
mod malformed;
mod pattern;
mod request;
mod resource;
mod trial;
mod variable;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

pub use document::{Policy, Question, Verdict};
pub use facts::{Facts, ThingOf};
pub use malformed::Malformed;
pub use request::Request;
pub use view::answer;

use super::listing::key_texts;
use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A policy with all its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Name.
    pub name: Arc<str>,
    /// By number.
    pub versions: BTreeMap<u32, Version>,
    /// Number of the version that counts.
    pub default: u32,
    /// Number of the newest version there ever was.
    pub newest: u32,
    /// When it was created.
    pub created: Timestamp,
    /// When a version was last added, or became the one that counts.
    pub modified: Timestamp,
}

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The document, byte for byte.
    pub document: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
}

impl PolicyRecord {
    /// The document that counts.
    pub fn document(&self) -> &str {
        self.versions.get(&self.default).map_or("", |version| &version.document)
    }
}

/// What a policy can be attached to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A certificate, by id.
    Certificate(Arc<str>),
    /// A thing group, by name.
    Group(Arc<str>),
}

impl Target {
    /// The last part of its ARN: `cert/<id>` or `thinggroup/<name>`.
    pub fn resource(&self) -> String {
        match self {
            Target::Certificate(id) => format!("cert/{id}"),
            Target::Group(name) => format!("thinggroup/{name}"),
        }
    }

    /// The target that the last part of an ARN names.
    pub fn parse(resource: &str) -> Option<Target> {
        match resource.split_once('/')? {
            ("cert", id) => Some(Target::Certificate(id.into())),
            ("thinggroup", name) => Some(Target::Group(name.into())),
            _ => None,
        }
    }
}

/// An attachment is kept twice, so that both its ends find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Found by the policy.
    Policy = 1,
    /// Found by the target.
    Target = 2,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A policy as it now is, or gone.
    Policy(Arc<str>, Option<PolicyRecord>),
    /// A policy attached to something, or detached.
    Attachment {
        /// Which of the two records of it.
        side: Side,
        /// Policy name.
        policy: Arc<str>,
        /// To what.
        target: Target,
        /// Since when; `None` once it no longer is.
        since: Option<Timestamp>,
    },
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Policy(name, policy) => {
                (policy_key(name), policy.as_ref().map(|policy| encode(FORMAT, policy)))
            }
            Write::Attachment { side, policy, target, since } => {
                let key = match side {
                    Side::Policy => attached(*side, policy).text(&target.resource()),
                    Side::Target => attached(*side, &target.resource()).text(policy),
                };
                (key.build(), since.as_ref().map(|since| encode(FORMAT, since)))
            }
        }
    }
}

pub(crate) fn policy_key(name: &str) -> Key {
    KeyBuilder::new(Space::Policy).text(name).build()
}

/// What the keys of all attachments of a policy or target begin with.
fn attached(side: Side, name: &str) -> KeyBuilder {
    KeyBuilder::new(Space::PolicyAttachment).bytes(&[side as u8]).text(name)
}

/// The stored policy.
fn stored(key: &[u8], value: &[u8]) -> Result<PolicyRecord, Corrupt> {
    decode(FORMAT, key, value)
}

/// Every policy and what it is attached to.
#[derive(Debug, Default, PartialEq)]
pub struct Policies {
    policies: IndexMap<Arc<str>, (PolicyRecord, Arc<Policy>)>,
    /// Policies by certificate.
    of_certificates: IndexMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Policies by thing group.
    of_groups: IndexMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Targets by policy.
    targets: IndexMap<Arc<str>, BTreeSet<Target>>,
}

impl Policies {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::Policy, Space::PolicyAttachment];

    /// The policy called `name`, compiled.
    pub fn find(&self, name: &str) -> Option<&Policy> {
        self.policies.get(name).map(|(_, policy)| policy.as_ref())
    }

    /// The policy called `name`, as it was given.
    pub fn record(&self, name: &str) -> Option<&PolicyRecord> {
        self.policies.get(name).map(|(record, _)| record)
    }

    /// Names of the policies attached to `target` itself.
    pub fn attached_to(&self, target: &Target) -> impl Iterator<Item = &Arc<str>> {
        let (sets, name) = match target {
            Target::Certificate(id) => (&self.of_certificates, id),
            Target::Group(name) => (&self.of_groups, name),
        };
        sets.get(name).into_iter().flatten()
    }

    /// Names of the policies attached to the certificate itself.
    pub(super) fn of_certificate(&self, id: &str) -> impl Iterator<Item = &Arc<str>> {
        self.of_certificates.get(id).into_iter().flatten()
    }

    /// Names of the policies attached to the thing group itself.
    pub(super) fn of_group(&self, name: &str) -> impl Iterator<Item = &Arc<str>> {
        self.of_groups.get(name).into_iter().flatten()
    }

    /// Whether any policy is attached to any thing group.
    pub(super) fn any_of_groups(&self) -> bool {
        !self.of_groups.is_empty()
    }

    /// What the policy is attached to.
    pub fn targets(&self, policy: &str) -> impl Iterator<Item = &Target> {
        self.targets.get(policy).into_iter().flatten()
    }

    /// The only thing that changes policies.
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Policy(name, Some(record)) => {
                // A document is checked before it is recorded; one that no longer compiles allows
                // nothing.
                let compiled = Policy::parse(record.document()).unwrap_or_default();
                self.policies.insert(Arc::clone(name), (record.clone(), Arc::new(compiled)));
            }
            Write::Policy(name, None) => {
                self.policies.swap_remove(name);
            }
            Write::Attachment { side: Side::Policy, policy, target, since } => {
                change(&mut self.targets, policy, target, since.is_some());
            }
            Write::Attachment { side: Side::Target, policy, target, since } => {
                let (sets, name) = match target {
                    Target::Certificate(id) => (&mut self.of_certificates, id),
                    Target::Group(name) => (&mut self.of_groups, name),
                };
                change(sets, name, policy, since.is_some());
            }
        }
    }

    /// Takes in one stored entry.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let write = if key.first() == Some(&(Space::Policy as u8)) {
            let policy = stored(key, value)?;
            Write::Policy(Arc::clone(&policy.name), Some(policy))
        } else {
            let corrupt =
                || Corrupt { key: key.to_vec(), why: "not an attachment's key".to_owned() };
            let (side, policy, target) = attachment(key).ok_or_else(corrupt)?;
            Write::Attachment { side, policy, target, since: Some(decode(FORMAT, key, value)?) }
        };
        self.apply(&write);
        Ok(())
    }
}

/// Puts `item` into the set of `of`, or takes it out; no set stays empty.
fn change<V: Ord + Clone>(
    sets: &mut IndexMap<Arc<str>, BTreeSet<V>>,
    of: &Arc<str>,
    item: &V,
    there: bool,
) {
    if there {
        sets.entry(Arc::clone(of)).or_default().insert(item.clone());
    } else if let Some(set) = sets.get_mut(of) {
        set.remove(item);
        if set.is_empty() {
            sets.swap_remove(of);
        }
    }
}

fn attachment(key: &[u8]) -> Option<(Side, Arc<str>, Target)> {
    let [first, second] = key_texts(key, 1)?;
    match *key.get(1)? {
        side if side == Side::Policy as u8 => Some((Side::Policy, first, Target::parse(&second)?)),
        side if side == Side::Target as u8 => Some((Side::Target, second, Target::parse(&first)?)),
        _ => None,
    }
}
