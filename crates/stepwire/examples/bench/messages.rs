//! Fan-in and fan-out: what a QoS 1 message costs a broker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::broker::{Broker, Kind};
use crate::client::{Client, Door, Life, Packet};
use crate::fleet::Ca;
use crate::median;
use crate::plan::Plan;
use crate::server::Process;

/// Messages that may be on their way to each subscriber: publishers pause while there are more, so
/// that no broker has to drop what a subscriber cannot take.
const BEHIND_MAX: usize = 5_000;

/// Publishers with a topic each, one subscriber to all of them.
pub(crate) async fn fan_in(plan: &Plan) {
    println!(
        "fan-in, QoS 1: {} publishers, window {}, 1 subscriber, {} bytes, {} messages{}",
        plan.publishers,
        plan.window,
        plan.bytes,
        plan.messages,
        settings(plan)
    );
    compare(plan, Shape { publishers: plan.publishers, subscribers: 1, each: plan.messages }).await;
}

/// One publisher, and subscribers who all get what it says.
pub(crate) async fn fan_out(plan: &Plan) {
    let each = plan.messages / plan.subscribers;
    println!(
        "fan-out, QoS 1: 1 publisher, window {}, {} subscribers, {} bytes, {} deliveries{}",
        plan.window,
        plan.subscribers,
        plan.bytes,
        each * plan.subscribers,
        settings(plan)
    );
    compare(plan, Shape { publishers: 1, subscribers: plan.subscribers, each }).await;
}

fn settings(plan: &Plan) -> String {
    let tls = if plan.tls { ", mutual TLS" } else { "" };
    let durable = if plan.durable { ", durable sessions" } else { "" };
    format!("{tls}{durable}")
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    publishers: usize,
    subscribers: usize,
    /// Messages that each subscriber gets.
    each: usize,
}

/// What a round came to, for each delivered message.
struct Figures {
    rate: f64,
    cpu_us: f64,
    bytes: f64,
    load_us: f64,
}

async fn compare(plan: &Plan, shape: Shape) {
    let (kinds, ca) = (Kind::all(plan), Ca::of(plan));
    println!("{:>10} {:>10} {:>9} {:>9} {:>9}", "", "per s", "CPU us", "bytes", "load us");
    let mut rates = vec![Vec::new(); kinds.len()];
    for _ in 0..plan.rounds {
        for (kind, rates) in kinds.iter().zip(&mut rates) {
            let broker = kind.start(plan, ca.path()).await;
            let Figures { rate, cpu_us, bytes, load_us } =
                round(&broker, plan, shape, ca.path()).await;
            let name = kind.name();
            println!("{name:>10} {rate:>10.0} {cpu_us:>9.2} {bytes:>9.0} {load_us:>9.2}");
            rates.push(rate);
        }
    }
    if let [ours, theirs] = rates.as_slice() {
        let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
        println!("median ratio of the rounds: {:.2}", median(ratios.collect()));
    }
    println!();
}

async fn round(broker: &Broker, plan: &Plan, shape: Shape, ca: &Path) -> Figures {
    let doors = broker.doors(plan, ca, shape.publishers + shape.subscribers).await;
    let (publishers, subscribers) = doors.split_at(shape.publishers);
    let mut crowd = Crowd::gather(publishers, subscribers, plan).await;
    crowd.exchange(plan, shape.each / 10).await;
    let before = Spent::of(broker.process);
    let begin = Instant::now();
    crowd.exchange(plan, shape.each).await;
    let took = begin.elapsed();
    let spent = Spent::of(broker.process);
    let each = |sum: f64| sum / (shape.each * shape.subscribers) as f64;
    Figures {
        rate: 1.0 / each(took.as_secs_f64()),
        cpu_us: each(spent.cpu_us - before.cpu_us),
        bytes: each((spent.bytes - before.bytes) as f64),
        load_us: each(spent.load_us - before.load_us),
    }
}

/// What the broker and this process have used so far.
struct Spent {
    cpu_us: f64,
    bytes: u64,
    load_us: f64,
}

impl Spent {
    fn of(broker: Option<Process>) -> Spent {
        Spent {
            cpu_us: broker.map_or(0.0, Process::cpu_us),
            bytes: broker.map_or(0, Process::bytes_written),
            load_us: Process(std::process::id()).cpu_us(),
        }
    }
}

/// Connected clients.
struct Crowd {
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    /// Messages that were published and not yet delivered, counted for each subscriber.
    behind: Arc<AtomicUsize>,
}

