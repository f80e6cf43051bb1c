//! One topic rule, examined and tried on messages.

mod file;
mod yaml;

use std::ops::Range;

use annotate_snippets::{Group, Level, Renderer};
use serde_json::json;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::rules::evaluate::{
    Explanation, Refused, Sample, Sources, Tested, statement_alone,
};
use stepwire_core::{ApiError, Settings};

pub(super) use file::rules_in;

use super::render::{counted, snippet};

/// A rule that was found in a file or on the command line.
#[derive(Debug)]
pub(super) struct Given {
    /// Where, as it is shown.
    pub(super) name: String,
    /// Its `ruleName`, if it says.
    pub(super) rule: Option<String>,
    /// Its `topicRulePayload`.
    pub(super) payload: Json,
}

/// A rule, what CreateTopicRule would say of it, and what it makes of messages.
#[derive(Debug)]
pub(super) struct Examined {
    name: String,
    outcome: Result<(Tested, Vec<Explanation>), Faulty>,
}

/// What is wrong with a rule.
#[derive(Debug)]
struct Faulty {
    code: String,
    message: String,
    hint: Option<String>,
    /// The statement and the bytes of it that are wrong.
    place: Option<(String, Range<usize>)>,
}

impl Given {
    /// The rule of a bare statement, in version 2016-03-23.
    pub(super) fn statement(name: &str, sql: &str) -> Given {
        Given { name: name.to_owned(), rule: None, payload: statement_alone(sql, None) }
    }

    /// The same rule in another version of the language.
    pub(super) fn in_version(mut self, version: Option<&str>) -> Given {
        if let (Some(version), Json::Object(members)) = (version, &self.payload) {
            let mut members = (**members).clone();
            members.insert("awsIotSqlVersion".into(), version.into());
            self.payload = Json::Object(members.into());
        }
        self
    }

    /// What CreateTopicRule would say of it, and what it makes of `samples`. An error is about a
    /// message.
    pub(super) fn examine(self, samples: &[Sample]) -> Result<Examined, ApiError> {
        let Given { name, rule, payload } = self;
        let tested = match Tested::new(rule.map(Into::into), &payload) {
            Ok(tested) => tested,
            Err(refused) => {
                return Ok(Examined { name, outcome: Err(Faulty::of(refused, &payload)) });
            }
        };
        let (settings, now) = (Settings::default(), jiff::Timestamp::now().as_millisecond());
        let explained = samples.iter().map(|sample| {
            let message = sample.clone().message(Timestamp(now), &settings)?;
            Ok(tested.explain(&message, &settings, &Sources::default()))
        });
        let explained = explained.collect::<Result<Vec<_>, ApiError>>()?;
        Ok(Examined { name, outcome: Ok((tested, explained)) })
    }
}

impl Faulty {
    fn of(refused: Refused, payload: &Json) -> Faulty {
        let code = refused.error.code.to_string();
        let Some(place) = refused.place else {
            let message = refused.error.message;
            let (message, hint) = match message.split_once("\nhint: ") {
                Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
                None => (message, None),
            };
            return Faulty { code, message, hint, place: None };
        };
        let sql = payload.member("sql").and_then(Json::as_str).unwrap_or_default();
        let at = bytes_at(sql, place.line, place.column);
        Faulty { code, message: place.message, hint: place.hint, place: Some((sql.to_owned(), at)) }
    }
}

/// The word or sign at a line and column, as bytes.
fn bytes_at(text: &str, line: usize, column: usize) -> Range<usize> {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let start = rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at) + before;
    let rest = &text[start..];
    let word =
        rest.find(|c: char| !c.is_alphanumeric() && !"_@$".contains(c)).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    start..start + word.max(first)
}

impl Examined {
    pub(super) fn is_malformed(&self) -> bool {
        self.outcome.is_err()
    }

    /// Messages that it does not match.
    pub(super) fn unmatched(&self) -> usize {
        match &self.outcome {
            Ok((_, explained)) => explained.iter().filter(|told| !told.matches).count(),
            Err(_) => 0,
        }
    }

