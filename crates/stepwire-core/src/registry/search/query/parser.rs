//! From text to a query.

use std::sync::Arc;

use super::field::Unknown;
use super::scan::{Place, Scan, Word};
use super::{
    Bound, DEPTH_MAX, Error, Field, LEADING_LENGTH_MAX, Node, Schema, TERMS_MAX, Term, Test,
};

pub(super) fn parse(schema: Schema, text: &str) -> Result<Node, Error> {
    let scan = Scan::new(text)?;
    let mut parser = Parser { scan, schema, terms: 0, leading: 0, depth: 0 };
    parser.scan.skip_blanks();
    if parser.scan.peek().is_none() {
        return Ok(Node::Nothing);
    }
    let root = parser.alternatives(None)?;
    match parser.scan.peek() {
        None => Ok(root),
        Some(c) => {
            let at = parser.scan.position();
            Err(parser.scan.error(at, format!("`{c}` closes nothing")))
        }
    }
}

struct Parser<'a> {
    scan: Scan<'a>,
    schema: Schema,
    terms: usize,
    /// Terms with a wildcard in front.
    leading: usize,
    /// Groups and negations around what is being read.
    depth: usize,
}

/// What words, seen as operators, are.
const OPERATORS: [&str; 3] = ["AND", "OR", "NOT"];

