//! Those who look after the fleet: they move things between groups, give them types and cut
//! connections, one deed at a time, each again until they know its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::{Request, Service};

use crate::dice::Dice;
use crate::operator::request;

/// The group whose members are the things that are connected.
pub const ONLINE: &str = "online";
/// Groups with members by hand.
pub const GROUPS: [&str; 2] = ["north", "south"];
/// Types of things.
pub const TYPES: [&str; 2] = ["Thermostat", "Meter"];

/// Something done to the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A thing comes into a group, or leaves it.
    Move {
        /// The thing.
        thing: Arc<str>,
        /// The group.
        group: &'static str,
        /// Whether it comes.
        there: bool,
    },
    /// A thing becomes one of this type, or of none.
    Type(Arc<str>, Option<&'static str>),
    /// A client's connection is ended; its session goes on.
    Cut(Arc<str>),
}

/// What is left to do, and what the registry must hold by what was acknowledged.
#[derive(Debug)]
pub struct Keeper {
    left: u32,
    /// What is being done, until its end is known.
    pub deed: Option<Deed>,
    members: BTreeMap<&'static str, BTreeSet<Arc<str>>>,
    types: BTreeMap<Arc<str>, &'static str>,
}

impl Keeper {
    /// One who has so much to do.
    pub fn new(deeds: u32) -> Keeper {
        Keeper { left: deeds, deed: None, members: BTreeMap::new(), types: BTreeMap::new() }
    }

    /// What to do now: the same until its end is known. `None`: nothing is left.
    pub fn next(&mut self, clients: &[Arc<str>], dice: &mut Dice) -> Option<Deed> {
        if self.deed.is_none() && self.left > 0 {
            self.left -= 1;
            self.deed = Some(self.choose(clients, dice));
        }
        self.deed.clone()
    }

    fn choose(&self, clients: &[Arc<str>], dice: &mut Dice) -> Deed {
        let mut pick = |most: usize| dice.between(0, most as i64 - 1) as usize;
        let client = Arc::clone(&clients[pick(clients.len())]);
        match pick(6) {
            0 | 1 => {
                let group = GROUPS[pick(GROUPS.len())];
                let inside = self.members.get(group).is_some_and(|group| group.contains(&client));
                Deed::Move { thing: client, group, there: !inside }
            }
            2 => {
                let kind = [Some(TYPES[0]), Some(TYPES[1]), None][pick(3)];
                Deed::Type(client, kind)
            }
            _ => Deed::Cut(client),
        }
    }

    /// The deed has been acknowledged.
    pub fn done(&mut self) -> Option<Deed> {
        let deed = self.deed.take()?;
        match &deed {
            Deed::Move { thing, group, there: true } => {
                self.members.entry(group).or_default().insert(Arc::clone(thing));
            }
            Deed::Move { thing, group, there: false } => {
                self.members.entry(group).or_default().remove(thing);
            }
            Deed::Type(thing, Some(kind)) => drop(self.types.insert(Arc::clone(thing), kind)),
            Deed::Type(thing, None) => drop(self.types.remove(thing)),
            Deed::Cut(_) => {}
        }
        Some(deed)
    }

    /// Members that a group must have.
    pub fn members(&self, group: &str) -> BTreeSet<Arc<str>> {
        self.members.get(group).cloned().unwrap_or_default()
    }

    /// Things that must be of this type.
    pub fn things_of(&self, kind: &str) -> BTreeSet<Arc<str>> {
        let of_kind = self.types.iter().filter(|(_, of)| **of == kind);
        of_kind.map(|(thing, _)| Arc::clone(thing)).collect()
    }
}

impl Deed {
    /// The request that does it; the same each time.
    pub fn request(&self) -> Request {
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        match self {
            Deed::Move { thing, group, there } => {
                let operation =
                    if *there { "AddThingToThingGroup" } else { "RemoveThingFromThingGroup" };
                let body = [("thingGroupName", Json::from(*group)), ("thingName", text(thing))];
                request(Service::Iot, operation, &Json::object(body))
            }
            Deed::Type(thing, kind) => {
                let kind = match kind {
                    Some(kind) => ("thingTypeName", Json::from(*kind)),
                    None => ("removeThingType", true.into()),
                };
                let body = Json::object([("thingName", text(thing)), kind]);
                request(Service::Iot, "UpdateThing", &body)
            }
            Deed::Cut(client) => {
                let body = Json::object([("clientId", text(client))]);
                request(Service::IotData, "DeleteConnection", &body)
            }
        }
    }
}
