//! Refusals and empty answers that every subject of the registry words alike.

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::record::Corrupt;

/// What was asked for is not there.
pub(super) fn missing(what: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("{what} cannot be found."))
}

/// What was asked for cannot be.
pub(super) fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", why)
}

/// A record cannot be read.
pub(super) fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalFailureException", corrupt.to_string())
}

/// The answer of an operation that has nothing to say.
pub(super) fn nothing() -> Json {
    Json::Object(std::sync::Arc::default())
}
