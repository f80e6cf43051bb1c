//! stepwire: durable workflows for device fleets, in one binary.

pub mod ca;
pub mod config;
pub mod files;
pub mod http_task;
pub mod tls;
