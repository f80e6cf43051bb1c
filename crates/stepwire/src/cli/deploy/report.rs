//! A plan for people and for programs.

use serde_json::{Value, json};
use stepwire_cloudformation::{Absent, Diagnostic, Place};

use super::plan::{Becomes, Found, Plan, Planned};
use super::source::Source;

/// Each resource in a line, what is refused with its line of the source, and a line that sums up; then
/// the templates within.
pub(super) fn text(source: &Source, plan: &Plan) -> String {
    let kind_width = plan.resources.iter().map(|one| one.kind.len()).max().unwrap_or_default();
    let mut told = String::new();
    for planned in &plan.resources {
        let at = source.at(planned.place);
        let (word, why) = word(planned);
        let id = &planned.logical_id;
        told.extend([format!("{word:<14}  {:kind_width$}  {id}  {at}\n", planned.kind)]);
        if !why.is_empty() {
            told.extend([format!("{:14}    {why}\n", "")]);
        }
        for found in &planned.findings {
            let word = if found.refused { "refused" } else { "without effect" };
            let at = found.file.as_deref().unwrap_or(source).at(found.place);
            let path = named(&found.path);
            told.extend([format!("{:14}    {path}{word}: {}  {at}\n", "", found.why)]);
        }
    }
    for (id, absent) in &plan.absent {
        let at = source.at(absent.place);
        told.extend([format!("{NOT_MADE:<14}  {:kind_width$}  {id}  {at}\n", absent.kind)]);
        told.extend([format!("{:14}    condition {} does not hold\n", "", absent.condition)]);
    }
    for note in &plan.notes {
        told.extend([format!("note: {}  {}\n", note.message, source.at(note.place))]);
    }
    let faults = own_faults(source, plan).join("\n\n");
    if !faults.is_empty() {
        told.extend([format!("\n{faults}\n")]);
    }
    told.push_str(&summary(source, plan));
    for nested in &plan.nested {
        told.extend([format!("\n{}: stack `{}`\n\n", nested.source.name, nested.logical_id)]);
        match &nested.plan {
            Ok(plan) => told.push_str(&text(&nested.source, plan)),
            Err(wrong) => {
                let wrong: Vec<_> = wrong.iter().map(|one| nested.source.pointed(one)).collect();
                told.extend([format!("{}\n", wrong.join("\n\n"))]);
            }
        }
    }
    told
}

