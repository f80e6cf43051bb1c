//! Requests tried on the services before there is a stack: what they refuse is known early.

use std::sync::Arc;

use stepwire_asl::Json;

use super::property::{Finding, Verdict, is_reference};
use super::resource::Resource;
use super::{Context, Kind};
use crate::request::Request;

/// A stack that is not there.
const NOWHERE: Context<'_> = Context {
    partition: "aws",
    region: "us-east-1",
    account: "000000000000",
    stack_name: "stack",
    stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/stack/0",
    logical_id: "Resource",
    token: "000000000000",
};

/// Requests that are tried at most.
const ASKS_MAX: usize = 100;

/// What the services refuse of the requests that make a resource.
pub(super) fn findings(kind: &Kind, properties: &Json) -> Vec<Finding> {
    let known = !holds_reference(properties);
    let (properties, _) = kind.read(&stand_in("", properties));
    let resource = Resource { context: &NOWHERE, properties };
    let mut answers = Vec::new();
    let mut findings = Vec::new();
    while answers.len() < ASKS_MAX {
        let ask = match (kind.create)(&resource, &answers) {
            Ok(asks) => asks.into_iter().nth(answers.len()),
            Err(why) => {
                // What stands for a value may be what is wrong.
                let good = known || !answers.is_empty();
                findings.extend(good.then(|| refused(Vec::new(), why)));
                None
            }
        };
        let Some(ask) = ask else { break };
        let reads = ask.operation.starts_with("Get");
        match Request::parse(ask.service, ask.operation, &ask.body) {
            None => {
                let (service, operation) = (ask.service, ask.operation);
                let why = format!("{service:?} {operation} is not available in stepwire yet");
                findings.push(refused(Vec::new(), why));
            }
            Some(Err(error)) if error.code == "SqlParseException" => {
                let path = ["TopicRulePayload", "Sql"].map(str::to_owned).to_vec();
                findings.push(refused(path, error.message));
            }
            Some(Err(error)) if known => findings.push(refused(Vec::new(), error.to_string())),
            Some(_) => {}
        }
        // What would be read is not known, and so is what comes after it.
        if reads {
            break;
        }
        answers.push(Json::Object(Arc::default()));
    }
    findings
}

fn refused(path: Vec<String>, message: String) -> Finding {
    Finding { path, verdict: Verdict::Refused, message }
}

fn holds_reference(value: &Json) -> bool {
    is_reference(value)
        || match value {
            Json::Object(members) => members.values().any(holds_reference),
            Json::Array(items) => items.iter().any(holds_reference),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
        }
}

/// The value with something in place of what is not known yet, which looks like it where the name
/// of the member says what that is.
fn stand_in(name: &str, value: &Json) -> Json {
    match value {
        _ if is_reference(value) => Json::from(match name {
            "FunctionArn" => "arn:aws:lambda:us-east-1:000000000000:function:function",
            "TargetArn" | "TopicArn" => "arn:aws:sns:us-east-1:000000000000:topic",
            "QueueUrl" => "http://127.0.0.1/000000000000/queue",
            "Url" | "ConfirmationUrl" => "https://example.com/",
            // A statement with parts that are not known yet is read when it is whole.
            "Sql" => "SELECT * FROM 'standin'",
            name if name.ends_with("Arn") => "arn:aws:iam::000000000000:role/role",
            _ => "standin",
        }),
        Json::Object(members) => {
            let members = members.iter();
            Json::object(members.map(|(name, value)| (Arc::clone(name), stand_in(name, value))))
        }
        Json::Array(items) => Json::array(items.iter().map(|item| stand_in(name, item))),
        other => other.clone(),
    }
}
