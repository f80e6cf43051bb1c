use super::*;

/// A world with one publisher and one subscriber to `t/#`.
fn pair(subscriber: Connect, qos: u8) -> (World, ConnectionId, ConnectionId) {
    let mut world = World::default();
    let (from, _) = world.online(v5("from"));
    let (to, _) = world.online(subscriber);
    world.subscribe(to, subscribe("t/#", qos));
    (world, from, to)
}

#[test]
fn quality_of_service_is_the_lower_of_publish_and_subscription() {
    for (published, subscribed) in [(0, 2), (1, 1), (2, 1), (1, 2), (2, 0), (2, 2)] {
        let (mut world, from, to) = pair(clean("to"), subscribed);
        let number = u16::from(published > 0) * 5;
        world.publish(from, publish("t/a", "x", published, number));
        let got = world.received(to);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].qos as u8, published.min(subscribed));
        assert_eq!(got[0].packet_id.is_some(), got[0].qos > QoS::AtMostOnce);
        assert!(!got[0].dup && !got[0].retain);
    }
}

#[test]
fn a_publish_is_answered_as_its_quality_of_service_asks() {
    let (mut world, from, _) = pair(clean("to"), 0);
    world.publish(from, publish("t/a", "x", 0, 0));
    assert_eq!(world.take(from), []);
    world.publish(from, publish("t/a", "x", 1, 7));
    assert_eq!(world.take(from), [Packet::PubAck(Ack::success(id(7)))]);
    world.publish(from, publish("t/a", "x", 2, 7));
    assert_eq!(world.take(from), [Packet::PubRec(Ack::success(id(7)))]);
    world.send(from, Packet::PubRel(Ack::success(id(7))));
    assert_eq!(world.take(from), [Packet::PubComp(Ack::success(id(7)))]);
}

#[test]
fn a_repeated_qos_2_publish_is_delivered_once() {
    let (mut world, from, to) = pair(clean("to"), 2);
    for dup in [false, true] {
        world.publish(from, Publish { dup, ..publish("t/a", "x", 2, 7) });
        assert_eq!(world.take(from), [Packet::PubRec(Ack::success(id(7)))]);
    }
    assert_eq!(world.payloads(to), ["x"]);
    world.send(from, Packet::PubRel(Ack::success(id(7))));
    world.publish(from, publish("t/a", "y", 2, 7));
    assert_eq!(world.payloads(to), ["y"]);
}

#[test]
fn a_qos_2_publish_is_known_again_after_a_crash() {
    let mut world = World::default();
    let (from, _) = world.online(persistent("from"));
    world.publish(from, publish("t", "x", 2, 7));
    world.messages.clear();
    world.crash();
    let (from, _) = world.online(persistent("from"));
    world.messages.clear();
    world.publish(from, Publish { dup: true, ..publish("t", "x", 2, 7) });
    assert_eq!(world.take(from), [Packet::PubRec(Ack::success(id(7)))]);
    assert!(world.messages.is_empty(), "the rules see it once");
}

#[test]
fn releasing_an_unknown_packet_is_answered() {
    let (mut world, from, _) = pair(clean("to"), 0);
    world.send(from, Packet::PubRel(Ack::success(id(9))));
    let reason = ReasonCode::PacketIdentifierNotFound;
    assert_eq!(world.take(from), [Packet::PubComp(Ack { packet_id: id(9), reason })]);
}

#[test]
fn a_qos_2_delivery_is_completed_step_by_step() {
    let (mut world, from, to) = pair(clean("to"), 2);
    world.publish(from, publish("t/a", "x", 2, 1));
    let number = world.received(to)[0].packet_id.unwrap();
    world.send(to, Packet::PubRec(Ack::success(number)));
    assert_eq!(world.take(to), [Packet::PubRel(Ack::success(number))]);
    world.send(to, Packet::PubRec(Ack::success(number)));
    assert_eq!(world.take(to), [Packet::PubRel(Ack::success(number))]);
    world.send(to, Packet::PubComp(Ack::success(number)));
    world.send(to, Packet::PubRec(Ack::success(number)));
    let reason = ReasonCode::PacketIdentifierNotFound;
    assert_eq!(world.take(to), [Packet::PubRel(Ack { packet_id: number, reason })]);
}

#[test]
fn a_refused_qos_2_delivery_is_over() {
    let (mut world, from, to) = pair(Connect { receive_maximum: Some(id(1)), ..v5("to") }, 2);
    world.publish(from, publish("t/a", "x", 2, 1));
    world.publish(from, publish("t/a", "y", 2, 2));
    let number = world.received(to)[0].packet_id.unwrap();
    let refused = Ack { packet_id: number, reason: ReasonCode::QuotaExceeded };
    world.send(to, Packet::PubRec(refused));
    assert_eq!(world.payloads(to), ["y"]);
}

