//! Requests that read authorities, answered from committed records.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stepwire_asl::Json;

use super::view::{stored, summary, validity};
use super::{Authority, FORMAT, authorities, authority_key, certificate_key, code_key, signed_by};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::hex::hex;
use crate::read::{Range, Read};
use crate::record::{Corrupt, decode};
use crate::registry::error::{internal, missing};
use crate::registry::listing::{Page, key_texts, listed_under, page_of};
use crate::registry::names::{authority_arn, seconds};
use crate::settings::Settings;

/// An authority that may have signed a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Its id.
    pub id: Arc<str>,
    /// Its certificate, PEM.
    pub pem: Arc<str>,
    /// Whether certificates it has signed may be registered.
    pub active: bool,
    /// Whether certificates it has signed register themselves.
    pub registers: bool,
}

/// The registered authorities with the subject whose SHA-256 is `subject`: whose signature it is,
/// the shell finds out.
pub fn signers(subject: &[u8; 32], read: &dyn Read) -> Result<Vec<Signer>, ApiError> {
    let entries = read.range(&Range::prefix(&authorities().build()));
    let mut found = Vec::new();
    for (key, value) in entries {
        let authority = stored_authority(&key, &value).map_err(internal)?;
        if authority.facts.subject == *subject {
            let Authority { id, pem, active, registers, .. } = authority;
            found.push(Signer { id, pem, active, registers });
        }
    }
    Ok(found)
}

/// The code that a verification certificate must have as its common name, 64 hex digits.
pub fn registration_code(secret: &[u8; 32], thrown_away: u64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a MAC takes keys of any length");
    mac.update(b"registration code");
    mac.update(&thrown_away.to_be_bytes());
    hex(&mac.finalize().into_bytes())
}

/// GetRegistrationCode
pub(super) fn code(read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = code_key();
    let thrown_away = match read.get(&key) {
        Some(value) => decode(FORMAT, &key, &value).map_err(internal)?,
        None => 0,
    };
    let code = registration_code(&settings.secret, thrown_away);
    Ok(Json::object([("registrationCode", Json::from(code))]))
}

/// DescribeCACertificate
pub(super) fn describe(id: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = authority_key(id);
    let value = read.get(&key).ok_or_else(|| missing(&format!("CA certificate {id}")))?;
    let authority = stored_authority(&key, &value).map_err(internal)?;
    let description = Json::object([
        ("certificateArn", authority_arn(settings, id)),
        ("certificateId", Json::String(Arc::clone(&authority.id))),
        ("status", status(&authority)),
        ("certificatePem", Json::String(Arc::clone(&authority.pem))),
        ("ownedBy", Json::String(Arc::clone(&settings.account))),
        ("creationDate", seconds(authority.created)),
        ("autoRegistrationStatus", if authority.registers { "ENABLE" } else { "DISABLE" }.into()),
        ("lastModifiedDate", seconds(authority.modified)),
        ("customerVersion", (authority.version as i64).into()),
        ("generationId", generation(id, authority.created.0, settings)),
        ("validity", validity(&authority.facts)),
        ("certificateMode", authority.mode.word().into()),
    ]);
    Ok(Json::object([("certificateDescription", description)]))
}

/// ListCACertificates
pub(super) fn list(page: &Page, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let items = listed_under(read, &authorities(), page, &mut |key, value| {
        let authority = stored_authority(key, value)?;
        let members = [
            ("certificateArn", authority_arn(settings, &authority.id)),
            ("certificateId", Json::String(Arc::clone(&authority.id))),
            ("status", status(&authority)),
            ("creationDate", seconds(authority.created)),
        ];
        Ok(Some((authority.id, Json::object(members))))
    })?;
    Ok(page_of("certificates", "nextMarker", items))
}

/// ListCertificatesByCA
pub(super) fn list_signed(
    id: &str,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let items = listed_under(read, &signed_by(id), page, &mut |key, _| {
        let Some([_, certificate]) = key_texts::<2>(key, 1) else { return Ok(None) };
        let key = certificate_key(&certificate);
        let Some(value) = read.get(&key) else { return Ok(None) };
        Ok(Some((certificate, summary(&stored(&key, &value)?, settings))))
    })?;
    Ok(page_of("certificates", "nextMarker", items))
}

/// AWS's `generationId`: one for each time a name is taken.
pub(crate) fn generation(name: &str, created: i64, settings: &Settings) -> Json {
    let parts: Vec<u64> = name.bytes().map(u64::from).chain([created as u64]).collect();
    derived_uuid(&settings.secret, "generation", &parts).into()
}

fn status(authority: &Authority) -> Json {
    if authority.active { "ACTIVE" } else { "INACTIVE" }.into()
}

fn stored_authority(key: &[u8], value: &[u8]) -> Result<Authority, Corrupt> {
    decode(FORMAT, key, value)
}
