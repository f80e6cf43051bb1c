//! What must hold in every world: promises 1 to 4 of the design, looked at from outside the kernel.
//!
//! The checker sees each batch of writes as it becomes durable and each effect as it leaves. It
//! keeps its own small picture of both and says what does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{HistoryEvent, Json, Timestamp};
use stepwire_core::executions::{self, ExecutionId, Kind};
use stepwire_core::functions::{self, InvokedBy};
use stepwire_core::mqtt::Packet;
use stepwire_core::{Effect, Write, broker, queues};

use crate::chatter::number;
use crate::marks::Marks;
use crate::owed::Owed;
use crate::post::Post;
use crate::roll::Roll;
use crate::story;

/// One execution as its durable history tells it.
#[derive(Debug, Default)]
pub struct Run {
    /// Input text.
    pub input: Json,
    /// Last public event id.
    last_id: u64,
    last_at: Timestamp,
    /// Scheduled tasks and how many ends each has had.
    tasks: BTreeMap<u64, u32>,
    /// For each event of a branch with a task, the `TaskScheduled` it follows from.
    task_of: BTreeMap<u64, u64>,
    /// What a `TaskScheduled` or `WaitStateEntered` event may wait for.
    timers: BTreeMap<u64, Timer>,
    /// Type of the terminal event.
    pub ended: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Every payload that completed a task.
    pub completions: Vec<String>,
    /// Event types so far.
    pub types: Vec<String>,
    /// How long a worker has for each task of an activity, in milliseconds.
    heartbeats: BTreeMap<u64, i64>,
}

/// A span of time that an execution waits.
#[derive(Debug, Clone, Copy)]
struct Timer {
    from: Timestamp,
    shortest_ms: i64,
    /// How long the process had been down when it began.
    down_ms: i64,
}

/// Timers may be this late while the process works.
const LATE_MS: i64 = 100;
/// Every Wait state of the story waits this long.
const WAIT_MS: i64 = 1_000;

/// Everything observed in one world.
#[derive(Debug, Default)]
pub struct Checks {
    /// What did not hold.
    pub problems: Vec<String>,
    /// Executions by id.
    pub runs: BTreeMap<ExecutionId, Run>,
    /// Their names, as `machine/name`.
    pub names: BTreeMap<String, ExecutionId>,
    /// Who is connected, and who is in which group.
    pub roll: Roll,
    /// Messages in queues.
    pub post: Post,
    /// What rules owe.
    pub owed: Owed,
    /// Number of the retained message.
    pub retained: Option<u16>,
    /// Milliseconds the process was down so far.
    down_ms: i64,
    /// Children that run, by map run.
    children: BTreeMap<u64, i64>,
    http_asked: BTreeSet<(ExecutionId, u64)>,
    /// Number of the Express state machine.
    pub express: Option<u64>,
    /// Names of the executions that an execution waits for, as `machine/name`.
    awaited: BTreeMap<ExecutionId, Vec<String>>,
    /// Functions that tasks have invoked.
    invoked: BTreeSet<(ExecutionId, u64)>,
    /// Invocations that nobody waits for and that are durable.
    pending: BTreeSet<u64>,
    /// Topics of the messages that wait for a subscription.
    held: BTreeMap<u64, Arc<str>>,
    /// Topics of those that no longer do since the last batch.
    released: BTreeSet<Arc<str>>,
}

impl Run {
    /// The timer that began with event `began` has fired: not early, and late only by what the
    /// process was down.
    fn fired(&self, began: u64, at: Timestamp, down_ms: i64, marks: &mut Marks) -> Option<String> {
        let Some(timer) = self.timers.get(&began) else {
            return Some(format!("P3: a timer fired that event {began} did not set"));
        };
        let took = at.since_ms(timer.from);
        let down = down_ms - timer.down_ms;
        let late = took - timer.shortest_ms;
        if late > LATE_MS {
            marks.sometimes("timer fired after a crash that outlasted it");
        }
        let right = (0..=down + LATE_MS).contains(&late);
        (!right).then(|| format!("P3: a timer of {} ms took {took} ms", timer.shortest_ms))
    }
}

