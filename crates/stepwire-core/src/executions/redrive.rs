//! RedriveExecution: an execution that did not succeed runs again from where it ended.
//!
//! The closed execution is read back from its history, which says where it stood, and is open again
//! in the same commit as the event that says so.

use std::sync::Arc;

use stepwire_asl::{EventId, HistoryEvent, Json, Timestamp};

use super::call::{Called, no_execution, seconds, stored};
use super::map_runs;
use super::record::{execution_key, history_of};
use super::run::{Ran, with_turn};
use super::{
    ExecutionId, ExecutionName, ExecutionRecord, Executions, Hot, Redriven, Status, record, replay,
};
use crate::error::ApiError;
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// How long after its end an execution can be redriven. Source: RedriveExecution, API reference.
const REDRIVABLE_MS: i64 = 14 * 24 * 3_600 * 1_000;
/// Events after which a history has no room for more.
const EVENTS_MAX: u64 = 24_999;

/// Whether, and by what, an execution can be redriven as far as its records say; else why not.
pub(super) fn redrivable(
    id: ExecutionId,
    record: &ExecutionRecord,
    last: Option<&HistoryEvent>,
) -> Result<&'static str, String> {
    match record.status {
        Status::Running | Status::Succeeded => {
            Err(format!("Execution is {} and cannot be redriven", record.status.word()))
        }
        _ if last.is_some_and(|last| last.id >= EVENTS_MAX) => {
            Err("Execution history event limit exceeded".to_owned())
        }
        Status::Failed | Status::TimedOut | Status::Aborted if id.map_run().is_some() => {
            Ok("REDRIVABLE_BY_MAP_RUN")
        }
        Status::Failed | Status::TimedOut | Status::Aborted => Ok("REDRIVABLE"),
    }
}

impl Executions {
    /// Reads what [`Executions::redrive`] will want.
    pub(super) fn touch_redrive(name: &ExecutionName, read: &dyn Read) {
        if let Ok(Some((id, _))) = stored(name, read) {
            read.range(&history_of(id));
        }
    }

    /// RedriveExecution.
    pub(super) fn redrive(
        &mut self,
        now: Timestamp,
        name: &ExecutionName,
        token: Option<&Arc<str>>,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Called, Corrupt> {
        let Some((id, record)) = stored(name, reads)? else {
            return Ok(Err(no_execution(settings, name)));
        };
        let answer = |at: Timestamp| Json::object([("redriveDate", seconds(at))]);
        let before =
            record.redriven.as_ref().filter(|r| token.is_some() && r.token.as_ref() == token);
        if let Some(before) = before {
            return Ok(Ok((answer(before.at), None, Ran::default())));
        }
        if let Err(why) = self.may_redrive(now, id, &record, reads)? {
            return Ok(Err(ApiError::new("ExecutionNotRedrivable", why)));
        }
        match self.redrive_execution(now, id, record, token, reads, settings)? {
            Some(ran) => Ok(Ok((answer(now), Some(id), ran))),
            None => Ok(Err(no_execution(settings, name))),
        }
    }

    fn may_redrive(
        &self,
        now: Timestamp,
        id: ExecutionId,
        record: &ExecutionRecord,
        reads: &Reads,
    ) -> Result<Result<(), String>, Corrupt> {
        let mut last = None;
        for (key, value) in reads.range(&history_of(id)) {
            last = record::events(&key, &value)?.into_iter().rev().find(|e| e.id > 0).or(last);
        }
        let deleted = self.machine_running(id).is_none_or(|machine| machine.record.deleted);
        let over = record.stopped.is_some_and(|at| now.since_ms(at) > REDRIVABLE_MS);
        Ok(match redrivable(id, record, last.as_ref()) {
            Err(why) => Err(why),
            Ok("REDRIVABLE_BY_MAP_RUN") => {
                Err("Execution is redrivable only by redriving its Map Run".to_owned())
            }
            Ok(_) if deleted => Err("State machine is in DELETING status".to_owned()),
            Ok(_) if over => Err("Execution redrivable period exceeded".to_owned()),
            Ok(_) if self.has_map_runs(id) => {
                Err("A Map Run of the execution is still being aborted".to_owned())
            }
            Ok(_) => Ok(()),
        })
    }

    /// Runs a closed execution again. `None`: it cannot be, and nothing has changed.
    pub(super) fn redrive_execution(
        &mut self,
        now: Timestamp,
        id: ExecutionId,
        record: ExecutionRecord,
        token: Option<&Arc<str>>,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Option<Ran>, Corrupt> {
        let Some(machine) = self.machine_running(id) else { return Ok(None) };
        let mut execution = replay(id, &machine.compiled, reads)?;
        let seq = execution.last_seq();
        let redriven =
            with_turn(now, id, seq, settings, &self.activities, |turn| execution.redrive(turn));
        let Ok(decision) = redriven else { return Ok(None) };
        let redriven = Redriven { count: record.redrives() + 1, at: now, token: token.cloned() };
        let record = ExecutionRecord {
            status: Status::Running,
            stopped: None,
            redriven: Some(redriven),
            ..record
        };
        let mut ran = Ran::default();
        self.settle(id, Hot { execution, record, used: 0 }, decision, true, settings, &mut ran);
        Ok(Some(ran))
    }

    /// Reads what [`Executions::redrive_map_run`] will want.
    pub(crate) fn touch_map_runs_of(parent: ExecutionId, read: &dyn Read) {
        read.get(&execution_key(parent));
        for (key, _) in read.range(&map_runs::record::of_execution(parent)) {
            let number = map_runs::record::number_of(&key);
            let _ = number.map(|number| map_runs::record::stored(number, read));
        }
    }

    /// Runs the map run again that this event of an execution began: what did not succeed, and what
    /// had not begun.
    pub(crate) fn redrive_map_run(
        &mut self,
        now: Timestamp,
        parent: ExecutionId,
        started: EventId,
        reads: &Reads,
    ) -> Result<Ran, Corrupt> {
        let mut ran = Ran::default();
        for (key, _) in reads.range(&map_runs::record::of_execution(parent)) {
            let number = map_runs::record::number_of(&key);
            let run = number.map(|number| map_runs::record::stored(number, reads)).transpose()?;
            if let Some(run) = run.flatten().filter(|run| run.spec.started_by == started) {
                self.open_map_run(now, run, &mut ran);
            }
        }
        Ok(ran)
    }
}
