//! Addresses of objects that who has them may read for a while.
//!
//! Source: AWS Signature Version 4, "Authenticating requests: using query parameters". They are signed
//! with temporary credentials of this node, so that its own S3 takes them.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use stepwire_asl::Timestamp;

use crate::hex::hex;
use crate::iam::Session;
use crate::settings::Settings;

/// What stays as it is in values of a query.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What stays as it is in a path.
const IN_PATH: AsciiSet = UNRESERVED.remove(b'/');

/// The address of an object for GET, good for `expires_s` seconds from `now`, as who may do what `role`
/// may.
pub(crate) fn presigned(
    bucket: &str,
    key: &str,
    role: &str,
    now: Timestamp,
    expires_s: i64,
    settings: &Settings,
) -> String {
    let session = Session {
        arn: role.replacen(":iam:", ":sts:", 1).replacen(":role/", ":assumed-role/", 1).into(),
        user_id: settings.account.clone(),
        expires: now.plus_ms(expires_s * 1_000),
    };
    let credentials = session.credentials(&settings.secret);
    let time: String = now.rfc3339().chars().filter(|c| !"-:".contains(*c)).take(15).collect();
    let time = format!("{time}Z");
    let day = time.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/s3/aws4_request", settings.region);
    let encoded = |text: &str| utf8_percent_encode(text, &UNRESERVED).to_string();
    let path = format!("/{bucket}/{}", utf8_percent_encode(key, &IN_PATH));
    let query = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("X-Amz-Credential", encoded(&format!("{}/{scope}", credentials.id))),
        ("X-Amz-Date", time.clone()),
        ("X-Amz-Expires", expires_s.to_string()),
        ("X-Amz-Security-Token", encoded(&credentials.token)),
        ("X-Amz-SignedHeaders", "host".to_owned()),
    ];
    let query = query.map(|(name, value)| format!("{name}={value}")).join("&");
    let host = settings.url.split_once("://").map_or(&*settings.url, |(_, host)| host);
    let request = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let digest = hex(&Sha256::digest(request));
    let signed = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
    let secret = format!("AWS4{}", credentials.secret);
    let parts = [day, &settings.region, "s3", "aws4_request", &signed];
    let signature = parts.iter().fold(secret.into_bytes(), |key, part| mac(&key, part));
    format!("{}{path}?{query}&X-Amz-Signature={}", settings.url, hex(&signature))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
