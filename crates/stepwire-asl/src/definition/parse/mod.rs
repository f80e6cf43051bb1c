//! From text to a validated machine.
//!
//! Codes, sentences and places are those of ValidateStateMachineDefinition where they are known:
//! `Field 'X' is not supported` stands at the state, an item of a list at `Retry[0]`.

mod branches;
mod distributed;
mod fields;
mod recovery;
mod state;
pub(super) mod syntax;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::fields::Node;
use self::state::OneState;
use super::{Next, QueryLanguage, Resource, State, StateDefinition, StateId, StateMachine};
use crate::diagnostic::{Diagnostic, Topic};
use crate::json::Object;

const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";
const TARGET: &str = "MISSING_TRANSITION_TARGET";
/// Branches within branches.
const DEPTH_MAX: usize = 32;
/// Characters of a state's name.
const NAME_MAX: usize = 80;
/// Seconds, and anything else that is counted.
const NUMBER_MAX: i64 = 99_999_999;

const MACHINE: &[&str] =
    &["Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"];

pub(super) fn machine(text: &str) -> Result<StateMachine, Vec<Diagnostic>> {
    let json = syntax::parse(text).map_err(|diagnostic| vec![diagnostic])?;
    let mut parser = Parser::new();
    let Some(members) = json.as_object() else {
        return Err(vec![Diagnostic::error(SCHEMA, "Expected value of type Object", "/")]);
    };
    let node = Node { members, at: "" };
    parser.only(node, MACHINE);
    parser.of_machine = parser.query_language(node).unwrap_or(QueryLanguage::JsonPath);
    let timeout_s = parser.integer(node, "TimeoutSeconds", 1, NUMBER_MAX);
    if parser.text(node, "Version").is_some_and(|version| version != "1.0") {
        parser.fail("Value is not one of [1.0]", "/Version");
    }
    let comment = parser.text(node, "Comment").map(Arc::from);
    let start = parser.flow(node, 0);
    let errors = parser.findings();
    if !errors.is_empty() {
        return Err(errors);
    }
    let states: Option<Vec<_>> = parser.states.into_iter().collect();
    let (Some(states), Some(start)) = (states, start) else {
        return Err(vec![Diagnostic::error(SCHEMA, "Expected value of type Object", "/States")]);
    };
    Ok(StateMachine { states, start, timeout_s, comment, tasks: parser.tasks })
}

struct Parser {
    /// The language of the machine, which its states have unless they say otherwise.
    of_machine: QueryLanguage,
    /// The language of the state that is being read.
    language: QueryLanguage,
    /// Where that state stands.
    state_at: String,
    /// Whether it has a result: it is a Task, Parallel or Map.
    gives_result: bool,
    /// What is wrong in itself.
    errors: Vec<Diagnostic>,
    /// Transitions to states that are not there; told only of a machine that is well formed
    /// otherwise.
    routes: Vec<Diagnostic>,
    /// Branches that never end.
    endless: Vec<Diagnostic>,
    /// States that nothing leads to; told only of a machine that ends.
    unreached: Vec<Diagnostic>,
    /// By number; `None` until parsed.
    states: Vec<Option<StateDefinition>>,
    tasks: Vec<(String, Arc<Resource>)>,
    /// Names used so far: they are unique in the whole machine.
    seen: BTreeSet<Arc<str>>,
}

/// The names of a branch's states and their numbers.
type Names = indexmap::IndexMap<Arc<str>, StateId>;

