//! Signatures of the pieces of a body: each covers the one before.
//!
//! Source: Amazon S3 API reference, "Signature calculations … transferring payload in multiple
//! chunks (chunked upload)", and the same with trailing headers.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Refused, Signature, hex, unhex};

/// Checks pieces in their order.
#[derive(Debug, Clone)]
pub struct Chunks {
    key: Vec<u8>,
    time: String,
    scope: String,
    last: String,
}

impl Chunks {
    /// For a request that is signed so, at `time` (`x-amz-date`), by the holder of `secret`.
    pub fn new(signature: &Signature, time: &str, secret: &str) -> Chunks {
        Chunks {
            key: signature.key_of(secret),
            time: time.to_owned(),
            scope: signature.scope(),
            last: signature.signature.clone(),
        }
    }

    /// Checks the signature of the next piece, whose SHA-256 is `digest`.
    pub fn piece(&mut self, digest: &[u8], signature: &str) -> Result<(), Refused> {
        let empty = hex(&Sha256::digest(b""));
        let signed = format!("{empty}\n{}", hex(digest));
        self.next("AWS4-HMAC-SHA256-PAYLOAD", &signed, signature)
    }

    /// Checks the signature of the headers behind the last piece, each written `name:value` and a
    /// line feed.
    pub fn trailer(&mut self, headers: &str, signature: &str) -> Result<(), Refused> {
        let signed = hex(&Sha256::digest(headers.as_bytes()));
        self.next("AWS4-HMAC-SHA256-TRAILER", &signed, signature)
    }

    fn next(&mut self, kind: &str, signed: &str, signature: &str) -> Result<(), Refused> {
        let (time, scope, last) = (&self.time, &self.scope, &self.last);
        let text = format!("{kind}\n{time}\n{scope}\n{last}\n{signed}");
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        let given = unhex(signature).ok_or(Refused::Mismatch)?;
        mac.verify_slice(&given).map_err(|_| Refused::Mismatch)?;
        signature.clone_into(&mut self.last);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The example of the documentation: 66,560 letters `a` in pieces of 65,536.
    #[test]
    fn the_documented_example_verifies() {
        let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let signature = Signature::from_parts(
            Some("AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
            Some("host"),
            Some(seed),
        );
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let mut chunks = Chunks::new(&signature.unwrap(), "20130524T000000Z", secret);
        let pieces = [
            (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ];
        for (size, given) in pieces {
            let digest = Sha256::digest(vec![b'a'; size]);
            assert_eq!(
                chunks.clone().piece(&digest, &given.replace('a', "b")),
                Err(Refused::Mismatch)
            );
            assert_eq!(chunks.piece(&digest, given), Ok(()), "{size}");
        }
    }
}
