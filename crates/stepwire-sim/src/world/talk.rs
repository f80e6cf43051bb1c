//! The writer and the reader in the world.

use stepwire_core::broker::ConnectionId;
use stepwire_core::mqtt::{ConnAck, Packet};

use super::{Event, Talker, Who, World};
use crate::chatter::Line;

/// Identifier of the writer's certificate.
pub(super) const WRITER_CERTIFICATE: &str =
    "00000000000000000000000000000000000000000000000000000000000000f1";
/// Identifier of the reader's certificate.
pub(super) const READER_CERTIFICATE: &str =
    "00000000000000000000000000000000000000000000000000000000000000f2";
/// Identifiers of the certificates of those who share.
pub(super) const SHARER_CERTIFICATES: [&str; 2] = [
    "00000000000000000000000000000000000000000000000000000000000000f3",
    "00000000000000000000000000000000000000000000000000000000000000f4",
];
/// The reader's last connection lasts at least this long: everything that waits for it comes.
const LAST_MS: i64 = 20_000;
/// Those who share have only to take what is left for them.
const SHARED_MS: i64 = 2_000;

impl World {
    fn line(&mut self, talker: Talker) -> &mut Line {
        match talker {
            Talker::Writer => &mut self.writer.line,
            Talker::Reader => &mut self.reader.line,
            Talker::Sharer(at) => &mut self.sharers[at].line,
        }
    }

    pub(super) fn dial(&mut self, talker: Talker) {
        if self.server.is_none() {
            let again = self.dice.between(50, 500);
            return self.at(again, Event::Dial(talker));
        }
        let connect = match talker {
            Talker::Writer => self.writer.connect(),
            Talker::Reader => self.reader.connect(),
            Talker::Sharer(at) => self.sharers[at].connect(),
        };
        let connection = self.open(Who::Talker(talker), connect);
        let line = self.line(talker);
        line.connection = Some(connection);
        line.accepted = false;
        let last = self.writer.left;
        let lasts = match talker {
            Talker::Reader if last => {
                self.reader.farewell = Some(connection);
                LAST_MS
            }
            Talker::Sharer(at) if last => {
                self.sharers[at].farewell = Some(connection);
                SHARED_MS
            }
            Talker::Sharer(_) => self.dice.between(1_500, 9_000),
            _ => self.dice.between(400, 5_000),
        };
        self.at(lasts, Event::HangUp(talker, connection));
    }

    pub(super) fn reach_talker(
        &mut self,
        talker: Talker,
        connection: ConnectionId,
        packet: &Packet,
    ) {
        if self.line(talker).connection != Some(connection) {
            return;
        }
        if let Packet::ConnAck(ack) = packet {
            return self.accepted(talker, connection, ack);
        }
        let wills = self.reader.wills.len();
        let reply = match talker {
            Talker::Writer => self.writer.receive(packet),
            Talker::Reader => self.reader.receive(packet),
            Talker::Sharer(at) => self.sharers[at].receive(packet),
        };
        if let Some(reply) = reply {
            self.send(connection, reply);
        }
        if self.reader.wills.len() > wills {
            self.marks.sometimes("will published");
        }
        let shared = !self.shares || self.sharers.iter().all(|sharer| sharer.subscribed);
        let all = self.reader.subscribed && shared;
        if all && !self.written {
            self.written = true;
            self.at(0, Event::Dial(Talker::Writer));
            self.at(10, Event::Write);
        }
    }

    fn accepted(&mut self, talker: Talker, connection: ConnectionId, ack: &ConnAck) {
        if ack.reason.is_error() {
            return self.checks.problem(format!("the {talker:?} was refused: {}", ack.reason));
        }
        let life = self.life;
        let line = self.line(talker);
        let (known, before) = (line.known, line.life);
        (line.accepted, line.known, line.life) = (true, true, life);
        let wiped = talker == Talker::Sharer(0) && self.wiped;
        if wiped && !ack.session_present {
            self.sharers[0].wiped();
        }
        if known && !ack.session_present && !wiped {
            self.checks.problem(format!("P1: the session of the {talker:?} is lost"));
        }
        if known && before < life {
            self.marks.sometimes("session resumed after a crash");
        }
        let packets = match talker {
            Talker::Writer => self.writer.again(),
            Talker::Reader => self.reader.subscribe().into_iter().collect(),
            Talker::Sharer(at) => self.sharers[at].subscribe().into_iter().collect(),
        };
        for packet in packets {
            self.send(connection, packet);
        }
    }

    pub(super) fn write(&mut self) {
        if let Some(packet) = self.writer.write()
            && let Some(connection) = self.writer.line.connection
        {
            self.send(connection, packet);
        }
        if !self.writer.is_done() {
            let next = self.dice.between(50, 700);
            self.at(next, Event::Write);
        }
    }

    pub(super) fn hang_up(&mut self, talker: Talker, connection: ConnectionId) {
        if self.line(talker).connection != Some(connection) {
            return;
        }
        let over = match talker {
            Talker::Writer => self.writer.is_done(),
            Talker::Reader => self.reader.farewell == Some(connection),
            Talker::Sharer(at) => self.sharers[at].farewell == Some(connection),
        };
        if over {
            self.writer.left |= talker == Talker::Writer;
            *self.line(talker) = Line::default();
            return self.goodbye(connection);
        }
        match self.dice.between(0, 3) {
            // Gone without a trace: the next connect has to take the session over.
            0 => {}
            1 | 2 => {
                let notices = self.dice.between(0, 40);
                self.at(notices, Event::Gone(connection));
            }
            _ => self.goodbye(connection),
        }
        self.cut_off(talker, connection);
    }

    /// The connection is gone; there will be another.
    pub(super) fn cut_off(&mut self, talker: Talker, connection: ConnectionId) {
        let line = self.line(talker);
        if line.connection != Some(connection) {
            return;
        }
        line.connection = None;
        line.accepted = false;
        let pause = self.dice.between(20, 1_500);
        self.at(pause, Event::Dial(talker));
    }
}
