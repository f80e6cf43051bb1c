//! Children of a map run begin and end.

use std::sync::Arc;

use stepwire_asl::{Execution, Json, Start, Timestamp};

use super::record::Counts;
use super::slice::Slice;
use crate::executions::record::{self as records, Write, execution_key};
use crate::executions::run::{Ran, digest, execution_arn, with_turn};
use crate::executions::{
    ExecutionId, ExecutionRecord, Executions, Hot, Kind, Status, derived_uuid,
};
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

impl Executions {
    /// Begins child number `id.number` of a run, about so many items.
    pub(super) fn begin_item(
        &mut self,
        now: Timestamp,
        id: ExecutionId,
        input: &Json,
        items: u32,
        settings: &Settings,
    ) -> Option<Ran> {
        let spec = Arc::clone(&self.map_runs.get(id.machine)?.spec);
        let machine = self.machines.revision(spec.machine, spec.revision)?;
        let name: Arc<str> =
            derived_uuid(&settings.secret, "item", &[id.machine, id.number]).into();
        let input: Arc<str> = input.to_text().into();
        let start = Start {
            execution_arn: execution_arn(settings, &spec.name, &name).into(),
            role_arn: Arc::clone(&machine.record.role_arn),
            input: Arc::clone(&input),
        };
        let compiled = Arc::clone(machine.compiled.as_ref()?);
        let (execution, decision) =
            with_turn(now, id, 0, settings, Kind::Standard, &self.activities, |turn| {
                Execution::start_item(compiled, spec.state, start, turn)
            });
        let record = ExecutionRecord {
            name: Arc::clone(&name),
            status: Status::Running,
            started: now,
            stopped: None,
            input_digest: digest(&input),
            revision: stepwire_asl::REVISION,
            trace_header: None,
            parent: None,
            machine_revision: spec.revision,
            version: None,
            alias: None,
            items,
            redriven: None,
            test_case: spec.test_case.clone(),
            origin: spec.origin.clone(),
        };
        let mut ran = Ran::default();
        self.record(Write::Name { machine: Arc::clone(&spec.name), name, id }, &mut ran);
        self.change(id.machine, &mut ran, |progress| {
            progress.executions.begun += 1;
            progress.items.begun += u64::from(items);
        });
        let kind = Kind::Standard;
        let hot = Hot { execution, record, kind, chunks: Vec::new(), used: 0 };
        self.settle(id, hot, decision, true, settings, &mut ran);
        Some(ran)
    }

    /// A child of a redriven run is looked at: if it did not succeed, it goes on from there.
    pub(super) fn look_again(
        &mut self,
        now: Timestamp,
        id: ExecutionId,
        reads: &Reads,
        settings: &Settings,
        slice: &mut Slice,
    ) -> Result<(), Corrupt> {
        let mut ran = Ran::default();
        self.change(id.machine, &mut ran, |progress| {
            progress.again =
                progress.again.and_then(|(next, end)| (next + 1 < end).then_some((next + 1, end)));
        });
        slice.push((id, ran));
        let key = execution_key(id);
        let value = reads.get(&key);
        let Some(record) = value.map(|value| records::execution(&key, &value)).transpose()? else {
            return Ok(());
        };
        if matches!(record.status, Status::Running | Status::Succeeded) {
            return Ok(());
        }
        let mut ran = Ran::default();
        self.change(id.machine, &mut ran, |progress| {
            progress.executions.again -= 1;
            progress.items.again -= u64::from(record.items);
        });
        slice.push((id, ran));
        if let Some(ran) = self.redrive_execution(now, id, record, None, reads, settings)? {
            slice.push((id, ran));
        }
        Ok(())
    }

    /// A child has ended: it is counted, and the run goes on, or fails.
    pub(in crate::executions) fn item_ended(
        &mut self,
        id: ExecutionId,
        status: Status,
        items: u32,
        ran: &mut Ran,
    ) {
        self.change(id.machine, ran, |progress| {
            count(&mut progress.executions, status, 1);
            count(&mut progress.items, status, u64::from(items));
        });
        self.judge(id.machine, ran);
    }
}

fn count(counts: &mut Counts, status: Status, number: u64) {
    match status {
        Status::Running => {}
        Status::Succeeded => counts.succeeded += number,
        Status::Failed => counts.failed += number,
        Status::TimedOut => counts.timed_out += number,
        Status::Aborted => counts.aborted += number,
    }
}
