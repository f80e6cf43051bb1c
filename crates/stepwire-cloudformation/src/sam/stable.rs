//! The hashes in logical ids.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use crate::value::{Data, Value};

/// The first ten hex digits of the SHA-1 of `value`: of a text as it is, of anything else as JSON
/// with sorted names, no blanks and only ASCII.
pub(super) fn hash(value: &Value) -> String {
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let mut text = String::new();
            write(value, &mut text);
            text
        }
    };
    let digest = Sha1::digest(text.as_bytes());
    digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

fn write(value: &Value, out: &mut String) {
    match &value.data {
        Data::Null => out.push_str("null"),
        Data::Bool(value, _) => out.push_str(if *value { "true" } else { "false" }),
        Data::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Data::String(text) => string(text, out),
        Data::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Data::Map(members) => {
            out.push('{');
            let mut names: Vec<_> = members.keys().collect();
            names.sort();
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(name, out);
                out.push(':');
                if let Some(value) = members.get(name) {
                    write(value, out);
                }
            }
            out.push('}');
        }
    }
}

pub(super) fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepwire_asl::Json;

    #[test]
    fn the_order_of_members_does_not_matter() {
        let of = |text: &str| hash(&Value::from_json(&Json::parse(text).expect("JSON")));
        assert_eq!(of(r#"{"a":1,"b":[true]}"#), of(r#"{"b":[true],"a":1}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
    }
}
