//! What others are told of an alarm: topics, functions, the event bus, and its history.
//!
//! Source: CloudWatch user guide, "Notifying users on alarm changes", "Lambda", "Alarm events and
//! EventBridge".

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::object;
use super::record::{Alarm, Missing, State};
use super::view::arn;
use super::watch::Turned;
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::metrics::series::json;
use crate::settings::Settings;

/// `2026-11-24T15:04:05.123+0000`
pub(super) fn at_utc(at: Timestamp) -> String {
    format!("{}+0000", at.rfc3339().trim_end_matches('Z'))
}

/// `24/11/26 15:04:05`
pub(super) fn short(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(time) => time.strftime("%d/%m/%y %H:%M:%S").to_string(),
        Err(_) => at.0.to_string(),
    }
}

fn text(text: &Arc<str>) -> Json {
    Json::String(Arc::clone(text))
}

fn texts(texts: &[Arc<str>]) -> Json {
    Json::array(texts.iter().map(text))
}

/// Subject and message for a topic.
pub(crate) fn notification(turned: &Turned, settings: &Settings) -> (String, Json) {
    let Turned { before, after } = turned;
    let region = region_name(&settings.region);
    let subject = format!("{}: \"{}\" in {region}", after.state.name(), after.name);
    // A subject has less than 100 characters.
    let subject = subject.chars().take(99).collect();
    let message = Json::object([
        ("AlarmName", text(&after.name)),
        ("AlarmDescription", after.description.as_ref().map(text).unwrap_or_default()),
        ("AWSAccountId", text(&settings.account)),
        ("AlarmConfigurationUpdatedTimestamp", at_utc(after.updated).into()),
        ("NewStateValue", after.state.name().into()),
        ("NewStateReason", text(&after.reason)),
        ("StateChangeTime", at_utc(after.state_updated).into()),
        ("Region", region.into()),
        ("AlarmArn", arn(&after.name, settings).into()),
        ("OldStateValue", before.state.name().into()),
        ("OKActions", texts(&after.ok_actions)),
        ("AlarmActions", texts(&after.alarm_actions)),
        ("InsufficientDataActions", texts(&after.insufficient_data_actions)),
        ("Trigger", trigger(after)),
    ]);
    (subject, message)
}

fn trigger(alarm: &Alarm) -> Json {
    let condition = &alarm.condition;
    let metric = &condition.metric;
    let dimensions = metric
        .dimensions
        .iter()
        .map(|(name, value)| Json::object([("value", text(value)), ("name", text(name))]));
    let statistic = match condition.statistic {
        crate::metrics::Statistic::SampleCount => "SAMPLE_COUNT".to_owned(),
        other => other.name().to_ascii_uppercase(),
    };
    object([
        ("MetricName", Some(text(&metric.name))),
        ("Namespace", Some(text(&metric.namespace))),
        ("StatisticType", Some("Statistic".into())),
        ("Statistic", Some(statistic.into())),
        ("Unit", Some(condition.unit.map_or(Json::Null, |unit| unit.name().into()))),
        ("Dimensions", Some(Json::array(dimensions))),
        ("Period", Some(condition.period_seconds.into())),
        ("EvaluationPeriods", Some((condition.evaluation_periods as i64).into())),
        (
            "DatapointsToAlarm",
            condition.datapoints_to_alarm.map(|datapoints| (datapoints as i64).into()),
        ),
        ("ComparisonOperator", Some(condition.comparison.name().into())),
        ("Threshold", Some(json(condition.threshold))),
        ("TreatMissingData", Some(condition.missing.map_or("", Missing::name).into())),
        ("EvaluateLowSampleCountPercentile", Some("".into())),
    ])
}

/// What a function is invoked with.
pub(crate) fn function_event(turned: &Turned, settings: &Settings) -> Json {
    let alarm = &turned.after;
    Json::object([
        ("source", Json::from("aws.cloudwatch")),
        ("alarmArn", arn(&alarm.name, settings).into()),
        ("accountId", text(&settings.account)),
        ("time", at_utc(alarm.state_updated).into()),
        ("region", text(&settings.region)),
        ("alarmData", event(turned, settings)),
    ])
}

