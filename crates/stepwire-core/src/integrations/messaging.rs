//! Queues, topics and event buses as tasks call them.

use std::sync::Arc;

use stepwire_asl::{Failure, Json};

use crate::error::ApiError;
use crate::request::{Request, Service};

/// Errors of SQS that its model names; all others are the SDK's general one.
const QUEUES: [&str; 14] = [
    "BatchEntryIdsNotDistinct",
    "BatchRequestTooLong",
    "EmptyBatchRequest",
    "InvalidAttributeName",
    "InvalidAttributeValue",
    "InvalidBatchEntryId",
    "InvalidMessageContents",
    "MessageNotInflight",
    "QueueDoesNotExist",
    "QueueNameExists",
    "ReceiptHandleIsInvalid",
    "ResourceNotFound",
    "TooManyEntriesInBatchRequest",
    "UnsupportedOperation",
];

/// Errors of SNS that its model names, and what the SDKs make of them.
const TOPICS: [(&str, &str); 8] = [
    ("BatchEntryIdsNotDistinct", "BatchEntryIdsNotDistinctException"),
    ("EmptyBatchRequest", "EmptyBatchRequestException"),
    ("InternalError", "InternalErrorException"),
    ("InvalidParameter", "InvalidParameterException"),
    ("NotFound", "NotFoundException"),
    ("ParameterValueInvalid", "InvalidParameterValueException"),
    ("ResourceNotFound", "ResourceNotFoundException"),
    ("TooManyEntriesInBatchRequest", "TooManyEntriesInBatchRequestException"),
];

/// Errors of EventBridge that its model names.
const EVENTS: [&str; 6] = [
    "InternalException",
    "InvalidEventPatternException",
    "LimitExceededException",
    "OperationDisabledException",
    "ResourceAlreadyExistsException",
    "ResourceNotFoundException",
];

/// The request of a task. Messages and details that are not text are sent as their JSON.
pub(super) fn request(
    service: Service,
    operation: &str,
    parameters: &Json,
) -> Option<Result<Request, ApiError>> {
    let body = match operation {
        "SendMessage" => written(parameters, "MessageBody"),
        "Publish" => written(parameters, "Message"),
        "SendMessageBatch" | "PublishBatch" | "PutEvents" => {
            let (list, member) = match operation {
                "SendMessageBatch" => ("Entries", "MessageBody"),
                "PublishBatch" => ("PublishBatchRequestEntries", "Message"),
                _ => ("Entries", "Detail"),
            };
            let entries = parameters.member(list).and_then(Json::as_array);
            let entries = entries
                .map(|entries| Json::array(entries.iter().map(|entry| written(entry, member))));
            match entries {
                Some(entries) => with(parameters, list, entries),
                None => parameters.clone(),
            }
        }
        _ => parameters.clone(),
    };
    Request::parse(service, operation, &body)
}

/// The structure with `member` as text.
fn written(structure: &Json, member: &str) -> Json {
    match structure.member(member) {
        None | Some(Json::String(_) | Json::Null) => structure.clone(),
        Some(other) => with(structure, member, other.to_text().into()),
    }
}

fn with(structure: &Json, member: &str, value: Json) -> Json {
    let mut members = structure.as_object().cloned().unwrap_or_default();
    members.insert(member.into(), value);
    Json::Object(Arc::new(members))
}

/// The name of the SDKs' exception for an error. `None`: the service's model does not name it.
pub(super) fn exception(service: Service, code: &str) -> Option<String> {
    match service {
        Service::Sqs => QUEUES.contains(&code).then(|| format!("{code}Exception")),
        Service::Sns => {
            let known = TOPICS.iter().find(|(known, _)| *known == code);
            known.map(|(_, name)| (*name).to_owned())
        }
        _ => EVENTS.contains(&code).then(|| code.to_owned()),
    }
}

/// The optimised PutEvents fails when one entry does.
pub(super) fn failed_entries(answer: &Json) -> Option<Failure> {
    let failed = answer.member("FailedEntryCount").and_then(Json::as_i64)?;
    let cause = || answer.to_text().into();
    (failed > 0).then(|| Failure { error: "EventBridge.FailedEntry".into(), cause: cause() })
}
