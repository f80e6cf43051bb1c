//! What a workflow's tasks can call: the services we host, and `http:invoke`.
//!
//! A task on a hosted service is an ordinary request to it, made in the same commit. Two error
//! dialects are spoken, as on AWS: optimised integrations those of SDK v1, `aws-sdk` ones those of v2.

mod iot;
mod lambda;
mod messaging;
mod metadata;
mod monitoring;
mod names;
mod s3;
mod states;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::definition::{Pattern, Resource};
use stepwire_asl::{EventId, Failure, Json, Timestamp};

pub use lambda::Form;
use names::{camel, pascal, rename};

use crate::error::ApiError;
use crate::executions::{ExecutionId, derived_uuid};
use crate::functions::Invoke;
use crate::queues;
use crate::request::{Request, Service};

pub(crate) use states::v1;

/// How a task is carried out.
#[derive(Debug)]
pub(crate) enum Carry {
    /// By a hosted service, in the same commit.
    Here(Hosted),
    /// By a worker that asks for it.
    Worker,
    /// By the shell, over HTTP.
    Http,
    /// By the shell, which calls this AWS service outside.
    Outside(Arc<str>),
    /// By the shell, which runs a function.
    Function(Form, Box<Invoke>),
    /// Not at all: the task fails.
    Fails(Failure),
}

/// A hosted service as tasks see it: its name in errors, and whether its members are renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hosted {
    service: Service,
    /// In front of error names: `Iot`, `DynamoDb`, `DynamoDB`.
    prefix: &'static str,
    /// In place of errors the service's model does not name.
    unmodelled: &'static str,
    /// The name in causes.
    title: &'static str,
    sdk: Sdk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sdk {
    V1,
    V2,
}

/// One call that a task makes to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) execution: ExecutionId,
    /// Its `TaskScheduled` event.
    pub(crate) scheduled: EventId,
}

impl Call {
    /// The id that AWS would have given the request; the same each time it is asked for.
    fn request_id(self) -> String {
        let ExecutionId { machine, number } = self.execution;
        derived_uuid(&[0; 32], "request", &[machine, number, self.scheduled])
    }

    /// The second id that S3 gives a request.
    fn extended_request_id(self) -> String {
        let ExecutionId { machine, number } = self.execution;
        let id = derived_uuid(&[0; 32], "extended", &[machine, number, self.scheduled]);
        STANDARD.encode(id)
    }
}

/// The AWS service outside that `resource` names: one with an `aws-sdk` form that is not hosted.
fn outside(resource: &Resource) -> Option<&str> {
    let name = resource.service().strip_prefix("aws-sdk:")?;
    hosted(resource.service()).is_none().then_some(name)
}

/// Whether tasks on `aws-sdk:NAME` are carried out by this node.
pub fn is_hosted(name: &str) -> bool {
    hosted(&format!("aws-sdk:{name}")).is_some()
}

/// Whether a definition may use `resource`; if not, why, in words for the one who wrote it.
/// `reachable` says which services outside may be called.
pub fn supported(resource: &Resource, reachable: impl Fn(&str) -> bool) -> Result<(), String> {
    let (service, api) = (resource.service(), resource.api());
    let known = match service {
        "lambda" | "http" => api == "invoke",
        "lambda-function" | "activity" => true,
        _ => match outside(resource) {
            Some(name) => reachable(name),
            None => hosted(service).is_some_and(|hosted| operation_exists(hosted, api)),
        },
    };
    if !known {
        let text = resource.text();
        return Err(format!("the resource `{text}` is not available in stepwire yet"));
    }
    let callback = resource.pattern() == Pattern::WaitForTaskToken;
    match resource.pattern() {
        Pattern::Sync | Pattern::Sync2 if service == "states" => Ok(()),
        Pattern::Sync | Pattern::Sync2 => {
            Err(format!("`.sync` is not available for `{service}:{api}`"))
        }
        _ if callback && matches!(service, "lambda-function" | "http") => {
            Err(format!("`.waitForTaskToken` is not available for `{service}`"))
        }
        _ => Ok(()),
    }
}

