//! What executions log, in the shape of AWS's log events.

use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{HistoryEvent, Json};

use super::run::seed;
use super::{ExecutionId, Executions, Hot};
use crate::logs::Logged;
use crate::settings::Settings;

/// Members of details that `includeExecutionData` is about.
const DATA: [&str; 7] = [
    "input",
    "inputDetails",
    "output",
    "outputDetails",
    "parameters",
    "assignedVariables",
    "assignedVariablesDetails",
];

impl Executions {
    /// What new events of an execution come to in the log of its state machine, as the revision
    /// that it runs says.
    pub(super) fn logged(
        &self,
        id: ExecutionId,
        hot: &Hot,
        events: &[HistoryEvent],
        settings: &Settings,
    ) -> Option<Logged> {
        let machine = self.machines.revision(self.machine_of(id)?, hot.record.machine_revision)?;
        let logging = &machine.record.logging;
        let group = logging.group()?;
        let mut lines = Vec::new();
        for event in events.iter().filter(|event| event.id > 0) {
            let shown = event.to_aws(true);
            let kind = shown.member("type").and_then(Json::as_str).unwrap_or_default();
            if logging.level.logs(kind) {
                let line = line(event, &shown, kind, logging.with_data, hot);
                lines.push((event.at, line.to_text().into()));
            }
        }
        (!lines.is_empty()).then(|| Logged {
            group: group.into(),
            machine: Arc::clone(&machine.record.name),
            mark: seed(settings, &[id.machine]),
            events: lines,
        })
    }
}

fn line(event: &HistoryEvent, shown: &Json, kind: &str, with_data: bool, hot: &Hot) -> Json {
    let details = shown.as_object().into_iter().flatten();
    let mut details = details.filter(|(name, _)| name.ends_with("EventDetails"));
    let details = details.next().and_then(|(_, details)| details.as_object());
    let kept = details
        .into_iter()
        .flatten()
        .filter(|(name, _)| with_data || !DATA.contains(&name.as_ref()));
    let details: Object = kept.map(|(name, value)| (Arc::clone(name), value.clone())).collect();
    Json::object([
        ("id", Json::from(event.id.to_string())),
        ("type", kind.into()),
        ("details", Json::Object(Arc::new(details))),
        ("previous_event_id", event.previous.to_string().into()),
        ("event_timestamp", event.at.0.to_string().into()),
        ("execution_arn", Json::from(hot.execution.arn().as_ref())),
        ("redrive_count", hot.record.redrives().to_string().into()),
    ])
}
