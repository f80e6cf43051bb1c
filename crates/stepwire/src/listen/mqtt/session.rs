//! One connection, from its CONNECT to its end.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use bytes::{Buf, BytesMut};
use stepwire_core::broker::{Closed, ConnectionId, Input, Principal};
use stepwire_core::mqtt::codec::{self, Frame, Unsupported};
use stepwire_core::mqtt::{ConnAck, Connect, Disconnect, Packet, ReasonCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::coop;
use tokio::time::{self, Instant, Sleep};

use super::connections::{Connections, End, Outbox, Todo};
use super::patience::{Pace, Patience};
use super::{Ending, Kernel, Limits, Transport};
use crate::listen::entrance::Ticket;

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// Bytes of a packet that has only begun, from which on they are counted.
const INBOUND_BYTES: usize = 32 * 1024;
/// Packets sent to the kernel at a time.
const PACKETS_MAX: usize = 64;
/// Bytes to write at a time, unless one packet is larger.
const WRITE_BYTES: usize = 32 * 1024;
/// How long a closed connection may go on sending before it is reset.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    /// One read buffer for all connections of a thread: an idle connection has none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Speaks MQTT on `stream`, which may be any byte stream, until it ends. Its CONNECT must be whole
/// at `deadline`, or earlier if others wait for its place.
pub async fn serve_stream<S: Transport>(
    mut stream: S,
    principal: Principal,
    mut ticket: Ticket,
    deadline: Instant,
    limits: &Limits,
    connections: &Connections,
    kernel: &impl Kernel,
) {
    let mut inbound = Vec::new();
    // what is needed once is boxed, so that an idle connection does not keep room for it
    let greeting = Box::pin(read_connect(&mut stream, &mut inbound, limits));
    let greeting = tokio::select! {
        greeting = time::timeout_at(deadline, greeting) => greeting,
        () = ticket.has_to_go() => return,
    };
    ticket.introduced();
    let connect = match greeting {
        Ok(Ok(connect)) => connect,
        Ok(Err(Greeting::Wrong(why))) => return Box::pin(refuse(stream, why, limits)).await,
        Ok(Err(Greeting::Gone)) if stream.ending() == Ending::Invalid => {
            let parting = Box::pin(last_words(&mut stream, &[]));
            return drop(time::timeout(limits.close_timeout, parting).await);
        }
        Ok(Err(Greeting::Gone)) => return,
        Err(_) => {
            tracing::debug!("{}: no CONNECT in time", principal.ip);
            return;
        }
    };
    let (connection, outbox, older) = connections.register(&connect.client_id);
    let mut session = Session {
        stream,
        connection,
        version: connect.version,
        packet_bytes_max: limits.packet_bytes_max,
        outbox,
        inbound,
        sending: Vec::new().into_iter(),
        outbound: BytesMut::new(),
        unflushed: false,
        is_accepted: false,
        pace: Pace::new(limits.rates, ticket.now()),
        ticket,
        reading: Patience::default(),
        is_inbound_noted: false,
        published: 0,
        writing: Patience::default(),
        pause: None,
    };
    if let Some(older) = older {
        // what the client did there came first: a DISCONNECT is not to become a take-over
        older.caught_up().await;
    }
    kernel.send(vec![Input::Connect { connection, principal, connect }]).await;
    let end = session.run(limits, connections, kernel).await;
    if let Some(input) = end.input(connection) {
        kernel.send(vec![input]).await;
    }
    // not before: a newer connection of the client must find this one, or know that it ended
    connections.remove(connection);
    session.outbox.finish();
    if session.is_accepted {
        session.ticket.approve();
    }
    Box::pin(session.close(end, limits)).await;
}

/// Why there is no CONNECT.
enum Greeting {
    Gone,
    Wrong(Unsupported),
}

/// Reads CONNECT; leaves what follows it in `inbound`.
async fn read_connect<S: AsyncRead + Unpin>(
    stream: &mut S,
    inbound: &mut Vec<u8>,
    limits: &Limits,
) -> Result<Box<Connect>, Greeting> {
    loop {
        // a client that does not begin with CONNECT need not be heard out
        if inbound.first().is_some_and(|first| first >> 4 != 1) {
            return Err(Greeting::Wrong(Unsupported::NotMqtt));
        }
        let frame = codec::frame(inbound, limits.connect_bytes_max);
        let frame = frame.map_err(|_| Greeting::Wrong(Unsupported::NotMqtt))?;
        if let Some(Frame { first, head, body }) = frame
            && let Some(bytes) = inbound.get(head..head + body)
        {
            let connect = codec::decode_connect(first, bytes).map_err(Greeting::Wrong)?;
            inbound.drain(..head + body);
            return Ok(Box::new(connect));
        }
        match stream.read_buf(inbound).await {
            Ok(0) | Err(_) => return Err(Greeting::Gone),
            Ok(_) => {}
        }
    }
}

/// Says what is wrong with a CONNECT, where its version has words for it.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    why: Unsupported,
    limits: &Limits,
) {
    let (version, reason) = match why {
        Unsupported::Level => (Version::V311, ReasonCode::UnsupportedProtocolVersion),
        Unsupported::Invalid(Version::V5, reason) => (Version::V5, reason),
        Unsupported::Invalid(..) | Unsupported::NotMqtt => return,
    };
    let mut outbound = BytesMut::new();
    let answer = Packet::ConnAck(Box::new(ConnAck { reason, ..ConnAck::default() }));
    if codec::encode(version, &answer, &mut outbound).is_ok() {
        let _ = time::timeout(limits.close_timeout, last_words(&mut stream, &outbound)).await;
    }
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The other end closed it, or it broke.
    Gone,
    /// The other end closed it, with the word of what carries MQTT.
    Goodbye,
    /// The client sent what is not MQTT.
    Invalid(ReasonCode),
    /// We end it.
    Ours(End),
}

