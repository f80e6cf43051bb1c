//! What topic rules cost a message: those that do not match, and one that does.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::Message;
use stepwire_core::rules::errands::Errands;
use stepwire_core::rules::{RuleRecord, Rules, Taken, Write};
use tokio::task::JoinSet;

use crate::client::{Client, Door, Life, Packet};
use crate::http::{load, request_to};
use crate::plan::Plan;
use crate::server::{Server, address_in};

const COUNTS: [usize; 3] = [1, 100, 10_000];
/// The only rule that a message of `bench/<n>/hit` matches.
const HIT: &str = "SELECT *, topic(2) AS device FROM 'bench/+/hit' WHERE temperature > 20";
const PAYLOAD: &str =
    r#"{"temperature":21.5,"humidity":40,"unit":"C","at":1700000000,"tags":["a","b"]}"#;

/// What a message meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    Nothing,
    One,
}

impl Meets {
    fn name(self) -> &'static str {
        match self {
            Meets::Nothing => "none match",
            Meets::One => "one matches",
        }
    }

    fn topic(self, at: usize) -> String {
        match self {
            Meets::Nothing => format!("bench/{at}/miss"),
            Meets::One => format!("bench/{at}/hit"),
        }
    }
}

/// The statement of a rule that no message of the bench matches, with filters of four kinds.
fn missed(number: usize) -> String {
    let filter = match number % 4 {
        0 => format!("bench/+/r{number}"),
        1 => format!("bench/{number}/data"),
        2 => format!("site/{number}/#"),
        _ => format!("+/r{number}/hit"),
    };
    format!("SELECT *, topic(2) AS device FROM '{filter}' WHERE temperature > 20")
}

