//! Input made to hurt: bounded time, bounded memory, and AWS's errors.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};
use stepwire_core::overlay::Changes;
use stepwire_core::{Effect, Input, Kernel, ReplyId, Request, Service, Settings, Step};

type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

const START: Timestamp = Timestamp(1_000_000);

/// A kernel, what it has stored, and the bytes it stored last.
struct Node {
    kernel: Kernel,
    disk: Disk,
    written: usize,
}

impl Node {
    fn new() -> Node {
        Node { kernel: Kernel::new(Settings::default()), disk: Disk::new(), written: 0 }
    }

    fn turn(&mut self, input: Input) -> Step {
        let mut changes = Changes::default();
        let step = self.kernel.turn(START, input, &mut changes, &self.disk);
        self.written = 0;
        for (key, value) in changes.entries() {
            self.written += key.len() + value.as_ref().map_or(0, Vec::len);
            match value {
                Some(value) => self.disk.insert(key.clone(), value.clone()),
                None => self.disk.remove(key),
            };
        }
        step
    }

    /// The answer, or the error's code and message.
    fn call<const N: usize>(
        &mut self,
        operation: &str,
        body: [(&str, Json); N],
    ) -> Result<Json, String> {
        let body = Json::object(body);
        let told = |error: stepwire_core::ApiError| format!("{}: {}", error.code, error.message);
        let request = Request::parse(Service::States, operation, &body).unwrap().map_err(told)?;
        let step = self.turn(Input::Call { reply: ReplyId(1), request });
        let answer = step.effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { answer, .. } => Some(answer),
            _ => None,
        });
        answer.unwrap().map_err(told)
    }

    fn create(&mut self, definition: &str) -> Result<Json, String> {
        let role = "arn:aws:iam::000000000000:role/x";
        let body = [
            ("name", Json::from("m")),
            ("definition", definition.into()),
            ("roleArn", role.into()),
        ];
        self.call("CreateStateMachine", body)
    }

    /// Creates and starts; the execution's description afterwards.
    fn run(&mut self, definition: &str, input: &str) -> Json {
        let machine = self.create(definition).unwrap();
        let machine = machine.member("stateMachineArn").unwrap().clone();
        let body = [("stateMachineArn", machine), ("input", input.into())];
        let started = self.call("StartExecution", body).unwrap();
        let arn = started.member("executionArn").unwrap().clone();
        self.call("DescribeExecution", [("executionArn", arn)]).unwrap()
    }
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json.member(name).and_then(Json::as_str).unwrap_or_default()
}

const LIMIT: &str = "The execution reached the maximum number of history events (25000).";

#[test]
fn an_endless_loop_ends_with_its_event_number_twenty_five_thousand() {
    let loops = [
        r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},
            "B":{"Type":"Choice","Choices":[{"Variable":"$.never","IsPresent":true,"Next":"C"}],"Default":"A"},
            "C":{"Type":"Succeed"}}}"#,
        r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
            {"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},
            "B":{"Type":"Choice","Choices":[{"Variable":"$.never","IsPresent":true,"Next":"C"}],"Default":"A"},
            "C":{"Type":"Succeed"}}}]}}}"#,
    ];
    for definition in loops {
        let mut node = Node::new();
        let described = node.run(definition, "{}");
        assert_eq!(text(&described, "status"), "FAILED");
        assert_eq!(text(&described, "error"), "States.Runtime");
        assert_eq!(text(&described, "cause"), LIMIT);
        let arn = described.member("executionArn").unwrap().clone();
        let last = [("executionArn", arn), ("reverseOrder", true.into()), ("maxResults", 1.into())];
        let history = node.call("GetExecutionHistory", last).unwrap();
        let last = &history.member("events").and_then(Json::as_array).unwrap()[0];
        assert_eq!(last.member("id").and_then(Json::as_i64), Some(25_000));
        assert_eq!(text(last, "type"), "ExecutionFailed");
    }
}

