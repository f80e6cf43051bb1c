//! Update expressions: what changes in an item.

use super::parser::Parser;
use super::path::{Path, Projection};
use super::token::Token;
use super::{Kind, Placeholders};
use crate::error::ApiError;
use crate::tables::value::Value;

/// What an update expression changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Update {
    pub(crate) actions: Vec<Action>,
    /// All that the actions change.
    pub(crate) touched: Projection,
    /// Whether it was written without an expression: then AWS says other things of it.
    pub(crate) is_legacy: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// The path gets this value.
    Set(Path, Amount),
    /// The path goes away.
    Remove(Path),
    /// A number is added, or elements are added to a set.
    Add(Path, Value),
    /// Elements are taken out of a set.
    Delete(Path, Value),
}

/// What `SET` sets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amount {
    One(Source),
    Sum(Source, Source),
    Difference(Source, Source),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Value(Value),
    Path(Path),
    IfNotExists(Path, Box<Source>),
    ListAppend(Box<Source>, Box<Source>),
}

impl Source {
    fn paths<'a>(&'a self, visit: &mut dyn FnMut(&'a Path)) {
        match self {
            Source::Value(_) => {}
            Source::Path(path) => visit(path),
            Source::IfNotExists(path, default) => {
                visit(path);
                default.paths(visit);
            }
            Source::ListAppend(one, two) => {
                one.paths(visit);
                two.paths(visit);
            }
        }
    }
}

impl Action {
    /// What it changes.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Action::Set(path, _)
            | Action::Remove(path)
            | Action::Add(path, _)
            | Action::Delete(path, _) => path,
        }
    }
}

const SECTIONS: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];

impl Update {
    /// The update that `text` writes.
    pub(crate) fn parse(text: &str, placeholders: &mut Placeholders) -> Result<Update, ApiError> {
        let mut parser = Parser::new(Kind::Update, text, placeholders)?;
        let mut actions = Vec::new();
        let mut seen = Vec::new();
        while parser.peek() != Token::End {
            let section = SECTIONS.into_iter().find(|section| parser.keyword(section));
            let Some(section) = section else { return Err(parser.unexpected()) };
            if seen.contains(&section) {
                return Err(parser.invalid(format!(
                    "The \"{section}\" section can only be used once in an update expression;"
                )));
            }
            seen.push(section);
            actions.push(action(&mut parser, section)?);
            while parser.symbol(",") {
                actions.push(action(&mut parser, section)?);
            }
        }
        let touched = Projection::of(Kind::Update, actions.iter().map(Action::path))?;
        Ok(Update { actions, touched, is_legacy: false })
    }

    /// The update that `AttributeUpdates` writes.
    pub(crate) fn legacy(actions: Vec<Action>) -> Result<Update, ApiError> {
        let touched = Projection::of(Kind::Update, actions.iter().map(Action::path))?;
        Ok(Update { actions, touched, is_legacy: true })
    }

    /// Calls `visit` with every path it names.
    pub(crate) fn paths<'a>(&'a self, visit: &mut dyn FnMut(&'a Path)) {
        for action in &self.actions {
            visit(action.path());
            if let Action::Set(_, amount) = action {
                match amount {
                    Amount::One(one) => one.paths(visit),
                    Amount::Sum(one, two) | Amount::Difference(one, two) => {
                        one.paths(visit);
                        two.paths(visit);
                    }
                }
            }
        }
    }

    /// Whether it only takes away: then an item that is not there stays away.
    pub(crate) fn only_removes(&self) -> bool {
        let removes = |action: &Action| matches!(action, Action::Remove(_) | Action::Delete(..));
        !self.actions.is_empty() && self.actions.iter().all(removes)
    }
}

fn action(parser: &mut Parser<'_>, section: &str) -> Result<Action, ApiError> {
    let path = parser.path()?;
    match section {
        "SET" => {
            parser.expect("=")?;
            Ok(Action::Set(path, amount(parser)?))
        }
        "REMOVE" => Ok(Action::Remove(path)),
        "ADD" => {
            let value = literal(parser)?;
            match value {
                Value::N(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_) => {
                    Ok(Action::Add(path, value))
                }
                other => Err(not_for(parser, "ADD", &other)),
            }
        }
        _ => {
            let value = literal(parser)?;
            match value {
                Value::Ss(_) | Value::Ns(_) | Value::Bs(_) => Ok(Action::Delete(path, value)),
                other => Err(not_for(parser, "DELETE", &other)),
            }
        }
    }
}

