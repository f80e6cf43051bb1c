//! The graph as a list: for many states, for small screens, and for those who do not see.

use maud::{Markup, html};

use super::{Edge, EdgeKind, Graph, Node, Paint};

/// The states as a nested list, each with what it is, what became of it and where it leads.
pub fn outline(graph: &Graph, paint: &Paint, links: Option<&dyn Fn(&Node) -> String>) -> Markup {
    let list = Outline { graph, paint, links };
    html! {
        div.outline {
            (list.scope(0))
            @if graph.omitted > 0 { p.dim { (graph.omitted) " more states are not shown." } }
        }
    }
}

struct Outline<'a> {
    graph: &'a Graph,
    paint: &'a Paint,
    links: Option<&'a dyn Fn(&Node) -> String>,
}

impl Outline<'_> {
    fn scope(&self, scope: usize) -> Markup {
        let of = &self.graph.scopes[scope];
        html! {
            ol {
                @for id in &of.nodes {
                    @if self.graph.is_state(*id) { li { (self.state(&self.graph.nodes[*id])) } }
                }
            }
        }
    }

    fn state(&self, node: &Node) -> Markup {
        let paint = self.paint.node(node.id);
        let current = (self.paint.selected == Some(node.id)).then_some("true");
        html! {
            div.ol-st {
                svg class={ "mk " (paint.class) } viewBox="0 0 18 18" aria-hidden="true" {
                    use href={ "#" (paint.badge) } {}
                }
                @match self.links {
                    Some(link) => a.ol-n href=(link(node)) aria-current=[current] { (node.name) },
                    None => span.ol-n { (node.name) },
                }
                span.dim { (node.kind.word()) @if !node.detail.is_empty() { " · " (node.detail) } }
                span class={ "ol-w " (paint.class) } {
                    (paint.words)
                    @if let Some(count) = &paint.count { " · " (count) }
                    @if let Some(note) = &paint.note { " · " (note) }
                }
            }
            @let leaving: Vec<&Edge> = self.graph.leaving(node.id).map(|(_, edge)| edge).collect();
            @if !leaving.is_empty() {
                ul.ol-to {
                    @for edge in leaving { li { (self.edge(edge)) } }
                }
            }
            @for inner in &node.inner {
                @if node.inner.len() > 1 {
                    div.ol-br { "Branch " (self.graph.scopes[*inner].branch + 1) }
                }
                (self.scope(*inner))
            }
        }
    }

    fn edge(&self, edge: &Edge) -> Markup {
        let why = edge.full.as_ref().or(edge.label.as_ref());
        let to = &self.graph.nodes[edge.to].name;
        html! {
            @match (edge.kind, why) {
                (EdgeKind::End, _) => "ends",
                (EdgeKind::Catch, Some(why)) => { "on " (why) " → " (to) },
                (EdgeKind::Default, _) => { "otherwise → " (to) },
                (_, Some(why)) => { "if " (why) " → " (to) },
                (_, None) => { "→ " (to) },
            }
        }
    }
}
