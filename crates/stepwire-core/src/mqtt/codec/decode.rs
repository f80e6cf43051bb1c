//! From bytes to packets.

use std::num::NonZeroU16;
use std::sync::Arc;

use crate::message::{Properties, QoS};
use crate::mqtt::{
    Ack, Auth, Connect, Disconnect, Packet, PacketId, Publish, ReasonCode, RetainHandling,
    Subscribe, SubscriptionOptions, Unsubscribe, UserProperties, Version, Will,
};
use bytes::Bytes;

use super::{kind, property};

type Result<T> = std::result::Result<T, ReasonCode>;

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;

/// Topic filters of one packet. A byte of a filter takes many in memory.
const FILTERS_MAX: usize = 4_096;
/// User properties of one packet, for the same reason.
const USER_PROPERTIES_MAX: usize = 1_024;

/// A CONNECT that cannot be answered with packets of its own version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// It is not a CONNECT, or its version cannot be told.
    NotMqtt,
    /// A protocol level we do not know: CONNACK with return code 1 is the answer.
    Level,
    /// The level is known, and something is wrong.
    Invalid(Version, ReasonCode),
}

/// Reads a CONNECT: the first packet, which says what version the others have.
pub fn decode_connect(first: u8, body: &[u8]) -> std::result::Result<Connect, Unsupported> {
    let mut reader = Reader { rest: body };
    let name = reader.binary().map_err(|_| Unsupported::NotMqtt)?;
    let level = reader.u8().map_err(|_| Unsupported::NotMqtt)?;
    if first >> 4 != kind::CONNECT {
        return Err(Unsupported::NotMqtt);
    }
    let version = match (name, level) {
        (b"MQIsdp", 3) => Version::V31,
        (b"MQTT", 4) => Version::V311,
        (b"MQTT", 5) => Version::V5,
        (b"MQIsdp" | b"MQTT", _) => return Err(Unsupported::Level),
        _ => return Err(Unsupported::NotMqtt),
    };
    if first & 0x0F != 0 && version != Version::V31 {
        return Err(Unsupported::Invalid(version, MALFORMED));
    }
    connect(version, reader).map_err(|reason| Unsupported::Invalid(version, reason))
}

/// Reads any packet that a client sends after CONNECT. An error is the reason to close with.
pub fn decode(version: Version, first: u8, body: &[u8]) -> Result<Packet> {
    let reader = Reader { rest: body };
    let flags = first & 0x0F;
    let expected = match first >> 4 {
        kind::PUBLISH => return publish(version, flags, body),
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 0b0010,
        _ => 0,
    };
    // MQTT 3.1 has a DUP flag there
    let flags = if version == Version::V31 { flags & 0b0111 } else { flags };
    if flags != expected {
        return Err(MALFORMED);
    }
    match first >> 4 {
        kind::PUBACK => ack(version, reader, PUBACK_REASONS).map(Packet::PubAck),
        kind::PUBREC => ack(version, reader, PUBACK_REASONS).map(Packet::PubRec),
        kind::PUBREL => ack(version, reader, PUBREL_REASONS).map(Packet::PubRel),
        kind::PUBCOMP => ack(version, reader, PUBREL_REASONS).map(Packet::PubComp),
        kind::SUBSCRIBE => subscribe(version, reader).map(Packet::Subscribe),
        kind::UNSUBSCRIBE => unsubscribe(version, reader).map(Packet::Unsubscribe),
        kind::PINGREQ => reader.end().map(|()| Packet::PingReq),
        kind::DISCONNECT => disconnect(version, reader).map(Packet::Disconnect),
        kind::AUTH if version == Version::V5 => auth(reader).map(Packet::Auth),
        // a second CONNECT, and what only servers send
        kind::CONNECT | kind::CONNACK | kind::SUBACK | kind::UNSUBACK | kind::PINGRESP => {
            Err(ReasonCode::ProtocolError)
        }
        _ => Err(MALFORMED),
    }
}

