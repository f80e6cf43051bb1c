//! What is durable about event buses and their rules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use crate::read::Key;
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 2;

/// A bus other than `default`, which is always there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bus {
    /// Its name.
    pub name: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// What it is described with.
    pub description: Option<Arc<str>>,
    /// Tags, by key.
    pub tags: Tags,
}

/// Keys and values.
pub type Tags = Vec<(Arc<str>, Arc<str>)>;

/// A rule of a bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The bus.
    pub bus: Arc<str>,
    /// Its name, unique on its bus.
    pub name: Arc<str>,
    /// The pattern, as it was given.
    pub pattern: Option<Arc<str>>,
    /// What it is described with.
    pub description: Option<Arc<str>>,
    /// The role it was given; shown, not enforced.
    pub role_arn: Option<Arc<str>>,
    /// Whether it looks at events.
    pub enabled: bool,
    /// Where events that match go, by id.
    pub targets: Vec<Target>,
    /// `ScheduleExpression`, as it was given.
    pub schedule: Option<Arc<str>>,
    /// From when on a rate is counted.
    pub since: Timestamp,
    /// When the schedule is due next.
    pub next: Option<Timestamp>,
    /// Tags, by key.
    pub tags: Tags,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its id, unique in the rule.
    pub id: Arc<str>,
    /// A queue, topic, function, state machine, log group or event bus.
    pub arn: Arc<str>,
    /// What is sent in place of the event.
    pub input: Option<Input>,
    /// `MessageGroupId` of what is sent to a queue.
    pub group: Option<Arc<str>>,
    /// ARN of the queue for what cannot be delivered.
    pub dead_letters: Option<Arc<str>>,
    /// Members that are shown but have no effect.
    pub shown: Json,
}

/// What a target gets in place of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// This JSON text.
    Text(Arc<str>),
    /// The part of the event that this path names.
    Path(Arc<str>),
    /// A template, filled in with parts of the event.
    Template {
        /// Names and paths of the parts.
        parts: Vec<(Arc<str>, Arc<str>)>,
        /// The template.
        text: Arc<str>,
    },
}

/// The counter of events. Names of buses are not empty, so it comes before them.
pub(super) fn counter_key() -> Key {
    KeyBuilder::new(Space::EventBus).text("").build()
}

pub(super) fn bus_key(name: &str) -> Key {
    KeyBuilder::new(Space::EventBus).text(name).build()
}

pub(super) fn rule_key(bus: &str, name: &str) -> Key {
    KeyBuilder::new(Space::EventRule).text(bus).text(name).build()
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
