//! A message on its way through the broker and the rules.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use crate::{jobs, shadows};

/// Quality of service (MQTT 5.0, 4.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum QoS {
    /// Delivered at most once.
    #[default]
    AtMostOnce = 0,
    /// Delivered at least once.
    AtLeastOnce = 1,
    /// Delivered exactly once.
    ExactlyOnce = 2,
}

/// A published message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Topic name, without wildcards.
    pub topic: Arc<str>,
    /// Payload bytes.
    pub payload: Bytes,
    /// Quality of service it was published with.
    pub qos: QoS,
    /// Whether to keep it as the topic's retained message.
    pub retain: bool,
    /// MQTT 5 properties that travel with the message.
    pub properties: Properties,
    /// Who published it.
    pub origin: Origin,
    /// When the broker accepted it.
    pub at: Timestamp,
}

/// MQTT 5 properties that a broker forwards (MQTT 5.0, 3.3.2.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Properties {
    /// Payload format indicator: `true` says UTF-8, `false` unspecified bytes; `None` was not sent.
    pub payload_is_utf8: Option<bool>,
    /// Seconds the message may wait for a receiver, from `Message::at`.
    pub message_expiry_s: Option<u32>,
    /// Content type.
    pub content_type: Option<Arc<str>>,
    /// Response topic.
    pub response_topic: Option<Arc<str>>,
    /// Correlation data.
    pub correlation_data: Option<Bytes>,
    /// User properties in order.
    pub user_properties: Vec<(Arc<str>, Arc<str>)>,
}

/// Who published a message. A device cannot forge this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Origin {
    /// stepwire itself or an API caller: presence, rules, workflows, `iot-data` Publish.
    Service,
    /// A connected MQTT client.
    Client(Arc<Client>),
    /// A device that sent an HTTP request in place of connecting: it has no client id.
    Caller(Arc<Caller>),
}

/// Facts about who sent a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    /// Who it has proved to be.
    pub identity: Identity,
    /// Address the request came from.
    pub ip: IpAddr,
    /// The rules of the listener it came to.
    pub profile: Profile,
}

impl Origin {
    /// Who published it and from where, if that was not the service side.
    pub fn publisher(&self) -> Option<(&Identity, IpAddr)> {
        match self {
            Origin::Service => None,
            Origin::Client(client) => Some((&client.identity, client.ip)),
            Origin::Caller(caller) => Some((&caller.identity, caller.ip)),
        }
    }
}

/// Facts about a client's connection that rules and policies may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// MQTT client identifier.
    pub id: Arc<str>,
    /// Who it has proved to be.
    pub identity: Identity,
    /// Which rules its listener keeps to.
    pub profile: Profile,
    /// The thing this connection speaks for: the one its certificate belongs to exclusively, else
    /// the one its client id names, if the certificate is attached to it.
    pub thing: Option<Arc<str>>,
    /// Whether its certificate belongs to that thing alone.
    pub exclusive: bool,
    /// Address the client connected from.
    pub ip: IpAddr,
    /// The session's identifier, as in presence events.
    pub session: Arc<str>,
}

/// Who somebody has proved to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// Nobody: let in by a listener that asks for no proof, and allowed everything.
    Anonymous,
    /// Owner of the certificate with this identifier: SHA-256 of its DER, 64 hex digits. The
    /// registry says what it may do.
    Certificate(Arc<str>),
    /// Holder of the node's key with this identifier, by a signed request. Allowed everything.
    Signed(Arc<str>),
}

impl Identity {
    /// What events and rules call it: the certificate's identifier, the key's, or `anonymous`.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Identity::Anonymous => &ANONYMOUS,
            Identity::Certificate(id) | Identity::Signed(id) => id,
        }
    }

    /// The certificate's identifier, if it is one's owner.
    pub fn certificate(&self) -> Option<&Arc<str>> {
        match self {
            Identity::Certificate(id) => Some(id),
            Identity::Anonymous | Identity::Signed(_) => None,
        }
    }
}

static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("anonymous"));

/// Which rules a listener keeps to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// MQTT as its specifications say.
    #[default]
    Standard,
    /// AWS IoT Core's limits and differences.
    Aws,
}

/// Whether a message on this topic asks something of the service: of a thing's shadows or jobs.
pub(crate) fn asks_service(topic: &str) -> bool {
    shadows::RequestTopic::of(topic).is_some() || jobs::RequestTopic::of(topic).is_some()
}

/// What a user property takes besides its texts, about.
const USER_PROPERTY_BYTES: usize = 64;

impl Properties {
    /// What their texts take in memory, about.
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let data = self.correlation_data.as_ref().map_or(0, Bytes::len);
        let user = self.user_properties.iter();
        let user = user.map(|(name, value)| name.len() + value.len() + USER_PROPERTY_BYTES);
        text(&self.content_type) + text(&self.response_topic) + data + user.sum::<usize>()
    }
}

impl Message {
    /// What its texts and its payload take in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.bytes()
    }

    /// The client that an event of presence or subscriptions tells of, by its topic.
    pub(crate) fn told_client(&self) -> Option<&str> {
        let of = self.topic.strip_prefix("$aws/events/presence/");
        let of = of.or_else(|| self.topic.strip_prefix("$aws/events/subscriptions/"));
        of?.split_once('/').map(|(_, client)| client)
    }

    /// The thing that a reserved topic of shadows or jobs is about.
    pub(crate) fn told_thing(&self) -> Option<&str> {
        self.topic.strip_prefix("$aws/things/")?.split_once('/').map(|(thing, _)| thing)
    }

    /// A QoS 1 message from stepwire itself.
    pub fn service(topic: impl Into<Arc<str>>, payload: impl Into<Bytes>, at: Timestamp) -> Self {
        Message {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::default(),
            origin: Origin::Service,
            at,
        }
    }
}
