//! Actions of rules.
//!
//! `completeTask` is ours: it completes the task that waits for an answer of the device that
//! published the message. Tools that know AWS's actions alone can write it as a `lambda` action
//! with the function ARN `stepwire:completeTask?tableName=…&operationId=…&deviceId=…`.

pub(super) mod http;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stepwire_asl::Json;

use super::jobs::Delivery;
use super::sql::{Facts, Value};
use super::template::Template;
use crate::answers::Attributes;
use crate::error::ApiError;
use crate::executions::is_name_prefix;
use crate::message::{Origin, QoS};
use crate::params::Params;

/// How a `lambda` action names `completeTask`.
const AS_FUNCTION: &str = "stepwire:completeTask?";

/// A compiled action.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `stepFunctions`
    StepFunctions {
        /// State machine name.
        machine: Template,
        /// In front of the execution's name.
        prefix: Arc<str>,
    },
    /// `republish`
    Republish {
        /// Where to.
        topic: Template,
        /// With which quality of service.
        qos: QoS,
    },
    /// `dynamoDBv2`
    DynamoDbV2 {
        /// Table name.
        table: Arc<str>,
    },
    /// `completeTask`
    CompleteTask {
        /// Table of tokens.
        table: Arc<str>,
        /// Partition key value.
        operation: Template,
        /// The device that must have answered.
        device: Template,
        /// Names of the table's attributes.
        attributes: Attributes,
    },
    /// `lambda`
    Lambda {
        /// ARN.
        function: Template,
    },
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
    },
    /// Store the result, one attribute a member.
    DynamoDbV2 {
        /// Table name.
        table: Arc<str>,
        /// The item in DynamoDB's JSON.
        item: Json,
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

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", why)
}

fn template(text: &str) -> Result<Template, ApiError> {
    Template::parse(text).map_err(invalid)
}

impl Action {
    /// The action that a member of `actions` writes. Refuses by name what cannot be carried out.
    pub(super) fn parse(json: &Json) -> Result<Action, ApiError> {
        let members = json.as_object().ok_or_else(|| invalid("an action must be an object"))?;
        let mut present = members.iter().filter(|(_, value)| !value.is_null());
        let (Some((name, fields)), None) = (present.next(), present.next()) else {
            return Err(invalid("an action must have exactly one member"));
        };
        let fields = Params::new(fields, "InvalidRequestException");
        match name.as_ref() {
            "stepFunctions" => {
                fields.only(&["stateMachineName", "executionNamePrefix", "roleArn"])?;
                let prefix = fields.optional_text("executionNamePrefix")?.unwrap_or_default();
                if !is_name_prefix(prefix) {
                    let why = "with a UUID behind it, it is no name of an execution";
                    return Err(fields.invalid("executionNamePrefix", why));
                }
                Ok(Action::StepFunctions {
                    machine: template(fields.text("stateMachineName")?)?,
                    prefix: prefix.into(),
                })
            }
            "republish" => {
                fields.only(&["topic", "qos", "roleArn"])?;
                let qos = match fields.optional_int("qos")? {
                    None | Some(0) => QoS::AtMostOnce,
                    Some(1) => QoS::AtLeastOnce,
                    Some(other) => {
                        return Err(fields.invalid("qos", &format!("`{other}` is not 0 or 1")));
                    }
                };
                let topic = fields.text("topic")?;
                if topic.starts_with("$$") || topic.starts_with("$aws") {
                    let why = "republishing to a reserved topic is not available yet";
                    return Err(fields.invalid("topic", why));
                }
                Ok(Action::Republish { topic: template(topic)?, qos })
            }
            "dynamoDBv2" => {
                fields.only(&["putItem", "roleArn"])?;
                let put = fields.get("putItem").cloned().unwrap_or_default();
                let put = Params::new(&put, "InvalidRequestException");
                put.only(&["tableName"])?;
                Ok(Action::DynamoDbV2 { table: put.text("tableName")?.into() })
            }
            "lambda" => {
                fields.only(&["functionArn"])?;
                let arn = fields.text("functionArn")?;
                match arn.strip_prefix(AS_FUNCTION) {
                    Some(query) => complete_task(&Params::new(
                        &query_members(query),
                        "InvalidRequestException",
                    )),
                    None => Ok(Action::Lambda { function: template(arn)? }),
                }
            }
            "completeTask" => complete_task(&fields),
            other => Err(invalid(format!("action `{other}` is not available yet"))),
        }
    }

    /// What to do for this message, whose statement gave `result`.
    pub(super) fn resolve(&self, facts: &Facts<'_>, result: &Value) -> Resolved {
        self.resolved(facts, result).unwrap_or_else(|why| Resolved::Failed { why })
    }

