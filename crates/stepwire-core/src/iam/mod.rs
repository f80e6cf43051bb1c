//! Roles, policies and instance profiles (AWS IAM), and who a request is from (AWS STS).
//!
//! They are stored and shown, and not enforced: whoever has the node's key may do everything.
//! All of it is in memory.
//!
//! Read in this order: [`Iam`], [`Request`], [`Write`], [`Role`]; then `view`, [`sts`],
//! [`Session`].

mod document;
mod record;
mod request;
mod session;
pub mod sts;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use record::{Policy, Profile, Role, Tags, Version};
pub use request::{New, Page, Request, Show, Tagged};
pub use session::{Credentials, Session};
pub use view::answer;

use crate::error::ApiError;
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;
use record::{Kind, folded};

/// Most versions of a policy.
const VERSIONS_MAX: usize = 5;
/// Most policies attached to a role, and longest document of one, characters.
const ATTACHED_MAX: usize = 20;
const POLICY_CHARACTERS_MAX: usize = 6_144;
/// Longest documents of all inline policies of a role, characters.
const INLINE_CHARACTERS_MAX: usize = 10_240;

/// The roles, policies and instance profiles of a shard.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Iam {
    /// By name in small letters, as all three.
    roles: BTreeMap<String, Arc<Role>>,
    policies: BTreeMap<String, Arc<Policy>>,
    profiles: BTreeMap<String, Arc<Profile>>,
    /// Larger than every number that an identifier was made of.
    next: u64,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Numbers go on here.
    Next(u64),
    /// A role as it now is; `None`: there is none of this name.
    Role(Arc<str>, Option<Arc<Role>>),
    /// A policy as it now is; `None`: there is none of this name.
    Policy(Arc<str>, Option<Arc<Policy>>),
    /// An instance profile as it now is; `None`: there is none of this name.
    Profile(Arc<str>, Option<Arc<Profile>>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Next(next) => (record::key(Kind::Counter, ""), Some(record::value(next))),
            Write::Role(name, role) => {
                (record::key(Kind::Role, name), role.as_deref().map(record::value))
            }
            Write::Policy(name, policy) => {
                (record::key(Kind::Policy, name), policy.as_deref().map(record::value))
            }
            Write::Profile(name, profile) => {
                (record::key(Kind::Profile, name), profile.as_deref().map(record::value))
            }
        }
    }
}

impl Iam {
    /// What recovery reads into memory.
    pub const SPACES: &'static [Space] = &[Space::Iam];

    /// The only thing that changes roles, policies and instance profiles.
    pub fn apply(&mut self, write: &Write) {
        fn set<T>(map: &mut BTreeMap<String, Arc<T>>, name: &str, value: Option<&Arc<T>>) {
            match value {
                Some(value) => drop(map.insert(folded(name), Arc::clone(value))),
                None => drop(map.remove(&folded(name))),
            }
        }
        match write {
            Write::Next(next) => self.next = *next,
            Write::Role(name, role) => set(&mut self.roles, name, role.as_ref()),
            Write::Policy(name, policy) => set(&mut self.policies, name, policy.as_ref()),
            Write::Profile(name, profile) => set(&mut self.profiles, name, profile.as_ref()),
        }
    }

    /// Takes in one stored entry of [`Iam::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let is = |kind: Kind| key.get(1) == Some(&(kind as u8));
        let write = if is(Kind::Role) {
            let role: Role = record::record(key, value)?;
            Write::Role(Arc::clone(&role.name), Some(Arc::new(role)))
        } else if is(Kind::Policy) {
            let policy: Policy = record::record(key, value)?;
            Write::Policy(Arc::clone(&policy.name), Some(Arc::new(policy)))
        } else if is(Kind::Profile) {
            let profile: Profile = record::record(key, value)?;
            Write::Profile(Arc::clone(&profile.name), Some(Arc::new(profile)))
        } else {
            Write::Next(record::record(key, value)?)
        };
        self.apply(&write);
        Ok(())
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    fn keep_role(&mut self, role: Role, out: &mut Vec<Write>) {
        self.record(Write::Role(Arc::clone(&role.name), Some(Arc::new(role))), out);
    }

