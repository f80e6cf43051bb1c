//! The values of a template: JSON, and for each the place where it is written.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use stepwire_asl::Json;
use stepwire_asl::json::Number;

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1; 0 when it is nowhere in the source.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// How many characters of that line to point at, at least 1.
    pub length: u32,
}

impl Place {
    /// Not in the source.
    pub const NOWHERE: Place = Place { line: 0, column: 0, length: 0 };

    /// Whether it is not in the source.
    pub fn is_nowhere(self) -> bool {
        self.line == 0
    }

    /// The bytes of `source` it points at, within one line; empty when it is nowhere.
    pub fn range(self, source: &str) -> Range<usize> {
        if self.is_nowhere() {
            return 0..0;
        }
        let mut start = 0;
        for (number, line) in source.split_inclusive('\n').enumerate() {
            if number + 1 == self.line as usize {
                let text = line.trim_end_matches(['\n', '\r']);
                let byte = |column: usize| {
                    text.char_indices().nth(column).map_or(text.len(), |(index, _)| index)
                };
                let first = (self.column as usize).saturating_sub(1);
                let from = byte(first);
                let to = byte(first.saturating_add(self.length as usize)).max(from);
                return start + from..start + to;
            }
            start += line.len();
        }
        source.len()..source.len()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The members of an object, in the order they were written.
pub type Map = IndexMap<Arc<str>, Value>;

/// A value and where it stands. Equality does not look at places.
#[derive(Debug, Clone, Default)]
pub struct Value {
    /// What it is.
    pub data: Data,
    /// Where it begins.
    pub place: Place,
    /// Where its name stands, when it is a member of an object.
    pub key: Place,
}

/// What a value is.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Data {
    /// Nothing; templates may not have it, the answers of others may.
    #[default]
    Null,
    /// A truth value, and how it was written: `yes` where a text is meant stays `yes`.
    Bool(bool, Arc<str>),
    /// A number with its text.
    Number(Number),
    /// A text; also dates and numbers with leading zeros, as they were written.
    String(Arc<str>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// An object. A function is one with the single member `Ref` or `Fn::…`.
    Map(Arc<Map>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::Bool(a, _), Data::Bool(b, _)) => a == b,
            (a, b) => a == b,
        }
    }
}

impl Value {
    /// A value that stands at `place`.
    pub fn new(data: Data, place: Place) -> Value {
        Value { data, place, key: Place::NOWHERE }
    }

    /// A text.
    pub fn string(text: impl Into<Arc<str>>) -> Value {
        Value::new(Data::String(text.into()), Place::NOWHERE)
    }

