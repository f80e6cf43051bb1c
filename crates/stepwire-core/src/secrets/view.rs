//! Requests that read.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::{Json, Timestamp};

use super::CURRENT;
use super::record::{self, Secret, Value, Version};
use super::request::{Batch, List, Request, Selected, SortBy};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// Characters of an ARN behind the name: a hyphen and the suffix.
const SUFFIX: usize = 7;

type Members = Vec<(&'static str, Json)>;

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Get(selected) => value(selected, read, settings).map(Json::object),
        Request::BatchGet(batch) => values(batch, read, settings),
        Request::Describe(id) => {
            let secret = stored(id, read, settings)?;
            let mut members = metadata(&secret, settings);
            let stages = secret.versions.iter().filter(|version| !version.stages.is_empty());
            let stages = stages.map(|version| (Arc::clone(&version.id), labels(version)));
            if !secret.versions.is_empty() {
                members.push(("VersionIdsToStages", Json::object(stages)));
            }
            Ok(Json::object(members))
        }
        Request::List(list) => {
            let (page, next) = page(list, read)?;
            let shown = page.iter().map(|secret| {
                let mut members = metadata(secret, settings);
                let stages = secret.versions.iter().filter(|version| !version.stages.is_empty());
                let stages = stages.map(|version| (Arc::clone(&version.id), labels(version)));
                members.push(("SecretVersionsToStages", Json::object(stages)));
                Json::object(members)
            });
            Ok(Json::object([("SecretList", Json::array(shown))].into_iter().chain(next)))
        }
        Request::Versions { id, all, after, limit } => {
            let secret = stored(id, read, settings)?;
            let of = secret.versions.iter().filter(|version| *all || !version.stages.is_empty());
            let of: Vec<&Version> = of.skip(*after).collect();
            let shown = of.iter().take(*limit).map(|version| {
                let key = secret.key_id.as_deref().unwrap_or("DefaultEncryptionKey");
                let stages =
                    (!version.stages.is_empty()).then(|| ("VersionStages", labels(version)));
                let members = [
                    ("VersionId", Json::String(Arc::clone(&version.id))),
                    ("CreatedDate", seconds(version.created)),
                    ("KmsKeyIds", Json::array([key.into()])),
                ];
                Json::object(members.into_iter().chain(stages))
            });
            let shown = Json::array(shown);
            let next =
                (of.len() > *limit).then(|| ("NextToken", (after + limit).to_string().into()));
            let own = named(&secret, settings).into_iter();
            Ok(Json::object(own.chain([("Versions", shown)]).chain(next)))
        }
        Request::Policy(id) => {
            let secret = live(stored(id, read, settings)?)?;
            Ok(Json::object(named(&secret, settings)))
        }
        Request::Create(_)
        | Request::Update(_)
        | Request::Put(_)
        | Request::MoveStage(_)
        | Request::Delete { .. }
        | Request::Restore(_)
        | Request::Password(_)
        | Request::Tag(..)
        | Request::Untag(..) => {
            Err(ApiError::new("InternalServiceError", "only the kernel answers this"))
        }
    }
}

/// The secret that `id` names, with its stored records found by name.
pub(super) fn find(
    id: &str,
    settings: &Settings,
    by_name: impl Fn(&str) -> Result<Option<Secret>, ApiError>,
) -> Result<Secret, ApiError> {
    let found = if id.starts_with("arn:") {
        let begin = settings.arn("secretsmanager", "secret:");
        let rest = id.strip_prefix(&begin).unwrap_or_default();
        let cut = rest.len().checked_sub(SUFFIX).filter(|at| rest.is_char_boundary(*at));
        let (name, suffix) = cut.map(|at| rest.split_at(at)).unwrap_or_default();
        let whole = if name.is_empty() { None } else { by_name(name)? };
        let whole = whole.filter(|secret| suffix.strip_prefix('-') == Some(&*secret.suffix));
        match whole {
            None if !rest.is_empty() => by_name(rest)?,
            whole => whole,
        }
    } else {
        by_name(id)?
    };
    found.ok_or_else(|| not_found("Secrets Manager can't find the specified secret.".to_owned()))
}

/// The secret, if it is not to be removed.
pub(super) fn live(secret: Secret) -> Result<Secret, ApiError> {
    if secret.deleted.is_none() {
        return Ok(secret);
    }
    let message = "You can't perform this operation on the secret because it was marked for \
                   deletion.";
    Err(ApiError::new("InvalidRequestException", message))
}

