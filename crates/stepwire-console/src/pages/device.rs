//! One device: its clock, its messages, shadow, executions, and what it may do.

use maud::{Markup, html};
use stepwire_asl::{Json, Timestamp};

use super::device_tabs as tabs;
use super::devices::Presence;
use super::executions::Row as Execution;
use super::jobs::Execution as Job;
use crate::frame::{Crumb, Page, Section};
use crate::region::Parts;
use crate::timeline::Timeline;
use crate::words::{ago, date, segment};

/// A certificate that is attached to the device.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// `ACTIVE`, `INACTIVE` …
    pub status: String,
    /// When it runs out.
    pub expires: Option<Timestamp>,
}

/// What is known of a device.
#[derive(Debug, Clone)]
pub struct View {
    /// The time on the node's clock.
    pub now: Timestamp,
    /// Path and query of the page.
    pub address: String,
    /// Its name.
    pub name: String,
    /// Whether it is in the registry.
    pub is_thing: bool,
    /// The MQTT client it speaks by, if that has another name.
    pub client: Option<String>,
    /// Whether it is there.
    pub presence: Presence,
    /// Where it is connected from.
    pub ip: Option<String>,
    /// `MQTT 3.1.1` or `MQTT 5.0`.
    pub protocol: Option<&'static str>,
    /// Its type.
    pub thing_type: Option<String>,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
    /// Policies that count when it connects.
    pub policies: Vec<String>,
    /// The newest execution that is about it.
    pub latest: Option<Execution>,
    /// What happened lately.
    pub timeline: Timeline,
    /// What is kept of it.
    pub kept: Kept,
    /// Which tab is open.
    pub tab: Tab,
}

impl View {
    /// A client that is no thing may be called what no thing, and so no shadow, is called.
    fn can_have_shadow(&self) -> bool {
        self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte))
    }
}

/// How much the flight recorder keeps.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Entries of one device; 0: none.
    pub of_device: usize,
    /// Bytes of all devices.
    pub bytes: usize,
}

/// What a tab shows.
#[derive(Debug, Clone)]
pub enum Tab {
    /// Messages, refusals, presence.
    Messages(Messages),
    /// Device shadows.
    Shadow(Shadow),
    /// Executions that are about it.
    Executions(Vec<Execution>),
    /// Its executions of AWS IoT jobs.
    Jobs(Jobs),
    /// What it may do.
    Policy(Policy),
    /// Publish a message for it.
    Publish(Publish),
    /// Start a workflow as if it had connected.
    Start(Start),
}

impl Tab {
    fn word(&self) -> &'static str {
        match self {
            Tab::Messages(_) => "messages",
            Tab::Shadow(_) => "shadow",
            Tab::Executions(_) => "executions",
            Tab::Jobs(_) => "jobs",
            Tab::Policy(_) => "policy",
            Tab::Publish(_) => "publish",
            Tab::Start(_) => "start",
        }
    }
}

