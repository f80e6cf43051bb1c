//! Testing a rule: what it would make of a message, and why it does not match. Nothing is done.

mod filter;
mod json;
mod plan;
mod sample;
mod sources;
mod text;

use std::sync::Arc;

use stepwire_asl::Json;

pub use plan::Planned;
pub use sample::Sample;
pub use sources::Sources;

use super::request::compile_new;
use super::sql::{self, Facts, Outside, Statement, Trace, Value, Version, brief, kind};
use crate::error::ApiError;
use crate::message::Message;
use crate::settings::Settings;

/// A rule that is tried on messages, stored or not.
#[derive(Debug)]
pub struct Tested {
    name: Option<Arc<str>>,
    statement: Statement,
    /// `topicRulePayload`, checked.
    payload: Json,
    disabled: bool,
}

/// CreateTopicRule would refuse the rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// With what.
    pub error: ApiError,
    /// Where in the statement, when that is what is wrong.
    pub place: Option<Box<sql::Error>>,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Refused {
        Refused { error, place: None }
    }
}

/// Whether a topic filter takes a topic.
pub fn takes(filter: &str, topic: &str) -> bool {
    filter::fault(filter, topic).is_none()
}

/// What a rule would make of a message, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Whether its actions would be carried out.
    pub matches: bool,
    /// Why, in one sentence.
    pub sentence: String,
    /// The topic of the message.
    pub topic: Arc<str>,
    /// The topic filter of the statement.
    pub filter: Option<Arc<str>>,
    /// Why that does not take the topic.
    pub filter_fault: Option<String>,
    /// What the statement makes of the message, whether or not the filter takes it.
    pub trace: Trace,
    /// What the actions would do, if the rule matches.
    pub actions: Vec<Planned>,
    /// What the rule's error action would do, if some of them fail.
    pub error_action: Option<Planned>,
    /// What may not be what was meant.
    pub warnings: Vec<String>,
}

impl Explanation {
    /// Whether the rule matches, and one of its actions fails.
    pub fn fails(&self) -> bool {
        self.actions.iter().any(|planned| planned.would.is_err())
    }
}

impl Tested {
    /// The rule that a `topicRulePayload` writes. Basic Ingest calls it by its name, if it has one.
    pub fn new(name: Option<Arc<str>>, payload: &Json) -> Result<Tested, Refused> {
        if let Some(place) = fault(payload) {
            let error = ApiError::new("SqlParseException", place.to_string());
            return Err(Refused { error, place: Some(Box::new(place)) });
        }
        let (statement, ..) = compile_new(payload)?;
        let (payload, disabled) = (payload.clone(), super::is_disabled(payload));
        Ok(Tested { name, statement, payload, disabled })
    }

    /// The rule of a statement alone, in version 2016-03-23 unless another is named.
    pub fn of_statement(text: &str, version: Option<&str>) -> Result<Tested, Refused> {
        Tested::new(None, &statement_alone(text, version))
    }

    /// What its statement does that AWS's reference does not know, or that is perhaps not meant.
    pub fn warnings(&self) -> &[sql::Error] {
        &self.statement.warnings
    }

    /// The topic filter of its statement.
    pub fn filter(&self) -> Option<&str> {
        self.statement.from.as_deref()
    }

    /// How many actions it has.
    pub fn action_count(&self) -> usize {
        self.payload.member("actions").and_then(Json::as_array).map_or(0, <[Json]>::len)
    }

    /// What it would make of `message`. Pure and total; the time it takes is bounded.
    pub fn explain(
        &self,
        message: &Message,
        settings: &Settings,
        sources: &Sources<'_>,
    ) -> Explanation {
        let explain = |outside: &dyn Outside| self.explain_with(message, settings, outside);
        let (mut explanation, notes) = sources.answer(settings, explain);
        explanation.warnings.extend(notes);
        explanation
    }

