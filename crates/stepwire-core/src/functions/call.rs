//! Lambda requests that change something, and the life of an invocation that nobody waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};

use super::further::layer_of_arn;
use super::record::CHUNK_BYTES;
use super::view::{configuration, revision_id};
use super::{
    Code, CodeRecord, Configuration, Create, FunctionName, FunctionRecord, Functions, LayerUse,
    Permission, Request, Write,
};
use crate::error::ApiError;
use crate::objects;
use crate::read::Read;
use crate::settings::Settings;

/// Largest archive that is taken from an object, bytes.
const ARCHIVE_BYTES_MAX: u64 = 128 << 20;

/// Code that is to be, and its bytes unless it runs where it is.
pub(super) type Taken = (CodeRecord, Option<Arc<[u8]>>);

impl Functions {
    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        read: &dyn Read,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create(create) => self.create(now, create, read, settings, writes),
            Request::UpdateCode { function, code, revision, dry_run, publish } => {
                let before = self.unchanged(function, revision.as_deref(), settings)?;
                let (code, archive) = self.take_code(code, read, settings)?;
                let after = FunctionRecord {
                    code: code.clone(),
                    revision: before.revision + 1,
                    modified: now,
                    ..before.as_ref().clone()
                };
                let answer = configuration(&after, function, settings);
                if *dry_run {
                    return Ok(answer);
                }
                self.store_code(&code, archive.as_deref(), writes);
                let name = Arc::clone(&after.name);
                self.record(Write::Function(name, Some(after.into())), writes);
                self.drop_archives(&before, writes);
                if *publish {
                    return self.publish_version(now, function, None, settings, writes);
                }
                Ok(answer)
            }
            Request::UpdateConfiguration { function, configuration: change, revision } => {
                let before = self.unchanged(function, revision.as_deref(), settings)?;
                let mut after = changed(before.as_ref().clone(), change, now);
                if let Some(layers) = &change.layers {
                    after.layers = self.layers_of(layers, settings)?;
                }
                let answer = configuration(&after, function, settings);
                self.record(Write::Function(Arc::clone(&after.name), Some(after.into())), writes);
                self.drop_archives(&before, writes);
                Ok(answer)
            }
            Request::Delete(function) => {
                self.delete(function, settings, writes)?;
                Ok(Json::Object(Arc::default()))
            }
            Request::AddPermission { function, permission } => {
                self.permit(function, permission, settings, writes)
            }
            Request::RemovePermission { function, id } => {
                let mut record = self.find(function, settings)?.as_ref().clone();
                if record.permissions.remove(id).is_none() {
                    let message = format!("Statement {id} is not found in resource policy.");
                    return Err(ApiError::new("ResourceNotFoundException", message));
                }
                self.record(Write::Function(Arc::clone(&record.name), Some(record.into())), writes);
                Ok(Json::Object(Arc::default()))
            }
            Request::Enqueue { function, payload, request_id } => {
                let (payload, id) = (Arc::clone(payload), request_id.clone());
                self.enqueue_as(id, now, function, payload, settings, writes)?;
                Ok(Json::object([("StatusCode", Json::from(202)), ("Payload", "".into())]))
            }
            request if request.is_read() => {
                Err(ApiError::new("ServiceException", "this request only reads"))
            }
            request => self.call_further(now, request, read, settings, writes),
        }
    }

    /// Reads what [`Functions::call`] will want.
    pub(crate) fn prefetch(request: &Request, read: &dyn Read) {
        let code = match request {
            Request::Create(create) => &create.code,
            Request::UpdateCode { code, .. } | Request::PublishLayer { code, .. } => code,
            _ => return,
        };
        if let Code::Object { bucket, key } = code {
            let _ = objects::has_bucket(bucket, read);
            // All pieces are asked for at once.
            let found = objects::find(bucket, key, read).ok().flatten();
            if let Some(object) = found.filter(|object| object.size() <= ARCHIVE_BYTES_MAX) {
                for slice in object.slices(0..object.size()) {
                    let _ = slice.read(read);
                }
            }
        }
    }

    fn create(
        &mut self,
        now: Timestamp,
        create: &Create,
        read: &dyn Read,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name = &create.function.name;
        if !create.function.is_here(settings) || !create.function.is_latest() {
            let message = format!("`{}` cannot be created here", create.function.arn(settings));
            return Err(ApiError::new("InvalidParameterValueException", message));
        }
        if self.by_name.contains_key(name) {
            let message = format!("Function already exist: {name}");
            return Err(ApiError::new("ResourceConflictException", message));
        }
        let (code, archive) = self.take_code(&create.code, read, settings)?;
        let empty = FunctionRecord {
            number: code.number + 1,
            name: Arc::clone(name),
            revision: 0,
            code: code.clone(),
            runtime: "".into(),
            handler: "".into(),
            role: "".into(),
            description: "".into(),
            timeout_s: 3,
            memory_mb: 128,
            environment: BTreeMap::new(),
            modified: now,
            shown: Json::Object(Arc::default()),
            permissions: BTreeMap::new(),
            version: 0,
            published: 0,
            layers: Vec::new(),
            dead_letter: None,
            reserved: None,
            asynchronous: BTreeMap::new(),
        };
        let mut record = changed(empty, &create.configuration, now);
        if let Some(layers) = &create.configuration.layers {
            record.layers = self.layers_of(layers, settings)?;
        }
        let answer = configuration(&record, &create.function, settings);
        self.store_code(&code, archive.as_deref(), writes);
        self.record(Write::Function(Arc::clone(name), Some(record.into())), writes);
        if create.publish {
            let made = self.publish_version(now, &create.function, None, settings, writes)?;
            return Ok(made);
        }
        Ok(answer)
    }

    /// The function, if it still has the revision that the caller saw.
    pub(super) fn unchanged(
        &self,
        function: &FunctionName,
        revision: Option<&str>,
        settings: &Settings,
    ) -> Result<Arc<FunctionRecord>, ApiError> {
        if !function.is_latest() {
            return Err(function.not_found(settings));
        }
        let record = self.find(function, settings)?;
        if revision.is_some_and(|revision| revision != revision_id(record, settings)) {
            let message = "The Revision Id provided does not match the latest Revision Id. Call \
                           the GetFunction/GetAlias API to retrieve the latest Revision Id";
            return Err(ApiError::new("PreconditionFailedException", message));
        }
        Ok(Arc::clone(record))
    }

    fn permit(
        &mut self,
        function: &FunctionName,
        permission: &Permission,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let mut record = self.find(function, settings)?.as_ref().clone();
        let id = &permission.id;
        if record.permissions.contains_key(id) {
            let message = format!(
                "The statement id ({id}) provided already exists. Please provide a new statement \
                 id, or remove the existing statement."
            );
            return Err(ApiError::new("ResourceConflictException", message));
        }
        let statement = statement(permission, &function.arn(settings));
        record.permissions.insert(Arc::clone(id), statement.clone());
        record.revision += 1;
        self.record(Write::Function(Arc::clone(&record.name), Some(record.into())), writes);
        Ok(Json::object([("Statement", Json::from(statement.to_text()))]))
    }

    /// The code that a request names.
    pub(super) fn take_code(
        &self,
        code: &Code,
        read: &dyn Read,
        settings: &Settings,
    ) -> Result<Taken, ApiError> {
        let taken = |archive: Arc<[u8]>| {
            let sha256 = Sha256::digest(&archive).into();
            let bytes = archive.len() as u64;
            (CodeRecord { number: self.next, bytes, sha256, folder: None }, Some(archive))
        };
        let (bucket, key) = match code {
            Code::Archive(archive) => return Ok(taken(Arc::clone(archive))),
            Code::Object { bucket, key } => (bucket, key),
        };
        let refused = |code: &str, message: &str| {
            let message = format!(
                "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
            );
            ApiError::new("InvalidParameterValueException", message)
        };
        if !objects::has_bucket(bucket, read) {
            if settings.code_folders.contains(bucket) {
                let place = format!("{bucket}/{}", key.trim_matches('/'));
                let sha256 = Sha256::digest(place.as_bytes()).into();
                let folder = Some(place.into());
                return Ok((CodeRecord { number: self.next, bytes: 0, sha256, folder }, None));
            }
            return Err(refused("NoSuchBucket", "The specified bucket does not exist"));
        }
        let found = objects::find(bucket, key, read);
        let found = found.map_err(|corrupt| refused("InternalError", &corrupt.to_string()))?;
        if found.is_none() {
            return Err(refused("NoSuchKey", "The specified key does not exist."));
        }
        let archive = objects::bytes(bucket, key, ARCHIVE_BYTES_MAX, read);
        Ok(taken(archive.map_err(|why| refused("InvalidObject", &why))?.into()))
    }

    pub(super) fn store_code(
        &mut self,
        code: &CodeRecord,
        archive: Option<&[u8]>,
        writes: &mut Vec<Write>,
    ) {
        let Some(archive) = archive else { return };
        for (chunk, bytes) in (0_u32..).zip(archive.chunks(CHUNK_BYTES)) {
            let bytes = Some(Arc::from(bytes));
            self.record(Write::Code { number: code.number, chunk, bytes }, writes);
        }
    }

    /// Removes the archives that `record` used, if nothing needs them any more.
    pub(super) fn drop_archives(&mut self, record: &FunctionRecord, writes: &mut Vec<Write>) {
        self.drop_code(&record.code, writes);
        for layer in &record.layers {
            self.drop_code(&layer.code, writes);
        }
    }

    /// Removes an archive, if nothing needs it any more.
    pub(super) fn drop_code(&mut self, code: &CodeRecord, writes: &mut Vec<Write>) {
        if self.is_used(code.number) {
            return;
        }
        for chunk in 0..code.chunks() {
            self.record(Write::Code { number: code.number, chunk, bytes: None }, writes);
        }
    }

    /// The layers that these ARNs name.
    fn layers_of(&self, arns: &[Arc<str>], settings: &Settings) -> Result<Vec<LayerUse>, ApiError> {
        let own = settings.arn("lambda", "layer:");
        let each = |arn: &Arc<str>| {
            let found = layer_of_arn(arn).filter(|_| arn.starts_with(&own));
            let found = found.and_then(|(name, version)| self.layers.get(&(name, version)));
            let missing = || {
                let message = format!(
                    "Layer version {arn} does not exist. (Layers of other accounts cannot be fetched: \
                     publish the layer here.)"
                );
                ApiError::new("InvalidParameterValueException", message)
            };
            let layer = found.ok_or_else(missing)?;
            Ok(LayerUse { arn: Arc::clone(arn), code: layer.code.clone() })
        };
        arns.iter().map(each).collect()
    }

    pub(super) fn record(&mut self, write: Write, writes: &mut Vec<Write>) {
        self.apply(&write);
        writes.push(write);
    }
}

