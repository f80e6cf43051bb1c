//! Connections: how an HTTP task shows who it is.
//!
//! Source: EventBridge user guide, "Authorization methods for connections".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use stepwire_asl::{Failure, Json};

use super::request::{Outgoing, form};
use crate::secrets::url;

/// A token is asked for anew this long before it ends.
const TOKEN_MARGIN: Duration = Duration::from_secs(30);
/// The life of a token that does not say how long it lives.
const TOKEN_LIFE_S: i64 = 300;

/// A connection. No `Debug`: it would show its secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Connection {
    basic: Option<Basic>,
    api_key: Option<ApiKey>,
    oauth: Option<OAuth>,
    /// Further headers of every request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Further query parameters of every request.
    #[serde(default)]
    query: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Basic {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKey {
    name: String,
    value: String,
}

/// Client credentials. Source: RFC 6749 §4.4.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OAuth {
    #[serde(deserialize_with = "url")]
    endpoint: Url,
    client_id: String,
    client_secret: String,
    scope: Option<String>,
    /// Further fields of the form.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// An access token as long as it lives.
#[derive(Clone)]
pub(super) struct Token {
    header: HeaderValue,
    until: Instant,
}

impl Connection {
    /// What is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let ways = [self.basic.is_some(), self.api_key.is_some(), self.oauth.is_some()];
        if ways.iter().filter(|way| **way).count() != 1 {
            return Err("it must have one of `basic`, `apiKey` and `oauth`");
        }
        let named = self.headers.iter();
        let key = self.api_key.iter().map(|key| (&key.name, &key.value));
        for (name, value) in named.chain(key) {
            if HeaderName::from_bytes(name.as_bytes()).is_err() || secret(value).is_none() {
                return Err("a header's name or value cannot be sent");
            }
        }
        Ok(())
    }

    /// Adds what shows who it is; a task's own header of the same name gives way.
    pub(super) fn apply(&self, outgoing: &mut Outgoing, token: Option<&Token>) {
        let mut set = |name: &str, value: &str| {
            if let (Ok(name), Some(value)) =
                (HeaderName::from_bytes(name.as_bytes()), secret(value))
            {
                outgoing.headers.insert(name, value);
            }
        };
        self.headers.iter().for_each(|(name, value)| set(name, value));
        if let Some(ApiKey { name, value }) = &self.api_key {
            set(name, value);
        }
        if let Some(Basic { username, password }) = &self.basic {
            let pair = STANDARD.encode(format!("{username}:{password}"));
            set(AUTHORIZATION.as_str(), &format!("Basic {pair}"));
        }
        if let Some(token) = token {
            outgoing.headers.insert(AUTHORIZATION, token.header.clone());
        }
        if !self.query.is_empty() {
            outgoing.url.query_pairs_mut().extend_pairs(&self.query);
        }
    }

    /// The request for an access token, for connections that need one.
    pub(super) fn token_request(&self) -> Option<Outgoing> {
        let OAuth { endpoint, client_id, client_secret, scope, parameters } =
            self.oauth.as_ref()?;
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret),
        ];
        fields.extend(scope.iter().map(|scope| ("scope", scope.as_str())));
        fields.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Some(form(endpoint.clone(), &fields))
    }
}

impl Token {
    /// The token that an authorization server answered with.
    pub(super) fn read(body: &[u8]) -> Option<Token> {
        let answer = Json::parse_bytes(body).ok()?;
        let text = |name: &str| answer.member(name).and_then(Json::as_str);
        // Servers write `bearer`, and services want `Bearer`.
        let kind = text("token_type").filter(|kind| !kind.eq_ignore_ascii_case("bearer"));
        let header = secret(&format!("{} {}", kind.unwrap_or("Bearer"), text("access_token")?))?;
        let life = answer.member("expires_in").and_then(Json::as_i64).unwrap_or(TOKEN_LIFE_S);
        let life = Duration::from_secs(life.clamp(0, 86_400).unsigned_abs());
        Some(Token { header, until: Instant::now() + life.saturating_sub(TOKEN_MARGIN) })
    }

    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }
}

/// A header's value that is not shown when headers are.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The name in a connection's ARN: `arn:aws:events:REGION:ACCOUNT:connection/NAME/UUID`.
pub(super) fn name_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "events", _, _, resource] = parts.as_slice() else { return None };
    let name = resource.strip_prefix("connection/")?.split('/').next()?;
    (partition.starts_with("aws") && !name.is_empty()).then_some(name)
}

/// AWS's error for a connection that is not there.
pub(super) fn unknown(arn: &str) -> Failure {
    let cause = format!("The connection `{arn}` does not exist.");
    Failure::new("Events.ConnectionResource.NotFound", cause)
}

/// AWS's error for a connection that lets nobody in.
pub(super) fn unauthorized(arn: &str, why: &str) -> Failure {
    let cause = format!("The connection `{arn}` could not be authorized: {why}.");
    Failure::new("Events.ConnectionResource.InvalidConnectionState", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_known_by_the_name_in_its_arn() {
        let arn = "arn:aws:events:us-east-1:000000000000:connection/fleet/1d2c";
        assert_eq!(name_of(arn), Some("fleet"));
        assert_eq!(
            name_of("arn:aws:events:us-east-1:000000000000:connection/fleet"),
            Some("fleet")
        );
        for arn in ["fleet", "arn:aws:events:a:b:rule/x", "arn:aws:events:a:b:connection/"] {
            assert_eq!(name_of(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_token_that_is_about_to_end_is_not_fresh() {
        let read = |text: &str| Token::read(text.as_bytes());
        assert!(read(r#"{"access_token":"t","expires_in":3600}"#).is_some_and(|t| t.is_fresh()));
        assert!(read(r#"{"access_token":"t","expires_in":20}"#).is_some_and(|t| !t.is_fresh()));
        assert!(read(r#"{"token":"t"}"#).is_none());
    }
}
