//! The parameters from before expressions (`Expected`, `AttributeUpdates`, `KeyConditions` …): read
//! into the same terms.
//!
//! Amazon DynamoDB Developer Guide, "Legacy DynamoDB conditional parameters".

use std::sync::Arc;

use stepwire_asl::Json;

use super::expression::{
    Action, Amount, Comparator, Condition, KeyCondition, Kind, Operand, Path, Projection,
    SortCondition, Source, Update, order,
};
use super::request::{required, word};
use super::schema::invalid;
use super::value::{Type, Value};
use super::{serialization, validation};
use crate::error::ApiError;
use crate::params::Params;

/// Refuses a request that uses both expressions and what was before them.
pub(super) fn not_both(
    params: Params<'_>,
    expressions: &[&str],
    legacy: &[&str],
) -> Result<(), ApiError> {
    let present = |names: &[&str]| {
        let present = names.iter().copied().filter(|name| params.get(name).is_some());
        present.collect::<Vec<&str>>().join(", ")
    };
    let (expressions, legacy) = (present(expressions), present(legacy));
    if expressions.is_empty() || legacy.is_empty() {
        return Ok(());
    }
    Err(validation(format!(
        "Can not use both expression and non-expression parameters in the same request: \
         Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}"
    )))
}

/// `AttributesToGet`.
pub(super) fn attributes_to_get(params: Params<'_>) -> Result<Option<Projection>, ApiError> {
    let name = "AttributesToGet";
    let Some(list) = params.get(name) else { return Ok(None) };
    let list = list.as_array().ok_or_else(|| serialization(name, "a list"))?;
    if list.is_empty() {
        return Err(super::request::constraint_error(
            Some("[]"),
            "attributesToGet",
            "Member must have length greater than or equal to 1",
        ));
    }
    let mut paths = Vec::new();
    for attribute in list {
        let Json::String(attribute) = attribute else {
            return Err(serialization(name, "a list of strings"));
        };
        let path = whole(attribute);
        if paths.contains(&path) {
            return Err(invalid(format!("Duplicate value in attribute name: {attribute}")));
        }
        paths.push(path);
    }
    Projection::of(Kind::Projection, paths.iter()).map(Some)
}

fn whole(name: &Arc<str>) -> Path {
    Path { root: Arc::clone(name), rest: Vec::new() }
}

fn members<'a>(
    params: Params<'a>,
    name: &str,
) -> Result<Option<Vec<(&'a Arc<str>, Params<'a>)>>, ApiError> {
    let Some(map) = params.get(name) else { return Ok(None) };
    let map = map.as_object().ok_or_else(|| serialization(name, "a map"))?;
    let member = |(name, value)| (name, Params::new(value, "ValidationException"));
    Ok(Some(map.iter().map(member).collect()))
}

/// The conditions joined as `ConditionalOperator` says.
fn joined(params: Params<'_>, conditions: Vec<Condition>) -> Result<Condition, ApiError> {
    let operators = [("AND", true), ("OR", false)];
    match word(params, "ConditionalOperator", &operators)? {
        Some(false) => Ok(Condition::Any(conditions)),
        Some(true) | None => Ok(Condition::All(conditions)),
    }
}

/// `ConditionalOperator` without anything that it could join.
fn lonely(params: Params<'_>, name: &str) -> Result<(), ApiError> {
    match params.get("ConditionalOperator") {
        Some(_) => Err(validation(format!("ConditionalOperator cannot be used without {name}"))),
        None => Ok(()),
    }
}

/// `Expected`.
pub(super) fn expected(params: Params<'_>) -> Result<Option<Condition>, ApiError> {
    let Some(expected) = members(params, "Expected")? else {
        lonely(params, "Filter or Expected")?;
        return Ok(None);
    };
    let mut conditions = Vec::new();
    for (name, condition) in expected {
        condition.only(&["Value", "Exists", "ComparisonOperator", "AttributeValueList"])?;
        conditions.push(expectation(name, condition)?);
    }
    joined(params, conditions).map(Some)
}

