use super::*;

fn reason(event: &Json) -> &str {
    event.member("disconnectReason").and_then(Json::as_str).unwrap()
}

#[test]
fn a_connect_is_announced_with_the_fields_aws_documents() {
    let mut world = World { now: Timestamp(1_700_000_000_123), ..World::default() };
    world.connect(clean("d1"));
    let events = world.events("presence");
    assert_eq!(events.len(), 1);
    let (what, event) = &events[0];
    assert_eq!(what, "connected/d1");
    let session = event.member("sessionIdentifier").and_then(Json::as_str).unwrap();
    assert_eq!(session.len(), 36);
    let expected = format!(
        r#"{{"clientId":"d1","thingName":"d1","timestamp":1700000000123,"eventType":"connected","sessionIdentifier":"{session}","principalIdentifier":"c0ffee","ipAddress":"127.0.0.1","versionNumber":0}}"#
    );
    assert_eq!(event.to_text(), expected);
}

#[test]
fn a_disconnect_is_announced_with_the_fields_aws_documents() {
    let mut world = World::default();
    let connection = world.connect(clean("d1"));
    let session = world.events("presence")[0].1.member("sessionIdentifier").unwrap().clone();
    world.now = Timestamp(7);
    world.goodbye(connection);
    let events = world.events("presence");
    let expected = format!(
        r#"{{"clientId":"d1","thingName":"d1","timestamp":7,"eventType":"disconnected","sessionIdentifier":{session},"principalIdentifier":"c0ffee","clientInitiatedDisconnect":true,"disconnectReason":"CLIENT_INITIATED_DISCONNECT","versionNumber":0}}"#
    );
    assert_eq!(events[0].0, "disconnected/d1");
    assert_eq!(events[0].1.to_text(), expected);
    assert!(world.closed.contains_key(&connection));
}

#[test]
fn presence_is_recorded_before_the_client_is_answered() {
    let mut world = World::default();
    let mut out = Out::default();
    let input = Input::Connect {
        connection: ConnectionId(1),
        principal: Principal {
            identity: Identity::Anonymous,
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            profile: Profile::Standard,
            anonymous_allowed: true,
        },
        connect: Box::new(clean("d1")),
    };
    world.broker.handle(world.now, input, &world.policy, &world.settings, &mut out);
    assert!(
        matches!(&out.writes[..], [Write::Session { record: Some(record), .. }] if record.connected)
    );
    assert!(matches!(&out.sends[..], [(ConnectionId(1), Packet::ConnAck(_))]));
    assert_eq!(out.messages.len(), 1);
}

#[test]
fn events_name_the_principal_by_what_it_proved() {
    let mut world = World::default();
    for (identity, name) in [
        (Identity::Anonymous, "anonymous"),
        (Identity::Certificate("c0ffee".into()), "c0ffee"),
        (Identity::Signed("AKIDEXAMPLE".into()), "AKIDEXAMPLE"),
    ] {
        world.connections += 1;
        let connection = ConnectionId(world.connections);
        let principal = Principal {
            identity,
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            profile: Profile::Standard,
            anonymous_allowed: true,
        };
        let connect = Box::new(clean("d1"));
        world.input(Input::Connect { connection, principal, connect });
        let (topic, event) = world.events("presence").pop().unwrap();
        assert_eq!(topic, "connected/d1");
        assert_eq!(event.member("principalIdentifier").and_then(Json::as_str), Some(name));
    }
}

#[test]
fn versions_grow_and_sessions_differ_from_connect_to_connect() {
    let mut world = World::default();
    for _ in 0..3 {
        let connection = world.connect(clean("d1"));
        world.goodbye(connection);
    }
    let events = world.events("presence");
    let version = |event: &Json| event.member("versionNumber").and_then(Json::as_i64).unwrap();
    let session = |event: &Json| event.member("sessionIdentifier").unwrap().to_text();
    let versions: Vec<_> = events.iter().map(|(_, event)| version(event)).collect();
    assert_eq!(versions, [0, 0, 1, 1, 2, 2]);
    let sessions: BTreeSet<_> = events.iter().map(|(_, event)| session(event)).collect();
    assert_eq!(sessions.len(), 3);
}

#[test]
fn versions_start_again_an_hour_after_the_last_session() {
    let mut world = World::default();
    let connection = world.connect(clean("d1"));
    world.lose(connection);
    world.pass(3_599_999);
    assert!(!world.store.is_empty());
    world.pass(1);
    assert!(world.store.is_empty());
    let old = world.events("presence")[0].1.member("sessionIdentifier").cloned();
    world.connect(clean("d1"));
    let new = &world.events("presence")[0].1;
    assert_eq!(new.member("versionNumber").and_then(Json::as_i64), Some(0));
    assert_ne!(new.member("sessionIdentifier").cloned(), old);
}

