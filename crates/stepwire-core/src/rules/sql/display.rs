//! Statements as text again: what is written parses to the same statement.

use std::fmt::{self, Display, Formatter};

use stepwire_asl::Json;

use super::lex::is_word;
use super::parse::clauses::last_name;
use super::{Expr, Item, Operator, Select, Statement, Sub, Type};

/// How tightly an expression binds, from loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Comparison,
    Sum,
    Product,
    Sign,
    Member,
    Primary,
}

impl Level {
    /// The next tighter one: what stands to the right of an operator binds more than it.
    fn tighter(self) -> Level {
        match self {
            Level::Or => Level::And,
            Level::And => Level::Not,
            Level::Not => Level::Comparison,
            Level::Comparison => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product => Level::Sign,
            Level::Sign => Level::Member,
            Level::Member | Level::Primary => Level::Primary,
        }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, (name, expr)) in self.variables.iter().enumerate() {
            write!(f, "{} {name} = {expr}", if at == 0 { "SET" } else { "," })?;
        }
        let space = if self.variables.is_empty() { "" } else { " " };
        write!(f, "{space}{}", self.select)?;
        if let Some(from) = &self.from {
            write!(f, " FROM {}", Quoted(from))?;
        }
        condition(self.filter.as_ref(), f)
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Select::Value(expr) => {
                f.write_str("SELECT VALUE ")?;
                within(expr, if begins_plainly(expr) { Level::Or } else { Level::Primary }, f)
            }
            Select::Items(items) => {
                f.write_str("SELECT ")?;
                listed(items, f)
            }
        }
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Item::All => f.write_str("*"),
            Item::Members(expr) => {
                within(expr, Level::Member, f)?;
                f.write_str(".*")
            }
            Item::One(expr, path) => {
                let named = path.as_slice() == [last_name(expr)];
                let text = expr.to_string();
                match text.strip_prefix('*') {
                    // A star in front would be an item of its own.
                    Some(rest) if named || !rest.is_empty() => write!(f, "(*){rest}")?,
                    _ => f.write_str(&text)?,
                }
                if !named {
                    f.write_str(" AS ")?;
                    dotted(path, f)?;
                }
                Ok(())
            }
        }
    }
}

impl Display for Sub {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} FROM ", self.select)?;
        within(&self.from, Level::Member, f)?;
        if let Some(alias) = &self.alias {
            write!(f, " AS {}", Name(alias))?;
        }
        condition(self.filter.as_ref(), f)
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Literal(value) => literal(value, f),
            Expr::All => f.write_str("*"),
            Expr::Name(name) | Expr::Variable(name) => f.write_str(name),
            Expr::Member(of, names) => {
                // `5.a` would read as a number.
                let number = matches!(**of, Expr::Literal(Json::Number(_)));
                if number {
                    write!(f, "({of})")?;
                } else {
                    within(of, Level::Primary, f)?;
                }
                f.write_str(".")?;
                dotted(names, f)
            }
            Expr::Call(function, arguments) => {
                write!(f, "{}(", function.documented())?;
                listed(arguments, f)?;
                f.write_str(")")
            }
            Expr::Cast(of, to) => write!(f, "cast({of} AS {to})"),
            Expr::Not(of) => {
                f.write_str("NOT ")?;
                within(of, Level::Not, f)
            }
            Expr::Negative(of) => {
                f.write_str("-")?;
                within(of, Level::Member, f)
            }
            Expr::Binary(..) => chain(self, f),
            Expr::Exists(sub) => write!(f, "EXISTS({sub})"),
            Expr::Sub(sub) => write!(f, "({sub})"),
            Expr::Case(of, arms, otherwise) => {
                write!(f, "CASE {of}")?;
                for (when, then) in arms {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " ELSE {otherwise}")?;
                }
                f.write_str(" END")
            }
            Expr::Object(members) => {
                f.write_str("{")?;
                for (at, (name, value)) in members.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{}: {value}", Quoted(name))?;
                }
                f.write_str("}")
            }
            Expr::Array(items) => {
                f.write_str("[")?;
                listed(items, f)?;
                f.write_str("]")
            }
        }
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::Or => "OR",
            Operator::And => "AND",
            Operator::Equal => "=",
            Operator::NotEqual => "<>",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Plus => "+",
            Operator::Minus => "-",
            Operator::Times => "*",
            Operator::Divide => "/",
            Operator::Modulo => "%",
            Operator::In => "IN",
        })
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::String => "String",
            Type::Int => "Int",
            Type::Decimal => "Decimal",
            Type::Boolean => "Boolean",
        })
    }
}

