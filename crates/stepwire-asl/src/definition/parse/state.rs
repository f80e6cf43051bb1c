//! One entry of `States`.

use std::sync::Arc;

use super::distributed::DISTRIBUTED;
use super::fields::Node;
use super::{Names, Parser, schema};
use crate::Json;
use crate::compare::Rule;
use crate::definition::{
    ChoiceRule, Data, Next, Paths, QueryLanguage, Resource, Seconds, State, StateDefinition,
    StateId, TaskDefinition, Test, Text, Wait,
};
use crate::diagnostic::Topic;
use crate::intrinsic::Intrinsic;
use crate::jsonata;
use crate::path::Path;
use crate::template::Template;
use crate::time::Timestamp;

pub(super) struct OneState<'a> {
    pub(super) parser: &'a mut Parser,
    pub(super) node: Node<'a>,
    pub(super) names: &'a Names,
    pub(super) depth: usize,
}

/// Members that every state may have.
const COMMON: &[&str] = &["Type", "Comment", "QueryLanguage"];
/// Members of states that go on to another one.
const FLOW: &[&str] = &["InputPath", "OutputPath", "Output", "Next", "End", "Assign"];
const RECOVERY: &[&str] = &["ResultSelector", "Retry", "Catch"];

/// The types of states.
const KINDS: [&str; 8] = ["Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"];

/// The types of states that have a member of this name.
pub(super) fn owners(name: &str) -> Vec<&'static str> {
    let has = |kind: &&str| allowed(kind).is_some_and(|known| known.contains(&name));
    KINDS.into_iter().filter(has).collect()
}

fn allowed(kind: &str) -> Option<Vec<&'static str>> {
    let own: [&[&str]; 4] = match kind {
        "Pass" => [FLOW, &["Parameters", "ResultPath", "Result"], &[], &[]],
        "Task" => [
            FLOW,
            RECOVERY,
            &[
                "Parameters",
                "Arguments",
                "ResultPath",
                "Resource",
                "TimeoutSeconds",
                "TimeoutSecondsPath",
                "HeartbeatSeconds",
                "HeartbeatSecondsPath",
                "Credentials",
            ],
            &[],
        ],
        "Choice" => {
            [&["InputPath", "OutputPath", "Output", "Assign", "Choices", "Default"], &[], &[], &[]]
        }
        "Wait" => [FLOW, &["Seconds", "SecondsPath", "Timestamp", "TimestampPath"], &[], &[]],
        "Succeed" => [&["InputPath", "OutputPath", "Output"], &[], &[], &[]],
        "Fail" => [&["Error", "ErrorPath", "Cause", "CausePath"], &[], &[], &[]],
        "Parallel" => [FLOW, RECOVERY, &["Parameters", "Arguments", "ResultPath", "Branches"], &[]],
        "Map" => [
            FLOW,
            RECOVERY,
            &[
                "Parameters",
                "ResultPath",
                "ItemsPath",
                "Items",
                "ItemProcessor",
                "Iterator",
                "ItemSelector",
                "MaxConcurrency",
                "MaxConcurrencyPath",
            ],
            DISTRIBUTED,
        ],
        _ => return None,
    };
    Some([COMMON, &own.concat()].concat())
}

