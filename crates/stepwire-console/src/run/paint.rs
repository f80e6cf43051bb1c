//! How a run looks on the graph of its definition.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attempt, End, FrameId, Run, Visit, VisitId, urgency};
use crate::graph::{EdgePaint, Graph, Kind, Node, NodeId, NodePaint, Paint};
use crate::words::{Status, count, duration};

/// Which iterations are looked at: of the Maps that are not mentioned, all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The iteration that was picked of each Map.
    picked: BTreeMap<VisitId, FrameId>,
}

impl Scope {
    /// The items with these indexes: of a Map in the workflow itself, then of one within that item,
    /// and so on. Where several Maps are at the same depth, of each of them.
    pub fn of(run: &Run, items: &[usize]) -> Scope {
        let mut picked = BTreeMap::new();
        for (id, frame) in run.frames.iter().enumerate() {
            let Some(container) = frame.container.filter(|_| frame.iteration) else { continue };
            let maps =
                run.way_to(container).into_iter().filter(|(_, frame)| run.frames[*frame].iteration);
            let depth = maps.count();
            if items.get(depth) == Some(&frame.index) {
                picked.insert(container, id);
            }
        }
        Scope { picked }
    }

    /// Whether a visit is looked at.
    pub fn has(&self, run: &Run, id: VisitId) -> bool {
        self.picked.is_empty()
            || run.way_to(id).iter().all(|(container, frame)| {
                self.picked.get(container).is_none_or(|picked| picked == frame)
            })
    }

    /// The iteration that was picked of a Map.
    pub fn picked(&self, map: VisitId) -> Option<FrameId> {
        self.picked.get(&map).copied()
    }
}

impl Run {
    /// The state on the graph that a visit is of.
    pub fn node_of(&self, graph: &Graph, id: VisitId) -> Option<NodeId> {
        graph.find(&self.place(id), &self.visits[id].name)
    }

    /// The visits of each state, in order.
    pub fn by_node(&self, graph: &Graph, scope: &Scope) -> BTreeMap<NodeId, Vec<VisitId>> {
        let mut nodes: BTreeMap<NodeId, Vec<VisitId>> = BTreeMap::new();
        // Visits of one state in one frame share their place.
        let mut known: BTreeMap<(FrameId, &str), Option<NodeId>> = BTreeMap::new();
        for (id, visit) in self.visits.iter().enumerate() {
            if !scope.has(self, id) {
                continue;
            }
            let node =
                known.entry((visit.frame, &visit.name)).or_insert_with(|| self.node_of(graph, id));
            if let Some(node) = *node {
                nodes.entry(node).or_default().push(id);
            }
        }
        nodes
    }

    /// How the states and transitions look.
    pub fn paint(&self, graph: &Graph, scope: &Scope) -> Paint {
        let nodes = self.by_node(graph, scope);
        let mut paint = Paint::default();
        for (node, visits) in &nodes {
            paint.nodes.insert(*node, self.node_paint(visits));
        }
        self.paint_children(graph, &mut paint);
        for (node, taken) in edges_taken(self, graph, &nodes) {
            paint.edges.insert(node, EdgePaint { taken: true, count: taken, heat: 0 });
        }
        paint
    }

    /// States within a distributed Map that has begun: the history has nothing of them.
    fn paint_children(&self, graph: &Graph, paint: &mut Paint) {
        let begun = |visit: &&Visit| visit.attempts.iter().any(|it| it.map_run.is_some());
        let maps = self.visits.iter().filter(begun);
        let maps: BTreeSet<&str> = maps.map(|visit| &*visit.name).collect();
        let is_theirs = |node: &&Node| node.path.iter().any(|at| maps.contains(&*at.container));
        for node in graph.nodes.iter().filter(is_theirs) {
            let theirs = NodePaint::of(Status::None, "in child executions");
            paint.nodes.entry(node.id).or_insert(theirs);
        }
    }

