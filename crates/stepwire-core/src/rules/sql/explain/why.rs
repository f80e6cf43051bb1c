//! Why a part came to what it came to, in words.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::diagnostic::nearest;

use super::super::display::Name;
use super::super::eval::{Row, named};
use super::super::{Expr, Operator, Type, Value};
use super::{Kind, Part, sql};

const NO_MEMBERS: &str = "the payload is not JSON, so it has no members";
/// A name with fewer letters is like none.
const ALIKE_MIN: usize = 3;
/// Names of members that are shown.
const NAMES_MAX: usize = 4;
/// Names that are compared with the one that is missing.
const COMPARED_MAX: usize = 1_000;
/// Characters of a value that are shown within a sentence.
const VALUE_MAX: usize = 40;
/// Parts of an `OR` that are shown.
const BLAMED_MAX: usize = 3;

/// Why `expr` came to Undefined, or to false where one may wonder.
pub(super) fn of(
    expr: &Expr,
    row: &Row<'_>,
    value: &Value,
    parts: &[Part],
    set: &[(Arc<str>, Value)],
) -> Option<String> {
    match value {
        Value::Undefined => undefined(expr, row, parts, set),
        Value::Json(Json::Bool(false)) => falsehood(expr, parts),
        Value::Json(_) | Value::Bytes(_) => None,
    }
}

fn undefined(
    expr: &Expr,
    row: &Row<'_>,
    parts: &[Part],
    set: &[(Arc<str>, Value)],
) -> Option<String> {
    match expr {
        Expr::Literal(_) | Expr::Exists(_) | Expr::Object(_) | Expr::Array(_) => None,
        Expr::All => Some("there is no JSON here".to_owned()),
        Expr::Name(name) => Some(missing_name(name, row)),
        Expr::Variable(_) => Some("SET made it Undefined".to_owned()),
        Expr::Member(of, names) => {
            let base = match &**of {
                Expr::Name(name) => named(row, name),
                Expr::Variable(name) => {
                    let set = set.iter().find(|(variable, _)| variable == name);
                    set.map_or(Value::Undefined, |(_, value)| value.clone())
                }
                Expr::All => row.value.cloned().map_or(Value::Undefined, Value::Json),
                _ => parts.first()?.value.clone()?,
            };
            missing_member(of, base, names, row, parts)
        }
        Expr::Call(..) => {
            parts.iter().find(|part| part.is_undefined()).map(because).or_else(|| {
                let values: Vec<String> = parts.iter().map(described).collect();
                let these = if values.is_empty() { "this message" } else { "these arguments" };
                let list = if values.is_empty() {
                    String::new()
                } else {
                    format!(": {}", values.join(", "))
                };
                Some(format!("it has no value for {these}{list}"))
            })
        }
        Expr::Cast(_, to) => parts.first().map(|of| uncast(of, *to)),
        Expr::Not(_) => parts.first().map(|of| unfit(of, "a Boolean")),
        Expr::Negative(_) => parts.first().map(|of| unfit(of, "a number")),
        Expr::Binary(_, operator, _) => unanswered(*operator, parts),
        Expr::Sub(_) => parts.first().map(|source| match &source.value {
            Some(Value::Json(_)) | None => "it selects nothing".to_owned(),
            Some(Value::Undefined) => because(source),
            Some(Value::Bytes(_)) => "the payload is not JSON, so it has no rows".to_owned(),
        }),
        Expr::Case(..) => Some(match parts.first() {
            Some(of) if of.is_undefined() => because(of),
            _ => match parts.iter().rfind(|part| part.value.is_some() && is_outcome(part)) {
                Some(taken) if taken.is_undefined() => because(taken),
                _ => "no WHEN is equal, and there is no ELSE".to_owned(),
            },
        }),
    }
}

/// Why an operator has no value for its operands.
fn unanswered(operator: Operator, operands: &[Part]) -> Option<String> {
    if let Some(part) = operands.iter().find(|part| part.is_undefined()) {
        return Some(because(part));
    }
    let number = |part: &&Part| part.value.as_ref().is_some_and(|value| value.number().is_none());
    match operator {
        Operator::And | Operator::Or => {
            let other =
                |part: &&Part| part.value.as_ref().is_some_and(|value| value.boolean().is_none());
            operands.iter().find(other).map(|part| unfit(part, "a Boolean"))
        }
        Operator::In => operands.last().map(|part| unfit(part, "an array")),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            operands.iter().find(number).map(|part| unfit(part, "a number"))
        }
        Operator::Plus
        | Operator::Minus
        | Operator::Times
        | Operator::Divide
        | Operator::Modulo => {
            let other = operands.iter().find(number).map(|part| unfit(part, "a number"));
            other.or_else(|| Some("the result is no number, as that of a division by 0".to_owned()))
        }
        Operator::Equal | Operator::NotEqual => None,
    }
}