impl OneState<'_> {
    fn fail(&mut self, message: impl Into<String>, name: &str) {
        self.parser.fail(message, format!("{}/{name}", self.node.at));
    }

    pub(super) fn parse(&mut self, name: &Arc<str>) -> Option<StateDefinition> {
        if !self.parser.required(self.node, &["Type"]) {
            return None;
        }
        let kind = self.parser.text(self.node, "Type")?;
        let Some(known) = allowed(kind) else {
            let message = format!("Value is not one of [{}]", KINDS.join(", "));
            let finding = schema(message, &format!("{}/Type", self.node.at))
                .in_words(format!("there are no states of type `{kind}`"))
                .did_you_mean(kind, KINDS);
            self.parser.errors.push(finding);
            return None;
        };
        self.parser.enter_state(self.node);
        self.parser.only(self.node, &known);
        self.parser.text(self.node, "Comment");
        // What has branches reads them last: they are states of their own.
        let next = match kind {
            "Choice" => Some(Next::Chosen),
            "Succeed" | "Fail" => Some(Next::End),
            _ => self.next(),
        };
        let data = self.data(kind);
        let assign = self.parser.assign(self.node);
        let (retry, catch) = (self.retry(), self.catch());
        let state = self.state(kind);
        Some(StateDefinition {
            name: Arc::clone(name),
            data,
            assign,
            retry,
            catch,
            reads_context: self.reads_context(),
            next: next?,
            state: state?,
        })
    }

    fn data(&mut self, kind: &str) -> Data {
        let node = self.node;
        if self.parser.language == QueryLanguage::Jsonata {
            let arguments = self.parser.template(node, "Arguments");
            return Data::Jsonata { arguments, output: self.parser.template(node, "Output") };
        }
        let own = (kind != "Map").then(|| self.parser.template(node, "Parameters"));
        Data::JsonPath(Box::new(Paths {
            input: self.parser.data_path(node, "InputPath"),
            output: self.parser.data_path(node, "OutputPath"),
            result: self.parser.result_path(node),
            parameters: own.flatten(),
            result_selector: self.parser.template(node, "ResultSelector"),
        }))
    }

    /// Whether the context object is named anywhere in it but in its branches.
    fn reads_context(&self) -> bool {
        let branches = ["Branches", "ItemProcessor", "Iterator"];
        let own = self.node.members.iter().filter(|(name, _)| !branches.contains(&name.as_ref()));
        own.into_iter().any(|(_, value)| {
            let text = value.to_text();
            text.contains("$$") || jsonata::names_context(&text)
        })
    }

    fn next(&mut self) -> Option<Next> {
        let next = self.node.members.contains_key("Next");
        let end = self.parser.boolean(self.node, "End");
        match (next, end) {
            (true, Some(true)) => {
                self.parser.at_most_one(self.node, &["Next", "End"]);
                None
            }
            (true, _) => self.next_of(self.node, "Next").map(Next::State),
            (false, Some(true)) => Some(Next::End),
            (false, _) => {
                let message = "There should be one of the following fields: [Next, End]";
                let finding = schema(message, self.node.at)
                    .about(Topic::MissingField)
                    .in_words("the state has neither `Next` nor `End`")
                    .at_key(self.node.at);
                self.parser.errors.push(finding);
                None
            }
        }
    }

    /// The state that the member `name` of `node` names.
    pub(super) fn next_of(&mut self, node: Node<'_>, name: &str) -> Option<StateId> {
        let target = self.parser.text(node, name)?;
        self.parser.target(target, self.names, &format!("{}/{name}", node.at))
    }

    fn state(&mut self, kind: &str) -> Option<State> {
        match kind {
            "Pass" => Some(State::Pass { result: self.node.members.get("Result").cloned() }),
            "Succeed" => Some(State::Succeed),
            "Task" => self.task(),
            "Choice" => Some(self.choice()),
            "Wait" => self.wait().map(State::Wait),
            "Fail" => Some(State::Fail { error: self.words("Error"), cause: self.words("Cause") }),
            "Parallel" => self.parallel(),
            _ => self.map(),
        }
    }

    fn task(&mut self) -> Option<State> {
        self.parser.required(self.node, &["Resource"]);
        let credentials = self.credentials();
        let text = self.parser.text(self.node, "Resource");
        let timeout = self.parser.seconds(self.node, "TimeoutSeconds", 1);
        let heartbeat = self.parser.seconds(self.node, "HeartbeatSeconds", 1);
        if let (Some(Seconds::Fixed(timeout)), Some(Seconds::Fixed(heartbeat))) =
            (&timeout, &heartbeat)
            && heartbeat >= timeout
        {
            self.fail("HeartbeatSeconds must be smaller than TimeoutSeconds", "HeartbeatSeconds");
        }
        let at = format!("{}/Resource", self.node.at);
        let Some(resource) = Resource::parse(text?) else {
            let finding = schema("Value is not a valid resource ARN", &at).about(Topic::Resource);
            self.parser.errors.push(finding);
            return None;
        };
        let resource = Arc::new(resource);
        self.parser.tasks.push((at, Arc::clone(&resource)));
        Some(State::Task(Box::new(TaskDefinition { resource, timeout, heartbeat, credentials })))
    }

    /// `Credentials`: the role that the task is to have.
    fn credentials(&mut self) -> Option<Template> {
        self.parser.object(self.node, "Credentials")?;
        self.parser.template(self.node, "Credentials")
    }

    fn wait(&mut self) -> Option<Wait> {
        let names = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        self.parser.at_most_one(self.node, &names);
        let Some(name) = names.into_iter().find(|name| self.node.members.contains_key(*name))
        else {
            let names = names.join(", ");
            let message = format!("There should be one of the following fields: [{names}]");
            self.parser.fail(message, self.node.at);
            return None;
        };
        match name {
            "Timestamp" if self.parser.is_expression(self.node, name) => {
                self.parser.expression(self.node, name).map(Wait::Expression)
            }
            "Timestamp" => {
                let text = self.parser.text(self.node, "Timestamp")?;
                let until = Timestamp::parse(text);
                if until.is_none() {
                    self.fail("String does not match RFC3339 timestamp", "Timestamp");
                }
                until.map(Wait::Until)
            }
            "TimestampPath" => self.parser.path(self.node, name).map(Wait::TimestampPath),
            _ => self.parser.seconds(self.node, "Seconds", 0).map(Wait::Seconds),
        }
    }

    /// `name`, a text, or `namePath`, where to read it.
    fn words(&mut self, name: &str) -> Option<Text> {
        let by_path = format!("{name}Path");
        self.parser.at_most_one(self.node, &[name, &by_path]);
        if let Some(text) = self.parser.text(self.node, &by_path) {
            if let Ok(path) = Path::parse(text) {
                return Some(Text::Path(path));
            }
            if let Ok(call) = Intrinsic::parse(text) {
                return Some(Text::Call(call));
            }
            self.fail("Value is not a Reference Path or intrinsic function", &by_path);
            return None;
        }
        if self.parser.is_expression(self.node, name) {
            return self.parser.expression(self.node, name).map(Text::Expression);
        }
        self.parser.text(self.node, name).map(|text| Text::Literal(text.into()))
    }

    fn choice(&mut self) -> State {
        self.parser.required(self.node, &["Choices"]);
        let choices = self.parser.array(self.node, "Choices").unwrap_or_default();
        if choices.is_empty() && self.node.members.contains_key("Choices") {
            self.fail("Value cannot be empty", "Choices");
        }
        let rules = choices.iter().enumerate().filter_map(|(at, choice)| self.rule(choice, at));
        let rules: Vec<_> = rules.collect();
        let default = self.next_of(self.node, "Default");
        State::Choice { rules, default }
    }

    fn rule(&mut self, choice: &Json, number: usize) -> Option<ChoiceRule> {
        let at = format!("{}/Choices[{number}]", self.node.at);
        let Some(members) = choice.as_object() else {
            self.parser.fail("Expected value of type Object", at);
            return None;
        };
        let node = Node { members, at: &at };
        let test = match self.parser.language {
            QueryLanguage::JsonPath => self.comparison(choice, &at),
            QueryLanguage::Jsonata => self.condition(node),
        };
        self.parser.required(node, &["Next"]);
        let next = self.next_of(node, "Next");
        let assign = self.parser.assign(node);
        let output = match self.parser.language {
            QueryLanguage::JsonPath => None,
            QueryLanguage::Jsonata => self.parser.template(node, "Output"),
        };
        Some(ChoiceRule { test: test?, next: next?, assign, output })
    }

    fn comparison(&mut self, choice: &Json, at: &str) -> Option<Test> {
        match Rule::compile(choice, at) {
            Ok(rule) => Some(Test::Rule(rule)),
            Err(errors) => {
                for error in errors {
                    self.parser.fail(error.message, error.place);
                }
                None
            }
        }
    }

    fn condition(&mut self, node: Node<'_>) -> Option<Test> {
        self.parser.only(node, &["Comment", "Condition", "Next", "Assign", "Output"]);
        if !self.parser.required(node, &["Condition"]) {
            return None;
        }
        if let Some(value) = node.members.get("Condition").and_then(Json::as_bool) {
            return Some(Test::Always(value));
        }
        if self.parser.is_expression(node, "Condition") {
            return self.parser.expression(node, "Condition").map(Test::Condition);
        }
        let at = format!("{}/Condition", node.at);
        self.parser.fail("Expected value of type Boolean or JSONata expression", at);
        None
    }
}
