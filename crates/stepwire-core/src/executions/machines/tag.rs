//! Tags of state machines and activities.

use std::sync::Arc;

use stepwire_asl::Json;

use super::super::Executions;
use super::super::record::Write;
use super::super::request::states_resource;
use super::super::run::Ran;
use super::call::nothing;
use crate::error::ApiError;
use crate::settings::Settings;

/// Keys and values, in the order in which they were set.
pub type Tags = Vec<(Arc<str>, Arc<str>)>;

impl Executions {
    pub(super) fn tag(
        &mut self,
        arn: &Arc<str>,
        tags: &[(Arc<str>, Arc<str>)],
        settings: &Settings,
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        self.retag(arn, ran, |there| {
            tags.iter().for_each(|(key, value)| set(there, Arc::clone(key), Arc::clone(value)));
            within(there, arn, settings)
        })
    }

    pub(super) fn untag(
        &mut self,
        arn: &Arc<str>,
        keys: &[Arc<str>],
        ran: &mut Ran,
    ) -> Result<Json, ApiError> {
        self.retag(arn, ran, |there| {
            there.retain(|(key, _)| !keys.contains(key));
            Ok(())
        })
    }

    fn retag(
        &mut self,
        arn: &Arc<str>,
        ran: &mut Ran,
        change: impl FnOnce(&mut Tags) -> Result<(), ApiError>,
    ) -> Result<Json, ApiError> {
        match tagged(arn).ok_or_else(|| not_found(arn))? {
            Tagged::Machine(name) => {
                let machine = self.machines.named(&name).ok_or_else(|| not_found(arn))?;
                let mut record = machine.record.as_ref().clone();
                change(&mut record.tags)?;
                if record != *machine.record {
                    self.record_machine(record, ran);
                }
            }
            Tagged::Activity(name) => {
                let activity = self.activities.named(&name).ok_or_else(|| not_found(arn))?;
                let mut record = activity.as_ref().clone();
                change(&mut record.tags)?;
                if record != **activity {
                    self.record(Write::Activity(name, Some(Arc::new(record))), ran);
                }
            }
        }
        Ok(nothing())
    }
}

/// What can have tags.
pub(super) enum Tagged {
    /// A state machine, by name.
    Machine(Arc<str>),
    /// An activity, by name.
    Activity(Arc<str>),
}

/// What can have tags and has this ARN: versions and aliases cannot.
pub(super) fn tagged(arn: &str) -> Option<Tagged> {
    match states_resource(arn).ok()? {
        (_, name) if name.contains([':', '\0']) => None,
        ("stateMachine", name) => Some(Tagged::Machine(name.into())),
        ("activity", name) => Some(Tagged::Activity(name.into())),
        _ => None,
    }
}

/// Sets one tag.
pub(in super::super) fn set(tags: &mut Tags, key: Arc<str>, value: Arc<str>) {
    match tags.iter_mut().find(|(there, _)| *there == key) {
        Some((_, there)) => *there = value,
        None => tags.push((key, value)),
    }
}

/// Refuses more tags than a resource may have.
pub(in super::super) fn within(
    tags: &[(Arc<str>, Arc<str>)],
    arn: &str,
    settings: &Settings,
) -> Result<(), ApiError> {
    let max = settings.quotas.tags_max;
    if tags.len() as u64 <= max {
        return Ok(());
    }
    let message = format!("Too Many Tags: '{arn}' can have at most {max} tags");
    Err(ApiError::new("TooManyTags", message))
}

/// As ListTagsForResource shows them.
pub(in super::super) fn shown(tags: &[(Arc<str>, Arc<str>)]) -> Json {
    let tag = |(key, value): &(Arc<str>, Arc<str>)| {
        Json::object([
            ("key", Json::String(Arc::clone(key))),
            ("value", Json::String(Arc::clone(value))),
        ])
    };
    Json::object([("tags", Json::array(tags.iter().map(tag)))])
}

/// The error that nothing taggable has this ARN.
pub(in super::super) fn not_found(arn: &str) -> ApiError {
    ApiError::new("ResourceNotFound", format!("Resource not found: '{arn}'"))
}
