//! Runs a state machine on virtual time and prints its history, one AWS event a line.
//!
//! `cargo run -p stepwire-asl --example run < '{"definition": "…", "input": "…"}'` reads JSON lines
//! from standard input and answers each with `{"events": […]}` or `{"diagnostics": […]}`. Tasks fail
//! with `States.TaskFailed`; waits and retries take no time.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::io::BufRead;
use std::sync::Arc;

use stepwire_asl::{
    Entropy, Execution, Failure, Json, Start, StateMachine, Status, Stimulus, Timestamp, Turn,
};

fn main() {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer =
            Json::parse(&line).map_or_else(|e| Json::from(e.to_string()), |case| run(&case));
        println!("{answer}");
    }
}

fn run(case: &Json) -> Json {
    let text = |name: &str| case.member(name).and_then(Json::as_str).unwrap_or("{}");
    let machine = match StateMachine::parse(text("definition")) {
        Ok(machine) => Arc::new(machine),
        Err(found) => {
            let found = found
                .iter()
                .map(|d| Json::from(format!("{}: {} at {}", d.code, d.message, d.location)));
            return Json::object([("diagnostics", Json::array(found))]);
        }
    };
    let mut now = Timestamp(1_700_000_000_000);
    let mut entropy = Entropy::new(7);
    let arn = |kind: &str| Arc::from(format!("arn:aws:states:us-east-1:111111111111:{kind}"));
    let start = Start {
        execution_arn: arn("execution:machine:name"),
        name: "name".into(),
        state_machine_arn: arn("stateMachine:machine"),
        state_machine_name: "machine".into(),
        role_arn: "snf_role_arn".into(),
        input: text("input").into(),
    };
    let token = |id| format!("token-{id}");
    let mut turn = Turn { now, entropy: &mut entropy, token: &token };
    let (mut execution, mut decision) = Execution::start(Arc::clone(&machine), start, &mut turn);
    let mut events = Vec::new();
    loop {
        events.append(&mut decision.events);
        let replayed = Execution::replay(Arc::clone(&machine), events.clone());
        assert_eq!(replayed.as_ref(), Ok(&execution), "the history is not the execution");
        if *execution.status() != Status::Running {
            break;
        }
        let stimulus = match decision.tasks.first() {
            Some(task) => Stimulus::TaskReturned {
                scheduled: task.scheduled,
                result: Err(Failure::new("States.TaskFailed", "no services here")),
            },
            None => match execution.due() {
                Some(due) => {
                    now = now.max(due);
                    Stimulus::Timer
                }
                None => break,
            },
        };
        let tasks = decision.tasks.split_off(usize::from(!decision.tasks.is_empty()));
        let mut turn = Turn { now, entropy: &mut entropy, token: &token };
        match execution.step(stimulus, &mut turn) {
            Ok(next) => decision = next,
            Err(rejected) => return Json::from(rejected.to_string()),
        }
        decision.tasks.extend(tasks);
    }
    let public = events.iter().filter(|event| event.id > 0);
    Json::object([("events", Json::array(public.map(|event| event.to_aws(true))))])
}
