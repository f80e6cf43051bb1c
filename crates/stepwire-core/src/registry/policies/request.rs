//! Requests about policies, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Policy, Target};
use crate::broker::Action;
use crate::error::ApiError;
use crate::params::Params;
use crate::registry::error::invalid;
use crate::registry::listing::{Page, page};
use crate::registry::names::{checked_policy_name, name, policy_name, principal, target};
use crate::registry::tags::{self, Tags};

/// A request about policies.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreatePolicy
    Create {
        /// `policyName`
        name: Arc<str>,
        /// `policyDocument`
        document: Arc<str>,
        /// `tags`
        tags: Tags,
    },
    /// CreatePolicyVersion
    CreateVersion {
        /// `policyName`
        name: Arc<str>,
        /// `policyDocument`
        document: Arc<str>,
        /// `setAsDefault`
        default: bool,
    },
    /// GetPolicy; with a number GetPolicyVersion
    Get(Arc<str>, Option<u32>),
    /// ListPolicies
    List(Page),
    /// ListPolicyVersions
    ListVersions(Arc<str>),
    /// SetDefaultPolicyVersion
    SetDefault(Arc<str>, u32),
    /// DeletePolicy; with a number DeletePolicyVersion
    Delete(Arc<str>, Option<u32>),
    /// AttachPolicy, DetachPolicy, AttachPrincipalPolicy or DetachPrincipalPolicy
    Attach {
        /// `policyName`
        policy: Arc<str>,
        /// `target`
        target: Target,
        /// Attach rather than detach.
        attach: bool,
    },
    /// ListAttachedPolicies, ListPrincipalPolicies
    ListAttached {
        /// `target`
        target: Target,
        /// `recursive`: with the policies of the groups above.
        recursive: bool,
        /// Which page.
        page: Page,
    },
    /// ListTargetsForPolicy, ListPolicyPrincipals
    ListTargets {
        /// `policyName`
        policy: Arc<str>,
        /// Only certificates.
        principals: bool,
        /// Which page.
        page: Page,
    },
    /// TestAuthorization
    Test(Test),
    /// GetEffectivePolicies
    GetEffective {
        /// `principal`
        principal: Option<Target>,
        /// `thingName`
        thing: Option<Arc<str>>,
    },
}

/// TestAuthorization
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// `principal`
    pub principal: Option<Target>,
    /// `clientId`
    pub client_id: Option<Arc<str>>,
    /// `policyNamesToAdd`
    pub add: Vec<Arc<str>>,
    /// `policyNamesToSkip`
    pub skip: Vec<Arc<str>>,
    /// `authInfos`
    pub questions: Vec<TestQuestion>,
}

/// One of the `authInfos`.
#[derive(Debug, Clone, PartialEq)]
pub struct TestQuestion {
    /// `actionType`
    pub action: Action,
    /// `resources`, ARNs
    pub resources: Vec<Arc<str>>,
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "CreatePolicy" => create(p),
            "CreatePolicyVersion" => create_version(p),
            "GetPolicy" => get(p),
            "GetPolicyVersion" => version(p).map(|(name, number)| Request::Get(name, Some(number))),
            "ListPolicies" => list(p),
            "ListPolicyVersions" => list_versions(p),
            "SetDefaultPolicyVersion" => {
                version(p).map(|(name, number)| Request::SetDefault(name, number))
            }
            "DeletePolicy" => delete(p),
            "DeletePolicyVersion" => {
                version(p).map(|(name, number)| Request::Delete(name, Some(number)))
            }
            "AttachPolicy" => attach(p, true),
            "DetachPolicy" => attach(p, false),
            "AttachPrincipalPolicy" => attach_principal(p, true),
            "DetachPrincipalPolicy" => attach_principal(p, false),
            "ListAttachedPolicies" => list_attached(p),
            "ListPrincipalPolicies" => list_of_principal(p),
            "ListTargetsForPolicy" => list_targets(p),
            "ListPolicyPrincipals" => list_principals(p),
            "TestAuthorization" => test(p),
            "GetEffectivePolicies" => get_effective(p),
            _ => return None,
        })
    }

    /// Whether it is answered from records alone. Who may do what is asked of the registry, which
    /// has policies compiled.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Get(..)
            | Request::List(_)
            | Request::ListVersions(_)
            | Request::ListTargets { .. } => true,
            Request::ListAttached { recursive, .. } => !recursive,
            Request::Create { .. }
            | Request::CreateVersion { .. }
            | Request::SetDefault(..)
            | Request::Delete(..)
            | Request::Attach { .. }
            | Request::Test(_)
            | Request::GetEffective { .. } => false,
        }
    }
}

fn create(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName", "policyDocument", "tags"])?;
    let tags = tags::given(p)?;
    Ok(Request::Create { name: policy_name(p)?, document: document(p)?, tags })
}

fn create_version(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName", "policyDocument", "setAsDefault"])?;
    let default = p.optional_bool("setAsDefault")?.unwrap_or(false);
    Ok(Request::CreateVersion { name: policy_name(p)?, document: document(p)?, default })
}

fn document(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let document = p.text("policyDocument")?;
    Policy::parse(document).map_err(|malformed| {
        let message = format!("Policy document is malformed: {malformed}");
        ApiError::new("MalformedPolicyException", message)
    })?;
    Ok(document.into())
}