impl Ended {
    /// What the kernel is told, unless it wanted the end itself.
    fn input(self, connection: ConnectionId) -> Option<Input> {
        let cause = match self {
            Ended::Goodbye => {
                let packet = Packet::Disconnect(Disconnect::default());
                return Some(Input::Packet { connection, packet });
            }
            Ended::Gone => Closed::Lost,
            Ended::Invalid(reason) => Closed::ProtocolError(reason),
            Ended::Ours(End::TooSlow) => Closed::TooSlow,
            Ended::Ours(End::NoRoom) => Closed::NoRoom,
            Ended::Ours(End::Shutdown) => Closed::Shutdown,
            Ended::Ours(End::Closed(_)) => return None,
        };
        Some(Input::Closed { connection, cause })
    }
}

/// A connection after its CONNECT.
struct Session<S> {
    stream: S,
    connection: ConnectionId,
    version: Version,
    packet_bytes_max: usize,
    outbox: Arc<Outbox>,
    /// Read and not decoded: the start of a packet.
    inbound: Vec<u8>,
    /// Taken from the outbox and not encoded.
    sending: vec::IntoIter<Packet>,
    /// Encoded and not written.
    outbound: BytesMut,
    unflushed: bool,
    /// Whether its CONNECT was.
    is_accepted: bool,
    ticket: Ticket,
    pace: Pace,
    /// For the rest of a packet.
    reading: Patience,
    /// Whether the outbox knows how much was read of it.
    is_inbound_noted: bool,
    /// Messages that were read and not counted yet.
    published: u64,
    /// For the client to read on.
    writing: Patience,
    /// Nothing is read until then.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S: Transport> Session<S> {
    async fn run(
        &mut self,
        limits: &Limits,
        connections: &Connections,
        kernel: &impl Kernel,
    ) -> Ended {
        loop {
            if let Err(reason) = self.deliver(kernel).await {
                return Ended::Invalid(reason);
            }
            self.settle(limits, connections);
            if let Err(end) = poll_fn(|context| self.poll(limits, context)).await {
                return end;
            }
        }
    }

