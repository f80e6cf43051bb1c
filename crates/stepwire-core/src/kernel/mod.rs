//! One shard: all its durable state, and the rules by which it changes.

mod call;
mod destinations;
mod errands;
mod functions;
mod indexing;
mod jobs;
mod needs;
mod shadows;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stepwire_asl::{Json, Rejected, Stimulus, Timestamp};

use crate::acts::{Acting, refuse};
use crate::alarms::Alarms;
use crate::answers::Answers;
use crate::asking::{Asker, reply_to};
use crate::broker::{self, Broker};
use crate::effect::{Effect, Report, Seen};
use crate::events::Events;
use crate::executions::map_runs::gather::File;
use crate::executions::{ExecutionId, Executions, Parent, TaskToken};
use crate::functions::{Functions, InvokedBy};
use crate::iam::Iam;
use crate::input::{Follow, Input};
use crate::integrations::Call;
use crate::jobs::Jobs;
use crate::logs::Logs;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::overlay::{Changes, Layered};
use crate::queues::Queues;
use crate::read::{Range, Read, Reads};
use crate::record::{Corrupt, Space};
use crate::registry::Registry;
use crate::registry::search::Run;
use crate::rules::destinations::Destinations;
use crate::rules::errands::{Errands, Evaluation};
use crate::rules::{RuleNotFound, Rules, Taken};
use crate::scheduler::Scheduler;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::shadows::RequestTopic;
use crate::stacks::Stacks;
use crate::tables::Tables;
use crate::test_state::Trials;
use crate::topics::Topics;
use crate::write::Write;

/// Most executions whose deadlines one step fires; the rest follow in the next.
const TIMERS_MAX: usize = 256;
/// Most tasks on hosted services that one turn carries out; the rest follow in the next. A machine
/// that starts itself would never let a turn end.
const TASKS_MAX: usize = 1_000;

/// All durable state of one shard and the rules by which it changes.
///
/// The shell's contract, for every [`Input`]:
/// ```text
/// let step = kernel.step(now, input, &reads);   // decide: writes and effects, nothing else
/// store.commit(step.writes)?;                   // make durable; one commit for many inputs
/// for effect in step.effects { carry_out(effect) }   // only now touch the world
/// ```
/// [`Kernel::turn`] does the first line for an input and all that follows from it.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) settings: Settings,
    pub(crate) broker: Broker,
    pub(crate) registry: Registry,
    pub(crate) rules: Rules,
    /// Where rules may send to.
    pub(crate) destinations: Destinations,
    /// What rules still owe.
    pub(crate) errands: Errands,
    /// What devices are to do.
    pub(crate) jobs: Jobs,
    pub(crate) tables: Tables,
    pub(crate) executions: Executions,
    pub(crate) answers: Answers,
    /// Who waits for the end of an execution, and whether with its data. Not durable: callers are
    /// gone after a restart, and executions ask again.
    pub(crate) waiting: BTreeMap<ExecutionId, (Asker, bool)>,
    pub(crate) logs: Logs,
    pub(crate) functions: Functions,
    pub(crate) objects: Objects,
    pub(crate) queues: Queues,
    pub(crate) topics: Topics,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    pub(crate) alarms: Alarms,
    pub(crate) stacks: Stacks,
    /// Roles and policies.
    pub(crate) iam: Iam,
    /// Secrets, without their values.
    pub(crate) secrets: Secrets,
    pub(crate) scheduler: Scheduler,
    /// States under test.
    pub(crate) trials: Trials,
    /// Who waits for a device's acknowledgement, by the broker's number. Not durable, as `waiting`.
    pub(crate) confirmations: BTreeMap<u64, Asker>,
    /// Searches on their way, with who waits for them.
    searches: VecDeque<(Asker, Run)>,
    /// Whether [`Input::Indexing`] has been asked for.
    indexing: bool,
    /// Tasks left for the next turn. Not durable: after a restart executions ask again.
    postponed: VecDeque<Input>,
    /// Messages that rules have republished in this turn.
    pub(crate) republished: usize,
    /// Executions and buses that events have set going in this turn.
    pub(crate) set_going: usize,
    /// Messages seen by the rules since the start: makes their random values differ.
    salt: u64,
}

