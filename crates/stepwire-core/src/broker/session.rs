//! One client's MQTT session (MQTT 5.0, 4.1).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU16;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::ConnectionId;
use super::ending::DisconnectReason;
use super::guard::Allowance;
use crate::message::{Client, Message, QoS};
use crate::mqtt::{PacketId, SubscriptionOptions, Version, Will};
use crate::rate::Bucket;

/// How long a client identifier is remembered after its last session, so that version numbers
/// grow; after that they start again.
pub(super) const REMEMBERED_MS: i64 = 3_600_000;

/// What is known of a client identifier: its presence, and how long its session lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The newest connection.
    pub client: Arc<Client>,
    /// Number of that connection, counted for this client identifier.
    pub version_number: u64,
    /// Number of the next one.
    pub next_version: u64,
    /// Whether it is open.
    pub connected: bool,
    /// When it was opened, or closed.
    pub since: Timestamp,
    /// Why it was closed; `None` while it is open.
    pub disconnect_reason: Option<DisconnectReason>,
    /// Protocol version it speaks.
    pub version: Version,
    /// Longest time between two of its packets, in seconds; 0 for no limit.
    pub keep_alive_s: u16,
    /// How long the session outlives it, in seconds; `u32::MAX` for ever.
    pub expiry_s: u32,
    /// Whether the session's state is durable.
    pub stored: bool,
    /// What to publish when the connection ends without DISCONNECT, or at `will_at`.
    pub will: Option<Arc<Will>>,
    /// When the will of a closed connection is due.
    pub will_at: Option<Timestamp>,
}

impl SessionRecord {
    /// Whether it is of a session, and not only the memory of one.
    pub(super) fn is_live(&self) -> bool {
        self.connected || self.expiry_s > 0
    }

    /// Whether there is a session that a new connection could go on with.
    pub(super) fn is_resumable(&self, now: Timestamp) -> bool {
        !self.connected && self.expiry_s > 0 && self.ends_at().is_none_or(|end| now < end)
    }

    /// When the session of a closed connection ends; `None`: never.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        (self.expiry_s != u32::MAX).then(|| self.since.plus_ms(i64::from(self.expiry_s) * 1000))
    }

    /// When something is due while the client is away.
    pub(super) fn due_offline(&self) -> Option<Timestamp> {
        let end = match self.expiry_s {
            0 => Some(self.since.plus_ms(REMEMBERED_MS)),
            _ => self.ends_at(),
        };
        [end, self.will_at].into_iter().flatten().min()
    }
}

/// A subscription of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// How to deliver.
    pub options: SubscriptionOptions,
    /// Number to send along.
    pub id: Option<u32>,
}

/// A QoS 1 or 2 message on its way to a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// Quality of service of the delivery.
    pub qos: QoS,
    /// Retain flag of the delivery.
    pub retain: bool,
    /// Whether it was sent in the step that queued it.
    pub sent: bool,
    /// Subscription identifiers of the delivery.
    pub subscription_ids: Vec<u32>,
    /// The filter of the shared subscription that it is for, if it is for one.
    pub shared: Option<Arc<str>>,
    /// The message; `None` when the client has it and only the release is open (QoS 2).
    pub message: Option<Arc<Message>>,
}

/// What a queued message takes besides its topic and payload, about.
const QUEUED_BYTES: usize = size_of::<(u64, Queued)>() + size_of::<Message>();

impl Queued {
    fn bytes(&self) -> usize {
        let message = self.message.as_ref();
        message.map_or(0, |message| message.bytes()) + QUEUED_BYTES
    }
}

/// A session and, while it is connected, its connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) record: Arc<SessionRecord>,
    /// By filter as the client wrote it.
    pub(super) subscriptions: BTreeMap<Arc<str>, Subscription>,
    /// How many of them have wildcards.
    pub(super) wildcards: usize,
    pub(super) queue: Queue,
    /// QoS 2 packets of the client that it has not released.
    pub(super) received: BTreeSet<PacketId>,
    pub(super) link: Option<Box<Link>>,
    /// Its entry in the broker's deadlines.
    pub(super) deadline: Option<Timestamp>,
    /// What is left of the CONNECTs and take-overs of its client identifier.
    pub(super) connects: Option<Bucket>,
    pub(super) takeovers: Option<Bucket>,
}

