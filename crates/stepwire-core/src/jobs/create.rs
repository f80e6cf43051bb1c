//! Making, changing and ending jobs and templates, as callers ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::config::{Config, Schedule};
use super::record::{Counts, ExecutionStatus, Job, JobStatus, Progress, Target, Template};
use super::request::{Create, CreateTemplate, Document, Request};
use super::{
    DOCUMENT_BYTES_MAX, Jobs, Out, TARGETS_MAX, Turn, Write, document, internal, invalid, missing,
    record, told, view,
};
use crate::error::ApiError;
use crate::objects;
use crate::read::Read;
use crate::registry::Registry;
use crate::settings::Settings;

impl Jobs {
    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        registry: &Registry,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<Json, ApiError> {
        let turn = &mut Turn { now, settings, out };
        match request {
            Request::Create(create) => self.create(create, registry, read, turn),
            Request::Update { id, description, config } => {
                let (job, _) = self.find(id)?;
                let updated = Job {
                    description: description.clone().or_else(|| job.description.clone()),
                    config: job.config.overridden(config),
                    ..(*job).clone()
                };
                self.record(Write::Job(Arc::clone(id), Some(Arc::new(updated))), turn.out);
                self.touch_progress(id, turn);
                Ok(nothing())
            }
            Request::Cancel { id, reason_code, comment, force } => {
                let mut work = self.work(id)?;
                if !matches!(work.progress.status, JobStatus::InProgress | JobStatus::Scheduled) {
                    let status = work.progress.status.word();
                    return Err(invalid(format!("Job {id} cannot be canceled: it is {status}.")));
                }
                work.progress.reason_code.clone_from(reason_code);
                work.progress.comment.clone_from(comment);
                work.cancel(*force, turn);
                let answer = view::made(&work.job, settings);
                self.cancel_slice(&mut work, turn);
                self.close(work, turn);
                Ok(answer)
            }
            Request::Delete { id, force } => {
                let mut work = self.work(id)?;
                let status = work.progress.status;
                if matches!(status, JobStatus::InProgress | JobStatus::Scheduled) && !force {
                    let why = format!(
                        "Job {id} cannot be deleted: it is {}. Cancel it, or set force.",
                        status.word()
                    );
                    return Err(ApiError::new("InvalidStateTransitionException", why));
                }
                if status != JobStatus::DeletionInProgress {
                    work.progress.status = JobStatus::DeletionInProgress;
                    work.progress.canceling = None;
                    told::job_event("deletion_in_progress", &work.job, &work.progress, turn);
                    self.close(work, turn);
                }
                Ok(nothing())
            }
            Request::Associate { id, targets, comment } => {
                let mut work = self.work(id)?;
                if !work.job.continuous || work.progress.status != JobStatus::InProgress {
                    let why = "targets are added to CONTINUOUS jobs that are IN_PROGRESS only";
                    return Err(invalid(why));
                }
                check_targets(targets, registry)?;
                let mut job = (*work.job).clone();
                let new = targets.iter().filter(|target| !work.job.targets.contains(target));
                job.targets.extend(new.cloned());
                if job.targets.len() > TARGETS_MAX {
                    let why = format!("a job has at most {TARGETS_MAX} targets");
                    return Err(ApiError::new("LimitExceededException", why));
                }
                work.job = Arc::new(job);
                work.progress.comment = comment.clone().or(work.progress.comment);
                let write = Write::Job(Arc::clone(id), Some(Arc::clone(&work.job)));
                self.record(write, turn.out);
                self.aim(&mut work, targets, registry, turn);
                let answer = view::made(&work.job, settings);
                self.close(work, turn);
                Ok(answer)
            }
            Request::CancelExecution { job, thing, force, expected, details } => {
                self.cancel_execution((job, thing), *force, *expected, details, read, turn)
            }
            Request::DeleteExecution { job, thing, number, force } => {
                self.delete_execution((job, thing), *number, *force, read, turn)
            }
            Request::CreateTemplate(create) => self.create_template(create, read, turn),
            Request::DeleteTemplate(id) => {
                if !self.has_template(id) {
                    return Err(missing(&format!("Job template {id}")));
                }
                self.record(Write::Template(Arc::clone(id), None), turn.out);
                Ok(nothing())
            }
            Request::Describe(_)
            | Request::Document(_)
            | Request::List(..)
            | Request::DescribeExecution { .. }
            | Request::OfJob { .. }
            | Request::OfThing { .. }
            | Request::DescribeTemplate(_)
            | Request::Templates(_) => Err(invalid("this request only reads")),
        }
    }

