//! One slice of a map run's work.

use std::sync::Arc;

use stepwire_asl::execution::ItemPlace;
use stepwire_asl::history::Trouble;
use stepwire_asl::{Failure, Json, Stimulus, Timestamp};

use super::record::{self, Cursor, Ending, Phase};
use super::{CHUNK_BYTES, CHUNK_ITEMS, MapRun};
use crate::executions::record::{Write, execution_key, history_of};
use crate::executions::run::{Ran, with_turn};
use crate::executions::{ExecutionId, Executions, Kind};
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// Most children that one slice begins, stops or begins again.
const CHILDREN: u64 = 100;
/// Chunks of items kept between slices.
const CHUNKS_KEPT: usize = 8;

/// The input of a child, how many items it holds, and where the next ones are.
type Taken = (Json, u32, Cursor);

/// What a slice of a run came to, by the execution it concerns.
pub(crate) type Slice = Vec<(ExecutionId, Ran)>;

impl Executions {
    /// Reads what the next slice of a run will want.
    pub(crate) fn touch_map_run(&self, number: u64, read: &dyn Read, settings: &Settings) {
        let Some(run) = self.map_runs.get(number) else { return };
        self.touch(run.spec.parent, read);
        match &run.progress.phase {
            Phase::Reading(_) => self.touch_reader(number, read, settings),
            Phase::Running => {
                for index in self.to_look_at(number) {
                    let id = ExecutionId { machine: number, number: index };
                    read.get(&execution_key(id));
                    read.range(&history_of(id));
                }
                let first = run.progress.next.chunk;
                let last =
                    first.saturating_add(run.chunks_wanted(settings)).min(run.progress.chunks);
                for chunk in first..last {
                    read.get(&record::items_key(number, chunk));
                }
            }
            Phase::Stopping(_) => {
                self.open_items(number).into_iter().for_each(|id| self.touch(id, read));
            }
            Phase::Gathering(_) => self.touch_gathering(number, read, settings),
            Phase::Ended(_) => {}
        }
    }

