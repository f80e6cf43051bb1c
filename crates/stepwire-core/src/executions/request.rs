//! The Step Functions requests we serve, parsed.
//!
//! Shapes and limits: AWS Step Functions API reference. Names and ARNs are checked here, once.

use std::sync::Arc;

use stepwire_asl::Json;

use super::definition::{self, Validate};
use super::machines::{self, MachineArn};
use super::{Origin, Parent, activities, map_runs, model};
use crate::error::ApiError;
use crate::params::Params;
use crate::shape;
use crate::test_state::TestState;

/// Longest name of a state machine or execution.
const NAME_MAX: usize = 80;

/// A Step Functions request.
#[derive(Debug, Clone)]
pub enum Request {
    /// For state machines and what belongs to them.
    Machines(machines::Request),
    /// ValidateStateMachineDefinition
    Validate(Validate),
    /// StartExecution
    StartExecution(StartExecution),
    /// StartSyncExecution
    StartSync {
        /// What is started.
        start: StartExecution,
        /// `includedData`: answer with input and output.
        with_data: bool,
    },
    /// DescribeExecution
    DescribeExecution {
        /// Which.
        execution: ExecutionName,
        /// `includedData`: with input and output.
        with_data: bool,
    },
    /// ListExecutions
    ListExecutions {
        /// Of what.
        machine: MachineArn,
        /// Only these.
        status: Option<Arc<str>>,
        /// Which page.
        page: Page,
    },
    /// StopExecution
    StopExecution {
        /// Which.
        execution: ExecutionName,
        /// `error`
        error: Option<Arc<str>>,
        /// `cause`
        cause: Option<Arc<str>>,
    },
    /// RedriveExecution
    RedriveExecution {
        /// Which.
        execution: ExecutionName,
        /// `clientToken`
        token: Option<Arc<str>>,
    },
    /// DescribeMapRun, ListMapRuns, UpdateMapRun, or ListExecutions by map run.
    MapRuns(map_runs::request::Request),
    /// GetExecutionHistory
    GetExecutionHistory {
        /// Which.
        execution: ExecutionName,
        /// Latest first.
        reverse: bool,
        /// With inputs and outputs.
        with_data: bool,
        /// Which page.
        page: Page,
    },
    /// TestState
    TestState(Arc<TestState>),
    /// SendTaskSuccess, SendTaskFailure or SendTaskHeartbeat
    Task {
        /// The sealed token.
        token: Arc<str>,
        /// What is said of the task.
        report: Report,
    },
    /// An operation on activities.
    Activity(activities::Request),
}

/// What a caller says of a task.
#[derive(Debug, Clone)]
pub enum Report {
    /// It succeeded with this text, which should be JSON.
    Success(Arc<str>),
    /// It failed.
    Failure {
        /// `error`
        error: Option<Arc<str>>,
        /// `cause`
        cause: Option<Arc<str>>,
    },
    /// It is still at work.
    Heartbeat,
}

/// The parts of a StartExecution request.
#[derive(Debug, Clone)]
pub struct StartExecution {
    /// What runs.
    pub machine: MachineArn,
    /// `name`; made up when absent.
    pub name: Option<Arc<str>>,
    /// `input`: JSON text with the caller's spacing.
    pub input: Arc<str>,
    /// `traceHeader`
    pub trace_header: Option<Arc<str>>,
    /// The task that waits for its end.
    pub parent: Option<Parent>,
    /// Test case of the mock configuration, written behind the ARN: `…:stateMachine:NAME#CASE`.
    pub test_case: Option<Arc<str>>,
    /// What began the execution whose task starts it.
    pub origin: Option<Arc<Origin>>,
}

/// An execution as its ARN names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionName {
    /// State machine name.
    pub machine: Arc<str>,
    /// Execution name.
    pub name: Arc<str>,
}

/// Which part of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// At most this many items.
    pub limit: usize,
    /// Where the page before ended.
    pub token: Option<Arc<str>>,
}

