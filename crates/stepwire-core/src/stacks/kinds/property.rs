//! What a resource type's properties are, and what becomes of each.

use std::fmt;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::{Number, Object};

/// What becomes of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is acted on.
    ActedOn,
    /// It is taken and changes nothing, for this reason.
    WithoutEffect(&'static str),
    /// The resource cannot be made with it.
    Refused,
}

/// What becomes of one property of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it is: names of properties, numbers of items from 0.
    pub path: Vec<String>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What to tell of it; empty where it is acted on.
    pub message: String,
}

impl Finding {
    /// The path as CloudFormation writes it: `Actions.0.Sns`.
    pub fn shown_path(&self) -> String {
        self.path.join(".")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::ActedOn => write!(f, "{}: acted on", self.shown_path()),
            Verdict::WithoutEffect(why) => {
                write!(f, "{}: without effect: {why}", self.shown_path())
            }
            Verdict::Refused => write!(f, "{}", self.message),
        }
    }
}

/// What an update of a property asks for. Source: CloudFormation, "Update behaviors of stack
/// resources".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recreation {
    /// `Never`: it changes in place.
    Never,
    /// `Always`: another resource is made in its place.
    Always,
}

/// A property of a resource type, or of an object within one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) recreation: Recreation,
    pub(super) standing: Standing,
}