/// Why something is false that may look true.
fn falsehood(expr: &Expr, parts: &[Part]) -> Option<String> {
    match (expr, parts) {
        (Expr::Binary(_, Operator::Equal, _), [left, right]) => {
            unequal(left.value.as_ref()?, right.value.as_ref()?)
        }
        (Expr::Exists(_), [source, rows @ ..]) => Some(match &source.value {
            Some(Value::Json(Json::Array(items))) if items.is_empty() => {
                format!("`{}` is an empty array", source.sql)
            }
            Some(Value::Json(_)) => match rows.iter().find(|row| !row.is_true()) {
                Some(row) => format!("no row holds; of the first, {}", blame(row)),
                None => "no row holds".to_owned(),
            },
            _ => because(source),
        }),
        _ => None,
    }
}

fn unequal(left: &Value, right: &Value) -> Option<String> {
    let (a, b) = (kind(left), kind(right));
    if a != b {
        let numeric = [left, right].into_iter().all(|value| value.number().is_some());
        let hint = if numeric { "; cast(… AS Decimal) makes a number of a string" } else { "" };
        return Some(format!("{a} never equals {b}{hint}"));
    }
    let (left, right) = (left.json()?.as_str()?, right.json()?.as_str()?);
    if left.eq_ignore_ascii_case(right) {
        return Some("they differ in the case of letters".to_owned());
    }
    (left.trim() == right.trim()).then(|| "they differ in spaces around them".to_owned())
}

/// What to say of a part that is to blame for what it is a part of.
fn because(part: &Part) -> String {
    part.why.clone().unwrap_or_else(|| described(part))
}

/// A part and its value.
fn described(part: &Part) -> String {
    let value = part.value.as_ref().map_or_else(|| "not needed".to_owned(), brief);
    if part.is_literal() { value } else { format!("`{}` is {value}", part.sql) }
}

/// A part that is not of the type that is needed there.
fn unfit(part: &Part, needed: &str) -> String {
    if part.is_undefined() {
        return because(part);
    }
    let value = part.value.as_ref().map(brief).unwrap_or_default();
    if part.is_literal() {
        format!("{value} is not {needed}")
    } else {
        format!("`{}` is {value}, not {needed}", part.sql)
    }
}

fn uncast(of: &Part, to: Type) -> String {
    if of.is_undefined() {
        return because(of);
    }
    let value = of.value.as_ref().map(brief).unwrap_or_default();
    format!("{value} cannot be cast to {to}")
}

/// Why a name means nothing.
fn missing_name(name: &str, row: &Row<'_>) -> String {
    let what = if row.outer.is_some() { "the row" } else { "the payload" };
    match row.value {
        None => NO_MEMBERS.to_owned(),
        Some(value) => missing_in(what, value, name),
    }
}

/// At which name of a path a value is missing.
fn missing_member(
    of: &Expr,
    base: Value,
    names: &[Arc<str>],
    row: &Row<'_>,
    parts: &[Part],
) -> Option<String> {
    let mut path = sql(of);
    let mut value = match (of, base) {
        (_, Value::Json(value)) => value,
        (Expr::Name(name), _) => return Some(missing_name(name, row)),
        (Expr::Variable(name), _) => return Some(format!("SET made `{name}` Undefined")),
        (Expr::All, _) => return Some(NO_MEMBERS.to_owned()),
        (_, Value::Undefined) => return parts.first().map(because),
        (_, Value::Bytes(_)) => return Some(format!("`{path}` is bytes, which have no members")),
    };
    for name in names {
        match value.member(name).cloned() {
            Some(member) => value = member,
            None => return Some(missing_in(&format!("`{path}`"), &value, name)),
        }
        path = format!("{path}.{}", Name(name));
    }
    None
}

/// That `value`, which is called `what`, has no member of this name, and what it has.
fn missing_in(what: &str, value: &Json, name: &str) -> String {
    match value {
        Json::Object(members) => {
            let names: Vec<&str> = members.keys().map(AsRef::as_ref).collect();
            format!("{what} has no member `{name}`{}", others(&names, name))
        }
        Json::Array(_) => {
            format!("{what} is an array: get() or a sub-select reaches into it, `.{name}` does not")
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            let kind = kind_of(value);
            format!("{what} is {kind}, not an object with a member `{name}`")
        }
    }
}

