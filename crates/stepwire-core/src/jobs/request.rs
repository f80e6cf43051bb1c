//! Requests on jobs and their templates, parsed. Source: service model `iot`.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::Json;

use super::config::{self, Config, Window};
use super::record::{ExecutionStatus, JobStatus, Target};
use super::{INVALID, TARGETS_MAX, document};
use crate::error::ApiError;
use crate::objects;
use crate::params::Params;
use crate::registry::tags::{self, Tags};

/// Most entries of `statusDetails`.
const DETAILS_MAX: usize = 10;

/// A request on jobs.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// CreateJob
    Create(Box<Create>),
    /// UpdateJob
    Update {
        /// The job.
        id: Arc<str>,
        /// `description`
        description: Option<Arc<str>>,
        /// What is set; the rest stays.
        config: Box<Config>,
    },
    /// CancelJob
    Cancel {
        /// The job.
        id: Arc<str>,
        /// `reasonCode`
        reason_code: Option<Arc<str>>,
        /// `comment`
        comment: Option<Arc<str>>,
        /// Whether executions in progress are canceled, too.
        force: bool,
    },
    /// DeleteJob
    Delete {
        /// The job.
        id: Arc<str>,
        /// Whether it may be in progress.
        force: bool,
    },
    /// AssociateTargetsWithJob
    Associate {
        /// The job.
        id: Arc<str>,
        /// Who is to do it, too.
        targets: Vec<Target>,
        /// `comment`
        comment: Option<Arc<str>>,
    },
    /// DescribeJob
    Describe(Arc<str>),
    /// GetJobDocument
    Document(Arc<str>),
    /// ListJobs
    List(Filter, Page),
    /// CancelJobExecution
    CancelExecution {
        /// The job.
        job: Arc<str>,
        /// The thing.
        thing: Arc<str>,
        /// Whether it may be in progress.
        force: bool,
        /// `expectedVersion`
        expected: Option<u64>,
        /// `statusDetails`
        details: Details,
    },
    /// DeleteJobExecution
    DeleteExecution {
        /// The job.
        job: Arc<str>,
        /// The thing.
        thing: Arc<str>,
        /// The execution's number.
        number: u64,
        /// Whether it may be in progress.
        force: bool,
    },
    /// DescribeJobExecution
    DescribeExecution {
        /// The job.
        job: Arc<str>,
        /// The thing.
        thing: Arc<str>,
        /// The execution's number; the latest if none.
        number: Option<u64>,
    },
    /// ListJobExecutionsForJob
    OfJob {
        /// The job.
        job: Arc<str>,
        /// Those of this status.
        status: Option<ExecutionStatus>,
        /// Which part of the list.
        page: Page,
    },
    /// ListJobExecutionsForThing
    OfThing {
        /// The thing.
        thing: Arc<str>,
        /// Those of this job.
        job: Option<Arc<str>>,
        /// Those of this status.
        status: Option<ExecutionStatus>,
        /// Which part of the list.
        page: Page,
    },
    /// CreateJobTemplate
    CreateTemplate(Box<CreateTemplate>),
    /// DescribeJobTemplate
    DescribeTemplate(Arc<str>),
    /// DeleteJobTemplate
    DeleteTemplate(Arc<str>),
    /// ListJobTemplates
    Templates(Page),
}

/// A new job.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// `jobId`
    pub id: Arc<str>,
    /// Who is to do it.
    pub targets: Vec<Target>,
    /// What devices are given; none if a template says it.
    pub document: Option<Document>,
    /// `description`
    pub description: Option<Arc<str>>,
    /// Whether things that join a target later are to do it, too.
    pub continuous: bool,
    /// How it is carried out.
    pub config: Config,
    /// The name of the template it is made of.
    pub template: Option<Arc<str>>,
    /// `tags`
    pub tags: Tags,
}

