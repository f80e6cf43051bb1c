//! Distributed Maps from the API's side: children, counters, limits, failures, stops, redrives.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use node::{Node, number, text};
use stepwire_asl::Json;

/// A machine with one distributed Map whose children run `states`.
fn mapping(fields: &str, states: &str) -> String {
    format!(
        r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","End":true,{fields}
        "ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}},
        {states}}}}}}}}}"#
    )
}

const PASS: &str = r#""StartAt":"P","States":{"P":{"Type":"Pass","End":true}}"#;
const WAIT: &str = r#""StartAt":"W","States":{"W":{"Type":"Wait","Seconds":10,"End":true}}"#;
/// Fails for odd items.
const ODD_FAIL: &str = r#""StartAt":"C","States":{"C":{"Type":"Choice","Default":"P",
    "Choices":[{"Variable":"$.odd","BooleanEquals":true,"Next":"F"}]},
    "P":{"Type":"Pass","End":true},"F":{"Type":"Fail","Error":"Odd","Cause":"it is odd"}}"#;

fn odd_items(count: usize) -> String {
    let items: Vec<_> =
        (0..count).map(|n| format!("{{\"n\":{n},\"odd\":{}}}", n % 2 == 1)).collect();
    format!("[{}]", items.join(","))
}

fn counts(run: &Json) -> Vec<i64> {
    let counts = run.member("executionCounts").unwrap();
    let names = ["pending", "running", "succeeded", "failed", "aborted", "total"];
    names.iter().map(|name| number(counts, name)).collect()
}

#[test]
fn results_come_in_the_order_of_items() {
    let mut node = Node::new();
    let arn = node.start("m", &mapping("", PASS), "[5, 4, 3]");
    node.run();
    node.check();
    assert_eq!(text(&node.describe(&arn), "output"), "[5,4,3]");
    let run = node.map_run(&arn);
    assert_eq!(text(&run, "status"), "SUCCEEDED");
    assert_eq!(counts(&run), [0, 0, 3, 0, 0, 3]);
}