impl Checks {
    /// Notes what did not hold.
    pub fn problem(&mut self, what: impl Into<String>) {
        if self.problems.len() < 20 {
            self.problems.push(what.into());
        }
    }

    /// The process was down so long.
    pub fn was_down(&mut self, ms: i64) {
        self.down_ms += ms;
        self.roll.restarted();
    }

    /// Writes that have just become durable.
    pub fn durable(&mut self, writes: &[Write], marks: &mut Marks) {
        self.released.clear();
        self.recorded(writes, marks);
        let wrong = self.roll.durable(writes, marks);
        wrong.into_iter().for_each(|problem| self.problem(problem));
        self.check_children(writes, marks);
        let wrong = self.owed.durable(writes, marks);
        wrong.into_iter().for_each(|problem| self.problem(problem));
    }

    /// An execution that waits for another never ends before it: at most in the same commit.
    fn check_children(&mut self, writes: &[Write], marks: &mut Marks) {
        let ended = writes.iter().filter_map(|write| match write {
            Write::Executions(executions::Write::Open(id, None)) => Some(*id),
            _ => None,
        });
        for id in ended.collect::<Vec<_>>() {
            for child in self.awaited.remove(&id).unwrap_or_default() {
                let child = self.names.get(&child).and_then(|child| self.runs.get(child));
                let told = self.runs.get(&id).and_then(|run| run.ended_at);
                if child.is_some_and(|child| child.ended.is_some() && child.ended_at < told) {
                    self.problem(format!("P3: {id:?} was not told that what it waits for ended"));
                    continue;
                }
                match child.and_then(|child| child.ended.as_deref()) {
                    None => self.problem(format!("P3: {id:?} ended before what it waits for")),
                    Some("ExecutionAborted") => marks.sometimes("child stopped with its parent"),
                    Some(_) => marks.sometimes("parent told of its child's end"),
                }
            }
        }
    }

    fn recorded(&mut self, writes: &[Write], marks: &mut Marks) {
        for write in writes {
            let write = match write {
                Write::Executions(write) => write,
                Write::Answer(_, Some(_)) => {
                    marks.sometimes("answer came before its token was stored");
                    continue;
                }
                Write::Queues(queues::Write::Message { message: Some(message), .. }) => {
                    self.post.sent(&message.body, marks);
                    continue;
                }
                Write::Functions(functions::Write::Invocation(number, invocation)) => {
                    if invocation.is_some() {
                        self.pending.insert(*number);
                    } else {
                        self.pending.remove(number);
                    }
                    continue;
                }
                Write::Broker(broker::Write::Held { number: at, held }) => {
                    match held {
                        Some(held) => {
                            self.held.insert(*at, Arc::clone(&held.message.topic));
                        }
                        None => self.released.extend(self.held.remove(at)),
                    }
                    continue;
                }
                Write::Broker(broker::Write::Retained { message: Some(message), .. }) => {
                    if self.retained.is_some() {
                        marks.sometimes("retained message replaced");
                    }
                    self.retained = number(&message.payload);
                    continue;
                }
                _ => continue,
            };
            match write {
                executions::Write::Name { machine, name, id } => {
                    let name = format!("{machine}/{name}");
                    let before = self.names.insert(name.clone(), *id);
                    if before.is_some_and(|before| before != *id) {
                        self.problem(format!("P3: two executions named {name}"));
                    }
                }
                executions::Write::Machine(record) if record.kind == Kind::Express => {
                    self.express = Some(record.number);
                }
                // What an Express execution came to is never stored.
                executions::Write::Open(id, None) if Some(id.machine) == self.express => {
                    marks.sometimes("Express execution ended");
                    self.runs.remove(id);
                }
                executions::Write::History(id, events) => {
                    for event in events.iter() {
                        self.event(*id, event, marks);
                    }
                }
                _ => {}
            }
        }
    }

