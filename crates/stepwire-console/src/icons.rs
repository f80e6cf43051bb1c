//! Small drawings.

use maud::{Markup, PreEscaped, html};

use crate::frame::Section;

/// The symbols that pages refer to by `#id`: `i-…` kinds of states, `b-…` marks.
pub fn sprite() -> Markup {
    PreEscaped(include_str!("../assets/sprite.svg").to_owned())
}

/// The mark of the product.
pub(crate) fn logo() -> Markup {
    html! {
        svg.logo viewBox="0 0 26 26" aria-hidden="true" {
            rect.lb width="26" height="26" rx="7" {}
            path.lp d="M6 19h5v-6h5V7h4" fill="none" {}
            circle.lc cx="6" cy="19" r="2" {}
            circle.lc cx="20" cy="7" r="2" {}
        }
    }
}

/// A lens.
pub(crate) fn glass() -> Markup {
    line(r#"<circle cx="7" cy="7" r="4.5"/><path d="M10.5 10.5L14 14"/>"#)
}

/// The sign of an entry of the rail.
pub fn section(section: Section) -> Markup {
    line(match section {
        Section::Overview => r#"<path d="M2 13V8M6 13V4M10 13V6M14 13V2"/>"#,
        Section::Devices => {
            r#"<rect x="4" y="4" width="8" height="8" rx="2"/><path d="M6 2v2M10 2v2M6 12v2M10 12v2M2 6h2M2 10h2M12 6h2M12 10h2"/>"#
        }
        Section::Live => r#"<path d="M2 8h2.5L6 3l3.5 10L11 8h3"/>"#,
        Section::Rules => r#"<path d="M2 4h12M4 8h8M6 12h4"/>"#,
        Section::Workflows => {
            r#"<circle cx="8" cy="3" r="1.7"/><circle cx="4" cy="12.6" r="1.7"/><circle cx="12" cy="12.6" r="1.7"/><path d="M8 4.8v2.4M8 7.2c0 2-4 1.4-4 3.6M8 7.2c0 2 4 1.4 4 3.6"/>"#
        }
        Section::Executions => r#"<path d="M2 4h7M2 8h11M2 12h5"/><path d="M12 3l2 1-2 1z"/>"#,
        Section::Rollouts => {
            r#"<circle cx="8" cy="8" r="6"/><path d="M8 8V2a6 6 0 0 1 6 6z" fill="currentColor"/>"#
        }
        Section::Functions => r#"<path d="M4 13l4-8L6.8 2.4H5M8 5l4 8"/>"#,
        Section::Tables => {
            r#"<rect x="2" y="3" width="12" height="10" rx="1.5"/><path d="M2 7h12M6 7v6"/>"#
        }
        Section::System => {
            r#"<circle cx="8" cy="8" r="2.2"/><path d="M8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6l1.4 1.4M11 11l1.4 1.4M12.4 3.6L11 5M5 11l-1.4 1.4"/>"#
        }
    })
}

/// A drawing of lines on a field of 16 by 16.
fn line(paths: &'static str) -> Markup {
    html! {
        svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5"
            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" { (PreEscaped(paths)) }
    }
}
