//! The list of rollouts: AWS IoT jobs, newest first.

use stepwire_console::Page;
use stepwire_console::pages::Problem;
use stepwire_console::pages::executions::Choice;
use stepwire_console::pages::jobs::JobStatus;
use stepwire_console::pages::rollouts::{self as drawn, Row, View};
use stepwire_core::jobs as core;

use super::executions::link;
use super::jobs;
use super::live::{Interest, Topic};
use super::visit::{Visit, problem};
use super::workflows::read;

/// Rows of a page.
const ROWS: usize = 50;

/// Statuses that are told apart, as the page calls them.
const STATUSES: [(JobStatus, &str); 4] = [
    (JobStatus::InProgress, "In progress"),
    (JobStatus::Scheduled, "Scheduled"),
    (JobStatus::Completed, "Completed"),
    (JobStatus::Canceled, "Canceled"),
];

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Jobs], 1_000)
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let wanted = match visit.query("status") {
        None => None,
        Some(word) => Some(JobStatus::named(&word).ok_or_else(|| {
            let words: Vec<&str> = JobStatus::ALL.iter().map(|status| status.word()).collect();
            Problem::refused(format!("there is no status `{word}`"))
                .hint(format!("it is one of {}", words.join(", ")))
        })?),
    };
    let from = visit.query("from").and_then(|from| from.parse().ok()).unwrap_or(0_usize);
    let settings = visit.node().settings().clone();
    let all = read(visit.node(), move |read| {
        let mut all = core::jobs(read).map_err(jobs::unreadable)?;
        all.sort_by(|(a, _), (b, _)| (b.created, &a.id).cmp(&(a.created, &b.id)));
        Ok(all)
    });
    let all = all.await.map_err(problem)?;
    let count = |status: Option<JobStatus>| {
        let of = |progress| status.is_none_or(|status| status == jobs::status(progress));
        all.iter().filter(|(_, progress)| of(progress)).count()
    };
    let mut choices = vec![Choice {
        name: "All",
        href: link(visit, &[("status", None), ("from", None)]),
        count: Some(all.len() as u64),
        chosen: wanted.is_none(),
    }];
    choices.extend(STATUSES.map(|(status, name)| Choice {
        name,
        href: link(visit, &[("status", Some(status.word())), ("from", None)]),
        count: Some(count(Some(status)) as u64),
        chosen: wanted == Some(status),
    }));
    let found = all
        .iter()
        .filter(|(_, progress)| wanted.is_none_or(|status| status == jobs::status(progress)));
    let rows = found.skip(from).take(ROWS).map(|(job, progress)| Row {
        id: job.id.to_string(),
        status: jobs::status(progress),
        selection: jobs::selection(job),
        targets: jobs::targets(job, &settings),
        counts: jobs::counts(progress),
        created: job.created,
        completed: progress.completed,
    });
    let next = from + ROWS;
    let older = (count(wanted) > next).then(|| link(visit, &[("from", Some(&next.to_string()))]));
    Ok(drawn::page(&View {
        address: visit.address().to_owned(),
        choices,
        rows: rows.collect(),
        older,
        newest: (from > 0).then(|| link(visit, &[("from", None)])),
        target: settings.arn("iot", "thing/gw-0001"),
    }))
}
