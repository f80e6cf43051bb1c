//! Requests that read, answered from committed records; and what devices are shown.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::{self, Counts, Execution, ExecutionStatus, Job, Progress, Template};
use super::request::{Filter, Page, Request};
use super::{config, internal, invalid, missing, whole_seconds};
use crate::error::ApiError;
use crate::hex;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space};
use crate::settings::Settings;

/// Records read at once where some are not wanted.
const RUN: usize = 1_000;
/// Most records that a request looks at: a page with few that are wanted ends early.
const LOOKED_AT_MAX: usize = 10_000;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Describe(id) => {
            let (job, progress) = found(id, read)?;
            let source =
                job.document_source.as_ref().map(|source| ("documentSource", text(source)));
            let shown = ("job", described(&job, &progress, settings));
            Ok(Json::object(source.into_iter().chain([shown])))
        }
        Request::Document(id) => {
            let (job, _) = found(id, read)?;
            Ok(Json::object([("document", text(&job.document))]))
        }
        Request::List(filter, page) => list(filter, page, read, settings),
        Request::DescribeExecution { job, thing, number } => {
            let execution = record::execution(job, thing, *number, read).map_err(internal)?;
            let execution = execution.ok_or_else(|| no_execution(job, thing))?;
            Ok(Json::object([("execution", execution_described(&execution, settings))]))
        }
        Request::OfJob { job, status, page } => of_job(job, *status, page, read, settings),
        Request::OfThing { thing, job, status, page } => {
            of_thing(thing, job.as_deref(), *status, page, read)
        }
        Request::DescribeTemplate(id) => {
            let template = record::template(id, read).map_err(internal)?;
            let template = template.ok_or_else(|| missing(&format!("Job template {id}")))?;
            Ok(template_described(&template, settings))
        }
        Request::Templates(page) => templates(page, read, settings),
        Request::Create(_)
        | Request::Update { .. }
        | Request::Cancel { .. }
        | Request::Delete { .. }
        | Request::Associate { .. }
        | Request::CancelExecution { .. }
        | Request::DeleteExecution { .. }
        | Request::CreateTemplate(_)
        | Request::DeleteTemplate(_) => Err(invalid("this request changes something")),
    }
}

pub(super) fn no_execution(job: &str, thing: &str) -> ApiError {
    missing(&format!("An execution of job {job} by thing {thing}"))
}

fn found(id: &str, read: &dyn Read) -> Result<(Job, Progress), ApiError> {
    // Both are read before either is looked at, so that both are fetched at once.
    let (job, progress) = (record::job(id, read), record::progress(id, read));
    let both = job.map_err(internal)?.zip(progress.map_err(internal)?);
    both.ok_or_else(|| missing(&format!("Job {id}")))
}

fn text(text: &Arc<str>) -> Json {
    Json::string(Arc::clone(text))
}

fn seconds(at: Timestamp) -> Json {
    Json::from_f64(at.seconds()).unwrap_or_default()
}

/// `targetSelection`
pub(super) fn selection(job: &Job) -> &'static str {
    if job.continuous { "CONTINUOUS" } else { "SNAPSHOT" }
}

pub(super) fn job_arn(id: &str, settings: &Settings) -> Json {
    settings.arn("iot", &format!("job/{id}")).into()
}

pub(super) fn template_arn(id: &str, settings: &Settings) -> Json {
    settings.arn("iot", &format!("jobtemplate/{id}")).into()
}

/// What operations answer that make or change a job.
pub(super) fn made(job: &Job, settings: &Settings) -> Json {
    let members = [("jobArn", job_arn(&job.id, settings)), ("jobId", text(&job.id))];
    let description = job.description.as_ref().map(|words| ("description", text(words)));
    Json::object(members.into_iter().chain(description))
}

fn described(job: &Job, progress: &Progress, settings: &Settings) -> Json {
    let mut members = vec![
        ("jobArn", job_arn(&job.id, settings)),
        ("jobId", text(&job.id)),
        ("targetSelection", selection(job).into()),
        ("status", progress.status.word().into()),
        ("targets", Json::array(job.targets.iter().map(|target| target.arn(settings).into()))),
        ("createdAt", seconds(job.created)),
        ("lastUpdatedAt", seconds(progress.updated)),
        ("jobProcessDetails", counted(&progress.counts)),
        ("isConcurrent", progress.is_concurrent().into()),
    ];
    if progress.force_canceled {
        members.push(("forceCanceled", true.into()));
    }
    let optional = [
        ("description", &job.description),
        ("reasonCode", &progress.reason_code),
        ("comment", &progress.comment),
        ("jobTemplateArn", &job.template),
    ];
    members.extend(
        optional.into_iter().filter_map(|(name, words)| Some((name, text(words.as_ref()?)))),
    );
    members.extend(progress.completed.map(|at| ("completedAt", seconds(at))));
    members.extend(job.config.shown());
    members.extend(job.config.schedule_shown().map(|shown| ("schedulingConfig", shown)));
    let next = job.config.schedule.openings(progress.updated).into_iter();
    let next: Vec<Json> =
        next.map(|at| Json::object([("startTime", Json::from(config::minute(at)))])).collect();
    if !next.is_empty() {
        members.push(("scheduledJobRollouts", Json::array(next)));
    }
    Json::object(members)
}

