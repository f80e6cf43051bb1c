//! What a running node lets people watch: durable facts, as they happen.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stepwire_asl::history::Detail;
use stepwire_asl::{HistoryEvent, Timestamp};
use stepwire_core::effect::{Report, Seen};
use stepwire_core::executions::{self, ExecutionId, Origin};
use stepwire_core::mqtt::{Packet, Publish};
use stepwire_core::{Effect, Settings, Write, broker};
use stepwire_store::Seq;
use tokio::sync::mpsc;

use crate::commits::Commits;
use crate::console::live::Live;
use crate::counters::Counters;
use crate::flight::{self, Flights};
use crate::lately::Lately;
use crate::reactions::Reactions;
use crate::recorded::{self, Recorded};
use crate::shard::{self, ShardRead};

/// Observations that may wait for one who watches; who falls further behind is cut off.
const BEHIND_MAX: usize = 65_536;

/// A fact that has become durable. Sent in the order of commits. As JSON: an object whose `event`
/// is the variant's name and whose other members are its fields; times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
pub enum Observation {
    /// A device's session began.
    Connected {
        /// MQTT client id.
        client_id: Arc<str>,
        /// The session, as in presence events.
        session: Arc<str>,
        /// When its CONNECT was taken.
        at: Timestamp,
    },
    /// A device's session ended.
    Disconnected {
        /// MQTT client id.
        client_id: Arc<str>,
        /// The session, as in presence events.
        session: Arc<str>,
        /// When it ended.
        at: Timestamp,
    },
    /// A device was cut off, or not let in, for what it did.
    CutOff {
        /// MQTT client id.
        client_id: Arc<str>,
        /// The thing it spoke for.
        thing: Option<Arc<str>>,
        /// Where it connected from.
        address: IpAddr,
        /// What it did, as metrics name it: `too_slow`.
        cause: Arc<str>,
        /// MQTT 5.0 reason code.
        reason_code: u8,
        /// When.
        at: Timestamp,
    },
    /// A message from the service side was handed to the broker's subscribers; messages on
    /// reserved topics are left out.
    Published {
        /// Topic.
        topic: Arc<str>,
        /// Payload; what is not UTF-8 in it is replaced.
        payload: Arc<str>,
        /// When it left.
        at: Timestamp,
    },
    /// An execution began.
    ExecutionStarted {
        /// ARN.
        execution: Arc<str>,
        /// Its input.
        input: Arc<str>,
        /// When that was durable.
        at: Timestamp,
    },
    /// A task failed and will be tried again.
    TaskRetried {
        /// ARN of the execution.
        execution: Arc<str>,
        /// The error that is retried.
        error: Arc<str>,
        /// When that was durable.
        at: Timestamp,
    },
    /// An execution ended.
    ExecutionEnded {
        /// ARN.
        execution: Arc<str>,
        /// How: `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
        status: Arc<str>,
        /// The error, if it names one.
        error: Option<Arc<str>>,
        /// When that was durable.
        at: Timestamp,
    },
}

/// What is stored of executions.
pub(crate) struct Stored {
    read: Box<dyn Fn() -> ShardRead + Send + Sync>,
    settings: Settings,
}

impl Stored {
    /// `read` gives what is stored when it is called.
    pub(crate) fn new(
        read: impl Fn() -> ShardRead + Send + Sync + 'static,
        settings: Settings,
    ) -> Stored {
        Stored { read: Box::new(read), settings }
    }

    fn arn(&self, id: ExecutionId) -> Option<Arc<str>> {
        let read = (self.read)();
        shard::catch(|| executions::arn_of(id, &read, &self.settings)).ok()?
    }

    fn origin(&self, id: ExecutionId) -> Option<Arc<Origin>> {
        let read = (self.read)();
        shard::catch(|| executions::origin_of(id, &read)).ok()?
    }
}

