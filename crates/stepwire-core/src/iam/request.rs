//! What is asked of IAM, parsed once.

use std::sync::Arc;

use stepwire_asl::Json;

use super::document::{self, Use};
use super::record::Tags;
use crate::error::ApiError;
use crate::params::Params;

/// Most tags of a resource.
pub(super) const TAGS_MAX: usize = 50;
/// Most entries of a page.
const PAGE_MAX: i64 = 1_000;
const PAGE: usize = 100;

/// One request.
#[derive(Debug, Clone)]
pub enum Request {
    /// Makes a role.
    CreateRole(Box<New>),
    /// Changes the description or the longest session of a role.
    UpdateRole {
        /// Its name.
        role: Arc<str>,
        /// The description.
        description: Option<Arc<str>>,
        /// Longest session, seconds.
        session_s_max: Option<u64>,
    },
    /// Changes who may assume a role.
    UpdateAssumeRolePolicy(Arc<str>, Arc<str>),
    /// Sets or removes the permissions boundary of a role.
    Boundary(Arc<str>, Option<Arc<str>>),
    /// Removes a role.
    DeleteRole(Arc<str>),
    /// Sets an inline policy of a role, or removes it.
    RolePolicy {
        /// The role.
        role: Arc<str>,
        /// The policy's name.
        policy: Arc<str>,
        /// Its document; `None`: it is removed.
        document: Option<Arc<str>>,
    },
    /// Attaches a managed policy to a role.
    AttachRolePolicy(Arc<str>, Arc<str>),
    /// Detaches one.
    DetachRolePolicy(Arc<str>, Arc<str>),
    /// Makes a service's own role.
    CreateServiceLinkedRole {
        /// The service's principal.
        service: Arc<str>,
        /// What follows the role's name.
        suffix: Option<Arc<str>>,
        /// In words.
        description: Option<Arc<str>>,
    },
    /// Makes a managed policy.
    CreatePolicy(Box<New>),
    /// Removes one.
    DeletePolicy(Arc<str>),
    /// Adds a version to a managed policy.
    CreatePolicyVersion {
        /// The policy's ARN.
        policy: Arc<str>,
        /// The document.
        document: Arc<str>,
        /// Whether it is the one that holds.
        is_default: bool,
    },
    /// Says which version of a policy holds.
    SetDefaultPolicyVersion(Arc<str>, Arc<str>),
    /// Removes a version of a policy.
    DeletePolicyVersion(Arc<str>, Arc<str>),
    /// Makes an instance profile.
    CreateInstanceProfile(Box<New>),
    /// Removes one.
    DeleteInstanceProfile(Arc<str>),
    /// Puts a role into an instance profile.
    AddRoleToInstanceProfile(Arc<str>, Arc<str>),
    /// Takes it out.
    RemoveRoleFromInstanceProfile(Arc<str>, Arc<str>),
    /// Sets tags.
    Tag(Tagged, Tags),
    /// Removes tags.
    Untag(Tagged, Vec<Arc<str>>),
    /// Shows something.
    Show(Show),
}

/// What can have tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagged {
    /// A role, by name.
    Role(Arc<str>),
    /// A policy, by ARN.
    Policy(Arc<str>),
    /// An instance profile, by name.
    Profile(Arc<str>),
}

/// Something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Its name.
    pub name: Arc<str>,
    /// Its path.
    pub path: Arc<str>,
    /// Its document; empty for an instance profile.
    pub document: Arc<str>,
    /// In words.
    pub description: Option<Arc<str>>,
    /// Longest session of a role, seconds.
    pub session_s_max: Option<u64>,
    /// Permissions boundary of a role.
    pub boundary: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
}

