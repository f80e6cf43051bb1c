//! Requests that read, answered from all that is stored: there is little of it.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use stepwire_asl::Json;

use super::record::{self, Policy, Profile, Role, Tags, Version};
use super::{Iam, Page, Request, Show, Tagged, is_aws, no_entity, nothing, version_of};
use crate::error::ApiError;
use crate::read::Read;
use crate::settings::Settings;

/// Documents in answers are encoded as in a URL (RFC 3986).
const DOCUMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let Request::Show(show) = request else { return Ok(nothing()) };
    let mut iam = Iam::default();
    for (key, value) in read.range(&record::all()) {
        iam.load(&key, &value)
            .map_err(|corrupt| ApiError::new("ServiceFailure", corrupt.to_string()))?;
    }
    iam.show(show, settings)
}

impl Iam {
    fn show(&self, show: &Show, settings: &Settings) -> Result<Json, ApiError> {
        Ok(match show {
            Show::Role(name) => one("Role", role(self.role(name)?, settings)),
            Show::Roles(prefix, page) => {
                let roles = self.roles.values().filter(|role| role.path.starts_with(&**prefix));
                listed("Roles", roles.map(|found| listed_role(found, settings)), page)
            }
            Show::RolePolicy(name, policy) => {
                let role = self.role(name)?;
                let found = role.inline.iter().find(|(name, _)| name == policy);
                let missing =
                    || no_entity(format!("The role policy with name {policy} cannot be found."));
                let (policy, document) = found.ok_or_else(missing)?;
                Json::object([
                    ("RoleName", Json::String(Arc::clone(&role.name))),
                    ("PolicyName", Json::String(Arc::clone(policy))),
                    ("PolicyDocument", encoded(document)),
                ])
            }
            Show::RolePolicies(name, page) => {
                let names = self.role(name)?.inline.iter();
                let names = names.map(|(name, _)| Json::String(Arc::clone(name)));
                listed("PolicyNames", names, page)
            }
            Show::AttachedRolePolicies(name, prefix, page) => {
                let attached = self.role(name)?.attached.iter();
                let under = attached.filter(|arn| path_of(arn).starts_with(&**prefix));
                let shown = under.map(|arn| {
                    let name = arn.rsplit('/').next().unwrap_or_default();
                    let arn = Json::String(Arc::clone(arn));
                    Json::object([("PolicyName", name.into()), ("PolicyArn", arn)])
                });
                listed("AttachedPolicies", shown, page)
            }
            Show::Policy(arn) => {
                let found = self.policy(arn, settings)?;
                one("Policy", policy(found, self.uses(arn), settings))
            }
            Show::Policies { attached, aws, path, page } => {
                let found = self.policies.values().filter(|_| !aws).filter(|policy| {
                    let unused = || self.uses(&policy.arn(settings)) == 0;
                    policy.path.starts_with(&**path) && !(*attached && unused())
                });
                let shown = found.map(|found| {
                    let shown = policy(found, self.uses(&found.arn(settings)), settings);
                    without(&shown, &["Tags", "Description"])
                });
                listed("Policies", shown, page)
            }
            Show::PolicyVersion(arn, number) => {
                let policy = self.policy(arn, settings)?;
                let found = version_of(policy, number)?;
                one("PolicyVersion", version(policy, Some(found), true))
            }
            Show::PolicyVersions(arn, page) => {
                let policy = self.policy(arn, settings)?;
                let shown = policy.versions.iter().rev();
                listed("Versions", shown.map(|found| version(policy, Some(found), false)), page)
            }
            Show::Entities(arn) => {
                if !is_aws(arn) {
                    self.policy(arn, settings)?;
                }
                let holders = self.roles.values().filter(|role| role.attached.contains(arn));
                let roles = holders.map(|role| {
                    let name = Json::String(Arc::clone(&role.name));
                    Json::object([("RoleName", name), ("RoleId", Json::String(role.id.clone()))])
                });
                Json::object([
                    ("PolicyGroups", Json::array([])),
                    ("PolicyUsers", Json::array([])),
                    ("PolicyRoles", Json::array(roles)),
                    ("IsTruncated", false.into()),
                ])
            }
            Show::Profile(name) => {
                one("InstanceProfile", self.shown_profile(self.profile(name)?, settings))
            }
            Show::Profiles(prefix, page) => {
                let found = self.profiles.values();
                let found = found.filter(|profile| profile.path.starts_with(&**prefix));
                let shown = found.map(|profile| self.shown_profile(profile, settings));
                listed("InstanceProfiles", shown, page)
            }
            Show::ProfilesOfRole(name) => {
                let role = &self.role(name)?.name;
                let found = self.profiles.values();
                let found = found.filter(|profile| profile.role.as_ref() == Some(role));
                let shown = found.map(|profile| self.shown_profile(profile, settings));
                listed("InstanceProfiles", shown, &Page { from: 0, limit: usize::MAX })
            }
            Show::Tags(tagged, page) => {
                let found = match tagged {
                    Tagged::Role(name) => &self.role(name)?.tags,
                    Tagged::Policy(arn) => &self.policy(arn, settings)?.tags,
                    Tagged::Profile(name) => &self.profile(name)?.tags,
                };
                let Json::Array(shown) = tags(found) else { return Ok(nothing()) };
                listed("Tags", shown.iter().cloned(), page)
            }
            Show::User(Some(name)) => {
                let message = format!("The user with name {name} cannot be found.");
                return Err(no_entity(message));
            }
            Show::User(None) => {
                let account = &settings.account;
                let user = Json::object([
                    ("Path", "/".into()),
                    ("UserId", Json::String(Arc::clone(account))),
                    ("Arn", format!("arn:aws:iam::{account}:root").into()),
                    ("CreateDate", "2020-01-01T00:00:00Z".into()),
                ]);
                one("User", user)
            }
            Show::Users => listed("Users", [].into_iter(), &Page { from: 0, limit: 1 }),
            Show::Aliases => listed("AccountAliases", [].into_iter(), &Page { from: 0, limit: 1 }),
        })
    }

