//! One seed, one world: everything that can happen, in an order that the dice choose.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use stepwire_asl::{Failure, Json, Timestamp};
use stepwire_core::broker::{self, Closed, ConnectionId};
use stepwire_core::effect::Report;
use stepwire_core::executions::ExecutionId;
use stepwire_core::mqtt::{Disconnect, Packet};
use stepwire_core::{ApiError, Effect, Input, ReplyId, Request, Settings};

use crate::checks::Checks;
use crate::device::{Device, Habit, Reaction, forged};
use crate::dice::Dice;
use crate::marks::Marks;
use crate::operator::{Intent, Job, request, success};
use crate::server::{Disk, Server};
use crate::story;

/// When every world begins.
const ORIGIN: Timestamp = Timestamp(1_800_000_000_000);
/// No world lasts longer.
const LONGEST_MS: i64 = 2 * 3_600 * 1_000;
/// A world that waits this long for its next deadline, and for nothing else, is at rest.
const REST_MS: i64 = 20 * 60 * 1_000;

/// The size of a world and how rough it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Devices; the last has too broad a policy and forges answers.
    pub devices: usize,
    /// Sessions each device has.
    pub sessions: u32,
    /// Executions of the operator's.
    pub jobs: usize,
    /// One crash in so many chances, at each kind of moment; 0 for none.
    pub crash_one_in: u64,
    /// Keep a line for everything that happens.
    pub trace: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { devices: 8, sessions: 2, jobs: 5, crash_one_in: 60, trace: false }
    }
}

/// What a world came to.
#[derive(Debug)]
pub struct Outcome {
    /// What did not hold; empty if all did.
    pub problems: Vec<String>,
    /// Situations it reached.
    pub marks: Marks,
    /// Same seed, same number.
    pub fingerprint: u64,
    /// Everything that happened, if the plan asked for it.
    pub trace: Vec<String>,
    /// Crashes.
    pub crashes: u64,
    /// Executions that became durable.
    pub executions: usize,
    /// Simulated milliseconds.
    pub lasted_ms: i64,
}

#[derive(Debug)]
enum Event {
    /// A packet reaches the server.
    Arrives(ConnectionId, Box<Packet>),
    /// The server learns that a connection is gone.
    Gone(ConnectionId, Closed),
    /// A packet reaches a device.
    Delivered(ConnectionId, Box<Packet>),
    /// A device learns that its connection is gone.
    Lost(ConnectionId),
    /// A device wants a session.
    Connect(usize),
    /// A device sends something, if its connection is still the same.
    Send(usize, ConnectionId, Box<Packet>),
    /// A device composes an answer.
    Answer(usize, Arc<str>),
    /// A device ends its session.
    Leave(usize, ConnectionId),
    /// Somebody with too broad a policy answers for another device.
    Forge(usize, Arc<str>),
    /// The third party answers.
    Http(u64, ExecutionId, u64, Result<Json, Failure>),
    /// The disk is done, in this life of the process.
    Committed(u64),
    /// A deadline of the kernel.
    Tick(u64),
    /// The process is started again.
    Restart,
    /// The operator looks after a job.
    Operate(usize),
    /// The next request of the deployment.
    Deploy,
}

/// Who waits for a reply.
#[derive(Debug, Clone)]
enum Caller {
    Deployer,
    Start(usize),
    Completion(usize, Arc<str>, Arc<str>),
}

/// One simulated world.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    settings: Settings,
    dice: Dice,
    /// Goes on until the broker forgets the clients that are gone for good.
    stays_to_be_forgotten: bool,
    now: Timestamp,
    events: BinaryHeap<Reverse<(Timestamp, u64)>>,
    pending: BTreeMap<u64, Event>,
    order: u64,
    disk: Disk,
    server: Option<Server>,
    /// Lives of the process: what an earlier life waited for is forgotten.
    life: u64,
    ticking: Option<Timestamp>,
    devices: Vec<Device>,
    /// Which device believes to have this connection.
    connections: BTreeMap<ConnectionId, usize>,
    next_connection: u64,
    /// When the last packet of a connection arrives: packets do not overtake each other.
    arrivals: BTreeMap<(ConnectionId, bool), Timestamp>,
    deployment: Vec<Request>,
    jobs: Vec<Job>,
    callers: BTreeMap<ReplyId, Caller>,
    next_reply: u64,
    nonce: i64,
    acknowledged: Vec<(Arc<str>, Timestamp)>,
    refused: Vec<Arc<str>>,
    checks: Checks,
    marks: Marks,
    crashes: u64,
    hasher: DefaultHasher,
    trace: Vec<String>,
}

