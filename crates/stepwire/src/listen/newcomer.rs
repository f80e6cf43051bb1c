//! Certificates that register themselves (just-in-time registration): whoever connects with one
//! that is not registered is asked whose signature it has.
//!
//! Source: AWS IoT developer guide, "Register a client certificate when the client connects to AWS
//! IoT just-in-time registration (JITR)".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_core::registry::certificates::{
    Mode, Registration, Request, Signer, Status, is_registered, signers,
};
use stepwire_core::{ApiError, registry};

use crate::node::Node;
use crate::shard;
use crate::signature::is_signed_by;

/// What to register at the first connection with the certificate `der`, whose key the client has
/// proved to have; `None` if it is registered, or if no authority lets it register itself.
///
/// It costs one look into the store if the certificate is registered. Otherwise it is looked
/// through the authorities for its issuer; only the signature of one that lets its certificates
/// register themselves is checked.
pub(super) fn newcomer(node: &Node, id: &str, der: &[u8]) -> Option<Registration> {
    let read = node.snapshot();
    let found = shard::catch(|| {
        if is_registered(id, &read) {
            return Ok(None);
        }
        let mut registration = Registration::parse(&pem(der), None, Mode::Default)?;
        registration.status = Status::PendingActivation;
        let document = &registration.document;
        let lets = |signer: &Signer| {
            signer.active && signer.registers && is_signed_by(&document.pem, &signer.pem)
        };
        let authority = signers(&document.facts.issuer, &read)?.into_iter().find(lets);
        registration.authority = authority.map(|signer| signer.id);
        Ok::<_, ApiError>(registration.authority.is_some().then_some(registration))
    });
    match found {
        Ok(Ok(newcomer)) => newcomer,
        Ok(Err(error)) => {
            tracing::debug!("certificate `{id}` cannot register itself: {}", error.message);
            None
        }
        Err(error) => {
            tracing::warn!("certificate `{id}` cannot be looked for: {error}");
            None
        }
    }
}

/// Returns when the certificate is registered, durably, and waits for its activation.
pub(super) async fn register(node: &Node, newcomer: Registration) {
    let id = newcomer.document.id.clone();
    let request = registry::Request::Certificates(Request::RegisterItself(newcomer));
    match node.call(stepwire_core::Request::Registry(request)).await {
        Ok(_) => tracing::info!("certificate `{id}` has registered itself"),
        Err(error) => {
            tracing::warn!("certificate `{id}` has not registered itself: {}", error.message);
        }
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}
