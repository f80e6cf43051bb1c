//! Requests that read, and how schedules are shown.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::{self, GroupRecord, Record};
use super::request::Page;
use super::{DEFAULT, Name, Request, validation};
use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space};
use crate::settings::Settings;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get(name) => {
            let key = record::schedule_key(&name.group, &name.name);
            let stored = read.get(&key).ok_or_else(|| no_schedule(&name.name))?;
            Ok(shown(&record::record(&key, &stored).map_err(internal)?, settings))
        }
        Request::List { group, prefix, enabled, page } => {
            let begin = KeyBuilder::new(Space::Schedule);
            let begin = match group {
                Some(group) => begin.text(group),
                None => begin,
            };
            let all = all::<Record>(&begin.build(), read)?;
            let wanted = |one: &Record| {
                one.name.starts_with(&**prefix) && enabled.is_none_or(|on| on == one.enabled)
            };
            let all = all.into_iter().filter(wanted);
            let place = |one: &Record| format!("{} {}", one.group, one.name);
            Ok(paged("Schedules", page, all, place, |one| summary(one, settings)))
        }
        Request::GetGroup(name) => Ok(shown_group(&group(name, read)?, settings)),
        Request::ListGroups { prefix, page } => {
            let stored = all::<GroupRecord>(&[Space::ScheduleGroup as u8], read)?;
            let all = stored.into_iter().chain([standard()]);
            let mut all: Vec<_> = all.filter(|group| group.name.starts_with(&**prefix)).collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            let name = |group: &GroupRecord| group.name.to_string();
            Ok(paged("ScheduleGroups", page, all, name, |group| shown_group(group, settings)))
        }
        Request::ListTags(resource) => {
            let tags = group(&group_of(resource, settings)?, read)?.tags.into_iter();
            let tags = tags.map(|(key, value)| {
                Json::object([("Key", Json::String(key)), ("Value", Json::String(value))])
            });
            Ok(Json::object([("Tags", Json::array(tags))]))
        }
        Request::Create(..)
        | Request::Update(..)
        | Request::Delete(_)
        | Request::CreateGroup { .. }
        | Request::DeleteGroup(_)
        | Request::Tag { .. }
        | Request::Untag { .. } => Err(validation("this request changes something")),
    }
}

fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalServerException", corrupt.to_string())
}

fn all<T: serde::de::DeserializeOwned>(begin: &[u8], read: &dyn Read) -> Result<Vec<T>, ApiError> {
    let found = read.range(&Range::prefix(begin)).into_iter();
    found.map(|(key, value)| record::record(&key, &value).map_err(internal)).collect()
}

fn standard() -> GroupRecord {
    let (created, modified) = (Timestamp(0), Timestamp(0));
    GroupRecord { name: DEFAULT.into(), created, modified, tags: Vec::new() }
}

fn group(name: &Arc<str>, read: &dyn Read) -> Result<GroupRecord, ApiError> {
    if **name == *DEFAULT {
        return Ok(standard());
    }
    let key = record::group_key(name);
    let stored = read.get(&key).ok_or_else(|| no_group(name))?;
    record::record(&key, &stored).map_err(internal)
}

/// A page of a list, whose token is the place of its last entry.
fn paged<T>(
    list: &'static str,
    page: &Page,
    all: impl IntoIterator<Item = T>,
    place: impl Fn(&T) -> String,
    show: impl Fn(&T) -> Json,
) -> Json {
    let after = |one: &T| page.after.as_ref().is_none_or(|after| *place(one) > **after);
    let mut found: Vec<T> = all.into_iter().filter(after).take(page.max + 1).collect();
    let more = found.len() > page.max;
    found.truncate(page.max);
    let mut members = vec![(list, Json::array(found.iter().map(show)))];
    let last = found.last().filter(|_| more);
    members.extend(last.map(|last| ("NextToken", Json::from(place(last)))));
    Json::object(members)
}

pub(super) fn no_schedule(name: &str) -> ApiError {
    let message = format!("Schedule {name} does not exist.");
    ApiError::new("ResourceNotFoundException", message)
}

pub(super) fn no_group(name: &str) -> ApiError {
    let message = format!("Schedule group {name} does not exist.");
    ApiError::new("ResourceNotFoundException", message)
}