    /// Reads what carrying out a request reads, so that it is fetched.
    pub(crate) fn prefetch(request: &Request, read: &dyn Read) {
        match request {
            Request::Create(create) => {
                if let Some(document) = &create.document {
                    let _ = text_of(document, read);
                }
            }
            Request::CreateTemplate(create) => {
                if let Some(document) = &create.document {
                    let _ = text_of(document, read);
                }
            }
            Request::CancelExecution { job, thing, .. } => {
                let _ = record::execution(job, thing, None, read);
            }
            Request::DeleteExecution { job, thing, number, .. } => {
                let _ = record::execution(job, thing, Some(*number), read);
            }
            _ => {}
        }
    }

    fn create(
        &mut self,
        create: &Create,
        registry: &Registry,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let id = &create.id;
        if self.has(id) {
            let message = format!("Job {id} already exists");
            return Err(ApiError::new("ResourceAlreadyExistsException", message)
                .with("resourceId", Json::string(Arc::clone(id)))
                .with("resourceArn", view::job_arn(id, turn.settings)));
        }
        check_targets(&create.targets, registry)?;
        let template = match &create.template {
            None => None,
            Some(name) => {
                let found = self.templates.get(name).cloned();
                Some(found.ok_or_else(|| missing(&format!("Job template {name}")))?)
            }
        };
        let (document, document_source) = match (&create.document, &template) {
            (Some(document), _) => (text_of(document, read)?, source_of(document)),
            (None, Some(template)) => {
                (Arc::clone(&template.document), template.document_source.clone())
            }
            (None, None) => return Err(invalid("the job has no document")),
        };
        let mut config = template.as_ref().map_or_else(Config::default, |it| it.config.clone());
        if !create.continuous {
            config.schedule.windows.clear();
        }
        let config = config.overridden(&create.config);
        config.schedule.check(turn.now)?;
        document::check_placeholders(&document, &config)?;
        let arn = |name: &Arc<str>| view::template_arn(name, turn.settings).as_str().map(Arc::from);
        let job = Job {
            id: Arc::clone(id),
            document,
            document_source,
            description: create.description.clone(),
            targets: create.targets.clone(),
            continuous: create.continuous,
            template: create.template.as_ref().and_then(arn),
            config,
            created: turn.now,
        };
        let Schedule { start, .. } = &job.config.schedule;
        let status = if start.is_some() { JobStatus::Scheduled } else { JobStatus::InProgress };
        let progress = Progress {
            job: Arc::clone(id),
            status,
            updated: turn.now,
            completed: None,
            reason_code: None,
            comment: None,
            force_canceled: false,
            aborted: false,
            canceling: None,
            ended: false,
            counts: Counts::default(),
            told: 0,
            waiting: 0,
            next: turn.now,
        };
        let mut work = Work { job: Arc::new(job), progress };
        self.record(Write::Job(Arc::clone(id), Some(Arc::clone(&work.job))), turn.out);
        if status == JobStatus::InProgress {
            self.aim(&mut work, &create.targets, registry, turn);
        }
        let answer = view::made(&work.job, turn.settings);
        self.keep(&work.progress, turn.out);
        Ok(answer)
    }

