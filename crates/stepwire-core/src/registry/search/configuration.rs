//! What is indexed: UpdateIndexingConfiguration and GetIndexingConfiguration.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

use super::query::{Field, Schema};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::{Key, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::registry::error::internal;

const FORMAT: u8 = 1;

/// The name of the record of [`Configuration`] in [`Space::RegistrySetting`].
pub(in crate::registry) const SETTING: &str = "indexing-configuration";

/// What is indexed. Nothing, until somebody says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// What of things is; `None`: nothing.
    pub things: Option<Things>,
    /// What of thing groups is; `None`: nothing.
    pub thing_groups: Option<ThingGroups>,
}

/// What of things is indexed, besides the registry's record of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Things {
    /// Whether they are connected.
    pub connectivity: bool,
    /// Fields that can be aggregated.
    pub custom_fields: Vec<CustomField>,
}

/// What of thing groups is indexed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingGroups {
    /// Fields that can be aggregated.
    pub custom_fields: Vec<CustomField>,
}

/// A field whose type has been declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomField {
    /// `name`
    pub name: Arc<str>,
    /// `type`
    pub kind: FieldType,
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum FieldType {
    Number,
    String,
    Boolean,
}

impl FieldType {
    const ALL: [FieldType; 3] = [FieldType::Number, FieldType::String, FieldType::Boolean];

    fn word(self) -> &'static str {
        match self {
            FieldType::Number => "Number",
            FieldType::String => "String",
            FieldType::Boolean => "Boolean",
        }
    }
}

/// A change of what is indexed: the half that is given replaces what there was.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    things: Half<Things>,
    thing_groups: Half<ThingGroups>,
}

/// What becomes of one half.
#[derive(Debug, Clone, PartialEq)]
enum Half<T> {
    Kept,
    Off,
    On(T),
}

impl<T: Clone> Half<T> {
    fn applied_to(&self, there: Option<&T>) -> Option<T> {
        match self {
            Half::Kept => there.cloned(),
            Half::Off => None,
            Half::On(given) => Some(given.clone()),
        }
    }
}

/// Fields of things that are always indexed.
const MANAGED: [(&str, FieldType); 5] = [
    ("thingId", FieldType::String),
    ("thingName", FieldType::String),
    ("registry.version", FieldType::Number),
    ("registry.thingTypeName", FieldType::String),
    ("registry.thingGroupNames", FieldType::String),
];

/// Fields of things that are indexed with `STATUS`.
const MANAGED_CONNECTIVITY: [(&str, FieldType); 3] = [
    ("connectivity.connected", FieldType::Boolean),
    ("connectivity.timestamp", FieldType::Number),
    ("connectivity.disconnectReason", FieldType::String),
];

/// Fields of thing groups that are always indexed.
const MANAGED_GROUPS: [(&str, FieldType); 5] = [
    ("thingGroupName", FieldType::String),
    ("thingGroupId", FieldType::String),
    ("thingGroupDescription", FieldType::String),
    ("parentGroupNames", FieldType::String),
    ("version", FieldType::Number),
];

fn key() -> Key {
    KeyBuilder::new(Space::RegistrySetting).text(SETTING).build()
}

pub(in crate::registry) fn stored(key: &[u8], value: &[u8]) -> Result<Configuration, Corrupt> {
    decode(FORMAT, key, value)
}

/// What is indexed, as it is stored.
pub(super) fn read_stored(read: &dyn Read) -> Result<Configuration, ApiError> {
    let key = key();
    let stored = read.get(&key).map(|value| stored(&key, &value)).transpose();
    Ok(stored.map_err(internal)?.unwrap_or_default())
}

impl Configuration {
    /// The stored form.
    pub(super) fn entry(&self) -> Entry {
        (key(), Some(encode(FORMAT, self)))
    }

    /// It, after a change.
    pub(super) fn updated(&self, update: &Update) -> Configuration {
        Configuration {
            things: update.things.applied_to(self.things.as_ref()),
            thing_groups: update.thing_groups.applied_to(self.thing_groups.as_ref()),
        }
    }

    /// Whether connectivity is indexed.
    pub(super) fn has_connectivity(&self) -> bool {
        self.things.as_ref().is_some_and(|things| things.connectivity)
    }

