//! Functions: what they come to, as far as what they refer to is known.

mod condition;
mod lookup;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::expanded::Unknown;
use crate::template::NO_TRANSFORM;
use crate::value::{Data, Place, Value};

/// Bytes that functions may come to in one template.
const BYTES_MAX: usize = 16 << 20;
/// The names of things that are filled in elsewhere and stay as they are.
const LEFT: &str = "AWS::IoT::Certificate::";

/// What a name stands for.
pub(crate) enum Found {
    /// This.
    Is(Value),
    /// `AWS::NoValue`: nothing, and what has it is left out.
    Nothing,
    /// That is not known before the resource exists.
    Later,
    /// There is no such thing.
    Missing,
}

/// What functions refer to.
pub(crate) trait Names {
    /// What `Ref` of `name` gives.
    fn reference(&self, name: &str) -> Found;
    /// What `Fn::GetAtt` gives.
    fn attribute(&self, resource: &str, name: &str) -> Found;
    /// Whether the condition holds.
    fn condition(&self, name: &str) -> Option<bool>;
    /// The mapping.
    fn mapping(&self, name: &str) -> Option<&Value>;
    /// The value that another stack exports.
    fn import(&self, name: &str) -> Option<Value>;
    /// The value in Parameter Store.
    fn stored(&self, name: &str) -> Option<Value>;
    /// `AWS::Region`, for `Fn::GetAZs`.
    fn region(&self) -> &str;
    /// Whether AWS::LanguageExtensions is declared.
    fn is_extended(&self) -> bool;
    /// What becomes of what is not known.
    fn unknown(&self) -> Unknown;
}

