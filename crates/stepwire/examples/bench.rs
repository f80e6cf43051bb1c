//! Measures a node with fsync on, beside the floor of the machine it runs on.
//!
//! `./x bench [w2|w3|all] [--connections 64] [--executions 20000] [--rounds 5] [--waiting 100000]`
//!
//! W2: StartExecution of a ten-state Pass/Choice chain, closed loop. W3: executions that hand out a
//! task token and wait; all are then completed. The *floor* is the same HTTP server and the same
//! store without an engine: parse the request, commit a 1.5 KB record in a group, answer. Node and
//! floor run in alternation, each in a process of its own with an empty folder; CPU is user plus
//! system time of that process, bytes are what it handed to the block device.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench says what it measured and stops at the first surprise"
)]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.first().map(String::as_str) {
        Some("floor-server") => runtime.block_on(floor::serve(&arguments[1])),
        _ => runtime.block_on(bench(&Plan::parse(&arguments))),
    }
}

struct Plan {
    what: String,
    connections: usize,
    executions: usize,
    rounds: usize,
    waiting: usize,
}

impl Plan {
    fn parse(arguments: &[String]) -> Plan {
        let number = |name: &str, default: usize| {
            let at = arguments.iter().position(|argument| argument == name);
            at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
        };
        Plan {
            what: arguments
                .first()
                .filter(|a| !a.starts_with('-'))
                .cloned()
                .unwrap_or_else(|| "all".into()),
            connections: number("--connections", 64),
            executions: number("--executions", 20_000),
            rounds: number("--rounds", 5),
            waiting: number("--waiting", 100_000),
        }
    }
}

async fn bench(plan: &Plan) {
    if plan.what != "w3" {
        w2(plan).await;
    }
    if plan.what != "w2" {
        w3(plan).await;
    }
}

/// Ten states, eight of them Pass, each adding a field; two Choices.
fn chain() -> Value {
    let pass = |n: usize, next: &str| json!({"Type": "Pass", "Result": n, "ResultPath": format!("$.f{n}"), "Next": next});
    let choice = |next: &str| {
        json!({"Type": "Choice", "Default": next,
               "Choices": [{"Variable": "$.f1", "NumericEquals": -1, "Next": next}]})
    };
    json!({"StartAt": "P1", "States": {
        "P1": pass(1, "P2"), "P2": pass(2, "P3"), "P3": pass(3, "P4"), "P4": pass(4, "C1"),
        "C1": choice("P5"), "P5": pass(5, "P6"), "P6": pass(6, "P7"), "P7": pass(7, "C2"),
        "C2": choice("P8"),
        "P8": {"Type": "Pass", "Result": 8, "ResultPath": "$.f8", "End": true}}})
}

async fn w2(plan: &Plan) {
    println!(
        "W2 ten-state chain, {} connections, {} executions a round",
        plan.connections, plan.executions
    );
    println!(
        "{:>6} {:>10} {:>8} {:>8} {:>9} {:>9} {:>7}",
        "", "per s", "p50 ms", "p99 ms", "CPU us", "bytes", "share"
    );
    let mut shares = Vec::new();
    for _ in 0..plan.rounds {
        let floor = floor_round(plan).await;
        let node = w2_round(plan).await;
        let share = node.rate / floor.rate;
        floor.print("floor", None);
        node.print("node", Some(share));
        shares.push(share);
    }
    shares.sort_by(f64::total_cmp);
    println!("median share of the floor: {:.2}\n", shares[shares.len() / 2]);
}

async fn w2_round(plan: &Plan) -> Figures {
    let server = Server::node();
    let arn = create(&server, "chain", &chain()).await;
    let body = json!({"stateMachineArn": arn, "input": "{\"device\":\"gw-0001\",\"n\":1}"});
    let start = request("AWSStepFunctions.StartExecution", &body);
    load(&server, plan.connections, plan.executions / 10, &|_| start.clone()).await;
    let figures = load(&server, plan.connections, plan.executions, &|_| start.clone()).await;
    let done = count(&server, &arn, "SUCCEEDED").await;
    assert_eq!(done, plan.executions + plan.executions / 10, "not all executions succeeded");
    figures
}

async fn floor_round(plan: &Plan) -> Figures {
    let server = Server::floor();
    let body = json!({"stateMachineArn": "a", "input": "{\"device\":\"gw-0001\",\"n\":1}"});
    let start = request("AWSStepFunctions.StartExecution", &body);
    load(&server, plan.connections, plan.executions / 10, &|_| start.clone()).await;
    load(&server, plan.connections, plan.executions, &|_| start.clone()).await
}

