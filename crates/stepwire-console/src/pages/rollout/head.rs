//! What the job is, what can be done about it, and its numbers.

use maud::{Markup, html};

use super::super::jobs::{JobStatus, href, targets};
use super::numbers::{Left, about, left_ms, limit, percent, percentile, so_far};
use super::{
    AbortRule, After, Cancellation, EndBehavior, Failure, Growth, RETRIED_MAX, Rate, Schedule, View,
};
use crate::link::link;
use crate::words::{ago, count, date, duration};

/// Targets that are named.
const TARGETS: usize = 6;

pub(super) fn head(view: &View) -> Markup {
    let job = &view.job;
    html! {
        div.head {
            div {
                h1 { (job.id) (job.status.pill()) }
                @if let Some(description) = &job.description { p.lead.any { (description) } }
                div.facts {
                    span { @if job.targets.len() == 1 { "Target " } @else { "Targets " } (targets(&job.targets, TARGETS)) }
                    span { "Selection " b { (job.selection.word()) } }
                    span { "Created " b { (date(job.created)) } }
                    @match (job.completed, job.updated) {
                        (Some(at), _) => span { "Completed " b { (date(at)) } },
                        (None, Some(at)) => span { "Updated " (ago(at, view.now)) },
                        (None, None) => {},
                    }
                    span { "Rate " b { (rate(&job.rate)) } }
                    @if let Some(minutes) = job.timeout_minutes {
                        span { "TIMED_OUT after " b { (duration(milliseconds(minutes))) } " in progress" }
                    }
                    @for (failure, times) in &job.retries { span { (retries(*failure, *times)) } }
                    @for rule in &job.abort { span { (abort(rule)) } }
                    (schedule(view, &job.schedule))
                    span.mono { (job.arn) }
                }
            }
            (actions(view))
        }
        @if let Some(canceled) = &job.canceled { (cancellation(canceled)) }
    }
}

fn milliseconds(minutes: u64) -> i64 {
    i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(60_000)
}

fn actions(view: &View) -> Markup {
    let job = &view.job;
    let bad = view.counts.bad();
    html! {
        div.acts {
            @if job.status.is_open() {
                a.btn.d href=(link(&view.address, &[("cancel", "yes")])) { "Cancel…" }
            }
            @if job.status.has_ended() {
                a.btn.d href=(link(&view.address, &[("delete", "yes")])) { "Delete…" }
            }
            @if (1..=RETRIED_MAX).contains(&bad) {
                form method="post" action="/-/console/job-retry"
                    data-confirm={ "Make a new job for the " (bad) " that failed?" } {
                    input type="hidden" name="back" value=(href(&job.id));
                    input type="hidden" name="job" value=(job.id);
                    button #retry .btn.p { "Retry " (bad) " failed" }
                }
            } @else if bad > RETRIED_MAX {
                span.dim { "More than " (RETRIED_MAX) " failed: a new job for a thing group retries them" }
            }
        }
    }
}

fn cancellation(canceled: &Cancellation) -> Markup {
    html! {
        div.now.stop role="status" {
            (crate::words::Status::Stopped.mark())
            div {
                @if canceled.by_abort_rule { "Canceled by its abort rule" } @else { "Canceled" }
                @if canceled.forced { ", executions in progress too" }
                @if let Some(reason) = &canceled.reason { ": " b.mono { (reason) } }
                @if let Some(comment) = &canceled.comment {
                    @if canceled.reason.is_none() { ":" }
                    " “" (comment) "”"
                }
            }
        }
    }
}

/// How fast devices are told, in words.
fn rate(rate: &Rate) -> String {
    let most = rate.per_minute_max.map(|most| format!("at most {} a minute", count(most)));
    match (rate.growth, most) {
        (None, None) => "all at once".to_owned(),
        (None, Some(most)) => most,
        (Some(growth), None) => grows(&growth),
        (Some(growth), Some(most)) => format!("{}, {most}", grows(&growth)),
    }
}

fn grows(growth: &Growth) -> String {
    let after = match growth.after {
        After::Notified(number) => format!("{} notified", count(number)),
        After::Succeeded(number) => format!("{} succeeded", count(number)),
    };
    let (base, factor) = (count(growth.base_per_minute), limit(growth.factor));
    format!("{base} a minute at first, times {factor} after each {after}")
}

/// A kind of failure in AWS's words.
fn words(failure: Failure) -> &'static str {
    match failure {
        Failure::Failed => "FAILED",
        Failure::Rejected => "REJECTED",
        Failure::TimedOut => "TIMED_OUT",
        Failure::All => "FAILED, REJECTED or TIMED_OUT",
    }
}

fn abort(rule: &AbortRule) -> Markup {
    let devices = if rule.executed_min == 1 { "device" } else { "devices" };
    html! {
        "Stops itself at " b { (limit(rule.threshold_percent)) " % " (words(rule.failure)) }
        " of at least " (count(rule.executed_min)) " " (devices)
        @if let Some(now) = percent(rule.failed, rule.executed) { ", now " b { (so_far(now)) " %" } }
    }
}

