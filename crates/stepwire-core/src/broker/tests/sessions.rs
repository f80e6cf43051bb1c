use super::*;

#[test]
fn a_persistent_session_goes_on_where_it_was() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    let (to, answer) = world.online(persistent("to"));
    assert!(!answer.session_present);
    world.subscribe(to, subscribe("t", 1));
    world.lose(to);
    world.publish(from, publish("t", "1", 1, 1));
    world.publish(from, publish("t", "lost: QoS 0 does not wait", 0, 0));
    let (to, answer) = world.online(persistent("to"));
    assert!(answer.session_present);
    let got = world.received(to);
    assert_eq!(got.len(), 1);
    assert!(got[0].payload == "1" && !got[0].dup);
}

#[test]
fn what_was_not_acknowledged_is_sent_again_under_its_identifier() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    let (to, _) = world.online(persistent("to"));
    world.subscribe(to, subscribe("t", 2));
    world.publish(from, publish("t", "1", 1, 1));
    world.publish(from, publish("t", "2", 2, 2));
    world.publish(from, publish("t", "3", 2, 3));
    let first = world.received(to);
    let numbers: Vec<_> = first.iter().map(|packet| packet.packet_id.unwrap()).collect();
    world.send(to, Packet::PubRec(Ack::success(numbers[1])));
    for crash in [false, true] {
        if crash {
            world.crash();
        } else {
            world.lose(to);
        }
        let (to, _) = world.online(persistent("to"));
        let again = world.take(to);
        let expected = [
            Packet::Publish(Publish { dup: true, ..first[0].clone() }),
            Packet::PubRel(Ack::success(numbers[1])),
            Packet::Publish(Publish { dup: true, ..first[2].clone() }),
        ];
        assert_eq!(again, expected);
        world.lose(to);
    }
}

#[test]
fn messages_queued_while_away_are_new_even_after_a_crash() {
    let mut world = World::default();
    let (to, _) = world.online(persistent("to"));
    world.subscribe(to, subscribe("t", 1));
    world.lose(to);
    let (from, _) = world.online(clean("from"));
    world.publish(from, publish("t", "1", 1, 1));
    world.crash();
    let (to, _) = world.online(persistent("to"));
    let got = world.received(to);
    assert!(got.len() == 1 && !got[0].dup);
    world.crash();
    let (to, _) = world.online(persistent("to"));
    let again = world.received(to);
    assert!(again[0].dup && again[0].packet_id == got[0].packet_id);
    world.send(to, Packet::PubAck(Ack::success(again[0].packet_id.unwrap())));
    world.crash();
    let (to, _) = world.online(persistent("to"));
    assert!(world.received(to).is_empty());
}

#[test]
fn subscriptions_survive_a_crash() {
    let mut world = World::default();
    let (to, _) = world.online(persistent("to"));
    world.subscribe(to, subscribe("a/+", 1));
    world.subscribe(to, subscribe("b", 1));
    let filters = vec!["b".into()];
    let unsubscribe = Unsubscribe { packet_id: id(2), filters, user_properties: Vec::new() };
    world.send(to, Packet::Unsubscribe(unsubscribe));
    world.crash();
    world.service("a/x", "1");
    world.service("b", "2");
    let (to, _) = world.online(persistent("to"));
    assert_eq!(world.payloads(to), ["1"]);
}

#[test]
fn a_clean_start_forgets_the_session() {
    let mut world = World::default();
    let (to, _) = world.online(persistent("to"));
    world.subscribe(to, subscribe("t", 1));
    world.lose(to);
    world.service("t", "1");
    let (to, answer) = world.online(clean("to"));
    assert!(!answer.session_present);
    world.settings.subscribe_grace_ms = 0;
    world.service("t", "2");
    assert!(world.received(to).is_empty());
    assert_eq!(world.store.len(), 1, "only presence is kept");
}

#[test]
fn a_clean_session_leaves_nothing_but_presence() {
    let mut world = World::default();
    let (to, _) = world.online(clean("to"));
    world.subscribe(to, subscribe("t", 1));
    world.service("t", "1");
    assert_eq!(world.store.len(), 1);
    world.lose(to);
    assert_eq!(world.store.len(), 1);
    let (_, answer) = world.online(persistent("to"));
    assert!(!answer.session_present);
}

#[test]
fn a_session_ends_when_its_expiry_has_passed() {
    let mut world = World::default();
    let connect = || Connect { clean_start: false, session_expiry_s: 60, ..v5("to") };
    let (to, _) = world.online(connect());
    world.subscribe(to, subscribe("t", 1));
    world.lose(to);
    world.pass(59_999);
    let (to, answer) = world.online(connect());
    assert!(answer.session_present);
    world.lose(to);
    world.pass(60_000);
    let (_, answer) = world.online(connect());
    assert!(!answer.session_present);
}

