//! Requests, parsed once.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::pattern::Pattern;
use super::record::{Input, Tags, Target};
use super::{DEFAULT, Schedule, input, validation};
use crate::error::ApiError;
use crate::params::{self, Params};

/// Most entries of one PutEvents.
const ENTRIES_MAX: usize = 10;
/// Most bytes of all entries of one PutEvents.
const ENTRIES_BYTES_MAX: usize = 256 << 10;

/// A request of the EventBridge API.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    PutEvents { entries: Vec<Result<Entry, ApiError>> },
    PutRule(Box<PutRule>),
    DeleteRule(RuleName),
    DescribeRule(RuleName),
    EnableRule(RuleName),
    DisableRule(RuleName),
    ListRules { bus: Arc<str>, prefix: Arc<str>, page: Page },
    ListRuleNamesByTarget { bus: Arc<str>, target: Arc<str>, page: Page },
    PutTargets { rule: RuleName, targets: Vec<Target> },
    RemoveTargets { rule: RuleName, ids: Vec<Arc<str>> },
    ListTargetsByRule { rule: RuleName, page: Page },
    TagResource { resource: Arc<str>, tags: Tags },
    UntagResource { resource: Arc<str>, keys: Vec<Arc<str>> },
    ListTagsForResource { resource: Arc<str> },
    CreateEventBus { name: Arc<str>, description: Option<Arc<str>>, tags: Tags },
    DeleteEventBus { name: Arc<str> },
    DescribeEventBus { name: Arc<str> },
    ListEventBuses { prefix: Arc<str>, page: Page },
    TestEventPattern { pattern: Box<Pattern>, event: Json },
}

/// A rule's place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct RuleName {
    pub bus: Arc<str>,
    pub name: Arc<str>,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What comes after this name or id.
    pub after: Arc<str>,
    /// At most so many.
    pub max: usize,
}

/// An event that somebody puts on a bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The bus.
    pub bus: Arc<str>,
    /// `source`.
    pub source: Arc<str>,
    /// `detail-type`.
    pub detail_type: Arc<str>,
    /// `detail`: an object.
    pub detail: Json,
    /// `resources`.
    pub resources: Vec<Arc<str>>,
    /// `time`, where it is not when the event is put.
    pub time: Option<Timestamp>,
}

/// PutRule.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct PutRule {
    pub name: RuleName,
    pub pattern: Option<Arc<str>>,
    pub schedule: Option<Arc<str>>,
    pub tags: Tags,
    pub description: Option<Arc<str>>,
    pub role_arn: Option<Arc<str>>,
    pub enabled: bool,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "ValidationException");
        Some(match operation {
            "PutEvents" => put_events(params),
            "PutRule" => PutRule::parse(params).map(Box::new).map(Request::PutRule),
            "DeleteRule" => only_rule(params, &["Force"]).map(Request::DeleteRule),
            "DescribeRule" => only_rule(params, &[]).map(Request::DescribeRule),
            "EnableRule" => only_rule(params, &[]).map(Request::EnableRule),
            "DisableRule" => only_rule(params, &[]).map(Request::DisableRule),
            "ListRules" => list_rules(params),
            "ListRuleNamesByTarget" => list_by_target(params),
            "PutTargets" => put_targets(params),
            "RemoveTargets" => remove_targets(params),
            "ListTargetsByRule" => list_targets(params),
            "CreateEventBus" => create_bus(params),
            "DeleteEventBus" => params
                .only(&["Name"])
                .and_then(|()| name(params, "Name"))
                .map(|name| Request::DeleteEventBus { name }),
            "DescribeEventBus" => params
                .only(&["Name"])
                .and_then(|()| bus(params, "Name"))
                .map(|name| Request::DescribeEventBus { name }),
            "ListEventBuses" => list_buses(params),
            "TestEventPattern" => test_pattern(params),
            "TagResource" => tag(params),
            "UntagResource" => untag(params),
            "ListTagsForResource" => params
                .only(&["ResourceARN"])
                .and_then(|()| required(params, "ResourceARN"))
                .map(|resource| Request::ListTagsForResource { resource }),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::DescribeRule(_)
            | Request::ListRules { .. }
            | Request::ListRuleNamesByTarget { .. }
            | Request::ListTargetsByRule { .. }
            | Request::DescribeEventBus { .. }
            | Request::ListEventBuses { .. }
            | Request::ListTagsForResource { .. }
            | Request::TestEventPattern { .. } => true,
            Request::PutEvents { .. }
            | Request::PutRule(_)
            | Request::DeleteRule(_)
            | Request::EnableRule(_)
            | Request::DisableRule(_)
            | Request::PutTargets { .. }
            | Request::RemoveTargets { .. }
            | Request::TagResource { .. }
            | Request::UntagResource { .. }
            | Request::CreateEventBus { .. }
            | Request::DeleteEventBus { .. } => false,
        }
    }
}

