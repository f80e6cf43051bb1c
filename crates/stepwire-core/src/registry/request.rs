//! Registry requests, parsed. Source: AWS IoT API reference (service model `iot`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::Json;

use super::policy::Policy;
use crate::error::ApiError;
use crate::params::Params;

/// Whether a certificate may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateStatus {
    /// It may connect.
    Active,
    /// It may not, for now.
    Inactive,
    /// It may not any more.
    Revoked,
}

impl CertificateStatus {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            CertificateStatus::Active => "ACTIVE",
            CertificateStatus::Inactive => "INACTIVE",
            CertificateStatus::Revoked => "REVOKED",
        }
    }
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most this many.
    pub limit: usize,
    /// After this name.
    pub after: Option<Arc<str>>,
}

type Attributes = BTreeMap<Arc<str>, Arc<str>>;

/// A registry request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateThing
    CreateThing {
        /// `thingName`
        name: Arc<str>,
        /// `attributePayload.attributes`
        attributes: Attributes,
    },
    /// DescribeThing
    DescribeThing(Arc<str>),
    /// ListThings
    ListThings {
        /// Only things with this attribute value.
        attribute: Option<(Arc<str>, Arc<str>)>,
        /// Which page.
        page: Page,
    },
    /// UpdateThing
    UpdateThing {
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
    DeleteThing {
        /// `thingName`
        name: Arc<str>,
        /// `expectedVersion`
        expected: Option<i64>,
    },
    /// The registering half of CreateKeysAndCertificate; not reachable over the wire.
    RegisterIssuedCertificate {
        /// `certificateId`
        id: Arc<str>,
        /// `certificatePem`
        pem: Arc<str>,
        /// `setAsActive`
        active: bool,
    },
    /// DescribeCertificate
    DescribeCertificate(Arc<str>),
    /// ListCertificates
    ListCertificates(Page),
    /// UpdateCertificate
    UpdateCertificate(Arc<str>, CertificateStatus),
    /// DeleteCertificate
    DeleteCertificate {
        /// `certificateId`
        id: Arc<str>,
        /// `forceDelete`: with policies attached.
        force: bool,
    },
    /// CreatePolicy
    CreatePolicy {
        /// `policyName`
        name: Arc<str>,
        /// `policyDocument`
        document: Arc<str>,
    },
    /// GetPolicy
    GetPolicy(Arc<str>),
    /// ListPolicies
    ListPolicies(Page),
    /// DeletePolicy
    DeletePolicy(Arc<str>),
    /// AttachPolicy, or DetachPolicy
    AttachPolicy {
        /// `policyName`
        policy: Arc<str>,
        /// Certificate id of `target`.
        certificate: Arc<str>,
        /// Attach rather than detach.
        attach: bool,
    },
    /// ListAttachedPolicies, by certificate id.
    ListAttachedPolicies(Arc<str>, Page),
    /// AttachThingPrincipal, or DetachThingPrincipal
    AttachThing {
        /// `thingName`
        thing: Arc<str>,
        /// Certificate id of `principal`.
        certificate: Arc<str>,
        /// Attach rather than detach.
        attach: bool,
    },
    /// ListThingPrincipals
    ListThingPrincipals(Arc<str>, Page),
    /// ListPrincipalThings, by certificate id.
    ListPrincipalThings(Arc<str>, Page),
}

