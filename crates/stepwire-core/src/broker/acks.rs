//! A client's answers to what was sent to it (MQTT 5.0, 4.3 and 4.9).

use std::sync::Arc;

use super::session::{Queued, SessionId};
use super::write::Write;
use super::{Broker, Turn};
use crate::message::QoS;
use crate::mqtt::{Ack, Packet, PacketId, ReasonCode};

/// Where the exchange about a packet identifier stands.
enum Exchange {
    /// The answer fits; the number of the message.
    Open(u64),
    /// Nothing is open under this identifier.
    Unknown,
    /// Another answer is due.
    Other,
}

impl Broker {
    /// PUBACK: a QoS 1 message has arrived. One for an unknown message says nothing.
    pub(super) fn publish_done(&mut self, id: SessionId, ack: Ack, turn: &mut Turn<'_>) {
        let expected = |queued: &Queued| queued.qos == QoS::AtLeastOnce;
        self.delivered(id, self.exchange(id, ack.packet_id, expected), turn);
    }

    /// PUBCOMP: the client will not ask for this QoS 2 message again.
    pub(super) fn publish_complete(&mut self, id: SessionId, ack: Ack, turn: &mut Turn<'_>) {
        let expected = |queued: &Queued| queued.message.is_none();
        self.delivered(id, self.exchange(id, ack.packet_id, expected), turn);
    }

    fn delivered(&mut self, id: SessionId, exchange: Exchange, turn: &mut Turn<'_>) {
        match exchange {
            Exchange::Open(number) => {
                self.drop_queued(id, number, turn);
                self.confirm((id, number), turn);
                self.send_queued(id, turn);
            }
            Exchange::Unknown => {}
            Exchange::Other => self.fail(id, ReasonCode::ProtocolError, turn),
        }
    }

    /// PUBREC: a QoS 2 message has arrived, or was refused.
    pub(super) fn publish_received(&mut self, id: SessionId, ack: Ack, turn: &mut Turn<'_>) {
        let expected = |queued: &Queued| queued.qos == QoS::ExactlyOnce;
        let exchange = self.exchange(id, ack.packet_id, expected);
        if ack.reason.is_error() {
            // the exchange ends here
            return self.delivered(id, exchange, turn);
        }
        let reason = match exchange {
            Exchange::Open(number) => {
                self.release(id, number, turn);
                ReasonCode::Success
            }
            Exchange::Unknown => ReasonCode::PacketIdentifierNotFound,
            Exchange::Other => return self.fail(id, ReasonCode::ProtocolError, turn),
        };
        let link = self.sessions.get(id).and_then(|session| session.link.as_ref());
        if let Some(link) = link {
            let release = Ack { packet_id: ack.packet_id, reason };
            turn.send(link.connection, Packet::PubRel(release));
        }
    }

    /// The client has the message; its identifier is in use until PUBCOMP.
    fn release(&mut self, id: SessionId, number: u64, turn: &mut Turn<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let (client, stored) = (Arc::clone(&session.record.client.id), session.record.stored);
        if let Some(queued) = session.queue.get(number)
            && queued.message.is_some()
        {
            let released = Queued { message: None, sent: true, ..queued.clone() };
            let write = Write::Queued { client, number, queued: Some(released) };
            self.note(stored, write, turn.out);
        }
    }

    fn exchange(
        &self,
        id: SessionId,
        packet_id: PacketId,
        expected: impl FnOnce(&Queued) -> bool,
    ) -> Exchange {
        let session = self.sessions.get(id);
        match session.and_then(|session| session.queue.in_flight(packet_id)) {
            None => Exchange::Unknown,
            Some((number, queued)) if expected(queued) => Exchange::Open(number),
            Some(_) => Exchange::Other,
        }
    }
}