    fn event(&mut self, id: ExecutionId, event: &HistoryEvent, marks: &mut Marks) {
        if event.id == 0 {
            return;
        }
        let aws = event.to_aws(true);
        let kind = aws.member("type").and_then(Json::as_str).unwrap_or_default().to_owned();
        let details = aws.as_object().and_then(|members| {
            members.iter().find(|(name, _)| name.ends_with("EventDetails")).map(|(_, value)| value)
        });
        let down_ms = self.down_ms;
        let resource = details.and_then(|d| d.member("resource")).and_then(Json::as_str);
        let resource = resource.unwrap_or_default();
        let run = self.runs.entry(id).or_default();
        let mut problems = Vec::new();
        if event.id != run.last_id + 1 {
            problems.push(format!("P3: event {} follows {}", event.id, run.last_id));
        }
        if event.at < run.last_at {
            problems.push(format!("P3: time runs backwards at event {}", event.id));
        }
        if event.previous >= event.id {
            problems.push(format!("P3: event {} points forward", event.id));
        }
        let running = self.children.entry(id.map_run().unwrap_or_default()).or_default();
        match kind.as_str() {
            "ExecutionStarted" | "ExecutionRedriven" => *running += 1,
            "ExecutionSucceeded" | "ExecutionFailed" | "ExecutionAborted" => *running -= 1,
            _ => {}
        }
        if id.map_run().is_some() && *running > story::SPREAD_MAX {
            problems.push(format!("P5: {running} children of a map run at a time"));
        }
        if kind == "ExecutionRedriven" {
            run.ended = None;
        }
        if run.ended.is_some() {
            problems.push(format!("P3: {kind} after the end"));
        }
        run.last_id = event.id;
        run.last_at = event.at;
        run.types.push(kind.clone());
        let schedules = ["TaskScheduled", "ActivityScheduled", "LambdaFunctionScheduled"];
        let follows = schedules.contains(&kind.as_str()).then_some(event.id);
        let follows = follows.or_else(|| run.task_of.get(&event.previous).copied());
        run.task_of.extend(follows.map(|task| (event.id, task)));
        match kind.as_str() {
            "ExecutionStarted" => {
                let input = details.and_then(|d| d.member("input")).and_then(Json::as_str);
                run.input = input.and_then(|text| Json::parse(text).ok()).unwrap_or_default();
            }
            "TaskScheduled" | "LambdaFunctionScheduled" => {
                run.tasks.insert(event.id, 0);
                let seconds = ["heartbeatInSeconds", "timeoutInSeconds"];
                let seconds = seconds.map(|name| details.and_then(|d| d.member(name)));
                let shortest = seconds.into_iter().flatten().filter_map(Json::as_i64).min();
                let timer = shortest.map(|seconds| Timer {
                    from: event.at,
                    shortest_ms: seconds * 1_000,
                    down_ms,
                });
                run.timers.extend(timer.map(|timer| (event.id, timer)));
            }
            "ActivityScheduled" => {
                run.tasks.insert(event.id, 0);
                let seconds = details.and_then(|d| d.member("heartbeatInSeconds"));
                let heartbeat = seconds.and_then(Json::as_i64).map(|seconds| seconds * 1_000);
                run.heartbeats.extend(heartbeat.map(|ms| (event.id, ms)));
            }
            "ActivityStarted" => {
                let task = run.task_of.get(&event.previous).copied().unwrap_or_default();
                let heartbeat = run.heartbeats.get(&task);
                let timer = heartbeat.map(|ms| Timer { from: event.at, shortest_ms: *ms, down_ms });
                run.timers.extend(timer.map(|timer| (task, timer)));
            }
            "TaskSubmitted" => {
                let output = details.and_then(|d| d.member("output")).and_then(Json::as_str);
                let output = output.and_then(|text| Json::parse(text).ok()).unwrap_or_default();
                if let Some(arn) = output.member("ExecutionArn").and_then(Json::as_str) {
                    self.awaited.entry(id).or_default().push(name_of(arn));
                }
            }
            "WaitStateEntered" => {
                let timer = Timer { from: event.at, shortest_ms: WAIT_MS, down_ms };
                run.timers.insert(event.id, timer);
            }
            "WaitStateExited" => {
                problems.extend(run.fired(event.previous, event.at, down_ms, marks));
            }
            "MapIterationStarted" | "ParallelStateStarted" => {
                marks.sometimes("branches ran beside each other");
            }
            "TaskSucceeded"
            | "TaskFailed"
            | "TaskTimedOut"
            | "ActivitySucceeded"
            | "ActivityTimedOut"
            | "LambdaFunctionSucceeded"
            | "LambdaFunctionFailed" => {
                let task = run.task_of.get(&event.previous).copied();
                match task.and_then(|task| run.tasks.get_mut(&task)) {
                    Some(ends) => {
                        *ends += 1;
                        if *ends > 1 {
                            problems.push(format!("P3: task {task:?} ended twice"));
                        }
                    }
                    None => problems.push(format!("P3: {kind} of no task")),
                }
                if kind.ends_with("TimedOut") {
                    let scheduled = task.unwrap_or_default();
                    problems.extend(run.fired(scheduled, event.at, down_ms, marks));
                    let down =
                        run.timers.get(&scheduled).map_or(0, |timer| down_ms - timer.down_ms);
                    if resource == "startExecution.sync:2" && down < 10_000 {
                        problems.push("P3: given up, though workers waited for it".to_owned());
                    }
                }
                let output = details.and_then(|d| d.member("output")).and_then(Json::as_str);
                run.completions.extend(output.map(str::to_owned));
            }
            "ExecutionSucceeded" | "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted" => {
                run.ended = Some(kind.clone());
                run.ended_at = Some(event.at);
            }
            _ => {}
        }
        for problem in problems {
            self.problem(format!("{problem} ({id:?})"));
        }
    }