/// The ARN of a schedule.
pub(super) fn arn(name: &Name, settings: &Settings) -> String {
    settings.arn("scheduler", &format!("schedule/{}/{}", name.group, name.name))
}

/// The ARN of a group.
pub(super) fn group_arn(name: &str, settings: &Settings) -> String {
    settings.arn("scheduler", &format!("schedule-group/{name}"))
}

/// The group that an ARN names.
pub(super) fn group_of(arn: &str, settings: &Settings) -> Result<Arc<str>, ApiError> {
    let name = arn.strip_prefix(&group_arn("", settings)).filter(|name| !name.is_empty());
    name.map(Arc::from).ok_or_else(|| validation(format!("`{arn}` is no ARN of a schedule group")))
}

fn seconds(at: Timestamp) -> Json {
    Json::from_f64(at.seconds()).unwrap_or_default()
}

fn name_of(record: &Record) -> Name {
    Name { group: Arc::clone(&record.group), name: Arc::clone(&record.name) }
}

fn state(record: &Record) -> Json {
    Json::from(if record.enabled { "ENABLED" } else { "DISABLED" })
}

fn summary(record: &Record, settings: &Settings) -> Json {
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    Json::object([
        ("Arn", Json::from(arn(&name_of(record), settings))),
        ("Name", text(&record.name)),
        ("GroupName", text(&record.group)),
        ("State", state(record)),
        ("CreationDate", seconds(record.created)),
        ("LastModificationDate", seconds(record.modified)),
        ("Target", Json::object([("Arn", text(&record.target.arn))])),
    ])
}

fn shown(record: &Record, settings: &Settings) -> Json {
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    let of = &record.target;
    let mut target: Vec<(Arc<str>, Json)> = vec![("Arn".into(), text(&of.arn))];
    let more = of.shown.as_object().into_iter().flatten();
    target.extend(more.map(|(name, value)| (Arc::clone(name), value.clone())));
    target.extend(of.input.as_ref().map(|input| ("Input".into(), text(input))));
    let group = of.group.as_ref();
    target
        .extend(group.map(|group| {
            ("SqsParameters".into(), Json::object([("MessageGroupId", text(group))]))
        }));
    let dead = of.dead_letters.as_ref();
    target.extend(dead.map(|arn| ("DeadLetterConfig".into(), Json::object([("Arn", text(arn))]))));
    target.extend(of.event.as_ref().map(|(detail_type, source)| {
        let event = [("DetailType", text(detail_type)), ("Source", text(source))];
        ("EventBridgeParameters".into(), Json::object(event))
    }));
    let window = match record.window_minutes {
        0 => Json::object([("Mode", Json::from("OFF"))]),
        minutes => Json::object([
            ("Mode", Json::from("FLEXIBLE")),
            ("MaximumWindowInMinutes", i64::from(minutes).into()),
        ]),
    };
    let mut members = vec![
        ("Arn", Json::from(arn(&name_of(record), settings))),
        ("Name", text(&record.name)),
        ("GroupName", text(&record.group)),
        ("ScheduleExpression", text(&record.expression)),
        ("ScheduleExpressionTimezone", text(&record.zone)),
        ("State", state(record)),
        ("FlexibleTimeWindow", window),
        ("ActionAfterCompletion", Json::from(if record.deletes { "DELETE" } else { "NONE" })),
        ("CreationDate", seconds(record.created)),
        ("LastModificationDate", seconds(record.modified)),
        ("Target", Json::object(target)),
    ];
    members.extend(record.description.as_ref().map(|given| ("Description", text(given))));
    members.extend(record.start.map(|at| ("StartDate", seconds(at))));
    members.extend(record.end.map(|at| ("EndDate", seconds(at))));
    Json::object(members)
}

fn shown_group(group: &GroupRecord, settings: &Settings) -> Json {
    Json::object([
        ("Arn", Json::from(group_arn(&group.name, settings))),
        ("Name", Json::String(Arc::clone(&group.name))),
        ("State", "ACTIVE".into()),
        ("CreationDate", seconds(group.created)),
        ("LastModificationDate", seconds(group.modified)),
    ])
}
