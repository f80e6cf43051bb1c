//! A plan for people and for programs.

use serde_json::{Value, json};
use stepwire_cloudformation::{Diagnostic, Place};

use super::plan::{Becomes, Found, Plan, Planned};
use super::source::Source;

/// Each resource in a line, what is refused with its line of the source, and a line that sums up.
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
            let at = source.at(found.place);
            told.extend([format!("{:14}    {}: {word}: {}  {at}\n", "", found.path, found.why)]);
        }
    }
    for note in &plan.notes {
        told.extend([format!("note: {}  {}\n", note.message, source.at(note.place))]);
    }
    let faults = faults(source, plan);
    if !faults.is_empty() {
        told.extend([format!("\n{faults}\n")]);
    }
    let count = |wanted: fn(&Becomes) -> bool| {
        plan.resources.iter().filter(|planned| wanted(&planned.verdict)).count()
    };
    told + &format!(
        "\n{}: {} supported, {} without effect, {} placeholders, {} refused\n",
        source.name,
        count(|verdict| matches!(verdict, Becomes::Served)),
        count(|verdict| matches!(verdict, Becomes::WithoutEffect(_))),
        count(|verdict| matches!(verdict, Becomes::Placeholder)),
        plan.refused(),
    )
}

fn word(planned: &Planned) -> (&'static str, &'static str) {
    match planned.verdict {
        Becomes::Served if planned.findings.iter().any(|found| found.refused) => ("refused", ""),
        Becomes::Served => ("supported", ""),
        Becomes::WithoutEffect(why) => ("without effect", why),
        Becomes::Placeholder => ("placeholder", "not available; --allow-missing takes that"),
        Becomes::Refused(hint) => ("refused", hint),
    }
}

/// What is refused, each with its line of the source.
pub(super) fn faults(source: &Source, plan: &Plan) -> String {
    let mut all = Vec::new();
    for planned in &plan.resources {
        if let Becomes::Refused(hint) = planned.verdict {
            let why = format!("resource type `{}` is not available", planned.kind);
            all.push(Diagnostic::new(planned.place, why).hint(hint));
        }
        for found in planned.findings.iter().filter(|found| found.refused) {
            let why = format!("`{}`: {}: {}", planned.logical_id, found.path, found.why);
            all.push(Diagnostic::new(found.place, why));
        }
    }
    let told: Vec<String> = all.iter().map(|fault| source.pointed(fault)).collect();
    told.join("\n\n")
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
    all
}

/// The whole plan as one JSON object.
pub(super) fn json(source: &Source, plan: &Plan) -> String {
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
    let notes = plan.notes.iter().map(
        |note| json!({ "message": note.message, "hint": note.hint, "place": place(note.place) }),
    );
    let value = json!({
        "template": source.name,
        "resources": resources.collect::<Vec<_>>(),
        "notes": notes.collect::<Vec<_>>(),
        "refused": plan.refused(),
    });
    format!("{value:#}")
}

fn property(found: &Found) -> Value {
    let word = if found.refused { "refused" } else { "without effect" };
    json!({ "path": found.path, "becomes": word, "why": found.why, "place": place(found.place) })
}

fn place(place: Place) -> Option<Value> {
    (!place.is_nowhere()).then(|| json!({ "line": place.line, "column": place.column }))
}
