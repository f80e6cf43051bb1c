//! Requests that read.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stepwire_asl::Json;

use super::filter::under;
use super::record::{self, Kind, Parameter, Version};
use super::request::{List, Name, Request};
use super::{found, no_resource, not_found, nothing};
use crate::error::ApiError;
use crate::read::Read;
use crate::settings::Settings;

/// Most parameters that one page looks at; it may then show fewer than there are.
const LOOKED_AT_MAX: usize = 1_000;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get { name, decrypts } => {
            let shown = chosen(name, *decrypts, read, settings)?;
            Ok(Json::object([("Parameter", shown)]))
        }
        Request::GetMany { names, decrypts } => {
            let (mut valid, mut invalid) = (Vec::new(), Vec::new());
            for name in names {
                match chosen(name, *decrypts, read, settings) {
                    Ok(shown) => valid.push(shown),
                    Err(_) => invalid.push(Json::String(Arc::clone(&name.given))),
                }
            }
            Ok(Json::object([
                ("Parameters", Json::array(valid)),
                ("InvalidParameters", Json::array(invalid)),
            ]))
        }
        Request::GetByPath(list) => listed(list, read, |parameter| {
            value(parameter, &parameter.current, list.decrypts, settings)
        }),
        Request::Describe(list) => {
            listed(list, read, |parameter| metadata(&parameter.name, &parameter.current, settings))
        }
        Request::History { name, decrypts, after, limit } => {
            found(name, read)?.ok_or_else(|| not_found(name))?;
            history(name, *decrypts, *after, *limit, read, settings)
        }
        Request::Tags(name) => {
            let parameter = found(name, read)?.ok_or_else(no_resource)?;
            let tags = parameter.tags.into_iter().map(|(key, value)| {
                Json::object([("Key", Json::String(key)), ("Value", Json::String(value))])
            });
            Ok(Json::object([("TagList", Json::array(tags))]))
        }
        Request::Put(_)
        | Request::Delete(_)
        | Request::DeleteMany(_)
        | Request::Tag(..)
        | Request::Untag(..) => Ok(nothing()),
    }
}

/// The version of a parameter that a name asks for.
fn chosen(
    name: &Name,
    decrypts: bool,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let parameter = found(&name.name, read)?.ok_or_else(|| not_found(&name.given))?;
    let Some(selector) = &name.selector else {
        return Ok(value(&parameter, &parameter.current, decrypts, settings));
    };
    let missing = || {
        let message = format!(
            "Systems Manager could not find version {selector} of {}. Verify the version and try \
             again.",
            name.name
        );
        ApiError::new("ParameterVersionNotFound", message)
    };
    let number = selector.parse().map_err(|_| missing())?;
    let key = record::version_key(&name.name, number);
    let stored = read.get(&key).ok_or_else(missing)?;
    let version: Version = record::record(&key, &stored).map_err(unreadable)?;
    let shown = value(&parameter, &version, decrypts, settings);
    let selector = ("Selector", Json::from(format!(":{selector}")));
    let members = shown.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
    Ok(Json::object(members.chain([(Arc::from(selector.0), selector.1)])))
}

fn listed(
    list: &List,
    read: &dyn Read,
    show: impl Fn(&Parameter) -> Json,
) -> Result<Json, ApiError> {
    let prefix = list.path.as_deref().unwrap_or_default().trim_end_matches('/');
    let prefix = if list.path.is_some() { format!("{prefix}/") } else { String::new() };
    let range = record::beginning_with(&prefix, &list.after).limit(LOOKED_AT_MAX);
    let entries = read.range(&range);
    let more = entries.len() == LOOKED_AT_MAX;
    let (mut shown, mut last) = (Vec::new(), None);
    let mut next = None;
    for (key, value) in &entries {
        let parameter: Parameter = record::record(key, value).map_err(unreadable)?;
        let level = list.path.as_ref().is_none_or(|path| {
            let rest = under(&parameter.name, path);
            rest.is_some_and(|rest| list.recursive || !rest.contains('/'))
        });
        if level && list.filters.iter().all(|filter| filter.passes(&parameter)) {
            if shown.len() == list.limit {
                next.clone_from(&last);
                break;
            }
            shown.push(show(&parameter));
        }
        last = Some(Json::String(parameter.name));
    }
    let next = next.or_else(|| last.filter(|_| more && shown.len() < list.limit));
    let next = next.map(|name| ("NextToken", name));
    Ok(Json::object([("Parameters", Json::array(shown))].into_iter().chain(next)))
}