/// Parses the members of one operation.
type Parse = fn(&Params<'_>) -> Result<Request, ApiError>;

impl Request {
    /// The request that `body` makes of `operation`; `None` for operations we do not serve.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let parse: Parse = match operation {
            "CreateThing" => |p| {
                p.only(&["thingName", "attributePayload"])?;
                let (attributes, _) = attributes(p)?;
                if let Some((name, _)) = attributes.iter().find(|(_, value)| value.is_empty()) {
                    return Err(p.invalid("attributes", &format!("`{name}` is empty")));
                }
                Ok(Request::CreateThing { name: name(p, "thingName")?, attributes })
            },
            "DescribeThing" => |p| {
                p.only(&["thingName"])?;
                Ok(Request::DescribeThing(name(p, "thingName")?))
            },
            "ListThings" => list_things,
            "UpdateThing" => |p| {
                p.only(&["thingName", "attributePayload", "expectedVersion"])?;
                let (attributes, merge) = attributes(p)?;
                let expected = p.optional_int("expectedVersion")?;
                Ok(Request::UpdateThing {
                    name: name(p, "thingName")?,
                    attributes,
                    merge,
                    expected,
                })
            },
            "DeleteThing" => |p| {
                p.only(&["thingName", "expectedVersion"])?;
                let expected = p.optional_int("expectedVersion")?;
                Ok(Request::DeleteThing { name: name(p, "thingName")?, expected })
            },
            "RegisterIssuedCertificate" => |p| {
                Ok(Request::RegisterIssuedCertificate {
                    id: certificate_id(p, "certificateId")?,
                    pem: p.text("certificatePem")?.into(),
                    active: p.optional_bool("setAsActive")?.unwrap_or(false),
                })
            },
            "DescribeCertificate" => |p| {
                p.only(&["certificateId"])?;
                Ok(Request::DescribeCertificate(certificate_id(p, "certificateId")?))
            },
            "ListCertificates" => |p| {
                p.only(&["pageSize", "marker", "ascendingOrder"])?;
                Ok(Request::ListCertificates(page(p, "pageSize", "marker")?))
            },
            "UpdateCertificate" => |p| {
                p.only(&["certificateId", "newStatus"])?;
                let status = status(p)?;
                Ok(Request::UpdateCertificate(certificate_id(p, "certificateId")?, status))
            },
            "DeleteCertificate" => |p| {
                p.only(&["certificateId", "forceDelete"])?;
                let force = p.optional_bool("forceDelete")?.unwrap_or(false);
                Ok(Request::DeleteCertificate { id: certificate_id(p, "certificateId")?, force })
            },
            "CreatePolicy" => |p| {
                p.only(&["policyName", "policyDocument", "tags"])?;
                let document = p.text("policyDocument")?;
                Policy::parse(document).map_err(|why| {
                    ApiError::new(
                        "MalformedPolicyException",
                        format!("Policy document is malformed: {why}"),
                    )
                })?;
                Ok(Request::CreatePolicy { name: policy_name(p)?, document: document.into() })
            },
            "GetPolicy" => |p| {
                p.only(&["policyName"])?;
                Ok(Request::GetPolicy(policy_name(p)?))
            },
            "ListPolicies" => |p| {
                p.only(&["pageSize", "marker", "ascendingOrder"])?;
                Ok(Request::ListPolicies(page(p, "pageSize", "marker")?))
            },
            "DeletePolicy" => |p| {
                p.only(&["policyName"])?;
                Ok(Request::DeletePolicy(policy_name(p)?))
            },
            "AttachPolicy" => |p| attach_policy(p, true),
            "DetachPolicy" => |p| attach_policy(p, false),
            "ListAttachedPolicies" => |p| {
                p.only(&["target", "recursive", "pageSize", "marker"])?;
                Ok(Request::ListAttachedPolicies(
                    principal(p, "target")?,
                    page(p, "pageSize", "marker")?,
                ))
            },
            "AttachThingPrincipal" => |p| attach_thing(p, true),
            "DetachThingPrincipal" => |p| attach_thing(p, false),
            "ListThingPrincipals" => |p| {
                p.only(&["thingName", "maxResults", "nextToken"])?;
                Ok(Request::ListThingPrincipals(
                    name(p, "thingName")?,
                    page(p, "maxResults", "nextToken")?,
                ))
            },
            "ListPrincipalThings" => |p| {
                p.only(&["principal", "maxResults", "nextToken"])?;
                Ok(Request::ListPrincipalThings(
                    principal(p, "principal")?,
                    page(p, "maxResults", "nextToken")?,
                ))
            },
            _ => return None,
        };
        Some(parse(&Params::new(body, "InvalidRequestException")))
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Request::DescribeThing(_)
                | Request::ListThings { .. }
                | Request::DescribeCertificate(_)
                | Request::ListCertificates(_)
                | Request::GetPolicy(_)
                | Request::ListPolicies(_)
                | Request::ListAttachedPolicies(..)
                | Request::ListThingPrincipals(..)
                | Request::ListPrincipalThings(..)
        )
    }
}

