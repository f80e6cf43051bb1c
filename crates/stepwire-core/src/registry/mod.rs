//! The registry: things, certificates, policies, and what is attached to what.
//!
//! A device is what its certificate's fingerprint says: certificate, then the thing it is attached
//! to, then the policies attached to it. The registry is small enough to be in memory whole.
//!
//! One module per subject, each with its own requests, writes and state; this one only nests them.
//! Read in this order: [`things`], [`types`], [`groups`], [`certificates`], [`policies`], `authorize`,
//! [`events`].

pub mod attributes;
mod authorize;
pub mod certificates;
mod concern;
mod error;
pub mod events;
pub mod groups;
mod listing;
mod names;
pub mod policies;
pub mod search;
pub mod tags;
pub mod things;
pub mod types;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use authorize::At;
pub use listing::Page;

use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::params::Params;
use crate::read::Read;
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;
use certificates::Certificates;
use events::{Event, EventSettings};
use groups::Groups;
use policies::Policies;
use search::Search;
use tags::{AllTags, Tagged};
use things::Things;
use types::Types;

/// A registry request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Things and their principals.
    Things(things::Request),
    /// Certificates.
    Certificates(certificates::Request),
    /// Policies and what they are attached to.
    Policies(policies::Request),
    /// Thing types.
    Types(types::Request),
    /// Thing groups and their members.
    Groups(groups::Request),
    /// Which events are published.
    Events(events::Request),
    /// Fleet indexing and dynamic thing groups.
    Search(search::Request),
    /// Tags.
    Tags(tags::Request),
}

impl Request {
    /// The request that `body` makes of `operation`; `None` for operations we do not serve.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let p = &Params::new(body, "InvalidRequestException");
        if let Some(parsed) = things::Request::parse(operation, p) {
            return Some(parsed.map(Request::Things));
        }
        if let Some(parsed) = certificates::Request::parse(operation, p) {
            return Some(parsed.map(Request::Certificates));
        }
        if let Some(parsed) = policies::Request::parse(operation, p) {
            return Some(parsed.map(Request::Policies));
        }
        if let Some(parsed) = types::Request::parse(operation, p) {
            return Some(parsed.map(Request::Types));
        }
        if let Some(parsed) = groups::Request::parse(operation, p) {
            return Some(parsed.map(Request::Groups));
        }
        if let Some(parsed) = events::Request::parse(operation, p) {
            return Some(parsed.map(Request::Events));
        }
        if let Some(parsed) = search::Request::parse(operation, p) {
            return Some(parsed.map(Request::Search));
        }
        Some(tags::Request::parse(operation, p)?.map(Request::Tags))
    }

    /// The end of the ARN of what it sets the tags of, which need not be in the registry.
    pub(crate) fn tagged(&self) -> Option<&str> {
        match self {
            Request::Tags(request) => Some(request.resource()),
            _ => None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Things(request) => request.is_read(),
            Request::Certificates(request) => request.is_read(),
            Request::Policies(request) => request.is_read(),
            Request::Types(request) => request.is_read(),
            Request::Groups(request) => request.is_read(),
            Request::Events(request) => request.is_read(),
            Request::Search(request) => request.is_read(),
            Request::Tags(request) => request.is_read(),
        }
    }
}

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Things(request) => things::answer(request, read, settings),
        Request::Certificates(request) => certificates::answer(request, read, settings),
        Request::Policies(request) => policies::answer(request, read, settings),
        Request::Types(request) => types::answer(request, read, settings),
        Request::Groups(request) => groups::answer(request, read, settings),
        Request::Events(request) => events::answer(request, read),
        Request::Search(request) => search::answer(request, read),
        Request::Tags(request) => tags::answer(request, read),
    }
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Things and their principals.
    Things(things::Write),
    /// Certificates.
    Certificates(certificates::Write),
    /// Policies and what they are attached to.
    Policies(policies::Write),
    /// Thing types and the things of them.
    Types(types::Write),
    /// Thing groups and their members.
    Groups(groups::Write),
    /// Which events are published.
    Events(EventSettings),
    /// What is indexed.
    Search(search::Write),
    /// The tags of a resource.
    Tags(Tagged),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Things(write) => write.entry(),
            Write::Certificates(write) => write.entry(),
            Write::Policies(write) => write.entry(),
            Write::Types(write) => write.entry(),
            Write::Groups(write) => write.entry(),
            Write::Events(settings) => settings.entry(),
            Write::Search(write) => write.entry(),
            Write::Tags(tagged) => tagged.entry(),
        }
    }
}

impl From<things::Write> for Write {
    fn from(write: things::Write) -> Write {
        Write::Things(write)
    }
}

impl From<certificates::Write> for Write {
    fn from(write: certificates::Write) -> Write {
        Write::Certificates(write)
    }
}

impl From<policies::Write> for Write {
    fn from(write: policies::Write) -> Write {
        Write::Policies(write)
    }
}

impl From<types::Write> for Write {
    fn from(write: types::Write) -> Write {
        Write::Types(write)
    }
}

impl From<groups::Write> for Write {
    fn from(write: groups::Write) -> Write {
        Write::Groups(write)
    }
}

