//! The data plane of AWS IoT as tasks call it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::names::{camel, pascal, rename};
use crate::error::ApiError;
use crate::request::{Request, Service};

/// The request of a task: a payload as text is its bytes, any other JSON its compact text.
pub(super) fn request(operation: &str, parameters: &Json) -> Option<Result<Request, ApiError>> {
    let members = parameters.as_object().into_iter().flatten();
    let wire: Object = members
        .map(|(name, value)| (Arc::from(camel(name)), value))
        .map(|(name, value): (Arc<str>, &Json)| {
            let is_blob = matches!(&*name, "payload" | "userProperties") && !value.is_null();
            let value = if is_blob { encoded(value) } else { value.clone() };
            (name, value)
        })
        .collect();
    Request::parse(Service::IotData, operation, &Json::Object(Arc::new(wire)))
}

/// An answer as the task's output: payloads that are text as text, others in base64.
pub(super) fn output(answer: &Json) -> Json {
    let text = answer.member("payload").and_then(Json::as_str).and_then(decoded);
    let user = answer.member("userProperties").and_then(Json::as_str).and_then(decoded);
    let mut members = rename(answer, &pascal).as_object().cloned().unwrap_or_default();
    members.extend(text.map(|text| ("Payload".into(), Json::from(text))));
    members.extend(user.map(|text| ("UserProperties".into(), Json::from(text))));
    Json::Object(Arc::new(members))
}

fn encoded(value: &Json) -> Json {
    let bytes = match value {
        Json::String(text) => STANDARD.encode(text.as_bytes()),
        other => STANDARD.encode(other.to_text()),
    };
    bytes.into()
}

fn decoded(base64: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}
