//! Payloads and other JSON as people read them.

use maud::{Markup, html};
use stepwire_asl::Json;

use crate::json::coloured;

/// Bytes of a payload that are shown whole.
pub const WHOLE_MAX: usize = 65_536;
/// Characters of a payload in one line.
const LINE_MAX: usize = 160;

/// How bytes are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON if it is, else text if it is, else hexadecimal digits.
    #[default]
    Auto,
    /// Text; what is not UTF-8 in it is replaced.
    Text,
    /// Indented JSON.
    Json,
    /// Hexadecimal digits beside the text.
    Hex,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 4] = [Form::Auto, Form::Text, Form::Json, Form::Hex];

    /// What addresses call it.
    pub fn name(self) -> &'static str {
        match self {
            Form::Auto => "auto",
            Form::Text => "text",
            Form::Json => "json",
            Form::Hex => "hex",
        }
    }

    /// The one that an address names; the automatic one for any other name.
    pub fn named(name: &str) -> Form {
        Form::ALL.into_iter().find(|form| form.name() == name).unwrap_or_default()
    }
}

/// The beginning of a payload in one line.
pub fn line(bytes: &[u8], form: Form) -> String {
    let text = match (form, std::str::from_utf8(bytes)) {
        (Form::Hex, _) | (Form::Auto | Form::Json, Err(_)) => digits(bytes),
        (_, Ok(text)) => text.to_owned(),
        (Form::Text, Err(_)) => String::from_utf8_lossy(bytes).into_owned(),
    };
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), LINE_MAX)
}

/// A payload as a block; of a long one the beginning, and how long it is.
pub fn block(bytes: &[u8], form: Form) -> Markup {
    let shown = &bytes[..bytes.len().min(WHOLE_MAX)];
    let json = matches!(form, Form::Auto | Form::Json).then(|| Json::parse_bytes(bytes).ok());
    html! {
        @if bytes.is_empty() { p.dim { "empty" } }
        @else if let Some(Some(json)) = json { (pretty(&json)) }
        @else {
            @if form == Form::Json { p.dim { "It is not JSON." } }
            @match (form, text(shown, bytes.len() > shown.len())) {
                (Form::Hex, _) | (Form::Auto | Form::Json, None) => { (code(&dump(shown))) }
                (_, Some(text)) => { (code(text)) }
                (Form::Text, None) => { (code(&String::from_utf8_lossy(shown))) }
            }
            @if bytes.len() > shown.len() { p.dim { "The first " (shown.len()) " of " (bytes.len()) " bytes." } }
        }
    }
}

/// Bytes as text, if they are; of the beginning of something longer, up to the last whole character.
fn text(bytes: &[u8], is_beginning: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if is_beginning && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// Text as it is, in a box that scrolls.
pub fn code(text: &str) -> Markup {
    html! { pre tabindex="0" role="group" aria-label="Text" { (text) } }
}

/// Indented JSON in a box that scrolls.
pub fn pretty(json: &Json) -> Markup {
    html! { pre tabindex="0" role="group" aria-label="JSON" { (coloured(json, usize::MAX).0) } }
}

/// The beginning of a text of more than `max` characters.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().take(LINE_MAX).map(|byte| format!("{byte:02x} ")).collect()
}

/// Sixteen bytes a line: place, digits, text.
fn dump(bytes: &[u8]) -> String {
    let line = |(row, chunk): (usize, &[u8])| {
        let digits: String = chunk.iter().map(|byte| format!("{byte:02x} ")).collect();
        let seen = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let text: String = chunk.iter().map(seen).collect();
        format!("{:06x}  {digits:<48} {text}\n", row * 16)
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_as_what_it_is() {
        assert_eq!(line(b"{\"a\":\n  1}", Form::Auto), "{\"a\": 1}");
        assert_eq!(line(b"hi", Form::Hex), "68 69");
        assert_eq!(line(b"\xff\x00", Form::Auto), "ff 00");
        assert_eq!(line(b"\xffa", Form::Text), "\u{fffd}a");
        assert!(block(b"\xff", Form::Json).0.contains("It is not JSON"));
        assert!(block(b"", Form::Auto).0.contains("empty"));
        let long = "é".repeat(WHOLE_MAX);
        assert!(block(&long.as_bytes()[..WHOLE_MAX + 7], Form::Auto).0.contains("éé"));
    }

    #[test]
    fn nothing_of_it_is_markup() {
        assert!(!block(b"<script>", Form::Text).0.contains("<script"));
        assert!(!block(br#"["<script>"]"#, Form::Auto).0.contains("<script"));
    }

    #[test]
    fn bytes_are_dumped_beside_their_text() {
        assert!(dump(b"ab\x00").starts_with("000000  61 62 00 "));
        assert!(dump(b"ab\x00").ends_with(" ab.\n"));
    }
}
