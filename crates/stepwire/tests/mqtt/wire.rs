//! A client byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::server::Server;

/// A connection without certificate, and nothing between the test and the bytes.
pub(crate) struct Wire(TcpStream);

/// What a CONNECT says.
#[derive(Clone, Copy)]
pub(crate) struct Hello<'a> {
    /// Protocol level: 4 or 5.
    pub(crate) level: u8,
    /// Client identifier.
    pub(crate) id: &'a str,
    /// Whether the session outlives the connection.
    pub(crate) persistent: bool,
    /// Keep-alive, in seconds.
    pub(crate) keep_alive_s: u16,
    /// Topic and payload of the will.
    pub(crate) will: Option<(&'a str, &'a str)>,
}

impl<'a> Hello<'a> {
    /// A clean session without keep-alive and will.
    pub(crate) fn new(level: u8, id: &'a str) -> Hello<'a> {
        Hello { level, id, persistent: false, keep_alive_s: 0, will: None }
    }

    /// The CONNECT.
    pub(crate) fn packet(self) -> Vec<u8> {
        let v5 = self.level == 5;
        let clean = if self.persistent { 0 } else { 0x02 };
        let flags = clean | if self.will.is_some() { 0x04 } else { 0 };
        let mut body = [text("MQTT"), vec![self.level, flags]].concat();
        body.extend(self.keep_alive_s.to_be_bytes());
        if v5 && self.persistent {
            body.extend(b"\x05\x11\xFF\xFF\xFF\xFF");
        } else if v5 {
            body.push(0);
        }
        body.extend(text(self.id));
        if let Some((topic, payload)) = self.will {
            body.extend(if v5 { &b"\0"[..] } else { b"" });
            body.extend([text(topic), text(payload)].concat());
        }
        packet(0x10, &body)
    }
}

/// A packet of less than 128 bytes.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128);
    [&[first, u8::try_from(body.len()).unwrap()], body].concat()
}

/// A length and the text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

impl Wire {
    /// Connects to `name`, `mqtt` or `mqtts`, and says nothing.
    pub(crate) async fn open(server: &Server, name: &str) -> Wire {
        Wire(TcpStream::connect(server.address(name)).await.unwrap())
    }

    /// Sends CONNECT; the connection and CONNACK.
    pub(crate) async fn connect(server: &Server, hello: Hello<'_>) -> (Wire, Vec<u8>) {
        let mut wire = Wire::open(server, "mqtt").await;
        wire.send(&hello.packet()).await;
        let connack = wire.packet().await;
        assert_eq!(connack[0], 0x20, "{connack:02x?}");
        (wire, connack)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next packet.
    pub(crate) async fn packet(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 2];
        let read = async {
            self.0.read_exact(&mut packet).await.unwrap();
            assert!(packet[1] < 128, "a longer packet than expected");
            packet.resize(2 + usize::from(packet[1]), 0);
            self.0.read_exact(&mut packet[2..]).await.unwrap();
        };
        timeout(PATIENCE, read).await.expect("a packet comes in time");
        packet
    }

    /// Everything that comes until the server closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        read.expect("the server closes in time").unwrap();
        rest
    }
}
