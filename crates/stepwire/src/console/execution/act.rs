//! What the forms of the page do: the requests that an API caller would make.

use stepwire_asl::Json;
use stepwire_console::pages::Problem;
use stepwire_console::pages::execution::path_of;
use stepwire_core::executions::TaskToken;
use stepwire_core::{ApiError, Service};

use super::super::Done;
use super::super::visit::{Form, Visit};
use super::{Found, opened, problem};

/// Does what a form asks for; `None` when the action is none of this page's.
pub(in crate::console) async fn act(
    visit: &Visit,
    action: &str,
    form: &Form,
) -> Option<Result<Done, Problem>> {
    let execution = || Json::from(form.field("execution"));
    let back = || Ok(Done::At(form.back().to_owned()));
    let done = match action {
        "open" => return Some(Ok(opened(visit, form))),
        "stop" => {
            let cause = Json::from("stopped in the console");
            ask(visit, "StopExecution", vec![("executionArn", execution()), ("cause", cause)]).await
        }
        "redrive" => ask(visit, "RedriveExecution", vec![("executionArn", execution())]).await,
        "start" => return Some(start(visit, form).await),
        "task-success" => task(visit, form, "SendTaskSuccess", &["output"]).await,
        "task-failure" => task(visit, form, "SendTaskFailure", &["error", "cause"]).await,
        "task-heartbeat" => task(visit, form, "SendTaskHeartbeat", &[]).await,
        _ => return None,
    };
    Some(done.and_then(|_| back()))
}

async fn ask(
    visit: &Visit,
    operation: &str,
    members: Vec<(&'static str, Json)>,
) -> Result<Json, Problem> {
    visit.ask(Service::States, operation, members).await.map_err(|error| explained(&error))
}

async fn start(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let machine = format!("stateMachine:{}", form.field("workflow"));
    let machine = visit.node().settings().arn("states", &machine);
    let mut members =
        vec![("stateMachineArn", Json::from(machine)), ("input", Json::from(form.field("input")))];
    let name = form.field("name").trim();
    members.extend((!name.is_empty()).then(|| ("name", Json::from(name))));
    let started = ask(visit, "StartExecution", members).await?;
    let arn = started.member("executionArn").and_then(Json::as_str).unwrap_or_default();
    // Executions of Express workflows have no page.
    Ok(Done::At(path_of(arn).unwrap_or_else(|| form.back().to_owned())))
}

/// Speaks for whoever holds the token of a task: it is made here, and nobody gets to see it.
async fn task(
    visit: &Visit,
    form: &Form,
    operation: &str,
    fields: &[&'static str],
) -> Result<Json, Problem> {
    let found = Found::of(visit.node(), form.field("execution").to_owned())?;
    let scheduled = form.field("scheduled").parse();
    let scheduled = scheduled.map_err(|_| Problem::refused("the form does not say which task"))?;
    let token = TaskToken { execution: found.id, scheduled };
    let token = token.seal(&visit.node().settings().secret);
    let mut members = vec![("taskToken", Json::from(token))];
    members.extend(fields.iter().map(|name| (*name, Json::from(form.field(name)))));
    ask(visit, operation, members).await
}

/// A refusal, with what to do where that is known.
fn explained(error: &ApiError) -> Problem {
    let hint = match &*error.code {
        "TaskTimedOut" => "the step has ended in the meantime: go back and look at it",
        "InvalidOutput" | "InvalidExecutionInput" => "write JSON, texts in double quotes",
        "ExecutionAlreadyExists" => "leave the name empty to have one made up",
        _ => return problem(error),
    };
    problem(error).hint(hint)
}
