//! What rules owe: each message that a rule took was evaluated in order, and what came of it was
//! delivered or given up, once each.
//!
//! Every message of the writer that is not retained goes to one rule, whose statement asks a function.
//! Its result is stored, and delivered to a server. All of it comes from one client, so there is one
//! order: that in which the messages were taken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_core::rules::jobs::{self, Job, NotDelivered, Stage};
use stepwire_core::tables::{self, Item};
use stepwire_core::{Effect, Input, Write, functions::InvokedBy};

use crate::chatter::number;
use crate::marks::Marks;

/// The picture that records, effects and answers give.
#[derive(Debug, Default)]
pub struct Owed {
    /// Messages that are to be evaluated, in order, by job.
    evaluating: VecDeque<(u64, u16)>,
    /// Messages whose evaluation has ended in this batch, and which are to be stored.
    evaluated: VecDeque<u16>,
    /// Messages that are to be delivered, in order, by job.
    delivering: VecDeque<(u64, u16)>,
    /// Questions and deliveries that have left, by job.
    left: BTreeSet<u64>,
    /// Whether the last attempt that the process heard of failed, by job.
    failed: BTreeMap<u64, bool>,
    /// Attempts that failed and may be made again, by job.
    attempts: BTreeMap<u64, u32>,
    /// Messages whose result has been stored.
    stored: BTreeSet<u16>,
    /// Messages that arrived.
    arrived: BTreeSet<u16>,
    /// How often the delivery of a message was given up, and the error action ran for it.
    given_up: BTreeMap<u16, [u32; 2]>,
}

impl Owed {
    /// Writes that have just become durable; what does not hold.
    pub fn durable(&mut self, writes: &[Write], marks: &mut Marks) -> Vec<String> {
        let mut problems = Vec::new();
        for write in writes {
            match write {
                Write::RuleJob(jobs::Write::Job(job, Some(record))) => {
                    self.recorded(*job, record, marks);
                }
                Write::RuleJob(jobs::Write::Job(job, None)) => {
                    problems.extend(self.closed(*job, marks));
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
        problems
    }

    fn recorded(&mut self, job: u64, record: &Job, marks: &mut Marks) {
        let Some(message) = number(&record.run.message.payload) else { return };
        let queue = match &record.stage {
            Stage::Evaluate { .. } => &mut self.evaluating,
            Stage::Deliver { failed, .. } => {
                if *failed > 0 && self.attempts.insert(job, u32::from(*failed)).is_none() {
                    marks.sometimes("delivery tried again");
                }
                &mut self.delivering
            }
        };
        if queue.iter().all(|(known, _)| *known != job) {
            if !queue.is_empty() {
                marks.sometimes("message waited for an earlier one of its device");
            }
            queue.push_back((job, message));
        }
    }

    fn closed(&mut self, job: u64, marks: &mut Marks) -> Option<String> {
        if let Some((_, message)) = self.evaluating.pop_front_if(|(first, _)| *first == job) {
            self.evaluated.push_back(message);
            return None;
        }
        let Some((_, message)) = self.delivering.pop_front_if(|(first, _)| *first == job) else {
            return Some(format!("P1: job {job} ended before earlier ones"));
        };
        match self.failed.remove(&job) {
            Some(false) => {
                self.arrived.insert(message);
            }
            Some(true) => {
                marks.sometimes("delivery given up");
                self.given_up.entry(message).or_default()[0] += 1;
            }
            None => return Some(format!("P1: job {job} ended and nobody said so")),
        }
        None
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
        let (job, first, again) = match effect {
            Effect::Invoke { caller: InvokedBy::Rule { job, .. }, .. } => {
                (*job, self.evaluating.front(), "function asked again by a rule after a crash")
            }
            Effect::Deliver { job, .. } => {
                (*job, self.delivering.front(), "delivery repeated after a crash or a failure")
            }
            _ => return None,
        };
        if !self.left.insert(job) {
            marks.sometimes(again);
        }
        (first.map(|(first, _)| *first) != Some(job))
            .then(|| format!("P2: job {job} left before it was durable, or before {first:?}"))
    }

    /// What the process now hears.
    pub fn hears(&mut self, input: &Input, marks: &mut Marks) {
        match input {
            Input::Delivered { job, result } => {
                self.failed.insert(*job, result.is_err());
                if matches!(result, Err(NotDelivered { again: false, .. })) {
                    marks.sometimes("delivery refused for good");
                }
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
    /// or was given up, with an error document for each time.
    pub fn problems(&self, acknowledged: impl Iterator<Item = u16>, delivers: bool) -> Vec<String> {
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
            if delivers && !told {
                problems.push(format!("P1: message {message} was never delivered"));
            }
        }
        for (message, [times, documents]) in &self.given_up {
            if times != documents {
                problems.push(format!(
                    "P1: message {message} given up {times} times, {documents} error documents"
                ));
            }
        }
        problems
    }
}