    fn keep_policy(&mut self, policy: Policy, out: &mut Vec<Write>) {
        self.record(Write::Policy(Arc::clone(&policy.name), Some(Arc::new(policy))), out);
    }

    fn keep_profile(&mut self, profile: Profile, out: &mut Vec<Write>) {
        self.record(Write::Profile(Arc::clone(&profile.name), Some(Arc::new(profile))), out);
    }

    fn identifier(&mut self, prefix: &str, settings: &Settings, out: &mut Vec<Write>) -> Arc<str> {
        let number = self.next;
        self.record(Write::Next(number + 1), out);
        session::identifier(prefix, number, &settings.secret).into()
    }

    /// The role of this name.
    pub(crate) fn role(&self, name: &str) -> Result<&Arc<Role>, ApiError> {
        let missing = || no_entity(format!("The role with name {name} cannot be found."));
        self.roles.get(&folded(name)).ok_or_else(missing)
    }

    fn policy(&self, arn: &str, settings: &Settings) -> Result<&Arc<Policy>, ApiError> {
        let found = arn.rsplit('/').next().and_then(|name| self.policies.get(&folded(name)));
        let missing = || {
            let known =
                if is_aws(arn) { ": AWS's own policies are not held by stepwire" } else { "" };
            no_entity(format!("Policy {arn} does not exist or is not attachable.{known}"))
        };
        found.filter(|policy| policy.arn(settings) == arn).ok_or_else(missing)
    }

