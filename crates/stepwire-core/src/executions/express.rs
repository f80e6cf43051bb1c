//! Executions of Express state machines: nothing is left of them once they have ended.
//!
//! While one runs it is as durable as any other, so what was acknowledged goes on after a crash; a
//! task that had no answer then is asked for again. One that ends in the turn in which it began is
//! never written. Their names need not be unique.

use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp, execution};

use super::call::{Called, no_machine, seconds, started, unknown_case, within_payload};
use super::record::{self, Numbers, Write};
use super::run::{Begin, Ran, express_arn, machine_arn};
use super::{ExecutionId, Executions, Hot, Kind, StartExecution, Target};
use crate::error::ApiError;
use crate::settings::Settings;

/// What AWS says it used, in steps of so many megabytes.
const MEMORY_MB: i64 = 64;
/// Durations are billed in steps of so many milliseconds.
const BILLED_MS: i64 = 100;

impl Executions {
    /// The kind of state machine that a start is for.
    pub(super) fn kind(&self, target: &Target) -> Option<Kind> {
        Some(self.machines.revision(target.machine, target.revision)?.record.kind)
    }

    /// Starts an execution whose caller waits for its end.
    pub(crate) fn start_sync(
        &mut self,
        now: Timestamp,
        start: &StartExecution,
        settings: &Settings,
    ) -> Result<(ExecutionId, Ran), ApiError> {
        if let Some(error) = unknown_case(start, settings) {
            return Err(error);
        }
        let target = self.target(&start.machine, settings)?;
        if self.kind(&target) != Some(Kind::Express) {
            return Err(wrong_type());
        }
        let (_, id, ran) = self.start_express(now, start, target, settings)?;
        Ok((id.ok_or_else(|| no_machine(settings, &start.machine))?, ran))
    }

    /// Starts an execution of an Express state machine; its name may be in use.
    pub(super) fn start_express(
        &mut self,
        now: Timestamp,
        start: &StartExecution,
        target: Target,
        settings: &Settings,
    ) -> Called {
        if start.parent.is_some() {
            // Nobody could read afterwards what it came to.
            return Err(wrong_type());
        }
        within_payload("input", &start.input, settings)?;
        let name = start.name.clone().unwrap_or_else(|| self.made_up_name(settings));
        let arn = express_arn(settings, &start.machine.name, &name, self.next_execution);
        let begin = Begin {
            target,
            name,
            input: Arc::clone(&start.input),
            trace_header: start.trace_header.clone(),
            parent: None,
            test_case: start.test_case.clone(),
            origin: start.origin.clone(),
        };
        let missing = || no_machine(settings, &start.machine);
        let (id, ran) = self.begin(now, begin, settings).ok_or_else(missing)?;
        Ok((started(&arn, now), Some(id), ran))
    }

    /// Forgets an execution that has ended; what it came to is in `ran`.
    pub(super) fn end_express(
        &mut self,
        id: ExecutionId,
        hot: &Hot,
        settings: &Settings,
        ran: &mut Ran,
    ) {
        ran.outcome = Some(self.outcome_of(id, hot, settings));
        if self.open.contains_key(&id) {
            self.record(Write::Open(id, None), ran);
            self.record(Write::Removed(record::execution_key(id)), ran);
            for chunk in &hot.chunks {
                self.record(Write::Removed(record::history_key(id, *chunk)), ran);
            }
        }
        let machine = self.machines.current(id.machine);
        let deleted = machine.is_some_and(|machine| machine.record.deleted);
        if deleted && self.open_of(id.machine).next().is_none() {
            self.forget_machine(id.machine, ran);
        }
        // Its number must not be given again, and nothing else remembers it.
        let numbers = self.numbers();
        let execution = numbers.execution.max(id.number + 1);
        self.record(Write::Numbers(Numbers { execution, ..numbers }), ran);
    }

    fn outcome_of(&self, id: ExecutionId, hot: &Hot, settings: &Settings) -> Json {
        let machine = self.machines.current(id.machine).map(|m| Arc::clone(&m.record.name));
        let machine = machine.unwrap_or_else(|| "".into());
        let record = &hot.record;
        let included = || Json::object([("included", Json::from(true))]);
        let stopped = record.stopped.unwrap_or(record.started);
        let took = stopped.since_ms(record.started).max(1);
        let billed = took.div_euclid(BILLED_MS) + i64::from(took % BILLED_MS > 0);
        let arn = express_arn(settings, &machine, &record.name, id.number);
        let mut members = vec![
            ("executionArn", Json::from(arn)),
            ("stateMachineArn", Json::from(machine_arn(settings, &machine))),
            ("name", Json::String(Arc::clone(&record.name))),
            ("startDate", seconds(record.started)),
            ("stopDate", seconds(stopped)),
            ("status", Json::from(record.status.word())),
        ];
        match hot.execution.status() {
            execution::Status::Running => {}
            execution::Status::Succeeded { output } => {
                members.extend([("output", output.text().into()), ("outputDetails", included())]);
            }
            execution::Status::Failed { error, cause }
            | execution::Status::TimedOut { error, cause }
            | execution::Status::Aborted { error, cause } => {
                let text = |text: &Option<Arc<str>>| text.clone().map(Json::String);
                members.extend(text(error).map(|error| ("error", error)));
                members.extend(text(cause).map(|cause| ("cause", cause)));
            }
        }
        let input = hot.execution.input().text();
        members.extend([("input", Json::from(input)), ("inputDetails", included())]);
        let header = record.trace_header.clone();
        members.extend(header.map(|header| ("traceHeader", Json::String(header))));
        let billing = [
            ("billedMemoryUsedInMB", Json::from(MEMORY_MB)),
            ("billedDurationInMilliseconds", Json::from(billed * BILLED_MS)),
        ];
        members.push(("billingDetails", Json::object(billing)));
        Json::object(members)
    }
}

/// The answer of StartSyncExecution for a caller who does not want the data.
pub(crate) fn without_data(outcome: &Json) -> Json {
    let data = ["input", "inputDetails", "output", "outputDetails", "error", "cause"];
    let members = outcome.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| !data.contains(&name.as_ref()));
    let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
    Json::Object(Arc::new(members.collect::<Object>()))
}

pub(super) fn wrong_type() -> ApiError {
    let message = "This operation is not supported by this type of state machine";
    ApiError::new("StateMachineTypeNotSupported", message)
}