fn camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

fn broken(name: &str, value: Option<&str>, constraint: &str) -> ApiError {
    validation(params::broken(&camel(name), value, constraint))
}

/// A name of a rule or bus.
fn name(params: Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    let text = params.optional_text(member)?;
    let text = text.ok_or_else(|| broken(member, None, "Member must not be null"))?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let constraint = if text.is_empty() {
        "Member must have length greater than or equal to 1"
    } else if text.len() > 256 {
        "Member must have length less than or equal to 256"
    } else if !text.bytes().all(known) {
        "Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+"
    } else {
        return Ok(text.into());
    };
    Err(broken(member, Some(text), constraint))
}

/// A bus by name or ARN; the default one where none is named.
fn bus(params: Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    Ok(params.optional_text(member)?.map_or(DEFAULT, bus_name).into())
}

fn bus_name(text: &str) -> &str {
    text.rsplit_once(":event-bus/").map_or(text, |(_, name)| name)
}

fn rule(params: Params<'_>, member: &str) -> Result<RuleName, ApiError> {
    Ok(RuleName { bus: bus(params, "EventBusName")?, name: name(params, member)? })
}

fn only_rule(params: Params<'_>, more: &[&str]) -> Result<RuleName, ApiError> {
    params.only(&[&["Name", "EventBusName"], more].concat())?;
    rule(params, "Name")
}

fn text(params: Params<'_>, member: &str) -> Result<Option<Arc<str>>, ApiError> {
    Ok(params.optional_text(member)?.map(Arc::from))
}

fn page(params: Params<'_>) -> Result<Page, ApiError> {
    let max = params.optional_int("Limit")?.unwrap_or(100);
    if !(1..=100).contains(&max) {
        let constraint = if max < 1 {
            "Member must have value greater than or equal to 1"
        } else {
            "Member must have value less than or equal to 100"
        };
        return Err(broken("Limit", Some(&max.to_string()), constraint));
    }
    Ok(Page { after: text(params, "NextToken")?.unwrap_or_default(), max: max as usize })
}

fn put_events(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Entries"])?;
    let given = params.get("Entries").and_then(Json::as_array);
    let given = given.ok_or_else(|| broken("Entries", None, "Member must not be null"))?;
    let constraint = if given.is_empty() {
        "Member must have length greater than or equal to 1"
    } else {
        "Member must have length less than or equal to 10"
    };
    if given.is_empty() || given.len() > ENTRIES_MAX {
        let shown = Json::array(given.iter().cloned()).to_text();
        return Err(broken("Entries", Some(&shown), constraint));
    }
    let bytes: usize = given.iter().map(|entry| entry.to_text().len()).sum();
    if bytes > ENTRIES_BYTES_MAX {
        return Err(validation("Total size of the entries in the request is over the limit."));
    }
    Ok(Request::PutEvents { entries: given.iter().map(Entry::parse).collect() })
}