/// What one input came to.
#[derive(Debug, Default)]
pub struct Step {
    /// What must be durable before any effect is carried out, in order.
    pub writes: Vec<Write>,
    /// What to do then, in order.
    pub effects: Vec<Effect>,
    /// Inputs that belong to the same commit, to be stepped next.
    pub then: Vec<Input>,
}

impl Kernel {
    /// An empty shard.
    pub fn new(settings: Settings) -> Kernel {
        let mut executions = Executions::default();
        executions.limit_map_runs(settings.quotas.map_runs_max);
        Kernel {
            settings,
            broker: Broker::default(),
            registry: Registry::default(),
            rules: Rules::default(),
            destinations: Destinations::default(),
            errands: Errands::default(),
            jobs: Jobs::default(),
            tables: Tables::default(),
            executions,
            answers: Answers::default(),
            waiting: BTreeMap::new(),
            logs: Logs::default(),
            functions: Functions::default(),
            objects: Objects::default(),
            queues: Queues::default(),
            topics: Topics::default(),
            events: Events::default(),
            metrics: Metrics::default(),
            alarms: Alarms::default(),
            stacks: Stacks::default(),
            iam: Iam::default(),
            secrets: Secrets::default(),
            scheduler: Scheduler::default(),
            trials: Trials::default(),
            confirmations: BTreeMap::new(),
            searches: VecDeque::new(),
            indexing: false,
            postponed: VecDeque::new(),
            republished: 0,
            set_going: 0,
            salt: 0,
        }
    }

    /// The shard whose records `read` holds, and what it owes the world: sessions that were open
    /// are closed, tasks without an answer are asked for again.
    pub fn recover(
        settings: Settings,
        now: Timestamp,
        read: &dyn Read,
    ) -> Result<(Kernel, Step), Corrupt> {
        let mut kernel = Kernel::new(settings);
        kernel.load(read)?;
        let mut step = Step::default();
        for name in kernel.executions.refused() {
            let why = format!("the stored definition of `{name}` is not valid in this version");
            step.effects.push(Effect::Report(Report::Unreadable { why: why.into() }));
        }
        kernel.make_index();
        let mut out = broker::Out::default();
        kernel.broker.recover(now, &kernel.registry.at(now), &kernel.settings, &mut out);
        kernel.absorb(0, out, &mut step);
        let owing = kernel.executions.open().filter(|(_, open)| open.outstanding);
        let owing = owing.map(|(id, _)| Input::Follow(Follow::Resume(id)));
        step.then.extend(owing.collect::<Vec<_>>());
        step.writes.extend(kernel.objects.forget_staged().into_iter().map(Write::Objects));
        for number in kernel.functions.interrupted() {
            kernel.attempt(number, &mut step);
        }
        let confirmations = kernel.destinations.resume(&kernel.settings).into_iter();
        step.effects.extend(confirmations.map(Effect::confirm));
        for number in kernel.errands.interrupted() {
            kernel.begin_errand(number, &mut step);
        }
        for number in kernel.topics.interrupted() {
            kernel.begin_notification(number, &mut step);
        }
        kernel.poll_sources(now, &mut step);
        step.then.extend(kernel.executions.ready_map_runs().into_iter().map(Input::MapRun));
        step.then.extend(kernel.stacks.at_work().into_iter().map(Input::Stack));
        kernel.follow_changes(now, &mut step);
        if kernel.registry.search.has_work() {
            step.then.push(Input::Indexing);
        }
        Ok((kernel, step))
    }