    /// The field of things and the type of its values that an aggregation over `name` is about.
    pub(super) fn aggregated(&self, name: &str) -> Option<(Field, FieldType)> {
        let things = self.things.as_ref()?;
        let connectivity: &[_] = if things.connectivity { &MANAGED_CONNECTIVITY } else { &[] };
        let managed = MANAGED.iter().chain(connectivity);
        let managed = managed.map(|(known, kind)| (*known, *kind));
        let custom = things.custom_fields.iter().map(|field| (field.name.as_ref(), field.kind));
        let kind = managed.chain(custom).find(|(known, _)| *known == name)?.1;
        // Some are called otherwise here than in queries.
        let field = match name {
            "registry.version" => Field::Version,
            name => Schema::Things.find(name.strip_prefix("registry.").unwrap_or(name)).ok()?,
        };
        Some((field, kind))
    }

    /// `GetIndexingConfiguration`
    pub(super) fn answer(&self) -> Json {
        let mode = |on: bool, word: &'static str| Json::from(if on { word } else { "OFF" });
        let mut things = vec![
            ("thingIndexingMode", mode(self.things.is_some(), "REGISTRY")),
            ("thingConnectivityIndexingMode", mode(self.has_connectivity(), "STATUS")),
            ("deviceDefenderIndexingMode", "OFF".into()),
            ("namedShadowIndexingMode", "OFF".into()),
        ];
        if let Some(indexed) = &self.things {
            let mut managed = fields(&MANAGED);
            if indexed.connectivity {
                managed.extend(fields(&MANAGED_CONNECTIVITY));
            }
            things.push(("managedFields", Json::array(managed)));
            things.push(("customFields", customs(&indexed.custom_fields)));
        }
        let on = self.thing_groups.is_some();
        let mut groups = vec![("thingGroupIndexingMode", mode(on, "ON"))];
        if let Some(indexed) = &self.thing_groups {
            groups.push(("managedFields", Json::array(fields(&MANAGED_GROUPS))));
            groups.push(("customFields", customs(&indexed.custom_fields)));
        }
        Json::object([
            ("thingIndexingConfiguration", Json::object(things)),
            ("thingGroupIndexingConfiguration", Json::object(groups)),
        ])
    }

    /// `schema` of DescribeIndex: what of things is indexed.
    pub(super) fn schema(&self) -> &'static str {
        if self.has_connectivity() { "REGISTRY_AND_CONNECTIVITY_STATUS" } else { "REGISTRY" }
    }
}

fn field(name: &str, kind: FieldType) -> Json {
    Json::object([("name", Json::from(name)), ("type", kind.word().into())])
}

fn fields(managed: &[(&str, FieldType)]) -> Vec<Json> {
    managed.iter().map(|(name, kind)| field(name, *kind)).collect()
}

fn customs(custom: &[CustomField]) -> Json {
    Json::array(custom.iter().map(|it| field(&it.name, it.kind)))
}

impl Update {
    pub(super) fn parse(p: &Params<'_>) -> Result<Update, ApiError> {
        p.only(&["thingIndexingConfiguration", "thingGroupIndexingConfiguration"])?;
        let inner =
            |name: &str| p.get(name).map(|given| Params::new(given, "InvalidRequestException"));
        let things = inner("thingIndexingConfiguration").map_or(Ok(Half::Kept), |p| things(&p))?;
        let groups = inner("thingGroupIndexingConfiguration");
        let thing_groups = groups.map_or(Ok(Half::Kept), |p| thing_groups(&p))?;
        Ok(Update { things, thing_groups })
    }
}

fn things(p: &Params<'_>) -> Result<Half<Things>, ApiError> {
    p.only(&[
        "thingIndexingMode",
        "thingConnectivityIndexingMode",
        "deviceDefenderIndexingMode",
        "namedShadowIndexingMode",
        "managedFields",
        "customFields",
        "filter",
    ])?;
    let on = match p.text("thingIndexingMode")? {
        "OFF" => false,
        "REGISTRY" => true,
        "REGISTRY_AND_SHADOW" => return Err(unavailable(p, "thingIndexingMode", "shadows")),
        other => return Err(unknown(p, "thingIndexingMode", other)),
    };
    let connectivity = switch(p, "thingConnectivityIndexingMode", "STATUS")?;
    if switch(p, "deviceDefenderIndexingMode", "VIOLATIONS")? {
        return Err(unavailable(p, "deviceDefenderIndexingMode", "Device Defender"));
    }
    if switch(p, "namedShadowIndexingMode", "ON")? {
        return Err(unavailable(p, "namedShadowIndexingMode", "shadows"));
    }
    check_filter(p)?;
    let managed: Vec<_> = MANAGED.iter().chain(&MANAGED_CONNECTIVITY).collect();
    check_managed(p, &managed)?;
    if !on {
        if connectivity {
            let why = "connectivity is indexed only together with the registry: set \
                       `thingIndexingMode` to REGISTRY";
            return Err(p.invalid("thingConnectivityIndexingMode", why));
        }
        return Ok(Half::Off);
    }
    let custom_fields = custom_fields(p)?;
    for field in &custom_fields {
        if !field.name.starts_with("attributes.") || field.name.len() == "attributes.".len() {
            let why = format!("`{}` is not an attribute: write `attributes.NAME`", field.name);
            return Err(p.invalid("customFields", &why));
        }
    }
    Ok(Half::On(Things { connectivity, custom_fields }))
}