fn connect(version: Version, mut reader: Reader<'_>) -> Result<Connect> {
    let flags = ConnectFlags(reader.u8()?);
    flags.check(version)?;
    let keep_alive_s = reader.u16()?;
    let properties = reader.properties(version, CONNECT_PROPERTIES)?;
    if properties.auth_data.is_some() && properties.auth_method.is_none() {
        return Err(ReasonCode::ProtocolError);
    }
    let client_id = reader.name()?;
    let will = if flags.will() { Some(Box::new(will(version, &mut reader, flags)?)) } else { None };
    let username = if flags.username() { Some(reader.name()?.into()) } else { None };
    let password =
        if flags.password() { Some(Bytes::copy_from_slice(reader.binary()?)) } else { None };
    let client_id = client_id.into();
    reader.end()?;
    Ok(Connect {
        version,
        client_id,
        clean_start: flags.clean_start(),
        keep_alive_s,
        session_expiry_s: match version {
            Version::V5 => properties.session_expiry_s.unwrap_or(0),
            _ if flags.clean_start() => 0,
            _ => u32::MAX,
        },
        receive_maximum: properties.receive_maximum,
        packet_bytes_max: properties.packet_bytes_max,
        topic_alias_max: properties.topic_alias_max.unwrap_or(0),
        request_response_info: properties.request_response_info.unwrap_or(false),
        request_problem_info: properties.request_problem_info.unwrap_or(true),
        user_properties: properties.user,
        username,
        password,
        will,
        auth_method: properties.auth_method,
        auth_data: properties.auth_data,
    })
}

/// The flags of CONNECT (MQTT 5.0, 3.1.2.3).
#[derive(Clone, Copy)]
struct ConnectFlags(u8);

impl ConnectFlags {
    fn clean_start(self) -> bool {
        self.0 & 0x02 != 0
    }

    fn will(self) -> bool {
        self.0 & 0x04 != 0
    }

    fn will_qos(self) -> u8 {
        self.0 >> 3 & 0x03
    }

    fn will_retain(self) -> bool {
        self.0 & 0x20 != 0
    }

    fn password(self) -> bool {
        self.0 & 0x40 != 0
    }

    fn username(self) -> bool {
        self.0 & 0x80 != 0
    }

    fn check(self, version: Version) -> Result<()> {
        let reserved = self.0 & 0x01 != 0 && version != Version::V31;
        let will_without_flag = !self.will() && (self.will_qos() > 0 || self.will_retain());
        let lone_password = self.password() && !self.username() && version != Version::V5;
        if reserved || will_without_flag || lone_password { Err(MALFORMED) } else { Ok(()) }
    }
}

fn will(version: Version, reader: &mut Reader<'_>, flags: ConnectFlags) -> Result<Will> {
    let properties = reader.properties(version, WILL_PROPERTIES)?;
    let topic: Arc<str> = reader.name()?.into();
    let payload = Bytes::copy_from_slice(reader.binary()?);
    check_format(&properties, &payload)?;
    Ok(Will {
        topic,
        payload,
        qos: qos(flags.will_qos())?,
        retain: flags.will_retain(),
        delay_s: properties.will_delay_s.unwrap_or(0),
        properties: properties.of_message(),
    })
}

fn publish(version: Version, flags: u8, body: &[u8]) -> Result<Packet> {
    let mut reader = Reader { rest: body };
    let (dup, qos, retain) = (flags & 8 != 0, qos(flags >> 1 & 3)?, flags & 1 != 0);
    let topic: Arc<str> = reader.name()?.into();
    let packet_id = match qos {
        QoS::AtMostOnce if dup => return Err(MALFORMED),
        QoS::AtMostOnce => None,
        _ => Some(reader.packet_id()?),
    };
    let mut properties = reader.properties(version, PUBLISH_PROPERTIES)?;
    // a copy, so that a message does not keep the read buffer alive
    let payload = Bytes::copy_from_slice(reader.rest);
    check_format(&properties, &payload)?;
    Ok(Packet::Publish(Publish {
        dup,
        qos,
        retain,
        topic,
        packet_id,
        topic_alias: properties.topic_alias,
        subscription_ids: std::mem::take(&mut properties.subscription_ids),
        properties: properties.of_message(),
        payload,
    }))
}

/// A payload that says it is text must be.
fn check_format(properties: &Found, payload: &[u8]) -> Result<()> {
    if properties.payload_format == Some(true) && std::str::from_utf8(payload).is_err() {
        return Err(ReasonCode::PayloadFormatInvalid);
    }
    Ok(())
}

