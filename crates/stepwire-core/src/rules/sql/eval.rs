//! Evaluating statements. Total: whatever goes wrong is Undefined.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::functions::Function;
use super::value::{Value, double};
use super::{Expr, Item, Operator, Select, Statement, Sub, Type};
use crate::message::{Message, Origin};
use crate::rules::Ingest;
use crate::settings::Settings;

/// Steps an evaluation may take; beyond that everything is Undefined.
const STEPS_MAX: u32 = 500_000;
/// Bytes of text that are read, compared or copied in a step.
const BYTES_PER_STEP: usize = 64;

/// What a statement is evaluated against.
pub struct Facts<'a> {
    /// The message.
    pub message: &'a Message,
    /// Its payload, when that is JSON.
    pub payload: Option<&'a Json>,
    /// Region, account, secret.
    pub settings: &'a Settings,
    /// Distinguishes the random values of one evaluation from those of another.
    pub salt: u64,
    steps: Cell<u32>,
    pub(super) drawn: Cell<u64>,
    /// Patterns that were compiled; `None` for those that are none.
    pub(super) patterns: RefCell<BTreeMap<String, Option<Regex>>>,
}

impl<'a> Facts<'a> {
    /// The facts of one message.
    pub fn new(
        message: &'a Message,
        payload: Option<&'a Json>,
        settings: &'a Settings,
        salt: u64,
    ) -> Facts<'a> {
        let (steps, drawn) = (Cell::new(0), Cell::new(0));
        Facts { message, payload, settings, salt, steps, drawn, patterns: RefCell::default() }
    }

    /// Takes steps from what this evaluation may use; false once all are gone.
    pub(super) fn spend(&self, steps: u32) -> bool {
        let spent = self.steps.get().saturating_add(steps);
        self.steps.set(spent);
        spent <= STEPS_MAX
    }

    /// Client id of who published it; `N/A` when that was no client.
    pub fn client_id(&self) -> &str {
        self.client().map_or("N/A", |client| client.id.as_ref())
    }

    /// The client that published it.
    pub(super) fn client(&self) -> Option<&crate::message::Client> {
        match &self.message.origin {
            Origin::Client(client) => Some(client),
            Origin::Service | Origin::Caller(_) => None,
        }
    }

    /// The topic as `topic()` counts it: without a Basic Ingest prefix.
    pub(super) fn topic(&self) -> &str {
        let topic = self.message.topic.as_ref();
        Ingest::of(topic).map_or(topic, |ingest| ingest.topic)
    }
}

/// The steps that reading, comparing or copying all of a value takes.
fn weight(value: &Value) -> u32 {
    match value {
        Value::Undefined => 0,
        Value::Json(json) => weight_of(json),
        Value::Bytes(bytes) => steps_of(bytes.len()),
    }
}

fn weight_of(json: &Json) -> u32 {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => 1,
        Json::String(text) => steps_of(text.len()),
        Json::Array(items) => items.iter().map(weight_of).fold(1, u32::saturating_add),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| steps_of(name.len()).saturating_add(weight_of(value)));
            members.fold(1, u32::saturating_add)
        }
    }
}

fn steps_of(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_PER_STEP + 1).unwrap_or(u32::MAX)
}

/// What names mean: the row, and what a sub-select calls its rows.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    value: Option<&'a Json>,
    alias: Option<&'a str>,
    outer: Option<&'a Row<'a>>,
}

pub(super) fn run(statement: &Statement, facts: &Facts<'_>) -> Option<Value> {
    let row = Row { value: facts.payload, alias: None, outer: None };
    if let Some(filter) = &statement.filter
        && filter.value(&row, facts).json().and_then(Json::as_bool) != Some(true)
    {
        return None;
    }
    Some(statement.select.value(&row, facts))
}

pub(super) fn expression(expr: &Expr, facts: &Facts<'_>) -> Value {
    expr.value(&Row { value: facts.payload, alias: None, outer: None }, facts)
}

