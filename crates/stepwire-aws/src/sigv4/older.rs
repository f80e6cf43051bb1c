//! A signature of version 2 in the query: the presigned URLs of Amazon S3 that boto3 makes unless it is
//! told otherwise.
//!
//! Source: Amazon S3 API reference, "Signing and authenticating REST requests", query string request
//! authentication alternative.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::{Refused, Signature, Signed};
use crate::rest::query_pairs;

/// Parameters that name a part of what is asked for, and so are signed.
const SIGNED: [&str; 36] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "cloudfront",
];

/// What a URL says about its older signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Older {
    /// Its key; its scope is of Amazon S3.
    pub signature: Signature,
    expires_s: i64,
}

impl Older {
    /// What a query says; only its form is checked. [`Refused::Missing`] if it is not signed so.
    pub fn read(query: &str) -> Result<Older, Refused> {
        let value = |wanted: &str| {
            query_pairs(query).find_map(|(name, value)| (name == wanted).then_some(value))
        };
        let key = value("AWSAccessKeyId").ok_or(Refused::Missing)?;
        let signature = value("Signature").ok_or(Refused::Malformed)?;
        let expires = value("Expires").ok_or(Refused::Malformed)?;
        let expires_s = expires.parse().map_err(|_| Refused::Malformed)?;
        let signature = Signature {
            key,
            date: String::new(),
            region: String::new(),
            service: "s3".to_owned(),
            signed_headers: Vec::new(),
            signature,
        };
        Ok(Older { signature, expires_s })
    }

    /// Whether it is no longer good at `now_s` (seconds since 1970).
    pub fn is_expired(&self, now_s: i64) -> bool {
        now_s > self.expires_s
    }

    /// Checks that the holder of `secret` made it for this request; `bucket` if the host names it.
    pub fn verify(
        &self,
        request: &Signed<'_>,
        bucket: Option<&str>,
        secret: &str,
    ) -> Result<(), Refused> {
        let given = STANDARD.decode(&self.signature.signature).map_err(|_| Refused::Malformed)?;
        let text = self.text(request, bucket);
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any length will do");
        mac.update(text.as_bytes());
        mac.verify_slice(&given).map_err(|_| Refused::Mismatch)
    }

    /// What is signed.
    fn text(&self, request: &Signed<'_>, bucket: Option<&str>) -> String {
        // Headers that whoever signs knows are put into the query.
        let asked =
            query_pairs(request.query).map(|(name, value)| (name.to_ascii_lowercase(), value));
        let sent = request.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
        });
        let headers: BTreeMap<String, String> = sent.chain(asked).collect();
        let header = |name: &str| headers.get(name).map_or("", String::as_str);
        let amazon = headers.iter().filter(|(name, _)| name.starts_with("x-amz-"));
        let amazon: String = amazon.map(|(name, value)| format!("{name}:{value}\n")).collect();
        let mut parts: Vec<(String, String)> =
            query_pairs(request.query).filter(|(name, _)| SIGNED.contains(&&**name)).collect();
        parts.sort();
        let parts = parts
            .into_iter()
            .map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") });
        let parts = parts.collect::<Vec<_>>().join("&");
        let bucket = bucket.map(|bucket| format!("/{bucket}")).unwrap_or_default();
        let ask = if parts.is_empty() { "" } else { "?" };
        format!(
            "{}\n{}\n{}\n{}\n{amazon}{bucket}{}{ask}{parts}",
            request.method,
            header("content-md5"),
            header("content-type"),
            self.expires_s,
            request.path,
        )
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http::HeaderMap;

    use super::*;

    // Made with botocore's HmacV1QueryAuth.
    const QUERY: &str = "response-content-type=text%2Fplain\
        &versionId=v\
        &AWSAccessKeyId=key\
        &Signature=Ql1v4XycOHzpKNMr%2F5r7Q6IJZ6Q%3D\
        &x-amz-security-token=tok%2Ben%2F%3D\
        &Expires=2000000000";

    #[test]
    fn a_url_of_version_2_is_good_for_its_request_alone() {
        let headers = HeaderMap::new();
        let of = |method, path, query, secret: &str, bucket| {
            let request = Signed { method, path, query, headers: &headers, body: b"" };
            Older::read(query).unwrap().verify(&request, bucket, secret)
        };
        assert_eq!(of("GET", "/bucket/a%20b", QUERY, "secret", None), Ok(()));
        assert_eq!(of("GET", "/a%20b", QUERY, "secret", Some("bucket")), Ok(()));
        assert_eq!(of("PUT", "/bucket/a%20b", QUERY, "secret", None), Err(Refused::Mismatch));
        assert_eq!(of("GET", "/bucket/b", QUERY, "secret", None), Err(Refused::Mismatch));
        assert_eq!(of("GET", "/bucket/a%20b", QUERY, "other", None), Err(Refused::Mismatch));
        let late = Older::read(QUERY).unwrap();
        assert!(!late.is_expired(2_000_000_000) && late.is_expired(2_000_000_001));
        assert_eq!(Older::read("a=b"), Err(Refused::Missing));
        assert_eq!(Older::read("AWSAccessKeyId=a&Expires=1"), Err(Refused::Malformed));
    }
}
