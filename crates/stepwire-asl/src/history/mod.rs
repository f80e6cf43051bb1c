//! What happened to an execution, numbered.

mod aws;
mod chunk;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use chunk::{Broken, decode_chunk, encode_chunk};

use crate::definition::StateId;
use crate::scope::Failure;
use crate::{Json, Timestamp};

/// Public number of an event: gapless from 1; 0 for events that AWS has no name for.
pub type EventId = u64;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// Position among all events of the execution, from 1.
    pub seq: u64,
    /// Public number; 0 for a private event.
    pub id: EventId,
    /// The event it follows from, as AWS shows it.
    pub previous: EventId,
    /// When it happened; never before the event before it.
    pub at: Timestamp,
    /// The branch it happened in: 0 for the machine's own.
    pub frame: u32,
    /// What happened.
    pub detail: Detail,
}

/// A JSON payload; text where the caller's spacing must be kept.
#[derive(Debug, Clone)]
pub enum Payload {
    /// A value, shown as compact text.
    Value(Json),
    /// Text and the value it writes.
    Text(Arc<str>, Json),
}

impl Payload {
    /// The payload that `text`, valid JSON, writes.
    pub fn from_text(text: Arc<str>) -> Payload {
        let value = Json::parse(&text).unwrap_or_default();
        Payload::Text(text, value)
    }

    /// The value.
    pub fn value(&self) -> &Json {
        match self {
            Payload::Value(value) | Payload::Text(_, value) => value,
        }
    }

    /// The text AWS shows.
    pub fn text(&self) -> String {
        match self {
            Payload::Value(value) => value.to_text(),
            Payload::Text(text, _) => text.to_string(),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.value().same(other.value()) || self.value() == other.value()
    }
}

impl std::fmt::Display for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// Type of a state, as event types begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Pass
    Pass,
    /// Task
    Task,
    /// Choice
    Choice,
    /// Wait
    Wait,
    /// Succeed
    Succeed,
    /// Fail
    Fail,
    /// Parallel
    Parallel,
    /// Map
    Map,
}

/// Error name and cause; both may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trouble {
    /// Error name.
    pub error: Option<Arc<str>>,
    /// Cause in words.
    pub cause: Option<Arc<str>>,
}

impl From<Failure> for Trouble {
    fn from(Failure { error, cause }: Failure) -> Self {
        Trouble { error: Some(error), cause: (!cause.is_empty()).then_some(cause) }
    }
}

