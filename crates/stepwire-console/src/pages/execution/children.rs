//! What the children of a distributed Map did: its own history has nothing of their states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maud::{Markup, html};

use super::{Drawn, MapRun, path_of};
use crate::graph::{Graph, Node, NodeId, NodePaint, Paint};
use crate::run::{Attempt, FrameId, Run, urgency};
use crate::words::Status;

/// What the children that were looked at did, state by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many were looked at.
    children: usize,
    /// By name of a state: how it stands, and in which children, by their places in
    /// [`MapRun::children`]. Of one that is there several times in a child, in branches or items,
    /// the most urgent counts.
    states: BTreeMap<Arc<str>, BTreeMap<Status, Vec<usize>>>,
    /// Transitions that were taken: from, to, and whether an error was caught.
    taken: BTreeSet<(Arc<str>, Arc<str>, bool)>,
    /// Distributed Maps in them: of their states the children know no more than this run does.
    nested: BTreeSet<Arc<str>>,
}

impl Seen {
    /// Takes in what the child at this place in [`MapRun::children`] did.
    pub fn add(&mut self, child: usize, run: &Run) {
        self.children += 1;
        let mut last: BTreeMap<(&Arc<str>, FrameId), Status> = BTreeMap::new();
        for (id, visit) in run.visits.iter().enumerate() {
            last.insert((&visit.name, visit.frame), run.status_of(id));
            if visit.attempts.iter().any(|attempt| attempt.map_run.is_some()) {
                self.nested.insert(Arc::clone(&visit.name));
            }
            if let Some(from) = visit.from.map(|from| &run.visits[from]) {
                let caught = from.attempts.last().is_some_and(Attempt::is_failed);
                self.taken.insert((Arc::clone(&from.name), Arc::clone(&visit.name), caught));
            }
        }
        let mut urgent: BTreeMap<&Arc<str>, Status> = BTreeMap::new();
        for ((name, _), status) in last {
            let stands = urgent.entry(name).or_insert(status);
            if rank(status) < rank(*stands) {
                *stands = status;
            }
        }
        for (name, status) in urgent {
            let stands = self.states.entry(Arc::clone(name)).or_default();
            stands.entry(status).or_default().push(child);
        }
    }

    /// How the states within the Map called `map` look; `of` says of which children.
    pub(super) fn paint(&self, graph: &Graph, map: &str, of: &str, paint: &mut Paint) {
        let is_known = |node: &&Node| is_within(node, map) && !self.is_nested(node);
        let inner = graph.nodes.iter().filter(is_known);
        let inner: BTreeMap<&str, NodeId> = inner.map(|node| (&*node.name, node.id)).collect();
        for (name, stands) in &self.states {
            if let Some(node) = inner.get(&**name) {
                paint.nodes.insert(*node, node_of(stands, of));
            }
        }
        if self.children > 0 {
            // Those that no child came to are known not to be reached.
            let unseen = inner.iter().filter(|(name, _)| !self.states.contains_key(**name));
            unseen.for_each(|(_, node)| _ = paint.nodes.remove(node));
        }
        for (from, to, caught) in &self.taken {
            if let (Some(from), Some(to)) = (inner.get(&**from), inner.get(&**to)) {
                paint.take(graph, *from, *to, *caught);
            }
        }
    }

    /// Whether a node is in a distributed Map of the children.
    fn is_nested(&self, node: &Node) -> bool {
        self.nested.iter().any(|map| is_within(node, map))
    }
}

impl MapRun {
    /// How many children were looked at, of how many.
    pub(super) fn looked_at(&self) -> String {
        let (some, all) = (self.seen.children, self.children.len());
        let one = if all == 1 { "child" } else { "children" };
        match (self.is_whole(), self.more) {
            (true, _) => format!("{some} {one} looked at"),
            (false, false) => format!("{some} of {all} {one} looked at"),
            (false, true) => format!("{some} of more than {all} {one} looked at"),
        }
    }

    fn is_whole(&self) -> bool {
        !self.more && self.seen.children == self.children.len()
    }
}

/// What somebody who looks at many children wants to know first: what failed.
fn rank(status: Status) -> u8 {
    match status {
        Status::Failed | Status::TimedOut => 0,
        other => 1 + urgency(other),
    }
}

fn node_of(stands: &BTreeMap<Status, Vec<usize>>, of: &str) -> NodePaint {
    let first = stands.keys().min_by_key(|status| rank(**status));
    let words: Vec<String> = stands
        .iter()
        .map(|(status, children)| format!("{} {}", children.len(), status.word()))
        .collect();
    let words = format!("{} in {of}", words.join(", "));
    let reached: usize = stands.values().map(Vec::len).sum();
    let count = Some(format!("{reached} ×"));
    let status = first.copied().unwrap_or(Status::None);
    NodePaint { count, ..NodePaint::of(status, words) }
}

