//! stepwire: durable workflows for device fleets, in one binary.

pub mod ca;
pub mod files;
pub mod tls;
