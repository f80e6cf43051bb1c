//! Device shadows in a kernel: what a device asks by MQTT, and what rules make of them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use node::{Node, text};
use stepwire_asl::Json;
use stepwire_core::broker::{self, ConnectionId, Principal};
use stepwire_core::message::{Identity, Profile};
use stepwire_core::mqtt::{Connect, Packet, Publish, Subscribe, SubscriptionOptions, Version};
use stepwire_core::{Effect, Input, Request, Service};

const DEVICE: ConnectionId = ConnectionId(1);

fn packet(node: &mut Node, packet: Packet) {
    node.input(Input::Device(broker::Input::Packet { connection: DEVICE, packet }));
}

/// Connects a client that hears everything about shadows, and what rules say.
fn device(node: &mut Node) {
    let principal = Principal {
        identity: Identity::Anonymous,
        ip: [127, 0, 0, 1].into(),
        profile: Profile::Standard,
        anonymous_allowed: true,
    };
    let connect = Box::new(Connect::new(Version::V5, "lamp"));
    node.input(Input::Device(broker::Input::Connect { connection: DEVICE, principal, connect }));
    let filters = ["$aws/things/lamp/shadow/#", "out/#"];
    let filters = filters.map(|filter| (filter.into(), SubscriptionOptions::default()));
    let packet_id = 1.try_into().unwrap();
    let subscribe = Subscribe {
        packet_id,
        filters: filters.into(),
        subscription_id: None,
        user_properties: Vec::new(),
    };
    packet(node, Packet::Subscribe(subscribe));
    node.effects.clear();
}

fn publish(node: &mut Node, topic: &str, payload: &str) {
    let payload = payload.to_owned().into_bytes();
    packet(node, Packet::Publish(Publish::new(topic, payload)));
}

/// What the device has heard: topics without `$aws/things/lamp/shadow/`, and payloads.
fn heard(node: &mut Node) -> Vec<(String, String)> {
    let effects = std::mem::take(&mut node.effects).into_iter();
    let messages = effects.filter_map(|effect| match effect {
        Effect::Send { packet: Packet::Publish(publish), .. } => {
            let topic = publish.topic.trim_start_matches("$aws/things/lamp/shadow/").to_owned();
            Some((topic, String::from_utf8(publish.payload.to_vec()).unwrap()))
        }
        _ => None,
    });
    messages.collect()
}

fn topics(heard: &[(String, String)]) -> Vec<&str> {
    heard.iter().map(|(topic, _)| topic.as_str()).collect()
}

fn request(node: &mut Node, service: Service, operation: &str, body: &str) -> Result<Json, String> {
    let request = Request::parse(service, operation, &Json::parse(body).unwrap()).unwrap();
    let request = request.map_err(|error| error.to_string())?;
    node.change(request).map_err(|error| error.to_string())
}

