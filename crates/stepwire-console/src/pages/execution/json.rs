//! JSON as it is shown: coloured, and what is different between two values.

use maud::{Markup, html};
use stepwire_asl::Json;

/// Characters of one value that are shown.
const SHOWN_MAX: usize = 100_000;
/// Lines of a comparison that are shown.
const LINES_MAX: usize = 2_000;

/// A value over several lines, as plain text.
pub fn pretty(value: &Json) -> String {
    let mut text = String::new();
    write(value, 0, &mut |piece, _| text.push_str(piece));
    text
}

/// A value as a block of coloured text.
pub(super) fn block(value: &Json, label: &str) -> Markup {
    let mut pieces: Vec<(String, &'static str)> = Vec::new();
    let mut length = 0;
    write(value, 0, &mut |piece, class| {
        length += piece.len();
        if length > SHOWN_MAX {
            return;
        }
        match pieces.last_mut() {
            Some((text, of)) if *of == class => text.push_str(piece),
            _ => pieces.push((piece.to_owned(), class)),
        }
    });
    html! {
        pre tabindex="0" role="group" aria-label=(label) {
            @for (text, class) in &pieces {
                @if class.is_empty() { (text) } @else { span class=(class) { (text) } }
            }
        }
        @if length > SHOWN_MAX {
            p.dim { "The first " (SHOWN_MAX / 1_000) " kB of " (length / 1_000) " kB; Export JSON has all of it." }
        }
    }
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

/// How a line of a comparison stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Same,
    Gone,
    New,
}

/// What is different in `after`.
pub(super) fn changes(before: &Json, after: &Json) -> Markup {
    if before == after {
        return html! { p.dim { "The output is the input as it was." } };
    }
    let mut lines = Vec::new();
    compare(None, Some(before), Some(after), 0, &mut lines);
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    html! {
        pre.diff tabindex="0" role="group" aria-label="Changes from input to output" {
            @for (sign, text) in &lines {
                @match sign {
                    Sign::Same => span.same { "  " (text) "\n" },
                    Sign::Gone => del { "- " (text) "\n" },
                    Sign::New => ins { "+ " (text) "\n" },
                }
            }
        }
        @if more > 0 { p.dim { (more) " more lines." } }
    }
}

fn compare(
    name: Option<&str>,
    before: Option<&Json>,
    after: Option<&Json>,
    depth: usize,
    lines: &mut Vec<(Sign, String)>,
) {
    let indent = "  ".repeat(depth);
    let named = name.map(|name| format!("{}: ", Json::from(name).to_text())).unwrap_or_default();
    match (before, after) {
        (Some(Json::Object(before)), Some(Json::Object(after))) => {
            lines.push((Sign::Same, format!("{indent}{named}{{")));
            for (name, value) in before.iter() {
                compare(Some(name), Some(value), after.get(name), depth + 1, lines);
            }
            for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                compare(Some(name), None, Some(value), depth + 1, lines);
            }
            lines.push((Sign::Same, format!("{indent}}}")));
        }
        (Some(before), Some(after)) if before == after => {
            lines.push((Sign::Same, format!("{indent}{named}{}", short(before))));
        }
        (before, after) => {
            for (sign, value) in [(Sign::Gone, before), (Sign::New, after)] {
                let Some(value) = value else { continue };
                let text = pretty(value);
                let whole = format!("{named}{text}");
                lines.extend(whole.lines().map(|line| (sign, format!("{indent}{line}"))));
            }
        }
    }
}

/// A value that did not change, on one line.
fn short(value: &Json) -> String {
    const MAX: usize = 100;
    let text = value.to_text();
    match text.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn values_are_written_as_a_person_would() {
        let value = json(r#"{"a":[1,"x",{}],"b":{"c":null},"d":[]}"#);
        let text = "{\n  \"a\": [\n    1,\n    \"x\",\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n  },\n  \"d\": []\n}";
        assert_eq!(pretty(&value), text);
        assert_eq!(json(text), value);
    }

    #[test]
    fn a_comparison_says_what_came_and_what_went() {
        let (before, after) = (
            json(r#"{"a":1,"b":{"c":2,"d":[1]}}"#),
            json(r#"{"a":1,"b":{"c":3,"d":[1]},"e":"n"}"#),
        );
        let drawn = changes(&before, &after).into_string();
        assert!(
            drawn
                .contains("<del>-     &quot;c&quot;: 2\n</del><ins>+     &quot;c&quot;: 3\n</ins>"),
            "{drawn}"
        );
        assert!(drawn.contains("<ins>+   &quot;e&quot;: &quot;n&quot;\n</ins>"), "{drawn}");
        assert!(drawn.contains("<span class=\"same\">    &quot;a&quot;: 1\n</span>"), "{drawn}");
    }

    #[test]
    fn what_a_value_holds_is_text() {
        let drawn =
            block(&json(r#"{"<img src=x onerror=alert(1)>":"</pre><script>"}"#), "x").into_string();
        assert!(!drawn.contains("<img") && !drawn.contains("<script"), "{drawn}");
    }
}
