//! Fields that queries name.

use std::fmt;
use std::sync::Arc;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The index `AWS_Things`.
    Things,
    /// The index `AWS_ThingGroups`.
    ThingGroups,
}

/// A field of a thing or of a thing group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `thingName`
    ThingName,
    /// `thingId`
    ThingId,
    /// `thingTypeName`
    ThingTypeName,
    /// `thingGroupNames`
    ThingGroupNames,
    /// `attributes.` and this name.
    Attribute(Arc<str>),
    /// `connectivity.connected`
    Connected,
    /// `connectivity.timestamp`
    Timestamp,
    /// `connectivity.disconnectReason`
    DisconnectReason,
    /// `registry.version`, which is aggregated and not searched.
    Version,
    /// `thingGroupName`
    ThingGroupName,
    /// `thingGroupId`
    ThingGroupId,
    /// `thingGroupDescription`
    ThingGroupDescription,
    /// `parentGroupNames`
    ParentGroupNames,
}

/// Why a name is no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry::search) enum Unknown {
    /// There is no such field.
    Invalid,
    /// AWS has it, this node does not have what it is about.
    Unavailable(&'static str),
}

const THINGS: [(&str, Field); 7] = [
    ("thingName", Field::ThingName),
    ("thingId", Field::ThingId),
    ("thingTypeName", Field::ThingTypeName),
    ("thingGroupNames", Field::ThingGroupNames),
    ("connectivity.connected", Field::Connected),
    ("connectivity.timestamp", Field::Timestamp),
    ("connectivity.disconnectReason", Field::DisconnectReason),
];

const THING_GROUPS: [(&str, Field); 4] = [
    ("thingGroupName", Field::ThingGroupName),
    ("thingGroupId", Field::ThingGroupId),
    ("thingGroupDescription", Field::ThingGroupDescription),
    ("parentGroupNames", Field::ParentGroupNames),
];

/// What the first part of a field's name may be on AWS, and what is missing here.
const UNAVAILABLE: [(&str, &str); 3] =
    [("shadow.", "indexed shadows"), ("deviceDefender.", "Device Defender"), ("jobs.", "jobs")];

impl Schema {
    /// The field that a word without one is about.
    pub fn default_field(self) -> Field {
        match self {
            Schema::Things => Field::ThingName,
            Schema::ThingGroups => Field::ThingGroupName,
        }
    }

    fn fields(self) -> &'static [(&'static str, Field)] {
        match self {
            Schema::Things => &THINGS,
            Schema::ThingGroups => &THING_GROUPS,
        }
    }

    pub(in crate::registry::search) fn find(self, name: &str) -> Result<Field, Unknown> {
        if let Some((_, field)) = self.fields().iter().find(|(known, _)| *known == name) {
            return Ok(field.clone());
        }
        if let Some(attribute) = name.strip_prefix("attributes.").filter(|name| !name.is_empty()) {
            return Ok(Field::Attribute(attribute.into()));
        }
        let missing = UNAVAILABLE.iter().find(|(prefix, _)| name.starts_with(prefix));
        match missing.filter(|_| self == Schema::Things) {
            Some((_, what)) => Err(Unknown::Unavailable(what)),
            None => Err(Unknown::Invalid),
        }
    }

    /// What may have been meant by a name that is no field.
    pub(super) fn hint(self, name: &str) -> String {
        let names = self.fields().iter().map(|(known, _)| *known);
        let near = |known: &&str| {
            known.eq_ignore_ascii_case(name)
                || known.trim_end_matches('s').eq_ignore_ascii_case(name.trim_end_matches('s'))
        };
        match names.clone().find(near) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let all: Vec<&str> = names.chain(["attributes.NAME"]).collect();
                format!(
                    "the fields are {}; a colon that belongs to a value is written `\\:`",
                    all.join(", ")
                )
            }
        }
    }
}

impl Field {
    /// Whether it tells of a thing's connection.
    pub fn is_connectivity(&self) -> bool {
        matches!(self, Field::Connected | Field::Timestamp | Field::DisconnectReason)
    }

    /// Whether its values are text of several words, one of which a word of a query must be.
    pub(super) fn has_words(&self) -> bool {
        matches!(self, Field::ThingGroupDescription)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Attribute(name) => write!(f, "attributes.{name}"),
            Field::Version => f.write_str("registry.version"),
            field => {
                let mut all = THINGS.iter().chain(&THING_GROUPS);
                f.write_str(all.find(|(_, known)| known == field).map_or("", |(name, _)| name))
            }
        }
    }
}
