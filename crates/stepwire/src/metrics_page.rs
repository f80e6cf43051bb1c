//! `GET /-/metrics`: what the node does and what was put into metrics, for Prometheus.
//!
//! Counters since the start, and of each CloudWatch metric what the last whole minute holds, in the
//! text format of OpenMetrics.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use stepwire_core::metrics::{self, Recent};

use crate::node::Node;

const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Most metrics on a page.
const METRICS_MAX: usize = 10_000;

type Labels = Vec<(String, String)>;
/// A value of a metric.
type Value = fn(&Recent) -> f64;
type Values = Family<Labels, Gauge<f64, AtomicU64>>;

/// The page.
pub(crate) async fn page(node: &Node) -> Response {
    let (read, now) = (node.snapshot(), node.now());
    let recent = move || metrics::recent(now, METRICS_MAX, &read);
    let recent = match tokio::task::spawn_blocking(recent).await {
        Ok(Ok(recent)) => recent,
        Ok(Err(corrupt)) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, corrupt.to_string()).into_response();
        }
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let mut out = String::new();
    let written = node
        .counters()
        .write(&mut out)
        .and_then(|()| encode_registry(&mut out, &present(node, &recent)))
        .and_then(|()| encode_eof(&mut out));
    match written {
        Ok(()) => ([(header::CONTENT_TYPE, KIND)], out).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn present(node: &Node, recent: &[Recent]) -> Registry {
    let mut registry = Registry::with_prefix("stepwire");
    let connections = Gauge::<i64>::default();
    connections.set(i64::try_from(node.connected()).unwrap_or(i64::MAX));
    registry.register("mqtt_connections", "Devices that are connected", connections);
    let published = Counter::<u64>::default();
    published.inc_by(node.published());
    let help = "Messages that devices have published";
    registry.register("mqtt_messages_received", help, published);
    let all: [(&str, &str, Value); 4] = [
        ("metric_samples", "Values that were put in", |recent| recent.point.count),
        ("metric_sum", "Their sum", |recent| recent.point.sum),
        ("metric_minimum", "The smallest of them", |recent| recent.point.minimum),
        ("metric_maximum", "The largest of them", |recent| recent.point.maximum),
    ];
    for (name, help, value) in all {
        let values = Values::default();
        for recent in recent {
            values.get_or_create(&labels(recent)).set(value(recent));
        }
        let help = format!("{help}, in the last whole minute of a CloudWatch metric");
        registry.register(name, help, values);
    }
    registry
}

/// Names and values of dimensions are labels that begin with `dimension_`.
fn labels(recent: &Recent) -> Labels {
    let mut labels = vec![
        ("namespace".to_owned(), recent.metric.namespace.to_string()),
        ("name".to_owned(), recent.metric.name.to_string()),
        ("unit".to_owned(), recent.unit.name().to_owned()),
    ];
    let mut taken = BTreeSet::new();
    for (name, value) in &recent.metric.dimensions {
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut label = format!("dimension_{name}");
        while !taken.insert(label.clone()) {
            label.push('_');
        }
        labels.push((label, value.to_string()));
    }
    labels
}
