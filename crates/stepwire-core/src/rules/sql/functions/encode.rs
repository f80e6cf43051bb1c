//! Values to text and back.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use stepwire_asl::Json;

use super::{Call, Found};
use crate::rules::sql::outside::Question;
use crate::rules::sql::protobuf::Descriptor;
use crate::rules::sql::value::Value;

/// Base64 as Java reads it: padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// The steps that reading a set of descriptors, and a message by it, takes at least.
const MESSAGE_STEPS: u32 = 5_000;

/// The value in base64: a payload byte by byte, anything else as text.
pub(super) fn encode(call: &Call<'_>) -> Found {
    let bytes = match call.value(0)? {
        Value::Bytes(bytes) => bytes.to_vec(),
        other => other.text()?.into_bytes(),
    };
    Some(BASE64.encode(bytes).into())
}

/// What base64 carries: JSON its value, a message of Protocol Buffers, anything else text. What
/// cannot be decoded is Null.
pub(super) fn decode(call: &Call<'_>) -> Found {
    let text = call.text(0)?;
    let Ok(bytes) = BASE64.decode(text) else { return Some(Json::Null.into()) };
    if call.values.len() > 2 {
        return message(call, &bytes);
    }
    let Ok(text) = String::from_utf8(bytes) else { return Some(Json::Null.into()) };
    Some(Json::parse(&text).unwrap_or_else(|_| Json::from(text)).into())
}

/// `decode(…, 'proto', bucket, key, file, message)`: Undefined without such a descriptor.
fn message(call: &Call<'_>, bytes: &[u8]) -> Found {
    let (bucket, key) = (call.name(2)?, call.name(3)?);
    let Value::Bytes(set) = call.facts.ask(&Question::Object { bucket, key }) else { return None };
    if !call.facts.spend(MESSAGE_STEPS) {
        return None;
    }
    let descriptor = Descriptor::find(&set, &call.name(4)?, &call.name(5)?).ok()?;
    Some(descriptor.read(bytes).unwrap_or(Json::Null).into())
}
