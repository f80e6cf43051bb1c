//! The bytes of MQTT in the frames of a WebSocket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::listen::mqtt::{Ending, Transport};

/// What an idle connection keeps to read into.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// A WebSocket as a stream of bytes: packets may span frames, and frames hold many packets
/// (MQTT 5.0, 6).
pub(in crate::listen) struct WebSocket<S> {
    socket: WebSocketStream<S>,
    /// Of the last frame, what is not read yet.
    rest: Bytes,
    ending: Ending,
    /// What a close frame of ours says.
    code: CloseCode,
    closing: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// After the opening handshake. `read` came behind it; no message may be longer than
    /// `message_bytes_max`.
    pub(in crate::listen) async fn new(
        stream: S,
        read: Vec<u8>,
        message_bytes_max: usize,
    ) -> WebSocket<S> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            // what the session writes is whole, and larger than a frame's head
            .write_buffer_size(0)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let socket =
            WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await;
        let (rest, ending) = (Bytes::new(), Ending::Lost);
        WebSocket { socket, rest, ending, code: CloseCode::Normal, closing: false }
    }

    /// The client broke a rule: nothing more is read.
    fn broken(&mut self, code: CloseCode) {
        self.ending = Ending::Invalid;
        self.code = code;
    }
}

impl<S: Transport> Transport for WebSocket<S> {
    fn ending(&self) -> Ending {
        self.ending
    }

    fn is_readable(&self) -> bool {
        self.socket.get_ref().is_readable()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => this.rest = bytes,
                // the answer to a ping goes out when next is read
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) => {
                    if this.ending == Ending::Lost {
                        this.ending = Ending::Goodbye;
                    }
                    return Poll::Ready(Ok(()));
                }
                Some(Ok(Message::Text(_))) => {
                    this.broken(CloseCode::Unsupported);
                    return Poll::Ready(Ok(()));
                }
                Some(Err(Error::Io(error))) => return Poll::Ready(Err(error)),
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(Error::Capacity(_))) => {
                    this.broken(CloseCode::Size);
                    return Poll::Ready(Ok(()));
                }
                Some(Err(Error::Utf8(_))) => {
                    this.broken(CloseCode::Invalid);
                    return Poll::Ready(Ok(()));
                }
                Some(Err(_)) => {
                    this.broken(CloseCode::Protocol);
                    return Poll::Ready(Ok(()));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.rest.len().min(buffer.remaining());
        buffer.put_slice(&this.rest[..count]);
        this.rest.advance(count);
        if this.rest.is_empty() {
            // it holds on to the memory of its frame
            this.rest = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.get_mut().socket);
        ready!(socket.as_mut().poll_ready(context)).map_err(plain)?;
        socket.start_send(Message::Binary(Bytes::copy_from_slice(bytes))).map_err(plain)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context).map_err(plain)
    }

    /// Sends a close frame, or the answer to the client's.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut socket = Pin::new(&mut this.socket);
        if !this.closing && this.ending != Ending::Goodbye {
            ready!(socket.as_mut().poll_ready(context)).map_err(plain)?;
            let frame = CloseFrame { code: this.code, reason: "".into() };
            this.closing = true;
            socket.as_mut().start_send(Message::Close(Some(frame))).map_err(plain)?;
        }
        socket.poll_flush(context).map_err(plain)
    }
}

fn plain(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn pair() -> (WebSocketStream<DuplexStream>, WebSocket<DuplexStream>) {
        let (client, server) = duplex(1 << 20);
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        (client, WebSocket::new(server, Vec::new(), 1_000).await)
    }

    fn binary(bytes: &[u8]) -> Message {
        Message::Binary(Bytes::copy_from_slice(bytes))
    }

    #[tokio::test]
    async fn packets_may_span_frames_and_frames_hold_many() {
        let (mut client, mut server) = pair().await;
        for frame in [&b"\xc0"[..], b"", b"\x00\xc0\x00\xc0"] {
            client.send(binary(frame)).await.unwrap();
        }
        let mut read = [0; 5];
        server.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"\xc0\x00\xc0\x00\xc0");
        server.write_all(b"\xd0\x00").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), binary(b"\xd0\x00"));
    }

    #[tokio::test]
    async fn a_ping_is_answered_while_nothing_is_read() {
        let (mut client, mut server) = pair().await;
        client.send(Message::Ping("x".into())).await.unwrap();
        let reading = tokio::spawn(async move { server.read_u8().await });
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("x".into()));
        client.send(binary(b"\x07")).await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), 7);
    }

    #[tokio::test]
    async fn a_close_frame_is_a_goodbye_and_is_answered() {
        let (mut client, mut server) = pair().await;
        client.send(Message::Close(None)).await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(server.ending(), Ending::Goodbye);
        server.shutdown().await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Close(None));
    }

    #[tokio::test]
    async fn a_cut_is_no_goodbye() {
        let (client, mut server) = pair().await;
        drop(client);
        let _ = server.read(&mut [0; 8]).await;
        assert_eq!(server.ending(), Ending::Lost);
    }

    async fn closed_with(message: Message) -> CloseCode {
        let (mut client, mut server) = pair().await;
        client.send(message).await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(server.ending(), Ending::Invalid);
        server.shutdown().await.unwrap();
        match client.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => frame.code,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_text_frame_is_refused() {
        assert_eq!(closed_with(Message::Text("hello".into())).await, CloseCode::Unsupported);
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_refused() {
        assert_eq!(closed_with(binary(&[0; 1_001])).await, CloseCode::Size);
    }
}
