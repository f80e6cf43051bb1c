//! One connection: packets out, and what comes.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::packet::{Version, bytes_of, decode, encode, frame, hex_bytes, text, word_of, words};
use crate::play::{PATIENCE, Result};
use crate::websocket;

/// A connection of a client.
pub(crate) struct Client {
    stream: TcpStream,
    /// What came in frames and was not read yet, if it speaks WebSocket.
    framed: Option<Vec<u8>>,
    pub(crate) version: Version,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, version: Version) -> Result<Client> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).unwrap();
        Ok(Client { stream, framed: None, version })
    }

    /// Goes on in frames; `offered` are the subprotocols of the opening handshake.
    pub(crate) async fn upgrade(&mut self, offered: &str) -> Result<()> {
        let head = websocket::open(&mut self.stream, offered).await;
        let head = head.map_err(|error| error.to_string())?;
        let switches = head.starts_with("http/1.1 101");
        let chosen = head.contains("\r\nsec-websocket-protocol: mqtt\r\n");
        if !switches || !chosen {
            return Err(head);
        }
        self.framed = Some(Vec::new());
        Ok(())
    }

    /// The bytes of a packet, or of `bytes …`, which are sent as they are, or of `packet F …`, which
    /// get a length.
    pub(crate) fn bytes(&self, line: &str) -> Vec<u8> {
        if let Some(rest) = line.strip_prefix("bytes ") {
            return raw(rest);
        }
        match line.strip_prefix("packet ").map(|rest| rest.split_once(' ').unwrap_or((rest, ""))) {
            Some((first, body)) => frame(hex_bytes(first)[0], &raw(body)),
            None => encode(self.version, line),
        }
    }

    /// Sends bytes, in one frame where there are frames.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let framed = self.framed.as_ref().map(|_| websocket::frame(websocket::BINARY, bytes));
        let bytes = framed.as_deref().unwrap_or(bytes);
        self.stream.write_all(bytes).await.map_err(|error| error.to_string())
    }

    /// Sends each of the parts between bars in a frame.
    pub(crate) async fn send_frames(&mut self, parts: &str) -> Result<()> {
        for part in parts.split(" | ") {
            self.send(&raw(part)).await?;
        }
        Ok(())
    }

    pub(crate) async fn send_text(&mut self, bytes: &str) -> Result<()> {
        let frame = websocket::frame(websocket::TEXT, &raw(bytes));
        self.stream.write_all(&frame).await.map_err(|error| error.to_string())
    }

    /// The next packet; `None` when the server has closed.
    pub(crate) async fn packet(&mut self) -> Result<Option<String>> {
        let packet = timeout(PATIENCE, self.read()).await;
        packet.map_err(|_| "nothing comes".to_owned())?
    }

    pub(crate) async fn read(&mut self) -> Result<Option<String>> {
        let Ok(first) = self.byte().await else { return Ok(None) };
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.byte().await.map_err(|_| "the end within a packet")?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 21 || length == 0 && byte == 0x80 {
                return Err("a remaining length that is none".to_owned());
            }
        }
        let mut body = vec![0; length];
        self.fill(&mut body).await.map_err(|_| "the end within a packet")?;
        decode(self.version, first, &body).map(Some)
    }

    async fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.fill(&mut byte).await?;
        Ok(byte[0])
    }

    async fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let Some(framed) = &mut self.framed else {
            return self.stream.read_exact(bytes).await.map(|_| ());
        };
        while framed.len() < bytes.len() {
            let payload = websocket::read(&mut self.stream).await?;
            framed.extend(payload.ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        bytes.copy_from_slice(&framed[..bytes.len()]);
        framed.drain(..bytes.len());
        Ok(())
    }

    pub(crate) async fn expect(&mut self, wanted: &str) -> Result<()> {
        let found = self.packet().await?.ok_or("the server has closed")?;
        if matches(wanted, &found) { Ok(()) } else { Err(format!("came: {found}")) }
    }

    /// QoS 2 messages with the identifiers from 1 to `count`, none of them released.
    pub(crate) async fn floods(&mut self, count: u16) -> Result<()> {
        for number in 1..=count {
            self.send(&encode(self.version, &format!("PUBLISH t x qos=2 #{number}"))).await?;
            self.expect(&format!("PUBREC #{number}")).await?;
        }
        Ok(())
    }

    /// Nothing is on its way: what is asked for now is answered next.
    pub(crate) async fn nothing(&mut self) -> Result<()> {
        self.send(&encode(self.version, "PINGREQ")).await?;
        self.expect("PINGRESP").await
    }

    pub(crate) async fn closed(&mut self) -> Result<()> {
        match self.packet().await? {
            None => Ok(()),
            Some(packet) => Err(format!("came: {packet}")),
        }
    }

    /// The server says why, if the version has a packet for it, and closes.
    pub(crate) async fn ended(&mut self, reason: &str) -> Result<()> {
        if self.version == Version::V5 {
            self.expect(&format!("DISCONNECT {reason}")).await?;
        }
        self.closed().await
    }
}

/// Hex; `"text"` as it is; `'text'` behind its length; either `*N` times.
fn raw(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words(line) {
        let (word, count) = match word.rsplit_once('*').map(|(word, count)| (word, count.parse())) {
            Some((word, Ok(count))) => (word, count),
            _ => (word, 1),
        };
        let once = match word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(inner) => text(&bytes_of(inner)),
            None if word.starts_with('"') => bytes_of(word),
            None => hex_bytes(word),
        };
        bytes.extend(once.repeat(count));
    }
    bytes
}

/// Whether a line is as wanted: word by word, where `*` at the end of a word stands for any end, `|`
/// separates alternatives, and `...` at the end lets more come.
pub(crate) fn matches(wanted: &str, found: &str) -> bool {
    let (wanted, found) = (words(wanted), words(found));
    let open = wanted.last() == Some(&"...");
    let wanted = if open { &wanted[..wanted.len() - 1] } else { &wanted[..] };
    let lengths = if open { wanted.len() <= found.len() } else { wanted.len() == found.len() };
    let surprise = open && found.contains(&"present") && !wanted.contains(&"present");
    lengths
        && !surprise
        && wanted.iter().zip(&found).all(|(wanted, found)| word_matches(wanted, found))
}

fn word_matches(wanted: &str, found: &str) -> bool {
    if wanted.starts_with("0x") && word_of(&bytes_of(wanted)) == found {
        return true;
    }
    let (wanted, found) = (&wanted.replace('"', ""), &found.replace('"', ""));
    if let Some(start) = wanted.strip_suffix('*') {
        return found.starts_with(start);
    }
    let Some((name, values)) = wanted.split_once('=') else { return wanted == found };
    let mut alternatives = values.split('|').map(|value| format!("{name}={value}"));
    wanted == found || alternatives.any(|alternative| alternative == *found)
}
