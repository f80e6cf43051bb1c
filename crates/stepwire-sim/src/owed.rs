//! What rules owe: each message that a rule took was evaluated in order, and what came of it was
//! delivered or given up, once each.
//!
//! Every message of the writer that is not retained goes to one rule, whose statement asks a function.
//! Its result is stored, and delivered to a server. All of it comes from one client, so there is one
//! order: that in which the messages were taken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_core::message::QoS;
use stepwire_core::rules::destinations::{self, Status};
use stepwire_core::rules::errands::{self, Delivery, Errand, NotDelivered, Stage};
use stepwire_core::tables::{self, Item};
use stepwire_core::{Effect, Input, Write, functions::InvokedBy};

use crate::chatter::{number, qos};
use crate::marks::Marks;

/// How often a delivery is tried.
const ATTEMPTS_MAX: u8 = 3;

/// The picture that records, effects and answers give.
#[derive(Debug, Default)]
pub struct Owed {
    /// Messages that are to be evaluated, in order, by errand.
    evaluating: VecDeque<(u64, u16)>,
    /// Messages whose evaluation has ended in this batch, and which are to be stored.
    evaluated: VecDeque<u16>,
    /// Messages that are to be delivered, in order, by errand.
    delivering: VecDeque<(u64, u16)>,
    /// Questions and deliveries that have left, by errand.
    left: BTreeSet<u64>,
    /// Attempts that are under way in this life of the process, by errand.
    under_way: BTreeSet<u64>,
    /// Deliveries whose next attempt has to wait for its time, by errand.
    pausing: BTreeSet<u64>,
    /// What became of the last attempt, as this life of the process heard it, by errand.
    heard: BTreeMap<u64, Heard>,
    /// Attempts that failed and may be made again, by errand.
    attempts: BTreeMap<u64, u8>,
    /// Messages in the order in which their delivery was first attempted.
    first_left: Vec<u16>,
    /// Whether the destination is enabled.
    enabled: bool,
    /// Whether it was at some time since the batch before.
    admits: bool,
    /// Messages whose result has been stored.
    stored: BTreeSet<u16>,
    /// Messages that arrived.
    arrived: BTreeSet<u16>,
    /// How often the delivery of a message was given up, and the error action ran for it.
    given_up: BTreeMap<u16, [u32; 2]>,
}

/// What became of an attempt to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// It arrived.
    Arrived,
    /// It failed, and another may do better.
    Failed,
    /// It failed for good.
    Refused,
}

impl Owed {
    /// The process died: what it had heard and not recorded is forgotten.
    pub fn crashed(&mut self) {
        self.heard.clear();
        self.under_way.clear();
    }

    /// Writes that have just become durable; what does not hold.
    pub fn durable(&mut self, writes: &[Write], marks: &mut Marks) -> Vec<String> {
        let mut problems = Vec::new();
        self.admits = self.enabled;
        for write in writes {
            match write {
                Write::Destinations(destinations::Write::Destination(_, Some(destination))) => {
                    self.enabled = destination.status == Status::Enabled;
                    self.admits |= self.enabled;
                    match destination.status {
                        Status::Enabled => marks.sometimes("destination confirmed"),
                        Status::Disabled => marks.sometimes("destination disabled"),
                        Status::Error => marks.sometimes("destination could not be asked"),
                        Status::InProgress => {}
                    }
                }
                Write::Errand(errands::Write::Errand(errand, Some(record))) => {
                    self.recorded(*errand, record, marks);
                }
                Write::Errand(errands::Write::Errand(errand, None)) => {
                    problems.extend(self.closed(*errand, marks));
                }
                Write::Tables(tables::Write::Item(_, Some(item))) => {
                    problems.extend(self.item(item));
                }
                _ => {}
            }
        }
        if !self.evaluated.is_empty() {
            problems.push(format!("P1: evaluated and not stored: {:?}", self.evaluated));
            self.evaluated.clear();
        }
        for (message, [times, documents]) in &mut self.given_up {
            if times != documents {
                problems.push(format!(
                    "P1: message {message} given up {times} times, {documents} error documents"
                ));
                *documents = *times;
            }
        }
        problems
    }

    fn recorded(&mut self, errand: u64, record: &Errand, marks: &mut Marks) {
        let Some(message) = number(&record.run.message.payload) else { return };
        let queue = match &record.stage {
            Stage::Evaluate { .. } => &mut self.evaluating,
            Stage::Deliver { failed, due, .. } => {
                if *failed > 0 && self.attempts.insert(errand, *failed).is_none() {
                    marks.sometimes("delivery tried again");
                }
                self.heard.remove(&errand);
                if due.is_some() {
                    self.pausing.insert(errand);
                } else {
                    self.pausing.remove(&errand);
                }
                &mut self.delivering
            }
        };
        if queue.iter().all(|(known, _)| *known != errand) {
            if !queue.is_empty() {
                marks.sometimes("message waited for an earlier one of its device");
            }
            queue.push_back((errand, message));
        }
    }

