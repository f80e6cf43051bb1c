//! What the node listens to.

pub mod entrance;
pub mod gate;
pub mod http;
pub mod mqtt;
