//! Characters of a query, and the words made of them.

use std::sync::Arc;

use super::pattern::{Glyph, Pattern};
use super::{Error, LENGTH_MAX};

/// Reads a query from its beginning to its end.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
}

/// Where a word stands: what ends it and what a hyphen in front means depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// By itself, or a field's name.
    Clause,
    /// An end of a range.
    Range,
}

/// A word with its escapes resolved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub(super) glyphs: Vec<Glyph>,
    /// Whether it is as it was written: what is escaped is no operator.
    pub(super) plain: bool,
    /// Where it begins.
    pub(super) at: usize,
}

impl Word {
    /// The characters, wildcards as they were written.
    pub(super) fn text(&self) -> String {
        self.chars().collect()
    }

    fn chars(&self) -> impl Iterator<Item = char> {
        self.glyphs.iter().map(|glyph| match glyph {
            Glyph::Char(c) => *c,
            Glyph::One => '?',
            Glyph::Any => '*',
        })
    }

    pub(super) fn is(&self, operator: &str) -> bool {
        self.plain && self.chars().eq(operator.chars())
    }

    pub(super) fn has_wildcards(&self) -> bool {
        self.glyphs.iter().any(|glyph| !matches!(glyph, Glyph::Char(_)))
    }

    pub(super) fn leads_with_wildcard(&self) -> bool {
        matches!(self.glyphs.first(), Some(Glyph::One | Glyph::Any))
    }

    /// As it is compared.
    pub(super) fn folded(&self) -> Arc<str> {
        self.text().to_lowercase().into()
    }

    pub(super) fn pattern(&self) -> Pattern {
        let folded = self.glyphs.iter().flat_map(|glyph| match glyph {
            Glyph::Char(c) => c.to_lowercase().map(Glyph::Char).collect::<Vec<_>>(),
            wildcard => vec![*wildcard],
        });
        Pattern::new(folded.collect())
    }
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Result<Scan<'a>, Error> {
        let chars: Vec<char> = text.chars().take(LENGTH_MAX + 1).collect();
        let scan = Scan { text, at: 0, chars };
        if scan.chars.len() > LENGTH_MAX {
            let why = format!("it has more than {LENGTH_MAX} characters");
            let shown = scan.chars.iter().take(LENGTH_MAX).collect();
            return Err(Error { why, at: None, hint: None, text: shown });
        }
        Ok(scan)
    }

    /// Characters of the whole query.
    pub(super) fn length(&self) -> usize {
        self.chars.len()
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.at += 1;
        }
        there
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Goes back to where it was.
    pub(super) fn back_to(&mut self, position: usize) {
        self.at = position;
    }

    /// What is wrong, at the character at `position`.
    pub(super) fn error(&self, position: usize, why: impl Into<String>) -> Error {
        let text = self.text.to_owned();
        Error { why: why.into(), at: Some(position + 1), hint: None, text }
    }

    /// What is wrong, and what to write instead.
    pub(super) fn error_with(
        &self,
        position: usize,
        why: impl Into<String>,
        hint: impl Into<String>,
    ) -> Error {
        Error { hint: Some(hint.into()), ..self.error(position, why) }
    }

    /// A phrase, after its opening quote.
    pub(super) fn phrase(&mut self) -> Result<String, Error> {
        let begun = self.at - 1;
        let mut phrase = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error(begun, "a phrase has no closing quote")),
                Some('"') => {
                    self.advance();
                    return Ok(phrase);
                }
                Some('\\') => {
                    self.advance();
                    phrase.push(self.escaped()?);
                }
                Some(c) => {
                    self.advance();
                    phrase.push(c);
                }
            }
        }
    }

    /// The word that begins here; empty if none does.
    pub(super) fn word(&mut self, place: Place) -> Result<Word, Error> {
        let mut word = Word { glyphs: Vec::new(), plain: true, at: self.at };
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.advance();
                    word.plain = false;
                    word.glyphs.push(Glyph::Char(self.escaped()?));
                    continue;
                }
                '*' => word.glyphs.push(Glyph::Any),
                '?' => word.glyphs.push(Glyph::One),
                c if ends_word(c, place) => break,
                '^' | '~' | '!' | '&' | '|' => return Err(self.no_operator(c)),
                c => word.glyphs.push(Glyph::Char(c)),
            }
            self.advance();
        }
        Ok(word)
    }

    fn escaped(&mut self) -> Result<char, Error> {
        let Some(c) = self.peek() else {
            return Err(self.error_with(
                self.at.saturating_sub(1),
                "nothing follows the `\\`",
                "write `\\\\` for a backslash",
            ));
        };
        self.advance();
        Ok(c)
    }

    fn no_operator(&self, c: char) -> Error {
        let why = match c {
            '^' => "boosting (`^`) is not part of the language".to_owned(),
            '~' => "fuzzy and proximity search (`~`) is not part of the language".to_owned(),
            c => format!("`{c}` is no operator"),
        };
        let operators = match c {
            '!' => "; to negate, write NOT",
            '&' => "; to join, write AND",
            '|' => "; to join, write OR",
            _ => "",
        };
        self.error_with(
            self.at,
            why,
            format!("a `{c}` that belongs to a value is written `\\{c}`{operators}"),
        )
    }
}

fn ends_word(c: char, place: Place) -> bool {
    c.is_whitespace()
        || match place {
            Place::Clause => matches!(c, '(' | ')' | ':' | '"' | '[' | ']' | '{' | '}' | '<' | '>'),
            Place::Range => matches!(c, ']' | '}' | '"'),
        }
}
