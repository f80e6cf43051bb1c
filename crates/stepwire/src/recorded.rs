//! The latest messages that the rules saw, for those who test rules. Kept in memory alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepwire_core::Message;
use stepwire_core::effect::Seen;
use stepwire_core::rules::evaluate::takes;

/// What a message takes in memory besides its texts and payload, about.
const MESSAGE_BYTES: usize = 256;

/// How many messages are kept; the oldest go first. 0 of either: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most messages.
    pub messages_max: usize,
    /// Most bytes that they take in memory together.
    pub bytes_max: usize,
}

impl Limits {
    /// Whether any message is kept.
    pub fn keeps_any(self) -> bool {
        self.messages_max > 0 && self.bytes_max > 0
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { messages_max: 1_000, bytes_max: 8 << 20 }
    }
}

/// A message that was kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recording {
    /// Which, from 1; counted from the start of the node.
    pub(crate) id: u64,
    pub(crate) message: Arc<Message>,
    /// The rules that matched and had something to do.
    pub(crate) rules: Vec<Arc<str>>,
}

/// The latest messages.
#[derive(Debug)]
pub(crate) struct Recorded {
    limits: Limits,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    last_id: u64,
    bytes: usize,
    /// Oldest first; ids without a gap.
    recordings: VecDeque<Recording>,
}

impl Recorded {
    pub(crate) fn new(limits: Limits) -> Recorded {
        Recorded { limits, kept: Mutex::default() }
    }

    /// Keeps one more, whose payload is shared and not copied.
    pub(crate) fn add(&self, seen: Seen) {
        let Seen { message, rules } = seen;
        let mut kept = self.kept();
        kept.last_id += 1;
        let recording = Recording { id: kept.last_id, message, rules };
        kept.bytes += bytes(&recording);
        kept.recordings.push_back(recording);
        while kept.recordings.len() > self.limits.messages_max || kept.bytes > self.limits.bytes_max
        {
            let Some(oldest) = kept.recordings.pop_front() else { break };
            kept.bytes -= bytes(&oldest);
        }
    }

    /// The one with this id, if it is still kept.
    pub(crate) fn get(&self, id: u64) -> Option<Recording> {
        let kept = self.kept();
        let first = kept.recordings.front()?.id;
        kept.recordings.get(usize::try_from(id.checked_sub(first)?).ok()?).cloned()
    }

    /// The latest `limit` on topics that `filter` takes, latest first.
    pub(crate) fn latest(&self, filter: Option<&str>, limit: usize) -> Vec<Recording> {
        let kept = self.kept();
        let wanted = kept.recordings.iter().rev().filter(|recording| {
            filter.is_none_or(|filter| takes(filter, &recording.message.topic))
        });
        wanted.take(limit).cloned().collect()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(recording: &Recording) -> usize {
    let message = &recording.message;
    let rules = recording.rules.len() * size_of::<Arc<str>>();
    let texts = message.topic.len() + message.payload.len() + message.properties.bytes();
    MESSAGE_BYTES + rules + texts
}

#[cfg(test)]
mod tests {
    use stepwire_asl::Timestamp;

    use super::*;

    fn seen(topic: &str, payload: &str) -> Seen {
        let message = Message::service(topic, payload.to_owned(), Timestamp(1));
        Seen { message: Arc::new(message), rules: vec!["r".into()] }
    }

    fn ids(recorded: &Recorded, filter: Option<&str>) -> Vec<u64> {
        recorded.latest(filter, 10).iter().map(|recording| recording.id).collect()
    }

    #[test]
    fn the_oldest_go_first() {
        let recorded = Recorded::new(Limits { messages_max: 2, bytes_max: 1 << 20 });
        for topic in ["a/1", "b/1", "a/2"] {
            recorded.add(seen(topic, "{}"));
        }
        assert_eq!(ids(&recorded, None), [3, 2]);
        assert_eq!(ids(&recorded, Some("a/+")), [3]);
        assert_eq!(recorded.get(1), None);
        assert_eq!(recorded.get(2).map(|kept| kept.message.topic.clone()), Some("b/1".into()));
        assert_eq!(recorded.get(4), None);
    }

    #[test]
    fn bytes_are_bounded_and_counted_exactly() {
        let recorded = Recorded::new(Limits { messages_max: 100, bytes_max: 2_000 });
        for _ in 0..50 {
            recorded.add(seen("t", &"x".repeat(500)));
        }
        let kept = recorded.kept();
        assert_eq!(kept.recordings.len(), 2);
        assert_eq!(kept.bytes, kept.recordings.iter().map(bytes).sum::<usize>());
    }

    #[test]
    fn a_message_that_is_too_large_is_not_kept() {
        let recorded = Recorded::new(Limits { messages_max: 10, bytes_max: 300 });
        recorded.add(seen("t", &"x".repeat(1_000)));
        assert_eq!(ids(&recorded, None), [0; 0]);
        assert_eq!(recorded.kept().bytes, 0);
    }
}
