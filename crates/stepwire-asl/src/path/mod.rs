//! JSONPath as Jayway does it.
//!
//! A *definite* path (names and indexes only) gives the value or fails when there is none. An
//! *indefinite* one (`[*]`, slices, unions, filters, `..`) gives an array, empty when nothing matches.

mod filter;
mod parse;

use std::fmt;
use std::sync::Arc;

use self::filter::Test;
use self::parse::Parser;

use crate::Json;
use crate::json::Object;
use crate::scope::Scope;

/// Nodes an evaluation may visit.
const VISITS_MAX: usize = 1_000_000;

/// A compiled path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    text: Arc<str>,
    root: Root,
    steps: Box<[Step]>,
    definite: bool,
}

/// What a path starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// `$`
    Input,
    /// `$$`
    Context,
    /// `$name`
    Variable(Arc<str>),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(Arc<str>),
    Index(i64),
    Names(Box<[Arc<str>]>),
    Indexes(Box<[i64]>),
    Slice(Option<i64>, Option<i64>),
    Every,
    Deep(Box<Step>),
    Filter(Box<Test>),
    Function(Function),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Length,
    Min,
    Max,
    Sum,
    Avg,
    Keys,
}

/// The text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What is wrong.
    pub message: String,
    /// Byte at which it is wrong.
    pub offset: usize,
}

/// A definite path found nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Path {
    /// The path that `text` writes.
    pub fn parse(text: &str) -> Result<Path, Error> {
        let (root, steps) = Parser::new(text).path()?;
        let definite = steps.iter().all(Step::is_definite);
        Ok(Path { text: text.trim().into(), root, steps: steps.into(), definite })
    }

    /// The path as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it starts from.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Whether it is `$`: all of the input.
    pub fn is_whole(&self) -> bool {
        self.steps.is_empty() && self.root == Root::Input
    }

    /// Whether it names one place.
    pub fn is_definite(&self) -> bool {
        self.definite
    }

    /// The value or values it names.
    pub fn read(&self, scope: &Scope<'_>) -> Result<Json, Missing> {
        let from = match &self.root {
            Root::Input => scope.input,
            Root::Context => scope.context,
            Root::Variable(name) => scope
                .variables
                .variable(name)
                .ok_or_else(|| Missing { why: format!("Variable '{name}' is not defined") })?,
        };
        self.read_from(from)
    }

    /// The value or values it names in `from`, whatever its root.
    pub fn read_from(&self, from: &Json) -> Result<Json, Missing> {
        if self.definite {
            return self.read_one(from);
        }
        let mut visits = 0;
        let found = select(from, from, &self.steps, &mut visits);
        if visits > VISITS_MAX {
            let why = format!("The path visits more than {VISITS_MAX} values");
            return Err(Missing { why });
        }
        Ok(found)
    }

    fn read_one(&self, from: &Json) -> Result<Json, Missing> {
        let mut value = from;
        for (at, step) in self.steps.iter().enumerate() {
            let next = match (step, value) {
                (Step::Name(name), Json::Object(members)) => members.get(name),
                (Step::Index(index), Json::Array(items)) => Some(item(items, *index)),
                (Step::Function(function), _) => {
                    return function.of(value).ok_or_else(|| self.missing(at, value));
                }
                _ => None,
            };
            value = next.ok_or_else(|| self.missing(at, value))?;
        }
        Ok(value.clone())
    }

    /// Jayway's sentence for the step `at` that finds nothing in `value`.
    fn missing(&self, at: usize, value: &Json) -> Missing {
        let last = at + 1 == self.steps.len();
        let (before, here) = (normalised(&self.steps[..at]), normalised(&self.steps[..=at]));
        let why = match (&self.steps[at], value) {
            (Step::Name(_), Json::Object(_)) if !last => {
                format!("Missing property in path {here}")
            }
            (Step::Name(_), Json::Object(_)) | (Step::Function(_), _) => {
                format!("No results for path: {here}")
            }
            (Step::Name(name), _) => format!(
                "Expected to find an object with property ['{name}'] in path {before} but found '{}'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
                java_class(value)
            ),
            _ => format!(
                "Filter: {} can only be applied to arrays. Current context is: {value}",
                normalised(&self.steps[at..]).trim_start_matches('$')
            ),
        };
        Missing { why }
    }
}

fn java_class(value: &Json) -> &'static str {
    match value {
        Json::Null => "com.fasterxml.jackson.databind.node.NullNode",
        Json::Bool(_) => "com.fasterxml.jackson.databind.node.BooleanNode",
        Json::Number(number) if number.is_integer() => {
            "com.fasterxml.jackson.databind.node.IntNode"
        }
        Json::Number(_) => "com.fasterxml.jackson.databind.node.DoubleNode",
        Json::String(_) => "com.fasterxml.jackson.databind.node.TextNode",
        Json::Array(_) => "com.fasterxml.jackson.databind.node.ArrayNode",
        Json::Object(_) => "com.fasterxml.jackson.databind.node.ObjectNode",
    }
}