/// Whether a node is in the container called `map`, at whatever depth.
fn is_within(node: &Node, map: &str) -> bool {
    node.path.iter().any(|place| *place.container == *map)
}

/// How a state stands in the children that were looked at, with ways to them; `None` when it is in no
/// distributed Map that has begun.
pub(super) fn of_state(drawn: &Drawn<'_>, name: &str) -> Option<Markup> {
    let run = drawn.run();
    let node = drawn.graph.nodes.iter().find(|node| *node.name == *name)?;
    let map_run = node.path.iter().find_map(|place| {
        let visits = run.visits.iter().rev().filter(|visit| *visit.name == *place.container);
        visits.flat_map(|visit| &visit.attempts).find_map(|attempt| attempt.map_run.as_deref())
    })?;
    let map_run = drawn.view.map_runs.iter().find(|known| *known.arn == *map_run);
    // What children did is known as it is now alone.
    let is_now = drawn.view.look.at.is_none();
    let knows = |of: &&MapRun| is_now && of.seen.children > 0 && !of.seen.is_nested(node);
    let Some(map_run) = map_run.filter(knows) else {
        return Some(
            html! { p.empty { b { (name) } "It runs in executions of their own, one for each item or batch." } },
        );
    };
    let Some(stands) = map_run.seen.states.get(name) else {
        return Some(
            html! { p.empty { b { (name) } "None of " (map_run.looked_at()) " has come to it." } },
        );
    };
    let mut stands: Vec<_> = stands.iter().collect();
    stands.sort_by_key(|(status, _)| rank(**status));
    Some(html! {
        h3 { (name) " in " (map_run.looked_at()) }
        @for (status, children) in stands {
            div.row { (status.line()) span.dim { (children.len()) } }
            ul.plain { @for child in children { (linked(map_run, *child)) } }
        }
        @if !map_run.is_whole() {
            p.dim { "No more than ten each of the children that failed, that run and that ended are looked at." }
        }
    })
}

fn linked(map_run: &MapRun, child: usize) -> Markup {
    let Some((name, _, arn)) = map_run.children.get(child) else { return html! {} };
    html! {
        li { @match path_of(arn) { Some(path) => a.mono href=(path) { (name) }, None => span.mono { (name) } } }
    }
}

#[cfg(test)]
mod tests {
    use stepwire_asl::Json;

    use super::*;
    use crate::run::events_of;

