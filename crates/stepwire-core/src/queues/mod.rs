//! Queues: standard and FIFO queues of Amazon SQS.
//!
//! Of a FIFO queue only the first message of each group that is not waited for has a turn; groups
//! take turns as messages do in a standard queue.
//!
//! A message's body is in the store alone; how it stands (when it can be received, how often it was)
//! is a small record of its own that is also in memory. Callers that wait for a message are kept in
//! memory only: after a restart they are gone, and executions ask again.
//!
//! Read in this order: [`Queues`], [`Request`], [`Write`], [`Queue`], [`State`]; then `standing`,
//! `send`, `receive`, `moves`.

mod attributes;
mod message;
mod moves;
mod receive;
mod record;
mod request;
mod send;
mod standing;
#[cfg(test)]
mod tests;
mod view;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub(crate) use message::{attributes_of_any_number, bytes_of};
pub use record::{
    Allowed, Attribute, AttributeValue, Attributes, Message, MoveStatus, MoveTask, Queue, Redrive,
    Sent, State,
};
pub(crate) use request::is_fifo_id;
pub use request::{Change, Entry, Pairs, Receive, Request, Send};
pub use view::answer;

pub(crate) use receive::Waiter;

use crate::error::ApiError;
use crate::record::{Corrupt, Entry as Stored, Space};
use crate::settings::Settings;
use standing::Messages;

/// How long a FIFO queue does not take the same message again. Source: Amazon SQS developer guide,
/// "Exactly-once processing".
const DEDUPLICATION_MS: i64 = 300_000;
/// The shortest time between two purges of a queue.
const PURGE_MS: i64 = 60_000;
/// Messages of queues that are gone, and messages kept too long, that one request removes.
const REMOVED_MAX: usize = 256;

/// The queues of a shard, and how their messages stand.
#[derive(Debug, Default)]
pub struct Queues {
    by_name: BTreeMap<Arc<str>, Arc<Queue>>,
    /// By number of queue, also of those that are gone until all their messages are.
    messages: BTreeMap<u64, Messages>,
    /// Larger than every number of a queue or message.
    next: u64,
    /// Numbers of queues that are gone and may have messages; derived.
    gone: BTreeSet<u64>,
    /// Callers that wait for a message, by number of queue. Not durable.
    waiting: BTreeMap<u64, VecDeque<Waiter>>,
    /// What FIFO queues were sent lately, by number of the message.
    sent: BTreeMap<u64, Arc<Sent>>,
    /// The last of each queue and key; derived from `sent`.
    sent_last: BTreeMap<(u64, Arc<str>), u64>,
    /// Dead letters on their way back, also when all have been moved.
    moves: BTreeMap<u64, Arc<MoveTask>>,
}

impl PartialEq for Queues {
    /// What is durable, and what is derived from it.
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
            && self.messages == other.messages
            && self.next == other.next
            && self.sent == other.sent
            && self.sent_last == other.sent_last
            && self.moves == other.moves
    }
}

/// One durable change to queues or messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Numbers go on here.
    Next(u64),
    /// A queue as it now is; `None`: there is none of this name.
    Queue(Arc<str>, Option<Arc<Queue>>),
    /// A message in a queue; `None` once it is gone.
    Message {
        /// Number of the queue.
        queue: u64,
        /// Number of the message.
        number: u64,
        /// What was sent.
        message: Option<Arc<Message>>,
    },
    /// How a message in a queue stands; `None` once it is gone.
    State {
        /// Number of the queue.
        queue: u64,
        /// Number of the message.
        number: u64,
        /// How it stands.
        state: Option<State>,
    },
    /// What a FIFO queue was sent as the message of this number; `None` once the same may be sent
    /// again.
    Sent(u64, Option<Arc<Sent>>),
    /// A move task as it now is; `None`: there is none of this number.
    Move(u64, Option<Arc<MoveTask>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Stored {
        match self {
            Write::Next(next) => (record::counter_key(), Some(record::value(next))),
            Write::Queue(name, queue) => {
                (record::queue_key(name), queue.as_deref().map(record::value))
            }
            Write::Message { queue, number, message } => {
                (record::message_key(*queue, *number), message.as_deref().map(record::value))
            }
            Write::State { queue, number, state } => {
                (record::state_key(*queue, *number), state.as_ref().map(record::value))
            }
            Write::Sent(number, sent) => {
                (record::sent_key(*number), sent.as_deref().map(record::value))
            }
            Write::Move(number, task) => {
                (record::move_key(*number), task.as_deref().map(record::value))
            }
        }
    }
}

