//! Rules: which there are, and what they do with messages.

use maud::{Markup, html};
use stepwire_asl::Timestamp;

use crate::frame::{Crumb, Page, Section};
use crate::link::link;
use crate::payload;
use crate::region::Parts;
use crate::words::{Status, ago, clock, count, segment};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Rules in order of their names.
    pub rules: Vec<Rule>,
    /// Part of a name or a topic that they were chosen by.
    pub query: String,
    /// The last name of this page, when more follow.
    pub next: Option<String>,
    /// A recorded message that every rule is asked about.
    pub message: Option<Message>,
    /// Messages that are kept.
    pub kept: usize,
    /// The time on the node's clock.
    pub now: Timestamp,
}

/// A rule in a row.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Name.
    pub name: String,
    /// Topic filter of its statement.
    pub topic: Option<String>,
    /// Kinds of its actions: `republish`.
    pub actions: Vec<String>,
    /// It matches nothing.
    pub disabled: bool,
    /// What it has done.
    pub counts: Counts,
    /// What it makes of the message.
    pub verdict: Option<Verdict>,
}

/// What a rule has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages of those that are kept that it took.
    pub matched: u64,
    /// What it has done since the node started.
    pub since_start: SinceStart,
    /// When it took the last of those that are kept.
    pub last: Option<Timestamp>,
}

/// What a rule has done since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinceStart {
    /// Messages on its topics.
    pub heard: u64,
    /// Actions that succeeded.
    pub succeeded: u64,
    /// Actions that failed.
    pub failed: u64,
}

/// What a rule makes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it takes it.
    pub matches: bool,
    /// Why, in a sentence.
    pub sentence: String,
}

/// A recorded message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Which.
    pub id: u64,
    /// When the broker took it.
    pub at: Timestamp,
    /// Topic.
    pub topic: String,
    /// The beginning of its payload.
    pub text: String,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let list = parts.region("rules", list(view));
    let main = html! {
        div.head {
            div { h1 { "Rules" } div.facts { span { "Matched: of the latest " b { (count(view.kept as u64)) } " messages. Messages on its topics, and actions that succeeded and failed: since the node started." } } }
            div.acts { a.btn href="/live" { "Messages" } }
        }
        @if let Some(message) = &view.message {
            div.good.note {
                "What each rule makes of the message of " (clock(message.at)) " on "
                a.mono href=(link("/live", &[("message", &message.id.to_string())])) { (message.topic) }
                ": " span.mono { (payload::cut(&message.text, 100)) }
                " · " a href="/rules" { "leave" }
            }
        }
        form.filters data-auto method="get" action="/rules" {
            label for="q" { "Name or topic" }
            input #q name="q" value=(view.query) autocomplete="off";
            @if let Some(message) = &view.message { input type="hidden" name="recorded" value=(message.id); }
            button.btn { "Show" }
        }
        section.card aria-label="Rules" { (list) }
    };
    let crumbs = vec![Crumb::here("Rules")];
    Page { title: "Rules".to_owned(), section: Section::Rules, crumbs, main, parts }
}

fn list(view: &View) -> Markup {
    html! {
        @if view.rules.is_empty() {
            div.empty {
                @if view.query.is_empty() {
                    b { "No rule yet" }
                    "A rule takes messages by topic and SQL, and starts what follows: "
                    code { "aws iot create-topic-rule" } ", or a template with " code { "AWS::IoT::TopicRule" } "."
                } @else { b { "No rule has this in its name or topic" } a href="/rules" { "all rules" } }
            }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Rules" data-scroll="rules" {
                table.tb.tight {
                    thead { tr {
                        th { "State" } th { "Name" } th { "Topic" } th { "Actions" }
                        th.num { "Matched" } th { "Last" }
                        th.num { "On its topics" } th.num { "Succeeded" } th.num { "Failed" }
                        @if view.message.is_some() { th { "This message" } }
                    } }
                    tbody { @for rule in &view.rules { (row(rule, view)) } }
                }
            }
        }
        @if let Some(next) = &view.next {
            p.pad { a.btn href=(link("/rules", &[("q", &view.query), ("after", next)])) { "Next" } }
        }
    }
}

fn row(rule: &Rule, view: &View) -> Markup {
    let id = view.message.as_ref().map(|message| message.id.to_string()).unwrap_or_default();
    let href = link(&format!("/rules/{}", segment(&rule.name)), &[("recorded", &id)]);
    html! {
        tr data-href=(href) {
            td { (state(rule.disabled)) }
            td.name title=(rule.name) { a href=(href) { (rule.name) } }
            td.mono.cut { @match &rule.topic { Some(topic) => (topic), None => span.vdim { "by name only" } } }
            td { (rule.actions.join(", ")) @if rule.actions.is_empty() { span.vdim { "none" } } }
            td.num { (count(rule.counts.matched)) }
            td { @match rule.counts.last { Some(at) => (ago(at, view.now)), None => span.vdim { "–" } } }
            (since_start(rule.counts.since_start))
            @if let Some(verdict) = &rule.verdict { td.wrap { (self::verdict(verdict)) } }
            @else if view.message.is_some() { td {} }
        }
    }
}

fn since_start(counts: SinceStart) -> Markup {
    html! {
        td.num { (count(counts.heard)) }
        td.num { (count(counts.succeeded)) }
        td.num { @if counts.failed > 0 { span.off-red { (count(counts.failed)) } } @else { "0" } }
    }
}

/// Whether a rule is enabled: mark and word.
pub(super) fn state(disabled: bool) -> Markup {
    let (status, word) =
        if disabled { (Status::Stopped, "disabled") } else { (Status::Succeeded, "enabled") };
    html! { span class={ "sl " (status.class()) } { (status.mark()) (word) } }
}

/// What a rule makes of a message: mark and sentence.
pub(super) fn verdict(verdict: &Verdict) -> Markup {
    let status = if verdict.matches { Status::Succeeded } else { Status::Stopped };
    html! { span.verdict { (status.mark()) " " (verdict.sentence) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_told_with_what_it_makes_of_the_message() {
        let message =
            Message { id: 3, at: Timestamp(0), topic: "a".to_owned(), text: "{}".to_owned() };
        let sentence = "it does not match: <b>".to_owned();
        let rule = Rule {
            name: "R".to_owned(),
            verdict: Some(Verdict { matches: false, sentence }),
            ..Rule::default()
        };
        let view = View { rules: vec![rule], message: Some(message), ..View::default() };
        let drawn = page(&view).main.0;
        assert!(drawn.contains("it does not match: &lt;b&gt;"), "{drawn}");
        assert!(drawn.contains("href=\"/rules/R?recorded=3\""), "{drawn}");
        assert!(drawn.contains("by name only"));
    }

    #[test]
    fn failures_stand_out() {
        let since_start = SinceStart { heard: 5, succeeded: 4, failed: 1 };
        let rule = Rule { counts: Counts { since_start, ..Counts::default() }, ..Rule::default() };
        let drawn = page(&View { rules: vec![rule], ..View::default() }).main.0;
        assert!(drawn.contains("<span class=\"off-red\">1</span>"), "{drawn}");
    }
}
