//! Histories recorded from Step Functions itself, against ours.
//!
//! The recordings are no part of the repository; where they are absent the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the recordings are files")]
#![expect(clippy::print_stdout, reason = "tells what was compared")]

mod compare;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{
    Diagnostic, Entropy, Execution, HistoryEvent, Json, Start, StateMachine, Status, Stimulus,
    Timestamp, Turn,
};

use compare::Comparison;

/// Recorded cases that must be reproduced to the last link. Only grows.
const CASES_MIN: usize = 158;
/// Linters' verdicts that must be ours. Only grows.
const VERDICTS_MIN: usize = 84;
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
fn recorded_histories_are_reproduced() {
    let Some(folder) = recordings("asl/open") else { return };
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut same, mut later, mut wrong) = (0, 0, Vec::new());
    for case in files.iter().map(|file| read(file)) {
        let is = |name: &str, value: &str| case.member(name).and_then(Json::as_str) == Some(value);
        if !is("tier", "pure") || case.member("complete") != Some(&Json::Bool(true)) {
            continue;
        }
        match judge(&case) {
            Verdict::Same => same += 1,
            Verdict::Later => later += 1,
            Verdict::Differs(why) => {
                wrong.push(format!("{}: {why}", case.member("id").unwrap().as_str().unwrap()));
            }
        }
    }
    println!("{same} cases as recorded, {} not, {later} of what comes later", wrong.len());
    assert!(same >= CASES_MIN, "{same} of at least {CASES_MIN}:\n{}", wrong.join("\n"));
}

enum Verdict {
    Same,
    /// Refused by name: it needs what is not available yet.
    Later,
    Differs(String),
}

fn judge(case: &Json) -> Verdict {
    let mut comparison = Comparison::default();
    for execution in case.member("executions").unwrap().as_array().unwrap() {
        let member = |name: &str| execution.member(name).unwrap_or(&Json::Null);
        let definitions = case.member("definitions").unwrap();
        let definition = definitions.member(member("definition").as_str().unwrap()).unwrap();
        let text = definition.as_str().map_or_else(|| definition.to_text(), str::to_owned);
        let machine = match StateMachine::parse(&text) {
            Ok(machine) => Arc::new(machine),
            Err(found) => {
                let told = told(&found);
                let named = is_later(&told);
                return if named { Verdict::Later } else { Verdict::Differs(told) };
            }
        };
        let (status, events) = run(&machine, member("input").as_str().unwrap_or("{}"));
        let expected = execution.member("expected").or_else(|| execution.member("describe"));
        let expected = expected.and_then(|expected| expected.member("status")).unwrap();
        let recorded = member("expected").member("history").and_then(Json::as_array);
        let mut events = events;
        match (expected.as_str(), recorded) {
            // The recording stopped before the execution did.
            (None, Some(recorded)) => events.truncate(recorded.len()),
            (Some(expected), _) if expected == status => {}
            _ => return Verdict::Differs(format!("expected {expected}, got {status}")),
        }
        let Some(recorded) = recorded else { continue };
        if let Err(why) = compare_histories(case, recorded, &events, &mut comparison) {
            return Verdict::Differs(why);
        }
    }
    Verdict::Same
}

/// Runs to the end on virtual time.
fn run(machine: &Arc<StateMachine>, input: &str) -> (&'static str, Vec<HistoryEvent>) {
    let mut now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let mut entropy = Entropy::new(1);
    let token = |id| format!("token-{id}");
    let start = Start {
        execution_arn: "arn:aws:states:us-east-1:111111111111:execution:machine:name".into(),
        role_arn: "snf_role_arn".into(),
        input: input.into(),
    };
    let mut turn = Turn { now, entropy: &mut entropy, token: &token, activity: &|_| true };
    let (mut execution, decision) = Execution::start(Arc::clone(machine), start, &mut turn);
    let mut events = decision.events;
    while let Some(due) = execution.due() {
        now = now.max(due);
        let mut turn = Turn { now, entropy: &mut entropy, token: &token, activity: &|_| true };
        events.extend(execution.step(Stimulus::Timer, &mut turn).unwrap().events);
    }
    let status = match execution.status() {
        Status::Running => "RUNNING",
        Status::Succeeded { .. } => "SUCCEEDED",
        Status::Failed { .. } => "FAILED",
        Status::TimedOut { .. } => "TIMED_OUT",
        Status::Aborted { .. } => "ABORTED",
    };
    (status, events)
}

