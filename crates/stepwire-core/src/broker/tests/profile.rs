use super::*;

fn aws() -> World {
    World { profile: Profile::Aws, ..World::default() }
}

fn filters(filters: &[&str]) -> Subscribe {
    let options = SubscriptionOptions { qos: QoS::AtLeastOnce, ..SubscriptionOptions::default() };
    let filters = filters.iter().map(|filter| ((*filter).into(), options)).collect();
    Subscribe { filters, ..subscribe("x", 1) }
}

fn will(qos: QoS) -> Will {
    Will {
        topic: "w".into(),
        payload: "gone".into(),
        qos,
        retain: false,
        delay_s: 0,
        properties: Properties::default(),
    }
}

/// The reason that a CONNECT is refused with.
fn refused(world: &mut World, connect: Connect) -> Option<ReasonCode> {
    let connection = world.connect(connect);
    assert!(world.closed.contains_key(&connection));
    match &world.take(connection)[..] {
        [Packet::ConnAck(answer)] => Some(answer.reason),
        [] => None,
        other => panic!("{other:?}"),
    }
}

/// How a connection was closed, and the reason presence gives.
fn ended(world: &mut World, connection: ConnectionId) -> (Option<ReasonCode>, String) {
    let reason = *world.closed.get(&connection).unwrap();
    let events = world.events("presence");
    let why = events.last().unwrap().1.member("disconnectReason").and_then(Json::as_str).unwrap();
    (reason, why.to_owned())
}

#[test]
fn connack_says_what_aws_says() {
    let mut world = aws();
    let (_, answer) = world.online(Connect { keep_alive_s: 1_200, ..v5("d1") });
    let expected = ConnAck {
        receive_maximum: Some(100),
        packet_bytes_max: Some(149_504),
        topic_alias_max: Some(8),
        server_keep_alive_s: Some(1_200),
        qos_max: Some(QoS::AtLeastOnce),
        subscription_ids_available: Some(false),
        ..ConnAck::default()
    };
    assert_eq!(answer, expected);
    assert_eq!(world.online(clean("d2")).1, ConnAck::default());
}

#[test]
fn a_message_of_qos_2_ends_the_connection() {
    for (connect, reason) in
        [(v5("d1"), ReasonCode::QoSNotSupported), (clean("d1"), ReasonCode::QoSNotSupported)]
    {
        let mut world = aws();
        let (device, _) = world.online(connect);
        world.publish(device, publish("a", "x", 2, 1));
        assert!(world.take(device).is_empty(), "no PUBREC");
        assert_eq!(ended(&mut world, device), (Some(reason), "CLIENT_ERROR".to_owned()));
        assert!(!world.messages.iter().any(|message| &*message.topic == "a"));
    }
}

#[test]
fn a_subscription_of_qos_2_is_granted_qos_1() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    assert_eq!(world.subscribe(device, subscribe("a", 2)), ReasonCode::GrantedQoS1);
    let (other, _) = world.online(v5("d2"));
    world.publish(other, publish("a", "x", 1, 1));
    assert_eq!(world.received(device)[0].qos, QoS::AtLeastOnce);
    // also what a client of another listener publishes
    let standard = world.connect_to(Profile::Standard, v5("d3"));
    world.publish(standard, publish("a", "y", 2, 1));
    assert_eq!(world.received(device)[0].qos, QoS::AtLeastOnce);
}

#[test]
fn packets_of_qos_2_are_no_part_of_the_protocol() {
    for packet in [
        Packet::PubRec(Ack::success(id(1))),
        Packet::PubRel(Ack::success(id(1))),
        Packet::PubComp(Ack::success(id(1))),
    ] {
        let mut world = aws();
        let (device, _) = world.online(v5("d1"));
        world.send(device, packet);
        let expected = (Some(ReasonCode::ProtocolError), "CLIENT_ERROR".to_owned());
        assert_eq!(ended(&mut world, device), expected);
    }
}

#[test]
fn a_wildcard_does_not_include_the_parent() {
    for (profile, expected) in [
        (Profile::Aws, vec!["sensor/", "sensor/a"]),
        (Profile::Standard, vec!["sensor", "sensor/", "sensor/a"]),
    ] {
        for filter in ["sensor/#", "+/#", "$share/g/sensor/#"] {
            let mut world = World::default();
            let device = world.connect_to(profile, v5("d1"));
            world.subscribe(device, subscribe(filter, 0));
            world.take(device);
            let other = world.connect_to(Profile::Standard, v5("d2"));
            for topic in ["sensor", "sensor/", "sensor/a"] {
                world.publish(other, publish(topic, topic, 0, 0));
            }
            assert_eq!(world.payloads(device), expected, "{profile:?} {filter}");
        }
    }
}

