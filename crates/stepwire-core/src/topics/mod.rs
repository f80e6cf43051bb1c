//! Topics: what is published on one goes to the queues that subscribe to it (Amazon SNS).
//!
//! Topics and subscriptions are in memory whole. A message is not kept: it is in the queues in the
//! commit that takes it.
//!
//! Read in this order: [`Topics`], [`Request`], [`Write`], [`Subscription`]; then `publish`, `view`.

mod publish;
mod record;
mod request;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub(crate) use publish::Delivery;
pub use record::{Subscription, Topic};
pub use request::{Pairs, Publish, Request};
pub use view::answer;

use crate::error::ApiError;
use crate::events::Pattern;
use crate::executions::derived_uuid;
use crate::record::{Corrupt, Entry as Stored, Space};
use crate::settings::Settings;

/// Attributes of topics that are accepted and shown; nothing here looks at them.
const SHOWN: [&str; 7] = [
    "DeliveryPolicy",
    "DisplayName",
    "KmsMasterKeyId",
    "Policy",
    "SQSSuccessFeedbackSampleRate",
    "SignatureVersion",
    "TracingConfig",
];

/// The topics of a shard and who subscribes to them.
#[derive(Debug, Default, PartialEq)]
pub struct Topics {
    topics: BTreeMap<Arc<str>, Arc<Topic>>,
    /// By topic and id.
    subscriptions: BTreeMap<(Arc<str>, Arc<str>), Ready>,
    /// Larger than every number of a subscription or message.
    next: u64,
}

/// A subscription with its filter read.
#[derive(Debug, PartialEq)]
struct Ready {
    subscription: Arc<Subscription>,
    filter: Option<Pattern>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers go on here.
    Next(u64),
    /// A topic as it now is; `None`: there is none of this name.
    Topic(Arc<str>, Option<Arc<Topic>>),
    /// A subscription of a topic as it now is; `None`: there is none of this id.
    Subscription(Arc<str>, Arc<str>, Option<Arc<Subscription>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Stored {
        match self {
            Write::Next(next) => (record::counter_key(), Some(record::value(next))),
            Write::Topic(name, topic) => {
                (record::topic_key(name), topic.as_deref().map(record::value))
            }
            Write::Subscription(topic, id, subscription) => {
                let key = record::subscription_key(topic, id);
                (key, subscription.as_deref().map(record::value))
            }
        }
    }
}

impl Topics {
    /// What recovery reads into memory.
    pub const SPACES: &'static [Space] = &[Space::Topic, Space::Subscription];

