//! Registry events: what the registry publishes of its changes, and which of it is wanted.
//!
//! An event is published in the commit of the change it tells of. All families are off until
//! UpdateEventConfigurations switches them on.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::attributes;
use super::error::{internal, invalid, nothing};
use super::groups::ThingGroup;
use super::names::{group_arn, seconds, thing_arn};
use super::things::Thing;
use super::types::ThingType;
use super::{Registry, Turn};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::message::Message;
use crate::params::Params;
use crate::read::{Key, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

const FORMAT: u8 = 1;

/// Kinds of events that are switched on and off together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum Family {
    Thing,
    ThingGroup,
    ThingType,
    ThingGroupMembership,
    ThingGroupHierarchy,
    ThingTypeAssociation,
    Job,
    JobExecution,
    Policy,
    Certificate,
    CaCertificate,
}

impl Family {
    const ALL: [Family; 11] = [
        Family::Thing,
        Family::ThingGroup,
        Family::ThingType,
        Family::ThingGroupMembership,
        Family::ThingGroupHierarchy,
        Family::ThingTypeAssociation,
        Family::Job,
        Family::JobExecution,
        Family::Policy,
        Family::Certificate,
        Family::CaCertificate,
    ];

    /// AWS's word.
    fn word(self) -> &'static str {
        match self {
            Family::Thing => "THING",
            Family::ThingGroup => "THING_GROUP",
            Family::ThingType => "THING_TYPE",
            Family::ThingGroupMembership => "THING_GROUP_MEMBERSHIP",
            Family::ThingGroupHierarchy => "THING_GROUP_HIERARCHY",
            Family::ThingTypeAssociation => "THING_TYPE_ASSOCIATION",
            Family::Job => "JOB",
            Family::JobExecution => "JOB_EXECUTION",
            Family::Policy => "POLICY",
            Family::Certificate => "CERTIFICATE",
            Family::CaCertificate => "CA_CERTIFICATE",
        }
    }

    fn named(word: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.word() == word)
    }
}

/// Which events are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSettings {
    enabled: BTreeSet<Family>,
    created: Timestamp,
    modified: Timestamp,
}

/// The name of the record of [`EventSettings`] in [`Space::RegistrySetting`].
pub(super) const SETTING: &str = "event-configurations";

fn key() -> Key {
    KeyBuilder::new(Space::RegistrySetting).text(SETTING).build()
}

impl EventSettings {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        (key(), Some(encode(FORMAT, self)))
    }
}

pub(super) fn stored(key: &[u8], value: &[u8]) -> Result<EventSettings, Corrupt> {
    decode(FORMAT, key, value)
}

/// A request on event configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// UpdateEventConfigurations
    Update(Vec<(Family, bool)>),
    /// DescribeEventConfigurations
    Describe,
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        match operation {
            "UpdateEventConfigurations" => Some(update(p)),
            "DescribeEventConfigurations" => Some(p.only(&[]).map(|()| Request::Describe)),
            _ => None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Update(_) => false,
            Request::Describe => true,
        }
    }
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["eventConfigurations"])?;
    let wrong = |why: &str| p.invalid("eventConfigurations", why);
    let given = match p.get("eventConfigurations").map(Json::as_object) {
        None => return Ok(Request::Update(Vec::new())),
        Some(given) => given.ok_or_else(|| wrong("it must be a map"))?,
    };
    let mut changes = Vec::new();
    for (word, configuration) in given {
        let family = Family::named(word).ok_or_else(|| wrong(&format!("`{word}` is not known")))?;
        let inner = Params::new(configuration, "InvalidRequestException");
        inner.only(&["Enabled"])?;
        let enabled = inner.optional_bool("Enabled")?.unwrap_or(false);
        changes.push((family, enabled));
    }
    Ok(Request::Update(changes))
}

/// The answer to a request that reads.
pub(super) fn answer(request: &Request, read: &dyn Read) -> Result<Json, ApiError> {
    let Request::Describe = request else {
        return Err(invalid("this request changes something"));
    };
    let there = read.get(&key()).map(|value| stored(&key(), &value));
    let there = there.transpose().map_err(internal)?;
    let enabled = |family| there.as_ref().is_some_and(|there| there.enabled.contains(&family));
    let families = Family::ALL
        .map(|family| (family.word(), Json::object([("Enabled", Json::from(enabled(family)))])));
    let mut members = vec![("eventConfigurations", Json::object(families))];
    if let Some(there) = &there {
        members.push(("creationDate", seconds(there.created)));
        members.push(("lastModifiedDate", seconds(there.modified)));
    }
    Ok(Json::object(members))
}

