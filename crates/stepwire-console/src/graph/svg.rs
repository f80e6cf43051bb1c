//! The drawing.

use maud::{Markup, PreEscaped, html};

use super::layout::{Piece, size};
use super::text::{fitting, width};
use super::{Chip, Graph, Kind, Layout, Node, NodeId, Paint, Point, Rect, Route};
use crate::region::{Mark, Parts};

/// How a graph is drawn.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// What the ids begin with, when a page shows several graphs. Letters, digits, hyphens.
    pub id_prefix: &'a str,
    /// What it is, for those who do not see it: `ConfigManagement`.
    pub name: &'a str,
    /// Where a click on a state leads.
    pub links: Option<&'a dyn Fn(&Node) -> String>,
    /// Where a click leads that opens or closes a container.
    pub toggles: Option<&'a dyn Fn(&Node) -> String>,
    /// Whether the drawing is a file of its own, with its own colours.
    pub standalone: bool,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The graph as SVG.
///
/// A state is `<g id="{prefix}st-{id}">` and a transition `<g id="{prefix}ed-{position}">`. Of what
/// depends on `paint`, the class and label of these, the state's badge (`.bd`), and the contents of
/// `<g id="{prefix}counts">` ([`counts`]) are all that changes from one paint to another, so a page
/// can be brought up to date by them alone ([`note`]); notes and heat are for pages drawn anew.
pub fn svg(graph: &Graph, layout: &Layout, paint: &Paint, options: &Options<'_>) -> Markup {
    let drawing = Drawing { graph, layout, paint, options };
    let (w, h) = (layout.width.ceil(), layout.height.ceil());
    let shown = graph.nodes.iter().filter(|node| layout.boxes[node.id].is_some());
    let (frames, leaves): (Vec<&Node>, Vec<&Node>) = shown.partition(|node| drawing.is_open(node));
    let label = format!("{}, graph of {} states", options.name, graph.states());
    html! {
        svg.asl id={ (options.id_prefix) "graph" } role="group" aria-label=(label)
            viewBox={ "0 0 " (w) " " (h) } width=(w) height=(h)
            xmlns=[options.standalone.then_some("http://www.w3.org/2000/svg")] {
            @if options.standalone { (own_style()) }
            @for node in frames { (drawing.state(node)) }
            g.es aria-hidden="true" {
                @for (index, route) in layout.routes.iter().enumerate() {
                    @if let Some(route) = route { (drawing.edge(index, route)) }
                }
            }
            @for chip in &layout.chips { (drawing.chip(chip)) }
            @for node in leaves { (drawing.state(node)) }
            g.region id={ (options.id_prefix) "counts" } { (counts(graph, layout, paint)) }
        }
    }
}

/// Notes in `parts` how everything looks whose look changes while the page is open.
pub fn note(parts: &mut Parts, graph: &Graph, layout: &Layout, paint: &Paint, id_prefix: &str) {
    for node in graph.nodes.iter().filter(|node| graph.is_state(node.id)) {
        if layout.boxes[node.id].is_some() {
            parts.mark(Mark {
                id: format!("{id_prefix}st-{}", node.id),
                class: paint.class(node),
                badge: Some(paint.nodes.get(&node.id).map_or("b-none", |paint| paint.badge)),
                label: Some(paint.label(node)),
            });
        }
    }
    for edge in 0..graph.edges.len() {
        let chip = layout.chips.iter().any(|chip| chip.edge == edge);
        if chip || layout.routes[edge].is_some() {
            let id = format!("{id_prefix}ed-{edge}");
            let class = paint.edge_class(graph, edge) + if chip { " chip" } else { "" };
            parts.mark(Mark { id, class, badge: None, label: None });
        }
    }
    let inner = counts(graph, layout, paint);
    parts.regions.push((format!("{id_prefix}counts"), inner.into_string()));
}

/// The numbers on states and transitions: what is in `<g id="{prefix}counts">`.
pub fn counts(graph: &Graph, layout: &Layout, paint: &Paint) -> Markup {
    html! {
        @for (id, of) in &paint.nodes {
            @if let (Some(text), Some(rect)) = (&of.count, layout.boxes.get(*id).copied().flatten()) {
                (count_on(graph, *id, text, of.class, rect))
            }
        }
        @for (index, of) in &paint.edges {
            @if let (Some(text), Some(Some(route))) = (&of.count, layout.routes.get(*index)) {
                @let at = beside(route);
                text.ec x=(px(at.x)) y=(px(at.y)) { (text) }
            }
        }
    }
}

