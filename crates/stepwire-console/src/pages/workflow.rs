//! One workflow: its graph with what its newest runs did in it, versions, definition, and a form
//! that starts it.

use std::collections::BTreeSet;

use maud::{Markup, html};
use stepwire_asl::{Json, Timestamp};

use super::compare::{self, Comparison, Which};
use super::workflows::{Runs, sparks};
use crate::frame::{Crumb, Page, Section};
use crate::graph::{Collapsed, Graph, Node, NodeId, Options, Tally, outline, svg};
use crate::json::indented;
use crate::region::Parts;
use crate::words::{Status, ago, capital, count, date, duration, encoded, segment};

/// Runs drawn as bars in the head of the page.
const SPARKS: usize = 30;
/// States from which on the outline is shown first.
const OUTLINE_FROM: usize = 60;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `STANDARD` or `EXPRESS`.
    pub kind: String,
    /// The role it was given.
    pub role: String,
    /// When it was created.
    pub created: Timestamp,
    /// When this definition was made.
    pub updated: Timestamp,
    /// Published versions, newest first.
    pub versions: Vec<Version>,
    /// The version that is shown; `None` for the definition as it now is.
    pub version: Option<u64>,
    /// The definition as it was written.
    pub definition: String,
    /// The same drawn.
    pub graph: Graph,
    /// What its newest runs did.
    pub tally: Tally,
    /// Its newest runs, summed up.
    pub runs: Runs,
    /// The newest of them.
    pub recent: Vec<Run>,
    /// What two definitions differ in, if that is looked at.
    pub compared: Option<Comparison>,
    /// What the next run may begin with: the input of the newest.
    pub input: String,
    /// What is looked at.
    pub look: Look,
    /// The time on the node's clock.
    pub now: Timestamp,
}

/// A published version.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its number.
    pub number: u64,
    /// What its publisher wrote.
    pub description: String,
    /// When it was published.
    pub created: Timestamp,
    /// Aliases that lead to it, with how many of a hundred starts they give it.
    pub aliases: Vec<(String, u8)>,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// Where its page is.
    pub href: String,
    /// How it stands.
    pub status: Status,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, milliseconds; `None` while it runs.
    pub took_ms: Option<i64>,
    /// The device that it is about.
    pub device: Option<String>,
}

/// What of the page is looked at: its address has it all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// `tab`: `runs`, `state`, `start`, `versions`, `definition`.
    pub tab: Option<String>,
    /// `state`: which one, by its id.
    pub state: Option<NodeId>,
    /// `closed`: containers whose inside is not drawn.
    pub closed: Collapsed,
    /// `view`: `graph` or `outline`.
    pub view: Option<String>,
    /// `v`: a published version.
    pub version: Option<u64>,
    /// `from` and `to`: definitions that are compared.
    pub compared: Option<(Which, Which)>,
}

impl Look {
    /// What the members of a query ask for. One of `from` and `to` is enough: the other is the
    /// definition as it now is. `Err`: the member that names no definition, and its value.
    pub fn of(query: impl Fn(&str) -> Option<String>) -> Result<Look, (&'static str, String)> {
        let which = |member: &'static str| {
            let asked = query(member);
            let which = asked.map(|text| Which::parse(&text).ok_or((member, text)));
            which.transpose()
        };
        let compared = match (which("from")?, which("to")?) {
            (None, None) => None,
            (from, to) => Some((from.unwrap_or(Which::Latest), to.unwrap_or(Which::Latest))),
        };
        let version = query("v").map(|text| text.parse().map_err(|_| ("v", text))).transpose()?;
        let closed = query("closed").unwrap_or_default();
        Ok(Look {
            tab: query("tab"),
            state: query("state").and_then(|id| id.parse().ok()),
            closed: closed.split('.').filter_map(|id| id.parse().ok()).collect(),
            view: query("view"),
            version,
            compared,
        })
    }

    /// Its address.
    fn href(&self, name: &str) -> String {
        let mut members = Vec::new();
        members.extend(self.version.map(|version| format!("v={version}")));
        members.extend(
            self.compared.map(|(from, to)| format!("from={}&to={}", from.word(), to.word())),
        );
        members.extend(self.view.as_ref().map(|view| format!("view={}", encoded(view))));
        if !self.closed.is_empty() {
            let ids: Vec<String> = self.closed.iter().map(ToString::to_string).collect();
            members.push(format!("closed={}", ids.join(".")));
        }
        members.extend(self.state.map(|id| format!("state={id}")));
        members.extend(self.tab.as_ref().map(|tab| format!("tab={}", encoded(tab))));
        let query = members.join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/workflows/{}{mark}{query}", segment(name))
    }

    fn tab(&self, name: &str) -> Look {
        Look { tab: Some(name.to_owned()), ..self.clone() }
    }
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let facts = parts.region("facts", facts(view));
    let graph = match &view.compared {
        Some(of) => {
            let close = Look { compared: None, ..view.look.clone() };
            compare::text(of, &close.href(&view.name))
        }
        None => graph(view),
    };
    let graph = parts.region("graph-card", graph);
    let tab = view.look.tab.as_deref().unwrap_or("runs");
    // Forms are no regions: what is typed in them stays.
    let body = match tab {
        "start" => start(view),
        "definition" => definition(view),
        "versions" => {
            let listed = parts.region("side", versions(view));
            let compared = view.compared.as_ref().map(compare::list);
            let compared =
                parts.region("compared", html! { @if let Some(list) = &compared { (list) } });
            html! { (listed) (choose(view)) (compared) (publish(view)) }
        }
        "state" => parts.region("side", state(view)),
        _ => parts.region("side", recent(view)),
    };
    let edit = format!("/workflows/{}/edit", segment(&view.name));
    let main = html! {
        div.head {
            div {
                h1 { (view.name) span.pill.none { (view.kind.to_lowercase()) } }
                (facts)
            }
            div.acts {
                a.btn href=(edit) data-key="e" { "Edit" }
                a.btn.p href=(view.look.tab("start").href(&view.name)) { "Start execution" }
            }
        }
        div.wf {
            section.card.g aria-labelledby="graph-title" { (graph) }
            section.card aria-label="Details" {
                (tabs(view, tab))
                div.insp { (body) }
            }
        }
    };
    let crumbs = vec![Crumb::to("Workflows", "/workflows"), Crumb::here(&*view.name)];
    Page { title: view.name.clone(), section: Section::Workflows, crumbs, main, parts }
}