impl Registry {
    /// Carries out a request that changes which events are published.
    pub(super) fn call_events(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let Request::Update(changes) = request else {
            return Err(invalid("this request only reads"));
        };
        let mut settings = self.events.clone().unwrap_or_else(|| EventSettings {
            enabled: BTreeSet::new(),
            created: turn.now,
            modified: turn.now,
        });
        settings.modified = turn.now;
        for (family, enabled) in changes {
            if *enabled {
                settings.enabled.insert(*family);
            } else {
                settings.enabled.remove(family);
            }
        }
        self.record(settings, turn);
        Ok(nothing())
    }

    /// Whether events of a family are published.
    pub(crate) fn publishes(&self, family: Family) -> bool {
        self.events.as_ref().is_some_and(|wanted| wanted.enabled.contains(&family))
    }

    /// Has an event published with the change, if its family is wanted.
    pub(super) fn tell(&self, event: Event, turn: &mut Turn<'_>) {
        if self.publishes(event.family) {
            turn.out.events.push(event);
        }
    }
}

/// What happened to a thing, type or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Created,
    Updated,
    Deleted,
}

impl Operation {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Operation::Created => ("created", "CREATED"),
            Operation::Updated => ("updated", "UPDATED"),
            Operation::Deleted => ("deleted", "DELETED"),
        }
    }
}

fn joined_or_left(there: bool) -> (&'static str, &'static str) {
    if there { ("added", "ADDED") } else { ("removed", "REMOVED") }
}

/// A change that subscribers and rules are told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    family: Family,
    topic: String,
    /// Its payload in AWS's order; what only publishing knows is null.
    members: Vec<(&'static str, Json)>,
}

impl Event {
    /// The message as it is published `now`. `salt` differs for events of one point of time.
    pub(crate) fn message(self, now: Timestamp, salt: u64, settings: &Settings) -> Message {
        let parts: Vec<u64> =
            self.topic.bytes().map(u64::from).chain([now.0 as u64, salt]).collect();
        let id: Arc<str> = derived_uuid(&settings.secret, "registry event", &parts).into();
        let filled = self.members.into_iter().map(|(name, value)| {
            let value = match name {
                "eventId" => Json::String(Arc::clone(&id)),
                "timestamp" => Json::from(now.0),
                "accountId" => Json::String(Arc::clone(&settings.account)),
                _ => value,
            };
            (name, value)
        });
        let payload = Json::object(filled).to_text();
        Message::service(format!("$aws/events/{}", self.topic), payload, now)
    }
}

/// The members that almost all events begin with.
fn head(kind: &'static str, operation: &'static str) -> Vec<(&'static str, Json)> {
    vec![
        ("eventType", kind.into()),
        ("eventId", Json::Null),
        ("timestamp", Json::Null),
        ("operation", operation.into()),
        ("accountId", Json::Null),
    ]
}

fn text(text: &Arc<str>) -> Json {
    Json::String(Arc::clone(text))
}

fn or_null(value: Option<&Arc<str>>) -> Json {
    value.map_or(Json::Null, text)
}

/// `$aws/events/certificates/registered/CA`: always published.
pub(super) fn registered_itself(
    certificate: &Arc<str>,
    authority: &Arc<str>,
    turn: &Turn<'_>,
) -> Event {
    Event {
        family: Family::Certificate,
        topic: format!("certificates/registered/{authority}"),
        members: vec![
            ("certificateId", text(certificate)),
            ("caCertificateId", text(authority)),
            ("timestamp", Json::Null),
            ("certificateStatus", "PENDING_ACTIVATION".into()),
            ("awsAccountId", text(&turn.settings.account)),
            ("certificateRegistrationTimestamp", turn.now.0.to_string().into()),
        ],
    }
}

/// `$aws/events/thing/NAME/created` …
pub(super) fn thing(operation: Operation, thing: &Thing) -> Event {
    let (level, word) = operation.words();
    let mut members = head("THING_EVENT", word);
    members.extend([
        ("thingId", text(&thing.id)),
        ("thingName", text(&thing.name)),
        ("versionNumber", Json::from(thing.version as i64)),
        ("thingTypeName", or_null(thing.thing_type.as_ref())),
        ("attributes", attributes::shown(&thing.attributes)),
    ]);
    Event { family: Family::Thing, topic: format!("thing/{}/{level}", thing.name), members }
}

