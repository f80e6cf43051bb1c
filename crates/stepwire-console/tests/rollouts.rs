//! The list of rollouts and the page of one: what they say, and that nothing in them is anything
//! but text.
#![expect(clippy::unwrap_used, reason = "tests")]

mod page;

use page::{HOSTILE, check, said};
use stepwire_asl::Timestamp;
use stepwire_console::pages::executions::Choice;
use stepwire_console::pages::jobs::{Counts, Execution, ExecutionStatus, JobStatus, Selection};
use stepwire_console::pages::rollout::{
    self, AbortRule, Ask, Cancellation, EndBehavior, Failure, Job, Pace, Rate, SQUARES_MAX,
    Schedule, Square, View,
};
use stepwire_console::pages::rollouts;

const NOW: Timestamp = Timestamp(1_796_000_000_000);

fn before(ms: i64) -> Timestamp {
    NOW.plus_ms(-ms)
}

fn choices(chosen: usize) -> Vec<Choice> {
    let choice = |(at, name)| Choice {
        name,
        href: "/rollouts?status=X".to_owned(),
        count: Some(1_204),
        chosen: at == chosen,
    };
    ["All", "FAILED"].into_iter().enumerate().map(choice).collect()
}

fn counts() -> Counts {
    Counts {
        untold: 332,
        queued: 0,
        in_progress: 148,
        succeeded: 505,
        failed: 2,
        rejected: 4,
        timed_out: 9,
        removed: 0,
        canceled: 0,
    }
}

fn row(id: &str, status: JobStatus) -> rollouts::Row {
    rollouts::Row {
        id: id.to_owned(),
        status,
        selection: Selection::Continuous,
        targets: ["a", "b", HOSTILE]
            .map(|name| format!("arn:aws:iot:us-east-1:000000000000:thing/{name}"))
            .to_vec(),
        counts: counts(),
        created: before(720_000),
        completed: None,
    }
}

fn list(rows: Vec<rollouts::Row>) -> rollouts::View {
    rollouts::View {
        address: "/rollouts?status=FAILED".to_owned(),
        choices: choices(1),
        rows,
        older: Some("/rollouts?after=x".to_owned()),
        newest: None,
        target: "arn:aws:iot:us-east-1:000000000000:thing/gw-1".to_owned(),
    }
}

