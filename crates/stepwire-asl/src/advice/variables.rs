//! Variables that are read and never assigned.

use std::collections::BTreeSet;

use super::{Machine, State, strings};
use crate::diagnostic::{Diagnostic, Topic};

/// Functions of JSONata and of Step Functions, which can be passed on like variables.
const FUNCTIONS: &str = " abs append assert average base64decode base64encode boolean ceil clone \
    contains count decodeUrl decodeUrlComponent distinct each encodeUrl encodeUrlComponent error \
    eval exists filter floor formatBase formatInteger formatNumber fromMillis hash join keys length \
    lookup lowercase map match max merge millis min not now number pad parse parseInteger partition \
    power random range reduce replace reverse round shuffle sift single sort split spread sqrt \
    string substring substringAfter substringBefore sum toMillis trim type uppercase uuid zip ";

pub(super) fn warnings(machine: &Machine<'_>) -> Vec<Diagnostic> {
    let mut assigned = BTreeSet::new();
    machine.states().for_each(|state| assign(state, &mut assigned));
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for state in machine.states() {
        for (at, name) in read(state) {
            let known = assigned.contains(name.as_str());
            if !known && told.insert((state.at.clone(), name.clone())) {
                let message = format!("variable `${name}` is never assigned");
                let finding =
                    Diagnostic::warning(Topic::UnknownVariable, "UNKNOWN_VARIABLE", message, at);
                found.push(finding.did_you_mean(&name, assigned.iter().map(String::as_str)));
            }
        }
    }
    found
}

/// The variables that a state sets.
fn assign(state: &State<'_>, assigned: &mut BTreeSet<String>) {
    let entries = state.list("Catch").iter().chain(state.list("Choices"));
    let objects = entries.filter_map(|entry| entry.member("Assign"));
    for object in objects.chain(state.members.get("Assign")) {
        let names = object.as_object().into_iter().flatten();
        assigned.extend(names.map(|(name, _)| name.trim_end_matches(".$").to_owned()));
    }
}

/// The variables that a state's own expressions read, and where.
fn read(state: &State<'_>) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (name, value) in state.members {
        if !matches!(
            name.as_ref(),
            "Branches" | "ItemProcessor" | "Iterator" | "Comment" | "Result"
        ) {
            strings(value, &format!("{}/{}", state.at, super::escape(name)), &mut texts);
        }
    }
    texts.sort_by(|a, b| a.0.cmp(&b.0));
    texts
        .into_iter()
        .flat_map(|(at, name, text)| {
            let field = name.or_else(|| at.rsplit('/').next()).unwrap_or_default();
            let jsonata = text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}"));
            let names = match jsonata {
                Some(expression) if state.jsonata => in_jsonata(expression),
                None if !state.jsonata && computes(field) => in_jsonpath(text),
                _ => Vec::new(),
            };
            names.into_iter().map(|name| (at.clone(), name)).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a JSONPath state computes the value of a field.
fn computes(field: &str) -> bool {
    field.ends_with(".$") || field.ends_with("Path") || field == "Variable"
}

/// `$name` outside of quotes.
fn in_jsonpath(text: &str) -> Vec<String> {
    let names = dollars(text).into_iter().map(|dollar| dollar.name);
    names.filter(|name| !name.is_empty()).collect()
}

/// `$name` that is neither a function, nor bound in the expression, nor `$states`.
fn in_jsonata(text: &str) -> Vec<String> {
    let dollars = dollars(text);
    let bound = |name: &str| dollars.iter().any(|dollar| dollar.binds && dollar.name == name);
    let free = dollars.iter().filter(|dollar| {
        !dollar.name.is_empty()
            && !dollar.called
            && dollar.name != "states"
            && !bound(&dollar.name)
            && !FUNCTIONS.contains(&format!(" {} ", dollar.name))
    });
    free.map(|dollar| dollar.name.clone()).collect()
}

/// A `$` with the name behind it.
struct Dollar {
    name: String,
    /// `(` follows.
    called: bool,
    /// `:=` follows, or it is a parameter of a function or bound by `@` or `#`.
    binds: bool,
}

fn dollars(text: &str) -> Vec<Dollar> {
    let mut found = Vec::new();
    let (mut quote, mut parameters) = (None, false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), c) => {
                if c == open {
                    quote = None;
                }
            }
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(') => {
                let before = text[..at].trim_end();
                parameters |= before.ends_with("function") || before.ends_with('λ');
            }
            (None, ')') => parameters = false,
            (None, '$') => {
                let rest = &text[at + 1..];
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let name = &rest[..end.unwrap_or(rest.len())];
                let behind = rest[name.len()..].trim_start();
                let bound_to = text[..at].ends_with(['@', '#']);
                found.push(Dollar {
                    name: name.to_owned(),
                    called: behind.starts_with('('),
                    binds: behind.starts_with(":=") || parameters || bound_to,
                });
            }
            (None, _) => {}
        }
    }
    found
}
