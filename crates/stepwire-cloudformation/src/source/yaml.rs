//! YAML 1.1 as templates use it: the core types, the short forms of functions, anchors, aliases and
//! merge keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{DEPTH_MAX, VALUES_MAX, plain, too_deep, too_much};
use crate::diagnostic::Diagnostic;
use crate::value::{Data, Map, Place, Value};

/// Functions that have a short form `!Name`, except `Ref` and `Condition`.
const SHORT: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

/// So many bytes of a text count as a value.
const TEXT_COUNT: usize = 64;

/// A list or an object that has begun.
struct Frame {
    tag: Option<Function>,
    anchor: usize,
    place: Place,
    /// Values in it so far, and levels below it.
    count: usize,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Map { members: Map, merges: Vec<Value>, key: Option<(Arc<str>, Place)> },
}

/// The long form of a tag.
#[derive(Clone, Copy, PartialEq)]
enum Function {
    /// A function's name without `Fn::`.
    Named(&'static str),
    Ref,
    Condition,
    /// `!!str`: a text, whatever it looks like.
    Text,
}

#[derive(Clone)]
struct Anchored {
    value: Value,
    count: usize,
    height: usize,
}

struct Reader {
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    root: Option<Value>,
    count: usize,
}

pub(super) fn read(source: &str) -> Result<Value, Diagnostic> {
    let mut attempt = Attempt { text: source.to_owned(), shifts: BTreeMap::new() };
    let mut effort = source.len();
    loop {
        match attempt.run() {
            Ok(value) => return Ok(value),
            Err(Trouble::Told(told)) => return Err(told),
            Err(Trouble::Scan(problem)) => {
                effort = effort.saturating_add(source.len());
                if effort > EFFORT_MAX || !attempt.indent(&problem) {
                    return Err(attempt.told(&problem, source));
                }
            }
        }
    }
}

/// Bytes that are read again, at most, for lists whose closing bracket stands too far left.
const EFFORT_MAX: usize = 16 << 20;

/// The text as it is read: what YAML 1.1 takes and 1.2 does not is indented.
///
/// In a list in brackets, an object in braces or a text in quotes, 1.1 does not care where a line
/// begins; many templates have a closing bracket below the name it belongs to.
struct Attempt {
    text: String,
    /// Blanks that were put before lines.
    shifts: BTreeMap<u32, u32>,
}

enum Trouble {
    Scan(ScanError),
    Told(Diagnostic),
}

impl Attempt {
    fn run(&self) -> Result<Value, Trouble> {
        let mut parser = Parser::new_from_str(&self.text);
        let mut reader =
            Reader { stack: Vec::new(), anchors: BTreeMap::new(), root: None, count: 0 };
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(Trouble::Scan)?;
            reader.take(event, self.unshifted(place_of(span))).map_err(Trouble::Told)?;
        }
        reader.root.ok_or_else(|| {
            Trouble::Told(
                Diagnostic::new(Place::NOWHERE, "Template format error: unsupported structure.")
                    .hint("the text is empty"),
            )
        })
    }

    fn unshifted(&self, place: Place) -> Place {
        let shift = self.shifts.get(&place.line).copied().unwrap_or_default();
        Place { column: place.column.saturating_sub(shift).max(1), ..place }
    }

    /// Indents what the scanner complains of; whether that was possible.
    fn indent(&mut self, problem: &ScanError) -> bool {
        let line = problem.marker().line();
        let lines = match problem.info() {
            // Said only within brackets and braces.
            "invalid indentation" => line..line + 1,
            "invalid indentation in quoted scalar" => match self.quoted(problem.marker()) {
                Some(last) => line + 1..last + 1,
                None => return false,
            },
            _ => return false,
        };
        let deepest = self.text.lines().map(|line| line.len() - line.trim_start_matches(' ').len());
        let blanks = deepest.max().unwrap_or_default().min(1000) + 1;
        let mut shifted = String::with_capacity(self.text.len() + blanks);
        let mut is_new = false;
        for (index, text) in self.text.split_inclusive('\n').enumerate() {
            let number = index + 1;
            if lines.contains(&number) && !self.shifts.contains_key(&(number as u32)) {
                shifted.push_str(&" ".repeat(blanks));
                self.shifts.insert(number as u32, blanks as u32);
                is_new = true;
            }
            shifted.push_str(text);
        }
        self.text = shifted;
        is_new
    }

