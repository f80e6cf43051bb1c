//! The Lambda Runtime API, for one process on a loopback port of its own.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API".

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Longest answer of a function, bytes (AWS: 6 MB and 100 bytes).
pub(super) const ANSWER_BYTES_MAX: usize = 6_291_556;

/// What a runtime says.
pub(super) enum Said {
    /// It is ready for an invocation.
    Next(oneshot::Sender<Job>),
    /// The handler returned.
    Returned { id: String, answer: Bytes },
    /// It returned more than may be.
    TooLong { id: String },
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
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(sender);
        let server = tokio::spawn(async move {
            // It ends when it is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(RuntimeApi { address, said, server: server.abort_handle() })
    }
}

type Sender = State<mpsc::Sender<Said>>;

async fn next(State(said): Sender) -> Response {
    let (sender, job) = oneshot::channel();
    if said.send(Said::Next(sender)).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Ok(job) = job.await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("content-type", "application/json");
    add("lambda-runtime-aws-request-id", &job.id);
    add("lambda-runtime-deadline-ms", &job.deadline_ms.to_string());
    add("lambda-runtime-invoked-function-arn", &job.arn);
    add("lambda-runtime-trace-id", &trace_id(&job));
    if let Some(context) = &job.client_context {
        add("lambda-runtime-client-context", context);
    }
    (headers, job.payload.to_string()).into_response()
}

fn trace_id(job: &Job) -> String {
    let digits = job.id.replace('-', "");
    let root = digits.get(..24).unwrap_or(&digits);
    format!("Root=1-{:08x}-{root};Sampled=0", job.deadline_ms / 1_000)
}

async fn response(State(said): Sender, Path(id): Path<String>, body: Body) -> Response {
    match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(answer) => accepted(&said, Said::Returned { id, answer }).await,
        Err(_) => {
            let _ = accepted(&said, Said::TooLong { id }).await;
            StatusCode::PAYLOAD_TOO_LARGE.into_response()
        }
    }
}

async fn error(State(said): Sender, Path(id): Path<String>, body: Body) -> Response {
    let error = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    accepted(&said, Said::Failed { id, error }).await
}

async fn init_error(State(said): Sender, body: Body) -> Response {
    let error = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    accepted(&said, Said::Unable { error }).await
}

async fn accepted(to: &mpsc::Sender<Said>, said: Said) -> Response {
    if to.send(said).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let kind = [("content-type", "application/json")];
    (StatusCode::ACCEPTED, kind, r#"{"status":"OK"}"#).into_response()
}
