//! Lambda requests that only read, and how a function is shown.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::{Json, Timestamp};

use super::more::{qualifier, tags_of};
use super::name::LATEST;
use super::record;
use super::{
    AliasRecord, AsyncConfig, FunctionName, FunctionRecord, LayerRecord, RanKey, RanRecord,
    Request, SourceRecord, SystemLevel,
};
use crate::error::ApiError;
use crate::executions::ExecutionId;
use crate::executions::derived_uuid;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// A function, or a version of it, that a caller names.
#[derive(Debug, Clone)]
pub struct Found {
    /// The version that is to run.
    pub record: FunctionRecord,
    /// Most invocations of the function at a time, if that is reserved.
    pub reserved: Option<u32>,
}

/// All stored functions, by name.
pub fn all(read: &dyn Read) -> Result<Vec<FunctionRecord>, Corrupt> {
    record::all(read)
}

/// The stored function of this name, as it is now.
pub fn named(name: &str, read: &dyn Read) -> Result<Option<FunctionRecord>, Corrupt> {
    record::named(name, read)
}

/// What the invocations by an execution's tasks came to, as far as that is kept; in order of their
/// `TaskScheduled` events.
pub fn ran(execution: ExecutionId, read: &dyn Read) -> Result<Vec<(RanKey, RanRecord)>, Corrupt> {
    record::ran(execution, read)
}

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get(name) => {
            let Found { record, reserved } = find(name, 0, read, settings)?;
            let mut code = vec![("RepositoryType", Json::from("S3"))];
            if let Some(folder) = &record.code.folder {
                code = vec![
                    ("RepositoryType", Json::from("Folder")),
                    ("Location", Json::String(Arc::clone(folder))),
                ];
            }
            let mut members = vec![
                ("Configuration", configuration(&record, name, settings)),
                ("Code", Json::object(code)),
            ];
            members.extend(record.shown.member("Tags").map(|tags| ("Tags", tags.clone())));
            if let Some(reserved) = reserved {
                members.push(("Concurrency", self::reserved(Some(reserved))));
            }
            Ok(Json::object(members))
        }
        Request::GetConfiguration(name) => {
            Ok(configuration(&find(name, 0, read, settings)?.record, name, settings))
        }
        Request::List { limit, after } => list(*limit, after.as_deref(), read, settings),
        Request::GetPolicy(name) => {
            let record = latest(name, read, settings)?;
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
        Request::ListVersions { function, limit, after } => {
            let latest = latest(function, read, settings)?;
            let mut found = vec![latest];
            found.extend(record::versions(&function.name, read).map_err(internal)?);
            if let Some(after) = after.as_deref().and_then(|after| after.parse::<u64>().ok()) {
                found.retain(|record| record.version > after);
            }
            let more = found.len() > *limit;
            found.truncate(*limit);
            let next = found.last().filter(|_| more).map(|last| last.version.to_string());
            let each = |record: &FunctionRecord| {
                let version = record.version_text();
                shown(record, Some(&version), settings)
            };
            let mut members = vec![("Versions", Json::array(found.iter().map(each)))];
            members.extend(next.map(|next| ("NextMarker", next.into())));
            Ok(Json::object(members))
        }
        Request::GetAlias(function, name) => {
            latest(function, read, settings)?;
            let found = record::alias(&function.name, name, read).map_err(internal)?;
            let found = found.ok_or_else(|| no_alias(&function.name, name, settings))?;
            Ok(alias(&found, settings))
        }
        Request::ListAliases(function, version) => {
            latest(function, read, settings)?;
            let found = record::aliases(&function.name, read).map_err(internal)?;
            let found = found.iter().filter(|alias| version.is_none_or(|v| alias.version == v));
            let found = found.map(|found| alias(found, settings));
            Ok(Json::object([("Aliases", Json::array(found))]))
        }
        Request::GetLayer(name, version) => {
            let found = record::layer(name, *version, read).map_err(internal)?;
            let missing = || {
                let message = "The resource you requested does not exist.";
                ApiError::new("ResourceNotFoundException", message)
            };
            Ok(layer(&found.ok_or_else(missing)?, settings))
        }
        Request::ListLayers => {
            let found = record::layers(None, read).map_err(internal)?;
            let mut newest: Vec<&LayerRecord> = Vec::new();
            for layer in &found {
                match newest.last_mut() {
                    Some(last) if last.name == layer.name => *last = layer,
                    _ => newest.push(layer),
                }
            }
            let each = |found: &&LayerRecord| {
                Json::object([
                    ("LayerName", Json::String(Arc::clone(&found.name))),
                    ("LayerArn", layer_arn(&found.name, settings).into()),
                    ("LatestMatchingVersion", layer_version(found, settings)),
                ])
            };
            Ok(Json::object([("Layers", Json::array(newest.iter().map(each)))]))
        }
        Request::ListLayerVersions(name) => {
            let found = record::layers(Some(name), read).map_err(internal)?;
            let found = found.iter().rev().map(|found| layer_version(found, settings));
            Ok(Json::object([("LayerVersions", Json::array(found))]))
        }
        Request::GetProvisioned(name) => super::provisioned::get(name, read, settings),
        Request::ListProvisioned(name) => super::provisioned::list(name, read, settings),
        Request::GetReserved(name) => Ok(reserved(latest(name, read, settings)?.reserved)),
        Request::GetAsync(function) => {
            let record = latest(function, read, settings)?;
            let qualifier = qualifier(function);
            let config = record.asynchronous.get(&qualifier);
            let config = config.ok_or_else(|| no_async(function, settings))?;
            Ok(async_config(&record.name, &qualifier, config, settings))
        }
        Request::ListAsync(function) => {
            let record = latest(function, read, settings)?;
            let each = record.asynchronous.iter();
            let each = each.map(|(of, config)| async_config(&record.name, of, config, settings));
            Ok(Json::object([("FunctionEventInvokeConfigs", Json::array(each))]))
        }
        Request::GetSource(uuid) => {
            let found = record::sources(read).map_err(internal)?;
            let found = found.iter().find(|source| source.uuid == *uuid);
            let missing = || {
                let message = "The resource you requested does not exist.";
                ApiError::new("ResourceNotFoundException", message)
            };
            let found = found.ok_or_else(missing)?;
            Ok(source(found, if found.enabled { "Enabled" } else { "Disabled" }, settings))
        }
        Request::ListSources { queue, function } => {
            let found = record::sources(read).map_err(internal)?;
            let of = |found: &&SourceRecord| {
                queue.as_ref().is_none_or(|queue| *queue == found.queue)
                    && function.as_ref().is_none_or(|function| {
                        function.name == found.function
                            && (function.qualifier.is_none()
                                || function.qualifier == found.qualifier)
                    })
            };
            let each = |found: &SourceRecord| {
                source(found, if found.enabled { "Enabled" } else { "Disabled" }, settings)
            };
            let found = found.iter().filter(of).map(each);
            Ok(Json::object([("EventSourceMappings", Json::array(found))]))
        }
        Request::ListTags(name) => {
            let tags = tags_of(&latest(name, read, settings)?);
            Ok(Json::object([("Tags", Json::Object(Arc::new(tags)))]))
        }
        Request::AccountSettings => {
            let found = record::all(read).map_err(internal)?;
            let bytes: u64 = found.iter().map(|record| record.code.bytes).sum();
            let reserved: i64 = found.iter().filter_map(|r| r.reserved).map(i64::from).sum();
            Ok(Json::object([
                (
                    "AccountLimit",
                    Json::object([
                        ("TotalCodeSize", Json::from(80_530_636_800_i64)),
                        ("CodeSizeUnzipped", 262_144_000.into()),
                        ("CodeSizeZipped", 52_428_800.into()),
                        ("ConcurrentExecutions", 1_000.into()),
                        ("UnreservedConcurrentExecutions", (1_000 - reserved).max(0).into()),
                    ]),
                ),
                (
                    "AccountUsage",
                    Json::object([
                        ("TotalCodeSize", Json::from(bytes as i64)),
                        ("FunctionCount", (found.len() as i64).into()),
                    ]),
                ),
            ]))
        }
        Request::GetUrl(name) => {
            find(name, 0, read, settings)?;
            let message = "The resource you requested does not exist.";
            Err(ApiError::new("ResourceNotFoundException", message))
        }
        _ => Err(ApiError::new("ServiceException", "this request changes something")),
    }
}

