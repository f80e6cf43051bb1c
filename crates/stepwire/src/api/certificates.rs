//! Operations on certificates that need keys or signatures: made or checked here, then registered
//! by the kernel.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::registry::certificates::{
    self, Document, Mode, Registration, Signer, Status, signers,
};
use stepwire_core::registry::tags;
use stepwire_core::{ApiError, Request, registry};

use crate::ca::Issuer;
use crate::node::Node;
use crate::signature::{der, is_signed_by, weakness};

/// Answers `operation`, if it is one of these.
pub(super) async fn answer(
    node: &Node,
    operation: &str,
    body: &Json,
) -> Option<Result<Json, ApiError>> {
    Some(match operation {
        "CreateKeysAndCertificate" => create_keys(node, body).await,
        "CreateCertificateFromCsr" => create_from_csr(node, body).await,
        "RegisterCertificate" => register(node, body).await,
        "RegisterCACertificate" => register_authority(node, body).await,
        _ => return None,
    })
}

/// The private key is in the answer and nowhere else.
async fn create_keys(node: &Node, body: &Json) -> Result<Json, ApiError> {
    only(body, &["setAsActive"])?;
    let issued = node.authority().issue().map_err(|error| {
        ApiError::new("InternalFailureException", format!("cannot make a certificate: {error}"))
    })?;
    let pair = Json::object([
        ("PublicKey", Json::from(issued.public_key_pem)),
        ("PrivateKey", issued.private_key_pem.into()),
    ]);
    let answer = register_issued(node, &issued.certificate_pem, body).await?;
    Ok(with(&answer, [("keyPair", pair)]))
}

async fn create_from_csr(node: &Node, body: &Json) -> Result<Json, ApiError> {
    only(body, &["certificateSigningRequest", "setAsActive"])?;
    let request = text(body, "certificateSigningRequest")?;
    let refuse = |why: String| {
        let message = format!("The certificate signing request is not valid: {why}");
        ApiError::new("InvalidRequestException", message)
    };
    let bytes = der(request).ok_or_else(|| refuse("it is not PEM".to_owned()))?;
    if let Some(why) = weakness(&bytes) {
        return Err(refuse(why));
    }
    let pem = node.authority().issue_for(request).map_err(|error| refuse(told(&error)))?;
    register_issued(node, &pem, body).await
}

/// Registers a certificate that was made here; its PEM is in the answer.
async fn register_issued(node: &Node, pem: &str, body: &Json) -> Result<Json, ApiError> {
    let active = truth(body, "setAsActive")?;
    let mut registration = Registration::parse(pem, None, Mode::Default)?;
    registration.status = if active { Status::Active } else { Status::Inactive };
    let answer = call(node, certificates::Request::Register(registration)).await?;
    Ok(with(&answer, [("certificatePem", pem.into())]))
}

/// RegisterCertificate: one of the registered authorities must have signed it.
async fn register(node: &Node, body: &Json) -> Result<Json, ApiError> {
    only(body, &["certificatePem", "caCertificatePem", "setAsActive", "status"])?;
    let pem = text(body, "certificatePem")?;
    let word = body.member("status").and_then(Json::as_str);
    let active = truth(body, "setAsActive")?;
    let word = word.or_else(|| active.then_some("ACTIVE"));
    let mut registration = Registration::parse(pem, word, Mode::Default)?;
    let mut found = signed_by(node, &registration)?;
    if let Some(given) = body.member("caCertificatePem").and_then(Json::as_str) {
        let given = document(given, "CA certificate")?;
        found.retain(|signer| signer.id == given.id);
    }
    registration.authority = Some(match found.as_slice() {
        [signer] => Arc::clone(&signer.id),
        [] => {
            let why = "No registered CA certificate has signed the certificate";
            return Err(ApiError::new("CertificateValidationException", why));
        }
        [_, _, ..] => {
            let why = "More than one registered CA certificate has the subject and the key that \
                       have signed it: say which with `caCertificatePem`";
            return Err(ApiError::new("CertificateConflictException", why));
        }
    });
    call(node, certificates::Request::Register(registration)).await
}

