//! A registry with the records it has written, called as callers do.

#![expect(clippy::unwrap_used, reason = "tests")]

mod events;
mod groups;
mod identity;
mod random;
mod tags;
mod things;
mod types;

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};

use super::certificates::Certificates;
use super::groups::Groups;
use super::policies::Policies;
use super::search::Search;
use super::things::Things;
use super::types::Types;
use super::{Out, Registry, Request, Write, answer};
use crate::error::ApiError;
use crate::message::Message;
use crate::read::{Key, Range, Read};
use crate::record::Space;
use crate::settings::Settings;

/// What a test calls.
#[derive(Default)]
struct Shelf {
    registry: Registry,
    store: BTreeMap<Key, Vec<u8>>,
    settings: Settings,
    now: i64,
    /// Do not compare with what is stored after each call, where there are many.
    trusting: bool,
    /// Published since the test last looked.
    messages: Vec<Message>,
}

impl Shelf {
    /// The answer, or the refusal's name and message.
    fn call(&mut self, operation: &str, body: &str) -> Result<String, String> {
        let answer = self.request(operation, body);
        answer.map(|json| json.to_text()).map_err(|error| error.to_string())
    }

    fn request(&mut self, operation: &str, body: &str) -> Result<Json, ApiError> {
        let body = Json::parse(body).unwrap();
        let request = Request::parse(operation, &body).unwrap()?;
        if request.is_read() {
            return answer(&request, &self.store, &self.settings);
        }
        let (now, mut out) = (Timestamp(self.now), Out::default());
        let answer = self.registry.call(now, &request, &self.settings, &mut out);
        assert!(answer.is_ok() || out.writes.is_empty(), "{operation} was refused, and wrote");
        self.keep(out.writes);
        for event in out.events {
            let salt = self.messages.len() as u64;
            self.messages.push(event.message(now, salt, &self.settings));
        }
        self.compare(operation);
        answer
    }

    fn compare(&self, after: &str) {
        let same = self.trusting || self.stored() == self.registry;
        assert!(same, "{after} changed more than it wrote");
    }

    /// What the next tick does.
    fn sweep(&mut self) {
        let mut out = Out::default();
        self.registry.sweep_groups(Timestamp(self.now), &self.settings, &mut out);
        self.keep(out.writes);
        self.compare("sweeping");
    }

    fn keep(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write.entry() {
                (key, Some(value)) => self.store.insert(key, value),
                (key, None) => self.store.remove(&key),
            };
        }
    }

    /// The registry that recovery would load.
    fn stored(&self) -> Registry {
        let mut registry = Registry::default();
        for space in Registry::SPACES {
            for (key, value) in Read::range(&self.store, &Range::prefix(&[*space as u8])) {
                registry.load(&key, &value).unwrap();
            }
        }
        registry
    }

    /// The call must succeed.
    fn done(&mut self, operation: &str, body: &str) -> Json {
        self.request(operation, body).unwrap()
    }

    /// The call must be refused so.
    fn refused(&mut self, operation: &str, body: &str, why: &str) {
        let answer = self.call(operation, body).unwrap_err();
        assert!(answer.contains(why), "{operation} {body}: {answer}");
    }

    /// Texts in a list of an answer: those of `member`, or the items themselves.
    fn names(&mut self, operation: &str, body: &str, list: &str, member: &str) -> Vec<String> {
        let answer = self.done(operation, body);
        let items = answer.member(list).unwrap().as_array().unwrap();
        let name = |item: &Json| item.member(member).unwrap_or(item).as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    }

    /// All names of a list in pages of `limit`.
    fn pages(&mut self, operation: &str, body: &str, list: &str, limit: usize) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut after = String::new();
        loop {
            let body = format!(r#"{{{body},"maxResults":{limit}{after}}}"#);
            let answer = self.done(operation, &body);
            let items = answer.member(list).unwrap().as_array().unwrap();
            let name = |item: &Json| {
                let name = item.member("groupName").or_else(|| item.member("thingName"));
                name.unwrap_or(item).as_str().unwrap().to_owned()
            };
            pages.push(items.iter().map(name).collect());
            match answer.member("nextToken").and_then(Json::as_str) {
                Some(token) => after = format!(r#","nextToken":"{token}""#),
                None => return pages,
            }
        }
    }

    fn things<const N: usize>(&mut self, names: [&str; N]) {
        for name in names {
            self.done("CreateThing", &format!(r#"{{"thingName":"{name}"}}"#));
        }
    }

    /// Topics and payloads published since the last look.
    fn published(&mut self) -> Vec<(String, String)> {
        let text = |message: Message| {
            let payload = String::from_utf8(message.payload.to_vec()).unwrap();
            (message.topic.to_string(), payload)
        };
        self.messages.drain(..).map(text).collect()
    }
}

#[test]
fn recovery_loads_what_every_subject_stores() {
    let subjects = [
        Things::SPACES,
        Certificates::SPACES,
        Policies::SPACES,
        Types::SPACES,
        Groups::SPACES,
        Search::SPACES,
        &[Space::RegistrySetting, Space::RegistryTag],
    ]
    .concat();
    assert!(subjects.iter().all(|space| Registry::SPACES.contains(space)));
    assert_eq!(subjects.len(), Registry::SPACES.len());
}
