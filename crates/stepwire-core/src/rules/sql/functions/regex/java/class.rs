//! Classes of characters in brackets.

use super::escape::Escaped;
use super::{Translator, regex_syntax_escape};

/// Classes in each other.
const DEPTH_MAX: usize = 20;

impl Translator<'_> {
    /// The class whose opening bracket has been taken, with its brackets.
    pub(super) fn class(&mut self, depth: usize) -> Option<String> {
        if depth > DEPTH_MAX {
            return None;
        }
        let mut made = String::from(if self.take("^") { "[^" } else { "[" });
        let mut is_first = true;
        loop {
            if self.flags.comments() {
                self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
            }
            if !is_first && self.take("]") {
                made.push(']');
                return Some(made);
            }
            if self.take("[") {
                made.push_str(&self.class(depth + 1)?);
            } else if self.take("&&") {
                made.push_str("&&");
            } else if self.take(r"\Q") {
                let (text, rest) = self.rest.split_once(r"\E")?;
                text.chars().for_each(|c| regex_syntax_escape(&mut made, c));
                self.rest = rest;
            } else {
                self.item(&mut made)?;
            }
            is_first = false;
        }
    }

    /// A character, a range of them, or a class without brackets.
    fn item(&mut self, made: &mut String) -> Option<()> {
        let first = match self.member()? {
            Escaped::Class(class) => {
                made.push_str(&class);
                return Some(());
            }
            Escaped::Char(c) => c,
        };
        regex_syntax_escape(made, first);
        let is_range = self.rest.starts_with('-')
            && !self.rest.starts_with("-]")
            && !self.rest.starts_with("-[")
            && !self.rest.starts_with("-&&");
        if is_range {
            self.take("-");
            let Escaped::Char(last) = self.member()? else { return None };
            if last < first {
                return None;
            }
            made.push('-');
            regex_syntax_escape(made, last);
        }
        Some(())
    }

    fn member(&mut self) -> Option<Escaped> {
        match self.char()? {
            '\\' => self.escaped(),
            c => Some(Escaped::Char(c)),
        }
    }
}