    fn explain_with(
        &self,
        message: &Message,
        settings: &Settings,
        outside: &dyn Outside,
    ) -> Explanation {
        let parsed = Json::parse_bytes(&message.payload);
        let payload = parsed.as_ref().ok();
        let salt = message.at.0 as u64;
        let facts = || Facts::new(message, payload, settings, salt).asking(outside);
        let trace = self.statement.explain(&facts);
        let filter_fault = self.filter_fault(&message.topic);
        let matches = filter_fault.is_none() && trace.holds && !self.disabled;
        let mut warnings = self.doubts();
        warnings.extend(doubts(&trace));
        if let Err(error) = &parsed {
            warnings.push(format!(
                "the payload is not JSON, so names are Undefined and `*` is its bytes: {error}"
            ));
        }
        let (actions, error_action) = if matches {
            self.plans(&facts(), &facts(), &trace.result)
        } else {
            (Vec::new(), None)
        };
        let sentence = self.sentence(filter_fault.as_deref(), &trace, &actions);
        Explanation {
            matches,
            sentence,
            topic: Arc::clone(&message.topic),
            filter: self.statement.from.clone(),
            filter_fault,
            trace,
            actions,
            error_action,
            warnings,
        }
    }

    fn doubts(&self) -> Vec<String> {
        let told = self.statement.warnings.iter().map(|doubt| {
            let hint = doubt.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
            format!("{}{hint} (line {} column {})", doubt.message, doubt.line, doubt.column)
        });
        told.collect()
    }

    /// Why the rule does not hear of messages on `topic`.
    fn filter_fault(&self, topic: &str) -> Option<String> {
        let Some(rest) = topic.strip_prefix("$aws/rules/") else {
            return match &self.statement.from {
                Some(filter) => filter::fault(filter, topic),
                None => Some("without FROM only Basic Ingest reaches the rule".to_owned()),
            };
        };
        // Basic Ingest names its rule, whatever its filter.
        let named = rest.split('/').next().unwrap_or_default();
        let other = self.name.as_deref().is_some_and(|name| name != named);
        other.then(|| format!("by Basic Ingest the message goes to rule `{named}` alone"))
    }

    fn sentence(&self, filter_fault: Option<&str>, trace: &Trace, actions: &[Planned]) -> String {
        if self.disabled {
            return "it does not match: the rule is disabled".to_owned();
        }
        if let Some(fault) = filter_fault {
            return format!("it does not match: {fault}");
        }
        if !trace.holds {
            return format!("it does not match: {}", failed_condition(trace));
        }
        match actions
            .iter()
            .find_map(|planned| Some((&planned.kind, planned.would.as_ref().err()?)))
        {
            Some((kind, why)) => format!("it matches, but action `{kind}` fails: {why}"),
            None if trace.result == Value::Undefined => {
                "it matches, but SELECT gives nothing: its value is Undefined".to_owned()
            }
            None => "it matches".to_owned(),
        }
    }
}

/// The `topicRulePayload` of a statement alone, in version 2016-03-23 unless another is named.
pub fn statement_alone(text: &str, version: Option<&str>) -> Json {
    let version = version.unwrap_or_else(|| Version::V2016.name());
    Json::object([
        ("sql", Json::from(text)),
        ("actions", Json::array([])),
        ("awsIotSqlVersion", version.into()),
    ])
}

/// What is wrong with the statement of a rule, and where.
fn fault(payload: &Json) -> Option<sql::Error> {
    let version = match payload.member("awsIotSqlVersion").and_then(Json::as_str) {
        Some(name) => Version::named(name)?,
        None => Version::V2015,
    };
    Statement::parse(payload.member("sql")?.as_str()?, version).err()
}

/// Why `WHERE` does not hold.
fn failed_condition(trace: &Trace) -> String {
    let Some(condition) = &trace.condition else { return "WHERE does not hold".to_owned() };
    match &condition.value {
        Some(Value::Json(Json::Bool(_)) | Value::Undefined) | None => {
            format!("WHERE does not hold: {}", condition.blame())
        }
        Some(value) => {
            format!(
                "WHERE gave {}, which is {}: it must be exactly true",
                brief(value),
                kind(value)
            )
        }
    }
}

fn doubts(trace: &Trace) -> Vec<String> {
    let mut warnings = Vec::new();
    for picked in &trace.items {
        let name = picked.name.as_deref().unwrap_or("VALUE");
        if picked.replaced {
            warnings.push(format!("a later item of SELECT replaces `{name}`"));
        }
        if name == "''" {
            let sql = &picked.part.sql;
            warnings.push(format!("`{sql}` has no name, so its member is ``: give it one with AS"));
        }
    }
    if trace.exhausted {
        let why =
            "the statement takes more steps than an evaluation may: what came then is Undefined";
        warnings.push(why.to_owned());
    }
    if trace.shortened {
        warnings.push("not every part is shown: there are too many".to_owned());
    }
    warnings
}
