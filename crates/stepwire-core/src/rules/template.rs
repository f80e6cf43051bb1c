//! Substitution templates: `${expression}` in the fields of actions.

use std::sync::Arc;

use stepwire_asl::Json;

use super::sql::{Asks, Expression, Facts, Statement, Version};

/// Text with expressions in it. Expressions see the original payload and the variables of the rule's
/// statement, never its aliases.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Expression(Expression, String),
}

impl Template {
    /// The template that `text` writes; else what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        Template::parse_in(text, Version::default())
    }

    /// The same in the language of `version`.
    fn parse_in(text: &str, version: Version) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            let inner = &rest[at + 2..];
            let end = closing(inner).ok_or_else(|| format!("`{text}`: `${{` is not closed"))?;
            let begin = text.len() - inner.len();
            let expression = Expression::parse_stored(&inner[..end], version)
                .map_err(|error| error.within(text, begin).to_string())?;
            parts.push(Part::Expression(expression, inner[..end].to_owned()));
            rest = &inner[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template(parts))
    }

    /// Whom it may ask when it is evaluated.
    pub fn asks(&self) -> Asks {
        self.expressions().map(Expression::asks).fold(Asks::default(), Asks::and)
    }

    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Expression(expression, _) => Some(expression),
        })
    }

    /// The text it makes of a message; else which expression has no value.
    pub fn text(&self, facts: &Facts<'_>) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Expression(expression, source) => match expression.value(facts).into_text() {
                    Some(value) => text.push_str(&value),
                    None => return Err(format!("`${{{source}}}` has no value for this message")),
                },
            }
        }
        Ok(text)
    }
}

/// Whether the templates in an action are written in the version of the statement and read only
/// variables that it has; else what is wrong.
pub(super) fn check(action: Option<&Json>, statement: &Statement) -> Result<(), String> {
    match action {
        Some(Json::String(text)) if text.contains("${") => {
            // What is no template is refused where its field is read.
            let Ok(template) = Template::parse(text) else { return Ok(()) };
            let variables = template.expressions().flat_map(Expression::variables);
            if let Some(name) = { variables }.find(|name| !statement.has_variable(name)) {
                return Err(format!("in `{text}`: variable `{name}` is not set"));
            }
            Template::parse_in(text, statement.version).map(drop)
        }
        Some(Json::Array(items)) => items.iter().try_for_each(|item| check(Some(item), statement)),
        Some(Json::Object(members)) => {
            members.values().try_for_each(|value| check(Some(value), statement))
        }
        _ => Ok(()),
    }
}

/// The names in templates of an action whose expressions have no value for a message.
pub(super) fn without_value(action: &Json, facts: &Facts<'_>) -> Vec<Arc<str>> {
    match action {
        Json::String(text) if text.contains("${") => {
            let Ok(template) = Template::parse(text) else { return Vec::new() };
            let missing = |of: &&Expression| of.value(facts).into_text().is_none();
            template.expressions().filter(missing).flat_map(Expression::names).collect()
        }
        Json::Array(items) => items.iter().flat_map(|of| without_value(of, facts)).collect(),
        Json::Object(members) => members.values().flat_map(|of| without_value(of, facts)).collect(),
        _ => Vec::new(),
    }
}

/// Whether every call in the templates of an action has the role that it needs; else what is wrong.
pub(super) fn roles(action: Option<&Json>) -> Result<(), String> {
    match action {
        Some(Json::String(text)) if text.contains("${") => {
            let Ok(template) = Template::parse(text) else { return Ok(()) };
            let no_role = template.expressions().find_map(|of| of.roles().err());
            let Some(error) = no_role else { return Ok(()) };
            let hint = error.hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            Err(format!("in `{text}`: {}{hint}", error.message))
        }
        Some(Json::Array(items)) => items.iter().try_for_each(|item| roles(Some(item))),
        Some(Json::Object(members)) => members.values().try_for_each(|value| roles(Some(value))),
        _ => Ok(()),
    }
}

/// Whom the templates in an action may ask, by themselves and by the variables that they read.
pub(super) fn asks(action: &Json, statement: &Statement) -> Asks {
    let within = |value: &Json| asks(value, statement);
    match action {
        Json::String(text) if text.contains("${") => Template::parse(text).map_or_else(
            |_| Asks::default(),
            |template| {
                let variables = template.expressions().flat_map(Expression::variables);
                let asked = variables.map(|name| statement.asks_for(&name));
                asked.fold(template.asks(), Asks::and)
            },
        ),
        Json::Array(items) => items.iter().map(within).fold(Asks::default(), Asks::and),
        Json::Object(members) => members.values().map(within).fold(Asks::default(), Asks::and),
        _ => Asks::default(),
    }
}

/// Where the `}` is that closes an expression: not one in a string or an object.
fn closing(text: &str) -> Option<usize> {
    let (mut open, mut quote) = (0, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(begun), c) => quote = (c != begun).then_some(begun),
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => open += 1,
            (None, '}') if open == 0 => return Some(at),
            (None, '}') => open -= 1,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use stepwire_asl::{Json, Timestamp};

    use super::*;
    use crate::message::Message;
    use crate::settings::Settings;

    /// What a template makes of a message on `devices/22/data`.
    fn text(template: &str, payload: &str) -> Result<String, String> {
        let message = Message::service("devices/22/data", payload.to_owned(), Timestamp(0));
        let (json, settings) = (Json::parse(payload).ok(), Settings::default());
        Template::parse(template)?.text(&Facts::new(&message, json.as_ref(), &settings, 1))
    }

    #[test]
    fn expressions_are_replaced_by_what_they_are_for_the_message() {
        for (template, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("plain/$$aws/$x", "plain/$$aws/$x"),
            ("${topic()}/republish", "devices/22/data/republish"),
            ("${topic(2)}-${t + 1}", "22-6"),
            ("${cast(topic(2) AS DECIMAL)}", "22"),
            ("${replace(topic(), '/', '}')}!", "devices}22}data!"),
            ("${get({'a': {'b': 1}}, \"a\").b}", "1"),
            ("${o}", r#"{"a":"x"}"#),
        ] {
            let found = text(template, r#"{"t":5,"o":{"a":"x"}}"#);
            assert_eq!(found.as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_has_no_value_or_is_no_template_is_said() {
        for (template, why) in [
            ("a/${nowhere}", "`${nowhere}` has no value for this message"),
            ("${null}", "`${null}` has no value for this message"),
            ("${a", "`${a`: `${` is not closed"),
            ("${'}", "`${'}`: `${` is not closed"),
            ("${}", "expected a value at line 1 column 3\n${}\n  ^"),
            ("${nope()}", "unknown function `nope` at line 1 column 3"),
            ("ä${a}${1 +}", "expected a value at line 1 column 11\nä${a}${1 +}\n          ^"),
            ("a\nb ${1\n +}", "expected a value at line 3 column 3\n +}\n  ^"),
        ] {
            let refused = text(template, "{}").unwrap_err();
            assert!(refused.starts_with(why), "{refused}");
        }
    }
}
