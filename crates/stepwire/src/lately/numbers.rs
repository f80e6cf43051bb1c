//! Numbers of executions: by minute, and what needs attention.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Timestamp;
use stepwire_core::executions::Status;

use super::run::Run;

const MINUTE_MS: i64 = 60_000;
/// Minutes that are remembered.
const MINUTES: usize = 24 * 60;

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
