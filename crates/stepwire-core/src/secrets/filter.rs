//! Which secrets are listed.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::Secret;
use crate::error::ApiError;
use crate::params::Params;

const FILTERS_MAX: usize = 10;
const VALUES_MAX: usize = 10;

/// One of `Filters`. A secret passes if one of the values fits; `!` before a value turns it round.
#[derive(Debug, Clone)]
pub struct Filter {
    by: By,
    values: Vec<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Name,
    Description,
    TagKey,
    TagValue,
    PrimaryRegion,
    OwningService,
    All,
}

impl Filter {
    pub(super) fn parse(params: Params<'_>) -> Result<Vec<Filter>, ApiError> {
        let given = params.get("Filters").and_then(Json::as_array).unwrap_or_default();
        if given.len() > FILTERS_MAX {
            let why = format!("Member must have length less than or equal to {FILTERS_MAX}");
            return Err(params.broken("filters", None, &why));
        }
        given.iter().map(|filter| Filter::one(filter, params)).collect()
    }

    fn one(filter: &Json, params: Params<'_>) -> Result<Filter, ApiError> {
        let by = match filter.member("Key").and_then(Json::as_str).unwrap_or_default() {
            "name" => By::Name,
            "description" => By::Description,
            "tag-key" => By::TagKey,
            "tag-value" => By::TagValue,
            "primary-region" => By::PrimaryRegion,
            "owning-service" => By::OwningService,
            "all" => By::All,
            other => {
                let constraint = "Member must satisfy enum value set: [all, name, tag-key, \
                                  description, tag-value, primary-region, owning-service]";
                return Err(params.broken("filters.1.member.key", Some(other), constraint));
            }
        };
        let values = filter.member("Values").and_then(Json::as_array).unwrap_or_default();
        let values: Vec<Arc<str>> = values.iter().filter_map(Json::as_str).map(Arc::from).collect();
        if values.is_empty() || values.len() > VALUES_MAX {
            let message = "Invalid filter values.";
            return Err(ApiError::new("InvalidParameterException", message));
        }
        Ok(Filter { by, values })
    }

    /// Whether a secret passes.
    pub(super) fn passes(&self, secret: &Secret) -> bool {
        self.values.iter().any(|value| match value.strip_prefix('!') {
            Some(value) => !self.fits(secret, value),
            None => self.fits(secret, value),
        })
    }

    fn fits(&self, secret: &Secret, value: &str) -> bool {
        let lower = value.to_lowercase();
        let described = secret.description.as_deref().unwrap_or_default().to_lowercase();
        match self.by {
            By::Name => secret.name.starts_with(value),
            By::Description => described.starts_with(&lower),
            By::TagKey => secret.tags.iter().any(|(key, _)| key.starts_with(value)),
            By::TagValue => secret.tags.iter().any(|(_, own)| own.starts_with(value)),
            // There are no replicas, and no service of AWS's makes secrets.
            By::PrimaryRegion | By::OwningService => false,
            By::All => {
                let tags = secret.tags.iter().flat_map(|(key, value)| [key, value]);
                let own = tags.chain([&secret.name]).map(|text| text.to_lowercase());
                let own: Vec<String> = own.chain([described]).collect();
                lower.split_whitespace().all(|word| own.iter().any(|text| text.contains(word)))
            }
        }
    }
}
