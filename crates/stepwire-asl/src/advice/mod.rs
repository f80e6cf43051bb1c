//! Advice on definitions that are valid and may still disappoint.
//!
//! [`linted`] gives the warnings of ValidateStateMachineDefinition; [`advised`] ours, which are about
//! devices that answer late, early or never, and about loops and variables. Neither refuses anything.

mod graph;
mod looks;
mod variables;
mod waiting;

use indexmap::IndexMap;

use crate::Json;
use crate::diagnostic::Diagnostic;
use crate::json::Object;

/// What AWS warns about in this definition: codes `NO_DOLLAR`, `NO_PATH`, `PASS_RESULT_IS_STATIC`.
pub fn linted(definition: &Json) -> Vec<Diagnostic> {
    let machine = Machine::of(definition);
    machine.states().flat_map(looks::warnings).collect()
}

/// What else its author should know.
pub fn advised(definition: &Json) -> Vec<Diagnostic> {
    let machine = Machine::of(definition);
    let mut found = Vec::new();
    for flow in &machine.flows {
        found.extend(waiting::early_answers(flow));
        found.extend(graph::warnings(flow));
    }
    found.extend(machine.states().flat_map(|state| waiting::warnings(state, &machine)));
    found.extend(variables::warnings(&machine));
    found
}

/// A definition as advice sees it: every `States` object by itself.
struct Machine<'a> {
    top: Option<&'a Object>,
    flows: Vec<Flow<'a>>,
}

/// A `States` object.
struct Flow<'a> {
    start: Option<&'a str>,
    states: IndexMap<&'a str, State<'a>>,
}

struct State<'a> {
    name: &'a str,
    members: &'a Object,
    /// JSON pointer.
    at: String,
    jsonata: bool,
    /// The Parallel and Map states around it, outermost first.
    around: Vec<&'a Object>,
}

/// A `States` object that is still to be looked at.
struct Inner<'a> {
    members: &'a Object,
    at: String,
    around: Vec<&'a Object>,
}

impl<'a> Machine<'a> {
    fn of(definition: &'a Json) -> Machine<'a> {
        let top = definition.as_object();
        let mut machine = Machine { top, flows: Vec::new() };
        let Some(members) = top else { return machine };
        let jsonata = speaks_jsonata(members).unwrap_or(false);
        let mut rest = vec![Inner { members, at: String::new(), around: Vec::new() }];
        while let Some(inner) = rest.pop() {
            machine.flows.push(Flow::of(inner, jsonata, &mut rest));
        }
        machine
    }

    fn states(&self) -> impl Iterator<Item = &State<'a>> {
        self.flows.iter().flat_map(|flow| flow.states.values())
    }
}

impl<'a> Flow<'a> {
    /// The flow that `inner` is; those within it are added to `rest`.
    fn of(inner: Inner<'a>, jsonata: bool, rest: &mut Vec<Inner<'a>>) -> Flow<'a> {
        let states = inner.members.get("States").and_then(Json::as_object);
        let named = states.into_iter().flatten().filter_map(|(name, value)| {
            let members = value.as_object()?;
            let at = format!("{}/States/{}", inner.at, escape(name));
            let jsonata = speaks_jsonata(members).unwrap_or(jsonata);
            let around = inner.around.clone();
            Some((name.as_ref(), State { name, members, at, jsonata, around }))
        });
        let states: IndexMap<&str, State<'_>> = named.collect();
        for state in states.values() {
            let around = [state.around.as_slice(), &[state.members]].concat();
            for (at, members) in branches(state.members, &state.at) {
                rest.push(Inner { members, at, around: around.clone() });
            }
        }
        Flow { start: inner.members.get("StartAt").and_then(Json::as_str), states }
    }
}

impl<'a> State<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.members.get(name).and_then(Json::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    fn is(&self, kind: &str) -> bool {
        self.text("Type") == Some(kind)
    }

    fn list(&self, name: &str) -> &'a [Json] {
        self.members.get(name).and_then(Json::as_array).unwrap_or_default()
    }

    /// The names of the states it leads to.
    fn targets(&self) -> impl Iterator<Item = &'a str> {
        let own = ["Next", "Default"].into_iter().filter_map(|name| self.text(name));
        let listed = self.list("Choices").iter().chain(self.list("Catch"));
        own.chain(listed.filter_map(|entry| entry.member("Next")?.as_str()))
    }

    /// Whether the flow can end with it.
    fn ends(&self) -> bool {
        self.is("Succeed")
            || self.is("Fail")
            || self.members.get("End").and_then(Json::as_bool) == Some(true)
    }
}

/// What a state runs within it: its branches or item processor, with JSON pointers below `at`.
fn branches<'a>(members: &'a Object, at: &str) -> Vec<(String, &'a Object)> {
    let listed = members.get("Branches").and_then(Json::as_array).unwrap_or_default();
    let listed = listed.iter().enumerate().filter_map(|(number, branch)| {
        Some((format!("{at}/Branches[{number}]"), branch.as_object()?))
    });
    let mapped = ["ItemProcessor", "Iterator"]
        .into_iter()
        .filter_map(|name| Some((format!("{at}/{name}"), members.get(name)?.as_object()?)));
    listed.chain(mapped).collect()
}

fn speaks_jsonata(members: &Object) -> Option<bool> {
    members.get("QueryLanguage").and_then(Json::as_str).map(|language| language == "JSONata")
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Every string within `value`, with its JSON pointer below `at` and the name it has, if any.
fn strings<'a>(value: &'a Json, at: &str, found: &mut Vec<(String, Option<&'a str>, &'a str)>) {
    let mut rest = vec![(at.to_owned(), None, value)];
    while let Some((at, name, value)) = rest.pop() {
        match value {
            Json::String(text) => found.push((at, name, text)),
            Json::Array(items) => {
                let items = items.iter().enumerate();
                rest.extend(items.map(|(n, item)| (format!("{at}[{n}]"), name, item)));
            }
            Json::Object(members) => rest.extend(members.iter().map(|(name, value)| {
                (format!("{at}/{}", escape(name)), Some(name.as_ref()), value)
            })),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
}
