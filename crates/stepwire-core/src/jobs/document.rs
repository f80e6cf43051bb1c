//! Job documents, and the addresses of objects in them.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::Job;
use super::{Config, DOCUMENT_BYTES_MAX, invalid};
use crate::error::ApiError;
use crate::objects;
use crate::settings::Settings;

/// What is replaced in a document: `${aws:iot:s3-presigned-url:ADDRESS}`.
const PRESIGNED: &str = "${aws:iot:s3-presigned-url:";

/// Refuses what cannot be a job document.
pub(super) fn check(text: &str) -> Result<(), ApiError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let why = format!("the job document has more than {DOCUMENT_BYTES_MAX} bytes");
        return Err(invalid(why));
    }
    Json::parse(text)
        .map(|_| ())
        .map_err(|error| invalid(format!("the job document is not JSON: {error}")))
}

/// Refuses placeholders that cannot be replaced.
pub(super) fn check_placeholders(text: &str, config: &Config) -> Result<(), ApiError> {
    let mut rest = text;
    while let Some(at) = rest.find("${aws:iot:") {
        rest = &rest[at..];
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        let placeholder = &rest[..end];
        let address = placeholder.strip_prefix(PRESIGNED).and_then(|it| it.strip_suffix('}'));
        match address {
            None => {
                let why =
                    format!("the placeholder `{placeholder}` of the job document is not supported");
                return Err(invalid(why));
            }
            Some(address) if objects::named_by(address).is_none() => {
                let why = format!("`{address}` in the job document is no address of an S3 object");
                return Err(invalid(why));
            }
            Some(_) if config.presigned.as_ref().is_none_or(|it| it.role.is_none()) => {
                return Err(invalid(
                    "the job document has a placeholder for a presigned URL: presignedUrlConfig is \
                     needed, with a roleArn",
                ));
            }
            Some(_) => rest = &rest[end..],
        }
    }
    Ok(())
}

/// The document as a device gets it: addresses in place of placeholders, good from now on.
pub(super) fn filled(job: &Job, now: Timestamp, settings: &Settings) -> Arc<str> {
    let config = job.config.presigned.as_ref().filter(|_| job.document.contains(PRESIGNED));
    let role = config.and_then(|config| Some((config.role.as_ref()?, config.expires_s)));
    let Some((role, expires_s)) = role else { return Arc::clone(&job.document) };
    let mut text = String::new();
    let mut rest = &*job.document;
    while let Some((before, after)) = rest.split_once(PRESIGNED) {
        text.push_str(before);
        let (address, after) = after.split_once('}').unwrap_or((after, ""));
        if let Some((bucket, key)) = objects::named_by(address) {
            text.push_str(&objects::presigned(&bucket, &key, role, now, expires_s, settings));
        }
        rest = after;
    }
    text.push_str(rest);
    text.into()
}
