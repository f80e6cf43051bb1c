//! `stepwire check` and `stepwire explain` as users see them.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// The command with `input` on its standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepwire"));
    command.args(arguments).env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

const BROKEN: &str = r#"{
  "StartAt": "SendRequest",
  "States": {
    "SendRequest": {
      "Type": "Task",
      "Resource": "arn:aws:states:::aws-sdk:iotdataplane:publish",
      "Parameters": {"Topic": "t"},
      "Next": "WaitForAnswer"
    },
    "WaitForAnswerFromDevice": {"Type": "Succeed"}
  }
}
"#;

const EARLY: &str = r#"{
  "StartAt": "Ask",
  "States": {
    "Ask": {
      "Type": "Task",
      "Resource": "arn:aws:states:::aws-sdk:iotdataplane:publish",
      "Parameters": {"Topic": "t"},
      "Next": "Wait"
    },
    "Wait": {
      "Type": "Task",
      "Resource": "arn:aws:states:::dynamodb:putItem.waitForTaskToken",
      "Parameters": {"TableName": "t", "Item": {"token": {"S.$": "$$.Task.Token"}}},
      "HeartbeatSeconds": 12,
      "Catch": [{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "Done"}],
      "Next": "Done"
    },
    "Done": {"Type": "Succeed"}
  }
}
"#;

#[test]
fn an_error_is_shown_with_its_line_and_a_hint() {
    let output = run(&["check", "-"], BROKEN);
    assert_eq!(output.status.code(), Some(4));
    let shown = stdout(&output);
    let expected = r"error[SW0203]: state `WaitForAnswer` is not defined
 --> -:8:15
  |
8 |       `Next`: `WaitForAnswer`
  |               ^^^^^^^^^^^^^^^ used as `Next` of `SendRequest`
  |
hint: did you mean `WaitForAnswerFromDevice`?
";
    let expected = expected.replace("`Next`: `WaitForAnswer`", "\"Next\": \"WaitForAnswer\"");
    assert!(shown.starts_with(&expected), "{shown}");
    assert!(shown.ends_with("\n-: 2 errors\n"), "{shown}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("error: 2 errors in 1 definition\n"), "{told}");
}

#[test]
fn a_warning_shows_both_places_and_is_no_error() {
    let output = run(&["check", "-"], EARLY);
    assert_eq!(output.status.code(), Some(0));
    let shown = stdout(&output);
    assert!(
        shown.contains("warning[SW0250]: the answer can arrive before `Wait` stores its token")
    );
    assert!(shown.contains("- the device is asked here"), "{shown}");
    assert!(shown.contains("^ its token is stored here"), "{shown}");
    assert!(shown.ends_with("\n-: 3 states: 1 warning\n"), "{shown}");
}

#[test]
fn programs_read_json() {
    let output = run(&["check", "-o", "json", "-"], BROKEN);
    assert_eq!(output.status.code(), Some(4));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["code"], "SW0203");
    assert_eq!(found[0]["start"], serde_json::json!({"line": 8, "column": 15}));
    assert_eq!(found[0]["end"], serde_json::json!({"line": 8, "column": 30}));
    assert_eq!(found[0]["aws"]["message"], "Missing 'Next' target: WaitForAnswer");
    assert_eq!(found[0]["aws"]["location"], "/States/SendRequest/Next");
    assert_eq!(
        run(
            &["check", "-o", "json", "-"],
            "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}"
        )
        .stdout,
        b"[]\n"
    );
}

#[test]
fn several_files_are_checked_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("good.json"), r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#)
        .unwrap();
    std::fs::write(path("bad.json"), "{\"StartAt\": \"A\",}").unwrap();
    let output = run(&["check", &path("good.json"), &path("bad.json")], "");
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(4));
    assert!(shown.contains("good.json: 1 state: fine\n"), "{shown}");
    assert!(shown.contains("this comma is one too many"), "{shown}");
    assert!(shown.ends_with("bad.json: 1 error\n"), "{shown}");
    assert_eq!(run(&["check", &path("none.json")], "").status.code(), Some(3));
    assert_eq!(run(&["check"], "").status.code(), Some(2));
}