#[test]
fn takeover_ends_the_older_session_before_the_newer_begins() {
    let mut world = World::default();
    let old = world.connect(v5("d1"));
    let new = world.connect(v5("d1"));
    assert_eq!(world.closed.get(&old), Some(&Some(ReasonCode::SessionTakenOver)));
    assert!(!world.closed.contains_key(&new));
    let events = world.events("presence");
    let names: Vec<_> = events.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(names, ["connected/d1", "disconnected/d1", "connected/d1"]);
    assert_eq!(reason(&events[1].1), "DUPLICATE_CLIENTID");
    world.lose(old);
    assert!(world.events("presence").is_empty(), "the old connection ends once");
}

#[test]
fn each_way_to_end_has_its_reason() {
    let mut world = World::default();
    for (cause, expected) in [
        (Closed::Lost, "CONNECTION_LOST"),
        (Closed::ProtocolError(ReasonCode::MalformedPacket), "CLIENT_ERROR"),
        (Closed::TooSlow, "SERVER_INITIATED_DISCONNECT"),
        (Closed::Shutdown, "SERVER_INITIATED_DISCONNECT"),
    ] {
        let connection = world.connect(clean("d1"));
        world.input(Input::Closed { connection, cause });
        assert_eq!(reason(&world.events("presence")[1].1), expected);
    }
}

#[test]
fn silence_for_one_and_a_half_keep_alives_ends_the_connection() {
    let mut world = World::default();
    let connect = Connect { keep_alive_s: 10, ..v5("d1") };
    let connection = world.connect(connect);
    world.pass(14_000);
    world.send(connection, Packet::PingReq);
    world.pass(14_999);
    assert!(!world.closed.contains_key(&connection));
    world.pass(1);
    assert_eq!(world.closed.get(&connection), Some(&Some(ReasonCode::KeepAliveTimeout)));
    let events = world.events("presence");
    assert_eq!(reason(&events[1].1), "MQTT_KEEP_ALIVE_TIMEOUT");
}

#[test]
fn a_client_without_keep_alive_may_be_silent() {
    let mut world = World::default();
    let connection = world.connect(clean("d1"));
    world.pass(100_000_000);
    assert!(!world.closed.contains_key(&connection));
    assert_eq!(world.broker.due(), None);
}

#[test]
fn sessions_that_a_crash_ended_are_announced_at_recovery() {
    let mut world = World::default();
    world.connect(clean("d1"));
    let gone = world.connect(clean("d2"));
    world.goodbye(gone);
    world.events("presence");
    world.crash();
    let events = world.events("presence");
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].0.as_str(), reason(&events[0].1)), ("disconnected/d1", "SERVER_ERROR"));
    world.crash();
    assert!(world.events("presence").is_empty(), "once is enough");
}

#[test]
fn a_refused_connect_is_announced() {
    let mut world = World::default();
    world.policy.clients.insert("d1".to_owned());
    let connection = world.connect(clean("d1"));
    let answer = world.take(connection);
    assert!(
        matches!(&answer[..], [Packet::ConnAck(ack)] if ack.reason == ReasonCode::NotAuthorized)
    );
    assert!(world.closed.contains_key(&connection));
    let events = world.events("presence");
    assert_eq!(events[0].0, "connect_failed/d1");
    let why = events[0].1.member("connectFailureReason").and_then(Json::as_str);
    assert_eq!(why, Some("AUTHORIZATION_FAILED"));
    assert_eq!(world.refusals[0].why, "certificate is not active");
    assert_eq!(world.refusals[0].action, Action::Connect);
}

#[test]
fn client_identifiers_with_wildcards_have_no_events() {
    let mut world = World::default();
    for client in ["a+b", "#"] {
        let (connection, _) = world.online(clean(client));
        world.subscribe(connection, subscribe("x", 0));
        world.goodbye(connection);
    }
    assert!(world.messages.is_empty());
}

#[test]
fn subscribers_see_presence() {
    let mut world = World::default();
    let (watcher, _) = world.online(clean("watcher"));
    world.subscribe(watcher, subscribe("$aws/events/presence/+/+", 1));
    world.take(watcher);
    let device = world.connect(clean("d1"));
    world.lose(device);
    let topics: Vec<_> = world.received(watcher).iter().map(|it| it.topic.to_string()).collect();
    assert_eq!(
        topics,
        ["$aws/events/presence/connected/d1", "$aws/events/presence/disconnected/d1"]
    );
}