impl World {
    /// The world of this seed.
    pub fn new(seed: u64, plan: Plan) -> World {
        let mut dice = Dice::new(seed);
        let devices: Vec<_> =
            (0..plan.devices).map(|number| Device::new(number, plan.sessions)).collect();
        let names: Vec<_> =
            devices.iter().map(|d| (d.name.as_ref(), d.certificate.as_ref())).collect();
        let deployment = story::deployment(&names, dice.one_in(3));
        let deployment = deployment
            .iter()
            .rev()
            .map(|(service, op, body)| request(*service, op, body))
            .collect();
        let jobs = (0..plan.jobs).map(|number| Job::new(number, &mut dice)).collect();
        let mut settings = Settings::default();
        settings.secret[..8].copy_from_slice(&seed.to_be_bytes());
        World {
            plan,
            settings,
            stays_to_be_forgotten: dice.one_in(8),
            dice,
            now: ORIGIN,
            events: BinaryHeap::new(),
            pending: BTreeMap::new(),
            order: 0,
            disk: Disk::new(),
            server: None,
            life: 0,
            ticking: None,
            devices,
            connections: BTreeMap::new(),
            next_connection: 0,
            arrivals: BTreeMap::new(),
            deployment,
            jobs,
            callers: BTreeMap::new(),
            next_reply: 0,
            nonce: 0,
            acknowledged: Vec::new(),
            refused: Vec::new(),
            checks: Checks::default(),
            marks: Marks::default(),
            crashes: 0,
            hasher: DefaultHasher::new(),
            trace: Vec::new(),
        }
    }

    /// Lets everything happen, until nothing more does.
    pub fn run(mut self) -> Outcome {
        self.at(0, Event::Restart);
        self.at(5, Event::Deploy);
        while let Some(Reverse((at, order))) = self.events.pop() {
            let Some(event) = self.pending.remove(&order) else { continue };
            let resting = matches!(event, Event::Tick(_)) && at.since_ms(self.now) > REST_MS;
            if resting && !self.stays_to_be_forgotten {
                break;
            }
            if at.since_ms(ORIGIN) > LONGEST_MS {
                self.checks.problem("the world does not come to rest");
                break;
            }
            self.now = self.now.max(at);
            self.note(|| format!("{event:?}"));
            self.happen(event);
        }
        self.finish()
    }

