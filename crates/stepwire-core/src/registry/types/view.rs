//! Requests that read thing types, answered from committed records.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{FORMAT, Request, ThingType, type_key};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::{Space, decode};
use crate::registry::error::{internal, invalid, missing};
use crate::registry::listing::{listed, page_of};
use crate::registry::names::{seconds, type_arn};
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub(in crate::registry) fn answer(
    request: &Request,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    match request {
        Request::Describe(name) => {
            let there =
                stored(name, read)?.ok_or_else(|| missing(&format!("Thing type {name}")))?;
            Ok(described(&there, settings))
        }
        Request::List { name: Some(name), .. } => {
            let there = stored(name, read)?;
            let items = there.iter().map(|there| listed_type(there, settings)).collect();
            Ok(page_of("thingTypes", "nextToken", (items, None)))
        }
        Request::List { name: None, page } => {
            let items = listed(read, Space::ThingType, page, &mut |key, value| {
                let there: ThingType = decode(FORMAT, key, value)?;
                Ok(Some((Arc::clone(&there.name), listed_type(&there, settings))))
            })?;
            Ok(page_of("thingTypes", "nextToken", items))
        }
        Request::Create { .. }
        | Request::Update { .. }
        | Request::Deprecate { .. }
        | Request::Delete(_) => Err(invalid("this request changes something")),
    }
}

fn stored(name: &str, read: &dyn Read) -> Result<Option<ThingType>, ApiError> {
    let key = type_key(name);
    let value = read.get(&key);
    value.map(|value| decode(FORMAT, &key, &value)).transpose().map_err(internal)
}

fn described(there: &ThingType, settings: &Settings) -> Json {
    Json::object([
        ("thingTypeName", Json::String(Arc::clone(&there.name))),
        ("thingTypeId", Json::String(Arc::clone(&there.id))),
        ("thingTypeArn", type_arn(settings, &there.name)),
        ("thingTypeProperties", properties(there)),
        ("thingTypeMetadata", metadata(there)),
    ])
}

fn listed_type(there: &ThingType, settings: &Settings) -> Json {
    Json::object([
        ("thingTypeName", Json::String(Arc::clone(&there.name))),
        ("thingTypeArn", type_arn(settings, &there.name)),
        ("thingTypeProperties", properties(there)),
        ("thingTypeMetadata", metadata(there)),
    ])
}

fn properties(there: &ThingType) -> Json {
    let description = there.description.clone().map(Json::String);
    let searchable = there.searchable.iter().cloned().map(Json::String);
    let members = description.map(|text| ("thingTypeDescription", text));
    Json::object(members.into_iter().chain([("searchableAttributes", Json::array(searchable))]))
}

fn metadata(there: &ThingType) -> Json {
    let mut members = vec![("deprecated", Json::from(there.deprecated.is_some()))];
    members.extend(there.deprecated.map(|at| ("deprecationDate", seconds(at))));
    members.push(("creationDate", seconds(there.created)));
    Json::object(members)
}
