//! CreateTable and DeleteTable.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::request::{TableName, constraint_error, integer, required, word};
use super::table::{Encryption, KeyAttribute, KeyType, Provisioned, Table, Tags};
use super::{Tables, Write, serialization, validation};
use crate::error::ApiError;
use crate::params::Params;
use crate::settings::Settings;

/// A table as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTable {
    table: TableName,
    partition: KeyAttribute,
    sort: Option<KeyAttribute>,
    provisioned: Option<Provisioned>,
    deletion_protection: bool,
    class: Option<Arc<str>>,
    encryption: Option<Encryption>,
    tags: Tags,
}

const LATER: &str = "is not available yet";

impl CreateTable {
    pub(super) fn parse(params: Params<'_>) -> Result<CreateTable, ApiError> {
        let table = TableName::required(params)?;
        not_yet(params)?;
        params.only(&[
            "TableName",
            "AttributeDefinitions",
            "KeySchema",
            "BillingMode",
            "ProvisionedThroughput",
            "DeletionProtectionEnabled",
            "TableClass",
            "SSESpecification",
            "Tags",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "StreamSpecification",
        ])?;
        let (partition, sort) = keys(params)?;
        Ok(CreateTable {
            table,
            partition,
            sort,
            provisioned: provisioned(params)?,
            deletion_protection: params
                .optional_bool("DeletionProtectionEnabled")?
                .unwrap_or(false),
            class: class(params)?,
            encryption: encryption(params)?,
            tags: tags(params)?,
        })
    }
}

/// Refuses indexes and streams, unless there is none.
fn not_yet(params: Params<'_>) -> Result<(), ApiError> {
    let empty = |json: &Json| json.as_array().is_some_and(<[Json]>::is_empty);
    for name in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        if params.get(name).is_some_and(|indexes| !empty(indexes)) {
            return Err(validation(format!("`{name}` {LATER}")));
        }
    }
    let stream = params.get("StreamSpecification");
    let enabled = stream.and_then(|stream| stream.member("StreamEnabled")?.as_bool());
    if stream.is_some() && enabled != Some(false) {
        return Err(validation(format!("`StreamSpecification` {LATER}")));
    }
    Ok(())
}

fn invalid(why: impl std::fmt::Display) -> ApiError {
    validation(format!("One or more parameter values were invalid: {why}"))
}

fn keys(params: Params<'_>) -> Result<(KeyAttribute, Option<KeyAttribute>), ApiError> {
    let definitions = definitions(params)?;
    let schema = required(params, "KeySchema", Json::as_array)?;
    let mut names = Vec::new();
    for (index, element) in schema.iter().enumerate() {
        let element = Params::new(element, "ValidationException");
        element.only(&["AttributeName", "KeyType"])?;
        let name: Arc<str> = required(element, "AttributeName", Json::as_str)?.into();
        let role = word(element, "KeyType", &[("HASH", true), ("RANGE", false)])?;
        names.push((index, name, role.ok_or_else(|| not_null("keySchema", index, "keyType"))?));
    }
    let (partition, sort) = match names.as_slice() {
        [(_, partition, true)] => (partition, None),
        [(_, partition, true), (_, sort, false)] if partition == sort => {
            return Err(validation(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name",
            ));
        }
        [(_, partition, true), (_, sort, false)] => (partition, Some(sort)),
        [] => {
            let constraint = "Member must have length greater than or equal to 1";
            return Err(constraint_error(Some("[]"), "keySchema", constraint));
        }
        [(_, _, false), ..] => {
            return Err(validation(
                "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
            ));
        }
        [_, (_, _, true)] => {
            return Err(validation(
                "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
            ));
        }
        _ => {
            let constraint = "Member must have length less than or equal to 2";
            return Err(constraint_error(Some(&schema_text(schema)), "keySchema", constraint));
        }
    };
    let attribute = |name: &Arc<str>| {
        if let Some(kind) = definitions.get(name) {
            Ok(KeyAttribute { name: Arc::clone(name), kind: *kind })
        } else {
            let wanted: Vec<&str> = names.iter().map(|(_, name, _)| &**name).collect();
            let known: Vec<&str> = definitions.keys().map(|name| &**name).collect();
            Err(invalid(format!(
                "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], \
                 AttributeDefinitions: [{}]",
                wanted.join(", "),
                known.join(", ")
            )))
        }
    };
    let keys = (attribute(partition)?, sort.map(attribute).transpose()?);
    if definitions.len() != names.len() {
        return Err(invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined \
             in AttributeDefinitions",
        ));
    }
    Ok(keys)
}

fn schema_text(schema: &[Json]) -> String {
    Json::array(schema.iter().cloned()).to_text()
}

fn not_null(list: &str, index: usize, member: &str) -> ApiError {
    let name = format!("{list}.{}.member.{member}", index + 1);
    constraint_error(None, &name, "Member must not be null")
}

