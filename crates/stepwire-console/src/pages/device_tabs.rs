//! What the tabs of a device's page show.

use maud::{Markup, html};
use stepwire_asl::{Json, Timestamp};

use super::device::{
    ACTIONS, Answer, Event, Jobs, Messages, ONLY, Policy, Publish, Shadow, Start, View, What, tab,
};
use super::devices::plain;
use super::executions::Row as Execution;
use super::jobs::{self, Execution as Job};
use crate::json::indented;
use crate::payload;
use crate::words::{ago, bytes, capital, clock, count, date, encoded, segment};

pub(super) fn messages_tab(view: &View, messages: &Messages) -> Markup {
    let base = tab(view, "messages");
    html! {
        div.bar {
            nav.seg aria-label="What is shown" {
                @for (word, name) in ONLY {
                    @let href = if word.is_empty() { base.clone() } else { format!("{base}&only={word}") };
                    a href=(href) aria-current=[(messages.only.as_deref().unwrap_or("") == word).then_some("true")] { (name) }
                }
            }
            span.r.vdim {
                "the last " (count(view.kept.of_device as u64)) " events of each device, within "
                (bytes(view.kept.bytes as u64)) " for all"
            }
        }
        div.scroll tabindex="0" role="region" aria-label="Events of the device" data-scroll="messages" {
            @if messages.events.is_empty() {
                div.empty { b { "Nothing recorded" } "of this kind since the node was started." }
            } @else {
                ol.log { @for event in &messages.events { li { (event_line(event, view.now)) } } }
            }
        }
    }
}

fn event_line(event: &Event, now: Timestamp) -> Markup {
    html! {
        span.when { (clock(event.at)) }
        @match &event.what {
            What::Connected(ip) => { span.sl.ok { span.dot {} "connected" } span.vdim { "from " (ip) } },
            What::Disconnected(reason) => {
                span.sl.stop { span.dot.away {} "disconnected" }
                span.vdim { @if let Some(reason) = reason { (plain(reason)) " · " } (ago(event.at, now)) }
            },
            What::Message { from, topic, payload, size, qos, retain, rules } => {
                details id={ "m-" (event.number) } {
                    summary {
                        span class={ "way " (if *from { "out" } else { "in" }) } { @if *from { "sent ▲" } @else { "got ▼" } }
                        span.mono { (topic) } " " span.vdim.mono { (payload::cut(&payload::line(payload, payload::Form::Auto), 90)) }
                        @for rule in rules { " " a.chip href={ "/rules/" (segment(rule)) } { (rule) } }
                    }
                    div.more {
                        p.vdim {
                            "QoS " (qos) @if *retain { " · retained" } " · " (bytes(*size as u64)) " · " (ago(event.at, now))
                            @if *from && rules.is_empty() { " · no rule had anything to do" }
                        }
                        (payload::block(payload, payload::Form::Auto))
                        @if *from { p {
                            a href={ "/live?filter=" (encoded(topic)) } { "Messages on this topic" }
                        } }
                    }
                }
            },
            What::Refused { action, resource, why } => {
                span.sl.err { "refused " (action) }
                span { span.mono { (resource) } " " span.vdim { (why) } }
            },
            What::CutOff(cause) => { span.sl.err { "cut off" } span { (cause.replace('_', " ")) } },
        }
    }
}

