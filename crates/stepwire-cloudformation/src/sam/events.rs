//! `Events` of functions: who calls them.

use super::function::{Role, Target};
use super::{Sam, api, pull, push};
use crate::expanded::Resource;
use crate::value::{Data, Value};

/// An event of a function or a state machine.
pub(super) struct Event<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its `Type`.
    pub(super) kind: &'a str,
    /// The logical id that what it makes begins with.
    pub(super) id: String,
    /// Its `Properties`.
    pub(super) properties: &'a Value,
    /// The resource it belongs to, said to stand where the event does.
    pub(super) origin: Resource,
}

impl<'a> Event<'a> {
    /// The events of `origin`, in their order.
    pub(super) fn all(
        sam: &mut Sam<'_>,
        origin: &Resource,
        events: &'a Value,
        none: &'a Value,
    ) -> Vec<Event<'a>> {
        let mut found = Vec::new();
        if events.as_map().is_none() && events.data != Data::Null {
            sam.wrong(origin, events.pointer(), "Property 'Events' should be a map.");
        }
        for (name, event) in events.as_map().into_iter().flatten() {
            let kind = event.member("Type").and_then(Value::as_str);
            let properties = event.member("Properties").filter(|own| own.as_map().is_some());
            let Some(kind) = kind else {
                sam.wrong_event(origin, name, event.pointer(), "Property 'Type' is required.");
                continue;
            };
            found.push(Event {
                name,
                kind,
                id: format!("{}{name}", origin.logical_id),
                properties: properties.unwrap_or(none),
                origin: Resource { place: event.pointer(), ..origin.clone() },
            });
        }
        found
    }

    /// A property.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.properties.member(name)
    }

    /// A property that must be there.
    pub(super) fn must(&self, sam: &mut Sam<'_>, name: &str) -> Option<&'a Value> {
        let value = self.get(name);
        if value.is_none() {
            self.wrong(sam, self.origin.place, &format!("Missing required property '{name}'."));
        }
        value
    }

    /// What is wrong with it.
    pub(super) fn wrong(&self, sam: &mut Sam<'_>, place: crate::Place, what: &str) {
        sam.wrong_event(&self.origin, self.name, place, what);
    }

    /// Refuses properties that it does not have.
    pub(super) fn only(&self, sam: &mut Sam<'_>, known: &[&str]) {
        for (name, value) in self.properties.as_map().into_iter().flatten() {
            if !known.contains(&&**name) {
                let what =
                    format!("property {name} not defined for resource of type {}", self.kind);
                self.wrong(sam, value.pointer(), &what);
                if let Some(near) = stepwire_asl::diagnostic::nearest(name, known.iter().copied()) {
                    sam.hint(&format!("did you mean `{near}`?"));
                }
            }
        }
    }

    /// An event of a kind that is not served.
    pub(super) fn refuse(&self, sam: &mut Sam<'_>, hint: &str) {
        let what = format!("Events of type {} are not supported", self.kind);
        self.wrong(sam, self.origin.place, &what);
        sam.hint(hint);
    }
}

pub(super) fn expand(sam: &mut Sam<'_>, origin: &Resource, target: &Target, role: &mut Role) {
    let Some(events) = origin.properties.member("Events") else { return };
    let none = Value::map::<&str>([]);
    for event in Event::all(sam, origin, events, &none) {
        match event.kind {
            "IoTRule" => push::iot_rule(sam, &event, target),
            "Schedule" => push::schedule(sam, &event, target),
            "ScheduleV2" => push::scheduler(sam, &event, target),
            "CloudWatchEvent" | "EventBridgeRule" => push::event_bridge(sam, &event, target),
            "SNS" => push::topic(sam, &event, target, role),
            "S3" => push::bucket(sam, &event, target),
            "CloudWatchLogs" => push::logs(sam, &event, target),
            "SQS" | "DynamoDB" | "Kinesis" => pull::expand(sam, &event, target, role),
            "Api" => api::rest_event(sam, &event, target),
            "HttpApi" => api::http_event(sam, &event, target),
            "AlexaSkill" | "Cognito" => event.refuse(sam, "there is no such service on this node"),
            "MSK" | "SelfManagedKafka" | "MQ" | "DocumentDB" => {
                event.refuse(sam, "event sources known here: SQS, DynamoDB, Kinesis");
            }
            other => {
                let what = format!(
                    "Resource with id [{}] is invalid. Event type '{other}' is not one of SAM's",
                    event.id
                );
                event.wrong(sam, event.origin.place, &what);
            }
        }
    }
}
