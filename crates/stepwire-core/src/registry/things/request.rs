//! Requests about things, parsed. Source: AWS IoT API reference (service model `iot`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::ApiError;
use crate::params::Params;
use crate::registry::listing::{Page, page};
use crate::registry::names::{name, principal};

type Attributes = BTreeMap<Arc<str>, Arc<str>>;

/// A request about things.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateThing
    Create {
        /// `thingName`
        name: Arc<str>,
        /// `attributePayload.attributes`
        attributes: Attributes,
    },
    /// DescribeThing
    Describe(Arc<str>),
    /// ListThings
    List {
        /// Only things with this attribute value.
        attribute: Option<(Arc<str>, Arc<str>)>,
        /// Which page.
        page: Page,
    },
    /// UpdateThing
    Update {
        /// `thingName`
        name: Arc<str>,
        /// `attributePayload.attributes`; an empty value removes one.
        attributes: Attributes,
        /// `attributePayload.merge`: keep the others.
        merge: bool,
        /// `expectedVersion`
        expected: Option<i64>,
    },
    /// DeleteThing
    Delete {
        /// `thingName`
        name: Arc<str>,
        /// `expectedVersion`
        expected: Option<i64>,
    },
    /// AttachThingPrincipal, or DetachThingPrincipal
    Attach {
        /// `thingName`
        thing: Arc<str>,
        /// Certificate id of `principal`.
        certificate: Arc<str>,
        /// Attach rather than detach.
        attach: bool,
    },
    /// ListThingPrincipals
    ListPrincipals(Arc<str>, Page),
    /// ListPrincipalThings, by certificate id.
    ListOfPrincipal(Arc<str>, Page),
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "CreateThing" => create(p),
            "DescribeThing" => describe(p),
            "ListThings" => list(p),
            "UpdateThing" => update(p),
            "DeleteThing" => delete(p),
            "AttachThingPrincipal" => attach(p, true),
            "DetachThingPrincipal" => attach(p, false),
            "ListThingPrincipals" => list_principals(p),
            "ListPrincipalThings" => list_of_principal(p),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Describe(_)
            | Request::List { .. }
            | Request::ListPrincipals(..)
            | Request::ListOfPrincipal(..) => true,
            Request::Create { .. }
            | Request::Update { .. }
            | Request::Delete { .. }
            | Request::Attach { .. } => false,
        }
    }
}

fn create(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "attributePayload"])?;
    let (attributes, _) = attributes(p)?;
    if let Some((name, _)) = attributes.iter().find(|(_, value)| value.is_empty()) {
        return Err(p.invalid("attributes", &format!("`{name}` is empty")));
    }
    Ok(Request::Create { name: name(p, "thingName")?, attributes })
}

fn describe(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName"])?;
    Ok(Request::Describe(name(p, "thingName")?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["maxResults", "nextToken", "attributeName", "attributeValue"])?;
    let attribute = match (p.optional_text("attributeName")?, p.optional_text("attributeValue")?) {
        (Some(name), Some(value)) => Some((Arc::from(name), Arc::from(value))),
        (None, None) => None,
        _ => return Err(p.invalid("attributeName", "`attributeValue` belongs to it")),
    };
    Ok(Request::List { attribute, page: page(p, "maxResults", "nextToken")? })
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "attributePayload", "expectedVersion"])?;
    let (attributes, merge) = attributes(p)?;
    let expected = p.optional_int("expectedVersion")?;
    Ok(Request::Update { name: name(p, "thingName")?, attributes, merge, expected })
}

fn delete(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "expectedVersion"])?;
    let expected = p.optional_int("expectedVersion")?;
    Ok(Request::Delete { name: name(p, "thingName")?, expected })
}

fn attach(p: &Params<'_>, attach: bool) -> Result<Request, ApiError> {
    p.only(&["thingName", "principal", "thingPrincipalType"])?;
    match p.optional_text("thingPrincipalType")? {
        None | Some("NON_EXCLUSIVE_THING") => {}
        Some(other) => {
            return Err(p.invalid("thingPrincipalType", &format!("`{other}` is not available yet")));
        }
    }
    let certificate = principal(p, "principal")?;
    Ok(Request::Attach { thing: name(p, "thingName")?, certificate, attach })
}

fn list_principals(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "maxResults", "nextToken"])?;
    Ok(Request::ListPrincipals(name(p, "thingName")?, page(p, "maxResults", "nextToken")?))
}

fn list_of_principal(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["principal", "maxResults", "nextToken"])?;
    Ok(Request::ListOfPrincipal(principal(p, "principal")?, page(p, "maxResults", "nextToken")?))
}

fn attributes(p: &Params<'_>) -> Result<(Attributes, bool), ApiError> {
    let Some(payload) = p.get("attributePayload") else { return Ok((Attributes::new(), false)) };
    let inner = Params::new(payload, "InvalidRequestException");
    inner.only(&["attributes", "merge"])?;
    let merge = inner.optional_bool("merge")?.unwrap_or(false);
    let mut attributes = Attributes::new();
    let given = match inner.get("attributes").map(|given| given.as_object()) {
        Some(None) => return Err(p.invalid("attributes", "it must be a map of text")),
        given => given.flatten(),
    };
    for (name, value) in given.into_iter().flatten() {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.,@/:#-".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
            return Err(p.invalid("attributes", &format!("`{name}` is not an attribute's name")));
        }
        let value_fits = |c: char| fits(c) || "=[]".contains(c);
        let value = value.as_str().filter(|v| v.len() <= 800 && v.chars().all(value_fits));
        let Some(value) = value else {
            let why = "must match [a-zA-Z0-9_.,@/:#=\\[\\]-]* and have at most 800 characters";
            return Err(p.invalid("attributes", &format!("the value of `{name}` {why}")));
        };
        attributes.insert(Arc::clone(name), value.into());
    }
    if attributes.len() > 50 {
        return Err(p.invalid("attributes", "at most 50"));
    }
    Ok((attributes, merge))
}
