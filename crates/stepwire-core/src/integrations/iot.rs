//! AWS IoT as tasks call it.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::Json;

use crate::error::ApiError;
use crate::message::{Properties, QoS};
use crate::params::Params;
use crate::request::Publish;

/// `iotdataplane:publish`: the payload as text is its bytes, any other JSON its compact text.
pub(super) fn publish(parameters: &Json) -> Result<Publish, ApiError> {
    let params = Params::new(parameters, "InvalidRequestException");
    params.only(&["Topic", "Qos", "Retain", "Payload", "ContentType", "ResponseTopic"])?;
    let qos = match params.optional_int("Qos")? {
        None | Some(0) => QoS::AtMostOnce,
        Some(1) => QoS::AtLeastOnce,
        Some(other) => return Err(params.invalid("Qos", &format!("`{other}` is not 0 or 1"))),
    };
    let payload = match params.get("Payload") {
        None => Bytes::new(),
        Some(Json::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Some(other) => Bytes::from(other.to_text()),
    };
    let properties = Properties {
        content_type: params.optional_text("ContentType")?.map(Arc::from),
        response_topic: params.optional_text("ResponseTopic")?.map(Arc::from),
        ..Properties::default()
    };
    let retain = params.optional_bool("Retain")?.unwrap_or(false);
    Publish::to(params.text("Topic")?, payload, qos, retain, properties)
}
