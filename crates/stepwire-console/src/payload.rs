//! Payloads and JSON as text that people read.

use std::fmt::Write as _;

use maud::{Markup, html};
use stepwire_asl::Json;

/// Longest payload that is shown whole, bytes.
pub const SHOWN_MAX: usize = 16 << 10;
/// Levels of JSON that are laid out; what is deeper is written in a line.
const LEVELS: usize = 24;

/// The beginning of a payload in a line: its text, or its bytes in hexadecimal digits.
pub fn line(payload: &[u8], letters_max: usize) -> String {
    let beginning = payload.get(..letters_max * 4).unwrap_or(payload);
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text.to_owned(),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(beginning.get(..error.valid_up_to()).unwrap_or_default()).into()
        }
        Err(_) => return hex(payload, letters_max / 3),
    };
    if text.chars().any(|letter| letter.is_control() && !letter.is_whitespace()) {
        return hex(payload, letters_max / 3);
    }
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > letters_max || beginning.len() < payload.len() {
        line = line.chars().take(letters_max.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

fn hex(payload: &[u8], bytes_max: usize) -> String {
    let digits: Vec<_> = payload.iter().take(bytes_max).map(|byte| format!("{byte:02x}")).collect();
    let more = if payload.len() > bytes_max { " …" } else { "" };
    format!("{}{more}", digits.join(" "))
}

/// A payload in a block: JSON laid out, else its text, else its bytes.
pub fn block(payload: &[u8]) -> Markup {
    if payload.len() <= SHOWN_MAX
        && let Ok(json) = Json::parse_bytes(payload)
    {
        return json_block(&json);
    }
    let shown = payload.get(..SHOWN_MAX).unwrap_or(payload);
    let text = match std::str::from_utf8(shown) {
        Ok(text) => text.to_owned(),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(shown.get(..error.valid_up_to()).unwrap_or_default()).into()
        }
        Err(_) => hex(payload, 1_024),
    };
    html! {
        pre tabindex="0" { (text) @if shown.len() < payload.len() { "…" } }
    }
}

/// JSON laid out, names and values told apart.
pub fn json_block(json: &Json) -> Markup {
    html! { pre tabindex="0" { (part(json, 0)) } }
}

/// JSON laid out as text, for people to change.
pub fn pretty(json: &Json) -> String {
    let mut text = String::new();
    write(json, 0, &mut text);
    text
}

fn write(json: &Json, level: usize, text: &mut String) {
    let indent = |level: usize| "  ".repeat(level);
    match json {
        Json::Object(members) if !members.is_empty() && level < LEVELS => {
            text.push_str("{\n");
            for (index, (name, value)) in members.iter().enumerate() {
                let name = Json::String(name.clone()).to_text();
                let _ = write!(text, "{}{name}: ", indent(level + 1));
                write(value, level + 1, text);
                text.push_str(if index + 1 < members.len() { ",\n" } else { "\n" });
            }
            let _ = write!(text, "{}}}", indent(level));
        }
        Json::Array(items) if !items.is_empty() && level < LEVELS => {
            text.push_str("[\n");
            for (index, item) in items.iter().enumerate() {
                text.push_str(&indent(level + 1));
                write(item, level + 1, text);
                text.push_str(if index + 1 < items.len() { ",\n" } else { "\n" });
            }
            let _ = write!(text, "{}]", indent(level));
        }
        other => text.push_str(&other.to_text()),
    }
}

fn part(json: &Json, level: usize) -> Markup {
    let indent = |level: usize| "  ".repeat(level);
    html! {
        @match json {
            Json::Object(members) if !members.is_empty() && level < LEVELS => {
                "{\n"
                @for (index, (name, value)) in members.iter().enumerate() {
                    (indent(level + 1)) span.k { (Json::String(name.clone()).to_text()) } ": " (part(value, level + 1))
                    @if index + 1 < members.len() { "," } "\n"
                }
                (indent(level)) "}"
            }
            Json::Array(items) if !items.is_empty() && level < LEVELS => {
                "[\n"
                @for (index, item) in items.iter().enumerate() {
                    (indent(level + 1)) (part(item, level + 1))
                    @if index + 1 < items.len() { "," } "\n"
                }
                (indent(level)) "]"
            }
            other => span.v { (other.to_text()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_in_a_line() {
        for (payload, shown) in [
            (&b"{\"a\":\n  1}"[..], "{\"a\": 1}"),
            (b"", ""),
            (b"\x00\x01\xff", "00 01 ff"),
            (b"\xff\xfe\xfd\xfc\xfb\xfa\xf9", "ff fe fd fc …"),
            ("zwölf Boxkämpfer".as_bytes(), "zwölf Boxkä…"),
        ] {
            assert_eq!(line(payload, 12), shown);
        }
    }

    #[test]
    fn json_is_laid_out_and_stays_the_same() {
        let json = Json::parse(r#"{"a":[1,{"b":null}],"c":{},"d":"<b>"}"#).unwrap_or_default();
        let text = pretty(&json);
        assert_eq!(
            text,
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": {},\n  \"d\": \"<b>\"\n}"
        );
        assert_eq!(Json::parse(&text), Ok(json.clone()));
        let drawn = json_block(&json).0;
        assert!(drawn.contains("&lt;b&gt;") && !drawn.contains("<b>"), "{drawn}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let json = Json::parse(&deep).unwrap_or_default();
        assert!(json_block(&json).0.len() < 10_000);
    }
}
