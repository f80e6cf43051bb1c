//! What a kernel asks of the world, once its cause is durable.

use std::sync::Arc;

use stepwire_asl::{EventId, Json};

use crate::broker::{ConnectionId, CutOff};
use crate::error::ApiError;
use crate::executions::ExecutionId;
use crate::executions::map_runs::files::Ask;
use crate::functions::{Invoke, InvokedBy};
use crate::input::ReplyId;
use crate::message::Message;
use crate::mqtt::{Packet, ReasonCode};
use crate::rules::HttpDelivery;
use crate::rules::destinations::Confirmation;
use crate::rules::errands::Delivery;
use crate::stacks::StackKey;

/// Everything a kernel can ask of the world. At least once: after a crash, tasks are asked again.
#[derive(Debug)]
pub enum Effect {
    /// Send a packet on a connection.
    Send {
        /// Which.
        connection: ConnectionId,
        /// What.
        packet: Packet,
    },
    /// Close a connection, after what was sent on it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why; MQTT 5 clients are told.
        reason: Option<ReasonCode>,
    },
    /// Answer a caller.
    Reply {
        /// Who asked.
        reply: ReplyId,
        /// The operation's output, or why it was refused.
        answer: Result<Json, ApiError>,
    },
    /// Make an HTTP request; its end comes back as
    /// [`Input::TaskReturned`](crate::Input::TaskReturned).
    HttpInvoke {
        /// The execution that asks.
        execution: ExecutionId,
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// AWS's parameters of `http:invoke`.
        parameters: Json,
        /// How long the task may take, if it says.
        timeout_ms: Option<i64>,
    },
    /// Send [`Input::MapRun`](crate::Input::MapRun) back: a map run has more to do.
    Continue {
        /// Which.
        map_run: u64,
    },
    /// Send [`Input::Stack`](crate::Input::Stack) back: a stack has more to be done to.
    ContinueStack {
        /// Which.
        stack: StackKey,
    },
    /// Send [`Input::Indexing`](crate::Input::Indexing) back: a search has more to look at, or an
    /// index more to be made of.
    ContinueIndexing,
    /// Call an AWS service outside; its end comes back as
    /// [`Input::TaskReturned`](crate::Input::TaskReturned).
    AwsCall {
        /// The execution that asks.
        execution: ExecutionId,
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// What follows `aws-sdk:` in the resource.
        service: Arc<str>,
        /// The operation, as the resource names it.
        api: Arc<str>,
        /// Its input, members in PascalCase.
        parameters: Json,
        /// How long the task may take, if it says.
        timeout_ms: Option<i64>,
    },
    /// Read files for an item reader; [`Input::ItemsRead`](crate::Input::ItemsRead) answers.
    ReadItems {
        /// The map run that reads.
        map_run: u64,
        /// What.
        ask: Ask,
    },
    /// Show those who test rules what the rules have seen: see
    /// [`Settings::shows_messages`](crate::Settings::shows_messages).
    Seen(Seen),
    /// Count that rules heard a message: what AWS's metric `TopicMatch` counts.
    Heard(Heard),
    /// Count an action of a rule: what AWS's metrics `Success` and `Failure` count.
    Acted(Acted),
    /// Tell the operator.
    Report(Report),
    /// Run a function; its end comes back as
    /// [`Input::FunctionReturned`](crate::Input::FunctionReturned).
    Invoke {
        /// Who asks.
        caller: InvokedBy,
        /// For what.
        invoke: Box<Invoke>,
    },
    /// Ask a topic rule destination to confirm;
    /// [`Input::Confirmed`](crate::Input::Confirmed) says whether it has been asked.
    Confirm(Box<Confirmation>),
    /// Deliver the result of a rule's action; [`Input::Delivered`](crate::Input::Delivered) answers.
    Deliver {
        /// The errand that asks.
        errand: u64,
        /// What is delivered.
        delivery: Box<Delivery>,
    },
    /// Ask a model of Amazon Machine Learning outside;
    /// [`Input::Predicted`](crate::Input::Predicted) answers.
    Predict {
        /// The errand of a rule that asks.
        errand: u64,
        /// Its question.
        question: u64,
        /// The model's id.
        model: Arc<str>,
        /// What it is asked about: an object of texts.
        record: Json,
    },
    /// Bring a document of a topic to an HTTP endpoint;
    /// [`Input::Notified`](crate::Input::Notified) answers.
    Notify {
        /// The notification that asks.
        notification: u64,
        /// What is sent.
        delivery: Box<HttpDelivery>,
    },
}

impl Effect {
    pub(crate) fn confirm(confirmation: Confirmation) -> Effect {
        Effect::Confirm(Box::new(confirmation))
    }
}

/// A message that the rules have seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The message.
    pub message: Arc<Message>,
    /// The rules that took it and had something to do, in order of their names.
    pub rules: Vec<Arc<str>>,
}

/// A message on a topic that rules are for, whatever their conditions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The rules.
    pub rules: Vec<Arc<str>>,
    /// Whether its payload is JSON.
    pub is_json: bool,
}

/// An action of a rule has come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// The rule.
    pub rule: Arc<str>,
    /// The kind of action, as error documents name it: `HttpAction`.
    pub action: &'static str,
    /// Whether it is the rule's error action.
    pub on_error: bool,
    /// Whether it did what it is for.
    pub succeeded: bool,
}

/// Something an operator should know of.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A device was refused.
    Refused {
        /// Its client id; `None` when no device is concerned.
        client: Option<Arc<str>>,
        /// What it wanted, such as `iot:Publish`.
        action: &'static str,
        /// On what.
        resource: Arc<str>,
        /// Why not.
        why: Arc<str>,
    },
    /// A device was cut off, or not let in, for what it did.
    CutOff(CutOff),
    /// A rule's action could not be carried out.
    RuleFailed {
        /// The rule.
        rule: Arc<str>,
        /// Topic of the message.
        topic: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// A message of Basic Ingest names a rule that does not run.
    RuleNotFound {
        /// The rule.
        rule: Arc<str>,
        /// Topic of the message.
        topic: Arc<str>,
        /// Why it does not run.
        why: &'static str,
    },
    /// A rule was made whose statement does what is perhaps not meant.
    RuleDoubted {
        /// The rule.
        rule: Arc<str>,
        /// What, and where in the statement.
        what: Arc<str>,
    },
    /// An answer completed no task.
    AnswerRefused {
        /// The rule that took it.
        rule: Arc<str>,
        /// The device it says it is from.
        device: Arc<str>,
        /// Operation it answers.
        operation: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// What a topic or an event bus had to deliver could not be.
    Undelivered {
        /// ARN of the queue or topic it was for.
        target: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// An invocation that nobody waited for failed for the last time.
    InvocationFailed {
        /// The function.
        function: Arc<str>,
        /// How it failed: JSON text, or our words.
        why: Arc<str>,
    },
    /// A function failed with a batch of a queue's messages; they are received again.
    BatchFailed {
        /// The function.
        function: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// A stored execution cannot be read; it is left as it is.
    Unreadable {
        /// Which record, and what is wrong with it.
        why: Arc<str>,
    },
}
