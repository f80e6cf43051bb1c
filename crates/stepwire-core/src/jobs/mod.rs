//! Jobs: work that devices are told of, take up and report on. AWS IoT Jobs.
//!
//! Source: AWS IoT developer guide, "Jobs"; service models `iot` and `iot-jobs-data`.
//!
//! A [`Job`] names things and groups; each thing gets an [`Execution`] of it, at the pace of its
//! rollout. Jobs, what they have come to ([`Progress`]), the things that are still to be told and the
//! executions that have not ended are in memory; those that have ended are in the store alone. What is
//! told to devices and to subscribers leaves in the commit that changes it.
//!
//! Read in this order: [`Job`], [`Progress`], [`Execution`], [`Jobs`]; then `create`, `rollout`,
//! `progress`, `ended`; `request` and `data` are what callers and devices ask, `view` what they are
//! answered. The kernel's part is `kernel/jobs.rs`.

mod config;
mod create;
pub mod data;
mod document;
mod ended;
mod progress;
mod record;
mod request;
mod rollout;
mod told;
mod topic;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use config::{
    AbortCriterion, Behavior, Config, Exponential, Failures, Increase, Presigned, RetryCriterion,
    Rollout, Schedule, Window,
};
pub(crate) use progress::Form;
pub use record::{
    Counts, Execution, ExecutionStatus, Job, JobStatus, Progress, Target, Template, execution,
    executions_of, executions_of_thing, job, jobs, progress as progress_of, sort_pending, untold,
};
pub use request::{Create, CreateTemplate, Details, Document, Filter, Page, Request};
pub(crate) use rollout::Membership;
pub(crate) use told::Told;
pub(crate) use topic::RequestTopic;
pub use view::answer;

use crate::error::ApiError;
use crate::record::{Corrupt, Entry, Space};
use crate::registry::events::Family;
use crate::settings::Settings;

/// Longest job document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 32 << 10;
/// Most targets that a request names.
const TARGETS_MAX: usize = 100;
/// Most things that one step tells of a job, or takes it from.
const SLICE: usize = 500;
/// Most executions that a device is told of by `notify`, of jobs without a schedule and with one.
const NOTIFIED_MAX: usize = 10;
const NOTIFIED_SCHEDULED_MAX: usize = 5;

const INVALID: &str = "InvalidRequestException";

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A job as it was asked for; `None`: there is none of this name.
    Job(Arc<str>, Option<Arc<Job>>),
    /// What a job has come to; `None`: it is gone.
    Progress(Arc<str>, Option<Arc<Progress>>),
    /// A job template; `None`: there is none of this name.
    Template(Arc<str>, Option<Arc<Template>>),
    /// Whether a thing is still to be told of a job.
    Target {
        /// The job.
        job: Arc<str>,
        /// The thing.
        thing: Arc<str>,
        /// Whether it is.
        there: bool,
    },
    /// An execution as it now is.
    Execution(Arc<Execution>),
    /// An execution that is kept no longer.
    Forgotten {
        /// The job.
        job: Arc<str>,
        /// The thing.
        thing: Arc<str>,
        /// Its number.
        number: u64,
    },
    /// The execution of a job by a thing that has not ended; `None`: there is none.
    Open {
        /// The thing.
        thing: Arc<str>,
        /// The job.
        job: Arc<str>,
        /// It.
        execution: Option<Arc<Execution>>,
    },
    /// A thing has, or no longer has, an execution of this job with this number.
    OfThing {
        /// The thing.
        thing: Arc<str>,
        /// The job.
        job: Arc<str>,
        /// The execution's number.
        number: u64,
        /// Whether it has.
        there: bool,
    },
}

impl Write {
    /// The job, or template, that it is about.
    pub fn job(&self) -> &Arc<str> {
        match self {
            Write::Job(id, _) | Write::Progress(id, _) | Write::Template(id, _) => id,
            Write::Target { job, .. }
            | Write::Forgotten { job, .. }
            | Write::Open { job, .. }
            | Write::OfThing { job, .. } => job,
            Write::Execution(execution) => &execution.job,
        }
    }

    /// The thing whose doing of a job it is about.
    pub fn thing(&self) -> Option<&Arc<str>> {
        match self {
            Write::Execution(execution) => Some(&execution.thing),
            Write::Forgotten { thing, .. } | Write::Open { thing, .. } => Some(thing),
            _ => None,
        }
    }

    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Job(id, job) => (record::job_key(id), job.as_deref().map(record::stored)),
            Write::Progress(id, progress) => {
                (record::progress_key(id), progress.as_deref().map(record::stored))
            }
            Write::Template(id, template) => {
                (record::template_key(id), template.as_deref().map(record::stored))
            }
            Write::Target { job, thing, there } => {
                (record::target_key(job, thing), there.then(|| record::stored(&())))
            }
            Write::Execution(execution) => (
                record::execution_key(&execution.job, &execution.thing, execution.number),
                Some(record::stored(execution.as_ref())),
            ),
            Write::Forgotten { job, thing, number } => {
                (record::execution_key(job, thing, *number), None)
            }
            Write::Open { thing, job, execution } => {
                (record::open_key(thing, job), execution.as_deref().map(record::stored))
            }
            Write::OfThing { thing, job, number, there } => {
                (record::of_thing_key(thing, job, *number), there.then(|| record::stored(&())))
            }
        }
    }
}

/// What happened, for those who listen to `$aws/events/…`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// Whether it is published is decided by this.
    pub(crate) family: Family,
    /// What follows `$aws/events/`.
    pub(crate) topic: String,
    /// Its payload; `eventId` and `timestamp` are known to who publishes it.
    pub(crate) members: Vec<(&'static str, Json)>,
}

