//! What is asked of Secrets Manager, parsed once.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;

use super::filter::Filter;
use super::password::Password;
use super::record::Value;
use crate::error::ApiError;
use crate::params::Params;

/// Longest value, bytes.
const VALUE_MAX: usize = 65_536;
const NAME_MAX: usize = 512;
const DESCRIPTION_MAX: usize = 2_048;
const STAGES_MAX: usize = 20;

type Tags = Vec<(Arc<str>, Arc<str>)>;

/// One request. A `SecretId` is a name, an ARN, or an ARN without its last seven characters.
#[derive(Debug, Clone)]
pub enum Request {
    /// CreateSecret.
    Create(Box<Create>),
    /// UpdateSecret.
    Update(Box<Update>),
    /// PutSecretValue.
    Put(Box<Put>),
    /// GetSecretValue.
    Get(Selected),
    /// BatchGetSecretValue.
    BatchGet(Box<Batch>),
    /// DescribeSecret.
    Describe(Arc<str>),
    /// ListSecrets.
    List(Box<List>),
    /// ListSecretVersionIds.
    Versions {
        /// Of which secret.
        id: Arc<str>,
        /// Whether those without a stage are shown.
        all: bool,
        /// Versions that come before the page.
        after: usize,
        /// At most so many.
        limit: usize,
    },
    /// UpdateSecretVersionStage.
    MoveStage(Box<Move>),
    /// DeleteSecret.
    Delete {
        /// Which.
        id: Arc<str>,
        /// Days that it can be restored; `None`: it is removed at once.
        days: Option<i64>,
    },
    /// RestoreSecret.
    Restore(Arc<str>),
    /// GetRandomPassword.
    Password(Password),
    /// TagResource.
    Tag(Arc<str>, Tags),
    /// UntagResource.
    Untag(Arc<str>, Vec<Arc<str>>),
    /// GetResourcePolicy: there is none.
    Policy(Arc<str>),
}

/// CreateSecret.
#[derive(Debug, Clone)]
pub struct Create {
    /// Its name.
    pub name: Arc<str>,
    /// Id of its first version.
    pub token: Option<Arc<str>>,
    /// Its first value.
    pub value: Option<Value>,
    /// In words.
    pub description: Option<Arc<str>>,
    /// Name of a key; only shown.
    pub key_id: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
}

/// UpdateSecret.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which.
    pub id: Arc<str>,
    /// Id of the version that is made.
    pub token: Option<Arc<str>>,
    /// The new value.
    pub value: Option<Value>,
    /// In words.
    pub description: Option<Arc<str>>,
    /// Name of a key; only shown.
    pub key_id: Option<Arc<str>>,
}

/// PutSecretValue.
#[derive(Debug, Clone)]
pub struct Put {
    /// Of which secret.
    pub id: Arc<str>,
    /// Id of the version.
    pub token: Option<Arc<str>>,
    /// The value.
    pub value: Value,
    /// Its stages; `AWSCURRENT` unless given.
    pub stages: Vec<Arc<str>>,
}

/// One version of a secret; the one at `AWSCURRENT` unless something else is said.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Of which secret.
    pub id: Arc<str>,
    /// Its version id.
    pub version: Option<Arc<str>>,
    /// A stage that it has.
    pub stage: Option<Arc<str>>,
}

/// BatchGetSecretValue.
#[derive(Debug, Clone)]
pub enum Batch {
    /// Those of these ids.
    Ids(Vec<Arc<str>>),
    /// Those that pass filters, a page of them.
    Filtered(List),
}

/// Which secrets are shown, and in which order.
#[derive(Debug, Clone)]
pub struct List {
    /// All of them must let a secret pass.
    pub filters: Vec<Filter>,
    /// Whether those that are to be removed are shown.
    pub deleted: bool,
    /// What the order is by.
    pub by: SortBy,
    /// Whether the order is turned round.
    pub descending: bool,
    /// Name of the last secret of the page before.
    pub after: Option<Arc<str>>,
    /// At most so many.
    pub limit: usize,
}

/// What the order of secrets is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// When they were made.
    Created,
    /// When anything of them changed.
    Changed,
    /// Their names.
    Name,
}

