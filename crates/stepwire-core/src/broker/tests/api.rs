use super::*;

const MISSING: &str = "ResourceNotFoundException";

fn will(payload: &str, delay_s: u32) -> Box<Will> {
    Box::new(Will {
        topic: "wills".into(),
        payload: payload.to_owned().into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay_s,
        properties: Properties::default(),
    })
}

fn wills(world: &World) -> usize {
    world.messages.iter().filter(|message| &*message.topic == "wills").count()
}

fn int(json: &Json, name: &str) -> i64 {
    json.member(name).and_then(Json::as_i64).unwrap()
}

// ---- DeleteConnection

#[test]
fn a_deleted_connection_is_closed_told_and_its_session_kept() {
    let mut world = World::default();
    let (device, _) =
        world.online(Connect { session_expiry_s: 60, will: Some(will("w", 0)), ..v5("d1") });
    world.subscribe(device, subscribe("a", 1));
    world.messages.clear();
    assert_eq!(world.ask("DeleteConnection", r#"{"clientId":"d1"}"#).unwrap().to_text(), "{}");
    assert_eq!(world.closed.get(&device), Some(&Some(ReasonCode::AdministrativeAction)));
    assert_eq!(wills(&world), 1);
    let events = world.events("presence");
    assert_eq!(events[0].0, "disconnected/d1");
    let text = |name| events[0].1.member(name).unwrap().to_text();
    assert_eq!(text("disconnectReason"), r#""API_INITIATED_DISCONNECT""#);
    assert_eq!(text("clientInitiatedDisconnect"), "false");
    let again = Connect { clean_start: false, session_expiry_s: 60, ..v5("d1") };
    assert!(world.online(again).1.session_present);
}

#[test]
fn a_will_is_published_unless_that_is_prevented() {
    for (members, published) in [
        (r#"{"clientId":"d1"}"#, 1),
        (r#"{"clientId":"d1","preventWillMessage":true}"#, 0),
        (r#"{"clientId":"d1","cleanSession":true}"#, 1),
        (r#"{"clientId":"d1","cleanSession":true,"preventWillMessage":true}"#, 0),
    ] {
        for (expiry_s, delay_s) in [(0, 0), (60, 0), (60, 30)] {
            let mut world = World::default();
            let will = Some(will("w", delay_s));
            world.online(Connect { session_expiry_s: expiry_s, will, ..v5("d1") });
            world.ask("DeleteConnection", members).unwrap();
            world.pass(100_000);
            assert_eq!(wills(&world), published, "{members} {expiry_s} {delay_s}");
        }
    }
}

#[test]
fn a_session_that_is_cleaned_is_gone_also_of_an_absent_client() {
    let mut world = World::default();
    let persistent = Connect { clean_start: false, session_expiry_s: 600, ..v5("d1") };
    let (device, _) = world.online(persistent.clone());
    world.subscribe(device, subscribe("a", 1));
    world.ask("DeleteConnection", r#"{"clientId":"d1","cleanSession":true}"#).unwrap();
    assert_eq!(world.ask("ListSubscriptions", r#"{"clientId":"d1"}"#), Err(MISSING.to_owned()));
    let (device, answer) = world.online(persistent.clone());
    assert!(!answer.session_present);
    world.goodbye(device);
    world.ask("DeleteConnection", r#"{"clientId":"d1"}"#).unwrap();
    let (device, answer) = world.online(persistent.clone());
    assert!(answer.session_present, "without `cleanSession` the session stays");
    world.lose(device);
    world.ask("DeleteConnection", r#"{"clientId":"d1","cleanSession":true}"#).unwrap();
    assert!(!world.online(persistent).1.session_present);
}

#[test]
fn preventing_the_will_of_an_absent_client_drops_the_one_that_is_to_come() {
    let mut world = World::default();
    let (device, _) =
        world.online(Connect { session_expiry_s: 60, will: Some(will("w", 30)), ..v5("d1") });
    world.lose(device);
    world.ask("DeleteConnection", r#"{"clientId":"d1","preventWillMessage":true}"#).unwrap();
    world.pass(100_000);
    assert_eq!(wills(&world), 0);
}

#[test]
fn only_who_is_connected_or_has_a_session_can_be_disconnected() {
    let mut world = World::default();
    let delete = r#"{"clientId":"d1"}"#;
    assert_eq!(world.ask("DeleteConnection", delete), Err(MISSING.to_owned()));
    let device = world.connect(clean("d1"));
    world.goodbye(device);
    world.events("presence");
    assert_eq!(world.ask("DeleteConnection", delete), Err(MISSING.to_owned()));
    assert!(world.messages.is_empty());
}

#[test]
fn client_identifiers_are_checked() {
    let long = "x".repeat(129);
    for id in ["", "$d", &long] {
        let body = Json::object([("clientId", Json::from(id))]);
        for operation in ["DeleteConnection", "GetConnection", "ListSubscriptions"] {
            let error = Request::parse(operation, &body).unwrap().unwrap_err();
            assert_eq!(error.code, "InvalidRequestException");
        }
    }
}

// ---- GetConnection

#[test]
fn a_connection_is_described_while_it_is_open_and_after() {
    let mut world = World { now: Timestamp(5_000), ..World::default() };
    let connect = Connect { keep_alive_s: 40, session_expiry_s: 60, ..v5("d1") };
    let (device, _) = world.online(connect);
    let get = r#"{"clientId":"d1"}"#;
    assert_eq!(
        world.ask("GetConnection", get).unwrap().to_text(),
        r#"{"clientId":"d1","connected":true,"cleanSession":false,"sessionExpiry":60,"keepAliveDuration":40,"connectedSince":5000,"thingName":"d1"}"#
    );
    world.pass(1_000);
    world.lose(device);
    let sockets = r#"{"clientId":"d1","includeSocketInformation":true}"#;
    assert_eq!(
        world.ask("GetConnection", sockets).unwrap().to_text(),
        r#"{"clientId":"d1","connected":false,"cleanSession":false,"sessionExpiry":60,"keepAliveDuration":40,"disconnectedSince":6000,"disconnectReason":"CONNECTION_LOST","thingName":"d1","sourceIp":"127.0.0.1"}"#
    );
    world.crash();
    let after = world.ask("GetConnection", get).unwrap();
    assert_eq!(after.member("disconnectReason").unwrap().to_text(), r#""CONNECTION_LOST""#);
    world.pass(60_000);
    world.pass(3_600_000);
    assert_eq!(world.ask("GetConnection", get), Err(MISSING.to_owned()));
}

// ---- ListSubscriptions

#[test]
fn subscriptions_are_listed_in_pages_whether_the_client_is_there_or_not() {
    let mut world = World::default();
    let (device, _) = world.online(Connect { session_expiry_s: 60, ..v5("d1") });
    for (filter, qos) in [("c/+", 0), ("a", 1), ("$share/g/b/#", 1)] {
        world.subscribe(device, subscribe(filter, qos));
    }
    for _ in 0..2 {
        let page = world.ask("ListSubscriptions", r#"{"clientId":"d1","maxResults":2}"#).unwrap();
        assert_eq!(
            page.to_text(),
            r#"{"subscriptions":[{"topicFilter":"$share/g/b/#","qos":1},{"topicFilter":"a","qos":1}],"nextToken":"a"}"#
        );
        let rest = r#"{"clientId":"d1","maxResults":2,"nextToken":"a"}"#;
        assert_eq!(
            world.ask("ListSubscriptions", rest).unwrap().to_text(),
            r#"{"subscriptions":[{"topicFilter":"c/+","qos":0}]}"#
        );
        world.lose(device);
    }
    assert_eq!(world.ask("ListSubscriptions", r#"{"clientId":"x"}"#), Err(MISSING.to_owned()));
}

// ---- SendDirectMessage

const DIRECT: &str =
    r#"{"clientId":"d1","topic":"t/d1","payload":"aGk=","contentType":"text/plain"}"#;
const CONFIRMED: &str =
    r#"{"clientId":"d1","topic":"t/d1","payload":"aGk=","confirmation":true,"timeout":2}"#;

#[test]
fn a_direct_message_needs_no_subscription() {
    let mut world = World::default();
    let (device, _) = world.online(v5("d1"));
    let (other, _) = world.online(v5("d2"));
    world.subscribe(other, subscribe("#", 1));
    world.take(other);
    let answer = world.ask("SendDirectMessage", DIRECT).unwrap();
    assert!(answer.member("traceId").is_some());
    let received = world.received(device);
    assert_eq!((&*received[0].topic, &received[0].payload[..]), ("t/d1", &b"hi"[..]));
    assert_eq!(received[0].qos, QoS::AtMostOnce);
    assert_eq!(received[0].properties.content_type.as_deref(), Some("text/plain"));
    assert!(world.received(other).is_empty(), "nobody else gets it");
    assert!(world.messages.iter().all(|message| &*message.topic != "t/d1"), "and no rule");
}

#[test]
fn a_confirmed_message_is_answered_when_the_client_has_it() {
    let mut world = World::default();
    let (device, _) = world.online(v5("d1"));
    assert!(matches!(world.call("SendDirectMessage", CONFIRMED), Answer::Later(1)));
    let received = world.received(device);
    assert_eq!(received[0].qos, QoS::AtLeastOnce);
    assert!(world.confirmed.is_empty());
    world.send(device, Packet::PubAck(Ack::success(received[0].packet_id.unwrap())));
    assert_eq!(world.confirmed.len(), 1);
    assert_eq!(world.confirmed[0].number, 1);
    assert!(world.confirmed[0].answer.is_ok());
    world.pass(10_000);
    assert_eq!(world.confirmed.len(), 1, "answered once");
}

#[test]
fn a_message_that_is_not_confirmed_in_time_says_so() {
    let mut world = World::default();
    world.online(v5("d1"));
    world.call("SendDirectMessage", CONFIRMED);
    world.pass(1_999);
    assert!(world.confirmed.is_empty());
    world.pass(1);
    let answer = world.confirmed[0].answer.as_ref().unwrap_err();
    assert_eq!(answer.code, "GatewayTimeoutException");
}

#[test]
fn a_message_that_goes_with_its_session_is_answered_at_once() {
    let mut world = World::default();
    let (device, _) = world.online(v5("d1"));
    world.call("SendDirectMessage", CONFIRMED);
    world.lose(device);
    let answer = world.confirmed[0].answer.as_ref().unwrap_err();
    assert_eq!(answer.code, "GatewayTimeoutException");
}

#[test]
fn a_message_that_is_confirmed_after_a_reconnect_is_confirmed() {
    let mut world = World::default();
    let (device, _) = world.online(persistent("d1"));
    world.call("SendDirectMessage", CONFIRMED);
    world.lose(device);
    let (device, _) = world.online(persistent("d1"));
    let again = world.received(device).remove(0);
    assert!(again.dup);
    world.send(device, Packet::PubAck(Ack::success(again.packet_id.unwrap())));
    assert!(world.confirmed[0].answer.is_ok());
}

#[test]
fn a_direct_message_is_for_a_client_that_is_there_and_may_receive_it() {
    let mut world = World::default();
    assert_eq!(world.ask("SendDirectMessage", DIRECT), Err(MISSING.to_owned()));
    let (device, _) = world.online(persistent("d1"));
    world.policy.denied.insert((Action::Receive, "t/d1".to_owned()));
    assert_eq!(world.ask("SendDirectMessage", DIRECT), Err("ForbiddenException".to_owned()));
    world.policy.denied.clear();
    world.lose(device);
    assert_eq!(world.ask("SendDirectMessage", DIRECT), Err(MISSING.to_owned()));
    for bad in [
        r#"{"clientId":"d1","topic":"a/#"}"#,
        r#"{"clientId":"d1"}"#,
        r#"{"clientId":"d1","topic":"a","confirmation":true,"timeout":16}"#,
        r#"{"clientId":"d1","topic":"a","qos":1}"#,
    ] {
        let body = Json::parse(bad).unwrap();
        let error = Request::parse("SendDirectMessage", &body).unwrap().unwrap_err();
        assert_eq!(error.code, "InvalidRequestException", "{bad}");
    }
}

// ---- retained messages

#[test]
fn a_retained_message_is_told_with_all_that_is_kept_of_it() {
    let mut world = World { now: Timestamp(77), ..World::default() };
    let (device, _) = world.online(v5("d1"));
    let mut message = Publish { retain: true, ..publish("a/b", "hi", 1, 1) };
    message.properties.user_properties = vec![("k".into(), "v".into()), ("k".into(), "w".into())];
    world.publish(device, message);
    world.crash();
    // `[{"k":"v"},{"k":"w"}]`
    assert_eq!(
        world.ask("GetRetainedMessage", r#"{"topic":"a/b"}"#).unwrap().to_text(),
        r#"{"topic":"a/b","payload":"aGk=","qos":1,"lastModifiedTime":77,"userProperties":"W3siayI6InYifSx7ImsiOiJ3In1d"}"#
    );
    assert_eq!(world.ask("GetRetainedMessage", r#"{"topic":"a"}"#), Err(MISSING.to_owned()));
}

#[test]
fn retained_messages_are_listed_in_pages() {
    let mut world = World::default();
    let (device, _) = world.online(v5("d1"));
    for topic in ["c", "a", "b"] {
        world.publish(device, Publish { retain: true, ..publish(topic, "xyz", 0, 0) });
    }
    let first = world.ask("ListRetainedMessages", r#"{"maxResults":2}"#).unwrap();
    assert_eq!(
        first.to_text(),
        r#"{"retainedTopics":[{"topic":"a","payloadSize":3,"qos":0,"lastModifiedTime":0},{"topic":"b","payloadSize":3,"qos":0,"lastModifiedTime":0}],"nextToken":"b"}"#
    );
    let second = world.ask("ListRetainedMessages", r#"{"maxResults":2,"nextToken":"b"}"#).unwrap();
    assert_eq!(
        second.to_text(),
        r#"{"retainedTopics":[{"topic":"c","payloadSize":3,"qos":0,"lastModifiedTime":0}]}"#
    );
    for max in [0, 201] {
        let body = Json::object([("maxResults", Json::from(max))]);
        assert!(Request::parse("ListRetainedMessages", &body).unwrap().is_err());
    }
}

#[test]
fn a_retained_message_is_forgotten_when_it_expires() {
    let mut world = World::default();
    let (device, _) = world.online(v5("d1"));
    let mut message = Publish { retain: true, ..publish("a", "hi", 1, 1) };
    message.properties.message_expiry_s = Some(10);
    world.publish(device, message);
    world.goodbye(device);
    assert_eq!(world.broker.due(), Some(Timestamp(10_000)));
    world.pass(9_999);
    let found = world.ask("GetRetainedMessage", r#"{"topic":"a"}"#).unwrap();
    assert_eq!(int(&found, "qos"), 1);
    world.pass(1);
    assert_eq!(world.ask("GetRetainedMessage", r#"{"topic":"a"}"#), Err(MISSING.to_owned()));
    let retained = |key: &Key| key[0] == crate::record::Space::Retained as u8;
    assert!(!world.store.keys().any(retained), "also in the store");
}

#[test]
fn a_message_that_replaces_one_that_expires_does_not_expire_with_it() {
    let mut world = World::default();
    let (device, _) = world.online(v5("d1"));
    let mut message = Publish { retain: true, ..publish("a", "old", 0, 0) };
    message.properties.message_expiry_s = Some(10);
    world.publish(device, message);
    world.publish(device, Publish { retain: true, ..publish("a", "new", 0, 0) });
    world.pass(10_000);
    assert!(world.ask("GetRetainedMessage", r#"{"topic":"a"}"#).is_ok());
}
