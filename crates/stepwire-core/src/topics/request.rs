//! Requests, parsed once.

use std::sync::Arc;

use stepwire_asl::Json;

use super::invalid;
use crate::error::ApiError;
use crate::params::Params;
use crate::queues::{self, Attribute};

/// Most bytes of a message.
const MESSAGE_MAX: usize = 256 << 10;
/// Most entries of a batch.
const BATCH_MAX: usize = 10;

/// Names and values of attributes or tags.
pub type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// A request of the SNS API. Topics and subscriptions are named by their ARNs.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    CreateTopic { name: Arc<str>, attributes: Pairs, tags: Pairs },
    DeleteTopic { topic: Arc<str> },
    ListTopics { after: Arc<str> },
    GetTopicAttributes { topic: Arc<str> },
    SetTopicAttributes { topic: Arc<str>, name: Arc<str>, value: Arc<str> },
    Subscribe { topic: Arc<str>, endpoint: Arc<str>, attributes: Pairs },
    Unsubscribe { subscription: Arc<str> },
    ListSubscriptions { after: Arc<str> },
    ListSubscriptionsByTopic { topic: Arc<str>, after: Arc<str> },
    GetSubscriptionAttributes { subscription: Arc<str> },
    SetSubscriptionAttributes { subscription: Arc<str>, name: Arc<str>, value: Arc<str> },
    Publish { topic: Arc<str>, publish: Box<Publish> },
    PublishBatch { topic: Arc<str>, entries: Vec<(Arc<str>, Result<Publish, ApiError>)> },
    TagResource { topic: Arc<str>, tags: Pairs },
    UntagResource { topic: Arc<str>, keys: Vec<Arc<str>> },
    ListTagsForResource { topic: Arc<str> },
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The message, already the one for queues.
    pub message: Arc<str>,
    /// `Subject`.
    pub subject: Option<Arc<str>>,
    /// `MessageAttributes`, in order of name.
    pub attributes: Vec<(Arc<str>, Attribute)>,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "InvalidParameter");
        Some(match operation {
            "CreateTopic" => create_topic(params),
            "DeleteTopic" => only_topic(params).map(|topic| Request::DeleteTopic { topic }),
            "ListTopics" => only_after(params).map(|after| Request::ListTopics { after }),
            "GetTopicAttributes" => {
                only_topic(params).map(|topic| Request::GetTopicAttributes { topic })
            }
            "SetTopicAttributes" => set_topic_attributes(params),
            "Subscribe" => subscribe(params),
            "Unsubscribe" => {
                only_subscription(params).map(|subscription| Request::Unsubscribe { subscription })
            }
            "ListSubscriptions" => {
                only_after(params).map(|after| Request::ListSubscriptions { after })
            }
            "ListSubscriptionsByTopic" => list_by_topic(params),
            "GetSubscriptionAttributes" => only_subscription(params)
                .map(|subscription| Request::GetSubscriptionAttributes { subscription }),
            "SetSubscriptionAttributes" => set_subscription_attributes(params),
            "Publish" => publish(params),
            "PublishBatch" => publish_batch(params),
            "TagResource" => tag(params),
            "UntagResource" => untag(params),
            "ListTagsForResource" => params
                .only(&["ResourceArn"])
                .and_then(|()| required(params, "ResourceArn"))
                .map(|topic| Request::ListTagsForResource { topic }),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::ListTopics { .. }
            | Request::GetTopicAttributes { .. }
            | Request::ListSubscriptions { .. }
            | Request::ListSubscriptionsByTopic { .. }
            | Request::GetSubscriptionAttributes { .. }
            | Request::ListTagsForResource { .. } => true,
            Request::CreateTopic { .. }
            | Request::DeleteTopic { .. }
            | Request::SetTopicAttributes { .. }
            | Request::Subscribe { .. }
            | Request::Unsubscribe { .. }
            | Request::SetSubscriptionAttributes { .. }
            | Request::Publish { .. }
            | Request::PublishBatch { .. }
            | Request::TagResource { .. }
            | Request::UntagResource { .. } => false,
        }
    }
}

