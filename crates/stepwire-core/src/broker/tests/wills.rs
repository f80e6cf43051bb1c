use super::*;

/// The CONNECT with a will `gone` on topic `will`.
pub(super) fn with_will(connect: Connect, delay_s: u32) -> Connect {
    let will = Will {
        topic: "will".into(),
        payload: "gone".into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay_s,
        properties: Properties::default(),
    };
    Connect { will: Some(Box::new(will)), ..connect }
}

fn watched() -> (World, ConnectionId) {
    let mut world = World::default();
    let (watcher, _) = world.online(clean("watcher"));
    world.subscribe(watcher, subscribe("will", 1));
    (world, watcher)
}

#[test]
fn a_will_is_published_unless_the_client_says_goodbye() {
    for (ending, expected) in [
        (Packet::Disconnect(Disconnect::default()), 0),
        (
            Packet::Disconnect(Disconnect {
                reason: ReasonCode::DisconnectWithWill,
                ..Disconnect::default()
            }),
            1,
        ),
        (Packet::PingResp, 1),
    ] {
        let (mut world, watcher) = watched();
        let (connection, _) = world.online(with_will(v5("d1"), 0));
        world.send(connection, ending);
        assert_eq!(world.payloads(watcher).len(), expected);
    }
}

#[test]
fn a_lost_or_silent_client_has_its_will_published() {
    let (mut world, watcher) = watched();
    let (connection, _) = world.online(with_will(clean("d1"), 0));
    world.lose(connection);
    assert_eq!(world.payloads(watcher), ["gone"]);
    world.connect(with_will(Connect { keep_alive_s: 1, ..clean("d1") }, 0));
    world.pass(1_500);
    assert_eq!(world.payloads(watcher), ["gone"]);
}

#[test]
fn a_crash_does_not_lose_a_will() {
    let mut world = World::default();
    let (watcher, _) = world.online(persistent("watcher"));
    world.subscribe(watcher, subscribe("will", 1));
    world.online(with_will(clean("d1"), 0));
    world.crash();
    let (watcher, _) = world.online(persistent("watcher"));
    assert_eq!(world.payloads(watcher), ["gone"]);
}

#[test]
fn a_will_waits_for_its_delay() {
    let (mut world, watcher) = watched();
    let (connection, _) = world.online(with_will(Connect { session_expiry_s: 60, ..v5("d1") }, 10));
    world.lose(connection);
    world.pass(9_999);
    assert!(world.payloads(watcher).is_empty());
    world.pass(1);
    assert_eq!(world.payloads(watcher), ["gone"]);
    world.pass(100_000);
    assert!(world.payloads(watcher).is_empty(), "once");
}

#[test]
fn a_will_never_waits_longer_than_its_session() {
    let (mut world, watcher) = watched();
    let (connection, _) = world.online(with_will(Connect { session_expiry_s: 5, ..v5("d1") }, 10));
    world.lose(connection);
    world.pass(5_000);
    assert_eq!(world.payloads(watcher), ["gone"]);
    let (connection, _) = world.online(with_will(v5("d1"), 10));
    world.lose(connection);
    assert_eq!(world.payloads(watcher), ["gone"], "a session without expiry ends at once");
}

#[test]
fn a_client_that_comes_back_in_time_takes_its_will_back() {
    let (mut world, watcher) = watched();
    let connect = || Connect { session_expiry_s: 60, clean_start: false, ..v5("d1") };
    let (connection, _) = world.online(with_will(connect(), 10));
    world.lose(connection);
    world.online(connect());
    world.pass(60_000);
    assert!(world.payloads(watcher).is_empty());
}

#[test]
fn a_clean_start_publishes_the_will_that_was_waiting() {
    let (mut world, watcher) = watched();
    let (connection, _) = world.online(with_will(Connect { session_expiry_s: 60, ..v5("d1") }, 10));
    world.lose(connection);
    world.online(v5("d1"));
    assert_eq!(world.payloads(watcher), ["gone"]);
}

#[test]
fn a_waiting_will_survives_a_crash() {
    let mut world = World::default();
    let (connection, _) = world.online(with_will(Connect { session_expiry_s: 60, ..v5("d1") }, 10));
    world.lose(connection);
    world.crash();
    let (watcher, _) = world.online(clean("watcher"));
    world.subscribe(watcher, subscribe("will", 1));
    world.pass(10_000);
    assert_eq!(world.payloads(watcher), ["gone"]);
}

#[test]
fn takeover_publishes_the_will_of_the_older_connection() {
    let (mut world, watcher) = watched();
    world.online(with_will(clean("d1"), 0));
    world.online(clean("d1"));
    assert_eq!(world.payloads(watcher), ["gone"]);
}

#[test]
fn rules_see_a_will_as_the_clients_message() {
    let (mut world, _) = watched();
    let (connection, _) = world.online(with_will(clean("d1"), 0));
    world.lose(connection);
    let will = world.messages.iter().find(|message| &*message.topic == "will").unwrap();
    assert!(matches!(&will.origin, Origin::Client(client) if &*client.id == "d1"));
}
