//! WebSocket as a client speaks it (RFC 6455), as far as MQTT needs it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Frames of text and of bytes, and the one that closes.
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// Opens `/mqtt`, offering `subprotocol`; the head of the answer.
pub(crate) async fn open(stream: &mut TcpStream, subprotocol: &str) -> io::Result<String> {
    // on loopback a signature need only have the form of one
    let request = format!(
        "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {subprotocol}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=test/20260101/us-east-1/iotdevicegateway/aws4_request, SignedHeaders=host, \
         Signature={}\r\n\r\n",
        "0".repeat(64)
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).to_lowercase())
}

/// A whole frame of a client: masked, with a mask that changes nothing.
pub(crate) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126);
    frame.push(0x80 | length.expect("no script sends a frame that long"));
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The payload of the next binary frame; `None` at the end. A server must not mask.
pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let first = match stream.read_u8().await {
        Ok(first) => first,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = match stream.read_u8().await? {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        length @ ..126 => u64::from(length),
        _ => return Err(io::Error::other("a masked frame")),
    };
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    match first & 0x0F {
        CLOSE => Ok(None),
        0 | BINARY => Ok(Some(payload)),
        kind => Err(io::Error::other(format!("a frame of kind {kind}"))),
    }
}
