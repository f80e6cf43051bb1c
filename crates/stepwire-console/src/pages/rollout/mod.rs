//! One rollout: an AWS IoT job, how far it has come, and each of its devices.

mod head;
mod numbers;
mod squares;

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use super::executions::{Choice, choices};
use super::jobs::{
    Counts, Execution, ExecutionStatus, JobStatus, Selection, cancel, details, href, of_thing,
};
use crate::frame::{Crumb, Page, Section};
use crate::payload::{Form, block};
use crate::region::Parts;
use crate::words::{count, date, segment};

/// What the page shows.
#[derive(Debug, Clone)]
pub struct View {
    /// The time on the node's clock.
    pub now: Timestamp,
    /// Path and query of the page, without what it asks.
    pub address: String,
    /// The job.
    pub job: Job,
    /// How its devices stand.
    pub counts: Counts,
    /// How fast executions end.
    pub pace: Pace,
    /// Its devices, in an order that stays; at most [`SQUARES_MAX`] are drawn.
    pub squares: Vec<Square>,
    /// Statuses to choose from in the table; the first shows all.
    pub choices: Vec<Choice>,
    /// Executions in the table.
    pub rows: Vec<Execution>,
    /// Where the next ones are shown.
    pub next: Option<String>,
    /// Where the first ones are shown, if these are not them.
    pub first: Option<String>,
    /// What is to be confirmed.
    pub ask: Option<Ask>,
}

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// How it stands.
    pub status: JobStatus,
    /// What its maker wrote.
    pub description: Option<String>,
    /// Whether devices join while it goes on.
    pub selection: Selection,
    /// ARNs of things and groups.
    pub targets: Vec<String>,
    /// What devices get.
    pub document: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Option<Timestamp>,
    /// When the last of its executions ended.
    pub completed: Option<Timestamp>,
    /// Why it was cancelled.
    pub canceled: Option<Cancellation>,
    /// How fast devices are told.
    pub rate: Rate,
    /// When it stops itself.
    pub abort: Vec<AbortRule>,
    /// How long an execution may be in progress, minutes.
    pub timeout_minutes: Option<u64>,
    /// Which failures are tried again, and how often.
    pub retries: Vec<(Failure, u64)>,
    /// When it begins and ends.
    pub schedule: Schedule,
}

/// Why a job was cancelled.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    /// Whether its abort rule did it.
    pub by_abort_rule: bool,
    /// Whether executions in progress were cancelled, too.
    pub forced: bool,
    /// `reasonCode`
    pub reason: Option<String>,
    /// `comment`
    pub comment: Option<String>,
}

/// How fast devices are told of a job.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    /// `maximumPerMinute`
    pub per_minute_max: Option<u64>,
    /// `exponentialRate`
    pub growth: Option<Growth>,
}

/// A rate that grows.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    /// `baseRatePerMinute`
    pub base_per_minute: u64,
    /// `incrementFactor`
    pub factor: f64,
    /// `rateIncreaseCriteria`
    pub after: After,
}

/// After how many devices a rate grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// `numberOfNotifiedThings`
    Notified(u64),
    /// `numberOfSucceededThings`
    Succeeded(u64),
}

/// A `failureType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// `FAILED`
    Failed,
    /// `REJECTED`
    Rejected,
    /// `TIMED_OUT`
    TimedOut,
    /// `ALL`
    All,
}

impl Failure {
    /// By AWS's word.
    pub fn named(word: &str) -> Option<Failure> {
        Some(match word {
            "FAILED" => Failure::Failed,
            "REJECTED" => Failure::Rejected,
            "TIMED_OUT" => Failure::TimedOut,
            "ALL" => Failure::All,
            _ => return None,
        })
    }
}

/// When a job stops itself.
#[derive(Debug, Clone, Copy)]
pub struct AbortRule {
    /// `failureType`
    pub failure: Failure,
    /// `thresholdPercentage`
    pub threshold_percent: f64,
    /// `minNumberOfExecutedThings`
    pub executed_min: u64,
    /// Devices that failed like this until now.
    pub failed: u64,
    /// Devices that the threshold is a part of, as whoever cancels counts them.
    pub executed: u64,
}

