//! Definitions as the Step Functions API takes them: what is wrong with one, for a kind of state
//! machine and for what this stepwire carries out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::definition::{Pattern, Resource};
use stepwire_asl::{Diagnostic, Json, Severity, StateMachine, Topic, advice};

use super::request::Request;
use crate::error::ApiError;
use crate::integrations;
use crate::params::Params;
use crate::settings::Settings;

/// Longest definition, bytes of UTF-8.
pub const DEFINITION_MAX: usize = 1_048_576;
/// Diagnostics in one answer.
const RESULTS_MAX: i64 = 100;
const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";

/// The `type` of a state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// `STANDARD`
    #[default]
    Standard,
    /// `EXPRESS`
    Express,
}

impl Kind {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Standard => "STANDARD",
            Kind::Express => "EXPRESS",
        }
    }
}

/// The parts of a ValidateStateMachineDefinition request.
#[derive(Debug, Clone)]
pub struct Validate {
    /// `definition`
    pub definition: Arc<str>,
    /// `type`
    pub kind: Kind,
    /// `severity`: nothing milder is told.
    pub severity: Severity,
    /// `maxResults`
    pub limit: usize,
}

/// Everything that is wrong with a definition, errors first, then what AWS warns about.
/// No AWS service outside is reachable.
pub fn diagnose(text: &str, kind: Kind) -> Vec<Diagnostic> {
    diagnosed(text, kind, &|_| false)
}

fn diagnosed(text: &str, kind: Kind, reachable: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
    let mut found = match StateMachine::parse(text) {
        Ok(machine) => refused(&machine, text, kind, reachable),
        Err(found) => found,
    };
    if let Ok(json) = Json::parse(text) {
        found.extend(advice::linted(&json));
    }
    found
}

/// The state machine that `text` defines, if it can be one of this kind on some node: which AWS
/// services outside one reaches is [`within_reach`]'s to say.
pub(super) fn accepted(text: &str, kind: Kind) -> Result<StateMachine, ApiError> {
    accept(text, kind, &|_| true)
}

/// Refuses a definition that cannot be one of this kind on this node.
pub(super) fn within_reach(text: &str, kind: Kind, settings: &Settings) -> Result<(), ApiError> {
    accept(text, kind, &|name| settings.outside.contains(name)).map(drop)
}

/// What CreateStateMachine refuses of a definition, where these AWS services outside are reachable.
pub(crate) fn refusals(
    text: &str,
    kind: Kind,
    reachable: &dyn Fn(&str) -> bool,
) -> Vec<Diagnostic> {
    match StateMachine::parse(text) {
        Ok(machine) => refused(&machine, text, kind, reachable),
        Err(found) => found,
    }
}

fn accept(
    text: &str,
    kind: Kind,
    reachable: &dyn Fn(&str) -> bool,
) -> Result<StateMachine, ApiError> {
    let found = match StateMachine::parse(text) {
        Ok(machine) => match refused(&machine, text, kind, reachable) {
            none if none.is_empty() => return Ok(machine),
            found => found,
        },
        Err(found) => found,
    };
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    let message = format!("Invalid State Machine Definition: '{}'", told.join(", "));
    Err(ApiError::new("InvalidDefinition", message))
}

/// What is well formed and cannot be carried out: one error for each task or Map state.
fn refused(
    machine: &StateMachine,
    text: &str,
    kind: Kind,
    reachable: &dyn Fn(&str) -> bool,
) -> Vec<Diagnostic> {
    let maps = distributed(text);
    let mut found = Vec::new();
    for (place, resource) in machine.tasks() {
        let in_express = |map: &Distributed| {
            map.express && place.strip_prefix(&*map.at).is_some_and(|rest| rest.starts_with('/'))
        };
        let kind = if maps.iter().any(in_express) { Kind::Express } else { kind };
        found.extend(unfit(resource, kind, place, reachable));
    }
    if kind == Kind::Express {
        let why = "Express state machine does not support Map states in 'DISTRIBUTED' mode";
        found.extend(maps.iter().map(|map| {
            let place = format!("{}/ProcessorConfig/Mode", map.at);
            Diagnostic::error(SCHEMA, why, place).about(Topic::Express)
        }));
    }
    found
}