fn history(
    name: &Arc<str>,
    decrypts: bool,
    after: u64,
    limit: usize,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut shown = Vec::new();
    let mut next = None;
    for (key, stored) in read.range(&record::versions(name)) {
        let version: Version = record::record(&key, &stored).map_err(unreadable)?;
        if version.number <= after {
            continue;
        }
        if shown.len() == limit {
            next = Some(("NextToken", Json::from((version.number - 1).to_string())));
            break;
        }
        let text = text_of(name, &version, decrypts, settings);
        let members = metadata(name, &version, settings);
        let members = members.as_object().into_iter().flatten();
        let members = members
            .filter(|(name, _)| &***name != "ARN")
            .map(|(name, value)| (Arc::clone(name), value.clone()));
        let labels = (Arc::from("Labels"), Json::array([]));
        shown.push(Json::object(members.chain([(Arc::from("Value"), text), labels])));
    }
    Ok(Json::object([("Parameters", Json::array(shown))].into_iter().chain(next)))
}

/// A parameter with its value.
fn value(parameter: &Parameter, version: &Version, decrypts: bool, settings: &Settings) -> Json {
    let name = &parameter.name;
    Json::object([
        ("Name", Json::String(Arc::clone(name))),
        ("Type", version.kind.name().into()),
        ("Value", text_of(name, version, decrypts, settings)),
        ("Version", (version.number as i64).into()),
        ("LastModifiedDate", seconds(version)),
        ("ARN", arn(name, settings).into()),
        ("DataType", "text".into()),
    ])
}

/// A parameter without its value.
fn metadata(name: &Arc<str>, version: &Version, settings: &Settings) -> Json {
    let mut members = vec![
        ("Name", Json::String(Arc::clone(name))),
        ("ARN", arn(name, settings).into()),
        ("Type", version.kind.name().into()),
        ("LastModifiedDate", seconds(version)),
        ("LastModifiedUser", format!("arn:aws:iam::{}:root", settings.account).into()),
        ("Version", (version.number as i64).into()),
        ("Tier", version.tier.name().into()),
        ("Policies", Json::array([])),
        ("DataType", "text".into()),
    ];
    let given = [
        ("KeyId", &version.key_id),
        ("Description", &version.description),
        ("AllowedPattern", &version.pattern),
    ];
    for (member, text) in given {
        members.extend(text.clone().map(|text| (member, Json::String(text))));
    }
    Json::object(members)
}

/// The value; of a `SecureString` that is not to be decrypted, a text that says nothing of it.
fn text_of(name: &str, version: &Version, decrypts: bool, settings: &Settings) -> Json {
    if version.kind != Kind::SecureString || decrypts {
        return Json::String(Arc::clone(&version.value));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&settings.secret).expect("any length will do");
    for part in [name.as_bytes(), &version.number.to_be_bytes(), version.value.as_bytes()] {
        mac.update(part);
        mac.update(&[0]);
    }
    STANDARD.encode(mac.finalize().into_bytes()).into()
}

fn arn(name: &str, settings: &Settings) -> String {
    settings.arn("ssm", &format!("parameter/{}", name.strip_prefix('/').unwrap_or(name)))
}

fn seconds(version: &Version) -> Json {
    Json::from_f64(version.modified.seconds()).unwrap_or(Json::Null)
}

fn unreadable(corrupt: crate::record::Corrupt) -> ApiError {
    ApiError::new("InternalServerError", corrupt.to_string())
}
