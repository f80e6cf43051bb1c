use super::*;

#[test]
fn overlapping_subscriptions_deliver_once_with_the_highest_quality() {
    let mut world = World::default();
    let (to, _) = world.online(v5("to"));
    for (filter, qos, number) in [("t/#", 0, 7), ("t/a", 2, 8), ("+/a", 1, 9)] {
        let packet = Subscribe { subscription_id: Some(number), ..subscribe(filter, qos) };
        world.subscribe(to, packet);
    }
    let (from, _) = world.online(clean("from"));
    world.publish(from, publish("t/a", "x", 2, 1));
    let mut got = world.received(to);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].qos, QoS::ExactlyOnce);
    got[0].subscription_ids.sort_unstable();
    assert_eq!(got[0].subscription_ids, [7, 8, 9]);
}

#[test]
fn subscribing_again_replaces_the_subscription() {
    let mut world = World::default();
    let (to, _) = world.online(clean("to"));
    world.subscribe(to, subscribe("t", 1));
    world.subscribe(to, subscribe("t", 0));
    world.service("t", "x");
    let got = world.received(to);
    assert_eq!((got.len(), got[0].qos), (1, QoS::AtMostOnce));
}

#[test]
fn unsubscribing_is_answered_filter_by_filter() {
    let mut world = World::default();
    let (to, _) = world.online(v5("to"));
    world.subscribe(to, subscribe("a/#", 1));
    let filters = vec!["a/#".into(), "b".into()];
    let unsubscribe = Unsubscribe { packet_id: id(5), filters, user_properties: Vec::new() };
    world.send(to, Packet::Unsubscribe(unsubscribe));
    let reasons = vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    assert_eq!(world.take(to), [Packet::UnsubAck(SubAck { packet_id: id(5), reasons })]);
    world.service("a/x", "x");
    assert!(world.received(to).is_empty());
}

#[test]
fn no_local_leaves_out_what_the_client_published() {
    let mut world = World::default();
    let (to, _) = world.online(v5("to"));
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::default() };
    world.subscribe(to, Subscribe { filters: vec![("t".into(), options)], ..subscribe("t", 0) });
    world.publish(to, publish("t", "own", 0, 0));
    let (other, _) = world.online(clean("other"));
    world.publish(other, publish("t", "other", 0, 0));
    assert_eq!(world.payloads(to), ["other"]);
}

#[test]
fn wildcards_do_not_reach_the_services_topics() {
    let mut world = World::default();
    let (to, _) = world.online(clean("to"));
    world.subscribe(to, subscribe("#", 1));
    world.subscribe(to, subscribe("+/events/#", 1));
    let (other, _) = world.online(clean("other"));
    world.publish(other, publish("$TopicA/B", "x", 0, 0));
    world.lose(other);
    assert!(world.received(to).is_empty());
}

#[test]
fn members_of_a_group_take_turns() {
    let mut world = World::default();
    let mut members = Vec::new();
    for client in ["a", "b", "c"] {
        let (member, _) = world.online(v5(client));
        world.subscribe(member, subscribe("$share/g/t/+", 1));
        members.push(member);
    }
    let (outsider, _) = world.online(v5("d"));
    world.subscribe(outsider, subscribe("$share/h/t/+", 1));
    world.take(outsider);
    for number in 0..30 {
        world.service("t/x", &number.to_string());
    }
    let counts: Vec<_> = members.iter().map(|member| world.received(*member).len()).collect();
    assert_eq!(counts, [10, 10, 10]);
    assert_eq!(world.received(outsider).len(), 30);
}

#[test]
fn a_group_prefers_members_that_are_connected() {
    let mut world = World::default();
    let (away, _) = world.online(persistent("away"));
    world.subscribe(away, subscribe("$share/g/t", 1));
    let (online, _) = world.online(clean("online"));
    world.subscribe(online, subscribe("$share/g/t", 1));
    world.lose(away);
    for _ in 0..4 {
        world.service("t", "x");
    }
    let received = world.received(online);
    assert_eq!(received.len(), 4);
    for publish in received {
        world.send(online, Packet::PubAck(Ack::success(publish.packet_id.unwrap())));
    }
    world.lose(online);
    world.service("t", "queued");
    let (away, _) = world.online(persistent("away"));
    assert_eq!(world.payloads(away), ["queued"]);
}

#[test]
fn what_an_ended_session_had_open_goes_to_another_of_the_group() {
    let mut world = World::default();
    let (away, _) = world.online(persistent("away"));
    world.subscribe(away, subscribe("$share/g/t", 1));
    let (other, _) = world.online(persistent("other"));
    world.subscribe(other, subscribe("$share/h/t", 1));
    world.lose(away);
    let (online, _) = world.online(clean("online"));
    world.subscribe(online, subscribe("$share/g/t", 1));
    world.service("t", "done");
    let done = world.received(online)[0].packet_id.unwrap();
    world.send(online, Packet::PubAck(Ack::success(done)));
    world.service("t", "open");
    world.lose(online);
    let (away, _) = world.online(persistent("away"));
    assert_eq!(world.payloads(away), ["open"]);
    assert_eq!(world.payloads(other), ["done", "open"]);
}

#[test]
fn subscriptions_are_bounded() {
    let mut world = World::default();
    world.settings.mqtt.subscriptions_max = 1;
    let (to, _) = world.online(v5("to"));
    assert_eq!(world.subscribe(to, subscribe("a", 1)), ReasonCode::GrantedQoS1);
    assert_eq!(world.subscribe(to, subscribe("b", 1)), ReasonCode::QuotaExceeded);
    assert_eq!(world.subscribe(to, subscribe("a", 0)), ReasonCode::Success);
}

#[test]
fn an_invalid_filter_is_refused_or_ends_the_connection() {
    let mut world = World::default();
    let (to, _) = world.online(v5("to"));
    assert_eq!(world.subscribe(to, subscribe("a/#/b", 1)), ReasonCode::TopicFilterInvalid);
    let (to, _) = world.online(clean("old"));
    world.send(to, Packet::Subscribe(subscribe("a/#/b", 1)));
    assert!(world.closed.contains_key(&to));
}
