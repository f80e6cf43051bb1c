//! What is around every page: the rail, the bar on top, the search box.

use maud::{DOCTYPE, Markup, html};
use stepwire_asl::Timestamp;

use crate::assets::Assets;
use crate::icons;
use crate::region::Parts;
use crate::words::count;

/// A page as it was drawn.
#[derive(Debug)]
pub struct Page {
    /// What the browser's tab says.
    pub title: String,
    /// Where in the rail it is.
    pub section: Section,
    /// The way to it; the last one is the page itself.
    pub crumbs: Vec<Crumb>,
    /// Its content.
    pub main: Markup,
    /// What of it changes while it is open.
    pub parts: Parts,
}

/// One step of the way to a page.
#[derive(Debug, Clone)]
pub struct Crumb {
    /// What it is called.
    pub name: String,
    /// Where it leads; `None` for the page itself.
    pub href: Option<String>,
}

impl Crumb {
    /// A step that leads somewhere.
    pub fn to(name: impl Into<String>, href: impl Into<String>) -> Crumb {
        Crumb { name: name.into(), href: Some(href.into()) }
    }

    /// The page itself.
    pub fn here(name: impl Into<String>) -> Crumb {
        Crumb { name: name.into(), href: None }
    }
}

/// An entry of the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `/`
    Overview,
    /// `/devices`
    Devices,
    /// `/live`
    Live,
    /// `/rules`
    Rules,
    /// `/workflows`
    Workflows,
    /// `/executions`
    Executions,
    /// `/rollouts`
    Rollouts,
    /// `/functions`
    Functions,
    /// `/tables`
    Tables,
    /// `/system`
    System,
}

impl Section {
    const ALL: [Section; 10] = [
        Section::Overview,
        Section::Devices,
        Section::Live,
        Section::Rules,
        Section::Workflows,
        Section::Executions,
        Section::Rollouts,
        Section::Functions,
        Section::Tables,
        Section::System,
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Overview => "Overview",
            Section::Devices => "Devices",
            Section::Live => "Live",
            Section::Rules => "Rules",
            Section::Workflows => "Workflows",
            Section::Executions => "Executions",
            Section::Rollouts => "Rollouts",
            Section::Functions => "Functions",
            Section::Tables => "Tables",
            Section::System => "System",
        }
    }

    /// Where it is.
    pub(crate) fn href(self) -> &'static str {
        self.place().0
    }

    /// Where it is, and the key that leads there after `g`.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Section::Overview => ("/", "o"),
            Section::Devices => ("/devices", "d"),
            Section::Live => ("/live", "l"),
            Section::Rules => ("/rules", "r"),
            Section::Workflows => ("/workflows", "w"),
            Section::Executions => ("/executions", "e"),
            Section::Rollouts => ("/rollouts", "j"),
            Section::Functions => ("/functions", "f"),
            Section::Tables => ("/tables", "t"),
            Section::System => ("/system", "s"),
        }
    }

    fn count(self, counts: &Counts) -> Option<u64> {
        match self {
            Section::Devices => counts.devices,
            Section::Rules => counts.rules,
            Section::Workflows => counts.workflows,
            Section::Rollouts => counts.rollouts,
            Section::Functions => counts.functions,
            Section::Tables => counts.tables,
            Section::Overview | Section::Live | Section::Executions | Section::System => None,
        }
    }
}

/// How many there are of what the rail lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Things in the registry.
    pub devices: Option<u64>,
    /// Topic rules.
    pub rules: Option<u64>,
    /// State machines.
    pub workflows: Option<u64>,
    /// AWS IoT jobs.
    pub rollouts: Option<u64>,
    /// Functions.
    pub functions: Option<u64>,
    /// Tables.
    pub tables: Option<u64>,
    /// No more than this many were counted.
    pub most: u64,
}

/// The node that shows the page.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its version.
    pub version: String,
    /// Its AWS region.
    pub region: String,
    /// Where its records are: `data folder` or `memory`.
    pub store: String,
    /// Clients connected now.
    pub online: u64,
}

