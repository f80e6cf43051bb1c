//! From text to values, each with its place.

use crate::diagnostic::Diagnostic;
use crate::value::Value;

mod yaml;

/// The value that `source` writes.
pub(crate) fn read(source: &str) -> Result<Value, Vec<Diagnostic>> {
    yaml::read(source).map_err(|diagnostic| vec![diagnostic])
}
