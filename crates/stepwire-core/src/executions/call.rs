//! Step Functions requests that change something.

use std::sync::Arc;

use stepwire_asl::{Json, Rejected, Stimulus, Timestamp};

use super::machines::MachineArn;
use super::map_runs;
use super::record::{self, Write};
use super::run::{Begin, Ran, digest, execution_arn};
use super::{
    ExecutionId, ExecutionName, Executions, Kind, Report, Request, StartExecution, Status,
    TaskToken, derived_uuid,
};
use crate::error::ApiError;
use crate::params::broken;
use crate::read::{Read, Reads};
use crate::record::Corrupt;
use crate::settings::Settings;

/// The answer to a request and what it set going; or why the request was refused.
pub(crate) type Called = Result<(Json, Option<ExecutionId>, Ran), ApiError>;

impl Executions {
    /// Reads what `call` will want.
    pub(crate) fn prefetch(&self, request: &Request, read: &dyn Read, settings: &Settings) {
        match request {
            Request::Machines(request) => self.prefetch_machines(request, read),
            Request::StartExecution(start) => {
                if let Some(name) = &start.name {
                    touch_named(&ExecutionName::of(start, name), read);
                }
            }
            Request::RedriveExecution { execution, .. } => {
                Executions::touch_redrive(execution, read);
            }
            Request::MapRuns(map_runs::request::Request::Update { map_run, .. }) => {
                let _ = map_runs::record::named(&map_run.name, &map_run.uuid, read);
            }
            Request::StopExecution { execution, .. } => {
                if let Some(id) = touch_named(execution, read) {
                    self.touch(id, read);
                }
            }
            Request::Task { token, .. } => {
                if let Some(token) = TaskToken::open(token, &settings.secret) {
                    self.touch(token.execution, read);
                }
            }
            _ => {}
        }
    }

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Called, Corrupt> {
        match request {
            Request::Machines(request) => Ok(self.call_machines(now, request, reads, settings)),
            Request::StartExecution(start) => self.start(now, start, reads, settings),
            Request::RedriveExecution { execution, token } => {
                self.redrive(now, execution, token.as_ref(), reads, settings)
            }
            Request::MapRuns(map_runs::request::Request::Update { map_run, change }) => {
                self.update_map_run(map_run, *change, reads)
            }
            Request::StopExecution { execution, error, cause } => {
                let stop = Stimulus::Stop { error: error.clone(), cause: cause.clone() };
                self.stop(now, execution, stop, reads, settings)
            }
            Request::Task { token, report } => self.report(now, token, report, reads, settings),
            Request::Activity(request) => Ok(self.call_activity(now, request, settings)),
            _ => Ok(Err(ApiError::new("ValidationException", "this request only reads"))),
        }
    }