    fn load(&mut self, read: &dyn Read) -> Result<(), Corrupt> {
        type Load = fn(&mut Kernel, &[u8], &[u8]) -> Result<(), Corrupt>;
        let parts: [(&[Space], Load); 21] = [
            (Registry::SPACES, |kernel, key, value| kernel.registry.load(key, value)),
            (Rules::SPACES, |kernel, key, value| kernel.rules.load(key, value)),
            (Destinations::SPACES, |kernel, key, value| kernel.destinations.load(key, value)),
            (Errands::SPACES, |kernel, key, value| kernel.errands.load(key, value)),
            (Jobs::SPACES, |kernel, key, value| kernel.jobs.load(key, value)),
            (Tables::SPACES, |kernel, key, value| kernel.tables.load(key, value)),
            (Executions::SPACES, |kernel, key, value| kernel.executions.load(key, value)),
            (Answers::SPACES, |kernel, key, value| kernel.answers.load(key, value)),
            (Functions::SPACES, |kernel, key, value| kernel.functions.load(key, value)),
            (Objects::SPACES, |kernel, key, value| kernel.objects.load(key, value)),
            (Queues::SPACES, |kernel, key, value| kernel.queues.load(key, value)),
            (Topics::SPACES, |kernel, key, value| kernel.topics.load(key, value)),
            (Events::SPACES, |kernel, key, value| kernel.events.load(key, value)),
            (Metrics::SPACES, |kernel, key, value| kernel.metrics.load(key, value)),
            (Alarms::SPACES, |kernel, key, value| kernel.alarms.load(key, value)),
            (Stacks::SPACES, |kernel, key, value| kernel.stacks.load(key, value)),
            (Broker::SPACES, |kernel, key, value| kernel.broker.load(key, value)),
            (Logs::SPACES, |kernel, key, value| kernel.logs.load(key, value)),
            (Iam::SPACES, |kernel, key, value| kernel.iam.load(key, value)),
            (Secrets::SPACES, |kernel, key, value| kernel.secrets.load(key, value)),
            (Scheduler::SPACES, |kernel, key, value| kernel.scheduler.load(key, value)),
        ];
        for (spaces, load) in parts {
            for space in spaces {
                for (key, value) in read.range(&Range::prefix(&[*space as u8])) {
                    load(self, &key, &value)?;
                }
            }
        }
        self.objects.resume_numbers(read)?;
        self.queues.resume();
        self.tables.resume(read);
        self.executions.resume_numbers(read)
    }

    /// Compares what memory holds with what `read` says, which must hold all that was decided. For
    /// tests: they differ only if something changed by another door than `apply`.
    pub fn check(&self, read: &dyn Read) -> Result<(), String> {
        let mut stored = Kernel::new(self.settings.clone());
        stored.executions.borrow_parsed(&self.executions);
        stored.load(read).map_err(|corrupt| corrupt.to_string())?;
        let same = |what: &str, same: bool| {
            if same { Ok(()) } else { Err(format!("{what} in memory are not what is stored")) }
        };
        same("sessions and messages", self.broker.durable() == stored.broker.durable())?;
        same("things, certificates or policies", self.registry == stored.registry)?;
        same("rules", self.rules == stored.rules)?;
        same("destinations of rules", self.destinations == stored.destinations)?;
        same("errands of rules", self.errands == stored.errands)?;
        same("jobs", self.jobs == stored.jobs)?;
        same("tables", self.tables == stored.tables)?;
        same("answers", self.answers == stored.answers)?;
        same("logs", self.logs == stored.logs)?;
        same("functions", self.functions == stored.functions)?;
        same("objects", self.objects == stored.objects)?;
        same("queues or messages in them", self.queues == stored.queues)?;
        same("topics or subscriptions", self.topics == stored.topics)?;
        same("event buses or their rules", self.events == stored.events)?;
        same("metrics", self.metrics == stored.metrics)?;
        same("stacks", self.stacks == stored.stacks)?;
        same("roles or policies", self.iam == stored.iam)?;
        same("secrets", self.secrets == stored.secrets)?;
        same("schedules", self.scheduler == stored.scheduler)?;
        same("alarms", self.alarms.durable() == stored.alarms.durable())?;
        self.executions.check(&stored.executions, read)
    }

    /// Drops every execution from memory: the next stimulus reads it back. For tests.
    pub fn forget_hot(&mut self) {
        self.executions.forget_hot();
    }

    /// Executions that have not ended, and those of them held in memory.
    pub fn execution_counts(&self) -> (usize, usize) {
        (self.executions.open().count(), self.executions.hot_count())
    }