    /// To how many roles a policy is attached.
    fn uses(&self, arn: &str) -> i64 {
        let holds = |role: &&Arc<Role>| role.attached.iter().any(|attached| **attached == *arn);
        self.roles.values().filter(holds).count() as i64
    }

    /// An instance profile as answers have it.
    pub(super) fn shown_profile(&self, profile: &Profile, settings: &Settings) -> Json {
        let held = profile.role.iter().filter_map(|name| self.role(name).ok());
        let mut members = vec![
            ("Path", Json::String(Arc::clone(&profile.path))),
            ("InstanceProfileName", Json::String(Arc::clone(&profile.name))),
            ("InstanceProfileId", Json::String(Arc::clone(&profile.id))),
            ("Arn", profile.arn(settings).into()),
            ("CreateDate", profile.created.rfc3339().into()),
            ("Roles", Json::array(held.map(|found| listed_role(found, settings)))),
        ];
        members.extend((!profile.tags.is_empty()).then(|| ("Tags", tags(&profile.tags))));
        Json::object(members)
    }
}

/// A role as answers have it.
pub(super) fn role(role: &Role, settings: &Settings) -> Json {
    let mut members = vec![
        ("Path", Json::String(Arc::clone(&role.path))),
        ("RoleName", Json::String(Arc::clone(&role.name))),
        ("RoleId", Json::String(Arc::clone(&role.id))),
        ("Arn", role.arn(settings).into()),
        ("CreateDate", role.created.rfc3339().into()),
        ("AssumeRolePolicyDocument", encoded(&role.trust)),
        ("MaxSessionDuration", (role.session_s_max.unwrap_or(3_600) as i64).into()),
    ];
    let description = role.description.clone();
    members.extend(description.map(|text| ("Description", Json::String(text))));
    members.extend(role.boundary.clone().map(|arn| {
        let kind = ("PermissionsBoundaryType", "Policy".into());
        let boundary = Json::object([kind, ("PermissionsBoundaryArn", Json::String(arn))]);
        ("PermissionsBoundary", boundary)
    }));
    members.extend((!role.tags.is_empty()).then(|| ("Tags", tags(&role.tags))));
    Json::object(members)
}

/// Lists leave out tags and boundaries. Source: IAM API reference, ListRoles.
fn listed_role(found: &Role, settings: &Settings) -> Json {
    without(&role(found, settings), &["Tags", "PermissionsBoundary"])
}

fn without(shown: &Json, names: &[&str]) -> Json {
    let members = shown.as_object().into_iter().flatten();
    let kept = members.filter(|(name, _)| !names.contains(&name.as_ref()));
    Json::object(kept.map(|(name, value)| (Arc::clone(name), value.clone())))
}

/// A policy that so many roles have, as answers have it.
pub(super) fn policy(policy: &Policy, uses: i64, settings: &Settings) -> Json {
    let mut members = vec![
        ("PolicyName", Json::String(Arc::clone(&policy.name))),
        ("PolicyId", Json::String(Arc::clone(&policy.id))),
        ("Arn", policy.arn(settings).into()),
        ("Path", Json::String(Arc::clone(&policy.path))),
        ("DefaultVersionId", format!("v{}", policy.default).into()),
        ("AttachmentCount", uses.into()),
        ("PermissionsBoundaryUsageCount", 0.into()),
        ("IsAttachable", true.into()),
        ("CreateDate", policy.created.rfc3339().into()),
        ("UpdateDate", policy.updated.rfc3339().into()),
    ];
    let description = policy.description.clone();
    members.extend(description.map(|text| ("Description", Json::String(text))));
    members.extend((!policy.tags.is_empty()).then(|| ("Tags", tags(&policy.tags))));
    Json::object(members)
}

/// A version of a policy as answers have it.
pub(super) fn version(policy: &Policy, version: Option<&Version>, with_document: bool) -> Json {
    let Some(version) = version else { return nothing() };
    let mut members = vec![
        ("VersionId", Json::from(format!("v{}", version.number))),
        ("IsDefaultVersion", (version.number == policy.default).into()),
        ("CreateDate", version.created.rfc3339().into()),
    ];
    members.extend(with_document.then(|| ("Document", encoded(&version.document))));
    Json::object(members)
}

fn tags(tags: &Tags) -> Json {
    Json::array(tags.iter().map(|(key, value)| {
        let key = ("Key", Json::String(Arc::clone(key)));
        Json::object([key, ("Value", Json::String(Arc::clone(value)))])
    }))
}

fn encoded(document: &str) -> Json {
    utf8_percent_encode(document, DOCUMENT).to_string().into()
}

/// The path in a policy's ARN.
fn path_of(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let path = resource.strip_prefix("policy").unwrap_or(resource);
    path.rfind('/').map_or("/", |end| &path[..=end])
}

fn one(name: &'static str, value: Json) -> Json {
    Json::object([(name, value)])
}

fn listed(name: &'static str, entries: impl Iterator<Item = Json>, page: &Page) -> Json {
    let mut rest = entries.skip(page.from);
    let shown: Vec<_> = rest.by_ref().take(page.limit).collect();
    let more = rest.next().is_some();
    let next = page.from + shown.len();
    let marker = more.then(|| ("Marker", Json::from(next.to_string())));
    let members = [(name, Json::array(shown)), ("IsTruncated", more.into())];
    Json::object(members.into_iter().chain(marker))
}
