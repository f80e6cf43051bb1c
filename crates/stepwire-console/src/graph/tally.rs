//! What many runs did in a graph: how often each state was entered and each transition taken, how
//! long states took, what failed.

use std::collections::BTreeMap;

use stepwire_asl::history::Detail;
use stepwire_asl::{HistoryEvent, Timestamp};

use super::{EdgeKind, Graph, HEAT_MAX, NodeId, NodePaint, Paint};
use crate::words::{Status, count, duration};

/// Durations of a state that are kept, for the median.
const TIMES_MAX: usize = 10_000;

/// Sums over runs of one definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// Runs that were added.
    pub runs: usize,
    /// By node.
    pub states: Vec<StateTally>,
    /// How often each transition was taken, by edge.
    pub edges: Vec<u64>,
}

/// Sums of one state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateTally {
    /// How often it was entered.
    pub entered: u64,
    /// Visits that ended the run, or the branch, with an error.
    pub failed: u64,
    /// Visits whose error a `Catch` took.
    pub caught: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Visits that have not ended.
    pub open: u64,
    times_ms: Vec<i64>,
}

impl StateTally {
    /// Half of the visits that ended took at most this long, milliseconds.
    pub fn median_ms(&self) -> Option<i64> {
        let mut times = self.times_ms.clone();
        let middle = times.len().checked_sub(1)? / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        Some(*median)
    }
}

/// A branch of a run: where it is.
#[derive(Default)]
struct Frame {
    scope: usize,
    at: Option<Visit>,
    /// The state left last, and whether its error was caught.
    left: Option<(NodeId, bool)>,
}

struct Visit {
    node: NodeId,
    since: Timestamp,
    failing: bool,
}

impl Tally {
    /// Of no run yet.
    pub fn of(graph: &Graph) -> Tally {
        Tally {
            runs: 0,
            states: vec![StateTally::default(); graph.nodes.len()],
            edges: vec![0; graph.edges.len()],
        }
    }

    /// Adds a run: its history, in order, from the beginning.
    ///
    /// Events of states that `graph` does not have are passed over: another revision ran.
    pub fn add(&mut self, graph: &Graph, events: &[HistoryEvent]) {
        self.runs += 1;
        let mut frames = BTreeMap::from([(0, Frame::default())]);
        for event in events {
            self.event(graph, &mut frames, event);
        }
        let ended = events.iter().rev().find_map(|event| match event.detail {
            Detail::ExecutionFailed(_) | Detail::ExecutionTimedOut(_) => Some(true),
            Detail::ExecutionAborted(_) | Detail::ExecutionSucceeded(_) => Some(false),
            _ => None,
        });
        for visit in frames.into_values().filter_map(|frame| frame.at) {
            let state = &mut self.states[visit.node];
            match ended {
                Some(true) => state.failed += u64::from(visit.failing),
                Some(false) => {}
                None => state.open += 1,
            }
        }
    }

    fn event(&mut self, graph: &Graph, frames: &mut BTreeMap<u32, Frame>, event: &HistoryEvent) {
        if let Detail::BranchStarted { parent, index } = &event.detail {
            let container = frames.get(parent).and_then(|frame| frame.at.as_ref());
            let inner = container.map(|visit| &graph.nodes[visit.node].inner);
            let branch =
                inner.and_then(|inner| inner.get(*index as usize).or_else(|| inner.first()));
            if let Some(scope) = branch {
                frames.insert(event.frame, Frame { scope: *scope, ..Frame::default() });
            }
            return;
        }
        let Some(frame) = frames.get_mut(&event.frame) else { return };
        match &event.detail {
            Detail::Entered { name, .. } => self.enter(graph, frame, name, event.at),
            Detail::Exited { name, next, .. } => {
                let Some(visit) = frame.at.take() else { return };
                if *graph.nodes[visit.node].name != **name {
                    return;
                }
                let state = &mut self.states[visit.node];
                state.caught += u64::from(visit.failing);
                if state.times_ms.len() < TIMES_MAX {
                    state.times_ms.push(event.at.since_ms(visit.since));
                }
                frame.left = Some((visit.node, visit.failing));
                if next.is_none() {
                    let end = graph
                        .edges
                        .iter()
                        .position(|edge| edge.from == visit.node && edge.kind == EdgeKind::End);
                    if let Some(edge) = end {
                        self.edges[edge] += 1;
                    }
                }
            }
            Detail::TaskEnded { .. }
            | Detail::ParallelFailed(_)
            | Detail::MapFailed(_)
            | Detail::MapRunFailed(_)
            | Detail::EvaluationFailed { .. } => {
                if let Some(visit) = &mut frame.at {
                    visit.failing = true;
                }
            }
            Detail::RetryScheduled { .. } => {
                if let Some(visit) = &mut frame.at {
                    visit.failing = false;
                    self.states[visit.node].retries += 1;
                }
            }
            _ => {}
        }
    }

