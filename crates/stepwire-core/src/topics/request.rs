//! Requests, parsed once.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::Protocol;
use super::{attributes, invalid};
use crate::error::ApiError;
use crate::params::Params;
use crate::queues::{self, Attribute};

/// Most bytes of a message.
const MESSAGE_MAX: usize = 256 << 10;
/// Most entries of a batch.
const BATCH_MAX: usize = 10;
/// Most tags of a topic.
const TAGS_MAX: usize = 50;

/// Names and values of attributes or tags.
pub type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// A request of the SNS API. Topics and subscriptions are named by their ARNs.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    CreateTopic {
        name: Arc<str>,
        attributes: Pairs,
        tags: Pairs,
    },
    DeleteTopic {
        topic: Arc<str>,
    },
    ListTopics {
        after: Arc<str>,
    },
    GetTopicAttributes {
        topic: Arc<str>,
    },
    SetTopicAttributes {
        topic: Arc<str>,
        name: Arc<str>,
        value: Arc<str>,
    },
    AddPermission {
        topic: Arc<str>,
        label: Arc<str>,
        accounts: Vec<Arc<str>>,
        actions: Vec<Arc<str>>,
    },
    RemovePermission {
        topic: Arc<str>,
        label: Arc<str>,
    },
    Subscribe(Box<Subscribe>),
    ConfirmSubscription {
        topic: Arc<str>,
        token: Arc<str>,
        keeps: bool,
        signed: bool,
    },
    Unsubscribe {
        subscription: Arc<str>,
        signed: bool,
    },
    ListSubscriptions {
        after: Arc<str>,
    },
    ListSubscriptionsByTopic {
        topic: Arc<str>,
        after: Arc<str>,
    },
    GetSubscriptionAttributes {
        subscription: Arc<str>,
    },
    SetSubscriptionAttributes {
        subscription: Arc<str>,
        name: Arc<str>,
        value: Arc<str>,
    },
    Publish {
        topic: Arc<str>,
        publish: Box<Publish>,
    },
    PublishBatch {
        topic: Arc<str>,
        entries: Vec<(Arc<str>, Result<Publish, ApiError>)>,
    },
    TagResource {
        topic: Arc<str>,
        tags: Pairs,
    },
    UntagResource {
        topic: Arc<str>,
        keys: Vec<Arc<str>>,
    },
    ListTagsForResource {
        topic: Arc<str>,
    },
}

/// Subscribe.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    /// ARN of the topic.
    pub topic: Arc<str>,
    /// How messages get to the endpoint.
    pub protocol: Protocol,
    /// Where they go.
    pub endpoint: Arc<str>,
    /// Attributes of the subscription.
    pub attributes: Pairs,
    /// Whether its ARN is told before it is confirmed.
    pub shows_arn: bool,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The message for all protocols that have none of their own.
    pub message: Arc<str>,
    /// Messages for some protocols.
    pub messages: Vec<(Protocol, Arc<str>)>,
    /// `Subject`.
    pub subject: Option<Arc<str>>,
    /// `MessageAttributes`, in order of name.
    pub attributes: Vec<(Arc<str>, Attribute)>,
    /// `MessageGroupId`.
    pub group: Option<Arc<str>>,
    /// `MessageDeduplicationId`.
    pub deduplication: Option<Arc<str>>,
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
            "AddPermission" => add_permission(params),
            "RemovePermission" => remove_permission(params),
            "Subscribe" => subscribe(params).map(Box::new).map(Request::Subscribe),
            "ConfirmSubscription" => confirm(params, true),
            "Unsubscribe" => only_subscription(params)
                .map(|subscription| Request::Unsubscribe { subscription, signed: true }),
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

    /// The request of somebody who visits one of the URLs that endpoints are sent, unsigned. `None`:
    /// the operation cannot be asked for so.
    pub fn visit(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "InvalidParameter");
        match operation {
            "ConfirmSubscription" => Some(confirm(params, false)),
            "Unsubscribe" => Some(
                only_subscription(params)
                    .map(|subscription| Request::Unsubscribe { subscription, signed: false }),
            ),
            _ => None,
        }
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
            | Request::AddPermission { .. }
            | Request::RemovePermission { .. }
            | Request::Subscribe(_)
            | Request::ConfirmSubscription { .. }
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