fn thing_groups(p: &Params<'_>) -> Result<Half<ThingGroups>, ApiError> {
    p.only(&["thingGroupIndexingMode", "managedFields", "customFields"])?;
    let on = match p.text("thingGroupIndexingMode")? {
        "OFF" => false,
        "ON" => true,
        other => return Err(unknown(p, "thingGroupIndexingMode", other)),
    };
    check_managed(p, &MANAGED_GROUPS.iter().collect::<Vec<_>>())?;
    let custom_fields = custom_fields(p)?;
    Ok(if on { Half::On(ThingGroups { custom_fields }) } else { Half::Off })
}

fn switch(p: &Params<'_>, name: &str, on: &str) -> Result<bool, ApiError> {
    match p.optional_text(name)? {
        None | Some("OFF") => Ok(false),
        Some(word) if word == on => Ok(true),
        Some(other) => Err(unknown(p, name, other)),
    }
}

fn unknown(p: &Params<'_>, name: &str, word: &str) -> ApiError {
    p.invalid(name, &format!("`{word}` is not one of its values"))
}

fn unavailable(p: &Params<'_>, name: &str, what: &str) -> ApiError {
    let word = p.optional_text(name).ok().flatten().unwrap_or_default();
    p.invalid(name, &format!("`{word}` needs {what}, which stepwire does not have yet"))
}

fn check_filter(p: &Params<'_>) -> Result<(), ApiError> {
    let Some(filter) = p.get("filter") else { return Ok(()) };
    let empty = |value: &Json| {
        value.as_array().is_some_and(<[Json]>::is_empty)
            || value.as_object().is_some_and(|members| members.values().all(is_empty_list))
    };
    let members = filter.as_object().into_iter().flatten();
    match members.filter(|(_, value)| !empty(value)).map(|(name, _)| name).next() {
        Some(name) => Err(p.invalid("filter", &format!("`{name}` is not available in stepwire"))),
        None => Ok(()),
    }
}

fn is_empty_list(value: &Json) -> bool {
    value.as_array().is_some_and(<[Json]>::is_empty)
}

/// Managed fields may be given as they are answered; they cannot be changed.
fn check_managed(p: &Params<'_>, known: &[&(&str, FieldType)]) -> Result<(), ApiError> {
    let given = declared(p, "managedFields")?;
    match given.iter().find(|it| !known.contains(&&(it.name.as_ref(), it.kind))) {
        Some(field) => {
            let why = format!("`{}` is no managed field of this type", field.name);
            Err(p.invalid("managedFields", &why))
        }
        None => Ok(()),
    }
}

fn custom_fields(p: &Params<'_>) -> Result<Vec<CustomField>, ApiError> {
    let fields = declared(p, "customFields")?;
    for (at, field) in fields.iter().enumerate() {
        if fields.iter().take(at).any(|other| other.name == field.name) {
            let why = format!("`{}` is given twice", field.name);
            return Err(p.invalid("customFields", &why));
        }
    }
    Ok(fields)
}

fn declared(p: &Params<'_>, name: &str) -> Result<Vec<CustomField>, ApiError> {
    let Some(given) = p.get(name) else { return Ok(Vec::new()) };
    let given = given.as_array().ok_or_else(|| p.invalid(name, "it must be a list"))?;
    let field = |given: &Json| {
        let inner = Params::new(given, "InvalidRequestException");
        inner.only(&["name", "type"])?;
        let word = inner.text("type")?;
        let kind = FieldType::ALL.into_iter().find(|kind| kind.word() == word);
        let kind = kind.ok_or_else(|| unknown(&inner, "type", word))?;
        Ok(CustomField { name: inner.text("name")?.into(), kind })
    };
    given.iter().map(field).collect()
}