    /// Messages that it matches and for which an action fails.
    pub(super) fn failing(&self) -> usize {
        match &self.outcome {
            Ok((_, explained)) => explained.iter().filter(|told| told.fails()).count(),
            Err(_) => 0,
        }
    }

    /// What is wrong, with its line, or what it makes of each message, and a line that sums up.
    pub(super) fn told(&self, colored: bool) -> String {
        match &self.outcome {
            Ok((tested, explained)) => {
                let told = explained.iter().map(|told| format!("{}: {told}\n\n", self.name));
                let doubts = tested.warnings().iter().map(|doubt| format!("warning: {doubt}\n\n"));
                // What is told of a message has them too.
                let doubts = doubts.filter(|_| explained.is_empty());
                let told: String = doubts.chain(told).collect();
                let actions = counted(tested.action_count(), "action");
                format!("{told}{}: {actions}: {}", self.name, self.summary())
            }
            Err(faulty) => {
                format!("{}\n\n{}: 1 error", faulty.told(&self.name, colored), self.name)
            }
        }
    }

    fn summary(&self) -> String {
        let Ok((_, explained)) = &self.outcome else { return String::new() };
        match (explained.len(), self.failing()) {
            (_, 0) => {}
            (1, _) => return "it matches, but an action fails".to_owned(),
            (all, failing) => return format!("an action fails for {failing} of {all} messages"),
        }
        match (explained.len(), self.unmatched()) {
            (0, _) => "fine".to_owned(),
            (1, 0) => "fine, it matches".to_owned(),
            (all, 0) => format!("fine, it matches all {all} messages"),
            (1, _) => "fine, it does not match".to_owned(),
            (all, none) => format!("fine, it does not match {none} of {all} messages"),
        }
    }
}

impl Faulty {
    fn told(&self, name: &str, colored: bool) -> String {
        let renderer = if colored { Renderer::styled() } else { Renderer::plain() };
        let title = Level::ERROR.primary_title(self.message.as_str());
        let mut report = vec![match &self.place {
            Some((sql, at)) => title.element(snippet(name, sql, at, None, &[])),
            None => Group::with_title(title),
        }];
        if let Some(hint) = &self.hint {
            let title = Level::HELP.with_name("hint").secondary_title(hint.as_str());
            report.push(Group::with_title(title));
        }
        renderer.render(&report)
    }

    fn json(&self) -> serde_json::Value {
        let place = self.place.as_ref().map(|(sql, at)| {
            let lines = stepwire_asl::source::Lines::of(sql);
            let (line, column) = lines.place(at.start);
            json!({ "line": line, "column": column })
        });
        json!({
            "severity": "error",
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "start": place,
        })
    }
}

/// What is said of all rules, as one JSON array: `rule`, `errors`, `warnings`, and of each message what the
/// rule tester of a node says.
pub(super) fn json(rules: &[Examined]) -> String {
    let told = rules.iter().map(|examined| match &examined.outcome {
        Ok((tested, explained)) => {
            let doubts = tested.warnings().iter().map(|doubt| {
                json!({
                    "message": doubt.message,
                    "hint": doubt.hint,
                    "start": { "line": doubt.line, "column": doubt.column },
                })
            });
            let doubts: Vec<_> = doubts.collect();
            let messages = explained.iter().map(|told| serde_json::to_value(told.to_json()));
            let messages: Vec<_> = messages.map(Result::unwrap_or_default).collect();
            json!({
                "rule": examined.name, "errors": [], "warnings": doubts, "messages": messages
            })
        }
        Err(faulty) => {
            json!({
                "rule": examined.name, "errors": [faulty.json()], "warnings": [], "messages": []
            })
        }
    });
    format!("{:#}", serde_json::Value::Array(told.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_word_there() {
        let sql = "SELECT *\nFROM 'ä' WERE x";
        assert_eq!(&sql[bytes_at(sql, 2, 10)], "WERE");
        assert_eq!(&sql[bytes_at(sql, 2, 6)], "'");
        assert_eq!(bytes_at(sql, 2, 16), sql.len()..sql.len());
        assert_eq!(bytes_at(sql, 9, 9), sql.len()..sql.len());
    }
}