/// Refuses more tags than a topic can have.
pub(super) fn check_tags(tags: &Pairs) -> Result<(), ApiError> {
    if tags.len() <= TAGS_MAX {
        return Ok(());
    }
    let message =
        format!("Could not complete request: tag quota of per resource exceeded, {TAGS_MAX}");
    Err(ApiError::new("TagLimitExceeded", message))
}

fn create_topic(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Name", "Attributes", "Tags", "DataProtectionPolicy"])?;
    if params.get("DataProtectionPolicy").is_some() {
        let why = "Reason: data protection policies are not available in stepwire";
        return Err(invalid("DataProtectionPolicy", why));
    }
    let name = required(params, "Name")?;
    let given = pairs(params, "Attributes")?;
    let fifo = given
        .iter()
        .any(|(name, value)| **name == *"FifoTopic" && value.eq_ignore_ascii_case("true"));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let plain = name.strip_suffix(".fifo").filter(|_| fifo).unwrap_or(&name);
    let fits = !plain.is_empty() && name.len() <= 256 && plain.bytes().all(known);
    if fifo && (!fits || plain.len() == name.len()) {
        let why = "Fifo Topic names must end with .fifo and must be made up of only uppercase and \
                   lowercase ASCII letters, numbers, underscores, and hyphens, and must be between \
                   1 and 256 characters long.";
        return Err(invalid(why, ""));
    }
    if !fits {
        return Err(invalid("Topic Name", ""));
    }
    given
        .iter()
        .try_for_each(|(name, value)| attributes::check_topic_attribute(name, value, fifo))?;
    let tags = tags(params)?;
    check_tags(&tags)?;
    Ok(Request::CreateTopic { name, attributes: given, tags })
}

fn texts(params: Params<'_>, name: &str) -> Result<Vec<Arc<str>>, ApiError> {
    let given = params.get(name).and_then(Json::as_array).unwrap_or_default();
    let texts: Vec<_> = given.iter().filter_map(Json::as_str).map(Arc::from).collect();
    if texts.is_empty() || texts.len() != given.len() {
        return Err(invalid(name, &format!("Reason: no value for {name}")));
    }
    Ok(texts)
}

fn add_permission(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "Label", "AWSAccountId", "ActionName"])?;
    Ok(Request::AddPermission {
        topic: required(params, "TopicArn")?,
        label: required(params, "Label")?,
        accounts: texts(params, "AWSAccountId")?,
        actions: texts(params, "ActionName")?,
    })
}

fn remove_permission(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "Label"])?;
    let (topic, label) = (required(params, "TopicArn")?, required(params, "Label")?);
    Ok(Request::RemovePermission { topic, label })
}

fn confirm(params: Params<'_>, signed: bool) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "Token", "AuthenticateOnUnsubscribe"])?;
    let keeps = params.optional_text("AuthenticateOnUnsubscribe")?;
    let keeps = keeps.is_some_and(|keeps| keeps.eq_ignore_ascii_case("true"));
    let (topic, token) = (required(params, "TopicArn")?, required(params, "Token")?);
    Ok(Request::ConfirmSubscription { topic, token, keeps, signed })
}

fn set_topic_attributes(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TopicArn", "AttributeName", "AttributeValue"])?;
    let name = required(params, "AttributeName")?;
    let value = params.optional_text("AttributeValue")?.unwrap_or_default().into();
    Ok(Request::SetTopicAttributes { topic: required(params, "TopicArn")?, name, value })
}

