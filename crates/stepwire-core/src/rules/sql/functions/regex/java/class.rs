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
                text.chars().for_each(|c| self.one(&mut made, c, c));
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
        let mut last = first;
        let is_range = self.rest.starts_with('-')
            && !self.rest.starts_with("-]")
            && !self.rest.starts_with("-[")
            && !self.rest.starts_with("-&&");
        if is_range {
            self.take("-");
            let Escaped::Char(end) = self.member()? else { return None };
            if end < first {
                return None;
            }
            last = end;
        }
        self.one(made, first, last);
        Some(())
    }

    /// The characters from one to another, and where case is ignored, the same in the other one.
    fn one(&self, made: &mut String, first: char, last: char) {
        range(made, first, last);
        if !self.is_ascii_case() {
            return;
        }
        let within = |from: char, to: char| {
            let (from, to) = (first.max(from), last.min(to));
            (from <= to).then_some((from, to))
        };
        if let Some((from, to)) = within('a', 'z') {
            range(made, from.to_ascii_uppercase(), to.to_ascii_uppercase());
        }
        if let Some((from, to)) = within('A', 'Z') {
            range(made, from.to_ascii_lowercase(), to.to_ascii_lowercase());
        }
    }

    fn member(&mut self) -> Option<Escaped> {
        match self.char()? {
            '\\' => self.escaped(),
            c => Some(Escaped::Char(c)),
        }
    }
}

fn range(made: &mut String, first: char, last: char) {
    regex_syntax_escape(made, first);
    if first < last {
        made.push('-');
        regex_syntax_escape(made, last);
    }
}
