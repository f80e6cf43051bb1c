//! MQTT 5.0 clients whose sessions outlive their connections: one writes numbered messages and
//! leaves a will, another reads them, and two share them, with wills that are delayed.
//!
//! Message `n` has packet identifier `n`. By `n` modulo 3 it goes with QoS 1 to [`STATE`], retained,
//! or with QoS 1 or QoS 2 to [`CHATTER`].

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use stepwire_core::broker::ConnectionId;
use stepwire_core::message::{Properties, QoS};
use stepwire_core::mqtt::{
    Ack, Connect, Packet, Publish, Subscribe, SubscriptionOptions, Version, Will,
};

/// Thing name and client id of the writer.
pub const WRITER: &str = "writer";
/// Thing name and client id of the reader.
pub const READER: &str = "reader";
/// Where messages go that are not kept.
pub const CHATTER: &str = "chatter/message";
/// Where the retained message is.
pub const STATE: &str = "state/writer";
/// Thing names and client ids of the two who share the messages.
pub const SHARERS: [&str; 2] = ["sharer-0", "sharer-1"];
/// Where their wills go.
pub const LATE_WILL: &str = "chatter/late-will";
/// How long those are delayed, in seconds.
pub const LATE_S: u32 = 1;
const WILL: &str = "chatter/will";
/// Seconds a session lives without a connection: longer than anybody stays away.
const SESSION_EXPIRY_S: u32 = 3_000;

/// The end of a connection that a client has.
#[derive(Debug, Default)]
pub struct Line {
    /// The connection it believes to have.
    pub connection: Option<ConnectionId>,
    /// Whether CONNACK has come on it.
    pub accepted: bool,
    /// Whether CONNACK ever came: from then on there is a session to go on with.
    pub known: bool,
    /// Which life of the process accepted it last.
    pub life: u64,
}

/// A message that is not acknowledged to the end.
#[derive(Debug)]
struct Open {
    /// PUBREC has come: PUBCOMP is all that is missing.
    released: bool,
    sent: u32,
}

/// The client that writes.
#[derive(Debug)]
pub struct Writer {
    /// Its connection.
    pub line: Line,
    next: u16,
    last: u16,
    open: BTreeMap<u16, Open>,
    /// Messages acknowledged to the end, and how often each was sent.
    pub acknowledged: Vec<(u16, u32)>,
    /// PUBREL packets sent again.
    pub released_again: u64,
    connects: u32,
    /// Whether it has said its last goodbye.
    pub left: bool,
}

impl Writer {
    /// A writer of so many messages.
    pub fn new(messages: u16) -> Writer {
        Writer {
            line: Line::default(),
            next: 1,
            last: messages,
            open: BTreeMap::new(),
            acknowledged: Vec::new(),
            released_again: 0,
            connects: 0,
            left: false,
        }
    }

    /// Whether everything is written and acknowledged.
    pub fn is_done(&self) -> bool {
        self.next > self.last && self.open.is_empty()
    }

    /// Its CONNECT. Each has another will.
    pub fn connect(&mut self) -> Connect {
        self.connects += 1;
        let will = Will {
            topic: WILL.into(),
            payload: self.connects.to_string().into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            delay_s: 0,
            properties: Properties::default(),
        };
        Connect { will: Some(Box::new(will)), ..connect(WRITER) }
    }

    /// The next message, if there is one more.
    pub fn write(&mut self) -> Option<Packet> {
        let number = self.next;
        if number > self.last || !self.line.accepted {
            return None;
        }
        self.next += 1;
        self.open.insert(number, Open { released: false, sent: 1 });
        Some(message(number, false))
    }

    /// What it sends once it is connected again: everything not acknowledged, in order.
    pub fn again(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        for (number, open) in &mut self.open {
            if open.released {
                self.released_again += 1;
                packets.push(Packet::PubRel(Ack::success(id(*number))));
            } else {
                open.sent += 1;
                packets.push(message(*number, true));
            }
        }
        packets
    }

    /// What it answers to a packet.
    pub fn receive(&mut self, packet: &Packet) -> Option<Packet> {
        match packet {
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                let number = ack.packet_id.get();
                let open = self.open.remove(&number);
                self.acknowledged.extend(open.map(|open| (number, open.sent)));
                None
            }
            Packet::PubRec(ack) => {
                self.open.get_mut(&ack.packet_id.get())?.released = true;
                Some(Packet::PubRel(Ack::success(ack.packet_id)))
            }
            _ => None,
        }
    }
}

