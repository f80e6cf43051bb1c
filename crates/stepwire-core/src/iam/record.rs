//! What is durable about roles, policies and instance profiles.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use crate::read::{Key, Range};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

const FORMAT: u8 = 1;

/// Pairs of key and value, in the order of the keys' first use.
pub type Tags = Vec<(Arc<str>, Arc<str>)>;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: Arc<str>,
    /// `/`, or parts between slashes.
    pub path: Arc<str>,
    /// `AROA` and 17 letters.
    pub id: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Who may assume it: a policy document.
    pub trust: Arc<str>,
    /// In words.
    pub description: Option<Arc<str>>,
    /// Longest session, seconds; `None`: the default of an hour.
    pub session_s_max: Option<u64>,
    /// ARN of the permissions boundary.
    pub boundary: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
    /// Inline policies: name and document, by name.
    pub inline: Vec<(Arc<str>, Arc<str>)>,
    /// ARNs of attached policies, in the order of their attachment.
    pub attached: Vec<Arc<str>>,
}

/// A managed policy of this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    /// `/`, or parts between slashes.
    pub path: Arc<str>,
    /// `ANPA` and 17 letters.
    pub id: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// When a version was last made.
    pub updated: Timestamp,
    /// In words.
    pub description: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
    /// Number of the version that holds.
    pub default: u64,
    /// Number of the next version.
    pub next: u64,
    /// Versions by number, the oldest first.
    pub versions: Vec<Version>,
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number: `v1` is 1.
    pub number: u64,
    /// When it was made.
    pub created: Timestamp,
    /// The document.
    pub document: Arc<str>,
}

/// An instance profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: Arc<str>,
    /// `/`, or parts between slashes.
    pub path: Arc<str>,
    /// `AIPA` and 17 letters.
    pub id: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Name of its role.
    pub role: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
}

impl Role {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        arn("role", &self.path, &self.name, settings)
    }
}

impl Policy {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        arn("policy", &self.path, &self.name, settings)
    }
}

impl Profile {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        arn("instance-profile", &self.path, &self.name, settings)
    }
}

/// ARNs of IAM name no region.
fn arn(kind: &str, path: &str, name: &str, settings: &Settings) -> String {
    format!("arn:aws:iam::{}:{kind}{path}{name}", settings.account)
}

/// What a key begins with, after its space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Role,
    Policy,
    Profile,
}

pub(super) fn key(kind: Kind, name: &str) -> Key {
    KeyBuilder::new(Space::Iam).bytes(&[kind as u8]).text(&folded(name)).build()
}

/// Names that differ in case alone are the same. Source: IAM user guide, "IAM and STS quotas".
pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

pub(super) fn all() -> Range {
    Range::prefix(&[Space::Iam as u8])
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
