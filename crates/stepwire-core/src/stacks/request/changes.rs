//! Requests that change stacks and change sets.

use std::sync::Arc;

use stepwire_asl::Json;

use super::members::{Members, change_set_name, not_served};
use super::{CreateChangeSet, Execute, Request};
use crate::error::ApiError;
use crate::stacks::validation;

/// Members that say what a stack is wanted to be.
const WANTED: [&str; 16] = [
    "StackName",
    "TemplateBody",
    "TemplateURL",
    "Parameters",
    "Capabilities",
    "ResourceTypes",
    "RoleARN",
    "RollbackConfiguration",
    "NotificationARNs",
    "Tags",
    "DeploymentConfig",
    "DisableValidation",
    "StackPolicyBody",
    "StackPolicyURL",
    "ClientRequestToken",
    "RetainExceptOnCreate",
];

fn new_name(members: Members<'_>) -> Result<Arc<str>, ApiError> {
    let name = members.required("StackName")?;
    named(members, "stackName", &name).map(|()| name)
}

/// AWS's sentences on names of stacks and change sets.
fn named(members: Members<'_>, member: &str, name: &str) -> Result<(), ApiError> {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if !begins || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let pattern = "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*";
        return Err(members.0.broken(member, Some(name), pattern));
    }
    if name.len() > 128 {
        let constraint = "Member must have length less than or equal to 128";
        return Err(members.0.broken(member, Some(name), constraint));
    }
    Ok(())
}

pub(super) fn create_stack(members: Members<'_>) -> Result<Request, ApiError> {
    let own = ["DisableRollback", "OnFailure", "TimeoutInMinutes", "EnableTerminationProtection"];
    members.only(&[&WANTED[..], &own].concat())?;
    Ok(Request::CreateStack {
        stack: new_name(members)?,
        wanted: Box::new(members.wanted(false)?),
        protected: members.truth("EnableTerminationProtection")?.unwrap_or_default(),
        parent: None,
    })
}

pub(super) fn update_stack(members: Members<'_>) -> Result<Request, ApiError> {
    let own = [
        "DisableRollback",
        "UsePreviousTemplate",
        "StackPolicyDuringUpdateBody",
        "StackPolicyDuringUpdateURL",
    ];
    members.only(&[&WANTED[..], &own].concat())?;
    let wanted = Box::new(members.wanted(true)?);
    Ok(Request::UpdateStack { stack: members.required("StackName")?, wanted })
}

pub(super) fn delete_stack(members: Members<'_>) -> Result<Request, ApiError> {
    let known = [
        "StackName",
        "RetainResources",
        "RoleARN",
        "ClientRequestToken",
        "DeletionMode",
        "DeploymentConfig",
    ];
    members.only(&known)?;
    let force = match members.text("DeletionMode")?.as_deref() {
        None | Some("STANDARD") => false,
        Some("FORCE_DELETE_STACK") => true,
        Some(other) => {
            let words = "Member must satisfy enum value set: [STANDARD, FORCE_DELETE_STACK]";
            return Err(members.0.broken("deletionMode", Some(other), words));
        }
    };
    Ok(Request::DeleteStack {
        stack: members.required("StackName")?,
        retain: members.texts("RetainResources")?.unwrap_or_default(),
        force,
        token: members.token()?,
    })
}

pub(super) fn create_change_set(members: Members<'_>) -> Result<Request, ApiError> {
    let own = [
        "UsePreviousTemplate",
        "ChangeSetName",
        "ClientToken",
        "Description",
        "ChangeSetType",
        "IncludeNestedStacks",
        "OnStackFailure",
    ];
    for (name, hint) in [
        ("ResourcesToImport", "resources are made, not imported"),
        ("DeploymentMode", "stacks do not drift"),
    ] {
        if members
            .0
            .get(name)
            .is_some_and(|value| value.as_str() != Some("false") && value.as_bool() != Some(false))
        {
            return Err(not_served(name, hint));
        }
    }
    // With ImportExistingResources what is there already still fails, by its name, when it is made.
    members.only(&[&WANTED[..], &own, &["ImportExistingResources"]].concat())?;
    let creates = match members.text("ChangeSetType")?.as_deref() {
        None | Some("UPDATE") => false,
        Some("CREATE") => true,
        Some("IMPORT") => {
            return Err(not_served("ChangeSetType IMPORT", "resources are made, not imported"));
        }
        Some(other) => {
            let words = "Member must satisfy enum value set: [IMPORT, UPDATE, CREATE]";
            return Err(members.0.broken("changeSetType", Some(other), words));
        }
    };
    let name = members.required("ChangeSetName")?;
    named(members, "changeSetName", &name)?;
    let stack = if creates { new_name(members)? } else { members.required("StackName")? };
    Ok(Request::CreateChangeSet(Box::new(CreateChangeSet {
        stack,
        name,
        wanted: members.wanted(true)?,
        description: members.text("Description")?,
        creates,
    })))
}

pub(super) fn execute(members: Members<'_>) -> Result<Request, ApiError> {
    let known = [
        "ChangeSetName",
        "StackName",
        "ClientRequestToken",
        "DisableRollback",
        "RetainExceptOnCreate",
    ];
    members.only(&known)?;
    Ok(Request::ExecuteChangeSet(Box::new(Execute {
        name: change_set_name(members)?,
        token: members.token()?,
        disable_rollback: members.truth("DisableRollback")?,
        retain_except_on_create: members.truth("RetainExceptOnCreate")?,
    })))
}

pub(super) fn continue_rollback(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "RoleARN", "ResourcesToSkip", "ClientRequestToken"])?;
    Ok(Request::ContinueUpdateRollback {
        stack: members.required("StackName")?,
        skip: members.texts("ResourcesToSkip")?.unwrap_or_default(),
        token: members.token()?,
    })
}

pub(super) fn rollback(members: Members<'_>) -> Result<Request, ApiError> {
    let known =
        ["StackName", "RoleARN", "ClientRequestToken", "RetainExceptOnCreate", "DeploymentConfig"];
    members.only(&known)?;
    Ok(Request::RollbackStack { stack: members.required("StackName")?, token: members.token()? })
}

pub(super) fn cancel(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "ClientRequestToken"])?;
    Ok(Request::CancelUpdateStack {
        stack: members.required("StackName")?,
        token: members.token()?,
    })
}

pub(super) fn set_policy(members: Members<'_>) -> Result<Request, ApiError> {
    if members.0.get("StackPolicyURL").is_some() {
        return Err(not_served("StackPolicyURL", "give the policy itself"));
    }
    members.only(&["StackName", "StackPolicyBody"])?;
    let policy = members.required("StackPolicyBody")?;
    if !matches!(Json::parse(&policy), Ok(Json::Object(_))) {
        return Err(validation("Error validating stack policy: Invalid stack policy"));
    }
    Ok(Request::SetStackPolicy { stack: members.required("StackName")?, policy })
}

pub(super) fn protect(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "EnableTerminationProtection"])?;
    let protected = members.truth("EnableTerminationProtection")?;
    let missing =
        || members.0.broken("enableTerminationProtection", None, "Member must not be null");
    Ok(Request::UpdateTerminationProtection {
        stack: members.required("StackName")?,
        protected: protected.ok_or_else(missing)?,
    })
}