/// The client that reads.
#[derive(Debug)]
pub struct Reader {
    name: &'static str,
    filter: &'static str,
    /// Its connection.
    pub line: Line,
    /// Whether its subscription was acknowledged.
    pub subscribed: bool,
    /// Packet identifiers of QoS 2 messages that are not released.
    unreleased: BTreeSet<u16>,
    /// Every message it took, as it came.
    pub got: Vec<u16>,
    /// The wills it got.
    pub wills: BTreeSet<Vec<u8>>,
    /// Its last connection, opened after the writer's last goodbye.
    pub farewell: Option<ConnectionId>,
}

impl Reader {
    /// One who reads everything.
    pub fn of_all() -> Reader {
        Reader::new(READER, "chatter/+")
    }

    /// One who shares the messages with the other.
    pub fn sharing(name: &'static str) -> Reader {
        Reader::new(name, "$share/pair/chatter/message")
    }

    fn new(name: &'static str, filter: &'static str) -> Reader {
        Reader {
            name,
            filter,
            line: Line::default(),
            subscribed: false,
            unreleased: BTreeSet::new(),
            got: Vec::new(),
            wills: BTreeSet::new(),
            farewell: None,
        }
    }

    /// Its CONNECT.
    pub fn connect(&self) -> Connect {
        let connect = connect(self.name);
        if self.name == READER {
            return connect;
        }
        let will = Will {
            topic: LATE_WILL.into(),
            payload: self.name.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            delay_s: LATE_S,
            properties: Properties::default(),
        };
        Connect { will: Some(Box::new(will)), ..connect }
    }

    /// Its session was ended: nothing of it is left.
    pub fn wiped(&mut self) {
        self.subscribed = false;
        self.unreleased.clear();
    }

    /// Its SUBSCRIBE, until it is acknowledged.
    pub fn subscribe(&self) -> Option<Packet> {
        let options = SubscriptionOptions { qos: QoS::ExactlyOnce, ..Default::default() };
        let filters = vec![(Arc::from(self.filter), options)];
        (!self.subscribed).then(|| {
            Packet::Subscribe(Subscribe {
                packet_id: id(60_000),
                filters,
                subscription_id: None,
                user_properties: Vec::new(),
            })
        })
    }

    /// What it answers to a packet.
    pub fn receive(&mut self, packet: &Packet) -> Option<Packet> {
        match packet {
            Packet::SubAck(_) => {
                self.subscribed = true;
                None
            }
            Packet::Publish(publish) => {
                let packet_id = publish.packet_id?;
                let known =
                    publish.qos == QoS::ExactlyOnce && !self.unreleased.insert(packet_id.get());
                if !known {
                    self.take(publish);
                }
                let ack = Ack::success(packet_id);
                Some(match publish.qos {
                    QoS::ExactlyOnce => Packet::PubRec(ack),
                    QoS::AtLeastOnce | QoS::AtMostOnce => Packet::PubAck(ack),
                })
            }
            Packet::PubRel(ack) => {
                self.unreleased.remove(&ack.packet_id.get());
                Some(Packet::PubComp(Ack::success(ack.packet_id)))
            }
            _ => None,
        }
    }

    fn take(&mut self, publish: &Publish) {
        if publish.topic.as_ref() == WILL {
            self.wills.insert(publish.payload.to_vec());
        } else {
            self.got.extend(number(&publish.payload));
        }
    }
}

/// The number a message carries.
pub fn number(payload: &[u8]) -> Option<u16> {
    std::str::from_utf8(payload).ok()?.parse().ok()
}

/// The quality of service of message `number`.
pub fn qos(number: u16) -> QoS {
    if number % 3 == 2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
}

/// Whether message `number` is retained.
pub fn is_retained(number: u16) -> bool {
    number.is_multiple_of(3)
}

fn connect(name: &str) -> Connect {
    Connect {
        clean_start: false,
        session_expiry_s: SESSION_EXPIRY_S,
        ..Connect::new(Version::V5, name)
    }
}

fn message(number: u16, dup: bool) -> Packet {
    let topic = if is_retained(number) { STATE } else { CHATTER };
    Packet::Publish(Publish {
        qos: qos(number),
        dup,
        retain: is_retained(number),
        packet_id: Some(id(number)),
        ..Publish::new(topic, number.to_string())
    })
}

fn id(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
}
