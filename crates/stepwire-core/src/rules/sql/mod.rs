//! IoT SQL: statements, and what they make of a message.
//!
//! A statement is parsed once, with everything it cannot run refused by name and place. Evaluation
//! is total: it never fails, at worst a value is Undefined.
//!
//! Source: AWS IoT developer guide, "AWS IoT SQL reference".

mod display;
mod eval;
mod explain;
mod facts;
mod functions;
mod lex;
mod number;
mod operators;
pub mod outside;
mod parse;
pub mod protobuf;
mod value;
mod version;

use std::fmt;
use std::sync::Arc;

use stepwire_asl::Json;

pub use eval::Row;
pub use explain::{Part, Picked, Trace};
pub(crate) use explain::{brief, kind};
pub use facts::Facts;
pub use number::Number;
pub(crate) use outside::SECRET_TYPES;
pub use outside::{Answered, Asks, Outside, Question};
pub use value::Value;
pub use version::Version;

use functions::Function;

/// A parsed statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Topic filter; without one only Basic Ingest reaches the rule.
    pub from: Option<Arc<str>>,
    /// What it is read as.
    pub version: Version,
    /// What it does that AWS's reference does not know, or that is perhaps not meant.
    pub warnings: Vec<Error>,
    /// `SET`: names with their `@`, in order.
    variables: Vec<(Arc<str>, Expr)>,
    select: Select,
    filter: Option<Expr>,
    asks: Asks,
    /// A call without the role that it needs.
    no_role: Option<Error>,
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
    /// `a.*`: the members of a value.
    Members(Expr),
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
    /// A variable; the name has its `@`.
    Variable(Arc<str>),
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

impl Error {
    /// An error at a byte of a text.
    fn at(text: &str, offset: usize, message: &str) -> Error {
        let before = &text[..offset];
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        Error {
            message: message.to_owned(),
            hint: None,
            line: before.matches('\n').count() + 1,
            column: before[begin..].chars().count() + 1,
            text: line.to_owned(),
        }
    }

    /// The same error as one in `whole`, where the text it is about begins at a byte.
    pub(crate) fn within(self, whole: &str, begin: usize) -> Error {
        let lines = whole[begin..].split_inclusive('\n').take(self.line - 1);
        let line = begin + lines.map(str::len).sum::<usize>();
        let column = whole[line..].char_indices().nth(self.column - 1).map(|(at, _)| at);
        let offset = column.map_or(whole.len(), |at| line + at);
        Error { hint: self.hint, ..Error::at(whole, offset, &self.message) }
    }
}

impl fmt::Display for Error {
    /// The message with its place, the line, and a caret under the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at line {} column {}", self.message, self.line, self.column)?;
        writeln!(f, "{}", self.text)?;
        let before = self.text.chars().chain(std::iter::repeat(' '));
        let before = before.take(self.column.saturating_sub(1));
        // A tab takes as much room here as in the line above.
        let before: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
        write!(f, "{before}^")?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Every function: its name, and the fewest and most arguments that it takes.
pub fn functions() -> impl Iterator<Item = (&'static str, usize, usize)> {
    let all = Function::names().iter().filter_map(|name| Some((*name, Function::named(name)?)));
    all.map(|(name, function)| {
        let (least, most) = function.arity();
        (name, least, most)
    })
}

impl Statement {
    /// The statement that `text` writes in this version of the language.
    pub fn parse(text: &str, version: Version) -> Result<Statement, Error> {
        let statement = Statement::parse_stored(text, version)?;
        statement.roles()?;
        Ok(statement)
    }

    /// Whether every call has the role that it needs, as far as that is the same for all messages.
    pub(crate) fn roles(&self) -> Result<(), Error> {
        self.no_role.clone().map_or(Ok(()), Err)
    }

    /// The same of a rule that is there already: a call whose role is none makes it Undefined.
    pub(crate) fn parse_stored(text: &str, version: Version) -> Result<Statement, Error> {
        parse::statement(text, version)
    }

    /// Whom it may ask when it is evaluated, its `SET` clause included.
    pub fn asks(&self) -> Asks {
        self.asks
    }

    /// Whether its `FROM` takes messages on this topic.
    pub fn listens_to(&self, topic: &str) -> bool {
        let mut filters = super::tree::FilterTree::default();
        if let Some(filter) = &self.from {
            filters.insert(filter, ());
        }
        !filters.matching(topic).is_empty()
    }

    /// First names that its items are given, where they do not go by their own.
    pub(crate) fn aliases(&self) -> Vec<&str> {
        explain::aliases(&self.select)
    }

