//! Executions of late: what lists, filters and numbers are made of, kept in memory.
//!
//! Every execution has a number, which grows with time. From the number [`Recent::from`] on every
//! one is known here, as far as [`RUNS_MAX`] go; of earlier ones those alone that have changed
//! lately. It is the fold of what becomes durable, and after a start it is filled from the store,
//! newest first, while the node works already.
//!
//! Children of distributed Maps and Express executions are not kept.
//!
//! Read in this order: [`Run`], [`Lately`], [`numbers`], [`past`].

mod numbers;
mod past;
mod run;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepwire_asl::history::Detail;
use stepwire_asl::{HistoryEvent, Timestamp};
use stepwire_core::executions::{self, ExecutionId, ExecutionRecord, Status, record};
use stepwire_core::record::Space;
use stepwire_core::{Read, Write};

pub(crate) use numbers::{Group, Minute, attention};
pub(crate) use past::{input_text, newest_of_device, older};
pub(crate) use run::{Run, Waits};

use numbers::Minutes;
use past::Newest;

/// Executions that are known, the newest.
pub(crate) const RUNS_MAX: usize = 20_000;
/// Earlier ones that are known because they have changed.
const EARLIER_MAX: usize = 5_000;
/// Executions read from the store at a time.
const SLICE: usize = 250;

/// Executions of late.
#[derive(Debug)]
pub(crate) struct Lately {
    state: Mutex<State>,
    /// What was asked for last, and at which change.
    asked: Mutex<Option<(u64, Recent)>>,
    /// What happened before is counted when it is read from the store, what happens after when it
    /// becomes durable.
    began: Timestamp,
}

#[derive(Debug, Default)]
struct State {
    /// By number.
    runs: BTreeMap<u64, Arc<Run>>,
    /// Every execution from this number on is in `runs`; `None` before the first.
    from: Option<u64>,
    /// No execution was begun before that one.
    is_whole: bool,
    /// Whether the store has been read as far as it is to be.
    filled: bool,
    /// Numbers before `from` that are in `runs`, in the order in which they came there.
    earlier: VecDeque<u64>,
    /// Executions that are not in `runs` and have changed.
    changed: BTreeSet<ExecutionId>,
    /// Counts changes.
    change: u64,
    /// Executions that have not ended.
    open: u64,
    minutes: Minutes,
}

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    /// Newest first.
    pub(crate) runs: Arc<[Arc<Run>]>,
    /// Every execution from this number on is among them. `None`: every one there is.
    pub(crate) from: Option<u64>,
    /// When the first of them started.
    pub(crate) since: Option<Timestamp>,
    /// Executions that have not ended, known or not.
    pub(crate) open: u64,
}

impl Recent {
    /// An execution, if it is known.
    fn run(&self, id: ExecutionId) -> Option<&Arc<Run>> {
        let place = |run: &Arc<Run>| Reverse(run.id.number);
        let at = self.runs.binary_search_by_key(&Reverse(id.number), place).ok()?;
        self.runs.get(at)
    }
}

impl Lately {
    /// Nothing is known yet of what began before `began`, the time of the start.
    pub(crate) fn new(began: Timestamp) -> Lately {
        Lately { state: Mutex::default(), asked: Mutex::default(), began }
    }

    /// Counts the executions that have not ended. To be called before anything is decided.
    pub(crate) fn count_open(&self, read: &dyn Read) {
        self.state().open = past::open(read);
    }

    /// Takes in what has become durable.
    pub(crate) fn writes(&self, writes: &[Write]) {
        let mut state = None;
        for write in writes {
            let Write::Executions(write) = write else { continue };
            let state = state.get_or_insert_with(|| self.state());
            match write {
                executions::Write::History(id, events) if id.map_run().is_none() => {
                    state.history(*id, events);
                }
                executions::Write::Execution(id, record) if id.map_run().is_none() => {
                    state.summary(*id, record);
                }
                executions::Write::Removed(key) => state.removed(key),
                _ => {}
            }
        }
    }

    /// What is known now.
    pub(crate) fn recent(&self) -> Recent {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state();
        if let Some((change, recent)) = &*asked
            && *change == state.change
        {
            return recent.clone();
        }
        let runs: Arc<[Arc<Run>]> = state.runs.values().rev().cloned().collect();
        let from = state.from.filter(|_| !state.is_whole);
        let first = state.from.and_then(|from| state.runs.range(from..).next());
        let since = first.map(|(_, run)| run.started).filter(|_| !state.is_whole);
        let recent = Recent { runs, from, since, open: state.open };
        *asked = Some((state.change, recent.clone()));
        recent
    }

    /// An execution, if it is known.
    pub(crate) fn run(&self, id: ExecutionId) -> Option<Arc<Run>> {
        self.state().runs.get(&id.number).cloned()
    }

    /// Beginnings and ends by minute, of the last `count` minutes, oldest first; the last one goes
    /// on.
    pub(crate) fn minutes(&self, count: usize, now: Timestamp) -> Vec<Minute> {
        self.state().minutes.last(count, now)
    }

