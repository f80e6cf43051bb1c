//! Rollouts: the AWS IoT jobs, and how far each has come.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use super::executions::{Choice, choices};
use super::jobs::{Counts, JobStatus, Selection, commands, create, href, targets};
use crate::chart;
use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::{count, date};

/// What the list shows.
#[derive(Debug, Clone)]
pub struct View {
    /// Path and query of the page.
    pub address: String,
    /// Statuses to choose from.
    pub choices: Vec<Choice>,
    /// What was found, newest first.
    pub rows: Vec<Row>,
    /// Where older ones are shown.
    pub older: Option<String>,
    /// Where the newest ones are shown, if these are not them.
    pub newest: Option<String>,
    /// ARN of a thing, for the example of how to make a job.
    pub target: String,
}

/// A job in the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub status: JobStatus,
    /// Whether devices join while it goes on.
    pub selection: Selection,
    /// ARNs of things and groups.
    pub targets: Vec<String>,
    /// How its devices stand.
    pub counts: Counts,
    /// When it was made.
    pub created: Timestamp,
    /// When the last of its executions ended.
    pub completed: Option<Timestamp>,
}

/// Targets that a row names.
const TARGETS: usize = 1;

/// Draws the list.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let kinds = parts.region("choices", choices("Status", &view.choices));
    let rows = parts.region("rows", rows(view));
    let main = html! {
        div.head { div { h1 { "Rollouts" } div.facts { span { "AWS IoT jobs: a document for many devices, and how far each has come with it." } } } }
        (kinds)
        section.card.grow aria-label="Jobs found" {
            div.scroll tabindex="0" role="region" aria-label="Jobs" data-scroll="jobs" { (rows) }
            @if view.newest.is_some() || view.older.is_some() {
                div.foot.row {
                    @if let Some(newest) = &view.newest { a.btn.sm href=(newest) { "Newest" } }
                    @if let Some(older) = &view.older { a.btn.sm href=(older) rel="next" { "Older" } }
                }
            }
        }
    };
    let crumbs = vec![Crumb::here("Rollouts")];
    Page { title: "Rollouts".to_owned(), section: Section::Rollouts, crumbs, main, parts }
}

fn rows(view: &View) -> Markup {
    html! {
        @if view.rows.is_empty() { (nothing(view)) } @else {
            table.tb {
                thead { tr {
                    th { "Status" } th { "Job" } th { "Progress" } th { "Targets" } th { "Created" }
                    th { "Completed" } th { "Selection" }
                } }
                tbody { @for row in &view.rows { (line(row)) } }
            }
        }
    }
}

fn line(row: &Row) -> Markup {
    let to = href(&row.id);
    html! {
        tr data-href=(to) {
            td { (row.status.line()) }
            td.clip { a.mono href=(to) { (row.id) } }
            td { (progress(&row.counts)) }
            td.clip.to { (targets(&row.targets, TARGETS)) }
            td { (date(row.created)) }
            td { @match row.completed { Some(at) => (date(at)), None => span.vdim { "–" } } }
            td.dim { (row.selection.word()) }
        }
    }
}

/// A bar of how the devices stand, and the numbers that matter.
fn progress(counts: &Counts) -> Markup {
    let parts = [
        (counts.succeeded, "ok"),
        (counts.in_progress, "run"),
        (counts.bad(), "err"),
        (counts.withdrawn(), "stop"),
        (counts.queued + counts.untold, "hold"),
    ];
    html! {
        @if counts.all() == 0 { span.vdim { "no device yet" } }
        @else { div.prog {
            (chart::parts(&parts, &counts.words()))
            span {
                (count(counts.succeeded)) " of " (count(counts.all()))
                @if counts.bad() > 0 { ", " span.errn { (count(counts.bad())) " failed" } }
            }
        } }
    }
}

fn nothing(view: &View) -> Markup {
    html! {
        div.empty {
            @if view.address == "/rollouts" {
                b { "No job yet" }
                "A job gives a document to things, or to all things of a group, and keeps what each made of it:"
                (commands(&create(&view.target)))
            } @else {
                b { "Nothing found" } "No job matches. " a href="/rollouts" { "Show all" }
            }
        }
    }
}
