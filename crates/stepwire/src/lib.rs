//! stepwire: durable workflows for device fleets, in one binary.

pub mod access_key;
pub mod ca;
pub mod config;
pub mod files;
pub mod http_task;
pub mod node_error;
pub mod node_file;
pub mod observe;
pub mod port_holder;
pub mod tls;
