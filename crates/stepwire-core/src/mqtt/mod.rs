//! MQTT control packets as values: one model for MQTT 3.1, 3.1.1 and 5.0.
//!
//! [`codec`] turns bytes into these and back. What a version cannot say (a reason code in a
//! 3.1.1 PUBACK, a property) is left out when a packet is written for it.

pub mod codec;

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::message::{Properties, QoS};

/// Identifies an exchange between two packets; never zero (MQTT 5.0, 2.2.1).
pub type PacketId = NonZeroU16;

/// User properties in the order they were sent.
pub type UserProperties = Vec<(Arc<str>, Arc<str>)>;

/// Protocol version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// MQTT 3.1 (protocol name `MQIsdp`, level 3).
    V31,
    /// MQTT 3.1.1 (level 4).
    V311,
    /// MQTT 5.0 (level 5).
    V5,
}

/// One control packet.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// A client asks to connect. Only the first packet of a connection may be one.
    Connect(Box<Connect>),
    /// The server's answer to it.
    ConnAck(Box<ConnAck>),
    /// A message, in either direction.
    Publish(Publish),
    /// QoS 1 publish received.
    PubAck(Ack),
    /// QoS 2 publish received.
    PubRec(Ack),
    /// QoS 2 publish released by its sender.
    PubRel(Ack),
    /// QoS 2 publish complete.
    PubComp(Ack),
    /// A client asks for messages.
    Subscribe(Subscribe),
    /// The server's answer to it, one reason code for each filter.
    SubAck(SubAck),
    /// A client no longer wants messages.
    Unsubscribe(Unsubscribe),
    /// The server's answer to it, one reason code for each filter.
    UnsubAck(SubAck),
    /// Are you there?
    PingReq,
    /// Yes.
    PingResp,
    /// The sender is about to close the connection.
    Disconnect(Disconnect),
    /// Extended authentication (MQTT 5.0).
    Auth(Auth),
}

/// CONNECT (MQTT 5.0, 3.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// Protocol version of everything that follows.
    pub version: Version,
    /// Client identifier; empty asks the server to assign one.
    pub client_id: Arc<str>,
    /// Whether to forget an earlier session (3.1.1: Clean Session).
    pub clean_start: bool,
    /// Longest time between two packets of the client, in seconds; 0 for no limit.
    pub keep_alive_s: u16,
    /// How long the session outlives its connection, in seconds; `u32::MAX` for ever. A 3.1.1
    /// client that does not ask for a clean session has `u32::MAX`.
    pub session_expiry_s: u32,
    /// QoS 1 and 2 messages the client takes at the same time.
    pub receive_maximum: Option<NonZeroU16>,
    /// Largest packet the client takes, in bytes.
    pub packet_bytes_max: Option<u32>,
    /// Highest topic alias the client takes.
    pub topic_alias_max: u16,
    /// Whether the client wants response information in CONNACK.
    pub request_response_info: bool,
    /// Whether the client wants reason strings and user properties on every packet.
    pub request_problem_info: bool,
    /// User properties.
    pub user_properties: UserProperties,
    /// User name.
    pub username: Option<Arc<str>>,
    /// Password.
    pub password: Option<Bytes>,
    /// Message to publish when the connection ends without DISCONNECT.
    pub will: Option<Box<Will>>,
    /// Method of extended authentication.
    pub auth_method: Option<Arc<str>>,
    /// Data of extended authentication.
    pub auth_data: Option<Bytes>,
}

impl Connect {
    /// A CONNECT with a clean start, no keep-alive, and everything else left out.
    pub fn new(version: Version, client_id: impl Into<Arc<str>>) -> Connect {
        Connect {
            version,
            client_id: client_id.into(),
            clean_start: true,
            keep_alive_s: 0,
            session_expiry_s: 0,
            receive_maximum: None,
            packet_bytes_max: None,
            topic_alias_max: 0,
            request_response_info: false,
            request_problem_info: true,
            user_properties: Vec::new(),
            username: None,
            password: None,
            will: None,
            auth_method: None,
            auth_data: None,
        }
    }
}

/// A message that the server publishes for a client that is gone (MQTT 5.0, 3.1.2.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Will {
    /// Topic name.
    pub topic: Arc<str>,
    /// Payload.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// Whether to retain it.
    pub retain: bool,
    /// Seconds to wait before publishing it, at most until the session ends.
    pub delay_s: u32,
    /// Properties of the message.
    pub properties: Properties,
}

/// CONNACK (MQTT 5.0, 3.2). Properties that are `None` are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnAck {
    /// Whether the server goes on with an earlier session.
    pub session_present: bool,
    /// Success, or why the connection is refused.
    pub reason: ReasonCode,
    /// Session expiry the server uses, when not the one asked for.
    pub session_expiry_s: Option<u32>,
    /// QoS 1 and 2 messages the server takes at the same time.
    pub receive_maximum: Option<u16>,
    /// Largest packet the server takes, in bytes.
    pub packet_bytes_max: Option<u32>,
    /// Identifier the server chose for a client that sent none.
    pub assigned_client_id: Option<Arc<str>>,
    /// Highest topic alias the server takes.
    pub topic_alias_max: Option<u16>,
    /// Keep-alive the server uses, when not the one asked for.
    pub server_keep_alive_s: Option<u16>,
    /// Highest quality of service the server takes, when not the highest there is.
    pub qos_max: Option<QoS>,
    /// Whether subscriptions may have identifiers, when they may not.
    pub subscription_ids_available: Option<bool>,
    /// The reason in words.
    pub reason_string: Option<Arc<str>>,
}