    /// The only thing that changes topics and subscriptions.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Topic(name, Some(topic)) => {
                self.topics.insert(Arc::clone(name), Arc::clone(topic));
            }
            Write::Topic(name, None) => drop(self.topics.remove(name)),
            Write::Subscription(topic, id, Some(subscription)) => {
                let filter = subscription.filter.as_ref();
                let filter = filter.and_then(|filter| Pattern::parse(filter).ok());
                let subscription = Arc::clone(subscription);
                let key = (Arc::clone(topic), Arc::clone(id));
                self.subscriptions.insert(key, Ready { subscription, filter });
            }
            Write::Subscription(topic, id, None) => {
                self.subscriptions.remove(&(Arc::clone(topic), Arc::clone(id)));
            }
        }
    }

    /// Takes in one stored entry of [`Topics::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let write = if key == record::counter_key() {
            Write::Next(record::record(key, value)?)
        } else if key.first() == Some(&(Space::Topic as u8)) {
            let topic: Topic = record::record(key, value)?;
            Write::Topic(Arc::clone(&topic.name), Some(Arc::new(topic)))
        } else {
            let subscription: Subscription = record::record(key, value)?;
            let (topic, id) = (Arc::clone(&subscription.topic), Arc::clone(&subscription.id));
            Write::Subscription(topic, id, Some(Arc::new(subscription)))
        };
        self.apply(&write);
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    fn number(&mut self, out: &mut Vec<Write>) -> u64 {
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        number
    }

    fn find(&self, arn: &str, settings: &Settings) -> Result<Arc<Topic>, ApiError> {
        let topic = self.topics.get(name_of_arn(arn, settings)?);
        topic.cloned().ok_or_else(no_topic)
    }

    fn of_topic(&self, topic: &str) -> impl Iterator<Item = &Ready> {
        let topic: Arc<str> = topic.into();
        let first = (Arc::clone(&topic), Arc::from(""));
        let ready = self.subscriptions.range(first..);
        ready.take_while(move |((of, _), _)| *of == topic).map(|(_, ready)| ready)
    }

    /// Carries out a request that changes something. On `Err` nothing has changed. What goes to
    /// queues is added to `deliveries`.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateTopic { name, attributes, tags } => {
                self.create(name, attributes, tags, settings, out)
            }
            Request::DeleteTopic { topic } => self.delete(topic, settings, out),
            Request::SetTopicAttributes { topic, name, value } => {
                let mut topic = self.find(topic, settings)?.as_ref().clone();
                topic.attributes.retain(|(known, _)| known != name);
                topic.attributes.push((Arc::clone(name), Arc::clone(value)));
                self.change(topic, out);
                Ok(nothing())
            }
            Request::TagResource { topic, tags } => {
                let mut topic = self.resource(topic, settings)?;
                topic.tags.retain(|(key, _)| !tags.iter().any(|(new, _)| new == key));
                topic.tags.extend(tags.iter().cloned());
                self.change(topic, out);
                Ok(nothing())
            }
            Request::UntagResource { topic, keys } => {
                let mut topic = self.resource(topic, settings)?;
                topic.tags.retain(|(key, _)| !keys.contains(key));
                self.change(topic, out);
                Ok(nothing())
            }
            Request::Subscribe { topic, endpoint, attributes } => {
                self.subscribe(topic, endpoint, attributes, settings, out)
            }
            Request::Unsubscribe { subscription } => {
                // What is not there any more is not an error.
                if let Ok(there) = self.subscription(subscription, settings) {
                    let (topic, id) = (Arc::clone(&there.topic), Arc::clone(&there.id));
                    self.record(Write::Subscription(topic, id, None), out);
                }
                Ok(nothing())
            }
            Request::SetSubscriptionAttributes { subscription, name, value } => {
                let there = self.subscription(subscription, settings)?;
                let changed = there.with(name, value)?;
                self.keep(changed, out);
                Ok(nothing())
            }
            Request::Publish { topic, publish } => {
                let topic = self.find(topic, settings)?;
                let id = self.publish(now, &topic, publish, settings, out, deliveries);
                Ok(Json::object([("MessageId", Json::String(id))]))
            }
            Request::PublishBatch { topic, entries } => {
                let topic = self.find(topic, settings)?;
                Ok(self.publish_batch(now, &topic, entries, settings, out, deliveries))
            }
            Request::ListTopics { .. }
            | Request::GetTopicAttributes { .. }
            | Request::ListSubscriptions { .. }
            | Request::ListSubscriptionsByTopic { .. }
            | Request::GetSubscriptionAttributes { .. }
            | Request::ListTagsForResource { .. } => {
                Err(invalid("Action", "this request changes nothing"))
            }
        }
    }

    fn change(&mut self, topic: Topic, out: &mut Vec<Write>) {
        self.record(Write::Topic(Arc::clone(&topic.name), Some(Arc::new(topic))), out);
    }

    fn resource(&self, arn: &str, settings: &Settings) -> Result<Topic, ApiError> {
        let topic = self
            .find(arn, settings)
            .map_err(|_| ApiError::new("ResourceNotFound", "Resource does not exist"))?;
        Ok(topic.as_ref().clone())
    }

    fn create(
        &mut self,
        name: &Arc<str>,
        attributes: &Pairs,
        tags: &Pairs,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match self.topics.get(name) {
            None => {
                let (name, attributes) = (Arc::clone(name), attributes.clone());
                self.change(Topic { name, attributes, tags: tags.clone() }, out);
            }
            Some(there) => {
                let same = attributes.iter().all(|given| there.attributes.contains(given));
                if !same {
                    let why = "Reason: Topic already exists with different attributes";
                    return Err(invalid("Attributes", why));
                }
                if !tags.iter().all(|given| there.tags.contains(given)) {
                    let why = "Reason: Topic already exists with different tags";
                    return Err(invalid("Tags", why));
                }
            }
        }
        Ok(Json::object([("TopicArn", Json::from(arn(name, settings)))]))
    }

    /// Deleting what is not there succeeds, as on AWS. A topic takes its subscriptions with it.
    fn delete(
        &mut self,
        topic: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name: Arc<str> = name_of_arn(topic, settings)?.into();
        if self.topics.contains_key(&name) {
            let ids = self.of_topic(&name).map(|ready| Arc::clone(&ready.subscription.id));
            for id in ids.collect::<Vec<_>>() {
                self.record(Write::Subscription(Arc::clone(&name), id, None), out);
            }
            self.record(Write::Topic(name, None), out);
        }
        Ok(nothing())
    }

    fn subscribe(
        &mut self,
        topic: &str,
        endpoint: &Arc<str>,
        attributes: &Pairs,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let topic = self.find(topic, settings)?;
        let queue = endpoint.strip_prefix(&settings.arn("sqs", ""));
        if queue.is_none_or(|queue| queue.is_empty() || queue.contains(':')) {
            return Err(invalid("SQS endpoint ARN", ""));
        }
        let mut made = Subscription {
            topic: Arc::clone(&topic.name),
            id: "".into(),
            endpoint: Arc::clone(endpoint),
            raw: false,
            filter: None,
            filters_body: false,
        };
        // The scope says what the filter has to be.
        let (scope, others): (Vec<_>, Vec<_>) =
            attributes.iter().partition(|(name, _)| **name == *"FilterPolicyScope");
        for (name, value) in scope.into_iter().chain(others) {
            made = made.with(name, value)?;
        }
        let there = self.of_topic(&topic.name).map(|ready| &ready.subscription);
        let there = there.into_iter().find(|there| there.endpoint == *endpoint).cloned();
        let subscription = if let Some(there) = there {
            let id = Arc::clone(&there.id);
            if !attributes.is_empty() && (Subscription { id, ..made }) != *there {
                let why = "Reason: Subscription already exists with different attributes";
                return Err(invalid("Attributes", why));
            }
            there.as_ref().clone()
        } else {
            let number = self.number(out);
            let id = derived_uuid(&settings.secret, "subscription", &[number]).into();
            let made = Subscription { id, ..made };
            self.keep(made.clone(), out);
            made
        };
        Ok(Json::object([("SubscriptionArn", Json::from(subscription.arn(settings)))]))
    }

    fn keep(&mut self, subscription: Subscription, out: &mut Vec<Write>) {
        let (topic, id) = (Arc::clone(&subscription.topic), Arc::clone(&subscription.id));
        self.record(Write::Subscription(topic, id, Some(Arc::new(subscription))), out);
    }

    fn subscription(&self, arn: &str, settings: &Settings) -> Result<Arc<Subscription>, ApiError> {
        let (topic, id) = parts_of_arn(arn, settings)?;
        let ready = self.subscriptions.get(&(topic.into(), id.into()));
        ready.map(|ready| Arc::clone(&ready.subscription)).ok_or_else(no_subscription)
    }
}

