//! Devices: things of the registry, and clients that are none.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use super::executions::{Choice, choices};
use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::words::{Status, ago, count, segment, since};

/// Whether a device is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It has not connected as far as is known.
    Never,
    /// It is connected.
    Online {
        /// Since when.
        since: Timestamp,
    },
    /// It is not.
    Away {
        /// Since when.
        since: Timestamp,
        /// Why its connection ended, in AWS's word.
        reason: Option<String>,
    },
}

impl Presence {
    /// Dot and words.
    pub fn line(&self, now: Timestamp) -> Markup {
        html! {
            @match self {
                Presence::Never => span.sl.none { span.dot.never {} "never seen" },
                Presence::Online { since: at } => span.sl.ok { span.dot {} "online " (since(*at, now)) },
                Presence::Away { since: at, reason } => {
                    span.sl.stop { span.dot.away {} "offline " (since(*at, now)) }
                    @if let Some(reason) = reason { " " span.vdim { (plain(reason)) } }
                }
            }
        }
    }
}

/// AWS's word for why a connection ended, in plain words.
pub fn plain(reason: &str) -> String {
    match reason {
        "CLIENT_INITIATED_DISCONNECT" => "it said goodbye",
        "CLIENT_ERROR" => "it broke the protocol",
        "AUTH_ERROR" => "it is not allowed",
        "DUPLICATE_CLIENTID" => "it connected again",
        "CONNECTION_LOST" => "connection lost",
        "MQTT_KEEP_ALIVE_TIMEOUT" => "silent for too long",
        "SERVER_INITIATED_DISCONNECT" => "closed by the node",
        "SERVER_ERROR" => "the node died",
        "API_INITIATED_DISCONNECT" => "closed by a caller",
        "THROTTLED" => "too much of something",
        other => other,
    }
    .to_owned()
}

/// A device in the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name: a thing's, or a client identifier.
    pub name: String,
    /// Whether it is there.
    pub presence: Presence,
    /// Its type.
    pub thing_type: Option<String>,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// The last message that was seen: when, whether it came from the device, its topic.
    pub message: Option<(Timestamp, bool, String)>,
    /// Its newest execution: where its page is, how it stands, its workflow and state.
    pub run: Option<Run>,
}

/// An execution in a device's row.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its page.
    pub href: String,
    /// How it stands.
    pub status: Status,
    /// Its workflow.
    pub workflow: String,
    /// The state where it is.
    pub state: Option<String>,
}

impl Row {
    /// Its page.
    pub fn href(&self) -> String {
        format!("/devices/{}", segment(&self.name))
    }
}

/// What the list shows.
#[derive(Debug, Clone)]
pub struct View {
    /// The time on the node's clock.
    pub now: Timestamp,
    /// What is typed into the search field.
    pub text: Option<String>,
    /// As in the address: kept while something else is searched for.
    pub status: Option<String>,
    /// Kinds to choose from.
    pub choices: Vec<Choice>,
    /// What was found, in order of the names.
    pub rows: Vec<Row>,
    /// Where the next ones are shown.
    pub next: Option<String>,
    /// Where the first ones are shown, if these are not them.
    pub first: Option<String>,
    /// The search has come to this name and can go on there.
    pub searched_to: Option<String>,
    /// Whether what was typed is a query of fleet indexing.
    pub is_query: bool,
    /// Why the query cannot be answered, and what to do.
    pub trouble: Option<(String, Option<String>)>,
    /// Clients connected that may be no things, when no thing is there.
    pub clients: u64,
}

/// Attributes that a row shows.
const ATTRIBUTES: usize = 3;

/// Draws the list.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let kinds = parts.region("choices", choices("Presence", &view.choices));
    let rows = parts.region("rows", rows(view));
    let main = html! {
        div.head { h1 { "Devices" } }
        form.filters action="/devices" role="search" aria-label="Devices" {
            @if let Some(status) = &view.status { input type="hidden" name="status" value=(status); }
            label { span.off { "Name, attribute, or query" }
                input name="q" type="search" value=[view.text.as_deref()] size="44"
                    placeholder="Name, type, attribute, or connectivity.connected:true"; }
            button.btn { "Find" }
            @if view.text.is_some() || view.status.is_some() { a.btn href="/devices" { "Clear" } }
            @if view.is_query { span.vdim { "Searched as a query of fleet indexing." } }
        }
        (kinds)
        @if let Some((what, hint)) = &view.trouble {
            div.bad role="alert" { b { (what) } @if let Some(hint) = hint { div.dim { (hint) } } }
        }
        section.card.grow aria-label="Devices found" {
            div.scroll tabindex="0" role="region" aria-label="Devices" { (rows) }
            div.foot.row {
                @if let Some(name) = &view.searched_to { span { "Searched up to " b { (name) } "." } }
                @if let Some(first) = &view.first { a.btn.sm href=(first) { "First" } }
                @if let Some(next) = &view.next {
                    a.btn.sm href=(next) rel="next" {
                        @if view.searched_to.is_some() { "Go on searching" } @else { "Next" }
                    }
                }
                span.gap {}
                span.vdim { (count(view.rows.len() as u64)) " shown, in order of names" }
            }
        }
    };
    let crumbs = vec![Crumb::here("Devices")];
    Page { title: "Devices".to_owned(), section: Section::Devices, crumbs, main, parts }
}

fn rows(view: &View) -> Markup {
    html! {
        @if view.rows.is_empty() { (nothing(view)) } @else {
            table.tb {
                thead { tr {
                    th { "Device" } th { "Presence" } th { "Last message" } th { "Execution" }
                    th { "Type" } th.rest { "Attributes" }
                } }
                tbody { @for row in &view.rows { (line(row, view.now)) } }
            }
        }
    }
}

fn line(row: &Row, now: Timestamp) -> Markup {
    html! {
        tr data-href=(row.href()) {
            td.clip { a href=(row.href()) { (row.name) } }
            td { (row.presence.line(now)) }
            td.clip {
                @match &row.message {
                    Some((at, from, topic)) => {
                        (ago(*at, now)) " "
                        span.vdim { @if *from { "sent " } @else { "got " } }
                        span.mono { (topic) }
                    }
                    None => span.vdim { "–" },
                }
            }
            td.clip {
                @match &row.run {
                    Some(run) => {
                        (run.status.line()) " "
                        a href=(run.href) { (run.workflow) @if let Some(state) = &run.state { " · " (state) } }
                    }
                    None => span.vdim { "–" },
                }
            }
            td { @match &row.thing_type { Some(of) => (of), None => span.vdim { "–" } } }
            td.rest {
                @for (name, value) in row.attributes.iter().take(ATTRIBUTES) { span.at { (name) " " b { (value) } } }
                @if row.attributes.len() > ATTRIBUTES { span.vdim { "+" (row.attributes.len() - ATTRIBUTES) } }
            }
        }
    }
}

fn nothing(view: &View) -> Markup {
    html! {
        div.empty {
            @if view.text.is_some() || view.status.is_some() {
                b { "Nothing found" }
                @if view.searched_to.is_some() { "in what was searched so far." }
                @else { "No device matches. " a href="/devices" { "Show all" } }
            } @else {
                b { "No things yet" }
                @if view.clients > 0 {
                    (count(view.clients)) " clients are connected: "
                    a href="/devices?status=clients" { "show them" } "."
                } @else {
                    "A device becomes one by CreateThing, and by a certificate that is attached to it; or run "
                    code { "stepwire demo" } "."
                }
            }
        }
    }
}
