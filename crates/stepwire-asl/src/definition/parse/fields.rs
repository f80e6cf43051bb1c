//! Members of an object of the definition, checked as they are read.

use std::sync::Arc;

use super::{Parser, escape, schema, state};
use crate::Json;
use crate::definition::{QueryLanguage, Seconds};
use crate::diagnostic::{Diagnostic, Topic};
use crate::json::Object;
use crate::jsonata::{self, Expression};
use crate::path::{Path, ReferencePath};
use crate::template::{self, Template};

/// An object of the definition and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) members: &'a Object,
    pub(super) at: &'a str,
}

/// Members that are written in one query language only.
const JSONATA: &[&str] = &["Arguments", "Output", "Items", "Condition"];
const JSONPATH: &[&str] = &[
    "InputPath",
    "OutputPath",
    "ResultPath",
    "Parameters",
    "ResultSelector",
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "MaxConcurrencyPath",
    "MaxItemsPath",
    "MaxItemsPerBatchPath",
    "MaxInputBytesPerBatchPath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
    "ErrorPath",
    "CausePath",
    "Result",
    "Variable",
    "And",
    "Or",
    "Not",
];

impl Parser {
    /// Refuses members that are not among `known`, or belong to the other query language.
    pub(super) fn only(&mut self, node: Node<'_>, known: &[&str]) {
        let (ours, others, theirs) = match self.language {
            QueryLanguage::JsonPath => ("JSONPath", JSONATA, "JSONata"),
            QueryLanguage::Jsonata => ("JSONata", JSONPATH, "JSONPath"),
        };
        for name in node.members.keys().map(AsRef::as_ref) {
            let place = format!("{}/{}", node.at, escape(name));
            if others.contains(&name) {
                let message = format!(
                    "The QueryLanguage is set to '{ours}', but field '{name}' is only supported for the '{theirs}' QueryLanguage"
                );
                let finding = schema(message, node.at).about(Topic::QueryLanguage);
                self.errors.push(finding.at_key(place));
                continue;
            }
            if known.contains(&name) {
                continue;
            }
            let finding = schema(format!("Field '{name}' is not supported"), node.at)
                .about(Topic::UnknownField)
                .in_words(format!("field `{name}` is not supported here"))
                .did_you_mean(name, known.iter().copied());
            let owners = state::owners(name);
            let finding = match &finding.help.hint {
                None if !owners.is_empty() => {
                    finding.hint(format!("only states of type {} have it", owners.join(", ")))
                }
                _ => finding,
            };
            self.errors.push(finding.at_key(place));
        }
    }

    /// What the member `name` is called in the sentences of its state: `Retry[0]/X`.
    fn field(&self, node: Node<'_>, name: &str) -> String {
        let within = node.at.get(self.state_at.len()..).unwrap_or_default();
        format!("{within}/{name}").trim_start_matches('/').to_owned()
    }

    /// The expression that the member `name` is, in JSONata.
    pub(super) fn expression(&mut self, node: Node<'_>, name: &str) -> Option<Expression> {
        let text = node.members.get(name)?.as_str()?;
        if self.language != QueryLanguage::Jsonata {
            return None;
        }
        let source = jsonata::written_in(text)?;
        match Expression::compile(source, &self.field(node, name)) {
            Ok(expression) => Some(expression),
            Err(jsonata::Refused { code, message }) => {
                let place = format!("{}/{name}", node.at);
                self.errors.push(Diagnostic::error(code, message, place));
                None
            }
        }
    }

    /// Whether the member `name` is written as an expression.
    pub(super) fn is_expression(&self, node: Node<'_>, name: &str) -> bool {
        let text = node.members.get(name).and_then(Json::as_str);
        self.language == QueryLanguage::Jsonata && text.and_then(jsonata::written_in).is_some()
    }

    /// Refuses the object when some of `names` are missing.
    pub(super) fn required(&mut self, node: Node<'_>, names: &[&str]) -> bool {
        let missing: Vec<&str> =
            names.iter().copied().filter(|name| !node.members.contains_key(*name)).collect();
        if !missing.is_empty() {
            let message = format!("These fields are required: [{}]", missing.join(", "));
            let are = if missing.len() == 1 { "is" } else { "are" };
            let finding = schema(message, node.at)
                .about(Topic::MissingField)
                .in_words(format!("`{}` {are} missing", missing.join("` and `")));
            self.errors.push(finding.at_key(node.at));
        }
        missing.is_empty()
    }

    /// Refuses the object when more than one of `names` is there.
    pub(super) fn at_most_one(&mut self, node: Node<'_>, names: &[&str]) {
        let there = node.members.keys().filter(|name| names.contains(&name.as_ref()));
        let there: Vec<&str> = there.map(AsRef::as_ref).collect();
        if let [first, .., last] = there.as_slice() {
            let names = names.join(", ");
            let message = format!("There should only be one of the following fields: [{names}]");
            let finding = schema(message, node.at)
                .about(Topic::Conflict)
                .in_words(format!("`{first}` and `{last}` exclude one another"));
            self.errors.push(finding.at_key(format!("{}/{last}", node.at)));
        }
    }

