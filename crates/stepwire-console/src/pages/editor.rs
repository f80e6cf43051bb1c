//! The editor of a definition: text with marks, what is wrong with it, the graph of it.
//!
//! What the editor knows comes from the node, the same as `stepwire check` tells; with script it is
//! asked for on each pause in typing, without by the button "Check".

use std::collections::BTreeMap;
use std::ops::Range;

use maud::{Markup, html};

use super::compare::diff;
use super::lines::{Change, Line};
use super::trial::{self, Trial};
use crate::frame::{Crumb, Page, Section};
use crate::graph::{Collapsed, Graph, Node, NodeId, Options, Paint, svg};
use crate::region::Parts;
use crate::words::segment;

/// What the editor shows.
#[derive(Debug, Clone)]
pub struct View {
    /// The workflow; `None` for one that is still to be created.
    pub name: Option<String>,
    /// The name that was typed for a new one.
    pub typed: String,
    /// `STANDARD` or `EXPRESS`.
    pub kind: String,
    /// The text.
    pub text: String,
    /// What was found in it.
    pub findings: Vec<Finding>,
    /// Whether more was found than is listed.
    pub more: bool,
    /// The graph, as far as the text is one.
    pub graph: Graph,
    /// Where each state's name is in the text, as bytes.
    pub places: BTreeMap<NodeId, Range<usize>>,
    /// A state that is tried by itself.
    pub trial: Trial,
}

/// Something that is wrong, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the definition cannot be used like this.
    pub is_error: bool,
    /// Its number, such as `SW0203`.
    pub number: &'static str,
    /// What it is.
    pub sentence: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where, as bytes of the text.
    pub place: Option<Range<usize>>,
}

impl View {
    fn path(&self) -> String {
        match &self.name {
            Some(name) => format!("/workflows/{}/edit", segment(name)),
            None => "/workflows?new".to_owned(),
        }
    }

    fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| "New workflow".to_owned())
    }

    fn crumbs(&self, last: &str) -> Vec<Crumb> {
        let mut crumbs = vec![Crumb::to("Workflows", "/workflows")];
        if let Some(name) = &self.name {
            crumbs.push(Crumb::to(&**name, format!("/workflows/{}", segment(name))));
        }
        crumbs.push(Crumb::here(last));
        crumbs
    }
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let marks = parts.region("marks", marks(view));
    let problems = parts.region("problems", problems(view));
    let preview = parts.region("preview", preview(view));
    let main = html! {
        form.edit method="post" action="/-/console/workflow-check" data-check="/-/console/workflow-check" {
            input type="hidden" name="back" value=(view.path());
            div.head {
                h1 { (view.title()) span.pill.none { (view.kind.to_lowercase()) } }
                div.acts {
                    button.btn { "Check" }
                    button.btn.p formaction="/-/console/workflow-deploy" { "Deploy…" }
                }
            }
            (whose(view))
            div.ed {
                section.card aria-label="Definition" {
                    div.code {
                        (marks)
                        textarea #definition name="definition" aria-label="Definition"
                            aria-describedby="problems-title" spellcheck="false" autocomplete="off"
                            autocapitalize="off" wrap="off" { "\n" (view.text) }
                    }
                }
                section.card aria-label="Graph of the definition" { (preview) }
                section.card.problems aria-labelledby="problems-title" { (problems) }
                (trial::section(&view.trial, &view.graph))
            }
        }
    };
    let crumbs = view.crumbs("edit");
    let title = format!("{} · edit", view.title());
    Page { title, section: Section::Workflows, crumbs, main, parts }
}