pub(super) fn shadow_state(shadow: &Shadow) -> Markup {
    let state = shadow.document.as_ref().and_then(|document| document.member("state"));
    let part = |name: &str| state.and_then(|state| state.member(name));
    html! {
        @match &shadow.document {
            None => div.empty { b { "There is no such shadow" } "It begins with the first update, by the device or below." },
            Some(document) => {
                p.vdim {
                    "version " (document.member("version").and_then(Json::as_i64).unwrap_or(0))
                    @if part("delta").is_some() { " · the device has yet to take over what is different" }
                    @else if part("desired").is_some() { " · the device has what is desired" }
                }
                div.cards {
                    @for (name, what) in [("desired", "Desired"), ("reported", "Reported"), ("delta", "Different")] {
                        div { h3.lbl { (what) }
                            @match part(name) { Some(json) => (payload::pretty(json)), None => p.vdim { "–" } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn shadow_tab(view: &View, shadow: &Shadow, shown: Markup) -> Markup {
    let base = tab(view, "shadow");
    let desired = shadow.document.as_ref().and_then(|it| it.member("state")?.member("desired"));
    let text = desired.map_or_else(|| "{\n  \n}".to_owned(), indented);
    html! {
        div.pad.scroll.stack tabindex="0" role="region" aria-label="Shadow" {
            nav.chips aria-label="Shadows" {
                a.chip href=(base) aria-current=[shadow.name.is_none().then_some("true")] { "classic" }
                @for name in &shadow.names {
                    a.chip href={ (base) "&shadow=" (encoded(name)) }
                        aria-current=[(shadow.name.as_ref() == Some(name)).then_some("true")] { (name) }
                }
            }
            (shown)
            form.stack method="post" action="/-/console/device-shadow" {
                input type="hidden" name="back" value=(view.address);
                input type="hidden" name="thing" value=(view.name);
                @if let Some(name) = &shadow.name { input type="hidden" name="shadow" value=(name); }
                @if let Some(desired) = desired { input type="hidden" name="before" value=(desired.to_text()); }
                div.fld {
                    label for="desired" { "Desired" }
                    textarea #desired name="desired" rows="7" spellcheck="false" { (text) }
                    span.vdim { "A member that you take away is removed from what is desired." }
                }
                div.row { button.btn.p { "Update desired" } }
            }
        }
    }
}

pub(super) fn executions_tab(view: &View, rows: &[Execution]) -> Markup {
    html! {
        div.bar {
            span.vdim { (count(rows.len() as u64)) " newest of those that its presence and messages began" }
            a.r.btn.sm href={ "/executions?device=" (encoded(&view.name)) } { "All, with filters" }
        }
        div.scroll tabindex="0" role="region" aria-label="Executions of the device" {
            @if rows.is_empty() {
                div.empty { b { "None" } "Executions that a rule starts with a message of the device, or of its presence, are listed here." }
            } @else {
                table.tb {
                    thead { tr { th { "Status" } th { "Name" } th { "Workflow" } th { "State" } th { "Started" } th.num { "Took" } } }
                    tbody { @for row in rows { tr data-href=(row.href()) {
                        td { (row.status.line()) }
                        td.clip { a.mono href=(row.href()) { (row.name) } }
                        td { (row.workflow) }
                        td.clip { (row.place(view.now)) }
                        td { (date(row.started)) }
                        td.num { (row.took(view.now)) }
                    } } }
                }
            }
        }
    }
}

pub(super) fn jobs_tab(view: &View, of: &Jobs) -> Markup {
    let rows = || of.pending.iter().chain(&of.ended);
    html! {
        @if !view.is_thing {
            div.empty {
                b { "Jobs are for things" }
                "This device is not in the registry. It becomes a thing by:"
                (jobs::commands(&format!("aws iot create-thing --thing-name {}", jobs::quoted(&view.name))))
            }
        } @else if rows().next().is_none() {
            div.empty {
                @if of.newest.is_some() { b { "Nothing further" } }
                @else {
                    b { "No job" }
                    "The device gets one when it, or a group it is in, becomes a target:"
                    (jobs::commands(&jobs::create(&of.arn)))
                }
            }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Jobs of the device" data-scroll="jobs" {
                table.tb {
                    thead { tr {
                        th { "Status" } th { "Job" } th { "Queued" } th { "Started" } th { "Updated" }
                        th.num { "Attempt" } th { "Details" } th { span.off { "Cancel" } }
                    } }
                    tbody { @for (at, job) in rows().enumerate() { (job_line(view, job, at == 0 && !of.pending.is_empty())) } }
                }
            }
        }
        @if of.newest.is_some() || of.older.is_some() {
            div.foot.row {
                @if let Some(newest) = &of.newest { a.btn.sm href=(newest) { "Newest" } }
                @if let Some(older) = &of.older { a.btn.sm href=(older) rel="next" { "Older" } }
            }
        }
    }
}

fn job_line(view: &View, job: &Job, is_next: bool) -> Markup {
    let href = jobs::href(&job.job);
    let id = format!("{}-{}", segment(&job.job), job.number);
    let time = |at: Option<Timestamp>| html! { @match at { Some(at) => (date(at)), None => span.vdim { "–" } } };
    html! {
        tr data-href=(href) {
            td { div.prog { (job.line()) @if is_next { b.vdim title="The device gets it next" { "next" } } } }
            td.clip { a.mono href=(href) { (job.job) } }
            td { (time(job.queued)) }
            td { (time(job.started)) }
            td { (time(job.updated)) }
            td.num title={ "execution number " (job.number) } { (job.retries + 1) }
            td.wrap.said { (jobs::details(job, &id)) }
            td.act { (jobs::cancel(job, &id, &view.address)) }
        }
    }
}

pub(super) fn policy_tab(view: &View, policy: &Policy) -> Markup {
    html! {
        div.pad.scroll.stack tabindex="0" role="region" aria-label="Policy" {
            form.filters action={ "/devices/" (segment(&view.name)) } aria-label="Question" {
                input type="hidden" name="tab" value="policy";
                span { "May it" }
                label { span.off { "Action" }
                    select name="action" {
                        @for (word, words) in ACTIONS { option value=(word) selected[policy.action == word] { (words) } }
                    }
                }
                label { span.off { "Topic, filter, or client" }
                    input name="resource" value=(policy.resource) size="40" placeholder="devices/…/state"; }
                button.btn.p { "Ask" }
            }
            @match &policy.answer {
                None => {},
                Some(Err(why)) => div.bad role="alert" { (why) },
                Some(Ok(answer)) => (answered(answer)),
            }
            @if let Some(why) = &policy.without { p.dim { (why) } }
            @for (name, document) in &policy.documents {
                details id={ "p-" (name) } open[policy.documents.len() == 1] {
                    summary { "Policy " b { (name) } }
                    (payload::block(document.as_bytes(), payload::Form::Auto))
                }
            }
        }
    }
}

fn answered(answer: &Answer) -> Markup {
    html! {
        div class=(if answer.allowed { "good" } else { "bad" }) role="status" {
            b {
                @if answer.allowed { "✓ Yes" }
                @else if answer.denied { "✕ No: it is forbidden" }
                @else { "✕ No: nothing allows it" }
            }
            @for (policy, number, text) in &answer.statements {
                div { "policy " b { (policy) } @if let Some(number) = number { ", statement " (number) } }
                @if let Some(text) = text { (payload::block(text.as_bytes(), payload::Form::Auto)) }
            }
            @if !answer.missing.is_empty() {
                div.dim { "Without a value here: " (answer.missing.join(", ")) }
            }
        }
    }
}

pub(super) fn publish_tab(view: &View, publish: &Publish) -> Markup {
    html! {
        div.pad.scroll.stack tabindex="0" role="region" aria-label="Publish" {
            @if publish.done { div.good role="status" { "Published to " b.mono { (publish.topic) } } }
            form.stack method="post" action="/-/console/device-publish" {
                input type="hidden" name="back" value=(view.address);
                input type="hidden" name="device" value=(view.name);
                div.fld { label for="topic" { "Topic" } input #topic name="topic" value=(publish.topic) required; }
                div.fld { label for="payload" { "Payload" } textarea #payload name="payload" rows="7" spellcheck="false" { (publish.payload) } }
                div.row {
                    label.tick { input type="checkbox" name="qos" value="1" checked; " at least once (QoS 1)" }
                    label.tick { input type="checkbox" name="retain" value="1"; " retain" }
                    button.btn.p { "Publish" }
                }
                p.vdim { "It is published as by the service; the device gets it if it subscribes to the topic and may receive from it." }
            }
        }
    }
}

pub(super) fn start_tab(view: &View, start: &Start) -> Markup {
    html! {
        div.pad.scroll.stack tabindex="0" role="region" aria-label="Start a workflow" {
            @if start.workflows.is_empty() {
                div.empty { b { "There is no workflow yet" } a href="/workflows" { "Workflows" } }
            } @else {
                form.filters action={ "/devices/" (segment(&view.name)) } data-auto="" {
                    input type="hidden" name="tab" value="start";
                    label { "Workflow "
                        select name="workflow" {
                            @for name in &start.workflows {
                                option value=(name) selected[start.workflow.as_ref() == Some(name)] { (name) }
                            }
                        }
                    }
                    button.btn { "Choose" }
                }
                form.stack method="post" action="/-/console/device-start" {
                    input type="hidden" name="back" value=(view.address);
                    input type="hidden" name="workflow" value=[start.workflow.as_deref()];
                    div.fld {
                        label for="input" { "Input" }
                        textarea #input name="input" rows="12" spellcheck="false" { (start.input) }
                        span.vdim { (capital(start.from)) "." }
                    }
                    div.row { button.btn.p { "Start" @if let Some(name) = &start.workflow { " " (name) } } }
                }
            }
        }
    }
}
