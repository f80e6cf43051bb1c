//! What devices ask: over MQTT, and over HTTP by the service `iot-jobs-data`.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::ExecutionStatus;
use super::request::{Details, checked_id, checked_thing, details, number, thing_name};
use super::topic::{Operation, RequestTopic};
use crate::error::ApiError;
use crate::params::Params;

const NEXT: &str = "$next";

/// A request of a thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The thing.
    pub thing: Arc<str>,
    /// What it asks.
    pub asked: Asked,
}

/// What a thing asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// GetPendingJobExecutions
    Pending,
    /// StartNextPendingJobExecution
    StartNext {
        /// `statusDetails`
        details: Option<Details>,
        /// `stepTimeoutInMinutes`
        step_timeout: Option<i64>,
    },
    /// DescribeJobExecution
    Describe {
        /// The job; the next if none.
        job: Option<Arc<str>>,
        /// The execution's number; the latest if none.
        number: Option<u64>,
        /// Whether the document is wanted, too.
        with_document: bool,
    },
    /// UpdateJobExecution
    Update {
        /// The job.
        job: Arc<str>,
        /// What is changed.
        update: Update,
    },
}

/// What a thing says of its execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// `status`
    pub status: ExecutionStatus,
    /// `statusDetails`; `None`: those there are stay.
    pub details: Option<Details>,
    /// `stepTimeoutInMinutes`; -1: no longer any.
    pub step_timeout: Option<i64>,
    /// `expectedVersion`
    pub expected: Option<u64>,
    /// `executionNumber`
    pub number: Option<u64>,
    /// `includeJobExecutionState`
    pub with_state: bool,
    /// `includeJobDocument`
    pub with_document: bool,
}

/// Why a payload is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotJson(String);

impl From<&str> for NotJson {
    fn from(why: &str) -> NotJson {
        NotJson(why.to_owned())
    }
}

/// Why a thing was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Which refusal.
    pub code: Code,
    /// In words.
    pub message: String,
    /// How the execution stands, if that is why.
    pub state: Option<Json>,
}

/// Refusals. Source: AWS IoT developer guide, "Jobs", "ErrorCode".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum Code {
    InvalidJson,
    InvalidRequest,
    InvalidStateTransition,
    ResourceNotFound,
    VersionMismatch,
    TerminalStateReached,
    InternalError,
}

impl Code {
    /// What MQTT clients are told.
    pub fn word(self) -> &'static str {
        match self {
            Code::InvalidJson => "InvalidJson",
            Code::InvalidRequest => "InvalidRequest",
            Code::InvalidStateTransition => "InvalidStateTransition",
            Code::ResourceNotFound => "ResourceNotFound",
            Code::VersionMismatch => "VersionMismatch",
            Code::TerminalStateReached => "TerminalStateReached",
            Code::InternalError => "InternalError",
        }
    }

    fn exception(self) -> &'static str {
        match self {
            Code::InvalidJson | Code::InvalidRequest => "InvalidRequestException",
            Code::InvalidStateTransition => "InvalidStateTransitionException",
            Code::ResourceNotFound => "ResourceNotFoundException",
            Code::VersionMismatch => "VersionConflictException",
            Code::TerminalStateReached => "TerminalStateException",
            Code::InternalError => "InternalServerException",
        }
    }
}

impl Refused {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Refused {
        Refused { code, message: message.into(), state: None }
    }

