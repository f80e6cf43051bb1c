//! What is done to the fleet while it works.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::broker::ConnectionId;
use stepwire_core::mqtt::{Packet, ReasonCode};
use stepwire_core::{ApiError, Service};

use super::{Caller, Event, Revocation, Right, Who, Wire, World};
use crate::chatter::{READER, SHARERS, WRITER};
use crate::keeper::{Deed, GROUPS, Means, ONLINE, TYPES};
use crate::operator::request;

/// A device that is refused more often in a row will never come back.
const REFUSALS_MAX: u32 = 200;

impl World {
    /// Does the next deed, or the last one again.
    pub(super) fn keep(&mut self) {
        let devices = self.devices.iter().map(|device| Arc::clone(&device.name));
        let clients: Vec<Arc<str>> =
            devices.chain([WRITER, READER, SHARERS[0], SHARERS[1]].map(Arc::from)).collect();
        if let Some(deed) = self.keeper.next(&clients, &self.devices, &mut self.dice) {
            self.wiped |= deed == Deed::Wipe;
            if let Deed::Rights { means, device, .. } = &deed {
                self.set_rights(*means, *device, Right::Asked);
            }
            self.call(Caller::Keeper, deed.request());
        }
    }

    pub(super) fn kept(&mut self, answer: Result<Json, ApiError>) {
        let deed = self.keeper.done();
        match (&deed, answer) {
            (Some(Deed::Cut(_) | Deed::Wipe), Err(error))
                if error.code == "ResourceNotFoundException" =>
            {
                self.marks.sometimes("DeleteConnection of a client that is away");
            }
            (_, Err(error)) => self.checks.problem(format!("P1: {deed:?} refused: {error}")),
            (Some(Deed::Move { there, .. }), Ok(_)) => self.marks.sometimes(if *there {
                "thing came into a group"
            } else {
                "thing left a group"
            }),
            (Some(Deed::Wipe), Ok(_)) => {
                self.marks.sometimes("session ended by DeleteConnection");
                let left = self.checks.roll.left_of(SHARERS[0]);
                let problem = left.map(|left| format!("P1: {left} of an ended session is left"));
                problem.into_iter().for_each(|problem| self.checks.problem(problem));
            }
            (Some(Deed::Rights { means, device, given: true, .. }), Ok(_)) => {
                self.set_rights(*means, *device, Right::Held);
            }
            (Some(Deed::Rights { means, device, given: false, .. }), Ok(_)) => {
                self.set_rights(*means, *device, Right::Gone);
                self.check_ended(*means);
            }
            (Some(Deed::Type(_, Some(_))), Ok(_)) => self.marks.sometimes("thing got a type"),
            _ => {}
        }
        let next = self.dice.between(50, 2_500);
        self.at(next, Event::Keep);
    }

    fn set_rights(&mut self, means: Means, device: usize, right: Right) {
        let concerned = match means {
            Means::Certificate | Means::Policy(_) => device..device + 1,
            Means::Version => 0..self.devices.len() - 1,
        };
        for device in concerned {
            if right == Right::Asked && self.devices[device].accepted {
                self.marks.sometimes(match means {
                    Means::Certificate => "certificate INACTIVE while its device was connected",
                    Means::Policy(_) => "policy detached while its device was connected",
                    Means::Version => "policy version changed while devices were connected",
                });
            }
            self.rights[device] = right;
        }
    }

    /// What a device may do now, whoever took it.
    fn right(&self, device: usize) -> Right {
        match (device, self.revocation) {
            (0, Revocation::Done) => Right::Gone,
            (0, Revocation::Asked) if self.rights[0] == Right::Held => Right::Asked,
            _ => self.rights[device],
        }
    }

