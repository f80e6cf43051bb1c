//! Requests, parsed once.

mod address;
mod changes;
mod members;
mod reads;

use std::sync::Arc;

use stepwire_asl::Json;

pub(super) use address::object;
use members::{Members, change_set_name};

use super::StackKey;
use super::status::OnFailure;
use crate::error::ApiError;
use crate::params::Params;

/// Names, and values where they are given.
pub(super) type Values = Vec<(Arc<str>, Option<Arc<str>>)>;

/// Names and values.
pub(super) type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// A request of the CloudFormation API. Stacks and change sets are named or given by ARN.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    CreateStack {
        stack: Arc<str>,
        wanted: Box<Wanted>,
        protected: bool,
        /// The stack that it is a resource of, and as which.
        parent: Option<(StackKey, Arc<str>)>,
    },
    UpdateStack {
        stack: Arc<str>,
        wanted: Box<Wanted>,
    },
    DeleteStack {
        stack: Arc<str>,
        retain: Vec<Arc<str>>,
        force: bool,
        token: Option<Arc<str>>,
    },
    CreateChangeSet(Box<CreateChangeSet>),
    ExecuteChangeSet(Box<Execute>),
    DeleteChangeSet(ChangeSetName),
    ContinueUpdateRollback {
        stack: Arc<str>,
        skip: Vec<Arc<str>>,
        token: Option<Arc<str>>,
    },
    RollbackStack {
        stack: Arc<str>,
        token: Option<Arc<str>>,
    },
    CancelUpdateStack {
        stack: Arc<str>,
        token: Option<Arc<str>>,
    },
    SetStackPolicy {
        stack: Arc<str>,
        policy: Arc<str>,
    },
    UpdateTerminationProtection {
        stack: Arc<str>,
        protected: bool,
    },
    DescribeStacks {
        stack: Option<Arc<str>>,
        after: Arc<str>,
    },
    ListStacks {
        statuses: Vec<Arc<str>>,
        after: Arc<str>,
    },
    DescribeStackEvents {
        stack: Arc<str>,
        after: Arc<str>,
    },
    DescribeStackResource {
        stack: Arc<str>,
        logical: Arc<str>,
    },
    DescribeStackResources {
        stack: Option<Arc<str>>,
        logical: Option<Arc<str>>,
        physical: Option<Arc<str>>,
    },
    ListStackResources {
        stack: Arc<str>,
        after: Arc<str>,
    },
    GetTemplate {
        stack: Option<Arc<str>>,
        change_set: Option<Arc<str>>,
        processed: bool,
    },
    GetTemplateSummary {
        stack: Option<Arc<str>>,
        source: Option<Source>,
    },
    ValidateTemplate {
        source: Source,
    },
    DescribeChangeSet {
        name: ChangeSetName,
        after: Arc<str>,
    },
    DescribeChangeSetHooks(ChangeSetName),
    ListChangeSets {
        stack: Arc<str>,
    },
    ListExports {
        after: Arc<str>,
    },
    ListImports {
        export: Arc<str>,
    },
    GetStackPolicy {
        stack: Arc<str>,
    },
    /// The answer of a custom resource's function, which has been given this token.
    Respond {
        token: Arc<str>,
        answer: Json,
    },
}

/// A change set: its name and its stack's, or its ARN alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSetName {
    /// `ChangeSetName`
    pub change_set: Arc<str>,
    /// `StackName`
    pub stack: Option<Arc<str>>,
}

/// Where a template is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the request.
    Body(Arc<str>),
    /// In an object of our own.
    Object {
        /// The bucket.
        bucket: Arc<str>,
        /// The object's name.
        key: Arc<str>,
    },
    /// The stack's own.
    Previous,
}

