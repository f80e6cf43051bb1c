//! Live: the latest messages, which rules took them, and a form that publishes one.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::frame::{Crumb, Page, Section};
use crate::link::link;
use crate::payload::{self, Form};
use crate::region::Parts;
use crate::words::{bytes, clock, count, segment};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The MQTT filter that messages are chosen by; empty for all of them.
    pub filter: String,
    /// Why it is no filter.
    pub fault: Option<String>,
    /// How payloads are shown.
    pub form: Form,
    /// Messages a second that devices publish now.
    pub per_second: f64,
    /// The latest chosen messages, latest first.
    pub messages: Vec<Message>,
    /// Chosen messages that are kept and not among them.
    pub more: usize,
    /// Messages that are kept, and at most.
    pub kept: (usize, usize),
    /// Topics of all that are kept.
    pub topics: Vec<Topic>,
    /// The message that is looked at, if it is still kept.
    pub chosen: Option<Chosen>,
    /// What the form for publishing begins with.
    pub draft: Draft,
    /// The topic that a message was just published on.
    pub published: Option<String>,
}

/// A message in a row.
#[derive(Debug, Clone)]
pub struct Message {
    /// Which.
    pub id: u64,
    /// When the broker took it.
    pub at: Timestamp,
    /// Topic.
    pub topic: String,
    /// Who published it.
    pub from: Sender,
    /// Bytes of its payload.
    pub bytes: u64,
    /// The beginning of the payload in one line.
    pub text: String,
    /// Rules that took it.
    pub rules: Vec<String>,
}

/// Who published a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// The service side: presence, rules, workflows, the API.
    Service,
    /// A device, by client id or thing name.
    Device(String),
    /// Somebody who sent an HTTP request with a certificate.
    Caller,
}

/// A message that is looked at.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Its row.
    pub message: Message,
    /// All of its payload.
    pub payload: Vec<u8>,
    /// Quality of service.
    pub qos: u8,
    /// Whether it was to be retained.
    pub retain: bool,
    /// MQTT 5 properties: names and values.
    pub properties: Vec<(String, String)>,
}

/// A level of topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topic {
    /// The level's own text.
    pub name: String,
    /// The topic up to here.
    pub path: String,
    /// Messages on this topic and those below.
    pub messages: u64,
    /// Levels below, most messages first.
    pub below: Vec<Topic>,
}

/// A message that is being written.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Topic.
    pub topic: String,
    /// Payload as text.
    pub payload: String,
}

/// Topics that one level shows; the rest is counted.
const TOPICS_MAX: usize = 40;

/// The levels of `topics`, each with its number of messages.
pub fn levels<'a>(topics: impl Iterator<Item = &'a str>) -> Vec<Topic> {
    let mut root = Topic::default();
    for topic in topics {
        let mut level = &mut root;
        for name in topic.split('/') {
            let at = level.below.iter().position(|below| below.name == name);
            let at = at.unwrap_or_else(|| {
                let top = level.path.is_empty() && level.name.is_empty() && level.messages == 0;
                let path = if top { name.to_owned() } else { format!("{}/{name}", level.path) };
                level.below.push(Topic { name: name.to_owned(), path, ..Topic::default() });
                level.below.len() - 1
            });
            level = &mut level.below[at];
            level.messages += 1;
        }
    }
    sort(&mut root.below);
    root.below
}

fn sort(topics: &mut [Topic]) {
    topics.sort_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.name.cmp(&b.name)));
    topics.iter_mut().for_each(|topic| sort(&mut topic.below));
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let rate = parts.region("rate", rate(view));
    let tree = parts.region("topics", tree(view));
    let tail = parts.region("tail", tail(view));
    let main = html! {
        div.head {
            div { h1 { "Live" } (rate) }
            div.acts {
                button.btn #hold-button .js type="button" title="Hold or follow (.)" { "Hold" }
                a.btn download href=(link("/-/console/messages.jsonl", &[("filter", &view.filter)])) { "Download" }
            }
        }
        @if let Some(topic) = &view.published {
            p.good.note role="status" { "Published on " span.mono { (topic) } "." }
        }
        (filters(view))
        @if let Some(chosen) = &view.chosen { (chosen_message(view, chosen)) }
        div.lv {
            div.stack {
                section.card aria-labelledby="topics-title" {
                    h2 #topics-title { "Topics" span.r.vdim { "of the latest " (count(view.kept.1 as u64)) } }
                    div.pad.scroll.tall tabindex="0" role="group" aria-labelledby="topics-title" data-scroll="topics" { (tree) }
                }
                (publish(view))
            }
            section.card aria-labelledby="tail-title" {
                h2 #tail-title { "Messages" @if view.filter.is_empty() { "" } @else { " on " span.mono { (view.filter) } } }
                (tail)
            }
        }
    };
    let crumbs = vec![Crumb::here("Live")];
    Page { title: "Live".to_owned(), section: Section::Live, crumbs, main, parts }
}

