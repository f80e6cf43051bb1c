//! Carries out `arn:aws:states:::http:invoke`: one HTTP request, its response as a task's output.
//!
//! Requests leave only for public addresses over HTTPS, unless the host and port are allowed by
//! name in the configuration. A name is resolved, every address checked, and the connection made
//! to a checked address; redirects are not followed, proxies of the environment not used.

mod egress;
mod request;
mod response;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, redirect};
use stepwire_asl::{Failure, Json};

use self::request::Outgoing;
use crate::config::HostPort;

pub use self::request::build_request;
pub use self::response::{Received, map_response};

/// A request that is not answered in this time fails, whatever the task allows (AWS: 60 s).
pub const TIMEOUT_MS_MAX: i64 = 60_000;
/// A longer response body fails the task (AWS: 256 KiB).
pub const RESPONSE_BYTES_MAX: usize = 262_144;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(30);

/// The definition asks for something that cannot be: retrying would not help.
fn runtime(cause: impl Into<Arc<str>>) -> Failure {
    Failure::new("States.Runtime", cause)
}

/// The network let us down, or was not to be used.
fn socket(cause: impl Into<Arc<str>>) -> Failure {
    Failure::new("States.Http.Socket", cause)
}

/// Sends the requests of HTTP tasks. Connections are pooled and shared.
pub struct HttpTasks {
    allowed: Vec<HostPort>,
    /// Resolves names to public addresses only.
    public: Client,
    /// Connects wherever it is told: only for `allowed`.
    trusted: Client,
}

impl HttpTasks {
    /// Requests may leave for public addresses, and for `allowed` whatever their address is.
    pub fn new(allowed: Vec<HostPort>) -> Result<HttpTasks, reqwest::Error> {
        let public = client(|builder| builder.dns_resolver(egress::PublicOnly).https_only(true))?;
        let trusted = client(|builder| builder)?;
        Ok(HttpTasks { allowed, public, trusted })
    }

    /// Sends the request that `parameters` describe and waits for its response, at most
    /// `timeout_ms` and never longer than 60 s.
    ///
    /// The output is `{Headers, ResponseBody, StatusCode, StatusText}`. Fails with
    /// `States.Http.StatusCode.N` for a status outside 200–299 (the cause is the response's body),
    /// `States.Http.Socket` when no response came, `States.DataLimitExceeded` when it was too long,
    /// `States.Runtime` for parameters and responses that cannot be handled.
    pub async fn invoke(
        &self,
        parameters: &Json,
        timeout_ms: Option<i64>,
    ) -> Result<Json, Failure> {
        let outgoing = build_request(parameters)?;
        let client = self.client_for(&outgoing)?;
        let allowed_ms = timeout_ms.unwrap_or(TIMEOUT_MS_MAX).clamp(1, TIMEOUT_MS_MAX);
        let exchange = exchange(client, outgoing);
        match tokio::time::timeout(Duration::from_millis(allowed_ms.unsigned_abs()), exchange).await
        {
            Ok(received) => map_response(&received?),
            Err(_) => Err(socket(format!("no response within {allowed_ms} ms"))),
        }
    }

    fn client_for(&self, outgoing: &Outgoing) -> Result<&Client, Failure> {
        if self.allowed.iter().any(|allowed| allowed.names(&outgoing.url)) {
            return Ok(&self.trusted);
        }
        egress::check(&outgoing.url)?;
        Ok(&self.public)
    }
}