struct Publisher {
    client: Client,
    topic: String,
    number: u32,
    sent: u32,
}

struct Subscriber {
    client: Client,
    /// Messages so far, of each publisher.
    heard: Vec<u32>,
}

impl Crowd {
    async fn gather(publishers: &[Door], subscribers: &[Door], plan: &Plan) -> Crowd {
        let mut crowd =
            Crowd { publishers: Vec::new(), subscribers: Vec::new(), behind: Arc::default() };
        let life = if plan.durable { Life::Durable } else { Life::Clean };
        for (at, door) in subscribers.iter().enumerate() {
            let mut client =
                Client::connect(door, &format!("subscriber-{at}"), life).await.unwrap();
            client.subscribe("bench/+/data").await.unwrap();
            crowd.subscribers.push(Subscriber { client, heard: vec![0; publishers.len()] });
        }
        for (at, door) in publishers.iter().enumerate() {
            let id = format!("publisher-{at}");
            let client = Client::connect(door, &id, Life::Clean).await.unwrap();
            let topic = format!("bench/{at}/data");
            crowd.publishers.push(Publisher { client, topic, number: at as u32, sent: 0 });
        }
        crowd
    }

    /// Has `count` messages published and waits until every one is acknowledged and delivered.
    async fn exchange(&mut self, plan: &Plan, count: usize) {
        let (among, hearers) = (self.publishers.len(), self.subscribers.len());
        let (mut speaking, mut listening) = (JoinSet::new(), JoinSet::new());
        for mut subscriber in self.subscribers.drain(..) {
            let behind = Arc::clone(&self.behind);
            listening.spawn(async move {
                subscriber.listen(count, &behind).await;
                subscriber
            });
        }
        let (window, bytes) = (plan.window, plan.bytes);
        for (at, mut publisher) in self.publishers.drain(..).enumerate() {
            let mine = (count + at) / among;
            let pace = Pace { window, behind: Arc::clone(&self.behind), hearers };
            speaking.spawn(async move {
                publisher.speak(mine, bytes, &pace).await;
                publisher
            });
        }
        self.publishers = speaking.join_all().await;
        self.subscribers = listening.join_all().await;
    }
}

/// How fast publishers may be.
struct Pace {
    window: usize,
    behind: Arc<AtomicUsize>,
    hearers: usize,
}

impl Pace {
    /// Waits while subscribers are too far behind.
    async fn keep(&self) {
        while self.behind.load(Ordering::Relaxed) > BEHIND_MAX * self.hearers {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Publisher {
    async fn speak(&mut self, count: usize, bytes: usize, pace: &Pace) {
        let mut payload = vec![b'.'; bytes.max(8)];
        payload[..4].copy_from_slice(&self.number.to_be_bytes());
        let (mut sent, mut acknowledged) = (0, 0);
        while acknowledged < count {
            while sent < count && sent - acknowledged < pace.window {
                payload[4..8].copy_from_slice(&self.sent.to_be_bytes());
                let packet_id = (self.sent % 65_535) as u16 + 1;
                self.client.publish(&self.topic, packet_id, &payload);
                self.sent += 1;
                sent += 1;
                pace.behind.fetch_add(pace.hearers, Ordering::Relaxed);
            }
            self.client.flush().await.unwrap();
            let took = |packet: Packet<'_>| match packet {
                Packet::PubAck => acknowledged += 1,
                Packet::Publish(_) => panic!("nobody publishes to publishers"),
            };
            self.client.receive(took).await.unwrap();
            pace.keep().await;
        }
    }
}

impl Subscriber {
    /// Takes `count` messages: each publisher's in order, none missing, none twice.
    async fn listen(&mut self, count: usize, behind: &AtomicUsize) {
        let mut taken = 0;
        while taken < count {
            let (heard, before) = (&mut self.heard, taken);
            let took = |packet: Packet<'_>| {
                let Packet::Publish(received) = packet else { panic!("nothing was published") };
                let number = |at: usize| {
                    u32::from_be_bytes(received.payload[at..at + 4].try_into().unwrap())
                };
                let count = &mut heard[number(0) as usize];
                assert_eq!(*count, number(4), "in order, none missing, none twice");
                *count += 1;
                taken += 1;
            };
            self.client.receive(took).await.unwrap();
            behind.fetch_sub(taken - before, Ordering::Relaxed);
            self.client.flush().await.unwrap();
        }
    }
}
