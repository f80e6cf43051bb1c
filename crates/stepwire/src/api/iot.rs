//! What AWS IoT answers at the rim: publishing over HTTP, endpoints, new keys.

use std::sync::Arc;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_core::message::{Properties, QoS};
use stepwire_core::request::Publish;
use stepwire_core::{ApiError, Request, Service};

use super::not_available;
use crate::ca::Issuer;
use crate::node::Node;

/// The message that a Publish asks for.
pub(super) fn publish(body: &Json) -> Result<Publish, ApiError> {
    let text = |name: &str| body.member(name).and_then(Json::as_str);
    let invalid = |why: &str| ApiError::new("InvalidRequestException", why);
    let qos = match body.member("qos").map(Json::as_i64) {
        None | Some(Some(0)) => QoS::AtMostOnce,
        Some(Some(1)) => QoS::AtLeastOnce,
        Some(_) => return Err(invalid("`qos` must be 0 or 1")),
    };
    let payload = STANDARD.decode(text("payload").unwrap_or_default());
    let user = text("userProperties").map(user_properties).transpose()?;
    let expiry = body.member("messageExpiry").and_then(Json::as_i64);
    let correlation = text("correlationData").map(|data| STANDARD.decode(data)).transpose();
    let properties = Properties {
        payload_is_utf8: text("payloadFormatIndicator") == Some("UTF8_DATA"),
        message_expiry_s: expiry.and_then(|expiry| u32::try_from(expiry).ok()),
        content_type: text("contentType").map(Arc::from),
        response_topic: text("responseTopic").map(Arc::from),
        correlation_data: correlation
            .map_err(|_| invalid("`correlationData` must be base64"))?
            .map(Bytes::from),
        user_properties: user.unwrap_or_default(),
    };
    let retain = body.member("retain").and_then(Json::as_bool).unwrap_or(false);
    let payload = payload.map_err(|_| invalid("`payload` must be base64"))?;
    Publish::to(text("topic").unwrap_or_default(), payload.into(), qos, retain, properties)
}

type UserProperties = Vec<(Arc<str>, Arc<str>)>;

/// `[{"name": "value"}, …]`, in base64 as the model's header says.
fn user_properties(text: &str) -> Result<UserProperties, ApiError> {
    let invalid = || {
        ApiError::new("InvalidRequestException", "`userProperties` must be base64 of a JSON list")
    };
    let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
    let list = Json::parse_bytes(&bytes).map_err(|_| invalid())?;
    let mut properties = Vec::new();
    for entry in list.as_array().ok_or_else(invalid)? {
        for (name, value) in entry.as_object().ok_or_else(invalid)? {
            properties.push((Arc::clone(name), value.as_str().ok_or_else(invalid)?.into()));
        }
    }
    Ok(properties)
}

/// Where devices of this node connect; a port is part of it unless it is the usual one.
pub(super) fn describe_endpoint(node: &Node, body: &Json) -> Result<Json, ApiError> {
    let addresses = node.addresses();
    let host = |address: std::net::SocketAddr, usual: u16| {
        let name = if address.ip().is_loopback() || address.ip().is_unspecified() {
            "localhost".to_owned()
        } else {
            address.ip().to_string()
        };
        if address.port() == usual { name } else { format!("{name}:{}", address.port()) }
    };
    let address = match body.member("endpointType").and_then(Json::as_str) {
        None | Some("iot:Data-ATS" | "iot:Data") => host(addresses.mqtts, 8883),
        Some("iot:Jobs" | "iot:CredentialProvider") => {
            host(addresses.https.unwrap_or(addresses.http), 443)
        }
        Some(other) => {
            let message = format!("`{other}` is no type of endpoint");
            return Err(ApiError::new("InvalidRequestException", message));
        }
    };
    Ok(Json::object([("endpointAddress", Json::from(address))]))
}

/// The private key is in the answer and nowhere else.
pub(super) async fn create_keys_and_certificate(
    node: &Node,
    body: &Json,
) -> Result<Json, ApiError> {
    let active = body.member("setAsActive").cloned().unwrap_or_else(|| false.into());
    let issued = node.authority().issue().map_err(|error| {
        ApiError::new("InternalFailureException", format!("cannot make a certificate: {error}"))
    })?;
    let register = Json::object([
        ("certificateId", Json::from(issued.id)),
        ("certificatePem", issued.certificate_pem.into()),
        ("setAsActive", active),
    ]);
    let operation = "RegisterIssuedCertificate";
    let request = Request::parse(Service::Iot, operation, &register);
    let answer = node.call(request.ok_or_else(|| not_available(operation))??).await?;
    let pair = Json::object([
        ("PublicKey", Json::from(issued.public_key_pem)),
        ("PrivateKey", issued.private_key_pem.into()),
    ]);
    let members = answer.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
    Ok(Json::object(members.chain([("keyPair".into(), pair)])))
}