/// A number on the lower edge of a box, and above the badge of one that holds others.
fn count_on(graph: &Graph, id: NodeId, text: &str, class: &str, rect: Rect) -> Markup {
    let w = width(text, size::LABEL) + 12.0;
    let right = rect.x + rect.w - 8.0;
    let inside = graph.nodes[id].inner.is_empty();
    let y = if inside { rect.y + rect.h - 9.0 } else { rect.y - 12.0 };
    html! {
        g class={ "ct " (class) } {
            rect x=(px(right - w)) y=(px(y)) width=(px(w)) height="17" rx="8.5" {}
            text x=(px(right - w / 2.0)) y=(px(y + 12.2)) { (text) }
        }
    }
}

/// Where the number of a transition stands: beside the middle of its last piece.
fn beside(route: &Route) -> Point {
    let mut from = route.start;
    let mut at = from;
    for piece in &route.pieces {
        let to = end(piece);
        at = Point { x: f32::midpoint(from.x, to.x), y: f32::midpoint(from.y, to.y) };
        from = to;
    }
    // On a line with words the number stands below them.
    let y = match &route.label {
        Some(label) => f32::midpoint(label.place.y + label.place.h, from.y),
        None => at.y,
    };
    Point { x: at.x + 6.0, y: y + 4.0 }
}

fn end(piece: &Piece) -> Point {
    match piece {
        Piece::Line(to) | Piece::Curve(_, _, to) => *to,
    }
}

struct Drawing<'a> {
    graph: &'a Graph,
    layout: &'a Layout,
    paint: &'a Paint,
    options: &'a Options<'a>,
}

