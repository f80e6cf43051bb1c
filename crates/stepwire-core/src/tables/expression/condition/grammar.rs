//! How conditions are written.

use std::cmp::Ordering;

use super::{Comparator, Condition, Operand, order, size};
use crate::error::ApiError;
use crate::tables::expression::parser::Parser;
use crate::tables::expression::path::Path;
use crate::tables::expression::token::Token;
use crate::tables::expression::{Kind, Placeholders};
use crate::tables::number::Number;
use crate::tables::value::{Type, Value};

/// Values that `IN` may list.
const IN_MAX: usize = 100;

/// The condition that `text` writes.
pub(super) fn parse(
    kind: Kind,
    text: &str,
    placeholders: &mut Placeholders,
) -> Result<Condition, ApiError> {
    let mut parser = Parser::new(kind, text, placeholders)?;
    let condition = any(&mut parser)?;
    parser.end()?;
    Ok(condition)
}

fn any(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    let first = all(parser)?;
    if !parser.at_keyword("OR") {
        return Ok(first);
    }
    let mut parts = vec![first];
    while parser.keyword("OR") {
        parts.push(all(parser)?);
    }
    Ok(Condition::Any(parts))
}

fn all(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    let first = not(parser)?;
    if !parser.at_keyword("AND") {
        return Ok(first);
    }
    let mut parts = vec![first];
    while parser.keyword("AND") {
        parts.push(not(parser)?);
    }
    Ok(Condition::All(parts))
}

fn not(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    if parser.keyword("NOT") {
        return Ok(Condition::Not(Box::new(parser.nested(not)?)));
    }
    if parser.peek() == Token::Symbol("(") {
        return if operand_in_brackets(parser) {
            comparison(parser)
        } else {
            parser.next();
            parser.nested(|parser| parser.in_brackets(any))
        };
    }
    match parser.function() {
        Some("size") | None => comparison(parser),
        Some(name) => function(parser, name),
    }
}

/// Whether the bracket that comes next is around an operand, not around a condition: then an operator
/// follows it.
fn operand_in_brackets(parser: &Parser<'_>) -> bool {
    let (mut at, mut open) = (0, 0_usize);
    loop {
        match parser.ahead(at) {
            Token::Symbol("(") => open += 1,
            Token::Symbol(")") => open -= 1,
            Token::End => return false,
            _ => {}
        }
        at += 1;
        if open == 0 {
            break;
        }
    }
    let next = parser.ahead(at);
    let is =
        |keyword: &str| matches!(next, Token::Word(word) if word.eq_ignore_ascii_case(keyword));
    comparator(next).is_some() || is("BETWEEN") || is("IN")
}

fn function(parser: &mut Parser<'_>, name: &str) -> Result<Condition, ApiError> {
    let count = match name {
        "attribute_exists" | "attribute_not_exists" => 1,
        "attribute_type" | "begins_with" | "contains" => 2,
        _ => return Err(unknown_function(parser, name)),
    };
    parser.next();
    let mut operands = parser.arguments(name, count, operand)?.into_iter();
    let (Some(first), second) = (operands.next(), operands.next()) else {
        return Err(parser.unexpected());
    };
    if comparator(parser.peek()).is_some() {
        return Err(parser.misused(name));
    }
    match (name, second) {
        ("attribute_exists", None) => Ok(Condition::Exists(only_path(parser, name, first)?)),
        ("attribute_not_exists", None) => Ok(Condition::NotExists(only_path(parser, name, first)?)),
        ("attribute_type", Some(kind)) => {
            distinct(parser, name, &first, &kind)?;
            let kind = type_operand(parser, &kind)?;
            Ok(Condition::HasType(first, kind))
        }
        ("begins_with", Some(start)) => {
            for operand in [&first, &start] {
                match operand {
                    Operand::Value(Value::S(_) | Value::B(_)) | Operand::Path(_) => {}
                    Operand::Value(value) => return Err(parser.operand_type(name, value)),
                    Operand::Size(_) => {
                        return Err(parser.operand_type(name, &Value::N(Number::ZERO)));
                    }
                }
            }
            distinct(parser, name, &first, &start)?;
            Ok(Condition::BeginsWith(first, start))
        }
        ("contains", Some(part)) => {
            distinct(parser, name, &first, &part)?;
            Ok(Condition::Contains(first, part))
        }
        _ => Err(parser.unexpected()),
    }
}

fn unknown_function(parser: &Parser<'_>, name: &str) -> ApiError {
    if matches!(name, "if_not_exists" | "list_append") {
        return parser.misused(name);
    }
    parser.invalid(format!("Invalid function name; function: {name}"))
}

fn only_path(parser: &Parser<'_>, function: &str, operand: Operand) -> Result<Path, ApiError> {
    match operand {
        Operand::Path(path) => Ok(path),
        Operand::Value(_) | Operand::Size(_) => Err(parser.invalid(format!(
            "Operator or function requires a document path; operator or function: {function}"
        ))),
    }
}

fn type_operand(parser: &Parser<'_>, operand: &Operand) -> Result<Type, ApiError> {
    match operand {
        Operand::Value(Value::S(name)) => Type::named(name).ok_or_else(|| {
            parser.invalid(format!(
                "Invalid attribute type name found; type: {name}, valid types: \
                 {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
            ))
        }),
        Operand::Value(value) => Err(parser.operand_type("attribute_type", value)),
        Operand::Size(_) => Err(parser.operand_type("attribute_type", &Value::N(Number::ZERO))),
        Operand::Path(_) => Err(parser.invalid(
            "Incorrect operand type for operator or function; operator or function: \
             attribute_type, operand type: M",
        )),
    }
}

