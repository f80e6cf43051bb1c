//! The registry in a kernel: what its changes lead to, and what is left after a crash.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use node::Node;
use stepwire_asl::Json;
use stepwire_core::{Request, Service};

fn iot(node: &mut Node, operation: &str, body: &str) -> Json {
    let body = Json::parse(body).unwrap();
    let request = Request::parse(Service::Iot, operation, &body).unwrap().unwrap();
    if request.is_read() {
        return request.answer(&node.disk, &node.settings).unwrap();
    }
    node.change(request).unwrap()
}

fn executions(node: &mut Node, machine: &str) -> usize {
    let list = node.ask("ListExecutions", &format!(r#"{{"stateMachineArn":"{machine}"}}"#));
    list.member("executions").unwrap().as_array().unwrap().len()
}

#[test]
fn a_thing_and_what_its_event_starts_are_in_one_commit() {
    let mut node = Node::new();
    let machine = node.ask(
        "CreateStateMachine",
        r#"{"name":"m","roleArn":"arn:aws:iam::000000000000:role/x",
            "definition":"{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"Seconds\":9,\"End\":true}}}"}"#,
    );
    let machine = node::text(&machine, "stateMachineArn");
    iot(
        &mut node,
        "CreateTopicRule",
        r#"{"ruleName":"r","topicRulePayload":{
            "sql":"SELECT thingName FROM '$aws/events/thing/+/created'",
            "actions":[{"stepFunctions":{"stateMachineName":"m","roleArn":"arn:aws:iam::000000000000:role/x"}}]}}"#,
    );
    iot(&mut node, "CreateThing", r#"{"thingName":"before"}"#);
    assert_eq!(executions(&mut node, &machine), 0);
    iot(
        &mut node,
        "UpdateEventConfigurations",
        r#"{"eventConfigurations":{"THING":{"Enabled":true}}}"#,
    );

    iot(&mut node, "CreateThing", r#"{"thingName":"after"}"#);
    node.kill();
    assert_eq!(
        node::text(&iot(&mut node, "DescribeThing", r#"{"thingName":"after"}"#), "thingName"),
        "after"
    );
    assert_eq!(executions(&mut node, &machine), 1);
    node.check();
}

#[test]
fn a_group_that_is_gone_lets_its_things_go_also_after_a_crash() {
    let mut node = Node::new();
    iot(&mut node, "CreateThingGroup", r#"{"thingGroupName":"g"}"#);
    for number in 0..2_500 {
        iot(&mut node, "CreateThing", &format!(r#"{{"thingName":"t{number}"}}"#));
        let member = format!(r#"{{"thingName":"t{number}","thingGroupName":"g"}}"#);
        iot(&mut node, "AddThingToThingGroup", &member);
    }
    let members = |node: &Node| node.disk.keys().filter(|key| key[0] == 0x1A).count();
    let before = members(&node);
    iot(&mut node, "DeleteThingGroup", r#"{"thingGroupName":"g"}"#);
    // Two records of each membership; and the group itself was on the list of those without parent.
    assert_eq!(before - members(&node), 2 * 1_000 + 1);
    node.kill();
    node.check();
    node.run();
    assert_eq!(members(&node), 0);
    assert_eq!(node.kernel.due(), None);
    node.check();
}
