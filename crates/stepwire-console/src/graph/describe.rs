//! What a state does, in a few words.

use std::sync::Arc;

use stepwire_asl::Json;

use super::Kind;
use super::condition::query;
use super::text::clip;

/// The longest words kept of what a definition says.
const WORDS_MAX: usize = 80;

pub(super) struct Description {
    pub(super) detail: String,
    pub(super) service: Option<Arc<str>>,
    pub(super) waits_for_token: bool,
}

/// What `state` says it does.
pub(super) fn state(kind: Kind, state: &Json) -> Description {
    let detail = match kind {
        Kind::Task => return clipped(task(state)),
        Kind::Start | Kind::End | Kind::Succeed => String::new(),
        Kind::Pass => pass(state).to_owned(),
        Kind::Choice => counted(array(state, "Choices"), "rule", "rules"),
        Kind::Wait => wait(state),
        Kind::Fail => word(state, &["Error", "ErrorPath"]).unwrap_or_default(),
        Kind::Parallel => counted(array(state, "Branches"), "branch", "branches"),
        Kind::Map => map(state),
        Kind::Unknown => match state.member("Type") {
            _ if state.is_null() => "not defined".to_owned(),
            Some(kind) => format!("type {}", plain(kind)),
            None => "no type".to_owned(),
        },
    };
    clipped(Description { detail, service: None, waits_for_token: false })
}

fn clipped(of: Description) -> Description {
    Description { detail: clip(&of.detail, WORDS_MAX), ..of }
}

/// The symbol for what calls `service`.
pub(super) fn icon(service: Option<&str>) -> &'static str {
    match service {
        Some("lambda") => "i-lambda",
        Some("dynamodb") => "i-db",
        Some("iot" | "iotdataplane" | "iotwireless" | "greengrassv2") => "i-iot",
        Some("sns" | "sqs" | "events" | "eventbridge" | "ses" | "sesv2") => "i-bell",
        Some("http" | "apigateway") => "i-http",
        Some("states" | "sfn") => "i-flow",
        Some("activity") => "i-worker",
        Some("s3") => "i-store",
        _ => "i-task",
    }
}

fn task(state: &Json) -> Description {
    let resource = state.member("Resource").and_then(Json::as_str).unwrap_or_default();
    let called = Called::parse(resource);
    let subject = called.subject(state);
    let mut detail = match (&*called.service, &subject) {
        ("lambda", Some(name)) => format!("λ {name}"),
        ("lambda", None) if called.api.is_empty() => "λ".to_owned(),
        ("activity", Some(name)) => format!("activity {name}"),
        ("states", Some(name)) if called.api == "startExecution" => format!("runs {name}"),
        ("http", Some(place)) => place.clone(),
        ("", _) if resource.is_empty() => "no resource".to_owned(),
        ("", _) => without_dollar_braces(resource),
        (service, Some(name)) => format!("{service}:{} {name}", called.api),
        (service, None) => format!("{service}:{}", called.api),
    };
    match called.pattern {
        "waitForTaskToken" => detail.push_str(" · waits for answer"),
        "sync" | "sync:2" => detail.push_str(" · waits for end"),
        _ => {}
    }
    let service = (!called.service.is_empty()).then(|| called.service.as_str().into());
    Description { detail, service, waits_for_token: called.pattern == "waitForTaskToken" }
}

/// A `Resource`, leniently taken apart: placeholders stand for anything.
struct Called<'a> {
    service: String,
    api: &'a str,
    pattern: &'a str,
    /// The function or activity that the ARN itself names.
    named: Option<&'a str>,
}

impl<'a> Called<'a> {
    fn parse(resource: &'a str) -> Called<'a> {
        let unknown = Called { service: String::new(), api: "", pattern: "", named: None };
        if let Some((_, rest)) = resource.split_once(":states:::") {
            let (rest, pattern) = match rest.split_once('.') {
                Some((rest, pattern)) => (rest, pattern),
                None => (rest, ""),
            };
            let (service, api) = rest.rsplit_once(':').unwrap_or((rest, ""));
            let service = service.strip_prefix("aws-sdk:").unwrap_or(service).to_owned();
            return Called { service, api, pattern, named: None };
        }
        if let Some((_, name)) = resource.split_once(":activity:") {
            return Called { service: "activity".into(), named: Some(name), ..unknown };
        }
        if let Some((_, name)) = resource.split_once(":function:") {
            return Called { service: "lambda".into(), named: Some(name), ..unknown };
        }
        unknown
    }

    /// What is called, when the state names one: a function, a table's name is not of interest.
    fn subject(&self, state: &Json) -> Option<String> {
        if let Some(name) = self.named {
            return Some(without_dollar_braces(last_name(name)));
        }
        let names: &[&str] = match (&*self.service, self.api) {
            ("lambda", "invoke") => &["FunctionName"],
            ("states", _) => &["StateMachineArn"],
            ("http", _) => &["ApiEndpoint"],
            _ => return None,
        };
        let arguments = state.member("Arguments").or_else(|| state.member("Parameters"))?;
        let name = word(arguments, names)?;
        if self.service == "http" {
            return Some(name.trim_start_matches("https://").to_owned());
        }
        Some(last_name(&name).to_owned())
    }
}

/// The name in an ARN of a function or state machine, without version or alias.
fn last_name(arn: &str) -> &str {
    for mark in [":function:", ":stateMachine:"] {
        if let Some((_, rest)) = arn.split_once(mark) {
            return rest.split(':').next().unwrap_or(rest);
        }
    }
    arn.strip_suffix(":$LATEST").unwrap_or(arn)
}

fn pass(state: &Json) -> &'static str {
    let has = |name: &str| state.member(name).is_some();
    match () {
        () if has("Assign") && (has("Output") || has("Result")) => "sets variables, shapes output",
        () if has("Assign") => "sets variables",
        () if has("Result") || has("Output") || has("Parameters") => "shapes output",
        () => "passes on",
    }
}

