//! A kernel with a disk in memory and a clock that is moved, for tests.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, VecDeque};

use stepwire_asl::{Json, Timestamp};
use stepwire_core::executions::map_runs::files::{Ask, File, Found};
use stepwire_core::overlay::Changes;
use stepwire_core::{ApiError, Effect, Input, Kernel, ReplyId, Request, Service, Settings, Step};

/// What is stored.
pub(crate) type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

/// A running kernel and what it has stored.
pub(crate) struct Node {
    pub(crate) kernel: Kernel,
    pub(crate) settings: Settings,
    pub(crate) disk: Disk,
    pub(crate) now: Timestamp,
    /// Slices that map runs have asked for.
    pub(crate) slices: VecDeque<u64>,
    /// Bytes of everything written.
    pub(crate) written: usize,
    /// Most bytes one turn wrote.
    pub(crate) largest_turn: usize,
    /// Files of the folder that item readers may read, by key.
    pub(crate) files: BTreeMap<String, String>,
    /// Effects that are for the world.
    pub(crate) effects: Vec<Effect>,
}

impl Node {
    pub(crate) fn new() -> Node {
        Node::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Node {
        Node {
            kernel: Kernel::new(settings.clone()),
            settings,
            disk: Disk::new(),
            now: Timestamp(1_800_000_000_000),
            slices: VecDeque::new(),
            written: 0,
            largest_turn: 0,
            files: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    fn keep(&mut self, step: Step, changes: &Changes) {
        for (key, value) in changes.entries() {
            match value {
                Some(value) => self.disk.insert(key.clone(), value.clone()),
                None => self.disk.remove(key),
            };
        }
        let bytes = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
            key.len() + value.as_ref().map_or(0, Vec::len)
        };
        let bytes = changes.entries().map(bytes).sum();
        self.written += bytes;
        self.largest_turn = self.largest_turn.max(bytes);
        for effect in step.effects {
            match effect {
                Effect::Continue { map_run } => self.slices.push_back(map_run),
                other => self.effects.push(other),
            }
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut changes = Changes::default();
        let step = self.kernel.turn(self.now, input, &mut changes, &self.disk);
        self.keep(step, &changes);
    }

    /// Ends the process without warning and starts it again.
    pub(crate) fn kill(&mut self) {
        let (kernel, first) = Kernel::recover(self.settings.clone(), self.now, &self.disk).unwrap();
        self.kernel = kernel;
        self.slices.clear();
        self.effects.clear();
        let mut changes = Changes::default();
        let step = self.kernel.settle(self.now, first, &mut changes, &self.disk);
        self.keep(step, &changes);
    }

    /// What the rim answers an item reader.
    fn found(&self, ask: &Ask) -> Found {
        let file = |text: &String| File {
            size: text.len() as u64,
            etag: text.len().to_string().into(),
            modified: Timestamp(1_700_000_000_000),
        };
        match ask {
            Ask::Read { key, from, bytes_max, .. } => {
                let Some(text) = self.files.get(&**key) else { return Found::Missing };
                let from = text.len().min(*from as usize);
                let to = text.len().min(from + *bytes_max as usize);
                let bytes = bytes::Bytes::copy_from_slice(&text.as_bytes()[from..to]);
                Found::Bytes(file(text), bytes)
            }
            Ask::List { prefix, after, files_max, .. } => {
                let wanted = |key: &str| key.starts_with(&**prefix) && *key > **after;
                let files = self.files.iter().filter(|(key, _)| wanted(key)).take(*files_max);
                Found::Files(files.map(|(key, text)| (key.as_str().into(), file(text))).collect())
            }
        }
    }

    /// The next slice of a map run or answer to it, or else the next deadline. Whether there was one.
    pub(crate) fn advance(&mut self) -> bool {
        let asked = self.effects.iter().position(|e| matches!(e, Effect::ReadItems { .. }));
        if let Some(Effect::ReadItems { map_run, ask }) = asked.map(|at| self.effects.remove(at)) {
            let answer = Ok(self.found(&ask));
            self.input(Input::ItemsRead { map_run, ask, answer });
            return true;
        }
        if let Some(map_run) = self.slices.pop_front() {
            self.input(Input::MapRun(map_run));
            return true;
        }
        // What is due later removes what has been kept long enough.
        let near = |due: &Timestamp| due.since_ms(self.now) < 30 * 24 * 3_600_000;
        let Some(due) = self.kernel.due().filter(near) else { return false };
        self.now = self.now.max(due);
        self.input(Input::Tick);
        true
    }

    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.advance() {
                return;
            }
        }
        panic!("it does not come to an end");
    }

    pub(crate) fn check(&self) {
        self.kernel.check(&self.disk).unwrap();
    }

    pub(crate) fn call(&mut self, operation: &str, body: &Json) -> Result<Json, ApiError> {
        let parsed = Request::parse(Service::States, operation, body);
        let request = parsed.unwrap_or_else(|| panic!("{operation} is not served"))?;
        if request.is_read() {
            return request.answer(&self.disk, &self.settings);
        }
        self.change(request)
    }

    /// Carries out a request that changes something.
    pub(crate) fn change(&mut self, request: Request) -> Result<Json, ApiError> {
        let reply = ReplyId(1);
        self.input(Input::Call { reply, request });
        let at = self.effects.iter().rposition(|e| matches!(e, Effect::Reply { .. })).unwrap();
        match self.effects.remove(at) {
            Effect::Reply { answer, .. } => answer,
            _ => unreachable!(),
        }
    }

    pub(crate) fn bucket(&mut self, name: &str) {
        self.objects("CreateBucket", Json::object([("Bucket", Json::from(name))]), b"");
    }

    pub(crate) fn put(&mut self, bucket: &str, key: &str, body: impl AsRef<[u8]>) {
        let name = Json::object([("Bucket", Json::from(bucket)), ("Key", Json::from(key))]);
        self.objects("PutObject", name, body.as_ref());
    }

    pub(crate) fn object(&mut self, bucket: &str, key: &str) -> Json {
        let name = Json::object([("Bucket", Json::from(bucket)), ("Key", Json::from(key))]);
        let request = stepwire_core::objects::Request::parse("GetObject", &name).unwrap().unwrap();
        let request = Request::Objects(request);
        let answer = request.answer(&self.disk, &self.settings).unwrap();
        Json::parse(&text(&answer, "Body")).unwrap()
    }

    fn objects(&mut self, operation: &str, params: Json, body: &[u8]) {
        let request = stepwire_core::objects::Request::parse(operation, &params).unwrap().unwrap();
        let body = bytes::Bytes::copy_from_slice(body);
        self.change(Request::Objects(request.with_body(body))).unwrap();
    }

    /// The same with the body as text, and no refusal expected.
    pub(crate) fn ask(&mut self, operation: &str, body: &str) -> Json {
        let body = Json::parse(body).unwrap();
        self.call(operation, &body).unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// Starts an execution of a new machine; its ARN.
    pub(crate) fn start(&mut self, name: &str, definition: &str, input: &str) -> String {
        let machine = Json::object([
            ("name", Json::from(name)),
            ("definition", definition.into()),
            ("roleArn", "arn:aws:iam::000000000000:role/x".into()),
        ]);
        let machine = self.call("CreateStateMachine", &machine).unwrap();
        let arn = machine.member("stateMachineArn").unwrap().clone();
        let start = Json::object([
            ("stateMachineArn", arn),
            ("name", "e".into()),
            ("input", Json::from(input)),
        ]);
        let started = self.call("StartExecution", &start).unwrap();
        started.member("executionArn").unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) fn describe(&mut self, arn: &str) -> Json {
        self.ask("DescribeExecution", &format!("{{\"executionArn\":\"{arn}\"}}"))
    }

    pub(crate) fn status(&mut self, arn: &str) -> String {
        text(&self.describe(arn), "status")
    }

    /// Types of the events of an execution.
    pub(crate) fn history(&mut self, arn: &str) -> Vec<Json> {
        let mut events = Vec::new();
        let mut token = None;
        loop {
            let mut body = vec![("executionArn", Json::from(arn)), ("maxResults", 1000.into())];
            body.extend(token.map(|token| ("nextToken", token)));
            let page = self.call("GetExecutionHistory", &Json::object(body)).unwrap();
            events.extend(page.member("events").unwrap().as_array().unwrap().iter().cloned());
            token = page.member("nextToken").cloned();
            if token.is_none() {
                return events;
            }
        }
    }

    pub(crate) fn types(&mut self, arn: &str) -> Vec<String> {
        self.history(arn).iter().map(|event| text(event, "type")).collect()
    }

    /// The only map run of an execution, described.
    pub(crate) fn map_run(&mut self, arn: &str) -> Json {
        let runs = self.ask("ListMapRuns", &format!("{{\"executionArn\":\"{arn}\"}}"));
        let run = runs.member("mapRuns").unwrap().as_array().unwrap()[0].clone();
        let body = Json::object([("mapRunArn", run.member("mapRunArn").unwrap().clone())]);
        self.call("DescribeMapRun", &body).unwrap()
    }
}

pub(crate) fn text(value: &Json, name: &str) -> String {
    value.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

pub(crate) fn number(value: &Json, name: &str) -> i64 {
    value.member(name).and_then(Json::as_i64).unwrap_or_default()
}