fn rate(view: &View) -> Markup {
    let (kept, most) = view.kept;
    html! {
        div.facts {
            span { b { (format!("{:.0}", view.per_second)) } " messages/s from devices" }
            @if most == 0 { span { "nothing is kept: the node runs with " code { "--recorded-messages 0" } } }
            @else { span { "latest " b { (count(kept as u64)) } " kept in memory" } }
        }
    }
}

fn filters(view: &View) -> Markup {
    html! {
        form.filters data-auto method="get" action="/live" {
            label for="filter" { "Filter" }
            input #filter.mono name="filter" value=(view.filter) placeholder="every topic; or devices/+/config_resp" size="34" autocomplete="off"
                aria-describedby=[view.fault.is_some().then_some("filter-fault")];
            label for="as" { "as" }
            select #as name="as" {
                @for form in Form::ALL { option value=(form.name()) selected[form == view.form] { (form.name()) } }
            }
            button.btn { "Show" }
            @if !view.filter.is_empty() { a href=(link("/live", &[("as", as_query(view))])) { "every topic" } }
            @if let Some(fault) = &view.fault { span.off-red #filter-fault role="alert" { (fault) } }
        }
    }
}

fn as_query(view: &View) -> &'static str {
    if view.form == Form::Auto { "" } else { view.form.name() }
}

fn tree(view: &View) -> Markup {
    html! {
        @if view.topics.is_empty() { p.dim { "No message yet." } }
        @else { (level(&view.topics, view, 0)) }
    }
}

fn level(topics: &[Topic], view: &View, depth: usize) -> Markup {
    html! {
        ul.tree {
            @for topic in topics.iter().take(TOPICS_MAX) {
                li {
                    @if topic.below.is_empty() { (entry(topic, view)) }
                    @else {
                        details id={ "t-" (segment(&topic.path)) } open[depth == 0 && topics.len() < 8] {
                            summary { span.mono { (name_of(topic)) } span.ct { (count(topic.messages)) } }
                            div.all { (entry(topic, view)) }
                            (level(&topic.below, view, depth + 1))
                        }
                    }
                }
            }
            @if topics.len() > TOPICS_MAX { li.dim { "and " (topics.len() - TOPICS_MAX) " more" } }
        }
    }
}

/// A link to the messages on a topic, or on all topics below it.
fn entry(topic: &Topic, view: &View) -> Markup {
    let below = !topic.below.is_empty();
    let filter = if below { format!("{}/#", topic.path) } else { topic.path.clone() };
    let href = link("/live", &[("filter", &filter), ("as", as_query(view))]);
    html! {
        @if below { a.mono href=(href) { (filter) } }
        @else { a.mono href=(href) { (name_of(topic)) } span.ct { (count(topic.messages)) } }
    }
}

fn name_of(topic: &Topic) -> &str {
    if topic.name.is_empty() { "(empty)" } else { &topic.name }
}

fn tail(view: &View) -> Markup {
    html! {
        @if view.messages.is_empty() {
            div.empty {
                b { @if view.filter.is_empty() { "No message yet" } @else { "No message on this filter" } }
                "What devices, rules and workflows publish appears here as it happens."
            }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Messages" data-scroll="tail" {
                table.tb {
                    thead { tr { th { "Time" } th { "From" } th { "Topic" } th { "Rules" } th.rest { "Payload" } th.num { "Bytes" } } }
                    tbody { @for message in &view.messages { (row(view, message)) } }
                }
            }
        }
        @if view.more > 0 { p.pad.dim { (count(view.more as u64)) " older ones are kept: narrow the filter, or download them." } }
    }
}

fn of_message(view: &View, id: u64) -> String {
    let id = id.to_string();
    link("/live", &[("filter", &view.filter), ("as", as_query(view)), ("message", &id)])
}

fn row(view: &View, message: &Message) -> Markup {
    let href = of_message(view, message.id);
    html! {
        tr data-href=(href) {
            td.mono { a href=(href) { (clock(message.at)) } }
            td { (from(&message.from)) }
            td.mono.clip title=(message.topic) { (message.topic) }
            td.clip { (rules(message)) }
            td.mono.rest { (message.text) }
            td.num { (count(message.bytes)) }
        }
    }
}

