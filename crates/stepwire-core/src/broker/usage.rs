//! What sessions take: kept in step by `apply`, compared with the [`Budget`](super::Budget).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::Identity;
use super::session::{Session, SessionId, SessionRecord};

/// What a session takes besides its will and its subscriptions, about.
pub(super) const SESSION_BYTES: usize = 1_024;
/// What a subscription takes besides its filter, about: its places in the session and in the tree.
pub(super) const SUBSCRIPTION_BYTES: usize = 160;

/// Sums over all sessions.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Sessions that are connected or last.
    pub(super) sessions: usize,
    /// Bytes of sessions, their wills and their subscriptions.
    pub(super) session_bytes: usize,
    pub(super) subscriptions: usize,
    pub(super) queued_bytes: usize,
    by_certificate: BTreeMap<Arc<str>, usize>,
    /// Client identifiers without a session, by when the last one ended.
    remembered: BTreeSet<(Timestamp, SessionId)>,
}

impl Usage {
    /// Sessions of one certificate.
    pub(super) fn of_certificate(&self, id: &str) -> usize {
        self.by_certificate.get(id).copied().unwrap_or(0)
    }

    /// The client identifier that was left alone longest, if more than `max` are remembered.
    pub(super) fn too_old(&self, max: usize) -> Option<SessionId> {
        let is_over = self.remembered.len() > max;
        self.remembered.first().filter(|_| is_over).map(|(_, id)| *id)
    }

    pub(super) fn add_record(&mut self, id: SessionId, record: &SessionRecord) {
        self.session_bytes += bytes_of(record);
        if !record.is_live() {
            self.remembered.insert((record.since, id));
            return;
        }
        self.sessions += 1;
        if let Identity::Certificate(certificate) = &record.client.identity {
            *self.by_certificate.entry(Arc::clone(certificate)).or_default() += 1;
        }
    }

    pub(super) fn remove_record(&mut self, id: SessionId, record: &SessionRecord) {
        self.session_bytes -= bytes_of(record);
        if !record.is_live() {
            self.remembered.remove(&(record.since, id));
            return;
        }
        self.sessions -= 1;
        if let Identity::Certificate(certificate) = &record.client.identity
            && let Some(count) = self.by_certificate.get_mut(certificate)
        {
            *count -= 1;
            if *count == 0 {
                self.by_certificate.remove(certificate);
            }
        }
    }

    pub(super) fn add_subscription(&mut self, filter: &str) {
        self.subscriptions += 1;
        self.session_bytes += filter.len() + SUBSCRIPTION_BYTES;
    }

    pub(super) fn remove_subscription(&mut self, filter: &str) {
        self.subscriptions -= 1;
        self.session_bytes -= filter.len() + SUBSCRIPTION_BYTES;
    }

    /// The sums, to compare.
    #[cfg(test)]
    pub(super) fn sums(&self) -> ([usize; 5], &BTreeMap<Arc<str>, usize>) {
        let Usage { sessions, session_bytes, subscriptions, queued_bytes, .. } = *self;
        let remembered = self.remembered.len();
        ([sessions, session_bytes, subscriptions, queued_bytes, remembered], &self.by_certificate)
    }

    pub(super) fn remove_session(&mut self, id: SessionId, session: &Session) {
        self.remove_record(id, &session.record);
        session.subscriptions.keys().for_each(|filter| self.remove_subscription(filter));
        self.queued_bytes -= session.queue.bytes();
    }
}

fn bytes_of(record: &SessionRecord) -> usize {
    let will = record.will.as_ref();
    let will =
        will.map_or(0, |will| will.topic.len() + will.payload.len() + will.properties.bytes());
    SESSION_BYTES + record.client.id.len() + will
}
