//! Whether an answer is what was recorded, whose identifiers and times are blanked.

use std::collections::BTreeMap;

use regex::Regex;
use stepwire_asl::Json;

/// Texts under these members say how AWS's own services answered: only that they are there counts.
const LOOSE: &[&str] = &["SdkHttpMetadata", "SdkResponseMetadata"];

/// Compares the values of one case: a named placeholder stands for one text throughout.
pub(crate) struct Comparison {
    placeholder: Regex,
    time: Regex,
    bound: BTreeMap<String, String>,
    /// What the recorder replaced, and by what.
    pub(crate) replaced: Vec<(String, String)>,
}

impl Default for Comparison {
    fn default() -> Self {
        let placeholder = Regex::new(r"<([A-Za-z][\w. /-]*?)(?::([\w.(){}-]+))?>").unwrap();
        let time = r"[1-9]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})";
        let time = Regex::new(time).unwrap();
        Comparison { placeholder, time, bound: BTreeMap::new(), replaced: Vec::new() }
    }
}

impl Comparison {
    /// The first difference, if there is one.
    pub(crate) fn same(&mut self, expected: &Json, actual: &Json) -> Result<(), String> {
        // The recorder has parsed strings that are objects, and some others.
        let parsed = match (expected, actual) {
            (Json::String(_), _) => None,
            (_, Json::String(text)) if text.trim_start().starts_with(['{', '[']) => {
                Json::parse(text).ok()
            }
            _ => None,
        };
        let actual = parsed.as_ref().unwrap_or(actual);
        match (expected, actual) {
            (Json::String(pattern), Json::String(text)) => self.fits(pattern, text),
            (Json::String(pattern), _) if self.is_whole(pattern) => Ok(()),
            (Json::Object(wanted), Json::Object(found)) => {
                let (open, named): (Vec<_>, Vec<_>) =
                    wanted.iter().partition(|(name, _)| self.placeholder.is_match(name));
                for (name, value) in &named {
                    let actual = found.get(*name).ok_or_else(|| format!("`{name}` is missing"))?;
                    if !LOOSE.contains(&name.as_ref()) {
                        self.same(value, actual).map_err(|why| format!("{name}: {why}"))?;
                    }
                }
                let extra = found.keys().filter(|name| !named.iter().any(|(n, _)| n == name));
                let extra: Vec<_> = extra.collect();
                if extra.len() > open.len() {
                    Err(format!("more members: {extra:?}"))
                } else {
                    Ok(())
                }
            }
            (Json::Array(wanted), Json::Array(found)) if wanted.len() == found.len() => {
                let mut pairs = wanted.iter().zip(found.iter()).enumerate();
                pairs.try_for_each(|(at, (w, f))| {
                    self.same(w, f).map_err(|why| format!("[{at}] {why}"))
                })
            }
            _ if expected == actual => Ok(()),
            _ => Err(format!("expected {expected}, got {actual}")),
        }
    }

    fn is_whole(&self, pattern: &str) -> bool {
        self.placeholder.find(pattern).is_some_and(|found| found.len() == pattern.len())
    }

    fn fits(&mut self, pattern: &str, text: &str) -> Result<(), String> {
        let whole = self.is_whole(pattern);
        if whole && pattern.starts_with("<any:") || self.fits_text(pattern, text) {
            return Ok(());
        }
        // The recorder wrote some words without their brackets.
        let blanked = |bare: bool| {
            self.replaced.iter().fold(text.to_owned(), |text, (value, with)| {
                let with = if bare { with.trim_matches(['<', '>']) } else { with };
                text.replace(value.as_str(), with)
            })
        };
        let (full, bare) = (blanked(false), blanked(true));
        if self.fits_text(pattern, &full) || self.fits_text(pattern, &bare) {
            return Ok(());
        }
        let is_json = |text: &str| text.starts_with(['{', '[']);
        if is_json(pattern)
            && is_json(text)
            && let (Ok(wanted), Ok(found)) = (Json::parse(pattern), Json::parse(text))
        {
            return self.same(&wanted, &found);
        }
        Err(format!("expected {pattern:?}, got {text:?}"))
    }

