use super::*;

#[test]
fn a_service_message_waits_for_the_first_subscriber() {
    let mut world = World::default();
    world.service("devices/d1/config_req", "hello");
    let (other, _) = world.online(clean("other"));
    world.subscribe(other, subscribe("devices/d2/config_req", 1));
    let (device, _) = world.online(clean("d1"));
    world.pass(4_999);
    world.subscribe(device, subscribe("devices/d1/config_req", 1));
    assert_eq!(world.payloads(device), ["hello"]);
    assert!(world.payloads(other).is_empty());
    let (late, _) = world.online(clean("late"));
    world.subscribe(late, subscribe("devices/+/config_req", 1));
    assert!(world.payloads(late).is_empty(), "it is delivered once");
}

#[test]
fn a_held_message_survives_a_crash() {
    let mut world = World::default();
    world.service("t", "hello");
    world.crash();
    let (device, _) = world.online(clean("d1"));
    world.subscribe(device, subscribe("#", 0));
    let got = world.received(device);
    assert_eq!(got[0].payload, "hello");
    assert_eq!(got[0].qos, QoS::AtMostOnce, "as the subscription allows");
    assert!(!got[0].retain);
}

#[test]
fn held_messages_are_delivered_in_order() {
    let mut world = World::default();
    for (topic, payload) in [("t/b", "1"), ("t/a", "2"), ("t/b", "3")] {
        world.service(topic, payload);
    }
    let (device, _) = world.online(clean("d1"));
    world.subscribe(device, subscribe("t/+", 1));
    assert_eq!(world.payloads(device), ["1", "2", "3"]);
}

#[test]
fn waiting_ends_after_the_grace() {
    let mut world = World::default();
    world.service("t", "hello");
    assert_eq!(world.broker.due(), Some(Timestamp(5_000)));
    world.pass(5_000);
    assert_eq!(world.refusals[0].why, "no subscriber within the subscribe grace");
    let (device, _) = world.online(clean("d1"));
    world.subscribe(device, subscribe("t", 1));
    assert!(world.payloads(device).is_empty());
}

#[test]
fn what_somebody_got_is_not_held() {
    let mut world = World::default();
    let (online, _) = world.online(clean("online"));
    world.subscribe(online, subscribe("t", 0));
    world.service("t", "1");
    let (away, _) = world.online(persistent("away"));
    world.subscribe(away, subscribe("u", 1));
    world.lose(away);
    world.service("u", "2");
    let (device, _) = world.online(clean("d1"));
    world.subscribe(device, subscribe("#", 1));
    assert!(world.payloads(device).is_empty());
}

#[test]
fn messages_of_clients_retained_messages_and_events_are_not_held() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    world.publish(from, publish("t", "x", 1, 1));
    world.service("$aws/events/anything", "x");
    assert!(world.broker.durable().keys().all(|key| key[0] != Space::Held as u8));
}

#[test]
fn the_grace_can_be_switched_off() {
    let mut world = World::default();
    world.settings.subscribe_grace_ms = 0;
    world.service("t", "hello");
    let (device, _) = world.online(clean("d1"));
    world.subscribe(device, subscribe("t", 1));
    assert!(world.payloads(device).is_empty());
}

#[test]
fn a_client_that_may_not_receive_leaves_the_message_to_others() {
    let mut world = World::default();
    world.service("t", "hello");
    world.policy.denied.insert((Action::Receive, "t".to_owned()));
    let (first, _) = world.online(clean("first"));
    world.subscribe(first, subscribe("t", 1));
    assert!(world.payloads(first).is_empty());
    world.policy.denied.clear();
    let (second, _) = world.online(clean("second"));
    world.subscribe(second, subscribe("t", 1));
    assert_eq!(world.payloads(second), ["hello"]);
}

#[test]
fn held_messages_are_bounded() {
    let mut world = World::default();
    world.settings.mqtt.held_max = 2;
    for _ in 0..3 {
        world.service("t", "x");
    }
    let held = world.store.keys().filter(|key| key[0] == Space::Held as u8);
    assert_eq!(held.count(), 2);
    assert_eq!(world.refusals.len(), 1);
}
