//! The broker in a world that checks, after every step, that what it recorded is what it knows.
#![expect(clippy::unwrap_used, reason = "tests")]

mod api;
mod delivery;
mod guard;
mod held;
mod ingest;
mod policy;
mod presence;
mod profile;
mod protocol;
mod random;
mod retained;
mod sessions;
mod subscriptions;
mod wills;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::*;
use crate::message::{Client, Properties, QoS};
use crate::mqtt::{
    Ack, ConnAck, Disconnect, PacketId, Publish, SubAck, Subscribe, SubscriptionOptions,
    Unsubscribe, Version, Will,
};
use crate::read::Key;

/// Policies of a test: everything is allowed that is not listed.
#[derive(Debug, Default)]
struct Policy {
    clients: BTreeSet<String>,
    denied: BTreeSet<(Action, String)>,
}

impl Authorize for Policy {
    fn connect_as(
        &self,
        principal: &Principal,
        asked: Asked<'_>,
    ) -> Result<Option<Admitted>, Refused> {
        if self.clients.contains(asked.client_id) {
            return Err(Refused { why: "certificate is not active".into() });
        }
        let thing = asked.client_id.into();
        Ok(principal.identity.certificate().map(|_| Admitted { thing, exclusive: true }))
    }

    fn allows(&self, _: &Client, action: Action, resource: &str) -> bool {
        !self.denied.contains(&(action, resource.to_owned()))
    }
}

/// A broker, its store, and the ends of its connections.
#[derive(Debug, Default)]
struct World {
    broker: Broker,
    now: Timestamp,
    settings: Settings,
    /// Of the listener that clients connect to.
    profile: Profile,
    policy: Policy,
    store: BTreeMap<Key, Vec<u8>>,
    connections: u64,
    inbox: BTreeMap<ConnectionId, Vec<Packet>>,
    closed: BTreeMap<ConnectionId, Option<ReasonCode>>,
    messages: Vec<Message>,
    refusals: Vec<Refusal>,
    cut_offs: Vec<CutOff>,
    confirmed: Vec<Confirmed>,
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

/// A CONNECT of MQTT 3.1.1 for a session that outlives the connection.
fn persistent(client: &str) -> Connect {
    let mut connect = Connect::new(Version::V311, client);
    (connect.clean_start, connect.session_expiry_s) = (false, u32::MAX);
    connect
}

fn clean(client: &str) -> Connect {
    Connect::new(Version::V311, client)
}

fn v5(client: &str) -> Connect {
    Connect::new(Version::V5, client)
}

fn publish(topic: &str, payload: &str, qos: u8, number: u16) -> Publish {
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)];
    let packet_id = PacketId::new(number);
    Publish { qos, packet_id, ..Publish::new(topic, payload.to_owned()) }
}

fn subscribe(filter: &str, qos: u8) -> Subscribe {
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)];
    let options = SubscriptionOptions { qos, ..SubscriptionOptions::default() };
    Subscribe {
        packet_id: id(1),
        filters: vec![(filter.into(), options)],
        subscription_id: None,
        user_properties: Vec::new(),
    }
}

impl World {
    /// Runs one step, then checks that the store, the state and a recovered state agree.
    fn step(&mut self, step: impl FnOnce(&mut Broker, Timestamp, &Policy, &Settings, &mut Out)) {
        let mut out = Out::default();
        step(&mut self.broker, self.now, &self.policy, &self.settings, &mut out);
        for write in &out.writes {
            match write.entry() {
                (key, Some(value)) => drop(self.store.insert(key, value)),
                (key, None) => drop(self.store.remove(&key)),
            }
        }
        assert_eq!(self.broker.durable(), self.store, "state is not the fold of its writes");
        let recovered = self.recovered();
        assert_eq!(recovered.durable(), self.store, "recovery does not restore the state");
        self.check_usage(&recovered);
        for (connection, packet) in out.sends {
            assert!(!self.closed.contains_key(&connection), "{packet:?} to a closed connection");
            self.inbox.entry(connection).or_default().push(packet);
        }
        self.closed.extend(out.closes);
        self.messages.extend(out.messages);
        self.refusals.extend(out.refusals);
        self.cut_offs.extend(out.cut_offs);
        self.confirmed.extend(out.confirmed);
    }

    /// What is counted is what is there, and what is durable of it is counted again.
    fn check_usage(&self, recovered: &Broker) {
        let mut counted = Usage::default();
        for (at, (_, session)) in self.broker.sessions.iter().enumerate() {
            counted.add_record(SessionId::nth(at), &session.record);
            session.subscriptions.keys().for_each(|filter| counted.add_subscription(filter));
            counted.queued_bytes += session.queue.bytes();
        }
        assert_eq!(self.broker.usage.sums(), counted.sums(), "what is counted is not there");
        let all_stored = self.broker.sessions.iter().all(|(_, session)| {
            session.record.stored || session.subscriptions.is_empty() && session.queue.len() == 0
        });
        if all_stored {
            assert_eq!(recovered.usage.sums(), counted.sums(), "recovery counts otherwise");
        }
    }