impl Parser {
    fn new() -> Parser {
        Parser {
            of_machine: QueryLanguage::JsonPath,
            language: QueryLanguage::JsonPath,
            state_at: String::new(),
            gives_result: false,
            errors: Vec::new(),
            routes: Vec::new(),
            endless: Vec::new(),
            unreached: Vec::new(),
            states: Vec::new(),
            tasks: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn fail(&mut self, message: impl Into<String>, location: impl AsRef<str>) {
        self.errors.push(schema(message, location.as_ref()));
    }

    /// Everything found, as ValidateStateMachineDefinition orders it: a fault of the graph is told
    /// when nothing else can have caused it, and that a workflow does not end only once.
    fn findings(&mut self) -> Vec<Diagnostic> {
        if !self.errors.is_empty() {
            return std::mem::take(&mut self.errors);
        }
        let mut found = std::mem::take(&mut self.routes);
        self.endless.truncate(1);
        let rest = if self.endless.is_empty() { &mut self.unreached } else { &mut self.endless };
        found.append(rest);
        found
    }

    fn query_language(&mut self, node: Node<'_>) -> Option<QueryLanguage> {
        let text = self.text(node, "QueryLanguage")?;
        match text {
            "JSONPath" => Some(QueryLanguage::JsonPath),
            "JSONata" => Some(QueryLanguage::Jsonata),
            _ => {
                let why = "Value is not one of [JSONPath, JSONata]";
                let finding = schema(why, &format!("{}/QueryLanguage", node.at));
                self.errors.push(finding.did_you_mean(text, ["JSONPath", "JSONata"]));
                None
            }
        }
    }

    /// Makes the state at `node` the one that is being read; its language is that of the machine
    /// unless it says otherwise.
    fn enter_state(&mut self, node: Node<'_>) {
        let own = self.query_language(node);
        if own == Some(QueryLanguage::JsonPath) && self.of_machine == QueryLanguage::Jsonata {
            let why =
                "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
            let finding = schema(why, node.at).about(Topic::QueryLanguage);
            self.errors.push(finding.at_key(format!("{}/QueryLanguage", node.at)));
        }
        self.language = own.unwrap_or(self.of_machine);
        node.at.clone_into(&mut self.state_at);
    }

    /// `StartAt` and `States` of a machine or branch; the number of its first state.
    fn flow(&mut self, node: Node<'_>, depth: usize) -> Option<StateId> {
        if depth > DEPTH_MAX {
            let message = format!("Branches are nested more than {DEPTH_MAX} deep");
            self.errors.push(Diagnostic::error("TOO_DEEPLY_NESTED", message, node.at));
            return None;
        }
        self.required(node, &["States", "StartAt"]);
        let start = self.text(node, "StartAt");
        let states = self.object(node, "States")?;
        let at = format!("{}/States", node.at);
        if states.is_empty() {
            self.fail("Value cannot be empty", at);
            return None;
        }
        let names = self.names(states, &at);
        let start = start.and_then(|to| self.target(to, &names, &format!("{}/StartAt", node.at)));
        let mut reached: BTreeSet<StateId> = start.into_iter().collect();
        let mut ends = false;
        for (name, value) in states {
            let place = format!("{at}/{}", escape(name));
            let Some(members) = value.as_object() else {
                self.fail("Expected value of type Object", place);
                continue;
            };
            let node = Node { members, at: &place };
            let mut state = OneState { parser: self, node, names: &names, depth };
            if let Some(definition) = state.parse(name) {
                reached.extend(targets(&definition));
                ends |= definition.next == Next::End;
                self.states[names[name] as usize] = Some(definition);
            }
        }
        for (name, _) in names.iter().filter(|(_, number)| !reached.contains(*number)) {
            let message = format!("State \"{name}\" is not reachable.");
            let place = format!("{at}/{}", escape(name));
            let finding = Diagnostic::error(TARGET, message, &place)
                .about(Topic::Unreachable)
                .in_words(format!("nothing leads to state `{name}`"));
            self.unreached.push(finding.at_key(place));
        }
        if !ends {
            let finding =
                Diagnostic::error("MISSING_END_STATE", "Workflow has no terminal state", "")
                    .in_words("no state ends this workflow")
                    .hint("let one have `\"End\": true`, or add a Succeed or Fail state")
                    .at_key(at);
            self.endless.push(Diagnostic { location: None, ..finding });
        }
        start
    }

    /// Numbers the states of a branch.
    fn names(&mut self, states: &Object, at: &str) -> Names {
        let mut names = Names::new();
        for name in states.keys() {
            let number = self.states.len() as StateId;
            self.states.push(None);
            names.insert(Arc::clone(name), number);
            let place = format!("{at}/{}", escape(name));
            if name.is_empty() || name.chars().count() > NAME_MAX {
                let message = format!("State names have 1 to {NAME_MAX} characters");
                let finding = Diagnostic::error("INVALID_STATE_NAME", message, &place);
                self.errors.push(finding.at_key(&place));
            }
            if !self.seen.insert(Arc::clone(name)) {
                let message = format!("Duplicate State name: {name}");
                let finding = Diagnostic::error("DUPLICATE_STATE_NAME", message, &place)
                    .in_words(format!("two states are called `{name}`"))
                    .hint("names are unique in the whole state machine, branches included");
                self.errors.push(finding.at_key(place));
            }
        }
        names
    }

    fn target(&mut self, name: &str, names: &Names, at: &str) -> Option<StateId> {
        let found = names.get(name).copied();
        if found.is_none() {
            let message = format!("Missing 'Next' target: {name}");
            let finding = Diagnostic::error(TARGET, message, at)
                .in_words(format!("state `{name}` is not defined"))
                .label(used_as(at))
                .did_you_mean(name, names.keys().map(AsRef::as_ref));
            self.routes.push(finding);
        }
        found
    }
}

/// Where a state leads.
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

/// What the member at `at` is to whom.
fn used_as(at: &str) -> String {
    let (owner, field) = at.rsplit_once('/').unwrap_or(("", at));
    match owner.rsplit_once("/States/") {
        Some((_, owner)) if field != "StartAt" => {
            let state = owner.split('/').next().unwrap_or_default();
            let state = state.replace("~1", "/").replace("~0", "~");
            format!("used as `{field}` of `{state}`")
        }
        _ => format!("used as `{field}`"),
    }
}

/// A fault of form; one without place is of the whole.
fn schema(message: impl Into<String>, location: &str) -> Diagnostic {
    Diagnostic::error(SCHEMA, message, if location.is_empty() { "/" } else { location })
}

/// A state name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
