use super::*;
use crate::mqtt::Auth;

/// What ends the connection of an MQTT 5.0 client, and with which reason.
#[test]
fn breaking_the_protocol_ends_the_connection_with_the_reason() {
    let wild_answer = Publish {
        properties: Properties { response_topic: Some("a/+".into()), ..Properties::default() },
        ..publish("t", "", 0, 0)
    };
    let no_local = SubscriptionOptions { no_local: true, ..SubscriptionOptions::default() };
    let shared_no_local =
        Subscribe { filters: vec![("$share/g/t".into(), no_local)], ..subscribe("t", 0) };
    let nothing = Unsubscribe { packet_id: id(1), filters: vec![], user_properties: vec![] };
    let auth = Auth { reason: ReasonCode::ReAuthenticate, method: None, data: None };
    let cases = [
        (Packet::Connect(Box::new(v5("d1"))), ReasonCode::ProtocolError),
        (Packet::ConnAck(Box::default()), ReasonCode::ProtocolError),
        (Packet::Auth(auth), ReasonCode::ProtocolError),
        (Packet::Publish(publish("a/#", "", 0, 0)), ReasonCode::TopicNameInvalid),
        (Packet::Publish(publish("", "", 0, 0)), ReasonCode::ProtocolError),
        (Packet::Publish(publish("a\0b", "", 0, 0)), ReasonCode::TopicNameInvalid),
        (Packet::Publish(publish("t", "", 1, 0)), ReasonCode::MalformedPacket),
        (Packet::Publish(wild_answer), ReasonCode::ProtocolError),
        (
            Packet::Publish(Publish { subscription_ids: vec![1], ..publish("t", "", 0, 0) }),
            ReasonCode::ProtocolError,
        ),
        (Packet::Subscribe(shared_no_local), ReasonCode::ProtocolError),
        (
            Packet::Subscribe(Subscribe { filters: vec![], ..subscribe("t", 0) }),
            ReasonCode::ProtocolError,
        ),
        (
            Packet::Subscribe(Subscribe { subscription_id: Some(0), ..subscribe("t", 0) }),
            ReasonCode::ProtocolError,
        ),
        (Packet::Subscribe(subscribe("$share/g", 0)), ReasonCode::ProtocolError),
        (Packet::Unsubscribe(nothing), ReasonCode::TopicFilterInvalid),
    ];
    for (packet, reason) in cases {
        let mut world = World::default();
        let (connection, _) = world.online(v5("d1"));
        world.send(connection, packet.clone());
        assert_eq!(world.closed.get(&connection), Some(&Some(reason)), "{packet:?}");
        let events = world.events("presence");
        let why = events[1].1.member("disconnectReason").and_then(Json::as_str);
        assert_eq!(why, Some("CLIENT_ERROR"));
        assert!(world.take(connection).is_empty());
    }
}

#[test]
fn a_client_with_too_many_open_qos_2_messages_is_cut_off() {
    let mut world = World::default();
    world.settings.mqtt.receive_maximum = 2;
    let (connection, answer) = world.online(v5("d1"));
    assert_eq!(answer.receive_maximum, Some(2));
    for number in 1..=3 {
        world.publish(connection, publish("t", "x", 2, number));
    }
    let reason = Some(ReasonCode::ReceiveMaximumExceeded);
    assert_eq!(world.closed.get(&connection), Some(&reason));
}

#[test]
fn a_client_that_takes_no_connack_is_closed_without_one() {
    let mut world = World::default();
    let connection = world.connect(Connect { packet_bytes_max: Some(10), ..v5("d1") });
    assert_eq!(world.closed.get(&connection), Some(&None));
    assert!(world.take(connection).is_empty());
    assert!(world.events("presence").is_empty(), "it never was connected");
}

#[test]
fn packets_of_a_closed_connection_are_ignored() {
    let mut world = World::default();
    let (connection, _) = world.online(clean("d1"));
    world.goodbye(connection);
    world.messages.clear();
    world.publish(connection, publish("t", "x", 1, 1));
    world.send(ConnectionId(99), Packet::PingReq);
    world.lose(connection);
    assert!(world.messages.is_empty());
}

#[test]
fn connack_tells_what_the_server_decided() {
    let mut world = World::default();
    world.settings.mqtt.keep_alive_s_max = 60;
    let (_, answer) = world.online(Connect { keep_alive_s: 120, ..v5("a") });
    assert_eq!(answer.server_keep_alive_s, Some(60));
    let (_, answer) = world.online(Connect { keep_alive_s: 0, ..v5("b") });
    assert_eq!(answer.server_keep_alive_s, Some(60));
    let (_, answer) = world.online(Connect { keep_alive_s: 60, ..v5("c") });
    assert_eq!(answer.server_keep_alive_s, None);
    assert_eq!(answer.packet_bytes_max, Some(world.settings.mqtt.packet_bytes_max));
    assert_eq!(answer.topic_alias_max, Some(10));
    let (_, answer) = world.online(Connect { keep_alive_s: 120, ..clean("d") });
    assert_eq!(answer, ConnAck::default(), "3.1.1 has no properties");
}

#[test]
fn a_shortened_keep_alive_counts() {
    let mut world = World::default();
    world.settings.mqtt.keep_alive_s_max = 60;
    let (connection, _) = world.online(Connect { keep_alive_s: 120, ..v5("a") });
    world.pass(90_000);
    assert!(world.closed.contains_key(&connection));
}

#[test]
fn a_connect_that_cannot_be_is_refused() {
    let mut world = World::default();
    world.settings.mqtt.client_id_bytes_max = 5;
    let bad_will = |connect| {
        let mut connect = wills::with_will(connect, 0);
        if let Some(will) = &mut connect.will {
            will.topic = "a/+".into();
        }
        connect
    };
    let cases = [
        (
            Connect { auth_method: Some("SCRAM".into()), ..v5("a") },
            ReasonCode::BadAuthenticationMethod,
        ),
        (v5("long-id"), ReasonCode::ClientIdentifierNotValid),
        (v5("a\0"), ReasonCode::ClientIdentifierNotValid),
        (bad_will(v5("a")), ReasonCode::TopicNameInvalid),
    ];
    for (connect, reason) in cases {
        let (connection, answer) = world.online(connect);
        assert_eq!(answer.reason, reason);
        assert!(world.closed.contains_key(&connection));
    }
    let connection = world.connect(bad_will(clean("a")));
    assert!(world.take(connection).is_empty(), "3.1.1 has no code for it");
    assert!(world.closed.contains_key(&connection));
    assert!(world.messages.is_empty() && world.store.is_empty());
}

#[test]
fn a_ping_is_answered() {
    let mut world = World::default();
    let (connection, _) = world.online(clean("d1"));
    world.send(connection, Packet::PingReq);
    assert_eq!(world.take(connection), [Packet::PingResp]);
}
