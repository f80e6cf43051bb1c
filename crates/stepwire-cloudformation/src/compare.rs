//! What changes between two expanded templates, as change sets show it.

use indexmap::IndexMap;

use crate::expand::Resource;

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
/// removed. A resource whose type differs is both: added, and the old one removed.
pub fn compare(old: &IndexMap<String, Resource>, new: &IndexMap<String, Resource>) -> Vec<Change> {
    let _ = (old, new);
    Vec::new()
}
