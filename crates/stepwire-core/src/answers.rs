//! Answers of devices on their way to the task that waits for them (rule action `completeTask`).
//!
//! An answer may be faster than the state that stores its task's token. So one that finds no
//! active token is kept, durably, for a short while, and looks again each time an item of its
//! operation is written. Nothing polls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// Most answers kept at a time; the oldest goes when one more comes.
pub(crate) const KEPT_MAX: usize = 10_000;

/// A device's answer to an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The rule that took it.
    pub rule: Arc<str>,
    /// Table that holds the tokens.
    pub table: Arc<str>,
    /// Partition key value: the operation.
    pub operation: Arc<str>,
    /// The device it must be from.
    pub device: Arc<str>,
    /// The thing whose connection published it.
    pub publisher: Option<Arc<str>>,
    /// Names of the token table's attributes.
    pub attributes: Attributes,
    /// What the task is completed with.
    pub output: Json,
    /// When it came.
    pub at: Timestamp,
}

/// Names of the attributes that say whose token it is and whether it is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Holds the device's thing name.
    pub device: Arc<str>,
    /// Holds `ACTIVE` while the token can be used.
    pub status: Arc<str>,
    /// Holds the task token.
    pub token: Arc<str>,
}

impl Default for Attributes {
    fn default() -> Self {
        Attributes { device: "deviceId".into(), status: "status".into(), token: "token".into() }
    }
}

/// The answers that wait for their task.
#[derive(Debug, Default)]
pub struct Answers {
    kept: BTreeMap<u64, Answer>,
    /// Derived from `kept`.
    by_operation: BTreeMap<(Arc<str>, Arc<str>), BTreeSet<u64>>,
    /// Larger than every number in use; starts again when none is kept.
    next: u64,
}

impl PartialEq for Answers {
    fn eq(&self, other: &Self) -> bool {
        self.kept == other.kept && self.by_operation == other.by_operation
    }
}

impl Answers {
    /// What recovery reads into memory.
    pub const SPACES: &'static [Space] = &[Space::Answer];

    /// The only thing that changes which answers wait.
    pub fn apply(&mut self, number: u64, answer: Option<&Answer>) {
        self.next = self.next.max(number + 1);
        if let Some(before) = self.kept.remove(&number) {
            let key = operation(&before);
            if let Some(numbers) = self.by_operation.get_mut(&key) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.by_operation.remove(&key);
                }
            }
        }
        if let Some(answer) = answer {
            self.by_operation.entry(operation(answer)).or_default().insert(number);
            self.kept.insert(number, answer.clone());
        }
    }

    /// Takes in one stored answer.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let corrupt = || Corrupt { key: key.to_vec(), why: "not an answer's key".to_owned() };
        let answer: Answer = decode(FORMAT, key, value)?;
        self.apply(number.ok_or_else(corrupt)?, Some(&answer));
        Ok(())
    }

    /// Those that wait for this operation in this table.
    pub(crate) fn waiting_for(&self, table: &str, operation: &str) -> Vec<(u64, Answer)> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let numbers = self.by_operation.get(&(Arc::from(table), Arc::from(operation)));
        let numbers = numbers.into_iter().flatten();
        numbers.filter_map(|number| Some((*number, self.kept.get(number)?.clone()))).collect()
    }

    /// A number for one more answer.
    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    /// The oldest, when there are too many.
    pub(crate) fn surplus(&self) -> Option<u64> {
        (self.kept.len() > KEPT_MAX).then(|| self.kept.keys().next().copied()).flatten()
    }

    /// When the oldest has waited `grace_ms`.
    pub fn due(&self, grace_ms: i64) -> Option<Timestamp> {
        self.kept.values().next().map(|answer| answer.at.plus_ms(grace_ms))
    }

    /// Those that have waited `grace_ms`.
    pub(crate) fn expired(&self, now: Timestamp, grace_ms: i64) -> Vec<(u64, Answer)> {
        let old = self.kept.iter().take_while(|(_, answer)| answer.at.plus_ms(grace_ms) <= now);
        old.map(|(number, answer)| (*number, answer.clone())).collect()
    }
}

fn operation(answer: &Answer) -> (Arc<str>, Arc<str>) {
    (Arc::clone(&answer.table), Arc::clone(&answer.operation))
}

/// The stored form of a kept answer.
pub(crate) fn entry(number: u64, answer: Option<&Answer>) -> Entry {
    let key = KeyBuilder::new(Space::Answer).number(number).build();
    (key, answer.map(|answer| encode(FORMAT, answer)))
}