#[test]
fn express_refuses_what_express_cannot_do() {
    assert_eq!(run(&["check", "--type", "express", "-"], EARLY).status.code(), Some(4));
}

#[test]
fn a_long_minified_definition_is_shown_in_part() {
    let states: String = (0..5_000)
        .map(|at| format!("\"S{at}\":{{\"Type\":\"Pass\",\"Next\":\"S{}\"}},", at + 1))
        .collect();
    let text =
        format!("{{\"StartAt\":\"S0\",\"States\":{{{states}\"S5000\":{{\"Type\":\"Sucseed\"}}}}}}");
    let shown = stdout(&run(&["check", "-"], &text));
    assert!(shown.contains("did you mean `Succeed`?"), "{shown}");
    assert!(shown.len() < 2_000, "{} bytes", shown.len());
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    assert!(!stdout(&run(&["check", "-"], BROKEN)).contains('\u{1b}'));
    assert!(stdout(&run(&["check", "--color", "always", "-"], BROKEN)).contains('\u{1b}'));
}

#[test]
fn every_code_is_explained() {
    let list = stdout(&run(&["explain"], ""));
    for line in list.lines() {
        let code = line.split_whitespace().next().unwrap();
        let output = run(&["explain", &code.to_lowercase()], "");
        assert!(output.status.success() && stdout(&output).starts_with(code), "{code}");
    }
    assert!(list.lines().count() > 20);
    let unknown = run(&["explain", "SW9999"], "");
    assert_eq!(unknown.status.code(), Some(3));
}

const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": ["iot:Connect", "iot:Subscrib"], "Resource": "*"}
  ]
}
"#;

#[test]
fn a_malformed_policy_is_shown_with_its_place_and_a_hint() {
    let output = run(&["check", "--policy", "-"], POLICY);
    assert_eq!(output.status.code(), Some(4));
    let shown = stdout(&output);
    let first = "error: at Statement[0].Action[1]: `iot:Subscrib` is no action\n --> -:4:51\n";
    assert!(shown.starts_with(first), "{shown}");
    assert!(shown.contains("\nhint: "), "{shown}");
    assert!(shown.contains("`iot:Subscribe`"), "{shown}");
    assert!(shown.ends_with("\n-: 1 error\n"), "{shown}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "error: 1 policy is malformed\n");
}

#[test]
fn a_policy_is_told_to_programs_as_json() {
    let output = run(&["check", "--policy", "-o", "json", "-"], POLICY);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["place"], "Statement[0].Action[1]");
    assert_eq!(found[0]["start"], serde_json::json!({ "line": 4, "column": 51 }));
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[test]
fn a_policy_without_faults_is_fine() {
    let output = run(&["check", "--policy", "-"], &POLICY.replace("Subscrib", "Subscribe"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), "-: fine\n");
}

#[test]
fn a_policy_that_is_no_json_is_shown_where_it_breaks() {
    let output = run(&["check", "--policy", "-"], &POLICY.replace("\n  ]", ",\n  ]"));
    assert_eq!(output.status.code(), Some(4));
    assert!(stdout(&output).contains(" --> -:5:3\n"), "{}", stdout(&output));
}

const RULE: &str = r#"{
  "ruleName": "hot",
  "topicRulePayload": {
    "sql": "SELECT temp FROM 'devices/+/data' WHERE temp > 30",
    "awsIotSqlVersion": "2016-03-23",
    "actions": [
      {"republish": {"topic": "alarms/${topic(2)}", "roleArn": "arn:aws:iam::000000000000:role/r"}}
    ]
  }
}
"#;

#[test]
fn a_rule_is_checked_as_the_aws_cli_takes_it() {
    let output = run(&["check", "--rule", "-"], RULE);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(stdout(&output), "-: 1 action: fine\n");
    let output = run(&["check", "--rule", "-"], &RULE.replace("republish", "iotSiteWise"));
    assert_eq!(output.status.code(), Some(4));
    assert!(stdout(&output).contains("iotSiteWise"), "{}", stdout(&output));
}

