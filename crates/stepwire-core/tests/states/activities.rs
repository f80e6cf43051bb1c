//! Activities: tasks that wait for workers, and workers that wait for tasks.

use stepwire_asl::Json;
use stepwire_core::{Input, ReplyId};

use crate::node::{Node, text};

const ARN: &str = "arn:aws:states:us-east-1:000000000000:activity:work";

fn uses(more: &str) -> String {
    format!(
        r#"{{"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{ARN}"{more},"End":true}}}}}}"#
    )
}

/// A node with the activity `work` and a machine `m` that uses it.
fn node(more: &str) -> Node {
    let mut node = Node::new();
    node.call("CreateActivity", r#"{"name":"work"}"#);
    node.machine("m", "STANDARD", &uses(more));
    node
}

fn poll(node: &mut Node, worker: &str) -> ReplyId {
    node.ask("GetActivityTask", &format!(r#"{{"activityArn":"{ARN}","workerName":"{worker}"}}"#))
}

/// The token and input that a worker was given.
fn given(node: &mut Node, reply: ReplyId) -> (String, String) {
    let task = node.answer(reply).unwrap().unwrap();
    (text(&task, "taskToken"), text(&task, "input"))
}

fn succeed(node: &mut Node, token: &str, output: &str) {
    let body = Json::object([("taskToken", Json::from(token)), ("output", output.into())]);
    node.call("SendTaskSuccess", &body.to_text());
}

#[test]
fn a_waiting_worker_is_given_the_next_task() {
    let mut node = node("");
    let reply = poll(&mut node, "w");
    assert_eq!(node.answer(reply), None);
    node.start("m", "e", r#"{"a": 1}"#);
    let (token, input) = given(&mut node, reply);
    assert_eq!(input, r#"{"a":1}"#);
    succeed(&mut node, &token, "2");
    let expected = ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"];
    assert_eq!(node.history("m", "e")[2..5], expected);
    assert_eq!(text(&node.execution("m", "e"), "output"), "2");
}

#[test]
fn waiting_tasks_are_handed_out_in_the_order_they_were_scheduled_also_after_a_restart() {
    let mut node = node("");
    node.machine("a", "STANDARD", &uses(""));
    for (machine, input) in [("m", "1"), ("a", "2"), ("m", "3")] {
        node.start(machine, input, input);
        node.pass(10);
    }
    node.restart();
    let inputs = [0, 1, 2].map(|_| {
        let reply = poll(&mut node, "w");
        given(&mut node, reply).1
    });
    assert_eq!(inputs, ["1", "2", "3"]);
}

#[test]
fn a_worker_without_a_task_is_answered_after_a_minute() {
    let mut node = node("");
    let reply = poll(&mut node, "w");
    node.pass(59_999);
    assert_eq!(node.answer(reply), None);
    node.pass(1);
    assert_eq!(node.answer(reply).unwrap().unwrap().to_text(), "{}");
}

#[test]
fn a_started_task_keeps_its_token_after_a_restart() {
    let mut node = node("");
    node.start("m", "e", "1");
    let reply = poll(&mut node, "w");
    let (token, _) = given(&mut node, reply);
    node.restart();
    let second = poll(&mut node, "w");
    assert_eq!(node.answer(second), None, "it is not handed out twice");
    succeed(&mut node, &token, "2");
    assert_eq!(node.status("m", "e"), "SUCCEEDED");
}

#[test]
fn time_runs_from_the_moment_a_worker_takes_the_task() {
    let mut node = node(r#","TimeoutSeconds":10,"HeartbeatSeconds":3"#);
    node.start("m", "e", "1");
    node.pass(100_000);
    let reply = poll(&mut node, "w");
    let (token, _) = given(&mut node, reply);
    let beat = Json::object([("taskToken", Json::from(token.as_str()))]).to_text();
    for _ in 0..3 {
        node.pass(2_900);
        node.call("SendTaskHeartbeat", &beat);
    }
    assert_eq!(node.status("m", "e"), "RUNNING");
    node.pass(2_900);
    assert_eq!(node.status("m", "e"), "FAILED");
    assert_eq!(node.history("m", "e")[4], "ActivityTimedOut");
    let late = node.refused("SendTaskHeartbeat", &beat);
    assert_eq!(late.code, "TaskTimedOut");
}

#[test]
fn a_worker_that_has_gone_is_given_nothing() {
    let mut node = node("");
    let (gone, stays) = (poll(&mut node, "gone"), poll(&mut node, "stays"));
    node.input(Input::Gone(gone));
    node.start("m", "e", "1");
    assert_eq!(node.answer(gone), None);
    given(&mut node, stays);
}

#[test]
fn a_task_whose_worker_did_not_hear_of_it_goes_to_the_next() {
    let mut node = node("");
    node.start("m", "e", "1");
    let reply = poll(&mut node, "gone");
    let unheard = node.answer(reply).unwrap().unwrap();
    node.input(Input::Unheard(unheard.clone()));
    let next = poll(&mut node, "next");
    let (token, input) = given(&mut node, next);
    assert_eq!((token.clone(), input.as_str()), (text(&unheard, "taskToken"), "1"));
    succeed(&mut node, &token, "2");
    let started = node.history("m", "e").iter().filter(|kind| *kind == "ActivityStarted").count();
    assert_eq!(started, 1);
}

#[test]
fn a_task_that_is_no_longer_wanted_is_not_handed_out() {
    let mut node = node("");
    node.start("m", "e", "1");
    node.stop("m", "e");
    let reply = poll(&mut node, "w");
    assert_eq!(node.answer(reply), None);
}

#[test]
fn an_activity_that_does_not_exist_fails_the_execution_before_anything_is_scheduled() {
    let mut node = node("");
    node.call("DeleteActivity", &format!(r#"{{"activityArn":"{ARN}"}}"#));
    node.start("m", "e", "1");
    let expected = ["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"];
    assert_eq!(node.history("m", "e"), expected);
    let missing = node.refused("GetActivityTask", &format!(r#"{{"activityArn":"{ARN}"}}"#));
    assert_eq!(missing.code, "ActivityDoesNotExist");
}

#[test]
fn no_more_than_a_thousand_workers_wait_for_one_activity() {
    let mut node = node("");
    for _ in 0..1_000 {
        poll(&mut node, "w");
    }
    let over = node.refused("GetActivityTask", &format!(r#"{{"activityArn":"{ARN}"}}"#));
    assert_eq!(over.code, "ActivityWorkerLimitExceeded");
}

#[test]
fn activities_are_listed_page_by_page() {
    let mut node = node("");
    for name in ["c", "a", "b"] {
        node.call("CreateActivity", &format!(r#"{{"name":"{name}"}}"#));
    }
    let names = |list: &Json| -> Vec<String> {
        let items = list.member("activities").and_then(Json::as_array).unwrap();
        items.iter().map(|item| text(item, "name")).collect()
    };
    let first = node.call("ListActivities", r#"{"maxResults":3}"#);
    assert_eq!(names(&first), ["a", "b", "c"]);
    let next = format!(r#"{{"maxResults":3,"nextToken":"{}"}}"#, text(&first, "nextToken"));
    let second = node.call("ListActivities", &next);
    assert_eq!((names(&second), second.member("nextToken")), (vec!["work".to_owned()], None));
}

#[test]
fn a_workflow_can_be_the_worker() {
    let mut node = node("");
    let worker = format!(
        r#"{{"StartAt":"Get","States":{{
        "Get":{{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sfn:getActivityTask","Parameters":{{"ActivityArn":"{ARN}"}},"Next":"Send"}},
        "Send":{{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sfn:sendTaskSuccess",
        "Parameters":{{"TaskToken.$":"$.TaskToken","Output.$":"$.Input"}},"End":true}}}}}}"#
    );
    node.machine("worker", "STANDARD", &worker);
    node.start("worker", "w", "{}");
    node.restart();
    node.start("m", "e", r#"{"a":1}"#);
    assert_eq!(text(&node.execution("m", "e"), "output"), r#"{"a":1}"#);
    assert_eq!(node.status("worker", "w"), "SUCCEEDED");
}
