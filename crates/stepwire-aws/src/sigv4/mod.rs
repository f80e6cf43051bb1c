//! AWS Signature Version 4, verified: in the `Authorization` header, or in the query ([`Presigned`]).
//!
//! Source: AWS IAM user guide, "Create a signed AWS API request".

mod chunks;
mod older;
mod presigned;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

pub use chunks::Chunks;
pub use older::Older;
pub use presigned::Presigned;

use crate::rest::query_pairs;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// A signature older or newer than this is refused.
pub const SKEW_S: i64 = 300;

/// What a request says about its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Access key id.
    pub key: String,
    /// Date of the scope, `YYYYMMDD`.
    pub date: String,
    /// Region of the scope.
    pub region: String,
    /// Service of the scope: its signing name.
    pub service: String,
    signed_headers: Vec<String>,
    signature: String,
}

/// The request is not signed as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no signature.
    #[error("missing authentication token")]
    Missing,
    /// It is not of the form of SigV4.
    #[error("the request does not carry a complete AWS Signature Version 4")]
    Malformed,
    /// The key is not known.
    #[error("the security token included in the request is invalid")]
    UnknownKey,
    /// The clocks differ too much, or the request is replayed.
    #[error("signature expired: the request's time is too far from the server's")]
    Skewed,
    /// The signature is another one.
    #[error("the request signature we calculated does not match the signature you provided")]
    Mismatch,
}

impl Refused {
    /// AWS's error name.
    pub fn code(self) -> &'static str {
        match self {
            Refused::Missing => "MissingAuthenticationTokenException",
            Refused::Malformed => "IncompleteSignatureException",
            Refused::UnknownKey => "UnrecognizedClientException",
            Refused::Skewed | Refused::Mismatch => "InvalidSignatureException",
        }
    }
}

/// The parts of a request that its signature covers.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path as sent.
    pub path: &'a str,
    /// Query as sent.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: &'a [u8],
}

impl Signature {
    /// What the request's `Authorization` header says; only its form is checked.
    pub fn read(headers: &HeaderMap) -> Result<Signature, Refused> {
        let header = headers.get(http::header::AUTHORIZATION).ok_or(Refused::Missing)?;
        let header = header.to_str().map_err(|_| Refused::Malformed)?;
        let fields = header.strip_prefix(ALGORITHM).ok_or(Refused::Malformed)?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        Signature::from_parts(field("Credential"), field("SignedHeaders"), field("Signature"))
    }

