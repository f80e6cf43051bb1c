//! Requests for state machines that only read, answered from committed records.

use std::sync::Arc;

use stepwire_asl::{Json, StateMachine, Timestamp, definition};

use super::super::call::{no_execution, seconds, stored};
use super::super::map_runs;
use super::super::record::{self, MachineRecord};
use super::super::request::{ExecutionName, Page};
use super::super::run::machine_arn;
use super::super::view::{internal, invalid_token, listed, name_token, named_by};
use super::alias::missing;
use super::call::does_not_exist;
use super::record::{
    alias, alias_key, alias_named, aliases_of, name_key, name_of, named, revision_key, version,
    version_key, version_of, versions_of,
};
use super::request::AliasName;
use super::tag::Tagged;
use super::{AliasRecord, MachineArn, Qualifier, Request, VersionRecord, tag};
use crate::error::ApiError;
use crate::read::{Range, Read, after_prefix};
use crate::record::{KeyBuilder, Space};
use crate::settings::Settings;

type Members = Vec<(&'static str, Json)>;

/// The answer to a request that reads.
pub(in super::super) fn answer(
    request: &Request,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    match request {
        Request::Describe { machine, with_data } => describe(machine, *with_data, read, settings),
        Request::DescribeForExecution { execution, with_data } => {
            describe_for_execution(execution, *with_data, read, settings)
        }
        Request::List(page) => list(page, read, settings),
        Request::ListVersions(machine, page) => list_versions(machine, page, read, settings),
        Request::DescribeAlias(alias) => describe_alias(alias, read, settings),
        Request::ListAliases(machine, page) => list_aliases(machine, page, read, settings),
        Request::ListTags(arn) => list_tags(arn, read),
        Request::Create(_)
        | Request::Update(_)
        | Request::Delete(_)
        | Request::Publish { .. }
        | Request::DeleteVersion(..)
        | Request::CreateAlias { .. }
        | Request::UpdateAlias { .. }
        | Request::DeleteAlias(_)
        | Request::Tag(..)
        | Request::Untag(..) => {
            Err(ApiError::new("ValidationException", "this request changes something"))
        }
    }
}

/// The stored state machine of this name, which may be on its way out; `None` once it is deleted and
/// nothing of it runs.
pub fn by_name(name: &str, read: &dyn Read) -> Result<Option<MachineRecord>, ApiError> {
    let key = name_key(name);
    let Some(value) = read.get(&key) else { return Ok(None) };
    let number = named(&key, &value).map_err(internal)?;
    let Some(machine) = by_number(number, read)? else { return Ok(None) };
    let there = !machine.deleted || runs(number, read);
    Ok(there.then_some(machine))
}

fn by_number(number: u64, read: &dyn Read) -> Result<Option<MachineRecord>, ApiError> {
    let key = record::machine_key(number);
    let value = read.get(&key);
    value.map(|value| record::machine(&key, &value)).transpose().map_err(internal)
}

fn runs(number: u64, read: &dyn Read) -> bool {
    !read.range(&record::open_of(number).limit(1)).is_empty()
}

fn status(machine: &MachineRecord) -> Json {
    if machine.deleted { "DELETING" } else { "ACTIVE" }.into()
}

fn existing(
    arn: &MachineArn,
    read: &dyn Read,
    settings: &Settings,
) -> Result<MachineRecord, ApiError> {
    by_name(&arn.name, read)?.ok_or_else(|| does_not_exist(&arn.text(settings)))
}

/// A revision, current or not.
fn revision(
    machine: MachineRecord,
    revision: u64,
    read: &dyn Read,
) -> Result<Option<MachineRecord>, ApiError> {
    if machine.revision == revision {
        return Ok(Some(machine));
    }
    let key = revision_key(machine.number, revision);
    let value = read.get(&key);
    value.map(|value| record::machine(&key, &value)).transpose().map_err(internal)
}

fn stored_version(
    machine: u64,
    number: u64,
    read: &dyn Read,
) -> Result<Option<VersionRecord>, ApiError> {
    let key = version_key(machine, number);
    let value = read.get(&key);
    value.map(|value| version(&key, &value)).transpose().map_err(internal)
}

fn stored_alias(
    machine: u64,
    name: &str,
    read: &dyn Read,
) -> Result<Option<AliasRecord>, ApiError> {
    let key = alias_key(machine, name);
    let value = read.get(&key);
    value.map(|value| alias(&key, &value)).transpose().map_err(internal)
}

fn describe(
    arn: &MachineArn,
    with_data: bool,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let machine = existing(arn, read, settings)?;
    let status = status(&machine);
    let missing = || does_not_exist(&arn.text(settings));
    let number = match &arn.qualifier {
        None => None,
        Some(Qualifier::Version(number)) => Some(*number),
        // An alias stands for the version that gets most of its executions.
        Some(Qualifier::Alias(name)) => {
            let alias = stored_alias(machine.number, name, read)?.ok_or_else(missing)?;
            let most = alias.routes.iter().rev().max_by_key(|route| route.weight);
            most.map(|route| route.version)
        }
    };
    let (machine, created, description) = match number {
        None => (machine.clone(), machine.created, None),
        Some(number) => {
            let version = stored_version(machine.number, number, read)?.ok_or_else(missing)?;
            let (revised, created) = (version.revision, version.created);
            let machine = revision(machine, revised, read)?.ok_or_else(missing)?;
            (machine, created, version.description)
        }
    };
    let shown =
        MachineArn { name: Arc::clone(&arn.name), qualifier: number.map(Qualifier::Version) };
    let mut members: Members = vec![
        ("stateMachineArn", shown.text(settings).into()),
        ("name", Json::String(Arc::clone(&machine.name))),
        ("status", status),
        ("type", machine.kind.word().into()),
        ("creationDate", seconds(created)),
    ];
    members.extend(description.map(|text| ("description", Json::String(text))));
    members.extend(content(&machine, with_data));
    Ok(Json::object(members))
}

/// What a revision is made of.
fn content(machine: &MachineRecord, with_data: bool) -> Members {
    let shown = |name| machine.shown.member(name).cloned();
    let tracing = || Json::object([("enabled", Json::from(false))]);
    let mut members: Members = Vec::new();
    if with_data {
        members.push(("definition", Json::String(Arc::clone(&machine.definition))));
    }
    members.push(("roleArn", Json::String(Arc::clone(&machine.role_arn))));
    members.push(("loggingConfiguration", machine.logging.shown()));
    members.push(("tracingConfiguration", shown("tracingConfiguration").unwrap_or_else(tracing)));
    let recent = || StateMachine::parse(&machine.definition).is_ok_and(|parsed| parsed.is_recent());
    let key = shown("encryptionConfiguration")
        .or_else(|| recent().then(|| Json::object([("type", Json::from("AWS_OWNED_KEY"))])));
    members.extend(key.map(|key| ("encryptionConfiguration", key)));
    members.extend(variable_references(&machine.definition).filter(|_| with_data));
    let revision = machine.revision_id.as_ref();
    members.extend(revision.map(|id| ("revisionId", Json::String(Arc::clone(id)))));
    members
}

/// `variableReferences`: the variables that each state reads; left out where none reads any.
fn variable_references(definition: &str) -> Option<(&'static str, Json)> {
    let found = definition::variable_references(definition);
    let states = found
        .into_iter()
        .map(|(state, names)| (state, Json::array(names.into_iter().map(Json::String))));
    let states: Vec<_> = states.collect();
    (!states.is_empty()).then(|| ("variableReferences", Json::object(states)))
}

fn describe_for_execution(
    execution: &ExecutionName,
    with_data: bool,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let missing = || no_execution(settings, execution);
    let (id, run) = stored(execution, read).map_err(internal)?.ok_or_else(missing)?;
    let number = map_runs::stored_machine_of(id, read).map_err(internal)?.ok_or_else(missing)?;
    let machine = by_number(number, read)?.ok_or_else(missing)?;
    let machine = revision(machine, run.machine_revision, read)?.ok_or_else(missing)?;
    let mut members: Members = vec![
        ("stateMachineArn", Json::from(machine_arn(settings, &machine.name))),
        ("name", Json::String(Arc::clone(&machine.name))),
        ("updateDate", seconds(machine.updated)),
    ];
    members.extend(content(&machine, with_data));
    Ok(Json::object(members))
}

/// In order of name.
fn list(page: &Page, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let mut range = Range::prefix(&KeyBuilder::new(Space::MachineName).build());
    if let Some(token) = &page.token {
        range.from = after_prefix(&name_key(&named_by(token)?));
    }
    let mut items = Vec::new();
    let mut last: Option<Arc<str>> = None;
    loop {
        let run = read.range(&range.clone().limit(page.limit.saturating_add(1)));
        let Some((end, _)) = run.last() else { break };
        range.from = after_prefix(end);
        for (key, value) in &run {
            let number = named(key, value).map_err(internal)?;
            let Some(machine) = by_number(number, read)? else { continue };
            if machine.deleted && !runs(number, read) {
                continue;
            }
            if items.len() == page.limit {
                let next = last.as_deref().map(name_token);
                return Ok(listed("stateMachines", items, next));
            }
            items.push(Json::object([
                ("stateMachineArn", Json::from(machine_arn(settings, &machine.name))),
                ("name", Json::String(Arc::clone(&machine.name))),
                ("type", machine.kind.word().into()),
                ("creationDate", seconds(machine.created)),
            ]));
            last = Some(name_of(key).map_err(internal)?.into());
        }
    }
    Ok(listed("stateMachines", items, None))
}

/// Latest first; a page's token is the number before which the next begins.
fn list_versions(
    name: &Arc<str>,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let machine = existing(&MachineArn::of(name), read, settings)?.number;
    let mut range = versions_of(machine).reversed();
    if let Some(token) = &page.token {
        let before = token.parse().map_err(|_| invalid_token())?;
        range.to = version_key(machine, before);
    }
    let mut run = read.range(&range.limit(page.limit + 1));
    let more = run.len() > page.limit;
    run.truncate(page.limit);
    let next = run.last().filter(|_| more).map(|(key, _)| version_of(key).to_string());
    let arn = machine_arn(settings, name);
    let items = run.iter().map(|(key, value)| {
        let version = version(key, value).map_err(internal)?;
        let arn = format!("{arn}:{}", version_of(key));
        let members = [
            ("stateMachineVersionArn", Json::from(arn)),
            ("creationDate", seconds(version.created)),
        ];
        Ok(Json::object(members))
    });
    Ok(listed("stateMachineVersions", items.collect::<Result<_, ApiError>>()?, next))
}

fn describe_alias(
    name: &AliasName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let machine = by_name(&name.machine, read)?.ok_or_else(missing)?;
    let alias = stored_alias(machine.number, &name.name, read)?.ok_or_else(missing)?;
    let arn = machine_arn(settings, &name.machine);
    let routes = alias.routes.iter().map(|route| {
        let version = format!("{arn}:{}", route.version);
        let weight = i64::from(route.weight);
        Json::object([("stateMachineVersionArn", Json::from(version)), ("weight", weight.into())])
    });
    let mut members: Members = vec![
        ("stateMachineAliasArn", format!("{arn}:{}", name.name).into()),
        ("name", Json::String(Arc::clone(&name.name))),
        ("routingConfiguration", Json::array(routes)),
        ("creationDate", seconds(alias.created)),
        ("updateDate", seconds(alias.updated)),
    ];
    members.extend(alias.description.map(|text| ("description", Json::String(text))));
    Ok(Json::object(members))
}

/// In order of creation; of one version, those that lead to it.
fn list_aliases(
    arn: &MachineArn,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let machine = existing(arn, read, settings)?.number;
    let wanted = |alias: &AliasRecord| match &arn.qualifier {
        None => true,
        Some(Qualifier::Version(number)) => {
            alias.routes.iter().any(|route| route.version == *number)
        }
        Some(Qualifier::Alias(_)) => false,
    };
    let mut found: Vec<(Timestamp, Arc<str>)> = Vec::new();
    for (key, value) in read.range(&aliases_of(machine)) {
        let alias = alias(&key, &value).map_err(internal)?;
        if wanted(&alias) {
            found.push((alias.created, alias_named(&key).map_err(internal)?));
        }
    }
    found.sort();
    if let Some(token) = &page.token {
        let place = named_by(token)?;
        let (at, name) = place.split_once(' ').ok_or_else(invalid_token)?;
        let at = at.parse().map(Timestamp).map_err(|_| invalid_token())?;
        found.retain(|(created, alias)| (*created, alias.as_ref()) > (at, name));
    }
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let place = |(at, name): &(Timestamp, Arc<str>)| name_token(&format!("{} {name}", at.0));
    let next = found.last().filter(|_| more).map(place);
    let of = machine_arn(settings, &arn.name);
    let items = found.iter().map(|(created, name)| {
        let arn = format!("{of}:{name}");
        Json::object([
            ("stateMachineAliasArn", Json::from(arn)),
            ("creationDate", seconds(*created)),
        ])
    });
    Ok(listed("stateMachineAliases", items.collect(), next))
}

fn list_tags(arn: &str, read: &dyn Read) -> Result<Json, ApiError> {
    let tags = match tag::tagged(arn) {
        Some(Tagged::Machine(name)) => by_name(&name, read)?.map(|machine| machine.tags),
        Some(Tagged::Activity(name)) => {
            let key = record::activity_key(&name);
            let value = read.get(&key);
            let activity = value.map(|value| record::activity(&key, &value));
            activity.transpose().map_err(internal)?.map(|activity| activity.tags)
        }
        None => None,
    };
    Ok(tag::shown(&tags.ok_or_else(|| tag::not_found(arn))?))
}
