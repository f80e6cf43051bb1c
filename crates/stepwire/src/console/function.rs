//! One function: its configuration, what it did lately, and its form.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_console::Page;
use stepwire_console::json;
use stepwire_console::link::link;
use stepwire_console::pages::function::{By, Chosen, Invocation, Trigger, View, settings_of};
use stepwire_console::pages::{self, Problem};
use stepwire_console::words::segment;
use stepwire_core::functions::{FunctionName, Invoke, InvokedBy};
use stepwire_core::{Service, executions};

use super::Done;
use super::live::{Interest, Topic};
use super::rules::kind;
use super::visit::{Form, Visit, problem};
use crate::functions::request_id;
use crate::invocations::{self, Step};
use crate::invocations_page;
use crate::node::Node;
use crate::shard;

/// Invocations on a page.
const LISTED: usize = 30;
/// Topic rules that are looked at for those that call a function.
const RULES_MAX: i64 = 1_000;
/// Log events that are shown.
const LOG_EVENTS: i64 = 200;

pub(super) fn interest() -> Interest {
    let every = Some(std::time::Duration::from_secs(2));
    Interest { every, ..Interest::in_topics([Topic::Functions], 1_000) }
}

pub(super) async fn page(visit: &Visit, name: &str) -> Result<Page, Problem> {
    let of_function = || [("FunctionName", Json::from(name))];
    let found = visit.ask(Service::Lambda, "GetFunctionConfiguration", of_function()).await;
    let configuration = found.map_err(problem)?;
    let text = |name: &str| {
        configuration.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let group = configuration.member("LoggingConfig").and_then(|config| config.member("LogGroup"));
    let group = group.and_then(Json::as_str).unwrap_or_default().to_owned();
    let latest = visit.node().invocations().of(name);
    let mut rows = Vec::new();
    for invocation in latest.invocations.iter().take(LISTED) {
        rows.push(row(visit.node(), invocation).await);
    }
    let named = |of: &str| {
        let id = visit.query(of)?;
        latest.invocations.iter().find(|invocation| *invocation.request_id == *id)
    };
    let chosen = match (named("invocation"), visit.query("invocation")) {
        (Some(found), _) => Some(Chosen {
            row: row(visit.node(), found).await,
            input: found.input.to_string(),
            result: found.result.to_string(),
            log: found.log.to_string(),
        }),
        (None, Some(id)) => {
            let why = format!("invocation `{id}` is no longer kept");
            let back = format!("its log is in the log group `{group}`");
            return Err(Problem::not_found(why).hint(back));
        }
        (None, None) => None,
    };
    let input = named("again").or_else(|| latest.invocations.first());
    let draft = input.map_or_else(|| "{}".to_owned(), |invocation| indented(&invocation.input));
    let view = View {
        name: name.to_owned(),
        arn: text("FunctionArn"),
        description: text("Description"),
        settings: settings_of(&configuration),
        environment: environment(&configuration, visit.query("environment").is_some()),
        versions: versions(visit, name).await,
        aliases: aliases(visit, name).await,
        triggers: triggers(visit, name, &text("FunctionArn")).await,
        ran: (latest.ran, latest.failed),
        invocations: rows,
        chosen,
        log: match visit.query("log") {
            Some(_) => Some(log(visit, &group).await?),
            None => None,
        },
        log_group: group,
        draft,
    };
    Ok(pages::function::page(&view))
}

fn indented(text: &str) -> String {
    Json::parse(text).map_or_else(|_| text.to_owned(), |json| json::indented(&json))
}

async fn row(node: &Node, invocation: &invocations::Invocation) -> Invocation {
    Invocation {
        id: invocation.request_id.to_string(),
        at: invocation.at,
        took_us: invocation.took.as_micros() as u64,
        init_us: invocation.init.map(|init| init.as_micros() as u64),
        failed: invocation.failed,
        version: invocation.version.to_string(),
        by: match invocation.by {
            None => By::Api,
            Some(InvokedBy::Event(_)) => By::Event,
            Some(InvokedBy::Source(_)) => By::Queue,
            Some(InvokedBy::Rule { .. }) => By::Rule,
            Some(InvokedBy::Task { execution, scheduled, .. }) => {
                let step = match invocation.step.get() {
                    Some(step) => Some(step.clone()),
                    None => step(node, execution, scheduled).await,
                };
                match step {
                    Some(step) => by_step(invocation, step),
                    // The execution is forgotten.
                    None => By::Event,
                }
            }
        },
    }
}

fn by_step(invocation: &invocations::Invocation, step: Step) -> By {
    let Step { execution, state } = invocation.step.get_or_init(|| step);
    By::Step {
        execution: execution.to_string(),
        state: state.as_ref().map(|(name, _)| name.clone()),
        attempt: state.as_ref().map_or(0, |(_, attempt)| *attempt as u64),
    }
}

/// The step of an execution that scheduled a task.
async fn step(node: &Node, execution: executions::ExecutionId, scheduled: u64) -> Option<Step> {
    let arn: Arc<str> = {
        let read = node.snapshot();
        shard::catch(|| executions::arn_of(execution, &read, node.settings())).ok()??
    };
    let steps = invocations_page::steps(node, &arn).await.ok()?;
    Some(Step { state: steps.get(&scheduled).cloned(), execution: arn })
}

fn environment(configuration: &Json, shown: bool) -> Vec<(String, Option<String>)> {
    let variables = configuration.member("Environment").and_then(|it| it.member("Variables"));
    let variables = variables.and_then(Json::as_object).into_iter().flatten();
    let value = |value: &Json| shown.then(|| value.as_str().unwrap_or_default().to_owned());
    variables.map(|(name, it)| (name.to_string(), value(it))).collect()
}

async fn versions(visit: &Visit, name: &str) -> Vec<(String, String)> {
    let function = [("FunctionName", name.into())];
    let list = visit.ask(Service::Lambda, "ListVersionsByFunction", function).await;
    let list = list.unwrap_or_default();
    let versions = list.member("Versions").and_then(Json::as_array).unwrap_or_default();
    let each = versions.iter().rev().filter_map(|version| {
        let text = |name: &str| Some(version.member(name)?.as_str()?.to_owned());
        Some((text("Version")?, text("LastModified")?))
    });
    each.filter(|(version, _)| version != "$LATEST").collect()
}

async fn aliases(visit: &Visit, name: &str) -> Vec<(String, String)> {
    let function = [("FunctionName", name.into())];
    let list = visit.ask(Service::Lambda, "ListAliases", function).await.unwrap_or_default();
    let aliases = list.member("Aliases").and_then(Json::as_array).unwrap_or_default();
    let each = aliases.iter().filter_map(|alias| {
        let text = |name: &str| Some(alias.member(name)?.as_str()?.to_owned());
        let weights = alias.member("RoutingConfig");
        let weights = weights.and_then(|config| config.member("AdditionalVersionWeights"));
        let others = weights.and_then(Json::as_object).into_iter().flatten();
        let others = others.map(|(version, share)| {
            format!(", {:.0} % to {version}", share.as_f64().unwrap_or_default() * 100.0)
        });
        Some((text("Name")?, text("FunctionVersion")? + &others.collect::<String>()))
    });
    each.collect()
}

/// What calls it, besides workflows and callers of the API.
async fn triggers(visit: &Visit, name: &str, arn: &str) -> Vec<Trigger> {
    let mut triggers = Vec::new();
    let function = [("FunctionName", name.into())];
    let list = visit.ask(Service::Lambda, "ListEventSourceMappings", function).await;
    let list = list.unwrap_or_default();
    let sources = list.member("EventSourceMappings").and_then(Json::as_array).unwrap_or_default();
    for source in sources.iter().filter_map(|source| source.member("EventSourceArn")?.as_str()) {
        let name = source.rsplit(':').next().unwrap_or(source).to_owned();
        triggers.push(Trigger { kind: "queue", name, href: None });
    }
    let is_it = |called: &str| called == arn || called.starts_with(&format!("{arn}:"));
    let list = visit.ask(Service::Iot, "ListTopicRules", [("maxResults", RULES_MAX.into())]).await;
    let list = list.unwrap_or_default();
    for rule in list.member("rules").and_then(Json::as_array).unwrap_or_default() {
        let Some(name) = rule.member("ruleName").and_then(Json::as_str) else { continue };
        let stored = visit.ask(Service::Iot, "GetTopicRule", [("ruleName", name.into())]).await;
        let stored = stored.unwrap_or_default();
        let actions = stored.member("rule").and_then(|rule| rule.member("actions"));
        let actions = actions.and_then(Json::as_array).unwrap_or_default();
        let calls = actions.iter().filter_map(kind).any(|(_, fields)| {
            fields.member("functionArn").and_then(Json::as_str).is_some_and(is_it)
        });
        if calls {
            let href = Some(format!("/rules/{}", segment(name)));
            triggers.push(Trigger { kind: "topic rule", name: name.to_owned(), href });
        }
    }
    let target = [("TargetArn", arn.into())];
    let list = visit.ask(Service::Events, "ListRuleNamesByTarget", target).await;
    let list = list.unwrap_or_default();
    let names = list.member("RuleNames").and_then(Json::as_array).unwrap_or_default();
    for name in names.iter().filter_map(Json::as_str) {
        triggers.push(Trigger { kind: "event rule", name: name.to_owned(), href: None });
    }
    let list = visit.ask(Service::Sns, "ListSubscriptions", std::iter::empty()).await;
    let list = list.unwrap_or_default();
    let all = list.member("Subscriptions").and_then(Json::as_array).unwrap_or_default();
    for subscription in all {
        let text = |name: &str| subscription.member(name).and_then(Json::as_str);
        if text("Endpoint").is_some_and(is_it) {
            let topic = text("TopicArn").unwrap_or_default();
            let name = topic.rsplit(':').next().unwrap_or(topic).to_owned();
            triggers.push(Trigger { kind: "topic", name, href: None });
        }
    }
    triggers
}

/// The end of its newest log stream.
async fn log(visit: &Visit, group: &str) -> Result<String, Problem> {
    let newest = [
        ("logGroupName", Json::from(group)),
        ("orderBy", "LastEventTime".into()),
        ("descending", true.into()),
        ("limit", 1.into()),
    ];
    let streams = match visit.ask(Service::Logs, "DescribeLogStreams", newest).await {
        Ok(streams) => streams,
        // It has not written anything yet.
        Err(error) if &*error.code == "ResourceNotFoundException" => return Ok(String::new()),
        Err(error) => return Err(problem(error)),
    };
    let stream = streams.member("logStreams").and_then(Json::as_array).and_then(<[Json]>::first);
    let Some(stream) = stream.and_then(|stream| stream.member("logStreamName")) else {
        return Ok(String::new());
    };
    let members = [
        ("logGroupName", group.into()),
        ("logStreamName", stream.clone()),
        ("startFromHead", false.into()),
        ("limit", LOG_EVENTS.into()),
    ];
    let found = visit.ask(Service::Logs, "GetLogEvents", members).await.map_err(problem)?;
    let events = found.member("events").and_then(Json::as_array).unwrap_or_default();
    let lines = events.iter().filter_map(|event| event.member("message")?.as_str());
    Ok(lines.map(|line| format!("{}\n", line.trim_end())).collect())
}

/// Invokes it; the page shows what came of it.
pub(super) async fn invoke(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let name = form.field("function");
    let function = FunctionName::parse(name).map_err(problem)?;
    let qualifier = Some(form.field("qualifier")).filter(|qualifier| !qualifier.is_empty());
    let kind = (form.field("event") == "yes").then_some("Event");
    let payload = form.text("payload").into();
    let invoke = Invoke::new(function.qualified(qualifier), kind, None, None, payload);
    let id = request_id();
    visit.node().invoke_as(&id, &invoke.map_err(problem)?).await.map_err(problem)?;
    let here = format!("/functions/{}", segment(name));
    let id = if kind.is_some() { "" } else { &*id };
    Ok(Done::At(link(&here, &[("invocation", id)])))
}
