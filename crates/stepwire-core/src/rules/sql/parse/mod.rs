//! From text to a statement.

mod calls;
pub(super) mod clauses;
mod expressions;
mod foreign;

use std::sync::Arc;

use stepwire_asl::diagnostic::nearest;

use super::lex::{self, Token};
use super::{Asks, Error, Expression, Statement, Version};

/// Expressions within expressions.
const DEPTH_MAX: usize = 64;
/// Operators and member names that follow each other, in a whole statement.
const CHAIN_MAX: usize = 1_000;
/// Warnings about one statement; there may be more to warn of.
const WARNINGS_MAX: usize = 20;
/// Longest statement, bytes.
const LENGTH_MAX: usize = 262_144;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    chained: usize,
    version: Version,
    /// The variables there are; `None` where that is not known yet.
    variables: Option<Vec<Arc<str>>>,
    warnings: Vec<Error>,
    /// The first call without the role that it needs.
    no_role: Option<Error>,
    /// The depth of an item of `SELECT`, which may end with `.*`.
    item_depth: Option<usize>,
}

/// Words that end an expression, so that they are not taken for names.
const RESERVED: &[&str] = &[
    "SELECT", "FROM", "WHERE", "AS", "AND", "OR", "NOT", "IN", "CASE", "WHEN", "THEN", "ELSE",
    "END", "EXISTS", "SET",
];

/// Those of them that begin an expression.
const BEGIN: &[&str] = &["NOT", "CASE", "EXISTS"];

pub(super) fn statement(text: &str, version: Version) -> Result<Statement, Error> {
    let mut parser = Parser::new(text, version)?;
    parser.variables = Some(Vec::new());
    let variables = parser.set()?;
    if !parser.word("SELECT") {
        return Err(parser.foreign_or("expected `SELECT`"));
    }
    let select = parser.select()?;
    let from = parser.from()?;
    let filter = parser.condition()?;
    match parser.peek() {
        Token::End => {}
        Token::Word(word) => return Err(parser.unexpected(word)),
        _ => return Err(parser.error("unexpected text after the statement")),
    }
    let (warnings, no_role) = (parser.warnings, parser.no_role);
    let asks = Asks::default();
    let mut statement =
        Statement { from, version, warnings, variables, select, filter, asks, no_role };
    statement.asks = Asks::of(statement.expressions());
    Ok(statement)
}

pub(super) fn expression(text: &str, version: Version) -> Result<Expression, Error> {
    let mut parser = Parser::new(text, version)?;
    let expr = parser.expr()?;
    match parser.peek() {
        Token::End => Ok(Expression { expr, no_role: parser.no_role }),
        Token::Word(word) => Err(parser.unexpected(word)),
        _ => Err(parser.error("unexpected text after the expression")),
    }
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, version: Version) -> Result<Parser<'a>, Error> {
        let mut parser = Parser {
            text,
            tokens: Vec::new(),
            at: 0,
            depth: 0,
            chained: 0,
            version,
            variables: None,
            warnings: Vec::new(),
            no_role: None,
            item_depth: None,
        };
        if text.len() > LENGTH_MAX {
            return Err(parser.at_offset(0, "the statement is too long"));
        }
        parser.tokens = lex::tokens(text).map_err(|fault| Error {
            hint: fault.hint.map(str::to_owned),
            ..parser.at_offset(fault.at, &fault.what)
        })?;
        Ok(parser)
    }

    // ---- errors --------------------------------------------------------------------------------

    fn at_offset(&self, offset: usize, message: &str) -> Error {
        Error::at(self.text, offset, message)
    }

    /// An error at the next token.
    fn error(&self, message: &str) -> Error {
        self.at_offset(self.offset(), message)
    }

    fn hinted(&self, message: &str, hint: &str) -> Error {
        Error { hint: Some(hint.to_owned()), ..self.error(message) }
    }

    /// An error at a token.
    fn error_at(&self, at: usize, message: &str) -> Error {
        let offset = self.tokens.get(at).map_or(self.text.len(), |(_, offset)| *offset);
        self.at_offset(offset, message)
    }

    /// The error that a word does not belong here: known from another dialect, or misspelt.
    fn unexpected(&self, word: &str) -> Error {
        if let Some(error) = self.foreign() {
            return error;
        }
        let mut error = self.error(&format!("unexpected `{word}`"));
        error.hint = nearest_keyword(word).map(meant);
        error
    }

    fn warn(&mut self, at: usize, message: &str, hint: &str) {
        if self.warnings.len() >= WARNINGS_MAX {
            return;
        }
        let warning = Error { hint: Some(hint.to_owned()), ..self.error_at(at, message) };
        self.warnings.push(warning);
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(_, offset)| *offset)
    }

    // ---- tokens --------------------------------------------------------------------------------

    fn peek(&self) -> &Token {
        self.ahead(0).unwrap_or(&Token::End)
    }

    /// The token `by` behind the next.
    fn ahead(&self, by: usize) -> Option<&Token> {
        self.tokens.get(self.at + by).map(|(token, _)| token)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Error> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(self.foreign_or(&format!("expected `{sign}`")))
    }

    fn name(&mut self) -> Result<Arc<str>, Error> {
        match self.peek().clone() {
            Token::Word(word) if !is_reserved(&word) && !word.starts_with('@') => {
                self.at += 1;
                Ok(word.into())
            }
            _ => Err(self.error("expected a name")),
        }
    }

    // ---- bounds --------------------------------------------------------------------------------

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(self.error("the expression is nested too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Counts one more link of a chain.
    fn chain(&mut self) -> Result<(), Error> {
        self.chained += 1;
        if self.chained > CHAIN_MAX {
            return Err(self.error(&format!("the statement has more than {CHAIN_MAX} operators")));
        }
        Ok(())
    }

    /// Refuses what only later versions of the language have.
    fn since_2016(&self, at: usize, what: &str) -> Result<(), Error> {
        if self.version > Version::V2015 {
            return Ok(());
        }
        let message = format!("{what} not available in SQL version 2015-10-08");
        let hint = Some("set awsIotSqlVersion to 2016-03-23".to_owned());
        Err(Error { hint, ..self.error_at(at, &message) })
    }
}

/// The keyword that `word` was perhaps meant to be.
fn nearest_keyword(word: &str) -> Option<&'static str> {
    nearest(&upper(word), RESERVED.iter().copied())
}

fn meant(word: &str) -> String {
    format!("did you mean `{word}`?")
}

fn upper(word: &str) -> String {
    word.to_ascii_uppercase()
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}
