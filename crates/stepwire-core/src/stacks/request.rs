//! Requests, parsed once.

use std::sync::Arc;

use stepwire_asl::Json;

use super::status::OnFailure;
use super::{StackKey, validation};
use crate::error::ApiError;
use crate::params::Params;

/// Longest template in a request, bytes.
const BODY_MAX: usize = 51_200;
/// Most tags of a stack.
const TAGS_MAX: usize = 50;
/// Most parameters of a request.
const PARAMETERS_MAX: usize = 200;

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
            "CreateStack" => create_stack(members),
            "UpdateStack" => update_stack(members),
            "DeleteStack" => delete_stack(members),
            "CreateChangeSet" => create_change_set(members),
            "ExecuteChangeSet" => execute(members),
            "DeleteChangeSet" => members
                .only(&["ChangeSetName", "StackName"])
                .and_then(|()| change_set_name(members))
                .map(Request::DeleteChangeSet),
            "ContinueUpdateRollback" => continue_rollback(members),
            "RollbackStack" => rollback(members),
            "CancelUpdateStack" => cancel(members),
            "SetStackPolicy" => set_policy(members),
            "UpdateTerminationProtection" => protect(members),
            _ => return parse_read(operation, members),
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

fn parse_read(operation: &str, members: Members<'_>) -> Option<Result<Request, ApiError>> {
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

/// Members as a form or as JSON has them: numbers and truth values may be text, and an empty list too.
#[derive(Clone, Copy)]
struct Members<'a>(Params<'a>);

impl<'a> Members<'a> {
    fn only(self, known: &[&str]) -> Result<(), ApiError> {
        self.0.only(known)
    }

    fn text(self, name: &str) -> Result<Option<Arc<str>>, ApiError> {
        Ok(self.0.optional_text(name)?.map(Arc::from))
    }