    /// The last line of the quoted text that begins at `start`.
    fn quoted(&self, start: &Marker) -> Option<usize> {
        let mut letters = self.text.chars().skip(start.index());
        let quote = letters.next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut line = start.line();
        let mut letters = letters.peekable();
        loop {
            match letters.next()? {
                '\n' => line += 1,
                '\\' if quote == '"' => line += usize::from(letters.next()? == '\n'),
                c if c == quote => {
                    if quote == '"' || letters.peek() != Some(&quote) {
                        return Some(line);
                    }
                    letters.next();
                }
                _ => {}
            }
        }
    }

    fn told(&self, problem: &ScanError, source: &str) -> Diagnostic {
        let marker = problem.marker();
        let column = marker.col() as u32 + 1;
        let place = self.unshifted(Place { line: marker.line() as u32, column, length: 1 });
        let told = malformed(place, problem.info());
        let has_tab = source.lines().nth(marker.line().saturating_sub(1));
        if has_tab.is_some_and(|line| line.trim_start_matches(' ').starts_with('\t')) {
            return told.hint("YAML is indented by blanks, not tabs");
        }
        told
    }
}

fn place_of(span: Span) -> Place {
    Place {
        line: span.start.line() as u32,
        column: span.start.col() as u32 + 1,
        length: (span.len() as u32).max(1),
    }
}

impl Reader {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = function(tag.as_deref(), place)?;
                if self.expects_key() {
                    return self.key(&text, style, tag, place);
                }
                let data = if style == ScalarStyle::Plain && tag != Some(Function::Text) {
                    plain(&text)
                } else {
                    Data::String((&*text).into())
                };
                let value = wrap(Value::new(data, place), tag);
                let count = 1 + text.len() / TEXT_COUNT;
                self.count_more(count, place)?;
                self.add(value, anchor, count, usize::from(tag.is_some()))
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Content::List(Vec::new()), anchor, tag.as_deref(), place)
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { members: Map::new(), merges: Vec::new(), key: None };
                self.open(content, anchor, tag.as_deref(), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                if self.expects_key() {
                    return Err(malformed(place, "an alias cannot be a name"));
                }
                let Some(anchored) = self.anchors.get(&anchor).cloned() else {
                    return Err(malformed(place, "the alias refers to what it is in"));
                };
                self.count_more(anchored.count, place)?;
                if self.stack.len() + anchored.height > DEPTH_MAX {
                    return Err(too_deep(place));
                }
                self.add(anchored.value, 0, anchored.count, anchored.height)
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(malformed(place, "a template is one document"))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Map { key: None, .. }, .. }))
    }

    fn key(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<Function>,
        place: Place,
    ) -> Result<(), Diagnostic> {
        if tag.is_some_and(|tag| tag != Function::Text) {
            return Err(malformed(place, "a function cannot be a name"));
        }
        let Some(Frame { content: Content::Map { members, key, .. }, .. }) = self.stack.last_mut()
        else {
            return Ok(());
        };
        if style == ScalarStyle::Plain && text.is_empty() {
            return Err(malformed(place, "a name is missing"));
        }
        if let Some(earlier) = members.get(text) {
            return Err(twice(text, place, earlier.key));
        }
        *key = Some((text.into(), place));
        Ok(())
    }

    fn count_more(&mut self, count: usize, place: Place) -> Result<(), Diagnostic> {
        self.count += count;
        if self.count > VALUES_MAX { Err(too_much(place)) } else { Ok(()) }
    }

    fn open(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), Diagnostic> {
        let tag = function(tag, place)?;
        if self.expects_key() {
            return Err(malformed(place, "a list or an object cannot be a name"));
        }
        self.count_more(1, place)?;
        // A function's name is one more object around its argument.
        let tags = self.stack.iter().filter(|frame| frame.tag.is_some()).count();
        if self.stack.len() + tags >= DEPTH_MAX {
            return Err(too_deep(place));
        }
        let place = Place { length: 1, ..place };
        self.stack.push(Frame { tag, anchor, place, count: 1, height: 0, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Diagnostic> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let data = match frame.content {
            Content::List(items) => Data::List(Arc::new(items)),
            Content::Map { mut members, merges, .. } => {
                for merged in merges {
                    for (name, value) in merged.as_map().into_iter().flatten() {
                        members.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                }
                Data::Map(Arc::new(members))
            }
        };
        let value = wrap(Value::new(data, frame.place), frame.tag);
        let height = frame.height + 1 + usize::from(frame.tag.is_some());
        self.add(value, frame.anchor, frame.count, height)
    }

    /// `value`, which is complete, goes where it belongs.
    fn add(
        &mut self,
        value: Value,
        anchor: usize,
        count: usize,
        height: usize,
    ) -> Result<(), Diagnostic> {
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { value: value.clone(), count, height });
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        frame.count += count;
        frame.height = frame.height.max(height);
        match &mut frame.content {
            Content::List(items) => items.push(value),
            Content::Map { members, merges, key } => {
                let Some((name, place)) = key.take() else { return Ok(()) };
                if &*name == "<<" {
                    match value.data {
                        Data::Map(_) => merges.push(value),
                        Data::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                            merges.extend(items.iter().cloned());
                        }
                        _ => {
                            return Err(malformed(
                                place,
                                "`<<` takes an object or a list of objects",
                            ));
                        }
                    }
                } else {
                    members.insert(name, Value { key: place, ..value });
                }
            }
        }
        Ok(())
    }
}

