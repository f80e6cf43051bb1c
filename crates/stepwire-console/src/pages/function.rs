//! One function: its configuration, its latest invocations, and a form that invokes it.

use maud::{Markup, html};
use stepwire_asl::{Json, Timestamp};

use super::functions::took;
use crate::frame::{Crumb, Page, Section};
use crate::link::link;
use crate::payload;
use crate::region::Parts;
use crate::words::{Status, bytes, clock, count, segment};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// Description.
    pub description: String,
    /// Names and values of its settings, in order.
    pub settings: Vec<(String, String)>,
    /// Names of environment variables, and their values if they are to be shown.
    pub environment: Vec<(String, Option<String>)>,
    /// Published versions, newest first: which, and when.
    pub versions: Vec<(String, String)>,
    /// Aliases and what they stand for.
    pub aliases: Vec<(String, String)>,
    /// What calls it.
    pub triggers: Vec<Trigger>,
    /// Invocations since the node started, and those that failed.
    pub ran: (u64, u64),
    /// The latest invocations, latest first.
    pub invocations: Vec<Invocation>,
    /// The one that is looked at.
    pub chosen: Option<Chosen>,
    /// The end of its log, from the log group; none unless it is asked for.
    pub log: Option<String>,
    /// Its log group.
    pub log_group: String,
    /// What the form for invoking begins with.
    pub draft: String,
}

/// What calls a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Kind: `topic rule`.
    pub kind: &'static str,
    /// Name.
    pub name: String,
    /// Its page, if it has one.
    pub href: Option<String>,
}

/// An invocation in a row.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Request id.
    pub id: String,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took_us: u64,
    /// How long the process took to be ready, when it was a cold start.
    pub init_us: Option<u64>,
    /// Whether the function failed.
    pub failed: bool,
    /// The version that ran.
    pub version: String,
    /// Who asked for it.
    pub by: By,
}

/// Who asked for an invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum By {
    /// A caller of the API, or the form of this page.
    #[default]
    Api,
    /// A step of an execution.
    Step {
        /// ARN of the execution.
        execution: String,
        /// The state, if that is known.
        state: Option<String>,
        /// Which of its attempts, from 0.
        attempt: u64,
    },
    /// Somebody who does not wait for it.
    Event,
    /// An event source mapping.
    Queue,
    /// A statement of a topic rule.
    Rule,
}

/// An invocation that is looked at.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Its row.
    pub row: Invocation,
    /// What it was given.
    pub input: String,
    /// What it returned, or its error.
    pub result: String,
    /// What it wrote.
    pub log: String,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let mut parts = Parts::default();
    let numbers = parts.region("numbers", numbers(view));
    let invocations = parts.region("invocations", invocations(view));
    let main = html! {
        div.head {
            div {
                h1 { (view.name) }
                (numbers)
                @if !view.description.is_empty() { p.dim { (view.description) } }
            }
            div.acts { a.btn href=(link(&here(view), &[("log", "yes")])) { "Log group" } }
        }
        @if let Some(chosen) = &view.chosen { (chosen_invocation(view, chosen)) }
        @if let Some(log) = &view.log { (log_group(view, log)) }
        div.rl {
            div.stack {
                section.card aria-labelledby="invocations-title" {
                    h2 #invocations-title { "Latest invocations" span.r.vdim { "since the node started" } }
                    (invocations)
                }
                (invoke(view))
            }
            div.stack { (settings(view)) (environment(view)) (triggers(view)) (versions(view)) }
        }
    };
    let crumbs = vec![Crumb::to("Functions", "/functions"), Crumb::here(&view.name)];
    Page { title: view.name.clone(), section: Section::Functions, crumbs, main, parts }
}

fn here(view: &View) -> String {
    format!("/functions/{}", segment(&view.name))
}

fn numbers(view: &View) -> Markup {
    let (ran, failed) = view.ran;
    html! {
        div.facts {
            span { b { (count(ran)) } " invocations" }
            span { b { (count(failed)) } " failed" }
            span.mono.vdim { (view.arn) }
        }
    }
}

fn invocations(view: &View) -> Markup {
    html! {
        @if view.invocations.is_empty() {
            div.empty { b { "Not invoked since the node started" } "What ran before is in the log group." }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Latest invocations" data-scroll="invocations" {
                table.tb {
                    thead { tr { th { "Ended" } th { "Time" } th { "Called by" } th.num { "Took" } th { "Start" } th { "Version" } } }
                    tbody { @for invocation in &view.invocations { (row(view, invocation)) } }
                }
            }
        }
    }
}

