//! The workflows: how each has done lately.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::{Status, ago, count, duration, segment};

/// Runs of each workflow that the list is about.
pub const RUNS_LISTED: usize = 50;

/// What the list shows.
#[derive(Debug, Clone)]
pub struct View {
    /// State machines, as they are to be listed.
    pub rows: Vec<Row>,
    /// Letters that names have to contain; empty for all.
    pub query: String,
    /// Whether there are more than are shown.
    pub more: bool,
    /// The time on the node's clock.
    pub now: Timestamp,
}

/// One state machine.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// `STANDARD` or `EXPRESS`.
    pub kind: String,
    /// Its states, those in containers included.
    pub states: usize,
    /// The newest published version, if there is one.
    pub version: Option<u64>,
    /// Its newest runs.
    pub runs: Runs,
}

/// The newest runs of a workflow, summed up.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    /// Status and duration of each that ended or runs, newest first; milliseconds.
    pub latest: Vec<(Status, i64)>,
    /// When the newest began.
    pub last: Option<Timestamp>,
    /// Whether there are older ones that are not counted.
    pub more: bool,
}

impl Runs {
    /// How many of them stand like this.
    pub fn count(&self, of: &[Status]) -> usize {
        self.latest.iter().filter(|(status, _)| of.contains(status)).count()
    }

    /// Half of those that succeeded took at most this long, milliseconds; and 99 of 100.
    pub fn times_ms(&self) -> Option<(i64, i64)> {
        let succeeded = self.latest.iter().filter(|(status, _)| *status == Status::Succeeded);
        let mut times: Vec<i64> = succeeded.map(|(_, ms)| *ms).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        let at = |hundredths: usize| times.get((times.len() * hundredths / 100).min(last)).copied();
        Some((at(50)?, at(99)?))
    }

    /// What is counted: `last 200 runs`, `12 runs`.
    pub fn words(&self) -> String {
        match (self.latest.len(), self.more) {
            (0, _) => "no runs yet".to_owned(),
            (1, false) => "1 run".to_owned(),
            (number, false) => format!("{} runs", count(number as u64)),
            (number, true) => format!("last {} runs", count(number as u64)),
        }
    }
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let table = parts.region("workflows", table(view));
    let main = html! {
        div.head {
            h1 { "Workflows" }
            div.acts { a.btn.p href="/workflows?new" { "New workflow" } }
        }
        form.filters action="/workflows" role="search" aria-label="Workflows" {
            input type="search" name="q" value=(view.query) placeholder="Name contains"
                aria-label="Name contains";
            button.btn { "Filter" }
        }
        section.card aria-label="Workflows" { (table) }
    };
    let crumbs = vec![Crumb::here("Workflows")];
    Page { title: "Workflows".to_owned(), section: Section::Workflows, crumbs, main, parts }
}

fn table(view: &View) -> Markup {
    if view.rows.is_empty() {
        return html! {
            div.empty {
                @if view.query.is_empty() {
                    b { "No workflows yet" }
                    "Deploy a template with " code.mono { "stepwire deploy DIR" }
                    ", create one with the AWS CLI, or "
                    a href="/workflows?new" { "write one here" } "."
                } @else {
                    b { "No workflow's name contains “" (view.query) "”" }
                    a href="/workflows" { "Show all" }
                }
            }
        };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="List of workflows" {
            table.tb.tight {
                thead {
                    tr {
                        th { "Name" } th { "Type" } th.num { "States" } th.num { "Version" }
                        th { "Latest " (RUNS_LISTED) " runs" } th.num { "Running" } th.num { "Succeeded" }
                        th.num { "Failed" } th.num { "Median" } th.num { "p99" } th { "Last run" }
                    }
                }
                tbody { @for row in &view.rows { (line(row, view.now)) } }
            }
        }
        @if view.more { p.pad.dim { "There are more: filter by name." } }
    }
}

fn line(row: &Row, now: Timestamp) -> Markup {
    let href = format!("/workflows/{}", segment(&row.name));
    let runs = &row.runs;
    let succeeded = runs.count(&[Status::Succeeded]);
    let failed = runs.count(&[Status::Failed, Status::TimedOut]);
    let times = runs.times_ms();
    let ended = succeeded + failed;
    html! {
        tr data-href=(href) {
            td.name title=(row.name) { a href=(href) { (row.name) } }
            td.dim { (row.kind.to_lowercase()) }
            td.num { (row.states) }
            td.num { @match row.version { Some(version) => (version), None => span.vdim { "–" } } }
            td { (sparks(runs, SPARKS)) }
            td.num { (runs.count(&[Status::Running])) }
            td.num {
                (succeeded)
                @if ended > 0 { " " span.dim { "(" (succeeded * 100 / ended) " %)" } }
            }
            td.num { @if failed > 0 { span.err.sl { (failed) } } @else { "0" } }
            td.num { (time(times.map(|times| times.0))) }
            td.num { (time(times.map(|times| times.1))) }
            td { @match runs.last { Some(at) => (ago(at, now)), None => span.vdim { "never" } } }
        }
    }
}

fn time(ms: Option<i64>) -> Markup {
    html! { @match ms { Some(ms) => (duration(ms)), None => span.vdim { "–" } } }
}

/// Runs drawn as bars: all that are counted.
const SPARKS: usize = RUNS_LISTED;

/// The newest runs as bars, the newest on the right: colour tells how each ended, height how long
/// it took. There is room for `room` of them, and no more than [`SPARKS`].
pub(super) fn sparks(runs: &Runs, room: usize) -> Markup {
    let room = room.min(SPARKS);
    let shown = &runs.latest[..runs.latest.len().min(room)];
    let longest = shown.iter().map(|(_, ms)| *ms).max().unwrap_or(0).max(1) as f64;
    let label = format!(
        "{}: {} succeeded, {} failed, {} running",
        runs.words(),
        runs.count(&[Status::Succeeded]),
        runs.count(&[Status::Failed, Status::TimedOut]),
        runs.count(&[Status::Running]),
    );
    html! {
        @if shown.is_empty() { span.vdim { "none" } } @else {
            svg.spark width=(room * 4) height="20" viewBox={ "0 0 " (room * 4) " 20" }
                role="img" aria-label=(label) {
                @for (index, (status, ms)) in shown.iter().enumerate() {
                    // The square root keeps the short ones visible beside the longest.
                    @let height = 3.0 + 17.0 * (*ms as f64 / longest).sqrt();
                    rect class=(status.class()) x=((shown.len() - 1 - index) * 4) width="3" rx="1"
                        y=(format!("{:.1}", 20.0 - height)) height=(format!("{height:.1}")) {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_summed_up() {
        let runs = Runs {
            latest: vec![
                (Status::Running, 5),
                (Status::Succeeded, 10),
                (Status::Succeeded, 30),
                (Status::Succeeded, 20),
                (Status::Failed, 900),
            ],
            last: None,
            more: true,
        };
        assert_eq!(runs.times_ms(), Some((20, 30)));
        assert_eq!(runs.words(), "last 5 runs");
        assert_eq!(Runs::default().times_ms(), None);
    }

    #[test]
    fn names_are_text() {
        let row = Row {
            name: "<img src=x onerror=alert(1)>".to_owned(),
            kind: "STANDARD".to_owned(),
            states: 1,
            version: None,
            runs: Runs::default(),
        };
        let now = Timestamp(0);
        let view = View { rows: vec![row], query: "<b>".to_owned(), more: false, now };
        let drawn = page(&view).main.into_string();
        assert!(!drawn.contains("<img") && !drawn.contains("<b>\""), "{drawn}");
    }
}
