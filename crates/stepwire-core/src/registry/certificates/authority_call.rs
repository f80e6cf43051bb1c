//! Requests that change authorities.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Authority, AuthorityUpdate, Document, Mode, Write, registration_code};
use crate::error::ApiError;
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::names::authority_arn;
use crate::registry::{Registry, Turn};

/// Most registered authorities (AWS: 10 per account with one subject; ours in all).
const AUTHORITIES_MAX: usize = 100;

impl Registry {
    /// `proof` is the certificate that the authority's key has signed, as the shell has checked.
    pub(super) fn register_authority(
        &mut self,
        document: &Document,
        proof: Option<&Document>,
        active: bool,
        registers: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let authorities = &self.certificates.authorities;
        if !document.facts.is_authority {
            let why = "the certificate is not one of an authority: its basic constraints lack `CA`";
            return Err(ApiError::new("CertificateValidationException", why));
        }
        if authorities.find(&document.id).is_some() {
            let why = "CA certificate is already registered";
            return Err(ApiError::new("ResourceAlreadyExistsException", why)
                .with("resourceId", Json::String(Arc::clone(&document.id)))
                .with("resourceArn", authority_arn(turn.settings, &document.id)));
        }
        if authorities.len() >= AUTHORITIES_MAX {
            let why = format!("at most {AUTHORITIES_MAX} authorities can be registered");
            return Err(ApiError::new("LimitExceededException", why));
        }
        if let Some(proof) = proof {
            let code = registration_code(&turn.settings.secret, authorities.codes_thrown_away);
            if proof.facts.common_name().is_none_or(|name| **name != *code) {
                let why = "Registration code does not match: the common name of the verification \
                           certificate must be the registration code";
                return Err(ApiError::new("RegistrationCodeValidationException", why));
            }
        }
        let authority = Authority {
            id: Arc::clone(&document.id),
            pem: Arc::clone(&document.pem),
            active,
            registers,
            mode: if proof.is_some() { Mode::Default } else { Mode::SniOnly },
            created: turn.now,
            modified: turn.now,
            version: 1,
            facts: document.facts.clone(),
        };
        self.record(Write::Authority(Arc::clone(&document.id), Some(authority)), turn);
        Ok(Json::object([
            ("certificateArn", authority_arn(turn.settings, &document.id)),
            ("certificateId", Json::String(Arc::clone(&document.id))),
        ]))
    }

    pub(super) fn update_authority(
        &mut self,
        update: &AuthorityUpdate,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut authority = self.authority(&update.id)?.clone();
        authority.active = update.active.unwrap_or(authority.active);
        authority.registers = update.registers.unwrap_or(authority.registers);
        authority.modified = turn.now;
        authority.version += 1;
        self.record(Write::Authority(Arc::clone(&update.id), Some(authority)), turn);
        Ok(nothing())
    }

    pub(super) fn delete_authority(
        &mut self,
        id: &Arc<str>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        if self.authority(id)?.active {
            let why = "CA certificate must be deactivated (not ACTIVE) before deletion";
            return Err(ApiError::new("CertificateStateException", why));
        }
        self.untag_gone(&format!("cacert/{id}"), turn);
        self.record(Write::Authority(Arc::clone(id), None), turn);
        Ok(nothing())
    }

    pub(super) fn throw_code_away(&mut self, turn: &mut Turn<'_>) -> Json {
        let number = self.certificates.authorities.codes_thrown_away + 1;
        self.record(Write::Code(number), turn);
        nothing()
    }

    pub(super) fn authority(&self, id: &str) -> Result<&Authority, ApiError> {
        let authority = self.certificates.authorities.find(id);
        authority.ok_or_else(|| missing(&format!("CA certificate {id}")))
    }

    /// The authority, if certificates it has signed may be registered.
    pub(super) fn active_authority(&self, id: &str) -> Result<&Authority, ApiError> {
        let authority = self.authority(id).map_err(|_| invalid("its CA is not registered"))?;
        if authority.active {
            return Ok(authority);
        }
        let why = "The CA certificate that signed it is not ACTIVE";
        Err(ApiError::new("CertificateStateException", why))
    }
}
