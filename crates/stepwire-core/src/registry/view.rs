//! Registry requests that only read, answered from committed records.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::call::missing;
use super::{
    Attached, Page, Request, Thing, attachment, attachments_of, certificate, certificate_key,
    policy_key, stored_policy, thing, thing_key,
};
use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space};
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::DescribeThing(name) => describe_thing(name, read, settings),
        Request::ListThings { attribute, page } => {
            let wanted = |thing: &Thing| {
                attribute
                    .as_ref()
                    .is_none_or(|(name, value)| thing.attributes.get(name) == Some(value))
            };
            let items = listed(read, Space::Thing, page, &mut |key, value| {
                let thing = thing(key, value)?;
                Ok(wanted(&thing).then(|| {
                    let members = [
                        ("thingName", Json::String(Arc::clone(&thing.name))),
                        ("thingArn", thing_arn(settings, &thing.name)),
                        ("attributes", attributes(&thing)),
                        ("version", (thing.version as i64).into()),
                    ];
                    (Arc::clone(&thing.name), Json::object(members))
                }))
            })?;
            Ok(page_of("things", "nextToken", items))
        }
        Request::DescribeCertificate(id) => describe_certificate(id, read, settings),
        Request::ListCertificates(page) => {
            let items = listed(read, Space::Certificate, page, &mut |key, value| {
                let certificate = certificate(key, value)?;
                let members = [
                    ("certificateArn", certificate_arn(settings, &certificate.id)),
                    ("certificateId", Json::String(Arc::clone(&certificate.id))),
                    ("status", certificate.status.word().into()),
                    ("creationDate", seconds(certificate.created)),
                ];
                Ok(Some((Arc::clone(&certificate.id), Json::object(members))))
            })?;
            Ok(page_of("certificates", "nextMarker", items))
        }
        Request::GetPolicy(name) => get_policy(name, read, settings),
        Request::ListPolicies(page) => {
            let items = listed(read, Space::Policy, page, &mut |key, value| {
                let policy = stored_policy(key, value)?;
                Ok(Some((Arc::clone(&policy.name), named_policy(&policy.name, settings))))
            })?;
            Ok(page_of("policies", "nextMarker", items))
        }
        Request::ListAttachedPolicies(id, page) => {
            let names = attached(id, read, page, |attached| match attached {
                Attached::Policy(name) => Some(name),
                Attached::Thing(_) => None,
            })?;
            let items =
                (names.0.iter().map(|name| named_policy(name, settings)).collect(), names.1);
            Ok(page_of("policies", "nextMarker", items))
        }
        Request::ListPrincipalThings(id, page) => {
            let names = attached(id, read, page, |attached| match attached {
                Attached::Thing(name) => Some(name),
                Attached::Policy(_) => None,
            })?;
            let items = (names.0.into_iter().map(Json::String).collect(), names.1);
            Ok(page_of("things", "nextToken", items))
        }
        Request::ListThingPrincipals(name, page) => thing_principals(name, page, read, settings),
        _ => Err(ApiError::new("InvalidRequestException", "this request changes something")),
    }
}

fn describe_thing(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = thing_key(name);
    let value = read.get(&key).ok_or_else(|| missing(&format!("Thing {name}")))?;
    let thing = thing(&key, &value).map_err(internal)?;
    Ok(Json::object([
        ("defaultClientId", Json::String(Arc::clone(&thing.name))),
        ("thingName", Json::String(Arc::clone(&thing.name))),
        ("thingId", Json::String(Arc::clone(&thing.id))),
        ("thingArn", thing_arn(settings, &thing.name)),
        ("attributes", attributes(&thing)),
        ("version", (thing.version as i64).into()),
    ]))
}

fn describe_certificate(id: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = certificate_key(id);
    let value = read.get(&key).ok_or_else(|| missing(&format!("Certificate {id}")))?;
    let certificate = certificate(&key, &value).map_err(internal)?;
    let description = Json::object([
        ("certificateArn", certificate_arn(settings, &certificate.id)),
        ("certificateId", Json::String(certificate.id)),
        ("status", certificate.status.word().into()),
        ("certificatePem", Json::String(certificate.pem)),
        ("ownedBy", Json::String(Arc::clone(&settings.account))),
        ("creationDate", seconds(certificate.created)),
        ("lastModifiedDate", seconds(certificate.modified)),
        ("customerVersion", 1.into()),
        ("certificateMode", "DEFAULT".into()),
    ]);
    Ok(Json::object([("certificateDescription", description)]))
}

