//! What was acknowledged to devices and callers, and what the node must therefore have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stepwire::demo::api::{Api, Error};
use stepwire_asl::Json;

/// What was acknowledged, as it came.
#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// By device: CONNECTs sent, and CONNACKs that came.
    connects: BTreeMap<Arc<str>, (u64, u64)>,
    /// By operation: answers acknowledged, with what tells them apart, and when.
    answers: BTreeMap<String, Vec<(u64, i64)>>,
    starts: BTreeSet<String>,
    /// By operation: completions that the API took.
    completions: BTreeMap<String, Vec<&'static str>>,
}

/// An execution as the API tells of it.
#[derive(Debug)]
pub(crate) struct Run {
    input: Json,
    output: Json,
    status: String,
    error: String,
    stopped_ms: i64,
    events: Vec<Json>,
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The operation that a request names.
pub(crate) fn operation(payload: &[u8]) -> String {
    let request = Json::parse_bytes(payload).unwrap();
    text(&request, "operationId").unwrap()
}

fn text(json: &Json, member: &str) -> Option<String> {
    json.member(member).and_then(Json::as_str).map(str::to_owned)
}

impl Books {
    fn write(&self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.0.lock().unwrap());
    }

    /// A device sends CONNECT.
    pub(crate) fn connecting(&self, device: &Arc<str>) {
        self.write(|books| books.connects.entry(Arc::clone(device)).or_default().0 += 1);
    }

    /// It got CONNACK.
    pub(crate) fn connected(&self, device: &Arc<str>) {
        self.write(|books| books.connects.entry(Arc::clone(device)).or_default().1 += 1);
    }

    /// Its answer got PUBACK.
    pub(crate) fn answered(&self, operation: String, nonce: u64) {
        let at = now_ms();
        self.write(|books| books.answers.entry(operation).or_default().push((nonce, at)));
    }

    /// StartExecution was acknowledged.
    pub(crate) fn started(&self, operation: &str) {
        self.write(|books| {
            books.starts.insert(operation.to_owned());
        });
    }

    /// SendTaskSuccess was acknowledged.
    pub(crate) fn completed(&self, operation: &str, turn: &'static str) {
        self.write(|books| books.completions.entry(operation.to_owned()).or_default().push(turn));
    }

    /// Connects, answers, starts and completions that were acknowledged.
    pub(crate) fn counts(&self) -> [usize; 4] {
        let books = self.0.lock().unwrap();
        let connects = books.connects.values().map(|(_, acknowledged)| *acknowledged as usize);
        let answers = books.answers.values().map(Vec::len);
        [connects.sum(), answers.sum(), books.starts.len(), books.completions.len()]
    }

    /// What is not as it was acknowledged, or not as a history must be.
    pub(crate) fn audit(&self, runs: &[Run]) -> Vec<String> {
        let books = self.0.lock().unwrap();
        let mut problems: Vec<_> = runs.iter().flat_map(Run::problems).collect();
        let mut by_operation: BTreeMap<String, Vec<&Run>> = BTreeMap::new();
        for run in runs {
            by_operation.entry(run.operation()).or_default().push(run);
        }
        for (operation, runs) in &by_operation {
            if runs.len() != 1 {
                problems.push(format!("{operation} has {} executions", runs.len()));
            }
        }
        for operation in books.starts.iter().chain(books.answers.keys()) {
            if !by_operation.contains_key(operation) {
                problems.push(format!("{operation} was acknowledged and is lost"));
            }
        }
        for (operation, answers) in &books.answers {
            let Some(run) = by_operation.get(operation).and_then(|runs| runs.first()) else {
                continue;
            };
            let late = answers.iter().all(|(_, at)| run.stopped_ms <= *at);
            if run.status != "SUCCEEDED" && !late {
                problems
                    .push(format!("{operation}: its answer was acknowledged and is lost: {run:?}"));
            }
        }
        for (operation, turns) in &books.completions {
            let Some(run) = by_operation.get(operation).and_then(|runs| runs.first()) else {
                continue;
            };
            let done = run.output.member("result").and_then(|result| text(result, "operator"));
            if turns.len() != 1 || done.as_deref() != turns.first().copied() {
                problems
                    .push(format!("{operation}: completed {turns:?}, and its result is {done:?}"));
            }
        }
        for (device, (sent, acknowledged)) in &books.connects {
            problems.extend(presence(device, *sent, *acknowledged, runs));
        }
        problems
    }
}

