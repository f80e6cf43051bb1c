//! Requests that read things, answered from committed records.

use std::sync::Arc;

use stepwire_asl::Json;

use super::request::Wanted;
use super::{
    Attached, Exclusive, Request, Side, Thing, attached_to, stored, stored_attachment, thing_key,
};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Space;
use crate::registry::attributes;
use crate::registry::certificates::certificate_key;
use crate::registry::error::{internal, invalid, missing};
use crate::registry::listing::{Page, key_texts, listed, listed_under, page_of};
use crate::registry::names::{certificate_arn, thing_arn};
use crate::registry::types;
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Describe(name) => describe(name, read, settings),
        Request::List { wanted, page } => list(wanted, page, read, settings),
        Request::ListPrincipals(name, wanted) => {
            if read.get(&thing_key(name)).is_none() {
                return Err(missing(&format!("Thing {name}")));
            }
            let item = |id: &str| certificate_arn(settings, id);
            attached(Side::Thing, name, wanted, read, &item)
        }
        Request::ListOfPrincipal(id, wanted) => {
            if read.get(&certificate_key(id)).is_none() {
                return Err(missing(&format!("Certificate {id}")));
            }
            attached(Side::Principal, id, wanted, read, &|name| Json::from(name))
        }
        Request::Create { .. }
        | Request::Update { .. }
        | Request::Delete { .. }
        | Request::Attach { .. } => Err(invalid("this request changes something")),
    }
}

fn describe(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = thing_key(name);
    let value = read.get(&key).ok_or_else(|| missing(&format!("Thing {name}")))?;
    let thing = stored(&key, &value).map_err(internal)?;
    let mut members = vec![
        ("defaultClientId", Json::String(Arc::clone(&thing.name))),
        ("thingName", Json::String(Arc::clone(&thing.name))),
        ("thingId", Json::String(Arc::clone(&thing.id))),
        ("thingArn", thing_arn(settings, &thing.name)),
    ];
    members.extend(thing.thing_type.clone().map(|of| ("thingTypeName", Json::String(of))));
    members.push(("attributes", attributes::shown(&thing.attributes)));
    members.push(("version", (thing.version as i64).into()));
    Ok(Json::object(members))
}

/// Things of a type are found by it; only the others are looked at one by one.
fn list(
    wanted: &Wanted,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let items = match &wanted.thing_type {
        None => listed(read, Space::Thing, page, &mut |key, value| {
            let thing = stored(key, value)?;
            Ok(wanted.fits(&thing).then(|| item(&thing, settings)))
        }),
        Some(of) => listed_under(read, &types::things_of(of), page, &mut |key, _| {
            let Some(name) = types::thing_in(key) else { return Ok(None) };
            let key = thing_key(&name);
            let thing = read.get(&key).map(|value| stored(&key, &value)).transpose()?;
            let thing = thing.filter(|thing| wanted.fits(thing));
            Ok(thing.map(|thing| item(&thing, settings)))
        }),
    };
    Ok(page_of("things", "nextToken", items?))
}

impl Wanted {
    fn fits(&self, thing: &Thing) -> bool {
        let Some((name, value)) = &self.attribute else { return true };
        let there = thing.attributes.get(name);
        there.is_some_and(|there| {
            if self.prefix { there.starts_with(value.as_ref()) } else { there == value }
        })
    }
}

fn item(thing: &Thing, settings: &Settings) -> (Arc<str>, Json) {
    let mut members = vec![("thingName", Json::String(Arc::clone(&thing.name)))];
    members.extend(thing.thing_type.clone().map(|of| ("thingTypeName", Json::String(of))));
    members.push(("thingArn", thing_arn(settings, &thing.name)));
    members.push(("attributes", attributes::shown(&thing.attributes)));
    members.push(("version", (thing.version as i64).into()));
    (Arc::clone(&thing.name), Json::object(members))
}

/// A page of what is attached to a thing or a principal.
fn attached(
    side: Side,
    name: &str,
    wanted: &Attached,
    read: &dyn Read,
    item: &dyn Fn(&str) -> Json,
) -> Result<Json, ApiError> {
    let (member, list) = match (side, wanted.with_type) {
        (Side::Thing, false) => ("", "principals"),
        (Side::Thing, true) => ("principal", "thingPrincipalObjects"),
        (Side::Principal, false) => ("", "things"),
        (Side::Principal, true) => ("thingName", "principalThingObjects"),
    };
    let items = listed_under(read, &attached_to(side, name), &wanted.page, &mut |key, value| {
        let Some([_, other]) = key_texts::<2>(key, 1) else { return Ok(None) };
        let attachment = stored_attachment(key, value)?;
        let only = wanted.only.map(|only| only == Exclusive::Yes);
        if only.is_some_and(|only| only != attachment.exclusive) {
            return Ok(None);
        }
        let named = item(&other);
        let json = if wanted.with_type {
            let kind = Json::from(attachment.word());
            Json::object([(member, named), ("thingPrincipalType", kind)])
        } else {
            named
        };
        Ok(Some((other, json)))
    })?;
    Ok(page_of(list, "nextToken", items))
}