    fn fits_text(&mut self, pattern: &str, text: &str) -> bool {
        if pattern == text || pattern == self.time.replace_all(text, "<any:date>") {
            return true;
        }
        if !pattern.contains('<') {
            return false;
        }
        let (mut source, mut last, mut names) = (String::from("(?s)^"), 0, Vec::new());
        for found in self.placeholder.find_iter(pattern) {
            source += &regex::escape(&pattern[last..found.start()]);
            source += if found.as_str().starts_with("<any:") { "(.*?)" } else { "(.+?)" };
            names.push(found.as_str());
            last = found.end();
        }
        source += &regex::escape(&pattern[last..]);
        let whole = regex::RegexBuilder::new(&(source + "$")).size_limit(1 << 26).build().unwrap();
        let Some(captures) = whole.captures(text) else { return false };
        let found = names.iter().zip(captures.iter().skip(1).flatten());
        let named = found.filter(|(name, _)| name.contains(':') && !name.starts_with("<any:"));
        let named: Vec<_> = named.map(|(name, value)| (*name, value.as_str())).collect();
        if named.iter().any(|(name, value)| self.bound.get(*name).is_some_and(|old| old != value)) {
            return false;
        }
        self.bound.extend(named.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())));
        true
    }
}

/// `actual`, a history as the API lists it, against the recorded one.
pub(crate) fn same_history(
    comparison: &mut Comparison,
    unordered: bool,
    recorded: &[Json],
    actual: &[Json],
) -> Result<(), String> {
    let actual: Vec<Json> = actual.iter().map(placed).collect();
    if unordered || recorded.iter().any(|event| event.member("id") == Some(&Json::Null)) {
        return same_unordered(comparison, recorded, actual);
    }
    for (at, expected) in recorded.iter().enumerate() {
        let actual = actual.get(at).unwrap_or(&Json::Null);
        comparison.same(expected, actual).map_err(|why| {
            let kind = |event: &Json| event.member("type").cloned().unwrap_or_default();
            format!("event {} {} (got {}): {why}", at + 1, kind(expected), kind(actual))
        })?;
    }
    match actual.get(recorded.len()) {
        Some(more) => Err(format!("more events than recorded, first {more}")),
        None => Ok(()),
    }
}

/// Without its time; an absent `previousEventId` is 0, the default of the service model.
pub(crate) fn placed(event: &Json) -> Json {
    let members = event.as_object().unwrap().iter();
    let kept = members.filter(|(name, _)| name.as_ref() != "timestamp");
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    let none = event.member("previousEventId").is_none();
    Json::object(kept.chain(none.then(|| ("previousEventId".into(), Json::from(0)))))
}

/// Events of parallel branches have lost their ids and order, and how the states around them end.
fn same_unordered(
    comparison: &mut Comparison,
    recorded: &[Json],
    mut ours: Vec<Json>,
) -> Result<(), String> {
    let without_place = |event: &Json| {
        let members = event.as_object().unwrap().iter();
        let kept = members.filter(|(name, _)| !matches!(name.as_ref(), "id" | "previousEventId"));
        Json::object(kept.map(|(name, value)| (name.clone(), value.clone())))
    };
    let (in_place, blank): (Vec<&Json>, Vec<&Json>) =
        recorded.iter().partition(|event| event.member("id") != Some(&Json::Null));
    for expected in in_place {
        let found = ours.iter().position(|e| e.member("id") == expected.member("id"));
        let actual = found.map(|at| ours.remove(at)).unwrap_or_default();
        comparison.same(expected, &actual)?;
    }
    for expected in blank {
        let expected = without_place(expected);
        let found = ours.iter().position(|e| comparison.same(&expected, &without_place(e)).is_ok());
        ours.remove(found.ok_or_else(|| format!("nothing fits {expected}"))?);
    }
    let lost = ["ParallelStateSucceeded", "ParallelStateExited"];
    ours.retain(|event| !lost.iter().any(|kind| event.member("type") == Some(&Json::from(*kind))));
    if ours.is_empty() { Ok(()) } else { Err(format!("more than recorded: {ours:?}")) }
}