#[test]
fn no_more_are_in_flight_than_the_client_takes() {
    let (mut world, from, to) = pair(Connect { receive_maximum: Some(id(2)), ..v5("to") }, 1);
    for number in 1..=5 {
        world.publish(from, publish("t/a", &number.to_string(), 1, number));
    }
    let first = world.received(to);
    assert_eq!(first.len(), 2);
    world.send(to, Packet::PubAck(Ack::success(first[1].packet_id.unwrap())));
    assert_eq!(world.payloads(to), ["3"]);
    world.send(to, Packet::PubAck(Ack::success(first[0].packet_id.unwrap())));
    assert_eq!(world.payloads(to), ["4"]);
}

#[test]
fn qos_0_passes_a_full_window() {
    let (mut world, from, to) = pair(Connect { receive_maximum: Some(id(1)), ..v5("to") }, 1);
    world.publish(from, publish("t/a", "1", 1, 1));
    world.publish(from, publish("t/a", "2", 1, 2));
    world.publish(from, publish("t/a", "0", 0, 0));
    assert_eq!(world.payloads(to), ["1", "0"]);
}

#[test]
fn packet_identifiers_are_never_used_twice_at_once() {
    let (mut world, from, to) = pair(clean("to"), 1);
    world.publish(from, publish("t/a", "kept", 1, 1));
    let kept = world.received(to)[0].packet_id.unwrap();
    // the checks of `step` make 65,535 rounds slow; the broker alone does not
    let mut out = Out::default();
    let mut acked = 0;
    for _ in 0..70_000 {
        let packet = Packet::Publish(publish("t/a", "x", 1, 1));
        let input = Input::Packet { connection: from, packet };
        world.broker.handle(world.now, input, &world.policy, &world.settings, &mut out);
        for (connection, packet) in std::mem::take(&mut out).sends {
            if let Packet::Publish(Publish { packet_id: Some(number), .. }) = packet {
                assert_ne!(number, kept);
                acked += 1;
                let packet = Packet::PubAck(Ack::success(number));
                let input = Input::Packet { connection, packet };
                world.broker.handle(world.now, input, &world.policy, &world.settings, &mut out);
            }
        }
    }
    assert_eq!(acked, 65_534);
    let packet = Packet::PubAck(Ack::success(kept));
    let input = Input::Packet { connection: to, packet };
    world.broker.handle(world.now, input, &world.policy, &world.settings, &mut out);
    assert!(out.sends.len() >= 100, "the queue moves on");
}

/// Acknowledges and takes until nothing more comes.
fn drain(world: &mut World, to: ConnectionId) -> Vec<String> {
    let mut got = Vec::new();
    loop {
        let packets = world.received(to);
        if packets.is_empty() {
            return got;
        }
        for packet in packets {
            got.push(String::from_utf8(packet.payload.to_vec()).unwrap());
            world.send(to, Packet::PubAck(Ack::success(packet.packet_id.unwrap())));
        }
    }
}

#[test]
fn a_client_that_is_away_loses_what_its_queue_has_no_room_for() {
    let (mut world, from, to) = pair(persistent("to"), 1);
    world.settings.mqtt.queued_max = 3;
    world.lose(to);
    for number in 1..=5 {
        world.publish(from, publish("t/a", &number.to_string(), 1, number));
    }
    assert_eq!(world.refusals.len(), 2);
    assert_eq!(world.refusals[0].why, "queue is full");
    let (to, _) = world.online(persistent("to"));
    assert_eq!(drain(&mut world, to), ["1", "2", "3"]);
}

#[test]
fn a_client_that_is_behind_loses_nothing_until_its_bytes_are_used_up() {
    let (mut world, from, to) = pair(Connect { receive_maximum: Some(id(1)), ..v5("to") }, 1);
    world.settings.mqtt.queued_max = 3;
    let texts: Vec<_> = (1..=50).map(|number| number.to_string()).collect();
    for (number, text) in (1..).zip(&texts) {
        world.publish(from, publish("t/a", text, 1, number));
    }
    assert!(world.refusals.is_empty());
    assert_eq!(drain(&mut world, to), texts);

    world.settings.mqtt.queued_bytes_max = 2_000;
    for (number, text) in (1..).zip(&texts) {
        world.publish(from, publish("t/a", text, 1, number));
    }
    let got = drain(&mut world, to);
    assert_eq!(got, texts[..got.len()]);
    assert!((1..10).contains(&got.len()) && got.len() + world.refusals.len() == texts.len());
    assert_eq!(world.refusals[0].why, "queue is full");
}

#[test]
fn a_queue_is_bounded_in_bytes() {
    let (mut world, from, to) = pair(persistent("to"), 1);
    world.lose(to);
    world.settings.mqtt.queued_bytes_max = 1_500;
    for number in 1..=5 {
        world.publish(from, publish("t/a", &"x".repeat(400), 1, number));
    }
    assert_eq!(world.refusals.len(), 3);
}