fn expectation(name: &Arc<str>, condition: Params<'_>) -> Result<Condition, ApiError> {
    let value = condition.get("Value").map(Value::parse).transpose()?;
    let list = values(condition)?;
    if value.is_some() && list.is_some() {
        return Err(invalid(format!(
            "Value and AttributeValueList cannot be used together for Attribute: {name}"
        )));
    }
    let exists = condition.optional_bool("Exists")?;
    let Some(operator) = operator(condition)? else {
        if list.is_some() {
            return Err(invalid(format!(
                "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
            )));
        }
        return match (exists, value) {
            (Some(false), None) => Ok(Condition::NotExists(whole(name))),
            (Some(false), Some(_)) => Err(invalid(format!(
                "Value cannot be used when Exists is false for Attribute: {name}"
            ))),
            (Some(true) | None, Some(value)) => Ok(Condition::Compare(
                Operand::Path(whole(name)),
                Comparator::Equal,
                Operand::Value(value),
            )),
            (exists, None) => Err(invalid(format!(
                "Value must be provided when Exists is {} for Attribute: {name}",
                exists.map_or("null", |_| "true")
            ))),
        };
    };
    if exists.is_some() {
        return Err(invalid(format!(
            "Exists and ComparisonOperator cannot be used together for Attribute: {name}"
        )));
    }
    let values = value.map(|value| vec![value]).or(list);
    if values.is_none() && !matches!(operator, "NULL" | "NOT_NULL") {
        return Err(invalid(format!(
            "Value or AttributeValueList must be used with ComparisonOperator: {operator} for \
             Attribute: {name}"
        )));
    }
    compared(name, operator, values.unwrap_or_default())
}

/// `QueryFilter` or `ScanFilter`, and the attributes it names.
pub(super) fn filter(params: Params<'_>, name: &str) -> Result<Option<Condition>, ApiError> {
    let Some(filter) = members(params, name)? else {
        lonely(params, "Filter or Expected")?;
        return Ok(None);
    };
    let mut conditions = Vec::new();
    for (name, condition) in filter {
        let (operator, values) = condition_of(condition)?;
        conditions.push(compared(name, operator, values)?);
    }
    joined(params, conditions).map(Some)
}

fn condition_of(condition: Params<'_>) -> Result<(&'static str, Vec<Value>), ApiError> {
    condition.only(&["ComparisonOperator", "AttributeValueList"])?;
    let operator = operator(condition)?;
    if operator.is_none() {
        required(condition, "ComparisonOperator", Some)?;
    }
    Ok((operator.unwrap_or("EQ"), values(condition)?.unwrap_or_default()))
}

/// `KeyConditions`.
pub(super) fn key_conditions(params: Params<'_>) -> Result<Option<KeyCondition>, ApiError> {
    let Some(map) = members(params, "KeyConditions")? else { return Ok(None) };
    let mut conditions = Vec::new();
    for (name, condition) in map {
        let (operator, values) = condition_of(condition)?;
        check(operator, &values)?;
        let mut values = values.into_iter();
        let (Some(one), two) = (values.next(), values.next()) else {
            return Err(not_indexable());
        };
        let condition = match (operator, two) {
            ("EQ", None) => SortCondition::Equal(one),
            ("LT", None) => SortCondition::Less(one),
            ("LE", None) => SortCondition::LessOrEqual(one),
            ("GT", None) => SortCondition::Greater(one),
            ("GE", None) => SortCondition::GreaterOrEqual(one),
            ("BEGINS_WITH", None) => SortCondition::BeginsWith(one),
            ("BETWEEN", Some(two)) => SortCondition::Between(one, two),
            _ => return Err(not_indexable()),
        };
        conditions.push((Arc::clone(name), condition));
    }
    if conditions.is_empty() || conditions.len() > 2 {
        return Err(validation("Conditions can be of length 1 or 2 only"));
    }
    Ok(Some(KeyCondition::of(conditions)))
}

fn not_indexable() -> ApiError {
    validation("Attempted conditional constraint is not an indexable operation")
}

const OPERATORS: [&str; 13] = [
    "IN",
    "NULL",
    "BETWEEN",
    "LT",
    "NOT_CONTAINS",
    "EQ",
    "GT",
    "NOT_NULL",
    "NE",
    "LE",
    "BEGINS_WITH",
    "GE",
    "CONTAINS",
];

