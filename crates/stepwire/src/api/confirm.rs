//! Visits of URLs that others were sent: the `enableUrl` of a topic rule destination, what
//! subscribers of topics confirm or end their subscriptions with, and the certificate that they check
//! signatures with. Whoever has the token may, and anybody may have the certificate.
//!
//! Source: AWS IoT developer guide, "HTTP action destinations"; Amazon SNS developer guide, "HTTP/S
//! endpoints".

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepwire_aws::error::status;
use stepwire_core::Request;
use stepwire_core::rules::{self, destinations};

use super::{query, shaped};
use crate::node::Node;
use crate::notary;

const PATH: &str = "/confirmdestination/";

/// Whether a request is a visit rather than a signed call.
pub(crate) fn is_visit(parts: &Parts) -> bool {
    let unsigned = !parts.headers.contains_key(header::AUTHORIZATION);
    let path = parts.uri.path();
    let by_path = path.starts_with(PATH) || notary::is_certificate(path);
    let known = by_path || subscriber(parts).is_some();
    parts.method == Method::GET && unsigned && known
}

/// The query of a URL that a subscriber was sent.
fn subscriber(parts: &Parts) -> Option<&str> {
    let query = parts.uri.query().filter(|_| parts.uri.path() == "/")?;
    let mut actions = ["Action=ConfirmSubscription", "Action=Unsubscribe"].into_iter();
    actions.any(|action| query.split('&').any(|part| part == action)).then_some(query)
}

/// Confirms and enables the destination whose token the path ends with, or does as a subscriber says.
pub(crate) async fn answer(node: &Node, parts: &Parts) -> Response {
    if let Some(query) = subscriber(parts) {
        return query::visit(node, query).await;
    }
    if notary::is_certificate(parts.uri.path()) {
        return certificate(node, parts.uri.path().to_owned()).await;
    }
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

/// The certificate at a path, PEM. Its key may have to be made first.
async fn certificate(node: &Node, path: String) -> Response {
    let notary = node.notary();
    let found = tokio::task::spawn_blocking(move || notary.certificate(&path).map(str::to_owned));
    match found.await.ok().flatten() {
        Some(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        None => (StatusCode::NOT_FOUND, "There is no such certificate.\n").into_response(),
    }
}