    /// When the next [`Input::Tick`] is wanted.
    pub fn due(&self) -> Option<Timestamp> {
        if !self.postponed.is_empty() {
            return Some(Timestamp(0));
        }
        let answers = self.answers.due(self.settings.answer_grace_ms);
        let sweep = self.executions.sweep_due(&self.settings);
        let logs = self.logs.due(self.settings.quotas.log_group_bytes_max);
        let (executions, functions) = (self.executions.due(), self.functions.due());
        let (queues, trials) = (self.queues.due(), self.trials.due());
        let groups = self.registry.groups.are_to_be_swept().then_some(Timestamp(0));
        let rules = [self.errands.due(), self.destinations.due()];
        let retention_seconds = self.settings.quotas.metric_retention_seconds;
        let messages = [self.topics.due(), self.queues.tidy_due(), self.events.due()];
        let monitoring = [self.metrics.due(retention_seconds), self.alarms.due()];
        let (broker, stacks, tables) = (self.broker.due(), self.stacks.due(), self.tables.due());
        let tidying =
            [sweep, logs, groups, self.secrets.due(), self.objects.due(), self.scheduler.due()];
        let all = [broker, tables, executions, answers, functions, queues, trials, stacks];
        let tidying = tidying.into_iter().chain([self.jobs.due()]);
        let all = all.into_iter().chain(tidying);
        rules.into_iter().chain(messages).chain(monitoring).chain(all).flatten().min()
    }

    /// Steps `input` and everything that follows from it, over what `changes` and `base` hold.
    /// The writes are added to `changes`.
    pub fn turn(
        &mut self,
        now: Timestamp,
        input: Input,
        changes: &mut Changes,
        base: &dyn Read,
    ) -> Step {
        self.settle(now, Step { then: vec![input], ..Step::default() }, changes, base)
    }

    /// Steps what `first` left to follow, and all that follows from that.
    pub fn settle(
        &mut self,
        now: Timestamp,
        mut first: Step,
        changes: &mut Changes,
        base: &dyn Read,
    ) -> Step {
        first.writes.iter().for_each(|write| changes.push(write.entry()));
        (self.republished, self.set_going) = (0, 0);
        let mut queue: VecDeque<Input> = first.then.drain(..).collect();
        let mut tasks = 0;
        while let Some(input) = queue.pop_front() {
            if matches!(input, Input::Follow(Follow::Perform { .. })) {
                tasks += 1;
                if tasks > TASKS_MAX {
                    self.postponed.push_back(input);
                    continue;
                }
            }
            let reads = self.fetch(&input, &Layered { changes, base });
            let mut step = self.step(now, input, &reads);
            self.follow_changes(now, &mut step);
            self.announce_changes(&mut step);
            step.writes.iter().for_each(|write| changes.push(write.entry()));
            first.writes.extend(step.writes);
            first.effects.extend(step.effects);
            queue.extend(step.then);
        }
        first
    }