/// When a job begins and ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schedule {
    /// `startTime`
    pub start: Option<Timestamp>,
    /// `endTime`
    pub end: Option<Timestamp>,
    /// `endBehavior`
    pub behavior: Option<EndBehavior>,
}

/// What becomes of executions at the end of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndBehavior {
    /// `STOP_ROLLOUT`
    StopRollout,
    /// `CANCEL`
    Cancel,
    /// `FORCE_CANCEL`
    ForceCancel,
}

impl EndBehavior {
    /// By AWS's word.
    pub fn named(word: &str) -> Option<EndBehavior> {
        Some(match word {
            "STOP_ROLLOUT" => EndBehavior::StopRollout,
            "CANCEL" => EndBehavior::Cancel,
            "FORCE_CANCEL" => EndBehavior::ForceCancel,
            _ => return None,
        })
    }
}

/// How fast the executions of a job end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// How long each that succeeded took from its beginning, milliseconds.
    pub took_ms: Vec<i64>,
    /// When each that was not cancelled or removed ended.
    pub ended: Vec<Timestamp>,
}

impl Pace {
    /// From executions of the job, all or the newest.
    pub fn of<'a>(executions: impl IntoIterator<Item = &'a Execution>) -> Pace {
        let mut pace = Pace::default();
        for execution in executions.into_iter().filter(|it| it.status.was_done()) {
            pace.ended.extend(execution.updated);
            if execution.status == ExecutionStatus::Succeeded {
                let times = execution.started.zip(execution.updated);
                pace.took_ms.extend(times.map(|(from, to)| to.since_ms(from).max(0)));
            }
        }
        pace
    }
}

/// A device of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Square {
    /// The thing.
    pub thing: String,
    /// How it stands; `None`: it was not told yet.
    pub status: Option<ExecutionStatus>,
    /// `retryAttempt`
    pub retries: u64,
}

/// Squares that are drawn.
pub const SQUARES_MAX: usize = 2_000;

/// Devices that a new job can be made for: targets of one request. Source: `CreateJob`, `targets`.
pub const RETRIED_MAX: u64 = 100;

/// What is to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// `cancel`: that the job is cancelled.
    Cancel,
    /// `delete`: that it is deleted.
    Delete,
}

impl Ask {
    /// What the members of a query ask for: `cancel=yes`, `delete=yes`.
    pub fn of(query: impl Fn(&str) -> Option<String>) -> Option<Ask> {
        let is = |name: &str| query(name).as_deref() == Some("yes");
        if is("cancel") {
            Some(Ask::Cancel)
        } else if is("delete") {
            Some(Ask::Delete)
        } else {
            None
        }
    }
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let job = &view.job;
    let head = parts.region("head", head::head(view));
    let counters = parts.region("counters", head::counters(view));
    let squares = squares::squares(view, &mut parts);
    let kinds = parts.region("choices", choices("Status", &view.choices));
    let rows = parts.region("executions", rows(view));
    let main = html! {
        (head)
        (ask(view))
        (counters)
        (squares)
        @if let Some(document) = &job.document {
            details #document .card.new {
                summary { "Document" }
                div.pad { (block(document.as_bytes(), Form::Auto)) }
            }
        }
        section.card aria-labelledby="executions-title" {
            div.bar { h2 #executions-title tabindex="-1" { "Executions " span.vdim { "a device that tries again has several" } } (kinds) }
            div.scroll tabindex="0" role="region" aria-label="Executions of the job" data-scroll="executions" { (rows) }
            @if view.first.is_some() || view.next.is_some() {
                div.foot.row {
                    @if let Some(first) = &view.first { a.btn.sm href=(first) { "First" } }
                    @if let Some(next) = &view.next { a.btn.sm href=(next) rel="next" { "Next" } }
                }
            }
        }
    };
    let crumbs = vec![Crumb::to("Rollouts", "/rollouts"), Crumb::here(job.id.as_str())];
    Page { title: job.id.clone(), section: Section::Rollouts, crumbs, main, parts }
}

