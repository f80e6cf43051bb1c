//! Events about connections and subscriptions, as AWS IoT Core publishes them.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stepwire_asl::{Json, Timestamp};

use super::ending::DisconnectReason;
use super::session::SessionRecord;
use crate::message::{Client, Message};

/// The connection is open.
pub(super) fn connected(record: &SessionRecord) -> Option<Message> {
    let client = &record.client;
    let members = [
        ("ipAddress", Json::from(client.ip.to_string())),
        ("versionNumber", Json::from(record.version_number as i64)),
    ];
    event(client, "presence", "connected", members, record.since)
}

/// The connection is closed, for `reason`.
pub(super) fn disconnected(record: &SessionRecord, reason: DisconnectReason) -> Option<Message> {
    let by_client = reason == DisconnectReason::ClientInitiated;
    let members = [
        ("clientInitiatedDisconnect", Json::from(by_client)),
        ("disconnectReason", Json::from(reason.name())),
        ("versionNumber", Json::from(record.version_number as i64)),
    ];
    event(&record.client, "presence", "disconnected", members, record.since)
}

/// The client may not connect, or may not publish its will.
pub(super) fn connect_failed(client: &Client, at: Timestamp) -> Option<Message> {
    let members = [
        ("ipAddress", Json::from(client.ip.to_string())),
        ("connectFailureReason", Json::from("AUTHORIZATION_FAILED")),
    ];
    event(client, "presence", "connect_failed", members, at)
}

/// The client has subscribed or unsubscribed.
pub(super) fn filters_changed(
    client: &Client,
    what: &str,
    filters: &[Arc<str>],
    at: Timestamp,
) -> Option<Message> {
    let topics = Json::array(filters.iter().map(|filter| Json::string(Arc::clone(filter))));
    event(client, "subscriptions", what, [("topics", topics)], at)
}

/// No client identifier with wildcards has events: they could not be subscribed to.
fn event<const N: usize>(
    client: &Client,
    family: &str,
    what: &str,
    more: [(&'static str, Json); N],
    at: Timestamp,
) -> Option<Message> {
    let id = &client.id;
    if id.contains(['+', '#']) {
        return None;
    }
    let principal = Arc::clone(client.identity.name());
    let mut members = vec![("clientId", Json::string(Arc::clone(id)))];
    // A certificate with many things is no proof of which one this is.
    let thing = client.thing.clone().filter(|_| client.exclusive);
    members.extend(thing.map(|thing| ("thingName", Json::string(thing))));
    members.extend([
        ("timestamp", Json::from(at.0)),
        ("eventType", Json::from(what)),
        ("sessionIdentifier", Json::string(Arc::clone(&client.session))),
        ("principalIdentifier", Json::string(principal)),
    ]);
    members.extend(more);
    let payload = Json::object(members).to_text();
    Some(Message::service(format!("$aws/events/{family}/{what}/{id}"), payload, at))
}

/// An identifier that only the holder of `secret` can foresee, as UUID text: the same parts give
/// the same one.
pub(super) fn identifier(
    secret: &[u8; 32],
    purpose: &str,
    name: &str,
    numbers: [i64; 2],
) -> Arc<str> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    for number in numbers {
        mac.update(&number.to_be_bytes());
    }
    mac.update(name.as_bytes());
    let digest = mac.finalize().into_bytes();
    let mut text = String::with_capacity(36);
    for (at, byte) in digest.iter().take(16).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match at {
            // version 8 (own making), variant 1 (RFC 9562)
            6 => byte & 0x0F | 0x80,
            8 => byte & 0x3F | 0x80,
            _ => *byte,
        };
        text.extend([byte >> 4, byte & 0xF].map(|digit| HEX[usize::from(digit)]));
    }
    text.into()
}

const HEX: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