    fn at(&mut self, after_ms: i64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((self.now.plus_ms(after_ms), self.order)));
        self.pending.insert(self.order, event);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:>9} {}", self.now.since_ms(ORIGIN), what());
        line.hash(&mut self.hasher);
        if self.plan.trace {
            self.trace.push(line);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(connection, packet) => self.arrives(connection, *packet),
            Event::Gone(connection, cause) => {
                self.input(Input::Device(broker::Input::Closed { connection, cause }));
            }
            Event::Delivered(connection, packet) => self.delivered(connection, &packet),
            Event::Lost(connection) => self.lost(connection),
            Event::Connect(device) => self.connect(device),
            Event::Send(device, connection, packet) => {
                if self.devices[device].connection == Some(connection) {
                    self.to_server(connection, *packet);
                }
            }
            Event::Answer(device, operation) => self.answer(device, &operation),
            Event::Leave(device, connection) => self.leave(device, connection),
            Event::Forge(victim, operation) => self.forge(victim, &operation),
            Event::Http(life, execution, scheduled, result) => {
                if life == self.life {
                    self.input(Input::TaskReturned { execution, scheduled, result });
                }
            }
            Event::Committed(life) => {
                if life == self.life {
                    self.committed();
                }
            }
            Event::Tick(life) => {
                if life == self.life {
                    self.ticking = None;
                    self.input(Input::Tick);
                }
            }
            Event::Restart => self.restart(),
            Event::Operate(job) => self.operate(job),
            Event::Deploy => self.deploy(),
        }
    }

    // ---- the process -------------------------------------------------------------------------

    fn restart(&mut self) {
        match Server::recover(self.settings.clone(), self.now, &self.disk) {
            Ok(server) => self.server = Some(server),
            Err(corrupt) => {
                self.checks.problem(format!("the process does not come back: {corrupt}"))
            }
        }
        self.after_deciding();
    }

    fn input(&mut self, input: Input) {
        let Some(server) = &mut self.server else { return };
        if server.take(self.now, input, &self.disk) {
            self.marks.sometimes("batch decided while another is committed");
        }
        self.after_deciding();
    }

    fn after_deciding(&mut self) {
        let Some(server) = &mut self.server else { return };
        let due = server.kernel.due();
        if server.begin_commit() {
            let takes = self.dice.between(1, 6);
            self.at(takes, Event::Committed(self.life));
        }
        if let Some(due) = due
            && self.ticking.is_none_or(|set| due < set)
        {
            self.ticking = Some(due);
            let wait = due.since_ms(self.now).max(0);
            self.at(wait, Event::Tick(self.life));
        }
    }

    fn committed(&mut self) {
        let recovering = self.life > 0 && self.now.since_ms(ORIGIN) > 0;
        if self.dice.one_in(self.plan.crash_one_in) {
            self.marks.sometimes("crash before commit");
            if recovering {
                self.marks.sometimes("crash during recovery");
            }
            return self.crash();
        }
        let Some(server) = &mut self.server else { return };
        let batch = server.end_commit(&mut self.disk);
        self.checks.durable(&batch.writes, &mut self.marks);
        self.look_back();
        if self.dice.one_in(self.plan.crash_one_in) {
            self.marks.sometimes("crash after commit");
            return self.crash();
        }
        let life = self.life;
        for effect in batch.effects {
            if self.dice.one_in(self.plan.crash_one_in * 4) {
                self.marks.sometimes("crash between effects");
                return self.crash();
            }
            self.leaves(effect);
            debug_assert_eq!(life, self.life, "effects do not restart the process");
        }
        self.after_deciding();
    }

    /// Memory must equal what the disk says.
    fn look_back(&mut self) {
        let Some(server) = &mut self.server else { return };
        if !server.is_settled() {
            return;
        }
        if let Err(difference) = server.kernel.check(&self.disk) {
            self.checks.problem(format!("memory and disk differ: {difference}"));
        }
        if self.dice.one_in(6) {
            self.marks.sometimes("execution read back from its history");
            server.kernel.forget_hot();
        }
    }

    fn crash(&mut self) {
        self.note(|| "CRASH".to_owned());
        self.crashes += 1;
        self.life += 1;
        self.server = None;
        self.ticking = None;
        for (reply, caller) in std::mem::take(&mut self.callers) {
            self.unknown(reply, caller);
        }
        for connection in self.connections.keys().copied().collect::<Vec<_>>() {
            let notices = self.dice.between(0, 60);
            self.at(notices, Event::Lost(connection));
        }
        let down = self.dice.between(1, 400);
        self.at(down, Event::Restart);
    }

    fn leaves(&mut self, effect: Effect) {
        self.note(|| format!("  out {effect:?}"));
        self.checks.leaves(&effect, &mut self.marks);
        match effect {
            Effect::Send { connection, packet } => {
                let at = self.arrival(connection, false);
                self.at(at, Event::Delivered(connection, Box::new(packet)));
            }
            Effect::Close { connection, .. } => {
                let at = self.arrival(connection, false);
                self.at(at, Event::Lost(connection));
                self.at(at, Event::Gone(connection, Closed::Lost));
            }
            Effect::Reply { reply, answer } => self.replied(reply, answer),
            Effect::HttpInvoke { execution, scheduled, .. } => {
                let result = if self.dice.one_in(10) {
                    self.marks.sometimes("profile service failed and was retried");
                    let error = "States.Http.StatusCode.503".into();
                    Err(Failure { error, cause: "try again".into() })
                } else {
                    let body = Json::object([("desiredTemperature", Json::from(21))]);
                    Ok(Json::object([
                        ("ResponseBody", body),
                        ("StatusCode", 200.into()),
                        ("StatusText", "OK".into()),
                        ("Headers", Json::Object(Arc::default())),
                    ]))
                };
                let takes = self.dice.between(5, 50);
                self.at(takes, Event::Http(self.life, execution, scheduled, result));
            }
            Effect::Report(report) => self.reported(report),
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::AnswerRefused { operation, .. } => self.refused.push(operation),
            Report::Refused { .. } | Report::RuleFailed { .. } => {}
            Report::Unreadable { why } => self.checks.problem(format!("unreadable: {why}")),
        }
    }

    // ---- the network and the devices ---------------------------------------------------------

    /// Milliseconds until a packet sent now on a connection arrives.
    fn arrival(&mut self, connection: ConnectionId, to_server: bool) -> i64 {
        let at = self.now.plus_ms(self.dice.between(0, 12));
        let last = self.arrivals.entry((connection, to_server)).or_insert(at);
        *last = at.max(*last);
        last.since_ms(self.now)
    }

    fn to_server(&mut self, connection: ConnectionId, packet: Packet) {
        let at = self.arrival(connection, true);
        self.at(at, Event::Arrives(connection, Box::new(packet)));
    }

    fn arrives(&mut self, connection: ConnectionId, packet: Packet) {
        let Some(device) = self.connections.get(&connection) else { return };
        let input = match packet {
            Packet::Connect(connect) => broker::Input::Connect {
                connection,
                principal: self.devices[*device].principal(),
                connect,
            },
            packet => broker::Input::Packet { connection, packet },
        };
        self.input(Input::Device(input));
    }

    fn connect(&mut self, device: usize) {
        if self.server.is_none() {
            let again = self.dice.between(50, 500);
            return self.at(again, Event::Connect(device));
        }
        if self.devices[device].connection.is_some() {
            self.marks.sometimes("device taken over by itself");
        }
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.connections.insert(connection, device);
        let model = &mut self.devices[device];
        model.connection = Some(connection);
        model.accepted = false;
        model.sessions_left = model.sessions_left.saturating_sub(1);
        let connect = Packet::Connect(Box::new(model.connect()));
        self.to_server(connection, connect);
        // Every session ends, whatever happens in it.
        let longest = self.dice.between(20_000, 60_000);
        self.at(longest, Event::Leave(device, connection));
    }

    fn delivered(&mut self, connection: ConnectionId, packet: &Packet) {
        let Some(&device) = self.connections.get(&connection) else { return };
        let habit = match self.dice.between(0, 9) {
            0 => Habit::Silent,
            1..=3 => Habit::Hasty,
            _ => Habit::Answers,
        };
        let last = self.devices.len() - 1;
        if let Packet::Publish(publish) = packet
            && device != last
            && self.dice.one_in(4)
            && let Some(operation) = operation(&publish.payload)
        {
            let soon = self.dice.between(0, 500);
            self.at(soon, Event::Forge(device, operation));
        }
        let reactions = self.devices[device].receive(packet, habit, &mut self.dice);
        for reaction in reactions {
            match reaction {
                Reaction::Send(after, packet) => {
                    self.at(after, Event::Send(device, connection, Box::new(packet)));
                }
                Reaction::Answer(after, operation) => {
                    self.at(after, Event::Answer(device, operation))
                }
                Reaction::Acknowledged(operation) => {
                    self.marks.sometimes("device answered");
                    self.acknowledged.push((operation, self.now));
                }
                Reaction::Done => {
                    let after = self.dice.between(100, 6_000);
                    self.at(after, Event::Leave(device, connection));
                }
            }
        }
    }

    fn answer(&mut self, device: usize, operation: &Arc<str>) {
        self.nonce += 1;
        let model = &mut self.devices[device];
        let connected = model.connection.filter(|_| model.accepted);
        let packet = model.answer(operation, self.nonce);
        if let Some(connection) = connected {
            self.to_server(connection, packet);
        }
    }

    fn leave(&mut self, device: usize, connection: ConnectionId) {
        if self.devices[device].connection != Some(connection) {
            return;
        }
        // Some connect again without a word: the server has to take the session over.
        if self.devices[device].sessions_left > 0 && self.dice.one_in(6) {
            return self.connect(device);
        }
        if self.dice.one_in(3) {
            let cause = Closed::Lost;
            let notices = self.dice.between(0, 40);
            self.at(notices, Event::Gone(connection, cause));
        } else {
            self.to_server(connection, Packet::Disconnect(Disconnect::default()));
            let at = self.arrival(connection, true);
            self.at(at + 1, Event::Gone(connection, Closed::Lost));
        }
        self.lost(connection);
    }

    fn lost(&mut self, connection: ConnectionId) {
        let Some(device) = self.connections.get(&connection).copied() else { return };
        if self.devices[device].connection != Some(connection) {
            return;
        }
        let again = self.devices[device].lost();
        if again {
            self.marks.sometimes("answer sent again after a lost PUBACK");
        }
        if again
            || !self.devices[device].pending.is_empty()
            || self.devices[device].sessions_left > 0
        {
            let pause = self.dice.between(20, 2_500);
            self.at(pause, Event::Connect(device));
        }
    }

    /// The device with too broad a policy answers in another's name.
    fn forge(&mut self, victim: usize, operation: &Arc<str>) {
        let rogue = self.devices.len() - 1;
        let model = &self.devices[rogue];
        if let Some(connection) = model.connection.filter(|_| model.accepted) {
            self.marks.sometimes("forged answer refused");
            let packet = forged(&self.devices[victim].name, operation);
            self.to_server(connection, packet);
        }
    }

    // ---- the people --------------------------------------------------------------------------

    fn call(&mut self, caller: Caller, request: Request) {
        self.next_reply += 1;
        let reply = ReplyId(self.next_reply);
        if self.server.is_none() {
            return self.unknown(reply, caller);
        }
        self.callers.insert(reply, caller);
        self.input(Input::Call { reply, request });
    }

    fn deploy(&mut self) {
        match self.deployment.last().cloned() {
            Some(request) => self.call(Caller::Deployer, request),
            None => {
                for device in 0..self.devices.len() {
                    let after = self.dice.between(0, 3_000);
                    self.at(after, Event::Connect(device));
                }
                for job in 0..self.jobs.len() {
                    let after = self.dice.between(0, 8_000);
                    self.at(after, Event::Operate(job));
                }
            }
        }
    }

    fn operate(&mut self, number: usize) {
        let job = &mut self.jobs[number];
        if job.done {
            return;
        }
        if !job.started {
            let start = job.start();
            if job.uncertain {
                self.marks.sometimes("start repeated after an unknown outcome");
            }
            return self.call(Caller::Start(number), start);
        }
        if job.look(&self.disk, &self.settings) && job.tokens.len() > 1 {
            self.marks.sometimes("retried task got a new token");
        }
        let ended = self.checks.named(story::STUBBORN, &self.jobs[number].name);
        let ended = ended.is_some_and(|run| run.ended.is_some());
        match self.jobs[number].next() {
            Some((token, output)) => {
                let request = success(&token, &output);
                self.call(Caller::Completion(number, token, output), request);
            }
            None if ended => self.jobs[number].done = true,
            None => self.at(200, Event::Operate(number)),
        }
    }

    /// The process died before it answered.
    fn unknown(&mut self, _reply: ReplyId, caller: Caller) {
        let pause = self.dice.between(50, 600);
        match caller {
            Caller::Deployer => self.at(pause, Event::Deploy),
            Caller::Start(job) => {
                self.jobs[job].uncertain = true;
                self.at(pause, Event::Operate(job));
            }
            Caller::Completion(job, token, output) => {
                // It may have been taken: asking again must not be refused as something else.
                self.jobs[job].accepted.retain(|(t, o)| (t, o) != (&token, &output));
                self.at(pause, Event::Operate(job));
            }
        }
    }

    fn replied(&mut self, reply: ReplyId, answer: Result<Json, ApiError>) {
        let Some(caller) = self.callers.remove(&reply) else {
            return self.checks.problem("P1: a reply nobody waits for");
        };
        match caller {
            Caller::Deployer => {
                let there = ["ResourceAlreadyExistsException", "ResourceInUseException"];
                if let Err(error) = &answer
                    && !there.contains(&error.code.as_ref())
                {
                    self.checks.problem(format!("the story cannot be deployed: {error}"));
                }
                self.deployment.pop();
                self.at(1, Event::Deploy);
            }
            Caller::Start(job) => {
                match answer {
                    Ok(_) => self.jobs[job].started = true,
                    // It ran to its end before the start was repeated.
                    Err(error) if error.code == "ExecutionAlreadyExists" => {
                        self.jobs[job].started = true;
                    }
                    Err(error) => self.checks.problem(format!("P1: start refused: {error}")),
                }
                self.at(100, Event::Operate(job));
            }
            Caller::Completion(job, token, output) => self.completed(job, token, output, answer),
        }
    }

    fn completed(
        &mut self,
        number: usize,
        token: Arc<str>,
        output: Arc<str>,
        answer: Result<Json, ApiError>,
    ) {
        let job = &mut self.jobs[number];
        let late = output.contains("\"late\"");
        let replay = output.contains("\"replay\"");
        match answer {
            Ok(_) if late || replay => {
                let what = format!("P3: {output} of {} was accepted", job.name);
                self.checks.problem(what);
                job.done = true;
            }
            Ok(_) => {
                job.accepted.push((token, output));
                job.done = job.intent != Intent::Replay;
                self.at(150, Event::Operate(number));
            }
            Err(error) if error.code == "TaskTimedOut" => {
                if late {
                    self.marks.sometimes("late answer refused");
                }
                if replay {
                    self.marks.sometimes("replayed completion refused");
                }
                job.done = true;
            }
            Err(error) => self.checks.problem(format!("P3: completion refused oddly: {error}")),
        }
    }

    // ---- the end -----------------------------------------------------------------------------

    fn finish(mut self) -> Outcome {
        let audit = self.checks.names.iter().filter(|(name, _)| name.starts_with(story::AUDIT));
        let audit: std::collections::BTreeSet<_> = audit.map(|(_, id)| *id).collect();
        self.checks.finish(|id| audit.contains(&id));
        self.check_answers();
        self.check_jobs();
        let executions = self.checks.runs.len();
        Outcome {
            problems: self.checks.problems,
            marks: self.marks,
            fingerprint: self.hasher.finish(),
            trace: self.trace,
            crashes: self.crashes,
            executions,
            lasted_ms: self.now.since_ms(ORIGIN),
        }
    }

    /// P1: an acknowledged answer took effect, unless the task had timed out before it came or it
    /// was refused aloud. A forged one never did.
    fn check_answers(&mut self) {
        let mut problems = Vec::new();
        for (operation, at) in &self.acknowledged {
            let Some((_, run)) = self.checks.run_of_session(operation) else { continue };
            let took = run.ended.as_deref() == Some("ExecutionSucceeded");
            let late = run.ended_at.is_some_and(|end| end <= *at);
            if !took && !late && !self.refused.contains(operation) {
                problems
                    .push(format!("P1: the answer to {operation} was acknowledged and is lost"));
            }
        }
        let mut timed_out = 0;
        for run in self.checks.runs.values() {
            if run.completions.iter().any(|output| output.contains("forged")) {
                problems.push("P1: a forged answer completed a task".to_owned());
            }
            timed_out += u64::from(run.types.iter().any(|kind| kind == "TaskTimedOut"));
        }
        if timed_out > 0 {
            self.marks.sometimes("silent device timed out");
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }

    /// P1: what was acknowledged to the operator is in the history.
    fn check_jobs(&mut self) {
        let mut problems = Vec::new();
        for job in &self.jobs {
            let Some(run) = self.checks.named(story::STUBBORN, &job.name) else {
                problems.push(format!("P1: {} was acknowledged and is lost", job.name));
                continue;
            };
            for (_, output) in &job.accepted {
                if !run.completions.iter().any(|done| done == output.as_ref()) {
                    problems.push(format!("P1: the completion of {} is lost", job.name));
                }
            }
        }
        problems.into_iter().for_each(|problem| self.checks.problem(problem));
    }
}

fn operation(payload: &[u8]) -> Option<Arc<str>> {
    let request = Json::parse_bytes(payload).ok()?;
    request.member("operationId").and_then(Json::as_str).map(Arc::from)
}
