//! HTTP: AWS APIs, the console, whether the node is ready; and the door to MQTT over WebSocket.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use stepwire_core::message::{Caller, Identity};
use tokio::sync::Notify;
use tokio::time;

use super::entrance::Ticket;
use super::port::{Port, Rim};
use super::stream::Stream;
use super::websocket::{self, WebSocket};
use crate::api;
use crate::console;
use crate::events;
use crate::functions::request_id;
use crate::invocations_page;
use crate::metrics_page;
use crate::node::Node;
use crate::rule_tester;

/// Longest time for the head of a request to arrive, and for a connection to have none.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time for a whole request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time to finish requests under way when the node stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Who is at the other end of a connection, as far as the connection says.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
    /// Identifier of the certificate it proved to own.
    pub(super) certificate: Option<Arc<str>>,
}

/// One connection.
struct Connection {
    port: Arc<Port>,
    peer: Peer,
    /// A whole request head was read.
    heard: Notify,
    /// Some request was let in.
    is_good: AtomicBool,
    /// What it goes on as.
    upgrade: Mutex<Option<(OnUpgrade, Identity)>>,
}

/// Serves HTTP/1.1 on `stream` until it ends, or the node stops, or the client goes on with MQTT.
pub(super) async fn serve(
    stream: Stream,
    peer: Peer,
    ticket: &mut Ticket,
    port: Arc<Port>,
) -> Option<(WebSocket<Stream>, Identity)> {
    let stopping = port.rim.node.stopping();
    let connection = Arc::new(Connection {
        port,
        peer,
        heard: Notify::new(),
        is_good: AtomicBool::new(false),
        upgrade: Mutex::default(),
    });
    let answering = Arc::clone(&connection);
    let service = service_fn(move |request| handle(Arc::clone(&answering), request));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving, stopping);
    loop {
        tokio::select! {
            // what goes wrong on a connection is its client's business
            _ = serving.as_mut() => break,
            () = connection.heard.notified() => ticket.introduced(),
            () = ticket.has_to_go() => return None,
            () = &mut stopping => {
                serving.as_mut().graceful_shutdown();
                let _ = time::timeout(STOP_TIMEOUT, serving).await;
                break;
            }
        }
    }
    ticket.introduced();
    if connection.is_good.load(Ordering::Relaxed) {
        ticket.approve();
    }
    let upgrade = connection.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (upgrade, identity) = upgrade?;
    let parts = upgrade.await.ok()?.downcast::<TokioIo<Stream>>().ok()?;
    let bytes_max = connection.port.limits.packet_bytes_max + HEAD_ROOM_BYTES;
    let websocket = WebSocket::new(parts.io.into_inner(), parts.read_buf.into(), bytes_max);
    Some((websocket.await, identity))
}

/// A message of a WebSocket may be this much longer than an MQTT packet's rest.
const HEAD_ROOM_BYTES: usize = 64 * 1024;

