//! Who takes too much: refused, cut off, named; and nobody else notices.

use bytes::Bytes;

use super::*;
use crate::rate::Rate;

const ME: &str = "c0ffee";

impl World {
    /// Sends CONNECT with another certificate than the others'.
    fn connect_with(&mut self, certificate: &str, connect: Connect) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let principal = Principal {
            identity: Identity::Certificate(certificate.into()),
            ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
            profile: Profile::Standard,
            anonymous_allowed: false,
        };
        self.input(Input::Connect { connection, principal, connect: Box::new(connect) });
        connection
    }

    /// What CONNACK says.
    fn connack(&mut self, connection: ConnectionId) -> ReasonCode {
        match self.take(connection).into_iter().next() {
            Some(Packet::ConnAck(answer)) => answer.reason,
            other => panic!("not a CONNACK: {other:?}"),
        }
    }

    /// Reason codes of the acknowledgements that were sent on a connection.
    fn acks(&mut self, connection: ConnectionId) -> Vec<ReasonCode> {
        let ack = |packet| match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) => Some(ack.reason),
            _ => None,
        };
        self.take(connection).into_iter().filter_map(ack).collect()
    }

    /// Cause and reason of the only one who was cut off.
    fn only_cut_off(&self) -> (Cause, ReasonCode) {
        match &self.cut_offs[..] {
            [only] => (only.cause, only.reason),
            other => panic!("not one: {other:?}"),
        }
    }
}

fn v5(client: &str) -> Connect {
    Connect::new(Version::V5, client)
}

fn retained(topic: &str, number: u16) -> Publish {
    Publish { retain: true, ..publish(topic, "x", 1, number) }
}

