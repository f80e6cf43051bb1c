//! How messages stand, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::record::State;

/// How the messages of a queue stand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    states: BTreeMap<u64, State>,
    /// Who can be received when: every message that is in no group, and of each group the first;
    /// derived from `states`.
    turns: BTreeSet<(Timestamp, u64)>,
    /// Messages of each group in their order; derived from `states`.
    groups: BTreeMap<Arc<str>, Group>,
    /// When messages were sent, oldest first; derived from `states`.
    by_age: BTreeSet<(Timestamp, u64)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Group {
    numbers: BTreeSet<u64>,
    /// Its entry in `turns`.
    turn: Option<(Timestamp, u64)>,
}

impl Messages {
    /// A message stands so from now on; `None`: it is gone.
    pub(super) fn set(&mut self, number: u64, state: Option<&State>) {
        let before = match state {
            Some(state) => self.states.insert(number, state.clone()),
            None => self.states.remove(&number),
        };
        if let Some(before) = &before {
            self.by_age.remove(&(before.sent, number));
            if before.group.is_none() {
                self.turns.remove(&(before.visible, number));
            }
        }
        if let Some(state) = state {
            self.by_age.insert((state.sent, number));
            if state.group.is_none() {
                self.turns.insert((state.visible, number));
            }
        }
        let group = state.or(before.as_ref()).and_then(|state| state.group.clone());
        if let Some(group) = group {
            self.look_at_group(group, number, state.is_some());
        }
    }

    /// Finds out when a group's first message can be received, after this one of it has changed.
    fn look_at_group(&mut self, name: Arc<str>, number: u64, there: bool) {
        let group = self.groups.entry(Arc::clone(&name)).or_default();
        if there {
            group.numbers.insert(number);
        } else {
            group.numbers.remove(&number);
        }
        if let Some(turn) = group.turn.take() {
            self.turns.remove(&turn);
        }
        let Some(first) = group.numbers.first().copied() else {
            self.groups.remove(&name);
            return;
        };
        // Those in flight are at the front: a group is received from its beginning.
        let states = group.numbers.iter().filter_map(|number| self.states.get(number));
        let front = states.enumerate().take_while(|(at, state)| *at == 0 || state.receives > 0);
        let visible = front.map(|(_, state)| state.visible).max();
        let turn = (visible.unwrap_or(Timestamp(0)), first);
        group.turn = Some(turn);
        self.turns.insert(turn);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn get(&self, number: u64) -> Option<&State> {
        self.states.get(&number)
    }

    pub(super) fn states(&self) -> impl Iterator<Item = &State> {
        self.states.values()
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.states.keys().copied()
    }

    /// When the oldest message was sent.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.by_age.first().map(|(sent, _)| *sent)
    }

    /// Messages sent until then.
    pub(super) fn sent_until(&self, last: Timestamp) -> impl Iterator<Item = u64> {
        let old = self.by_age.iter().take_while(move |(sent, _)| *sent <= last);
        old.map(|(_, number)| *number)
    }

    /// When the first message can be received.
    pub(super) fn first_turn(&self) -> Option<Timestamp> {
        self.turns.first().map(|(at, _)| *at)
    }

    /// The messages that are received next, with when: a group's one after the other, then those of
    /// the next group.
    pub(super) fn next(&self, max: usize) -> Vec<(Timestamp, u64)> {
        let mut next = Vec::new();
        for (at, number) in &self.turns {
            if next.len() >= max {
                break;
            }
            let group = self.states.get(number).and_then(|state| state.group.as_ref());
            let Some(group) = group.and_then(|group| self.groups.get(group)) else {
                next.push((*at, *number));
                continue;
            };
            let mut latest = *at;
            for number in group.numbers.iter().take(max - next.len()) {
                // One that is delayed keeps those behind it waiting.
                latest = latest.max(self.states.get(number).map_or(latest, |state| state.visible));
                next.push((latest, *number));
            }
        }
        next
    }
}
