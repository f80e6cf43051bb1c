//! Requests, parsed once.

use std::sync::Arc;

use stepwire_asl::Json;

use super::invalid;
use super::message::attributes;
use super::record::Attribute;
use crate::error::ApiError;
use crate::params::Params;

/// Most entries of a batch, and of messages received at once.
const BATCH_MAX: usize = 10;
/// Longest wait for messages, seconds.
const WAIT_MAX: i64 = 20;
/// Longest time that a received message is not shown, seconds.
const VISIBILITY_MAX: i64 = 43_200;
/// Longest time until a sent message can be received, seconds.
const DELAY_MAX: i64 = 900;

/// Names and values of attributes or tags.
pub type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// A request of the SQS API. Queues are named by the last part of their URL.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    CreateQueue {
        name: Arc<str>,
        attributes: Pairs,
        tags: Pairs,
    },
    DeleteQueue {
        queue: Arc<str>,
    },
    GetQueueUrl {
        name: Arc<str>,
    },
    GetQueueAttributes {
        queue: Arc<str>,
        names: Vec<Arc<str>>,
    },
    SetQueueAttributes {
        queue: Arc<str>,
        attributes: Pairs,
    },
    ListQueues {
        prefix: Arc<str>,
        after: Arc<str>,
        max: Option<usize>,
    },
    SendMessage {
        queue: Arc<str>,
        send: Box<Send>,
    },
    SendMessageBatch {
        queue: Arc<str>,
        entries: Vec<Entry<Send>>,
    },
    ReceiveMessage(Box<Receive>),
    DeleteMessage {
        queue: Arc<str>,
        receipt: Arc<str>,
    },
    DeleteMessageBatch {
        queue: Arc<str>,
        entries: Vec<Entry<Arc<str>>>,
    },
    ChangeMessageVisibility {
        queue: Arc<str>,
        change: Change,
    },
    ChangeMessageVisibilityBatch {
        queue: Arc<str>,
        entries: Vec<Entry<Change>>,
    },
    PurgeQueue {
        queue: Arc<str>,
    },
    AddPermission {
        queue: Arc<str>,
        label: Arc<str>,
        accounts: Vec<Arc<str>>,
        actions: Vec<Arc<str>>,
    },
    RemovePermission {
        queue: Arc<str>,
        label: Arc<str>,
    },
    ListSources {
        queue: Arc<str>,
        after: Arc<str>,
        max: Option<usize>,
    },
    StartMove {
        source: Arc<str>,
        destination: Option<Arc<str>>,
        rate: Option<u32>,
    },
    CancelMove {
        handle: Arc<str>,
    },
    ListMoves {
        source: Arc<str>,
        max: usize,
    },
    TagQueue {
        queue: Arc<str>,
        tags: Pairs,
    },
    UntagQueue {
        queue: Arc<str>,
        keys: Vec<Arc<str>>,
    },
    ListQueueTags {
        queue: Arc<str>,
    },
}

/// One entry of a batch: its id, and what it asks for or why it cannot be.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "said above")]
pub struct Entry<T> {
    pub id: Arc<str>,
    pub what: Result<T, ApiError>,
}

/// A message to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Send {
    /// The body.
    pub body: Arc<str>,
    /// Its attributes, in order of name.
    pub attributes: Vec<(Arc<str>, Attribute)>,
    /// Seconds until it can be received, where not the queue says.
    pub delay_s: Option<i64>,
    /// `AWSTraceHeader`.
    pub trace_header: Option<Arc<str>>,
    /// `MessageGroupId`.
    pub group: Option<Arc<str>>,
    /// `MessageDeduplicationId`.
    pub deduplication: Option<Arc<str>>,
}

/// ReceiveMessage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receive {
    /// Of which queue.
    pub queue: Arc<str>,
    /// System attributes to show.
    pub system: Vec<Arc<str>>,
    /// Message attributes to show.
    pub attributes: Vec<Arc<str>>,
    /// At most so many messages.
    pub max: usize,
    /// Seconds they are not shown again, where not the queue says.
    pub visibility_s: Option<i64>,
    /// Seconds to wait for one, where not the queue says.
    pub wait_s: Option<i64>,
    /// `ReceiveRequestAttemptId`, which only FIFO queues know; without effect.
    pub attempt: Option<Arc<str>>,
}