/// A new template.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTemplate {
    /// `jobTemplateId`
    pub id: Arc<str>,
    /// `description`
    pub description: Arc<str>,
    /// What devices are given; none if a job says it.
    pub document: Option<Document>,
    /// How its jobs are carried out.
    pub config: Config,
    /// The job that it is made of.
    pub job: Option<Arc<str>>,
    /// `tags`
    pub tags: Tags,
}

/// Where a job's document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// In the request.
    Text(Arc<str>),
    /// In an object of our own.
    Object {
        /// As the request names it.
        address: Arc<str>,
        /// The bucket.
        bucket: Arc<str>,
        /// The object's name.
        key: Arc<str>,
    },
}

/// `statusDetails`, by name.
pub type Details = BTreeMap<Arc<str>, Arc<str>>;

/// Which jobs a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `status`
    pub status: Option<JobStatus>,
    /// `targetSelection`: whether `CONTINUOUS`.
    pub continuous: Option<bool>,
    /// A group that is a target, by name.
    pub group: Option<Arc<str>>,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most this many.
    pub limit: usize,
    /// After this, as an answer said.
    pub after: Option<Arc<str>>,
}

type Parse = fn(&Params<'_>) -> Result<Request, ApiError>;

impl Request {
    /// The request that `body` makes of an operation. `None`: the operation is not of this part.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let parse: Parse = match operation {
            "CreateJob" => |p| create(p).map(Box::new).map(Request::Create),
            "UpdateJob" => update,
            "CancelJob" => cancel,
            "DeleteJob" => |p| {
                p.only(&["jobId", "force"])?;
                Ok(Request::Delete { id: job_id(p)?, force: flag(p, "force")? })
            },
            "AssociateTargetsWithJob" => |p| {
                p.only(&["jobId", "targets", "comment"])?;
                Ok(Request::Associate {
                    id: job_id(p)?,
                    targets: targets(p)?,
                    comment: words(p, "comment")?,
                })
            },
            "DescribeJob" => |p| {
                p.only(&["jobId", "beforeSubstitution"])?;
                job_id(p).map(Request::Describe)
            },
            "GetJobDocument" => |p| {
                p.only(&["jobId", "beforeSubstitution"])?;
                job_id(p).map(Request::Document)
            },
            "ListJobs" => list,
            "CancelJobExecution" => |p| {
                p.only(&["jobId", "thingName", "force", "expectedVersion", "statusDetails"])?;
                Ok(Request::CancelExecution {
                    job: job_id(p)?,
                    thing: thing_name(p)?,
                    force: flag(p, "force")?,
                    expected: p.optional_int("expectedVersion")?.map(|version| version as u64),
                    details: details(p)?.unwrap_or_default(),
                })
            },
            "DeleteJobExecution" => |p| {
                p.only(&["jobId", "thingName", "executionNumber", "force"])?;
                let number = number(p)?;
                let missing = || p.broken("executionNumber", None, "Member must not be null");
                Ok(Request::DeleteExecution {
                    job: job_id(p)?,
                    thing: thing_name(p)?,
                    number: number.ok_or_else(missing)?,
                    force: flag(p, "force")?,
                })
            },
            "DescribeJobExecution" => |p| {
                p.only(&["jobId", "thingName", "executionNumber"])?;
                let (job, thing) = (job_id(p)?, thing_name(p)?);
                Ok(Request::DescribeExecution { job, thing, number: number(p)? })
            },
            "ListJobExecutionsForJob" => |p| {
                p.only(&["jobId", "status", "maxResults", "nextToken"])?;
                Ok(Request::OfJob { job: job_id(p)?, status: status(p)?, page: page(p)? })
            },
            "ListJobExecutionsForThing" => |p| {
                p.only(&["thingName", "status", "maxResults", "nextToken", "jobId"])?;
                Ok(Request::OfThing {
                    thing: thing_name(p)?,
                    job: p.get("jobId").map(|_| job_id(p)).transpose()?,
                    status: status(p)?,
                    page: page(p)?,
                })
            },
            "CreateJobTemplate" => {
                |p| create_template(p).map(Box::new).map(Request::CreateTemplate)
            }
            "DescribeJobTemplate" => |p| {
                p.only(&["jobTemplateId"])?;
                id(p, "jobTemplateId").map(Request::DescribeTemplate)
            },
            "DeleteJobTemplate" => |p| {
                p.only(&["jobTemplateId"])?;
                id(p, "jobTemplateId").map(Request::DeleteTemplate)
            },
            "ListJobTemplates" => |p| {
                p.only(&["maxResults", "nextToken"])?;
                page(p).map(Request::Templates)
            },
            _ => return None,
        };
        Some(parse(&Params::new(body, INVALID)))
    }

    /// The end of the ARN of what it makes or removes at once, and the tags of that; none once it is gone.
    pub(crate) fn tagged(&self) -> Option<(String, &[tags::Tag])> {
        match self {
            Request::Create(create) => Some((format!("job/{}", create.id), &create.tags)),
            Request::CreateTemplate(create) => {
                Some((format!("jobtemplate/{}", create.id), &create.tags))
            }
            Request::DeleteTemplate(id) => Some((format!("jobtemplate/{id}"), &[])),
            _ => None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Request::Describe(_)
                | Request::Document(_)
                | Request::List(..)
                | Request::DescribeExecution { .. }
                | Request::OfJob { .. }
                | Request::OfThing { .. }
                | Request::DescribeTemplate(_)
                | Request::Templates(_)
        )
    }
}