    fn node_paint(&self, visits: &[VisitId]) -> NodePaint {
        let mut latest: BTreeMap<FrameId, VisitId> = BTreeMap::new();
        latest.extend(visits.iter().map(|id| (self.visits[*id].frame, *id)));
        let mut kinds: BTreeMap<Status, usize> = BTreeMap::new();
        latest.values().for_each(|id| *kinds.entry(self.status_of(*id)).or_default() += 1);
        let status = kinds.keys().min_by_key(|status| urgency(**status)).copied();
        let status = status.unwrap_or(Status::None);
        let words = match (kinds.len(), latest.len(), visits) {
            (_, 1, [.., last]) => self.words(*last, visits.len()),
            _ => {
                let all =
                    kinds.iter().map(|(status, number)| format!("{number} {}", status.word()));
                all.collect::<Vec<_>>().join(", ")
            }
        };
        let tally = match visits {
            [.., last] if latest.len() == 1 => self.tally(*last),
            _ => None,
        };
        let number = match tally {
            Some(tally) => {
                Some(format!("{}/{}", count(tally.succeeded as u64), count(tally.of as u64)))
            }
            None if visits.len() > 1 => Some(format!("{} ×", count(visits.len() as u64))),
            None => None,
        };
        let (class, badge) = (status.class(), status.badge());
        NodePaint { class, badge, words, count: number, ..NodePaint::default() }
    }

    /// What became of a visit: `succeeded after retry in 2.06 s, 2 attempts`.
    pub fn words(&self, id: VisitId, times: usize) -> String {
        let visit = &self.visits[id];
        let status = self.status_of(id);
        let mut words = status.word().to_owned();
        if !visit.is_open()
            && let Some(ms) = visit.took_ms(None)
        {
            let joint =
                if matches!(status, Status::Succeeded | Status::Retried) { "in" } else { "after" };
            words = format!("{words} {joint} {}", duration(ms));
        }
        if let Some(tally) = self.tally(id) {
            words = format!("{words}, {}", tally.words());
        } else if visit.attempts.len() > 1 {
            words = format!("{words}, {} attempts", visit.attempts.len());
        }
        if times > 1 {
            words = format!("{words}, entered {times} times");
        }
        words
    }
}

impl super::Tally {
    /// `180 of 200 succeeded, 2 failed, 18 running`.
    pub fn words(self) -> String {
        let mut words = format!("{} of {} items succeeded", self.succeeded, self.of);
        let others =
            [(self.failed, "failed"), (self.running, "running"), (self.stopped, "stopped")];
        for (number, word) in others.into_iter().filter(|(number, _)| *number > 0) {
            words = format!("{words}, {number} {word}");
        }
        words
    }
}

/// The transitions that were taken, and how often if more than once.
pub fn edges_taken(
    run: &Run,
    graph: &Graph,
    nodes: &BTreeMap<NodeId, Vec<VisitId>>,
) -> BTreeMap<usize, Option<String>> {
    let mut node_of: BTreeMap<VisitId, NodeId> = BTreeMap::new();
    for (node, visits) in nodes {
        node_of.extend(visits.iter().map(|visit| (*visit, *node)));
    }
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    let mut take = |from: NodeId, to: NodeId, caught: bool| {
        let between = graph.leaving(from).filter(|(_, edge)| edge.to == to);
        let rank =
            |edge: &crate::graph::Edge| (edge.kind == crate::graph::EdgeKind::Catch) != caught;
        if let Some((edge, _)) = between.min_by_key(|(_, edge)| rank(edge)) {
            *times.entry(edge).or_default() += 1;
        }
    };
    let caught = |visit: &Visit| visit.attempts.last().is_some_and(Attempt::is_failed);
    let end = graph.nodes.iter().position(|node| node.kind == Kind::End);
    for (visit, node) in &node_of {
        let of = &run.visits[*visit];
        match of.from {
            Some(from) => {
                if let Some(from_node) = node_of.get(&from) {
                    take(*from_node, *node, caught(&run.visits[from]));
                }
            }
            None if of.frame == 0 => take(0, *node, false),
            None => {}
        }
        let is_last = run.frames[of.frame].last == Some(*visit) && run.end != End::None;
        let ended = of.exited.is_some() || &*of.kind == "Fail";
        if let Some(end) = end.filter(|_| of.frame == 0 && is_last && ended) {
            take(*node, end, false);
        }
    }
    let number = |times: usize| (times > 1).then(|| count(times as u64));
    times.into_iter().map(|(edge, times)| (edge, number(times))).collect()
}
