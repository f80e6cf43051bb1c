//! One state of the text in the editor, tried by itself.

use stepwire_asl::Json;
use stepwire_console::Page;
use stepwire_console::json::indented;
use stepwire_console::pages::trial::{Trial, Tried};
use stepwire_console::pages::{self, editor};
use stepwire_console::run::Run;
use stepwire_core::{ApiError, Service};

use super::execution::history;
use super::visit::{Form, Visit, lines};
use super::workflow::stored;

/// Newest runs that are searched for an input of a state.
const RUNS_MAX: usize = 50;
/// Values between input and output, in their order, by AWS's names.
const VALUES: [(&str, &str); 8] = [
    ("afterInputPath", "After InputPath"),
    ("afterParameters", "After Parameters"),
    ("afterArguments", "Arguments"),
    ("afterItemsPath", "Items"),
    ("result", "Result"),
    ("afterResultSelector", "After ResultSelector"),
    ("afterResultPath", "After ResultPath"),
    ("variables", "Variables"),
];

/// What a page for GET begins with: `state=NAME` chooses one, `run=NAME` takes its input from there.
pub(super) fn begun(visit: &Visit, workflow: &str) -> Trial {
    let Some(state) = visit.query("state") else { return Trial::default() };
    let mut trial = Trial { open: true, state, ..Trial::default() };
    if let Some(run) = visit.query("run") {
        recorded(visit, workflow, Some(&run), &mut trial);
    }
    trial
}

/// Tries the state that was chosen, or looks for an input for it.
pub(super) async fn act(visit: &Visit, form: &Form, mut view: editor::View) -> Page {
    let mut trial = Trial {
        open: true,
        state: form.field("try-state").to_owned(),
        input: lines(form.field("try-input")),
        variables: lines(form.field("try-variables")),
        result: lines(form.field("try-result")),
        error: form.field("try-error").trim().to_owned(),
        ..Trial::default()
    };
    if form.field("fill") == "newest" {
        recorded(visit, view.name.as_deref().unwrap_or_default(), None, &mut trial);
    } else {
        let role = match &view.name {
            Some(name) => {
                stored(visit, name).await.ok().map(|machine| machine.role_arn.to_string())
            }
            None => None,
        };
        let tried = tried(visit, &trial, &view.text, role).await;
        trial.end = Some(tried.map_err(|error| error.message));
    }
    view.trial = trial;
    pages::editor::page(&view)
}

async fn tried(
    visit: &Visit,
    trial: &Trial,
    definition: &str,
    role: Option<String>,
) -> Result<Tried, ApiError> {
    let role = role.unwrap_or_else(|| super::editor::role(visit));
    let mut members = vec![
        ("definition", Json::from(definition)),
        ("stateName", trial.state.as_str().into()),
        ("inspectionLevel", "DEBUG".into()),
        ("roleArn", role.into()),
    ];
    let is_typed = |text: &str| !text.trim().is_empty();
    let input = if is_typed(&trial.input) { trial.input.as_str() } else { "{}" };
    members.push(("input", input.into()));
    if is_typed(&trial.variables) {
        members.push(("variables", trial.variables.as_str().into()));
    }
    let result = is_typed(&trial.result).then(|| ("result", trial.result.as_str().into()));
    let error = is_typed(&trial.error)
        .then(|| ("errorOutput", Json::object([("error", Json::from(trial.error.as_str()))])));
    let mock: Vec<(&str, Json)> = [result, error].into_iter().flatten().collect();
    if !mock.is_empty() {
        members.push(("mock", Json::object(mock)));
    }
    let answer = visit.ask(Service::States, "TestState", members).await?;
    Ok(of_answer(&answer))
}

fn of_answer(answer: &Json) -> Tried {
    let text = |name: &str| answer.member(name).and_then(Json::as_str).map(str::to_owned);
    let data = answer.member("inspectionData");
    let value = |(name, words): &(&str, &str)| {
        Some(((*words).to_owned(), data?.member(name)?.as_str()?.to_owned()))
    };
    Tried {
        status: text("status").unwrap_or_default(),
        next: text("nextState"),
        error: text("error"),
        cause: text("cause"),
        output: text("output"),
        values: VALUES.iter().filter_map(value).collect(),
    }
}

/// Takes over what the state was given last in `run`, or in the newest run that came to it.
fn recorded(visit: &Visit, workflow: &str, run: Option<&str>, trial: &mut Trial) {
    let node = visit.node();
    let recent = node.recent();
    let newest = recent.runs.iter().filter(|run| *run.workflow == *workflow).take(RUNS_MAX);
    let names: Vec<String> = match run {
        Some(run) => vec![run.to_owned()],
        None => newest.map(|run| run.name.to_string()).collect(),
    };
    for name in &names {
        let arn = node.settings().arn("states", &format!("execution:{workflow}:{name}"));
        let Ok(events) = history(node, &arn) else { continue };
        let run = Run::of(events, None);
        let last = run.visits.iter().rev().find(|visit| *visit.name == *trial.state);
        if let Some(input) = last.and_then(|visit| visit.input.as_ref()) {
            trial.input = indented(&input.value());
            trial.note = Some(format!("what it was given in {name}"));
            return;
        }
    }
    trial.note = Some(match run {
        Some(run) => format!("{run} has not come to it"),
        None => format!("none of the newest {RUNS_MAX} runs has come to it"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_the_values_in_their_order() {
        let answer = r#"{"status":"SUCCEEDED","nextState":"B","output":"{}","inspectionData":
            {"result":"1","input":"{}","afterInputPath":"{\"a\":1}"}}"#;
        let tried = of_answer(&Json::parse(answer).expect("JSON"));
        let names: Vec<&str> = tried.values.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["After InputPath", "Result"]);
        assert_eq!(tried.next.as_deref(), Some("B"));
    }
}
