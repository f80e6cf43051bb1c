//! `/executions/WORKFLOW/NAME` and `/open`: what the page of a run shows, and what its forms do.

mod act;
mod facts;
mod origin;

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::pages::Problem;
use stepwire_console::pages::execution::{
    self as drawn, About, Given, LogGroup, Look, MapRun, Seen, Show, View,
};
use stepwire_console::run::{Event, Facts, Run, events_of, missing, processor_of, read_history};
use stepwire_core::executions::record;
use stepwire_core::executions::{self, ExecutionId, ExecutionRecord};
use stepwire_core::read::Read as _;
use stepwire_core::{ApiError, Request, Service};

use super::Done;
use super::live::{Interest, Topic};
use super::visit::{Form, Visit};
use crate::node::Node;
use crate::shard;

pub(super) use act::act;

/// Time between two drawings of one page that changes all the time, milliseconds.
const PACE_MS: u64 = 60;
/// The same of a long history, and how many events that has.
const LONG: (u64, u64) = (2_000, 400);

/// An execution that is looked at.
struct Found {
    id: ExecutionId,
    arn: String,
    record: ExecutionRecord,
}

/// The page.
pub(super) async fn page(visit: &Visit, workflow: &str, name: &str) -> Result<Page, Problem> {
    let look = Look::read(|member| visit.query(member));
    let found = Found::named(visit.node(), workflow, name)?;
    let described = visit.ask(
        Service::States,
        "DescribeExecution",
        [("executionArn", Json::from(found.arn.as_str()))],
    );
    let described = described.await.map_err(|error| problem(&error))?;
    let events = history(visit.node(), &found.arn).map_err(|error| problem(&error))?;
    let all = events.len();
    let until = look.at.unwrap_or(u64::MAX);
    let definition = definition(visit.node(), &found.arn);
    let run = Run::of(events.into_iter().filter(|event| event.id <= until), definition.as_ref());
    let now = match look.at {
        Some(_) => run.last_at().unwrap_or_else(|| visit.now()),
        None => visit.now(),
    };
    let mut facts = facts::facts(visit, &found, &run).await;
    let map_runs = map_runs(visit, &run).await;
    facts.failed_items = map_runs.iter().map(MapRun::failed).sum();
    let spans = facts::spans(visit, &found, &facts, &run, now);
    let logs = facts::outputs(visit.node(), found.id, now);
    let mut about = about(visit.node(), &found, &described, workflow);
    if let Some(arn) = &about.map_run {
        let described =
            visit.ask(Service::States, "DescribeMapRun", [("mapRunArn", Json::from(arn.as_str()))]);
        let described = described.await.ok();
        let parent = described.as_ref().and_then(|run| run.member("executionArn")?.as_str());
        about.parent = parent.map(str::to_owned);
    }
    let machine = workflow.split('/').next().unwrap_or(workflow);
    let machine = visit.node().settings().arn("states", &format!("stateMachine:{machine}"));
    let machine = [("stateMachineArn", Json::from(machine.as_str()))];
    about.is_gone = visit.ask(Service::States, "DescribeStateMachine", machine).await.is_err();
    let about = Some(about);
    let group = match look.show {
        Show::Logs => log_group(visit, &found.arn, run.started).await,
        _ => None,
    };
    let view = View { run, events: all, now, about, facts, look, spans, logs, group, map_runs };
    Ok(drawn::page(&view))
}

/// Lines of a run that are shown.
const LINES_MAX: i64 = 500;

