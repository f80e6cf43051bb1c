//! The Step Functions requests we serve, parsed.
//!
//! Shapes and limits: AWS Step Functions API reference. Names and ARNs are checked here, once.

use std::sync::Arc;

use stepwire_asl::Json;

use super::definition::{self, DEFINITION_MAX, Kind, Validate};
use super::{Parent, activities, map_runs};
use crate::error::ApiError;
use crate::params::Params;
use crate::test_state::TestState;

/// Longest name of a state machine or execution.
const NAME_MAX: usize = 80;
/// Longest input or output, bytes of UTF-8.
pub(crate) const PAYLOAD_MAX: usize = 262_144;
/// Longest `nextToken`, characters; ListExecutions has its own.
pub(super) const TOKEN_MAX: usize = 1_024;
pub(super) const EXECUTIONS_TOKEN_MAX: usize = 3_096;

/// A Step Functions request.
#[derive(Debug, Clone)]
pub enum Request {
    /// CreateStateMachine
    CreateStateMachine(Box<CreateStateMachine>),
    /// DescribeStateMachine, by name.
    DescribeStateMachine(Arc<str>),
    /// DescribeStateMachineForExecution
    DescribeStateMachineForExecution(ExecutionName),
    /// ListStateMachines
    ListStateMachines(Page),
    /// DeleteStateMachine, by name.
    DeleteStateMachine(Arc<str>),
    /// ValidateStateMachineDefinition
    Validate(Validate),
    /// StartExecution
    StartExecution(StartExecution),
    /// DescribeExecution
    DescribeExecution {
        /// Which.
        execution: ExecutionName,
        /// `includedData`: with input and output.
        with_data: bool,
    },
    /// ListExecutions
    ListExecutions {
        /// State machine name.
        machine: Arc<str>,
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

/// The parts of a CreateStateMachine request.
#[derive(Debug, Clone)]
pub struct CreateStateMachine {
    /// `name`
    pub name: Arc<str>,
    /// `definition`, byte for byte.
    pub definition: Arc<str>,
    /// The definition, validated.
    pub machine: Arc<stepwire_asl::StateMachine>,
    /// `roleArn`
    pub role_arn: Arc<str>,
    /// Members accepted without effect, shown by DescribeStateMachine.
    pub shown: Json,
}

/// The parts of a StartExecution request.
#[derive(Debug, Clone)]
pub struct StartExecution {
    /// State machine name.
    pub machine: Arc<str>,
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
        let params = Params::new(body, "ValidationException");
        Some(match operation {
            "CreateStateMachine" => create_state_machine(&params),
            "DescribeStateMachine" => described(&params).map(Request::DescribeStateMachine),
            "DescribeStateMachineForExecution" => described_execution(&params)
                .map(|(execution, _)| Request::DescribeStateMachineForExecution(execution)),
            "ListStateMachines" => params
                .only(&["maxResults", "nextToken"])
                .and_then(|()| page(&params, TOKEN_MAX))
                .map(Request::ListStateMachines),
            "DeleteStateMachine" => params
                .only(&["stateMachineArn"])
                .and_then(|()| machine_arn(&params))
                .map(Request::DeleteStateMachine),
            "ValidateStateMachineDefinition" => definition::validate(&params),
            "StartExecution" => start_execution(&params),
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
            "SendTaskHeartbeat" => params
                .only(&["taskToken"])
                .and_then(|()| token(&params))
                .map(|token| Request::Task { token, report: Report::Heartbeat }),
            _ => {
                return activities::Request::parse(operation, &params)
                    .map(|parsed| parsed.map(Request::Activity));
            }
        })
    }

    /// Whether its answer may take long to come.
    pub fn waits(&self) -> bool {
        matches!(self, Request::Activity(activities::Request::Poll(_)) | Request::TestState(_))
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::DescribeStateMachine(_)
            | Request::DescribeStateMachineForExecution(_)
            | Request::ListStateMachines(_)
            | Request::Validate(_)
            | Request::DescribeExecution { .. }
            | Request::ListExecutions { .. }
            | Request::GetExecutionHistory { .. } => true,
            Request::Activity(request) => request.is_read(),
            Request::MapRuns(request) => request.is_read(),
            Request::CreateStateMachine(_)
            | Request::DeleteStateMachine(_)
            | Request::StartExecution(_)
            | Request::StopExecution { .. }
            | Request::TestState(_)
            | Request::RedriveExecution { .. }
            | Request::Task { .. } => false,
        }
    }
}

