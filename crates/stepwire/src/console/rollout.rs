//! One rollout: an AWS IoT job with its devices, and what its forms do.

use std::collections::BTreeMap;

use stepwire_asl::Json;
use stepwire_console::Page;
use stepwire_console::pages::Problem;
use stepwire_console::pages::executions::Choice;
use stepwire_console::pages::jobs::{ExecutionStatus, href};
use stepwire_console::pages::rollout::{self as drawn, Ask, Pace, Square, View};
use stepwire_core::jobs as core;
use stepwire_core::{Read, Service};

use super::Done;
use super::executions::link;
use super::jobs;
use super::live::{Interest, Topic};
use super::visit::{Form, Visit, problem};
use super::workflows::read;

/// Executions that are looked at, and things that are still to be told.
const LOOKED_MAX: usize = 20_000;
/// Executions that are read at once.
const RUN: usize = 1_000;
/// Rows of the table.
const ROWS: usize = 50;

/// Statuses that are told apart, as the page calls them.
const STATUSES: [(ExecutionStatus, &str); 8] = [
    (ExecutionStatus::InProgress, "In progress"),
    (ExecutionStatus::Queued, "Queued"),
    (ExecutionStatus::Succeeded, "Succeeded"),
    (ExecutionStatus::Failed, "Failed"),
    (ExecutionStatus::TimedOut, "Timed out"),
    (ExecutionStatus::Rejected, "Rejected"),
    (ExecutionStatus::Canceled, "Canceled"),
    (ExecutionStatus::Removed, "Removed"),
];

pub(super) fn interest(job: &str) -> Interest {
    Interest::in_topics([Topic::Job(job.into())], 500)
}

/// What is read of a job.
struct Found {
    job: core::Job,
    progress: core::Progress,
    executions: Vec<core::Execution>,
    untold: Vec<std::sync::Arc<str>>,
}

impl Found {
    fn of(id: &str, read: &dyn Read) -> Result<Option<Found>, stepwire_core::ApiError> {
        let both = core::job(id, read).map_err(jobs::unreadable)?;
        let both = both.zip(core::progress_of(id, read).map_err(jobs::unreadable)?);
        let Some((job, progress)) = both else { return Ok(None) };
        let mut executions: Vec<core::Execution> = Vec::new();
        while executions.len() < LOOKED_MAX {
            let after = executions.last().map(|last| (last.thing.clone(), last.number));
            let after = after.as_ref().map(|(thing, number)| (&**thing, *number));
            let run = core::executions_of(id, after, RUN, read).map_err(jobs::unreadable)?;
            let is_last = run.len() < RUN;
            executions.extend(run);
            if is_last {
                break;
            }
        }
        let untold = core::untold(id, LOOKED_MAX, read);
        Ok(Some(Found { job, progress, executions, untold }))
    }

    /// The latest execution of each thing, `None` of those that are still to be told.
    fn by_thing(&self) -> BTreeMap<&str, Option<&core::Execution>> {
        let told = self.executions.iter().map(|execution| (&*execution.thing, Some(execution)));
        // A thing may do a job again: then it is still to be told of that.
        told.chain(self.untold.iter().map(|thing| (&**thing, None))).collect()
    }
}

async fn found(visit: &Visit, id: &str) -> Result<Found, Problem> {
    let wanted = id.to_owned();
    let found = read(visit.node(), move |read| Found::of(&wanted, read)).await;
    found.map_err(problem)?.ok_or_else(|| {
        Problem::not_found(format!("there is no job `{id}`"))
            .hint("it may have been deleted; the list of rollouts has those that are there")
    })
}

