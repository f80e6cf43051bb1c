//! State machines that change, and how long what they ran is kept.

use stepwire_asl::Json;

use crate::node::{Node, text};

const WAIT: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"Next":"D"},"D":{"Type":"Pass","Result":"old","End":true}}}"#;
const PASS: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","Result":"new","End":true}}}"#;
const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:m";
const DAY_MS: i64 = 24 * 3_600 * 1_000;

fn update(node: &mut Node, definition: &str, more: &str) -> Json {
    let definition = Json::from(definition).to_text();
    let body = format!(r#"{{"stateMachineArn":"{MACHINE}","definition":{definition}{more}}}"#);
    node.call("UpdateStateMachine", &body)
}

fn machine(node: &mut Node, operation: &str) -> Json {
    node.call(operation, &format!(r#"{{"stateMachineArn":"{MACHINE}"}}"#))
}

fn list(node: &mut Node, operation: &str, body: &str, member: &str) -> usize {
    let listed = node.call(operation, body);
    listed.member(member).and_then(Json::as_array).unwrap().len()
}

#[test]
fn what_runs_keeps_its_revision_through_a_change_and_a_restart() {
    let mut node = Node::new();
    node.machine("m", "STANDARD", WAIT);
    node.start("m", "before", "{}");
    let changed = update(&mut node, PASS, "");
    node.restart();
    node.start("m", "after", "{}");
    assert_eq!(text(&node.execution("m", "after"), "output"), r#""new""#);
    node.pass(60_000);
    assert_eq!(text(&node.execution("m", "before"), "output"), r#""old""#);
    let of = |name: &str| {
        format!(r#"{{"executionArn":"arn:aws:states:us-east-1:000000000000:execution:m:{name}"}}"#)
    };
    let before = node.call("DescribeStateMachineForExecution", &of("before"));
    assert_eq!(text(&before, "definition"), WAIT);
    assert_eq!(before.member("revisionId"), None);
    let after = node.call("DescribeStateMachineForExecution", &of("after"));
    assert_eq!(after.member("revisionId"), changed.member("revisionId"));
}

#[test]
fn a_revision_that_nothing_ran_is_not_kept() {
    let mut node = Node::new();
    node.machine("m", "STANDARD", WAIT);
    let stored = node.stored();
    for number in 0..20 {
        update(&mut node, &WAIT.replace("60", &format!("6{number}")), "");
    }
    assert_eq!(node.stored(), stored);
}

#[test]
fn a_deleted_machine_is_deleting_until_its_last_execution_has_ended() {
    let mut node = Node::new();
    node.machine("m", "STANDARD", WAIT);
    node.start("m", "e", "{}");
    machine(&mut node, "DeleteStateMachine");
    node.restart();
    assert_eq!(text(&machine(&mut node, "DescribeStateMachine"), "status"), "DELETING");
    let start = format!(r#"{{"stateMachineArn":"{MACHINE}"}}"#);
    assert_eq!(node.refused("StartExecution", &start).code, "StateMachineDeleting");
    node.pass(60_000);
    assert_eq!(node.status("m", "e"), "SUCCEEDED");
    assert_eq!(node.refused("DescribeStateMachine", &start).code, "StateMachineDoesNotExist");
    node.machine("m", "STANDARD", PASS);
    assert_eq!(text(&machine(&mut node, "DescribeStateMachine"), "status"), "ACTIVE");
}

#[test]
fn numbers_of_versions_never_come_back() {
    let mut node = Node::new();
    node.machine("m", "STANDARD", WAIT);
    for number in 1..=3 {
        let published = machine(&mut node, "PublishStateMachineVersion");
        let arn = text(&published, "stateMachineVersionArn");
        assert_eq!(arn, format!("{MACHINE}:{number}"));
        let again = machine(&mut node, "PublishStateMachineVersion");
        assert_eq!(text(&again, "stateMachineVersionArn"), arn);
        node.call("DeleteStateMachineVersion", &format!(r#"{{"stateMachineVersionArn":"{arn}"}}"#));
        node.restart();
    }
}

#[test]
fn an_alias_shares_executions_out_by_weight() {
    let mut node = Node::new();
    node.machine("m", "STANDARD", PASS);
    machine(&mut node, "PublishStateMachineVersion");
    update(&mut node, &PASS.replace("new", "newer"), r#","publish":true"#);
    let routes = format!(
        r#"[{{"stateMachineVersionArn":"{MACHINE}:1","weight":75}},{{"stateMachineVersionArn":"{MACHINE}:2","weight":25}}]"#
    );
    node.call(
        "CreateStateMachineAlias",
        &format!(r#"{{"name":"live","routingConfiguration":{routes}}}"#),
    );
    for number in 0..400 {
        node.start("m:live", &format!("e{number}"), "{}");
    }
    let of = |qualifier: &str| {
        format!(r#"{{"stateMachineArn":"{MACHINE}:{qualifier}","maxResults":1000}}"#)
    };
    let mut count = |qualifier| list(&mut node, "ListExecutions", &of(qualifier), "executions");
    let (first, second) = (count("1"), count("2"));
    assert_eq!((first + second, count("live")), (400, 400));
    assert!((270..=330).contains(&first), "{first} of 400 went to the version of weight 75");
    let refused = node.refused(
        "DeleteStateMachineVersion",
        &format!(r#"{{"stateMachineVersionArn":"{MACHINE}:2"}}"#),
    );
    assert!(refused.message.ends_with("[live]"), "{}", refused.message);
}

#[test]
fn ended_executions_go_after_their_time_and_running_ones_stay() {
    let mut node = Node::new();
    node.machine("m", "STANDARD", &WAIT.replace("60", "8640000"));
    let empty = node.stored();
    node.start("m", "long", "{}");
    let one = node.stored();
    for number in 0..40 {
        node.start("m", &format!("stopped{number}"), "{}");
        node.stop("m", &format!("stopped{number}"));
    }
    let all = format!(r#"{{"stateMachineArn":"{MACHINE}"}}"#);
    node.pass(89 * DAY_MS);
    assert_eq!(list(&mut node, "ListExecutions", &all, "executions"), 41);
    node.restart();
    node.pass(2 * DAY_MS);
    assert_eq!(list(&mut node, "ListExecutions", &all, "executions"), 1);
    // What is left besides is where the numbers go on.
    assert_eq!(node.stored(), one + 1);
    machine(&mut node, "DeleteStateMachine");
    node.pass(200 * DAY_MS);
    assert!(node.stored() < empty, "nothing is left of a deleted machine");
    node.machine("m", "STANDARD", PASS);
    node.start("m", "long", "{}");
}

#[test]
fn what_executions_log_is_written_with_their_history() {
    let mut node = Node::new();
    node.logs("CreateLogGroup", r#"{"logGroupName":"g"}"#);
    node.machine("m", "STANDARD", PASS);
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g:*";
    let logging = format!(
        r#","loggingConfiguration":{{"level":"ALL","includeExecutionData":true,"destinations":[{{"cloudWatchLogsLogGroup":{{"logGroupArn":"{arn}"}}}}]}}"#
    );
    update(&mut node, PASS, &logging);
    node.start("m", "e", "{}");
    node.restart();
    let found = node.logs("FilterLogEvents", r#"{"logGroupName":"g","filterPattern":"Execution"}"#);
    let found = found.member("events").and_then(Json::as_array).unwrap();
    let kinds: Vec<_> = found
        .iter()
        .map(|event| text(&Json::parse(&text(event, "message")).unwrap(), "type"))
        .collect();
    assert_eq!(kinds, ["ExecutionStarted", "ExecutionSucceeded"]);
    assert!(text(&found[0], "logStreamName").starts_with("states/m/2027-01-15-08-00/"));
}

#[test]
fn logs_go_when_their_group_says_so_or_is_deleted() {
    let mut node = Node::new();
    let empty = node.stored();
    node.logs("CreateLogGroup", r#"{"logGroupName":"g"}"#);
    node.logs("CreateLogStream", r#"{"logGroupName":"g","logStreamName":"s"}"#);
    node.logs("PutRetentionPolicy", r#"{"logGroupName":"g","retentionInDays":1}"#);
    let put = |at: i64, count: usize| {
        let event = format!(r#"{{"timestamp":{at},"message":"x"}}"#);
        let events = vec![event; count].join(",");
        format!(r#"{{"logGroupName":"g","logStreamName":"s","logEvents":[{events}]}}"#)
    };
    let now = 1_800_000_000_000;
    node.logs("PutLogEvents", &put(now, 600));
    node.logs("PutLogEvents", &put(now + DAY_MS / 24, 3));
    node.restart();
    let get = r#"{"logGroupName":"g","logStreamName":"s","startFromHead":true}"#;
    let count = |node: &mut Node| {
        let got = node.logs("GetLogEvents", get);
        got.member("events").and_then(Json::as_array).unwrap().len()
    };
    assert_eq!(count(&mut node), 603);
    node.pass(DAY_MS + 1_000);
    assert_eq!(count(&mut node), 3);
    node.logs("DeleteLogGroup", r#"{"logGroupName":"g"}"#);
    node.pass(1_000);
    assert_eq!(node.stored(), empty);
}