#[test]
fn children_are_executions_with_a_history_of_their_own() {
    let mut node = Node::new();
    let arn = node.start("m", &mapping(r#""Label":"each","#, PASS), "[5]");
    node.run();
    let run = text(&node.map_run(&arn), "mapRunArn");
    assert!(run.contains(":mapRun:m/each:"), "{run}");
    let listed = node.ask("ListExecutions", &format!("{{\"mapRunArn\":\"{run}\"}}"));
    let child = listed.member("executions").unwrap().as_array().unwrap()[0].clone();
    assert_eq!(number(&child, "itemCount"), 1);
    let child = text(&child, "executionArn");
    assert!(child.contains(":execution:m/each:"), "{child}");
    let described = node.describe(&child);
    assert_eq!(text(&described, "mapRunArn"), run);
    assert_eq!(text(&described, "input"), "5");
    let types = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"];
    assert_eq!(node.types(&child), types);
    let parent = text(&described, "stateMachineArn");
    assert!(parent.ends_with(":stateMachine:m/each"), "{parent}");
    let all = node.ask(
        "ListExecutions",
        &format!("{{\"stateMachineArn\":\"{}\"}}", parent.trim_end_matches("/each")),
    );
    assert_eq!(all.member("executions").unwrap().as_array().unwrap().len(), 1, "{all}");
}

#[test]
fn no_more_children_run_than_the_limit_says() {
    let mut node = Node::new();
    let arn = node.start("m", &mapping(r#""MaxConcurrency":3,"#, WAIT), "[1,2,3,4,5,6,7]");
    let begun = node.now;
    while let Some(map_run) = node.slices.pop_front() {
        node.input(stepwire_core::Input::MapRun(map_run));
    }
    assert_eq!(counts(&node.map_run(&arn)), [4, 3, 0, 0, 0, 7]);
    node.run();
    assert_eq!(node.status(&arn), "SUCCEEDED");
    assert_eq!(node.now.since_ms(begun), 30_000);
}

#[test]
fn one_failure_fails_the_run_unless_it_is_tolerated() {
    let mut node = Node::new();
    let failed = node.start("strict", &mapping("", ODD_FAIL), &odd_items(4));
    node.run();
    let described = node.describe(&failed);
    assert_eq!(text(&described, "error"), "States.ExceedToleratedFailureThreshold");
    let ends = ["MapRunStarted", "MapRunFailed", "MapStateFailed", "ExecutionFailed"];
    assert_eq!(node.types(&failed)[3..], ends);
    let tolerant = mapping(r#""ToleratedFailurePercentage":50,"#, ODD_FAIL);
    let tolerated = node.start("tolerant", &tolerant, &odd_items(4));
    node.run();
    assert_eq!(node.status(&tolerated), "SUCCEEDED");
    assert_eq!(counts(&node.map_run(&tolerated)), [0, 0, 2, 2, 0, 4]);
    let described = node.describe(&tolerated);
    let output = Json::parse(&text(&described, "output")).unwrap();
    assert_eq!(text(&output.as_array().unwrap()[1], "Error"), "Odd");
}

#[test]
fn stopping_the_execution_stops_the_children() {
    let mut node = Node::new();
    let arn = node.start("m", &mapping("", WAIT), "[1,2,3]");
    node.advance();
    node.ask("StopExecution", &format!("{{\"executionArn\":\"{arn}\"}}"));
    let before = node.now;
    node.run();
    assert_eq!(node.now, before, "nothing waits any more");
    assert_eq!(node.types(&arn)[4..], ["MapRunAborted", "ExecutionAborted"]);
    let run = node.map_run(&arn);
    assert_eq!(text(&run, "status"), "ABORTED");
    assert_eq!(counts(&run), [0, 0, 0, 0, 3, 3]);
    node.check();
}

#[test]
fn items_are_batched_by_number_and_by_bytes() {
    let mut node = Node::new();
    let by_number = r#""ItemBatcher":{"MaxItemsPerBatch":2,"BatchInput":{"a":1}},"#;
    let arn = node.start("n", &mapping(by_number, PASS), "[1,2,3]");
    node.run();
    let output = r#"[{"BatchInput":{"a":1},"Items":[1,2]},{"BatchInput":{"a":1},"Items":[3]}]"#;
    assert_eq!(text(&node.describe(&arn), "output"), output);
    let run = node.map_run(&arn);
    assert_eq!(counts(&run), [0, 0, 2, 0, 0, 2]);
    assert_eq!(number(run.member("itemCounts").unwrap(), "succeeded"), 3);
    let by_bytes = r#""ItemBatcher":{"MaxInputBytesPerBatch":15},"#;
    let arn = node.start("b", &mapping(by_bytes, PASS), "[1,2,3]");
    node.run();
    assert_eq!(text(&node.describe(&arn), "output"), r#"[{"Items":[1,2]},{"Items":[3]}]"#);
}

#[test]
fn killed_after_every_step_it_comes_to_the_same() {
    let mut node = Node::new();
    let fields = r#""MaxConcurrency":2,"ToleratedFailureCount":9,"#;
    let states = r#""StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"Next":"C"},
        "C":{"Type":"Choice","Default":"P",
        "Choices":[{"Variable":"$.odd","BooleanEquals":true,"Next":"F"}]},
        "P":{"Type":"Pass","End":true},"F":{"Type":"Fail","Error":"Odd"}}"#;
    let arn = node.start("m", &mapping(fields, states), &odd_items(5));
    while node.advance() {
        node.kill();
        node.check();
    }
    assert_eq!(node.status(&arn), "SUCCEEDED");
    assert_eq!(counts(&node.map_run(&arn)), [0, 0, 3, 2, 0, 5]);
}

#[test]
fn a_redrive_runs_what_failed_and_what_had_not_begun() {
    let mut node = Node::new();
    let states = r#""StartAt":"T","States":{"T":{"Type":"Task","TimeoutSeconds":5,
        "Resource":"arn:aws:states:::http:invoke","Parameters":{"n.$":"$"},"End":true}}"#;
    let arn = node.start("m", &mapping(r#""MaxConcurrency":1,"#, states), "[1,2,3]");
    answer(&mut node, Ok("\"one\""));
    answer(&mut node, Err("Bad"));
    node.run();
    assert_eq!(node.status(&arn), "FAILED");
    assert_eq!(text(&node.describe(&arn), "redriveStatus"), "REDRIVABLE");
    node.ask("RedriveExecution", &format!("{{\"executionArn\":\"{arn}\"}}"));
    answer(&mut node, Ok("\"two\""));
    answer(&mut node, Ok("\"three\""));
    node.run();
    assert_eq!(text(&node.describe(&arn), "output"), r#"["one","two","three"]"#);
    let types = node.types(&arn);
    let ends = ["ExecutionRedriven", "MapRunRedriven", "MapRunSucceeded", "MapStateSucceeded"];
    assert_eq!(types[7..11], ends, "{types:?}");
    let run = node.map_run(&arn);
    assert_eq!((counts(&run), number(&run, "redriveCount")), (vec![0, 0, 3, 0, 0, 3], 1));
    node.check();
}

/// Lets the world answer the task that is open.
fn answer(node: &mut Node, result: Result<&str, &str>) {
    use stepwire_core::{Effect, Input};
    while !node.effects.iter().any(|effect| matches!(effect, Effect::HttpInvoke { .. })) {
        assert!(!node.slices.is_empty(), "no task is asked for");
        node.advance();
    }
    let at = node.effects.iter().position(|e| matches!(e, Effect::HttpInvoke { .. })).unwrap();
    let Effect::HttpInvoke { execution, scheduled, .. } = node.effects.remove(at) else { return };
    let result = result.map(|text| Json::parse(text).unwrap());
    let result = result.map_err(|error| stepwire_asl::Failure::new(error, "it went wrong"));
    node.input(Input::TaskReturned { execution, scheduled, result });
}
