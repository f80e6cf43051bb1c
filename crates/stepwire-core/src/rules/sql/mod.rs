//! IoT SQL: statements, and what they make of a message.
//!
//! A statement is parsed once, with everything it cannot run refused by name and place. Evaluation
//! is total: it never fails, at worst a value is Undefined.
//!
//! Source: AWS IoT developer guide, "AWS IoT SQL reference".

mod eval;
mod functions;
mod lex;
mod parse;
mod value;

use std::fmt;
use std::sync::Arc;

use stepwire_asl::Json;

pub use eval::{Facts, Row};
pub use value::Value;

use functions::Function;

/// A parsed statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Topic filter.
    pub from: Arc<str>,
    select: Select,
    filter: Option<Expr>,
}

/// What a statement or sub-select picks.
#[derive(Debug, Clone, PartialEq)]
enum Select {
    /// `SELECT VALUE x`
    Value(Box<Expr>),
    Items(Vec<Item>),
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    /// `*`
    All,
    /// An expression and where it goes.
    One(Expr, Vec<Arc<str>>),
}

#[derive(Debug, Clone, PartialEq)]
enum Expr {
    Literal(Json),
    /// `*` as an argument: the whole payload.
    All,
    /// A name: a member of the row, or an alias of a sub-select's source.
    Name(Arc<str>),
    /// A member of a value, a member of that one …
    Member(Box<Expr>, Vec<Arc<str>>),
    Call(Function, Vec<Expr>),
    Cast(Box<Expr>, Type),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(Box<Expr>, Operator, Box<Expr>),
    Exists(Box<Sub>),
    Sub(Box<Sub>),
    Case(Box<Expr>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    Object(Vec<(Arc<str>, Expr)>),
    Array(Vec<Expr>),
}

/// `(SELECT … FROM path AS name WHERE …)`
#[derive(Debug, Clone, PartialEq)]
struct Sub {
    select: Select,
    from: Expr,
    alias: Option<Arc<str>>,
    filter: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
    In,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    String,
    Int,
    Decimal,
    Boolean,
}

/// The text is not a statement that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub message: String,
    /// What to write instead, when there is a good guess.
    pub hint: Option<String>,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The line of the text.
    pub text: String,
}

impl fmt::Display for Error {
    /// The message with its place, the line, and a caret under the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at line {} column {}", self.message, self.line, self.column)?;
        writeln!(f, "{}", self.text)?;
        write!(f, "{}^", " ".repeat(self.column.saturating_sub(1)))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Statement {
    /// The statement that `text` writes.
    pub fn parse(text: &str) -> Result<Statement, Error> {
        parse::statement(text)
    }

    /// What it makes of a message; `None` when its `WHERE` does not hold.
    pub fn run(&self, facts: &Facts<'_>) -> Option<Value> {
        eval::run(self, facts)
    }
}

/// A single expression, as substitution templates hold them.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Expr);

impl Expression {
    /// The expression that `text` writes.
    pub fn parse(text: &str) -> Result<Expression, Error> {
        parse::expression(text).map(Expression)
    }

    /// Its value for a message.
    pub fn value(&self, facts: &Facts<'_>) -> Value {
        eval::expression(&self.0, facts)
    }
}