#[test]
fn a_device_is_told_what_it_should_be() {
    let mut node = Node::new();
    device(&mut node);
    publish(&mut node, "$aws/things/lamp/shadow/get", r#"{"clientToken":"a"}"#);
    let said = heard(&mut node);
    // its own requests come back too: it subscribes to all topics of its shadow
    assert_eq!(topics(&said), ["get", "get/rejected"]);
    let refused = Json::parse(&said[1].1).unwrap();
    assert_eq!(text(&refused, "message"), "No shadow exists with name: 'lamp'");
    assert_eq!(text(&refused, "clientToken"), "a");

    let wanted = r#"{"thingName":"lamp","payload":"eyJzdGF0ZSI6eyJkZXNpcmVkIjp7Im9uIjp0cnVlfX19"}"#;
    request(&mut node, Service::IotData, "UpdateThingShadow", wanted).unwrap();
    let said = heard(&mut node);
    assert_eq!(topics(&said), ["update/accepted", "update/documents", "update/delta"]);
    assert!(said[2].1.contains(r#""state":{"on":true}"#), "{}", said[2].1);

    let reported = r#"{"state":{"reported":{"on":true}},"version":1}"#;
    publish(&mut node, "$aws/things/lamp/shadow/update", reported);
    assert_eq!(topics(&heard(&mut node)), ["update", "update/accepted", "update/documents"]);
    publish(&mut node, "$aws/things/lamp/shadow/update", reported);
    let said = heard(&mut node);
    assert_eq!(topics(&said), ["update", "update/rejected"]);
    assert!(said[1].1.contains(r#""code":409"#), "{}", said[1].1);
}

#[test]
fn a_shadow_survives_a_kill_and_is_deleted_once() {
    let mut node = Node::new();
    let body = r#"{"thingName":"lamp","shadowName":"setup","payload":"eyJzdGF0ZSI6eyJkZXNpcmVkIjp7Im9uIjp0cnVlfX19"}"#;
    request(&mut node, Service::IotData, "UpdateThingShadow", body).unwrap();
    node.kill();
    let named = r#"{"thingName":"lamp","shadowName":"setup"}"#;
    let found = request(&mut node, Service::IotData, "GetThingShadow", named).unwrap();
    assert_eq!(found.member("version").and_then(Json::as_i64), Some(1));
    let list = r#"{"thingName":"lamp"}"#;
    let listed = request(&mut node, Service::IotData, "ListNamedShadowsForThing", list).unwrap();
    assert_eq!(listed.member("results").unwrap().to_text(), r#"["setup"]"#);
    request(&mut node, Service::IotData, "DeleteThingShadow", named).unwrap();
    let none = "ResourceNotFoundException: No shadow exists with name: 'lamp~setup'";
    for operation in ["DeleteThingShadow", "GetThingShadow"] {
        assert_eq!(request(&mut node, Service::IotData, operation, named).unwrap_err(), none);
    }
    let listed = request(&mut node, Service::IotData, "ListNamedShadowsForThing", list).unwrap();
    assert_eq!(listed.member("results").unwrap().to_text(), "[]");
    let again = request(&mut node, Service::IotData, "UpdateThingShadow", body).unwrap();
    assert_eq!(again.member("version").and_then(Json::as_i64), Some(2), "it goes on counting");
}

#[test]
fn names_are_listed_in_pages() {
    let mut node = Node::new();
    for name in ["a", "b", "c", "d"] {
        let body =
            format!(r#"{{"thingName":"lamp","shadowName":"{name}","payload":"eyJzdGF0ZSI6e319"}}"#);
        request(&mut node, Service::IotData, "UpdateThingShadow", &body).unwrap();
    }
    let gone = r#"{"thingName":"lamp","shadowName":"b"}"#;
    request(&mut node, Service::IotData, "DeleteThingShadow", gone).unwrap();
    let page = |node: &mut Node, after: &str| {
        let body = format!(r#"{{"thingName":"lamp","pageSize":1{after}}}"#);
        let page = request(node, Service::IotData, "ListNamedShadowsForThing", &body).unwrap();
        let next = page.member("nextToken").map(|_| text(&page, "nextToken").clone());
        (page.member("results").unwrap().to_text(), next)
    };
    assert_eq!(page(&mut node, ""), (r#"["a"]"#.to_owned(), Some("a".to_owned())));
    let second = page(&mut node, r#","nextToken":"a""#);
    assert_eq!(second, (r#"["c"]"#.to_owned(), Some("c".to_owned())));
    assert_eq!(page(&mut node, r#","nextToken":"c""#), (r#"["d"]"#.to_owned(), None));
}

#[test]
fn a_rule_reads_a_shadow_and_changes_one() {
    let mut node = Node::new();
    device(&mut node);
    let rule = r#"{"ruleName":"r","topicRulePayload":{"awsIotSqlVersion":"2016-03-23",
        "sql":"SELECT get_thing_shadow(topic(2), 'arn:aws:iam::000000000000:role/x').state.desired.on AS on FROM 'lamps/+'",
        "actions":[{"republish":{"roleArn":"arn:aws:iam::000000000000:role/x","topic":"out/r"}}]}}"#;
    request(&mut node, Service::Iot, "CreateTopicRule", rule).unwrap();
    let writer = r#"{"ruleName":"w","topicRulePayload":{"awsIotSqlVersion":"2016-03-23",
        "sql":"SELECT {'desired': {'on': on}} AS state FROM 'wish'",
        "actions":[{"republish":{"roleArn":"arn:aws:iam::000000000000:role/x","topic":"$$aws/things/lamp/shadow/update"}}]}}"#;
    request(&mut node, Service::Iot, "CreateTopicRule", writer).unwrap();
    publish(&mut node, "wish", r#"{"on":"dim"}"#);
    let said = heard(&mut node);
    let all = ["update", "update/accepted", "update/documents", "update/delta"];
    assert_eq!(topics(&said), all);
    publish(&mut node, "lamps/lamp", "{}");
    assert_eq!(heard(&mut node), [("out/r".to_owned(), r#"{"on":"dim"}"#.to_owned())]);
    // of another thing there is none: the value is Undefined
    publish(&mut node, "lamps/other", "{}");
    assert_eq!(heard(&mut node), [("out/r".to_owned(), "{}".to_owned())]);
}

#[test]
fn rules_that_chase_a_shadow_come_to_an_end() {
    let mut node = Node::new();
    device(&mut node);
    let rule = r#"{"ruleName":"loop","topicRulePayload":{"awsIotSqlVersion":"2016-03-23",
        "sql":"SELECT current.state AS state FROM '$aws/things/+/shadow/update/documents'",
        "actions":[{"republish":{"roleArn":"arn:aws:iam::000000000000:role/x","topic":"$$aws/things/lamp/shadow/update"}}]}}"#;
    request(&mut node, Service::Iot, "CreateTopicRule", rule).unwrap();
    publish(&mut node, "$aws/things/lamp/shadow/update", r#"{"state":{"desired":{"n":1}}}"#);
    let updates = topics(&heard(&mut node)).iter().filter(|t| **t == "update/accepted").count();
    assert!((2..100).contains(&updates), "{updates}");
}