/// Rejected executions are not tried again. Source: `RetryCriteria`, `failureType`.
fn retries(failure: Failure, times: u64) -> Markup {
    let what = if failure == Failure::All { "FAILED or TIMED_OUT" } else { words(failure) };
    html! {
        "Tries " b { (what) } " again up to " b { (count(times)) } @if times == 1 { " time" } @else { " times" }
    }
}

fn schedule(view: &View, schedule: &Schedule) -> Markup {
    html! {
        @if let Some(start) = schedule.start {
            span { @if start > view.now { "Starts " } @else { "Started " } b { (date(start)) } }
        }
        @if let Some(end) = schedule.end {
            span {
                @if end > view.now { "Ends " } @else { "Ended " } b { (date(end)) }
                @match schedule.behavior {
                    Some(EndBehavior::StopRollout) => ": STOP_ROLLOUT, nobody else is told",
                    Some(EndBehavior::Cancel) => ": CANCEL, what is queued is taken back",
                    Some(EndBehavior::ForceCancel) => ": FORCE_CANCEL, what is queued or in progress is taken back",
                    None => {},
                }
            }
        }
    }
}

/// The numbers, a card each.
pub(super) fn counters(view: &View) -> Markup {
    let counts = &view.counts;
    let failed = [(counts.timed_out, "timed out"), (counts.rejected, "rejected")];
    let failed: Vec<String> = failed
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(*number)))
        .collect();
    let failed =
        if failed.is_empty() { "none timed out or rejected".to_owned() } else { failed.join(", ") };
    let queued = match counts.untold {
        0 => "told, not begun".to_owned(),
        untold => format!("{} not yet told", count(untold)),
    };
    let withdrawn = match counts.removed {
        0 => "taken back".to_owned(),
        removed => format!("{} of them removed", count(removed)),
    };
    let median = percentile(&view.pace.took_ms, 50).map(duration);
    let most = percentile(&view.pace.took_ms, 95);
    let most = most
        .map_or_else(|| "of those that succeed".to_owned(), |ms| format!("p95 {}", duration(ms)));
    html! {
        div.kp role="group" aria-label="Numbers" {
            (card("Succeeded", "ok", &count(counts.succeeded), &format!("of {}", count(counts.all()))))
            (card("In progress", "run", &count(counts.in_progress), "begun by the device"))
            (card("Failed", if counts.bad() > 0 { "err" } else { "" }, &count(counts.bad()), &failed))
            (card("Queued", "", &count(counts.queued), &queued))
            @if counts.withdrawn() > 0 {
                (card("Canceled", "", &count(counts.withdrawn()), &withdrawn))
            }
            (card("Median time", "", median.as_deref().unwrap_or("–"), &most))
            (end(view))
        }
    }
}

/// When it will be done, or how long it took.
fn end(view: &View) -> Markup {
    let (job, counts) = (&view.job, &view.counts);
    if let Some(completed) = job.completed {
        return card("Took", "", &about(completed.since_ms(job.created)), "since it was created");
    }
    if job.status != JobStatus::InProgress || counts.left() == 0 {
        return html! {};
    }
    let left = Left {
        devices: counts.left(),
        untold: counts.untold,
        told_per_minute_max: job.rate.per_minute_max,
    };
    match left_ms(left, &view.pace.ended, view.now) {
        Some(ms) => card("Done in about", "", &about(ms), "at the current rate"),
        None => card("Done in about", "", "–", "too few have ended to tell"),
    }
}

fn card(name: &str, class: &str, value: &str, more: &str) -> Markup {
    html! {
        div class={ "card " (class) } { span { (name) } b { (value) } span { (more) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_sentence() {
        let growth = Growth { base_per_minute: 50, factor: 1.5, after: After::Succeeded(1_000) };
        let of = |per_minute_max, growth| rate(&Rate { per_minute_max, growth });
        assert_eq!(of(None, None), "all at once");
        assert_eq!(of(Some(120), None), "at most 120 a minute");
        assert_eq!(
            of(Some(500), Some(growth)),
            "50 a minute at first, times 1.5 after each 1\u{202f}000 succeeded, at most 500 a minute"
        );
        let growth = Growth { after: After::Notified(10), factor: 2.0, ..growth };
        assert_eq!(of(None, Some(growth)), "50 a minute at first, times 2 after each 10 notified");
    }

    #[test]
    fn an_abort_rule_says_how_far_it_is() {
        let rule = AbortRule {
            failure: Failure::Failed,
            threshold_percent: 5.0,
            executed_min: 10,
            failed: 15,
            executed: 668,
        };
        let said = abort(&rule).0.replace("<b>", "").replace("</b>", "");
        assert_eq!(said, "Stops itself at 5 % FAILED of at least 10 devices, now 2.2 %");
        let rule = AbortRule { failure: Failure::All, executed: 0, executed_min: 1, ..rule };
        let said = abort(&rule).0.replace("<b>", "").replace("</b>", "");
        assert_eq!(said, "Stops itself at 5 % FAILED, REJECTED or TIMED_OUT of at least 1 device");
    }
}