    fn profile(&self, name: &str) -> Result<&Arc<Profile>, ApiError> {
        let missing = || no_entity(format!("Instance Profile {name} cannot be found."));
        self.profiles.get(&folded(name)).ok_or_else(missing)
    }

    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::CreateRole(new) => self.create_role(now, new, settings, out),
            Request::UpdateRole { role, description, session_s_max } => {
                let mut role = self.role(role)?.as_ref().clone();
                role.description = description.clone().or(role.description);
                role.session_s_max = session_s_max.or(role.session_s_max);
                let shown = view::role(&role, settings);
                self.keep_role(role, out);
                Ok(Json::object([("Role", shown)]))
            }
            Request::UpdateAssumeRolePolicy(role, document) => {
                let mut role = self.role(role)?.as_ref().clone();
                role.trust = Arc::clone(document);
                self.keep_role(role, out);
                Ok(nothing())
            }
            Request::Boundary(role, boundary) => {
                let mut role = self.role(role)?.as_ref().clone();
                role.boundary.clone_from(boundary);
                self.keep_role(role, out);
                Ok(nothing())
            }
            Request::DeleteRole(name) => self.delete_role(name, out),
            Request::RolePolicy { role, policy, document } => {
                self.role_policy(role, policy, document.as_ref(), out)
            }
            Request::AttachRolePolicy(role, arn) => self.attach(role, arn, settings, out),
            Request::DetachRolePolicy(role, arn) => {
                let mut role = self.role(role)?.as_ref().clone();
                let before = role.attached.len();
                role.attached.retain(|attached| attached != arn);
                if role.attached.len() == before {
                    return Err(no_entity(format!("Policy {arn} was not found.")));
                }
                self.keep_role(role, out);
                Ok(nothing())
            }
            Request::CreateServiceLinkedRole { service, suffix, description } => {
                let new = service_role(service, suffix.as_deref(), description.clone());
                if self.roles.contains_key(&folded(&new.name)) {
                    let message = format!(
                        "Service role name {} has been taken in this account, please try a \
                         different suffix.",
                        new.name
                    );
                    return Err(ApiError::new("InvalidInput", message));
                }
                self.create_role(now, &new, settings, out)
            }
            Request::CreatePolicy(new) => self.create_policy(now, new, settings, out),
            Request::DeletePolicy(arn) => self.delete_policy(arn, settings, out),
            Request::CreatePolicyVersion { policy, document, is_default } => {
                self.create_version(now, policy, document, *is_default, settings, out)
            }
            Request::SetDefaultPolicyVersion(arn, version) => {
                let mut policy = self.policy(arn, settings)?.as_ref().clone();
                policy.default = version_of(&policy, version)?.number;
                self.keep_policy(policy, out);
                Ok(nothing())
            }
            Request::DeletePolicyVersion(arn, version) => {
                let mut policy = self.policy(arn, settings)?.as_ref().clone();
                let number = version_of(&policy, version)?.number;
                if number == policy.default {
                    let message = "Cannot delete the default version of a policy.";
                    return Err(ApiError::new("DeleteConflict", message));
                }
                policy.versions.retain(|version| version.number != number);
                self.keep_policy(policy, out);
                Ok(nothing())
            }
            Request::CreateInstanceProfile(new) => self.create_profile(now, new, settings, out),
            Request::DeleteInstanceProfile(name) => {
                let profile = self.profile(name)?;
                if profile.role.is_some() {
                    return Err(conflict(
                        "Cannot delete entity, must remove roles from instance \
                                         profile first.",
                    ));
                }
                let name = Arc::clone(&profile.name);
                self.record(Write::Profile(name, None), out);
                Ok(nothing())
            }
            Request::AddRoleToInstanceProfile(profile, role) => {
                let role = Arc::clone(&self.role(role)?.name);
                let mut profile = self.profile(profile)?.as_ref().clone();
                if profile.role.is_some() {
                    let message = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
                    return Err(ApiError::new("LimitExceeded", message));
                }
                profile.role = Some(role);
                self.keep_profile(profile, out);
                Ok(nothing())
            }
            Request::RemoveRoleFromInstanceProfile(profile, role) => {
                let mut profile = self.profile(profile)?.as_ref().clone();
                if !profile.role.as_deref().is_some_and(|there| there.eq_ignore_ascii_case(role)) {
                    let message = format!("The role with name {role} cannot be found.");
                    return Err(no_entity(message));
                }
                profile.role = None;
                self.keep_profile(profile, out);
                Ok(nothing())
            }
            Request::Tag(tagged, tags) => self.retag(tagged, tags, &[], settings, out),
            Request::Untag(tagged, keys) => self.retag(tagged, &Vec::new(), keys, settings, out),
            Request::Show(_) => {
                Err(ApiError::new("InternalFailure", "this request changes nothing"))
            }
        }
    }

    fn create_role(
        &mut self,
        now: Timestamp,
        new: &New,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        if self.roles.contains_key(&folded(&new.name)) {
            return Err(exists(format!("Role with name {} already exists.", new.name)));
        }
        let role = Role {
            name: Arc::clone(&new.name),
            path: Arc::clone(&new.path),
            id: self.identifier("AROA", settings, out),
            created: now,
            trust: Arc::clone(&new.document),
            description: new.description.clone(),
            session_s_max: new.session_s_max,
            boundary: new.boundary.clone(),
            tags: new.tags.clone(),
            inline: Vec::new(),
            attached: Vec::new(),
        };
        let shown = view::role(&role, settings);
        self.keep_role(role, out);
        Ok(Json::object([("Role", shown)]))
    }

    fn delete_role(&mut self, name: &str, out: &mut Vec<Write>) -> Result<Json, ApiError> {
        let role = self.role(name)?;
        if !role.attached.is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        if !role.inline.is_empty() {
            return Err(conflict("Cannot delete entity, must delete policies first."));
        }
        let name = Arc::clone(&role.name);
        if self.profiles.values().any(|profile| profile.role.as_ref() == Some(&name)) {
            return Err(conflict(
                "Cannot delete entity, must remove roles from instance profile \
                                 first.",
            ));
        }
        self.record(Write::Role(name, None), out);
        Ok(nothing())
    }

    fn role_policy(
        &mut self,
        role: &str,
        policy: &Arc<str>,
        document: Option<&Arc<str>>,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let mut changed = self.role(role)?.as_ref().clone();
        let was = changed.inline.len();
        changed.inline.retain(|(name, _)| name != policy);
        match document {
            None if changed.inline.len() == was => {
                let message = format!("The role policy with name {policy} cannot be found.");
                return Err(no_entity(message));
            }
            None => {}
            Some(document) => {
                changed.inline.push((Arc::clone(policy), Arc::clone(document)));
                changed.inline.sort();
            }
        }
        let characters = changed.inline.iter().map(|(_, document)| characters(document));
        if characters.sum::<usize>() > INLINE_CHARACTERS_MAX {
            let message = format!(
                "Maximum policy size of {INLINE_CHARACTERS_MAX} bytes exceeded for role {role}"
            );
            return Err(ApiError::new("LimitExceeded", message));
        }
        self.keep_role(changed, out);
        Ok(nothing())
    }

    fn attach(
        &mut self,
        role: &str,
        arn: &Arc<str>,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let mut changed = self.role(role)?.as_ref().clone();
        if !is_aws(arn) {
            self.policy(arn, settings)?;
        }
        if !changed.attached.contains(arn) {
            if changed.attached.len() >= ATTACHED_MAX {
                let message = format!("Cannot exceed quota for PoliciesPerRole: {ATTACHED_MAX}");
                return Err(ApiError::new("LimitExceeded", message));
            }
            changed.attached.push(Arc::clone(arn));
            self.keep_role(changed, out);
        }
        Ok(nothing())
    }

    fn create_policy(
        &mut self,
        now: Timestamp,
        new: &New,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        if self.policies.contains_key(&folded(&new.name)) {
            let message = format!(
                "A policy called {} already exists. Duplicate names are not allowed.",
                new.name
            );
            return Err(exists(message));
        }
        fits(&new.document)?;
        let policy = Policy {
            name: Arc::clone(&new.name),
            path: Arc::clone(&new.path),
            id: self.identifier("ANPA", settings, out),
            created: now,
            updated: now,
            description: new.description.clone(),
            tags: new.tags.clone(),
            default: 1,
            next: 2,
            versions: vec![Version {
                number: 1,
                created: now,
                document: Arc::clone(&new.document),
            }],
        };
        let shown = view::policy(&policy, 0, settings);
        self.keep_policy(policy, out);
        Ok(Json::object([("Policy", shown)]))
    }

    fn delete_policy(
        &mut self,
        arn: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let policy = self.policy(arn, settings)?;
        if self.roles.values().any(|role| role.attached.iter().any(|one| **one == *arn)) {
            return Err(conflict("Cannot delete a policy attached to entities."));
        }
        if policy.versions.len() > 1 {
            let message = "This policy has more than one version. Before you delete a policy, you \
                           must delete the policy's versions. The default version is deleted with \
                           the policy.";
            return Err(conflict(message));
        }
        let name = Arc::clone(&policy.name);
        self.record(Write::Policy(name, None), out);
        Ok(nothing())
    }

    fn create_version(
        &mut self,
        now: Timestamp,
        arn: &str,
        document: &Arc<str>,
        is_default: bool,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let mut policy = self.policy(arn, settings)?.as_ref().clone();
        fits(document)?;
        if policy.versions.len() >= VERSIONS_MAX {
            let message = "A managed policy can have up to 5 versions. Before you create a new \
                           version, you must delete an existing version.";
            return Err(ApiError::new("LimitExceeded", message));
        }
        let number = policy.next;
        policy.next += 1;
        policy.updated = now;
        policy.versions.push(Version { number, created: now, document: Arc::clone(document) });
        if is_default {
            policy.default = number;
        }
        let shown = view::version(&policy, policy.versions.last(), false);
        self.keep_policy(policy, out);
        Ok(Json::object([("PolicyVersion", shown)]))
    }

    fn create_profile(
        &mut self,
        now: Timestamp,
        new: &New,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        if self.profiles.contains_key(&folded(&new.name)) {
            return Err(exists(format!("Instance Profile {} already exists.", new.name)));
        }
        let profile = Profile {
            name: Arc::clone(&new.name),
            path: Arc::clone(&new.path),
            id: self.identifier("AIPA", settings, out),
            created: now,
            role: None,
            tags: new.tags.clone(),
        };
        let shown = self.shown_profile(&profile, settings);
        self.keep_profile(profile, out);
        Ok(Json::object([("InstanceProfile", shown)]))
    }

    fn retag(
        &mut self,
        tagged: &Tagged,
        set: &Tags,
        removed: &[Arc<str>],
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let change = |tags: &mut Tags| {
            for (key, value) in set {
                match tags.iter_mut().find(|(there, _)| there.eq_ignore_ascii_case(key)) {
                    Some(there) => *there = (Arc::clone(key), Arc::clone(value)),
                    None => tags.push((Arc::clone(key), Arc::clone(value))),
                }
            }
            tags.retain(|(there, _)| !removed.iter().any(|key| key.eq_ignore_ascii_case(there)));
            if tags.len() > request::TAGS_MAX {
                let message = "The number of tags has reached the maximum limit.";
                return Err(ApiError::new("LimitExceeded", message));
            }
            Ok(())
        };
        match tagged {
            Tagged::Role(name) => {
                let mut role = self.role(name)?.as_ref().clone();
                change(&mut role.tags)?;
                self.keep_role(role, out);
            }
            Tagged::Policy(arn) => {
                let mut policy = self.policy(arn, settings)?.as_ref().clone();
                change(&mut policy.tags)?;
                self.keep_policy(policy, out);
            }
            Tagged::Profile(name) => {
                let mut profile = self.profile(name)?.as_ref().clone();
                change(&mut profile.tags)?;
                self.keep_profile(profile, out);
            }
        }
        Ok(nothing())
    }
}

