//! Values and their conversions. Source: AWS IoT SQL reference, "Data types" and "Conversions".

use stepwire_asl::Json;
use stepwire_asl::json::Number;

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
        use base64::Engine;
        match self {
            Value::Undefined => None,
            Value::Json(value) => Some(value),
            Value::Bytes(bytes) => {
                Some(Json::from(base64::engine::general_purpose::STANDARD.encode(bytes)))
            }
        }
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

    /// As a number: numbers, and text that writes one.
    pub(super) fn number(&self) -> Option<Number> {
        match self.json()? {
            Json::Number(number) => Some(number.clone()),
            Json::String(text) => numeric(text),
            _ => None,
        }
    }

    /// As an integer: truncated.
    pub(super) fn int(&self) -> Option<i64> {
        let number = self.number()?;
        number.as_i64().or_else(|| {
            let value = number.as_f64().trunc();
            (value.abs() < 9.2e18).then_some(value as i64)
        })
    }

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

    /// As text; `None` for Null and Undefined.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Value::Undefined | Value::Json(Json::Null) => None,
            Value::Json(Json::String(text)) => Some(text.to_string()),
            Value::Json(other) => Some(other.to_text()),
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

/// The number that text writes, by the reference's pattern `-?\d+(\.\d+)?(E-?\d+)?`.
fn numeric(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = digits.trim_start_matches('0');
    let plain = if plain.starts_with(|c: char| c.is_ascii_digit()) {
        plain.to_owned()
    } else {
        format!("0{plain}")
    };
    let sign = if text.starts_with('-') { "-" } else { "" };
    Number::from_text(&format!("{sign}{plain}"))
}

impl From<Json> for Value {
    fn from(value: Json) -> Self {
        Value::Json(value)
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

/// A double, when there is one and it is finite.
pub(super) fn double(value: Option<f64>) -> Value {
    value.and_then(Json::from_f64).map_or(Value::Undefined, Value::Json)
}

impl<T> From<Option<T>> for Value
where
    T: Into<Json>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Undefined, |value| Value::Json(value.into()))
    }
}

impl Value {
    /// As text in a template; `None` for Null and Undefined.
    pub fn into_text(self) -> Option<String> {
        self.text()
    }
}
