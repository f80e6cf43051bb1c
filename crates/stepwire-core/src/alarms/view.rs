//! Reading alarms.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stepwire_asl::{Json, Timestamp};

use super::object;
use super::record::{self, Alarm, HistoryItem, Missing};
use super::request::{Describe, History, Request};
use crate::error::ApiError;
use crate::metrics::series::json;
use crate::metrics::{internal, listed};
use crate::read::{Range, Read};
use crate::settings::Settings;

/// Most alarms that are looked at for a page.
const LOOKED_AT_MAX: usize = 10_000;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::DescribeAlarms(describe) => alarms(describe, read, settings),
        Request::DescribeAlarmsForMetric { metric, statistic, period_seconds, unit } => {
            let fits = |alarm: &Alarm| {
                let condition = &alarm.condition;
                condition.metric == *metric
                    && statistic.is_none_or(|it| it == condition.statistic)
                    && period_seconds.is_none_or(|it| it == condition.period_seconds)
                    && unit.is_none_or(|it| Some(it) == condition.unit)
            };
            let all = stored(&record::alarms(), read)?.into_iter().filter(fits);
            let all = all.map(|alarm| shown(&alarm, settings));
            Ok(Json::object([("MetricAlarms", Json::array(all))]))
        }
        Request::DescribeAlarmHistory(history) => items(history, read),
        Request::ListTagsForResource { arn } => {
            let name = name_of_arn(arn, settings).ok_or_else(|| no_resource(arn))?;
            let alarm = find(name, read)?.ok_or_else(|| no_resource(arn))?;
            let tags = alarm.tags.iter().map(|(key, value)| {
                let (key, value) = (Arc::clone(key), Arc::clone(value));
                Json::object([("Key", Json::String(key)), ("Value", Json::String(value))])
            });
            Ok(Json::object([("Tags", Json::array(tags))]))
        }
        Request::PutMetricAlarm(_)
        | Request::DeleteAlarms(_)
        | Request::SetAlarmState { .. }
        | Request::EnableAlarmActions { .. }
        | Request::TagResource { .. }
        | Request::UntagResource { .. } => {
            Err(ApiError::new("InternalServiceFault", "only the kernel answers this"))
        }
    }
}

fn stored(range: &Range, read: &dyn Read) -> Result<Vec<Alarm>, ApiError> {
    let all = read.range(range).into_iter();
    all.map(|(key, value)| record::alarm(&key, &value).map_err(internal)).collect()
}

fn find(name: &str, read: &dyn Read) -> Result<Option<Alarm>, ApiError> {
    let key = record::alarm_key(name);
    read.get(&key).map(|value| record::alarm(&key, &value).map_err(internal)).transpose()
}

/// The ARN of an alarm.
pub(super) fn arn(name: &str, settings: &Settings) -> String {
    settings.arn("cloudwatch", &format!("alarm:{name}"))
}

pub(super) fn name_of_arn<'a>(arn: &'a str, settings: &Settings) -> Option<&'a str> {
    arn.strip_prefix(&settings.arn("cloudwatch", "alarm:"))
        .filter(|name| !name.is_empty() && !name.chars().any(char::is_control))
}

pub(super) fn no_resource(arn: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("there is no resource `{arn}`"))
}

fn alarms(describe: &Describe, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let all = match describe.names.as_slice() {
        [] => {
            let first = record::alarm_key(describe.prefix.as_deref().unwrap_or_default());
            let from = describe.token.as_deref().map(token).transpose()?;
            let range = record::alarms().limit(LOOKED_AT_MAX + 1);
            let first = first.get(..first.len() - 1).unwrap_or_default().to_vec();
            stored(&Range { from: from.unwrap_or(first), ..range }, read)?
        }
        names => {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            let all = names.iter().map(|name| find(name, read)).collect::<Result<Vec<_>, _>>()?;
            all.into_iter().flatten().collect()
        }
    };
    let of_prefix = |alarm: &Alarm| {
        describe.prefix.as_ref().is_none_or(|prefix| alarm.name.starts_with(&**prefix))
    };
    let fits = |alarm: &Alarm| {
        let actions = [&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions];
        let told = |prefix: &Arc<str>| {
            actions.into_iter().flatten().any(|action| action.starts_with(&**prefix))
        };
        describe.state.is_none_or(|state| state == alarm.state)
            && describe.action_prefix.as_ref().is_none_or(told)
    };
    let (mut found, mut next) = (Vec::new(), None);
    let wanted = all.iter().take_while(|alarm| of_prefix(alarm)).enumerate();
    for (at, alarm) in wanted.filter(|_| describe.metric_alarms) {
        // All alarms that are named are of one page.
        let full = describe.names.is_empty() && found.len() == describe.records_max;
        if full || at == LOOKED_AT_MAX {
            next = Some(URL_SAFE_NO_PAD.encode(record::alarm_key(&alarm.name)));
            break;
        }
        if fits(alarm) {
            found.push(shown(alarm, settings));
        }
    }
    let lists = vec![("CompositeAlarms", Json::array([])), ("MetricAlarms", Json::array(found))];
    Ok(listed(lists, next))
}

