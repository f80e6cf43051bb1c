//! Carries out what rules and topics send outside: one POST request each, and what came of it.
//!
//! Requests leave only where those of HTTP tasks may ([`crate::http_task`]). One host has a bounded
//! number of requests under way; those for a host that hangs wait for each other and for nobody
//! else. Bodies of responses are thrown away.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use stepwire_core::rules::HttpDelivery;
use stepwire_core::rules::errands::NotDelivered;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::http_task::{HttpTasks, chain};
use crate::notary::Notary;
use crate::signing::KeySource;

/// A request that is not answered in this time has failed. Source: AWS IoT Core quotas, rules engine
/// HTTP action.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for what topics send. Source: Amazon SNS developer guide, "HTTP/S endpoints".
const NOTIFIED_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the body of an answer is listened to.
const BODY_TIMEOUT: Duration = Duration::from_millis(500);
/// An error with a longer body is not tried again. Source: AWS IoT developer guide, "HTTP action
/// retry logic".
const RESPONSE_BYTES_MAX: usize = 16_384;
/// Requests under way to one host.
const HOST_MAX: usize = 16;
/// Requests under way to all hosts.
const ALL_MAX: usize = 256;

/// The header of messages that are sent as they were published.
const RAW: &str = "x-amz-sns-rawdelivery";

/// Sends what rules deliver.
pub(crate) struct Deliveries {
    http: Arc<HttpTasks>,
    /// Keys by the ARN of the role that a signature names.
    roles: BTreeMap<String, KeySource>,
    /// Turns at hosts that requests are under way to.
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    all: Semaphore,
    notary: Arc<Notary>,
}

impl Deliveries {
    pub(crate) fn new(
        http: Arc<HttpTasks>,
        roles: BTreeMap<String, KeySource>,
        notary: Arc<Notary>,
    ) -> Deliveries {
        let all = Semaphore::new(ALL_MAX);
        Deliveries { http, roles, hosts: Mutex::default(), all, notary }
    }

    /// Sends the request and waits for its answer, at most 3 s from when it leaves.
    ///
    /// Arrived has what is answered with a status from 200 to 299. Worth another try are 429, 500 to
    /// 599, and no answer.
    pub(crate) async fn send(&self, delivery: &HttpDelivery) -> Result<(), NotDelivered> {
        let sent = self.send_within(ANSWER_TIMEOUT, delivery).await;
        // AWS's sentence. Source: AWS IoT developer guide, "Error actions for batching".
        sent.map_err(|NotDelivered { why, again }| {
            let why =
                format!("HttpAction failed to make a request to the specified endpoint. {why}");
            NotDelivered { why: why.into(), again }
        })
    }

    /// The same for a topic's document, which is signed, and whose answer may take 15 s.
    pub(crate) async fn notify(&self, mut delivery: HttpDelivery) -> Result<(), NotDelivered> {
        let is_raw = delivery.headers.iter().any(|(name, _)| **name == *RAW);
        if !is_raw {
            let (notary, body) = (Arc::clone(&self.notary), delivery.body.clone());
            let signed = tokio::task::spawn_blocking(move || notary.signed(&body)).await;
            // It panicked, or the node is stopping: the next start sends it.
            delivery.body = signed.map_err(|error| failed(&error.to_string(), true))?;
        }
        self.send_within(NOTIFIED_TIMEOUT, &delivery).await
    }

    async fn send_within(
        &self,
        limit: Duration,
        delivery: &HttpDelivery,
    ) -> Result<(), NotDelivered> {
        let url = Url::parse(&delivery.url).map_err(|_| never("the URL cannot be used"))?;
        let client = self.http.client_to(&url).map_err(|failure| never(&failure.cause))?;
        let host = host_of(&url);
        let turns = self.turns(&host);
        let sent = {
            let _turn = turn(&turns).await;
            let _of_all = turn(&self.all).await;
            // Signed when it leaves: a signature is good for minutes.
            let headers = self.headers(&url, delivery)?;
            let request = client.post(url).headers(headers).body(delivery.body.clone());
            let exchange = async { outcome(request.send().await).await };
            timeout(limit, exchange).await.unwrap_or_else(|_| Err(late(limit)))
        };
        self.leave(&host, turns);
        sent
    }

    fn headers(&self, url: &Url, delivery: &HttpDelivery) -> Result<HeaderMap, NotDelivered> {
        let mut headers = HeaderMap::new();
        for (name, value) in &delivery.headers {
            let unsendable = || never(&format!("the header `{name}` cannot be sent"));
            let (Ok(known), Ok(mut value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value.as_bytes()),
            ) else {
                return Err(unsendable());
            };
            value.set_sensitive(true);
            headers.append(known, value);
        }
        let Some(sign) = &delivery.sign else { return Ok(headers) };
        let missing = || {
            let role = &sign.role;
            never(&format!(
                "no key is configured for `{role}`: it belongs under `roles` in the file of `--secrets`"
            ))
        };
        let key = self.roles.get(&*sign.role).ok_or_else(missing)?;
        let key = key.key().map_err(|why| never(&why))?;
        key.sign(url, &mut headers, &delivery.body, &sign.region, &sign.service)
            .map_err(|why| never(&why))?;
        Ok(headers)
    }

    /// The turns at a host.
    fn turns(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = hosts.get(host) {
            return Arc::clone(turns);
        }
        let turns = Arc::new(Semaphore::new(HOST_MAX));
        hosts.insert(host.to_owned(), Arc::clone(&turns));
        turns
    }

    /// Forgets a host that nothing is under way to.
    fn leave(&self, host: &str, turns: Arc<Semaphore>) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turns);
        // Only the map holds it: others are taken under the same lock.
        if hosts.get(host).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            hosts.remove(host);
        }
    }
}

/// A turn; semaphores here are never closed.
async fn turn(turns: &Semaphore) -> Option<SemaphorePermit<'_>> {
    turns.acquire().await.ok()
}

fn host_of(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

async fn outcome(response: Result<Response, reqwest::Error>) -> Result<(), NotDelivered> {
    let response = response.map_err(|error| failed(&chain(&error), true))?;
    let status = response.status();
    // Read to its end, the connection can be used again; but it has said what matters.
    let short = timeout(BODY_TIMEOUT, is_short(response)).await;
    if status.is_success() {
        return Ok(());
    }
    let again = status.as_u16() == 429 || status.is_server_error();
    let reason = status.canonical_reason().unwrap_or("unknown");
    let why = format!("StatusCode: {}. Reason: {reason}.", status.as_u16());
    Err(failed(&why, again && short != Ok(false)))
}

/// Whether a body has at most [`RESPONSE_BYTES_MAX`] bytes; reads no more.
async fn is_short(mut response: Response) -> bool {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes += chunk.len();
        if bytes > RESPONSE_BYTES_MAX {
            return false;
        }
    }
    true
}

fn late(limit: Duration) -> NotDelivered {
    failed(&format!("no answer within {} s", limit.as_secs()), true)
}

fn never(why: &str) -> NotDelivered {
    failed(why, false)
}

fn failed(why: &str, again: bool) -> NotDelivered {
    NotDelivered { why: why.into(), again }
}
