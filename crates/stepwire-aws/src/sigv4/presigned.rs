//! A signature in the query: the presigned URLs that MQTT over WebSocket is opened with.
//!
//! Source: AWS IoT developer guide, "Using the WebSocket protocol in your client application".

use http::HeaderMap;
use http::header::{HOST, HeaderValue};

use super::{ALGORITHM, Refused, SKEW_S, Signature, Signed, hex, seconds, unhex};
use crate::rest::query_pairs;
use hmac::Mac;
use sha2::{Digest, Sha256};

/// Longest time a presigned URL may be good for, in seconds: a day.
const EXPIRES_S_MAX: i64 = 86_400;
/// The same for Amazon S3: a week.
const S3_EXPIRES_S_MAX: i64 = 7 * 86_400;
/// How long one is good for that does not say, in seconds.
const EXPIRES_S: i64 = SKEW_S;

/// What a presigned URL says about its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    /// Key and scope.
    pub signature: Signature,
    /// `YYYYMMDDTHHMMSSZ`.
    time: String,
    expires_s: i64,
}

impl Presigned {
    /// What a query says; only its form is checked. [`Refused::Missing`] if it is not signed.
    pub fn read(query: &str) -> Result<Presigned, Refused> {
        let value = |wanted: &str| {
            query_pairs(query).find_map(|(name, value)| (name == wanted).then_some(value))
        };
        match value("X-Amz-Algorithm").as_deref() {
            None => return Err(Refused::Missing),
            Some(ALGORITHM) => {}
            Some(_) => return Err(Refused::Malformed),
        }
        let signature = Signature::from_parts(
            value("X-Amz-Credential").as_deref(),
            value("X-Amz-SignedHeaders").as_deref(),
            value("X-Amz-Signature").as_deref(),
        )?;
        let time = value("X-Amz-Date").ok_or(Refused::Malformed)?;
        let expires_s = match value("X-Amz-Expires") {
            None => EXPIRES_S,
            Some(text) => text.parse().map_err(|_| Refused::Malformed)?,
        };
        let covers_host = signature.signed_headers.iter().any(|name| name == "host");
        let dated = time.starts_with(&signature.date) && seconds(&time).is_some();
        let max = if signature.service == "s3" { S3_EXPIRES_S_MAX } else { EXPIRES_S_MAX };
        if !covers_host || !dated || !(1..=max).contains(&expires_s) {
            return Err(Refused::Malformed);
        }
        Ok(Presigned { signature, time, expires_s })
    }

    /// Whether it is no longer good at `now_s` (seconds since 1970), or not yet.
    pub fn is_expired(&self, now_s: i64) -> bool {
        let signed_s = seconds(&self.time).unwrap_or_default();
        signed_s - now_s > SKEW_S || now_s > signed_s + self.expires_s
    }

    /// Checks that the holder of `secret` made it for this request to Amazon S3, and that it is still
    /// good. The body may be anything, unless a signed header says what its digest is.
    pub fn verify_s3(&self, request: &Signed<'_>, secret: &str, now_s: i64) -> Result<(), Refused> {
        if self.is_expired(now_s) {
            return Err(Refused::Skewed);
        }
        let given = unhex(&self.signature.signature).ok_or(Refused::Malformed)?;
        let query = without(request.query, &["X-Amz-Signature"]);
        let claimed = request.headers.get("x-amz-content-sha256");
        let claimed = claimed.and_then(|claimed| claimed.to_str().ok());
        let body = claimed.unwrap_or("UNSIGNED-PAYLOAD");
        let request = Signed { query: &query, ..*request };
        let check = self.signature.keyed(&request, body, &self.time, secret);
        check.verify_slice(&given).map_err(|_| Refused::Mismatch)
    }

    /// Checks that the holder of `secret` made it, for this request, and that it is still good at
    /// `now_s` (seconds since 1970).
    ///
    /// AWS IoT's clients add `X-Amz-Security-Token` after signing, others before; and some sign the
    /// host without its port. All of them are taken.
    pub fn verify(&self, request: &Signed<'_>, secret: &str, now_s: i64) -> Result<(), Refused> {
        let signed_s = seconds(&self.time).ok_or(Refused::Malformed)?;
        if signed_s - now_s > SKEW_S || now_s > signed_s + self.expires_s {
            return Err(Refused::Skewed);
        }
        let given = unhex(&self.signature.signature).ok_or(Refused::Malformed)?;
        let body = hex(&Sha256::digest(request.body));
        let portless = without_port(request.headers);
        let with_token = without(request.query, &["X-Amz-Signature"]);
        let bare = without(request.query, &["X-Amz-Signature", "X-Amz-Security-Token"]);
        let good = |query: &str, headers: &HeaderMap| {
            let request = Signed { query, headers, ..*request };
            let check = self.signature.keyed(&request, &body, &self.time, secret);
            check.verify_slice(&given).is_ok()
        };
        let verified = [&bare, &with_token].into_iter().any(|query| {
            good(query, request.headers)
                || portless.as_ref().is_some_and(|headers| good(query, headers))
        });
        if verified { Ok(()) } else { Err(Refused::Mismatch) }
    }
}