/// A request that reads.
#[derive(Debug, Clone)]
pub enum Show {
    /// A role.
    Role(Arc<str>),
    /// Roles under a path.
    Roles(Arc<str>, Page),
    /// An inline policy of a role.
    RolePolicy(Arc<str>, Arc<str>),
    /// The names of a role's inline policies.
    RolePolicies(Arc<str>, Page),
    /// The policies attached to a role, under a path.
    AttachedRolePolicies(Arc<str>, Arc<str>, Page),
    /// A managed policy.
    Policy(Arc<str>),
    /// Managed policies.
    Policies {
        /// Whether only those that are attached.
        attached: bool,
        /// Whether only AWS's own: there are none to list.
        aws: bool,
        /// Under this path.
        path: Arc<str>,
        /// Which page.
        page: Page,
    },
    /// A version of a policy.
    PolicyVersion(Arc<str>, Arc<str>),
    /// Versions of a policy.
    PolicyVersions(Arc<str>, Page),
    /// To what a policy is attached.
    Entities(Arc<str>),
    /// An instance profile.
    Profile(Arc<str>),
    /// Instance profiles under a path.
    Profiles(Arc<str>, Page),
    /// The instance profiles of a role.
    ProfilesOfRole(Arc<str>),
    /// The tags of something.
    Tags(Tagged, Page),
    /// The caller, or whoever is asked for.
    User(Option<Arc<str>>),
    /// Users, of whom there are none.
    Users,
    /// Account aliases, of which there are none.
    Aliases,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many come before it.
    pub from: usize,
    /// At most so many.
    pub limit: usize,
}

/// Operations on what there is not here.
fn refused(operation: &str) -> Option<&'static str> {
    let is = |words: &[&str]| words.iter().any(|word| operation.contains(word));
    if is(&["OpenIDConnect", "SAMLProvider"]) {
        Some("identity providers are not available in stepwire")
    } else if is(&["User", "Group", "AccessKey", "LoginProfile", "MFADevice", "SSHPublicKey"]) {
        Some(
            "users, groups and access keys are not available in stepwire: the node has one key, \
              printed by `stepwire env`",
        )
    } else if is(&["ServerCertificate", "SigningCertificate", "AccountPasswordPolicy"]) {
        Some("it is not available in stepwire")
    } else if is(&["Simulate", "GetContextKeys"]) {
        Some("policies are stored and shown in stepwire, and not evaluated")
    } else {
        None
    }
}

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "ValidationError");
        let ask = Ask(params);
        Some(match operation {
            "CreateRole" => create_role(ask),
            "UpdateRole" | "UpdateRoleDescription" => update_role(ask),
            "UpdateAssumeRolePolicy" => ask.only(&["RoleName", "PolicyDocument"]).and_then(|()| {
                let document = ask.document("PolicyDocument", Use::Trust)?;
                Ok(Request::UpdateAssumeRolePolicy(ask.name("RoleName")?, document))
            }),
            "PutRolePermissionsBoundary" => {
                ask.only(&["RoleName", "PermissionsBoundary"]).and_then(|()| {
                    let boundary = ask.arn("PermissionsBoundary")?;
                    Ok(Request::Boundary(ask.name("RoleName")?, Some(boundary)))
                })
            }
            "DeleteRolePermissionsBoundary" => {
                ask.one("RoleName").map(|role| Request::Boundary(role, None))
            }
            "DeleteRole" => ask.one("RoleName").map(Request::DeleteRole),
            "PutRolePolicy" => {
                ask.only(&["RoleName", "PolicyName", "PolicyDocument"]).and_then(|()| {
                    Ok(Request::RolePolicy {
                        role: ask.name("RoleName")?,
                        policy: ask.name("PolicyName")?,
                        document: Some(ask.document("PolicyDocument", Use::Permissions)?),
                    })
                })
            }
            "DeleteRolePolicy" => ask
                .two("RoleName", "PolicyName")
                .map(|(role, policy)| Request::RolePolicy { role, policy, document: None }),
            "AttachRolePolicy" => {
                ask.with_policy().map(|(role, arn)| Request::AttachRolePolicy(role, arn))
            }
            "DetachRolePolicy" => {
                ask.with_policy().map(|(role, arn)| Request::DetachRolePolicy(role, arn))
            }
            "CreateServiceLinkedRole" => service_linked(ask),
            "CreatePolicy" => create_policy(ask),
            "DeletePolicy" => ask.one_arn("PolicyArn").map(Request::DeletePolicy),
            "CreatePolicyVersion" => {
                ask.only(&["PolicyArn", "PolicyDocument", "SetAsDefault"]).and_then(|()| {
                    Ok(Request::CreatePolicyVersion {
                        policy: ask.arn("PolicyArn")?,
                        document: ask.document("PolicyDocument", Use::Permissions)?,
                        is_default: ask.flag("SetAsDefault")?,
                    })
                })
            }
            "SetDefaultPolicyVersion" => ask
                .version()
                .map(|(policy, version)| Request::SetDefaultPolicyVersion(policy, version)),
            "DeletePolicyVersion" => {
                ask.version().map(|(policy, version)| Request::DeletePolicyVersion(policy, version))
            }
            "CreateInstanceProfile" => create_profile(ask),
            "DeleteInstanceProfile" => {
                ask.one("InstanceProfileName").map(Request::DeleteInstanceProfile)
            }
            "AddRoleToInstanceProfile" => ask
                .two("InstanceProfileName", "RoleName")
                .map(|(profile, role)| Request::AddRoleToInstanceProfile(profile, role)),
            "RemoveRoleFromInstanceProfile" => ask
                .two("InstanceProfileName", "RoleName")
                .map(|(profile, role)| Request::RemoveRoleFromInstanceProfile(profile, role)),
            "TagRole" => ask.tag("RoleName"),
            "TagPolicy" => ask.tag("PolicyArn"),
            "TagInstanceProfile" => ask.tag("InstanceProfileName"),
            "UntagRole" => ask.untag("RoleName"),
            "UntagPolicy" => ask.untag("PolicyArn"),
            "UntagInstanceProfile" => ask.untag("InstanceProfileName"),
            _ => match shown(operation, ask) {
                Some(show) => show.map(Request::Show),
                None => Err(ApiError::new("InvalidAction", {
                    let why = refused(operation)?;
                    format!("`{operation}` is refused: {why}")
                })),
            },
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Request::Show(_))
    }
}