    /// Decides what `input` changes and asks of the world. Deterministic; reads nothing but state
    /// and `reads`, which must hold all that [`Kernel::needs`] named.
    pub fn step(&mut self, now: Timestamp, input: Input, reads: &Reads) -> Step {
        let mut step = Step::default();
        match input {
            Input::Device(input) => {
                let mut out = broker::Out::default();
                self.broker.handle(now, input, &self.registry.at(now), &self.settings, &mut out);
                self.absorb(0, out, &mut step);
            }
            Input::Call { reply, request } => {
                let asker = Asker::Caller(reply);
                if let Some(answer) = self.call(now, asker, &request, reads, &mut step) {
                    reply_to(asker, answer, now, &mut step);
                }
            }
            Input::TaskReturned { execution, scheduled, result } => {
                let stimulus = Stimulus::TaskReturned { scheduled, result };
                // A repeated or late end of an effect finds its task closed: nothing to do.
                let _ = self.stimulate(now, execution, stimulus, reads, &mut step);
            }
            Input::FunctionReturned { caller, request_id, result } => match caller {
                InvokedBy::Task { execution, scheduled, form } => {
                    let result = form.result(now, &request_id, result);
                    let stimulus = Stimulus::TaskReturned { scheduled, result };
                    let _ = self.stimulate(now, execution, stimulus, reads, &mut step);
                }
                InvokedBy::Event(number) => self.attempted(now, number, result, reads, &mut step),
                InvokedBy::Source(batch) => {
                    self.batch_ended(now, batch, result, reads, &mut step);
                }
                InvokedBy::Rule { errand, question } => {
                    self.told(errand, question, result, &mut step);
                }
            },
            Input::Predicted { errand, question, result } => {
                self.predicted(errand, question, result, &mut step);
            }
            Input::FunctionTold(told) => self.function_told(now, *told, &mut step),
            Input::Confirmed { destination, challenge, result } => {
                self.confirmation_sent(now, &destination, challenge, result, &mut step);
            }
            Input::Delivered { errand, result } => self.delivered(now, errand, result, &mut step),
            Input::Notified { notification, result } => {
                self.notified(now, notification, result, &mut step);
            }
            Input::Gone(reply) => self.executions.activities.forget(Asker::Caller(reply)),
            Input::Unheard(answer) => self.unheard(&answer, reads, &mut step),
            Input::MapRun(number) => self.go_on(now, number, reads, &mut step),
            Input::Stack(key) => self.go_on_with_stack(now, &key, reads, &mut step),
            Input::Indexing => self.go_on_indexing(now, &mut step),
            Input::ItemsRead { map_run, ask, answer } => {
                self.executions.items_read(map_run, ask, answer);
                step.then.push(Input::MapRun(map_run));
            }
            Input::Tick => self.tick(now, &mut step),
            Input::Follow(follow) => self.follow(now, follow, reads, &mut step),
        }
        step
    }

    /// A slice of a map run's work.
    fn go_on(&mut self, now: Timestamp, number: u64, reads: &Reads, step: &mut Step) {
        match self.executions.map_run_slice(now, number, reads, &self.settings) {
            Ok(slice) => {
                for (id, mut ran) in slice {
                    for file in std::mem::take(&mut ran.files) {
                        self.keep_file(now, file, reads, step);
                    }
                    self.ask(now, id, ran, step);
                }
            }
            Err(corrupt) => {
                let why = corrupt.to_string().into();
                step.effects.push(Effect::Report(Report::Unreadable { why }));
            }
        }
    }

    /// Stores a file of a map run's results, whose bucket is there.
    fn keep_file(&mut self, now: Timestamp, file: File, reads: &Reads, step: &mut Step) {
        let mut writes = Vec::new();
        let body = file.text.into();
        let kept = self.objects.put(now, file.name, "application/json", body, reads, &mut writes);
        debug_assert!(kept.is_ok(), "the bucket was found: {kept:?}");
        self.objects_changed(now, writes, reads, step);
    }

