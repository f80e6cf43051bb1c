//! The CloudWatch Logs requests we serve, parsed.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::filters::{Family, Purpose, Transformation};
use super::model;
use super::pattern::Pattern;
use crate::error::ApiError;
use crate::params::Params;
use crate::shape;

/// A CloudWatch Logs request.
#[derive(Debug, Clone)]
pub enum Request {
    /// CreateLogGroup: name, tags.
    CreateGroup(Arc<str>, Tags),
    /// DeleteLogGroup, by name.
    DeleteGroup(Arc<str>),
    /// DescribeLogGroups
    DescribeGroups {
        /// Only names that begin so.
        prefix: Option<Arc<str>>,
        /// Only names that hold this.
        part: Option<Arc<str>>,
        /// Which page.
        page: Page,
    },
    /// CreateLogStream: group, stream.
    CreateStream(Arc<str>, Arc<str>),
    /// DeleteLogStream: group, stream.
    DeleteStream(Arc<str>, Arc<str>),
    /// DescribeLogStreams
    DescribeStreams {
        /// Group.
        group: Arc<str>,
        /// Only names that begin so.
        prefix: Option<Arc<str>>,
        /// By time of the last event rather than by name.
        by_time: bool,
        /// From the end.
        descending: bool,
        /// Which page.
        page: Page,
    },
    /// PutLogEvents
    Put {
        /// Group.
        group: Arc<str>,
        /// Stream.
        stream: Arc<str>,
        /// Times and messages.
        events: Vec<(Timestamp, Arc<str>)>,
    },
    /// GetLogEvents
    Get {
        /// Group.
        group: Arc<str>,
        /// Stream.
        stream: Arc<str>,
        /// When.
        span: Span,
        /// Oldest first, when there is no token.
        from_head: bool,
        /// Which page.
        page: Page,
    },
    /// FilterLogEvents
    Filter {
        /// Group.
        group: Arc<str>,
        /// Only of these streams.
        streams: Option<Vec<Arc<str>>>,
        /// Only of streams whose names begin so.
        prefix: Option<Arc<str>>,
        /// When.
        span: Span,
        /// What messages say.
        pattern: Pattern,
        /// Which page.
        page: Page,
    },
    /// PutRetentionPolicy, or DeleteRetentionPolicy: group, days.
    Retention(Arc<str>, Option<u32>),
    /// TagResource: group, tags.
    Tag(Arc<str>, Tags),
    /// UntagResource: group, keys.
    Untag(Arc<str>, Vec<Arc<str>>),
    /// ListTagsForResource: group.
    ListTags(Arc<str>),
    /// PutSubscriptionFilter, PutMetricFilter
    PutFilter {
        /// Group.
        group: Arc<str>,
        /// Name.
        name: Arc<str>,
        /// `filterPattern`
        pattern: Arc<str>,
        /// What becomes of events that fit.
        purpose: Purpose,
    },
    /// DeleteSubscriptionFilter, DeleteMetricFilter: group, which, name.
    DeleteFilter(Arc<str>, Family, Arc<str>),
    /// DescribeSubscriptionFilters, DescribeMetricFilters
    DescribeFilters {
        /// Group; `None`: of all.
        group: Option<Arc<str>>,
        /// Which.
        family: Family,
        /// Only names that begin so.
        prefix: Arc<str>,
        /// Only those of this metric: namespace and name.
        metric: Option<(Arc<str>, Arc<str>)>,
        /// Which page.
        page: Page,
    },
    /// TestMetricFilter
    TestPattern(Pattern, Vec<Arc<str>>),
}

/// Keys and values.
type Tags = Vec<(Arc<str>, Arc<str>)>;

/// Times from the first to before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
}

/// Which part of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// At most this many.
    pub limit: usize,
    /// Where the page before ended.
    pub token: Option<Arc<str>>,
}

/// Days that events can be kept.
const DAYS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1_096, 1_827, 2_192, 2_557,
    2_922, 3_288, 3_653,
];

pub(super) const INVALID: &str = "InvalidParameterException";

impl Request {
    /// The request that `body` makes of `operation`; `None` for operations we do not serve.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let members = model::input(operation)?;
        if let Err(mut error) = shape::check(body, members) {
            if error.code == "ValidationException" {
                error.code = INVALID.into();
            }
            return Some(Err(error));
        }
        Some(parsed(operation, &Params::new(body, INVALID)))
    }

    /// ARN of the function that is to be told by this request.
    pub(crate) fn subscriber(&self) -> Option<&str> {
        match self {
            Request::PutFilter { purpose: Purpose::Subscription { destination, .. }, .. } => {
                Some(destination)
            }
            _ => None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::DescribeGroups { .. }
            | Request::DescribeStreams { .. }
            | Request::Get { .. }
            | Request::Filter { .. }
            | Request::TestPattern(..)
            | Request::DescribeFilters { .. }
            | Request::ListTags(_) => true,
            Request::CreateGroup(..)
            | Request::DeleteGroup(_)
            | Request::CreateStream(..)
            | Request::DeleteStream(..)
            | Request::Put { .. }
            | Request::Retention(..)
            | Request::Tag(..)
            | Request::Untag(..)
            | Request::PutFilter { .. }
            | Request::DeleteFilter(..) => false,
        }
    }
}

