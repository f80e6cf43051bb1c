//! Tags of state machines.

use std::sync::Arc;

use stepwire_asl::Json;

use super::super::Executions;
use super::super::record::MachineRecord;
use super::super::run::Ran;
use super::MachineArn;
use super::call::nothing;
use crate::error::ApiError;
use crate::settings::Settings;

/// Keys and values, in the order in which they were set.
pub(in super::super) type Tags = Vec<(Arc<str>, Arc<str>)>;

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
        let named = MachineArn::parse(arn).ok().filter(|named| named.qualifier.is_none());
        let machine = named.and_then(|named| self.machines.named(&named.name));
        let record = &machine.ok_or_else(|| not_found(arn))?.record;
        let mut tags = record.tags.clone();
        change(&mut tags)?;
        if tags != record.tags {
            self.record_machine(MachineRecord { tags, ..record.as_ref().clone() }, ran);
        }
        Ok(nothing())
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
