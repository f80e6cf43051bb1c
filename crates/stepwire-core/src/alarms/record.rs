//! What is durable about alarms.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use crate::metrics::{MetricId, Statistic, Unit};
use crate::read::{Key, Range};
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// An alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Name.
    pub name: Arc<str>,
    /// `AlarmDescription`.
    pub description: Option<Arc<str>>,
    /// When it goes off.
    pub condition: Condition,
    /// Whether changes of its state have consequences.
    pub actions_enabled: bool,
    /// ARNs of what is told that it is in [`State::Ok`].
    pub ok_actions: Vec<Arc<str>>,
    /// The same for [`State::Alarm`].
    pub alarm_actions: Vec<Arc<str>>,
    /// The same for [`State::InsufficientData`].
    pub insufficient_data_actions: Vec<Arc<str>>,
    /// When it was last given.
    pub updated: Timestamp,
    /// How it stands.
    pub state: State,
    /// Why, in words.
    pub reason: Arc<str>,
    /// Why, as JSON text.
    pub reason_data: Option<Arc<str>>,
    /// When it was last set.
    pub state_updated: Timestamp,
    /// When it last became another.
    pub transitioned: Timestamp,
    /// Tags, by key.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Larger than the number of every history item.
    pub next_item: u64,
}

/// When an alarm goes off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub struct Condition {
    pub metric: Arc<MetricId>,
    pub statistic: Statistic,
    pub unit: Option<Unit>,
    pub period_seconds: i64,
    pub evaluation_periods: usize,
    /// As given; all periods when absent.
    pub datapoints_to_alarm: Option<usize>,
    pub threshold: f64,
    pub comparison: Comparison,
    /// As given; [`Missing::Missing`] when absent.
    pub missing: Option<Missing>,
}

/// How an alarm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub enum State {
    Ok,
    Alarm,
    InsufficientData,
}

impl State {
    /// Every state by its name.
    pub const ALL: &'static [(&'static str, State)] = &[
        ("OK", State::Ok),
        ("ALARM", State::Alarm),
        ("INSUFFICIENT_DATA", State::InsufficientData),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        State::ALL.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }
}

/// How a value is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub enum Comparison {
    GreaterOrEqual,
    Greater,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// Every comparison by its name.
    pub const ALL: &'static [(&'static str, Comparison)] = &[
        ("GreaterThanOrEqualToThreshold", Comparison::GreaterOrEqual),
        ("GreaterThanThreshold", Comparison::Greater),
        ("LessThanThreshold", Comparison::Less),
        ("LessThanOrEqualToThreshold", Comparison::LessOrEqual),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Comparison::ALL.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }

    /// Whether a value breaches the threshold.
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::GreaterOrEqual => value >= threshold,
            Comparison::Greater => value > threshold,
            Comparison::Less => value < threshold,
            Comparison::LessOrEqual => value <= threshold,
        }
    }

    /// It in a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Comparison::GreaterOrEqual => "greater than or equal to",
            Comparison::Greater => "greater than",
            Comparison::Less => "less than",
            Comparison::LessOrEqual => "less than or equal to",
        }
    }
}

/// What a period without data counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub enum Missing {
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

impl Missing {
    /// Every one by its name.
    pub const ALL: &'static [(&'static str, Missing)] = &[
        ("missing", Missing::Missing),
        ("ignore", Missing::Ignore),
        ("breaching", Missing::Breaching),
        ("notBreaching", Missing::NotBreaching),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Missing::ALL.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }
}

/// Something that happened to an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryItem {
    /// The alarm.
    pub alarm: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
    /// What, in words.
    pub summary: Arc<str>,
    /// What, as JSON text.
    pub data: Arc<str>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub enum Kind {
    ConfigurationUpdate,
    StateUpdate,
    Action,
}

impl Kind {
    /// Every kind by its name.
    pub const ALL: &'static [(&'static str, Kind)] = &[
        ("ConfigurationUpdate", Kind::ConfigurationUpdate),
        ("StateUpdate", Kind::StateUpdate),
        ("Action", Kind::Action),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }
}

/// A state that an alarm takes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The state.
    pub state: State,
    /// Why, in words.
    pub reason: Arc<str>,
    /// Why, as JSON text.
    pub reason_data: Option<Arc<str>>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// An alarm as it now is, or gone.
    Alarm(Arc<str>, Option<Arc<Alarm>>),
    /// An item of an alarm's history, by its number; `None`: it is no longer kept.
    Item(Arc<str>, u64, Option<Arc<HistoryItem>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Alarm(name, alarm) => {
                (alarm_key(name), alarm.as_deref().map(|alarm| encode(FORMAT, alarm)))
            }
            Write::Item(alarm, number, item) => {
                let key = KeyBuilder::new(Space::AlarmHistory).text(alarm).number(*number);
                (key.build(), item.as_deref().map(|item| encode(FORMAT, item)))
            }
        }
    }
}

pub(super) fn alarm_key(name: &str) -> Key {
    KeyBuilder::new(Space::Alarm).text(name).build()
}

/// All alarms, by name.
pub(super) fn alarms() -> Range {
    Range::prefix(&[Space::Alarm as u8])
}

/// The history of an alarm, oldest first.
pub(super) fn history(alarm: &str) -> Range {
    Range::prefix(&KeyBuilder::new(Space::AlarmHistory).text(alarm).build())
}

pub(super) fn alarm(key: &[u8], value: &[u8]) -> Result<Alarm, Corrupt> {
    decode(FORMAT, key, value)
}

pub(super) fn item(key: &[u8], value: &[u8]) -> Result<HistoryItem, Corrupt> {
    decode(FORMAT, key, value)
}
