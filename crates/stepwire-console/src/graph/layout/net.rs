//! One state machine as a net of points in layers.

use super::super::{EdgeKind, Graph, Kind, NodeId};

/// A state machine on its way to a layout. States come first among the points, in the order of
/// their scope; the others belong to transitions.
#[derive(Debug)]
pub(super) struct Net<'a> {
    pub(super) graph: &'a Graph,
    scope: usize,
    pub(super) points: Vec<Point>,
    /// How many of the points are states.
    pub(super) states: usize,
    pub(super) lines: Vec<Line>,
    /// The points of each layer, from left to right.
    pub(super) layers: Vec<Vec<usize>>,
    /// Links to points of the next layer, and to those of the layer before.
    pub(super) down: Vec<Vec<Link>>,
    pub(super) up: Vec<Vec<Link>>,
    pub(super) work: usize,
}

/// Something that takes room in a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) what: What,
    pub(super) w: f32,
    pub(super) h: f32,
    pub(super) layer: usize,
    /// Its centre.
    pub(super) x: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    State,
    /// A line passes.
    Bend,
    /// A line passes, with words on it.
    Label,
    /// A line ends here, with words.
    Chip,
    /// A line that goes upwards turns here.
    Turn,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Link {
    pub(super) to: usize,
    /// How strongly it wants to be short.
    pub(super) weight: f32,
    /// How strongly it wants to be straight; 0 is not at all.
    pub(super) straight: u8,
}

/// A transition.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Its position in [`Graph::edges`].
    pub(super) edge: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kind: EdgeKind,
    pub(super) label: Option<String>,
    pub(super) course: Course,
    /// The points on its way, without both ends.
    pub(super) between: Vec<usize>,
}

/// How a line runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// Downwards.
    Down,
    /// Back to a state of the same layer or of one above.
    Up,
    /// To the state it comes from.
    Loop,
    /// A chip stands for it.
    Chip,
}

/// Room beside a box for a line that leads back to it, on either side.
pub(super) const LOOP: f32 = 24.0;

impl<'a> Net<'a> {
    /// The states and transitions of a scope, in no layers yet.
    pub(super) fn of(
        graph: &'a Graph,
        scope: usize,
        edges: &[usize],
        sizes: &[(f32, f32)],
    ) -> Net<'a> {
        let nodes = &graph.scopes[scope].nodes;
        let states = nodes.len();
        // Nodes of a scope are numbered upwards, though not without gaps.
        let position = |id: NodeId| nodes.binary_search(&id).unwrap_or_default();
        let lines = edges.iter().map(|index| {
            let edge = &graph.edges[*index];
            let (from, to) = (position(edge.from), position(edge.to));
            let course = if from == to { Course::Loop } else { Course::Down };
            let (kind, label) = (edge.kind, edge.label.clone());
            Line { edge: *index, from, to, kind, label, course, between: Vec::new() }
        });
        let lines: Vec<Line> = lines.collect();
        let point =
            |(w, h): &(f32, f32)| Point { what: What::State, w: *w, h: *h, layer: 0, x: 0.0 };
        let mut points: Vec<Point> = sizes.iter().map(point).collect();
        for line in lines.iter().filter(|line| line.course == Course::Loop) {
            points[line.from].w = sizes[line.from].0 + 2.0 * LOOP;
        }
        let none = vec![Vec::new(); states];
        let (down, up) = (none.clone(), none);
        Net { graph, scope, points, states, lines, layers: Vec::new(), down, up, work: states }
    }

    pub(super) fn id(&self, state: usize) -> NodeId {
        self.graph.scopes[self.scope].nodes[state]
    }

    pub(super) fn kind(&self, state: usize) -> Kind {
        self.graph.nodes[self.id(state)].kind
    }

    /// Whether this is the whole state machine, with Start and End.
    pub(super) fn is_whole(&self) -> bool {
        self.scope == 0
    }

    /// Where it begins.
    pub(super) fn first(&self) -> Option<usize> {
        let scope = &self.graph.scopes[self.scope];
        if self.is_whole() {
            return Some(0);
        }
        scope.nodes.binary_search(&scope.start?).ok()
    }

    /// Adds a point to `layer`.
    pub(super) fn point(&mut self, what: What, w: f32, layer: usize) -> usize {
        let h = if matches!(what, What::Label | What::Chip) { super::size::LABEL_H } else { 0.0 };
        self.points.push(Point { what, w, h, layer, x: 0.0 });
        self.down.push(Vec::new());
        self.up.push(Vec::new());
        self.points.len() - 1
    }

    pub(super) fn link(&mut self, upper: usize, lower: usize, weight: f32) {
        self.down[upper].push(Link { to: lower, weight, straight: 0 });
        self.up[lower].push(Link { to: upper, weight, straight: 0 });
    }

    /// Says how straight the link between `a` and `b` wants to be.
    pub(super) fn set_straight(&mut self, a: usize, b: usize, straight: u8) {
        for (from, to) in [(a, b), (b, a)] {
            let Net { down, up, .. } = self;
            let links = down[from].iter_mut().chain(&mut up[from]);
            for link in links.filter(|link| link.to == to) {
                link.straight = link.straight.max(straight);
            }
        }
    }
}
