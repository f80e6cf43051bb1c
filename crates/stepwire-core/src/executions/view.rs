//! Step Functions requests that only read, answered from committed records.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stepwire_asl::definition;
use stepwire_asl::history::Detail;
use stepwire_asl::{HistoryEvent, Json};

use super::call::{no_execution, no_machine, seconds, stored};
use super::definition::validated;
use super::map_runs;
use super::record::{self, executions_of, history_key, history_of};
use super::redrive::redrivable;
use super::run::{execution_arn, machine_arn};
use super::{
    ExecutionId, ExecutionName, ExecutionRecord, MachineRecord, Page, Request, Status, activities,
};
use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::{Corrupt, KeyBuilder, Space};
use crate::settings::Settings;

pub(super) type Members = Vec<(&'static str, Json)>;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::DescribeStateMachine(name) => describe_machine(name, read, settings),
        Request::DescribeStateMachineForExecution(execution) => {
            describe_machine_of(execution, read, settings)
        }
        Request::ListStateMachines(page) => list_machines(page, read, settings),
        Request::Validate(validate) => Ok(validated(validate)),
        Request::DescribeExecution { execution, with_data } => {
            describe_execution(execution, *with_data, read, settings)
        }
        Request::ListExecutions { machine, status, page } => {
            list_executions(machine, status.as_deref(), page, read, settings)
        }
        Request::MapRuns(request) => map_runs::view::answer(request, read, settings),
        Request::GetExecutionHistory { execution, reverse, with_data, page } => {
            let Some((id, _)) = stored(execution, read).map_err(internal)? else {
                return Err(no_execution(settings, execution));
            };
            let events = if *reverse { latest_first } else { in_order };
            history_page(events, id, *with_data, page, read)
        }
        Request::Activity(request) => activities::view::answer(request, read, settings),
        _ => Err(ApiError::new("ValidationException", "this request changes something")),
    }
}

pub(super) fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalFailure", corrupt.to_string())
}

fn machines(read: &dyn Read) -> Result<Vec<MachineRecord>, ApiError> {
    let all = Range::prefix(&KeyBuilder::new(Space::StateMachine).build());
    let records = read.range(&all).into_iter().map(|(key, value)| record::machine(&key, &value));
    records.collect::<Result<_, _>>().map_err(internal)
}

fn machine_named(name: &str, read: &dyn Read) -> Result<Option<MachineRecord>, ApiError> {
    Ok(machines(read)?.into_iter().find(|m| !m.deleted && m.name.as_ref() == name))
}

fn describe_machine(name: &str, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let machine = machine_named(name, read)?.ok_or_else(|| no_machine(settings, name))?;
    let mut members: Members = vec![
        ("stateMachineArn", machine_arn(settings, name).into()),
        ("name", Json::String(Arc::clone(&machine.name))),
        ("status", "ACTIVE".into()),
        ("definition", Json::String(Arc::clone(&machine.definition))),
        ("roleArn", Json::String(Arc::clone(&machine.role_arn))),
        ("type", "STANDARD".into()),
        ("creationDate", seconds(machine.created)),
    ];
    members.extend(configurations(&machine));
    Ok(Json::object(members))
}

/// What a machine was given that has no effect here, or AWS's defaults.
fn configurations(machine: &MachineRecord) -> Members {
    let shown = |name| machine.shown.member(name).cloned();
    let logging =
        || Json::object([("level", "OFF".into()), ("includeExecutionData", false.into())]);
    let tracing = || Json::object([("enabled", Json::from(false))]);
    let mut members = vec![
        ("loggingConfiguration", shown("loggingConfiguration").unwrap_or_else(logging)),
        ("tracingConfiguration", shown("tracingConfiguration").unwrap_or_else(tracing)),
    ];
    members.extend(shown("encryptionConfiguration").map(|key| ("encryptionConfiguration", key)));
    members.extend(variable_references(&machine.definition));
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

fn describe_machine_of(
    execution: &ExecutionName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let Some((id, _)) = stored(execution, read).map_err(internal)? else {
        return Err(no_execution(settings, execution));
    };
    let number = map_runs::stored_machine_of(id, read).map_err(internal)?;
    let key = record::machine_key(number.unwrap_or(id.machine));
    let value = read.get(&key).ok_or_else(|| no_machine(settings, &execution.machine))?;
    let machine = record::machine(&key, &value).map_err(internal)?;
    let mut members: Members = vec![
        ("stateMachineArn", Json::from(machine_arn(settings, &machine.name))),
        ("name", Json::String(Arc::clone(&machine.name))),
        ("definition", Json::String(Arc::clone(&machine.definition))),
        ("roleArn", Json::String(Arc::clone(&machine.role_arn))),
        ("updateDate", seconds(machine.created)),
    ];
    members.extend(configurations(&machine));
    Ok(Json::object(members))
}

fn list_machines(page: &Page, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    let after = page.token.as_ref().map(|token| named_by(token)).transpose()?;
    let mut live = machines(read)?;
    live.retain(|machine| {
        !machine.deleted && after.as_ref().is_none_or(|after| *machine.name > **after)
    });
    live.sort_by(|one, two| one.name.cmp(&two.name));
    let more = live.len() > page.limit;
    live.truncate(page.limit);
    let next = live.last().filter(|_| more).map(|last| name_token(&last.name));
    let items = live.into_iter().map(|machine| {
        Json::object([
            ("stateMachineArn", Json::from(machine_arn(settings, &machine.name))),
            ("name", Json::String(machine.name)),
            ("type", "STANDARD".into()),
            ("creationDate", seconds(machine.created)),
        ])
    });
    Ok(listed("stateMachines", items.collect(), next))
}

/// A page token that stands for the name the page before ended with.
pub(super) fn name_token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{NAMED}{name}"))
}