/// Each acknowledged connect of a device has one execution, and no two have the same.
fn presence(device: &str, sent: u64, acknowledged: u64, runs: &[Run]) -> Option<String> {
    let of_device = |run: &&Run| text(&run.input, "clientId").as_deref() == Some(device);
    let version = |run: &Run| run.input.member("versionNumber").and_then(Json::as_i64);
    let mut versions: Vec<_> = runs.iter().filter(of_device).filter_map(version).collect();
    versions.sort_unstable();
    let gapless = versions.iter().copied().eq(0..versions.len() as i64);
    let right = gapless && (acknowledged..=sent).contains(&(versions.len() as u64));
    (!right).then(|| {
        format!("{device}: {acknowledged} of {sent} connects acknowledged, sessions {versions:?}")
    })
}

impl Run {
    fn operation(&self) -> String {
        text(&self.input, "sessionIdentifier").unwrap()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{}: {what}: {self:?}", self.operation()));
            }
        };
        let number = |event: &Json, member: &str| event.member(member).and_then(Json::as_i64);
        let ids = self.events.iter().filter_map(|event| number(event, "id"));
        check(ids.eq(1..=self.events.len() as i64), "event ids have gaps");
        let back = |event: &Json| number(event, "previousEventId") < number(event, "id");
        check(self.events.iter().all(back), "an event points forward");
        let types: Vec<_> = self.events.iter().filter_map(|event| text(event, "type")).collect();
        let terminal = |kind: &&String| {
            ["ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"]
                .contains(&kind.as_str())
        };
        check(types.iter().filter(terminal).count() == 1, "not one terminal event");
        check(types.last().as_ref().is_some_and(terminal), "the terminal event is not the last");
        let completed = types.iter().filter(|kind| *kind == "TaskSucceeded").count();
        let scheduled = types.iter().filter(|kind| *kind == "TaskScheduled").count();
        check(completed <= scheduled, "a task was completed twice");
        match self.status.as_str() {
            "SUCCEEDED" => check(types.last().unwrap() == "ExecutionSucceeded", "status differs"),
            "FAILED" => {
                check(types.last().unwrap() == "ExecutionFailed", "status differs");
                check(self.error.starts_with("States.Timeout"), "failed for another reason");
            }
            _ => check(false, "ended oddly"),
        }
        problems
    }
}

/// Every execution of `machine`, once all have ended.
pub(crate) async fn settled(api: &Api, machine: &str) -> Vec<Run> {
    while !list(api, machine, Some("RUNNING")).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let mut runs = Vec::new();
    for arn in list(api, machine, None).await {
        runs.push(run(api, &arn).await);
    }
    runs
}

async fn list(api: &Api, machine: &str, status: Option<&'static str>) -> Vec<String> {
    let mut arns = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut members = vec![("stateMachineArn", Json::from(machine))];
        members.extend(status.map(|status| ("statusFilter", status.into())));
        members.extend(next.as_deref().map(|token| ("nextToken", token.into())));
        let page = api.states("ListExecutions", Json::object(members)).await.unwrap();
        let found = page.member("executions").and_then(Json::as_array).unwrap_or_default();
        arns.extend(found.iter().filter_map(|execution| text(execution, "executionArn")));
        next = text(&page, "nextToken");
        if next.is_none() {
            return arns;
        }
    }
}

async fn run(api: &Api, arn: &str) -> Run {
    let of = |more: &[(&'static str, Json)]| {
        Json::object([("executionArn", Json::from(arn))].into_iter().chain(more.iter().cloned()))
    };
    let described: Result<Json, Error> = api.states("DescribeExecution", of(&[])).await;
    let described = described.unwrap();
    let parsed = |member| text(&described, member).and_then(|text| Json::parse(&text).ok());
    let stopped = described.member("stopDate").and_then(Json::as_f64).unwrap_or_default();
    let whole = of(&[("maxResults", 1_000.into())]);
    let history = api.states("GetExecutionHistory", whole).await.unwrap();
    Run {
        input: parsed("input").unwrap_or_default(),
        output: parsed("output").unwrap_or_default(),
        status: text(&described, "status").unwrap(),
        error: text(&described, "error").unwrap_or_default(),
        stopped_ms: (stopped * 1_000.0).round() as i64,
        events: history.member("events").and_then(Json::as_array).unwrap_or_default().to_vec(),
    }
}
