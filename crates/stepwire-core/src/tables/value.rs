//! Attribute values and items, as DynamoDB's JSON writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use stepwire_asl::Json;

use super::number::Number;
use super::{serialization, validation};
use crate::error::ApiError;

/// Levels of lists and maps a value may have.
pub(crate) const NESTING_MAX: usize = 32;

/// Attributes by name; also a map value.
pub type Attributes = BTreeMap<Arc<str>, Value>;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// String.
    S(Arc<str>),
    /// Number.
    N(Number),
    /// Binary.
    B(Arc<[u8]>),
    /// Truth value.
    Bool(bool),
    /// Null.
    Null,
    /// Map.
    M(Arc<Attributes>),
    /// List.
    L(Arc<Vec<Value>>),
    /// Set of strings; not empty.
    Ss(Arc<BTreeSet<Arc<str>>>),
    /// Set of numbers; not empty.
    Ns(Arc<BTreeSet<Number>>),
    /// Set of binaries; not empty.
    Bs(Arc<BTreeSet<Arc<[u8]>>>),
}

/// The type of an attribute value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the types of `Value`")]
pub enum Type {
    S,
    N,
    B,
    Bool,
    Null,
    M,
    L,
    Ss,
    Ns,
    Bs,
}

impl Type {
    const ALL: [Type; 10] = [
        Type::S,
        Type::N,
        Type::B,
        Type::Bool,
        Type::Null,
        Type::M,
        Type::L,
        Type::Ss,
        Type::Ns,
        Type::Bs,
    ];

    /// The name in DynamoDB's JSON and in `attribute_type`.
    pub fn name(self) -> &'static str {
        match self {
            Type::S => "S",
            Type::N => "N",
            Type::B => "B",
            Type::Bool => "BOOL",
            Type::Null => "NULL",
            Type::M => "M",
            Type::L => "L",
            Type::Ss => "SS",
            Type::Ns => "NS",
            Type::Bs => "BS",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Type> {
        Type::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As the AWS SDK for Java spells it in Step Functions' `aws-sdk:dynamodb` tasks.
    fn sdk_named(name: &str) -> Option<Type> {
        Some(match name {
            "Bool" => Type::Bool,
            "Nul" => Type::Null,
            "Ss" => Type::Ss,
            "Ns" => Type::Ns,
            "Bs" => Type::Bs,
            _ => return None,
        })
    }
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<Arc<str>>) -> Value {
        Value::S(text.into())
    }

    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Value::S(_) => Type::S,
            Value::N(_) => Type::N,
            Value::B(_) => Type::B,
            Value::Bool(_) => Type::Bool,
            Value::Null => Type::Null,
            Value::M(_) => Type::M,
            Value::L(_) => Type::L,
            Value::Ss(_) => Type::Ss,
            Value::Ns(_) => Type::Ns,
            Value::Bs(_) => Type::Bs,
        }
    }

    /// The value that `json` (`{"S": "text"}` …) writes.
    pub fn parse(json: &Json) -> Result<Value, ApiError> {
        parse(json, 0)
    }

    /// The value as DynamoDB's JSON.
    pub fn to_json(&self) -> Json {
        let content = match self {
            Value::S(text) => Json::String(Arc::clone(text)),
            Value::N(number) => Json::from(number.to_string()),
            Value::B(bytes) => Json::from(BASE64.encode(bytes)),
            Value::Bool(value) => Json::Bool(*value),
            Value::Null => Json::Bool(true),
            Value::M(members) => to_json(members),
            Value::L(items) => Json::array(items.iter().map(Value::to_json)),
            Value::Ss(texts) => {
                Json::array(texts.iter().map(|text| Json::String(Arc::clone(text))))
            }
            Value::Ns(numbers) => Json::array(numbers.iter().map(|n| Json::from(n.to_string()))),
            Value::Bs(all) => Json::array(all.iter().map(|bytes| Json::from(BASE64.encode(bytes)))),
        };
        Json::object([(self.kind().name(), content)])
    }

    /// Its bytes as the item size limit counts them.
    pub fn size(&self) -> usize {
        match self {
            Value::S(text) => text.len(),
            Value::N(number) => number_size(number),
            Value::B(bytes) => bytes.len(),
            Value::Bool(_) | Value::Null => 1,
            Value::M(members) => 3 + members.len() + size(members),
            Value::L(items) => 3 + items.len() + items.iter().map(Value::size).sum::<usize>(),
            Value::Ss(texts) => texts.iter().map(|text| text.len()).sum(),
            Value::Ns(numbers) => numbers.iter().map(number_size).sum(),
            Value::Bs(all) => all.iter().map(|bytes| bytes.len()).sum(),
        }
    }
}

/// One byte per two digits and one more; one more still for a sign.
fn number_size(number: &Number) -> usize {
    number.significant_digits().div_ceil(2) as usize + 1 + usize::from(number.is_negative())
}