/// The members that most answers begin with.
pub(super) fn named(secret: &Secret, settings: &Settings) -> [(&'static str, Json); 2] {
    [("ARN", secret.arn(settings).into()), ("Name", Json::String(Arc::clone(&secret.name)))]
}

/// The same for what is not there.
pub(super) fn named_so(id: &str, settings: &Settings) -> [(&'static str, Json); 2] {
    let begin = settings.arn("secretsmanager", "secret:");
    let name = id.strip_prefix(&begin).unwrap_or(id);
    [("ARN", format!("{begin}{name}").into()), ("Name", name.into())]
}

pub(super) fn seconds(at: Timestamp) -> Json {
    Json::from_f64(at.seconds()).unwrap_or(Json::Null)
}

fn stored(id: &str, read: &dyn Read, settings: &Settings) -> Result<Secret, ApiError> {
    find(id, settings, |name| {
        let key = record::key(name);
        let value = read.get(&key);
        value.map(|value| record::record(&key, &value)).transpose().map_err(unreadable)
    })
}

/// The members of GetSecretValue.
fn value(selected: &Selected, read: &dyn Read, settings: &Settings) -> Result<Members, ApiError> {
    let secret = live(stored(&selected.id, read, settings)?)?;
    let version = version(&secret, selected)?;
    let key = record::value_key(&secret.name, &version.id);
    let missing = || not_found(format!("the value of version {} is not stored", version.id));
    let found: Value =
        record::record(&key, &read.get(&key).ok_or_else(missing)?).map_err(unreadable)?;
    let shown = match found {
        Value::String(text) => ("SecretString", Json::String(text)),
        Value::Binary(bytes) => ("SecretBinary", STANDARD.encode(bytes).into()),
    };
    let mut members = Members::from(named(&secret, settings));
    members.extend([
        ("VersionId", Json::String(Arc::clone(&version.id))),
        shown,
        ("VersionStages", labels(version)),
        ("CreatedDate", seconds(version.created)),
    ]);
    Ok(members)
}

fn version<'a>(secret: &'a Secret, selected: &Selected) -> Result<&'a Version, ApiError> {
    let missing = |what: &str, which: &str| {
        let message =
            format!("Secrets Manager can't find the specified secret value for {what}: {which}");
        not_found(message)
    };
    match (&selected.version, &selected.stage) {
        (Some(id), stage) => {
            let found = secret.version(id).ok_or_else(|| missing("VersionId", id))?;
            if stage.as_ref().is_some_and(|stage| !found.has(stage)) {
                let message = "You provided a VersionStage that is not associated to the provided \
                               VersionId.";
                return Err(ApiError::new("InvalidRequestException", message));
            }
            Ok(found)
        }
        (None, stage) => {
            let stage = stage.as_deref().unwrap_or(CURRENT);
            secret.at_stage(stage).ok_or_else(|| missing("staging label", stage))
        }
    }
}

fn values(batch: &Batch, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let (ids, next) = match batch {
        Batch::Ids(ids) => (ids.clone(), None),
        Batch::Filtered(list) => {
            let (page, next) = page(list, read)?;
            (page.into_iter().map(|secret| secret.name).collect(), next)
        }
    };
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for id in ids {
        let selected = Selected { id: Arc::clone(&id), version: None, stage: None };
        match value(&selected, read, settings) {
            Ok(members) => found.push(Json::object(members)),
            Err(error) => errors.push(Json::object([
                ("SecretId", Json::String(id)),
                ("ErrorCode", (*error.code).into()),
                ("Message", error.message.into()),
            ])),
        }
    }
    let members = [("SecretValues", Json::array(found)), ("Errors", Json::array(errors))];
    Ok(Json::object(members.into_iter().chain(next)))
}

type Page = (Vec<Secret>, Option<(&'static str, Json)>);

/// The secrets of a page, and the token of the next.
fn page(list: &List, read: &dyn Read) -> Result<Page, ApiError> {
    let mut all = Vec::new();
    for (key, value) in read.range(&record::all()) {
        let secret: Secret = record::record(&key, &value).map_err(unreadable)?;
        let shown = list.deleted || secret.deleted.is_none();
        if shown && list.filters.iter().all(|filter| filter.passes(&secret)) {
            all.push(secret);
        }
    }
    match list.by {
        SortBy::Created => all.sort_by_key(|secret| secret.created),
        SortBy::Changed => all.sort_by_key(|secret| secret.changed),
        // As they are stored.
        SortBy::Name => {}
    }
    if list.descending {
        all.reverse();
    }
    let begin = match &list.after {
        None => 0,
        Some(after) => {
            let last = all.iter().position(|secret| secret.name == *after);
            let message = "The NextToken value is invalid.";
            last.ok_or_else(|| ApiError::new("InvalidNextTokenException", message))? + 1
        }
    };
    let more = all.len() - begin > list.limit;
    let page: Vec<Secret> = all.into_iter().skip(begin).take(list.limit).collect();
    let last = page.last().filter(|_| more);
    let next = last.map(|last| ("NextToken", STANDARD.encode(last.name.as_bytes()).into()));
    Ok((page, next))
}

/// What a secret is, without its values.
fn metadata(secret: &Secret, settings: &Settings) -> Members {
    let mut members = Members::from(named(secret, settings));
    let texts = [("Description", &secret.description), ("KmsKeyId", &secret.key_id)];
    for (member, text) in texts {
        members.extend(text.clone().map(|text| (member, Json::String(text))));
    }
    members.extend([
        ("CreatedDate", seconds(secret.created)),
        ("LastChangedDate", seconds(secret.changed)),
    ]);
    members.extend(secret.deleted.map(|at| ("DeletedDate", seconds(at))));
    if !secret.tags.is_empty() {
        let tags = secret.tags.iter().map(|(key, value)| {
            let [key, value] = [key, value].map(|text| Json::String(Arc::clone(text)));
            Json::object([("Key", key), ("Value", value)])
        });
        members.push(("Tags", Json::array(tags)));
    }
    members
}

fn labels(version: &Version) -> Json {
    Json::array(version.stages.iter().map(|stage| Json::String(Arc::clone(stage))))
}

fn not_found(message: String) -> ApiError {
    ApiError::new("ResourceNotFoundException", message)
}

fn unreadable(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalServiceError", corrupt.to_string())
}
