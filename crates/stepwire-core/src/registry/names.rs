//! Names and ARNs as requests write them.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::policies::Target;
use crate::error::ApiError;
use crate::params::Params;
use crate::settings::Settings;

/// `[a-zA-Z0-9:_-]{1,128}`: a thing, a thing type, a thing group.
pub(super) fn name(p: &Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    checked_name(p.text(member)?).ok_or_else(|| {
        p.invalid(member, "it must match [a-zA-Z0-9:_-]+ and have at most 128 characters")
    })
}

/// A name that may be absent.
pub(super) fn optional_name(p: &Params<'_>, member: &str) -> Result<Option<Arc<str>>, ApiError> {
    p.get(member).map(|_| name(p, member)).transpose()
}

/// The text as a name, if it is one.
pub(super) fn checked_name(text: &str) -> Option<Arc<str>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":_-".contains(c);
    ((1..=128).contains(&text.len()) && text.chars().all(fits)).then(|| text.into())
}

/// `[\w+=,.@-]{1,128}`
pub(super) fn policy_name(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    checked_policy_name(p.text("policyName")?).ok_or_else(|| {
        p.invalid("policyName", "it must match [\\w+=,.@-]+ and have at most 128 characters")
    })
}

pub(super) fn checked_policy_name(name: &str) -> Option<Arc<str>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let fits = !name.is_empty() && name.len() <= 128 && name.chars().all(fits);
    fits.then(|| name.into())
}

/// 64 hex digits.
pub(super) fn certificate_id(p: &Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    let id = p.text(member)?;
    checked_id(id).ok_or_else(|| p.invalid(member, "it must be 64 hex digits"))
}

fn checked_id(id: &str) -> Option<Arc<str>> {
    let fits = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| id.into())
}

/// The certificate id in `arn:aws:iot:…:cert/<id>`.
pub(super) fn principal(p: &Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    let arn = p.text(member)?;
    let id = arn.strip_prefix("arn:").and_then(|rest| rest.rsplit_once(":cert/"));
    let id = id.and_then(|(_, id)| checked_id(id));
    id.ok_or_else(|| p.invalid(member, "it must be the ARN of a certificate"))
}

/// The certificate or thing group that an ARN names.
pub(super) fn target(p: &Params<'_>, member: &str) -> Result<Target, ApiError> {
    let arn = p.text(member)?;
    if arn.contains(":cert/") {
        return principal(p, member).map(Target::Certificate);
    }
    let group = arn.strip_prefix("arn:").and_then(|rest| rest.rsplit_once(":thinggroup/"));
    match group.and_then(|(_, name)| checked_name(name)) {
        Some(name) => Ok(Target::Group(name)),
        None => Err(p.invalid(member, "it must be the ARN of a certificate or a thing group")),
    }
}

pub(super) fn thing_arn(settings: &Settings, name: &str) -> Json {
    settings.arn("iot", &format!("thing/{name}")).into()
}

pub(super) fn type_arn(settings: &Settings, name: &str) -> Json {
    settings.arn("iot", &format!("thingtype/{name}")).into()
}

pub(super) fn group_arn(settings: &Settings, name: &str) -> Json {
    settings.arn("iot", &format!("thinggroup/{name}")).into()
}

pub(super) fn certificate_arn(settings: &Settings, id: &str) -> Json {
    settings.arn("iot", &format!("cert/{id}")).into()
}

pub(super) fn authority_arn(settings: &Settings, id: &str) -> Json {
    settings.arn("iot", &format!("cacert/{id}")).into()
}

pub(super) fn policy_arn(settings: &Settings, name: &str) -> Json {
    settings.arn("iot", &format!("policy/{name}")).into()
}

/// A point of time as AWS's JSON writes it: seconds.
pub(super) fn seconds(at: Timestamp) -> Json {
    Json::from_f64(at.seconds()).unwrap_or_default()
}