impl Request {
    /// The request that `body` makes of `operation`; `None` for operations we do not serve.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let members = model::input(operation)?;
        if let Err(error) = shape::check(body, members) {
            return Some(Err(error));
        }
        let params = Params::new(body, "ValidationException");
        if let Some(request) = machines::Request::parse(operation, &params) {
            return Some(request.map(Request::Machines));
        }
        Some(match operation {
            "ValidateStateMachineDefinition" => definition::validate(&params),
            "StartExecution" => start_execution(&params).map(Request::StartExecution),
            "StartSyncExecution" => start_execution(&params).map(|start| {
                let with_data = with_data(&params);
                Request::StartSync { start, with_data }
            }),
            "DescribeExecution" => described_execution(&params)
                .map(|(execution, with_data)| Request::DescribeExecution { execution, with_data }),
            "ListExecutions" => list_executions(&params),
            "RedriveExecution" => redrive_execution(&params),
            "DescribeMapRun" => map_runs::request::describe(&params).map(Request::MapRuns),
            "ListMapRuns" => map_runs::request::list(&params).map(Request::MapRuns),
            "UpdateMapRun" => map_runs::request::update(&params).map(Request::MapRuns),
            "StopExecution" => stop_execution(&params),
            "GetExecutionHistory" => execution_history(&params),
            "TestState" => TestState::parse(&params).map(|test| Request::TestState(Arc::new(test))),
            "SendTaskSuccess" => task_success(&params),
            "SendTaskFailure" => task_failure(&params),
            "SendTaskHeartbeat" => {
                token(&params).map(|token| Request::Task { token, report: Report::Heartbeat })
            }
            _ => {
                return activities::Request::parse(operation, &params)
                    .map(|parsed| parsed.map(Request::Activity));
            }
        })
    }

    /// Whether its answer may take long to come.
    pub fn waits(&self) -> bool {
        matches!(
            self,
            Request::Activity(activities::Request::Poll(_))
                | Request::StartSync { .. }
                | Request::TestState(_)
        )
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Machines(request) => request.is_read(),
            Request::Validate(_)
            | Request::DescribeExecution { .. }
            | Request::ListExecutions { .. }
            | Request::GetExecutionHistory { .. } => true,
            Request::Activity(request) => request.is_read(),
            Request::MapRuns(request) => request.is_read(),
            Request::StartExecution(_)
            | Request::StartSync { .. }
            | Request::StopExecution { .. }
            | Request::TestState(_)
            | Request::RedriveExecution { .. }
            | Request::Task { .. } => false,
        }
    }
}

fn described_execution(params: &Params<'_>) -> Result<(ExecutionName, bool), ApiError> {
    Ok((execution_arn(params)?, with_data(params)))
}

/// `includedData`
fn with_data(params: &Params<'_>) -> bool {
    params.get("includedData").and_then(Json::as_str) != Some("METADATA_ONLY")
}

fn start_execution(params: &Params<'_>) -> Result<StartExecution, ApiError> {
    let input = match params.get("input") {
        None => "{}",
        Some(_) => params.text("input")?,
    };
    if let Err(error) = Json::parse(input) {
        let message = format!("Invalid State Machine Execution Input: '{error}'");
        return Err(ApiError::new("InvalidExecutionInput", message));
    }
    let name = params.optional_text("name")?.map(checked_name).transpose()?;
    let arn = params.text("stateMachineArn")?;
    let (arn, test_case) = arn.split_once('#').map_or((arn, None), |(arn, case)| (arn, Some(case)));
    Ok(StartExecution {
        machine: MachineArn::parse(arn)?,
        test_case: test_case.map(Arc::from),
        name: name.map(Arc::from),
        input: input.into(),
        trace_header: params.optional_text("traceHeader")?.map(Arc::from),
        parent: None,
        origin: None,
    })
}

fn list_executions(params: &Params<'_>) -> Result<Request, ApiError> {
    if params.get("mapRunArn").is_some() {
        return map_runs::request::children(params).map(Request::MapRuns);
    }
    Ok(Request::ListExecutions {
        machine: MachineArn::parse(params.text("stateMachineArn")?)?,
        status: status_filter(params)?,
        page: page(params)?,
    })
}

pub(super) fn status_filter(params: &Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    Ok(params.optional_text("statusFilter")?.map(Arc::from))
}

fn redrive_execution(params: &Params<'_>) -> Result<Request, ApiError> {
    let token = params.optional_text("clientToken")?.map(Arc::from);
    Ok(Request::RedriveExecution { execution: execution_arn(params)?, token })
}