/// `record` with what `change` gives.
fn changed(record: FunctionRecord, change: &Configuration, now: Timestamp) -> FunctionRecord {
    let given = |given: &Option<Arc<str>>, kept: Arc<str>| given.clone().unwrap_or(kept);
    let mut shown: Object = record.shown.as_object().cloned().unwrap_or_default();
    shown.extend(change.shown.iter().map(|(name, value)| (Arc::clone(name), value.clone())));
    FunctionRecord {
        revision: record.revision + 1,
        runtime: given(&change.runtime, record.runtime),
        handler: given(&change.handler, record.handler),
        role: given(&change.role, record.role),
        description: given(&change.description, record.description),
        timeout_s: change.timeout_s.unwrap_or(record.timeout_s),
        memory_mb: change.memory_mb.unwrap_or(record.memory_mb),
        environment: change.environment.clone().unwrap_or(record.environment),
        dead_letter: change.dead_letter.clone().unwrap_or(record.dead_letter),
        modified: now,
        shown: Json::Object(Arc::new(shown)),
        ..record
    }
}

fn statement(permission: &Permission, arn: &str) -> Json {
    let principal = if permission.principal.contains(".amazonaws.com") {
        Json::object([("Service", Json::String(Arc::clone(&permission.principal)))])
    } else if permission.principal.bytes().all(|byte| byte.is_ascii_digit()) {
        let root = format!("arn:aws:iam::{}:root", permission.principal);
        Json::object([("AWS", Json::from(root))])
    } else {
        Json::String(Arc::clone(&permission.principal))
    };
    let mut members = vec![
        ("Sid", Json::String(Arc::clone(&permission.id))),
        ("Effect", "Allow".into()),
        ("Principal", principal),
        ("Action", Json::String(Arc::clone(&permission.action))),
        ("Resource", arn.into()),
    ];
    let equals = permission.source_account.as_ref().map(|account| {
        let account = Json::String(Arc::clone(account));
        ("StringEquals", Json::object([("AWS:SourceAccount", account)]))
    });
    let like = permission.source_arn.as_ref().map(|source| {
        ("ArnLike", Json::object([("AWS:SourceArn", Json::String(Arc::clone(source)))]))
    });
    let conditions: Vec<(&str, Json)> = equals.into_iter().chain(like).collect();
    if !conditions.is_empty() {
        members.push(("Condition", Json::object(conditions)));
    }
    Json::object(members)
}
