//! What a target gets: the event, a part of it, or a template filled in with parts of it.
//!
//! Source: Amazon EventBridge user guide, "Amazon EventBridge input transformation".

use std::sync::Arc;

use stepwire_asl::path::Path;
use stepwire_asl::{Json, Timestamp};

use super::record::Input;

/// Most parts of a template.
pub(super) const PARTS_MAX: usize = 100;
/// Most bytes of a template.
pub(super) const TEMPLATE_MAX: usize = 8_192;

/// Who makes a target's input of what.
pub(super) struct Facts<'a> {
    /// The event as JSON.
    pub(super) event: &'a Json,
    /// ARN of the rule.
    pub(super) rule_arn: &'a str,
    /// Name of the rule.
    pub(super) rule: &'a str,
    /// When the event came.
    pub(super) at: Timestamp,
}

impl Input {
    /// What the target gets, as text.
    pub(super) fn of(input: Option<&Input>, facts: &Facts<'_>) -> Arc<str> {
        match input {
            None => facts.event.to_text().into(),
            Some(Input::Text(text)) => Arc::clone(text),
            Some(Input::Path(path)) => read(path, facts.event).unwrap_or_default().to_text().into(),
            Some(Input::Template { parts, text }) => {
                let value = |name: &str| facts.value(name, parts);
                fill(text, value).into()
            }
        }
    }
}

fn read(path: &str, event: &Json) -> Option<Json> {
    Path::parse(path).ok()?.read_from(event).ok()
}

impl Facts<'_> {
    /// What a name in a template stands for. `None`: nothing.
    fn value(&self, name: &str, parts: &[(Arc<str>, Arc<str>)]) -> Option<Json> {
        match name {
            "aws.events.rule-arn" => return Some(self.rule_arn.into()),
            "aws.events.rule-name" => return Some(self.rule.into()),
            "aws.events.event.ingestion-time" => return Some(self.at.rfc3339().into()),
            "aws.events.event.json" => return Some(self.event.clone()),
            // The event without what it says happened.
            "aws.events.event" => {
                let members = self.event.as_object()?.iter();
                let members = members.filter(|(name, _)| ***name != *"detail");
                let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
                return Some(Json::object(members));
            }
            _ => {}
        }
        let (_, path) = parts.iter().find(|(part, _)| **part == *name)?;
        read(path, self.event)
    }
}

/// A template with `<name>`s filled in: within quotes as text, else as JSON. A name without a value
/// is left out.
fn fill(template: &str, value: impl Fn(&str) -> Option<Json>) -> String {
    let (mut out, mut rest, mut quoted) = (String::new(), template, false);
    while let Some(c) = rest.chars().next() {
        if let Some((name, after)) = name_at(rest) {
            match (value(name), quoted) {
                (Some(value), false) => out.push_str(&value.to_text()),
                (Some(Json::String(text)), true) => out.push_str(&inside_quotes(&text)),
                (Some(value), true) => out.push_str(&inside_quotes(&value.to_text())),
                (None, true) => {}
                (None, false) => out.push_str("\"\""),
            }
            rest = after;
            continue;
        }
        let mut length = c.len_utf8();
        match c {
            '"' => quoted = !quoted,
            '\\' => length += rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The name that a text begins with, and what follows.
fn name_at(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(known)).then_some((name, after))
}

/// The names that a template has.
pub(super) fn names(template: &str) -> Vec<&str> {
    let starts = template.match_indices('<').map(|(at, _)| &template[at..]);
    starts.filter_map(|text| name_at(text).map(|(name, _)| name)).collect()
}

/// Text as it stands between the quotes of a JSON string.
fn inside_quotes(text: &str) -> String {
    let quoted = Json::from(text).to_text();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// Whether a path can be read from events.
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('$') && !text.starts_with("$$") && Path::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in() {
        let value = |name: &str| match name {
            "text" => Some(Json::from("a \"b\"")),
            "number" => Some(Json::from(3)),
            "object" => Json::parse(r#"{"x":[1]}"#).ok(),
            _ => None,
        };
        for (template, expected) in [
            ("\"<text> is <number>\"", r#""a \"b\" is 3""#),
            (
                r#"{"t": <text>, "n": <number>, "o": <object>}"#,
                r#"{"t": "a \"b\"", "n": 3, "o": {"x":[1]}}"#,
            ),
            (r#"{"t": "<text>", "o": "<object>"}"#, r#"{"t": "a \"b\"", "o": "{\"x\":[1]}"}"#),
            (r#"{"m": "<missing>", "n": <missing>}"#, r#"{"m": "", "n": ""}"#),
            (r#"{"q": "\"<number>\"", "l": "1 < 2"}"#, r#"{"q": "\"3\"", "l": "1 < 2"}"#),
        ] {
            assert_eq!(fill(template, value), expected, "{template}");
        }
    }
}