/// Something that was recorded.
#[derive(Debug, Clone)]
pub struct Event {
    /// Tells it from the others.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What was recorded.
#[derive(Debug, Clone)]
pub enum What {
    /// It connected, from there.
    Connected(String),
    /// Its connection ended, for AWS's reason.
    Disconnected(Option<String>),
    /// A message.
    Message {
        /// Whether the device sent it.
        from: bool,
        /// Topic.
        topic: String,
        /// Payload.
        payload: Vec<u8>,
        /// Bytes of the payload, all of them.
        size: usize,
        /// Quality of service.
        qos: u8,
        /// Whether it was retained.
        retain: bool,
        /// Rules that had something to do.
        rules: Vec<String>,
    },
    /// It was refused something.
    Refused {
        /// `iot:Publish` …
        action: String,
        /// On what.
        resource: String,
        /// Why.
        why: String,
    },
    /// It was cut off.
    CutOff(String),
}

/// The messages of a device.
#[derive(Debug, Clone)]
pub struct Messages {
    /// Latest first.
    pub events: Vec<Event>,
    /// Which of them are shown: all, or as in the address.
    pub only: Option<String>,
}

/// What can be chosen of what was recorded: as in the address, and in words.
pub const ONLY: [(&str, &str); 5] = [
    ("", "All"),
    ("from", "From the device"),
    ("to", "To the device"),
    ("refused", "Refused"),
    ("presence", "Presence"),
];

/// A shadow.
#[derive(Debug, Clone)]
pub struct Shadow {
    /// Names of the named ones.
    pub names: Vec<String>,
    /// Which one is shown; `None`: the classic one.
    pub name: Option<String>,
    /// Its document; `None`: there is none.
    pub document: Option<Json>,
}

/// The jobs of a device.
#[derive(Debug, Clone, Default)]
pub struct Jobs {
    /// ARN of the thing.
    pub arn: String,
    /// Executions that are pending, in the order in which the device gets them.
    pub pending: Vec<Job>,
    /// Executions that have ended, the latest first.
    pub ended: Vec<Job>,
    /// Where older ones are shown.
    pub older: Option<String>,
    /// Where the newest ones are shown, if these are not them.
    pub newest: Option<String>,
}

/// A question, and what was answered.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// `CONNECT`, `PUBLISH`, `SUBSCRIBE` or `RECEIVE`.
    pub action: String,
    /// Topic, topic filter or client identifier.
    pub resource: String,
    /// What was answered; `None`: nothing was asked.
    pub answer: Option<Result<Answer, String>>,
    /// Policies that count, and their documents.
    pub documents: Vec<(String, String)>,
    /// Why there are none.
    pub without: Option<String>,
}

/// What the node's authorizer says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether it may.
    pub allowed: bool,
    /// Whether a statement forbids it, and not only none allows it.
    pub denied: bool,
    /// The statements that say so: policy, number from 1, text.
    pub statements: Vec<(String, Option<usize>, Option<String>)>,
    /// Variables of policies that have no value in such a question.
    pub missing: Vec<String>,
}

/// Actions that can be asked for.
pub const ACTIONS: [(&str, &str); 4] = [
    ("PUBLISH", "publish to the topic"),
    ("SUBSCRIBE", "subscribe to the filter"),
    ("RECEIVE", "receive from the topic"),
    ("CONNECT", "connect as the client"),
];

/// A message to be published.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: String,
    /// It was published.
    pub done: bool,
}

/// An execution to be started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Workflows to choose from.
    pub workflows: Vec<String>,
    /// The one that is chosen.
    pub workflow: Option<String>,
    /// Input.
    pub input: String,
    /// Where the input is from, in words.
    pub from: &'static str,
}

/// Draws the page.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let presence = parts.region("presence", presence(view));
    let latest = parts.region("latest", latest(view));
    let timeline = parts.region("timeline", timeline(view));
    let body = match &view.tab {
        Tab::Messages(messages) => parts.region("tab", tabs::messages_tab(view, messages)),
        Tab::Executions(rows) => parts.region("tab", tabs::executions_tab(view, rows)),
        Tab::Shadow(shadow) => {
            let shown = parts.region("shadow", tabs::shadow_state(shadow));
            tabs::shadow_tab(view, shadow, shown)
        }
        Tab::Jobs(jobs) => parts.region("tab", tabs::jobs_tab(view, jobs)),
        Tab::Policy(policy) => tabs::policy_tab(view, policy),
        Tab::Publish(publish) => tabs::publish_tab(view, publish),
        Tab::Start(start) => tabs::start_tab(view, start),
    };
    let main = html! {
        div.head {
            div { h1 { (view.name) } (facts(view, presence)) (latest) }
            div.acts {
                a.btn href=(tab(view, "publish")) { "Publish…" }
                a.btn href=(tab(view, "start")) { "Start a workflow…" }
            }
        }
        section.card aria-labelledby="clock" {
            h2 #clock { "Lately" span.r.vdim { "UTC; silence is squeezed" } }
            div.scroll tabindex="0" role="region" aria-label="Time line" { (timeline) }
        }
        section.card.grow aria-label="Details" {
            nav.tabs aria-label="Details" {
                @for (word, name) in [("messages", "Messages"), ("shadow", "Shadow"), ("executions", "Executions"),
                    ("jobs", "Jobs"), ("policy", "Policy"), ("publish", "Publish"), ("start", "Start a workflow")] {
                    @if word != "shadow" || view.can_have_shadow() {
                    a href=(tab(view, word)) aria-current=[(word == view.tab.word()).then_some("page")] { (name) }
                    }
                }
            }
            (body)
        }
    };
    let crumbs = vec![Crumb::to("Devices", "/devices"), Crumb::here(view.name.as_str())];
    Page { title: view.name.clone(), section: Section::Devices, crumbs, main, parts }
}

