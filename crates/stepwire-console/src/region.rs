//! Parts of a page that change while it is open.
//!
//! A page is drawn once as a whole; while it is open it is drawn again whenever what it shows has
//! changed, and only the regions and marks that came out different are sent to the browser. So what
//! is live and what a reload shows cannot differ.

use maud::{Markup, html};

/// What of a page is replaced while it is open, as it was drawn.
#[derive(Debug, Default, Clone)]
pub struct Parts {
    /// Ids of elements, and what is in them.
    pub regions: Vec<(String, String)>,
    /// Ids of elements that grow, and what is in them: each child by its `data-item`.
    pub lists: Vec<(String, Vec<(String, String)>)>,
    /// Elements whose look alone changes.
    pub marks: Vec<Mark>,
}

/// How an element looks now. The rest of it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The element's id.
    pub id: String,
    /// Its `class`.
    pub class: String,
    /// The symbol that its `.bd` (badge) shows, such as `b-ok`.
    pub badge: Option<&'static str>,
    /// Its `aria-label`.
    pub label: Option<String>,
}

impl Parts {
    /// `inner` in an element that is replaced when it comes out different. Ids are unique in a page.
    ///
    /// The element takes no box of its own (`display: contents`). Forms that people type in do not
    /// belong in it.
    pub fn region(&mut self, id: &str, inner: Markup) -> Markup {
        self.regions.push((id.to_owned(), inner.0.clone()));
        html! { div.region id=(id) { (inner) } }
    }

    /// The children of the element `id`, which has `data-list`: those alone are sent that are new or
    /// came out different. Each of `children` is one element with its key in `data-item`.
    pub fn list(&mut self, id: &str, children: Vec<(String, Markup)>) -> Markup {
        let all = html! { @for (_, child) in &children { (child) } };
        let children = children.into_iter().map(|(key, child)| (key, child.0)).collect();
        self.lists.push((id.to_owned(), children));
        all
    }

    /// Notes how an element looks that is drawn elsewhere in the page.
    pub fn mark(&mut self, mark: Mark) {
        self.marks.push(mark);
    }
}
