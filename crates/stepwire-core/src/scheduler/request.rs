//! The requests of EventBridge Scheduler we serve, parsed.

use std::sync::Arc;

use jiff::tz::TimeZoneDatabase;
use stepwire_asl::{Json, Timestamp};

use super::{DEFAULT, Target, is_schedule, validation};
use crate::error::ApiError;
use crate::events;
use crate::params::Params;

/// Most entries of a page.
const PAGE_MAX: i64 = 100;
/// Longest input of a target, bytes.
const INPUT_MAX: usize = 256 << 10;

/// A request of EventBridge Scheduler.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    Create(Name, Box<Change>),
    Update(Name, Box<Change>),
    Delete(Name),
    Get(Name),
    List { group: Option<Arc<str>>, prefix: Arc<str>, enabled: Option<bool>, page: Page },
    CreateGroup { name: Arc<str>, tags: Vec<(Arc<str>, Arc<str>)> },
    DeleteGroup(Arc<str>),
    GetGroup(Arc<str>),
    ListGroups { prefix: Arc<str>, page: Page },
    Tag { resource: Arc<str>, tags: Vec<(Arc<str>, Arc<str>)> },
    Untag { resource: Arc<str>, keys: Vec<Arc<str>> },
    ListTags(Arc<str>),
}

/// A schedule's place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct Name {
    pub group: Arc<str>,
    pub name: Arc<str>,
}

impl Name {
    pub(super) fn key(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.group), Arc::clone(&self.name))
    }
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What comes after this entry.
    pub after: Option<Arc<str>>,
    /// At most so many.
    pub max: usize,
}

/// What a schedule is to be.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the record")]
pub struct Change {
    pub expression: Arc<str>,
    pub zone: Arc<str>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub description: Option<Arc<str>>,
    pub enabled: bool,
    pub window_minutes: u32,
    pub target: Target,
    pub deletes: bool,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "ValidationException");
        Some(match operation {
            "CreateSchedule" => change(params).map(|(name, to)| Request::Create(name, to)),
            "UpdateSchedule" => change(params).map(|(name, to)| Request::Update(name, to)),
            "DeleteSchedule" => named(params, &["ClientToken"]).map(Request::Delete),
            "GetSchedule" => named(params, &[]).map(Request::Get),
            "ListSchedules" => list(params),
            "CreateScheduleGroup" => create_group(params),
            "DeleteScheduleGroup" => group(params, &["ClientToken"]).map(Request::DeleteGroup),
            "GetScheduleGroup" => group(params, &[]).map(Request::GetGroup),
            "ListScheduleGroups" => {
                params.only(&["NamePrefix", "NextToken", "MaxResults"]).and_then(|()| {
                    Ok(Request::ListGroups { prefix: prefix(params)?, page: page(params)? })
                })
            }
            "TagResource" => params.only(&["ResourceArn", "Tags"]).and_then(|()| {
                Ok(Request::Tag { resource: resource(params)?, tags: tags(params)? })
            }),
            "UntagResource" => params.only(&["ResourceArn", "TagKeys"]).and_then(|()| {
                let keys = match params.get("TagKeys") {
                    Some(Json::Array(keys)) => {
                        keys.iter().filter_map(Json::as_str).map(Arc::from).collect()
                    }
                    // One in a query is a text.
                    Some(Json::String(key)) => vec![Arc::clone(key)],
                    _ => Vec::new(),
                };
                Ok(Request::Untag { resource: resource(params)?, keys })
            }),
            "ListTagsForResource" => {
                params.only(&["ResourceArn"]).and_then(|()| resource(params)).map(Request::ListTags)
            }
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Get(_)
            | Request::List { .. }
            | Request::GetGroup(_)
            | Request::ListGroups { .. }
            | Request::ListTags(_) => true,
            Request::Create(..)
            | Request::Update(..)
            | Request::Delete(_)
            | Request::CreateGroup { .. }
            | Request::DeleteGroup(_)
            | Request::Tag { .. }
            | Request::Untag { .. } => false,
        }
    }
}

fn name_of(params: Params<'_>, member: &str, text: &str) -> Result<Arc<str>, ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(plain) {
        return Ok(text.into());
    }
    let constraint = "Member must satisfy regular expression pattern: [0-9a-zA-Z-_.]+";
    Err(params.broken(member, Some(text), constraint))
}

fn place(params: Params<'_>) -> Result<Name, ApiError> {
    let group = params.optional_text("GroupName")?.unwrap_or(DEFAULT);
    Ok(Name {
        group: name_of(params, "groupName", group)?,
        name: name_of(params, "name", params.text("Name")?)?,
    })
}