    /// Counts what was read: a client that sends too fast is not read from for a while.
    fn settle(&mut self, limits: &Limits, connections: &Connections) {
        if self.published > 0 {
            connections.count_published(std::mem::take(&mut self.published));
        }
        if let Some(pause) = self.pace.pause(limits.rates, self.ticket.now()) {
            self.ticket.slowed(self.outbox.client());
            self.pause = Some(Box::pin(time::sleep(pause)));
        }
        if self.inbound.len() > INBOUND_BYTES || self.is_inbound_noted {
            self.is_inbound_noted = self.inbound.len() > INBOUND_BYTES;
            self.outbox.note_inbound(if self.is_inbound_noted { self.inbound.len() } else { 0 });
            connections.relieve();
        }
    }

    /// Sends every whole packet to the kernel, in order.
    async fn deliver(&mut self, kernel: &impl Kernel) -> Result<(), ReasonCode> {
        loop {
            let (packets, invalid) = self.decode();
            let full = packets.len() == PACKETS_MAX;
            if !packets.is_empty() {
                kernel.send(packets).await;
            }
            match invalid {
                Some(reason) => return Err(reason),
                None if full => {}
                None => return Ok(()),
            }
        }
    }

    /// Takes the whole packets that were read, [`PACKETS_MAX`] at most, and says what is wrong with
    /// the bytes after them.
    fn decode(&mut self) -> (Vec<Input>, Option<ReasonCode>) {
        let (mut packets, mut done, mut invalid) = (Vec::new(), 0, None);
        while packets.len() < PACKETS_MAX {
            match self.packet_at(done) {
                Ok(Some((bytes, packet))) => {
                    done += bytes;
                    self.pace.count(&packet, bytes);
                    self.published += u64::from(matches!(packet, Packet::Publish(_)));
                    packets.push(Input::Packet { connection: self.connection, packet });
                }
                Ok(None) => break,
                Err(reason) => {
                    invalid = Some(reason);
                    break;
                }
            }
        }
        if done > 0 {
            self.reading.reset();
        }
        if done == self.inbound.len() {
            self.inbound = Vec::new();
        } else {
            self.inbound.drain(..done);
        }
        (packets, invalid)
    }

    /// The packet that begins at `at` and its length, if it is whole.
    fn packet_at(&self, at: usize) -> Result<Option<(usize, Packet)>, ReasonCode> {
        let Some(rest) = self.inbound.get(at..) else { return Ok(None) };
        let Some(Frame { first, head, body }) = codec::frame(rest, self.packet_bytes_max)? else {
            return Ok(None);
        };
        let Some(bytes) = rest.get(head..head + body) else { return Ok(None) };
        Ok(Some((head + body, codec::decode(self.version, first, bytes)?)))
    }

