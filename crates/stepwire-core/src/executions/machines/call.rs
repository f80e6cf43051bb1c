//! Requests that change state machines.

use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Entropy, Json, Timestamp};

use super::super::call::{Called, seconds};
use super::super::record::{self, MachineRecord};
use super::super::run::{Ran, machine_arn, seed};
use super::super::{Executions, derived_uuid};
use super::{CreateStateMachine, Machine, MachineArn, Publish, Qualifier, Request, Target};
use super::{UpdateStateMachine, Write};
use crate::error::ApiError;
use crate::read::{Read, Reads};
use crate::settings::Settings;

impl Executions {
    /// Reads what [`Executions::call_machines`] will want.
    pub(in super::super) fn prefetch_machines(&self, request: &Request, read: &dyn Read) {
        match request {
            Request::Update(update) => {
                if let Some(machine) = self.machines.named(&update.machine.name) {
                    runs_of_current(&machine.record, read);
                }
            }
            Request::Delete(name) => {
                if let Some(machine) = self.machines.named(name) {
                    has_executions(machine.record.number, read);
                }
            }
            _ => {}
        }
    }

    /// Carries out a request that changes state machines. On `Err` nothing has changed.
    pub(in super::super) fn call_machines(
        &mut self,
        now: Timestamp,
        request: &Request,
        reads: &Reads,
        settings: &Settings,
    ) -> Called {
        let mut ran = Ran::default();
        let answer = match request {
            Request::Create(create) => self.create(now, create, settings, &mut ran),
            Request::Update(update) => self.update(now, update, reads, settings, &mut ran),
            Request::Delete(name) => {
                self.delete(name, reads, &mut ran);
                Ok(nothing())
            }
            Request::Publish { machine, revision, description } => {
                let revision = revision.as_deref();
                self.publish_version(
                    now,
                    machine,
                    revision,
                    description.as_ref(),
                    settings,
                    &mut ran,
                )
            }
            Request::DeleteVersion(machine, number) => {
                self.delete_version(machine, *number, &mut ran)
            }
            Request::CreateAlias { alias, description, routes } => {
                self.create_alias(now, alias, description.as_ref(), routes, settings, &mut ran)
            }
            Request::UpdateAlias { alias, description, routes } => {
                self.update_alias(now, alias, description.as_ref(), routes.as_deref(), &mut ran)
            }
            Request::DeleteAlias(alias) => Ok(self.delete_alias(alias, &mut ran)),
            Request::Tag(arn, tags) => self.tag(arn, tags, settings, &mut ran),
            Request::Untag(arn, keys) => self.untag(arn, keys, &mut ran),
            Request::Describe { .. }
            | Request::DescribeForExecution { .. }
            | Request::List(_)
            | Request::ListVersions(..)
            | Request::DescribeAlias(_)
            | Request::ListAliases(..)
            | Request::ListTags(_) => {
                Err(ApiError::new("ValidationException", "this request only reads"))
            }
        };
        answer.map(|answer| (answer, None, ran))
    }

    fn create(
        &mut self,
        now: Timestamp,
        create: &CreateStateMachine,
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        let arn = machine_arn(settings, &create.name);
        within_definition(&create.definition, settings)?;
        if let Some(there) = self.machines.last_named(&create.name) {
            let there = &there.record;
            if !there.deleted {
                return repeated(create, there, &arn);
            }
            if self.is_deleting(there) {
                return Err(deleting(&arn));
            }
        }
        if self.machines.live >= settings.quotas.machines_max {
            let message =
                format!("State Machine Limit Exceeded: '{}'", settings.quotas.machines_max);
            return Err(ApiError::new("StateMachineLimitExceeded", message));
        }
        super::tag::within(&create.tags, &arn, settings)?;
        let number = self.machines.next.max(1);
        let record = MachineRecord {
            number,
            name: Arc::clone(&create.name),
            definition: Arc::clone(&create.definition),
            role_arn: Arc::clone(&create.role_arn),
            created: now,
            deleted: false,
            shown: create.shown.clone(),
            kind: create.kind,
            revision: 1,
            revision_id: None,
            updated: now,
            since: self.next_execution,
            logging: create.logging.clone(),
            tags: create.tags.clone(),
            last_version: 0,
            published: create.publish.clone(),
        };
        self.record(record::Write::Part(Write::Name(Arc::clone(&create.name), Some(number))), ran);
        self.record_machine(record, ran);
        let version = match &create.publish {
            Publish::Version(description) => {
                Some(self.version_of_current(now, number, description.as_ref(), ran).0)
            }
            Publish::No => None,
        };
        Ok(created(&arn, now, version))
    }

