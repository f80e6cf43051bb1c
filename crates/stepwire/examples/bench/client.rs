//! A client of MQTT 3.1.1 that costs as little as it can: it is not what is measured.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::fleet::server_name;

const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBACK: u8 = 9;

/// A way in: an address, and a certificate if it takes one.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsConnector>,
}

/// A connection's bytes, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Door {
    /// A connection, its handshake done as far as a client can tell.
    pub(crate) async fn open(&self) -> io::Result<Box<dyn Stream>> {
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(socket)),
            Some(tls) => Ok(Box::new(tls.connect(server_name(), socket).await?)),
        }
    }
}

/// A connected client.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
}

/// A PUBLISH that was received.
pub(crate) struct Received<'a> {
    pub(crate) packet_id: Option<u16>,
    pub(crate) payload: &'a [u8],
}

/// What a server sends while messages move.
pub(crate) enum Packet<'a> {
    Publish(Received<'a>),
    PubAck,
}

/// How long a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// As long as its connection.
    Clean,
    /// For ever.
    Durable,
}

impl Client {
    /// Connects as `id`, without keep-alive, and waits for CONNACK.
    pub(crate) async fn connect(door: &Door, id: &str, life: Life) -> io::Result<Client> {
        let stream = door.open().await?;
        let mut client = Client { stream, inbound: Vec::new(), outbound: Vec::new() };
        let flags = if life == Life::Clean { 2 } else { 0 };
        client.outbound.extend([0x10, (12 + id.len()) as u8]);
        client.outbound.extend(b"\x00\x04MQTT\x04");
        client.outbound.extend([flags, 0, 0, 0, id.len() as u8]);
        client.outbound.extend(id.as_bytes());
        assert_eq!(client.answer().await?, (CONNACK, vec![0, 0]), "connected");
        Ok(client)
    }

    /// Subscribes with QoS 1 and waits for SUBACK.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> io::Result<()> {
        self.outbound.extend([0x82, (5 + filter.len()) as u8, 0, 1, 0, filter.len() as u8]);
        self.outbound.extend(filter.as_bytes());
        self.outbound.push(1);
        assert_eq!(self.answer().await?, (SUBACK, vec![0, 1, 1]), "subscribed");
        Ok(())
    }

    /// Sends what was asked for, and waits for one packet: its type and body.
    async fn answer(&mut self) -> io::Result<(u8, Vec<u8>)> {
        self.flush().await?;
        loop {
            if let Some((first, head, body)) = frame(&self.inbound) {
                let answer = (first >> 4, self.inbound[head..head + body].to_vec());
                self.inbound.drain(..head + body);
                return Ok(answer);
            }
            self.read().await?;
        }
    }

    /// A QoS 1 PUBLISH of the next [`Client::flush`].
    pub(crate) fn publish(&mut self, topic: &str, packet_id: u16, payload: &[u8]) {
        self.outbound.push(0x32);
        let mut length = 4 + topic.len() + payload.len();
        while length > 0x7F {
            self.outbound.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.outbound.extend([length as u8, 0, topic.len() as u8]);
        self.outbound.extend(topic.as_bytes());
        self.outbound.extend(packet_id.to_be_bytes());
        self.outbound.extend(payload);
    }

    /// Sends what is to be sent.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if !self.outbound.is_empty() {
            self.stream.write_all(&self.outbound).await?;
            self.stream.flush().await?;
            self.outbound.clear();
        }
        Ok(())
    }

    /// Reads once and shows `each` whole packet; those of QoS 1 are acknowledged by the next
    /// [`Client::flush`].
    pub(crate) async fn receive(&mut self, mut each: impl FnMut(Packet<'_>)) -> io::Result<()> {
        self.read().await?;
        let mut done = 0;
        while let Some((first, head, body)) = frame(&self.inbound[done..]) {
            let bytes = &self.inbound[done + head..done + head + body];
            done += head + body;
            match first >> 4 {
                PUBACK => each(Packet::PubAck),
                PUBLISH => {
                    let received = received(first, bytes);
                    if let Some(id) = received.packet_id {
                        self.outbound.extend([PUBACK << 4, 2]);
                        self.outbound.extend(id.to_be_bytes());
                    }
                    each(Packet::Publish(received));
                }
                other => panic!("packet of type {other}"),
            }
        }
        self.inbound.drain(..done);
        Ok(())
    }

    async fn read(&mut self) -> io::Result<()> {
        self.inbound.reserve(16 * 1024);
        if self.stream.read_buf(&mut self.inbound).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Keeps the connection and no buffers.
    pub(crate) fn idle(mut self) -> Client {
        (self.inbound, self.outbound) = (Vec::new(), Vec::new());
        self
    }
}

/// The first whole packet: its first byte, the length of its head and of its body.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (mut body, mut head) = (0, 1);
    loop {
        let byte = *bytes.get(head)?;
        body |= usize::from(byte & 0x7F) << (7 * (head - 1));
        head += 1;
        if byte & 0x80 == 0 {
            return (bytes.len() >= head + body).then_some((bytes[0], head, body));
        }
    }
}

fn received(first: u8, body: &[u8]) -> Received<'_> {
    let number = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let topic = 2 + usize::from(number(0));
    if first & 0x06 == 0 {
        return Received { packet_id: None, payload: &body[topic..] };
    }
    Received { packet_id: Some(number(topic)), payload: &body[topic + 2..] }
}
