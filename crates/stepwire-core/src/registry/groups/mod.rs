//! Thing groups: static ones in hierarchies, dynamic ones by a query, and who is a member.
//!
//! Members of both kinds are recorded alike: a thing joins and leaves a static group because
//! somebody says so, a dynamic one because it begins or ceases to match the group's query. What is
//! recorded of a membership is kept twice, by group and by thing, so that no list looks at more
//! than it shows.

mod call;
mod members;
mod request;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

pub(super) use call::{NewGroup, changed};
pub use request::Request;
pub(super) use view::answer;

use super::attributes::Attributes;
use super::listing::key_texts;
use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// What stands for the parent of groups without one in lists of children.
const NO_PARENT: &str = "";

/// Most groups from a root to a group without children, both included.
pub(super) const DEPTH_MAX: usize = 7;
/// Most direct children of a group.
pub(super) const CHILDREN_MAX: usize = 100;
/// Most groups, static and dynamic, that a thing is in.
pub(super) const GROUPS_OF_THING_MAX: usize = 10;

/// A thing group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingGroup {
    /// Name.
    pub name: Arc<str>,
    /// `thingGroupId`
    pub id: Arc<str>,
    /// The group it was created in, if any; it never changes.
    pub parent: Option<Arc<str>>,
    /// `thingGroupDescription`
    pub description: Option<Arc<str>>,
    /// `attributePayload.attributes`
    pub attributes: Attributes,
    /// Grows with each change.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
    /// What its members match; `None` for a static group. A group with a query has no parent.
    pub query: Option<Query>,
}

/// What the members of a dynamic group match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// `indexName`
    pub index: Arc<str>,
    /// `queryString`
    pub text: Arc<str>,
    /// `queryVersion`
    pub version: Arc<str>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A group as it now is, or gone.
    Group(Arc<str>, Option<ThingGroup>),
    /// A group is a direct child of another, or no longer.
    Child {
        /// The parent's name; empty for a group without one.
        parent: Arc<str>,
        /// The child's name.
        child: Arc<str>,
        /// Whether it is.
        there: bool,
    },
    /// A group has a thing, or no longer. Comes with [`Write::Of`].
    Member {
        /// The group's name.
        group: Arc<str>,
        /// The thing's name.
        thing: Arc<str>,
        /// Since when; `None` once it no longer has.
        since: Option<Timestamp>,
    },
    /// A thing is in a group, or no longer. Comes with [`Write::Member`].
    Of {
        /// The thing's name.
        thing: Arc<str>,
        /// The group's name.
        group: Arc<str>,
        /// Whether it is.
        there: bool,
    },
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Group(name, record) => {
                (group_key(name), record.as_ref().map(|record| encode(FORMAT, record)))
            }
            Write::Child { parent, child, there } => {
                (children_of(parent).text(child).build(), there.then(|| encode(FORMAT, &())))
            }
            Write::Member { group, thing, since } => {
                let value = since.as_ref().map(|since| encode(FORMAT, since));
                (members_of(group).text(thing).build(), value)
            }
            Write::Of { thing, group, there } => {
                (groups_of(thing).text(group).build(), there.then(|| encode(FORMAT, &())))
            }
        }
    }
}

fn group_key(name: &str) -> Key {
    KeyBuilder::new(Space::ThingGroup).text(name).build()
}

/// Which list of [`Space::GroupMember`] an entry is of: its second byte.
const CHILDREN: u8 = 1;
const MEMBERS: u8 = 2;
const GROUPS: u8 = 3;

fn children_of(parent: &str) -> KeyBuilder {
    KeyBuilder::new(Space::GroupMember).bytes(&[CHILDREN]).text(parent)
}

/// What the keys of a group's members begin with; the thing's name follows.
pub(super) fn members_of(group: &str) -> KeyBuilder {
    KeyBuilder::new(Space::GroupMember).bytes(&[MEMBERS]).text(group)
}

/// What the keys of a thing's groups begin with; the group's name follows.
pub(super) fn groups_of(thing: &str) -> KeyBuilder {
    KeyBuilder::new(Space::GroupMember).bytes(&[GROUPS]).text(thing)
}

/// All thing groups and their members.
#[derive(Debug, Default, PartialEq)]
pub struct Groups {
    groups: BTreeMap<Arc<str>, ThingGroup>,
    // No set of the following stays empty.
    children: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    members: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Timestamp>>,
    groups_of: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Names of groups that are gone and still have members to be taken out.
    gone: BTreeSet<Arc<str>>,
}

