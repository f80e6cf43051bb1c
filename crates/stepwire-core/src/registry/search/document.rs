//! What the index knows of a thing.

use std::sync::Arc;

use super::query::{Field, Values, fold};
use crate::broker::{DisconnectReason, SessionRecord};
use crate::registry::groups::ThingGroup;
use crate::registry::things::Thing;

/// The values of a thing's fields, folded, in order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(Box<[(Field, Arc<str>)]>);

/// How a thing's connection stands. By default: it was never seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// Whether it is connected.
    pub connected: bool,
    /// Since when, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Why it is not, in AWS's words.
    pub disconnect_reason: Option<&'static str>,
}

impl Connectivity {
    /// How the client of this record stands.
    pub(crate) fn of(record: &SessionRecord) -> Connectivity {
        let reason = record.disconnect_reason.filter(|_| !record.connected);
        Connectivity {
            connected: record.connected,
            since_ms: Some(record.since.0),
            disconnect_reason: reason.map(DisconnectReason::name),
        }
    }
}

impl Document {
    /// What is known of `thing`; `connectivity` is `None` when it is not indexed.
    pub(super) fn new<'a>(
        thing: &Thing,
        groups: impl Iterator<Item = &'a ThingGroup>,
        connectivity: Option<&Connectivity>,
    ) -> Document {
        let mut values = vec![
            (Field::ThingName, fold(&thing.name)),
            (Field::ThingId, fold(&thing.id)),
            (Field::Version, thing.version.to_string().into()),
        ];
        let kind = thing.thing_type.as_ref();
        values.extend(kind.map(|name| (Field::ThingTypeName, fold(name))));
        values.extend(groups.map(|group| (Field::ThingGroupNames, fold(&group.name))));
        let attributes = thing.attributes.iter();
        values.extend(
            attributes.map(|(name, value)| (Field::Attribute(Arc::clone(name)), fold(value))),
        );
        if let Some(connectivity) = connectivity {
            values.push((Field::Connected, word(connectivity.connected)));
            let since = connectivity.since_ms;
            values.extend(since.map(|since| (Field::Timestamp, since.to_string().into())));
            let reason = connectivity.disconnect_reason.map(str::to_lowercase);
            values.extend(reason.map(|reason| (Field::DisconnectReason, reason.into())));
        }
        values.sort_unstable();
        Document(values.into())
    }

    /// The fields and their values.
    pub(super) fn values(&self) -> &[(Field, Arc<str>)] {
        &self.0
    }

    /// The values of a field.
    pub(super) fn of<'a>(&'a self, field: &'a Field) -> impl Iterator<Item = &'a str> {
        let from = self.0.partition_point(|(name, _)| name < field);
        let rest = self.0.get(from..).unwrap_or_default().iter();
        rest.take_while(move |(name, _)| name == field).map(|(_, value)| value.as_ref())
    }
}

fn word(truth: bool) -> Arc<str> {
    if truth { "true" } else { "false" }.into()
}

impl Values for Document {
    fn any(&self, field: &Field, is: &mut dyn FnMut(&str) -> bool) -> bool {
        self.of(field).any(is)
    }
}

/// A thing group as queries see it.
pub(super) struct GroupValues<'a> {
    /// The group.
    pub(super) group: &'a ThingGroup,
    /// The groups above it.
    pub(super) above: Vec<&'a ThingGroup>,
}

impl Values for GroupValues<'_> {
    fn any(&self, field: &Field, is: &mut dyn FnMut(&str) -> bool) -> bool {
        let group = self.group;
        match field {
            Field::ThingGroupName => is(&fold(&group.name)),
            Field::ThingGroupId => is(&fold(&group.id)),
            Field::ThingGroupDescription => {
                group.description.as_ref().is_some_and(|text| is(&fold(text)))
            }
            Field::ParentGroupNames => self.above.iter().any(|above| is(&fold(&above.name))),
            Field::Attribute(name) => {
                group.attributes.get(name).is_some_and(|value| is(&fold(value)))
            }
            Field::ThingName
            | Field::ThingId
            | Field::ThingTypeName
            | Field::ThingGroupNames
            | Field::Connected
            | Field::Timestamp
            | Field::DisconnectReason
            | Field::Version => false,
        }
    }
}
