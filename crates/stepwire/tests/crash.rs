//! A real node, killed with SIGKILL at random moments while devices connect and answer over TLS.
//!
//! `KILLS=200 SEED=7 cargo test -p stepwire --test crash` kills more often, with other dice.

#![expect(clippy::unwrap_used, reason = "tests")]

mod books;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use stepwire::demo::api::{Api, Error};
use stepwire::demo::deploy::{self, Identity};
use stepwire::demo::profiles::Profiles;
use stepwire::demo::{fleet, story};
use stepwire_asl::{Entropy, Json};
use tokio::sync::watch;
use tokio::time::sleep;

use books::Books;
use server::Server;

const KILLS: u64 = 50;
const SEED: u64 = 1;
const DEVICES: u64 = 10;
/// The last device never answers.
const SILENT: u64 = DEVICES - 1;
/// The workflow waits so long for a device.
const HEARTBEAT_S: i64 = 5;
/// A node that was killed must be ready, and executions must have ended, in this time.
const PATIENCE: Duration = Duration::from_mins(1);

fn chosen(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn between(dice: &mut Entropy, low: u64, high: u64) -> Duration {
    Duration::from_millis(low + dice.next_u64() % (high - low + 1))
}

/// How far the test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The node is being killed.
    Killing,
    /// No more kills: devices connect once more and stay.
    Settling,
    /// Everything has ended.
    Over,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_node_is_killed_again_and_again() {
    let (kills, seed) = (chosen("KILLS", KILLS), chosen("SEED", SEED));
    let mut dice = Entropy::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let profiles = Profiles::start(None, seed).await.unwrap();
    let allowed = profiles.address().to_string();
    let start = |options: &[&str]| {
        let always = ["--data", data.to_str().unwrap(), "--http-allow", &allowed];
        Server::start(&[&always, options].concat())
    };
    let first = start(&[]);
    let http = first.told("http").trim_start_matches("http://").to_owned();
    let mqtts = first.told("mqtts").trim_start_matches("mqtts://").to_owned();
    let api = Arc::new(Api::new(format!("http://{http}")).unwrap());
    let definition = story::definition(&format!("http://{allowed}"), HEARTBEAT_S).unwrap();
    let machine = deploy::story(&api, &definition).await.unwrap();
    let names = (0..DEVICES).map(|number| format!("gw-{number}").into()).collect();
    let identities = deploy::devices(&api, names).await.unwrap();

    let books = Arc::new(Books::default());
    let (phase, watched) = watch::channel(Phase::Killing);
    let mut tasks = tokio::task::JoinSet::new();
    for (number, identity) in (0..).zip(identities) {
        let options = mqtt_options(&identity, &mqtts, &data);
        let device = Device {
            name: Arc::clone(&identity.name),
            silent: number == SILENT,
            options,
            dice: Entropy::new(seed + 1 + number),
            books: Arc::clone(&books),
            phase: watched.clone(),
        };
        tasks.spawn(device.live());
    }
    let operator = Operator {
        api: Arc::clone(&api),
        machine: machine.clone(),
        dice: Entropy::new(seed + 1_000),
        books: Arc::clone(&books),
        phase: watched,
    };
    tasks.spawn(operator.work());

    let mut node = first;
    for _ in 0..kills {
        sleep(between(&mut dice, 50, 900)).await;
        node.kill();
        node = start(&["--http", &http, "--mqtts", &mqtts]);
    }
    phase.send_replace(Phase::Settling);
    let runs = tokio::time::timeout(PATIENCE, books::settled(&api, &machine)).await;
    let runs = runs.unwrap_or_else(|_| panic!("seed {seed}: executions do not end"));
    phase.send_replace(Phase::Over);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let counts = books.counts();
    let least = [kills, kills / 4, kills / 4, 2].map(|least| least as usize);
    let enough = counts.iter().zip(least).all(|(count, least)| *count >= least);
    assert!(enough, "seed {seed}: too little happened: {counts:?}");
    let problems = books.audit(&runs);
    assert!(problems.is_empty(), "seed {seed}, {kills} kills:\n{}", problems.join("\n"));
    assert_eq!(node.terminate(), 0, "seed {seed}");
}

fn mqtt_options(identity: &Identity, mqtts: &str, data: &Path) -> MqttOptions {
    let ca = std::fs::read_to_string(data.join("ca.pem")).unwrap();
    fleet::options(identity, mqtts.parse().unwrap(), fleet::roots(&ca).unwrap()).unwrap()
}

/// A device that keeps book of what was acknowledged to it.
struct Device {
    name: Arc<str>,
    silent: bool,
    options: MqttOptions,
    dice: Entropy,
    books: Arc<Books>,
    phase: watch::Receiver<Phase>,
}

/// A connection of a device: what it has sent on it.
#[derive(Default)]
struct Sent {
    /// Answers handed to the client, not yet on the wire.
    queued: VecDeque<(String, u64)>,
    /// Answers on the wire, by packet identifier.
    flying: BTreeMap<u16, (String, u64)>,
}

impl Device {
    async fn live(mut self) {
        loop {
            let phase = *self.phase.borrow();
            if phase == Phase::Over {
                return;
            }
            let lasts = match phase {
                Phase::Killing => between(&mut self.dice, 200, 2_500),
                Phase::Settling | Phase::Over => PATIENCE,
            };
            let mut phase = self.phase.clone();
            tokio::select! {
                // Lost, or not made at all: both are ordinary here.
                _ = self.connect() => {}
                () = sleep(lasts) => {}
                _ = phase.changed() => {}
            }
            sleep(between(&mut self.dice, 20, 400)).await;
        }
    }

    /// One connection, until it is lost. What it did not hear the end of it forgets.
    async fn connect(&mut self) -> Result<(), ConnectionError> {
        let (client, mut events) = AsyncClient::new(self.options.clone(), 64);
        events.network_options.set_connection_timeout(10);
        self.books.connecting(&self.name);
        self.serve(&client, &mut events).await
    }

    async fn serve(
        &mut self,
        client: &AsyncClient,
        events: &mut EventLoop,
    ) -> Result<(), ConnectionError> {
        let mut sent = Sent::default();
        let (answers, mut ready) = tokio::sync::mpsc::unbounded_channel::<String>();
        loop {
            tokio::select! {
                event = events.poll() => match event? {
                    Event::Incoming(Packet::ConnAck(_)) => {
                        self.books.connected(&self.name);
                        let topic = format!("devices/{}/config_req", self.name);
                        client.try_subscribe(topic, QoS::AtLeastOnce).unwrap();
                    }
                    Event::Incoming(Packet::Publish(request)) if !self.silent => {
                        let operation = books::operation(&request.payload);
                        let delay = between(&mut self.dice, 0, 600);
                        let answers = answers.clone();
                        tokio::spawn(async move {
                            sleep(delay).await;
                            // Nobody listens any more once the connection is lost.
                            let _ = answers.send(operation);
                        });
                    }
                    Event::Incoming(Packet::PubAck(ack)) => {
                        let (operation, nonce) = sent.flying.remove(&ack.pkid).unwrap();
                        self.books.answered(operation, nonce);
                    }
                    Event::Outgoing(Outgoing::Publish(packet_id)) => {
                        let answer = sent.queued.pop_front().unwrap();
                        sent.flying.insert(packet_id, answer);
                    }
                    _ => {}
                },
                Some(operation) = ready.recv() => {
                    let nonce = self.dice.next_u64() >> 12;
                    let answer = Json::object([
                        ("operationId", Json::from(operation.as_str())),
                        ("status", "SUCCESS".into()),
                        ("nonce", (nonce as i64).into()),
                    ]);
                    let topic = format!("devices/{}/config_resp", self.name);
                    client.try_publish(topic, QoS::AtLeastOnce, false, answer.to_text()).unwrap();
                    sent.queued.push_back((operation, nonce));
                }
            }
        }
    }
}

/// Somebody who starts executions of the same workflow and completes some of its tasks.
struct Operator {
    api: Arc<Api>,
    machine: String,
    dice: Entropy,
    books: Arc<Books>,
    phase: watch::Receiver<Phase>,
}

impl Operator {
    async fn work(mut self) {
        let mut number = 0;
        while *self.phase.borrow() == Phase::Killing {
            let operation = format!("op-{number}");
            number += 1;
            self.start(&operation).await;
            if number % 2 == 0 {
                self.complete(&operation).await;
            }
            sleep(between(&mut self.dice, 50, 400)).await;
        }
    }

    /// Starts an execution, again and again until it is acknowledged.
    async fn start(&mut self, operation: &str) {
        let device = format!("gw-{}", self.dice.next_u64() % DEVICES);
        let input = Json::object([
            ("thingName", Json::from(device)),
            ("sessionIdentifier", operation.into()),
        ]);
        let body = Json::object([
            ("stateMachineArn", Json::from(self.machine.as_str())),
            ("name", operation.into()),
            ("input", input.to_text().into()),
        ]);
        let mut uncertain = false;
        loop {
            match self.api.states("StartExecution", body.clone()).await {
                Ok(_) => break,
                // It has ended already, and this is the first that is heard of it.
                Err(Error::Refused { code, .. })
                    if uncertain && code == "ExecutionAlreadyExists" =>
                {
                    break;
                }
                Err(Error::Lost { .. }) => uncertain = true,
                Err(error) => panic!("{operation}: {error}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.books.started(operation);
    }

    /// Completes the task of an operation with the token that the workflow stored, twice.
    async fn complete(&mut self, operation: &str) {
        let query = Json::parse(&format!(
            r#"{{"TableName": "CMTaskTokens", "KeyConditionExpression": "operationId = :o",
                "ExpressionAttributeValues": {{":o": {{"S": "{operation}"}}}}}}"#
        ));
        let query = query.unwrap();
        let mut tries = 0;
        let token = loop {
            let rows = self.api.tables("Query", query.clone()).await.unwrap_or_default();
            let row = rows.member("Items").and_then(|items| items.as_array()?.first().cloned());
            let token =
                row.and_then(|row| Some(row.member("token")?.member("S")?.as_str()?.to_owned()));
            match token {
                Some(token) => break token,
                None if tries > 40 => return,
                None => tries += 1,
            }
            sleep(Duration::from_millis(25)).await;
        };
        for turn in ["first", "second"] {
            let output = format!(r#"{{"status": "SUCCESS", "operator": "{turn}"}}"#);
            let body = Json::object([
                ("taskToken", Json::from(token.as_str())),
                ("output", output.into()),
            ]);
            match self.api.states("SendTaskSuccess", body).await {
                Ok(_) => self.books.completed(operation, turn),
                Err(Error::Refused { code, .. }) => assert_eq!(code, "TaskTimedOut", "{operation}"),
                Err(Error::Lost { .. }) => {}
            }
        }
    }
}
