//! Evaluating statements. Total: whatever goes wrong is Undefined.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

pub(super) use super::facts::Facts;
use super::facts::weight;
use super::functions::Function;
use super::operators::binary;
pub(super) use super::operators::equal;
use super::{Expr, Item, Select, Statement, Sub, Value, Version};

/// Most bytes of a variable's value as JSON text, and of all of a statement's.
const VARIABLES_BYTES_MAX: usize = 131_072;

/// What names mean: the row, and what a sub-select calls its rows.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub(super) value: Option<&'a Json>,
    alias: Option<&'a str>,
    pub(super) outer: Option<&'a Row<'a>>,
}

impl<'a> Row<'a> {
    /// The payload.
    pub(super) fn of(value: Option<&'a Json>) -> Row<'a> {
        Row { value, alias: None, outer: None }
    }

    /// A row of a sub-select, whose rows are perhaps called by a name.
    pub(super) fn within(&'a self, alias: Option<&'a str>, item: &'a Json) -> Row<'a> {
        Row { value: Some(item), alias, outer: Some(self) }
    }
}

impl Statement {
    /// Gives its variables their values, for itself and for the templates of its rule.
    pub(crate) fn prepare(&self, facts: &Facts<'_>) {
        facts.begin(self.version);
        let mut left = VARIABLES_BYTES_MAX;
        for (name, expr) in &self.variables {
            let value = charged(expr.value(&Row::of(facts.payload), facts), facts);
            let bytes = match &value {
                Value::Undefined => 0,
                Value::Json(json) => json.to_text().len(),
                Value::Bytes(bytes) => bytes.len(),
            };
            let fits = bytes <= left;
            left -= if fits { bytes } else { 0 };
            facts.set(name, if fits { value } else { Value::Undefined });
        }
    }

    /// What it makes of a message; `None` when its `WHERE` does not hold.
    pub fn run(&self, facts: &Facts<'_>) -> Option<Value> {
        self.prepare(facts);
        let row = Row::of(facts.payload);
        let holds = self.filter.as_ref().is_none_or(|filter| filter.holds(&row, facts));
        holds.then(|| self.selected(&row, facts))
    }

    /// What it selects, whether or not its `WHERE` holds.
    pub(super) fn selected(&self, row: &Row<'_>, facts: &Facts<'_>) -> Value {
        match self.select.value(row, facts) {
            // Arrays are results since 2016-03-23.
            Value::Json(Json::Array(_))
                if self.version == Version::V2015 && matches!(self.select, Select::Value(_)) =>
            {
                Value::Undefined
            }
            value => value,
        }
    }
}

pub(super) fn expression(expr: &Expr, facts: &Facts<'_>) -> Value {
    expr.value(&Row::of(facts.payload), facts).written(facts.version())
}

/// How numbers that were calculated leave a SELECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// As they are, for what is still calculated with them.
    Kept,
    /// As the version of the statement writes them.
    Written,
}

impl Select {
    /// What leaves the statement.
    pub(super) fn value(&self, row: &Row<'_>, facts: &Facts<'_>) -> Value {
        self.picked(row, facts, Numbers::Written)
    }