fn get(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName"])?;
    Ok(Request::Get(policy_name(p)?, None))
}

/// The name and the number of a version.
fn version(p: &Params<'_>) -> Result<(Arc<str>, u32), ApiError> {
    p.only(&["policyName", "policyVersionId"])?;
    let id = p.text("policyVersionId")?;
    let number = id.parse().ok().filter(|_| id.bytes().all(|b| b.is_ascii_digit()));
    let number = number.ok_or_else(|| p.invalid("policyVersionId", "it must be a number"))?;
    Ok((policy_name(p)?, number))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["pageSize", "marker", "ascendingOrder"])?;
    Ok(Request::List(page(p, "pageSize", "marker")?))
}

fn list_versions(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName"])?;
    Ok(Request::ListVersions(policy_name(p)?))
}

fn delete(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName"])?;
    Ok(Request::Delete(policy_name(p)?, None))
}

fn attach(p: &Params<'_>, attach: bool) -> Result<Request, ApiError> {
    p.only(&["policyName", "target"])?;
    Ok(Request::Attach { policy: policy_name(p)?, target: target(p, "target")?, attach })
}

fn attach_principal(p: &Params<'_>, attach: bool) -> Result<Request, ApiError> {
    p.only(&["policyName", "principal"])?;
    let target = Target::Certificate(principal(p, "principal")?);
    Ok(Request::Attach { policy: policy_name(p)?, target, attach })
}

fn list_attached(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["target", "recursive", "pageSize", "marker"])?;
    let recursive = p.optional_bool("recursive")?.unwrap_or(false);
    let page = page(p, "pageSize", "marker")?;
    Ok(Request::ListAttached { target: target(p, "target")?, recursive, page })
}

fn list_of_principal(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["principal", "pageSize", "marker", "ascendingOrder"])?;
    let target = Target::Certificate(principal(p, "principal")?);
    let page = page(p, "pageSize", "marker")?;
    Ok(Request::ListAttached { target, recursive: false, page })
}

fn list_targets(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName", "pageSize", "marker"])?;
    let page = page(p, "pageSize", "marker")?;
    Ok(Request::ListTargets { policy: policy_name(p)?, principals: false, page })
}

fn list_principals(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName", "pageSize", "marker", "ascendingOrder"])?;
    let page = page(p, "pageSize", "marker")?;
    Ok(Request::ListTargets { policy: policy_name(p)?, principals: true, page })
}

fn test(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["principal", "authInfos", "clientId", "policyNamesToAdd", "policyNamesToSkip"])?;
    let given = p.get("authInfos").and_then(Json::as_array).unwrap_or_default();
    if given.is_empty() || given.len() > 10 {
        return Err(p.invalid("authInfos", "it must have 1 to 10 items"));
    }
    Ok(Request::Test(Test {
        principal: optional_principal(p)?,
        client_id: p.optional_text("clientId")?.map(Arc::from),
        add: policy_names(p, "policyNamesToAdd")?,
        skip: policy_names(p, "policyNamesToSkip")?,
        questions: given.iter().map(question).collect::<Result<_, _>>()?,
    }))
}

fn question(json: &Json) -> Result<TestQuestion, ApiError> {
    let p = &Params::new(json, "InvalidRequestException");
    p.only(&["actionType", "resources"])?;
    let action = match p.optional_text("actionType")? {
        Some("PUBLISH") => Action::Publish,
        Some("SUBSCRIBE") => Action::Subscribe,
        Some("RECEIVE") => Action::Receive,
        Some("CONNECT") => Action::Connect,
        _ => {
            let why = "it must be `PUBLISH`, `SUBSCRIBE`, `RECEIVE` or `CONNECT`";
            return Err(p.invalid("actionType", why));
        }
    };
    let resources = p.get("resources").and_then(Json::as_array).unwrap_or_default();
    let resources: Option<Vec<Arc<str>>> =
        resources.iter().map(|resource| resource.as_str().map(Arc::from)).collect();
    match resources.filter(|resources| !resources.is_empty()) {
        Some(resources) => Ok(TestQuestion { action, resources }),
        None => Err(p.invalid("resources", "it must be a list of ARNs")),
    }
}

fn policy_names(p: &Params<'_>, member: &str) -> Result<Vec<Arc<str>>, ApiError> {
    let names = p.get(member).and_then(Json::as_array).unwrap_or_default();
    let names = names.iter().map(|name| {
        let name = name.as_str().and_then(checked_policy_name);
        name.ok_or_else(|| p.invalid(member, "it must be a list of names of policies"))
    });
    names.collect()
}

fn get_effective(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["principal", "thingName"])?;
    let thing = p.get("thingName").map(|_| name(p, "thingName")).transpose()?;
    let principal = optional_principal(p)?;
    if thing.is_none() && principal.is_none() {
        return Err(invalid("a principal or a thing is needed"));
    }
    Ok(Request::GetEffective { principal, thing })
}

fn optional_principal(p: &Params<'_>) -> Result<Option<Target>, ApiError> {
    p.get("principal").map(|_| target(p, "principal")).transpose()
}
