//! One state of the run: how it stands, what it was given and gave, what it tried.

use maud::{Markup, html};
use stepwire_asl::Json;

use super::{Drawn, Look, MapRun, Tab, children, events, json, kind_words, path_of};
use crate::link::link;
use crate::region::Parts;
use crate::run::{Attempt, End, Run, Visit, VisitId, terminal};
use crate::words::{Status, clock, duration, segment, since};

/// Iterations that are linked one by one.
const ITEMS_MAX: usize = 240;

/// The state's name and its tabs.
pub(super) fn name(drawn: &Drawn<'_>) -> Markup {
    let run = drawn.run();
    let look = &drawn.view.look;
    let Some((_, id)) = drawn.picked else {
        let asked = look.state.as_deref();
        return html! {
            div.bar { h2.st-name { (asked.unwrap_or("State")) } }
            @if asked.is_some() { div.tabs {} }
        };
    };
    let visit = &run.visits[id];
    let count = |tab: Tab| {
        (tab == Tab::Attempts && !visit.attempts.is_empty()).then_some(visit.attempts.len())
    };
    html! {
        div.bar {
            (run.status_of(id).mark())
            h2.st-name { (visit.name) }
            (visits(drawn, id))
        }
        nav.tabs aria-label="About the state" {
            @for (tab, word) in Tab::ALL {
                @let href = drawn.href(&Look { tab, ..look.clone() });
                a href=(href) aria-current=[(tab == look.tab).then_some("page")] {
                    (crate::words::capital(word))
                    @if let Some(count) = count(tab) { " " (count) }
                }
            }
        }
    }
}

/// Links to the other visits of a state that was entered more than once.
fn visits(drawn: &Drawn<'_>, id: VisitId) -> Markup {
    let run = drawn.run();
    let name = &run.visits[id].name;
    let alike = (0..run.visits.len()).filter(|other| run.visits[*other].name == *name);
    let alike: Vec<VisitId> = alike.filter(|other| drawn.scope.has(run, *other)).collect();
    let Some(at) = alike.iter().position(|other| *other == id).filter(|_| alike.len() > 1) else {
        return html! {};
    };
    let to = |at: usize| {
        let visit = Some(at + 1).filter(|number| *number < alike.len());
        drawn.href(&Look { state: Some(name.to_string()), visit, ..drawn.view.look.clone() })
    };
    html! {
        span.r {
            @if at > 0 { a.btn.sm href=(to(at - 1)) aria-label="Visit before" { "‹" } }
            span.dim { "visit " (at + 1) " of " (alike.len()) }
            @if at + 1 < alike.len() { a.btn.sm href=(to(at + 1)) aria-label="Visit after" { "›" } }
        }
    }
}

/// What the tab shows.
pub(super) fn inspector(drawn: &Drawn<'_>) -> Markup {
    let run = drawn.run();
    let Some((_, id)) = drawn.picked else {
        return match &drawn.view.look.state {
            Some(name) => {
                let in_children = children::of_state(drawn, name);
                let nowhere = || html! { p.empty { b { (name) } "This state was not reached." } };
                html! { (in_children.unwrap_or_else(nowhere)) (unreached(drawn, name)) }
            }
            None => html! { p.empty { "No state was entered yet." } },
        };
    };
    let visit = &run.visits[id];
    let payload = |payload: &Option<crate::run::Payload>, label: &str, missing: &str| match payload
    {
        Some(payload) => json::block(&payload.value(), label),
        None => html! { p.dim { (missing) } },
    };
    match drawn.view.look.tab {
        Tab::Now => now(drawn, id),
        Tab::Input => html! {
            (payload(&visit.input, "Input", "The history does not tell its input."))
            @if let Some(attempt) = visit.attempts.last() {
                @if let Some(parameters) = &attempt.parameters {
                    h3 { "What " (attempt.call()) " was given" }
                    (json::block(&parameters.value(), "Parameters"))
                }
            }
        },
        Tab::Output => output(visit, payload(&visit.output, "Output", missing_output(visit))),
        Tab::Changes => match (&visit.input, &visit.output) {
            (Some(input), Some(output)) => json::changes(&input.value(), &output.value()),
            _ => html! { p.dim { (missing_output(visit)) } },
        },
        Tab::Attempts => attempts(drawn, visit),
        Tab::Definition => html! { (definition(run, id)) (try_it(drawn, visit)) },
    }
}

