//! What the broker bounds.

use super::rates::Rates;
use crate::message::QoS;

/// Limits of the broker. Nothing a client does makes it hold more than these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest client identifier, in bytes.
    pub client_id_bytes_max: usize,
    /// Longest topic name or filter, in bytes, without `$share/<name>/` and `$aws/rules/<rule>/`.
    pub topic_bytes_max: usize,
    /// Most levels of a topic name or filter, without `$share/<name>/` and `$aws/rules/<rule>/`.
    pub topic_levels_max: usize,
    /// Longest name of a shared subscription, in bytes.
    pub share_name_bytes_max: usize,
    /// Most filters of one SUBSCRIBE.
    pub filters_max: usize,
    /// Most subscriptions of one session.
    pub subscriptions_max: usize,
    /// Shortest keep-alive, in seconds; a client that asks for less has this.
    pub keep_alive_s_min: u16,
    /// Longest keep-alive, in seconds. A smaller one is told to MQTT 5.0 clients that ask for more.
    pub keep_alive_s_max: u16,
    /// Longest time a session outlives its connection, in seconds; `u32::MAX` for ever.
    pub session_expiry_s_max: u32,
    /// The same for clients before MQTT 5.0, which cannot say how long they want it.
    pub session_expiry_s_unsaid: u32,
    /// Highest quality of service of messages, wills and deliveries.
    pub qos_max: QoS,
    /// Largest payload, in bytes.
    pub payload_bytes_max: usize,
    /// Shortest message expiry of a message that has one, in seconds; shorter ones become this.
    pub message_expiry_s_min: u32,
    /// Longest message expiry, in seconds; longer ones become this.
    pub message_expiry_s_max: u32,
    /// QoS 2 messages a client may have open towards the broker.
    pub receive_maximum: u16,
    /// QoS 1 and 2 messages the broker has open towards a client; fewer if the client says so.
    pub in_flight_max: u16,
    /// Largest packet, in bytes.
    pub packet_bytes_max: u32,
    /// Topic aliases of one connection, in each direction.
    pub topic_alias_max: u16,
    /// Messages queued for a client that is away. For one that is connected, and on its way to empty
    /// its queue, only the bytes are bounded.
    pub queued_max: usize,
    /// Bytes queued for one session: what its messages take in memory, those in flight included.
    pub queued_bytes_max: usize,
    /// Retained messages.
    pub retained_max: usize,
    /// Bytes of retained messages.
    pub retained_bytes_max: usize,
    /// Service messages that wait for a subscription.
    pub held_max: usize,
    /// Bytes of service messages that wait for a subscription.
    pub held_bytes_max: usize,
    /// Client identifiers that are remembered, connected or not.
    pub sessions_max: usize,
    /// Subscriptions with wildcards of one session: a message can match all of them.
    pub wildcard_subscriptions_max: usize,
    /// QoS 2 messages that a client may leave unreleased, if it is older than MQTT 5.0 and so
    /// does not know [`Limits::receive_maximum`].
    pub unreleased_max: usize,
    /// How fast one client may go.
    pub rates: Rates,
}

impl Limits {
    /// For what was accepted earlier, perhaps under other limits.
    pub(super) const UNLIMITED: Limits = Limits {
        topic_bytes_max: usize::MAX,
        topic_levels_max: usize::MAX,
        share_name_bytes_max: usize::MAX,
        ..Limits::STANDARD
    };

    /// Everything MQTT offers, within bounds that a small machine can hold.
    pub const STANDARD: Limits = Limits {
        client_id_bytes_max: 1_024,
        topic_bytes_max: 32_768,
        topic_levels_max: 200,
        share_name_bytes_max: 32_768,
        filters_max: usize::MAX,
        subscriptions_max: 10_000,
        keep_alive_s_min: 1,
        keep_alive_s_max: u16::MAX,
        session_expiry_s_max: u32::MAX,
        session_expiry_s_unsaid: u32::MAX,
        qos_max: QoS::ExactlyOnce,
        payload_bytes_max: usize::MAX,
        message_expiry_s_min: 0,
        message_expiry_s_max: u32::MAX,
        receive_maximum: 1_024,
        in_flight_max: 100,
        packet_bytes_max: 1024 * 1024,
        topic_alias_max: 10,
        queued_max: 1_000,
        queued_bytes_max: 8 * 1024 * 1024,
        retained_max: 100_000,
        retained_bytes_max: 256 * 1024 * 1024,
        held_max: 65_536,
        held_bytes_max: 64 * 1024 * 1024,
        sessions_max: 200_000,
        wildcard_subscriptions_max: 1_000,
        unreleased_max: 4_096,
        rates: Rates::STANDARD,
    };

    /// What AWS IoT Core holds a client to. What is bounded for all clients together is not here.
    pub const AWS: Limits = Limits {
        client_id_bytes_max: 128,
        topic_bytes_max: 256,
        topic_levels_max: 8,
        share_name_bytes_max: 128,
        filters_max: 8,
        subscriptions_max: 50,
        keep_alive_s_min: 30,
        keep_alive_s_max: 1_200,
        session_expiry_s_max: 604_800,
        session_expiry_s_unsaid: 3_600,
        qos_max: QoS::AtLeastOnce,
        payload_bytes_max: 128 * 1024,
        message_expiry_s_min: 1,
        message_expiry_s_max: 604_800,
        receive_maximum: 100,
        // what its CONNACK says: the largest payload, and room for topic and properties
        packet_bytes_max: 149_504,
        topic_alias_max: 8,
        rates: Rates::AWS,
        ..Limits::STANDARD
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::STANDARD
    }
}
