//! A kernel, its disk and a clock that moves when it is told to.

use std::collections::BTreeMap;

use stepwire_asl::{Json, Timestamp};
use stepwire_core::overlay::Changes;
use stepwire_core::{ApiError, Effect, Input, Kernel, ReplyId, Request, Service, Settings, Step};

/// What is stored, the kernel that decided it, and what callers were answered.
pub(crate) struct Node {
    kernel: Kernel,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    now: Timestamp,
    calls: u64,
    answers: BTreeMap<ReplyId, Result<Json, ApiError>>,
}

impl Node {
    pub(crate) fn new() -> Node {
        Node {
            kernel: Kernel::new(Settings::default()),
            disk: BTreeMap::new(),
            now: Timestamp(1_800_000_000_000),
            calls: 0,
            answers: BTreeMap::new(),
        }
    }

    /// The process dies and starts again: only the disk is left.
    pub(crate) fn restart(&mut self) {
        let (kernel, first) = Kernel::recover(Settings::default(), self.now, &self.disk).unwrap();
        self.kernel = kernel;
        self.answers.clear();
        let mut changes = Changes::default();
        let step = self.kernel.settle(self.now, first, &mut changes, &self.disk);
        self.store(&changes, step);
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut changes = Changes::default();
        let step = self.kernel.turn(self.now, input, &mut changes, &self.disk);
        self.store(&changes, step);
    }

    fn store(&mut self, changes: &Changes, step: Step) {
        for (key, value) in changes.entries() {
            match value {
                Some(value) => self.disk.insert(key.clone(), value.clone()),
                None => self.disk.remove(key),
            };
        }
        self.kernel.check(&self.disk).unwrap();
        for effect in step.effects {
            if let Effect::Reply { reply, answer } = effect {
                let before = self.answers.insert(reply, answer);
                assert_eq!(before, None, "a caller is answered once");
            }
        }
    }

    /// Moves the clock, and fires every deadline on the way at its time.
    pub(crate) fn pass(&mut self, ms: i64) {
        let until = self.now.plus_ms(ms);
        while let Some(due) = self.kernel.due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
        }
        self.now = until;
    }

    /// Asks, and leaves the answer for [`Node::answer`].
    pub(crate) fn ask(&mut self, operation: &str, body: &str) -> ReplyId {
        self.calls += 1;
        let reply = ReplyId(self.calls);
        let body = Json::parse(body).unwrap();
        match Request::parse(Service::States, operation, &body).unwrap() {
            Ok(request) if request.is_read() => {
                let answer = request.answer(&self.disk, &Settings::default());
                self.answers.insert(reply, answer);
            }
            Ok(request) => self.input(Input::Call { reply, request }),
            Err(error) => {
                self.answers.insert(reply, Err(error));
            }
        }
        reply
    }

    /// What a caller was answered, if it was.
    pub(crate) fn answer(&mut self, reply: ReplyId) -> Option<Result<Json, ApiError>> {
        self.answers.remove(&reply)
    }

    /// The answer to a request that is answered at once.
    pub(crate) fn call(&mut self, operation: &str, body: &str) -> Json {
        let reply = self.ask(operation, body);
        self.answer(reply).unwrap().unwrap()
    }

    /// The error of a request that is refused at once.
    pub(crate) fn refused(&mut self, operation: &str, body: &str) -> ApiError {
        let reply = self.ask(operation, body);
        self.answer(reply).unwrap().unwrap_err()
    }

    /// Creates a state machine of this type.
    pub(crate) fn machine(&mut self, name: &str, kind: &str, definition: &str) {
        let body = Json::object([
            ("name", Json::from(name)),
            ("type", kind.into()),
            ("definition", definition.into()),
            ("roleArn", "arn:aws:iam::000000000000:role/x".into()),
        ]);
        self.call("CreateStateMachine", &body.to_text());
    }

    /// Starts an execution of this name.
    pub(crate) fn start(&mut self, machine: &str, name: &str, input: &str) {
        let arn = format!("arn:aws:states:us-east-1:000000000000:stateMachine:{machine}");
        let body = Json::object([
            ("stateMachineArn", Json::from(arn)),
            ("name", name.into()),
            ("input", input.into()),
        ]);
        self.call("StartExecution", &body.to_text());
    }

    /// DescribeExecution's answer.
    pub(crate) fn execution(&mut self, machine: &str, name: &str) -> Json {
        self.call("DescribeExecution", &about(machine, name))
    }

    /// How an execution stands.
    pub(crate) fn status(&mut self, machine: &str, name: &str) -> String {
        text(&self.execution(machine, name), "status")
    }

    /// The types of an execution's events, in order.
    pub(crate) fn history(&mut self, machine: &str, name: &str) -> Vec<String> {
        let history = self.call("GetExecutionHistory", &about(machine, name));
        let events = history.member("events").and_then(Json::as_array).unwrap();
        events.iter().map(|event| text(event, "type")).collect()
    }

    /// Stops an execution.
    pub(crate) fn stop(&mut self, machine: &str, name: &str) {
        self.call("StopExecution", &about(machine, name));
    }
}

fn about(machine: &str, name: &str) -> String {
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:{machine}:{name}");
    Json::object([("executionArn", Json::from(arn))]).to_text()
}

/// A member that is text.
pub(crate) fn text(json: &Json, name: &str) -> String {
    json.member(name).and_then(Json::as_str).unwrap().to_owned()
}
