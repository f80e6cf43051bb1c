//! Retained messages (MQTT 5.0, 3.3.1.3).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::topic::Filter;
use super::write::Write;
use super::{Action, Broker, Identity, Refusal, Turn};
use crate::message::{Client, Message, Origin};

/// The newest retained message of each topic.
#[derive(Debug, Default)]
pub(super) struct RetainedMessages {
    by_topic: BTreeMap<Arc<str>, Arc<Message>>,
    /// When messages that do not last for ever end.
    ends: BTreeSet<(Timestamp, Arc<str>)>,
    bytes: usize,
    /// How many messages each owner has, and their bytes.
    owners: BTreeMap<Arc<str>, (usize, usize)>,
}

/// When a message is no longer to be given to anybody.
fn end_of(message: &Message) -> Option<Timestamp> {
    let seconds = message.properties.message_expiry_s?;
    Some(message.at.plus_ms(i64::from(seconds) * 1_000))
}

fn bytes_of(message: &Message) -> usize {
    message.bytes() + 64
}

/// Whose quota a message counts in.
fn owner_of(message: &Message) -> Option<&Arc<str>> {
    match &message.origin {
        Origin::Client(client) => Some(owner(client)),
        Origin::Caller(caller) => Some(caller.identity.name()),
        Origin::Service => None,
    }
}

/// A certificate or key counts as one, however many client identifiers it uses.
fn owner(client: &Client) -> &Arc<str> {
    match &client.identity {
        Identity::Certificate(id) | Identity::Signed(id) => id,
        Identity::Anonymous => &client.id,
    }
}

impl RetainedMessages {
    pub(super) fn apply(&mut self, topic: &Arc<str>, message: Option<&Arc<Message>>) {
        let old = match message {
            Some(message) => {
                self.bytes += bytes_of(message);
                self.by_topic.insert(Arc::clone(topic), Arc::clone(message))
            }
            None => self.by_topic.remove(topic),
        };
        if let Some(message) = message
            && let Some(owner) = owner_of(message)
        {
            let (count, bytes) = self.owners.entry(Arc::clone(owner)).or_default();
            *count += 1;
            *bytes += bytes_of(message);
        }
        if let Some(old) = old {
            self.bytes -= bytes_of(&old);
            self.disown(&old);
            if let Some(end) = end_of(&old) {
                self.ends.remove(&(end, Arc::clone(topic)));
            }
        }
        if let Some(end) = message.and_then(|message| end_of(message)) {
            self.ends.insert((end, Arc::clone(topic)));
        }
    }

    fn disown(&mut self, message: &Message) {
        if let Some(owner) = owner_of(message)
            && let Some((count, bytes)) = self.owners.get_mut(owner)
        {
            *count -= 1;
            *bytes -= bytes_of(message);
            if *count == 0 {
                self.owners.remove(owner);
            }
        }
    }

    /// When the first of them ends.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Those within `topics` that have not expired, in order of topic.
    pub(super) fn within(
        &self,
        topics: (Bound<&str>, Bound<&str>),
        now: Timestamp,
    ) -> impl Iterator<Item = &Arc<Message>> {
        let messages = self.by_topic.range::<str, _>(topics).map(|(_, message)| message);
        messages.filter(move |message| super::route::remaining(message, now).is_some())
    }

    pub(super) fn get(&self, topic: &str) -> Option<&Arc<Message>> {
        self.by_topic.get(topic)
    }

    /// Those that match `filter`, in order of topic; and how many had to be looked at.
    pub(super) fn matching(&self, filter: Filter<'_>) -> (Vec<Arc<Message>>, usize) {
        if !filter.has_wildcard() {
            return (self.get(filter.path).cloned().into_iter().collect(), 1);
        }
        let mut looked_at = 0;
        let prefix = filter.literal_prefix();
        let matching = self
            .by_topic
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .inspect(|_| looked_at += 1)
            .filter(|(topic, _)| filter.matches(topic))
            .map(|(_, message)| Arc::clone(message))
            .collect();
        (matching, looked_at)
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = Write> {
        self.by_topic.iter().map(|(topic, message)| Write::Retained {
            topic: Arc::clone(topic),
            message: Some(Arc::clone(message)),
        })
    }

    /// Whether a message can be kept; if not, why.
    pub(super) fn room_for(&self, message: &Message, turn: &Turn<'_>) -> Result<(), &'static str> {
        if message.payload.is_empty() {
            return Ok(());
        }
        let old = self.get(&message.topic);
        let (limits, budget) = (turn.limits(), &turn.settings.budget);
        let old_bytes = old.map_or(0, |old| bytes_of(old));
        let count = self.by_topic.len() + usize::from(old.is_none());
        let bytes = self.bytes + bytes_of(message) - old_bytes;
        if count > limits.retained_max || bytes > limits.retained_bytes_max {
            return Err("no room for more retained messages");
        }
        let Some(owner) = owner_of(message) else { return Ok(()) };
        let (count, bytes) = self.owners.get(owner).copied().unwrap_or_default();
        let own = old.is_some_and(|old| owner_of(old) == Some(owner));
        let count = count + usize::from(!own);
        let bytes = bytes + bytes_of(message) - if own { old_bytes } else { 0 };
        if count > budget.retained_per_owner_max || bytes > budget.retained_bytes_per_owner_max {
            return Err("it has as many retained messages as it may have");
        }
        Ok(())
    }
}

impl Broker {
    /// Keeps a message for its topic, or forgets the kept one if the payload is empty.
    pub(super) fn retain(&mut self, message: &Message, turn: &mut Turn<'_>) {
        let topic = Arc::clone(&message.topic);
        if message.payload.is_empty() {
            if self.retained.get(&topic).is_some() {
                self.record(Write::Retained { topic, message: None }, turn.out);
            }
        } else if let Err(why) = self.retained.room_for(message, turn) {
            let device = match &message.origin {
                Origin::Client(client) => Some(Arc::clone(&client.id)),
                Origin::Service | Origin::Caller(_) => None,
            };
            let action = Action::RetainPublish;
            turn.out.refusals.push(Refusal { device, action, topic, why: why.into() });
        } else {
            let message = Some(Arc::new(message.clone()));
            self.record(Write::Retained { topic, message }, turn.out);
        }
    }

    /// Forgets retained messages that have expired.
    pub(super) fn expire_retained(&mut self, turn: &mut Turn<'_>) {
        while let Some((end, topic)) = self.retained.ends.first().cloned()
            && end <= turn.now
        {
            self.record(Write::Retained { topic, message: None }, turn.out);
        }
    }

    /// The retained message of a topic that is not expired.
    pub fn retained(&self, topic: &str, now: Timestamp) -> Option<&Arc<Message>> {
        self.retained.get(topic).filter(|message| super::route::remaining(message, now).is_some())
    }
}