/// UpdateSecretVersionStage.
#[derive(Debug, Clone)]
pub struct Move {
    /// Of which secret.
    pub id: Arc<str>,
    /// The staging label.
    pub stage: Arc<str>,
    /// The version that loses it.
    pub from: Option<Arc<str>>,
    /// The version that gets it.
    pub to: Option<Arc<str>>,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: the operation is not served.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "ValidationException");
        let by_id = |make: fn(Arc<str>) -> Request| {
            params.only(&["SecretId"]).and_then(|()| id(params)).map(make)
        };
        Some(match operation {
            "CreateSecret" => create(params).map(Box::new).map(Request::Create),
            "UpdateSecret" => update(params).map(Box::new).map(Request::Update),
            "PutSecretValue" => put(params).map(Box::new).map(Request::Put),
            "GetSecretValue" => selected(params).map(Request::Get),
            "BatchGetSecretValue" => batch(params).map(Box::new).map(Request::BatchGet),
            "DescribeSecret" => by_id(Request::Describe),
            "ListSecrets" => list(params).map(Box::new).map(Request::List),
            "ListSecretVersionIds" => versions(params),
            "UpdateSecretVersionStage" => move_stage(params).map(Box::new).map(Request::MoveStage),
            "DeleteSecret" => delete(params),
            "RestoreSecret" => by_id(Request::Restore),
            "GetRandomPassword" => Password::parse(params).map(Request::Password),
            "TagResource" => params
                .only(&["SecretId", "Tags"])
                .and_then(|()| Ok(Request::Tag(id(params)?, tags(params)?))),
            "UntagResource" => params.only(&["SecretId", "TagKeys"]).and_then(|()| {
                let keys = params.get("TagKeys").and_then(Json::as_array).unwrap_or_default();
                let keys = keys.iter().filter_map(Json::as_str).map(Arc::from).collect();
                Ok(Request::Untag(id(params)?, keys))
            }),
            "GetResourcePolicy" => by_id(Request::Policy),
            _ => Err(refused(operation)?),
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Get(_)
            | Request::BatchGet(_)
            | Request::Describe(_)
            | Request::List(_)
            | Request::Versions { .. }
            | Request::Policy(_) => true,
            Request::Create(_)
            | Request::Update(_)
            | Request::Put(_)
            | Request::MoveStage(_)
            | Request::Delete { .. }
            | Request::Restore(_)
            | Request::Password(_)
            | Request::Tag(..)
            | Request::Untag(..) => false,
        }
    }
}

/// Why an operation of Secrets Manager is not served; `None`: it is none.
fn refused(operation: &str) -> Option<ApiError> {
    let why = match operation {
        "RotateSecret" | "CancelRotateSecret" => {
            "secrets are not rotated in stepwire; put new values by PutSecretValue"
        }
        "ReplicateSecretToRegions"
        | "RemoveRegionsFromReplication"
        | "StopReplicationToReplica" => "there is one region in stepwire",
        "PutResourcePolicy" | "DeleteResourcePolicy" | "ValidateResourcePolicy" => {
            "secrets have no policies in stepwire: who may use its API may read them"
        }
        _ => return None,
    };
    let message = format!("`{operation}` is refused: {why}");
    Some(ApiError::new("UnknownOperationException", message))
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn id(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let id = params.text("SecretId")?;
    if !(1..=2_048).contains(&id.len()) || id.contains('\0') {
        let message = "Invalid name. Must be a valid name containing alphanumeric characters, or \
                       any of the following: -/_+=.@!";
        return Err(ApiError::new("ValidationException", message));
    }
    Ok(id.into())
}

fn token(params: Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    let token = params.optional_text("ClientRequestToken")?;
    if token.is_some_and(|token| !(32..=64).contains(&token.len()) || token.contains('\0')) {
        return Err(invalid("ClientRequestToken must be 32-64 characters long."));
    }
    Ok(token.map(Arc::from))
}

fn value(params: Params<'_>) -> Result<Option<Value>, ApiError> {
    let too_long = |name| {
        let why = format!("Member must have length less than or equal to {VALUE_MAX}");
        // Without the value: it is secret.
        params.broken(name, Some("***"), &why)
    };
    let text = params.optional_text("SecretString")?;
    let binary = params.optional_text("SecretBinary")?;
    match (text, binary) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(invalid(
            "You can't specify both a binary secret value and a string secret value in \
                         the same secret.",
        )),
        (Some(text), None) if text.len() > VALUE_MAX => Err(too_long("secretString")),
        (Some(text), None) => Ok(Some(Value::String(text.into()))),
        (None, Some(encoded)) => {
            let bytes = STANDARD.decode(encoded).map_err(|_| {
                ApiError::new("SerializationException", "SecretBinary is not base64")
            })?;
            if bytes.len() > VALUE_MAX {
                return Err(too_long("secretBinary"));
            }
            Ok(Some(Value::Binary(bytes.into())))
        }
    }
}

