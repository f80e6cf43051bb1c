//! Requests that change policies.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{PolicyRecord, Request, Side, Target, Write};
use crate::error::ApiError;
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::names::policy_arn;
use crate::registry::{Registry, Turn};

impl Registry {
    pub(in crate::registry) fn call_policies(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create { name, document } => self.create_policy(name, document, turn),
            Request::Delete(name) => self.delete_policy(name, turn),
            Request::Attach { policy, target, attach } => {
                self.attach_policy(policy, target, *attach, turn)
            }
            Request::Get(_) | Request::List(_) | Request::ListAttached(..) => {
                Err(invalid("this request only reads"))
            }
        }
    }

    fn create_policy(
        &mut self,
        name: &Arc<str>,
        document: &Arc<str>,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        if self.policies.find(name).is_some() {
            let why = format!("Policy cannot be created - name already exists (name={name})");
            return Err(ApiError::new("ResourceAlreadyExistsException", why));
        }
        let record = PolicyRecord {
            name: Arc::clone(name),
            document: Arc::clone(document),
            created: turn.now,
        };
        self.record(Write::Policy(Arc::clone(name), Some(record)), turn);
        Ok(Json::object([
            ("policyName", Json::String(Arc::clone(name))),
            ("policyArn", policy_arn(turn.settings, name)),
            ("policyDocument", Json::String(Arc::clone(document))),
            ("policyVersionId", "1".into()),
        ]))
    }

    fn delete_policy(&mut self, name: &Arc<str>, turn: &mut Turn<'_>) -> Result<Json, ApiError> {
        self.policy(name)?;
        if self.policies.targets.contains_key(name) {
            let why = format!(
                "Cannot delete the policy because it is attached to some principal (name={name})"
            );
            return Err(ApiError::new("DeleteConflictException", why));
        }
        self.record(Write::Policy(Arc::clone(name), None), turn);
        Ok(nothing())
    }

    fn attach_policy(
        &mut self,
        policy: &Arc<str>,
        target: &Target,
        attach: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        self.policy(policy)?;
        match target {
            Target::Certificate(id) => self.certificate(id).map(|_| ())?,
            Target::Group(name) => return Err(missing(&format!("Thing group {name}"))),
        }
        let there = self.policies.attached_to(target).any(|attached| attached == policy);
        if there != attach {
            self.record_attachment(policy, target, attach, turn);
        }
        Ok(nothing())
    }

    /// Detaches every policy of `target`.
    pub(in crate::registry) fn detach_policies(&mut self, target: &Target, turn: &mut Turn<'_>) {
        let policies: Vec<_> = self.policies.attached_to(target).cloned().collect();
        for policy in policies {
            self.record_attachment(&policy, target, false, turn);
        }
    }

    fn record_attachment(
        &mut self,
        policy: &Arc<str>,
        target: &Target,
        attach: bool,
        turn: &mut Turn<'_>,
    ) {
        for side in [Side::Policy, Side::Target] {
            let (policy, target) = (Arc::clone(policy), target.clone());
            let since = attach.then_some(turn.now);
            self.record(Write::Attachment { side, policy, target, since }, turn);
        }
    }

    fn policy(&self, name: &str) -> Result<(), ApiError> {
        let known = self.policies.find(name).is_some();
        if known { Ok(()) } else { Err(missing(&format!("Policy {name}"))) }
    }
}