fn required(params: Params<'_>, name: &str) -> Result<Arc<str>, ApiError> {
    let text = params.optional_text(name)?.filter(|text| !text.is_empty());
    text.map(Arc::from).ok_or_else(|| invalid(name, &format!("Reason: no value for {name}")))
}

fn only_topic(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["TopicArn"])?;
    required(params, "TopicArn")
}

fn only_subscription(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["SubscriptionArn"])?;
    required(params, "SubscriptionArn")
}

fn only_after(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["NextToken"])?;
    after(params)
}

fn after(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    Ok(params.optional_text("NextToken")?.unwrap_or_default().into())
}

fn pairs(params: Params<'_>, name: &str) -> Result<Pairs, ApiError> {
    let given = params.get(name).and_then(Json::as_object).into_iter().flatten();
    let pair = |(key, value): (&Arc<str>, &Json)| match value {
        Json::String(text) => Ok((Arc::clone(key), Arc::clone(text))),
        _ => Err(invalid(name, "Reason: values are strings")),
    };
    given.map(pair).collect()
}

fn tags(params: Params<'_>) -> Result<Pairs, ApiError> {
    let given = params.get("Tags").and_then(Json::as_array).unwrap_or_default().iter();
    let pair = |tag: &Json| {
        let text = |name| tag.member(name).and_then(Json::as_str).map(Arc::from);
        let pair = text("Key").zip(text("Value"));
        pair.ok_or_else(|| invalid("Tags", "Reason: a tag has a key and a value"))
    };
    given.map(pair).collect()
}

fn create_topic(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Name", "Attributes", "Tags"])?;
    let name = required(params, "Name")?;
    if name.ends_with(".fifo") {
        return Err(invalid("Name", "FIFO topics are not available in stepwire yet"));
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.len() > 256 || !name.bytes().all(known) {
        return Err(invalid("Topic Name", ""));
    }
    let attributes = pairs(params, "Attributes")?;
    attributes.iter().try_for_each(|(name, _)| super::known(name))?;
    Ok(Request::CreateTopic { name, attributes, tags: tags(params)? })
}

fn set_topic_attributes(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "AttributeName", "AttributeValue"])?;
    let name = required(params, "AttributeName")?;
    super::known(&name)?;
    let value = params.optional_text("AttributeValue")?.unwrap_or_default().into();
    Ok(Request::SetTopicAttributes { topic: required(params, "TopicArn")?, name, value })
}

fn subscribe(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "Protocol", "Endpoint", "Attributes", "ReturnSubscriptionArn"])?;
    let protocol = required(params, "Protocol")?;
    if &*protocol != "sqs" {
        let known =
            ["http", "https", "email", "email-json", "sms", "application", "lambda", "firehose"];
        return Err(if known.contains(&&*protocol) {
            let why = format!("subscriptions of `{protocol}` are not available in stepwire yet");
            invalid("Protocol", &why)
        } else {
            invalid("Protocol", "Reason: Does not support this protocol string")
        });
    }
    Ok(Request::Subscribe {
        topic: required(params, "TopicArn")?,
        endpoint: required(params, "Endpoint")?,
        attributes: pairs(params, "Attributes")?,
    })
}

fn list_by_topic(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "NextToken"])?;
    let after = after(params)?;
    Ok(Request::ListSubscriptionsByTopic { topic: required(params, "TopicArn")?, after })
}

fn set_subscription_attributes(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["SubscriptionArn", "AttributeName", "AttributeValue"])?;
    Ok(Request::SetSubscriptionAttributes {
        subscription: required(params, "SubscriptionArn")?,
        name: required(params, "AttributeName")?,
        value: params.optional_text("AttributeValue")?.unwrap_or_default().into(),
    })
}

fn tag(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["ResourceArn", "Tags"])?;
    Ok(Request::TagResource { topic: required(params, "ResourceArn")?, tags: tags(params)? })
}

