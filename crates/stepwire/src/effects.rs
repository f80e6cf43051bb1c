//! Carrying out what the kernel asks for, and telling those who watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use stepwire_asl::Json;
use stepwire_core::effect::Report;
use stepwire_core::functions::InvokedBy;
use stepwire_core::mqtt::Packet;
use stepwire_core::rules::destinations::Confirmation;
use stepwire_core::rules::errands::Delivery;
use stepwire_core::{ApiError, Effect, Input, ReplyId, Write};
use stepwire_store::Seq;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::aws_task::AwsTasks;
use crate::clock::Clock;
use crate::deliver::Deliveries;
use crate::driver::{Inputs, Rim};
use crate::functions::{Functions, request_id};
use crate::http_task::HttpTasks;
use crate::items_folders::ItemsFolders;
use crate::listen::mqtt::Connections;
use crate::observe::Observers;
use crate::warnings::Warnings;

/// HTTP tasks in flight at a time; more wait their turn.
const HTTP_TASKS_MAX: usize = 256;
/// Files of item readers that are read at a time; more wait their turn.
const FILE_READS_MAX: usize = 8;
/// Functions that statements of rules ask at a time; more wait their turn, which leaves the others
/// half of what the runner takes.
const QUESTIONS_MAX: usize = 32;

/// The operation's output, or why it was refused.
pub(crate) type Answer = Result<Json, ApiError>;

/// Callers that wait for the kernel's answer.
#[derive(Default)]
pub(crate) struct Replies(Mutex<Callers>);

#[derive(Default)]
struct Callers {
    last: u64,
    waiting: HashMap<ReplyId, oneshot::Sender<Answer>>,
    /// No answer will come any more.
    closed: bool,
}

impl Replies {
    /// A new caller, and where its answer will arrive; an error there if none will.
    fn expect(&self) -> (ReplyId, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let mut callers = self.callers();
        callers.last += 1;
        let reply = ReplyId(callers.last);
        if !callers.closed {
            callers.waiting.insert(reply, sender);
        }
        (reply, receiver)
    }

    /// Answers a caller; gives the answer back if the caller has gone.
    fn answer(&self, reply: ReplyId, answer: Answer) -> Option<Answer> {
        match self.callers().waiting.remove(&reply) {
            Some(caller) => caller.send(answer).err(),
            None => Some(answer),
        }
    }

    /// Lets nobody wait for an answer that will not come.
    fn close(&self) {
        let mut callers = self.callers();
        callers.closed = true;
        callers.waiting.clear();
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One caller and the answer it waits for. When it goes away before, the kernel hears of it.
pub(crate) struct Caller {
    replies: Arc<Replies>,
    inputs: Inputs,
    reply: ReplyId,
    /// Gone once it has arrived.
    answer: Option<oneshot::Receiver<Answer>>,
}

impl Caller {
    pub(crate) fn new(replies: Arc<Replies>, inputs: Inputs) -> Caller {
        let (reply, answer) = replies.expect();
        Caller { replies, inputs, reply, answer: Some(answer) }
    }

    pub(crate) fn reply(&self) -> ReplyId {
        self.reply
    }

    /// The answer; `None` if none will come.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let answer = self.answer.as_mut()?.await.ok();
        self.answer = None;
        answer
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else { return };
        self.replies.callers().waiting.remove(&self.reply);
        let told = match answer.try_recv() {
            Ok(Ok(answer)) => Input::Unheard(answer),
            Ok(Err(_)) => return,
            Err(_) => Input::Gone(self.reply),
        };
        if let Ok(runtime) = Handle::try_current() {
            let inputs = self.inputs.clone();
            runtime.spawn(async move { inputs.send(told).await });
        }
    }
}

/// Those who carry out what tasks ask for.
pub(crate) struct Workers {
    pub(crate) http: Arc<HttpTasks>,
    pub(crate) aws: AwsTasks,
    pub(crate) deliveries: Deliveries,
    pub(crate) functions: Arc<Functions>,
    pub(crate) items_folders: ItemsFolders,
}

/// The world as the driver touches it.
pub(crate) struct World {
    pub(crate) connections: Arc<Connections>,
    pub(crate) replies: Arc<Replies>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) observers: Arc<Observers>,
    pub(crate) warnings: Arc<Warnings>,
    pub(crate) failure: watch::Sender<Option<Arc<stepwire_store::Error>>>,
    pub(crate) clock: Clock,
    runtime: Handle,
    http_turns: Arc<Semaphore>,
    file_turns: Arc<Semaphore>,
    question_turns: Arc<Semaphore>,
    /// Connections' tasks with something to send, woken once all that a batch sends is there: so it
    /// leaves in one write.
    woken: Vec<Waker>,
}