    /// An effect that leaves the process now.
    pub fn leaves(&mut self, effect: &Effect, marks: &mut Marks) {
        let wrong = self.owed.leaves(effect, marks);
        wrong.into_iter().for_each(|problem| self.problem(problem));
        match effect {
            Effect::HttpInvoke { execution, scheduled, .. }
            | Effect::AwsCall { execution, scheduled, .. } => {
                let durable = self.runs.get(execution);
                if durable.is_none_or(|run| !run.tasks.contains_key(scheduled)) {
                    self.problem("P2: an HTTP call left before its task was durable");
                }
                if !self.http_asked.insert((*execution, *scheduled)) {
                    marks.sometimes("http call repeated after a crash");
                }
            }
            Effect::Invoke { caller: InvokedBy::Task { execution, scheduled, .. }, .. } => {
                let durable = self.runs.get(execution);
                if durable.is_none_or(|run| !run.tasks.contains_key(scheduled)) {
                    self.problem("P2: an invocation left before its task was durable");
                }
                if !self.invoked.insert((*execution, *scheduled)) {
                    marks.sometimes("invocation repeated after a crash");
                }
            }
            Effect::Invoke { caller: InvokedBy::Event(number), .. }
                if !self.pending.contains(number) =>
            {
                self.problem("P2: an invocation left before it was durable");
            }
            Effect::Send { packet: Packet::Publish(publish), .. } => {
                if self.released.contains(publish.topic.as_ref()) {
                    marks.sometimes("message held until the device subscribed");
                }
                let request = Json::parse_bytes(&publish.payload).unwrap_or_default();
                let operation = request.member("operationId").and_then(Json::as_str);
                if let Some(operation) = operation.filter(|_| publish.topic.ends_with("config_req"))
                    && self.run_of_session(operation).is_none()
                {
                    let what = "P2: a request left before its execution was durable";
                    self.problem(format!("{what}: {operation}"));
                }
            }
            Effect::Reply { answer: Ok(answer), .. } => {
                if let Some(arn) = answer.member("executionArn").and_then(Json::as_str)
                    && !arn.contains(":express:")
                    && !self.names.contains_key(&name_of(arn))
                {
                    self.problem(format!(
                        "P1: a start was acknowledged before it was durable: {arn}"
                    ));
                }
            }
            _ => {}
        }
    }

