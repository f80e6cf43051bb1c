//! The console: which page an address names, what it shows, and what its forms do.
//!
//! A page is drawn by `stepwire_console` from what its file here reads of the node. While it is
//! open it is drawn again when what it names as [`Interest`] has changed: see [`live`].

mod device;
mod devices;
mod editor;
mod execution;
mod executions;
mod function;
mod functions;
mod jobs;
pub(crate) mod live;
mod messages;
mod overview;
mod policy_question;
mod respond;
mod rollout;
mod rollouts;
mod rule;
mod rules;
mod search;
mod system;
mod table;
mod tables;
mod trial;
mod visit;
mod workflow;
mod workflows;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use stepwire_console::pages::{self, Problem};
use stepwire_console::{Page, Section};

use crate::node::Node;
use live::Interest;
use visit::{Form, Visit};

/// Under this path forms are sent, and style sheet, script and event streams are.
const OWN: &str = "/-/console/";

/// Bytes of the longest address of a page that stays current.
const LIVE_ADDRESS_MAX: usize = 8_192;

/// What to do about a form that was refused.
const KEPT: &str = "go back in the browser: what you typed is still there";

/// Forms that somebody types into.
const TYPED: [&str; 10] = [
    "device-publish",
    "device-shadow",
    "device-start",
    "function-invoke",
    "item-put",
    "publish",
    "start",
    "task-failure",
    "task-success",
    "workflow-start",
];

/// Whether a request is for the console: it comes from a browser's page, and names one.
pub(crate) fn is_asked(parts: &Parts) -> bool {
    let path = parts.uri.path();
    match parts.method {
        Method::GET | Method::HEAD => {
            path.starts_with(OWN) || (respond::accepts_html(parts) && section(path).is_some())
        }
        Method::POST => path.starts_with(OWN),
        _ => false,
    }
}

/// Whether a browser has asked for a page that there is none of: no page's address, and no API's for
/// want of a signature.
pub(crate) fn is_lost(parts: &Parts, answer: &Response) -> bool {
    let unsigned = answer.headers().get("x-amzn-errortype");
    matches!(parts.method, Method::GET | Method::HEAD)
        && respond::accepts_html(parts)
        && unsigned.is_some_and(|code| code == "MissingAuthenticationTokenException")
}

/// Answers such a request.
pub(crate) async fn answer(node: &Node, parts: &Parts, body: Body) -> Response {
    if let Some(path) = parts.uri.path().strip_prefix(OWN) {
        return match (&parts.method, path) {
            (&Method::HEAD, "live") => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            (&Method::GET, "live") => live::stream(node, parts),
            (&Method::GET | &Method::HEAD, "messages.jsonl") => messages::download(node, parts),
            (&Method::GET | &Method::HEAD, "history") => {
                execution::download(&Visit::new(node, parts))
            }
            (&Method::GET | &Method::HEAD, _) => respond::asset(parts, path),
            _ => post(node, parts, body, path).await,
        };
    }
    let visit = Visit::new(node, parts);
    match visit.segments().as_slice() {
        ["search"] => return done(&visit, parts, search::page(&visit).await),
        ["logs"] => return done(&visit, parts, Ok(search::logs(&visit))),
        _ => {}
    }
    match draw(&visit).await {
        Ok(page) => respond::page(&visit, parts, &page, StatusCode::OK),
        Err(problem) => refusal(&visit, parts, &problem),
    }
}

fn refusal(visit: &Visit, parts: &Parts, problem: &Problem) -> Response {
    let section = section(visit.path()).unwrap_or(Section::Overview);
    let back = visit.query("back");
    let page = pages::problem(problem, section, back.as_deref());
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    respond::page(visit, parts, &page, status)
}

async fn post(node: &Node, parts: &Parts, body: Body, action: &str) -> Response {
    let form = match Form::read(parts, body).await {
        Ok(form) => form,
        Err(problem) => return refusal(&Visit::new(node, parts), parts, &problem),
    };
    let visit = Visit::returning(node, &form);
    let acted = act(&visit, action, &form).await;
    done(&visit, parts, acted.map_err(|problem| refused_form(action, problem)))
}

/// What somebody typed into a form that was refused is not lost: the page says where it is.
fn refused_form(action: &str, problem: Problem) -> Problem {
    let is_typed = TYPED.contains(&action) && problem.hint.as_deref() != Some(KEPT);
    let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("{hint}; "));
    if is_typed { problem.hint(format!("{hint}{KEPT}")) } else { problem }
}

fn done(visit: &Visit, parts: &Parts, done: Result<Done, Problem>) -> Response {
    match done {
        Ok(Done::At(path)) => respond::see(&path),
        Ok(Done::Page(page)) => respond::page(visit, parts, &page, StatusCode::OK),
        Err(problem) => refusal(visit, parts, &problem),
    }
}