/// Those who watch a node. While nobody does, there is counting alone, and what is recorded.
pub struct Observers {
    counters: Counters,
    watched: AtomicBool,
    state: Mutex<Watching>,
    stored: Arc<Stored>,
    recorded: Recorded,
    flights: Flights,
    live: Live,
    lately: Lately,
    commits: Commits,
    reactions: Reactions,
}

struct Watching {
    senders: Vec<mpsc::Sender<Observation>>,
    /// ARNs of executions that have not ended, as far as they were wanted.
    open: HashMap<ExecutionId, Arc<str>>,
    /// Finds the others.
    stored: Arc<Stored>,
}

impl Observers {
    /// Nobody, yet, of a store whose last commit is `position`. `recorded` is what is kept of messages that the rules see, `flights` what is
    /// kept of each device, and `began` is when the node starts.
    pub(crate) fn new(
        stored: Stored,
        position: Seq,
        recorded: recorded::Limits,
        flights: flight::Limits,
        began: Timestamp,
    ) -> Observers {
        let stored = Arc::new(stored);
        let watching = Arc::clone(&stored);
        let state = Watching { senders: Vec::new(), open: HashMap::new(), stored: watching };
        let (counters, recorded) = (Counters::default(), Recorded::new(recorded));
        let (watched, state) = (AtomicBool::new(false), Mutex::new(state));
        let (flights, lately) = (Flights::new(flights), Lately::new(began));
        let (live, (commits, reactions)) = (Live::new(position), Default::default());
        Observers {
            counters,
            watched,
            state,
            stored,
            recorded,
            flights,
            live,
            lately,
            commits,
            reactions,
        }
    }

    /// What was seen, as numbers.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// One more who watches, from now on; until it falls too far behind.
    pub fn add(&self) -> mpsc::Receiver<Observation> {
        let (sender, receiver) = mpsc::channel(BEHIND_MAX);
        self.state.lock().unwrap_or_else(PoisonError::into_inner).senders.push(sender);
        self.watched.store(true, Ordering::Release);
        receiver
    }

    /// Keeps a message that the rules have seen.
    pub fn record(&self, seen: Seen) {
        self.recorded.add(seen);
    }

    /// The latest messages that the rules have seen.
    pub(crate) fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// What happened to each device.
    pub(crate) fn flights(&self) -> &Flights {
        &self.flights
    }

    /// Counts a commit.
    pub fn committed(&self, took: Duration) {
        self.counters.committed(took);
        self.commits.add(took);
    }

    /// How long commits take.
    pub(crate) fn commits(&self) -> &Commits {
        &self.commits
    }

    /// How soon executions ask a device.
    pub(crate) fn reactions(&self) -> &Reactions {
        &self.reactions
    }

    /// What changes, for pages that are open.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Executions of late.
    pub(crate) fn lately(&self) -> &Lately {
        &self.lately
    }

    /// Tells what the commit at `position` has made durable, at `at`.
    pub fn writes(&self, position: Seq, writes: &[Write], at: Timestamp) {
        self.counters.writes(writes);
        // Pages that are told of a change must find it there.
        self.lately.writes(writes);
        for write in writes {
            if let Write::Broker(write) = write {
                self.flights.write(write);
            }
        }
        self.reactions.writes(writes, at);
        self.live.writes(position, writes, |id| self.origin(id));
        if let Some(mut watching) = self.watching() {
            writes.iter().for_each(|write| watching.write(write, at));
            self.watched.store(!watching.senders.is_empty(), Ordering::Release);
        }
    }

