//! One square for each device of a job.

use maud::{Markup, html};

use super::super::jobs::{JobStatus, of_thing};
use super::{SQUARES_MAX, Square, View};
use crate::region::Parts;
use crate::words::{Status, count};

/// What squares look like, and what that means.
const LEGEND: [(Status, &str); 7] = [
    (Status::None, "not told yet"),
    (Status::Waiting, "QUEUED"),
    (Status::Running, "IN_PROGRESS"),
    (Status::Succeeded, "SUCCEEDED"),
    (Status::Retried, "SUCCEEDED after a retry"),
    (Status::Failed, "FAILED, TIMED_OUT, REJECTED"),
    (Status::Stopped, "CANCELED, REMOVED"),
];

/// The card with them. A square that comes out different is sent alone.
pub(super) fn squares(view: &View, parts: &mut Parts) -> Markup {
    let shown = &view.squares[..view.squares.len().min(SQUARES_MAX)];
    let children = shown.iter().map(|it| (it.thing.clone(), square(it))).collect();
    let children = parts.list("squares", children);
    let more = parts.region("squares-more", more(view, shown.len()));
    html! {
        section.card aria-labelledby="squares-title" {
            div.bar {
                h2 #squares-title { "Every device" }
                span.vdim { "one square each; it leads to the device's jobs" }
                div.legend.r aria-label="Legend" role="group" {
                    @for (look, words) in LEGEND {
                        span { i class={ "sq " (look.class()) } aria-hidden="true" {} (words) }
                    }
                }
            }
            a.skip href="#executions-title" { "Skip the squares" }
            div.scroll.sqbox tabindex="0" role="region" aria-label="Squares" {
                ol #squares .sqs data-list { (children) }
            }
            (more)
        }
    }
}

fn square(it: &Square) -> Markup {
    let look = it.status.map_or(Status::None, |status| status.look(it.retries));
    let says = says(it);
    html! {
        li data-item=(it.thing) {
            a class={ "sq " (look.class()) } href=(of_thing(&it.thing)) aria-label=(says) title=(says) {}
        }
    }
}

/// What a square says: `gw-0001: SUCCEEDED, attempt 1`.
fn says(it: &Square) -> String {
    match it.status {
        Some(status) => format!("{}: {}, attempt {}", it.thing, status.word(), it.retries + 1),
        None => format!("{}: not told yet", it.thing),
    }
}

fn more(view: &View, shown: usize) -> Markup {
    let more = view.counts.all().saturating_sub(shown as u64);
    html! {
        @if shown == 0 && more == 0 {
            div.empty {
                @if view.job.status == JobStatus::Scheduled {
                    b { "Not begun" } "Which devices it has is known when it starts."
                } @else {
                    b { "No device" } "None of the targets is a thing now."
                }
            }
        }
        @else if more > 0 { p.pad.dim { (count(more)) " more devices have no square here; the table below lists every execution." } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::jobs::ExecutionStatus;
    use super::*;

    #[test]
    fn a_square_tells_how_the_device_stands() {
        let cases = [
            (None, 0, "none", "gw: not told yet"),
            (Some(ExecutionStatus::Queued), 0, "hold", "gw: QUEUED, attempt 1"),
            (Some(ExecutionStatus::InProgress), 1, "run", "gw: IN_PROGRESS, attempt 2"),
            (Some(ExecutionStatus::Succeeded), 0, "ok", "gw: SUCCEEDED, attempt 1"),
            (Some(ExecutionStatus::Succeeded), 2, "rt", "gw: SUCCEEDED, attempt 3"),
            (Some(ExecutionStatus::Failed), 0, "err", "gw: FAILED, attempt 1"),
            (Some(ExecutionStatus::TimedOut), 0, "err", "gw: TIMED_OUT, attempt 1"),
            (Some(ExecutionStatus::Rejected), 0, "err", "gw: REJECTED, attempt 1"),
            (Some(ExecutionStatus::Removed), 0, "stop", "gw: REMOVED, attempt 1"),
            (Some(ExecutionStatus::Canceled), 0, "stop", "gw: CANCELED, attempt 1"),
        ];
        for (status, retries, class, words) in cases {
            let drawn = square(&Square { thing: "gw".to_owned(), status, retries }).0;
            assert!(drawn.contains(&format!("class=\"sq {class}\"")), "{drawn}");
            assert!(drawn.contains(&format!("aria-label=\"{words}\"")), "{drawn}");
            assert!(LEGEND.iter().any(|(look, _)| look.class() == class), "{class}");
        }
    }
}
