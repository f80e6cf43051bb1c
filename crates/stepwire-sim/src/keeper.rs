//! Those who look after the fleet: they move things between groups, give them types, cut
//! connections, take rights and give them back, one deed at a time, each again until they know its
//! end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::{Request, Service};

use crate::device::Device;
use crate::dice::Dice;
use crate::operator::request;
use crate::story::{BROAD_POLICY, DEVICE_POLICY, certificate_arn};

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
    /// The right to connect is taken away or given back.
    Rights {
        /// By what means.
        means: Means,
        /// Number of the device; without meaning for [`Means::Version`].
        device: usize,
        /// Certificate of the device.
        certificate: Arc<str>,
        /// Whether it is given.
        given: bool,
    },
}

/// How a device loses its right to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// Its certificate is INACTIVE.
    Certificate,
    /// Its policy is detached.
    Policy(&'static str),
    /// The default version of the policy of most devices does not allow it.
    Version,
}

/// What is left to do, and what the registry must hold by what was acknowledged.
#[derive(Debug)]
pub struct Keeper {
    left: u32,
    /// What was taken and has to be given back.
    taken: Option<Deed>,
    /// What is being done, until its end is known.
    pub deed: Option<Deed>,
    members: BTreeMap<&'static str, BTreeSet<Arc<str>>>,
    types: BTreeMap<Arc<str>, &'static str>,
}

impl Keeper {
    /// One who has so much to do.
    pub fn new(deeds: u32) -> Keeper {
        Keeper {
            left: deeds,
            taken: None,
            deed: None,
            members: BTreeMap::new(),
            types: BTreeMap::new(),
        }
    }

    /// What to do now: the same until its end is known. `None`: nothing is left.
    pub fn next(
        &mut self,
        clients: &[Arc<str>],
        devices: &[Device],
        dice: &mut Dice,
    ) -> Option<Deed> {
        if self.deed.is_none() {
            let gives = self.left == 0 || dice.one_in(2);
            self.deed = self.taken.take_if(|_| gives);
        }
        if self.deed.is_none() && self.left > 0 {
            self.left -= 1;
            self.deed = Some(self.choose(clients, devices, dice));
        }
        self.deed.clone()
    }

    fn choose(&self, clients: &[Arc<str>], devices: &[Device], dice: &mut Dice) -> Deed {
        // The first device's rights are taken away for good.
        if self.taken.is_none() && devices.len() > 1 && dice.one_in(3) {
            let last = devices.len() - 1;
            let device = dice.between(1, last as i64) as usize;
            let policy = if device == last { BROAD_POLICY } else { DEVICE_POLICY };
            let means = [Means::Certificate, Means::Policy(policy), Means::Version];
            let means = means[dice.between(0, 2) as usize];
            let certificate = Arc::clone(&devices[device].certificate);
            return Deed::Rights { means, device, certificate, given: false };
        }
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
            Deed::Rights { given: false, means, device, certificate } => {
                let (means, device, certificate) = (*means, *device, Arc::clone(certificate));
                self.taken = Some(Deed::Rights { means, device, certificate, given: true });
            }
            Deed::Cut(_) | Deed::Rights { given: true, .. } => {}
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
            Deed::Rights { means, certificate, given, .. } => rights(*means, certificate, *given),
        }
    }
}

fn rights(means: Means, certificate: &str, given: bool) -> Request {
    let (operation, body) = match means {
        Means::Certificate => {
            let status = if given { "ACTIVE" } else { "INACTIVE" };
            let id = ("certificateId", Json::from(certificate));
            ("UpdateCertificate", Json::object([id, ("newStatus", status.into())]))
        }
        Means::Policy(policy) => {
            let operation = if given { "AttachPolicy" } else { "DetachPolicy" };
            let target = ("target", certificate_arn(certificate));
            (operation, Json::object([("policyName", Json::from(policy)), target]))
        }
        Means::Version => {
            let version = if given { "1" } else { "2" };
            let name = ("policyName", Json::from(DEVICE_POLICY));
            let body = Json::object([name, ("policyVersionId", version.into())]);
            ("SetDefaultPolicyVersion", body)
        }
    };
    request(Service::Iot, operation, &body)
}