    /// Whether it has a variable of this name, written with its `@`.
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|(variable, _)| variable.as_ref() == name)
    }

    /// Whom a variable asks, perhaps by others that it reads.
    pub(crate) fn asks_for(&self, variable: &str) -> Asks {
        let found = self.variables.iter().find(|(name, _)| name.as_ref() == variable);
        let Some((_, expr)) = found else { return Asks::default() };
        // It reads only what was set before it.
        let read = variables_of(expr);
        read.iter().map(|name| self.asks_for(name)).fold(Asks::of([expr]), Asks::and)
    }

    /// Every expression of it.
    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let variables = self.variables.iter().map(|(_, expr)| expr);
        variables.chain(self.select.expressions()).chain(&self.filter)
    }
}

/// A single expression, as substitution templates hold them.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    expr: Expr,
    /// A call without the role that it needs.
    no_role: Option<Error>,
}

impl Expression {
    /// The expression that `text` writes, in the language of `version`.
    pub fn parse(text: &str, version: Version) -> Result<Expression, Error> {
        let expression = Expression::parse_stored(text, version)?;
        expression.roles()?;
        Ok(expression)
    }

    /// See [`Statement::roles`].
    pub(crate) fn roles(&self) -> Result<(), Error> {
        self.no_role.clone().map_or(Ok(()), Err)
    }

    /// The same of a rule that is there already: a call whose role is none is Undefined.
    pub(crate) fn parse_stored(text: &str, version: Version) -> Result<Expression, Error> {
        parse::expression(text, version)
    }

    /// Its value for a message, as the version of the statement evaluated before writes it.
    pub fn value(&self, facts: &Facts<'_>) -> Value {
        eval::expression(&self.expr, facts)
    }

    /// Whom it may ask when it is evaluated.
    pub fn asks(&self) -> Asks {
        Asks::of([&self.expr])
    }

    /// The names of members that it reads.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let mut found = Vec::new();
        self.expr.each(&mut |part| {
            if let Expr::Name(name) = part {
                found.push(Arc::clone(name));
            }
        });
        found
    }

    /// The variables it reads, with their `@`.
    pub(crate) fn variables(&self) -> Vec<Arc<str>> {
        variables_of(&self.expr)
    }
}

fn variables_of(expr: &Expr) -> Vec<Arc<str>> {
    let mut found = Vec::new();
    expr.each(&mut |part| {
        if let Expr::Variable(name) = part {
            found.push(Arc::clone(name));
        }
    });
    found
}

impl Select {
    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let (value, items) = match self {
            Select::Value(expr) => (Some(expr.as_ref()), [].as_slice()),
            Select::Items(items) => (None, items.as_slice()),
        };
        value.into_iter().chain(items.iter().filter_map(|item| match item {
            Item::All => None,
            Item::Members(expr) | Item::One(expr, _) => Some(expr),
        }))
    }
}

impl Sub {
    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        std::iter::once(&self.from).chain(self.select.expressions()).chain(&self.filter)
    }
}

impl Expr {
    /// Shows `see` this expression and every one within it.
    fn each<'a>(&'a self, see: &mut dyn FnMut(&'a Expr)) {
        // A long chain of operators is not deep, but leans to the left.
        let mut open = vec![self];
        while let Some(expr) = open.pop() {
            see(expr);
            match expr {
                Expr::Literal(_) | Expr::All | Expr::Name(_) | Expr::Variable(_) => {}
                Expr::Member(of, _) | Expr::Cast(of, _) | Expr::Not(of) | Expr::Negative(of) => {
                    open.push(of);
                }
                Expr::Call(_, items) | Expr::Array(items) => open.extend(items),
                Expr::Binary(left, _, right) => open.extend([left.as_ref(), right.as_ref()]),
                Expr::Exists(sub) | Expr::Sub(sub) => open.extend(sub.expressions()),
                Expr::Case(of, arms, otherwise) => {
                    open.push(of);
                    open.extend(arms.iter().flat_map(|(when, then)| [when, then]));
                    open.extend(otherwise.as_deref());
                }
                Expr::Object(members) => open.extend(members.iter().map(|(_, expr)| expr)),
            }
        }
    }

    /// Whether `.*` may stand behind it: it is no operator.
    fn is_spread(&self) -> bool {
        !matches!(self, Expr::Binary(..) | Expr::Not(_) | Expr::Negative(_))
    }

    /// Whether it names a place in the payload, whose value it gives as it stands there.
    fn is_path(&self) -> bool {
        match self {
            Expr::All | Expr::Name(_) => true,
            Expr::Member(of, _) => of.is_path(),
            _ => false,
        }
    }
}