fn wait(state: &Json) -> String {
    if let Some(seconds) = state.member("Seconds") {
        return match seconds.as_i64() {
            Some(seconds) => duration(seconds),
            None => format!("{} s", query(&plain(seconds))),
        };
    }
    if let Some(path) = word(state, &["SecondsPath"]) {
        return format!("{path} s");
    }
    word(state, &["Timestamp", "TimestampPath"])
        .map_or_else(String::new, |at| format!("until {at}"))
}

/// Whole seconds for people: `90 s` is `1 min 30 s`.
fn duration(seconds: i64) -> String {
    let parts = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds.max(0);
    let mut text = Vec::new();
    for (size, unit) in parts {
        if rest >= size {
            text.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() { "0 s".to_owned() } else { text.join(" ") }
}

fn map(state: &Json) -> String {
    let items = word(state, &["ItemsPath", "Items"]);
    let reader = state.member("ItemReader").and_then(|reader| reader.member("Resource"));
    let mut text = match (items, reader.and_then(Json::as_str)) {
        (Some(items), _) => format!("each of {items}"),
        (None, Some(reader)) if reader.ends_with("listObjectsV2") => "each object of S3".to_owned(),
        (None, Some(_)) => "each item of an S3 file".to_owned(),
        (None, None) => "each item".to_owned(),
    };
    let settings = state.member("ItemProcessor").and_then(|of| of.member("ProcessorConfig"));
    let mode = settings.and_then(|settings| settings.member("Mode")).and_then(Json::as_str);
    if mode == Some("DISTRIBUTED") {
        text.push_str(" · distributed");
    }
    match state.member("MaxConcurrency").and_then(Json::as_i64) {
        Some(1) => text + " · one at a time",
        Some(most) if most > 1 => format!("{text} · {most} at once"),
        _ => text,
    }
}

/// The first of `names` that `state` has, as words; also under its JSONPath name (`name.$`).
fn word(state: &Json, names: &[&str]) -> Option<String> {
    let found = names
        .iter()
        .find_map(|name| state.member(name).or_else(|| state.member(&format!("{name}.$"))))?;
    let text = match found {
        Json::Array(items) => format!("{} items", items.len()),
        other => query(&plain(other)),
    };
    (!text.is_empty()).then_some(text)
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_text(), str::to_owned)
}

/// `${Name}` of templates is `Name`.
fn without_dollar_braces(text: &str) -> String {
    text.replace("${", "").replace('}', "")
}

fn array(state: &Json, name: &str) -> usize {
    state.member(name).and_then(Json::as_array).map_or(0, <[Json]>::len)
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(text: &str) -> String {
        let json = Json::parse(text).expect("JSON");
        let kind = match json.member("Type").and_then(Json::as_str) {
            Some("Task") => Kind::Task,
            Some("Wait") => Kind::Wait,
            Some("Map") => Kind::Map,
            Some("Choice") => Kind::Choice,
            Some("Fail") => Kind::Fail,
            Some("Pass") => Kind::Pass,
            _ => Kind::Unknown,
        };
        state(kind, &json).detail
    }

    #[test]
    fn a_state_says_what_it_does() {
        let cases = [
            (
                r#"{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem.waitForTaskToken"}"#,
                "dynamodb:putItem · waits for answer",
            ),
            (
                r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"arn:aws:lambda:eu-central-1:000000000000:function:Send:live"}}"#,
                "λ Send",
            ),
            (
                r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName.$":"$.fn"}}"#,
                "λ fn · waits for answer",
            ),
            (
                r#"{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:Old"}"#,
                "λ Old",
            ),
            (r#"{"Type":"Task","Resource":"${SendFunctionArn}"}"#, "SendFunctionArn"),
            (
                r#"{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:iotdataplane:publish"}"#,
                "iotdataplane:publish",
            ),
            (
                r#"{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Arguments":{"StateMachineArn":"arn:aws:states:eu-central-1:000000000000:stateMachine:Child"}}"#,
                "runs Child · waits for end",
            ),
            (
                r#"{"Type":"Task","Resource":"arn:aws:states:eu-central-1:000000000000:activity:paint"}"#,
                "activity paint",
            ),
            (r#"{"Type":"Task"}"#, "no resource"),
            (r#"{"Type":"Wait","Seconds":90}"#, "1 min 30 s"),
            (r#"{"Type":"Wait","Seconds":"{% $states.input.pause %}"}"#, "pause s"),
            (r#"{"Type":"Wait","TimestampPath":"$.at"}"#, "until at"),
            (
                r#"{"Type":"Map","ItemsPath":"$.rows","MaxConcurrency":5}"#,
                "each of rows · 5 at once",
            ),
            (r#"{"Type":"Choice","Choices":[{}]}"#, "1 rule"),
            (r#"{"Type":"Fail","Error":"Late"}"#, "Late"),
            (r#"{"Type":"Tsak"}"#, "type Tsak"),
            (r"null", "not defined"),
            (r"7", "no type"),
        ];
        for (text, words) in cases {
            assert_eq!(detail(text), words, "{text}");
        }
    }
}