fn normalised(steps: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Name(name) => format!("['{name}']"),
        Step::Index(index) => format!("[{index}]"),
        _ => "[*]".to_owned(),
    };
    format!("${}", steps.iter().map(step).collect::<String>())
}

/// The item at `index`, counted from the end when negative; `null` outside, as the JSON library
/// of Step Functions answers.
fn item(items: &[Json], index: i64) -> &Json {
    let at = if index < 0 { items.len() as i64 + index } else { index };
    usize::try_from(at).ok().and_then(|at| items.get(at)).unwrap_or(&Json::Null)
}

/// Everything an indefinite run of steps reaches, as an array; a function at its end is applied to it.
fn select(whole: &Json, from: &Json, steps: &[Step], visits: &mut usize) -> Json {
    let (steps, function) = match steps.split_last() {
        Some((Step::Function(function), before)) => (before, Some(*function)),
        _ => (steps, None),
    };
    let mut found = Vec::new();
    walk(whole, from, steps, &mut found, visits);
    let all = Json::array(found);
    match function {
        Some(function) => function.of(&all).unwrap_or_default(),
        None => all,
    }
}

fn walk(whole: &Json, value: &Json, steps: &[Step], found: &mut Vec<Json>, visits: &mut usize) {
    *visits += 1;
    if *visits > VISITS_MAX {
        return;
    }
    let Some((step, rest)) = steps.split_first() else {
        found.push(value.clone());
        return;
    };
    match step {
        Step::Deep(inner) => {
            let single = std::slice::from_ref(inner.as_ref());
            let mut here = Vec::new();
            walk(whole, value, single, &mut here, visits);
            for value in &here {
                walk(whole, value, rest, found, visits);
            }
            children(value).for_each(|child| walk(whole, child, steps, found, visits));
        }
        _ => step.each(whole, value, visits, &mut |next, visits| {
            walk(whole, next, rest, found, visits);
        }),
    }
}

fn children(value: &Json) -> Box<dyn Iterator<Item = &Json> + '_> {
    match value {
        Json::Array(items) => Box::new(items.iter()),
        Json::Object(members) => Box::new(members.values()),
        _ => Box::new(std::iter::empty()),
    }
}

impl Step {
    fn is_definite(&self) -> bool {
        matches!(self, Step::Name(_) | Step::Index(_) | Step::Function(_))
    }

    fn each(
        &self,
        whole: &Json,
        value: &Json,
        visits: &mut usize,
        visit: &mut dyn FnMut(&Json, &mut usize),
    ) {
        match self {
            Step::Name(name) => value.member(name).into_iter().for_each(|v| visit(v, visits)),
            Step::Names(names) => {
                names.iter().filter_map(|name| value.member(name)).for_each(|v| visit(v, visits));
            }
            Step::Index(index) => {
                if let Some(items) = value.as_array() {
                    visit(item(items, *index), visits);
                }
            }
            Step::Indexes(indexes) => {
                let items = value.as_array();
                let found =
                    items.into_iter().flat_map(|items| indexes.iter().map(|i| item(items, *i)));
                found.for_each(|v| visit(v, visits));
            }
            Step::Slice(from, to) => {
                let items = value.as_array().unwrap_or_default();
                let length = items.len() as i64;
                let place =
                    |index: i64| if index < 0 { index + length } else { index }.clamp(0, length);
                let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(length)));
                let run = items.iter().take(to as usize).skip(from as usize);
                run.for_each(|v| visit(v, visits));
            }
            Step::Every => children(value).for_each(|v| visit(v, visits)),
            Step::Filter(test) => match value {
                Json::Array(items) => {
                    for item in items.iter() {
                        if test.holds(whole, item, visits) {
                            visit(item, visits);
                        }
                    }
                }
                Json::Object(_) if test.holds(whole, value, visits) => visit(value, visits),
                _ => {}
            },
            Step::Deep(_) | Step::Function(_) => {}
        }
    }
}

impl Function {
    fn of(self, value: &Json) -> Option<Json> {
        let numbers = || value.as_array().map(|items| items.iter().filter_map(Json::as_f64));
        match self {
            Function::Length => match value {
                Json::Array(items) => Some(Json::from(items.len() as i64)),
                Json::Object(members) => Some(Json::from(members.len() as i64)),
                Json::String(text) => Some(Json::from(text.chars().count() as i64)),
                _ => None,
            },
            Function::Min => Json::from_f64(numbers()?.fold(f64::INFINITY, f64::min)),
            Function::Max => Json::from_f64(numbers()?.fold(f64::NEG_INFINITY, f64::max)),
            Function::Sum => Json::from_f64(numbers()?.sum()),
            Function::Avg => Json::from_f64(numbers()?.sum::<f64>() / numbers()?.count() as f64),
            Function::Keys => {
                let members = value.as_object()?;
                Some(Json::array(members.keys().map(|name| Json::String(Arc::clone(name)))))
            }
        }
    }
}

