//! Step Functions requests against a kernel and a disk that outlives it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod activities;
mod nested;
mod node;
