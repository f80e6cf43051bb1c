//! Requests on shadows, parsed. Source: service model `iot-data`.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::Json;

use super::RequestTopic;
use crate::error::ApiError;
use crate::params::Params;
use crate::publish;

const INVALID: &str = "InvalidRequestException";
/// Longest name of a thing, in characters.
const THING_MAX: usize = 128;
/// Longest name of a shadow, in characters.
const SHADOW_MAX: usize = 64;
/// Most names of one page.
const PAGE_MAX: i64 = 100;

/// Whose shadow, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The thing.
    pub thing: Arc<str>,
    /// The shadow's name; none for the classic one.
    pub shadow: Option<Arc<str>>,
}

/// A request on shadows.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// GetThingShadow
    Get(Name),
    /// UpdateThingShadow
    Update(Name, Bytes),
    /// DeleteThingShadow
    Delete(Name),
    /// ListNamedShadowsForThing
    List {
        /// The thing.
        thing: Arc<str>,
        /// The name before the first.
        after: Option<Arc<str>>,
        /// Most names.
        max: usize,
    },
}

impl Request {
    /// The request that `body` makes of an operation, its payload in base64. `None`: the operation is
    /// not of this part.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let p = &Params::new(body, INVALID);
        Some(match operation {
            "GetThingShadow" => {
                p.only(&["thingName", "shadowName"]).and_then(|()| name(p)).map(Request::Get)
            }
            "DeleteThingShadow" => {
                p.only(&["thingName", "shadowName"]).and_then(|()| name(p)).map(Request::Delete)
            }
            "UpdateThingShadow" => update(p),
            "ListNamedShadowsForThing" => list(p),
            _ => return None,
        })
    }
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "shadowName", "payload"])?;
    Ok(Request::Update(name(p)?, publish::payload(p)?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "pageSize", "nextToken"])?;
    let max = match p.optional_int("pageSize")? {
        None => 25,
        Some(max @ 1..=PAGE_MAX) => max as usize,
        Some(_) => return Err(p.invalid("pageSize", "it must be 1 to 100")),
    };
    let after = p.optional_text("nextToken")?;
    if after.is_some_and(|after| !is_name(after, SHADOW_MAX)) {
        return Err(p.invalid("nextToken", "it is none of this operation's"));
    }
    let Name { thing, .. } = name(p)?;
    Ok(Request::List { thing, after: after.map(Arc::from), max })
}

fn name(p: &Params<'_>) -> Result<Name, ApiError> {
    Name::checked(p.text("thingName")?, p.optional_text("shadowName")?)
        .map_err(|why| ApiError::new(INVALID, why))
}

impl Name {
    /// These names, if they can be names; else what is wrong with them.
    pub(crate) fn checked(thing: &str, shadow: Option<&str>) -> Result<Name, &'static str> {
        if !is_name(thing, THING_MAX) {
            return Err("Invalid thing name");
        }
        if !shadow.is_none_or(|shadow| is_name(shadow, SHADOW_MAX)) {
            return Err("Invalid shadow name");
        }
        Ok(Name { thing: thing.into(), shadow: shadow.map(Arc::from) })
    }

    /// The shadow that a topic names.
    pub(crate) fn asked(asked: &RequestTopic<'_>) -> Result<Name, &'static str> {
        Name::checked(asked.thing, asked.shadow)
    }
}

fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-:$".contains(&b))
}
