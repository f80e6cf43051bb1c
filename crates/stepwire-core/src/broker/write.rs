//! What the broker records.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::session::{Queued, SessionRecord, Subscription};
use crate::message::Message;
use crate::mqtt::PacketId;
use crate::read::{Key, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

/// Format of every value below.
const FORMAT: u8 = 1;

/// One durable change. The last one for a key holds; `None` removes.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Presence and life of a client identifier's session.
    Session {
        /// Client identifier.
        client: Arc<str>,
        /// Its record.
        record: Option<Arc<SessionRecord>>,
    },
    /// A subscription of a durable session.
    Subscription {
        /// Client identifier.
        client: Arc<str>,
        /// Filter as the client wrote it.
        filter: Arc<str>,
        /// How to deliver.
        subscription: Option<Subscription>,
    },
    /// A QoS 2 message of the client that it has not released.
    Received {
        /// Client identifier.
        client: Arc<str>,
        /// The client's packet identifier.
        packet_id: PacketId,
        /// Whether it is open.
        open: bool,
    },
    /// Queued messages up to this one were sent.
    Sent {
        /// Client identifier.
        client: Arc<str>,
        /// Number of the first message that was not.
        up_to: Option<u64>,
    },
    /// A message on its way to a client.
    Queued {
        /// Client identifier.
        client: Arc<str>,
        /// Number of the message in the client's queue.
        number: u64,
        /// The message.
        queued: Option<Queued>,
    },
    /// The retained message of a topic.
    Retained {
        /// Topic name.
        topic: Arc<str>,
        /// The message.
        message: Option<Arc<Message>>,
    },
    /// A service message that waits for a subscription.
    Held {
        /// Number of the message.
        number: u64,
        /// The message.
        held: Option<Held>,
    },
}

/// A service message that waits for a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The message.
    pub message: Arc<Message>,
    /// When waiting ends.
    pub until: Timestamp,
}

/// What a key in [`Space::Session`] is about, after the client identifier.
mod part {
    pub(super) const RECORD: u8 = 0;
    pub(super) const SUBSCRIPTION: u8 = 1;
    pub(super) const RECEIVED: u8 = 2;
    pub(super) const SENT: u8 = 3;
}

impl Write {
    /// The change as bytes.
    pub fn entry(&self) -> Entry {
        (self.key(), self.value())
    }

    fn key(&self) -> Key {
        let session =
            |client: &str, part| KeyBuilder::new(Space::Session).text(client).bytes(&[part]);
        match self {
            Write::Session { client, .. } => session(client, part::RECORD),
            Write::Subscription { client, filter, .. } => {
                session(client, part::SUBSCRIPTION).text(filter)
            }
            Write::Received { client, packet_id, .. } => {
                session(client, part::RECEIVED).bytes(&packet_id.get().to_be_bytes())
            }
            Write::Sent { client, .. } => session(client, part::SENT),
            Write::Queued { client, number, .. } => {
                KeyBuilder::new(Space::Queued).text(client).number(*number)
            }
            Write::Retained { topic, .. } => KeyBuilder::new(Space::Retained).text(topic),
            Write::Held { number, .. } => KeyBuilder::new(Space::Held).number(*number),
        }
        .build()
    }

    fn value(&self) -> Option<Vec<u8>> {
        match self {
            Write::Session { record, .. } => record.as_ref().map(|it| encode(FORMAT, it)),
            Write::Subscription { subscription, .. } => {
                subscription.as_ref().map(|it| encode(FORMAT, it))
            }
            Write::Received { open, .. } => open.then(|| encode(FORMAT, &())),
            Write::Sent { up_to, .. } => up_to.map(|it| encode(FORMAT, &it)),
            Write::Queued { queued, .. } => queued.as_ref().map(|it| encode(FORMAT, it)),
            Write::Retained { message, .. } => message.as_ref().map(|it| encode(FORMAT, it)),
            Write::Held { held, .. } => held.as_ref().map(|it| encode(FORMAT, it)),
        }
    }

    /// The change that put this entry into the store.
    pub(super) fn from_entry(key: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        let bad = |why: &str| Corrupt { key: key.to_vec(), why: why.to_owned() };
        let mut parts = Parts(key.get(1..).unwrap_or_default());
        let write = match key.first().copied() {
            Some(space) if space == Space::Session as u8 => {
                let client = parts.text().ok_or_else(|| bad("no client identifier"))?;
                session_part(client, &mut parts, key, value)?
            }
            Some(space) if space == Space::Queued as u8 => {
                let client = parts.text().ok_or_else(|| bad("no client identifier"))?;
                let number = parts.number().ok_or_else(|| bad("no number"))?;
                Write::Queued { client, number, queued: Some(decode(FORMAT, key, value)?) }
            }
            Some(space) if space == Space::Retained as u8 => {
                let topic = parts.text().ok_or_else(|| bad("no topic"))?;
                Write::Retained { topic, message: Some(decode(FORMAT, key, value)?) }
            }
            Some(space) if space == Space::Held as u8 => {
                let number = parts.number().ok_or_else(|| bad("no number"))?;
                Write::Held { number, held: Some(decode(FORMAT, key, value)?) }
            }
            _ => return Err(bad("not a record of the broker")),
        };
        if parts.0.is_empty() { Ok(write) } else { Err(bad("key goes on")) }
    }
}

/// What is stored of a client identifier: its presence, and how long its session lives.
pub fn stored_session(client: &str, read: &dyn Read) -> Result<Option<SessionRecord>, Corrupt> {
    if client.contains('\0') {
        return Ok(None);
    }
    let key = KeyBuilder::new(Space::Session).text(client).bytes(&[part::RECORD]).build();
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

fn session_part(
    client: Arc<str>,
    parts: &mut Parts<'_>,
    key: &[u8],
    value: &[u8],
) -> Result<Write, Corrupt> {
    let bad = |why: &str| Corrupt { key: key.to_vec(), why: why.to_owned() };
    match parts.take(1) {
        Some([part::RECORD]) => {
            Ok(Write::Session { client, record: Some(decode(FORMAT, key, value)?) })
        }
        Some([part::SUBSCRIPTION]) => {
            let filter = parts.text().ok_or_else(|| bad("no filter"))?;
            let subscription = Some(decode(FORMAT, key, value)?);
            Ok(Write::Subscription { client, filter, subscription })
        }
        Some([part::RECEIVED]) => {
            let id = parts.take(2).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok());
            let packet_id = id.and_then(|bytes| PacketId::new(u16::from_be_bytes(bytes)));
            let packet_id = packet_id.ok_or_else(|| bad("no packet identifier"))?;
            let () = decode(FORMAT, key, value)?;
            Ok(Write::Received { client, packet_id, open: true })
        }
        Some([part::SENT]) => Ok(Write::Sent { client, up_to: Some(decode(FORMAT, key, value)?) }),
        _ => Err(bad("unknown part of a session")),
    }
}

/// Reads what [`KeyBuilder`] wrote.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let text = std::str::from_utf8(self.take(end)?).ok()?;
        self.take(1)?;
        Some(text.into())
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }
}