/// The lines of a run in the log group of its workflow; `None` if it has none.
async fn log_group(visit: &Visit, arn: &str, started: Option<Timestamp>) -> Option<LogGroup> {
    let of = [("executionArn", Json::from(arn))];
    let machine = visit.ask(Service::States, "DescribeStateMachineForExecution", of).await.ok()?;
    let configured = machine.member("loggingConfiguration")?;
    let level = configured.member("level")?.as_str().filter(|level| *level != "OFF")?.to_owned();
    let [to, ..] = configured.member("destinations")?.as_array()? else { return None };
    let group = to.member("cloudWatchLogsLogGroup")?.member("logGroupArn")?.as_str()?;
    let name = group.split(":log-group:").nth(1)?.trim_end_matches(":*").to_owned();
    let pattern = format!("{{ $.execution_arn = {} }}", Json::from(arn).to_text());
    let members = [
        ("logGroupName", Json::from(name.as_str())),
        ("filterPattern", pattern.into()),
        ("startTime", started.map_or(0, |at| at.0).into()),
        ("limit", LINES_MAX.into()),
    ];
    let mut shown = LogGroup { name, level, lines: Vec::new(), more: false, problem: None };
    match visit.ask(Service::Logs, "FilterLogEvents", members).await {
        Ok(found) => {
            shown.more = found.member("nextToken").is_some();
            let events = found.member("events").and_then(Json::as_array).unwrap_or_default();
            shown.lines.extend(events.iter().filter_map(|event| {
                let at = Timestamp(event.member("timestamp")?.as_i64()?);
                Some((at, event.member("message")?.as_str()?.to_owned()))
            }));
        }
        Err(error) => shown.problem = Some(error.message),
    }
    Some(shown)
}