impl Parser<'_> {
    /// What OR joins, up to the end of the group or of the query.
    fn alternatives(&mut self, field: Option<&Field>) -> Result<Node, Error> {
        let mut parts = vec![self.conjunction(field)?];
        while self.operator("OR") {
            parts.push(self.conjunction(field)?);
        }
        Ok(joined(parts, Node::Or))
    }

    /// What AND joins, or nothing.
    fn conjunction(&mut self, field: Option<&Field>) -> Result<Node, Error> {
        let mut parts = vec![self.negation(field)?];
        loop {
            let named = self.operator("AND");
            self.scan.skip_blanks();
            let at_end = matches!(self.scan.peek(), None | Some(')' | ']' | '}'));
            if !named && (at_end || self.sees_operator("OR")) {
                return Ok(joined(parts, Node::And));
            }
            parts.push(self.negation(field)?);
        }
    }

    fn negation(&mut self, field: Option<&Field>) -> Result<Node, Error> {
        self.scan.skip_blanks();
        let hyphen = self.scan.take('-');
        if !hyphen && self.scan.peek() == Some('+') {
            // What is required anyway: everything is joined by AND.
            self.scan.advance();
        }
        if !hyphen && !self.operator("NOT") {
            return self.clause(field);
        }
        self.deeper()?;
        let inner = self.negation(field)?;
        self.depth -= 1;
        Ok(Node::Not(Box::new(inner)))
    }

    /// A group, a term, or a field and what is said of it.
    fn clause(&mut self, field: Option<&Field>) -> Result<Node, Error> {
        self.scan.skip_blanks();
        let begun = self.scan.position();
        match self.scan.peek() {
            None => Err(self.scan.error(begun, "a term is missing")),
            Some('(') => self.group(field),
            Some('"' | '[' | '{' | '<' | '>') => self.value(field.cloned(), begun),
            Some(_) => {
                let word = self.scan.word(Place::Clause)?;
                if word.glyphs.is_empty() {
                    let c = self.scan.peek().unwrap_or_default();
                    return Err(self.scan.error_with(
                        begun,
                        format!("a term is missing before `{c}`"),
                        format!("a `{c}` that belongs to a value is written `\\{c}`"),
                    ));
                }
                if OPERATORS.iter().any(|operator| word.is(operator)) {
                    let name = word.text();
                    return Err(self.scan.error_with(
                        begun,
                        format!("a term is missing before `{name}`"),
                        format!("write `\"{name}\"` for a value of this name"),
                    ));
                }
                let ended = self.scan.position();
                self.scan.skip_blanks();
                match self.scan.peek() {
                    Some(':') => {
                        self.scan.advance();
                        self.scan.skip_blanks();
                        let named = self.named(&word)?;
                        self.value(Some(named), begun)
                    }
                    Some('<' | '>') => {
                        let named = self.named(&word)?;
                        self.value(Some(named), begun)
                    }
                    _ => {
                        self.scan.back_to(ended);
                        self.term(field.cloned(), &word)
                    }
                }
            }
        }
    }

    fn group(&mut self, field: Option<&Field>) -> Result<Node, Error> {
        let begun = self.scan.position();
        self.scan.advance();
        self.deeper()?;
        let inner = self.alternatives(field)?;
        self.scan.skip_blanks();
        if !self.scan.take(')') {
            return Err(self.scan.error(begun, "a group has no closing `)`"));
        }
        self.depth -= 1;
        Ok(inner)
    }

    /// What is said of a field.
    fn value(&mut self, field: Option<Field>, begun: usize) -> Result<Node, Error> {
        let at = self.scan.position();
        match self.scan.peek() {
            Some('(') => self.group(field.as_ref()),
            Some('"') => {
                self.scan.advance();
                let phrase = self.scan.phrase()?;
                self.counted(at, field, Test::Is(normal(&phrase)))
            }
            Some('[' | '{') => {
                let test = self.range()?;
                self.counted(at, field, test)
            }
            Some('<' | '>') => {
                let test = self.comparison()?;
                self.counted(at, field, test)
            }
            // After a colon a hyphen is part of a number.
            Some(c) if c != ')' => {
                let word = self.scan.word(Place::Clause)?;
                if word.glyphs.is_empty() {
                    return Err(self.scan.error_with(
                        at,
                        format!("`{c}` is no value"),
                        format!("a `{c}` that belongs to a value is written `\\{c}`"),
                    ));
                }
                if self.scan.peek() == Some(':') {
                    let (at, name) = (self.scan.position(), word.text());
                    return Err(self.scan.error_with(
                        at,
                        format!("`{name}` is a value, and a second colon follows it"),
                        format!("a colon that belongs to a value is written `\\:`: `{name}\\:…`"),
                    ));
                }
                self.term(field, &word)
            }
            _ => Err(self.scan.error(begun, "a field without a value")),
        }
    }

    fn term(&mut self, field: Option<Field>, word: &Word) -> Result<Node, Error> {
        if word.is("*") {
            return match field {
                Some(field) => self.counted(word.at, Some(field), Test::Any),
                None => self.count(word.at).map(|()| Node::All),
            };
        }
        if word.leads_with_wildcard() {
            self.leading += 1;
            if self.leading > 1 {
                return Err(self.scan.error_with(
                    word.at,
                    "a second term begins with a wildcard",
                    "only one term of a query may",
                ));
            }
            if self.scan.length() > LEADING_LENGTH_MAX {
                let why = format!(
                    "a term begins with a wildcard in a query of more than {LEADING_LENGTH_MAX} \
                     characters"
                );
                return Err(self.scan.error(word.at, why));
            }
        }
        let test =
            if word.has_wildcards() { Test::Like(word.pattern()) } else { Test::Is(word.folded()) };
        self.counted(word.at, field, test)
    }

    /// `[a TO b]`, with a brace where the end does not belong to the range.
    fn range(&mut self) -> Result<Test, Error> {
        let begun = self.scan.position();
        let from_included = self.scan.peek() == Some('[');
        self.scan.advance();
        let from = self.bound()?;
        self.scan.skip_blanks();
        let to_word = self.scan.word(Place::Range)?;
        if !to_word.is("TO") {
            let hint = "a range is written `[75 TO 80]`, with a brace to leave an end out";
            return Err(self.scan.error_with(to_word.at, "`TO` is missing in a range", hint));
        }
        let to = self.bound()?;
        self.scan.skip_blanks();
        let to_included = match self.scan.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.scan.error(begun, "a range has no closing `]` or `}`")),
        };
        self.scan.advance();
        Ok(ranged(from.map(|it| (it, from_included)), to.map(|it| (it, to_included))))
    }

    /// An end of a range; `None`: `*`.
    fn bound(&mut self) -> Result<Option<End>, Error> {
        self.scan.skip_blanks();
        let at = self.scan.position();
        if self.scan.take('"') {
            let phrase = self.scan.phrase()?;
            return Ok(Some(End { text: normal(&phrase), quoted: true }));
        }
        let word = self.scan.word(Place::Range)?;
        self.end(&word, at)
    }

    fn end(&self, word: &Word, at: usize) -> Result<Option<End>, Error> {
        if word.glyphs.is_empty() || word.is("TO") {
            return Err(self.scan.error_with(
                at,
                "an end of a range is missing",
                "write `*` for a range that is open there",
            ));
        }
        if word.is("*") {
            return Ok(None);
        }
        if word.has_wildcards() {
            return Err(self.scan.error(at, "an end of a range has a wildcard"));
        }
        Ok(Some(End { text: word.folded(), quoted: false }))
    }

    /// `>`, `>=`, `<` or `<=`, and what follows.
    fn comparison(&mut self) -> Result<Test, Error> {
        let above = self.scan.peek() == Some('>');
        let begun = self.scan.position();
        self.scan.advance();
        let included = self.scan.take('=');
        self.scan.skip_blanks();
        let at = self.scan.position();
        let end = if self.scan.take('"') {
            Some(End { text: normal(&self.scan.phrase()?), quoted: true })
        } else {
            let word = self.scan.word(Place::Clause)?;
            if word.glyphs.is_empty() {
                return Err(self.scan.error(begun, "a comparison without a value"));
            }
            self.end(&word, at)?
        };
        let Some(end) = end else { return Ok(Test::Any) };
        let end = Some((end, included));
        Ok(if above { ranged(end, None) } else { ranged(None, end) })
    }

    fn counted(&mut self, at: usize, field: Option<Field>, test: Test) -> Result<Node, Error> {
        self.count(at)?;
        let field = field.unwrap_or_else(|| self.schema.default_field());
        Ok(Node::Term(Term { field, test }))
    }

    fn count(&mut self, at: usize) -> Result<(), Error> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.scan.error(at, format!("it has more than {TERMS_MAX} terms")));
        }
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let why = format!("groups and negations are nested more than {DEPTH_MAX} deep");
            return Err(self.scan.error(self.scan.position(), why));
        }
        Ok(())
    }

    fn named(&self, word: &Word) -> Result<Field, Error> {
        let name = word.text();
        self.schema.find(&name).map_err(|unknown| match unknown {
            Unknown::Invalid => {
                let why = format!("invalid field name, field name: {name}");
                self.scan.error_with(word.at, why, self.schema.hint(&name))
            }
            Unknown::Unavailable(what) => {
                let why = format!(
                    "the field `{name}` cannot be searched: {what} are not available in stepwire \
                     yet, field name: {name}"
                );
                self.scan.error(word.at, why)
            }
        })
    }

    /// Takes the operator, if it is next.
    fn operator(&mut self, operator: &str) -> bool {
        self.scan.skip_blanks();
        let begun = self.scan.position();
        let word = self.scan.word(Place::Clause);
        // A word that cannot be read is reported by who wants it.
        let taken = word.is_ok_and(|word| word.is(operator)) && self.scan.peek() != Some(':');
        if !taken {
            self.scan.back_to(begun);
        }
        taken
    }

    fn sees_operator(&mut self, operator: &str) -> bool {
        let begun = self.scan.position();
        let there = self.operator(operator);
        self.scan.back_to(begun);
        there
    }
}

/// An end of a range as it was written.
struct End {
    text: Arc<str>,
    quoted: bool,
}

impl End {
    fn number(&self) -> Option<f64> {
        if self.quoted { None } else { super::matches::number(&self.text) }
    }
}

/// A range of numbers if its ends are, else of text.
fn ranged(from: Option<(End, bool)>, to: Option<(End, bool)>) -> Test {
    let is_number =
        |end: &Option<(End, bool)>| end.as_ref().is_none_or(|(end, _)| end.number().is_some());
    if from.is_none() && to.is_none() {
        return Test::Any;
    }
    if is_number(&from) && is_number(&to) {
        let number = |(end, included): (End, bool)| end.number().map(|at| Bound { at, included });
        return Test::Numbers { from: from.and_then(number), to: to.and_then(number) };
    }
    let text = |(end, included): (End, bool)| Bound { at: end.text, included };
    Test::Texts { from: from.map(text), to: to.map(text) }
}

/// A phrase as it is compared: blanks between its words count as one.
fn normal(phrase: &str) -> Arc<str> {
    phrase.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().into()
}

fn joined(mut parts: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}
