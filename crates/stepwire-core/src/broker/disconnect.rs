//! How connections and sessions end (MQTT 5.0, 3.14, 3.1.2.5 and 4.1).

use std::sync::Arc;

use super::connect::may_publish_will;
use super::ending::{Ending, WillFate};
use super::session::{REMEMBERED_MS, SessionId, SessionRecord};
use super::state::session_writes;
use super::write::Write;
use super::{Broker, Cause, Closed, Turn, presence};
use crate::message::{Client, Message, Origin};
use crate::mqtt::{Disconnect, ReasonCode, Will};

impl Broker {
    pub(super) fn client_disconnect(
        &mut self,
        id: SessionId,
        disconnect: &Disconnect,
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.get(id) else { return };
        let Some(link) = &session.link else { return };
        let connection = link.connection;
        if let Some(expiry_s) = disconnect.session_expiry_s {
            if session.record.expiry_s == 0 && expiry_s > 0 {
                return self.fail(id, ReasonCode::ProtocolError, turn);
            }
            self.change_expiry(id, expiry_s, turn);
        }
        turn.out.closes.push((connection, None));
        let ending = match disconnect.reason {
            ReasonCode::DisconnectWithWill => Ending::GoodbyeWithWill,
            reason if reason.is_error() => Ending::GoodbyeWithWill,
            _ => Ending::Goodbye,
        };
        self.end(id, ending, turn);
    }

    fn change_expiry(&mut self, id: SessionId, expiry_s: u32, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let expiry_s =
            expiry_s.min(turn.limits_of(session.record.client.profile).session_expiry_s_max);
        let record = SessionRecord { expiry_s, ..SessionRecord::clone(&session.record) };
        self.record_session(record, turn);
    }

    /// Closes a connection on which the client broke the protocol.
    pub(super) fn fail(&mut self, id: SessionId, reason: ReasonCode, turn: &mut Turn<'_>) {
        if let Some(session) = self.sessions.get(id) {
            turn.cut_off(&Arc::clone(&session.record.client), Cause::of(reason), reason);
        }
        self.close(id, reason, Ending::ClientError, turn);
    }

    /// Closes the connection of a session, if it has one.
    pub(super) fn close(
        &mut self,
        id: SessionId,
        reason: ReasonCode,
        ending: Ending,
        turn: &mut Turn<'_>,
    ) {
        let link = self.sessions.get(id).and_then(|session| session.link.as_ref());
        if let Some(link) = link {
            turn.out.closes.push((link.connection, Some(reason)));
            self.end(id, ending, turn);
        }
    }

    /// The connection of a session is gone, or the listener has closed it.
    pub(super) fn closed(&mut self, id: SessionId, closed: Closed, turn: &mut Turn<'_>) {
        let cut_off = match closed {
            Closed::ProtocolError(reason) => Some((Cause::of(reason), reason)),
            Closed::TooSlow => Some((Cause::TooSlow, ReasonCode::QuotaExceeded)),
            Closed::NoRoom => Some((Cause::Memory, ReasonCode::QuotaExceeded)),
            Closed::Lost | Closed::Shutdown => None,
        };
        if let Some((cause, reason)) = cut_off
            && let Some(session) = self.sessions.get(id)
        {
            turn.cut_off(&Arc::clone(&session.record.client), cause, reason);
        }
        self.end(id, Ending::from(closed), turn);
    }

    /// The connection of a session is gone.
    pub(super) fn end(&mut self, id: SessionId, ending: Ending, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(link) = session.link.take() else { return };
        session.queue.reset();
        self.connections.swap_remove(&link.connection);
        self.note_closed(id);
        self.go_offline(id, ending, turn);
    }

