//! Functions: what they come to, as far as what they refer to is known.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cidr;
use crate::diagnostic::Diagnostic;
use crate::sub::{self, Part};
use crate::value::{Data, Map, Place, Value};

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
}

pub(crate) struct Evaluator<'a> {
    names: &'a dyn Names,
    /// What was found wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// Exports that were used.
    pub(crate) imported: BTreeSet<String>,
    bytes: usize,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(names: &'a dyn Names) -> Self {
        Evaluator { names, problems: Vec::new(), imported: BTreeSet::new(), bytes: 0 }
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

    fn choose(&mut self, argument: &Value, place: Place) -> Option<Value> {
        let Some([condition, yes, no]) = argument.as_list() else {
            return Some(
                self.wrong(
                    place,
                    "Template error: Fn::If requires a list argument with 3 elements",
                ),
            );
        };
        let Some(name) = condition.as_str().or_else(|| condition.member("Condition")?.as_str())
        else {
            return Some(self.wrong_with(
                place,
                "Template error: Fn::If requires a condition name first".to_owned(),
                "declare the condition under Conditions and name it here".to_owned(),
            ));
        };
        let Some(holds) = self.names.condition(name) else {
            return Some(self.wrong(
                condition.place,
                format!("Template error: unresolved condition dependency {name} in Fn::If"),
            ));
        };
        self.evaluate(if holds { yes } else { no })
    }

    fn substitute(&mut self, argument: &Value, place: Place) -> Value {
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

    fn fill(&mut self, parts: Vec<Part>, known: &Map, place: Place) -> Value {
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

    fn join(&mut self, argument: &Value, place: Place) -> Value {
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

    fn find(&mut self, argument: &Value, place: Place) -> Option<Value> {
        let (keys, options) = match argument.as_list() {
            Some([map, first, second]) => ([map, first, second], None),
            Some([map, first, second, options]) => ([map, first, second], Some(options)),
            _ => {
                return Some(self.wrong(
                    place,
                    "Template error: every Fn::FindInMap object requires three parameters, the map \
                     name, map key and the attribute for return value",
                ));
            }
        };
        let mut texts: Vec<Arc<str>> = Vec::new();
        for key in keys {
            let evaluated = self.evaluate(key);
            let Some(text) = evaluated.as_ref().and_then(Value::text) else {
                return Some(self.wrong_with(
                    key.place,
                    "Template error: Fn::FindInMap takes texts that are known before resources exist"
                        .to_owned(),
                    "use parameters, pseudo parameters and other mappings".to_owned(),
                ));
            };
            texts.push(text);
        }
        let [map, first, second] = &*texts else { return None };
        let default = options.and_then(|options| options.member("DefaultValue"));
        if options.is_some() && (default.is_none() || !self.names.is_extended()) {
            return Some(
                self.wrong_with(
                    place,
                    "Template error: a fourth parameter of Fn::FindInMap is its DefaultValue"
                        .to_owned(),
                    "declare `Transform: AWS::LanguageExtensions` and write `DefaultValue: …`"
                        .to_owned(),
                ),
            );
        }
        let found =
            self.names.mapping(map).and_then(|map| map.member(first)?.member(second)).cloned();
        if let Some(found) = found {
            self.spend(&found, place);
            return if self.is_spent() {
                Some(Value::string(""))
            } else {
                Some(Value { place, ..found })
            };
        }
        if let Some(default) = default {
            return self.evaluate(default);
        }
        Some(if self.names.mapping(map).is_none() {
            self.wrong(
                place,
                format!(
                    "Template error: Mapping named '{map}' is not present in the 'Mappings' section \
                     of template."
                ),
            )
        } else {
            self.wrong(
                place,
                format!("Template error: Unable to get mapping for {map}::{first}::{second}"),
            )
        })
    }

    fn select(&mut self, argument: &Value, place: Place) -> Value {
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

    fn split(&mut self, argument: &Value, place: Place) -> Value {
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

    fn base64(&mut self, argument: &Value, place: Place) -> Value {
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

    fn cidr(&mut self, argument: &Value, place: Place) -> Value {
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

    fn zones(&mut self, argument: &Value, place: Place) -> Value {
        let region = self.evaluate(argument).unwrap_or_default();
        if region.is_open() {
            return of("Fn::GetAZs", region);
        }
        let text = region.text().unwrap_or_default();
        let region = if text.is_empty() { self.names.region().into() } else { text };
        Value::list(["a", "b", "c"].map(|zone| Value::string(format!("{region}{zone}")).at(place)))
    }

    fn import(&mut self, argument: &Value, place: Place) -> Value {
        let Some(name) = self.evaluate(argument) else { return Value::string("").at(place) };
        let Some(name) = name.text() else {
            return self.wrong_with(
                place,
                "Template error: the attribute in Fn::ImportValue must not depend on any resources, \
                 imported values, or Fn::GetAZs"
                    .to_owned(),
                "name the export by parameters only".to_owned(),
            );
        };
        match self.names.import(&name) {
            Some(value) => {
                self.imported.insert(name.to_string());
                value
            }
            None => self.wrong(place, format!("No export named {name} found.")),
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
            "stepwire knows AWS::Serverless-2016-10-31 and AWS::LanguageExtensions; write what the \
             transform would give into the template"
                .to_owned(),
        )
    }

    /// `text` with its `{{resolve:ssm:NAME}}` looked up.
    fn dynamic(&mut self, text: &str, place: Place) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{resolve:") {
            out.push_str(before);
            let Some((reference, after)) = after.split_once("}}") else {
                out.push_str("{{resolve:");
                rest = after;
                continue;
            };
            rest = after;
            let (service, name) = reference.split_once(':').unwrap_or((reference, ""));
            // A version may follow the name.
            let plain = match name.rsplit_once(':') {
                Some((name, version)) if version.bytes().all(|c| c.is_ascii_digit()) => name,
                _ => name,
            };
            if service == "secretsmanager" && !name.is_empty() {
                // Looked up where the resource is made: a secret is in no template.
                out.push_str("{{resolve:");
                out.push_str(reference);
                out.push_str("}}");
                continue;
            }
            if service != "ssm" {
                self.wrong_with(
                    place,
                    format!("Dynamic references to {service} are not supported"),
                    "use {{resolve:ssm:NAME}} or {{resolve:secretsmanager:ID}}".to_owned(),
                );
                continue;
            }
            match self.names.stored(plain).as_ref().and_then(Value::text) {
                Some(value) => {
                    self.bytes = self.bytes.saturating_add(value.len());
                    if self.is_spent() {
                        return out;
                    }
                    out.push_str(&value);
                }
                None => {
                    self.wrong(place, format!("Parameters: [{name}] cannot be found."));
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// Whether the expression of a condition holds.
    pub(crate) fn decide(&mut self, value: &Value) -> bool {
        let pair = value.as_map().filter(|members| members.len() == 1).and_then(Map::first);
        let Some((name, argument)) = pair else {
            if let Some(holds) = value.as_bool() {
                return holds;
            }
            self.wrong(
                value.place,
                "Template format error: Every Condition member must be a single function, such as \
                 Fn::Equals",
            );
            return false;
        };
        match &**name {
            "Condition" => {
                let name = argument.text().unwrap_or_default();
                let known = self.names.condition(&name);
                if known.is_none() {
                    self.wrong(
                        argument.place,
                        format!("Template format error: Unresolved condition dependency {name}"),
                    );
                }
                known.unwrap_or_default()
            }
            "Fn::Not" => match argument.as_list() {
                Some([one]) => !self.decide(one),
                _ => {
                    self.wrong(
                        value.place,
                        "Template error: Fn::Not requires a list argument with one element",
                    );
                    false
                }
            },
            "Fn::And" | "Fn::Or" => {
                let items = argument.as_list().unwrap_or_default();
                if !(2..=10).contains(&items.len()) {
                    self.wrong(
                        value.place,
                        format!("Template error: every {name} object requires a list of at least 2 and at most 10 boolean parameters."),
                    );
                }
                let is_and = &**name == "Fn::And";
                // Each is looked at, so that what is wrong in any of them is told.
                let mut result = is_and;
                for item in items {
                    let holds = self.decide(item);
                    result = if is_and { result && holds } else { result || holds };
                }
                result
            }
            "Fn::Equals" => self.equal(argument, value.place),
            "Fn::Contains" => {
                let Some([list, wanted]) = argument.as_list() else {
                    self.wrong(
                        value.place,
                        "Template error: Fn::Contains requires a list and a text",
                    );
                    return false;
                };
                let (list, wanted) = (self.evaluate(list), self.evaluate(wanted));
                let wanted = wanted.as_ref().and_then(Value::text);
                list.as_ref()
                    .and_then(Value::as_list)
                    .is_some_and(|list| list.iter().any(|item| item.text() == wanted))
            }
            _ => match self.evaluate(value).as_ref().and_then(Value::as_bool) {
                Some(holds) => holds,
                None => {
                    self.wrong(
                        value.place,
                        format!("Template format error: {name} cannot be a condition"),
                    );
                    false
                }
            },
        }
    }

    fn equal(&mut self, argument: &Value, place: Place) -> bool {
        let Some([one, other]) = argument.as_list() else {
            self.wrong(
                place,
                "Template error: Fn::Equals requires a list argument with two elements",
            );
            return false;
        };
        let (one, other) = (self.evaluate(one), self.evaluate(other));
        let is_open = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_open);
        if is_open(&one) || is_open(&other) {
            self.wrong_with(
                place,
                "Template format error: Unresolved dependencies in a condition: conditions cannot \
                 refer to resources"
                    .to_owned(),
                "compare parameters, pseudo parameters and mappings".to_owned(),
            );
            return false;
        }
        match (&one, &other) {
            (Some(one), Some(other)) => match (one.text(), other.text()) {
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            },
            _ => one.is_none() && other.is_none(),
        }
    }
}

/// The function `name` of `argument`, left for later.
fn of(name: &str, argument: Value) -> Value {
    let place = argument.place;
    Value::map([(name, argument)]).at(place)
}