fn facts(view: &View) -> Markup {
    let failed = view.runs.count(&[Status::Failed, Status::TimedOut]);
    html! {
        div.facts {
            span.runs { (capital(&view.runs.words())) @if !view.runs.latest.is_empty() { (sparks(&view.runs, view.runs.latest.len().min(SPARKS))) } }
            @if !view.runs.latest.is_empty() {
                span { "Running " b { (view.runs.count(&[Status::Running])) } }
                span { "Succeeded " b { (view.runs.count(&[Status::Succeeded])) } }
                span { "Failed " b { (failed) } }
            }
            @if let Some((median, most)) = view.runs.times_ms() {
                span { "Median " b { (duration(median)) } ", p99 " b { (duration(most)) } }
            }
            @match view.version {
                Some(version) => span { "Version " b { (version) } },
                None => span { "Changed " (ago(view.updated, view.now)) },
            }
        }
    }
}

fn graph(view: &View) -> Markup {
    let many = view.graph.states() >= OUTLINE_FROM;
    let as_outline = match view.look.view.as_deref() {
        Some(word) => word == "outline",
        None => many,
    };
    let to_view = |word: &str| Look { view: Some(word.to_owned()), ..view.look.clone() };
    let mut paint = view.tally.paint(&view.graph);
    paint.selected = view.look.state.filter(|id| *id < view.graph.nodes.len());
    let link = |node: &Node| {
        let look = Look { state: Some(node.id), ..view.look.tab("state") };
        look.href(&view.name)
    };
    let toggle = |node: &Node| {
        let mut closed: BTreeSet<NodeId> = view.look.closed.clone();
        if !closed.remove(&node.id) {
            closed.insert(node.id);
        }
        Look { closed, ..view.look.clone() }.href(&view.name)
    };
    html! {
        div.bar {
            h2 #graph-title { "Graph" }
            @if !view.runs.latest.is_empty() { span.dim { "time and failures of the " (view.runs.words()) } }
            div.r {
                div.seg role="group" aria-label="View" {
                    @for (word, name) in [("graph", "Graph"), ("outline", "Outline")] {
                        @let current = (word == "outline") == as_outline;
                        a href=(to_view(word).href(&view.name)) aria-current=[current.then_some("true")] { (name) }
                    }
                }
            }
        }
        @if as_outline {
            div.scroll.pad tabindex="0" role="region" aria-label="Outline" data-scroll="graph" {
                (outline(&view.graph, &paint, Some(&link)))
            }
        } @else {
            @let layout = view.graph.layout(&view.look.closed);
            @let options = Options {
                id_prefix: "",
                name: &view.name,
                links: Some(&link),
                toggles: Some(&toggle),
                standalone: false,
            };
            div.gwrap tabindex="0" role="region" aria-label="Graph" data-scroll="graph" {
                (svg(&view.graph, &layout, &paint, &options))
            }
            @if view.graph.omitted > 0 {
                p.pad.dim { (view.graph.omitted) " more states are not drawn." }
            }
        }
    }
}