/// How to carry out a task on `resource` with these parameters.
pub(crate) fn carry(resource: &Resource, parameters: &Json) -> Carry {
    match resource.service() {
        "http" => Carry::Http,
        "activity" => Carry::Worker,
        "lambda" => lambda::carry(Form::Optimised, parameters),
        "lambda-function" => lambda::carry_function(resource.text(), parameters),
        "aws-sdk:lambda" if resource.api() == "invoke" => lambda::carry(Form::Sdk, parameters),
        service => match hosted(service) {
            Some(hosted) => Carry::Here(hosted),
            None => match outside(resource) {
                Some(name) => Carry::Outside(name.into()),
                None => {
                    let cause = format!("the resource `{}` is not available", resource.text());
                    Carry::Fails(Failure::new("States.Runtime", cause))
                }
            },
        },
    }
}

fn hosted(service: &str) -> Option<Hosted> {
    let v1 = |service, prefix, unmodelled, title| Hosted {
        service,
        prefix,
        unmodelled,
        title,
        sdk: Sdk::V1,
    };
    let v2 = |service, prefix, unmodelled| Hosted {
        service,
        prefix,
        unmodelled,
        title: prefix,
        sdk: Sdk::V2,
    };
    Some(match service {
        "aws-sdk:iot" => v2(Service::Iot, "Iot", "IotException"),
        "aws-sdk:iotdataplane" => v2(Service::IotData, "IotDataPlane", "IotDataPlaneException"),
        "aws-sdk:iotjobsdataplane" => {
            v2(Service::IotJobsData, "IotJobsDataPlane", "IotJobsDataPlaneException")
        }
        "aws-sdk:lambda" => v2(Service::Lambda, "Lambda", "LambdaException"),
        "aws-sdk:sfn" => v2(Service::States, "Sfn", "SfnException"),
        "states" => {
            v1(Service::States, "StepFunctions", "AWSStepFunctionsException", "AWSStepFunctions")
        }
        "aws-sdk:cloudwatchlogs" => v2(Service::Logs, "CloudWatchLogs", "CloudWatchLogsException"),
        "aws-sdk:dynamodb" => v2(Service::DynamoDb, "DynamoDb", "DynamoDbException"),
        "dynamodb" => {
            v1(Service::DynamoDb, "DynamoDB", "AmazonDynamoDBException", "AmazonDynamoDBv2")
        }
        "aws-sdk:s3" => v2(Service::S3, "S3", "S3Exception"),
        "aws-sdk:sqs" => v2(Service::Sqs, "Sqs", "SqsException"),
        "sqs" => v1(Service::Sqs, "SQS", "AmazonSQSException", "AmazonSQS"),
        "aws-sdk:sns" => v2(Service::Sns, "Sns", "SnsException"),
        "sns" => v1(Service::Sns, "SNS", "AmazonSNSException", "AmazonSNS"),
        "aws-sdk:iam" => v2(Service::Iam, "Iam", "IamException"),
        "aws-sdk:ssm" => v2(Service::Ssm, "Ssm", "SsmException"),
        "aws-sdk:secretsmanager" => {
            v2(Service::SecretsManager, "SecretsManager", "SecretsManagerException")
        }
        "aws-sdk:sts" => v2(Service::Sts, "Sts", "StsException"),
        "aws-sdk:cloudwatch" => v2(Service::CloudWatch, "CloudWatch", "CloudWatchException"),
        "aws-sdk:eventbridge" => v2(Service::Events, "EventBridge", "EventBridgeException"),
        "events" => {
            v1(Service::Events, "EventBridge", "AmazonEventBridgeException", "AmazonEventBridge")
        }
        _ => return None,
    })
}

fn operation_exists(hosted: Hosted, api: &str) -> bool {
    let optimised: Option<&[&str]> = match (hosted.sdk, hosted.service) {
        (Sdk::V2, _) => None,
        (Sdk::V1, Service::States) => Some(&["startExecution"]),
        (Sdk::V1, Service::Sqs) => Some(&["sendMessage"]),
        (Sdk::V1, Service::Sns) => Some(&["publish"]),
        (Sdk::V1, Service::Events) => Some(&["putEvents"]),
        (Sdk::V1, _) => Some(&["getItem", "putItem", "deleteItem", "updateItem"]),
    };
    match (optimised, hosted.service) {
        (Some(optimised), _) => optimised.contains(&api),
        (None, Service::Lambda) => lambda::exists(api),
        (None, service) => {
            let parsed = Request::parse(service, &pascal(api), &Json::Object(Arc::default()));
            let refused = |error: &ApiError| error.code == "UnknownOperationException";
            parsed.is_some_and(|parsed| !parsed.as_ref().is_err_and(refused))
        }
    }
}

