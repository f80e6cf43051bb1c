//! What CreateTable and UpdateTable have in common: keys, indexes, throughput, tags.

use std::sync::Arc;

use stepwire_asl::Json;

use super::index::{Projected, Scope};
use super::request::{constraint_error, integer, required, word};
use super::table::{Encryption, KeyAttribute, KeyType, OnDemand, Provisioned, Tags};
use super::{serialization, validation};
use crate::error::ApiError;
use crate::params::Params;

/// Indexes of each scope that a table can have.
pub(super) const LOCAL_MAX: usize = 5;
pub(super) const GLOBAL_MAX: usize = 20;
/// Attributes that all `INCLUDE` projections of a table may name.
pub(super) const INCLUDED_MAX: usize = 100;
/// Tags of a table.
const TAGS_MAX: usize = 50;

/// The key attributes of a table or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) partition: KeyAttribute,
    pub(super) sort: Option<KeyAttribute>,
}

/// An index as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewIndex {
    pub(super) name: Arc<str>,
    pub(super) scope: Scope,
    pub(super) keys: Keys,
    pub(super) projected: Projected,
    pub(super) provisioned: Option<Provisioned>,
}

impl NewIndex {
    /// Its key attributes.
    pub(super) fn keys(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.keys.partition).chain(&self.keys.sort)
    }
}

pub(super) fn invalid(why: impl std::fmt::Display) -> ApiError {
    validation(format!("One or more parameter values were invalid: {why}"))
}

pub(super) fn not_null(list: &str, index: usize, member: &str) -> ApiError {
    let name = format!("{list}.{}.member.{member}", index + 1);
    constraint_error(None, &name, "Member must not be null")
}

/// `AttributeDefinitions`, in their order.
pub(super) fn definitions(params: Params<'_>) -> Result<Vec<KeyAttribute>, ApiError> {
    let list = required(params, "AttributeDefinitions", Json::as_array)?;
    let mut definitions: Vec<KeyAttribute> = Vec::new();
    for (index, definition) in list.iter().enumerate() {
        let definition = Params::new(definition, "ValidationException");
        definition.only(&["AttributeName", "AttributeType"])?;
        let name = required(definition, "AttributeName", Json::as_str)?;
        if name.is_empty() || name.len() > 255 {
            let at = format!("attributeDefinitions.{}.member.attributeName", index + 1);
            let constraint = if name.is_empty() {
                "Member must have length greater than or equal to 1"
            } else {
                "Member must have length less than or equal to 255"
            };
            return Err(constraint_error(Some(name), &at, constraint));
        }
        let kinds = [("B", KeyType::B), ("N", KeyType::N), ("S", KeyType::S)];
        let at = |mut error: ApiError| {
            let place = format!("'attributeDefinitions.{}.member.attributeType'", index + 1);
            error.message = error.message.replace("'attributeType'", &place);
            error
        };
        let kind = word(definition, "AttributeType", &kinds)
            .map_err(at)?
            .ok_or_else(|| not_null("attributeDefinitions", index, "attributeType"))?;
        if definitions.iter().any(|known| &*known.name == name) {
            return Err(invalid(format!(
                "Duplicate AttributeName in AttributeDefinitions: {name}"
            )));
        }
        definitions.push(KeyAttribute { name: name.into(), kind });
    }
    Ok(definitions)
}

/// Names as AWS lists them: `[a, b]`.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> String {
    let names: Vec<&str> = names.map(|name| &**name).collect();
    format!("[{}]", names.join(", "))
}

/// The keys that `KeySchema` names.
pub(super) fn keys(params: Params<'_>, definitions: &[KeyAttribute]) -> Result<Keys, ApiError> {
    let schema = required(params, "KeySchema", Json::as_array)?;
    let mut names = Vec::new();
    for (index, element) in schema.iter().enumerate() {
        let element = Params::new(element, "ValidationException");
        element.only(&["AttributeName", "KeyType"])?;
        let name: Arc<str> = required(element, "AttributeName", Json::as_str)?.into();
        let role = word(element, "KeyType", &[("HASH", true), ("RANGE", false)])?;
        names.push((name, role.ok_or_else(|| not_null("keySchema", index, "keyType"))?));
    }
    let wanted = || listed(names.iter().map(|(name, _)| name));
    let known = || listed(definitions.iter().map(|definition| &definition.name));
    if (1..=2).contains(&names.len()) {
        if names.len() > definitions.len() {
            return Err(validation(
                "Invalid KeySchema: Some index key attribute have no definition",
            ));
        }
        let defined =
            |name: &Arc<str>| definitions.iter().any(|definition| definition.name == *name);
        if !names.iter().all(|(name, _)| defined(name)) {
            return Err(undefined(&wanted(), &known()));
        }
    }
    let (partition, sort) = match names.as_slice() {
        [(partition, true)] => (partition, None),
        [(partition, _), (sort, _)] if partition == sort => {
            return Err(validation(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name",
            ));
        }
        [(partition, true), (sort, false)] => (partition, Some(sort)),
        [] => {
            let constraint = "Member must have length greater than or equal to 1";
            return Err(constraint_error(Some("[]"), "keySchema", constraint));
        }
        [(_, false), ..] => {
            return Err(validation(
                "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
            ));
        }
        [_, (_, true)] => {
            return Err(validation(
                "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
            ));
        }
        _ => {
            let text = Json::array(schema.iter().cloned()).to_text();
            let constraint = "Member must have length less than or equal to 2";
            return Err(constraint_error(Some(&text), "keySchema", constraint));
        }
    };
    let attribute = |name: &Arc<str>| {
        let defined = definitions.iter().find(|definition| definition.name == *name);
        defined.cloned().ok_or_else(|| undefined(&wanted(), &known()))
    };
    Ok(Keys { partition: attribute(partition)?, sort: sort.map(attribute).transpose()? })
}

