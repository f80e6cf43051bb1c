//! TestState's answer: how the state ended, and the values on the way.

use std::sync::Arc;

use stepwire_asl::execution::{Inspection, Outcome, Stage};
use stepwire_asl::{Json, Trouble};

use super::Running;
use super::request::Level;

type Members = Vec<(&'static str, Json)>;

impl Running {
    /// The answer to the request, as the service gives it.
    pub(crate) fn answer(&self) -> Json {
        let mut members = ended(self.trial.outcome());
        if self.request.level != Level::Info {
            let mut data = inspected(&self.request.input, self.trial.inspection());
            if self.request.level == Level::Trace && self.request.state.calls_http() {
                data.extend(http(self.trial.inspection()));
            }
            members.push(("inspectionData", Json::object(data)));
        }
        Json::object(members)
    }
}

fn ended(outcome: Option<&Outcome>) -> Members {
    let status = |word: &str| ("status", Json::from(word));
    match outcome {
        Some(Outcome::Succeeded { output, next }) => {
            let mut members = vec![("output", Json::from(output.text())), status("SUCCEEDED")];
            members.extend(next_state(next.as_ref()));
            members
        }
        Some(Outcome::Caught { trouble, output, next }) => {
            let mut members = told(trouble);
            members.push(("output", Json::from(output.text())));
            members.extend(next_state(next.as_ref()));
            members.push(status("CAUGHT_ERROR"));
            members
        }
        Some(Outcome::Failed(trouble)) => {
            let mut members = told(trouble);
            members.push(status("FAILED"));
            members
        }
        Some(Outcome::Retriable(trouble)) => {
            let mut members = told(trouble);
            members.push(status("RETRIABLE"));
            members
        }
        None => vec![("error", Json::from("States.Timeout")), status("FAILED")],
    }
}

fn told(trouble: &Trouble) -> Members {
    let text = |name, text: &Option<Arc<str>>| {
        text.as_ref().map(|text| (name, Json::String(Arc::clone(text))))
    };
    [text("error", &trouble.error), text("cause", &trouble.cause)].into_iter().flatten().collect()
}

fn next_state(next: Option<&Arc<str>>) -> Option<(&'static str, Json)> {
    Some(("nextState", Json::String(Arc::clone(next?))))
}

fn inspected(input: &Arc<str>, inspection: &Inspection) -> Members {
    let mut data = vec![("input", Json::String(Arc::clone(input)))];
    data.extend(inspection.stages.iter().map(|(stage, value)| member(*stage, value)));
    if !inspection.variables.is_empty() {
        let variables = inspection.variables.iter();
        let variables = variables.map(|(name, value)| (Arc::clone(name), value.clone()));
        data.push(("variables", Json::from(Json::object(variables).to_text())));
    }
    let index = |name, number: Option<u32>| Some((name, Json::from(i64::from(number?))));
    let details = [
        index("catchIndex", inspection.catcher),
        index("retryIndex", inspection.retrier),
        inspection
            .backoff_ms
            .map(|ms| ("retryBackoffIntervalSeconds", Json::from((ms + 500) / 1_000))),
    ];
    if details.iter().any(Option::is_some) {
        data.push(("errorDetails", Json::object(details.into_iter().flatten())));
    }
    data
}

/// Values are shown as JSON text, counts as numbers.
fn member(stage: Stage, value: &Json) -> (&'static str, Json) {
    let text = || Json::from(value.to_text());
    match stage {
        Stage::AfterInputPath => ("afterInputPath", text()),
        Stage::AfterParameters => ("afterParameters", text()),
        Stage::AfterArguments => ("afterArguments", text()),
        Stage::AfterItemsPath => ("afterItemsPath", text()),
        Stage::AfterItemsPointer => ("afterItemsPointer", text()),
        Stage::AfterItemSelector => ("afterItemSelector", text()),
        Stage::AfterItemBatcher => ("afterItemBatcher", text()),
        Stage::Result => ("result", text()),
        Stage::AfterResultSelector => ("afterResultSelector", text()),
        Stage::AfterResultPath => ("afterResultPath", text()),
        Stage::MaxConcurrency => ("maxConcurrency", value.clone()),
        Stage::ToleratedFailureCount => ("toleratedFailureCount", value.clone()),
        Stage::ToleratedFailurePercentage => ("toleratedFailurePercentage", value.clone()),
    }
}

/// `request` and `response` of an HTTP task, from its parameters and its result.
fn http(inspection: &Inspection) -> Members {
    let stage = |stage| inspection.stages.get(&stage);
    let asked = stage(Stage::AfterParameters).or_else(|| stage(Stage::AfterArguments));
    let mut members = Members::new();
    let mut protocol = Json::Null;
    if let Some(asked) = asked {
        let url = asked.member("ApiEndpoint").and_then(Json::as_str).unwrap_or_default();
        protocol = Json::from(url.split("://").next().unwrap_or_default());
        let request = [
            ("protocol", Some(protocol.clone())),
            ("method", asked.member("Method").cloned()),
            ("url", Some(Json::from(with_query(url, asked.member("QueryParameters"))))),
            ("headers", asked.member("Headers").map(headers)),
            ("body", asked.member("RequestBody").map(|body| Json::from(text_of(body)))),
        ];
        members.push(("request", present(request)));
    }
    if let Some(answered) = stage(Stage::Result) {
        let response = [
            ("protocol", Some(protocol)),
            ("statusCode", answered.member("StatusCode").map(|code| Json::from(code.to_text()))),
            ("statusMessage", answered.member("StatusText").cloned()),
            ("headers", answered.member("Headers").map(headers)),
            ("body", answered.member("ResponseBody").map(|body| Json::from(text_of(body)))),
        ];
        members.push(("response", present(response)));
    }
    members
}

fn present<const N: usize>(members: [(&'static str, Option<Json>); N]) -> Json {
    Json::object(members.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

fn text_of(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_text(), str::to_owned)
}

/// A structure as texts: those of a list beside each other.
fn pairs(value: &Json) -> impl Iterator<Item = (&str, String)> {
    let members = value.as_object().into_iter().flatten();
    members.flat_map(|(name, value)| match value.as_array() {
        Some(several) => several.iter().map(|one| (name.as_ref(), text_of(one))).collect(),
        None => vec![(name.as_ref(), text_of(value))],
    })
}

fn headers(value: &Json) -> Json {
    let lines: Vec<_> = pairs(value).map(|(name, value)| format!("{name}: {value}")).collect();
    Json::from(format!("[{}]", lines.join(", ")))
}

fn with_query(url: &str, query: Option<&Json>) -> String {
    let pairs: Vec<_> =
        query.into_iter().flat_map(pairs).map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { url.to_owned() } else { format!("{url}?{}", pairs.join("&")) }
}
