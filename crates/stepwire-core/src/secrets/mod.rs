//! Secrets with their versions and staging labels: AWS Secrets Manager.
//!
//! What is known of a secret is in memory, its values are in the store alone. They are stored like
//! all other records, not encrypted: a secret is as secret as the data folder. Nothing here shows a
//! value but the answers to those who ask for it.
//!
//! Read in this order: [`Request`], [`Secret`], [`Write`], [`Secrets::call`]; then `view`.

mod filter;
mod password;
mod record;
mod request;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use filter::Filter;
pub use password::Password;
pub use record::{Secret, Value, Version};
pub use request::{Batch, Create, List, Move, Put, Request, Selected, SortBy, Update};
pub use view::answer;

use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::record::{Corrupt, Entry, Space};
use crate::settings::Settings;
use password::Lots;

/// Versions of a secret that are kept; beyond, those without a stage are removed.
const VERSIONS_MAX: usize = 100;
const TAGS_MAX: usize = 50;
const DAY_MS: i64 = 86_400_000;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The secrets of a shard, without their values.
#[derive(Debug, Default, PartialEq)]
pub struct Secrets {
    secrets: BTreeMap<Arc<str>, Arc<Secret>>,
    /// Derived from `secrets`: those that are to be removed, and when.
    deadlines: BTreeSet<(Timestamp, Arc<str>)>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A secret as it now is; `None`: there is none of this name.
    Secret(Arc<str>, Option<Arc<Secret>>),
    /// The value of a version of a secret; `None`: it is not kept any longer.
    Value(Arc<str>, Arc<str>, Option<Value>),
}

impl Write {
    /// The stored form.
    pub fn entry(&self) -> Entry {
        match self {
            Write::Secret(name, secret) => {
                (record::key(name), secret.as_deref().map(record::stored))
            }
            Write::Value(name, version, value) => {
                (record::value_key(name, version), value.as_ref().map(record::stored))
            }
        }
    }
}

/// What a request is carried out with.
struct At<'a> {
    now: Timestamp,
    /// Differs for requests of one point of time.
    salt: u64,
    settings: &'a Settings,
}

impl At<'_> {
    /// The id of a new version.
    fn version_id(&self, token: Option<&Arc<str>>) -> Arc<str> {
        let drawn = || {
            let parts = [self.now.0 as u64, self.salt];
            derived_uuid(&self.settings.secret, "secret version", &parts).into()
        };
        token.cloned().unwrap_or_else(drawn)
    }
}

