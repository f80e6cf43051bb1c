//! Random worlds: whatever happens, the invariants that `World::step` checks hold, and these.

use stepwire_asl::Entropy;

use super::*;
use crate::mqtt::RetainHandling;

const CLIENTS: [&str; 4] = ["a", "b", "c", ""];
const TOPICS: [&str; 5] = ["t", "t/a", "t/b", "u/a", "$x/a"];
const FILTERS: [&str; 9] =
    ["t", "t/+", "t/#", "#", "+/a", "$share/g/t/+", "$aws/events/#", "t/#/x", "u/a"];

struct Dice(Entropy);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        (self.0.next_u64() % count as u64) as usize
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    fn connect(&mut self) -> Connect {
        let version = self.of(&[Version::V31, Version::V311, Version::V5]);
        let mut connect = Connect::new(version, self.of(&CLIENTS));
        connect.clean_start = self.yes();
        connect.session_expiry_s = match version {
            Version::V5 => self.of(&[0, 1, 60, u32::MAX]),
            _ if connect.clean_start => 0,
            _ => u32::MAX,
        };
        connect.keep_alive_s = self.of(&[0, 1, 60]);
        if version == Version::V5 {
            connect.receive_maximum = self.of(&[None, PacketId::new(1), PacketId::new(2)]);
            connect.packet_bytes_max = self.of(&[None, Some(30)]);
            connect.topic_alias_max = self.of(&[0, 2]);
        }
        if self.yes() {
            connect = wills::with_will(connect, self.of(&[0, 1, 100]));
        }
        connect
    }

    fn packet(&mut self, seen: &[PacketId]) -> Packet {
        let any = self.below(4) as u16 + 1;
        let packet_id = if seen.is_empty() || self.below(4) == 0 { id(any) } else { self.of(seen) };
        let reason =
            self.of(&[ReasonCode::Success, ReasonCode::Success, ReasonCode::QuotaExceeded]);
        match self.below(12) {
            0..4 => {
                let qos = self.below(3) as u8;
                let number = if qos == 0 { 0 } else { any };
                let text = self.of(&["", "x", "a payload that is a bit longer"]);
                let mut publish = publish(self.of(&TOPICS), text, qos, number);
                publish.retain = self.below(4) == 0;
                publish.properties.message_expiry_s = self.of(&[None, None, Some(1)]);
                Packet::Publish(publish)
            }
            4 | 5 => Packet::PubAck(Ack { packet_id, reason }),
            6 => Packet::PubRec(Ack { packet_id, reason }),
            7 => Packet::PubComp(Ack { packet_id, reason }),
            8 => Packet::PubRel(Ack::success(packet_id)),
            9 => {
                let options = SubscriptionOptions {
                    qos: self.of(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]),
                    no_local: self.below(8) == 0,
                    retain_as_published: self.yes(),
                    retain_handling: self.of(&[RetainHandling::Send, RetainHandling::SendIfNew]),
                };
                let filters = vec![(self.of(&FILTERS).into(), options)];
                Packet::Subscribe(Subscribe { filters, ..subscribe("t", 0) })
            }
            10 => {
                let filters = vec![self.of(&FILTERS).into()];
                Packet::Unsubscribe(Unsubscribe { packet_id, filters, user_properties: vec![] })
            }
            _ => {
                let session_expiry_s = self.of(&[None, Some(0), Some(5)]);
                Packet::Disconnect(Disconnect { session_expiry_s, ..Disconnect::default() })
            }
        }
    }
}

/// Checks that presence events of each client alternate, in pairs.
fn check_presence(world: &mut World, open: &mut BTreeMap<String, Json>) {
    for (what, event) in world.events("presence") {
        let (kind, client) = what.split_once('/').unwrap();
        let session = event.member("sessionIdentifier").unwrap().clone();
        let before = match kind {
            "connected" => open.insert(client.to_owned(), session).is_none(),
            "disconnected" => open.remove(client) == Some(session),
            _ => panic!("{what}"),
        };
        assert!(before, "{what} out of turn");
    }
}

fn run(seed: u64) {
    let mut dice = Dice(Entropy::new(seed));
    let mut world = World::default();
    let limits = &mut world.settings.mqtt;
    (limits.queued_max, limits.in_flight_max, limits.held_max) = (5, 3, 3);
    (limits.retained_max, limits.subscriptions_max) = (2, 4);
    let mut seen = Vec::new();
    let mut open = BTreeMap::new();
    for _ in 0..60 {
        let connection = ConnectionId(1 + dice.below(world.connections as usize + 1) as u64);
        match dice.below(20) {
            0..3 => drop(world.connect(dice.connect())),
            3 => world.lose(connection),
            4 => world.pass(dice.of(&[1, 1_000, 5_000, 100_000, 4_000_000])),
            5 => world.service(dice.of(&TOPICS), "service"),
            6 if dice.yes() => world.crash(),
            _ => world.send(connection, dice.packet(&seen)),
        }
        seen = world
            .inbox
            .values()
            .flatten()
            .filter_map(|packet| match packet {
                Packet::Publish(publish) => publish.packet_id,
                Packet::PubRel(ack) => Some(ack.packet_id),
                _ => None,
            })
            .collect();
        check_presence(&mut world, &mut open);
        let due = world.broker.due();
        world.pass(0);
        assert!(world.broker.due() >= due.filter(|due| *due > world.now), "time stands still");
    }
}

#[test]
fn whatever_happens_the_state_is_what_was_recorded() {
    for seed in 0..300 {
        run(seed);
    }
}
