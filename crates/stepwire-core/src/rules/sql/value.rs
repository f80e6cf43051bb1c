//! Values and their conversions. Source: AWS IoT SQL reference, "Data types" and "Conversions".

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::number::Number;
use super::{Type, Version};

/// A value of IoT SQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing there, or an operation that makes no sense.
    Undefined,
    /// Anything JSON can say.
    Json(Json),
    /// A payload that is not JSON.
    Bytes(bytes::Bytes),
}

impl Value {
    /// The JSON value, unless Undefined. Bytes are given as base64.
    pub fn into_json(self) -> Option<Json> {
        match self {
            Value::Undefined => None,
            Value::Json(value) => Some(value),
            Value::Bytes(bytes) => Some(Json::from(STANDARD.encode(bytes))),
        }
    }

    /// As text in a template; `None` for Null and Undefined.
    pub fn into_text(self) -> Option<String> {
        self.text()
    }

    pub(super) fn json(&self) -> Option<&Json> {
        match self {
            Value::Json(value) => Some(value),
            Value::Undefined | Value::Bytes(_) => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Value::Json(Json::Null))
    }

    /// As a number: numbers, and text that writes one, which is a Decimal.
    pub(super) fn number(&self) -> Option<Number> {
        match self.json()? {
            Json::Number(number) => Number::of(number),
            Json::String(text) => Number::written(text).map(|number| number.to_decimal()),
            _ => None,
        }
    }

    /// As an integer of 64 bits: Decimals rounded down, text cut off at the point.
    pub(super) fn int(&self) -> Option<i64> {
        self.whole()?.as_i64()
    }

    /// As an Int: Decimals rounded down, text cut off at the point.
    pub(super) fn whole(&self) -> Option<Number> {
        let number = self.number()?;
        let is_text = matches!(self, Value::Json(Json::String(_)));
        Some(if is_text { number.truncated() } else { number.floor() })
    }

    /// As a double: numbers, and text that writes one.
    pub(super) fn double(&self) -> Option<f64> {
        self.number().map(|number| number.as_f64())
    }

    /// As a truth value: Booleans, and the words in any case.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.json()? {
            Json::Bool(value) => Some(*value),
            Json::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Json::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// As text; `None` for Null and Undefined. Numbers as they are written: see [`Value::written`].
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Value::Undefined | Value::Json(Json::Null) => None,
            Value::Json(Json::String(text)) => Some(text.to_string()),
            Value::Json(other) => Some(other.to_text()),
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    /// The value as this version writes its numbers: whole Decimals as Ints since 2016-03-23.
    #[must_use]
    pub(super) fn written(self, version: Version) -> Value {
        match self {
            Value::Json(json) if version.writes_whole() => {
                Value::Json(with_wholes(&json).unwrap_or(json))
            }
            other => other,
        }
    }

    /// `cast(… AS to)`. Source: AWS IoT SQL reference, "cast".
    pub(super) fn cast(&self, to: Type) -> Value {
        if self.is_null() {
            return Value::Undefined;
        }
        let as_number = |value: bool| Number::from(i64::from(value));
        match (to, self.json()) {
            (Type::String, _) => self.text().map(Json::from).into(),
            (Type::Boolean, Some(Json::Number(_))) => {
                self.number().map(|number| number.sign() != 0).into()
            }
            (Type::Boolean, _) => self.boolean().into(),
            (Type::Int, Some(Json::Bool(value))) => as_number(*value).into(),
            (Type::Int, _) => self.whole().into(),
            (Type::Decimal, Some(Json::Bool(value))) => as_number(*value).to_decimal().into(),
            (Type::Decimal, _) => self.number().map(|number| number.to_decimal()).into(),
        }
    }
}

/// The value with its whole Decimals as Ints; `None` when it has none.
fn with_wholes(json: &Json) -> Option<Json> {
    match json {
        // A fraction that a double shows is one.
        Json::Number(number) if number.is_integer() || number.as_f64().fract() != 0.0 => None,
        Json::Number(number) => Some(Number::of(number)?.as_whole()?.to_json()),
        Json::Array(items) => {
            let mut changed: Option<Vec<Json>> = None;
            for (at, item) in items.iter().enumerate() {
                if let Some(item) = with_wholes(item) {
                    changed.get_or_insert_with(|| items.to_vec())[at] = item;
                }
            }
            changed.map(|items| Json::Array(Arc::new(items)))
        }
        Json::Object(members) => {
            let mut changed: Option<Object> = None;
            for (name, value) in members.iter() {
                if let Some(value) = with_wholes(value) {
                    changed
                        .get_or_insert_with(|| Object::clone(members))
                        .insert(Arc::clone(name), value);
                }
            }
            changed.map(|members| Json::Object(Arc::new(members)))
        }
        Json::Null | Json::Bool(_) | Json::String(_) => None,
    }
}

/// Whether two values are equal: numbers by value, arrays in order, objects by their members.
pub(super) fn same(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(a), Json::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => match (Number::of(a), Number::of(b)) {
                (Some(a), Some(b)) => a == b,
                _ => a.to_string() == b.to_string(),
            },
        },
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            let in_b = |(name, value): (&Arc<str>, &Json)| {
                b.get(name.as_ref()).is_some_and(|other| same(value, other))
            };
            a.len() == b.len() && a.iter().all(in_b)
        }
        _ => left == right,
    }
}

impl From<Json> for Value {
    fn from(value: Json) -> Self {
        Value::Json(value)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Value::Json(number.to_json())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Json(Json::from(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Json(Json::from(value))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Json(Json::from(text))
    }
}

/// A double as a Decimal, when there is one and it is finite.
pub(super) fn double(value: Option<f64>) -> Value {
    value.and_then(Number::from_f64).into()
}

impl<T> From<Option<T>> for Value
where
    T: Into<Json>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Undefined, |value| Value::Json(value.into()))
    }
}
