//! AWS requests, one at a time on each connection, and many connections at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

pub(crate) struct Figures {
    pub(crate) rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    pub(crate) cpu_us: f64,
    bytes: f64,
}

impl Figures {
    pub(crate) fn print(&self, what: &str, share: Option<f64>) {
        let share = share.map_or(String::new(), |share| format!("{share:.2}"));
        println!(
            "{what:>6} {:>10.0} {:>8.2} {:>8.2} {:>9.1} {:>9.0} {share:>7}",
            self.rate, self.p50_ms, self.p99_ms, self.cpu_us, self.bytes
        );
    }
}

/// Sends `total` requests over `connections`, each waiting for its answer.
pub(crate) async fn load(
    server: &Server,
    connections: usize,
    total: usize,
    request: &(dyn Fn(usize) -> Vec<u8> + Sync),
) -> Figures {
    let requests: Vec<Vec<u8>> = (0..total).map(request).collect();
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let (cpu, bytes) = (server.process.cpu_us(), server.process.bytes_written());
    let begin = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (next, requests, address) = (Arc::clone(&next), Arc::clone(&requests), server.address);
        tasks.push(tokio::spawn(async move {
            let mut stream = connect(address).await;
            let (mut times, mut buffer) = (Vec::new(), Vec::new());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= requests.len() {
                    return times;
                }
                let sent = Instant::now();
                stream.write_all(&requests[at]).await.unwrap();
                let (status, body) = answer(&mut stream, &mut buffer).await;
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                times.push(sent.elapsed());
            }
        }));
    }
    let mut times = Vec::with_capacity(total);
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let took = begin.elapsed();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let each = |sum: f64| sum / total as f64;
    Figures {
        rate: total as f64 / took.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        cpu_us: each(server.process.cpu_us() - cpu),
        bytes: each((server.process.bytes_written() - bytes) as f64),
    }
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) async fn ask(server: &Server, target: &str, body: &Value) -> Value {
    exchange(&mut connect(server.address).await, &request(target, body)).await
}

/// Sends a request and waits for its answer.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Value {
    stream.write_all(request).await.unwrap();
    let (status, body) = answer(stream, &mut Vec::new()).await;
    let asked = || String::from_utf8_lossy(request).into_owned();
    let done = (200..300).contains(&status);
    assert!(done, "{}: {status} {}", asked(), String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

/// A request of a service whose operations are named in a header.
pub(crate) fn request(target: &str, body: &Value) -> Vec<u8> {
    let service = if target.starts_with("Dynamo") { "dynamodb" } else { "states" };
    let kind = format!("application/x-amz-json-1.0\r\nX-Amz-Target: {target}");
    signed("POST", "/", service, &kind, body)
}

/// A request of IoT, whose operations are paths.
pub(crate) fn request_to(method: &str, path: &str, body: &Value) -> Vec<u8> {
    signed(method, path, "iot", "application/json", body)
}

/// A request of another service whose operations are paths.
pub(crate) fn request_of(service: &str, method: &str, path: &str, body: &Value) -> Vec<u8> {
    signed(method, path, service, "application/json", body)
}

/// The signature is not looked at on loopback, the service it names is.
fn signed(method: &str, path: &str, service: &str, kind: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let signature = "0".repeat(64);
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n\
         X-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIABENCH/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one answer: status and body.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> (u16, Vec<u8>) {
    loop {
        if let Some(end) = buffer.windows(4).position(|run| run == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let status = head[9..12].parse().unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return (status, body);
            }
        }
        assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "the server hung up");
    }
}
