//! Conditions and filters: whether an item is wanted.

mod grammar;

use std::borrow::Cow;
use std::cmp::Ordering;

use super::path::Path;
use super::{Kind, Placeholders};
use crate::error::ApiError;
use crate::tables::number::Number;
use crate::tables::value::{Attributes, Type, Value};

/// A condition on an item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparator, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path),
    NotExists(Path),
    HasType(Operand, Type),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
}

/// What conditions compare.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Path(Path),
    Value(Value),
    Size(Box<Operand>),
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// The condition that `text` writes.
    pub(crate) fn parse(
        kind: Kind,
        text: &str,
        placeholders: &mut Placeholders,
    ) -> Result<Condition, ApiError> {
        grammar::parse(kind, text, placeholders)
    }

    /// Whether an item of these attributes meets it.
    pub(crate) fn holds(&self, item: &Attributes) -> bool {
        match self {
            Condition::All(parts) => parts.iter().all(|part| part.holds(item)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(item)),
            Condition::Not(part) => !part.holds(item),
            Condition::Compare(left, comparator, right) => {
                compare(left.read(item).as_deref(), *comparator, right.read(item).as_deref())
            }
            Condition::Between(operand, low, high) => {
                let value = operand.read(item);
                compare(low.read(item).as_deref(), Comparator::LessOrEqual, value.as_deref())
                    && compare(
                        value.as_deref(),
                        Comparator::LessOrEqual,
                        high.read(item).as_deref(),
                    )
            }
            Condition::In(operand, list) => {
                let value = operand.read(item);
                let mut list = list.iter().map(|listed| listed.read(item));
                value.is_some() && list.any(|listed| listed == value)
            }
            Condition::Exists(path) => path.read(item).is_some(),
            Condition::NotExists(path) => path.read(item).is_none(),
            Condition::HasType(operand, kind) => {
                operand.read(item).is_some_and(|value| value.kind() == *kind)
            }
            Condition::BeginsWith(whole, start) => {
                both(whole, start, item).is_some_and(|(whole, start)| begins_with(&whole, &start))
            }
            Condition::Contains(whole, part) => {
                both(whole, part, item).is_some_and(|(whole, part)| contains(&whole, &part))
            }
        }
    }

    /// Calls `visit` with every path the condition names.
    pub(crate) fn paths<'a>(&'a self, visit: &mut dyn FnMut(&'a Path)) {
        match self {
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    part.paths(visit);
                }
            }
            Condition::Not(part) => part.paths(visit),
            Condition::Compare(one, _, two)
            | Condition::BeginsWith(one, two)
            | Condition::Contains(one, two) => {
                one.path(visit);
                two.path(visit);
            }
            Condition::Between(one, two, three) => {
                one.path(visit);
                two.path(visit);
                three.path(visit);
            }
            Condition::In(one, list) => {
                one.path(visit);
                for operand in list {
                    operand.path(visit);
                }
            }
            Condition::Exists(path) | Condition::NotExists(path) => visit(path),
            Condition::HasType(operand, _) => operand.path(visit),
        }
    }
}

impl Operand {
    fn read<'a>(&'a self, item: &'a Attributes) -> Option<Cow<'a, Value>> {
        match self {
            Operand::Path(path) => path.read(item).map(Cow::Borrowed),
            Operand::Value(value) => Some(Cow::Borrowed(value)),
            Operand::Size(operand) => {
                let size = size(operand.read(item)?.as_ref())?;
                Some(Cow::Owned(Value::N(Number::from(size as i64))))
            }
        }
    }

    fn path<'a>(&'a self, visit: &mut dyn FnMut(&'a Path)) {
        match self {
            Operand::Path(path) => visit(path),
            Operand::Value(_) => {}
            Operand::Size(operand) => operand.path(visit),
        }
    }
}

fn both<'a>(
    one: &'a Operand,
    two: &'a Operand,
    item: &'a Attributes,
) -> Option<(Cow<'a, Value>, Cow<'a, Value>)> {
    Some((one.read(item)?, two.read(item)?))
}

/// What `size` answers; of numbers, truth values and null there is none.
fn size(value: &Value) -> Option<usize> {
    Some(match value {
        Value::S(text) => text.chars().count(),
        Value::B(bytes) => bytes.len(),
        Value::M(members) => members.len(),
        Value::L(items) => items.len(),
        Value::Ss(set) => set.len(),
        Value::Ns(set) => set.len(),
        Value::Bs(set) => set.len(),
        Value::N(_) | Value::Bool(_) | Value::Null => return None,
    })
}

/// How two values of one type that has an order compare.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::S(left), Value::S(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::N(left), Value::N(right)) => Some(left.cmp(right)),
        (Value::B(left), Value::B(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn compare(left: Option<&Value>, comparator: Comparator, right: Option<&Value>) -> bool {
    let equal = || matches!((left, right), (Some(left), Some(right)) if left == right);
    let ordered = |wanted: fn(Ordering) -> bool| {
        left.zip(right).and_then(|(left, right)| order(left, right)).is_some_and(wanted)
    };
    match comparator {
        Comparator::Equal => equal(),
        Comparator::NotEqual => !equal(),
        Comparator::Less => ordered(Ordering::is_lt),
        Comparator::LessOrEqual => ordered(Ordering::is_le),
        Comparator::Greater => ordered(Ordering::is_gt),
        Comparator::GreaterOrEqual => ordered(Ordering::is_ge),
    }
}

pub(crate) fn begins_with(whole: &Value, start: &Value) -> bool {
    match (whole, start) {
        (Value::S(whole), Value::S(start)) => whole.starts_with(&**start),
        (Value::B(whole), Value::B(start)) => whole.starts_with(start),
        _ => false,
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::S(whole), Value::S(part)) => whole.contains(&**part),
        (Value::B(whole), Value::B(part)) => {
            part.is_empty() || whole.windows(part.len()).any(|run| run == &**part)
        }
        (Value::Ss(set), Value::S(text)) => set.contains(text),
        (Value::Ns(set), Value::N(number)) => set.contains(number),
        (Value::Bs(set), Value::B(bytes)) => set.contains(bytes),
        (Value::L(items), part) => items.contains(part),
        _ => false,
    }
}
