//! What became of a graph's states and transitions, in one run or in many.

use std::collections::BTreeMap;

use super::{EdgeKind, Graph, Node, NodeId};
use crate::words::Status;

/// How a graph looks. What is not mentioned was not reached.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Paint {
    /// By state.
    pub nodes: BTreeMap<NodeId, NodePaint>,
    /// By transition, its position in [`Graph::edges`].
    pub edges: BTreeMap<usize, EdgePaint>,
    /// The state that is looked at.
    pub selected: Option<NodeId>,
}

/// How a state looks.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePaint {
    /// The class of its status, such as `ok`.
    pub class: &'static str,
    /// The symbol of its status, such as `b-ok`.
    pub badge: &'static str,
    /// What became of it: `succeeded in 2 ms`.
    pub words: String,
    /// A short number on its lower edge: `3/200`, `4 ×`.
    pub count: Option<String>,
    /// Words in place of what it does: `1 204 runs · 12 ms`.
    pub note: Option<String>,
    /// How much it counts among others, 0 to [`HEAT_MAX`].
    pub heat: u8,
}

/// How a transition looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgePaint {
    /// Whether it was taken.
    pub taken: bool,
    /// How often, when that is to be shown.
    pub count: Option<String>,
    /// How much it counts among others, 0 to [`HEAT_MAX`].
    pub heat: u8,
}

/// The most heat.
pub const HEAT_MAX: u8 = 5;

impl NodePaint {
    /// A state that stands like this; `words` say it: `succeeded in 2 ms`.
    pub fn of(status: Status, words: impl Into<String>) -> NodePaint {
        NodePaint {
            class: status.class(),
            badge: status.badge(),
            words: words.into(),
            count: None,
            note: None,
            heat: 0,
        }
    }
}

impl Default for NodePaint {
    fn default() -> NodePaint {
        NodePaint::of(Status::None, Status::None.word())
    }
}

impl Paint {
    /// How `id` looks.
    pub fn node(&self, id: NodeId) -> NodePaint {
        self.nodes.get(&id).cloned().unwrap_or_default()
    }

    /// Notes that a transition from `from` to `to` was taken; which, if there are several, is told
    /// by `caught`: a `Catch` or any other.
    pub fn take(&mut self, graph: &Graph, from: NodeId, to: NodeId, caught: bool) {
        if let Some(index) = graph.edge(from, to, caught) {
            self.edges.entry(index).or_default().taken = true;
        }
    }

    /// The `class` of the node's `<g>`.
    pub fn class(&self, node: &Node) -> String {
        let paint = self.nodes.get(&node.id);
        let status = paint.map_or("none", |paint| paint.class);
        let heat = heat("h", paint.map_or(0, |paint| paint.heat));
        let selected = if self.selected == Some(node.id) { " sel" } else { "" };
        format!("st {} {status}{heat}{selected}", node.kind.class())
    }

    /// The `aria-label` of the node's `<g>`: `Send, Task state, succeeded in 2 ms`.
    pub fn label(&self, node: &Node) -> String {
        let words = self.nodes.get(&node.id).map_or("not reached", |paint| &paint.words);
        format!("{}, {} state, {words}", node.name, node.kind.word())
    }

    /// The `class` of the transition's `<g>`.
    pub fn edge_class(&self, graph: &Graph, edge: usize) -> String {
        let kind = match graph.edges[edge].kind {
            EdgeKind::Catch => " catch",
            EdgeKind::Default => " default",
            _ => "",
        };
        let paint = self.edges.get(&edge);
        let taken = if paint.is_some_and(|paint| paint.taken) { " tk" } else { "" };
        format!("e{kind}{taken}{}", heat("w", paint.map_or(0, |paint| paint.heat)))
    }
}

/// The class for a heat; none for none.
fn heat(class: &str, heat: u8) -> String {
    if heat == 0 { String::new() } else { format!(" {class}{}", heat.min(HEAT_MAX)) }
}
