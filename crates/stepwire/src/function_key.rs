//! The key that a function signs its requests with: its own, good as long as the function is there.
//!
//! It is derived from the node's secret and the function's number, so that nothing has to be stored
//! and another function of the same name has another key.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use stepwire_core::executions::derived_uuid;
use stepwire_core::functions::{self, FunctionRecord};

use crate::access_key::AccessKey;
use crate::node::Node;
use crate::shard;

/// What a function's session token begins with.
const PREFIX: &str = "stepwire-function/";

/// A function's key. No `Debug`: it would show its secret.
pub(crate) struct FunctionKey {
    key: AccessKey,
    token: String,
}

/// The key of a function, or of any version of it.
pub(crate) fn of(record: &FunctionRecord, secret: &[u8; 32]) -> FunctionKey {
    made(&record.name, record.number, secret)
}

fn made(name: &str, number: u64, secret: &[u8; 32]) -> FunctionKey {
    let digits = |kind: &str| derived_uuid(secret, kind, &[number]).replace('-', "");
    let id: String = digits("function key id").to_uppercase().chars().take(16).collect();
    let mut hidden = digits("function secret 1") + &digits("function secret 2");
    hidden.truncate(40);
    let key = AccessKey { id: format!("ASIA{id}"), secret: hidden };
    FunctionKey { key, token: format!("{PREFIX}{name}/{number}") }
}

impl FunctionKey {
    /// The variables in which SDKs look for it.
    pub(crate) fn variables(self) -> Vec<(String, String)> {
        let AccessKey { id, secret } = self.key;
        [
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", self.token),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// The key with which a request must be signed that names a function's session token; `None` if it
/// names none, or the function is gone.
pub(crate) fn asked(node: &Node, parts: &Parts, id: &str) -> Option<AccessKey> {
    let token = token(&parts.headers)?;
    let (name, number) = token.strip_prefix(PREFIX)?.split_once('/')?;
    let number: u64 = number.parse().ok()?;
    let read = node.snapshot();
    let record = shard::catch(|| functions::named(name, &read)).ok()?.ok()??;
    let key = made(name, record.number, &node.settings().secret).key;
    (record.number == number && key.id == id).then_some(key)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-security-token")?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_key_of_its_own() {
        let (a, b) = (made("f", 1, &[1; 32]), made("f", 2, &[1; 32]));
        assert!(a.key.id != b.key.id && a.key.secret != b.key.secret && a.token != b.token);
        assert!(a.key == made("f", 1, &[1; 32]).key);
        assert!(a.key.secret != made("f", 1, &[2; 32]).key.secret);
        assert_eq!((a.key.id.len(), a.key.secret.len()), (20, 40));
    }
}
