//! Checksums of bytes, as S3 names and writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc};
use serde::{Deserialize, Serialize};
use sha2::Digest;

/// How bytes are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the API")]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// What bytes were checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// How.
    pub algorithm: Algorithm,
    /// In base64; with `-N` behind it where it is the checksum of the checksums of N parts.
    pub value: Box<str>,
}

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const CRC64: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 5] = [
        Algorithm::Crc32,
        Algorithm::Crc32c,
        Algorithm::Crc64Nvme,
        Algorithm::Sha1,
        Algorithm::Sha256,
    ];

    /// As `ChecksumAlgorithm` names it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    /// The member that holds its value.
    pub fn member(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "ChecksumCRC32",
            Algorithm::Crc32c => "ChecksumCRC32C",
            Algorithm::Crc64Nvme => "ChecksumCRC64NVME",
            Algorithm::Sha1 => "ChecksumSHA1",
            Algorithm::Sha256 => "ChecksumSHA256",
        }
    }

    /// The checksum of `bytes`, as it is compared and summed up.
    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Algorithm::Crc32 => CRC32.checksum(bytes).to_be_bytes().to_vec(),
            Algorithm::Crc32c => CRC32C.checksum(bytes).to_be_bytes().to_vec(),
            Algorithm::Crc64Nvme => CRC64.checksum(bytes).to_be_bytes().to_vec(),
            Algorithm::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Algorithm::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
        }
    }

    /// The checksum of `bytes`.
    pub fn of(self, bytes: &[u8]) -> Checksum {
        Checksum { algorithm: self, value: STANDARD.encode(self.digest(bytes)).into() }
    }
}

impl Checksum {
    /// `FULL_OBJECT`, or `COMPOSITE` when it was made of those of parts.
    pub fn kind(&self) -> &'static str {
        if self.value.contains('-') { "COMPOSITE" } else { "FULL_OBJECT" }
    }

    /// The checksum of the checksums of `parts`. `None`: one of them has none of this algorithm.
    pub(super) fn composite<'a>(
        algorithm: Algorithm,
        parts: impl Iterator<Item = Option<&'a Checksum>>,
    ) -> Option<Checksum> {
        let mut all = Vec::new();
        let mut count = 0;
        for part in parts {
            let part = part.filter(|part| part.algorithm == algorithm)?;
            all.extend(STANDARD.decode(part.value.as_bytes()).ok()?);
            count += 1;
        }
        let value = format!("{}-{count}", algorithm.of(&all).value);
        Some(Checksum { algorithm, value: value.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_catalogues() {
        let of = |algorithm: Algorithm| algorithm.of(b"123456789").value;
        let base64 = |bytes: &[u8]| Box::<str>::from(STANDARD.encode(bytes));
        assert_eq!(of(Algorithm::Crc32), base64(&[0xcb, 0xf4, 0x39, 0x26]));
        assert_eq!(of(Algorithm::Crc32c), base64(&[0xe3, 0x06, 0x92, 0x83]));
        let nvme = [0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88];
        assert_eq!(of(Algorithm::Crc64Nvme), base64(&nvme));
    }
}
