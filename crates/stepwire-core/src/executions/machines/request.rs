//! Requests for state machines, versions, aliases and tags, parsed.
//!
//! That the members are there, of their type and within the model's constraints has been checked.

use std::sync::Arc;

use stepwire_asl::Json;

use super::super::definition::{Kind, accepted, kind};
use super::super::request::{
    ExecutionName, Page, checked_name, execution_arn, invalid_arn, page, states_resource,
};
use super::{Logging, MachineArn, Publish, Qualifier, Route, Tags};
use crate::error::ApiError;
use crate::params::Params;

/// A request for state machines and what belongs to them.
#[derive(Debug, Clone)]
pub enum Request {
    /// CreateStateMachine
    Create(Box<CreateStateMachine>),
    /// UpdateStateMachine
    Update(Box<UpdateStateMachine>),
    /// DeleteStateMachine, by name.
    Delete(Arc<str>),
    /// DescribeStateMachine
    Describe {
        /// Which.
        machine: MachineArn,
        /// `includedData`: with the definition.
        with_data: bool,
    },
    /// DescribeStateMachineForExecution
    DescribeForExecution {
        /// Whose.
        execution: ExecutionName,
        /// `includedData`: with the definition.
        with_data: bool,
    },
    /// ListStateMachines
    List(Page),
    /// PublishStateMachineVersion
    Publish {
        /// Name of the state machine.
        machine: Arc<str>,
        /// Only if this is the current revision.
        revision: Option<Arc<str>>,
        /// `description`
        description: Option<Arc<str>>,
    },
    /// DeleteStateMachineVersion: name of the state machine and number.
    DeleteVersion(Arc<str>, u64),
    /// ListStateMachineVersions, by name.
    ListVersions(Arc<str>, Page),
    /// CreateStateMachineAlias
    CreateAlias {
        /// Which, of which state machine.
        alias: AliasName,
        /// `description`
        description: Option<Arc<str>>,
        /// `routingConfiguration`
        routes: Vec<Route>,
    },
    /// UpdateStateMachineAlias
    UpdateAlias {
        /// Which.
        alias: AliasName,
        /// `description`, if it changes.
        description: Option<Arc<str>>,
        /// `routingConfiguration`, if it changes.
        routes: Option<Vec<Route>>,
    },
    /// DeleteStateMachineAlias
    DeleteAlias(AliasName),
    /// DescribeStateMachineAlias
    DescribeAlias(AliasName),
    /// ListStateMachineAliases: of a state machine, or of one version.
    ListAliases(MachineArn, Page),
    /// TagResource: ARN, then keys and values.
    Tag(Arc<str>, Tags),
    /// UntagResource: ARN, then keys.
    Untag(Arc<str>, Vec<Arc<str>>),
    /// ListTagsForResource, by ARN.
    ListTags(Arc<str>),
}

/// An alias and the name of its state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasName {
    /// Name of the state machine.
    pub machine: Arc<str>,
    /// Name of the alias.
    pub name: Arc<str>,
}

/// The parts of a CreateStateMachine request.
#[derive(Debug, Clone)]
pub struct CreateStateMachine {
    /// `name`
    pub name: Arc<str>,
    /// `definition`, byte for byte; found valid.
    pub definition: Arc<str>,
    /// `roleArn`
    pub role_arn: Arc<str>,
    /// `type`
    pub kind: Kind,
    /// `loggingConfiguration`
    pub logging: Logging,
    /// Members accepted without effect, shown by DescribeStateMachine.
    pub shown: Json,
    /// `tags`
    pub tags: Tags,
    /// `publish`, with `versionDescription`.
    pub publish: Publish,
}

/// The parts of an UpdateStateMachine request; what is `None` stays.
#[derive(Debug, Clone)]
pub struct UpdateStateMachine {
    /// Which.
    pub machine: MachineArn,
    /// `definition`, byte for byte; found valid.
    pub definition: Option<Arc<str>>,
    /// `roleArn`
    pub role_arn: Option<Arc<str>>,
    /// `loggingConfiguration`
    pub logging: Option<Logging>,
    /// Members accepted without effect that were given.
    pub shown: Json,
    /// `publish`, with `versionDescription`.
    pub publish: Publish,
}

/// Members without effect.
const SHOWN: [&str; 2] = ["tracingConfiguration", "encryptionConfiguration"];