/// ChangeMessageVisibility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The message.
    pub receipt: Arc<str>,
    /// Seconds from now until it can be received again.
    pub visibility_s: i64,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "InvalidParameterValue");
        Some(match operation {
            "CreateQueue" => create_queue(params),
            "DeleteQueue" => only_queue(params).map(|queue| Request::DeleteQueue { queue }),
            "GetQueueUrl" => get_queue_url(params),
            "GetQueueAttributes" => get_attributes(params),
            "SetQueueAttributes" => set_attributes(params),
            "ListQueues" => list_queues(params),
            "SendMessage" => send_message(params),
            "SendMessageBatch" => send_batch(params),
            "ReceiveMessage" => Receive::parse(params).map(Box::new).map(Request::ReceiveMessage),
            "DeleteMessage" => delete_message(params),
            "DeleteMessageBatch" => delete_batch(params),
            "ChangeMessageVisibility" => change_visibility(params),
            "ChangeMessageVisibilityBatch" => change_batch(params),
            "AddPermission" => add_permission(params),
            "RemovePermission" => remove_permission(params),
            "ListDeadLetterSourceQueues" => list_sources(params),
            "StartMessageMoveTask" => start_move(params),
            "CancelMessageMoveTask" => params
                .only(&["TaskHandle"])
                .and_then(|()| required(params, "TaskHandle"))
                .map(|handle| Request::CancelMove { handle: handle.into() }),
            "ListMessageMoveTasks" => list_moves(params),
            "PurgeQueue" => only_queue(params).map(|queue| Request::PurgeQueue { queue }),
            "TagQueue" => tag_queue(params),
            "UntagQueue" => untag_queue(params),
            "ListQueueTags" => only_queue(params).map(|queue| Request::ListQueueTags { queue }),
            _ => return None,
        })
    }

    /// Whether its answer may take long to come.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Request::ReceiveMessage(_))
    }

    /// Whether it changes nothing and needs no time to be answered.
    pub fn is_read(&self) -> bool {
        match self {
            Request::GetQueueUrl { .. }
            | Request::ListQueues { .. }
            | Request::ListSources { .. }
            | Request::ListMoves { .. }
            | Request::ListQueueTags { .. } => true,
            // How many messages can be received changes with time, which a read does not know.
            Request::GetQueueAttributes { .. }
            | Request::CreateQueue { .. }
            | Request::DeleteQueue { .. }
            | Request::SetQueueAttributes { .. }
            | Request::SendMessage { .. }
            | Request::SendMessageBatch { .. }
            | Request::ReceiveMessage(_)
            | Request::DeleteMessage { .. }
            | Request::DeleteMessageBatch { .. }
            | Request::ChangeMessageVisibility { .. }
            | Request::ChangeMessageVisibilityBatch { .. }
            | Request::PurgeQueue { .. }
            | Request::AddPermission { .. }
            | Request::RemovePermission { .. }
            | Request::StartMove { .. }
            | Request::CancelMove { .. }
            | Request::TagQueue { .. }
            | Request::UntagQueue { .. } => false,
        }
    }
}

pub(super) fn missing(name: &str) -> ApiError {
    let message = format!("The request must contain the parameter {name}.");
    ApiError::new("MissingParameter", message)
}

fn required<'a>(params: Params<'a>, name: &str) -> Result<&'a str, ApiError> {
    let text = params.optional_text(name)?.filter(|text| !text.is_empty());
    text.ok_or_else(|| missing(name))
}

/// The name of a queue that a URL ends with.
fn queue(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let url = required(params, "QueueUrl")?;
    let name = url.rsplit('/').next().unwrap_or(url);
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    if is_name(plain) && name.len() <= 80 { Ok(name.into()) } else { Err(super::no_queue()) }
}

fn only_queue(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["QueueUrl"])?;
    queue(params)
}

fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=80).contains(&name.len()) && name.bytes().all(known)
}