fn tabs(view: &View, current: &str) -> Markup {
    let mut tabs = vec![("runs", "Runs".to_owned())];
    if view.look.state.is_some() {
        tabs.push(("state", "State".to_owned()));
    }
    tabs.push(("start", "Start".to_owned()));
    tabs.push(("versions", format!("Versions {}", view.versions.len())));
    tabs.push(("definition", "Definition".to_owned()));
    html! {
        nav.tabs aria-label="Details" {
            @for (tab, name) in tabs {
                a href=(view.look.tab(tab).href(&view.name))
                    aria-current=[(tab == current).then_some("page")] { (name) }
            }
        }
    }
}

fn recent(view: &View) -> Markup {
    if view.recent.is_empty() {
        return html! { div.empty { b { "No runs yet" } "Start one, or let a rule start it." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Runs" data-scroll="runs" {
            table.tb {
                thead { tr { th { "Status" } th.rest { "Run" } th { "Device" } th { "Started" } th.num { "Took" } } }
                tbody {
                    @for run in &view.recent {
                        tr data-href=(run.href) {
                            td { (run.status.line()) }
                            td.rest title=(run.name) { a.mono href=(run.href) { (run.name) } }
                            td.name title=[run.device.as_deref()] {
                                @if let Some(device) = &run.device {
                                    a href={ "/devices/" (segment(device)) } { (device) }
                                }
                            }
                            td { (ago(run.started, view.now)) }
                            td.num {
                                @match run.took_ms {
                                    Some(ms) => (duration(ms)),
                                    None => (crate::words::since(run.started, view.now)),
                                }
                            }
                        }
                    }
                }
            }
        }
        p { a href={ "/executions?workflow=" (encoded(&view.name)) } { "All runs of " (view.name) } }
    }
}

fn state(view: &View) -> Markup {
    let node = view.look.state.and_then(|id| view.graph.nodes.get(id));
    let Some(node) = node.filter(|node| view.graph.is_state(node.id)) else {
        return html! { div.empty { b { "No state is chosen" } "Choose one in the graph." } };
    };
    let tally = &view.tally.states[node.id];
    let numbers = [
        ("Entered", tally.entered),
        ("There now", tally.open),
        ("Failed", tally.failed),
        ("Caught", tally.caught),
        ("Retries", tally.retries),
    ];
    html! {
        h2 { (node.name) }
        dl {
            dt { "Type" } dd { (node.kind.word()) @if !node.detail.is_empty() { " · " (node.detail) } }
            @if !node.path.is_empty() {
                dt { "In" }
                dd { @for (index, place) in node.path.iter().enumerate() { @if index > 0 { " › " } (place.container) } }
            }
            @for (name, number) in numbers { dt { (name) } dd { (count(number)) } }
            dt { "Median" }
            dd { @match tally.median_ms() { Some(ms) => (duration(ms)), None => span.vdim { "–" } } }
        }
        @if !view.runs.latest.is_empty() { p.dim { "Of the " (view.runs.words()) "." } }
        @if let Some(json) = json_of(&view.definition, &view.graph, node) {
            h3 { "Definition" }
            pre tabindex="0" role="region" aria-label="Definition of the state" { (json) }
        }
    }
}

/// The state's own part of the definition, indented.
fn json_of(definition: &str, graph: &Graph, node: &Node) -> Option<String> {
    let mut at = Json::parse(definition).ok()?;
    for place in &*graph.scopes[node.scope].path {
        let container = at.member("States")?.member(&place.container)?;
        let branches = container.member("Branches").and_then(Json::as_array);
        let inner = branches.and_then(|branches| branches.get(place.branch));
        let inner = inner.or_else(|| container.member("ItemProcessor"));
        at = inner.or_else(|| container.member("Iterator"))?.clone();
    }
    Some(indented(at.member("States")?.member(&node.name)?))
}

/// A definition for people: as it was written, if that was on several lines.
pub fn readable(definition: &str) -> String {
    let one_line = !definition.trim_end().contains('\n');
    match Json::parse(definition) {
        Ok(json) if one_line => indented(&json) + "\n",
        _ => definition.to_owned(),
    }
}

fn start(view: &View) -> Markup {
    html! {
        form.stack method="post" action="/-/console/workflow-start" {
            input type="hidden" name="workflow" value=(view.name);
            input type="hidden" name="back" value=(view.look.href(&view.name));
            @if let Some(version) = view.version {
                input type="hidden" name="version" value=(version);
                p { "Starts version " b { (version) } "." }
            }
            div.fld {
                label for="run-name" { "Name" }
                input #run-name name="name" maxlength="80" placeholder="made up if empty";
            }
            div.fld {
                label for="run-input" { "Input" }
                textarea #run-input name="input" rows="12" spellcheck="false" { "\n" (view.input) }
                @if !view.recent.is_empty() { span.dim { "The input of the newest run." } }
            }
            div.row { button.btn.p { "Start execution" } }
        }
    }
}

fn versions(view: &View) -> Markup {
    let shown = |version| Look { version, compared: None, ..view.look.clone() }.href(&view.name);
    let changes = |from, to| {
        Look { compared: Some((from, to)), ..view.look.tab("versions") }.href(&view.name)
    };
    let before = |number: u64| {
        let before = view.versions.iter().find(|version| version.number < number);
        before.map(|version| Which::Version(version.number))
    };
    html! {
        table.tb {
            thead { tr { th { "Version" } th { "Published" } th { "Aliases" } th { "Description" } th { span.off { "Compared" } } } }
            tbody {
                tr {
                    td {
                        a href=(shown(None)) aria-current=[view.version.is_none().then_some("true")] { "latest" }
                    }
                    td { (date(view.updated)) } td {} td.wrap.dim { "the definition as it now is" }
                    td {
                        @if let Some(from) = before(u64::MAX) {
                            a href=(changes(from, Which::Latest)) aria-label={ "Changes since version " (from.word()) } { "changes" }
                        }
                    }
                }
                @for version in &view.versions {
                    tr {
                        td {
                            a href=(shown(Some(version.number)))
                                aria-current=[(view.version == Some(version.number)).then_some("true")] { (version.number) }
                        }
                        td { (date(version.created)) }
                        td {
                            @for (index, (alias, share)) in version.aliases.iter().enumerate() {
                                @if index > 0 { ", " }
                                (alias) @if *share < 100 { " " span.dim { (share) " %" } }
                            }
                        }
                        td.wrap { (version.description) }
                        td {
                            @if let Some(from) = before(version.number) {
                                a href=(changes(from, Which::Version(version.number)))
                                    aria-label={ "Changes from version " (from.word()) " to " (version.number) } { "changes" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Two definitions to compare.
fn choose(view: &View) -> Markup {
    let Some(newest) = view.versions.first() else { return html! {} };
    let newest = (Which::Version(newest.number), Which::Latest);
    let (from, to) = view.look.compared.unwrap_or(newest);
    let all = view.versions.iter().map(|version| Which::Version(version.number));
    let all: Vec<Which> = [Which::Latest].into_iter().chain(all).collect();
    html! {
        form.row action={ "/workflows/" (segment(&view.name)) } {
            input type="hidden" name="tab" value="versions";
            @if let Some(version) = view.version { input type="hidden" name="v" value=(version); }
            @for (name, words, chosen) in [("from", "Compare", from), ("to", "with", to)] {
                label for={ "compare-" (name) } { (words) }
                select id={ "compare-" (name) } name=(name) {
                    @for which in &all {
                        option value=(which.word()) selected[*which == chosen] { (which.word()) }
                    }
                }
            }
            button.btn { "Compare" }
        }
    }
}

fn publish(view: &View) -> Markup {
    html! {
        form.row method="post" action="/-/console/workflow-publish" {
            input type="hidden" name="workflow" value=(view.name);
            input type="hidden" name="back" value=(view.look.href(&view.name));
            label for="version-words" { "Description" }
            input #version-words name="description" maxlength="256" autocomplete="off";
            button.btn { "Publish a version" }
        }
    }
}

fn definition(view: &View) -> Markup {
    html! {
        dl {
            dt { "ARN" } dd.mono { (view.arn) }
            dt { "Role" } dd.mono { (view.role) }
            dt { "Created" } dd { (date(view.created)) }
        }
        pre tabindex="0" role="region" aria-label="Definition" { (readable(&view.definition)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(query: &[(&str, &str)]) -> Result<Look, (&'static str, String)> {
        Look::of(|member| {
            let found = query.iter().find(|(name, _)| *name == member);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_compared_is_in_the_address() {
        let both = look(&[("tab", "versions"), ("from", "2"), ("to", "latest")]).expect("a look");
        assert_eq!(both.compared, Some((Which::Version(2), Which::Latest)));
        assert_eq!(both.href("W"), "/workflows/W?from=2&to=latest&tab=versions");
        let one = look(&[("to", "3")]).expect("a look");
        assert_eq!(one.compared, Some((Which::Latest, Which::Version(3))));
        assert_eq!(look(&[("from", "-1")]), Err(("from", "-1".to_owned())));
        assert_eq!(look(&[("v", "newest")]), Err(("v", "newest".to_owned())));
    }
}