fn untag(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["ResourceArn", "TagKeys"])?;
    let keys = params.get("TagKeys").and_then(Json::as_array).unwrap_or_default();
    let keys = keys.iter().filter_map(Json::as_str).map(Arc::from).collect();
    Ok(Request::UntagResource { topic: required(params, "ResourceArn")?, keys })
}

const PUBLISH: [&str; 4] = ["Message", "Subject", "MessageStructure", "MessageAttributes"];

impl Publish {
    fn parse(params: Params<'_>) -> Result<Publish, ApiError> {
        let whole = params.optional_text("Message")?.filter(|text| !text.is_empty());
        let whole = whole.ok_or_else(|| invalid("Empty message", ""))?;
        if whole.len() > MESSAGE_MAX {
            return Err(invalid("Message too long", ""));
        }
        let message = match params.optional_text("MessageStructure")? {
            None => whole.into(),
            Some("json") => for_queues(whole)?,
            Some(_) => return Err(invalid("MessageStructure", "")),
        };
        let subject = params.optional_text("Subject")?;
        let fits = |text: &str| {
            let printable = text.chars().all(|c| !c.is_control());
            (1..=100).contains(&text.chars().count()) && printable
        };
        if subject.is_some_and(|subject| !fits(subject)) {
            return Err(invalid("Subject", ""));
        }
        let attributes = queues::attributes(params.get("MessageAttributes"));
        let attributes = attributes
            .map_err(|error| ApiError { code: "ParameterValueInvalid".into(), ..error })?;
        Ok(Publish { message, subject: subject.map(Arc::from), attributes })
    }
}

/// The message for queues out of one for each protocol.
fn for_queues(messages: &str) -> Result<Arc<str>, ApiError> {
    let wrong = "Message Structure - JSON message body failed to parse";
    let messages = Json::parse(messages).map_err(|_| invalid(wrong, ""))?;
    let default = messages.member("default").and_then(Json::as_str);
    let missing = "Message Structure - No default entry in JSON message body";
    let default = default.ok_or_else(|| invalid(missing, ""))?;
    Ok(messages.member("sqs").and_then(Json::as_str).unwrap_or(default).into())
}

fn publish(params: Params<'_>) -> Result<Request, ApiError> {
    if params.get("PhoneNumber").is_some() {
        return Err(invalid("PhoneNumber", "text messages are not available in stepwire"));
    }
    params.only(&[&["TopicArn", "TargetArn"], &PUBLISH[..]].concat())?;
    let topic = if params.get("TopicArn").is_some() { "TopicArn" } else { "TargetArn" };
    let topic = params.optional_text(topic)?.ok_or_else(|| {
        invalid("TopicArn or TargetArn", "Reason: no value for required parameter")
    })?;
    Ok(Request::Publish { topic: topic.into(), publish: Box::new(Publish::parse(params)?) })
}

fn publish_batch(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "PublishBatchRequestEntries"])?;
    let given = params.get("PublishBatchRequestEntries").and_then(Json::as_array);
    let given = given.unwrap_or_default();
    if given.is_empty() {
        let message = "The batch request doesn't contain any entries.";
        return Err(ApiError::new("EmptyBatchRequest", message));
    }
    if given.len() > BATCH_MAX {
        let message = "The batch request contains more entries than permissible.";
        return Err(ApiError::new("TooManyEntriesInBatchRequest", message));
    }
    let mut entries: Vec<(Arc<str>, Result<Publish, ApiError>)> = Vec::new();
    for entry in given {
        let params = Params::new(entry, "InvalidParameter");
        let id = required(params, "Id")?;
        if entries.iter().any(|(other, _)| *other == id) {
            let message = "Two or more batch entries in the request have the same Id.";
            return Err(ApiError::new("BatchEntryIdsNotDistinct", message));
        }
        let known = params.only(&[&["Id"], &PUBLISH[..]].concat());
        entries.push((id, known.and_then(|()| Publish::parse(params))));
    }
    Ok(Request::PublishBatch { topic: required(params, "TopicArn")?, entries })
}