fn stop_execution(params: &Params<'_>) -> Result<Request, ApiError> {
    let (error, cause) = error_and_cause(params)?;
    Ok(Request::StopExecution { execution: execution_arn(params)?, error, cause })
}

fn execution_history(params: &Params<'_>) -> Result<Request, ApiError> {
    Ok(Request::GetExecutionHistory {
        execution: execution_arn(params)?,
        reverse: params.optional_bool("reverseOrder")?.unwrap_or(false),
        with_data: params.optional_bool("includeExecutionData")?.unwrap_or(true),
        page: page(params)?,
    })
}

fn task_success(params: &Params<'_>) -> Result<Request, ApiError> {
    let output = params.text("output")?;
    Ok(Request::Task { token: token(params)?, report: Report::Success(output.into()) })
}

fn task_failure(params: &Params<'_>) -> Result<Request, ApiError> {
    let (error, cause) = error_and_cause(params)?;
    Ok(Request::Task { token: token(params)?, report: Report::Failure { error, cause } })
}

type ErrorAndCause = (Option<Arc<str>>, Option<Arc<str>>);

fn error_and_cause(params: &Params<'_>) -> Result<ErrorAndCause, ApiError> {
    let error = params.optional_text_within("error", 256)?;
    let cause = params.optional_text_within("cause", 32_768)?;
    Ok((error.map(Arc::from), cause.map(Arc::from)))
}

fn token(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let token = params.text("taskToken")?;
    if token.is_empty() || token.len() > 2_048 {
        return Err(ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'"));
    }
    Ok(token.into())
}

/// Which page is wanted.
pub(super) fn page(params: &Params<'_>) -> Result<Page, ApiError> {
    let limit = match params.optional_int("maxResults")?.unwrap_or(0) {
        0 => 100,
        limit => usize::try_from(limit).unwrap_or(1),
    };
    let token = params.optional_text("nextToken")?;
    Ok(Page { limit, token: token.map(Arc::from) })
}

pub(super) fn checked_name(name: &str) -> Result<&str, ApiError> {
    if name.is_empty() || name.chars().count() > NAME_MAX || !name.chars().all(fits_name) {
        return Err(ApiError::new("InvalidName", format!("Invalid Name: '{name}'")));
    }
    Ok(name)
}

fn fits_name(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c))
}

/// Whether an execution's name can be this followed by a UUID.
pub(crate) fn is_name_prefix(prefix: &str) -> bool {
    const UUID: usize = 36;
    prefix.chars().count() <= NAME_MAX - UUID && prefix.chars().all(fits_name)
}

pub(super) fn execution_arn(params: &Params<'_>) -> Result<ExecutionName, ApiError> {
    let arn = params.text("executionArn")?;
    match states_resource(arn)? {
        ("execution", rest) => match rest.split_once(':') {
            Some((machine, name)) if !rest.contains('\0') => {
                Ok(ExecutionName { machine: machine.into(), name: name.into() })
            }
            _ => Err(invalid_arn("Invalid ARN", arn)),
        },
        (kind, _) => Err(wrong_kind(kind)),
    }
}

/// The kind and name in an ARN such as `arn:aws:states:us-east-1:000000000000:stateMachine:n`.
pub(super) fn states_resource(arn: &str) -> Result<(&str, &str), ApiError> {
    let mut parts = arn.splitn(7, ':');
    let head: Vec<_> = parts.by_ref().take(5).collect();
    match (head.as_slice(), parts.next(), parts.next()) {
        (["arn", partition, "states", _, _], Some(kind), Some(name))
            if partition.starts_with("aws") =>
        {
            Ok((kind, name))
        }
        _ => Err(invalid_arn("Invalid ARN prefix", arn)),
    }
}

pub(super) fn wrong_kind(kind: &str) -> ApiError {
    let what = format!("Resource type not valid in this context: {kind}");
    ApiError::new("InvalidArn", format!("Invalid Arn: '{what}'"))
}

pub(super) fn invalid_arn(why: &str, arn: &str) -> ApiError {
    ApiError::new("InvalidArn", format!("Invalid Arn: '{why}: {arn}'"))
}