/// A path that names one place to write to (`ResultPath`).
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencePath {
    path: Path,
}

impl ReferencePath {
    /// The path that `text` writes; only `$`, names and indexes.
    pub fn parse(text: &str) -> Result<ReferencePath, Error> {
        let path = Path::parse(text)?;
        let plain = path.steps.iter().all(|step| matches!(step, Step::Name(_) | Step::Index(_)));
        if !plain || path.root != Root::Input {
            let message = "Invalid path: a reference path names one place".to_owned();
            return Err(Error { message, offset: 0 });
        }
        Ok(ReferencePath { path })
    }

    /// Whether it is `$`: the value replaces everything.
    pub fn is_root(&self) -> bool {
        self.path.steps.is_empty()
    }

    /// `into` with `value` at this place; objects on the way are made where they are missing.
    pub fn write(&self, into: &Json, value: Json) -> Result<Json, Error> {
        place(into, &self.path.steps, value).ok_or_else(|| Error {
            message: format!(
                "Unable to apply ReferencePath {} to input {}",
                self.path.text,
                into.to_text()
            ),
            offset: 0,
        })
    }
}

fn place(into: &Json, steps: &[Step], value: Json) -> Option<Json> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match (step, into) {
        (Step::Name(name), Json::Object(members)) => {
            let inner = members.get(name).cloned().unwrap_or_else(|| Json::Object(Arc::default()));
            let inner = place(&inner, rest, value)?;
            let mut members = Object::clone(members);
            members.insert(Arc::clone(name), inner);
            Some(Json::Object(Arc::new(members)))
        }
        (Step::Index(index), Json::Array(items)) => {
            let at = usize::try_from(*index).ok().filter(|at| *at < items.len())?;
            let mut items = Vec::clone(items);
            items[at] = place(&items[at], rest, value)?;
            Some(Json::Array(Arc::new(items)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, json: &str) -> String {
        let value = Json::parse(json).expect("JSON");
        match Path::parse(path).expect("a path").read_from(&value) {
            Ok(found) => found.to_text(),
            Err(missing) => format!("! {missing}"),
        }
    }

    #[test]
    fn definite_paths_name_one_value_or_fail() {
        let doc = r#"{"a":{"b":[1,2.0,3]},"detail-type":"x","3Party":true,"":1}"#;
        assert_eq!(read("$.a.b[1]", doc), "2.0");
        assert_eq!(read("$['a']['b'][-1]", doc), "3");
        assert_eq!(read("$.detail-type", doc), "\"x\"");
        assert_eq!(read("$.3Party", doc), "true");
        assert_eq!(read("$.x", doc), "! No results for path: $['x']");
        assert_eq!(read("$.no.x", doc), "! Missing property in path $['no']");
        assert_eq!(read("$.a.b[9]", doc), "null");
        assert_eq!(read("$.a.b.length()", doc), "3");
    }

    #[test]
    fn indefinite_paths_give_arrays() {
        let doc = r#"{"a":[{"n":1,"s":"x"},{"n":2,"s":"y"},{"s":"z"}]}"#;
        assert_eq!(read("$.a[*].n", doc), "[1,2]");
        assert_eq!(read("$.a[0:2].s", doc), r#"["x","y"]"#);
        assert_eq!(read("$..n", doc), "[1,2]");
        assert_eq!(read("$.a[?(@.n > 1)].s", doc), r#"["y"]"#);
        assert_eq!(read("$.a[?(@.n)].s", doc), r#"["x","y"]"#);
        assert_eq!(read("$.a[?(!@.n || @.s == 'x')].s", doc), r#"["x","z"]"#);
        assert_eq!(read("$.a[?(@.s =~ /[xy]/)].n", doc), "[1,2]");
        assert_eq!(read("$.a[?(@.n in [2, 3])].s", doc), r#"["y"]"#);
        assert_eq!(read("$.a[?(@.s == y)].n ", doc), "[2]");
        assert_eq!(read("$.none[*]", doc), "[]");
        assert_eq!(read("$.a[0,2].s", doc), r#"["x","z"]"#);
    }

    #[test]
    fn a_written_value_shares_the_rest() {
        let doc = Json::parse(r#"{"a":{"b":1}}"#).expect("JSON");
        let path = ReferencePath::parse("$.x.y").expect("a path");
        let written = path.write(&doc, Json::from(2)).expect("written");
        assert_eq!(written.to_text(), r#"{"a":{"b":1},"x":{"y":2}}"#);
        assert!(ReferencePath::parse("$.a[*]").is_err());
        assert!(path.write(&Json::from(1), Json::Null).is_err());
    }

    #[test]
    fn broken_paths_tell_where() {
        for broken in ["", "a", "$.", "$.a[", "$.a['x", "$.a[?(@.n >)]", "$a b"] {
            assert!(Path::parse(broken).is_err(), "{broken}");
        }
    }
}