impl Drawing<'_> {
    fn is_open(&self, node: &Node) -> bool {
        !node.inner.is_empty() && !self.layout.collapsed.contains(&node.id)
    }

    fn state(&self, node: &Node) -> Markup {
        let Some(rect) = self.layout.boxes[node.id] else { return html! {} };
        if matches!(node.kind, Kind::Start | Kind::End) {
            return html! {
                g.cap {
                    rect x=(px(rect.x)) y=(px(rect.y)) width=(px(rect.w)) height=(px(rect.h)) rx="14" {}
                    text x=(px(rect.x + rect.w / 2.0)) y=(px(rect.y + 18.5)) { (node.name) }
                }
            };
        }
        let body = html! {
            g id={ (self.options.id_prefix) "st-" (node.id) } class=(self.paint.class(node))
                role="img" aria-label=(self.paint.label(node)) { (self.inner(node, rect)) }
        };
        let linked = match self.options.links {
            Some(link) => {
                let current = (self.paint.selected == Some(node.id)).then_some("true");
                html! {
                    a id={ (self.options.id_prefix) "lk-" (node.id) } href=(link(node))
                        aria-current=[current] { (body) }
                }
            }
            None => body,
        };
        html! { (linked) (self.toggle(node, rect)) }
    }

    /// The box, the icon, the words, the badge.
    fn inner(&self, node: &Node, rect: Rect) -> Markup {
        let open = self.is_open(node);
        let note = self.paint.nodes.get(&node.id).and_then(|paint| paint.note.as_deref());
        let detail = note.unwrap_or(&node.detail);
        let name = &self.layout.names[node.id];
        let name_w = width(name, size::NAME_BOLD);
        let beside = if open { name_w + 8.0 } else { 0.0 };
        let room = if open {
            rect.w - size::BOX_SIDES - beside - 18.0
        } else {
            rect.w - size::DETAIL_SIDES + 2.0
        };
        let fitted = fitting(detail, size::DETAIL, room);
        let shortened = **name != *node.name || fitted != detail;
        let (icon_y, name_y, detail_y) = match (open, detail.is_empty()) {
            (true, _) => (rect.y + 8.0, rect.y + 23.5, rect.y + 23.5),
            (false, true) => (rect.y + 14.0, rect.y + 29.5, 0.0),
            (false, false) => (rect.y + 14.0, rect.y + 21.5, rect.y + 37.5),
        };
        let x = rect.x + 40.0;
        let detail_x = if open { x + beside } else { x };
        let badge = self.paint.nodes.get(&node.id).map_or("b-none", |paint| paint.badge);
        let closed = !node.inner.is_empty() && !open;
        html! {
            @if shortened { title { (node.name) @if !detail.is_empty() { "\n" (detail) } } }
            @if closed {
                rect.b2 x=(px(rect.x + 4.0)) y=(px(rect.y + 4.0)) width=(px(rect.w)) height=(px(rect.h)) rx="9" {}
            }
            rect.b x=(px(rect.x)) y=(px(rect.y)) width=(px(rect.w)) height=(px(rect.h)) rx="9" {}
            use.ic href={ "#" (node.icon()) } x=(px(rect.x + 10.0)) y=(px(icon_y)) width="22" height="22" {}
            text.n x=(px(x)) y=(px(name_y)) { (name) }
            @if !detail.is_empty() {
                text.s x=(px(detail_x)) y=(px(detail_y)) { (fitted) }
            }
            use.bd href={ "#" (badge) } x=(px(rect.x + rect.w - 24.0)) y=(px(rect.y + 6.0)) width="18" height="18" {}
        }
    }

    /// The sign that opens or closes a container.
    fn toggle(&self, node: &Node, rect: Rect) -> Markup {
        let Some(link) = self.options.toggles.filter(|_| !node.inner.is_empty()) else {
            return html! {};
        };
        let open = self.is_open(node);
        let (x, y) = (rect.x + rect.w - 44.0, rect.y + if open { 10.0 } else { 27.0 });
        let x = if open { x } else { rect.x + rect.w - 23.0 };
        let verb = if open { "Close" } else { "Open" };
        html! {
            a.tg href=(link(node)) aria-label={ (verb) " " (node.name) } {
                rect x=(px(x)) y=(px(y)) width="16" height="16" rx="4" {}
                path d={ "M" (px(x + 4.0)) " " (px(y + 8.0)) "h8" } {}
                @if !open { path d={ "M" (px(x + 8.0)) " " (px(y + 4.0)) "v8" } {} }
            }
        }
    }

    fn edge(&self, index: usize, route: &Route) -> Markup {
        let edge = &self.graph.edges[index];
        html! {
            g id={ (self.options.id_prefix) "ed-" (index) } class=(self.paint.edge_class(self.graph, index)) {
                @if let Some(full) = &edge.full { title { (full) } }
                path.l d=(route.d()) {}
                path.h d=(arrow(route)) {}
                @if let Some(label) = &route.label { (words(label.place, &label.text)) }
            }
        }
    }

    fn chip(&self, chip: &Chip) -> Markup {
        let edge = &self.graph.edges[chip.edge];
        let class = self.paint.edge_class(self.graph, chip.edge);
        let to = &self.graph.nodes[edge.to];
        let body = html! {
            g id={ (self.options.id_prefix) "ed-" (chip.edge) } class={ (class) " chip" } {
                @if let Some(full) = &edge.full { title { (full) " → " (to.name) } }
                path.l d=(chip.stem.d()) {}
                (words(chip.place, &chip.text))
            }
        };
        match self.options.links.filter(|_| self.graph.is_state(edge.to)) {
            Some(link) => html! { a href=(link(to)) { (body) } },
            None => body,
        }
    }
}

/// Words on a line.
fn words(place: Rect, text: &str) -> Markup {
    html! {
        g.lb {
            rect x=(px(place.x)) y=(px(place.y)) width=(px(place.w)) height=(px(place.h)) rx="9" {}
            text x=(px(place.x + place.w / 2.0)) y=(px(place.y + 12.6)) { (text) }
        }
    }
}

/// The arrow at the end of a line.
fn arrow(route: &Route) -> String {
    let to = route.pieces.last().map_or(route.start, end);
    let sideways = matches!(route.pieces.last(), Some(Piece::Curve(_, b, to)) if b.y == to.y);
    let (x, y) = (px(to.x), px(to.y));
    if sideways { format!("M{x} {y}l8 -4v8z") } else { format!("M{x} {y}l-4 -8h8z") }
}

/// Tenths of a pixel.
fn px(value: f32) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// The style sheet and symbols of a drawing that is a file of its own.
fn own_style() -> Markup {
    html! {
        style { (PreEscaped(include_str!("../../assets/graph-alone.css"))) (PreEscaped(include_str!("../../assets/graph.css"))) }
        (PreEscaped(symbols()))
    }
}

fn symbols() -> String {
    include_str!("../../assets/sprite.svg").replacen("<svg ", "<svg width=\"0\" height=\"0\" ", 1)
}