    /// Reads what was before, newest first, in slices and while it `goes_on`: takes seconds and
    /// blocks. `snapshot` gives what is durable when it is called.
    pub(crate) fn fill<R: Read>(&self, snapshot: impl Fn() -> R, goes_on: impl Fn() -> bool) {
        let read = snapshot();
        let mut newest = Newest::all(&read);
        while goes_on() {
            let slice: Vec<_> = newest.by_ref().take(SLICE).collect();
            let over = slice.len() < SLICE;
            let mut state = self.state();
            for run in slice {
                state.insert(run, self.began);
            }
            let full = state.runs.len() >= RUNS_MAX;
            if over || full {
                state.is_whole = over && !full;
                state.filled = true;
                state.change += 1;
                break;
            }
        }
        drop(newest);
        self.catch_up(snapshot);
    }

    /// Reads those that have changed and are not known. To be called before [`Lately::recent`].
    pub(crate) fn catch_up<R: Read>(&self, snapshot: impl Fn() -> R) {
        let changed = {
            let mut state = self.state();
            if !state.filled || state.changed.is_empty() {
                return;
            }
            std::mem::take(&mut state.changed)
        };
        let read = snapshot();
        let loaded = changed.into_iter().filter_map(|id| past::load(id, &read));
        for run in loaded {
            self.state().insert(run, self.began);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn history(&mut self, id: ExecutionId, events: &[HistoryEvent]) {
        let Some(first) = events.first() else { return };
        if let Detail::ExecutionStarted { execution_arn, .. } = &first.detail {
            // Express executions have another kind of ARN.
            let Some(run) = Run::begun(id, execution_arn, first) else { return };
            self.minutes.started(first.at);
            self.open += 1;
            self.from.get_or_insert(id.number);
            self.runs.insert(id.number, Arc::new(run));
            self.bound();
        }
        self.change += 1;
        let Some(run) = self.runs.get_mut(&id.number) else {
            let revived = matches!(first.detail, Detail::ExecutionRedriven(_));
            self.open += u64::from(revived);
            let ended = events.last().is_some_and(|last| last.detail.is_terminal());
            if ended {
                self.open = self.open.saturating_sub(1);
            }
            if !self.filled {
                self.note_changed(id);
            }
            return;
        };
        let run = Arc::make_mut(run);
        for event in events {
            let before = run.status;
            run.apply(event);
            if before == run.status {
                continue;
            }
            if run.status == Status::Running {
                self.open += 1;
            } else {
                self.open = self.open.saturating_sub(1);
                self.minutes.ended(run.status, event.at);
            }
        }
    }

    fn summary(&mut self, id: ExecutionId, record: &ExecutionRecord) {
        self.change += 1;
        match self.runs.get_mut(&id.number) {
            Some(run) => Arc::make_mut(run).record(record),
            None => self.note_changed(id),
        }
    }

    /// A record is gone; if it is that of an execution, there is no such execution any more.
    fn removed(&mut self, key: &[u8]) {
        if key.first() == Some(&(Space::Execution as u8))
            && let Ok(id) = record::id_of(key)
        {
            self.change += 1;
            self.changed.remove(&id);
            self.runs.remove(&id.number);
            self.earlier.retain(|number| *number != id.number);
        }
    }

    fn note_changed(&mut self, id: ExecutionId) {
        self.changed.insert(id);
        if self.changed.len() > EARLIER_MAX {
            self.changed.pop_first();
        }
    }

    /// One that was read, unless something newer is known of it.
    fn insert(&mut self, run: Run, began: Timestamp) {
        let (id, number) = (run.id, run.id.number);
        if self.runs.contains_key(&number) || self.changed.contains(&id) {
            return;
        }
        self.change += 1;
        let seen = |at: Timestamp| at < began;
        if seen(run.started) {
            self.minutes.started(run.started);
        }
        if let Some(stopped) = run.stopped
            && (seen(stopped) || self.filled)
        {
            self.minutes.ended(run.status, stopped);
        }
        self.runs.insert(number, Arc::new(run));
        if self.filled {
            if self.from.is_some_and(|from| number < from) {
                self.earlier.push_back(number);
            }
        } else {
            self.from = Some(self.from.map_or(number, |from| from.min(number)));
        }
        self.bound();
    }

    /// Lets go of the oldest.
    fn bound(&mut self) {
        while self.earlier.len() > EARLIER_MAX
            && let Some(number) = self.earlier.pop_front()
        {
            self.runs.remove(&number);
        }
        if self.runs.len() <= RUNS_MAX + self.earlier.len() {
            return;
        }
        let Some(from) = self.from else { return };
        if let Some((&oldest, _)) = self.runs.range(from..).next() {
            self.runs.remove(&oldest);
            self.from = self.runs.range(oldest..).next().map(|(&number, _)| number);
            self.is_whole = false;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