impl Entry {
    /// The error is that of the entry alone.
    fn parse(entry: &Json) -> Result<Entry, ApiError> {
        let params = Params::new(entry, "InvalidArgument");
        params.only(&[
            "Source",
            "DetailType",
            "Detail",
            "EventBusName",
            "Resources",
            "Time",
            "TraceHeader",
        ])?;
        let required = |member: &str| {
            params.optional_text(member)?.filter(|text| !text.is_empty()).ok_or_else(|| {
                let message = format!(
                    "Parameter {member} is not valid. Reason: {member} is a required argument."
                );
                ApiError::new("InvalidArgument", message)
            })
        };
        let source = required("Source")?;
        if source.starts_with("aws.") {
            let message = "Not authorized for the source.";
            return Err(ApiError::new("NotAuthorizedForSource", message));
        }
        let detail_type = required("DetailType")?;
        let malformed = || ApiError::new("MalformedDetail", "Detail is malformed.");
        let detail = Json::parse(required("Detail")?).map_err(|_| malformed())?;
        if detail.as_object().is_none() {
            return Err(malformed());
        }
        let resources = params.get("Resources").and_then(Json::as_array).unwrap_or_default();
        let resources = resources.iter().filter_map(Json::as_str).map(Arc::from).collect();
        let time = params.get("Time").and_then(|time| match time {
            Json::String(text) => Timestamp::parse(text),
            other => other.as_f64().map(|seconds| Timestamp((seconds * 1_000.0) as i64)),
        });
        Ok(Entry {
            bus: bus(params, "EventBusName")?,
            source: source.into(),
            detail_type: detail_type.into(),
            detail,
            resources,
            time,
        })
    }
}

impl PutRule {
    fn parse(params: Params<'_>) -> Result<PutRule, ApiError> {
        params.only(&[
            "Name",
            "EventBusName",
            "EventPattern",
            "ScheduleExpression",
            "State",
            "Description",
            "RoleArn",
            "Tags",
        ])?;
        let given =
            |member| Ok::<_, ApiError>(text(params, member)?.filter(|text| !text.is_empty()));
        let (pattern, schedule) = (given("EventPattern")?, given("ScheduleExpression")?);
        if pattern.is_none() && schedule.is_none() {
            return Err(validation(
                "Parameter(s) EventPattern or ScheduleExpression must be specified.",
            ));
        }
        pattern.as_deref().map(parsed).transpose()?;
        let read = schedule.as_deref().map(Schedule::parse);
        // `at(…)` is for the Scheduler alone.
        if read.is_some_and(|read| read.is_none_or(|schedule| schedule.is_once())) {
            return Err(validation("Parameter ScheduleExpression is not valid."));
        }
        let enabled = match params.optional_text("State")? {
            None | Some("ENABLED") => true,
            Some("DISABLED") => false,
            Some("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") => {
                let message = "there is no CloudTrail in stepwire: a rule is ENABLED or DISABLED";
                return Err(validation(message));
            }
            Some(other) => {
                let constraint = "Member must satisfy enum value set: [ENABLED, DISABLED]";
                return Err(broken("State", Some(other), constraint));
            }
        };
        Ok(PutRule {
            name: rule(params, "Name")?,
            pattern,
            schedule,
            tags: tags(params)?,
            description: text(params, "Description")?,
            role_arn: text(params, "RoleArn")?,
            enabled,
        })
    }
}

fn parsed(pattern: &str) -> Result<Pattern, ApiError> {
    Pattern::parse(pattern).map_err(|why| {
        let message = format!("Event pattern is not valid. Reason: {why}");
        ApiError::new("InvalidEventPatternException", message)
    })
}

fn list_rules(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["NamePrefix", "EventBusName", "NextToken", "Limit"])?;
    let prefix = text(params, "NamePrefix")?.unwrap_or_default();
    Ok(Request::ListRules { bus: bus(params, "EventBusName")?, prefix, page: page(params)? })
}

