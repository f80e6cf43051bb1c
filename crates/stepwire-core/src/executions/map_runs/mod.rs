//! Map runs: the children of distributed Map states.
//!
//! A map run works in slices. Each is a step of its own that begins, stops or looks at a bounded
//! number of children; [`Effect::Continue`](crate::Effect::Continue) asks for the next once its
//! commit is durable, so that other inputs come between and no run gets ahead of the disk.
//!
//! Read in this order: [`record`], [`Executions::map_run_slice`], `children`, `gather`, `reader`.

mod child;
mod children;
pub mod files;
mod formats;
pub(crate) mod gather;
mod manifest;
mod reader;
pub mod record;
pub(crate) mod request;
mod slice;
mod sources;
pub(crate) mod sweep;
mod unzip;
pub(crate) mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use stepwire_asl::execution::{ItemSource, MapRunCommand, MapRunStart};
use stepwire_asl::history::Trouble;
use stepwire_asl::{Json, Timestamp};

use self::files::{Answer, Ask};
use self::gather::Gathered;
use self::record::MapRunRecord;
use self::record::{Counts, Cursor, Ending, Phase, Progress, Spec};
use self::request::{Change, MapRunName};
use self::unzip::Unzip;
use super::call::Called;
use super::record::Write;
use super::run::Ran;
use super::{ExecutionId, ExecutionRecord, Executions, Hot};
use crate::read::{Read, Reads};
use crate::record::Corrupt;

/// Children at a time when the definition sets no limit. Source: Step Functions quotas.
const CHILDREN_MAX: u64 = 10_000;
/// Items in one stored chunk, and bytes after which one is full.
const CHUNK_ITEMS: usize = 256;
const CHUNK_BYTES: usize = 64 << 10;

/// A map run that has not ended.
#[derive(Debug)]
pub(crate) struct MapRun {
    pub(crate) spec: Arc<Spec>,
    pub(crate) progress: Progress,
    /// A slice of it is on its way.
    awake: bool,
    /// Results gathered since the start of the process: gathered anew after a restart.
    gathered: Gathered,
    /// Items read lately.
    chunks: VecDeque<(u32, Arc<[Json]>)>,
    /// What the rim has read for the next slice.
    answers: Vec<(Ask, Answer)>,
    unzip: Unzip,
}

/// Map runs that have not ended.
#[derive(Debug, Default)]
pub(crate) struct MapRuns {
    /// So many of them go on at a time, the oldest; the others wait where they are. Source: Step
    /// Functions quotas, "Maximum number of open Map Runs".
    most: usize,
    open: BTreeMap<u64, MapRun>,
    /// Specs and progress that recovery has read without the other half.
    halves: (BTreeMap<u64, Arc<Spec>>, BTreeMap<u64, Progress>),
    /// By execution; derived from `open`.
    of: BTreeSet<(ExecutionId, u64)>,
    next: u64,
}

impl MapRun {
    fn limit(&self) -> u64 {
        match self.progress.concurrency {
            0 => CHILDREN_MAX,
            limit => u64::from(limit).min(CHILDREN_MAX),
        }
    }

    fn items_left(&self) -> u64 {
        self.progress.items_total - self.progress.items.begun
    }

    /// Whether a slice would do something; one that is not admitted only ends.
    fn is_ready(&self, admitted: bool) -> bool {
        match self.progress.phase {
            Phase::Stopping(_) | Phase::Gathering(_) => true,
            _ if !admitted => false,
            Phase::Reading(_) => true,
            Phase::Running => {
                let running = self.progress.executions.running();
                let work = self.items_left() > 0 || self.progress.again.is_some();
                if work { running < self.limit() } else { running == 0 }
            }
            Phase::Ended(_) => false,
        }
    }

    /// Whether more items failed than are tolerated. Without either threshold none is.
    fn has_failed(&self) -> bool {
        let Progress { tolerated_count: count, tolerated_percentage: percentage, items, .. } =
            &self.progress;
        let failed = items.failed + items.timed_out;
        let by_count = *count > 0 && failed > *count;
        let total = self.progress.items_total.max(1) as f64;
        let by_share = *percentage > 0.0 && failed as f64 * 100.0 > percentage * total;
        let at_all = *count == 0 && *percentage == 0.0 && failed > 0;
        by_count || by_share || at_all
    }
}

