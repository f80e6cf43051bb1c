//! The answer of a function that makes a custom resource of a stack: a PUT to the address that it was
//! given, by whoever has the token at the end of it.
//!
//! Source: CloudFormation user guide, "Custom resource response objects".

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use stepwire_asl::Json;
use stepwire_core::{Request, stacks};

use super::{refused_early, shaped};
use crate::node::Node;

/// Longest answer, bytes; AWS takes 4 KiB.
const BODY_MAX: usize = 64 << 10;

/// Whether a request is such an answer.
pub(crate) fn is_response(parts: &Parts) -> bool {
    parts.method == Method::PUT && parts.uri.path().starts_with(stacks::RESPONSE_PATH)
}

/// Takes the answer.
pub(crate) async fn answer(node: &Node, parts: &Parts, body: Body) -> Response {
    let token = parts.uri.path().strip_prefix(stacks::RESPONSE_PATH).unwrap_or_default();
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        let message = format!("the answer is longer than {BODY_MAX} bytes");
        return refused_early(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge", &message);
    };
    let Ok(answer) = Json::parse_bytes(&body) else {
        let message = "the answer is not JSON";
        return refused_early(StatusCode::BAD_REQUEST, "MalformedResponse", message);
    };
    let request = stacks::Request::Respond { token: token.into(), answer };
    match node.call(Request::Stacks(request)).await {
        Ok(_) => StatusCode::OK.into_response(),
        Err(error) => shaped(StatusCode::FORBIDDEN, "application/json", None, &error),
    }
}