#[test]
fn a_statement_that_is_refused_is_shown_with_a_caret_and_a_hint() {
    let output = run(&["check", "--rule", "-"], "SELECT *\nFROM 'a' WERE b > 1\n");
    assert_eq!(output.status.code(), Some(4));
    let shown = stdout(&output);
    let expected = "error: unexpected `WERE`\n --> -:2:10\n  |\n2 | FROM 'a' WERE b > 1\n  |          ^^^^\n  |\nhint: ";
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.ends_with("\n-: 1 error\n"), "{shown}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "error: 1 rule would be refused\n");
}

#[test]
fn a_rule_that_does_not_match_says_why() {
    let message =
        ["check", "--rule", "-", "--topic", "devices/gw-1/data", "--message", r#"{"temp": 20}"#];
    let output = run(&message, RULE);
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    let why = "-: it does not match: WHERE does not hold: `temp > 30` is false: `temp` is 20\n";
    assert!(shown.starts_with(why), "{shown}");
    assert!(shown.ends_with("\n-: 1 action: fine, it does not match\n"), "{shown}");
}

#[test]
fn a_rule_that_matches_shows_what_its_actions_would_do() {
    let folder = tempfile::tempdir().unwrap();
    let payload = folder.path().join("m.json");
    std::fs::write(&payload, r#"{"temp": 40}"#).unwrap();
    let file = format!("@{}", payload.display());
    let message = [
        "check",
        "--rule",
        "-",
        "--topic",
        "devices/gw-1/data",
        "--message",
        &file,
        "--message",
        r#"{"temp": 50}"#,
        "--client-id",
        "gw-1",
    ];
    let output = run(&message, RULE);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains(r#"action `republish` would be {"topic":"alarms/gw-1""#), "{shown}");
    assert!(shown.ends_with("\n-: 1 action: fine, it matches all 2 messages\n"), "{shown}");
}

#[test]
fn an_action_that_fails_for_a_message_is_no_success() {
    let message =
        ["check", "--rule", "-", "--topic", "devices/gw-1/data", "--message", r#"{"temp": 40}"#];
    let rule = RULE.replace("SELECT temp", "SELECT temp AS t").replace("${topic(2)}", "${t}");
    let output = run(&message, &rule);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    let why = "action `republish` fails: `topic`: `${t}` has no value for this message: `t` is an \
               alias of SELECT, which templates do not see\n";
    assert!(shown.contains(why), "{shown}");
    assert!(shown.ends_with("\n-: 1 action: it matches, but an action fails\n"), "{shown}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "error: an action fails for 1 message\n");
}

#[test]
fn a_statement_is_tried_on_a_message_in_json() {
    let message = [
        "check",
        "-o",
        "json",
        "--sql",
        "SELECT a, 5.0 AS n FROM 'x'",
        "--topic",
        "x",
        "--message",
        "-",
        "--sql-version",
        "2015-10-08",
    ];
    let output = run(&message, r#"{"a": 1}"#);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told[0]["messages"][0]["matches"], true);
    let result = &told[0]["messages"][0]["select"]["result"]["json"];
    assert_eq!(*result, serde_json::json!({"a": 1, "n": 5.0}));
    assert_eq!(told[0]["errors"], serde_json::json!([]));
}

#[test]
fn options_of_rules_are_for_rules() {
    assert_eq!(
        run(&["check", "--topic", "a", "--message", "{}", "-"], RULE).status.code(),
        Some(2)
    );
    assert_eq!(run(&["check", "--rule", "--topic", "a", "-"], RULE).status.code(), Some(2));
    let wild = run(&["check", "--rule", "--topic", "a/+", "--message", "{}", "-"], RULE);
    assert_eq!(wild.status.code(), Some(2));
    assert_eq!(run(&["check", "--rule", "-"], "{").status.code(), Some(4));
}

#[test]
fn what_a_statement_may_not_mean_is_a_warning() {
    let output = run(&["check", "--sql", "SELECT upper(a, b) FROM 'a'"], "");
    assert_eq!(output.status.code(), Some(0));
    let shown = stdout(&output);
    assert!(shown.starts_with("warning: ") && shown.contains("`upper`"), "{shown}");
    assert!(shown.contains("\nSELECT upper(a, b) FROM 'a'\n       ^"), "{shown}");
    assert!(shown.ends_with("\n--sql: 0 actions: fine\n"), "{shown}");
}
