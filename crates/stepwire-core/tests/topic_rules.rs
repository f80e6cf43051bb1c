//! Topic rules in a kernel: Basic Ingest, and many rules.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use std::cell::Cell;

use node::{Disk, Node, text};
use stepwire_asl::Json;
use stepwire_core::broker::{self, ConnectionId, Principal};
use stepwire_core::effect::Report;
use stepwire_core::executions::{Origin, record};
use stepwire_core::message::{Identity, Profile, QoS};
use stepwire_core::mqtt::{
    Connect, Packet, PacketId, Publish, Subscribe, SubscriptionOptions, Version,
};
use stepwire_core::read::{Range, Read};
use stepwire_core::record::Space;
use stepwire_core::{Effect, Input, Request, Service};

/// A rule that republishes to `out/<its name>`.
fn rule(node: &mut Node, operation: &str, name: &str, sql: &str, disabled: bool) {
    let republish = format!(
        r#"{{"republish":{{"roleArn":"arn:aws:iam::000000000000:role/x","topic":"out/{name}"}}}}"#
    );
    let body = format!(
        r#"{{"ruleName":"{name}","topicRulePayload":{{"sql":"{sql}","ruleDisabled":{disabled},
            "awsIotSqlVersion":"2016-03-23","actions":[{republish}]}}}}"#
    );
    request(node, operation, &body).unwrap();
}

fn request(node: &mut Node, operation: &str, body: &str) -> Result<Json, String> {
    let body = Json::parse(body).unwrap();
    let service = if operation == "Publish" { Service::IotData } else { Service::Iot };
    let request = Request::parse(service, operation, &body).unwrap();
    let request = request.map_err(|error| error.message)?;
    if request.is_read() {
        return request.answer(&node.disk, &node.settings).map_err(|error| error.message);
    }
    node.change(request).map_err(|error| error.message)
}

const DEVICE: ConnectionId = ConnectionId(1);

fn packet(node: &mut Node, packet: Packet) {
    node.input(Input::Device(broker::Input::Packet { connection: DEVICE, packet }));
}

/// Connects a client that hears what rules republish.
fn device(node: &mut Node) {
    let principal = Principal {
        identity: Identity::Anonymous,
        ip: [127, 0, 0, 1].into(),
        profile: Profile::Standard,
        anonymous_allowed: true,
    };
    let connect = Box::new(Connect::new(Version::V5, "gw-1"));
    let connection = DEVICE;
    node.input(Input::Device(broker::Input::Connect { connection, principal, connect }));
    let filters = vec![("out/#".into(), SubscriptionOptions::default())];
    let packet_id = PacketId::MIN;
    let (subscription_id, user_properties) = (None, Vec::new());
    let subscribe = Subscribe { packet_id, filters, subscription_id, user_properties };
    packet(node, Packet::Subscribe(subscribe));
    node.effects.clear();
}