    fn closed(&mut self, errand: u64, marks: &mut Marks) -> Option<String> {
        if let Some((_, message)) = self.evaluating.pop_front_if(|(first, _)| *first == errand) {
            self.evaluated.push_back(message);
            return None;
        }
        let Some((_, message)) = self.delivering.pop_front_if(|(first, _)| *first == errand) else {
            return Some(format!("P1: errand {errand} ended before earlier ones"));
        };
        self.left.remove(&errand);
        self.pausing.remove(&errand);
        let failed = self.attempts.remove(&errand).unwrap_or_default();
        let problem = match self.heard.remove(&errand) {
            Some(Heard::Arrived) => {
                self.arrived.insert(message);
                return None;
            }
            Some(Heard::Failed) if failed + 1 < ATTEMPTS_MAX => {
                Some(format!("P1: errand {errand} given up after {} attempts", failed + 1))
            }
            Some(Heard::Failed) => {
                marks.sometimes("delivery failed each time");
                None
            }
            Some(Heard::Refused) => {
                marks.sometimes("delivery refused for good");
                None
            }
            None if self.enabled => Some(format!("P1: errand {errand} ended and nobody said so")),
            None => {
                marks.sometimes("delivery had no enabled destination");
                None
            }
        };
        self.given_up.entry(message).or_default()[0] += 1;
        problem
    }

    /// An item of the rule's table, or of its error action's.
    fn item(&mut self, item: &Item) -> Option<String> {
        let decoded = |name| number(&STANDARD.decode(item.string(name)?).ok()?);
        if let Some(message) = decoded("base64OriginalPayload") {
            self.given_up.entry(message).or_default()[1] += 1;
        }
        let message = decoded("data")?;
        self.stored.insert(message);
        let next = self.evaluated.pop_front();
        (next != Some(message)).then(|| format!("P1: stored {message} in place of {next:?}"))
    }

    /// An effect that leaves the process now; what does not hold.
    pub fn leaves(&mut self, effect: &Effect, marks: &mut Marks) -> Option<String> {
        let mut problem = None;
        let (errand, first, again) = match effect {
            Effect::Invoke { caller: InvokedBy::Rule { errand, .. }, .. } => {
                (*errand, self.evaluating.front(), "function asked again by a rule after a crash")
            }
            Effect::Deliver { errand, delivery } => {
                let first = self.delivering.front().copied();
                problem = self.attempted(*errand, first, delivery, marks);
                (*errand, self.delivering.front(), "delivery attempted again")
            }
            _ => return None,
        };
        if !self.left.insert(errand) {
            marks.sometimes(again);
        }
        if first.map(|(first, _)| *first) == Some(errand) {
            return problem;
        }
        Some(format!("P2: errand {errand} left before it was durable, or before {first:?}"))
    }

    /// An attempt to deliver begins; what does not hold.
    fn attempted(
        &mut self,
        errand: u64,
        first: Option<(u64, u16)>,
        delivery: &Delivery,
        marks: &mut Marks,
    ) -> Option<String> {
        let Delivery::Http(http) = delivery;
        let body = Json::parse_bytes(&http.body).unwrap_or_default();
        let data = body.member("data").and_then(Json::as_str).unwrap_or_default();
        let message = number(&STANDARD.decode(data).unwrap_or_default());
        if !self.left.contains(&errand) {
            self.first_left.extend(message);
        } else if !self.attempts.contains_key(&errand) {
            marks.sometimes("delivery repeated after a crash");
        }
        if !self.under_way.insert(errand) {
            return Some(format!("P2: errand {errand} left while it was under way"));
        }
        if self.pausing.contains(&errand) {
            return Some(format!("P2: errand {errand} left before its time"));
        }
        if !self.admits {
            return Some(format!("P2: errand {errand} left, and its destination is not enabled"));
        }
        let own = first.filter(|(first, _)| *first == errand).map(|(_, message)| message);
        (own != message)
            .then(|| format!("P2: errand {errand} of message {own:?} carries {message:?}"))
    }

    /// What the process now hears.
    pub fn hears(&mut self, input: &Input, marks: &mut Marks) {
        match input {
            Input::Delivered { errand, result } => {
                self.under_way.remove(errand);
                let heard = match result {
                    Ok(()) => Heard::Arrived,
                    Err(NotDelivered { again: true, .. }) => Heard::Failed,
                    Err(NotDelivered { again: false, .. }) => Heard::Refused,
                };
                self.heard.insert(*errand, heard);
            }
            Input::FunctionReturned {
                caller: InvokedBy::Rule { .. }, result: Ok(invoked), ..
            } if invoked.failed => {
                marks.sometimes("function had no answer for a rule");
            }
            _ => {}
        }
    }

    /// At the end of a world: nothing is owed, and each of these messages was stored and arrived
    /// or was given up. First attempts were made in the order in which the messages were taken.
    pub fn problems(&self, acknowledged: impl Iterator<Item = u16>) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.evaluating.is_empty() || !self.delivering.is_empty() {
            let left = (&self.evaluating, &self.delivering);
            problems.push(format!("P1: rules still owe {left:?}"));
        }
        for message in acknowledged {
            if !self.stored.contains(&message) {
                problems.push(format!("P1: no rule stored message {message}"));
            }
            let told = self.arrived.contains(&message) || self.given_up.contains_key(&message);
            if !told {
                problems.push(format!("P1: message {message} was never delivered"));
            }
        }
        for of in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut seen = BTreeSet::new();
            let firsts = self.first_left.iter().filter(|n| qos(**n) == of && seen.insert(**n));
            if !firsts.is_sorted() {
                problems.push(format!("P1: {of:?} delivered out of order: {:?}", self.first_left));
            }
        }
        if !self.enabled {
            problems.push("P1: the destination was confirmed and is not enabled".to_owned());
        }
        problems
    }
}