impl MapRuns {
    pub(crate) fn get(&self, number: u64) -> Option<&MapRun> {
        self.open.get(&number)
    }

    /// Whether a run is one of those that go on.
    fn is_admitted(&self, number: u64) -> bool {
        self.open.len() <= self.most || self.open.keys().take(self.most).any(|n| *n == number)
    }

    pub(super) fn apply_spec(&mut self, number: u64, spec: Option<&Arc<Spec>>) {
        self.next = self.next.max(number + 1);
        match spec {
            Some(spec) => {
                self.halves.0.insert(number, Arc::clone(spec));
                self.join(number);
            }
            None => {
                if let Some(run) = self.open.remove(&number) {
                    self.of.remove(&(run.spec.parent, number));
                }
            }
        }
    }

    pub(super) fn apply_progress(&mut self, number: u64, progress: Option<&Progress>) {
        match (progress, self.open.get_mut(&number)) {
            (Some(progress), Some(run)) => run.progress = progress.clone(),
            (Some(progress), None) => {
                self.halves.1.insert(number, progress.clone());
                self.join(number);
            }
            (None, _) => {}
        }
    }

    /// A run is known once both its records are.
    fn join(&mut self, number: u64) {
        let (specs, progresses) = &mut self.halves;
        if specs.contains_key(&number)
            && let Some(progress) = progresses.remove(&number)
            && let Some(spec) = specs.remove(&number)
        {
            self.of.insert((spec.parent, number));
            let run = MapRun {
                spec,
                progress,
                awake: false,
                gathered: Gathered::default(),
                chunks: VecDeque::new(),
                answers: Vec::new(),
                unzip: Unzip::default(),
            };
            self.open.insert(number, run);
        }
    }

    /// The number of the next one.
    pub(super) fn next_number(&self) -> u64 {
        self.next.max(record::MAP_RUN)
    }

    /// Numbers go on at this one or after it.
    pub(super) fn apply_number(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    /// Finds, after recovery has read the open ones, where numbers go on.
    pub(super) fn resume_numbers(&mut self, read: &dyn Read) {
        let last = read.range(&record::all_ended().reversed().limit(1));
        let last = last.first().and_then(|(key, _)| record::number_of(key));
        self.next = self.next.max(last.map_or(record::MAP_RUN, |last| last + 1));
    }

    /// Whether the same runs are as far.
    pub(super) fn same(&self, other: &MapRuns) -> bool {
        let of = |runs: &MapRuns| -> BTreeMap<u64, (Arc<Spec>, Progress)> {
            let both = |run: &MapRun| (Arc::clone(&run.spec), run.progress.clone());
            runs.open.iter().map(|(number, run)| (*number, both(run))).collect()
        };
        self.next_number() == other.next_number() && self.of == other.of && of(self) == of(other)
    }

    /// Runs of an execution.
    fn of(&self, parent: ExecutionId) -> Vec<u64> {
        let range = (parent, 0)..=(parent, u64::MAX);
        self.of.range(range).map(|(_, number)| *number).collect()
    }
}

impl Executions {
    /// The map runs that have work to do: after a restart each is given a slice.
    pub(crate) fn ready_map_runs(&mut self) -> Vec<u64> {
        let most = self.map_runs.most;
        let ready = self.map_runs.open.iter_mut().enumerate();
        let ready = ready.filter(|(at, (_, run))| run.is_ready(*at < most));
        let wake = |(_, (number, run)): (usize, (&u64, &mut MapRun))| {
            run.awake = true;
            *number
        };
        ready.map(wake).collect()
    }

    /// Does what an execution asks of map runs, and stops those it no longer waits for.
    pub(super) fn command_map_runs(
        &mut self,
        now: Timestamp,
        parent: ExecutionId,
        hot: &Hot,
        commands: Vec<MapRunCommand>,
        ran: &mut Ran,
    ) {
        for command in commands {
            match command {
                MapRunCommand::Begin(start) => {
                    self.begin_map_run(now, parent, &hot.record, *start, ran);
                }
                MapRunCommand::Redrive { started } => ran.redriven_runs.push((parent, started)),
            }
        }
        for number in self.map_runs.of(parent) {
            let Some(run) = self.map_runs.get(number) else { continue };
            let gone = matches!(run.progress.phase, Phase::Stopping(_) | Phase::Gathering(_));
            if !gone && !hot.execution.is_map_run_open(run.spec.started_by) {
                self.change(number, ran, |progress| {
                    progress.phase = Phase::Stopping(Ending::Aborted);
                });
                self.wake(number, ran);
            }
        }
    }