fn name(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let name = required(params, "QueueName")?;
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    if !is_name(plain) || name.len() > 80 {
        let message = if plain.len() < name.len() { FIFO_NAME } else { NAME };
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    Ok(name.into())
}

const NAME: &str =
    "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
const FIFO_NAME: &str = "The name of a FIFO queue can only include alphanumeric characters, \
                         hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in \
                         length.";

/// Whether a text can be the id of a message group or for deduplication.
pub(crate) fn is_fifo_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn pairs(params: Params<'_>, name: &str) -> Result<Pairs, ApiError> {
    let given = params.get(name).and_then(Json::as_object).into_iter().flatten();
    let pair = |(key, value): (&Arc<str>, &Json)| match value {
        Json::String(text) => Ok((Arc::clone(key), Arc::clone(text))),
        _ => Err(invalid(name, "values are strings")),
    };
    given.map(pair).collect()
}

fn texts(params: Params<'_>, name: &str) -> Result<Vec<Arc<str>>, ApiError> {
    let given = params.get(name).and_then(Json::as_array).unwrap_or_default().iter();
    let text = |value: &Json| value.as_str().map(Arc::from);
    given.map(|value| text(value).ok_or_else(|| invalid(name, "entries are strings"))).collect()
}

fn create_queue(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueName", "Attributes", "tags", "Tags"])?;
    let tags = if params.get("tags").is_some() { "tags" } else { "Tags" };
    let (name, attributes) = (name(params)?, pairs(params, "Attributes")?);
    let fifo = attributes.iter().find(|(name, _)| **name == *"FifoQueue");
    let fifo = fifo.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    if fifo != name.ends_with(".fifo") {
        let message = if fifo { FIFO_NAME } else { NAME };
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    Ok(Request::CreateQueue { name, attributes, tags: pairs(params, tags)? })
}

fn get_queue_url(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueName", "QueueOwnerAWSAccountId"])?;
    Ok(Request::GetQueueUrl { name: name(params)? })
}

fn get_attributes(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "AttributeNames"])?;
    Ok(Request::GetQueueAttributes {
        queue: queue(params)?,
        names: texts(params, "AttributeNames")?,
    })
}

fn set_attributes(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "Attributes"])?;
    Ok(Request::SetQueueAttributes {
        queue: queue(params)?,
        attributes: pairs(params, "Attributes")?,
    })
}

fn list_queues(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueNamePrefix", "NextToken", "MaxResults"])?;
    let max = integer(params, "MaxResults", 1, 1_000)?;
    let text = |name| Ok::<Arc<str>, ApiError>(params.optional_text(name)?.unwrap_or("").into());
    Ok(Request::ListQueues {
        prefix: text("QueueNamePrefix")?,
        after: text("NextToken")?,
        max: max.map(|max| max as usize),
    })
}

fn add_permission(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "Label", "AWSAccountIds", "Actions"])?;
    let (accounts, actions) = (texts(params, "AWSAccountIds")?, texts(params, "Actions")?);
    let label = required(params, "Label")?.into();
    for (name, given) in [("AWSAccountIds", &accounts), ("Actions", &actions)] {
        if given.is_empty() {
            return Err(missing(name));
        }
    }
    if let Some(unknown) = actions.iter().find(|action| !PERMITTED.contains(&&***action)) {
        let message = format!(
            "Value SQS:{unknown} for parameter ActionName is invalid. Reason: Only the queue owner \
             is allowed to invoke this action."
        );
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    Ok(Request::AddPermission { queue: queue(params)?, label, accounts, actions })
}

/// What others can be permitted.
const PERMITTED: [&str; 8] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ReceiveMessage",
    "SendMessage",
];

fn remove_permission(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "Label"])?;
    let label = required(params, "Label")?.into();
    Ok(Request::RemovePermission { queue: queue(params)?, label })
}

fn list_sources(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "NextToken", "MaxResults"])?;
    let max = integer(params, "MaxResults", 1, 1_000)?.map(|max| max as usize);
    let after = params.optional_text("NextToken")?.unwrap_or_default().into();
    Ok(Request::ListSources { queue: queue(params)?, after, max })
}