    fn picked(&self, row: &Row<'_>, facts: &Facts<'_>, numbers: Numbers) -> Value {
        // What stands in the payload stays as its sender wrote it.
        let value_of = |expr: &Expr| match expr.value(row, facts) {
            value if numbers == Numbers::Kept || expr.is_path() => value,
            value => charged(value, facts).written(facts.version()),
        };
        let items = match self {
            Select::Value(expr) => return value_of(expr),
            Select::Items(items) => items,
        };
        if let [Item::All] = items.as_slice() {
            return whole(row, facts);
        }
        let mut members = Object::new();
        // What was put before a `*` or `a.*` stays over what these bring.
        let (mut named, mut covered) = (Vec::new(), false);
        for item in items {
            covered |= !named.is_empty() && !matches!(item, Item::One(..));
            match item {
                Item::Members(expr) => {
                    if let Value::Json(Json::Object(all)) = charged(value_of(expr), facts) {
                        members.extend(all.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
                    }
                }
                Item::All => match charged(whole(row, facts), facts) {
                    Value::Json(Json::Object(all)) => {
                        members.extend(all.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
                    }
                    // An empty payload has nothing to add.
                    Value::Bytes(bytes) if bytes.is_empty() => {}
                    // Bytes beside other items are carried as base64.
                    other => {
                        if let Some(value) = other.into_json() {
                            members.insert("data".into(), value);
                        }
                    }
                },
                Item::One(expr, path) => {
                    if let Some(value) = charged(value_of(expr), facts).into_json() {
                        put(&mut members, path, value.clone());
                        named.push((path, value));
                    }
                }
            }
        }
        if covered {
            named.into_iter().for_each(|(path, value)| put(&mut members, path, value));
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
    /// What it selects of each row, and whether its source has many: an array, or `*`.
    fn rows(&self, row: &Row<'_>, facts: &Facts<'_>) -> Option<(Vec<Value>, bool)> {
        let source = match self.from.value(row, facts) {
            Value::Json(source) => source,
            Value::Undefined | Value::Bytes(_) => return None,
        };
        let (items, many) = match &source {
            Json::Array(items) => (items.as_slice(), true),
            // What has neither rows nor members is nothing to select from.
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)
                if self.from != Expr::All =>
            {
                return None;
            }
            other => (std::slice::from_ref(other), self.from == Expr::All),
        };
        let mut found = Vec::new();
        for item in items {
            // each costs, also when what is selected of it costs nothing
            if !facts.spend(1) {
                return None;
            }
            let inner = row.within(self.alias.as_deref(), item);
            if self.filter.as_ref().is_none_or(|filter| filter.holds(&inner, facts)) {
                found.push(self.select.picked(&inner, facts, Numbers::Kept));
            }
        }
        Some((found, many))
    }

    fn value(&self, row: &Row<'_>, facts: &Facts<'_>) -> Value {
        match self.rows(row, facts) {
            None => Value::Undefined,
            Some((mut rows, false)) => rows.pop().unwrap_or(Value::Undefined),
            Some((rows, true)) => {
                Value::Json(Json::array(rows.into_iter().filter_map(Value::into_json)))
            }
        }
    }
}

impl Expr {
    /// Whether it is exactly true.
    pub(super) fn holds(&self, row: &Row<'_>, facts: &Facts<'_>) -> bool {
        self.value(row, facts).json().and_then(Json::as_bool) == Some(true)
    }

    pub(super) fn value(&self, row: &Row<'_>, facts: &Facts<'_>) -> Value {
        if !facts.spend(1) {
            return Value::Undefined;
        }
        match self {
            Expr::Literal(value) => Value::Json(value.clone()),
            Expr::All => whole(row, facts),
            Expr::Name(name) => named(row, name),
            Expr::Variable(name) => facts.variable(name),
            Expr::Member(of, names) => {
                let of = of.value(row, facts);
                let member = names.iter().try_fold(of.json(), |of, name| Some(of?.member(name)));
                member.flatten().map_or(Value::Undefined, |member| Value::Json(member.clone()))
            }
            Expr::Call(function, arguments) => called(*function, arguments, row, facts),
            Expr::Cast(of, to) => {
                charged(of.value(row, facts), facts).written(facts.version()).cast(*to)
            }
            Expr::Not(of) => of.value(row, facts).boolean().map(|value| !value).into(),
            Expr::Negative(of) => of.value(row, facts).number().map(|of| of.negated()).into(),
            Expr::Binary(..) => self.chain(row, facts),
            Expr::Exists(sub) => {
                let any = |rows: Vec<Value>| rows.iter().any(|row| *row != Value::Undefined);
                Value::from(sub.rows(row, facts).is_some_and(|(rows, _)| any(rows)))
            }
            Expr::Sub(sub) => sub.value(row, facts),
            Expr::Case(of, arms, otherwise) => {
                let of = of.value(row, facts);
                if of == Value::Undefined {
                    return Value::Undefined;
                }
                for (when, then) in arms {
                    let when = when.value(row, facts);
                    if facts.spend(weight(&when)) && equal(&of, &when) == Some(true) {
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

fn called(function: Function, arguments: &[Expr], row: &Row<'_>, facts: &Facts<'_>) -> Value {
    let (least, most) = function.arity();
    if !(least..=most).contains(&arguments.len()) {
        return Value::Undefined;
    }
    let mut values: Vec<Value> = match (function, arguments) {
        // The payload's bytes as they came, not the value they write.
        (Function::Encode, [Expr::All, rest @ ..]) if row.outer.is_none() => {
            let payload = Value::Bytes(facts.message.payload.clone());
            let rest = rest.iter().map(|argument| argument.value(row, facts));
            std::iter::once(payload).chain(rest).collect()
        }
        _ => arguments.iter().map(|argument| argument.value(row, facts)).collect(),
    };
    if function.reads_all() {
        let weight = values.iter().map(weight).fold(0, u32::saturating_add);
        if !facts.spend(weight) {
            return Value::Undefined;
        }
        values = values.into_iter().map(|value| value.written(facts.version())).collect();
    }
    function.of(&values, facts)
}

/// A member of the row, an alias, or the same in what is around it.
pub(super) fn named(row: &Row<'_>, name: &str) -> Value {
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