impl Queues {
    /// What recovery reads into memory. Bodies stay in the store.
    pub const SPACES: &'static [Space] =
        &[Space::Queue, Space::QueueState, Space::QueueDeduplication, Space::QueueMoveTask];

    /// The only thing that changes what is in memory, apart from who waits.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Next(next) => self.next = *next,
            Write::Queue(name, queue) => {
                let before = match queue {
                    Some(queue) => self.by_name.insert(Arc::clone(name), Arc::clone(queue)),
                    None => self.by_name.remove(name),
                };
                let now = queue.as_ref().map(|queue| queue.number);
                self.gone.extend(before.map(|queue| queue.number).filter(|old| now != Some(*old)));
            }
            Write::State { queue, number, state } => {
                let messages = self.messages.entry(*queue).or_default();
                messages.set(*number, state.as_ref());
                if messages.is_empty() {
                    self.messages.remove(queue);
                }
            }
            Write::Sent(number, Some(sent)) => {
                self.sent_last.insert((sent.queue, Arc::clone(&sent.key)), *number);
                self.sent.insert(*number, Arc::clone(sent));
            }
            Write::Sent(number, None) => {
                let Some(sent) = self.sent.remove(number) else { return };
                let key = (sent.queue, Arc::clone(&sent.key));
                if self.sent_last.get(&key) == Some(number) {
                    self.sent_last.remove(&key);
                }
            }
            Write::Move(number, Some(task)) => {
                self.moves.insert(*number, Arc::clone(task));
            }
            Write::Move(number, None) => drop(self.moves.remove(number)),
            Write::Message { .. } => {}
        }
    }

    /// Takes in one stored entry of [`Queues::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let write = if key == record::counter_key() {
            Write::Next(record::record(key, value)?)
        } else if key.first() == Some(&(Space::Queue as u8)) {
            let queue: Queue = record::record(key, value)?;
            Write::Queue(Arc::clone(&queue.name), Some(Arc::new(queue)))
        } else if key.first() == Some(&(Space::QueueDeduplication as u8)) {
            Write::Sent(record::number(key)?, Some(Arc::new(record::record(key, value)?)))
        } else if key.first() == Some(&(Space::QueueMoveTask as u8)) {
            Write::Move(record::number(key)?, Some(Arc::new(record::record(key, value)?)))
        } else {
            let (queue, number) = record::state_numbers(key)?;
            Write::State { queue, number, state: Some(record::record(key, value)?) }
        };
        self.apply(&write);
        Ok(())
    }

    /// Finds, after `load`, which messages are of queues that are gone.
    pub(crate) fn resume(&mut self) {
        let there: BTreeSet<u64> = self.by_name.values().map(|queue| queue.number).collect();
        self.gone =
            self.messages.keys().copied().filter(|number| !there.contains(number)).collect();
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

    /// The queue of this name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Queue>, ApiError> {
        self.by_name.get(name).cloned().ok_or_else(no_queue)
    }

    /// The queue that an ARN names.
    pub(crate) fn of_arn(&self, arn: &str, settings: &Settings) -> Result<Arc<Queue>, ApiError> {
        self.find(name_of_arn(arn, settings).ok_or_else(no_queue)?)
    }

    /// Carries out a request that changes something, but for ReceiveMessage. On `Err` nothing has
    /// changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateQueue { name, attributes, tags } => {
                self.create(now, name, attributes, tags, settings, out)
            }
            Request::DeleteQueue { queue } => {
                let queue = self.find(queue)?;
                self.record(Write::Queue(Arc::clone(&queue.name), None), out);
                Ok(nothing())
            }
            Request::PurgeQueue { queue } => {
                let queue = self.find(queue)?;
                if queue.purged.is_some_and(|purged| purged.plus_ms(PURGE_MS) > now) {
                    let message = format!(
                        "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                        queue.name
                    );
                    return Err(ApiError::new("PurgeQueueInProgress", message));
                }
                let number = self.number(out);
                let purged = Some(now);
                self.change(Queue { number, purged, ..queue.as_ref().clone() }, out);
                let waiting = self.waiting.remove(&queue.number);
                self.waiting.extend(waiting.map(|waiting| (number, waiting)));
                Ok(nothing())
            }
            Request::AddPermission { queue, label, accounts, actions } => {
                let queue = self.find(queue)?;
                let attributes = queue.permitting(label, accounts, actions, settings)?;
                self.change(Queue { attributes, modified: now, ..queue.as_ref().clone() }, out);
                Ok(nothing())
            }
            Request::RemovePermission { queue, label } => {
                let queue = self.find(queue)?;
                let attributes = queue.without_permission(label)?;
                self.change(Queue { attributes, modified: now, ..queue.as_ref().clone() }, out);
                Ok(nothing())
            }
            Request::StartMove { source, destination, rate } => {
                self.start_move(now, source, destination.as_ref(), *rate, settings, out)
            }
            Request::CancelMove { handle } => self.cancel_move(handle, settings, out),
            Request::GetQueueAttributes { queue, names } => {
                let queue = self.find(queue)?;
                self.expire(now, &queue, out);
                self.show_attributes(now, &queue, names, settings)
            }
            Request::SetQueueAttributes { queue, attributes } => {
                let queue = self.find(queue)?;
                let attributes = queue.attributes.with(attributes, queue.is_fifo(), settings)?;
                self.check_redrive(&queue.name, &attributes, settings)?;
                self.change(Queue { attributes, modified: now, ..queue.as_ref().clone() }, out);
                Ok(nothing())
            }
            Request::TagQueue { queue, tags } => {
                let mut queue = self.find(queue)?.as_ref().clone();
                queue.tags.retain(|(key, _)| !tags.iter().any(|(new, _)| new == key));
                queue.tags.extend(tags.iter().cloned());
                self.change(queue, out);
                Ok(nothing())
            }
            Request::UntagQueue { queue, keys } => {
                let mut queue = self.find(queue)?.as_ref().clone();
                queue.tags.retain(|(key, _)| !keys.contains(key));
                self.change(queue, out);
                Ok(nothing())
            }
            Request::SendMessage { queue, send } => {
                let queue = self.find(queue)?;
                self.clean(now, &queue, out);
                self.send(now, &queue, send, settings, out)
            }
            Request::SendMessageBatch { queue, entries } => {
                let queue = self.find(queue)?;
                self.clean(now, &queue, out);
                self.send_batch(now, &queue, entries, settings, out)
            }
            Request::DeleteMessage { queue, receipt } => {
                let queue = self.find(queue)?;
                self.delete(&queue, receipt, settings, out)?;
                Ok(nothing())
            }
            Request::DeleteMessageBatch { queue, entries } => {
                let queue = self.find(queue)?;
                Ok(batch(entries, |receipt| self.delete(&queue, receipt, settings, out)))
            }
            Request::ChangeMessageVisibility { queue, change } => {
                let queue = self.find(queue)?;
                self.change_visibility(now, &queue, change, settings, out)?;
                Ok(nothing())
            }
            Request::ChangeMessageVisibilityBatch { queue, entries } => {
                let queue = self.find(queue)?;
                Ok(batch(entries, |change| {
                    self.change_visibility(now, &queue, change, settings, out)
                }))
            }
            Request::ReceiveMessage(_)
            | Request::GetQueueUrl { .. }
            | Request::ListQueues { .. }
            | Request::ListSources { .. }
            | Request::ListMoves { .. }
            | Request::ListQueueTags { .. } => {
                Err(ApiError::new("UnsupportedOperation", "this request changes nothing"))
            }
        }
    }

    fn create(
        &mut self,
        now: Timestamp,
        name: &Arc<str>,
        attributes: &Pairs,
        tags: &Pairs,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        if let Some(there) = self.by_name.get(name) {
            let fifo = there.is_fifo();
            if let Some(other) = there.attributes.differs(attributes, fifo, settings)? {
                let message = format!(
                    "A queue already exists with the same name and a different value for attribute \
                     {other}"
                );
                return Err(ApiError::new("QueueNameExists", message));
            }
        } else {
            let fifo = name.ends_with(".fifo");
            let attributes = Attributes::default().with(attributes, fifo, settings)?;
            self.check_redrive(name, &attributes, settings)?;
            let number = self.number(out);
            let (created, tags) = (now, tags.clone());
            let name = Arc::clone(name);
            let modified = now;
            let made = Queue { name, number, created, modified, attributes, tags, purged: None };
            self.change(made, out);
        }
        Ok(Json::object([("QueueUrl", url(name, settings))]))
    }

    fn change(&mut self, queue: Queue, out: &mut Vec<Write>) {
        self.record(Write::Queue(Arc::clone(&queue.name), Some(Arc::new(queue))), out);
    }

    fn show_attributes(
        &self,
        now: Timestamp,
        queue: &Queue,
        names: &[Arc<str>],
        settings: &Settings,
    ) -> Result<Json, ApiError> {
        let (mut visible, mut delayed, mut in_flight) = (0_i64, 0_i64, 0_i64);
        let messages = self.messages.get(&queue.number);
        for state in messages.into_iter().flat_map(Messages::states) {
            let count = match (state.visible <= now, state.receives) {
                (true, _) => &mut visible,
                (false, 0) => &mut delayed,
                (false, _) => &mut in_flight,
            };
            *count += 1;
        }
        let mut shown = queue.shown(settings);
        for (name, count) in [
            ("ApproximateNumberOfMessages", visible),
            ("ApproximateNumberOfMessagesDelayed", delayed),
            ("ApproximateNumberOfMessagesNotVisible", in_flight),
        ] {
            shown.push((name.into(), count.to_string().into()));
        }
        if let Some(unknown) =
            names.iter().find(|name| ***name != *"All" && !view::KNOWN.contains(&&***name))
        {
            let message = format!("Unknown Attribute {unknown}.");
            return Err(ApiError::new("InvalidAttributeName", message));
        }
        shown.retain(|(name, _)| names.iter().any(|asked| asked == name || **asked == *"All"));
        if shown.is_empty() {
            return Ok(nothing());
        }
        Ok(Json::object([("Attributes", Json::object(shown))]))
    }

    /// When something is to be removed, or moved.
    pub(crate) fn tidy_due(&self) -> Option<Timestamp> {
        let sent = self.sent.values().next().map(|sent| sent.at.plus_ms(DEDUPLICATION_MS));
        let moves = self.moves.values().filter(|task| task.status == MoveStatus::Running);
        let moves = moves.map(|task| task.due);
        let old = self.by_name.values().filter_map(|queue| {
            let oldest = self.messages.get(&queue.number)?.oldest()?;
            Some(oldest.plus_ms(queue.attributes.retention_s * 1_000))
        });
        let gone = (!self.gone.is_empty()).then_some(Timestamp(0));
        moves.chain(old).chain(sent).chain(gone).min()
    }

    /// Removes some of what has been kept long enough.
    pub(crate) fn tidy(&mut self, now: Timestamp, out: &mut Vec<Write>) {
        let old = self.sent.iter().take_while(|(_, s)| s.at.plus_ms(DEDUPLICATION_MS) <= now);
        let old: Vec<u64> = old.map(|(number, _)| *number).take(REMOVED_MAX).collect();
        for number in old {
            self.record(Write::Sent(number, None), out);
        }
        let expired: Vec<Arc<Queue>> = self
            .by_name
            .values()
            .filter(|queue| {
                let oldest = self.messages.get(&queue.number).and_then(Messages::oldest);
                let kept_ms = queue.attributes.retention_s * 1_000;
                oldest.is_some_and(|oldest| oldest.plus_ms(kept_ms) <= now)
            })
            .cloned()
            .collect();
        let before = out.len();
        for queue in expired {
            if out.len() < before + 2 * REMOVED_MAX {
                self.expire(now, &queue, out);
            }
        }
        self.remove_gone(out);
    }

    /// Removes some messages of queues that are gone, and of `queue` those it has kept too long.
    fn clean(&mut self, now: Timestamp, queue: &Queue, out: &mut Vec<Write>) {
        self.expire(now, queue, out);
        self.remove_gone(out);
    }

    fn remove_gone(&mut self, out: &mut Vec<Write>) {
        let Some(number) = self.gone.first().copied() else { return };
        let messages = self.messages.get(&number);
        let some: Vec<u64> =
            messages.into_iter().flat_map(Messages::numbers).take(REMOVED_MAX).collect();
        for message in some {
            self.remove(number, message, out);
        }
        if !self.messages.contains_key(&number) {
            self.gone.remove(&number);
        }
    }

    /// Removes messages that were kept as long as the queue keeps them.
    fn expire(&mut self, now: Timestamp, queue: &Queue, out: &mut Vec<Write>) {
        let oldest = now.plus_ms(-queue.attributes.retention_s * 1_000);
        let messages = self.messages.get(&queue.number);
        let old: Vec<u64> = messages
            .into_iter()
            .flat_map(|messages| messages.sent_until(oldest))
            .take(REMOVED_MAX)
            .collect();
        for number in old {
            self.remove(queue.number, number, out);
        }
    }

    fn remove(&mut self, queue: u64, number: u64, out: &mut Vec<Write>) {
        self.record(Write::Message { queue, number, message: None }, out);
        self.record(Write::State { queue, number, state: None }, out);
    }
}

