//! What functions cost: warm and cold calls, many at once, and a call by a workflow's step.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::http::{ask, connect, exchange, load, request, request_of};
use crate::median;
use crate::plan::Plan;
use crate::server::Server;

/// Answers at once with what it was given and which process it is.
const ECHO: &str = "export const handler = async (event) => ({ ...event, pid: process.pid });\n";
/// The same after 20 ms, as a function that asks others takes.
const SLOW: &str = "export const handler = async (event) => {
  await new Promise((done) => setTimeout(done, 20));
  return { ...event, pid: process.pid };
};\n";
/// Functions whose first call is measured.
const COLD: usize = 10;
/// Devices that connect at once.
const AT_ONCE: usize = 60;

pub(crate) async fn functions(plan: &Plan) {
    println!("functions (Node.js), {} calls one after the other", plan.calls);
    let server = Server::node();
    let cold = cold(&server).await;
    println!("cold: first call right after CreateFunction, median of {COLD}: {cold:.0} ms");
    create(&server, "echo", ECHO).await;
    exchange(&mut connect(server.address).await, &call("echo", &json!({}))).await;
    println!(
        "{:>6} {:>10} {:>8} {:>8} {:>9} {:>9}",
        "", "per s", "p50 ms", "p99 ms", "CPU us", "bytes"
    );
    let each = |n: usize| call("echo", &json!({"n": n}));
    load(&server, 1, plan.calls / 10, &each).await;
    load(&server, 1, plan.calls, &each).await.print("warm", None);
    let arn = machine(&server).await;
    let start = |n: usize| {
        let body = json!({"stateMachineArn": arn, "input": json!({"n": n}).to_string()});
        request("AWSStepFunctions.StartSyncExecution", &body)
    };
    load(&server, 1, plan.calls / 10, &start).await;
    load(&server, 1, plan.calls, &start).await.print("step", None);
    at_once(&server).await;
}

/// Milliseconds.
async fn cold(server: &Server) -> f64 {
    let mut took = Vec::new();
    for n in 0..COLD {
        let name = format!("cold-{n}");
        create(server, &name, ECHO).await;
        let mut stream = connect(server.address).await;
        let began = Instant::now();
        exchange(&mut stream, &call(&name, &json!({}))).await;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(took)
}

/// As when many devices connect at once, of which each starts an execution that calls a function.
async fn at_once(server: &Server) {
    create(server, "slow", SLOW).await;
    exchange(&mut connect(server.address).await, &call("slow", &json!({}))).await;
    // Whatever else was begun beforehand is done.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let calls = (0..AT_ONCE).map(|n| {
        let address = server.address;
        tokio::spawn(async move {
            exchange(&mut connect(address).await, &call("slow", &json!({"n": n}))).await
        })
    });
    let mut pids = BTreeSet::new();
    for running in calls.collect::<Vec<_>>() {
        let answer = running.await.unwrap();
        pids.insert(answer["pid"].as_u64().expect("the function's answer"));
    }
    let took = began.elapsed().as_secs_f64() * 1e3;
    println!("{AT_ONCE} at once, of 20 ms each: {took:.0} ms, {} processes\n", pids.len());
}

fn call(name: &str, payload: &Value) -> Vec<u8> {
    let path = format!("/2015-03-31/functions/{name}/invocations");
    request_of("lambda", "POST", &path, payload)
}

async fn create(server: &Server, name: &str, code: &str) {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("app.mjs", SimpleFileOptions::default()).unwrap();
    zip.write_all(code.as_bytes()).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let body = json!({"FunctionName": name, "Runtime": "nodejs20.x", "Handler": "app.handler",
        "Role": "arn:aws:iam::000000000000:role/bench", "Timeout": 30,
        "Code": {"ZipFile": base64::engine::general_purpose::STANDARD.encode(zip)}});
    let asked = request_of("lambda", "POST", "/2015-03-31/functions", &body);
    exchange(&mut connect(server.address).await, &asked).await;
}

/// An Express state machine of one step that calls a function.
async fn machine(server: &Server) -> String {
    let definition = json!({"StartAt": "Call", "States": {"Call": {"Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "echo", "Payload.$": "$"},
        "OutputPath": "$.Payload", "End": true}}});
    let body = json!({"name": "calls", "type": "EXPRESS", "definition": definition.to_string(),
        "roleArn": "arn:aws:iam::000000000000:role/bench"});
    let answer = ask(server, "AWSStepFunctions.CreateStateMachine", &body).await;
    answer["stateMachineArn"].as_str().expect("created").to_owned()
}
