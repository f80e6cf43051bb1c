//! Large bodies: stored as they arrive, a few chunks at a time, and taken over at the end.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::Response;
use futures_util::StreamExt;
use stepwire_asl::Json;
use stepwire_core::objects::{self, CHUNK_BYTES};
use stepwire_core::{ApiError, Request};
use tokio::time;

use super::chunked::{Decoder, Wrong};
use super::{Signer, chunked, s3, s3_answer};
use crate::node::Node;

/// Bodies that are longer, bytes, are not held in memory whole.
const AT_ONCE_MAX: u64 = 4 << 20;
/// Bytes that are stored with one commit.
const STAGE_BYTES: usize = 16 * CHUNK_BYTES as usize;
/// Longest time in which nothing arrives.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Longest body, bytes: 5 GiB.
const BODY_MAX: u64 = 5 << 30;

/// Whether a request to S3 brings a body that is not read at once.
pub(super) fn is_large(parts: &Parts) -> bool {
    let number = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.and_then(|value| value.parse::<u64>().ok())
    };
    let length = number(header::CONTENT_LENGTH.as_str());
    let length = number("x-amz-decoded-content-length").max(length);
    parts.method == Method::PUT
        && parts.uri.path().len() > 1
        && !parts.headers.contains_key("x-amz-copy-source")
        && match length {
            // Pieces of a length that nobody knows; without this header there is no body.
            None => parts.headers.contains_key(header::TRANSFER_ENCODING),
            Some(length) => length > AT_ONCE_MAX,
        }
}

/// Answers such a request, refusals included.
pub(super) async fn answer(node: &Node, signer: &Signer, parts: &Parts, body: Body) -> Response {
    match carry_out(node, signer, parts, body).await {
        Ok(response) => response,
        Err(error) => s3_answer::refused(parts, &error),
    }
}

async fn carry_out(
    node: &Node,
    signer: &Signer,
    parts: &Parts,
    body: Body,
) -> Result<Response, ApiError> {
    let upload = s3::Upload::of(node, parts)?;
    let mut digests = upload.digests(node, parts);
    let mut staging = Staging { node: node.clone(), body: None, chunks: 0 };
    let encoded = chunked::is_chunked(&parts.headers);
    let mut decoder = encoded.then(|| Decoder::new(signer.chunks(parts)));
    let mut held = Vec::with_capacity(STAGE_BYTES);
    let mut size = 0;
    let mut arriving = body.into_data_stream();
    loop {
        let frame = time::timeout(IDLE_MAX, arriving.next()).await.map_err(|_| {
            let message = "Your socket connection to the server was not read from or written to \
                           within the timeout period.";
            ApiError::new("RequestTimeout", message)
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| incomplete())?;
        let before = held.len();
        match &mut decoder {
            Some(decoder) => {
                decoder.feed(&frame, |bytes| held.extend_from_slice(bytes)).map_err(wrong)?;
            }
            None => held.extend_from_slice(&frame),
        }
        digests.update(&held[before..]);
        size += (held.len() - before) as u64;
        if size > BODY_MAX {
            let message = "Your proposed upload exceeds the maximum allowed size";
            return Err(ApiError::new("EntityTooLarge", message));
        }
        while held.len() >= STAGE_BYTES {
            let rest = held.split_off(STAGE_BYTES);
            staging.store(std::mem::replace(&mut held, rest)).await?;
        }
    }
    let trailers = decoder.map_or(Ok(Vec::new()), Decoder::end).map_err(wrong)?;
    if encoded {
        kept_promise(parts, &trailers)?;
    }
    let announced = if encoded { "x-amz-decoded-content-length" } else { "content-length" };
    let announced = parts.headers.get(announced).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse().ok()).is_some_and(|length: u64| length != size) {
        return Err(incomplete());
    }
    if let Some(claimed) = Signer::claimed_digest(parts)
        && claimed != digests.sha256()
    {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(ApiError::new("XAmzContentSHA256Mismatch", message));
    }
    let Some(body) = staging.body else {
        // It turned out to be short.
        return upload.store(node, parts, &trailers, Bytes::from(held), None).await;
    };
    if !held.is_empty() {
        staging.store(held).await?;
    }
    let staged = digests.staged(body, size);
    let answer = upload.store(node, parts, &trailers, Bytes::new(), Some(staged)).await;
    if answer.is_ok() {
        staging.body = None;
    }
    answer
}

/// What is stored of a body that is still arriving. If it is not taken over it is given up.
struct Staging {
    node: Node,
    body: Option<u64>,
    chunks: u64,
}

impl Staging {
    async fn store(&mut self, bytes: Vec<u8>) -> Result<(), ApiError> {
        let index = self.chunks;
        self.chunks += (bytes.len() as u64).div_ceil(CHUNK_BYTES);
        let stage = objects::Request::Stage { body: self.body, index, bytes: bytes.into() };
        let answer = self.node.call(Request::Objects(stage)).await?;
        let body = answer.member("Body").and_then(Json::as_i64);
        self.body = body.and_then(|body| u64::try_from(body).ok());
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            let node = self.node.clone();
            tokio::spawn(async move {
                // If the node stops, it is given up at the next start.
                let _ = node.call(Request::Objects(objects::Request::Unstage(body))).await;
            });
        }
    }
}

fn incomplete() -> ApiError {
    let message = "You did not provide the number of bytes specified by the Content-Length HTTP \
                   header.";
    ApiError::new("IncompleteBody", message)
}

/// Refuses a body behind which a header is missing that was promised.
pub(super) fn kept_promise(parts: &Parts, trailers: &[(String, String)]) -> Result<(), ApiError> {
    let promised = parts.headers.get("x-amz-trailer").and_then(|names| names.to_str().ok());
    let mut promised = promised.unwrap_or_default().split(',').map(str::trim);
    let missing = promised.any(|name| {
        !name.is_empty() && !trailers.iter().any(|(sent, _)| sent.eq_ignore_ascii_case(name))
    });
    if missing {
        let message = "The request contained trailing data that was not well-formed or did not \
                       conform to our published schema.";
        return Err(ApiError::new("MalformedTrailerError", message));
    }
    Ok(())
}

/// What is said of a body whose encoding is wrong.
pub(super) fn wrong(wrong: Wrong) -> ApiError {
    match wrong {
        Wrong::Form => incomplete(),
        Wrong::Signature => {
            let message = "The request signature we calculated does not match the signature you \
                           provided. Check your key and signing method.";
            ApiError::new("SignatureDoesNotMatch", message)
        }
    }
}