/// The stored function that `name` names, as it is now, or AWS's error that it is not here.
fn latest(
    name: &FunctionName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<FunctionRecord, ApiError> {
    let stored = record::named(&name.name, read).map_err(internal)?;
    stored.filter(|_| name.is_here(settings)).ok_or_else(|| name.not_found(settings))
}

/// The stored version of a function that `name` names, or AWS's error that it is not here. `roll`, of
/// 0 to 999,999, decides between two versions of an alias.
pub fn find(
    name: &FunctionName,
    roll: u32,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Found, ApiError> {
    let record = latest(name, read, settings)?;
    let reserved = record.reserved;
    let Some(qualifier) = name.qualifier.as_deref().filter(|_| !name.is_latest()) else {
        return Ok(Found { record, reserved });
    };
    let alias = record::alias(&name.name, qualifier, read).map_err(internal)?;
    let version = match alias {
        Some(alias) => match alias.other {
            Some((other, share)) if roll < share => Some(other),
            _ => Some(alias.version),
        },
        None => qualifier.parse().ok(),
    };
    let version = version.ok_or_else(|| name.not_found(settings))?;
    if version == 0 {
        return Ok(Found { record, reserved });
    }
    let found = record::version(&name.name, version, read).map_err(internal)?;
    Ok(Found { record: found.ok_or_else(|| name.not_found(settings))?, reserved })
}

fn decimal(number: f64) -> Json {
    Json::parse(&number.to_string()).unwrap_or_default()
}

/// A time as seconds since the epoch.
fn seconds(at: Timestamp) -> Json {
    decimal(at.0 as f64 / 1_000.0)
}

/// How much concurrency is reserved.
pub(super) fn reserved(reserved: Option<u32>) -> Json {
    let members = reserved.map(|n| ("ReservedConcurrentExecutions", Json::from(i64::from(n))));
    Json::object(members)
}

pub(super) fn alias_arn(alias: &AliasRecord, settings: &Settings) -> String {
    settings.arn("lambda", &format!("function:{}:{}", alias.function, alias.name))
}

pub(super) fn alias_revision(alias: &AliasRecord, settings: &Settings) -> String {
    let name = format!("alias {} {}", alias.function, alias.name);
    derived_uuid(&settings.secret, &name, &[alias.revision])
}

pub(super) fn no_alias(function: &str, name: &str, settings: &Settings) -> ApiError {
    let arn = settings.arn("lambda", &format!("function:{function}:{name}"));
    ApiError::new("ResourceNotFoundException", format!("Cannot find alias arn: {arn}"))
}

fn version_shown(version: u64) -> String {
    if version == 0 { LATEST.to_owned() } else { version.to_string() }
}

pub(super) fn alias(alias: &AliasRecord, settings: &Settings) -> Json {
    let mut members = vec![
        ("AliasArn", Json::from(alias_arn(alias, settings))),
        ("Name", Json::String(Arc::clone(&alias.name))),
        ("FunctionVersion", version_shown(alias.version).into()),
        ("Description", Json::String(Arc::clone(&alias.description))),
        ("RevisionId", alias_revision(alias, settings).into()),
    ];
    if let Some((version, share)) = alias.other {
        let weight = decimal(f64::from(share) / 1_000_000.0);
        let weights = Json::object([(version_shown(version), weight)]);
        members.push(("RoutingConfig", Json::object([("AdditionalVersionWeights", weights)])));
    }
    Json::object(members)
}

fn layer_arn(name: &str, settings: &Settings) -> String {
    settings.arn("lambda", &format!("layer:{name}"))
}

fn layer_version(layer: &LayerRecord, settings: &Settings) -> Json {
    let arn = format!("{}:{}", layer_arn(&layer.name, settings), layer.version);
    let mut members: Vec<(Arc<str>, Json)> = vec![
        ("LayerVersionArn".into(), arn.into()),
        ("Version".into(), (layer.version as i64).into()),
        ("CreatedDate".into(), last_modified(layer.created).into()),
    ];
    let shown = layer.shown.as_object().into_iter().flatten();
    members.extend(shown.map(|(name, value)| (Arc::clone(name), value.clone())));
    Json::object(members)
}

pub(super) fn layer(layer: &LayerRecord, settings: &Settings) -> Json {
    let of = layer_version(layer, settings);
    let members = of.as_object().into_iter().flatten();
    let mut members: Vec<(Arc<str>, Json)> =
        members.map(|(name, value)| (Arc::clone(name), value.clone())).collect();
    members.push(("LayerArn".into(), layer_arn(&layer.name, settings).into()));
    let content = Json::object([
        ("CodeSha256", Json::from(STANDARD.encode(layer.code.sha256))),
        ("CodeSize", (layer.code.bytes as i64).into()),
    ]);
    members.push(("Content".into(), content));
    Json::object(members)
}

pub(super) fn no_async(function: &FunctionName, settings: &Settings) -> ApiError {
    let message =
        format!("The function {} doesn't have an EventInvokeConfig", function.arn(settings));
    ApiError::new("ResourceNotFoundException", message)
}

pub(super) fn async_config(
    function: &str,
    qualifier: &str,
    config: &AsyncConfig,
    settings: &Settings,
) -> Json {
    let arn = settings.arn("lambda", &format!("function:{function}:{qualifier}"));
    let destination = |arn: &Option<Arc<str>>| {
        let arn = arn.as_ref().map(|arn| ("Destination", Json::String(Arc::clone(arn))));
        Json::object(arn)
    };
    let mut members = vec![("LastModified", seconds(config.modified)), ("FunctionArn", arn.into())];
    members.extend(config.retries.map(|n| ("MaximumRetryAttempts", i64::from(n).into())));
    members.extend(config.age_s.map(|n| ("MaximumEventAgeInSeconds", i64::from(n).into())));
    let destinations = [
        ("OnSuccess", destination(&config.on_success)),
        ("OnFailure", destination(&config.on_failure)),
    ];
    members.push(("DestinationConfig", Json::object(destinations)));
    Json::object(members)
}

pub(super) fn source(source: &SourceRecord, state: &str, settings: &Settings) -> Json {
    let mut arn = settings.arn("lambda", &format!("function:{}", source.function));
    if let Some(qualifier) = &source.qualifier {
        arn = format!("{arn}:{qualifier}");
    }
    let types = source.reports_failures.then(|| Json::from("ReportBatchItemFailures"));
    let mut members = vec![
        ("UUID", Json::String(Arc::clone(&source.uuid))),
        ("BatchSize", i64::from(source.batch).into()),
        ("MaximumBatchingWindowInSeconds", i64::from(source.window_s).into()),
        ("EventSourceArn", Json::String(Arc::clone(&source.queue))),
        ("FunctionArn", arn.into()),
        ("LastModified", seconds(source.modified)),
        ("State", state.into()),
        ("StateTransitionReason", "USER_INITIATED".into()),
        ("FunctionResponseTypes", Json::array(types)),
        (
            "EventSourceMappingArn",
            settings.arn("lambda", &format!("event-source-mapping:{}", source.uuid)).into(),
        ),
    ];
    if let Some(concurrency) = source.concurrency {
        let scaling = Json::object([("MaximumConcurrency", Json::from(i64::from(concurrency)))]);
        members.push(("ScalingConfig", scaling));
    }
    let criteria = source.shown.member("FilterCriteria");
    members.extend(criteria.map(|criteria| ("FilterCriteria", criteria.clone())));
    Json::object(members)
}

pub(super) fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("ServiceException", corrupt.to_string())
}

fn list(
    limit: usize,
    after: Option<&str>,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut found = record::all(read).map_err(internal)?;
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
    let logging = record.logging();
    let log_group = Json::String(record.log_group());
    let logging = if logging.json {
        let system = match logging.system {
            SystemLevel::Debug => "DEBUG",
            SystemLevel::Info => "INFO",
            SystemLevel::Warn => "WARN",
        };
        Json::object([
            ("LogFormat", "JSON".into()),
            ("ApplicationLogLevel", Json::String(logging.application)),
            ("SystemLogLevel", system.into()),
            ("LogGroup", log_group),
        ])
    } else {
        Json::object([("LogFormat", "Text".into()), ("LogGroup", log_group)])
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
        ("Version", Json::String(record.version_text())),
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
        ("LoggingConfig", logging),
    ];
    members.extend(given("VpcConfig").map(|vpc| ("VpcConfig", vpc)));
    if let Some(arn) = &record.dead_letter {
        members.push(("DeadLetterConfig", object("TargetArn", text(arn))));
    }
    if !record.layers.is_empty() {
        let each = record.layers.iter().map(|layer| {
            let size = Json::from(layer.code.bytes as i64);
            Json::object([("Arn", text(&layer.arn)), ("CodeSize", size)])
        });
        members.push(("Layers", Json::array(each)));
    }
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
    derived_uuid(&settings.secret, "function", &[record.number, record.revision, record.version])
}

/// A time as Lambda writes it: `2026-01-31T12:00:00.000+0000`.
pub(super) fn last_modified(at: Timestamp) -> String {
    let text = at.rfc3339();
    format!("{}+0000", text.trim_end_matches('Z'))
}
