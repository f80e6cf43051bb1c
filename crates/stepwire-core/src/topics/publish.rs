//! Publishing: a message goes to everybody whose subscription lets it through.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use stepwire_asl::{Json, Timestamp};

use super::record::{Protocol, Subscription, Taken, Topic};
use super::{Publish, Ready, Topics, Write, arn, invalid};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::hex::hex;
use crate::queues::{AttributeValue, Send};
use crate::settings::Settings;

/// Most attributes that a message in a queue can have.
const ATTRIBUTES_MAX: usize = 10;
/// How long a FIFO topic does not take the same message again.
pub(super) const DEDUPLICATION_MS: i64 = 300_000;

/// What a topic has brought somewhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivery {
    /// Where to.
    pub(crate) to: To,
    /// ARN of the queue, and what it gets, if it cannot be brought there.
    pub(crate) dead_letter: Option<(Arc<str>, Box<Send>)>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum To {
    /// Into a queue.
    Queue {
        /// Its ARN.
        arn: Arc<str>,
        /// What is sent to it.
        send: Box<Send>,
    },
    /// To a function.
    Function {
        /// Its ARN.
        arn: Arc<str>,
        /// JSON text.
        payload: Arc<str>,
    },
    /// To an HTTP endpoint: the notification of this number is recorded, and begins.
    Endpoint(u64),
    /// It cannot be delivered.
    Nowhere {
        /// Where it was for.
        endpoint: Arc<str>,
        /// Why not.
        why: Arc<str>,
    },
}

/// What a topic made of a message.
pub(super) struct Published {
    pub(super) id: Arc<str>,
    pub(super) sequence: Option<u64>,
}

impl Published {
    /// The members of the answer.
    pub(super) fn members(self) -> Vec<(&'static str, Json)> {
        let mut members = vec![("MessageId", Json::String(self.id))];
        members.extend(self.sequence.map(|n| ("SequenceNumber", Json::from(sequence_number(n)))));
        members
    }
}

/// A sequence number as AWS writes it: twenty digits.
pub(crate) fn sequence_number(number: u64) -> String {
    format!("1{number:019}")
}