    fn enter(&mut self, graph: &Graph, frame: &mut Frame, name: &str, at: Timestamp) {
        let scope = &graph.scopes[frame.scope];
        let named = |id: &&NodeId| *graph.nodes[**id].name == *name && graph.is_state(**id);
        let Some(node) = scope.nodes.iter().find(named).copied() else { return };
        let (from, caught) = match frame.left.take() {
            Some((from, caught)) => (Some(from), caught),
            None => (scope.container.is_none().then_some(0), false),
        };
        if let Some(edge) = from.and_then(|from| graph.edge(from, node, caught)) {
            self.edges[edge] += 1;
        }
        self.states[node].entered += 1;
        let failing = graph.nodes[node].kind == super::Kind::Fail;
        frame.at = Some(Visit { node, since: at, failing });
    }

    /// How the graph looks: states by how long they took altogether, transitions by how often they
    /// were taken.
    pub fn paint(&self, graph: &Graph) -> Paint {
        let mut paint = Paint::default();
        let total = |state: &StateTally| state.times_ms.iter().sum::<i64>();
        let leaf = |id: NodeId| graph.nodes[id].inner.is_empty();
        let longest = (0..self.states.len())
            .filter(|id| leaf(*id))
            .map(|id| total(&self.states[id]))
            .max()
            .unwrap_or_default();
        for (id, state) in self.states.iter().enumerate().filter(|(_, state)| state.entered > 0) {
            let share = total(state) as f64 / longest.max(1) as f64;
            let heat = if leaf(id) { (share * f64::from(HEAT_MAX)).ceil() as u8 } else { 0 };
            let median = state.median_ms().map(duration);
            let mut note = vec![format!("{} ×", count(state.entered))];
            let times = if state.entered == 1 { "time" } else { "times" };
            let mut words = vec![format!("entered {} {times}", state.entered)];
            words.extend(median.iter().map(|median| format!("median {median}")));
            note.extend(median);
            let mut trouble = Vec::new();
            let retries = if state.retries == 1 { "retry" } else { "retries" };
            for (number, word) in
                [(state.failed, "failed"), (state.caught, "caught"), (state.retries, retries)]
            {
                if number > 0 {
                    trouble.push(format!("{} {word}", count(number)));
                    words.push(format!("{number} {word}"));
                }
            }
            if state.open > 0 {
                words.push(format!("{} there now", state.open));
            }
            let status = match state {
                StateTally { failed: 1.., .. } => Status::Failed,
                StateTally { caught: 1.., .. } => Status::Caught,
                _ => Status::None,
            };
            let painted = NodePaint {
                // The colour tells the time; what went wrong is told by mark and number.
                class: if status == Status::Failed { "bad" } else { "seen" },
                count: (!trouble.is_empty()).then(|| trouble.join(" · ")),
                note: Some(note.join(" · ")),
                heat,
                ..NodePaint::of(status, words.join(", "))
            };
            paint.nodes.insert(id, painted);
        }
        let most = self.edges.iter().copied().max().unwrap_or_default().max(1);
        for (edge, taken) in self.edges.iter().enumerate().filter(|(_, taken)| **taken > 0) {
            let heat = (*taken as f64 / most as f64 * f64::from(HEAT_MAX)).ceil() as u8;
            let of = paint.edges.entry(edge).or_default();
            of.count = Some(count(*taken));
            of.heat = heat;
        }
        paint
    }
}