fn parsed(operation: &str, params: &Params<'_>) -> Result<Request, ApiError> {
    let text = |name| Ok::<Arc<str>, ApiError>(params.text(name)?.into());
    let maybe = |name| Ok::<_, ApiError>(params.optional_text(name)?.map(Arc::from));
    let flag = |name| Ok::<_, ApiError>(params.optional_bool(name)?.unwrap_or(false));
    Ok(match operation {
        "CreateLogGroup" => Request::CreateGroup(text("logGroupName")?, tags(params)),
        "DeleteLogGroup" => Request::DeleteGroup(text("logGroupName")?),
        "DescribeLogGroups" => {
            let (prefix, part) = (maybe("logGroupNamePrefix")?, maybe("logGroupNamePattern")?);
            if prefix.is_some() && part.is_some() {
                let message = "LogGroup name prefix and LogGroup name pattern are mutually \
                               exclusive parameters.";
                return Err(ApiError::new(INVALID, message));
            }
            Request::DescribeGroups { prefix, part, page: page(params, 50)? }
        }
        "CreateLogStream" => Request::CreateStream(text("logGroupName")?, text("logStreamName")?),
        "DeleteLogStream" => Request::DeleteStream(text("logGroupName")?, text("logStreamName")?),
        "DescribeLogStreams" => describe_streams(params)?,
        "PutLogEvents" => Request::Put {
            group: text("logGroupName")?,
            stream: text("logStreamName")?,
            events: events(params)?,
        },
        "GetLogEvents" => Request::Get {
            group: group(params)?,
            stream: text("logStreamName")?,
            span: span(params)?,
            from_head: flag("startFromHead")?,
            page: page(params, 10_000)?,
        },
        "FilterLogEvents" => filter_events(params)?,
        "PutRetentionPolicy" => {
            let days = params.optional_int("retentionInDays")?.unwrap_or_default();
            if !DAYS.contains(&days) {
                return Err(
                    params.invalid("retentionInDays", &format!("`{days}` is no such period"))
                );
            }
            Request::Retention(text("logGroupName")?, u32::try_from(days).ok())
        }
        "DeleteRetentionPolicy" => Request::Retention(text("logGroupName")?, None),
        "TagResource" => Request::Tag(resource(params)?, tags(params)),
        "UntagResource" => {
            let keys = params.get("tagKeys").and_then(Json::as_array).unwrap_or_default();
            Request::Untag(resource(params)?, texts(keys))
        }
        "PutSubscriptionFilter" | "PutMetricFilter" => Request::PutFilter {
            group: text("logGroupName")?,
            name: text("filterName")?,
            pattern: filter_pattern(params)?,
            purpose: purpose(operation, params)?,
        },
        "DeleteSubscriptionFilter" | "DeleteMetricFilter" => {
            Request::DeleteFilter(text("logGroupName")?, family(operation), text("filterName")?)
        }
        "DescribeSubscriptionFilters" | "DescribeMetricFilters" => Request::DescribeFilters {
            group: maybe("logGroupName")?,
            family: family(operation),
            prefix: maybe("filterNamePrefix")?.unwrap_or_default(),
            metric: match (maybe("metricNamespace")?, maybe("metricName")?) {
                (Some(namespace), Some(name)) => Some((namespace, name)),
                (None, None) => None,
                _ => {
                    let why = "it and `metricNamespace` belong together";
                    return Err(params.invalid("metricName", why));
                }
            },
            page: page(params, 50)?,
        },
        "TestMetricFilter" => {
            let messages = params.get("logEventMessages").and_then(Json::as_array);
            Request::TestPattern(
                Pattern::parse(params.text("filterPattern")?)?,
                texts(messages.unwrap_or_default()),
            )
        }
        _ => Request::ListTags(resource(params)?),
    })
}

fn describe_streams(params: &Params<'_>) -> Result<Request, ApiError> {
    let prefix = params.optional_text("logStreamNamePrefix")?.map(Arc::from);
    let by_time = params.optional_text("orderBy")? == Some("LastEventTime");
    if by_time && prefix.is_some() {
        let message = "Cannot order by LastEventTime with a logStreamNamePrefix.";
        return Err(ApiError::new(INVALID, message));
    }
    Ok(Request::DescribeStreams {
        group: group(params)?,
        prefix,
        by_time,
        descending: params.optional_bool("descending")?.unwrap_or(false),
        page: page(params, 50)?,
    })
}

fn filter_events(params: &Params<'_>) -> Result<Request, ApiError> {
    let streams = params.get("logStreamNames").and_then(Json::as_array).map(texts);
    let prefix = params.optional_text("logStreamNamePrefix")?.map(Arc::from);
    if streams.is_some() && prefix.is_some() {
        let message = "Cannot specify both logStreamNames and logStreamNamePrefix.";
        return Err(ApiError::new(INVALID, message));
    }
    Ok(Request::Filter {
        group: group(params)?,
        streams,
        prefix,
        span: span(params)?,
        pattern: Pattern::parse(params.optional_text("filterPattern")?.unwrap_or_default())?,
        page: page(params, 10_000)?,
    })
}

