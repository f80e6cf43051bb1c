//! The editor of a definition: what is wrong with a text, and making it the workflow's.

use std::collections::BTreeMap;
use std::ops::Range;

use stepwire_asl::source::Source;
use stepwire_asl::{Json, Severity};
use stepwire_console::Page;
use stepwire_console::graph::{Graph, Node, NodeId};
use stepwire_console::pages::editor::{Deployment, Finding, View};
use stepwire_console::pages::trial::Trial;
use stepwire_console::pages::workflow::readable;
use stepwire_console::pages::{self, Problem, lines::difference};
use stepwire_console::words::segment;
use stepwire_core::Service;
use stepwire_core::executions::{Kind, record};

use super::Done;
use super::visit::{Form, Visit, lines, problem};
use super::workflow::{arn, stored};
use super::{trial, workflows};
use crate::cli::check::examine::{self, Examined};

/// Findings that are listed.
const LISTED_MAX: usize = 100;
/// Open runs that are counted.
const RUNNING_MAX: usize = 10_000;
/// What a new workflow begins with.
const FIRST: &str = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "Begin",
  "States": {
    "Begin": {
      "Type": "Pass",
      "Output": "{% $states.input %}",
      "End": true
    }
  }
}
"#;

/// The editor with the definition as it is deployed.
pub(super) async fn page(visit: &Visit, name: &str) -> Result<Page, Problem> {
    let machine = stored(visit, name).await?;
    let text = readable(&machine.definition);
    let mut view = view(Some(name), "", machine.kind, text);
    view.trial = trial::begun(visit, name);
    Ok(pages::editor::page(&view))
}

/// The editor of a workflow that is still to be created.
pub(super) fn new() -> Page {
    pages::editor::page(&view(None, "", Kind::Standard, FIRST.to_owned()))
}

/// The text that was sent, checked.
pub(super) fn check(form: &Form) -> Page {
    pages::editor::page(&sent(form))
}

/// Tries a state of what was sent.
pub(super) async fn try_state(visit: &Visit, form: &Form) -> Page {
    trial::act(visit, form, sent(form)).await
}

/// Asks whether to deploy what was sent, or deploys it once that is sure.
pub(super) async fn deploy(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let view = sent(form);
    if view.findings.iter().any(|finding| finding.is_error) {
        return Ok(Done::Page(Box::new(pages::editor::page(&view))));
    }
    if form.field("sure") != "yes" {
        return confirm(visit, view).await;
    }
    let (operation, members, name) = match &view.name {
        Some(name) => (
            "UpdateStateMachine",
            vec![
                ("stateMachineArn", Json::from(arn(visit, name, None))),
                ("definition", view.text.into()),
            ],
            name,
        ),
        None => (
            "CreateStateMachine",
            vec![
                ("name", Json::from(&*view.typed)),
                ("type", view.kind.into()),
                ("definition", view.text.into()),
                ("roleArn", Json::from(role(visit))),
            ],
            &view.typed,
        ),
    };
    visit.ask(Service::States, operation, members).await.map_err(problem)?;
    Ok(Done::At(format!("/workflows/{}", segment(name))))
}

/// A role for what has none: roles are stored and shown, and nobody has to have made this one.
pub(super) fn role(visit: &Visit) -> String {
    format!("arn:aws:iam::{}:role/stepwire-console", visit.node().settings().account)
}

async fn confirm(visit: &Visit, view: View) -> Result<Done, Problem> {
    let (mut lines, mut running) = (Vec::new(), 0);
    match &view.name {
        Some(name) => {
            let machine = stored(visit, name).await?;
            lines = difference(&readable(&machine.definition), &view.text);
            let number = machine.number;
            let open = workflows::read(visit.node(), move |read| {
                Ok(read.range(&record::open_of(number).limit(RUNNING_MAX)).len())
            });
            running = open.await.map_err(problem)?;
        }
        None if view.typed.is_empty() => {
            return Err(Problem::refused("a new workflow needs a name").hint(super::KEPT));
        }
        None => {}
    }
    let deployment = Deployment { view, lines, running };
    Ok(Done::Page(Box::new(pages::editor::deployment(&deployment))))
}

fn sent(form: &Form) -> View {
    let name = form.field("workflow");
    let kind = if form.field("kind") == "EXPRESS" { Kind::Express } else { Kind::Standard };
    let name = (!name.is_empty()).then_some(name);
    view(name, form.field("name").trim(), kind, lines(form.field("definition")))
}

fn view(name: Option<&str>, typed: &str, kind: Kind, text: String) -> View {
    let examined = Examined::new("definition", text, kind);
    let graph = Graph::of(&Json::parse(&examined.text).unwrap_or_default());
    let places = places(&examined.text, &graph);
    let finding = |finding: &examine::Finding| Finding {
        is_error: finding.diagnostic.severity == Severity::Error,
        number: finding.diagnostic.help.topic.number(),
        sentence: finding.sentence(),
        hint: finding.diagnostic.help.hint.clone(),
        place: finding.place.clone(),
    };
    View {
        name: name.map(str::to_owned),
        typed: typed.to_owned(),
        kind: kind.word().to_owned(),
        findings: examined.findings.iter().take(LISTED_MAX).map(finding).collect(),
        more: examined.findings.len() > LISTED_MAX || examined.truncated,
        text: examined.text,
        graph,
        places,
        trial: Trial::default(),
    }
}

/// Where the name of each state is in the text.
fn places(text: &str, graph: &Graph) -> BTreeMap<NodeId, Range<usize>> {
    let Ok(source) = Source::read(text) else { return BTreeMap::new() };
    let states = graph.nodes.iter().filter(|node| graph.is_state(node.id));
    let place = |node: &Node| Some((node.id, source.key(&pointer(&source, node))?));
    states.filter_map(place).collect()
}

fn pointer(source: &Source<'_>, node: &Node) -> String {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let mut pointer = String::new();
    for place in &*node.path {
        pointer.extend(["/States/", &escaped(&place.container)]);
        let branch = format!("{pointer}/Branches[{}]", place.branch);
        let inner = [branch, format!("{pointer}/ItemProcessor"), format!("{pointer}/Iterator")];
        pointer = inner.into_iter().find(|at| source.value(at).is_some()).unwrap_or_default();
    }
    format!("{pointer}/States/{}", escaped(&node.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_in_the_text() {
        let text = r#"{"StartAt":"A/b","States":{"A/b":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{
            "P":{"Type":"Parallel","Branches":[{"StartAt":"X","States":{"X":{"Type":"Pass","End":true}}}],"End":true}}},"End":true}}}"#;
        let seen = view(Some("W"), "", Kind::Standard, text.to_owned());
        assert_eq!(seen.findings, []);
        let names = seen.places.values().map(|place| &text[place.clone()]);
        assert_eq!(names.collect::<Vec<_>>(), ["\"A/b\"", "\"P\"", "\"X\""]);
    }

    #[test]
    fn what_is_wrong_is_told_as_check_tells_it() {
        let text = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}"#;
        let seen = view(None, "", Kind::Standard, text.to_owned());
        let finding = seen.findings.iter().find(|finding| finding.number == "SW0203");
        let finding = finding.expect("`B` is not defined");
        assert!(finding.is_error);
        assert_eq!(&text[finding.place.clone().expect("a place")], "\"B\"");
        assert_eq!(seen.graph.states(), 2);
    }
}
