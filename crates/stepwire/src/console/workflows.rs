//! The list of workflows, and what their newest runs come to.

use stepwire_asl::Json;
use stepwire_asl::history::Detail;
use stepwire_console::Page;
use stepwire_console::graph::{Graph, Tally};
use stepwire_console::pages::workflow::Run;
use stepwire_console::pages::workflows::{RUNS_LISTED, Row, Runs, View};
use stepwire_console::pages::{self, Problem};
use stepwire_console::words::{Status, segment};
use stepwire_core::executions::machines::by_name;
use stepwire_core::executions::{ExecutionId, ExecutionRecord, MachineRecord, record};
use stepwire_core::{ApiError, Corrupt, Read, Service};

use super::live::{Interest, Topic};
use super::visit::{Visit, problem};
use crate::node::Node;
use crate::shard;

/// Workflows in the list.
const ROWS_MAX: usize = 100;
/// Runs that are looked at for one workflow.
pub(super) const RUNS_MAX: usize = 200;
/// Runs that are listed on a workflow's page.
const RECENT_MAX: usize = 50;
/// Events that are read of their histories altogether.
const EVENTS_MAX: usize = 100_000;

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Workflows, Topic::Executions], 1_000)
}

pub(super) async fn page(visit: &Visit) -> Result<Page, Problem> {
    let query = visit.query("q").unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    let mut token: Option<Json> = None;
    while names.len() <= ROWS_MAX {
        let mut members = vec![("maxResults", Json::from(1_000))];
        members.extend(token.take().map(|token| ("nextToken", token)));
        let page = visit.ask(Service::States, "ListStateMachines", members).await;
        let page = page.map_err(problem)?;
        let machines = page.member("stateMachines").and_then(Json::as_array).unwrap_or_default();
        let named = machines.iter().filter_map(|machine| machine.member("name")?.as_str());
        let lower = query.to_lowercase();
        names.extend(named.filter(|name| name.to_lowercase().contains(&lower)).map(str::to_owned));
        token = page.member("nextToken").cloned();
        if token.is_none() {
            break;
        }
    }
    let more = names.len() > ROWS_MAX || token.is_some();
    names.truncate(ROWS_MAX);
    let rows = read(visit.node(), move |read| {
        let mut rows = Vec::new();
        for name in names {
            let Some(machine) = by_name(&name, read)? else { continue };
            rows.push(row(&machine, read)?);
        }
        Ok(rows)
    });
    let rows = rows.await.map_err(problem)?;
    Ok(pages::workflows::page(&View { rows, query, more, now: visit.now() }))
}

fn row(machine: &MachineRecord, read: &dyn Read) -> Result<Row, ApiError> {
    let definition = Json::parse(&machine.definition).unwrap_or_default();
    let newest = newest(machine.number, RUNS_LISTED, read)?;
    Ok(Row {
        name: machine.name.to_string(),
        kind: machine.kind.word().to_owned(),
        states: Graph::of(&definition).states(),
        version: (machine.last_version > 0).then_some(machine.last_version),
        runs: newest.runs(),
    })
}

/// Reads the node's records on a thread of its own.
pub(super) async fn read<T: Send + 'static>(
    node: &Node,
    work: impl FnOnce(&dyn Read) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let node = node.clone();
    let done = tokio::task::spawn_blocking(move || {
        let read = node.snapshot();
        shard::catch(|| work(&read))
    });
    let failed = |error: String| ApiError::new("InternalFailure", error);
    done.await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))?
}

/// The newest runs of a workflow.
pub(super) struct Newest {
    /// Newest first.
    records: Vec<(ExecutionId, ExecutionRecord)>,
    more: bool,
}

/// Reads them: at most `limit`.
pub(super) fn newest(machine: u64, limit: usize, read: &dyn Read) -> Result<Newest, ApiError> {
    let range = record::executions_of(machine).reversed().limit(limit + 1);
    let mut records = Vec::new();
    for (key, value) in read.range(&range) {
        let id = record::id_of(&key).map_err(broken)?;
        records.push((id, record::execution(&key, &value).map_err(broken)?));
    }
    let more = records.len() > limit;
    records.truncate(limit);
    Ok(Newest { records, more })
}

fn broken(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalFailure", corrupt.to_string())
}

impl Newest {
    /// Summed up.
    pub(super) fn runs(&self) -> Runs {
        let latest = self.records.iter().map(|(_, of)| {
            let took = of.stopped.map_or(0, |stopped| stopped.since_ms(of.started));
            (Status::of_execution(of.status.word()), took)
        });
        Runs {
            latest: latest.collect(),
            last: self.records.first().map(|(_, of)| of.started),
            more: self.more,
        }
    }

    /// As they are listed. `standing` knows more of one that is open: what it waits for.
    pub(super) fn recent(
        &self,
        workflow: &str,
        standing: impl Fn(ExecutionId) -> Option<Status>,
    ) -> Vec<Run> {
        let run = |id: ExecutionId, of: &ExecutionRecord| Run {
            name: of.name.to_string(),
            href: format!("/executions/{}/{}", segment(workflow), segment(&of.name)),
            status: standing(id)
                .filter(|_| of.stopped.is_none())
                .unwrap_or_else(|| Status::of_execution(of.status.word())),
            started: of.started,
            took_ms: of.stopped.map(|stopped| stopped.since_ms(of.started)),
            device: of.origin.as_ref().and_then(|of| of.device()).map(ToString::to_string),
        };
        self.records.iter().take(RECENT_MAX).map(|(id, of)| run(*id, of)).collect()
    }

    /// What those that `counts` lets through did in `graph`; the newest first, as many as there is
    /// room for.
    pub(super) fn tally(
        &self,
        graph: &Graph,
        counts: impl Fn(&ExecutionRecord) -> bool,
        read: &dyn Read,
    ) -> Result<Tally, ApiError> {
        let mut tally = Tally::of(graph);
        let mut left = EVENTS_MAX;
        for (id, _) in self.records.iter().filter(|(_, of)| counts(of)) {
            let mut events = Vec::new();
            for (key, value) in read.range(&record::history_of(*id)) {
                events.extend(record::events(&key, &value).map_err(broken)?);
                if events.len() > left {
                    break;
                }
            }
            let Some(rest) = left.checked_sub(events.len()) else { break };
            left = rest;
            tally.add(graph, &events);
        }
        Ok(tally)
    }

    /// The input of the newest.
    pub(super) fn input(&self, read: &dyn Read) -> Result<Option<Json>, ApiError> {
        let Some((id, _)) = self.records.first() else { return Ok(None) };
        let first = read.range(&record::history_of(*id).limit(1));
        let Some((key, value)) = first.first() else { return Ok(None) };
        let events = record::events(key, value).map_err(broken)?;
        Ok(events.into_iter().find_map(|event| match event.detail {
            Detail::ExecutionStarted { input, .. } => Some(input.value().clone()),
            _ => None,
        }))
    }
}