impl Session {
    pub(super) fn new(record: Arc<SessionRecord>) -> Session {
        Session {
            record,
            subscriptions: BTreeMap::new(),
            wildcards: 0,
            queue: Queue::default(),
            received: BTreeSet::new(),
            link: None,
            deadline: None,
            connects: None,
            takeovers: None,
        }
    }

    /// When something is due: silence of the client, or the end of its absence.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.link {
            Some(link) => link.silent_at(),
            None if self.record.connected => None,
            None => self.record.due_offline(),
        }
    }
}

/// A live connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: ConnectionId,
    pub(super) version: Version,
    /// One and a half keep-alives; 0 for no limit.
    pub(super) silence_ms: i64,
    pub(super) heard: Timestamp,
    /// Messages that may be in flight.
    pub(super) window: usize,
    pub(super) packet_bytes_max: usize,
    /// Topics by alias that the client uses, alias 1 first.
    pub(super) aliases_in: Vec<Option<Arc<str>>>,
    pub(super) aliases_out: IndexMap<Arc<str>, NonZeroU16>,
    pub(super) aliases_out_max: u16,
    pub(super) allowance: Allowance,
}

impl Link {
    fn silent_at(&self) -> Option<Timestamp> {
        (self.silence_ms > 0).then(|| self.heard.plus_ms(self.silence_ms))
    }
}

/// QoS 1 and 2 messages for a client, in order.
///
/// Each has a number that only grows; its packet identifier follows from the number, so a
/// redelivery after a restart has the identifier of the first delivery.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<(u64, Queued)>,
    bytes: usize,
    /// Number of the next message.
    next: u64,
    /// Messages before this were sent, on this connection or an earlier one.
    sent: u64,
    /// The durable part of `sent`, beside the entries that say so themselves.
    mark: Option<u64>,
    /// Messages before this were sent on this connection.
    cursor: u64,
    in_flight: usize,
}

/// Numbers that can be in flight at once without two having the same packet identifier.
const SPAN: u64 = 65_535;

/// The packet identifier of message `number`.
fn packet_id(number: u64) -> PacketId {
    PacketId::MIN.saturating_add((number % SPAN) as u16)
}

/// A message to send now.
#[derive(Debug)]
pub(super) struct Next<'a> {
    pub(super) number: u64,
    pub(super) packet_id: PacketId,
    /// Whether it was sent before.
    pub(super) again: bool,
    pub(super) queued: &'a Queued,
}

