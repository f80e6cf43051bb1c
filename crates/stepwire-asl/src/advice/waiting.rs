//! Tasks that wait for a token: answers that come early, late or never.

use std::collections::BTreeSet;

use super::{Flow, Machine, State, branches, strings};
use crate::Json;
use crate::diagnostic::{Diagnostic, Part, Related, Topic};
use crate::json::Object;

/// Whether a state may send something to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Sends {
    Never,
    /// A function or an HTTP endpoint, which can do anything.
    Perhaps,
    Surely,
}

/// Devices that are asked in one state while a later one stores the token of the answer.
pub(super) fn early_answers(flow: &Flow<'_>) -> Vec<Diagnostic> {
    let waiting = flow.states.values().filter(|state| waits(state));
    waiting.filter_map(|waiting| early_answer(flow, waiting)).collect()
}

fn early_answer(flow: &Flow<'_>, waiting: &State<'_>) -> Option<Diagnostic> {
    let sender = sender_before(flow, waiting)?;
    let place = |state: &State<'_>| {
        let resource = if state.has("Resource") { "/Resource" } else { "" };
        format!("{}{resource}", state.at)
    };
    let (name, sends) = (waiting.name, sends(sender));
    let message = format!("the answer can arrive before `{name}` stores its token");
    let asked = match sends {
        Sends::Surely => "the device is asked here",
        _ => "if the device is asked here …",
    };
    let related = Related { place: place(sender), part: Part::Value, label: asked.to_owned() };
    let code = "EARLY_ANSWER";
    let finding = Diagnostic::warning(Topic::EarlyAnswer, code, message, place(waiting))
        .label(if sends == Sends::Surely { "its token is stored here" } else { "… its answer has no token until here" })
        .hint("publish from inside the waiting state: hand the token to the task that sends the message");
    Some(finding.related(related))
}

/// The nearest state before `waiting` on some path that asks the device.
///
/// A function counts only when nothing nearer can have asked, and only before a task that puts the
/// token into a table: a function that waits itself has the token to send.
fn sender_before<'f, 'a>(flow: &'f Flow<'a>, waiting: &State<'a>) -> Option<&'f State<'a>> {
    let stores = resource(waiting).contains("dynamodb:");
    let mut perhaps = None;
    let mut seen = BTreeSet::from([waiting.name]);
    let mut edge = vec![waiting.name];
    while !edge.is_empty() {
        let before = flow.states.values().filter(|state| {
            !seen.contains(state.name) && state.targets().any(|target| edge.contains(&target))
        });
        let before: Vec<&State<'_>> = before.collect();
        for state in &before {
            match sends(state) {
                Sends::Surely => return Some(state),
                Sends::Perhaps if perhaps.is_none() && stores => perhaps = Some(*state),
                _ => {}
            }
        }
        // Past another wait it is that one's message.
        let further = before.iter().filter(|state| !waits(state));
        edge = further.map(|state| state.name).collect();
        seen.extend(before.iter().map(|state| state.name));
    }
    perhaps
}

/// What a state sends, whatever runs within it included.
fn sends(state: &State<'_>) -> Sends {
    let mut most = Sends::Never;
    let mut rest = vec![state.members];
    while let Some(members) = rest.pop() {
        let sends = sends_itself(members);
        most = if sends > most { sends } else { most };
        for (_, branch) in branches(members, "") {
            let states = branch.get("States").and_then(Json::as_object).into_iter().flatten();
            rest.extend(states.filter_map(|(_, inner)| inner.as_object()));
        }
    }
    most
}

fn sends_itself(members: &Object) -> Sends {
    let resource = members.get("Resource").and_then(Json::as_str).unwrap_or_default();
    let (plain, waits) = match resource.strip_suffix(".waitForTaskToken") {
        Some(plain) => (plain, true),
        None => (resource, false),
    };
    if plain.ends_with(":iotdataplane:publish") && !waits {
        Sends::Surely
    } else if (plain.contains(":lambda:") || plain.ends_with(":http:invoke")) && !waits {
        Sends::Perhaps
    } else {
        Sends::Never
    }
}

