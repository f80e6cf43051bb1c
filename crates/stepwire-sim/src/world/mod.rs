//! One seed, one world: everything that can happen, in an order that the dice choose.

mod end;
mod errands;
mod fleet;
mod network;
mod outside;
mod people;
mod process;
mod talk;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::hash::{DefaultHasher, Hash};
use std::sync::Arc;

use stepwire_asl::Timestamp;
use stepwire_core::broker::{self, Closed, ConnectionId};
use stepwire_core::mqtt::Packet;
use stepwire_core::{Input, ReplyId, Request, Settings};

use crate::chatter::{READER, Reader, SHARERS, WRITER, Writer};
use crate::checks::Checks;
use crate::device::Device;
use crate::dice::Dice;
use crate::keeper::Keeper;
use crate::marks::{Marks, Moment};
use crate::operator::{Job, request};
use crate::server::{Disk, Server};
use crate::story::{self, Member};
use crate::worker::{Ledger, Worker};

/// When every world begins.
const ORIGIN: Timestamp = Timestamp(1_800_000_000_000);
/// No world lasts longer.
const LONGEST_MS: i64 = 2 * 3_600 * 1_000;
/// A world that waits this long for its next deadline, and for nothing else, is at rest: what is
/// left are sessions of clients that are gone for good, and records whose time is days or months.
const REST_MS: i64 = 20 * 60 * 1_000;
/// Such sessions end before this.
const FORGOTTEN_MS: i64 = 3_600 * 1_000;

/// The size of a world and how rough it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Devices; the last has too broad a policy and forges answers.
    pub devices: usize,
    /// Sessions each device has.
    pub sessions: u32,
    /// Executions of the operator's.
    pub jobs: usize,
    /// Executions that start another and wait for it, and workers that do what those want.
    pub errands: usize,
    /// Messages between two clients with lasting sessions.
    pub messages: u16,
    /// What is done to the fleet while it works.
    pub deeds: u32,
    /// When the process dies.
    pub crashes: Crashes,
    /// What is kept of everything that happens.
    pub watch: Watch,
}

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crashes {
    /// Never.
    Never,
    /// Once in so many chances, at each kind of moment.
    OneIn(u64),
    /// Once, at this moment of this commit; counted from 0, recovery's own included.
    At(u64, Moment),
}

/// What is kept of everything that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nothing: the fastest.
    Nothing,
    /// A number that is another for another course of events.
    Fingerprint,
    /// That, and a line for each event.
    Trace,
}

impl Plan {
    /// A world small enough to be run again and again.
    pub fn small() -> Plan {
        Plan {
            devices: 2,
            sessions: 1,
            jobs: 2,
            errands: 1,
            messages: 5,
            deeds: 4,
            ..Plan::default()
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            devices: 5,
            sessions: 2,
            jobs: 4,
            errands: 3,
            messages: 12,
            deeds: 12,
            crashes: Crashes::OneIn(60),
            watch: Watch::Nothing,
        }
    }
}

/// What a world came to.
#[derive(Debug)]
pub struct Outcome {
    /// What did not hold; empty if all did.
    pub problems: Vec<String>,
    /// Situations it reached.
    pub marks: Marks,
    /// Same seed, same number; 0 unless the plan asked for it.
    pub fingerprint: u64,
    /// Everything that happened, if the plan asked for it.
    pub trace: Vec<String>,
    /// Crashes.
    pub crashes: u64,
    /// Commits that ended or were cut short.
    pub commits: u64,
    /// Executions that became durable.
    pub executions: usize,
    /// Simulated milliseconds.
    pub lasted_ms: i64,
}

