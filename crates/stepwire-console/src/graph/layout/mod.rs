//! Where states and transitions stand.
//!
//! In layers from top to bottom (Sugiyama's way): `layers` says in which layer a state is and cuts
//! long transitions into pieces, `order` who stands beside whom, `place` how far apart, `route` how
//! the lines run. What is in a container is laid out first; the container is then a box like others.

mod layers;
mod net;
mod order;
mod place;
mod route;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::text::{fitting, width};
use super::{EdgeKind, Graph, Kind, NodeId};
use net::Net;

/// The containers whose inside is not shown.
pub type Collapsed = BTreeSet<NodeId>;

/// Where everything stands, in pixels from the left upper corner.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layout {
    /// By node; `None` for what is inside a collapsed container.
    pub boxes: Vec<Option<Rect>>,
    /// Names as they fit into the boxes, by node.
    pub names: Vec<String>,
    /// By edge; `None` when an end is not shown, or when a chip stands for the line.
    pub routes: Vec<Option<Route>>,
    /// Short stubs that stand for long lines.
    pub chips: Vec<Chip>,
    /// The containers that are drawn closed.
    pub collapsed: Collapsed,
    /// Width of the whole.
    pub width: f32,
    /// Height of the whole.
    pub height: f32,
    /// Elementary steps it took: grows with the graph as the time does, and never varies.
    pub work: usize,
}

/// A point.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

/// The line of a transition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Route {
    /// Where it begins.
    pub start: Point,
    /// Its pieces; the last one ends with the arrow.
    pub pieces: Vec<Piece>,
    /// What is written on it.
    pub label: Option<Label>,
}

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Piece {
    /// Straight to a point.
    Line(Point),
    /// A cubic curve: two control points, the end.
    Curve(Point, Point, Point),
}

/// Words on a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Where they stand.
    pub place: Rect,
    /// The words, as they fit.
    pub text: String,
}

/// A short stub that says where a long line would have led.
#[derive(Debug, Clone, PartialEq)]
pub struct Chip {
    /// The transition it stands for.
    pub edge: usize,
    /// The short line to it, without an arrow.
    pub stem: Route,
    /// Where it stands.
    pub place: Rect,
    /// What it says: the condition if any, and the name of the state it leads to.
    pub text: String,
}

impl Rect {
    /// Whether both have some area in common.
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }

    /// Whether `other` is within this.
    pub fn contains(&self, other: &Rect) -> bool {
        other.x >= self.x
            && other.y >= self.y
            && other.x + other.w <= self.x + self.w
            && other.y + other.h <= self.y + self.h
    }

    fn moved(self, by: Point) -> Rect {
        Rect { x: self.x + by.x, y: self.y + by.y, ..self }
    }
}

impl Point {
    fn moved(self, by: Point) -> Point {
        Point { x: self.x + by.x, y: self.y + by.y }
    }
}

impl Route {
    /// The `d` of an SVG path.
    pub fn d(&self) -> String {
        let mut d = format!("M{:.1} {:.1}", self.start.x, self.start.y);
        for piece in &self.pieces {
            let done = match piece {
                Piece::Line(to) => write!(d, "L{:.1} {:.1}", to.x, to.y),
                Piece::Curve(a, b, to) => write!(
                    d,
                    "C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
                    a.x, a.y, b.x, b.y, to.x, to.y
                ),
            };
            debug_assert!(done.is_ok(), "a string takes everything");
        }
        d
    }

    fn moved(mut self, by: Point) -> Route {
        self.start = self.start.moved(by);
        for piece in &mut self.pieces {
            *piece = match *piece {
                Piece::Line(to) => Piece::Line(to.moved(by)),
                Piece::Curve(a, b, to) => Piece::Curve(a.moved(by), b.moved(by), to.moved(by)),
            };
        }
        if let Some(label) = &mut self.label {
            label.place = label.place.moved(by);
        }
        self
    }
}