impl Select {
    fn value(&self, row: &Row<'_>, facts: &Facts<'_>) -> Value {
        let items = match self {
            Select::Value(expr) => return expr.value(row, facts),
            Select::Items(items) => items,
        };
        if let [Item::All] = items.as_slice() {
            return whole(row, facts);
        }
        let mut members = Object::new();
        for item in items {
            match item {
                Item::All => match charged(whole(row, facts), facts) {
                    Value::Json(Json::Object(all)) => {
                        members.extend(all.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
                    }
                    // Bytes beside other items are carried as base64.
                    other => {
                        if let Some(value) = other.into_json() {
                            members.insert("data".into(), value);
                        }
                    }
                },
                Item::One(expr, path) => {
                    if let Some(value) = charged(expr.value(row, facts), facts).into_json() {
                        put(&mut members, path, value);
                    }
                }
            }
        }
        Value::Json(Json::Object(Arc::new(members)))
    }
}

/// The value, once it is paid for what copying it takes.
fn charged(value: Value, facts: &Facts<'_>) -> Value {
    if facts.spend(weight(&value)) { value } else { Value::Undefined }
}

/// The row as `*` gives it.
fn whole(row: &Row<'_>, facts: &Facts<'_>) -> Value {
    match row.value {
        Some(value) => Value::Json(value.clone()),
        None if row.outer.is_none() && facts.payload.is_none() => {
            Value::Bytes(facts.message.payload.clone())
        }
        None => Value::Undefined,
    }
}

/// Puts a value where `AS a.b` says; later items replace earlier ones.
fn put(members: &mut Object, path: &[Arc<str>], value: Json) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        members.insert(Arc::clone(first), value);
        return;
    }
    let mut inner = match members.get(first) {
        Some(Json::Object(inner)) => Object::clone(inner),
        _ => Object::new(),
    };
    put(&mut inner, rest, value);
    members.insert(Arc::clone(first), Json::Object(Arc::new(inner)));
}

impl Sub {
    fn rows(&self, row: &Row<'_>, facts: &Facts<'_>) -> Option<(Vec<Value>, bool)> {
        let source = match self.from.value(row, facts) {
            Value::Json(source) => source,
            Value::Undefined | Value::Bytes(_) => return None,
        };
        let (items, many) = match &source {
            Json::Array(items) => (items.as_slice(), true),
            other => (std::slice::from_ref(other), self.from == Expr::All),
        };
        let mut found = Vec::new();
        for item in items {
            let inner = Row { value: Some(item), alias: self.alias.as_deref(), outer: Some(row) };
            let holds = self.filter.as_ref().is_none_or(|filter| {
                filter.value(&inner, facts).json().and_then(Json::as_bool) == Some(true)
            });
            if holds {
                found.push(self.select.value(&inner, facts));
            }
        }
        Some((found, many))
    }
}

impl Expr {
    pub(super) fn value(&self, row: &Row<'_>, facts: &Facts<'_>) -> Value {
        if !facts.spend(1) {
            return Value::Undefined;
        }
        match self {
            Expr::Literal(value) => Value::Json(value.clone()),
            Expr::All => whole(row, facts),
            Expr::Name(name) => named(row, name),
            Expr::Member(of, names) => {
                let of = of.value(row, facts);
                let member = names.iter().try_fold(of.json(), |of, name| Some(of?.member(name)));
                member.flatten().map_or(Value::Undefined, |member| Value::Json(member.clone()))
            }
            Expr::Call(function, arguments) => {
                let values: Vec<Value> = match (function, arguments.as_slice()) {
                    // The payload's bytes as they came, not the value they write.
                    (Function::Encode, [Expr::All, ..]) if row.outer.is_none() => {
                        vec![Value::Bytes(facts.message.payload.clone())]
                    }
                    _ => arguments.iter().map(|argument| argument.value(row, facts)).collect(),
                };
                if function.reads_all() {
                    let weight = values.iter().map(weight).fold(0, u32::saturating_add);
                    if !facts.spend(weight) {
                        return Value::Undefined;
                    }
                }
                function.of(&values, facts)
            }
            Expr::Cast(of, to) => {
                let of = of.value(row, facts);
                if facts.spend(weight(&of)) { cast(&of, *to) } else { Value::Undefined }
            }
            Expr::Not(of) => of.value(row, facts).boolean().map(|value| !value).into(),
            Expr::Negative(of) => match of.value(row, facts).number() {
                Some(number) => match number.as_i64().and_then(i64::checked_neg) {
                    Some(int) => Value::from(int),
                    None => double(Some(-number.as_f64())),
                },
                None => Value::Undefined,
            },
            Expr::Binary(..) => self.chain(row, facts),
            Expr::Exists(sub) => {
                Value::from(sub.rows(row, facts).is_some_and(|(rows, _)| !rows.is_empty()))
            }
            Expr::Sub(sub) => match sub.rows(row, facts) {
                None => Value::Undefined,
                Some((mut rows, false)) => rows.pop().unwrap_or(Value::Undefined),
                Some((rows, true)) => {
                    Value::Json(Json::array(rows.into_iter().filter_map(Value::into_json)))
                }
            },
            Expr::Case(of, arms, otherwise) => {
                let of = of.value(row, facts);
                if of == Value::Undefined {
                    return Value::Undefined;
                }
                for (when, then) in arms {
                    if equal(&of, &when.value(row, facts)) == Some(true) {
                        return then.value(row, facts);
                    }
                }
                otherwise.as_ref().map_or(Value::Undefined, |otherwise| otherwise.value(row, facts))
            }
            Expr::Object(members) => {
                let members = members.iter().filter_map(|(name, expr)| {
                    Some((Arc::clone(name), expr.value(row, facts).into_json()?))
                });
                Value::Json(Json::object(members))
            }
            Expr::Array(items) => {
                let items = items.iter().filter_map(|expr| expr.value(row, facts).into_json());
                Value::Json(Json::array(items))
            }
        }
    }
}