    fn required(self, name: &str) -> Result<Arc<str>, ApiError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        let missing = || {
            let at = name[..1].to_lowercase() + &name[1..];
            self.0.broken(&at, None, "Member must not be null")
        };
        text.ok_or_else(missing)
    }

    fn truth(self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Bool(truth)) => Ok(Some(*truth)),
            Some(value) => match value.as_str() {
                Some("true") => Ok(Some(true)),
                Some("false") => Ok(Some(false)),
                _ => Err(self.0.invalid(name, "it must be true or false")),
            },
        }
    }

    fn list(self, name: &str) -> Result<Option<Vec<Json>>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Array(items)) => Ok(Some(items.to_vec())),
            Some(value) if value.as_str() == Some("") => Ok(Some(Vec::new())),
            Some(_) => Err(self.0.invalid(name, "it must be a list")),
        }
    }

    fn texts(self, name: &str) -> Result<Option<Vec<Arc<str>>>, ApiError> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let text = |item: &Json| item.as_str().map(Arc::from);
        let texts = items.iter().map(text).collect::<Option<Vec<_>>>();
        texts.map(Some).ok_or_else(|| self.0.invalid(name, "it must be a list of strings"))
    }

    fn after(self) -> Result<Arc<str>, ApiError> {
        Ok(self.text("NextToken")?.unwrap_or_default())
    }

    /// The client's token.
    fn token(self) -> Result<Option<Arc<str>>, ApiError> {
        let token = self.text("ClientRequestToken")?;
        let fits = |token: &Arc<str>| {
            (1..=128).contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        match token.filter(|token| !fits(token)) {
            Some(token) => Err(self.0.broken(
                "clientRequestToken",
                Some(&token),
                "Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*",
            )),
            None => self.text("ClientRequestToken"),
        }
    }

    /// Where the template is.
    fn source(self, may_be_previous: bool) -> Result<Source, ApiError> {
        let (body, url) = (self.text("TemplateBody")?, self.text("TemplateURL")?);
        let previous = may_be_previous && self.truth("UsePreviousTemplate")? == Some(true);
        match (body, url, previous) {
            (Some(body), None, false) => {
                if body.len() > BODY_MAX {
                    let constraint =
                        format!("Member must have length less than or equal to {BODY_MAX}");
                    return Err(self.0.broken("templateBody", Some(&body), &constraint));
                }
                Ok(Source::Body(body))
            }
            (None, Some(url), false) => object(&url),
            (None, None, true) => Ok(Source::Previous),
            (None, None, false) => {
                Err(validation("Either Template URL or Template Body must be specified."))
            }
            _ => Err(validation(
                "Only one of Template URL, Template Body or Use Previous Template may be specified.",
            )),
        }
    }

    fn wanted(self, may_be_previous: bool) -> Result<Wanted, ApiError> {
        for name in ["StackPolicyURL", "StackPolicyDuringUpdateURL"] {
            if self.0.get(name).is_some() {
                return Err(not_served(name, "give the policy itself"));
            }
        }
        let config = self.0.get("DeploymentConfig");
        let config = config.map(|config| Members(Params::new(config, "ValidationError")));
        let config = match config {
            Some(config) => {
                config.only(&["Mode", "DisableRollback"])?;
                config.truth("DisableRollback")?
            }
            None => None,
        };
        let on_failure = match self.text("OnFailure")?.or(self.text("OnStackFailure")?).as_deref() {
            None => None,
            Some("ROLLBACK") => Some(OnFailure::Rollback),
            Some("DELETE") => Some(OnFailure::Delete),
            Some("DO_NOTHING") => Some(OnFailure::DoNothing),
            Some(other) => {
                let words = "Member must satisfy enum value set: [DO_NOTHING, ROLLBACK, DELETE]";
                return Err(self.0.broken("onFailure", Some(other), words));
            }
        };
        let disable_rollback = self.truth("DisableRollback")?;
        if disable_rollback.is_some() && on_failure.is_some() {
            let message = "You can specify either DisableRollback or OnFailure, but not both.";
            return Err(validation(message));
        }
        let timeout_minutes = match self.0.get("TimeoutInMinutes") {
            None => None,
            Some(value) => {
                let minutes = value.as_i64().or_else(|| value.as_str()?.parse().ok());
                let minutes = minutes.filter(|minutes| *minutes >= 1);
                let wrong = || self.0.invalid("TimeoutInMinutes", "it must be a positive integer");
                Some(minutes.ok_or_else(wrong)?)
            }
        };
        Ok(Wanted {
            source: self.source(may_be_previous)?,
            parameters: self.parameters()?,
            capabilities: self.capabilities()?,
            tags: self.tags()?,
            notifications: self.texts("NotificationARNs")?,
            role: self.text("RoleARN")?,
            rollback_configuration: self.0.get("RollbackConfiguration").cloned(),
            on_failure,
            disable_rollback: disable_rollback.or(config).unwrap_or_default(),
            timeout_minutes,
            retain_except_on_create: self.truth("RetainExceptOnCreate")?.unwrap_or_default(),
            types: self.texts("ResourceTypes")?,
            policy: self.text("StackPolicyBody")?,
            token: self.token()?,
        })
    }

    fn parameters(self) -> Result<Vec<(Arc<str>, Option<Arc<str>>)>, ApiError> {
        let given = self.list("Parameters")?.unwrap_or_default();
        if given.len() > PARAMETERS_MAX {
            let constraint =
                format!("Member must have length less than or equal to {PARAMETERS_MAX}");
            return Err(self.0.broken("parameters", None, &constraint));
        }
        let mut parameters: Vec<(Arc<str>, Option<Arc<str>>)> = Vec::new();
        for parameter in &given {
            let members = Members(Params::new(parameter, "ValidationError"));
            members.only(&[
                "ParameterKey",
                "ParameterValue",
                "UsePreviousValue",
                "ResolvedValue",
            ])?;
            let key = members.required("ParameterKey")?;
            if parameters.iter().any(|(other, _)| *other == key) {
                return Err(validation(format!("Duplicate parameter key: {key}")));
            }
            let value = members.text("ParameterValue")?;
            let previous = members.truth("UsePreviousValue")?.unwrap_or_default();
            if previous && value.is_some() {
                let message = format!(
                    "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true \
                     and non empty value for a parameter"
                );
                return Err(validation(message));
            }
            let value = (!previous).then(|| value.unwrap_or_default());
            parameters.push((key, value));
        }
        Ok(parameters)
    }

    fn capabilities(self) -> Result<Vec<Arc<str>>, ApiError> {
        const KNOWN: [&str; 3] =
            ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
        let given = self.texts("Capabilities")?.unwrap_or_default();
        match given.iter().find(|given| !KNOWN.contains(&&***given)) {
            Some(unknown) => Err(self.0.broken(
                "capabilities",
                Some(&format!("[{unknown}]")),
                "Member must satisfy constraint: [Member must satisfy enum value set: \
                 [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]]",
            )),
            None => Ok(given),
        }
    }

    fn tags(self) -> Result<Option<Pairs>, ApiError> {
        let Some(given) = self.list("Tags")? else { return Ok(None) };
        if given.len() > TAGS_MAX {
            let constraint = format!("Member must have length less than or equal to {TAGS_MAX}");
            return Err(self.0.broken("tags", None, &constraint));
        }
        let mut tags = Pairs::new();
        for tag in &given {
            let members = Members(Params::new(tag, "ValidationError"));
            members.only(&["Key", "Value"])?;
            let (key, value) = (members.required("Key")?, members.text("Value")?);
            if tags.iter().any(|(other, _)| *other == key) {
                return Err(validation(format!("Duplicate tag keys found: {key}")));
            }
            tags.push((key, value.unwrap_or_default()));
        }
        Ok(Some(tags))
    }
}

