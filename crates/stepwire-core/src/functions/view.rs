//! Lambda requests that only read, and how a function is shown.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::{Json, Timestamp};

use super::name::LATEST;
use super::record::{all, named};
use super::{FunctionName, FunctionRecord, Request};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get(name) => {
            let record = find(name, read, settings)?;
            let mut members = vec![
                ("Configuration", configuration(&record, name, settings)),
                ("Code", Json::object([("RepositoryType", Json::from("S3"))])),
            ];
            members.extend(record.shown.member("Tags").map(|tags| ("Tags", tags.clone())));
            Ok(Json::object(members))
        }
        Request::GetConfiguration(name) => {
            Ok(configuration(&find(name, read, settings)?, name, settings))
        }
        Request::List { limit, after } => list(*limit, after.as_deref(), read, settings),
        Request::GetPolicy(name) => {
            let record = find(name, read, settings)?;
            if record.permissions.is_empty() {
                let message = "The resource you requested does not exist.";
                return Err(ApiError::new("ResourceNotFoundException", message));
            }
            let policy = Json::object([
                ("Version", Json::from("2012-10-17")),
                ("Id", "default".into()),
                ("Statement", Json::array(record.permissions.values().cloned())),
            ]);
            Ok(Json::object([
                ("Policy", Json::from(policy.to_text())),
                ("RevisionId", revision_id(&record, settings).into()),
            ]))
        }
        _ => Err(ApiError::new("ServiceException", "this request changes something")),
    }
}

/// The stored function that `name` names, or AWS's error that it is not here.
pub fn find(
    name: &FunctionName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<FunctionRecord, ApiError> {
    let stored = named(&name.name, read).map_err(internal)?;
    stored.filter(|_| name.is_here(settings)).ok_or_else(|| name.not_found(settings))
}

fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("ServiceException", corrupt.to_string())
}

fn list(
    limit: usize,
    after: Option<&str>,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut found = all(read).map_err(internal)?;
    found.retain(|record| after.is_none_or(|after| *record.name > *after));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| Json::String(Arc::clone(&last.name)));
    let shown = found.iter().map(|record| shown(record, None, settings));
    let mut members = vec![("Functions", Json::array(shown))];
    members.extend(next.map(|name| ("NextMarker", name)));
    Ok(Json::object(members))
}

/// A function's configuration, under the qualifier that it was asked for with.
pub(super) fn configuration(
    record: &FunctionRecord,
    name: &FunctionName,
    settings: &Settings,
) -> Json {
    shown(record, name.qualifier.as_deref(), settings)
}

fn shown(record: &FunctionRecord, qualifier: Option<&str>, settings: &Settings) -> Json {
    let mut arn = settings.arn("lambda", &format!("function:{}", record.name));
    if let Some(qualifier) = qualifier {
        arn = format!("{arn}:{qualifier}");
    }
    let text = |text: &Arc<str>| Json::String(Arc::clone(text));
    let given = |name| record.shown.member(name).cloned();
    let object = |name: &'static str, value: Json| Json::object([(name, value)]);
    let log_group = || {
        Json::object([
            ("LogFormat", Json::from("Text")),
            ("LogGroup", format!("/aws/lambda/{}", record.name).into()),
        ])
    };
    let mut members = vec![
        ("FunctionName", text(&record.name)),
        ("FunctionArn", arn.into()),
        ("Runtime", text(&record.runtime)),
        ("Role", text(&record.role)),
        ("Handler", text(&record.handler)),
        ("CodeSize", (record.code.bytes as i64).into()),
        ("Description", text(&record.description)),
        ("Timeout", i64::from(record.timeout_s).into()),
        ("MemorySize", i64::from(record.memory_mb).into()),
        ("LastModified", last_modified(record.modified).into()),
        ("CodeSha256", STANDARD.encode(record.code.sha256).into()),
        ("Version", LATEST.into()),
        (
            "TracingConfig",
            given("TracingConfig").unwrap_or_else(|| object("Mode", "PassThrough".into())),
        ),
        ("RevisionId", revision_id(record, settings).into()),
        ("State", "Active".into()),
        ("LastUpdateStatus", "Successful".into()),
        ("PackageType", "Zip".into()),
        (
            "Architectures",
            given("Architectures").unwrap_or_else(|| Json::array([Json::from("x86_64")])),
        ),
        (
            "EphemeralStorage",
            given("EphemeralStorage").unwrap_or_else(|| object("Size", 512.into())),
        ),
        (
            "SnapStart",
            Json::object([("ApplyOn", Json::from("None")), ("OptimizationStatus", "Off".into())]),
        ),
        ("LoggingConfig", given("LoggingConfig").unwrap_or_else(log_group)),
    ];
    members.extend(given("KMSKeyArn").map(|key| ("KMSKeyArn", key)));
    if !record.environment.is_empty() {
        let variables = record.environment.iter();
        let variables =
            Json::object(variables.map(|(name, value)| (Arc::clone(name), text(value))));
        members.push(("Environment", object("Variables", variables)));
    }
    Json::object(members)
}

/// A UUID that changes with every change of the function.
pub(super) fn revision_id(record: &FunctionRecord, settings: &Settings) -> String {
    derived_uuid(&settings.secret, "function", &[record.number, record.revision])
}

/// A time as Lambda writes it: `2026-01-31T12:00:00.000+0000`.
fn last_modified(at: Timestamp) -> String {
    let text = at.rfc3339();
    format!("{}+0000", text.trim_end_matches('Z'))
}