impl Topics {
    /// Publishes a message: its id, and what its topic's subscriptions have delivered.
    pub(super) fn publish(
        &mut self,
        now: Timestamp,
        topic: &Topic,
        publish: &Publish,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Published, ApiError> {
        let deduplication = publish.deduplication_on(topic)?;
        let key = deduplication.as_ref().map(|id| topic.deduplication_key(id, publish));
        if let Some(key) = &key
            && let Some(taken) = self.taken(&topic.name, key, now)
        {
            return Ok(Published { id: Arc::clone(&taken.id), sequence: Some(taken.sequence) });
        }
        let number = self.number(out);
        let id: Arc<str> = derived_uuid(&settings.secret, "notification", &[number]).into();
        if let Some(key) = key {
            let (topic, id) = (Arc::clone(&topic.name), Arc::clone(&id));
            let taken = Taken { topic, key, at: now, id, sequence: number };
            self.record(Write::Taken(number, Some(Arc::new(taken))), out);
        }
        let sequence = topic.is_fifo().then_some(number);
        let notice = Notice { now, id: &id, topic, publish, sequence, deduplication, settings };
        let wanting: Vec<Arc<Subscription>> = self
            .of_topic(&topic.name)
            .filter(|ready| ready.wants(publish))
            .map(|ready| Arc::clone(&ready.subscription))
            .collect();
        for subscription in wanting {
            let delivery = self.deliver(&notice, &subscription, out);
            deliveries.push(delivery);
        }
        Ok(Published { id, sequence })
    }

    fn deliver(
        &mut self,
        notice: &Notice<'_>,
        subscription: &Subscription,
        out: &mut Vec<Write>,
    ) -> Delivery {
        let send = notice.send(subscription);
        let redrive = subscription.redrive.as_ref();
        let letter = redrive.map(|redrive| (Arc::clone(&redrive.queue), Box::new(send.clone())));
        let endpoint = Arc::clone(&subscription.endpoint);
        let to = match subscription.protocol {
            Protocol::Queue if send.attributes.len() > ATTRIBUTES_MAX => {
                let why = "a raw message in a queue has at most 10 attributes".into();
                To::Nowhere { endpoint, why }
            }
            Protocol::Queue => To::Queue { arn: endpoint, send: Box::new(send) },
            Protocol::Function => {
                let payload = notice.event(subscription).to_text().into();
                To::Function { arn: endpoint, payload }
            }
            Protocol::Http | Protocol::Https => {
                let headers = notice.headers(subscription);
                match self.notify(subscription, notice.topic, headers, send, notice.settings, out) {
                    Ok(number) => return Delivery { to: To::Endpoint(number), dead_letter: None },
                    Err(why) => To::Nowhere { endpoint, why: why.into() },
                }
            }
        };
        Delivery { to, dead_letter: letter }
    }

    pub(super) fn publish_batch(
        &mut self,
        now: Timestamp,
        topic: &Topic,
        entries: &[(Arc<str>, Result<Publish, ApiError>)],
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Json {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for (id, publish) in entries {
            let entry = ("Id", Json::String(Arc::clone(id)));
            let published = publish.as_ref().map_err(Clone::clone);
            let published = published
                .and_then(|publish| self.publish(now, topic, publish, settings, out, deliveries));
            match published {
                Ok(published) => {
                    done.push(Json::object([entry].into_iter().chain(published.members())));
                }
                Err(error) => failed.push(Json::object([
                    entry,
                    ("Code", Json::from(&*error.code)),
                    ("Message", error.message.as_str().into()),
                    ("SenderFault", true.into()),
                ])),
            }
        }
        Json::object([("Successful", Json::array(done)), ("Failed", Json::array(failed))])
    }
}

impl Publish {
    /// What this is known by so that it is not taken twice. `None`: its topic is no FIFO topic.
    fn deduplication_on(&self, topic: &Topic) -> Result<Option<Arc<str>>, ApiError> {
        if !topic.is_fifo() {
            if self.deduplication.is_some() {
                let why = "Reason: The request includes MessageDeduplicationId parameter that is \
                           not valid for this topic type";
                return Err(invalid("MessageDeduplicationId", why));
            }
            return Ok(None);
        }
        if self.group.is_none() {
            return Err(invalid("The MessageGroupId parameter is required for FIFO topics", ""));
        }
        if let Some(id) = &self.deduplication {
            return Ok(Some(Arc::clone(id)));
        }
        if !topic.is("ContentBasedDeduplication") {
            let why = "The topic should either have ContentBasedDeduplication enabled or \
                       MessageDeduplicationId provided explicitly";
            return Err(invalid(why, ""));
        }
        let sum = Sha256::digest(self.message.as_bytes());
        Ok(Some(hex(&sum).into()))
    }
}

impl Topic {
    /// Whether it is a FIFO topic.
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    /// Whether an attribute of it is `true`.
    pub(super) fn is(&self, name: &str) -> bool {
        let mut given = self.attributes.iter();
        given.any(|(known, value)| **known == *name && value.eq_ignore_ascii_case("true"))
    }

    fn deduplication_key(&self, id: &Arc<str>, publish: &Publish) -> Arc<str> {
        let mut given = self.attributes.iter();
        let by_group = given
            .any(|(name, value)| **name == *"FifoThroughputScope" && **value == *"MessageGroup");
        match &publish.group {
            Some(group) if by_group => format!("{group}\n{id}").into(),
            _ => Arc::clone(id),
        }
    }
}

impl Ready {
    fn wants(&self, publish: &Publish) -> bool {
        let subscription = &self.subscription;
        if subscription.pending.is_some() {
            return false;
        }
        let Some(filter) = &self.filter else { return true };
        let message = publish.message_for(subscription.protocol);
        super::filter::lets_through(filter, subscription.scope(), message, publish)
    }
}

/// A message on its way to subscribers.
struct Notice<'a> {
    now: Timestamp,
    id: &'a Arc<str>,
    topic: &'a Topic,
    publish: &'a Publish,
    sequence: Option<u64>,
    deduplication: Option<Arc<str>>,
    settings: &'a Settings,
}

impl Notice<'_> {
    /// What a queue gets, or an HTTP endpoint: the envelope, or the message alone.
    fn send(&self, subscription: &Subscription) -> Send {
        let (body, attributes) = if subscription.raw {
            let message = self.publish.message_for(subscription.protocol);
            (Arc::clone(message), self.publish.attributes.clone())
        } else {
            (self.envelope(subscription).to_text().into(), Vec::new())
        };
        let group = self.publish.group.clone();
        Send {
            body,
            attributes,
            group,
            deduplication: self.deduplication.clone(),
            ..Send::default()
        }
    }