#[derive(Debug)]
enum Event {
    /// A packet reaches the server.
    Arrives(ConnectionId, Box<Packet>),
    /// The server learns that a connection is gone.
    Gone(ConnectionId),
    /// A packet reaches a device.
    Delivered(ConnectionId, Box<Packet>),
    /// A device learns that its connection is gone.
    Lost(ConnectionId),
    /// A device wants a session.
    Connect(usize),
    /// A device sends something, if its connection is still the same.
    Send(usize, ConnectionId, Box<Packet>),
    /// A device composes an answer.
    Answer(usize, Arc<str>),
    /// A device ends its session.
    Leave(usize, ConnectionId),
    /// Somebody with too broad a policy answers for another device.
    Forge(usize, Arc<str>),
    /// What a task asked for has come to an end: the third party answers, or a function.
    Returned(u64, Box<Input>),
    /// A map run goes on, in this life of the process.
    MapRun(u64, u64),
    /// The disk is done, in this life of the process.
    Committed(u64),
    /// A deadline of the kernel.
    Tick(u64),
    /// The process is started again.
    Restart,
    /// The operator looks after a job.
    Operate(usize),
    /// An errand is sent.
    Errand(usize),
    /// Somebody starts an Express execution.
    Flash,
    /// An errand is stopped.
    StopErrand(usize),
    /// A worker, in this life of it, asks for a task.
    LookForWork(usize, u64),
    /// It has done one.
    Work(usize, u64, Arc<str>, Arc<str>),
    /// It vanishes.
    Vanish(usize, u64),
    /// The next request of the deployment.
    Deploy,
    /// The server outside brings the token of a confirmation request back.
    Visit(Arc<str>),
    /// Somebody sets the status of a destination, by its ARN.
    Set(Arc<str>, &'static str),
    /// The keeper does something.
    Keep,
    /// The policy of a device is taken away.
    Revoke,
    /// The writer or the reader wants a connection.
    Dial(Talker),
    /// The writer or the reader ends a connection.
    HangUp(Talker, ConnectionId),
    /// The writer writes the next message.
    Write,
}

/// Who has a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Device(usize),
    Talker(Talker),
}

/// The clients with lasting sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Talker {
    Writer,
    Reader,
    /// One of the two who share.
    Sharer(usize),
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ToServer,
    ToClient,
}

/// A network connection.
#[derive(Debug, Clone, Copy)]
struct Wire {
    who: Who,
    /// Life of the process it leads to.
    life: u64,
}

/// Who waits for a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Caller {
    Deployer,
    Start(usize),
    Completion(usize, Arc<str>, Arc<str>),
    Redrive(usize),
    Revoker,
    Keeper,
    Errand(usize),
    Flash,
    Stopper(usize),
    /// With its token.
    Visitor(Arc<str>),
    /// With the destination and its status.
    Setter(Arc<str>, &'static str),
    /// Which, and in which life of it.
    Worker(usize, u64),
    /// The same, with token and output.
    Work(usize, u64, Arc<str>, Arc<str>),
}

/// One simulated world.
#[expect(clippy::struct_excessive_bools, reason = "what kind of world it is, and how far it is")]
#[derive(Debug)]
pub struct World {
    plan: Plan,
    settings: Settings,
    dice: Dice,
    /// Goes on until the broker forgets the clients that are gone for good.
    stays_to_be_forgotten: bool,
    now: Timestamp,
    events: BinaryHeap<Reverse<(Timestamp, u64)>>,
    pending: BTreeMap<u64, Event>,
    order: u64,
    disk: Disk,
    server: Option<Server>,
    /// Lives of the process: what an earlier life waited for is forgotten.
    life: u64,
    ticking: Option<Timestamp>,
    devices: Vec<Device>,
    writer: Writer,
    reader: Reader,
    sharers: [Reader; 2],
    /// Whether there are sharers in this world.
    shares: bool,
    /// Whether the writer has begun: everybody who reads has subscribed.
    written: bool,
    /// Whether the session of the first sharer may have been ended.
    wiped: bool,
    /// Whether some devices use a listener of the `aws` profile.
    aws: bool,
    /// Every connection there was.
    connections: BTreeMap<ConnectionId, Wire>,
    next_connection: u64,
    /// When the last packet of a connection arrives: packets do not overtake each other.
    arrivals: BTreeMap<(ConnectionId, Way), Timestamp>,
    deployment: Vec<Request>,
    jobs: Vec<Job>,
    /// Which errands have been acknowledged.
    errands: Vec<bool>,
    workers: Vec<Worker>,
    ledger: Ledger,
    /// ARNs of Express executions that were acknowledged.
    flashes: Vec<Arc<str>>,
    /// Challenges of destinations that have left.
    challenges: BTreeSet<(Arc<str>, u32)>,
    keeper: Keeper,
    /// Whether each device may connect, by what the keeper did.
    rights: Vec<Right>,
    revocation: Revocation,
    callers: BTreeMap<ReplyId, Caller>,
    next_reply: u64,
    nonce: i64,
    acknowledged: Vec<(Arc<str>, Timestamp)>,
    checks: Checks,
    marks: Marks,
    crashes: u64,
    commits: u64,
    /// Commits of this life.
    commits_of_life: u64,
    /// Since when the process does not work.
    down_since: Option<Timestamp>,
    hasher: DefaultHasher,
    trace: Vec<String>,
}