#[test]
fn rollouts_say_how_far_they_are() {
    let done = rollouts::Row { completed: Some(NOW), ..row("done", JobStatus::Completed) };
    let page = rollouts::page(&list(vec![row("firmware-1.2.3", JobStatus::InProgress), done]));
    check(&page);
    let text = said(&page);
    for part in [
        "IN_PROGRESS firmware-1.2.3 505 of 1 000, 15 failed a and 2 more 2026-",
        "– CONTINUOUS",
        "COMPLETED done",
        "Older",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let says =
        "505 succeeded, 148 in progress, 332 not yet told, 2 failed, 4 rejected, 9 timed out";
    assert!(page.main.0.contains(says), "{}", page.main.0);
    assert!(page.main.0.contains("href=\"/rollouts?after=x\" rel=\"next\""));
    check(&rollouts::page(&list(vec![row(HOSTILE, JobStatus::Canceled)])));
}

#[test]
fn no_rollouts_say_how_to_make_one() {
    let page = rollouts::page(&list(Vec::new()));
    check(&page);
    assert!(said(&page).contains("Nothing found No job matches."), "{}", said(&page));
    let first = rollouts::View { address: "/rollouts".to_owned(), ..list(Vec::new()) };
    let text = said(&rollouts::page(&first));
    assert!(text.contains("No job yet") && text.contains("aws iot create-job"), "{text}");
    assert!(text.contains("thing/gw-1"), "{text}");
}

fn execution(thing: &str, status: ExecutionStatus) -> Execution {
    Execution {
        thing: thing.to_owned(),
        job: "firmware-1.2.3".to_owned(),
        status,
        number: 1,
        retries: 0,
        queued: Some(before(90_000)),
        started: Some(before(60_000)),
        updated: Some(before(13_000)),
        details: vec![("progress".to_owned(), "40 %".to_owned())],
    }
}

fn job(status: JobStatus) -> Job {
    Job {
        id: "firmware-1.2.3".to_owned(),
        arn: "arn:aws:iot:us-east-1:000000000000:job/firmware-1.2.3".to_owned(),
        status,
        description: Some("New firmware".to_owned()),
        selection: Selection::Snapshot,
        targets: vec!["arn:aws:iot:us-east-1:000000000000:thinggroup/factory".to_owned()],
        document: Some(r#"{"url":"x"}"#.to_owned()),
        created: before(720_000),
        updated: Some(before(5_000)),
        completed: None,
        canceled: None,
        rate: Rate { per_minute_max: Some(120), growth: None },
        abort: vec![AbortRule {
            failure: Failure::All,
            threshold_percent: 5.0,
            executed_min: 10,
            failed: 15,
            executed: 668,
        }],
        timeout_minutes: Some(30),
        retries: vec![(Failure::TimedOut, 3)],
        schedule: Schedule::default(),
    }
}

fn view(job: Job) -> View {
    let statuses = ExecutionStatus::ALL;
    let rows: Vec<_> =
        (0..).zip(statuses).map(|(at, status)| execution(&format!("gw-{at}"), status)).collect();
    let square = |it: &Execution| Square {
        thing: it.thing.clone(),
        status: Some(it.status),
        retries: it.retries,
    };
    let ended = (0..10).map(|at| before(at * 1_000)).collect();
    View {
        now: NOW,
        address: "/rollouts/firmware-1.2.3?status=FAILED".to_owned(),
        squares: rows.iter().map(square).collect(),
        job,
        counts: counts(),
        pace: Pace { took_ms: vec![47_000, 20_000, 130_000], ended },
        choices: choices(0),
        rows,
        next: Some("/rollouts/firmware-1.2.3?after=gw-9".to_owned()),
        first: None,
        ask: None,
    }
}

#[test]
fn a_rollout_says_what_it_is_and_how_far() {
    let page = rollout::page(&view(job(JobStatus::InProgress)));
    check(&page);
    let text = said(&page);
    for part in [
        "firmware-1.2.3 IN_PROGRESS New firmware Target group factory Selection SNAPSHOT Created 2026-",
        "Rate at most 120 a minute TIMED_OUT after 30 min in progress",
        "Tries TIMED_OUT again up to 3 times",
        "Stops itself at 5 % FAILED, REJECTED or TIMED_OUT of at least 10 devices, now 2.2 %",
        "Cancel… Retry 15 failed",
        "Succeeded 505 of 1 000",
        "In progress 148",
        "Failed 15 9 timed out, 4 rejected",
        "Queued 0 332 not yet told",
        "Median time 47.0 s p95 2 min 10 s",
        "Done in about 8 min at the current rate",
        "992 more devices have no square here",
        "REJECTED gw-5 2026-",
        "progress: 40 %",
        "Next",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Delete…"), "{text}");
    assert!(
        page.main
            .0
            .contains("href=\"/devices/gw-2?tab=jobs\" aria-label=\"gw-2: SUCCEEDED, attempt 1\"")
    );
    assert!(page.main.0.contains("?status=FAILED&amp;cancel=yes"), "{}", page.main.0);
    let regions: Vec<_> = page.parts.regions.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(regions, ["head", "counters", "squares-more", "choices", "executions"]);
}

#[test]
fn a_canceled_rollout_says_why() {
    let canceled = Cancellation {
        by_abort_rule: true,
        forced: true,
        reason: Some("TOO_MANY".to_owned()),
        comment: Some(HOSTILE.to_owned()),
    };
    let schedule = Schedule {
        start: Some(before(720_000)),
        end: Some(NOW.plus_ms(720_000)),
        behavior: Some(EndBehavior::Cancel),
    };
    let job = Job {
        canceled: Some(canceled),
        completed: Some(before(120_000)),
        schedule,
        ..job(JobStatus::Canceled)
    };
    let counts = Counts { canceled: 30, removed: 2, failed: 100, ..counts() };
    let page = rollout::page(&View { counts, ..view(job) });
    check(&page);
    let text = said(&page);
    for part in [
        "Canceled by its abort rule, executions in progress too: TOO_MANY “&lt;img",
        ": CANCEL, what is queued is taken back",
        "Delete…",
        "Canceled 32 2 of them removed",
        "Took 10 min",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in ["Cancel…", "Retry", "Done in about"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_ends_a_rollout_is_confirmed() {
    let asked = |ask, status| {
        let page = rollout::page(&View { ask: Some(ask), ..view(job(status)) });
        check(&page);
        page.main.0
    };
    let html = asked(Ask::Cancel, JobStatus::InProgress);
    assert!(html.contains("action=\"/-/console/job-cancel\""), "{html}");
    assert!(html.contains("name=\"force\" value=\"1\""), "{html}");
    assert!(html.contains("name=\"comment\""), "{html}");
    assert!(!asked(Ask::Cancel, JobStatus::Completed).contains("job-cancel"));
    assert!(asked(Ask::Delete, JobStatus::Completed).contains("action=\"/-/console/job-delete\""));
    assert!(!asked(Ask::Delete, JobStatus::InProgress).contains("job-delete"));
}

#[test]
fn what_changes_often_has_no_field_to_type_in() {
    let view = View { ask: Some(Ask::Cancel), ..view(job(JobStatus::InProgress)) };
    for (id, html) in rollout::page(&view).parts.regions {
        assert!(!html.contains("name=\"comment\"") && !html.contains("checkbox"), "{id}");
    }
}

#[test]
fn a_rollout_without_executions_says_what_comes() {
    let counts = Counts { untold: 7, ..Counts::default() };
    let empty = View {
        counts,
        rows: Vec::new(),
        squares: Vec::new(),
        pace: Pace::default(),
        next: None,
        ..view(Job { abort: Vec::new(), document: None, ..job(JobStatus::Scheduled) })
    };
    let page = rollout::page(&empty);
    check(&page);
    let text = said(&page);
    assert!(text.contains("No execution yet 7 devices have yet to be told."), "{text}");
    assert!(text.contains("Median time –"), "{text}");
    let filtered = View { choices: choices(1), ..empty };
    assert!(said(&rollout::page(&filtered)).contains("No execution matches. Show all"));
}

#[test]
fn a_large_fleet_has_so_many_squares_and_a_number() {
    let square = |at: usize| Square { thing: format!("gw-{at}"), status: None, retries: 0 };
    let large = View {
        squares: (0..SQUARES_MAX + 5).map(square).collect(),
        counts: Counts { untold: SQUARES_MAX as u64 + 1_005, ..Counts::default() },
        ..view(job(JobStatus::InProgress))
    };
    let page = rollout::page(&large);
    assert_eq!(page.parts.lists[0].1.len(), SQUARES_MAX);
    assert!(said(&page).contains("1 005 more devices have no square here"));
}

#[test]
fn names_of_a_rollout_are_text() {
    let execution = Execution {
        job: HOSTILE.to_owned(),
        details: vec![(HOSTILE.to_owned(), HOSTILE.repeat(20))],
        ..execution(HOSTILE, ExecutionStatus::InProgress)
    };
    let square = Square { thing: HOSTILE.to_owned(), status: None, retries: 0 };
    let job = Job {
        id: HOSTILE.to_owned(),
        arn: HOSTILE.to_owned(),
        description: Some(HOSTILE.to_owned()),
        targets: vec![HOSTILE.to_owned()],
        document: Some(format!("{{\"a\":\"</pre>{HOSTILE}")),
        ..job(JobStatus::InProgress)
    };
    let hostile = View {
        address: format!("/rollouts/x?status={HOSTILE}"),
        squares: vec![square],
        rows: vec![execution],
        ask: Some(Ask::Cancel),
        ..view(job)
    };
    let page = rollout::page(&hostile);
    check(&page);
    assert!(page.main.0.contains("/devices/%3Cimg%20src%3Dx"), "{}", page.main.0);
}
