//! Histories of distributed Maps recorded from Step Functions itself, against ours.
//!
//! The recordings are no part of the repository; where they are absent the test says so and passes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the recordings are files")]
#![expect(clippy::print_stdout, reason = "tells what was compared")]

#[path = "../../stepwire-asl/tests/compare/mod.rs"]
mod compare;
mod node;

use std::path::Path;

use compare::Comparison;
use node::Node;
use stepwire_asl::Json;
use stepwire_core::Settings;

/// Recorded cases that must be reproduced to the last link. Only grows.
const CASES_MIN: usize = 28;

#[test]
fn recorded_distributed_maps_are_reproduced() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/asl/open");
    if !folder.exists() {
        println!("skipped: no recordings at {}", folder.display());
        return;
    }
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut same, mut wrong) = (0, Vec::new());
    for text in files.iter().map(|file| std::fs::read_to_string(file).unwrap()) {
        let case = Json::parse(&text).unwrap();
        if !concerns(&text, &case) {
            continue;
        }
        match judge(&case) {
            Ok(()) => same += 1,
            Err(why) => wrong.push(format!("{}: {why}", node::text(&case, "id"))),
        }
    }
    println!("{same} cases as recorded, {} not:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= CASES_MIN, "{same} of at least {CASES_MIN}:\n{}", wrong.join("\n"));
}

/// Executions with a distributed Map that need nothing but objects.
fn concerns(text: &str, case: &Json) -> bool {
    let needs = case.member("needs").unwrap().to_text();
    text.contains("DISTRIBUTED")
        && node::text(case, "kind") == "execution"
        && case.member("complete") == Some(&Json::Bool(true))
        && (needs == "[]" || needs == r#"["s3"]"#)
}

fn judge(case: &Json) -> Result<(), String> {
    // What the recorder left of every account.
    let settings = Settings { account: "111111111111".into(), ..Settings::default() };
    let mut node = Node::with(settings);
    for step in case.member("steps").unwrap().as_array().unwrap() {
        if node::text(step, "op") == "fixture.s3_create_bucket" {
            node.bucket("recorded-bucket");
        }
        if node::text(step, "op") == "s3.put_object" {
            let params = step.member("params").unwrap();
            let (key, body) = (node::text(params, "Key"), node::text(params, "Body"));
            node.put("recorded-bucket", &key, &body);
        }
    }
    let mut comparison = Comparison::default();
    for (number, execution) in
        case.member("executions").unwrap().as_array().unwrap().iter().enumerate()
    {
        let name = node::text(execution, "definition");
        let definition = case.member("definitions").unwrap().member(&name).unwrap();
        let definition = definition.as_str().map_or_else(|| definition.to_text(), str::to_owned);
        let input = execution.member("input").and_then(Json::as_str).unwrap_or("{}");
        let arn = node.start(&format!("m{number}"), &definition, &filled(input));
        node.run();
        let expected = execution.member("expected").unwrap();
        let status = node.status(&arn);
        if node::text(expected, "status") != status {
            let events = Json::array(node.history(&arn)).to_text();
            return Err(format!("expected {expected}, got {status}: {events}"));
        }
        let recorded = expected.member("history").and_then(Json::as_array).unwrap_or_default();
        let ours = node.history(&arn);
        if recorded.len() != ours.len() {
            return Err(format!("{} events, not {}", ours.len(), recorded.len()));
        }
        for (expected, actual) in recorded.iter().zip(&ours) {
            let members = actual.as_object().unwrap().iter();
            let members = members.filter(|(name, _)| name.as_ref() != "timestamp");
            let actual = Json::object(members.map(|(k, v)| (k.clone(), v.clone())));
            comparison.same(expected, &actual).map_err(|why| format!("{why} in {actual}"))?;
        }
    }
    Ok(())
}

fn filled(text: &str) -> String {
    text.replace("{{c1}}", "recorded-bucket")
}