fn start_move(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["SourceArn", "DestinationArn", "MaxNumberOfMessagesPerSecond"])?;
    let rate = integer(params, "MaxNumberOfMessagesPerSecond", 1, 500)?;
    Ok(Request::StartMove {
        source: required(params, "SourceArn")?.into(),
        destination: params.optional_text("DestinationArn")?.map(Arc::from),
        rate: rate.and_then(|rate| u32::try_from(rate).ok()),
    })
}

fn list_moves(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["SourceArn", "MaxResults"])?;
    let max = integer(params, "MaxResults", 1, 10)?.unwrap_or(1) as usize;
    Ok(Request::ListMoves { source: required(params, "SourceArn")?.into(), max })
}

fn tag_queue(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "Tags"])?;
    Ok(Request::TagQueue { queue: queue(params)?, tags: pairs(params, "Tags")? })
}

fn untag_queue(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "TagKeys"])?;
    Ok(Request::UntagQueue { queue: queue(params)?, keys: texts(params, "TagKeys")? })
}

const SEND: [&str; 4] =
    ["MessageBody", "DelaySeconds", "MessageAttributes", "MessageSystemAttributes"];
const FIFO: [&str; 2] = ["MessageDeduplicationId", "MessageGroupId"];

impl Send {
    fn parse(params: Params<'_>, own: &[&str]) -> Result<Send, ApiError> {
        params.only(&[own, &SEND, &FIFO].concat())?;
        let body = required(params, "MessageBody")?;
        let allowed = |c: char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        if !body.chars().all(allowed) {
            let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | \
                           #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";
            return Err(ApiError::new("InvalidMessageContents", message));
        }
        let system = params.get("MessageSystemAttributes").and_then(Json::as_object);
        let mut trace_header = None;
        for (name, value) in system.into_iter().flatten() {
            if **name != *"AWSTraceHeader" {
                let message = format!("The message system attribute '{name}' is not known.");
                return Err(ApiError::new("InvalidParameterValue", message));
            }
            trace_header = value.member("StringValue").and_then(Json::as_str).map(Arc::from);
        }
        Ok(Send {
            body: body.into(),
            attributes: attributes(params.get("MessageAttributes"))?,
            delay_s: integer(params, "DelaySeconds", 0, DELAY_MAX)?,
            trace_header,
            group: fifo_id(params, "MessageGroupId")?,
            deduplication: fifo_id(params, "MessageDeduplicationId")?,
        })
    }
}

