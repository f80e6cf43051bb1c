//! The history as a list, and what functions wrote.

use maud::{Markup, html};

use stepwire_asl::Json;

use super::{Drawn, Look, Show};
use crate::region::Parts;
use crate::run::{Event, terminal};
use crate::words::{clock, duration, segment};

/// Rows of one page; the first has the latest.
const ROWS_MAX: usize = 300;
/// Rows of a history from a file.
const FILE_ROWS_MAX: usize = 1_000;

/// All events of a history from a file.
pub(super) fn list(drawn: &Drawn<'_>) -> Markup {
    let all: Vec<&Event> = drawn.run().events.iter().collect();
    html! {
        div.scroll tabindex="0" role="group" aria-label="All events" {
            table.tb.runs {
                (columns())
                tbody { @for event in all.iter().take(FILE_ROWS_MAX) { (row(drawn, event)) } }
            }
        }
        @if all.len() > FILE_ROWS_MAX { p.dim.pad { (all.len() - FILE_ROWS_MAX) " more events: time travel shows them." } }
    }
}

/// The events, those with the filter's text in them.
pub(super) fn events(drawn: &Drawn<'_>, parts: &mut Parts) -> Markup {
    let (run, look) = (drawn.run(), &drawn.view.look);
    let filter = look.filter.as_deref().unwrap_or_default();
    let matching: Vec<&Event> =
        run.events.iter().filter(|event| is_about(drawn, event, filter)).collect();
    let page = look.page.unwrap_or(1);
    let end = matching.len().saturating_sub((page - 1) * ROWS_MAX);
    let shown = matching[end.saturating_sub(ROWS_MAX)..end].iter();
    let rows = shown.map(|event| (event.id.to_string(), row(drawn, event))).collect();
    let rows = parts.list("run-events", rows);
    let count = html! { span.dim { (matching.len()) " of " (run.events.len()) } };
    let count = parts.region("run-count", count);
    let none = html! { @if matching.is_empty() { p.empty { "No event has this in it." } } };
    let none = parts.region("run-no-events", none);
    let pages = pages(drawn, matching.len(), ROWS_MAX, ["Earlier", "Later"]);
    let pages = parts.region("run-pages", pages);
    let hidden = look.members().into_iter().filter(|(name, _)| !matches!(*name, "has" | "page"));
    html! {
        form.filters.pad method="get" action=(drawn.base()) role="search" aria-label="Events" {
            @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
            label.off for="has" { "Only events with" }
            input #has type="search" name="has" value=(filter) placeholder="Type, state, error, payload";
            button.btn.sm { "Filter" }
            (count)
        }
        div.scroll.grow tabindex="0" role="group" aria-label="Events" data-scroll="events" {
            table.tb.runs {
                (columns())
                tbody #run-events data-list { (rows) }
            }
            (none)
        }
        (pages)
    }
}

fn columns() -> Markup {
    html! {
        thead { tr { th.num { "#" } th.num { "After" } th { "Type" } th { "State" } th { "What" } } }
    }
}

fn is_about(drawn: &Drawn<'_>, event: &Event, filter: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let wanted = filter.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    let state = event.visit.is_some_and(|id| has(&drawn.run().visits[id].name));
    state || has(&event.kind) || event.id.to_string() == wanted || has(&event.details.to_text())
}

fn row(drawn: &Drawn<'_>, event: &Event) -> Markup {
    let run = drawn.run();
    let after = event.at.zip(run.started).map(|(at, start)| duration(at.since_ms(start)));
    let at = drawn.href(&Look {
        at: Some(event.id),
        show: Show::Graph,
        page: None,
        ..drawn.view.look.clone()
    });
    let bad = event.kind.ends_with("Failed") || event.kind.ends_with("TimedOut");
    let travels = drawn.view.about.is_some();
    html! {
        tr .bad-row[bad] data-item=(event.id) data-at=[event.at.map(|at| at.0)] {
            td.num.mono { @if travels { a href=(at) title="The run as it was then" { (event.id) } } @else { (event.id) } }
            td.num.mono { @if let Some(after) = after { @if let Some(at) = event.at { time title=(at.rfc3339()) datetime=(at.rfc3339()) { (after) } } } }
            td { (event.kind) }
            td { @if let Some(id) = event.visit { a href=(drawn.to_visit(id)) { (run.visits[id].name) } } }
            td.cut.mono.dim { (terminal::about(&event.details)) }
        }
    }
}

