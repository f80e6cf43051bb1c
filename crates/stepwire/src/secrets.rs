//! The file with what a node needs to be let in elsewhere: connections of HTTP tasks, AWS services
//! outside, and the keys that `http` actions of rules are signed with. Since 0.2
//!
//! ```json
//! {
//!   "connections": {
//!     "profiles": {"basic": {"username": "stepwire", "password": "…"}},
//!     "weather": {"apiKey": {"name": "X-Api-Key", "value": "…"}, "query": {"units": "metric"}},
//!     "fleet": {"oauth": {"endpoint": "https://login.example.org/token", "clientId": "…",
//!       "clientSecret": "…", "scope": "devices"}}
//!   },
//!   "services": {
//!     "kms": {"endpoint": "https://kms.eu-west-1.amazonaws.com", "region": "eu-west-1",
//!       "target": "TrentService", "accessKeyId": "…", "secretAccessKey": "…"}
//!   },
//!   "roles": {
//!     "arn:aws:iam::123456789012:role/webhooks": {"accessKeyId": "…", "secretAccessKey": "…"}
//!   }
//! }
//! ```
//! What is in it reaches neither logs nor histories. It must be readable by its owner alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use reqwest::Url;
use serde::Deserialize;
use stepwire_core::integrations;

use crate::aws_task::Outside;
use crate::http_task::Connection;
use crate::signing::KeySource;

/// Everything in the file. No `Debug`: it would show it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Secrets {
    /// What an `Authentication.ConnectionArn` stands for, by the connection's name.
    #[serde(default)]
    pub connections: BTreeMap<String, Connection>,
    /// Where tasks on `aws-sdk:NAME` go, by that name.
    #[serde(default)]
    pub services: BTreeMap<String, Outside>,
    /// What `auth.sigv4` of an `http` action is signed with, by its `roleArn`.
    #[serde(default)]
    pub roles: BTreeMap<String, KeySource>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Others could read it.
    #[error("others than its owner may read it (mode {0:o})")]
    Open(u32),
    /// It says something else than it must.
    #[error("{0}")]
    Invalid(String),
}

impl Secrets {
    /// What the file at `path` says.
    pub fn read(path: &Path) -> Result<Secrets, Error> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(Error::Open(mode));
            }
        }
        Secrets::parse(&fs::read_to_string(path)?)
    }

    fn parse(text: &str) -> Result<Secrets, Error> {
        // The parser's own words could repeat a secret.
        let secrets: Secrets = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = if error.is_data() { "not a field or value it has" } else { "not JSON" };
            Error::Invalid(format!("line {line}, column {column}: {what}"))
        })?;
        for (name, connection) in &secrets.connections {
            connection
                .check()
                .map_err(|why| Error::Invalid(format!("connection `{name}`: {why}")))?;
        }
        for (name, service) in &secrets.services {
            let invalid = |why| Error::Invalid(format!("service `{name}`: {why}"));
            if integrations::is_hosted(name) {
                return Err(invalid("the node serves it itself, so no task would go there"));
            }
            service.check().map_err(invalid)?;
        }
        for (role, key) in &secrets.roles {
            key.check().map_err(|why| Error::Invalid(format!("role `{role}`: {why}")))?;
        }
        Ok(secrets)
    }
}

/// A URL in the file.
pub(crate) fn url<'de, D: serde::Deserializer<'de>>(given: D) -> Result<Url, D::Error> {
    let text = String::deserialize(given)?;
    Url::parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Secrets::parse(text).err().unwrap().to_string()
    }

    #[test]
    fn connections_and_services_are_read_by_name() {
        let secrets = Secrets::parse(
            r#"{"connections": {"a": {"basic": {"username": "u", "password": "p"}}},
                "services": {"kms": {"endpoint": "https://x.example", "region": "r", "target": "T",
                  "accessKeyId": "i", "secretAccessKey": "s"}}}"#,
        )
        .unwrap();
        assert!(secrets.connections.contains_key("a") && secrets.services.contains_key("kms"));
    }

    #[test]
    fn what_is_wrong_is_told_without_what_is_secret() {
        let text = r#"{"connections": {"a": {"basic": "hunter2"}}}"#;
        let told = refused(text);
        assert!(told.starts_with("line 1, column") && !told.contains("hunter2"), "{told}");
        assert!(refused("{").contains("not JSON"));
        assert!(refused(r#"{"connections": {"a": {}}}"#).contains("connection `a`"));
        let hosted = r#"{"services": {"ssm": {"endpoint": "https://x.example", "region": "r",
            "target": "T", "accessKeyId": "i", "secretAccessKey": "s"}}}"#;
        assert!(refused(hosted).contains("service `ssm`: the node serves it itself"));
        assert!(refused(r#"{"roles": {"a": {"accessKeyId": "b"}}}"#).contains("role `a`"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "{}").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Secrets::read(file.path()), Err(Error::Open(0o640))));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Secrets::read(file.path()).is_ok());
    }
}
