//! Who is connected, and who is in which group, as durable records tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;
use stepwire_core::Write;
use stepwire_core::broker::{self, DisconnectReason};
use stepwire_core::registry::{self, groups, search};
use stepwire_core::tables::{self, Item};

use crate::chatter::{LATE_S, LATE_WILL, READER, SHARERS};
use crate::keeper::ONLINE;
use crate::marks::Marks;

/// How often a thing came into a group, and how often it left.
type Moves = BTreeMap<(String, String), [u32; 2]>;

/// The delayed will may be this late while the process works, in milliseconds.
const LATE_MS: i64 = 100;

/// Delayed wills of one client.
#[derive(Debug, Default)]
struct Late {
    /// Since when one is to come, and in which life of the process that began.
    waits: Option<(Timestamp, u32)>,
    /// How many had to come.
    must: u32,
    /// How many may have come.
    may: u32,
    /// How many came.
    published: u32,
}

/// The picture that the records give.
#[derive(Debug, Default)]
pub struct Roll {
    connected: BTreeSet<Arc<str>>,
    members: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Whether the group of the connected has been put to all things.
    online: bool,
    /// What is stored of sessions: subscriptions and queued messages of each.
    stored: BTreeMap<Arc<str>, BTreeSet<String>>,
    late: BTreeMap<Arc<str>, Late>,
    restarts: u32,
    moved: Moves,
    told: Moves,
}

impl Roll {
    /// Whether this client's connection is open.
    pub fn is_connected(&self, client: &str) -> bool {
        self.connected.contains(client)
    }

    /// Who is connected.
    pub fn connected(&self) -> &BTreeSet<Arc<str>> {
        &self.connected
    }

    /// Writes that have just become durable. At the end of each step the group of the connected
    /// has as members who is connected.
    pub fn durable(&mut self, writes: &[Write], marks: &mut Marks) -> Option<String> {
        for write in writes {
            match write {
                Write::Broker(broker::Write::Session { client, record }) => {
                    self.late(client, record.as_deref(), marks);
                    self.session(client, record.as_deref(), marks);
                }
                Write::Broker(write) => self.stored(write, marks),
                Write::Registry(registry::Write::Groups(groups::Write::Member {
                    group,
                    thing,
                    since,
                })) => self.member(group, thing, since.is_some()),
                Write::Registry(registry::Write::Search(search::Write::Building(name, None)))
                    if name.as_ref() == ONLINE =>
                {
                    self.online = true;
                }
                Write::Tables(tables::Write::Item(_, Some(item))) => self.told(item, marks),
                _ => {}
            }
        }
        let members = self.members.get(ONLINE);
        let wrong = self.online && members.is_some_and(|members| *members != self.connected);
        wrong.then(|| format!("P4: connected are {:?}, and members {:?}", self.connected, members))
    }

    fn session(
        &mut self,
        client: &Arc<str>,
        record: Option<&broker::SessionRecord>,
        marks: &mut Marks,
    ) {
        if record.is_some_and(|record| record.connected) {
            self.connected.insert(Arc::clone(client));
        } else if self.connected.remove(client) {
            match record.and_then(|record| record.disconnect_reason) {
                Some(DisconnectReason::ApiInitiated) => {
                    marks.sometimes("connection ended by DeleteConnection");
                }
                Some(DisconnectReason::AuthError) => {
                    marks.sometimes("connection ended by loss of rights");
                }
                _ => {}
            }
        }
    }

    /// The process has come back.
    pub fn restarted(&mut self) {
        self.restarts += 1;
    }