    fn child(end: &str) -> Run {
        let events = format!(
            r#"{{"events":[
            {{"id":1,"type":"ExecutionStarted","previousEventId":0}},
            {{"id":2,"type":"PassStateEntered","previousEventId":1,"stateEnteredEventDetails":{{"name":"First"}}}},
            {{"id":3,"type":"PassStateExited","previousEventId":2,"stateExitedEventDetails":{{"name":"First"}}}},
            {end}]}}"#
        );
        Run::of(events_of(&Json::parse(&events).expect("JSON")).expect("events"), None)
    }

    fn painted(seen: &Seen) -> (Graph, Paint) {
        let definition = r#"{"StartAt":"Each","States":{"Each":{"Type":"Map","ItemProcessor":{
            "ProcessorConfig":{"Mode":"DISTRIBUTED"},"StartAt":"First","States":{
            "First":{"Type":"Pass","Next":"Then"},"Then":{"Type":"Wait","Seconds":9,"End":true}}},"Next":"Last"},
            "Last":{"Type":"Pass","End":true}}}"#;
        let graph = Graph::of(&Json::parse(definition).expect("JSON"));
        let mut paint = Paint::default();
        seen.paint(&graph, "Each", "some children", &mut paint);
        (graph, paint)
    }

    #[test]
    fn a_state_looks_as_it_stands_in_most_need_of_being_looked_at() {
        let failed = r#"{"id":4,"type":"WaitStateEntered","previousEventId":3,"stateEnteredEventDetails":{"name":"Then"}},
            {"id":5,"type":"ExecutionFailed","previousEventId":4,"executionFailedEventDetails":{"error":"E"}}"#;
        let open = r#"{"id":4,"type":"WaitStateEntered","previousEventId":3,"stateEnteredEventDetails":{"name":"Then"}}"#;
        let mut seen = Seen::default();
        seen.add(0, &child(failed));
        let (graph, paint) = painted(&seen);
        let node = |name: &str| graph.nodes.iter().find(|node| *node.name == *name).expect("it").id;
        assert_eq!(paint.node(node("Then")).class, Status::Failed.class());
        seen.add(1, &child(open));
        let (graph, paint) = painted(&seen);
        let first = paint.node(node("First"));
        assert_eq!((first.class, &*first.words), ("ok", "2 succeeded in some children"));
        assert_eq!(first.count.as_deref(), Some("2 ×"));
        assert_eq!(paint.node(node("Last")).class, "none", "it is in no child");
        let then = paint.node(node("Then"));
        assert_eq!(then.class, Status::Failed.class(), "what failed comes first: {then:?}");
        assert!(then.words.contains("1 failed"), "{then:?}");
        let way = graph.edge(node("First"), node("Then"), false).expect("a transition");
        assert!(paint.edges[&way].taken);
    }

    #[test]
    fn of_several_items_in_a_child_the_most_urgent_counts() {
        let events = r#"{"events":[
            {"id":1,"type":"ExecutionStarted","previousEventId":0},
            {"id":2,"type":"MapStateEntered","previousEventId":1,"stateEnteredEventDetails":{"name":"Inner"}},
            {"id":3,"type":"MapStateStarted","previousEventId":2,"mapStateStartedEventDetails":{"length":2}},
            {"id":4,"type":"MapIterationStarted","previousEventId":3,"mapIterationStartedEventDetails":{"name":"Inner","index":0}},
            {"id":5,"type":"MapIterationStarted","previousEventId":3,"mapIterationStartedEventDetails":{"name":"Inner","index":1}},
            {"id":6,"type":"WaitStateEntered","previousEventId":4,"stateEnteredEventDetails":{"name":"First"}},
            {"id":7,"type":"PassStateEntered","previousEventId":5,"stateEnteredEventDetails":{"name":"First"}},
            {"id":8,"type":"PassStateExited","previousEventId":7,"stateExitedEventDetails":{"name":"First"}}]}"#;
        let run = Run::of(events_of(&Json::parse(events).expect("JSON")).expect("events"), None);
        let mut seen = Seen::default();
        seen.add(0, &run);
        let stands: Vec<_> = seen.states["First"].keys().map(|status| status.word()).collect();
        assert_eq!(stands.len(), 1);
        assert_ne!(stands, ["succeeded"]);
    }

    #[test]
    fn what_is_in_a_distributed_map_of_the_children_is_left_open() {
        let definition = r#"{"StartAt":"Each","States":{"Each":{"Type":"Map","ItemProcessor":{"StartAt":"First","States":{
            "First":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"Leaf","States":{"Leaf":{"Type":"Pass","End":true}}}}}},"End":true}}}"#;
        let graph = Graph::of(&Json::parse(definition).expect("JSON"));
        let mut seen = Seen::default();
        seen.add(0, &child(r#"{"id":4,"type":"ExecutionAborted","previousEventId":3}"#));
        seen.nested.insert("First".into());
        let leaf = graph.nodes.iter().find(|node| &*node.name == "Leaf").expect("it").id;
        let mut paint = Paint::default();
        paint.nodes.insert(leaf, NodePaint::of(Status::None, "in child executions"));
        seen.paint(&graph, "Each", "some children", &mut paint);
        assert_eq!(paint.node(leaf).words, "in child executions");
    }

    #[test]
    fn it_is_said_of_how_many_children_the_page_knows() {
        let child = || (String::new(), "SUCCEEDED".to_owned(), String::new());
        let map_run = |looked_at: usize, children: usize, more: bool| MapRun {
            arn: String::new(),
            status: "RUNNING".to_owned(),
            items: Vec::new(),
            children: std::iter::repeat_with(child).take(children).collect(),
            more,
            seen: Seen { children: looked_at, ..Seen::default() },
        };
        assert_eq!(map_run(1, 1, false).looked_at(), "1 child looked at");
        assert_eq!(map_run(10, 20, false).looked_at(), "10 of 20 children looked at");
        assert_eq!(map_run(10, 50, true).looked_at(), "10 of more than 50 children looked at");
    }

    #[test]
    fn what_no_child_came_to_was_not_reached() {
        let mut seen = Seen::default();
        seen.add(0, &child(r#"{"id":4,"type":"ExecutionAborted","previousEventId":3}"#));
        let (graph, paint) = painted(&seen);
        let then = graph.nodes.iter().find(|node| &*node.name == "Then").expect("it").id;
        assert_eq!(paint.node(then).words, "not reached");
    }
}