impl From<search::Write> for Write {
    fn from(write: search::Write) -> Write {
        Write::Search(write)
    }
}

impl From<EventSettings> for Write {
    fn from(settings: EventSettings) -> Write {
        Write::Events(settings)
    }
}

impl From<Tagged> for Write {
    fn from(tagged: Tagged) -> Write {
        Write::Tags(tagged)
    }
}

/// What one request came to.
#[derive(Debug, Default)]
pub struct Out {
    /// What must be durable, in order.
    pub writes: Vec<Write>,
    /// What is published in the same commit, in order.
    pub events: Vec<Event>,
}

/// What every decision of one request needs.
struct Turn<'a> {
    now: Timestamp,
    settings: &'a Settings,
    out: &'a mut Out,
}

/// Everything registered.
#[derive(Debug, Default, PartialEq)]
pub struct Registry {
    /// Things and their principals.
    pub things: Things,
    /// Certificates.
    pub certificates: Certificates,
    /// Policies and what they are attached to.
    pub policies: Policies,
    /// Thing types and the things of them.
    pub types: Types,
    /// Thing groups and their members.
    pub groups: Groups,
    /// What is indexed, and the index.
    pub search: Search,
    /// Which events are published; none before that has been said.
    events: Option<EventSettings>,
    tags: AllTags,
}

impl Registry {
    /// What recovery loads: the spaces of every subject.
    pub const SPACES: &'static [Space] = &[
        Space::Thing,
        Space::Attachment,
        Space::Certificate,
        Space::CaCertificate,
        Space::Policy,
        Space::PolicyAttachment,
        Space::ThingType,
        Space::ThingOfType,
        Space::ThingGroup,
        Space::GroupMember,
        Space::DynamicGroup,
        Space::RegistrySetting,
        Space::RegistryTag,
    ];

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<Json, ApiError> {
        let turn = &mut Turn { now, settings, out };
        match request {
            Request::Things(request) => self.call_things(request, turn),
            Request::Certificates(request) => self.call_certificates(request, turn),
            Request::Policies(request) => self.call_policies(request, turn),
            Request::Types(request) => self.call_types(request, turn),
            Request::Groups(request) => self.call_groups(request, turn),
            Request::Events(request) => self.call_events(request, turn),
            Request::Search(request) => self.call_search(request, turn),
            Request::Tags(request) => self.call_tags(request, turn),
        }
    }

    fn record(&mut self, write: impl Into<Write>, turn: &mut Turn<'_>) {
        let write = write.into();
        self.apply(&write);
        turn.out.writes.push(write);
    }

    /// The only thing that changes the registry.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Things(write) => self.things.apply(write),
            Write::Certificates(write) => self.certificates.apply(write),
            Write::Policies(write) => self.policies.apply(write),
            Write::Types(write) => self.types.apply(write),
            Write::Groups(write) => {
                self.groups.apply(write);
                if let groups::Write::Group(name, group) = write {
                    self.search.follow_group(name, group.as_ref());
                }
            }
            Write::Search(write) => self.search.apply(write),
            Write::Events(settings) => self.events = Some(settings.clone()),
            Write::Tags(tagged) => tags::apply(&mut self.tags, tagged),
        }
    }

    /// Takes in one stored entry of one of the [`SPACES`](Registry::SPACES).
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let is_in =
            |spaces: &[Space]| spaces.iter().any(|space| key.first() == Some(&(*space as u8)));
        if is_in(Things::SPACES) {
            self.things.load(key, value)
        } else if is_in(Certificates::SPACES) {
            self.certificates.load(key, value)
        } else if is_in(Policies::SPACES) {
            self.policies.load(key, value)
        } else if is_in(Types::SPACES) {
            self.types.load(key, value)
        } else if is_in(Groups::SPACES) {
            self.apply(&Write::Groups(groups::stored(key, value)?));
            Ok(())
        } else if is_in(Search::SPACES) {
            self.search.load(key, value)
        } else if is_in(&[Space::RegistrySetting]) {
            self.load_setting(key, value)
        } else {
            self.apply(&Write::Tags(tags::stored(key, value)?));
            Ok(())
        }
    }
}

impl Registry {
    fn load_setting(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        match listing::key_texts(key, 0).as_ref().map(|[name]: &[Arc<str>; 1]| name.as_ref()) {
            Some(events::SETTING) => self.apply(&Write::Events(events::stored(key, value)?)),
            Some(search::configuration::SETTING) => {
                let configuration = search::configuration::stored(key, value)?;
                self.apply(&Write::Search(search::Write::Configuration(configuration)));
            }
            _ => {
                let why = "a setting this stepwire does not know".to_owned();
                return Err(Corrupt { key: key.to_vec(), why });
            }
        }
        Ok(())
    }
}

/// An identifier of something new called `name`.
fn identifier(kind: &str, name: &str, turn: &Turn<'_>) -> Arc<str> {
    let parts: Vec<u64> = name.bytes().map(u64::from).chain([turn.now.0 as u64]).collect();
    derived_uuid(&turn.settings.secret, kind, &parts).into()
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