/// What happened: AWS's event types, and a few of our own that it does not show.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// ExecutionStarted
    ExecutionStarted {
        /// Input text.
        input: Payload,
        /// ARN of the execution.
        execution_arn: Arc<str>,
        /// Role of the state machine.
        role_arn: Arc<str>,
    },
    /// ExecutionSucceeded
    ExecutionSucceeded(Payload),
    /// ExecutionFailed
    ExecutionFailed(Trouble),
    /// ExecutionTimedOut
    ExecutionTimedOut(Trouble),
    /// ExecutionAborted
    ExecutionAborted(Trouble),
    /// *StateEntered
    Entered {
        /// Type of the state.
        kind: Kind,
        /// Number in the definition.
        state: StateId,
        /// Name.
        name: Arc<str>,
        /// Input.
        input: Payload,
    },
    /// *StateExited
    Exited {
        /// Type of the state.
        kind: Kind,
        /// Name.
        name: Arc<str>,
        /// Output.
        output: Payload,
        /// The state that follows in this branch.
        next: Option<StateId>,
        /// Variables it assigned.
        assigned: BTreeMap<Arc<str>, Json>,
    },
    /// *StateAborted
    Aborted(Kind),
    /// TaskScheduled, LambdaFunctionScheduled or ActivityScheduled
    Scheduled {
        /// Resource as AWS shows it: type, then operation; `lambda-function` and `activity` for ARNs
        /// of those.
        resource_type: Arc<str>,
        /// Operation with pattern; ARN of a function or activity.
        resource: Arc<str>,
        /// Region shown.
        region: Arc<str>,
        /// Parameters.
        parameters: Payload,
        /// `TimeoutSeconds`
        timeout_s: Option<i64>,
        /// `HeartbeatSeconds`
        heartbeat_s: Option<i64>,
        /// `Credentials.RoleArn`
        role_arn: Option<Arc<str>>,
    },
    /// TaskStarted or LambdaFunctionStarted
    Started {
        /// Whether of a function ARN.
        function: bool,
        /// Resource type.
        resource_type: Arc<str>,
        /// Operation.
        resource: Arc<str>,
    },
    /// TaskSubmitted
    Submitted {
        /// Resource type.
        resource_type: Arc<str>,
        /// Operation.
        resource: Arc<str>,
        /// What the service answered.
        output: Payload,
    },
    /// TaskSucceeded, LambdaFunctionSucceeded or ActivitySucceeded
    TaskSucceeded {
        /// Whether of a function ARN.
        function: bool,
        /// Resource type.
        resource_type: Arc<str>,
        /// Operation.
        resource: Arc<str>,
        /// Result.
        output: Payload,
    },
    /// TaskFailed, TaskTimedOut or their forms of functions and activities
    TaskEnded {
        /// Whether of a function ARN.
        function: bool,
        /// Whether its time ran out.
        timed_out: bool,
        /// Whether it was its heartbeat.
        heartbeat: bool,
        /// Resource type.
        resource_type: Arc<str>,
        /// Operation.
        resource: Arc<str>,
        /// Error and cause.
        trouble: Trouble,
    },
    /// ParallelStateStarted: this many branches.
    ParallelStarted(u32),
    /// ParallelStateSucceeded
    ParallelSucceeded,
    /// ParallelStateFailed
    ParallelFailed(Trouble),
    /// MapStateStarted
    MapStarted {
        /// What it iterates over.
        items: Payload,
        /// Most iterations at a time; 0 for all.
        concurrency: u32,
    },
    /// MapStateSucceeded
    MapSucceeded,
    /// MapStateFailed
    MapFailed(Trouble),
    /// MapIterationStarted
    IterationStarted {
        /// Name of the Map state.
        name: Arc<str>,
        /// Item index.
        index: u32,
    },
    /// MapIterationSucceeded
    IterationSucceeded {
        /// Name of the Map state.
        name: Arc<str>,
        /// Item index.
        index: u32,
    },
    /// MapIterationFailed
    IterationFailed {
        /// Name of the Map state.
        name: Arc<str>,
        /// Item index.
        index: u32,
    },
    /// MapIterationAborted
    IterationAborted {
        /// Name of the Map state.
        name: Arc<str>,
        /// Item index.
        index: u32,
    },
    /// Private: a Wait state ends at this time.
    WaitUntil(Timestamp),
    /// Private: the state is tried again at this time, by this retrier.
    RetryScheduled {
        /// Which retrier.
        retrier: u32,
        /// When.
        due: Timestamp,
    },
    /// Private: the retry's time has come.
    RetryDue,
    /// Private: a branch runs in the frame of this event.
    BranchStarted {
        /// Frame of the Parallel or Map state.
        parent: u32,
        /// Which branch.
        index: u32,
    },
    /// Private: a branch of a Parallel failed.
    BranchFailed,
    /// Private: the task is still at work.
    Heartbeat,
    /// ActivityStarted
    ActivityStarted {
        /// What the worker calls itself.
        worker: Option<Arc<str>>,
    },
    /// EvaluationFailed
    EvaluationFailed {
        /// Name of the state.
        state: Arc<str>,
        /// Its field.
        location: Option<Arc<str>>,
        /// Whether the field was evaluated, and what it gave cannot be used.
        evaluated: bool,
        /// Error and cause.
        trouble: Trouble,
    },
    /// MapStateStarted of a distributed Map.
    DistributedMapStarted {
        /// How many items its input holds; 0 when they are read from elsewhere.
        length: u32,
    },
    /// MapRunStarted
    MapRunStarted {
        /// ARN of the map run.
        arn: Arc<str>,
    },
    /// MapRunSucceeded
    MapRunSucceeded,
    /// MapRunFailed
    MapRunFailed(Trouble),
    /// MapRunAborted
    MapRunAborted,
    /// MapRunRedriven
    MapRunRedriven {
        /// ARN of the map run.
        arn: Arc<str>,
        /// How often it has been redriven.
        count: u32,
    },
    /// ExecutionRedriven, for the time of this number.
    ExecutionRedriven(u32),
}

impl Detail {
    /// Whether AWS has no name for it.
    pub fn is_private(&self) -> bool {
        matches!(
            self,
            Detail::WaitUntil(_)
                | Detail::RetryScheduled { .. }
                | Detail::RetryDue
                | Detail::BranchStarted { .. }
                | Detail::BranchFailed
                | Detail::Heartbeat
        )
    }

    /// Whether nothing comes after it.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Detail::ExecutionSucceeded(_)
                | Detail::ExecutionFailed(_)
                | Detail::ExecutionTimedOut(_)
                | Detail::ExecutionAborted(_)
        )
    }
}