/// The processor of a distributed Map state.
struct Distributed {
    /// JSON pointer.
    at: String,
    /// Whether its children are Express executions.
    express: bool,
}

fn distributed(text: &str) -> Vec<Distributed> {
    let mut found = Vec::new();
    // Most definitions have none, and need not be read for it.
    let json = if text.contains("DISTRIBUTED") { Json::parse(text).ok() } else { None };
    let mut rest: Vec<_> = json.iter().map(|json| (String::new(), json)).collect();
    while let Some((at, value)) = rest.pop() {
        let word = |name| value.member("ProcessorConfig")?.member(name)?.as_str();
        if word("Mode") == Some("DISTRIBUTED") && value.member("States").is_some() {
            let express = word("ExecutionType") == Some("EXPRESS");
            found.push(Distributed { at: at.clone(), express });
        }
        if let Some(members) = value.as_object() {
            rest.extend(members.iter().map(|(name, value)| {
                (format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), value)
            }));
        }
        let items = value.as_array().unwrap_or_default().iter().enumerate();
        rest.extend(items.map(|(number, item)| (format!("{at}[{number}]"), item)));
    }
    found
}

fn unfit(
    resource: &Resource,
    kind: Kind,
    place: &str,
    reachable: &dyn Fn(&str) -> bool,
) -> Option<Diagnostic> {
    if kind == Kind::Express
        && let Some(message) = unfit_for_express(resource)
    {
        return Some(Diagnostic::error(SCHEMA, message, place).about(Topic::Express));
    }
    let why = integrations::supported(resource, reachable).err()?;
    Some(Diagnostic::error(SCHEMA, why, place).about(Topic::Unavailable))
}

/// AWS's sentence, a blank too many included.
fn unfit_for_express(resource: &Resource) -> Option<&'static str> {
    match (resource.pattern(), resource.service()) {
        (Pattern::Sync | Pattern::Sync2, _) => {
            Some("Express state machine does not support '.sync' service integration")
        }
        (Pattern::WaitForTaskToken, _) => {
            Some("Express state machine does not support '.waitForTaskToken' service integration ")
        }
        (Pattern::RequestResponse, "activity") => {
            Some("Express state machine does not support Activities")
        }
        (Pattern::RequestResponse, _) => None,
    }
}

/// A ValidateStateMachineDefinition request.
pub(super) fn validate(params: &Params<'_>) -> Result<Request, ApiError> {
    let limit = params.optional_int("maxResults")?.filter(|limit| *limit > 0);
    Ok(Request::Validate(Validate {
        definition: params.text("definition")?.into(),
        kind: kind(params)?,
        severity: match params.optional_text("severity")? {
            Some("WARNING") => Severity::Warning,
            _ => Severity::Error,
        },
        limit: limit.unwrap_or(RESULTS_MAX) as usize,
    }))
}

/// `type`, `STANDARD` when absent.
pub(super) fn kind(params: &Params<'_>) -> Result<Kind, ApiError> {
    Ok(match params.optional_text("type")? {
        Some("EXPRESS") => Kind::Express,
        _ => Kind::Standard,
    })
}

/// The answer to ValidateStateMachineDefinition.
pub(super) fn validated(validate: &Validate, settings: &Settings) -> Json {
    let reachable = |name: &str| settings.outside.contains(name);
    let mut found = diagnosed(&validate.definition, validate.kind, &reachable);
    let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
    let result = if found.iter().any(is_error) { "FAIL" } else { "OK" };
    found.retain(|diagnostic| is_error(diagnostic) || validate.severity == Severity::Warning);
    let shown = found.iter().take(validate.limit).map(shown);
    Json::object([
        ("result", Json::from(result)),
        ("diagnostics", Json::array(shown)),
        ("truncated", Json::from(found.len() > validate.limit)),
    ])
}

