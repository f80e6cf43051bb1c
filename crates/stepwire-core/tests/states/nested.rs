//! Executions that start others: `states:startExecution` and its patterns.

use stepwire_asl::Json;

use crate::node::{Node, text};

const CHILD: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:child";

/// A machine whose one task starts an execution of `child` named `c`.
fn starts(pattern: &str, more: &str) -> String {
    format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"arn:aws:states:::states:startExecution{pattern}",
        "Parameters":{{"StateMachineArn":"{CHILD}","Name":"c","Input":{{"a.$":"$.a","t.$":"$$.Execution.Id"}}}}{more},"End":true}}}}}}"#
    )
}

const WAITS: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}"#;
const FAILS: &str = r#"{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}"#;
const GIVES: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","Result":{"b":2},"End":true}}}"#;

/// A node where `parent` has been started and waits for `child`.
fn waiting(pattern: &str, child: &str, more: &str) -> Node {
    let mut node = Node::new();
    node.machine("child", "STANDARD", child);
    node.machine("parent", "STANDARD", &starts(pattern, more));
    node.start("parent", "p", r#"{"a":1}"#);
    node
}

#[test]
fn a_plain_start_does_not_wait_for_the_end() {
    let mut node = waiting("", WAITS, "");
    assert_eq!(node.status("parent", "p"), "SUCCEEDED");
    assert_eq!(node.status("child", "c"), "RUNNING");
    let output = Json::parse(&text(&node.execution("parent", "p"), "output")).unwrap();
    let names: Vec<_> = output.as_object().unwrap().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["ExecutionArn", "SdkHttpMetadata", "SdkResponseMetadata", "StartDate"]);
}

#[test]
fn a_waiting_parent_ends_with_its_child_also_after_a_restart() {
    let mut node = waiting(".sync", WAITS, "");
    assert_eq!(node.status("parent", "p"), "RUNNING");
    node.restart();
    node.pass(60_000);
    assert_eq!(node.status("child", "c"), "SUCCEEDED");
    assert_eq!(node.status("parent", "p"), "SUCCEEDED");
    let submitted = ["TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskStateExited"];
    assert_eq!(node.history("parent", "p")[3..7], submitted);
}

#[test]
fn output_is_text_with_sync_and_a_value_with_its_second_version() {
    for (pattern, expected) in [(".sync", r#""{\"b\":2}""#), (".sync:2", r#"{"b":2}"#)] {
        let mut node = waiting(pattern, GIVES, "");
        let output = Json::parse(&text(&node.execution("parent", "p"), "output")).unwrap();
        assert_eq!(output.member("Output").unwrap().to_text(), expected);
    }
}

#[test]
fn a_failed_child_fails_the_task_with_its_description_as_cause() {
    let mut node = waiting(".sync", FAILS, "");
    let parent = node.execution("parent", "p");
    assert_eq!(text(&parent, "status"), "FAILED");
    assert_eq!(text(&parent, "error"), "States.TaskFailed");
    let cause = Json::parse(&text(&parent, "cause")).unwrap();
    assert_eq!((text(&cause, "Status"), text(&cause, "Error")), ("FAILED".into(), "E".into()));
    assert_eq!(text(&cause, "Cause"), "C");
}

#[test]
fn a_child_is_stopped_with_the_parent_that_waits_for_it() {
    let mut node = waiting(".sync", WAITS, "");
    node.restart();
    node.stop("parent", "p");
    assert_eq!(node.status("child", "c"), "ABORTED");
}

#[test]
fn a_child_is_stopped_when_its_task_times_out() {
    let mut node = waiting(".sync", WAITS, r#","TimeoutSeconds":5"#);
    node.pass(5_000);
    assert_eq!(
        (node.status("parent", "p"), node.status("child", "c")),
        ("FAILED".into(), "ABORTED".into())
    );
}

#[test]
fn a_child_that_is_not_waited_for_outlives_its_parent() {
    let mut node = waiting("", WAITS, "");
    node.restart();
    node.pass(60_000);
    assert_eq!(node.status("child", "c"), "SUCCEEDED");
}

#[test]
fn whoever_has_the_token_of_a_sync_task_may_answer_for_the_child() {
    let mut node = Node::new();
    node.machine("child", "STANDARD", WAITS);
    let token = starts(".sync", "").replace("$$.Execution.Id", "$$.Task.Token");
    node.machine("parent", "STANDARD", &token);
    node.start("parent", "p", r#"{"a":1}"#);
    let input = Json::parse(&text(&node.execution("child", "c"), "input")).unwrap();
    let report =
        Json::object([("taskToken", Json::from(text(&input, "t"))), ("output", "3".into())]);
    node.call("SendTaskSuccess", &report.to_text());
    assert_eq!(text(&node.execution("parent", "p"), "output"), "3");
    assert_eq!(node.status("child", "c"), "RUNNING");
    node.restart();
    node.pass(60_000);
    assert_eq!(node.status("child", "c"), "SUCCEEDED");
}

#[test]
fn children_of_children_end_from_the_inside_out() {
    let mut node = Node::new();
    node.machine("grandchild", "STANDARD", WAITS);
    let child = starts(".sync", "").replace(":child\"", ":grandchild\"");
    node.machine("child", "STANDARD", &child);
    node.machine("parent", "STANDARD", &starts(".sync", ""));
    node.start("parent", "p", r#"{"a":1}"#);
    node.pass(30_000);
    node.stop("parent", "p");
    assert_eq!(
        (node.status("child", "c"), node.status("grandchild", "c")),
        ("ABORTED".into(), "ABORTED".into())
    );
}

#[test]
fn a_machine_that_starts_itself_lets_every_turn_end() {
    let mut node = Node::new();
    let itself = CHILD.replace(":child", ":ouroboros");
    let definition = format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"arn:aws:states:::states:startExecution",
        "Parameters":{{"StateMachineArn":"{itself}"}},"End":true}}}}}}"#
    );
    node.machine("ouroboros", "STANDARD", &definition);
    node.start("ouroboros", "first", "{}");
    assert_eq!(node.status("ouroboros", "first"), "SUCCEEDED");
    let page = format!(r#"{{"stateMachineArn":"{itself}","maxResults":1000}}"#);
    let list = node.call("ListExecutions", &page);
    assert_eq!(list.member("executions").and_then(Json::as_array).unwrap().len(), 1_000);
}
