//! The stepwire kernel: everything that is decided, and nothing that is done.
//!
//! This crate performs no I/O, reads no clock and draws no random numbers. State is the fold of
//! [`Write`]s; [`Kernel::step`] decides, the shell makes the writes durable, and only then acts.
//!
//! Read in this order: [`Kernel::step`], [`Input`], [`Write`], [`Effect`], [`pipeline`], then one
//! module.

mod acts;
pub mod alarms;
mod announce;
pub mod answers;
mod asking;
pub mod broker;
mod deliver;
pub mod effect;
pub mod error;
pub mod events;
pub mod executions;
pub mod functions;
mod hex;
pub mod iam;
pub mod input;
pub mod integrations;
pub mod jobs;
mod kernel;
pub mod logs;
pub mod message;
pub mod metrics;
pub mod mocks;
mod monitoring;
pub mod mqtt;
pub mod objects;
pub mod overlay;
pub mod parameters;
mod params;
pub mod pipeline;
mod publish;
pub mod queues;
pub mod quotas;
pub mod rate;
pub mod read;
pub mod record;
pub mod registry;
pub mod request;
pub mod rules;
pub mod scheduler;
pub mod secrets;
pub mod settings;
pub mod shadows;
mod shape;
pub mod stacks;
pub mod tables;
pub mod test_state;
pub mod topics;
mod workers;
mod write;

pub use effect::Effect;
pub use error::ApiError;
pub use input::{Input, ReplyId};
pub use kernel::{Kernel, Step};
pub use message::{Message, Origin};
pub use quotas::{Quota, Quotas};
pub use read::Read;
pub use record::Corrupt;
pub use request::{Request, Service};
pub use settings::Settings;
pub use write::Write;
