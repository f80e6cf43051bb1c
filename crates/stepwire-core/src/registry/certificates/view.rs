//! Requests that read certificates, answered from committed records.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::authority_view::{self, generation};
use super::{Certificate, FORMAT, Facts, Request, certificate_key, text_key};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::{Corrupt, Space, decode};
use crate::registry::error::{internal, invalid, missing};
use crate::registry::listing::{listed, page_of};
use crate::registry::names::{certificate_arn, seconds};
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Describe(id) => describe(id, read, settings),
        Request::List(page) => {
            let items = listed(read, Space::Certificate, page, &mut |key, value| {
                let certificate = stored(key, value)?;
                Ok(Some((Arc::clone(&certificate.id), summary(&certificate, settings))))
            })?;
            Ok(page_of("certificates", "nextMarker", items))
        }
        Request::ListSigned(id, page) => authority_view::list_signed(id, page, read, settings),
        Request::GetRegistrationCode => authority_view::code(read, settings),
        Request::DescribeAuthority(id) => authority_view::describe(id, read, settings),
        Request::ListAuthorities(page) => authority_view::list(page, read, settings),
        Request::Register(_)
        | Request::RegisterItself(_)
        | Request::Update(..)
        | Request::Delete { .. }
        | Request::DeleteRegistrationCode
        | Request::RegisterAuthority { .. }
        | Request::UpdateAuthority(_)
        | Request::DeleteAuthority(_) => Err(invalid("this request changes something")),
    }
}

fn describe(id: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let (key, text_key) = (certificate_key(id), text_key(id));
    let value = read.get(&key).ok_or_else(|| missing(&format!("Certificate {id}")))?;
    let certificate = stored(&key, &value).map_err(internal)?;
    let text: Arc<str> = match read.get(&text_key) {
        Some(value) => decode(FORMAT, &text_key, &value).map_err(internal)?,
        None => Arc::default(),
    };
    let authority = certificate.authority.clone();
    let members = [
        ("certificateArn", certificate_arn(settings, id)),
        ("certificateId", Json::String(Arc::clone(&certificate.id))),
        ("status", certificate.status.word().into()),
        ("certificatePem", Json::String(text)),
        ("ownedBy", Json::String(Arc::clone(&settings.account))),
        ("creationDate", seconds(certificate.created)),
        ("lastModifiedDate", seconds(certificate.modified)),
        ("customerVersion", (certificate.version as i64).into()),
        ("generationId", generation(id, certificate.created.0, settings)),
        ("validity", validity(&certificate.facts)),
        ("certificateMode", certificate.mode.word().into()),
    ];
    let authority = authority.map(|authority| ("caCertificateId", Json::String(authority)));
    let description = Json::object(members.into_iter().chain(authority));
    Ok(Json::object([("certificateDescription", description)]))
}

/// Whether the certificate with this id is registered, in whatever state.
pub fn is_registered(id: &str, read: &dyn Read) -> bool {
    read.get(&certificate_key(id)).is_some()
}

/// A certificate as lists show it.
pub(super) fn summary(certificate: &Certificate, settings: &Settings) -> Json {
    Json::object([
        ("certificateArn", certificate_arn(settings, &certificate.id)),
        ("certificateId", Json::String(Arc::clone(&certificate.id))),
        ("status", certificate.status.word().into()),
        ("certificateMode", certificate.mode.word().into()),
        ("creationDate", seconds(certificate.created)),
    ])
}

pub(super) fn validity(facts: &Facts) -> Json {
    let at = |second: i64| seconds(Timestamp(second.saturating_mul(1000)));
    Json::object([("notBefore", at(facts.not_before)), ("notAfter", at(facts.not_after))])
}

/// The stored certificate.
pub(super) fn stored(key: &[u8], value: &[u8]) -> Result<Certificate, Corrupt> {
    decode(FORMAT, key, value)
}
