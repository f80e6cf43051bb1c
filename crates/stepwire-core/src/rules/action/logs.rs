//! `cloudwatchLogs`: a message is written to a log group, as one event or as the list it holds.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::field::Field;
use super::{Kind, Resolved, document, only, text};
use crate::error::ApiError;
use crate::params::Params;
use crate::rules::sql::{Facts, Value};

/// `cloudwatchLogs`
#[derive(Debug, Clone, PartialEq)]
pub struct Logs {
    group: Field,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The result is one event.
    Single,
    /// The result is a list of events with their times.
    Batch,
}

pub(super) fn parse(fields: &Params<'_>) -> Result<Logs, ApiError> {
    only(fields, &["logGroupName", "batchMode"])?;
    let mode = match fields.optional_bool("batchMode")? {
        Some(true) => Mode::Batch,
        Some(false) | None => Mode::Single,
    };
    Ok(Logs { group: Field::required(fields, "logGroupName")?, mode })
}

impl Kind for Logs {
    fn name(&self) -> &'static str {
        "CloudwatchLogsAction"
    }

    fn resource(&self) -> &Field {
        &self.group
    }

    fn resolve(
        &self,
        group: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        let events = match self.mode {
            Mode::Single => vec![(facts.message.at, text(result)?)],
            Mode::Batch => batch(&document(result)?)?,
        };
        if events.iter().any(|(_, message)| message.is_empty()) {
            return Err("a log event must not be empty".to_owned());
        }
        Ok(Resolved::Log { group: Arc::clone(group), events })
    }
}

/// The events of `[{"timestamp": 1, "message": "…"}, …]`, in order of time.
fn batch(result: &Json) -> Result<Vec<(Timestamp, Arc<str>)>, String> {
    let shape =
        "`batchMode` takes a list of objects with `timestamp`, in milliseconds, and `message`";
    let event = |event: &Json| {
        let at = event.member("timestamp")?.as_i64().filter(|at| *at >= 0)?;
        let message = match event.member("message")? {
            Json::String(text) => Arc::clone(text),
            other => other.to_text().into(),
        };
        Some((Timestamp(at), message))
    };
    let events = result.as_array().ok_or(shape)?;
    let events: Option<Vec<(Timestamp, Arc<str>)>> = events.iter().map(event).collect();
    let mut events = events.ok_or(shape)?;
    events.sort_by_key(|(at, _)| *at);
    Ok(events)
}
