//! Who subscribes to a filter: sessions, and groups that share a subscription (MQTT 5.0, 4.8.2).

use std::sync::Arc;

use super::session::{SessionId, Sessions, Subscription};

/// One session that subscribes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    pub(super) session: SessionId,
    pub(super) subscription: Subscription,
}

/// Who subscribes to one filter.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    pub(super) members: Vec<Match>,
    pub(super) groups: Vec<Group>,
}

/// A shared subscription (MQTT 5.0, 4.8.2).
#[derive(Debug)]
pub(super) struct Group {
    /// As its members wrote it, with the name of the group.
    pub(super) filter: Arc<str>,
    members: Vec<Match>,
}

impl Group {
    /// Whose turn it is of those who want the message: the members take turns, those that are
    /// connected first.
    pub(super) fn choose(
        &self,
        turns: usize,
        sessions: &Sessions,
        wants: impl FnMut(&&Match) -> bool + Clone,
    ) -> Option<Match> {
        let start = turns % self.members.len().max(1);
        let (before, after) = self.members.split_at(start);
        let connected = |found: &&Match| {
            sessions.get(found.session).is_some_and(|session| session.link.is_some())
        };
        let mut in_turn = after.iter().chain(before).filter(wants);
        in_turn.clone().find(connected).or_else(|| in_turn.next()).copied()
    }
}

impl Subscribers {
    /// Adds a session or changes its subscription, which may be `shared`.
    pub(super) fn put(
        &mut self,
        shared: Option<&Arc<str>>,
        session: SessionId,
        subscription: Subscription,
    ) {
        let members = match shared {
            None => &mut self.members,
            Some(filter) => self.group(filter),
        };
        let new = Match { session, subscription };
        match members.binary_search_by_key(&session, |member| member.session) {
            Ok(at) => members[at] = new,
            Err(at) => members.insert(at, new),
        }
    }

    fn group(&mut self, filter: &Arc<str>) -> &mut Vec<Match> {
        let at = self.groups.iter().position(|group| group.filter == *filter);
        let at = at.unwrap_or_else(|| {
            self.groups.push(Group { filter: Arc::clone(filter), members: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[at].members
    }

    /// Takes a session out.
    pub(super) fn remove(&mut self, shared: Option<&str>, session: SessionId) {
        let Some(filter) = shared else { return remove(&mut self.members, session) };
        if let Some(group) = self.groups.iter_mut().find(|group| *group.filter == *filter) {
            remove(&mut group.members, session);
        }
        self.groups.retain(|group| !group.members.is_empty());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.groups.is_empty()
    }
}

fn remove(members: &mut Vec<Match>, session: SessionId) {
    if let Ok(at) = members.binary_search_by_key(&session, |member| member.session) {
        members.remove(at);
    }
}