impl World {
    pub(crate) fn new(
        connections: Arc<Connections>,
        replies: Arc<Replies>,
        workers: Workers,
        observers: Arc<Observers>,
        warnings: Arc<Warnings>,
        clock: Clock,
        failure: watch::Sender<Option<Arc<stepwire_store::Error>>>,
    ) -> World {
        let http_turns = Arc::new(Semaphore::new(HTTP_TASKS_MAX));
        let (runtime, workers) = (Handle::current(), Arc::new(workers));
        let file_turns = Arc::new(Semaphore::new(FILE_READS_MAX));
        let question_turns = Arc::new(Semaphore::new(QUESTIONS_MAX));
        World {
            connections,
            replies,
            workers,
            observers,
            warnings,
            failure,
            clock,
            runtime,
            http_turns,
            file_turns,
            question_turns,
            woken: Vec::new(),
        }
    }
}

impl World {
    /// Tells the kernel without making the commits wait.
    fn tell(&self, input: Input, inputs: &Inputs) {
        let inputs = inputs.clone();
        self.runtime.spawn(async move { inputs.send(input).await });
    }
}

impl Rim for World {
    fn carry_out(&mut self, effect: Effect, inputs: &Inputs) {
        self.observers.effect(&effect, self.clock.now());
        match effect {
            Effect::Send { connection, packet } => {
                if let Packet::Publish(publish) = &packet
                    && let Some(client) = self.connections.client(connection)
                {
                    self.observers.sent(&client, publish, self.clock.now());
                }
                self.woken.extend(self.connections.send(connection, packet));
            }
            Effect::Close { connection, reason } => self.connections.close(connection, reason),
            Effect::Reply { reply, answer } => {
                if let Some(Ok(answer)) = self.replies.answer(reply, answer) {
                    self.tell(Input::Unheard(answer), inputs);
                }
            }
            Effect::HttpInvoke { execution, scheduled, parameters, timeout_ms } => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                let turns = Arc::clone(&self.http_turns);
                self.runtime.spawn(async move {
                    let _turn = turns.acquire().await;
                    let result = workers.http.invoke(&parameters, timeout_ms).await;
                    inputs.send(Input::TaskReturned { execution, scheduled, result }).await;
                });
            }
            Effect::AwsCall { execution, scheduled, service, api, parameters, timeout_ms } => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                let turns = Arc::clone(&self.http_turns);
                self.runtime.spawn(async move {
                    let _turn = turns.acquire().await;
                    let result = workers.aws.call(&service, &api, &parameters, timeout_ms).await;
                    inputs.send(Input::TaskReturned { execution, scheduled, result }).await;
                });
            }
            Effect::Invoke { caller, invoke } => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                let turns = Arc::clone(&self.question_turns);
                self.runtime.spawn(async move {
                    let id = invoke.request_id.as_deref().map_or_else(request_id, str::to_owned);
                    let functions = &workers.functions;
                    let by = Some(caller);
                    let result = match caller {
                        InvokedBy::Task { .. } => functions.invoke(by, &invoke, &id, &inputs).await,
                        InvokedBy::Event(_) | InvokedBy::Source(_) => {
                            functions.run(by, &invoke, &id, &inputs).await
                        }
                        InvokedBy::Rule { .. } => {
                            let _turn = turns.acquire().await;
                            functions.run(by, &invoke, &id, &inputs).await
                        }
                    };
                    let request_id = id.into();
                    inputs.send(Input::FunctionReturned { caller, request_id, result }).await;
                });
            }
            Effect::Confirm(confirmation) => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                self.runtime.spawn(async move {
                    let Confirmation { destination, challenge, delivery } = *confirmation;
                    let result = workers.deliveries.send(&delivery).await;
                    inputs.send(Input::Confirmed { destination, challenge, result }).await;
                });
            }
            Effect::Deliver { errand, delivery } => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                self.runtime.spawn(async move {
                    let Delivery::Http(delivery) = *delivery;
                    let result = workers.deliveries.send(&delivery).await;
                    inputs.send(Input::Delivered { errand, result }).await;
                });
            }
            Effect::Predict { errand, question, model, record } => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                let turns = Arc::clone(&self.question_turns);
                self.runtime.spawn(async move {
                    let _turn = turns.acquire().await;
                    let result = workers.aws.predict(&model, &record).await;
                    inputs.send(Input::Predicted { errand, question, result }).await;
                });
            }
            Effect::Notify { notification, delivery } => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                self.runtime.spawn(async move {
                    let result = workers.deliveries.notify(*delivery).await;
                    inputs.send(Input::Notified { notification, result }).await;
                });
            }
            Effect::Continue { map_run } => {
                let inputs = inputs.clone();
                self.runtime.spawn(async move { inputs.send(Input::MapRun(map_run)).await });
            }
            Effect::ContinueStack { stack } => {
                let inputs = inputs.clone();
                self.runtime.spawn(async move { inputs.send(Input::Stack(stack)).await });
            }
            Effect::ContinueIndexing => {
                let inputs = inputs.clone();
                self.runtime.spawn(async move { inputs.send(Input::Indexing).await });
            }
            Effect::ReadItems { map_run, ask } => {
                let (workers, inputs) = (Arc::clone(&self.workers), inputs.clone());
                let turns = Arc::clone(&self.file_turns);
                self.runtime.spawn(async move {
                    let _turn = turns.acquire().await;
                    let read = move || (workers.items_folders.read(&ask), ask);
                    let Ok((answer, ask)) = tokio::task::spawn_blocking(read).await else {
                        // It panicked, or the node is stopping: the next start asks again.
                        return;
                    };
                    inputs.send(Input::ItemsRead { map_run, ask, answer }).await;
                });
            }
            Effect::Seen(seen) => self.observers.record(seen),
            // Counted by those who observe.
            Effect::Heard(_) | Effect::Acted(_) => {}
            Effect::Report(report) => log(&report, &self.warnings),
        }
    }

    fn end_of_batch(&mut self) {
        self.woken.drain(..).for_each(Waker::wake);
    }

    fn committed(&mut self, took: Duration) {
        self.observers.committed(took);
    }

    fn observe(&mut self, position: Seq, writes: &[Write]) {
        self.observers.writes(position, writes, self.clock.now());
        let _inside = self.runtime.enter();
        self.workers.functions.observe(writes);
    }

    fn failed(&mut self, error: stepwire_store::Error) {
        self.replies.close();
        self.failure.send_replace(Some(Arc::new(error)));
    }
}