fn row(view: &View, invocation: &Invocation) -> Markup {
    let href = link(&here(view), &[("invocation", &invocation.id)]);
    html! {
        tr data-href=(href) {
            td { (status(invocation.failed).line()) }
            td.mono { a href=(href) { (clock(invocation.at)) } }
            td { (by(&invocation.by)) }
            td.num { (took(invocation.took_us)) }
            td { (start(invocation)) }
            td.mono { (invocation.version) }
        }
    }
}

fn status(failed: bool) -> Status {
    if failed { Status::Failed } else { Status::Succeeded }
}

fn start(invocation: &Invocation) -> Markup {
    html! {
        @match invocation.init_us {
            Some(init) => { "cold, ready in " (took(init)) },
            None => { span.vdim { "warm" } },
        }
    }
}

fn by(by: &By) -> Markup {
    html! {
        @match by {
            By::Api => { span.dim { "API" } },
            By::Event => { span.dim { "event" } },
            By::Queue => { span.dim { "queue" } },
            By::Rule => { span.dim { "rule's statement" } },
            By::Step { execution, state, attempt } => {
                @let state_name = state.clone().unwrap_or_default();
                @let name = execution.rsplit(':').next().unwrap_or_default();
                @let text = if state_name.is_empty() { name } else { state_name.as_str() };
                @match crate::link::execution(execution) {
                    Some(href) => { a href=(link(&href, &[("state", &state_name)])) title=(execution) { (text) } },
                    None => (text),
                }
                @if *attempt > 0 { span.vdim { " attempt " (attempt + 1) } }
            },
        }
    }
}

fn chosen_invocation(view: &View, chosen: &Chosen) -> Markup {
    let Chosen { row, input, result, log } = chosen;
    html! {
        section.card aria-labelledby="invocation-title" {
            h2 #invocation-title {
                (status(row.failed).line()) " at " (clock(row.at)) " in " (took(row.took_us)) ", " (start(row)) ", " (by(&row.by))
                span.r {
                    a.btn.sm href=(link(&here(view), &[("again", &row.id)])) { "Invoke with this input" }
                    a.btn.sm href=(here(view)) { "Close" }
                }
            }
            div.pad.stack {
                p.mono.vdim { (row.id) }
                div.halves {
                    div { h3 { "Input" } (text_or_json(input)) }
                    div { h3 { (if row.failed { "Error" } else { "Result" }) } (text_or_json(result)) }
                }
                h3 { "Log" }
                (payload::code(log))
            }
        }
    }
}

fn text_or_json(text: &str) -> Markup {
    match Json::parse(text) {
        Ok(json) => payload::pretty(&json),
        Err(_) => payload::code(text),
    }
}

fn log_group(view: &View, log: &str) -> Markup {
    html! {
        section.card aria-labelledby="log-title" {
            h2 #log-title { "Log group " span.mono { (view.log_group) } span.r { a.btn.sm href=(here(view)) { "Close" } } }
            div.pad {
                @if log.is_empty() { p.dim { "Nothing is in it." } }
                @else { (payload::code(log)) }
            }
        }
    }
}

fn invoke(view: &View) -> Markup {
    html! {
        section.card aria-labelledby="invoke-title" {
            h2 #invoke-title { "Invoke" }
            form.pad.stack method="post" action="/-/console/function-invoke" {
                input type="hidden" name="back" value=(here(view));
                input type="hidden" name="function" value=(view.name);
                div.fld { label for="payload" { "Payload, JSON" } textarea #payload name="payload" rows="8" spellcheck="false" { (view.draft) } }
                div.row {
                    label { "Version or alias " input.mono name="qualifier" size="12" placeholder="$LATEST"; }
                    label { input type="checkbox" name="event" value="yes"; " do not wait (Event)" }
                    span.gap {}
                    button.btn.p { "Invoke" }
                }
            }
        }
    }
}

fn settings(view: &View) -> Markup {
    html! {
        section.card aria-labelledby="settings-title" {
            h2 #settings-title { "Configuration" }
            dl.pad.wide { @for (name, value) in &view.settings { dt { (name) } dd.any { (value) } } }
        }
    }
}

fn environment(view: &View) -> Markup {
    let hidden = view.environment.iter().any(|(_, value)| value.is_none());
    html! {
        section.card aria-labelledby="environment-title" {
            h2 #environment-title {
                "Environment"
                @if hidden { span.r { a.btn.sm href=(link(&here(view), &[("environment", "show")])) { "Show values" } } }
            }
            @if view.environment.is_empty() { p.pad.dim { "No variables." } }
            @else {
                dl.pad.wide {
                    @for (name, value) in &view.environment {
                        dt.mono { (name) }
                        dd.mono.any { @match value { Some(value) => (value), None => span.vdim { "hidden" } } }
                    }
                }
            }
        }
    }
}

