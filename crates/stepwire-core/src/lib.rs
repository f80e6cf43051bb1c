//! The stepwire kernel: everything that is decided, and nothing that is done.
//!
//! This crate performs no I/O, reads no clock and draws no random numbers. State is the fold of
//! [`Write`]s; [`Kernel::step`] decides, the shell makes the writes durable, and only then acts.
//!
//! Read in this order: [`Kernel::step`], [`Input`], [`Write`], [`Effect`], then one module.

pub mod broker;
pub mod error;
pub mod message;
pub mod mqtt;
pub mod params;
pub mod read;
pub mod record;
pub mod registry;
pub mod rules;
pub mod settings;
pub mod tables;

pub use error::ApiError;
pub use message::{Message, Origin};
pub use read::Read;
pub use settings::Settings;
