//! Requests on metrics.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::members::{COMBINATION, INVALID, MISSING, Members, VALIDATION};
use super::put::{self, Sample};
use super::record::{Grain, MetricId, Unit, floor};
use super::series::{Statistic, Window};
use crate::error::ApiError;

/// Most data points that GetMetricStatistics answers with.
const STATISTICS_POINTS_MAX: i64 = 1_440;
/// Most data points that GetMetricData answers with.
const DATA_POINTS_MAX: i64 = 100_800;
/// Most queries of GetMetricData.
const QUERIES_MAX: usize = 500;

/// A request on metrics.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "named after the operations and their members")]
pub enum Request {
    PutMetricData(Arc<Vec<Sample>>),
    ListMetrics {
        namespace: Option<Arc<str>>,
        name: Option<Arc<str>>,
        /// Names, and values where they matter.
        dimensions: Vec<(Arc<str>, Option<Arc<str>>)>,
        /// Only those with data of the last three hours.
        recent: bool,
        token: Option<Arc<str>>,
    },
    GetMetricStatistics(Box<Statistics>),
    GetMetricData {
        queries: Vec<DataQuery>,
        ascending: bool,
        points_max: usize,
        token: Option<Arc<str>>,
    },
}

/// GetMetricStatistics.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct Statistics {
    pub metric: Arc<MetricId>,
    pub(super) window: Window,
    pub statistics: Vec<Statistic>,
    pub unit: Option<Unit>,
}

/// A query of GetMetricData.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct DataQuery {
    pub id: Arc<str>,
    pub label: Option<Arc<str>>,
    pub metric: Arc<MetricId>,
    pub(super) window: Window,
    pub statistic: Statistic,
    pub unit: Option<Unit>,
    pub returned: bool,
}

impl Request {
    /// The request that `body` makes of an operation; `None`: it is none on metrics.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "PutMetricData" => {
                put::parse(body).map(|samples| Request::PutMetricData(Arc::new(samples)))
            }
            "ListMetrics" => list(body),
            "GetMetricStatistics" => statistics(body),
            "GetMetricData" => data(body),
            _ => return None,
        })
    }

    /// Whether it changes nothing and needs no clock.
    pub fn is_read(&self) -> bool {
        match self {
            Request::PutMetricData(_) => false,
            Request::ListMetrics { recent, .. } => !recent,
            Request::GetMetricStatistics(_) | Request::GetMetricData { .. } => true,
        }
    }
}

fn list(body: &Json) -> Result<Request, ApiError> {
    let known = ["Namespace", "MetricName", "Dimensions", "NextToken", "RecentlyActive"];
    let members = Members::of(body, &known)?;
    let filters = members.structures("Dimensions", 10, &["Name", "Value"])?;
    let filter = |filter: &Members<'_>| {
        Ok((filter.name("Name", 255)?, filter.optional_name("Value", 1_024)?))
    };
    Ok(Request::ListMetrics {
        namespace: members.namespace()?,
        name: members.optional_name("MetricName", 255)?,
        dimensions: filters.iter().map(filter).collect::<Result<_, ApiError>>()?,
        recent: members.optional_word("RecentlyActive", &[("PT3H", ())])?.is_some(),
        token: members.optional_text("NextToken", 0, 4_096)?.map(Arc::from),
    })
}

/// A period in seconds: 1, 5, 10, 20, 30 or a multiple of 60.
pub(crate) fn period(members: &Members<'_>) -> Result<Option<i64>, ApiError> {
    match members.optional_whole("Period", 1, 365 * 24 * 3_600)? {
        None => Ok(None),
        Some(period @ (1 | 5 | 10 | 20 | 30)) => Ok(Some(period)),
        Some(period) if period % 60 == 0 => Ok(Some(period)),
        Some(_) => {
            let why = "It must be 1, 5, 10, 20, 30, or a multiple of 60.";
            Err(members.invalid("Period", why))
        }
    }
}

fn window(start: Timestamp, end: Timestamp, period: i64) -> Window {
    let period_ms = period * 1_000;
    let grain = Grain::Minute.ms().min(period_ms);
    // The first period begins on a whole minute, or on an even part of one.
    Window { from: floor(start, grain), to: end, period_ms }
}

fn in_order(members: &Members<'_>) -> Result<(Timestamp, Timestamp), ApiError> {
    let (start, end) = (members.time("StartTime")?, members.time("EndTime")?);
    if start >= end {
        let why = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(ApiError::new(INVALID, why));
    }
    Ok((start, end))
}