/// Reason codes of PUBACK and PUBREC.
const PUBACK_REASONS: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
/// Reason codes of PUBREL and PUBCOMP.
const PUBREL_REASONS: &[u8] = &[0x00, 0x92];
/// Reason codes of a client's DISCONNECT.
const DISCONNECT_REASONS: &[u8] =
    &[0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
/// Reason codes of a client's AUTH.
const AUTH_REASONS: &[u8] = &[0x18, 0x19];

fn ack(version: Version, mut reader: Reader<'_>, reasons: &[u8]) -> Result<Ack> {
    let packet_id = reader.packet_id()?;
    let mut reason = ReasonCode::Success;
    if version == Version::V5 && !reader.rest.is_empty() {
        reason = reader.reason(reasons)?;
        reader.trailing_properties(ACK_PROPERTIES)?;
    }
    reader.end()?;
    Ok(Ack { packet_id, reason })
}

fn subscribe(version: Version, mut reader: Reader<'_>) -> Result<Subscribe> {
    let packet_id = reader.packet_id()?;
    let properties = reader.properties(version, SUBSCRIBE_PROPERTIES)?;
    let mut filters = Vec::with_capacity(1);
    while !reader.rest.is_empty() {
        let filter = reader.filter()?.into();
        filters.push((filter, subscription_options(version, reader.u8()?)?));
        check_parts(filters.len(), FILTERS_MAX)?;
    }
    if filters.is_empty() || properties.subscription_ids.len() > 1 {
        return Err(ReasonCode::ProtocolError);
    }
    Ok(Subscribe {
        packet_id,
        filters,
        subscription_id: properties.subscription_ids.first().copied(),
        user_properties: properties.user,
    })
}

fn subscription_options(version: Version, byte: u8) -> Result<SubscriptionOptions> {
    let qos = qos(byte & 3)?;
    if version < Version::V5 {
        let plain = SubscriptionOptions { qos, ..SubscriptionOptions::default() };
        return if byte > 3 { Err(MALFORMED) } else { Ok(plain) };
    }
    let retain_handling = match byte >> 4 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => return Err(MALFORMED),
    };
    Ok(SubscriptionOptions {
        qos,
        no_local: byte & 4 != 0,
        retain_as_published: byte & 8 != 0,
        retain_handling,
    })
}

/// Whether a packet has no more of something than it may have.
fn check_parts(count: usize, max: usize) -> Result<()> {
    if count > max { Err(ReasonCode::QuotaExceeded) } else { Ok(()) }
}

fn unsubscribe(version: Version, mut reader: Reader<'_>) -> Result<Unsubscribe> {
    let packet_id = reader.packet_id()?;
    let properties = reader.properties(version, UNSUBSCRIBE_PROPERTIES)?;
    let mut filters = Vec::with_capacity(1);
    while !reader.rest.is_empty() {
        filters.push(reader.filter()?.into());
        check_parts(filters.len(), FILTERS_MAX)?;
    }
    if filters.is_empty() {
        return Err(ReasonCode::ProtocolError);
    }
    Ok(Unsubscribe { packet_id, filters, user_properties: properties.user })
}

fn disconnect(version: Version, mut reader: Reader<'_>) -> Result<Disconnect> {
    let mut disconnect = Disconnect::default();
    if version == Version::V5 && !reader.rest.is_empty() {
        disconnect.reason = reader.reason(DISCONNECT_REASONS)?;
        let properties = reader.trailing_properties(DISCONNECT_PROPERTIES)?;
        disconnect.session_expiry_s = properties.session_expiry_s;
        disconnect.reason_string = properties.reason_string;
    }
    reader.end()?;
    Ok(disconnect)
}

fn auth(mut reader: Reader<'_>) -> Result<Auth> {
    let reason = reader.reason(AUTH_REASONS)?;
    let properties = reader.trailing_properties(AUTH_PROPERTIES)?;
    reader.end()?;
    Ok(Auth { reason, method: properties.auth_method, data: properties.auth_data })
}

fn qos(bits: u8) -> Result<QoS> {
    match bits {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        2 => Ok(QoS::ExactlyOnce),
        _ => Err(MALFORMED),
    }
}

