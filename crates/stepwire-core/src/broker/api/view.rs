//! Operations that only tell.

use std::ops::Bound;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::{Json, Timestamp};

use super::super::Broker;
use super::super::session::SessionRecord;
use super::Page;
use super::call::missing;
use crate::error::ApiError;
use crate::message::{Message, QoS};

impl Broker {
    /// How a client is connected, or was last; known for an hour after its session has ended.
    pub(super) fn connection(&self, client: &str, sockets: bool) -> Result<Json, ApiError> {
        let id = self.sessions.find(client);
        let session = id.and_then(|id| self.sessions.get(id));
        let record = &session.ok_or_else(|| missing("The client is not known."))?.record;
        Ok(described(record, sockets))
    }

    /// The filters of a session, in order.
    pub(super) fn subscriptions_of(&self, client: &str, page: &Page) -> Result<Json, ApiError> {
        let id = self.sessions.find(client);
        let session = id.and_then(|id| self.sessions.get(id));
        let session =
            session.filter(|session| session.record.connected || session.record.expiry_s > 0);
        let session = session
            .ok_or_else(|| missing("The client is not connected and has no persistent session."))?;
        let subscriptions = session.subscriptions.range::<str, _>(after(page));
        let mut found: Vec<(&Arc<str>, Json)> = subscriptions
            .take(page.max + 1)
            .map(|(filter, subscription)| {
                let members = [
                    ("topicFilter", Json::string(Arc::clone(filter))),
                    ("qos", qos(subscription.options.qos)),
                ];
                (filter, Json::object(members))
            })
            .collect();
        Ok(listed("subscriptions", &mut found, page))
    }

    /// The retained message of a topic, its payload in base64.
    pub(super) fn retained_message(&self, topic: &str, now: Timestamp) -> Result<Json, ApiError> {
        let message = self.retained(topic, now);
        let message = message.ok_or_else(|| missing("No message is retained for the topic."))?;
        let mut members = vec![
            ("topic", Json::string(Arc::clone(&message.topic))),
            ("payload", Json::from(STANDARD.encode(&message.payload))),
            ("qos", qos(message.qos)),
            ("lastModifiedTime", Json::from(message.at.0)),
        ];
        let user = &message.properties.user_properties;
        if !user.is_empty() {
            let pairs = user.iter().map(|(name, value)| {
                Json::object([(Arc::clone(name), Json::string(Arc::clone(value)))])
            });
            let text = Json::array(pairs).to_text();
            members.push(("userProperties", Json::from(STANDARD.encode(text))));
        }
        Ok(Json::object(members))
    }

    /// Topics with a retained message, in order.
    pub(super) fn retained_topics(&self, page: &Page, now: Timestamp) -> Json {
        let messages = self.retained.within(after(page), now);
        let mut found: Vec<(&Arc<str>, Json)> =
            messages.take(page.max + 1).map(|message| (&message.topic, summary(message))).collect();
        listed("retainedTopics", &mut found, page)
    }
}

fn described(record: &SessionRecord, sockets: bool) -> Json {
    let client = &record.client;
    let mut members = vec![
        ("clientId", Json::string(Arc::clone(&client.id))),
        ("connected", Json::from(record.connected)),
        ("cleanSession", Json::from(record.expiry_s == 0)),
        ("sessionExpiry", Json::from(i64::from(record.expiry_s))),
        ("keepAliveDuration", Json::from(i64::from(record.keep_alive_s))),
    ];
    let since = if record.connected { "connectedSince" } else { "disconnectedSince" };
    members.push((since, Json::from(record.since.0)));
    let reason = record.disconnect_reason.filter(|_| !record.connected);
    members.extend(reason.map(|reason| ("disconnectReason", Json::from(reason.name()))));
    members.extend(client.thing.clone().map(|thing| ("thingName", Json::string(thing))));
    members.extend(sockets.then(|| ("sourceIp", Json::from(client.ip.to_string()))));
    Json::object(members)
}

fn summary(message: &Message) -> Json {
    Json::object([
        ("topic", Json::string(Arc::clone(&message.topic))),
        ("payloadSize", Json::from(message.payload.len() as i64)),
        ("qos", qos(message.qos)),
        ("lastModifiedTime", Json::from(message.at.0)),
    ])
}

/// A page of what was found, which has one entry more than the page when there is more.
fn listed(member: &'static str, found: &mut Vec<(&Arc<str>, Json)>, page: &Page) -> Json {
    let more = found.len() > page.max;
    found.truncate(page.max);
    let next = found.last().filter(|_| more).map(|(name, _)| Arc::clone(name));
    let entries = Json::array(found.drain(..).map(|(_, entry)| entry));
    let next = next.map(|next| ("nextToken", Json::string(next)));
    Json::object([(member, entries)].into_iter().chain(next))
}

fn after(page: &Page) -> (Bound<&str>, Bound<&str>) {
    let from = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    (from, Bound::Unbounded)
}

fn qos(qos: QoS) -> Json {
    Json::from(qos as i64)
}