    fn follow(&mut self, now: Timestamp, follow: Follow, reads: &Reads, step: &mut Step) {
        match follow {
            Follow::Perform { execution, scheduled, hosted, request } => {
                // Another task of this turn may have ended the state that wanted it.
                if !self.waits(TaskToken { execution, scheduled }, reads, step) {
                    return;
                }
                let request = if hosted.names_origin() {
                    self.with_origin(request, execution)
                } else {
                    request
                };
                let call = Call { execution, scheduled };
                let asker = Asker::Task(call, hosted);
                if let Some(answer) = self.call(now, asker, &request, reads, step) {
                    let result = hosted.result(answer, call, now);
                    let stimulus = Stimulus::TaskReturned { scheduled, result };
                    let _ = self.stimulate(now, execution, stimulus, reads, step);
                }
            }
            Follow::Mocked { execution, scheduled, waits, result } => {
                let submitted =
                    Stimulus::TaskReturned { scheduled, result: Ok(Json::object::<&str>([])) };
                let (first, then) = if waits {
                    (submitted, Some(Stimulus::JobEnded { scheduled, result }))
                } else {
                    (Stimulus::TaskReturned { scheduled, result }, None)
                };
                for stimulus in [first].into_iter().chain(then) {
                    let _ = self.stimulate(now, execution, stimulus, reads, step);
                }
            }
            Follow::LookAt(evaluation) => self.look_at(&evaluation, reads, step),
            Follow::Evaluate(errand) => self.evaluate(errand, reads, step),
            Follow::Act(acting) => self.act(now, acting, reads, step),
            Follow::StackChore(chore) => self.do_chore(now, chore, reads, step),
            Follow::Complete(kept, answer) => self.complete(now, kept, answer, reads, step),
            Follow::Timers(ids) => {
                for id in ids {
                    let _ = self.stimulate(now, id, Stimulus::Timer, reads, step);
                }
            }
            Follow::Ended(child, parent) => self.told_of_end(now, child, parent, reads, step),
            Follow::HandOut(activity) => self.hand_out(now, activity, reads, step),
            Follow::Poll(source) => self.poll_queue(now, source, reads, step),
            Follow::Sourced(source, answer) => self.sourced(now, source, answer, reads, step),
            Follow::Receive(queue) => self.hand_out_messages(now, queue, reads, step),
            Follow::MoveMessages(task) => self.move_messages(now, task, reads, step),
            Follow::RedriveMapRun { execution, started } => {
                match self.executions.redrive_map_run(now, execution, started, reads) {
                    Ok(ran) => self.ask(now, execution, ran, step),
                    Err(corrupt) => self.quarantine(execution, &corrupt, step),
                }
            }
            Follow::Announce(id, status) => self.announce(now, id, status, reads, step),
            Follow::Shadow { message, hops } => {
                self.shadow_asked(now, &message, hops, reads, step);
            }
            Follow::JobAsked { message, hops } => {
                self.job_asked(now, &message, hops, reads, step);
            }
            Follow::Job(now, job) => self.go_on_with_job(now, &job, reads, step),
            Follow::JobJoined { job, thing } => {
                self.tell_joined(now, (&job, &thing), reads, step);
            }
            Follow::Abandon(id) => {
                let stop = Stimulus::Stop { error: None, cause: None };
                let _ = self.stimulate(now, id, stop, reads, step);
            }
            Follow::TidyLogs(now) => {
                let (bytes_max, mut writes) =
                    (self.settings.quotas.log_group_bytes_max, Vec::new());
                self.logs.tidy(now, bytes_max, reads, &mut writes);
                step.writes.extend(writes.into_iter().map(Write::Logs));
            }
            Follow::Measure(points) => self.measure(points, reads, step),
            Follow::Watch(now, names) => self.watch(now, &names, reads, step),
            Follow::TidyMetrics(now) => self.tidy_metrics(now, reads, step),
            Follow::TidyTables(now) => {
                let mut writes = Vec::new();
                self.tables.tidy(now, reads, &mut writes);
                step.writes.extend(writes.into_iter().map(Write::Tables));
            }
            Follow::Expire(now) => {
                let mut writes = Vec::new();
                self.objects.expire(now, reads, &mut writes);
                self.objects_changed(now, writes, reads, step);
            }
            Follow::Sweep(now) => {
                let ran = self.executions.sweep(now, &self.settings, reads);
                step.writes.extend(ran.writes.into_iter().map(Write::Executions));
            }
            Follow::Resume(id) => match self.executions.outstanding(id, reads, &self.settings) {
                Ok(ran) => self.ask(now, id, ran, step),
                Err(corrupt) => self.quarantine(id, &corrupt, step),
            },
        }
    }

    /// The execution that waits for `child` hears what came of it.
    fn told_of_end(
        &mut self,
        now: Timestamp,
        child: ExecutionId,
        parent: Parent,
        reads: &Reads,
        step: &mut Step,
    ) {
        let Parent::Task { execution, scheduled } = parent;
        match self.executions.outcome(child, parent, reads, &self.settings) {
            Ok(Some(result)) => {
                let stimulus = Stimulus::JobEnded { scheduled, result };
                let _ = self.stimulate(now, execution, stimulus, reads, step);
            }
            // The task was answered by somebody else, or is no longer wanted.
            Ok(None) => {}
            Err(corrupt) => self.quarantine(execution, &corrupt, step),
        }
    }