/// What a change came to.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// What must be durable, in order.
    pub(crate) writes: Vec<Write>,
    /// What is published in the same commit, in order.
    pub(crate) events: Vec<Event>,
    /// Things that are to be told of a job that they have become targets of, with it.
    pub(crate) joined: Vec<(Arc<str>, Arc<str>)>,
    /// What the things whose executions changed had to do before.
    before: BTreeMap<Arc<str>, Vec<(Arc<str>, u64)>>,
}

/// What every change needs.
struct Turn<'a> {
    now: Timestamp,
    settings: &'a Settings,
    out: &'a mut Out,
}

/// The jobs of a shard.
#[derive(Debug, Default, PartialEq)]
pub struct Jobs {
    jobs: BTreeMap<Arc<str>, Arc<Job>>,
    progress: BTreeMap<Arc<str>, Arc<Progress>>,
    templates: BTreeMap<Arc<str>, Arc<Template>>,
    /// Things that are still to be told, by job. No set is empty, here and below.
    targets: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Executions that have not ended, by thing and job.
    open: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Execution>>>,
    // The rest is derived from these.
    /// Things with an execution that has not ended, by job.
    open_of: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// When executions have taken too long, with thing and job.
    deadlines: BTreeSet<(Timestamp, Arc<str>, Arc<str>)>,
    /// Jobs that are not done with.
    active: BTreeSet<Arc<str>>,
    /// Jobs that follow who is in a group, by group.
    following: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Jobs {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[
        Space::Job,
        Space::JobProgress,
        Space::JobTemplate,
        Space::JobTarget,
        Space::OpenJobExecution,
    ];

    /// The only thing that changes jobs.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Job(id, job) => {
                if let Some(old) = self.jobs.remove(id) {
                    for group in old.followed() {
                        change(&mut self.following, group, id, false);
                    }
                }
                if let Some(job) = job {
                    for group in job.followed() {
                        change(&mut self.following, group, id, true);
                    }
                    self.jobs.insert(Arc::clone(id), Arc::clone(job));
                }
            }
            Write::Progress(id, progress) => {
                self.progress.remove(id);
                self.active.remove(id);
                if let Some(progress) = progress {
                    if progress.is_active() {
                        self.active.insert(Arc::clone(id));
                    }
                    self.progress.insert(Arc::clone(id), Arc::clone(progress));
                }
            }
            Write::Template(id, template) => {
                self.templates.remove(id);
                self.templates.extend(template.clone().map(|template| (Arc::clone(id), template)));
            }
            Write::Target { job, thing, there } => change(&mut self.targets, job, thing, *there),
            Write::Open { thing, job, execution } => {
                self.set_open(thing, job, execution.as_ref());
            }
            Write::Execution(_) | Write::Forgotten { .. } | Write::OfThing { .. } => {}
        }
    }

    fn set_open(&mut self, thing: &Arc<str>, job: &Arc<str>, execution: Option<&Arc<Execution>>) {
        if let Some(of_thing) = self.open.get_mut(thing) {
            if let Some(old) = of_thing.remove(job)
                && let Some(at) = old.deadline()
            {
                self.deadlines.remove(&(at, Arc::clone(thing), Arc::clone(job)));
            }
            if of_thing.is_empty() {
                self.open.remove(thing);
            }
        }
        change(&mut self.open_of, job, thing, execution.is_some());
        if let Some(execution) = execution {
            let deadline = execution.deadline();
            self.deadlines.extend(deadline.map(|at| (at, Arc::clone(thing), Arc::clone(job))));
            let of_thing = self.open.entry(Arc::clone(thing)).or_default();
            of_thing.insert(Arc::clone(job), Arc::clone(execution));
        }
    }

    /// Takes in one stored entry of [`Jobs::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&record::loaded(key, value)?);
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Out) {
        self.apply(&write);
        out.writes.push(write);
    }

    /// Whether there are jobs that are not done with.
    pub(crate) fn are_any(&self) -> bool {
        !self.active.is_empty() || !self.open.is_empty()
    }

    /// Whether there is a job of this name.
    pub fn has(&self, id: &str) -> bool {
        self.jobs.contains_key(id)
    }

    /// Whether there is a template of this name.
    pub fn has_template(&self, id: &str) -> bool {
        self.templates.contains_key(id)
    }

    /// The job of this name, and what it has come to.
    fn find(&self, id: &str) -> Result<(Arc<Job>, Arc<Progress>), ApiError> {
        let found = self.jobs.get(id).zip(self.progress.get(id));
        let (job, progress) = found.ok_or_else(|| missing(&format!("Job {id}")))?;
        Ok((Arc::clone(job), Arc::clone(progress)))
    }

    /// The execution of a job by a thing that has not ended.
    fn open_by(&self, thing: &str, job: &str) -> Option<Arc<Execution>> {
        self.open.get(thing)?.get(job).cloned()
    }

    /// When there is next something to do without being asked.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let timed_out = self.deadlines.first().map(|(at, ..)| *at);
        self.active.iter().filter_map(|id| self.job_due(id)).chain(timed_out).min()
    }
}

/// Puts `item` into the set of `of`, or takes it out; no set stays empty.
fn change(
    sets: &mut BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    of: &Arc<str>,
    item: &Arc<str>,
    there: bool,
) {
    if there {
        sets.entry(Arc::clone(of)).or_default().insert(Arc::clone(item));
    } else if let Some(set) = sets.get_mut(of) {
        set.remove(item);
        if set.is_empty() {
            sets.remove(of);
        }
    }
}

fn missing(what: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("{what} cannot be found."))
}

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new(INVALID, why)
}

fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalFailureException", corrupt.to_string())
}

/// A point of time as data planes and events write it: whole seconds.
fn whole_seconds(at: Timestamp) -> Json {
    at.0.div_euclid(1_000).into()
}
