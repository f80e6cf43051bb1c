//! A definition as a drawing: states and transitions, where they stand, and how they look.
//!
//! Read in this order: [`Graph`], [`Graph::layout`], [`Paint`], [`svg`], [`outline`].
//!
//! A [`Graph`] is read leniently from AWS JSON: whatever is no valid state machine is drawn as far
//! as it goes. A [`Layout`] says where everything stands; a [`Paint`], made by somebody else, what
//! became of it in a run or in many.

mod build;
mod condition;
mod describe;
mod layout;
mod outline;
mod paint;
mod svg;
mod tally;
mod text;

use std::sync::Arc;

use stepwire_asl::Json;

pub use layout::{Chip, Collapsed, Label, Layout, Piece, Point, Rect, Route};
pub use outline::outline;
pub use paint::{EdgePaint, HEAT_MAX, NodePaint, Paint};
pub use svg::{Options, counts, note, svg};
pub use tally::{StateTally, Tally};

/// Containers within one another that are drawn; deeper ones are counted in [`Graph::omitted`].
pub const DEPTH_MAX: usize = 16;

/// States that are drawn; further ones are counted in [`Graph::omitted`].
pub const STATES_MAX: usize = 2_000;

/// Position of a node in [`Graph::nodes`].
///
/// Nodes are numbered as the definition writes them, a container before what is in it; 0 is Start.
pub type NodeId = usize;

/// The states of a whole state machine, those in containers included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// States, Start and End. Never empty: Start and End are always there.
    pub nodes: Vec<Node>,
    /// Transitions. From, to and kind together are unique.
    pub edges: Vec<Edge>,
    /// State machines: the whole one first, then branches of Parallel and processors of Map states.
    pub scopes: Vec<Scope>,
    /// States not drawn because there are too many, or too deep in one another.
    pub omitted: usize,
}

/// A state machine: the whole one, a branch of a Parallel, or what a Map does for each item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The Parallel or Map it is in.
    pub container: Option<NodeId>,
    /// Which branch it is, from 0.
    pub branch: usize,
    /// The state it begins with, if that is defined.
    pub start: Option<NodeId>,
    /// What is directly in it.
    pub nodes: Vec<NodeId>,
    /// The containers it is in, outermost first.
    pub path: Arc<[Place]>,
}

/// One container on the way to a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The Parallel or Map.
    pub container: Arc<str>,
    /// Which branch of it, from 0; 0 for a Map.
    pub branch: usize,
}

/// A state, or Start or End.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its position in [`Graph::nodes`].
    pub id: NodeId,
    /// Its name.
    pub name: Arc<str>,
    /// The containers it is in, outermost first.
    pub path: Arc<[Place]>,
    /// What it is.
    pub kind: Kind,
    /// What it does, in a few words: `dynamodb:putItem · waits for answer`. May be empty.
    pub detail: String,
    /// The service a Task calls, such as `dynamodb` or `lambda`.
    pub service: Option<Arc<str>>,
    /// Whether it waits until somebody sends back its task token.
    pub waits_for_token: bool,
    /// The container it is directly in.
    pub parent: Option<NodeId>,
    /// The state machine it is in: a position in [`Graph::scopes`].
    pub scope: usize,
    /// The state machines in it, when it is a container.
    pub inner: Vec<usize>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Where the whole state machine begins.
    Start,
    /// Where it ends.
    End,
    /// A state of that `Type`.
    Task,
    /// A state of that `Type`.
    Pass,
    /// A state of that `Type`.
    Choice,
    /// A state of that `Type`.
    Wait,
    /// A state of that `Type`.
    Succeed,
    /// A state of that `Type`.
    Fail,
    /// A state of that `Type`.
    Parallel,
    /// A state of that `Type`.
    Map,
    /// A state without a known `Type`, or one that a transition names and nobody defines.
    Unknown,
}

/// A transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The state that is left.
    pub from: NodeId,
    /// The state that is entered; in the same [`Scope`].
    pub to: NodeId,
    /// Why.
    pub kind: EdgeKind,
    /// The condition or the errors, short: `result.status = SUCCESS`.
    pub label: Option<String>,
    /// The same in full, when `label` leaves something out.
    pub full: Option<String>,
}