    /// Does the next slice of a run's work.
    pub(crate) fn map_run_slice(
        &mut self,
        now: Timestamp,
        number: u64,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Slice, Corrupt> {
        let mut slice = Slice::new();
        let Some(run) = self.map_runs.open.get_mut(&number) else { return Ok(slice) };
        run.awake = true;
        let (parent, phase) = (run.spec.parent, run.progress.phase.clone());
        match phase {
            Phase::Reading(_) => {
                let mut ran = Ran::default();
                self.read_items(number, reads, settings, &mut ran)?;
                let waits = !ran.asks.is_empty();
                slice.push((parent, ran));
                if waits {
                    // The rim's answer brings the next slice.
                    return Ok(slice);
                }
            }
            Phase::Running => self.run_items(now, number, reads, settings, &mut slice)?,
            Phase::Stopping(ending) => {
                for id in self.open_items(number) {
                    let stop = Stimulus::Stop { error: None, cause: None };
                    if let Ok(ran) = self.stimulate(now, id, stop, reads, settings)? {
                        slice.push((id, ran));
                    }
                }
                if self.open_items(number).is_empty() {
                    let mut ran = Ran::default();
                    self.change(number, &mut ran, |p| p.phase = Phase::Gathering(ending));
                    slice.push((parent, ran));
                }
            }
            Phase::Gathering(ending) => {
                let mut ran = Ran::default();
                let outcome = self.gather(number, &ending, reads, settings, &mut ran)?;
                slice.push((parent, ran));
                if let Some((ending, result)) = outcome {
                    self.end_map_run(now, number, ending, result, reads, settings, &mut slice)?;
                }
            }
            Phase::Ended(_) => {}
        }
        let mut ran = Ran::default();
        if let Some(run) = self.map_runs.open.get_mut(&number) {
            run.awake = false;
        }
        self.wake(number, &mut ran);
        slice.push((parent, ran));
        Ok(slice)
    }

    /// Children of a run that have not ended, at most a slice of them.
    fn open_items(&self, number: u64) -> Vec<ExecutionId> {
        let all = ExecutionId { machine: number, number: 0 }..=ExecutionId {
            machine: number,
            number: u64::MAX,
        };
        self.open.range(all).map(|(id, _)| *id).take(CHILDREN as usize).collect()
    }

    /// Children that a redriven run looks at next.
    fn to_look_at(&self, number: u64) -> std::ops::Range<u64> {
        let run = self.map_runs.get(number);
        let again = run.and_then(|run| run.progress.again);
        again.map_or(0..0, |(next, end)| next..end.min(next + CHILDREN))
    }

    fn run_items(
        &mut self,
        now: Timestamp,
        number: u64,
        reads: &Reads,
        settings: &Settings,
        slice: &mut Slice,
    ) -> Result<(), Corrupt> {
        let mut budget = CHILDREN;
        for index in self.to_look_at(number) {
            if !self.may_begin(number) {
                return Ok(());
            }
            let id = ExecutionId { machine: number, number: index };
            self.look_again(now, id, reads, settings, slice)?;
            budget -= 1;
        }
        if budget < CHILDREN {
            // What is new waits until all that failed runs again.
            return Ok(());
        }
        while budget > 0 && self.may_begin(number) {
            let Some(taken) = self.take_items(number, reads, settings, now)? else { break };
            let (input, items, next) = match taken {
                Ok(taken) => taken,
                Err(failure) => {
                    let mut ran = Ran::default();
                    let trouble = Trouble::from(failure);
                    self.change(number, &mut ran, |progress| {
                        progress.phase = Phase::Stopping(Ending::Failed(trouble));
                    });
                    slice.push((ExecutionId { machine: number, number: 0 }, ran));
                    return Ok(());
                }
            };
            let Some(run) = self.map_runs.get(number) else { break };
            let id = ExecutionId { machine: number, number: run.progress.executions.begun };
            let mut ran = Ran::default();
            self.change(number, &mut ran, |progress| progress.next = next);
            slice.push((id, ran));
            let ran = self.begin_item(now, id, &input, items, settings);
            slice.push((id, ran.unwrap_or_default()));
            budget -= 1;
        }
        let Some(run) = self.map_runs.get(number) else { return Ok(()) };
        let done = run.progress.phase == Phase::Running
            && run.items_left() == 0
            && run.progress.again.is_none()
            && run.progress.executions.running() == 0;
        if done {
            let mut ran = Ran::default();
            self.change(number, &mut ran, |p| p.phase = Phase::Gathering(Ending::Succeeded));
            slice.push((ExecutionId { machine: number, number: 0 }, ran));
        }
        Ok(())
    }

    fn may_begin(&self, number: u64) -> bool {
        self.map_runs.get(number).is_some_and(|run| {
            run.progress.phase == Phase::Running && run.progress.executions.running() < run.limit()
        })
    }

    /// The input of the next child. `None`: no items are left, or none that this slice has read.
    fn take_items(
        &mut self,
        number: u64,
        reads: &Reads,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Option<Result<Taken, Failure>>, Corrupt> {
        let Some(run) = self.map_runs.get(number) else { return Ok(None) };
        let (spec, wanted) = (Arc::clone(&run.spec), run.wanted());
        let mut cursor = run.progress.next;
        // Where the item after each one is.
        let mut after = Vec::new();
        let mut items = Vec::new();
        let most = settings.quotas.payload_bytes();
        let bytes_max = spec.batch.as_ref().map_or(usize::MAX, |batch| batch.most_bytes(most));
        let mut bytes = 0;
        while (items.len() as u64) < wanted && bytes <= bytes_max {
            let Some(chunk) = self.chunk(number, cursor.chunk, reads)? else { return Ok(None) };
            let Some(item) = chunk.get(cursor.offset as usize) else {
                cursor = Cursor { chunk: cursor.chunk + 1, offset: 0 };
                continue;
            };
            bytes += item.to_text().len() + 1;
            items.push(item.clone());
            cursor.offset += 1;
            after.push(cursor);
        }
        if items.is_empty() {
            return Ok(None);
        }
        let selected = match self.select(number, items, reads, settings, now)? {
            Ok(selected) => selected,
            Err(failure) => return Ok(Some(Err(failure))),
        };
        let taken = match &spec.batch {
            None => selected.into_iter().next().map(|input| (input, 1)).ok_or_else(too_large),
            Some(batch) => batch.together(selected, most).ok_or_else(too_large),
        };
        Ok(Some(taken.map(|(input, held)| (input, held, after[held as usize - 1]))))
    }

    pub(super) fn chunk(
        &mut self,
        number: u64,
        chunk: u32,
        reads: &Reads,
    ) -> Result<Option<Arc<[Json]>>, Corrupt> {
        let Some(run) = self.map_runs.open.get_mut(&number) else { return Ok(None) };
        if chunk >= run.progress.chunks {
            return Ok(None);
        }
        if let Some((_, items)) = run.chunks.iter().find(|(at, _)| *at == chunk) {
            return Ok(Some(Arc::clone(items)));
        }
        let key = record::items_key(number, chunk);
        let Some(value) = reads.get(&key) else { return Ok(None) };
        let items: Arc<[Json]> = record::items(&key, &value)?.into();
        if run.chunks.len() == CHUNKS_KEPT {
            run.chunks.pop_front();
        }
        run.chunks.push_back((chunk, Arc::clone(&items)));
        Ok(Some(items))
    }

    /// What the Map state's `ItemSelector` makes of items.
    fn select(
        &mut self,
        number: u64,
        items: Vec<Json>,
        reads: &Reads,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Result<Vec<Json>, Failure>, Corrupt> {
        let Some(run) = self.map_runs.get(number) else { return Ok(Ok(items)) };
        let (spec, first) = (Arc::clone(&run.spec), run.progress.items.begun);
        let Some(mut hot) = self.take(spec.parent, reads)? else { return Ok(Ok(items)) };
        let source = super::reader::source(&spec);
        let dice = first.wrapping_add(number);
        let selected =
            with_turn(now, spec.parent, dice, settings, Kind::Standard, &self.activities, |turn| {
                let place = ItemPlace { first, source: &source, pairs: spec.pairs };
                hot.execution.select_items(spec.started_by, &place, items, turn)
            });
        self.keep(spec.parent, hot);
        Ok(selected)
    }

    /// Ends a run, and tells the execution that waits for it.
    #[expect(clippy::too_many_arguments, reason = "all of it is read once, here")]
    fn end_map_run(
        &mut self,
        now: Timestamp,
        number: u64,
        ending: Ending,
        result: Json,
        reads: &Reads,
        settings: &Settings,
        slice: &mut Slice,
    ) -> Result<(), Corrupt> {
        let Some(run) = self.map_runs.get(number) else { return Ok(()) };
        let (spec, mut progress) = (Arc::clone(&run.spec), run.progress.clone());
        progress.phase = Phase::Ended(ending.clone());
        progress.stopped = Some(now);
        let mut ran = Ran::default();
        let ended = record::MapRunRecord { spec: Arc::clone(&spec), progress };
        self.record(Write::MapRunEnded(Box::new(ended)), &mut ran);
        self.record(Write::MapRunSpec(number, None), &mut ran);
        self.record(Write::MapRunProgress(number, None), &mut ran);
        self.admit(&mut ran);
        slice.push((spec.parent, ran));
        let outcome = match ending {
            Ending::Succeeded => Ok(result),
            Ending::Failed(trouble) => Err(trouble),
            Ending::Aborted => return Ok(()),
        };
        let told = Stimulus::MapRunEnded { started: spec.started_by, outcome };
        if let Ok(ran) = self.stimulate(now, spec.parent, told, reads, settings)? {
            slice.push((spec.parent, ran));
        }
        Ok(())
    }
}

fn too_large() -> Failure {
    let cause = "The size of an item exceeds the maximum input size of a batch.";
    Failure::new("States.ItemReaderFailed", cause)
}

impl MapRun {
    /// Items that the next child is given, at most.
    fn wanted(&self) -> u64 {
        match &self.spec.batch {
            None => self.items_left().min(1),
            Some(batch) if batch.items_max > 0 => batch.items_max.min(self.items_left()),
            Some(_) => self.items_left(),
        }
    }

    /// Chunks that hold a slice's items: any number of small ones, or as many bytes as an input has.
    fn chunks_wanted(&self, settings: &Settings) -> u32 {
        let most = settings.quotas.payload_bytes();
        let items = self.wanted().min(most as u64 / 2) as usize;
        (items.div_ceil(CHUNK_ITEMS) + most / CHUNK_BYTES + 1) as u32
    }
}