/// Everything about a visit, on a page without tabs.
pub(super) fn whole(drawn: &Drawn<'_>, id: VisitId) -> Markup {
    let run = drawn.run();
    let visit = &run.visits[id];
    let title = format!("visit-{}", visit.entered);
    let block = |name: &str, payload: &Option<crate::run::Payload>| match payload {
        Some(payload) => html! { div.mini { h3 { (name) } (json::block(&payload.value(), name)) } },
        None => html! {},
    };
    html! {
        section.card aria-labelledby=(title) {
            div.bar { (run.status_of(id).mark()) h2.st-name id=(title) tabindex="-1" { (visit.name) } }
            div.insp {
                (now(drawn, id))
                div.cols { (block("Output", &visit.output)) @if let Some(attempt) = visit.attempts.last() { (block("Parameters", &attempt.parameters)) } }
                @if visit.attempts.len() > 1 { h3 { "Attempts" } (attempts(drawn, visit)) }
            }
        }
    }
}

fn missing_output(visit: &Visit) -> &'static str {
    match visit.end {
        End::None if visit.exited.is_none() => "It has no output yet.",
        End::None | End::Succeeded => "The history does not tell its output.",
        End::Failed | End::TimedOut => "It failed: it has no output.",
        End::Stopped => "It was stopped: it has no output.",
    }
}

fn unreached(drawn: &Drawn<'_>, name: &str) -> Markup {
    let definition = drawn.run().definition();
    match found(&definition, name, 0) {
        Some(state) => html! { h3 { "Definition" } (json::block(&state, "Definition")) },
        None => html! {},
    }
}

/// The state called `name`, wherever it is.
fn found(machine: &Json, name: &str, depth: usize) -> Option<Json> {
    let states = machine.member("States")?.as_object()?;
    if let Some(state) = states.get(name) {
        return Some(state.clone());
    }
    if depth > 16 {
        return None;
    }
    states.values().find_map(|state| {
        let inner = ["ItemProcessor", "Iterator"].into_iter().filter_map(|name| state.member(name));
        let branches = state.member("Branches").and_then(Json::as_array).unwrap_or_default();
        inner.chain(branches).find_map(|inner| found(inner, name, depth + 1))
    })
}

