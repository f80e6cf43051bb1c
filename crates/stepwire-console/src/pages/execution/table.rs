//! The states of a run in a table.

use maud::{Markup, html};

use super::Drawn;
use crate::run::VisitId;
use crate::words::{clock, duration};

/// Rows of one page.
const ROWS_MAX: usize = 300;

/// The visits in order, those in containers indented.
pub(super) fn table(drawn: &Drawn<'_>) -> Markup {
    let run = drawn.run();
    let visits: Vec<VisitId> =
        (0..run.visits.len()).filter(|id| drawn.scope.has(run, *id)).collect();
    let page = drawn.view.look.page.unwrap_or(1);
    let shown = visits.iter().copied().skip((page - 1) * ROWS_MAX).take(ROWS_MAX);
    let whole = run.started.zip(run.stopped.or_else(|| run.last_at()));
    html! {
        div.scroll.grow tabindex="0" role="group" aria-label="States" data-scroll="table" {
            table.tb.runs {
                thead { tr { th { "State" } th { "Status" } th { "Entered" } th.num { "Took" } th { "When" } th { "Does" } } }
                tbody {
                    @for id in shown { (row(drawn, id, whole)) }
                }
            }
            @if visits.is_empty() { p.empty { "No state was entered yet." } }
        }
        (super::events::pages(drawn, visits.len(), ROWS_MAX, ["Later", "Earlier"]))
    }
}

fn row(
    drawn: &Drawn<'_>,
    id: VisitId,
    whole: Option<(stepwire_asl::Timestamp, stepwire_asl::Timestamp)>,
) -> Markup {
    let run = drawn.run();
    let visit = &run.visits[id];
    let status = run.status_of(id);
    let way = run.way_to(id);
    let href = drawn.to_visit(id);
    let picked = drawn.picked.is_some_and(|(_, picked)| picked == id);
    let inside = way.last().map(|(container, frame)| {
        let (name, frame) = (&run.visits[*container].name, &run.frames[*frame]);
        if frame.iteration {
            format!("{name} [{}]", frame.index)
        } else {
            format!("{name} / {}", frame.index + 1)
        }
    });
    html! {
        tr data-href=(href) .sel[picked] {
            td class={ "d" (way.len().min(4)) } {
                a href=(href) aria-current=[picked.then_some("true")] { (visit.name) }
                @if let Some(inside) = inside { " " span.vdim { (inside) } }
            }
            td {
                (status.line())
                @if visit.attempts.len() > 1 { span.dim { " · " (visit.attempts.len()) " attempts" } }
                @if let Some(tally) = run.tally(id) { span.dim { " · " (tally.succeeded) "/" (tally.of) } }
            }
            td.mono { @if let Some(at) = visit.entered_at { (clock(at)) } }
            td.num { @if let Some(ms) = visit.took_ms(None) { (duration(ms)) } }
            td { (bar(visit.entered_at.zip(visit.ended_at.or_else(|| run.last_at())), whole, status.class())) }
            td.cut.dim { @if let Some(attempt) = visit.attempts.last().filter(|a| !a.resource.is_empty()) { (attempt.call()) } @else { ((*visit.kind).to_lowercase()) } }
        }
    }
}

/// Where in the run something was.
fn bar(
    part: Option<(stepwire_asl::Timestamp, stepwire_asl::Timestamp)>,
    whole: Option<(stepwire_asl::Timestamp, stepwire_asl::Timestamp)>,
    class: &str,
) -> Markup {
    const W: f64 = 90.0;
    let (Some((from, to)), Some((start, end))) = (part, whole) else { return html! {} };
    let length = end.since_ms(start).max(1) as f64;
    let x = from.since_ms(start).max(0) as f64 / length * W;
    let width = (to.since_ms(from).max(0) as f64 / length * W).clamp(2.0, W);
    let x = x.min(W - width);
    html! {
        svg.tb-bar width="90" height="10" aria-hidden="true" {
            rect.bg width="90" height="10" rx="3" {}
            rect class={ "sp " (class) } x=(format!("{x:.1}")) width=(format!("{width:.1}")) height="10" rx="3" {}
        }
    }
}
