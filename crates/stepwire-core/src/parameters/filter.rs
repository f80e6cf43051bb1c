//! Which parameters a list shows.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::Parameter;
use crate::error::ApiError;
use crate::params::Params;

/// One of the filters of a request; a parameter must pass all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    field: Field,
    how: How,
    values: Vec<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Name,
    Type,
    KeyId,
    Path,
    Tier,
    DataType,
    Tag(Arc<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Equals,
    BeginsWith,
    Contains,
    Recursive,
    OneLevel,
}

impl Filter {
    /// `ParameterFilters`, or the older `Filters`, of a request. `keys` are those it may name.
    pub(super) fn parse(params: Params<'_>, keys: &[&str]) -> Result<Vec<Filter>, ApiError> {
        let older = params.get("Filters").and_then(Json::as_array).unwrap_or_default();
        let newer = params.get("ParameterFilters").and_then(Json::as_array).unwrap_or_default();
        if !older.is_empty() && !newer.is_empty() {
            let message = "You can use either Filters or ParameterFilters in a single request.";
            return Err(ApiError::new("ValidationException", message));
        }
        let older = older.iter().map(|filter| Filter::of(filter, keys, How::BeginsWith));
        older.chain(newer.iter().map(|filter| Filter::of(filter, keys, How::Equals))).collect()
    }

    fn of(filter: &Json, keys: &[&str], default: How) -> Result<Filter, ApiError> {
        let params = Params::new(filter, "InvalidFilterKey");
        params.only(&["Key", "Option", "Values"])?;
        let key = params.text("Key")?;
        let field = match key {
            "Name" => Field::Name,
            "Type" => Field::Type,
            "KeyId" => Field::KeyId,
            "Path" => Field::Path,
            "Tier" => Field::Tier,
            "DataType" => Field::DataType,
            other => match other.strip_prefix("tag:") {
                Some(tag) => Field::Tag(tag.into()),
                None => return Err(unknown(key)),
            },
        };
        let by_tag = matches!(field, Field::Tag(_)) && keys.contains(&"tag");
        if !by_tag && !keys.contains(&key) {
            return Err(unknown(key));
        }
        let how = match (params.optional_text("Option")?, &field) {
            (None | Some("OneLevel"), Field::Path) => How::OneLevel,
            (None, Field::Name) => default,
            (None | Some("Equals"), _) => How::Equals,
            (Some("BeginsWith"), Field::Name) => How::BeginsWith,
            (Some("Contains"), Field::Name) => How::Contains,
            (Some("Recursive"), Field::Path) => How::Recursive,
            (Some(other), _) => {
                let message = format!("The following filter option is not valid: {other}.");
                return Err(ApiError::new("InvalidFilterOption", message));
            }
        };
        let values = params.get("Values").and_then(Json::as_array).unwrap_or_default();
        let values: Vec<Arc<str>> = values.iter().filter_map(Json::as_str).map(Arc::from).collect();
        if values.is_empty() && !matches!(field, Field::Tag(_)) {
            let message = format!("The filter values are missing for filter key {key}.");
            return Err(ApiError::new("InvalidFilterValue", message));
        }
        Ok(Filter { field, how, values })
    }

    /// Whether `parameter` is shown.
    pub(super) fn passes(&self, parameter: &Parameter) -> bool {
        let current = &parameter.current;
        let found = match &self.field {
            Field::Name | Field::Path => &*parameter.name,
            Field::Type => current.kind.name(),
            Field::Tier => current.tier.name(),
            Field::DataType => "text",
            Field::KeyId => match &current.key_id {
                Some(key_id) => key_id,
                None => return false,
            },
            Field::Tag(tag) => match parameter.tags.iter().find(|(key, _)| key == tag) {
                Some((_, value)) => value,
                None => return false,
            },
        };
        let one = |value: &str| match self.how {
            How::Equals => same_name(found, value),
            How::BeginsWith => {
                found.starts_with(value) || found.trim_start_matches('/').starts_with(value)
            }
            How::Contains => found.contains(value),
            How::Recursive => under(found, value).is_some(),
            How::OneLevel => under(found, value).is_some_and(|rest| !rest.contains('/')),
        };
        self.values.is_empty() || self.values.iter().any(|value| one(value))
    }
}

fn same_name(found: &str, value: &str) -> bool {
    found == value || found.strip_prefix('/').is_some_and(|found| found == value)
}

/// What follows a path in a name that is under it.
pub(super) fn under<'a>(name: &'a str, path: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(path.trim_end_matches('/'))?;
    rest.strip_prefix('/')
}

fn unknown(key: &str) -> ApiError {
    let message = format!("The following filter key is not valid: {key}.");
    ApiError::new("InvalidFilterKey", message)
}
