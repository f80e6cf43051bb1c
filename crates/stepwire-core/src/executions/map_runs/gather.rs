//! The results of a map run: looked at child by child, once all have ended.

use std::sync::Arc;

use stepwire_asl::definition::Transformation;
use stepwire_asl::history::Trouble;
use stepwire_asl::{Failure, Json};

use super::record::{Ending, Spec};
use crate::executions::record::{self as records, execution_key, history_of};
use crate::executions::run::Ran;
use crate::executions::view::{ending_of, input_of};
use crate::executions::{ExecutionId, ExecutionRecord, Executions, PAYLOAD_MAX, Status};
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// Children that one slice looks at.
const CHILDREN: u64 = 128;

/// Results so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The next child to look at.
    next: u64,
    /// Texts of results, in order.
    results: Vec<Json>,
    /// Bytes of them.
    bytes: usize,
}

impl Executions {
    /// Reads what [`Executions::gather`] will want.
    pub(super) fn touch_gathering(&self, number: u64, read: &dyn Read, _settings: &Settings) {
        let Some(run) = self.map_runs.get(number) else { return };
        let end = run.progress.executions.begun.min(run.gathered.next + CHILDREN);
        for index in run.gathered.next..end {
            let id = ExecutionId { machine: number, number: index };
            read.get(&execution_key(id));
            read.range(&history_of(id).limit(1));
            read.range(&history_of(id).reversed().limit(1));
        }
    }

    /// Looks at the next children of a run. Once it has seen them all: how the run ends, and what
    /// the Map state's result is.
    pub(super) fn gather(
        &mut self,
        number: u64,
        ending: &Ending,
        reads: &Reads,
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<Option<(Ending, Json)>, Corrupt> {
        let Some(run) = self.map_runs.open.get_mut(&number) else { return Ok(None) };
        let spec = Arc::clone(&run.spec);
        if spec.writing.destination.is_none() && *ending != Ending::Succeeded {
            return Ok(Some((ending.clone(), Json::Null)));
        }
        let begun = run.progress.executions.begun;
        let mut gathered = std::mem::take(&mut run.gathered);
        for index in gathered.next..begun.min(gathered.next + CHILDREN) {
            let id = ExecutionId { machine: number, number: index };
            let child = Child::read(id, &spec, reads, settings)?;
            gathered.take(&child, spec.writing.transformation);
        }
        gathered.next = begun.min(gathered.next + CHILDREN);
        let (done, too_large) = (gathered.next == begun, gathered.bytes > PAYLOAD_MAX);
        if too_large {
            let cause = format!(
                "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit.",
                self.state_name(&spec)
            );
            let failure = Failure::new("States.DataLimitExceeded", cause);
            return Ok(Some((Ending::Failed(Trouble::from(failure)), Json::Null)));
        }
        if !done {
            if let Some(run) = self.map_runs.open.get_mut(&number) {
                run.gathered = gathered;
            }
            return Ok(None);
        }
        self.change(number, ran, |progress| {
            progress.executions.written = progress.executions.succeeded;
            progress.items.written = progress.items.succeeded;
        });
        Ok(Some((ending.clone(), Json::array(gathered.results))))
    }

    fn state_name(&self, spec: &Spec) -> String {
        let machine = self.machine(spec.machine);
        let name = machine.and_then(|machine| machine.compiled.state_name(spec.state));
        name.map(ToString::to_string).unwrap_or_default()
    }
}

impl Gathered {
    fn take(&mut self, child: &Child, transformation: Transformation) {
        let results = child.result(transformation);
        for result in results {
            self.bytes += result.to_text().len() + 1;
            self.results.push(result);
        }
    }
}

/// A child that has ended.
struct Child {
    record: ExecutionRecord,
    arn: String,
    machine_arn: String,
    input: Option<String>,
    /// `output`, or `error` and `cause`.
    ending: Vec<(&'static str, Json)>,
}

impl Child {
    fn read(
        id: ExecutionId,
        spec: &Spec,
        read: &dyn Read,
        settings: &Settings,
    ) -> Result<Child, Corrupt> {
        let key = execution_key(id);
        let corrupt = |why: &str| Corrupt { key: key.clone(), why: why.to_owned() };
        let value = read.get(&key).ok_or_else(|| corrupt("a child is not stored"))?;
        let record = records::execution(&key, &value)?;
        let mut events = Vec::new();
        for range in [history_of(id).limit(1), history_of(id).reversed().limit(1)] {
            for (key, value) in read.range(&range) {
                events.extend(records::events(&key, &value)?);
            }
        }
        Ok(Child {
            arn: crate::executions::run::execution_arn(settings, &spec.name, &record.name),
            machine_arn: crate::executions::run::machine_arn(settings, &spec.name),
            input: events.first().and_then(input_of),
            ending: events.iter().rev().find(|e| e.id > 0).map(ending_of).unwrap_or_default(),
            record,
        })
    }

    /// What the results say of it: a child that failed is described whole.
    fn result(&self, transformation: Transformation) -> Vec<Json> {
        if self.record.status != Status::Succeeded {
            return vec![self.described()];
        }
        let output = || self.ending.iter().find(|(name, _)| *name == "output").map(|(_, v)| v);
        let output = || output().and_then(Json::as_str).and_then(|text| Json::parse(text).ok());
        match transformation {
            Transformation::None => vec![self.described()],
            Transformation::Compact => vec![output().unwrap_or_default()],
            Transformation::Flatten => match output().unwrap_or_default() {
                Json::Array(items) => items.to_vec(),
                other => vec![other],
            },
        }
    }

    /// DescribeExecution's answer as result files hold it.
    pub(super) fn described(&self) -> Json {
        let included = || Json::object([("Included", Json::from(true))]);
        let member =
            |name: &str| self.ending.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
        let record = &self.record;
        let mut members = vec![("ExecutionArn", Json::from(self.arn.as_str()))];
        members.extend(member("cause").map(|cause| ("Cause", cause)));
        members.extend(member("error").map(|error| ("Error", error)));
        if let Some(input) = &self.input {
            members.extend([("Input", Json::from(input.as_str())), ("InputDetails", included())]);
        }
        members.push(("Name", Json::String(Arc::clone(&record.name))));
        if let Some(output) = member("output") {
            members.extend([("Output", output), ("OutputDetails", included())]);
        }
        let redrivable = record.status != Status::Succeeded;
        members.push(("RedriveCount", Json::from(i64::from(record.redrives()))));
        members.push((
            "RedriveStatus",
            if redrivable { "REDRIVABLE_BY_MAP_RUN" } else { "NOT_REDRIVABLE" }.into(),
        ));
        if !redrivable {
            let reason = "Execution is SUCCEEDED and cannot be redriven";
            members.push(("RedriveStatusReason", reason.into()));
        }
        members.push(("StartDate", Json::from(record.started.rfc3339())));
        members.push(("StateMachineArn", Json::from(self.machine_arn.as_str())));
        members.push(("Status", record.status.word().into()));
        members.extend(record.stopped.map(|at| ("StopDate", Json::from(at.rfc3339()))));
        Json::object(members)
    }
}
