//! `keys.json`: the key that API requests are signed with.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;

/// The letters of an access key id after `AKIA`: RFC 4648 base32, as AWS's.
const ID_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The letters of a secret: 64, so that six random bits choose one.
const SECRET_LETTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// An AWS-shaped key pair of one node, made at its first start.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Access key id: `AKIA` and 16 letters.
    pub id: String,
    /// Secret access key: 40 letters, 240 random bits.
    pub secret: String,
}

impl AccessKey {
    /// The key kept in `folder`, made when there is none.
    pub fn open(folder: &Path) -> io::Result<AccessKey> {
        let path = folder.join("keys.json");
        if let Some(kept) = files::read(&path)? {
            return Ok(serde_json::from_str(&kept)?);
        }
        let key = AccessKey::random()?;
        files::write(&path, &serde_json::to_vec_pretty(&key)?)?;
        Ok(key)
    }

    /// The key kept in `folder`, if there is one.
    pub fn read(folder: &Path) -> io::Result<Option<AccessKey>> {
        match files::read(&folder.join("keys.json"))? {
            Some(kept) => Ok(Some(serde_json::from_str(&kept)?)),
            None => Ok(None),
        }
    }

    /// A key that nobody has.
    pub fn random() -> io::Result<AccessKey> {
        let id = format!("AKIA{}", letters::<16>(ID_LETTERS)?);
        Ok(AccessKey { id, secret: letters::<40>(SECRET_LETTERS)? })
    }
}

/// `N` random letters. The alphabet's length divides 256, so each is equally likely.
fn letters<const N: usize>(alphabet: &[u8]) -> io::Result<String> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|&byte| char::from(alphabet[usize::from(byte) % alphabet.len()])).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert!(AccessKey::read(folder.path()).unwrap().is_none());
        let first = AccessKey::open(folder.path()).unwrap();
        assert!(AccessKey::open(folder.path()).unwrap() == first);
        assert!(AccessKey::read(folder.path()).unwrap() == Some(first));
    }

    #[test]
    fn a_key_has_the_form_of_aws_keys_and_no_two_are_the_same() {
        let (a, b) = (AccessKey::random().unwrap(), AccessKey::random().unwrap());
        assert!(a.id.starts_with("AKIA") && a.id.len() == 20 && a.secret.len() == 40);
        assert!(a.id != b.id && a.secret != b.secret);
    }
}
