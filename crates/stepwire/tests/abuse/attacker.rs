//! Clients byte by byte: one that attacks, and one that behaves and is watched.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;

/// Nothing that is waited for takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one message of a client that behaves may take while others misbehave: on a machine
/// that runs other tests too.
const UNHARMED: Duration = Duration::from_secs(5);

/// A connection to do harm with.
pub(crate) struct Attacker(TcpStream);

impl Attacker {
    /// Connects to `listener`, `mqtt` or `mqtts`, and says nothing.
    pub(crate) fn open(server: &Server, listener: &str) -> Attacker {
        let stream = TcpStream::connect(server.address(listener)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Attacker(stream)
    }

    /// Connects as client `id` with protocol level 4 or 5, and is let in.
    pub(crate) fn online(server: &Server, level: u8, id: &str) -> Attacker {
        let mut attacker = Attacker::open(server, "mqtt");
        attacker.hello(level, id);
        let connack = attacker.packet();
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
        attacker
    }

    /// Sends CONNECT.
    pub(crate) fn hello(&mut self, level: u8, id: &str) {
        let properties: &[u8] = if level == 5 { b"\0" } else { b"" };
        let body = [text("MQTT"), vec![level, 0x02, 0, 0], properties.to_vec(), text(id)].concat();
        self.send(&packet(0x10, &body));
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Sends, unless the server has closed already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// The next packet.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        self.try_packet().expect("a packet comes")
    }

    /// The next packet; `None` if the connection ends first.
    pub(crate) fn try_packet(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 2];
        self.0.read_exact(&mut packet).ok()?;
        let mut length = usize::from(packet[1] & 0x7F);
        let mut shift = 7;
        while packet.last().is_some_and(|byte| byte & 0x80 > 0) {
            packet.push(0);
            let last = packet.len() - 1;
            self.0.read_exact(&mut packet[last..]).ok()?;
            length |= usize::from(packet[last] & 0x7F) << shift;
            shift += 7;
        }
        let head = packet.len();
        packet.resize(head + length, 0);
        self.0.read_exact(&mut packet[head..]).ok()?;
        Some(packet)
    }

    /// Everything that comes until the connection ends, which it must.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let (mut rest, mut part) = (Vec::new(), [0; 4_096]);
        loop {
            match self.0.read(&mut part) {
                Ok(0) => return rest,
                Ok(count) => rest.extend(&part[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return rest,
                Err(error) => panic!("the connection is still open: {error}"),
            }
        }
    }
}

/// A client that behaves.
pub(crate) struct Canary {
    connection: Attacker,
    topic: String,
}

impl Canary {
    /// Connects, and subscribes to a topic of its own with QoS 1.
    pub(crate) fn online(server: &Server, id: &str) -> Canary {
        let mut connection = Attacker::online(server, 5, id);
        let topic = format!("song/{id}");
        connection.send(&subscribe(&topic, 1));
        assert_eq!(connection.packet()[0], 0x90);
        Canary { connection, topic }
    }

    /// A hundred messages with QoS 1 make their way to it, each in time.
    pub(crate) fn flow(&mut self) {
        for number in 1..=100_u16 {
            let sent = Instant::now();
            self.connection.send(&publish(&self.topic, &number.to_be_bytes(), 1, number));
            let (mut answered, mut arrived) = (false, false);
            while !(answered && arrived) {
                let packet = self.connection.packet();
                match packet[0] >> 4 {
                    4 => answered = true,
                    3 => {
                        arrived = true;
                        let at = 4 + self.topic.len();
                        let packet_id = packet[at..at + 2].to_vec();
                        self.connection.send(&[vec![0x40, 2], packet_id].concat());
                    }
                    other => panic!("packet type {other}"),
                }
            }
            assert!(sent.elapsed() < UNHARMED, "message {number} took {:?}", sent.elapsed());
        }
    }
}

/// A packet of any length.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length & 0x7F).unwrap();
        length >>= 7;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A length and the text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// PUBLISH of MQTT 5.0.
pub(crate) fn publish(topic: &str, payload: &[u8], qos: u8, id: u16) -> Vec<u8> {
    publish_as(5, topic, payload, qos, id)
}

/// PUBLISH of protocol level 4 or 5.
pub(crate) fn publish_as(level: u8, topic: &str, payload: &[u8], qos: u8, id: u16) -> Vec<u8> {
    let id = if qos > 0 { id.to_be_bytes().to_vec() } else { Vec::new() };
    let properties: &[u8] = if level == 5 { b"\0" } else { b"" };
    packet(0x30 | qos << 1, &[text(topic), id, properties.to_vec(), payload.to_vec()].concat())
}

/// SUBSCRIBE of MQTT 5.0 with one filter.
pub(crate) fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    packet(0x82, &[b"\0\x01\0".to_vec(), text(filter), vec![qos]].concat())
}

/// CONNECT of MQTT 5.0 for a session that lasts, with this will: topic and payload.
pub(crate) fn connect_lasting(id: &str, will: &[u8]) -> Vec<u8> {
    let flags = vec![5, 0x06, 0, 0];
    let expiry = b"\x05\x11\xFF\xFF\xFF\xFF".to_vec();
    // the will waits as long as the session
    let will = [b"\x05\x18\xFF\xFF\xFF\xFF", will].concat();
    packet(0x10, &[text("MQTT"), flags, expiry, text(id), will].concat())
}

/// What the node holds in memory.
pub(crate) fn resident_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Whether something becomes true in time.
pub(crate) fn wait_for(mut is_true: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if is_true() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}
