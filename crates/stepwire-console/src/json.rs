//! JSON as people read it: over several lines, and coloured.

use maud::{Markup, html};
use stepwire_asl::Json;

/// A value over several lines, two spaces a level; numbers as they were written.
pub fn indented(value: &Json) -> String {
    let mut text = String::new();
    write(value, 0, &mut |piece, _| text.push_str(piece));
    text
}

/// The same in colours: `max` bytes of it, and of one text no more than a quarter of them, so that
/// what comes after a long one is seen too. Gives how many bytes the whole has, and whether all of
/// them are there.
pub(crate) fn coloured(value: &Json, max: usize) -> (Markup, usize, bool) {
    let mut pieces: Vec<(String, &'static str)> = Vec::new();
    let (mut length, mut left, mut is_whole) = (0, max, true);
    write(value, 0, &mut |whole, class| {
        length += whole.len();
        let piece = beginning(whole, left.min(if class == "v" { max / 4 } else { max }));
        left -= piece.len();
        let cut;
        let piece = if piece.len() < whole.len() {
            is_whole = false;
            cut = format!("{piece}…");
            if piece.is_empty() { "" } else { &cut }
        } else {
            piece
        };
        match pieces.last_mut() {
            _ if piece.is_empty() => {}
            Some((text, of)) if *of == class => text.push_str(piece),
            _ => pieces.push((piece.to_owned(), class)),
        }
    });
    let drawn = html! {
        @for (text, class) in &pieces {
            @if class.is_empty() { (text) } @else { span class=(class) { (text) } }
        }
    };
    (drawn, length, is_whole)
}

/// At most `max` bytes of a text, whole characters.
fn beginning(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Gives the pieces of a value, each with the class of its colour.
fn write(value: &Json, depth: usize, out: &mut impl FnMut(&str, &'static str)) {
    let indent = |depth: usize| "  ".repeat(depth);
    match value {
        Json::Object(members) if !members.is_empty() => {
            out("{\n", "");
            for (index, (name, value)) in members.iter().enumerate() {
                out(&indent(depth + 1), "");
                out(&Json::from(&**name).to_text(), "k");
                out(": ", "");
                write(value, depth + 1, out);
                out(if index + 1 < members.len() { ",\n" } else { "\n" }, "");
            }
            out(&indent(depth), "");
            out("}", "");
        }
        Json::Array(items) if !items.is_empty() => {
            out("[\n", "");
            for (index, value) in items.iter().enumerate() {
                out(&indent(depth + 1), "");
                write(value, depth + 1, out);
                out(if index + 1 < items.len() { ",\n" } else { "\n" }, "");
            }
            out(&indent(depth), "");
            out("]", "");
        }
        Json::String(_) => out(&value.to_text(), "v"),
        Json::Object(_) | Json::Array(_) => out(&value.to_text(), ""),
        Json::Null | Json::Bool(_) | Json::Number(_) => out(&value.to_text(), "u"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_a_person_would() {
        let text = "{\n  \"a\": [\n    1.50,\n    \"x\\\"y\",\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n  },\n  \"d\": []\n}";
        let value = Json::parse(r#"{"a":[1.50,"x\"y",{}],"b":{"c":null},"d":[]}"#).unwrap();
        assert_eq!(indented(&value), text);
        assert_eq!(Json::parse(text).unwrap(), value);
    }

    #[test]
    fn nothing_of_it_is_markup() {
        let json = Json::parse(r#"{"<img onerror=x>": ["</pre><script>"]}"#).unwrap();
        let (drawn, length, is_whole) = coloured(&json, usize::MAX);
        assert!(is_whole);
        assert!(!drawn.0.contains("<img") && !drawn.0.contains("<script"), "{}", drawn.0);
        assert_eq!(length, indented(&json).len());
        assert!(coloured(&json, 10).0.into_string().len() < 60);
    }

    #[test]
    fn a_long_text_is_cut_and_what_follows_is_there() {
        let json =
            Json::parse(&format!(r#"{{"blob":"{}","list":[1]}}"#, "ä".repeat(5_000))).unwrap();
        let (drawn, length, is_whole) = coloured(&json, 4_001);
        let drawn = drawn.into_string();
        assert!(!is_whole && length > 10_000 && drawn.len() < 2_000, "{drawn}");
        assert!(drawn.contains("ää…") && drawn.contains("&quot;list&quot;"), "{drawn}");
        let text = Json::parse(&format!(r#""{}""#, "x".repeat(9_000))).unwrap();
        let (drawn, _, is_whole) = coloured(&text, 1_000);
        assert!(!is_whole && drawn.into_string().contains("xxx…"));
    }
}
