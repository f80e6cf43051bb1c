//! Who has signed what: signatures of certificates and of requests for them.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Whether `authority` has signed `certificate`; both are PEM.
pub(crate) fn is_signed_by(certificate: &str, authority: &str) -> bool {
    let (Some(certificate), Some(authority)) = (der(certificate), der(authority)) else {
        return false;
    };
    der_is_signed_by(&certificate, &authority)
}

/// The same for DER.
fn der_is_signed_by(certificate: &[u8], authority: &[u8]) -> bool {
    let certificate = X509Certificate::from_der(certificate);
    let authority = X509Certificate::from_der(authority);
    let (Ok((_, certificate)), Ok((_, authority))) = (certificate, authority) else { return false };
    certificate.verify_signature(Some(authority.public_key())).is_ok()
}

/// Why AWS IoT would make no certificate for the key in this request; `None` if it would.
pub(crate) fn weakness(request: &[u8]) -> Option<String> {
    let Ok((_, request)) = X509CertificationRequest::from_der(request) else {
        return Some("it cannot be read".to_owned());
    };
    let info = &request.certification_request_info;
    let mut kinds: Vec<String> = Vec::new();
    for part in info.subject.iter() {
        let mut attributes = part.iter().map(|attribute| attribute.attr_type().to_id_string());
        let (Some(kind), None) = (attributes.next(), attributes.next()) else {
            return Some("its subject has a part that is not one attribute".to_owned());
        };
        if kinds.contains(&kind) {
            return Some(format!("its subject has the attribute {kind} twice"));
        }
        kinds.push(kind);
    }
    let key = info.subject_pki.parsed();
    match key {
        Ok(PublicKey::RSA(key)) if key.key_size() >= 2_048 => None,
        Ok(PublicKey::RSA(key)) => {
            Some(format!("its RSA key has {} bits, at least 2048 are needed", key.key_size()))
        }
        Ok(PublicKey::EC(point)) if matches!(point.key_size(), 256 | 384 | 520..=528) => None,
        _ => Some("its key is neither RSA nor ECC on P-256, P-384 or P-521".to_owned()),
    }
}

/// The key (DER of its SubjectPublicKeyInfo) for which a certificate is asked.
pub(crate) fn public_key(request: &str) -> Option<Vec<u8>> {
    let request = der(request)?;
    let (_, request) = X509CertificationRequest::from_der(&request).ok()?;
    Some(request.certification_request_info.subject_pki.raw.to_vec())
}

/// The bytes of the first block in `pem`.
pub(crate) fn der(pem: &str) -> Option<Vec<u8>> {
    parse_x509_pem(pem.as_bytes()).ok().map(|(_, block)| block.contents)
}
