//! The third party of the story: a profile service on loopback that fails now and then.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use stepwire_asl::{Entropy, Json};
use tokio::net::TcpListener;

/// How many requests in a hundred fail.
pub const FAILURES_PERCENT: u32 = 10;

/// A running profile service. It ends with the process.
pub struct Profiles {
    address: SocketAddr,
    service: Arc<Service>,
}

struct Service {
    dice: Mutex<Entropy>,
    failures_percent: AtomicU32,
    failed: AtomicU64,
}

impl Profiles {
    /// Starts the service on loopback, on `port` if it is free.
    pub async fn start(port: Option<u16>, seed: u64) -> io::Result<Profiles> {
        let listener = match TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(("127.0.0.1", 0)).await?,
        };
        let address = listener.local_addr()?;
        let service = Arc::new(Service {
            dice: Mutex::new(Entropy::new(seed)),
            failures_percent: AtomicU32::new(FAILURES_PERCENT),
            failed: AtomicU64::new(0),
        });
        let router =
            Router::new().route("/profiles/{id}", get(profile)).with_state(Arc::clone(&service));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Profiles { address, service })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests in a hundred fail from now on.
    pub fn set_failures(&self, percent: u32) {
        self.service.failures_percent.store(percent, Ordering::Relaxed);
    }

    /// How many requests have failed.
    pub fn failed(&self) -> u64 {
        self.service.failed.load(Ordering::Relaxed)
    }
}

impl Service {
    fn roll(&self) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}

async fn profile(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let roll = service.roll();
    if roll % 100 < u64::from(service.failures_percent.load(Ordering::Relaxed)) {
        service.failed.fetch_add(1, Ordering::Relaxed);
        return (StatusCode::SERVICE_UNAVAILABLE, "busy, try again").into_response();
    }
    // 18.0 to 23.9 degrees.
    let tenths = 180 + (roll >> 32) % 60;
    let temperature = format!("{}.{}", tenths / 10, tenths % 10);
    let body = format!(r#"{{"id":{},"desiredTemperature":{temperature}}}"#, Json::from(id));
    ([("content-type", "application/json")], body).into_response()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn ask(address: SocketAddr) -> (u16, String) {
        let response = reqwest::get(format!("http://{address}/profiles/user-7")).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn a_profile_is_json_with_a_temperature() {
        let profiles = Profiles::start(None, 1).await.unwrap();
        profiles.set_failures(0);
        let (status, body) = ask(profiles.address()).await;
        let body = Json::parse(&body).unwrap();
        let degrees = body.member("desiredTemperature").unwrap().as_f64().unwrap();
        assert_eq!((status, body.member("id").unwrap().as_str()), (200, Some("user-7")));
        assert!((18.0..24.0).contains(&degrees));
    }

    #[tokio::test]
    async fn some_requests_fail_and_are_counted() {
        let profiles = Profiles::start(None, 1).await.unwrap();
        let mut failures = 0;
        for _ in 0..200 {
            failures += u64::from(ask(profiles.address()).await.0 == 503);
        }
        assert_eq!(profiles.failed(), failures);
        assert!((5..50).contains(&failures), "{failures}");
    }
}
