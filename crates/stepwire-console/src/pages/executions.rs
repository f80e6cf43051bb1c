//! Executions: a list with filters, and what is done to many of them at once.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::{Status, capital, count, date, duration, segment, since, until};

/// An execution in a list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its state machine.
    pub workflow: String,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// The error it ended with.
    pub error: Option<String>,
    /// The device it is about.
    pub device: Option<String>,
    /// The state where it is, or ended.
    pub state: Option<String>,
    /// The time that it waits for.
    pub until: Option<Timestamp>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// How often it was redriven.
    pub redrives: u32,
}

impl Row {
    /// Its page.
    pub fn href(&self) -> String {
        format!("/executions/{}/{}", segment(&self.workflow), segment(&self.name))
    }

    /// Where it is, in a cell: the state, what it waits for, the error.
    pub fn place(&self, now: Timestamp) -> Markup {
        html! {
            @if let Some(state) = &self.state { (state) }
            @if let Some(at) = self.until { " " span.vdim { "for " (until(at, now)) } }
            @if let Some(error) = &self.error {
                @if self.state.is_some() { " " }
                span.errn { (error) }
            }
            @if self.state.is_none() && self.error.is_none() { span.vdim { "–" } }
        }
    }

    /// How long it took or has gone on.
    pub fn took(&self, now: Timestamp) -> Markup {
        match self.stopped {
            Some(stopped) => html! { (duration(stopped.since_ms(self.started))) },
            None => since(self.started, now),
        }
    }
}

/// A link that filters, with how many it shows.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What it is called.
    pub name: &'static str,
    /// Where it leads.
    pub href: String,
    /// How many there are; `None`: it is not known.
    pub count: Option<u64>,
    /// Whether it is what is shown.
    pub chosen: bool,
}

/// What is looked for, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A status, as in the address.
    pub status: Option<String>,
    /// Name of a workflow.
    pub workflow: Option<String>,
    /// Name of a device.
    pub device: Option<String>,
    /// How far back, such as `1h`.
    pub since: Option<String>,
    /// Text.
    pub text: Option<String>,
    /// Whether inputs are searched for the text, too.
    pub inputs: bool,
}

/// How far back can be chosen: as in the address, and in words.
pub const SINCE: [(&str, &str); 5] = [
    ("15m", "last 15 minutes"),
    ("1h", "last hour"),
    ("24h", "last 24 hours"),
    ("7d", "last 7 days"),
    ("30d", "last 30 days"),
];

/// What the list shows.
#[derive(Debug, Clone)]
pub struct View {
    /// The time on the node's clock.
    pub now: Timestamp,
    /// Path and query of the page.
    pub address: String,
    /// What is looked for.
    pub wanted: Wanted,
    /// Names of the workflows to choose from.
    pub workflows: Vec<String>,
    /// How many there are of each status.
    pub choices: Vec<Choice>,
    /// What was found, newest first.
    pub rows: Vec<Row>,
    /// How many have begun since the list was first shown, and where they are shown.
    pub new: Option<(u64, String)>,
    /// Where older ones are shown.
    pub older: Option<String>,
    /// Where the newest ones are shown, if these are not them.
    pub newest: Option<String>,
    /// The search has come back to this time and can go on; `older` leads there.
    pub searched_to: Option<Timestamp>,
    /// Numbers are of executions since then; `None`: of all.
    pub known_since: Option<Timestamp>,
    /// Of those that match, how many can be redriven and how many can be stopped.
    pub redrivable: u64,
    /// See `redrivable`.
    pub stoppable: u64,
}

/// Draws the list.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let choices = parts.region("choices", choices("Status", &view.choices));
    let new = parts.region("new", new(view));
    let rows = parts.region("rows", rows(view));
    let all = parts.region("all", everything(view));
    let main = html! {
        div.head { h1 { "Executions" } div.acts { (new) } }
        (filters(view))
        (choices)
        form.card.grow method="post" action="/-/console/executions-ask" {
            input type="hidden" name="back" value=(view.address);
            div.bar {
                h2.off { "Found" }
                button.btn.sm name="do" value="redrive" data-key="r" { "Redrive selected" }
                button.btn.sm name="do" value="stop" data-key="s" { "Stop selected" }
                (all)
            }
            div.scroll tabindex="0" role="region" aria-label="Executions found" { (rows) }
            (foot(view))
        }
    };
    let crumbs = vec![Crumb::here("Executions")];
    Page { title: "Executions".to_owned(), section: Section::Executions, crumbs, main, parts }
}

