//! How pages, style sheet and script are sent.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use stepwire_console::assets::{Assets, SCRIPT, STYLE};
use stepwire_console::{self as drawn, Counts, Frame, Page};
use stepwire_core::read::{Range, Read};
use stepwire_core::record::Space;
use stepwire_core::tables::tables_prefix;

use super::live;
use super::visit::Visit;
use crate::node::Node;
use crate::shard;

/// Pages load nothing from elsewhere and run nothing but the script.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Most of a kind that the rail counts.
const COUNTED_MAX: usize = 2_000;

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let digest = Sha256::new().chain_update(STYLE).chain_update(SCRIPT).finalize();
    Assets::new(digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>())
});

/// A page in its frame.
pub(super) fn page(visit: &Visit, parts: &Parts, page: &Page, status: StatusCode) -> Response {
    let searched = visit.query("q").unwrap_or_default();
    let interest = super::interest(visit);
    let is_live = status.is_success() && interest.is_any() && !visit.is_answer();
    let live = is_live.then(|| live::address(visit, &interest, page));
    let node = visit.node();
    let frame = Frame {
        assets: &ASSETS,
        counts: counts(node),
        node: about(node),
        live,
        searched: &searched,
        now: visit.now(),
    };
    let mut response = compressed(parts, "text/html; charset=utf-8", frame.document(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn counts(node: &Node) -> Counts {
    let read = node.snapshot();
    let with = |prefix: &[u8]| {
        let all = Range::prefix(prefix).limit(COUNTED_MAX + 1);
        shard::catch(|| read.range(&all).len() as u64).ok()
    };
    let of = |space: Space| with(&[space as u8]);
    Counts {
        devices: of(Space::Thing),
        rules: of(Space::Rule),
        workflows: of(Space::MachineName),
        rollouts: of(Space::Job),
        functions: of(Space::Function),
        // Their space holds more than one record of each.
        tables: with(&tables_prefix()),
        most: COUNTED_MAX as u64,
    }
}

fn about(node: &Node) -> drawn::Node {
    let store = if node.in_memory() { "memory" } else { "data folder" };
    drawn::Node {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        region: node.settings().region.to_string(),
        store: store.to_owned(),
        online: node.connected() as u64,
    }
}

/// Style sheet or script.
pub(super) fn asset(parts: &Parts, path: &str) -> Response {
    let (kind, text) = match path.split_once('/') {
        Some((_, "console.css")) => ("text/css; charset=utf-8", STYLE),
        Some((_, "console.js")) => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    };
    let mut response = compressed(parts, kind, text.to_owned());
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response
}

/// "See that page": what a browser goes to once a form was done.
pub(super) fn see(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Text, compressed if whoever asks understands that.
fn compressed(parts: &Parts, kind: &'static str, text: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: browsers then send forms with `Origin: null`, which is taken from nobody.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let understood = self::text(parts, header::ACCEPT_ENCODING).unwrap_or_default();
    if !takes_gzip(understood) {
        return (headers, text).into_response();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    match encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(bytes) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (headers, bytes).into_response()
        }
        Err(_) => (headers, text).into_response(),
    }
}

/// Whether an `Accept-Encoding` (RFC 9110, 12.5.3) has gzip in it, and not with a weight of 0.
fn takes_gzip(understood: &str) -> bool {
    understood.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// A header's text.
pub(super) fn text(parts: &Parts, name: HeaderName) -> Option<&str> {
    parts.headers.get(name)?.to_str().ok()
}

/// Whether whoever asks wants a page.
pub(super) fn accepts_html(parts: &Parts) -> bool {
    text(parts, header::ACCEPT).is_some_and(|accept| accept.contains("text/html"))
}
