use super::*;

fn deny(world: &mut World, action: Action, resource: &str) {
    world.policy.denied.insert((action, resource.to_owned()));
}

#[test]
fn a_refused_publish_closes_a_connection_that_cannot_be_told() {
    for (connect, qos) in [(clean("d1"), 0), (clean("d1"), 1), (v5("d1"), 0)] {
        let mut world = World::default();
        deny(&mut world, Action::Publish, "t");
        let (connection, _) = world.online(connect);
        world.publish(connection, publish("t", "x", qos, qos.into()));
        assert_eq!(world.closed.get(&connection), Some(&Some(ReasonCode::NotAuthorized)));
        let events = world.events("presence");
        let reason = events[1].1.member("disconnectReason").and_then(Json::as_str);
        assert_eq!(reason, Some("AUTH_ERROR"));
        assert_eq!(world.refusals[0].action, Action::Publish);
        assert_eq!(world.refusals[0].device.as_deref(), Some("d1"));
    }
}

#[test]
fn a_refused_publish_is_answered_where_it_can_be() {
    let mut world = World::default();
    deny(&mut world, Action::Publish, "t");
    let (connection, _) = world.online(v5("d1"));
    world.messages.clear();
    let reason = ReasonCode::NotAuthorized;
    world.publish(connection, publish("t", "x", 1, 1));
    assert_eq!(world.take(connection), [Packet::PubAck(Ack { packet_id: id(1), reason })]);
    world.publish(connection, publish("t", "x", 2, 2));
    assert_eq!(world.take(connection), [Packet::PubRec(Ack { packet_id: id(2), reason })]);
    assert!(world.messages.is_empty());
}

#[test]
fn topics_of_the_service_are_closed_to_clients() {
    let mut world = World::default();
    let (connection, _) = world.online(v5("d1"));
    for topic in ["$aws/events/presence/connected/x", "$aws/things/x", "$SYS/broker"] {
        world.publish(connection, publish(topic, "{}", 1, 1));
        let reason = ReasonCode::NotAuthorized;
        assert_eq!(world.take(connection), [Packet::PubAck(Ack { packet_id: id(1), reason })]);
    }
    world.publish(connection, publish("$other/topic", "{}", 1, 1));
    assert_eq!(world.take(connection), [Packet::PubAck(Ack::success(id(1)))]);
}

#[test]
fn retaining_needs_its_own_permission() {
    let mut world = World::default();
    deny(&mut world, Action::RetainPublish, "t");
    let (connection, _) = world.online(v5("d1"));
    let packet = Publish { retain: true, ..publish("t", "x", 1, 1) };
    world.publish(connection, packet);
    assert_eq!(world.broker.retained("t", world.now), None);
    assert_eq!(world.refusals[0].action, Action::RetainPublish);
}

#[test]
fn a_refused_subscription_gets_nothing() {
    let mut world = World::default();
    deny(&mut world, Action::Subscribe, "t/#");
    let (connection, _) = world.online(clean("d1"));
    let answer = world.subscribe(connection, subscribe("t/#", 1));
    assert_eq!(answer, ReasonCode::NotAuthorized);
    world.service("t/a", "x");
    assert!(world.payloads(connection).is_empty());
    assert_eq!(world.refusals[0].action, Action::Subscribe);
}

#[test]
fn receiving_is_asked_at_every_delivery() {
    let mut world = World::default();
    let (connection, _) = world.online(clean("d1"));
    world.subscribe(connection, subscribe("#", 1));
    world.service("t", "1");
    deny(&mut world, Action::Receive, "t");
    world.service("t", "2");
    world.service("u", "3");
    assert_eq!(world.payloads(connection), ["1", "3"]);
    assert_eq!(world.refusals[0].action, Action::Receive);
}

#[test]
fn receiving_is_asked_when_a_queue_is_sent() {
    let mut world = World::default();
    let (connection, _) = world.online(persistent("d1"));
    world.subscribe(connection, subscribe("#", 1));
    world.lose(connection);
    world.service("t", "1");
    world.service("u", "2");
    deny(&mut world, Action::Receive, "t");
    let (connection, _) = world.online(persistent("d1"));
    assert_eq!(world.payloads(connection), ["2"]);
}

#[test]
fn a_will_that_may_not_be_published_refuses_the_connection() {
    let mut world = World::default();
    deny(&mut world, Action::Publish, "will");
    let (connection, answer) = world.online(wills::with_will(v5("d1"), 0));
    assert_eq!(answer.reason, ReasonCode::NotAuthorized);
    assert!(world.closed.contains_key(&connection));
    assert_eq!(world.events("presence")[0].0, "connect_failed/d1");
}
