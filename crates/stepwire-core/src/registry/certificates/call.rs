//! Requests that change certificates.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Certificate, Registration, Request, Status, Write};
use crate::error::ApiError;
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::events::registered_itself;
use crate::registry::names::certificate_arn;
use crate::registry::policies::Target;
use crate::registry::{Registry, Turn};

impl Registry {
    pub(in crate::registry) fn call_certificates(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Register(registration) => self.register(registration, turn),
            Request::RegisterItself(registration) => self.register_itself(registration, turn),
            Request::Update(id, status) => self.update_certificate(id, *status, turn),
            Request::Delete { id, force } => self.delete_certificate(id, *force, turn),
            Request::DeleteRegistrationCode => Ok(self.throw_code_away(turn)),
            Request::RegisterAuthority { document, proof, active, registers, tags } => {
                let proof = proof.as_deref();
                let answer = self.register_authority(document, proof, *active, *registers, turn)?;
                self.tag_new(&format!("cacert/{}", document.id), tags, turn);
                Ok(answer)
            }
            Request::UpdateAuthority(update) => self.update_authority(update, turn),
            Request::DeleteAuthority(id) => self.delete_authority(id, turn),
            Request::Describe(_)
            | Request::List(_)
            | Request::ListSigned(..)
            | Request::GetRegistrationCode
            | Request::DescribeAuthority(_)
            | Request::ListAuthorities(_) => Err(invalid("this request only reads")),
        }
    }

    fn register(
        &mut self,
        registration: &Registration,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let id = &registration.document.id;
        if self.certificates.find(id).is_some() {
            let why = "The certificate is already provisioned or registered";
            return Err(ApiError::new("ResourceAlreadyExistsException", why)
                .with("resourceId", Json::String(Arc::clone(id)))
                .with("resourceArn", certificate_arn(turn.settings, id)));
        }
        if let Some(authority) = &registration.authority {
            self.active_authority(authority)?;
        }
        self.record_new(registration, turn);
        Ok(Json::object([
            ("certificateArn", certificate_arn(turn.settings, id)),
            ("certificateId", Json::String(Arc::clone(id))),
        ]))
    }

    /// Registers a certificate that its authority lets register itself. Nothing happens when it is
    /// known, or may not: whoever connects with it is refused as anybody is.
    fn register_itself(
        &mut self,
        registration: &Registration,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let Some(authority) = &registration.authority else { return Ok(nothing()) };
        let lets = self.active_authority(authority)?.registers;
        let id = &registration.document.id;
        if lets && self.certificates.find(id).is_none() {
            let event = registered_itself(id, authority, turn);
            self.record_new(registration, turn);
            turn.out.events.push(event);
        }
        Ok(nothing())
    }

    fn record_new(&mut self, registration: &Registration, turn: &mut Turn<'_>) {
        let Registration { document, status, mode, authority } = registration;
        let id = &document.id;
        let certificate = Certificate {
            id: Arc::clone(id),
            authority: authority.clone(),
            status: *status,
            mode: *mode,
            created: turn.now,
            modified: turn.now,
            version: 1,
            facts: Arc::new(document.facts.clone()),
        };
        self.record(Write::Certificate(Arc::clone(id), Some(certificate)), turn);
        self.record(Write::Text(Arc::clone(id), Some(Arc::clone(&document.pem))), turn);
        if let Some(authority) = authority {
            let (authority, certificate) = (Arc::clone(authority), Arc::clone(id));
            self.record(Write::Signed { authority, certificate, there: true }, turn);
        }
    }

    fn update_certificate(
        &mut self,
        id: &Arc<str>,
        status: Status,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let certificate = self.certificate(id)?;
        if certificate.status != status {
            let (version, modified) = (certificate.version + 1, turn.now);
            let certificate = Certificate { status, modified, version, ..certificate.clone() };
            self.record(Write::Certificate(Arc::clone(id), Some(certificate)), turn);
        }
        Ok(nothing())
    }

    fn delete_certificate(
        &mut self,
        id: &Arc<str>,
        force: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let certificate = self.certificate(id)?;
        if certificate.status == Status::Active {
            let why = "Certificate must be deactivated (not ACTIVE) before deletion";
            return Err(ApiError::new("CertificateStateException", why));
        }
        let authority = certificate.authority.clone();
        let target = Target::Certificate(Arc::clone(id));
        let thing = self.things.of_certificate(id).next().is_some();
        if thing || (self.policies.attached_to(&target).next().is_some() && !force) {
            let what = if thing { "Things" } else { "Certificate policies" };
            let why = format!("{what} must be detached before deletion (arn: {id})");
            return Err(ApiError::new("DeleteConflictException", why));
        }
        self.detach_policies(&target, turn);
        self.record(Write::Certificate(Arc::clone(id), None), turn);
        self.record(Write::Text(Arc::clone(id), None), turn);
        if let Some(authority) = authority {
            let certificate = Arc::clone(id);
            self.record(Write::Signed { authority, certificate, there: false }, turn);
        }
        Ok(nothing())
    }

    pub(in crate::registry) fn certificate(&self, id: &str) -> Result<&Certificate, ApiError> {
        self.certificates.find(id).ok_or_else(|| missing(&format!("Certificate {id}")))
    }
}
