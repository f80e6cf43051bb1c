//! Requests on alarms.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::{Comparison, Condition, Kind, Missing, State};
use crate::error::ApiError;
use crate::metrics::members::{INVALID, Members, Pairs, VALIDATION};
use crate::metrics::{self, MetricId, Statistic, Unit};

/// Most names in a request.
const NAMES_MAX: usize = 100;
/// Most actions for a state.
const ACTIONS_MAX: usize = 5;
/// Longest time that the evaluation periods may span; seconds. With periods of an hour, a week.
const SPAN_MAX: i64 = 24 * 3_600;
/// How long data of seconds is kept.
const SECONDS_SPAN_MAX: i64 = 3 * 3_600;

/// A request on alarms.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "named after the operations and their members")]
pub enum Request {
    PutMetricAlarm(Box<PutAlarm>),
    DeleteAlarms(Vec<Arc<str>>),
    DescribeAlarms(Box<Describe>),
    DescribeAlarmsForMetric {
        metric: Arc<MetricId>,
        statistic: Option<Statistic>,
        period_seconds: Option<i64>,
        unit: Option<Unit>,
    },
    DescribeAlarmHistory(Box<History>),
    SetAlarmState {
        name: Arc<str>,
        state: State,
        reason: Arc<str>,
        reason_data: Option<Arc<str>>,
    },
    EnableAlarmActions {
        names: Vec<Arc<str>>,
        enabled: bool,
    },
    TagResource {
        arn: Arc<str>,
        tags: Vec<(Arc<str>, Arc<str>)>,
    },
    UntagResource {
        arn: Arc<str>,
        keys: Vec<Arc<str>>,
    },
    ListTagsForResource {
        arn: Arc<str>,
    },
}

/// PutMetricAlarm.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct PutAlarm {
    pub name: Arc<str>,
    pub description: Option<Arc<str>>,
    pub actions_enabled: bool,
    pub ok_actions: Vec<Arc<str>>,
    pub alarm_actions: Vec<Arc<str>>,
    pub insufficient_data_actions: Vec<Arc<str>>,
    pub condition: Condition,
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// DescribeAlarms.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct Describe {
    pub names: Vec<Arc<str>>,
    pub prefix: Option<Arc<str>>,
    pub state: Option<State>,
    pub action_prefix: Option<Arc<str>>,
    /// Whether alarms on metrics are wanted at all: there are no others.
    pub metric_alarms: bool,
    pub records_max: usize,
    pub token: Option<Arc<str>>,
}

/// DescribeAlarmHistory.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct History {
    pub name: Option<Arc<str>>,
    pub kind: Option<Kind>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub ascending: bool,
    pub metric_alarms: bool,
    pub records_max: usize,
    pub token: Option<Arc<str>>,
}

impl Request {
    /// The request that `body` makes of an operation; `None`: it is none on alarms.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "PutMetricAlarm" => put(body),
            "DeleteAlarms" => names(body).map(Request::DeleteAlarms),
            "DescribeAlarms" => describe(body),
            "DescribeAlarmsForMetric" => describe_for_metric(body),
            "DescribeAlarmHistory" => history(body),
            "SetAlarmState" => set_state(body),
            "EnableAlarmActions" | "DisableAlarmActions" => names(body).map(|names| {
                Request::EnableAlarmActions { names, enabled: operation == "EnableAlarmActions" }
            }),
            "TagResource" => tag(body),
            "UntagResource" => Members::of(body, &["ResourceARN", "TagKeys"]).and_then(|members| {
                let keys = members.texts("TagKeys", 50)?;
                Ok(Request::UntagResource { arn: arn(&members)?, keys })
            }),
            "ListTagsForResource" => Members::of(body, &["ResourceARN"])
                .and_then(|members| Ok(Request::ListTagsForResource { arn: arn(&members)? })),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::DescribeAlarms(_)
            | Request::DescribeAlarmsForMetric { .. }
            | Request::DescribeAlarmHistory(_)
            | Request::ListTagsForResource { .. } => true,
            Request::PutMetricAlarm(_)
            | Request::DeleteAlarms(_)
            | Request::SetAlarmState { .. }
            | Request::EnableAlarmActions { .. }
            | Request::TagResource { .. }
            | Request::UntagResource { .. } => false,
        }
    }
}

const PUT: &[&str] = &[
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "Tags",
    // refused by name, each with what it would ask for
    "Metrics",
    "ThresholdMetricId",
    "ExtendedStatistic",
    "EvaluateLowSampleCountPercentile",
];

