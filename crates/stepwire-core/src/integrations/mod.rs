//! What a workflow's tasks can call: the services we host, and `http:invoke`.
//!
//! A task on a hosted service is an ordinary request to it, made in the same commit. Two error
//! dialects are spoken, as on AWS: optimised integrations those of SDK v1, `aws-sdk` ones those of v2.

mod iot;
mod metadata;
mod names;
mod states;

use std::sync::Arc;

use stepwire_asl::definition::{Pattern, Resource};
use stepwire_asl::{EventId, Failure, Json, Timestamp};

use names::{camel, pascal, rename};

use crate::error::ApiError;
use crate::executions::{ExecutionId, derived_uuid};
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
}

/// Whether a definition may use `resource`; if not, why, in words for the one who wrote it.
pub fn supported(resource: &Resource) -> Result<(), String> {
    let (service, api) = (resource.service(), resource.api());
    let known = match service {
        "lambda" | "http" => api == "invoke",
        "lambda-function" | "activity" => true,
        _ => hosted(service).is_some_and(|hosted| operation_exists(hosted, api)),
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
        "lambda" => {
            let name = parameters.member("FunctionName").and_then(Json::as_str);
            Carry::Fails(no_function(name.unwrap_or("`FunctionName` is missing")))
        }
        "lambda-function" => Carry::Fails(no_function(resource.text())),
        service => match hosted(service) {
            Some(hosted) => Carry::Here(hosted),
            None => Carry::Fails(Failure {
                error: "States.Runtime".into(),
                cause: format!("the resource `{}` is not available", resource.text()).into(),
            }),
        },
    }
}

fn no_function(name: &str) -> Failure {
    Failure {
        error: "Lambda.ResourceNotFoundException".into(),
        cause: format!(
            "Function not found: {name} (Service: AWSLambda; Status Code: 404; Error Code: \
             ResourceNotFoundException)"
        )
        .into(),
    }
}

fn hosted(service: &str) -> Option<Hosted> {
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
        "aws-sdk:sfn" => v2(Service::States, "Sfn", "SfnException"),
        "states" => Hosted {
            service: Service::States,
            prefix: "StepFunctions",
            unmodelled: "AWSStepFunctionsException",
            title: "AWSStepFunctions",
            sdk: Sdk::V1,
        },
        "aws-sdk:dynamodb" => v2(Service::DynamoDb, "DynamoDb", "DynamoDbException"),
        "dynamodb" => Hosted {
            service: Service::DynamoDb,
            prefix: "DynamoDB",
            unmodelled: "AmazonDynamoDBException",
            title: "AmazonDynamoDBv2",
            sdk: Sdk::V1,
        },
        _ => return None,
    })
}

fn operation_exists(hosted: Hosted, api: &str) -> bool {
    let optimised = ["getItem", "putItem", "deleteItem", "updateItem"];
    match hosted.service {
        Service::IotData => api == "publish",
        Service::States if hosted.sdk == Sdk::V1 => api == "startExecution",
        _ if hosted.sdk == Sdk::V1 && !optimised.contains(&api) => false,
        service => Request::parse(service, &pascal(api), &Json::Object(Arc::default())).is_some(),
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
            Service::IotData => iot::publish(parameters).map(Request::Publish),
            Service::Iot => {
                let body = rename(parameters, &camel);
                Request::parse(self.service, &pascal(api), &body).unwrap_or_else(unknown)
            }
            Service::States => {
                let body = states::body(parameters);
                Request::parse(self.service, &pascal(api), &body).unwrap_or_else(unknown)
            }
            Service::DynamoDb | Service::S3 | Service::Sqs => {
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
        answer
            .map(|answer| self.output(&answer, call, now))
            .map_err(|error| self.failure(&error, call))
    }

    /// A service's answer as the task's output: members in PascalCase.
    fn output(self, answer: &Json, call: Call, now: Timestamp) -> Json {
        match self.service {
            Service::States => match self.sdk {
                Sdk::V1 => metadata::with(&states::v1(answer), answer, call, now),
                Sdk::V2 => states::v2(answer),
            },
            Service::Iot | Service::IotData => rename(answer, &pascal),
            Service::DynamoDb | Service::S3 | Service::Sqs => answer.clone(),
        }
    }

    /// A service's refusal as the task's failure.
    fn failure(self, error: &ApiError, call: Call) -> Failure {
        let modelled = !matches!(
            error.code.as_ref(),
            "ValidationException" | "SerializationException" | "InternalFailure"
        );
        let name = match (self.service, modelled) {
            (Service::States, _) => states::exception(&error.code),
            (_, true) => error.code.to_string(),
            (_, false) => self.unmodelled.to_owned(),
        };
        let status = status(&error.code);
        let (message, title, id) = (&error.message, self.title, call.request_id());
        let attempts = if self.service == Service::States { " (SDK Attempt Count: 1)" } else { "" };
        let cause = match self.sdk {
            Sdk::V2 => format!(
                "{message} (Service: {title}, Status Code: {status}, Request ID: {id}){attempts}"
            ),
            Sdk::V1 => format!(
                "{message} (Service: {title}; Status Code: {status}; Error Code: {}; \
                 Request ID: {id}; Proxy: null)",
                error.code
            ),
        };
        Failure { error: format!("{}.{name}", self.prefix).into(), cause: cause.into() }
    }
}

fn unknown() -> Result<Request, ApiError> {
    Err(ApiError::new("ValidationException", "the operation is not available"))
}

/// The HTTP status AWS would have answered with.
fn status(code: &str) -> u16 {
    match code {
        "UnauthorizedException" => 401,
        "InternalFailure" | "InternalFailureException" => 500,
        "ResourceAlreadyExistsException"
        | "VersionConflictException"
        | "DeleteConflictException" => 409,
        // DynamoDB answers 400 to this one; IoT alone answers 404.
        "ResourceNotFoundException" => 404,
        _ => 400,
    }
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