fn fifo_id(params: Params<'_>, name: &str) -> Result<Option<Arc<str>>, ApiError> {
    let id = params.optional_text(name)?;
    if let Some(id) = id.filter(|id| !is_fifo_id(id)) {
        let message = format!(
            "Value {id} for parameter {name} is invalid. Reason: {name} can only include \
             alphanumeric and punctuation characters. 1 to 128 in length."
        );
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    Ok(id.map(Arc::from))
}

fn send_message(params: Params<'_>) -> Result<Request, ApiError> {
    let queue = queue(params)?;
    Ok(Request::SendMessage { queue, send: Box::new(Send::parse(params, &["QueueUrl"])?) })
}

/// The entries of a batch, each with an id of its own.
fn entries<T>(
    params: Params<'_>,
    kind: &str,
    parse: impl Fn(Params<'_>) -> Result<T, ApiError>,
) -> Result<Vec<Entry<T>>, ApiError> {
    params.only(&["QueueUrl", "Entries"])?;
    let given = params.get("Entries").and_then(Json::as_array).unwrap_or_default();
    if given.is_empty() {
        let message = format!("There should be at least one {kind} in the request.");
        return Err(ApiError::new("EmptyBatchRequest", message));
    }
    if given.len() > BATCH_MAX {
        let message = format!(
            "Maximum number of entries per request are {BATCH_MAX}. You have sent {}.",
            given.len()
        );
        return Err(ApiError::new("TooManyEntriesInBatchRequest", message));
    }
    let mut entries: Vec<Entry<T>> = Vec::new();
    for entry in given {
        let params = Params::new(entry, "InvalidParameterValue");
        let id = required(params, "Id")?;
        if !is_name(id) {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and \
                           underscores. It can be at most 80 letters long.";
            return Err(ApiError::new("InvalidBatchEntryId", message));
        }
        if entries.iter().any(|entry| *entry.id == *id) {
            return Err(ApiError::new("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
        entries.push(Entry { id: id.into(), what: parse(params) });
    }
    Ok(entries)
}

fn send_batch(params: Params<'_>) -> Result<Request, ApiError> {
    let entries =
        entries(params, "SendMessageBatchRequestEntry", |entry| Send::parse(entry, &["Id"]))?;
    Ok(Request::SendMessageBatch { queue: queue(params)?, entries })
}

fn delete_message(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "ReceiptHandle"])?;
    Ok(Request::DeleteMessage {
        queue: queue(params)?,
        receipt: required(params, "ReceiptHandle")?.into(),
    })
}

fn delete_batch(params: Params<'_>) -> Result<Request, ApiError> {
    let entries = entries(params, "DeleteMessageBatchRequestEntry", |entry| {
        entry.only(&["Id", "ReceiptHandle"])?;
        Ok(Arc::from(required(entry, "ReceiptHandle")?))
    })?;
    Ok(Request::DeleteMessageBatch { queue: queue(params)?, entries })
}

fn change(params: Params<'_>) -> Result<Change, ApiError> {
    let seconds = integer(params, "VisibilityTimeout", 0, VISIBILITY_MAX)?;
    Ok(Change {
        receipt: required(params, "ReceiptHandle")?.into(),
        visibility_s: seconds.ok_or_else(|| missing("VisibilityTimeout"))?,
    })
}

fn change_visibility(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["QueueUrl", "ReceiptHandle", "VisibilityTimeout"])?;
    Ok(Request::ChangeMessageVisibility { queue: queue(params)?, change: change(params)? })
}

fn change_batch(params: Params<'_>) -> Result<Request, ApiError> {
    let entries = entries(params, "ChangeMessageVisibilityBatchRequestEntry", |entry| {
        entry.only(&["Id", "ReceiptHandle", "VisibilityTimeout"])?;
        change(entry)
    })?;
    Ok(Request::ChangeMessageVisibilityBatch { queue: queue(params)?, entries })
}

/// What a message can be asked for beside what its sender gave it.
const SYSTEM: [&str; 10] = [
    "AWSTraceHeader",
    "All",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

impl Receive {
    fn parse(params: Params<'_>) -> Result<Receive, ApiError> {
        params.only(&[
            "QueueUrl",
            "AttributeNames",
            "MessageSystemAttributeNames",
            "MessageAttributeNames",
            "MaxNumberOfMessages",
            "VisibilityTimeout",
            "WaitTimeSeconds",
            "ReceiveRequestAttemptId",
        ])?;
        let mut system = texts(params, "AttributeNames")?;
        system.extend(texts(params, "MessageSystemAttributeNames")?);
        // Names of attributes of queues were taken here once; they still are, and show nothing.
        let known = |name: &str| SYSTEM.contains(&name) || super::view::KNOWN.contains(&name);
        if let Some(unknown) = system.iter().find(|name| !known(name)) {
            let message = format!("Unknown Attribute {unknown}.");
            return Err(ApiError::new("InvalidAttributeName", message));
        }
        Ok(Receive {
            queue: queue(params)?,
            system,
            attributes: texts(params, "MessageAttributeNames")?,
            max: integer(params, "MaxNumberOfMessages", 1, BATCH_MAX as i64)?.unwrap_or(1) as usize,
            visibility_s: integer(params, "VisibilityTimeout", 0, VISIBILITY_MAX)?,
            wait_s: integer(params, "WaitTimeSeconds", 0, WAIT_MAX)?,
            attempt: fifo_id(params, "ReceiveRequestAttemptId")?,
        })
    }
}

fn integer(params: Params<'_>, name: &str, min: i64, max: i64) -> Result<Option<i64>, ApiError> {
    let Some(value) = params.optional_int(name)? else { return Ok(None) };
    if (min..=max).contains(&value) {
        return Ok(Some(value));
    }
    let message = format!(
        "Value {value} for parameter {name} is invalid. Reason: Must be between {min} and {max}, if \
         provided."
    );
    Err(ApiError::new("InvalidParameterValue", message))
}
