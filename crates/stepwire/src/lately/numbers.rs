//! Numbers of executions: by minute, by workflow, and what needs attention.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use stepwire_asl::Timestamp;
use stepwire_core::executions::Status;

use super::run::Run;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Minutes that are remembered.
const MINUTES: usize = 24 * 60;
/// Hours that are remembered of a workflow.
const HOURS: usize = 24;
/// Workflows that are counted; beyond them the one that was quiet longest is forgotten.
const WORKFLOWS_MAX: usize = 2_000;
/// Executions that percentiles are of.
const TIMED_MAX: usize = 1_000;

/// What happened in a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    /// Executions that began.
    pub(crate) started: u32,
    /// That ended well.
    pub(crate) succeeded: u32,
    /// That failed or whose time ran out.
    pub(crate) failed: u32,
}

impl Minute {
    fn end(&mut self, status: Status) {
        match status {
            Status::Running | Status::Aborted => {}
            Status::Succeeded => self.succeeded += 1,
            Status::Failed | Status::TimedOut => self.failed += 1,
        }
    }
}

/// Counts of the latest spans of time, each `SPAN_MS` long.
#[derive(Debug)]
struct Spans<const SPAN_MS: i64> {
    /// The span's number since 1970, and what happened in it; at its number modulo the length.
    counts: Vec<(i64, Minute)>,
}

impl<const SPAN_MS: i64> Spans<SPAN_MS> {
    fn new(spans: usize) -> Spans<SPAN_MS> {
        Spans { counts: vec![(0, Minute::default()); spans] }
    }

    fn at(&mut self, at: Timestamp) -> Option<&mut Minute> {
        let span = at.0.div_euclid(SPAN_MS);
        let index = span.rem_euclid(self.counts.len() as i64) as usize;
        let (of, counts) = self.counts.get_mut(index)?;
        if *of < span {
            (*of, *counts) = (span, Minute::default());
        }
        // What is older than all that is remembered has no place.
        (*of == span).then_some(counts)
    }

    /// What happened in a span that is so many before that of `now`.
    fn before(&self, back: usize, now: Timestamp) -> Minute {
        let span = now.0.div_euclid(SPAN_MS) - back as i64;
        let index = span.rem_euclid(self.counts.len() as i64) as usize;
        let found = self.counts.get(index).filter(|(of, _)| *of == span);
        found.map_or_else(Minute::default, |(_, counts)| *counts)
    }
}

/// Beginnings and ends by minute.
#[derive(Debug)]
pub(super) struct Minutes(Spans<MINUTE_MS>);

impl Default for Minutes {
    fn default() -> Minutes {
        Minutes(Spans::new(MINUTES))
    }
}

impl Minutes {
    pub(super) fn started(&mut self, at: Timestamp) {
        if let Some(minute) = self.0.at(at) {
            minute.started += 1;
        }
    }

    pub(super) fn ended(&mut self, status: Status, at: Timestamp) {
        if let Some(minute) = self.0.at(at) {
            minute.end(status);
        }
    }

    pub(super) fn last(&self, count: usize, now: Timestamp) -> Vec<Minute> {
        (0..count.min(MINUTES)).rev().map(|back| self.0.before(back, now)).collect()
    }
}

/// Beginnings and ends of 24 hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Day {
    /// Executions that began.
    pub(crate) started: u64,
    /// That ended well.
    pub(crate) succeeded: u64,
    /// That failed or whose time ran out.
    pub(crate) failed: u64,
}

impl Day {
    /// Of those that ended, how many in a hundred ended well; `None`: none has ended.
    pub(crate) fn success_percent(&self) -> Option<f64> {
        let ended = self.succeeded + self.failed;
        (ended > 0).then(|| self.succeeded as f64 * 100.0 / ended as f64)
    }
}

/// Beginnings and ends by workflow and hour.
#[derive(Debug, Default)]
pub(super) struct Days(HashMap<Arc<str>, Hours>);

/// Those of one workflow.
#[derive(Debug)]
pub(super) struct Hours {
    spans: Spans<HOUR_MS>,
    latest: Timestamp,
}

impl Days {
    pub(super) fn of_run(&mut self, workflow: &Arc<str>) -> &mut Hours {
        if !self.0.contains_key(workflow) && self.0.len() >= WORKFLOWS_MAX {
            let quiet = self.0.iter().min_by_key(|(_, hours)| hours.latest);
            if let Some(quiet) = quiet.map(|(name, _)| Arc::clone(name)) {
                self.0.remove(&quiet);
            }
        }
        let none = || Hours { spans: Spans::new(HOURS), latest: Timestamp(0) };
        self.0.entry(Arc::clone(workflow)).or_insert_with(none)
    }

    pub(super) fn of(&self, workflow: &str, now: Timestamp) -> Day {
        let mut day = Day::default();
        let Some(hours) = self.0.get(workflow) else { return day };
        for hour in (0..HOURS).map(|back| hours.spans.before(back, now)) {
            day.started += u64::from(hour.started);
            day.succeeded += u64::from(hour.succeeded);
            day.failed += u64::from(hour.failed);
        }
        day
    }
}

impl Hours {
    pub(super) fn started(&mut self, at: Timestamp) {
        self.latest = self.latest.max(at);
        if let Some(hour) = self.spans.at(at) {
            hour.started += 1;
        }
    }

    pub(super) fn ended(&mut self, status: Status, at: Timestamp) {
        self.latest = self.latest.max(at);
        if let Some(hour) = self.spans.at(at) {
            hour.end(status);
        }
    }
}

/// Executions that went wrong in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Their state machine.
    pub(crate) workflow: Arc<str>,
    /// The state where they ended.
    pub(crate) state: Option<Arc<str>>,
    /// `Failed` or `TimedOut`.
    pub(crate) status: Status,
    /// The error they ended with.
    pub(crate) error: Option<Arc<str>>,
    /// How many.
    pub(crate) count: u64,
    /// When the last of them ended.
    pub(crate) last: Timestamp,
    /// That one.
    pub(crate) example: Arc<Run>,
}

/// What failed in the last `within_ms`, alike together, most first. `runs` are as in
/// [`Recent`](super::Recent).
pub(crate) fn attention(runs: &[Arc<Run>], now: Timestamp, within_ms: i64) -> Vec<Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for run in runs {
        let Some(stopped) = run.stopped.filter(|at| now.since_ms(*at) <= within_ms) else {
            continue;
        };
        if !matches!(run.status, Status::Failed | Status::TimedOut) {
            continue;
        }
        let key = (&run.workflow, run.state(), run.status.word(), &run.error);
        let group = groups.entry(key).or_insert_with(|| Group {
            workflow: Arc::clone(&run.workflow),
            state: run.state().cloned(),
            status: run.status,
            error: run.error.clone(),
            count: 0,
            last: stopped,
            example: Arc::clone(run),
        });
        group.count += 1;
        if stopped > group.last {
            (group.last, group.example) = (stopped, Arc::clone(run));
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.count, group.last)));
    groups
}

/// How long the newest executions of a workflow took that have succeeded: the median and the 99th
/// percentile in milliseconds, and of how many; `None`: none has.
pub(crate) fn percentiles(runs: &[Arc<Run>], workflow: &str) -> Option<(i64, i64, usize)> {
    let of = |run: &&Arc<Run>| &*run.workflow == workflow && run.status == Status::Succeeded;
    let took = runs.iter().filter(of).filter_map(|run| Some(run.stopped?.since_ms(run.started)));
    let mut took: Vec<i64> = took.take(TIMED_MAX).collect();
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1));
    Some((*at(50)?, *at(99)?, took.len()))
}
