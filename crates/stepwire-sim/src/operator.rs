//! The people who call the API: they start executions, repeat what they do not know the end of,
//! answer in time, too late, or twice.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_core::{Read, Request, Service, Settings};

use crate::dice::Dice;
use crate::story;

/// What the operator means to do with one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Answer the first token in time.
    Good,
    /// Answer it in time, and once more.
    Replay,
    /// Answer the first token after its task was retried.
    Late,
    /// Leave it to its timeouts.
    Leave,
}

/// One execution of the operator's.
#[expect(clippy::struct_excessive_bools, reason = "what has been acknowledged, one by one")]
#[derive(Debug)]
pub struct Job {
    /// State machine it runs.
    pub machine: &'static str,
    /// Execution name.
    pub name: Arc<str>,
    /// What to do with it.
    pub intent: Intent,
    /// Its start has been acknowledged.
    pub started: bool,
    /// Its start was asked for, and a crash hid the answer.
    pub uncertain: bool,
    /// Tokens seen, in the order they were stored.
    pub tokens: Vec<Arc<str>>,
    /// Completions acknowledged: token and output.
    pub accepted: Vec<(Arc<str>, Arc<str>)>,
    /// How many items it is about, and how many of them may fail.
    pub spread: (i64, i64),
    /// Its redrive has been acknowledged.
    pub redriven: bool,
    /// Nothing more to do.
    pub done: bool,
}

impl Job {
    /// A job with a chance intent.
    pub fn new(number: usize, dice: &mut Dice) -> Job {
        let intent = match dice.between(0, 9) {
            0..=3 => Intent::Good,
            4 | 5 => Intent::Replay,
            6..=8 => Intent::Late,
            _ => Intent::Leave,
        };
        // A late answer needs a task that is retried.
        let forks = intent != Intent::Late && dice.one_in(2);
        let spreads = intent == Intent::Good && dice.one_in(3);
        Job {
            machine: match (spreads, forks) {
                (true, _) => story::SPREAD,
                (false, true) => story::FORK,
                (false, false) => story::STUBBORN,
            },
            spread: (dice.between(4, 9), if dice.one_in(2) { story::SPREAD_FAIL } else { 1 }),
            redriven: false,
            name: format!("job-{number}").into(),
            intent,
            started: false,
            uncertain: false,
            tokens: Vec::new(),
            accepted: Vec::new(),
            done: false,
        }
    }

    /// The request that starts it; the same each time.
    pub fn start(&self) -> Request {
        let alias = if self.machine == story::FORK { ":live" } else { "" };
        let machine = format!("{}{alias}", self.machine);
        let arn = format!("arn:aws:states:us-east-1:000000000000:stateMachine:{machine}");
        request(
            Service::States,
            "StartExecution",
            &Json::object([
                ("stateMachineArn", Json::from(arn)),
                ("name", Json::String(Arc::clone(&self.name))),
                ("input", Json::from(self.input())),
            ]),
        )
    }

    fn input(&self) -> String {
        let (items, tolerated) = self.spread;
        let numbers = (0..items).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
        format!(
            r#"{{"job": "{}", "items": ["a", "b", "c"], "numbers": [{numbers}], "tolerated": {tolerated}}}"#,
            self.name
        )
    }

    /// Whether what failed of it is to be run again.
    pub fn wants_redrive(&self) -> bool {
        self.machine == story::SPREAD && self.spread.1 < story::SPREAD_FAIL && !self.redriven
    }

    /// Its ARN.
    pub fn arn(&self) -> Json {
        let arn = "arn:aws:states:us-east-1:000000000000:execution";
        Json::from(format!("{arn}:{}:{}", self.machine, self.name))
    }

    /// The request that redrives it; the same each time.
    pub fn redrive(&self) -> Request {
        let body = [("executionArn", self.arn()), ("clientToken", "once".into())];
        request(Service::States, "RedriveExecution", &Json::object(body))
    }

    /// Looks for its tokens in what is durable. Whether there is a new one.
    pub fn look(&mut self, read: &dyn Read, settings: &Settings) -> bool {
        let before = self.tokens.len();
        for token in left(&self.name, read, settings) {
            if !self.tokens.contains(&token) {
                self.tokens.push(token);
            }
        }
        self.tokens.len() > before
    }