    /// Gives an execution a stimulus and asks the world for what it then wants.
    pub(crate) fn stimulate(
        &mut self,
        now: Timestamp,
        id: ExecutionId,
        stimulus: Stimulus,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<(), Rejected> {
        if id.machine == Trials::MACHINE {
            self.trials.step(now, id, stimulus, &self.settings);
            self.end_trial(now, id, step);
            return Ok(());
        }
        match self.executions.stimulate(now, id, stimulus, reads, &self.settings) {
            Ok(Ok(ran)) => {
                self.ask(now, id, ran, step);
                Ok(())
            }
            Ok(Err(rejected)) => Err(rejected),
            Err(corrupt) => {
                self.quarantine(id, &corrupt, step);
                Err(Rejected::ExecutionEnded)
            }
        }
    }

    /// Answers whoever asked for a trial, once it has ended.
    fn end_trial(&mut self, now: Timestamp, id: ExecutionId, step: &mut Step) {
        if let Some(ended) = self.trials.take_ended(now, id) {
            reply_to(ended.asker, Ok(ended.answer()), now, step);
        }
    }

    /// An execution that cannot be read is left alone, and said so; the others run on.
    pub(crate) fn quarantine(&mut self, id: ExecutionId, corrupt: &Corrupt, step: &mut Step) {
        self.executions.set_aside(id);
        step.effects.push(Effect::Report(Report::Unreadable { why: corrupt.to_string().into() }));
    }

    /// Publishes a message from the service side.
    pub(crate) fn publish(&mut self, message: Message, hops: u8, step: &mut Step) {
        let mut out = broker::Out::default();
        let authorize = self.registry.at(message.at);
        self.broker.publish(message, &authorize, &self.settings, &mut out);
        self.absorb(hops, out, step);
    }

    /// Publishes a message of the service that is only for those who subscribe to it now.
    fn publish_now(&mut self, message: Message, hops: u8, step: &mut Step) {
        let mut out = broker::Out::default();
        let authorize = self.registry.at(message.at);
        self.broker.publish_now(message, &authorize, &self.settings, &mut out);
        self.absorb(hops, out, step);
    }

    /// Ends the connections that may no longer be.
    fn recheck(&mut self, now: Timestamp, concern: &broker::Concern, step: &mut Step) {
        let mut out = broker::Out::default();
        let authorize = self.registry.at(now);
        self.broker.recheck(now, concern, &authorize, &self.settings, &mut out);
        self.absorb(0, out, step);
    }

    /// Takes over what the broker decided, and runs the rules on the messages it accepted.
    pub(crate) fn absorb(&mut self, hops: u8, out: broker::Out, step: &mut Step) {
        step.writes.extend(out.writes.into_iter().map(Write::Broker));
        let sends = out.sends.into_iter();
        step.effects.extend(sends.map(|(connection, packet)| Effect::Send { connection, packet }));
        let closes = out.closes.into_iter();
        step.effects
            .extend(closes.map(|(connection, reason)| Effect::Close { connection, reason }));
        for refusal in out.refusals {
            step.effects.push(Effect::Report(Report::Refused {
                client: refusal.device,
                action: refusal.action.name(),
                resource: refusal.topic,
                why: refusal.why.into(),
            }));
        }
        for broker::Confirmed { number, at, answer } in out.confirmed {
            if let Some(asker) = self.confirmations.remove(&number) {
                reply_to(asker, answer, at, step);
            }
        }
        let cut_offs = out.cut_offs.into_iter();
        step.effects.extend(cut_offs.map(|cut_off| Effect::Report(Report::CutOff(cut_off))));
        for message in out.messages {
            let mut taken = Taken::default();
            self.salt = self.salt.wrapping_add(1);
            let salt = self.salt ^ (message.at.0 as u64).rotate_left(20);
            let evaluated =
                self.rules.evaluate(&message, &self.settings, salt, &self.errands, &mut taken);
            if let Err(RuleNotFound { rule, why }) = evaluated {
                let topic = Arc::clone(&message.topic);
                step.effects.push(Effect::Report(Report::RuleNotFound { rule, topic, why }));
            }
            let Taken { matched, asking, heard } = taken;
            step.effects.extend(heard.map(Effect::Heard));
            let is_seen = self.settings.shows_messages;
            let asks_shadow = RequestTopic::of(&message.topic).is_some();
            let asks_job = crate::jobs::RequestTopic::of(&message.topic).is_some();
            let asks = asks_shadow || asks_job;
            if matched.is_empty() && asking.is_empty() && !is_seen && !asks {
                continue;
            }
            let message = Arc::new(message);
            if asks_shadow {
                let asked = Follow::Shadow { message: Arc::clone(&message), hops };
                step.then.push(Input::Follow(asked));
            }
            if asks_job {
                let asked = Follow::JobAsked { message: Arc::clone(&message), hops };
                step.then.push(Input::Follow(asked));
            }
            if is_seen {
                let matched = matched.iter().map(|matched| Arc::clone(&matched.rule));
                let asking = asking.iter().map(|(rule, _)| Arc::clone(rule.name()));
                let rules = matched.chain(asking).collect();
                step.effects.push(Effect::Seen(Seen { message: Arc::clone(&message), rules }));
            }
            step.then.extend(matched.into_iter().map(|matched| {
                let acting = Acting::of(matched, &message, hops);
                Input::Follow(Follow::Act(Box::new(acting)))
            }));
            step.then.extend(asking.into_iter().map(|(rule, salt)| {
                let run = rule.taking(&message, hops, salt);
                Input::Follow(Follow::LookAt(Box::new(Evaluation { rule, run })))
            }));
        }
    }

    fn tick(&mut self, now: Timestamp, step: &mut Step) {
        step.then.extend(self.postponed.drain(..));
        for asker in self.executions.activities.give_up(now) {
            reply_to(asker, Ok(Json::Object(Arc::default())), now, step);
        }
        let mut out = broker::Out::default();
        self.broker.tick(now, &self.registry.at(now), &self.settings, &mut out);
        self.absorb(0, out, step);
        self.tidy(now, step);
        let mut writes = Vec::new();
        self.secrets.remove_overdue(now, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Secrets));
        if self.registry.groups.are_to_be_swept() {
            self.sweep_groups(now, step);
        }
        for number in self.functions.overdue(now) {
            self.attempt(number, step);
        }
        self.look_at_sources(now, step);
        self.go_on_with_destinations(now, step);
        self.go_on_with_errands(now, step);
        self.go_on_with_jobs(now, step);
        self.look_at_waiting(now, step);
        self.go_on_with_messages(now, step);
        self.look_at_alarms(now, step);
        self.give_up_resources(now, step);
        for id in self.trials.overdue(now) {
            self.trials.step(now, id, Stimulus::Timer, &self.settings);
            self.end_trial(now, id, step);
        }
        let overdue = self.executions.overdue(now, TIMERS_MAX);
        if overdue.is_empty() {
            self.give_up_answers(now, step);
        } else {
            // After downtime a task that an answer waits for may be about to begin: timers first.
            step.then.push(Input::Follow(Follow::Timers(overdue)));
        }
    }

    /// Has a slice of what need not be kept any longer removed.
    fn tidy(&self, now: Timestamp, step: &mut Step) {
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        if is_due(self.executions.sweep_due(&self.settings)) {
            step.then.push(Input::Follow(Follow::Sweep(now)));
        }
        if is_due(self.logs.due(self.settings.quotas.log_group_bytes_max)) {
            step.then.push(Input::Follow(Follow::TidyLogs(now)));
        }
        if is_due(self.metrics.due(self.settings.quotas.metric_retention_seconds)) {
            step.then.push(Input::Follow(Follow::TidyMetrics(now)));
        }
        if is_due(self.objects.due()) {
            step.then.push(Input::Follow(Follow::Expire(now)));
        }
        if is_due(self.tables.due()) {
            step.then.push(Input::Follow(Follow::TidyTables(now)));
        }
    }

    fn give_up_answers(&mut self, now: Timestamp, step: &mut Step) {
        for (number, answer) in self.answers.expired(now, self.settings.answer_grace_ms) {
            self.drop_answer(number, step);
            refuse(&answer, "no task waited for it", step);
        }
    }
}