#[test]
fn who_publishes_faster_than_it_may_is_refused_and_then_cut_off() {
    let mut world = World::default();
    world.settings.mqtt.rates.publishes = Rate::new(10, 5);
    world.settings.mqtt.rates.overrun = Overrun::Refuse;
    let (fast, _) = world.online(v5("fast"));
    let (calm, _) = world.online(v5("calm"));
    for number in 1..=7 {
        world.publish(fast, publish("t", "x", 1, number));
    }
    let (taken, over) = (ReasonCode::Success, ReasonCode::QuotaExceeded);
    assert_eq!(world.acks(fast), [taken, taken, taken, taken, taken, over, over]);
    world.pass(1_000);
    world.publish(fast, publish("t", "x", 1, 8));
    assert_eq!(world.acks(fast), [taken], "a second later it may again");
    for number in 9..40 {
        world.publish(fast, publish("t", "x", 1, number));
    }
    assert_eq!(world.closed.get(&fast), Some(&Some(ReasonCode::MessageRateTooHigh)));
    assert_eq!(world.only_cut_off(), (Cause::PublishRate, ReasonCode::MessageRateTooHigh));
    let (_, event) = world.events("presence").pop().unwrap();
    assert_eq!(event.member("disconnectReason").unwrap().to_text(), r#""THROTTLED""#);
    world.publish(calm, publish("t", "x", 1, 1));
    assert_eq!(world.acks(calm), [taken]);
}

#[test]
fn bytes_count_as_messages_do() {
    let mut world = World::default();
    world.settings.mqtt.rates.publish_bytes = Rate::new(100, 100);
    world.settings.mqtt.rates.overrun = Overrun::Refuse;
    let (client, _) = world.online(v5("d"));
    world.publish(client, publish("t", &"x".repeat(99), 1, 1));
    world.publish(client, publish("t", "x", 2, 2));
    assert_eq!(world.acks(client), [ReasonCode::Success, ReasonCode::QuotaExceeded]);
}

#[test]
fn a_listener_that_slows_clients_down_leaves_nothing_to_refuse() {
    let mut world = World::default();
    world.settings.mqtt.rates.publishes = Rate::new(1, 1);
    let (client, _) = world.online(v5("d"));
    for number in 1..=100 {
        world.publish(client, publish("t", "x", 1, number));
    }
    assert!(world.acks(client).iter().all(|reason| *reason == ReasonCode::Success));
}

#[test]
fn who_subscribes_faster_than_it_may_is_refused_and_then_cut_off() {
    let mut world = World::default();
    world.settings.mqtt.rates.filters = Rate::new(1, 2);
    world.settings.mqtt.rates.refusals = Rate::new(1, 3);
    let (client, _) = world.online(v5("d"));
    for _ in 0..2 {
        assert_eq!(world.subscribe(client, subscribe("a", 0)), ReasonCode::Success);
    }
    for _ in 0..3 {
        assert_eq!(world.subscribe(client, subscribe("a", 0)), ReasonCode::QuotaExceeded);
    }
    assert!(world.cut_offs.is_empty());
    world.send(client, Packet::Subscribe(subscribe("a", 0)));
    assert_eq!(world.closed.get(&client), Some(&Some(ReasonCode::QuotaExceeded)));
    assert_eq!(world.only_cut_off(), (Cause::FilterRate, ReasonCode::QuotaExceeded));
}

#[test]
fn all_clients_together_subscribe_no_faster_than_the_node_bears() {
    let mut world = World::default();
    world.settings.budget.filters = Rate::new(10, 2);
    let clients = ["a", "b", "c"].map(|client| world.online(v5(client)).0);
    let answers = clients.map(|client| world.subscribe(client, subscribe("t", 0)));
    assert_eq!(answers, [ReasonCode::Success, ReasonCode::Success, ReasonCode::QuotaExceeded]);
    world.pass(100);
    assert_eq!(world.subscribe(clients[2], subscribe("t", 0)), ReasonCode::Success);
}

#[test]
fn wildcards_are_fewer_than_subscriptions() {
    let mut world = World::default();
    world.settings.mqtt.wildcard_subscriptions_max = 2;
    let (client, _) = world.online(v5("d"));
    for filter in ["+/a", "#", "plain"] {
        assert_eq!(world.subscribe(client, subscribe(filter, 0)), ReasonCode::Success);
    }
    assert_eq!(world.subscribe(client, subscribe("a/+", 0)), ReasonCode::QuotaExceeded);
    assert_eq!(world.subscribe(client, subscribe("#", 1)), ReasonCode::GrantedQoS1, "not new");
    let filters = vec!["#".into()];
    let (packet_id, user_properties) = (id(2), Vec::new());
    world.send(client, Packet::Unsubscribe(Unsubscribe { packet_id, filters, user_properties }));
    world.take(client);
    assert_eq!(world.subscribe(client, subscribe("a/+", 0)), ReasonCode::Success);
}

#[test]
fn all_clients_together_have_no_more_subscriptions_than_the_node_bears() {
    let mut world = World::default();
    world.settings.budget.subscriptions_max = 2;
    let (a, _) = world.online(v5("a"));
    let (b, _) = world.online(v5("b"));
    assert_eq!(world.subscribe(a, subscribe("x", 0)), ReasonCode::Success);
    assert_eq!(world.subscribe(a, subscribe("y", 0)), ReasonCode::Success);
    assert_eq!(world.subscribe(b, subscribe("z", 0)), ReasonCode::QuotaExceeded);
    world.goodbye(a);
    assert_eq!(world.subscribe(b, subscribe("z", 0)), ReasonCode::Success);
}

#[test]
fn retained_messages_of_one_certificate_leave_room_for_those_of_another() {
    let mut world = World::default();
    world.settings.budget.retained_per_owner_max = 2;
    let (greedy, _) = world.online(v5("greedy"));
    let (twin, _) = world.online(v5("twin"));
    let other = world.connect_with("decaf", v5("other"));
    assert_eq!(world.connack(other), ReasonCode::Success);
    for (client, topic) in [(greedy, "a"), (greedy, "b"), (twin, "c"), (other, "d")] {
        world.publish(client, retained(topic, 1));
    }
    assert_eq!(world.acks(greedy), [ReasonCode::Success, ReasonCode::Success]);
    assert_eq!(world.acks(twin), [ReasonCode::QuotaExceeded], "the same certificate");
    assert_eq!(world.acks(other), [ReasonCode::Success]);
    assert_eq!(world.broker.retained("c", world.now), None);
    // in place of an own one there is room
    world.publish(twin, retained("a", 2));
    assert_eq!(world.acks(twin), [ReasonCode::Success]);
    world.publish(twin, Publish { payload: Bytes::new(), ..retained("a", 3) });
    world.publish(twin, retained("c", 4));
    assert_eq!(world.acks(twin), [ReasonCode::Success, ReasonCode::Success]);
}

#[test]
fn who_cannot_be_told_that_a_message_is_not_kept_has_it_delivered() {
    let mut world = World::default();
    world.settings.budget.retained_per_owner_max = 0;
    world.settings.mqtt.rates.refusals = Rate::new(1, 2);
    let (old, _) = world.online(Connect::new(Version::V311, "old"));
    let (reader, _) = world.online(v5("reader"));
    world.subscribe(reader, subscribe("#", 0));
    for number in 1..=2 {
        world.publish(old, retained("t", number));
    }
    assert_eq!(world.payloads(reader).len(), 2);
    assert_eq!(world.broker.retained("t", world.now), None);
    assert_eq!(world.refusals.len(), 2);
    world.publish(old, retained("t", 3));
    assert_eq!(world.only_cut_off(), (Cause::Retained, ReasonCode::QuotaExceeded));
}

#[test]
fn an_old_client_leaves_only_so_many_qos_2_messages_unreleased() {
    let mut world = World::default();
    world.settings.mqtt.unreleased_max = 2;
    let (client, _) = world.online(persistent("d"));
    for number in 1..=2 {
        world.publish(client, publish("t", "x", 2, number));
    }
    world.publish(client, publish("t", "x", 2, 1));
    assert!(world.cut_offs.is_empty(), "the same again is no further one");
    world.publish(client, publish("t", "x", 2, 3));
    assert_eq!(world.only_cut_off(), (Cause::Unreleased, ReasonCode::ReceiveMaximumExceeded));
}

#[test]
fn a_full_node_refuses_the_longest_queue_first() {
    let mut world = World::default();
    for client in ["hog", "small"] {
        let (away, _) = world.online(persistent(client));
        world.subscribe(away, subscribe(&format!("for/{client}"), 1));
        world.lose(away);
    }
    let (sender, _) = world.online(v5("sender"));
    let kilobyte = "x".repeat(1_000);
    world.settings.budget.queued_bytes_max = 50_000;
    for number in 1..=100 {
        world.publish(sender, publish("for/hog", &kilobyte, 1, number));
    }
    let queued = world.broker.usage.queued_bytes;
    assert!((20_000..=26_000).contains(&queued), "a half at most: {queued}");
    assert!(!world.refusals.is_empty());
    world.refusals.clear();
    for number in 101..=105 {
        world.publish(sender, publish("for/small", &kilobyte, 1, number));
    }
    assert!(world.refusals.is_empty(), "who has little still gets more");
    for number in 106..=1_000 {
        world.publish(sender, publish("for/small", &kilobyte, 1, number));
    }
    assert!(world.broker.usage.queued_bytes <= 50_000);
}

#[test]
fn user_properties_count_as_payload_does() {
    let mut world = World::default();
    world.settings.mqtt.queued_bytes_max = 10_000;
    let (away, _) = world.online(persistent("away"));
    world.subscribe(away, subscribe("t", 1));
    world.lose(away);
    let (sender, _) = world.online(v5("sender"));
    let user_properties = vec![(Arc::from(""), Arc::from("")); 200];
    let properties = Properties { user_properties, ..Properties::default() };
    world.publish(sender, Publish { properties, ..publish("t", "", 1, 1) });
    assert_eq!(world.refusals[0].why, "queue is full");
}

#[test]
fn a_certificate_has_only_so_many_sessions() {
    let mut world = World::default();
    world.settings.budget.sessions_per_certificate_max = 2;
    let (first, _) = world.online(v5("a"));
    let (lasting, _) = world.online(persistent("b"));
    world.lose(lasting);
    let third = world.connect(v5("c"));
    assert_eq!(world.connack(third), ReasonCode::QuotaExceeded);
    assert_eq!(world.only_cut_off(), (Cause::SessionsOfCertificate, ReasonCode::QuotaExceeded));
    let other = world.connect_with("decaf", v5("d"));
    assert_eq!(world.connack(other), ReasonCode::Success);
    let again = world.connect(persistent("b"));
    assert_eq!(world.connack(again), ReasonCode::Success, "one that it has already");
    world.goodbye(first);
    let third = world.connect(v5("c"));
    assert_eq!(world.connack(third), ReasonCode::Success);
    assert_eq!(world.broker.usage.of_certificate(ME), 2);
}

#[test]
fn of_client_identifiers_that_are_gone_the_oldest_are_forgotten() {
    let mut world = World::default();
    world.settings.budget.remembered_max = 3;
    for number in 0..20 {
        let (client, _) = world.online(v5(&format!("random-{number}")));
        world.goodbye(client);
        world.pass(1);
    }
    assert_eq!(world.store.len(), 4, "the newest and three others");
    assert!(world.broker.sessions.find("random-19").is_some());
    assert!(world.broker.sessions.find("random-15").is_none());
}

#[test]
fn wills_and_sessions_take_only_so_much_memory() {
    let mut world = World::default();
    world.settings.budget.session_bytes_max = 10_000;
    let will = |client: &str| {
        let will = Will {
            topic: "w".into(),
            payload: Bytes::from(vec![b'x'; 4_000]),
            qos: QoS::AtMostOnce,
            retain: false,
            delay_s: 60,
            properties: Properties::default(),
        };
        Connect { will: Some(Box::new(will)), ..v5(client) }
    };
    world.online(will("a"));
    let second = world.connect(will("b"));
    assert_eq!(world.connack(second), ReasonCode::QuotaExceeded);
    assert_eq!(world.only_cut_off(), (Cause::Sessions, ReasonCode::QuotaExceeded));
    world.online(v5("c"));
}

#[test]
fn a_client_identifier_connects_only_so_often_and_keeps_its_pairs() {
    let mut world = World::default();
    world.settings.mqtt.rates.connects = Rate::new(1, 3);
    let mut refused = 0;
    for _ in 0..10 {
        let connection = world.connect(v5("flapping"));
        match world.connack(connection) {
            ReasonCode::Success => world.lose(connection),
            ReasonCode::ConnectionRateExceeded => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 6, "the first CONNECT made the session and is not counted");
    assert_eq!(world.cut_offs[0].cause, Cause::ConnectRate);
    let names: Vec<_> = world.events("presence").into_iter().map(|(name, _)| name).collect();
    let pair = ["connected/flapping", "disconnected/flapping"];
    assert_eq!(names, pair.repeat(4));
    world.pass(1_000);
    world.online(v5("flapping"));
}

#[test]
fn two_devices_that_share_an_identifier_are_slowed_down_and_named() {
    let mut world = World::default();
    world.settings.mqtt.rates.takeovers = Rate::new(1, 2);
    let mut holder = world.online(v5("twin")).0;
    for _ in 0..10 {
        let rival = world.connect_with("decaf", v5("twin"));
        if world.connack(rival) == ReasonCode::Success {
            assert_eq!(world.closed[&holder], Some(ReasonCode::SessionTakenOver));
            holder = rival;
        }
    }
    assert_eq!(world.cut_offs.len(), 8);
    let CutOff { client, address, cause, reason, .. } = &world.cut_offs[0];
    assert_eq!((&**client, *cause), ("twin", Cause::TakeOvers));
    assert_eq!(*address, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    assert_eq!(*reason, ReasonCode::ConnectionRateExceeded);
    assert!(!world.closed.contains_key(&holder), "who has the connection keeps it");
    let names: Vec<_> = world.events("presence").into_iter().map(|(name, _)| name).collect();
    let expected = [
        "connected/twin",
        "disconnected/twin",
        "connected/twin",
        "disconnected/twin",
        "connected/twin",
    ];
    assert_eq!(names, expected);
    world.pass(1_000);
    let rival = world.connect_with("decaf", v5("twin"));
    assert_eq!(world.connack(rival), ReasonCode::Success);
}

#[test]
fn before_mqtt_5_a_connect_that_comes_too_soon_is_told_that_the_server_is_unavailable() {
    assert_eq!(ReasonCode::ConnectionRateExceeded.connect_return_code(), Some(3));
}

#[test]
fn who_goes_on_after_many_refusals_is_cut_off() {
    let mut world = World::default();
    world.settings.mqtt.rates.refusals = Rate::new(1, 5);
    world.policy.denied.insert((Action::Publish, "secret".to_owned()));
    let (client, _) = world.online(v5("d"));
    for number in 1..=5 {
        world.publish(client, publish("secret", "x", 1, number));
    }
    assert!(world.cut_offs.is_empty());
    world.publish(client, publish("secret", "x", 1, 6));
    assert_eq!(world.only_cut_off(), (Cause::Refusals, ReasonCode::QuotaExceeded));
}

#[test]
fn who_keeps_asking_for_all_retained_messages_is_cut_off() {
    let mut world = World::default();
    world.settings.mqtt.rates.retained = Rate::new(1, 25);
    let (client, _) = world.online(v5("d"));
    for number in 1..=10 {
        world.publish(client, retained(&format!("t/{number}"), number));
    }
    for filter in ["t/1", "+/none", "t/+"] {
        world.subscribe(client, subscribe(filter, 0));
    }
    assert!(world.cut_offs.is_empty());
    world.send(client, Packet::Subscribe(subscribe("+/none", 0)));
    assert_eq!(world.only_cut_off(), (Cause::RetainedRate, ReasonCode::QuotaExceeded));
}

#[test]
fn whoever_is_cut_off_is_named_with_its_address_and_what_it_did() {
    for (closed, cause, reason) in [
        (
            Closed::ProtocolError(ReasonCode::MalformedPacket),
            Cause::Protocol,
            ReasonCode::MalformedPacket,
        ),
        (
            Closed::ProtocolError(ReasonCode::PacketTooLarge),
            Cause::PacketTooLarge,
            ReasonCode::PacketTooLarge,
        ),
        (Closed::TooSlow, Cause::TooSlow, ReasonCode::QuotaExceeded),
        (Closed::NoRoom, Cause::Memory, ReasonCode::QuotaExceeded),
    ] {
        let mut world = World::default();
        let (connection, _) = world.online(v5("d"));
        world.input(Input::Closed { connection, cause: closed });
        let expected = CutOff {
            client: "d".into(),
            thing: Some("d".into()),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            cause,
            reason,
        };
        assert_eq!(world.cut_offs, [expected]);
    }
    let mut world = World::default();
    let (connection, _) = world.online(v5("d"));
    world.lose(connection);
    assert!(world.cut_offs.is_empty());
}