/// Links that filter.
pub fn choices(label: &str, choices: &[Choice]) -> Markup {
    html! {
        nav.chips aria-label=(label) {
            @for choice in choices {
                a.chip href=(choice.href) aria-current=[choice.chosen.then_some("true")] {
                    (choice.name)
                    @if let Some(number) = choice.count { " " b { (count(number)) } }
                }
            }
        }
    }
}

fn new(view: &View) -> Markup {
    html! {
        @match &view.new {
            Some((0, _)) | None => {
                @if let Some(newest) = &view.newest { a.btn href=(newest) { "Newest" } }
            }
            Some((number, href)) => a.pill.run.newer href=(href) { (count(*number)) " new" },
        }
    }
}

fn filters(view: &View) -> Markup {
    let wanted = &view.wanted;
    let is = |one: &Option<String>, other: &str| one.as_deref() == Some(other);
    html! {
        form.filters action="/executions" role="search" aria-label="Executions" data-auto="" {
            @if let Some(status) = &wanted.status { input type="hidden" name="status" value=(status); }
            label { span.off { "Workflow" }
                select name="workflow" {
                    option value="" { "Any workflow" }
                    @for name in &view.workflows {
                        option value=(name) selected[is(&wanted.workflow, name)] { (name) }
                    }
                }
            }
            label { span.off { "Since" }
                select name="since" {
                    option value="" { "Any time" }
                    @for (value, words) in SINCE {
                        option value=(value) selected[is(&wanted.since, value)] { (capital(words)) }
                    }
                }
            }
            label { span.off { "Device" }
                input name="device" value=[wanted.device.as_deref()] placeholder="Device" size="14"; }
            label { span.off { "Text" }
                input name="q" type="search" value=[wanted.text.as_deref()] size="26"
                    placeholder="Name, state, error"; }
            label.tick { input name="inputs" type="checkbox" value="1" checked[wanted.inputs]; " and inputs" }
            button.btn { "Find" }
            @if view.address != "/executions" { a.btn href="/executions" { "Clear" } }
        }
    }
}

fn rows(view: &View) -> Markup {
    html! {
        @if view.rows.is_empty() {
            (nothing(view))
        } @else {
            table.tb {
                thead { tr {
                    th { span.off { "Select" } } th { "Status" } th { "Name" } th { "Workflow" }
                    th { "Device" } th { "State" } th { "Started" } th.num { "Took" }
                } }
                tbody { @for row in &view.rows { (line(row, view.now)) } }
            }
        }
    }
}

fn line(row: &Row, now: Timestamp) -> Markup {
    let which = format!("{}/{}", segment(&row.workflow), segment(&row.name));
    html! {
        tr data-href=(row.href()) {
            td { input type="checkbox" name="run" value=(which) id={ "x-" (which) }
                aria-label={ "Select " (row.name) }; }
            td { (row.status.line()) @if row.redrives > 0 { " " span.vdim title="Redriven" { "↻" (row.redrives) } } }
            td.id title=(row.name) { a.mono href=(row.href()) { (row.name) } }
            td.name title=(row.workflow) { a href={ "/workflows/" (segment(&row.workflow)) } { (row.workflow) } }
            td.name { (device(row.device.as_deref())) }
            td.wrap { (row.place(now)) }
            td { (date(row.started)) }
            td.num { (row.took(now)) }
        }
    }
}

/// A device in a cell.
pub fn device(name: Option<&str>) -> Markup {
    html! {
        @match name {
            Some(name) => a href={ "/devices/" (segment(name)) } { (name) },
            None => span.vdim { "–" },
        }
    }
}

fn nothing(view: &View) -> Markup {
    html! {
        div.empty {
            @if view.address == "/executions" {
                b { "No execution yet" }
                "One begins when a rule starts a workflow, or by "
                a href="/workflows" { "starting one" } " by hand."
            } @else {
                b { "Nothing found" }
                @if view.searched_to.is_some() { "in what was searched so far." }
                @else { "No execution matches. " a href="/executions" { "Show all" } }
            }
        }
    }
}