/// Refuses to compare an attribute with itself.
fn distinct(
    parser: &Parser<'_>,
    operator: &str,
    first: &Operand,
    second: &Operand,
) -> Result<(), ApiError> {
    match (first, second) {
        (Operand::Path(one), Operand::Path(two)) if one == two => Err(parser.invalid(format!(
            "The first operand must be distinct from the remaining operands for this operator or \
             function; operator: {operator}, first operand: {one}"
        ))),
        _ => Ok(()),
    }
}

fn comparison(parser: &mut Parser<'_>) -> Result<Condition, ApiError> {
    let left = operand(parser)?;
    if let Some(comparator) = comparator(parser.peek()) {
        let Token::Symbol(symbol) = parser.next() else { return Err(parser.unexpected()) };
        let right = operand(parser)?;
        if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
            ordered(parser, symbol, &left)?;
            ordered(parser, symbol, &right)?;
        }
        distinct(parser, symbol, &left, &right)?;
        return Ok(Condition::Compare(left, comparator, right));
    }
    if parser.keyword("BETWEEN") {
        return between(parser, left);
    }
    if parser.keyword("IN") {
        return listed(parser, left);
    }
    match left {
        Operand::Size(_) => Err(parser.misused("size")),
        Operand::Path(_) | Operand::Value(_) => Err(parser.unexpected()),
    }
}

fn comparator(token: Token<'_>) -> Option<Comparator> {
    let Token::Symbol(symbol) = token else { return None };
    Some(match symbol {
        "=" => Comparator::Equal,
        "<>" => Comparator::NotEqual,
        "<" => Comparator::Less,
        "<=" => Comparator::LessOrEqual,
        ">" => Comparator::Greater,
        ">=" => Comparator::GreaterOrEqual,
        _ => return None,
    })
}

/// Refuses a value that has no order.
fn ordered(parser: &Parser<'_>, operator: &str, operand: &Operand) -> Result<(), ApiError> {
    match operand {
        Operand::Value(value) if order(value, value).is_none() => {
            Err(parser.operand_type(operator, value))
        }
        _ => Ok(()),
    }
}

fn between(parser: &mut Parser<'_>, left: Operand) -> Result<Condition, ApiError> {
    let low = operand(parser)?;
    if !parser.keyword("AND") {
        return Err(parser.unexpected());
    }
    let high = operand(parser)?;
    for operand in [&left, &low, &high] {
        ordered(parser, "BETWEEN", operand)?;
    }
    if let (Operand::Value(low), Operand::Value(high)) = (&low, &high) {
        let bounds = || {
            format!(
                "lower bound operand: AttributeValue: {}, upper bound operand: AttributeValue: {}",
                plain(low),
                plain(high)
            )
        };
        match order(low, high) {
            None => {
                return Err(parser.invalid(format!(
                    "The BETWEEN operator requires same data type for lower and upper bounds; {}",
                    bounds()
                )));
            }
            Some(Ordering::Greater) => {
                return Err(parser.invalid(format!(
                    "The BETWEEN operator requires upper bound to be greater than or equal to \
                     lower bound; {}",
                    bounds()
                )));
            }
            Some(_) => {}
        }
    }
    Ok(Condition::Between(left, low, high))
}

/// A value as DynamoDB's messages write it: `{S:text}`.
fn plain(value: &Value) -> String {
    let content = match value {
        Value::S(text) => text.to_string(),
        Value::N(number) => number.to_string(),
        other => other.to_json().to_text(),
    };
    format!("{{{}:{content}}}", value.kind().name())
}

fn listed(parser: &mut Parser<'_>, left: Operand) -> Result<Condition, ApiError> {
    parser.expect("(")?;
    let mut list = vec![operand(parser)?];
    while parser.symbol(",") {
        list.push(operand(parser)?);
    }
    parser.expect(")")?;
    if list.len() > IN_MAX {
        return Err(parser.invalid(format!(
            "The IN operator is provided with too many operands; number of operands: {}",
            list.len()
        )));
    }
    Ok(Condition::In(left, list))
}

fn operand(parser: &mut Parser<'_>) -> Result<Operand, ApiError> {
    match (parser.peek(), parser.function()) {
        (Token::Symbol("("), _) => {
            parser.next();
            parser.nested(|parser| parser.in_brackets(operand))
        }
        (Token::Value(key), _) => Ok(Operand::Value(parser.value(key)?)),
        (_, Some("size")) => {
            parser.next();
            let mut arguments = parser.arguments("size", 1, operand)?;
            let argument = arguments.pop().ok_or_else(|| parser.unexpected())?;
            match &argument {
                Operand::Value(value) if size(value).is_none() => {
                    Err(parser.operand_type("size", value))
                }
                Operand::Size(_) => Err(parser.operand_type("size", &Value::N(Number::ZERO))),
                _ => Ok(Operand::Size(Box::new(argument))),
            }
        }
        (_, Some(name))
            if matches!(name, "attribute_exists" | "attribute_not_exists")
                || matches!(name, "attribute_type" | "begins_with" | "contains") =>
        {
            Err(parser.misused(name))
        }
        (_, Some(name)) => Err(unknown_function(parser, name)),
        _ => Ok(Operand::Path(parser.path()?)),
    }
}
