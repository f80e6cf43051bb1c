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

/// `ItemReader` of the object `items`, of this type.
fn reader(config: &str) -> String {
    format!(
        r#""ItemReader":{{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{{{config}}},
        "Parameters":{{"Bucket":"things","Key":"items"}}}},"#
    )
}

/// What an execution gives whose items are in an object.
fn read(config: &str, object: &str) -> String {
    let mut node = Node::new();
    node.bucket("things");
    node.put("things", "items", object);
    let arn = node.start("m", &mapping(&reader(config), PASS), "{}");
    node.run();
    node.check();
    let described = node.describe(&arn);
    match described.member("output") {
        Some(output) => output.as_str().unwrap().to_owned(),
        None => format!("{}: {}", text(&described, "error"), text(&described, "cause")),
    }
}

#[test]
fn items_are_read_from_objects() {
    assert_eq!(read(r#""InputType":"JSON""#, "[1, {\"a\": [2]}]"), r#"[1,{"a":[2]}]"#);
    assert_eq!(read(r#""InputType":"JSONL""#, "{\"a\":1}\n2\n"), r#"[{"a":1},2]"#);
    let given = r#""InputType":"CSV","CSVHeaderLocation":"GIVEN","CSVHeaders":["x","y"],"CSVDelimiter":"PIPE""#;
    assert_eq!(read(given, "1|2\n3\n"), r#"[{"x":"1","y":"2"},{"x":"3","y":""}]"#);
    let pointer = r#""InputType":"JSON","ItemsPointer":"/a/b""#;
    assert_eq!(read(pointer, r#"{"a":{"b":[7,8]}}"#), "[7,8]");
    let most = r#""InputType":"JSON","MaxItems":2"#;
    assert_eq!(read(most, "[1,2,3]"), "[1,2]");
    let failed = read(r#""InputType":"JSON""#, "7");
    assert_eq!(failed, "States.ItemReaderFailed: Attempting to map over non-iterable node.");
}

#[test]
fn many_items_are_read_in_slices_and_none_is_lost_in_a_crash() {
    let mut node = Node::new();
    node.bucket("things");
    let items: Vec<String> = (0..3_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    node.put("things", "items", format!("[{}]", items.join(",")));
    let batched = r#""ItemBatcher":{"MaxItemsPerBatch":700},"#;
    let fields = format!("{}{batched}", reader(r#""InputType":"JSON""#));
    let arn = node.start("m", &mapping(&fields, PASS), "{}");
    while node.advance() {
        node.kill();
    }
    let output = Json::parse(&text(&node.describe(&arn), "output")).unwrap();
    let batches = output.as_array().unwrap().iter();
    let batches: Vec<_> = batches.map(|b| b.member("Items").unwrap().as_array().unwrap()).collect();
    assert_eq!(
        batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(),
        [700, 700, 700, 700, 200]
    );
    let numbers = batches.iter().flat_map(|batch| batch.iter().map(|item| number(item, "n")));
    assert!(numbers.eq(0..3_000));
}

#[test]
fn a_listing_names_the_objects_or_is_read_whole() {
    let mut node = Node::new();
    node.bucket("things");
    node.put("things", "a/1", "[1]");
    node.put("things", "a/2", "[2,3]");
    node.put("things", "b", "[4]");
    let listing = |config: &str| {
        format!(
            r#""ItemReader":{{"Resource":"arn:aws:states:::s3:listObjectsV2",{config}
            "Parameters":{{"Bucket":"things","Prefix":"a/"}}}},"#
        )
    };
    let arn = node.start("names", &mapping(&listing(""), PASS), "{}");
    node.run();
    let output = Json::parse(&text(&node.describe(&arn), "output")).unwrap();
    let keys: Vec<_> = output.as_array().unwrap().iter().map(|entry| text(entry, "Key")).collect();
    assert_eq!(keys, ["a/1", "a/2"]);
    let flatten = r#""ReaderConfig":{"InputType":"JSON","Transformation":"LOAD_AND_FLATTEN"},"#;
    let arn = node.start("whole", &mapping(&listing(flatten), PASS), "{}");
    node.run();
    assert_eq!(text(&node.describe(&arn), "output"), "[1,2,3]");
}

#[test]
fn a_result_writer_leaves_files_and_a_manifest() {
    let mut node = Node::new();
    node.bucket("results");
    let fields = r#""ToleratedFailureCount":1,"ResultWriter":{
        "Resource":"arn:aws:states:::s3:putObject","WriterConfig":{"Transformation":"COMPACT"},
        "Parameters":{"Bucket":"results","Prefix":"all"}},"#;
    let arn = node.start("m", &mapping(fields, ODD_FAIL), &odd_items(3));
    while node.advance() {
        node.kill();
    }
    let output = Json::parse(&text(&node.describe(&arn), "output")).unwrap();
    let details = output.member("ResultWriterDetails").unwrap();
    let key = text(details, "Key");
    assert!(key.starts_with("all/") && key.ends_with("/manifest.json"), "{key}");
    let manifest = node.object("results", &key);
    let files = manifest.member("ResultFiles").unwrap();
    assert_eq!(files.member("PENDING").unwrap().to_text(), "[]");
    let file = |kind: &str| text(&files.member(kind).unwrap().as_array().unwrap()[0], "Key");
    let succeeded = node.object("results", &file("SUCCEEDED"));
    assert_eq!(succeeded.to_text(), r#"[{"n":0,"odd":false},{"n":2,"odd":false}]"#);
    let failed = node.object("results", &file("FAILED"));
    assert_eq!(text(&failed.as_array().unwrap()[0], "Cause"), "it is odd");
}

#[test]
fn a_change_of_a_running_map_run_takes_effect_at_once() {
    let mut node = Node::new();
    let arn = node.start("m", &mapping(r#""MaxConcurrency":1,"#, WAIT), "[1,2,3,4]");
    node.advance();
    let run = text(&node.map_run(&arn), "mapRunArn");
    node.ask("UpdateMapRun", &format!("{{\"mapRunArn\":\"{run}\",\"maxConcurrency\":3}}"));
    node.advance();
    assert_eq!(counts(&node.map_run(&arn))[..2], [1, 3]);
    let update = Json::object([("mapRunArn", Json::from(run)), ("maxConcurrency", (-1).into())]);
    assert_eq!(&*node.call("UpdateMapRun", &update).unwrap_err().code, "ValidationException");
}

#[test]
fn branches_and_iterations_that_succeeded_are_not_run_again() {
    let mut node = Node::new();
    let task =
        r#"{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{},"End":true}"#;
    let definition = format!(
        r#"{{"StartAt":"B","States":{{"B":{{"Type":"Parallel","End":true,"Branches":[
        {{"StartAt":"T","States":{{"T":{task}}}}},
        {{"StartAt":"M","States":{{"M":{{"Type":"Map","MaxConcurrency":1,"End":true,"ItemProcessor":
        {{"StartAt":"I","States":{{"I":{task}}}}}}}}}}}]}}}}}}"#
    );
    let arn = node.start("m", &definition, "[1,2,3]");
    for result in [Ok("\"t\""), Ok("\"first\""), Err("Bad")] {
        answer(&mut node, result);
    }
    assert_eq!(node.status(&arn), "FAILED");
    node.kill();
    node.ask("RedriveExecution", &format!("{{\"executionArn\":\"{arn}\"}}"));
    node.kill();
    for result in [Ok("\"second\""), Ok("\"third\"")] {
        answer(&mut node, result);
    }
    let described = node.describe(&arn);
    assert_eq!(text(&described, "output"), r#"["t",["first","second","third"]]"#);
    assert_eq!(number(&described, "redriveCount"), 1);
    assert!(node.types(&arn).contains(&"ExecutionRedriven".to_owned()));
}

#[test]
fn what_cannot_be_redriven_says_why() {
    let mut node = Node::new();
    let fail = r#"{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"No"}}}"#;
    let arn = node.start("fails", fail, "{}");
    let redrive = |node: &mut Node, token: &str| {
        let body = [("executionArn", Json::from(arn.as_str())), ("clientToken", token.into())];
        node.call("RedriveExecution", &Json::object(body))
    };
    let first = redrive(&mut node, "a").unwrap();
    node.now = node.now.plus_ms(1_000);
    assert_eq!(redrive(&mut node, "a").unwrap(), first, "the same is answered the same");
    assert_eq!(number(&node.describe(&arn), "redriveCount"), 1);
    redrive(&mut node, "b").unwrap();
    assert_eq!(number(&node.describe(&arn), "redriveCount"), 2);
    node.now = node.now.plus_ms(15 * 24 * 3_600_000);
    let late = redrive(&mut node, "c").unwrap_err();
    assert_eq!(
        (&*late.code, &*late.message),
        ("ExecutionNotRedrivable", "Execution redrivable period exceeded")
    );
    let pass = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;
    let arn = node.start("passes", pass, "{}");
    let body = Json::object([("executionArn", Json::from(arn))]);
    let refused = node.call("RedriveExecution", &body).unwrap_err();
    assert_eq!(&*refused.message, "Execution is SUCCEEDED and cannot be redriven");
}

#[test]
fn an_object_is_iterated_over_by_member() {
    let mut node = Node::new();
    let arn = node.start("plain", &mapping("", PASS), r#"{"a": 1, "b": [2]}"#);
    node.run();
    let pairs = r#"[{"Key":"a","Value":1},{"Key":"b","Value":[2]}]"#;
    assert_eq!(text(&node.describe(&arn), "output"), pairs);
    let selector = r#""ItemSelector":{"k.$":"$$.Map.Item.Key","v.$":"$$.Map.Item.Value"},"#;
    let arn = node.start("chosen", &mapping(selector, PASS), r#"{"a": 1}"#);
    node.run();
    assert_eq!(text(&node.describe(&arn), "output"), r#"[{"k":"a","v":1}]"#);
}

#[test]
fn map_runs_and_their_children_go_with_their_execution() {
    let mut node = Node::new();
    let machine = node.start("m", &mapping("", PASS), "[]");
    node.run();
    let definition = mapping(r#""ItemBatcher":{"MaxItemsPerBatch":2},"#, PASS);
    let swept = node.start("n", &definition, &odd_items(101));
    node.run();
    let run = text(&node.map_run(&swept), "mapRunArn");
    let under = |node: &Node| node.disk.keys().filter(|key| matches!(key[0], 0x37 | 0x38)).count();
    assert!(under(&node) > 0);
    let executions = |node: &Node| node.disk.len();
    let before = executions(&node);
    while let Some(due) = node.kernel.due() {
        node.now = node.now.max(due);
        node.input(stepwire_core::Input::Tick);
        node.check();
        node.kill();
        assert!(node.largest_turn < 1 << 20);
    }
    assert_eq!(under(&node), 0, "nothing is left of map runs");
    assert!(before - executions(&node) > 51 * 3, "children, histories and names are gone");
    let gone = Json::object([("mapRunArn", Json::from(run.as_str()))]);
    assert_eq!(node.call("DescribeMapRun", &gone).unwrap_err().code, "ResourceNotFound");
    let gone = Json::object([("executionArn", Json::from(machine.as_str()))]);
    assert!(node.call("DescribeExecution", &gone).is_err());
    // A new run has a number of its own.
    let again = node.start("o", &mapping("", PASS), "[1]");
    node.run();
    node.check();
    assert_eq!(node.status(&again), "SUCCEEDED");
}

#[test]
fn map_runs_beyond_the_quota_wait_for_their_turn() {
    let mut settings = stepwire_core::Settings::default();
    settings.quotas.map_runs_max = 2;
    let mut node = Node::with(settings);
    let names = ["a", "b", "c", "d"];
    let runs = names.map(|name| node.start(name, &mapping("", WAIT), "[1,2]"));
    node.kill();
    while let Some(map_run) = node.slices.pop_front() {
        node.input(stepwire_core::Input::MapRun(map_run));
    }
    let running: Vec<_> = runs.iter().map(|arn| counts(&node.map_run(arn))[1]).collect();
    assert_eq!(running, [2, 2, 0, 0]);
    // One that waits can be stopped.
    node.ask("StopExecution", &format!("{{\"executionArn\":\"{}\"}}", runs[2]));
    let begun = node.now;
    node.run();
    node.check();
    let statuses = runs.each_ref().map(|arn| node.status(arn));
    assert_eq!(statuses, ["SUCCEEDED", "SUCCEEDED", "ABORTED", "SUCCEEDED"]);
    assert_eq!(node.now.since_ms(begun), 20_000);
}
