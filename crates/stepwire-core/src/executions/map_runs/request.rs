//! Requests about map runs.

use std::sync::Arc;

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::executions::request::{
    execution_arn, invalid_arn, page, states_resource, status_filter, wrong_kind,
};
use crate::executions::{ExecutionName, Page};
use crate::params::Params;

/// A request about map runs.
#[derive(Debug, Clone)]
pub enum Request {
    /// DescribeMapRun
    Describe(MapRunName),
    /// ListMapRuns
    List {
        /// Of which execution.
        execution: ExecutionName,
        /// Which page.
        page: Page,
    },
    /// UpdateMapRun
    Update {
        /// Which.
        map_run: MapRunName,
        /// What of it.
        change: Change,
    },
    /// ListExecutions, by map run.
    Children {
        /// Which.
        map_run: MapRunName,
        /// Only these.
        status: Option<Arc<str>>,
        /// Only those that were, or were not, redriven.
        redriven: Option<bool>,
        /// Which page.
        page: Page,
    },
}

impl Request {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        !matches!(self, Request::Update { .. })
    }
}

/// What UpdateMapRun changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// `maxConcurrency`
    pub concurrency: Option<u32>,
    /// `toleratedFailureCount`
    pub tolerated_count: Option<u64>,
    /// `toleratedFailurePercentage`
    pub tolerated_percentage: Option<f64>,
}

/// A map run as its ARN names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRunName {
    /// `MACHINE/LABEL`
    pub name: Arc<str>,
    /// What comes after.
    pub uuid: Arc<str>,
    /// As it was given.
    pub arn: Arc<str>,
}

pub(crate) fn describe(params: &Params<'_>) -> Result<Request, ApiError> {
    map_run_arn(params).map(Request::Describe)
}

pub(crate) fn list(params: &Params<'_>) -> Result<Request, ApiError> {
    Ok(Request::List { execution: execution_arn(params)?, page: page(params)? })
}

pub(crate) fn update(params: &Params<'_>) -> Result<Request, ApiError> {
    let concurrency = params.optional_int("maxConcurrency")?;
    let count = params.optional_int("toleratedFailureCount")?;
    let change = Change {
        concurrency: concurrency.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        tolerated_count: count.map(|n| u64::try_from(n).unwrap_or_default()),
        tolerated_percentage: params.get("toleratedFailurePercentage").and_then(Json::as_f64),
    };
    Ok(Request::Update { map_run: map_run_arn(params)?, change })
}

/// ListExecutions with `mapRunArn` in place of `stateMachineArn`.
pub(crate) fn children(params: &Params<'_>) -> Result<Request, ApiError> {
    Ok(Request::Children {
        map_run: map_run_arn(params)?,
        status: status_filter(params)?,
        redriven: params.optional_text("redriveFilter")?.map(|wanted| wanted == "REDRIVEN"),
        page: page(params)?,
    })
}

fn map_run_arn(params: &Params<'_>) -> Result<MapRunName, ApiError> {
    let arn = params.text("mapRunArn")?;
    match states_resource(arn)? {
        ("mapRun", rest) => match rest.split_once(':') {
            Some((name, uuid)) if name.contains('/') && !rest.contains('\0') => {
                Ok(MapRunName { name: name.into(), uuid: uuid.into(), arn: arn.into() })
            }
            _ => Err(invalid_arn("Invalid ARN", arn)),
        },
        (kind, _) => Err(wrong_kind(kind)),
    }
}