    /// A broker that has read the store, as after a crash.
    fn recovered(&self) -> Broker {
        let mut broker = Broker::default();
        for &space in Broker::SPACES {
            for (key, value) in self.store.iter().filter(|(key, _)| key[0] == space as u8) {
                broker.load(key, value).unwrap();
            }
        }
        broker
    }

    /// Kills the process and starts it again.
    fn crash(&mut self) {
        self.broker = self.recovered();
        self.inbox.clear();
        self.step(|broker, now, policy, settings, out| broker.recover(now, policy, settings, out));
    }

    fn input(&mut self, input: Input) {
        self.step(|broker, now, policy, settings, out| {
            broker.handle(now, input, policy, settings, out);
        });
    }

    /// Sends CONNECT on a new connection.
    fn connect(&mut self, connect: Connect) -> ConnectionId {
        self.connect_to(self.profile, connect)
    }

    /// Sends CONNECT on a new connection to a listener of this profile.
    fn connect_to(&mut self, profile: Profile, connect: Connect) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let principal = Principal {
            identity: Identity::Certificate("c0ffee".into()),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            profile,
            anonymous_allowed: false,
        };
        self.input(Input::Connect { connection, principal, connect: Box::new(connect) });
        connection
    }

    /// Connects and takes the CONNACK.
    fn online(&mut self, connect: Connect) -> (ConnectionId, ConnAck) {
        let connection = self.connect(connect);
        let inbox = self.inbox.entry(connection).or_default();
        match (!inbox.is_empty()).then(|| inbox.remove(0)) {
            Some(Packet::ConnAck(answer)) => (connection, *answer),
            other => panic!("not a CONNACK: {other:?}"),
        }
    }

    fn send(&mut self, connection: ConnectionId, packet: Packet) {
        self.input(Input::Packet { connection, packet });
    }

    fn publish(&mut self, connection: ConnectionId, publish: Publish) {
        self.send(connection, Packet::Publish(publish));
    }

    /// Subscribes and takes the SUBACK.
    fn subscribe(&mut self, connection: ConnectionId, subscribe: Subscribe) -> ReasonCode {
        self.send(connection, Packet::Subscribe(subscribe));
        let inbox = self.inbox.entry(connection).or_default();
        let at = inbox.iter().position(|packet| matches!(packet, Packet::SubAck(_))).unwrap();
        match inbox.remove(at) {
            Packet::SubAck(SubAck { reasons, .. }) => reasons[0],
            other => panic!("not a SUBACK: {other:?}"),
        }
    }

    fn lose(&mut self, connection: ConnectionId) {
        self.input(Input::Closed { connection, cause: Closed::Lost });
    }

    fn goodbye(&mut self, connection: ConnectionId) {
        self.send(connection, Packet::Disconnect(Disconnect::default()));
    }

    fn service(&mut self, topic: &str, payload: &str) {
        let message = Message::service(topic, payload.to_owned(), self.now);
        self.step(|broker, _, policy, settings, out| {
            broker.publish(message, policy, settings, out);
        });
    }

    /// Makes a request of the broker: `operation` with these members.
    fn call(&mut self, operation: &str, members: &str) -> Answer {
        let body = Json::parse(members).unwrap();
        let request = Request::parse(operation, &body).unwrap().unwrap();
        let mut answer = None;
        self.step(|broker, now, policy, settings, out| {
            answer = Some(broker.call(now, &request, policy, settings, out));
        });
        answer.unwrap()
    }

    /// Makes a request that is answered at once: the output, or the error's name.
    fn ask(&mut self, operation: &str, members: &str) -> Result<Json, String> {
        match self.call(operation, members) {
            Answer::Now(answer) => answer.map_err(|error| error.code.into_owned()),
            Answer::Later(number) => panic!("answer {number} comes later"),
        }
    }

    /// Moves the clock and does what is due.
    fn pass(&mut self, ms: i64) {
        self.now = self.now.plus_ms(ms);
        self.step(|broker, now, policy, settings, out| broker.tick(now, policy, settings, out));
    }

    /// Takes what was sent on a connection.
    fn take(&mut self, connection: ConnectionId) -> Vec<Packet> {
        self.inbox.remove(&connection).unwrap_or_default()
    }

    /// Takes the publishes sent on a connection.
    fn received(&mut self, connection: ConnectionId) -> Vec<Publish> {
        let publish = |packet| match packet {
            Packet::Publish(publish) => Some(publish),
            _ => None,
        };
        self.take(connection).into_iter().filter_map(publish).collect()
    }

    /// Takes the payloads published to a connection.
    fn payloads(&mut self, connection: ConnectionId) -> Vec<String> {
        let text = |publish: Publish| String::from_utf8(publish.payload.to_vec()).unwrap();
        self.received(connection).into_iter().map(text).collect()
    }

    /// Takes the service's events, with their payloads read.
    fn events(&mut self, family: &str) -> Vec<(String, Json)> {
        let prefix = format!("$aws/events/{family}/");
        std::mem::take(&mut self.messages)
            .into_iter()
            .filter_map(|message| {
                let what = message.topic.strip_prefix(&prefix)?.to_owned();
                Some((what, Json::parse_bytes(&message.payload).unwrap()))
            })
            .collect()
    }
}
