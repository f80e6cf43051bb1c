//! The page that says what went wrong, and what to do.

use maud::html;

use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;

/// Why a page cannot be shown, or something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// What went wrong, in a sentence without a full stop.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// There is nothing at this address, or no longer.
    pub fn not_found(what: impl Into<String>) -> Problem {
        Problem { status: 404, what: what.into(), hint: None }
    }

    /// What was asked for cannot be.
    pub fn refused(what: impl Into<String>) -> Problem {
        Problem { status: 400, what: what.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }
}

/// Draws it. `back` is where the reader came from.
pub fn problem(problem: &Problem, section: Section, back: Option<&str>) -> Page {
    let title = match problem.status {
        404 => "Not found",
        400 | 403 | 409 => "Not done",
        _ => "Something went wrong",
    };
    let main = html! {
        div.head { h1 { (title) } }
        section.card.pad role="alert" {
            p { (problem.what) }
            @if let Some(hint) = &problem.hint { p.dim { (hint) } }
            p {
                @if let Some(back) = back { a.btn href=(back) { "Back" } " " }
                a.btn href="/" { "Overview" }
            }
        }
    };
    let crumbs = vec![Crumb::here(title)];
    Page { title: title.to_owned(), section, crumbs, main, parts: Parts::default() }
}
