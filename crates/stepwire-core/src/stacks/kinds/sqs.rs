//! `AWS::SQS::*`.

use std::sync::Arc;

use stepwire_asl::Json;

use super::property::{Property, boolean, document, integer, tags, text, texts};
use super::resource::{Resource, ask, body, document_text, look, made, s, told};
use super::{Ask, Kind};
use crate::request::Service::Sqs;

/// Errors of a queue that is not there.
const GONE: &[&str] = &["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];

/// Properties that are attributes of the same name, and what they are without.
const ATTRIBUTES: [(&str, &str); 14] = [
    ("ContentBasedDeduplication", "false"),
    ("DeduplicationScope", "queue"),
    ("DelaySeconds", "0"),
    ("FifoQueue", ""),
    ("FifoThroughputLimit", "perQueue"),
    ("KmsDataKeyReusePeriodSeconds", ""),
    ("KmsMasterKeyId", ""),
    ("MaximumMessageSize", "1048576"),
    ("MessageRetentionPeriod", "345600"),
    ("ReceiveMessageWaitTimeSeconds", "0"),
    ("RedriveAllowPolicy", ""),
    ("RedrivePolicy", ""),
    ("SqsManagedSseEnabled", ""),
    ("VisibilityTimeout", "30"),
];

pub(super) const KINDS: &[Kind] = &[QUEUE, QUEUE_POLICY, QUEUE_INLINE_POLICY];

const NOT_ENCRYPTED: &str = "queues are not encrypted";

const QUEUE: Kind = Kind {
    attributes: &["Arn", "QueueName", "QueueUrl"],
    create: |queue, _| {
        let asked = [
            ("QueueName", s(name(queue))),
            ("Attributes", Some(attributes(queue))),
            ("tags", queue.tag_map()),
        ];
        Ok(vec![ask(Sqs, "CreateQueue", asked)])
    },
    look: |queue| {
        let name = queue.text("QueueName")?;
        Some(look(ask(Sqs, "GetQueueUrl", [("QueueName", s(name))]).or(GONE), name))
    },
    made: |queue, answers| {
        let name = name(queue);
        let url = told(answers, 0, "QueueUrl").to_owned();
        let arn = queue.arn("sqs", &name);
        made(url.clone(), [("Arn", arn), ("QueueName", name), ("QueueUrl", url)])
    },
    update: |update, _| {
        let mut asks = Vec::new();
        let changed = ATTRIBUTES.iter().filter(|(name, _)| update.changes(name));
        let changed: Vec<(Arc<str>, Json)> = changed
            .map(|(name, without)| {
                let value = update.new.get(name).map(document_text);
                (Arc::from(*name), value.unwrap_or_else(|| Json::from(*without)))
            })
            .collect();
        if !changed.is_empty() {
            let asked = [("QueueUrl", update.id()), ("Attributes", Some(Json::object(changed)))];
            asks.push(ask(Sqs, "SetQueueAttributes", asked));
        }
        let tags = update.retagged();
        if !tags.gone.is_empty() {
            let asked = [("QueueUrl", update.id()), ("TagKeys", tags.keys())];
            asks.push(ask(Sqs, "UntagQueue", asked));
        }
        if !tags.set.is_empty() {
            let asked = [("QueueUrl", update.id()), ("Tags", Some(Json::object(tags.set)))];
            asks.push(ask(Sqs, "TagQueue", asked));
        }
        Ok(asks)
    },
    delete: |_, made, _| vec![ask(Sqs, "DeleteQueue", [("QueueUrl", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::SQS::Queue",
        &[
            text("QueueName").replaces(),
            boolean("FifoQueue").replaces(),
            boolean("ContentBasedDeduplication"),
            text("DeduplicationScope"),
            text("FifoThroughputLimit"),
            integer("DelaySeconds"),
            integer("KmsDataKeyReusePeriodSeconds").shown(NOT_ENCRYPTED),
            text("KmsMasterKeyId").shown(NOT_ENCRYPTED),
            integer("MaximumMessageSize"),
            integer("MessageRetentionPeriod"),
            integer("ReceiveMessageWaitTimeSeconds"),
            document("RedriveAllowPolicy").shown("any queue may use any other for dead letters"),
            document("RedrivePolicy"),
            boolean("SqsManagedSseEnabled").shown(NOT_ENCRYPTED),
            integer("VisibilityTimeout"),
            tags(),
        ],
    )
};

fn name(queue: &Resource<'_>) -> String {
    match queue.text("QueueName") {
        Some(name) => name.to_owned(),
        None if queue.is_true("FifoQueue") => format!("{}.fifo", queue.context.generated_name(75)),
        None => queue.context.generated_name(80),
    }
}

/// Attributes are text, whatever they are in a template.
fn attributes(queue: &Resource<'_>) -> Json {
    let given = ATTRIBUTES.iter().filter_map(|(name, _)| {
        let value = queue.get(name)?;
        // An attribute of standard queues is the lack of it.
        let absent = *name == "FifoQueue" && value.as_bool() == Some(false);
        (!absent).then(|| (Arc::<str>::from(*name), document_text(value)))
    });
    Json::object(given)
}

fn set_policy(queue: Option<Json>, policy: Option<Json>) -> Ask {
    let attributes = body([("Policy", policy)]);
    ask(Sqs, "SetQueueAttributes", [("QueueUrl", queue), ("Attributes", Some(attributes))])
}

const DOCUMENT: Property =
    document("PolicyDocument").required().shown("policies of queues are kept, not enforced");

const QUEUE_POLICY: Kind = Kind {
    attributes: &["Id"],
    create: |policy, _| {
        let document = policy.document("PolicyDocument");
        Ok(policy.texts("Queues").map(|queue| set_policy(s(queue), document.clone())).collect())
    },
    made: |policy, _| {
        let id = policy.context.generated_name(128);
        made(id.clone(), [("Id", id)])
    },
    update: |update, _| {
        let document = update.new.document("PolicyDocument");
        let there: Vec<&str> = update.new.texts("Queues").collect();
        let gone = update.old.texts("Queues").filter(|queue| !there.contains(queue));
        let gone = gone.map(|queue| set_policy(s(queue), s("")).or(GONE));
        Ok(gone.chain(there.iter().map(|queue| set_policy(s(*queue), document.clone()))).collect())
    },
    delete: |policy, _, _| {
        policy.texts("Queues").map(|queue| set_policy(s(queue), s("")).or(GONE)).collect()
    },
    ..Kind::new("AWS::SQS::QueuePolicy", &[DOCUMENT, texts("Queues").required()])
};

const QUEUE_INLINE_POLICY: Kind = Kind {
    create: |policy, _| {
        Ok(vec![set_policy(policy.take("Queue"), policy.document("PolicyDocument"))])
    },
    made: |policy, _| made(policy.str("Queue"), []),
    update: |update, _| Ok(vec![set_policy(update.id(), update.new.document("PolicyDocument"))]),
    delete: |_, made, _| vec![set_policy(made.id(), s("")).or(GONE)],
    ..Kind::new("AWS::SQS::QueueInlinePolicy", &[DOCUMENT, text("Queue").required().replaces()])
};