impl Request {
    /// The request that `params` make of `operation`; `None` for those of others.
    pub(in super::super) fn parse(
        operation: &str,
        params: &Params<'_>,
    ) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "CreateStateMachine" => create(params),
            "UpdateStateMachine" => update(params),
            "DeleteStateMachine" => unqualified(params).map(Request::Delete),
            "DescribeStateMachine" => machine_arn(params)
                .map(|machine| Request::Describe { machine, with_data: with_data(params) }),
            "DescribeStateMachineForExecution" => execution_arn(params).map(|execution| {
                Request::DescribeForExecution { execution, with_data: with_data(params) }
            }),
            "ListStateMachines" => page(params).map(Request::List),
            "PublishStateMachineVersion" => publish(params),
            "DeleteStateMachineVersion" => delete_version(params),
            "ListStateMachineVersions" => unqualified(params)
                .and_then(|machine| Ok(Request::ListVersions(machine, page(params)?))),
            "CreateStateMachineAlias" => create_alias(params),
            "UpdateStateMachineAlias" => update_alias(params),
            "DeleteStateMachineAlias" => alias_arn(params).map(Request::DeleteAlias),
            "DescribeStateMachineAlias" => alias_arn(params).map(Request::DescribeAlias),
            "ListStateMachineAliases" => machine_arn(params)
                .and_then(|machine| Ok(Request::ListAliases(machine, page(params)?))),
            "TagResource" => resource(params).map(|arn| Request::Tag(arn, tags(params))),
            "UntagResource" => resource(params).map(|arn| {
                let keys = params.get("tagKeys").and_then(Json::as_array).unwrap_or_default();
                Request::Untag(arn, keys.iter().filter_map(Json::as_str).map(Arc::from).collect())
            }),
            "ListTagsForResource" => resource(params).map(Request::ListTags),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub(in super::super) fn is_read(&self) -> bool {
        match self {
            Request::Describe { .. }
            | Request::DescribeForExecution { .. }
            | Request::List(_)
            | Request::ListVersions(..)
            | Request::DescribeAlias(_)
            | Request::ListAliases(..)
            | Request::ListTags(_) => true,
            Request::Create(_)
            | Request::Update(_)
            | Request::Delete(_)
            | Request::Publish { .. }
            | Request::DeleteVersion(..)
            | Request::CreateAlias { .. }
            | Request::UpdateAlias { .. }
            | Request::DeleteAlias(_)
            | Request::Tag(..)
            | Request::Untag(..) => false,
        }
    }

    /// The logging that it asks for.
    pub(crate) fn logging(&self) -> Option<&Logging> {
        match self {
            Request::Create(create) => Some(&create.logging),
            Request::Update(update) => update.logging.as_ref(),
            _ => None,
        }
    }
}

fn create(params: &Params<'_>) -> Result<Request, ApiError> {
    let publish = published(params)?;
    let name = checked_name(params.text("name")?)?;
    let role_arn = role(params.text("roleArn")?)?;
    let kind = kind(params)?;
    let logging = params.get("loggingConfiguration").map(Logging::parse).transpose()?;
    let definition = params.text("definition")?;
    accepted(definition, kind)?;
    Ok(Request::Create(Box::new(CreateStateMachine {
        name: name.into(),
        definition: definition.into(),
        role_arn,
        kind,
        logging: logging.unwrap_or_default(),
        shown: shown(params),
        tags: tags(params),
        publish,
    })))
}

fn update(params: &Params<'_>) -> Result<Request, ApiError> {
    let publish = published(params)?;
    let machine = machine_arn(params)?;
    let changing = [
        "definition",
        "roleArn",
        "loggingConfiguration",
        "tracingConfiguration",
        "encryptionConfiguration",
    ];
    if changing.iter().all(|name| params.get(name).is_none()) {
        let message = "Either the definition, the role ARN, the LoggingConfiguration, or the \
                       TracingConfiguration must be specified";
        return Err(ApiError::new("MissingRequiredParameter", message));
    }
    let logging = params.get("loggingConfiguration").map(Logging::parse).transpose()?;
    Ok(Request::Update(Box::new(UpdateStateMachine {
        machine,
        definition: params.optional_text("definition")?.map(Arc::from),
        role_arn: params.optional_text("roleArn")?.map(role).transpose()?,
        logging,
        shown: shown(params),
        publish,
    })))
}

/// `publish`, and the description of the version.
fn published(params: &Params<'_>) -> Result<Publish, ApiError> {
    let description = params.optional_text("versionDescription")?;
    match params.optional_bool("publish")? {
        Some(true) => Ok(Publish::Version(description.map(Arc::from))),
        _ if description.is_some_and(|text| !text.is_empty()) => {
            let message = "Version description can only be set when publish is true";
            Err(ApiError::new("ValidationException", message))
        }
        _ => Ok(Publish::No),
    }
}

fn role(arn: &str) -> Result<Arc<str>, ApiError> {
    if !arn.starts_with("arn:aws") || !arn.contains(":role/") {
        return Err(invalid_arn("Invalid ARN prefix", arn));
    }
    Ok(arn.into())
}

fn shown(params: &Params<'_>) -> Json {
    Json::object(SHOWN.iter().filter_map(|name| Some((*name, params.get(name)?.clone()))))
}

/// `tags`: of a key that comes twice, the last value.
pub(in super::super) fn tags(params: &Params<'_>) -> Tags {
    let list = params.get("tags").and_then(Json::as_array).unwrap_or_default();
    let mut tags = Tags::new();
    for tag in list {
        let text = |name| tag.member(name).and_then(Json::as_str).unwrap_or_default();
        super::tag::set(&mut tags, text("key").into(), text("value").into());
    }
    tags
}

