//! DescribeActivity and ListActivities.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{ActivityRecord, Request, activity_arn, no_activity};
use crate::error::ApiError;
use crate::executions::Page;
use crate::executions::call::seconds;
use crate::executions::record::{activities, activity, activity_key};
use crate::executions::view::{internal, listed, name_token, named_by};
use crate::read::Read;
use crate::settings::Settings;

/// The answer to a request that reads.
pub(in crate::executions) fn answer(
    request: &Request,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    match request {
        Request::Describe(name) => describe(name, read, settings),
        Request::List(page) => list(page, read, settings),
        Request::Create(_) | Request::Delete(_) | Request::Poll(_) => {
            Err(ApiError::new("ValidationException", "this request changes something"))
        }
    }
}

fn describe(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let key = activity_key(name);
    let value = read.get(&key).ok_or_else(|| no_activity(settings, name))?;
    let activity = activity(&key, &value).map_err(internal)?;
    let owned = || Json::object([("type", Json::from("AWS_OWNED_KEY"))]);
    Ok(Json::object([
        ("activityArn", Json::from(activity_arn(settings, name))),
        ("name", Json::String(Arc::clone(&activity.name))),
        ("creationDate", seconds(activity.created)),
        ("encryptionConfiguration", activity.encryption.unwrap_or_else(owned)),
    ]))
}

fn list(page: &Page, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let mut range = activities().limit(page.limit + 1);
    if let Some(token) = &page.token {
        range.from = [activity_key(&named_by(token)?), vec![0]].concat();
    }
    let found = read.range(&range).into_iter().map(|(key, value)| activity(&key, &value));
    let mut found: Vec<ActivityRecord> = found.collect::<Result<_, _>>().map_err(internal)?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|last| name_token(&last.name));
    let items = found.into_iter().map(|activity| {
        Json::object([
            ("activityArn", Json::from(activity_arn(settings, &activity.name))),
            ("name", Json::String(activity.name)),
            ("creationDate", seconds(activity.created)),
        ])
    });
    Ok(listed("activities", items.collect(), next))
}
