//! Values to text and back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;

use super::{Call, Found};
use crate::rules::sql::value::Value;

pub(super) fn encode(call: &Call<'_>) -> Found {
    Some(STANDARD.encode(bytes_of(call.value(0)?)?).into())
}

/// JSON in base64 becomes its value, anything else text; what cannot be decoded is Null.
pub(super) fn decode(call: &Call<'_>) -> Found {
    let Ok(bytes) = STANDARD.decode(call.text(0)?) else { return Some(Json::Null.into()) };
    let Ok(text) = String::from_utf8(bytes) else { return Some(Json::Null.into()) };
    Some(Json::parse(&text).unwrap_or_else(|_| Json::from(text)).into())
}

fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Undefined => None,
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        Value::Json(Json::String(text)) => Some(text.as_bytes().to_vec()),
        Value::Json(other) => Some(other.to_text().into_bytes()),
    }
}
