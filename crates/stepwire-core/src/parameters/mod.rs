//! Parameters by name, with their earlier values: AWS Systems Manager's Parameter Store.
//!
//! Everything lives in the store and nothing in memory: a parameter as it now is under its name, so
//! that a path is a run of keys, and every version of it beside. `SecureString` values are stored
//! like all other records: they are as secret as the data folder.
//!
//! Read in this order: [`Request`], [`Parameter`], [`Write`], [`call`]; then `view`.

mod filter;
mod record;
mod request;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use filter::Filter;
pub use record::{Kind, Parameter, Tier, Version};
pub use request::{Name, Put, Request};
pub use view::answer;

use crate::error::ApiError;
use crate::read::Read;
use crate::record::Entry;

/// Versions of a parameter that are kept; older ones are removed.
const VERSIONS_MAX: usize = 100;
const TAGS_MAX: usize = 50;

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A parameter as it now is; `None`: there is none of this name.
    Parameter(Arc<str>, Option<Arc<Parameter>>),
    /// A version of a parameter; `None`: it is not kept any longer.
    Version(Arc<str>, u64, Option<Arc<Version>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Parameter(name, parameter) => {
                (record::key(name), parameter.as_deref().map(record::value))
            }
            Write::Version(name, number, version) => {
                (record::version_key(name, *number), version.as_deref().map(record::value))
            }
        }
    }
}

/// Reads what [`call`] will want.
pub(crate) fn prefetch(request: &Request, read: &dyn Read) {
    let whole = |name: &str| {
        let _ = found(name, read);
        read.range(&record::versions(name));
    };
    match request {
        Request::Put(put) => whole(&put.name),
        Request::Delete(names) | Request::DeleteMany(names) => {
            names.iter().for_each(|name| whole(name));
        }
        Request::Tag(name, _) | Request::Untag(name, _) => drop(found(name, read)),
        // These only read.
        Request::Get { .. }
        | Request::GetMany { .. }
        | Request::GetByPath(_)
        | Request::Describe(_)
        | Request::History { .. }
        | Request::Tags(_) => {}
    }
}

/// Carries out a request that changes something. On `Err` nothing has changed.
pub(crate) fn call(
    now: Timestamp,
    request: &Request,
    read: &dyn Read,
    out: &mut Vec<Write>,
) -> Result<Json, ApiError> {
    match request {
        Request::Put(put) => store(now, put, read, out),
        Request::Delete(names) => {
            for name in names {
                found(name, read)?.ok_or_else(|| not_found(name))?;
                remove(name, read, out);
            }
            Ok(nothing())
        }
        Request::DeleteMany(names) => {
            let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
            for name in names {
                let shown = Json::String(Arc::clone(name));
                if found(name, read)?.is_some() {
                    remove(name, read, out);
                    deleted.push(shown);
                } else {
                    invalid.push(shown);
                }
            }
            Ok(Json::object([
                ("DeletedParameters", Json::array(deleted)),
                ("InvalidParameters", Json::array(invalid)),
            ]))
        }
        Request::Tag(name, tags) => retag(name, tags, &[], read, out),
        Request::Untag(name, keys) => retag(name, &[], keys, read, out),
        Request::Get { .. }
        | Request::GetMany { .. }
        | Request::GetByPath(_)
        | Request::Describe(_)
        | Request::History { .. }
        | Request::Tags(_) => {
            Err(ApiError::new("InternalServerError", "this request changes nothing"))
        }
    }
}

