//! Task tokens: which scheduled task of which execution, sealed.
//!
//! A token is derived, not drawn: the same task has the same token after a crash, so an effect that
//! is repeated hands out the same one. It names the `TaskScheduled` event, so a retried task has a
//! new one. Outside the process it is base64url text that ends in a MAC and cannot be guessed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stepwire_asl::EventId;

use super::ExecutionId;

/// Bytes of the MAC that seals a token.
const MAC_LEN: usize = 16;
const BODY_LEN: usize = 24;

/// One scheduled task of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskToken {
    /// The execution.
    pub execution: ExecutionId,
    /// The `TaskScheduled` event.
    pub scheduled: EventId,
}

impl TaskToken {
    /// The token as text, 54 characters, that only the holder of `secret` can make.
    pub fn seal(self, secret: &[u8; 32]) -> String {
        let mut bytes = self.body().to_vec();
        bytes.extend_from_slice(&mac(secret, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token that `text` is, if it was sealed with `secret`.
    pub fn open(text: &str, secret: &[u8; 32]) -> Option<TaskToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != BODY_LEN + MAC_LEN {
            return None;
        }
        let (body, tag) = bytes.split_at(BODY_LEN);
        keyed(secret, body).verify_truncated_left(tag).ok()?;
        let number = |at: usize| Some(u64::from_be_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let execution = ExecutionId { machine: number(0)?, number: number(8)? };
        Some(TaskToken { execution, scheduled: number(16)? })
    }

    /// The execution that a token names, or the first 22 characters or more of one. Nobody vouches for
    /// it: there may be no such execution.
    pub fn execution_in(text: &str) -> Option<ExecutionId> {
        let beginning = text.get(..22)?;
        let mut bytes = URL_SAFE_NO_PAD.decode(format!("{beginning}AA")).ok()?;
        bytes.truncate(16);
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        let number = u128::from_be_bytes(bytes);
        Some(ExecutionId { machine: (number >> 64) as u64, number: number as u64 })
    }

    fn body(self) -> [u8; BODY_LEN] {
        let mut body = [0; BODY_LEN];
        body[..8].copy_from_slice(&self.execution.machine.to_be_bytes());
        body[8..16].copy_from_slice(&self.execution.number.to_be_bytes());
        body[16..].copy_from_slice(&self.scheduled.to_be_bytes());
        body
    }
}

/// An identifier in UUID form, fixed by its parts and unguessable without `secret`.
pub fn derived_uuid(secret: &[u8; 32], kind: &str, parts: &[u64]) -> String {
    let mut text = kind.as_bytes().to_vec();
    parts.iter().for_each(|part| text.extend_from_slice(&part.to_be_bytes()));
    let mut b = mac(secret, &text);
    b[6] = b[6] & 0x0f | 0x80;
    b[8] = b[8] & 0x3f | 0x80;
    uuid_text(u128::from_be_bytes(b))
}

/// A UUID's 128 bits in groups of 8, 4, 4, 4 and 12 hex digits. Source: RFC 9562 §4.
pub fn uuid_text(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn keyed(secret: &[u8; 32], bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(bytes);
    mac
}

fn mac(secret: &[u8; 32], bytes: &[u8]) -> [u8; MAC_LEN] {
    let full = keyed(secret, bytes).finalize().into_bytes();
    let mut short = [0; MAC_LEN];
    short.copy_from_slice(&full[..MAC_LEN]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn token() -> TaskToken {
        TaskToken { execution: ExecutionId { machine: 3, number: 41 }, scheduled: 9 }
    }

    #[test]
    fn a_uuid_has_its_digits_in_order() {
        let bits = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        assert_eq!(uuid_text(bits), "01234567-89ab-cdef-0011-223344556677");
    }

    #[test]
    fn the_beginning_of_a_token_names_its_execution() {
        let text = token().seal(&SECRET);
        for length in [22, 23, 30, text.len()] {
            assert_eq!(
                TaskToken::execution_in(&text[..length]),
                Some(token().execution),
                "{length}"
            );
        }
        for text in ["", "AAAA", "no token, but a sentence as long", "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ"]
        {
            assert_eq!(TaskToken::execution_in(text), None, "{text}");
        }
    }

    #[test]
    fn a_sealed_token_opens_to_itself() {
        assert_eq!(TaskToken::open(&token().seal(&SECRET), &SECRET), Some(token()));
    }

    #[test]
    fn no_changed_character_opens() {
        let text = token().seal(&SECRET);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8_lossy(&forged).into_owned();
            let opened = TaskToken::open(&forged, &SECRET);
            assert!(opened.is_none(), "position {at}: {forged}");
        }
        assert_eq!(TaskToken::open(&text, &[8; 32]), None);
    }
}