fn undefined(wanted: &str, known: &str) -> ApiError {
    invalid(format!(
        "Some index key attributes are not defined in AttributeDefinitions. Keys: {wanted}, \
         AttributeDefinitions: {known}"
    ))
}

/// The indexes that parameter `name` asks for.
pub(super) fn indexes(
    params: Params<'_>,
    scope: Scope,
    definitions: &[KeyAttribute],
) -> Result<Vec<NewIndex>, ApiError> {
    let name = match scope {
        Scope::Global => "GlobalSecondaryIndexes",
        Scope::Local => "LocalSecondaryIndexes",
    };
    let Some(list) = params.get(name) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| serialization(name, "a list"))?;
    if list.is_empty() {
        return Err(invalid(format!("List of {name} is empty")));
    }
    let index =
        |index: &Json| new_index(Params::new(index, "ValidationException"), scope, definitions);
    let indexes: Vec<NewIndex> = list.iter().map(index).collect::<Result<_, _>>()?;
    match scope {
        Scope::Local if indexes.len() > LOCAL_MAX => Err(invalid(format!(
            "Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_MAX}"
        ))),
        Scope::Global if indexes.len() > GLOBAL_MAX => Err(invalid(format!(
            "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_MAX}"
        ))),
        Scope::Local | Scope::Global => Ok(indexes),
    }
}

/// One index as it is asked for.
pub(super) fn new_index(
    params: Params<'_>,
    scope: Scope,
    definitions: &[KeyAttribute],
) -> Result<NewIndex, ApiError> {
    let known = ["IndexName", "KeySchema", "Projection"];
    let global = ["ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput"];
    params.only(&match scope {
        Scope::Global => [&known[..], &global].concat(),
        Scope::Local => known.to_vec(),
    })?;
    Ok(NewIndex {
        name: index_name(params)?,
        scope,
        keys: keys(params, definitions)?,
        projected: projected(params)?,
        provisioned: units(params)?,
    })
}

/// `IndexName`.
pub(super) fn index_name(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let name = required(params, "IndexName", Json::as_str)?;
    let constraint = if name.len() < 3 {
        "Member must have length greater than or equal to 3"
    } else if name.len() > 255 {
        "Member must have length less than or equal to 255"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) {
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    } else {
        return Ok(name.into());
    };
    Err(constraint_error(Some(name), "indexName", constraint))
}

