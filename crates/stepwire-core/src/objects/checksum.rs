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

/// What is found of bytes as they arrive.
pub struct Digests {
    md5: md5::Md5,
    sha256: sha2::Sha256,
    checksums: Vec<Running>,
}

/// A checksum of the bytes so far.
enum Running {
    Crc32(Digest32),
    Crc32c(Digest32),
    Crc64(Digest64),
    Sha1(sha1::Sha1),
    /// That of the whole body, which is kept anyway.
    Sha256,
}

type Digest32 = crc::Digest<'static, u32>;
type Digest64 = crc::Digest<'static, u64>;

impl Digests {
    /// Of no bytes yet; with these checksums.
    pub fn new(algorithms: &[Algorithm]) -> Digests {
        static CRC32_OF: Crc<u32> = CRC32;
        static CRC32C_OF: Crc<u32> = CRC32C;
        static CRC64_OF: Crc<u64> = CRC64;
        let running = algorithms.iter().map(|algorithm| match algorithm {
            Algorithm::Crc32 => Running::Crc32(CRC32_OF.digest()),
            Algorithm::Crc32c => Running::Crc32c(CRC32C_OF.digest()),
            Algorithm::Crc64Nvme => Running::Crc64(CRC64_OF.digest()),
            Algorithm::Sha1 => Running::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Running::Sha256,
        });
        let checksums = running.collect();
        Digests { md5: md5::Md5::new(), sha256: sha2::Sha256::new(), checksums }
    }

    /// Some more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
        for running in &mut self.checksums {
            match running {
                Running::Crc32(crc) | Running::Crc32c(crc) => crc.update(bytes),
                Running::Crc64(crc) => crc.update(bytes),
                Running::Sha1(sha1) => sha1.update(bytes),
                Running::Sha256 => {}
            }
        }
    }

    /// The SHA-256 of the bytes so far, in hex.
    pub fn sha256(&self) -> String {
        super::hex(&self.sha256.clone().finalize())
    }

    /// What was found, of `size` bytes that are stored as `body`.
    pub fn staged(self, body: u64, size: u64) -> super::Staged {
        let sha256 = self.sha256.finalize();
        let found = self.checksums.into_iter().map(|running| {
            let (algorithm, digest) = match running {
                Running::Crc32(crc) => (Algorithm::Crc32, crc.finalize().to_be_bytes().to_vec()),
                Running::Crc32c(crc) => (Algorithm::Crc32c, crc.finalize().to_be_bytes().to_vec()),
                Running::Crc64(crc) => {
                    (Algorithm::Crc64Nvme, crc.finalize().to_be_bytes().to_vec())
                }
                Running::Sha1(sha1) => (Algorithm::Sha1, sha1.finalize().to_vec()),
                Running::Sha256 => (Algorithm::Sha256, sha256.to_vec()),
            };
            Checksum { algorithm, value: STANDARD.encode(digest).into() }
        });
        let checksums = found.collect();
        let body = super::Body { number: body, size };
        super::Staged { body, md5: self.md5.finalize().into(), checksums }
    }
}

impl std::fmt::Debug for Digests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digests")
    }
}

impl Checksum {
    /// Whether its value is as long as its algorithm makes it.
    pub(super) fn is_well_formed(&self) -> bool {
        let length = match self.algorithm {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        };
        STANDARD.decode(self.value.as_bytes()).is_ok_and(|bytes| bytes.len() == length)
    }

    /// The checksum over everything, of those of `parts` with their lengths. `None`: one of them has
    /// none of this algorithm, or it cannot be told from theirs.
    pub(super) fn whole<'a>(
        algorithm: Algorithm,
        parts: impl Iterator<Item = (Option<&'a Checksum>, u64)>,
    ) -> Option<Checksum> {
        let (polynomial, bits) = match algorithm {
            Algorithm::Crc32 => (0xedb8_8320, 32),
            Algorithm::Crc32c => (0x82f6_3b78, 32),
            Algorithm::Crc64Nvme => (0x9a6c_9329_ac4b_c9b5, 64),
            Algorithm::Sha1 | Algorithm::Sha256 => return None,
        };
        let mut all = 0_u64;
        for (part, bytes) in parts {
            let part = part.filter(|part| part.algorithm == algorithm)?;
            let value = STANDARD.decode(part.value.as_bytes()).ok()?;
            let value = value.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            all = after_zeros(all, bytes, polynomial, bits) ^ value;
        }
        let bytes = &all.to_be_bytes()[8 - bits / 8..];
        Some(Checksum { algorithm, value: STANDARD.encode(bytes).into() })
    }
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

/// A reflected CRC after so many bytes of zeros, without its initial and final inversion: the
/// register times x^(8 × bytes), modulo the polynomial.
fn after_zeros(register: u64, bytes: u64, polynomial: u64, bits: usize) -> u64 {
    let apply = |matrix: &[u64], register: u64| {
        let rows = matrix.iter().enumerate().filter(|(bit, _)| register >> bit & 1 == 1);
        rows.fold(0, |sum, (_, row)| sum ^ row)
    };
    // One bit further: the lowest falls out and brings in the polynomial.
    let mut matrix: Vec<u64> =
        (0..bits).map(|bit| if bit == 0 { polynomial } else { 1 << (bit - 1) }).collect();
    let mut register = register;
    let mut left = u128::from(bytes) * 8;
    while left > 0 {
        if left & 1 == 1 {
            register = apply(&matrix, register);
        }
        matrix = matrix.iter().map(|row| apply(&matrix, *row)).collect();
        left >>= 1;
    }
    register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_everything_follows_from_those_of_parts() {
        let (a, b) = (b"some bytes", b"and some others, more of them");
        let both = [a.as_slice(), b].concat();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (of_a, of_b) = (algorithm.of(a), algorithm.of(b));
            let parts = [(Some(&of_a), a.len() as u64), (Some(&of_b), b.len() as u64)];
            let whole = Checksum::whole(algorithm, parts.into_iter());
            assert_eq!(whole, Some(algorithm.of(&both)), "{algorithm:?}");
        }
    }

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
