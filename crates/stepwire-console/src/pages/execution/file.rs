//! A history that somebody has from elsewhere: the form that takes it, and the page that shows it.
//!
//! Nothing is stored, so that page has no addresses of its own: all states are on it, one below the
//! other, and links lead to them. Another moment of the run is a form that sends everything again.

use maud::{Markup, html};

use super::{Drawn, View, events, head, inspector, legend, table, timeline};
use crate::frame::{Crumb, Page, Section};
use crate::graph::{self, Collapsed, Options};
use crate::region::Parts;
use crate::run::{Run, VisitId};

pub(super) const TITLE: &str = "History from a file";

/// Visits that are shown in full.
const VISITS_MAX: usize = 200;

/// What somebody gave.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The history.
    pub history: String,
    /// The definition, if they have it.
    pub definition: String,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// What it lacks.
    pub missing: Option<String>,
}

/// Where a visit is on the page.
pub(super) fn anchor(run: &Run, id: VisitId) -> String {
    format!("#visit-{}", run.visits[id].entered)
}

/// The form that takes a history.
pub fn open(given: &Given) -> Page {
    let main = html! {
        div.head { h1 { "Open a history" } }
        @if let Some(problem) = &given.problem { div.bad role="alert" { (problem) } }
        section.card aria-labelledby="open-title" {
            h2 #open-title { "Look at a run from elsewhere" }
            div.pad {
                p.dim {
                    "Paste what " span.mono { "aws stepfunctions get-execution-history" }
                    " printed, choose the file, or drop it on any page. With the definition the graph shows what was not reached too. Nothing is stored."
                }
                (form(given))
            }
        }
    };
    let crumbs = vec![Crumb::to("Executions", "/executions"), Crumb::here("Open a history")];
    Page {
        title: "Open a history".to_owned(),
        section: Section::Executions,
        crumbs,
        main,
        parts: Parts::default(),
    }
}

fn form(given: &Given) -> Markup {
    html! {
        form.stack method="post" action="/-/console/open" {
            input type="hidden" name="back" value="/open";
            div.cards {
                div.fld {
                    label for="history" { "History (JSON)" }
                    textarea #history name="history" rows="14" spellcheck="false" required { (given.history) }
                    div.js { label.off for="history-file" { "File with the history" } input #history-file type="file" accept=".json,.jsonl,application/json" data-into="history"; }
                }
                div.fld {
                    label for="definition" { "Definition (JSON, optional)" }
                    textarea #definition name="definition" rows="14" spellcheck="false" { (given.definition) }
                    div.js { label.off for="definition-file" { "File with the definition" } input #definition-file type="file" accept=".json,.asl,application/json" data-into="definition"; }
                }
            }
            div { button.btn.p { "Open" } }
        }
    }
}

/// The page that shows it.
pub fn file(view: &View, given: &Given) -> Page {
    let drawn = Drawn::new(view);
    let run = &view.run;
    let graph = &drawn.graph;
    let paint = {
        let mut paint = drawn.paint();
        paint.selected = None;
        paint
    };
    let link = |node: &graph::Node| drawn.to_state(&node.name);
    let options = Options {
        id_prefix: "",
        name: TITLE,
        links: Some(&link),
        toggles: None,
        standalone: false,
    };
    let layout = graph.layout(&Collapsed::default());
    let more = run.visits.len().saturating_sub(VISITS_MAX);
    let main = html! {
        (head::head(&drawn))
        (head::why(&drawn))
        @if let Some(missing) = &given.missing {
            p.bad role="note" { "This is not the whole history: " (missing) ". What follows is what these events tell." }
        }
        @if !run.is_defined() { p.note { "Without the definition the graph shows what was reached alone." } }
        section.card.g aria-label="Graph" {
            div.gwrap tabindex="0" role="group" aria-label="Graph" { (graph::svg(graph, &layout, &paint, &options)) }
            div.foot { (legend()) }
        }
        section.card.tl aria-label="Timeline" { (timeline::timeline(&drawn)) }
        (moment(view, given))
        section.card aria-labelledby="states" { div.bar { h2 #states { "States" } } (table::table(&drawn)) }
        @for id in 0..run.visits.len().min(VISITS_MAX) { (inspector::whole(&drawn, id)) }
        @if more > 0 { p.dim { (more) " more visits are in the table of events only." } }
        section.card aria-labelledby="all-events" { div.bar { h2 #all-events { "Events" } } (events::list(&drawn)) }
    };
    let crumbs = super::crumbs(view);
    Page {
        title: TITLE.to_owned(),
        section: Section::Executions,
        crumbs,
        main,
        parts: Parts::default(),
    }
}

/// Another moment of the run.
fn moment(view: &View, given: &Given) -> Markup {
    let at = view.look.at.map_or(view.events, |at| usize::try_from(at).unwrap_or(view.events));
    html! {
        section.card.travel aria-label="Time travel" {
            form method="post" action="/-/console/open" data-auto {
                input type="hidden" name="back" value="/open";
                textarea.off name="history" aria-label="History" tabindex="-1" readonly { (given.history) }
                textarea.off name="definition" aria-label="Definition" tabindex="-1" readonly { (given.definition) }
                label for="at" { "Time travel" }
                input #at type="range" name="at" min="1" max=(view.events) value=(at) aria-describedby="at-event";
                span #at-event .mono { (at) " / " (view.events) }
                button.btn.sm { "Show" }
            }
        }
    }
}