    fn create_template(
        &mut self,
        create: &CreateTemplate,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let id = &create.id;
        if self.has_template(id) {
            let message = format!("Job template {id} already exists");
            return Err(ApiError::new("ConflictException", message)
                .with("resourceId", Json::string(Arc::clone(id))));
        }
        let job = match &create.job {
            None => None,
            Some(name) => Some(self.find(name)?.0),
        };
        let (document, document_source) = match (&create.document, &job) {
            (Some(document), _) => (text_of(document, read)?, source_of(document)),
            (None, Some(job)) => (Arc::clone(&job.document), job.document_source.clone()),
            (None, None) => return Err(invalid("the template has no document")),
        };
        let of_job = job.map_or_else(Config::default, |job| Config {
            schedule: Schedule::default(),
            ..job.config.clone()
        });
        let template = Template {
            id: Arc::clone(id),
            description: Arc::clone(&create.description),
            document,
            document_source,
            config: of_job.overridden(&create.config),
            created: turn.now,
        };
        self.record(Write::Template(Arc::clone(id), Some(Arc::new(template))), turn.out);
        Ok(Json::object([
            ("jobTemplateArn", view::template_arn(id, turn.settings)),
            ("jobTemplateId", Json::string(Arc::clone(id))),
        ]))
    }

    /// Has the things that `targets` name told of a job, unless they do it already.
    pub(super) fn aim(
        &mut self,
        work: &mut Work,
        targets: &[Target],
        registry: &Registry,
        turn: &mut Turn<'_>,
    ) {
        let mut things = BTreeSet::new();
        for target in targets {
            match target {
                Target::Thing(name) => things.extend([Arc::clone(name)]),
                Target::Group(name) => things.extend(registry.groups.members_below(name)),
            }
        }
        for thing in things {
            self.want(work, &thing, turn);
        }
    }

    /// Has a thing told of a job, unless it does it already.
    pub(super) fn want(&mut self, work: &mut Work, thing: &Arc<str>, turn: &mut Turn<'_>) {
        let id = &work.job.id;
        let has = |sets: &BTreeMap<Arc<str>, BTreeSet<Arc<str>>>| {
            sets.get(id).is_some_and(|things| things.contains(thing))
        };
        if !has(&self.targets) && !has(&self.open_of) {
            work.progress.waiting += 1;
            let (job, thing) = (Arc::clone(id), Arc::clone(thing));
            self.record(Write::Target { job, thing, there: true }, turn.out);
        }
    }

    /// A thing is no longer to be told of a job.
    pub(super) fn unwant(&mut self, work: &mut Work, thing: &Arc<str>, out: &mut Out) {
        work.progress.waiting = work.progress.waiting.saturating_sub(1);
        let (job, thing) = (Arc::clone(&work.job.id), Arc::clone(thing));
        self.record(Write::Target { job, thing, there: false }, out);
    }

    fn touch_progress(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        if let Ok(work) = self.work(id) {
            self.close(work, turn);
        }
    }
}

/// A job that something is done to, with what it has come to.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) job: Arc<Job>,
    pub(super) progress: Progress,
}

impl Work {
    /// The job is no longer wanted; what has been told of it is canceled slice by slice.
    pub(super) fn cancel(&mut self, force: bool, turn: &mut Turn<'_>) {
        self.progress.status = JobStatus::Canceled;
        self.progress.force_canceled = force;
        self.progress.canceling = Some(force);
        self.progress.completed = Some(turn.now);
        self.progress.updated = turn.now;
        told::job_event("cancellation_in_progress", &self.job, &self.progress, turn);
    }
}

impl Jobs {
    pub(super) fn work(&self, id: &str) -> Result<Work, ApiError> {
        let (job, progress) = self.find(id)?;
        Ok(Work { job, progress: (*progress).clone() })
    }

    pub(super) fn keep(&mut self, progress: &Progress, out: &mut Out) {
        let write = Write::Progress(Arc::clone(&progress.job), Some(Arc::new(progress.clone())));
        self.record(write, out);
    }