/// The property that a sentence is of, if it is of one.
fn named(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

fn summary(source: &Source, plan: &Plan) -> String {
    let count =
        |wanted: &str| plan.resources.iter().filter(|planned| word(planned).0 == wanted).count();
    let mut told = format!(
        "\n{}: {} supported, {} without effect, {} placeholders, {} refused",
        source.name,
        count(SUPPORTED),
        count(WITHOUT_EFFECT),
        count(PLACEHOLDER),
        count(REFUSED),
    );
    match plan.faults.len() {
        0 => {}
        1 => told.push_str("; 1 file is missing or cannot be built"),
        more => told.extend([format!("; {more} files are missing or cannot be built")]),
    }
    told.push('\n');
    told
}

const SUPPORTED: &str = "supported";
const WITHOUT_EFFECT: &str = "without effect";
const PLACEHOLDER: &str = "placeholder";
const REFUSED: &str = "refused";
const NOT_MADE: &str = "not made";

fn word(planned: &Planned) -> (&'static str, &'static str) {
    match planned.verdict {
        Becomes::Served if planned.findings.iter().any(|found| found.refused) => (REFUSED, ""),
        Becomes::Served => (SUPPORTED, ""),
        Becomes::WithoutEffect(why) => (WITHOUT_EFFECT, why),
        Becomes::Placeholder => (PLACEHOLDER, "not available; --allow-missing takes that"),
        Becomes::Refused(hint) => (REFUSED, hint),
    }
}

/// What is refused, each with its line of the source, in the templates within as well.
pub(super) fn faults(source: &Source, plan: &Plan) -> String {
    all_faults(source, plan).join("\n\n")
}

fn all_faults(source: &Source, plan: &Plan) -> Vec<String> {
    let mut told = own_faults(source, plan);
    for nested in &plan.nested {
        match &nested.plan {
            Ok(plan) => told.extend(all_faults(&nested.source, plan)),
            Err(wrong) => told.extend(wrong.iter().map(|one| nested.source.pointed(one))),
        }
    }
    told
}

fn own_faults(source: &Source, plan: &Plan) -> Vec<String> {
    let mut all = Vec::new();
    for planned in &plan.resources {
        if let Becomes::Refused(hint) = planned.verdict {
            let why = format!("resource type `{}` is not available", planned.kind);
            all.push(source.pointed(&Diagnostic::new(planned.place, why).hint(hint)));
        }
        for found in planned.findings.iter().filter(|found| found.refused) {
            let why = format!("`{}`: {}{}", planned.logical_id, named(&found.path), found.why);
            let source = found.file.as_deref().unwrap_or(source);
            all.push(source.pointed(&Diagnostic::new(found.place, why)));
        }
    }
    all.extend(plan.faults.iter().map(|fault| source.pointed(fault)));
    all
}

/// What is accepted without effect, a line each.
pub(super) fn without_effect_text(plan: &Plan) -> String {
    let mut told = String::new();
    for planned in &plan.resources {
        match planned.verdict {
            Becomes::WithoutEffect(_) | Becomes::Placeholder => {
                let (_, why) = word(planned);
                told.extend([format!("  {} ({}): {why}\n", planned.logical_id, planned.kind)]);
            }
            Becomes::Served | Becomes::Refused(_) => {}
        }
        for found in planned.findings.iter().filter(|found| !found.refused) {
            told.extend([format!("  {}.{}: {}\n", planned.logical_id, found.path, found.why)]);
        }
    }
    for nested in &plan.nested {
        let within = nested.plan.as_ref().map(without_effect_text).unwrap_or_default();
        told.extend(
            within.lines().map(|line| format!("  {}/{}\n", nested.logical_id, line.trim_start())),
        );
    }
    told
}

/// The same for programs.
pub(super) fn without_effect(plan: &Plan) -> Vec<Value> {
    let mut all = Vec::new();
    for planned in &plan.resources {
        if matches!(planned.verdict, Becomes::WithoutEffect(_) | Becomes::Placeholder) {
            let (_, why) = word(planned);
            all.push(json!({ "logicalId": planned.logical_id, "type": planned.kind, "why": why }));
        }
        for found in planned.findings.iter().filter(|found| !found.refused) {
            all.push(json!({
                "logicalId": planned.logical_id,
                "type": planned.kind,
                "property": found.path,
                "why": found.why,
            }));
        }
    }
    for nested in &plan.nested {
        for mut one in nested.plan.as_ref().map(without_effect).unwrap_or_default() {
            let within = one["logicalId"].as_str().unwrap_or_default();
            one["logicalId"] = json!(format!("{}/{within}", nested.logical_id));
            all.push(one);
        }
    }
    all
}

/// The whole plan as one JSON object.
pub(super) fn json(source: &Source, plan: &Plan) -> Value {
    let resources = plan.resources.iter().map(|planned| {
        let (word, why) = word(planned);
        json!({
            "logicalId": planned.logical_id,
            "type": planned.kind,
            "becomes": word,
            "why": (!why.is_empty()).then_some(why),
            "place": place(planned.place),
            "properties": planned.findings.iter().map(property).collect::<Vec<_>>(),
        })
    });
    let absent = plan.absent.iter().map(|(id, absent)| {
        let Absent { kind, condition, place: at } = absent;
        json!({ "logicalId": id, "type": kind, "condition": condition, "place": place(*at) })
    });
    let nested = plan.nested.iter().map(|nested| {
        let mut value = match &nested.plan {
            Ok(plan) => json(&nested.source, plan),
            Err(wrong) => json!({ "template": nested.source.name, "errors": diagnostics(wrong) }),
        };
        value["logicalId"] = json!(nested.logical_id);
        value
    });
    json!({
        "template": source.name,
        "resources": resources.collect::<Vec<_>>(),
        "notMade": absent.collect::<Vec<_>>(),
        "notes": diagnostics(&plan.notes),
        "files": diagnostics(&plan.faults),
        "nested": nested.collect::<Vec<_>>(),
        "refused": plan.refused(),
    })
}

fn diagnostics(all: &[Diagnostic]) -> Vec<Value> {
    let told = all
        .iter()
        .map(|one| json!({ "message": one.message, "hint": one.hint, "place": place(one.place) }));
    told.collect()
}

fn property(found: &Found) -> Value {
    let word = if found.refused { "refused" } else { "without effect" };
    let mut value = json!({
        "path": found.path,
        "becomes": word,
        "why": found.why,
        "place": place(found.place),
    });
    if let Some(file) = &found.file {
        value["file"] = json!(file.name);
    }
    value
}

fn place(place: Place) -> Option<Value> {
    (!place.is_nowhere()).then(|| json!({ "line": place.line, "column": place.column }))
}
