//! What is durable about queues and their messages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 2;

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name; of a FIFO queue it ends with `.fifo`.
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
    /// When it was last purged.
    pub purged: Option<Timestamp>,
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
    /// `ContentBasedDeduplication`
    pub by_content: bool,
    /// Whether deduplication ids count within a message group alone.
    pub by_group: bool,
    /// `RedriveAllowPolicy`: which queues may send dead letters here.
    pub allows: Option<Allowed>,
}

/// Which queues may use one for their dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// ARNs of the queues that may; `None`: all.
    pub sources: Option<Vec<Arc<str>>>,
    /// As it was given.
    pub text: Arc<str>,
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
    /// `MessageGroupId`.
    pub group: Option<Arc<str>>,
    /// `MessageDeduplicationId`; of a FIFO queue's messages it is never missing.
    pub deduplication: Option<Arc<str>>,
    /// ARN of the queue that it was moved from because it was received too often.
    pub source: Option<Arc<str>>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// When it was sent.
    pub sent: Timestamp,
    /// When it can be received next.
    pub visible: Timestamp,
    /// How often it was received.
    pub receives: u32,
    /// When it was received first.
    pub received: Option<Timestamp>,
    /// In a FIFO queue, its group: what is behind it there waits for it.
    pub group: Option<Arc<str>>,
}

/// What a FIFO queue was sent not long ago: the same is not taken again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Number of the queue.
    pub queue: u64,
    /// The deduplication id, with the group where it counts only there.
    pub key: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// `MessageId`.
    pub id: Arc<str>,
}

/// The messages of a queue of dead letters on their way back (`StartMessageMoveTask`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveTask {
    /// Name of the queue that they leave.
    pub source: Arc<str>,
    /// Name of the queue that gets them; `None`: the one each of them came from.
    pub destination: Option<Arc<str>>,
    /// Most messages in a second.
    pub rate: Option<u32>,
    /// When it was started.
    pub started: Timestamp,
    /// Messages that were in the queue then.
    pub found: u64,
    /// Messages moved.
    pub moved: u64,
    /// Where it stands.
    pub status: MoveStatus,
    /// When it goes on.
    pub due: Timestamp,
}

/// Where a [`MoveTask`] stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveStatus {
    /// There is more to move.
    Running,
    /// All that could be received was moved.
    Completed,
    /// It was told to end.
    Cancelled,
    /// It could not go on; why.
    Failed(Arc<str>),
}

impl Queue {
    /// Whether it is a FIFO queue.
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }
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

pub(super) fn sent_key(number: u64) -> Key {
    KeyBuilder::new(Space::QueueDeduplication).number(number).build()
}

pub(super) fn move_key(number: u64) -> Key {
    KeyBuilder::new(Space::QueueMoveTask).number(number).build()
}

/// All move tasks, oldest first.
pub(super) fn moves() -> Range {
    Range::prefix(&[Space::QueueMoveTask as u8])
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

/// The queue of this name, if there is one.
pub(super) fn queue(name: &str, read: &dyn Read) -> Result<Option<Queue>, Corrupt> {
    let key = queue_key(name);
    read.get(&key).map(|value| record(&key, &value)).transpose()
}
