//! W2 and W3: what workflows cost.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Figures;
use crate::http::{ask, load, request};
use crate::median;
use crate::plan::Plan;
use crate::server::Server;

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

pub(crate) async fn w2(plan: &Plan) {
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
    println!("median share of the floor: {:.2}\n", median(shares));
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

pub(crate) async fn w3(plan: &Plan) {
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
    let idle = server.process.memory_kib();
    let start = |n: usize| {
        let body = json!({"stateMachineArn": arn, "name": format!("e{n}"), "input": "{\"n\":1}"});
        request("AWSStepFunctions.StartExecution", &body)
    };
    let started = load(&server, plan.connections, plan.waiting, &start).await;
    started.print("start", None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let waiting = server.process.memory_kib();
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
