//! Executions of Express state machines, with and without a caller who waits.

use stepwire_asl::Json;

use crate::node::{Node, text};

const ARN: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:fast";
const GIVES: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","Parameters":{"e.$":"$$.Execution"},"End":true}}}"#;
const WAITS: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":2,"End":true}}}"#;

fn start(name: &str, more: &str) -> String {
    format!(r#"{{"stateMachineArn":"{ARN}","name":"{name}","input":"{{\"a\": 1}}"{more}}}"#)
}

fn node(definition: &str) -> Node {
    let mut node = Node::new();
    node.machine("fast", "EXPRESS", definition);
    node
}

#[test]
fn the_caller_is_answered_with_the_end() {
    let mut node = node(GIVES);
    let outcome = node.call("StartSyncExecution", &start("e", r#","traceHeader":"t""#));
    let names: Vec<_> = outcome.as_object().unwrap().keys().map(ToString::to_string).collect();
    let expected = [
        "executionArn",
        "stateMachineArn",
        "name",
        "startDate",
        "stopDate",
        "status",
        "output",
        "outputDetails",
        "input",
        "inputDetails",
        "traceHeader",
        "billingDetails",
    ];
    assert_eq!(names, expected);
    assert_eq!(text(&outcome, "input"), r#"{"a": 1}"#);
    let output = Json::parse(&text(&outcome, "output")).unwrap();
    let context = output.member("e").unwrap();
    assert_eq!(text(context, "Id"), text(&outcome, "executionArn"));
    assert_eq!((text(context, "Name"), context.member("RedriveCount")), ("e".to_owned(), None));
    let billing = outcome.member("billingDetails").unwrap().to_text();
    assert_eq!(billing, r#"{"billedMemoryUsedInMB":64,"billedDurationInMilliseconds":100}"#);
}

#[test]
fn metadata_only_leaves_input_and_output_out() {
    let mut node = node(GIVES);
    let more = r#","includedData":"METADATA_ONLY""#;
    let outcome = node.call("StartSyncExecution", &start("e", more));
    assert_eq!((outcome.member("input"), outcome.member("output")), (None, None));
    assert_eq!(text(&outcome, "status"), "SUCCEEDED");
}

#[test]
fn names_may_be_used_again_and_nothing_is_left() {
    let mut node = node(WAITS);
    let before = node.stored();
    let first = node.call("StartExecution", &start("e", ""));
    let second = node.call("StartExecution", &start("e", ""));
    let (first, second) = (text(&first, "executionArn"), text(&second, "executionArn"));
    assert!(first.starts_with("arn:aws:states:us-east-1:000000000000:express:fast:e:"), "{first}");
    assert_ne!(first, second);
    node.pass(2_000);
    assert_eq!(node.stored(), before + 1, "only the count of executions is kept");
}

#[test]
fn an_acknowledged_start_runs_on_after_a_restart_and_numbers_are_not_given_again() {
    let mut node = node(WAITS);
    let first = text(&node.call("StartExecution", &start("e", "")), "executionArn");
    node.restart();
    node.pass(2_000);
    assert_eq!(node.open(), 0);
    node.restart();
    let second = text(&node.call("StartExecution", &start("e", "")), "executionArn");
    assert_ne!(first, second);
}

#[test]
fn no_execution_runs_longer_than_five_minutes() {
    let mut node = node(&WAITS.replace('2', "1000"));
    let reply = node.ask("StartSyncExecution", &start("e", ""));
    node.pass(299_999);
    assert_eq!(node.answer(reply), None);
    node.pass(1);
    let outcome = node.answer(reply).unwrap().unwrap();
    assert_eq!(text(&outcome, "status"), "TIMED_OUT");
    assert_eq!(text(&outcome, "error"), "States.Timeout");
}

#[test]
fn operations_on_single_executions_know_no_express_ones() {
    let mut node = node(WAITS);
    let arn = text(&node.call("StartExecution", &start("e", "")), "executionArn");
    let body = format!(r#"{{"executionArn":"{arn}"}}"#);
    for operation in [
        "DescribeExecution",
        "StopExecution",
        "GetExecutionHistory",
        "DescribeStateMachineForExecution",
    ] {
        let error = node.refused(operation, &body);
        let message = "Invalid Arn: 'Resource type not valid in this context: express'";
        assert_eq!((error.code.as_ref(), error.message.as_str()), ("InvalidArn", message));
    }
    let list = node.refused("ListExecutions", &format!(r#"{{"stateMachineArn":"{ARN}"}}"#));
    assert_eq!(list.code, "StateMachineTypeNotSupported");
}

#[test]
fn only_express_machines_can_be_waited_for() {
    let mut node = Node::new();
    node.machine("fast", "STANDARD", GIVES);
    let error = node.refused("StartSyncExecution", &start("e", ""));
    assert_eq!(error.code, "StateMachineTypeNotSupported");
}

#[test]
fn a_workflow_may_wait_for_an_express_execution() {
    let mut node = node(WAITS);
    let calls = format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sfn:startSyncExecution",
        "Parameters":{{"StateMachineArn":"{ARN}","Input":{{"b":2}}}},"End":true}}}}}}"#
    );
    node.machine("calls", "STANDARD", &calls);
    node.start("calls", "c", "{}");
    node.restart();
    node.pass(2_000);
    let output = Json::parse(&text(&node.execution("calls", "c"), "output")).unwrap();
    assert_eq!(
        (text(&output, "Status"), text(&output, "Output")),
        ("SUCCEEDED".into(), r#"{"b":2}"#.into())
    );
}