/// How it stands: what, since when, how long, until when; and what it wrote.
fn now(drawn: &Drawn<'_>, id: VisitId) -> Markup {
    let (run, view) = (drawn.run(), drawn.view);
    let visit = &run.visits[id];
    let status = run.status_of(id);
    let attempt = visit.attempts.last();
    let wrote = view
        .logs
        .iter()
        .filter(|output| run.attempt_at(output.scheduled).is_some_and(|(of, _)| of == id));
    let wrote: Vec<_> = wrote.collect();
    html! {
        @if let Some(failure) = attempt.filter(|attempt| attempt.is_failed()) { (trouble(failure)) }
        div.cols {
            dl {
                dt { "Status" } dd { (status.line()) }
                dt { "Type" } dd { (kind_words(&visit.kind)) }
                @if let Some(attempt) = attempt.filter(|attempt| !attempt.resource.is_empty()) {
                    dt { "Calls" } dd.mono { (call(attempt, view.about.is_some())) }
                }
                @if let Some(entered) = visit.entered_at { dt { "Entered" } dd { (clock(entered)) } }
                @if let Some(ms) = visit.took_ms(None) { dt { "Took" } dd { (duration(ms)) } }
                @else if let Some(entered) = visit.entered_at.filter(|_| visit.is_open() && view.about.is_some() && view.look.at.is_none()) {
                    @match attempt.filter(|_| visit.attempts.len() > 1).and_then(|attempt| attempt.scheduled_at) {
                        Some(scheduled) => { dt { "This attempt" } dd { "for " (since(scheduled, view.now)) } },
                        None => { dt { "For" } dd { (since(entered, view.now)) } },
                    }
                }
                @if let Some(attempt) = attempt { (limits(drawn, visit, attempt)) }
                @if let Some(tally) = run.tally(id) { dt { "Items" } dd { (tally.words()) } }
                (inside(drawn, id))
            }
            @if let Some(input) = &visit.input {
                div.mini { h3 { "Input" } (json::block(&input.value(), "Input")) }
            }
        }
        @if let Some((number, failed)) = earlier_failure(visit) {
            details.earlier {
                summary { "Attempt " (number) " failed: " (failed.trouble.error.as_deref().unwrap_or("no error name")) }
                (trouble(failed))
            }
        }
        @if &*visit.kind == "Map" { (items(drawn, id)) }
        @if &*visit.kind == "Parallel" { (branches(drawn, id)) }
        @for map_run in &view.map_runs {
            @if visit.attempts.iter().any(|attempt| attempt.map_run.as_deref() == Some(map_run.arn.as_str())) {
                (children_of(map_run))
            }
        }
        @if !wrote.is_empty() {
            h3 { "What its functions wrote" }
            @for output in wrote { (events::invocation(drawn, output, false)) }
        }
    }
}

/// The last attempt that failed, of a visit that went on after it; its number counts from 1.
fn earlier_failure(visit: &Visit) -> Option<(usize, &Attempt)> {
    let (last, before) = visit.attempts.split_last()?;
    let failed = before.iter().enumerate().rev().find(|(_, attempt)| attempt.is_failed());
    failed.filter(|_| !last.is_failed()).map(|(at, attempt)| (at + 1, attempt))
}

fn call(attempt: &Attempt, known: bool) -> Markup {
    match attempt.function().filter(|_| known) {
        Some(function) => {
            html! { "λ " a href={ "/functions/" (segment(&function)) } { (function) } }
        }
        None => html! { (attempt.call()) },
    }
}

fn limits(drawn: &Drawn<'_>, visit: &Visit, attempt: &Attempt) -> Markup {
    const YEAR_S: i64 = 366 * 86_400;
    let near = |seconds: &i64| *seconds < YEAR_S;
    let words = |seconds: i64| duration(seconds.saturating_mul(1_000));
    let known = drawn.view.about.is_some();
    html! {
        @if let Some(seconds) = attempt.heartbeat_s.filter(near) { dt { "Heartbeat" } dd { "at least every " (words(seconds)) } }
        @match attempt.timeout_s.filter(near) {
            Some(seconds) => { dt { "Timeout" } dd { (words(seconds)) } },
            None if attempt.waits_for_token() => {
                dt { "Timeout" }
                dd { "none" @if attempt.heartbeat_s.is_some() { span.vdim { " (only the heartbeat ends this wait)" } } @else { span.vdim { " (nothing ends this wait by itself)" } } }
            },
            None => {},
        }
        @if let Some(worker) = &attempt.worker { dt { "Worker" } dd.mono { (worker) } }
        @if let Some(table) = attempt.token_table().filter(|_| attempt.waits_for_token()) {
            dt { "Token in" } dd { "table " @if known { a href={ "/tables/" (segment(&table)) } { (table) } } @else { (table) } }
        }
        @if let Some(child) = attempt.child() {
            dt { "Child" }
            dd { @match path_of(&child).filter(|_| known) {
                Some(path) => a href=(path) { (child.rsplit(':').next().unwrap_or_default()) },
                None => span.mono { (child) },
            } }
        }
        @if let Some(map_run) = &attempt.map_run {
            dt { "Map run" } dd.mono { (map_run.rsplit(':').next().unwrap_or_default()) }
        }
        @if visit.attempts.len() > 1 { dt { "Attempts" } dd { (visit.attempts.len()) } }
    }
}

