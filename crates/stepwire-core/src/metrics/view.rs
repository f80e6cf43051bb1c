//! Reading metrics.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stepwire_asl::{Json, Timestamp};

use super::Metrics;
use super::record::{self, Grain, MetricId, MetricRecord, Point, Unit};
use super::request::{DataQuery, Request, Statistics};
use super::series::{self, Window, json};
use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::Corrupt;

/// Most metrics of a page.
const PAGE_MAX: usize = 500;
/// Most metrics looked at for a page.
const LOOKED_AT_MAX: usize = 10_000;
/// What `RecentlyActive` means.
const RECENT_MS: i64 = 3 * 3_600_000;

type Members = Vec<(&'static str, Json)>;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read) -> Result<Json, ApiError> {
    match request {
        Request::ListMetrics { recent: false, .. } => list(request, None, read),
        Request::GetMetricStatistics(wanted) => statistics(wanted, read),
        Request::GetMetricData { queries, ascending, points_max, token } => {
            data(queries, *ascending, *points_max, token.as_deref(), read)
        }
        Request::PutMetricData(_) | Request::ListMetrics { .. } => {
            Err(ApiError::new("InternalServiceFault", "only the kernel answers this"))
        }
    }
}

impl Metrics {
    /// The answer to ListMetrics that asks for metrics with recent data.
    pub(crate) fn list_recent(
        now: Timestamp,
        request: &Request,
        read: &dyn Read,
    ) -> Result<Json, ApiError> {
        list(request, Some(now.plus_ms(-RECENT_MS)), read)
    }
}

/// A list and where its next page begins.
pub(crate) fn listed(lists: Members, next: Option<String>) -> Json {
    let next = next.map(|token| ("NextToken", token.into()));
    Json::object(lists.into_iter().chain(next))
}

fn list(request: &Request, since: Option<Timestamp>, read: &dyn Read) -> Result<Json, ApiError> {
    let Request::ListMetrics { namespace, name, dimensions, token, .. } = request else {
        return Err(ApiError::new("InternalServiceFault", "no request for a list"));
    };
    let range = record::metrics(namespace.as_deref(), name.as_deref());
    let from = match token {
        Some(token) => URL_SAFE_NO_PAD.decode(token.as_bytes()).map_err(|_| bad_token())?,
        None => range.from.clone(),
    };
    let range = Range { from: from.max(range.from), ..range }.limit(LOOKED_AT_MAX + 1);
    let fits = |metric: &MetricRecord| {
        let id = &metric.id;
        let given = |(name, value): &(Arc<str>, Option<Arc<str>>)| {
            let there = id.dimensions.iter().find(|(there, _)| there == name);
            there.is_some_and(|(_, there)| value.as_ref().is_none_or(|value| value == there))
        };
        name.as_ref().is_none_or(|name| *name == id.name)
            && since.is_none_or(|since| metric.newest >= since)
            && dimensions.iter().all(given)
    };
    let mut found = Vec::new();
    let mut next = None;
    for (at, (key, value)) in read.range(&range).into_iter().enumerate() {
        if found.len() == PAGE_MAX || at == LOOKED_AT_MAX {
            next = Some(URL_SAFE_NO_PAD.encode(key));
            break;
        }
        let metric = record::metric(&key, &value).map_err(internal)?;
        if fits(&metric) {
            found.push(Json::object(shown(&metric.id)));
        }
    }
    Ok(listed(vec![("Metrics", Json::array(found))], next))
}

/// A metric's members.
pub(crate) fn shown(id: &MetricId) -> Members {
    vec![
        ("Namespace", Json::String(Arc::clone(&id.namespace))),
        ("MetricName", Json::String(Arc::clone(&id.name))),
        ("Dimensions", dimensions(id)),
    ]
}

fn dimensions(id: &MetricId) -> Json {
    Json::array(id.dimensions.iter().map(|(name, value)| {
        let (name, value) = (Arc::clone(name), Arc::clone(value));
        Json::object([("Name", Json::String(name)), ("Value", Json::String(value))])
    }))
}

fn statistics(wanted: &Statistics, read: &dyn Read) -> Result<Json, ApiError> {
    let Statistics { metric, window, statistics, unit } = wanted;
    let points = match series::stored(metric, read).map_err(internal)? {
        Some(metric) => window.by_unit(metric.number, *unit, read).map_err(internal)?,
        None => std::collections::BTreeMap::new(),
    };
    let points = points.into_iter().map(|((at, unit), point)| {
        let mut members: Members = vec![("Timestamp", json(at.seconds()))];
        members.extend(statistics.iter().map(|it| (it.name(), json(it.of(point)))));
        members.push(("Unit", unit.name().into()));
        Json::object(members)
    });
    Ok(Json::object([
        ("Label", Json::String(Arc::clone(&metric.name))),
        ("Datapoints", Json::array(points)),
    ]))
}

