//! Arrays, objects, and what is missing.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::text::{TEXT_MAX, bounded};
use super::{Call, Found};
use crate::rules::sql::value::Value;

/// No arguments are Undefined, one is itself, arrays are joined, anything else as text.
pub(super) fn concat(call: &Call<'_>) -> Found {
    let values = call.values;
    if values.len() < 2 {
        return values.first().cloned();
    }
    let is_array = |value: &Value| value.json().is_some_and(|value| value.as_array().is_some());
    if values.iter().any(is_array) {
        let mut items = Vec::new();
        for value in values {
            match value.json()? {
                Json::Array(more) => items.extend(more.iter().cloned()),
                other => items.push(other.clone()),
            }
        }
        return Some(Json::array(items).into());
    }
    let texts: Option<Vec<String>> = values.iter().map(Value::text).collect();
    bounded(texts?.concat())
}

/// An item by its index, from 0, a character likewise, or a member by its name, which is text.
pub(super) fn get(call: &Call<'_>) -> Found {
    let index = || usize::try_from(call.int(1)?).ok();
    let found = match call.value(0)?.json()? {
        Json::Object(members) => members.get(call.value(1)?.json()?.as_str()?)?.clone(),
        Json::Array(items) => items.get(index()?)?.clone(),
        Json::String(text) => Json::from(text.chars().nth(index()?)?.to_string()),
        Json::Null | Json::Bool(_) | Json::Number(_) => return None,
    };
    Some(found.into())
}

/// The first argument unless it is Null or Undefined, else the second.
pub(super) fn or_other(call: &Call<'_>) -> Found {
    let value = call.value(0)?;
    let none = value.is_null() || *value == Value::Undefined;
    if none { call.value(1).cloned() } else { Some(value.clone()) }
}

pub(super) fn isnull(call: &Call<'_>) -> Found {
    Some(call.value(0)?.is_null().into())
}

pub(super) fn isundefined(call: &Call<'_>) -> Found {
    Some((*call.value(0)? == Value::Undefined).into())
}

/// `transform("enrichArray", object, array)`: each object of the array with the members of the
/// object, which replace its own of that name.
pub(super) fn transform(call: &Call<'_>) -> Found {
    let mode = call.value(0)?.json()?.as_str()?;
    let (Json::Object(added), Json::Array(items)) =
        (call.value(1)?.json()?, call.value(2)?.json()?)
    else {
        return None;
    };
    let grows = call.value(1)?.text()?.len().saturating_mul(items.len());
    if mode != "enrichArray" || grows + call.value(2)?.text()?.len() > TEXT_MAX {
        return None;
    }
    let enriched: Option<Vec<Json>> = items
        .iter()
        .map(|item| {
            let Json::Object(members) = item else { return None };
            let mut members = Object::clone(members);
            members.extend(added.iter().map(|(name, value)| (Arc::clone(name), value.clone())));
            Some(Json::Object(Arc::new(members)))
        })
        .collect();
    Some(Json::array(enriched?).into())
}
