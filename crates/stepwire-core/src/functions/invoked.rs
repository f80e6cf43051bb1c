//! What an invocation comes to, and who asked for it.

use std::sync::Arc;

use stepwire_asl::EventId;

use super::RanRecord;
use crate::executions::ExecutionId;
use crate::integrations::Form;

/// Who asked for an invocation that is an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvokedBy {
    /// A task of an execution.
    Task {
        /// The execution.
        execution: ExecutionId,
        /// Its `TaskScheduled` event.
        scheduled: EventId,
        /// How its output is to look.
        form: Form,
    },
    /// Nobody any more: a pending invocation of this number.
    Event(u64),
    /// An event source mapping: a batch of this number.
    Source(u64),
    /// A statement that asks a function.
    Rule {
        /// The errand that evaluates it.
        errand: u64,
        /// Which of its questions: unique as long as the node runs.
        question: u64,
    },
}

/// The end of an invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Invoked {
    /// HTTP status: 200, or 202 and 204 when nobody waits or nothing ran.
    pub status: u16,
    /// What the function returned, or its error as an object: JSON text. Empty unless it ran.
    pub payload: Arc<str>,
    /// Whether the function failed.
    pub failed: bool,
    /// The end of its log, in base64, if that was wanted.
    pub log: Option<Arc<str>>,
    /// The version that ran; empty when none did.
    pub version: Arc<str>,
}

/// What an invocation wrote and took, for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The task that asked for it, if one did.
    pub task: Option<(ExecutionId, EventId)>,
    /// What is kept of it.
    pub ran: RanRecord,
}