/// The name that a page token stands for.
pub(super) fn named_by(token: &str) -> Result<String, ApiError> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|text| String::from_utf8(text).ok());
    let name = text.as_deref().and_then(|text| text.strip_prefix(NAMED));
    name.map(str::to_owned).ok_or_else(invalid_token)
}

/// What page tokens that stand for a name begin with.
const NAMED: &str = "after:";

fn invalid_token() -> ApiError {
    ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'")
}

pub(super) fn describe_execution(
    name: &ExecutionName,
    with_data: bool,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let Some((id, record)) = stored(name, read).map_err(internal)? else {
        return Err(no_execution(settings, name));
    };
    let mut members = summary(name, &record, settings);
    match redrivable(id, &record, last_event(id, read)?.as_ref()) {
        Ok(status) => members.push(("redriveStatus", status.into())),
        Err(reason) => {
            members.push(("redriveStatus", "NOT_REDRIVABLE".into()));
            members.push(("redriveStatusReason", reason.into()));
        }
    }
    if let Some(number) = id.map_run()
        && let Some(run) = map_runs::record::stored(number, read).map_err(internal)?
    {
        members.push(("mapRunArn", map_runs::view::map_run_arn(settings, &run.spec).into()));
    }
    if let Some(header) = &record.trace_header {
        members.push(("traceHeader", Json::String(Arc::clone(header))));
    }
    if with_data {
        let included = || Json::object([("included", Json::from(true))]);
        if let Some(input) = first_event(id, read)?.as_ref().and_then(input_of) {
            members.extend([("input", Json::from(input)), ("inputDetails", included())]);
        }
        members.extend(ending(id, &record, read)?);
    }
    Ok(Json::object(members))
}

pub(super) fn summary(
    name: &ExecutionName,
    record: &ExecutionRecord,
    settings: &Settings,
) -> Members {
    let mut members: Members = vec![
        ("executionArn", execution_arn(settings, &name.machine, &name.name).into()),
        ("stateMachineArn", machine_arn(settings, &name.machine).into()),
        ("name", Json::String(Arc::clone(&name.name))),
        ("status", record.status.word().into()),
        ("startDate", seconds(record.started)),
        ("redriveCount", Json::from(i64::from(record.redrives()))),
    ];
    if let Some(redriven) = &record.redriven {
        members.push(("redriveDate", seconds(redriven.at)));
    }
    if let Some(stopped) = record.stopped {
        members.push(("stopDate", seconds(stopped)));
    }
    members
}

/// The output, or the error and cause, that an execution ended with.
fn ending(id: ExecutionId, record: &ExecutionRecord, read: &dyn Read) -> Result<Members, ApiError> {
    if record.status == Status::Running {
        return Ok(Vec::new());
    }
    Ok(last_event(id, read)?.as_ref().map(ending_of).unwrap_or_default())
}

/// The output, or the error and cause, of an execution's last event.
pub(super) fn ending_of(last: &HistoryEvent) -> Members {
    let details = last.to_aws(true);
    let details = details.as_object().and_then(|members| {
        members
            .iter()
            .find(|(name, _)| name.ends_with("EventDetails"))
            .map(|(_, value)| value.clone())
    });
    let Some(details) = details else { return Vec::new() };
    let member = |name| details.member(name).cloned();
    let mut members = Vec::new();
    if let Some(output) = member("output") {
        members.push(("output", output));
        members.push(("outputDetails", Json::object([("included", Json::from(true))])));
    }
    members.extend(member("error").map(|error| ("error", error)));
    members.extend(member("cause").map(|cause| ("cause", cause)));
    members
}

pub(super) fn input_of(event: &HistoryEvent) -> Option<String> {
    match &event.detail {
        Detail::ExecutionStarted { input, .. } => Some(input.to_string()),
        _ => None,
    }
}

fn first_event(id: ExecutionId, read: &dyn Read) -> Result<Option<HistoryEvent>, ApiError> {
    let chunk = chunks(&history_of(id).limit(1), read)?;
    Ok(chunk.into_iter().next())
}

fn last_event(id: ExecutionId, read: &dyn Read) -> Result<Option<HistoryEvent>, ApiError> {
    let chunk = chunks(&history_of(id).reversed().limit(1), read)?;
    Ok(chunk.into_iter().rev().find(|event| event.id > 0))
}