    fn resolved(&self, facts: &Facts<'_>, result: &Value) -> Result<Resolved, String> {
        let text = |template: &Template| template.text(facts).map(Arc::<str>::from);
        Ok(match self {
            Action::StepFunctions { machine, prefix } => Resolved::StepFunctions {
                state_machine_name: text(machine)?,
                execution_name_prefix: Arc::clone(prefix),
                input: json(result),
            },
            Action::Republish { topic, qos } => Resolved::Republish {
                topic: text(topic)?,
                qos: *qos,
                payload: match result {
                    Value::Bytes(bytes) => bytes.clone(),
                    Value::Json(Json::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
                    other => Bytes::from(json(other).to_text()),
                },
            },
            Action::DynamoDbV2 { table } => {
                let result = json(result);
                let members = result.as_object().ok_or("the result is not an object")?;
                let item = members.iter().map(|(name, value)| (Arc::clone(name), attribute(value)));
                Resolved::DynamoDbV2 { table: Arc::clone(table), item: Json::object(item) }
            }
            Action::CompleteTask { table, operation, device, attributes } => {
                Resolved::CompleteTask {
                    table: Arc::clone(table),
                    operation_id: text(operation)?,
                    device_id: text(device)?,
                    attributes: attributes.clone(),
                    output: json(result),
                    publisher: match &facts.message.origin {
                        Origin::Client(client) => client.thing.clone(),
                        Origin::Service | Origin::Caller(_) => None,
                    },
                }
            }
            Action::Lambda { function } => Resolved::Lambda {
                function_arn: text(function)?,
                payload: json(result).to_text().into(),
            },
        })
    }

    /// Its kind, as error documents name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Action::StepFunctions { .. } => "StepFunctionsAction",
            Action::Republish { .. } => "RepublishAction",
            Action::DynamoDbV2 { .. } => "DynamoDBv2Action",
            Action::CompleteTask { .. } => "CompleteTaskAction",
            Action::Lambda { .. } => "LambdaAction",
        }
    }
}

fn complete_task(fields: &Params<'_>) -> Result<Action, ApiError> {
    fields.only(&[
        "tableName",
        "operationId",
        "deviceId",
        "deviceAttribute",
        "statusAttribute",
        "tokenAttribute",
        "roleArn",
    ])?;
    let default = Attributes::default();
    let named = |name: &str, default: Arc<str>| -> Result<Arc<str>, ApiError> {
        Ok(fields.optional_text(name)?.map_or(default, Arc::from))
    };
    Ok(Action::CompleteTask {
        table: fields.text("tableName")?.into(),
        operation: template(fields.optional_text("operationId")?.unwrap_or("${operationId}"))?,
        device: template(fields.optional_text("deviceId")?.unwrap_or("${clientid()}"))?,
        attributes: Attributes {
            device: named("deviceAttribute", default.device)?,
            status: named("statusAttribute", default.status)?,
            token: named("tokenAttribute", default.token)?,
        },
    })
}

/// The members in `a=b&c=d`.
fn query_members(query: &str) -> Json {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    Json::object(pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), Json::from(value))
    }))
}

fn json(value: &Value) -> Json {
    value.clone().into_json().unwrap_or_else(|| Json::from(""))
}

/// A JSON value as DynamoDB's typed JSON.
fn attribute(value: &Json) -> Json {
    let typed = |kind: &'static str, value: Json| Json::object([(kind, value)]);
    match value {
        Json::Null => typed("NULL", true.into()),
        Json::Bool(_) => typed("BOOL", value.clone()),
        Json::Number(number) => typed("N", number.to_string().into()),
        Json::String(_) => typed("S", value.clone()),
        Json::Array(items) => typed("L", Json::array(items.iter().map(attribute))),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (Arc::clone(name), attribute(value)));
            typed("M", Json::object(members))
        }
    }
}

/// What an error action is given. Source: AWS IoT developer guide, "Error handling".
pub(super) fn error_document(rule: &str, facts: &Facts<'_>, failed: &str, why: &str) -> Json {
    let client = facts.client_id();
    let failure = Json::object([
        ("failedAction", Json::from(failed)),
        ("failedResource", "".into()),
        ("errorMessage", why.into()),
    ]);
    Json::object([
        ("ruleName", Json::from(rule)),
        ("topic", Json::String(Arc::clone(&facts.message.topic))),
        ("clientId", Json::from(client)),
        ("base64OriginalPayload", STANDARD.encode(&facts.message.payload).into()),
        ("failures", Json::array([failure])),
    ])
}