#[test]
fn a_member_that_does_not_get_the_parent_leaves_it_to_one_that_does() {
    let mut world = World::default();
    let aws = world.connect_to(Profile::Aws, v5("a"));
    let standard = world.connect_to(Profile::Standard, v5("b"));
    for device in [aws, standard] {
        world.subscribe(device, subscribe("$share/g/sensor/#", 0));
        world.take(device);
    }
    for _ in 0..4 {
        world.publish(standard, publish("sensor", "x", 0, 0));
    }
    assert_eq!(world.payloads(standard).len(), 4);
    assert!(world.payloads(aws).is_empty());
}

#[test]
fn a_held_message_of_the_parent_is_not_for_the_wildcard() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    world.service("sensor", "parent");
    world.service("sensor/a", "below");
    world.subscribe(device, subscribe("sensor/#", 1));
    assert_eq!(world.payloads(device), ["below"]);
}

#[test]
fn only_a_filter_without_wildcards_is_sent_the_retained_message() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    world.publish(device, Publish { retain: true, ..publish("a/b", "kept", 0, 0) });
    for (filter, expected) in [("a/+", 0), ("a/#", 0), ("#", 0), ("$share/g/a/b", 0), ("a/b", 1)] {
        world.subscribe(device, subscribe(filter, 1));
        assert_eq!(world.received(device).len(), expected, "{filter}");
    }
}

#[test]
fn one_subscribe_has_at_most_eight_filters() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    world.subscribe(device, filters(&["1", "2", "3", "4", "5", "6", "7", "8"]));
    world.send(device, Packet::Subscribe(filters(&["1", "2", "3", "4", "5", "6", "7", "8", "9"])));
    let expected = (Some(ReasonCode::QuotaExceeded), "CLIENT_ERROR".to_owned());
    assert_eq!(ended(&mut world, device), expected);
}

#[test]
fn a_connection_has_at_most_fifty_subscriptions() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    for number in 0..50 {
        let granted = world.subscribe(device, subscribe(&number.to_string(), 1));
        assert_eq!(granted, ReasonCode::GrantedQoS1);
    }
    assert_eq!(world.subscribe(device, subscribe("more", 1)), ReasonCode::QuotaExceeded);
    assert_eq!(world.subscribe(device, subscribe("7", 0)), ReasonCode::Success, "not a new one");
}

#[test]
fn a_payload_has_at_most_128_kib() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    world.publish(device, publish("a", &"x".repeat(128 * 1024), 1, 1));
    assert!(matches!(world.take(device)[..], [Packet::PubAck(_)]));
    world.publish(device, publish("a", &"x".repeat(128 * 1024 + 1), 1, 2));
    let expected = (Some(ReasonCode::QuotaExceeded), "CLIENT_ERROR".to_owned());
    assert_eq!(ended(&mut world, device), expected);
    let big = Will { payload: "x".repeat(128 * 1024 + 1).into(), ..will(QoS::AtMostOnce) };
    let connect = Connect { will: Some(Box::new(big)), ..v5("d2") };
    assert_eq!(refused(&mut world, connect), Some(ReasonCode::QuotaExceeded));
}

#[test]
fn topics_have_at_most_256_bytes_and_eight_levels() {
    for bad in ["a/b/c/d/e/f/g/h/i", &"x".repeat(257)] {
        let mut world = aws();
        let (device, _) = world.online(v5("d1"));
        assert_eq!(world.subscribe(device, subscribe(bad, 1)), ReasonCode::TopicFilterInvalid);
        world.publish(device, publish(bad, "x", 1, 1));
        let expected = (Some(ReasonCode::TopicNameInvalid), "CLIENT_ERROR".to_owned());
        assert_eq!(ended(&mut world, device), expected);
    }
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    for good in ["a/b/c/d/e/f/g/h", &"x".repeat(256)] {
        assert_eq!(world.subscribe(device, subscribe(good, 1)), ReasonCode::GrantedQoS1);
        world.publish(device, publish(good, "x", 1, 1));
        assert!(world.take(device).iter().any(|packet| matches!(packet, Packet::PubAck(_))));
    }
}

#[test]
fn the_keep_alive_is_brought_within_bounds_and_told() {
    for (asked, used) in [(0, 1_200), (5, 30), (60, 60), (5_000, 1_200)] {
        let mut world = aws();
        let (_, answer) = world.online(Connect { keep_alive_s: asked, ..v5("d1") });
        assert_eq!(answer.server_keep_alive_s, Some(used));
        // MQTT 3.1.1 cannot be told
        let (device, _) = world.online(Connect { keep_alive_s: asked, ..clean("d2") });
        world.pass(i64::from(used) * 1_500 - 1);
        assert!(!world.closed.contains_key(&device), "{asked}");
        world.pass(1);
        assert_eq!(world.closed.get(&device), Some(&Some(ReasonCode::KeepAliveTimeout)), "{asked}");
    }
}

#[test]
fn client_identifiers_are_short_and_do_not_begin_with_a_dollar() {
    let mut world = aws();
    for bad in ["$d", &"x".repeat(129)] {
        for connect in [v5(bad), clean(bad)] {
            let reason = refused(&mut world, connect);
            assert_eq!(reason, Some(ReasonCode::ClientIdentifierNotValid), "{bad}");
        }
    }
    assert_eq!(world.online(v5(&"x".repeat(128))).1.reason, ReasonCode::Success);
}

