//! What is durable about topics and subscriptions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::read::{Key, Range};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Attributes that were given; shown, but without effect.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
    /// Tags, by key.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// Who gets what is published on a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Its id, the last part of its ARN.
    pub id: Arc<str>,
    /// ARN of the queue that gets the messages.
    pub endpoint: Arc<str>,
    /// `RawMessageDelivery`: the message alone, without the envelope.
    pub raw: bool,
    /// `FilterPolicy`, as it was given.
    pub filter: Option<Arc<str>>,
    /// Whether the filter looks at the message rather than at its attributes.
    pub filters_body: bool,
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

pub(super) fn value<T: Serialize>(record: &T) -> Vec<u8> {
    encode(FORMAT, record)
}

pub(super) fn record<T: serde::de::DeserializeOwned>(
    key: &[u8],
    value: &[u8],
) -> Result<T, Corrupt> {
    decode(FORMAT, key, value)
}