fn named(params: Params<'_>, more: &[&str]) -> Result<Name, ApiError> {
    params.only(&[&["Name", "GroupName"], more].concat())?;
    place(params)
}

fn group(params: Params<'_>, more: &[&str]) -> Result<Arc<str>, ApiError> {
    params.only(&[&["Name"], more].concat())?;
    name_of(params, "name", params.text("Name")?)
}

fn prefix(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    Ok(params.optional_text("NamePrefix")?.unwrap_or_default().into())
}

fn page(params: Params<'_>) -> Result<Page, ApiError> {
    let max = params.optional_int("MaxResults")?.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&max) {
        return Err(params.invalid("MaxResults", "it is between 1 and 100"));
    }
    Ok(Page { after: params.optional_text("NextToken")?.map(Arc::from), max: max as usize })
}

fn list(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["GroupName", "NamePrefix", "State", "NextToken", "MaxResults"])?;
    Ok(Request::List {
        group: params.optional_text("GroupName")?.map(Arc::from),
        prefix: prefix(params)?,
        enabled: state(params)?,
        page: page(params)?,
    })
}

fn state(params: Params<'_>) -> Result<Option<bool>, ApiError> {
    match params.optional_text("State")? {
        None => Ok(None),
        Some("ENABLED") => Ok(Some(true)),
        Some("DISABLED") => Ok(Some(false)),
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [ENABLED, DISABLED]";
            Err(params.broken("state", Some(other), constraint))
        }
    }
}

fn create_group(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Name", "Tags", "ClientToken"])?;
    let name = name_of(params, "name", params.text("Name")?)?;
    Ok(Request::CreateGroup { name, tags: tags(params)? })
}

/// Keys and values, as they were given.
type Tags = Vec<(Arc<str>, Arc<str>)>;

fn tags(params: Params<'_>) -> Result<Tags, ApiError> {
    let given = params.get("Tags").and_then(Json::as_array).unwrap_or_default();
    let each = given.iter().map(|tag| {
        let text = |name| tag.member(name).and_then(Json::as_str).map(Arc::<str>::from);
        let both = text("Key").zip(text("Value"));
        both.ok_or_else(|| params.invalid("Tags", "each has a `Key` and a `Value`"))
    });
    each.collect()
}

fn resource(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    params.text("ResourceArn").map(Arc::from)
}

fn change(params: Params<'_>) -> Result<(Name, Box<Change>), ApiError> {
    params.only(&[
        "Name",
        "GroupName",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "StartDate",
        "EndDate",
        "Description",
        "State",
        "KmsKeyArn",
        "Target",
        "FlexibleTimeWindow",
        "ClientToken",
        "ActionAfterCompletion",
    ])?;
    let expression = params.text("ScheduleExpression")?;
    if !is_schedule(expression) {
        return Err(validation(format!("Invalid Schedule Expression {expression}.")));
    }
    let zone = params.optional_text("ScheduleExpressionTimezone")?.unwrap_or("UTC");
    if TimeZoneDatabase::bundled().get(zone).is_err() {
        return Err(validation("The provided timezone is not valid."));
    }
    let (start, end) = (date(params, "StartDate")?, date(params, "EndDate")?);
    if start.zip(end).is_some_and(|(start, end)| start >= end) {
        return Err(validation("The StartDate must come before the EndDate."));
    }
    let deletes = match params.optional_text("ActionAfterCompletion")? {
        None | Some("NONE") => false,
        Some("DELETE") => true,
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [NONE, DELETE]";
            return Err(params.broken("actionAfterCompletion", Some(other), constraint));
        }
    };
    let to = Change {
        expression: expression.into(),
        zone: zone.into(),
        start,
        end,
        description: params.optional_text_within("Description", 512)?.map(Arc::from),
        enabled: state(params)?.unwrap_or(true),
        window_minutes: window(params)?,
        target: target(params)?,
        deletes,
    };
    Ok((place(params)?, Box::new(to)))
}

/// A time in seconds, or as a template writes it.
fn date(params: Params<'_>, member: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(given) = params.get(member) else { return Ok(None) };
    let at = given.as_f64().map(|seconds| Timestamp((seconds * 1_000.0) as i64));
    let at = at.or_else(|| Timestamp::parse(given.as_str()?));
    at.map(Some).ok_or_else(|| params.invalid(member, "it is not a time"))
}

