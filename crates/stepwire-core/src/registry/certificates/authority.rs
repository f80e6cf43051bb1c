//! Registered certificate authorities.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

use super::{ByName, Facts, Mode};

/// A registered authority: a CA certificate whose owner has proved to have its key, or one that is
/// taken as it is (`SNI_ONLY`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// SHA-256 of its certificate's DER, 64 hex digits.
    pub id: Arc<str>,
    /// Its certificate, PEM.
    pub pem: Arc<str>,
    /// Whether certificates it has signed may be registered.
    pub active: bool,
    /// Whether certificates it has signed register themselves when they first connect.
    pub registers: bool,
    /// Whether its key was proved.
    pub mode: Mode,
    /// When it was registered.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// Grows with each change.
    pub version: u64,
    /// What its certificate says.
    pub facts: Facts,
}

/// What UpdateCACertificate changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityUpdate {
    /// Which.
    pub id: Arc<str>,
    /// `newStatus` is `ACTIVE`.
    pub active: Option<bool>,
    /// `newAutoRegistrationStatus` is `ENABLE`, or `removeAutoRegistration`.
    pub registers: Option<bool>,
}

/// Every registered authority.
#[derive(Debug, Default, PartialEq)]
pub struct Authorities {
    authorities: ByName<Authority>,
    /// How often the registration code was thrown away: the code follows from it.
    pub(super) codes_thrown_away: u64,
}

impl Authorities {
    /// The authority with this id.
    pub fn find(&self, id: &str) -> Option<&Authority> {
        self.authorities.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.authorities.len()
    }

    pub(super) fn set(&mut self, id: &Arc<str>, authority: Option<&Authority>) {
        match authority {
            Some(authority) => self.authorities.insert(Arc::clone(id), authority.clone()),
            None => self.authorities.remove(id),
        };
    }
}
