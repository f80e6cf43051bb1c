//! Fleet indexing: things and thing groups by what is known of them, and the groups whose members
//! follow from that.
//!
//! The configuration, and which dynamic groups are still being built, are durable. The [`Index`] is
//! derived from the registry and the sessions; the kernel has it follow every change in the step
//! that makes it, so that what is acknowledged is found at once.
//!
//! Read in this order: [`query`], [`document`], [`index`], [`run`], [`dynamic`].

mod aggregate;
pub mod configuration;
pub mod document;
pub mod dynamic;
mod index;
pub mod query;
pub mod request;
mod run;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use configuration::Configuration;
pub use document::Connectivity;
pub use dynamic::Building;
pub(crate) use dynamic::Changed;
pub use query::Query;
pub use request::Request;
pub(crate) use run::Run;
pub(super) use view::answer;

use super::error::{invalid, nothing};
use super::groups::ThingGroup;
use super::listing::key_texts;
use super::{Out, Registry, Turn};
use crate::error::ApiError;
use crate::read::{Key, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;
use document::Document;
use dynamic::Compiled;
use index::Index;

const FORMAT: u8 = 1;

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// What is indexed.
    Configuration(Configuration),
    /// A dynamic group is being built, or no longer.
    Building(Arc<str>, Option<Building>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Configuration(configuration) => configuration.entry(),
            Write::Building(name, building) => {
                (building_key(name), building.as_ref().map(|it| encode(FORMAT, it)))
            }
        }
    }
}

fn building_key(group: &str) -> Key {
    KeyBuilder::new(Space::DynamicGroup).text(group).build()
}

/// `status` of a dynamic group.
pub(super) fn group_status(name: &str, read: &dyn Read) -> Result<&'static str, Corrupt> {
    let key = building_key(name);
    let Some(value) = read.get(&key) else { return Ok("ACTIVE") };
    decode(FORMAT, &key, &value).map(|building: Building| building.word())
}

/// What is indexed, and the index.
#[derive(Debug, Default)]
pub struct Search {
    configuration: Configuration,
    building: BTreeMap<Arc<str>, Building>,
    /// Derived, as all that follows; `None` while things are not indexed.
    making: Option<Making>,
    /// Queries of the dynamic groups.
    queries: BTreeMap<Arc<str>, Compiled>,
    /// Clients of things that are not called as their client is.
    clients: BTreeMap<Arc<str>, Arc<str>>,
}

/// The index, complete or on its way.
#[derive(Debug, Default)]
struct Making {
    index: Index,
    /// Whether there was an index before.
    again: bool,
    /// Whether every thing is in it.
    complete: bool,
    /// The last thing that was put in.
    last: Option<Arc<str>>,
}

/// What is derived is not compared.
impl PartialEq for Search {
    fn eq(&self, other: &Search) -> bool {
        self.configuration == other.configuration && self.building == other.building
    }
}

impl Search {
    /// What recovery loads, besides its setting.
    pub const SPACES: &'static [Space] = &[Space::DynamicGroup];

    /// Whether things are indexed.
    pub(crate) fn is_on(&self) -> bool {
        self.making.is_some()
    }

    /// Whether there is something left to be built.
    pub(crate) fn has_work(&self) -> bool {
        self.making.as_ref().is_some_and(|making| !making.complete || !self.building.is_empty())
    }

    fn index(&self) -> Option<&Index> {
        self.making.as_ref().map(|making| &making.index)
    }

    fn is_active(&self) -> bool {
        self.making.as_ref().is_some_and(|making| making.complete)
    }

    /// `indexStatus`
    fn status(&self) -> &'static str {
        match &self.making {
            Some(Making { complete: false, again: false, .. }) => "BUILDING",
            Some(Making { complete: false, again: true, .. }) => "REBUILDING",
            Some(Making { complete: true, .. }) | None => "ACTIVE",
        }
    }

    /// Refuses a query about what is not indexed.
    fn check_indexed(&self, query: &Query) -> Result<(), ApiError> {
        let mut missing = None;
        query.terms(&mut |term| {
            if term.field.is_connectivity() && !self.configuration.has_connectivity() {
                missing = Some(term.field.clone());
            }
        });
        match missing {
            None => Ok(()),
            Some(field) => {
                let why = format!(
                    "the field `{field}` is not indexed\nhint: set \
                     `thingConnectivityIndexingMode` to STATUS with UpdateIndexingConfiguration"
                );
                Err(ApiError::new("InvalidQueryException", why))
            }
        }
    }

    /// The client that speaks for a thing.
    pub(crate) fn client_of<'a>(&'a self, thing: &'a str) -> &'a str {
        self.clients.get(thing).map_or(thing, |client| client)
    }

    /// Notes which client speaks for a thing.
    pub(crate) fn note_client(&mut self, thing: &Arc<str>, client: &Arc<str>) {
        if thing != client {
            self.clients.insert(Arc::clone(thing), Arc::clone(client));
        } else if !self.clients.is_empty() {
            self.clients.remove(thing);
        }
    }

    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Configuration(configuration) => {
                let before = std::mem::replace(&mut self.configuration, configuration.clone());
                if configuration.things.is_none() {
                    self.making = None;
                } else if before.has_connectivity() != configuration.has_connectivity()
                    || self.making.is_none()
                {
                    let again = self.making.is_some();
                    self.making = Some(Making { again, ..Making::default() });
                }
            }
            Write::Building(name, Some(building)) => {
                self.building.insert(Arc::clone(name), building.clone());
            }
            Write::Building(name, None) => {
                self.building.remove(name);
            }
        }
    }

    /// Follows a change of a group.
    pub(super) fn follow_group(&mut self, name: &Arc<str>, group: Option<&ThingGroup>) {
        match group.and_then(Compiled::of) {
            Some(compiled) => drop(self.queries.insert(Arc::clone(name), compiled)),
            None => drop(self.queries.remove(name)),
        }
    }

    /// Takes in one stored entry.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let corrupt = || Corrupt { key: key.to_vec(), why: "not a dynamic group's key".to_owned() };
        let [name] = key_texts(key, 0).ok_or_else(corrupt)?;
        self.apply(&Write::Building(name, Some(decode(FORMAT, key, value)?)));
        Ok(())
    }
}