fn publish(params: &Params<'_>) -> Result<Request, ApiError> {
    Ok(Request::Publish {
        machine: unqualified(params)?,
        revision: params.optional_text("revisionId")?.map(Arc::from),
        description: params.optional_text("description")?.map(Arc::from),
    })
}

fn delete_version(params: &Params<'_>) -> Result<Request, ApiError> {
    let arn = params.text("stateMachineVersionArn")?;
    match MachineArn::parse(arn)? {
        MachineArn { name, qualifier: Some(Qualifier::Version(number)) } => {
            Ok(Request::DeleteVersion(name, number))
        }
        _ => Err(invalid_arn("Invalid ARN", arn)),
    }
}

fn create_alias(params: &Params<'_>) -> Result<Request, ApiError> {
    let (machine, routes) = routes(params)?.unwrap_or_default();
    let alias = AliasName { machine, name: params.text("name")?.into() };
    let description = params.optional_text("description")?.map(Arc::from);
    Ok(Request::CreateAlias { alias, description, routes })
}

fn update_alias(params: &Params<'_>) -> Result<Request, ApiError> {
    let alias = alias_arn(params)?;
    let routes = routes(params)?;
    let description = params.optional_text("description")?.map(Arc::from);
    if routes.is_none() && description.is_none() {
        let message = "Either the description or the RoutingConfiguration must be specified";
        return Err(ApiError::new("ValidationException", message));
    }
    let routes = match routes {
        Some((machine, _)) if machine != alias.machine => {
            let message = "Request references a resource that does not exist.";
            return Err(ApiError::new("ResourceNotFound", message));
        }
        routes => routes.map(|(_, routes)| routes),
    };
    Ok(Request::UpdateAlias { alias, description, routes })
}

/// A state machine's name, and where an alias of it leads.
type Routes = (Arc<str>, Vec<Route>);

/// `routingConfiguration`: one or two versions of one state machine, whose weights add up to 100.
fn routes(params: &Params<'_>) -> Result<Option<Routes>, ApiError> {
    let Some(list) = params.get("routingConfiguration").and_then(Json::as_array) else {
        return Ok(None);
    };
    let arn = |route: &Json| {
        let arn = route.member("stateMachineVersionArn").and_then(Json::as_str);
        arn.unwrap_or_default().to_owned()
    };
    let arns: Vec<String> = list.iter().map(arn).collect();
    let received = || format!("Received: [{}]", arns.join(", "));
    let refuse = |message: String| Err(ApiError::new("ValidationException", message));
    if arns.len() == 2 && arns[0] == arns[1] {
        let message = "Routing configuration must contain distinct state machine version ARNs.";
        return refuse(format!("{message} {}", received()));
    }
    let weights: Vec<i64> =
        list.iter().filter_map(|route| route.member("weight").and_then(Json::as_i64)).collect();
    if weights.iter().sum::<i64>() != 100 {
        let weights: Vec<_> = weights.iter().map(ToString::to_string).collect();
        let weights = weights.join(", ");
        let message = "Sum of routing configuration weights must equal 100.";
        return refuse(format!("{message} Received: [{weights}]"));
    }
    let mut machine: Option<Arc<str>> = None;
    let mut routes = Vec::new();
    for (arn, weight) in arns.iter().zip(weights) {
        let MachineArn { name, qualifier } = MachineArn::parse(arn)?;
        let Some(Qualifier::Version(version)) = qualifier else {
            let message = "Routing configuration must contain state machine version ARNs.";
            return refuse(format!("{message} {}", received()));
        };
        if machine.as_ref().is_some_and(|machine| *machine != name) {
            let message = "Routing configuration must contain versions of the same state machine.";
            return refuse(format!("{message} {}", received()));
        }
        machine = Some(name);
        routes.push(Route { version, weight: u8::try_from(weight).unwrap_or_default() });
    }
    Ok(machine.map(|machine| (machine, routes)))
}

fn machine_arn(params: &Params<'_>) -> Result<MachineArn, ApiError> {
    MachineArn::parse(params.text("stateMachineArn")?)
}

/// The name in an ARN that must not name a version or alias.
fn unqualified(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let arn = params.text("stateMachineArn")?;
    match MachineArn::parse(arn)? {
        MachineArn { name, qualifier: None } => Ok(name),
        MachineArn { .. } => Err(invalid_arn("Invalid ARN", arn)),
    }
}

fn alias_arn(params: &Params<'_>) -> Result<AliasName, ApiError> {
    let arn = params.text("stateMachineAliasArn")?;
    match MachineArn::parse(arn)? {
        MachineArn { name, qualifier: Some(Qualifier::Alias(alias)) } => {
            Ok(AliasName { machine: name, name: alias })
        }
        _ => Err(invalid_arn("Invalid ARN", arn)),
    }
}

fn resource(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let arn = params.text("resourceArn")?;
    states_resource(arn)?;
    Ok(arn.into())
}

fn with_data(params: &Params<'_>) -> bool {
    params.get("includedData").and_then(Json::as_str) != Some("METADATA_ONLY")
}