impl Secrets {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::Secret];

    /// The only thing that changes secrets.
    pub fn apply(&mut self, write: &Write) {
        let Write::Secret(name, secret) = write else { return };
        if let Some(before) = self.secrets.remove(name)
            && let Some(due) = before.deleted
        {
            self.deadlines.remove(&(due, Arc::clone(name)));
        }
        if let Some(secret) = secret {
            self.deadlines.extend(secret.deleted.map(|due| (due, Arc::clone(name))));
            self.secrets.insert(Arc::clone(name), Arc::clone(secret));
        }
    }

    /// Takes in one stored entry of [`Secrets::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let secret: Secret = record::record(key, value)?;
        self.apply(&Write::Secret(Arc::clone(&secret.name), Some(Arc::new(secret))));
        Ok(())
    }

    /// When the next secret is removed for good.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Removes the secrets whose time has come.
    pub(crate) fn remove_overdue(&mut self, now: Timestamp, out: &mut Vec<Write>) {
        let due = self.deadlines.iter().take_while(|(due, _)| *due <= now);
        for name in due.map(|(_, name)| Arc::clone(name)).collect::<Vec<_>>() {
            self.remove(&name, out);
        }
    }

    /// Carries out a request that changes something. On `Err` nothing has changed. `salt` differs for
    /// requests of one point of time.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        salt: u64,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let at = At { now, salt, settings };
        match request {
            Request::Create(create) => self.create(create, &at, out),
            Request::Update(update) => self.update(update, &at, out),
            Request::Put(put) => self.put(put, &at, out),
            Request::MoveStage(moved) => self.move_stage(moved, &at, out),
            Request::Delete { id, days } => self.delete(id, *days, &at, out),
            Request::Restore(id) => {
                let mut secret = self.find(id, settings)?;
                secret.deleted = None;
                let shown = view::named(&secret, settings);
                self.record(secret, now, out);
                Ok(Json::object(shown))
            }
            Request::Password(password) => {
                Ok(password.answer(&mut Lots::new(settings, "password", now, salt)))
            }
            Request::Tag(id, tags) => self.retag(id, tags, &[], &at, out),
            Request::Untag(id, keys) => self.retag(id, &[], keys, &at, out),
            Request::Get(_)
            | Request::BatchGet(_)
            | Request::Describe(_)
            | Request::List(_)
            | Request::Versions { .. }
            | Request::Policy(_) => {
                Err(ApiError::new("InternalServiceError", "this request changes nothing"))
            }
        }
    }

    fn create(
        &mut self,
        create: &Create,
        at: &At<'_>,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name = &create.name;
        if let Some(there) = self.secrets.get(name) {
            if there.deleted.is_some() {
                let message = "You can't create this secret because a secret with this name is \
                               already scheduled for deletion.";
                return Err(ApiError::new("InvalidRequestException", message));
            }
            // The same request, made again by a client that has not heard the answer.
            let version = create.token.as_ref().and_then(|token| there.version(token));
            let same = version
                .zip(create.value.as_ref())
                .filter(|(version, value)| version.digest == value.digest(at.settings));
            let Some((version, _)) = same else {
                let message =
                    format!("The operation failed because the secret {name} already exists.");
                return Err(ApiError::new("ResourceExistsException", message));
            };
            let shown = view::named(there, at.settings);
            let version = ("VersionId", Json::String(Arc::clone(&version.id)));
            return Ok(Json::object(shown.into_iter().chain([version])));
        }
        let mut lots = Lots::new(at.settings, &format!("secret {name}"), at.now, at.salt);
        let mut secret = Secret {
            name: Arc::clone(name),
            suffix: lots.suffix().into(),
            description: create.description.clone().filter(|text| !text.is_empty()),
            key_id: create.key_id.clone(),
            tags: create.tags.clone(),
            created: at.now,
            changed: at.now,
            deleted: None,
            versions: Vec::new(),
        };
        bounded(&secret)?;
        let mut shown = Vec::from(view::named(&secret, at.settings));
        if let Some(value) = &create.value {
            let id = at.version_id(create.token.as_ref());
            add_version(&mut secret, &id, value, &[CURRENT.into()], at, out)?;
            shown.push(("VersionId", Json::String(id)));
        }
        self.record(secret, at.now, out);
        Ok(Json::object(shown))
    }

    fn update(
        &mut self,
        update: &Update,
        at: &At<'_>,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let mut secret = self.live(&update.id, at.settings)?;
        if let Some(description) = &update.description {
            secret.description = Some(Arc::clone(description)).filter(|text| !text.is_empty());
        }
        if let Some(key_id) = &update.key_id {
            secret.key_id = Some(Arc::clone(key_id));
        }
        let mut shown = Vec::from(view::named(&secret, at.settings));
        if let Some(value) = &update.value {
            let id = at.version_id(update.token.as_ref());
            add_version(&mut secret, &id, value, &[CURRENT.into()], at, out)?;
            shown.push(("VersionId", Json::String(id)));
        }
        self.record(secret, at.now, out);
        Ok(Json::object(shown))
    }

    fn put(&mut self, put: &Put, at: &At<'_>, out: &mut Vec<Write>) -> Result<Json, ApiError> {
        let mut secret = self.live(&put.id, at.settings)?;
        let id = at.version_id(put.token.as_ref());
        let mut stages = put.stages.clone();
        // The first version is the current one whatever else it is.
        if secret.versions.is_empty() && !stages.iter().any(|stage| &**stage == CURRENT) {
            stages.push(CURRENT.into());
        }
        add_version(&mut secret, &id, &put.value, &stages, at, out)?;
        let own = secret.version(&id).map(|version| version.stages.clone()).unwrap_or_default();
        let shown = view::named(&secret, at.settings).into_iter().chain([
            ("VersionId", Json::String(id)),
            ("VersionStages", Json::array(own.into_iter().map(Json::String))),
        ]);
        let shown = Json::object(shown);
        self.record(secret, at.now, out);
        Ok(shown)
    }

    fn move_stage(
        &mut self,
        moved: &Move,
        at: &At<'_>,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let mut secret = self.live(&moved.id, at.settings)?;
        for id in [&moved.from, &moved.to].into_iter().flatten() {
            if secret.version(id).is_none() {
                let message = "Secrets Manager can't find the specified secret version.";
                return Err(ApiError::new("ResourceNotFoundException", message));
            }
        }
        let stage = &moved.stage;
        let invalid = |message: String| Err(ApiError::new("InvalidParameterException", message));
        let holder = secret.at_stage(stage).map(|version| Arc::clone(&version.id));
        match (&holder, &moved.from) {
            (Some(holder), from)
                if from.as_ref() != Some(holder) && moved.to.as_ref() != Some(holder) =>
            {
                return invalid(format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is \
                     currently attached to version {holder}, so you must explicitly reference that \
                     version in RemoveFromVersionId."
                ));
            }
            (None, Some(from)) => {
                return invalid(format!(
                    "Staging label {stage} is not attached to version {from}."
                ));
            }
            (Some(_), _) | (None, None) => {}
        }
        match &moved.to {
            None if &**stage == CURRENT => {
                return invalid(format!(
                    "You can only move staging label {CURRENT} to a different secret version. It \
                     can't be completely removed."
                ));
            }
            None => take_stage(&mut secret, stage),
            Some(to) => give_stages(&mut secret, to, &[Arc::clone(stage)]),
        }
        let shown = view::named(&secret, at.settings);
        self.record(secret, at.now, out);
        Ok(Json::object(shown))
    }

    fn delete(
        &mut self,
        id: &Arc<str>,
        days: Option<i64>,
        at: &At<'_>,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let date = |at: Timestamp| ("DeletionDate", view::seconds(at));
        match days {
            None => {
                let secret = self.find(id, at.settings).ok();
                let shown = match &secret {
                    Some(secret) => view::named(secret, at.settings),
                    // What is not there is gone: AWS says so, too.
                    None => view::named_so(id, at.settings),
                };
                if let Some(secret) = secret {
                    self.remove(&secret.name, out);
                }
                Ok(Json::object(shown.into_iter().chain([date(at.now)])))
            }
            Some(days) => {
                let mut secret = self.live(id, at.settings)?;
                let due = at.now.plus_ms(days * DAY_MS);
                secret.deleted = Some(due);
                let shown = view::named(&secret, at.settings);
                self.record(secret, at.now, out);
                Ok(Json::object(shown.into_iter().chain([date(due)])))
            }
        }
    }

    fn retag(
        &mut self,
        id: &str,
        set: &[(Arc<str>, Arc<str>)],
        removed: &[Arc<str>],
        at: &At<'_>,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let mut secret = self.live(id, at.settings)?;
        let tags = &mut secret.tags;
        tags.retain(|(key, _)| !removed.contains(key) && !set.iter().any(|(new, _)| new == key));
        tags.extend(set.iter().cloned());
        bounded(&secret)?;
        self.record(secret, at.now, out);
        Ok(Json::Object(Arc::default()))
    }

    /// A secret, whether it is to be removed or not.
    fn find(&self, id: &str, settings: &Settings) -> Result<Secret, ApiError> {
        let by_name = |name: &str| Ok(self.secrets.get(name).map(|secret| Secret::clone(secret)));
        view::find(id, settings, by_name)
    }

    /// A secret that is not to be removed.
    fn live(&self, id: &str, settings: &Settings) -> Result<Secret, ApiError> {
        self.find(id, settings).and_then(view::live)
    }

    fn record(&mut self, mut secret: Secret, now: Timestamp, out: &mut Vec<Write>) {
        secret.changed = now;
        let write = Write::Secret(Arc::clone(&secret.name), Some(Arc::new(secret)));
        self.apply(&write);
        out.push(write);
    }

    fn remove(&mut self, name: &Arc<str>, out: &mut Vec<Write>) {
        let Some(secret) = self.secrets.get(name) else { return };
        let values = secret.versions.iter();
        out.extend(values.map(|v| Write::Value(Arc::clone(name), Arc::clone(&v.id), None)));
        let write = Write::Secret(Arc::clone(name), None);
        self.apply(&write);
        out.push(write);
    }
}