    fn begin_map_run(
        &mut self,
        now: Timestamp,
        parent: ExecutionId,
        of: &ExecutionRecord,
        start: MapRunStart,
        ran: &mut Ran,
    ) {
        let mut arn = start.arn.splitn(8, ':').skip(6);
        let (name, uuid) = (arn.next().unwrap_or_default(), arn.next().unwrap_or_default());
        let number = self.map_runs.next_number();
        let machine = self.machine_of(parent).unwrap_or(parent.machine);
        let pairs = matches!(start.source, ItemSource::Input(Json::Object(_)));
        let (items, reading) = match start.source {
            ItemSource::Input(items) => (of_input(&items), None),
            ItemSource::Reader(reading) => (Vec::new(), Some(*reading)),
        };
        let mut progress = Progress {
            phase: if reading.is_some() {
                Phase::Reading(reader::Progress::default())
            } else {
                Phase::Running
            },
            concurrency: start.concurrency,
            tolerated_count: start.tolerated_count,
            tolerated_percentage: start.tolerated_percentage,
            chunks: 0,
            items_total: 0,
            next: Cursor::default(),
            executions: Counts::default(),
            items: Counts::default(),
            again: None,
            stopped: None,
            redrives: 0,
            redriven: None,
        };
        let spec = Arc::new(Spec {
            number,
            parent,
            started_by: start.started,
            machine,
            revision: of.machine_revision,
            state: start.state,
            name: name.into(),
            uuid: uuid.into(),
            started: now,
            express: start.express,
            reading,
            pairs,
            batch: start.batch,
            writing: start.writer,
            test_case: of.test_case.clone(),
            origin: of.origin.clone(),
        });
        self.append_items(number, &mut progress, items, ran);
        self.record(Write::MapRunSpec(number, Some(Arc::clone(&spec))), ran);
        self.record(Write::MapRunNamed(Arc::clone(&spec)), ran);
        self.record(Write::MapRunOf(spec), ran);
        self.record(Write::MapRunProgress(number, Some(Box::new(progress))), ran);
        self.wake(number, ran);
    }

    /// A run has ended: the first of those that wait goes on.
    fn admit(&mut self, ran: &mut Ran) {
        let next = self.map_runs.most.checked_sub(1);
        let next = next.and_then(|last| self.map_runs.open.keys().nth(last).copied());
        if let Some(number) = next {
            self.wake(number, ran);
        }
    }

    /// At most so many map runs go on at a time.
    pub(crate) fn limit_map_runs(&mut self, most: u64) {
        self.map_runs.most = usize::try_from(most).unwrap_or(usize::MAX);
    }

    /// Whether map runs of an execution have not ended.
    pub(super) fn has_map_runs(&self, parent: ExecutionId) -> bool {
        !self.map_runs.of(parent).is_empty()
    }

    /// Opens a map run that has ended, for what did not succeed and what had not begun.
    pub(super) fn open_map_run(&mut self, now: Timestamp, run: MapRunRecord, ran: &mut Ran) {
        let MapRunRecord { spec, mut progress } = run;
        let number = spec.number;
        let begun = progress.executions.begun;
        progress.phase = Phase::Running;
        if begun == 0 && spec.reading.is_some() {
            // Its items may not have been read to the end.
            (progress.phase, progress.chunks, progress.items_total) =
                (Phase::Reading(reader::Progress::default()), 0, 0);
        }
        progress.again = (begun > 0).then_some((0, begun));
        (progress.executions, progress.items) =
            (progress.executions.redriven(), progress.items.redriven());
        progress.stopped = None;
        progress.redrives += 1;
        progress.redriven = Some(now);
        self.record(Write::MapRunSpec(number, Some(spec)), ran);
        self.record(Write::MapRunProgress(number, Some(Box::new(progress))), ran);
        self.wake(number, ran);
    }

