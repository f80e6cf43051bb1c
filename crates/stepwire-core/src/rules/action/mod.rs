//! Actions of rules: how they are written, and what they come to for a message.
//!
//! Each kind is a file: `parse` takes its members and refuses the others by name, [`Kind`] says what
//! it does. A kind is registered in [`Action`] and its `parse` and `kind`.
//!
//! Source: AWS IoT developer guide, "AWS IoT rule actions"; service model `iot`.

mod cloudwatch;
mod complete_task;
pub(super) mod dynamodb;
mod field;
pub(super) mod http;
mod lambda;
mod logs;
mod republish;
mod s3;
mod sns;
mod sqs;
mod step_functions;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};

use field::Field;

use super::errands::{Delivery, Place};
use super::sql::{Facts, Value};
use super::{Batch, Run};
use crate::answers::Attributes;
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::message::{Properties, QoS};
use crate::params::Params;
use crate::request::Service;
use crate::settings::Settings;

/// A compiled action.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `stepFunctions`
    StepFunctions(step_functions::StepFunctions),
    /// `lambda`
    Lambda(lambda::Lambda),
    /// `republish`
    Republish(Box<republish::Republish>),
    /// `dynamoDB`
    DynamoDb(Box<dynamodb::DynamoDb>),
    /// `dynamoDBv2`
    DynamoDbV2(dynamodb::DynamoDbV2),
    /// `sns`
    Sns(sns::Sns),
    /// `sqs`
    Sqs(sqs::Sqs),
    /// `s3`
    S3(s3::S3),
    /// `http`
    Http(Box<http::Http>),
    /// `cloudwatchLogs`
    Logs(logs::Logs),
    /// `cloudwatchMetric`
    Metric(Box<cloudwatch::Metric>),
    /// `cloudwatchAlarm`
    Alarm(cloudwatch::Alarm),
    /// `completeTask`
    CompleteTask(complete_task::CompleteTask),
}

/// Actions of AWS that are not carried out, and what to write instead.
const REFUSED: [(&str, &str); 12] = [
    ("elasticsearch", "`s3` or `sqs`"),
    ("firehose", "`s3`"),
    ("influxDB", "`dynamoDBv2`"),
    ("iotAnalytics", "`s3`"),
    ("iotEvents", "`stepFunctions`"),
    ("iotSiteWise", "`dynamoDBv2`"),
    ("kafka", "`sqs`"),
    ("kinesis", "`sqs`"),
    ("location", "`dynamoDBv2`"),
    ("openSearch", "`s3` or `sqs`"),
    ("salesforce", "`lambda`"),
    ("timestream", "`dynamoDBv2`"),
];

impl Action {
    /// The action that a member of `actions` writes. Refuses by name what cannot be carried out.
    pub(super) fn parse(json: &Json) -> Result<Action, ApiError> {
        let members = json.as_object().ok_or_else(|| invalid("an action must be an object"))?;
        let mut present = members.iter().filter(|(_, value)| !value.is_null());
        let (Some((name, fields)), None) = (present.next(), present.next()) else {
            return Err(invalid("an action must have exactly one member"));
        };
        let fields = &Params::new(fields, INVALID);
        Ok(match name.as_ref() {
            "stepFunctions" => Action::StepFunctions(step_functions::parse(fields)?),
            "lambda" => return lambda::parse(fields),
            "republish" => Action::Republish(Box::new(republish::parse(fields)?)),
            "dynamoDB" => Action::DynamoDb(Box::new(dynamodb::parse(fields)?)),
            "dynamoDBv2" => Action::DynamoDbV2(dynamodb::parse_v2(fields)?),
            "sns" => Action::Sns(sns::parse(fields)?),
            "sqs" => Action::Sqs(sqs::parse(fields)?),
            "s3" => Action::S3(s3::parse(fields)?),
            "http" => Action::Http(Box::new(http::parse(fields)?)),
            "cloudwatchLogs" => Action::Logs(logs::parse(fields)?),
            "cloudwatchMetric" => Action::Metric(Box::new(cloudwatch::parse_metric(fields)?)),
            "cloudwatchAlarm" => Action::Alarm(cloudwatch::parse_alarm(fields)?),
            "completeTask" => Action::CompleteTask(complete_task::parse(fields)?),
            other => return Err(unavailable(other)),
        })
    }

    /// Whether its messages share requests: an error action's cannot.
    pub(super) fn batches(&self) -> bool {
        matches!(self, Action::Http(http) if http.batches())
    }

