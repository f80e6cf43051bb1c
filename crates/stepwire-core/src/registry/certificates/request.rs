//! Requests about certificates, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use super::Status;
use crate::error::ApiError;
use crate::params::Params;
use crate::registry::listing::{Page, page};
use crate::registry::names::certificate_id;

/// A request about certificates.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The registering half of CreateKeysAndCertificate; not reachable over the wire.
    RegisterIssued {
        /// `certificateId`
        id: Arc<str>,
        /// `certificatePem`
        pem: Arc<str>,
        /// `setAsActive`
        active: bool,
    },
    /// DescribeCertificate
    Describe(Arc<str>),
    /// ListCertificates
    List(Page),
    /// UpdateCertificate
    Update(Arc<str>, Status),
    /// DeleteCertificate
    Delete {
        /// `certificateId`
        id: Arc<str>,
        /// `forceDelete`: with policies attached.
        force: bool,
    },
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "RegisterIssuedCertificate" => register_issued(p),
            "DescribeCertificate" => describe(p),
            "ListCertificates" => list(p),
            "UpdateCertificate" => update(p),
            "DeleteCertificate" => delete(p),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Describe(_) | Request::List(_) => true,
            Request::RegisterIssued { .. } | Request::Update(..) | Request::Delete { .. } => false,
        }
    }
}

fn register_issued(p: &Params<'_>) -> Result<Request, ApiError> {
    Ok(Request::RegisterIssued {
        id: certificate_id(p, "certificateId")?,
        pem: p.text("certificatePem")?.into(),
        active: p.optional_bool("setAsActive")?.unwrap_or(false),
    })
}

fn describe(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["certificateId"])?;
    Ok(Request::Describe(certificate_id(p, "certificateId")?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["pageSize", "marker", "ascendingOrder"])?;
    Ok(Request::List(page(p, "pageSize", "marker")?))
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["certificateId", "newStatus"])?;
    let status = match p.text("newStatus")? {
        "ACTIVE" => Status::Active,
        "INACTIVE" => Status::Inactive,
        "REVOKED" => Status::Revoked,
        other => return Err(p.invalid("newStatus", &format!("`{other}` is not available"))),
    };
    Ok(Request::Update(certificate_id(p, "certificateId")?, status))
}

fn delete(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["certificateId", "forceDelete"])?;
    let force = p.optional_bool("forceDelete")?.unwrap_or(false);
    Ok(Request::Delete { id: certificate_id(p, "certificateId")?, force })
}
