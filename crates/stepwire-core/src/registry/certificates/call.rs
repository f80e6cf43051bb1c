//! Requests that change certificates.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Certificate, Request, Status, Write};
use crate::error::ApiError;
use crate::registry::error::{invalid, missing, nothing};
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
            Request::RegisterIssued { id, pem, active } => {
                Ok(self.register(id, pem, *active, turn))
            }
            Request::Update(id, status) => {
                let modified = turn.now;
                let certificate =
                    Certificate { status: *status, modified, ..self.certificate(id)?.clone() };
                self.record(Write::Certificate(Arc::clone(id), Some(certificate)), turn);
                Ok(nothing())
            }
            Request::Delete { id, force } => self.delete_certificate(id, *force, turn),
            Request::Describe(_) | Request::List(_) => Err(invalid("this request only reads")),
        }
    }

    fn register(
        &mut self,
        id: &Arc<str>,
        pem: &Arc<str>,
        active: bool,
        turn: &mut Turn<'_>,
    ) -> Json {
        if self.certificates.find(id).is_none() {
            let status = if active { Status::Active } else { Status::Inactive };
            let certificate = Certificate {
                id: Arc::clone(id),
                pem: Arc::clone(pem),
                status,
                created: turn.now,
                modified: turn.now,
            };
            self.record(Write::Certificate(Arc::clone(id), Some(certificate)), turn);
        }
        Json::object([
            ("certificateArn", certificate_arn(turn.settings, id)),
            ("certificateId", Json::String(Arc::clone(id))),
            ("certificatePem", Json::String(Arc::clone(pem))),
        ])
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
        let target = Target::Certificate(Arc::clone(id));
        let thing = self.things.of_certificate(id).next().is_some();
        if thing || (self.policies.attached_to(&target).next().is_some() && !force) {
            let what = if thing { "Things" } else { "Certificate policies" };
            let why = format!("{what} must be detached before deletion (arn: {id})");
            return Err(ApiError::new("DeleteConflictException", why));
        }
        self.detach_policies(&target, turn);
        self.record(Write::Certificate(Arc::clone(id), None), turn);
        Ok(nothing())
    }

    pub(in crate::registry) fn certificate(&self, id: &str) -> Result<&Certificate, ApiError> {
        self.certificates.find(id).ok_or_else(|| missing(&format!("Certificate {id}")))
    }
}
