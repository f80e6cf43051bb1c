//! What the world tells a kernel.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{EventId, Failure, Json, Timestamp};

use crate::acts::Acting;
use crate::answers::Answer;
use crate::broker;
use crate::error::ApiError;
use crate::executions::map_runs::files::{self, Ask};
use crate::executions::{ExecutionId, Parent, Status};
use crate::functions::{Invoked, InvokedBy, Told};
use crate::integrations::Hosted;
use crate::message::Message;
use crate::metrics::{Place, Point};
use crate::request::Request;
use crate::rules::errands::{Evaluation, NotDelivered};
use crate::stacks::{self, StackKey};

/// A caller that waits for an answer; chosen by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

/// Everything the world can tell a kernel.
#[derive(Debug)]
pub enum Input {
    /// Something happened on a device's connection.
    Device(broker::Input),
    /// Somebody asks for a change; [`Effect::Reply`](crate::Effect::Reply) answers.
    Call {
        /// Who asks.
        reply: ReplyId,
        /// What for.
        request: Request,
    },
    /// An effect that a task asked for has come to an end.
    TaskReturned {
        /// The execution that asked.
        execution: ExecutionId,
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// What came of it.
        result: Result<Json, Failure>,
    },
    /// An invocation has come to an end.
    FunctionReturned {
        /// Who asked for it.
        caller: InvokedBy,
        /// Identifies it; a UUID.
        request_id: Arc<str>,
        /// What came of it; the error when nothing was run.
        result: Result<Invoked, ApiError>,
    },
    /// A model has answered, or has failed to: what [`Effect::Predict`](crate::Effect::Predict) asked
    /// for.
    Predicted {
        /// The errand of a rule that asked.
        errand: u64,
        /// Its question.
        question: u64,
        /// The output of `Predict`, or why there is none.
        result: Result<Json, Arc<str>>,
    },
    /// What an invocation wrote and took.
    FunctionTold(Box<Told>),
    /// A confirmation request has come to its end: what
    /// [`Effect::Confirm`](crate::Effect::Confirm) asked for.
    Confirmed {
        /// The destination's id.
        destination: Arc<str>,
        /// Which of its challenges.
        challenge: u32,
        /// What came of it.
        result: Result<(), NotDelivered>,
    },
    /// An attempt to deliver has come to an end: what
    /// [`Effect::Deliver`](crate::Effect::Deliver) asked for.
    Delivered {
        /// The errand that asked.
        errand: u64,
        /// What came of it.
        result: Result<(), NotDelivered>,
    },
    /// An attempt to bring a topic's document to an HTTP endpoint has come to an end: what
    /// [`Effect::Notify`](crate::Effect::Notify) asked for.
    Notified {
        /// The notification that asked.
        notification: u64,
        /// What came of it.
        result: Result<(), NotDelivered>,
    },
    /// A caller that waits for an answer has gone away.
    Gone(ReplyId),
    /// An answer reached nobody: its caller was gone when it came.
    Unheard(Json),
    /// A map run goes on: what [`Effect::Continue`](crate::Effect::Continue) asked for.
    MapRun(u64),
    /// The work on a stack goes on: what [`Effect::ContinueStack`](crate::Effect::ContinueStack) asked
    /// for.
    Stack(StackKey),
    /// Searches and what is being built for them go on: what
    /// [`Effect::ContinueIndexing`](crate::Effect::ContinueIndexing) asked for.
    Indexing,
    /// Files have been read for a map run: what [`Effect::ReadItems`](crate::Effect::ReadItems)
    /// asked for.
    ItemsRead {
        /// The map run.
        map_run: u64,
        /// What was asked for.
        ask: Ask,
        /// What was found.
        answer: files::Answer,
    },
    /// Time has passed: [`Kernel::due`](crate::Kernel::due) is reached.
    Tick,
    /// A step that follows from another, in the same commit.
    Follow(Follow),
}

/// What a step leaves to be done in the same commit: each names what it must read.
#[derive(Debug)]
pub enum Follow {
    /// A task of an execution on a hosted service.
    Perform {
        /// The execution that asks.
        execution: ExecutionId,
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// The service.
        hosted: Hosted,
        /// What is asked of it.
        request: Request,
    },
    /// A test case has answered a task of an execution.
    Mocked {
        /// The execution that asked.
        execution: ExecutionId,
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// Whether the task is submitted first and then waits.
        waits: bool,
        /// What comes of it.
        result: Result<Json, Failure>,
    },
    /// A rule, whose statement asks others, looks at a message.
    LookAt(Box<Evaluation>),
    /// The evaluation of a message that this errand is about goes on.
    Evaluate(u64),
    /// A rule acts on a message.
    Act(Box<Acting>),
    /// An answer looks for its task; with a number when it has been waiting.
    Complete(Option<u64>, Answer),
    /// Deadlines of these executions have passed.
    Timers(Vec<ExecutionId>),
    /// An execution has ended: the one that waits for it is told.
    Ended(ExecutionId, Parent),
    /// A task of this activity and a worker may have found each other.
    HandOut(Arc<str>),
    /// An execution was redriven, and with it the map run that this event of it began.
    RedriveMapRun {
        /// The execution.
        execution: ExecutionId,
        /// Its `MapRunStarted` event.
        started: EventId,
    },
    /// A message asks something of a device's shadow.
    Shadow {
        /// The message.
        message: Arc<Message>,
        /// How often rules have republished what led to it.
        hops: u8,
    },
    /// A message asks something of the jobs of a thing.
    JobAsked {
        /// The message.
        message: Arc<Message>,
        /// How often rules have republished what led to it.
        hops: u8,
    },
    /// A thing has become a target of a job that goes on.
    JobJoined {
        /// The job.
        job: Arc<str>,
        /// The thing.
        thing: Arc<str>,
    },
    /// A job wants something done now.
    Job(Timestamp, Arc<str>),
    /// Nobody waits for this execution any more: it is stopped.
    Abandon(ExecutionId),
    /// Log events that are no longer to be kept go.
    TidyLogs(Timestamp),
    /// What was put into metrics is added to their data points.
    Measure(BTreeMap<Place, Point>),
    /// The state of these alarms may have changed.
    Watch(Timestamp, Vec<Arc<str>>),
    /// Data points that are no longer to be kept go.
    TidyMetrics(Timestamp),
    /// Tables: a slice of what goes on behind requests.
    TidyTables(Timestamp),
    /// Objects: a slice of what is removed because it is old enough.
    Expire(Timestamp),
    /// Executions that have been kept long enough go.
    Sweep(Timestamp),
    /// Somebody waits for a message of the queue of this number, and there is one.
    Receive(u64),
    /// Dead letters go back to their queues: the next slice of the task of this number.
    MoveMessages(u64),
    /// An event source mapping asks its queue for messages.
    Poll(u64),
    /// A queue has answered the event source mapping of this number.
    Sourced(u64, Result<Json, ApiError>),
    /// Who listens is told that an execution has begun or ended.
    Announce(ExecutionId, Status),
    /// A resource of a stack is made, changed or removed.
    StackChore(Box<stacks::Chore>),
    /// After a restart: the tasks of this execution are asked for again.
    Resume(ExecutionId),
}

/// A message that rules republished this many times in a row is not republished again: that fails.
pub const HOPS_MAX: u8 = 16;