fn text(params: Params<'_>, name: &str, max: usize) -> Result<Option<Arc<str>>, ApiError> {
    Ok(params.optional_text_within(name, max)?.map(Arc::from))
}

fn tags(params: Params<'_>) -> Result<Tags, ApiError> {
    let given = params.get("Tags").and_then(Json::as_array).unwrap_or_default().iter();
    let pair = |tag: &Json| {
        let text = |name| tag.member(name).and_then(Json::as_str).map(Arc::<str>::from);
        let key = text("Key").filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| params.invalid("Tags", "a tag has a key"))?;
        Ok((key, text("Value").unwrap_or_default()))
    };
    given.map(pair).collect()
}

fn create(params: Params<'_>) -> Result<Create, ApiError> {
    params.only(&[
        "Name",
        "ClientRequestToken",
        "Description",
        "KmsKeyId",
        "SecretBinary",
        "SecretString",
        "Tags",
        "ForceOverwriteReplicaSecret",
    ])?;
    if params.optional_bool("ForceOverwriteReplicaSecret")? == Some(true) {
        return Err(invalid("ForceOverwriteReplicaSecret is refused: there is one region."));
    }
    let name = params.text("Name")?;
    let known = |c: char| c.is_ascii_alphanumeric() || "-/_+=.@!".contains(c);
    if !(1..=NAME_MAX).contains(&name.len()) || !name.chars().all(known) {
        let message = "Invalid name. Must be a valid name containing alphanumeric characters, or \
                       any of the following: -/_+=.@!";
        return Err(ApiError::new("ValidationException", message));
    }
    Ok(Create {
        name: name.into(),
        token: token(params)?,
        value: value(params)?,
        description: text(params, "Description", DESCRIPTION_MAX)?,
        key_id: text(params, "KmsKeyId", 2_048)?,
        tags: tags(params)?,
    })
}

fn update(params: Params<'_>) -> Result<Update, ApiError> {
    params.only(&[
        "SecretId",
        "ClientRequestToken",
        "Description",
        "KmsKeyId",
        "SecretBinary",
        "SecretString",
    ])?;
    Ok(Update {
        id: id(params)?,
        token: token(params)?,
        value: value(params)?,
        description: text(params, "Description", DESCRIPTION_MAX)?,
        key_id: text(params, "KmsKeyId", 2_048)?,
    })
}

fn put(params: Params<'_>) -> Result<Put, ApiError> {
    params.only(&[
        "SecretId",
        "ClientRequestToken",
        "SecretBinary",
        "SecretString",
        "VersionStages",
    ])?;
    let value = value(params)?.ok_or_else(|| {
        let message = "You must provide either SecretString or SecretBinary.";
        ApiError::new("InvalidRequestException", message)
    })?;
    let stages = match params.get("VersionStages").and_then(Json::as_array) {
        None => vec!["AWSCURRENT".into()],
        Some(stages) if (1..=STAGES_MAX).contains(&stages.len()) => {
            stages.iter().map(|stage| label(stage.as_str(), params)).collect::<Result<_, _>>()?
        }
        Some(_) => {
            let why = format!("Member must have length between 1 and {STAGES_MAX}");
            return Err(params.broken("versionStages", None, &why));
        }
    };
    Ok(Put { id: id(params)?, token: token(params)?, value, stages })
}

/// A staging label.
fn label(text: Option<&str>, params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let text = text.filter(|text| (1..=256).contains(&text.chars().count()));
    let why = "a staging label has 1 to 256 characters";
    text.map(Arc::from).ok_or_else(|| params.invalid("VersionStage", why))
}

fn selected(params: Params<'_>) -> Result<Selected, ApiError> {
    params.only(&["SecretId", "VersionId", "VersionStage"])?;
    Ok(Selected {
        id: id(params)?,
        version: text(params, "VersionId", 64)?,
        stage: text(params, "VersionStage", 256)?,
    })
}

/// How many of what is asked for one page shows.
fn limit(params: Params<'_>, max: i64, default: i64) -> Result<usize, ApiError> {
    let given = params.optional_int("MaxResults")?.unwrap_or(default);
    if (1..=max).contains(&given) {
        return Ok(given as usize);
    }
    let bound = if given < 1 {
        "Member must have value greater than or equal to 1".to_owned()
    } else {
        format!("Member must have value less than or equal to {max}")
    };
    Err(params.broken("maxResults", Some(&given.to_string()), &bound))
}

