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

/// The steps that compiling a pattern of the least size takes; a larger one takes more in proportion.
const PATTERN_STEPS: u64 = 2_000;
/// The steps that a search takes which may go back.
const BACKTRACKING_STEPS: u32 = 10_000;
/// How often such a search may go back.
const BACKTRACKS_MAX: usize = 50_000;
/// Bytes of a compiled pattern: the least size within these is what a search is charged by, since
/// the worst of them looks at all of a pattern for each byte of the text.
const SIZES: [usize; 4] = [1 << 14, 1 << 16, 1 << 18, 1 << 20];
/// Bytes of text times bytes of pattern that a search does in a step.
const SEARCH_PER_STEP: u64 = 1 << 15;
/// The same of each further match: the engine is rarely at its worst again.
const NEXT_PER_STEP: u64 = 1 << 27;

/// Patterns of an evaluation, by their text and whether the searched text ends a line; `None` for
/// those that are none.
pub(in crate::rules::sql) type Patterns = BTreeMap<(String, bool), Option<Pattern>>;

/// A compiled pattern, and the size it has at most.
#[derive(Debug, Clone)]
pub(in crate::rules::sql) struct Pattern {
    engine: Engine,
    size: u64,
}

#[derive(Debug, Clone)]
enum Engine {
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

fn steps(many: u64) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
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
        if !call.facts.spend(steps(PATTERN_STEPS)) {
            return None;
        }
        let pattern = Pattern::compile(&key.0, ends_line);
        let size = pattern.as_ref().map_or(SIZES[0] as u64, |pattern| pattern.size);
        if !call.facts.spend(steps(PATTERN_STEPS * (size / SIZES[0] as u64 - 1))) {
            return None;
        }
        known.insert(key, pattern.clone());
        pattern
    }

    fn compile(source: &str, ends_line: bool) -> Option<Pattern> {
        let translated = java::translate(source, ends_line)?;
        let within = |size: usize| {
            if translated.goes_back {
                let mut builder = fancy_regex::RegexBuilder::new(&translated.text);
                builder.backtrack_limit(BACKTRACKS_MAX).delegate_size_limit(size);
                return Some(Engine::Backtracking(builder.build().ok()?));
            }
            let mut builder = regex::RegexBuilder::new(&translated.text);
            Some(Engine::Linear(builder.size_limit(size).build().ok()?))
        };
        SIZES.iter().find_map(|size| Some(Pattern { engine: within(*size)?, size: *size as u64 }))
    }

    /// Pays for a search of all of `text`.
    fn begin(&self, call: &Call<'_>, text: &str) -> Option<()> {
        let search = text.len() as u64 * self.size / SEARCH_PER_STEP;
        let back = match self.engine {
            Engine::Linear(_) => 0,
            Engine::Backtracking(_) => BACKTRACKING_STEPS,
        };
        call.facts.spend(steps(search).saturating_add(back)).then_some(())
    }

    /// Pays for the search that goes on behind a match that begins at `start` and has this many groups.
    fn go_on(&self, call: &Call<'_>, text: &str, start: usize, groups: usize) -> Option<()> {
        let search = text.len().saturating_sub(start) as u64 * self.size / NEXT_PER_STEP;
        let back = match self.engine {
            Engine::Linear(_) => 0,
            Engine::Backtracking(_) => BACKTRACKING_STEPS,
        };
        let groups = steps(groups as u64);
        call.facts.spend(steps(search).saturating_add(groups).saturating_add(back)).then_some(())
    }

    /// The first match without its groups, if there is one; `None` when the steps are gone.
    fn first(&self, call: &Call<'_>, text: &str) -> Option<Vec<Places>> {
        self.begin(call, text)?;
        let place = match &self.engine {
            Engine::Linear(pattern) => pattern.find(text).map(|found| (found.start(), found.end())),
            Engine::Backtracking(pattern) => {
                pattern.find(text).ok()?.map(|found| (found.start(), found.end()))
            }
        };
        Some(place.into_iter().map(|place| vec![Some(place)]).collect())
    }

    /// All matches; `None` when the steps are gone.
    fn all(&self, call: &Call<'_>, text: &str) -> Option<Vec<Places>> {
        self.begin(call, text)?;
        let paid = |places: Places| {
            let (start, _) = (*places.first()?)?;
            self.go_on(call, text, start, places.len())?;
            Some(places)
        };
        match &self.engine {
            Engine::Linear(pattern) => {
                let place = |group: Option<regex::Match<'_>>| Some((group?.start(), group?.end()));
                let found = pattern.captures_iter(text);
                found.map(|found| paid(found.iter().map(place).collect())).collect()
            }
            Engine::Backtracking(pattern) => {
                let place =
                    |group: Option<fancy_regex::Match<'_>>| Some((group?.start(), group?.end()));
                let found = pattern.captures_iter(text);
                found.map(|found| paid(found.ok()?.iter().map(place).collect())).collect()
            }
        }
    }

    /// The names of its groups, with that of the whole first.
    fn names(&self) -> Vec<Option<&str>> {
        match &self.engine {
            Engine::Linear(pattern) => pattern.capture_names().collect(),
            Engine::Backtracking(pattern) => pattern.capture_names().collect(),
        }
    }
}
