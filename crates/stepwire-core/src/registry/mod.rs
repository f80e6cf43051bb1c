//! The registry: things, certificates, policies, and what is attached to what.
//!
//! A device is what its certificate's fingerprint says: certificate, then the thing it is attached
//! to, then the policies attached to it. The registry is small enough to be in memory whole.
//!
//! One module per subject, each with its own requests, writes and state; this one only nests them.
//! Read in this order: [`things`], [`certificates`], [`policies`], `authorize`.

mod authorize;
pub mod certificates;
mod error;
mod listing;
mod names;
pub mod policies;
pub mod things;

use std::collections::{BTreeMap, BTreeSet};

use stepwire_asl::{Json, Timestamp};

pub use listing::Page;

use crate::error::ApiError;
use crate::params::Params;
use crate::read::Read;
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;
use certificates::Certificates;
use policies::Policies;
use things::Things;

/// A registry request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Things and their principals.
    Things(things::Request),
    /// Certificates.
    Certificates(certificates::Request),
    /// Policies and what they are attached to.
    Policies(policies::Request),
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
        Some(policies::Request::parse(operation, p)?.map(Request::Policies))
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Things(request) => request.is_read(),
            Request::Certificates(request) => request.is_read(),
            Request::Policies(request) => request.is_read(),
        }
    }
}

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Things(request) => things::answer(request, read, settings),
        Request::Certificates(request) => certificates::answer(request, read, settings),
        Request::Policies(request) => policies::answer(request, read, settings),
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
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Things(write) => write.entry(),
            Write::Certificates(write) => write.entry(),
            Write::Policies(write) => write.entry(),
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

/// What every decision of one request needs.
struct Turn<'a> {
    now: Timestamp,
    settings: &'a Settings,
    out: &'a mut Vec<Write>,
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
}

impl Registry {
    /// What recovery loads: the spaces of every subject.
    pub const SPACES: &'static [Space] = &[
        Space::Thing,
        Space::Attachment,
        Space::Certificate,
        Space::Policy,
        Space::PolicyAttachment,
    ];

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let turn = &mut Turn { now, settings, out };
        match request {
            Request::Things(request) => self.call_things(request, turn),
            Request::Certificates(request) => self.call_certificates(request, turn),
            Request::Policies(request) => self.call_policies(request, turn),
        }
    }

    fn record(&mut self, write: impl Into<Write>, turn: &mut Turn<'_>) {
        let write = write.into();
        self.apply(&write);
        turn.out.push(write);
    }

    /// The only thing that changes the registry.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Things(write) => self.things.apply(write),
            Write::Certificates(write) => self.certificates.apply(write),
            Write::Policies(write) => self.policies.apply(write),
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
        } else {
            self.policies.load(key, value)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_loads_what_every_subject_stores() {
        let subjects = [Things::SPACES, Certificates::SPACES, Policies::SPACES].concat();
        assert!(subjects.iter().all(|space| Registry::SPACES.contains(space)));
        assert_eq!(subjects.len(), Registry::SPACES.len());
    }
}
