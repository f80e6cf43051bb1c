//! What the address of a template names.

use super::Source;
use crate::error::ApiError;
use crate::objects;
use crate::stacks::validation;

/// The object that an address names, whatever its host.
pub(in crate::stacks) fn object(url: &str) -> Result<Source, ApiError> {
    objects::named_by(url)
        .map(|(bucket, key)| Source::Object { bucket, key })
        .ok_or_else(|| validation("TemplateURL must be a supported URL."))
}
