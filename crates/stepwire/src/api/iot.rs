//! What AWS IoT answers at the rim: where it is.

use stepwire_asl::Json;
use stepwire_core::ApiError;

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