/// Adds a version, unless it is there with this value. Nothing is written when it is refused.
fn add_version(
    secret: &mut Secret,
    id: &Arc<str>,
    value: &Value,
    stages: &[Arc<str>],
    at: &At<'_>,
    out: &mut Vec<Write>,
) -> Result<(), ApiError> {
    let digest = value.digest(at.settings);
    if let Some(there) = secret.version(id) {
        if there.digest == digest {
            return Ok(());
        }
        let message = format!(
            "You can't use ClientRequestToken {id} because that value is already in use for a \
             version of secret {}.",
            secret.arn(at.settings)
        );
        return Err(ApiError::new("ResourceExistsException", message));
    }
    let name = &secret.name;
    if secret.versions.len() >= VERSIONS_MAX {
        let oldest = secret.versions.iter().position(|version| version.stages.is_empty());
        let Some(oldest) = oldest else {
            let message = format!("A secret has at most {VERSIONS_MAX} versions with a stage.");
            return Err(ApiError::new("LimitExceededException", message));
        };
        let gone = secret.versions.remove(oldest);
        out.push(Write::Value(Arc::clone(name), gone.id, None));
    }
    out.push(Write::Value(Arc::clone(name), Arc::clone(id), Some(value.clone())));
    let version = Version { id: Arc::clone(id), created: at.now, stages: Vec::new(), digest };
    secret.versions.push(version);
    give_stages(secret, id, stages);
    Ok(())
}

/// Moves stages to a version. Where `AWSCURRENT` was is then `AWSPREVIOUS`.
fn give_stages(secret: &mut Secret, id: &Arc<str>, stages: &[Arc<str>]) {
    for stage in stages {
        let before = secret.at_stage(stage).map(|version| Arc::clone(&version.id));
        if before.as_ref() == Some(id) {
            continue;
        }
        give_stage(secret, id, stage);
        if let Some(before) = before.filter(|_| &**stage == CURRENT) {
            give_stage(secret, &before, PREVIOUS);
        }
    }
}

fn give_stage(secret: &mut Secret, id: &Arc<str>, stage: &str) {
    take_stage(secret, stage);
    let version = secret.versions.iter_mut().find(|version| version.id == *id);
    version.into_iter().for_each(|version| version.stages.push(stage.into()));
}

fn take_stage(secret: &mut Secret, stage: &str) {
    for version in &mut secret.versions {
        version.stages.retain(|own| &**own != stage);
    }
}

fn bounded(secret: &Secret) -> Result<(), ApiError> {
    if secret.tags.len() <= TAGS_MAX {
        return Ok(());
    }
    let message = format!("A secret has at most {TAGS_MAX} tags.");
    Err(ApiError::new("InvalidParameterException", message))
}