fn window(params: Params<'_>) -> Result<u32, ApiError> {
    let member = "FlexibleTimeWindow";
    let missing = || params.broken("flexibleTimeWindow", None, "Member must not be null");
    let given = Params::new(params.get(member).ok_or_else(missing)?, "ValidationException");
    given.only(&["Mode", "MaximumWindowInMinutes"])?;
    let minutes = given.optional_int("MaximumWindowInMinutes")?;
    match (given.text("Mode")?, minutes) {
        ("OFF", None) => Ok(0),
        ("FLEXIBLE", Some(minutes @ 1..=1_440)) => Ok(minutes as u32),
        ("FLEXIBLE", _) => Err(given.invalid(
            "MaximumWindowInMinutes",
            "with `FLEXIBLE` it must be given, between 1 and 1440",
        )),
        ("OFF", Some(_)) => Err(given.invalid("MaximumWindowInMinutes", "the window is `OFF`")),
        (other, _) => {
            let constraint = "Member must satisfy enum value set: [OFF, FLEXIBLE]";
            Err(params.broken("flexibleTimeWindow.mode", Some(other), constraint))
        }
    }
}

fn target(params: Params<'_>) -> Result<Target, ApiError> {
    let missing = || params.broken("target", None, "Member must not be null");
    let given = Params::new(params.get("Target").ok_or_else(missing)?, "ValidationException");
    given.only(&[
        "Arn",
        "RoleArn",
        "Input",
        "DeadLetterConfig",
        "RetryPolicy",
        "SqsParameters",
        "EventBridgeParameters",
    ])?;
    let arn = given.text("Arn")?;
    given.text("RoleArn")?;
    if arn.contains(":aws-sdk:") {
        let message = format!(
            "`{arn}`: universal targets are not available in stepwire; a state machine can call the API"
        );
        return Err(validation(message));
    }
    let within = |member: &'static str, known: &[&str]| match given.get(member) {
        None => Ok(None),
        Some(part) => {
            let part = Params::new(part, "ValidationException");
            part.only(known).map(|()| Some(part))
        }
    };
    let sqs = within("SqsParameters", &["MessageGroupId"])?;
    let dead = within("DeadLetterConfig", &["Arn"])?;
    let event = within("EventBridgeParameters", &["DetailType", "Source"])?;
    if let Some(retry) =
        within("RetryPolicy", &["MaximumEventAgeInSeconds", "MaximumRetryAttempts"])?
    {
        let bounds = [("MaximumEventAgeInSeconds", 60..=86_400), ("MaximumRetryAttempts", 0..=185)];
        for (member, bound) in bounds {
            if retry.optional_int(member)?.is_some_and(|value| !bound.contains(&value)) {
                let why = format!("it is between {} and {}", bound.start(), bound.end());
                return Err(retry.invalid(member, &why));
            }
        }
    }
    let event = event.map(|event| {
        Ok::<_, ApiError>((event.text("DetailType")?.into(), event.text("Source")?.into()))
    });
    let event = event.transpose()?;
    if arn.contains(":event-bus/") != event.is_some() {
        return Err(validation(
            "EventBridgeParameters must be given for event buses, and for nothing else.",
        ));
    }
    let input = given.optional_text("Input")?;
    if input.is_some_and(|input| input.len() > INPUT_MAX) {
        return Err(given.invalid("Input", "it is too long"));
    }
    if event.is_some() && input.is_none_or(|input| Json::parse(input).is_err()) {
        return Err(given.invalid("Input", "the detail of an event must be JSON"));
    }
    let shown = ["RoleArn", "RetryPolicy"].into_iter();
    let shown = shown.filter_map(|member| Some((member, given.get(member)?.clone())));
    Ok(Target {
        arn: arn.into(),
        input: input.map(Arc::from),
        group: sqs.map(|sqs| sqs.text("MessageGroupId").map(Arc::from)).transpose()?,
        event,
        dead_letters: dead
            .map(|dead| dead.optional_text("Arn"))
            .transpose()?
            .flatten()
            .map(Arc::from),
        shown: Json::object(shown),
    })
}

/// Refuses a target that nothing can be brought to.
pub(super) fn check_target(
    target: &Target,
    settings: &crate::settings::Settings,
) -> Result<(), ApiError> {
    match events::Kind::of(&target.arn, settings) {
        Some(events::Kind::LogGroup) | None => {
            let message = format!(
                "Provided Arn is not in correct format: `{}` is no function, state machine, queue, \
                 topic or event bus of this node.",
                target.arn
            );
            Err(validation(message))
        }
        Some(_) => Ok(()),
    }
}
