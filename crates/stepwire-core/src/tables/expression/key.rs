//! Key conditions: one partition, and a run of its sort keys.

use std::cmp::Ordering;
use std::sync::Arc;

use super::condition::{Comparator, Condition, Operand, begins_with, order};
use super::path::Path;
use super::{Kind, Placeholders};
use crate::error::ApiError;
use crate::tables::table::KeyAttribute;
use crate::tables::validation;
use crate::tables::value::Value;

/// A key condition, not yet matched with a table's key schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyCondition(Vec<(Arc<str>, SortCondition)>);

/// A condition on one key attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SortCondition {
    Equal(Value),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    Between(Value, Value),
    BeginsWith(Value),
}

impl SortCondition {
    /// Whether a value meets it.
    pub(crate) fn holds(&self, value: &Value) -> bool {
        let is =
            |other: &Value, wanted: fn(Ordering) -> bool| order(value, other).is_some_and(wanted);
        match self {
            SortCondition::Equal(other) => is(other, Ordering::is_eq),
            SortCondition::Less(other) => is(other, Ordering::is_lt),
            SortCondition::LessOrEqual(other) => is(other, Ordering::is_le),
            SortCondition::Greater(other) => is(other, Ordering::is_gt),
            SortCondition::GreaterOrEqual(other) => is(other, Ordering::is_ge),
            SortCondition::Between(low, high) => {
                is(low, Ordering::is_ge) && is(high, Ordering::is_le)
            }
            SortCondition::BeginsWith(start) => begins_with(value, start),
        }
    }

    fn values(&self) -> impl Iterator<Item = &Value> {
        let (one, two) = match self {
            SortCondition::Equal(one)
            | SortCondition::Less(one)
            | SortCondition::LessOrEqual(one)
            | SortCondition::Greater(one)
            | SortCondition::GreaterOrEqual(one)
            | SortCondition::BeginsWith(one) => (one, None),
            SortCondition::Between(one, two) => (one, Some(two)),
        };
        std::iter::once(one).chain(two)
    }
}

impl KeyCondition {
    /// The key condition that `text` writes.
    pub(crate) fn parse(text: &str, placeholders: &mut Placeholders) -> Result<Self, ApiError> {
        let condition = Condition::parse(Kind::KeyCondition, text, placeholders)?;
        let mut conditions = Vec::new();
        collect(condition, &mut conditions)?;
        let twice = |(at, (name, _)): (usize, &(Arc<str>, SortCondition))| {
            conditions[..at].iter().any(|(other, _)| other == name)
        };
        if conditions.iter().enumerate().any(twice) {
            return Err(validation(
                "KeyConditionExpressions must only contain one condition per key",
            ));
        }
        if conditions.len() > 2 {
            return Err(validation("Conditions can be of length 1 or 2 only"));
        }
        Ok(KeyCondition(conditions))
    }

    /// These conditions, each on another attribute.
    pub(crate) fn of(conditions: Vec<(Arc<str>, SortCondition)>) -> Self {
        KeyCondition(conditions)
    }

    /// The partition key value, and the condition on the sort key if there is one, of a table or an
    /// index of these keys.
    pub(crate) fn resolve(
        &self,
        partition_key: &KeyAttribute,
        sort_key: Option<&KeyAttribute>,
    ) -> Result<(&Value, Option<&SortCondition>), ApiError> {
        let on = |key: &KeyAttribute| self.0.iter().find(|(name, _)| *name == key.name);
        let missed = |key: &KeyAttribute| {
            validation(format!("Query condition missed key schema element: {}", key.name))
        };
        if sort_key.is_none() && self.0.len() > 1 {
            return Err(validation("Query key condition not supported"));
        }
        let (_, partition) = on(partition_key).ok_or_else(|| missed(partition_key))?;
        for value in partition.values() {
            fits(partition_key, value)?;
        }
        let SortCondition::Equal(partition) = partition else {
            return Err(validation("Query key condition not supported"));
        };
        let sort = match (sort_key, self.0.len()) {
            (_, 1) => None,
            (Some(key), _) => Some((key, &on(key).ok_or_else(|| missed(key))?.1)),
            (None, _) => return Err(validation("Query key condition not supported")),
        };
        for (key, value) in sort.iter().flat_map(|(key, sort)| sort.values().map(|v| (*key, v))) {
            fits(key, value)?;
        }
        Ok((partition, sort.map(|(_, condition)| condition)))
    }
}

fn fits(key: &KeyAttribute, value: &Value) -> Result<(), ApiError> {
    if value.kind() != key.kind.value_type() {
        return Err(validation(
            "One or more parameter values were invalid: Condition parameter type does not match \
             schema type",
        ));
    }
    Ok(())
}