/// A client as both need it. Without any certificate authority on the machine HTTPS requests fail
/// one by one instead of the node at its start.
fn client(extra: impl Fn(ClientBuilder) -> ClientBuilder) -> Result<Client, reqwest::Error> {
    let builder = || {
        let plain = Client::builder()
            .user_agent(concat!("stepwire/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION_LIFE);
        extra(plain)
    };
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

async fn exchange(client: &Client, outgoing: Outgoing) -> Result<Received, Failure> {
    let mut request = client.request(outgoing.method, outgoing.url).headers(outgoing.headers);
    if let Some(body) = outgoing.body {
        request = request.body(body);
    }
    let response = request.send().await.map_err(|error| socket(chain(&error)))?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Received { status, headers, body: body_of(response).await? })
}

async fn body_of(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| socket(chain(&error)))? {
        if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
            let cause = format!("the response is longer than {RESPONSE_BYTES_MAX} bytes");
            return Err(Failure::new("States.DataLimitExceeded", cause));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error and its causes in one line, without the URL: it may hold secrets.
fn chain(error: &reqwest::Error) -> String {
    let what = if error.is_connect() { "cannot connect" } else { "the exchange failed" };
    let mut text = what.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, post};

    use super::*;

    async fn service() -> SocketAddr {
        let echo = |headers: HeaderMap, body: String| async move {
            let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
            format!("{} {body}", kind.unwrap_or("-"))
        };
        let json = || async { ([("content-type", "application/json")], r#"{"t":21.50}"#) };
        let router = Router::new()
            .route("/json", get(json))
            .route("/echo", post(echo))
            .route("/busy", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "try later") }))
            .route("/moved", get(|| async { (StatusCode::FOUND, [("location", "/json")], "") }))
            .route("/long", get(|| async { "x".repeat(RESPONSE_BYTES_MAX + 1) }))
            .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(30)).await }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn tasks(address: SocketAddr) -> HttpTasks {
        HttpTasks::new(vec![HostPort::parse(&address.to_string()).unwrap()]).unwrap()
    }

    fn get_of(address: SocketAddr, path: &str) -> Json {
        let url = format!("http://{address}{path}");
        Json::object([("ApiEndpoint", url.into()), ("Method", "GET".into())])
    }

    #[tokio::test]
    async fn a_json_response_is_parsed_and_keeps_its_numbers() {
        let address = service().await;
        let output = tasks(address).invoke(&get_of(address, "/json"), None).await.unwrap();
        assert_eq!(output.member("ResponseBody").unwrap().to_text(), r#"{"t":21.50}"#);
        assert_eq!(output.member("StatusCode").unwrap().as_i64(), Some(200));
        assert_eq!(output.member("StatusText").unwrap().as_str(), Some("OK"));
        let headers = output.member("Headers").unwrap();
        assert_eq!(headers.member("content-type").unwrap().to_text(), r#"["application/json"]"#);
    }

    #[tokio::test]
    async fn an_error_status_fails_the_task_with_the_body_as_cause() {
        let address = service().await;
        let failed = tasks(address).invoke(&get_of(address, "/busy"), None).await.unwrap_err();
        assert_eq!(failed, Failure::new("States.Http.StatusCode.503", "try later"));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let address = service().await;
        let failed = tasks(address).invoke(&get_of(address, "/moved"), None).await.unwrap_err();
        assert_eq!(failed, Failure::new("States.Http.StatusCode.302", "Found"));
    }

    #[tokio::test]
    async fn a_long_response_fails_the_task() {
        let address = service().await;
        let failed = tasks(address).invoke(&get_of(address, "/long"), None).await.unwrap_err();
        assert_eq!(&*failed.error, "States.DataLimitExceeded");
    }

    #[tokio::test]
    async fn a_slow_response_fails_after_the_time_the_task_allows() {
        let address = service().await;
        let failed = tasks(address).invoke(&get_of(address, "/slow"), Some(50)).await.unwrap_err();
        assert_eq!(failed, socket("no response within 50 ms"));
    }

    #[tokio::test]
    async fn a_body_is_sent_as_json_or_as_a_form() {
        let address = service().await;
        let url = format!("http://{address}/echo");
        let text = |transform: &str| {
            format!(
                r#"{{"ApiEndpoint":"{url}","Method":"POST","RequestBody":{{"a":[1,2]}}{transform}}}"#
            )
        };
        let tasks = tasks(address);
        let output = tasks.invoke(&Json::parse(&text("")).unwrap(), None).await.unwrap();
        let body = output.member("ResponseBody").unwrap();
        assert_eq!(body.as_str(), Some(r#"application/json {"a":[1,2]}"#));
        let form = text(r#","Transform":{"RequestBodyEncoding":"URL_ENCODED"}"#);
        let output = tasks.invoke(&Json::parse(&form).unwrap(), None).await.unwrap();
        let body = output.member("ResponseBody").unwrap();
        assert_eq!(body.as_str(), Some("application/x-www-form-urlencoded a%5B0%5D=1&a%5B1%5D=2"));
    }

    #[tokio::test]
    async fn nothing_leaves_for_loopback_unless_it_is_allowed() {
        let address = service().await;
        let tasks = HttpTasks::new(Vec::new()).unwrap();
        let failed = tasks.invoke(&get_of(address, "/json"), None).await.unwrap_err();
        assert_eq!(&*failed.error, "States.Http.Socket");
        let port = address.port();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "[::1]", "0.0.0.0"] {
            let url = format!("https://{host}:{port}/json");
            let parameters =
                Json::object([("ApiEndpoint", url.as_str().into()), ("Method", "GET".into())]);
            let failed = tasks.invoke(&parameters, None).await.unwrap_err();
            assert_eq!(&*failed.error, "States.Http.Socket", "{url}");
            assert!(failed.cause.contains("not a public address"), "{url}: {}", failed.cause);
        }
    }

    #[tokio::test]
    async fn allowing_one_port_does_not_allow_another() {
        let (one, other) = (service().await, service().await);
        let failed = tasks(one).invoke(&get_of(other, "/json"), None).await.unwrap_err();
        assert_eq!(&*failed.error, "States.Http.Socket");
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_a_socket_failure() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let failed = tasks(address).invoke(&get_of(address, "/"), None).await.unwrap_err();
        assert_eq!(&*failed.error, "States.Http.Socket");
        assert!(failed.cause.starts_with("cannot connect"), "{}", failed.cause);
    }
}