    fn update(
        &mut self,
        now: Timestamp,
        update: &UpdateStateMachine,
        reads: &Reads,
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        if let Some(definition) = &update.definition {
            within_definition(definition, settings)?;
        }
        let arn = update.machine.text(settings);
        let there = match &update.machine.qualifier {
            None => self.live(&update.machine.name, settings)?,
            Some(_) => return Err(does_not_exist(&arn)),
        };
        let before = Arc::clone(&there.record);
        if let Some(definition) = &update.definition {
            super::super::definition::accepted(definition, before.kind)?;
        }
        let mut after = before.as_ref().clone();
        after.definition = update.definition.clone().unwrap_or(after.definition);
        after.role_arn = update.role_arn.clone().unwrap_or(after.role_arn);
        after.logging = update.logging.clone().unwrap_or(after.logging);
        after.shown = merged(&before.shown, &update.shown);
        // Naming a role takes a state machine off its first revision, which has no identifier.
        let first_role = update.role_arn.is_some() && before.revision_id.is_none();
        if after != *before || first_role {
            let parts = [before.number, before.revision + 1];
            after.revision = before.revision + 1;
            after.revision_id = Some(derived_uuid(&settings.secret, "revision", &parts).into());
            after.updated = now;
            after.since = self.next_execution;
            let versions = self.machines.versions_of(before.number);
            let versioned = versions.rev().any(|(_, version)| version.revision == before.revision);
            if versioned || runs_of_current(&before, reads) {
                let part = Write::Revision(before.number, before.revision, Some(before.clone()));
                self.record(record::Write::Part(part), ran);
            }
            self.record_machine(after.clone(), ran);
        }
        let mut members = vec![("updateDate", seconds(now))];
        members.extend(after.revision_id.map(|id| ("revisionId", Json::String(id))));
        if let Publish::Version(description) = &update.publish {
            let description = description.as_ref();
            let (number, _) = self.version_of_current(now, before.number, description, ran);
            members.push(("stateMachineVersionArn", format!("{arn}:{number}").into()));
        }
        Ok(Json::object(members))
    }

    /// Deleting what is not there succeeds, as on AWS. What runs runs on; with the last execution
    /// the rest of the state machine goes.
    fn delete(&mut self, name: &str, reads: &Reads, ran: &mut Ran) {
        let Some(machine) = self.machines.named(name) else { return };
        let record = Arc::clone(&machine.record);
        let number = record.number;
        let versions = self.machines.versions_of(number);
        let versions = versions.map(|(version, _)| Write::Version(number, version, None));
        let aliases = self.machines.aliases_of(number);
        let aliases = aliases.map(|(alias, _)| Write::Alias(number, Arc::clone(alias), None));
        for part in versions.chain(aliases).collect::<Vec<_>>() {
            self.record(record::Write::Part(part), ran);
        }
        if has_executions(number, reads) {
            self.record_machine(MachineRecord { deleted: true, ..record.as_ref().clone() }, ran);
        } else {
            self.forget_machine(number, ran);
        }
    }

    /// Removes all that is left of a state machine without executions.
    pub(in super::super) fn forget_machine(&mut self, number: u64, ran: &mut Ran) {
        let Some(machine) = self.machines.current(number) else { return };
        let name = Arc::clone(&machine.record.name);
        let revisions = self.machines.revisions.range((number, 0)..=(number, u64::MAX));
        let revisions =
            revisions.map(|((_, revision), _)| Write::Revision(number, *revision, None));
        let mut parts: Vec<Write> = revisions.collect();
        if self.machines.last_named(&name).is_some_and(|last| last.record.number == number) {
            parts.push(Write::Name(name, None));
        }
        parts.push(Write::Gone(number));
        for part in parts {
            self.record(record::Write::Part(part), ran);
        }
        self.record(record::Write::Numbers(self.numbers()), ran);
    }

    pub(super) fn record_machine(&mut self, record: MachineRecord, ran: &mut Ran) {
        self.record(record::Write::Machine(Arc::new(record)), ran);
    }

    /// Whether a state machine is deleted while executions of it still run.
    fn is_deleting(&self, record: &MachineRecord) -> bool {
        record.deleted && self.open_of(record.number).next().is_some()
    }