fn compare_histories(
    case: &Json,
    recorded: &[Json],
    events: &[HistoryEvent],
    comparison: &mut Comparison,
) -> Result<(), String> {
    let ours = events.iter().filter(|event| event.id > 0).map(|event| {
        let shown = event.to_aws(true);
        let members =
            shown.as_object().unwrap().iter().filter(|(name, _)| *name.as_ref() != *"timestamp");
        members.map(|(name, value)| (Arc::clone(name), value.clone())).collect::<Object>()
    });
    let ours: Vec<Json> = ours.map(|members| Json::Object(Arc::new(members))).collect();
    let unordered = case.member("compare").unwrap().to_text().contains("unordered");
    if unordered {
        return compare_unordered(recorded, ours, comparison);
    }
    for (at, expected) in recorded.iter().enumerate() {
        let actual = ours.get(at).unwrap_or(&Json::Null);
        comparison.same(expected, actual).map_err(|why| format!("event {}: {why}", at + 1))?;
    }
    if ours.len() > recorded.len() {
        return Err(format!("{} events more than recorded", ours.len() - recorded.len()));
    }
    Ok(())
}

/// Events of parallel branches have lost their ids and order, and how the states around them end.
fn compare_unordered(
    recorded: &[Json],
    mut ours: Vec<Json>,
    comparison: &mut Comparison,
) -> Result<(), String> {
    let kind = |event: &Json| event.member("type").unwrap().as_str().unwrap().to_owned();
    let without_place = |event: &Json| {
        let members = event.as_object().unwrap().iter();
        let kept = members.filter(|(name, _)| !matches!(name.as_ref(), "id" | "previousEventId"));
        Json::object(kept.map(|(name, value)| (Arc::clone(name), value.clone())))
    };
    let (placed, blank): (Vec<&Json>, Vec<&Json>) =
        recorded.iter().partition(|event| event.member("id") != Some(&Json::Null));
    for expected in placed {
        let found = ours.iter().position(|e| e.member("id") == expected.member("id"));
        let actual = found.map(|at| ours.remove(at)).unwrap_or_default();
        comparison.same(expected, &actual)?;
    }
    for expected in blank {
        let expected = without_place(expected);
        let found = ours.iter().position(|e| comparison.same(&expected, &without_place(e)).is_ok());
        ours.remove(found.ok_or_else(|| format!("nothing fits {expected}"))?);
    }
    ours.retain(|event| !matches!(&*kind(event), "ParallelStateSucceeded" | "ParallelStateExited"));
    if ours.is_empty() { Ok(()) } else { Err(format!("more than recorded: {ours:?}")) }
}

#[test]
fn definitions_are_judged_as_linters_judge_them() {
    let Some(folder) = recordings("asl-validate") else { return };
    let cases = read(&folder.join("open.json"));
    let (mut same, mut wrong) = (0, Vec::new());
    for case in cases.member("cases").unwrap().as_array().unwrap() {
        let text = case.member("text").unwrap().as_str().unwrap();
        let found = StateMachine::parse(text).err().unwrap_or_default();
        let told = told(&found);
        let later = is_later(&told);
        if later || found.is_empty() == (case.member("valid") == Some(&Json::Bool(true))) {
            same += 1;
        } else {
            wrong.push(format!("{} {told}", case.member("id").unwrap()));
        }
    }
    println!("{same} verdicts as the linters', {} not", wrong.len());
    assert!(same >= VERDICTS_MIN, "{same} of at least {VERDICTS_MIN}:\n{}", wrong.join("\n"));
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
    // What a template fills in is mostly a function's ARN.
    let function = regex::Regex::new(r#""\$\{[^}"]*\}""#).unwrap();
    let cases = cases.member("cases").unwrap();
    for case in cases.as_array().unwrap() {
        let definition = case.member("definition").unwrap();
        let text = definition.as_str().map_or_else(|| definition.to_text(), str::to_owned);
        let text = function.replace_all(&text, "\"arn:aws:lambda:us-east-1:1:function:f\"");
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
