//! Who the execution is, why it stands as it does, and what can be done about it.

use maud::{Markup, html};

use super::{About, Drawn, Look, path_of};
use crate::json::indented;
use crate::run::{Deadline, End, Part, Why};
use crate::words::{ago, clock, duration, segment, since, until};

/// Width of the bar that runs out, in pixels.
const BAR: i64 = 120;

/// Names, status, times; what can be done.
pub(super) fn head(drawn: &Drawn<'_>) -> Markup {
    let (view, run) = (drawn.view, drawn.run());
    html! {
        div.head {
            div {
                h1 {
                    @match &view.about {
                        Some(about) => (about.workflow),
                        None => (super::file::TITLE),
                    }
                    " " (run.status().pill())
                }
                div.facts {
                    @if let Some(about) = &view.about { (who(drawn, about)) }
                    @if let Some(started) = run.started { span { "Started " b { (clock(started)) } } }
                    @match (run.started, run.stopped) {
                        (Some(started), Some(stopped)) => {
                            span { "Took " b { (duration(stopped.since_ms(started))) } }
                        },
                        (Some(started), None) if view.about.is_some() && view.look.at.is_none() => {
                            span { "Running for " b { (since(started, view.now)) } }
                        },
                        _ => {},
                    }
                    @if run.redrives > 0 { span { "Redriven " b { (run.redrives) " ×" } } }
                    @if let Some(about) = &view.about {
                        @if let Some(version) = &about.version { span { "Version " b { (version) } } }
                        @if about.is_gone { span.errn { "Its workflow has been deleted" } }
                    }
                }
            }
            @if let Some(about) = &view.about { (actions(drawn, about)) }
        }
    }
}

fn who(drawn: &Drawn<'_>, about: &About) -> Markup {
    let facts = &drawn.view.facts;
    html! {
        @if let Some(device) = &facts.device {
            span {
                "Device "
                @if let Some((online, _)) = facts.presence {
                    span.dot.away[!online] title=(if online { "online" } else { "offline" }) {}
                }
                a href={ "/devices/" (segment(device)) } { (device) }
            }
        }
        @if let Some(rule) = &about.rule {
            span {
                "Started by rule " a href={ "/rules/" (segment(rule)) } { (rule) }
                @if let Some(topic) = &about.topic { " on " span.mono { (topic) } }
            }
        }
        @if let Some(path) = about.parent.as_deref().and_then(path_of) {
            @let what = if about.map_run.is_some() { "Child of execution " } else { "Started by execution " };
            span { (what) a href=(path) { (last(about.parent.as_deref())) } }
        }
        @if let Some(map_run) = &about.map_run {
            span { "Map run " span.mono { (last(Some(map_run))) } }
        }
    }
}

/// The name at the end of an ARN.
fn last(arn: Option<&str>) -> &str {
    arn.and_then(|arn| arn.rsplit(':').next()).unwrap_or_default()
}

fn actions(drawn: &Drawn<'_>, about: &About) -> Markup {
    let run = drawn.run();
    let back = drawn.base();
    let history = format!(
        "/-/console/history?workflow={}&name={}",
        segment(&about.workflow),
        segment(&about.name)
    );
    html! {
        div.acts {
            @if let Some(previous) = &about.neighbours.0 {
                a.btn href=(previous) data-key="[" aria-keyshortcuts="[" title="Previous run of the same device" { "‹" span.off { "Previous run of the same device" } }
            }
            @if let Some(next) = &about.neighbours.1 {
                a.btn href=(next) data-key="]" aria-keyshortcuts="]" title="Next run of the same device" { "›" span.off { "Next run of the same device" } }
            }
            a.btn href=(history) download { "Export JSON" }
            @match (&about.redrive, run.end) {
                (Ok(()), _) => {
                    form method="post" action="/-/console/redrive" {
                        input type="hidden" name="execution" value=(about.arn);
                        input type="hidden" name="back" value=(back);
                        button.btn data-key="r" aria-keyshortcuts="r" { "Redrive" }
                    }
                },
                (Err(why), End::Failed | End::TimedOut | End::Stopped) => {
                    button.btn disabled title=(why) { "Redrive" }
                },
                _ => {},
            }
            @if run.end == End::None && drawn.view.look.at.is_none() {
                form method="post" action="/-/console/stop" data-confirm="Stop this execution?" {
                    input type="hidden" name="execution" value=(about.arn);
                    input type="hidden" name="back" value=(back);
                    button.btn.d data-key="s" aria-keyshortcuts="s" { "Stop" }
                }
            }
            @if about.map_run.is_none() && !about.is_gone { a.btn.p href="#new-input" { "New execution" } }
        }
    }
}

/// The sentence, and the bar that runs out.
pub(super) fn why(drawn: &Drawn<'_>) -> Markup {
    let view = drawn.view;
    let why = drawn.run().why(&view.facts);
    let at = view.look.at.and_then(|_| drawn.run().events.last());
    html! {
        div class={ "now " (why.status.class()) } role="status" {
            (why.status.mark())
            div {
                @if let Some(event) = at {
                    "As it was at event " (event.id) " of " (view.events)
                    @if let Some(at) = event.at { ", " (clock(at)) } ": "
                }
                (sentence(drawn, &why))
            }
            @if let Some(deadline) = why.deadline.as_ref().filter(|_| at.is_none()) { (runs_out(drawn, deadline)) }
        }
    }
}