/// The payloads of so many rules, by name.
fn payloads(count: usize) -> impl Iterator<Item = (String, Value)> {
    (0..count).map(|number| {
        let sql = if number == 0 { HIT.to_owned() } else { missed(number) };
        let republish = json!({"roleArn": "arn:aws:iam::000000000000:role/x", "topic": "out/${topic(2)}"});
        let payload = json!({"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [{"republish": republish}]});
        (format!("r{number}"), payload)
    })
}

pub(crate) async fn rules(plan: &Plan) {
    engine(plan);
    node(plan).await;
}

/// The engine alone: from a message to what the rules make of it.
fn engine(plan: &Plan) {
    println!("rules, the engine alone: {} messages, {} bytes", plan.messages, PAYLOAD.len());
    println!("{:>12} {:>12} {:>12}", "rules", "", "ns each");
    for count in COUNTS {
        let mut rules = Rules::default();
        for (name, payload) in payloads(count) {
            let name: Arc<str> = name.into();
            let payload = Json::parse(&payload.to_string()).unwrap();
            let created = Timestamp(0);
            let record = RuleRecord { name: Arc::clone(&name), payload, disabled: false, created };
            rules.apply(&Write::Rule(name, Some(record)));
        }
        for meets in [Meets::Nothing, Meets::One] {
            for _ in 0..plan.rounds {
                let each_ns = run(&rules, meets, plan.messages);
                println!("{count:>12} {:>12} {each_ns:>12.0}", meets.name());
            }
        }
    }
    println!();
}

fn run(rules: &Rules, meets: Meets, messages: usize) -> f64 {
    let settings = Settings::default();
    let topics: Vec<_> = (0..1_000)
        .map(|at| Message::service(meets.topic(at), PAYLOAD, Timestamp(1_700_000_000_000)))
        .collect();
    let (errands, mut out) = (Errands::default(), Taken::default());
    let begin = Instant::now();
    for at in 0..messages {
        let message = &topics[at % topics.len()];
        rules.evaluate(black_box(message), &settings, at as u64, &errands, &mut out).unwrap();
        assert_eq!(out.matched.len(), usize::from(meets == Meets::One));
        out.matched.clear();
    }
    begin.elapsed().as_secs_f64() * 1e9 / messages as f64
}

/// A node: QoS 1 publishers in plain text, and one subscriber to what the rule republishes.
async fn node(plan: &Plan) {
    println!(
        "rules, QoS 1 through a node: {} publishers, window {}, {} bytes, {} messages",
        plan.publishers,
        plan.window,
        PAYLOAD.len(),
        plan.messages
    );
    println!("{:>12} {:>12} {:>10} {:>9} {:>9}", "rules", "", "per s", "CPU us", "bytes");
    for count in COUNTS {
        let server = Server::node();
        let requests: Vec<Vec<u8>> = payloads(count)
            .map(|(name, payload)| request_to("POST", &format!("/rules/{name}"), &payload))
            .collect();
        load(&server, plan.connections.min(count), count, &|at| requests[at].clone()).await;
        let address = address_in(&server.ready, "mqtt://").unwrap();
        let door = Door { address, tls: None };
        for meets in [Meets::Nothing, Meets::One] {
            for round in 0..=plan.rounds {
                // the first warms up
                let messages = if round == 0 { plan.messages / 10 } else { plan.messages };
                let (cpu, bytes) = (server.process.cpu_us(), server.process.bytes_written());
                let begin = Instant::now();
                exchange(&door, plan, meets, messages, round).await;
                let took = begin.elapsed().as_secs_f64();
                let each = |sum: f64| sum / messages as f64;
                let cpu = each(server.process.cpu_us() - cpu);
                let bytes = each((server.process.bytes_written() - bytes) as f64);
                if round > 0 {
                    let (name, rate) = (meets.name(), messages as f64 / took);
                    println!("{count:>12} {name:>12} {rate:>10.0} {cpu:>9.2} {bytes:>9.0}");
                }
            }
        }
    }
    println!();
}

/// Has `messages` published; every one is acknowledged, and delivered if the rule takes it.
async fn exchange(door: &Door, plan: &Plan, meets: Meets, messages: usize, round: usize) {
    let mut tasks = JoinSet::new();
    let behind = Arc::new(AtomicUsize::new(0));
    if meets == Meets::One {
        let id = format!("reader-{round}");
        let mut reader = Client::connect(door, &id, Life::Clean).await.unwrap();
        reader.subscribe("out/+").await.unwrap();
        let behind = Arc::clone(&behind);
        tasks.spawn(async move {
            let mut heard = 0;
            while heard < messages {
                let took = |packet: Packet<'_>| {
                    assert!(matches!(packet, Packet::Publish(_)));
                    heard += 1;
                    behind.fetch_sub(1, Ordering::Relaxed);
                };
                reader.receive(took).await.unwrap();
                reader.flush().await.unwrap();
            }
        });
    }
    for at in 0..plan.publishers {
        let id = format!("publisher-{at}-{round}");
        let publisher = Client::connect(door, &id, Life::Clean).await.unwrap();
        let count = (messages + at) / plan.publishers;
        let (topic, window, behind) = (meets.topic(at), plan.window, Arc::clone(&behind));
        tasks.spawn(speak(publisher, topic, count, window, behind, meets));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

async fn speak(
    mut publisher: Client,
    topic: String,
    count: usize,
    window: usize,
    behind: Arc<AtomicUsize>,
    meets: Meets,
) {
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < count {
        while sent < count && sent - acknowledged < window {
            publisher.publish(&topic, (sent % 65_535) as u16 + 1, PAYLOAD.as_bytes());
            sent += 1;
            if meets == Meets::One {
                behind.fetch_add(1, Ordering::Relaxed);
            }
        }
        publisher.flush().await.unwrap();
        let took = |packet: Packet<'_>| {
            assert!(matches!(packet, Packet::PubAck), "nobody publishes to publishers");
            acknowledged += 1;
        };
        publisher.receive(took).await.unwrap();
        // so that nothing has to be dropped that the reader cannot take
        while behind.load(Ordering::Relaxed) > 5_000 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}