fn create_state_machine(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&[
        "name",
        "definition",
        "roleArn",
        "type",
        "loggingConfiguration",
        "tags",
        "tracingConfiguration",
        "encryptionConfiguration",
        "publish",
        "versionDescription",
    ])?;
    let name = checked_name(params.text("name")?)?;
    let role_arn = params.text("roleArn")?;
    if !role_arn.starts_with("arn:aws") || !role_arn.contains(":role/") {
        return Err(invalid_arn("Invalid ARN prefix", role_arn));
    }
    refuse_what_comes_later(params)?;
    let text = text_within(params, "definition", DEFINITION_MAX)?;
    let machine = Arc::new(definition::accepted(text, Kind::Standard)?);
    Ok(Request::CreateStateMachine(Box::new(CreateStateMachine {
        name: name.into(),
        definition: text.into(),
        machine,
        role_arn: role_arn.into(),
        shown: Json::object(
            ["tracingConfiguration", "encryptionConfiguration", "loggingConfiguration"]
                .iter()
                .filter_map(|name| Some((*name, params.get(name)?.clone()))),
        ),
    })))
}

/// What would be accepted and not acted on is refused by name.
fn refuse_what_comes_later(params: &Params<'_>) -> Result<(), ApiError> {
    match params.optional_text("type")? {
        None | Some("STANDARD") => {}
        Some("EXPRESS") => {
            let message = "`EXPRESS` state machines are not available yet";
            return Err(ApiError::new("StateMachineTypeNotSupported", message));
        }
        Some(other) => return Err(unknown_word(params, "type", other, &["STANDARD", "EXPRESS"])),
    }
    if params.optional_bool("publish")? == Some(true) {
        return Err(ApiError::new("ValidationException", "`publish` is not available yet"));
    }
    let level = params.get("loggingConfiguration").and_then(|logging| logging.member("level"));
    match level.and_then(Json::as_str) {
        None | Some("OFF") => Ok(()),
        Some(level) => {
            let message = format!("logging level `{level}` is not available yet; use `OFF`");
            Err(ApiError::new("InvalidLoggingConfiguration", message))
        }
    }
}

fn described(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["stateMachineArn", "includedData"])?;
    machine_arn(params)
}

fn described_execution(params: &Params<'_>) -> Result<(ExecutionName, bool), ApiError> {
    params.only(&["executionArn", "includedData"])?;
    let with_data = params.optional_text("includedData")? != Some("METADATA_ONLY");
    Ok((execution_arn(params)?, with_data))
}

fn start_execution(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["stateMachineArn", "name", "input", "traceHeader"])?;
    let input = match params.get("input") {
        None => "{}",
        Some(_) => text_within(params, "input", PAYLOAD_MAX)?,
    };
    if let Err(error) = Json::parse(input) {
        let message = format!("Invalid State Machine Execution Input: '{error}'");
        return Err(ApiError::new("InvalidExecutionInput", message));
    }
    let name = params.optional_text("name")?.map(checked_name).transpose()?;
    let arn = params.text("stateMachineArn")?;
    let (arn, test_case) = arn.split_once('#').map_or((arn, None), |(arn, case)| (arn, Some(case)));
    Ok(Request::StartExecution(StartExecution {
        machine: machine_named_by(arn)?,
        test_case: test_case.map(Arc::from),
        name: name.map(Arc::from),
        input: input.into(),
        trace_header: params.optional_text("traceHeader")?.map(Arc::from),
        parent: None,
    }))
}

