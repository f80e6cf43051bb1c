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
        request(
            Service::States,
            "StartExecution",
            &Json::object([
                (
                    "stateMachineArn",
                    Json::from(format!(
                        "arn:aws:states:us-east-1:000000000000:stateMachine:{}",
                        self.machine
                    )),
                ),
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
        let query = request(
            Service::DynamoDb,
            "Query",
            &Json::object([
                ("TableName", Json::from(story::TOKENS)),
                ("KeyConditionExpression", "operationId = :o".into()),
                (
                    "ExpressionAttributeValues",
                    Json::object([(
                        ":o",
                        Json::object([("S", Json::String(Arc::clone(&self.name)))]),
                    )]),
                ),
            ]),
        );
        let rows = query.answer(read, settings).unwrap_or_default();
        let before = self.tokens.len();
        for row in rows.member("Items").and_then(Json::as_array).unwrap_or_default() {
            let token = row.member("token").and_then(|token| token.member("S"));
            if let Some(Json::String(token)) = token
                && !self.tokens.contains(token)
            {
                self.tokens.push(Arc::clone(token));
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
    match Request::parse(service, operation, body) {
        Some(Ok(request)) => request,
        Some(Err(error)) => panic!("{operation}: {error}"),
        None => panic!("{operation} is not served"),
    }
}