fn put(body: &Json) -> Result<Request, ApiError> {
    let members = Members::of(body, PUT)?;
    let refused = [
        ("Metrics", "alarms on metric math"),
        ("ThresholdMetricId", "alarms on anomaly detection"),
        ("ExtendedStatistic", "percentiles"),
        ("EvaluateLowSampleCountPercentile", "percentiles"),
    ];
    if let Some((name, what)) = refused.into_iter().find(|(name, _)| members.get(name).is_some()) {
        let why = format!("`{name}`: {what} are not available in stepwire");
        return Err(ApiError::new(VALIDATION, why));
    }
    Ok(Request::PutMetricAlarm(Box::new(PutAlarm {
        name: members.name("AlarmName", 255)?,
        description: members.optional_text("AlarmDescription", 0, 1_024)?.map(Arc::from),
        actions_enabled: members.optional_truth("ActionsEnabled")?.unwrap_or(true),
        ok_actions: actions(&members, "OKActions")?,
        alarm_actions: actions(&members, "AlarmActions")?,
        insufficient_data_actions: actions(&members, "InsufficientDataActions")?,
        condition: condition(&members)?,
        tags: tags(&members)?,
    })))
}

/// ARNs of topics and functions; of which region and account is seen when they are used.
fn actions(members: &Members<'_>, name: &str) -> Result<Vec<Arc<str>>, ApiError> {
    let actions = members.texts(name, ACTIONS_MAX)?;
    let known = |arn: &str| {
        let parts: Vec<_> = arn.split(':').collect();
        matches!(parts.as_slice(), ["arn", _, "sns", _, _, _])
            || matches!(parts.as_slice(), ["arn", _, "lambda", _, _, "function", ..])
    };
    match actions.iter().find(|arn| !known(arn)) {
        None => Ok(actions),
        Some(other) => {
            let why = format!(
                "the action `{other}` in `{name}` is not available in stepwire: ARNs of SNS topics \
                 and of Lambda functions are"
            );
            Err(ApiError::new(VALIDATION, why))
        }
    }
}

fn condition(members: &Members<'_>) -> Result<Condition, ApiError> {
    let periods = members.optional_whole("EvaluationPeriods", 1, 86_400)?;
    let periods = periods.ok_or_else(|| members.missing("EvaluationPeriods"))?;
    let period = match metrics::period(members)? {
        Some(1 | 5) => {
            let why = "An alarm's period must be 10, 20, 30, or a multiple of 60.";
            return Err(members.invalid("Period", why));
        }
        period => period.ok_or_else(|| members.missing("Period"))?,
    };
    let span_max = match period {
        ..60 => SECONDS_SPAN_MAX,
        60..3_600 => SPAN_MAX,
        3_600.. => 7 * SPAN_MAX,
    };
    if periods.saturating_mul(period) > span_max {
        let why = format!(
            "Metrics cannot be checked across more than {span_max} seconds (EvaluationPeriods * \
             Period must be <= {span_max})."
        );
        return Err(ApiError::new(VALIDATION, why));
    }
    let datapoints = members.optional_whole("DatapointsToAlarm", 1, periods)?;
    let comparison = match members.get("ComparisonOperator").and_then(Json::as_str) {
        Some(
            band @ ("LessThanLowerOrGreaterThanUpperThreshold"
            | "LessThanLowerThreshold"
            | "GreaterThanUpperThreshold"),
        ) => {
            let why =
                format!("`{band}`: alarms on anomaly detection are not available in stepwire");
            return Err(ApiError::new(VALIDATION, why));
        }
        _ => members.optional_word("ComparisonOperator", Comparison::ALL)?,
    };
    let statistic = members.optional_word("Statistic", Statistic::ALL)?;
    Ok(Condition {
        metric: members.metric()?,
        statistic: statistic.ok_or_else(|| members.missing("Statistic"))?,
        unit: members.unit()?,
        period_seconds: period,
        evaluation_periods: periods as usize,
        datapoints_to_alarm: datapoints.map(|datapoints| datapoints as usize),
        threshold: members.number("Threshold")?,
        comparison: comparison.ok_or_else(|| members.missing("ComparisonOperator"))?,
        missing: members.optional_word("TreatMissingData", Missing::ALL)?,
    })
}

fn tags(members: &Members<'_>) -> Result<Pairs, ApiError> {
    let tags = members.structures("Tags", 50, &["Key", "Value"])?;
    let pair = |tag: &Members<'_>| Ok((tag.name("Key", 128)?, tag.text("Value", 0, 256)?.into()));
    let mut all = tags.iter().map(pair).collect::<Result<Vec<_>, ApiError>>()?;
    all.sort();
    if let Some([(key, _), _]) = all.array_windows().find(|[a, b]| a.0 == b.0) {
        return Err(ApiError::new(INVALID, format!("The tag {key} is given twice.")));
    }
    Ok(all)
}

fn arn(members: &Members<'_>) -> Result<Arc<str>, ApiError> {
    Ok(members.text("ResourceARN", 1, 1_024)?.into())
}