pub(crate) struct Evaluator<'a> {
    names: &'a dyn Names,
    /// What was found wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// What was not known, with [`Unknown::Open`].
    pub(crate) notes: Vec<Diagnostic>,
    /// Exports that were used.
    pub(crate) imported: BTreeSet<String>,
    bytes: usize,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(names: &'a dyn Names) -> Self {
        Evaluator {
            names,
            problems: Vec::new(),
            notes: Vec::new(),
            imported: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Whether what is not known stays open; it is noted then.
    fn leaves_open(&mut self, place: Place, what: impl FnOnce() -> String) -> bool {
        let open = self.names.unknown() == Unknown::Open;
        if open {
            self.notes.push(Diagnostic::new(place, what()));
        }
        open
    }

    /// What functions refer to.
    pub(crate) fn names(&self) -> &'a dyn Names {
        self.names
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>) -> Value {
        self.problems.push(Diagnostic::new(place, message));
        Value::string("").at(place)
    }

    fn wrong_with(&mut self, place: Place, message: String, hint: String) -> Value {
        self.problems.push(Diagnostic::new(place, message).hint(hint));
        Value::string("").at(place)
    }

    /// `value` with its functions worked out as far as possible; `None` when it is `AWS::NoValue`.
    pub(crate) fn evaluate(&mut self, value: &Value) -> Option<Value> {
        let data = match &value.data {
            Data::List(items) => {
                Data::List(Arc::new(items.iter().filter_map(|item| self.evaluate(item)).collect()))
            }
            Data::Map(members) => {
                if let Some((name, argument)) = value.as_function() {
                    let result = self.function(name, argument, value)?;
                    let place = if result.place.is_nowhere() { value.place } else { result.place };
                    return Some(Value { place, key: value.key, ..result });
                }
                if let Some((name, at)) = members.iter().find(|(name, _)| name.starts_with("Fn::"))
                {
                    let told = self.beside(name, at.pointer());
                    return Some(told);
                }
                let members = members
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), self.evaluate(value)?)));
                Data::Map(Arc::new(members.collect()))
            }
            Data::String(text) if text.contains("{{resolve:") => {
                let text = self.dynamic(text, value.place);
                Data::String(text.into())
            }
            other => other.clone(),
        };
        Some(Value { data, ..value.clone() })
    }

    /// A function that is not alone in its object.
    fn beside(&mut self, name: &str, place: Place) -> Value {
        if name == "Fn::Transform" {
            return self.transform(place, None);
        }
        self.wrong_with(
            place,
            format!("Template format error: {name} must be the only member of its object"),
            "move the other members away, or quote what is not meant as a function".to_owned(),
        )
    }

    fn function(&mut self, name: &str, argument: &Value, whole: &Value) -> Option<Value> {
        let place = whole.place;
        let result = match name {
            "Ref" => return self.reference(argument, whole),
            "Fn::If" => return self.choose(argument, place),
            "Fn::GetAtt" => self.attribute(argument, place),
            "Fn::Sub" => self.substitute(argument, place),
            "Fn::Join" => self.join(argument, place),
            "Fn::FindInMap" => return self.find(argument, place),
            "Fn::Select" => self.select(argument, place),
            "Fn::Split" => self.split(argument, place),
            "Fn::Base64" => self.base64(argument, place),
            "Fn::Cidr" => self.cidr(argument, place),
            "Fn::GetAZs" => self.zones(argument, place),
            "Fn::ImportValue" => self.import(argument, place),
            "Fn::Length" | "Fn::ToJsonString" => self.extension(name, argument, place),
            "Fn::Transform" => {
                let name = argument.member("Name").and_then(Value::as_str);
                self.transform(place, name)
            }
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => self.wrong_with(
                place,
                format!("Template error: {name} is for Conditions and Rules only"),
                "declare a condition and use it with Fn::If".to_owned(),
            ),
            "Fn::RefAll" | "Fn::ValueOf" | "Fn::ValueOfAll" => self.not_here(name, place),
            _ if name.starts_with("Fn::ForEach::") => self.wrong_with(
                place,
                format!("Template format error: {name} is not taken here"),
                "declare `Transform: AWS::LanguageExtensions`".to_owned(),
            ),
            _ => self.wrong(
                place,
                format!("Template error: {name} is not a function of CloudFormation"),
            ),
        };
        self.spend(&result, place);
        Some(result)
    }

    /// A function of rules that looks at what an account has.
    fn not_here(&mut self, name: &str, place: Place) -> Value {
        self.wrong_with(
            place,
            format!("{name} is not available in stepwire"),
            "compare the parameters themselves".to_owned(),
        )
    }

    /// Counts what functions come to, so that a small template cannot become a huge one.
    fn spend(&mut self, result: &Value, place: Place) {
        let before = self.bytes;
        self.bytes = before.saturating_add(result.size());
        if before <= BYTES_MAX && self.bytes > BYTES_MAX {
            self.wrong(place, "Template format error: functions come to more than 16 MB");
        }
    }

    fn is_spent(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    fn reference(&mut self, argument: &Value, whole: &Value) -> Option<Value> {
        let argument = self.evaluate(argument)?;
        let Some(name) = argument.text() else {
            return Some(self.wrong(
                whole.place,
                "Template format error: Every Ref object must have a single String value.",
            ));
        };
        if name.starts_with(LEFT) {
            return Some(whole.clone());
        }
        if self.is_spent() {
            return Some(Value::string(""));
        }
        match self.names.reference(&name) {
            Found::Is(value) => {
                self.spend(&value, whole.place);
                Some(Value { place: whole.place, ..value })
            }
            Found::Nothing => None,
            Found::Later => Some(of("Ref", Value::string(name).at(argument.place))),
            Found::Missing => Some(self.wrong(
                whole.place,
                format!("Template format error: Unresolved dependency {name}"),
            )),
        }
    }

    fn attribute(&mut self, argument: &Value, place: Place) -> Value {
        let parts: Option<(Arc<str>, Arc<str>)> = match &argument.data {
            Data::String(text) => text.split_once('.').map(|(a, b)| (a.into(), b.into())),
            Data::List(items) => {
                let items: Vec<Value> =
                    items.iter().filter_map(|item| self.evaluate(item)).collect();
                if let [resource, attribute] = &*items
                    && resource.as_str().is_some()
                    && attribute.is_open()
                {
                    return of("Fn::GetAtt", Value::list(items));
                }
                let texts: Option<Vec<Arc<str>>> = items.iter().map(Value::text).collect();
                match texts.as_deref() {
                    Some([resource, rest @ ..]) if !rest.is_empty() => {
                        Some((resource.clone(), rest.join(".").into()))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        let Some((resource, attribute)) = parts.filter(|(a, b)| !a.is_empty() && !b.is_empty())
        else {
            return self.wrong(
                place,
                "Template error: every Fn::GetAtt object requires two non-empty parameters, the \
                 resource name and the resource attribute",
            );
        };
        match self.names.attribute(&resource, &attribute) {
            Found::Is(value) => value,
            Found::Nothing | Found::Later => of(
                "Fn::GetAtt",
                Value::list([
                    Value::string(resource).at(place),
                    Value::string(attribute).at(place),
                ]),
            ),
            Found::Missing => self.wrong(
                place,
                format!(
                    "Template error: resource {resource} does not have the attribute {attribute}"
                ),
            ),
        }
    }

    fn extension(&mut self, name: &str, argument: &Value, place: Place) -> Value {
        if !self.names.is_extended() {
            return self.wrong_with(
                place,
                format!("Template format error: {name} needs AWS::LanguageExtensions"),
                "declare `Transform: AWS::LanguageExtensions`".to_owned(),
            );
        }
        let argument = self.evaluate(argument).unwrap_or_default();
        if name == "Fn::Length" {
            return match &argument.data {
                Data::List(items) => Value::from(items.len() as i64).at(place),
                Data::Map(_) if argument.as_function().is_some() => of(name, argument),
                _ => self.wrong(place, "Template error: Fn::Length takes a list"),
            };
        }
        if argument.is_open() {
            return of(name, argument);
        }
        if argument.size() > BYTES_MAX {
            self.bytes = usize::MAX;
            return self.wrong(place, "Template format error: functions come to more than 16 MB");
        }
        Value::string(argument.to_json().to_text()).at(place)
    }

    fn transform(&mut self, place: Place, name: Option<&str>) -> Value {
        let name = name.unwrap_or("Fn::Transform");
        self.wrong_with(
            place,
            format!("Transform {name} is not supported"),
            NO_TRANSFORM.to_owned(),
        )
    }
}

/// The function `name` of `argument`, left for later.
fn of(name: &str, argument: Value) -> Value {
    let place = argument.place;
    Value::map([(name, argument)]).at(place)
}
