//! Open connections, and what waits to be sent on them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use stepwire_core::broker::ConnectionId;
use stepwire_core::mqtt::{Packet, ReasonCode};

/// Bytes that may wait for a connection that does not read; more, and it is cut off.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Every connection that has sent CONNECT. The node's effects are carried out here.
#[derive(Debug, Default)]
pub struct Connections {
    last: AtomicU64,
    open: RwLock<HashMap<ConnectionId, Arc<Outbox>>>,
}

impl Connections {
    /// Sends a packet after those sent before. Nothing happens if the connection is gone.
    pub fn send(&self, connection: ConnectionId, packet: Packet) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(outbox) = open.get(&connection) {
            outbox.push(packet);
        }
    }

    /// Closes a connection once what was sent before is on its way; an MQTT 5.0 client is told the
    /// reason.
    pub fn close(&self, connection: ConnectionId, reason: Option<ReasonCode>) {
        if let Some(outbox) = self.remove(connection) {
            outbox.end(End::Closed(reason));
        }
    }

    /// Connections that are open.
    pub fn len(&self) -> usize {
        self.open.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new connection. Its identifier is never used again in this process.
    pub(super) fn register(&self) -> (ConnectionId, Arc<Outbox>) {
        let connection = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let outbox = Arc::new(Outbox::default());
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(connection, Arc::clone(&outbox));
        (connection, outbox)
    }

    pub(super) fn remove(&self, connection: ConnectionId) -> Option<Arc<Outbox>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&connection)
    }

    /// Asks every connection to end because the node does.
    pub(super) fn shut_down(&self) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.values().for_each(|outbox| outbox.end(End::Shutdown));
    }
}

/// Why a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The broker closed it.
    Closed(Option<ReasonCode>),
    /// The client did not read what was sent to it.
    TooSlow,
    /// The node stops.
    Shutdown,
}

/// Packets on their way to one connection's task. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    packets: Vec<Packet>,
    bytes: usize,
    end: Option<End>,
    waker: Option<Waker>,
}

/// What a connection's task has to do.
#[derive(Debug)]
pub(super) enum Todo {
    Send(Vec<Packet>),
    End(End),
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, packet: Packet) {
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            return;
        }
        waiting.bytes += bytes_of(&packet);
        waiting.packets.push(packet);
        if waiting.bytes > WAITING_BYTES_MAX {
            waiting.packets = Vec::new();
            waiting.end = Some(End::TooSlow);
        }
        wake(waiting);
    }

    fn end(&self, end: End) {
        let mut waiting = self.lock();
        waiting.end.get_or_insert(end);
        wake(waiting);
    }

    /// Packets first; the end when they are taken.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Todo> {
        let mut waiting = self.lock();
        if !waiting.packets.is_empty() {
            waiting.bytes = 0;
            return Poll::Ready(Todo::Send(std::mem::take(&mut waiting.packets)));
        }
        waiting.poll_end(context).map(Todo::End)
    }

    /// The end alone, for a task that cannot send.
    pub(super) fn poll_end(&self, context: &Context<'_>) -> Poll<End> {
        self.lock().poll_end(context)
    }

    /// Takes what is left to send.
    pub(super) fn take(&self) -> Vec<Packet> {
        std::mem::take(&mut self.lock().packets)
    }
}

impl Waiting {
    fn poll_end(&mut self, context: &Context<'_>) -> Poll<End> {
        if let Some(end) = self.end {
            return Poll::Ready(end);
        }
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let waker = waiting.waker.take();
    drop(waiting);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// About what a packet holds in memory.
fn bytes_of(packet: &Packet) -> usize {
    let own = match packet {
        Packet::Publish(publish) => publish.payload.len() + publish.topic.len(),
        _ => 0,
    };
    own + size_of::<Packet>()
}