impl Hosted {
    /// The request that a task's parameters make of this service.
    pub(crate) fn request(
        self,
        api: &str,
        parameters: &Json,
        call: Call,
    ) -> Result<Request, Failure> {
        let parsed = match self.service {
            Service::IotData => iot::request(&pascal(api), parameters).unwrap_or_else(unknown),
            Service::Iot | Service::IotJobsData | Service::Logs => {
                let body = rename(parameters, &camel);
                Request::parse(self.service, &pascal(api), &body).unwrap_or_else(unknown)
            }
            Service::States => {
                let body = states::body(parameters);
                Request::parse(self.service, &pascal(api), &body).unwrap_or_else(unknown)
            }
            Service::S3 => s3::request(&pascal(api), parameters).unwrap_or_else(unknown),
            Service::Sqs | Service::Sns | Service::Events => {
                let request = messaging::request(self.service, &pascal(api), parameters);
                request.unwrap_or_else(unknown)
            }
            Service::DynamoDb
            | Service::Lambda
            | Service::CloudWatch
            | Service::CloudFormation
            | Service::Iam
            | Service::Sts
            | Service::Ssm
            | Service::Scheduler
            | Service::SecretsManager => {
                Request::parse(self.service, &pascal(api), parameters).unwrap_or_else(unknown)
            }
        };
        parsed.map_err(|error| self.failure(&error, call))
    }

    /// What the service said as the task's result.
    pub(crate) fn result(
        self,
        answer: Result<Json, ApiError>,
        call: Call,
        now: Timestamp,
    ) -> Result<Json, Failure> {
        let answer = answer.map_err(|error| self.failure(&error, call))?;
        let optimised_events = self.service == Service::Events && self.sdk == Sdk::V1;
        match optimised_events.then(|| messaging::failed_entries(&answer)).flatten() {
            Some(failure) => Err(failure),
            None => Ok(self.output(&answer, call, now)),
        }
    }

    /// A service's answer as the task's output: members in PascalCase.
    fn output(self, answer: &Json, call: Call, now: Timestamp) -> Json {
        match self.service {
            Service::States => match self.sdk {
                Sdk::V1 => metadata::with(&states::v1(answer), answer, call, now),
                Sdk::V2 => states::v2(answer),
            },
            Service::IotData => iot::output(answer),
            Service::Iot | Service::IotJobsData | Service::Logs => rename(answer, &pascal),
            Service::Sqs | Service::Sns | Service::DynamoDb if self.sdk == Sdk::V1 => {
                metadata::with(answer, answer, call, now)
            }
            Service::DynamoDb
            | Service::S3
            | Service::Sqs
            | Service::Sns
            | Service::Events
            | Service::CloudFormation
            | Service::Iam
            | Service::Sts
            | Service::Ssm
            | Service::SecretsManager
            | Service::Scheduler
            | Service::Lambda => answer.clone(),
            Service::CloudWatch => monitoring::output(answer),
        }
    }