async fn w3(plan: &Plan) {
    println!("W3 callback, {} connections, {} waiting", plan.connections, plan.waiting);
    let server = Server::node();
    let table = json!({"TableName": "Tokens", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]});
    ask(&server, "DynamoDB_20120810.CreateTable", &table).await;
    let machine = json!({"StartAt": "W", "States": {"W": {"Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
        "Parameters": {"TableName": "Tokens", "Item": {
            "id": {"S.$": "$$.Execution.Name"}, "token": {"S.$": "$$.Task.Token"}}},
        "End": true}}});
    let arn = create(&server, "callback", &machine).await;
    let idle = server.memory_kib();
    let start = |n: usize| {
        let body = json!({"stateMachineArn": arn, "name": format!("e{n}"), "input": "{\"n\":1}"});
        request("AWSStepFunctions.StartExecution", &body)
    };
    let started = load(&server, plan.connections, plan.waiting, &start).await;
    started.print("start", None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let waiting = server.memory_kib();
    println!(
        "memory: {} MB idle, {} MB with {} waiting ({} bytes each)",
        idle / 1024,
        waiting / 1024,
        plan.waiting,
        waiting.saturating_sub(idle) * 1024 / plan.waiting as u64
    );
    let tokens = Arc::new(tokens(&server).await);
    assert_eq!(tokens.len(), plan.waiting, "a token for each");
    let complete = |n: usize| {
        let body = json!({"taskToken": tokens[n], "output": "{\"ok\":true}"});
        request("AWSStepFunctions.SendTaskSuccess", &body)
    };
    let completed = load(&server, plan.connections, plan.waiting, &complete).await;
    completed.print("done", None);
    println!("CPU of a round: {:.0} us", started.cpu_us + completed.cpu_us);
    assert_eq!(count(&server, &arn, "SUCCEEDED").await, plan.waiting);
}

async fn tokens(server: &Server) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut from = Value::Null;
    loop {
        let mut scan = json!({"TableName": "Tokens"});
        if !from.is_null() {
            scan["ExclusiveStartKey"] = from;
        }
        let page = ask(server, "DynamoDB_20120810.Scan", &scan).await;
        let items = page["Items"].as_array().unwrap();
        tokens.extend(items.iter().map(|item| item["token"]["S"].as_str().unwrap().to_owned()));
        from = page["LastEvaluatedKey"].clone();
        if from.is_null() {
            return tokens;
        }
    }
}

async fn create(server: &Server, name: &str, definition: &Value) -> String {
    let body = json!({"name": name, "definition": definition.to_string(),
                      "roleArn": "arn:aws:iam::000000000000:role/bench"});
    let answer = ask(server, "AWSStepFunctions.CreateStateMachine", &body).await;
    answer["stateMachineArn"].as_str().expect("created").to_owned()
}

async fn count(server: &Server, arn: &str, status: &str) -> usize {
    let (mut found, mut token) = (0, Value::Null);
    loop {
        let mut list = json!({"stateMachineArn": arn, "statusFilter": status, "maxResults": 1000});
        if !token.is_null() {
            list["nextToken"] = token;
        }
        let page = ask(server, "AWSStepFunctions.ListExecutions", &list).await;
        found += page["executions"].as_array().unwrap().len();
        token = page["nextToken"].clone();
        if token.is_null() {
            return found;
        }
    }
}

struct Figures {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us: f64,
    bytes: f64,
}

impl Figures {
    fn print(&self, what: &str, share: Option<f64>) {
        let share = share.map_or(String::new(), |share| format!("{share:.2}"));
        println!(
            "{what:>6} {:>10.0} {:>8.2} {:>8.2} {:>9.1} {:>9.0} {share:>7}",
            self.rate, self.p50_ms, self.p99_ms, self.cpu_us, self.bytes
        );
    }
}