fn create(p: &Params<'_>) -> Result<Create, ApiError> {
    let known = ["jobId", "targets", "documentSource", "document", "description"];
    let known = known.into_iter().chain(config::MEMBERS);
    let known = known.chain(["targetSelection", "tags", "jobTemplateArn", "schedulingConfig"]);
    p.only(&known.collect::<Vec<_>>())?;
    let continuous = match p.optional_text("targetSelection")? {
        None | Some("SNAPSHOT") => false,
        Some("CONTINUOUS") => true,
        Some(_) => return Err(p.invalid("targetSelection", "it must be SNAPSHOT or CONTINUOUS")),
    };
    let template = match p.optional_text("jobTemplateArn")? {
        None => None,
        Some(arn) => {
            let name = arn.rsplit_once(":jobtemplate/").and_then(|(_, name)| checked_id(name));
            let wrong = || p.invalid("jobTemplateArn", "it must be the ARN of a job template");
            Some(name.ok_or_else(wrong)?)
        }
    };
    let document = document_of(p)?;
    if document.is_none() && template.is_none() {
        let why = "one of document, documentSource and jobTemplateArn must be given";
        return Err(super::invalid(why));
    }
    let mut config = Config::parse(p)?;
    config.schedule = config::schedule(p, continuous)?;
    Ok(Create {
        id: job_id(p)?,
        targets: targets(p)?,
        document,
        description: words(p, "description")?,
        continuous,
        config,
        template,
        tags: tags::given(p)?,
    })
}

fn create_template(p: &Params<'_>) -> Result<CreateTemplate, ApiError> {
    let known = ["jobTemplateId", "jobArn", "documentSource", "document", "description", "tags"];
    let known = known.into_iter().chain(config::MEMBERS).chain(["maintenanceWindows"]);
    p.only(&known.collect::<Vec<_>>())?;
    let job = match p.optional_text("jobArn")? {
        None => None,
        Some(arn) => {
            let name = arn.rsplit_once(":job/").and_then(|(_, name)| checked_id(name));
            Some(name.ok_or_else(|| p.invalid("jobArn", "it must be the ARN of a job"))?)
        }
    };
    let document = document_of(p)?;
    if document.is_none() && job.is_none() {
        return Err(super::invalid("one of document, documentSource and jobArn must be given"));
    }
    let mut config = Config::parse(p)?;
    let windows: Vec<Window> = config::windows(p)?;
    config.schedule.windows = windows;
    let description = words(p, "description")?;
    let missing = || p.broken("description", None, "Member must not be null");
    Ok(CreateTemplate {
        id: id(p, "jobTemplateId")?,
        description: description.ok_or_else(missing)?,
        document,
        config,
        job,
        tags: tags::given(p)?,
    })
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    let known = ["jobId", "description"].into_iter().chain(config::MEMBERS);
    p.only(&known.collect::<Vec<_>>())?;
    Ok(Request::Update {
        id: job_id(p)?,
        description: words(p, "description")?,
        config: Box::new(Config::parse(p)?),
    })
}