/// Links to the pages of a list.
pub(super) fn pages(drawn: &Drawn<'_>, rows: usize, of: usize, [on, back]: [&str; 2]) -> Markup {
    let pages = rows.div_ceil(of);
    if pages < 2 {
        return html! {};
    }
    if drawn.view.about.is_none() {
        return html! { p.dim.pad { (rows - of) " more rows are not shown." } };
    }
    let look = &drawn.view.look;
    let page = look.page.unwrap_or(1).min(pages);
    let to = |page: usize| drawn.href(&Look { page: (page > 1).then_some(page), ..look.clone() });
    html! {
        nav.foot.row aria-label="Pages" {
            @if page > 1 { a.btn.sm href=(to(page - 1)) { (back) } }
            span.dim { "Page " (page) " of " (pages) }
            @if page < pages { a.btn.sm href=(to(page + 1)) { (on) } }
        }
    }
}

/// What functions wrote, each with the step that called it.
pub(super) fn logs(drawn: &Drawn<'_>) -> Markup {
    let logs = &drawn.view.logs;
    html! {
        div.scroll.grow.logs tabindex="0" role="group" aria-label="Logs" data-scroll="logs" {
            @for output in logs {
                (invocation(drawn, output, true))
            }
            @if let Some(group) = &drawn.view.group { (log_group(group)) }
            @else if logs.is_empty() { p.empty { b { "No function has written anything" } "What the functions of this run write is shown here, by the step that called them." } }
        }
    }
}

/// The lines of the workflow's log group.
fn log_group(group: &super::LogGroup) -> Markup {
    html! {
        div.log {
            div.row { b { "Log group " } span.mono { (group.name) } span.dim { "level " (group.level) } }
            @if let Some(problem) = &group.problem { p.bad { (problem) } }
            @else if group.lines.is_empty() { p.dim { "No line of this run: of this level nothing happened, or the lines have been removed." } }
            @for (at, line) in &group.lines {
                @let json = Json::parse(line).ok();
                @let kind = json.as_ref().and_then(|json| json.member("type")?.as_str()).unwrap_or("line");
                details {
                    summary { span.mono.vdim { (clock(*at)) } " " (kind) }
                    @match &json { Some(json) => (super::json::block(json, kind)), None => pre tabindex="0" role="group" aria-label="Line" { (line) } }
                }
            }
            @if group.more { p.dim { "There are more lines: " span.mono { "aws logs filter-log-events --log-group-name " (group.name) } } }
        }
    }
}

/// What one invocation wrote.
pub(super) fn invocation(drawn: &Drawn<'_>, output: &super::Output, with_state: bool) -> Markup {
    let run = drawn.run();
    let of = run.attempt_at(output.scheduled);
    html! {
        div.log {
            div.row {
                span.mono.vdim { (clock(output.at)) }
                @if let (Some((id, _)), true) = (of, with_state) { a href=(drawn.to_visit(id)) { (run.visits[id].name) } }
                @if let Some((id, at)) = of { @if run.visits[id].attempts.len() > 1 { span.dim { "attempt " (at + 1) } } }
                span.dim { "λ " a href={ "/functions/" (segment(&output.function)) } { (output.function) } " · " (duration_of(output.took_ms)) }
                @if output.failed { (crate::words::Status::Failed.line()) }
            }
            @if output.text.trim().is_empty() {
                div.vdim { "wrote nothing" }
            } @else {
                pre tabindex="0" role="group" aria-label={ "Output of " (output.function) } { (output.text.trim_end()) }
            }
        }
    }
}

fn duration_of(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { duration(ms as i64) }
}