impl ConnAck {
    /// Bytes of the whole packet on the wire.
    pub fn encoded_len(&self, version: Version) -> usize {
        if version < Version::V5 {
            return 4;
        }
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| 3 + text.len());
        let properties = self.session_expiry_s.map_or(0, |_| 5)
            + self.receive_maximum.map_or(0, |_| 3)
            + self.packet_bytes_max.map_or(0, |_| 5)
            + text(&self.assigned_client_id)
            + self.topic_alias_max.map_or(0, |_| 3)
            + self.server_keep_alive_s.map_or(0, |_| 3)
            + self.qos_max.map_or(0, |_| 2)
            + self.subscription_ids_available.map_or(0, |_| 2)
            + text(&self.reason_string);
        let rest = 2 + varint_len(properties) + properties;
        1 + varint_len(rest) + rest
    }
}

/// PUBLISH (MQTT 5.0, 3.3).
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// May have been sent before.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// From a client: keep it for the topic. To a client: it was kept.
    pub retain: bool,
    /// Topic name; empty when `topic_alias` stands for it.
    pub topic: Arc<str>,
    /// Identifier, present exactly when the quality of service is not 0.
    pub packet_id: Option<PacketId>,
    /// A number for the topic name on this connection.
    pub topic_alias: Option<NonZeroU16>,
    /// Identifiers of the subscriptions that caused the delivery.
    pub subscription_ids: Vec<u32>,
    /// Properties that travel with the message.
    pub properties: Properties,
    /// Payload.
    pub payload: Bytes,
}

impl Publish {
    /// A QoS 0 message without properties.
    pub fn new(topic: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Publish {
        Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: topic.into(),
            packet_id: None,
            topic_alias: None,
            subscription_ids: Vec::new(),
            properties: Properties::default(),
            payload: payload.into(),
        }
    }

    /// Bytes of the whole packet on the wire.
    pub fn encoded_len(&self, version: Version) -> usize {
        let mut rest = 2 + self.topic.len() + self.payload.len();
        if self.packet_id.is_some() {
            rest += 2;
        }
        if version == Version::V5 {
            let properties = self.properties_len();
            rest += varint_len(properties) + properties;
        }
        1 + varint_len(rest) + rest
    }

    /// Bytes of the MQTT 5 properties, without their length.
    pub fn properties_len(&self) -> usize {
        let alias = if self.topic_alias.is_some() { 3 } else { 0 };
        let ids: usize = self.subscription_ids.iter().map(|id| 1 + varint_len(*id as usize)).sum();
        alias + ids + self.properties.encoded_len()
    }
}

impl Properties {
    /// Bytes of these properties on the wire, without their length.
    pub fn encoded_len(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| 3 + text.len());
        let user: usize = self.user_properties.iter().map(|(k, v)| 5 + k.len() + v.len()).sum();
        self.payload_is_utf8.map_or(0, |_| 2)
            + self.message_expiry_s.map_or(0, |_| 5)
            + text(&self.content_type)
            + text(&self.response_topic)
            + self.correlation_data.as_ref().map_or(0, |data| 3 + data.len())
            + user
    }
}

/// Bytes of `number` as a variable byte integer (MQTT 5.0, 1.5.5).
pub fn varint_len(number: usize) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP (MQTT 5.0, 3.4 to 3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Which publish.
    pub packet_id: PacketId,
    /// How it went; not on the wire before MQTT 5.0.
    pub reason: ReasonCode,
}

impl Ack {
    /// An acknowledgement without complaint.
    pub fn success(packet_id: PacketId) -> Ack {
        Ack { packet_id, reason: ReasonCode::Success }
    }
}

/// SUBSCRIBE (MQTT 5.0, 3.8).
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    /// Identifier of the exchange.
    pub packet_id: PacketId,
    /// What to subscribe to, at least one.
    pub filters: Vec<(Arc<str>, SubscriptionOptions)>,
    /// Number to send along with each matching message; 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// User properties.
    pub user_properties: UserProperties,
}

/// How to deliver (MQTT 5.0, 3.8.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionOptions {
    /// Highest quality of service to deliver with.
    pub qos: QoS,
    /// Leave out what this client published itself.
    pub no_local: bool,
    /// Keep the retain flag of messages as they were published.
    pub retain_as_published: bool,
    /// What to send of retained messages when subscribing.
    pub retain_handling: RetainHandling,
}

/// What to send of retained messages when subscribing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetainHandling {
    /// All that match.
    #[default]
    Send,
    /// All that match, unless the subscription existed before.
    SendIfNew,
    /// None.
    DoNotSend,
}

