//! Temporary credentials: nothing of them is stored. What a session token says, and a MAC over it
//! with the node's key, are all there is; key id and secret are derived from both.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stepwire_asl::Timestamp;

/// Letters of identifiers: RFC 4648 base32, as AWS's.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const MAC_BYTES: usize = 32;
const VERSION: u8 = 1;

/// For whom requests are signed with temporary credentials, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// ARN: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME`, or the account's root.
    pub arn: Arc<str>,
    /// `UserId`: the role's id and the session's name, or the account.
    pub user_id: Arc<str>,
    /// When they end.
    pub expires: Timestamp,
}

/// What a request is signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `ASIA` and 16 letters.
    pub id: String,
    /// 40 letters.
    pub secret: String,
    /// What proves the other two.
    pub token: String,
}

impl Session {
    /// The credentials of this session; the same every time for the same session and node key.
    pub fn credentials(&self, key: &[u8; 32]) -> Credentials {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.expires.0.to_be_bytes());
        bytes.extend_from_slice(self.arn.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.user_id.as_bytes());
        let id = format!("ASIA{}", letters(&mac(key, b"access key id", &bytes)[..10]));
        let secret = STANDARD.encode(&mac(key, b"secret access key", &bytes)[..30]);
        bytes.extend_from_slice(&mac(key, b"session token", &bytes));
        Credentials { id, secret, token: URL_SAFE_NO_PAD.encode(&bytes) }
    }

    /// The session that a token of this node's is about, expired or not, and its credentials.
    /// `None`: the token was not made with this key.
    pub fn open(token: &str, key: &[u8; 32]) -> Option<(Session, Credentials)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (said, proof) = bytes.split_at(bytes.len().checked_sub(MAC_BYTES)?);
        keyed(key, b"session token", said).verify_slice(proof).ok()?;
        let (version, rest) = said.split_first()?;
        let (expires, rest) = rest.split_at_checked(8)?;
        let (arn, user_id) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
        let session = Session {
            arn: arn.into(),
            user_id: user_id.into(),
            expires: Timestamp(i64::from_be_bytes(expires.try_into().ok()?)),
        };
        let credentials = session.credentials(key);
        (*version == VERSION).then_some((session, credentials))
    }
}

/// An identifier such as `AROA…`: `prefix` and 17 letters, the same for the same number.
pub(super) fn identifier(prefix: &str, number: u64, key: &[u8; 32]) -> String {
    let made = letters(&mac(key, b"iam identifier", &number.to_be_bytes())[..11]);
    format!("{prefix}{}", &made[..17])
}

/// Five bits to a letter; what is left over is dropped.
fn letters(bytes: &[u8]) -> String {
    let bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let count = bytes.len() * 8 / 5;
    let letter = |at: usize| char::from(LETTERS[(bits >> (5 * at) & 31) as usize]);
    (0..count).map(letter).collect()
}

fn keyed(key: &[u8; 32], what: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(what);
    mac.update(&[0]);
    mac.update(bytes);
    mac
}

fn mac(key: &[u8; 32], what: &[u8], bytes: &[u8]) -> [u8; MAC_BYTES] {
    keyed(key, what, bytes).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn session() -> Session {
        Session {
            arn: "arn:aws:sts::000000000000:assumed-role/r/s".into(),
            user_id: "AROAX:s".into(),
            expires: Timestamp(1_000),
        }
    }

    #[test]
    fn a_token_tells_the_session_and_its_credentials() {
        let made = session().credentials(&KEY);
        assert_eq!((made.id.len(), made.secret.len()), (20, 40));
        assert_eq!(Session::open(&made.token, &KEY), Some((session(), made)));
    }

    #[test]
    fn no_changed_token_and_no_other_key_opens() {
        let token = session().credentials(&KEY).token;
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8_lossy(&forged).into_owned();
            let opened = Session::open(&forged, &KEY);
            // The last letter of base64 may carry bits that nothing looks at.
            assert!(opened.is_none() || at + 1 == token.len(), "position {at}");
        }
        assert_eq!(Session::open(&token, &[8; 32]), None);
        assert_eq!(Session::open("", &KEY), None);
    }

    #[test]
    fn identifiers_have_the_form_of_aws() {
        let (a, b) = (identifier("AROA", 1, &KEY), identifier("AROA", 2, &KEY));
        assert!(a.len() == 21 && a.starts_with("AROA") && a != b);
    }
}
