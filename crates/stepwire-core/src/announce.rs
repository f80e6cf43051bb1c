//! Executions tell the default event bus that they begin and end.
//!
//! Source: Step Functions developer guide, "Automating event delivery".

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use crate::events::{self, DEFAULT, Entry};
use crate::executions::{self, ExecutionId, Status};
use crate::input::{Follow, Input};
use crate::kernel::{Kernel, Step};
use crate::read::Reads;
use crate::request::Request;
use crate::write::Write;

/// Most bytes of input and output together that an event holds.
const DATA_MAX: usize = 248 << 10;

/// Members of an event, in AWS's order; those that an execution does not have are null.
const MEMBERS: [&str; 18] = [
    "executionArn",
    "stateMachineArn",
    "name",
    "status",
    "startDate",
    "stopDate",
    "input",
    "output",
    "stateMachineVersionArn",
    "stateMachineAliasArn",
    "redriveCount",
    "redriveDate",
    "redriveStatus",
    "redriveStatusReason",
    "inputDetails",
    "outputDetails",
    "error",
    "cause",
];

/// Of an execution that runs these say nothing, whatever has become of it since.
const OF_THE_END: [&str; 5] = ["stopDate", "output", "outputDetails", "error", "cause"];

impl Kernel {
    /// Has it told that executions began or ended in this step, if somebody listens.
    pub(crate) fn announce_changes(&self, step: &mut Step) {
        if !self.events.listens(DEFAULT) {
            return;
        }
        let mut begun = BTreeSet::new();
        for write in &step.writes {
            let Write::Executions(write) = write else { continue };
            match write {
                executions::Write::Name { id, .. } => drop(begun.insert(*id)),
                executions::Write::Execution(id, record) if self.executions.is_standard(*id) => {
                    let running = begun.remove(id) || record.status == Status::Running;
                    let ended = record.status != Status::Running;
                    let statuses = running.then_some(Status::Running).into_iter();
                    for status in statuses.chain(ended.then_some(record.status)) {
                        step.then.push(Input::Follow(Follow::Announce(*id, status)));
                    }
                }
                _ => {}
            }
        }
    }

    /// Puts the event on the bus.
    pub(crate) fn announce(
        &mut self,
        now: Timestamp,
        id: ExecutionId,
        status: Status,
        reads: &Reads,
        step: &mut Step,
    ) {
        let described = match executions::described(id, reads, &self.settings) {
            Ok(described) => described,
            Err(corrupt) => return self.quarantine(id, &corrupt, step),
        };
        let detail = detail(&described, status);
        let execution = described.member("executionArn").and_then(Json::as_str);
        let entry = Entry {
            bus: DEFAULT.into(),
            source: "aws.states".into(),
            detail_type: "Step Functions Execution Status Change".into(),
            detail,
            resources: execution.into_iter().map(Arc::from).collect(),
            time: None,
        };
        self.put_event(now, entry, step);
    }

    /// Events that a task puts on a bus say which execution of which state machine it is of.
    pub(crate) fn with_origin(&self, request: Request, execution: ExecutionId) -> Request {
        match (request, self.executions.arns(execution, &self.settings)) {
            (Request::Events(events::Request::PutEvents { entries }), Some(arns)) => {
                let entries = entries.into_iter().map(|entry| {
                    entry.map(|mut entry| {
                        entry.resources.extend(arns.iter().cloned());
                        entry
                    })
                });
                Request::Events(events::Request::PutEvents { entries: entries.collect() })
            }
            (request, _) => request,
        }
    }
}

fn detail(described: &Json, status: Status) -> Json {
    let running = status == Status::Running;
    let text = |name| described.member(name).and_then(Json::as_str).map_or(0, str::len);
    let included = text("input") + text("output") <= DATA_MAX;
    let member = |name: &str| -> Json {
        if running && OF_THE_END.contains(&name) {
            return Json::Null;
        }
        let value = described.member(name).cloned().unwrap_or_default();
        match name {
            "status" => status.word().into(),
            "redriveStatus" if running => "NOT_REDRIVABLE".into(),
            "redriveStatusReason" if running => {
                "Execution is RUNNING and cannot be redriven".into()
            }
            "startDate" | "stopDate" | "redriveDate" => match value.as_f64() {
                Some(seconds) => Json::from((seconds * 1_000.0).round() as i64),
                None => Json::Null,
            },
            "input" | "output" if !included => Json::Null,
            "inputDetails" | "outputDetails" if !included && !value.is_null() => {
                Json::object([("included", Json::from(false))])
            }
            _ => value,
        }
    };
    Json::object(MEMBERS.map(|name| (name, member(name))))
}