    /// Records what a job has come to; it gives up, or is complete, when that is so.
    pub(super) fn close(&mut self, mut work: Work, turn: &mut Turn<'_>) {
        work.progress.updated = turn.now;
        if work.progress.status == JobStatus::InProgress {
            if let Some(why) = work.gives_up() {
                work.progress.comment = Some(why.into());
                work.progress.aborted = true;
                work.cancel(false, turn);
                self.cancel_slice(&mut work, turn);
            } else if work.is_complete() {
                work.progress.status = JobStatus::Completed;
                work.progress.completed = Some(turn.now);
                told::job_event("completed", &work.job, &work.progress, turn);
            }
        }
        self.keep(&work.progress, turn.out);
    }
}

impl Work {
    /// Why the job gives up by itself, if it does.
    fn gives_up(&self) -> Option<String> {
        let Progress { counts, told, .. } = &self.progress;
        let criterion = self.job.config.abort.iter().find(|criterion| {
            let failed = criterion.failures.count(counts);
            let percent = failed as f64 * 100.0 / (*told).max(1) as f64;
            *told >= criterion.executed_min as u64 && failed > 0 && percent >= criterion.percent
        })?;
        let word = criterion.failures.word();
        let failed = criterion.failures.count(counts);
        Some(format!(
            "Aborted: {failed} of {told} things are {word}, and abortConfig allows less than {} %",
            criterion.percent
        ))
    }

    fn is_complete(&self) -> bool {
        let Progress { counts, waiting, ended, .. } = &self.progress;
        (!self.job.continuous || *ended) && counts.open() == 0 && (*waiting == 0 || *ended)
    }
}

impl super::Failures {
    /// Things whose latest executions ended so.
    pub fn count(self, counts: &Counts) -> u64 {
        match self {
            super::Failures::Failed => counts.failed,
            super::Failures::Rejected => counts.rejected,
            super::Failures::TimedOut => counts.timed_out,
            super::Failures::All => counts.failed + counts.rejected + counts.timed_out,
        }
    }
}

fn check_targets(targets: &[Target], registry: &Registry) -> Result<(), ApiError> {
    for target in targets {
        match target {
            Target::Thing(name) if registry.things.find(name).is_none() => {
                return Err(missing(&format!("Thing {name}")));
            }
            Target::Group(name) if registry.groups.find(name).is_none() => {
                return Err(missing(&format!("Thing group {name}")));
            }
            Target::Thing(_) | Target::Group(_) => {}
        }
    }
    Ok(())
}

/// The text of a document, checked.
fn text_of(document: &Document, read: &dyn Read) -> Result<Arc<str>, ApiError> {
    match document {
        Document::Text(text) => Ok(Arc::clone(text)),
        Document::Object { bucket, key, .. } => {
            let bytes = objects::bytes(bucket, key, DOCUMENT_BYTES_MAX as u64, read)
                .map_err(|why| invalid(format!("`{key}` in bucket `{bucket}`: {why}")))?;
            let wrong = |_| invalid(format!("`{key}` in bucket `{bucket}` is not UTF-8"));
            let text = String::from_utf8(bytes).map_err(wrong)?;
            document::check(&text)?;
            Ok(text.into())
        }
    }
}

fn source_of(document: &Document) -> Option<Arc<str>> {
    match document {
        Document::Text(_) => None,
        Document::Object { address, .. } => Some(Arc::clone(address)),
    }
}

pub(super) fn nothing() -> Json {
    Json::Object(Arc::default())
}

impl Progress {
    /// A thing's latest execution is of another status than the one before.
    pub(super) fn count(&mut self, before: Option<ExecutionStatus>, now: Option<ExecutionStatus>) {
        if let Some(before) = before {
            let count = self.counts.of(before);
            *count = count.saturating_sub(1);
        }
        if let Some(now) = now {
            *self.counts.of(now) += 1;
        }
    }
}

/// What errors of records become.
impl From<crate::record::Corrupt> for super::data::Refused {
    fn from(corrupt: crate::record::Corrupt) -> Self {
        super::data::Refused::new(super::data::Code::InternalError, internal(corrupt).message)
    }
}