/// SUBACK or UNSUBACK (MQTT 5.0, 3.9 and 3.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// Identifier of the exchange.
    pub packet_id: PacketId,
    /// One for each filter, in order.
    pub reasons: Vec<ReasonCode>,
}

/// UNSUBSCRIBE (MQTT 5.0, 3.10).
#[derive(Debug, Clone, PartialEq)]
pub struct Unsubscribe {
    /// Identifier of the exchange.
    pub packet_id: PacketId,
    /// Filters as they were subscribed to, at least one.
    pub filters: Vec<Arc<str>>,
    /// User properties.
    pub user_properties: UserProperties,
}

/// DISCONNECT (MQTT 5.0, 3.14).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Disconnect {
    /// Why.
    pub reason: ReasonCode,
    /// A new session expiry, in seconds.
    pub session_expiry_s: Option<u32>,
    /// The reason in words.
    pub reason_string: Option<Arc<str>>,
}

/// AUTH (MQTT 5.0, 3.15).
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// Success, continue or re-authenticate.
    pub reason: ReasonCode,
    /// Authentication method.
    pub method: Option<Arc<str>>,
    /// Authentication data.
    pub data: Option<Bytes>,
}

/// Declares [`ReasonCode`] from one list.
macro_rules! reason_codes {
    ($($(#[$mark:meta])? $name:ident = $code:literal, $words:literal;)*) => {
        /// A reason code of MQTT 5.0 (2.4). Of the three meanings of 0x00 it has the first.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = $words] $(#[$mark])? $name = $code,)*
        }

        impl ReasonCode {
            /// The reason that `code` stands for.
            pub fn from_u8(code: u8) -> Option<ReasonCode> {
                match code {
                    $($code => Some(ReasonCode::$name),)*
                    _ => None,
                }
            }

            /// The reason in the words of the specification.
            pub fn words(self) -> &'static str {
                match self {
                    $(ReasonCode::$name => $words,)*
                }
            }
        }
    };
}

reason_codes! {
    #[default]
    Success = 0x00, "success";
    GrantedQoS1 = 0x01, "granted QoS 1";
    GrantedQoS2 = 0x02, "granted QoS 2";
    DisconnectWithWill = 0x04, "disconnect with will message";
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    NoSubscriptionExisted = 0x11, "no subscription existed";
    ContinueAuthentication = 0x18, "continue authentication";
    ReAuthenticate = 0x19, "re-authenticate";
    UnspecifiedError = 0x80, "unspecified error";
    MalformedPacket = 0x81, "malformed packet";
    ProtocolError = 0x82, "protocol error";
    ImplementationSpecificError = 0x83, "implementation specific error";
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    BadUserNameOrPassword = 0x86, "bad user name or password";
    NotAuthorized = 0x87, "not authorized";
    ServerUnavailable = 0x88, "server unavailable";
    ServerBusy = 0x89, "server busy";
    Banned = 0x8A, "banned";
    ServerShuttingDown = 0x8B, "server shutting down";
    BadAuthenticationMethod = 0x8C, "bad authentication method";
    KeepAliveTimeout = 0x8D, "keep alive timeout";
    SessionTakenOver = 0x8E, "session taken over";
    TopicFilterInvalid = 0x8F, "topic filter invalid";
    TopicNameInvalid = 0x90, "topic name invalid";
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    TopicAliasInvalid = 0x94, "topic alias invalid";
    PacketTooLarge = 0x95, "packet too large";
    MessageRateTooHigh = 0x96, "message rate too high";
    QuotaExceeded = 0x97, "quota exceeded";
    AdministrativeAction = 0x98, "administrative action";
    PayloadFormatInvalid = 0x99, "payload format invalid";
    RetainNotSupported = 0x9A, "retain not supported";
    QoSNotSupported = 0x9B, "QoS not supported";
    UseAnotherServer = 0x9C, "use another server";
    ServerMoved = 0x9D, "server moved";
    SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
    ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    MaximumConnectTime = 0xA0, "maximum connect time";
    SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
    WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
}

impl ReasonCode {
    /// Whether it says that something went wrong.
    pub fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// The CONNACK return code that says this before MQTT 5.0 (3.1.1, 3.2.2.3), if one does.
    pub fn connect_return_code(self) -> Option<u8> {
        match self {
            ReasonCode::Success => Some(0),
            ReasonCode::UnsupportedProtocolVersion => Some(1),
            ReasonCode::ClientIdentifierNotValid => Some(2),
            ReasonCode::ServerUnavailable
            | ReasonCode::ServerBusy
            | ReasonCode::QuotaExceeded
            | ReasonCode::ConnectionRateExceeded => Some(3),
            ReasonCode::BadUserNameOrPassword | ReasonCode::BadAuthenticationMethod => Some(4),
            ReasonCode::NotAuthorized | ReasonCode::Banned => Some(5),
            _ => None,
        }
    }

    /// The reason for a subscription granted with `qos`.
    pub fn granted(qos: QoS) -> ReasonCode {
        match qos {
            QoS::AtMostOnce => ReasonCode::Success,
            QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
            QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
