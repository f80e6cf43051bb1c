//! Requests that read policies, answered from committed records.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Request, Side, Target, attached, policy_key, stored};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Space;
use crate::registry::certificates::certificate_key;
use crate::registry::error::{internal, invalid, missing};
use crate::registry::listing::{key_texts, listed, listed_under, page_of};
use crate::registry::names::{policy_arn, seconds};
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get(name) => get(name, read, settings),
        Request::List(page) => {
            let items = listed(read, Space::Policy, page, &mut |key, value| {
                let policy = stored(key, value)?;
                Ok(Some((Arc::clone(&policy.name), named(&policy.name, settings))))
            })?;
            Ok(page_of("policies", "nextMarker", items))
        }
        Request::ListAttached(target, page) => {
            exists(target, read)?;
            let prefix = attached(Side::Target, &target.resource());
            let items = listed_under(read, &prefix, page, &mut |key, _| {
                let texts = key_texts::<2>(key, 1);
                Ok(texts.map(|[_, policy]| (Arc::clone(&policy), named(&policy, settings))))
            })?;
            Ok(page_of("policies", "nextMarker", items))
        }
        Request::Create { .. } | Request::Delete(_) | Request::Attach { .. } => {
            Err(invalid("this request changes something"))
        }
    }
}

fn get(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = policy_key(name);
    let value = read.get(&key).ok_or_else(|| missing(&format!("Policy {name}")))?;
    let policy = stored(&key, &value).map_err(internal)?;
    Ok(Json::object([
        ("policyName", Json::String(Arc::clone(&policy.name))),
        ("policyArn", policy_arn(settings, &policy.name)),
        ("policyDocument", Json::String(policy.document)),
        ("defaultVersionId", "1".into()),
        ("creationDate", seconds(policy.created)),
        ("lastModifiedDate", seconds(policy.created)),
        ("generationId", "1".into()),
    ]))
}

fn exists(target: &Target, read: &dyn Read) -> Result<(), ApiError> {
    let found = match target {
        Target::Certificate(id) => read.get(&certificate_key(id)).is_some(),
        Target::Group(_) => false,
    };
    if found { Ok(()) } else { Err(missing(&target.resource())) }
}

fn named(name: &str, settings: &Settings) -> Json {
    Json::object([("policyName", Json::from(name)), ("policyArn", policy_arn(settings, name))])
}
