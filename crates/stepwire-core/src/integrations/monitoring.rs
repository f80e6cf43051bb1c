//! Metrics and alarms as tasks see them.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

/// Errors of CloudWatch that its model names, and what the SDKs make of them.
const ERRORS: [(&str, &str); 8] = [
    ("InternalServiceFault", "InternalServiceException"),
    ("InvalidFormatFault", "InvalidFormatException"),
    ("InvalidNextToken", "InvalidNextTokenException"),
    ("InvalidParameterCombinationException", "InvalidParameterCombinationException"),
    ("InvalidParameterValueException", "InvalidParameterValueException"),
    ("LimitExceededFault", "LimitExceededException"),
    ("MissingRequiredParameterException", "MissingRequiredParameterException"),
    ("ResourceNotFound", "ResourceNotFoundException"),
];

/// What the SDK calls an error; `None`: it has no name for it.
pub(super) fn exception(code: &str) -> Option<String> {
    let named = ERRORS.iter().find(|(known, _)| *known == code);
    named.map(|(_, name)| (*name).to_owned())
}

/// An answer with times as text.
pub(super) fn output(answer: &Json) -> Json {
    match answer {
        Json::Object(members) => Json::object(members.iter().map(|(name, value)| {
            let time = name.ends_with("Timestamp") || name.ends_with("Timestamps");
            (Arc::clone(name), if time { times(value) } else { output(value) })
        })),
        Json::Array(items) => Json::array(items.iter().map(output)),
        other => other.clone(),
    }
}

fn times(value: &Json) -> Json {
    match value {
        Json::Array(items) => Json::array(items.iter().map(times)),
        Json::Number(seconds) => {
            Timestamp((seconds.as_f64() * 1_000.0).round() as i64).rfc3339().into()
        }
        other => other.clone(),
    }
}
