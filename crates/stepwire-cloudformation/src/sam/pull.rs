//! Events that the function's node reads: queues and streams.

use std::sync::Arc;

use super::events::Event;
use super::function::{Role, Target};
use super::{Sam, invoke};
use crate::value::{Data, Map, Value};

/// Properties that `AWS::Lambda::EventSourceMapping` has under the same name.
const SAME: &[&str] = &[
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "Enabled",
    "FilterCriteria",
    "FunctionResponseTypes",
    "KmsKeyArn",
    "LoggingConfig",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "ProvisionedPollerConfig",
    "ScalingConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
    "TumblingWindowInSeconds",
];

pub(super) fn expand(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target, role: &mut Role) {
    let (source, policy) = match event.kind {
        "SQS" => ("Queue", "AWSLambdaSQSQueueExecutionRole"),
        "Kinesis" => ("Stream", "AWSLambdaKinesisExecutionRole"),
        _ => ("Stream", "AWSLambdaDynamoDBExecutionRole"),
    };
    let known: Vec<&str> = SAME.iter().copied().chain([source]).collect();
    event.only(sam, &known);
    let Some(arn) = event.must(sam, source) else { return };
    if event.kind != "SQS" && event.get("StartingPosition").is_none() {
        event.must(sam, "StartingPosition");
        return;
    }
    let mut properties = Map::new();
    properties.insert("FunctionName".into(), target.name.clone());
    properties.insert("EventSourceArn".into(), arn.clone());
    for name in SAME {
        if let Some(value) = event.get(name) {
            properties.insert((*name).into(), value.clone());
        }
    }
    if let Some(config) = properties.get("DestinationConfig").cloned()
        && let Some(on_failure) = config.member("OnFailure").and_then(Value::as_map)
    {
        // `Type` is for the role's policy alone.
        let mut kept = on_failure.clone();
        let kind = kept.shift_remove("Type").and_then(|kind| kind.text());
        let destination = on_failure.get("Destination");
        match (kind.as_deref(), destination) {
            (Some(kind @ ("SQS" | "SNS")), Some(arn)) => {
                add(&mut role.documents, invoke::grant(kind, &event.id, arn));
            }
            (Some("S3"), Some(arn)) => {
                add(&mut role.documents, invoke::grant("S3Bucket", &event.id, arn));
            }
            (Some("SQS" | "SNS" | "S3" | "Kafka") | None, _) => {}
            (Some(_), _) => event.wrong(
                sam,
                config.pointer(),
                "The only valid values for 'Type' are 'SQS', 'SNS', 'S3', and 'Kafka'",
            ),
        }
        let kept = Value { data: Data::Map(Arc::new(kept)), ..Value::default() };
        let mut all = config.as_map().cloned().unwrap_or_default();
        all.insert("OnFailure".into(), kept);
        let all = Value { data: Data::Map(Arc::new(all)), ..config };
        properties.insert("DestinationConfig".into(), all);
    }
    let properties = Value { data: Data::Map(Arc::new(properties)), ..event.properties.clone() };
    sam.put_beside(&event.origin, &event.id, "AWS::Lambda::EventSourceMapping", properties);
    grant(sam, role, policy);
}

/// Gives the role a policy that AWS manages, once.
pub(super) fn grant(sam: &Sam<'_>, role: &mut Role, policy: &str) {
    let arn = sam.managed(&format!("service-role/{policy}"));
    if !role.managed.contains(&arn) {
        role.managed.push(arn);
    }
}

/// Adds a policy unless one says the same.
fn add(documents: &mut Vec<Value>, policy: Value) {
    let says = |one: &Value| one.member("PolicyDocument").cloned();
    if !documents.iter().any(|known| says(known) == says(&policy)) {
        documents.push(policy);
    }
}
