//! Requests that read things, answered from committed records.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Request, Side, Thing, attached_to, stored, thing_key};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Space;
use crate::registry::certificates::certificate_key;
use crate::registry::error::{internal, invalid, missing};
use crate::registry::listing::{Listed, Page, key_texts, listed, listed_under, page_of};
use crate::registry::names::{certificate_arn, thing_arn};
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Describe(name) => describe(name, read, settings),
        Request::List { attribute, page } => {
            let wanted = |thing: &Thing| {
                attribute
                    .as_ref()
                    .is_none_or(|(name, value)| thing.attributes.get(name) == Some(value))
            };
            let items = listed(read, Space::Thing, page, &mut |key, value| {
                let thing = stored(key, value)?;
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
        Request::ListPrincipals(name, page) => {
            if read.get(&thing_key(name)).is_none() {
                return Err(missing(&format!("Thing {name}")));
            }
            let items =
                attached(Side::Thing, name, page, read, &|id| certificate_arn(settings, id))?;
            Ok(page_of("principals", "nextToken", items))
        }
        Request::ListOfPrincipal(id, page) => {
            if read.get(&certificate_key(id)).is_none() {
                return Err(missing(&format!("Certificate {id}")));
            }
            let items = attached(Side::Principal, id, page, read, &|name| Json::from(name))?;
            Ok(page_of("things", "nextToken", items))
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
    Ok(Json::object([
        ("defaultClientId", Json::String(Arc::clone(&thing.name))),
        ("thingName", Json::String(Arc::clone(&thing.name))),
        ("thingId", Json::String(Arc::clone(&thing.id))),
        ("thingArn", thing_arn(settings, &thing.name)),
        ("attributes", attributes(&thing)),
        ("version", (thing.version as i64).into()),
    ]))
}

/// A page of what is attached to a thing or a principal.
fn attached(
    side: Side,
    name: &str,
    page: &Page,
    read: &dyn Read,
    item: &dyn Fn(&str) -> Json,
) -> Result<Listed, ApiError> {
    listed_under(read, &attached_to(side, name), page, &mut |key, _| {
        Ok(key_texts::<2>(key, 1).map(|[_, other]| (Arc::clone(&other), item(&other))))
    })
}

fn attributes(thing: &Thing) -> Json {
    let members = thing.attributes.iter();
    Json::object(members.map(|(name, value)| (Arc::clone(name), Json::String(Arc::clone(value)))))
}
