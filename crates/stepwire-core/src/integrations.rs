//! What a workflow's tasks can call: the services we host, and `http:invoke`.
//!
//! A task on a hosted service is an ordinary request to it, made in the same commit. Two error
//! dialects are spoken, as on AWS: optimised integrations those of SDK v1, `aws-sdk` ones those of v2.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::definition::{Pattern, Resource};
use stepwire_asl::json::Object;
use stepwire_asl::{Failure, Json};

use crate::error::ApiError;
use crate::message::{Properties, QoS};
use crate::params::Params;
use crate::request::{Publish, Request, Service};

/// How a task is carried out.
#[derive(Debug)]
pub(crate) enum Carry {
    /// By a hosted service, in the same commit.
    Here(Hosted),
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

/// Whether a definition may use `resource`; if not, why, in words for the one who wrote it.
pub fn supported(resource: &Resource) -> Result<(), String> {
    let (service, api) = (resource.service(), resource.api());
    let known = match service {
        "lambda" | "http" => api == "invoke",
        "lambda-function" => true,
        _ => hosted(service).is_some_and(|hosted| operation_exists(hosted, api)),
    };
    if !known {
        let text = resource.text();
        return Err(format!("the resource `{text}` is not available in stepwire yet"));
    }
    let callback = resource.pattern() == Pattern::WaitForTaskToken;
    match resource.pattern() {
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
        _ if hosted.sdk == Sdk::V1 && !optimised.contains(&api) => false,
        service => Request::parse(service, &pascal(api), &Json::Object(Arc::default())).is_some(),
    }
}

impl Hosted {
    /// The request that a task's parameters make of this service.
    pub(crate) fn request(self, api: &str, parameters: &Json) -> Result<Request, Failure> {
        let parsed = match self.service {
            Service::IotData => publish(parameters).map(Request::Publish),
            Service::Iot => {
                let body = rename(parameters, &camel);
                Request::parse(self.service, &pascal(api), &body).unwrap_or_else(unknown)
            }
            Service::DynamoDb | Service::States => {
                Request::parse(self.service, &pascal(api), parameters).unwrap_or_else(unknown)
            }
        };
        parsed.map_err(|error| self.failure(&error))
    }

    /// A service's answer as the task's output: members in PascalCase.
    pub(crate) fn output(self, answer: &Json) -> Json {
        match self.service {
            Service::Iot | Service::IotData | Service::States => rename(answer, &pascal),
            Service::DynamoDb => answer.clone(),
        }
    }

    /// A service's refusal as the task's failure.
    pub(crate) fn failure(self, error: &ApiError) -> Failure {
        let modelled = !matches!(
            error.code.as_ref(),
            "ValidationException" | "SerializationException" | "InternalFailure"
        );
        let name = if modelled { error.code.as_ref() } else { self.unmodelled };
        let status = status(&error.code);
        let (message, title) = (&error.message, self.title);
        let cause = match self.sdk {
            Sdk::V2 => format!("{message} (Service: {title}, Status Code: {status})"),
            Sdk::V1 => format!(
                "{message} (Service: {title}; Status Code: {status}; Error Code: {})",
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

/// `iotdataplane:publish`: the payload as text is its bytes, any other JSON its compact text.
fn publish(parameters: &Json) -> Result<Publish, ApiError> {
    let params = Params::new(parameters, "InvalidRequestException");
    params.only(&["Topic", "Qos", "Retain", "Payload", "ContentType", "ResponseTopic"])?;
    let qos = match params.optional_int("Qos")? {
        None | Some(0) => QoS::AtMostOnce,
        Some(1) => QoS::AtLeastOnce,
        Some(other) => return Err(params.invalid("Qos", &format!("`{other}` is not 0 or 1"))),
    };
    let payload = match params.get("Payload") {
        None => Bytes::new(),
        Some(Json::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Some(other) => Bytes::from(other.to_text()),
    };
    let properties = Properties {
        content_type: params.optional_text("ContentType")?.map(Arc::from),
        response_topic: params.optional_text("ResponseTopic")?.map(Arc::from),
        ..Properties::default()
    };
    let retain = params.optional_bool("Retain")?.unwrap_or(false);
    Publish::to(params.text("Topic")?, payload, qos, retain, properties)
}

/// Renames the members of a structure at every level, but not the keys of attribute maps.
fn rename(value: &Json, name: &dyn Fn(&str) -> String) -> Json {
    match value {
        Json::Object(members) => {
            let renamed = members.iter().map(|(key, value)| {
                let is_map = key.eq_ignore_ascii_case("attributes");
                let value = if is_map { value.clone() } else { rename(value, name) };
                (Arc::from(name(key)), value)
            });
            Json::Object(Arc::new(renamed.collect::<Object>()))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| rename(item, name))),
        other => other.clone(),
    }
}

fn pascal(name: &str) -> String {
    with_first(name, |first| first.to_ascii_uppercase())
}

fn camel(name: &str) -> String {
    with_first(name, |first| first.to_ascii_lowercase())
}

fn with_first(name: &str, change: impl Fn(char) -> char) -> String {
    let mut chars = name.chars();
    chars.next().map(change).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_renamed_but_attribute_names_are_not() {
        let wire = Json::parse(r#"{"thingName":"a","attributes":{"lowerCase":"x"}}"#);
        let pascal_case = rename(&wire.unwrap_or_default(), &pascal);
        let text = pascal_case.to_text();
        assert_eq!(text, r#"{"ThingName":"a","Attributes":{"lowerCase":"x"}}"#);
    }

    #[test]
    fn the_two_dialects_name_the_same_error_differently() {
        let error = ApiError::new("ValidationException", "bad key");
        let name = |service| hosted(service).map(|hosted| hosted.failure(&error).error);
        assert_eq!(name("aws-sdk:dynamodb").as_deref(), Some("DynamoDb.DynamoDbException"));
        assert_eq!(name("dynamodb").as_deref(), Some("DynamoDB.AmazonDynamoDBException"));
    }
}