impl Subscription {
    /// It with one attribute changed.
    fn with(&self, name: &str, value: &Arc<str>) -> Result<Subscription, ApiError> {
        let mut made = self.clone();
        match name {
            "RawMessageDelivery" => {
                let wrong = || invalid("Attributes", "Reason: RawMessageDelivery: Invalid value");
                made.raw = value.to_ascii_lowercase().parse().map_err(|_| wrong())?;
            }
            "FilterPolicy" if value.is_empty() || **value == *"{}" => made.filter = None,
            "FilterPolicy" => {
                Pattern::parse(value).map_err(|why| {
                    invalid("Attributes", &format!("Reason: FilterPolicy: {why}"))
                })?;
                made.filter = Some(Arc::clone(value));
            }
            "FilterPolicyScope" => {
                made.filters_body = match &**value {
                    "MessageBody" => true,
                    "MessageAttributes" => false,
                    _ => {
                        return Err(invalid(
                            "Attributes",
                            "Reason: FilterPolicyScope: Invalid value",
                        ));
                    }
                };
            }
            other => {
                let why = format!("attribute `{other}` is not available in stepwire yet");
                return Err(invalid("Attributes", &why));
            }
        }
        Ok(made)
    }

    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        format!("{}:{}", arn(&self.topic, settings), self.id)
    }
}

/// Refuses an attribute of topics that there is not.
fn known(name: &str) -> Result<(), ApiError> {
    if SHOWN.contains(&name) {
        return Ok(());
    }
    if name.to_ascii_lowercase().contains("fifo") || name == "ContentBasedDeduplication" {
        return Err(invalid("Attributes", "FIFO topics are not available in stepwire yet"));
    }
    Err(invalid("AttributeName", ""))
}

/// The ARN of a topic.
pub fn arn(name: &str, settings: &Settings) -> String {
    settings.arn("sns", name)
}

fn name_of_arn<'a>(arn: &'a str, settings: &Settings) -> Result<&'a str, ApiError> {
    if arn.split(':').count() != 6 || !arn.starts_with("arn:") {
        let parts = arn.split(':').count();
        let why = format!("Reason: An ARN must have at least 6 elements, not {parts}");
        return Err(invalid("TopicArn", &why));
    }
    arn.strip_prefix(&settings.arn("sns", "")).ok_or_else(no_topic)
}

fn parts_of_arn<'a>(arn: &'a str, settings: &Settings) -> Result<(&'a str, &'a str), ApiError> {
    let parts = arn.strip_prefix(&settings.arn("sns", "")).and_then(|rest| rest.split_once(':'));
    parts.ok_or_else(|| invalid("SubscriptionArn", "Reason: An ARN must have at least 6 elements"))
}

fn no_topic() -> ApiError {
    ApiError::new("NotFound", "Topic does not exist")
}

fn no_subscription() -> ApiError {
    ApiError::new("NotFound", "Subscription does not exist")
}

fn invalid(what: &str, why: &str) -> ApiError {
    let message = format!("Invalid parameter: {what} {why}");
    ApiError::new("InvalidParameter", message.trim_end())
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}
