//! What is durable about jobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::Write;
use super::config::Config;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

const FORMAT: u8 = 1;

/// Who is to do a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// A thing.
    Thing(Arc<str>),
    /// The things in a group and in those below it.
    Group(Arc<str>),
}

impl Target {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        match self {
            Target::Thing(name) => settings.arn("iot", &format!("thing/{name}")),
            Target::Group(name) => settings.arn("iot", &format!("thinggroup/{name}")),
        }
    }
}

/// A job as it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// `jobId`
    pub id: Arc<str>,
    /// What devices are given: JSON.
    pub document: Arc<str>,
    /// Where the document was read from.
    pub document_source: Option<Arc<str>>,
    /// `description`
    pub description: Option<Arc<str>>,
    /// Who is to do it.
    pub targets: Vec<Target>,
    /// Whether things that join a target later are to do it too.
    pub continuous: bool,
    /// The ARN of the template it was made of.
    pub template: Option<Arc<str>>,
    /// How it is carried out.
    pub config: Config,
    /// When it was created.
    pub created: Timestamp,
}

impl Job {
    /// Whether it has a schedule or maintenance windows.
    pub(super) fn is_scheduled(&self) -> bool {
        self.config.schedule != super::Schedule::default()
    }

    /// The groups whose members it follows.
    pub(super) fn followed(&self) -> impl Iterator<Item = &Arc<str>> {
        self.targets.iter().filter(|_| self.continuous).filter_map(|target| match target {
            Target::Group(name) => Some(name),
            Target::Thing(_) => None,
        })
    }
}

/// `status` of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum JobStatus {
    Scheduled,
    InProgress,
    Completed,
    Canceled,
    DeletionInProgress,
}

impl JobStatus {
    pub(super) const ALL: [JobStatus; 5] = [
        JobStatus::InProgress,
        JobStatus::Canceled,
        JobStatus::Completed,
        JobStatus::DeletionInProgress,
        JobStatus::Scheduled,
    ];

    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            JobStatus::Scheduled => "SCHEDULED",
            JobStatus::InProgress => "IN_PROGRESS",
            JobStatus::Completed => "COMPLETED",
            JobStatus::Canceled => "CANCELED",
            JobStatus::DeletionInProgress => "DELETION_IN_PROGRESS",
        }
    }
}

/// What a job has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `jobId`
    pub job: Arc<str>,
    /// `status`
    pub status: JobStatus,
    /// `lastUpdatedAt`
    pub updated: Timestamp,
    /// `completedAt`
    pub completed: Option<Timestamp>,
    /// `reasonCode` of its cancellation.
    pub reason_code: Option<Arc<str>>,
    /// `comment`
    pub comment: Option<Arc<str>>,
    /// `forceCanceled`
    pub force_canceled: bool,
    /// Whether it gave up by itself: one of its abort criteria was met.
    pub aborted: bool,
    /// Whether executions are still to be canceled, and with those in progress.
    pub canceling: Option<bool>,
    /// Whether its end time has passed: nobody is told of it any more.
    pub ended: bool,
    /// Things by what their latest executions have come to.
    pub counts: Counts,
    /// Things that were told of it, in all.
    pub told: u64,
    /// Things that are still to be told.
    pub waiting: u64,
    /// When the next things may be told.
    pub next: Timestamp,
}

impl Progress {
    /// `isConcurrent`: things are being told of it, or their executions canceled.
    pub(super) fn is_concurrent(&self) -> bool {
        self.canceling.is_some() || (self.status == JobStatus::InProgress && self.waiting > 0)
    }

    /// Whether there may be something to do without being asked.
    pub(super) fn is_active(&self) -> bool {
        self.canceling.is_some()
            || matches!(
                self.status,
                JobStatus::Scheduled | JobStatus::InProgress | JobStatus::DeletionInProgress
            )
    }
}

/// Things by the status of their latest executions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's own words")]
pub struct Counts {
    pub queued: u64,
    pub in_progress: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub rejected: u64,
    pub removed: u64,
    pub canceled: u64,
}

impl Counts {
    pub(super) fn of(&mut self, status: ExecutionStatus) -> &mut u64 {
        match status {
            ExecutionStatus::Queued => &mut self.queued,
            ExecutionStatus::InProgress => &mut self.in_progress,
            ExecutionStatus::Succeeded => &mut self.succeeded,
            ExecutionStatus::Failed => &mut self.failed,
            ExecutionStatus::TimedOut => &mut self.timed_out,
            ExecutionStatus::Rejected => &mut self.rejected,
            ExecutionStatus::Removed => &mut self.removed,
            ExecutionStatus::Canceled => &mut self.canceled,
        }
    }

    /// Those that have not ended.
    pub fn open(&self) -> u64 {
        self.queued + self.in_progress
    }
}

/// `status` of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum ExecutionStatus {
    Queued,
    InProgress,
    Succeeded,
    Failed,
    TimedOut,
    Rejected,
    Removed,
    Canceled,
}

