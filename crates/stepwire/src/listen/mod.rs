//! What the node listens to.

pub mod http;
pub mod mqtt;
