//! Functions that make texts, and lists of texts.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BYTES_MAX, Evaluator, Found, LEFT, of};
use crate::cidr;
use crate::sub::{self, Part};
use crate::value::{Data, Map, Place, Value};

impl Evaluator<'_> {
    pub(super) fn substitute(&mut self, argument: &Value, place: Place) -> Value {
        let (text, variables) = match &argument.data {
            Data::List(items) => match &***items {
                [text, variables] => (text, variables.as_map()),
                [text] => (text, None),
                _ => (argument, None),
            },
            _ => (argument, None),
        };
        let malformed = matches!(&argument.data, Data::List(items)
            if items.len() != 1 && (items.len() != 2 || variables.is_none()));
        let Some(written) = text.text().filter(|_| !malformed) else {
            return self.wrong(
                place,
                "Template error: One or more Fn::Sub intrinsic functions don't specify expected \
                 arguments. Specify a string as first argument, and an optional second argument to \
                 specify a mapping of values to replace in the string",
            );
        };
        let parts = match sub::parse(&written) {
            Ok(parts) => parts,
            Err(name) => {
                return self.wrong_with(
                    text.place,
                    "Template error: variable names in Fn::Sub syntax must contain only \
                     alphanumeric characters, underscores, periods, and colons"
                        .to_owned(),
                    format!("`${{{name}}}`: write `${{!{name}}}` if it is meant as it stands"),
                );
            }
        };
        let mut known = Map::new();
        for (name, value) in variables.into_iter().flatten() {
            let Some(value) = self.evaluate(value) else { continue };
            if !value.is_open() && value.text().is_none() {
                return self.wrong(
                    value.pointer(),
                    "Template error: every value of the context object of every Fn::Sub object must \
                     be a string or a function that returns a string",
                );
            }
            known.insert(name.clone(), value);
        }
        self.fill(parts, &known, text.place)
    }

    pub(super) fn fill(&mut self, parts: Vec<Part>, known: &Map, place: Place) -> Value {
        let mut open = Map::new();
        let mut done: Vec<Part> = Vec::new();
        let mut plain = String::new();
        for part in parts {
            let name = match part {
                Part::Text(text) => {
                    plain.push_str(&text);
                    continue;
                }
                Part::Name(name) => name,
            };
            if self.is_spent() || plain.len() > BYTES_MAX {
                self.bytes = self.bytes.saturating_add(plain.len());
                break;
            }
            let found = match known.get(&*name) {
                Some(value) if value.is_open() => {
                    open.insert(name.as_str().into(), value.clone());
                    Found::Later
                }
                Some(value) => Found::Is(value.clone()),
                None if name.starts_with(LEFT) => Found::Later,
                None => match name.split_once('.') {
                    Some((resource, attribute)) => self.names.attribute(resource, attribute),
                    None => self.names.reference(&name),
                },
            };
            match found {
                Found::Is(value) => match value.text() {
                    Some(text) => plain.push_str(&text),
                    None => {
                        self.wrong(
                            place,
                            format!(
                                "Template error: Fn::Sub takes texts; ${{{name}}} is {}",
                                value.kind()
                            ),
                        );
                    }
                },
                Found::Nothing => {}
                Found::Later => {
                    if !plain.is_empty() {
                        done.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    done.push(Part::Name(name));
                }
                Found::Missing => {
                    self.wrong(
                        place,
                        format!(
                            "Template error: Fn::Sub refers to ${{{name}}}, which does not exist"
                        ),
                    );
                }
            }
        }
        if done.is_empty() {
            let text = self.dynamic(&plain, place);
            return Value::string(text).at(place);
        }
        if !plain.is_empty() {
            done.push(Part::Text(plain));
        }
        let text = Value::string(sub::write(&done)).at(place);
        if open.is_empty() {
            of("Fn::Sub", text)
        } else {
            of("Fn::Sub", Value::list([text, Value::new(Data::Map(Arc::new(open)), place)]))
        }
    }

    pub(super) fn join(&mut self, argument: &Value, place: Place) -> Value {
        let malformed = "Template error: every Fn::Join object requires two parameters, (1) a string \
                         delimiter and (2) a list of strings to be joined or a function that returns \
                         a list of strings (such as Fn::GetAZs) to be joined.";
        let Some([delimiter, list]) = argument.as_list() else {
            return self.wrong(place, malformed);
        };
        let Some(between) = delimiter.text() else { return self.wrong(place, malformed) };
        let Some(list) = self.evaluate(list) else { return Value::string("").at(place) };
        if list.as_function().is_some() {
            return of("Fn::Join", Value::list([delimiter.clone(), list]));
        }
        let Some(items) = list.as_list() else { return self.wrong(place, malformed) };
        if items.iter().any(Value::is_open) {
            return of("Fn::Join", Value::list([delimiter.clone(), list]));
        }
        let texts: Option<Vec<Arc<str>>> = items.iter().map(Value::text).collect();
        let Some(texts) = texts else { return self.wrong(place, malformed) };
        let text = self.dynamic(&texts.join(&*between), place);
        Value::string(text).at(place)
    }

    pub(super) fn select(&mut self, argument: &Value, place: Place) -> Value {
        let malformed = "Template error: Fn::Select requires a list argument with two elements: an \
                         integer index and a list";
        let Some([index, list]) = argument.as_list() else {
            return self.wrong(place, malformed);
        };
        let (Some(index), Some(list)) = (self.evaluate(index), self.evaluate(list)) else {
            return self.wrong(place, malformed);
        };
        if index.is_open() || list.as_function().is_some() {
            return of("Fn::Select", Value::list([index, list]));
        }
        let number = index.text().and_then(|text| text.trim().parse::<usize>().ok());
        let (Some(number), Some(items)) = (number, list.as_list()) else {
            return self.wrong(place, malformed);
        };
        items.get(number).cloned().unwrap_or_else(|| {
            self.wrong(
                place,
                format!(
                    "Template error: Fn::Select cannot select nonexistent value at index {number}"
                ),
            )
        })
    }

    pub(super) fn split(&mut self, argument: &Value, place: Place) -> Value {
        let malformed = "Template error: every Fn::Split object requires two parameters, (1) a string \
                         delimiter and (2) a string to be split or a function that returns a string \
                         to be split.";
        let Some([delimiter, text]) = argument.as_list() else {
            return self.wrong(place, malformed);
        };
        let (Some(between), Some(text)) = (delimiter.text(), self.evaluate(text)) else {
            return self.wrong(place, malformed);
        };
        if text.is_open() {
            return of("Fn::Split", Value::list([delimiter.clone(), text]));
        }
        let Some(text) = text.text().filter(|_| !between.is_empty()) else {
            return self.wrong(place, malformed);
        };
        Value::list(text.split(&*between).map(|item| Value::string(item).at(place))).at(place)
    }

    pub(super) fn base64(&mut self, argument: &Value, place: Place) -> Value {
        let Some(text) = self.evaluate(argument) else { return Value::string("").at(place) };
        if text.is_open() {
            return of("Fn::Base64", text);
        }
        match text.text() {
            Some(text) => Value::string(STANDARD.encode(text.as_bytes())).at(place),
            None => self.wrong(
                place,
                "Template error: every Fn::Base64 object must have a String-typed value.",
            ),
        }
    }

    pub(super) fn cidr(&mut self, argument: &Value, place: Place) -> Value {
        let Some(argument) = self.evaluate(argument) else { return Value::string("").at(place) };
        if argument.is_open() {
            return of("Fn::Cidr", argument);
        }
        let items = argument.as_list().unwrap_or_default();
        let number = |index: usize| items.get(index)?.text()?.parse::<u64>().ok();
        let block = items.first().and_then(Value::text);
        let blocks = match (block, number(1), number(2)) {
            (Some(block), Some(count), Some(bits)) => {
                cidr::cut(&block, count, u32::try_from(bits).unwrap_or(u32::MAX))
            }
            (Some(block), Some(count), None) if items.len() == 2 => cidr::cut(&block, count, 8),
            _ => Err("it takes a block, a number of 1 to 256, and host bits".to_owned()),
        };
        match blocks {
            Ok(blocks) => {
                Value::list(blocks.into_iter().map(|block| Value::string(block).at(place)))
            }
            Err(why) => self.wrong(place, format!("Template error: Fn::Cidr: {why}")),
        }
    }

    pub(super) fn zones(&mut self, argument: &Value, place: Place) -> Value {
        let region = self.evaluate(argument).unwrap_or_default();
        if region.is_open() {
            return of("Fn::GetAZs", region);
        }
        let text = region.text().unwrap_or_default();
        let region = if text.is_empty() { self.names.region().into() } else { text };
        Value::list(["a", "b", "c"].map(|zone| Value::string(format!("{region}{zone}")).at(place)))
    }
}