    fn from_parts(
        credential: Option<&str>,
        signed: Option<&str>,
        signature: Option<&str>,
    ) -> Result<Signature, Refused> {
        let mut scope = credential.ok_or(Refused::Malformed)?.rsplitn(5, '/');
        let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(key)) =
            (scope.next(), scope.next(), scope.next(), scope.next(), scope.next())
        else {
            return Err(Refused::Malformed);
        };
        let signature = signature.ok_or(Refused::Malformed)?;
        let signed = signed.ok_or(Refused::Malformed)?;
        let hex = signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_hexdigit());
        let dated = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
        if !hex || !dated || key.is_empty() || service.is_empty() || region.is_empty() {
            return Err(Refused::Malformed);
        }
        Ok(Signature {
            key: key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: signed.split(';').map(str::to_owned).collect(),
            signature: signature.to_ascii_lowercase(),
        })
    }

    /// Checks that the holder of `secret` made it, for this request, about `now_s` (seconds since
    /// 1970).
    pub fn verify(&self, request: &Signed<'_>, secret: &str, now_s: i64) -> Result<(), Refused> {
        let body = hex(&Sha256::digest(request.body));
        let claimed = request.headers.get("x-amz-content-sha256");
        let body = match claimed.and_then(|value| value.to_str().ok()) {
            Some("UNSIGNED-PAYLOAD") | None => {
                claimed.map_or(body, |_| "UNSIGNED-PAYLOAD".to_owned())
            }
            Some(claimed) if claimed == body => body,
            // A body in pieces: what it says is checked by the signatures or the checksum of those.
            Some(claimed) if claimed.starts_with("STREAMING-") => claimed.to_owned(),
            Some(_) => return Err(Refused::Mismatch),
        };
        self.verify_head(request, &body, secret, now_s)
    }

    /// The same for a request whose body has not arrived: its digest must be compared with what
    /// `x-amz-content-sha256` claims, which is `body`.
    pub fn verify_head(
        &self,
        request: &Signed<'_>,
        body: &str,
        secret: &str,
        now_s: i64,
    ) -> Result<(), Refused> {
        let time = request.headers.get("x-amz-date").and_then(|value| value.to_str().ok());
        let time = time.ok_or(Refused::Malformed)?;
        if !time.starts_with(&self.date) || !self.signed_headers.iter().any(|name| name == "host") {
            return Err(Refused::Malformed);
        }
        let signed_s = seconds(time).ok_or(Refused::Malformed)?;
        if (signed_s - now_s).abs() > SKEW_S {
            return Err(Refused::Skewed);
        }
        let given = unhex(&self.signature).ok_or(Refused::Malformed)?;
        let check = self.keyed(request, body, time, secret);
        check.verify_slice(&given).map_err(|_| Refused::Mismatch)
    }

    /// The `Authorization` header of `request` for the holder of `secret`. All its headers are
    /// signed, `x-amz-date` and `host` among them.
    pub fn sign(
        request: &Signed<'_>,
        key: &str,
        secret: &str,
        region: &str,
        service: &str,
    ) -> Result<String, Refused> {
        let time = request.headers.get("x-amz-date").and_then(|value| value.to_str().ok());
        let time = time.ok_or(Refused::Malformed)?;
        let mut names: Vec<String> =
            request.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        let signature = Signature {
            key: key.to_owned(),
            date: time.get(..8).ok_or(Refused::Malformed)?.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: names,
            signature: String::new(),
        };
        let body = hex(&Sha256::digest(request.body));
        let made = signature.keyed(request, &body, time, secret).finalize().into_bytes();
        Ok(format!(
            "{ALGORITHM} Credential={key}/{}, SignedHeaders={}, Signature={}",
            signature.scope(),
            signature.signed_headers.join(";"),
            hex(&made)
        ))
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }

    /// The MAC that the signature is, over everything it covers.
    fn keyed(&self, request: &Signed<'_>, body: &str, time: &str, secret: &str) -> Hmac<Sha256> {
        let canonical = self.canonical(request, body);
        let hashed = hex(&Sha256::digest(canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{}\n{hashed}", self.scope());
        let mut made = Hmac::<Sha256>::new_from_slice(&self.key_of(secret))
            .expect("HMAC takes a key of any length");
        made.update(text.as_bytes());
        made
    }

    /// The key that signs within this scope.
    fn key_of(&self, secret: &str) -> Vec<u8> {
        let begin = mac(format!("AWS4{secret}").as_bytes(), &self.date);
        let scope = [self.region.as_str(), &self.service, "aws4_request"];
        scope.into_iter().fold(begin, |key, part| mac(&key, part))
    }

    fn canonical(&self, request: &Signed<'_>, body: &str) -> String {
        let mut query: Vec<_> = query_pairs(request.query)
            .map(|(name, value)| (encoded(&name), encoded(&value)))
            .collect();
        query.sort();
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = String::new();
        for name in &self.signed_headers {
            let values = request.headers.get_all(name.as_str()).iter();
            let values: Vec<_> = values
                .map(|value| {
                    String::from_utf8_lossy(value.as_bytes())
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .collect();
            headers.extend([name.as_str(), ":", &values.join(","), "\n"]);
        }
        // Every service but S3 encodes the path once more.
        let path = if self.service == "s3" {
            request.path.to_owned()
        } else {
            request.path.split('/').map(encoded).collect::<Vec<_>>().join("/")
        };
        format!(
            "{}\n{path}\n{}\n{headers}\n{}\n{body}",
            request.method,
            query.join("&"),
            self.signed_headers.join(";")
        )
    }
}

/// RFC 3986: everything but letters, digits and `-._~` is percent-encoded.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut made, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            made.push(char::from(byte));
        } else {
            let _ = write!(made, "%{byte:02X}");
        }
        made
    })
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut made, byte| {
        let _ = write!(made, "{byte:02x}");
        made
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Seconds since 1970 of `YYYYMMDDTHHMMSSZ`.
fn seconds(time: &str) -> Option<i64> {
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const NOW: i64 = 1_440_938_160; // 2015-08-30T12:36:00Z

    /// The example of the AWS documentation: IAM ListUsers.
    fn example() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", "iam.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert("content-type", kind.parse().unwrap());
        let authorization = "AWS4-HMAC-SHA256 \
            Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
            SignedHeaders=content-type;host;x-amz-date, \
            Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        headers.insert("authorization", authorization.parse().unwrap());
        headers
    }

    fn signed(headers: &HeaderMap) -> Signed<'_> {
        Signed {
            method: "GET",
            path: "/",
            query: "Action=ListUsers&Version=2010-05-08",
            headers,
            body: b"",
        }
    }

    #[test]
    fn the_documented_example_verifies() {
        let headers = example();
        let signature = Signature::read(&headers).unwrap();
        assert_eq!((signature.key.as_str(), signature.service.as_str()), ("AKIDEXAMPLE", "iam"));
        assert_eq!(signature.verify(&signed(&headers), SECRET, NOW), Ok(()));
    }

    #[test]
    fn anything_changed_is_refused() {
        let headers = example();
        let signature = Signature::read(&headers).unwrap();
        let request = signed(&headers);
        let verify =
            |request: Signed<'_>, secret: &str, now| signature.verify(&request, secret, now);
        assert_eq!(verify(request, "another", NOW), Err(Refused::Mismatch));
        assert_eq!(verify(Signed { body: b"x", ..request }, SECRET, NOW), Err(Refused::Mismatch));
        assert_eq!(
            verify(Signed { query: "Action=Nope", ..request }, SECRET, NOW),
            Err(Refused::Mismatch)
        );
        assert_eq!(verify(request, SECRET, NOW + 301), Err(Refused::Skewed));
    }

    #[test]
    fn headers_that_are_no_signature_are_told_apart() {
        assert_eq!(Signature::read(&HeaderMap::new()), Err(Refused::Missing));
        for broken in ["Bearer x", "AWS4-HMAC-SHA256 Credential=a/b", "AWS4-HMAC-SHA256 "] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", broken.parse().unwrap());
            assert_eq!(Signature::read(&headers), Err(Refused::Malformed), "{broken}");
        }
    }
}
