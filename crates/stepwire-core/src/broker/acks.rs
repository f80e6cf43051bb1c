//! A client's answers to what was sent to it (MQTT 5.0, 4.3 and 4.9).

use std::sync::Arc;

use super::session::{Queued, SessionId};
use super::write::Write;
use super::{Broker, Turn};
use crate::message::QoS;
use crate::mqtt::{Ack, Packet, ReasonCode};

impl Broker {
    /// PUBACK: a QoS 1 message has arrived. One for an unknown message says nothing.
    pub(super) fn publish_done(&mut self, id: SessionId, ack: Ack, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        if let Some((number, queued)) = session.queue.in_flight(ack.packet_id)
            && queued.qos == QoS::AtLeastOnce
        {
            self.drop_queued(id, number, turn);
            self.send_queued(id, turn);
        }
    }

    /// PUBREC: a QoS 2 message has arrived, or was refused.
    pub(super) fn publish_received(&mut self, id: SessionId, ack: Ack, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let Some(link) = &session.link else { return };
        let (connection, packet_id) = (link.connection, ack.packet_id);
        let mut reason = ReasonCode::PacketIdentifierNotFound;
        if let Some((number, queued)) = session.queue.in_flight(packet_id)
            && queued.qos == QoS::ExactlyOnce
        {
            if ack.reason.is_error() {
                self.drop_queued(id, number, turn);
                return self.send_queued(id, turn);
            }
            reason = ReasonCode::Success;
            if queued.message.is_some() {
                let released = Queued { message: None, sent: true, ..queued.clone() };
                let client = Arc::clone(&session.record.client.id);
                let stored = session.record.stored;
                let write = Write::Queued { client, number, queued: Some(released) };
                self.note(stored, write, turn.out);
            }
        }
        turn.send(connection, Packet::PubRel(Ack { packet_id, reason }));
    }

    /// PUBCOMP: the client will not ask for this message again.
    pub(super) fn publish_complete(&mut self, id: SessionId, ack: Ack, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        if let Some((number, queued)) = session.queue.in_flight(ack.packet_id)
            && queued.qos == QoS::ExactlyOnce
            && queued.message.is_none()
        {
            self.drop_queued(id, number, turn);
            self.send_queued(id, turn);
        }
    }
}