/// The query without these parameters.
fn without(query: &str, names: &[&str]) -> String {
    let pairs = query.split('&');
    let kept = pairs.filter(|pair| !names.contains(&pair.split('=').next().unwrap_or_default()));
    kept.collect::<Vec<_>>().join("&")
}

/// The headers with the host's port left out, if it has one.
fn without_port(headers: &HeaderMap) -> Option<HeaderMap> {
    let (name, port) = headers.get(HOST)?.to_str().ok()?.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let mut headers = headers.clone();
    headers.insert(HOST, HeaderValue::from_str(name).ok()?);
    Some(headers)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const NOW: i64 = 1_440_938_160; // 2015-08-30T12:36:00Z

    // Made with botocore's SigV4QueryAuth.
    const SCOPE: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Feu-central-1%2Fiotdevicegateway%2Faws4_request\
        &X-Amz-Date=20150830T123600Z";
    const DAY: &str = "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=9cb1798e88c93d5a2e7625d4bbd1ad18dbb1c20291d3f0e9189532438c971680";
    const MINUTE: &str = "&X-Amz-Expires=60&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=718af764ecd48177dfbc75d3c70bc707ab1739f110b12af543a3795c2bb7dd59";
    const TOKEN: &str = "&X-Amz-Security-Token=tok%2Fen%2Bx%3D%3D";
    const TOKEN_SIGNED: &str = "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Security-Token=tok%2Fen%2Bx%3D%3D\
        &X-Amz-Signature=ca6be796446dfb8af3756c1f18120ae0590d7e1f5265718a4ea15db220e913ab";

    fn verify(host: &str, query: &str, secret: &str, now_s: i64) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        headers.insert("upgrade", "websocket".parse().unwrap());
        let request = Signed { method: "GET", path: "/mqtt", query, headers: &headers, body: b"" };
        Presigned::read(query)?.verify(&request, secret, now_s)
    }

    #[test]
    fn a_url_of_botocore_verifies() {
        let url = [SCOPE, DAY].concat();
        let read = Presigned::read(&url).unwrap().signature;
        assert_eq!((&*read.key, &*read.service), ("AKIDEXAMPLE", "iotdevicegateway"));
        assert_eq!(verify("iot.example.org", &url, SECRET, NOW), Ok(()));
        assert_eq!(verify("localhost:4566", &[SCOPE, MINUTE].concat(), SECRET, NOW), Ok(()));
    }

    #[test]
    fn a_security_token_may_be_signed_or_added_afterwards() {
        let host = "iot.example.org";
        assert_eq!(verify(host, &[SCOPE, DAY, TOKEN].concat(), SECRET, NOW), Ok(()));
        assert_eq!(verify(host, &[SCOPE, TOKEN_SIGNED].concat(), SECRET, NOW), Ok(()));
    }

    #[test]
    fn a_host_may_be_signed_without_its_port() {
        let url = [SCOPE, DAY].concat();
        assert_eq!(verify("iot.example.org:8443", &url, SECRET, NOW), Ok(()));
        let other = verify("iot.example.net:8443", &url, SECRET, NOW);
        assert_eq!(other, Err(Refused::Mismatch));
    }

    #[test]
    fn a_url_is_good_for_as_long_as_it_says() {
        let url = [SCOPE, MINUTE].concat();
        let at = |now_s| verify("localhost:4566", &url, SECRET, now_s);
        assert_eq!(at(NOW + 60), Ok(()));
        assert_eq!(at(NOW + 61), Err(Refused::Skewed));
        assert_eq!(at(NOW - 300), Ok(()));
        assert_eq!(at(NOW - 301), Err(Refused::Skewed));
    }

    #[test]
    fn anything_changed_is_refused() {
        let url = [SCOPE, DAY].concat();
        let mismatch = Err(Refused::Mismatch);
        assert_eq!(verify("iot.example.org", &url, "another", NOW), mismatch);
        for (from, to) in [("86400", "86399"), ("eu-central-1", "eu-central-2"), ("9cb1", "9cb2")] {
            let changed = url.replace(from, to);
            assert_eq!(verify("iot.example.org", &changed, SECRET, NOW), mismatch, "{to}");
        }
        let more = format!("{url}&x=1");
        assert_eq!(verify("iot.example.org", &more, SECRET, NOW), mismatch);
    }

    #[test]
    fn urls_without_a_whole_signature_are_told_apart() {
        assert_eq!(Presigned::read(""), Err(Refused::Missing));
        assert_eq!(Presigned::read("a=b"), Err(Refused::Missing));
        let url = [SCOPE, DAY].concat();
        for (from, to) in [
            ("X-Amz-Signature=9c", "X-Amz-Signature="),
            ("=host", "=date"),
            ("86400", "86401"),
            ("86400", "0"),
            ("86400", "x"),
            ("20150830T123600Z", "20150831T123600Z"),
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            ("%2Faws4_request", ""),
        ] {
            let broken = url.replace(from, to);
            assert_eq!(Presigned::read(&broken), Err(Refused::Malformed), "{from} {to}");
        }
    }
}
