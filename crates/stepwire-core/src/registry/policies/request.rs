//! Requests about policies, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use super::{Policy, Target};
use crate::error::ApiError;
use crate::params::Params;
use crate::registry::listing::{Page, page};
use crate::registry::names::{policy_name, principal};

/// A request about policies.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreatePolicy
    Create {
        /// `policyName`
        name: Arc<str>,
        /// `policyDocument`
        document: Arc<str>,
    },
    /// GetPolicy
    Get(Arc<str>),
    /// ListPolicies
    List(Page),
    /// DeletePolicy
    Delete(Arc<str>),
    /// AttachPolicy, or DetachPolicy
    Attach {
        /// `policyName`
        policy: Arc<str>,
        /// `target`
        target: Target,
        /// Attach rather than detach.
        attach: bool,
    },
    /// ListAttachedPolicies
    ListAttached(Target, Page),
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "CreatePolicy" => create(p),
            "GetPolicy" => get(p),
            "ListPolicies" => list(p),
            "DeletePolicy" => delete(p),
            "AttachPolicy" => attach(p, true),
            "DetachPolicy" => attach(p, false),
            "ListAttachedPolicies" => list_attached(p),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Get(_) | Request::List(_) | Request::ListAttached(..) => true,
            Request::Create { .. } | Request::Delete(_) | Request::Attach { .. } => false,
        }
    }
}

fn create(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName", "policyDocument", "tags"])?;
    let document = p.text("policyDocument")?;
    Policy::parse(document).map_err(|why| {
        ApiError::new("MalformedPolicyException", format!("Policy document is malformed: {why}"))
    })?;
    Ok(Request::Create { name: policy_name(p)?, document: document.into() })
}

fn get(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName"])?;
    Ok(Request::Get(policy_name(p)?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["pageSize", "marker", "ascendingOrder"])?;
    Ok(Request::List(page(p, "pageSize", "marker")?))
}

fn delete(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["policyName"])?;
    Ok(Request::Delete(policy_name(p)?))
}

fn attach(p: &Params<'_>, attach: bool) -> Result<Request, ApiError> {
    p.only(&["policyName", "target"])?;
    let target = Target::Certificate(principal(p, "target")?);
    Ok(Request::Attach { policy: policy_name(p)?, target, attach })
}

fn list_attached(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["target", "recursive", "pageSize", "marker"])?;
    let target = Target::Certificate(principal(p, "target")?);
    Ok(Request::ListAttached(target, page(p, "pageSize", "marker")?))
}
