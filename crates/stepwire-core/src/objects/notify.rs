//! Notifications: what is told when objects come and go.

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::params::Params;

/// The configuration to keep, if it is one that can be carried out.
pub(super) fn check(document: &Json) -> Result<String, ApiError> {
    let params = Params::new(document, "MalformedXML");
    params.only(&[
        "TopicConfigurations",
        "QueueConfigurations",
        "LambdaFunctionConfigurations",
        "EventBridgeConfiguration",
    ])?;
    if document.as_object().is_some_and(indexmap::IndexMap::is_empty) {
        return Ok(document.to_text());
    }
    let message = "notifications of buckets are not available in stepwire yet";
    Err(ApiError::new("NotImplemented", message))
}
