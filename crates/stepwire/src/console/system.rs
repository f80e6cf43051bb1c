//! System: the node itself.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use stepwire_asl::Timestamp;
use stepwire_console::Page;
use stepwire_console::pages::system::{Certificate, Commits, Listener, Setting, View, Warning};
use stepwire_console::pages::{self, Problem};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::live::Interest;
use super::visit::Visit;
use crate::disk;
use crate::node::Node;
use crate::node_file::reachable;
use crate::settings_shown;

/// Seconds of commits in the chart.
const SECONDS: usize = 60;

pub(super) fn interest() -> Interest {
    Interest {
        topics: Vec::new(),
        pace: Duration::from_secs(1),
        every: Some(Duration::from_secs(2)),
        ..Interest::default()
    }
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let node = visit.node();
    let measured = node.clone();
    let room = tokio::task::spawn_blocking(move || measured.data_folder().room()).await;
    let room = room.unwrap_or_default();
    let (queued, queued_max) = node.queued();
    let about = node.settings();
    let warnings = node.warnings();
    let data = node.folder().display().to_string();
    let view = View {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: node.started(),
        pid: std::process::id(),
        place: (about.region.to_string(), about.account.to_string()),
        data: if node.in_memory() { "memory".to_owned() } else { data },
        data_bytes: room.used.filter(|_| !node.in_memory()),
        disk: room.disk,
        memory: disk::memory(),
        commits: commits(node),
        queued: (queued as u64, queued_max as u64),
        connected: node.connected() as u64,
        pages: node.live().open_pages() as u64,
        listeners: listeners(node),
        certificates: certificates(node),
        warnings: warnings
            .recent()
            .into_iter()
            .map(|said| Warning {
                at: said.at,
                kind: said.kind.to_owned(),
                text: said.text.to_string(),
            })
            .collect(),
        kinds: warnings.counts().into_iter().map(|(kind, it)| (kind.to_owned(), it)).collect(),
        settings: node.shown_settings().iter().map(setting).collect(),
        now: visit.now(),
    };
    Ok(pages::system::page(&view))
}

fn setting(shown: &settings_shown::Shown) -> Setting {
    let settings_shown::Shown { option, value, is_set } = shown.clone();
    Setting { option, value, is_set }
}

fn commits(node: &Node) -> Commits {
    let report = node.commits().report();
    Commits {
        count: report.count,
        position: node.live().position().0,
        of: report.of as u64,
        took_us: [report.p50, report.p99, report.most].map(|took| took.as_micros() as u64),
        seconds: node.rates().steps(SECONDS, 1, |totals| totals.commits),
    }
}

fn listeners(node: &Node) -> Vec<Listener> {
    let addresses = node.addresses();
    let all = [
        ("--http", "AWS APIs, console, MQTT over WebSocket", "http", Some(addresses.http)),
        ("--https", "the same over TLS, MQTT by ALPN", "https", addresses.https),
        ("--mqtts", "MQTT with device certificates", "mqtts", Some(addresses.mqtts)),
        ("--mqtt", "MQTT in plain text", "mqtt", addresses.mqtt),
    ];
    let each = all.into_iter().filter_map(|(option, what, scheme, address)| {
        Some(Listener { option, what, url: format!("{scheme}://{}", reachable(address?)) })
    });
    each.collect()
}

fn certificates(node: &Node) -> Vec<Certificate> {
    let authority = CertificateDer::from_pem_slice(node.authority().certificate_pem().as_bytes());
    let authority = authority.ok().and_then(|der| certificate("Authority", &der));
    let server = node.server_certificate().and_then(|der| certificate("Server", &der));
    server.into_iter().chain(authority).collect()
}

fn certificate(what: &'static str, der: &[u8]) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let until = Timestamp(parsed.validity().not_after.timestamp() * 1_000);
    let alternatives = parsed.extensions().iter().filter_map(|it| match it.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let names = alternatives.flatten().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    Some(Certificate { what, names: names.collect(), until })
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    Some(four.or(sixteen).ok()?.to_string())
}
