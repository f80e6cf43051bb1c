//! Operators on two values. Source: AWS IoT SQL reference, "Operators".

use stepwire_asl::Json;

use super::facts::{Facts, weight};
use super::number::Number;
use super::value::same;
use super::{Operator, Value};

/// Digits that are calculated with in a step.
const DIGITS_PER_STEP: u32 = 8;

/// What an operator makes of two values; Undefined for those it makes no sense of.
pub(super) fn binary(left: &Value, operator: Operator, right: &Value, facts: &Facts<'_>) -> Value {
    if !facts.spend(weight(left).saturating_add(weight(right))) {
        return Value::Undefined;
    }
    match operator {
        Operator::Or | Operator::And => match (left.boolean(), right.boolean()) {
            (Some(a), Some(b)) => {
                Value::from(if operator == Operator::Or { a || b } else { a && b })
            }
            _ => Value::Undefined,
        },
        Operator::In => match (left.json(), right.json().and_then(Json::as_array)) {
            (Some(value), Some(items)) => Value::from(items.iter().any(|item| same(value, item))),
            _ => Value::Undefined,
        },
        Operator::Equal => equal(left, right).into(),
        Operator::NotEqual => equal(left, right).map(|same| !same).into(),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            order(left, operator, right).into()
        }
        Operator::Plus => plus(left, right, facts),
        Operator::Minus | Operator::Times | Operator::Divide | Operator::Modulo => {
            arithmetic(left, operator, right, facts)
        }
    }
}

/// `=`: by value within a type; unlike types are not equal, Undefined is neither.
pub(super) fn equal(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Undefined, _) | (_, Value::Undefined) => None,
        (Value::Json(a), Value::Json(b)) => Some(same(a, b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a == b),
        _ => Some(false),
    }
}

fn order(left: &Value, operator: Operator, right: &Value) -> Option<bool> {
    let order = match (left.json()?.as_i64(), right.json()?.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => left.number()?.cmp(&right.number()?),
    };
    Some(match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// `+`: with text on either side it joins texts.
fn plus(left: &Value, right: &Value, facts: &Facts<'_>) -> Value {
    let is_text = |value: &Value| matches!(value.json(), Some(Json::String(_)));
    if !is_text(left) && !is_text(right) {
        return arithmetic(left, Operator::Plus, right, facts);
    }
    let text = |value: &Value| value.clone().written(facts.version()).text();
    match (text(left), text(right)) {
        (Some(a), Some(b)) => Value::from(a + &b),
        _ => Value::Undefined,
    }
}

/// Of Ints an Int, else a Decimal.
fn arithmetic(left: &Value, operator: Operator, right: &Value, facts: &Facts<'_>) -> Value {
    let (Some(a), Some(b)) = (left.number(), right.number()) else { return Value::Undefined };
    if !facts.spend(a.digits_with(&b) / DIGITS_PER_STEP) {
        return Value::Undefined;
    }
    let made: Option<Number> = match operator {
        Operator::Plus => a.plus(&b),
        Operator::Minus => a.minus(&b),
        Operator::Times => a.times(&b),
        Operator::Divide => a.divided_by(&b),
        _ => a.modulo(&b),
    };
    made.into()
}
