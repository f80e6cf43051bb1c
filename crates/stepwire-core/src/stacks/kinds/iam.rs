//! `AWS::IAM::*`: kept and shown, as the service does; nothing asks them.

use stepwire_asl::Json;

use super::property::{Property, document, integer, objects, tags, text, texts};
use super::resource::{Resource, ask, deep, listed, made, pairs, s};
use super::{Ask, Kind, Update};
use crate::request::Service::Iam;

/// The error of what is not there.
const GONE: &[&str] = &["NoSuchEntity"];

const NO_USERS: &str = "there are no users: `stepwire env` gives the node's own key";

pub(super) const KINDS: &[Kind] = &[
    ROLE,
    MANAGED_POLICY,
    POLICY,
    ROLE_POLICY,
    INSTANCE_PROFILE,
    Kind {
        made: |role, _| {
            made(role.str("AWSServiceName"), [("RoleName", role.str("AWSServiceName").to_owned())])
        },
        attributes: &["RoleName"],
        ..Kind::without_effect("AWS::IAM::ServiceLinkedRole", "services need no roles here")
    },
    Kind::refused("AWS::IAM::User", NO_USERS),
    Kind::refused("AWS::IAM::AccessKey", NO_USERS),
    Kind::refused("AWS::IAM::Group", NO_USERS),
    Kind::refused("AWS::IAM::UserPolicy", NO_USERS),
    Kind::refused("AWS::IAM::GroupPolicy", NO_USERS),
    Kind::refused("AWS::IAM::UserToGroupAddition", NO_USERS),
    Kind::refused("AWS::IAM::OIDCProvider", NO_USERS),
    Kind::refused("AWS::IAM::SAMLProvider", NO_USERS),
];

/// The ARN of something of IAM, which is in no region.
fn arn(resource: &Resource<'_>, kind: &str, name: &str) -> String {
    let path = resource.text("Path").unwrap_or("/");
    format!(
        "arn:{}:iam::{}:{kind}{path}{name}",
        resource.context.partition, resource.context.account
    )
}