/// The bytes of names and values as the item size limit counts them.
pub(crate) fn size(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// Attributes as DynamoDB's JSON.
pub(crate) fn to_json(attributes: &Attributes) -> Json {
    Json::object(attributes.iter().map(|(name, value)| (Arc::clone(name), value.to_json())))
}

/// The attributes that `json`, the value of parameter `name`, writes.
pub(crate) fn parse_attributes(json: &Json, name: &str) -> Result<Attributes, ApiError> {
    let members = json.as_object().ok_or_else(|| serialization(name, "a map"))?;
    members.iter().map(|(name, value)| Ok((Arc::clone(name), Value::parse(value)?))).collect()
}

fn parse(json: &Json, depth: usize) -> Result<Value, ApiError> {
    let members = json.as_object().ok_or_else(|| serialization("AttributeValue", "a structure"))?;
    let mut parsed = None;
    for (name, content) in members.iter().filter(|(_, content)| !content.is_null()) {
        let kind = Type::named(name).or_else(|| Type::sdk_named(name)).ok_or_else(no_type)?;
        if depth > NESTING_MAX {
            return Err(validation("Nesting Levels have exceeded supported limits"));
        }
        // What is wrong with one of several is said first.
        if parsed.replace(of_type(kind, content, depth)?).is_some() {
            return Err(validation(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one \
                 of the supported datatypes",
            ));
        }
    }
    parsed.ok_or_else(no_type)
}

fn of_type(kind: Type, content: &Json, depth: usize) -> Result<Value, ApiError> {
    Ok(match kind {
        Type::S => Value::S(text(content)?),
        Type::N => Value::N(number(content)?),
        Type::B => Value::B(binary(content)?),
        Type::Bool => {
            Value::Bool(truth(content).ok_or_else(|| serialization("BOOL", "true or false"))?)
        }
        Type::Null => null(content)?,
        Type::M => {
            let members = content.as_object().ok_or_else(|| serialization("M", "a map"))?;
            let members = members
                .iter()
                .map(|(name, value)| Ok((Arc::clone(name), parse(value, depth + 1)?)));
            Value::M(Arc::new(members.collect::<Result<_, ApiError>>()?))
        }
        Type::L => {
            let items = content.as_array().ok_or_else(|| serialization("L", "a list"))?;
            let items: Result<_, ApiError> = items.iter().map(|i| parse(i, depth + 1)).collect();
            Value::L(Arc::new(items?))
        }
        Type::Ss => Value::Ss(set(content, kind, text, "An string set  may not be empty")?),
        Type::Ns => Value::Ns(set(content, kind, number, "An number set  may not be empty")?),
        Type::Bs => Value::Bs(set(content, kind, binary, "Binary sets should not be empty")?),
    })
}

fn no_type() -> ApiError {
    validation(
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    )
}

/// A truth value, which may be written as a string; any but `true` is false.
fn truth(content: &Json) -> Option<bool> {
    let written = || content.as_str().map(|text| text.eq_ignore_ascii_case("true"));
    content.as_bool().or_else(written)
}

fn null(content: &Json) -> Result<Value, ApiError> {
    match truth(content) {
        Some(true) => Ok(Value::Null),
        Some(false) => Err(validation(
            "One or more parameter values were invalid: Null attribute value types must have the \
             value of true",
        )),
        None => Err(serialization("NULL", "true")),
    }
}

fn text(content: &Json) -> Result<Arc<str>, ApiError> {
    match content {
        Json::String(text) => Ok(Arc::clone(text)),
        _ => Err(serialization("S", "a string")),
    }
}

fn number(content: &Json) -> Result<Number, ApiError> {
    let text = content.as_str().ok_or_else(|| serialization("N", "a string"))?;
    Number::parse(text).map_err(|error| validation(error.to_string()))
}

fn binary(content: &Json) -> Result<Arc<[u8]>, ApiError> {
    let text = content.as_str().ok_or_else(|| serialization("B", "a base64 string"))?;
    let bytes = BASE64.decode(text).map_err(|_| serialization("B", "a base64 string"))?;
    Ok(bytes.into())
}

fn set<T: Ord>(
    content: &Json,
    kind: Type,
    element: impl Fn(&Json) -> Result<T, ApiError>,
    empty: &str,
) -> Result<Arc<BTreeSet<T>>, ApiError> {
    let elements = content.as_array().ok_or_else(|| serialization("a set", "a list"))?;
    if elements.is_empty() {
        return Err(validation(format!("One or more parameter values were invalid: {empty}")));
    }
    let set: BTreeSet<T> = elements.iter().map(element).collect::<Result<_, _>>()?;
    if set.len() == elements.len() {
        return Ok(Arc::new(set));
    }
    let listed: Vec<String> =
        elements.iter().filter_map(|e| Some(e.as_str()?.to_owned())).collect();
    // The missing space is AWS's.
    let of = match kind {
        Type::Ns => return Err(validation("Input collection contains duplicates")),
        Type::Bs => "of type BS",
        _ => "",
    };
    Err(validation(format!(
        "One or more parameter values were invalid: Input collection [{}]{of} contains duplicates.",
        listed.join(", ")
    )))
}