#[test]
fn a_session_lasts_an_hour_before_mqtt_5_and_seven_days_with_it() {
    let week = 604_800;
    let mut world = aws();
    let (_, answer) = world.online(Connect { session_expiry_s: u32::MAX, ..v5("d1") });
    assert_eq!(answer.session_expiry_s, Some(week));
    let (_, answer) = world.online(Connect { session_expiry_s: week, ..v5("d1") });
    assert_eq!(answer.session_expiry_s, None);
    for (after_s, present) in [(3_599, true), (3_600, false)] {
        let mut world = aws();
        let (device, _) = world.online(persistent("d1"));
        world.lose(device);
        world.pass(after_s * 1_000);
        assert_eq!(world.online(persistent("d1")).1.session_present, present);
    }
}

#[test]
fn subscription_identifiers_end_the_connection() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    let numbered = Subscribe { subscription_id: Some(1), ..subscribe("a", 1) };
    world.send(device, Packet::Subscribe(numbered));
    let reason = ReasonCode::SubscriptionIdentifiersNotSupported;
    assert_eq!(ended(&mut world, device), (Some(reason), "CLIENT_ERROR".to_owned()));
}

#[test]
fn eight_topic_aliases_are_taken() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    let alias = |number| Publish {
        topic_alias: std::num::NonZeroU16::new(number),
        ..publish("a", "x", 0, 0)
    };
    world.publish(device, alias(8));
    assert!(!world.closed.contains_key(&device));
    world.publish(device, alias(9));
    assert_eq!(ended(&mut world, device).0, Some(ReasonCode::TopicAliasInvalid));
}

#[test]
fn a_message_expiry_is_brought_within_a_second_and_seven_days() {
    for (asked, taken) in [(0, 1), (1, 1), (604_800, 604_800), (u32::MAX, 604_800)] {
        let mut world = aws();
        let mut will = will(QoS::AtMostOnce);
        will.properties.message_expiry_s = Some(asked);
        let (device, _) = world.online(Connect { will: Some(Box::new(will)), ..v5("d1") });
        let mut message = publish("a", "x", 0, 0);
        message.properties.message_expiry_s = Some(asked);
        world.publish(device, message);
        world.lose(device);
        let expiry = |topic: &str| {
            let found = world.messages.iter().find(|message| &*message.topic == topic).unwrap();
            found.properties.message_expiry_s
        };
        assert_eq!((expiry("a"), expiry("w")), (Some(taken), Some(taken)));
    }
}

#[test]
fn a_will_of_qos_2_is_refused() {
    let mut world = aws();
    let with = |connect| Connect { will: Some(Box::new(will(QoS::ExactlyOnce))), ..connect };
    assert_eq!(refused(&mut world, with(v5("d1"))), Some(ReasonCode::QoSNotSupported));
    assert_eq!(refused(&mut world, with(clean("d1"))), None, "3.1.1 has no code for it");
}

#[test]
fn unsubscribing_from_nothing_is_a_success() {
    let mut world = aws();
    let (device, _) = world.online(v5("d1"));
    let filters = vec!["never".into()];
    let unsubscribe = Unsubscribe { packet_id: id(2), filters, user_properties: Vec::new() };
    world.send(device, Packet::Unsubscribe(unsubscribe));
    let answer = world.take(device);
    assert!(matches!(&answer[..], [Packet::UnsubAck(ack)] if ack.reasons == [ReasonCode::Success]));
}

#[test]
fn a_session_is_not_resumed_under_other_rules() {
    let lasting = |version| Connect {
        clean_start: false,
        session_expiry_s: 600,
        ..Connect::new(version, "d1")
    };
    for (first, second, present) in [
        ((Profile::Aws, Version::V5), (Profile::Aws, Version::V5), true),
        ((Profile::Aws, Version::V311), (Profile::Aws, Version::V31), true),
        ((Profile::Aws, Version::V5), (Profile::Aws, Version::V311), false),
        ((Profile::Aws, Version::V5), (Profile::Standard, Version::V5), false),
        ((Profile::Standard, Version::V5), (Profile::Aws, Version::V5), false),
        ((Profile::Standard, Version::V5), (Profile::Standard, Version::V311), true),
    ] {
        let mut world = World::default();
        let device = world.connect_to(first.0, lasting(first.1));
        world.subscribe(device, subscribe("a", 1));
        world.lose(device);
        world.profile = second.0;
        let (_, answer) = world.online(lasting(second.1));
        assert_eq!(answer.session_present, present, "{first:?} {second:?}");
        let kept = world.ask("ListSubscriptions", r#"{"clientId":"d1"}"#).unwrap().to_text();
        assert_eq!(kept.contains(r#""a""#), present);
    }
}
