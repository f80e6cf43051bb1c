//! One state of the text in the editor, tried by itself: what it is given, and what became of it.

use maud::{Markup, html};
use stepwire_asl::Json;

use crate::graph::Graph;
use crate::payload;
use crate::words::Status;

/// What is tried, and what it came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// Whether the form is open.
    pub open: bool,
    /// The state; empty before one is chosen.
    pub state: String,
    /// Its input, as it was typed.
    pub input: String,
    /// The workflow's variables, as they were typed.
    pub variables: String,
    /// What is taken for the answer of what the state calls, as it was typed.
    pub result: String,
    /// The error that is taken for it.
    pub error: String,
    /// What became of it.
    pub end: Option<Result<Tried, String>>,
    /// Where the input comes from, or why there is none.
    pub note: Option<String>,
}

/// How a state that was tried ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tried {
    /// AWS's word: `SUCCEEDED`, `CAUGHT_ERROR`, `RETRIABLE`, `FAILED`.
    pub status: String,
    /// The state it leads to.
    pub next: Option<String>,
    /// The error.
    pub error: Option<String>,
    /// And its cause.
    pub cause: Option<String>,
    /// Its output, as JSON.
    pub output: Option<String>,
    /// Values between its input and its output: name and JSON.
    pub values: Vec<(String, String)>,
}

impl Tried {
    fn status(&self) -> Status {
        match self.status.as_str() {
            "SUCCEEDED" => Status::Succeeded,
            "CAUGHT_ERROR" => Status::Caught,
            "RETRIABLE" => Status::Retried,
            _ => Status::Failed,
        }
    }

    fn words(&self) -> &'static str {
        match self.status.as_str() {
            "SUCCEEDED" => "succeeded",
            "CAUGHT_ERROR" => "caught its error",
            "RETRIABLE" => "would be tried again",
            _ => "failed",
        }
    }
}

/// The form, a part of the editor's, and the end of the last trial.
pub(super) fn section(trial: &Trial, graph: &Graph) -> Markup {
    let names = graph.nodes.iter().filter(|node| graph.is_state(node.id)).map(|node| &node.name);
    let field = |id: &str, label: &str, value: &str, hint: &str| {
        html! {
            div.fld {
                label for=(id) { (label) }
                textarea id=(id) name=(id) rows="5" spellcheck="false" placeholder=(hint) { "\n" (value) }
            }
        }
    };
    html! {
        section.card.try aria-label="Try a state" {
            details #try open[trial.open] {
                summary.bar { b { "Try a state" } span.dim { "by itself, as TestState does; nothing is recorded" } }
                div.pad.stack {
                    div.row {
                        label for="try-state" { "State" }
                        select #try-state name="try-state" {
                            @for name in names { option value=(name) selected[**name == *trial.state] { (name) } }
                        }
                        button.btn name="fill" value="newest" formaction="/-/console/workflow-try" formnovalidate { "Newest recorded input" }
                        button.btn.p formaction="/-/console/workflow-try" formnovalidate { "Try" }
                        @if let Some(note) = &trial.note { span.dim role="status" { (note) } }
                    }
                    div.tries {
                        (field("try-input", "Input, JSON", &trial.input, "{}"))
                        (field("try-variables", "Variables, JSON", &trial.variables, "none"))
                        (field("try-result", "Instead of its call: result, JSON", &trial.result, "without it, a Task is carried out for real"))
                    }
                    div.row {
                        label for="try-error" { "or the error" }
                        input #try-error name="try-error" value=(trial.error) placeholder="States.Timeout" autocomplete="off";
                    }
                    @match &trial.end {
                        None => {},
                        Some(Err(why)) => p.bad role="alert" { (why) },
                        Some(Ok(tried)) => (tried_state(trial, tried)),
                    }
                }
            }
        }
    }
}

fn tried_state(trial: &Trial, tried: &Tried) -> Markup {
    html! {
        div #tried role="status" {
            p {
                (tried.status().mark()) " " b { (trial.state) } " " (tried.words())
                @if let Some(next) = &tried.next { " and leads to " b { (next) } }
            }
            @if let Some(error) = &tried.error {
                p.bad { b { (error) } @if let Some(cause) = &tried.cause { ": " (payload::cut(cause, 2_000)) } }
            }
            div.tries {
                @if let Some(output) = &tried.output { div { h3 { "Output" } (value(output)) } }
                @for (name, json) in tried.values.iter().filter(|(_, json)| tried.output.as_ref() != Some(json)) { div { h3 { (name) } (value(json)) } }
            }
        }
    }
}

fn value(text: &str) -> Markup {
    match Json::parse(text) {
        Ok(json) => payload::pretty(&json),
        Err(_) => payload::code(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(trial: &Trial) -> String {
        let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"<b>"},"<b>":{"Type":"Succeed"}}}"#;
        let graph = Graph::of(&Json::parse(definition).expect("JSON"));
        section(trial, &graph).into_string()
    }

    #[test]
    fn every_state_can_be_chosen_and_what_was_typed_is_kept() {
        let trial = Trial {
            open: true,
            state: "<b>".into(),
            input: "{\"a\":</textarea>".into(),
            ..Trial::default()
        };
        let drawn = drawn(&trial);
        assert!(drawn.contains("<option value=\"A\">"), "{drawn}");
        assert!(drawn.contains("<option value=\"&lt;b&gt;\" selected>"), "{drawn}");
        assert!(drawn.contains("{&quot;a&quot;:&lt;/textarea&gt;"), "{drawn}");
    }

    #[test]
    fn the_end_says_where_it_leads_and_what_went_wrong() {
        let tried = Tried {
            status: "CAUGHT_ERROR".into(),
            next: Some("Sorry".into()),
            error: Some("Device.<Broken>".into()),
            ..Tried::default()
        };
        let told = drawn(&Trial { state: "A".into(), end: Some(Ok(tried)), ..Trial::default() });
        for words in ["caught its error", "leads to <b>Sorry</b>", "Device.&lt;Broken&gt;"] {
            assert!(told.contains(words), "{words}: {told}");
        }
        let refused =
            drawn(&Trial { end: Some(Err("no <such> state".into())), ..Trial::default() });
        assert!(refused.contains("role=\"alert\">no &lt;such&gt; state"), "{refused}");
    }
}