    /// P4: a connection does not outlive the right to it.
    pub(super) fn check_ended(&mut self, why: impl std::fmt::Debug) {
        for device in 0..self.devices.len() {
            let name = &self.devices[device].name;
            if self.right(device) == Right::Gone && self.checks.roll.is_connected(name) {
                let what = format!("P4: {name} is connected without right, after {why:?}");
                self.checks.problem(what);
            }
        }
    }

    /// P4: from the step on in which its rights went, a device hears nothing but that they did; one
    /// that has its rights is not refused.
    pub(super) fn check_sent(&mut self, connection: ConnectionId, packet: &Packet) {
        let Some(Wire { who: Who::Device(device), .. }) = self.connections.get(&connection) else {
            return;
        };
        let (device, right) = (*device, self.right(*device));
        let refuses = match packet {
            Packet::ConnAck(ack) => ack.reason.is_error(),
            Packet::Disconnect(_) => true,
            _ => false,
        };
        let name = &self.devices[device].name;
        if right == Right::Gone && !refuses {
            let what = format!("P4: {name} has lost its rights and got {packet:?}");
            self.checks.problem(what);
        }
        if let Packet::ConnAck(ack) = packet {
            let hasty = self.aws && ack.reason == ReasonCode::QuotaExceeded;
            if self.aws && device.is_multiple_of(2) && !ack.reason.is_error() {
                self.marks.sometimes("device of the aws profile let in");
            }
            if ack.reason.is_error() && right == Right::Held && !hasty {
                let what = format!("P4: {name} was refused without reason: {}", ack.reason);
                self.checks.problem(what);
            }
            if !ack.reason.is_error() && std::mem::take(&mut self.devices[device].refused) > 0 {
                self.marks.sometimes("device came back with its rights");
            }
        }
    }

    /// A device may not connect now. It tries again, unless its rights are gone for good.
    pub(super) fn refused(&mut self, device: usize) {
        if device == 0 && self.revocation >= Revocation::Asked {
            self.marks.sometimes("revoked device refused");
            return self.devices[device].give_up();
        }
        let model = &mut self.devices[device];
        model.refused += 1;
        model.sessions_left += 1;
        if model.refused > REFUSALS_MAX {
            model.give_up();
            let what = format!("P4: {} is not let in again", model.name);
            self.checks.problem(what);
        }
    }

    /// P1: groups and types have the things that were acknowledged; the group of the connected has
    /// those that are; each move was told once.
    pub(super) fn check_fleet(&mut self) {
        let mut wrong = self.checks.roll.problems();
        let by_hand = GROUPS.map(|group| (group, self.keeper.members(group)));
        let all = [(ONLINE, self.checks.roll.connected().clone())];
        for (group, expected) in by_hand.into_iter().chain(all) {
            let listed = self.things("ListThingsInThingGroup", "thingGroupName", group);
            if listed != expected {
                wrong.push(format!("P1: {group} has {listed:?} and not {expected:?}"));
            }
        }
        for kind in TYPES {
            let (listed, expected) =
                (self.things("ListThings", "thingTypeName", kind), self.keeper.things_of(kind));
            if listed != expected {
                wrong.push(format!("P1: of type {kind} are {listed:?} and not {expected:?}"));
            }
        }
        for device in self.devices.iter().filter(|device| device.sessions_left > 0) {
            wrong.push(format!("P3: {} did not have all its sessions", device.name));
        }
        wrong.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// Names of the things that a list of things has.
    fn things(&self, operation: &str, member: &'static str, of: &str) -> BTreeSet<Arc<str>> {
        let body = Json::object([(member, Json::from(of))]);
        let answer = request(Service::Iot, operation, &body).answer(&self.disk, &self.settings);
        let answer = answer.unwrap_or_default();
        let things = answer.member("things").and_then(Json::as_array).unwrap_or_default();
        let name = |thing: &Json| {
            let name = thing.as_str().or_else(|| thing.member("thingName")?.as_str())?;
            Some(Arc::from(name))
        };
        things.iter().filter_map(name).collect()
    }
}
