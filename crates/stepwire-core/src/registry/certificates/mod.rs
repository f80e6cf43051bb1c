//! Device certificates.

mod call;
mod request;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

pub use request::Request;
pub use view::answer;

use crate::read::Key;
use crate::record::{Corrupt, Entry, KeyBuilder, Space, decode, encode};

const FORMAT: u8 = 1;

/// Whether a certificate may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It may connect.
    Active,
    /// It may not, for now.
    Inactive,
    /// It may not any more.
    Revoked,
}

impl Status {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Active => "ACTIVE",
            Status::Inactive => "INACTIVE",
            Status::Revoked => "REVOKED",
        }
    }
}

/// A device certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of the DER, 64 hex digits.
    pub id: Arc<str>,
    /// PEM.
    pub pem: Arc<str>,
    /// Whether it may connect.
    pub status: Status,
    /// When it was registered.
    pub created: Timestamp,
    /// When its status last changed.
    pub modified: Timestamp,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A certificate as it now is, or gone.
    Certificate(Arc<str>, Option<Certificate>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Certificate(id, certificate) => {
                (certificate_key(id), certificate.as_ref().map(|c| encode(FORMAT, c)))
            }
        }
    }
}

pub(crate) fn certificate_key(id: &str) -> Key {
    KeyBuilder::new(Space::Certificate).text(id).build()
}

/// The stored certificate.
fn stored(key: &[u8], value: &[u8]) -> Result<Certificate, Corrupt> {
    decode(FORMAT, key, value)
}

/// Every certificate.
#[derive(Debug, Default, PartialEq)]
pub struct Certificates {
    certificates: BTreeMap<Arc<str>, Certificate>,
}

impl Certificates {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::Certificate];

    /// The certificate with this id.
    pub fn find(&self, id: &str) -> Option<&Certificate> {
        self.certificates.get(id)
    }

    /// The only thing that changes certificates.
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Certificate(id, Some(certificate)) => {
                self.certificates.insert(Arc::clone(id), certificate.clone());
            }
            Write::Certificate(id, None) => {
                self.certificates.remove(id);
            }
        }
    }

    /// Takes in one stored entry.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let certificate = stored(key, value)?;
        self.apply(&Write::Certificate(Arc::clone(&certificate.id), Some(certificate)));
        Ok(())
    }
}