fn family(operation: &str) -> Family {
    if operation.contains("Metric") { Family::Metric } else { Family::Subscription }
}

/// The pattern of a filter, which must be one.
fn filter_pattern(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let text = params.optional_text("filterPattern")?.unwrap_or_default();
    Pattern::parse(text).map(|_| text.into())
}

fn purpose(operation: &str, params: &Params<'_>) -> Result<Purpose, ApiError> {
    if operation == "PutSubscriptionFilter" {
        let distribution = params.optional_text("distribution")?.unwrap_or("ByLogStream");
        return Ok(Purpose::Subscription {
            destination: params.text("destinationArn")?.into(),
            role: params.optional_text("roleArn")?.map(Arc::from),
            distribution: distribution.into(),
        });
    }
    let made = params.get("metricTransformations").and_then(Json::as_array);
    let made = made.and_then(<[Json]>::first).cloned().unwrap_or_default();
    let wrong = |why: &str| params.invalid("metricTransformations", why);
    let text = |name| made.member(name).and_then(Json::as_str).map(Arc::<str>::from);
    let value = text("metricValue").unwrap_or_default();
    if !value.starts_with('$') && value.parse::<f64>().is_err() {
        return Err(wrong("`metricValue` must be a number, or name one: `$.field` or `$column`"));
    }
    let dimensions = made.member("dimensions").and_then(Json::as_object).into_iter().flatten();
    let dimensions =
        dimensions.filter_map(|(name, of)| Some((Arc::clone(name), of.as_str()?.into())));
    let dimensions: Vec<(Arc<str>, Arc<str>)> = dimensions.collect();
    let default = made.member("defaultValue").and_then(Json::as_f64);
    if default.is_some() && !dimensions.is_empty() {
        return Err(wrong("`dimensions` and `defaultValue` are mutually exclusive"));
    }
    if dimensions.len() > 3 || dimensions.iter().any(|(_, of)| !of.starts_with('$')) {
        return Err(wrong("`dimensions` are at most 3, each a `$.field` or a `$column`"));
    }
    Ok(Purpose::Metric(Transformation {
        metric: text("metricName").unwrap_or_default(),
        namespace: text("metricNamespace").unwrap_or_default(),
        value,
        default,
        unit: text("unit"),
        dimensions,
    }))
}

fn texts(list: &[Json]) -> Vec<Arc<str>> {
    list.iter().filter_map(Json::as_str).map(Arc::from).collect()
}

fn tags(params: &Params<'_>) -> Tags {
    let tags = params.get("tags").and_then(Json::as_object).into_iter().flatten();
    tags.filter_map(|(key, value)| Some((Arc::clone(key), value.as_str()?.into()))).collect()
}

/// The group that a name or an ARN says.
fn group(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let name = params.optional_text("logGroupName")?;
    let identifier = params.optional_text("logGroupIdentifier")?;
    match (name, identifier) {
        (Some(name), None) => Ok(name.into()),
        (None, Some(identifier)) => Ok(named(identifier).into()),
        _ => Err(params.invalid("logGroupName", "one of it and `logGroupIdentifier` is needed")),
    }
}

fn resource(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    Ok(named(params.text("resourceArn")?).into())
}

/// The name in the ARN of a log group.
fn named(arn: &str) -> &str {
    let name = arn.split_once(":log-group:").map_or(arn, |(_, name)| name);
    name.strip_suffix(":*").unwrap_or(name)
}

fn events(params: &Params<'_>) -> Result<Vec<(Timestamp, Arc<str>)>, ApiError> {
    let list = params.get("logEvents").and_then(Json::as_array).unwrap_or_default();
    let event = |event: &Json| {
        let at = event.member("timestamp").and_then(Json::as_i64)?;
        Some((Timestamp(at), event.member("message").and_then(Json::as_str)?.into()))
    };
    let events: Vec<(Timestamp, Arc<str>)> = list.iter().filter_map(event).collect();
    if events.windows(2).any(|pair| pair[0].0 > pair[1].0) {
        let message = "Log events in a single PutLogEvents request must be in chronological order.";
        return Err(ApiError::new(INVALID, message));
    }
    Ok(events)
}

fn span(params: &Params<'_>) -> Result<Span, ApiError> {
    let time = |name| Ok::<_, ApiError>(params.optional_int(name)?.map(Timestamp));
    let from = time("startTime")?.unwrap_or(Timestamp(0));
    Ok(Span { from, to: time("endTime")?.unwrap_or(Timestamp(i64::MAX)) })
}

fn page(params: &Params<'_>, most: usize) -> Result<Page, ApiError> {
    let limit = params.optional_int("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let token = params.optional_text("nextToken")?.map(Arc::from);
    Ok(Page { limit: limit.unwrap_or(most), token })
}
