//! `dynamoDB` and `dynamoDBv2`: a message is stored in a table, whole or one attribute a member.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;

use super::field::{Field, text_or};
use super::{INVALID, Kind, Resolved, document, json, only};
use crate::error::ApiError;
use crate::params::Params;
use crate::request::Service;
use crate::rules::sql::{Facts, Value};

/// `dynamoDB`
#[derive(Debug, Clone, PartialEq)]
pub struct DynamoDb {
    table: Field,
    hash: Key,
    range: Option<Key>,
    /// Attribute that takes the result.
    payload: Option<Field>,
    operation: Option<Field>,
}

#[derive(Debug, Clone, PartialEq)]
struct Key {
    field: Field,
    kind: Option<Field>,
    value: Field,
}

/// `dynamoDBv2`
#[derive(Debug, Clone, PartialEq)]
pub struct DynamoDbV2 {
    table: Field,
}

/// Types of keys, and what items call them.
const TYPES: [(&str, &str); 2] = [("STRING", "S"), ("NUMBER", "N")];

pub(super) fn parse(fields: &Params<'_>) -> Result<DynamoDb, ApiError> {
    let hash = ["hashKeyField", "hashKeyType", "hashKeyValue"];
    let range = ["rangeKeyField", "rangeKeyType", "rangeKeyValue"];
    only(fields, &[&["tableName", "payloadField", "operation"], &hash[..], &range].concat())?;
    let key = |[field, kind, value]: [&'static str; 3]| {
        let key = Key {
            field: Field::required(fields, field)?,
            kind: Field::optional(fields, kind)?,
            value: Field::required(fields, value)?,
        };
        match key.kind.as_ref().and_then(Field::plain) {
            Some(plain) if !TYPES.iter().any(|(name, _)| *name == plain) => {
                Err(fields.invalid(kind, &format!("`{plain}` is neither STRING nor NUMBER")))
            }
            Some(_) | None => Ok(key),
        }
    };
    let operation = Field::optional(fields, "operation")?;
    if let Some(plain) = operation.as_ref().and_then(Field::plain) {
        Operation::parse(plain).map_err(|why| fields.invalid("operation", &why))?;
    }
    let is_given =
        |name: &&str| fields.get(name).and_then(Json::as_str).is_some_and(|t| !t.is_empty());
    let has_range = range.iter().any(is_given);
    Ok(DynamoDb {
        table: Field::required(fields, "tableName")?,
        hash: key(hash)?,
        range: has_range.then(|| key(range)).transpose()?,
        payload: Field::optional(fields, "payloadField")?,
        operation,
    })
}

pub(super) fn parse_v2(fields: &Params<'_>) -> Result<DynamoDbV2, ApiError> {
    only(fields, &["putItem"])?;
    let put = fields.get("putItem").ok_or_else(|| fields.invalid("putItem", "it is missing"))?;
    let put = &Params::new(put, INVALID);
    put.only(&["tableName"])?;
    Ok(DynamoDbV2 { table: Field::required(put, "tableName")? })
}

enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    fn parse(text: &str) -> Result<Operation, String> {
        match text {
            "INSERT" => Ok(Operation::Insert),
            "UPDATE" => Ok(Operation::Update),
            "DELETE" => Ok(Operation::Delete),
            other => Err(format!("`{other}` is not INSERT, UPDATE or DELETE")),
        }
    }
}

impl Key {
    /// Its name, and its value as items have it.
    fn attribute(&self, facts: &Facts<'_>) -> Result<(Arc<str>, Json), String> {
        let (name, value) = (named(self.field.text(facts)?)?, self.value.text(facts)?);
        let kind = text_or(self.kind.as_ref(), facts, "STRING")?;
        let known = TYPES.iter().find(|(name, _)| **name == *kind);
        let (_, kind) = known.ok_or_else(|| {
            format!("the type of key `{name}` is `{kind}`, which is neither STRING nor NUMBER")
        })?;
        Ok((name, Json::object([(*kind, Json::String(value))])))
    }
}

impl Kind for DynamoDb {
    fn name(&self) -> &'static str {
        "DynamoDBAction"
    }

    fn resource(&self) -> &Field {
        &self.table
    }

    fn resolve(
        &self,
        table: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        let operation = text_or(self.operation.as_ref(), facts, "INSERT")?;
        let operation =
            Operation::parse(&operation).map_err(|why| format!("`operation`: {why}"))?;
        let mut key = vec![self.hash.attribute(facts)?];
        key.extend(self.range.as_ref().map(|range| range.attribute(facts)).transpose()?);
        let field = named(text_or(self.payload.as_ref(), facts, "payload")?)?;
        if key.iter().any(|(name, _)| *name == field) {
            return Err(format!("`payloadField` is `{field}`, which is a key"));
        }
        let table = ("TableName", Json::String(Arc::clone(table)));
        let (operation, body) = match operation {
            Operation::Insert => {
                key.push((field, payload(result)));
                ("PutItem", Json::object([table, ("Item", Json::object(key))]))
            }
            Operation::Update => {
                let names = Json::object([("#payload", Json::String(field))]);
                let values = Json::object([(":payload", payload(result))]);
                let body = [
                    table,
                    ("Key", Json::object(key)),
                    ("UpdateExpression", "SET #payload = :payload".into()),
                    ("ExpressionAttributeNames", names),
                    ("ExpressionAttributeValues", values),
                ];
                ("UpdateItem", Json::object(body))
            }
            Operation::Delete => ("DeleteItem", Json::object([table, ("Key", Json::object(key))])),
        };
        Ok(Resolved::Request { service: Service::DynamoDb, operation, body })
    }
}

impl Kind for DynamoDbV2 {
    fn name(&self) -> &'static str {
        "DynamoDBv2Action"
    }

    fn resource(&self) -> &Field {
        &self.table
    }

    fn resolve(&self, table: &Arc<str>, _: &Facts<'_>, result: &Value) -> Result<Resolved, String> {
        let result = document(result)?;
        let members = result.as_object().ok_or("the result is not an object")?;
        let item = members.iter();
        let item = item.map(|(name, value)| Ok((named(Arc::clone(name))?, attribute(value))));
        let item = item.collect::<Result<Vec<_>, String>>()?;
        let table = ("TableName", Json::String(Arc::clone(table)));
        let body = Json::object([table, ("Item", Json::object(item))]);
        Ok(Resolved::Request { service: Service::DynamoDb, operation: "PutItem", body })
    }
}

/// The name of an attribute, which an item has to have.
fn named(name: Arc<str>) -> Result<Arc<str>, String> {
    if name.is_empty() { Err("the name of an attribute is empty".to_owned()) } else { Ok(name) }
}

/// A result as one attribute: bytes stay bytes.
fn payload(result: &Value) -> Json {
    match result {
        Value::Bytes(bytes) => Json::object([("B", Json::from(STANDARD.encode(bytes)))]),
        other => attribute(&json(other)),
    }
}

/// A JSON value as DynamoDB's typed JSON.
pub(in crate::rules) fn attribute(value: &Json) -> Json {
    let typed = |kind: &'static str, value: Json| Json::object([(kind, value)]);
    match value {
        Json::Null => typed("NULL", true.into()),
        Json::Bool(_) => typed("BOOL", value.clone()),
        Json::Number(number) => typed("N", number.to_string().into()),
        Json::String(_) => typed("S", value.clone()),
        Json::Array(items) => typed("L", Json::array(items.iter().map(attribute))),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (Arc::clone(name), attribute(value)));
            typed("M", Json::object(members))
        }
    }
}
