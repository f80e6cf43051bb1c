use super::*;
use crate::mqtt::RetainHandling;

fn keep(topic: &str, payload: &str) -> Publish {
    Publish { retain: true, ..publish(topic, payload, 1, 1) }
}

fn with_options(filter: &str, options: SubscriptionOptions) -> Subscribe {
    Subscribe { filters: vec![(filter.into(), options)], ..subscribe(filter, 1) }
}

#[test]
fn a_retained_message_greets_new_subscribers() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    world.publish(from, keep("a/b", "1"));
    world.publish(from, keep("a/b", "2"));
    world.publish(from, keep("a/c", "3"));
    world.crash();
    for (filter, expected) in
        [("a/b", vec!["2"]), ("a/+", vec!["2", "3"]), ("a/b/#", vec!["2"]), ("a/b/+", vec![])]
    {
        let (to, _) = world.online(clean("to"));
        world.subscribe(to, subscribe(filter, 1));
        let got = world.received(to);
        let payloads: Vec<_> = got.iter().map(|it| it.payload.clone()).collect();
        assert_eq!(payloads, expected, "{filter}");
        assert!(got.iter().all(|it| it.retain));
    }
}

#[test]
fn an_empty_payload_forgets_the_retained_message_and_is_delivered() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    world.publish(from, keep("t", "1"));
    let (to, _) = world.online(clean("to"));
    world.subscribe(to, subscribe("t", 1));
    assert_eq!(world.payloads(to), ["1"]);
    world.publish(from, keep("t", ""));
    assert_eq!(world.payloads(to), [""]);
    world.subscribe(to, subscribe("t", 1));
    assert!(world.payloads(to).is_empty());
}

#[test]
fn the_retain_flag_is_kept_where_the_subscription_asks_for_it() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    let (to, _) = world.online(v5("to"));
    for (retain_as_published, expected) in [(false, false), (true, true)] {
        let options = SubscriptionOptions { retain_as_published, ..Default::default() };
        world.subscribe(to, with_options("t", options));
        world.take(to);
        world.publish(from, keep("t", "1"));
        assert_eq!(world.received(to)[0].retain, expected);
    }
}

#[test]
fn retain_handling_says_when_retained_messages_are_sent() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    world.publish(from, keep("t", "1"));
    for (retain_handling, expected) in [
        (RetainHandling::Send, [1, 1]),
        (RetainHandling::SendIfNew, [1, 0]),
        (RetainHandling::DoNotSend, [0, 0]),
    ] {
        let (to, _) = world.online(v5("to"));
        for count in expected {
            let options = SubscriptionOptions { retain_handling, ..Default::default() };
            world.subscribe(to, with_options("t", options));
            assert_eq!(world.received(to).len(), count, "{retain_handling:?}");
        }
    }
}

#[test]
fn a_shared_subscription_is_not_greeted() {
    let mut world = World::default();
    let (from, _) = world.online(clean("from"));
    world.publish(from, keep("t", "1"));
    let (to, _) = world.online(v5("to"));
    world.subscribe(to, subscribe("$share/g/t", 1));
    assert!(world.received(to).is_empty());
}

#[test]
fn an_expired_retained_message_is_not_sent() {
    let mut world = World::default();
    let (from, _) = world.online(v5("from"));
    let mut packet = keep("t", "1");
    packet.properties.message_expiry_s = Some(1);
    world.publish(from, packet);
    world.pass(1_000);
    let (to, _) = world.online(v5("to"));
    world.subscribe(to, subscribe("t", 1));
    assert!(world.received(to).is_empty());
    assert_eq!(world.broker.retained("t", world.now), None);
}

#[test]
fn retained_messages_are_bounded() {
    let mut world = World::default();
    world.settings.mqtt.retained_max = 1;
    let (from, _) = world.online(clean("from"));
    let (to, _) = world.online(clean("to"));
    world.subscribe(to, subscribe("#", 0));
    for topic in ["a", "b", "a"] {
        world.publish(from, keep(topic, "1"));
    }
    assert!(world.broker.retained("a", world.now).is_some());
    assert!(world.broker.retained("b", world.now).is_none());
    assert_eq!(world.received(to).len(), 3, "they are delivered all the same");
    assert_eq!(world.refusals.len(), 1);
}