    fn stored(&mut self, write: &broker::Write, marks: &mut Marks) {
        let (client, what, there) = match write {
            broker::Write::Subscription { client, filter, subscription } => {
                (client, format!("subscription {filter}"), subscription.is_some())
            }
            broker::Write::Queued { client, number, queued } => {
                let message = queued.as_ref().and_then(|queued| queued.message.as_ref());
                let new = message.filter(|message| message.topic.as_ref() == LATE_WILL);
                let what = format!("message {number}");
                let known = self.stored.get(client).is_some_and(|stored| stored.contains(&what));
                if let Some(message) = new.filter(|_| client.as_ref() == READER && !known) {
                    marks.sometimes("delayed will published");
                    let name = std::str::from_utf8(&message.payload).unwrap_or_default();
                    self.late.entry(name.into()).or_default().published += 1;
                }
                (client, what, queued.is_some())
            }
            _ => return,
        };
        let stored = self.stored.entry(Arc::clone(client)).or_default();
        if there {
            stored.insert(what);
        } else {
            stored.remove(&what);
        }
    }

    /// Something that is stored of a client's session.
    pub fn left_of(&self, client: &str) -> Option<&String> {
        self.stored.get(client)?.first()
    }

    /// Follows the delayed will of a client: it is published unless the client comes back in time.
    fn late(
        &mut self,
        client: &Arc<str>,
        record: Option<&broker::SessionRecord>,
        marks: &mut Marks,
    ) {
        if !SHARERS.contains(&client.as_ref()) {
            return;
        }
        let was_connected = self.connected.contains(client);
        let restarts = self.restarts;
        let late = self.late.entry(Arc::clone(client)).or_default();
        let Some(record) = record else { return };
        if was_connected && !record.connected {
            let clean = record.disconnect_reason == Some(DisconnectReason::ClientInitiated);
            late.waits = (!clean).then_some((record.since, restarts));
        }
        let Some((since, then)) = late.waits else { return };
        let waited = record.since.since_ms(since);
        let delay = i64::from(LATE_S) * 1_000;
        if record.connected {
            late.waits = None;
            if waited < delay {
                marks.sometimes("delayed will cancelled by a reconnect");
            } else if waited > delay + LATE_MS && then == restarts {
                late.must += 1;
            } else {
                late.may += 1;
            }
        } else if record.expiry_s == 0 {
            late.waits = None;
            late.must += 1;
        }
    }

    /// P4: delayed wills came when their clients stayed away, and only then.
    pub fn wills(&self) -> Vec<String> {
        let wrong = self.late.iter().filter(|(_, late)| {
            let must = late.must + u32::from(late.waits.is_some());
            !(must..=must + late.may).contains(&late.published)
        });
        wrong.map(|(client, late)| format!("P4: delayed wills of {client}: {late:?}")).collect()
    }

    fn member(&mut self, group: &Arc<str>, thing: &Arc<str>, there: bool) {
        let members = self.members.entry(Arc::clone(group)).or_default();
        let changed = if there { members.insert(Arc::clone(thing)) } else { members.remove(thing) };
        if changed {
            count(&mut self.moved, group, thing, there);
        }
    }

    /// An item that has become durable; it may tell of a move.
    fn told(&mut self, item: &Item, marks: &mut Marks) {
        let text = |name| item.string(name).unwrap_or_default();
        if text("eventType") != "THING_GROUP_MEMBERSHIP_EVENT" {
            return;
        }
        marks.sometimes("registry event told");
        let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let (group, thing) = (name(text("groupArn")), name(text("thingArn")));
        count(&mut self.told, &group, &thing, text("operation") == "ADDED");
    }

    /// P1: each move was told once.
    pub fn problems(&self) -> Vec<String> {
        let all: BTreeSet<_> = self.moved.keys().chain(self.told.keys()).collect();
        let differs = all.into_iter().filter(|of| self.moved.get(*of) != self.told.get(*of));
        let described = differs.map(|of| {
            let (moved, told) = (self.moved.get(of), self.told.get(of));
            format!("P1: {of:?} moved {moved:?} times, and events told of {told:?}")
        });
        described.collect()
    }
}

fn count(moves: &mut Moves, group: &str, thing: &str, there: bool) {
    let counts = moves.entry((group.to_owned(), thing.to_owned())).or_default();
    counts[usize::from(!there)] += 1;
}