#[test]
fn subscriptions_are_announced() {
    let mut world = World::default();
    let (connection, _) = world.online(clean("d1"));
    world.subscribe(connection, subscribe("a/+", 0));
    let filters = vec!["a/+".into(), "never".into()];
    let unsubscribe = Unsubscribe { packet_id: id(2), filters, user_properties: Vec::new() };
    world.send(connection, Packet::Unsubscribe(unsubscribe));
    let events = world.events("subscriptions");
    let seen: Vec<_> = events
        .iter()
        .map(|(what, event)| (what.as_str(), event.member("topics").unwrap().to_text()))
        .collect();
    assert_eq!(
        seen,
        [("subscribed/d1", r#"["a/+"]"#.to_owned()), ("unsubscribed/d1", r#"["a/+"]"#.to_owned())]
    );
}

#[test]
fn versions_start_again_when_a_persistent_session_has_expired() {
    let mut world = World::default();
    let persistent = Connect { clean_start: false, session_expiry_s: 60, ..v5("d1") };
    let version = |world: &mut World| {
        let (_, event) = world.events("presence").pop().unwrap();
        event.member("versionNumber").and_then(Json::as_i64).unwrap()
    };
    let connection = world.connect(persistent.clone());
    world.lose(connection);
    world.pass(59_999);
    let connection = world.connect(persistent.clone());
    assert_eq!(version(&mut world), 1);
    world.lose(connection);
    world.pass(60_000);
    world.crash();
    world.connect(persistent);
    assert_eq!(version(&mut world), 0);
}

#[test]
fn the_record_of_a_client_says_why_it_is_away() {
    let mut world = World::default();
    let record = |world: &World| {
        let id = world.broker.sessions.find("d1").unwrap();
        Arc::clone(&world.broker.sessions.get(id).unwrap().record)
    };
    let connection = world.connect(clean("d1"));
    assert_eq!(record(&world).disconnect_reason, None);
    world.lose(connection);
    assert_eq!(record(&world).disconnect_reason, Some(DisconnectReason::ConnectionLost));
    world.connect(clean("d1"));
    assert_eq!(record(&world).disconnect_reason, None);
    world.crash();
    assert_eq!(record(&world).disconnect_reason, Some(DisconnectReason::ServerError));
}

#[test]
fn all_ends_but_a_goodbye_publish_the_will() {
    for (input, published) in [
        (Some(Closed::Lost), true),
        (Some(Closed::ProtocolError(ReasonCode::MalformedPacket)), true),
        (Some(Closed::TooSlow), true),
        (Some(Closed::Shutdown), true),
        (None, false),
    ] {
        let mut world = World::default();
        let will = Will {
            topic: "w".into(),
            payload: "".into(),
            qos: QoS::AtMostOnce,
            retain: false,
            delay_s: 0,
            properties: Properties::default(),
        };
        let connection = world.connect(Connect { will: Some(Box::new(will)), ..clean("d1") });
        match input {
            Some(cause) => world.input(Input::Closed { connection, cause }),
            None => world.goodbye(connection),
        }
        let found = world.messages.iter().any(|message| &*message.topic == "w");
        assert_eq!(found, published, "{input:?}");
    }
}

#[test]
fn a_crash_is_told_at_the_time_of_the_restart_in_order_of_clients_with_their_wills() {
    let mut world = World::default();
    for client in ["c", "a", "b"] {
        let will = Will {
            topic: format!("w/{client}").into(),
            payload: "gone".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            delay_s: if client == "b" { 30 } else { 0 },
            properties: Properties::default(),
        };
        let will = Some(Box::new(will));
        world.online(Connect { clean_start: false, session_expiry_s: 60, will, ..v5(client) });
    }
    let begun = world.events("presence");
    world.now = Timestamp(500_000);
    world.crash();
    let topics: Vec<_> = world.messages.iter().map(|message| message.topic.to_string()).collect();
    let gone = |client: &str| format!("$aws/events/presence/disconnected/{client}");
    let expected = [gone("a"), "w/a".to_owned(), gone("b"), gone("c"), "w/c".to_owned()];
    assert_eq!(topics, expected);
    for (what, event) in world.events("presence") {
        assert_eq!(event.member("timestamp").and_then(Json::as_i64), Some(500_000));
        let client = what.strip_prefix("disconnected/").unwrap();
        let (_, connected) =
            begun.iter().find(|(topic, _)| *topic == format!("connected/{client}")).unwrap();
        for same in ["sessionIdentifier", "versionNumber"] {
            assert_eq!(event.member(same), connected.member(same), "{client} {same}");
        }
    }
    world.pass(30_000);
    assert_eq!(world.messages.len(), 1, "the delay of a will counts from the restart");
    world.pass(29_999);
    assert!(world.online(Connect { clean_start: false, ..v5("a") }).1.session_present);
    world.pass(1);
    assert!(!world.online(Connect { clean_start: false, ..v5("b") }).1.session_present);
}