/// Whether a property is acted on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Standing {
    ActedOn,
    /// Why it has no effect.
    WithoutEffect(&'static str),
    /// Likewise; the service keeps it and shows it again.
    Shown(&'static str),
    /// What to do instead.
    Refused(&'static str),
}

/// What a property's value must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Text,
    Integer,
    Number,
    Boolean,
    /// Whatever it is, as it is.
    Any,
    /// An object, or the JSON text of one.
    Document,
    List(&'static Shape),
    Map(&'static Shape),
    Object(&'static [Property]),
    /// A list of objects.
    Objects(&'static [Property]),
}

const TEXT: Shape = Shape::Text;

const fn property(name: &'static str, shape: Shape) -> Property {
    let (recreation, standing) = (Recreation::Never, Standing::ActedOn);
    Property { name, shape, required: false, recreation, standing }
}

pub(super) const fn text(name: &'static str) -> Property {
    property(name, Shape::Text)
}

pub(super) const fn texts(name: &'static str) -> Property {
    property(name, Shape::List(&TEXT))
}

pub(super) const fn map(name: &'static str) -> Property {
    property(name, Shape::Map(&TEXT))
}

pub(super) const fn integer(name: &'static str) -> Property {
    property(name, Shape::Integer)
}

pub(super) const fn number(name: &'static str) -> Property {
    property(name, Shape::Number)
}

pub(super) const fn boolean(name: &'static str) -> Property {
    property(name, Shape::Boolean)
}

pub(super) const fn any(name: &'static str) -> Property {
    property(name, Shape::Any)
}

pub(super) const fn document(name: &'static str) -> Property {
    property(name, Shape::Document)
}

pub(super) const fn object(name: &'static str, members: &'static [Property]) -> Property {
    property(name, Shape::Object(members))
}

pub(super) const fn objects(name: &'static str, members: &'static [Property]) -> Property {
    property(name, Shape::Objects(members))
}

pub(super) const fn map_of(name: &'static str, shape: &'static Shape) -> Property {
    property(name, Shape::Map(shape))
}

/// `Tags` as a list of `Key` and `Value`.
pub(super) const fn tags() -> Property {
    const TAG: &[Property] = &[text("Key").required(), text("Value").required()];
    objects("Tags", TAG)
}

/// What tags begin with that say something to stepwire, not of resources.
const OWN_TAGS: &str = "stepwire:";

/// The properties with these tags besides their own, whose shape is that of `Tags`.
pub(super) fn with_tags(shape: Shape, properties: Json, tags: &[(Arc<str>, Arc<str>)]) -> Json {
    let Json::Object(members) = &properties else { return properties };
    let given = members.get("Tags");
    let tags = tags.iter().filter(|(key, _)| !key.starts_with(OWN_TAGS));
    let merged = if matches!(shape, Shape::Map(_)) {
        let given = given.and_then(Json::as_object).into_iter().flatten();
        let given = given.map(|(key, value)| (Arc::clone(key), value.clone()));
        let tags = tags.map(|(key, value)| (Arc::clone(key), Json::String(Arc::clone(value))));
        // The resource's own come last, and stay.
        Json::object(tags.chain(given))
    } else {
        let given = given.and_then(Json::as_array).unwrap_or_default();
        let is_given = |key: &str| {
            given.iter().any(|tag| tag.member("Key").and_then(Json::as_str) == Some(key))
        };
        let tags = tags.filter(|(key, _)| !is_given(key)).map(|(key, value)| {
            let text = |text: &Arc<str>| Json::String(Arc::clone(text));
            Json::object([("Key", text(key)), ("Value", text(value))])
        });
        Json::array(given.iter().cloned().chain(tags))
    };
    let is_empty = merged.as_array().is_some_and(<[Json]>::is_empty)
        || merged.as_object().is_some_and(Object::is_empty);
    if is_empty {
        return properties;
    }
    let mut members = Object::clone(members);
    members.insert("Tags".into(), merged);
    Json::Object(Arc::new(members))
}

impl Property {
    /// It must be given.
    pub(super) const fn required(mut self) -> Property {
        self.required = true;
        self
    }

    /// A change of it makes another resource.
    pub(super) const fn replaces(mut self) -> Property {
        self.recreation = Recreation::Always;
        self
    }

    /// It is taken and changes nothing.
    pub(super) const fn without_effect(mut self, why: &'static str) -> Property {
        self.standing = Standing::WithoutEffect(why);
        self
    }

    /// It is taken, shown again by the service, and otherwise changes nothing.
    pub(super) const fn shown(mut self, why: &'static str) -> Property {
        self.standing = Standing::Shown(why);
        self
    }

    /// A resource that has it is refused.
    pub(super) const fn refused(mut self, hint: &'static str) -> Property {
        self.standing = Standing::Refused(hint);
        self
    }
}

/// The properties as their shapes want them, and what becomes of each of them.
///
/// Values that stand for something not known yet (`Ref`, `Fn::…`) stay as they are.
pub(super) fn read(properties: &'static [Property], given: &Json) -> (Json, Vec<Finding>) {
    let mut reader = Reader { path: Vec::new(), findings: Vec::new() };
    let read = match given {
        Json::Null => reader.object(properties, &Object::new()),
        Json::Object(members) => reader.object(properties, members),
        _ => {
            reader.refuse("Properties validation failed: expected type: JSONObject".to_owned());
            Json::Object(Arc::default())
        }
    };
    (read, reader.findings)
}

/// The properties, which have been read, with what `with` makes of each reference: it is given the
/// name of the member and its shape. Where that is nothing, the member is left out.
pub(super) fn fill(
    properties: &'static [Property],
    given: &Json,
    with: &dyn Fn(&str, Shape, &Json) -> Option<Json>,
) -> Json {
    filled("", Shape::Object(properties), given, with).unwrap_or_default()
}

fn filled(
    name: &str,
    shape: Shape,
    value: &Json,
    with: &dyn Fn(&str, Shape, &Json) -> Option<Json>,
) -> Option<Json> {
    if is_reference(value) {
        return with(name, shape, value);
    }
    Some(match value {
        Json::Object(members) => {
            let of = |name: &str| match shape {
                Shape::Object(known) | Shape::Objects(known) => {
                    let known = known.iter().find(|property| property.name == name);
                    known.map_or(Shape::Any, |property| property.shape)
                }
                Shape::Map(of) => *of,
                _ => Shape::Any,
            };
            Json::object(members.iter().filter_map(|(name, value)| {
                Some((Arc::clone(name), filled(name, of(name), value, with)?))
            }))
        }
        Json::Array(items) => {
            let of = match shape {
                Shape::Objects(known) => Shape::Object(known),
                Shape::List(of) => *of,
                _ => Shape::Any,
            };
            Json::array(items.iter().filter_map(|item| filled(name, of, item, with)))
        }
        other => other.clone(),
    })
}

/// Whether `value` stands for something that is not known yet.
pub(super) fn is_reference(value: &Json) -> bool {
    value.as_object().is_some_and(|members| {
        members.len() == 1
            && members
                .keys()
                .all(|name| matches!(&**name, "Ref" | "Condition") || name.starts_with("Fn::"))
    })
}

struct Reader {
    path: Vec<String>,
    findings: Vec<Finding>,
}

impl Reader {
    fn find(&mut self, verdict: Verdict, message: String) {
        self.findings.push(Finding { path: self.path.clone(), verdict, message });
    }

    fn refuse(&mut self, message: String) {
        self.find(Verdict::Refused, message);
    }

    /// As CloudFormation says it of a value of the wrong type.
    fn expected(&mut self, what: &str, found: &Json) {
        let found = match found {
            Json::Null => "Null",
            Json::Bool(_) => "Boolean",
            Json::Number(number) if number.is_integer() => "Integer",
            Json::Number(_) => "Double",
            Json::String(_) => "String",
            Json::Array(_) => "JSONArray",
            Json::Object(_) => "JSONObject",
        };
        let place = self.path.join("/");
        self.refuse(format!(
            "Properties validation failed: #/{place}: expected type: {what}, found: {found}"
        ));
    }

    fn object(&mut self, properties: &'static [Property], given: &Object) -> Json {
        let mut read = Object::new();
        for (name, value) in given {
            self.path.push(name.to_string());
            let value = self.member(properties, name, value);
            if let Some(value) = value {
                read.insert(Arc::clone(name), value);
            }
            self.path.pop();
        }
        for property in properties {
            if property.required && !given.contains_key(property.name) {
                let place = self.path.iter().map(|name| format!("/{name}")).collect::<String>();
                let name = property.name;
                self.refuse(format!(
                    "Properties validation failed: #{place}: required key [{name}] not found"
                ));
            }
        }
        Json::Object(Arc::new(read))
    }

    fn member(
        &mut self,
        properties: &'static [Property],
        name: &str,
        value: &Json,
    ) -> Option<Json> {
        let Some(property) = properties.iter().find(|property| property.name == name) else {
            let path = self.path.join(".");
            let near = nearest(name, properties);
            let hint = near.map(|near| format!("\nhint: there is `{near}`")).unwrap_or_default();
            self.refuse(format!("Encountered unsupported property {path}{hint}"));
            return None;
        };
        match property.standing {
            Standing::ActedOn => {
                if self.path.len() == 1 {
                    self.find(Verdict::ActedOn, String::new());
                }
                Some(self.value(property.shape, value))
            }
            Standing::WithoutEffect(why) => {
                self.find(Verdict::WithoutEffect(why), why.to_owned());
                None
            }
            Standing::Shown(why) => {
                self.find(Verdict::WithoutEffect(why), why.to_owned());
                Some(self.value(property.shape, value))
            }
            // What says nothing asks for nothing.
            Standing::Refused(_) if is_nothing(value) => None,
            Standing::Refused(hint) => {
                let path = self.path.join(".");
                let message = format!("property {path} is not available in stepwire\nhint: {hint}");
                self.refuse(message);
                None
            }
        }
    }

    fn value(&mut self, shape: Shape, value: &Json) -> Json {
        if is_reference(value) {
            return value.clone();
        }
        match (shape, value) {
            (Shape::Any, _)
            | (Shape::Document, Json::Object(_))
            | (Shape::Text, Json::String(_))
            | (Shape::Boolean, Json::Bool(_))
            | (Shape::Number, Json::Number(_)) => value.clone(),
            (Shape::Integer, Json::Number(number)) if number.is_integer() => value.clone(),
            (Shape::Text, Json::Number(number)) => Json::from(number.to_string()),
            (Shape::Text, Json::Bool(truth)) => Json::from(truth.to_string()),
            (Shape::Integer | Shape::Number, Json::String(text)) => {
                let number = Number::from_text(text.trim());
                let whole = matches!(shape, Shape::Integer);
                match number.filter(|number| !whole || number.is_integer()) {
                    Some(number) => Json::Number(number),
                    None => self.mismatch(shape, value),
                }
            }
            (Shape::Boolean, Json::String(text)) if text.eq_ignore_ascii_case("true") => {
                true.into()
            }
            (Shape::Boolean, Json::String(text)) if text.eq_ignore_ascii_case("false") => {
                false.into()
            }
            (Shape::Document, Json::String(text)) => match Json::parse(text) {
                Ok(parsed @ Json::Object(_)) => parsed,
                _ => self.mismatch(shape, value),
            },
            (Shape::List(of), Json::Array(items)) => {
                self.items(items, |reader, item| reader.value(*of, item))
            }
            (Shape::Objects(of), Json::Array(items)) => {
                self.items(items, |reader, item| reader.value(Shape::Object(of), item))
            }
            (Shape::Map(of), Json::Object(members)) => {
                let mut read = Object::new();
                for (name, value) in members.iter() {
                    self.path.push(name.to_string());
                    read.insert(Arc::clone(name), self.value(*of, value));
                    self.path.pop();
                }
                Json::Object(Arc::new(read))
            }
            (Shape::Object(of), Json::Object(members)) => self.object(of, members),
            _ => self.mismatch(shape, value),
        }
    }

    fn items(&mut self, items: &[Json], read: impl Fn(&mut Reader, &Json) -> Json) -> Json {
        let mut made = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.path.push(index.to_string());
            made.push(read(self, item));
            self.path.pop();
        }
        Json::array(made)
    }

    fn mismatch(&mut self, shape: Shape, value: &Json) -> Json {
        self.expected(shape.name(), value);
        value.clone()
    }
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Text => "String",
            Shape::Integer => "Integer",
            Shape::Number => "Number",
            Shape::Boolean => "Boolean",
            Shape::Any => "any",
            Shape::Document | Shape::Map(_) | Shape::Object(_) => "JSONObject",
            Shape::List(_) | Shape::Objects(_) => "JSONArray",
        }
    }
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// The property whose name differs least from `name`, if by a third of its letters at most.
fn nearest(name: &str, properties: &[Property]) -> Option<&'static str> {
    let distance = |property: &Property| distance(name, property.name);
    let nearest = properties.iter().min_by_key(|property| distance(property))?;
    (distance(nearest) * 3 <= name.len()).then_some(nearest.name)
}

/// How many letters one must change, add or leave out to write `b` for `a`; whether they are large
/// does not matter.
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| text.to_ascii_lowercase().into_bytes();
    let (a, b) = (lower(a), lower(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
