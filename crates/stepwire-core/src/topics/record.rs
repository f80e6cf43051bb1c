//! What is durable about topics and subscriptions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::retry::Policy;
use crate::queues::Attribute;
use crate::read::{Key, Range};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 2;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name; of a FIFO topic it ends with `.fifo`.
    pub name: Arc<str>,
    /// Attributes that were given, by name.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
    /// Tags, by key.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Subscriptions that there have been and are no longer, as far as AWS counts them.
    pub deleted: u64,
}

/// Who gets what is published on a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Its id, the last part of its ARN.
    pub id: Arc<str>,
    /// How messages get there.
    pub protocol: Protocol,
    /// ARN of the queue or function, or URL.
    pub endpoint: Arc<str>,
    /// `RawMessageDelivery`: the message alone, without the envelope.
    pub raw: bool,
    /// `FilterPolicy`, as it was given.
    pub filter: Option<Arc<str>>,
    /// Whether the filter looks at the message rather than at its attributes.
    pub filters_body: bool,
    /// `RedrivePolicy`: the queue for what cannot be delivered.
    pub redrive: Option<Redrive>,
    /// `DeliveryPolicy`, as it was given.
    pub delivery: Option<Arc<str>>,
    /// Since when the endpoint has not confirmed that it wants messages; `None` once it has.
    pub pending: Option<Timestamp>,
    /// Whether it was confirmed by a signed request.
    pub authenticated: bool,
    /// Whether only signed requests may end it.
    pub keeps: bool,
}

/// How messages get to a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// `sqs`
    Queue,
    /// `lambda`
    Function,
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Where messages go that cannot be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// ARN of the queue.
    pub queue: Arc<str>,
    /// As it was given.
    pub text: Arc<str>,
}

impl Protocol {
    /// As the API names it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Queue => "sqs",
            Protocol::Function => "lambda",
            Protocol::Http => "http",
            Protocol::Https => "https",
        }
    }

    /// The protocol of this name.
    pub fn of(name: &str) -> Option<Protocol> {
        [Protocol::Queue, Protocol::Function, Protocol::Http, Protocol::Https]
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }
}

/// A document on its way to an HTTP endpoint. Whole in itself: what becomes of it does not depend on
/// what has become of its subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// ARN of the subscription.
    pub subscription: Arc<str>,
    /// Where to.
    pub url: Arc<str>,
    /// Headers in order.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// What.
    pub body: Arc<str>,
    /// How often it is tried, and when.
    pub policy: Policy,
    /// Attempts that have failed.
    pub failed: u32,
    /// When the next attempt begins; `None` while one is under way.
    pub due: Option<Timestamp>,
    /// ARN of the queue that gets it if no attempt succeeds.
    pub dead_letters: Option<Arc<str>>,
    /// Attributes that it has there.
    pub attributes: Vec<(Arc<str>, Attribute)>,
}

/// What a FIFO topic took not long ago: the same is not taken again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// The deduplication id, with the group where it counts only there.
    pub key: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// `MessageId`.
    pub id: Arc<str>,
    /// `SequenceNumber`.
    pub sequence: u64,
}

/// The counter of subscriptions and messages. Names of topics are not empty, so it comes first.
pub(super) fn counter_key() -> Key {
    KeyBuilder::new(Space::Subscription).text("").build()
}

pub(super) fn topic_key(name: &str) -> Key {
    KeyBuilder::new(Space::Topic).text(name).build()
}

/// All topics, by name.
pub(super) fn topics() -> Range {
    Range::prefix(&[Space::Topic as u8])
}

pub(super) fn subscription_key(topic: &str, id: &str) -> Key {
    KeyBuilder::new(Space::Subscription).text(topic).text(id).build()
}

/// The subscriptions of a topic; of all topics when it is empty.
pub(super) fn subscriptions(topic: &str) -> Range {
    if topic.is_empty() {
        let from = [counter_key().as_slice(), &[0]].concat();
        return Range { from, ..Range::prefix(&[Space::Subscription as u8]) };
    }
    Range::prefix(&KeyBuilder::new(Space::Subscription).text(topic).build())
}

pub(super) fn notification_key(number: u64) -> Key {
    KeyBuilder::new(Space::Notification).number(number).build()
}

pub(super) fn taken_key(number: u64) -> Key {
    KeyBuilder::new(Space::TopicDeduplication).number(number).build()
}

/// The number that a key of the two spaces above ends with.
pub(super) fn number(key: &[u8]) -> Result<u64, Corrupt> {
    let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    number.ok_or_else(|| Corrupt { key: key.to_vec(), why: "not a numbered key".to_owned() })
}

pub(super) fn value<T: Serialize>(record: &T) -> Vec<u8> {
    encode(FORMAT, record)
}

pub(super) fn record<T: serde::de::DeserializeOwned>(
    key: &[u8],
    value: &[u8],
) -> Result<T, Corrupt> {
    decode(FORMAT, key, value)
}