/// The children of its distributed Maps, the latest of each.
async fn map_runs(visit: &Visit, run: &Run) -> Vec<MapRun> {
    let attempts = run.visits.iter().flat_map(|visit| &visit.attempts);
    let mut arns: Vec<&str> = attempts.filter_map(|attempt| attempt.map_run.as_deref()).collect();
    arns.dedup();
    let mut found = Vec::new();
    for arn in arns.into_iter().rev().take(MAP_RUNS_MAX) {
        let of = || [("mapRunArn", Json::from(arn))];
        let Ok(described) = visit.ask(Service::States, "DescribeMapRun", of()).await else {
            continue;
        };
        let listed = of().into_iter().chain([("maxResults", CHILDREN_MAX.into())]);
        let Ok(listed) = visit.ask(Service::States, "ListExecutions", listed).await else {
            continue;
        };
        let mut children: Vec<Json> = Vec::new();
        let mut more = listed.member("nextToken").is_some();
        // Of each kind some are listed, however many there are of another.
        for (statuses, most) in
            [(&["FAILED", "TIMED_OUT"][..], FAILED_MAX), (&["RUNNING"], RUNNING_MAX)]
        {
            let mut kind: Vec<Json> = Vec::new();
            for status in statuses {
                let members =
                    [("statusFilter", (*status).into()), ("maxResults", CHILDREN_MAX.into())];
                let of_status = of().into_iter().chain(members);
                let of_status = visit.ask(Service::States, "ListExecutions", of_status).await;
                kind.extend(of_status.iter().flat_map(listing).cloned());
            }
            more |= kind.len() > most;
            kind.truncate(most);
            children.extend(kind);
        }
        let first = children.len();
        let is_new = |child: &&Json| !children[..first].contains(*child);
        let others: Vec<Json> = listing(&listed).iter().filter(is_new).cloned().collect();
        children.extend(others);
        more |= children.len() > CHILDREN_MAX as usize;
        children.truncate(CHILDREN_MAX as usize);
        let text = |of: &Json, name: &str| {
            of.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        let counts = described.member("itemCounts").and_then(Json::as_object);
        let counts =
            counts.into_iter().flatten().filter(|(name, _)| ITEM_COUNTS.contains(&&***name));
        let counts = counts
            .filter_map(|(name, count)| Some((words_of(name), count.as_i64().filter(|n| *n > 0)?)));
        let child = |of: &Json| (text(of, "name"), text(of, "status"), text(of, "executionArn"));
        let children: Vec<_> = children.iter().map(child).collect();
        found.push(MapRun {
            arn: arn.to_owned(),
            status: text(&described, "status"),
            items: counts.collect(),
            seen: seen(visit.node(), &children),
            children,
            more,
        });
    }
    found
}

/// What some of these children did: those that failed, those that run, others, as many of each as
/// there is room for, and none with a long history.
fn seen(node: &Node, children: &[(String, String, String)]) -> Seen {
    let mut seen = Seen::default();
    let (mut looked_at, mut events) = ([0; 3], 0);
    for (at, (_, status, arn)) in children.iter().enumerate() {
        let kind = match status.as_str() {
            "FAILED" | "TIMED_OUT" => 0,
            "RUNNING" => 1,
            _ => 2,
        };
        if looked_at[kind] == LOOKED_AT_MAX {
            continue;
        }
        let length = Found::of(node, arn.clone()).ok().and_then(|it| last_event(node, it.id));
        let Some(length) = length.filter(|length| events + length <= EVENTS_MAX) else { continue };
        if let Ok(history) = history(node, arn) {
            seen.add(at, &Run::of(history, None));
            (looked_at[kind], events) = (looked_at[kind] + 1, events + length);
        }
    }
    seen
}

fn listing(answer: &Json) -> &[Json] {
    answer.member("executions").and_then(Json::as_array).unwrap_or_default()
}

/// Map runs that are shown, and children of each.
const MAP_RUNS_MAX: usize = 4;
const CHILDREN_MAX: i64 = 50;
/// Of them those that failed, and those that run.
const FAILED_MAX: usize = 30;
const RUNNING_MAX: usize = 10;
/// Children of a kind whose histories are read, for the states within the Map.
const LOOKED_AT_MAX: usize = 10;
/// Events of all of them.
const EVENTS_MAX: u64 = 2_000;
/// Members of `itemCounts` that are shown.
const ITEM_COUNTS: [&str; 6] = ["pending", "running", "succeeded", "failed", "timedOut", "aborted"];

fn words_of(name: &str) -> String {
    if name == "timedOut" { "timed out".to_owned() } else { name.to_owned() }
}

/// It is drawn again when the execution or its device has changed.
pub(super) fn interest(visit: &Visit, workflow: &str, name: &str) -> Interest {
    if visit.query("at").is_some() {
        return Interest::default();
    }
    let Ok(found) = Found::named(visit.node(), workflow, name) else { return Interest::default() };
    let mut topics = vec![Topic::Execution(found.id)];
    let devices = found.record.origin.iter().flat_map(|origin| origin.devices());
    topics.extend(devices.cloned().map(Topic::Device));
    let long = last_event(visit.node(), found.id).is_some_and(|last| last > LONG.0);
    let mut interest = Interest::in_topics(topics, if long { LONG.1 } else { PACE_MS });
    if has_map_runs(visit.node(), &found) {
        // Children tell of themselves alone.
        interest.every = Some(Duration::from_secs(1));
    }
    interest
}

impl Found {
    fn named(node: &Node, workflow: &str, name: &str) -> Result<Found, Problem> {
        let arn = node.settings().arn("states", &format!("execution:{workflow}:{name}"));
        Found::of(node, arn)
    }

    fn of(node: &Node, arn: String) -> Result<Found, Problem> {
        let read = node.snapshot();
        let found = shard::catch(|| {
            let id = executions::id_of(&arn, &read, node.settings())?;
            let key = record::execution_key(id);
            let value = read
                .get(&key)
                .ok_or_else(|| ApiError::new("ExecutionDoesNotExist", "it is gone"))?;
            let record = record::execution(&key, &value);
            record
                .map(|record| (id, record))
                .map_err(|corrupt| ApiError::new("InternalFailure", corrupt.to_string()))
        });
        match found {
            Ok(Ok((id, record))) => Ok(Found { id, arn, record }),
            Ok(Err(error)) => Err(problem(&error)),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// Whether an open execution has map runs.
fn has_map_runs(node: &Node, found: &Found) -> bool {
    let body = Json::object([("executionArn", Json::from(found.arn.as_str()))]);
    let request = Request::parse(Service::States, "ListMapRuns", &body);
    let Some(Ok(request)) = request.filter(|_| found.record.status == executions::Status::Running)
    else {
        return false;
    };
    let read = node.snapshot();
    let answer = shard::catch(|| request.answer(&read, node.settings()));
    let runs = answer.ok().and_then(Result::ok);
    runs.is_some_and(|runs| {
        runs.member("mapRuns").and_then(Json::as_array).is_some_and(|runs| !runs.is_empty())
    })
}

/// The number of the last event of an execution, or of one near it.
fn last_event(node: &Node, id: ExecutionId) -> Option<u64> {
    let read = node.snapshot();
    let last = record::history_of(id).reversed().limit(1);
    let found = shard::catch(|| read.range(&last)).ok()?;
    let (key, _) = found.first()?;
    let number = key.get(key.len().checked_sub(8)?..)?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

/// All events of an execution, at one moment.
pub(crate) fn history(node: &Node, arn: &str) -> Result<Vec<Event>, ApiError> {
    let internal = |why: String| ApiError::new("InternalFailure", why);
    events_of(&raw_history(node, arn)?).map_err(|error| internal(error.to_string()))
}

/// The same as AWS's JSON.
fn raw_history(node: &Node, arn: &str) -> Result<Json, ApiError> {
    let internal = |why: String| ApiError::new("InternalFailure", why);
    let read = node.snapshot();
    let mut events = Vec::new();
    let mut token: Option<Json> = None;
    loop {
        let mut members = vec![("executionArn", Json::from(arn)), ("maxResults", 1_000.into())];
        members.extend(token.take().map(|token| ("nextToken", token)));
        let request =
            Request::parse(Service::States, "GetExecutionHistory", &Json::object(members));
        let request = request.unwrap_or_else(|| Err(internal("it is not served".to_owned())))?;
        let page = shard::catch(|| request.answer(&read, node.settings()));
        let page = page.map_err(|error| internal(error.to_string()))??;
        events.extend(
            page.member("events").and_then(Json::as_array).unwrap_or_default().iter().cloned(),
        );
        token = page.member("nextToken").cloned();
        if token.is_none() {
            return Ok(Json::object([("events", Json::array(events))]));
        }
    }
}

/// The definition that an execution runs; of a child of a map run the processor of its Map.
fn definition(node: &Node, arn: &str) -> Option<Json> {
    let body = Json::object([("executionArn", Json::from(arn))]);
    let request =
        Request::parse(Service::States, "DescribeStateMachineForExecution", &body)?.ok()?;
    let read = node.snapshot();
    let answer = shard::catch(|| request.answer(&read, node.settings())).ok()?.ok()?;
    let whole = Json::parse(answer.member("definition")?.as_str()?).ok()?;
    let label = answer.member("label").and_then(Json::as_str);
    Some(label.and_then(|label| processor_of(&whole, label)).unwrap_or(whole))
}

fn about(node: &Node, found: &Found, described: &Json, workflow: &str) -> About {
    let text = |name: &str| described.member(name).and_then(Json::as_str).map(str::to_owned);
    let tail = |arn: String| arn.rsplit(':').next().unwrap_or_default().to_owned();
    let version = text("stateMachineVersionArn").map(tail);
    let alias = text("stateMachineAliasArn").map(tail);
    let version = match (version, alias) {
        (Some(version), Some(alias)) => Some(format!("{version} ({alias})")),
        (version, alias) => version.or(alias),
    };
    let origin = found.record.origin.as_deref();
    let read = node.snapshot();
    let parent = found.record.parent.and_then(|executions::Parent::Task { execution, .. }| {
        shard::catch(|| executions::arn_of(execution, &read, node.settings())).ok()?
    });
    let redrive = match text("redriveStatus").as_deref() {
        Some("REDRIVABLE") => Ok(()),
        _ => Err(text("redriveStatusReason").unwrap_or_else(|| "it cannot be redriven".to_owned())),
    };
    About {
        workflow: workflow.to_owned(),
        name: found.record.name.to_string(),
        arn: found.arn.clone(),
        version,
        is_gone: false,
        rule: origin.map(|origin| origin.rule.clone()),
        topic: origin.map(|origin| origin.topic.clone()),
        parent: parent.map(|arn| arn.to_string()),
        map_run: text("mapRunArn"),
        redrive,
        neighbours: origin::neighbours(node, found, workflow),
    }
}

/// `GET /-/console/history?workflow=…&name=…`: the history as a file.
pub(super) fn download(visit: &Visit) -> Response {
    let (workflow, name) =
        (visit.query("workflow").unwrap_or_default(), visit.query("name").unwrap_or_default());
    let arn = visit.node().settings().arn("states", &format!("execution:{workflow}:{name}"));
    match raw_history(visit.node(), &arn) {
        Ok(history) => {
            let plain: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
                .collect();
            let file = format!("attachment; filename=\"{plain}.history.json\"");
            let headers = [
                (header::CONTENT_TYPE, "application/json".to_owned()),
                (header::CONTENT_DISPOSITION, file),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            ];
            (headers, history.to_text()).into_response()
        }
        Err(error) => (StatusCode::NOT_FOUND, error.message.clone()).into_response(),
    }
}

/// `/open`: the form that takes a history from elsewhere.
pub(super) fn open() -> Page {
    drawn::open(&Given::default())
}

/// The page of such a history, or the form again with what is wrong with it.
fn opened(visit: &Visit, form: &Form) -> Done {
    let mut given = Given {
        history: form.field("history").to_owned(),
        definition: form.field("definition").to_owned(),
        problem: None,
        missing: None,
    };
    let definition = match form.field("definition").trim() {
        "" => Ok(None),
        text => Json::parse(text)
            .map(Some)
            .map_err(|error| format!("the definition is not JSON: {error}")),
    };
    let read = read_history(&given.history).map_err(|error| format!("this is no history: {error}"));
    match (read, definition) {
        (Ok(events), Ok(definition)) => {
            given.missing = missing(&given.history, &events);
            let at: Option<u64> = form.field("at").parse().ok();
            let look =
                Look { at: at.filter(|at| (*at as usize) < events.len()), ..Look::default() };
            let all = events.len();
            let until = look.at.map_or(all, |at| at as usize);
            let run = Run::of(events.into_iter().take(until), definition.as_ref());
            let now: Timestamp = run.last_at().unwrap_or_else(|| visit.now());
            let facts = Facts::default();
            let (spans, logs, map_runs) = (Vec::new(), Vec::new(), Vec::new());
            let (about, group) = (None, None);
            let view =
                View { run, events: all, now, about, facts, look, spans, logs, group, map_runs };
            Done::Page(Box::new(drawn::file(&view, &given)))
        }
        (Err(why), _) | (_, Err(why)) => {
            given.problem = Some(why);
            Done::Page(Box::new(drawn::open(&given)))
        }
    }
}

/// What a refused request looks like on a page.
fn problem(error: &ApiError) -> Problem {
    let status = match &*error.code {
        "ExecutionDoesNotExist" | "StateMachineDoesNotExist" => 404,
        "InternalFailure" => 500,
        _ => 400,
    };
    let what = match &*error.code {
        "ExecutionDoesNotExist" => {
            "there is no such execution, or it has been kept long enough".to_owned()
        }
        _ => error.message.clone(),
    };
    Problem { status, what, hint: None }
}

fn failed(what: String) -> Problem {
    Problem { status: 500, what, hint: None }
}