/// A set of property identifiers, one bit each.
const fn set(ids: &[u8]) -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < ids.len() {
        bits |= 1 << ids[at];
        at += 1;
    }
    bits
}

const CONNECT_PROPERTIES: u64 = set(&[
    property::SESSION_EXPIRY,
    property::RECEIVE_MAXIMUM,
    property::PACKET_BYTES_MAX,
    property::TOPIC_ALIAS_MAX,
    property::REQUEST_RESPONSE_INFO,
    property::REQUEST_PROBLEM_INFO,
    property::USER,
    property::AUTH_METHOD,
    property::AUTH_DATA,
]);
const WILL_PROPERTIES: u64 = set(&[
    property::WILL_DELAY,
    property::PAYLOAD_FORMAT,
    property::MESSAGE_EXPIRY,
    property::CONTENT_TYPE,
    property::RESPONSE_TOPIC,
    property::CORRELATION_DATA,
    property::USER,
]);
const PUBLISH_PROPERTIES: u64 = set(&[
    property::PAYLOAD_FORMAT,
    property::MESSAGE_EXPIRY,
    property::TOPIC_ALIAS,
    property::RESPONSE_TOPIC,
    property::CORRELATION_DATA,
    property::USER,
    property::SUBSCRIPTION_ID,
    property::CONTENT_TYPE,
]);
const ACK_PROPERTIES: u64 = set(&[property::REASON_STRING, property::USER]);
const SUBSCRIBE_PROPERTIES: u64 = set(&[property::SUBSCRIPTION_ID, property::USER]);
const UNSUBSCRIBE_PROPERTIES: u64 = set(&[property::USER]);
const DISCONNECT_PROPERTIES: u64 =
    set(&[property::SESSION_EXPIRY, property::REASON_STRING, property::USER]);
const AUTH_PROPERTIES: u64 =
    set(&[property::AUTH_METHOD, property::AUTH_DATA, property::REASON_STRING, property::USER]);

/// The properties of one packet.
#[derive(Default)]
struct Found {
    payload_format: Option<bool>,
    message_expiry_s: Option<u32>,
    content_type: Option<Arc<str>>,
    response_topic: Option<Arc<str>>,
    correlation_data: Option<Bytes>,
    subscription_ids: Vec<u32>,
    session_expiry_s: Option<u32>,
    auth_method: Option<Arc<str>>,
    auth_data: Option<Bytes>,
    request_problem_info: Option<bool>,
    will_delay_s: Option<u32>,
    request_response_info: Option<bool>,
    reason_string: Option<Arc<str>>,
    receive_maximum: Option<NonZeroU16>,
    topic_alias_max: Option<u16>,
    topic_alias: Option<NonZeroU16>,
    user: UserProperties,
    packet_bytes_max: Option<u32>,
}

impl Found {
    fn of_message(self) -> Properties {
        Properties {
            payload_is_utf8: self.payload_format,
            message_expiry_s: self.message_expiry_s,
            content_type: self.content_type,
            response_topic: self.response_topic,
            correlation_data: self.correlation_data,
            user_properties: self.user,
        }
    }