impl Queue {
    /// Number the next message will have.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every message with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Queued)> {
        self.entries.iter().map(|(number, queued)| (*number, queued))
    }

    pub(super) fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// The first message this connection has not seen, if the window lets it through.
    pub(super) fn next(&self, window: usize) -> Option<Next<'_>> {
        if self.in_flight >= window {
            return None;
        }
        let at = self.entries.partition_point(|(number, _)| *number < self.cursor);
        let (number, queued) = self.entries.get(at)?;
        self.spans(*number).then_some(Next {
            number: *number,
            packet_id: packet_id(*number),
            again: *number < self.sent,
            queued,
        })
    }

    /// Whether a message queued now can be sent at once; its packet identifier.
    pub(super) fn open(&self, window: usize) -> Option<PacketId> {
        let waiting = self.entries.back().is_some_and(|(number, _)| *number >= self.cursor);
        (self.in_flight < window && !waiting && self.spans(self.next)).then(|| packet_id(self.next))
    }

    fn spans(&self, number: u64) -> bool {
        self.entries.front().is_none_or(|(first, _)| number - first < SPAN)
    }

    /// Notes that message `number` was sent on this connection.
    pub(super) fn note_sent(&mut self, number: u64) {
        self.cursor = number + 1;
        self.sent = self.sent.max(self.cursor);
        self.in_flight += 1;
    }

    /// Everything sent so far may have to be sent again.
    pub(super) fn reset(&mut self) {
        self.cursor = 0;
        self.in_flight = 0;
    }

    /// Messages before this were sent at some time.
    pub(super) fn sent_up_to(&self) -> u64 {
        self.sent
    }

    /// The message in flight on this connection under `id`.
    pub(super) fn in_flight(&self, id: PacketId) -> Option<(u64, &Queued)> {
        let first = self.entries.front()?.0;
        let wanted = u64::from(id.get() - 1);
        let number = first + (wanted + SPAN - first % SPAN) % SPAN;
        let at = self.position(number).ok()?;
        (number < self.cursor).then(|| (number, &self.entries[at].1))
    }

    /// Messages of shared subscriptions that another of the group may have when the session ends: of
    /// QoS 2, only those that were not sent (MQTT 5.0, 4.8.2).
    pub(super) fn unclaimed(&self) -> Vec<(Arc<str>, Arc<Message>)> {
        let unclaimed = |(number, queued): &(u64, Queued)| {
            let begun = queued.sent || *number < self.sent;
            let filter =
                queued.shared.as_ref().filter(|_| queued.qos == QoS::AtLeastOnce || !begun)?;
            Some((Arc::clone(filter), Arc::clone(queued.message.as_ref()?)))
        };
        self.entries.iter().filter_map(unclaimed).collect()
    }

    /// Message `number`.
    pub(super) fn get(&self, number: u64) -> Option<&Queued> {
        self.position(number).ok().map(|at| &self.entries[at].1)
    }

    fn position(&self, number: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&number, |(number, _)| *number)
    }

    /// Folds a change of one message in.
    pub(super) fn apply(&mut self, number: u64, queued: Option<&Queued>) {
        match (self.position(number), queued) {
            (Ok(at), Some(queued)) => {
                let old = std::mem::replace(&mut self.entries[at].1, queued.clone());
                self.bytes = self.bytes + queued.bytes() - old.bytes();
            }
            (Err(at), Some(queued)) => {
                self.bytes += queued.bytes();
                self.entries.insert(at, (number, queued.clone()));
            }
            (Ok(at), None) => self.remove(at, number),
            (Err(_), None) => {}
        }
        if let Some(queued) = queued {
            self.next = self.next.max(number + 1);
            if queued.sent {
                self.sent = self.sent.max(number + 1);
            }
        }
    }

    fn remove(&mut self, at: usize, number: u64) {
        if let Some((_, old)) = self.entries.remove(at) {
            self.bytes -= old.bytes();
        }
        if number < self.cursor {
            self.in_flight -= 1;
        }
        if self.entries.is_empty() {
            // idle sessions hold no buffer
            self.entries.shrink_to(4);
        }
    }

    /// Folds a durable "sent up to" in.
    pub(super) fn apply_mark(&mut self, mark: Option<u64>) {
        self.mark = mark;
        if let Some(mark) = mark {
            self.sent = self.sent.max(mark);
            self.next = self.next.max(mark);
        }
    }
}

/// Names a session while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionId(u32);

#[cfg(test)]
impl SessionId {
    pub(super) fn nth(at: usize) -> SessionId {
        SessionId(at as u32)
    }
}

/// All sessions, by a small number and by client identifier.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    slots: Vec<Option<Session>>,
    free: Vec<u32>,
    by_client: IndexMap<Arc<str>, SessionId>,
}

impl Sessions {
    pub(super) fn find(&self, client: &str) -> Option<SessionId> {
        self.by_client.get(client).copied()
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    pub(super) fn by_client_mut(&mut self, client: &str) -> Option<(SessionId, &mut Session)> {
        let id = self.find(client)?;
        Some((id, self.get_mut(id)?))
    }

    pub(super) fn insert(&mut self, client: Arc<str>, session: Session) -> SessionId {
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        let id = SessionId(slot);
        if let Some(free) = self.slots.get_mut(slot as usize) {
            *free = Some(session);
        } else {
            self.slots.push(Some(session));
        }
        self.by_client.insert(client, id);
        id
    }

    pub(super) fn remove(&mut self, client: &str) -> Option<(SessionId, Session)> {
        let id = self.by_client.swap_remove(client)?;
        let session = self.slots.get_mut(id.0 as usize)?.take()?;
        self.free.push(id.0);
        Some((id, session))
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.by_client.values().copied().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Session)> {
        self.by_client.iter().filter_map(|(client, id)| Some((client, self.get(*id)?)))
    }
}
