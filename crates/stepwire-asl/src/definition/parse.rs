//! From text to a validated machine.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    Catcher, ChoiceRule, Map, Next, Resource, Retrier, Seconds, State, StateDefinition, StateId,
    StateMachine, Text, Wait,
};
use crate::Json;
use crate::compare::Rule;
use crate::diagnostic::Diagnostic;
use crate::intrinsic::Intrinsic;
use crate::json::Object;
use crate::path::{Path, ReferencePath};
use crate::template::{self, Template};

const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";
/// Branches within branches.
const DEPTH_MAX: usize = 32;
const NAME_MAX: usize = 80;

pub(super) fn machine(text: &str) -> Result<StateMachine, Vec<Diagnostic>> {
    let json = Json::parse(text).map_err(|error| {
        vec![Diagnostic::error("INVALID_JSON_DESCRIPTION", error.to_string(), "")]
    })?;
    let mut parser = Parser::default();
    let Some(members) = json.as_object() else {
        return Err(vec![Diagnostic::error(SCHEMA, "Expected value of type Object", "")]);
    };
    parser.query_language(members, "");
    let timeout_s = parser.number(members, "TimeoutSeconds", "");
    if timeout_s.is_some_and(|seconds| seconds < 1) {
        parser.fail("Value is not greater than or equal to 1", "/TimeoutSeconds");
    }
    let start = parser.flow(members, "", 0);
    if !parser.errors.is_empty() {
        return Err(parser.errors);
    }
    let states: Option<Vec<_>> = parser.states.into_iter().collect();
    Ok(StateMachine {
        states: states.unwrap_or_default(),
        start: start.unwrap_or(0),
        timeout_s,
        comment: members.get("Comment").and_then(Json::as_str).map(Arc::from),
        tasks: parser.tasks,
    })
}

#[derive(Default)]
struct Parser {
    errors: Vec<Diagnostic>,
    states: Vec<Option<StateDefinition>>,
    tasks: Vec<(String, Arc<Resource>)>,
}

/// The names of a branch's states and their numbers.
type Names = indexmap::IndexMap<Arc<str>, StateId>;

impl Parser {
    fn fail(&mut self, message: impl Into<String>, location: impl Into<String>) {
        self.errors.push(Diagnostic::error(SCHEMA, message, location));
    }

    fn query_language(&mut self, members: &Object, at: &str) {
        let Some(language) = members.get("QueryLanguage") else { return };
        match language.as_str() {
            Some("JSONPath") => {}
            Some("JSONata") => {
                self.fail(
                    "`JSONata` is not available yet; use `JSONPath`",
                    format!("{at}/QueryLanguage"),
                );
            }
            _ => {
                self.fail("Value is not one of [JSONPath, JSONata]", format!("{at}/QueryLanguage"));
            }
        }
    }

