//! Two definitions of a workflow side by side: which states came, went or changed, and how the text
//! did.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use stepwire_asl::Json;

use super::lines::{Change, Line, difference};
use super::workflow::readable;
use crate::json::indented;

/// One of the definitions of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// As it now is.
    Latest,
    /// A published version.
    Version(u64),
}

impl Which {
    /// What an address says: `latest` or a number; `None` for anything else.
    pub fn parse(text: &str) -> Option<Which> {
        match text {
            "latest" => Some(Which::Latest),
            number => number.parse().ok().map(Which::Version),
        }
    }

    /// As in an address.
    pub fn word(self) -> String {
        match self {
            Which::Latest => "latest".to_owned(),
            Which::Version(number) => number.to_string(),
        }
    }

    /// As in a sentence.
    fn named(self) -> String {
        match self {
            Which::Latest => "latest".to_owned(),
            Which::Version(number) => format!("version {number}"),
        }
    }
}

/// What differs between two definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The definition that is compared.
    pub from: Which,
    /// With which.
    pub to: Which,
    /// Whether both texts are the same, letter by letter.
    pub is_same_text: bool,
    /// Members around the states that came, went or changed, such as `StartAt`.
    pub around: Vec<String>,
    /// States that differ: those that went or changed as the first has them, then those that came.
    pub states: Vec<StateChange>,
    /// The lines of both, without long stretches that are the same; empty when they say the same.
    pub lines: Vec<Line>,
}

/// A state that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The containers that it is in, outermost first, and its name.
    pub path: Vec<String>,
    /// What became of it; never `Same` or `Skipped`.
    pub change: Became,
}

/// What became of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// Only the second definition has it.
    Added,
    /// Only the first definition has it.
    Removed,
    /// Members of it came, went or changed: these.
    Changed(Vec<String>),
}

impl Comparison {
    /// Compares two texts. Spaces and line breaks between values are no difference.
    pub fn of(from: Which, to: Which, old: &str, new: &str) -> Comparison {
        let parsed = |text: &str| Json::parse(text).ok();
        let (before, after) = (parsed(old), parsed(new));
        let lines = match (&before, &after) {
            (Some(before), Some(after)) => difference(&indented(before), &indented(after)),
            _ => difference(&readable(old), &readable(new)),
        };
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let (were, are) = (states(&before), states(&after));
        let old_ones: BTreeSet<&[Place]> = were.iter().map(|(path, _)| &**path).collect();
        let new_ones: BTreeMap<&[Place], &Json> =
            are.iter().map(|(path, own)| (&**path, own)).collect();
        let mut changes = Vec::new();
        for (path, own) in &were {
            let change = match new_ones.get(&**path) {
                None => Became::Removed,
                Some(now) if *now == own => continue,
                Some(now) => Became::Changed(members(own, now)),
            };
            changes.push(StateChange { path: names(path), change });
        }
        let came = are.iter().filter(|(path, _)| !old_ones.contains(&**path));
        changes
            .extend(came.map(|(path, _)| StateChange { path: names(path), change: Became::Added }));
        Comparison {
            from,
            to,
            is_same_text: old == new,
            around: members(&without_states(&before), &without_states(&after)),
            states: changes,
            lines,
        }
    }

    /// What is compared with what.
    pub fn title(&self) -> String {
        let title = format!("{} → {}", self.from.named(), self.to.named());
        crate::words::capital(&title)
    }
}

/// A state as a definition has it: its path, and the state without the states in it.
type State = (Vec<Place>, Json);
/// A step on the way to a state: its name, or that of a container and the number of the branch.
type Place = (String, usize);

fn names(path: &[Place]) -> Vec<String> {
    path.iter().map(|(name, _)| name.clone()).collect()
}

/// Every state of a definition, containers before what is in them.
fn states(definition: &Json) -> Vec<State> {
    let mut found = Vec::new();
    walk(definition, &[], &mut found);
    found
}

fn walk(scope: &Json, path: &[Place], found: &mut Vec<State>) {
    let states = scope.member("States").and_then(Json::as_object);
    for (name, state) in states.into_iter().flat_map(|states| states.iter()) {
        let place = |branch: usize| {
            let mut path = path.to_vec();
            path.push((name.to_string(), branch));
            path
        };
        found.push((place(0), own(state)));
        for (branch, inner) in branches(state).into_iter().enumerate() {
            walk(inner, &place(branch), found);
        }
    }
}

/// The definitions in a Parallel or Map.
fn branches(state: &Json) -> Vec<&Json> {
    let branches = state.member("Branches").and_then(Json::as_array).unwrap_or_default();
    let inner = state.member("ItemProcessor").or_else(|| state.member("Iterator"));
    branches.iter().chain(inner).collect()
}

/// A state without the states in it.
fn own(state: &Json) -> Json {
    let Some(members) = state.as_object() else { return state.clone() };
    let members = members.iter().map(|(name, value)| {
        let value = match (&**name, value) {
            ("Branches", Json::Array(branches)) => Json::array(branches.iter().map(without_states)),
            ("ItemProcessor" | "Iterator", inner) => without_states(inner),
            (_, value) => value.clone(),
        };
        (name.clone(), value)
    });
    Json::object(members)
}

fn without_states(scope: &Json) -> Json {
    let Some(members) = scope.as_object() else { return scope.clone() };
    let rest = members.iter().filter(|(name, _)| &***name != "States");
    Json::object(rest.map(|(name, value)| (name.clone(), value.clone())))
}

