//! Requests about map runs.

use std::sync::Arc;

use crate::error::ApiError;
use crate::executions::request::{
    EXECUTIONS_TOKEN_MAX, TOKEN_MAX, execution_arn, invalid_arn, page, states_resource,
    status_filter, wrong_kind,
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
    params.only(&["mapRunArn"])?;
    map_run_arn(params).map(Request::Describe)
}

pub(crate) fn list(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["executionArn", "maxResults", "nextToken"])?;
    Ok(Request::List { execution: execution_arn(params)?, page: page(params, TOKEN_MAX)? })
}

pub(crate) fn update(params: &Params<'_>) -> Result<Request, ApiError> {
    const LEAST: &str = "Member must have value greater than or equal to 0";
    const MOST: &str = "Member must have value less than or equal to 100";
    let names = ["maxConcurrency", "toleratedFailureCount", "toleratedFailurePercentage"];
    params.only(&[&["mapRunArn"], &names[..]].concat())?;
    let map_run = map_run_arn(params)?;
    let whole = |name| match params.optional_int(name)? {
        Some(low @ ..0) => Err(params.broken(name, Some(&low.to_string()), LEAST)),
        number => Ok(number.map(|number| number as u64)),
    };
    let percentage = params.get(names[2]).map(|value| {
        let number =
            value.as_f64().ok_or_else(|| params.invalid(names[2], "it must be a number"))?;
        let bad = |constraint| Err(params.broken(names[2], Some(&value.to_text()), constraint));
        match number {
            low if low < 0.0 => bad(LEAST),
            high if high > 100.0 => bad(MOST),
            number => Ok(number),
        }
    });
    let change = Change {
        concurrency: whole(names[0])?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        tolerated_count: whole(names[1])?,
        tolerated_percentage: percentage.transpose()?,
    };
    Ok(Request::Update { map_run, change })
}

/// ListExecutions with `mapRunArn` in place of `stateMachineArn`.
pub(crate) fn children(params: &Params<'_>) -> Result<Request, ApiError> {
    params.only(&["mapRunArn", "statusFilter", "redriveFilter", "maxResults", "nextToken"])?;
    let redriven = match params.optional_text("redriveFilter")? {
        None => None,
        Some("REDRIVEN") => Some(true),
        Some("NOT_REDRIVEN") => Some(false),
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [REDRIVEN, NOT_REDRIVEN]";
            return Err(params.broken("redriveFilter", Some(other), constraint));
        }
    };
    Ok(Request::Children {
        map_run: map_run_arn(params)?,
        status: status_filter(params)?,
        redriven,
        page: page(params, EXECUTIONS_TOKEN_MAX)?,
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
