//! From text to values, each with its place.

mod json;
mod yaml;

use std::sync::Arc;

use stepwire_asl::json::Number;

use crate::diagnostic::Diagnostic;
use crate::value::{Data, Place, Value};

/// Bytes of a template.
pub(crate) const BYTES_MAX: usize = 1_000_000;
/// Lists and objects within one another.
pub(crate) const DEPTH_MAX: usize = 100;
/// Values of a template, those of aliases and loops counted each time.
pub(crate) const VALUES_MAX: usize = 200_000;

/// The value that `source` writes: JSON when it begins with a brace and is JSON, else YAML.
///
/// Errors: it is neither, or too much.
pub fn read(source: &str) -> Result<Value, Diagnostic> {
    if source.len() > BYTES_MAX {
        return Err(Diagnostic::new(
            Place::NOWHERE,
            format!("Template may not exceed {BYTES_MAX} bytes in size."),
        ));
    }
    let text = source.strip_prefix('\u{feff}').unwrap_or(source);
    if !text.trim_start().starts_with('{') {
        return yaml::read(text);
    }
    // What begins with a brace may also be YAML in flow style; of neither, JSON is what was meant, and
    // of what is JSON up to a comma too many.
    json::read(text).or_else(|problem| {
        if problem.message.ends_with(json::LAST_COMMA) {
            return Err(problem);
        }
        yaml::read(text).map_err(|_| problem)
    })
}

/// The template has more in it than is taken.
fn too_much(place: Place) -> Diagnostic {
    Diagnostic::new(place, format!("Template format error: more than {VALUES_MAX} values"))
        .hint("aliases and merges count as often as they are used")
}

fn too_deep(place: Place) -> Diagnostic {
    Diagnostic::new(
        place,
        format!("Template format error: more than {DEPTH_MAX} lists and objects in one another"),
    )
}

/// What an unquoted word of YAML is. Dates, numbers with leading zeros, signs, underscores, colons
/// or other bases stay texts: wherever templates have them, the text is meant.
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return truth(true, text);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return truth(false, text);
        }
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let is_number = match digits {
        [b'0', second, ..] => !second.is_ascii_digit(),
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    };
    let number = if is_number { Number::from_text(text) } else { None };
    number.map_or_else(|| Data::String(text.into()), Data::Number)
}

/// `True` is how some write `true`; `yes` is kept.
fn truth(value: bool, text: &str) -> Data {
    let lower = text.to_ascii_lowercase();
    let text = if lower == "true" || lower == "false" { &lower } else { text };
    Data::Bool(value, Arc::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_only_look_like_numbers_stay_texts() {
        for text in
            ["2016-03-23", "2012-10-17", "012345678901", "0x1F", "1_000", "12:30", "+1", "1.2.3"]
        {
            assert_eq!(plain(text), Data::String(text.into()), "{text}");
        }
        assert!(matches!(plain("1.0"), Data::Number(number) if number.to_string() == "1.0"));
        assert!(matches!(plain("yes"), Data::Bool(true, text) if &*text == "yes"));
        assert!(matches!(plain("False"), Data::Bool(false, text) if &*text == "false"));
    }
}