fn statistics(body: &Json) -> Result<Request, ApiError> {
    let members = Members::of(
        body,
        &[
            "Namespace",
            "MetricName",
            "Dimensions",
            "StartTime",
            "EndTime",
            "Period",
            "Statistics",
            "ExtendedStatistics",
            "Unit",
        ],
    )?;
    if let Some(extended) = members.texts("ExtendedStatistics", 10)?.first() {
        return Err(not_kept(extended));
    }
    let metric = members.metric()?;
    let (start, end) = in_order(&members)?;
    let period = period(&members)?.ok_or_else(|| members.missing("Period"))?;
    let window = window(start, end, period);
    let points = window.to.since_ms(window.from).div_euclid(window.period_ms);
    if points > STATISTICS_POINTS_MAX {
        let why = format!(
            "You have requested up to {points} datapoints, which exceeds the limit of \
             {STATISTICS_POINTS_MAX}. You may reduce the datapoints requested by increasing \
             Period, or decreasing the time range."
        );
        return Err(ApiError::new(COMBINATION, why));
    }
    let statistics = members.texts("Statistics", 5)?;
    if statistics.is_empty() {
        let why = "Must specify either Statistics or ExtendedStatistics";
        return Err(ApiError::new(MISSING, why));
    }
    let statistics = statistics.iter().map(|name| statistic(name)).collect::<Result<_, _>>()?;
    let unit = members.unit()?;
    Ok(Request::GetMetricStatistics(Box::new(Statistics { metric, window, statistics, unit })))
}

/// The statistic of this name. Percentiles would need every value, and sums are kept.
pub(crate) fn statistic(name: &str) -> Result<Statistic, ApiError> {
    let known = Statistic::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, statistic)| *statistic).ok_or_else(|| not_kept(name))
}

fn not_kept(name: &str) -> ApiError {
    let all: Vec<_> = Statistic::ALL.iter().map(|(name, _)| *name).collect();
    let why =
        format!("the statistic `{name}` is not available in stepwire: use {}", all.join(", "));
    ApiError::new(INVALID, why)
}

fn data(body: &Json) -> Result<Request, ApiError> {
    let members = Members::of(
        body,
        &["MetricDataQueries", "StartTime", "EndTime", "NextToken", "ScanBy", "MaxDatapoints"],
    )?;
    let (start, end) = in_order(&members)?;
    let known = ["Id", "MetricStat", "Expression", "Label", "ReturnData", "Period", "AccountId"];
    let queries = members.structures("MetricDataQueries", QUERIES_MAX, &known)?;
    if queries.is_empty() {
        return Err(members.missing("MetricDataQueries"));
    }
    let queries = queries.iter().map(|query| data_query(query, start, end));
    let queries = queries.collect::<Result<Vec<_>, _>>()?;
    let mut ids: Vec<_> = queries.iter().map(|query| &query.id).collect();
    ids.sort();
    if let Some([id, _]) = ids.array_windows().find(|[a, b]| a == b) {
        let why = format!("The value {id} for parameter MetricDataQueries is given twice.");
        return Err(ApiError::new(VALIDATION, why));
    }
    let orders = [("TimestampAscending", true), ("TimestampDescending", false)];
    Ok(Request::GetMetricData {
        queries,
        ascending: members.optional_word("ScanBy", &orders)?.unwrap_or(false),
        points_max: members
            .optional_whole("MaxDatapoints", 1, DATA_POINTS_MAX)?
            .unwrap_or(DATA_POINTS_MAX) as usize,
        token: members.optional_text("NextToken", 0, 4_096)?.map(Arc::from),
    })
}

fn data_query(
    query: &Members<'_>,
    start: Timestamp,
    end: Timestamp,
) -> Result<DataQuery, ApiError> {
    let id = query.name("Id", 255)?;
    if !id.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(query.invalid("Id", "It must begin with a lowercase letter."));
    }
    let refused = ["Expression", "AccountId", "Period"];
    if let Some(refused) = refused.into_iter().find(|name| query.get(name).is_some()) {
        let what = match refused {
            "Expression" => "metric math and Metrics Insights",
            "AccountId" => "metrics of other accounts",
            _ => "a period of an expression",
        };
        let place = query.place(refused);
        let why = format!("`{place}` of query `{id}`: {what} are not available in stepwire");
        return Err(ApiError::new(VALIDATION, why));
    }
    let label = query.optional_text("Label", 0, 1_024)?;
    if label.is_some_and(|label| label.contains("${")) {
        let why = "Labels with `${…}` are not available in stepwire.";
        return Err(query.invalid("Label", why));
    }
    let stat = query.structure("MetricStat", &["Metric", "Period", "Stat", "Unit"])?;
    let stat = stat.ok_or_else(|| query.missing("MetricStat"))?;
    let metric = stat.structure("Metric", &["Namespace", "MetricName", "Dimensions"])?;
    let metric = metric.ok_or_else(|| stat.missing("Metric"))?.metric()?;
    let period = period(&stat)?.ok_or_else(|| stat.missing("Period"))?;
    Ok(DataQuery {
        id,
        label: label.map(Arc::from),
        metric,
        window: window(start, end, period),
        statistic: statistic(stat.text("Stat", 1, 255)?)?,
        unit: stat.unit()?,
        returned: query.optional_truth("ReturnData")?.unwrap_or(true),
    })
}