fn get_policy(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = policy_key(name);
    let value = read.get(&key).ok_or_else(|| missing(&format!("Policy {name}")))?;
    let policy = stored_policy(&key, &value).map_err(internal)?;
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

fn thing_principals(
    name: &str,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    if read.get(&thing_key(name)).is_none() {
        return Err(missing(&format!("Thing {name}")));
    }
    // Attachments are kept by certificate: devices have one or two.
    let all = Range::prefix(&KeyBuilder::new(Space::Attachment).build());
    let mut found: Vec<Arc<str>> = read
        .range(&all)
        .iter()
        .filter_map(|(key, _)| attachment(key))
        .filter(
            |(_, attached)| matches!(attached, Attached::Thing(thing) if thing.as_ref() == name),
        )
        .map(|(certificate, _)| certificate)
        .filter(|id| page.after.as_ref().is_none_or(|after| id > after))
        .collect();
    let next = (found.len() > page.limit).then(|| Arc::clone(&found[page.limit - 1]));
    found.truncate(page.limit);
    let items = found.iter().map(|id| certificate_arn(settings, id)).collect();
    Ok(page_of("principals", "nextToken", (items, next)))
}

type Listed = (Vec<Json>, Option<Arc<str>>);

/// One entry as an item with its name, or `None` when it is not wanted.
type Item<'a> = dyn FnMut(&[u8], &[u8]) -> Result<Option<(Arc<str>, Json)>, Corrupt> + 'a;

/// A page of the records of a space, in order of their names.
fn listed(
    read: &dyn Read,
    space: Space,
    page: &Page,
    item: &mut Item<'_>,
) -> Result<Listed, ApiError> {
    let mut range = Range::prefix(&KeyBuilder::new(space).build());
    if let Some(after) = page.after.as_ref().filter(|after| !after.contains('\0')) {
        range.from = KeyBuilder::new(space).text(after).bytes(&[0]).build();
    }
    let mut items = Vec::new();
    let mut last = None;
    loop {
        let run = read.range(&range.clone().limit(page.limit + 1));
        let Some((end, _)) = run.last() else { return Ok((items, None)) };
        range.from = [end.as_slice(), &[0]].concat();
        for (key, value) in &run {
            let Some((name, json)) = item(key, value).map_err(internal)? else { continue };
            if items.len() == page.limit {
                return Ok((items, last));
            }
            items.push(json);
            last = Some(name);
        }
        if run.len() <= page.limit {
            return Ok((items, None));
        }
    }
}

type Names = Vec<Arc<str>>;

fn attached(
    id: &str,
    read: &dyn Read,
    page: &Page,
    wanted: impl Fn(Attached) -> Option<Arc<str>>,
) -> Result<(Names, Option<Arc<str>>), ApiError> {
    if read.get(&certificate_key(id)).is_none() {
        return Err(missing(&format!("Certificate {id}")));
    }
    let entries = read.range(&attachments_of(id));
    let names = entries.iter().filter_map(|(key, _)| wanted(attachment(key)?.1));
    let mut names: Vec<_> =
        names.filter(|name| page.after.as_ref().is_none_or(|after| name > after)).collect();
    let next = (names.len() > page.limit).then(|| Arc::clone(&names[page.limit - 1]));
    names.truncate(page.limit);
    Ok((names, next))
}

fn page_of(name: &'static str, token: &'static str, (items, next): Listed) -> Json {
    let mut members = vec![(name, Json::array(items))];
    members.extend(next.map(|next| (token, Json::String(next))));
    Json::object(members)
}

fn attributes(thing: &Thing) -> Json {
    let members = thing.attributes.iter();
    Json::object(members.map(|(name, value)| (Arc::clone(name), Json::String(Arc::clone(value)))))
}

fn named_policy(name: &str, settings: &Settings) -> Json {
    Json::object([("policyName", Json::from(name)), ("policyArn", policy_arn(settings, name))])
}

pub(super) fn thing_arn(settings: &Settings, name: &str) -> Json {
    settings.arn("iot", &format!("thing/{name}")).into()
}

pub(super) fn certificate_arn(settings: &Settings, id: &str) -> Json {
    settings.arn("iot", &format!("cert/{id}")).into()
}

pub(super) fn policy_arn(settings: &Settings, name: &str) -> Json {
    settings.arn("iot", &format!("policy/{name}")).into()
}

fn seconds(at: Timestamp) -> Json {
    Json::from_f64(at.seconds()).unwrap_or_default()
}

fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalFailureException", corrupt.to_string())
}