    /// The completion it means to send now, if any: token and output.
    pub fn next(&self) -> Option<(Arc<str>, Arc<str>)> {
        let first = self.tokens.first()?;
        let output = |what: &str| Arc::from(format!("{{\"verdict\":\"good\",\"by\":\"{what}\"}}"));
        match self.intent {
            Intent::Good if self.accepted.is_empty() => Some((Arc::clone(first), output("first"))),
            Intent::Replay => {
                let what = if self.accepted.is_empty() { "first" } else { "replay" };
                Some((Arc::clone(first), output(what)))
            }
            Intent::Late if self.tokens.len() > 1 => Some((Arc::clone(first), output("late"))),
            _ => None,
        }
    }
}

/// What has been left in the table under this key, as far as it is durable.
pub fn left(key: &str, read: &dyn Read, settings: &Settings) -> Vec<Arc<str>> {
    let value = Json::object([(":o", Json::object([("S", Json::from(key))]))]);
    let query = [
        ("TableName", Json::from(story::TOKENS)),
        ("KeyConditionExpression", "operationId = :o".into()),
        ("ExpressionAttributeValues", value),
    ];
    let query = request(Service::DynamoDb, "Query", &Json::object(query));
    let rows = query.answer(read, settings).unwrap_or_default();
    let rows = rows.member("Items").and_then(Json::as_array).unwrap_or_default();
    let tokens = rows.iter().filter_map(|row| row.member("token")?.member("S")?.as_str());
    tokens.map(Arc::from).collect()
}

/// The ARN and the event number of everything that has been logged, in order.
pub fn logged(read: &dyn Read, settings: &Settings) -> Vec<(String, String)> {
    let all = Json::object([("logGroupName", Json::from(story::LOG))]);
    let answer = request(Service::Logs, "FilterLogEvents", &all).answer(read, settings);
    let answer = answer.unwrap_or_default();
    let events = answer.member("events").and_then(Json::as_array).unwrap_or_default();
    let lines =
        events.iter().filter_map(|event| Json::parse(event.member("message")?.as_str()?).ok());
    let text = |line: &Json, name| line.member(name).and_then(Json::as_str).map(str::to_owned);
    lines.filter_map(|line| Some((text(&line, "execution_arn")?, text(&line, "id")?))).collect()
}

/// The request that starts an Express execution; `waits`: for its end.
pub fn flash(waits: bool) -> Request {
    let arn = format!("arn:aws:states:us-east-1:000000000000:stateMachine:{}", story::FLASH);
    let operation = if waits { "StartSyncExecution" } else { "StartExecution" };
    let body = [("stateMachineArn", Json::from(arn)), ("name", "flash".into())];
    request(Service::States, operation, &Json::object(body))
}

/// The request that starts an errand; the same each time.
pub fn errand(name: &str) -> Request {
    let arn = format!("arn:aws:states:us-east-1:000000000000:stateMachine:{}", story::ERRAND);
    let body = Json::object([("stateMachineArn", Json::from(arn)), ("name", name.into())]);
    request(Service::States, "StartExecution", &body)
}

/// The request that stops an errand.
pub fn stop_errand(name: &str) -> Request {
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:{}:{name}", story::ERRAND);
    request(Service::States, "StopExecution", &Json::object([("executionArn", Json::from(arn))]))
}

/// The request of a worker that wants a task.
pub fn poll(worker: usize) -> Request {
    let arn = format!("arn:aws:states:us-east-1:000000000000:activity:{}", story::ACTIVITY);
    let worker = format!("worker-{worker}");
    let body = Json::object([("activityArn", Json::from(arn)), ("workerName", worker.into())]);
    request(Service::States, "GetActivityTask", &body)
}

/// The request that completes a task.
pub fn success(token: &str, output: &str) -> Request {
    request(
        Service::States,
        "SendTaskSuccess",
        &Json::object([("taskToken", Json::from(token)), ("output", Json::from(output))]),
    )
}

/// A request the world is sure of.
///
/// # Panics
/// If it is not one: the world is wrong then.
pub fn request(service: Service, operation: &str, body: &Json) -> Request {
    if operation == story::REGISTER {
        return story::registration(body);
    }
    match Request::parse(service, operation, body) {
        Some(Ok(request)) => request,
        Some(Err(error)) => panic!("{operation}: {error}"),
        None => panic!("{operation} is not served"),
    }
}
