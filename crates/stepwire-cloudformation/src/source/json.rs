//! JSON, with the place of every value.

use std::sync::Arc;

use stepwire_asl::json::Number;

use super::yaml::twice;
use super::{DEPTH_MAX, VALUES_MAX, too_deep, too_much};
use crate::diagnostic::Diagnostic;
use crate::value::{Data, Map, Place, Value};

/// What YAML takes and JSON does not.
pub(super) const LAST_COMMA: &str = "a comma before the end";

struct Reader<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
    depth: usize,
    count: usize,
}

pub(super) fn read(source: &str) -> Result<Value, Diagnostic> {
    let mut reader = Reader { rest: source, line: 1, column: 1, depth: 0, count: 0 };
    let value = reader.value()?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(value) } else { Err(reader.wrong("text after the end")) }
}

impl Reader<'_> {
    fn here(&self) -> Place {
        Place { line: self.line, column: self.column, length: 1 }
    }

    fn wrong(&self, what: &str) -> Diagnostic {
        let place = self.here();
        Diagnostic::new(
            place,
            format!(
                "Template format error: JSON not well-formed. (line {}, column {}): {what}",
                place.line, place.column
            ),
        )
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
        if next == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\n')) {
            self.bump();
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), Diagnostic> {
        self.blanks();
        if self.peek() == Some(wanted) {
            self.bump();
            Ok(())
        } else {
            Err(self.wrong(&format!("expected `{wanted}`")))
        }
    }

    /// Whether the list or object ends with `end` here; else a comma was passed, unless it is `first`.
    fn ends(&mut self, end: char, first: bool) -> Result<bool, Diagnostic> {
        self.blanks();
        if self.peek() == Some(end) {
            self.bump();
            return Ok(true);
        }
        if !first {
            self.expect(',')?;
            self.blanks();
            if self.peek() == Some(end) {
                return Err(self.wrong(LAST_COMMA));
            }
        }
        Ok(false)
    }

    fn value(&mut self) -> Result<Value, Diagnostic> {
        self.blanks();
        let mut place = self.here();
        self.count += 1;
        if self.count > VALUES_MAX {
            return Err(too_much(place));
        }
        let before = self.rest.len();
        let data = match self.peek() {
            Some('{') => {
                self.enter()?;
                let mut members = Map::new();
                while !self.ends('}', members.is_empty())? {
                    self.blanks();
                    let mut key = self.here();
                    let name = self.string()?;
                    key.length = self.column.saturating_sub(key.column).max(1);
                    if let Some(earlier) = members.get(&name) {
                        return Err(twice(&name, key, earlier.key));
                    }
                    self.expect(':')?;
                    let value = self.value()?;
                    members.insert(name, Value { key, ..value });
                }
                self.depth -= 1;
                return Ok(Value::new(Data::Map(Arc::new(members)), place));
            }
            Some('[') => {
                self.enter()?;
                let mut items = Vec::new();
                while !self.ends(']', items.is_empty())? {
                    items.push(self.value()?);
                }
                self.depth -= 1;
                return Ok(Value::new(Data::List(Arc::new(items)), place));
            }
            Some('"') => Data::String(self.string()?),
            Some(c) if c == '-' || c.is_ascii_alphanumeric() => self.word()?,
            Some(_) => return Err(self.wrong("expected a value")),
            None => return Err(self.wrong("the text ends too early")),
        };
        place.length = ((before - self.rest.len()) as u32).max(1);
        Ok(Value::new(data, place))
    }

    fn enter(&mut self) -> Result<(), Diagnostic> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_deep(self.here()));
        }
        self.bump();
        Ok(())
    }

    fn word(&mut self) -> Result<Data, Diagnostic> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
        let end = self.rest.find(|c: char| !is_part(c)).unwrap_or(self.rest.len());
        let text = self.rest.get(..end).unwrap_or_default().to_owned();
        let data = match &*text {
            "true" => Data::Bool(true, "true".into()),
            "false" => Data::Bool(false, "false".into()),
            "null" => Data::Null,
            text => {
                Data::Number(Number::from_text(text).ok_or_else(|| self.wrong("expected a value"))?)
            }
        };
        for _ in text.chars() {
            self.bump();
        }
        Ok(data)
    }

    fn string(&mut self) -> Result<Arc<str>, Diagnostic> {
        if self.peek() != Some('"') {
            return Err(self.wrong("expected a text in double quotes"));
        }
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(text.into()),
                Some('\\') => text.push(self.escape()?),
                Some('\n') | None => return Err(self.wrong("a text does not end")),
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Diagnostic> {
        let escaped = match self.bump() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let first = self.hex()?;
                let code = if (0xD800..0xDC00).contains(&first) && self.rest.starts_with("\\u") {
                    self.bump();
                    self.bump();
                    let second = self.hex()?;
                    0x10000 + ((first - 0xD800) << 10) + (second.wrapping_sub(0xDC00) & 0x3FF)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.wrong("half of a character"))?
            }
            _ => return Err(self.wrong("an escape that JSON does not have")),
        };
        Ok(escaped)
    }

    fn hex(&mut self) -> Result<u32, Diagnostic> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.bump().and_then(|c| c.to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.wrong("expected four hex digits"))?;
        }
        Ok(code)
    }
}