fn chunks(range: &Range, read: &dyn Read) -> Result<Vec<HistoryEvent>, ApiError> {
    let mut events = Vec::new();
    for (key, value) in read.range(range) {
        events.extend(record::events(&key, &value).map_err(internal)?);
    }
    Ok(events)
}

/// Newest first, as AWS lists them.
fn list_executions(
    machine: &Arc<str>,
    status: Option<&str>,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let Some(record) = machine_named(machine, read)? else {
        return Err(no_machine(settings, machine));
    };
    let mut range = executions_of(record.number).reversed();
    if let Some(number) = token_number(page)? {
        range.to = record::execution_key(ExecutionId { machine: record.number, number });
    }
    let mut items = Vec::new();
    let mut next = None;
    for (key, value) in entries(read, range, page.limit) {
        let id = record::id_of(&key).map_err(internal)?;
        let record = record::execution(&key, &value).map_err(internal)?;
        if status.is_some_and(|status| status != record.status.word()) {
            continue;
        }
        if items.len() == page.limit {
            next = Some(id.number + 1);
            break;
        }
        let name = ExecutionName { machine: Arc::clone(machine), name: Arc::clone(&record.name) };
        items.push(Json::object(summary(&name, &record, settings)));
    }
    Ok(listed("executions", items, next.map(|number| number.to_string())))
}

/// The entries of a reversed run, read `page` at a time.
pub(super) fn entries(
    read: &dyn Read,
    mut range: Range,
    page: usize,
) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    let page = page.saturating_add(1);
    let mut done = false;
    let fetch = move || {
        if done {
            return None;
        }
        let run = read.range(&range.clone().limit(page));
        done = run.len() < page;
        if let Some((last, _)) = run.last() {
            range.to.clone_from(last);
        }
        Some(run)
    };
    std::iter::from_fn(fetch).flatten()
}

/// A page of events from a position on, and the position after it.
type Events = fn(ExecutionId, &Position, usize, &dyn Read) -> Result<Vec<HistoryEvent>, ApiError>;

/// Where a page of history begins: the event sequence number to start at.
struct Position(Option<u64>);

/// A page of history; its token is the sequence number of the next event.
fn history_page(
    events: Events,
    id: ExecutionId,
    with_data: bool,
    page: &Page,
    read: &dyn Read,
) -> Result<Json, ApiError> {
    let mut found = events(id, &Position(token_number(page)?), page.limit + 1, read)?;
    let next = (found.len() > page.limit).then(|| found[page.limit].seq.to_string());
    found.truncate(page.limit);
    let items = found.iter().map(|event| event.to_aws(with_data)).collect();
    Ok(listed("events", items, next))
}

/// Public events from a sequence number on, oldest first.
fn in_order(
    id: ExecutionId,
    position: &Position,
    limit: usize,
    read: &dyn Read,
) -> Result<Vec<HistoryEvent>, ApiError> {
    let from = position.0.unwrap_or(0);
    let mut range = history_of(id);
    if from > 0 {
        // The chunk that holds `from` begins at or before it.
        let before = Range { to: history_key(id, from + 1), ..history_of(id) };
        if let Some((key, _)) = read.range(&before.reversed().limit(1)).pop() {
            range.from = key;
        }
    }
    let mut found = Vec::new();
    while found.len() < limit {
        let run = read.range(&range.clone().limit(64));
        let Some((last, _)) = run.last() else { break };
        range.from = [last.as_slice(), &[0]].concat();
        for (key, value) in &run {
            let events = record::events(key, value).map_err(internal)?;
            found.extend(events.into_iter().filter(|event| event.id > 0 && event.seq >= from));
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// Public events from a sequence number back, latest first.
fn latest_first(
    id: ExecutionId,
    position: &Position,
    limit: usize,
    read: &dyn Read,
) -> Result<Vec<HistoryEvent>, ApiError> {
    let from = position.0.unwrap_or(u64::MAX);
    let mut range = history_of(id).reversed();
    if from < u64::MAX {
        range.to = history_key(id, from + 1);
    }
    let mut found = Vec::new();
    while found.len() < limit {
        let run = read.range(&range.clone().limit(64));
        let Some((last, _)) = run.last() else { break };
        range.to.clone_from(last);
        for (key, value) in &run {
            let events = record::events(key, value).map_err(internal)?;
            let public = events.into_iter().rev().filter(|e| e.id > 0 && e.seq <= from);
            found.extend(public);
        }
    }
    found.truncate(limit);
    Ok(found)
}

pub(super) fn token_number(page: &Page) -> Result<Option<u64>, ApiError> {
    page.token.as_ref().map(|token| token.parse().map_err(|_| invalid_token())).transpose()
}

pub(super) fn listed(name: &'static str, items: Vec<Json>, next: Option<String>) -> Json {
    let mut members = vec![(name, Json::array(items))];
    members.extend(next.map(|token| ("nextToken", Json::from(token))));
    Json::object(members)
}
