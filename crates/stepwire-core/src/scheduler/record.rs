//! What is durable about schedules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use crate::read::Key;
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A group of schedules other than `default`, which is always there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its name.
    pub name: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Tags, by key.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its group.
    pub group: Arc<str>,
    /// Its name, unique in its group.
    pub name: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// `ScheduleExpression`, as it was given.
    pub expression: Arc<str>,
    /// `ScheduleExpressionTimezone`
    pub zone: Arc<str>,
    /// `StartDate`
    pub start: Option<Timestamp>,
    /// `EndDate`
    pub end: Option<Timestamp>,
    /// `Description`
    pub description: Option<Arc<str>>,
    /// `State`
    pub enabled: bool,
    /// `MaximumWindowInMinutes`; 0: the window is off.
    pub window_minutes: u32,
    /// What it does.
    pub target: Target,
    /// Whether it is deleted once it has been due for the last time.
    pub deletes: bool,
    /// From when on a rate is counted.
    pub since: Timestamp,
    /// When its expression is due next.
    pub planned: Option<Timestamp>,
    /// When it is due next: at that time, or later in its window.
    pub next: Option<Timestamp>,
}

/// What a schedule does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// A function, state machine, queue, topic or event bus.
    pub arn: Arc<str>,
    /// `Input`: what it is given.
    pub input: Option<Arc<str>>,
    /// `SqsParameters.MessageGroupId`
    pub group: Option<Arc<str>>,
    /// `EventBridgeParameters`: detail type and source.
    pub event: Option<(Arc<str>, Arc<str>)>,
    /// ARN of the queue for what cannot be delivered.
    pub dead_letters: Option<Arc<str>>,
    /// Members that are shown but have no effect: `RoleArn`, `RetryPolicy`.
    pub shown: Json,
}

pub(super) fn group_key(name: &str) -> Key {
    KeyBuilder::new(Space::ScheduleGroup).text(name).build()
}

pub(super) fn schedule_key(group: &str, name: &str) -> Key {
    KeyBuilder::new(Space::Schedule).text(group).text(name).build()
}

pub(super) fn value<T: Serialize>(record: &T) -> Vec<u8> {
    encode(FORMAT, record)
}

pub(super) fn record<T: serde::de::DeserializeOwned>(
    key: &[u8],
    value: &[u8],
) -> Result<T, Corrupt> {
    decode(FORMAT, key, value)
}
