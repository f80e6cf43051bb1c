//! Simulated devices: MQTT clients with habits.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::broker::{ConnectionId, Identity, Principal, Profile};
use stepwire_core::message::QoS;
use stepwire_core::mqtt::{Ack, Connect, Packet, Publish, Subscribe, SubscriptionOptions, Version};

use crate::dice::Dice;

/// Longer than any device keeps a connection: it need not ping.
const KEEP_ALIVE_S: u16 = 60;

/// How a device behaves towards one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Answers after a while.
    Answers,
    /// Answers at once, perhaps before the workflow waits.
    Hasty,
    /// Answers when the workflow no longer waits.
    Late,
    /// Never answers.
    Silent,
}

/// An answer on its way: sent again until it is acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// What it answers.
    pub operation: Arc<str>,
    /// Identifier of the PUBLISH.
    pub packet_id: NonZeroU16,
    /// Its payload.
    pub payload: Json,
    /// Whether it has been sent on an earlier connection.
    pub sent: bool,
}

/// One simulated device.
#[derive(Debug)]
pub struct Device {
    /// Thing name and client id.
    pub name: Arc<str>,
    /// Identifier of its certificate.
    pub certificate: Arc<str>,
    /// The connection it believes to have.
    pub connection: Option<ConnectionId>,
    /// Whether CONNACK has come on it.
    pub accepted: bool,
    /// Sessions it still wants to have.
    pub sessions_left: u32,
    /// How often it was refused since it was last accepted.
    pub refused: u32,
    /// Answers not acknowledged yet.
    pub pending: Vec<Pending>,
    next_packet_id: u16,
}

/// What a device does after a packet.
#[derive(Debug)]
pub enum Reaction {
    /// Sends this after so many milliseconds.
    Send(i64, Packet),
    /// Composes an answer to this operation after so many milliseconds.
    Answer(i64, Arc<str>),
    /// Its answer to this operation has been acknowledged.
    Acknowledged(Arc<str>),
    /// It has nothing more to do on this connection.
    Done,
    /// It may not connect.
    Refused,
}

impl Device {
    /// A device that will have so many sessions.
    pub fn new(number: usize, sessions: u32) -> Device {
        Device {
            name: format!("gw-{number:03}").into(),
            certificate: format!("{number:064x}").into(),
            connection: None,
            accepted: false,
            sessions_left: sessions,
            refused: 0,
            pending: Vec::new(),
            next_packet_id: 1,
        }
    }

    /// Its CONNECT: a clean session.
    pub fn connect(&self) -> Connect {
        Connect {
            keep_alive_s: KEEP_ALIVE_S,
            ..Connect::new(Version::V311, Arc::clone(&self.name))
        }
    }

    /// Wants no session any more.
    pub fn give_up(&mut self) {
        self.sessions_left = 0;
        self.pending.clear();
    }

    /// Its topic of this kind.
    pub fn topic(&self, kind: &str) -> String {
        format!("devices/{}/{kind}", self.name)
    }

    /// What it does with a packet from the server.
    pub fn receive(&mut self, packet: &Packet, habit: Habit, dice: &mut Dice) -> Vec<Reaction> {
        match packet {
            Packet::ConnAck(ack) if !ack.reason.is_error() => {
                self.accepted = true;
                let pause =
                    if dice.one_in(8) { dice.between(50, 4_000) } else { dice.between(0, 30) };
                vec![Reaction::Send(pause, self.subscribe())]
            }
            Packet::ConnAck(_) => vec![Reaction::Refused],
            Packet::SubAck(_) => self
                .pending
                .iter_mut()
                .map(|pending| {
                    pending.sent = true;
                    let topic = format!("devices/{}/config_resp", self.name);
                    Reaction::Send(0, publish(topic, pending))
                })
                .collect(),
            Packet::Publish(publish) => self.requested(publish, habit, dice),
            Packet::PubAck(ack) => self.acknowledged(ack.packet_id),
            _ => Vec::new(),
        }
    }

