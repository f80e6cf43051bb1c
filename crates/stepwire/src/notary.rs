//! Signatures of the documents that topics send to HTTP endpoints, and the certificate that they are
//! checked with.
//!
//! They are made when a document leaves: the kernel does not wait for RSA. They are always of
//! version 2 (SHA-256), since nothing here signs with SHA-1. Source: Amazon SNS developer guide,
//! "Verifying the signatures of Amazon SNS messages".

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rcgen::{KeyPair, SigningKey as _};
use stepwire_asl::Json;

use crate::ca::Authority;

/// What the path of the certificate begins with; the beginning of its hash follows.
const PATH: &str = "/SimpleNotificationService-";
/// What is signed of a notification, in this order. A member that is not there is left out.
const NOTIFICATION: [&str; 6] =
    ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
/// What is signed of questions to endpoints.
const QUESTION: [&str; 7] =
    ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// Signs documents. Its key is made at the first one.
pub(crate) struct Notary {
    authority: Arc<Authority>,
    /// Where the certificate is to be had: `https://HOST:PORT`.
    endpoint: String,
    seal: OnceLock<Option<Seal>>,
}

struct Seal {
    key: KeyPair,
    certificate_pem: String,
    path: String,
}

impl Notary {
    pub(crate) fn new(authority: Arc<Authority>, endpoint: String) -> Notary {
        Notary { authority, endpoint, seal: OnceLock::new() }
    }

    /// The document with a signature in place of the one it has; as it is, where it is no document of
    /// a topic or no key can be had. Takes a millisecond, the first time some hundred.
    pub(crate) fn signed(&self, document: &Bytes) -> Bytes {
        let parsed = std::str::from_utf8(document).ok().and_then(|text| Json::parse(text).ok());
        let members = parsed.as_ref().and_then(Json::as_object);
        let (Some(members), Some(seal)) = (members, self.seal()) else { return document.clone() };
        if !members.contains_key("Signature") {
            return document.clone();
        }
        let Ok(signature) = seal.key.sign(to_sign(members).as_bytes()) else {
            return document.clone();
        };
        let url = format!("{}{}", self.endpoint, seal.path);
        let members = members.iter().map(|(name, value)| {
            let value = match &**name {
                "SignatureVersion" => "2".into(),
                "Signature" => STANDARD.encode(&signature).into(),
                "SigningCertURL" => url.as_str().into(),
                _ => value.clone(),
            };
            (Arc::clone(name), value)
        });
        Json::object(members).to_text().into()
    }

    /// The certificate, PEM, if `path` names it.
    pub(crate) fn certificate(&self, path: &str) -> Option<&str> {
        let seal = self.seal().filter(|seal| seal.path == path)?;
        Some(&seal.certificate_pem)
    }

    fn seal(&self) -> Option<&Seal> {
        let make = || {
            let made = self.authority.notary();
            let warned = made.inspect_err(|error| {
                tracing::warn!("what topics send over HTTP is not signed: {error}");
            });
            let (key, identity) = warned.ok()?;
            let path = format!("{PATH}{}.pem", &identity.id[..32]);
            Some(Seal { key, certificate_pem: identity.certificate_pem, path })
        };
        self.seal.get_or_init(make).as_ref()
    }
}

/// Whether a path is one that a certificate may be at.
pub(crate) fn is_certificate(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|name| name.strip_suffix(".pem").is_some())
}

/// The text that a signature is of: names and values, each with a line break behind it.
fn to_sign(members: &stepwire_asl::json::Object) -> String {
    let text = |name: &str| members.get(name).and_then(Json::as_str);
    let names: &[&str] =
        if text("Type") == Some("Notification") { &NOTIFICATION } else { &QUESTION };
    let pairs = names.iter().filter_map(|name| Some(format!("{name}\n{}\n", text(name)?)));
    pairs.collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;
    use crate::signature::der;

    const DOCUMENT: &str = r#"{"Type":"Notification","MessageId":"1","TopicArn":"arn","Subject":"s","Message":"m","Timestamp":"t","SignatureVersion":"1","Signature":"x","SigningCertURL":"u","UnsubscribeURL":"v"}"#;

    fn notary() -> Notary {
        Notary::new(Arc::new(Authority::in_memory().unwrap()), "https://127.0.0.1:1".to_owned())
    }

    #[test]
    fn a_signature_is_of_the_certificate_that_the_document_names() {
        let notary = notary();
        let signed = notary.signed(&Bytes::from_static(DOCUMENT.as_bytes()));
        let json = Json::parse(std::str::from_utf8(&signed).unwrap()).unwrap();
        let text = |name: &str| json.member(name).and_then(Json::as_str).unwrap().to_owned();
        assert_eq!((&*text("SignatureVersion"), &*text("UnsubscribeURL")), ("2", "v"));
        let path = text("SigningCertURL").strip_prefix("https://127.0.0.1:1").unwrap().to_owned();
        assert!(is_certificate(&path), "{path}");
        assert_eq!(notary.certificate("/SimpleNotificationService-0.pem"), None);
        let der = der(notary.certificate(&path).unwrap()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let signature = STANDARD.decode(text("Signature")).unwrap();
        let wanted = "Message\nm\nMessageId\n1\nSubject\ns\nTimestamp\nt\nTopicArn\narn\nType\nNotification\n";
        let verifies = |message: &str| {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let mut known = provider.signature_verification_algorithms.all.iter();
            let wanted = rustls::pki_types::alg_id::RSA_PKCS1_SHA256;
            let known = known.find(|one| one.signature_alg_id() == wanted).unwrap();
            let key = &certificate.public_key().subject_public_key.data;
            known.verify_signature(key, message.as_bytes(), &signature).is_ok()
        };
        assert!(verifies(wanted));
        assert!(!verifies("another"));
    }

    #[test]
    fn of_a_question_its_token_and_its_url_are_signed() {
        let question = r#"{"Type":"SubscriptionConfirmation","MessageId":"1","Token":"k","TopicArn":"arn","Message":"m","SubscribeURL":"u","Timestamp":"t","Signature":"x"}"#;
        let json = Json::parse(question).unwrap();
        let text = to_sign(json.as_object().unwrap());
        assert_eq!(
            text,
            "Message\nm\nMessageId\n1\nSubscribeURL\nu\nTimestamp\nt\nToken\nk\nTopicArn\narn\nType\nSubscriptionConfirmation\n"
        );
    }

    #[test]
    fn what_is_no_document_of_a_topic_goes_as_it_is() {
        for body in ["raw", "{\"a\":1}", "[]"] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            assert_eq!(notary().signed(&body), body);
        }
    }
}