impl Groups {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::ThingGroup, Space::GroupMember];

    /// The group of this name.
    pub fn find(&self, name: &str) -> Option<&ThingGroup> {
        self.groups.get(name)
    }

    /// All groups, by name.
    pub fn all(&self) -> impl Iterator<Item = &ThingGroup> {
        self.groups.values()
    }

    /// Groups by name, after this one.
    pub(super) fn after(&self, group: Option<&Arc<str>>) -> impl Iterator<Item = &ThingGroup> {
        let from = group.map_or(Unbounded, |group| Excluded(Arc::clone(group)));
        self.groups.range((from, Unbounded)).map(|(_, group)| group)
    }

    /// The static and dynamic groups a thing is in itself, by name.
    pub fn of(&self, thing: &str) -> impl Iterator<Item = &ThingGroup> {
        let names = self.groups_of.get(thing).into_iter().flatten();
        names.filter_map(|name| self.groups.get(name))
    }

    /// The things in a group itself, by name.
    pub fn members(&self, group: &str) -> impl Iterator<Item = &Arc<str>> {
        self.members.get(group).into_iter().flat_map(BTreeMap::keys)
    }

    /// Since when a thing is in a group itself.
    pub fn member_since(&self, group: &str, thing: &str) -> Option<Timestamp> {
        self.members.get(group)?.get(thing).copied()
    }

    /// The groups above a group, from the root to its parent.
    pub fn ancestors(&self, group: &str) -> Vec<&ThingGroup> {
        let parent = |name: &str| self.groups.get(self.groups.get(name)?.parent.as_ref()?);
        let mut above: Vec<_> =
            std::iter::successors(parent(group), |group| parent(&group.name)).collect();
        above.reverse();
        above
    }

    /// The names of the static groups a thing is in and of all groups above them: those whose
    /// policies are the thing's.
    pub fn lineage(&self, thing: &str) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        for group in self.of(thing).filter(|group| group.query.is_none()) {
            names.extend(self.ancestors(&group.name).iter().map(|above| Arc::clone(&above.name)));
            names.push(Arc::clone(&group.name));
        }
        names
    }

    /// Things in a group or in one below it.
    pub fn members_below(&self, group: &str) -> Vec<Arc<str>> {
        let mut members: Vec<_> = self.members(group).cloned().collect();
        for child in self.children.get(group).into_iter().flatten() {
            members.extend(self.members_below(child));
        }
        members
    }

    /// Whether groups that are gone still have members to be taken out.
    pub fn are_to_be_swept(&self) -> bool {
        !self.gone.is_empty()
    }

    fn children(&self, group: &str) -> usize {
        self.children.get(group).map_or(0, BTreeSet::len)
    }

    /// The root of the hierarchy a group is in: itself, if it has no parent.
    fn root<'a>(&'a self, group: &'a ThingGroup) -> &'a ThingGroup {
        self.ancestors(&group.name).first().copied().unwrap_or(group)
    }

    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Group(name, Some(record)) => {
                self.groups.insert(Arc::clone(name), record.clone());
                self.gone.remove(name);
            }
            Write::Group(name, None) => {
                self.groups.remove(name);
                if self.members.contains_key(name) {
                    self.gone.insert(Arc::clone(name));
                }
            }
            Write::Child { parent, child, there } => {
                super::change(&mut self.children, parent, child, *there);
            }
            Write::Member { group, thing, since: Some(since) } => {
                let members = self.members.entry(Arc::clone(group)).or_default();
                members.insert(Arc::clone(thing), *since);
                if !self.groups.contains_key(group) {
                    self.gone.insert(Arc::clone(group));
                }
            }
            Write::Member { group, thing, since: None } => {
                if let Some(members) = self.members.get_mut(group) {
                    members.remove(thing);
                    if members.is_empty() {
                        self.members.remove(group);
                        self.gone.remove(group);
                    }
                }
            }
            Write::Of { thing, group, there } => {
                super::change(&mut self.groups_of, thing, group, *there);
            }
        }
    }
}

/// The change that a stored entry is.
pub(super) fn stored(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
    if key.first() == Some(&(Space::ThingGroup as u8)) {
        let record: ThingGroup = decode(FORMAT, key, value)?;
        return Ok(Write::Group(Arc::clone(&record.name), Some(record)));
    }
    let corrupt = || Corrupt { key: key.to_vec(), why: "not a group member's key".to_owned() };
    let [first, second] = key_texts(key, 1).ok_or_else(corrupt)?;
    match key.get(1) {
        Some(&CHILDREN) => {
            let () = decode(FORMAT, key, value)?;
            Ok(Write::Child { parent: first, child: second, there: true })
        }
        Some(&MEMBERS) => {
            let since = Some(decode(FORMAT, key, value)?);
            Ok(Write::Member { group: first, thing: second, since })
        }
        Some(&GROUPS) => {
            let () = decode(FORMAT, key, value)?;
            Ok(Write::Of { thing: first, group: second, there: true })
        }
        _ => Err(corrupt()),
    }
}