fn whose(view: &View) -> Markup {
    html! {
        @match &view.name {
            Some(name) => {
                input type="hidden" name="workflow" value=(name);
                input type="hidden" name="kind" value=(view.kind);
            }
            None => div.row {
                label for="new-name" { "Name" }
                input #new-name name="name" value=(view.typed) maxlength="80" required autocomplete="off";
                label for="new-kind" { "Type" }
                select #new-kind name="kind" {
                    @for kind in ["STANDARD", "EXPRESS"] {
                        option value=(kind) selected[kind == view.kind] { (kind.to_lowercase()) }
                    }
                }
            },
        }
    }
}

/// The text once more, under what is typed, with marks where something is wrong.
fn marks(view: &View) -> Markup {
    let mut places: Vec<(&Range<usize>, bool)> = view
        .findings
        .iter()
        .filter_map(|finding| Some((finding.place.as_ref()?, finding.is_error)))
        .collect();
    places.sort_by_key(|(place, is_error)| (place.start, !is_error));
    let mut at = 0;
    let mut pieces = Vec::new();
    for (place, is_error) in places {
        // Of two that overlap the first is marked.
        let Some(marked) = view.text.get(place.clone()).filter(|_| place.start >= at) else {
            continue;
        };
        let before = view.text.get(at..place.start).unwrap_or_default();
        pieces.push(html! { (before) mark class=[(!is_error).then_some("warn")] { (marked) } });
        at = place.end;
    }
    html! {
        pre.marks aria-hidden="true" {
            @for piece in pieces { (piece) }
            (view.text.get(at..).unwrap_or_default()) "\n"
        }
    }
}

fn problems(view: &View) -> Markup {
    let errors = view.findings.iter().filter(|finding| finding.is_error).count();
    let warnings = view.findings.len() - errors;
    let counted =
        |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    html! {
        div.bar {
            h2 #problems-title {
                @match (errors, warnings) {
                    (0, 0) => "No problems",
                    (0, _) => (counted(warnings, "warning")),
                    (_, 0) => (counted(errors, "error")),
                    (_, _) => { (counted(errors, "error")) ", " (counted(warnings, "warning")) },
                }
            }
            span.dim { (counted(view.graph.states(), "state")) }
        }
        @if !view.findings.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Problems" data-scroll="problems" {
                ul.plist {
                    @for finding in &view.findings { (problem(view, finding)) }
                }
                @if view.more { p.pad.dim { "There is more." } }
            }
        }
    }
}

fn problem(view: &View, finding: &Finding) -> Markup {
    let line = finding.place.as_ref().map(|place| line_and_column(&view.text, place.start));
    html! {
        li {
            span class=(if finding.is_error { "err sl" } else { "rt sl" }) {
                (if finding.is_error { "error" } else { "warning" })
            }
            span.mono.dim { (finding.number) }
            span.what {
                (ticked(&finding.sentence))
                @if let Some(hint) = &finding.hint { span.dim { " — " (ticked(hint)) } }
            }
            @if let (Some(place), Some((line, column))) = (&finding.place, line) {
                a href=(at(&view.text, place)) { "line " (line) ":" (column) }
            }
        }
    }
}

/// Names in backticks as code.
fn ticked(text: &str) -> Markup {
    html! {
        @for (index, piece) in text.split('`').enumerate() {
            @if index % 2 == 1 { code.mono { (piece) } } @else { (piece) }
        }
    }
}

/// Line and column of a byte, from 1.
fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// A link that the script follows into the text: units of UTF-16, as a browser counts.
fn at(text: &str, place: &Range<usize>) -> String {
    let units = |byte: usize| text.get(..byte).unwrap_or(text).encode_utf16().count();
    format!("#at-{}-{}", units(place.start), units(place.end))
}

fn preview(view: &View) -> Markup {
    let link = |node: &Node| match view.places.get(&node.id) {
        Some(place) => at(&view.text, place),
        None => "#definition".to_owned(),
    };
    let options = Options {
        id_prefix: "",
        name: &view.title(),
        links: Some(&link),
        toggles: None,
        standalone: false,
    };
    let layout = view.graph.layout(&Collapsed::new());
    html! {
        div.gwrap tabindex="0" role="region" aria-label="Graph" data-scroll="graph" {
            (svg(&view.graph, &layout, &Paint::default(), &options))
        }
    }
}

