//! What looks like a path and is none: the warnings of ValidateStateMachineDefinition.

use super::{State, strings};
use crate::diagnostic::{Diagnostic, Topic};
use crate::path::Path;

pub(super) fn warnings(state: &State<'_>) -> Vec<Diagnostic> {
    if state.jsonata {
        return Vec::new();
    }
    let mut found = Vec::new();
    for name in ["Parameters", "ResultSelector", "ItemSelector", "Assign"] {
        for (at, key, text) in below(state, name) {
            // An item of an array cannot be computed by itself, whatever it is called.
            let plain = key.is_some_and(|key| !key.ends_with(".$")) && !at.ends_with(']');
            if plain && looks_computed(text) {
                let message =
                    "No .$ on a field that appears to be a JSONPath or Intrinsic Function.";
                let finding = Diagnostic::warning(Topic::NoDollar, "NO_DOLLAR", message, &at);
                let key = key.unwrap_or_default();
                found.push(
                    finding
                        .in_words(format!("`{text}` is passed on as plain text"))
                        .hint(format!("write `\"{key}.$\"` if it is to be computed"))
                        .at_key(at),
                );
            }
        }
    }
    let fields = ["Error", "Cause"].into_iter().flat_map(|name| below(state, name));
    let compared = below(state, "Choices").into_iter().filter(|(_, name, _)| {
        name.is_some_and(|name| name.starts_with("String") && !name.ends_with("Path"))
    });
    for (at, name, text) in fields.chain(compared).filter(|(_, _, text)| looks_like_path(text)) {
        let message = "Field value looks like a path, but field name does not end with 'Path'.";
        let name = name.or_else(|| at.rsplit('/').next()).unwrap_or_default();
        let words = format!("`{name}` does not read `{text}`: it is plain text");
        let hint = format!("write `{name}Path`");
        let finding = Diagnostic::warning(Topic::NoPath, "NO_PATH", message, &at);
        found.push(finding.in_words(words).hint(hint));
    }
    if state.is("Pass") {
        for (at, key, text) in below(state, "Result") {
            if looks_computed(text) || key.is_some_and(|key| key.ends_with(".$")) {
                let message = "Attempt to use a path in the result of a pass state.";
                let topic = Topic::StaticResult;
                let finding = Diagnostic::warning(topic, "PASS_RESULT_IS_STATIC", message, at);
                found.push(
                    finding
                        .in_words(format!("`Result` does not read `{text}`: it is plain text"))
                        .hint("compute values in `Parameters`"),
                );
            }
        }
    }
    found
}

fn below<'a>(state: &State<'a>, name: &str) -> Vec<(String, Option<&'a str>, &'a str)> {
    let mut found = Vec::new();
    if let Some(value) = state.members.get(name) {
        strings(value, &format!("{}/{name}", state.at), &mut found);
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn looks_like_path(text: &str) -> bool {
    let begins = ["$.", "$[", "$$.", "$$["].into_iter().any(|start| text.starts_with(start));
    begins && Path::parse(text).is_ok()
}

fn looks_computed(text: &str) -> bool {
    let call = text.strip_prefix("States.").is_some_and(|call| {
        call.contains('(') && call.ends_with(')') && call.starts_with(|c: char| c.is_uppercase())
    });
    call || looks_like_path(text)
}
