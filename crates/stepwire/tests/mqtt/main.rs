//! MQTT from the outside: a real client library, and raw sockets, against a real process.

#![expect(clippy::unwrap_used, reason = "tests")]

mod client;
mod malformed;
mod policy;
mod presence;
#[path = "../server/mod.rs"]
mod server;
mod sessions;
mod wire;

use server::Server;

/// A node in memory that lets everybody in over plain MQTT.
fn open_server() -> Server {
    Server::start(&["--memory", "--mqtt", "0", "--allow-anonymous"])
}

/// A node that keeps its data in `folder` and lets everybody in over plain MQTT.
fn durable_server(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().to_str().unwrap();
    Server::start(&["--data", data, "--mqtt", "0", "--allow-anonymous"])
}