    fn start(
        &mut self,
        now: Timestamp,
        start: &StartExecution,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Called, Corrupt> {
        let target = match self.target(&start.machine, settings) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(error) = unknown_case(start, settings) {
            return Ok(Err(error));
        }
        if self.kind(&target) == Some(Kind::Express) {
            return Ok(self.start_express(now, start, target, settings));
        }
        if let Err(error) = within_payload("input", &start.input, settings) {
            return Ok(Err(error));
        }
        let name = match &start.name {
            Some(name) => {
                if let Some(called) = repeated(start, name, reads, settings)? {
                    return Ok(called);
                }
                Arc::clone(name)
            }
            None => self.made_up_name(settings),
        };
        let arn = execution_arn(settings, &start.machine.name, &name);
        let begin = Begin {
            target,
            name,
            input: Arc::clone(&start.input),
            trace_header: start.trace_header.clone(),
            parent: start.parent,
            test_case: start.test_case.clone(),
            origin: start.origin.clone(),
        };
        let Some((id, ran)) = self.begin(now, begin, settings) else {
            return Ok(Err(no_machine(settings, &start.machine)));
        };
        Ok(Ok((started(&arn, now), Some(id), ran)))
    }

    /// A name for an execution that was given none: a UUID that no other start has.
    pub(crate) fn made_up_name(&self, settings: &Settings) -> Arc<str> {
        derived_uuid(&settings.secret, "execution", &[self.next_execution]).into()
    }

    fn stop(
        &mut self,
        now: Timestamp,
        name: &ExecutionName,
        stop: Stimulus,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Called, Corrupt> {
        let Some((id, record)) = stored(name, reads)? else {
            return Ok(Err(no_execution(settings, name)));
        };
        let answer = |at: Timestamp| Json::object([("stopDate", seconds(at))]);
        if let Ok(ran) = self.stimulate(now, id, stop, reads, settings)? {
            let stopped = ran.writes.iter().find_map(|write| match write {
                Write::Execution(_, record) => record.stopped,
                _ => None,
            });
            Ok(Ok((answer(stopped.unwrap_or(now)), Some(id), ran)))
        } else {
            let at = record.stopped.unwrap_or(record.started);
            Ok(Ok((answer(at), None, Ran::default())))
        }
    }

    fn report(
        &mut self,
        now: Timestamp,
        text: &str,
        report: &Report,
        reads: &Reads,
        settings: &Settings,
    ) -> Result<Called, Corrupt> {
        let Some(token) = TaskToken::open(text, &settings.secret) else {
            return Ok(Err(ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'")));
        };
        if let Report::Success(output) = report
            && let Err(error) = valid_output(output, settings)
        {
            return Ok(Err(error));
        }
        match self.stimulate(now, token.execution, stimulus(token, report), reads, settings)? {
            Ok(mut ran) => {
                if !matches!(report, Report::Heartbeat) {
                    self.release(token, &mut ran);
                }
                Ok(Ok((Json::Object(Arc::default()), Some(token.execution), ran)))
            }
            Err(Rejected::TaskNotOpen | Rejected::ExecutionEnded) => {
                let message = "Task Timed Out: 'Provided task does not exist anymore'";
                Ok(Err(ApiError::new("TaskTimedOut", message)))
            }
        }
    }
}

impl ExecutionName {
    fn of(start: &StartExecution, name: &Arc<str>) -> ExecutionName {
        ExecutionName { machine: Arc::clone(&start.machine.name), name: Arc::clone(name) }
    }
}

fn stimulus(token: TaskToken, report: &Report) -> Stimulus {
    let scheduled = token.scheduled;
    match report {
        Report::Success(output) => {
            Stimulus::TokenSucceeded { scheduled, output: Arc::clone(output) }
        }
        Report::Failure { error, cause } => {
            Stimulus::TokenFailed { scheduled, error: error.clone(), cause: cause.clone() }
        }
        Report::Heartbeat => Stimulus::Heartbeat { scheduled },
    }
}

/// Refuses a start with a test case that the mock configuration does not have.
pub(super) fn unknown_case(start: &StartExecution, settings: &Settings) -> Option<ApiError> {
    let (name, case) = (&start.machine.name, start.test_case.as_ref()?);
    let message =
        format!("Invalid Arn: 'the mock configuration has no test case `{case}` of `{name}`'");
    (!settings.mocks.has(name, case)).then(|| ApiError::new("InvalidArn", message))
}

/// The answer to a start whose name is taken: the same again while it runs with the same input.
fn repeated(
    start: &StartExecution,
    name: &Arc<str>,
    reads: &Reads,
    settings: &Settings,
) -> Result<Option<Called>, Corrupt> {
    let Some((_, record)) = stored(&ExecutionName::of(start, name), reads)? else {
        return Ok(None);
    };
    let arn = execution_arn(settings, &start.machine.name, name);
    let same = record.status == Status::Running
        && record.input_digest == digest(&start.input)
        && record.test_case == start.test_case;
    Ok(Some(if same {
        Ok((started(&arn, record.started), None, Ran::default()))
    } else {
        let message = format!("Execution Already Exists: '{arn}'");
        Err(ApiError::new("ExecutionAlreadyExists", message))
    }))
}

/// Reads who has this name, and their summary.
fn touch_named(name: &ExecutionName, read: &dyn Read) -> Option<ExecutionId> {
    stored(name, read).ok().flatten().map(|(id, _)| id)
}

/// The execution of this name and its summary.
pub(super) fn stored(
    name: &ExecutionName,
    read: &dyn Read,
) -> Result<Option<(ExecutionId, super::ExecutionRecord)>, Corrupt> {
    let key = record::name_key(&name.machine, &name.name);
    let Some(value) = read.get(&key) else { return Ok(None) };
    let id = record::named(&key, &value)?;
    let key = record::execution_key(id);
    let Some(value) = read.get(&key) else { return Ok(None) };
    Ok(Some((id, record::execution(&key, &value)?)))
}

pub(super) fn no_machine(settings: &Settings, arn: &MachineArn) -> ApiError {
    let message = format!("State Machine Does Not Exist: '{}'", arn.text(settings));
    ApiError::new("StateMachineDoesNotExist", message)
}

/// Refuses an output that is too long or not JSON.
fn valid_output(output: &str, settings: &Settings) -> Result<(), ApiError> {
    within_payload("output", output, settings)?;
    Json::parse(output)
        .map(drop)
        .map_err(|error| ApiError::new("InvalidOutput", format!("Invalid Output: '{error}'")))
}

/// Refuses an input or output that is longer than a payload may be.
pub(super) fn within_payload(name: &str, text: &str, settings: &Settings) -> Result<(), ApiError> {
    let max = settings.quotas.payload_bytes();
    if text.len() <= max {
        return Ok(());
    }
    let constraint = format!("Member must have length less than or equal to {max}");
    Err(ApiError::new("ValidationException", broken(name, Some(text), &constraint)))
}

pub(super) fn no_execution(settings: &Settings, name: &ExecutionName) -> ApiError {
    let arn = execution_arn(settings, &name.machine, &name.name);
    ApiError::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
}

/// A time as awsJson writes it.
pub(super) fn seconds(at: Timestamp) -> Json {
    Json::from_f64(at.seconds()).unwrap_or_default()
}

pub(super) fn started(arn: &str, at: Timestamp) -> Json {
    Json::object([("executionArn", Json::from(arn)), ("startDate", seconds(at))])
}