impl Registry {
    /// Carries out a request that changes something, or asks how far the index is.
    pub(super) fn call_search(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Configure(update) => {
                let configuration = self.search.configuration.updated(update);
                let before = self.search.configuration.clone();
                if configuration != before {
                    self.record(Write::Configuration(configuration), turn);
                }
                if self.search.is_on() && !self.search.is_active() {
                    self.rebuild_groups(turn);
                }
                Ok(nothing())
            }
            Request::Describe(name) => self.search.describe(name),
            Request::CreateGroup(new) => self.create_dynamic_group(new, turn),
            Request::UpdateGroup { name, description, attributes, expected, query } => self
                .update_dynamic_group(
                    name,
                    description.as_ref(),
                    attributes,
                    *expected,
                    query.as_ref(),
                    turn,
                ),
            Request::DeleteGroup { name, expected } => {
                self.delete_dynamic_group(name, *expected, turn)
            }
            Request::Configuration
            | Request::List
            | Request::Look(_)
            | Request::Connectivity(_) => Err(invalid("this request only reads")),
        }
    }

    /// Goes on with what is being built: the index, then the groups. Looks at no more than `most`
    /// things.
    pub(crate) fn build(
        &mut self,
        now: Timestamp,
        most: usize,
        connectivity: &dyn Fn(&Search, &str) -> Connectivity,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, settings, out };
        let mut left = most;
        while left > 0 && self.search.has_work() {
            if self.search.is_active() {
                let looked_at = self.build_groups(left, turn);
                // An empty fleet is gone through, too.
                left -= looked_at.max(1).min(left);
            } else {
                left -= self.build_index(left, connectivity);
            }
        }
    }

    /// Makes the whole index at once.
    pub(crate) fn make_index(&mut self, connectivity: &dyn Fn(&Search, &str) -> Connectivity) {
        self.build_index(usize::MAX, connectivity);
    }

    /// How many things were put in.
    fn build_index(
        &mut self,
        most: usize,
        connectivity: &dyn Fn(&Search, &str) -> Connectivity,
    ) -> usize {
        let last = self.search.making.as_ref().and_then(|making| making.last.clone());
        let things: Vec<_> = self
            .things
            .after(last.as_ref())
            .take(most)
            .map(|thing| Arc::clone(&thing.name))
            .collect();
        for thing in &things {
            let connectivity = connectivity(&self.search, thing);
            self.put_in(thing, &connectivity);
        }
        if let Some(making) = &mut self.search.making {
            making.complete = things.len() < most;
            making.last = things.last().cloned().or(last);
        }
        things.len()
    }

    /// Puts what is known of a thing in the index; whether it is new there.
    fn put_in(&mut self, thing: &Arc<str>, connectivity: &Connectivity) -> bool {
        let indexed = self.search.configuration.has_connectivity();
        let document = self.things.find(thing).map(|record| {
            Document::new(record, self.groups.of(thing), indexed.then_some(connectivity))
        });
        let Some(making) = &mut self.search.making else { return false };
        let is_new = making.index.find(thing).is_none();
        making.index.set(thing, document);
        is_new
    }

    /// Has the index and the dynamic groups follow a change of a thing.
    pub(crate) fn follow(
        &mut self,
        now: Timestamp,
        thing: &Arc<str>,
        changed: Changed,
        connectivity: &Connectivity,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, settings, out };
        let is_new = self.put_in(thing, connectivity);
        if !self.search.queries.is_empty() {
            let changed = if is_new { Changed::ALL } else { changed };
            self.follow_members(thing, changed, turn);
        }
    }
}