fn collect(condition: Condition, out: &mut Vec<(Arc<str>, SortCondition)>) -> Result<(), ApiError> {
    let not_supported = |operator: &str| {
        Err(validation(format!("Invalid operator used in KeyConditionExpression: {operator}")))
    };
    match condition {
        Condition::All(parts) => parts.into_iter().try_for_each(|part| collect(part, out)),
        Condition::Any(_) => not_supported("OR"),
        Condition::Not(_) => not_supported("NOT"),
        Condition::In(..) => not_supported("IN"),
        Condition::Compare(Operand::Size(_), ..)
        | Condition::Compare(.., Operand::Size(_))
        | Condition::Between(Operand::Size(_), ..)
        | Condition::Between(_, Operand::Size(_), _)
        | Condition::Between(.., Operand::Size(_))
        | Condition::BeginsWith(Operand::Size(_), _) => {
            Err(validation("KeyConditionExpressions cannot contain nested operations"))
        }
        Condition::Between(Operand::Value(_), ..) => Err(first_operand("BETWEEN")),
        Condition::BeginsWith(Operand::Value(_), _) => Err(first_operand("begins_with")),
        Condition::Compare(Operand::Path(_), _, Operand::Path(_))
        | Condition::Between(_, Operand::Path(_), _)
        | Condition::Between(.., Operand::Path(_))
        | Condition::BeginsWith(_, Operand::Path(_)) => {
            Err(invalid("Multiple attribute names used in one condition"))
        }
        Condition::Exists(_) => not_supported("attribute_exists"),
        Condition::NotExists(_) => not_supported("attribute_not_exists"),
        Condition::HasType(..) => not_supported("attribute_type"),
        Condition::Contains(..) => not_supported("contains"),
        Condition::Compare(_, Comparator::NotEqual, _) => not_supported("<>"),
        Condition::Compare(Operand::Value(value), comparator, operand) => {
            compare(operand, comparator.flipped(), Operand::Value(value), out)
        }
        Condition::Compare(operand, comparator, value) => compare(operand, comparator, value, out),
        Condition::Between(operand, low, high) => {
            let name = attribute(operand)?;
            out.push((name, SortCondition::Between(value(low)?, value(high)?)));
            Ok(())
        }
        Condition::BeginsWith(operand, start) => {
            let name = attribute(operand)?;
            out.push((name, SortCondition::BeginsWith(value(start)?)));
            Ok(())
        }
    }
}

fn compare(
    operand: Operand,
    comparator: Comparator,
    with: Operand,
    out: &mut Vec<(Arc<str>, SortCondition)>,
) -> Result<(), ApiError> {
    let name = attribute(operand)?;
    let with = value(with)?;
    out.push((
        name,
        match comparator {
            Comparator::Equal | Comparator::NotEqual => SortCondition::Equal(with),
            Comparator::Less => SortCondition::Less(with),
            Comparator::LessOrEqual => SortCondition::LessOrEqual(with),
            Comparator::Greater => SortCondition::Greater(with),
            Comparator::GreaterOrEqual => SortCondition::GreaterOrEqual(with),
        },
    ));
    Ok(())
}

impl Comparator {
    /// The operator that says the same with the operands exchanged.
    fn flipped(self) -> Comparator {
        match self {
            Comparator::Equal | Comparator::NotEqual => self,
            Comparator::Less => Comparator::Greater,
            Comparator::LessOrEqual => Comparator::GreaterOrEqual,
            Comparator::Greater => Comparator::Less,
            Comparator::GreaterOrEqual => Comparator::LessOrEqual,
        }
    }
}

fn attribute(operand: Operand) -> Result<Arc<str>, ApiError> {
    match operand {
        Operand::Path(Path { root, rest }) if rest.is_empty() => Ok(root),
        Operand::Path(_) => {
            Err(validation("KeyConditionExpressions cannot have conditions on nested attributes"))
        }
        Operand::Size(_) => {
            Err(validation("KeyConditionExpressions cannot contain nested operations"))
        }
        Operand::Value(_) => Err(invalid("No key attribute specified")),
    }
}

fn value(operand: Operand) -> Result<Value, ApiError> {
    match operand {
        Operand::Value(value) => Ok(value),
        Operand::Path(_) | Operand::Size(_) => {
            Err(invalid("Multiple attribute names used in one condition"))
        }
    }
}

fn invalid(why: &str) -> ApiError {
    validation(format!("Invalid condition in KeyConditionExpression: {why}"))
}

fn first_operand(operator: &str) -> ApiError {
    invalid(&format!("{operator} operator must have the key attribute as its first operand"))
}