#[test]
fn a_session_of_3_1_1_does_not_expire() {
    let mut world = World::default();
    let (to, _) = world.online(persistent("to"));
    world.lose(to);
    world.pass(400 * 86_400_000);
    let (_, answer) = world.online(persistent("to"));
    assert!(answer.session_present);
}

#[test]
fn the_server_can_shorten_a_session() {
    let mut world = World::default();
    world.settings.mqtt.session_expiry_s_max = 10;
    let (to, answer) = world.online(Connect { session_expiry_s: 11, ..v5("to") });
    assert_eq!(answer.session_expiry_s, Some(10));
    world.lose(to);
    world.pass(10_000);
    let (_, answer) = world.online(Connect { clean_start: false, ..v5("to") });
    assert!(!answer.session_present);
}

#[test]
fn disconnect_can_change_the_expiry() {
    let mut world = World::default();
    let (to, _) = world.online(Connect { session_expiry_s: 60, ..v5("to") });
    let bye = Disconnect { session_expiry_s: Some(0), ..Disconnect::default() };
    world.send(to, Packet::Disconnect(bye));
    let (_, answer) = world.online(Connect { clean_start: false, ..v5("to") });
    assert!(!answer.session_present);
}

#[test]
fn disconnect_cannot_give_a_session_that_connect_did_not_ask_for() {
    let mut world = World::default();
    let (to, _) = world.online(v5("to"));
    let bye = Disconnect { session_expiry_s: Some(60), ..Disconnect::default() };
    world.send(to, Packet::Disconnect(bye));
    assert_eq!(world.closed.get(&to), Some(&Some(ReasonCode::ProtocolError)));
}

#[test]
fn takeover_goes_on_with_the_session() {
    let mut world = World::default();
    let (old, _) = world.online(persistent("to"));
    world.subscribe(old, subscribe("t", 1));
    world.service("t", "1");
    let (new, answer) = world.online(persistent("to"));
    assert!(answer.session_present);
    let again = world.received(new);
    assert!(again.len() == 1 && again[0].dup);
}

#[test]
fn a_resumed_session_with_expiry_zero_ends_with_its_connection() {
    let mut world = World::default();
    let (to, _) = world.online(Connect { session_expiry_s: 60, ..v5("to") });
    world.subscribe(to, subscribe("t", 1));
    world.lose(to);
    let (to, answer) = world.online(Connect { clean_start: false, ..v5("to") });
    assert!(answer.session_present);
    world.subscribe(to, subscribe("u", 1));
    world.lose(to);
    assert_eq!(world.store.len(), 1);
    let (_, answer) = world.online(persistent("to"));
    assert!(!answer.session_present);
}

#[test]
fn a_smaller_window_still_sends_everything_again() {
    let mut world = World::default();
    let (to, _) = world.online(persistent("to"));
    world.subscribe(to, subscribe("t", 1));
    for payload in ["1", "2", "3"] {
        world.service("t", payload);
    }
    world.lose(to);
    let connect = Connect {
        clean_start: false,
        session_expiry_s: 60,
        receive_maximum: Some(id(1)),
        ..v5("to")
    };
    let (to, _) = world.online(connect);
    for payload in ["1", "2", "3"] {
        let got = world.received(to);
        assert_eq!(got.len(), 1);
        assert!(got[0].payload == payload && got[0].dup);
        world.send(to, Packet::PubAck(Ack::success(got[0].packet_id.unwrap())));
    }
}

#[test]
fn a_client_without_identifier_is_given_one() {
    let mut world = World::default();
    let (_, answer) = world.online(v5(""));
    let first = answer.assigned_client_id.unwrap();
    let (_, answer) = world.online(v5(""));
    let second = answer.assigned_client_id.unwrap();
    assert!(!first.is_empty() && first != second);
    let (_, answer) = world.online(clean(""));
    assert_eq!(answer.assigned_client_id, None, "3.1.1 has no words for it");
}

#[test]
fn a_persistent_session_of_3_1_1_needs_an_identifier() {
    let mut world = World::default();
    let (connection, answer) = world.online(persistent(""));
    assert_eq!(answer.reason, ReasonCode::ClientIdentifierNotValid);
    assert!(world.closed.contains_key(&connection));
}

#[test]
fn the_number_of_sessions_is_bounded() {
    let mut world = World::default();
    world.settings.mqtt.sessions_max = 1;
    world.online(clean("a"));
    let (_, answer) = world.online(clean("b"));
    assert_eq!(answer.reason, ReasonCode::QuotaExceeded);
    let (_, answer) = world.online(clean("a"));
    assert_eq!(answer.reason, ReasonCode::Success);
}