fn shown(diagnostic: &Diagnostic) -> Json {
    let severity = match diagnostic.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
    };
    let mut members = vec![
        ("severity", Json::from(severity)),
        ("code", Json::from(diagnostic.code)),
        ("message", Json::from(diagnostic.message.as_str())),
    ];
    members.extend(diagnostic.location.as_deref().map(|place| ("location", Json::from(place))));
    Json::object(members)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TASK: &str = r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"RESOURCE","Parameters":{"x":"$.y"},"End":true}}}"#;

    fn answered(body: &str) -> Result<String, String> {
        let body = Json::parse(body).unwrap();
        match validate(&Params::new(&body, "ValidationException")) {
            Ok(Request::Validate(request)) => {
                Ok(validated(&request, &Settings::default()).to_text())
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.message),
        }
    }

    fn asked(definition: &str, more: &str) -> Result<String, String> {
        answered(&format!("{{\"definition\":{}{more}}}", Json::from(definition).to_text()))
    }

    #[test]
    fn express_refuses_whatever_waits() {
        for (resource, expected) in [
            (
                "arn:aws:states:::dynamodb:putItem.waitForTaskToken",
                "'.waitForTaskToken' service integration ",
            ),
            ("arn:aws:states:::states:startExecution.sync", "'.sync' service integration"),
            ("arn:aws:states:us-east-1:1:activity:a", "Activities"),
        ] {
            let text = TASK.replace("RESOURCE", resource);
            let expected =
                format!("Express state machine does not support {expected} at /States/A/Resource");
            let found: Vec<_> =
                diagnose(&text, Kind::Express).iter().map(ToString::to_string).collect();
            assert_eq!(found[0], format!("SCHEMA_VALIDATION_FAILED: {expected}"));
            assert!(accepted(&text, Kind::Express).unwrap_err().message.contains(&expected));
        }
        let text = TASK.replace("RESOURCE", "arn:aws:states:::dynamodb:putItem");
        assert!(accepted(&text, Kind::Express).is_ok());
    }

    #[test]
    fn distributed_maps_are_not_for_express_and_their_express_children_do_not_wait() {
        let map = r#"{"StartAt":"M","States":{"M":{"Type":"Map","End":true,"ItemProcessor":{
            "ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"A","States":{
            "A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem.waitForTaskToken","End":true}}}}}}"#;
        let machine = |kind| {
            let text = map.replace('\n', "");
            let maps = distributed(&text);
            assert_eq!(maps[0].at, "/States/M/ItemProcessor");
            assert!(maps[0].express);
            diagnose(&text, kind).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let waits = "does not support '.waitForTaskToken' service integration  at \
                     /States/M/ItemProcessor/States/A/Resource";
        assert!(machine(Kind::Standard).contains(waits) || machine(Kind::Standard).contains("yet"));
        assert!(machine(Kind::Express).contains("'DISTRIBUTED'"));
    }

    #[test]
    fn warnings_are_told_to_those_who_ask() {
        let text = TASK.replace("RESOURCE", "arn:aws:states:::dynamodb:putItem");
        let none = r#"{"result":"OK","diagnostics":[],"truncated":false}"#;
        assert_eq!(asked(&text, "").unwrap(), none);
        let told = asked(&text, r#","severity":"WARNING","type":"EXPRESS""#).unwrap();
        assert!(told.starts_with(
            r#"{"result":"OK","diagnostics":[{"severity":"WARNING","code":"NO_DOLLAR""#
        ));
    }

    #[test]
    fn no_more_are_told_than_wanted() {
        let told = asked(r#"{"A":1,"B":2,"StartAt":1,"States":2}"#, r#","maxResults":2"#).unwrap();
        assert_eq!(told.matches("\"code\"").count(), 2);
        assert!(told.ends_with(r#""truncated":true}"#));
    }
}