/// What comes of a QoS 1 message of the device: what is republished, and what the operator is told.
fn publish(node: &mut Node, topic: &str, payload: &str) -> (Vec<(String, String)>, Vec<Report>) {
    let (qos, packet_id) = (QoS::AtLeastOnce, Some(PacketId::MIN));
    let message = Publish { qos, packet_id, ..Publish::new(topic, payload.to_owned()) };
    packet(node, Packet::Publish(message));
    let (mut sent, mut told, mut acknowledged) = (Vec::new(), Vec::new(), 0);
    for effect in node.effects.drain(..) {
        match effect {
            Effect::Send { packet: Packet::PubAck(_), .. } => acknowledged += 1,
            Effect::Send { packet: Packet::Publish(publish), .. } => {
                let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                sent.push((publish.topic.to_string(), payload));
            }
            Effect::Report(report) => told.push(report),
            Effect::Heard(_) | Effect::Acted(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(acknowledged, 1, "a PUBACK for {topic}");
    (sent, told)
}

fn pair(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

#[test]
fn basic_ingest_runs_the_named_rule_and_no_other() {
    let mut node = Node::new();
    device(&mut node);
    let sql = "SELECT *, topic() AS t, topic(1) AS first, clientid() AS c FROM 'd/+'";
    rule(&mut node, "CreateTopicRule", "named", sql, false);
    rule(&mut node, "CreateTopicRule", "other", "SELECT * FROM 'd/+'", false);
    let all = "SELECT * FROM '#' WHERE topic(1) <> 'out'";
    rule(&mut node, "CreateTopicRule", "all", all, false);
    let (sent, told) = publish(&mut node, "$aws/rules/named/d/1", r#"{"a":1}"#);
    let expected = r#"{"a":1,"t":"d/1","first":"d","c":"gw-1"}"#;
    assert_eq!(sent, [pair("out/named", expected)]);
    assert_eq!(told, []);
    node.check();
}

#[test]
fn basic_ingest_asks_no_filter_but_the_condition_holds() {
    let mut node = Node::new();
    device(&mut node);
    let sql = "SELECT a, topic() AS t FROM 'elsewhere' WHERE a > 1";
    rule(&mut node, "CreateTopicRule", "named", sql, false);
    let (sent, _) = publish(&mut node, "$aws/rules/named", r#"{"a":2}"#);
    assert_eq!(sent, [pair("out/named", r#"{"a":2,"t":""}"#)]);
    let (sent, told) = publish(&mut node, "$aws/rules/named/elsewhere", r#"{"a":1}"#);
    assert_eq!((sent, told), (Vec::new(), Vec::new()));
}

#[test]
fn a_message_for_a_rule_that_does_not_run_is_dropped_and_told_by_name() {
    let mut node = Node::new();
    device(&mut node);
    rule(&mut node, "CreateTopicRule", "off", "SELECT * FROM 'd/+'", true);
    for (name, why) in [("off", "it is disabled"), ("none", "there is no rule of this name")] {
        let topic = format!("$aws/rules/{name}/d/1");
        let (sent, told) = publish(&mut node, &topic, "{}");
        let report = Report::RuleNotFound { rule: name.into(), topic: topic.as_str().into(), why };
        assert_eq!((sent, told), (Vec::new(), vec![report]));
    }
    request(&mut node, "EnableTopicRule", r#"{"ruleName":"off"}"#).unwrap();
    let (sent, told) = publish(&mut node, "$aws/rules/off/d/1", "{}");
    assert_eq!((sent, told), (vec![pair("out/off", "{}")], Vec::new()));
}

#[test]
fn a_caller_may_use_basic_ingest_too() {
    let mut node = Node::new();
    device(&mut node);
    let sql = "SELECT a, topic() AS t FROM 'd/+'";
    rule(&mut node, "CreateTopicRule", "named", sql, false);
    let body = r#"{"topic":"$aws/rules/named/d/1","qos":1,"payload":"eyJhIjoxfQ=="}"#;
    request(&mut node, "Publish", body).unwrap();
    let sent = node.effects.drain(..).filter_map(|effect| match effect {
        Effect::Send { packet: Packet::Publish(publish), .. } => Some(publish.payload),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [r#"{"a":1,"t":"d/1"}"#]);
    let retained = r#"{"topic":"$aws/rules/named/d/1","retain":true}"#;
    let refused = request(&mut node, "Publish", retained).unwrap_err();
    assert!(refused.contains("Basic Ingest"), "{refused}");
}

#[test]
fn a_rule_is_run_as_it_is_at_that_moment() {
    let mut node = Node::new();
    device(&mut node);
    rule(&mut node, "CreateTopicRule", "r", "SELECT 1 AS v FROM 'a/+'", false);
    let of = |node: &mut Node| publish(node, "a/b", "{}").0;
    assert_eq!(of(&mut node), [pair("out/r", r#"{"v":1}"#)]);
    rule(&mut node, "ReplaceTopicRule", "r", "SELECT 2 AS v FROM '+/b'", false);
    assert_eq!(of(&mut node), [pair("out/r", r#"{"v":2}"#)]);
    request(&mut node, "DisableTopicRule", r#"{"ruleName":"r"}"#).unwrap();
    assert_eq!(of(&mut node), []);
    rule(&mut node, "ReplaceTopicRule", "r", "SELECT 3 AS v FROM 'a/#'", false);
    assert_eq!(of(&mut node), [pair("out/r", r#"{"v":3}"#)]);
    rule(&mut node, "ReplaceTopicRule", "r", "SELECT 4 AS v FROM 'c'", false);
    assert_eq!(of(&mut node), []);
    request(&mut node, "DeleteTopicRule", r#"{"ruleName":"r"}"#).unwrap();
    assert_eq!(publish(&mut node, "c", "{}").0, []);
    node.check();
}

#[test]
fn matching_rules_run_in_the_order_of_their_names() {
    let mut node = Node::new();
    device(&mut node);
    let filters = [("d", "a/b"), ("b", "a/+"), ("e", "#"), ("a", "+/b"), ("c", "a/#")];
    for (name, filter) in filters {
        let sql = format!("SELECT * FROM '{filter}' WHERE topic() = 'a/b'");
        rule(&mut node, "CreateTopicRule", name, &sql, false);
    }
    let (sent, _) = publish(&mut node, "a/b", "{}");
    let topics: Vec<&str> = sent.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["out/a", "out/b", "out/c", "out/d", "out/e"]);
}

/// A disk that counts the entries read from it.
struct Counted<'a>(&'a Disk, Cell<usize>);

impl Read for Counted<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.1.set(self.1.get() + 1);
        Read::get(self.0, key)
    }

    fn range(&self, range: &Range) -> Vec<(Vec<u8>, Vec<u8>)> {
        let found = Read::range(self.0, range);
        self.1.set(self.1.get() + found.len());
        found
    }
}

#[test]
fn listing_many_rules_by_topic_reads_each_once() {
    const RULES: usize = 3_000;
    let mut node = Node::new();
    for number in 0..RULES {
        let sql = format!("SELECT * FROM 'd/{}/#'", number % 3);
        rule(&mut node, "CreateTopicRule", &format!("r{number:05}"), &sql, false);
    }
    let disk = Counted(&node.disk, Cell::new(0));
    let (mut names, mut token) = (Vec::new(), None::<String>);
    loop {
        let after = token.map(|token| format!(r#","nextToken":"{token}""#)).unwrap_or_default();
        let body = format!(r#"{{"topic":"d/1/x","maxResults":400{after}}}"#);
        let body = Json::parse(&body).unwrap();
        let list = Request::parse(Service::Iot, "ListTopicRules", &body).unwrap().unwrap();
        let page = list.answer(&disk, &node.settings).unwrap();
        let rules = page.member("rules").and_then(Json::as_array).unwrap();
        names.extend(rules.iter().map(|rule| text(rule, "ruleName")));
        token = page.member("nextToken").and_then(Json::as_str).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let expected = (0..RULES).filter(|number| number % 3 == 1).map(|n| format!("r{n:05}"));
    assert_eq!(names, expected.collect::<Vec<_>>());
    let read = disk.1.get();
    assert!(read <= RULES + 3 * 1_000, "{read} entries read for {RULES} rules");
    for token in ["r\\u0000", "not a name", ""] {
        let body = format!(r#"{{"nextToken":"{token}"}}"#);
        let refused = request(&mut node, "ListTopicRules", &body).unwrap_err();
        assert!(refused.contains("nextToken"), "{refused}");
    }
}

const CHILD: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;

/// Starts an execution of `child` and runs the same as children of a map run.
const PARENT: &str = r#"{"StartAt":"Start","States":{
    "Start":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Next":"Each",
        "Parameters":{"StateMachineArn":"arn:aws:states:us-east-1:000000000000:stateMachine:child"},
        "ResultPath":null},
    "Each":{"Type":"Map","ItemsPath":"$.items","End":true,"ItemProcessor":{
        "ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
        "StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}}}}"#;

/// How many executions are found by the name of a device.
fn of_device(node: &Node, device: &str) -> usize {
    let found = Read::range(&node.disk, &record::executions_of_device(device, u64::MAX));
    let ids = found.iter().map(|(key, _)| record::id_of_device_key(key).unwrap());
    ids.filter(|id| node.disk.contains_key(&record::execution_key(*id))).count()
}

/// What began each execution that is stored.
fn origins(node: &Node) -> Vec<Origin> {
    let space = Space::Execution as u8;
    let records = node.disk.iter().filter(|(key, _)| key.first() == Some(&space));
    let records = records.map(|(key, value)| record::execution(key, value).unwrap());
    records.filter_map(|record| Some(record.origin?.as_ref().clone())).collect()
}

#[test]
fn an_execution_and_what_it_starts_know_the_rule_and_the_device_that_began_them() {
    let mut node = Node::new();
    for (name, definition) in [("child", CHILD), ("parent", PARENT)] {
        let machine = [("name", name), ("definition", definition), ("roleArn", ROLE)];
        let machine = machine.map(|(name, value)| (name, Json::from(value)));
        node.call("CreateStateMachine", &Json::object(machine)).unwrap();
    }
    for (name, topic) in [
        ("online", "$aws/events/presence/connected/+"),
        ("shadowed", "$aws/things/+/shadow/update/accepted"),
        ("told", "d/+"),
    ] {
        let action = r#"{"stepFunctions":{"stateMachineName":"parent"}}"#;
        let body = format!(
            r#"{{"ruleName":"{name}","topicRulePayload":{{"sql":"SELECT [1,2] AS items FROM '{topic}'",
                "awsIotSqlVersion":"2016-03-23","actions":[{action}]}}}}"#
        );
        request(&mut node, "CreateTopicRule", &body).unwrap();
    }
    request(&mut node, "CreateThing", r#"{"thingName":"T"}"#).unwrap();
    let origin = |rule: &str, topic: &str, client: Option<&str>, thing: Option<&str>| Origin {
        rule: rule.into(),
        topic: topic.into(),
        client: client.map(Into::into),
        thing: thing.map(Into::into),
    };
    let expect = |node: &mut Node, origin: &Origin| {
        node.run();
        node.check();
        let ours = origins(node).into_iter().filter(|found| found == origin).count();
        assert_eq!(ours, 4, "the parent, its child and two items: {:?}", origins(node));
    };
    device(&mut node);
    let connected = "$aws/events/presence/connected/gw-1";
    expect(&mut node, &origin("online", connected, Some("gw-1"), None));
    packet(&mut node, Packet::Publish(Publish::new("d/7", "{}")));
    expect(&mut node, &origin("told", "d/7", Some("gw-1"), None));
    let shadow = "$aws/things/T/shadow/update/accepted";
    let update = r#"{"thingName":"T","payload":"eyJzdGF0ZSI6eyJkZXNpcmVkIjp7ImEiOjF9fX0="}"#;
    let update =
        Request::parse(Service::IotData, "UpdateThingShadow", &Json::parse(update).unwrap());
    node.change(update.unwrap().unwrap()).unwrap();
    expect(&mut node, &origin("shadowed", shadow, None, Some("T")));
    let parent = "arn:aws:states:us-east-1:000000000000:stateMachine:parent";
    let start = [("stateMachineArn", parent), ("input", r#"{"items":[]}"#)];
    let start = Json::object(start.map(|(name, value)| (name, Json::from(value))));
    node.call("StartExecution", &start).unwrap();
    node.run();
    assert_eq!(origins(&node).len(), 12, "a caller's have none");
    // Items of map runs are found by their parent.
    let found = |node: &Node| ["gw-1", "T", "gw"].map(|device| of_device(node, device));
    assert_eq!(found(&node), [4, 2, 0]);
    node.kill();
    assert_eq!(found(&node), [4, 2, 0]);
    while let Some(due) = node.kernel.due() {
        node.now = node.now.max(due);
        node.input(Input::Tick);
    }
    let spaces = [Space::Execution as u8, Space::ExecutionOfDevice as u8];
    let kept = node.disk.keys().filter(|key| spaces.contains(&key[0])).count();
    assert_eq!(kept, 0, "nothing is kept for ever");
}

const ROLE: &str = "arn:aws:iam::000000000000:role/x";