impl ExecutionStatus {
    const ALL: [ExecutionStatus; 8] = [
        ExecutionStatus::Queued,
        ExecutionStatus::InProgress,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Rejected,
        ExecutionStatus::Removed,
        ExecutionStatus::Canceled,
    ];

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

    /// The status that AWS calls by this word.
    pub fn named(word: &str) -> Option<ExecutionStatus> {
        ExecutionStatus::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether a device may say that it is so.
    pub(super) fn is_devices_own(self) -> bool {
        use ExecutionStatus::{Failed, InProgress, Rejected, Succeeded};
        matches!(self, InProgress | Succeeded | Failed | Rejected)
    }

    /// Whether it is an end.
    pub fn is_terminal(self) -> bool {
        !matches!(self, ExecutionStatus::Queued | ExecutionStatus::InProgress)
    }
}

/// A thing's doing of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The job.
    pub job: Arc<str>,
    /// The thing.
    pub thing: Arc<str>,
    /// `executionNumber`: 1 for the first of this job by this thing.
    pub number: u64,
    /// `retryAttempt`: how many executions before it failed and were tried again.
    pub attempt: u32,
    /// How many of them ended in `TIMED_OUT`.
    pub timeouts: u32,
    /// `status`
    pub status: ExecutionStatus,
    /// `statusDetails`
    pub details: BTreeMap<Arc<str>, Arc<str>>,
    /// `queuedAt`
    pub queued: Timestamp,
    /// `startedAt`
    pub started: Option<Timestamp>,
    /// `lastUpdatedAt`
    pub updated: Timestamp,
    /// `versionNumber`
    pub version: u64,
    /// `forceCanceled`
    pub force_canceled: bool,
    /// Whether the thing is no longer meant by the job: it is not tried again.
    pub left: bool,
    /// When it has been in progress for too long.
    pub until: Option<Timestamp>,
    /// When its step has taken too long.
    pub step_until: Option<Timestamp>,
}

impl Execution {
    /// When it times out, as it stands.
    pub fn deadline(&self) -> Option<Timestamp> {
        [self.until, self.step_until].into_iter().flatten().min()
    }
}

/// What jobs are made of again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// `jobTemplateId`
    pub id: Arc<str>,
    /// `description`
    pub description: Arc<str>,
    /// What devices are given: JSON.
    pub document: Arc<str>,
    /// Where the document was read from.
    pub document_source: Option<Arc<str>>,
    /// How its jobs are carried out.
    pub config: Config,
    /// When it was created.
    pub created: Timestamp,
}

pub(super) fn job_key(id: &str) -> Key {
    KeyBuilder::new(Space::Job).text(id).build()
}

pub(super) fn progress_key(id: &str) -> Key {
    KeyBuilder::new(Space::JobProgress).text(id).build()
}

pub(super) fn template_key(id: &str) -> Key {
    KeyBuilder::new(Space::JobTemplate).text(id).build()
}

pub(super) fn target_key(job: &str, thing: &str) -> Key {
    KeyBuilder::new(Space::JobTarget).text(job).text(thing).build()
}

/// What the keys of a job's executions begin with; thing and number follow.
pub(super) fn of_job(job: &str) -> KeyBuilder {
    KeyBuilder::new(Space::JobExecution).text(job)
}

pub(super) fn execution_key(job: &str, thing: &str, number: u64) -> Key {
    of_job(job).text(thing).number(number).build()
}

/// What the keys of a thing's executions that have not ended begin with; the job follows.
pub(super) fn open_of(thing: &str) -> KeyBuilder {
    KeyBuilder::new(Space::OpenJobExecution).text(thing)
}

pub(super) fn open_key(thing: &str, job: &str) -> Key {
    open_of(thing).text(job).build()
}

/// What the keys that list a thing's executions begin with; job and number follow.
pub(super) fn of_thing(thing: &str) -> KeyBuilder {
    KeyBuilder::new(Space::JobExecutionOfThing).text(thing)
}

pub(super) fn of_thing_key(thing: &str, job: &str, number: u64) -> Key {
    of_thing(thing).text(job).number(number).build()
}

/// The text and the number that a key ends in after `skip` bytes.
pub(super) fn text_and_number(key: &[u8], skip: usize) -> Option<(Arc<str>, u64)> {
    let (text, number) = key.get(skip..)?.split_last_chunk::<8>()?;
    let text = std::str::from_utf8(text.strip_suffix(&[0])?).ok()?;
    Some((text.into(), u64::from_be_bytes(*number)))
}

pub(super) fn stored<T: Serialize>(record: &T) -> Vec<u8> {
    encode(FORMAT, record)
}

pub(super) fn decoded<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, Corrupt> {
    decode(FORMAT, key, value)
}

fn at_key<T: DeserializeOwned>(key: &[u8], read: &dyn Read) -> Result<Option<T>, Corrupt> {
    read.get(key).map(|value| decoded(key, &value)).transpose()
}