    /// The refusal of a request by HTTP.
    pub(crate) fn into_error(self) -> ApiError {
        ApiError::new(self.code.exception(), self.message)
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Refused {
        Refused::new(Code::InvalidRequest, error.message)
    }
}

impl Request {
    /// The request that `body` makes of an operation of `iot-jobs-data`. `None`: it is none of these.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let p = &Params::new(body, super::INVALID);
        let known: &[&str] = match operation {
            "GetPendingJobExecutions" => &["thingName"],
            "StartNextPendingJobExecution" => {
                &["thingName", "statusDetails", "stepTimeoutInMinutes"]
            }
            "DescribeJobExecution" => {
                &["thingName", "jobId", "includeJobDocument", "executionNumber"]
            }
            "UpdateJobExecution" => &[
                "thingName",
                "jobId",
                "status",
                "statusDetails",
                "stepTimeoutInMinutes",
                "expectedVersion",
                "includeJobExecutionState",
                "includeJobDocument",
                "executionNumber",
            ],
            _ => return None,
        };
        let parsed = || {
            p.only(known)?;
            let asked = match operation {
                "GetPendingJobExecutions" => Asked::Pending,
                "StartNextPendingJobExecution" => start_next(p)?,
                "DescribeJobExecution" => describe(p, p.text("jobId")?)?,
                _ => update(p, p.text("jobId")?)?,
            };
            Ok(Request { thing: thing_name(p)?, asked })
        };
        Some(parsed())
    }

    /// The request that a message makes, its payload read.
    pub(crate) fn of_message(
        topic: &RequestTopic<'_>,
        payload: &Result<Json, NotJson>,
    ) -> Result<Request, Refused> {
        let body = payload.as_ref().map_err(|NotJson(why)| {
            Refused::new(Code::InvalidJson, format!("the payload is not JSON: {why}"))
        })?;
        if body.as_object().is_none() {
            return Err(Refused::new(Code::InvalidRequest, "the payload must be a JSON object"));
        }
        let p = &Params::new(body, super::INVALID);
        let asked = match topic.operation {
            Operation::Pending => Asked::Pending,
            Operation::StartNext => start_next(p)?,
            Operation::Describe(job) => describe(p, job)?,
            Operation::Update(job) => update(p, job)?,
        };
        let thing = checked_thing(topic.thing);
        let wrong = || Refused::new(Code::InvalidRequest, "the topic names no thing");
        Ok(Request { thing: thing.ok_or_else(wrong)?, asked })
    }
}

fn start_next(p: &Params<'_>) -> Result<Asked, ApiError> {
    Ok(Asked::StartNext { details: details(p)?, step_timeout: step_timeout(p)? })
}

fn describe(p: &Params<'_>, job: &str) -> Result<Asked, ApiError> {
    let job = if job == NEXT { None } else { Some(job_id(p, job)?) };
    let with_document = p.optional_bool("includeJobDocument")?.unwrap_or(true);
    Ok(Asked::Describe { job, number: number(p)?, with_document })
}

fn update(p: &Params<'_>, job: &str) -> Result<Asked, ApiError> {
    let status = ExecutionStatus::named(p.text("status")?).filter(|status| status.is_devices_own());
    let wrong = || p.invalid("status", "it must be IN_PROGRESS, SUCCEEDED, FAILED or REJECTED");
    let status = status.ok_or_else(wrong)?;
    let expected = p.optional_int("expectedVersion")?.map(|version| version as u64);
    Ok(Asked::Update {
        job: job_id(p, job)?,
        update: Update {
            status,
            details: details(p)?,
            step_timeout: step_timeout(p)?,
            expected,
            number: number(p)?,
            with_state: p.optional_bool("includeJobExecutionState")?.unwrap_or(false),
            with_document: p.optional_bool("includeJobDocument")?.unwrap_or(false),
        },
    })
}

fn job_id(p: &Params<'_>, job: &str) -> Result<Arc<str>, ApiError> {
    checked_id(job).ok_or_else(|| {
        p.invalid("jobId", "it must match [a-zA-Z0-9_-]+ and have at most 64 characters")
    })
}

fn step_timeout(p: &Params<'_>) -> Result<Option<i64>, ApiError> {
    match p.optional_int("stepTimeoutInMinutes")? {
        None => Ok(None),
        Some(minutes @ (-1 | 1..=10_080)) => Ok(Some(minutes)),
        Some(_) => Err(p.invalid("stepTimeoutInMinutes", "it must be 1 to 10080, or -1 for none")),
    }
}