/// The form that was asked for, as long as the job stands so that it can be sent.
fn ask(view: &View) -> Markup {
    let job = &view.job;
    html! {
        @match view.ask {
            Some(Ask::Cancel) if job.status.is_open() => {
                form.bad.stack method="post" action="/-/console/job-cancel" {
                    input type="hidden" name="back" value=(view.address);
                    input type="hidden" name="job" value=(job.id);
                    span { "Cancel " b { (job.id) } "? What is queued is taken back, and nobody else is told." }
                    label.tick {
                        input type="checkbox" name="force" value="1";
                        " also executions in progress; their devices may go on all the same"
                    }
                    div.fld {
                        label for="comment" { "Comment" }
                        input #comment name="comment" maxlength="2028" autocomplete="off";
                    }
                    div.row { button.btn.d { "Cancel the job" } a.btn href=(view.address) { "Keep it" } }
                }
            },
            Some(Ask::Delete) if job.status.has_ended() => {
                form.bad.row method="post" action="/-/console/job-delete" {
                    input type="hidden" name="back" value="/rollouts";
                    input type="hidden" name="job" value=(job.id);
                    span { "Delete " b { (job.id) } "? What is known of its executions is lost with it." }
                    span.gap {}
                    button.btn.d { "Delete" }
                    a.btn href=(view.address) { "Keep it" }
                }
            },
            _ => {},
        }
    }
}

fn rows(view: &View) -> Markup {
    let shows_all = view.first.is_none() && !view.choices.iter().skip(1).any(|it| it.chosen);
    html! {
        @if view.rows.is_empty() {
            div.empty {
                @if shows_all {
                    b { "No execution yet" }
                    @if view.counts.untold > 0 { (count(view.counts.untold)) " devices have yet to be told." }
                    @else { "Devices get one when they are told of the job." }
                } @else {
                    b { "Nothing found" } "No execution matches. " a href=(href(&view.job.id)) { "Show all" }
                }
            }
        } @else {
            table.tb {
                thead { tr {
                    th { "Status" } th { "Device" } th { "Queued" } th { "Started" } th { "Updated" }
                    th.num { "Attempt" } th { "Details" } th { span.off { "Cancel" } }
                } }
                tbody { @for row in &view.rows { (line(view, row)) } }
            }
        }
    }
}

fn line(view: &View, row: &Execution) -> Markup {
    let to = of_thing(&row.thing);
    let id = format!("{}-{}", segment(&row.thing), row.number);
    html! {
        tr data-href=(to) {
            td { (row.line()) }
            td.clip { a href=(to) { (row.thing) } }
            td { (time(row.queued)) }
            td { (time(row.started)) }
            td { (time(row.updated)) }
            td.num title={ "execution number " (row.number) } { (row.retries + 1) }
            td.wrap.said { (details(row, &id)) }
            td.act { (cancel(row, &id, &view.address)) }
        }
    }
}

fn time(at: Option<Timestamp>) -> Markup {
    html! { @match at { Some(at) => (date(at)), None => span.vdim { "–" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: ExecutionStatus, from: i64, to: i64) -> Execution {
        Execution {
            thing: "gw".to_owned(),
            job: "j".to_owned(),
            status,
            number: 1,
            retries: 0,
            queued: None,
            started: Some(Timestamp(from)),
            updated: Some(Timestamp(to)),
            details: Vec::new(),
        }
    }

    #[test]
    fn only_what_devices_did_makes_the_pace() {
        let executions = [
            ended(ExecutionStatus::Succeeded, 10, 40),
            ended(ExecutionStatus::Failed, 10, 50),
            ended(ExecutionStatus::Canceled, 10, 60),
            ended(ExecutionStatus::InProgress, 10, 70),
        ];
        let pace = Pace::of(&executions);
        assert_eq!(pace.took_ms, [30]);
        assert_eq!(pace.ended, [40, 50].map(Timestamp));
    }

    #[test]
    fn a_question_is_in_the_address() {
        let of = |asked: &'static str| Ask::of(move |name| (name == asked).then(|| "yes".into()));
        assert_eq!(of("cancel"), Some(Ask::Cancel));
        assert_eq!(of("delete"), Some(Ask::Delete));
        assert_eq!(of("status"), None);
    }
}
