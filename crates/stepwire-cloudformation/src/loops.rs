//! `Fn::ForEach`: loops that are unrolled before anything else.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::expanded::Unknown;
use crate::function::Evaluator;
use crate::source::VALUES_MAX;
use crate::value::{Data, Map, Place, Value};

/// The loops in `value` unrolled, at every depth.
pub(crate) fn unroll(value: &Value, evaluator: &mut Evaluator<'_>) -> Value {
    let mut unroller = Unroller { evaluator, count: 0 };
    unroller.value(value)
}

/// Whether a loop is in `value`.
pub(crate) fn has_loop(value: &Value) -> Option<Place> {
    match &value.data {
        Data::List(items) => items.iter().find_map(has_loop),
        Data::Map(members) => members.iter().find_map(|(name, value)| {
            if name.starts_with("Fn::ForEach::") { Some(value.pointer()) } else { has_loop(value) }
        }),
        Data::Null | Data::Bool(..) | Data::Number(_) | Data::String(_) => None,
    }
}

struct Unroller<'a, 'b> {
    evaluator: &'a mut Evaluator<'b>,
    count: usize,
}

impl Unroller<'_, '_> {
    fn wrong(&mut self, place: Place, message: &str) {
        self.evaluator.problems.push(Diagnostic::new(place, message));
    }

    fn value(&mut self, value: &Value) -> Value {
        self.count += 1;
        let data = match &value.data {
            Data::List(items) => {
                Data::List(Arc::new(items.iter().map(|item| self.value(item)).collect()))
            }
            Data::Map(members) => {
                let mut out = Map::new();
                for (name, member) in members.iter() {
                    if name.starts_with("Fn::ForEach::") {
                        self.turn(member, &mut out);
                    } else {
                        let member = self.value(member);
                        self.put(&mut out, name.clone(), member);
                    }
                }
                Data::Map(Arc::new(out))
            }
            other => other.clone(),
        };
        Value { data, ..value.clone() }
    }

    fn put(&mut self, out: &mut Map, name: Arc<str>, value: Value) {
        let place = value.pointer();
        if out.insert(name.clone(), value).is_some() {
            self.wrong(place, &format!("Template format error: a loop makes `{name}` twice"));
        }
    }

    /// One loop: its members go to `out`.
    fn turn(&mut self, argument: &Value, out: &mut Map) {
        let place = argument.pointer();
        let parts = match argument.as_list() {
            Some([name, collection, body]) => {
                name.as_str().zip(body.as_map()).map(|(n, b)| (n, collection, b))
            }
            _ => None,
        };
        let Some((identifier, collection, body)) = parts else {
            self.wrong(
                place,
                "Template error: Fn::ForEach takes a name, a list and an object of what is repeated",
            );
            return;
        };
        let collection = self.evaluator.evaluate(collection).unwrap_or_default();
        let items: Option<Vec<Arc<str>>> =
            collection.as_list().map(|items| items.iter().filter_map(Value::text).collect());
        if let Some(parameter) = collection.as_reference()
            && self.evaluator.names().unknown() == Unknown::Open
        {
            let why = format!(
                "Template error: Fn::ForEach goes through {parameter}, which has no value here"
            );
            let told = Diagnostic::new(place, why);
            self.evaluator
                .problems
                .push(told.hint("give it a value, or a Default in the template"));
            return;
        }
        let Some(items) = items.filter(|_| !collection.is_open()) else {
            self.wrong(
                place,
                "Template error: Fn::ForEach takes a list that is known before resources exist",
            );
            return;
        };
        for item in items {
            let size: usize = body.values().map(|value| weight(value, item.len())).sum();
            if self.count.saturating_add(size) > VALUES_MAX {
                self.count = VALUES_MAX + 1;
                self.wrong(
                    place,
                    &format!("Template format error: loops come to more than {VALUES_MAX} values"),
                );
                return;
            }
            let marks = [format!("${{{identifier}}}"), format!("&{{{identifier}}}")];
            let letters: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
            let filling = Filling { identifier, item: &item, marks };
            let filled: Map = body
                .iter()
                .map(|(name, value)| {
                    // `&{X}` in a name is the value without what a name cannot have.
                    let name =
                        name.replace(&filling.marks[1], &letters).replace(&filling.marks[0], &item);
                    (name.into(), filling.value(value))
                })
                .collect();
            let whole = Value::new(Data::Map(Arc::new(filled)), place);
            let whole = self.value(&whole);
            for (name, value) in whole.as_map().into_iter().flatten() {
                self.put(out, name.clone(), value.clone());
            }
        }
    }
}

/// How many values this comes to at most, with items of `letters` bytes filled in.
fn weight(value: &Value, letters: usize) -> usize {
    1 + match &value.data {
        Data::List(items) => items.iter().map(|item| weight(item, letters)).sum(),
        Data::Map(members) => members.values().map(|value| weight(value, letters)).sum(),
        Data::String(text) => text.len().saturating_mul(1 + letters / 4) / 64,
        Data::Null | Data::Bool(..) | Data::Number(_) => 0,
    }
}

struct Filling<'a> {
    identifier: &'a str,
    item: &'a str,
    marks: [String; 2],
}

impl Filling<'_> {
    fn text(&self, text: &str) -> Arc<str> {
        text.replace(&self.marks[0], self.item).replace(&self.marks[1], self.item).into()
    }

    fn value(&self, value: &Value) -> Value {
        if value.as_reference() == Some(self.identifier) {
            return Value { data: Data::String(self.item.into()), ..value.clone() };
        }
        let data = match &value.data {
            Data::String(text) => Data::String(self.text(text)),
            Data::List(items) => {
                Data::List(Arc::new(items.iter().map(|i| self.value(i)).collect()))
            }
            Data::Map(members) => Data::Map(Arc::new(
                members.iter().map(|(name, value)| (self.text(name), self.value(value))).collect(),
            )),
            other => other.clone(),
        };
        Value { data, ..value.clone() }
    }
}
