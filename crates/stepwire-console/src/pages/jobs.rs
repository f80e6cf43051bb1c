//! AWS IoT jobs and their executions, as three pages show them: words, marks, numbers, the button
//! that cancels one.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::payload::cut;
use crate::words::{Status, count, segment};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// It has yet to begin.
    Scheduled,
    /// Devices are told of it, or work on it.
    InProgress,
    /// It was cancelled, by somebody or by its abort rule.
    Canceled,
    /// All of its executions have ended.
    Completed,
    /// It is being deleted.
    DeletionInProgress,
}

impl JobStatus {
    /// All of them.
    pub const ALL: [JobStatus; 5] = [
        JobStatus::Scheduled,
        JobStatus::InProgress,
        JobStatus::Completed,
        JobStatus::Canceled,
        JobStatus::DeletionInProgress,
    ];

    /// By AWS's word.
    pub fn named(word: &str) -> Option<JobStatus> {
        JobStatus::ALL.into_iter().find(|status| status.word() == word)
    }

    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            JobStatus::Scheduled => "SCHEDULED",
            JobStatus::InProgress => "IN_PROGRESS",
            JobStatus::Canceled => "CANCELED",
            JobStatus::Completed => "COMPLETED",
            JobStatus::DeletionInProgress => "DELETION_IN_PROGRESS",
        }
    }

    /// Whether it can be deleted, and no longer cancelled.
    pub fn has_ended(self) -> bool {
        match self {
            JobStatus::Canceled | JobStatus::Completed => true,
            JobStatus::Scheduled | JobStatus::InProgress | JobStatus::DeletionInProgress => false,
        }
    }

    /// Whether it can be cancelled.
    pub fn is_open(self) -> bool {
        matches!(self, JobStatus::Scheduled | JobStatus::InProgress)
    }

    fn look(self) -> Status {
        match self {
            JobStatus::Scheduled => Status::Waiting,
            JobStatus::InProgress => Status::Running,
            JobStatus::Completed => Status::Succeeded,
            JobStatus::Canceled | JobStatus::DeletionInProgress => Status::Stopped,
        }
    }

    /// Mark and word in a row of text.
    pub fn line(self) -> Markup {
        line(self.look(), self.word())
    }

    /// Mark and word in a coloured pill.
    pub fn pill(self) -> Markup {
        let look = self.look();
        html! { span class={ "pill " (look.class()) } { (look.mark()) (self.word()) } }
    }
}

/// How a job stands on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// The device was told of it and has not begun.
    Queued,
    /// The device works on it.
    InProgress,
    /// The device did it.
    Succeeded,
    /// The device could not do it.
    Failed,
    /// The device was in progress for too long.
    TimedOut,
    /// The device would not do it.
    Rejected,
    /// The device is no longer a target.
    Removed,
    /// It was cancelled.
    Canceled,
}

impl ExecutionStatus {
    /// All of them.
    pub const ALL: [ExecutionStatus; 8] = [
        ExecutionStatus::Queued,
        ExecutionStatus::InProgress,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Rejected,
        ExecutionStatus::Removed,
        ExecutionStatus::Canceled,
    ];

    /// By AWS's word.
    pub fn named(word: &str) -> Option<ExecutionStatus> {
        ExecutionStatus::ALL.into_iter().find(|status| status.word() == word)
    }

    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            ExecutionStatus::Queued => "QUEUED",
            ExecutionStatus::InProgress => "IN_PROGRESS",
            ExecutionStatus::Succeeded => "SUCCEEDED",
            ExecutionStatus::Failed => "FAILED",
            ExecutionStatus::TimedOut => "TIMED_OUT",
            ExecutionStatus::Rejected => "REJECTED",
            ExecutionStatus::Removed => "REMOVED",
            ExecutionStatus::Canceled => "CANCELED",
        }
    }

    /// Whether the device has yet to do it.
    pub fn is_pending(self) -> bool {
        matches!(self, ExecutionStatus::Queued | ExecutionStatus::InProgress)
    }

    /// Whether the device itself, or its time limit, brought it to its end.
    pub fn was_done(self) -> bool {
        match self {
            ExecutionStatus::Succeeded
            | ExecutionStatus::Failed
            | ExecutionStatus::TimedOut
            | ExecutionStatus::Rejected => true,
            ExecutionStatus::Queued
            | ExecutionStatus::InProgress
            | ExecutionStatus::Removed
            | ExecutionStatus::Canceled => false,
        }
    }

    /// Colour and mark, after so many retries.
    pub(super) fn look(self, retries: u64) -> Status {
        match self {
            ExecutionStatus::Queued => Status::Waiting,
            ExecutionStatus::InProgress => Status::Running,
            ExecutionStatus::Succeeded if retries > 0 => Status::Retried,
            ExecutionStatus::Succeeded => Status::Succeeded,
            ExecutionStatus::Failed | ExecutionStatus::Rejected => Status::Failed,
            ExecutionStatus::TimedOut => Status::TimedOut,
            ExecutionStatus::Removed | ExecutionStatus::Canceled => Status::Stopped,
        }
    }
}

