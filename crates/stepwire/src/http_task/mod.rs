//! Carries out `arn:aws:states:::http:invoke`: one HTTP request, its response as a task's output.
//!
//! Requests leave only for public addresses over HTTPS, unless the host and port are allowed by
//! name in the configuration. A name is resolved, every address checked, and the connection made
//! to a checked address; redirects are not followed, proxies of the environment not used.

mod connection;
mod egress;
mod request;
mod response;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, redirect};
use stepwire_asl::{Failure, Json};

use self::connection::Token;
pub(crate) use self::request::Outgoing;
use crate::config::HostPort;

pub use self::connection::Connection;
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
    connections: BTreeMap<String, Connection>,
    /// Access tokens by connection.
    tokens: Mutex<HashMap<String, Token>>,
    /// Resolves names to public addresses only.
    public: Client,
    /// Connects wherever it is told: only for `allowed`.
    trusted: Client,
}

impl HttpTasks {
    /// Requests may leave for public addresses, and for `allowed` whatever their address is.
    ///
    /// `connections` are what an `Authentication.ConnectionArn` stands for.
    pub fn new(
        allowed: Vec<HostPort>,
        connections: BTreeMap<String, Connection>,
    ) -> Result<HttpTasks, reqwest::Error> {
        let public = client(|builder| builder.dns_resolver(egress::PublicOnly).https_only(true))?;
        let trusted = client(|builder| builder)?;
        Ok(HttpTasks { allowed, connections, tokens: Mutex::default(), public, trusted })
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
        self.client_for(&outgoing)?;
        let received = within(timeout_ms, self.authorized(outgoing)).await?;
        map_response(&received)
    }

    /// Sends a request with what its connection adds to it.
    async fn authorized(&self, mut outgoing: Outgoing) -> Result<Received, Failure> {
        let Some(arn) = outgoing.connection.take() else { return self.exchange(outgoing).await };
        let name = connection::name_of(&arn).unwrap_or_default();
        let connection = self.connections.get(name).ok_or_else(|| connection::unknown(&arn))?;
        let Some(asking) = connection.token_request() else {
            connection.apply(&mut outgoing, None);
            return self.exchange(outgoing).await;
        };
        if let Some(token) = self.token(name) {
            let mut first = outgoing.clone();
            connection.apply(&mut first, Some(&token));
            let received = self.exchange(first).await?;
            // A token may be taken back before its time is up.
            if received.status != StatusCode::UNAUTHORIZED {
                return Ok(received);
            }
        }
        let why = |why: &str| connection::unauthorized(&arn, why);
        let answer = self.exchange(asking).await.map_err(|failure| why(&failure.cause))?;
        if !answer.status.is_success() {
            return Err(why(&format!("its endpoint answered {}", answer.status.as_u16())));
        }
        let token = Token::read(&answer.body);
        let token = token.ok_or_else(|| why("its endpoint answered no `access_token`"))?;
        self.tokens().insert(name.to_owned(), token.clone());
        connection.apply(&mut outgoing, Some(&token));
        self.exchange(outgoing).await
    }

    fn token(&self, name: &str) -> Option<Token> {
        self.tokens().get(name).filter(|token| token.is_fresh()).cloned()
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request as it is and reads the response, bounded.
    async fn exchange(&self, outgoing: Outgoing) -> Result<Received, Failure> {
        exchange(self.client_for(&outgoing)?, outgoing).await
    }

    /// Sends a request wherever it leads: its address is the operator's own choice.
    pub(crate) async fn exchange_trusted(
        &self,
        outgoing: Outgoing,
        timeout_ms: Option<i64>,
    ) -> Result<Received, Failure> {
        within(timeout_ms, exchange(&self.trusted, outgoing)).await
    }

    fn client_for(&self, outgoing: &Outgoing) -> Result<&Client, Failure> {
        self.client_to(&outgoing.url)
    }

    /// The client for requests to `url`, if any may leave for it.
    pub(crate) fn client_to(&self, url: &Url) -> Result<&Client, Failure> {
        if self.allowed.iter().any(|allowed| allowed.names(url)) {
            return Ok(&self.trusted);
        }
        egress::check(url)?;
        Ok(&self.public)
    }
}

/// The response, unless it takes longer than `timeout_ms` or 60 s.
async fn within(
    timeout_ms: Option<i64>,
    exchange: impl Future<Output = Result<Received, Failure>>,
) -> Result<Received, Failure> {
    let allowed_ms = timeout_ms.unwrap_or(TIMEOUT_MS_MAX).clamp(1, TIMEOUT_MS_MAX);
    let allowed = Duration::from_millis(allowed_ms.unsigned_abs());
    let late = || Err(socket(format!("no response within {allowed_ms} ms")));
    tokio::time::timeout(allowed, exchange).await.unwrap_or_else(|_| late())
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
pub(crate) fn chain(error: &reqwest::Error) -> String {
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
        HttpTasks::new(vec![HostPort::parse(&address.to_string()).unwrap()], BTreeMap::new())
            .unwrap()
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
        let tasks = HttpTasks::new(Vec::new(), BTreeMap::new()).unwrap();
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