fn counted(counts: &Counts) -> Json {
    let all = [
        ("numberOfCanceledThings", counts.canceled),
        ("numberOfSucceededThings", counts.succeeded),
        ("numberOfFailedThings", counts.failed),
        ("numberOfRejectedThings", counts.rejected),
        ("numberOfQueuedThings", counts.queued),
        ("numberOfInProgressThings", counts.in_progress),
        ("numberOfRemovedThings", counts.removed),
        ("numberOfTimedOutThings", counts.timed_out),
    ];
    Json::object(all.map(|(name, count)| (name, Json::from(count as i64))))
}

fn list(
    filter: &Filter,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let item = &mut |key: &[u8], value: &[u8]| {
        let job: Job = record::decoded(key, value)?;
        let Some(progress) = record::progress(&job.id, read)? else { return Ok(None) };
        let of_group = |group: &Arc<str>| {
            job.targets.iter().any(|target| *target == record::Target::Group(Arc::clone(group)))
        };
        let wanted = filter.status.is_none_or(|status| status == progress.status)
            && filter.continuous.is_none_or(|continuous| continuous == job.continuous)
            && filter.group.as_ref().is_none_or(of_group);
        if !wanted {
            return Ok(None);
        }
        let mut members = vec![
            ("jobArn", job_arn(&job.id, settings)),
            ("jobId", text(&job.id)),
            ("targetSelection", selection(&job).into()),
            ("status", progress.status.word().into()),
            ("createdAt", seconds(job.created)),
            ("lastUpdatedAt", seconds(progress.updated)),
            ("isConcurrent", progress.is_concurrent().into()),
        ];
        members.extend(progress.completed.map(|at| ("completedAt", seconds(at))));
        Ok(Some(Json::object(members)))
    };
    paged("jobs", &KeyBuilder::new(Space::Job), page, read, item)
}

/// `jobExecutionSummary`
fn summary(execution: &Execution) -> Json {
    let mut members = vec![
        ("status", Json::from(execution.status.word())),
        ("queuedAt", seconds(execution.queued)),
        ("lastUpdatedAt", seconds(execution.updated)),
        ("executionNumber", Json::from(execution.number as i64)),
        ("retryAttempt", Json::from(i64::from(execution.attempt))),
    ];
    members.extend(execution.started.map(|at| ("startedAt", seconds(at))));
    Json::object(members)
}

fn of_job(
    job: &str,
    status: Option<ExecutionStatus>,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    found(job, read)?;
    let item = &mut |key: &[u8], value: &[u8]| {
        let execution: Execution = record::decoded(key, value)?;
        let wanted = status.is_none_or(|status| status == execution.status);
        let arn = settings.arn("iot", &format!("thing/{}", execution.thing));
        let shown = || {
            Json::object([
                ("thingArn", Json::from(arn)),
                ("jobExecutionSummary", summary(&execution)),
            ])
        };
        Ok(wanted.then(shown))
    };
    paged("executionSummaries", &record::of_job(job), page, read, item)
}

fn of_thing(
    thing: &str,
    job: Option<&str>,
    status: Option<ExecutionStatus>,
    page: &Page,
    read: &dyn Read,
) -> Result<Json, ApiError> {
    let all = record::of_thing(thing);
    let skip = all.clone().build().len();
    let item = &mut |key: &[u8], _: &[u8]| {
        let Some((of, number)) = record::text_and_number(key, skip) else { return Ok(None) };
        if job.is_some_and(|job| *job != *of) {
            return Ok(None);
        }
        let Some(execution) = record::execution(&of, thing, Some(number), read)? else {
            return Ok(None);
        };
        let wanted = status.is_none_or(|status| status == execution.status);
        let shown =
            || Json::object([("jobId", text(&of)), ("jobExecutionSummary", summary(&execution))]);
        Ok(wanted.then(shown))
    };
    paged("executionSummaries", &all, page, read, item)
}

fn execution_described(execution: &Execution, settings: &Settings) -> Json {
    let arn = settings.arn("iot", &format!("thing/{}", execution.thing));
    let mut members = vec![
        ("jobId", text(&execution.job)),
        ("status", execution.status.word().into()),
        ("forceCanceled", execution.force_canceled.into()),
        ("statusDetails", Json::object([("detailsMap", details(execution))])),
        ("thingArn", arn.into()),
        ("queuedAt", seconds(execution.queued)),
        ("lastUpdatedAt", seconds(execution.updated)),
        ("executionNumber", Json::from(execution.number as i64)),
        ("versionNumber", Json::from(execution.version as i64)),
    ];
    members.extend(execution.started.map(|at| ("startedAt", seconds(at))));
    Json::object(members)
}

