//! Registry requests that change something.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::view::{certificate_arn, policy_arn, thing_arn};
use super::{
    Attached, Certificate, CertificateStatus, PolicyRecord, Registry, Request, Thing, Write,
};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::settings::Settings;

/// Attributes of a thing without a thing type.
const ATTRIBUTES_MAX: usize = 50;

impl Registry {
    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateThing { name, attributes } => {
                self.create_thing(now, name, attributes, settings, out)
            }
            Request::UpdateThing { name, attributes, merge, expected } => {
                let mut thing = self.thing(name)?.clone();
                check_version(&thing, *expected)?;
                if !merge {
                    thing.attributes.clear();
                }
                for (name, value) in attributes {
                    if value.is_empty() {
                        thing.attributes.remove(name);
                    } else {
                        thing.attributes.insert(Arc::clone(name), Arc::clone(value));
                    }
                }
                if thing.attributes.len() > ATTRIBUTES_MAX {
                    return Err(invalid(format!(
                        "a thing has at most {ATTRIBUTES_MAX} attributes"
                    )));
                }
                thing.version += 1;
                self.record(Write::Thing(Arc::clone(name), Some(thing)), out);
                Ok(nothing())
            }
            Request::DeleteThing { name, expected } => {
                if let Some(thing) = self.things.get(name) {
                    check_version(thing, *expected)?;
                    if self.principals.contains_key(name) {
                        let why = format!("principals are attached to the thing `{name}`");
                        return Err(invalid(why));
                    }
                    self.record(Write::Thing(Arc::clone(name), None), out);
                }
                Ok(nothing())
            }
            Request::RegisterIssuedCertificate { id, pem, active } => {
                Ok(self.register(now, id, pem, *active, settings, out))
            }
            Request::UpdateCertificate(id, status) => {
                let certificate =
                    Certificate { status: *status, modified: now, ..self.certificate(id)?.clone() };
                self.record(Write::Certificate(Arc::clone(id), Some(certificate)), out);
                Ok(nothing())
            }
            Request::DeleteCertificate { id, force } => self.delete_certificate(id, *force, out),
            Request::CreatePolicy { name, document } => {
                if self.policies.contains_key(name) {
                    let why =
                        format!("Policy cannot be created - name already exists (name={name})");
                    return Err(ApiError::new("ResourceAlreadyExistsException", why));
                }
                let record = PolicyRecord {
                    name: Arc::clone(name),
                    document: Arc::clone(document),
                    created: now,
                };
                self.record(Write::Policy(Arc::clone(name), Some(record)), out);
                Ok(Json::object([
                    ("policyName", Json::String(Arc::clone(name))),
                    ("policyArn", policy_arn(settings, name)),
                    ("policyDocument", Json::String(Arc::clone(document))),
                    ("policyVersionId", "1".into()),
                ]))
            }
            Request::DeletePolicy(name) => self.delete_policy(name, out),
            Request::AttachPolicy { policy, certificate, attach } => {
                self.policy(policy)?;
                self.attach(now, certificate, Attached::Policy(Arc::clone(policy)), *attach, out)
            }
            Request::AttachThing { thing, certificate, attach } => {
                self.thing(thing)?;
                self.attach(now, certificate, Attached::Thing(Arc::clone(thing)), *attach, out)
            }
            _ => Err(invalid("this request only reads")),
        }
    }

    fn create_thing(
        &mut self,
        now: Timestamp,
        name: &Arc<str>,
        attributes: &BTreeMap<Arc<str>, Arc<str>>,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        if let Some(there) = self.things.get(name) {
            if there.attributes != *attributes {
                let why = format!(
                    "Thing {name} already exists in account {} with different attributes",
                    settings.account
                );
                return Err(ApiError::new("ResourceAlreadyExistsException", why)
                    .with("resourceId", Json::String(Arc::clone(&there.id)))
                    .with("resourceArn", thing_arn(settings, name)));
            }
            return Ok(created(there, settings));
        }
        let parts: Vec<u64> = name.bytes().map(u64::from).chain([now.0 as u64]).collect();
        let thing = Thing {
            name: Arc::clone(name),
            id: derived_uuid(&settings.secret, "thing", &parts).into(),
            attributes: attributes.clone(),
            version: 1,
            created: now,
        };
        let answer = created(&thing, settings);
        self.record(Write::Thing(Arc::clone(name), Some(thing)), out);
        Ok(answer)
    }

    fn register(
        &mut self,
        now: Timestamp,
        id: &Arc<str>,
        pem: &Arc<str>,
        active: bool,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Json {
        if !self.certificates.contains_key(id) {
            let status =
                if active { CertificateStatus::Active } else { CertificateStatus::Inactive };
            let certificate = Certificate {
                id: Arc::clone(id),
                pem: Arc::clone(pem),
                status,
                created: now,
                modified: now,
            };
            self.record(Write::Certificate(Arc::clone(id), Some(certificate)), out);
        }
        Json::object([
            ("certificateArn", certificate_arn(settings, id)),
            ("certificateId", Json::String(Arc::clone(id))),
            ("certificatePem", Json::String(Arc::clone(pem))),
        ])
    }

    fn delete_certificate(
        &mut self,
        id: &Arc<str>,
        force: bool,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let certificate = self.certificate(id)?;
        if certificate.status == CertificateStatus::Active {
            let why = "Certificate must be deactivated (not ACTIVE) before deletion";
            return Err(ApiError::new("CertificateStateException", why));
        }
        let attached = self.attached.get(id).cloned().unwrap_or_default();
        let thing = attached.iter().any(|attached| matches!(attached, Attached::Thing(_)));
        if thing || (!attached.is_empty() && !force) {
            let what = if thing { "Things" } else { "Certificate policies" };
            let why = format!("{what} must be detached before deletion (arn: {id})");
            return Err(ApiError::new("DeleteConflictException", why));
        }
        for attached in attached {
            let certificate = Arc::clone(id);
            self.record(Write::Attachment { certificate, attached, since: None }, out);
        }
        self.record(Write::Certificate(Arc::clone(id), None), out);
        Ok(nothing())
    }

    fn delete_policy(&mut self, name: &Arc<str>, out: &mut Vec<Write>) -> Result<Json, ApiError> {
        self.policy(name)?;
        let policy = Attached::Policy(Arc::clone(name));
        if self.attached.values().any(|attached| attached.contains(&policy)) {
            let why = format!(
                "Cannot delete the policy because it is attached to some principal (name={name})"
            );
            return Err(ApiError::new("DeleteConflictException", why));
        }
        self.record(Write::Policy(Arc::clone(name), None), out);
        Ok(nothing())
    }

    fn attach(
        &mut self,
        now: Timestamp,
        certificate: &Arc<str>,
        attached: Attached,
        attach: bool,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        self.certificate(certificate)?;
        let there = self.attached.get(certificate).is_some_and(|all| all.contains(&attached));
        if there != attach {
            let (certificate, since) = (Arc::clone(certificate), attach.then_some(now));
            self.record(Write::Attachment { certificate, attached, since }, out);
        }
        Ok(nothing())
    }

    fn thing(&self, name: &str) -> Result<&Thing, ApiError> {
        self.things.get(name).ok_or_else(|| missing(&format!("Thing {name}")))
    }

    fn certificate(&self, id: &str) -> Result<&Certificate, ApiError> {
        self.certificates.get(id).ok_or_else(|| missing(&format!("Certificate {id}")))
    }

    fn policy(&self, name: &str) -> Result<(), ApiError> {
        let known = self.policies.contains_key(name);
        if known { Ok(()) } else { Err(missing(&format!("Policy {name}"))) }
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }
}

fn check_version(thing: &Thing, expected: Option<i64>) -> Result<(), ApiError> {
    match expected {
        Some(expected) if expected != thing.version as i64 => {
            let why = format!("expected version {expected}, the thing has {}", thing.version);
            Err(ApiError::new("VersionConflictException", why))
        }
        _ => Ok(()),
    }
}

fn created(thing: &Thing, settings: &Settings) -> Json {
    Json::object([
        ("thingName", Json::String(Arc::clone(&thing.name))),
        ("thingArn", thing_arn(settings, &thing.name)),
        ("thingId", Json::String(Arc::clone(&thing.id))),
    ])
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", why)
}

/// What was asked for is not there.
pub(super) fn missing(what: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("{what} cannot be found."))
}