#[test]
fn an_endless_loop_over_much_data_writes_the_data_once() {
    let mut node = Node::new();
    let input = format!("{{\"data\":\"{}\"}}", "x".repeat(200_000));
    let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},
        "B":{"Type":"Choice","Choices":[{"Variable":"$.never","IsPresent":true,"Next":"C"}],"Default":"A"},
        "C":{"Type":"Succeed"}}}"#;
    let machine = node.create(definition).unwrap();
    let machine = machine.member("stateMachineArn").unwrap().clone();
    let body = [("stateMachineArn", machine), ("input", input.as_str().into())];
    node.call("StartExecution", body).unwrap();
    assert!(node.written < 8_000_000, "{} bytes", node.written);
}

#[test]
fn definitions_that_are_too_deep_or_too_long_are_refused() {
    let mut node = Node::new();
    let refused = node.create(&"[".repeat(100_000)).unwrap_err();
    assert!(refused.starts_with("InvalidDefinition: Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: Document nesting depth"), "{}", &refused[..200]);
    let long = format!(
        r#"{{"StartAt":"A","States":{{"A":{{"Type":"Succeed","Comment":"{}"}}}}}}"#,
        "x".repeat(10_000_000)
    );
    let refused = node.create(&long).unwrap_err();
    assert!(refused.contains("1048576") && refused.len() < 1_000, "{} bytes", refused.len());
    let twice = r#"{"StartAt":"A","StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#;
    assert!(node.create(twice).unwrap_err().contains("Duplicate field 'StartAt'"));
    let half = r#"{"StartAt":"A","States":{"A":{"Type":"Succeed","Comment":"\ud800"}}}"#;
    assert!(node.create(half).unwrap_err().contains("surrogate"));
}

#[test]
fn branches_within_branches_are_counted() {
    let mut definition = r#"{"StartAt":"S","States":{"S":{"Type":"Succeed"}}}"#.to_owned();
    for level in 0..25 {
        definition = format!(
            r#"{{"StartAt":"P{level}","States":{{"P{level}":{{"Type":"Parallel","End":true,"Branches":[{definition}]}}}}}}"#
        );
    }
    let mut node = Node::new();
    assert_eq!(text(&node.run(&definition, "{}"), "status"), "SUCCEEDED");
    for level in 25..40 {
        definition = format!(
            r#"{{"StartAt":"P{level}","States":{{"P{level}":{{"Type":"Parallel","End":true,"Branches":[{definition}]}}}}}}"#
        );
    }
    assert!(Node::new().create(&definition).is_err());
}

#[test]
fn patterns_and_expressions_made_to_explode_do_not() {
    let input = format!("{{\"s\":\"{}\"}}", "a".repeat(200_000));
    for (variable, rest) in [
        ("$.s", format!(r#""StringMatches":"*{}b*""#, "a".repeat(150_000))),
        ("$.s", format!(r#""StringMatches":"{}b""#, "*a".repeat(50_000))),
        (r"$[?(@ =~ /^(a+)+$/)]", r#""IsPresent":false"#.to_owned()),
    ] {
        let definition = format!(
            r#"{{"StartAt":"C","States":{{"C":{{"Type":"Choice","Choices":[{{"Variable":"{variable}",{rest},"Next":"S"}}],"Default":"S"}},"S":{{"Type":"Pass","Result":1,"End":true}}}}}}"#
        );
        assert_eq!(text(&Node::new().run(&definition, &input), "status"), "SUCCEEDED");
    }
}

#[test]
fn inputs_that_are_too_deep_or_no_text_are_refused() {
    let mut node = Node::new();
    let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#;
    let machine = node.create(definition).unwrap();
    let machine = machine.member("stateMachineArn").unwrap();
    for input in ["[".repeat(100_000), r#""\ud800""#.to_owned(), "{".to_owned()] {
        let body = [("stateMachineArn", machine.clone()), ("input", input.as_str().into())];
        let refused = node.call("StartExecution", body).unwrap_err();
        assert!(refused.starts_with("InvalidExecutionInput: "), "{refused}");
    }
}