/// What a deployment would change, to be confirmed.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The workflow, its kind and the text, which has no errors.
    pub view: View,
    /// The lines that go and come; empty for a new workflow.
    pub lines: Vec<Line>,
    /// Runs that go on with what they began with.
    pub running: usize,
}

/// Draws it.
pub fn deployment(of: &Deployment) -> Page {
    let view = &of.view;
    let verb = if view.name.is_some() { "Deploy" } else { "Create" };
    let gone = of.lines.iter().filter(|line| line.change == Change::Gone).count();
    let come = of.lines.iter().filter(|line| line.change == Change::New).count();
    let same = view.name.is_some() && gone + come == 0;
    let main = html! {
        form.stack method="post" action="/-/console/workflow-deploy" {
            div.head {
                h1 { (verb) " " (view.name.as_deref().unwrap_or(&view.typed)) }
                div.acts {
                    button.btn formaction="/-/console/workflow-check" { "Back to the text" }
                    button.btn.p name="sure" value="yes" disabled[same] { (verb) }
                }
            }
            input type="hidden" name="back" value=(view.path());
            @if let Some(name) = &view.name { input type="hidden" name="workflow" value=(name); }
            @else { input type="hidden" name="name" value=(view.typed); }
            input type="hidden" name="kind" value=(view.kind);
            textarea.off name="definition" tabindex="-1" aria-hidden="true" readonly { "\n" (view.text) }
            @for finding in &view.findings {
                p.note { "Warning " span.mono { (finding.number) } ": " (ticked(&finding.sentence)) }
            }
            @if same { p.note { "The definition is the one that is deployed." } }
            @if of.running > 0 {
                p.dim { (of.running) " running: they go on with the definition that they began with." }
            }
            @if view.name.is_some() {
                section.card aria-labelledby="diff-title" {
                    div.bar { h2 #diff-title { "What changes" } span.dim { (come) " lines new, " (gone) " gone" } }
                    div.scroll tabindex="0" role="region" aria-label="What changes" {
                        (diff(&of.lines))
                    }
                }
            }
        }
    };
    let crumbs = view.crumbs("deploy");
    let title = format!("{verb} {}", view.title());
    Page { title, section: Section::Workflows, crumbs, main, parts: Parts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str, places: &[Range<usize>]) -> View {
        let finding = |place: &Range<usize>| Finding {
            is_error: true,
            number: "SW0203",
            sentence: "state `<b>` is not defined".to_owned(),
            hint: None,
            place: Some(place.clone()),
        };
        View {
            name: Some("W".to_owned()),
            typed: String::new(),
            kind: "STANDARD".to_owned(),
            text: text.to_owned(),
            findings: places.iter().map(finding).collect(),
            more: false,
            graph: Graph::of(&stepwire_asl::Json::Null),
            places: BTreeMap::new(),
            trial: Trial::default(),
        }
    }

    #[test]
    fn marks_are_where_the_text_is_wrong() {
        let drawn = marks(&view("ab<cd>ef", &[5..7, 1..4, 2..3])).into_string();
        assert!(drawn.contains("a<mark>b&lt;c</mark>d<mark>&gt;e</mark>f\n"), "{drawn}");
    }

    #[test]
    fn places_are_counted_as_browsers_do() {
        let text = "é\n😀x";
        assert_eq!(at(text, &(7..8)), "#at-4-5");
        assert_eq!(line_and_column(text, 7), (2, 2));
    }

    #[test]
    fn what_is_typed_is_text() {
        let drawn = page(&view("</textarea><script>", &[])).main.into_string();
        assert!(!drawn.contains("<script>") && drawn.contains("&lt;/textarea&gt;"), "{drawn}");
    }
}