fn cancel(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["jobId", "reasonCode", "comment", "force"])?;
    let reason_code = p.optional_text_within("reasonCode", 128)?;
    let fits = |c: char| c.is_uppercase() || c.is_numeric() || c == '_';
    if reason_code.is_some_and(|code| code.is_empty() || !code.chars().all(fits)) {
        let why = "it must have capital letters, digits and `_` only";
        return Err(p.invalid("reasonCode", why));
    }
    Ok(Request::Cancel {
        id: job_id(p)?,
        reason_code: reason_code.map(Arc::from),
        comment: words(p, "comment")?,
        force: flag(p, "force")?,
    })
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    let known =
        ["status", "targetSelection", "maxResults", "nextToken", "thingGroupName", "thingGroupId"];
    p.only(&known)?;
    if p.get("thingGroupId").is_some() {
        return Err(p.invalid("thingGroupId", "it is not supported\nhint: use thingGroupName"));
    }
    let status = match p.optional_text("status")? {
        None => None,
        Some(word) => {
            let found = JobStatus::ALL.into_iter().find(|status| status.word() == word);
            Some(found.ok_or_else(|| p.invalid("status", "it is no status of jobs"))?)
        }
    };
    let continuous = match p.optional_text("targetSelection")? {
        None => None,
        Some("SNAPSHOT") => Some(false),
        Some("CONTINUOUS") => Some(true),
        Some(_) => return Err(p.invalid("targetSelection", "it must be SNAPSHOT or CONTINUOUS")),
    };
    let group = p.optional_text("thingGroupName")?.map(Arc::from);
    Ok(Request::List(Filter { status, continuous, group }, page(p)?))
}

fn page(p: &Params<'_>) -> Result<Page, ApiError> {
    let limit = match p.optional_int("maxResults")? {
        None => 25,
        Some(limit @ 1..=250) => limit as usize,
        Some(_) => return Err(p.invalid("maxResults", "it must be 1 to 250")),
    };
    Ok(Page { limit, after: p.optional_text("nextToken")?.map(Arc::from) })
}

fn flag(p: &Params<'_>, name: &str) -> Result<bool, ApiError> {
    Ok(p.optional_bool(name)?.unwrap_or(false))
}

/// Words of at most 2,028 characters without control characters.
fn words(p: &Params<'_>, name: &str) -> Result<Option<Arc<str>>, ApiError> {
    let text = p.optional_text_within(name, 2_028)?;
    if text.is_some_and(|text| text.chars().any(char::is_control)) {
        return Err(p.invalid(name, "it must have no control characters"));
    }
    Ok(text.map(Arc::from))
}

fn status(p: &Params<'_>) -> Result<Option<ExecutionStatus>, ApiError> {
    let Some(word) = p.optional_text("status")? else { return Ok(None) };
    let found = ExecutionStatus::named(word);
    found.map(Some).ok_or_else(|| p.invalid("status", "it is no status of executions"))
}

pub(super) fn number(p: &Params<'_>) -> Result<Option<u64>, ApiError> {
    match p.optional_int("executionNumber")? {
        None => Ok(None),
        Some(number) => u64::try_from(number)
            .map(Some)
            .map_err(|_| p.invalid("executionNumber", "it must be at least 0")),
    }
}

