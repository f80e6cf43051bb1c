//! Requests on thing types, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::params::Params;
use crate::registry::attributes::{attribute_name, description};
use crate::registry::listing::{Page, page};
use crate::registry::names::{name, optional_name};
use crate::registry::tags::{self, Tags};

/// Most attributes that a type makes searchable.
const SEARCHABLE_MAX: usize = 3;

/// `thingTypeProperties`: what is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// `thingTypeDescription`
    pub description: Option<Arc<str>>,
    /// `searchableAttributes`
    pub searchable: Option<Vec<Arc<str>>>,
}

/// A request on thing types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// CreateThingType
    Create {
        /// `thingTypeName`
        name: Arc<str>,
        /// `thingTypeProperties`
        properties: Properties,
        /// `tags`
        tags: Tags,
    },
    /// UpdateThingType
    Update {
        /// `thingTypeName`
        name: Arc<str>,
        /// `thingTypeProperties`
        properties: Properties,
    },
    /// DescribeThingType
    Describe(Arc<str>),
    /// ListThingTypes
    List {
        /// Only the one of this name.
        name: Option<Arc<str>>,
        /// Which page.
        page: Page,
    },
    /// DeprecateThingType
    Deprecate {
        /// `thingTypeName`
        name: Arc<str>,
        /// `undoDeprecate`
        undo: bool,
    },
    /// DeleteThingType
    Delete(Arc<str>),
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "CreateThingType" => create(p),
            "UpdateThingType" => update(p),
            "DescribeThingType" => only_named(p).map(Request::Describe),
            "ListThingTypes" => list(p),
            "DeprecateThingType" => deprecate(p),
            "DeleteThingType" => only_named(p).map(Request::Delete),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Describe(_) | Request::List { .. } => true,
            Request::Create { .. }
            | Request::Update { .. }
            | Request::Deprecate { .. }
            | Request::Delete(_) => false,
        }
    }
}

fn create(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingTypeName", "thingTypeProperties", "tags"])?;
    let name = name(p, "thingTypeName")?;
    Ok(Request::Create { name, properties: properties(p)?, tags: tags::given(p)? })
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingTypeName", "thingTypeProperties"])?;
    Ok(Request::Update { name: name(p, "thingTypeName")?, properties: properties(p)? })
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingTypeName", "maxResults", "nextToken"])?;
    let page = page(p, "maxResults", "nextToken")?;
    Ok(Request::List { name: optional_name(p, "thingTypeName")?, page })
}

fn deprecate(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingTypeName", "undoDeprecate"])?;
    let undo = p.optional_bool("undoDeprecate")?.unwrap_or(false);
    Ok(Request::Deprecate { name: name(p, "thingTypeName")?, undo })
}

fn only_named(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    p.only(&["thingTypeName"])?;
    name(p, "thingTypeName")
}

fn properties(p: &Params<'_>) -> Result<Properties, ApiError> {
    let Some(given) = p.get("thingTypeProperties") else { return Ok(Properties::default()) };
    let inner = Params::new(given, "InvalidRequestException");
    // Not `mqtt5Configuration`: no attribute is added to messages as a user property.
    inner.only(&["thingTypeDescription", "searchableAttributes"])?;
    let searchable = match inner.get("searchableAttributes") {
        None => None,
        Some(given) => Some(searchable(&inner, given)?),
    };
    Ok(Properties { description: description(&inner, "thingTypeDescription")?, searchable })
}

fn searchable(p: &Params<'_>, given: &Json) -> Result<Vec<Arc<str>>, ApiError> {
    let wrong = |why: &str| p.invalid("searchableAttributes", why);
    let given = given.as_array().ok_or_else(|| wrong("it must be a list"))?;
    if given.len() > SEARCHABLE_MAX {
        return Err(wrong(&format!("at most {SEARCHABLE_MAX}")));
    }
    let mut names = Vec::new();
    for name in given {
        let name = name.as_str().ok_or_else(|| wrong("it must be a list of text"))?;
        let name = attribute_name(p, name)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