fn list_by_target(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["TargetArn", "EventBusName", "NextToken", "Limit"])?;
    let target = text(params, "TargetArn")?;
    let target = target.ok_or_else(|| broken("TargetArn", None, "Member must not be null"))?;
    let bus = bus(params, "EventBusName")?;
    Ok(Request::ListRuleNamesByTarget { bus, target, page: page(params)? })
}

fn list_targets(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Rule", "EventBusName", "NextToken", "Limit"])?;
    Ok(Request::ListTargetsByRule { rule: rule(params, "Rule")?, page: page(params)? })
}

fn put_targets(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Rule", "EventBusName", "Targets"])?;
    let given = params.get("Targets").and_then(Json::as_array);
    let given = given.ok_or_else(|| broken("Targets", None, "Member must not be null"))?;
    let targets = given.iter().map(target).collect::<Result<_, _>>()?;
    Ok(Request::PutTargets { rule: rule(params, "Rule")?, targets })
}

fn target(given: &Json) -> Result<Target, ApiError> {
    let params = Params::new(given, "ValidationException");
    let refused = params.only(&[
        "Id",
        "Arn",
        "Input",
        "InputPath",
        "InputTransformer",
        "SqsParameters",
        "DeadLetterConfig",
        "RoleArn",
        "RetryPolicy",
    ]);
    refused.map_err(|error| ApiError { message: format!("target: {}", error.message), ..error })?;
    let required = |member| {
        text(params, member)?.ok_or_else(|| broken(member, None, "Member must not be null"))
    };
    let member = |of: &str, name: &str| {
        let value = params.get(of).and_then(|of| of.member(name)).and_then(Json::as_str);
        value.map(Arc::<str>::from)
    };
    if let Some(policy) = params.get("RetryPolicy") {
        check_retry(policy)?;
    }
    let shown = ["RoleArn", "RetryPolicy"].into_iter();
    let shown = shown.filter_map(|name| Some((name, params.get(name)?.clone())));
    let id = required("Id")?;
    Ok(Target {
        input: input_of(params, &id)?,
        id,
        arn: required("Arn")?,
        group: member("SqsParameters", "MessageGroupId"),
        dead_letters: member("DeadLetterConfig", "Arn"),
        shown: Json::object(shown),
    })
}

fn check_retry(policy: &Json) -> Result<(), ApiError> {
    for (name, min, max) in
        [("MaximumRetryAttempts", 0, 185), ("MaximumEventAgeInSeconds", 60, 86_400)]
    {
        let value = policy.member(name).map(|value| value.as_i64().unwrap_or(-1));
        if value.is_some_and(|value| !(min..=max).contains(&value)) {
            let constraint = format!("Member must have value between {min} and {max}");
            let name = format!("retryPolicy.{}", camel(name));
            return Err(broken(
                &name,
                value.map(|value| value.to_string()).as_deref(),
                &constraint,
            ));
        }
    }
    Ok(())
}