/// What a stack is wanted to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its template.
    pub source: Source,
    /// Values of parameters; `None`: the one that the stack has.
    pub parameters: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// `Capabilities`
    pub capabilities: Vec<Arc<str>>,
    /// `Tags`; `None`: those that the stack has.
    pub tags: Option<Pairs>,
    /// `NotificationARNs`
    pub notifications: Option<Vec<Arc<str>>>,
    /// `RoleARN`
    pub role: Option<Arc<str>>,
    /// `RollbackConfiguration`
    pub rollback_configuration: Option<Json>,
    /// `OnFailure`
    pub on_failure: Option<OnFailure>,
    /// `DisableRollback`
    pub disable_rollback: bool,
    /// `TimeoutInMinutes`
    pub timeout_minutes: Option<i64>,
    /// `RetainExceptOnCreate`
    pub retain_except_on_create: bool,
    /// `ResourceTypes`: no others may be made.
    pub types: Option<Vec<Arc<str>>>,
    /// `StackPolicyBody`
    pub policy: Option<Arc<str>>,
    /// `ClientRequestToken`
    pub token: Option<Arc<str>>,
}

/// CreateChangeSet.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateChangeSet {
    /// The stack.
    pub stack: Arc<str>,
    /// The change set's name.
    pub name: Arc<str>,
    /// What the stack is wanted to be.
    pub wanted: Wanted,
    /// `Description`
    pub description: Option<Arc<str>>,
    /// Whether it makes the stack.
    pub creates: bool,
}

/// ExecuteChangeSet.
#[derive(Debug, Clone, PartialEq)]
pub struct Execute {
    /// The change set.
    pub name: ChangeSetName,
    /// `ClientRequestToken`
    pub token: Option<Arc<str>>,
    /// `DisableRollback`
    pub disable_rollback: Option<bool>,
    /// `RetainExceptOnCreate`
    pub retain_except_on_create: Option<bool>,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let members = Members(Params::new(body, "ValidationError"));
        Some(match operation {
            "CreateStack" => changes::create_stack(members),
            "UpdateStack" => changes::update_stack(members),
            "DeleteStack" => changes::delete_stack(members),
            "CreateChangeSet" => changes::create_change_set(members),
            "ExecuteChangeSet" => changes::execute(members),
            "DeleteChangeSet" => members
                .only(&["ChangeSetName", "StackName"])
                .and_then(|()| change_set_name(members))
                .map(Request::DeleteChangeSet),
            "ContinueUpdateRollback" => changes::continue_rollback(members),
            "RollbackStack" => changes::rollback(members),
            "CancelUpdateStack" => changes::cancel(members),
            "SetStackPolicy" => changes::set_policy(members),
            "UpdateTerminationProtection" => changes::protect(members),
            _ => return reads::parse(operation, members),
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::DescribeStacks { .. }
            | Request::ListStacks { .. }
            | Request::DescribeStackEvents { .. }
            | Request::DescribeStackResource { .. }
            | Request::DescribeStackResources { .. }
            | Request::ListStackResources { .. }
            | Request::GetTemplate { .. }
            | Request::GetTemplateSummary { .. }
            | Request::ValidateTemplate { .. }
            | Request::DescribeChangeSet { .. }
            | Request::DescribeChangeSetHooks(_)
            | Request::ListChangeSets { .. }
            | Request::ListExports { .. }
            | Request::ListImports { .. }
            | Request::GetStackPolicy { .. } => true,
            Request::CreateStack { .. }
            | Request::UpdateStack { .. }
            | Request::DeleteStack { .. }
            | Request::CreateChangeSet(_)
            | Request::ExecuteChangeSet(_)
            | Request::DeleteChangeSet(_)
            | Request::ContinueUpdateRollback { .. }
            | Request::RollbackStack { .. }
            | Request::CancelUpdateStack { .. }
            | Request::SetStackPolicy { .. }
            | Request::UpdateTerminationProtection { .. }
            | Request::Respond { .. } => false,
        }
    }

    /// What it wants a stack to be.
    pub(super) fn wanted(&self) -> Option<(&Arc<str>, &Wanted)> {
        match self {
            Request::CreateStack { stack, wanted, .. } | Request::UpdateStack { stack, wanted } => {
                Some((stack, wanted))
            }
            Request::CreateChangeSet(create) => Some((&create.stack, &create.wanted)),
            _ => None,
        }
    }
}
