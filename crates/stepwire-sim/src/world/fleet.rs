//! What is done to the fleet while it works.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::{ApiError, Service};

use super::{Caller, Event, World};
use crate::chatter::{READER, WRITER};
use crate::keeper::{Deed, GROUPS, ONLINE, TYPES};
use crate::operator::request;

impl World {
    /// Does the next deed, or the last one again.
    pub(super) fn keep(&mut self) {
        let devices = self.devices.iter().map(|device| Arc::clone(&device.name));
        let clients: Vec<Arc<str>> = devices.chain([WRITER, READER].map(Arc::from)).collect();
        if let Some(deed) = self.keeper.next(&clients, &mut self.dice) {
            self.call(Caller::Keeper, deed.request());
        }
    }

    pub(super) fn kept(&mut self, answer: Result<Json, ApiError>) {
        let deed = self.keeper.done();
        match (&deed, answer) {
            (Some(Deed::Cut(_)), Err(error)) if error.code == "ResourceNotFoundException" => {
                self.marks.sometimes("DeleteConnection of a client that is away");
            }
            (_, Err(error)) => self.checks.problem(format!("P1: {deed:?} refused: {error}")),
            (Some(Deed::Move { there, .. }), Ok(_)) => self.marks.sometimes(if *there {
                "thing came into a group"
            } else {
                "thing left a group"
            }),
            (Some(Deed::Type(_, Some(_))), Ok(_)) => self.marks.sometimes("thing got a type"),
            _ => {}
        }
        let next = self.dice.between(50, 2_500);
        self.at(next, Event::Keep);
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