fn token(token: &str) -> Result<Vec<u8>, ApiError> {
    let key = URL_SAFE_NO_PAD.decode(token).ok();
    key.filter(|key| record::alarms().from <= *key).ok_or_else(bad_token)
}

fn bad_token() -> ApiError {
    ApiError::new("InvalidNextToken", "The next token specified is invalid.")
}

fn time(at: Timestamp) -> Json {
    json(at.seconds())
}

fn texts(texts: &[Arc<str>]) -> Json {
    Json::array(texts.iter().map(|text| Json::String(Arc::clone(text))))
}

fn text(text: &Arc<str>) -> Json {
    Json::String(Arc::clone(text))
}

/// An alarm's members.
pub(super) fn shown(alarm: &Alarm, settings: &Settings) -> Json {
    let condition = &alarm.condition;
    let metric = crate::metrics::shown(&condition.metric);
    let first = object([
        ("AlarmName", Some(text(&alarm.name))),
        ("AlarmArn", Some(arn(&alarm.name, settings).into())),
        ("AlarmDescription", alarm.description.as_ref().map(text)),
        ("AlarmConfigurationUpdatedTimestamp", Some(time(alarm.updated))),
        ("ActionsEnabled", Some(alarm.actions_enabled.into())),
        ("OKActions", Some(texts(&alarm.ok_actions))),
        ("AlarmActions", Some(texts(&alarm.alarm_actions))),
        ("InsufficientDataActions", Some(texts(&alarm.insufficient_data_actions))),
        ("StateValue", Some(alarm.state.name().into())),
        ("StateReason", Some(text(&alarm.reason))),
        ("StateReasonData", alarm.reason_data.as_ref().map(text)),
        ("StateUpdatedTimestamp", Some(time(alarm.state_updated))),
        ("StateTransitionedTimestamp", Some(time(alarm.transitioned))),
        ("Statistic", Some(condition.statistic.name().into())),
        ("Period", Some(condition.period_seconds.into())),
        ("Unit", condition.unit.map(|unit| unit.name().into())),
        ("EvaluationPeriods", Some((condition.evaluation_periods as i64).into())),
        (
            "DatapointsToAlarm",
            condition.datapoints_to_alarm.map(|datapoints| (datapoints as i64).into()),
        ),
        ("Threshold", Some(json(condition.threshold))),
        ("ComparisonOperator", Some(condition.comparison.name().into())),
        ("TreatMissingData", condition.missing.map(|missing| Missing::name(missing).into())),
    ]);
    let first = first.as_object().into_iter().flatten();
    let first = first.map(|(name, value)| (Arc::clone(name), value.clone()));
    Json::object(first.chain(metric.into_iter().map(|(name, value)| (name.into(), value))))
}

/// Of one alarm or of all, in order of time; the token says how many there were before.
fn items(history: &History, read: &dyn Read) -> Result<Json, ApiError> {
    let skipped = match &history.token {
        None => 0,
        Some(token) => {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&**token).unwrap_or_default());
            let text = text.unwrap_or_default();
            text.parse::<usize>().map_err(|_| bad_token())?
        }
    };
    let mut found = Vec::new();
    let names = match &history.name {
        Some(name) => vec![Arc::clone(name)],
        None => stored(&record::alarms(), read)?.into_iter().map(|alarm| alarm.name).collect(),
    };
    for name in names.iter().filter(|_| history.metric_alarms) {
        for (key, value) in read.range(&record::history(name)) {
            let item = record::item(&key, &value).map_err(internal)?;
            let fits = history.kind.is_none_or(|kind| kind == item.kind)
                && history.start.is_none_or(|start| item.at >= start)
                && history.end.is_none_or(|end| item.at <= end);
            if fits {
                found.push(item);
            }
        }
    }
    // Items of the same moment stay in the order in which they came about.
    found.sort_by_key(|item| item.at);
    if !history.ascending {
        found.reverse();
    }
    let end = skipped.saturating_add(history.records_max);
    let next = (found.len() > end).then(|| URL_SAFE_NO_PAD.encode(end.to_string()));
    let page = found.iter().skip(skipped).take(history.records_max).map(item);
    Ok(listed(vec![("AlarmHistoryItems", Json::array(page))], next))
}

fn item(item: &HistoryItem) -> Json {
    Json::object([
        ("AlarmName", text(&item.alarm)),
        ("AlarmType", "MetricAlarm".into()),
        ("Timestamp", time(item.at)),
        ("HistoryItemType", item.kind.name().into()),
        ("HistorySummary", text(&item.summary)),
        ("HistoryData", text(&item.data)),
    ])
}
