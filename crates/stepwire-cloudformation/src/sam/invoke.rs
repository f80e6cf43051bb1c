//! `EventInvokeConfig`: what happens after asynchronous invocations.

use super::function::Target;
use super::{Sam, allow, object};
use crate::expanded::Resource;
use crate::value::Value;

/// Makes it; the policies that the function's role needs for its destinations.
pub(super) fn expand(
    sam: &mut Sam<'_>,
    origin: &Resource,
    target: &Target,
    alias: Option<&Value>,
) -> Vec<Value> {
    let Some(config) = origin.properties.member("EventInvokeConfig") else { return Vec::new() };
    let id = format!("{}EventInvokeConfig", origin.logical_id);
    let mut policies = Vec::new();
    let mut destinations = Vec::new();
    for event in ["OnSuccess", "OnFailure"] {
        let wanted = config.member("DestinationConfig").and_then(|all| all.member(event));
        let Some(wanted) = wanted else { continue };
        let kind = wanted.member("Type").and_then(Value::as_str).unwrap_or_default();
        if !matches!(kind, "SQS" | "SNS" | "EventBridge" | "Lambda" | "S3Bucket") {
            let what = format!(
                "'Type: {kind}' must be one of ['SQS', 'SNS', 'EventBridge', 'Lambda', 'S3Bucket']"
            );
            sam.wrong(origin, wanted.pointer(), &what);
            continue;
        }
        let arn = match (wanted.member("Destination"), kind) {
            (Some(arn), _) => arn.clone(),
            (None, "SQS") => {
                let queue = format!("{id}{event}Queue");
                sam.put_beside(origin, &queue, "AWS::SQS::Queue", Value::map::<&str>([]));
                sam.parts.insert((origin.logical_id.clone(), "DestinationQueue"), queue.clone());
                Value::attribute(&queue, "Arn")
            }
            (None, "SNS") => {
                let topic = format!("{id}{event}Topic");
                sam.put_beside(origin, &topic, "AWS::SNS::Topic", Value::map::<&str>([]));
                sam.parts.insert((origin.logical_id.clone(), "DestinationTopic"), topic.clone());
                Value::reference(&topic)
            }
            (None, _) => {
                sam.wrong(
                    origin,
                    wanted.pointer(),
                    "Destination is required if Type is not ['SQS', 'SNS']",
                );
                continue;
            }
        };
        policies.push(grant(kind, &format!("{id}{event}"), &arn));
        destinations.push((event, Value::map([("Destination", arn)])));
    }
    let qualifier = alias.and_then(Value::text).unwrap_or_else(|| "$LATEST".into());
    let properties = object([
        ("FunctionName", Some(Value::reference(&origin.logical_id))),
        ("Qualifier", Some(Value::string(qualifier))),
        ("DestinationConfig", Some(Value::map(destinations))),
        ("MaximumEventAgeInSeconds", config.member("MaximumEventAgeInSeconds").cloned()),
        ("MaximumRetryAttempts", config.member("MaximumRetryAttempts").cloned()),
    ]);
    let mut resource = Resource {
        metadata: origin.metadata.clone(),
        ..super::beside(origin, &id, "AWS::Lambda::EventInvokeConfig", properties)
    };
    if alias.is_some() {
        resource.depends_on.push(target.logical_id.clone());
    }
    sam.put(origin, resource);
    policies
}

/// The policy that lets a role send to a destination.
pub(super) fn grant(kind: &str, logical_id: &str, arn: &Value) -> Value {
    match kind {
        "SQS" => allow(format!("{logical_id}SQSPolicy"), "sqs:SendMessage", arn.clone()),
        "SNS" => allow(format!("{logical_id}SNSPolicy"), "sns:publish", arn.clone()),
        "EventBridge" => {
            allow(format!("{logical_id}EventBridgePolicy"), "events:PutEvents", arn.clone())
        }
        "Lambda" => {
            allow(format!("{logical_id}LambdaPolicy"), "lambda:InvokeFunction", arn.clone())
        }
        _ => {
            let inside = match arn.text() {
                Some(text) => Value::string(format!("{text}/*")),
                None => Value::map([(
                    "Fn::Join",
                    Value::list([
                        Value::string("/"),
                        Value::list([arn.clone(), Value::string("*")]),
                    ]),
                )]),
            };
            let statement = |action: &str, resource: Value| {
                Value::map([
                    ("Action", Value::string(action)),
                    ("Effect", Value::string("Allow")),
                    ("Resource", resource),
                ])
            };
            let statements = Value::list([
                statement("s3:PutObject", inside),
                statement("s3:ListBucket", arn.clone()),
            ]);
            Value::map([
                ("PolicyName", Value::string(format!("{logical_id}S3Policy"))),
                ("PolicyDocument", Value::map([("Statement", statements)])),
            ])
        }
    }
}