fn operator(condition: Params<'_>) -> Result<Option<&'static str>, ApiError> {
    word(condition, "ComparisonOperator", &OPERATORS.map(|operator| (operator, operator)))
}

fn values(condition: Params<'_>) -> Result<Option<Vec<Value>>, ApiError> {
    let name = "AttributeValueList";
    let Some(list) = condition.get(name) else { return Ok(None) };
    let list = list.as_array().ok_or_else(|| serialization(name, "a list"))?;
    list.iter().map(Value::parse).collect::<Result<_, _>>().map(Some)
}

/// Refuses values that an operator cannot compare with.
fn check(operator: &str, values: &[Value]) -> Result<(), ApiError> {
    let fits = match operator {
        "NULL" | "NOT_NULL" => values.is_empty(),
        "IN" => !values.is_empty(),
        "BETWEEN" => values.len() == 2,
        _ => values.len() == 1,
    };
    if !fits {
        return Err(invalid(format!(
            "Invalid number of argument(s) for the {operator} ComparisonOperator"
        )));
    }
    if values.windows(2).any(|two| two[0].kind() != two[1].kind()) {
        return Err(invalid("AttributeValues inside AttributeValueList must be of same type"));
    }
    let scalar = |kind| matches!(kind, Type::S | Type::N | Type::B);
    let set = |kind| matches!(kind, Type::Ss | Type::Ns | Type::Bs);
    let takes = |kind: Type| match operator {
        "EQ" | "NE" => true,
        "BEGINS_WITH" => matches!(kind, Type::S | Type::B),
        "CONTAINS" | "NOT_CONTAINS" => !set(kind),
        _ => scalar(kind),
    };
    if let Some(value) = values.iter().find(|value| !takes(value.kind())) {
        return Err(invalid(format!(
            "ComparisonOperator {operator} is not valid for {} AttributeValue type",
            value.kind().name()
        )));
    }
    let backwards = |two: &[Value]| order(&two[0], &two[1]).is_some_and(std::cmp::Ordering::is_gt);
    if operator == "BETWEEN" && backwards(values) {
        return Err(validation(
            "The BETWEEN condition was provided a range where the lower bound is greater than the \
             upper bound",
        ));
    }
    Ok(())
}

fn compared(name: &Arc<str>, operator: &str, values: Vec<Value>) -> Result<Condition, ApiError> {
    check(operator, &values)?;
    let path = || Operand::Path(whole(name));
    let mut values = values.into_iter().map(Operand::Value);
    let comparator = match operator {
        "NULL" => return Ok(Condition::NotExists(whole(name))),
        "NOT_NULL" => return Ok(Condition::Exists(whole(name))),
        "IN" => return Ok(Condition::In(path(), values.collect())),
        "EQ" => Some(Comparator::Equal),
        "NE" => Some(Comparator::NotEqual),
        "LT" => Some(Comparator::Less),
        "LE" => Some(Comparator::LessOrEqual),
        "GT" => Some(Comparator::Greater),
        "GE" => Some(Comparator::GreaterOrEqual),
        _ => None,
    };
    let missing = || invalid("Invalid number of argument(s)");
    let first = values.next().ok_or_else(missing)?;
    if let Some(comparator) = comparator {
        return Ok(Condition::Compare(path(), comparator, first));
    }
    Ok(match operator {
        "BEGINS_WITH" => Condition::BeginsWith(path(), first),
        "CONTAINS" => Condition::Contains(path(), first),
        "NOT_CONTAINS" => Condition::Not(Box::new(Condition::Contains(path(), first))),
        _ => Condition::Between(path(), first, values.next().ok_or_else(missing)?),
    })
}

/// `AttributeUpdates`.
pub(super) fn attribute_updates(params: Params<'_>) -> Result<Option<Update>, ApiError> {
    let Some(updates) = members(params, "AttributeUpdates")? else { return Ok(None) };
    let mut actions = Vec::new();
    for (name, update) in updates {
        update.only(&["Action", "Value"])?;
        let words = ["ADD", "DELETE", "PUT"].map(|action| (action, action));
        let action = word(update, "Action", &words)?.unwrap_or("PUT");
        let value = update.get("Value").map(Value::parse).transpose()?;
        let path = whole(name);
        actions.push(match (action, value) {
            ("DELETE", None) => Action::Remove(path),
            (_, None) => {
                return Err(invalid(
                    "Only DELETE action is allowed when no attribute value is specified",
                ));
            }
            ("PUT", Some(value)) => Action::Set(path, Amount::One(Source::Value(value))),
            ("DELETE", Some(value @ (Value::Ss(_) | Value::Ns(_) | Value::Bs(_)))) => {
                Action::Delete(path, value)
            }
            ("DELETE", Some(value)) => {
                return Err(invalid(format!(
                    "DELETE action with value is not supported for the type {}",
                    value.kind().name()
                )));
            }
            (
                _,
                Some(
                    value
                    @ (Value::N(_) | Value::L(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_)),
                ),
            ) => Action::Add(path, value),
            (_, Some(value)) => {
                return Err(invalid(format!(
                    "ADD action is not supported for the type {}",
                    value.kind().name()
                )));
            }
        });
    }
    Update::legacy(actions).map(Some)
}