/// What a form came to.
enum Done {
    /// It was done; this page shows it.
    At(String),
    /// A page that is an answer by itself.
    Page(Box<Page>),
}

/// The part of the console that an address belongs to.
fn section(path: &str) -> Option<Section> {
    Some(match path.split('/').nth(1)? {
        "" => Section::Overview,
        "devices" => Section::Devices,
        "live" => Section::Live,
        "rules" => Section::Rules,
        "workflows" => Section::Workflows,
        "executions" | "logs" | "open" | "search" => Section::Executions,
        "rollouts" => Section::Rollouts,
        "functions" => Section::Functions,
        "tables" => Section::Tables,
        "system" => Section::System,
        _ => return None,
    })
}

/// Draws the page that an address names.
async fn draw(visit: &Visit) -> Result<Page, Problem> {
    match visit.segments().as_slice() {
        [] => overview::page(visit).await,
        ["devices"] => devices::page(visit).await,
        ["devices", name] => device::page(visit, name).await,
        ["executions"] => executions::page(visit),
        ["functions"] => functions::page(visit),
        ["functions", name] => function::page(visit, name).await,
        ["live"] => messages::page(visit),
        ["rollouts"] => rollouts::page(visit).await,
        ["rollouts", job] => rollout::page(visit, job).await,
        ["rules"] => rules::page(visit).await,
        ["rules", name] => rule::page(visit, name).await,
        ["system"] => system::page(visit).await,
        ["tables"] => tables::page(visit).await,
        ["tables", name] => table::page(visit, name).await,
        ["executions", workflow, name] => execution::page(visit, workflow, name).await,
        ["open"] => Ok(execution::open()),
        ["workflows"] if visit.has("new") => Ok(editor::new()),
        ["workflows"] => workflows::page(visit).await,
        ["workflows", name] => workflow::page(visit, name).await,
        ["workflows", name, "edit"] => editor::page(visit, name).await,
        _ => Err(Problem::not_found("there is no such page")
            .hint("the menu leads to those there are; what the AWS APIs serve is asked for with a signature")),
    }
}

/// What has to change for a page to be drawn again.
fn interest(visit: &Visit) -> Interest {
    // What was typed into a form for GET may be too long for an event stream's own address.
    if visit.address().len() > LIVE_ADDRESS_MAX {
        return Interest::default();
    }
    match visit.segments().as_slice() {
        [] => overview::interest(),
        ["devices"] => devices::interest(),
        ["devices", name] => device::interest(visit, name),
        ["executions"] => executions::interest(visit),
        ["functions"] => functions::interest(),
        ["functions", _] => function::interest(),
        ["live"] => messages::interest(visit),
        ["rollouts"] => rollouts::interest(),
        ["rollouts", job] => rollout::interest(job),
        ["rules"] => rules::interest(),
        ["rules", _] => rule::interest(),
        ["system"] => system::interest(),
        ["tables"] => tables::interest(),
        ["tables", _] => table::interest(),
        ["executions", workflow, name] => execution::interest(visit, workflow, name),
        ["workflows"] if !visit.has("new") => workflows::interest(),
        ["workflows", _] => workflow::interest(),
        _ => Interest::default(),
    }
}

/// Does what a form asks for.
async fn act(visit: &Visit, action: &str, form: &Form) -> Result<Done, Problem> {
    match action {
        "device-publish" => device::publish(visit, form).await,
        "device-shadow" => device::desire(visit, form).await,
        "device-start" => device::start(visit, form).await,
        "executions-ask" => executions::ask(visit, form),
        "executions-do" => executions::act(visit, form).await,
        "function-invoke" => function::invoke(visit, form).await,
        "item-delete" => table::delete(visit, form).await,
        "item-put" => table::put(visit, form).await,
        "redrive-group" => overview::redrive(visit, form).await,
        "publish" => messages::publish(visit, form).await,
        "rule-turn" => rule::turn(visit, form).await,
        "rule-delete" => rule::delete(visit, form).await,
        "rule-save" => rule::save(visit, form).await,
        "workflow-check" => Ok(Done::Page(Box::new(editor::check(form)))),
        "workflow-try" => Ok(Done::Page(Box::new(editor::try_state(visit, form).await))),
        "workflow-deploy" => editor::deploy(visit, form).await,
        "workflow-publish" => workflow::publish(visit, form).await,
        "workflow-start" => workflow::start(visit, form).await,
        _ => {
            if let Some(done) = execution::act(visit, action, form).await {
                return done;
            }
            let none = || Err(Problem::not_found(format!("there is no action `{action}`")));
            rollout::act(visit, action, form).await.unwrap_or_else(none)
        }
    }
}
