//! What the search box found.

use maud::html;

use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::count;

/// Things of one kind that were found.
#[derive(Debug, Clone)]
pub struct Group {
    /// What they are: `Devices`.
    pub kind: &'static str,
    /// Name, more about it, where it is.
    pub found: Vec<(String, String, String)>,
    /// Where all of them are listed.
    pub all: Option<String>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct View {
    /// What was looked for.
    pub text: String,
    /// By kind; none is empty.
    pub groups: Vec<Group>,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let main = html! {
        div.head { h1 { @if view.text.is_empty() { "Search" } @else { "Found for “" (view.text) "”" } } }
        @if view.text.is_empty() {
            p.dim { "Type the name of a device, an execution, a rule, a workflow, a function or a table; an ARN; or a topic." }
        } @else if view.groups.is_empty() {
            section.card { div.empty {
                b { "Nothing has such a name" }
                "Look for it in "
                a href={ "/executions?inputs=1&q=" (crate::words::encoded(&view.text)) } { "errors, states and inputs of executions" }
                " or in "
                a href={ "/devices?q=" (crate::words::encoded(&view.text)) } { "attributes of devices" } "."
            } }
        }
        @for group in &view.groups {
            section.card aria-labelledby={ "g-" (group.kind) } {
                h2 id={ "g-" (group.kind) } {
                    (group.kind) " " span.vdim { (count(group.found.len() as u64)) }
                    @if let Some(all) = &group.all { a.r href=(all) { "All" } }
                }
                table.tb { tbody {
                    @for (name, about, href) in &group.found {
                        tr data-href=(href) { td.clip { a href=(href) { (name) } } td.clip.dim { (about) } }
                    }
                } }
            }
        }
    };
    let crumbs = vec![Crumb::here("Search")];
    Page {
        title: "Search".to_owned(),
        section: Section::Overview,
        crumbs,
        main,
        parts: Parts::default(),
    }
}