/// Operators that follow each other, first to last: a long chain is not deep.
fn chain(expr: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
    let (mut links, mut first, mut level) = (Vec::new(), expr, Level::Or);
    while let Expr::Binary(left, operator, right) = first
        && level_of(first) >= level
    {
        level = level_of(first);
        links.push((operator, right));
        first = left;
    }
    within(first, level, f)?;
    for (operator, right) in links.into_iter().rev() {
        write!(f, " {operator} ")?;
        within(right, operator.level().tighter(), f)?;
    }
    Ok(())
}

impl Operator {
    fn level(self) -> Level {
        match self {
            Operator::Or => Level::Or,
            Operator::And => Level::And,
            Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::In => Level::Comparison,
            Operator::Plus | Operator::Minus => Level::Sum,
            Operator::Times | Operator::Divide | Operator::Modulo => Level::Product,
        }
    }
}

fn level_of(expr: &Expr) -> Level {
    match expr {
        Expr::Binary(_, operator, _) => operator.level(),
        Expr::Not(_) => Level::Not,
        Expr::Negative(_) => Level::Sign,
        Expr::Member(..) => Level::Member,
        Expr::Literal(_)
        | Expr::All
        | Expr::Name(_)
        | Expr::Variable(_)
        | Expr::Call(..)
        | Expr::Cast(..)
        | Expr::Exists(_)
        | Expr::Sub(_)
        | Expr::Case(..)
        | Expr::Object(_)
        | Expr::Array(_) => Level::Primary,
    }
}

/// The expression where something that binds at least as `level` must stand.
fn within(expr: &Expr, level: Level, f: &mut Formatter<'_>) -> fmt::Result {
    if level_of(expr) < level { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

/// Whether `VALUE` before it is read as the keyword, without parentheses.
fn begins_plainly(expr: &Expr) -> bool {
    match expr {
        Expr::Member(of, _) => begins_plainly(of),
        Expr::Binary(..) | Expr::Not(_) | Expr::Negative(_) => false,
        _ => true,
    }
}

fn listed<T: Display>(items: &[T], f: &mut Formatter<'_>) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}

fn condition(filter: Option<&Expr>, f: &mut Formatter<'_>) -> fmt::Result {
    match filter {
        Some(filter) => write!(f, " WHERE {filter}"),
        None => Ok(()),
    }
}

fn literal(value: &Json, f: &mut Formatter<'_>) -> fmt::Result {
    match value {
        Json::String(text) => write!(f, "{}", Quoted(text)),
        other => f.write_str(&other.to_text()),
    }
}

/// Names with points between.
pub(super) fn dotted<N: AsRef<str>>(names: &[N], f: &mut Formatter<'_>) -> fmt::Result {
    for (at, name) in names.iter().enumerate() {
        let point = if at > 0 { "." } else { "" };
        write!(f, "{point}{}", Name(name.as_ref()))?;
    }
    Ok(())
}

/// A name of a member or alias, in quotes if it is no word.
pub(super) struct Name<'n>(pub(super) &'n str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_word(self.0) && !self.0.starts_with('@') {
            f.write_str(self.0)
        } else {
            write!(f, "{}", Quoted(self.0))
        }
    }
}

/// A text in quotes.
pub(super) struct Quoted<'t>(pub(super) &'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        for c in self.0.chars() {
            match c {
                '\'' => f.write_str("''")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("'")
    }
}
