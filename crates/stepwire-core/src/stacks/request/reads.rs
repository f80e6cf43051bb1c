//! Requests that change nothing.

use std::sync::Arc;

use super::Request;
use super::members::{Members, change_set_name};
use crate::error::ApiError;
use crate::stacks::validation;

pub(super) fn parse(operation: &str, members: Members<'_>) -> Option<Result<Request, ApiError>> {
    Some(match operation {
        "DescribeStacks" => describe_stacks(members),
        "ListStacks" => list_stacks(members),
        "DescribeStackEvents" => {
            of_stack(members, |stack, after| Request::DescribeStackEvents { stack, after })
        }
        "ListStackResources" => {
            of_stack(members, |stack, after| Request::ListStackResources { stack, after })
        }
        "DescribeStackResource" => describe_resource(members),
        "DescribeStackResources" => describe_resources(members),
        "GetTemplate" => get_template(members),
        "GetTemplateSummary" => summary(members),
        "ValidateTemplate" => members
            .only(&["TemplateBody", "TemplateURL"])
            .and_then(|()| members.source(false))
            .map(|source| Request::ValidateTemplate { source }),
        "DescribeChangeSet" => describe_change_set(members),
        "DescribeChangeSetHooks" => members
            .only(&["ChangeSetName", "StackName", "NextToken", "LogicalResourceId"])
            .and_then(|()| change_set_name(members))
            .map(Request::DescribeChangeSetHooks),
        "ListChangeSets" => members
            .only(&["StackName", "NextToken"])
            .and_then(|()| members.required("StackName"))
            .map(|stack| Request::ListChangeSets { stack }),
        "ListExports" => members
            .only(&["NextToken"])
            .and_then(|()| members.after())
            .map(|after| Request::ListExports { after }),
        "ListImports" => members
            .only(&["ExportName", "NextToken"])
            .and_then(|()| members.required("ExportName"))
            .map(|export| Request::ListImports { export }),
        "GetStackPolicy" => members
            .only(&["StackName"])
            .and_then(|()| members.required("StackName"))
            .map(|stack| Request::GetStackPolicy { stack }),
        _ => return None,
    })
}

fn describe_stacks(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "NextToken"])?;
    Ok(Request::DescribeStacks { stack: members.text("StackName")?, after: members.after()? })
}

fn list_stacks(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackStatusFilter", "NextToken"])?;
    Ok(Request::ListStacks {
        statuses: members.texts("StackStatusFilter")?.unwrap_or_default(),
        after: members.after()?,
    })
}

fn of_stack(
    members: Members<'_>,
    request: impl FnOnce(Arc<str>, Arc<str>) -> Request,
) -> Result<Request, ApiError> {
    members.only(&["StackName", "NextToken"])?;
    Ok(request(members.required("StackName")?, members.after()?))
}

fn describe_resource(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "LogicalResourceId"])?;
    Ok(Request::DescribeStackResource {
        stack: members.required("StackName")?,
        logical: members.required("LogicalResourceId")?,
    })
}

fn describe_resources(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "LogicalResourceId", "PhysicalResourceId"])?;
    let (stack, physical) = (members.text("StackName")?, members.text("PhysicalResourceId")?);
    match (&stack, &physical) {
        (None, None) => {
            return Err(validation(
                "At least one of StackName and PhysicalResourceId must be specified",
            ));
        }
        (Some(_), Some(_)) => {
            let message = "Only one of StackName and PhysicalResourceId can be specified";
            return Err(validation(message));
        }
        _ => {}
    }
    let logical = members.text("LogicalResourceId")?;
    Ok(Request::DescribeStackResources { stack, logical, physical })
}

fn get_template(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "ChangeSetName", "TemplateStage"])?;
    let processed = match members.text("TemplateStage")?.as_deref() {
        None | Some("Original") => false,
        Some("Processed") => true,
        Some(other) => {
            let words = "Member must satisfy enum value set: [Original, Processed]";
            return Err(members.0.broken("templateStage", Some(other), words));
        }
    };
    let (stack, change_set) = (members.text("StackName")?, members.text("ChangeSetName")?);
    if stack.is_none() && !change_set.as_deref().is_some_and(|name| name.starts_with("arn:")) {
        return Err(validation("StackName is required if ChangeSetName is not specified."));
    }
    Ok(Request::GetTemplate { stack, change_set, processed })
}

fn summary(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["TemplateBody", "TemplateURL", "StackName", "TemplateSummaryConfig"])?;
    let stack = members.text("StackName")?;
    let source = match &stack {
        Some(_) => None,
        None => Some(members.source(false)?),
    };
    Ok(Request::GetTemplateSummary { stack, source })
}

fn describe_change_set(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["ChangeSetName", "StackName", "NextToken", "IncludePropertyValues"])?;
    let name = change_set_name(members)?;
    Ok(Request::DescribeChangeSet { name, after: members.after()? })
}