    /// A service's refusal as the task's failure.
    fn failure(self, error: &ApiError, call: Call) -> Failure {
        let code = error.code.as_ref();
        let modelled = match self.service {
            Service::States => Some(states::exception(code)),
            Service::S3 => s3::exception(code),
            Service::Sqs | Service::Sns | Service::Events => {
                messaging::exception(self.service, code)
            }
            Service::CloudWatch => monitoring::exception(code),
            Service::Iam | Service::Sts | Service::Ssm => {
                let general = ["ValidationError", "ValidationException", "InvalidAction"];
                let stem = code.strip_suffix("Exception").unwrap_or(code);
                (!general.contains(&code)).then(|| format!("{stem}Exception"))
            }
            Service::Iot
            | Service::IotData
            | Service::IotJobsData
            | Service::DynamoDb
            | Service::Logs
            | Service::CloudFormation
            | Service::SecretsManager
            | Service::Scheduler
            | Service::Lambda => {
                let general = ["ValidationException", "SerializationException", "InternalFailure"];
                (!general.contains(&code)).then(|| code.to_owned())
            }
        };
        let name = modelled.unwrap_or_else(|| self.unmodelled.to_owned());
        let status = status(self.service, code);
        let (message, title, id) = (&error.message, self.title, call.request_id());
        let cause = match (self.sdk, self.service) {
            (Sdk::V2, Service::States) => format!(
                "{message} (Service: {title}, Status Code: {status}, Request ID: {id}) \
                 (SDK Attempt Count: 1)"
            ),
            (Sdk::V2, Service::S3) => format!(
                "{message} (Service: {title}, Status Code: {status}, Request ID: {id}, \
                 Extended Request ID: {})",
                call.extended_request_id()
            ),
            (Sdk::V2, _) => {
                format!("{message} (Service: {title}, Status Code: {status}, Request ID: {id})")
            }
            (Sdk::V1, service) => {
                let code = match service {
                    Service::Sqs => queues::older_code(code),
                    _ => code.into(),
                };
                format!(
                    "{message} (Service: {title}; Status Code: {status}; Error Code: {code}; \
                     Request ID: {id}; Proxy: null)"
                )
            }
        };
        Failure { error: format!("{}.{name}", self.prefix).into(), cause: cause.into() }
    }

    /// Whether AWS adds the execution and its state machine to what is asked for.
    pub(crate) fn names_origin(self) -> bool {
        self.service == Service::Events && self.sdk == Sdk::V1
    }
}

/// The HTTP status AWS would have answered with.
fn status(service: Service, code: &str) -> u16 {
    match (service, code) {
        (Service::S3, code) => s3::status(code),
        (_, "UnauthorizedException") => 401,
        (Service::IotData, "ForbiddenException") | (Service::Sts, "AccessDenied") => 403,
        (Service::IotData, "GatewayTimeoutException") => 504,
        (
            _,
            "InternalFailure"
            | "InternalFailureException"
            | "InternalError"
            | "InternalServiceError"
            | "ServiceException",
        ) => 500,
        (
            Service::Iot | Service::IotData | Service::IotJobsData | Service::Lambda,
            "ResourceAlreadyExistsException"
            | "VersionConflictException"
            | "DeleteConflictException"
            | "ResourceConflictException"
            | "ConflictException"
            | "InvalidStateTransitionException",
        )
        | (Service::Iam, "EntityAlreadyExists" | "DeleteConflict" | "LimitExceeded") => 409,
        (Service::Iot | Service::IotData, "CertificateStateException") => 406,
        (Service::Iot | Service::IotData, "LimitExceededException")
        | (Service::IotJobsData, "TerminalStateException") => 410,
        (Service::Iam, "NoSuchEntity")
        | (Service::Sns, "NotFound" | "ResourceNotFound")
        | (
            Service::Iot | Service::IotData | Service::IotJobsData | Service::Lambda,
            "ResourceNotFoundException",
        ) => 404,
        (Service::Lambda, "PreconditionFailedException") => 412,
        (Service::Lambda, "RequestTooLargeException")
        | (Service::IotData, "RequestEntityTooLargeException") => 413,
        (Service::Lambda, "TooManyRequestsException") => 429,
        _ => 400,
    }
}

fn unknown() -> Result<Request, ApiError> {
    Err(ApiError::new("ValidationException", "the operation is not available"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_dialects_name_the_same_error_differently() {
        let error = ApiError::new("ValidationException", "bad key");
        let call = Call { execution: ExecutionId { machine: 1, number: 2 }, scheduled: 3 };
        let name = |service| hosted(service).map(|hosted| hosted.failure(&error, call).error);
        assert_eq!(name("aws-sdk:dynamodb").as_deref(), Some("DynamoDb.DynamoDbException"));
        assert_eq!(name("dynamodb").as_deref(), Some("DynamoDB.AmazonDynamoDBException"));
    }
}