/// How far the first device's policy is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Revocation {
    /// Nobody asked.
    No,
    /// Asked for: it may be refused from here on.
    Asked,
    /// Acknowledged: nothing may be delivered to it from here on.
    Done,
}

/// Whether a device may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// It may.
    Held,
    /// Somebody changes that: it may or not.
    Asked,
    /// It may not.
    Gone,
}

impl World {
    /// The world of this seed.
    pub fn new(seed: u64, mut plan: Plan) -> World {
        let mut dice = Dice::new(seed);
        // Some worlds are calm: a minute of silence comes up in them.
        if let Crashes::OneIn(chances) = &mut plan.crashes
            && dice.one_in(8)
        {
            *chances *= 20;
        }
        let devices: Vec<_> =
            (0..plan.devices).map(|number| Device::new(number, plan.sessions)).collect();
        let deployment = story::deployment(&members(&devices), dice.one_in(3));
        let deployment = deployment
            .iter()
            .rev()
            .map(|(service, op, body)| request(*service, op, body))
            .collect();
        let jobs = (0..plan.jobs).map(|number| Job::new(number, &mut dice)).collect();
        let mut settings = Settings::default();
        settings.secret[..8].copy_from_slice(&seed.to_be_bytes());
        World {
            writer: Writer::new(plan.messages),
            reader: Reader::of_all(),
            sharers: SHARERS.map(Reader::sharing),
            shares: dice.one_in(6),
            written: false,
            wiped: false,
            aws: dice.one_in(3),
            rights: vec![Right::Held; plan.devices],
            keeper: Keeper::new(plan.deeds),
            revocation: Revocation::No,
            errands: vec![false; plan.errands],
            workers: (0..plan.errands.min(2)).map(|_| Worker::default()).collect(),
            ledger: Ledger::default(),
            flashes: Vec::new(),
            challenges: BTreeSet::new(),
            plan,
            settings,
            stays_to_be_forgotten: dice.one_in(8),
            dice,
            now: ORIGIN,
            events: BinaryHeap::new(),
            pending: BTreeMap::new(),
            order: 0,
            disk: Disk::new(),
            server: None,
            life: 0,
            ticking: None,
            devices,
            connections: BTreeMap::new(),
            next_connection: 0,
            arrivals: BTreeMap::new(),
            deployment,
            jobs,
            callers: BTreeMap::new(),
            next_reply: 0,
            nonce: 0,
            acknowledged: Vec::new(),
            checks: Checks::default(),
            marks: Marks::default(),
            crashes: 0,
            commits: 0,
            commits_of_life: 0,
            down_since: None,
            hasher: DefaultHasher::new(),
            trace: Vec::new(),
        }
    }

