//! Step Functions requests that only read, answered from committed records.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stepwire_asl::history::Detail;
use stepwire_asl::{HistoryEvent, Json};

use super::call::{no_execution, no_machine, seconds, stored};
use super::definition::validated;
use super::express::wrong_type;
use super::machines::{self, MachineArn, Qualifier};
use super::map_runs;
use super::record::{self, executions_of, history_key, history_of};
use super::redrive::redrivable;
use super::run::{execution_arn, machine_arn};
use super::{ExecutionId, ExecutionName, ExecutionRecord, Kind, Page, Request, Status, activities};
use crate::error::ApiError;
use crate::read::{Range, Read};
use crate::record::Corrupt;
use crate::settings::Settings;

pub(super) type Members = Vec<(&'static str, Json)>;

/// The answer to a request that reads; AWS's members of the operation's output.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::Machines(request) => machines::answer(request, read, settings),
        Request::Validate(validate) => Ok(validated(validate, settings)),
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

pub(super) fn invalid_token() -> ApiError {
    ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'")
}

/// The execution that an ARN names; AWS's error when there is none.
pub fn id_of(arn: &str, read: &dyn Read, settings: &Settings) -> Result<ExecutionId, ApiError> {
    let body = Json::object([("executionArn", Json::from(arn))]);
    let request = Request::parse("DescribeExecution", &body);
    let Some(Ok(Request::DescribeExecution { execution: name, .. })) = request else {
        let message = format!("Invalid Arn: '{arn}'");
        return Err(ApiError::new("InvalidArn", message));
    };
    let found = stored(&name, read).map_err(internal)?;
    found.map(|(id, _)| id).ok_or_else(|| no_execution(settings, &name))
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
    let qualified = |qualifier| {
        MachineArn { name: Arc::clone(&name.machine), qualifier: Some(qualifier) }.text(settings)
    };
    if let Some(version) = record.version {
        members.push(("stateMachineVersionArn", qualified(Qualifier::Version(version)).into()));
    }
    if let Some(alias) = &record.alias {
        let arn = qualified(Qualifier::Alias(Arc::clone(alias)));
        members.push(("stateMachineAliasArn", arn.into()));
    }
    members
}

/// The output, or the error and cause, that an execution ended with.
fn ending(id: ExecutionId, record: &ExecutionRecord, read: &dyn Read) -> Result<Members, ApiError> {
    // Of a timeout the service tells no more than the status.
    if matches!(record.status, Status::Running | Status::TimedOut) {
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
    machine: &MachineArn,
    status: Option<&str>,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let missing = || no_machine(settings, machine);
    let record = machines::by_name(&machine.name, read)?.ok_or_else(missing)?;
    if record.kind == Kind::Express {
        return Err(wrong_type());
    }
    let mut range = executions_of(record.number).reversed();
    if let Some(number) = token_number(page)? {
        range.to = record::execution_key(ExecutionId { machine: record.number, number });
    }
    let mut items = Vec::new();
    let mut next = None;
    for (key, value) in entries(read, range, page.limit) {
        let id = record::id_of(&key).map_err(internal)?;
        let record = record::execution(&key, &value).map_err(internal)?;
        if status.is_some_and(|status| status != record.status.word()) || !of(machine, &record) {
            continue;
        }
        if items.len() == page.limit {
            next = Some(id.number + 1);
            break;
        }
        let (machine, name) = (Arc::clone(&machine.name), Arc::clone(&record.name));
        let name = ExecutionName { machine, name };
        items.push(Json::object(summary(&name, &record, settings)));
    }
    Ok(listed("executions", items, next.map(|number| number.to_string())))
}

/// Whether an execution was started by the version or alias that an ARN names.
fn of(machine: &MachineArn, record: &ExecutionRecord) -> bool {
    match &machine.qualifier {
        None => true,
        Some(Qualifier::Version(number)) => record.version == Some(*number),
        Some(Qualifier::Alias(name)) => record.alias.as_ref() == Some(name),
    }
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
