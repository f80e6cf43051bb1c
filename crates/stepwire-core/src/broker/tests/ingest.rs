use super::*;

const TOPIC: &str = "$aws/rules/a_rule/d/1";

#[test]
fn a_message_of_basic_ingest_is_for_the_rules_alone() {
    for qos in 0..=2 {
        let mut world = World::default();
        let (reader, _) = world.online(v5("reader"));
        for filter in ["#", "+/+/+/d/1", "$aws/#", "$aws/+/a_rule/#"] {
            world.subscribe(reader, subscribe(filter, 1));
        }
        let (device, _) = world.online(v5("d1"));
        world.messages.clear();
        world.take(reader);
        world.publish(device, publish(TOPIC, "x", qos, qos.into()));
        let answer = match qos {
            0 => None,
            1 => Some(Packet::PubAck(Ack::success(id(1)))),
            _ => Some(Packet::PubRec(Ack::success(id(2)))),
        };
        assert_eq!(world.take(device), Vec::from_iter(answer));
        assert_eq!(world.payloads(reader), Vec::<String>::new());
        let topics: Vec<&str> = world.messages.iter().map(|message| &*message.topic).collect();
        assert_eq!(topics, [TOPIC]);
        assert_eq!(world.refusals, []);
    }
}

#[test]
fn a_message_of_basic_ingest_needs_the_right_to_publish() {
    let mut world = World::default();
    world.policy.denied.insert((Action::Publish, TOPIC.to_owned()));
    let (device, _) = world.online(v5("d1"));
    world.messages.clear();
    world.publish(device, publish(TOPIC, "x", 1, 1));
    let reason = ReasonCode::NotAuthorized;
    assert_eq!(world.take(device), [Packet::PubAck(Ack { packet_id: id(1), reason })]);
    assert_eq!(world.messages, []);
    assert_eq!(
        (world.refusals[0].action, &*world.refusals[0].why),
        (Action::Publish, "not authorized")
    );
}

#[test]
fn nothing_is_retained_by_basic_ingest() {
    for connect in [clean("d1"), v5("d1")] {
        let mut world = World::default();
        let version = connect.version;
        let (device, _) = world.online(connect);
        world.messages.clear();
        world.publish(device, Publish { retain: true, ..publish(TOPIC, "x", 1, 1) });
        let reason = ReasonCode::NotAuthorized;
        if version == Version::V5 {
            assert_eq!(world.take(device), [Packet::PubAck(Ack { packet_id: id(1), reason })]);
        } else {
            assert_eq!(world.closed.get(&device), Some(&Some(reason)));
        }
        assert_eq!(world.broker.retained(TOPIC, world.now), None);
        assert!(world.messages.iter().all(|message| *message.topic != *TOPIC));
        let refusal = &world.refusals[0];
        assert_eq!(refusal.action, Action::RetainPublish);
        assert!(refusal.why.contains("Basic Ingest"), "{}", refusal.why);
    }
}

#[test]
fn nobody_subscribes_to_basic_ingest() {
    let mut world = World::default();
    let (device, _) = world.online(v5("d1"));
    for filter in ["$aws/rules/#", "$aws/rules/a_rule", "$share/g/$aws/rules/+", "$aws/rules"] {
        world.refusals.clear();
        let answer = world.subscribe(device, subscribe(filter, 1));
        assert_eq!(answer, ReasonCode::NotAuthorized, "{filter}");
        assert!(world.refusals[0].why.contains("Basic Ingest"), "{filter}");
    }
    assert_eq!(world.subscribe(device, subscribe("$aws/+/x", 1)), ReasonCode::GrantedQoS1);
}

#[test]
fn a_will_is_no_message_of_basic_ingest() {
    let mut world = World::default();
    let mut connect = super::wills::with_will(v5("d1"), 0);
    if let Some(will) = &mut connect.will {
        will.topic = TOPIC.into();
    }
    world.connect(connect);
    assert_eq!(world.refusals[0].action, Action::Publish);
    assert_eq!(&*world.refusals[0].topic, TOPIC);
}

#[test]
fn a_service_message_of_basic_ingest_is_not_held_for_a_subscription() {
    let mut world = World::default();
    world.service(TOPIC, "x");
    assert_eq!(world.messages.len(), 1);
    assert_eq!(world.store, BTreeMap::new());
}

#[test]
fn only_what_follows_the_rule_counts_in_a_limit() {
    let mut world = World { profile: Profile::Aws, ..World::default() };
    let (device, _) = world.online(v5("d1"));
    let fits = format!("$aws/rules/{}/a/b/c/d/e/f/g/{}", "r".repeat(128), "x".repeat(242));
    world.publish(device, publish(&fits, "x", 1, 1));
    assert_eq!(world.take(device), [Packet::PubAck(Ack::success(id(1)))]);
    world.publish(device, publish(&format!("{fits}x"), "x", 1, 2));
    assert_eq!(world.closed.get(&device), Some(&Some(ReasonCode::TopicNameInvalid)));
}
