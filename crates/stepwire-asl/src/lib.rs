//! Amazon States Language: definitions, and the interpreter that runs them.
//!
//! This crate performs no I/O, reads no clock and draws no random numbers. Everything it needs
//! arrives as an argument; everything it wants done leaves as a [`Command`].
//!
//! Read in this order: [`StateMachine`], [`HistoryEvent`], [`Execution`], [`Execution::step`].

pub mod advice;
pub mod compare;
pub mod definition;
pub mod diagnostic;
pub mod entropy;
pub mod execution;
pub mod history;
pub mod intrinsic;
pub mod json;
pub mod jsonata;
pub mod path;
pub mod scope;
pub mod source;
pub mod template;
pub mod time;

/// What the interpreter does with a history. Grows when a change would continue a history that an
/// older one began otherwise than the older one would have.
pub const REVISION: u16 = 1;

pub use definition::SingleState;
pub use definition::StateMachine;
pub use diagnostic::{Diagnostic, Severity, Topic};
pub use entropy::Entropy;
pub use execution::{Decision, Execution, Limits, Rejected, Start, Status, Stimulus, Task, Turn};
pub use history::{EventId, HistoryEvent, Kind, Trouble};
pub use json::Json;
pub use scope::Failure;
pub use time::Timestamp;