fn projected(params: Params<'_>) -> Result<Projected, ApiError> {
    let projection = required(params, "Projection", Some)?;
    let projection = Params::new(projection, "ValidationException");
    projection.only(&["ProjectionType", "NonKeyAttributes"])?;
    let kinds = ["ALL", "INCLUDE", "KEYS_ONLY"].map(|kind| (kind, kind));
    let kind = word(projection, "ProjectionType", &kinds)?
        .ok_or_else(|| invalid("Unknown ProjectionType: null"))?;
    let names = projection.get("NonKeyAttributes");
    match (kind, names) {
        ("ALL", None) => Ok(Projected::All),
        ("KEYS_ONLY", None) => Ok(Projected::KeysOnly),
        ("INCLUDE", Some(names)) => {
            let list =
                names.as_array().ok_or_else(|| serialization("NonKeyAttributes", "a list"))?;
            let wrong = |constraint: &str| {
                let name = "projection.nonKeyAttributes";
                constraint_error(Some(&names.to_text()), name, constraint)
            };
            if list.is_empty() {
                return Err(wrong("Member must have length greater than or equal to 1"));
            }
            if list.len() > 20 {
                return Err(wrong("Member must have length less than or equal to 20"));
            }
            let name = |name: &Json| match name {
                Json::String(name) => Ok(Arc::clone(name)),
                _ => Err(serialization("NonKeyAttributes", "a list of strings")),
            };
            Ok(Projected::Include(list.iter().map(name).collect::<Result<_, _>>()?))
        }
        ("INCLUDE", None) => {
            Err(invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
        }
        (kind, Some(_)) => {
            Err(invalid(format!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
        }
        (kind, None) => Err(invalid(format!("Unknown ProjectionType: {kind}"))),
    }
}

/// `ProvisionedThroughput`.
pub(super) fn units(params: Params<'_>) -> Result<Option<Provisioned>, ApiError> {
    let Some(units) = params.get("ProvisionedThroughput") else { return Ok(None) };
    let units = Params::new(units, "ValidationException");
    units.only(&["ReadCapacityUnits", "WriteCapacityUnits"])?;
    let of = |name: &str, camel: &str| {
        let value = integer(units, name, 1, i64::MAX)?.ok_or_else(|| {
            let at = format!("provisionedThroughput.{camel}");
            constraint_error(None, &at, "Member must not be null")
        })?;
        if value > 1_000_000_000_000 {
            let message = format!("Given value {value} for {name} is out of bounds");
            return Err(validation(message));
        }
        Ok(value)
    };
    Ok(Some(Provisioned {
        read: of("ReadCapacityUnits", "readCapacityUnits")?,
        write: of("WriteCapacityUnits", "writeCapacityUnits")?,
    }))
}

/// `OnDemandThroughput`.
pub(super) fn on_demand(params: Params<'_>) -> Result<Option<OnDemand>, ApiError> {
    let Some(units) = params.get("OnDemandThroughput") else { return Ok(None) };
    let units = Params::new(units, "ValidationException");
    units.only(&["MaxReadRequestUnits", "MaxWriteRequestUnits"])?;
    Ok(Some(OnDemand {
        read: units.optional_int("MaxReadRequestUnits")?,
        write: units.optional_int("MaxWriteRequestUnits")?,
    }))
}

/// `TableClass`.
pub(super) fn class(params: Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    let classes = ["STANDARD", "STANDARD_INFREQUENT_ACCESS"].map(|class| (class, class));
    Ok(word(params, "TableClass", &classes)?.map(Arc::from))
}

/// `SSESpecification`: `Some(None)` switches it off.
pub(super) fn encryption(params: Params<'_>) -> Result<Option<Option<Encryption>>, ApiError> {
    let Some(specification) = params.get("SSESpecification") else { return Ok(None) };
    let specification = Params::new(specification, "ValidationException");
    specification.only(&["Enabled", "SSEType", "KMSMasterKeyId"])?;
    let kind = word(specification, "SSEType", &[("AES256", "AES256"), ("KMS", "KMS")])?;
    let key = specification.optional_text("KMSMasterKeyId")?;
    if !specification.optional_bool("Enabled")?.unwrap_or(false) {
        return match (kind, key) {
            (None, None) => Ok(Some(None)),
            _ => {
                Err(invalid("Either SSEType or KMSMasterKeyId is specified while SSE is disabled"))
            }
        };
    }
    let kind = kind.unwrap_or("KMS").into();
    Ok(Some(Some(Encryption { kind, key: key.map(Arc::from) })))
}

/// Refuses a stream, unless it is one that is switched off.
pub(super) fn no_stream(params: Params<'_>) -> Result<(), ApiError> {
    let Some(stream) = params.get("StreamSpecification") else { return Ok(()) };
    if stream.member("StreamEnabled").and_then(Json::as_bool) == Some(false) {
        return Ok(());
    }
    Err(validation(
        "`StreamSpecification` is not available in stepwire: there are no streams of tables; let \
         who writes also send an event, or have a rule act on the message that leads to the write",
    ))
}

/// `Tags`.
pub(super) fn tags(params: Params<'_>) -> Result<Tags, ApiError> {
    let Some(list) = params.get("Tags") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| serialization("Tags", "a list"))?;
    let mut tags: Tags = Vec::new();
    for (at, tag) in list.iter().enumerate() {
        let tag = Params::new(tag, "ValidationException");
        tag.only(&["Key", "Value"])?;
        let text = |name: &str, camel: &str, min: usize, max: usize| {
            let text = required(tag, name, Json::as_str)?;
            let length = text.chars().count();
            let constraint = if length < min {
                format!("Member must have length greater than or equal to {min}")
            } else if length > max {
                format!("Member must have length less than or equal to {max}")
            } else {
                return Ok(Arc::<str>::from(text));
            };
            let at = format!("tags.{}.member.{camel}", at + 1);
            Err(constraint_error(Some(text), &at, &constraint))
        };
        set_tag(&mut tags, text("Key", "key", 1, 128)?, text("Value", "value", 0, 256)?);
    }
    check_tags(&tags)?;
    Ok(tags)
}

/// Gives a tag a value.
pub(super) fn set_tag(tags: &mut Tags, key: Arc<str>, value: Arc<str>) {
    match tags.iter_mut().find(|(known, _)| *known == key) {
        Some((_, old)) => *old = value,
        None => tags.push((key, value)),
    }
}

/// Refuses too many tags.
pub(super) fn check_tags(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() <= TAGS_MAX {
        return Ok(());
    }
    Err(validation("One or more parameter values were invalid: Too many Tags: the limit is 50"))
}