/// Query by query; a token says which query goes on after how many of its points.
fn data(
    queries: &[DataQuery],
    ascending: bool,
    points_max: usize,
    token: Option<&str>,
    read: &dyn Read,
) -> Result<Json, ApiError> {
    let (first, skipped) = match token {
        None => (0, 0),
        Some(token) => place(token).ok_or_else(bad_token)?,
    };
    let returned: Vec<_> = queries.iter().filter(|query| query.returned).collect();
    let (mut results, mut left, mut next) = (Vec::new(), points_max, None);
    for (at, query) in returned.iter().enumerate().skip(first) {
        let skipped = if at == first { skipped } else { 0 };
        let mut points = values(query, read)?;
        if !ascending {
            points.reverse();
        }
        let rest = points.split_off(skipped.min(points.len()));
        let whole = rest.len() <= left;
        let taken = rest.len().min(left);
        left -= taken;
        results.push(result(query, rest.get(..taken).unwrap_or_default(), whole));
        if !whole {
            next = Some(URL_SAFE_NO_PAD.encode(format!("{at}.{}", skipped + taken)));
            break;
        }
        if left == 0 && at + 1 < returned.len() {
            next = Some(URL_SAFE_NO_PAD.encode(format!("{}.0", at + 1)));
            break;
        }
    }
    let lists = vec![("MetricDataResults", Json::array(results)), ("Messages", Json::array([]))];
    Ok(listed(lists, next))
}

fn place(token: &str) -> Option<(usize, usize)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (query, points) = text.split_once('.')?;
    Some((query.parse().ok()?, points.parse().ok()?))
}

fn values(query: &DataQuery, read: &dyn Read) -> Result<Vec<(Timestamp, f64)>, ApiError> {
    let Some(metric) = series::stored(&query.metric, read).map_err(internal)? else {
        return Ok(Vec::new());
    };
    let points = query.window.points(metric.number, query.unit, read).map_err(internal)?;
    Ok(points.into_iter().map(|(at, point)| (at, query.statistic.of(point))).collect())
}

fn result(query: &DataQuery, points: &[(Timestamp, f64)], whole: bool) -> Json {
    let label = query.label.as_ref().unwrap_or(&query.metric.name);
    Json::object([
        ("Id", Json::String(Arc::clone(&query.id))),
        ("Label", Json::String(Arc::clone(label))),
        ("Timestamps", Json::array(points.iter().map(|(at, _)| json(at.seconds())))),
        ("Values", Json::array(points.iter().map(|(_, value)| json(*value)))),
        ("StatusCode", if whole { "Complete" } else { "PartialData" }.into()),
    ])
}

fn bad_token() -> ApiError {
    ApiError::new("InvalidNextToken", "The next token specified is invalid.")
}

pub(crate) fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalServiceFault", corrupt.to_string())
}

/// What was put into a metric in the last whole minute.
#[derive(Debug, Clone, PartialEq)]
pub struct Recent {
    /// The metric.
    pub metric: Arc<MetricId>,
    /// What is counted.
    pub unit: Unit,
    /// The values.
    pub point: Point,
}

/// What was put into metrics in the last minute that is over at `now`, of `metrics_max` metrics at most.
pub fn recent(now: Timestamp, metrics_max: usize, read: &dyn Read) -> Result<Vec<Recent>, Corrupt> {
    let to = Grain::Minute.begin(now);
    let window = Window { from: to.plus_ms(-60_000), to, period_ms: 60_000 };
    let mut all = Vec::new();
    let stored = read.range(&record::metrics(None, None)).into_iter();
    let stored = stored.map(|(key, value)| record::metric(&key, &value));
    let fresh =
        stored.filter(|metric| metric.as_ref().map_or(true, |metric| metric.newest >= window.from));
    for metric in fresh.take(metrics_max) {
        let metric = metric?;
        let points = window.by_unit(metric.number, None, read)?;
        all.extend(points.into_iter().map(|((_, unit), point)| Recent {
            metric: Arc::clone(&metric.id),
            unit,
            point,
        }));
    }
    Ok(all)
}