fn from(from: &Sender) -> Markup {
    html! {
        @match from {
            Sender::Service => { span.dim { "service" } },
            Sender::Device(name) => { a href={ "/devices/" (segment(name)) } { (payload::cut(name, 40)) } },
            Sender::Caller => { span.dim { "HTTPS" } },
        }
    }
}

fn rules(message: &Message) -> Markup {
    let id = message.id.to_string();
    html! {
        @for (at, rule) in message.rules.iter().enumerate() {
            @if at > 0 { ", " }
            a href=(link(&format!("/rules/{}", segment(rule)), &[("recorded", &id)])) { (rule) }
        }
        @if message.rules.is_empty() { span.vdim { "none" } }
    }
}

fn chosen_message(view: &View, chosen: &Chosen) -> Markup {
    let Chosen { message, payload, qos, retain, properties } = chosen;
    let id = message.id.to_string();
    html! {
        section.card aria-labelledby="message-title" {
            h2 #message-title {
                "Message of " (clock(message.at))
                span.r {
                    a.btn.sm href=(link("/rules", &[("recorded", &id)])) { "Which rules take it?" }
                    a.btn.sm href=(link("/live", &[("filter", &view.filter), ("again", &id)])) { "Publish again" }
                    a.btn.sm href=(link("/live", &[("filter", &view.filter), ("as", as_query(view))])) { "Close" }
                }
            }
            div.pad.lvm {
                dl {
                    dt { "Topic" } dd.mono.any { (message.topic) }
                    dt { "From" } dd { (from(&message.from)) }
                    dt { "QoS" } dd { (qos) @if *retain { ", retained" } }
                    dt { "Payload" } dd { (bytes(message.bytes)) }
                    dt { "Rules" } dd { (rules(message)) }
                    @for (name, value) in properties { dt { (name) } dd.mono.any { (value) } }
                }
                div { (payload::block(payload, view.form)) }
            }
        }
    }
}

fn publish(view: &View) -> Markup {
    let back = link("/live", &[("filter", &view.filter), ("as", as_query(view))]);
    html! {
        section.card aria-labelledby="publish-title" {
            h2 #publish-title { "Publish" }
            form.pad.stack method="post" action="/-/console/publish" {
                input type="hidden" name="back" value=(back);
                div.fld { label for="topic" { "Topic" } input #topic.mono name="topic" value=(view.draft.topic) required; }
                div.fld { label for="payload" { "Payload" } textarea #payload name="payload" rows="5" spellcheck="false" { (view.draft.payload) } }
                div.row {
                    label { "QoS " select name="qos" { option value="0" { "0" } option value="1" selected { "1" } } }
                    label { input type="checkbox" name="retain" value="yes"; " retain" }
                    span.gap {}
                    button.btn.p { "Publish" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, text: &str) -> Message {
        Message {
            id: 7,
            at: Timestamp(1_000),
            topic: topic.to_owned(),
            from: Sender::Device("gw/1".to_owned()),
            bytes: text.len() as u64,
            text: text.to_owned(),
            rules: vec!["R".to_owned()],
        }
    }

    #[test]
    fn topics_are_counted_level_by_level() {
        let topics = levels(["a/b", "a/c", "a/b", "x", "/y"].into_iter());
        let found: Vec<_> = topics.iter().map(|t| (&*t.path, t.messages, t.below.len())).collect();
        assert_eq!(found, [("a", 3, 2), ("", 1, 1), ("x", 1, 0)]);
        assert_eq!((&*topics[0].below[0].path, topics[0].below[0].messages), ("a/b", 2));
        assert_eq!(topics[1].below[0].path, "/y");
    }

    #[test]
    fn a_message_leads_to_its_device_and_its_rules() {
        let view = View { messages: vec![message("a/b", "{}")], kept: (1, 10), ..View::default() };
        let drawn = page(&view).main.0;
        for link in ["/devices/gw%2F1", "/rules/R?recorded=7", "/live?message=7"] {
            assert!(drawn.contains(&format!("href=\"{link}\"")), "{link}: {drawn}");
        }
    }

    #[test]
    fn nothing_that_a_device_sends_is_markup() {
        let bad = "<img src=x onerror=alert(1)>";
        let chosen = Chosen {
            message: message(bad, bad),
            payload: bad.as_bytes().to_vec(),
            qos: 1,
            retain: false,
            properties: vec![(bad.to_owned(), bad.to_owned())],
        };
        let view = View {
            filter: bad.to_owned(),
            messages: vec![message(bad, bad)],
            topics: levels([bad].into_iter()),
            chosen: Some(chosen),
            draft: Draft { topic: bad.to_owned(), payload: bad.to_owned() },
            published: Some(bad.to_owned()),
            ..View::default()
        };
        assert!(!page(&view).main.0.contains("<img"));
    }
}