/// What is there instead: what looks alike, else the first few.
fn others(names: &[&str], wanted: &str) -> String {
    let lower = wanted.to_lowercase();
    let is_long = |text: &str| text.chars().count() >= ALIKE_MIN;
    let alike = |name: &&&str| {
        let name = name.to_lowercase();
        let within = |part: &str, whole: &str| is_long(part) && whole.contains(part);
        name == lower || within(&lower, &name) || within(&name, &lower)
    };
    let compared = || names.iter().take(COMPARED_MAX);
    let near = || is_long(wanted).then(|| nearest(wanted, compared().copied())).flatten();
    if let Some(name) = compared().find(alike).copied().or_else(near) {
        return format!("; it has `{}`", short(name));
    }
    let shown: Vec<String> =
        names.iter().take(NAMES_MAX).map(|name| format!("`{}`", short(name))).collect();
    match names.len() {
        0 => "; it is empty".to_owned(),
        count if count > NAMES_MAX => {
            format!("; it has {} and {} more", shown.join(", "), count - NAMES_MAX)
        }
        _ => format!("; it has {}", shown.join(", ")),
    }
}

/// Why a part is not true.
pub(super) fn blame(part: &Part) -> String {
    match part.kind {
        Kind::And => match part.parts.iter().find(|part| !part.is_true()) {
            Some(guilty) => blame_operand(guilty),
            None => leaf(part),
        },
        Kind::Or => {
            let odd =
                |part: &&Part| part.value.as_ref().is_some_and(|value| value.boolean().is_none());
            if let Some(guilty) = part.parts.iter().find(odd) {
                return blame_operand(guilty);
            }
            let shown = part.parts.iter().take(BLAMED_MAX).map(blame);
            let mut shown: Vec<String> = shown.collect();
            if part.parts.len() > BLAMED_MAX {
                shown.push("…".to_owned());
            }
            if shown.is_empty() { leaf(part) } else { shown.join("; ") }
        }
        Kind::Not => match part.parts.first() {
            Some(of) if of.is_undefined() => blame(of),
            _ => leaf(part),
        },
        Kind::Case => {
            let mut arms = part.parts.iter().rev();
            match arms.find(|arm| arm.value.is_some() && is_outcome(arm)) {
                Some(taken) if !taken.is_literal() => blame(taken),
                _ => leaf(part),
            }
        }
        Kind::Literal | Kind::Other => leaf(part),
    }
}

/// The same of an operand of `AND` and `OR`, which must be a Boolean; the words `true` and `false`
/// count as such.
fn blame_operand(part: &Part) -> String {
    match &part.value {
        Some(value) if !part.is_undefined() && value.boolean().is_none() => {
            unfit(part, "a Boolean")
        }
        _ => blame(part),
    }
}

/// Whether it is what an arm of a `CASE` gives.
fn is_outcome(arm: &Part) -> bool {
    matches!(&*arm.label, "THEN" | "ELSE")
}

/// A part, its value, and why or from what.
fn leaf(part: &Part) -> String {
    let value = part.value.as_ref().map(brief).unwrap_or_default();
    let told = if part.is_literal() {
        format!("it is {value}")
    } else {
        format!("`{}` is {value}", part.sql)
    };
    let shown = |part: &&Part| part.label.is_empty() && !part.is_literal() && part.value.is_some();
    let of = part.parts.iter().filter(shown);
    let of: Vec<String> = of.take(NAMES_MAX).map(described).collect();
    match (&part.why, of.is_empty()) {
        (Some(why), true) => format!("{told}: {why}"),
        (Some(why), false) if part.is_undefined() => format!("{told}: {why}"),
        (Some(why), false) => format!("{told}: {}; {why}", of.join(", ")),
        (None, false) => format!("{told}: {}", of.join(", ")),
        (None, true) => told,
    }
}

/// What kind of value it is, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Undefined => "Undefined",
        Value::Bytes(_) => "bytes",
        Value::Json(json) => kind_of(json),
    }
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a Boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// A value within a sentence.
pub(crate) fn brief(value: &Value) -> String {
    match value {
        Value::Undefined => "Undefined".to_owned(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Json(Json::String(text)) => format!("'{}'", short(text)),
        Value::Json(json @ (Json::Null | Json::Bool(_) | Json::Number(_))) => {
            short(&json.to_text())
        }
        Value::Json(json) => {
            let text = json.to_text();
            if text.chars().count() <= VALUE_MAX { text } else { kind_of(json).to_owned() }
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
