//! What a running node lets its own process watch: durable facts, as they happen.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::Timestamp;

/// A fact that has become durable. Sent in the order of commits.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// A device's session began.
    Connected {
        /// MQTT client id.
        client_id: Arc<str>,
        /// The session, as in presence events.
        session: Arc<str>,
        /// When its CONNECT was taken.
        at: Timestamp,
    },
    /// A device's session ended.
    Disconnected {
        /// MQTT client id.
        client_id: Arc<str>,
        /// The session, as in presence events.
        session: Arc<str>,
        /// When it ended.
        at: Timestamp,
    },
    /// A message from the service side was handed to the broker's subscribers; messages on
    /// reserved topics are left out.
    Published {
        /// Topic.
        topic: Arc<str>,
        /// Payload.
        payload: Bytes,
        /// When it left.
        at: Timestamp,
    },
    /// An execution began.
    ExecutionStarted {
        /// ARN.
        execution: Arc<str>,
        /// Its input.
        input: Arc<str>,
        /// When that was durable.
        at: Timestamp,
    },
    /// A task failed and will be tried again.
    TaskRetried {
        /// ARN of the execution.
        execution: Arc<str>,
        /// The error that is retried.
        error: Arc<str>,
        /// When that was durable.
        at: Timestamp,
    },
    /// An execution ended.
    ExecutionEnded {
        /// ARN.
        execution: Arc<str>,
        /// How: `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
        status: Arc<str>,
        /// The error, if it names one.
        error: Option<Arc<str>>,
        /// When that was durable.
        at: Timestamp,
    },
}
