//! What rules owe: statements that ask functions, off the hot path and in order per device.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::broker::{self, ConnectionId, Identity, Principal, Profile};
use stepwire_core::effect::Report;
use stepwire_core::functions::{Invoked, InvokedBy};
use stepwire_core::message::QoS;
use stepwire_core::mqtt::{Connect, Packet, Publish, Version};
use stepwire_core::record::Space;
use stepwire_core::{Effect, Input, Request, Service, Settings};

use node::{Node, text};

const WEIGH: &str = "arn:aws:lambda:us-east-1:000000000000:function:weigh";
const KEEP: &str = r#"[{"dynamoDBv2": {"putItem": {"tableName": "Kept"}}}]"#;

/// A node with a table and two devices.
struct Plant(Node);

impl Plant {
    fn new() -> Plant {
        Plant::with(Settings::default())
    }

    fn with(settings: Settings) -> Plant {
        let mut plant = Plant(Node::with(settings));
        plant.request(
            Service::DynamoDb,
            "CreateTable",
            r#"{"TableName": "Kept", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "n", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}]}"#,
        );
        for (number, client) in [(1, "one"), (2, "two")] {
            plant.connect(number, client);
        }
        plant
    }

    fn connect(&mut self, number: u64, client: &str) {
        let principal = Principal {
            identity: Identity::Anonymous,
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            profile: Profile::Standard,
            anonymous_allowed: true,
        };
        let connect = Box::new(Connect::new(Version::V311, client));
        let connection = ConnectionId(number);
        let input = broker::Input::Connect { connection, principal, connect };
        self.0.input(Input::Device(input));
    }

    fn request(&mut self, service: Service, operation: &str, body: &str) -> Json {
        let request = Request::parse(service, operation, &Json::parse(body).unwrap());
        let request = request.unwrap().unwrap();
        if request.is_read() {
            return request.answer(&self.0.disk, &self.0.settings).unwrap();
        }
        self.0.change(request).unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// Creates or replaces the rule `Weigh`.
    fn rule(&mut self, operation: &str, sql: &str, actions: &str) {
        self.rule_with(operation, sql, actions, "");
    }

    fn rule_with(&mut self, operation: &str, sql: &str, actions: &str, more: &str) {
        let sql = Json::from(sql);
        let body = format!(
            r#"{{"ruleName": "Weigh", "topicRulePayload": {{"sql": {sql}, "actions": {actions},
                "awsIotSqlVersion": "2016-03-23"{more}}}}}"#
        );
        self.request(Service::Iot, operation, &body);
    }

    /// A device publishes; whether it has been acknowledged.
    fn publish(&mut self, device: u64, payload: &str) -> bool {
        let packet = Packet::Publish(Publish {
            qos: QoS::AtLeastOnce,
            packet_id: NonZeroU16::new(7),
            ..Publish::new("scale/1", payload.to_owned())
        });
        let connection = ConnectionId(device);
        self.0.input(Input::Device(broker::Input::Packet { connection, packet }));
        let acks = |effect: &Effect| {
            matches!(effect, Effect::Send { connection: to, packet: Packet::PubAck(_) }
                if *to == connection)
        };
        let at = self.0.effects.iter().position(acks);
        at.map(|at| self.0.effects.remove(at)).is_some()
    }

    /// What functions are asked and nobody has answered: who asks, and what.
    fn asked(&mut self) -> Vec<(InvokedBy, String)> {
        let mut asked = Vec::new();
        self.0.effects.retain(|effect| match effect {
            Effect::Invoke { caller, invoke } => {
                asked.push((*caller, invoke.payload.to_string()));
                false
            }
            _ => true,
        });
        asked
    }

    fn answer(&mut self, caller: InvokedBy, payload: &str, failed: bool) {
        let result = Ok(Invoked {
            status: 200,
            payload: payload.into(),
            failed,
            log: None,
            version: "$LATEST".into(),
        });
        self.0.input(Input::FunctionReturned { caller, request_id: "r".into(), result });
        self.0.check();
    }

    /// Names of the items that are stored, with what was weighed.
    fn kept(&mut self) -> Vec<(String, String)> {
        let items = self.request(Service::DynamoDb, "Scan", r#"{"TableName": "Kept"}"#);
        let items = items.member("Items").unwrap().as_array().unwrap().to_vec();
        let of = |item: &Json, name: &str| {
            item.member(name).map(|typed| text(typed, "S")).unwrap_or_default()
        };
        items.iter().map(|item| (of(item, "n"), of(item, "w"))).collect()
    }

    fn errands(&self) -> usize {
        self.0.disk.keys().filter(|key| key[0] == Space::Errand as u8).count()
    }

    fn reports(&self) -> Vec<Arc<str>> {
        let why = |effect: &Effect| match effect {
            Effect::Report(Report::RuleFailed { why, .. }) => Some(Arc::clone(why)),
            _ => None,
        };
        self.0.effects.iter().filter_map(why).collect()
    }
}