fn store(
    now: Timestamp,
    put: &Put,
    read: &dyn Read,
    out: &mut Vec<Write>,
) -> Result<Json, ApiError> {
    let there = found(&put.name, read)?;
    let kind = match (&there, put.kind) {
        (Some(_), _) if !put.overwrites => {
            let message = "The parameter already exists. To overwrite this value, set the \
                           overwrite option in the request to true.";
            return Err(ApiError::new("ParameterAlreadyExists", message));
        }
        (Some(there), Some(kind)) if kind != there.current.kind => {
            let message = "Parameter Store doesn't support changing a parameter type in a \
                           hierarchy. For example, you can't change a parameter from a String \
                           type to a SecureString type. You must create a new, unique parameter.";
            return Err(ApiError::new("HierarchyTypeMismatchException", message));
        }
        (Some(there), _) => there.current.kind,
        (None, Some(kind)) => kind,
        (None, None) => {
            let message = "A parameter type is required when you create a parameter.";
            return Err(ApiError::new("ValidationException", message));
        }
    };
    let number = there.as_ref().map_or(1, |there| there.current.number + 1);
    let secured = kind == Kind::SecureString;
    let current = Version {
        number,
        kind,
        value: Arc::clone(&put.value),
        modified: now,
        description: put
            .description
            .clone()
            .or_else(|| there.as_ref().and_then(|there| there.current.description.clone())),
        pattern: put
            .pattern
            .clone()
            .or_else(|| there.as_ref().and_then(|there| there.current.pattern.clone())),
        key_id: secured.then(|| put.key_id.clone().unwrap_or_else(|| "alias/aws/ssm".into())),
        tier: put
            .tier
            .unwrap_or_else(|| there.as_ref().map_or(Tier::Standard, |there| there.current.tier)),
    };
    if current.tier == Tier::Standard && put.value.len() > 4_096 {
        let message = "Standard tier parameters support a maximum parameter value of 4096 \
                       characters. To create a larger parameter value, upgrade the parameter to \
                       use the advanced-parameter tier. For more information, see \
                       https://docs.aws.amazon.com/systems-manager/latest/userguide/\
                       parameter-store-advanced-parameters.html";
        return Err(ApiError::new("ValidationException", message));
    }
    let tier = current.tier.name();
    let tags = there.map_or_else(|| put.tags.clone(), |there| there.tags.clone());
    let current = Arc::new(current);
    out.push(Write::Version(Arc::clone(&put.name), number, Some(Arc::clone(&current))));
    let kept = read.range(&record::versions(&put.name));
    let surplus = (kept.len() + 1).saturating_sub(VERSIONS_MAX);
    for (key, _) in kept.iter().take(surplus) {
        let oldest = record::number_of(key);
        out.push(Write::Version(Arc::clone(&put.name), oldest, None));
    }
    let parameter = Parameter { name: Arc::clone(&put.name), tags, current: (*current).clone() };
    out.push(Write::Parameter(Arc::clone(&put.name), Some(Arc::new(parameter))));
    Ok(Json::object([("Version", (number as i64).into()), ("Tier", tier.into())]))
}

fn remove(name: &Arc<str>, read: &dyn Read, out: &mut Vec<Write>) {
    for (key, _) in read.range(&record::versions(name)) {
        out.push(Write::Version(Arc::clone(name), record::number_of(&key), None));
    }
    out.push(Write::Parameter(Arc::clone(name), None));
}

fn retag(
    name: &Arc<str>,
    set: &[(Arc<str>, Arc<str>)],
    removed: &[Arc<str>],
    read: &dyn Read,
    out: &mut Vec<Write>,
) -> Result<Json, ApiError> {
    let mut parameter = found(name, read)?.ok_or_else(no_resource)?;
    let tags = &mut parameter.tags;
    tags.retain(|(key, _)| !removed.contains(key) && !set.iter().any(|(new, _)| new == key));
    tags.extend(set.iter().cloned());
    if tags.len() > TAGS_MAX {
        let message = format!("a resource has at most {TAGS_MAX} tags");
        return Err(ApiError::new("TooManyTagsError", message));
    }
    out.push(Write::Parameter(Arc::clone(name), Some(Arc::new(parameter))));
    Ok(nothing())
}

/// The parameter of this name, if there is one.
fn found(name: &str, read: &dyn Read) -> Result<Option<Parameter>, ApiError> {
    let key = record::key(name);
    let value = read.get(&key);
    let found = value.map(|value| record::record(&key, &value)).transpose();
    found.map_err(|corrupt| ApiError::new("InternalServerError", corrupt.to_string()))
}

fn not_found(name: &str) -> ApiError {
    let public = if name.starts_with("/aws/") {
        ": AWS's public parameters are not held by stepwire"
    } else {
        ""
    };
    ApiError::new("ParameterNotFound", format!("Parameter {name} not found{public}."))
}

fn no_resource() -> ApiError {
    let message = "The resource ID is not valid. Verify that you entered the correct ID and try \
                   again.";
    ApiError::new("InvalidResourceId", message)
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}
