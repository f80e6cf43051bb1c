//! The index `AWS_Things`: every thing's values, and for most fields the things by value.
//!
//! It is derived from the registry and the sessions, lives in memory, and is made again after a
//! restart or a change of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use super::document::Document;
use super::query::{Field, Node, Query, Term, Test};

/// Most entries that are looked at to find out which things a query can match. Beyond that, going
/// through the things in order and stopping at a full page costs no more.
const LOOKED_AT_MAX: usize = 4_096;

/// Values and the names of the things that have them.
type Entries = BTreeSet<(Arc<str>, Arc<str>)>;

/// Every thing by what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    documents: BTreeMap<Arc<str>, Document>,
    /// Value and name of the things that have a field. No set stays empty.
    by_value: BTreeMap<Field, Entries>,
}

impl Index {
    /// What is known of the thing.
    pub(super) fn find(&self, thing: &str) -> Option<&Document> {
        self.documents.get(thing)
    }

    /// Takes in what is now known of a thing, or that it is gone.
    pub(super) fn set(&mut self, thing: &Arc<str>, document: Option<Document>) {
        let old = self.documents.remove(thing);
        let empty: &[(Field, Arc<str>)] = &[];
        let before = old.as_ref().map_or(empty, Document::values);
        let now = document.as_ref().map_or(empty, Document::values);
        for gone in before.iter().filter(|value| now.binary_search(value).is_err()) {
            self.forget(thing, gone);
        }
        for new in now.iter().filter(|value| before.binary_search(value).is_err()) {
            if is_looked_up(&new.0) {
                let set = self.by_value.entry(new.0.clone()).or_default();
                set.insert((Arc::clone(&new.1), Arc::clone(thing)));
            }
        }
        if let Some(document) = document {
            self.documents.insert(Arc::clone(thing), document);
        }
    }

    fn forget(&mut self, thing: &Arc<str>, (field, value): &(Field, Arc<str>)) {
        let Some(set) = self.by_value.get_mut(field) else { return };
        set.remove(&(Arc::clone(value), Arc::clone(thing)));
        if set.is_empty() {
            self.by_value.remove(field);
        }
    }

    /// Things and what is known of them, by name, after this one.
    pub(super) fn after(
        &self,
        thing: Option<&Arc<str>>,
    ) -> impl Iterator<Item = (&Arc<str>, &Document)> {
        let from = thing.map_or(Unbounded, |thing| Excluded(Arc::clone(thing)));
        self.documents.range((from, Unbounded))
    }

    /// The names among which all things are that `query` matches; `None`: any.
    pub(super) fn candidates(&self, query: &Query) -> Option<BTreeSet<Arc<str>>> {
        self.narrowed(query.root())
    }

    fn narrowed(&self, node: &Node) -> Option<BTreeSet<Arc<str>>> {
        match node {
            Node::Nothing => Some(BTreeSet::new()),
            Node::All | Node::Not(_) => None,
            Node::And(parts) => {
                let parts = parts.iter().filter_map(|part| self.narrowed(part));
                parts.min_by_key(BTreeSet::len)
            }
            Node::Or(parts) => {
                let mut all = BTreeSet::new();
                for part in parts {
                    all.extend(self.narrowed(part)?);
                }
                Some(all)
            }
            Node::Term(term) => self.things_with(term),
        }
    }

    fn things_with(&self, term: &Term) -> Option<BTreeSet<Arc<str>>> {
        if !is_looked_up(&term.field) {
            return None;
        }
        let Some(set) = self.by_value.get(&term.field) else { return Some(BTreeSet::new()) };
        let from = |text: &str| Included((Arc::from(text), Arc::from("")));
        let mut found = BTreeSet::new();
        let mut looked_at = 0;
        let (start, prefix) = match &term.test {
            Test::Is(text) => (from(text), text.as_ref()),
            Test::Like(pattern) => (from(pattern.prefix()), pattern.prefix()),
            Test::Any | Test::Numbers { .. } | Test::Texts { .. } => (Unbounded, ""),
        };
        for (value, thing) in set.range((start, Unbounded)) {
            let beyond = match &term.test {
                Test::Is(text) => value != text,
                _ => !value.starts_with(prefix),
            };
            if beyond {
                break;
            }
            looked_at += 1;
            if looked_at > LOOKED_AT_MAX {
                return None;
            }
            if term.holds(value) {
                found.insert(Arc::clone(thing));
            }
        }
        Some(found)
    }
}

/// Whether things are found by the values of the field. Those of the others are too many and
/// change too often.
fn is_looked_up(field: &Field) -> bool {
    !matches!(field, Field::Timestamp | Field::Version)
}
