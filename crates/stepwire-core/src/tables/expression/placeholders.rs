//! What `#name` and `:value` stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Json;

use super::Kind;
use crate::error::ApiError;
use crate::params::Params;
use crate::tables::value::Value;
use crate::tables::{serialization, validation};

/// `ExpressionAttributeNames` and `ExpressionAttributeValues` of a request.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: BTreeMap<Arc<str>, Arc<str>>,
    values: BTreeMap<Arc<str>, Value>,
    used: BTreeSet<Arc<str>>,
}

impl Placeholders {
    /// The placeholders that the two parameters define.
    pub(crate) fn parse(names: Option<&Json>, values: Option<&Json>) -> Result<Self, ApiError> {
        let mut placeholders = Placeholders::default();
        if let Some(names) = names {
            for (key, name) in members(names, "ExpressionAttributeNames", '#')? {
                let Json::String(name) = name else {
                    return Err(serialization("ExpressionAttributeNames", "a map of strings"));
                };
                placeholders.names.insert(Arc::clone(key), Arc::clone(name));
            }
        }
        if let Some(values) = values {
            for (key, value) in members(values, "ExpressionAttributeValues", ':')? {
                let value = Value::parse(value).map_err(|error| inside_values(error, key))?;
                placeholders.values.insert(Arc::clone(key), value);
            }
        }
        Ok(placeholders)
    }

    /// The attribute name that `#name` stands for.
    pub(super) fn name(&mut self, key: &str, kind: Kind) -> Result<Arc<str>, ApiError> {
        let Some((key, name)) = self.names.get_key_value(key) else {
            return Err(kind.invalid(format!(
                "An expression attribute name used in the document path is not defined; attribute \
                 name: {key}"
            )));
        };
        self.used.insert(Arc::clone(key));
        Ok(Arc::clone(name))
    }

    /// The value that `:value` stands for.
    pub(super) fn value(&mut self, key: &str, kind: Kind) -> Result<Value, ApiError> {
        let Some((key, value)) = self.values.get_key_value(key) else {
            return Err(kind.invalid(format!(
                "An expression attribute value used in expression is not defined; attribute \
                 value: {key}"
            )));
        };
        self.used.insert(Arc::clone(key));
        Ok(value.clone())
    }

    /// Refuses placeholders where there is none of the `expressions` that could use them.
    pub(crate) fn usable(params: Params<'_>, expressions: &[Kind]) -> Result<(), ApiError> {
        let is_there = |kind: &&Kind| params.get(kind.name()).is_some();
        if params.get("ExpressionAttributeNames").is_some()
            && !expressions.iter().any(|kind| is_there(&kind))
        {
            return Err(validation(
                "ExpressionAttributeNames can only be specified when using expressions",
            ));
        }
        let could = || expressions.iter().filter(|kind| **kind != Kind::Projection);
        if params.get("ExpressionAttributeValues").is_none() || could().any(|kind| is_there(&kind))
        {
            return Ok(());
        }
        let could: Vec<&str> = could().map(|kind| kind.name()).collect();
        Err(validation(format!(
            "ExpressionAttributeValues can only be specified when using expressions: {} {} null",
            could.join(" and "),
            if could.len() > 1 { "are" } else { "is" }
        )))
    }

    /// Refuses placeholders that no expression used.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let unused = |keys: Vec<&Arc<str>>| {
            let unused: Vec<&str> =
                keys.into_iter().filter(|k| !self.used.contains(*k)).map(|k| &**k).collect();
            (!unused.is_empty()).then(|| unused.join(", "))
        };
        if let Some(keys) = unused(self.names.keys().collect()) {
            return Err(validation(format!(
                "Value provided in ExpressionAttributeNames unused in expressions: keys: {{{keys}}}"
            )));
        }
        if let Some(keys) = unused(self.values.keys().collect()) {
            return Err(validation(format!(
                "Value provided in ExpressionAttributeValues unused in expressions: keys: {{{keys}}}"
            )));
        }
        Ok(())
    }
}

/// The members of a placeholder map, whose keys must be `sign` and a word.
fn members<'a>(
    json: &'a Json,
    parameter: &str,
    sign: char,
) -> Result<impl Iterator<Item = (&'a Arc<str>, &'a Json)>, ApiError> {
    let members = json.as_object().ok_or_else(|| serialization(parameter, "a map"))?;
    if members.is_empty() {
        return Err(validation(format!("{parameter} must not be empty")));
    }
    let word = |key: &str| {
        let rest = key.strip_prefix(sign).unwrap_or_default();
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    match members.keys().find(|key| !word(key)) {
        Some(key) => Err(validation(format!(
            "{parameter} contains invalid key: Syntax error; key: \"{key}\""
        ))),
        None => Ok(members.iter()),
    }
}

fn inside_values(error: ApiError, key: &str) -> ApiError {
    if error.code != "ValidationException" {
        return error;
    }
    validation(format!(
        "ExpressionAttributeValues contains invalid value: {} for key {key}",
        error.message
    ))
}