fn tag_asks(
    update: &Update<'_>,
    of: [(&'static str, Option<Json>); 1],
    names: [&'static str; 2],
) -> Vec<Ask> {
    let tags = update.retagged();
    let [(member, id)] = of;
    let mut asks = Vec::new();
    if !tags.gone.is_empty() {
        asks.push(ask(Iam, names[1], [(member, id.clone()), ("TagKeys", tags.keys())]));
    }
    if !tags.set.is_empty() {
        let set = listed(tags.set, "Key", "Value");
        asks.push(ask(Iam, names[0], [(member, id), ("Tags", Some(set))]));
    }
    asks
}

fn attach(role: Option<Json>, policy: &str) -> Ask {
    ask(Iam, "AttachRolePolicy", [("RoleName", role), ("PolicyArn", s(policy))])
}

fn detach(role: Option<Json>, policy: &str) -> Ask {
    ask(Iam, "DetachRolePolicy", [("RoleName", role), ("PolicyArn", s(policy))]).or(GONE)
}

fn put(role: Option<Json>, name: Option<Json>, document: Option<Json>) -> Ask {
    let asked = [("RoleName", role), ("PolicyName", name), ("PolicyDocument", document)];
    ask(Iam, "PutRolePolicy", asked)
}

fn unput(role: Option<Json>, name: Option<Json>) -> Ask {
    ask(Iam, "DeleteRolePolicy", [("RoleName", role), ("PolicyName", name)]).or(GONE)
}

/// Names and documents of the policies within a role.
fn inline(role: &Resource<'_>) -> Vec<(std::sync::Arc<str>, Json)> {
    let text = |(name, document): (_, Json)| (name, super::resource::document_text(&document));
    pairs(role.items("Policies"), "PolicyName", "PolicyDocument").map(text).collect()
}

const ROLE: Kind = Kind {
    attributes: &["Arn", "RoleId"],
    create: |role, _| {
        let name = s(role.name_or("RoleName", 64));
        let asked = [
            ("RoleName", name.clone()),
            ("Path", role.take("Path")),
            ("AssumeRolePolicyDocument", role.document("AssumeRolePolicyDocument")),
            ("Description", role.take("Description")),
            ("MaxSessionDuration", role.take("MaxSessionDuration")),
            ("PermissionsBoundary", role.take("PermissionsBoundary")),
            ("Tags", role.tag_list("Key", "Value")),
        ];
        let mut asks = vec![ask(Iam, "CreateRole", asked)];
        asks.extend(role.texts("ManagedPolicyArns").map(|policy| attach(name.clone(), policy)));
        let inline = inline(role).into_iter();
        asks.extend(inline.map(|(policy, document)| put(name.clone(), s(policy), Some(document))));
        Ok(asks)
    },
    made: |role, answers| {
        let name = role.name_or("RoleName", 64);
        let id = deep(answers, 0, &["Role", "RoleId"]).and_then(Json::as_str).unwrap_or_default();
        let attributes = [("Arn", arn(role, "role", &name)), ("RoleId", id.to_owned())];
        made(name, attributes)
    },
    update: |update, _| {
        let (old, new, name) = (&update.old, &update.new, update.id());
        let mut asks = Vec::new();
        if update.changes("AssumeRolePolicyDocument") {
            let document = new.document("AssumeRolePolicyDocument");
            let asked = [("RoleName", name.clone()), ("PolicyDocument", document)];
            asks.push(ask(Iam, "UpdateAssumeRolePolicy", asked));
        }
        if update.changes_any(&["Description", "MaxSessionDuration"]) {
            let asked = [
                ("RoleName", name.clone()),
                ("Description", new.take("Description").or_else(|| s(""))),
                ("MaxSessionDuration", new.take("MaxSessionDuration").or(Some(3_600.into()))),
            ];
            asks.push(ask(Iam, "UpdateRole", asked));
        }
        if update.changes("PermissionsBoundary") {
            asks.push(match new.take("PermissionsBoundary") {
                Some(boundary) => {
                    let asked =
                        [("RoleName", name.clone()), ("PermissionsBoundary", Some(boundary))];
                    ask(Iam, "PutRolePermissionsBoundary", asked)
                }
                None => {
                    ask(Iam, "DeleteRolePermissionsBoundary", [("RoleName", name.clone())]).or(GONE)
                }
            });
        }
        let there: Vec<&str> = new.texts("ManagedPolicyArns").collect();
        let before: Vec<&str> = old.texts("ManagedPolicyArns").collect();
        let gone = before.iter().filter(|policy| !there.contains(policy));
        asks.extend(gone.map(|policy| detach(name.clone(), policy)));
        let come = there.iter().filter(|policy| !before.contains(policy));
        asks.extend(come.map(|policy| attach(name.clone(), policy)));
        let (before, there) = (inline(old), inline(new));
        let gone = before.iter().filter(|(name, _)| !there.iter().any(|(other, _)| other == name));
        asks.extend(gone.map(|(policy, _)| unput(name.clone(), s(policy.clone()))));
        let come = there.iter().filter(|policy| !before.contains(policy));
        asks.extend(come.map(|(policy, document)| {
            put(name.clone(), s(policy.clone()), Some(document.clone()))
        }));
        asks.extend(tag_asks(update, [("RoleName", name)], ["TagRole", "UntagRole"]));
        Ok(asks)
    },
    delete: |role, made, _| {
        let name = made.id();
        let mut asks: Vec<Ask> =
            role.texts("ManagedPolicyArns").map(|policy| detach(name.clone(), policy)).collect();
        let inline = inline(role).into_iter();
        asks.extend(inline.map(|(policy, _)| unput(name.clone(), s(policy))));
        asks.push(ask(Iam, "DeleteRole", [("RoleName", name)]).or(GONE));
        asks
    },
    ..Kind::new(
        "AWS::IAM::Role",
        &[
            text("RoleName").replaces(),
            text("Path").replaces(),
            document("AssumeRolePolicyDocument").required(),
            text("Description"),
            texts("ManagedPolicyArns"),
            integer("MaxSessionDuration"),
            text("PermissionsBoundary"),
            objects(
                "Policies",
                &[text("PolicyName").required(), document("PolicyDocument").required()],
            ),
            tags(),
        ],
    )
};

const ROLES: Property = texts("Roles");
const GROUPS: Property = texts("Groups").refused(NO_USERS);
const USERS: Property = texts("Users").refused(NO_USERS);

const MANAGED_POLICY: Kind = Kind {
    attributes: &["PolicyArn", "PolicyId", "DefaultVersionId"],
    create: |policy, _| {
        let name = policy.name_or("ManagedPolicyName", 128);
        let asked = [
            ("PolicyName", s(name.as_str())),
            ("Path", policy.take("Path")),
            ("PolicyDocument", policy.document("PolicyDocument")),
            ("Description", policy.take("Description")),
        ];
        let arn = arn(policy, "policy", &name);
        let mut asks = vec![ask(Iam, "CreatePolicy", asked)];
        asks.extend(policy.texts("Roles").map(|role| attach(s(role), &arn)));
        Ok(asks)
    },
    made: |policy, answers| {
        let arn = arn(policy, "policy", &policy.name_or("ManagedPolicyName", 128));
        let id = deep(answers, 0, &["Policy", "PolicyId"]).and_then(Json::as_str);
        let attributes = [
            ("PolicyArn", arn.clone()),
            ("PolicyId", id.unwrap_or_default().to_owned()),
            ("DefaultVersionId", "v1".to_owned()),
        ];
        made(arn, attributes)
    },
    update: |update, answers| {
        let arn = update.made.physical_id.as_str();
        let mut asks = Vec::new();
        if update.changes("PolicyDocument") {
            asks.push(ask(Iam, "ListPolicyVersions", [("PolicyArn", update.id())]));
            if answers.is_empty() {
                return Ok(asks);
            }
            let (versions, spare) = spare_versions(answers);
            if let Some(oldest) = spare.first().filter(|_| versions >= VERSIONS_MAX) {
                let asked = [("PolicyArn", update.id()), ("VersionId", s(*oldest))];
                asks.push(ask(Iam, "DeletePolicyVersion", asked).or(GONE));
            }
            let asked = [
                ("PolicyArn", update.id()),
                ("PolicyDocument", update.new.document("PolicyDocument")),
                ("SetAsDefault", Some(true.into())),
            ];
            asks.push(ask(Iam, "CreatePolicyVersion", asked));
        }
        let there: Vec<&str> = update.new.texts("Roles").collect();
        let before: Vec<&str> = update.old.texts("Roles").collect();
        let gone = before.iter().filter(|role| !there.contains(role));
        asks.extend(gone.map(|role| detach(s(*role), arn)));
        let come = there.iter().filter(|role| !before.contains(role));
        asks.extend(come.map(|role| attach(s(*role), arn)));
        Ok(asks)
    },
    delete: |policy, made, answers| {
        let arn = made.physical_id.as_str();
        let list = ask(Iam, "ListPolicyVersions", [("PolicyArn", made.id())]).or(GONE);
        let mut asks = vec![list];
        if answers.is_empty() {
            return asks;
        }
        asks.extend(policy.texts("Roles").map(|role| detach(s(role), arn)));
        asks.extend(spare_versions(answers).1.into_iter().map(|version| {
            let asked = [("PolicyArn", made.id()), ("VersionId", s(version))];
            ask(Iam, "DeletePolicyVersion", asked).or(GONE)
        }));
        asks.push(ask(Iam, "DeletePolicy", [("PolicyArn", made.id())]).or(GONE));
        asks
    },
    ..Kind::new(
        "AWS::IAM::ManagedPolicy",
        &[
            text("ManagedPolicyName").replaces(),
            text("Path").replaces(),
            text("Description").replaces(),
            document("PolicyDocument").required(),
            ROLES,
            GROUPS,
            USERS,
        ],
    )
};

/// Versions that a policy has at most.
const VERSIONS_MAX: usize = 5;

/// How many versions there are, and which are not in force, oldest first.
fn spare_versions(answers: &[Json]) -> (usize, Vec<&str>) {
    let versions = deep(answers, 0, &["Versions"]).and_then(Json::as_array).unwrap_or_default();
    let in_force =
        |version: &&Json| version.member("IsDefaultVersion").and_then(Json::as_bool) == Some(true);
    let spare = versions.iter().filter(|version| !in_force(version));
    let mut spare: Vec<&str> =
        spare.filter_map(|version| version.member("VersionId")?.as_str()).collect();
    spare.sort_by_key(|version| version.trim_start_matches('v').parse::<u64>().unwrap_or_default());
    (versions.len(), spare)
}

const POLICY: Kind = Kind {
    attributes: &["Id"],
    create: |policy, _| {
        if policy.texts("Roles").next().is_none() {
            return Err("At least one of [Groups,Roles,Users] must be non-empty.".to_owned());
        }
        let (name, document) = (policy.take("PolicyName"), policy.document("PolicyDocument"));
        Ok(policy.texts("Roles").map(|role| put(s(role), name.clone(), document.clone())).collect())
    },
    made: |policy, _| {
        let id = policy.context.generated_name(128);
        made(id.clone(), [("Id", id)])
    },
    update: |update, _| {
        let (old, new) = (&update.old, &update.new);
        let there: Vec<&str> = new.texts("Roles").collect();
        let renamed = update.changes("PolicyName");
        let gone = old.texts("Roles").filter(|role| renamed || !there.contains(role));
        let mut asks: Vec<Ask> = gone.map(|role| unput(s(role), old.take("PolicyName"))).collect();
        asks.extend(
            there
                .iter()
                .map(|role| put(s(*role), new.take("PolicyName"), new.document("PolicyDocument"))),
        );
        Ok(asks)
    },
    delete: |policy, _, _| {
        policy.texts("Roles").map(|role| unput(s(role), policy.take("PolicyName"))).collect()
    },
    ..Kind::new(
        "AWS::IAM::Policy",
        &[
            text("PolicyName").required(),
            document("PolicyDocument").required(),
            ROLES,
            GROUPS,
            USERS,
        ],
    )
};

const ROLE_POLICY: Kind = Kind {
    create: |policy, _| {
        let document = policy.document("PolicyDocument");
        Ok(vec![put(policy.take("RoleName"), policy.take("PolicyName"), document)])
    },
    made: |policy, _| made(format!("{}|{}", policy.str("PolicyName"), policy.str("RoleName")), []),
    update: |update, _| {
        let new = &update.new;
        let document = new.document("PolicyDocument");
        Ok(vec![put(new.take("RoleName"), new.take("PolicyName"), document)])
    },
    delete: |policy, _, _| vec![unput(policy.take("RoleName"), policy.take("PolicyName"))],
    ..Kind::new(
        "AWS::IAM::RolePolicy",
        &[
            text("PolicyName").required().replaces(),
            text("RoleName").required().replaces(),
            document("PolicyDocument").required(),
        ],
    )
};

const INSTANCE_PROFILE: Kind = Kind {
    attributes: &["Arn"],
    create: |profile, _| {
        let name = s(profile.name_or("InstanceProfileName", 128));
        let asked = [("InstanceProfileName", name.clone()), ("Path", profile.take("Path"))];
        let mut asks = vec![ask(Iam, "CreateInstanceProfile", asked)];
        asks.extend(profile.texts("Roles").map(|role| {
            let asked = [("InstanceProfileName", name.clone()), ("RoleName", s(role))];
            ask(Iam, "AddRoleToInstanceProfile", asked)
        }));
        Ok(asks)
    },
    made: |profile, _| {
        let name = profile.name_or("InstanceProfileName", 128);
        let arn = arn(profile, "instance-profile", &name);
        made(name, [("Arn", arn)])
    },
    update: |update, _| {
        let name = update.id();
        let gone = update.old.texts("Roles").map(|role| {
            let asked = [("InstanceProfileName", name.clone()), ("RoleName", s(role))];
            ask(Iam, "RemoveRoleFromInstanceProfile", asked).or(GONE)
        });
        let come = update.new.texts("Roles").map(|role| {
            let asked = [("InstanceProfileName", name.clone()), ("RoleName", s(role))];
            ask(Iam, "AddRoleToInstanceProfile", asked)
        });
        Ok(gone.chain(come).collect())
    },
    delete: |profile, made, _| {
        let mut asks: Vec<Ask> = (profile.texts("Roles"))
            .map(|role| {
                let asked = [("InstanceProfileName", made.id()), ("RoleName", s(role))];
                ask(Iam, "RemoveRoleFromInstanceProfile", asked).or(GONE)
            })
            .collect();
        asks.push(ask(Iam, "DeleteInstanceProfile", [("InstanceProfileName", made.id())]).or(GONE));
        asks
    },
    ..Kind::new(
        "AWS::IAM::InstanceProfile",
        &[
            text("InstanceProfileName").replaces(),
            text("Path").replaces(),
            texts("Roles").required(),
        ],
    )
};