fn definitions(params: Params<'_>) -> Result<BTreeMap<Arc<str>, KeyType>, ApiError> {
    let list = required(params, "AttributeDefinitions", Json::as_array)?;
    let mut definitions = BTreeMap::new();
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
        let kind = word(definition, "AttributeType", &kinds)?
            .ok_or_else(|| not_null("attributeDefinitions", index, "attributeType"))?;
        if definitions.insert(name.into(), kind).is_some() {
            return Err(invalid(format!(
                "Duplicate AttributeName in AttributeDefinitions: {name}"
            )));
        }
    }
    Ok(definitions)
}

fn provisioned(params: Params<'_>) -> Result<Option<Provisioned>, ApiError> {
    let modes = [("PROVISIONED", true), ("PAY_PER_REQUEST", false)];
    let provisioned = word(params, "BillingMode", &modes)?.unwrap_or(true);
    let units = params.get("ProvisionedThroughput");
    match (provisioned, units) {
        (false, None) => Ok(None),
        (false, Some(_)) => Err(invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is \
             PAY_PER_REQUEST",
        )),
        (true, None) => Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is \
             PROVISIONED",
        )),
        (true, Some(units)) => {
            let units = Params::new(units, "ValidationException");
            units.only(&["ReadCapacityUnits", "WriteCapacityUnits"])?;
            let of = |name: &str| {
                integer(units, name, 1, i64::MAX)?
                    .ok_or_else(|| not_null("provisionedThroughput", 0, name))
            };
            Ok(Some(Provisioned {
                read: of("ReadCapacityUnits")?,
                write: of("WriteCapacityUnits")?,
            }))
        }
    }
}

fn class(params: Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    let classes = ["STANDARD", "STANDARD_INFREQUENT_ACCESS"].map(|class| (class, class));
    Ok(word(params, "TableClass", &classes)?.map(Arc::from))
}

fn encryption(params: Params<'_>) -> Result<Option<Encryption>, ApiError> {
    let Some(specification) = params.get("SSESpecification") else { return Ok(None) };
    let specification = Params::new(specification, "ValidationException");
    specification.only(&["Enabled", "SSEType", "KMSMasterKeyId"])?;
    if !specification.optional_bool("Enabled")?.unwrap_or(false) {
        return Ok(None);
    }
    let kinds = [("AES256", "AES256"), ("KMS", "KMS")];
    Ok(Some(Encryption {
        kind: word(specification, "SSEType", &kinds)?.unwrap_or("KMS").into(),
        key: specification.optional_text("KMSMasterKeyId")?.map(Arc::from),
    }))
}

fn tags(params: Params<'_>) -> Result<Tags, ApiError> {
    let Some(list) = params.get("Tags") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| serialization("Tags", "a list"))?;
    let tag = |tag: &Json| {
        let tag = Params::new(tag, "ValidationException");
        let text = |name| Ok::<_, ApiError>(Arc::from(required(tag, name, Json::as_str)?));
        Ok((text("Key")?, text("Value")?))
    };
    list.iter().map(tag).collect()
}

impl Tables {
    pub(super) fn create(
        &mut self,
        now: Timestamp,
        create: &CreateTable,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name = create.table.shared();
        if create.table.is_elsewhere(settings) {
            return Err(validation("The table ARN is not of this region and account"));
        }
        if self.table(name).is_some() {
            let message = format!("Table already exists: {name}");
            return Err(ApiError::new("ResourceInUseException", message));
        }
        let table = Table {
            name: Arc::clone(name),
            number: self.next_number(),
            created: now,
            partition: create.partition.clone(),
            sort: create.sort.clone(),
            provisioned: create.provisioned,
            deletion_protection: create.deletion_protection,
            class: create.class.clone(),
            encryption: create.encryption.clone(),
            tags: create.tags.clone(),
        };
        let description = table.describe("ACTIVE", super::Counts::default(), settings);
        self.record(Write::Table(Arc::new(table)), out);
        Ok(Json::object([("TableDescription", description)]))
    }

    /// A number whose items, if there ever were any, have all been removed.
    fn next_number(&self) -> u64 {
        let used = self.by_number.keys().next_back().max(self.retired.last());
        used.map_or(1, |number| number + 1)
    }

    pub(super) fn delete(
        &mut self,
        name: &TableName,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let table = self.find(name, settings).map_err(|_| named_not_found(name))?;
        if table.deletion_protection {
            return Err(validation(
                "Resource cannot be deleted as it is currently protected against deletion. Disable \
                 deletion protection first.",
            ));
        }
        let counts = self.counts.get(&table.number).copied();
        let description = table.describe("DELETING", counts.unwrap_or_default(), settings);
        self.record(Write::NoTable(Arc::clone(&table.name)), out);
        if counts.is_some() {
            self.record(Write::Counts(table.number, None), out);
            self.record(Write::Retired(table.number, true), out);
        }
        Ok(Json::object([("TableDescription", description)]))
    }
}

/// As DescribeTable and DeleteTable say it.
pub(super) fn named_not_found(name: &TableName) -> ApiError {
    let message = format!("Requested resource not found: Table: {name} not found");
    ApiError::new("ResourceNotFoundException", message)
}
