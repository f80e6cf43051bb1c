//! Text that is not JSON, told as Step Functions tells it.

use crate::Json;
use crate::diagnostic::{Diagnostic, Topic};
use crate::source::Source;

const CODE: &str = "INVALID_JSON_DESCRIPTION";

/// The JSON that `text` is.
pub(in crate::definition) fn parse(text: &str) -> Result<Json, Diagnostic> {
    if text.trim().is_empty() {
        let message = "Received a null or empty workflow input";
        let missing = Diagnostic::error("MISSING_DESCRIPTION", message, "");
        return Err(Diagnostic { location: None, ..missing }.about(Topic::Syntax));
    }
    if let Err(fault) = Source::read(text) {
        let place = fault.location(text);
        let message = format!("{}\n at {place}", fault.message);
        let twice = fault.message.starts_with("Duplicate field");
        let topic = if twice { Topic::Duplicate } else { Topic::Syntax };
        return Err(Diagnostic::error(CODE, message, place).about(topic));
    }
    // Whatever a Source is, serde_json reads; a property test holds the two together.
    Json::parse(text).map_err(|error| Diagnostic::error(CODE, error.to_string(), "/"))
}
