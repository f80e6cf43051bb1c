//! The index follows what changes; searches and what is being built go on a slice at a time.
//!
//! Searches run here, where everything is decided, and not at the rim on stored records: the index
//! is in memory once, what is acknowledged is found at once, a task of a workflow has its answer in
//! its own commit, and who is a member of a dynamic group is decided in the step that changes it.
//! Devices do not wait for that: what the index does not answer directly looks at [`SLICE`] things
//! in a step, and goes on when all inputs that came meanwhile had their turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Kernel, Step};
use crate::asking::{Asker, reply_to};
use crate::broker::{self, Broker, SessionRecord};
use crate::effect::Effect;
use crate::error::ApiError;
use crate::registry::search::request::Look;
use crate::registry::search::{self, Changed, Connectivity, Search};
use crate::registry::{self, groups, things};
use crate::write::Write;

/// Most things looked at in one step.
const SLICE: usize = 1_000;
/// Most searches on their way; more are refused.
const SEARCHES_MAX: usize = 1_000;

impl Kernel {
    /// Carries out a request of fleet indexing. `None`: the search is on its way.
    pub(super) fn call_search(
        &mut self,
        now: Timestamp,
        asker: Asker,
        request: &search::Request,
        step: &mut Step,
    ) -> Option<Result<Json, ApiError>> {
        match request {
            search::Request::Look(look) => self.look(asker, look, step),
            search::Request::Connectivity(thing) => {
                let connectivity = connectivity(&self.broker, &self.registry.search, thing);
                Some(self.registry.connectivity_data(thing, &connectivity))
            }
            request => {
                let changes = !matches!(request, search::Request::Describe(_));
                let request = registry::Request::Search(request.clone());
                let answer = self.call_registry(now, &request, step);
                // A small fleet is gone through before the answer.
                if changes && answer.is_ok() && self.registry.search.has_work() {
                    self.note_clients();
                    self.build(now, step);
                }
                Some(answer)
            }
        }
    }

    fn look(
        &mut self,
        asker: Asker,
        look: &Look,
        step: &mut Step,
    ) -> Option<Result<Json, ApiError>> {
        let mut run = match self.registry.begin(look) {
            Ok(run) => run,
            Err(error) => return Some(Err(error)),
        };
        if self.registry.go_on(&mut run, SLICE) {
            return Some(Ok(self.found(run)));
        }
        if self.searches.len() >= SEARCHES_MAX {
            let why = format!("{SEARCHES_MAX} searches are on their way");
            return Some(Err(ApiError::new("ThrottlingException", why)));
        }
        self.searches.push_back((asker, run));
        self.wake_indexing(step);
        None
    }

    fn found(&self, run: search::Run) -> Json {
        let of = |thing: &str| connectivity(&self.broker, &self.registry.search, thing);
        self.registry.found(run, &of)
    }

    /// A slice of what is being built and of the search whose turn it is.
    pub(super) fn go_on_indexing(&mut self, now: Timestamp, step: &mut Step) {
        self.indexing = false;
        if self.registry.search.has_work() {
            self.build(now, step);
        }
        if let Some((asker, mut run)) = self.searches.pop_front() {
            if self.registry.go_on(&mut run, SLICE) {
                reply_to(asker, Ok(self.found(run)), now, step);
            } else {
                self.searches.push_back((asker, run));
            }
        }
        if self.registry.search.has_work() || !self.searches.is_empty() {
            self.wake_indexing(step);
        }
    }

    fn build(&mut self, now: Timestamp, step: &mut Step) {
        let mut out = registry::Out::default();
        let broker = &self.broker;
        let of = |search: &Search, thing: &str| connectivity(broker, search, thing);
        self.registry.build(now, SLICE, &of, &self.settings, &mut out);
        self.registered(now, out, step);
        if self.registry.search.has_work() {
            self.wake_indexing(step);
        }
    }

    fn wake_indexing(&mut self, step: &mut Step) {
        if !self.indexing {
            self.indexing = true;
            step.effects.push(Effect::ContinueIndexing);
        }
    }

    /// After a restart: makes the index, before anything is asked of it.
    pub(super) fn make_index(&mut self) {
        if self.registry.search.is_on() {
            self.note_clients();
            let broker = &self.broker;
            self.registry.make_index(&|search, thing| connectivity(broker, search, thing));
        }
    }

    /// Finds out which clients speak for things of another name.
    fn note_clients(&mut self) {
        let search = &mut self.registry.search;
        for record in self.broker.records() {
            note_client(&self.broker, search, record);
        }
    }

    /// Has the index and the dynamic groups follow what has been written in this step.
    pub(super) fn follow_changes(&mut self, now: Timestamp, step: &mut Step) {
        if !self.registry.search.is_on() {
            return;
        }
        let mut seen = 0;
        loop {
            let changed = self.changed_things(step.writes.get(seen..).unwrap_or_default());
            seen = step.writes.len();
            for (thing, changed) in &changed {
                let connectivity = connectivity(&self.broker, &self.registry.search, thing);
                let mut out = registry::Out::default();
                let (registry, settings) = (&mut self.registry, &self.settings);
                registry.follow(now, thing, *changed, &connectivity, settings, &mut out);
                // What members join and leave is published, and may change more.
                self.registered(now, out, step);
            }
            if step.writes.len() == seen {
                return;
            }
        }
    }

    fn changed_things(&mut self, writes: &[Write]) -> BTreeMap<Arc<str>, Changed> {
        let mut all: BTreeMap<Arc<str>, Changed> = BTreeMap::new();
        let mut note = |thing: &Arc<str>, changed: Changed| {
            let there = all.entry(Arc::clone(thing)).or_default();
            *there = there.and(changed);
        };
        for write in writes {
            match write {
                Write::Registry(registry::Write::Things(things::Write::Thing(thing, _))) => {
                    note(thing, Changed::THING);
                }
                Write::Registry(registry::Write::Groups(groups::Write::Member {
                    group,
                    thing,
                    ..
                })) => {
                    let dynamic =
                        self.registry.groups.find(group).is_some_and(|it| it.query.is_some());
                    note(thing, Changed::MEMBERS);
                    if !dynamic {
                        note(thing, Changed::GROUPS);
                    }
                }
                Write::Broker(broker::Write::Session { client, record }) => {
                    if let Some(record) = record {
                        note_client(&self.broker, &mut self.registry.search, record);
                        record
                            .client
                            .thing
                            .iter()
                            .for_each(|thing| note(thing, Changed::CONNECTIVITY));
                    }
                    note(client, Changed::CONNECTIVITY);
                }
                _ => {}
            }
        }
        all
    }
}

/// Notes for which thing a client speaks, unless another does that is connected.
fn note_client(broker: &Broker, search: &mut Search, record: &SessionRecord) {
    let Some(thing) = &record.client.thing else { return };
    let other = broker.record_of(search.client_of(thing));
    if record.connected || !other.is_some_and(|other| other.connected) {
        search.note_client(thing, &record.client.id);
    }
}

/// How the connection of the client that speaks for a thing stands.
fn connectivity(broker: &Broker, search: &Search, thing: &str) -> Connectivity {
    let record = broker.record_of(search.client_of(thing));
    record.map(Connectivity::of).unwrap_or_default()
}
