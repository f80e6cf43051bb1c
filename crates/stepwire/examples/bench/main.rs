//! Measures a node with fsync on, beside the floor of the machine it runs on and beside mosquitto.
//!
//! ```text
//! ./x bench [w2|w3]                             workflows
//! ./x bench idle|fan-in|fan-out|storm           devices
//! ./x bench rules                               topic rules
//! ./x bench functions                           functions in Node.js
//! ./x bench                                     all of them
//! ```
//!
//! W2: StartExecution of a ten-state Pass/Choice chain, closed loop. W3: executions that hand out a
//! task token and wait; all are then completed. The *floor* is the same HTTP server and the same
//! store without an engine: parse the request, commit a 1.5 KB record in a group, answer.
//!
//! `idle`: connections over mutual TLS with one subscription each, and the memory they take.
//! `rules`: messages beside 1, 100 and 10,000 topic rules, none or one of which matches: the engine
//! alone, and QoS 1 publishers through a node.
//! `functions`: a warm call, its first call, a call by a step of an Express workflow (StartSyncExecution),
//! and sixty at once, with the processes that they were run by.
//! `fan-in`: QoS 1 publishers to one subscriber. `fan-out`: one QoS 1 publisher to many subscribers.
//! `storm`: devices that all connect over mutual TLS at once, beside bare handshakes with the same
//! TLS configuration. See `devices`, `messages` and [`Plan`] for their options.
//!
//! What is compared runs in alternation, each in a process of its own with an empty folder, and this
//! process makes the load; CPU is user plus system time of the measured process, memory is its
//! proportional set size, bytes are what it handed to the block device.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench says what it measured and stops at the first surprise"
)]

mod broker;
mod client;
mod devices;
mod fleet;
mod floor;
mod functions;
mod handshakes;
mod http;
mod messages;
mod plan;
mod rules;
mod server;
mod workflows;

use plan::Plan;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.first().map(String::as_str) {
        Some("floor-server") => runtime.block_on(floor::serve(&arguments[1])),
        Some("handshake-server") => runtime.block_on(handshakes::serve(&arguments[1])),
        _ => runtime.block_on(bench(&Plan::parse(&arguments))),
    }
}

async fn bench(plan: &Plan) {
    if plan.wants("w2") {
        workflows::w2(plan).await;
    }
    if plan.wants("w3") {
        workflows::w3(plan).await;
    }
    if plan.wants("idle") {
        devices::idle(plan).await;
    }
    if plan.wants("fan-in") {
        messages::fan_in(plan).await;
    }
    if plan.wants("fan-out") {
        messages::fan_out(plan).await;
    }
    if plan.wants("rules") {
        rules::rules(plan).await;
    }
    if plan.wants("functions") {
        functions::functions(plan).await;
    }
    if plan.wants("storm") {
        devices::storm(plan).await;
    }
}

/// The middle one of some figures; of an even number the upper of the two.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
