//! Open connections, and what waits to be sent on them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll, Waker};

use stepwire_core::broker::ConnectionId;
use stepwire_core::mqtt::{Packet, ReasonCode};
use tokio::sync::oneshot;

/// What a connection may hold without being counted: the usual case costs nothing.
const LIGHT_BYTES: usize = 8 << 10;

/// How much may wait to be sent, or to be a whole packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of one connection; more, and it is cut off.
    pub bytes_max: usize,
    /// Bytes of all connections that hold more than a little; more, and those that hold most are
    /// cut off.
    pub bytes_all_max: usize,
}

impl Default for Room {
    fn default() -> Room {
        Room { bytes_max: 32 << 20, bytes_all_max: 128 << 20 }
    }
}

/// Every connection that has sent CONNECT. The node's effects are carried out here.
#[derive(Debug, Default)]
pub struct Connections {
    last: AtomicU64,
    open: RwLock<Open>,
    room: Room,
    /// Bytes of all that hold more than a little.
    held: Arc<AtomicUsize>,
    /// Messages that devices have published.
    published: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    connections: HashMap<ConnectionId, Arc<Outbox>>,
    /// The newest connection of each client identifier.
    by_client: HashMap<Arc<str>, ConnectionId>,
}

impl Connections {
    /// None is open, and what is held for them has so much room.
    pub fn new(room: Room) -> Connections {
        Connections { room, ..Connections::default() }
    }

    /// Sends a packet after those sent before, once whoever is given back is woken. Nothing happens
    /// if the connection is gone.
    pub fn send(&self, connection: ConnectionId, packet: Packet) -> Option<Waker> {
        let waker = self.read().connections.get(&connection)?.push(packet, self.room.bytes_max);
        self.relieve();
        waker
    }

    /// The client of a connection, while it is open.
    pub(crate) fn client(&self, connection: ConnectionId) -> Option<Arc<str>> {
        let open = self.read();
        open.connections.get(&connection).map(|outbox| Arc::clone(&outbox.client))
    }

    /// Identifiers of the clients that are connected, in order.
    pub(crate) fn clients(&self) -> Vec<Arc<str>> {
        let mut clients: Vec<_> = self.read().by_client.keys().cloned().collect();
        clients.sort_unstable();
        clients
    }

    /// Cuts off those that hold most, while all together hold too much.
    pub(super) fn relieve(&self) {
        let most = self.room.bytes_all_max;
        if self.held.load(Ordering::Relaxed) <= most {
            return;
        }
        let open = self.read();
        let mut holders: Vec<_> = open.connections.values().map(|it| (it.holds(), it)).collect();
        holders.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        for (_, outbox) in holders {
            if self.held.load(Ordering::Relaxed) <= most / 4 * 3 {
                return;
            }
            outbox.give_up(End::NoRoom);
        }
    }

    /// Closes a connection once what was sent before is on its way; an MQTT 5.0 client is told the
    /// reason.
    pub fn close(&self, connection: ConnectionId, reason: Option<ReasonCode>) {
        if let Some(outbox) = self.remove(connection) {
            outbox.end(End::Closed(reason));
        }
    }

    /// A device has published so many messages more.
    pub fn count_published(&self, messages: u64) {
        self.published.fetch_add(messages, Ordering::Relaxed);
    }

    /// Messages that devices have published.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
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
        let mut open = self.write();
        let older = if client.is_empty() {
            // the broker will give it an identifier of its own
            None
        } else {
            open.by_client.insert(Arc::clone(client), connection)
        };
        let outbox = Arc::new(Outbox {
            client: Arc::clone(client),
            older,
            held: Arc::clone(&self.held),
            waiting: Mutex::default(),
        });
        open.connections.insert(connection, Arc::clone(&outbox));
        let older = older.and_then(|older| open.connections.get(&older).cloned());
        (connection, outbox, older)
    }

    pub(super) fn remove(&self, connection: ConnectionId) -> Option<Arc<Outbox>> {
        let mut open = self.write();
        let outbox = open.connections.remove(&connection)?;
        if open.by_client.get(&outbox.client) == Some(&connection) {
            // one that was refused leaves the older one in its place
            match outbox.older.filter(|older| open.connections.contains_key(older)) {
                Some(older) => open.by_client.insert(Arc::clone(&outbox.client), older),
                None => open.by_client.remove(&outbox.client),
            };
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
    /// It holds more than others, and all together hold too much.
    NoRoom,
    /// The node stops.
    Shutdown,
}

/// Packets on their way to one connection's task. Holds no memory while it is empty.
#[derive(Debug)]
pub(super) struct Outbox {
    client: Arc<str>,
    /// The connection that this one may take over.
    older: Option<ConnectionId>,
    held: Arc<AtomicUsize>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    packets: Vec<Packet>,
    /// Bytes of `packets`.
    bytes: usize,
    /// Bytes of packets that the task has taken and not yet written.
    taken: usize,
    /// Bytes that were read and are no whole packet.
    inbound: usize,
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

    pub(super) fn client(&self) -> &Arc<str> {
        &self.client
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

    /// Whom to wake.
    fn push(&self, packet: Packet, bytes_max: usize) -> Option<Waker> {
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            return None;
        }
        let before = waiting.holds();
        waiting.bytes += bytes_of(&packet);
        waiting.packets.push(packet);
        if waiting.bytes > bytes_max {
            waiting.give_up(End::TooSlow);
        }
        self.recount(before, waiting.holds());
        waiting.waker.take()
    }

    /// What it holds, in bytes.
    fn holds(&self) -> usize {
        self.lock().holds()
    }

    /// Drops what it holds and ends the connection.
    fn give_up(&self, end: End) {
        let mut waiting = self.lock();
        let before = waiting.holds();
        waiting.give_up(end);
        self.recount(before, waiting.holds());
        wake(waiting);
    }

    /// Notes how much was read and is no whole packet.
    pub(super) fn note_inbound(&self, bytes: usize) {
        let mut waiting = self.lock();
        let before = waiting.holds();
        waiting.inbound = bytes;
        self.recount(before, waiting.holds());
    }

    fn recount(&self, before: usize, after: usize) {
        let (before, after) =
            (before.saturating_sub(LIGHT_BYTES), after.saturating_sub(LIGHT_BYTES));
        if after > before {
            self.held.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            self.held.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    fn end(&self, end: End) {
        let mut waiting = self.lock();
        waiting.end.get_or_insert(end);
        wake(waiting);
    }

    /// Packets first; the end when they are taken.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Todo> {
        let mut waiting = self.lock();
        let before = waiting.holds();
        // what was taken before is written
        waiting.taken = std::mem::take(&mut waiting.bytes);
        self.recount(before, waiting.holds());
        if !waiting.packets.is_empty() {
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

impl Drop for Outbox {
    fn drop(&mut self) {
        let waiting = self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        let holds = waiting.holds();
        self.recount(holds, 0);
    }
}

impl Waiting {
    fn holds(&self) -> usize {
        self.bytes + self.taken + self.inbound
    }

    /// Nothing more is sent; what the task has taken it drops when it ends.
    fn give_up(&mut self, end: End) {
        self.packets = Vec::new();
        (self.bytes, self.taken, self.inbound) = (0, 0, 0);
        self.end.get_or_insert(end);
    }

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
        Packet::Publish(publish) => {
            publish.payload.len() + publish.topic.len() + publish.properties.bytes()
        }
        _ => 0,
    };
    own + size_of::<Packet>()
}