/// A job on one device.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The thing.
    pub thing: String,
    /// The job's id.
    pub job: String,
    /// How it stands.
    pub status: ExecutionStatus,
    /// `executionNumber`
    pub number: u64,
    /// `retryAttempt`
    pub retries: u64,
    /// When the device was told of it.
    pub queued: Option<Timestamp>,
    /// When the device began.
    pub started: Option<Timestamp>,
    /// When it last changed.
    pub updated: Option<Timestamp>,
    /// `statusDetails`: what the device says of it.
    pub details: Vec<(String, String)>,
}

impl Execution {
    /// Mark and word.
    pub(super) fn line(&self) -> Markup {
        line(self.status.look(self.retries), self.status.word())
    }
}

/// How many devices stand in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Targets that were not told of the job yet.
    pub untold: u64,
    /// `QUEUED`
    pub queued: u64,
    /// `IN_PROGRESS`
    pub in_progress: u64,
    /// `SUCCEEDED`
    pub succeeded: u64,
    /// `FAILED`
    pub failed: u64,
    /// `REJECTED`
    pub rejected: u64,
    /// `TIMED_OUT`
    pub timed_out: u64,
    /// `REMOVED`
    pub removed: u64,
    /// `CANCELED`
    pub canceled: u64,
}

impl Counts {
    /// Devices in all.
    pub fn all(&self) -> u64 {
        self.left() + self.succeeded + self.bad() + self.withdrawn()
    }

    /// Those that have yet to end.
    pub fn left(&self) -> u64 {
        self.untold + self.queued + self.in_progress
    }

    /// Those that ended badly.
    pub fn bad(&self) -> u64 {
        self.failed + self.rejected + self.timed_out
    }

    /// Those that it was taken from.
    pub fn withdrawn(&self) -> u64 {
        self.removed + self.canceled
    }

    /// All of them in words, those that are none left out.
    pub(super) fn words(&self) -> String {
        let parts = [
            (self.succeeded, "succeeded"),
            (self.in_progress, "in progress"),
            (self.queued, "queued"),
            (self.untold, "not yet told"),
            (self.failed, "failed"),
            (self.rejected, "rejected"),
            (self.timed_out, "timed out"),
            (self.canceled, "canceled"),
            (self.removed, "removed"),
        ];
        let parts = parts.iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> =
            parts.map(|(number, word)| format!("{} {word}", count(*number))).collect();
        if parts.is_empty() { "no devices".to_owned() } else { parts.join(", ") }
    }
}

/// Whether devices join while the job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// The devices that were targets when it began.
    Snapshot,
    /// Also those that become targets later.
    Continuous,
}

impl Selection {
    /// By AWS's word.
    pub fn named(word: &str) -> Option<Selection> {
        [Selection::Snapshot, Selection::Continuous].into_iter().find(|it| it.word() == word)
    }

    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Selection::Snapshot => "SNAPSHOT",
            Selection::Continuous => "CONTINUOUS",
        }
    }
}

/// The page of a job.
pub fn href(job: &str) -> String {
    format!("/rollouts/{}", segment(job))
}

/// The jobs of a device.
pub fn of_thing(thing: &str) -> String {
    format!("/devices/{}?tab=jobs", segment(thing))
}

pub(super) fn line(look: Status, word: &str) -> Markup {
    html! { span class={ "sl " (look.class()) } { (look.mark()) (word) } }
}

/// At most `most` targets, by name; how many more there are.
pub(super) fn targets(arns: &[String], most: usize) -> Markup {
    html! {
        @for (at, arn) in arns.iter().take(most).enumerate() {
            @if at > 0 { ", " }
            (target(arn))
        }
        @if arns.len() > most { span.vdim { " and " (count((arns.len() - most) as u64)) " more" } }
    }
}

