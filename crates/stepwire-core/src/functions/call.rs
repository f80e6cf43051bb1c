//! Lambda requests that change something, and the life of an invocation that nobody waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};

use super::record::CHUNK_BYTES;
use super::view::{configuration, revision_id};
use super::{
    ATTEMPTS_MAX, CodeRecord, Configuration, Create, FunctionName, FunctionRecord, Functions,
    Invocation, PENDING_BYTES_MAX, PENDING_MAX, Permission, Request, Write,
};
use crate::error::ApiError;
use crate::settings::Settings;

/// The waits before the second and the third attempt (AWS: one minute, then two).
const RETRY_MS: i64 = 60_000;

impl Functions {
    /// Carries out a request that changes something. On `Err` nothing has changed.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        match request {
            Request::Create(create) => self.create(now, create, settings, writes),
            Request::UpdateCode { function, archive, revision, dry_run } => {
                let before = self.unchanged(function, revision.as_deref(), settings)?;
                let code = self.code_of(archive);
                let after = FunctionRecord {
                    code: code.clone(),
                    revision: before.revision + 1,
                    modified: now,
                    ..before.as_ref().clone()
                };
                let answer = configuration(&after, function, settings);
                if !dry_run {
                    self.store_code(&code, archive, writes);
                    self.record(
                        Write::Function(Arc::clone(&after.name), Some(after.into())),
                        writes,
                    );
                    self.drop_code(&before.code, writes);
                }
                Ok(answer)
            }
            Request::UpdateConfiguration { function, configuration: change, revision } => {
                let before = self.unchanged(function, revision.as_deref(), settings)?;
                let after = changed(before.as_ref().clone(), change, now);
                let answer = configuration(&after, function, settings);
                self.record(Write::Function(Arc::clone(&after.name), Some(after.into())), writes);
                Ok(answer)
            }
            Request::Delete(function) => {
                let record = Arc::clone(self.find(function, settings)?);
                self.record(Write::Function(Arc::clone(&record.name), None), writes);
                self.drop_code(&record.code, writes);
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
            Request::Enqueue { function, payload } => {
                self.enqueue(now, function, Arc::clone(payload), settings, writes)?;
                Ok(Json::object([("StatusCode", Json::from(202)), ("Payload", "".into())]))
            }
            Request::Get(_)
            | Request::GetConfiguration(_)
            | Request::List { .. }
            | Request::GetPolicy(_) => {
                Err(ApiError::new("ServiceException", "this request only reads"))
            }
        }
    }

    fn create(
        &mut self,
        now: Timestamp,
        create: &Create,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let name = &create.function.name;
        if !create.function.is_here(settings) {
            let message = format!("`{}` cannot be created here", create.function.arn(settings));
            return Err(ApiError::new("InvalidParameterValueException", message));
        }
        if self.by_name.contains_key(name) {
            let message = format!("Function already exist: {name}");
            return Err(ApiError::new("ResourceConflictException", message));
        }
        let code = self.code_of(&create.archive);
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
        };
        let record = changed(empty, &create.configuration, now);
        let answer = configuration(&record, &create.function, settings);
        self.store_code(&code, &create.archive, writes);
        self.record(Write::Function(Arc::clone(name), Some(record.into())), writes);
        Ok(answer)
    }

    /// The function, if it still has the revision that the caller saw.
    fn unchanged(
        &self,
        function: &FunctionName,
        revision: Option<&str>,
        settings: &Settings,
    ) -> Result<Arc<FunctionRecord>, ApiError> {
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

    fn code_of(&self, archive: &[u8]) -> CodeRecord {
        let sha256 = Sha256::digest(archive).into();
        CodeRecord { number: self.next, bytes: archive.len() as u64, sha256 }
    }

    fn store_code(&mut self, code: &CodeRecord, archive: &[u8], writes: &mut Vec<Write>) {
        for (chunk, bytes) in (0_u32..).zip(archive.chunks(CHUNK_BYTES)) {
            let bytes = Some(Arc::from(bytes));
            self.record(Write::Code { number: code.number, chunk, bytes }, writes);
        }
    }

    fn drop_code(&mut self, code: &CodeRecord, writes: &mut Vec<Write>) {
        for chunk in 0..code.chunks() {
            self.record(Write::Code { number: code.number, chunk, bytes: None }, writes);
        }
    }

    /// Records an invocation that nobody will wait for; its number.
    pub(crate) fn enqueue(
        &mut self,
        now: Timestamp,
        function: &FunctionName,
        payload: Arc<str>,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let function = Arc::clone(&self.find(function, settings)?.name);
        let full = self.pending.len() >= PENDING_MAX
            || self.pending_bytes + payload.len() > PENDING_BYTES_MAX;
        if full {
            let message = "too many invocations wait for their turn";
            return Err(ApiError::new("TooManyRequestsException", message));
        }
        let invocation = Invocation { function, payload, attempts: 0, due: Some(now) };
        self.record(Write::Invocation(self.next_invocation, Some(invocation)), writes);
        Ok(())
    }

    /// Begins the next attempt of a pending invocation.
    pub(crate) fn attempt(&mut self, number: u64, writes: &mut Vec<Write>) -> Option<Invocation> {
        let begun = Invocation { due: None, ..self.pending.get(&number)?.clone() };
        self.record(Write::Invocation(number, Some(begun.clone())), writes);
        Some(begun)
    }

    /// An attempt has ended. Says whether it was the last and failed.
    pub(crate) fn attempted(
        &mut self,
        now: Timestamp,
        number: u64,
        succeeded: bool,
        writes: &mut Vec<Write>,
    ) -> Option<Invocation> {
        let invocation = self.pending.get(&number)?.clone();
        let attempts = invocation.attempts + 1;
        if succeeded || attempts >= ATTEMPTS_MAX {
            self.record(Write::Invocation(number, None), writes);
            return (!succeeded).then_some(invocation);
        }
        let due = Some(now.plus_ms(RETRY_MS * i64::from(attempts)));
        let waiting = Invocation { attempts, due, ..invocation };
        self.record(Write::Invocation(number, Some(waiting)), writes);
        None
    }

    fn record(&mut self, write: Write, writes: &mut Vec<Write>) {
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
