//! What changes between two expanded templates, as change sets show it.

use std::collections::BTreeSet;

use indexmap::{IndexMap, IndexSet};

use crate::expanded::Resource;
use crate::order;
use crate::value::{Map, Value};

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Add,
    /// It is in both and differs, or may.
    Modify,
    /// It is no longer there.
    Remove,
}

/// Whether a change is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluation {
    /// What the template says is different.
    Static,
    /// It refers to a resource that changes, and may come out different.
    Dynamic,
}

/// A change of a top-level property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyChange {
    /// Its name.
    pub name: String,
    /// Whether the change is certain.
    pub evaluation: Evaluation,
    /// `LogicalId` or `LogicalId.Attribute` of what makes it change, when that is a reference.
    pub causing_entity: Option<String>,
}

/// A change of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its logical id.
    pub logical_id: String,
    /// Its type; of a removed resource that of the old template.
    pub kind: String,
    /// What happens to it.
    pub action: Action,
    /// Its properties that differ; empty unless it is modified.
    pub properties: Vec<PropertyChange>,
    /// Other attributes that differ (`DeletionPolicy`, `UpdateReplacePolicy`, `Metadata`).
    pub attributes: Vec<&'static str>,
}

/// What must change to get from `old` to `new`: first what is in `new`, in its order, then what is
/// removed. A resource whose type differs is removed and added.
///
/// A resource with nothing different in it but references to modified ones is modified too, with
/// dynamic evaluation: the engine sees when it comes to it whether anything changed.
pub fn compare(old: &IndexMap<String, Resource>, new: &IndexMap<String, Resource>) -> Vec<Change> {
    let mut statics: IndexMap<&str, Change> = IndexMap::new();
    for resource in new.values() {
        let before = old.get(&resource.logical_id).filter(|before| before.kind == resource.kind);
        let change = match before {
            None => Some(change(resource, Action::Add)),
            Some(before) => differing(before, resource),
        };
        if let Some(change) = change {
            statics.insert(&resource.logical_id, change);
        }
    }
    // Whatever refers to something that changes may change, and so on.
    let mut touched: BTreeSet<&str> = statics.keys().copied().collect();
    loop {
        let before = touched.len();
        for resource in new.values() {
            let name = resource.logical_id.as_str();
            let is_new = !old.contains_key(name);
            if !is_new && !touched.contains(name) && !causes(resource, &touched, old).is_empty() {
                touched.insert(name);
            }
        }
        if touched.len() == before {
            break;
        }
    }
    let mut changes = Vec::new();
    for resource in new.values() {
        let name = resource.logical_id.as_str();
        if !touched.contains(name) {
            continue;
        }
        let mut one = statics.swap_remove(name).unwrap_or_else(|| change(resource, Action::Modify));
        if one.action == Action::Modify {
            for (property, cause) in causes(resource, &touched, old) {
                if !one.properties.iter().any(|known| known.name == property) {
                    one.properties.push(PropertyChange {
                        name: property,
                        evaluation: Evaluation::Dynamic,
                        causing_entity: Some(cause),
                    });
                }
            }
        }
        changes.push(one);
    }
    let gone = old
        .values()
        .filter(|before| new.get(&before.logical_id).is_none_or(|after| after.kind != before.kind));
    changes.extend(gone.map(|before| change(before, Action::Remove)));
    changes
}

fn change(resource: &Resource, action: Action) -> Change {
    Change {
        logical_id: resource.logical_id.clone(),
        kind: resource.kind.clone(),
        action,
        properties: Vec::new(),
        attributes: Vec::new(),
    }
}

/// What the template says differently of a resource.
fn differing(before: &Resource, after: &Resource) -> Option<Change> {
    let empty = Map::new();
    let old = before.properties.as_map().unwrap_or(&empty);
    let new = after.properties.as_map().unwrap_or(&empty);
    let names: IndexSet<&str> = new.keys().chain(old.keys()).map(|name| &**name).collect();
    let properties: Vec<PropertyChange> = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| PropertyChange {
            name: name.to_owned(),
            evaluation: Evaluation::Static,
            causing_entity: None,
        })
        .collect();
    let attributes: Vec<&'static str> = [
        ("DeletionPolicy", before.deletion_policy != after.deletion_policy),
        ("UpdateReplacePolicy", before.update_replace_policy != after.update_replace_policy),
        ("Metadata", before.metadata != after.metadata),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect();
    (!properties.is_empty() || !attributes.is_empty()).then(|| Change {
        properties,
        attributes,
        ..change(after, Action::Modify)
    })
}

/// The properties that refer to something in `touched` which was there before, and to what.
fn causes(
    resource: &Resource,
    touched: &BTreeSet<&str>,
    old: &IndexMap<String, Resource>,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, value) in resource.properties.as_map().into_iter().flatten() {
        if let Some(cause) = cause(value, touched, old) {
            found.push((name.to_string(), cause));
        }
    }
    found
}

fn cause(
    value: &Value,
    touched: &BTreeSet<&str>,
    old: &IndexMap<String, Resource>,
) -> Option<String> {
    order::references(value)
        .into_iter()
        .find(|reference| {
            touched.contains(&*reference.resource) && old.contains_key(&reference.resource)
        })
        .map(|reference| match reference.attribute {
            Some(attribute) => format!("{}.{attribute}", reference.resource),
            None => reference.resource,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Given, Template};

    fn resources(text: &str) -> IndexMap<String, Resource> {
        let template = Template::parse(text).expect("a template");
        template.expand(&Given::default()).expect("expands").resources
    }

    #[test]
    fn what_refers_to_a_changed_resource_may_change() {
        let old = resources(
            "Resources:\n  A: {Type: T::T::A, Properties: {X: 1}}\n  B: {Type: T::T::B, Properties: {Y: !GetAtt A.Arn}}\n  C: {Type: T::T::C}\n  D: {Type: T::T::D}\n",
        );
        let new = resources(
            "Resources:\n  A: {Type: T::T::A, Properties: {X: 2}}\n  B: {Type: T::T::B, Properties: {Y: !GetAtt A.Arn}}\n  C: {Type: T::T::C}\n  E: {Type: T::T::E}\n",
        );
        let changes = compare(&old, &new);
        let told: Vec<String> = changes
            .iter()
            .map(|one| {
                format!(
                    "{:?} {} {:?}",
                    one.action,
                    one.logical_id,
                    one.properties.first().map(|p| (
                        &*p.name,
                        p.evaluation,
                        p.causing_entity.as_deref()
                    ))
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "Modify A Some((\"X\", Static, None))",
                "Modify B Some((\"Y\", Dynamic, Some(\"A.Arn\")))",
                "Add E None",
                "Remove D None",
            ]
        );
        assert!(compare(&old, &old).is_empty());
    }
}
