//! How long executions that have ended are kept: [`Quotas::retention_seconds`].
//!
//! The end of each is noted by its time. What has been kept long enough is removed a slice at a time,
//! map runs with their
//! children and history first, so that a half removed execution is found again; with the last execution of a
//! deleted state machine goes what was left of that.
//!
//! [`Quotas::retention_seconds`]: crate::quotas::Quotas::retention_seconds

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::map_runs;
use super::record::{self, Write};
use super::run::Ran;
use super::{ExecutionId, Executions, Status};
use crate::read::{Key, Range, Read, Reads};
use crate::settings::Settings;

/// Most executions that one step removes.
const EXECUTIONS_MAX: usize = 16;
/// Most chunks of an execution's history that one step removes.
const CHUNKS_MAX: usize = 64;

impl Executions {
    /// When the next execution has been kept long enough.
    pub(crate) fn sweep_due(&self, settings: &Settings) -> Option<Timestamp> {
        Some(self.first_end?.plus_ms(kept_ms(settings)))
    }

    /// Reads what [`Executions::sweep`] will want.
    pub(crate) fn prefetch_sweep(&self, now: Timestamp, settings: &Settings, read: &dyn Read) {
        let mut machines = BTreeSet::new();
        for (_, _, id) in stale(&ends(read), now, settings) {
            let _ = map_runs::sweep::remains(id, read);
            read.range(&record::history_of(id).limit(CHUNKS_MAX));
            if let Some((name, _)) = self.kept_by(id, read) {
                read.get(&name);
            }
            machines.insert(id.machine);
        }
        for machine in machines {
            read.range(&some_of(machine));
        }
    }

    /// Where the name of a stored execution is, and where it is kept by device.
    fn kept_by(&self, id: ExecutionId, read: &dyn Read) -> Option<(Key, Vec<Key>)> {
        let key = record::execution_key(id);
        let execution = record::execution(&key, &read.get(&key)?).ok()?;
        let machine = Arc::clone(&self.machines.current(id.machine)?.record.name);
        let devices = execution.origin.iter().flat_map(|origin| origin.devices());
        let devices = devices.map(|device| record::of_device_key(device, id));
        Some((record::name_key(&machine, &execution.name), devices.collect()))
    }

    /// Removes a slice of the executions that have been kept long enough.
    pub(crate) fn sweep(&mut self, now: Timestamp, settings: &Settings, reads: &Reads) -> Ran {
        let mut ran = Ran::default();
        let ends = ends(reads);
        let mut left: BTreeSet<&Key> = ends.iter().map(|(key, _)| key).collect();
        let mut gone: BTreeMap<u64, usize> = BTreeMap::new();
        for (key, at, id) in stale(&ends, now, settings) {
            if is_kept(at, id, reads) {
                left.remove(key);
                self.record(Write::Removed(key.clone()), &mut ran);
                continue;
            }
            if self.has_map_runs(id) {
                continue;
            }
            match map_runs::sweep::remains(id, reads) {
                Ok(keys) if keys.is_empty() => {}
                Ok(keys) => {
                    for key in keys {
                        self.record(Write::Removed(key), &mut ran);
                    }
                    continue;
                }
                // What cannot be read is left as it is.
                Err(_) => {
                    left.remove(key);
                    continue;
                }
            }
            let chunks = reads.range(&record::history_of(id).limit(CHUNKS_MAX));
            for (chunk, _) in &chunks {
                self.record(Write::Removed(chunk.clone()), &mut ran);
            }
            if chunks.len() == CHUNKS_MAX {
                continue;
            }
            let (name, keys) = self.kept_by(id, reads).unzip();
            let mut keys: Vec<Key> = keys.unwrap_or_default();
            keys.extend(name.filter(|name| {
                let named = reads.get(name).and_then(|value| record::named(name, &value).ok());
                named == Some(id)
            }));
            for key in keys.into_iter().chain([record::execution_key(id), key.clone()]) {
                self.record(Write::Removed(key), &mut ran);
            }
            left.remove(key);
            *gone.entry(id.machine).or_default() += 1;
        }
        for (machine, removed) in gone {
            let deleted = self.machines.current(machine).is_some_and(|m| m.record.deleted);
            if deleted && reads.range(&some_of(machine)).len() == removed {
                self.forget_machine(machine, &mut ran);
            }
        }
        self.first_end = left.first().and_then(|key| Some(record::ended_of(key).ok()?.0));
        self.record(Write::Numbers(self.numbers()), &mut ran);
        ran
    }
}

/// Whether an execution that ended at this time has begun again since.
fn is_kept(at: Timestamp, id: ExecutionId, read: &dyn Read) -> bool {
    let key = record::execution_key(id);
    let stored = read.get(&key).and_then(|value| record::execution(&key, &value).ok());
    stored.is_some_and(|stored| stored.status == Status::Running || stored.stopped != Some(at))
}

fn kept_ms(settings: &Settings) -> i64 {
    let ms = settings.quotas.retention_seconds.saturating_mul(1_000);
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The next ends, in order of time.
fn ends(read: &dyn Read) -> Vec<(Key, Vec<u8>)> {
    read.range(&record::all_ended().limit(EXECUTIONS_MAX + 1))
}

/// Those of them that are old enough to go.
fn stale<'a>(
    ends: &'a [(Key, Vec<u8>)],
    now: Timestamp,
    settings: &Settings,
) -> impl Iterator<Item = (&'a Key, Timestamp, ExecutionId)> {
    let latest = Timestamp(now.0.saturating_sub(kept_ms(settings)));
    let known = ends.iter().filter_map(|(key, _)| {
        let (at, id) = record::ended_of(key).ok()?;
        Some((key, at, id))
    });
    known.take_while(move |(_, at, _)| *at <= latest).take(EXECUTIONS_MAX)
}

/// More executions of a state machine than one step removes, if there are so many.
fn some_of(machine: u64) -> Range {
    record::executions_of(machine).limit(EXECUTIONS_MAX + 1)
}
