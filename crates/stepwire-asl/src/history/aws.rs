//! Events as `GetExecutionHistory` returns them.

use std::sync::Arc;

use super::{Detail, HistoryEvent, Kind, Payload, Trouble};
use crate::Json;

type Members = Vec<(Arc<str>, Json)>;

/// Resource type of activities, whose events have names of their own.
const ACTIVITY: &str = "activity";

impl HistoryEvent {
    /// AWS's JSON of a public event; without inputs, outputs and parameters unless `with_data`.
    pub fn to_aws(&self, with_data: bool) -> Json {
        let (kind, details) = self.detail.shown(with_data);
        let time = Json::from_f64(self.at.seconds()).unwrap_or_default();
        let mut members: Members = vec![
            ("timestamp".into(), time),
            ("type".into(), Json::from(kind.as_str())),
            ("id".into(), Json::from(self.id as i64)),
            ("previousEventId".into(), Json::from(self.previous as i64)),
        ];
        if let Some((name, details)) = details {
            members.push((name.into(), Json::object(details)));
        }
        Json::object(members)
    }
}

impl Kind {
    /// The state type as definitions and events name it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Pass => "Pass",
            Kind::Task => "Task",
            Kind::Choice => "Choice",
            Kind::Wait => "Wait",
            Kind::Succeed => "Succeed",
            Kind::Fail => "Fail",
            Kind::Parallel => "Parallel",
            Kind::Map => "Map",
        }
    }
}

/// Collects the members of an event's details.
struct Details {
    members: Members,
    with_data: bool,
}

impl Details {
    fn text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.members.push((name.into(), Json::from(text.into())));
        self
    }

    fn number(mut self, name: &str, number: Option<i64>) -> Self {
        if let Some(number) = number {
            self.members.push((name.into(), Json::from(number)));
        }
        self
    }

    fn payload(mut self, name: &str, payload: &Payload) -> Self {
        if self.with_data {
            self.members.push((name.into(), Json::from(payload.text())));
            let untruncated = Json::object([("truncated", Json::from(false))]);
            self.members.push((format!("{name}Details").into(), untruncated));
        }
        self
    }

    fn credentials(mut self, role_arn: Option<&Arc<str>>) -> Self {
        if let Some(role) = role_arn {
            let role = Json::object([("roleArn", Json::String(Arc::clone(role)))]);
            self.members.push(("taskCredentials".into(), role));
        }
        self
    }

    fn trouble(mut self, trouble: &Trouble) -> Self {
        for (name, text) in [("error", &trouble.error), ("cause", &trouble.cause)] {
            if let Some(text) = text {
                self.members.push((name.into(), Json::String(Arc::clone(text))));
            }
        }
        self
    }
}