fn list_things(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["maxResults", "nextToken", "attributeName", "attributeValue"])?;
    let attribute = match (p.optional_text("attributeName")?, p.optional_text("attributeValue")?) {
        (Some(name), Some(value)) => Some((Arc::from(name), Arc::from(value))),
        (None, None) => None,
        _ => return Err(p.invalid("attributeName", "`attributeValue` belongs to it")),
    };
    Ok(Request::ListThings { attribute, page: page(p, "maxResults", "nextToken")? })
}

fn attach_policy(p: &Params<'_>, attach: bool) -> Result<Request, ApiError> {
    p.only(&["policyName", "target"])?;
    let certificate = principal(p, "target")?;
    Ok(Request::AttachPolicy { policy: policy_name(p)?, certificate, attach })
}

fn attach_thing(p: &Params<'_>, attach: bool) -> Result<Request, ApiError> {
    p.only(&["thingName", "principal", "thingPrincipalType"])?;
    match p.optional_text("thingPrincipalType")? {
        None | Some("NON_EXCLUSIVE_THING") => {}
        Some(other) => {
            return Err(p.invalid("thingPrincipalType", &format!("`{other}` is not available yet")));
        }
    }
    let certificate = principal(p, "principal")?;
    Ok(Request::AttachThing { thing: name(p, "thingName")?, certificate, attach })
}

/// `[a-zA-Z0-9:_-]{1,128}`
fn name(p: &Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    let name = p.text(member)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ":_-".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
        return Err(
            p.invalid(member, "it must match [a-zA-Z0-9:_-]+ and have at most 128 characters")
        );
    }
    Ok(name.into())
}

/// `[\w+=,.@-]{1,128}`
fn policy_name(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let name = p.text("policyName")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
        return Err(
            p.invalid("policyName", "it must match [\\w+=,.@-]+ and have at most 128 characters")
        );
    }
    Ok(name.into())
}

fn certificate_id(p: &Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    let id = p.text(member)?;
    checked_id(id).ok_or_else(|| p.invalid(member, "it must be 64 hex digits"))
}

fn checked_id(id: &str) -> Option<Arc<str>> {
    let fits = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| id.into())
}

/// The certificate id in `arn:aws:iot:…:cert/<id>`.
fn principal(p: &Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    let arn = p.text(member)?;
    let id = arn.strip_prefix("arn:").and_then(|rest| rest.rsplit_once(":cert/"));
    let id = id.and_then(|(_, id)| checked_id(id));
    id.ok_or_else(|| p.invalid(member, "it must be the ARN of a certificate"))
}

fn status(p: &Params<'_>) -> Result<CertificateStatus, ApiError> {
    match p.text("newStatus")? {
        "ACTIVE" => Ok(CertificateStatus::Active),
        "INACTIVE" => Ok(CertificateStatus::Inactive),
        "REVOKED" => Ok(CertificateStatus::Revoked),
        other => Err(p.invalid("newStatus", &format!("`{other}` is not available"))),
    }
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

fn page(p: &Params<'_>, limit: &str, token: &str) -> Result<Page, ApiError> {
    let limit = match p.optional_int(limit)? {
        None => 25,
        Some(limit @ 1..=250) => limit as usize,
        Some(_) => return Err(p.invalid(limit, "it must be 1 to 250")),
    };
    Ok(Page { limit, after: p.optional_text(token)?.map(Arc::from) })
}
