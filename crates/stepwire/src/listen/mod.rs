//! What the node listens to.

pub mod codec;
pub mod http;
pub mod mqtt;