    pub(super) fn text<'a>(&mut self, node: Node<'a>, name: &str) -> Option<&'a str> {
        self.typed(node, name, "String", Json::as_str)
    }

    pub(super) fn object<'a>(&mut self, node: Node<'a>, name: &str) -> Option<&'a Object> {
        self.typed(node, name, "Object", Json::as_object)
    }

    pub(super) fn array<'a>(&mut self, node: Node<'a>, name: &str) -> Option<&'a [Json]> {
        self.typed(node, name, "Array", Json::as_array)
    }

    pub(super) fn boolean(&mut self, node: Node<'_>, name: &str) -> Option<bool> {
        self.typed(node, name, "Boolean", Json::as_bool)
    }

    fn typed<'a, T>(
        &mut self,
        node: Node<'a>,
        name: &str,
        kind: &str,
        read: impl Fn(&'a Json) -> Option<T>,
    ) -> Option<T> {
        let value = node.members.get(name)?;
        let read = read(value);
        if read.is_none() {
            self.fail(format!("Expected value of type {kind}"), format!("{}/{name}", node.at));
        }
        read
    }

    pub(super) fn integer(
        &mut self,
        node: Node<'_>,
        name: &str,
        least: i64,
        most: i64,
    ) -> Option<i64> {
        let number = self.typed(node, name, "Integer", Json::as_i64)?;
        if number < least {
            self.fail(format!("Minimum value is {least}"), format!("{}/{name}", node.at));
        }
        if number > most {
            self.fail(format!("Maximum value is {most}"), format!("{}/{name}", node.at));
        }
        Some(number)
    }

    /// `name`, a whole number of at least `least`, or `namePath`.
    pub(super) fn seconds(&mut self, node: Node<'_>, name: &str, least: i64) -> Option<Seconds> {
        self.number(node, name, least, super::NUMBER_MAX)
    }

    /// The same, of at most `most`.
    pub(super) fn number(
        &mut self,
        node: Node<'_>,
        name: &str,
        least: i64,
        most: i64,
    ) -> Option<Seconds> {
        let by_path = format!("{name}Path");
        self.at_most_one(node, &[name, &by_path]);
        if node.members.contains_key(&*by_path) {
            return self.path(node, &by_path).map(Seconds::Path);
        }
        if self.is_expression(node, name) {
            return self.expression(node, name).map(Seconds::Expression);
        }
        self.integer(node, name, least, most).map(Seconds::Fixed)
    }

    pub(super) fn path(&mut self, node: Node<'_>, name: &str) -> Option<Path> {
        let text = self.text(node, name)?;
        let path = Path::parse(text).ok();
        if path.is_none() {
            self.not_a_path(&format!("{}/{name}", node.at));
        }
        path
    }

    fn not_a_path(&mut self, at: &str) {
        let finding = schema("Value is not a Reference Path", at).about(Topic::Expression);
        self.errors.push(finding.in_words("this is not a path such as `$.a.b`"));
    }

    /// `InputPath` or `OutputPath`: everything when absent, `None` for `null`.
    pub(super) fn data_path(&mut self, node: Node<'_>, name: &str) -> Option<Path> {
        match node.members.get(name) {
            Some(Json::Null) => None,
            Some(_) => self.path(node, name),
            None => Path::parse("$").ok(),
        }
    }

    /// `ResultPath`: everything when absent, `None` for `null`.
    pub(super) fn result_path(&mut self, node: Node<'_>) -> Option<ReferencePath> {
        let text = match node.members.get("ResultPath") {
            Some(Json::Null) => return None,
            Some(_) => self.text(node, "ResultPath")?,
            None => "$",
        };
        let path = ReferencePath::parse(text).ok();
        if path.is_none() {
            self.not_a_path(&format!("{}/ResultPath", node.at));
        }
        path
    }

    pub(super) fn template(&mut self, node: Node<'_>, name: &str) -> Option<Template> {
        let value = node.members.get(name)?;
        let compiled = match self.language {
            QueryLanguage::JsonPath => Template::compile(value),
            QueryLanguage::Jsonata => Template::jsonata(value, &self.field(node, name)),
        };
        match compiled {
            Ok(template) => Some(template),
            Err(errors) => {
                for template::Error { code, place, message } in errors {
                    let at = format!("{}/{name}{place}", node.at);
                    self.errors
                        .push(Diagnostic::error(code, message, &at).about(Topic::Expression));
                }
                None
            }
        }
    }

    /// `Assign`: names of variables and their values.
    pub(super) fn assign(&mut self, node: Node<'_>) -> Option<Template> {
        let names: Vec<Arc<str>> = self.object(node, "Assign")?.keys().map(Arc::clone).collect();
        for name in names {
            let path = self.language == QueryLanguage::JsonPath;
            let plain = name.strip_suffix(".$").filter(|_| path).unwrap_or(&name);
            let mut chars = plain.chars();
            let starts = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
            let named = starts && chars.all(|c| c.is_alphanumeric() || c == '_');
            if !named || plain == "states" || plain.chars().count() > super::NAME_MAX {
                let message = format!("'{plain}' is not a valid variable name");
                self.fail(message, format!("{}/Assign", node.at));
            }
        }
        self.template(node, "Assign")
    }
}
