//! How writes become state, live and in recovery.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::session::{Session, SessionId, Subscription};
use super::subscribers::Subscribers;
use super::topic::{Filter, has_wildcard};
use super::tree::Keep;
use super::write::Write;
use super::{Broker, Deadline, Limits, Out};
use crate::read::Key;
use crate::record::Corrupt;

impl Broker {
    /// Folds one change in. The only way that durable state changes.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Session { client, record: Some(record) } => {
                let id = match self.sessions.by_client_mut(client) {
                    Some((id, session)) => {
                        let old = std::mem::replace(&mut session.record, Arc::clone(record));
                        self.usage.remove_record(id, &old);
                        id
                    }
                    None => {
                        self.sessions.insert(Arc::clone(client), Session::new(Arc::clone(record)))
                    }
                };
                self.usage.add_record(id, record);
                self.reschedule(id);
            }
            Write::Session { client, record: None } => self.remove_session(client),
            Write::Subscription { client, filter, subscription } => {
                self.apply_subscription(client, filter, *subscription);
            }
            Write::Received { client, packet_id, open } => {
                if let Some((_, session)) = self.sessions.by_client_mut(client) {
                    if *open {
                        session.received.insert(*packet_id);
                    } else {
                        session.received.remove(packet_id);
                    }
                }
            }
            Write::Sent { client, up_to } => {
                if let Some((_, session)) = self.sessions.by_client_mut(client) {
                    session.queue.apply_mark(*up_to);
                }
            }
            Write::Queued { client, number, queued } => {
                if let Some((_, session)) = self.sessions.by_client_mut(client) {
                    let before = session.queue.bytes();
                    session.queue.apply(*number, queued.as_ref());
                    self.usage.queued_bytes += session.queue.bytes();
                    self.usage.queued_bytes -= before;
                }
            }
            Write::Retained { topic, message } => self.retained.apply(topic, message.as_ref()),
            Write::Held { number, held } => {
                if let Some(old) = self.held.apply(*number, held.as_ref()) {
                    self.deadlines.remove(&(old.until, Deadline::Held(*number)));
                }
                if let Some(held) = held {
                    self.deadlines.insert((held.until, Deadline::Held(*number)));
                }
            }
        }
    }

    /// Takes one stored entry of [`Broker::SPACES`] in, in key order.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&Write::from_entry(key, value)?);
        Ok(())
    }

    /// Everything that is durable, as it is in the store.
    pub fn durable(&self) -> BTreeMap<Key, Vec<u8>> {
        let mut entries = BTreeMap::new();
        let mut add = |write: &Write| {
            if let (key, Some(value)) = write.entry() {
                entries.insert(key, value);
            }
        };
        for (client, session) in self.sessions.iter() {
            let record = Some(Arc::clone(&session.record));
            add(&Write::Session { client: Arc::clone(client), record });
            if session.record.stored {
                session_writes(client, session).iter().for_each(&mut add);
            }
        }
        self.retained.writes().for_each(|write| add(&write));
        self.held.writes().for_each(|write| add(&write));
        entries
    }

    /// The one door: folds a change in and asks for it to be durable.
    pub(super) fn record(&mut self, write: Write, out: &mut Out) {
        self.apply(&write);
        out.writes.push(write);
    }

    /// The door for state of one session, which is durable only if the session is `stored`.
    pub(super) fn note(&mut self, stored: bool, write: Write, out: &mut Out) {
        self.apply(&write);
        if stored {
            out.writes.push(write);
        }
    }

    /// Brings the session's deadline in line with its record and connection.
    pub(super) fn reschedule(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let due = session.due();
        if due == session.deadline {
            return;
        }
        if let Some(old) = std::mem::replace(&mut session.deadline, due) {
            self.deadlines.remove(&(old, Deadline::Session(id)));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, Deadline::Session(id)));
        }
    }

    fn remove_session(&mut self, client: &str) {
        let Some((id, session)) = self.sessions.remove(client) else { return };
        self.usage.remove_session(id, &session);
        if let Some(due) = session.deadline {
            self.deadlines.remove(&(due, Deadline::Session(id)));
        }
        for filter in session.subscriptions.keys() {
            unsubscribe(&mut self.subscribers, filter, id);
        }
        if let Some(link) = session.link {
            self.connections.swap_remove(&link.connection);
        }
    }

    fn apply_subscription(
        &mut self,
        client: &str,
        filter: &Arc<str>,
        subscription: Option<Subscription>,
    ) {
        let Some((id, session)) = self.sessions.by_client_mut(client) else { return };
        let is_wild = usize::from(has_wildcard(filter));
        let Some(subscription) = subscription else {
            if session.subscriptions.remove(filter).is_some() {
                session.wildcards -= is_wild;
                self.usage.remove_subscription(filter);
            }
            return unsubscribe(&mut self.subscribers, filter, id);
        };
        if session.subscriptions.insert(Arc::clone(filter), subscription).is_none() {
            session.wildcards += is_wild;
            self.usage.add_subscription(filter);
        }
        if let Some(Filter { group, path }) = Filter::parse(filter, &Limits::UNLIMITED) {
            let shared = group.map(|_| filter);
            self.subscribers.entry(path).put(shared, id, subscription);
        }
    }
}

fn unsubscribe(subscribers: &mut super::FilterTree<Subscribers>, filter: &str, id: SessionId) {
    if let Some(Filter { group, path }) = Filter::parse(filter, &Limits::UNLIMITED) {
        let shared = group.map(|_| filter);
        subscribers.update(path, |subscribers| {
            subscribers.remove(shared, id);
            if subscribers.is_empty() { Keep::No } else { Keep::Yes }
        });
    }
}

/// The state of a session, without its record.
pub(super) fn session_writes(client: &Arc<str>, session: &Session) -> Vec<Write> {
    let client = || Arc::clone(client);
    let mut writes = Vec::new();
    for (filter, subscription) in &session.subscriptions {
        let (filter, subscription) = (Arc::clone(filter), Some(*subscription));
        writes.push(Write::Subscription { client: client(), filter, subscription });
    }
    for &packet_id in &session.received {
        writes.push(Write::Received { client: client(), packet_id, open: true });
    }
    if session.queue.mark().is_some() {
        writes.push(Write::Sent { client: client(), up_to: session.queue.mark() });
    }
    for (number, queued) in session.queue.iter() {
        writes.push(Write::Queued { client: client(), number, queued: Some(queued.clone()) });
    }
    writes
}

impl Write {
    /// The change that takes this one back.
    pub(super) fn removal(self) -> Write {
        match self {
            Write::Session { client, .. } => Write::Session { client, record: None },
            Write::Subscription { client, filter, .. } => {
                Write::Subscription { client, filter, subscription: None }
            }
            Write::Received { client, packet_id, .. } => {
                Write::Received { client, packet_id, open: false }
            }
            Write::Sent { client, .. } => Write::Sent { client, up_to: None },
            Write::Queued { client, number, .. } => Write::Queued { client, number, queued: None },
            Write::Retained { topic, .. } => Write::Retained { topic, message: None },
            Write::Held { number, .. } => Write::Held { number, held: None },
        }
    }
}