    /// `StartAt` and `States` of a machine or branch; the number of its first state.
    fn flow(&mut self, members: &Object, at: &str, depth: usize) -> Option<StateId> {
        if depth > DEPTH_MAX {
            self.fail("branches are nested too deeply", at);
            return None;
        }
        let Some(states) = members.get("States").and_then(Json::as_object) else {
            self.fail("The field 'States' is required but was missing", format!("{at}/States"));
            return None;
        };
        if states.is_empty() {
            self.fail("The field 'States' must not be empty", format!("{at}/States"));
        }
        let mut names = Names::new();
        for name in states.keys() {
            let number = self.states.len() as StateId;
            self.states.push(None);
            names.insert(Arc::clone(name), number);
            if name.chars().count() > NAME_MAX {
                self.fail(
                    format!("state names have at most {NAME_MAX} characters"),
                    format!("{at}/States/{}", escape(name)),
                );
            }
        }
        let start = if let Some(name) = members.get("StartAt").and_then(Json::as_str) {
            self.target(name, &names, &format!("{at}/StartAt"))
        } else {
            self.fail("The field 'StartAt' is required but was missing", format!("{at}/StartAt"));
            None
        };
        let mut reached: BTreeSet<StateId> = start.into_iter().collect();
        let mut ends = false;
        for (name, value) in states {
            let place = format!("{at}/States/{}", escape(name));
            let Some(members) = value.as_object() else {
                self.fail("Expected value of type Object", place);
                continue;
            };
            let mut state = OneState { parser: self, members, at: &place, names: &names, depth };
            if let Some(definition) = state.parse(name) {
                reached.extend(targets(&definition));
                ends |= definition.next == Next::End
                    || matches!(definition.state, State::Succeed | State::Fail { .. });
                let number = names[name] as usize;
                self.states[number] = Some(definition);
            }
        }
        if self.errors.is_empty() {
            for (name, number) in &names {
                if !reached.contains(number) {
                    let place = format!("{at}/States/{}", escape(name));
                    self.errors.push(Diagnostic::error(
                        "MISSING_TRANSITION_TARGET",
                        format!("State \"{name}\" is not reachable."),
                        place,
                    ));
                }
            }
            if !ends {
                let place = format!("{at}/States");
                self.errors.push(Diagnostic::error(SCHEMA, "No terminal state found", place));
            }
        }
        start
    }

    fn target(&mut self, name: &str, names: &Names, at: &str) -> Option<StateId> {
        let found = names.get(name).copied();
        if found.is_none() {
            let message = format!("Missing 'Next' target: {name}");
            self.errors.push(Diagnostic::error("MISSING_TRANSITION_TARGET", message, at));
        }
        found
    }

    fn number(&mut self, members: &Object, name: &str, at: &str) -> Option<i64> {
        let value = members.get(name)?;
        let number = value.as_i64();
        if number.is_none() {
            self.fail("Expected value of type Integer", format!("{at}/{name}"));
        }
        number
    }
}

fn targets(state: &StateDefinition) -> Vec<StateId> {
    let mut targets: Vec<_> = state.catch.iter().map(|catcher| catcher.next).collect();
    if let Next::State(next) = state.next {
        targets.push(next);
    }
    if let State::Choice { rules, default } = &state.state {
        targets.extend(rules.iter().map(|rule| rule.next));
        targets.extend(default);
    }
    targets
}

/// A state name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

struct OneState<'a> {
    parser: &'a mut Parser,
    members: &'a Object,
    at: &'a str,
    names: &'a Names,
    depth: usize,
}

/// Members that every state may have.
const COMMON: &[&str] = &["Type", "Comment", "QueryLanguage"];
const FLOW: &[&str] = &["InputPath", "OutputPath", "Next", "End", "Assign"];

fn allowed(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "Pass" => &["Parameters", "Result", "ResultPath"],
        "Task" => &[
            "Parameters",
            "ResultPath",
            "ResultSelector",
            "Retry",
            "Catch",
            "Resource",
            "TimeoutSeconds",
            "TimeoutSecondsPath",
            "HeartbeatSeconds",
            "HeartbeatSecondsPath",
            "Credentials",
        ],
        "Choice" => &["InputPath", "OutputPath", "Assign", "Choices", "Default"],
        "Wait" => &["Seconds", "SecondsPath", "Timestamp", "TimestampPath"],
        "Succeed" => &["InputPath", "OutputPath"],
        "Fail" => &["Error", "ErrorPath", "Cause", "CausePath"],
        "Parallel" => &["Parameters", "ResultPath", "ResultSelector", "Retry", "Catch", "Branches"],
        "Map" => &[
            "Parameters",
            "ResultPath",
            "ResultSelector",
            "Retry",
            "Catch",
            "ItemsPath",
            "ItemProcessor",
            "Iterator",
            "ItemSelector",
            "MaxConcurrency",
            "MaxConcurrencyPath",
            "ItemReader",
            "ItemBatcher",
            "ResultWriter",
            "Label",
            "ToleratedFailureCount",
            "ToleratedFailureCountPath",
            "ToleratedFailurePercentage",
            "ToleratedFailurePercentagePath",
        ],
        _ => return None,
    })
}