/// The containers it is in, with the items before and after.
fn inside(drawn: &Drawn<'_>, id: VisitId) -> Markup {
    let run = drawn.run();
    let way = run.way_to(id);
    html! {
        @for (container, frame) in &way {
            @let frame = &run.frames[*frame];
            dt { (if frame.iteration { "Item" } else { "Branch" }) }
            dd {
                (if frame.iteration { frame.index } else { frame.index + 1 }) " of "
                a href=(drawn.to_visit(*container)) { (run.visits[*container].name) }
            }
        }
    }
}

fn trouble(attempt: &Attempt) -> Markup {
    html! {
        div.bad {
            b { (attempt.trouble.error.as_deref().unwrap_or("No error name")) }
            @if let Some(cause) = &attempt.trouble.cause { (cause_block(cause)) }
        }
    }
}

/// The children of a distributed Map.
fn children_of(map_run: &MapRun) -> Markup {
    html! {
        h3 { "Children" }
        div.row {
            (Status::of_execution(&map_run.status).line())
            @for (word, number) in &map_run.items { span.dim { (number) " " (word) } }
        }
        ul.plain {
            @for (name, status, arn) in &map_run.children {
                li {
                    (Status::of_execution(status).line()) " "
                    @match path_of(arn) { Some(path) => a.mono href=(path) { (name) }, None => span.mono { (name) } }
                }
            }
        }
        @if map_run.more { p.dim { "There are more; these are those that failed, then those that run, then the latest." } }
    }
}

/// A cause: JSON as JSON, else text.
fn cause_block(cause: &str) -> Markup {
    match Json::parse(cause) {
        Ok(value) if value.as_object().is_some() => json::block(&value, "Cause"),
        _ => html! { div.cause { (cause) } },
    }
}

/// The items of a Map, one square each.
fn items(drawn: &Drawn<'_>, id: VisitId) -> Markup {
    const SIDE: usize = 17;
    const ROW: usize = 30;
    let run = drawn.run();
    let Some(attempt) = run.visits[id].attempts.last() else { return html! {} };
    let mut frames = attempt.frames.clone();
    frames.sort_by_key(|frame| run.frames[*frame].index);
    let all = frames.len();
    if all > ITEMS_MAX {
        // Those that somebody looks for come first.
        frames.sort_by_key(|frame| {
            (run.frames[*frame].end == End::Succeeded, run.frames[*frame].index)
        });
        frames.truncate(ITEMS_MAX);
        frames.sort_by_key(|frame| run.frames[*frame].index);
    }
    if frames.is_empty() {
        return html! {};
    }
    let picked = drawn.scope.picked(id);
    let outer: Vec<usize> = run
        .way_to(id)
        .into_iter()
        .map(|(_, frame)| frame)
        .filter(|frame| run.frames[*frame].iteration)
        .map(|frame| run.frames[frame].index)
        .collect();
    let look = &drawn.view.look;
    let to = |frame: usize| {
        if drawn.view.about.is_none() {
            let first = (0..run.visits.len()).find(|id| run.visits[*id].frame == frame);
            return first.map_or_else(|| "#".to_owned(), |id| drawn.to_visit(id));
        }
        let items = outer.iter().copied().chain([run.frames[frame].index]).collect();
        drawn.href(&Look { items, visit: None, ..look.clone() })
    };
    let height = frames.len().div_ceil(ROW) * SIDE;
    html! {
        h3 {
            "Items"
            @if picked.is_some() {
                " " a.btn.sm href=(drawn.href(&Look { items: outer.clone(), visit: None, ..look.clone() })) { "All items" }
            }
        }
        @if all > ITEMS_MAX { p.dim { (ITEMS_MAX) " of " (all) " are shown, those that did not succeed first." } }
        svg.cells viewBox={ "0 0 " (ROW * SIDE) " " (height) } width=(ROW * SIDE) height=(height) role="group" aria-label="Items" {
            @for (at, frame) in frames.iter().enumerate() {
                @let of = &run.frames[*frame];
                @let status = terminal::status_of_frame(run, *frame);
                a href=(to(*frame)) aria-label={ "Item " (of.index) ", " (status.word()) } {
                    title { "Item " (of.index) ", " (status.word()) }
                    rect class={ "c " (status.class()) @if picked == Some(*frame) { " sel" } }
                        x=(at % ROW * SIDE + 1) y=(at / ROW * SIDE + 1) width="14" height="14" rx="3" {}
                }
            }
        }
    }
}