    fn kind(&self) -> &dyn Kind {
        match self {
            Action::StepFunctions(kind) => kind,
            Action::Lambda(kind) => kind,
            Action::Republish(kind) => kind.as_ref(),
            Action::DynamoDb(kind) => kind.as_ref(),
            Action::DynamoDbV2(kind) => kind,
            Action::Sns(kind) => kind,
            Action::Sqs(kind) => kind,
            Action::S3(kind) => kind,
            Action::Http(kind) => kind.as_ref(),
            Action::Logs(kind) => kind,
            Action::Metric(kind) => kind.as_ref(),
            Action::Alarm(kind) => kind,
            Action::CompleteTask(kind) => kind,
        }
    }

    /// It has failed before there was a result.
    pub(super) fn failed(&self, why: &Arc<str>) -> Failure {
        let kind = self.kind();
        let resource = kind.shown(&kind.resource().source());
        Failure { action: kind.name(), resource, why: Arc::clone(why) }
    }

    /// What to do for this message, whose statement gave `result`.
    pub(super) fn resolve(&self, place: Place, facts: &Facts<'_>, result: &Value) -> Outcome {
        let kind = self.kind();
        let (resource, action) = match kind.resource().text(facts) {
            Ok(resource) => {
                let action = kind.resolve(&resource, facts, result);
                (kind.shown(&resource), action.unwrap_or_else(|why| Resolved::Failed { why }))
            }
            Err(why) => (kind.shown(&kind.resource().source()), Resolved::Failed { why }),
        };
        Outcome { place, kind: kind.name(), resource, action }
    }
}

/// The refusal of an action that this version does not carry out.
fn unavailable(name: &str) -> ApiError {
    match REFUSED.iter().find(|(refused, _)| *refused == name) {
        Some((_, instead)) => {
            let why = format!("action `{name}` is not available in stepwire\nhint: use {instead}");
            invalid(why)
        }
        None => invalid(format!("there is no action `{name}`")),
    }
}

/// What actions of one kind do.
trait Kind {
    /// The kind, as error documents name it.
    fn name(&self) -> &'static str;

    /// What it works on: the resource that error documents name.
    fn resource(&self) -> &Field;

    /// The resource as it may be told.
    fn shown(&self, resource: &Arc<str>) -> Arc<str> {
        Arc::clone(resource)
    }

    /// What to do with `resource` for a message whose statement gave `result`; else why nothing.
    fn resolve(
        &self,
        resource: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String>;
}

/// What one action comes to for a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Which of the rule's actions.
    pub place: Place,
    /// The kind of action, as error documents name it.
    pub kind: &'static str,
    /// What it works on, such as the name of a table.
    pub resource: Arc<str>,
    /// What to do.
    pub action: Resolved,
}

/// An action for one message.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// Start an execution.
    StepFunctions {
        /// State machine name.
        state_machine_name: Arc<str>,
        /// In front of the execution's name.
        execution_name_prefix: Arc<str>,
        /// Its input.
        input: Json,
    },
    /// Publish.
    Republish {
        /// Where to.
        topic: Arc<str>,
        /// With which quality of service.
        qos: QoS,
        /// What.
        payload: Bytes,
        /// MQTT 5 properties.
        properties: Box<Properties>,
    },
    /// A request of a service that we host.
    Request {
        /// Which.
        service: Service,
        /// The operation.
        operation: &'static str,
        /// Its input, as the service's API takes it.
        body: Json,
    },
    /// Store an object.
    Object {
        /// Name of the bucket.
        bucket: Arc<str>,
        /// Its key.
        key: Arc<str>,
        /// Canned ACL.
        acl: Option<Arc<str>>,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Append to a log group, in order of time.
    Log {
        /// Name of the log group.
        group: Arc<str>,
        /// Times and messages.
        events: Vec<(Timestamp, Arc<str>)>,
    },
    /// Complete the task that waits for this answer.
    CompleteTask {
        /// Table of tokens.
        table: Arc<str>,
        /// Partition key value.
        operation_id: Arc<str>,
        /// The device that must have answered.
        device_id: Arc<str>,
        /// Names of the table's attributes.
        attributes: Attributes,
        /// What the task is completed with.
        output: Json,
        /// The thing of the connection that published the message.
        publisher: Option<Arc<str>>,
    },
    /// Invoke a function.
    Lambda {
        /// ARN.
        function_arn: Arc<str>,
        /// JSON text.
        payload: Arc<str>,
    },
    /// Send the result outside.
    Deliver(Delivery),
    /// The action makes no sense for this message.
    Failed {
        /// Why.
        why: String,
    },
}

/// An action that could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of action, such as `S3Action`.
    pub action: &'static str,
    /// What it worked on.
    pub resource: Arc<str>,
    /// Why it could not be.
    pub why: Arc<str>,
}