impl OneState<'_> {
    fn fail(&mut self, message: impl Into<String>, name: &str) {
        let at = if name.is_empty() { self.at.to_owned() } else { format!("{}/{name}", self.at) };
        self.parser.fail(message, at);
    }

    fn parse(&mut self, name: &Arc<str>) -> Option<StateDefinition> {
        let Some(kind) = self.members.get("Type").and_then(Json::as_str) else {
            self.fail("The field 'Type' is required but was missing", "Type");
            return None;
        };
        let Some(own) = allowed(kind) else {
            self.fail("Value is not a valid state type", "Type");
            return None;
        };
        let flows = !matches!(kind, "Choice" | "Succeed" | "Fail");
        for member in self.members.keys() {
            let member = member.as_ref();
            let known = COMMON.contains(&member)
                || own.contains(&member)
                || (flows && FLOW.contains(&member));
            if !known {
                self.fail(format!("Field '{member}' is not supported in a {kind} state"), member);
            }
        }
        self.parser.query_language(self.members, self.at);
        let state = self.state(kind)?;
        let next = if flows { self.next() } else { Some(Next::End) };
        let next = if matches!(state, State::Choice { .. } | State::Succeed | State::Fail { .. }) {
            Next::End
        } else {
            next?
        };
        let parameters = if kind == "Map" { None } else { self.template("Parameters") };
        Some(StateDefinition {
            name: Arc::clone(name),
            input_path: self.data_path("InputPath"),
            output_path: self.data_path("OutputPath"),
            result_path: self.result_path(self.members, "ResultPath"),
            parameters,
            result_selector: self.template("ResultSelector"),
            assign: self.template("Assign"),
            retry: self.retry(),
            catch: self.catch(),
            reads_context: self.reads_context(),
            next: if matches!(state, State::Choice { .. }) {
                Next::State(StateId::MAX)
            } else {
                next
            },
            state,
        })
    }

    /// Whether `$$` stands anywhere in it but in its branches.
    fn reads_context(&self) -> bool {
        let own = self.members.iter().filter(|(name, _)| {
            !matches!(name.as_ref(), "Branches" | "ItemProcessor" | "Iterator")
        });
        own.into_iter().any(|(_, value)| value.to_text().contains("$$"))
    }

    fn next(&mut self) -> Option<Next> {
        let end = self.members.get("End").and_then(Json::as_bool) == Some(true);
        match (self.members.get("Next").map(Json::as_str), end) {
            (Some(Some(next)), false) => {
                let at = format!("{}/Next", self.at);
                self.parser.target(next, self.names, &at).map(Next::State)
            }
            (None, true) => Some(Next::End),
            (None, false) => {
                self.fail("One of ['Next', 'End'] is required", "");
                None
            }
            (Some(None), _) => {
                self.fail("Expected value of type String", "Next");
                None
            }
            (Some(_), true) => {
                self.fail("Only one of ['Next', 'End'] may be present", "");
                None
            }
        }
    }

    fn state(&mut self, kind: &str) -> Option<State> {
        match kind {
            "Pass" => Some(State::Pass { result: self.members.get("Result").cloned() }),
            "Succeed" => Some(State::Succeed),
            "Task" => self.task(),
            "Choice" => self.choice(),
            "Wait" => self.wait().map(State::Wait),
            "Fail" => Some(State::Fail { error: self.text("Error"), cause: self.text("Cause") }),
            "Parallel" => self.parallel(),
            _ => self.map(),
        }
    }

    fn task(&mut self) -> Option<State> {
        let Some(text) = self.members.get("Resource").and_then(Json::as_str) else {
            self.fail("The field 'Resource' is required but was missing", "Resource");
            return None;
        };
        let Some(resource) = Resource::parse(text) else {
            self.fail("Value is not a valid resource ARN", "Resource");
            return None;
        };
        let resource = Arc::new(resource);
        self.parser.tasks.push((format!("{}/Resource", self.at), Arc::clone(&resource)));
        let timeout = self.seconds("TimeoutSeconds");
        let heartbeat = self.seconds("HeartbeatSeconds");
        if let (Some(Seconds::Fixed(timeout)), Some(Seconds::Fixed(heartbeat))) =
            (&timeout, &heartbeat)
            && heartbeat >= timeout
        {
            self.fail("HeartbeatSeconds must be smaller than TimeoutSeconds", "HeartbeatSeconds");
        }
        Some(State::Task { resource, timeout, heartbeat })
    }

    /// `name`, a positive integer, or `namePath`.
    fn seconds(&mut self, name: &str) -> Option<Seconds> {
        let by_path = format!("{name}Path");
        if let Some(path) = self.members.get(&*by_path) {
            if self.members.contains_key(name) {
                self.fail(format!("Only one of ['{name}', '{by_path}'] may be present"), "");
            }
            return self.path(path, &by_path).map(Seconds::Path);
        }
        let number = self.parser.number(self.members, name, self.at)?;
        let least = i64::from(name != "MaxConcurrency" && name != "Seconds");
        if !(least..=99_999_999).contains(&number) {
            self.fail(format!("Value is not in the range [{least}, 99999999]"), name);
        }
        Some(Seconds::Fixed(number))
    }

    fn path(&mut self, value: &Json, name: &str) -> Option<Path> {
        if let Some(Ok(path)) = value.as_str().map(Path::parse) {
            Some(path)
        } else {
            self.fail("Value is not a Reference Path", name);
            None
        }
    }

    fn wait(&mut self) -> Option<Wait> {
        let names = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        let present: Vec<_> =
            names.iter().filter(|name| self.members.contains_key(**name)).collect();
        let [name] = present.as_slice() else {
            self.fail("Exactly one of ['Seconds', 'SecondsPath', 'Timestamp', 'TimestampPath'] is required", "");
            return None;
        };
        match **name {
            "Timestamp" => {
                let text = self.members.get("Timestamp").and_then(Json::as_str);
                if text.is_none() {
                    self.fail("Expected value of type String", "Timestamp");
                }
                text.map(|text| Wait::Timestamp(text.into()))
            }
            "TimestampPath" => {
                let path = self.members.get("TimestampPath")?;
                self.path(path, "TimestampPath").map(Wait::TimestampPath)
            }
            _ => self.seconds("Seconds").map(Wait::Seconds),
        }
    }

    fn text(&mut self, name: &str) -> Option<Text> {
        let by_path = format!("{name}Path");
        if let Some(value) = self.members.get(&*by_path) {
            let text = value.as_str().unwrap_or_default();
            if let Ok(path) = Path::parse(text) {
                return Some(Text::Path(path));
            }
            if let Ok(call) = Intrinsic::parse(text) {
                return Some(Text::Call(call));
            }
            self.fail("Value is not a Reference Path or intrinsic function", &by_path);
            return None;
        }
        let value = self.members.get(name)?;
        if value.as_str().is_none() {
            self.fail("Expected value of type String", name);
        }
        value.as_str().map(|text| Text::Literal(text.into()))
    }

    fn choice(&mut self) -> Option<State> {
        let Some(choices) = self.members.get("Choices").and_then(Json::as_array) else {
            self.fail("The field 'Choices' is required but was missing", "Choices");
            return None;
        };
        if choices.is_empty() {
            self.fail("The field 'Choices' must not be empty", "Choices");
        }
        let mut rules = Vec::new();
        for (number, choice) in choices.iter().enumerate() {
            let at = format!("{}/Choices/{number}", self.at);
            let rule = match Rule::compile(choice, &at) {
                Ok(rule) => Some(rule),
                Err(errors) => {
                    for error in errors {
                        self.parser.fail(error.message, error.pointer);
                    }
                    None
                }
            };
            let next = if let Some(next) = choice.member("Next").and_then(Json::as_str) {
                self.parser.target(next, self.names, &format!("{at}/Next"))
            } else {
                self.parser
                    .fail("The field 'Next' is required but was missing", format!("{at}/Next"));
                None
            };
            let assign = choice.member("Assign").cloned();
            let assign = assign.and_then(|assign| self.compiled(&assign, &format!("{at}/Assign")));
            if let (Some(rule), Some(next)) = (rule, next) {
                rules.push(ChoiceRule { rule, next, assign });
            }
        }
        let default = match self.members.get("Default").map(Json::as_str) {
            Some(Some(name)) => {
                self.parser.target(name, self.names, &format!("{}/Default", self.at))
            }
            Some(None) => {
                self.fail("Expected value of type String", "Default");
                None
            }
            None => None,
        };
        Some(State::Choice { rules, default })
    }

    fn parallel(&mut self) -> Option<State> {
        let Some(branches) = self.members.get("Branches").and_then(Json::as_array) else {
            self.fail("The field 'Branches' is required but was missing", "Branches");
            return None;
        };
        if branches.is_empty() {
            self.fail("The field 'Branches' must not be empty", "Branches");
        }
        let mut starts = Vec::new();
        for (number, branch) in branches.iter().enumerate() {
            let at = format!("{}/Branches/{number}", self.at);
            match branch.as_object() {
                Some(members) => starts.extend(self.parser.flow(members, &at, self.depth + 1)),
                None => self.parser.fail("Expected value of type Object", at),
            }
        }
        Some(State::Parallel { branches: starts })
    }

    fn map(&mut self) -> Option<State> {
        let later = [
            "ItemReader",
            "ItemBatcher",
            "ResultWriter",
            "Label",
            "ToleratedFailureCount",
            "ToleratedFailureCountPath",
            "ToleratedFailurePercentage",
            "ToleratedFailurePercentagePath",
        ];
        for name in later {
            if self.members.contains_key(name) {
                self.fail(format!("`{name}` is not available yet"), name);
            }
        }
        let present = ["ItemProcessor", "Iterator"];
        let Some(name) = present.into_iter().find(|name| self.members.contains_key(*name)) else {
            self.fail("The field 'ItemProcessor' is required but was missing", "ItemProcessor");
            return None;
        };
        let Some(processor) = self.members.get(name).and_then(Json::as_object) else {
            self.fail("Expected value of type Object", name);
            return None;
        };
        let mode = processor.get("ProcessorConfig").and_then(|config| config.member("Mode"));
        if mode.and_then(Json::as_str).is_some_and(|mode| mode != "INLINE") {
            let at = format!("{}/{name}/ProcessorConfig/Mode", self.at);
            self.parser.fail("`DISTRIBUTED` Map states are not available yet; use `INLINE`", at);
        }
        let at = format!("{}/{name}", self.at);
        let start = self.parser.flow(processor, &at, self.depth + 1);
        let selector =
            if self.members.contains_key("ItemSelector") { "ItemSelector" } else { "Parameters" };
        let items = self.members.get("ItemsPath").cloned();
        Some(State::Map(Box::new(Map {
            items: items.and_then(|items| self.path(&items, "ItemsPath")),
            selector: self.template(selector),
            concurrency: self.seconds("MaxConcurrency"),
            start: start?,
        })))
    }

    fn template(&mut self, name: &str) -> Option<Template> {
        let value = self.members.get(name)?.clone();
        self.compiled(&value, &format!("{}/{name}", self.at))
    }

    fn compiled(&mut self, value: &Json, at: &str) -> Option<Template> {
        match Template::compile(value) {
            Ok(template) => Some(template),
            Err(errors) => {
                for template::Error { pointer, message } in errors {
                    self.parser.fail(message, format!("{at}{pointer}"));
                }
                None
            }
        }
    }

    fn data_path(&mut self, name: &str) -> Option<Path> {
        match self.members.get(name) {
            Some(Json::Null) => None,
            Some(value) => self.path(&value.clone(), name),
            None => Path::parse("$").ok(),
        }
    }

    fn result_path(&mut self, members: &Object, name: &str) -> Option<ReferencePath> {
        match members.get(name) {
            Some(Json::Null) => None,
            None => ReferencePath::parse("$").ok(),
            Some(value) => {
                if let Some(Ok(path)) = value.as_str().map(ReferencePath::parse) {
                    Some(path)
                } else {
                    self.fail("Value is not a Reference Path", name);
                    None
                }
            }
        }
    }

    fn errors(&mut self, value: &Json, at: &str) -> Vec<Arc<str>> {
        let names = value.member("ErrorEquals").and_then(Json::as_array);
        let names: Option<Vec<Arc<str>>> =
            names.map(|names| names.iter().filter_map(|n| n.as_str().map(Arc::from)).collect());
        match names {
            Some(names) if !names.is_empty() => names,
            _ => {
                self.parser.fail(
                    "The field 'ErrorEquals' is required but was missing",
                    format!("{at}/ErrorEquals"),
                );
                Vec::new()
            }
        }
    }

    fn retry(&mut self) -> Vec<Retrier> {
        let Some(value) = self.members.get("Retry").cloned() else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.fail("Expected value of type Array", "Retry");
            return Vec::new();
        };
        let mut retriers = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let at = format!("{}/Retry/{number}", self.at);
            let float =
                |name: &str, default: f64| item.member(name).map_or(Some(default), Json::as_f64);
            let retrier = Retrier {
                errors: self.errors(item, &at),
                interval_s: float("IntervalSeconds", 1.0).filter(|s| *s >= 1.0).unwrap_or(-1.0),
                attempts_max: float("MaxAttempts", 3.0)
                    .filter(|n| (0.0..=99_999_999.0).contains(n))
                    .map_or(u32::MAX, |n| n as u32),
                backoff: float("BackoffRate", 2.0).filter(|rate| *rate >= 1.0).unwrap_or(-1.0),
                delay_max_s: item.member("MaxDelaySeconds").and_then(Json::as_f64),
                full_jitter: item.member("JitterStrategy").and_then(Json::as_str) == Some("FULL"),
            };
            for (wrong, name) in [
                (retrier.interval_s < 0.0, "IntervalSeconds"),
                (retrier.attempts_max == u32::MAX, "MaxAttempts"),
                (retrier.backoff < 0.0, "BackoffRate"),
            ] {
                if wrong {
                    self.parser.fail("Value is out of range", format!("{at}/{name}"));
                }
            }
            retriers.push(retrier);
        }
        retriers
    }

    fn catch(&mut self) -> Vec<Catcher> {
        let Some(value) = self.members.get("Catch").cloned() else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.fail("Expected value of type Array", "Catch");
            return Vec::new();
        };
        let mut catchers = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let at = format!("{}/Catch/{number}", self.at);
            let errors = self.errors(item, &at);
            let next = if let Some(next) = item.member("Next").and_then(Json::as_str) {
                self.parser.target(next, self.names, &format!("{at}/Next"))
            } else {
                self.parser
                    .fail("The field 'Next' is required but was missing", format!("{at}/Next"));
                None
            };
            let empty = Object::new();
            let result_path = self.result_path(item.as_object().unwrap_or(&empty), "ResultPath");
            let assign = item.member("Assign").cloned();
            let assign = assign.and_then(|assign| self.compiled(&assign, &format!("{at}/Assign")));
            catchers.extend(next.map(|next| Catcher { errors, next, result_path, assign }));
        }
        catchers
    }
}
