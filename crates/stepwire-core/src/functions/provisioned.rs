//! Provisioned concurrency: versions of which processes are kept ready.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{Json, Timestamp};

use super::{FunctionName, FunctionRecord, Functions, Write, record, view};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// Most processes that one version or alias can have kept ready.
pub(super) const PROCESSES_MAX: u32 = 32;

/// How many processes of a version, or of what an alias leads to, are kept ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedRecord {
    /// The function's name.
    pub function: Arc<str>,
    /// A version's number, or the name of an alias.
    pub qualifier: Arc<str>,
    /// How many.
    pub processes: u32,
    /// When it was changed last.
    pub modified: Timestamp,
}

impl Functions {
    /// Has processes kept ready.
    pub(super) fn provision(
        &mut self,
        now: Timestamp,
        function: &FunctionName,
        processes: u32,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let invalid = |why: String| ApiError::new("InvalidParameterValueException", why);
        let qualifier = function.qualifier.clone().filter(|qualifier| **qualifier != *"$LATEST");
        let qualifier = qualifier.ok_or_else(|| {
            invalid(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
                    .to_owned(),
            )
        })?;
        let found = self.find_version(function, settings)?;
        let name = Arc::clone(&found.name);
        let alias = self.aliases.get(&(Arc::clone(&name), Arc::clone(&qualifier)));
        if alias.is_some_and(|alias| alias.version == 0) {
            return Err(invalid(
                "Alias with weights can not be used with Provisioned Concurrency: it leads to $LATEST"
                    .to_owned(),
            ));
        }
        let reserved = self.by_name.get(&name).and_then(|record| record.reserved);
        let others: u32 = (self.provisioned.values())
            .filter(|one| one.function == name && one.qualifier != qualifier)
            .map(|one| one.processes)
            .sum();
        if reserved.is_some_and(|reserved| others + processes > reserved) {
            return Err(invalid(
                "Requested Provisioned Concurrency should not be greater than the \
                 reservedConcurrentExecution for function"
                    .to_owned(),
            ));
        }
        let record =
            ProvisionedRecord { function: Arc::clone(&name), qualifier, processes, modified: now };
        let answer = shown(&record, false);
        let qualifier = Arc::clone(&record.qualifier);
        self.record(Write::Provisioned(name, qualifier, Some(Arc::new(record))), writes);
        Ok(answer)
    }

    /// Has none kept ready any more.
    pub(super) fn unprovision(
        &mut self,
        function: &FunctionName,
        settings: &Settings,
        writes: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let name = Arc::clone(&self.find(function, settings)?.name);
        let qualifier = function.qualifier.clone().unwrap_or_else(|| "".into());
        if !self.provisioned.contains_key(&(Arc::clone(&name), Arc::clone(&qualifier))) {
            return Err(missing(function, settings));
        }
        self.record(Write::Provisioned(name, qualifier, None), writes);
        Ok(())
    }

    /// What is kept ready of a function that goes, or of one of its versions or aliases.
    pub(super) fn drop_provisioned(
        &mut self,
        function: &Arc<str>,
        qualifier: Option<&str>,
        writes: &mut Vec<Write>,
    ) {
        let of = |record: &ProvisionedRecord| {
            record.function == *function && qualifier.is_none_or(|q| *record.qualifier == *q)
        };
        let gone: Vec<_> = self.provisioned.values().filter(|one| of(one)).cloned().collect();
        for record in gone {
            let qualifier = Arc::clone(&record.qualifier);
            self.record(Write::Provisioned(Arc::clone(function), qualifier, None), writes);
        }
    }
}

fn missing(function: &FunctionName, settings: &Settings) -> ApiError {
    let message = format!(
        "No Provisioned Concurrency Config found for this function: {}",
        function.arn(settings)
    );
    ApiError::new("ProvisionedConcurrencyConfigNotFoundException", message)
}

/// As callers see it.
fn shown(record: &ProvisionedRecord, is_ready: bool) -> Json {
    let count = |n: u32| Json::from(i64::from(n));
    let there = if is_ready { record.processes } else { 0 };
    Json::object([
        ("RequestedProvisionedConcurrentExecutions", count(record.processes)),
        ("AvailableProvisionedConcurrentExecutions", count(there)),
        ("AllocatedProvisionedConcurrentExecutions", count(there)),
        ("Status", Json::from(if is_ready { "READY" } else { "IN_PROGRESS" })),
        ("LastModified", view::last_modified(record.modified).into()),
    ])
}

/// The answer to GetProvisionedConcurrencyConfig.
pub(super) fn get(
    function: &FunctionName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let all = record::provisioned(&function.name, read).map_err(view::internal)?;
    let qualifier = function.qualifier.as_deref().unwrap_or_default();
    let found = all.iter().find(|record| *record.qualifier == *qualifier);
    found.map(|record| shown(record, true)).ok_or_else(|| missing(function, settings))
}

/// The answer to ListProvisionedConcurrencyConfigs.
pub(super) fn list(
    function: &FunctionName,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let all = record::provisioned(&function.name, read).map_err(view::internal)?;
    let each = all.iter().map(|record| {
        let of = FunctionName::of(&record.function).qualified(Some(&record.qualifier));
        let mut members = shown(record, true).as_object().cloned().unwrap_or_default();
        members.insert("FunctionArn".into(), of.arn(settings).into());
        Json::Object(Arc::new(members))
    });
    Ok(Json::object([("ProvisionedConcurrencyConfigs", Json::array(each))]))
}

/// The versions of a function of which processes are to be kept ready, and how many of each.
pub fn provisioned(function: &str, read: &dyn Read) -> Result<Vec<(FunctionRecord, u32)>, Corrupt> {
    let mut kept: Vec<(FunctionRecord, u32)> = Vec::new();
    for wanted in record::provisioned(function, read)? {
        let alias = record::alias(function, &wanted.qualifier, read)?;
        let number = match &alias {
            Some(alias) => Some(alias.version),
            None => wanted.qualifier.parse().ok(),
        };
        let Some(number) = number else { continue };
        let Some(version) = record::version(function, number, read)? else { continue };
        match kept.iter_mut().find(|(there, _)| there.version == version.version) {
            Some((_, processes)) => *processes += wanted.processes,
            None => kept.push((version, wanted.processes)),
        }
    }
    Ok(kept)
}
