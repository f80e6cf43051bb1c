//! Requests about certificates, parsed. Source: AWS IoT API reference (service model `iot`).

use std::sync::Arc;

use super::{AuthorityUpdate, Document, Mode, Status, status};
use crate::error::ApiError;
use crate::params::Params;
use crate::registry::listing::{Page, page};
use crate::registry::names::certificate_id;
use crate::registry::tags::Tags;

/// A certificate to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The certificate.
    pub document: Document,
    /// Its state from the start.
    pub status: Status,
    /// Which authorities it may come from.
    pub mode: Mode,
    /// The registered authority whose signature it has, as the shell has found.
    pub authority: Option<Arc<str>>,
}

/// A request about certificates.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateKeysAndCertificate or CreateCertificateFromCsr, once the certificate is made;
    /// RegisterCertificate, once its signature is checked; RegisterCertificateWithoutCA.
    Register(Registration),
    /// What the first connect of a certificate asks for whose authority lets it.
    RegisterItself(Registration),
    /// DescribeCertificate
    Describe(Arc<str>),
    /// ListCertificates
    List(Page),
    /// ListCertificatesByCA
    ListSigned(Arc<str>, Page),
    /// UpdateCertificate
    Update(Arc<str>, Status),
    /// DeleteCertificate
    Delete {
        /// `certificateId`
        id: Arc<str>,
        /// `forceDelete`: with policies attached.
        force: bool,
    },
    /// GetRegistrationCode
    GetRegistrationCode,
    /// DeleteRegistrationCode
    DeleteRegistrationCode,
    /// RegisterCACertificate, once the signatures are checked.
    RegisterAuthority {
        /// `caCertificate`
        document: Box<Document>,
        /// `verificationCertificate`; `None` with `certificateMode` `SNI_ONLY`.
        proof: Option<Box<Document>>,
        /// `setAsActive`
        active: bool,
        /// `allowAutoRegistration`
        registers: bool,
        /// `tags`
        tags: Tags,
    },
    /// DescribeCACertificate
    DescribeAuthority(Arc<str>),
    /// ListCACertificates
    ListAuthorities(Page),
    /// UpdateCACertificate
    UpdateAuthority(AuthorityUpdate),
    /// DeleteCACertificate
    DeleteAuthority(Arc<str>),
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations, and for those
    /// that begin with work of the shell.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "RegisterCertificateWithoutCA" => register_without_ca(p),
            "DescribeCertificate" => describe(p),
            "ListCertificates" => list(p),
            "ListCertificatesByCA" => list_signed(p),
            "UpdateCertificate" => update(p),
            "DeleteCertificate" => delete(p),
            "GetRegistrationCode" => p.only(&[]).map(|()| Request::GetRegistrationCode),
            "DeleteRegistrationCode" => p.only(&[]).map(|()| Request::DeleteRegistrationCode),
            "DescribeCACertificate" => authority(p, &[]).map(Request::DescribeAuthority),
            "ListCACertificates" => list_authorities(p),
            "UpdateCACertificate" => update_authority(p),
            "DeleteCACertificate" => authority(p, &[]).map(Request::DeleteAuthority),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Describe(_)
            | Request::List(_)
            | Request::ListSigned(..)
            | Request::GetRegistrationCode
            | Request::DescribeAuthority(_)
            | Request::ListAuthorities(_) => true,
            Request::Register(_)
            | Request::RegisterItself(_)
            | Request::Update(..)
            | Request::Delete { .. }
            | Request::DeleteRegistrationCode
            | Request::RegisterAuthority { .. }
            | Request::UpdateAuthority(_)
            | Request::DeleteAuthority(_) => false,
        }
    }
}

impl Registration {
    /// The members of RegisterCertificate and RegisterCertificateWithoutCA that both have.
    pub fn parse(pem: &str, word: Option<&str>, mode: Mode) -> Result<Registration, ApiError> {
        let document = Document::parse(pem).map_err(|why| {
            let message = format!("The certificate is not valid: {why}");
            ApiError::new("CertificateValidationException", message)
        })?;
        let status = word.map_or(Ok(Status::Inactive), status)?;
        Ok(Registration { document, status, mode, authority: None })
    }
}

fn register_without_ca(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["certificatePem", "status"])?;
    let word = p.optional_text("status")?;
    let registration = Registration::parse(p.text("certificatePem")?, word, Mode::SniOnly)?;
    Ok(Request::Register(registration))
}

fn describe(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["certificateId"])?;
    Ok(Request::Describe(id(p)?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["pageSize", "marker", "ascendingOrder"])?;
    Ok(Request::List(page(p, "pageSize", "marker")?))
}

fn list_signed(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["caCertificateId", "pageSize", "marker", "ascendingOrder"])?;
    let authority = certificate_id(p, "caCertificateId")?;
    Ok(Request::ListSigned(authority, page(p, "pageSize", "marker")?))
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["certificateId", "newStatus"])?;
    Ok(Request::Update(id(p)?, status(p.text("newStatus")?)?))
}

fn delete(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["certificateId", "forceDelete"])?;
    let force = p.optional_bool("forceDelete")?.unwrap_or(false);
    Ok(Request::Delete { id: id(p)?, force })
}

fn list_authorities(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["pageSize", "marker", "ascendingOrder"])?;
    Ok(Request::ListAuthorities(page(p, "pageSize", "marker")?))
}

fn update_authority(p: &Params<'_>) -> Result<Request, ApiError> {
    let id = authority(p, &["newStatus", "newAutoRegistrationStatus", "removeAutoRegistration"])?;
    let either = |name: &'static str, [yes, no]: [&'static str; 2]| match p.optional_text(name)? {
        None => Ok(None),
        Some(word) if word == yes => Ok(Some(true)),
        Some(word) if word == no => Ok(Some(false)),
        Some(_) => Err(p.invalid(name, &format!("it must be `{yes}` or `{no}`"))),
    };
    let removed = p.optional_bool("removeAutoRegistration")?.unwrap_or(false);
    let registers = either("newAutoRegistrationStatus", ["ENABLE", "DISABLE"])?;
    Ok(Request::UpdateAuthority(AuthorityUpdate {
        id,
        active: either("newStatus", ["ACTIVE", "INACTIVE"])?,
        registers: if removed { Some(false) } else { registers },
    }))
}

fn id(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    certificate_id(p, "certificateId")
}

/// The id of an authority, which paths and members call by two names; other members are `known`.
fn authority(p: &Params<'_>, known: &[&str]) -> Result<Arc<str>, ApiError> {
    let name = ["caCertificateId", "certificateId"].into_iter().find(|name| p.get(name).is_some());
    let name = name.unwrap_or("certificateId");
    p.only(&[&[name], known].concat())?;
    certificate_id(p, name)
}
