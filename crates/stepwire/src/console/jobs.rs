//! AWS IoT jobs as pages show them: from the kernel's records.

use std::sync::Arc;

use stepwire_console::pages::device::Jobs;
use stepwire_console::pages::jobs::{Counts, Execution, ExecutionStatus, JobStatus, Selection};
use stepwire_console::pages::rollout::{
    AbortRule, After, Cancellation, EndBehavior, Failure, Growth, Job, Rate, Schedule,
};
use stepwire_core::{ApiError, Read, Settings, jobs};

/// Executions of a device that are looked at.
const LOOKED_MAX: usize = 1_000;
/// Executions of a device that have ended and are shown.
const ENDED_MAX: usize = 200;

pub(super) fn unreadable(corrupt: impl ToString) -> ApiError {
    ApiError::new("InternalFailure", corrupt.to_string())
}

fn owned(text: Option<&Arc<str>>) -> Option<String> {
    text.map(ToString::to_string)
}

pub(super) fn execution(execution: &jobs::Execution) -> Execution {
    let status = ExecutionStatus::named(execution.status.word());
    let details = execution.details.iter();
    Execution {
        thing: execution.thing.to_string(),
        job: execution.job.to_string(),
        status: status.unwrap_or(ExecutionStatus::Queued),
        number: execution.number,
        retries: execution.attempt.into(),
        queued: Some(execution.queued),
        started: execution.started,
        updated: Some(execution.updated),
        details: details.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
    }
}

pub(super) fn counts(progress: &jobs::Progress) -> Counts {
    let counts = &progress.counts;
    Counts {
        untold: progress.waiting,
        queued: counts.queued,
        in_progress: counts.in_progress,
        succeeded: counts.succeeded,
        failed: counts.failed,
        rejected: counts.rejected,
        timed_out: counts.timed_out,
        removed: counts.removed,
        canceled: counts.canceled,
    }
}

pub(super) fn status(progress: &jobs::Progress) -> JobStatus {
    JobStatus::named(progress.status.word()).unwrap_or(JobStatus::InProgress)
}

pub(super) fn selection(job: &jobs::Job) -> Selection {
    if job.continuous { Selection::Continuous } else { Selection::Snapshot }
}

pub(super) fn targets(job: &jobs::Job, settings: &Settings) -> Vec<String> {
    job.targets.iter().map(|target| target.arn(settings)).collect()
}

fn failure(failures: jobs::Failures) -> Failure {
    Failure::named(failures.word()).unwrap_or(Failure::All)
}

/// The job as its page shows it.
pub(super) fn job(job: &jobs::Job, progress: &jobs::Progress, settings: &Settings) -> Job {
    let jobs::Config { rollout, abort, timeout_minutes, retries, schedule, .. } = &job.config;
    let rate = rollout.map_or_else(Rate::default, |rollout| Rate {
        per_minute_max: rollout.maximum_per_minute.map(|most| most as u64),
        growth: rollout.exponential.map(|rate| Growth {
            base_per_minute: rate.base_per_minute as u64,
            factor: rate.factor,
            after: match rate.increase {
                jobs::Increase::Notified(each) => After::Notified(each as u64),
                jobs::Increase::Succeeded(each) => After::Succeeded(each as u64),
            },
        }),
    });
    let abort = abort.iter().map(|criterion| AbortRule {
        failure: failure(criterion.failures),
        threshold_percent: criterion.percent,
        executed_min: criterion.executed_min as u64,
        failed: criterion.failures.count(&progress.counts),
        executed: progress.told,
    });
    let canceled = progress.status == jobs::JobStatus::Canceled;
    Job {
        id: job.id.to_string(),
        arn: settings.arn("iot", &format!("job/{}", job.id)),
        status: status(progress),
        description: owned(job.description.as_ref()),
        selection: selection(job),
        targets: targets(job, settings),
        document: Some(job.document.to_string()),
        created: job.created,
        updated: Some(progress.updated),
        completed: progress.completed,
        canceled: canceled.then(|| Cancellation {
            by_abort_rule: progress.aborted,
            forced: progress.force_canceled,
            reason: owned(progress.reason_code.as_ref()),
            comment: owned(progress.comment.as_ref()),
        }),
        rate,
        abort: abort.collect(),
        timeout_minutes: timeout_minutes.map(|minutes| minutes as u64),
        retries: retries.iter().map(|it| (failure(it.failures), it.retries as u64)).collect(),
        schedule: Schedule {
            start: schedule.start,
            end: schedule.end,
            behavior: schedule.behavior.and_then(|it| EndBehavior::named(it.word())),
        },
    }
}

/// The jobs of a thing.
pub(super) fn of_thing(
    thing: &str,
    settings: &Settings,
    read: &dyn Read,
) -> Result<Jobs, ApiError> {
    let all = jobs::executions_of_thing(thing, LOOKED_MAX, read).map_err(unreadable)?;
    let (mut ended, mut pending): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|execution| execution.status.is_terminal());
    jobs::sort_pending(&mut pending);
    ended.sort_by_key(|execution| std::cmp::Reverse(execution.updated));
    Ok(Jobs {
        arn: settings.arn("iot", &format!("thing/{thing}")),
        pending: pending.iter().map(execution).collect(),
        ended: ended.iter().take(ENDED_MAX).map(execution).collect(),
        older: None,
        newest: None,
    })
}