/// Sizes of what is drawn.
pub(super) mod size {
    /// 13 pixels; bold letters are a twentieth wider.
    pub(in super::super) const NAME_BOLD: f32 = 13.0 * 1.05;
    pub(in super::super) const DETAIL: f32 = 11.0;
    pub(in super::super) const LABEL: f32 = 10.5;
    pub(in super::super) const BOX_H: f32 = 50.0;
    pub(in super::super) const BOX_W_MIN: f32 = 140.0;
    pub(in super::super) const BOX_W_MAX: f32 = 360.0;
    /// What is beside the text in a box: the icon on the left, the badge on the right.
    pub(in super::super) const BOX_SIDES: f32 = 42.0 + 34.0;
    /// What is beside the second line: the badge is above it.
    pub(in super::super) const DETAIL_SIDES: f32 = 40.0 + 10.0;
    pub(in super::super) const CAP_W: f32 = 58.0;
    pub(in super::super) const CAP_H: f32 = 28.0;
    pub(in super::super) const LABEL_H: f32 = 18.0;
    pub(in super::super) const LABEL_W_MAX: f32 = 200.0;
    /// Room for a container's title, and around its inside.
    pub(in super::super) const HEAD: f32 = 38.0;
    pub(in super::super) const PAD: f32 = 16.0;
    pub(in super::super) const BRANCH_GAP: f32 = 28.0;
    /// Around the whole drawing.
    pub(in super::super) const MARGIN: f32 = 12.0;
}

pub(super) fn layout(graph: &Graph, collapsed: &Collapsed) -> Layout {
    let containers = graph.nodes.iter().filter(|node| !node.inner.is_empty());
    let collapsed: Collapsed =
        containers.map(|node| node.id).filter(|id| collapsed.contains(id)).collect();
    let mut layout = Layout {
        boxes: vec![None; graph.nodes.len()],
        names: vec![String::new(); graph.nodes.len()],
        routes: vec![None; graph.edges.len()],
        collapsed,
        ..Layout::default()
    };
    let mut edges_of = vec![Vec::new(); graph.scopes.len()];
    for (index, edge) in graph.edges.iter().enumerate() {
        edges_of[graph.nodes[edge.from].scope].push(index);
    }
    let whole = scope(graph, &edges_of, 0, &mut layout);
    let by = Point { x: size::MARGIN, y: size::MARGIN };
    whole.put(by, &mut layout);
    layout.width = whole_width(&layout) + size::MARGIN;
    layout.height = whole_height(&layout) + size::MARGIN;
    layout
}

/// One state machine by itself, its left upper corner at 0, 0.
#[derive(Default)]
struct Part {
    w: f32,
    h: f32,
    boxes: Vec<(NodeId, Rect)>,
    routes: Vec<(usize, Route)>,
    chips: Vec<Chip>,
}

impl Part {
    fn add(&mut self, part: Part, by: Point) {
        self.boxes.extend(part.boxes.into_iter().map(|(id, rect)| (id, rect.moved(by))));
        self.routes.extend(part.routes.into_iter().map(|(edge, route)| (edge, route.moved(by))));
        self.chips.extend(part.chips.into_iter().map(|chip| chip.moved(by)));
    }

    fn put(self, by: Point, layout: &mut Layout) {
        for (id, rect) in self.boxes {
            layout.boxes[id] = Some(rect.moved(by));
        }
        for (edge, route) in self.routes {
            layout.routes[edge] = Some(route.moved(by));
        }
        layout.chips.extend(self.chips.into_iter().map(|chip| chip.moved(by)));
    }
}

impl Chip {
    fn moved(mut self, by: Point) -> Chip {
        self.stem = self.stem.moved(by);
        self.place = self.place.moved(by);
        self
    }
}

