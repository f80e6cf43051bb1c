//! Whether a value is what was recorded, whose identifiers and times are blanked.

use std::collections::BTreeMap;

use regex::Regex;
use stepwire_asl::Json;

/// Compares values of one case: a named placeholder stands for one text throughout.
pub(crate) struct Comparison {
    placeholder: Regex,
    time: Regex,
    bound: BTreeMap<String, String>,
}

impl Default for Comparison {
    fn default() -> Self {
        let placeholder = Regex::new(r"<([A-Za-z][\w. /-]*?)(?::([\w.(){}-]+))?>").unwrap();
        let time = r"[1-9]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})";
        Comparison { placeholder, time: Regex::new(time).unwrap(), bound: BTreeMap::new() }
    }
}

impl Comparison {
    /// The first difference, if there is one.
    pub(crate) fn same(&mut self, expected: &Json, actual: &Json) -> Result<(), String> {
        // The recorder has parsed strings that are objects, and some others.
        let parsed = match (expected, actual) {
            (Json::String(_), _) => None,
            (_, Json::String(text)) => Json::parse(text).ok(),
            _ => None,
        };
        let actual = parsed.as_ref().unwrap_or(actual);
        match (expected, actual) {
            (Json::String(pattern), Json::String(text)) => self.fits(pattern, text),
            (Json::String(pattern), _) if self.is_any(pattern) => Ok(()),
            (Json::Object(wanted), Json::Object(found)) => {
                let (open, named): (Vec<_>, Vec<_>) =
                    wanted.iter().partition(|(name, _)| self.placeholder.is_match(name));
                for (name, value) in &named {
                    let actual = found.get(*name).ok_or_else(|| format!("`{name}` is missing"))?;
                    self.same(value, actual).map_err(|why| format!("{name}: {why}"))?;
                }
                let known = found.keys().filter(|name| named.iter().any(|(n, _)| n == name));
                let extra = found.len() - known.count();
                if extra > open.len() { Err(format!("more members: {actual}")) } else { Ok(()) }
            }
            (Json::Array(wanted), Json::Array(found)) if wanted.len() == found.len() => {
                wanted.iter().zip(found.iter()).try_for_each(|(w, f)| self.same(w, f))
            }
            _ if expected == actual => Ok(()),
            _ => Err(format!("expected {expected}, got {actual}")),
        }
    }

    fn is_any(&self, pattern: &str) -> bool {
        self.placeholder.find(pattern).is_some_and(|found| found.len() == pattern.len())
    }

    fn fits(&mut self, pattern: &str, text: &str) -> Result<(), String> {
        if pattern == text || pattern == self.time.replace_all(text, "<any:date>") {
            return Ok(());
        }
        let differs = || Err(format!("expected {pattern:?}, got {text:?}"));
        if !pattern.contains('<') {
            // Text of an array: its spacing is compared by the pages, its value here.
            return match (Json::parse(pattern), Json::parse(text)) {
                (Ok(wanted @ Json::Array(_)), Ok(found)) => self.same(&wanted, &found),
                _ => differs(),
            };
        }
        let (mut source, mut last, mut names) = (String::from("(?s)^"), 0, Vec::new());
        for found in self.placeholder.find_iter(pattern) {
            source += &regex::escape(&pattern[last..found.start()]);
            source += if found.as_str().starts_with("<any:") { "(.*?)" } else { "(.+?)" };
            names.push(found.as_str());
            last = found.end();
        }
        source += &regex::escape(&pattern[last..]);
        let whole = Regex::new(&(source + "$")).unwrap();
        let Some(captures) = whole.captures(text) else { return differs() };
        for (name, value) in names.iter().zip(captures.iter().skip(1).flatten()) {
            if !name.contains(':') || name.starts_with("<any:") {
                continue;
            }
            let bound =
                self.bound.entry((*name).to_owned()).or_insert_with(|| value.as_str().into());
            if bound != value.as_str() {
                return differs();
            }
        }
        Ok(())
    }
}