/// Why a transition is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// From Start to the first state.
    Start,
    /// `Next`.
    Next,
    /// `Next` of a rule of a Choice.
    Choice,
    /// `Default` of a Choice.
    Default,
    /// `Next` of a catcher.
    Catch,
    /// To End: `"End": true`, Succeed, Fail.
    End,
}

impl Graph {
    /// The graph of `definition`, which may be anything.
    ///
    /// States without a known type are [`Kind::Unknown`], and so are those that transitions name
    /// and nobody defines. Several rules or catchers from one state to another are one edge.
    pub fn of(definition: &Json) -> Graph {
        build::graph(definition)
    }

    /// Where everything stands.
    pub fn layout(&self, collapsed: &Collapsed) -> Layout {
        layout::layout(self, collapsed)
    }

    /// The state called `name` in the containers `path`.
    pub fn find(&self, path: &[Place], name: &str) -> Option<NodeId> {
        let scope = self.scopes.iter().find(|scope| *scope.path == *path)?;
        scope.nodes.iter().copied().find(|id| *self.nodes[*id].name == *name && self.is_state(*id))
    }

    /// The first state called `name`, wherever it is.
    pub fn named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().find(|node| *node.name == *name && self.is_state(node.id)).map(|n| n.id)
    }

    /// Whether `id` is a state, not Start or End.
    pub fn is_state(&self, id: NodeId) -> bool {
        !matches!(self.nodes[id].kind, Kind::Start | Kind::End)
    }

    /// How many states there are, those in containers included.
    pub fn states(&self) -> usize {
        self.nodes.len() - 2
    }

    /// The transition that is taken from `from` to `to`: if there are several, the `Catch` when an
    /// error was caught, and another one when not.
    pub fn edge(&self, from: NodeId, to: NodeId, caught: bool) -> Option<usize> {
        let mut between =
            self.edges.iter().enumerate().filter(|(_, edge)| edge.from == from && edge.to == to);
        let (first, edge) = between.next()?;
        if (edge.kind == EdgeKind::Catch) == caught {
            return Some(first);
        }
        let fits = between.find(|(_, edge)| (edge.kind == EdgeKind::Catch) == caught);
        Some(fits.map_or(first, |(index, _)| index))
    }

    /// The transitions that leave `id`.
    pub fn leaving(&self, id: NodeId) -> impl Iterator<Item = (usize, &Edge)> {
        self.edges.iter().enumerate().filter(move |(_, edge)| edge.from == id)
    }
}

impl Kind {
    /// The `Type` of the States Language, and `Start`, `End`, `Unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Start => "Start",
            Kind::End => "End",
            Kind::Task => "Task",
            Kind::Pass => "Pass",
            Kind::Choice => "Choice",
            Kind::Wait => "Wait",
            Kind::Succeed => "Succeed",
            Kind::Fail => "Fail",
            Kind::Parallel => "Parallel",
            Kind::Map => "Map",
            Kind::Unknown => "Unknown",
        }
    }

    /// Its CSS class, such as `t-task`.
    pub fn class(self) -> &'static str {
        match self {
            Kind::Start | Kind::End => "t-cap",
            Kind::Task => "t-task",
            Kind::Pass => "t-pass",
            Kind::Choice => "t-choice",
            Kind::Wait => "t-wait",
            Kind::Succeed => "t-succeed",
            Kind::Fail => "t-fail",
            Kind::Parallel => "t-parallel",
            Kind::Map => "t-map",
            Kind::Unknown => "t-unknown",
        }
    }
}

impl Node {
    /// The symbol of what it is, such as `i-lambda`.
    pub fn icon(&self) -> &'static str {
        match self.kind {
            Kind::Start | Kind::End => "i-task",
            Kind::Pass => "i-pass",
            Kind::Choice => "i-choice",
            Kind::Wait => "i-wait",
            Kind::Succeed => "i-ok",
            Kind::Fail => "i-fail",
            Kind::Parallel => "i-parallel",
            Kind::Map => "i-map",
            Kind::Unknown => "i-unknown",
            Kind::Task => describe::icon(self.service.as_deref()),
        }
    }
}