pub(super) fn tab(view: &View, word: &str) -> String {
    format!("/devices/{}?tab={word}", segment(&view.name))
}

fn presence(view: &View) -> Markup {
    html! {
        (view.presence.line(view.now))
        @if let Some(ip) = &view.ip { " " span.vdim { "from " (ip) } }
        @if let Some(protocol) = view.protocol { " " span.vdim { "by " (protocol) } }
    }
}

/// How its newest execution stands, and why.
fn latest(view: &View) -> Markup {
    html! {
        @if let Some(run) = &view.latest {
            div.facts.latest {
                span {
                    (run.status.line()) " " a href=(run.href()) title=(run.name) { (run.workflow) }
                    @if run.state.is_some() { " in " }
                    @if run.state.is_some() || run.error.is_some() { span { (run.place(view.now)) } }
                    " " span.vdim { (ago(run.stopped.unwrap_or(run.started), view.now)) }
                }
            }
        }
    }
}

fn facts(view: &View, presence: Markup) -> Markup {
    html! {
        div.facts {
            span { (presence) }
            @if !view.is_thing { span { "not in the registry" } }
            @if let Some(client) = &view.client { span { "client " b { (client) } } }
            @if let Some(of) = &view.thing_type { span { "type " b { (of) } } }
            @for certificate in &view.certificates { span { (certificate_line(certificate, view.now)) } }
            @if !view.policies.is_empty() {
                span { @if view.policies.len() == 1 { "policy " } @else { "policies " } b { (view.policies.join(", ")) } }
            }
            @if !view.groups.is_empty() {
                span { @if view.groups.len() == 1 { "group " } @else { "groups " } b { (view.groups.join(", ")) } }
            }
            @for (name, value) in &view.attributes { span { (name) " " b { (value) } } }
        }
    }
}

fn certificate_line(certificate: &Certificate, now: Timestamp) -> Markup {
    let beginning: String = certificate.id.chars().take(8).collect();
    html! {
        "certificate " b.mono title=(certificate.id) { (beginning) "…" }
        @if certificate.status != "ACTIVE" { " " span.errn { (certificate.status.to_lowercase().replace('_', " ")) } }
        @if let Some(at) = certificate.expires {
            @if at <= now { " " span.errn { "ran out " (date(at)) } }
            @else {
                @let days = at.since_ms(now) / 86_400_000;
                " " span class=[(days < 30).then_some("errn")] title=(at.rfc3339()) {
                    "runs out in " @if days >= 730 { (days / 365) " y" } @else { (days) " d" }
                }
            }
        }
    }
}

fn timeline(view: &View) -> Markup {
    html! {
        @if view.timeline.is_empty() {
            div.empty {
                @if view.kept.of_device == 0 { b { "Nothing is recorded" } "The node runs with " code { "--flight-events 0" } "." }
                @else { b { "Nothing has happened" } "since the node was started." }
            }
        } @else { (view.timeline.svg()) }
    }
}