    /// A list.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::new(Data::List(Arc::new(items.into_iter().collect())), Place::NOWHERE)
    }

    /// An object.
    pub fn map<K: Into<Arc<str>>>(members: impl IntoIterator<Item = (K, Value)>) -> Value {
        let members = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Value::new(Data::Map(Arc::new(members)), Place::NOWHERE)
    }

    /// `{"Ref": name}`.
    pub fn reference(name: &str) -> Value {
        Value::map([("Ref", Value::string(name))])
    }

    /// `{"Fn::GetAtt": [name, attribute]}`.
    pub fn attribute(name: &str, attribute: &str) -> Value {
        Value::map([("Fn::GetAtt", Value::list([Value::string(name), Value::string(attribute)]))])
    }

    /// `{"Fn::Sub": text}`.
    pub fn sub(text: impl Into<Arc<str>>) -> Value {
        Value::map([("Fn::Sub", Value::string(text))])
    }

    /// The same, said to stand at `place`.
    #[must_use]
    pub fn at(mut self, place: Place) -> Value {
        self.place = place;
        self
    }

    /// Where to point at when something is wrong with this member: its name, else itself.
    pub fn pointer(&self) -> Place {
        if self.key.is_nowhere() { self.place } else { self.key }
    }

    /// The member `name`, when this is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.as_map()?.get(name)
    }

    /// The members, when this is an object.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The items, when this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, when this is one or the text of one.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.data {
            Data::Bool(value, _) => Some(*value),
            Data::String(text) => match &**text {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The text of this scalar as it was written; `None` of lists, objects and null.
    pub fn text(&self) -> Option<Arc<str>> {
        match &self.data {
            Data::String(text) | Data::Bool(_, text) => Some(text.clone()),
            Data::Number(number) => Some(number.to_string().into()),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// Name and argument, when this is a function: an object of one member named `Ref` or `Fn::…`.
    pub fn as_function(&self) -> Option<(&str, &Value)> {
        let members = self.as_map()?;
        let (name, argument) = members.first()?;
        let is = members.len() == 1 && (&**name == "Ref" || name.starts_with("Fn::"));
        is.then_some((&**name, argument))
    }

    /// The logical id, when this is a `Ref` of a resource or a parameter.
    pub fn as_reference(&self) -> Option<&str> {
        match self.as_function() {
            Some(("Ref", name)) => name.as_str(),
            _ => None,
        }
    }

    /// Logical id and attribute, when this is an `Fn::GetAtt`.
    pub fn as_attribute(&self) -> Option<(&str, &str)> {
        let ("Fn::GetAtt", argument) = self.as_function()? else { return None };
        match argument.as_list()? {
            [resource, attribute] => Some((resource.as_str()?, attribute.as_str()?)),
            _ => None,
        }
    }

    /// Whether a function is in it, at any depth.
    pub(crate) fn is_open(&self) -> bool {
        match &self.data {
            Data::List(items) => items.iter().any(Value::is_open),
            Data::Map(members) => {
                self.as_function().is_some() || members.values().any(Value::is_open)
            }
            Data::Null | Data::Bool(..) | Data::Number(_) | Data::String(_) => false,
        }
    }

    /// Bytes of its texts, and some for each value.
    pub(crate) fn size(&self) -> usize {
        const EACH: usize = 16;
        EACH + match &self.data {
            Data::Null | Data::Bool(..) => 0,
            Data::Number(number) => number.text_len(),
            Data::String(text) => text.len(),
            Data::List(items) => items.iter().map(Value::size).sum(),
            Data::Map(members) => {
                members.iter().map(|(name, value)| name.len() + value.size()).sum()
            }
        }
    }

    /// What it is called in a sentence.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "null",
            Data::Bool(..) => "a truth value",
            Data::Number(_) => "a number",
            Data::String(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "an object",
        }
    }

    /// As JSON; functions stay objects.
    pub fn to_json(&self) -> Json {
        match &self.data {
            Data::Null => Json::Null,
            Data::Bool(value, _) => Json::Bool(*value),
            Data::Number(number) => Json::Number(number.clone()),
            Data::String(text) => Json::String(text.clone()),
            Data::List(items) => Json::array(items.iter().map(Value::to_json)),
            Data::Map(members) => {
                Json::object(members.iter().map(|(name, value)| (name.clone(), value.to_json())))
            }
        }
    }

    /// From JSON; stands nowhere.
    pub fn from_json(json: &Json) -> Value {
        let data = match json {
            Json::Null => Data::Null,
            Json::Bool(value) => Data::Bool(*value, if *value { "true" } else { "false" }.into()),
            Json::Number(number) => Data::Number(number.clone()),
            Json::String(text) => Data::String(text.clone()),
            Json::Array(items) => {
                Data::List(Arc::new(items.iter().map(Value::from_json).collect()))
            }
            Json::Object(members) => Data::Map(Arc::new(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), Value::from_json(value)))
                    .collect(),
            )),
        };
        Value::new(data, Place::NOWHERE)
    }

    /// The value at `path` (names of members, positions in lists), and how far it could be followed.
    pub fn nearest<'a>(&'a self, path: &[&str]) -> (&'a Value, usize) {
        let mut here = self;
        for (depth, step) in path.iter().enumerate() {
            let next = match &here.data {
                Data::Map(members) => members.get(*step),
                Data::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(next) => here = next,
                None => return (here, depth),
            }
        }
        (here, path.len())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::from_json(&Json::Bool(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::from_json(&Json::from(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::string(text)
    }
}