fn resource<'a>(state: &State<'a>) -> &'a str {
    state.text("Resource").unwrap_or_default()
}

fn waits(state: &State<'_>) -> bool {
    resource(state).ends_with(".waitForTaskToken")
}

/// What is wrong with how this state waits.
pub(super) fn warnings(state: &State<'_>, machine: &Machine<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let has = |names: [&str; 2]| names.into_iter().any(|name| state.has(name));
    let heartbeat = has(["HeartbeatSeconds", "HeartbeatSecondsPath"]);
    let timeout = has(["TimeoutSeconds", "TimeoutSecondsPath"]);
    let place = format!("{}/Resource", state.at);
    let bounded = machine.top.is_some_and(|top| top.contains_key("TimeoutSeconds"));
    if waits(state) && !heartbeat && !timeout && !bounded {
        let message = format!("`{}` may wait for a year", state.name);
        let finding =
            Diagnostic::warning(Topic::NoTimeLimit, "NO_TIME_LIMIT", message, place.as_str());
        found.push(finding.hint("set `HeartbeatSeconds` or `TimeoutSeconds`"));
    }
    if waits(state) && !passes_token(state) {
        let message = format!("`{}` gives its task token to nobody", state.name);
        let token = if state.jsonata {
            "\"{% $states.context.Task.Token %}\" into its `Arguments`"
        } else {
            "`$$.Task.Token` into its `Parameters`, under a name that ends in `.$`"
        };
        let finding =
            Diagnostic::warning(Topic::UnusedToken, "UNUSED_TOKEN", message, place.as_str());
        found.push(finding.hint(format!("put {token}")));
    }
    let limited = heartbeat || (waits(state) && timeout);
    if limited && !handles_silence(state) {
        let message = format!("a silent device fails the execution in `{}`", state.name);
        let limits =
            ["HeartbeatSeconds", "HeartbeatSecondsPath", "TimeoutSeconds", "TimeoutSecondsPath"];
        let limit = limits.into_iter().find(|name| state.has(name)).unwrap_or_default();
        let finding = Diagnostic::warning(
            Topic::UnhandledSilence,
            "UNHANDLED_SILENCE",
            message,
            format!("{}/{limit}", state.at),
        );
        found.push(
            finding
                .label("no `Retry` or `Catch` matches when this time is up")
                .hint("catch `States.HeartbeatTimeout` or `States.Timeout`"),
        );
    }
    found
}

fn passes_token(state: &State<'_>) -> bool {
    let mut texts = Vec::new();
    for name in ["Parameters", "Arguments"] {
        if let Some(value) = state.members.get(name) {
            strings(value, "", &mut texts);
        }
    }
    let other = [".Execution", ".StateMachine", ".State", ".Map"];
    let reads = |text: &str, root: &str| {
        text.match_indices(root).any(|(at, _)| {
            let behind = &text[at + root.len()..];
            !other.iter().any(|other| behind.starts_with(other))
        })
    };
    texts.iter().any(|(_, _, text)| reads(text, "$$") || reads(text, "$states.context"))
}

/// Whether the state or one around it does something when its time is up.
fn handles_silence(state: &State<'_>) -> bool {
    let silence = ["States.ALL", "States.Timeout", "States.HeartbeatTimeout"];
    let matches = |entry: &Json| {
        let errors = entry.member("ErrorEquals").and_then(Json::as_array).unwrap_or_default();
        errors.iter().filter_map(Json::as_str).any(|error| silence.contains(&error))
    };
    let handles = |members: &Object| {
        let lists = ["Retry", "Catch"].into_iter().filter_map(|name| members.get(name)?.as_array());
        lists.flatten().any(matches)
    };
    handles(state.members) || state.around.iter().any(|around| handles(around))
}
