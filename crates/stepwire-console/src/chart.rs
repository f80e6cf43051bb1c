//! Small charts.

use maud::{Markup, html};

/// Width and height of a chart's field.
const FIELD: (f64, f64) = (240.0, 44.0);

/// `values` as bars, oldest first, scaled to the largest. `label` says what they are, to those who
/// do not see them too.
pub fn bars(values: &[u64], label: &str) -> Markup {
    bars_of(values, values.iter().copied().max().unwrap_or(0), label)
}

/// The same, scaled to `most`.
pub fn bars_of(values: &[u64], most: u64, label: &str) -> Markup {
    let (width, height) = FIELD;
    let most = most.max(1) as f64;
    let step = width / values.len().max(1) as f64;
    html! {
        svg.spark viewBox={ "0 0 " (width) " " (height) } preserveAspectRatio="none" role="img" aria-label=(label) {
            line.base x1="0" x2=(width) y1=(height - 0.5) y2=(height - 0.5) {}
            @for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
                @let tall = (*value as f64 / most * (height - 2.0)).max(1.5);
                rect x=(tenths(at as f64 * step)) y=(tenths(height - tall))
                    width=(tenths((step - 0.8).max(0.6))) height=(tenths(tall)) {}
            }
        }
    }
}

/// How much `part` is of `whole`, as a bar in a row of text.
pub fn share(part: u64, whole: u64, class: &str) -> Markup {
    let width = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
    html! {
        svg class={ "share " (class) } viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.of width="100" height="8" rx="3" {}
            rect.is width=(tenths(width)) height="8" rx="3" {}
        }
    }
}

/// How a whole is divided, as a bar in a row of text: each part with its class. `label` says so to
/// those who do not see it.
pub fn parts(parts: &[(u64, &str)], label: &str) -> Markup {
    let whole = parts.iter().map(|(part, _)| part).sum::<u64>().max(1) as f64;
    let mut before = 0;
    let places = parts.iter().map(|(part, class)| {
        let from = tenths(before as f64 / whole * 100.0);
        before += part;
        (from, tenths(before as f64 / whole * 100.0), *class)
    });
    let places = places.filter(|(from, to, _)| to > from);
    html! {
        svg.parts viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.of width="100" height="8" {}
            @for (from, to, class) in places {
                rect class=(class) x=(from) width=(tenths(to - from)) height="8" {}
            }
        }
    }
}

/// Tenths are fine enough, and the same numbers make the same text.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_fills_the_field() {
        let drawn = bars(&[0, 1, 2], "messages").0;
        assert_eq!(drawn.matches("<rect").count(), 2, "{drawn}");
        assert!(drawn.contains("height=\"42\"") && drawn.contains("height=\"21\""), "{drawn}");
    }

    #[test]
    fn parts_lie_side_by_side() {
        let drawn = parts(&[(1, "ok"), (0, "run"), (3, "err")], "1 done, 3 failed").0;
        assert!(drawn.contains("class=\"ok\" x=\"0\" width=\"25\""), "{drawn}");
        assert!(drawn.contains("class=\"err\" x=\"25\" width=\"75\""), "{drawn}");
        assert!(!drawn.contains("class=\"run\""), "{drawn}");
        assert_eq!(parts(&[(0, "ok")], "none").0.matches("<rect").count(), 1);
    }

    #[test]
    fn nothing_is_a_share_of_nothing() {
        assert!(share(0, 0, "ok").0.contains("class=\"is\" width=\"0\""));
        assert!(share(1, 4, "ok").0.contains("width=\"25\""));
    }
}