    /// The state machine of this name, to be changed or started.
    pub(super) fn live(&self, name: &Arc<str>, settings: &Settings) -> Result<&Machine, ApiError> {
        let arn = || machine_arn(settings, name);
        match self.machines.last_named(name) {
            Some(machine) if !machine.record.deleted => Ok(machine),
            Some(machine) if self.is_deleting(&machine.record) => Err(deleting(&arn())),
            _ => Err(does_not_exist(&arn())),
        }
    }

    /// What a start by this ARN comes to. The weights of an alias decide by dice that the number of
    /// the execution fixes.
    pub(crate) fn target(&self, arn: &MachineArn, settings: &Settings) -> Result<Target, ApiError> {
        let record = &self.live(&arn.name, settings)?.record;
        let missing = || does_not_exist(&arn.text(settings));
        let (version, alias) = match &arn.qualifier {
            None => return Ok(Target::current(record)),
            Some(Qualifier::Version(version)) => (*version, None),
            Some(Qualifier::Alias(name)) => {
                let key = (record.number, Arc::clone(name));
                let routes = &self.machines.aliases.get(&key).ok_or_else(missing)?.routes;
                let parts = [record.number, self.next_execution];
                let roll = Entropy::new(seed(settings, &parts)).next_u64() % 100;
                let first = routes.first().ok_or_else(missing)?;
                let taken = if roll < u64::from(first.weight) {
                    first
                } else {
                    routes.last().unwrap_or(first)
                };
                (taken.version, Some(Arc::clone(name)))
            }
        };
        let machine = record.number;
        let published = self.machines.versions.get(&(machine, version)).ok_or_else(missing)?;
        Ok(Target { machine, revision: published.revision, version: Some(version), alias })
    }
}

/// The answer to a creation that was made before: the same again, if it is the same.
///
/// Role and tags may differ and change nothing. Source: API reference, CreateStateMachine.
fn repeated(
    create: &CreateStateMachine,
    there: &MachineRecord,
    arn: &str,
) -> Result<Json, ApiError> {
    let same = there.definition == create.definition
        && there.kind == create.kind
        && there.logging == create.logging
        && there.shown == create.shown
        && there.published == create.publish;
    if !same {
        let message = format!("State Machine Already Exists: '{arn}'");
        return Err(ApiError::new("StateMachineAlreadyExists", message));
    }
    Ok(created(arn, there.created, (there.published != Publish::No).then_some(1)))
}

fn within_definition(definition: &str, settings: &Settings) -> Result<(), ApiError> {
    let max = settings.quotas.definition_bytes_max;
    if definition.len() as u64 <= max {
        return Ok(());
    }
    let message = format!(
        "1 validation error detected: Value at 'definition' failed to satisfy constraint: Member \
         must have length less than or equal to {max}"
    );
    Err(ApiError::new("ValidationException", message))
}

/// Members without effect: those given replace those there are.
fn merged(before: &Json, given: &Json) -> Json {
    let members = |of: &Json| of.as_object().cloned().unwrap_or_default();
    let mut all = members(before);
    all.extend(members(given));
    Json::Object(Arc::new(all))
}

/// Whether executions of the current revision are stored that were not started by a version.
fn runs_of_current(record: &MachineRecord, read: &dyn Read) -> bool {
    let range = record::executions_from(record.number, record.since);
    !read.range(&range.limit(1)).is_empty()
}

fn has_executions(machine: u64, read: &dyn Read) -> bool {
    !read.range(&record::executions_of(machine).limit(1)).is_empty()
}

fn created(arn: &str, at: Timestamp, version: Option<u64>) -> Json {
    let mut members = vec![("stateMachineArn", Json::from(arn)), ("creationDate", seconds(at))];
    members.extend(
        version.map(|version| ("stateMachineVersionArn", format!("{arn}:{version}").into())),
    );
    Json::object(members)
}

pub(super) fn nothing() -> Json {
    Json::Object(Arc::new(Object::new()))
}

pub(super) fn does_not_exist(arn: &str) -> ApiError {
    let message = format!("State Machine Does Not Exist: '{arn}'");
    ApiError::new("StateMachineDoesNotExist", message)
}

fn deleting(arn: &str) -> ApiError {
    let message = format!("State Machine Is Being Deleted: '{arn}'");
    ApiError::new("StateMachineDeleting", message)
}