/// The registered authorities that have signed a certificate.
pub(crate) fn signed_by(node: &Node, registration: &Registration) -> Result<Vec<Signer>, ApiError> {
    let document = &registration.document;
    let mut found = signers(&document.facts.issuer, &node.snapshot())?;
    found.retain(|signer| is_signed_by(&document.pem, &signer.pem));
    Ok(found)
}

async fn register_authority(node: &Node, body: &Json) -> Result<Json, ApiError> {
    only(
        body,
        &[
            "caCertificate",
            "verificationCertificate",
            "setAsActive",
            "allowAutoRegistration",
            "certificateMode",
            "tags",
        ],
    )?;
    let tags = tags::parse(body)?;
    let pem = text(body, "caCertificate")?;
    let authority = document(pem, "CA certificate")?;
    let proof = body.member("verificationCertificate").and_then(Json::as_str);
    let mode = body.member("certificateMode").and_then(Json::as_str).unwrap_or("DEFAULT");
    let invalid = |why: &str| Err(ApiError::new("InvalidRequestException", why));
    let proof = match (mode, proof) {
        ("DEFAULT", Some(proof)) if is_signed_by(proof, pem) => {
            Some(document(proof, "verification certificate")?)
        }
        ("DEFAULT", Some(_)) => {
            let why = "The CA certificate has not signed the verification certificate";
            return Err(ApiError::new("CertificateValidationException", why));
        }
        ("DEFAULT", None) => {
            return invalid(
                "`verificationCertificate` is needed unless `certificateMode` is `SNI_ONLY`",
            );
        }
        ("SNI_ONLY", None) => None,
        ("SNI_ONLY", Some(_)) => {
            return invalid("`verificationCertificate` must be absent with `SNI_ONLY`");
        }
        _ => return invalid("`certificateMode` must be `DEFAULT` or `SNI_ONLY`"),
    };
    let (active, registers) = (truth(body, "setAsActive")?, truth(body, "allowAutoRegistration")?);
    let (document, proof) = (Box::new(authority), proof.map(Box::new));
    let request =
        certificates::Request::RegisterAuthority { document, proof, active, registers, tags };
    call(node, request).await
}

async fn call(node: &Node, request: certificates::Request) -> Result<Json, ApiError> {
    node.call(Request::Registry(registry::Request::Certificates(request))).await
}

fn document(pem: &str, what: &str) -> Result<Document, ApiError> {
    Document::parse(pem).map_err(|why| {
        let message = format!("The {what} is not valid: {why}");
        ApiError::new("CertificateValidationException", message)
    })
}

/// Refuses, by name, any member that is not in `known`.
fn only(body: &Json, known: &[&str]) -> Result<(), ApiError> {
    let mut names = body.as_object().into_iter().flat_map(|members| members.keys());
    match names.find(|name| !known.contains(&name.as_ref())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("parameter `{name}` is not supported");
            Err(ApiError::new("InvalidRequestException", message))
        }
    }
}

fn text<'a>(body: &'a Json, name: &str) -> Result<&'a str, ApiError> {
    body.member(name)
        .and_then(Json::as_str)
        .ok_or_else(|| ApiError::new("InvalidRequestException", format!("`{name}` must be text")))
}

fn truth(body: &Json, name: &str) -> Result<bool, ApiError> {
    match body.member(name) {
        None | Some(Json::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| {
            ApiError::new("InvalidRequestException", format!("`{name}` must be true or false"))
        }),
    }
}

fn with<const N: usize>(answer: &Json, more: [(&'static str, Json); N]) -> Json {
    let members = answer.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
    let more = more.into_iter().map(|(name, value)| (Arc::from(name), value));
    Json::object(members.chain(more))
}

fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}
