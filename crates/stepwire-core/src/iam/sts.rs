//! Who a request is from, and temporary credentials (AWS STS).

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Credentials, Iam, Session};
use crate::error::ApiError;
use crate::params::Params;
use crate::settings::Settings;

/// One request.
#[derive(Debug, Clone)]
pub enum Request {
    /// Who asks; `None`: the holder of the node's key.
    GetCallerIdentity(Option<Arc<Session>>),
    /// Credentials of a session of a role.
    AssumeRole {
        /// The role's ARN.
        role: Arc<str>,
        /// The session's name.
        name: Arc<str>,
        /// How long, seconds.
        duration_s: i64,
    },
    /// Credentials of the account.
    GetSessionToken {
        /// How long, seconds.
        duration_s: i64,
    },
    /// The account of an access key.
    GetAccessKeyInfo,
}

/// Members of AssumeRole that restrict or describe a session; policies are not enforced.
const WITHOUT_EFFECT: [&str; 6] =
    ["Policy", "PolicyArns", "ExternalId", "Tags", "TransitiveTagKeys", "SourceIdentity"];

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "ValidationError");
        Some(match operation {
            "GetCallerIdentity" => params.only(&[]).map(|()| Request::GetCallerIdentity(None)),
            "AssumeRole" => assume(params),
            "GetSessionToken" => params.only(&["DurationSeconds"]).and_then(|()| {
                let duration_s = duration(params, 43_200, 129_600)?;
                Ok(Request::GetSessionToken { duration_s })
            }),
            "GetAccessKeyInfo" => params.only(&["AccessKeyId"]).map(|()| Request::GetAccessKeyInfo),
            "AssumeRoleWithWebIdentity"
            | "AssumeRoleWithSAML"
            | "AssumeRoot"
            | "DecodeAuthorizationMessage"
            | "GetDelegatedAccessToken"
            | "GetFederationToken"
            | "GetWebIdentityToken" => {
                let message = format!(
                    "`{operation}` is refused: stepwire knows no identity providers, and does not \
                     enforce policies"
                );
                Err(ApiError::new("InvalidAction", message))
            }
            _ => return None,
        })
    }

    /// The request as the holder of a session's credentials makes it.
    #[must_use]
    pub fn by(self, session: Option<Session>) -> Request {
        match self {
            Request::GetCallerIdentity(_) => Request::GetCallerIdentity(session.map(Arc::new)),
            other => other,
        }
    }
}

fn assume(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(
        &[&["RoleArn", "RoleSessionName", "DurationSeconds"], &WITHOUT_EFFECT[..]].concat(),
    )?;
    let name = params.text("RoleSessionName")?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if !(2..=64).contains(&name.len()) || !name.bytes().all(known) {
        let constraint = "Member must satisfy regular expression pattern: [\\w+=,.@-]*";
        return Err(params.broken("roleSessionName", Some(name), constraint));
    }
    let role = params.text("RoleArn")?;
    if !role.starts_with("arn:") || !role.contains(":role/") {
        return Err(ApiError::new("ValidationError", format!("{role} is invalid")));
    }
    let duration_s = duration(params, 3_600, 43_200)?;
    Ok(Request::AssumeRole { role: role.into(), name: name.into(), duration_s })
}

fn duration(params: Params<'_>, default: i64, max: i64) -> Result<i64, ApiError> {
    let given = match params.get("DurationSeconds") {
        Some(Json::String(text)) => text.parse().ok(),
        Some(number) => number.as_i64(),
        None => Some(default),
    };
    let given = given.ok_or_else(|| params.invalid("DurationSeconds", "it must be an integer"))?;
    let bound = if given < 900 {
        "Member must have value greater than or equal to 900".to_owned()
    } else if given > max {
        format!("Member must have value less than or equal to {max}")
    } else {
        return Ok(given);
    };
    Err(params.broken("durationSeconds", Some(&given.to_string()), &bound))
}

impl Iam {
    /// Carries out a request to STS. Nothing of it is stored.
    pub(crate) fn call_sts(
        &self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
    ) -> Result<Json, ApiError> {
        let account = &settings.account;
        let root = || Session {
            arn: format!("arn:aws:iam::{account}:root").into(),
            user_id: Arc::clone(account),
            expires: now,
        };
        match request {
            Request::GetCallerIdentity(session) => {
                let session = session.as_deref().cloned().unwrap_or_else(root);
                Ok(Json::object([
                    ("UserId", Json::String(session.user_id)),
                    ("Account", Json::String(Arc::clone(account))),
                    ("Arn", Json::String(session.arn)),
                ]))
            }
            Request::GetAccessKeyInfo => {
                Ok(Json::object([("Account", Json::String(Arc::clone(account)))]))
            }
            Request::GetSessionToken { duration_s } => {
                let session = Session { expires: now.plus_ms(duration_s * 1_000), ..root() };
                let shown = shown(&session.credentials(&settings.secret), session.expires);
                Ok(Json::object([("Credentials", shown)]))
            }
            Request::AssumeRole { role, name, duration_s } => {
                self.assume_role(now, role, name, *duration_s, settings)
            }
        }
    }

    fn assume_role(
        &self,
        now: Timestamp,
        arn: &str,
        name: &str,
        duration_s: i64,
        settings: &Settings,
    ) -> Result<Json, ApiError> {
        let found = arn.rsplit('/').next().and_then(|role| self.role(role).ok());
        let role = found.filter(|role| role.arn(settings) == arn).ok_or_else(|| {
            let account = &settings.account;
            let message = format!(
                "User: arn:aws:iam::{account}:root is not authorized to perform: sts:AssumeRole on \
                 resource: {arn}"
            );
            ApiError::new("AccessDenied", message)
        })?;
        if duration_s as u64 > role.session_s_max.unwrap_or(3_600) {
            let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for \
                           this role.";
            return Err(ApiError::new("ValidationError", message));
        }
        let session = role.session(name, now.plus_ms(duration_s * 1_000), settings);
        let credentials = session.credentials(&settings.secret);
        Ok(Json::object([
            ("Credentials", shown(&credentials, session.expires)),
            (
                "AssumedRoleUser",
                Json::object([
                    ("AssumedRoleId", Json::String(session.user_id)),
                    ("Arn", Json::String(session.arn)),
                ]),
            ),
        ]))
    }
}

impl super::Role {
    /// A session of this role, such as a function has.
    pub fn session(&self, name: &str, expires: Timestamp, settings: &Settings) -> Session {
        let (account, role) = (&settings.account, &self.name);
        Session {
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{name}").into(),
            user_id: format!("{}:{name}", self.id).into(),
            expires,
        }
    }
}

fn shown(credentials: &Credentials, expires: Timestamp) -> Json {
    Json::object([
        ("AccessKeyId", Json::from(credentials.id.as_str())),
        ("SecretAccessKey", credentials.secret.as_str().into()),
        ("SessionToken", credentials.token.as_str().into()),
        ("Expiration", expires.rfc3339().into()),
    ])
}