async fn handle(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    connection.heard.notify_one();
    let (parts, body) = request.into_parts();
    let mut response = match foreign(&connection.port, &parts) {
        // Whoever has the token may come by any name of this host, and without a key.
        _ if api::confirm::is_visit(&parts) => {
            api::confirm::answer(&connection.port.rim.node, &parts).await
        }
        _ if api::code_location::is_visit(&parts) => {
            api::code_location::answer(&connection.port.rim.node, &parts)
        }
        _ if api::stack_response::is_response(&parts) => {
            let node = &connection.port.rim.node;
            api::stack_response::answer(node, &parts, Body::new(body)).await
        }
        Some(why) => api::refused_early(StatusCode::FORBIDDEN, "AccessDeniedException", why),
        None if parts.method == Method::GET && parts.uri.path() == websocket::PATH => {
            connection.open_websocket(parts)
        }
        None => answer(&connection, &parts, Body::new(body)).await,
    };
    if response.status() != StatusCode::FORBIDDEN {
        connection.is_good.store(true, Ordering::Relaxed);
    }
    let id = HeaderValue::from_str(&request_id());
    if let Ok(id) = id {
        let id = response.headers().get("x-amz-request-id").cloned().unwrap_or(id);
        response.headers_mut().insert("x-amz-request-id", id.clone());
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    Ok(response)
}

impl Connection {
    /// Answers an opening handshake; what follows is for [`serve`] to hand on.
    fn open_websocket(&self, mut parts: Parts) -> Response {
        let (response, identity) = websocket::open(&parts, &self.peer, &self.port.options);
        if let Some(identity) = identity
            && let Some(upgrade) = parts.extensions.remove::<OnUpgrade>()
        {
            let mut waiting = self.upgrade.lock().unwrap_or_else(PoisonError::into_inner);
            *waiting = Some((upgrade, identity));
        }
        response
    }

    /// Who sends a request that is not signed, if it has shown a certificate.
    fn caller(&self, parts: &Parts) -> Option<Caller> {
        let signed = parts.headers.contains_key(header::AUTHORIZATION);
        let certificate = self.peer.certificate.as_ref().filter(|_| !signed)?;
        let own = is_own_origin(&parts.headers);
        own.then(|| Caller {
            identity: Identity::Certificate(certificate.clone()),
            ip: self.peer.ip,
            profile: self.port.options.profile,
        })
    }

    /// Pages know no keys: off loopback they are refused.
    fn on_loopback(&self) -> Option<Response> {
        let refused = (StatusCode::FORBIDDEN, "the console is served on loopback only\n");
        self.port.options.keys.is_some().then(|| refused.into_response())
    }
}

async fn answer(connection: &Connection, parts: &Parts, body: Body) -> Response {
    let Rim { node, warnings, .. } = connection.port.rim.as_ref();
    let page = parts.method == Method::GET && !parts.headers.contains_key(header::AUTHORIZATION);
    if parts.method == Method::GET && parts.uri.path() == "/-/metrics" {
        // Off loopback it is for those who have the key.
        return match api::turn_away(node, connection.port.options.keys.as_ref(), parts) {
            None => metrics_page::page(node).await,
            Some(refused) => refused,
        };
    }
    if parts.method == Method::GET && parts.uri.path() == "/-/invocations" {
        return match api::turn_away(node, connection.port.options.keys.as_ref(), parts) {
            None => invocations_page::page(node, &parts.uri).await,
            Some(refused) => refused,
        };
    }
    if page {
        match parts.uri.path() {
            "/-/ready" => return ready(node),
            "/-/events" => {
                return connection.on_loopback().unwrap_or_else(|| events::stream(node));
            }
            "/-/rules/messages" => {
                let refused = connection.on_loopback();
                return refused.unwrap_or_else(|| rule_tester::messages(node, &parts.uri));
            }
            _ => {}
        }
    }
    let unsigned = !parts.headers.contains_key(header::AUTHORIZATION);
    if unsigned && console::is_asked(parts) {
        return match connection.on_loopback() {
            Some(refused) => refused,
            None => console::answer(node, parts, body).await,
        };
    }
    let tests_rules = is_rule_test(parts);
    if tests_rules && let Some(refused) = connection.on_loopback() {
        return refused;
    }
    let keys = connection.port.options.keys.as_ref();
    let body = match connection.caller(parts) {
        Some(_) => body,
        None => match api::answer_large(node, keys, parts, body).await {
            Ok(response) => return response,
            Err(body) => body,
        },
    };
    let body_max = api::body_max(parts.uri.path());
    let read = tokio::time::timeout(REQUEST_TIMEOUT, to_bytes(body, body_max)).await;
    let answer = match read {
        Ok(Ok(body)) if tests_rules => rule_tester::evaluate(node, &body).await,
        Ok(Ok(body)) => match connection.caller(parts) {
            Some(caller) => api::device::answer(node, warnings, caller, parts, &body).await,
            None => api::answer(node, keys, parts, body).await,
        },
        Ok(Err(error)) if is_too_long(&error) => {
            let message = format!("the body is longer than {body_max} bytes");
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
    };
    if console::is_lost(parts, &answer) && connection.on_loopback().is_none() {
        return console::answer(node, parts, Body::empty()).await;
    }
    answer
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

/// Why a request is not answered, if it is not. On loopback a browser could be led here by any
/// page: only requests that name a loopback host, and that come from no other origin, are answered.
fn foreign(port: &Port, parts: &Parts) -> Option<&'static str> {
    if port.options.keys.is_some() {
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

/// Whether a request comes from no page, or from one of the host it is for: a page of another
/// origin must not use a certificate that the browser shows for it.
pub(crate) fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    !headers.contains_key(header::ORIGIN)
        || origin.is_some_and(|(_, host)| text(header::HOST) == Some(host))
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

fn is_rule_test(parts: &Parts) -> bool {
    parts.method == Method::POST
        && parts.uri.path() == "/-/rules/evaluate"
        && !parts.headers.contains_key(header::AUTHORIZATION)
}

fn ready(node: &Node) -> Response {
    let (connections, starting) = (node.connected(), node.starting());
    let body = format!(
        "{{\"status\":\"ready\",\"connections\":{connections},\"startingFunctions\":{starting}}}\n"
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
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
