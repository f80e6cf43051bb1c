//! Requests that read certificates, answered from committed records.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Request, certificate_key, stored};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Space;
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
                let members = [
                    ("certificateArn", certificate_arn(settings, &certificate.id)),
                    ("certificateId", Json::String(Arc::clone(&certificate.id))),
                    ("status", certificate.status.word().into()),
                    ("creationDate", seconds(certificate.created)),
                ];
                Ok(Some((Arc::clone(&certificate.id), Json::object(members))))
            })?;
            Ok(page_of("certificates", "nextMarker", items))
        }
        Request::RegisterIssued { .. } | Request::Update(..) | Request::Delete { .. } => {
            Err(invalid("this request changes something"))
        }
    }
}

fn describe(id: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = certificate_key(id);
    let value = read.get(&key).ok_or_else(|| missing(&format!("Certificate {id}")))?;
    let certificate = stored(&key, &value).map_err(internal)?;
    let description = Json::object([
        ("certificateArn", certificate_arn(settings, &certificate.id)),
        ("certificateId", Json::String(certificate.id)),
        ("status", certificate.status.word().into()),
        ("certificatePem", Json::String(certificate.pem)),
        ("ownedBy", Json::String(Arc::clone(&settings.account))),
        ("creationDate", seconds(certificate.created)),
        ("lastModifiedDate", seconds(certificate.modified)),
        ("customerVersion", 1.into()),
        ("certificateMode", "DEFAULT".into()),
    ]);
    Ok(Json::object([("certificateDescription", description)]))
}
