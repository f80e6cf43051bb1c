//! Regular expressions of Java.
//!
//! What the linear engine can do, it does. Look-around, back-references, atomic groups and
//! possessive quantifiers take the other one, whose steps are bounded: a search that needs more is
//! Undefined, as is what is no pattern of Java.

mod java;

use std::collections::BTreeMap;

use java::Replacement;

use super::text::{TEXT_MAX, bounded};
use super::{Call, Found};

/// The steps that compiling a pattern takes.
const PATTERN_STEPS: u32 = 2_000;
/// The steps that a search takes which may go back.
const BACKTRACKING_STEPS: u32 = 10_000;
/// How often such a search may go back.
const BACKTRACKS_MAX: usize = 50_000;
/// Bytes of a compiled pattern.
const SIZE_MAX: usize = 1 << 20;

/// Patterns of an evaluation, by their text and whether the searched text ends a line; `None` for
/// those that are none.
pub(in crate::rules::sql) type Patterns = BTreeMap<(String, bool), Option<Pattern>>;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(in crate::rules::sql) enum Pattern {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

/// The places of a match, and of its groups.
type Places = Vec<Option<(usize, usize)>>;

pub(super) fn matches(call: &Call<'_>) -> Found {
    let text = call.text(0)?;
    Some((!Pattern::of(call, &text)?.first(call, &text)?.is_empty()).into())
}

pub(super) fn replace(call: &Call<'_>) -> Found {
    let text = call.text(0)?;
    let pattern = Pattern::of(call, &text)?;
    let replacement = Replacement::parse(&call.text(2)?, &pattern.names())?;
    let mut made = String::new();
    let mut after = 0;
    for places in pattern.all(call, &text)? {
        let (start, end) = (*places.first()?)?;
        made.push_str(text.get(after..start)?);
        replacement.write(&mut made, &text, &places);
        after = end;
        if made.len() > TEXT_MAX {
            return None;
        }
    }
    made.push_str(text.get(after..)?);
    bounded(made)
}

pub(super) fn substr(call: &Call<'_>) -> Found {
    let text = call.text(0)?;
    let found = Pattern::of(call, &text)?.first(call, &text)?;
    let (start, end) = (*found.first()?.first()?)?;
    Some(text.get(start..end)?.to_owned().into())
}

impl Pattern {
    /// The second argument, compiled once for all rows of a message.
    fn of(call: &Call<'_>, text: &str) -> Option<Pattern> {
        let ends_line = text.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        let key = (call.text(1)?, ends_line);
        let mut known = call.facts.patterns.borrow_mut();
        if let Some(pattern) = known.get(&key) {
            return pattern.clone();
        }
        if !call.facts.spend(PATTERN_STEPS) {
            return None;
        }
        let pattern = Pattern::compile(&key.0, ends_line);
        known.insert(key, pattern.clone());
        pattern
    }

    fn compile(source: &str, ends_line: bool) -> Option<Pattern> {
        let translated = java::translate(source, ends_line)?;
        if translated.goes_back {
            let mut builder = fancy_regex::RegexBuilder::new(&translated.text);
            builder.backtrack_limit(BACKTRACKS_MAX).delegate_size_limit(SIZE_MAX);
            return Some(Pattern::Backtracking(builder.build().ok()?));
        }
        let mut builder = regex::RegexBuilder::new(&translated.text);
        Some(Pattern::Linear(builder.size_limit(SIZE_MAX).build().ok()?))
    }

    /// The first match without its groups, if there is one; `None` when the steps are gone.
    fn first(&self, call: &Call<'_>, text: &str) -> Option<Vec<Places>> {
        let place = match self {
            Pattern::Linear(pattern) => {
                pattern.find(text).map(|found| (found.start(), found.end()))
            }
            Pattern::Backtracking(pattern) => {
                call.facts.spend(BACKTRACKING_STEPS).then_some(())?;
                pattern.find(text).ok()?.map(|found| (found.start(), found.end()))
            }
        };
        Some(place.into_iter().map(|place| vec![Some(place)]).collect())
    }

    /// All matches; `None` when the steps are gone.
    fn all(&self, call: &Call<'_>, text: &str) -> Option<Vec<Places>> {
        match self {
            Pattern::Linear(pattern) => {
                let place = |group: Option<regex::Match<'_>>| Some((group?.start(), group?.end()));
                // each match takes a step for each of its groups
                let groups = u32::try_from(pattern.captures_len()).ok()?;
                let found = pattern.captures_iter(text).map(|found| {
                    call.facts.spend(groups).then(|| found.iter().map(place).collect())
                });
                found.collect()
            }
            Pattern::Backtracking(pattern) => {
                let place =
                    |group: Option<fancy_regex::Match<'_>>| Some((group?.start(), group?.end()));
                let mut all = Vec::new();
                for groups in pattern.captures_iter(text) {
                    call.facts.spend(BACKTRACKING_STEPS).then_some(())?;
                    all.push(groups.ok()?.iter().map(place).collect());
                }
                Some(all)
            }
        }
    }

    /// The names of its groups, with that of the whole first.
    fn names(&self) -> Vec<Option<&str>> {
        match self {
            Pattern::Linear(pattern) => pattern.capture_names().collect(),
            Pattern::Backtracking(pattern) => pattern.capture_names().collect(),
        }
    }
}
