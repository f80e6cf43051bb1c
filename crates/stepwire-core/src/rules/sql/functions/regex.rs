//! Regular expressions.

use ::regex::{Regex, RegexBuilder};

use super::text::bounded;
use super::{Call, Found};
use crate::rules::sql::eval::Facts;

/// The steps that compiling a pattern takes.
const PATTERN_STEPS: u32 = 2_000;

pub(super) fn matches(call: &Call<'_>) -> Found {
    let pattern = pattern(&call.text(1)?, call.facts)?;
    Some(pattern.is_match(&call.text(0)?).into())
}

pub(super) fn replace(call: &Call<'_>) -> Found {
    let (source, pattern) = (call.text(0)?, pattern(&call.text(1)?, call.facts)?);
    bounded(pattern.replace_all(&source, java_groups(&call.text(2)?)).into_owned())
}

pub(super) fn substr(call: &Call<'_>) -> Found {
    let source = call.text(0)?;
    Some(pattern(&call.text(1)?, call.facts)?.find(&source)?.as_str().to_owned().into())
}

/// A pattern, compiled once for all rows of a message.
fn pattern(source: &str, facts: &Facts<'_>) -> Option<Regex> {
    let mut known = facts.patterns.borrow_mut();
    if let Some(pattern) = known.get(source) {
        return pattern.clone();
    }
    if !facts.spend(PATTERN_STEPS) {
        return None;
    }
    let compiled = RegexBuilder::new(source).size_limit(1 << 20).build().ok();
    known.insert(source.to_owned(), compiled.clone());
    compiled
}

/// Java writes `$1` where the regex crate wants `${1}`.
fn java_groups(replacement: &str) -> String {
    let mut made = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' if chars.peek().is_some_and(char::is_ascii_digit) => {
                made.push_str("${");
                made.extend(chars.next());
                made.push('}');
            }
            '$' => made.push_str("$$"),
            '\\' => match chars.next() {
                Some('$') => made.push_str("$$"),
                Some(c) => made.push(c),
                None => {}
            },
            c => made.push(c),
        }
    }
    made
}
