//! Decided but not yet committed records, seen as if they were stored.

use std::collections::BTreeMap;

use crate::read::{Key, Range, Read};
use crate::record::Entry;

/// Changes on top of stored records: what a batch has decided so far.
#[derive(Debug, Default, Clone)]
pub struct Changes {
    entries: BTreeMap<Key, Option<Vec<u8>>>,
    bytes: usize,
}

impl Changes {
    /// Puts `entry` on top.
    pub fn push(&mut self, entry: Entry) {
        self.bytes += entry.0.len() + entry.1.as_ref().map_or(0, Vec::len);
        self.entries.insert(entry.0, entry.1);
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys and values ever put on top.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last change of every key, in key order.
    pub fn entries(&self) -> impl Iterator<Item = (&Key, &Option<Vec<u8>>)> {
        self.entries.iter()
    }
}

/// `changes` over `base`.
#[derive(Clone, Copy)]
pub struct Layered<'a> {
    /// What is on top.
    pub changes: &'a Changes,
    /// What shows through.
    pub base: &'a dyn Read,
}

impl Read for Layered<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.changes.entries.get(key) {
            Some(value) => value.clone(),
            None => self.base.get(key),
        }
    }

    fn range(&self, range: &Range) -> Vec<(Key, Vec<u8>)> {
        if range.from >= range.to {
            return Vec::new();
        }
        let changed = self.changes.entries.range(range.from.clone()..range.to.clone());
        let changed: Vec<_> = changed.collect();
        if changed.is_empty() {
            return self.base.range(range);
        }
        let reach = range.limit.saturating_add(changed.len());
        let below = self.base.range(&range.clone().limit(reach));
        let mut merged: BTreeMap<Key, Vec<u8>> = below.into_iter().collect();
        let edge = (merged.len() == reach).then(|| edge_key(&merged, range.reverse)).flatten();
        for (key, value) in changed {
            let beyond =
                edge.as_ref().is_some_and(|e| if range.reverse { key < e } else { key > e });
            match value {
                Some(value) if !beyond => drop(merged.insert(key.clone(), value.clone())),
                Some(_) => {}
                None => drop(merged.remove(key)),
            }
        }
        let entries = merged.into_iter();
        if range.reverse {
            entries.rev().take(range.limit).collect()
        } else {
            entries.take(range.limit).collect()
        }
    }
}

/// The last key a cut-off run reached: what lies beyond it is not known.
fn edge_key(entries: &BTreeMap<Key, Vec<u8>>, reverse: bool) -> Option<Key> {
    let edge = if reverse { entries.first_key_value() } else { entries.last_key_value() };
    edge.map(|(key, _)| key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> BTreeMap<Key, Vec<u8>> {
        (0..10_u8).map(|n| (vec![n], vec![n])).collect()
    }

    fn keys(entries: &[(Key, Vec<u8>)]) -> Vec<u8> {
        entries.iter().map(|(k, _)| k[0]).collect()
    }

    #[test]
    fn removed_keys_do_not_shorten_a_limited_run() {
        let base = base();
        let mut changes = Changes::default();
        for gone in [0, 1, 2, 9] {
            changes.push((vec![gone], None));
        }
        let layered = Layered { changes: &changes, base: &base };
        let range = Range { from: vec![0], to: vec![10], reverse: false, limit: 3 };
        assert_eq!(keys(&layered.range(&range)), [3, 4, 5]);
        assert_eq!(keys(&layered.range(&range.reversed())), [8, 7, 6]);
    }

    #[test]
    fn added_keys_appear_in_order() {
        let base = base();
        let mut changes = Changes::default();
        changes.push((vec![4, 1], Some(vec![])));
        changes.push((vec![5], Some(vec![99])));
        let layered = Layered { changes: &changes, base: &base };
        let range = Range { from: vec![4], to: vec![10], reverse: false, limit: 3 };
        let entries = layered.range(&range);
        assert_eq!(entries[0].0, vec![4]);
        assert_eq!(entries[1].0, vec![4, 1]);
        assert_eq!(entries[2], (vec![5], vec![99]));
        assert_eq!(layered.get(&[5]), Some(vec![99]));
    }
}
