//! What is durable about queues and their messages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name.
    pub name: Arc<str>,
    /// What the keys of its messages begin with; another one after a purge.
    pub number: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When its attributes were last changed.
    pub modified: Timestamp,
    /// How it behaves.
    pub attributes: Attributes,
    /// Tags, by key.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// How a queue behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// `VisibilityTimeout`, seconds.
    pub visibility_s: i64,
    /// `MaximumMessageSize`, bytes.
    pub bytes_max: i64,
    /// `MessageRetentionPeriod`, seconds.
    pub retention_s: i64,
    /// `DelaySeconds`.
    pub delay_s: i64,
    /// `ReceiveMessageWaitTimeSeconds`.
    pub wait_s: i64,
    /// `RedrivePolicy`.
    pub redrive: Option<Redrive>,
    /// Attributes that are shown but have no effect here, by name.
    pub shown: Vec<(Arc<str>, Arc<str>)>,
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// Name of the queue that takes them.
    pub target: Arc<str>,
    /// Received so often, a message is moved when it would be received again.
    pub receives_max: u32,
    /// As it was given.
    pub text: Arc<str>,
}

/// A message as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `MessageId`.
    pub id: Arc<str>,
    /// The body.
    pub body: Arc<str>,
    /// `MessageAttributes`, in order of name.
    pub attributes: Vec<(Arc<str>, Attribute)>,
    /// `AWSTraceHeader`.
    pub trace_header: Option<Arc<str>>,
}

/// A message attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `DataType`.
    pub kind: Arc<str>,
    /// Its value.
    pub value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// Text, also of numbers.
    Text(Arc<str>),
    /// Bytes.
    Binary(Vec<u8>),
}

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// When it was sent.
    pub sent: Timestamp,
    /// When it can be received next.
    pub visible: Timestamp,
    /// How often it was received.
    pub receives: u32,
    /// When it was received first.
    pub received: Option<Timestamp>,
}

/// The counter. Names of queues are not empty, so it comes before them.
pub(super) fn counter_key() -> Key {
    KeyBuilder::new(Space::Queue).text("").build()
}

pub(super) fn queue_key(name: &str) -> Key {
    KeyBuilder::new(Space::Queue).text(name).build()
}

/// All queues whose names begin with `prefix` and come after `after`.
pub(super) fn queues(prefix: &str, after: &str) -> Range {
    let first = KeyBuilder::new(Space::Queue).bytes(prefix.as_bytes()).build();
    let next = [queue_key(after).as_slice(), &[0]].concat();
    Range { from: first.clone().max(next), ..Range::prefix(&first) }
}

pub(super) fn message_key(queue: u64, number: u64) -> Key {
    KeyBuilder::new(Space::QueueMessage).number(queue).number(number).build()
}

pub(super) fn state_key(queue: u64, number: u64) -> Key {
    KeyBuilder::new(Space::QueueState).number(queue).number(number).build()
}

/// Queue and message of a key in [`Space::QueueState`].
pub(super) fn state_numbers(key: &[u8]) -> Result<(u64, u64), Corrupt> {
    let number = |at: usize| Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?));
    match (number(1), number(9)) {
        (Some(queue), Some(message)) => Ok((queue, message)),
        _ => Err(Corrupt { key: key.to_vec(), why: "not the key of a message".to_owned() }),
    }
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

/// The queue of this name, if there is one.
pub(super) fn queue(name: &str, read: &dyn Read) -> Result<Option<Queue>, Corrupt> {
    let key = queue_key(name);
    read.get(&key).map(|value| record(&key, &value)).transpose()
}