/// The change that a stored entry is.
pub(super) fn loaded(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
    let space = |space: Space| key.first() == Some(&(space as u8));
    if space(Space::Job) {
        let job: Job = decoded(key, value)?;
        Ok(Write::Job(Arc::clone(&job.id), Some(Arc::new(job))))
    } else if space(Space::JobProgress) {
        let progress: Progress = decoded(key, value)?;
        Ok(Write::Progress(Arc::clone(&progress.job), Some(Arc::new(progress))))
    } else if space(Space::JobTemplate) {
        let template: Template = decoded(key, value)?;
        Ok(Write::Template(Arc::clone(&template.id), Some(Arc::new(template))))
    } else if space(Space::JobTarget) {
        let corrupt = || Corrupt { key: key.to_vec(), why: "not a job's target".to_owned() };
        let text = key.get(1..).and_then(|text| std::str::from_utf8(text).ok());
        let parts = text.and_then(|text| text.strip_suffix('\0')?.split_once('\0'));
        let (job, thing) = parts.ok_or_else(corrupt)?;
        Ok(Write::Target { job: job.into(), thing: thing.into(), there: true })
    } else {
        let execution: Execution = decoded(key, value)?;
        let (thing, job) = (Arc::clone(&execution.thing), Arc::clone(&execution.job));
        Ok(Write::Open { thing, job, execution: Some(Arc::new(execution)) })
    }
}

/// The stored job of this name.
pub fn job(id: &str, read: &dyn Read) -> Result<Option<Job>, Corrupt> {
    at_key(&job_key(id), read)
}

/// What the stored job of this name has come to.
pub fn progress(id: &str, read: &dyn Read) -> Result<Option<Progress>, Corrupt> {
    at_key(&progress_key(id), read)
}

pub(super) fn template(id: &str, read: &dyn Read) -> Result<Option<Template>, Corrupt> {
    at_key(&template_key(id), read)
}

/// All stored jobs with what they have come to, by name.
pub fn jobs(read: &dyn Read) -> Result<Vec<(Job, Progress)>, Corrupt> {
    let mut all = Vec::new();
    for (key, value) in read.range(&Range::prefix(&[Space::Job as u8])) {
        let job: Job = decoded(&key, &value)?;
        if let Some(progress) = progress(&job.id, read)? {
            all.push((job, progress));
        }
    }
    Ok(all)
}

/// An execution of a job by a thing: the one of this number, or else the latest.
pub fn execution(
    job: &str,
    thing: &str,
    number: Option<u64>,
    read: &dyn Read,
) -> Result<Option<Execution>, Corrupt> {
    if let Some(number) = number {
        return at_key(&execution_key(job, thing, number), read);
    }
    let all = Range::prefix(&of_job(job).text(thing).build()).reversed().limit(1);
    let last = read.range(&all).into_iter().next();
    last.map(|(key, value)| decoded(&key, &value)).transpose()
}

/// Things that are still to be told of a job, at most `limit`, in order.
pub fn untold(job: &str, limit: usize, read: &dyn Read) -> Vec<Arc<str>> {
    let prefix = KeyBuilder::new(Space::JobTarget).text(job).build();
    let run = read.range(&Range::prefix(&prefix).limit(limit));
    let names = run.iter().filter_map(|(key, _)| {
        let name = key.get(prefix.len()..)?.strip_suffix(&[0])?;
        std::str::from_utf8(name).ok().map(Arc::from)
    });
    names.collect()
}

/// Executions of a thing, at most `limit`, in order of jobs and numbers.
pub fn executions_of_thing(
    thing: &str,
    limit: usize,
    read: &dyn Read,
) -> Result<Vec<Execution>, Corrupt> {
    let prefix = of_thing(thing).build();
    let run = read.range(&Range::prefix(&prefix).limit(limit));
    let mut executions = Vec::new();
    for (key, _) in &run {
        let Some((job, number)) = text_and_number(key, prefix.len()) else { continue };
        executions.extend(execution(&job, thing, Some(number), read)?);
    }
    Ok(executions)
}

/// Sorts what a thing has still to do: what it has begun first, each by when it was queued.
pub fn sort_pending<E: std::borrow::Borrow<Execution>>(pending: &mut [E]) {
    pending.sort_by_key(|execution| {
        let execution: &Execution = execution.borrow();
        let begun = execution.status == ExecutionStatus::InProgress;
        (!begun, execution.queued, Arc::clone(&execution.job))
    });
}

/// Executions of a job in order of things and numbers, at most `limit` after this thing and number.
pub fn executions_of(
    job: &str,
    after: Option<(&str, u64)>,
    limit: usize,
    read: &dyn Read,
) -> Result<Vec<Execution>, Corrupt> {
    let mut range = Range::prefix(&of_job(job).build()).limit(limit);
    if let Some((thing, number)) = after {
        range.from = execution_key(job, thing, number);
        range.from.push(0);
    }
    let run = read.range(&range);
    run.iter().map(|(key, value)| decoded(key, value)).collect()
}
