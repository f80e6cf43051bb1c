//! Loops that nothing leaves, and islands.

use std::collections::BTreeSet;

use super::{Flow, State};
use crate::diagnostic::{Diagnostic, Topic};

pub(super) fn warnings(flow: &Flow<'_>) -> Vec<Diagnostic> {
    let reached = reached(flow);
    let ending = ending(flow);
    let stuck = |name: &str| reached.contains(name) && !ending.contains(name);
    // Where a loop is entered: from outside, or at the start.
    let entered = |state: &State<'_>| {
        let from_outside = flow.states.values().any(|from| {
            ending.contains(from.name) && from.targets().any(|target| target == state.name)
        });
        from_outside || flow.start == Some(state.name)
    };
    let loops = flow.states.values().filter(|state| stuck(state.name) && entered(state));
    let loops = loops.map(|state| {
        let message = format!("no path leads from `{}` to an end", state.name);
        Diagnostic::warning(Topic::EndlessLoop, "ENDLESS_LOOP", message, &state.at)
            .at_key(&state.at)
            .hint("let a Choice state leave the loop, or lead to a state with `\"End\": true`")
    });
    let islands = flow.states.values().filter(|state| !reached.contains(state.name));
    let islands = islands.map(|state| {
        let message = format!("no path from `StartAt` leads to `{}`", state.name);
        Diagnostic::warning(Topic::Unreachable, "UNREACHABLE", message, &state.at).at_key(&state.at)
    });
    loops.chain(islands).collect()
}

/// The states that an execution can come to.
fn reached<'a>(flow: &Flow<'a>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut rest: Vec<&str> = flow.start.into_iter().collect();
    while let Some(name) = rest.pop() {
        if let Some(state) = flow.states.get(name)
            && reached.insert(name)
        {
            rest.extend(state.targets());
        }
    }
    reached
}

/// The states from which a path leads to an end.
fn ending<'a>(flow: &Flow<'a>) -> BTreeSet<&'a str> {
    let mut ending: BTreeSet<&str> =
        flow.states.values().filter(|state| state.ends()).map(|state| state.name).collect();
    loop {
        let more = flow.states.values().filter(|state| {
            !ending.contains(state.name) && state.targets().any(|target| ending.contains(target))
        });
        let more: Vec<&str> = more.map(|state| state.name).collect();
        if more.is_empty() {
            return ending;
        }
        ending.extend(more);
    }
}
