//! The words that patterns are made of.

use regex::{Regex, RegexBuilder};
use stepwire_asl::json::Number;

/// Largest regular expression, bytes of its compiled form.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// What is left of a pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    pub(super) rest: &'a str,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a value is compared with.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// A text; `*` in it stands for anything.
    Text(String),
    /// A number, as it was written.
    Number(f64, String),
    Regex(Regex),
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Scan<'a> {
        Scan { rest: text }
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether `token` comes next, which is then read.
    pub(super) fn takes(&mut self, token: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The same for a word, in letters of either case, that ends there.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let Some((begin, rest)) = self.rest.split_at_checked(word.len()) else { return false };
        let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let found = begin.eq_ignore_ascii_case(word) && ends;
        if found {
            self.rest = rest;
        }
        found
    }

    pub(super) fn operator(&mut self) -> Option<Operator> {
        let operators = [
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        operators.into_iter().find(|(token, _)| self.takes(token)).map(|(_, operator)| operator)
    }

    /// A text in quotes, if one comes next.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, String> {
        let Some(inside) = self.rest.strip_prefix('"') else { return Ok(None) };
        let mut text = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &inside[at + 1..];
                    return Ok(Some(text));
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        Err("a quote has no end".to_owned())
    }

    /// A regular expression between `%`, if one comes next.
    pub(super) fn regex(&mut self) -> Result<Option<Regex>, String> {
        let Some(inside) = self.rest.strip_prefix('%') else { return Ok(None) };
        let (text, rest) =
            inside.split_once('%').ok_or("a regular expression has no end: `%` is missing")?;
        let regex = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
        let regex = regex.map_err(|_| format!("`{text}` is no regular expression"))?;
        self.rest = rest;
        Ok(Some(regex))
    }

    /// What a value is compared with; a word without quotes ends before a blank or one of `ends`.
    pub(super) fn wanted(&mut self, ends: &str) -> Result<Wanted, String> {
        self.skip_blanks();
        if let Some(text) = self.quoted()? {
            return Ok(Wanted::Text(text));
        }
        if let Some(regex) = self.regex()? {
            return Ok(Wanted::Regex(regex));
        }
        let end = |c: char| c.is_whitespace() || ends.contains(c) || matches!(c, '&' | '|');
        let (word, rest) = self.rest.split_at(self.rest.find(end).unwrap_or(self.rest.len()));
        if word.is_empty() {
            return Err("a value is missing".to_owned());
        }
        self.rest = rest;
        let number = Number::from_text(word).map(|number| number.as_f64());
        let number =
            number.or_else(|| word.parse().ok().filter(|_| !word.contains(char::is_alphabetic)));
        Ok(match number {
            Some(number) => Wanted::Number(number, word.to_owned()),
            None => Wanted::Text(word.to_owned()),
        })
    }
}

impl Operator {
    /// Refuses to compare by size with what has none.
    pub(super) fn takes(self, wanted: &Wanted) -> Result<(), String> {
        let equality = matches!(self, Operator::Equal | Operator::Unequal);
        match wanted {
            Wanted::Number(..) => Ok(()),
            _ if equality => Ok(()),
            Wanted::Text(text) => Err(format!("`{text}` is no number")),
            Wanted::Regex(regex) => Err(format!("`%{regex}%` is no number")),
        }
    }

    fn compares(self, found: f64, wanted: f64) -> bool {
        match self {
            Operator::Equal => found == wanted,
            Operator::Unequal => found != wanted,
            Operator::Less => found < wanted,
            Operator::LessOrEqual => found <= wanted,
            Operator::Greater => found > wanted,
            Operator::GreaterOrEqual => found >= wanted,
        }
    }

    /// Whether a text is so related to what is wanted.
    pub(super) fn relates(self, found: &str, wanted: &Wanted) -> bool {
        let same = match wanted {
            Wanted::Text(pattern) => like(found, pattern),
            Wanted::Regex(regex) => regex.is_match(found),
            Wanted::Number(number, text) => match found.parse() {
                Ok(found) => return self.compares(found, *number),
                Err(_) => like(found, text),
            },
        };
        match self {
            Operator::Equal => same,
            Operator::Unequal => !same,
            _ => false,
        }
    }

    /// Whether a number is so related to what is wanted.
    pub(super) fn relates_number(self, found: f64, text: &str, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Number(wanted, _) => self.compares(found, *wanted),
            _ => self.relates(text, wanted),
        }
    }
}

/// Whether a text is one that a pattern with `*` stands for.
fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}
