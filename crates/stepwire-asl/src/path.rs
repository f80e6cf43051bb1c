//! JSONPath as Jayway does it.
//!
//! A *definite* path (names and indexes only) gives the value or fails when there is none. An
//! *indefinite* one (`[*]`, slices, unions, filters, `..`) gives an array, empty when nothing matches.

use std::fmt;
use std::sync::Arc;

use crate::Json;
use crate::json::Object;
use crate::scope::Scope;

/// Nodes an evaluation may visit.
const VISITS_MAX: usize = 1_000_000;
/// Nesting of filters within filters.
const DEPTH_MAX: usize = 16;

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

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Or(Vec<Test>),
    And(Vec<Test>),
    Not(Box<Test>),
    Exists(Operand),
    Compare(Operand, Compare, Operand),
    Matches(Operand, Pattern),
}

#[derive(Debug, Clone)]
struct Pattern(regex::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    /// `@…`
    Item(Box<[Step]>),
    /// `$…`
    Whole(Box<[Step]>),
    Literal(Json),
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
        let mut parser = Parser { text, at: 0, depth: 0 };
        let root = parser.root()?;
        let steps = parser.steps()?;
        if parser.at < text.len() {
            return Err(parser.error("unexpected character"));
        }
        let definite = steps.iter().all(Step::is_definite);
        Ok(Path { text: text.into(), root, steps: steps.into(), definite })
    }

    /// The path as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it starts from.
    pub fn root(&self) -> &Root {
        &self.root
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
                .get(name)
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
        Ok(select(from, from, &self.steps, &mut visits))
    }

    fn read_one(&self, from: &Json) -> Result<Json, Missing> {
        let mut value = from;
        for (at, step) in self.steps.iter().enumerate() {
            let next = match step {
                Step::Name(name) => value.member(name),
                Step::Index(index) => value.as_array().and_then(|items| item(items, *index)),
                Step::Function(function) => {
                    return function.of(value).ok_or_else(|| self.missing(at, value));
                }
                _ => None,
            };
            value = next.ok_or_else(|| self.missing(at, value))?;
        }
        Ok(value.clone())
    }

    /// Jayway's sentence: what is missing at the end of a path has no results, what is missing
    /// before it is a missing property.
    fn missing(&self, at: usize, value: &Json) -> Missing {
        let place = normalised(&self.steps[..=at]);
        let last = at + 1 == self.steps.len();
        let why = match (&self.steps[at], value) {
            (Step::Name(_), Json::Object(_)) | (Step::Index(_), Json::Array(_)) if last => {
                format!("No results for path: {place}")
            }
            (Step::Name(_), Json::Object(_)) => format!("Missing property in path {place}"),
            (Step::Name(name), _) if last && at == 0 => {
                format!(
                    "Expected to find an object with property ['{name}'] in path $ but found '{}'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
                    java_class(value)
                )
            }
            _ => format!("Missing property in path {}", normalised(&self.steps[..at])),
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

fn item(items: &[Json], index: i64) -> Option<&Json> {
    let at = if index < 0 { items.len() as i64 + index } else { index };
    items.get(usize::try_from(at).ok()?)
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
            here.iter().for_each(|value| walk(whole, value, rest, found, visits));
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
                let found = value.as_array().and_then(|items| item(items, *index));
                found.into_iter().for_each(|v| visit(v, visits));
            }
            Step::Indexes(indexes) => {
                let items = value.as_array().unwrap_or_default();
                indexes.iter().filter_map(|i| item(items, *i)).for_each(|v| visit(v, visits));
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

impl Test {
    fn holds(&self, whole: &Json, item: &Json, visits: &mut usize) -> bool {
        match self {
            Test::Or(tests) => tests.iter().any(|test| test.holds(whole, item, visits)),
            Test::And(tests) => tests.iter().all(|test| test.holds(whole, item, visits)),
            Test::Not(test) => !test.holds(whole, item, visits),
            Test::Exists(operand) => operand.value(whole, item, visits).is_some(),
            Test::Compare(left, how, right) => {
                let left = left.value(whole, item, visits);
                how.holds(left.as_ref(), right.value(whole, item, visits).as_ref())
            }
            Test::Matches(operand, pattern) => {
                let value = operand.value(whole, item, visits);
                value.as_ref().and_then(Json::as_str).is_some_and(|text| pattern.0.is_match(text))
            }
        }
    }
}

impl Compare {
    fn holds(self, left: Option<&Json>, right: Option<&Json>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = || match (left?, right?) {
            (Json::Number(a), Json::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
            (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match self {
            Compare::Equal => left == right,
            Compare::NotEqual => left != right,
            Compare::Less => order() == Some(Less),
            Compare::LessOrEqual => matches!(order(), Some(Less | Equal)),
            Compare::Greater => order() == Some(Greater),
            Compare::GreaterOrEqual => matches!(order(), Some(Greater | Equal)),
            Compare::In | Compare::NotIn => {
                let within = match (left, right.and_then(Json::as_array)) {
                    (Some(left), Some(items)) => items.contains(left),
                    _ => false,
                };
                within == (self == Compare::In)
            }
        }
    }
}

impl Operand {
    fn value(&self, whole: &Json, item: &Json, visits: &mut usize) -> Option<Json> {
        let (from, steps) = match self {
            Operand::Literal(value) => return Some(value.clone()),
            Operand::Item(steps) => (item, steps),
            Operand::Whole(steps) => (whole, steps),
        };
        if !steps.iter().all(Step::is_definite) {
            return Some(select(whole, from, steps, visits));
        }
        let mut found = Vec::new();
        let (plain, function) = match steps.split_last() {
            Some((Step::Function(function), before)) => (before, Some(*function)),
            _ => (&steps[..], None),
        };
        walk(whole, from, plain, &mut found, visits);
        let value = found.pop()?;
        match function {
            Some(function) => function.of(&value),
            None => Some(value),
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

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, what: &str) -> Error {
        Error { message: format!("Invalid path '{}': {what}", self.text), offset: self.at }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn blanks(&mut self) {
        let trimmed = self.rest().trim_start().len();
        self.at = self.text.len() - trimmed;
    }

    fn expect(&mut self, token: &str) -> Result<(), Error> {
        self.blanks();
        if self.eat(token) { Ok(()) } else { Err(self.error(&format!("expected `{token}`"))) }
    }

    fn root(&mut self) -> Result<Root, Error> {
        if self.eat("$$") {
            return Ok(Root::Context);
        }
        if !self.eat("$") {
            return Err(self.error("a path begins with `$`"));
        }
        match self.rest().chars().next() {
            Some(c) if c.is_alphanumeric() || c == '_' => {
                let name = self.while_(|c| c.is_alphanumeric() || c == '_');
                Ok(Root::Variable(name.into()))
            }
            _ => Ok(Root::Input),
        }
    }

    fn while_(&mut self, keep: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    fn steps(&mut self) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                let step =
                    if self.rest().starts_with('[') { self.bracket()? } else { self.dotted()? };
                steps.push(Step::Deep(Box::new(step)));
            } else if self.eat(".") {
                if self.rest().starts_with('[') {
                    steps.push(self.bracket()?);
                } else {
                    steps.push(self.dotted()?);
                }
            } else if self.rest().starts_with('[') {
                steps.push(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn dotted(&mut self) -> Result<Step, Error> {
        if self.eat("*") {
            return Ok(Step::Every);
        }
        let stop = |c: char| c.is_whitespace() || ".[]()'\"=<>!&|,~".contains(c);
        let name = self.while_(|c| !stop(c));
        if name.is_empty() {
            return Err(self.error("expected a name"));
        }
        if self.eat("()") {
            return self.function(&name).map(Step::Function);
        }
        Ok(Step::Name(name.into()))
    }

    fn function(&self, name: &str) -> Result<Function, Error> {
        Ok(match name {
            "length" | "size" => Function::Length,
            "min" => Function::Min,
            "max" => Function::Max,
            "sum" => Function::Sum,
            "avg" => Function::Avg,
            "keys" => Function::Keys,
            _ => return Err(self.error(&format!("unknown function `{name}`"))),
        })
    }

    fn bracket(&mut self) -> Result<Step, Error> {
        self.expect("[")?;
        self.blanks();
        let step = if self.eat("*") {
            Step::Every
        } else if self.eat("?") {
            self.expect("(")?;
            let test = self.or()?;
            self.expect(")")?;
            Step::Filter(Box::new(test))
        } else if self.rest().starts_with(['\'', '"']) {
            self.names()?
        } else {
            self.indexes()?
        };
        self.expect("]")?;
        Ok(step)
    }

    fn names(&mut self) -> Result<Step, Error> {
        let mut names = vec![self.quoted()?];
        self.blanks();
        while self.eat(",") {
            self.blanks();
            names.push(self.quoted()?);
            self.blanks();
        }
        if let [name] = names.as_slice() {
            return Ok(Step::Name(name.as_str().into()));
        }
        Ok(Step::Names(names.iter().map(|name| name.as_str().into()).collect()))
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            return Err(self.error("expected a quoted name"));
        };
        self.at += 1;
        let mut name = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, next)) if next == quote => name.push(quote),
                    Some((_, next)) => name.extend(['\\', next]),
                    None => break,
                },
                c if c == quote => {
                    self.at += at + 1;
                    return Ok(name);
                }
                c => name.push(c),
            }
        }
        Err(self.error("a quote is not closed"))
    }

    fn indexes(&mut self) -> Result<Step, Error> {
        let first = self.integer()?;
        self.blanks();
        if self.eat(":") {
            let to = self.integer()?;
            return Ok(Step::Slice(first, to));
        }
        let mut indexes = vec![first.ok_or_else(|| self.error("expected an index"))?];
        while self.eat(",") {
            let index = self.integer()?;
            indexes.push(index.ok_or_else(|| self.error("expected an index"))?);
            self.blanks();
        }
        if let [index] = indexes.as_slice() {
            return Ok(Step::Index(*index));
        }
        Ok(Step::Indexes(indexes.into()))
    }

    fn integer(&mut self) -> Result<Option<i64>, Error> {
        self.blanks();
        let text = self.while_(|c| c == '-' || c.is_ascii_digit());
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.error("not an integer"))
    }

    fn or(&mut self) -> Result<Test, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("the filter is nested too deeply"));
        }
        let mut tests = vec![self.and()?];
        self.blanks();
        while self.eat("||") {
            tests.push(self.and()?);
            self.blanks();
        }
        self.depth -= 1;
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::Or(tests) })
    }

    fn and(&mut self) -> Result<Test, Error> {
        let mut tests = vec![self.not()?];
        self.blanks();
        while self.eat("&&") {
            tests.push(self.not()?);
            self.blanks();
        }
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::And(tests) })
    }

    fn not(&mut self) -> Result<Test, Error> {
        self.blanks();
        if self.eat("!") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.error("the filter is nested too deeply"));
            }
            let test = self.not()?;
            self.depth -= 1;
            return Ok(Test::Not(Box::new(test)));
        }
        if self.eat("(") {
            let test = self.or()?;
            self.expect(")")?;
            return Ok(test);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Test, Error> {
        let left = self.operand()?;
        self.blanks();
        if self.eat("=~") {
            self.blanks();
            return Ok(Test::Matches(left, self.pattern()?));
        }
        let operators = [
            ("==", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
            ("in ", Compare::In),
            ("nin ", Compare::NotIn),
        ];
        match operators.into_iter().find(|(token, _)| self.eat(token)) {
            Some((_, how)) => Ok(Test::Compare(left, how, self.operand()?)),
            None => Ok(Test::Exists(left)),
        }
    }

    fn pattern(&mut self) -> Result<Pattern, Error> {
        if !self.eat("/") {
            return Err(self.error("expected a regular expression"));
        }
        let mut source = String::new();
        let mut chars = self.rest().char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => {
                    source.push('\\');
                    source.extend(chars.next().map(|(_, c)| c));
                }
                Some((at, '/')) => break at,
                Some((_, c)) => source.push(c),
                None => return Err(self.error("the regular expression is not closed")),
            }
        };
        self.at += end + 1;
        let flags = self.while_(|c| c.is_ascii_lowercase());
        let source = if flags.contains('i') {
            format!("(?i)^(?:{source})$")
        } else {
            format!("^(?:{source})$")
        };
        regex::Regex::new(&source).map(Pattern).map_err(|_| self.error("not a regular expression"))
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        self.blanks();
        if self.eat("@") {
            return Ok(Operand::Item(self.steps()?.into()));
        }
        if self.eat("$") {
            return Ok(Operand::Whole(self.steps()?.into()));
        }
        if self.rest().starts_with(['\'', '"']) {
            return Ok(Operand::Literal(Json::from(self.quoted()?)));
        }
        let text = if self.rest().starts_with('[') {
            let end = self.rest().find(']').ok_or_else(|| self.error("a list is not closed"))?;
            let text = self.rest()[..=end].replace('\'', "\"");
            self.at += end + 1;
            text
        } else {
            self.while_(|c| c.is_alphanumeric() || "+-.".contains(c))
        };
        match Json::parse(&text) {
            Ok(value) => Ok(Operand::Literal(value)),
            Err(_) => Err(self.error("expected a value")),
        }
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