fn tag(body: &Json) -> Result<Request, ApiError> {
    let members = Members::of(body, &["ResourceARN", "Tags"])?;
    Ok(Request::TagResource { arn: arn(&members)?, tags: tags(&members)? })
}

fn names(body: &Json) -> Result<Vec<Arc<str>>, ApiError> {
    let members = Members::of(body, &["AlarmNames"])?;
    members.get("AlarmNames").ok_or_else(|| members.missing("AlarmNames"))?;
    let mut names = members.texts("AlarmNames", NAMES_MAX)?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// Whether alarms on metrics are among the types that are asked for; they are when none is named.
fn metric_alarms(members: &Members<'_>, default: bool) -> Result<bool, ApiError> {
    let types = members.texts("AlarmTypes", 10)?;
    let known = ["MetricAlarm", "CompositeAlarm", "LogAlarm"];
    if let Some(other) = types.iter().find(|it| !known.contains(&&***it)) {
        let why = format!("`{other}` in `AlarmTypes` is not one of {}", known.join(", "));
        return Err(ApiError::new(VALIDATION, why));
    }
    Ok(if types.is_empty() { default } else { types.iter().any(|it| **it == *"MetricAlarm") })
}

fn describe(body: &Json) -> Result<Request, ApiError> {
    let members = Members::of(
        body,
        &[
            "AlarmNames",
            "AlarmNamePrefix",
            "AlarmTypes",
            "StateValue",
            "ActionPrefix",
            "MaxRecords",
            "NextToken",
        ],
    )?;
    let names = members.texts("AlarmNames", NAMES_MAX)?;
    let prefix = members.optional_text("AlarmNamePrefix", 1, 255)?.map(Arc::from);
    if prefix.is_some() && !names.is_empty() {
        let why = "AlarmNames and AlarmNamePrefix cannot both be given.";
        return Err(ApiError::new(VALIDATION, why));
    }
    Ok(Request::DescribeAlarms(Box::new(Describe {
        names,
        prefix,
        state: members.optional_word("StateValue", State::ALL)?,
        action_prefix: members.optional_text("ActionPrefix", 1, 1_024)?.map(Arc::from),
        metric_alarms: metric_alarms(&members, true)?,
        records_max: members.optional_whole("MaxRecords", 1, 100)?.unwrap_or(50) as usize,
        token: members.optional_text("NextToken", 0, 4_096)?.map(Arc::from),
    })))
}

fn describe_for_metric(body: &Json) -> Result<Request, ApiError> {
    let known = ["Namespace", "MetricName", "Dimensions", "Statistic", "Period", "Unit"];
    let members = Members::of(body, &known)?;
    Ok(Request::DescribeAlarmsForMetric {
        metric: members.metric()?,
        statistic: members.optional_word("Statistic", Statistic::ALL)?,
        period_seconds: metrics::period(&members)?,
        unit: members.unit()?,
    })
}

fn history(body: &Json) -> Result<Request, ApiError> {
    let members = Members::of(
        body,
        &[
            "AlarmName",
            "AlarmTypes",
            "HistoryItemType",
            "StartDate",
            "EndDate",
            "ScanBy",
            "MaxRecords",
            "NextToken",
        ],
    )?;
    let orders = [("TimestampAscending", true), ("TimestampDescending", false)];
    Ok(Request::DescribeAlarmHistory(Box::new(History {
        name: members.optional_name("AlarmName", 255)?,
        kind: members.optional_word("HistoryItemType", Kind::ALL)?,
        start: members.optional_time("StartDate")?,
        end: members.optional_time("EndDate")?,
        ascending: members.optional_word("ScanBy", &orders)?.unwrap_or(false),
        metric_alarms: metric_alarms(&members, true)?,
        records_max: members.optional_whole("MaxRecords", 1, 100)?.unwrap_or(100) as usize,
        token: members.optional_text("NextToken", 0, 4_096)?.map(Arc::from),
    })))
}

fn set_state(body: &Json) -> Result<Request, ApiError> {
    let known = ["AlarmName", "StateValue", "StateReason", "StateReasonData"];
    let members = Members::of(body, &known)?;
    let state = members.optional_word("StateValue", State::ALL)?;
    let reason_data = members.optional_text("StateReasonData", 0, 4_000)?;
    if reason_data.is_some_and(|data| Json::parse(data).is_err()) {
        return Err(ApiError::new("InvalidFormatFault", "StateReasonData is not valid JSON"));
    }
    Ok(Request::SetAlarmState {
        name: members.name("AlarmName", 255)?,
        state: state.ok_or_else(|| members.missing("StateValue"))?,
        reason: members.text("StateReason", 0, 1_023)?.into(),
        reason_data: reason_data.map(Arc::from),
    })
}