pub(super) fn checked_id(text: &str) -> Option<Arc<str>> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    ((1..=64).contains(&text.len()) && text.bytes().all(fits)).then(|| text.into())
}

fn id(p: &Params<'_>, name: &str) -> Result<Arc<str>, ApiError> {
    checked_id(p.text(name)?).ok_or_else(|| {
        p.invalid(name, "it must match [a-zA-Z0-9_-]+ and have at most 64 characters")
    })
}

fn job_id(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    id(p, "jobId")
}

/// `thingName`
pub(super) fn thing_name(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    checked_thing(p.text("thingName")?).ok_or_else(|| {
        p.invalid("thingName", "it must match [a-zA-Z0-9:_-]+ and have at most 128 characters")
    })
}

pub(super) fn checked_thing(text: &str) -> Option<Arc<str>> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b":_-".contains(&b);
    ((1..=128).contains(&text.len()) && text.bytes().all(fits)).then(|| text.into())
}

/// `targets`: ARNs of things and groups.
fn targets(p: &Params<'_>) -> Result<Vec<Target>, ApiError> {
    let given =
        p.get("targets").ok_or_else(|| p.broken("targets", None, "Member must not be null"))?;
    let given = given.as_array().ok_or_else(|| p.invalid("targets", "it must be a list"))?;
    if !(1..=TARGETS_MAX).contains(&given.len()) {
        return Err(p.invalid("targets", &format!("it must have 1 to {TARGETS_MAX} targets")));
    }
    let mut targets = Vec::new();
    for arn in given {
        let end =
            arn.as_str().and_then(|arn| arn.strip_prefix("arn:aws:iot:")?.splitn(3, ':').nth(2));
        let target = end.and_then(|end| match end.split_once('/')? {
            ("thing", name) => checked_thing(name).map(Target::Thing),
            ("thinggroup", name) => checked_thing(name).map(Target::Group),
            _ => None,
        });
        let wrong =
            || p.invalid("targets", &format!("{arn} is not the ARN of a thing or a thing group"));
        let target = target.ok_or_else(wrong)?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

fn document_of(p: &Params<'_>) -> Result<Option<Document>, ApiError> {
    match (p.optional_text("document")?, p.optional_text("documentSource")?) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(super::invalid("document and documentSource exclude each other")),
        (Some(text), None) => document::check(text).map(|()| Some(Document::Text(text.into()))),
        (None, Some(address)) => {
            let found = objects::named_by(address);
            let wrong = || p.invalid("documentSource", "it must be the address of an S3 object");
            let (bucket, key) = found.ok_or_else(wrong)?;
            Ok(Some(Document::Object { address: address.into(), bucket, key }))
        }
    }
}

/// `statusDetails`, unless absent.
pub(super) fn details(p: &Params<'_>) -> Result<Option<Details>, ApiError> {
    let Some(given) = p.get("statusDetails") else { return Ok(None) };
    let wrong = |why: &str| p.invalid("statusDetails", why);
    let given = given.as_object().ok_or_else(|| wrong("it must be a map"))?;
    if given.len() > DETAILS_MAX {
        return Err(wrong("it must have at most 10 pairs"));
    }
    let mut details = Details::new();
    for (name, value) in given {
        let value = value.as_str().ok_or_else(|| wrong("its values must be text"))?;
        let named = |b: u8| b.is_ascii_alphanumeric() || b":_-".contains(&b);
        if !(1..=128).contains(&name.len()) || !name.bytes().all(named) {
            return Err(wrong(&format!("`{name}` does not match [a-zA-Z0-9:_-]{{1,128}}")));
        }
        if value.is_empty() || value.chars().count() > 1_024 || value.chars().any(char::is_control)
        {
            let why = "it must have 1 to 1024 characters, none of them a control character";
            return Err(wrong(&format!("`{name}`: {why}")));
        }
        details.insert(Arc::clone(name), value.into());
    }
    Ok(Some(details))
}