type Shown = (String, Option<(&'static str, Members)>);

impl Detail {
    fn shown(&self, with_data: bool) -> Shown {
        let new = || Details { members: Vec::new(), with_data };
        let some = |kind: &str, name: &'static str, details: Details| {
            (kind.to_owned(), Some((name, details.members)))
        };
        let plain = |kind: &str| (kind.to_owned(), None);
        match self {
            Detail::ExecutionStarted { input, role_arn, .. } => some(
                "ExecutionStarted",
                "executionStartedEventDetails",
                new().payload("input", input).text("roleArn", role_arn.as_ref()),
            ),
            Detail::ExecutionSucceeded(output) => some(
                "ExecutionSucceeded",
                "executionSucceededEventDetails",
                new().payload("output", output),
            ),
            Detail::ExecutionFailed(trouble) => {
                some("ExecutionFailed", "executionFailedEventDetails", new().trouble(trouble))
            }
            Detail::ExecutionTimedOut(trouble) => {
                some("ExecutionTimedOut", "executionTimedOutEventDetails", new().trouble(trouble))
            }
            Detail::ExecutionAborted(trouble) => {
                some("ExecutionAborted", "executionAbortedEventDetails", new().trouble(trouble))
            }
            Detail::Entered { kind, name, input, .. } => some(
                &format!("{}StateEntered", kind.word()),
                "stateEnteredEventDetails",
                new().text("name", name.as_ref()).payload("input", input),
            ),
            Detail::Exited { kind, name, output, assigned, .. } => {
                let mut details = new().text("name", name.as_ref()).payload("output", output);
                if !assigned.is_empty() && with_data {
                    let texts =
                        assigned.iter().map(|(k, v)| (Arc::clone(k), Json::from(v.to_text())));
                    details.members.push(("assignedVariables".into(), Json::object(texts)));
                    let untruncated = Json::object([("truncated", Json::from(false))]);
                    details.members.push(("assignedVariablesDetails".into(), untruncated));
                }
                some(&format!("{}StateExited", kind.word()), "stateExitedEventDetails", details)
            }
            Detail::Aborted(kind) => plain(&format!("{}StateAborted", kind.word())),
            Detail::Scheduled {
                resource_type,
                resource,
                region,
                parameters,
                timeout_s,
                heartbeat_s,
                role_arn,
            } => {
                if resource_type.as_ref() == "lambda-function" {
                    return some(
                        "LambdaFunctionScheduled",
                        "lambdaFunctionScheduledEventDetails",
                        new()
                            .text("resource", resource.as_ref())
                            .payload("input", parameters)
                            .number("timeoutInSeconds", *timeout_s)
                            .credentials(role_arn.as_ref()),
                    );
                }
                if resource_type.as_ref() == ACTIVITY {
                    return some(
                        "ActivityScheduled",
                        "activityScheduledEventDetails",
                        new()
                            .text("resource", resource.as_ref())
                            .payload("input", parameters)
                            .number("timeoutInSeconds", *timeout_s)
                            .number("heartbeatInSeconds", *heartbeat_s),
                    );
                }
                let mut details = new()
                    .text("resourceType", resource_type.as_ref())
                    .text("resource", resource.as_ref())
                    .text("region", region.as_ref());
                let shown = if with_data { parameters.text() } else { "{}".to_owned() };
                details = details.text("parameters", shown);
                some(
                    "TaskScheduled",
                    "taskScheduledEventDetails",
                    details
                        .number("timeoutInSeconds", *timeout_s)
                        .number("heartbeatInSeconds", *heartbeat_s)
                        .credentials(role_arn.as_ref()),
                )
            }
            Detail::Started { function: true, .. } => plain("LambdaFunctionStarted"),
            Detail::Started { resource_type, resource, .. } => some(
                "TaskStarted",
                "taskStartedEventDetails",
                named(new(), resource_type, resource),
            ),
            Detail::Submitted { resource_type, resource, output } => some(
                "TaskSubmitted",
                "taskSubmittedEventDetails",
                named(new(), resource_type, resource).payload("output", output),
            ),
            Detail::TaskSucceeded { function: true, output, .. } => some(
                "LambdaFunctionSucceeded",
                "lambdaFunctionSucceededEventDetails",
                new().payload("output", output),
            ),
            Detail::TaskSucceeded { resource_type, output, .. }
                if resource_type.as_ref() == ACTIVITY =>
            {
                some(
                    "ActivitySucceeded",
                    "activitySucceededEventDetails",
                    new().payload("output", output),
                )
            }
            Detail::TaskSucceeded { resource_type, resource, output, .. } => some(
                "TaskSucceeded",
                "taskSucceededEventDetails",
                named(new(), resource_type, resource).payload("output", output),
            ),
            Detail::TaskEnded { function: true, timed_out, trouble, .. } => {
                if *timed_out {
                    some(
                        "LambdaFunctionTimedOut",
                        "lambdaFunctionTimedOutEventDetails",
                        new().trouble(trouble),
                    )
                } else {
                    some(
                        "LambdaFunctionFailed",
                        "lambdaFunctionFailedEventDetails",
                        new().trouble(trouble),
                    )
                }
            }
            Detail::TaskEnded { timed_out, resource_type, trouble, .. }
                if resource_type.as_ref() == ACTIVITY =>
            {
                let details = new().trouble(trouble);
                if *timed_out {
                    some("ActivityTimedOut", "activityTimedOutEventDetails", details)
                } else {
                    some("ActivityFailed", "activityFailedEventDetails", details)
                }
            }
            Detail::TaskEnded { timed_out, resource_type, resource, trouble, .. } => {
                let details = named(new(), resource_type, resource).trouble(trouble);
                if *timed_out {
                    some("TaskTimedOut", "taskTimedOutEventDetails", details)
                } else {
                    some("TaskFailed", "taskFailedEventDetails", details)
                }
            }
            Detail::ParallelStarted(_) => plain("ParallelStateStarted"),
            Detail::ParallelSucceeded => plain("ParallelStateSucceeded"),
            Detail::ParallelFailed(_) => plain("ParallelStateFailed"),
            Detail::MapStarted { items, .. } => {
                let length = items.value().as_array().map_or(0, <[Json]>::len) as i64;
                some(
                    "MapStateStarted",
                    "mapStateStartedEventDetails",
                    new().number("length", Some(length)),
                )
            }
            Detail::MapSucceeded => plain("MapStateSucceeded"),
            Detail::MapFailed(_) => plain("MapStateFailed"),
            Detail::IterationStarted { name, index } => some(
                "MapIterationStarted",
                "mapIterationStartedEventDetails",
                new().text("name", name.as_ref()).number("index", Some(i64::from(*index))),
            ),
            Detail::IterationSucceeded { name, index } => some(
                "MapIterationSucceeded",
                "mapIterationSucceededEventDetails",
                new().text("name", name.as_ref()).number("index", Some(i64::from(*index))),
            ),
            Detail::IterationFailed { name, index } => some(
                "MapIterationFailed",
                "mapIterationFailedEventDetails",
                new().text("name", name.as_ref()).number("index", Some(i64::from(*index))),
            ),
            Detail::IterationAborted { name, index } => some(
                "MapIterationAborted",
                "mapIterationAbortedEventDetails",
                new().text("name", name.as_ref()).number("index", Some(i64::from(*index))),
            ),
            Detail::DistributedMapStarted { length } => some(
                "MapStateStarted",
                "mapStateStartedEventDetails",
                new().number("length", Some(i64::from(*length))),
            ),
            Detail::MapRunStarted { arn } => some(
                "MapRunStarted",
                "mapRunStartedEventDetails",
                new().text("mapRunArn", arn.as_ref()),
            ),
            Detail::MapRunSucceeded => plain("MapRunSucceeded"),
            Detail::MapRunFailed(trouble) => {
                some("MapRunFailed", "mapRunFailedEventDetails", new().trouble(trouble))
            }
            Detail::MapRunAborted => plain("MapRunAborted"),
            Detail::MapRunRedriven { arn, count } => some(
                "MapRunRedriven",
                "mapRunRedrivenEventDetails",
                new()
                    .text("mapRunArn", arn.as_ref())
                    .number("redriveCount", Some(i64::from(*count))),
            ),
            Detail::ExecutionRedriven(count) => some(
                "ExecutionRedriven",
                "executionRedrivenEventDetails",
                new().number("redriveCount", Some(i64::from(*count))),
            ),
            Detail::WaitUntil(_) => plain("WaitUntil"),
            Detail::RetryScheduled { .. } => plain("RetryScheduled"),
            Detail::RetryDue => plain("RetryDue"),
            Detail::BranchStarted { .. } => plain("BranchStarted"),
            Detail::BranchFailed => plain("BranchFailed"),
            Detail::Heartbeat => plain("Heartbeat"),
            Detail::ActivityStarted { worker } => {
                let details = match worker {
                    Some(worker) => new().text("workerName", worker.as_ref()),
                    None => new(),
                };
                some("ActivityStarted", "activityStartedEventDetails", details)
            }
            Detail::EvaluationFailed { state, location, trouble, .. } => {
                let mut details = new().trouble(trouble).text("state", state.as_ref());
                if let Some(location) = location {
                    details = details.text("location", location.as_ref());
                }
                some("EvaluationFailed", "evaluationFailedEventDetails", details)
            }
        }
    }
}

fn named(details: Details, resource_type: &Arc<str>, resource: &Arc<str>) -> Details {
    details.text("resourceType", resource_type.as_ref()).text("resource", resource.as_ref())
}