/// The object that an address names, whatever its host: `bucket.host/key`, or `host/bucket/key`.
pub(super) fn object(url: &str) -> Result<Source, ApiError> {
    let wrong = || validation("TemplateURL must be a supported URL.");
    let rest = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(("s3", rest)) => {
            let (bucket, key) = rest.split_once('/').ok_or_else(wrong)?;
            return Ok(Source::Object { bucket: bucket.into(), key: key.into() });
        }
        _ => return Err(wrong()),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    let host = host.split(':').next().unwrap_or_default();
    let path = percent_decoded(path);
    let in_host = ["s3.", "s3-", "localhost"].iter().find_map(|marker| {
        let at = host.find(&format!(".{marker}")).or_else(|| {
            let bare = *marker == "localhost" && host.ends_with(".localhost");
            bare.then(|| host.len() - ".localhost".len())
        })?;
        Some(&host[..at])
    });
    match in_host {
        Some(bucket) if !path.is_empty() => {
            Ok(Source::Object { bucket: bucket.into(), key: path.into() })
        }
        _ => {
            let (bucket, key) = path.split_once('/').ok_or_else(wrong)?;
            Ok(Source::Object { bucket: bucket.into(), key: key.into() })
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn not_served(name: &str, hint: &str) -> ApiError {
    validation(format!("`{name}` is not available in stepwire: {hint}"))
}

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

fn create_stack(members: Members<'_>) -> Result<Request, ApiError> {
    let own = ["DisableRollback", "OnFailure", "TimeoutInMinutes", "EnableTerminationProtection"];
    members.only(&[&WANTED[..], &own].concat())?;
    Ok(Request::CreateStack {
        stack: new_name(members)?,
        wanted: Box::new(members.wanted(false)?),
        protected: members.truth("EnableTerminationProtection")?.unwrap_or_default(),
        parent: None,
    })
}

fn update_stack(members: Members<'_>) -> Result<Request, ApiError> {
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

fn delete_stack(members: Members<'_>) -> Result<Request, ApiError> {
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

fn create_change_set(members: Members<'_>) -> Result<Request, ApiError> {
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
        ("ImportExistingResources", "resources are made, not imported"),
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

fn change_set_name(members: Members<'_>) -> Result<ChangeSetName, ApiError> {
    let change_set = members.required("ChangeSetName")?;
    let stack = members.text("StackName")?;
    if stack.is_none() && !change_set.starts_with("arn:") {
        return Err(validation(
            "StackName must be specified if ChangeSetName is not specified as an ARN.",
        ));
    }
    Ok(ChangeSetName { change_set, stack })
}

fn execute(members: Members<'_>) -> Result<Request, ApiError> {
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

fn continue_rollback(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "RoleARN", "ResourcesToSkip", "ClientRequestToken"])?;
    Ok(Request::ContinueUpdateRollback {
        stack: members.required("StackName")?,
        skip: members.texts("ResourcesToSkip")?.unwrap_or_default(),
        token: members.token()?,
    })
}

fn rollback(members: Members<'_>) -> Result<Request, ApiError> {
    let known =
        ["StackName", "RoleARN", "ClientRequestToken", "RetainExceptOnCreate", "DeploymentConfig"];
    members.only(&known)?;
    Ok(Request::RollbackStack { stack: members.required("StackName")?, token: members.token()? })
}

fn cancel(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "ClientRequestToken"])?;
    Ok(Request::CancelUpdateStack {
        stack: members.required("StackName")?,
        token: members.token()?,
    })
}

fn set_policy(members: Members<'_>) -> Result<Request, ApiError> {
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

fn protect(members: Members<'_>) -> Result<Request, ApiError> {
    members.only(&["StackName", "EnableTerminationProtection"])?;
    let protected = members.truth("EnableTerminationProtection")?;
    let missing =
        || members.0.broken("enableTerminationProtection", None, "Member must not be null");
    Ok(Request::UpdateTerminationProtection {
        stack: members.required("StackName")?,
        protected: protected.ok_or_else(missing)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_found_whatever_host_its_address_names() {
        for url in [
            "http://127.0.0.1:4566/b/k/x.template",
            "https://s3.amazonaws.com/b/k/x.template",
            "https://s3.us-east-1.amazonaws.com/b/k/x.template?versionId=1",
            "https://b.s3.eu-west-1.amazonaws.com/k/x.template",
            "http://b.localhost:4566/k/x.template",
            "http://b.s3.localhost:4566/k/x.template",
            "http://example.org/b/k%2Fx.template",
            "s3://b/k/x.template",
        ] {
            let found = Source::Object { bucket: "b".into(), key: "k/x.template".into() };
            assert_eq!(object(url), Ok(found), "{url}");
        }
        for url in ["b/k", "ftp://h/b/k", "https://host", "https://host/b"] {
            assert!(object(url).is_err(), "{url}");
        }
    }
}
