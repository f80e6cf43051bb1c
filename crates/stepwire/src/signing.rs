//! Signing requests that leave, with SigV4.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use stepwire_aws::sigv4::{Signature, Signed};

/// Where a key comes from. No `Debug`: it would show its secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KeySource {
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    session_token: Option<String>,
    /// Take the key from `AWS_ACCESS_KEY_ID` and its like instead.
    #[serde(default)]
    key_from_environment: bool,
}

/// A key that requests are signed with. No `Debug`: it would show its secret.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

impl KeySource {
    /// What is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let given = self.access_key_id.is_some() && self.secret_access_key.is_some();
        if given == self.key_from_environment {
            return Err(
                "it must have `accessKeyId` and `secretAccessKey`, or `keyFromEnvironment`",
            );
        }
        Ok(())
    }

    /// The key; else what is missing.
    pub(crate) fn key(&self) -> Result<Key, String> {
        match (&self.access_key_id, &self.secret_access_key) {
            (Some(id), Some(secret)) => Ok(Key {
                id: id.clone(),
                secret: secret.clone(),
                token: self.session_token.clone(),
            }),
            _ => Key::from_environment(),
        }
    }
}

impl Key {
    /// The key of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    pub(crate) fn from_environment() -> Result<Key, String> {
        let of = |name: &str| std::env::var(name).map_err(|_| format!("`{name}` is not set"));
        Ok(Key {
            id: of("AWS_ACCESS_KEY_ID")?,
            secret: of("AWS_SECRET_ACCESS_KEY")?,
            token: of("AWS_SESSION_TOKEN").ok(),
        })
    }

    /// Signs a POST request to `url` as it is now: all its headers are signed, and those that a
    /// signature needs are added.
    pub(crate) fn sign(
        &self,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
        region: &str,
        service: &str,
    ) -> Result<(), String> {
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let mut add = |name: &'static str, value: &str| match HeaderValue::from_str(value) {
            Ok(value) => {
                headers.insert(HeaderName::from_static(name), value);
                Ok(())
            }
            Err(_) => Err(format!("the header `{name}` cannot be sent")),
        };
        add("host", &host)?;
        add("x-amz-date", &jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string())?;
        if let Some(token) = &self.token {
            add("x-amz-security-token", token)?;
        }
        let signed = Signed {
            method: "POST",
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers,
            body,
        };
        let authorization = Signature::sign(&signed, &self.id, &self.secret, region, service);
        let authorization = authorization.map_err(|refused| refused.to_string())?;
        let mut value = HeaderValue::from_str(&authorization).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
        Ok(())
    }
}
