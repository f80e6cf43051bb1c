//! What is durable about errands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use crate::message::{Message, Origin};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};
use crate::rules::sql::Question;
use crate::rules::{Batch, HttpDelivery, Run};

const FORMAT: u8 = 1;

/// What a rule still owes for a message that it took. Whole in itself: how it ends does not depend
/// on what has become of the rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    /// The rule's run on the message.
    pub run: Run,
    /// How far it is.
    pub stage: Stage,
}

/// How far an errand is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    /// The statement asks functions, or waits for its turn to.
    Evaluate {
        /// Answers so far.
        told: Vec<Told>,
    },
    /// The result of an action is on its way outside.
    Deliver {
        /// The action.
        place: Place,
        /// What is delivered.
        delivery: Delivery,
        /// Attempts that have failed.
        failed: u8,
        /// When the next attempt begins; `None` while one is under way, or others are to end first.
        due: Option<Timestamp>,
    },
}

/// A question that has been answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What was asked.
    pub question: Question,
    /// The answer; `None` when there is none: the value is Undefined then.
    pub answer: Option<Json>,
}

/// Which part of a rule an errand is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// Its statement.
    Statement,
    /// One of its actions, from 0.
    Action(u8),
    /// Its error action.
    Error,
}

/// The result of an action, for somebody outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Delivery {
    /// For an HTTP server.
    Http(HttpDelivery),
}

/// An attempt to deliver something has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDelivered {
    /// Why.
    pub why: Arc<str>,
    /// Whether another attempt may do better.
    pub again: bool,
}

impl Delivery {
    /// The kind of action, as error documents name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Delivery::Http(_) => "HttpAction",
        }
    }

    /// Where it goes, as error documents name it.
    pub(crate) fn resource(&self) -> Arc<str> {
        match self {
            Delivery::Http(delivery) => delivery.resource(),
        }
    }

    /// How its request may be shared, if it may.
    pub(crate) fn batch(&self) -> Option<Batch> {
        match self {
            Delivery::Http(delivery) => delivery.batch,
        }
    }

    /// How often it is tried.
    pub(crate) fn attempts_max(&self) -> u8 {
        match self {
            // AWS IoT developer guide, "HTTP": retried twice.
            Delivery::Http(_) => 3,
        }
    }
}

/// Errands of one lane are done in order, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    rule: Arc<str>,
    place: Place,
    source: Source,
}

/// Where messages come from whose order is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// A client, or what is told of it.
    Client(Arc<str>),
    /// A device that publishes over HTTP, by what it has proved to be.
    Caller(Arc<str>),
    /// The service side, by topic.
    Topic(Arc<str>),
    /// Deliveries that share requests, by URL and perhaps topic.
    Batch(Arc<str>, Option<Arc<str>>),
}

impl Lane {
    pub(super) fn of(rule: &Arc<str>, place: Place, message: &Message) -> Lane {
        Lane { rule: Arc::clone(rule), place, source: Source::of(message) }
    }
}

impl Source {
    fn of(message: &Message) -> Source {
        match &message.origin {
            Origin::Client(client) => Source::Client(Arc::clone(&client.id)),
            Origin::Caller(caller) => Source::Caller(Arc::clone(caller.identity.name())),
            Origin::Service => match message.told_client() {
                Some(client) => Source::Client(client.into()),
                None => Source::Topic(Arc::clone(&message.topic)),
            },
        }
    }
}

impl Errand {
    /// The delivery of the result of an action.
    pub(crate) fn delivering(run: Run, place: Place, delivery: Delivery) -> Errand {
        Errand { run, stage: Stage::Deliver { place, delivery, failed: 0, due: None } }
    }

    pub(super) fn lane(&self) -> Lane {
        let place = match &self.stage {
            Stage::Evaluate { .. } => Place::Statement,
            Stage::Deliver { place, .. } => *place,
        };
        let mut lane = Lane::of(&self.run.rule, place, &self.run.message);
        if let Stage::Deliver { delivery: Delivery::Http(http), .. } = &self.stage
            && let Some(batch) = http.batch
        {
            let topic = (!batch.across_topics).then(|| Arc::clone(&self.run.message.topic));
            lane.source = Source::Batch(Arc::clone(&http.url), topic);
        }
        lane
    }

    /// Has it wait for others that may share its request.
    pub(super) fn wait_for_others(&mut self, batch: Batch) {
        if let Stage::Deliver { due, .. } = &mut self.stage {
            *due = Some(self.run.message.at.plus_ms(i64::from(batch.open_ms)));
        }
    }

    /// When it goes on, if it waits for that.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Evaluate { .. } => None,
            Stage::Deliver { due, .. } => *due,
        }
    }

    /// The bytes of its record.
    pub(super) fn bytes(&self) -> usize {
        encode(FORMAT, self).len()
    }
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// An errand as it now is; `None` once it is done with.
    Errand(u64, Option<Arc<Errand>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        let Write::Errand(number, errand) = self;
        let key = KeyBuilder::new(Space::Errand).number(*number).build();
        (key, errand.as_ref().map(|errand| encode(FORMAT, errand.as_ref())))
    }

    /// The change that a stored entry is.
    pub(super) fn load(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let corrupt = || Corrupt { key: key.to_vec(), why: "not an errand's key".to_owned() };
        let number = number.ok_or_else(corrupt)?;
        Ok(Write::Errand(number, Some(Arc::new(decode(FORMAT, key, value)?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(topic: &str) -> Source {
        Source::of(&Message::service(topic, "", Timestamp(0)))
    }

    #[test]
    fn events_of_one_client_are_in_one_lane() {
        let client = Source::Client("gw-7".into());
        assert_eq!(source("$aws/events/presence/connected/gw-7"), client);
        assert_eq!(source("$aws/events/presence/disconnected/gw-7"), client);
        assert_eq!(source("$aws/events/subscriptions/subscribed/gw-7"), client);
        assert_eq!(source("plant/1"), Source::Topic("plant/1".into()));
    }
}
