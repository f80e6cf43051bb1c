//! A visit of the `enableUrl` of a topic rule destination: whoever has its token confirms it.
//!
//! Source: AWS IoT developer guide, "HTTP action destinations".

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepwire_aws::error::status;
use stepwire_core::Request;
use stepwire_core::rules::{self, destinations};

use super::shaped;
use crate::node::Node;

const PATH: &str = "/confirmdestination/";

/// Whether a request is a visit rather than a signed call of ConfirmTopicRuleDestination.
pub(crate) fn is_visit(parts: &Parts) -> bool {
    parts.method == Method::GET
        && parts.uri.path().starts_with(PATH)
        && !parts.headers.contains_key(header::AUTHORIZATION)
}

/// Confirms and enables the destination whose token the path ends with.
pub(crate) async fn answer(node: &Node, parts: &Parts) -> Response {
    let token = parts.uri.path().strip_prefix(PATH).unwrap_or_default();
    let request = Request::Rules(rules::Request::Destination(destinations::Request::visit(token)));
    match node.call(request).await {
        Ok(_) => (StatusCode::OK, "The destination is confirmed and enabled.\n").into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(status("iot", &error.code));
            let status = status.unwrap_or(StatusCode::BAD_REQUEST);
            shaped(status, "application/json", None, &error)
        }
    }
}