fn triggers(view: &View) -> Markup {
    html! {
        section.card aria-labelledby="triggers-title" {
            h2 #triggers-title { "Called by" }
            @if view.triggers.is_empty() { p.pad.dim { "No rule, queue or topic names it. Workflows call it by their states." } }
            @else {
                dl.pad.wide {
                    @for trigger in &view.triggers {
                        dt { (trigger.kind) }
                        dd.any { @match &trigger.href { Some(href) => a href=(href) { (trigger.name) }, None => (trigger.name) } }
                    }
                }
            }
        }
    }
}

fn versions(view: &View) -> Markup {
    html! {
        @if !view.versions.is_empty() || !view.aliases.is_empty() {
            section.card aria-labelledby="versions-title" {
                h2 #versions-title { "Versions and aliases" }
                dl.pad.wide {
                    @for (alias, version) in &view.aliases { dt.mono { (alias) } dd { "version " (version) } }
                    @for (version, at) in &view.versions { dt.mono { (version) } dd { "published " (at) } }
                }
            }
        }
    }
}

/// The settings that a configuration of AWS's shape shows.
pub fn settings_of(configuration: &Json) -> Vec<(String, String)> {
    let text = |name: &str| match configuration.member(name)? {
        Json::String(text) if text.is_empty() => None,
        Json::String(text) => Some(text.to_string()),
        other => Some(other.to_text()),
    };
    let mut settings = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        settings.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("Runtime", text("Runtime"));
    add("Handler", text("Handler"));
    add("Memory", text("MemorySize").map(|mb| format!("{mb} MB")));
    add("Timeout", text("Timeout").map(|seconds| format!("{seconds} s")));
    let size = configuration.member("CodeSize").and_then(Json::as_i64);
    add("Code", size.map(|size| bytes(size as u64)));
    add("Changed", text("LastModified"));
    add("Role", text("Role"));
    let layers = configuration.member("Layers").and_then(Json::as_array).unwrap_or_default();
    for layer in layers {
        add("Layer", layer.member("Arn").and_then(Json::as_str).map(str::to_owned));
    }
    let letters = configuration.member("DeadLetterConfig");
    let letters = letters.and_then(|config| config.member("TargetArn")).and_then(Json::as_str);
    add("Dead letters", letters.map(str::to_owned));
    settings
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn values_of_variables_are_hidden_until_asked_for() {
        let environment = vec![("KEY".to_owned(), None)];
        let view = View { name: "f".to_owned(), environment, ..View::default() };
        let drawn = page(&view).main.0;
        assert!(drawn.contains("hidden") && drawn.contains("/functions/f?environment=show"));
        let environment = vec![("KEY".to_owned(), Some("s3cret".to_owned()))];
        let drawn = page(&View { environment, ..view }).main.0;
        assert!(drawn.contains("s3cret") && !drawn.contains("Show values"));
    }

    #[test]
    fn an_invocation_leads_to_the_step_that_called() {
        let by = By::Step {
            execution: "arn:aws:states:r:a:execution:W:N".to_owned(),
            state: Some("Read it".to_owned()),
            attempt: 1,
        };
        let row =
            Invocation { id: "i".to_owned(), by, init_us: Some(2_000), ..Invocation::default() };
        let view = View { invocations: vec![row.clone()], ..View::default() };
        let drawn = page(&view).main.0;
        assert!(drawn.contains("/executions/W/N?state=Read%20it") && drawn.contains("attempt 2"));
        assert!(drawn.contains("cold, ready in 2.0 ms"));
        let text = "</pre><script>".to_owned();
        let chosen = Chosen { row, input: text.clone(), result: text.clone(), log: text };
        assert!(!page(&View { chosen: Some(chosen), ..view }).main.0.contains("<script"));
    }

    #[test]
    fn a_configuration_is_told_in_order() {
        let json = Json::parse(r#"{"Runtime":"python3.12","Role":"","CodeSize":1500,"Timeout":3}"#);
        let settings = settings_of(&json.unwrap());
        let names: Vec<_> =
            settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(names, ["Runtime=python3.12", "Timeout=3 s", "Code=1.5 kB"]);
    }
}