fn branches(drawn: &Drawn<'_>, id: VisitId) -> Markup {
    let run = drawn.run();
    let Some(attempt) = run.visits[id].attempts.last() else { return html! {} };
    let mut frames = attempt.frames.clone();
    frames.sort_by_key(|frame| run.frames[*frame].index);
    html! {
        @if !frames.is_empty() {
            h3 { "Branches" }
            ul.plain {
                @for frame in frames {
                    @let of = &run.frames[frame];
                    li {
                        (terminal::status_of_frame(run, frame).line()) " branch " (of.index + 1)
                        @if let Some(last) = of.last { ", last in " a href=(drawn.to_visit(last)) { (run.visits[last].name) } }
                    }
                }
            }
        }
    }
}

fn output(visit: &Visit, output: Markup) -> Markup {
    html! {
        (output)
        @if let Some(assigned) = visit.assigned.as_ref().and_then(Json::as_object) {
            h3 { "Variables assigned" }
            @for (name, value) in assigned {
                @let value = value.as_str().and_then(|text| Json::parse(text).ok()).unwrap_or_else(|| value.clone());
                div.fld { span.lbl.mono { "$" (name) } (json::block(&value, name)) }
            }
        }
    }
}

fn attempts(drawn: &Drawn<'_>, visit: &Visit) -> Markup {
    let run = drawn.run();
    if visit.attempts.is_empty() {
        return html! { p.dim { "A " (visit.kind) " state does nothing outside the workflow: it is not tried again." } };
    }
    html! {
        ol.tries {
            @for (index, attempt) in visit.attempts.iter().enumerate() {
                @let status = status_of(attempt, visit, index);
                li {
                    div.row {
                        (status.line())
                        b { "Attempt " (index + 1) }
                        @if let Some(at) = attempt.scheduled_at { span.mono.dim { (clock(at)) } }
                        @if let (Some(from), Some(to)) = (attempt.scheduled_at, attempt.ended_at) { span.dim { "took " (duration(to.since_ms(from))) } }
                        @if let Some(wait) = waited(visit, index) { span.dim { "after waiting " (duration(wait)) } }
                    }
                    @if attempt.is_failed() { (trouble(attempt)) }
                    @if !attempt.frames.is_empty() { div.dim { (attempt.frames.len()) (if attempt.items.is_some() { " items" } else { " branches" }) } }
                    @for output in drawn.view.logs.iter().filter(|output| output.scheduled == attempt.scheduled) {
                        (events::invocation(drawn, output, false))
                    }
                }
            }
        }
        @if let Some(retry) = run.state_of(run.visits.iter().position(|other| other.entered == visit.entered).unwrap_or(0)).and_then(|state| state.member("Retry")) {
            h3 { "Retry" } (json::block(retry, "Retry"))
        }
    }
}