    fn requested(&mut self, publish: &Publish, habit: Habit, dice: &mut Dice) -> Vec<Reaction> {
        let mut reactions = Vec::new();
        if let Some(packet_id) = publish.packet_id {
            reactions.push(Reaction::Send(0, Packet::PubAck(Ack::success(packet_id))));
        }
        let request = Json::parse_bytes(&publish.payload).unwrap_or_default();
        let Some(operation) = request.member("operationId").and_then(Json::as_str) else {
            return reactions;
        };
        let known = self.pending.iter().any(|pending| pending.operation.as_ref() == operation);
        match habit {
            _ if known => {}
            Habit::Answers => {
                reactions.push(Reaction::Answer(dice.between(200, 3_000), operation.into()));
            }
            Habit::Hasty => reactions.push(Reaction::Answer(0, operation.into())),
            Habit::Late => {
                reactions.push(Reaction::Answer(dice.between(12_500, 18_000), operation.into()));
            }
            Habit::Silent => reactions.push(Reaction::Done),
        }
        reactions
    }

    fn acknowledged(&mut self, packet_id: NonZeroU16) -> Vec<Reaction> {
        let Some(at) = self.pending.iter().position(|pending| pending.packet_id == packet_id)
        else {
            return Vec::new();
        };
        let pending = self.pending.remove(at);
        vec![Reaction::Acknowledged(pending.operation), Reaction::Done]
    }

    /// The answer to an operation, to be sent now if connected.
    pub fn answer(&mut self, operation: &Arc<str>, nonce: i64) -> Packet {
        let payload = Json::object([
            ("operationId", Json::String(Arc::clone(operation))),
            ("status", "SUCCESS".into()),
            ("thingName", "somebody-else".into()),
            ("nonce", nonce.into()),
        ]);
        let packet_id = self.packet_id();
        let pending =
            Pending { operation: Arc::clone(operation), packet_id, payload, sent: self.accepted };
        let packet = publish(self.topic("config_resp"), &pending);
        self.pending.push(pending);
        packet
    }

    /// Forgets its connection. Whether an answer has to be sent again.
    pub fn lost(&mut self) -> bool {
        self.connection = None;
        self.accepted = false;
        self.pending.iter().any(|pending| pending.sent)
    }

    fn subscribe(&mut self) -> Packet {
        let options = SubscriptionOptions { qos: QoS::AtLeastOnce, ..Default::default() };
        let filters = vec![(Arc::from(self.topic("config_req")), options)];
        Packet::Subscribe(Subscribe {
            packet_id: self.packet_id(),
            filters,
            subscription_id: None,
            user_properties: Vec::new(),
        })
    }

    fn packet_id(&mut self) -> NonZeroU16 {
        self.next_packet_id = self.next_packet_id.checked_add(1).unwrap_or(1);
        NonZeroU16::new(self.next_packet_id).unwrap_or(NonZeroU16::MIN)
    }
}

/// Who the listener would say the holder of this certificate is.
pub fn principal(certificate: &Arc<str>) -> Principal {
    Principal {
        identity: Identity::Certificate(Arc::clone(certificate)),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        profile: Profile::Standard,
        anonymous_allowed: false,
    }
}

/// A QoS 1 PUBLISH of an answer.
fn publish(topic: String, pending: &Pending) -> Packet {
    Packet::Publish(Publish {
        qos: QoS::AtLeastOnce,
        dup: false,
        packet_id: Some(pending.packet_id),
        ..Publish::new(topic, pending.payload.to_text())
    })
}

/// What somebody with too broad a policy sends in another device's name.
pub fn forged(victim: &str, operation: &str) -> Packet {
    let payload = Json::object([
        ("operationId", Json::from(operation)),
        ("status", "SUCCESS".into()),
        ("forged", true.into()),
    ]);
    Packet::Publish(Publish {
        qos: QoS::AtLeastOnce,
        packet_id: NonZeroU16::new(9_000),
        ..Publish::new(format!("devices/{victim}/config_resp"), payload.to_text())
    })
}