fn target(arn: &str) -> Markup {
    let resource = arn.splitn(6, ':').nth(5).and_then(|resource| resource.split_once('/'));
    html! {
        @match resource {
            Some(("thing", name)) => a href=(of_thing(name)) title=(arn) { (name) },
            Some(("thinggroup", name)) => span title=(arn) { "group " b { (name) } },
            _ => span.mono { (arn) },
        }
    }
}

/// Characters of what a device says that a row shows.
const DETAILS_MAX: usize = 90;

/// What a device says of its execution: names and values; a long text opens.
pub(super) fn details(execution: &Execution, id: &str) -> Markup {
    let pairs = execution.details.iter().map(|(name, value)| format!("{name}: {value}"));
    let whole = pairs.collect::<Vec<_>>().join(", ");
    let beginning = cut(&whole, DETAILS_MAX);
    html! {
        @if whole.is_empty() { span.vdim { "–" } }
        @else if beginning == whole { (whole) }
        @else { details id={ "d-" (id) } { summary { (beginning) } (whole) } }
    }
}

/// The button that cancels an execution which is pending.
pub(super) fn cancel(execution: &Execution, id: &str, back: &str) -> Markup {
    let Execution { thing, job, status, .. } = execution;
    let is_begun = *status == ExecutionStatus::InProgress;
    let question = if is_begun {
        format!("Cancel {job} on {thing}? The device has begun it, and may go on.")
    } else {
        format!("Cancel {job} on {thing}?")
    };
    html! {
        @if status.is_pending() {
            form method="post" action="/-/console/job-execution-cancel" data-confirm=(question) {
                input type="hidden" name="back" value=(back);
                input type="hidden" name="job" value=(job);
                input type="hidden" name="thing" value=(thing);
                @if is_begun { input type="hidden" name="force" value="1"; }
                button.btn.sm.d id={ "c-" (id) } aria-label={ "Cancel " (job) " on " (thing) } { "Cancel" }
            }
        }
    }
}

/// Commands for the shell, with a button that copies them.
pub(super) fn commands(commands: &str) -> Markup {
    html! {
        pre.cmd tabindex="0" role="group" aria-label="Commands" { (commands) }
        button.btn.sm.js type="button" data-copy=(commands) { "Copy" }
    }
}

/// The command that makes a job for `arn`.
pub(super) fn create(arn: &str) -> String {
    let target = quoted(arn);
    format!(
        "aws iot create-job --job-id my-job \\\n  --targets {target} \\\n  --document '{{\"operation\":\"reboot\"}}'"
    )
}

/// `text` as one word of a shell's command.
pub(super) fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_service() {
        for status in ExecutionStatus::ALL {
            assert_eq!(ExecutionStatus::named(status.word()), Some(status));
            assert_ne!(status.is_pending(), status.was_done() || status.look(0) == Status::Stopped);
        }
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::named(status.word()), Some(status));
            assert!(!(status.is_open() && status.has_ended()));
        }
        assert_eq!(ExecutionStatus::named("DONE"), None);
        assert_eq!(Selection::named("CONTINUOUS"), Some(Selection::Continuous));
    }

    #[test]
    fn every_device_is_counted_once() {
        let counts = Counts {
            untold: 1,
            queued: 2,
            in_progress: 3,
            succeeded: 4,
            failed: 5,
            rejected: 6,
            timed_out: 7,
            removed: 8,
            canceled: 9,
        };
        assert_eq!(counts.all(), 45);
        assert_eq!((counts.left(), counts.bad(), counts.withdrawn()), (6, 18, 17));
        assert_eq!(Counts { failed: 1_200, ..Counts::default() }.words(), "1\u{202f}200 failed");
        assert_eq!(Counts::default().words(), "no devices");
    }

    #[test]
    fn targets_are_told_by_name() {
        let arns = ["thing/a:b", "thinggroup/north", "other"].map(|resource| {
            if resource == "other" {
                "<img>".to_owned()
            } else {
                format!("arn:aws:iot:us-east-1:000000000000:{resource}")
            }
        });
        let drawn = targets(&arns, 3).0;
        assert!(drawn.contains("/devices/a%3Ab?tab=jobs"), "{drawn}");
        assert!(drawn.contains("group <b>north</b>") && drawn.contains("&lt;img&gt;"), "{drawn}");
        assert!(targets(&arns, 1).0.contains(" and 2 more"));
    }

    #[test]
    fn a_name_is_one_word_of_a_command() {
        assert_eq!(quoted("arn:aws:iot:r:1:thing/a_b"), "arn:aws:iot:r:1:thing/a_b");
        assert_eq!(quoted("a'$(b)"), "'a'\\''$(b)'");
    }
}
