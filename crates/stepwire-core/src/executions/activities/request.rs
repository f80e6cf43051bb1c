//! Requests about activities, parsed.

use std::sync::Arc;

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::executions::Page;
use crate::executions::request::{
    TOKEN_MAX, checked_name, invalid_arn, page, states_resource, wrong_kind,
};
use crate::params::Params;

/// A request about activities.
#[derive(Debug, Clone)]
pub enum Request {
    /// CreateActivity
    Create(Create),
    /// DeleteActivity, by name.
    Delete(Arc<str>),
    /// DescribeActivity, by name.
    Describe(Arc<str>),
    /// ListActivities
    List(Page),
    /// GetActivityTask
    Poll(Poll),
}

/// The parts of a CreateActivity request.
#[derive(Debug, Clone)]
pub struct Create {
    /// `name`
    pub name: Arc<str>,
    /// `encryptionConfiguration`: accepted without effect, shown by DescribeActivity.
    pub encryption: Option<Json>,
    /// `tags`
    pub tags: Option<Json>,
}

/// The parts of a GetActivityTask request.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Name of the activity.
    pub activity: Arc<str>,
    /// `workerName`
    pub worker: Option<Arc<str>>,
}

/// Longest `workerName`, characters.
const WORKER_NAME_MAX: usize = 80;

impl Request {
    /// The request that these members make of `operation`; `None` if it is not about activities.
    pub(crate) fn parse(operation: &str, params: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "CreateActivity" => create(params),
            "DeleteActivity" => named(params).map(Request::Delete),
            "DescribeActivity" => named(params).map(Request::Describe),
            "ListActivities" => params
                .only(&["maxResults", "nextToken"])
                .and_then(|()| page(params, TOKEN_MAX))
                .map(Request::List),
            "GetActivityTask" => poll(params),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        match self {
            Request::Describe(_) | Request::List(_) => true,
            Request::Create(_) | Request::Delete(_) | Request::Poll(_) => false,
        }
    }
}

fn create(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["name", "tags", "encryptionConfiguration"])?;
    Ok(Request::Create(Create {
        name: checked_name(params.text("name")?)?.into(),
        encryption: params.get("encryptionConfiguration").cloned(),
        tags: params.get("tags").cloned(),
    }))
}

fn named(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["activityArn"])?;
    activity_arn(params)
}

fn poll(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["activityArn", "workerName"])?;
    let worker = params.optional_text_within("workerName", WORKER_NAME_MAX)?;
    Ok(Request::Poll(Poll { activity: activity_arn(params)?, worker: worker.map(Arc::from) }))
}

fn activity_arn(params: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let arn = params.text("activityArn")?;
    match states_resource(arn)? {
        ("activity", name) if !name.is_empty() && !name.contains([':', '\0']) => Ok(name.into()),
        ("activity", _) => Err(invalid_arn("Invalid ARN", arn)),
        (kind, _) => Err(wrong_kind(kind)),
    }
}