fn literal(parser: &mut Parser<'_>) -> Result<Value, ApiError> {
    match parser.peek() {
        Token::Value(key) => parser.value(key),
        _ => Err(parser.unexpected()),
    }
}

fn not_for(parser: &Parser<'_>, operator: &str, value: &Value) -> ApiError {
    let kind = match value {
        Value::S(_) => "STRING",
        Value::N(_) => "NUMBER",
        Value::B(_) => "BINARY",
        Value::Bool(_) => "BOOLEAN",
        Value::Null => "NULL",
        Value::M(_) => "MAP",
        Value::L(_) => "LIST",
        Value::Ss(_) => "STRING_SET",
        Value::Ns(_) => "NUMBER_SET",
        Value::Bs(_) => "BINARY_SET",
    };
    parser.invalid(format!(
        "Incorrect operand type for operator or function; operator: {operator}, operand type: \
         {kind}, typeSet: ALLOWED_FOR_{operator}_OPERAND"
    ))
}

fn amount(parser: &mut Parser<'_>) -> Result<Amount, ApiError> {
    let first = term(parser)?;
    let Token::Symbol(operator @ ("+" | "-")) = parser.peek() else {
        return Ok(first);
    };
    let Amount::One(first) = first else { return Err(parser.unexpected()) };
    parser.next();
    let Amount::One(second) = term(parser)? else { return Err(parser.unexpected()) };
    for operand in [&first, &second] {
        match operand {
            Source::Value(Value::N(_)) | Source::Path(_) | Source::IfNotExists(..) => {}
            Source::Value(value) => return Err(parser.operand_type(operator, value)),
            Source::ListAppend(..) => return Err(parser.misused("list_append")),
        }
    }
    Ok(match operator {
        "+" => Amount::Sum(first, second),
        _ => Amount::Difference(first, second),
    })
}

/// One side of an amount, or a whole one in brackets.
fn term(parser: &mut Parser<'_>) -> Result<Amount, ApiError> {
    if !parser.symbol("(") {
        return Ok(Amount::One(source(parser)?));
    }
    parser.nested(|parser| parser.in_brackets(amount))
}

fn source(parser: &mut Parser<'_>) -> Result<Source, ApiError> {
    match (parser.peek(), parser.function()) {
        (Token::Value(key), _) => Ok(Source::Value(parser.value(key)?)),
        (_, Some("if_not_exists")) => if_not_exists(parser),
        (_, Some("list_append")) => list_append(parser),
        (
            _,
            Some(
                name @ ("attribute_exists"
                | "attribute_not_exists"
                | "attribute_type"
                | "begins_with"
                | "contains"
                | "size"),
            ),
        ) => Err(parser.invalid(format!(
            "The function is not allowed in an update expression; function: {name}"
        ))),
        (_, Some(name)) => Err(parser.invalid(format!("Invalid function name; function: {name}"))),
        (Token::Symbol("("), _) => {
            parser.next();
            parser.nested(|parser| parser.in_brackets(source))
        }
        _ => Ok(Source::Path(parser.path()?)),
    }
}

fn two(parser: &mut Parser<'_>, function: &str) -> Result<(Source, Source), ApiError> {
    parser.next();
    let mut sources = parser.arguments(function, 2, source)?;
    match (sources.pop(), sources.pop()) {
        (Some(second), Some(first)) => Ok((first, second)),
        _ => Err(parser.unexpected()),
    }
}

fn if_not_exists(parser: &mut Parser<'_>) -> Result<Source, ApiError> {
    match two(parser, "if_not_exists")? {
        (Source::Path(path), default) => Ok(Source::IfNotExists(path, Box::new(default))),
        _ => Err(parser.invalid(
            "Operator or function requires a document path; operator or function: if_not_exists",
        )),
    }
}

fn list_append(parser: &mut Parser<'_>) -> Result<Source, ApiError> {
    let (first, second) = two(parser, "list_append")?;
    for operand in [&first, &second] {
        match operand {
            Source::Value(Value::L(_)) | Source::Path(_) | Source::IfNotExists(..) => {}
            Source::Value(value) => return Err(parser.operand_type("list_append", value)),
            // DynamoDB does not nest it.
            Source::ListAppend(..) => return Err(parser.misused("list_append")),
        }
    }
    Ok(Source::ListAppend(Box::new(first), Box::new(second)))
}