/// What a target gets in place of the event, said in one of three ways.
fn input_of(params: Params<'_>, id: &str) -> Result<Option<Input>, ApiError> {
    let members = ["Input", "InputPath", "InputTransformer"];
    if members.iter().filter(|name| params.get(name).is_some()).count() > 1 {
        let message = format!(
            "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
        );
        return Err(validation(message));
    }
    if let Some(input) = text(params, "Input")? {
        Json::parse(&input)
            .map_err(|_| validation(format!("JSON is not valid for target {input}.")))?;
        return Ok(Some(Input::Text(input)));
    }
    if let Some(path) = text(params, "InputPath")? {
        if !input::is_path(&path) {
            return Err(validation(format!("Parameter InputPath is not valid for target {id}.")));
        }
        return Ok(Some(Input::Path(path)));
    }
    let Some(transformer) = params.get("InputTransformer") else { return Ok(None) };
    let invalid =
        |why: &str| validation(format!("Invalid InputTransformer for target {id} : {why}."));
    let template = transformer.member("InputTemplate").and_then(Json::as_str);
    let template = template.filter(|template| (1..=input::TEMPLATE_MAX).contains(&template.len()));
    let template = template.ok_or_else(|| invalid("InputTemplate has 1 to 8192 characters"))?;
    let given = transformer.member("InputPathsMap").and_then(Json::as_object);
    let mut parts = Vec::new();
    for (name, path) in given.into_iter().flatten() {
        let path = path.as_str().filter(|path| input::is_path(path));
        let path = path.ok_or_else(|| invalid(&format!("the path of {name} is not valid")))?;
        if name.starts_with("AWS") || name.starts_with("aws") {
            return Err(invalid(&format!("{name} is reserved")));
        }
        parts.push((Arc::clone(name), Arc::from(path)));
    }
    if parts.len() > input::PARTS_MAX {
        return Err(invalid("InputPathsMap has at most 100 paths"));
    }
    let known = |name: &str| {
        name.starts_with("aws.events.") || parts.iter().any(|(part, _)| **part == *name)
    };
    if let Some(unknown) = input::names(template).into_iter().find(|name| !known(name)) {
        return Err(invalid(&format!("InputTemplate has the unknown variable {unknown}")));
    }
    Ok(Some(Input::Template { parts, text: template.into() }))
}

/// Tags, as a request gives them.
fn tags(params: Params<'_>) -> Result<Tags, ApiError> {
    let given = params.get("Tags").and_then(Json::as_array).unwrap_or_default();
    let pair = |tag: &Json| {
        let text = |name| tag.member(name).and_then(Json::as_str).map(Arc::from);
        text("Key").zip(text("Value")).ok_or_else(|| validation("Tags have a Key and a Value."))
    };
    given.iter().map(pair).collect()
}

fn required(params: Params<'_>, member: &str) -> Result<Arc<str>, ApiError> {
    text(params, member)?.ok_or_else(|| broken(member, None, "Member must not be null"))
}

fn tag(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["ResourceARN", "Tags"])?;
    Ok(Request::TagResource { resource: required(params, "ResourceARN")?, tags: tags(params)? })
}

fn untag(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["ResourceARN", "TagKeys"])?;
    let keys = params.get("TagKeys").and_then(Json::as_array).unwrap_or_default();
    let keys = keys.iter().filter_map(Json::as_str).map(Arc::from).collect();
    Ok(Request::UntagResource { resource: required(params, "ResourceARN")?, keys })
}

fn remove_targets(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Rule", "EventBusName", "Ids", "Force"])?;
    let ids = params.get("Ids").and_then(Json::as_array).unwrap_or_default();
    let ids = ids.iter().filter_map(Json::as_str).map(Arc::from).collect();
    Ok(Request::RemoveTargets { rule: rule(params, "Rule")?, ids })
}

fn create_bus(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Name", "Description", "Tags"])?;
    let name = name(params, "Name")?;
    if name.contains('/') {
        return Err(validation("Event bus name must not contain '/'."));
    }
    let (description, tags) = (text(params, "Description")?, tags(params)?);
    Ok(Request::CreateEventBus { name, description, tags })
}

fn list_buses(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["NamePrefix", "NextToken", "Limit"])?;
    let prefix = text(params, "NamePrefix")?.unwrap_or_default();
    Ok(Request::ListEventBuses { prefix, page: page(params)? })
}

fn test_pattern(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["EventPattern", "Event"])?;
    let required = |member: &str| {
        let text = params.optional_text(member)?;
        text.ok_or_else(|| broken(member, None, "Member must not be null"))
    };
    let pattern = Box::new(parsed(required("EventPattern")?)?);
    let event = Json::parse(required("Event")?);
    let event = event.map_err(|_| validation("Parameter Event is not valid."))?;
    Ok(Request::TestEventPattern { pattern, event })
}
