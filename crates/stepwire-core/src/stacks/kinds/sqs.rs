//! `AWS::SQS::*`.

use std::sync::Arc;

use stepwire_asl::Json;

use super::Kind;
use super::property::{any, boolean, integer, tags, text};
use super::resource::{Resource, ask, document_text, made, s, told};
use crate::request::Service::Sqs;

/// Errors of a queue that is not there.
const GONE: &[&str] = &["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];
/// Properties that are attributes of the same name.
const ATTRIBUTES: [&str; 13] = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "VisibilityTimeout",
];

pub(super) const KINDS: &[Kind] = &[Kind {
    attributes: &["Arn", "QueueName", "QueueUrl"],
    create: |queue, _| {
        let asked = [
            ("QueueName", s(name(queue))),
            ("Attributes", Some(attributes(queue))),
            ("tags", queue.tag_map()),
        ];
        Ok(vec![ask(Sqs, "CreateQueue", asked)])
    },
    made: |queue, answers| {
        let name = name(queue);
        let url = told(answers, 0, "QueueUrl").to_owned();
        let arn = queue.arn("sqs", &name);
        made(url.clone(), [("Arn", arn), ("QueueName", name), ("QueueUrl", url)])
    },
    update: |update, _| {
        let url = s(update.made.physical_id.as_str());
        let asked = [("QueueUrl", url), ("Attributes", Some(attributes(&update.new)))];
        Ok(vec![ask(Sqs, "SetQueueAttributes", asked)])
    },
    delete: |_, made, _| {
        vec![ask(Sqs, "DeleteQueue", [("QueueUrl", s(made.physical_id.as_str()))]).or(GONE)]
    },
    ..Kind::new(
        "AWS::SQS::Queue",
        &[
            text("QueueName").replaces(),
            boolean("FifoQueue").replaces(),
            boolean("ContentBasedDeduplication"),
            text("DeduplicationScope"),
            text("FifoThroughputLimit"),
            integer("DelaySeconds"),
            integer("KmsDataKeyReusePeriodSeconds").without_effect("queues are not encrypted"),
            text("KmsMasterKeyId").without_effect("queues are not encrypted"),
            integer("MaximumMessageSize"),
            integer("MessageRetentionPeriod"),
            integer("ReceiveMessageWaitTimeSeconds"),
            any("RedriveAllowPolicy"),
            any("RedrivePolicy"),
            boolean("SqsManagedSseEnabled").without_effect("queues are not encrypted"),
            integer("VisibilityTimeout"),
            tags(),
        ],
    )
}];

fn name(queue: &Resource<'_>) -> String {
    let fifo = queue.get("FifoQueue").and_then(Json::as_bool) == Some(true);
    match queue.text("QueueName") {
        Some(name) => name.to_owned(),
        None if fifo => format!("{}.fifo", queue.context.generated_name(75)),
        None => queue.context.generated_name(80),
    }
}

/// Attributes are text, whatever they are in a template.
fn attributes(queue: &Resource<'_>) -> Json {
    let given = ATTRIBUTES.iter().filter_map(|name| {
        let value = queue.get(name)?;
        // An attribute of standard queues is the lack of it.
        let absent = *name == "FifoQueue" && value.as_bool() == Some(false);
        (!absent).then(|| (Arc::<str>::from(*name), document_text(value)))
    });
    Json::object(given)
}
