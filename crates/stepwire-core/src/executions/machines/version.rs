//! Versions: names for revisions that never come back.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::super::Executions;
use super::super::call::seconds;
use super::super::record::{self, MachineRecord};
use super::super::run::{Ran, machine_arn};
use super::call::nothing;
use super::{VersionRecord, Write};
use crate::error::ApiError;
use crate::settings::Settings;

/// Most versions of a state machine, as on AWS.
const VERSIONS_MAX: usize = 1_000;
/// What AWS calls the revision of a state machine that was never changed.
const INITIAL: &str = "INITIAL";

impl Executions {
    pub(super) fn publish_version(
        &mut self,
        now: Timestamp,
        name: &Arc<str>,
        revision: Option<&str>,
        description: Option<&Arc<str>>,
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        let record = &self.live(name, settings)?.record;
        let number = record.number;
        let current = record.revision_id.as_deref().unwrap_or(INITIAL);
        if let Some(revision) = revision.filter(|revision| *revision != current) {
            let message = format!(
                "Failed to publish the State Machine version for revision {revision}. The current \
                 State Machine revision is {current}."
            );
            return Err(ApiError::new("ConflictException", message));
        }
        if self.machines.versions_of(number).count() >= VERSIONS_MAX {
            let message = format!("A state machine can have at most {VERSIONS_MAX} versions.");
            return Err(ApiError::new("ServiceQuotaExceededException", message));
        }
        let (version, created) = self.version_of_current(now, number, description, ran);
        let arn = format!("{}:{version}", machine_arn(settings, name));
        let members =
            [("stateMachineVersionArn", Json::from(arn)), ("creationDate", seconds(created))];
        Ok(Json::object(members))
    }

    /// The version of the current revision, published now if there is none, and when it was.
    pub(super) fn version_of_current(
        &mut self,
        now: Timestamp,
        machine: u64,
        description: Option<&Arc<str>>,
        ran: &mut Ran,
    ) -> (u64, Timestamp) {
        let Some(current) = self.machines.current(machine) else { return (0, now) };
        let current = Arc::clone(&current.record);
        let last = self.machines.versions_of(machine).next_back();
        if let Some((number, there)) = last
            && there.revision == current.revision
        {
            return (number, there.created);
        }
        let number = current.last_version + 1;
        let version = VersionRecord {
            revision: current.revision,
            description: description.cloned(),
            created: now,
        };
        self.record(record::Write::Part(Write::Version(machine, number, Some(version))), ran);
        self.record_machine(
            MachineRecord { last_version: number, ..current.as_ref().clone() },
            ran,
        );
        (number, now)
    }

    /// Deleting what is not there succeeds, as on AWS.
    pub(super) fn delete_version(
        &mut self,
        name: &str,
        number: u64,
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        let Some(machine) = self.machines.named(name).map(|machine| machine.record.number) else {
            return Ok(nothing());
        };
        if !self.machines.versions.contains_key(&(machine, number)) {
            return Ok(nothing());
        }
        let aliases = self.machines.aliases_of(machine);
        let routed =
            aliases.filter(|(_, alias)| alias.routes.iter().any(|route| route.version == number));
        let routed: Vec<&str> = routed.map(|(name, _)| name.as_ref()).collect();
        if !routed.is_empty() {
            let message = format!(
                "Version to be deleted must not be referenced by an alias. Current list of aliases \
                 referencing this version: [{}]",
                routed.join(", ")
            );
            return Err(ApiError::new("ConflictException", message));
        }
        self.record(record::Write::Part(Write::Version(machine, number, None)), ran);
        Ok(nothing())
    }
}
