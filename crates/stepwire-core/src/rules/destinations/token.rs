//! Confirmation tokens: which challenge of which destination, sealed.
//!
//! A token is derived, not stored: a request that is repeated after a crash bears the same one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the destination's and the challenge's number.
const BODY_LEN: usize = 12;

/// One challenge of one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// The destination's number.
    pub(super) destination: u64,
    /// Which of its challenges.
    pub(super) challenge: u32,
}

impl Token {
    /// It as text that only the holder of `secret` can make.
    pub(super) fn seal(self, secret: &[u8; 32]) -> String {
        let mut bytes = self.destination.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.challenge.to_be_bytes());
        let mac = mac(secret, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token that `text` is, if it was sealed with `secret`.
    pub(super) fn open(text: &str, secret: &[u8; 32]) -> Option<Token> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY_LEN)?;
        mac(secret, body).verify_slice(tag).ok()?;
        let (destination, challenge) = body.split_at(8);
        Some(Token {
            destination: u64::from_be_bytes(destination.try_into().ok()?),
            challenge: u32::from_be_bytes(challenge.try_into().ok()?),
        })
    }
}

fn mac(secret: &[u8; 32], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(b"rule destination");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_to_itself_and_nothing_else_opens() {
        let (token, secret) = (Token { destination: 7, challenge: 2 }, [9; 32]);
        let text = token.seal(&secret);
        assert_eq!(Token::open(&text, &secret), Some(token));
        assert_eq!(Token::open(&text, &[8; 32]), None);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8_lossy(&forged).into_owned();
            assert_eq!(Token::open(&forged, &secret), None, "{forged}");
        }
        for text in ["", "A", "AAAAAAAAAAAAAAAA"] {
            assert_eq!(Token::open(text, &secret), None, "{text}");
        }
    }
}
