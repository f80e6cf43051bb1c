//! Requests about things, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use crate::error::ApiError;
use crate::params::Params;
use crate::registry::attributes::{AttributePayload, Attributes};
use crate::registry::listing::{Page, page};
use crate::registry::names::{name, optional_name, principal};

/// Which things a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `thingTypeName`: only those of this type.
    pub thing_type: Option<Arc<str>>,
    /// `attributeName`, `attributeValue`: only those with this attribute.
    pub attribute: Option<(Arc<str>, Arc<str>)>,
    /// `usePrefixAttributeValue`: the value may go on.
    pub prefix: bool,
}

/// What becomes of a thing's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeChange {
    /// It stays.
    Keep,
    /// The thing is of this type from now on.
    Set(Arc<str>),
    /// The thing is of no type any more.
    Remove,
}

/// A request about things.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateThing
    Create {
        /// `thingName`
        name: Arc<str>,
        /// `thingTypeName`
        thing_type: Option<Arc<str>>,
        /// `attributePayload.attributes`
        attributes: Attributes,
    },
    /// DescribeThing
    Describe(Arc<str>),
    /// ListThings
    List {
        /// Which things.
        wanted: Wanted,
        /// Which page.
        page: Page,
    },
    /// UpdateThing
    Update {
        /// `thingName`
        name: Arc<str>,
        /// `thingTypeName`, or none with `removeThingType`.
        thing_type: TypeChange,
        /// `attributePayload`
        attributes: AttributePayload,
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
        /// How to attach it; `None` detaches it.
        attach: Option<Exclusive>,
    },
    /// ListThingPrincipals or ListThingPrincipalsV2, by thing name.
    ListPrincipals(Arc<str>, Attached),
    /// ListPrincipalThings or ListPrincipalThingsV2, by certificate id.
    ListOfPrincipal(Arc<str>, Attached),
}

/// Whether a principal belongs to one thing alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusive {
    /// `EXCLUSIVE_THING`
    Yes,
    /// `NON_EXCLUSIVE_THING`
    No,
}

/// A list of what is attached to a thing or a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The newer form, with `thingPrincipalType`.
    pub with_type: bool,
    /// Only attachments of this type.
    pub only: Option<Exclusive>,
    /// Which page.
    pub page: Page,
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
            "AttachThingPrincipal" => attach(p),
            "DetachThingPrincipal" => detach(p),
            "ListThingPrincipals" => list_principals(p, false),
            "ListThingPrincipalsV2" => list_principals(p, true),
            "ListPrincipalThings" => list_of_principal(p, false),
            "ListPrincipalThingsV2" => list_of_principal(p, true),
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
    p.only(&["thingName", "thingTypeName", "attributePayload"])?;
    let attributes = AttributePayload::of_new(p)?;
    let thing_type = optional_name(p, "thingTypeName")?;
    Ok(Request::Create { name: name(p, "thingName")?, thing_type, attributes })
}

fn describe(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName"])?;
    Ok(Request::Describe(name(p, "thingName")?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&[
        "maxResults",
        "nextToken",
        "attributeName",
        "attributeValue",
        "thingTypeName",
        "usePrefixAttributeValue",
    ])?;
    let attribute = match (p.optional_text("attributeName")?, p.optional_text("attributeValue")?) {
        (Some(name), Some(value)) => Some((Arc::from(name), Arc::from(value))),
        (None, None) => None,
        _ => return Err(p.invalid("attributeName", "`attributeValue` belongs to it")),
    };
    let wanted = Wanted {
        thing_type: optional_name(p, "thingTypeName")?,
        attribute,
        prefix: p.optional_bool("usePrefixAttributeValue")?.unwrap_or(false),
    };
    Ok(Request::List { wanted, page: page(p, "maxResults", "nextToken")? })
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&[
        "thingName",
        "thingTypeName",
        "attributePayload",
        "expectedVersion",
        "removeThingType",
    ])?;
    let remove = p.optional_bool("removeThingType")?.unwrap_or(false);
    let thing_type = match (optional_name(p, "thingTypeName")?, remove) {
        (None, false) => TypeChange::Keep,
        (None, true) => TypeChange::Remove,
        (Some(name), false) => TypeChange::Set(name),
        (Some(_), true) => {
            return Err(p.invalid("removeThingType", "there is also a `thingTypeName`"));
        }
    };
    Ok(Request::Update {
        name: name(p, "thingName")?,
        thing_type,
        attributes: AttributePayload::parse(p)?,
        expected: p.optional_int("expectedVersion")?,
    })
}

fn delete(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "expectedVersion"])?;
    let expected = p.optional_int("expectedVersion")?;
    Ok(Request::Delete { name: name(p, "thingName")?, expected })
}

fn attach(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "principal", "thingPrincipalType"])?;
    let attach = Some(exclusive(p)?.unwrap_or(Exclusive::No));
    let certificate = principal(p, "principal")?;
    Ok(Request::Attach { thing: name(p, "thingName")?, certificate, attach })
}

fn detach(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "principal"])?;
    let certificate = principal(p, "principal")?;
    Ok(Request::Attach { thing: name(p, "thingName")?, certificate, attach: None })
}

fn exclusive(p: &Params<'_>) -> Result<Option<Exclusive>, ApiError> {
    match p.optional_text("thingPrincipalType")? {
        None => Ok(None),
        Some("EXCLUSIVE_THING") => Ok(Some(Exclusive::Yes)),
        Some("NON_EXCLUSIVE_THING") => Ok(Some(Exclusive::No)),
        Some(_) => {
            let why = "it must be `EXCLUSIVE_THING` or `NON_EXCLUSIVE_THING`";
            Err(p.invalid("thingPrincipalType", why))
        }
    }
}

fn list_principals(p: &Params<'_>, with_type: bool) -> Result<Request, ApiError> {
    let attached = attached(p, "thingName", with_type)?;
    Ok(Request::ListPrincipals(name(p, "thingName")?, attached))
}

fn list_of_principal(p: &Params<'_>, with_type: bool) -> Result<Request, ApiError> {
    let attached = attached(p, "principal", with_type)?;
    Ok(Request::ListOfPrincipal(principal(p, "principal")?, attached))
}

fn attached(p: &Params<'_>, of: &str, with_type: bool) -> Result<Attached, ApiError> {
    let known = [of, "maxResults", "nextToken", "thingPrincipalType"];
    p.only(if with_type { &known } else { &known[..3] })?;
    Ok(Attached { with_type, only: exclusive(p)?, page: page(p, "maxResults", "nextToken")? })
}
