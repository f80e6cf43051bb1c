//! Requests that read policies, answered from committed records.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{PolicyRecord, Request, Side, Target, attached, policy_key, stored};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Space;
use crate::registry::certificates::{certificate_key, generation};
use crate::registry::error::{internal, invalid, missing};
use crate::registry::listing::{key_texts, listed, listed_under, page_of};
use crate::registry::names::{policy_arn, seconds};
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get(name, number) => get(&policy(name, read)?, *number, settings),
        Request::ListVersions(name) => {
            let policy = policy(name, read)?;
            let versions = policy.versions.iter().rev().map(|(number, version)| {
                Json::object([
                    ("versionId", number.to_string().into()),
                    ("isDefaultVersion", (*number == policy.default).into()),
                    ("createDate", seconds(version.created)),
                ])
            });
            Ok(Json::object([("policyVersions", Json::array(versions.collect::<Vec<_>>()))]))
        }
        Request::List(page) => {
            let items = listed(read, Space::Policy, page, &mut |key, value| {
                let policy = stored(key, value)?;
                Ok(Some((Arc::clone(&policy.name), named(&policy.name, settings))))
            })?;
            Ok(page_of("policies", "nextMarker", items))
        }
        Request::ListAttached { target, page, .. } => {
            exists(target, read)?;
            let prefix = attached(Side::Target, &target.resource());
            let items = listed_under(read, &prefix, page, &mut |key, _| {
                let texts = key_texts::<2>(key, 1);
                Ok(texts.map(|[_, policy]| (Arc::clone(&policy), named(&policy, settings))))
            })?;
            Ok(page_of("policies", "nextMarker", items))
        }
        Request::ListTargets { policy: name, principals, page } => {
            policy(name, read)?;
            let prefix = attached(Side::Policy, name);
            let items = listed_under(read, &prefix, page, &mut |key, _| {
                let Some([_, target]) = key_texts::<2>(key, 1) else { return Ok(None) };
                let wanted = !principals || target.starts_with("cert/");
                let arn = settings.arn("iot", &target).into();
                Ok(wanted.then_some((target, arn)))
            })?;
            let name = if *principals { "principals" } else { "targets" };
            Ok(page_of(name, "nextMarker", items))
        }
        Request::Create { .. }
        | Request::CreateVersion { .. }
        | Request::SetDefault(..)
        | Request::Delete(..)
        | Request::Attach { .. }
        | Request::Test(_)
        | Request::GetEffective { .. } => Err(invalid("this request is not answered by records")),
    }
}

fn policy(name: &str, read: &dyn Read) -> Result<PolicyRecord, ApiError> {
    let key = policy_key(name);
    let value = read.get(&key).ok_or_else(|| missing(&format!("Policy {name}")))?;
    stored(&key, &value).map_err(internal)
}

/// GetPolicy, or with a number GetPolicyVersion.
fn get(policy: &PolicyRecord, number: Option<u32>, settings: &Settings) -> Result<Json, ApiError> {
    let name = &policy.name;
    let wanted = number.unwrap_or(policy.default);
    let version = policy.versions.get(&wanted);
    let version = version.ok_or_else(|| missing(&format!("Version {wanted} of {name}")))?;
    let (created, modified) = match number {
        None => (policy.created, policy.modified),
        Some(_) => (version.created, version.created),
    };
    let members = [
        ("policyName", Json::String(Arc::clone(name))),
        ("policyArn", policy_arn(settings, name)),
        ("policyDocument", Json::String(Arc::clone(&version.document))),
        ("creationDate", seconds(created)),
        ("lastModifiedDate", seconds(modified)),
        ("generationId", generation(name, policy.created.0, settings)),
    ];
    let version = match number {
        None => vec![("defaultVersionId", policy.default.to_string().into())],
        Some(number) => vec![
            ("policyVersionId", number.to_string().into()),
            ("isDefaultVersion", (number == policy.default).into()),
        ],
    };
    Ok(Json::object(members.into_iter().chain(version)))
}

fn exists(target: &Target, read: &dyn Read) -> Result<(), ApiError> {
    let found = match target {
        Target::Certificate(id) => read.get(&certificate_key(id)).is_some(),
        // Groups are looked for by the registry.
        Target::Group(_) => true,
    };
    if found { Ok(()) } else { Err(missing(&target.resource())) }
}

pub(super) fn named(name: &str, settings: &Settings) -> Json {
    Json::object([("policyName", Json::from(name)), ("policyArn", policy_arn(settings, name))])
}
