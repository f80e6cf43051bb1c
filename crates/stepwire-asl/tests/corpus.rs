//! Definitions of others, against our judgement of them.
//!
//! The recordings are no part of the repository; where they are absent the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the recordings are files")]
#![expect(clippy::print_stdout, reason = "tells what was compared")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stepwire_asl::{Diagnostic, Json, StateMachine};

/// The specification leaves the form of resources open; Step Functions calls only what it knows.
const RESOURCE: &str = "Value is not a valid resource ARN";
/// A CloudFormation object stands for a resource: a template's, not a definition's.
const TYPE: &str = "Expected value of type String";
/// A variable's name has a hyphen.
const NAME: &str = "is not a valid variable name";
/// A state goes back to JSONPath.
const LANGUAGE: &str = "'QueryLanguage' can not be 'JSONPath'";
/// What linters accept and Step Functions refuses, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("asl-validator/valid-assign.asl.json", NAME),
    ("asl-validator/valid-map-with-item-batcher-jsonata.json", LANGUAGE),
    ("asl-validator/valid-task-credentials.json", RESOURCE),
    ("asl-validator/valid-task-intrisic-function.json", TYPE),
    ("asl-validator/valid-task-parameters.json", RESOURCE),
    ("asl-validator/valid-task-timeout-jsonata.json", RESOURCE),
    ("statelint/backoff-with-backoffrate-integer.json", RESOURCE),
    ("statelint/states-array-intrinsic-functions.json", RESOURCE),
    ("statelint/states-encoding-decoding-intrinsic-functions.json", RESOURCE),
    ("statelint/states-hash-intrinsic-functions.json", RESOURCE),
    ("statelint/states-json-intrinsic-functions.json", RESOURCE),
    ("statelint/states-string-intrinsic-functions.json", RESOURCE),
    ("statelint/states-stringtojson-invocation.json", RESOURCE),
    ("statelint/states-uuid-intrinsic-functions.json", RESOURCE),
    ("statelint/task-with-credentials.json", RESOURCE),
    ("statelint/task-with-resultpath.json", RESOURCE),
    ("statelint/task-with-resultselector.json", RESOURCE),
];
/// Public definitions that must be accepted, or refused for something named. Only grows.
const DEFINITIONS_MIN: usize = 187;

fn recordings(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus").join(folder);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no recordings at {}", path.display());
    None
}

fn read(path: &Path) -> Json {
    Json::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn told(found: &[Diagnostic]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether a definition is refused for what stepwire does not have yet.
fn is_later(told: &str) -> bool {
    told.contains("not available in stepwire yet")
}

#[test]
fn definitions_of_every_recorded_case_are_accepted() {
    let Some(folder) = recordings("asl/open") else { return };
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut accepted, mut later, mut refused) = (0, 0, Vec::new());
    // What a step fills in is mostly a function's ARN.
    let token = regex::Regex::new(r#""\{\{[^}"]*\}\}""#).unwrap();
    for case in files.iter().map(|file| read(file)) {
        let id = case.member("id").unwrap().as_str().unwrap().to_owned();
        let definitions = case.member("definitions").and_then(Json::as_object);
        let executed = case.member("executions").and_then(Json::as_array).unwrap_or_default();
        for (step, definition) in definitions.into_iter().flatten() {
            let runs = |execution: &Json| {
                execution.member("definition").and_then(Json::as_str) == Some(step)
            };
            if !executed.iter().any(runs) {
                continue;
            }
            let text = definition.as_str().map_or_else(|| definition.to_text(), str::to_owned);
            let text = token.replace_all(&text, "\"arn:aws:lambda:us-east-1:1:function:f\"");
            let found = StateMachine::parse(&text).err().unwrap_or_default();
            let told = told(&found);
            match (found.is_empty(), is_later(&told)) {
                (true, _) => accepted += 1,
                (false, true) => later += 1,
                (false, false) => refused.push(format!("{id}: {told}")),
            }
        }
    }
    println!("{accepted} definitions accepted, {later} of what comes later");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn definitions_are_judged_as_linters_judge_them() {
    let Some(folder) = recordings("asl-validate") else { return };
    let cases = read(&folder.join("open.json"));
    let (mut same, mut wrong) = (0, Vec::new());
    let mut otherwise = Vec::new();
    for case in cases.member("cases").unwrap().as_array().unwrap() {
        let text = case.member("text").unwrap().as_str().unwrap();
        let id = case.member("id").unwrap().as_str().unwrap();
        let told = told(&StateMachine::parse(text).err().unwrap_or_default());
        if told.is_empty() == (case.member("valid") == Some(&Json::Bool(true))) {
            same += 1;
            continue;
        }
        match OTHERWISE.iter().find(|(known, _)| *known == id) {
            Some((_, part)) if told.contains(part) => otherwise.push(id),
            _ => wrong.push(format!("{id} {told}")),
        }
    }
    println!("{same} verdicts as the linters', {} as AWS's", otherwise.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: Vec<&str> = OTHERWISE.iter().map(|(id, _)| *id).collect();
    assert_eq!(otherwise, known, "the linters' verdict is ours by now");
}

#[test]
fn the_machines_of_the_story_are_accepted() {
    let Some(folder) = recordings("../seed") else { return };
    for name in ["config_management.asl.json", "firmware_upgrade.asl.json"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(told(&StateMachine::parse(&text).err().unwrap_or_default()), "", "{name}");
    }
}

#[test]
fn public_definitions_are_accepted_or_refused_by_name() {
    let Some(folder) = recordings("asl-real") else { return };
    let cases = read(&folder.join("definitions.json"));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let cases = cases.member("cases").unwrap();
    for case in cases.as_array().unwrap() {
        let definition = case.member("definition").unwrap();
        let text = definition.as_str().map_or_else(|| definition.to_text(), str::to_owned);
        let text = stepwire_asl::source::substituted(&text);
        let found = StateMachine::parse(&text).err().unwrap_or_default();
        let told = told(&found);
        let kind = match (found.is_empty(), is_later(&told)) {
            (true, _) => "accepted",
            (false, true) => "later",
            (false, false) => "refused",
        };
        *kinds.entry(kind).or_default() += 1;
        if kind == "refused" {
            wrong.push(format!("{}: {told}", case.member("id").unwrap()));
        }
    }
    println!("{kinds:?}");
    let right = kinds.values().sum::<usize>() - wrong.len();
    assert!(right >= DEFINITIONS_MIN, "{right} of {DEFINITIONS_MIN}:\n{}", wrong.join("\n"));
}
