//! Aliases: names that lead to one or two versions, by weight.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::super::Executions;
use super::super::call::seconds;
use super::super::record;
use super::super::run::{Ran, machine_arn};
use super::call::nothing;
use super::request::AliasName;
use super::{AliasRecord, Route, Write};
use crate::error::ApiError;
use crate::settings::Settings;

/// Most aliases of a state machine, as on AWS.
const ALIASES_MAX: usize = 100;

impl Executions {
    pub(super) fn create_alias(
        &mut self,
        now: Timestamp,
        alias: &AliasName,
        description: Option<&Arc<str>>,
        routes: &[Route],
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        let machine = self.live(&alias.machine, settings)?.record.number;
        self.check_routes(machine, routes)?;
        let key = (machine, Arc::clone(&alias.name));
        let created = match self.machines.aliases.get(&key) {
            Some(there) if there.routes == routes && there.description.as_ref() == description => {
                there.created
            }
            Some(_) => {
                let message = "Failed to create alias because an alias with the same name and a \
                               different routing configuration already exists.";
                return Err(ApiError::new("ConflictException", message));
            }
            None if self.machines.aliases_of(machine).count() >= ALIASES_MAX => {
                let message = format!("A state machine can have at most {ALIASES_MAX} aliases.");
                return Err(ApiError::new("ServiceQuotaExceededException", message));
            }
            None => {
                let (description, routes) = (description.cloned(), routes.to_vec());
                let record = AliasRecord { description, routes, created: now, updated: now };
                self.record_alias(machine, &alias.name, Some(record), ran);
                now
            }
        };
        let arn = format!("{}:{}", machine_arn(settings, &alias.machine), alias.name);
        let members =
            [("stateMachineAliasArn", Json::from(arn)), ("creationDate", seconds(created))];
        Ok(Json::object(members))
    }

    pub(super) fn update_alias(
        &mut self,
        now: Timestamp,
        alias: &AliasName,
        description: Option<&Arc<str>>,
        routes: Option<&[Route]>,
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        let machine = self.machines.named(&alias.machine).map(|machine| machine.record.number);
        let key = machine.map(|machine| (machine, Arc::clone(&alias.name)));
        let there = key.as_ref().and_then(|key| self.machines.aliases.get(key)).cloned();
        let (Some(machine), Some(there)) = (machine, there) else { return Err(missing()) };
        if let Some(routes) = routes {
            self.check_routes(machine, routes)?;
        }
        let record = AliasRecord {
            description: description.cloned().or(there.description),
            routes: routes.map_or(there.routes, <[Route]>::to_vec),
            created: there.created,
            updated: now,
        };
        self.record_alias(machine, &alias.name, Some(record), ran);
        Ok(Json::object([("updateDate", seconds(now))]))
    }

    /// Deleting what is not there succeeds, as on AWS.
    pub(super) fn delete_alias(&mut self, alias: &AliasName, ran: &mut Ran) -> Json {
        if let Some(machine) = self.machines.named(&alias.machine) {
            let machine = machine.record.number;
            if self.machines.aliases.contains_key(&(machine, Arc::clone(&alias.name))) {
                self.record_alias(machine, &alias.name, None, ran);
            }
        }
        nothing()
    }

    /// Refuses routes to versions that are not there.
    fn check_routes(&self, machine: u64, routes: &[Route]) -> Result<(), ApiError> {
        let there = |route: &Route| self.machines.versions.contains_key(&(machine, route.version));
        if routes.iter().all(there) { Ok(()) } else { Err(missing()) }
    }

    fn record_alias(
        &mut self,
        machine: u64,
        name: &Arc<str>,
        alias: Option<AliasRecord>,
        ran: &mut Ran,
    ) {
        let part = Write::Alias(machine, Arc::clone(name), alias);
        self.record(record::Write::Part(part), ran);
    }
}

pub(super) fn missing() -> ApiError {
    ApiError::new("ResourceNotFound", "Request references a resource that does not exist.")
}