/// Everything around a page.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Style sheet and script.
    pub assets: &'a Assets,
    /// Numbers in the rail.
    pub counts: Counts,
    /// Who shows it.
    pub node: Node,
    /// Where the page is live: path and query of its event stream. `None`: it does not change.
    pub live: Option<String>,
    /// What was typed into the search box.
    pub searched: &'a str,
    /// The time on the node's clock.
    pub now: Timestamp,
}

/// Letters of a breadcrumb's name that is never cut.
const WHOLE_MAX: usize = 12;

impl Frame<'_> {
    /// The whole document.
    pub fn document(&self, page: &Page) -> String {
        let main = html! {
            main #main data-live=[self.live.as_deref()] data-now=(self.now.0) tabindex="-1" { (page.main) }
        };
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (page.title) " · stepwire" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(self.assets.style_path());
                    script type="module" src=(self.assets.script_path()) {}
                }
                body {
                    (icons::sprite())
                    a.skip href="#main" { "Skip to content" }
                    (self.rail(page.section))
                    (self.top(&page.crumbs))
                    (main)
                    div #live-status .off role="status" aria-live="polite" {}
                    (keys())
                }
            }
        };
        document.into_string()
    }

    fn rail(&self, current: Section) -> Markup {
        html! {
            nav.rail aria-label="Main" {
                a.brand href="/" { (icons::logo()) "stepwire" }
                @for section in Section::ALL {
                    @let (href, key) = section.place();
                    @let is_here = section == current && self.searched.is_empty();
                    a href=(href) data-go=(key) aria-current=[is_here.then_some("page")] {
                        (icons::section(section)) span.nm { (section.name()) }
                        @if let Some(number) = section.count(&self.counts) {
                            span.ct { (count(number.min(self.counts.most))) @if number > self.counts.most { "+" } }
                        }
                    }
                }
                div.sp {}
                div.nodebox {
                    span.dot {} b { (self.node.region) } " · " (self.node.store)
                    br; span.mono { (count(self.node.online)) " online" }
                    br; span.vdim { "v" (self.node.version) " · times in UTC" }
                }
            }
        }
    }

    fn top(&self, crumbs: &[Crumb]) -> Markup {
        html! {
            header.top {
                nav.crumb aria-label="Breadcrumb" {
                    @for (index, crumb) in crumbs.iter().enumerate() {
                        @if index > 0 { span.vdim aria-hidden="true" { "/" } }
                        @match &crumb.href {
                            Some(href) => a.whole[crumb.name.chars().count() <= WHOLE_MAX] href=(href) { (crumb.name) },
                            None => b aria-current="page" { (crumb.name) },
                        }
                    }
                }
                form.search role="search" action="/search" {
                    (icons::glass())
                    input #search name="q" type="search" value=(self.searched) autocomplete="off"
                        placeholder="Device, execution, ARN, text" aria-label="Search"
                        aria-keyshortcuts="/";
                    kbd aria-hidden="true" { "/" }
                }
                button.btn #keys-button .js type="button" aria-label="Keyboard shortcuts" { kbd { "?" } }
                button.btn #theme-button .js type="button" aria-label="Switch theme" { "◐" }
            }
        }
    }
}

/// The list of keys, shown by `?`.
fn keys() -> Markup {
    let keys = [
        ("/", "search"),
        ("g then o d l r w e j f t s", "go to a page of the rail"),
        ("j k", "next and previous row"),
        ("Enter", "open the row"),
        ("x", "select the row"),
        ("[ ]", "previous and next run of the same device"),
        ("arrows", "walk the graph"),
        ("t", "go to the timeline"),
        (".", "follow, or hold, what is live"),
        ("r", "redrive"),
        ("s", "stop"),
        ("e", "edit the workflow"),
        ("?", "this list"),
        ("Esc", "close"),
    ];
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl {
                @for (key, what) in keys { dt { kbd { (key) } } dd { (what) } }
            }
            form method="dialog" { button.btn { "Close" } }
        }
    }
}