fn shown(operation: &str, ask: Ask<'_>) -> Option<Result<Show, ApiError>> {
    Some(match operation {
        "GetRole" => ask.one("RoleName").map(Show::Role),
        "ListRoles" => {
            ask.paged(&["PathPrefix"]).and_then(|page| Ok(Show::Roles(ask.path()?, page)))
        }
        "GetRolePolicy" => {
            ask.two("RoleName", "PolicyName").map(|(role, policy)| Show::RolePolicy(role, policy))
        }
        "ListRolePolicies" => ask
            .paged(&["RoleName"])
            .and_then(|page| Ok(Show::RolePolicies(ask.name("RoleName")?, page))),
        "ListAttachedRolePolicies" => ask.paged(&["RoleName", "PathPrefix"]).and_then(|page| {
            Ok(Show::AttachedRolePolicies(ask.name("RoleName")?, ask.path()?, page))
        }),
        "GetPolicy" => ask.one_arn("PolicyArn").map(Show::Policy),
        "ListPolicies" => policies(ask),
        "GetPolicyVersion" => {
            ask.version().map(|(policy, version)| Show::PolicyVersion(policy, version))
        }
        "ListPolicyVersions" => ask
            .paged(&["PolicyArn"])
            .and_then(|page| Ok(Show::PolicyVersions(ask.arn("PolicyArn")?, page))),
        "ListEntitiesForPolicy" => ask
            .paged(&["PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter"])
            .and_then(|_| Ok(Show::Entities(ask.arn("PolicyArn")?))),
        "GetInstanceProfile" => ask.one("InstanceProfileName").map(Show::Profile),
        "ListInstanceProfiles" => {
            ask.paged(&["PathPrefix"]).and_then(|page| Ok(Show::Profiles(ask.path()?, page)))
        }
        "ListInstanceProfilesForRole" => {
            ask.paged(&["RoleName"]).and_then(|_| Ok(Show::ProfilesOfRole(ask.name("RoleName")?)))
        }
        "ListRoleTags" => ask.tags_of("RoleName"),
        "ListPolicyTags" => ask.tags_of("PolicyArn"),
        "ListInstanceProfileTags" => ask.tags_of("InstanceProfileName"),
        "GetUser" => ask.only(&["UserName"]).and_then(|()| Ok(Show::User(ask.text("UserName")?))),
        "ListUsers" => ask.paged(&["PathPrefix"]).map(|_| Show::Users),
        "ListAccountAliases" => ask.paged(&[]).map(|_| Show::Aliases),
        _ => return None,
    })
}