/// `$aws/events/thingType/NAME/created` …
pub(super) fn thing_type(operation: Operation, of: &ThingType) -> Event {
    let (level, word) = operation.words();
    let mut members = head("THING_TYPE_EVENT", word);
    members.extend([
        ("thingTypeId", text(&of.id)),
        ("thingTypeName", text(&of.name)),
        ("isDeprecated", of.deprecated.is_some().into()),
        ("deprecationDate", of.deprecated.map_or(Json::Null, |at| Json::from(at.0))),
        ("searchableAttributes", Json::array(of.searchable.iter().map(text))),
        ("propagatingAttributes", Json::array([])),
        ("description", or_null(of.description.as_ref())),
    ]);
    Event { family: Family::ThingType, topic: format!("thingType/{}/{level}", of.name), members }
}

/// `$aws/events/thingTypeAssociation/thing/NAME/thingType/TYPE/added` or `removed`
pub(super) fn association(there: bool, thing: &Thing, of: &Arc<str>) -> Event {
    let (level, word) = joined_or_left(there);
    let members = vec![
        ("eventId", Json::Null),
        ("eventType", "THING_TYPE_ASSOCIATION_EVENT".into()),
        ("operation", word.into()),
        ("thingId", text(&thing.id)),
        ("thingName", text(&thing.name)),
        ("thingTypeName", text(of)),
        ("timestamp", Json::Null),
    ];
    let topic = format!("thingTypeAssociation/thing/{}/thingType/{of}/{level}", thing.name);
    Event { family: Family::ThingTypeAssociation, topic, members }
}

/// `$aws/events/thingGroup/NAME/created` …; `above` are the groups above it, from the root.
pub(super) fn thing_group(
    operation: Operation,
    group: &ThingGroup,
    above: &[&ThingGroup],
    settings: &Settings,
) -> Event {
    let (level, word) = operation.words();
    let parent = above.last();
    let path = above.iter().map(|group| {
        Json::object([("groupArn", group_arn(settings, &group.name)), ("groupId", text(&group.id))])
    });
    let path = if above.is_empty() { Json::Null } else { Json::array(path) };
    let mut members = head("THING_GROUP_EVENT", word);
    members.extend([
        ("thingGroupId", text(&group.id)),
        ("thingGroupName", text(&group.name)),
        ("versionNumber", Json::from(group.version as i64)),
        ("parentGroupName", or_null(parent.map(|parent| &parent.name))),
        ("parentGroupId", or_null(parent.map(|parent| &parent.id))),
        ("description", or_null(group.description.as_ref())),
        ("rootToParentThingGroups", path),
        ("attributes", attributes::shown(&group.attributes)),
        // What ties a dynamic group to its query on AWS; the group's own identifier does here.
        ("dynamicGroupMappingId", or_null(group.query.as_ref().map(|_| &group.id))),
    ]);
    Event {
        family: Family::ThingGroup,
        topic: format!("thingGroup/{}/{level}", group.name),
        members,
    }
}

/// `$aws/events/thingGroupMembership/thingGroup/GROUP/thing/NAME/added` or `removed`; `since` is
/// when the membership began.
pub(super) fn membership(
    there: bool,
    group: &ThingGroup,
    thing: &Thing,
    since: Timestamp,
    settings: &Settings,
) -> Event {
    let (level, word) = joined_or_left(there);
    let both = [group.id.as_bytes(), thing.id.as_bytes()].concat();
    let parts: Vec<u64> = both.into_iter().map(u64::from).chain([since.0 as u64]).collect();
    let id = derived_uuid(&settings.secret, "membership", &parts);
    let mut members = head("THING_GROUP_MEMBERSHIP_EVENT", word);
    members.extend([
        ("groupArn", group_arn(settings, &group.name)),
        ("groupId", text(&group.id)),
        ("thingArn", thing_arn(settings, &thing.name)),
        ("thingId", text(&thing.id)),
        ("membershipId", id.into()),
    ]);
    let topic =
        format!("thingGroupMembership/thingGroup/{}/thing/{}/{level}", group.name, thing.name);
    Event { family: Family::ThingGroupMembership, topic, members }
}

/// `$aws/events/thingGroupHierarchy/thingGroup/PARENT/childThingGroup/CHILD/added` or `removed`
pub(super) fn hierarchy(there: bool, parent: &ThingGroup, child: &ThingGroup) -> Event {
    let (level, word) = joined_or_left(there);
    let mut members = head("THING_GROUP_HIERARCHY_EVENT", word);
    members.extend([
        ("thingGroupId", text(&parent.id)),
        ("thingGroupName", text(&parent.name)),
        ("childGroupId", text(&child.id)),
        ("childGroupName", text(&child.name)),
    ]);
    let topic = format!(
        "thingGroupHierarchy/thingGroup/{}/childThingGroup/{}/{level}",
        parent.name, child.name
    );
    Event { family: Family::ThingGroupHierarchy, topic, members }
}
