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
                @if let Some(back) = back { a.btn href=(back) data-back { "Back" } " " }
                @if section != Section::Overview { a.btn href=(section.href()) { (section.name()) } " " }
                a.btn href="/" { "Overview" }
            }
        }
    };
    let list = (section != Section::Overview).then(|| Crumb::to(section.name(), section.href()));
    let crumbs = list.into_iter().chain([Crumb::here(title)]).collect();
    Page { title: title.to_owned(), section, crumbs, main, parts: Parts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_leads_to_the_list_of_what_is() {
        let missing = Problem::not_found("there is no table `x`");
        let page = problem(&missing, Section::Tables, None);
        assert!(page.main.0.contains("href=\"/tables\""), "{}", page.main.0);
        assert_eq!(page.crumbs.first().and_then(|crumb| crumb.href.as_deref()), Some("/tables"));
        let page = problem(&missing, Section::Overview, None);
        assert_eq!(page.main.0.matches("<a ").count(), 1, "{}", page.main.0);
    }
}