    fn headers(&self, subscription: &Subscription) -> Vec<(Arc<str>, Arc<str>)> {
        let mut headers = headers("Notification", self.id, &self.topic.name, self.settings);
        headers.push(("x-amz-sns-subscription-arn".into(), subscription.arn(self.settings).into()));
        if subscription.raw {
            headers.push(("x-amz-sns-rawdelivery".into(), "true".into()));
        }
        headers
    }

    fn envelope(&self, subscription: &Subscription) -> Json {
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        let message = self.publish.message_for(subscription.protocol);
        let mut members = vec![("Type", Json::from("Notification")), ("MessageId", text(self.id))];
        members.extend(self.sequence.map(|n| ("SequenceNumber", sequence_number(n).into())));
        members.push(("TopicArn", arn(&subscription.topic, self.settings).into()));
        members.extend(self.publish.subject.as_ref().map(|subject| ("Subject", text(subject))));
        members.push(("Message", text(message)));
        members.push(("Timestamp", self.now.rfc3339().into()));
        members.extend(signature(self.topic, self.id, message, "SigningCertURL", self.settings));
        members.push(("UnsubscribeURL", unsubscribe_url(subscription, self.settings).into()));
        if !self.publish.attributes.is_empty() {
            members.push(("MessageAttributes", self.attributes()));
        }
        Json::object(members)
    }

    fn attributes(&self) -> Json {
        let attributes = self.publish.attributes.iter().map(|(name, attribute)| {
            let value = match &attribute.value {
                AttributeValue::Text(value) => Json::String(Arc::clone(value)),
                AttributeValue::Binary(bytes) => STANDARD.encode(bytes).into(),
            };
            let kind = ("Type", Json::String(Arc::clone(&attribute.kind)));
            (Arc::clone(name), Json::object([kind, ("Value", value)]))
        });
        Json::object(attributes)
    }

    /// What a function gets. Source: AWS Lambda developer guide, "Using AWS Lambda with Amazon SNS".
    fn event(&self, subscription: &Subscription) -> Json {
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        let message = self.publish.message_for(subscription.protocol);
        let subject = self.publish.subject.as_ref().map_or(Json::Null, text);
        let mut sns = vec![
            ("Type", Json::from("Notification")),
            ("MessageId", text(self.id)),
            ("TopicArn", arn(&subscription.topic, self.settings).into()),
            ("Subject", subject),
            ("Message", text(message)),
            ("Timestamp", self.now.rfc3339().into()),
        ];
        sns.extend(signature(self.topic, self.id, message, "SigningCertUrl", self.settings));
        sns.push(("UnsubscribeUrl", unsubscribe_url(subscription, self.settings).into()));
        sns.push(("MessageAttributes", self.attributes()));
        let record = Json::object([
            ("EventSource", Json::from("aws:sns")),
            ("EventVersion", "1.0".into()),
            ("EventSubscriptionArn", subscription.arn(self.settings).into()),
            ("Sns", Json::object(sns)),
        ]);
        Json::object([("Records", Json::array([record]))])
    }
}

/// Headers of every document for an HTTP endpoint.
pub(super) fn headers(
    kind: &str,
    id: &Arc<str>,
    topic: &str,
    settings: &Settings,
) -> Vec<(Arc<str>, Arc<str>)> {
    vec![
        ("user-agent".into(), "Amazon Simple Notification Service Agent".into()),
        ("x-amz-sns-message-type".into(), kind.into()),
        ("x-amz-sns-message-id".into(), Arc::clone(id)),
        ("x-amz-sns-topic-arn".into(), arn(topic, settings).into()),
    ]
}

/// The members that are there to be checked. Only this node could check these; what goes to HTTP
/// endpoints is signed again when it leaves, with the key of a certificate.
pub(super) fn signature(
    topic: &Topic,
    id: &str,
    message: &str,
    certificate: &'static str,
    settings: &Settings,
) -> [(&'static str, Json); 3] {
    let mut signature = Sha256::new();
    signature.update(settings.secret);
    signature.update(id.as_bytes());
    signature.update(message.as_bytes());
    let version = topic.attributes.iter().find(|(name, _)| **name == *"SignatureVersion");
    let version = version.map_or("1", |(_, value)| value);
    let url = &settings.url;
    [
        ("SignatureVersion", Json::from(version)),
        ("Signature", STANDARD.encode(signature.finalize()).into()),
        (certificate, format!("{url}/SimpleNotificationService-none.pem").into()),
    ]
}

pub(super) fn unsubscribe_url(subscription: &Subscription, settings: &Settings) -> String {
    let arn = subscription.arn(settings);
    format!("{}/?Action=Unsubscribe&SubscriptionArn={arn}", settings.url)
}
