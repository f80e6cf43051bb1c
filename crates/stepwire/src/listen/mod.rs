//! What the node listens to.
//!
//! A connection is let in by the [`entrance`], whose rules are the [`gate`]'s. Its [`port`] finds
//! out what is spoken on it, by its first bytes and for TLS by what the client offers, and hands it
//! to [`mqtt`] or [`http`]; MQTT over WebSocket comes by way of HTTP.

pub(crate) mod choice;
pub mod entrance;
pub mod gate;
pub mod http;
pub mod mqtt;
mod newcomer;
pub(crate) mod port;
mod spoken;
mod stream;
mod websocket;
