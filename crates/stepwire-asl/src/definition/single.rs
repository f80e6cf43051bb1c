//! One state of a definition by itself, as TestState takes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::parse::syntax;
use super::{Resource, State, StateMachine};
use crate::Json;
use crate::diagnostic::Diagnostic;
use crate::history::Kind;

/// The name that TestState gives the state under test.
const NAME: &str = "StateName";

/// A state in a machine of its own, whose other states are where it may lead to.
#[derive(Debug, PartialEq)]
pub struct SingleState {
    pub(crate) machine: Arc<StateMachine>,
    json: Json,
}

impl SingleState {
    /// The state that `definition` defines; with a `name`, the state of that name in the machine that
    /// it defines, at whatever level (`None`: there is none).
    pub fn parse(
        definition: &str,
        name: Option<&str>,
    ) -> Result<Option<SingleState>, Vec<Diagnostic>> {
        let json = syntax::parse(definition).map_err(|diagnostic| vec![diagnostic])?;
        let (state, language) = match name {
            None => (Some(&json), None),
            Some(name) => {
                StateMachine::parse(definition)?;
                (find(&json, name), json.member("QueryLanguage").cloned())
            }
        };
        let Some(state) = state.cloned() else { return Ok(None) };
        let mut states = vec![(Arc::from(NAME), state.clone())];
        let succeed = Json::object([("Type", Json::from("Succeed"))]);
        states.extend(targets(&state).into_iter().map(|name| (name, succeed.clone())));
        let mut members = vec![("StartAt", Json::from(NAME)), ("States", Json::object(states))];
        members.extend(language.map(|language| ("QueryLanguage", language)));
        let machine = Arc::new(StateMachine::parse(&Json::object(members).to_text())?);
        Ok(Some(SingleState { machine, json: state }))
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        self.machine.state(self.machine.start).kind()
    }

    /// What it calls, if it is a task.
    pub fn resource(&self) -> Option<&Resource> {
        match &self.machine.state(self.machine.start).state {
            State::Task(task) => Some(&task.resource),
            _ => None,
        }
    }

    /// Whether it is an HTTP task.
    pub fn calls_http(&self) -> bool {
        self.resource().is_some_and(|resource| resource.service() == "http")
    }

    /// Whether it is a Map with a `ResultWriter`.
    pub fn writes_results(&self) -> bool {
        self.json.member("ResultWriter").is_some()
    }

    /// Whether a state of this name is in it.
    pub fn contains(&self, name: &str) -> bool {
        flows(&self.json).any(|flow| find(flow, name).is_some())
    }
}

/// The state of this name in a machine or branch, or in those within.
fn find<'a>(flow: &'a Json, name: &str) -> Option<&'a Json> {
    let states = flow.member("States")?;
    states.member(name).or_else(|| {
        let within = states.as_object()?.values().flat_map(flows);
        within.into_iter().find_map(|flow| find(flow, name))
    })
}

/// The branches or the item processor of a state.
fn flows(state: &Json) -> impl Iterator<Item = &Json> {
    let branches = state.member("Branches").and_then(Json::as_array).into_iter().flatten();
    branches.chain(["ItemProcessor", "Iterator"].iter().filter_map(|name| state.member(name)))
}

/// The names of the states that `state` may lead to.
fn targets(state: &Json) -> BTreeSet<Arc<str>> {
    let rules = ["Choices", "Catch"].iter().filter_map(|name| state.member(name)?.as_array());
    let rules = rules.flatten().filter_map(|rule| rule.member("Next"));
    let own = ["Next", "Default"].iter().filter_map(|name| state.member(name));
    let names = own.chain(rules).filter_map(Json::as_str);
    names.filter(|name| *name != NAME).map(Arc::from).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_state_may_lead_to_states_that_are_not_there() {
        let text = r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Next":"B","Catch":[{"ErrorEquals":["x"],"Next":"C"}]}"#;
        let state = SingleState::parse(text, None).unwrap().unwrap();
        assert_eq!(state.kind(), Kind::Task);
        assert_eq!(state.resource().unwrap().api(), "invoke");
    }

    #[test]
    fn a_state_within_a_map_is_found_by_its_name() {
        let text = r#"{"StartAt":"M","States":{"M":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","End":true}}}}}}"#;
        let found = |name| SingleState::parse(text, Some(name)).unwrap();
        assert_eq!(found("I").unwrap().kind(), Kind::Pass);
        assert!(found("M").unwrap().contains("I"));
        assert_eq!(found("X"), None);
    }

    #[test]
    fn faults_stand_where_the_state_is() {
        let found = SingleState::parse(r#"{"Type":"Parallel","Branches":[],"End":true}"#, None);
        let found = found.unwrap_err();
        assert_eq!(found[0].location.as_deref(), Some("/States/StateName/Branches"));
    }
}