    /// UpdateMapRun: takes effect with the next child that begins or ends.
    pub(super) fn update_map_run(
        &mut self,
        name: &MapRunName,
        change: Change,
        reads: &Reads,
    ) -> Result<Called, Corrupt> {
        let number = record::named(&name.name, &name.uuid, reads)?;
        let Some(number) = number.filter(|number| self.map_runs.get(*number).is_some()) else {
            return Ok(Err(view::missing(name)));
        };
        let mut ran = Ran::default();
        self.change(number, &mut ran, |progress| {
            progress.concurrency = change.concurrency.unwrap_or(progress.concurrency);
            progress.tolerated_count = change.tolerated_count.unwrap_or(progress.tolerated_count);
            progress.tolerated_percentage =
                change.tolerated_percentage.unwrap_or(progress.tolerated_percentage);
        });
        self.judge(number, &mut ran);
        let parent = self.map_runs.get(number).map(|run| run.spec.parent);
        Ok(Ok((Json::Object(Arc::default()), parent, ran)))
    }

    /// Fails a run of which too much has failed, and has it go on where it can.
    fn judge(&mut self, number: u64, ran: &mut Ran) {
        let Some(run) = self.map_runs.get(number) else { return };
        if run.progress.phase == Phase::Running && run.has_failed() {
            let trouble = Trouble {
                error: Some("States.ExceedToleratedFailureThreshold".into()),
                cause: Some("The specified tolerated failure threshold was exceeded".into()),
            };
            self.change(number, ran, |progress| {
                progress.phase = Phase::Stopping(Ending::Failed(trouble));
            });
        }
        self.wake(number, ran);
    }

    /// Stores items after those that are there.
    fn append_items(
        &mut self,
        number: u64,
        progress: &mut Progress,
        items: Vec<Json>,
        ran: &mut Ran,
    ) {
        progress.items_total += items.len() as u64;
        let mut chunk = Vec::new();
        let mut bytes = 0;
        let mut items = items.into_iter().peekable();
        while let Some(item) = items.next() {
            bytes += item.to_text().len();
            chunk.push(item);
            if chunk.len() == CHUNK_ITEMS || bytes >= CHUNK_BYTES || items.peek().is_none() {
                let stored =
                    Write::MapRunItems(number, progress.chunks, std::mem::take(&mut chunk).into());
                self.record(stored, ran);
                progress.chunks += 1;
                bytes = 0;
            }
        }
    }

    /// Changes how far a run is.
    fn change(&mut self, number: u64, ran: &mut Ran, change: impl FnOnce(&mut Progress)) {
        let Some(run) = self.map_runs.get(number) else { return };
        let mut progress = run.progress.clone();
        change(&mut progress);
        self.record(Write::MapRunProgress(number, Some(Box::new(progress))), ran);
    }

    /// Asks for a slice of a run that has work, unless one is on its way.
    fn wake(&mut self, number: u64, ran: &mut Ran) {
        let admitted = self.map_runs.is_admitted(number);
        if let Some(run) = self.map_runs.open.get_mut(&number)
            && run.is_ready(admitted)
            && !run.awake
        {
            run.awake = true;
            ran.wake.push(number);
        }
    }

    /// Number of the state machine whose definition an execution runs; `None` for a child of a run
    /// that has ended.
    pub(super) fn machine_of(&self, id: ExecutionId) -> Option<u64> {
        match id.map_run() {
            Some(number) => self.map_runs.get(number).map(|run| run.spec.machine),
            None => Some(id.machine),
        }
    }
}

/// The items of an array, or a pair for each member of an object.
fn of_input(items: &Json) -> Vec<Json> {
    match items {
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| {
                Json::object([("Key", Json::String(Arc::clone(name))), ("Value", value.clone())])
            })
            .collect(),
        items => items.as_array().unwrap_or_default().to_vec(),
    }
}

/// The number of the machine of a stored execution, whether its run has ended or not.
pub(super) fn stored_machine_of(id: ExecutionId, read: &dyn Read) -> Result<Option<u64>, Corrupt> {
    match id.map_run() {
        Some(number) => Ok(record::stored(number, read)?.map(|run| run.spec.machine)),
        None => Ok(Some(id.machine)),
    }
}
