//! Where visits stand in a definition; and a definition made from what was seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::{Run, VisitId};
use crate::graph::Place;

impl Run {
    /// The containers that a visit's state is in, as the graph names them.
    pub fn place(&self, id: VisitId) -> Vec<Place> {
        let way = self.way_to(id);
        let place = |(container, frame): &(VisitId, usize)| {
            let frame = &self.frames[*frame];
            let branch = if frame.iteration { 0 } else { frame.index };
            Place { container: Arc::clone(&self.visits[*container].name), branch }
        };
        way.iter().map(place).collect()
    }

    /// The definition of a visit's state.
    pub fn state_of(&self, id: VisitId) -> Option<&Json> {
        let mut machine = self.definition.as_ref()?;
        for place in self.place(id) {
            let state = machine.member("States")?.member(&place.container)?;
            machine = match processor(state) {
                Some(processor) => processor,
                None => state.member("Branches")?.as_array()?.get(place.branch)?,
            };
        }
        machine.member("States")?.member(&self.visits[id].name)
    }

    /// `StartAt` of each branch of a Parallel.
    pub(super) fn branch_starts(&self, id: VisitId) -> Vec<String> {
        let branches = self.state_of(id).and_then(|state| state.member("Branches")?.as_array());
        let start = |branch: &Json| {
            branch.member("StartAt").and_then(Json::as_str).unwrap_or("").to_owned()
        };
        branches.unwrap_or_default().iter().map(start).collect()
    }
}

/// What the Map with this label, or of this name, does for each item.
pub fn processor_of(machine: &Json, label: &str) -> Option<Json> {
    labelled(machine, label, 0)
}

fn labelled(machine: &Json, label: &str, depth: usize) -> Option<Json> {
    const DEEP: usize = 16;
    let states = machine.member("States")?.as_object().filter(|_| depth < DEEP)?;
    for (name, state) in states {
        let inner = processor(state);
        let own = state.member("Label").and_then(Json::as_str).unwrap_or(name);
        if let (Some(inner), true) = (inner, own == label) {
            return Some(inner.clone());
        }
        let branches = state.member("Branches").and_then(Json::as_array).unwrap_or_default();
        let found = inner.into_iter().chain(branches).find_map(|it| labelled(it, label, depth + 1));
        if found.is_some() {
            return found;
        }
    }
    None
}

fn processor(state: &Json) -> Option<&Json> {
    state.member("ItemProcessor").or_else(|| state.member("Iterator"))
}

/// A state as it was seen.
#[derive(Default)]
struct Seen {
    kind: Arc<str>,
    resource: Option<String>,
    function: Option<String>,
    next: Vec<Arc<str>>,
    caught: Vec<Arc<str>>,
    /// Branches by number; a Map has one.
    inner: BTreeMap<usize, Machine>,
}

/// States in the order in which they were first entered.
#[derive(Default)]
struct Machine {
    start: Option<Arc<str>>,
    states: Vec<(Arc<str>, Seen)>,
}

/// A definition with the states and transitions that were seen. It can be drawn; it need not be valid.
pub fn rebuilt(run: &Run) -> Json {
    let mut root = Machine::default();
    for (id, visit) in run.visits.iter().enumerate() {
        let place = run.place(id);
        let from = visit.from.map(|from| (Arc::clone(&run.visits[from].name), from));
        let machine = root.at(&place);
        let state = machine.state(&visit.name);
        state.kind = Arc::clone(&visit.kind);
        if let Some(attempt) = visit.attempts.first().filter(|attempt| !attempt.resource.is_empty())
        {
            state.resource = Some(if attempt.resource.starts_with("arn:") {
                attempt.resource.to_string()
            } else {
                format!("arn:aws:states:::{}:{}", attempt.service, attempt.resource)
            });
            state.function = attempt.function().filter(|_| !attempt.resource.starts_with("arn:"));
        }
        match from {
            None => machine.start = machine.start.take().or_else(|| Some(Arc::clone(&visit.name))),
            Some((name, from)) => {
                let caught =
                    run.visits[from].attempts.last().is_some_and(super::Attempt::is_failed);
                let state = machine.state(&name);
                let list = if caught { &mut state.caught } else { &mut state.next };
                if !list.contains(&visit.name) {
                    list.push(Arc::clone(&visit.name));
                }
            }
        }
    }
    root.json()
}

impl Machine {
    fn state(&mut self, name: &Arc<str>) -> &mut Seen {
        let at = match self.states.iter().position(|(known, _)| known == name) {
            Some(at) => at,
            None => {
                self.states.push((Arc::clone(name), Seen::default()));
                self.states.len() - 1
            }
        };
        &mut self.states[at].1
    }

    fn at(&mut self, place: &[Place]) -> &mut Machine {
        let mut machine = self;
        for step in place {
            machine = machine.state(&step.container).inner.entry(step.branch).or_default();
        }
        machine
    }

    fn json(&self) -> Json {
        let states = self.states.iter().map(|(name, seen)| (Arc::clone(name), seen.json()));
        let states = Json::Object(Arc::new(states.collect::<Object>()));
        let start = self.start.clone().map_or(Json::Null, Json::String);
        Json::object([("StartAt", start), ("States", states)])
    }
}

impl Seen {
    fn json(&self) -> Json {
        let name = |name: &Arc<str>| Json::String(Arc::clone(name));
        let mut members = vec![("Type", Json::String(Arc::clone(&self.kind)))];
        members.extend(self.resource.as_deref().map(|resource| ("Resource", Json::from(resource))));
        if let Some(function) = &self.function {
            let arguments = Json::object([("FunctionName", Json::from(function.as_str()))]);
            members.push(("Parameters", arguments));
        }
        let mut inner = self.inner.values().map(Machine::json);
        match &*self.kind {
            "Map" => members.extend(inner.next().map(|inner| ("ItemProcessor", inner))),
            "Parallel" => members.push(("Branches", Json::array(inner))),
            _ => {}
        }
        if &*self.kind == "Choice" {
            let rules = self.next.iter().map(|to| Json::object([("Next", name(to))]));
            members.push(("Choices", Json::array(rules)));
        } else if let Some(next) = self.next.first() {
            members.push(("Next", name(next)));
        } else if !matches!(&*self.kind, "Succeed" | "Fail") {
            members.push(("End", true.into()));
        }
        if !self.caught.is_empty() {
            let all = Json::array([Json::from("States.ALL")]);
            let rule = |to| Json::object([("ErrorEquals", all.clone()), ("Next", name(to))]);
            members.push(("Catch", Json::array(self.caught.iter().map(rule))));
        }
        Json::object(members)
    }
}