fn runs_out(drawn: &Drawn<'_>, deadline: &Deadline) -> Markup {
    let now = drawn.view.now;
    let whole = deadline.at.since_ms(deadline.since).max(1);
    let left = (deadline.at.since_ms(now).clamp(0, whole) * BAR) / whole;
    html! {
        div.hb {
            (deadline.label)
            svg.out width=(BAR) height="7" aria-hidden="true" {
                rect.bg width=(BAR) height="7" rx="3.5" {}
                rect.fg width=(left) height="7" rx="3.5" data-from=(deadline.since.0) data-to=(deadline.at.0) data-width=(BAR) {}
            }
            span { (until(deadline.at, now)) " left" }
        }
    }
}

fn sentence(drawn: &Drawn<'_>, why: &Why) -> Markup {
    let now = drawn.view.now;
    let known = drawn.view.about.is_some();
    let link = |href: String, text: &str| html! { @if known { a href=(href) { (text) } } @else { b { (text) } } };
    html! {
        @for part in &why.parts {
            @match part {
                Part::Text(text) => (text),
                Part::Strong(text) => b { (text) },
                Part::Code(text) => span.mono { (text) },
                Part::Device(name) => b { (link(format!("/devices/{}", segment(name)), name)) },
                Part::Rule(name) => (link(format!("/rules/{}", segment(name)), name)),
                Part::Table(name) => (link(format!("/tables/{}", segment(name)), name)),
                Part::Function(name) => (link(format!("/functions/{}", segment(name)), name)),
                Part::State(name) => a href=(drawn.to_state(name)) { (name) },
                Part::Execution(arn) => @match path_of(arn).filter(|_| known) {
                    Some(path) => a href=(path) { (last(Some(arn))) },
                    None => span.mono { (arn) },
                },
                Part::MapRun(arn) => span.mono { (last(Some(arn))) },
                Part::Ago(at) => @if known { (ago(*at, now)) } @else { (clock(*at)) },
                Part::In(at) => @if known { "in " (until(*at, now)) } @else { (clock(*at)) },
            }
        }
    }
}

/// Any moment of the run: a slider over its events, and links from one to the next.
pub(super) fn travel(drawn: &Drawn<'_>) -> Markup {
    let view = drawn.view;
    if view.about.is_none() || view.events < 2 {
        return html! {};
    }
    let look = &view.look;
    let at = look
        .at
        .and_then(|at| usize::try_from(at).ok())
        .unwrap_or(view.events)
        .clamp(1, view.events);
    let to = |at: usize| drawn.href(&Look { at: Some(at as u64), ..look.clone() });
    let hidden: Vec<_> = look.members().into_iter().filter(|(name, _)| *name != "at").collect();
    html! {
        section.card.travel aria-label="Time travel" {
            form method="get" action=(drawn.base()) data-auto {
                @for (name, value) in &hidden { input type="hidden" name=(name) value=(value); }
                label for="at" { "Time travel" }
                @if at > 1 { a.btn.sm href=(to(at - 1)) aria-label="One event back" { "‹" } }
                input #at type="range" name="at" min="1" max=(view.events) value=(at) aria-describedby="at-event";
                @if at < view.events { a.btn.sm href=(to(at + 1)) aria-label="One event on" { "›" } }
                span #at-event .mono {
                    (at) " / " (view.events)
                    @if let Some(event) = drawn.run().events.last().filter(|_| look.at.is_some()) { " " (event.kind) }
                }
                button.btn.sm { "Show" }
                @if look.at.is_some() {
                    a.btn.sm.p href=(drawn.href(&Look { at: None, ..look.clone() })) { "Back to now" }
                }
            }
        }
    }
}

/// The form that starts another execution, filled in with the input of this one.
pub(super) fn new_execution(drawn: &Drawn<'_>) -> Markup {
    let Some(about) =
        drawn.view.about.as_ref().filter(|about| about.map_run.is_none() && !about.is_gone)
    else {
        return html! {};
    };
    let input = drawn.run().input.as_ref().map(crate::run::Payload::value).unwrap_or_default();
    html! {
        details #new-execution .card.new {
            summary { "New execution of " (about.workflow) }
            form.stack method="post" action="/-/console/start" {
                input type="hidden" name="workflow" value=(about.workflow);
                input type="hidden" name="back" value=(drawn.base());
                div.fld {
                    label for="new-name" { "Name " span.vdim { "(made up if empty)" } }
                    input #new-name name="name" maxlength="80";
                }
                div.fld {
                    label for="new-input" { "Input" }
                    textarea #new-input name="input" rows="8" spellcheck="false" { (indented(&input)) }
                }
                div { button.btn.p { "Start" } }
            }
        }
    }
}