impl Expr {
    /// The value of operators that follow each other, first to last: a long chain is not deep.
    fn chain(&self, row: &Row<'_>, facts: &Facts<'_>) -> Value {
        let mut links = Vec::new();
        let mut first = self;
        while let Expr::Binary(left, operator, right) = first {
            links.push((*operator, right));
            first = left;
        }
        links.into_iter().rev().fold(first.value(row, facts), |left, (operator, right)| {
            binary(&left, operator, &right.value(row, facts), facts)
        })
    }
}

/// A member of the row, an alias, or the same in what is around it.
fn named(row: &Row<'_>, name: &str) -> Value {
    let mut at = Some(row);
    while let Some(row) = at {
        if row.alias == Some(name) {
            return row.value.map_or(Value::Undefined, |value| Value::Json(value.clone()));
        }
        if let Some(value) = row.value.and_then(|value| value.member(name)) {
            return Value::Json(value.clone());
        }
        at = row.outer;
    }
    Value::Undefined
}

fn binary(left: &Value, operator: Operator, right: &Value, facts: &Facts<'_>) -> Value {
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
            (Some(value), Some(items)) => Value::from(items.contains(value)),
            _ => Value::Undefined,
        },
        Operator::Equal => equal(left, right).into(),
        Operator::NotEqual => equal(left, right).map(|same| !same).into(),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            order(left, operator, right).into()
        }
        Operator::Plus => plus(left, right),
        Operator::Minus | Operator::Times | Operator::Divide | Operator::Modulo => {
            arithmetic(left, operator, right)
        }
    }
}

/// `=`: by value within a type; unlike types are not equal, Undefined is neither.
fn equal(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Undefined, _) | (_, Value::Undefined) => None,
        (Value::Json(a), Value::Json(b)) => Some(a == b),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a == b),
        _ => Some(false),
    }
}

fn order(left: &Value, operator: Operator, right: &Value) -> Option<bool> {
    let (a, b) = (left.number()?, right.number()?);
    let order = match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64())?,
    };
    Some(match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn plus(left: &Value, right: &Value) -> Value {
    let is_text = |value: &Value| matches!(value.json(), Some(Json::String(_)));
    if is_text(left) || is_text(right) {
        return match (left.text(), right.text()) {
            (Some(a), Some(b)) => Value::from(a + &b),
            _ => Value::Undefined,
        };
    }
    arithmetic(left, Operator::Plus, right)
}

fn arithmetic(left: &Value, operator: Operator, right: &Value) -> Value {
    let (Some(a), Some(b)) = (left.number(), right.number()) else { return Value::Undefined };
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        let exact = match operator {
            Operator::Plus => a.checked_add(b),
            Operator::Minus => a.checked_sub(b),
            Operator::Times => a.checked_mul(b),
            Operator::Divide => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        if let Some(exact) = exact {
            return Value::from(exact);
        }
    }
    let (a, b) = (a.as_f64(), b.as_f64());
    double(Some(match operator {
        Operator::Plus => a + b,
        Operator::Minus => a - b,
        Operator::Times => a * b,
        Operator::Divide => a / b,
        _ => a % b,
    }))
}

fn cast(of: &Value, to: Type) -> Value {
    if of.is_null() {
        return Value::Undefined;
    }
    let as_number = |value: bool| Value::from(i64::from(value));
    match (to, of.json()) {
        (Type::String, _) => of.text().map(Json::from).into(),
        (Type::Boolean, Some(Json::Number(number))) => Value::from(number.as_f64() != 0.0),
        (Type::Boolean, _) => of.boolean().into(),
        (Type::Int | Type::Decimal, Some(Json::Bool(value))) => as_number(*value),
        (Type::Int, _) => of.int().into(),
        (Type::Decimal, _) => match of.number() {
            Some(number) => Value::Json(Json::Number(number)),
            None => Value::Undefined,
        },
    }
}
