//! How destinations are stored.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::Write;
use crate::read::{Key, Range, Read};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A place that rules may send to once it is confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Which it is of all there have been.
    pub number: u64,
    /// A UUID: the last part of its ARN.
    pub id: Arc<str>,
    /// `confirmationUrl` as it was given.
    pub url: Arc<str>,
    /// Whether it may be sent to.
    pub status: Status,
    /// Why its confirmation failed.
    pub reason: Option<Arc<str>>,
    /// When it was created.
    pub created: Timestamp,
    /// When its status was last set.
    pub updated: Timestamp,
    /// The last time it was asked to confirm.
    pub challenge: Challenge,
}

/// Where a destination stands. Source: AWS IoT API reference, `TopicRuleDestinationStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It has been asked, or is being asked, to confirm.
    InProgress,
    /// It has confirmed, and rules may send to it.
    Enabled,
    /// It has confirmed, and rules must not send to it.
    Disabled,
    /// It cannot be asked, or has not answered in time.
    Error,
}

impl Status {
    /// As AWS spells it.
    pub fn name(self) -> &'static str {
        match self {
            Status::InProgress => "IN_PROGRESS",
            Status::Enabled => "ENABLED",
            Status::Disabled => "DISABLED",
            Status::Error => "ERROR",
        }
    }
}

/// A destination is asked to confirm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// Which of the destination's challenges; the token names it.
    pub number: u32,
    /// When it was made: its token lasts from here.
    pub made: Timestamp,
    /// Requests that were answered badly or not at all.
    pub failed: u32,
    /// What happened to the last request that failed.
    pub why: Option<Arc<str>>,
    /// The request that carries the token.
    pub request: Sending,
    /// Whether the token has been used.
    pub met: bool,
}

/// Where the request of a challenge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sending {
    /// It leaves then.
    Due(Timestamp),
    /// It is under way; after a restart it is sent again.
    UnderWay,
    /// It arrived then.
    Arrived(Timestamp),
    /// It is not sent again.
    Ended,
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Next(next) => (key(""), Some(encode(FORMAT, next))),
            Write::Destination(id, destination) => {
                (key(id), destination.as_deref().map(|destination| encode(FORMAT, destination)))
            }
        }
    }

    /// The change that a stored entry is.
    pub(super) fn load(at: &[u8], value: &[u8]) -> Result<Write, Corrupt> {
        if at == key("") {
            return Ok(Write::Next(decode(FORMAT, at, value)?));
        }
        let destination: Destination = decode(FORMAT, at, value)?;
        Ok(Write::Destination(Arc::clone(&destination.id), Some(Arc::new(destination))))
    }
}

/// Where a destination is stored; with an empty id, where the counter is.
fn key(id: &str) -> Key {
    KeyBuilder::new(Space::RuleDestination).text(id).build()
}

/// The stored destination of this id.
pub(super) fn one(id: &str, read: &dyn Read) -> Result<Option<Destination>, Corrupt> {
    let key = key(id);
    if id.is_empty() {
        return Ok(None);
    }
    read.get(&key).map(|value| decode(FORMAT, &key, &value)).transpose()
}

/// All stored destinations, by id.
pub(super) fn all(read: &dyn Read) -> Result<Vec<Destination>, Corrupt> {
    let range = Range::prefix(&KeyBuilder::new(Space::RuleDestination).build());
    let entries = read.range(&range).into_iter().filter(|(at, _)| *at != key(""));
    entries.map(|(key, value)| decode(FORMAT, &key, &value)).collect()
}
