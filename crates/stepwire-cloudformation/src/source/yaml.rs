//! YAML.

use crate::diagnostic::Diagnostic;
use crate::value::{Place, Value};

pub(super) fn read(source: &str) -> Result<Value, Diagnostic> {
    let _ = source;
    Err(Diagnostic::new(Place::NOWHERE, "not yet"))
}
