//! JSON as it is shown: coloured, and what is different between two values.

use maud::{Markup, html};
use stepwire_asl::Json;

use crate::json::{coloured, indented};

/// Characters of one value that are shown.
const SHOWN_MAX: usize = 100_000;
/// Lines of a comparison that are shown.
const LINES_MAX: usize = 2_000;

/// A value as a block of coloured text.
pub(super) fn block(value: &Json, label: &str) -> Markup {
    let (text, length, is_whole) = coloured(value, SHOWN_MAX);
    html! {
        pre tabindex="0" role="group" aria-label=(label) { (text) }
        @if !is_whole {
            p.dim { "Not all of its " (length / 1_000) " kB is shown: what is left out is marked …. Export JSON has all of it." }
        }
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
                let text = indented(value);
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