fn subscribe(params: Params<'_>) -> Result<Subscribe, ApiError> {
    params.only(&["TopicArn", "Protocol", "Endpoint", "Attributes", "ReturnSubscriptionArn"])?;
    let protocol = required(params, "Protocol")?;
    let protocol = Protocol::of(&protocol).ok_or_else(|| {
        if ["email", "email-json", "sms", "application", "firehose"].contains(&&*protocol) {
            let why = format!(
                "Reason: subscriptions of `{protocol}` are not available in stepwire: use `lambda`, \
                 `sqs`, `http` or `https`"
            );
            invalid("Protocol", &why)
        } else {
            let why =
                format!("Amazon SNS does not support this protocol string: {protocol}");
            invalid(&why, "")
        }
    })?;
    // Form fields know only text.
    let shows_arn = match params.get("ReturnSubscriptionArn") {
        Some(Json::Bool(shows)) => *shows,
        Some(Json::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    Ok(Subscribe {
        topic: required(params, "TopicArn")?,
        protocol,
        endpoint: required(params, "Endpoint")?,
        attributes: pairs(params, "Attributes")?,
        shows_arn,
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

const PUBLISH: [&str; 6] = [
    "Message",
    "Subject",
    "MessageStructure",
    "MessageAttributes",
    "MessageGroupId",
    "MessageDeduplicationId",
];

impl Publish {
    /// A message without attributes.
    pub fn plain(message: impl Into<Arc<str>>, subject: Option<Arc<str>>) -> Publish {
        Publish {
            message: message.into(),
            messages: Vec::new(),
            subject,
            attributes: Vec::new(),
            group: None,
            deduplication: None,
        }
    }

    /// The message that subscribers of a protocol get.
    pub fn message_for(&self, protocol: Protocol) -> &Arc<str> {
        let own = self.messages.iter().find(|(of, _)| *of == protocol);
        own.map_or(&self.message, |(_, message)| message)
    }

    fn parse(params: Params<'_>) -> Result<Publish, ApiError> {
        let whole = params.optional_text("Message")?.filter(|text| !text.is_empty());
        let whole = whole.ok_or_else(|| invalid("Empty message", ""))?;
        let (message, messages) = match params.optional_text("MessageStructure")? {
            None | Some("") => (whole.into(), Vec::new()),
            Some("json") => by_protocol(whole)?,
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
        let given = params.get("MessageAttributes");
        let attributes = queues::attributes_of_any_number(given)
            .map_err(|error| ApiError { code: "ParameterValueInvalid".into(), ..error })?;
        let bytes = whole.len() + attributes.iter().map(queues::bytes_of).sum::<usize>();
        if bytes > MESSAGE_MAX {
            return Err(invalid("Message too long", ""));
        }
        let id = |name: &'static str| {
            let id = params.optional_text(name)?;
            if id.is_some_and(|id| !queues::is_fifo_id(id)) {
                let why = "Reason: it has 1 to 128 alphanumeric characters and punctuation";
                return Err(invalid(name, why));
            }
            Ok(id.map(Arc::from))
        };
        let (group, deduplication) = (id("MessageGroupId")?, id("MessageDeduplicationId")?);
        let subject = subject.map(Arc::from);
        Ok(Publish { message, messages, subject, attributes, group, deduplication })
    }
}

/// The message for all, and those for some protocols.
type Messages = (Arc<str>, Vec<(Protocol, Arc<str>)>);

fn by_protocol(messages: &str) -> Result<Messages, ApiError> {
    let wrong = "Message Structure - JSON message body failed to parse";
    let messages = Json::parse(messages).map_err(|_| invalid(wrong, ""))?;
    let members = messages.as_object().ok_or_else(|| invalid(wrong, ""))?;
    let default = members.get("default").and_then(Json::as_str);
    let missing = "Message Structure - No default entry in JSON message body";
    let default = default.ok_or_else(|| invalid(missing, ""))?;
    let own = members.iter().filter_map(|(name, message)| {
        Some((Protocol::of(name)?, Arc::<str>::from(message.as_str()?)))
    });
    Ok((default.into(), own.collect()))
}

fn publish(params: Params<'_>) -> Result<Request, ApiError> {
    if params.get("PhoneNumber").is_some() {
        let why = "Reason: text messages are not available in stepwire";
        return Err(invalid("PhoneNumber", why));
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
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.len() > 80 || !id.bytes().all(plain) {
            let message = "The Id of a batch entry in a batch request doesn't abide by the \
                           specification.";
            return Err(ApiError::new("InvalidBatchEntryId", message));
        }
        if entries.iter().any(|(other, _)| *other == id) {
            let message = "Two or more batch entries in the request have the same Id.";
            return Err(ApiError::new("BatchEntryIdsNotDistinct", message));
        }
        let known = params.only(&[&["Id"], &PUBLISH[..]].concat());
        entries.push((id, known.and_then(|()| Publish::parse(params))));
    }
    let bytes = |publish: &Publish| {
        publish.message.len() + publish.attributes.iter().map(queues::bytes_of).sum::<usize>()
    };
    let bytes: usize = entries.iter().filter_map(|(_, one)| one.as_ref().ok()).map(bytes).sum();
    if bytes > MESSAGE_MAX {
        let message = "The length of all the messages put together is more than the limit.";
        return Err(ApiError::new("BatchRequestTooLong", message));
    }
    Ok(Request::PublishBatch { topic: required(params, "TopicArn")?, entries })
}
