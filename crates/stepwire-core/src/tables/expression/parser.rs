//! What the parsers of all expressions share: position, placeholders, paths, errors.

use std::sync::Arc;

use super::path::{Element, Path};
use super::placeholders::Placeholders;
use super::token::{Spot, Token, split};
use super::{Kind, reserved};
use crate::error::ApiError;
use crate::tables::value::Value;

/// Bytes an expression may have.
const SIZE_MAX: usize = 4_096;
/// Brackets, `NOT`s and functions that may stand inside each other.
const DEPTH_MAX: usize = 64;
/// Elements a document path may have.
const PATH_MAX: usize = 32;

/// A position in an expression.
pub(super) struct Parser<'a> {
    pub(super) kind: Kind,
    pub(super) placeholders: &'a mut Placeholders,
    text: &'a str,
    spots: Vec<Spot<'a>>,
    at: usize,
    depth: usize,
    /// Where the last bracketed condition began and ended.
    pub(super) bracketed: (usize, usize),
}

impl<'a> Parser<'a> {
    pub(super) fn new(
        kind: Kind,
        text: &'a str,
        placeholders: &'a mut Placeholders,
    ) -> Result<Self, ApiError> {
        if text.trim().is_empty() {
            return Err(kind.invalid("The expression can not be empty;"));
        }
        if text.len() > SIZE_MAX {
            return Err(kind.invalid(format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                text.len()
            )));
        }
        let spots = split(text);
        Ok(Parser { kind, placeholders, text, spots, at: 0, depth: 0, bracketed: (0, 0) })
    }

    /// The next word.
    pub(super) fn peek(&self) -> Token<'a> {
        self.ahead(0)
    }

    /// The word `count` after the next.
    pub(super) fn ahead(&self, count: usize) -> Token<'a> {
        self.spots.get(self.at + count).map_or(Token::End, |spot| spot.token)
    }

    /// Takes the next word.
    pub(super) fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.spots.len() - 1);
        token
    }

    /// Takes the next word if it is `symbol`.
    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.peek() == Token::Symbol(symbol);
        if found {
            self.next();
        }
        found
    }

    /// Takes the next word, which must be `symbol`.
    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), ApiError> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Whether the next word is `keyword`, in any case.
    pub(super) fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes the next word if it is `keyword`, in any case.
    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.next();
        }
        found
    }

    /// Takes the end.
    pub(super) fn end(&mut self) -> Result<(), ApiError> {
        if self.peek() == Token::End { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.invalid("The expression is nested too deeply;"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// What `parse` takes and the bracket behind it; the one before it has been taken. Brackets
    /// around nothing but brackets are refused.
    pub(super) fn in_brackets<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let start = self.at;
        let inside = parse(self)?;
        if self.bracketed == (start, self.at) {
            return Err(self.invalid("The expression has redundant parentheses;"));
        }
        self.expect(")")?;
        self.bracketed = (start - 1, self.at);
        Ok(inside)
    }

    /// The name of the function that is called next, if one is.
    pub(super) fn function(&self) -> Option<&'a str> {
        match (self.peek(), self.ahead(1)) {
            (Token::Word(name), Token::Symbol("(")) => Some(name),
            _ => None,
        }
    }

    /// The arguments of a function, brackets included; there must be `count`.
    pub(super) fn arguments<T>(
        &mut self,
        function: &str,
        count: usize,
        argument: impl Fn(&mut Self) -> Result<T, ApiError>,
    ) -> Result<Vec<T>, ApiError> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if self.symbol(")") {
            return Err(self.operand_count(function, 0));
        }
        loop {
            arguments.push(self.nested(&argument)?);
            if !self.symbol(",") {
                break;
            }
        }
        self.expect(")")?;
        if arguments.len() == count {
            Ok(arguments)
        } else {
            Err(self.operand_count(function, arguments.len()))
        }
    }

    fn operand_count(&self, function: &str, count: usize) -> ApiError {
        self.invalid(format!(
            "Incorrect number of operands for operator or function; operator or function: \
             {function}, number of operands: {count}"
        ))
    }

    /// The value that a placeholder, which comes next, stands for.
    pub(super) fn value(&mut self, key: &str) -> Result<Value, ApiError> {
        self.next();
        self.placeholders.value(key, self.kind)
    }

    /// A document path: `a.b[0]`.
    pub(super) fn path(&mut self) -> Result<Path, ApiError> {
        let root = self.attribute()?;
        let mut rest = Vec::new();
        loop {
            if self.symbol(".") {
                rest.push(Element::Member(self.attribute()?));
            } else if self.symbol("[") {
                rest.push(Element::Index(self.index()?));
                self.expect("]")?;
            } else {
                break;
            }
        }
        if rest.len() >= PATH_MAX {
            return Err(self.invalid(format!(
                "The document path has too many nesting elements; nesting levels: {}",
                rest.len() + 1
            )));
        }
        Ok(Path { root, rest })
    }

    /// A top-level or nested attribute's name.
    fn attribute(&mut self) -> Result<Arc<str>, ApiError> {
        match self.peek() {
            Token::Name(key) => {
                self.next();
                self.placeholders.name(key, self.kind)
            }
            Token::Word(word) if reserved::is_reserved(word) => Err(self.invalid(format!(
                "Attribute name is a reserved keyword; reserved keyword: {word}"
            ))),
            Token::Word(word) => {
                self.next();
                Ok(word.into())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn index(&mut self) -> Result<usize, ApiError> {
        let Token::Integer(text) = self.peek() else { return Err(self.unexpected()) };
        let index = text.parse().map_err(|_| {
            let why = "List index is not within the allowable range; index: [";
            self.invalid(format!("{why}{text}]"))
        })?;
        self.next();
        Ok(index)
    }

    /// The error that this kind of expression is not valid.
    pub(super) fn invalid(&self, why: impl std::fmt::Display) -> ApiError {
        self.kind.invalid(why)
    }

    /// The error that a function stands where it cannot.
    pub(super) fn misused(&self, function: &str) -> ApiError {
        self.invalid(format!(
            "The function is not allowed to be used this way in an expression; function: {function}"
        ))
    }

    /// The error that the next word does not belong there.
    pub(super) fn unexpected(&self) -> ApiError {
        let spot = |at: usize| self.spots.get(at).or_else(|| self.spots.last());
        let (Some(this), Some(next)) = (spot(self.at), spot(self.at + 1)) else {
            return self.invalid("Syntax error");
        };
        let before = self.at.checked_sub(1).and_then(spot).unwrap_or(this);
        let token = match this.token {
            Token::End => "<EOF>",
            _ => &self.text[this.start..this.end],
        };
        let near = &self.text[before.start..next.end];
        self.invalid(format!("Syntax error; token: \"{token}\", near: \"{}\"", near.trim()))
    }

    /// The error that a function or operator cannot take a value of this type.
    pub(super) fn operand_type(&self, function: &str, value: &Value) -> ApiError {
        self.invalid(format!(
            "Incorrect operand type for operator or function; operator or function: {function}, \
             operand type: {}",
            value.kind().name()
        ))
    }
}
