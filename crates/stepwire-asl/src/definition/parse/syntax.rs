//! Text that is not JSON, told as Step Functions tells it.

use crate::Json;
use crate::diagnostic::Diagnostic;

const CODE: &str = "INVALID_JSON_DESCRIPTION";
/// Characters of the text that a message quotes.
const QUOTED_MAX: usize = 500;

/// The JSON that `text` is.
pub(in crate::definition) fn parse(text: &str) -> Result<Json, Diagnostic> {
    Json::parse(text).map_err(|error| {
        let word = unknown_word(text);
        let (message, line, column) = match word {
            Some(word) => {
                let known = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'";
                let message = format!("Unrecognized token '{word}': was expecting ({known})");
                (message, 1, text.len() - text.trim_start().len() + word.chars().count() + 1)
            }
            None => (error.message, error.line, error.column),
        };
        let quoted: String = text.chars().take(QUOTED_MAX).collect();
        let place = format!("[Source: (String)\"{quoted}\"; line: {line}, column: {column}]");
        Diagnostic::error(CODE, format!("{message}\n at {place}"), place)
    })
}

/// The word that stands where a value should, when the text begins with one.
fn unknown_word(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches([' ', '\t']);
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let word = &rest[..end];
    let is_word = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (is_word && !matches!(word, "null" | "true" | "false")).then_some(word)
}
