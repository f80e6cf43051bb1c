//! Requests beyond functions themselves that change something.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};

use super::view::{self, configuration};
use super::{
    AliasChange, AliasRecord, AsyncConfig, CodeRecord, FunctionName, FunctionRecord, Functions,
    LayerRecord, Request, SourceChange, SourceRecord, Write,
};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::read::Read;
use crate::settings::Settings;

/// Key of the settings that are for `$LATEST` and a call without a qualifier.
const LATEST: &str = "$LATEST";

fn nothing() -> Json {
    Json::Object(Arc::default())
}

fn not_found(message: String) -> ApiError {
    ApiError::new("ResourceNotFoundException", message)
}

impl Functions {
    pub(super) fn call_further(
        &mut self,
        now: Timestamp,
        request: &Request,
        read: &dyn Read,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::PublishVersion { function, description, sha256, revision } => {
                let record = self.unchanged(function, revision.as_deref(), settings)?;
                let found = STANDARD.encode(record.code.sha256);
                if sha256.as_ref().is_some_and(|sha256| **sha256 != *found) {
                    let message = format!(
                        "CodeSHA256 ({}) is different from current CodeSHA256 in $LATEST ({found}). \
                         Please try again with the CodeSHA256 in $LATEST.",
                        sha256.as_deref().unwrap_or_default()
                    );
                    return Err(ApiError::new("InvalidParameterValueException", message));
                }
                self.publish_version(now, function, description.as_ref(), settings, writes)
            }
            Request::CreateAlias(change) => self.create_alias(change, settings, writes),
            Request::UpdateAlias(change) => self.update_alias(change, settings, writes),
            Request::DeleteAlias(function, name) => {
                let function = Arc::clone(&self.find(function, settings)?.name);
                if self.aliases.contains_key(&(Arc::clone(&function), Arc::clone(name))) {
                    self.drop_provisioned(&function, Some(name), writes);
                    self.record(Write::Alias(function, Arc::clone(name), None), writes);
                }
                Ok(nothing())
            }
            Request::PublishLayer { name, code, shown } => {
                let (code, archive) = self.take_code(code, read, settings)?;
                if archive.is_none() {
                    let message = "a layer cannot be a folder of the node";
                    return Err(ApiError::new("InvalidParameterValueException", message));
                }
                self.store_code(&code, archive.as_deref(), writes);
                Ok(self.publish_layer(now, name, code, shown, settings, writes))
            }
            Request::DeleteLayer(name, version) => {
                let removed = self.layers.get(&(Arc::clone(name), *version)).cloned();
                if let Some(layer) = removed {
                    self.record(Write::Layer(Arc::clone(name), *version, None), writes);
                    self.drop_code(&layer.code, writes);
                }
                Ok(nothing())
            }
            Request::Reserve(function, reserved) => {
                let record = self.find(function, settings)?.as_ref().clone();
                self.set(FunctionRecord { reserved: *reserved, ..record }, writes);
                Ok(view::reserved(*reserved))
            }
            Request::Provision(function, processes) => {
                self.provision(now, function, *processes, settings, writes)
            }
            Request::Unprovision(function) => {
                self.unprovision(function, settings, writes)?;
                Ok(nothing())
            }
            Request::SetAsync { function, config, merges } => {
                self.set_async(now, function, config, *merges, settings, writes)
            }
            Request::DeleteAsync(function) => {
                let mut record = self.find(function, settings)?.as_ref().clone();
                if record.asynchronous.remove(&qualifier(function)).is_none() {
                    return Err(view::no_async(function, settings));
                }
                self.set(record, writes);
                Ok(nothing())
            }
            Request::CreateSource(change) => self.create_source(now, change, settings, writes),
            Request::UpdateSource(uuid, change) => {
                let before = self.source(uuid)?;
                let after = self.changed_source(now, before.as_ref().clone(), change, settings)?;
                let answer = view::source(&after, "Updating", settings);
                self.record(Write::Source(after.number, Some(Arc::new(after))), writes);
                Ok(answer)
            }
            Request::DeleteSource(uuid) => {
                let source = self.source(uuid)?;
                self.record(Write::Source(source.number, None), writes);
                Ok(view::source(&source, "Deleting", settings))
            }
            Request::Tag(function, tags) => {
                let record = self.find(function, settings)?.as_ref().clone();
                let mut all = tags_of(&record);
                all.extend(tags.iter().map(|(key, value)| (Arc::clone(key), value.clone())));
                self.set_tags(record, all, writes);
                Ok(nothing())
            }
            Request::Untag(function, keys) => {
                let record = self.find(function, settings)?.as_ref().clone();
                let mut all = tags_of(&record);
                all.retain(|key, _| !keys.contains(key));
                self.set_tags(record, all, writes);
                Ok(nothing())
            }
            _ => Err(ApiError::new("ServiceException", "this request is not of this kind")),
        }
    }

    fn set(&mut self, record: FunctionRecord, writes: &mut Vec<Write>) {
        self.record(Write::Function(Arc::clone(&record.name), Some(Arc::new(record))), writes);
    }

    fn set_tags(&mut self, record: FunctionRecord, tags: Object, writes: &mut Vec<Write>) {
        let mut shown: Object = record.shown.as_object().cloned().unwrap_or_default();
        shown.insert("Tags".into(), Json::Object(Arc::new(tags)));
        self.set(FunctionRecord { shown: Json::Object(Arc::new(shown)), ..record }, writes);
    }

    /// Deletes a function with its versions and aliases, or the version that is named.
    pub(super) fn delete(
        &mut self,
        function: &FunctionName,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let record = Arc::clone(self.find(function, settings)?);
        let name = &record.name;
        if let Some(qualifier) = function.qualifier.as_deref() {
            if qualifier == LATEST {
                let message = "$LATEST version cannot be deleted without deleting the function.";
                return Err(ApiError::new("InvalidParameterValueException", message));
            }
            let version: u64 = qualifier.parse().map_err(|_| function.not_found(settings))?;
            let used = self.aliases.values().find(|alias| {
                alias.function == *name
                    && (alias.version == version || alias.other.is_some_and(|(v, _)| v == version))
            });
            if let Some(alias) = used {
                let message = format!(
                    "Version {version} is referenced by the alias `{}` and cannot be deleted.",
                    alias.name
                );
                return Err(ApiError::new("ResourceConflictException", message));
            }
            let found = self.versions.get(&(Arc::clone(name), version)).cloned();
            let found = found.ok_or_else(|| function.not_found(settings))?;
            self.drop_provisioned(name, Some(qualifier), writes);
            self.record(Write::Version(Arc::clone(name), version, None), writes);
            self.drop_archives(&found, writes);
            return Ok(());
        }
        let of = |owner: &Arc<str>| owner == name;
        let versions: Vec<_> = self.versions.values().filter(|v| of(&v.name)).cloned().collect();
        let aliases: Vec<_> = self.aliases.values().filter(|a| of(&a.function)).cloned().collect();
        self.drop_provisioned(name, None, writes);
        for alias in aliases {
            self.record(Write::Alias(Arc::clone(name), Arc::clone(&alias.name), None), writes);
        }
        for version in &versions {
            self.record(Write::Version(Arc::clone(name), version.version, None), writes);
        }
        self.record(Write::Function(Arc::clone(name), None), writes);
        for record in versions.iter().chain([&record]) {
            self.drop_archives(record, writes);
        }
        Ok(())
    }

    /// Keeps the function as it is now as a version, unless the last one is the same.
    pub(super) fn publish_version(
        &mut self,
        now: Timestamp,
        function: &FunctionName,
        description: Option<&Arc<str>>,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let latest = self.find(function, settings)?.as_ref().clone();
        let shown = |record: &FunctionRecord| {
            let name = FunctionName::of(&record.name).qualified(Some(&record.version_text()));
            configuration(record, &name, settings)
        };
        let last = self.versions.get(&(Arc::clone(&latest.name), latest.published));
        if let Some(last) = last
            && is_same(last, &latest)
        {
            return Ok(shown(last));
        }
        let number = latest.published + 1;
        let version = FunctionRecord {
            version: number,
            published: 0,
            description: description.unwrap_or(&latest.description).clone(),
            permissions: BTreeMap::default(),
            reserved: None,
            asynchronous: BTreeMap::default(),
            modified: now,
            ..latest.clone()
        };
        let answer = shown(&version);
        let name = Arc::clone(&latest.name);
        self.record(Write::Version(name, number, Some(Arc::new(version))), writes);
        self.set(FunctionRecord { published: number, ..latest }, writes);
        Ok(answer)
    }

    fn has_version(&self, function: &Arc<str>, version: u64) -> bool {
        version == 0 || self.versions.contains_key(&(Arc::clone(function), version))
    }

    fn set_alias(
        &mut self,
        alias: AliasRecord,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let other = alias.other.map(|(version, _)| version);
        for version in [Some(alias.version), other].into_iter().flatten() {
            if !self.has_version(&alias.function, version) {
                let named = FunctionName::of(&alias.function).qualified(Some(&version.to_string()));
                return Err(named.not_found(settings));
            }
        }
        if alias.other.is_some() && (alias.version == 0 || other == Some(0)) {
            let message = "$LATEST is not supported for an alias pointing to more than 1 version.";
            return Err(ApiError::new("InvalidParameterValueException", message));
        }
        let answer = view::alias(&alias, settings);
        let (function, name) = (Arc::clone(&alias.function), Arc::clone(&alias.name));
        self.record(Write::Alias(function, name, Some(Arc::new(alias))), writes);
        Ok(answer)
    }

    fn create_alias(
        &mut self,
        change: &AliasChange,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let function = Arc::clone(&self.find(&change.function, settings)?.name);
        let key = (Arc::clone(&function), Arc::clone(&change.name));
        if let Some(there) = self.aliases.get(&key) {
            let message = format!("Alias already exists: {}", view::alias_arn(there, settings));
            return Err(ApiError::new("ResourceConflictException", message));
        }
        let missing = || {
            let message = crate::params::broken("functionVersion", None, "Member must not be null");
            ApiError::new("ValidationException", message)
        };
        let alias = AliasRecord {
            function,
            name: Arc::clone(&change.name),
            version: change.version.ok_or_else(missing)?,
            description: change.description.clone().unwrap_or_else(|| "".into()),
            other: change.other.flatten(),
            revision: self.next,
        };
        self.set_alias(alias, settings, writes)
    }

    fn update_alias(
        &mut self,
        change: &AliasChange,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let function = Arc::clone(&self.find(&change.function, settings)?.name);
        let key = (Arc::clone(&function), Arc::clone(&change.name));
        let missing = || view::no_alias(&function, &change.name, settings);
        let before = self.aliases.get(&key).ok_or_else(missing)?.as_ref().clone();
        let id = view::alias_revision(&before, settings);
        if change.revision.as_ref().is_some_and(|revision| **revision != *id) {
            let message = "The Revision Id provided does not match the latest Revision Id. Call \
                           the GetFunction/GetAlias API to retrieve the latest Revision Id";
            return Err(ApiError::new("PreconditionFailedException", message));
        }
        let alias = AliasRecord {
            version: change.version.unwrap_or(before.version),
            description: change.description.clone().unwrap_or_else(|| before.description.clone()),
            other: change.other.unwrap_or(before.other),
            revision: before.revision + 1,
            ..before
        };
        self.set_alias(alias, settings, writes)
    }

    fn publish_layer(
        &mut self,
        now: Timestamp,
        name: &Arc<str>,
        code: CodeRecord,
        shown: &Object,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Json {
        let version = self.layer_versions.get(name).copied().unwrap_or(0) + 1;
        let layer = LayerRecord {
            name: Arc::clone(name),
            version,
            code,
            created: now,
            shown: Json::Object(Arc::new(shown.clone())),
        };
        let answer = view::layer(&layer, settings);
        self.record(Write::LayerVersions(Arc::clone(name), version), writes);
        self.record(Write::Layer(Arc::clone(name), version, Some(Arc::new(layer))), writes);
        answer
    }

    fn set_async(
        &mut self,
        now: Timestamp,
        function: &FunctionName,
        config: &AsyncConfig,
        merges: bool,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        self.find_version(function, settings)?;
        let mut record = self.find(function, settings)?.as_ref().clone();
        let before = record.asynchronous.get(&qualifier(function)).cloned();
        if merges && before.is_none() {
            return Err(view::no_async(function, settings));
        }
        let kept = before.filter(|_| merges).unwrap_or_default();
        let config = AsyncConfig {
            retries: config.retries.or(kept.retries),
            age_s: config.age_s.or(kept.age_s),
            on_success: config.on_success.clone().or(kept.on_success),
            on_failure: config.on_failure.clone().or(kept.on_failure),
            modified: now,
        };
        let answer = view::async_config(&record.name, &qualifier(function), &config, settings);
        record.asynchronous.insert(qualifier(function), config);
        self.set(record, writes);
        Ok(answer)
    }

    fn source(&self, uuid: &str) -> Result<Arc<SourceRecord>, ApiError> {
        let found = self.sources.values().find(|source| *source.uuid == *uuid);
        let missing = || not_found("The resource you requested does not exist.".to_owned());
        found.cloned().ok_or_else(missing)
    }

    fn create_source(
        &mut self,
        now: Timestamp,
        change: &SourceChange,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let number = self.next;
        let source = SourceRecord {
            number,
            uuid: derived_uuid(&settings.secret, "event source", &[number]).into(),
            queue: change.queue.clone().unwrap_or_else(|| "".into()),
            function: "".into(),
            qualifier: None,
            batch: 10,
            window_s: 0,
            enabled: true,
            reports_failures: false,
            concurrency: None,
            modified: now,
            shown: nothing(),
        };
        let source = self.changed_source(now, source, change, settings)?;
        let twin = self.sources.values().find(|there| {
            there.queue == source.queue
                && there.function == source.function
                && there.qualifier == source.qualifier
        });
        if let Some(twin) = twin {
            let message = format!(
                "An event source mapping with SQS arn (\" {} \") and function (\" {} \") already \
                 exists. Please update or delete the existing mapping with UUID {}",
                source.queue, source.function, twin.uuid
            );
            return Err(ApiError::new("ResourceConflictException", message));
        }
        let answer = view::source(&source, "Creating", settings);
        self.record(Write::Source(number, Some(Arc::new(source))), writes);
        Ok(answer)
    }

    fn changed_source(
        &self,
        now: Timestamp,
        source: SourceRecord,
        change: &SourceChange,
        settings: &Settings,
    ) -> Result<SourceRecord, ApiError> {
        let (function, qualifier) = match &change.function {
            Some(name) => {
                let found = self.find_version(name, settings)?;
                (Arc::clone(&found.name), name.qualifier.clone())
            }
            None => (source.function, source.qualifier),
        };
        Ok(SourceRecord {
            function,
            qualifier,
            batch: change.batch.unwrap_or(source.batch),
            window_s: change.window_s.unwrap_or(source.window_s),
            enabled: change.enabled.unwrap_or(source.enabled),
            reports_failures: change.reports_failures.unwrap_or(source.reports_failures),
            concurrency: change.concurrency.unwrap_or(source.concurrency),
            shown: change.filters.as_ref().map_or(source.shown, |all| super::source::criteria(all)),
            modified: now,
            ..source
        })
    }
}

/// What a configuration of asynchronous invocation is kept under.
pub(super) fn qualifier(function: &FunctionName) -> Arc<str> {
    function.qualifier.clone().unwrap_or_else(|| LATEST.into())
}

pub(super) fn tags_of(record: &FunctionRecord) -> Object {
    record.shown.member("Tags").and_then(Json::as_object).cloned().unwrap_or_default()
}

/// Whether a version is what the function is now.
fn is_same(version: &FunctionRecord, latest: &FunctionRecord) -> bool {
    version.code.sha256 == latest.code.sha256
        && version.runtime == latest.runtime
        && version.handler == latest.handler
        && version.role == latest.role
        && version.timeout_s == latest.timeout_s
        && version.memory_mb == latest.memory_mb
        && version.environment == latest.environment
        && version.layers == latest.layers
        && version.dead_letter == latest.dead_letter
}
