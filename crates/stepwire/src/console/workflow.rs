//! One workflow: what is read for its page, and what its forms do.

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::graph::Graph;
use stepwire_console::json::indented;
use stepwire_console::pages::compare::{Comparison, Which};
use stepwire_console::pages::workflow::{Look, Version, View};
use stepwire_console::pages::{self, Problem};
use stepwire_console::words::{Status, segment};
use stepwire_core::executions::machines::by_name;
use stepwire_core::executions::{ExecutionId, ExecutionRecord, MachineRecord};
use stepwire_core::{ApiError, Service};

use super::Done;
use super::executions;
use super::live::{Interest, Topic};
use super::visit::{Form, Visit, lines, problem};
use super::workflows::{self, RUNS_MAX, newest};
use crate::node::Node;

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Workflows, Topic::Executions, Topic::Steps], 2_000)
}

pub(super) async fn page(visit: &Visit, name: &str) -> Result<Page, Problem> {
    let look = look(visit)?;
    let machine = stored(visit, name).await?;
    let arn = arn(visit, name, None);
    let versions = versions(visit, &arn).await.map_err(problem)?;
    let definition = match look.version {
        None => machine.definition.to_string(),
        Some(version) => version_text(visit, name, version).await?,
    };
    let compared = match look.compared {
        None => None,
        Some((from, to)) => {
            let old = text_of(visit, name, &machine, from).await?;
            let new = text_of(visit, name, &machine, to).await?;
            Some(Comparison::of(from, to, &old, &new))
        }
    };
    let graph = Graph::of(&Json::parse(&definition).unwrap_or_default());
    let counts = counted(&machine, look.version);
    let read = {
        let (graph, number) = (graph.clone(), machine.number);
        workflows::read(visit.node(), move |read| {
            let newest = newest(number, RUNS_MAX, read)?;
            let tally = newest.tally(&graph, counts, read)?;
            let input = newest.input(read)?;
            Ok((newest, tally, input))
        })
    };
    let (newest, tally, input) = read.await.map_err(problem)?;
    Ok(pages::workflow::page(&View {
        name: name.to_owned(),
        arn,
        kind: machine.kind.word().to_owned(),
        role: machine.role_arn.to_string(),
        created: machine.created,
        updated: machine.updated,
        versions,
        version: look.version,
        definition,
        graph,
        tally,
        runs: newest.runs(),
        recent: newest.recent(name, |id| standing(visit.node(), id)),
        compared,
        input: input.map_or_else(|| "{}".to_owned(), |input| indented(&input)),
        look,
        now: visit.now(),
    }))
}

fn look(visit: &Visit) -> Result<Look, Problem> {
    Look::of(|member| visit.query(member)).map_err(|(member, value)| {
        let hint = if member == "v" {
            "write the number of a version, such as v=2"
        } else {
            "write the number of a version, or `latest` for the definition as it now is"
        };
        Problem::refused(format!("`{member}={value}` names no version")).hint(hint)
    })
}

/// How an execution stands, as lists of executions say it; `None`: it is not known here.
fn standing(node: &Node, id: ExecutionId) -> Option<Status> {
    node.lately().run(id).map(|run| executions::row(&run).status)
}

/// Which runs the graph is about: those of the definition that is shown.
fn counted(
    machine: &MachineRecord,
    version: Option<u64>,
) -> impl Fn(&ExecutionRecord) -> bool + Send + use<> {
    let revision = machine.revision;
    move |run| match version {
        Some(version) => run.version == Some(version),
        None => run.machine_revision == revision,
    }
}

/// The state machine of this name.
pub(super) async fn stored(visit: &Visit, name: &str) -> Result<MachineRecord, Problem> {
    let wanted = name.to_owned();
    let found = workflows::read(visit.node(), move |read| by_name(&wanted, read)).await;
    let found = found.map_err(problem)?.filter(|machine| !machine.deleted);
    found.ok_or_else(|| {
        Problem::not_found(format!("there is no workflow `{name}`"))
            .hint("it may have been deleted; the list of workflows has those that are there")
    })
}

pub(super) fn arn(visit: &Visit, name: &str, version: Option<u64>) -> String {
    let version = version.map_or_else(String::new, |version| format!(":{version}"));
    visit.node().settings().arn("states", &format!("stateMachine:{name}{version}"))
}

async fn text_of(
    visit: &Visit,
    name: &str,
    machine: &MachineRecord,
    which: Which,
) -> Result<String, Problem> {
    match which {
        Which::Latest => Ok(machine.definition.to_string()),
        Which::Version(version) => version_text(visit, name, version).await,
    }
}

