//! Who is connected, and who is in which group, as durable records tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_core::Write;
use stepwire_core::broker::{self, DisconnectReason};
use stepwire_core::registry::{self, groups, search};
use stepwire_core::tables::{self, Item};

use crate::keeper::ONLINE;
use crate::marks::Marks;

/// How often a thing came into a group, and how often it left.
type Moves = BTreeMap<(String, String), [u32; 2]>;

/// The picture that the records give.
#[derive(Debug, Default)]
pub struct Roll {
    connected: BTreeSet<Arc<str>>,
    members: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Whether the group of the connected has been put to all things.
    online: bool,
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
                    self.session(client, record.as_deref(), marks);
                }
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