/// One warning that names device, address and cause.
fn log(report: &Report, warnings: &Warnings) {
    match report {
        // Nobody was there to be sent it.
        Report::Refused { client: None, resource, why, .. } => {
            let text = format_args!("a message on `{resource}` reached nobody: {why}");
            warnings.warn("undelivered", why, text);
        }
        Report::Refused { client: Some(client), action, resource, why } => {
            let key = format!("{client} {action} {why}");
            let text =
                format_args!("device `{client}` was refused `{action}` on `{resource}`: {why}");
            warnings.warn("refused", &key, text);
        }
        Report::CutOff(cut_off) => warnings.cut_off(cut_off),
        Report::RuleFailed { rule, topic, why } => {
            let key = format!("{rule} {why}");
            let text = format_args!("rule `{rule}` failed for a message on `{topic}`: {why}");
            warnings.warn("rule failed", &key, text);
        }
        Report::RuleNotFound { rule, topic, why } => {
            let key = format!("{rule} {why}");
            let text = format_args!("a message on `{topic}` reached no rule `{rule}`: {why}");
            warnings.warn("rule not found", &key, text);
        }
        Report::RuleDoubted { rule, what } => {
            warnings.warn(
                "rule doubted",
                &format!("{rule} {what}"),
                format_args!("rule `{rule}`: {what}"),
            );
        }
        Report::AnswerRefused { rule, device, operation, why } => {
            let key = format!("{rule} {device} {operation} {why}");
            let text = format_args!(
                "rule `{rule}`: answer of `{device}` to `{operation}` not taken: {why}"
            );
            warnings.warn("answer refused", &key, text);
        }
        Report::Undelivered { target, why } => {
            let text = format_args!("a message for `{target}` was not delivered: {why}");
            warnings.warn("undelivered", &format!("{target} {why}"), text);
        }
        Report::InvocationFailed { function, why } => {
            let text = format_args!("function `{function}` failed for the last time: {why}");
            warnings.warn("invocation failed", &format!("{function} {why}"), text);
        }
        Report::BatchFailed { function, why } => {
            let key = function.to_string();
            let text = format_args!("function `{function}`: {why}");
            warnings.warn("batch failed", &key, text);
        }
        Report::Unreadable { why } => tracing::error!("set aside, other work goes on: {why}"),
    }
}