/// What an error action is given. Source: AWS IoT developer guide, "Error handling (error action)".
pub(super) fn error_document(
    rule: &str,
    run: &Run,
    failures: &[Failure],
    settings: &Settings,
) -> Json {
    let failures = failures.iter().map(|failure| Json::object(failed(failure)));
    let topic = ("topic", Json::String(Arc::clone(&run.message.topic)));
    let begin = [("ruleName", Json::from(rule)), topic];
    let end = ("failures", Json::array(failures));
    Json::object(begin.into_iter().chain(taken(run, settings)).chain([end]))
}

/// The same for a request that several messages share. Source: "Batching HTTP action messages", "Error
/// actions for batching".
pub(super) fn batch_error_document(
    rule: &str,
    runs: &[&Run],
    batch: Batch,
    failure: &Failure,
    settings: &Settings,
) -> Json {
    let topic = |run: &Run| ("topic", Json::String(Arc::clone(&run.message.topic)));
    let payloads = (1_i64..).zip(runs).map(|(id, run)| {
        let source = run.message.origin.publisher();
        let source = source.map(|(_, ip)| ("sourceIp", Json::from(ip.to_string())));
        let own = batch.across_topics.then(|| topic(run));
        let members = [("id", Json::from(id))].into_iter().chain(own);
        Json::object(members.chain(taken(run, settings)).chain(source))
    });
    let affected = (1_i64..).zip(runs).map(|(id, _)| Json::from(id));
    let affected = [("affectedIds", Json::array(affected))].into_iter();
    let common = runs.first().filter(|_| !batch.across_topics).map(|run| topic(run));
    let begin = [("ruleName", Json::from(rule))].into_iter().chain(common);
    Json::object(begin.chain([
        ("payloadsWithMetadata", Json::array(payloads)),
        ("failures", Json::array([Json::object(affected.chain(failed(failure)))])),
    ]))
}

/// What error documents say of a message.
fn taken(run: &Run, settings: &Settings) -> [(&'static str, Json); 3] {
    let message = &run.message;
    let trace = derived_uuid(&settings.secret, "trace", &[run.salt]);
    let client = Facts::new(message, None, settings, run.salt).client_id().to_owned();
    [
        ("cloudwatchTraceId", trace.into()),
        ("clientId", client.into()),
        ("base64OriginalPayload", STANDARD.encode(&message.payload).into()),
    ]
}

fn failed(failure: &Failure) -> [(&'static str, Json); 3] {
    [
        ("failedAction", failure.action.into()),
        ("failedResource", Json::String(Arc::clone(&failure.resource))),
        ("errorMessage", Json::String(Arc::clone(&failure.why))),
    ]
}

/// The error name of everything that is wrong with a rule's payload but its statement.
const INVALID: &str = "InvalidRequestException";

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new(INVALID, why)
}

/// Refuses members that an action of this kind does not have, and a role that cannot be one. Roles
/// are shown again; nothing asks them.
fn only(fields: &Params<'_>, known: &[&str]) -> Result<(), ApiError> {
    fields.only(&[known, &["roleArn"]].concat())?;
    match fields.optional_text("roleArn")? {
        Some(role) if !is_arn(role) => Err(fields.invalid("roleArn", "it is not an ARN")),
        Some(_) | None => Ok(()),
    }
}

/// `arn:partition:service:region:account:resource`
pub(super) fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", partition, service, _, _, resource]
        if !partition.is_empty() && !service.is_empty() && !resource.is_empty())
}

/// The result of a statement where bytes are wanted: texts as they are, the rest as JSON.
fn bytes(result: &Value) -> Bytes {
    match result {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Json(json) => Bytes::from(json.to_text()),
        // Nothing is an empty text, as on AWS.
        Value::Undefined => Bytes::new(),
    }
}

/// The same where text is wanted.
fn text(result: &Value) -> Result<Arc<str>, String> {
    let bytes = bytes(result);
    let text = std::str::from_utf8(&bytes).map_err(|_| unfit("binary"))?;
    Ok(text.into())
}

/// The same where JSON is wanted, which bytes are not.
fn document(result: &Value) -> Result<Json, String> {
    match result {
        Value::Bytes(_) => Err(unfit("not JSON")),
        other => Ok(json(other)),
    }
}

fn unfit(what: &str) -> String {
    format!("the payload is {what}\nhint: write `SELECT encode(*, 'base64') AS data`")
}

/// A result of nothing is an empty text, as on AWS.
fn json(value: &Value) -> Json {
    value.clone().into_json().unwrap_or_else(|| Json::from(""))
}