/// The members of a request. In forms, integers and truth values are text and empty lists are "".
#[derive(Debug, Clone, Copy)]
struct Ask<'a>(Params<'a>);

impl<'a> Ask<'a> {
    fn only(self, known: &[&str]) -> Result<(), ApiError> {
        self.0.only(known)
    }

    fn text(self, name: &str) -> Result<Option<Arc<str>>, ApiError> {
        Ok(self.0.optional_text(name)?.map(Arc::from))
    }

    fn one(self, name: &str) -> Result<Arc<str>, ApiError> {
        self.only(&[name])?;
        self.name(name)
    }

    fn two(self, first: &str, second: &str) -> Result<(Arc<str>, Arc<str>), ApiError> {
        self.only(&[first, second])?;
        Ok((self.name(first)?, self.name(second)?))
    }

    fn one_arn(self, name: &str) -> Result<Arc<str>, ApiError> {
        self.only(&[name])?;
        self.arn(name)
    }

    fn with_policy(self) -> Result<(Arc<str>, Arc<str>), ApiError> {
        self.only(&["RoleName", "PolicyArn"])?;
        Ok((self.name("RoleName")?, self.arn("PolicyArn")?))
    }

    fn version(self) -> Result<(Arc<str>, Arc<str>), ApiError> {
        self.only(&["PolicyArn", "VersionId"])?;
        let version = self.0.text("VersionId")?;
        let number = version.strip_prefix('v').and_then(|number| number.parse::<u64>().ok());
        if number.is_none() {
            let pattern = "Member must satisfy regular expression pattern: \
                           v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?";
            return Err(self.0.broken("versionId", Some(version), pattern));
        }
        Ok((self.arn("PolicyArn")?, version.into()))
    }