    /// Writes what there is to write; ready when something was read, or at the end.
    fn poll(&mut self, limits: &Limits, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        match self.poll_write(limits, context) {
            Ok(None) => {}
            Ok(Some(end)) => return Poll::Ready(Err(Ended::Ours(end))),
            Err(_) => return Poll::Ready(Err(Ended::Gone)),
        }
        // Who comes while we look may have done something here that we have just missed.
        let newer = self.outbox.waiting_before();
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                // what it sends faster than it may keeps nobody waiting
                return Poll::Pending;
            }
            self.pause = None;
        }
        let read = self.poll_read(context);
        // "Pending" says little: a task that has had its turn is told so without a look, and so is
        // one whose bytes, or whose end, the runtime has not heard of yet.
        let unheard = || !coop::has_budget_remaining() || self.stream.is_readable();
        if read.is_ready() || (!newer.is_empty() && unheard()) {
            self.outbox.keep_waiting(newer);
        }
        match read {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(match self.stream.ending() {
                Ending::Lost => Ended::Gone,
                Ending::Goodbye => Ended::Goodbye,
                Ending::Invalid => Ended::Invalid(ReasonCode::ProtocolError),
            })),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Pending => self.poll_patience(limits, context),
        }
    }

    /// Ready when the client does not finish a packet that it has begun.
    fn poll_patience(
        &mut self,
        limits: &Limits,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Ended>> {
        if self.inbound.is_empty() {
            return Poll::Pending;
        }
        let (inbound, bytes_max) = (&self.inbound, self.packet_bytes_max);
        let over = self.reading.poll(context, || {
            let frame = codec::frame(inbound, bytes_max).ok().flatten();
            limits.packet_timeout(frame.map_or(0, |frame| frame.body))
        });
        over.map(|()| Err(Ended::Invalid(ReasonCode::KeepAliveTimeout)))
    }

    /// Writes until nothing is left, or the stream takes no more. Says when we are to end.
    fn poll_write(
        &mut self,
        limits: &Limits,
        context: &mut Context<'_>,
    ) -> io::Result<Option<End>> {
        loop {
            if self.outbound.is_empty() && self.sending.len() == 0 {
                match self.outbox.poll(context) {
                    Poll::Ready(Todo::Send(packets)) => self.sending = packets.into_iter(),
                    Poll::Ready(Todo::End(end)) => return Ok(Some(end)),
                    Poll::Pending => break,
                }
            }
            self.encode();
            if self.outbound.is_empty() {
                continue;
            }
            match Pin::new(&mut self.stream).poll_write(context, &self.outbound) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.outbound.advance(count);
                    self.unflushed = true;
                    self.writing.reset();
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    // the client does not read: all that can come now is the end
                    return Ok(self.poll_stalled(limits, context));
                }
            }
        }
        if self.outbound.capacity() > 0 {
            self.outbound = BytesMut::new();
            self.sending = Vec::new().into_iter();
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(flushed) => flushed?,
                Poll::Pending => return Ok(self.poll_stalled(limits, context)),
            }
            self.unflushed = false;
            self.writing.reset();
        }
        Ok(None)
    }

    /// The end, if it has come while the client does not read.
    fn poll_stalled(&mut self, limits: &Limits, context: &mut Context<'_>) -> Option<End> {
        match self.outbox.poll_end(context) {
            Poll::Ready(end) => Some(end),
            Poll::Pending => {
                let over = self.writing.poll(context, || limits.stall_timeout);
                over.is_ready().then_some(End::TooSlow)
            }
        }
    }

    /// Encodes packets up to a good size for one write.
    fn encode(&mut self) {
        while self.outbound.len() < WRITE_BYTES
            && let Some(packet) = self.sending.next()
        {
            if !self.is_accepted {
                self.is_accepted =
                    matches!(&packet, Packet::ConnAck(ack) if !ack.reason.is_error());
            }
            if codec::encode(self.version, &packet, &mut self.outbound).is_err() {
                tracing::warn!("a message is too long for MQTT and was not sent");
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let read = buffer.filled();
            self.inbound.extend_from_slice(read);
            Poll::Ready(Ok(read.len()))
        })
    }

    /// Sends what is left and, to MQTT 5.0 clients, why it is over.
    async fn close(mut self, end: Ended, limits: &Limits) {
        let reason = match end {
            Ended::Gone | Ended::Ours(End::TooSlow | End::NoRoom) => return,
            Ended::Goodbye => None,
            Ended::Invalid(reason) => Some(reason),
            Ended::Ours(End::Closed(reason)) => reason,
            Ended::Ours(End::Shutdown) => Some(ReasonCode::ServerShuttingDown),
        };
        let last = self.outbox.take();
        let goodbye =
            reason.map(|reason| Packet::Disconnect(Disconnect { reason, ..Disconnect::default() }));
        for packet in self.sending.by_ref().chain(last).chain(goodbye) {
            let _ = codec::encode(self.version, &packet, &mut self.outbound);
        }
        let words = last_words(&mut self.stream, &self.outbound);
        let _ = time::timeout(limits.close_timeout, words).await;
    }
}

/// Writes, closes, and reads on for a moment: closing with unread bytes would reset the connection
/// and could take the last words with it.
async fn last_words<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    words: &[u8],
) -> io::Result<()> {
    stream.write_all(words).await?;
    stream.shutdown().await?;
    let until = Instant::now() + LINGER;
    let mut waste = [0; 256];
    while time::timeout_at(until, stream.read(&mut waste)).await?? > 0 {}
    Ok(())
}
