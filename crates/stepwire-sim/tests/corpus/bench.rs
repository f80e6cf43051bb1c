//! One kernel on a disk in memory and a clock of its own, which can be killed after any commit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use stepwire_asl::{Json, Timestamp};
use stepwire_core::overlay::Changes;
use stepwire_core::read::Key;
use stepwire_core::{
    ApiError, Effect, Input, Kernel, ReplyId, Request, Service, Settings, objects,
};

use crate::stubs::{Behaviour, Stubs};

/// Inputs that one wait may take: a run that needs more has gone round in circles.
const INPUTS_MAX: usize = 200_000;

/// When the process is killed: after a commit, once the caller has its answer and before anything
/// else leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    Never,
    /// After the commit of this number.
    After(u64),
    /// After every commit but those of recovery itself.
    Always,
}

pub(crate) struct Bench {
    kernel: Kernel,
    disk: BTreeMap<Key, Vec<u8>>,
    settings: Settings,
    now: Timestamp,
    replies: BTreeMap<ReplyId, Result<Json, ApiError>>,
    last_reply: u64,
    stubs: Stubs,
    /// What stubs are at work on: when they end, in which order they began.
    at_work: BinaryHeap<Reverse<(Timestamp, u64)>>,
    results: BTreeMap<u64, Input>,
    begun: u64,
    commits: u64,
    crash: Crash,
}

impl Bench {
    pub(crate) fn new(crash: Crash) -> Bench {
        let settings = Settings { account: "111111111111".into(), ..Settings::default() };
        Bench {
            kernel: Kernel::new(settings.clone()),
            disk: BTreeMap::new(),
            settings,
            now: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
            replies: BTreeMap::new(),
            last_reply: 0,
            stubs: Stubs::default(),
            at_work: BinaryHeap::new(),
            results: BTreeMap::new(),
            begun: 0,
            commits: 0,
            crash,
        }
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits
    }

    /// Makes a function that does this.
    pub(crate) fn function(&mut self, name: &str, behaviour: Behaviour) -> Result<Json, ApiError> {
        self.stubs.add(name, behaviour);
        let create = Json::object([
            ("FunctionName", Json::from(name)),
            ("Runtime", "python3.12".into()),
            ("Handler", "handler.handler".into()),
            ("Role", "arn:aws:iam::111111111111:role/of-the-test".into()),
            ("Code", Json::object([("ZipFile", Json::from("UEsFBg=="))])),
        ]);
        self.ask(Service::Lambda, "CreateFunction", &create)
    }

    /// What a Step Functions operation answers.
    pub(crate) fn call(&mut self, operation: &str, body: &Json) -> Result<Json, ApiError> {
        self.ask(Service::States, operation, body)
    }

    /// What an operation answers. One that waits for something lets time pass.
    fn ask(&mut self, service: Service, operation: &str, body: &Json) -> Result<Json, ApiError> {
        let request = Request::parse(service, operation, body).unwrap_or_else(|| {
            Err(ApiError::new("UnknownOperationException", format!("no operation `{operation}`")))
        })?;
        self.request(request)
    }

    /// What an S3 operation answers.
    pub(crate) fn objects(
        &mut self,
        operation: &str,
        params: &Json,
        body: &str,
    ) -> Result<Json, ApiError> {
        let request = objects::Request::parse(operation, params).unwrap()?;
        self.request(Request::Objects(request.with_body(body.as_bytes().to_vec().into())))
    }

    fn request(&mut self, request: Request) -> Result<Json, ApiError> {
        if request.is_read() {
            return request.answer(&self.disk, &self.settings);
        }
        self.last_reply += 1;
        let reply = ReplyId(self.last_reply);
        self.take(Input::Call { reply, request });
        for _ in 0..INPUTS_MAX {
            if let Some(answer) = self.replies.remove(&reply) {
                return answer;
            }
            if !self.pass() {
                break;
            }
        }
        Err(ApiError::new("NoAnswer", "the caller was left without an answer"))
    }

    /// Lets time pass until `done`; whether it came to that.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&mut Bench) -> bool) -> bool {
        for _ in 0..INPUTS_MAX {
            if done(self) {
                return true;
            }
            if !self.pass() {
                return false;
            }
        }
        false
    }

    /// Goes on to the next thing that happens by itself; `false`: there is none.
    fn pass(&mut self) -> bool {
        let ends = self.at_work.peek().map(|Reverse((at, _))| *at);
        match (self.kernel.due(), ends) {
            (None, None) => return false,
            (Some(due), ends) if ends.is_none_or(|ends| due <= ends) => {
                self.now = self.now.max(due);
                self.take(Input::Tick);
            }
            (_, Some(ends)) => {
                self.now = self.now.max(ends);
                let Some(Reverse((_, number))) = self.at_work.pop() else { return false };
                if let Some(input) = self.results.remove(&number) {
                    self.take(input);
                }
            }
            (Some(_), None) => unreachable!("the first arm takes it"),
        }
        true
    }

    /// Decides, commits, acts; and dies where it is told to.
    fn take(&mut self, input: Input) {
        let mut changes = Changes::default();
        let step = self.kernel.turn(self.now, input, &mut changes, &self.disk);
        self.commit(&changes);
        let dies = match self.crash {
            Crash::Never => false,
            Crash::After(commit) => commit == self.commits,
            Crash::Always => true,
        };
        self.act(step.effects, dies);
        if dies {
            self.recover();
        }
    }

    fn commit(&mut self, changes: &Changes) {
        for (key, value) in changes.entries() {
            match value {
                Some(value) => drop(self.disk.insert(key.clone(), value.clone())),
                None => drop(self.disk.remove(key)),
            }
        }
        self.commits += 1;
    }

    fn act(&mut self, effects: Vec<Effect>, dies: bool) {
        for effect in effects {
            if let Effect::Reply { reply, answer } = effect {
                self.replies.insert(reply, answer);
            } else if !dies && let Some((takes_ms, input)) = self.stubs.carry_out(effect) {
                self.begun += 1;
                self.at_work.push(Reverse((self.now.plus_ms(takes_ms), self.begun)));
                self.results.insert(self.begun, input);
            }
        }
    }

    fn recover(&mut self) {
        self.at_work.clear();
        self.results.clear();
        let (kernel, first) = Kernel::recover(self.settings.clone(), self.now, &self.disk).unwrap();
        self.kernel = kernel;
        let mut changes = Changes::default();
        let step = self.kernel.settle(self.now, first, &mut changes, &self.disk);
        self.commit(&changes);
        self.act(step.effects, false);
    }
}
