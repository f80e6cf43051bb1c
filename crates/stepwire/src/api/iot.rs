//! What AWS IoT answers at the rim: endpoints, new keys.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::{ApiError, Request, Service};

use super::not_available;
use crate::ca::Issuer;
use crate::node::Node;

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
