//! Publishing: a message goes to every queue whose subscription lets it through.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use stepwire_asl::json::Number;
use stepwire_asl::{Json, Timestamp};

use super::record::{Subscription, Topic};
use super::{Publish, Ready, Topics, Write, arn};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::queues::{Attribute, AttributeValue, Send};
use crate::settings::Settings;

/// Most attributes that a message in a queue can have.
const ATTRIBUTES_MAX: usize = 10;

/// A message for a queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivery {
    /// ARN of the queue.
    pub(crate) queue: Arc<str>,
    /// What is sent to it.
    pub(crate) send: Send,
}

impl Topics {
    /// Publishes a message: its id, and what its topic's subscriptions have delivered.
    pub(crate) fn publish(
        &mut self,
        now: Timestamp,
        topic: &Topic,
        publish: &Publish,
        settings: &Settings,
        out: &mut Vec<Write>,
        deliveries: &mut Vec<Delivery>,
    ) -> Arc<str> {
        let number = self.number(out);
        let id: Arc<str> = derived_uuid(&settings.secret, "notification", &[number]).into();
        for ready in self.of_topic(&topic.name).filter(|ready| ready.wants(publish)) {
            let subscription = &ready.subscription;
            let send = if subscription.raw {
                let attributes = if publish.attributes.len() > ATTRIBUTES_MAX {
                    Vec::new()
                } else {
                    publish.attributes.clone()
                };
                Send { body: Arc::clone(&publish.message), attributes, ..Send::default() }
            } else {
                let body = envelope(now, &id, subscription, publish, settings);
                Send { body: body.to_text().into(), ..Send::default() }
            };
            deliveries.push(Delivery { queue: Arc::clone(&subscription.endpoint), send });
        }
        id
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
            match publish {
                Ok(publish) => {
                    let id = self.publish(now, topic, publish, settings, out, deliveries);
                    done.push(Json::object([entry, ("MessageId", Json::String(id))]));
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

impl Ready {
    fn wants(&self, publish: &Publish) -> bool {
        let Some(filter) = &self.filter else { return true };
        if self.subscription.filters_body {
            return Json::parse(&publish.message).is_ok_and(|message| filter.matches(&message));
        }
        let attributes = publish.attributes.iter();
        let attributes =
            attributes.map(|(name, attribute)| (Arc::clone(name), filtered(attribute)));
        filter.matches(&Json::object(attributes))
    }
}

/// An attribute as filters look at it.
fn filtered(attribute: &Attribute) -> Json {
    match &attribute.value {
        AttributeValue::Text(text) => match &*attribute.kind {
            "String.Array" => Json::parse(text).unwrap_or_else(|_| Json::String(Arc::clone(text))),
            kind if kind.starts_with("Number") => {
                Number::from_text(text).map_or_else(|| Json::String(Arc::clone(text)), Json::Number)
            }
            _ => Json::String(Arc::clone(text)),
        },
        AttributeValue::Binary(_) => Json::Null,
    }
}

/// What a queue gets unless it asked for the message alone.
fn envelope(
    now: Timestamp,
    id: &Arc<str>,
    subscription: &Subscription,
    publish: &Publish,
    settings: &Settings,
) -> Json {
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    let mut members = vec![
        ("Type", Json::from("Notification")),
        ("MessageId", text(id)),
        ("TopicArn", arn(&subscription.topic, settings).into()),
    ];
    members.extend(publish.subject.as_ref().map(|subject| ("Subject", text(subject))));
    members.push(("Message", text(&publish.message)));
    members.push(("Timestamp", now.rfc3339().into()));
    // Only this node could check it: there is no certificate of Amazon's here.
    let mut signature = Sha256::new();
    signature.update(settings.secret);
    signature.update(id.as_bytes());
    signature.update(publish.message.as_bytes());
    let url = &settings.url;
    members.extend([
        ("SignatureVersion", Json::from("1")),
        ("Signature", STANDARD.encode(signature.finalize()).into()),
        ("SigningCertURL", format!("{url}/SimpleNotificationService-none.pem").into()),
        (
            "UnsubscribeURL",
            format!("{url}/?Action=Unsubscribe&SubscriptionArn={}", subscription.arn(settings))
                .into(),
        ),
    ]);
    if !publish.attributes.is_empty() {
        let attributes = publish.attributes.iter().map(|(name, attribute)| {
            let value = match &attribute.value {
                AttributeValue::Text(value) => text(value),
                AttributeValue::Binary(bytes) => STANDARD.encode(bytes).into(),
            };
            (Arc::clone(name), Json::object([("Type", text(&attribute.kind)), ("Value", value)]))
        });
        members.push(("MessageAttributes", Json::object(attributes)));
    }
    Json::object(members)
}
