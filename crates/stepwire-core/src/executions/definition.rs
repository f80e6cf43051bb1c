//! Definitions as the Step Functions API takes them: what is wrong with one, for a kind of state
//! machine and for what this stepwire carries out.

use std::sync::Arc;

use stepwire_asl::definition::{Pattern, Resource};
use stepwire_asl::{Diagnostic, Json, Severity, StateMachine, Topic, advice};

use super::request::{self, Request};
use crate::error::ApiError;
use crate::integrations;
use crate::params::Params;

/// Longest definition, bytes of UTF-8.
pub const DEFINITION_MAX: usize = 1_048_576;
/// Diagnostics in one answer.
const RESULTS_MAX: i64 = 100;
const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";

/// The `type` of a state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// `STANDARD`
    #[default]
    Standard,
    /// `EXPRESS`
    Express,
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
pub fn diagnose(text: &str, kind: Kind) -> Vec<Diagnostic> {
    let mut found = match StateMachine::parse(text) {
        Ok(machine) => refused(&machine, kind),
        Err(found) => found,
    };
    if let Ok(json) = Json::parse(text) {
        found.extend(advice::linted(&json));
    }
    found
}

/// The state machine that `text` defines, if it can be one of this kind here.
pub(super) fn accepted(text: &str, kind: Kind) -> Result<StateMachine, ApiError> {
    let found = match StateMachine::parse(text) {
        Ok(machine) => match refused(&machine, kind) {
            none if none.is_empty() => return Ok(machine),
            found => found,
        },
        Err(found) => found,
    };
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    let message = format!("Invalid State Machine Definition: '{}'", told.join(", "));
    Err(ApiError::new("InvalidDefinition", message))
}

/// What is well formed and cannot be carried out: one error for each task.
fn refused(machine: &StateMachine, kind: Kind) -> Vec<Diagnostic> {
    machine.tasks().filter_map(|(place, resource)| unfit(resource, kind, place)).collect()
}

fn unfit(resource: &Resource, kind: Kind, place: &str) -> Option<Diagnostic> {
    if kind == Kind::Express
        && let Some(message) = unfit_for_express(resource)
    {
        return Some(Diagnostic::error(SCHEMA, message, place).about(Topic::Express));
    }
    let why = integrations::supported(resource).err()?;
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
    params.only(&["definition", "type", "severity", "maxResults"])?;
    let definition = request::text_within(params, "definition", DEFINITION_MAX)?;
    if definition.is_empty() {
        let constraint = "Member must have length greater than or equal to 1";
        return Err(params.broken("definition", Some(""), constraint));
    }
    let severity = match params.optional_text("severity")? {
        None | Some("ERROR") => Severity::Error,
        Some("WARNING") => Severity::Warning,
        Some(other) => {
            return Err(request::unknown_word(params, "severity", other, &["ERROR", "WARNING"]));
        }
    };
    let limit = match params.optional_int("maxResults")? {
        None | Some(0) => RESULTS_MAX,
        Some(limit @ 1..=RESULTS_MAX) => limit,
        Some(other) => {
            let side =
                if other < 0 { "greater than or equal to 0" } else { "less than or equal to 100" };
            let constraint = format!("Member must have value {side}");
            return Err(params.broken("maxResults", Some(&other.to_string()), &constraint));
        }
    };
    Ok(Request::Validate(Validate {
        definition: definition.into(),
        kind: kind(params)?,
        severity,
        limit: limit as usize,
    }))
}

/// `type`, `STANDARD` when absent.
pub(super) fn kind(params: &Params<'_>) -> Result<Kind, ApiError> {
    match params.optional_text("type")? {
        None | Some("STANDARD") => Ok(Kind::Standard),
        Some("EXPRESS") => Ok(Kind::Express),
        Some(other) => Err(request::unknown_word(params, "type", other, &["STANDARD", "EXPRESS"])),
    }
}

/// The answer to ValidateStateMachineDefinition.
pub(super) fn validated(validate: &Validate) -> Json {
    let mut found = diagnose(&validate.definition, validate.kind);
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
            Ok(Request::Validate(request)) => Ok(validated(&request).to_text()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.message.to_string()),
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

    #[test]
    fn what_the_model_does_not_allow_is_refused() {
        for (more, part) in [
            (r#","maxResults":101"#, "less than or equal to 100"),
            (r#","maxResults":-1"#, "greater than or equal to 0"),
            (r#","severity":"HINT""#, "[ERROR, WARNING]"),
            (r#","type":"FAST""#, "[STANDARD, EXPRESS]"),
        ] {
            let refused = asked("{}", more).unwrap_err();
            assert!(refused.contains(part), "{refused}");
        }
        assert!(asked("", "").unwrap_err().contains("greater than or equal to 1"));
    }
}
