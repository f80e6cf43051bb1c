//! What needs what; the order; what does not exist.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::{IndexMap, IndexSet};
use stepwire_asl::diagnostic::nearest;

use crate::diagnostic::Diagnostic;
use crate::expanded::{Absent, Expanded};
use crate::order::{self, Reference};
use crate::value::{Place, Value};

/// Finds what each resource needs and the order of all. What comes back is wrong.
pub(crate) fn link(expanded: &mut Expanded, root: &Value) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let absent = &expanded.absent;
    let names: IndexSet<String> = expanded.resources.keys().cloned().collect();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut lost: Vec<Reference> = Vec::new();
    for resource in expanded.resources.values_mut() {
        let mut needed = BTreeSet::new();
        for name in &resource.depends_on {
            if names.contains(name) {
                needed.insert(name.clone());
            } else if !absent.contains_key(name) {
                let place = root
                    .member("Resources")
                    .and_then(|all| all.member(&resource.logical_id)?.member("DependsOn"))
                    .map_or(resource.place, |at| at.place);
                lost.push(Reference { resource: name.clone(), attribute: None, place });
            }
        }
        for reference in order::references(&resource.properties) {
            if names.contains(&reference.resource) {
                needed.insert(reference.resource);
            } else if !expanded.without_value.contains(&reference.resource) {
                let place =
                    if reference.place.is_nowhere() { resource.place } else { reference.place };
                lost.push(Reference { place, ..reference });
            }
        }
        resource.depends_on = needed.iter().cloned().collect();
        needs.insert(resource.logical_id.clone(), needed);
    }
    problems.extend(unresolved(&lost, "Resources", &names, absent));
    let lost: Vec<Reference> = expanded
        .outputs
        .values()
        .flat_map(|output| {
            let mut all = order::references(&output.value);
            all.extend(output.export.iter().flat_map(order::references));
            all
        })
        .filter(|reference| !names.contains(&reference.resource))
        .filter(|reference| !expanded.without_value.contains(&reference.resource))
        .collect();
    problems.extend(unresolved(&lost, "Outputs", &names, absent));
    match order::sorted(&names, &needs) {
        Ok(order) => expanded.order = order,
        Err(circle) => {
            let place = circle
                .first()
                .and_then(|name| expanded.resources.get(name))
                .map_or(Place::NOWHERE, |resource| resource.place);
            problems.push(
                Diagnostic::new(
                    place,
                    format!("Circular dependency between resources: [{}]", circle.join(", ")),
                )
                .hint("one of them must do without a reference or DependsOn to the others"),
            );
        }
    }
    problems
}

/// One finding for all that does not exist in a section, as CloudFormation tells it.
fn unresolved(
    lost: &[Reference],
    section: &str,
    names: &IndexSet<String>,
    absent: &IndexMap<String, Absent>,
) -> Option<Diagnostic> {
    let first = lost.iter().min_by_key(|reference| reference.place)?;
    let distinct: IndexSet<&str> = lost.iter().map(|reference| &*reference.resource).collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    let mut hints: Vec<String> = Vec::new();
    for name in distinct.iter().take(5) {
        if let Some(Absent { condition, .. }) = absent.get(*name) {
            hints
                .push(format!("{name} is not made, since its condition {condition} does not hold"));
        } else if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
            hints.push(format!("for {name}, did you mean `{near}`?"));
        }
    }
    let others: IndexSet<u32> = lost
        .iter()
        .map(|other| other.place.line)
        .filter(|line| *line != first.place.line && *line > 0)
        .collect();
    if !others.is_empty() {
        let lines: Vec<String> = others.iter().take(10).map(u32::to_string).collect();
        hints.push(format!("also in line {}", lines.join(", ")));
    }
    let told = Diagnostic::new(
        first.place,
        format!(
            "Template format error: Unresolved resource dependencies [{}] in the {section} block of the template",
            distinct.join(", ")
        ),
    );
    Some(if hints.is_empty() { told } else { told.hint(hints.join("; ")) })
}