/// The detail of the event `CloudWatch Alarm State Change`.
pub(crate) fn event(turned: &Turned, settings: &Settings) -> Json {
    let Turned { before, after } = turned;
    Json::object([
        ("alarmName", text(&after.name)),
        ("state", state(after)),
        ("previousState", state(before)),
        ("configuration", event_configuration(after, settings)),
    ])
}

fn state(alarm: &Alarm) -> Json {
    object([
        ("value", Some(alarm.state.name().into())),
        ("reason", Some(text(&alarm.reason))),
        ("reasonData", alarm.reason_data.as_ref().map(text)),
        ("timestamp", Some(at_utc(alarm.state_updated).into())),
    ])
}

fn event_configuration(alarm: &Alarm, settings: &Settings) -> Json {
    let condition = &alarm.condition;
    let dimensions = condition.metric.dimensions.iter();
    let dimensions = dimensions.map(|(name, value)| (Arc::clone(name), text(value)));
    let metric = Json::object([
        ("namespace", text(&condition.metric.namespace)),
        ("name", text(&condition.metric.name)),
        ("dimensions", Json::object(dimensions)),
    ]);
    let stat = object([
        ("metric", Some(metric)),
        ("period", Some(condition.period_seconds.into())),
        ("stat", Some(condition.statistic.name().into())),
        ("unit", condition.unit.map(|unit| unit.name().into())),
    ]);
    let id = derived_uuid(&settings.secret, &format!("alarm metric {}", alarm.name), &[]);
    let query =
        Json::object([("id", Json::from(id)), ("metricStat", stat), ("returnData", true.into())]);
    object([
        ("description", alarm.description.as_ref().map(text)),
        ("metrics", Some(Json::array([query]))),
    ])
}

/// What the history says of an alarm that was given.
pub(super) fn configuration(alarm: &Alarm, what: &str, settings: &Settings) -> Json {
    let (kind, member) = match what {
        "created" => ("Create", "createdAlarm"),
        _ => ("Update", "updatedAlarm"),
    };
    Json::object([
        ("version", Json::from("1.0")),
        ("type", kind.into()),
        (member, super::view::shown(alarm, settings)),
    ])
}

/// What the history says of a state.
pub(super) fn transition(before: &Alarm, after: &Alarm) -> Json {
    let state = |alarm: &Alarm| {
        let data = alarm.reason_data.as_ref().and_then(|data| Json::parse(data).ok());
        object([
            ("stateValue", Some(alarm.state.name().into())),
            ("stateReason", Some(text(&alarm.reason))),
            ("stateReasonData", data),
        ])
    };
    let (old, new) = (state(before), state(after));
    Json::object([("version", Json::from("1.0")), ("oldState", old), ("newState", new)])
}

/// What the history says of an action.
pub(super) fn action(alarm: &Alarm, arn: &str, result: Result<(), &ApiError>) -> Json {
    object([
        ("actionState", Some(if result.is_ok() { "Succeeded" } else { "Failed" }.into())),
        ("stateUpdateTimestamp", Some(alarm.state_updated.0.into())),
        ("notificationResource", Some(arn.into())),
        ("error", result.err().map(|error| error.to_string().into())),
    ])
}

impl Alarm {
    /// ARNs of what is told of its present state.
    pub(crate) fn actions(&self) -> &[Arc<str>] {
        match self.state {
            _ if !self.actions_enabled => &[],
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_data_actions,
        }
    }
}

/// What AWS calls a region in notifications.
fn region_name(region: &str) -> String {
    let known = match region {
        "us-east-1" => "US East (N. Virginia)",
        "us-east-2" => "US East (Ohio)",
        "us-west-1" => "US West (N. California)",
        "us-west-2" => "US West (Oregon)",
        "eu-central-1" => "EU (Frankfurt)",
        "eu-west-1" => "EU (Ireland)",
        "eu-west-2" => "EU (London)",
        "eu-west-3" => "EU (Paris)",
        "eu-north-1" => "EU (Stockholm)",
        "ap-southeast-1" => "Asia Pacific (Singapore)",
        "ap-southeast-2" => "Asia Pacific (Sydney)",
        "ap-northeast-1" => "Asia Pacific (Tokyo)",
        "ap-northeast-2" => "Asia Pacific (Seoul)",
        "ap-south-1" => "Asia Pacific (Mumbai)",
        "ca-central-1" => "Canada (Central)",
        "sa-east-1" => "South America (Sao Paulo)",
        other => other,
    };
    known.to_owned()
}
