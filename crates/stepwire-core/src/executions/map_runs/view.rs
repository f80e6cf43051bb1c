//! Map runs as the API shows them.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::{self, Counts, MapRunRecord, Phase, Spec};
use super::request::{MapRunName, Request};
use crate::error::ApiError;
use crate::executions::call::{no_execution, seconds, stored};
use crate::executions::record as records;
use crate::executions::run::{arn_of, execution_arn, machine_arn};
use crate::executions::view::{Members, entries, internal, listed, summary, token_number};
use crate::executions::{ExecutionId, ExecutionName, Page};
use crate::read::Read;
use crate::settings::Settings;

/// The ARN of a map run.
pub(crate) fn map_run_arn(settings: &Settings, spec: &Spec) -> String {
    settings.arn("states", &format!("mapRun:{}:{}", spec.name, spec.uuid))
}

/// The answer to a request that reads.
pub(crate) fn answer(
    request: &Request,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    match request {
        Request::Describe(name) => Ok(described(&found(name, read)?, read, settings)),
        Request::List { execution, page } => list(execution, page, read, settings),
        Request::Children { map_run, status, redriven, page } => {
            let run = found(map_run, read)?;
            children(&run.spec, status.as_deref(), *redriven, page, read, settings)
        }
        Request::Update { .. } => {
            Err(ApiError::new("ValidationException", "this request changes something"))
        }
    }
}

/// The map run of this name.
pub(super) fn found(name: &MapRunName, read: &dyn Read) -> Result<MapRunRecord, ApiError> {
    let number = record::named(&name.name, &name.uuid, read).map_err(internal)?;
    let run = number.map(|number| record::stored(number, read)).transpose().map_err(internal)?;
    run.flatten().ok_or_else(|| missing(name))
}

pub(super) fn missing(name: &MapRunName) -> ApiError {
    ApiError::new("ResourceNotFound", format!("Resource not found: '{}'", name.arn))
}

fn described(run: &MapRunRecord, read: &dyn Read, settings: &Settings) -> Json {
    let MapRunRecord { spec, progress } = run;
    let status = match &progress.phase {
        Phase::Ended(ending) => ending.word(),
        Phase::Reading(_) | Phase::Running | Phase::Stopping(_) | Phase::Gathering(_) => "RUNNING",
    };
    let items_pending = progress.items_total - progress.items.begun;
    let executions_pending = match &spec.batch {
        Some(batch) if batch.items_max > 0 => items_pending.div_ceil(batch.items_max),
        _ => items_pending,
    };
    let mut members: Members = vec![
        ("mapRunArn", map_run_arn(settings, spec).into()),
        ("executionArn", parent_arn(spec, read, settings)),
        ("status", status.into()),
        ("startDate", seconds(spec.started)),
        ("maxConcurrency", Json::from(i64::from(progress.concurrency))),
        (
            "toleratedFailurePercentage",
            Json::from_f64(progress.tolerated_percentage).unwrap_or_default(),
        ),
        ("toleratedFailureCount", Json::from(progress.tolerated_count as i64)),
        ("itemCounts", counts(&progress.items, items_pending)),
        ("executionCounts", counts(&progress.executions, executions_pending)),
    ];
    members.extend(progress.stopped.map(|at| ("stopDate", seconds(at))));
    if let Some(at) = progress.redriven {
        members.push(("redriveCount", Json::from(i64::from(progress.redrives))));
        members.push(("redriveDate", seconds(at)));
    }
    Json::object(members)
}

fn counts(counts: &Counts, pending: u64) -> Json {
    let number = |number: u64| Json::from(number as i64);
    let mut members: Members = vec![
        ("pending", number(pending)),
        ("running", number(counts.running())),
        ("succeeded", number(counts.succeeded)),
        ("failed", number(counts.failed)),
        ("timedOut", number(counts.timed_out)),
        ("aborted", number(counts.aborted)),
        ("total", number(counts.begun + pending)),
        ("resultsWritten", number(counts.written)),
    ];
    if counts.again > 0 {
        members.push(("pendingRedrive", number(counts.again)));
    }
    Json::object(members)
}

fn parent_arn(spec: &Spec, read: &dyn Read, settings: &Settings) -> Json {
    arn_of(spec.parent, read, settings).map(Json::String).unwrap_or_default()
}

/// Newest first, as AWS lists them.
fn list(
    name: &ExecutionName,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let Some((id, _)) = stored(name, read).map_err(internal)? else {
        return Err(no_execution(settings, name));
    };
    let mut range = record::of_execution(id).reversed();
    if let Some(number) = token_number(page)? {
        range.to = record::of_key(id, number);
    }
    let mut items = Vec::new();
    let mut next = None;
    for (key, _) in entries(read, range, page.limit) {
        let Some(number) = record::number_of(&key) else { continue };
        if items.len() == page.limit {
            next = Some((number + 1).to_string());
            break;
        }
        let Some(run) = record::stored(number, read).map_err(internal)? else { continue };
        let mut members: Members = vec![
            ("executionArn", execution_arn(settings, &name.machine, &name.name).into()),
            ("mapRunArn", map_run_arn(settings, &run.spec).into()),
            ("stateMachineArn", machine_arn(settings, &run.spec.name).into()),
            ("startDate", seconds(run.spec.started)),
        ];
        members.extend(run.progress.stopped.map(|at| ("stopDate", seconds(at))));
        items.push(Json::object(members));
    }
    Ok(listed("mapRuns", items, next))
}

fn children(
    spec: &Spec,
    status: Option<&str>,
    redriven: Option<bool>,
    page: &Page,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let mut range = records::executions_of(spec.number).reversed();
    if let Some(number) = token_number(page)? {
        range.to = records::execution_key(ExecutionId { machine: spec.number, number });
    }
    let mut items = Vec::new();
    let mut next = None;
    for (key, value) in entries(read, range, page.limit) {
        let id = records::id_of(&key).map_err(internal)?;
        let child = records::execution(&key, &value).map_err(internal)?;
        let wanted = status.is_none_or(|status| status == child.status.word())
            && redriven.is_none_or(|redriven| redriven == child.redriven.is_some());
        if !wanted {
            continue;
        }
        if items.len() == page.limit {
            next = Some((id.number + 1).to_string());
            break;
        }
        let name = ExecutionName { machine: Arc::clone(&spec.name), name: Arc::clone(&child.name) };
        let mut members = summary(&name, &child, settings);
        members.push(("mapRunArn", map_run_arn(settings, spec).into()));
        members.push(("itemCount", Json::from(i64::from(child.items))));
        items.push(Json::object(members));
    }
    Ok(listed("executions", items, next))
}
