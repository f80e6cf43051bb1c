//! Open connections, and what waits to be sent on them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll, Waker};

use stepwire_core::broker::ConnectionId;
use stepwire_core::mqtt::{Packet, ReasonCode};
use tokio::sync::oneshot;

/// Bytes that may wait for a connection that does not read; more, and it is cut off.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Every connection that has sent CONNECT. The node's effects are carried out here.
#[derive(Debug, Default)]
pub struct Connections {
    last: AtomicU64,
    open: RwLock<Open>,
}

#[derive(Debug, Default)]
struct Open {
    connections: HashMap<ConnectionId, Arc<Outbox>>,
    /// The newest connection of each client identifier.
    by_client: HashMap<Arc<str>, ConnectionId>,
}

impl Connections {
    /// Sends a packet after those sent before. Nothing happens if the connection is gone.
    pub fn send(&self, connection: ConnectionId, packet: Packet) {
        if let Some(outbox) = self.read().connections.get(&connection) {
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
        self.read().connections.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new connection of `client`, and the one it may take over. Its identifier is never used
    /// again in this process.
    pub(super) fn register(
        &self,
        client: &Arc<str>,
    ) -> (ConnectionId, Arc<Outbox>, Option<Arc<Outbox>>) {
        let connection = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let outbox = Arc::new(Outbox { client: Arc::clone(client), ..Outbox::default() });
        let mut open = self.write();
        open.connections.insert(connection, Arc::clone(&outbox));
        let older = if client.is_empty() {
            // the broker will give it an identifier of its own
            None
        } else {
            open.by_client.insert(Arc::clone(client), connection)
        };
        let older = older.and_then(|older| open.connections.get(&older).cloned());
        (connection, outbox, older)
    }

    pub(super) fn remove(&self, connection: ConnectionId) -> Option<Arc<Outbox>> {
        let mut open = self.write();
        let outbox = open.connections.remove(&connection)?;
        if open.by_client.get(&outbox.client) == Some(&connection) {
            open.by_client.remove(&outbox.client);
        }
        Some(outbox)
    }

    /// Asks every connection to end because the node does.
    pub(crate) fn shut_down(&self) {
        self.read().connections.values().for_each(|outbox| outbox.end(End::Shutdown));
    }

    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
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
pub(super) struct Outbox {
    client: Arc<str>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    packets: Vec<Packet>,
    bytes: usize,
    end: Option<End>,
    waker: Option<Waker>,
    /// Newer connections of the client that wait until everything it sent here is read.
    newer: Vec<oneshot::Sender<()>>,
    /// Nothing more is read here.
    done: bool,
}

/// What a connection's task has to do.
#[derive(Debug)]
pub(super) enum Todo {
    Send(Vec<Packet>),
    End(End),
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Done when the kernel has everything that has arrived here so far.
    pub(super) async fn caught_up(&self) {
        if let Some(told) = self.wait_here() {
            let _ = told.await;
        }
    }

    /// Where it is told that the kernel has everything, unless it has already.
    fn wait_here(&self) -> Option<oneshot::Receiver<()>> {
        let mut waiting = self.lock();
        if waiting.done {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        waiting.newer.push(sender);
        wake(waiting);
        Some(receiver)
    }

    /// Those who wait until everything that has arrived here is with the kernel. Whoever is dropped
    /// is told that it is.
    pub(super) fn waiting_before(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut self.lock().newer)
    }

    /// These have to wait on.
    pub(super) fn keep_waiting(&self, newer: Vec<oneshot::Sender<()>>) {
        if !newer.is_empty() {
            self.lock().newer.extend(newer);
        }
    }

    /// Nothing more is read here.
    pub(super) fn finish(&self) {
        let mut waiting = self.lock();
        waiting.done = true;
        waiting.newer = Vec::new();
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