    /// A name of IAM's: letters, digits and `+=,.@-_`.
    fn name(self, name: &str) -> Result<Arc<str>, ApiError> {
        let given = self.0.text(name)?;
        let max = if name == "RoleName" { 64 } else { 128 };
        let member = lower_first(name);
        if given.is_empty() {
            let least = "Member must have length greater than or equal to 1";
            return Err(self.0.broken(&member, Some(given), least));
        }
        if given.chars().count() > max {
            let most = format!("Member must have length less than or equal to {max}");
            return Err(self.0.broken(&member, Some(given), &most));
        }
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte);
        if !given.bytes().all(known) {
            let message = format!(
                "The specified value for {member} is invalid. It must contain only alphanumeric \
                 characters and/or the following: +=,.@_-"
            );
            return Err(ApiError::new("ValidationError", message));
        }
        Ok(given.into())
    }

    fn arn(self, name: &str) -> Result<Arc<str>, ApiError> {
        let given = self.0.text(name)?;
        let parts = given.split(':').count();
        if !given.starts_with("arn:") || parts < 6 {
            return Err(ApiError::new("ValidationError", format!("ARN {given} is not valid.")));
        }
        Ok(given.into())
    }

    /// The path of something new.
    fn new_path(self) -> Result<Arc<str>, ApiError> {
        let path = self.0.optional_text("Path")?.unwrap_or("/");
        let printable = path.bytes().all(|byte| (0x21..=0x7f).contains(&byte));
        if !path.starts_with('/') || !path.ends_with('/') || !printable || path.len() > 512 {
            let message = "The specified value for path is invalid. It must begin and end with / \
                           and contain only alphanumeric characters and/or / characters.";
            return Err(ApiError::new("ValidationError", message));
        }
        Ok(path.into())
    }

    /// A prefix of paths; every path when there is none.
    fn path(self) -> Result<Arc<str>, ApiError> {
        Ok(self.0.optional_text("PathPrefix")?.unwrap_or("/").into())
    }

    fn document(self, name: &str, r#use: Use) -> Result<Arc<str>, ApiError> {
        let document = self.0.text(name)?;
        document::check(document, r#use)?;
        Ok(document.into())
    }

    fn number(self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if text.is_empty() => Ok(None),
            Some(Json::String(text)) => {
                let number =
                    text.parse().map_err(|_| self.0.invalid(name, "it must be an integer"));
                number.map(Some)
            }
            Some(_) => self.0.optional_int(name),
        }
    }

    fn flag(self, name: &str) -> Result<bool, ApiError> {
        match self.0.get(name) {
            Some(Json::String(text)) => Ok(**text == *"true"),
            _ => Ok(self.0.optional_bool(name)?.unwrap_or(false)),
        }
    }

    fn session(self) -> Result<Option<u64>, ApiError> {
        let Some(given) = self.number("MaxSessionDuration")? else { return Ok(None) };
        if (3_600..=43_200).contains(&given) {
            return Ok(Some(given as u64));
        }
        let bound = if given < 3_600 {
            "Member must have value greater than or equal to 3600"
        } else {
            "Member must have value less than or equal to 43200"
        };
        Err(self.0.broken("maxSessionDuration", Some(&given.to_string()), bound))
    }

    fn paged(self, known: &[&str]) -> Result<Page, ApiError> {
        self.only(&[known, &["Marker", "MaxItems"]].concat())?;
        let from = self.0.optional_text("Marker")?.filter(|marker| !marker.is_empty());
        let from = from.map(|marker| {
            marker
                .parse()
                .map_err(|_| ApiError::new("ValidationError", format!("Invalid Marker: {marker}")))
        });
        let limit = self.number("MaxItems")?.map(|limit| limit.clamp(1, PAGE_MAX) as usize);
        Ok(Page { from: from.transpose()?.unwrap_or(0), limit: limit.unwrap_or(PAGE) })
    }

    fn list(self, name: &str) -> &'a [Json] {
        self.0.get(name).and_then(Json::as_array).unwrap_or_default()
    }

    fn tags(self) -> Result<Tags, ApiError> {
        let mut tags = Tags::new();
        for tag in self.list("Tags") {
            let text = |name| tag.member(name).and_then(Json::as_str);
            let (Some(key), value) = (text("Key"), text("Value").unwrap_or_default()) else {
                return Err(self.0.invalid("Tags", "a tag has a key and a value"));
            };
            if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
                return Err(self
                    .0
                    .invalid("Tags", "a key has 1 to 128 characters, a value at most 256"));
            }
            if tags.iter().any(|(other, _)| other.eq_ignore_ascii_case(key)) {
                let message = "Duplicate tag keys found. Please note that Tag keys are case \
                               insensitive.";
                return Err(ApiError::new("InvalidInput", message));
            }
            tags.push((key.into(), value.into()));
        }
        if tags.len() > TAGS_MAX {
            let message = format!(
                "1 validation error detected: Value at 'tags' failed to satisfy \
                                   constraint: Member must have length less than or equal to \
                                   {TAGS_MAX}"
            );
            return Err(ApiError::new("ValidationError", message));
        }
        Ok(tags)
    }

    fn tagged(self, name: &str) -> Result<Tagged, ApiError> {
        Ok(match name {
            "PolicyArn" => Tagged::Policy(self.arn(name)?),
            "RoleName" => Tagged::Role(self.name(name)?),
            _ => Tagged::Profile(self.name(name)?),
        })
    }

    fn tag(self, name: &str) -> Result<Request, ApiError> {
        self.only(&[name, "Tags"])?;
        Ok(Request::Tag(self.tagged(name)?, self.tags()?))
    }

    fn untag(self, name: &str) -> Result<Request, ApiError> {
        self.only(&[name, "TagKeys"])?;
        let keys = self.list("TagKeys").iter().filter_map(Json::as_str).map(Arc::from).collect();
        Ok(Request::Untag(self.tagged(name)?, keys))
    }

    fn tags_of(self, name: &str) -> Result<Show, ApiError> {
        let page = self.paged(&[name])?;
        Ok(Show::Tags(self.tagged(name)?, page))
    }

    fn description(self) -> Result<Option<Arc<str>>, ApiError> {
        Ok(self.0.optional_text_within("Description", 1_000)?.map(Arc::from))
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn create_role(ask: Ask<'_>) -> Result<Request, ApiError> {
    ask.only(&[
        "RoleName",
        "Path",
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
        "Tags",
    ])?;
    let boundary = ask.text("PermissionsBoundary")?;
    Ok(Request::CreateRole(Box::new(New {
        name: ask.name("RoleName")?,
        path: ask.new_path()?,
        document: ask.document("AssumeRolePolicyDocument", Use::Trust)?,
        description: ask.description()?,
        session_s_max: ask.session()?,
        boundary: boundary.map(|_| ask.arn("PermissionsBoundary")).transpose()?,
        tags: ask.tags()?,
    })))
}

fn update_role(ask: Ask<'_>) -> Result<Request, ApiError> {
    ask.only(&["RoleName", "Description", "MaxSessionDuration"])?;
    Ok(Request::UpdateRole {
        role: ask.name("RoleName")?,
        description: ask.description()?,
        session_s_max: ask.session()?,
    })
}

fn service_linked(ask: Ask<'_>) -> Result<Request, ApiError> {
    ask.only(&["AWSServiceName", "Description", "CustomSuffix"])?;
    let service = ask.0.text("AWSServiceName")?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if service.is_empty() || !service.bytes().all(known) {
        return Err(ask.0.invalid("AWSServiceName", "it is the principal of a service"));
    }
    let suffix = ask.text("CustomSuffix")?.map(|_| ask.name("CustomSuffix")).transpose()?;
    Ok(Request::CreateServiceLinkedRole {
        service: service.into(),
        suffix,
        description: ask.description()?,
    })
}

fn create_policy(ask: Ask<'_>) -> Result<Request, ApiError> {
    ask.only(&["PolicyName", "Path", "PolicyDocument", "Description", "Tags"])?;
    Ok(Request::CreatePolicy(Box::new(New {
        name: ask.name("PolicyName")?,
        path: ask.new_path()?,
        document: ask.document("PolicyDocument", Use::Permissions)?,
        description: ask.description()?,
        session_s_max: None,
        boundary: None,
        tags: ask.tags()?,
    })))
}

fn create_profile(ask: Ask<'_>) -> Result<Request, ApiError> {
    ask.only(&["InstanceProfileName", "Path", "Tags"])?;
    Ok(Request::CreateInstanceProfile(Box::new(New {
        name: ask.name("InstanceProfileName")?,
        path: ask.new_path()?,
        document: "".into(),
        description: None,
        session_s_max: None,
        boundary: None,
        tags: ask.tags()?,
    })))
}

fn policies(ask: Ask<'_>) -> Result<Show, ApiError> {
    let page = ask.paged(&["Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter"])?;
    Ok(Show::Policies {
        attached: ask.flag("OnlyAttached")?,
        aws: ask.0.optional_text("Scope")? == Some("AWS"),
        path: ask.path()?,
        page,
    })
}