/// The role that a service makes for itself.
fn service_role(service: &str, suffix: Option<&str>, description: Option<Arc<str>>) -> New {
    let title: String = service
        .trim_end_matches(".amazonaws.com")
        .split(['.', '-'])
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{}{rest}", first.to_uppercase())
        })
        .collect();
    let suffix = suffix.map(|suffix| format!("_{suffix}")).unwrap_or_default();
    let trust = Json::object([
        ("Version", "2012-10-17".into()),
        (
            "Statement",
            Json::array([Json::object([
                ("Effect", "Allow".into()),
                ("Principal", Json::object([("Service", service.into())])),
                ("Action", "sts:AssumeRole".into()),
            ])]),
        ),
    ]);
    New {
        name: format!("AWSServiceRoleFor{title}{suffix}").into(),
        path: format!("/aws-service-role/{service}/").into(),
        document: trust.to_text().into(),
        description,
        session_s_max: None,
        boundary: None,
        tags: Vec::new(),
    }
}

fn version_of<'a>(policy: &'a Policy, version: &str) -> Result<&'a Version, ApiError> {
    let number = version.strip_prefix('v').and_then(|number| number.parse::<u64>().ok());
    let found = policy.versions.iter().find(|version| Some(version.number) == number);
    found.ok_or_else(|| {
        let name = &policy.name;
        no_entity(format!("Policy {name} version {version} does not exist or is not attachable."))
    })
}

/// Characters without those that do not count. Source: IAM user guide, "IAM and STS quotas".
fn characters(document: &str) -> usize {
    document.chars().filter(|character| !character.is_whitespace()).count()
}

fn fits(document: &str) -> Result<(), ApiError> {
    if characters(document) <= POLICY_CHARACTERS_MAX {
        return Ok(());
    }
    let message = format!("Cannot exceed quota for PolicySize: {POLICY_CHARACTERS_MAX}");
    Err(ApiError::new("LimitExceeded", message))
}

/// Whether a policy is one of those that AWS keeps for everybody.
fn is_aws(arn: &str) -> bool {
    arn.starts_with("arn:aws:iam::aws:policy/")
}

fn no_entity(message: String) -> ApiError {
    ApiError::new("NoSuchEntity", message)
}

fn exists(message: String) -> ApiError {
    ApiError::new("EntityAlreadyExists", message)
}

fn conflict(message: &str) -> ApiError {
    ApiError::new("DeleteConflict", message)
}

fn nothing() -> Json {
    Json::Object(Arc::default())
}
