//! Many devices: what it costs to have them, and to have them all come at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use crate::broker::{Broker, Kind};
use crate::client::{Client, Door, Life};
use crate::fleet::{Ca, Fleet};
use crate::median;
use crate::plan::Plan;
use crate::server::{Process, Server};

/// How long memory may settle, and how long idleness is measured.
const QUIET: Duration = Duration::from_secs(10);

/// Connections over mutual TLS with one subscription each, and nothing else.
pub(crate) async fn idle(plan: &Plan) {
    println!("idle: {} connections over mutual TLS, one subscription each", plan.devices);
    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9} {:>12} {:>10}",
        "", "empty MB", "known MB", "idle MB", "KiB each", "CPU us each", "idle CPU %"
    );
    let ca = Ca::of(plan);
    for _ in 0..plan.rounds {
        for kind in Kind::all(plan) {
            let broker = kind.start(plan, ca.path()).await;
            idle_round(&broker, plan, ca.path()).await;
        }
    }
    println!();
}

async fn idle_round(broker: &Broker, plan: &Plan, ca: &Path) {
    let process = broker.process.expect("--pid, to read its memory");
    let empty = process.memory_kib();
    let fleet = broker.fleet(ca, plan.devices).await;
    tokio::time::sleep(QUIET).await;
    let (known, cpu) = (process.memory_kib(), process.cpu_us());
    let came = come(broker.secure_doors(&fleet), plan.handshakes, Then::Subscribe).await;
    let each = (process.cpu_us() - cpu) / plan.devices as f64;
    tokio::time::sleep(QUIET).await;
    let (memory, cpu) = (process.memory_kib(), process.cpu_us());
    tokio::time::sleep(QUIET).await;
    let share = (process.cpu_us() - cpu) / QUIET.as_secs_f64() / 1e4;
    let kib = memory.saturating_sub(known) as f64 / plan.devices as f64;
    println!(
        "{:>10} {:>9.1} {:>9.1} {:>9.1} {kib:>9.2} {each:>12.0} {share:>10.1}",
        broker.kind.name(),
        empty as f64 / 1024.0,
        known as f64 / 1024.0,
        memory as f64 / 1024.0,
    );
    drop(came);
}

/// Devices that all connect at once, beside as many bare handshakes.
pub(crate) async fn storm(plan: &Plan) {
    println!(
        "storm: {} devices connect over mutual TLS, {} at a time",
        plan.devices, plan.handshakes
    );
    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "", "seconds", "per s", "p50 ms", "p99 ms", "CPU us", "load us", "share"
    );
    let (kinds, ca) = (Kind::all(plan), Ca::of(plan));
    let strangers = Fleet::of(ca.path(), plan.devices);
    let mut shares = vec![Vec::new(); kinds.len()];
    for _ in 0..plan.rounds {
        let server = Server::handshakes(ca.path());
        let doors = (0..strangers.len())
            .map(|at| Door { address: server.address, tls: Some(strangers.device(at)) });
        let bare = gust(doors.collect(), plan, Then::Byte, Some(server.process)).await;
        bare.print("bare", None);
        drop(server);
        for (kind, shares) in kinds.iter().zip(&mut shares) {
            let broker = kind.start(plan, ca.path()).await;
            let fleet = broker.fleet(ca.path(), plan.devices).await;
            let doors = broker.secure_doors(&fleet);
            let gust = gust(doors, plan, Then::Connect, broker.process).await;
            let share = bare.seconds / gust.seconds;
            gust.print(kind.name(), Some(share));
            shares.push(share);
        }
    }
    for (kind, shares) in kinds.iter().zip(shares) {
        println!("{}: median share of the handshake rate {:.2}", kind.name(), median(shares));
    }
    println!();
}

/// What a storm came to.
struct Gust {
    seconds: f64,
    devices: usize,
    times: Vec<Duration>,
    cpu_us: f64,
    load_us: f64,
}

impl Gust {
    fn print(&self, name: &str, share: Option<f64>) {
        let share = share.map_or(String::new(), |share| format!("{share:.2}"));
        let at = |share: f64| {
            self.times[((self.times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
        };
        let each = |sum: f64| sum / self.devices as f64;
        println!(
            "{name:>10} {:>9.2} {:>9.0} {:>9.2} {:>9.2} {:>9.0} {:>9.0} {share:>7}",
            self.seconds,
            self.devices as f64 / self.seconds,
            at(0.5),
            at(0.99),
            each(self.cpu_us),
            each(self.load_us)
        );
    }
}

async fn gust(doors: Vec<Door>, plan: &Plan, then: Then, process: Option<Process>) -> Gust {
    let cpu = || process.map_or(0.0, Process::cpu_us);
    let load = || Process(std::process::id()).cpu_us();
    let (devices, cpu_before, load_before) = (doors.len(), cpu(), load());
    let came = come(doors, plan.handshakes, then).await;
    let (cpu_us, load_us) = (cpu() - cpu_before, load() - load_before);
    Gust { seconds: came.took.as_secs_f64(), devices, times: came.times, cpu_us, load_us }
}

/// What a device does once its handshake is done.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// Waits for a byte.
    Byte,
    /// CONNECT, and waits for CONNACK.
    Connect,
    /// The same, and SUBSCRIBE.
    Subscribe,
}

/// Connected devices.
struct Came {
    took: Duration,
    /// How long each took, shortest first.
    times: Vec<Duration>,
    _stay: Vec<Box<dyn Send>>,
}

/// Connects a device at each door, `at_a_time` of them; none leaves.
async fn come(doors: Vec<Door>, at_a_time: usize, then: Then) -> Came {
    let (doors, next) = (Arc::new(doors), Arc::new(AtomicUsize::new(0)));
    let begin = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..at_a_time {
        let (doors, next) = (Arc::clone(&doors), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let (mut times, mut stay) = (Vec::new(), Vec::new());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(door) = doors.get(at) else { return (times, stay) };
                let begin = Instant::now();
                stay.push(enter(door, at, then).await);
                times.push(begin.elapsed());
            }
        }));
    }
    let (mut times, mut stay) = (Vec::new(), Vec::new());
    for task in tasks {
        let (mine, held) = task.await.unwrap();
        times.extend(mine);
        stay.extend(held);
    }
    let took = begin.elapsed();
    times.sort();
    Came { took, times, _stay: stay }
}

async fn enter(door: &Door, at: usize, then: Then) -> Box<dyn Send> {
    let id = format!("device-{at:06}");
    match then {
        Then::Byte => {
            let mut stream = door.open().await.unwrap();
            stream.read_exact(&mut [0; 1]).await.unwrap();
            Box::new(stream)
        }
        Then::Connect => Box::new(Client::connect(door, &id, Life::Clean).await.unwrap().idle()),
        Then::Subscribe => {
            let mut client = Client::connect(door, &id, Life::Clean).await.unwrap();
            client.subscribe(&format!("cmd/{id}/set")).await.unwrap();
            Box::new(client.idle())
        }
    }
}
