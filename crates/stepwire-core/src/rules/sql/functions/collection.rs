//! Arrays, objects, and what is missing.

use stepwire_asl::Json;

use super::text::bounded;
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

pub(super) fn get(call: &Call<'_>) -> Found {
    let (of, key) = (call.value(0)?, call.value(1)?);
    let index = || usize::try_from(key.int()?).ok();
    let found = match of.json()? {
        Json::Object(members) => members.get(key.text()?.as_str())?.clone(),
        Json::Array(items) => items.get(index()?)?.clone(),
        Json::String(text) => Json::from(text.chars().nth(index()?)?.to_string()),
        Json::Null | Json::Bool(_) | Json::Number(_) => return None,
    };
    Some(found.into())
}

pub(super) fn get_or_default(call: &Call<'_>) -> Found {
    let value = call.value(0)?;
    let none = value.is_null() || *value == Value::Undefined;
    Some(if none { call.value(1)?.clone() } else { value.clone() })
}

pub(super) fn isnull(call: &Call<'_>) -> Found {
    Some(call.value(0)?.is_null().into())
}

pub(super) fn isundefined(call: &Call<'_>) -> Found {
    Some((*call.value(0)? == Value::Undefined).into())
}