    /// Records that a client is away, tells so, and settles its will and session.
    pub(super) fn go_offline(&mut self, id: SessionId, ending: Ending, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let mut record = SessionRecord::clone(&session.record);
        record.connected = false;
        record.since = turn.now;
        record.disconnect_reason = Some(ending.reason());
        let will = record.will.take().filter(|_| ending.will() == WillFate::Published);
        let delay_s = will.as_ref().map_or(0, |will| will.delay_s.min(record.expiry_s));
        let mut due = will;
        if delay_s > 0 {
            record.will = due.take();
            record.will_at = Some(turn.now.plus_ms(i64::from(delay_s) * 1000));
        }
        if record.expiry_s == 0 {
            self.forget_state(id, turn);
            record.stored = false;
        }
        let event = presence::disconnected(&record, ending.reason());
        let client = Arc::clone(&record.client);
        self.record_session(record, turn);
        self.announce(event, turn);
        if let Some(will) = due {
            self.publish_will(id, &client, &will, turn);
        }
    }

    /// Drops the will of an absent client, if it is still to come.
    pub(super) fn forget_will(&mut self, id: SessionId, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        if session.record.will.is_some() {
            let record = SessionRecord::clone(&session.record);
            self.record_session(SessionRecord { will: None, will_at: None, ..record }, turn);
        }
    }

    /// The session of an absent client ends: its will is due, its state goes.
    pub(super) fn end_session(&mut self, id: SessionId, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let mut record = SessionRecord::clone(&session.record);
        let will = record.will.take();
        if record.ends_at().is_some_and(|end| end <= turn.now) {
            record.next_version = 0;
        }
        (record.will_at, record.expiry_s, record.stored) = (None, 0, false);
        let client = Arc::clone(&record.client);
        self.forget_state(id, turn);
        if turn.now.since_ms(record.since) < REMEMBERED_MS {
            self.record_session(record, turn);
        } else {
            let client = Arc::clone(&client.id);
            self.record(Write::Session { client, record: None }, turn.out);
        }
        if let Some(will) = will {
            self.publish_will(id, &client, &will, turn);
        }
    }

    /// Something is due for a session: silence, a delayed will, or its end.
    pub(super) fn session_due(&mut self, id: SessionId, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.deadline = None;
        let due = session.due().is_some_and(|at| at <= turn.now);
        if !due {
            return self.reschedule(id);
        }
        if session.link.is_some() {
            return self.close(id, ReasonCode::KeepAliveTimeout, Ending::Silent, turn);
        }
        let record = Arc::clone(&session.record);
        if record.expiry_s > 0 && record.ends_at().is_some_and(|end| end <= turn.now) {
            return self.end_session(id, turn);
        }
        match (&record.will, record.will_at) {
            (Some(will), Some(at)) if at <= turn.now => {
                let sent =
                    SessionRecord { will: None, will_at: None, ..SessionRecord::clone(&record) };
                self.record_session(sent, turn);
                self.publish_will(id, &record.client, will, turn);
            }
            _ => {
                let client = Arc::clone(&record.client.id);
                self.record(Write::Session { client, record: None }, turn.out);
            }
        }
    }

    /// Takes everything of a session away but its record. What it got for a group goes to another
    /// of the group.
    fn forget_state(&mut self, id: SessionId, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let stored = session.record.stored;
        let unclaimed = session.queue.unclaimed();
        for write in session_writes(&session.record.client.id, session) {
            self.note(stored, write.removal(), turn.out);
        }
        self.give_up_confirmations(id, turn);
        for (filter, message) in unclaimed {
            self.pass_on(&filter, &message, turn);
        }
    }

    fn record_session(&mut self, record: SessionRecord, turn: &mut Turn<'_>) {
        let client = Arc::clone(&record.client.id);
        self.record(Write::Session { client, record: Some(Arc::new(record)) }, turn.out);
    }

    fn publish_will(
        &mut self,
        id: SessionId,
        client: &Arc<Client>,
        will: &Will,
        turn: &mut Turn<'_>,
    ) {
        if let Err(action) = may_publish_will(client, will, turn) {
            return turn.refuse(&client.id, action, &will.topic, "not authorized");
        }
        let message = Message {
            topic: Arc::clone(&will.topic),
            payload: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
            properties: will.properties.clone(),
            origin: Origin::Client(Arc::clone(client)),
            at: turn.now,
        };
        self.accept(&message, Some(id), turn);
        turn.out.messages.push(message);
    }
}