fn weighing() -> String {
    format!("SELECT n, aws_lambda('{WEIGH}', {{'n': n}}) AS w FROM 'scale/+'")
}

fn pair(n: &str, w: &str) -> (String, String) {
    (n.to_owned(), w.to_owned())
}

#[test]
fn a_message_is_acknowledged_before_the_function_answers_and_survives_in_a_errand() {
    let mut plant = Plant::new();
    plant.rule("CreateTopicRule", &weighing(), KEEP);
    assert!(plant.publish(1, r#"{"n": "a"}"#));
    assert_eq!((plant.errands(), plant.kept()), (1, vec![]));
    let asked = plant.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].1, r#"{"n":"a"}"#);
    plant.answer(asked[0].0, r#""5 kg""#, false);
    assert_eq!((plant.errands(), plant.kept()), (0, vec![pair("a", "5 kg")]));
    assert_eq!(plant.reports(), [] as [Arc<str>; 0]);
}

#[test]
fn what_no_function_answers_is_undefined_and_reported() {
    for (payload, failed, why) in [
        (r#"{"errorType":"Bad"}"#, true, "the function failed"),
        ("no JSON", false, "the answer is not JSON"),
        (&format!("\"{}\"", "x".repeat(200_000)), false, "the answer has more than"),
    ] {
        let mut plant = Plant::new();
        plant.rule("CreateTopicRule", &weighing(), KEEP);
        plant.publish(1, r#"{"n": "a"}"#);
        let asked = plant.asked();
        plant.answer(asked[0].0, payload, failed);
        assert_eq!((plant.errands(), plant.kept()), (0, vec![pair("a", "")]));
        let reports = plant.reports();
        assert_eq!(reports.len(), 1);
        assert!(reports[0].contains(why), "{reports:?}");
    }
}

#[test]
fn later_messages_of_a_device_wait_for_its_earlier_ones_and_others_do_not() {
    let mut plant = Plant::new();
    plant.rule("CreateTopicRule", &weighing(), KEEP);
    for (device, payload) in [(1, r#"{"n": "a"}"#), (1, r#"{"n": "b"}"#), (2, r#"{"n": "c"}"#)] {
        assert!(plant.publish(device, payload));
    }
    let asked = plant.asked();
    let payloads = |asked: &[(InvokedBy, String)]| -> Vec<String> {
        asked.iter().map(|(_, payload)| payload.clone()).collect()
    };
    assert_eq!(payloads(&asked), [r#"{"n":"a"}"#, r#"{"n":"c"}"#]);
    plant.answer(asked[1].0, r#""c""#, false);
    assert_eq!(plant.asked(), []);
    plant.answer(asked[0].0, r#""a""#, false);
    let asked = plant.asked();
    assert_eq!(payloads(&asked), [r#"{"n":"b"}"#]);
    plant.answer(asked[0].0, r#""b""#, false);
    assert_eq!(plant.kept().len(), 3);
    assert_eq!(plant.errands(), 0);
}

#[test]
fn a_message_that_asks_nothing_waits_for_earlier_ones_all_the_same() {
    let mut plant = Plant::new();
    let sql = format!(
        "SELECT n, CASE n = 'a' WHEN true THEN aws_lambda('{WEIGH}', n) ELSE 'known' END AS w \
         FROM 'scale/+' WHERE NOT n = 'none'"
    );
    plant.rule("CreateTopicRule", &sql, KEEP);
    plant.publish(2, r#"{"n": "d"}"#);
    assert_eq!((plant.kept(), plant.errands()), (vec![pair("d", "known")], 0));
    plant.publish(1, r#"{"n": "a"}"#);
    plant.publish(1, r#"{"n": "b"}"#);
    // Nothing would follow from it: it need not wait.
    plant.publish(1, r#"{"n": "none"}"#);
    assert_eq!((plant.kept().len(), plant.errands()), (1, 2));
    let asked = plant.asked();
    plant.answer(asked[0].0, r#""5 kg""#, false);
    assert_eq!((plant.kept().len(), plant.errands()), (3, 0));
}

#[test]
fn after_a_restart_functions_are_asked_again_and_late_answers_change_nothing() {
    let mut plant = Plant::new();
    plant.rule("CreateTopicRule", &weighing(), KEEP);
    plant.publish(1, r#"{"n": "a"}"#);
    plant.publish(1, r#"{"n": "b"}"#);
    let first = plant.asked();
    plant.0.kill();
    let again = plant.asked();
    assert_eq!((again.len(), &again[0].1), (1, &first[0].1));
    plant.answer(again[0].0, r#""5 kg""#, false);
    plant.answer(again[0].0, r#""6 kg""#, false);
    assert_eq!(plant.kept(), [pair("a", "5 kg")]);
    let next = plant.asked();
    plant.answer(next[0].0, r#""7 kg""#, false);
    assert_eq!((plant.kept().len(), plant.errands()), (2, 0));
}

#[test]
fn a_message_is_finished_under_the_rule_that_took_it() {
    for operation in ["ReplaceTopicRule", "DisableTopicRule", "DeleteTopicRule"] {
        let mut plant = Plant::new();
        plant.rule("CreateTopicRule", &weighing(), KEEP);
        plant.publish(1, r#"{"n": "a"}"#);
        match operation {
            "ReplaceTopicRule" => plant.rule(operation, "SELECT 'new' AS n FROM 'scale/+'", KEEP),
            other => drop(plant.request(Service::Iot, other, r#"{"ruleName": "Weigh"}"#)),
        }
        plant.0.kill();
        let asked = plant.asked();
        plant.answer(asked[0].0, r#""5 kg""#, false);
        assert_eq!((plant.kept(), plant.errands()), (vec![pair("a", "5 kg")], 0), "{operation}");
    }
}

#[test]
fn what_the_node_knows_is_answered_in_the_commit_of_the_message() {
    let mut plant = Plant::new();
    plant.request(Service::Iot, "CreateThing", r#"{"thingName": "one"}"#);
    plant.request(
        Service::DynamoDb,
        "PutItem",
        r#"{"TableName": "Kept", "Item": {"n": {"S": "k"}, "place": {"M": {"room": {"S": "hall"}}}}}"#,
    );
    let sql = "SELECT n, get_dynamodb('Kept', 'n', 'k', 'arn:aws:iam::1:role/r').place.room + ' ' \
               + get_registry_data('DescribeThing', clientid(), 'arn:aws:iam::1:role/r').thingName AS w FROM 'scale/+'";
    plant.rule("CreateTopicRule", sql, KEEP);
    plant.publish(1, r#"{"n": "a"}"#);
    assert!(plant.kept().contains(&pair("a", "hall one")), "{:?}", plant.kept());
    assert_eq!(plant.reports(), [] as [Arc<str>; 0]);
    plant.publish(2, r#"{"n": "b"}"#);
    assert!(plant.kept().contains(&pair("b", "")));
    assert!(plant.reports()[0].contains("get_registry_data: "), "{:?}", plant.reports());
    assert_eq!((plant.errands(), plant.asked()), (0, vec![]));
}

#[test]
fn templates_of_actions_ask_too() {
    let mut plant = Plant::new();
    let actions = format!(
        r#"[{{"dynamoDBv2": {{"putItem": {{"tableName": "Kept"}}}}}},
            {{"republish": {{"topic": "weighed/${{aws_lambda('{WEIGH}', n)}}"}}}}]"#
    );
    plant.rule("CreateTopicRule", "SELECT n FROM 'scale/+'", &actions);
    let again = KEEP.replace("Weigh", "Again");
    plant.request(
        Service::Iot,
        "CreateTopicRule",
        &format!(
            r#"{{"ruleName": "Again", "topicRulePayload": {{"awsIotSqlVersion": "2016-03-23",
                "sql": "SELECT topic() AS n FROM 'weighed/+'", "actions": {again}}}}}"#
        ),
    );
    plant.publish(1, r#"{"n": "a"}"#);
    assert_eq!(plant.kept(), []);
    let asked = plant.asked();
    plant.answer(asked[0].0, r#""light""#, false);
    assert_eq!(plant.kept(), [pair("a", ""), pair("weighed/light", "")]);
}

#[test]
fn when_too_many_wait_the_rule_fails_by_name_for_those_who_have_most() {
    let mut settings = Settings::default();
    settings.quotas.errands_max = 3;
    let mut plant = Plant::with(settings);
    let error = r#", "errorAction": {"republish": {"topic": "failed"}}"#;
    plant.rule_with("CreateTopicRule", &weighing(), KEEP, error);
    plant.request(
        Service::Iot,
        "CreateTopicRule",
        r#"{"ruleName": "Failed", "topicRulePayload": {"awsIotSqlVersion": "2016-03-23",
            "sql": "SELECT get(failures, 0).failedAction AS n FROM 'failed'",
            "actions": [{"dynamoDBv2": {"putItem": {"tableName": "Kept"}}}]}}"#,
    );
    for payload in [r#"{"n": "a"}"#, r#"{"n": "b"}"#, r#"{"n": "c"}"#] {
        assert!(plant.publish(1, payload));
    }
    assert_eq!(plant.errands(), 2);
    let reports = plant.reports();
    assert!(reports[0].contains("LimitExceeded") && reports[0].contains("errands-max"));
    assert_eq!(plant.kept()[0].0, "DynamoDBv2Action");
    plant.publish(2, r#"{"n": "d"}"#);
    assert_eq!(plant.errands(), 3);
}