#[test]
fn a_message_expires_on_the_way() {
    let (mut world, from, to) = pair(persistent("to"), 1);
    world.lose(to);
    for (number, expiry) in [(1, 10), (2, 20)] {
        let mut packet = publish("t/a", &number.to_string(), 1, number);
        packet.properties.message_expiry_s = Some(expiry);
        world.publish(from, packet);
    }
    world.pass(10_000);
    let (to, _) = world.online(Connect { clean_start: false, session_expiry_s: 60, ..v5("to") });
    let got = world.received(to);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].payload, "2");
    assert_eq!(got[0].properties.message_expiry_s, Some(10));
}

#[test]
fn properties_travel_with_the_message() {
    let (mut world, from, to) = pair(v5("to"), 0);
    let properties = Properties {
        payload_is_utf8: Some(true),
        message_expiry_s: Some(9),
        content_type: Some("text".into()),
        response_topic: Some("r".into()),
        correlation_data: Some("c".into()),
        user_properties: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
    };
    world.publish(from, Publish { properties: properties.clone(), ..publish("t/a", "x", 0, 0) });
    assert_eq!(world.received(to)[0].properties, properties);
}

#[test]
fn what_is_larger_than_the_client_takes_is_not_sent() {
    let (mut world, from, to) = pair(Connect { packet_bytes_max: Some(100), ..v5("to") }, 1);
    world.publish(from, publish("t/a", &"x".repeat(100), 1, 1));
    world.publish(from, publish("t/a", &"x".repeat(100), 0, 0));
    world.publish(from, publish("t/a", "small", 1, 2));
    assert_eq!(world.payloads(to), ["small"]);
    assert_eq!(world.refusals.len(), 2);
}

#[test]
fn a_topic_alias_of_the_client_stands_for_its_topic() {
    let (mut world, from, to) = pair(v5("to"), 0);
    let alias = |topic: &str, payload: &str| Publish {
        topic_alias: Some(id(3)),
        ..publish(topic, payload, 0, 0)
    };
    world.publish(from, alias("t/a", "1"));
    world.publish(from, alias("", "2"));
    world.publish(from, alias("t/b", "3"));
    world.publish(from, alias("", "4"));
    let got: Vec<_> = world.received(to).iter().map(|it| it.topic.to_string()).collect();
    assert_eq!(got, ["t/a", "t/a", "t/b", "t/b"]);
}

#[test]
fn an_invalid_topic_alias_ends_the_connection() {
    for (alias, topic, reason) in
        [(17, "t", ReasonCode::TopicAliasInvalid), (1, "", ReasonCode::ProtocolError)]
    {
        let (mut world, from, _) = pair(v5("to"), 0);
        let packet = Publish { topic_alias: Some(id(alias)), ..publish(topic, "", 0, 0) };
        world.publish(from, packet);
        assert_eq!(world.closed.get(&from), Some(&Some(reason)));
    }
}

#[test]
fn the_broker_uses_aliases_the_client_takes() {
    let (mut world, from, to) = pair(Connect { topic_alias_max: 1, ..v5("to") }, 0);
    for topic in ["t/long", "t/long", "t/other"] {
        world.publish(from, publish(topic, "", 0, 0));
    }
    let got = world.received(to);
    let seen: Vec<_> = got.iter().map(|it| (&*it.topic, it.topic_alias.map(u16::from))).collect();
    assert_eq!(seen, [("t/long", Some(1)), ("", Some(1)), ("t/other", None)]);
}

#[test]
fn order_is_kept_from_publisher_to_subscriber() {
    let (mut world, from, to) = pair(clean("to"), 1);
    let sent: Vec<_> = (1..=150).map(|number| number.to_string()).collect();
    for (at, payload) in sent.iter().enumerate() {
        world.publish(from, publish("t/a", payload, 1, at as u16 + 1));
    }
    let mut got = Vec::new();
    while got.len() < sent.len() {
        for packet in world.received(to) {
            got.push(String::from_utf8(packet.payload.to_vec()).unwrap());
            world.send(to, Packet::PubAck(Ack::success(packet.packet_id.unwrap())));
        }
    }
    assert_eq!(got, sent);
}

#[test]
fn rules_see_what_was_published_and_by_whom() {
    let (mut world, from, _) = pair(clean("to"), 0);
    world.messages.clear();
    world.publish(from, publish("t/a", "x", 1, 1));
    let message = &world.messages[0];
    assert_eq!(
        (&*message.topic, &message.payload[..], message.qos),
        ("t/a", &b"x"[..], QoS::AtLeastOnce)
    );
    match &message.origin {
        Origin::Client(client) => {
            assert_eq!((&*client.id, client.thing.as_deref()), ("from", Some("from")));
        }
        Origin::Service | Origin::Caller(_) => panic!("a client published it"),
    }
}