pub(super) async fn page(visit: &Visit, id: &str) -> Result<Page, Problem> {
    let wanted = match visit.query("status") {
        None => None,
        Some(word) => Some(ExecutionStatus::named(&word).ok_or_else(|| {
            let words: Vec<&str> = ExecutionStatus::ALL.iter().map(|it| it.word()).collect();
            Problem::refused(format!("there is no status `{word}`"))
                .hint(format!("it is one of {}", words.join(", ")))
        })?),
    };
    let from = visit.query("from").and_then(|from| from.parse().ok()).unwrap_or(0_usize);
    let found = found(visit, id).await?;
    let squares = found.by_thing().into_iter().map(|(thing, execution)| Square {
        thing: thing.to_owned(),
        status: execution.and_then(|it| ExecutionStatus::named(it.status.word())),
        retries: execution.map_or(0, |it| it.attempt.into()),
    });
    let squares: Vec<Square> = squares.collect();
    let all: Vec<_> = found.executions.iter().map(jobs::execution).collect();
    let count = |status: ExecutionStatus| all.iter().filter(|it| it.status == status).count();
    // The table is below the squares.
    let below = |changes: &[(&str, Option<&str>)]| {
        let asked = [("cancel", None), ("delete", None)];
        format!("{}#executions-title", link(visit, &[changes, &asked].concat()))
    };
    let own = |status| below(&[("status", status), ("from", None)]);
    let mut choices = vec![Choice {
        name: "All",
        href: own(None),
        count: Some(all.len() as u64),
        chosen: wanted.is_none(),
    }];
    let there = STATUSES.iter().filter(|(status, _)| count(*status) > 0 || wanted == Some(*status));
    choices.extend(there.map(|(status, name)| Choice {
        name,
        href: own(Some(status.word())),
        count: Some(count(*status) as u64),
        chosen: wanted == Some(*status),
    }));
    let rows = all.iter().filter(|it| wanted.is_none_or(|status| status == it.status));
    let (total, rows) = (rows.clone().count(), rows.skip(from).take(ROWS).cloned().collect());
    let next = from + ROWS;
    Ok(drawn::page(&View {
        now: visit.now(),
        address: link(visit, &[("cancel", None), ("delete", None)]),
        job: jobs::job(&found.job, &found.progress, visit.node().settings()),
        counts: jobs::counts(&found.progress),
        pace: Pace::of(&all),
        squares,
        choices,
        rows,
        next: (total > next).then(|| below(&[("from", Some(&next.to_string()))])),
        first: (from > 0).then(|| below(&[("from", None)])),
        ask: Ask::of(|name| visit.query(name)),
    }))
}

/// Does what a form of a job asks for; `None`: it is none of these.
pub(super) async fn act(visit: &Visit, action: &str, form: &Form) -> Option<Result<Done, Problem>> {
    Some(match action {
        "job-cancel" => cancel(visit, form).await,
        "job-delete" => delete(visit, form).await,
        "job-retry" => retry(visit, form).await,
        "job-execution-cancel" => cancel_execution(visit, form).await,
        _ => return None,
    })
}

async fn cancel(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let mut asked = vec![
        ("jobId", Json::from(form.field("job"))),
        ("force", Json::from(form.field("force") == "1")),
    ];
    let comment = form.field("comment").trim();
    if !comment.is_empty() {
        asked.push(("comment", comment.into()));
    }
    visit.ask(Service::Iot, "CancelJob", asked).await.map_err(problem)?;
    Ok(Done::At(form.back().to_owned()))
}

async fn delete(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let asked = [("jobId", Json::from(form.field("job")))];
    visit.ask(Service::Iot, "DeleteJob", asked).await.map_err(problem)?;
    Ok(Done::At(form.back().to_owned()))
}

async fn cancel_execution(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let asked = [
        ("jobId", Json::from(form.field("job"))),
        ("thingName", form.field("thing").into()),
        ("force", Json::from(form.field("force") == "1")),
    ];
    visit.ask(Service::Iot, "CancelJobExecution", asked).await.map_err(problem)?;
    Ok(Done::At(form.back().to_owned()))
}

/// Makes a job of the same kind for the things that did not do this one.
async fn retry(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let id = form.field("job");
    let found = found(visit, id).await?;
    let failed = |execution: &&core::Execution| {
        use core::ExecutionStatus::{Failed, Rejected, TimedOut};
        matches!(execution.status, Failed | Rejected | TimedOut)
    };
    let things = found.by_thing().into_values().flatten().filter(failed);
    let settings = visit.node().settings();
    let targets = things.map(|it| Json::from(settings.arn("iot", &format!("thing/{}", it.thing))));
    let targets: Vec<Json> = targets.collect();
    if targets.is_empty() {
        return Err(Problem::refused(format!("nothing of job `{id}` has failed")));
    }
    let described = visit.ask(Service::Iot, "DescribeJob", [("jobId", Json::from(id))]).await;
    let described = described.map_err(problem)?;
    let mut asked = vec![
        ("targets", Json::array(targets)),
        ("document", Json::from(&*found.job.document)),
        ("description", format!("retry of {id}").into()),
    ];
    let kept =
        ["jobExecutionsRolloutConfig", "abortConfig", "timeoutConfig", "jobExecutionsRetryConfig"];
    let of_job = described.member("job");
    asked.extend(kept.iter().filter_map(|name| Some((*name, of_job?.member(name)?.clone()))));
    // The first free name, so that it says what it is.
    let stem = id.get(..id.len().min(54)).unwrap_or(id);
    for number in 1..=99 {
        let new = format!("{stem}-retry-{number}");
        let mut asked = asked.clone();
        asked.push(("jobId", Json::from(&*new)));
        match visit.ask(Service::Iot, "CreateJob", asked).await {
            Ok(_) => return Ok(Done::At(href(&new))),
            Err(error) if error.code == "ResourceAlreadyExistsException" => {}
            Err(error) => return Err(problem(error)),
        }
    }
    Err(Problem::refused(format!("there are 99 retries of job `{id}` already")))
}