/// The function that `tag` stands for.
fn function(tag: Option<&Tag>, place: Place) -> Result<Option<Function>, Diagnostic> {
    let Some(tag) = tag else { return Ok(None) };
    if tag.is_yaml_core_schema() {
        return match &*tag.suffix {
            "str" => Ok(Some(Function::Text)),
            "int" | "float" | "bool" | "null" | "map" | "seq" | "timestamp" => Ok(None),
            other => Err(malformed(place, &format!("templates do not have the type `!!{other}`"))),
        };
    }
    if tag.handle != "!" {
        return if tag.handle.is_empty() && (tag.suffix == "!" || tag.suffix.is_empty()) {
            Ok(Some(Function::Text))
        } else {
            Err(malformed(place, &format!("the tag `{tag}` is not one of CloudFormation's")))
        };
    }
    match &*tag.suffix {
        "Ref" => return Ok(Some(Function::Ref)),
        "Condition" => return Ok(Some(Function::Condition)),
        "" => return Ok(Some(Function::Text)),
        _ => {}
    }
    let named = SHORT.iter().find(|name| **name == tag.suffix);
    named.map(|name| Some(Function::Named(name))).ok_or_else(|| {
        let told =
            malformed(place, &format!("`!{}` is not a function of CloudFormation", tag.suffix));
        let near = stepwire_asl::diagnostic::nearest(
            &tag.suffix,
            SHORT.iter().copied().chain(["Ref", "Condition"]),
        );
        match near {
            Some(name) => told.hint(format!("did you mean `!{name}`?")),
            None => told,
        }
    })
}

/// The long form of a function given by its tag.
fn wrap(value: Value, tag: Option<Function>) -> Value {
    let place = value.place;
    let (name, argument): (Arc<str>, Value) = match tag {
        None | Some(Function::Text) => return value,
        Some(Function::Ref) => ("Ref".into(), value),
        Some(Function::Condition) => ("Condition".into(), value),
        Some(Function::Named("GetAtt")) => ("Fn::GetAtt".into(), dotted(value)),
        Some(Function::Named(name)) => (format!("Fn::{name}").into(), value),
    };
    let argument = Value { key: place, ..argument };
    Value::new(Data::Map(Arc::new(Map::from_iter([(name, argument)]))), place)
}

/// `A.B.C` as `["A", "B.C"]`.
fn dotted(value: Value) -> Value {
    let Some((resource, attribute)) = value.as_str().and_then(|text| text.split_once('.')) else {
        return value;
    };
    let part = |text: &str| Value::string(text).at(value.place);
    Value::list([part(resource), part(attribute)]).at(value.place)
}

fn malformed(place: Place, what: &str) -> Diagnostic {
    Diagnostic::new(
        place,
        format!(
            "Template format error: YAML not well-formed. (line {}, column {}): {what}",
            place.line, place.column
        ),
    )
}

pub(super) fn twice(name: &str, place: Place, earlier: Place) -> Diagnostic {
    Diagnostic::new(place, format!("Template format error: the name `{name}` is given twice"))
        .hint(format!("it is first given at {earlier}; one of the two would be ignored"))
}
