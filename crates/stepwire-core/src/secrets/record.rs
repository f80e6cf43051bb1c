//! What is durable about secrets.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use stepwire_asl::Timestamp;

use crate::read::{Key, Range};
use crate::record::{Corrupt, KeyBuilder, Space, decode, encode};
use crate::settings::Settings;

const FORMAT: u8 = 1;

/// All of a secret but its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: Arc<str>,
    /// The six characters at the end of its ARN: another secret of the same name has others.
    pub suffix: Arc<str>,
    /// In words.
    pub description: Option<Arc<str>>,
    /// Name of a key; only shown.
    pub key_id: Option<Arc<str>>,
    /// Tags.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// When it was made.
    pub created: Timestamp,
    /// When anything of it changed.
    pub changed: Timestamp,
    /// When it is removed for good, if it is to be.
    pub deleted: Option<Timestamp>,
    /// Its versions, the oldest first. A stage is on one of them at most.
    pub versions: Vec<Version>,
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// `ClientRequestToken` of the request that made it.
    pub id: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Its staging labels, such as `AWSCURRENT`; without any it may be removed.
    pub stages: Vec<Arc<str>>,
    /// [`Value::digest`] of its value.
    pub digest: [u8; 32],
}

/// What is secret. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// `SecretString`.
    String(Arc<str>),
    /// `SecretBinary`.
    Binary(Arc<[u8]>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::String(_) => "SecretString(…)",
            Value::Binary(_) => "SecretBinary(…)",
        })
    }
}

impl Secret {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        settings.arn("secretsmanager", &format!("secret:{}-{}", self.name, self.suffix))
    }

    /// The version with this staging label.
    pub fn at_stage(&self, stage: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.has(stage))
    }

    /// The version of this id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| &*version.id == id)
    }
}

impl Version {
    /// Whether it has this staging label.
    pub fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|own| &**own == stage)
    }
}

impl Value {
    /// What equal values have in common and others do not; tells nothing without the node's key.
    pub(super) fn digest(&self, settings: &Settings) -> [u8; 32] {
        let (kind, bytes) = match self {
            Value::String(text) => (b"s", text.as_bytes()),
            Value::Binary(bytes) => (b"b", &**bytes),
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(&settings.secret).expect("any length will do");
        mac.update(kind);
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

pub(super) fn key(name: &str) -> Key {
    KeyBuilder::new(Space::Secret).text(name).build()
}

/// All secrets, in the order of their names.
pub(super) fn all() -> Range {
    Range::prefix(&[Space::Secret as u8])
}

pub(super) fn value_key(name: &str, version: &str) -> Key {
    KeyBuilder::new(Space::SecretValue).text(name).text(version).build()
}

pub(super) fn stored<T: Serialize>(record: &T) -> Vec<u8> {
    encode(FORMAT, record)
}

pub(super) fn record<T: serde::de::DeserializeOwned>(
    key: &[u8],
    value: &[u8],
) -> Result<T, Corrupt> {
    decode(FORMAT, key, value)
}
