//! Text with `*`, `?` and variables, and what it matches.

use std::sync::Arc;

use super::facts::Facts;
use super::malformed::Malformed;
use super::variable::Variable;

/// Text with wildcards and variables, compiled.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(Arc<str>),
    /// `*`: any run of characters.
    Any,
    /// `?`: one character.
    One,
    /// A variable, and how it is written.
    Variable(Variable, Arc<str>),
}

/// Whether `*` and `?` stand for other characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    Match,
    Literal,
}

impl Pattern {
    /// The pattern that `text` writes. `${*}`, `${?}` and `${$}` are the characters themselves.
    pub(super) fn parse(text: &str, wildcards: Wildcards) -> Result<Pattern, Malformed> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = match c {
                '*' | '?' if wildcards == Wildcards::Match => {
                    flush(&mut plain, &mut parts);
                    let part = if c == '*' { Part::Any } else { Part::One };
                    if part != Part::Any || parts.last() != Some(&Part::Any) {
                        parts.push(part);
                    }
                    1
                }
                '$' if rest.starts_with("${") => {
                    let end = rest.find('}').ok_or_else(|| {
                        Malformed::new(format!("a variable in `{text}` is not closed"))
                            .hint("end it with `}`, or write `${$}` for a dollar sign")
                    })?;
                    match &rest[2..end] {
                        escaped @ ("*" | "?" | "$") => plain.push_str(escaped),
                        name => {
                            flush(&mut plain, &mut parts);
                            let written = rest[..=end].into();
                            parts.push(Part::Variable(Variable::parse(name)?, written));
                        }
                    }
                    end + 1
                }
                c => {
                    plain.push(c);
                    c.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        flush(&mut plain, &mut parts);
        Ok(Pattern(parts))
    }

    /// Whether it matches everything.
    pub(super) fn is_any(&self) -> bool {
        self.0 == [Part::Any]
    }

    /// The variables in it.
    pub(super) fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(variable, _) => Some(variable),
            Part::Text(_) | Part::Any | Part::One => None,
        })
    }

    /// The text with variables replaced, and wildcards as they are.
    pub(super) fn filled(&self, facts: &Facts<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Any => text.push('*'),
                Part::One => text.push('?'),
                Part::Variable(variable, written) => {
                    facts.with_value(variable, |value| text.push_str(value.unwrap_or(written)));
                }
            }
        }
        text
    }

    /// Whether all of `text` fits.
    ///
    /// A variable without a value stays as it is written, and so matches nothing a device can name.
    pub(super) fn matches(&self, text: &str, facts: &Facts<'_>) -> bool {
        let (mut parts, mut text) = (self.0.as_slice(), text);
        let mut retry: Option<(&[Part], &str)> = None;
        loop {
            let stepped = match parts.split_first() {
                None if text.is_empty() => return true,
                None => None,
                Some((Part::Any, [])) => return true,
                Some((Part::Any, rest)) => {
                    retry = Some((rest, text));
                    parts = rest;
                    continue;
                }
                Some((Part::One, rest)) => {
                    text.chars().next().map(|c| (rest, &text[c.len_utf8()..]))
                }
                Some((Part::Text(plain), rest)) => {
                    text.strip_prefix(plain.as_ref()).map(|left| (rest, left))
                }
                Some((Part::Variable(variable, written), rest)) => {
                    let left = facts.with_value(variable, |value| {
                        text.strip_prefix(value.unwrap_or(written)).map(str::len)
                    });
                    left.map(|left| (rest, &text[text.len() - left..]))
                }
            };
            match (stepped, retry) {
                (Some(next), _) => (parts, text) = next,
                // The last `*` takes one character more.
                (None, Some((after, from))) => {
                    let Some(c) = from.chars().next() else { return false };
                    let from = &from[c.len_utf8()..];
                    retry = Some((after, from));
                    (parts, text) = (after, from);
                }
                (None, None) => return false,
            }
        }
    }
}

fn flush(plain: &mut String, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

/// Whether `text` fits `pattern`, in which `*` and `?` are wildcards and nothing is a variable.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let (wanted, found) = (pattern.chars().next(), text.chars().next());
        match (wanted, found) {
            (Some('*'), _) => {
                pattern = &pattern[1..];
                retry = Some((pattern, text));
            }
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                pattern = &pattern[wanted.len_utf8()..];
                text = &text[found.len_utf8()..];
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                let Some(c) = from.chars().next() else { return false };
                let from = &from[c.len_utf8()..];
                retry = Some((after, from));
                (pattern, text) = (after, from);
            }
        }
    }
}
