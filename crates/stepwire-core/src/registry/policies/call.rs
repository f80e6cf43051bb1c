//! Requests that change policies.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;

use super::{PolicyRecord, Request, Version, Write};
use crate::error::ApiError;
use crate::registry::error::{invalid, missing, nothing};
use crate::registry::names::policy_arn;
use crate::registry::{Registry, Turn};

/// Versions that a policy can have at a time.
const VERSIONS_MAX: usize = 5;

impl Registry {
    pub(in crate::registry) fn call_policies(
        &mut self,
        request: &Request,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create { name, document, tags } => {
                let answer = self.create_policy(name, document, turn)?;
                self.tag_new(&format!("policy/{name}"), tags, turn);
                Ok(answer)
            }
            Request::CreateVersion { name, document, default } => {
                self.create_version(name, document, *default, turn)
            }
            Request::SetDefault(name, number) => {
                let mut policy = self.version(name, *number)?.clone();
                policy.default = *number;
                policy.modified = turn.now;
                self.record(Write::Policy(Arc::clone(name), Some(policy)), turn);
                Ok(nothing())
            }
            Request::Delete(name, None) => self.delete_policy(name, turn),
            Request::Delete(name, Some(number)) => self.delete_version(name, *number, turn),
            Request::Attach { policy, target, attach: true } => {
                self.attach_policy(policy, target, turn)
            }
            Request::Attach { policy, target, attach: false } => {
                self.detach_policy(policy, target, turn)
            }
            Request::ListAttached { target, page, .. } => {
                self.list_inherited(target, page, turn.settings)
            }
            Request::Test(test) => self.test_authorization(test, turn),
            Request::GetEffective { principal, thing } => {
                self.effective_policies(principal.as_ref(), thing.as_deref(), turn.settings)
            }
            Request::Get(..)
            | Request::List(_)
            | Request::ListVersions(_)
            | Request::ListTargets { .. } => Err(invalid("this request only reads")),
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
            return Err(ApiError::new("ResourceAlreadyExistsException", why)
                .with("resourceId", Json::String(Arc::clone(name)))
                .with("resourceArn", policy_arn(turn.settings, name)));
        }
        let version = Version { document: Arc::clone(document), created: turn.now };
        let record = PolicyRecord {
            name: Arc::clone(name),
            versions: BTreeMap::from([(1, version)]),
            default: 1,
            newest: 1,
            created: turn.now,
            modified: turn.now,
        };
        self.record(Write::Policy(Arc::clone(name), Some(record)), turn);
        Ok(Json::object([
            ("policyName", Json::String(Arc::clone(name))),
            ("policyArn", policy_arn(turn.settings, name)),
            ("policyDocument", Json::String(Arc::clone(document))),
            ("policyVersionId", "1".into()),
        ]))
    }

    fn create_version(
        &mut self,
        name: &Arc<str>,
        document: &Arc<str>,
        default: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut policy = self.policy(name)?.clone();
        if policy.versions.len() >= VERSIONS_MAX {
            let why = format!(
                "The policy {name} already has the maximum number of versions ({VERSIONS_MAX})"
            );
            return Err(ApiError::new("VersionsLimitExceededException", why));
        }
        let number = policy.newest + 1;
        let version = Version { document: Arc::clone(document), created: turn.now };
        policy.versions.insert(number, version);
        policy.newest = number;
        policy.modified = turn.now;
        if default {
            policy.default = number;
        }
        self.record(Write::Policy(Arc::clone(name), Some(policy)), turn);
        Ok(Json::object([
            ("policyArn", policy_arn(turn.settings, name)),
            ("policyDocument", Json::String(Arc::clone(document))),
            ("policyVersionId", number.to_string().into()),
            ("isDefaultVersion", default.into()),
        ]))
    }

    fn delete_version(
        &mut self,
        name: &Arc<str>,
        number: u32,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut policy = self.version(name, number)?.clone();
        if policy.default == number {
            let why = "Cannot delete the default version of a policy";
            return Err(ApiError::new("DeleteConflictException", why));
        }
        policy.versions.remove(&number);
        self.record(Write::Policy(Arc::clone(name), Some(policy)), turn);
        Ok(nothing())
    }

    fn delete_policy(&mut self, name: &Arc<str>, turn: &mut Turn<'_>) -> Result<Json, ApiError> {
        let policy = self.policy(name)?;
        let why = if policy.versions.len() > 1 {
            format!("Cannot delete the policy because it has non-default versions (name={name})")
        } else if self.policies.targets(name).next().is_some() {
            format!(
                "Cannot delete the policy because it is attached to some principal (name={name})"
            )
        } else {
            self.untag_gone(&format!("policy/{name}"), turn);
            self.record(Write::Policy(Arc::clone(name), None), turn);
            return Ok(nothing());
        };
        Err(ApiError::new("DeleteConflictException", why))
    }

    pub(super) fn policy(&self, name: &str) -> Result<&PolicyRecord, ApiError> {
        self.policies.record(name).ok_or_else(|| missing(&format!("Policy {name}")))
    }

    /// The policy, if it has this version.
    fn version(&self, name: &str, number: u32) -> Result<&PolicyRecord, ApiError> {
        let policy = self.policy(name)?;
        let there = policy.versions.contains_key(&number);
        there.then_some(policy).ok_or_else(|| missing(&format!("Version {number} of {name}")))
    }
}