fn status_of(attempt: &Attempt, visit: &Visit, index: usize) -> Status {
    match attempt.end {
        End::None if visit.is_open() && index + 1 == visit.attempts.len() => {
            if attempt.waits_for_token() { Status::WaitingForDevice } else { Status::Running }
        }
        End::None | End::Stopped => Status::Stopped,
        End::Succeeded => Status::Succeeded,
        End::Failed => Status::Failed,
        End::TimedOut => Status::TimedOut,
    }
}

/// How long it waited after the attempt before.
fn waited(visit: &Visit, index: usize) -> Option<i64> {
    let before = visit.attempts.get(index.checked_sub(1)?)?;
    Some(visit.attempts[index].scheduled_at?.since_ms(before.ended_at?))
}

fn definition(run: &Run, id: VisitId) -> Markup {
    match run.state_of(id) {
        Some(state) => json::block(state, "Definition"),
        None => html! { p.dim { "The definition is not known: give it along with the history." } },
    }
}

/// Leads to the editor, where the state is tried with what it was given here.
fn try_it(drawn: &Drawn<'_>, visit: &Visit) -> Markup {
    let about = drawn.view.about.as_ref();
    let Some(about) = about.filter(|about| !about.is_gone && about.map_run.is_none()) else {
        return html! {};
    };
    let editor = format!("/workflows/{}/edit", segment(&about.workflow));
    let href = link(&editor, &[("state", &visit.name), ("run", &about.name)]) + "#try";
    html! { p { a.btn.sm href=(href) { "Try it with this input" } } }
}

/// Forms that finish what waits for a task token. The token itself stays on the server.
pub(super) fn by_hand(drawn: &Drawn<'_>, parts: &mut Parts) -> Markup {
    let run = drawn.run();
    let Some(about) = drawn
        .view
        .about
        .as_ref()
        .filter(|_| drawn.view.look.at.is_none() && drawn.view.look.tab == Tab::Now)
    else {
        return html! {};
    };
    let open = drawn.picked.and_then(|(_, id)| {
        let visit = &run.visits[id];
        let attempt = visit.attempts.last()?;
        let waits = attempt.waits_for_token() || attempt.is_activity();
        (visit.is_open() && attempt.end == End::None && waits).then_some(attempt)
    });
    // Only whether it is there changes by itself: people type in it.
    let Some(attempt) = open else { return parts.region("run-by-hand", html! {}) };
    let hidden = html! {
        input type="hidden" name="execution" value=(about.arn);
        input type="hidden" name="scheduled" value=(attempt.scheduled);
        input type="hidden" name="back" value=(drawn.href(&drawn.view.look));
    };
    let inner = html! {
        h3 { "Finish this step by hand" }
        p.dim { "Sends the same call that a function or a device would make." }
        details #send-success {
            summary.btn { "Send success…" }
            form.stack method="post" action="/-/console/task-success" {
                (hidden)
                div.fld { label for="task-output" { "Output (JSON)" } textarea #task-output name="output" rows="4" spellcheck="false" { "{\"status\":\"SUCCESS\"}" } }
                div { button.btn.p { "Send success" } }
            }
        }
        details #send-failure {
            summary.btn { "Send failure…" }
            form.stack method="post" action="/-/console/task-failure" {
                (hidden)
                div.fld { label for="task-error" { "Error" } input #task-error name="error" maxlength="256"; }
                div.fld { label for="task-cause" { "Cause" } textarea #task-cause name="cause" rows="3" {} }
                div { button.btn.p { "Send failure" } }
            }
        }
        form method="post" action="/-/console/task-heartbeat" { (hidden) button.btn { "Heartbeat" } }
        pre.dim tabindex="0" role="group" aria-label="The same with the AWS CLI" {
            "aws stepfunctions send-task-success \\\n  --task-token \"$TOKEN\" --task-output '{\"status\":\"SUCCESS\"}'"
        }
    };
    parts.region("run-by-hand", html! { div.hand { (inner) } })
}
