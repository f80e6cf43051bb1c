//! From packets to bytes.

use crate::message::Properties;
use crate::mqtt::{
    Ack, ConnAck, Disconnect, Packet, Publish, ReasonCode, SubAck, Version, varint_len,
};
use bytes::{BufMut, BytesMut};

use super::{kind, property};

/// A packet with a part that no MQTT packet has room for. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not fit into an MQTT packet")]
pub struct TooLong;

/// Appends `packet` as a server sends it. What a server never sends, and AUTH, write nothing.
pub fn encode(version: Version, packet: &Packet, into: &mut BytesMut) -> Result<(), TooLong> {
    match packet {
        Packet::Publish(packet) => return publish(version, packet, into),
        Packet::ConnAck(packet) => connack(version, packet, into),
        Packet::PubAck(packet) => ack(version, kind::PUBACK << 4, *packet, into),
        Packet::PubRec(packet) => ack(version, kind::PUBREC << 4, *packet, into),
        Packet::PubRel(packet) => ack(version, kind::PUBREL << 4 | 2, *packet, into),
        Packet::PubComp(packet) => ack(version, kind::PUBCOMP << 4, *packet, into),
        Packet::SubAck(packet) => suback(version, packet, into),
        Packet::UnsubAck(packet) => unsuback(version, packet, into),
        Packet::PingResp => head(kind::PINGRESP << 4, 0, into),
        Packet::Disconnect(packet) => disconnect(version, packet, into),
        Packet::Connect(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::PingReq
        | Packet::Auth(_) => {}
    }
    Ok(())
}

/// The longest body of a packet.
const BODY_MAX: usize = 268_435_455;

fn publish(version: Version, packet: &Publish, into: &mut BytesMut) -> Result<(), TooLong> {
    let length = packet.encoded_len(version);
    if length > BODY_MAX || !fits(packet) {
        return Err(TooLong);
    }
    into.reserve(length);
    let flags = u8::from(packet.dup) << 3 | (packet.qos as u8) << 1 | u8::from(packet.retain);
    let mut body = 2 + packet.topic.len() + packet.payload.len();
    body += if packet.packet_id.is_some() { 2 } else { 0 };
    let properties = packet.properties_len();
    if version == Version::V5 {
        body += varint_len(properties) + properties;
    }
    head(kind::PUBLISH << 4 | flags, body, into);
    put_text(&packet.topic, into);
    if let Some(packet_id) = packet.packet_id {
        into.put_u16(packet_id.get());
    }
    if version == Version::V5 {
        put_varint(properties, into);
        publish_properties(packet, into);
    }
    into.put_slice(&packet.payload);
    Ok(())
}

/// Whether every text has a length of two bytes.
fn fits(packet: &Publish) -> bool {
    let Properties { content_type, response_topic, correlation_data, user_properties, .. } =
        &packet.properties;
    let short = |length: usize| u16::try_from(length).is_ok();
    short(packet.topic.len())
        && [content_type, response_topic].into_iter().flatten().all(|text| short(text.len()))
        && correlation_data.as_ref().is_none_or(|data| short(data.len()))
        && user_properties.iter().all(|(name, value)| short(name.len()) && short(value.len()))
}

fn publish_properties(packet: &Publish, into: &mut BytesMut) {
    let properties = &packet.properties;
    if let Some(is_utf8) = properties.payload_is_utf8 {
        into.put_slice(&[property::PAYLOAD_FORMAT, u8::from(is_utf8)]);
    }
    if let Some(seconds) = properties.message_expiry_s {
        into.put_u8(property::MESSAGE_EXPIRY);
        into.put_u32(seconds);
    }
    if let Some(alias) = packet.topic_alias {
        into.put_u8(property::TOPIC_ALIAS);
        into.put_u16(alias.get());
    }
    put_optional(property::RESPONSE_TOPIC, properties.response_topic.as_deref(), into);
    if let Some(data) = &properties.correlation_data {
        into.put_u8(property::CORRELATION_DATA);
        into.put_u16(data.len() as u16);
        into.put_slice(data);
    }
    for (name, value) in &properties.user_properties {
        into.put_u8(property::USER);
        put_text(name, into);
        put_text(value, into);
    }
    for id in &packet.subscription_ids {
        into.put_u8(property::SUBSCRIPTION_ID);
        put_varint(*id as usize, into);
    }
    put_optional(property::CONTENT_TYPE, properties.content_type.as_deref(), into);
}

fn connack(version: Version, packet: &ConnAck, into: &mut BytesMut) {
    let present = u8::from(packet.session_present);
    if version < Version::V5 {
        // where it has no code, the broker closes without an answer
        let code = packet.reason.connect_return_code().unwrap_or(3);
        // MQTT 3.1 has no session present flag
        let present = if version == Version::V31 { 0 } else { present };
        head(kind::CONNACK << 4, 2, into);
        return into.put_slice(&[present, code]);
    }
    let mut properties = BytesMut::new();
    connack_properties(packet, &mut properties);
    head(kind::CONNACK << 4, 2 + varint_len(properties.len()) + properties.len(), into);
    into.put_slice(&[present, packet.reason as u8]);
    put_varint(properties.len(), into);
    into.put_slice(&properties);
}

fn connack_properties(packet: &ConnAck, into: &mut BytesMut) {
    if let Some(seconds) = packet.session_expiry_s {
        into.put_u8(property::SESSION_EXPIRY);
        into.put_u32(seconds);
    }
    if let Some(count) = packet.receive_maximum {
        into.put_u8(property::RECEIVE_MAXIMUM);
        into.put_u16(count);
    }
    if let Some(bytes) = packet.packet_bytes_max {
        into.put_u8(property::PACKET_BYTES_MAX);
        into.put_u32(bytes);
    }
    if let Some(qos) = packet.qos_max {
        into.put_u8(property::QOS_MAX);
        into.put_u8(qos as u8);
    }
    if let Some(available) = packet.subscription_ids_available {
        into.put_u8(property::SUBSCRIPTION_IDS_AVAILABLE);
        into.put_u8(u8::from(available));
    }
    put_optional(property::ASSIGNED_CLIENT_ID, packet.assigned_client_id.as_deref(), into);
    if let Some(count) = packet.topic_alias_max {
        into.put_u8(property::TOPIC_ALIAS_MAX);
        into.put_u16(count);
    }
    put_optional(property::REASON_STRING, packet.reason_string.as_deref(), into);
    if let Some(seconds) = packet.server_keep_alive_s {
        into.put_u8(property::SERVER_KEEP_ALIVE);
        into.put_u16(seconds);
    }
}

fn ack(version: Version, first: u8, ack: Ack, into: &mut BytesMut) {
    let says_why = version == Version::V5 && ack.reason != ReasonCode::Success;
    head(first, if says_why { 3 } else { 2 }, into);
    into.put_u16(ack.packet_id.get());
    if says_why {
        into.put_u8(ack.reason as u8);
    }
}

fn suback(version: Version, packet: &SubAck, into: &mut BytesMut) {
    if version == Version::V5 {
        return reasons(kind::SUBACK, packet, into);
    }
    head(kind::SUBACK << 4, 2 + packet.reasons.len(), into);
    into.put_u16(packet.packet_id.get());
    for reason in &packet.reasons {
        into.put_u8(if reason.is_error() { 0x80 } else { *reason as u8 });
    }
}

fn unsuback(version: Version, packet: &SubAck, into: &mut BytesMut) {
    if version == Version::V5 {
        return reasons(kind::UNSUBACK, packet, into);
    }
    head(kind::UNSUBACK << 4, 2, into);
    into.put_u16(packet.packet_id.get());
}

fn reasons(kind: u8, packet: &SubAck, into: &mut BytesMut) {
    head(kind << 4, 3 + packet.reasons.len(), into);
    into.put_u16(packet.packet_id.get());
    into.put_u8(0);
    for reason in &packet.reasons {
        into.put_u8(*reason as u8);
    }
}

fn disconnect(version: Version, packet: &Disconnect, into: &mut BytesMut) {
    // before MQTT 5.0 only clients say goodbye
    if version < Version::V5 {
        return;
    }
    let mut properties = BytesMut::new();
    put_optional(property::REASON_STRING, packet.reason_string.as_deref(), &mut properties);
    // with the length of no properties, too: it may be left out, but not every client knows
    head(kind::DISCONNECT << 4, 1 + varint_len(properties.len()) + properties.len(), into);
    into.put_u8(packet.reason as u8);
    put_varint(properties.len(), into);
    into.put_slice(&properties);
}

fn head(first: u8, body: usize, into: &mut BytesMut) {
    into.put_u8(first);
    put_varint(body, into);
}

fn put_varint(mut number: usize, into: &mut BytesMut) {
    loop {
        let low = (number & 0x7F) as u8;
        number >>= 7;
        if number == 0 {
            return into.put_u8(low);
        }
        into.put_u8(low | 0x80);
    }
}

fn put_optional(id: u8, text: Option<&str>, into: &mut BytesMut) {
    if let Some(text) = text {
        into.put_u8(id);
        put_text(text, into);
    }
}

/// Texts of our own are short; those of messages were checked.
fn put_text(text: &str, into: &mut BytesMut) {
    debug_assert!(u16::try_from(text.len()).is_ok(), "text longer than its length field");
    into.put_u16(text.len() as u16);
    into.put_slice(text.as_bytes());
}