    fn read(&mut self, id: u8, reader: &mut Reader<'_>) -> Result<()> {
        match id {
            property::PAYLOAD_FORMAT => self.payload_format = Some(reader.bool()?),
            property::MESSAGE_EXPIRY => self.message_expiry_s = Some(reader.u32()?),
            property::CONTENT_TYPE => self.content_type = Some(reader.text()?.into()),
            property::RESPONSE_TOPIC => self.response_topic = Some(reader.name()?.into()),
            property::CORRELATION_DATA => {
                self.correlation_data = Some(Bytes::copy_from_slice(reader.binary()?));
            }
            property::SUBSCRIPTION_ID => match reader.varint()? {
                0 => return Err(ReasonCode::ProtocolError),
                id => self.subscription_ids.push(id),
            },
            property::SESSION_EXPIRY => self.session_expiry_s = Some(reader.u32()?),
            property::AUTH_METHOD => self.auth_method = Some(reader.text()?.into()),
            property::AUTH_DATA => self.auth_data = Some(Bytes::copy_from_slice(reader.binary()?)),
            property::REQUEST_PROBLEM_INFO => self.request_problem_info = Some(reader.bool()?),
            property::WILL_DELAY => self.will_delay_s = Some(reader.u32()?),
            property::REQUEST_RESPONSE_INFO => self.request_response_info = Some(reader.bool()?),
            property::REASON_STRING => self.reason_string = Some(reader.text()?.into()),
            property::RECEIVE_MAXIMUM => {
                let number = NonZeroU16::new(reader.u16()?);
                self.receive_maximum = Some(number.ok_or(ReasonCode::ProtocolError)?);
            }
            property::TOPIC_ALIAS_MAX => self.topic_alias_max = Some(reader.u16()?),
            property::TOPIC_ALIAS => {
                let number = NonZeroU16::new(reader.u16()?);
                self.topic_alias = Some(number.ok_or(ReasonCode::TopicAliasInvalid)?);
            }
            property::USER => {
                self.user.push((reader.text()?.into(), reader.text()?.into()));
                check_parts(self.user.len(), USER_PROPERTIES_MAX)?;
            }
            property::PACKET_BYTES_MAX => match reader.u32()? {
                0 => return Err(ReasonCode::ProtocolError),
                bytes => self.packet_bytes_max = Some(bytes),
            },
            _ => return Err(MALFORMED),
        }
        Ok(())
    }
}

/// Reads a body from its start. Nothing here can panic: every read checks what is left.
#[derive(Clone, Copy)]
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| MALFORMED)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn bool(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ReasonCode::ProtocolError),
        }
    }

    /// A variable byte integer in its shortest form (MQTT 5.0, 1.5.5).
    fn varint(&mut self) -> Result<u32> {
        let mut number = 0;
        for at in 0..4 {
            let byte = self.u8()?;
            number |= u32::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                let shortest = at == 0 || byte != 0;
                return if shortest { Ok(number) } else { Err(MALFORMED) };
            }
        }
        Err(MALFORMED)
    }

    fn packet_id(&mut self) -> Result<PacketId> {
        PacketId::new(self.u16()?).ok_or(ReasonCode::ProtocolError)
    }

    fn binary(&mut self) -> Result<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// UTF-8 without U+0000 (MQTT 5.0, 1.5.4).
    fn text(&mut self) -> Result<&'a str> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| MALFORMED)?;
        if text.contains('\0') { Err(MALFORMED) } else { Ok(text) }
    }

    /// Text that names something: control characters are malformed too, as the specification
    /// permits.
    fn name(&mut self) -> Result<&'a str> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| MALFORMED)?;
        if text.contains(char::is_control) { Err(MALFORMED) } else { Ok(text) }
    }

    /// A topic filter has at least one character (MQTT 5.0, 4.7.3).
    fn filter(&mut self) -> Result<&'a str> {
        let filter = self.name()?;
        if filter.is_empty() { Err(MALFORMED) } else { Ok(filter) }
    }

    fn reason(&mut self, allowed: &[u8]) -> Result<ReasonCode> {
        let code = self.u8()?;
        if !allowed.contains(&code) {
            return Err(MALFORMED);
        }
        ReasonCode::from_u8(code).ok_or(MALFORMED)
    }

    fn properties(&mut self, version: Version, allowed: u64) -> Result<Found> {
        let mut found = Found::default();
        if version < Version::V5 {
            return Ok(found);
        }
        let length = self.varint()?;
        let mut reader = Reader { rest: self.take(length as usize)? };
        let mut seen = 0_u64;
        while !reader.rest.is_empty() {
            let id = reader.u8()?;
            let bit = 1_u64.checked_shl(id.into()).ok_or(MALFORMED)?;
            if allowed & bit == 0 {
                return Err(MALFORMED);
            }
            if seen & bit != 0 && !matches!(id, property::USER | property::SUBSCRIPTION_ID) {
                return Err(ReasonCode::ProtocolError);
            }
            seen |= bit;
            found.read(id, &mut reader)?;
        }
        Ok(found)
    }

    /// Properties that may be left out at the end of a packet.
    fn trailing_properties(&mut self, allowed: u64) -> Result<Found> {
        if self.rest.is_empty() {
            return Ok(Found::default());
        }
        self.properties(Version::V5, allowed)
    }

    fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(MALFORMED) }
    }
}
