//! What goes over the network, and what devices do with it.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::Input;
use stepwire_core::broker::{self, ConnectionId, Principal};
use stepwire_core::mqtt::{Connect, Disconnect, Packet};

use super::{Event, Talker, Way, Who, Wire, World, talk};
use crate::device::{Habit, Reaction, forged, principal};

impl World {
    /// Milliseconds until a packet sent now on a connection arrives.
    pub(super) fn arrival(&mut self, connection: ConnectionId, way: Way) -> i64 {
        let at = self.now.plus_ms(self.dice.between(0, 12));
        let last = self.arrivals.entry((connection, way)).or_insert(at);
        *last = at.max(*last);
        last.since_ms(self.now)
    }

    pub(super) fn send(&mut self, connection: ConnectionId, packet: Packet) {
        let at = self.arrival(connection, Way::ToServer);
        self.at(at, Event::Arrives(connection, Box::new(packet)));
    }

    /// Whether a connection leads to the process that runs now.
    pub(super) fn leads_here(&self, connection: ConnectionId) -> bool {
        self.connections.get(&connection).is_some_and(|wire| wire.life == self.life)
    }

    pub(super) fn arrives(&mut self, connection: ConnectionId, packet: Packet) {
        let Some(&Wire { who, life }) = self.connections.get(&connection) else { return };
        if life != self.life {
            return;
        }
        let input = match packet {
            Packet::Connect(connect) => {
                broker::Input::Connect { connection, principal: self.principal(who), connect }
            }
            packet => broker::Input::Packet { connection, packet },
        };
        self.input(Input::Device(input));
    }

    fn principal(&self, who: Who) -> Principal {
        match who {
            Who::Device(device) => principal(&self.devices[device].certificate),
            Who::Talker(Talker::Writer) => principal(&talk::WRITER_CERTIFICATE.into()),
            Who::Talker(Talker::Reader) => principal(&talk::READER_CERTIFICATE.into()),
        }
    }

    /// Opens a connection to the process that runs now and sends `connect` on it.
    pub(super) fn open(&mut self, who: Who, connect: Connect) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.connections.insert(connection, Wire { who, life: self.life });
        self.send(connection, Packet::Connect(Box::new(connect)));
        connection
    }

    /// Says goodbye on a connection and closes it.
    pub(super) fn goodbye(&mut self, connection: ConnectionId) {
        self.send(connection, Packet::Disconnect(Disconnect::default()));
        let at = self.arrival(connection, Way::ToServer);
        self.at(at + 1, Event::Gone(connection));
    }

    pub(super) fn connect(&mut self, device: usize) {
        if self.server.is_none() {
            let again = self.dice.between(50, 500);
            return self.at(again, Event::Connect(device));
        }
        if self.devices[device].connection.is_some() {
            self.marks.sometimes("device taken over by itself");
        }
        let connection = self.open(Who::Device(device), self.devices[device].connect());
        let model = &mut self.devices[device];
        model.connection = Some(connection);
        model.accepted = false;
        model.sessions_left = model.sessions_left.saturating_sub(1);
        // Every session ends, whatever happens in it.
        let longest = self.dice.between(20_000, 60_000);
        self.at(longest, Event::Leave(device, connection));
    }

    pub(super) fn delivered(&mut self, connection: ConnectionId, packet: &Packet) {
        match self.connections.get(&connection) {
            Some(Wire { who: Who::Device(device), .. }) => {
                self.reach_device(*device, connection, packet);
            }
            Some(Wire { who: Who::Talker(talker), .. }) => {
                self.reach_talker(*talker, connection, packet);
            }
            None => {}
        }
    }

    fn reach_device(&mut self, device: usize, connection: ConnectionId, packet: &Packet) {
        if self.devices[device].connection != Some(connection) {
            return;
        }
        let habit = match self.dice.between(0, 9) {
            0 => Habit::Silent,
            1 => Habit::Late,
            2..=4 => Habit::Hasty,
            _ => Habit::Answers,
        };
        let last = self.devices.len() - 1;
        if let Packet::Publish(publish) = packet
            && device != last
            && self.dice.one_in(4)
            && let Some(operation) = operation(&publish.payload)
        {
            let soon = self.dice.between(0, 500);
            self.at(soon, Event::Forge(device, operation));
        }
        let reactions = self.devices[device].receive(packet, habit, &mut self.dice);
        for reaction in reactions {
            match reaction {
                Reaction::Send(after, packet) => {
                    self.at(after, Event::Send(device, connection, Box::new(packet)));
                }
                Reaction::Answer(after, operation) => {
                    self.at(after, Event::Answer(device, operation));
                }
                Reaction::Acknowledged(operation) => {
                    self.marks.sometimes("device answered");
                    self.acknowledged.push((operation, self.now));
                }
                Reaction::Done => {
                    let after = self.dice.between(100, 6_000);
                    self.at(after, Event::Leave(device, connection));
                }
                Reaction::Refused => self.refused(device),
            }
        }
    }

    pub(super) fn answer(&mut self, device: usize, operation: &Arc<str>) {
        self.nonce += 1;
        let model = &mut self.devices[device];
        let connected = model.connection.filter(|_| model.accepted);
        let packet = model.answer(operation, self.nonce);
        if let Some(connection) = connected {
            self.send(connection, packet);
        }
    }

    pub(super) fn leave(&mut self, device: usize, connection: ConnectionId) {
        if self.devices[device].connection != Some(connection) {
            return;
        }
        // Some connect again without a word: the server has to take the session over.
        if self.devices[device].sessions_left > 0 && self.dice.one_in(6) {
            return self.connect(device);
        }
        match self.dice.between(0, 5) {
            // Gone without a trace: the keep-alive has to notice, or the next connect.
            0 => {}
            1 | 2 => {
                let notices = self.dice.between(0, 40);
                self.at(notices, Event::Gone(connection));
            }
            _ => self.goodbye(connection),
        }
        self.lost(connection);
    }

    pub(super) fn lost(&mut self, connection: ConnectionId) {
        let device = match self.connections.get(&connection) {
            Some(Wire { who: Who::Device(device), .. }) => *device,
            Some(Wire { who: Who::Talker(talker), .. }) => {
                return self.cut_off(*talker, connection);
            }
            None => return,
        };
        if self.devices[device].connection != Some(connection) {
            return;
        }
        let again = self.devices[device].lost();
        if again {
            self.marks.sometimes("answer sent again after a lost PUBACK");
        }
        if again
            || !self.devices[device].pending.is_empty()
            || self.devices[device].sessions_left > 0
        {
            let pause = self.dice.between(20, 2_500);
            self.at(pause, Event::Connect(device));
        }
    }

    /// The device with too broad a policy answers in another's name.
    pub(super) fn forge(&mut self, victim: usize, operation: &Arc<str>) {
        let rogue = self.devices.len() - 1;
        let model = &self.devices[rogue];
        if let Some(connection) = model.connection.filter(|_| model.accepted) {
            let packet = forged(&self.devices[victim].name, operation);
            self.send(connection, packet);
        }
    }
}

fn operation(payload: &[u8]) -> Option<Arc<str>> {
    let request = Json::parse_bytes(payload).ok()?;
    request.member("operationId").and_then(Json::as_str).map(Arc::from)
}