/// The state machine `index`, with what is in its containers.
fn scope(graph: &Graph, edges_of: &[Vec<usize>], index: usize, layout: &mut Layout) -> Part {
    let nodes = &graph.scopes[index].nodes;
    let mut inside: Vec<Option<Part>> = Vec::with_capacity(nodes.len());
    let mut sizes = Vec::with_capacity(nodes.len());
    for id in nodes {
        let node = &graph.nodes[*id];
        let open = !node.inner.is_empty() && !layout.collapsed.contains(id);
        let part = open.then(|| branches(graph, edges_of, *id, layout));
        let (w, h) = size_of(graph, *id, part.as_ref());
        let room = if part.is_some() { w } else { size::BOX_W_MAX.min(w) };
        layout.names[*id] = fitting(&node.name, size::NAME_BOLD, room - size::BOX_SIDES + 2.0);
        sizes.push((w, h));
        inside.push(part);
    }
    let mut net = Net::of(graph, index, &edges_of[index], &sizes);
    layers::assign(&mut net);
    order::arrange(&mut net);
    place::columns(&mut net);
    let mut part = route::part(&net);
    layout.work += net.work;
    for (position, inner) in inside.into_iter().enumerate() {
        if let Some(inner) = inner {
            let outer = part.boxes[position].1;
            let x = outer.x + (outer.w - inner.w) / 2.0;
            part.add(inner, Point { x, y: outer.y + size::HEAD });
        }
    }
    part
}

/// What is in a container: its branches beside one another, aligned at the top.
fn branches(graph: &Graph, edges_of: &[Vec<usize>], id: NodeId, layout: &mut Layout) -> Part {
    let mut whole = Part::default();
    for inner in &graph.nodes[id].inner {
        let part = scope(graph, edges_of, *inner, layout);
        let x = if whole.w > 0.0 { whole.w + size::BRANCH_GAP } else { 0.0 };
        whole.h = whole.h.max(part.h);
        whole.w = x + part.w;
        whole.add(part, Point { x, y: 0.0 });
    }
    whole
}

fn size_of(graph: &Graph, id: NodeId, inside: Option<&Part>) -> (f32, f32) {
    let node = &graph.nodes[id];
    if matches!(node.kind, Kind::Start | Kind::End) {
        return (size::CAP_W, size::CAP_H);
    }
    let name = width(&node.name, size::NAME_BOLD) + size::BOX_SIDES;
    let detail = width(&node.detail, size::DETAIL) + size::DETAIL_SIDES;
    let text = name.max(detail).clamp(size::BOX_W_MIN, size::BOX_W_MAX).ceil();
    match inside {
        None => (text, size::BOX_H),
        Some(part) => {
            let head = width(&node.name, size::NAME_BOLD) + width(&node.detail, size::DETAIL);
            let head = (head + size::BOX_SIDES + 30.0).clamp(size::BOX_W_MIN, size::BOX_W_MAX);
            let w = head.max(part.w + 2.0 * size::PAD);
            (w.ceil(), (part.h + size::HEAD + size::PAD).ceil())
        }
    }
}

fn whole_width(layout: &Layout) -> f32 {
    rects(layout).fold(0.0, |most, rect| most.max(rect.x + rect.w))
}

fn whole_height(layout: &Layout) -> f32 {
    rects(layout).fold(0.0, |most, rect| most.max(rect.y + rect.h))
}

/// Everything that takes room, lines included.
fn rects(layout: &Layout) -> impl Iterator<Item = Rect> + '_ {
    let lines = layout.routes.iter().flatten().flat_map(|route| {
        let ends = route.pieces.iter().map(|piece| match piece {
            Piece::Line(to) | Piece::Curve(_, _, to) => Rect { x: to.x, y: to.y, w: 1.0, h: 1.0 },
        });
        ends.chain(route.label.iter().map(|label| label.place))
    });
    let boxes = layout.boxes.iter().flatten().copied();
    boxes.chain(layout.chips.iter().map(|chip| chip.place)).chain(lines)
}

/// What a chip for the transition `edge` says.
fn chip_text(graph: &Graph, edge: usize) -> String {
    let edge = &graph.edges[edge];
    let to = &graph.nodes[edge.to];
    if edge.kind == EdgeKind::End {
        return "End".to_owned();
    }
    let words = match (&edge.label, edge.kind) {
        (Some(label), _) => format!("{label} → {}", to.name),
        (None, _) => format!("→ {}", to.name),
    };
    fitting(&words, size::LABEL, size::LABEL_W_MAX)
}
