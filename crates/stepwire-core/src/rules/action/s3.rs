//! `s3`: a message becomes an object.

use std::sync::Arc;

use super::field::Field;
use super::{Kind, Resolved, bytes, only};
use crate::error::ApiError;
use crate::params::Params;
use crate::rules::sql::{Facts, Value};

/// `s3`
#[derive(Debug, Clone, PartialEq)]
pub struct S3 {
    bucket: Field,
    key: Field,
    acl: Option<Arc<str>>,
}

/// Canned ACLs. Buckets take only the two that change nothing, as new ones do on AWS.
const ACLS: [&str; 8] = [
    "private",
    "public-read",
    "public-read-write",
    "aws-exec-read",
    "authenticated-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
];

pub(super) fn parse(fields: &Params<'_>) -> Result<S3, ApiError> {
    only(fields, &["bucketName", "key", "cannedAcl"])?;
    let acl = fields.optional_text("cannedAcl")?;
    if let Some(acl) = acl.filter(|acl| !ACLS.contains(acl)) {
        let why = format!("`{acl}` is none of {}", ACLS.join(", "));
        return Err(fields.invalid("cannedAcl", &why));
    }
    Ok(S3 {
        bucket: Field::required(fields, "bucketName")?,
        key: Field::required(fields, "key")?,
        acl: acl.map(Arc::from),
    })
}

impl Kind for S3 {
    fn name(&self) -> &'static str {
        "S3Action"
    }

    fn resource(&self) -> &Field {
        &self.bucket
    }

    fn resolve(
        &self,
        bucket: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        Ok(Resolved::Object {
            bucket: Arc::clone(bucket),
            key: self.key.text(facts)?,
            acl: self.acl.clone(),
            bytes: bytes(result),
        })
    }
}
