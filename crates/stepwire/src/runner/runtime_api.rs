//! The Lambda Runtime API, for one process on a loopback port of its own.
//!
//! An answer leaves in one write, without waiting for what may follow: otherwise a runtime's next
//! request waits for an acknowledgement that the system delays.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API".

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Longest answer of a function, bytes (AWS: 6 MB and 100 bytes).
pub(super) const ANSWER_BYTES_MAX: usize = 6_291_556;
/// What every path begins with.
const ROOT: &str = "/2018-06-01/runtime/";

/// What a runtime says.
pub(super) enum Said {
    /// It is ready for an invocation.
    Next(oneshot::Sender<Job>),
    /// The handler returned.
    Returned { id: String, answer: Bytes },
    /// It returned more than may be.
    TooLong { id: String },
    /// It wants to return its answer piece by piece.
    Streams { id: String },
    /// The handler failed.
    Failed { id: String, error: Bytes },
    /// There is no handler to call.
    Unable { error: Bytes },
}

/// An invocation as a runtime gets it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: Arc<str>,
    pub(super) deadline_ms: i64,
    pub(super) arn: String,
    pub(super) client_context: Option<String>,
    pub(super) trace: String,
    pub(super) payload: Arc<str>,
}

/// The server. Dropping it closes the port.
pub(super) struct RuntimeApi {
    pub(super) address: SocketAddr,
    pub(super) said: mpsc::Receiver<Said>,
    server: AbortHandle,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RuntimeApi {
    /// Listens on a free port.
    pub(super) async fn start() -> std::io::Result<RuntimeApi> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (sender, said) = mpsc::channel(4);
        let server = tokio::spawn(async move {
            // Its connections end with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // Without it the connection is slower, no more.
                let _ = stream.set_nodelay(true);
                let sender = sender.clone();
                let service = service_fn(move |request| answer(sender.clone(), request));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move {
                    // What goes wrong on it the process notices itself.
                    let _ = served.await;
                });
            }
        });
        Ok(RuntimeApi { address, said, server: server.abort_handle() })
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(
    said: mpsc::Sender<Said>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let words: Vec<&str> = path.split('/').collect();
    let post = parts.method == Method::POST;
    let body = axum::body::Body::new(body);
    Ok(match words.as_slice() {
        ["invocation", "next"] if parts.method == Method::GET => next(&said).await,
        ["invocation", id, "response"] if post => {
            let id = (*id).to_owned();
            if streams(&parts.headers) {
                accepted(&said, Said::Streams { id }).await
            } else {
                match to_bytes(body, ANSWER_BYTES_MAX).await {
                    Ok(answer) => accepted(&said, Said::Returned { id, answer }).await,
                    Err(_) => {
                        let _ = accepted(&said, Said::TooLong { id }).await;
                        empty(StatusCode::PAYLOAD_TOO_LARGE)
                    }
                }
            }
        }
        ["invocation", id, "error"] if post => {
            let id = (*id).to_owned();
            let error = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
            accepted(&said, Said::Failed { id, error }).await
        }
        ["init", "error"] if post => {
            let error = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
            accepted(&said, Said::Unable { error }).await
        }
        _ => empty(StatusCode::NOT_FOUND),
    })
}

fn streams(headers: &HeaderMap) -> bool {
    let mode = headers.get("lambda-runtime-function-response-mode");
    mode.is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"))
}

async fn next(said: &mpsc::Sender<Said>) -> Answer {
    let (sender, job) = oneshot::channel();
    if said.send(Said::Next(sender)).await.is_err() {
        return empty(StatusCode::SERVICE_UNAVAILABLE);
    }
    let Ok(job) = job.await else { return empty(StatusCode::SERVICE_UNAVAILABLE) };
    let mut response = Response::new(Full::new(Bytes::from(job.payload.to_string())));
    let headers = response.headers_mut();
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("content-type", "application/json");
    add("lambda-runtime-aws-request-id", &job.id);
    add("lambda-runtime-deadline-ms", &job.deadline_ms.to_string());
    add("lambda-runtime-invoked-function-arn", &job.arn);
    add("lambda-runtime-trace-id", &job.trace);
    if let Some(context) = &job.client_context {
        add("lambda-runtime-client-context", context);
    }
    response
}

async fn accepted(to: &mpsc::Sender<Said>, said: Said) -> Answer {
    if to.send(said).await.is_err() {
        return empty(StatusCode::SERVICE_UNAVAILABLE);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"status":"OK"}"#)));
    *response.status_mut() = StatusCode::ACCEPTED;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", kind);
    response
}

fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
