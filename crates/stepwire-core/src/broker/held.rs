//! Service messages that nobody was there to get yet.
//!
//! A workflow can be faster than the device it serves: it publishes before the device has
//! subscribed. Such a message waits for the first session that subscribes to it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::session::{SessionId, Subscription};
use super::topic::Filter;
use super::write::{Held, Write};
use super::{Action, Broker, Refusal, Turn};
use crate::message::Message;

/// Held messages by number and by topic.
#[derive(Debug, Default)]
pub(super) struct HeldMessages {
    by_number: BTreeMap<u64, Held>,
    by_topic: BTreeSet<(Arc<str>, u64)>,
    bytes: usize,
}

fn bytes_of(message: &Message) -> usize {
    message.bytes() + 64
}

impl HeldMessages {
    /// Folds a change in; gives back what it replaces.
    pub(super) fn apply(&mut self, number: u64, held: Option<&Held>) -> Option<Held> {
        let old = match held {
            Some(held) => {
                self.bytes += bytes_of(&held.message);
                self.by_topic.insert((Arc::clone(&held.message.topic), number));
                self.by_number.insert(number, held.clone())
            }
            None => self.by_number.remove(&number),
        };
        if let Some(old) = &old {
            self.bytes -= bytes_of(&old.message);
            if held.is_none() {
                self.by_topic.remove(&(Arc::clone(&old.message.topic), number));
            }
        }
        old
    }

    fn next_number(&self) -> u64 {
        self.by_number.last_key_value().map_or(0, |(number, _)| number + 1)
    }

    /// Numbers of the messages that match `filter`, oldest first.
    fn matching(&self, filter: Filter<'_>) -> Vec<u64> {
        let prefix = filter.literal_prefix();
        let from = (Arc::from(prefix), 0);
        let mut numbers: Vec<u64> = self
            .by_topic
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .filter(|(topic, _)| filter.matches(topic))
            .map(|(_, number)| *number)
            .collect();
        numbers.sort_unstable();
        numbers
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = Write> {
        self.by_number
            .iter()
            .map(|(&number, held)| Write::Held { number, held: Some(held.clone()) })
    }
}

impl Broker {
    /// Keeps a message that reached nobody for the subscribe grace.
    pub(super) fn hold(&mut self, message: &Message, turn: &mut Turn<'_>) {
        let grace = turn.settings.subscribe_grace_ms;
        if grace <= 0 || message.retain || message.topic.starts_with("$aws/events/") {
            return;
        }
        let limits = turn.limits();
        let full = self.held.by_number.len() >= limits.held_max
            || self.held.bytes + bytes_of(message) > limits.held_bytes_max;
        if full {
            return lost(message, "no subscriber, and no room to hold the message for one", turn);
        }
        let held = Held { message: Arc::new(message.clone()), until: turn.now.plus_ms(grace) };
        let number = self.held.next_number();
        self.record(Write::Held { number, held: Some(held) }, turn.out);
    }

    /// Delivers held messages that a new subscription matches.
    pub(super) fn deliver_held(
        &mut self,
        id: SessionId,
        filter: Filter<'_>,
        subscription: Subscription,
        turn: &mut Turn<'_>,
    ) {
        if self.held.by_number.is_empty() {
            return;
        }
        let Some(session) = self.sessions.get(id) else { return };
        let profile = session.record.client.profile;
        for number in self.held.matching(filter) {
            let Some(held) = self.held.by_number.get(&number) else { continue };
            let message = Arc::clone(&held.message);
            if !profile.delivers(filter, &message.topic) {
                continue;
            }
            if self.deliver_shared(id, subscription, &message, false, turn) {
                self.record(Write::Held { number, held: None }, turn.out);
            }
        }
    }

    /// The grace of a held message is over.
    pub(super) fn give_up_held(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Some(held) = self.held.by_number.get(&number) else { return };
        let message = Arc::clone(&held.message);
        self.record(Write::Held { number, held: None }, turn.out);
        lost(&message, "no subscriber within the subscribe grace", turn);
    }
}

fn lost(message: &Message, why: &'static str, turn: &mut Turn<'_>) {
    let topic = Arc::clone(&message.topic);
    let refusal = Refusal { device: None, action: Action::Receive, topic, why: why.into() };
    turn.out.refusals.push(refusal);
}