fn details(execution: &Execution) -> Json {
    let pairs = execution.details.iter();
    Json::object(pairs.map(|(name, value)| (Arc::clone(name), Json::string(Arc::clone(value)))))
}

fn template_described(template: &Template, settings: &Settings) -> Json {
    let mut members = vec![
        ("jobTemplateArn", template_arn(&template.id, settings)),
        ("jobTemplateId", text(&template.id)),
        ("description", text(&template.description)),
        ("document", text(&template.document)),
        ("createdAt", seconds(template.created)),
    ];
    let source = template.document_source.as_ref();
    members.extend(source.map(|source| ("documentSource", text(source))));
    members.extend(template.config.shown());
    members.extend(template.config.windows_shown().map(|shown| ("maintenanceWindows", shown)));
    Json::object(members)
}

fn templates(page: &Page, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let item = &mut |key: &[u8], value: &[u8]| {
        let template: Template = record::decoded(key, value)?;
        Ok(Some(Json::object([
            ("jobTemplateArn", template_arn(&template.id, settings)),
            ("jobTemplateId", text(&template.id)),
            ("description", text(&template.description)),
            ("createdAt", seconds(template.created)),
        ])))
    };
    paged("jobTemplates", &KeyBuilder::new(Space::JobTemplate), page, read, item)
}

type Item<'a> = dyn FnMut(&[u8], &[u8]) -> Result<Option<Json>, Corrupt> + 'a;

/// A page of the entries whose keys begin with `prefix`. A token is the rest of the last one's key.
fn paged(
    name: &'static str,
    prefix: &KeyBuilder,
    page: &Page,
    read: &dyn Read,
    item: &mut Item<'_>,
) -> Result<Json, ApiError> {
    let base = prefix.clone().build();
    let mut range = Range::prefix(&base);
    if let Some(token) = &page.after {
        let rest =
            hex::read(token).ok_or_else(|| invalid("nextToken is not one that was given"))?;
        range.from = [base.as_slice(), &rest, &[0]].concat();
    }
    let (mut items, mut last, mut looked_at): (Vec<Json>, Option<Key>, usize) =
        (Vec::new(), None, 0);
    let next = 'pages: loop {
        let limit = if looked_at == 0 { page.limit + 1 } else { RUN };
        let run = read.range(&range.clone().limit(limit));
        for (key, value) in &run {
            let Some(json) = item(key, value).map_err(internal)? else { continue };
            if items.len() == page.limit {
                break 'pages last;
            }
            items.push(json);
            last = Some(key.clone());
        }
        looked_at += run.len();
        match run.last() {
            Some((end, _)) if run.len() == limit => {
                if looked_at >= LOOKED_AT_MAX {
                    break Some(end.clone());
                }
                range.from = [end.as_slice(), &[0]].concat();
            }
            _ => break None,
        }
    };
    let token = next.map(|key| ("nextToken", Json::from(hex::hex(&key[base.len()..]))));
    Ok(Json::object([(name, Json::array(items))].into_iter().chain(token)))
}

/// What a list of what a thing has to do says of an execution.
pub(super) fn pending_summary(execution: &Execution) -> Json {
    let mut members = vec![
        ("jobId", text(&execution.job)),
        ("queuedAt", whole_seconds(execution.queued)),
        ("lastUpdatedAt", whole_seconds(execution.updated)),
    ];
    members.extend(execution.started.map(|at| ("startedAt", whole_seconds(at))));
    members.extend([
        ("executionNumber", Json::from(execution.number as i64)),
        ("versionNumber", Json::from(execution.version as i64)),
    ]);
    Json::object(members)
}

/// An execution as the thing is shown it that does it.
pub(super) fn pending_execution(
    execution: &Execution,
    document: Option<Json>,
    now: Timestamp,
) -> Json {
    let mut members = vec![
        ("jobId", text(&execution.job)),
        ("thingName", text(&execution.thing)),
        ("status", execution.status.word().into()),
    ];
    if !execution.details.is_empty() {
        members.push(("statusDetails", details(execution)));
    }
    members.push(("queuedAt", whole_seconds(execution.queued)));
    members.extend(execution.started.map(|at| ("startedAt", whole_seconds(at))));
    members.extend([
        ("lastUpdatedAt", whole_seconds(execution.updated)),
        ("versionNumber", Json::from(execution.version as i64)),
        ("executionNumber", Json::from(execution.number as i64)),
    ]);
    let left = execution.deadline().map(|at| at.since_ms(now).max(0).div_euclid(1_000));
    members.extend(left.map(|left| ("approximateSecondsBeforeTimedOut", left.into())));
    members.extend(document.map(|document| ("jobDocument", document)));
    Json::object(members)
}

/// `executionState`
pub(super) fn state(execution: &Execution) -> Json {
    let mut members = vec![("status", Json::from(execution.status.word()))];
    if !execution.details.is_empty() {
        members.push(("statusDetails", details(execution)));
    }
    members.push(("versionNumber", Json::from(execution.version as i64)));
    Json::object(members)
}