/// Buttons for all that match, with how many that is.
fn everything(view: &View) -> Markup {
    html! {
        span.r {
            @if view.redrivable > 0 {
                button.btn.sm name="do" value="redrive-all" { @if view.redrivable == 1 { "Redrive the one that failed" } @else { "Redrive all " (count(view.redrivable)) " that failed" } }
            }
            @if view.stoppable > 0 {
                button.btn.sm.d name="do" value="stop-all" { @if view.stoppable == 1 { "Stop the one that runs" } @else { "Stop all " (count(view.stoppable)) " that run" } }
            }
        }
    }
}

fn foot(view: &View) -> Markup {
    if view.searched_to.is_none() && view.older.is_none() && view.known_since.is_none() {
        return html! {};
    }
    html! {
        div.foot.row {
            @if let Some(at) = view.searched_to {
                span { "Searched back to " (date(at)) "." }
            }
            @if let Some(older) = &view.older {
                a.btn.sm href=(older) rel="next" {
                    @if view.searched_to.is_some() { "Go on searching" } @else { "Older" }
                }
            }
            span.gap {}
            @if let Some(at) = view.known_since {
                span.vdim { "Numbers are of executions since " (date(at)) "; lists go back further." }
            }
        }
    }
}

/// Something that is to be done to executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Run again from where they failed.
    Redrive,
    /// Stop.
    Stop,
}

impl Deed {
    /// As in forms.
    pub fn word(self) -> &'static str {
        match self {
            Deed::Redrive => "redrive",
            Deed::Stop => "stop",
        }
    }

    /// What was done.
    fn done(self) -> &'static str {
        match self {
            Deed::Redrive => "redriven",
            Deed::Stop => "stopped",
        }
    }
}

/// Executions something is to be done to.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What.
    pub deed: Deed,
    /// To which.
    pub rows: Vec<Row>,
    /// More match, which is too many at a time.
    pub more: u64,
    /// The list.
    pub back: String,
}

/// Names that are listed before something is done to all of them.
const LISTED: usize = 20;

/// Asks whether to do it.
pub fn ask(view: &Ask) -> Page {
    let Ask { deed, rows, more, back } = view;
    let word = deed.word();
    let what = match rows.as_slice() {
        [row] => row.name.clone(),
        rows => format!("{} executions", count(rows.len() as u64)),
    };
    let title = format!("{} {what}?", capital(word));
    let main = html! {
        div.head { h1 { (title) } }
        section.card.pad {
            @match deed {
                Deed::Redrive => p { "Each runs again from the state where it ended, with what it had then." },
                Deed::Stop => p { "Each ends as stopped. What it has asked devices for is not taken back." },
            }
            @if *more > 0 {
                p.dim { (count(*more)) " more match. They are too many at a time: do it again for them." }
            }
            ul.names {
                @for row in rows.iter().take(LISTED) {
                    li { (row.status.line()) " " a.mono href=(row.href()) { (row.name) } " " span.dim { (row.workflow) } }
                }
                @if rows.len() > LISTED { li.dim { "and " (count((rows.len() - LISTED) as u64)) " more" } }
            }
            form.row method="post" action="/-/console/executions-do" {
                input type="hidden" name="back" value=(back);
                @for row in rows {
                    input type="hidden" name="run" value={ (segment(&row.workflow)) "/" (segment(&row.name)) };
                }
                button.btn.p name="do" value=(word) { (capital(word)) " " (count(rows.len() as u64)) }
                a.btn href=(back) { "Cancel" }
            }
        }
    };
    done_page(title, main)
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Done {
    /// What was done.
    pub deed: Deed,
    /// To how many.
    pub done: u64,
    /// Why not to others, and to how many.
    pub refused: Vec<(String, u64)>,
    /// The list.
    pub back: String,
}

/// Says what came of it.
pub fn done(view: &Done) -> Page {
    let title = format!("{} {}", count(view.done), view.deed.done());
    let main = html! {
        div.head { h1 { (title) } }
        section.card.pad role="status" {
            @if view.refused.is_empty() { p { "Nothing was refused." } }
            @else {
                p { "Not done:" }
                ul.names { @for (why, number) in &view.refused { li { b { (count(*number)) } " × " (why) } } }
            }
            p { a.btn.p href=(view.back) { "Back to the list" } }
        }
    };
    done_page(title, main)
}

fn done_page(title: String, main: Markup) -> Page {
    let crumbs = vec![Crumb::to("Executions", "/executions"), Crumb::here(title.as_str())];
    Page { title, section: Section::Executions, crumbs, main, parts: Parts::default() }
}
