//! Device certificates, and the authorities that sign them.
//!
//! Whatever needs a key (making certificates, checking signatures) is done by the shell before it
//! asks; here is what a certificate says, in which state it is and whose word it has.

mod authority;
mod authority_call;
mod authority_view;
mod call;
mod facts;
mod request;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use stepwire_asl::Timestamp;

pub use authority::{Authorities, Authority, AuthorityUpdate};
pub(crate) use authority_view::generation;
pub use authority_view::{Signer, registration_code, signers};
pub use facts::{Document, Facts, Field, certificate_id};
pub use request::{Registration, Request};
pub use view::{answer, is_registered};

use super::error::invalid;
use crate::error::ApiError;
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
    /// It registered itself and waits to be let in.
    PendingActivation,
    /// AWS's older word for inactive at its registration.
    RegisterInactive,
}

impl Status {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Active => "ACTIVE",
            Status::Inactive => "INACTIVE",
            Status::Revoked => "REVOKED",
            Status::PendingActivation => "PENDING_ACTIVATION",
            Status::RegisterInactive => "REGISTER_INACTIVE",
        }
    }
}

/// Which authorities a certificate may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// From a registered one, or made here.
    Default,
    /// From any.
    SniOnly,
}

impl Mode {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Default => "DEFAULT",
            Mode::SniOnly => "SNI_ONLY",
        }
    }
}

/// A device certificate. Its PEM is kept beside it, in the store only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of the DER, 64 hex digits.
    pub id: Arc<str>,
    /// The registered authority that signed it.
    pub authority: Option<Arc<str>>,
    /// Whether it may connect.
    pub status: Status,
    /// Which authorities it may come from.
    pub mode: Mode,
    /// When it was registered.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// Grows with each change.
    pub version: u64,
    /// What it says.
    pub facts: Arc<Facts>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A certificate as it now is, or gone.
    Certificate(Arc<str>, Option<Certificate>),
    /// The PEM of a certificate, or gone.
    Text(Arc<str>, Option<Arc<str>>),
    /// That an authority has signed a certificate, or that this is forgotten.
    Signed {
        /// The authority.
        authority: Arc<str>,
        /// The certificate.
        certificate: Arc<str>,
        /// Whether it is known.
        there: bool,
    },
    /// An authority as it now is, or gone.
    Authority(Arc<str>, Option<Authority>),
    /// How often the registration code was thrown away.
    Code(u64),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Certificate(id, certificate) => {
                (certificate_key(id), certificate.as_ref().map(|c| encode(FORMAT, c)))
            }
            Write::Text(id, text) => (text_key(id), text.as_ref().map(|t| encode(FORMAT, t))),
            Write::Signed { authority, certificate, there } => {
                let key = signed_by(authority).text(certificate).build();
                (key, there.then(|| encode(FORMAT, &())))
            }
            Write::Authority(id, authority) => {
                (authority_key(id), authority.as_ref().map(|a| encode(FORMAT, a)))
            }
            Write::Code(number) => (code_key(), Some(encode(FORMAT, number))),
        }
    }
}

pub(crate) fn certificate_key(id: &str) -> Key {
    KeyBuilder::new(Space::Certificate).text(id).build()
}

fn text_key(id: &str) -> Key {
    KeyBuilder::new(Space::CertificateText).text(id).build()
}

/// What the keys of certificates that an authority has signed begin with.
fn signed_by(authority: &str) -> KeyBuilder {
    KeyBuilder::new(Space::CaCertificate).bytes(&[Part::Signed as u8]).text(authority)
}

pub(super) fn authorities() -> KeyBuilder {
    KeyBuilder::new(Space::CaCertificate).bytes(&[Part::Authority as u8])
}

fn authority_key(id: &str) -> Key {
    authorities().text(id).build()
}

fn code_key() -> Key {
    KeyBuilder::new(Space::CaCertificate).bytes(&[Part::Code as u8]).build()
}

/// What an entry of the authorities' space holds, by its second byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Authority = 1,
    Signed = 2,
    Code = 3,
}

/// Every certificate and every authority.
#[derive(Debug, Default, PartialEq)]
pub struct Certificates {
    certificates: IndexMap<Arc<str>, Certificate>,
    /// Authorities and the registration code.
    pub authorities: Authorities,
}

impl Certificates {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::Certificate, Space::CaCertificate];

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
                self.certificates.swap_remove(id);
            }
            // Read from the store where it is wanted.
            Write::Text(..) | Write::Signed { .. } => {}
            Write::Authority(id, authority) => self.authorities.set(id, authority.as_ref()),
            Write::Code(number) => self.authorities.codes_thrown_away = *number,
        }
    }

    /// Takes in one stored entry.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if key.first() == Some(&(Space::Certificate as u8)) {
            let certificate: Certificate = decode(FORMAT, key, value)?;
            self.apply(&Write::Certificate(Arc::clone(&certificate.id), Some(certificate)));
        } else if key.get(1) == Some(&(Part::Authority as u8)) {
            let authority: Authority = decode(FORMAT, key, value)?;
            self.apply(&Write::Authority(Arc::clone(&authority.id), Some(authority)));
        } else if key.get(1) == Some(&(Part::Code as u8)) {
            self.apply(&Write::Code(decode(FORMAT, key, value)?));
        }
        Ok(())
    }
}

/// The status that a request may give a certificate.
fn status(word: &str) -> Result<Status, ApiError> {
    match word {
        "ACTIVE" => Ok(Status::Active),
        "INACTIVE" => Ok(Status::Inactive),
        "REVOKED" => Ok(Status::Revoked),
        "REGISTER_INACTIVE" => Ok(Status::RegisterInactive),
        "PENDING_TRANSFER" | "PENDING_ACTIVATION" => {
            Err(invalid(format!("the status `{word}` is not a caller's to give")))
        }
        _ => Err(invalid(format!("`{word}` is no status of a certificate"))),
    }
}

/// Sorted by name, for lists that state keeps.
type ByName<T> = BTreeMap<Arc<str>, T>;