async fn version_text(visit: &Visit, name: &str, version: u64) -> Result<String, Problem> {
    let members = [("stateMachineArn", Json::from(arn(visit, name, Some(version))))];
    let machine = visit.ask(Service::States, "DescribeStateMachine", members).await;
    let machine = machine.map_err(|error| match problem(error) {
        Problem { status: 404, .. } => {
            Problem::not_found(format!("workflow `{name}` has no version {version}"))
                .hint("it may have been deleted; the tab Versions has those that are there")
        }
        other => other,
    })?;
    Ok(machine.member("definition").and_then(Json::as_str).unwrap_or_default().to_owned())
}

/// Its versions with the aliases that lead to them, newest first.
async fn versions(visit: &Visit, arn: &str) -> Result<Vec<Version>, ApiError> {
    let all = |most: i64| [("stateMachineArn", Json::from(arn)), ("maxResults", Json::from(most))];
    let listed = visit.ask(Service::States, "ListStateMachineAliases", all(100)).await?;
    let aliases = listed.member("stateMachineAliases").and_then(Json::as_array);
    let mut leading: BTreeMap<String, Vec<(String, u8)>> = BTreeMap::new();
    for alias in aliases.unwrap_or_default() {
        let Some(alias) = alias.member("stateMachineAliasArn").cloned() else { continue };
        let members = [("stateMachineAliasArn", alias)];
        let alias = visit.ask(Service::States, "DescribeStateMachineAlias", members).await?;
        let name = text(&alias, "name");
        let routes = alias.member("routingConfiguration").and_then(Json::as_array);
        for route in routes.unwrap_or_default() {
            let weight = route.member("weight").and_then(Json::as_i64).unwrap_or(0) as u8;
            let version = text(route, "stateMachineVersionArn");
            leading.entry(version).or_default().push((name.clone(), weight));
        }
    }
    let listed = visit.ask(Service::States, "ListStateMachineVersions", all(100)).await?;
    let versions = listed.member("stateMachineVersions").and_then(Json::as_array);
    let mut found = Vec::new();
    for version in versions.unwrap_or_default() {
        let arn = text(version, "stateMachineVersionArn");
        let number = arn.rsplit(':').next().and_then(|number| number.parse().ok());
        let members = [("stateMachineArn", Json::from(&*arn))];
        let of = visit.ask(Service::States, "DescribeStateMachine", members).await?;
        found.push(Version {
            number: number.unwrap_or_default(),
            description: text(&of, "description"),
            created: time(version, "creationDate"),
            aliases: leading.remove(&arn).unwrap_or_default(),
        });
    }
    Ok(found)
}

fn text(of: &Json, member: &str) -> String {
    of.member(member).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn time(of: &Json, member: &str) -> Timestamp {
    let seconds = of.member(member).and_then(Json::as_f64).unwrap_or_default();
    Timestamp((seconds * 1_000.0).round() as i64)
}

/// Starts an execution.
pub(super) async fn start(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let name = form.field("workflow");
    let machine = stored(visit, name).await?;
    let version = form.field("version").parse().ok();
    let input = lines(form.field("input"));
    let input = if input.trim().is_empty() { "{}".to_owned() } else { input };
    if let Err(error) = Json::parse(&input) {
        let what = format!("the input is not JSON: {error}");
        return Err(Problem::refused(what).hint(super::KEPT));
    }
    let mut members =
        vec![("stateMachineArn", Json::from(arn(visit, name, version))), ("input", input.into())];
    let wanted = form.field("name").trim();
    if !wanted.is_empty() {
        members.push(("name", wanted.into()));
    }
    let started = visit.ask(Service::States, "StartExecution", members).await.map_err(problem)?;
    if machine.kind.word() == "EXPRESS" {
        return Ok(Done::At(form.back().to_owned()));
    }
    let arn = text(&started, "executionArn");
    let run = arn.rsplit(':').next().unwrap_or_default();
    Ok(Done::At(format!("/executions/{}/{}", segment(name), segment(run))))
}

/// Publishes a version.
pub(super) async fn publish(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let name = form.field("workflow");
    let mut members = vec![("stateMachineArn", Json::from(arn(visit, name, None)))];
    let words = form.field("description").trim();
    if !words.is_empty() {
        members.push(("description", words.into()));
    }
    let asked = visit.ask(Service::States, "PublishStateMachineVersion", members).await;
    asked.map_err(problem)?;
    Ok(Done::At(form.back().to_owned()))
}