fn bad_token() -> ApiError {
    ApiError::new("InvalidNextTokenException", "The NextToken value is invalid.")
}

fn batch(params: Params<'_>) -> Result<Batch, ApiError> {
    params.only(&["SecretIdList", "Filters", "MaxResults", "NextToken"])?;
    let ids = params.get("SecretIdList").and_then(Json::as_array);
    match (ids, params.get("Filters")) {
        (Some(ids), None) if (1..=20).contains(&ids.len()) => {
            let ids = ids.iter().filter_map(Json::as_str).map(Arc::from).collect();
            Ok(Batch::Ids(ids))
        }
        (Some(_), None) => {
            let why = "Member must have length between 1 and 20";
            Err(params.broken("secretIdList", None, why))
        }
        (None, Some(_)) => Ok(Batch::Filtered(List {
            filters: Filter::parse(params)?,
            deleted: false,
            by: SortBy::Created,
            descending: false,
            after: after(params)?,
            limit: limit(params, 20, 20)?,
        })),
        (None, None) | (Some(_), Some(_)) => {
            Err(invalid("Either 'SecretIdList' or 'Filters' must be provided, but not both."))
        }
    }
}

/// The name in a `NextToken`.
fn after(params: Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    let Some(token) = params.optional_text("NextToken")? else { return Ok(None) };
    let name = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.filter(|name| !name.contains('\0')).map(|name| Some(name.into())).ok_or_else(bad_token)
}

fn list(params: Params<'_>) -> Result<List, ApiError> {
    params.only(&[
        "IncludePlannedDeletion",
        "MaxResults",
        "NextToken",
        "Filters",
        "SortOrder",
        "SortBy",
    ])?;
    let chosen = |name: &str, member, of: &[&str]| match params.optional_text(name)? {
        None => Ok(0),
        Some(given) => of.iter().position(|known| *known == given).ok_or_else(|| {
            let all = of.join(", ");
            let constraint = format!("Member must satisfy enum value set: [{all}]");
            params.broken(member, Some(given), &constraint)
        }),
    };
    let by = chosen("SortBy", "sortBy", &["created-date", "name", "last-changed-date"])?;
    Ok(List {
        filters: Filter::parse(params)?,
        deleted: params.optional_bool("IncludePlannedDeletion")?.unwrap_or(false),
        by: [SortBy::Created, SortBy::Name, SortBy::Changed][by],
        descending: chosen("SortOrder", "sortOrder", &["asc", "desc"])? == 1,
        after: after(params)?,
        limit: limit(params, 100, 100)?,
    })
}

fn versions(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["SecretId", "MaxResults", "NextToken", "IncludeDeprecated"])?;
    let after = params.optional_text("NextToken")?.map(str::parse).transpose();
    Ok(Request::Versions {
        id: id(params)?,
        all: params.optional_bool("IncludeDeprecated")?.unwrap_or(false),
        after: after.map_err(|_| bad_token())?.unwrap_or(0),
        limit: limit(params, 100, 100)?,
    })
}

fn move_stage(params: Params<'_>) -> Result<Move, ApiError> {
    params.only(&["SecretId", "VersionStage", "RemoveFromVersionId", "MoveToVersionId"])?;
    let moved = Move {
        id: id(params)?,
        stage: label(Some(params.text("VersionStage")?), params)?,
        from: text(params, "RemoveFromVersionId", 64)?,
        to: text(params, "MoveToVersionId", 64)?,
    };
    if moved.from.is_none() && moved.to.is_none() {
        return Err(invalid("You must provide RemoveFromVersionId or MoveToVersionId."));
    }
    Ok(moved)
}

fn delete(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["SecretId", "RecoveryWindowInDays", "ForceDeleteWithoutRecovery"])?;
    let id = id(params)?;
    let days = params.optional_int("RecoveryWindowInDays")?;
    let days = match (days, params.optional_bool("ForceDeleteWithoutRecovery")?) {
        (Some(_), Some(true)) => {
            return Err(invalid(
                "You can't use ForceDeleteWithoutRecovery in conjunction with \
                                RecoveryWindowInDays.",
            ));
        }
        (None, Some(true)) => None,
        (days, _) => Some(days.unwrap_or(30)),
    };
    if days.is_some_and(|days| !(7..=30).contains(&days)) {
        return Err(invalid(
            "The RecoveryWindowInDays value must be between 7 and 30 days \
                            (inclusive).",
        ));
    }
    Ok(Request::Delete { id, days })
}