    /// Lets everything happen, until nothing more does.
    pub fn run(mut self) -> Outcome {
        self.at(0, Event::Restart);
        self.at(5, Event::Deploy);
        while let Some(Reverse((at, order))) = self.events.pop() {
            let Some(event) = self.pending.remove(&order) else { continue };
            let rest_ms = if self.stays_to_be_forgotten { FORGOTTEN_MS } else { REST_MS };
            if matches!(event, Event::Tick(_)) && at.since_ms(self.now) > rest_ms {
                break;
            }
            if at.since_ms(ORIGIN) > LONGEST_MS {
                self.checks.problem("the world does not come to rest");
                break;
            }
            self.now = self.now.max(at);
            self.note(|| format!("{event:?}"));
            self.happen(event);
        }
        self.finish()
    }

    fn at(&mut self, after_ms: i64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((self.now.plus_ms(after_ms), self.order)));
        self.pending.insert(self.order, event);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.plan.watch == Watch::Nothing {
            return;
        }
        let line = format!("{:>9} {}", self.now.since_ms(ORIGIN), what());
        line.hash(&mut self.hasher);
        if self.plan.watch == Watch::Trace {
            self.trace.push(line);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(connection, packet) => self.arrives(connection, *packet),
            Event::Gone(connection) => {
                if self.leads_here(connection) {
                    let cause = Closed::Lost;
                    self.input(Input::Device(broker::Input::Closed { connection, cause }));
                }
            }
            Event::Delivered(connection, packet) => self.delivered(connection, &packet),
            Event::Lost(connection) => self.lost(connection),
            Event::Connect(device) => self.connect(device),
            Event::Send(device, connection, packet) => {
                if self.devices[device].connection == Some(connection) {
                    self.send(connection, *packet);
                }
            }
            Event::Answer(device, operation) => self.answer(device, &operation),
            Event::Leave(device, connection) => self.leave(device, connection),
            Event::Forge(victim, operation) => self.forge(victim, &operation),
            Event::Returned(life, input) => {
                if life == self.life {
                    self.checks.owed.hears(&input, &mut self.marks);
                    self.input(*input);
                }
            }
            Event::MapRun(life, map_run) => {
                if life == self.life {
                    self.input(Input::MapRun(map_run));
                }
            }
            Event::Committed(life) => {
                if life == self.life {
                    self.committed();
                }
            }
            Event::Tick(life) => {
                if life == self.life {
                    self.ticking = None;
                    self.input(Input::Tick);
                }
            }
            Event::Restart => self.restart(),
            Event::Operate(job) => self.operate(job),
            Event::Errand(number) => self.send_errand(number),
            Event::Flash => self.start_flash(),
            Event::StopErrand(number) => self.stop_errand(number),
            Event::LookForWork(worker, life) => self.look_for_work(worker, life),
            Event::Work(worker, life, token, output) => self.work(worker, life, token, output),
            Event::Vanish(worker, life) => self.vanish(worker, life),
            Event::Deploy => self.deploy(),
            Event::Visit(token) => self.visit(token),
            Event::Set(destination, status) => self.set(destination, status),
            Event::Keep => self.keep(),
            Event::Revoke => self.revoke(),
            Event::Dial(talker) => self.dial(talker),
            Event::HangUp(talker, connection) => self.hang_up(talker, connection),
            Event::Write => self.write(),
        }
    }
}

/// Everybody who has an identity.
fn members(devices: &[Device]) -> Vec<Member<'_>> {
    let last = devices.len().saturating_sub(1);
    let devices = devices.iter().enumerate().map(|(at, device)| Member {
        name: &device.name,
        certificate: &device.certificate,
        policy: if at == last { story::BROAD_POLICY } else { story::DEVICE_POLICY },
    });
    let talkers = [
        (WRITER, talk::WRITER_CERTIFICATE),
        (READER, talk::READER_CERTIFICATE),
        (SHARERS[0], talk::SHARER_CERTIFICATES[0]),
        (SHARERS[1], talk::SHARER_CERTIFICATES[1]),
    ];
    let talkers = talkers.into_iter().map(|(name, certificate)| Member {
        name,
        certificate,
        policy: story::BROAD_POLICY,
    });
    devices.chain(talkers).collect()
}
