//! The HTTP port: AWS APIs, the console, and whether the node is ready.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use stepwire_core::executions::uuid_text;
use tokio::net::TcpListener;

use crate::access_key::AccessKey;
use crate::api;
use crate::console;
use crate::events;
use crate::node::Node;

/// Longest time for a whole request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time to finish requests under way when the node stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

struct Shared {
    node: Node,
    /// Requests must be signed with this key; `None` on loopback.
    keys: Option<AccessKey>,
}

/// Serves HTTP on `listener` until `shutdown` is done.
pub async fn serve(
    listener: TcpListener,
    node: Node,
    keys: Option<AccessKey>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let app = Router::new().fallback(handle).with_state(Arc::new(Shared { node, keys }));
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        let _ = stopping.send(());
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(shutdown);
    tokio::select! {
        served = async { serving.await } => if let Err(error) = served {
            tracing::error!("the HTTP listener ended: {error}");
        },
        () = async {
            let _ = stopped.await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        } => {}
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let mut response = match foreign(&shared, &parts) {
        Some(why) => api::refused_early(StatusCode::FORBIDDEN, "AccessDeniedException", why),
        None => answer(&shared, &parts, body).await,
    };
    let id = HeaderValue::from_str(&request_id());
    if let Ok(id) = id {
        response.headers_mut().insert("x-amz-request-id", id.clone());
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    Ok(response)
}

async fn answer(shared: &Shared, parts: &Parts, body: Body) -> Response {
    let page = parts.method == Method::GET && !parts.headers.contains_key(header::AUTHORIZATION);
    if page {
        match parts.uri.path() {
            "/-/ready" => return ready(shared),
            "/console.css" => return console::style(),
            "/-/events" => {
                return on_loopback(shared).unwrap_or_else(|| events::stream(&shared.node));
            }
            "/" if accepts_html(parts) => {
                return match on_loopback(shared) {
                    Some(refused) => refused,
                    None => console::page(&shared.node).await,
                };
            }
            _ => {}
        }
    }
    let read = tokio::time::timeout(REQUEST_TIMEOUT, to_bytes(body, api::BODY_MAX)).await;
    match read {
        Ok(Ok(body)) => api::answer(&shared.node, shared.keys.as_ref(), parts, body).await,
        Ok(Err(error)) if is_too_long(&error) => {
            let message = format!("the body is longer than {} bytes", api::BODY_MAX);
            let code = "RequestEntityTooLargeException";
            api::refused_early(StatusCode::PAYLOAD_TOO_LARGE, code, &message)
        }
        Ok(Err(_)) => {
            let code = "SerializationException";
            api::refused_early(StatusCode::BAD_REQUEST, code, "the body cannot be read")
        }
        Err(_) => {
            let message = "the body did not arrive in time";
            api::refused_early(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", message)
        }
    }
}

/// Pages know no keys: off loopback they are refused.
fn on_loopback(shared: &Shared) -> Option<Response> {
    let refused = (StatusCode::FORBIDDEN, "the console is served on loopback only\n");
    shared.keys.is_some().then(|| refused.into_response())
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

/// Why a request is not answered, if it is not. On loopback a browser could be led here by any
/// page: only requests that name a loopback host, and that come from no other origin, are answered.
fn foreign(shared: &Shared, parts: &Parts) -> Option<&'static str> {
    if shared.keys.is_some() {
        return None;
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
    // Signed requests cannot come from a page of another origin without asking first.
    let signed = parts.headers.contains_key(header::AUTHORIZATION);
    if !signed && !host.is_some_and(is_loopback) {
        return Some("this host name is not served");
    }
    let origin = parts.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let foreign = origin.is_some_and(|origin| {
        let host = origin.split("://").nth(1).unwrap_or(origin);
        !is_loopback(host)
    });
    foreign.then_some("requests of other origins are not served")
}

/// Whether `host`, with or without port, is this machine's own.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn accepts_html(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn ready(shared: &Shared) -> Response {
    let body = format!("{{\"status\":\"ready\",\"connections\":{}}}\n", shared.node.connected());
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Random, in the form of a UUID.
fn request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let (a, b) = (RandomState::new().hash_one(1), RandomState::new().hash_one(2));
    uuid_text(u128::from(a) << 64 | u128::from(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "localhost:4566", "127.0.0.1:1", "[::1]:4566", "a.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.com", "127.0.0.1.example.com", "localhost.example.com:80", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