    /// Tells of a message that leaves, or a device that is cut off, at `at`.
    pub fn effect(&self, effect: &Effect, at: Timestamp) {
        self.counters.effect(effect);
        match effect {
            Effect::Seen(seen) => self.flights.seen(seen),
            Effect::Report(report) => self.flights.reported(report, at),
            _ => {}
        }
        self.live.effect(effect);
        if let Effect::Send { packet: Packet::Publish(publish), .. } = effect
            && !publish.topic.starts_with('$')
            && let Some(mut watching) = self.watching()
        {
            let topic = Arc::clone(&publish.topic);
            let payload = String::from_utf8_lossy(&publish.payload).into();
            watching.tell(&Observation::Published { topic, payload, at });
        }
        if let Effect::Report(Report::CutOff(cut_off)) = effect
            && let Some(mut watching) = self.watching()
        {
            watching.tell(&Observation::CutOff {
                client_id: Arc::clone(&cut_off.client),
                thing: cut_off.thing.clone(),
                address: cut_off.address,
                cause: cut_off.cause.name().into(),
                reason_code: cut_off.reason as u8,
                at,
            });
        }
    }

    /// Tells of a message that leaves for a client at `at`.
    pub(crate) fn sent(&self, client: &Arc<str>, publish: &Publish, at: Timestamp) {
        self.flights.sent(client, publish, at);
        self.live.sent(client);
    }

    fn origin(&self, id: ExecutionId) -> Option<Arc<Origin>> {
        match self.lately.run(id) {
            Some(run) => run.origin.clone(),
            // Children of map runs come in thousands, and no page of a device has them.
            None if id.map_run().is_some() => None,
            None => self.stored.origin(id),
        }
    }

    fn watching(&self) -> Option<MutexGuard<'_, Watching>> {
        let watched = self.watched.load(Ordering::Acquire);
        watched.then(|| self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watching {
    fn tell(&mut self, observation: &Observation) {
        self.senders.retain(|sender| sender.try_send(observation.clone()).is_ok());
    }

    fn arn(&mut self, id: ExecutionId) -> Option<Arc<str>> {
        if let Some(arn) = self.open.get(&id) {
            return Some(Arc::clone(arn));
        }
        let arn = self.stored.arn(id)?;
        self.open.insert(id, Arc::clone(&arn));
        Some(arn)
    }

    fn write(&mut self, write: &Write, at: Timestamp) {
        match write {
            Write::Broker(broker::Write::Session { client, record: Some(record) }) => {
                let (client_id, session) = (Arc::clone(client), Arc::clone(&record.client.session));
                self.tell(&if record.connected {
                    Observation::Connected { client_id, session, at: record.since }
                } else {
                    Observation::Disconnected { client_id, session, at: record.since }
                });
            }
            Write::Executions(executions::Write::History(id, events)) => {
                let mut error = None;
                events.iter().for_each(|event| self.event(*id, event, at, &mut error));
            }
            _ => {}
        }
    }

    fn event(
        &mut self,
        id: ExecutionId,
        event: &HistoryEvent,
        at: Timestamp,
        last_error: &mut Option<Arc<str>>,
    ) {
        let (status, error) = match &event.detail {
            Detail::ExecutionStarted { input, execution_arn, .. } => {
                let execution = Arc::clone(execution_arn);
                self.open.insert(id, Arc::clone(&execution));
                let input = input.text().into();
                return self.tell(&Observation::ExecutionStarted { execution, input, at });
            }
            Detail::TaskEnded { trouble, .. } => {
                last_error.clone_from(&trouble.error);
                return;
            }
            Detail::RetryScheduled { .. } => {
                if let Some(error) = last_error.take()
                    && let Some(execution) = self.arn(id)
                {
                    self.tell(&Observation::TaskRetried { execution, error, at });
                }
                return;
            }
            Detail::ExecutionSucceeded(_) => ("SUCCEEDED", None),
            Detail::ExecutionFailed(trouble) => ("FAILED", trouble.error.clone()),
            Detail::ExecutionTimedOut(trouble) => ("TIMED_OUT", trouble.error.clone()),
            Detail::ExecutionAborted(trouble) => ("ABORTED", trouble.error.clone()),
            _ => return,
        };
        if let Some(execution) = self.arn(id) {
            self.open.remove(&id);
            let status = status.into();
            self.tell(&Observation::ExecutionEnded { execution, status, error, at });
        }
    }
}