/// Sends `total` requests over `connections`, each waiting for its answer.
async fn load(
    server: &Server,
    connections: usize,
    total: usize,
    request: &(dyn Fn(usize) -> Vec<u8> + Sync),
) -> Figures {
    let requests: Vec<Vec<u8>> = (0..total).map(request).collect();
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let (cpu, bytes) = (server.cpu(), server.bytes_written());
    let begin = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (next, requests, address) = (Arc::clone(&next), Arc::clone(&requests), server.address);
        tasks.push(tokio::spawn(async move {
            let mut stream = connect(address).await;
            let (mut times, mut buffer) = (Vec::new(), Vec::new());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= requests.len() {
                    return times;
                }
                let sent = Instant::now();
                stream.write_all(&requests[at]).await.unwrap();
                let (status, body) = answer(&mut stream, &mut buffer).await;
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                times.push(sent.elapsed());
            }
        }));
    }
    let mut times = Vec::with_capacity(total);
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let took = begin.elapsed();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let each = |sum: f64| sum / total as f64;
    Figures {
        rate: total as f64 / took.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        cpu_us: each(server.cpu().saturating_sub(cpu).as_secs_f64() * 1e6),
        bytes: each((server.bytes_written() - bytes) as f64),
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn ask(server: &Server, target: &str, body: &Value) -> Value {
    let mut stream = connect(server.address).await;
    stream.write_all(&request(target, body)).await.unwrap();
    let (status, body) = answer(&mut stream, &mut Vec::new()).await;
    assert_eq!(status, 200, "{target}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

fn request(target: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let service = if target.starts_with("Dynamo") { "dynamodb" } else { "states" };
    let signature = "0".repeat(64);
    format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.0\r\n\
         X-Amz-Target: {target}\r\nX-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIABENCH/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one answer: status and body.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> (u16, Vec<u8>) {
    loop {
        if let Some(end) = buffer.windows(4).position(|run| run == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let status = head[9..12].parse().unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return (status, body);
            }
        }
        assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "the server hung up");
    }
}

/// A server process with a folder of its own.
struct Server {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    fn node() -> Server {
        let folder = tempfile::tempdir_in(".").unwrap();
        let this = std::env::current_exe().unwrap();
        let node = this.ancestors().nth(2).unwrap().join("stepwire");
        let mut command = Command::new(node);
        command.args(["serve", "--http", "127.0.0.1:0", "--mqtts", "127.0.0.1:0", "--data"]);
        command.arg(folder.path().join("data"));
        Server::start(command, folder)
    }

    fn floor() -> Server {
        let folder = tempfile::tempdir_in(".").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("floor-server").arg(folder.path().join("data"));
        Server::start(command, folder)
    }

    /// Starts it and waits for the line that names its HTTP address.
    fn start(mut command: Command, folder: tempfile::TempDir) -> Server {
        let mut process =
            command.stdout(Stdio::piped()).spawn().expect("cargo build --release first");
        let lines =
            std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("http://").nth(1).map(address_at))
            .expect("the server says where it listens");
        Server { process, address, _folder: folder }
    }

    /// User and system time of the process so far.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn bytes_written(&self) -> u64 {
        self.number("io", "write_bytes:")
    }

    /// Proportional set size.
    fn memory_kib(&self) -> u64 {
        self.number("smaps_rollup", "Pss:")
    }

    fn number(&self, file: &str, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn address_at(text: &str) -> SocketAddr {
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(text.len());
    text[..end].parse().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same HTTP server and store as the node's, without an engine.
mod floor {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::routing::post;
    use stepwire_store::embedded::Embedded;
    use stepwire_store::{Batch, Fence, Store};
    use tokio::sync::{mpsc, oneshot};

    type Record = (Vec<u8>, oneshot::Sender<()>);

    pub(crate) async fn serve(folder: &str) {
        let store = Embedded::open(folder.as_ref()).unwrap();
        let (records, queue) = mpsc::channel::<Record>(4096);
        std::thread::spawn(move || commit(&store, queue));
        let app = Router::new().route("/", post(take)).with_state(Arc::new(records));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("floor http://{}", listener.local_addr().unwrap());
        axum::serve(listener, app).await.unwrap();
    }

    async fn take(State(records): State<Arc<mpsc::Sender<Record>>>, body: Bytes) -> String {
        let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(request["input"].is_string());
        let mut record = body.to_vec();
        record.resize(1_500, 7);
        let (done, durable) = oneshot::channel();
        records.send((record, done)).await.unwrap();
        durable.await.unwrap();
        serde_json::json!({"executionArn": "x", "startDate": 1.5}).to_string()
    }

    fn commit(store: &dyn Store, mut queue: mpsc::Receiver<Record>) {
        let mut number = 0_u64;
        let mut records = Vec::new();
        while queue.blocking_recv_many(&mut records, 1024) > 0 {
            let (mut entries, mut waiting) = (Vec::new(), Vec::new());
            for (record, done) in records.drain(..) {
                number += 1;
                entries.push((number.to_be_bytes().to_vec(), Some(record)));
                waiting.push(done);
            }
            store.commit(Batch { entries }, Fence(0)).unwrap();
            for done in waiting {
                // a client that has gone away does not want its answer
                let _ = done.send(());
            }
        }
    }
}
