//! Presence under churn: devices come, go, are cut off and take each other over, while the node is
//! killed again and again.
//!
//! Per client identifier the events must tell what was done, in order: for every connection that
//! was acknowledged one `connected` and one `disconnected` with the right reason, nothing twice.
//! Only where the node was killed in between is there a choice: a connection without CONNACK may
//! have been recorded or not, and the last one before the kill may have ended by it.
//!
//! `CHURN_CLIENTS`, `CHURN_ROUNDS` and `CHURN_SEED` choose another size and another course.
#![expect(clippy::unwrap_used, reason = "tests")]

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use stepwire_asl::Entropy;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time;

use crate::server::Server;

/// How often the node is killed.
const KILLS: u64 = 10;
/// Nothing that is waited for takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);
const PRESENCE: &str = "$aws/events/presence/+/+";

const CLEAN: &str = "CLIENT_INITIATED_DISCONNECT";
const CUT: &str = "CONNECTION_LOST";
const TAKEN: &str = "DUPLICATE_CLIENTID";
const KILLED: &str = "SERVER_ERROR";

fn chosen(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Where the node is, as those who use it see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It serves; the number grows with each life.
    Serving(u64),
    /// It is being killed, or starts again.
    Down,
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_tells_what_happened_whatever_happens() {
    let clients = chosen("CHURN_CLIENTS", 50);
    let rounds = chosen("CHURN_ROUNDS", 2_000);
    let seed = chosen("CHURN_SEED", 1);
    let folder = tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let start = |port: u16| {
        let mqtt = format!("127.0.0.1:{port}");
        let open = ["--data", data, "--mqtt", &mqtt, "--allow-anonymous"];
        // the watcher may lag behind when the node is killed, and is to miss nothing
        let patient =
            ["--mqtt-limit", "queued-max=1000000", "--mqtt-limit", "queued-bytes-max=268435456"];
        Server::start(&[&open[..], &patient].concat())
    };
    let mut server = start(0);
    let port = server.address("mqtt").port();

    let log = Arc::new(Mutex::new(Vec::new()));
    let (connected, mut watching) = watch::channel(0);
    let watcher = tokio::spawn(watch_presence(port, Arc::clone(&log), connected));
    is_watching(&mut watching, 1).await;
    let (phase, phases) = watch::channel(Phase::Serving(1));
    let done = Arc::new(AtomicU64::new(0));
    let churn: Vec<_> = (0..clients)
        .map(|number| {
            let client = Client {
                id: format!("churn-{number}"),
                clean: number % 2 == 0,
                port,
                dice: Entropy::new(seed << 16 | number),
                phases: phases.clone(),
                expected: Vec::new(),
            };
            tokio::spawn(client.run(rounds, Arc::clone(&done)))
        })
        .collect();
    for kill in 1..=KILLS {
        let from = clients * rounds * kill / (KILLS + 1);
        while done.load(Ordering::Relaxed) < from {
            time::sleep(Duration::from_millis(2)).await;
        }
        phase.send_replace(Phase::Down);
        server.kill();
        server = start(port);
        is_watching(&mut watching, kill + 1).await;
        phase.send_replace(Phase::Serving(kill + 1));
    }
    let mut expected = BTreeMap::new();
    for task in churn {
        let client = task.await.unwrap();
        expected.insert(client.id, client.expected);
    }
    let last = Instant::now();
    loop {
        let problems = compare(&expected, &log.lock().unwrap());
        if problems.is_empty() {
            break;
        }
        let shown = problems.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
        assert!(last.elapsed() < PATIENCE, "seed {seed}, {} problems:\n{shown}", problems.len());
        time::sleep(Duration::from_millis(200)).await;
    }
    watcher.abort();
}

async fn is_watching(watching: &mut watch::Receiver<u64>, life: u64) {
    let arrived = time::timeout(PATIENCE, watching.wait_for(|seen| *seen >= life)).await;
    assert!(arrived.is_ok_and(|seen| seen.is_ok()), "the watcher cannot connect");
}

/// Keeps every presence event, in a session that outlives the node. Counts its connections.
async fn watch_presence(port: u16, log: Arc<Mutex<Vec<Value>>>, connected: watch::Sender<u64>) {
    let mut options = MqttOptions::new("watcher", "127.0.0.1", port);
    options.set_clean_session(false).set_keep_alive(Duration::from_mins(1));
    let (requests, mut events) = AsyncClient::new(options, 16);
    requests.subscribe(PRESENCE, QoS::AtLeastOnce).await.unwrap();
    let mut seen = BTreeSet::new();
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                connected.send_modify(|times| *times = 1);
            }
            Ok(Event::Incoming(Packet::ConnAck(connack))) if connack.session_present => {
                connected.send_modify(|times| *times += 1);
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let new = seen.insert(publish.payload.clone());
                // What was under way when the node was killed may come again, and says so.
                if new || !publish.dup {
                    log.lock().unwrap().push(serde_json::from_slice(&publish.payload).unwrap());
                }
            }
            Ok(_) => {}
            Err(_) => time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// A connection that a client has asked for.
#[derive(Debug)]
struct Expected {
    /// Whether it was acknowledged: then it must be told.
    certain: bool,
    /// How it may have ended; with none, anyhow.
    reasons: Vec<&'static str>,
}

/// One client identifier: what is done under it, one thing after the other.
struct Client {
    id: String,
    clean: bool,
    port: u16,
    dice: Entropy,
    phases: watch::Receiver<Phase>,
    expected: Vec<Expected>,
}

impl Client {
    async fn run(mut self, rounds: u64, done: Arc<AtomicU64>) -> Client {
        let mut life = Phase::Serving(1);
        for _ in 0..rounds {
            let now = *self.phases.wait_for(|phase| *phase != Phase::Down).await.unwrap();
            if now != life {
                self.may_have_ended_by_the_kill();
                life = now;
            }
            if let Err(error) = self.round().await {
                let changed = self.phases.wait_for(|phase| *phase != now);
                let excused = time::timeout(PATIENCE, changed).await.is_ok();
                assert!(excused, "{}: {error}", self.id);
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    /// Connects and ends in one of four ways.
    async fn round(&mut self) -> io::Result<()> {
        let mut socket = self.connect().await?;
        match self.dice.next_u64() % 4 {
            0 | 1 => {
                self.ends(CLEAN);
                socket.write_all(b"\xE0\0").await?;
                self.closed(&mut socket).await?;
            }
            2 => {
                self.ends(CUT);
                drop(socket);
            }
            _ => {
                self.ends(TAKEN);
                let mut next = self.connect().await?;
                self.closed(&mut socket).await?;
                self.ends(CLEAN);
                next.write_all(b"\xE0\0").await?;
                self.closed(&mut next).await?;
            }
        }
        Ok(())
    }

    /// CONNECT until CONNACK. On an error it may have been recorded or not.
    async fn connect(&mut self) -> io::Result<TcpStream> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
        socket.set_nodelay(true)?;
        self.expected.push(Expected { certain: false, reasons: Vec::new() });
        let id = self.id.as_bytes();
        let length = u8::try_from(id.len()).unwrap();
        let flags = if self.clean { 2 } else { 0 };
        let head = [0x10, 12 + length, 0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 0, 0, length];
        socket.write_all(&[&head[..], id].concat()).await?;
        let mut connack = [0; 4];
        let answered = time::timeout(PATIENCE, socket.read_exact(&mut connack)).await;
        answered.expect("an answer in time")?;
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{}", self.id);
        self.expected.last_mut().unwrap().certain = true;
        Ok(socket)
    }

    /// How the connection that was opened last is about to end.
    fn ends(&mut self, reason: &'static str) {
        self.expected.last_mut().unwrap().reasons = vec![reason];
    }

    async fn closed(&self, socket: &mut TcpStream) -> io::Result<()> {
        let rest = time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await;
        rest.expect("closed in time").map(|_| ())
    }

    /// The node was killed: what ended last, a take-over included, may have ended by that.
    fn may_have_ended_by_the_kill(&mut self) {
        for expected in self.expected.iter_mut().rev().take(2) {
            expected.reasons.extend([CUT, KILLED]);
        }
    }
}

/// The events of one connection.
#[derive(Debug)]
struct Told {
    session: String,
    version: i64,
    reason: String,
}

/// What is wrong with `log`, given what was done.
fn compare(expected: &BTreeMap<String, Vec<Expected>>, log: &[Value]) -> Vec<String> {
    let mut of_client: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in log {
        of_client.entry(event["clientId"].as_str().unwrap()).or_default().push(event);
    }
    let mut problems = Vec::new();
    for (id, expected) in expected {
        let events = of_client.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let told = pairs(events).and_then(|told| {
            in_order(&told)?;
            explained(expected, &told)
        });
        problems.extend(told.err().map(|why| format!("{id}: {why}")));
    }
    problems
}

/// The events two by two, each `connected` with its `disconnected`.
fn pairs(events: &[&Value]) -> Result<Vec<Told>, String> {
    let mut told = Vec::new();
    let mut pairs = events.chunks_exact(2);
    for pair in &mut pairs {
        let [begin, end] = pair else { return Err("no pair".to_owned()) };
        let kinds = (begin["eventType"].as_str(), end["eventType"].as_str());
        let same = ["sessionIdentifier", "versionNumber", "principalIdentifier"]
            .iter()
            .all(|member| begin[*member] == end[*member] && !begin[*member].is_null());
        if kinds != (Some("connected"), Some("disconnected")) || !same {
            return Err(format!("no pair, after {}: {begin} {end}", told.len()));
        }
        told.push(Told {
            session: begin["sessionIdentifier"].as_str().unwrap().to_owned(),
            version: begin["versionNumber"].as_i64().unwrap(),
            reason: end["disconnectReason"].as_str().unwrap().to_owned(),
        });
    }
    match pairs.remainder() {
        [] => Ok(told),
        [alone, ..] => Err(format!("without a second: {alone}")),
    }
}

/// Every connection has a session identifier of its own, and the next version number.
fn in_order(told: &[Told]) -> Result<(), String> {
    let mut sessions = BTreeSet::new();
    for (number, one) in told.iter().enumerate() {
        if !sessions.insert(&one.session) || usize::try_from(one.version) != Ok(number) {
            return Err(format!("out of order or twice, number {number}: {one:?}"));
        }
    }
    Ok(())
}

/// Whether what was told can be what was done: everything certain in order, and nothing else but
/// connections that may have been recorded.
fn explained(expected: &[Expected], told: &[Told]) -> Result<(), String> {
    // how many of `told` may be explained so far
    let mut reached = BTreeSet::from([0]);
    for (number, one) in expected.iter().enumerate() {
        let fits = |at: &&usize| {
            told.get(**at).is_some_and(|told| {
                one.reasons.is_empty() || !one.certain || one.reasons.contains(&&*told.reason)
            })
        };
        let mut next: BTreeSet<_> = reached.iter().filter(fits).map(|at| at + 1).collect();
        if !one.certain {
            next.extend(&reached);
        }
        if next.is_empty() {
            let at = reached.first().copied().unwrap_or_default();
            return Err(format!("{one:?}, number {number}, is told as {:?}", told.get(at)));
        }
        reached = next;
    }
    if reached.contains(&told.len()) {
        return Ok(());
    }
    Err(format!("{} connections told, at most {:?} were made", told.len(), reached.last()))
}

// ---- the checks are checked ------------------------------------------------------------------------

fn told(reasons: &[&str]) -> Vec<Told> {
    let one = |(number, reason): (usize, &&str)| Told {
        session: number.to_string(),
        version: i64::try_from(number).unwrap(),
        reason: (*reason).to_owned(),
    };
    reasons.iter().enumerate().map(one).collect()
}

#[test]
fn a_missing_doubled_or_wrong_event_would_be_noticed() {
    let done = || {
        let certain = |reason| Expected { certain: true, reasons: vec![reason] };
        let lost = Expected { certain: false, reasons: Vec::new() };
        [certain(CLEAN), lost, certain(CUT)]
    };
    for good in [&[CLEAN, CUT][..], &[CLEAN, KILLED, CUT]] {
        assert_eq!(explained(&done(), &told(good)), Ok(()));
    }
    for bad in [&[CLEAN][..], &[CUT, CLEAN], &[CLEAN, CLEAN, CUT, CUT], &[CLEAN, TAKEN]] {
        assert!(explained(&done(), &told(bad)).is_err(), "{bad:?}");
    }
    let mut twice = told(&[CLEAN, CUT]);
    twice[1].session = twice[0].session.clone();
    assert!(in_order(&twice).is_err());
    let event = |kind: &str| {
        serde_json::json!({
            "eventType": kind, "sessionIdentifier": "s", "versionNumber": 0,
            "principalIdentifier": "p", "disconnectReason": CLEAN,
        })
    };
    let (begin, end) = (event("connected"), event("disconnected"));
    assert!(pairs(&[&begin, &end]).is_ok());
    for bad in [&[&begin][..], &[&end, &begin], &[&begin, &begin], &[&begin, &end, &end]] {
        assert!(pairs(bad).is_err());
    }
}