    /// The execution that the `connected` event of this session started.
    pub fn run_of_session(&self, session: &str) -> Option<(&ExecutionId, &Run)> {
        self.runs.iter().find(|(_, run)| {
            is_event(&run.input, "connected")
                && run.input.member("thingName").is_some()
                && run.input.member("sessionIdentifier").and_then(Json::as_str) == Some(session)
        })
    }

    /// The execution of this name.
    pub fn named(&self, machine: &str, name: &str) -> Option<&Run> {
        self.runs.get(self.names.get(&format!("{machine}/{name}"))?)
    }

    /// At the end of a world: every execution ended, presence came in order and in pairs, and each
    /// connect started exactly one execution. How often each client's connection ended without a
    /// goodbye.
    pub fn finish(
        &mut self,
        audit: impl Fn(ExecutionId) -> bool,
        marks: &mut Marks,
    ) -> BTreeMap<Arc<str>, usize> {
        let mut problems = Vec::new();
        let mut unclean: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for (id, run) in &self.runs {
            if run.ended.is_none() {
                problems.push(format!("P3: {id:?} never finished: {:?}", run.types));
            }
        }
        if !self.pending.is_empty() {
            problems.push(format!("P3: {} invocations never ended", self.pending.len()));
        }
        // Audit executions are started by every presence event, in order.
        let mut open: BTreeMap<Arc<str>, (Arc<str>, i64)> = BTreeMap::new();
        let mut versions: BTreeMap<Arc<str>, i64> = BTreeMap::new();
        let mut sessions: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        let mut by_number: Vec<_> = self.runs.iter().filter(|(id, _)| audit(**id)).collect();
        by_number.sort_by_key(|(id, _)| id.number);
        for (_, run) in by_number {
            let text = |name| run.input.member(name).and_then(Json::as_str).map(Arc::<str>::from);
            let (Some(client), Some(session)) = (text("clientId"), text("sessionIdentifier"))
            else {
                problems.push(format!("P4: a presence event without identity: {}", run.input));
                continue;
            };
            let version = run.input.member("versionNumber").and_then(Json::as_i64).unwrap_or(-1);
            if is_event(&run.input, "connected") {
                *sessions.entry(Arc::clone(&session)).or_default() += 1;
                if let Some((before, _)) = open.insert(Arc::clone(&client), (session, version)) {
                    problems.push(format!("P4: {client} connected twice; {before} has no end"));
                }
                if versions.insert(Arc::clone(&client), version).is_some_and(|was| was >= version) {
                    problems.push(format!("P4: versionNumber of {client} does not grow"));
                }
            } else if is_event(&run.input, "disconnected") {
                match text("disconnectReason").as_deref() {
                    Some("CLIENT_INITIATED_DISCONNECT") => {}
                    reason => {
                        *unclean.entry(Arc::clone(&client)).or_default() += 1;
                        if reason == Some("MQTT_KEEP_ALIVE_TIMEOUT") {
                            marks.sometimes("silent connection ended by its keep-alive");
                        }
                    }
                }
                if open.remove(&client) != Some((session, version)) {
                    problems.push(format!("P4: {client} disconnected from a session not open"));
                }
            }
        }
        for (client, (session, _)) in open {
            problems.push(format!("P4: {client} has no disconnected for session {session}"));
        }
        for (session, times) in sessions {
            let started = self.runs.iter().filter(|(id, run)| {
                !audit(**id)
                    && is_event(&run.input, "connected")
                    && run.input.member("sessionIdentifier").and_then(Json::as_str)
                        == Some(&session)
            });
            let started = started.count();
            if times != 1 || started != 1 {
                problems
                    .push(format!("P4: session {session}: {times} connects, {started} executions"));
            }
        }
        problems.into_iter().for_each(|problem| self.problem(problem));
        unclean
    }
}

fn is_event(input: &Json, kind: &str) -> bool {
    input.member("eventType").and_then(Json::as_str) == Some(kind)
}

/// `machine/name` of an execution ARN.
fn name_of(arn: &str) -> String {
    arn.split(':').skip(6).collect::<Vec<_>>().join("/")
}
