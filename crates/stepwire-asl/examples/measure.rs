//! What the interpreter costs: a ten-state Pass and Choice chain, start to end.
//!
//! `cargo run --release -p stepwire-asl --example measure [EXECUTIONS]`

#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::sync::Arc;
use std::time::Instant;

use stepwire_asl::history::{decode_chunk, encode_chunk};
use stepwire_asl::{Entropy, Execution, HistoryEvent, Start, StateMachine, Timestamp, Turn};

const CHAIN: &str = r#"{"StartAt": "S0", "States": {
  "S0": {"Type": "Pass", "Next": "S1"},
  "S1": {"Type": "Pass", "Parameters": {"id.$": "$.id", "n.$": "$.n"}, "ResultPath": "$.made", "Next": "S2"},
  "S2": {"Type": "Choice", "Default": "S9", "Choices": [{"And": [
    {"Variable": "$.n", "IsPresent": true}, {"Variable": "$.n", "NumericGreaterThan": 1}], "Next": "S3"}]},
  "S3": {"Type": "Pass", "Result": {"status": "ok"}, "ResultPath": "$.result", "Next": "S4"},
  "S4": {"Type": "Pass", "Next": "S5"},
  "S5": {"Type": "Choice", "Choices": [{"Variable": "$.result.status", "StringEquals": "ok", "Next": "S6"}]},
  "S6": {"Type": "Pass", "InputPath": "$.made", "ResultPath": "$.copy", "Next": "S7"},
  "S7": {"Type": "Pass", "Parameters": {"text.$": "States.Format('{}-{}', $.id, $.n)"}, "ResultPath": "$.text", "Next": "S8"},
  "S8": {"Type": "Pass", "OutputPath": "$.text", "Next": "S9"},
  "S9": {"Type": "Succeed"}}}"#;
const INPUT: &str =
    r#"{"id": "device-000017", "n": 7, "payload": {"a": [1, 2, 3], "b": "some text"}}"#;

fn main() {
    let executions: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let machine = Arc::new(StateMachine::parse(CHAIN).expect("a machine"));
    let each = |what: &str, work: &mut dyn FnMut()| {
        (0..executions / 10).for_each(|_| work());
        let begun = Instant::now();
        (0..executions).for_each(|_| work());
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(executions);
        println!("{what:<28} {each:>7.2} µs per execution");
    };
    let events = run(&machine);
    let stored = encode_chunk(&events);
    println!("{} events, {} bytes stored", events.len(), stored.len());
    each("interpreting", &mut || drop(run(&machine)));
    each("storing", &mut || drop(encode_chunk(&events)));
    each("reading back", &mut || drop(decode_chunk(&stored)));
    each("replaying", &mut || {
        drop(Execution::replay(Arc::clone(&machine), events.iter().cloned()));
    });
}

fn run(machine: &Arc<StateMachine>) -> Vec<HistoryEvent> {
    let mut entropy = Entropy::new(1);
    let token = |id| format!("token-{id}");
    let mut turn = Turn {
        now: Timestamp(1_700_000_000_000),
        entropy: &mut entropy,
        token: &token,
        activity: &|_| true,
    };
    let start = Start {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:machine:name".into(),
        role_arn: "arn:aws:iam::123456789012:role/role".into(),
        input: INPUT.into(),
    };
    Execution::start(Arc::clone(machine), start, &mut turn).1.events
}