/// The names of members that only one of two objects has, or that differ.
fn members(old: &Json, new: &Json) -> Vec<String> {
    let names = |of: &Json| -> Vec<String> {
        let members = of.as_object().into_iter().flat_map(|members| members.keys());
        members.map(ToString::to_string).collect()
    };
    let mut all = names(old);
    all.extend(names(new).into_iter().filter(|name| old.member(name).is_none()));
    all.retain(|name| old.member(name) != new.member(name));
    all
}

/// The lines that differ, with their numbers in the bar; `close` leads back to the graph.
pub(super) fn text(of: &Comparison, close: &str) -> Markup {
    let number = |change: Change| of.lines.iter().filter(|line| line.change == change).count();
    html! {
        div.bar {
            h2 #graph-title { (of.title()) }
            @if !of.lines.is_empty() {
                span.dim { (number(Change::New)) " lines new, " (number(Change::Gone)) " gone" }
            }
            div.r { a.btn.sm href=(close) { "Graph" } }
        }
        @if of.lines.is_empty() {
            div.empty {
                b { "Nothing differs" }
                @if of.is_same_text { "Both are the same definition." }
                @else { "Both say the same; only spaces and line breaks differ." }
            }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="What changed" data-scroll="diff" {
                (diff(&of.lines))
            }
        }
    }
}

/// The lines of two texts.
pub(super) fn diff(lines: &[Line]) -> Markup {
    html! {
        pre.diff {
            @for line in lines {
                @let (sign, class) = match line.change {
                    Change::Same => (' ', "same"),
                    Change::Gone => ('-', "gone"),
                    Change::New => ('+', "new"),
                    Change::Skipped => ('⋯', "between"),
                };
                span class=(class) { (sign) " " (line.text) "\n" }
            }
        }
    }
}

/// The states that differ, as a list.
pub(super) fn list(of: &Comparison) -> Markup {
    html! {
        h3 { (of.title()) }
        @if of.states.is_empty() && of.around.is_empty() {
            p.dim { @if of.lines.is_empty() { "Nothing differs." } @else { "No state differs." } }
        } @else {
            ul.changes {
                @if !of.around.is_empty() {
                    li { span.sl.rt { "changed" } span { "the workflow itself" (which(&of.around)) } }
                }
                @for state in &of.states {
                    @let (class, word) = match state.change {
                        Became::Added => ("sl ok", "added"),
                        Became::Removed => ("sl err", "removed"),
                        Became::Changed(_) => ("sl rt", "changed"),
                    };
                    li {
                        span class=(class) { (word) }
                        span {
                            @for (index, name) in state.path.iter().enumerate() {
                                @if index > 0 { " › " }
                                @if index + 1 == state.path.len() { b { (name) } } @else { (name) }
                            }
                            @if let Became::Changed(members) = &state.change { (which(members)) }
                        }
                    }
                }
            }
        }
    }
}

fn which(members: &[String]) -> Markup {
    html! { span.dim { ": " (members.join(", ")) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(old: &str, new: &str) -> Comparison {
        Comparison::of(Which::Version(1), Which::Latest, old, new)
    }

    fn told(of: &Comparison) -> Vec<String> {
        let states = of.states.iter().map(|state| {
            let path = state.path.join("/");
            match &state.change {
                Became::Added => format!("+{path}"),
                Became::Removed => format!("-{path}"),
                Became::Changed(members) => format!("~{path} {}", members.join(" ")),
            }
        });
        states.collect()
    }

    #[test]
    fn states_that_came_went_and_changed_are_told() {
        let old =
            r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Succeed"}}}"#;
        let new = r#"{"StartAt":"A","TimeoutSeconds":9,"States":{"A":{"Type":"Pass","Comment":"c","Next":"C"},"C":{"Type":"Succeed"}}}"#;
        let of = compared(old, new);
        assert_eq!(told(&of), ["~A Next Comment", "-B", "+C"]);
        assert_eq!(of.around, ["TimeoutSeconds"]);
        assert_eq!(of.title(), "Version 1 → latest");
    }

    #[test]
    fn a_container_has_not_changed_when_a_state_in_it_has() {
        let with = |inner: &str| {
            format!(
                r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,"Branches":[
                {{"StartAt":"X","States":{{"X":{{"Type":"Pass","End":true}}}}}},
                {{"StartAt":"X","States":{{"X":{{"Type":"Pass","Result":{inner},"End":true}}}}}}]}}}}}}"#
            )
        };
        assert_eq!(told(&compared(&with("1"), &with("2"))), ["~P/X Result"]);
        let map = |inner: &str| {
            format!(
                r#"{{"States":{{"M":{{"Type":"Map","ItemProcessor":{{"StartAt":"{inner}","States":{{"{inner}":{{}}}}}}}}}}}}"#
            )
        };
        let of = compared(&map("S"), &map("T"));
        assert_eq!(told(&of), ["~M ItemProcessor", "-M/S", "+M/T"]);
    }

    #[test]
    fn how_a_definition_is_written_is_no_difference() {
        let of = compared("{\"A\":1,\n\n \"B\":2}", r#"{"A":1,"B":2}"#);
        assert!(of.lines.is_empty() && of.states.is_empty() && !of.is_same_text);
        assert!(text(&of, "/").into_string().contains("only spaces and line breaks differ"));
        assert!(compared("{}", "{}").is_same_text);
    }

    #[test]
    fn what_is_compared_is_text() {
        let evil = "<img src=x onerror=alert(1)>";
        let of = compared("{\"States\":{}}", &format!("{{\"States\":{{\"{evil}\":{{}}}}}}"));
        let drawn = text(&of, "/").into_string() + &list(&of).into_string();
        assert!(!drawn.contains("<img") && drawn.contains("&lt;img"), "{drawn}");
    }
}