fn list_executions(params: &Params<'_>) -> Result<Request, ApiError> {
    if params.get("mapRunArn").is_some() {
        return map_runs::request::children(params).map(Request::MapRuns);
    }
    params.only(&["stateMachineArn", "statusFilter", "maxResults", "nextToken"])?;
    Ok(Request::ListExecutions {
        machine: machine_arn(params)?,
        status: status_filter(params)?,
        page: page(params, EXECUTIONS_TOKEN_MAX)?,
    })
}

pub(super) fn status_filter(params: &Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    let status = params.optional_text("statusFilter")?;
    let known = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "RUNNING", "PENDING_REDRIVE"];
    match status.filter(|status| !known.contains(status)) {
        Some(status) => Err(unknown_word(params, "statusFilter", status, &known)),
        None => Ok(status.map(Arc::from)),
    }
}

fn redrive_execution(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["executionArn", "clientToken"])?;
    let token = params.optional_text_within("clientToken", 64)?.map(Arc::from);
    Ok(Request::RedriveExecution { execution: execution_arn(params)?, token })
}

fn stop_execution(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["executionArn", "error", "cause"])?;
    let (error, cause) = error_and_cause(params)?;
    Ok(Request::StopExecution { execution: execution_arn(params)?, error, cause })
}

fn execution_history(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&[
        "executionArn",
        "maxResults",
        "reverseOrder",
        "nextToken",
        "includeExecutionData",
    ])?;
    Ok(Request::GetExecutionHistory {
        execution: execution_arn(params)?,
        reverse: params.optional_bool("reverseOrder")?.unwrap_or(false),
        with_data: params.optional_bool("includeExecutionData")?.unwrap_or(true),
        page: page(params, TOKEN_MAX)?,
    })
}

fn task_success(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["taskToken", "output"])?;
    let output = text_within(params, "output", PAYLOAD_MAX)?;
    Ok(Request::Task { token: token(params)?, report: Report::Success(output.into()) })
}

fn task_failure(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["taskToken", "error", "cause"])?;
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

/// Which page is wanted; its token has at most `token_max` characters.
pub(super) fn page(params: &Params<'_>, token_max: usize) -> Result<Page, ApiError> {
    let bounded = |value: i64, constraint: &str| {
        params.broken("maxResults", Some(&value.to_string()), constraint)
    };
    let limit = match params.optional_int("maxResults")? {
        None | Some(0) => 100,
        Some(limit @ 1..=1000) => limit as usize,
        Some(low @ ..0) => {
            return Err(bounded(low, "Member must have value greater than or equal to 0"));
        }
        Some(high) => {
            return Err(bounded(high, "Member must have value less than or equal to 1000"));
        }
    };
    let token = params.optional_text_within("nextToken", token_max)?;
    Ok(Page { limit, token: token.map(Arc::from) })
}

/// The required text of a member, of at most `max` bytes of UTF-8.
pub(super) fn text_within<'a>(
    params: &Params<'a>,
    name: &str,
    max: usize,
) -> Result<&'a str, ApiError> {
    let text = params.text(name)?;
    if text.len() <= max {
        return Ok(text);
    }
    let constraint = format!("Member must have length less than or equal to {max}");
    Err(params.broken(name, Some(text), &constraint))
}

/// The error that a member has none of the words it may have.
pub(super) fn unknown_word(
    params: &Params<'_>,
    name: &str,
    word: &str,
    known: &[&str],
) -> ApiError {
    let constraint = format!("Member must satisfy enum value set: [{}]", known.join(", "));
    params.broken(name, Some(word), &constraint)
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

fn machine_arn(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    machine_named_by(params.text("stateMachineArn")?)
}

fn machine_named_by(arn: &str) -> Result<Arc<str>, ApiError> {
    match states_resource(arn)? {
        ("stateMachine", name) if !name.is_empty() && !name.contains([':', '\0']) => {
            Ok(name.into())
        }
        ("stateMachine", _) => {
            let message = format!("versions and aliases are not available yet: `{arn}`");
            Err(ApiError::new("StateMachineDoesNotExist", message))
        }
        (kind, _) => Err(wrong_kind(kind)),
    }
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
