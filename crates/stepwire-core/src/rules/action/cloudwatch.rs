//! `cloudwatchMetric` puts a value into a metric, `cloudwatchAlarm` sets the state of an alarm.

use std::sync::Arc;

use stepwire_asl::Json;

use super::field::{Field, text_or};
use super::{Kind, Resolved, only};
use crate::alarms::State;
use crate::error::ApiError;
use crate::metrics::Unit;
use crate::params::Params;
use crate::request::Service;
use crate::rules::sql::{Facts, Value};

/// Longest reason of a state, characters.
const REASON_MAX: usize = 1_023;

/// `cloudwatchMetric`
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    namespace: Field,
    name: Field,
    value: Field,
    unit: Field,
    /// Seconds since 1970; when absent, when the message came.
    timestamp: Option<Field>,
}

pub(super) fn parse_metric(fields: &Params<'_>) -> Result<Metric, ApiError> {
    let members = ["metricNamespace", "metricName", "metricValue", "metricUnit", "metricTimestamp"];
    only(fields, &members)?;
    let metric = Metric {
        namespace: Field::required(fields, "metricNamespace")?,
        name: Field::required(fields, "metricName")?,
        value: Field::required(fields, "metricValue")?,
        unit: Field::required(fields, "metricUnit")?,
        timestamp: Field::optional(fields, "metricTimestamp")?,
    };
    if metric.unit.plain().is_some_and(|unit| Unit::named(unit).is_none()) {
        return Err(fields.invalid("metricUnit", "it is no unit of CloudWatch"));
    }
    Ok(metric)
}

impl Kind for Metric {
    fn name(&self) -> &'static str {
        "CloudwatchMetricAction"
    }

    fn resource(&self) -> &Field {
        &self.name
    }

    fn resolve(&self, name: &Arc<str>, facts: &Facts<'_>, _: &Value) -> Result<Resolved, String> {
        let text = |field: &Field| field.text(facts).map(Json::String);
        // When the message came, also when the action is carried out later.
        let now = facts.message.at.seconds().to_string();
        let datum = Json::object([
            ("MetricName", Json::String(Arc::clone(name))),
            ("Value", text(&self.value)?),
            ("Unit", text(&self.unit)?),
            ("Timestamp", Json::String(text_or(self.timestamp.as_ref(), facts, &now)?)),
        ]);
        let body = Json::object([
            ("Namespace", text(&self.namespace)?),
            ("MetricData", Json::array([datum])),
        ]);
        Ok(Resolved::Request { service: Service::CloudWatch, operation: "PutMetricData", body })
    }
}

/// `cloudwatchAlarm`
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    name: Field,
    reason: Field,
    state: Field,
}

pub(super) fn parse_alarm(fields: &Params<'_>) -> Result<Alarm, ApiError> {
    only(fields, &["alarmName", "stateReason", "stateValue"])?;
    let alarm = Alarm {
        name: Field::required(fields, "alarmName")?,
        reason: Field::required(fields, "stateReason")?,
        state: Field::required(fields, "stateValue")?,
    };
    let known = |state: &str| State::ALL.iter().any(|(name, _)| *name == state);
    if alarm.state.plain().is_some_and(|state| !known(state)) {
        let why = "it is not one of OK, ALARM, INSUFFICIENT_DATA";
        return Err(fields.invalid("stateValue", why));
    }
    Ok(alarm)
}

impl Kind for Alarm {
    fn name(&self) -> &'static str {
        "CloudwatchAlarmAction"
    }

    fn resource(&self) -> &Field {
        &self.name
    }

    fn resolve(&self, name: &Arc<str>, facts: &Facts<'_>, _: &Value) -> Result<Resolved, String> {
        let reason: String = self.reason.text(facts)?.chars().take(REASON_MAX).collect();
        let body = Json::object([
            ("AlarmName", Json::String(Arc::clone(name))),
            ("StateReason", reason.into()),
            ("StateValue", Json::String(self.state.text(facts)?)),
        ]);
        Ok(Resolved::Request { service: Service::CloudWatch, operation: "SetAlarmState", body })
    }
}