/// The answer to a batch: what each entry came to.
fn batch<T>(entries: &[Entry<T>], mut each: impl FnMut(&T) -> Result<(), ApiError>) -> Json {
    results(entries, |what| each(what).map(|()| Vec::new()))
}

fn results<T>(
    entries: &[Entry<T>],
    mut each: impl FnMut(&T) -> Result<Vec<(&'static str, Json)>, ApiError>,
) -> Json {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let id = ("Id", Json::String(Arc::clone(&entry.id)));
        match entry.what.as_ref().map_err(Clone::clone).and_then(&mut each) {
            Ok(members) => done.push(Json::object([id].into_iter().chain(members))),
            Err(error) => failed.push(Json::object([
                id,
                ("SenderFault", true.into()),
                ("Code", Json::from(&*error.code)),
                ("Message", error.message.into()),
            ])),
        }
    }
    let mut members = vec![("Successful", Json::array(done))];
    if !failed.is_empty() {
        members.push(("Failed", Json::array(failed)));
    }
    Json::object(members)
}

/// The error's name in the service's older protocol, which clients still go by.
///
/// Source: the service model of Amazon SQS, `awsQueryError`.
pub fn older_code(code: &str) -> Cow<'_, str> {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".into(),
        "QueueNameExists" => "QueueAlreadyExists".into(),
        "PurgeQueueInProgress" => "AWS.SimpleQueueService.PurgeQueueInProgress".into(),
        "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "EmptyBatchRequest"
        | "InvalidBatchEntryId"
        | "TooManyEntriesInBatchRequest"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{code}").into(),
        other => other.into(),
    }
}

fn no_queue() -> ApiError {
    ApiError::new("QueueDoesNotExist", "The specified queue does not exist.")
}

fn invalid(name: &str, why: &str) -> ApiError {
    let message = format!("Value for parameter {name} is invalid. Reason: {why}.");
    ApiError::new("InvalidParameterValue", message)
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}

/// The ARN of a queue.
pub fn arn(name: &str, settings: &Settings) -> String {
    settings.arn("sqs", name)
}

/// The name of the queue that an ARN of this node names.
fn name_of_arn<'a>(arn: &'a str, settings: &Settings) -> Option<&'a str> {
    let name = arn.strip_prefix(&settings.arn("sqs", ""))?;
    (!name.is_empty() && !name.contains(':')).then_some(name)
}

/// The URL of a queue.
fn url(name: &str, settings: &Settings) -> Json {
    format!("{}/{}/{name}", settings.url, settings.account).into()
}
