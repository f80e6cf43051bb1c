//! From a definition to its graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::{
    DEPTH_MAX, Edge, EdgeKind, Graph, Kind, Node, NodeId, Place, STATES_MAX, Scope, condition,
    describe,
};

pub(super) fn graph(definition: &Json) -> Graph {
    let mut builder = Builder {
        graph: Graph { nodes: Vec::new(), edges: Vec::new(), scopes: Vec::new(), omitted: 0 },
        by_ends: BTreeMap::new(),
    };
    builder.machine(definition, None, 0, &[]);
    builder.graph
}

struct Builder {
    graph: Graph,
    /// Edges by what makes them one, with the conditions told so far.
    by_ends: BTreeMap<(NodeId, NodeId, EdgeKind), (usize, Vec<condition::Words>)>,
}

/// The names of one state machine; what is left out for want of room has no node.
type Names = BTreeMap<Arc<str>, Option<NodeId>>;

impl Builder {
    fn machine(
        &mut self,
        machine: &Json,
        container: Option<NodeId>,
        branch: usize,
        path: &[Place],
    ) {
        let scope = self.graph.scopes.len();
        self.graph.scopes.push(Scope {
            container,
            branch,
            start: None,
            nodes: Vec::new(),
            path: path.into(),
        });
        let whole = container.is_none();
        let start = whole.then(|| self.node(scope, "Start", Kind::Start, &Json::Null));
        let mut names = Names::new();
        let empty = Object::new();
        let states = machine.member("States").and_then(Json::as_object).unwrap_or(&empty);
        for (name, state) in states {
            if self.graph.nodes.len() > STATES_MAX {
                self.graph.omitted += 1 + states_within(state);
                names.insert(name.clone(), None);
                continue;
            }
            let id = self.node(scope, name, kind(state), state);
            names.insert(name.clone(), Some(id));
            self.inside(id, state, path);
        }
        let end = whole.then(|| self.node(scope, "End", Kind::End, &Json::Null));
        let first = machine.member("StartAt").and_then(Json::as_str);
        if let Some(first) = first {
            let target = self.target(scope, &mut names, first);
            self.graph.scopes[scope].start = target;
            if let (Some(start), Some(target)) = (start, target) {
                self.edge(start, target, EdgeKind::Start, None);
            }
        }
        for (name, state) in states {
            if let Some(Some(id)) = names.get(name).copied() {
                self.transitions(scope, &mut names, id, state, end);
            }
        }
    }

    fn node(&mut self, scope: usize, name: &str, kind: Kind, state: &Json) -> NodeId {
        let id = self.graph.nodes.len();
        let what = describe::state(kind, state);
        let of = &mut self.graph.scopes[scope];
        of.nodes.push(id);
        let node = Node {
            id,
            name: name.into(),
            path: of.path.clone(),
            kind,
            detail: what.detail,
            service: what.service,
            waits_for_token: what.waits_for_token,
            parent: of.container,
            scope,
            inner: Vec::new(),
        };
        self.graph.nodes.push(node);
        id
    }

    /// The state machines within a Parallel or Map.
    fn inside(&mut self, id: NodeId, state: &Json, path: &[Place]) {
        let machines: Vec<&Json> = match self.graph.nodes[id].kind {
            Kind::Parallel => state
                .member("Branches")
                .and_then(Json::as_array)
                .unwrap_or_default()
                .iter()
                .collect(),
            Kind::Map => processor(state).into_iter().collect(),
            _ => return,
        };
        for (branch, machine) in machines.into_iter().enumerate() {
            if path.len() >= DEPTH_MAX {
                self.graph.omitted += states_of(machine);
                continue;
            }
            let mut within = path.to_vec();
            within.push(Place { container: self.graph.nodes[id].name.clone(), branch });
            let scope = self.graph.scopes.len();
            self.graph.nodes[id].inner.push(scope);
            self.machine(machine, Some(id), branch, &within);
        }
    }

    fn transitions(
        &mut self,
        scope: usize,
        names: &mut Names,
        id: NodeId,
        state: &Json,
        end: Option<NodeId>,
    ) {
        let kind = self.graph.nodes[id].kind;
        let mut to = |this: &mut Self, name: Option<&Json>, kind, words| {
            let Some(name) = name.and_then(Json::as_str) else { return };
            if let Some(target) = this.target(scope, names, name) {
                this.edge(id, target, kind, words);
            }
        };
        if kind == Kind::Choice {
            for rule in state.member("Choices").and_then(Json::as_array).unwrap_or_default() {
                let words = Some(condition::of_rule(rule));
                to(self, rule.member("Next"), EdgeKind::Choice, words);
            }
            let words = Some(condition::Words::short("default"));
            to(self, state.member("Default"), EdgeKind::Default, words);
        }
        to(self, state.member("Next"), EdgeKind::Next, None);
        for catcher in state.member("Catch").and_then(Json::as_array).unwrap_or_default() {
            let words = Some(condition::of_catcher(catcher));
            to(self, catcher.member("Next"), EdgeKind::Catch, words);
        }
        let ends = matches!(kind, Kind::Succeed | Kind::Fail)
            || state.member("End").and_then(Json::as_bool) == Some(true);
        if let Some(end) = end.filter(|_| ends) {
            self.edge(id, end, EdgeKind::End, None);
        }
    }

    /// The state called `name`; one that nobody defines is made up.
    fn target(&mut self, scope: usize, names: &mut Names, name: &str) -> Option<NodeId> {
        if let Some(known) = names.get(name) {
            return *known;
        }
        let id = (self.graph.nodes.len() <= STATES_MAX * 2)
            .then(|| self.node(scope, name, Kind::Unknown, &Json::Null));
        names.insert(name.into(), id);
        id
    }

    fn edge(&mut self, from: NodeId, to: NodeId, kind: EdgeKind, words: Option<condition::Words>) {
        let index = self.graph.edges.len();
        let (index, told) =
            self.by_ends.entry((from, to, kind)).or_insert_with(|| (index, Vec::new()));
        told.extend(words);
        let (label, full) = condition::together(told);
        let edge = Edge { from, to, kind, label, full };
        match self.graph.edges.get_mut(*index) {
            Some(known) => *known = edge,
            None => self.graph.edges.push(edge),
        }
    }
}

fn kind(state: &Json) -> Kind {
    match state.member("Type").and_then(Json::as_str) {
        Some("Task") => Kind::Task,
        Some("Pass") => Kind::Pass,
        Some("Choice") => Kind::Choice,
        Some("Wait") => Kind::Wait,
        Some("Succeed") => Kind::Succeed,
        Some("Fail") => Kind::Fail,
        Some("Parallel") => Kind::Parallel,
        Some("Map") => Kind::Map,
        _ => Kind::Unknown,
    }
}

/// What a Map does for each item, under its name of today or of before 2022.
fn processor(state: &Json) -> Option<&Json> {
    state.member("ItemProcessor").or_else(|| state.member("Iterator"))
}

fn states_of(machine: &Json) -> usize {
    let states = machine.member("States").and_then(Json::as_object);
    states.map_or(0, |states| states.values().map(|state| 1 + states_within(state)).sum())
}

/// States in the containers of `state`. JSON is at most 127 levels deep, so this ends.
fn states_within(state: &Json) -> usize {
    match kind(state) {
        Kind::Parallel => {
            let branches = state.member("Branches").and_then(Json::as_array);
            branches.unwrap_or_default().iter().map(states_of).sum()
        }
        Kind::Map => processor(state).map_or(0, states_of),
        _ => 0,
    }
}
