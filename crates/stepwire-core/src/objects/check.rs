//! What is announced of bytes, and what they are.

use std::sync::Arc;

use md5::{Digest, Md5};

use super::checksum::{Algorithm, Checksum};
use super::{Check, Staged};
use crate::error::ApiError;

/// Refuses bytes that are not what was announced: their MD5 and a checksum, both in base64.
pub fn is_as_announced(
    bytes: &[u8],
    md5: Option<&str>,
    checksum: Option<(Algorithm, &str)>,
) -> Result<(), ApiError> {
    let checksum = checksum.map(|(algorithm, value)| Checksum { algorithm, value: value.into() });
    let check = Check { md5: md5.map(Arc::from), algorithm: None, checksum };
    check.verify(bytes, None).map(drop)
}

/// What was found of bytes that arrived.
pub(super) struct Arrived {
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<Checksum>,
}

impl Check {
    /// What to keep, once the bytes are found to be what was announced.
    pub(super) fn verify(
        &self,
        bytes: &[u8],
        staged: Option<&Staged>,
    ) -> Result<Arrived, ApiError> {
        let md5 = staged.map_or_else(|| Md5::digest(bytes).into(), |staged| staged.md5);
        if let Some(given) = &self.md5 {
            use base64::Engine;
            let base64 = base64::engine::general_purpose::STANDARD;
            if base64.decode(given.as_bytes()).map_or(true, |given| given.len() != 16) {
                let message = "The Content-MD5 you specified was invalid.";
                return Err(ApiError::new("InvalidDigest", message));
            }
            if **given != *base64.encode(md5) {
                let message = "The Content-MD5 you specified did not match what we received.";
                return Err(ApiError::new("BadDigest", message));
            }
        }
        let of = |algorithm: Algorithm| match staged {
            None => algorithm.of(bytes),
            Some(staged) => {
                let mut found = staged.checksums.iter();
                let found = found.find(|checksum| checksum.algorithm == algorithm);
                found.cloned().unwrap_or_else(|| Checksum { algorithm, value: "".into() })
            }
        };
        if let Some(given) = &self.checksum {
            let right = of(given.algorithm);
            let name = given.algorithm.name();
            if !given.is_well_formed() {
                let header = name.to_ascii_lowercase();
                let message = format!("Value for x-amz-checksum-{header} header is invalid.");
                return Err(ApiError::new("InvalidRequest", message));
            }
            if right != *given {
                let message =
                    format!("The {name} you specified did not match the calculated checksum.");
                return Err(ApiError::new("BadDigest", message));
            }
        }
        let given = self.checksum.as_ref().map(|given| given.algorithm);
        Ok(Arrived { md5, checksum: given.or(self.algorithm).map(of) })
    }
}
