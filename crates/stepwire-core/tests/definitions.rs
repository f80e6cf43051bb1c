//! Public definitions against what this stepwire carries out: what it lacks is told, task by task,
//! and nothing else is.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "the recordings are files")]
#![expect(clippy::print_stdout, reason = "tells what was compared")]

use std::collections::BTreeSet;
use std::path::Path;

use stepwire_asl::definition::Resource;
use stepwire_asl::source::substituted;
use stepwire_asl::{Json, Severity, Topic};
use stepwire_core::executions::{Kind, diagnose};
use stepwire_core::integrations;

/// Public definitions that Step Functions refuses too: this one has its `QueryLanguage` among its
/// states.
const BROKEN: &[&str] = &[
    "aws-samples/step-functions-workflows-collection:shared-fallback-state-jsonata/statemachine/statemachine.asl.json",
];

#[test]
fn public_definitions_are_refused_for_what_is_missing_and_nothing_else() {
    let path = "../../../shared/corpus/asl-real/definitions.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no recordings at {}", path.display());
        return;
    };
    let cases = Json::parse(&text).unwrap();
    let (mut accepted, mut refused, mut later, mut broken) = (0, 0, 0, Vec::new());
    for case in cases.member("cases").unwrap().as_array().unwrap() {
        let id = case.member("id").unwrap().as_str().unwrap();
        let definition = case.member("definition").unwrap();
        let text = definition.as_str().map_or_else(|| definition.to_text(), str::to_owned);
        let text = substituted(&text);
        let found = diagnose(&text, Kind::Standard);
        let errors = found.iter().filter(|found| found.severity == Severity::Error);
        let (missing, wrong): (Vec<_>, Vec<_>) =
            errors.partition(|found| found.help.topic == Topic::Unavailable);
        if wrong.iter().any(|found| found.message.starts_with("item readers of")) {
            later += 1;
            continue;
        }
        if !wrong.is_empty() {
            assert!(BROKEN.contains(&id), "{id}: {wrong:?}");
            broken.push(id);
            continue;
        }
        let told: BTreeSet<&str> = missing.iter().filter_map(|d| d.location.as_deref()).collect();
        let mut expected = BTreeSet::new();
        tasks(&Json::parse(&text).unwrap(), "", &mut expected);
        assert_eq!(told, expected.iter().map(String::as_str).collect(), "{id}");
        assert_eq!(told.len(), missing.len(), "{id}: one for each task");
        if missing.is_empty() { accepted += 1 } else { refused += 1 }
    }
    println!("{accepted} accepted, {refused} refused for what is missing, {later} come later");
    assert_eq!(broken, BROKEN);
}

/// The places of the resources that nothing here carries out.
fn tasks(value: &Json, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(members) => {
            let is_task = members.get("Type").and_then(Json::as_str) == Some("Task");
            for (name, value) in members.iter() {
                let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                if let (true, "Resource", Some(text)) = (is_task, name.as_ref(), value.as_str())
                    && integrations::supported(&Resource::parse(text).unwrap()).is_err()
                {
                    found.insert(place);
                    continue;
                }
                tasks(value, &place, found);
            }
        }
        Json::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                tasks(item, &format!("{at}[{number}]"), found);
            }
        }
        _ => {}
    }
}
