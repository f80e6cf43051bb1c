//! What is durable about parameters.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use crate::read::{Key, Range};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// A parameter as it now is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, a path or not.
    pub name: Arc<str>,
    /// Tags.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Its newest version.
    pub current: Version,
}

/// A version of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// 1 for the first.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// Its value.
    pub value: Arc<str>,
    /// When it was put.
    pub modified: Timestamp,
    /// In words.
    pub description: Option<Arc<str>>,
    /// `AllowedPattern`.
    pub pattern: Option<Arc<str>>,
    /// Name of the key of a `SecureString`; only shown.
    pub key_id: Option<Arc<str>>,
    /// Its tier.
    pub tier: Tier,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Any text.
    String,
    /// Texts with commas between them.
    StringList,
    /// A text that is shown only to those who ask for its decryption.
    SecureString,
}

/// How long a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// 4 KB.
    Standard,
    /// 8 KB.
    Advanced,
}

impl Kind {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "String",
            Kind::StringList => "StringList",
            Kind::SecureString => "SecureString",
        }
    }
}

impl Tier {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Standard => "Standard",
            Tier::Advanced => "Advanced",
        }
    }
}

pub(super) fn key(name: &str) -> Key {
    KeyBuilder::new(Space::Parameter).text(name).build()
}

/// The parameters whose names begin with `prefix`, after `after`, in the order of their names.
pub(super) fn beginning_with(prefix: &str, after: &str) -> Range {
    let range = Range::prefix(&KeyBuilder::new(Space::Parameter).bytes(prefix.as_bytes()).build());
    let from = if after.is_empty() { Key::new() } else { [key(after), vec![0]].concat() };
    Range { from: from.max(range.from.clone()), ..range }
}

pub(super) fn version_key(name: &str, number: u64) -> Key {
    KeyBuilder::new(Space::ParameterVersion).text(name).number(number).build()
}

/// The number at the end of a version's key.
pub(super) fn number_of(key: &[u8]) -> u64 {
    let number = key.len().checked_sub(8).and_then(|at| key.get(at..)?.try_into().ok());
    number.map(u64::from_be_bytes).unwrap_or_default()
}

/// The versions of a parameter, the oldest first.
pub(super) fn versions(name: &str) -> Range {
    Range::prefix(&KeyBuilder::new(Space::ParameterVersion).text(name).build())
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
