//! Requests that change alarms.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::{Alarm, Change, HistoryItem, Kind, State, Write};
use super::request::{PutAlarm, Request};
use super::watch::Turned;
use super::{Alarms, HISTORY_MAX, told, view};
use crate::error::ApiError;
use crate::metrics::members::INVALID;
use crate::settings::Settings;

impl Alarms {
    /// Carries out a request that changes something. On `Err` nothing has changed. Alarms that are in
    /// another state than before are added to `turned`.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
        turned: &mut Vec<Turned>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::PutMetricAlarm(put) => self.put(now, put, settings, out)?,
            Request::DeleteAlarms(names) => self.delete(names, out)?,
            Request::SetAlarmState { name, state, reason, reason_data } => {
                let alarm = self.alarms.get(name).cloned().ok_or_else(|| no_alarm(name))?;
                let (reason, reason_data) = (Arc::clone(reason), reason_data.clone());
                let change = Change { state: *state, reason, reason_data };
                turned.extend(self.turn(now, &alarm, change, out));
                let due = alarm.condition.next(now);
                self.look_at(name, Some(due));
            }
            Request::EnableAlarmActions { names, enabled } => {
                // Names of alarms that are not there are passed over, as on AWS.
                for name in names {
                    let Some(alarm) = self.alarms.get(name) else { continue };
                    if alarm.actions_enabled != *enabled {
                        let changed = Alarm { actions_enabled: *enabled, ..alarm.as_ref().clone() };
                        self.configured(now, changed, "updated", settings, out);
                    }
                }
            }
            Request::TagResource { arn, tags } => {
                let mut alarm = self.of_arn(arn, settings)?;
                alarm.tags.retain(|(key, _)| !tags.iter().any(|(new, _)| new == key));
                alarm.tags.extend(tags.iter().cloned());
                if alarm.tags.len() as u64 > settings.quotas.tags_max {
                    let why = format!("an alarm has {} tags at most", settings.quotas.tags_max);
                    return Err(ApiError::new(INVALID, why));
                }
                self.keep(alarm, out);
            }
            Request::UntagResource { arn, keys } => {
                let mut alarm = self.of_arn(arn, settings)?;
                alarm.tags.retain(|(key, _)| !keys.contains(key));
                self.keep(alarm, out);
            }
            Request::DescribeAlarms(_)
            | Request::DescribeAlarmsForMetric { .. }
            | Request::DescribeAlarmHistory(_)
            | Request::ListTagsForResource { .. } => {
                return Err(ApiError::new("InternalServiceFault", "this request changes nothing"));
            }
        }
        Ok(Json::Object(Arc::default()))
    }

    fn keep(&mut self, alarm: Alarm, out: &mut Vec<Write>) {
        self.record(Write::Alarm(Arc::clone(&alarm.name), Some(Arc::new(alarm))), out);
    }

    fn of_arn(&self, arn: &str, settings: &Settings) -> Result<Alarm, ApiError> {
        let name = view::name_of_arn(arn, settings);
        let alarm = name.and_then(|name| self.alarms.get(name));
        alarm.map(|alarm| alarm.as_ref().clone()).ok_or_else(|| view::no_resource(arn))
    }

    fn put(
        &mut self,
        now: Timestamp,
        put: &PutAlarm,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let there = self.alarms.get(&put.name).cloned();
        let max = settings.quotas.alarms_max;
        if there.is_none() && self.alarms.len() as u64 >= max {
            let why = format!("there are {max} alarms at most (`alarms-max`)");
            return Err(ApiError::new("LimitExceededFault", why));
        }
        let what = if there.is_some() { "updated" } else { "created" };
        let before = there.map_or_else(|| unchecked(now, put), |there| there.as_ref().clone());
        let alarm = Alarm {
            description: put.description.clone(),
            condition: put.condition.clone(),
            actions_enabled: put.actions_enabled,
            ok_actions: put.ok_actions.clone(),
            alarm_actions: put.alarm_actions.clone(),
            insufficient_data_actions: put.insufficient_data_actions.clone(),
            updated: now,
            ..before
        };
        self.configured(now, alarm, what, settings, out);
        // What is there already is looked at once, as soon as may be.
        self.look_at(&put.name, Some(now));
        Ok(())
    }

    /// Keeps an alarm that was given anew, and notes that.
    fn configured(
        &mut self,
        now: Timestamp,
        mut alarm: Alarm,
        what: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) {
        let summary = format!("Alarm \"{}\" {what}", alarm.name);
        let data = told::configuration(&alarm, what, settings).to_text();
        self.note(now, &mut alarm, Kind::ConfigurationUpdate, summary, data, out);
        self.keep(alarm, out);
    }

    fn delete(&mut self, names: &[Arc<str>], out: &mut Vec<Write>) -> Result<(), ApiError> {
        if let Some(missing) = names.iter().find(|name| !self.alarms.contains_key(*name)) {
            return Err(no_alarm(missing));
        }
        for name in names {
            let next = self.alarms.get(name).map_or(0, |alarm| alarm.next_item);
            for number in next.saturating_sub(HISTORY_MAX)..next {
                self.record(Write::Item(Arc::clone(name), number, None), out);
            }
            self.record(Write::Alarm(Arc::clone(name), None), out);
        }
        Ok(())
    }

    /// Adds to an alarm's history. The alarm has to be kept afterwards.
    fn note(
        &mut self,
        at: Timestamp,
        alarm: &mut Alarm,
        kind: Kind,
        summary: String,
        data: String,
        out: &mut Vec<Write>,
    ) {
        let number = alarm.next_item;
        alarm.next_item += 1;
        let name = Arc::clone(&alarm.name);
        let (summary, data) = (shortened(summary, 255), shortened(data, 4_095));
        let item = HistoryItem { alarm: Arc::clone(&name), at, kind, summary, data };
        self.record(Write::Item(Arc::clone(&name), number, Some(Arc::new(item))), out);
        if let Some(oldest) = number.checked_sub(HISTORY_MAX) {
            self.record(Write::Item(name, oldest, None), out);
        }
    }

    /// Puts an alarm into a state. `Some`: it is another than before.
    pub(super) fn turn(
        &mut self,
        now: Timestamp,
        before: &Arc<Alarm>,
        change: Change,
        out: &mut Vec<Write>,
    ) -> Option<Turned> {
        let Change { state, reason, reason_data } = change;
        let turns = state != before.state;
        let mut alarm = Alarm {
            state,
            reason,
            reason_data,
            state_updated: now,
            transitioned: if turns { now } else { before.transitioned },
            ..before.as_ref().clone()
        };
        if turns {
            let (old, new) = (before.state.name(), state.name());
            let summary = format!("Alarm updated from {old} to {new}");
            let data = told::transition(before, &alarm).to_text();
            self.note(now, &mut alarm, Kind::StateUpdate, summary, data, out);
        }
        self.keep(alarm, out);
        let after = self.alarms.get(&before.name).cloned().filter(|_| turns)?;
        Some(Turned { before: Arc::clone(before), after })
    }

    /// Notes what came of an action of an alarm.
    pub(crate) fn acted(
        &mut self,
        now: Timestamp,
        name: &Arc<str>,
        arn: &str,
        result: Result<(), &ApiError>,
        out: &mut Vec<Write>,
    ) {
        let Some(alarm) = self.alarms.get(name) else { return };
        let mut alarm = alarm.as_ref().clone();
        let summary = match result {
            Ok(()) => format!("Successfully executed action {arn}"),
            Err(error) => format!("Failed to execute action {arn}. Received error: \"{error}\""),
        };
        let data = told::action(&alarm, arn, result).to_text();
        self.note(now, &mut alarm, Kind::Action, summary, data, out);
        self.keep(alarm, out);
    }
}

fn unchecked(now: Timestamp, put: &PutAlarm) -> Alarm {
    Alarm {
        name: Arc::clone(&put.name),
        description: None,
        condition: put.condition.clone(),
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        updated: now,
        state: State::InsufficientData,
        reason: "Unchecked: Initial alarm creation".into(),
        reason_data: None,
        state_updated: now,
        transitioned: now,
        tags: put.tags.clone(),
        next_item: 0,
    }
}

fn no_alarm(name: &str) -> ApiError {
    ApiError::new("ResourceNotFound", format!("there is no alarm `{name}`"))
}

fn shortened(mut text: String, max: usize) -> Arc<str> {
    if text.chars().count() > max {
        text = text.chars().take(max).collect();
    }
    text.into()
}
