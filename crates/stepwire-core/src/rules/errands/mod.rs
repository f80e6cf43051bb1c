//! Errands: what rules still owe for messages that they took.
//!
//! An action whose result leaves the node, and a statement that asks a function, take longer than
//! the commit that takes the message. What is left to do is a durable [`Errand`] of that commit: it is
//! there before the message is acknowledged, goes on after a restart, and ends with the success of
//! what it is for or with the rule's error action. Errands of one rule, place in it and device are
//! done in order, one after the other; the others do not wait for them.
//!
//! Read in this order: [`Errand`], [`Errands`].

mod batch;
mod evaluation;
mod known;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

pub use evaluation::Evaluation;
pub(crate) use known::{Known, NO_ROLE};
pub use record::{Delivery, Errand, NotDelivered, Place, Stage, Told, Write};

use crate::message::Message;
use crate::quotas::Quotas;
use crate::record::{Corrupt, Space};
use crate::rules::sql::Question;
use record::Lane;

/// The wait before the second attempt; each further one is twice as long.
const RETRY_MS: i64 = 1_000;

/// The errands of a shard.
#[derive(Debug, Default)]
pub struct Errands {
    errands: BTreeMap<u64, Held>,
    /// Of all their records.
    bytes: usize,
    /// Larger than every number there has been while it was here.
    next: u64,
    /// Derived from `errands`: none is empty, and the first of each is being done.
    lanes: BTreeMap<Lane, BTreeSet<u64>>,
    /// Derived from `errands`: those that wait for a time.
    deadlines: BTreeSet<(Timestamp, u64)>,
    /// Questions that are being answered, by errand and number. Not durable: after a restart errands ask
    /// again.
    asked: BTreeMap<(u64, u64), Question>,
    next_question: u64,
    /// Errands whose request is one, by the first of them, from its first attempt on. Not durable: after
    /// a restart they may share it with others.
    shared: BTreeMap<u64, Vec<u64>>,
}

#[derive(Debug, PartialEq)]
struct Held {
    errand: Arc<Errand>,
    bytes: usize,
}

impl PartialEq for Errands {
    fn eq(&self, other: &Self) -> bool {
        self.errands == other.errands
            && self.bytes == other.bytes
            && self.lanes == other.lanes
            && self.deadlines == other.deadlines
    }
}

impl Errands {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::Errand];

    /// The only thing that changes errands.
    pub fn apply(&mut self, write: &Write) {
        let Write::Errand(number, errand) = write;
        self.next = self.next.max(number + 1);
        if let Some(before) = self.errands.remove(number) {
            self.forget(*number, &before);
        }
        let Some(errand) = errand else { return };
        let held = Held { bytes: errand.bytes(), errand: Arc::clone(errand) };
        self.bytes += held.bytes;
        self.lanes.entry(errand.lane()).or_default().insert(*number);
        self.deadlines.extend(errand.due().map(|due| (due, *number)));
        self.errands.insert(*number, held);
    }

    fn forget(&mut self, number: u64, held: &Held) {
        self.bytes -= held.bytes;
        if let Some(due) = held.errand.due() {
            self.deadlines.remove(&(due, number));
        }
        let lane = held.errand.lane();
        if let Some(numbers) = self.lanes.get_mut(&lane) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    /// Takes in one stored entry of [`Errands::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&Write::load(key, value)?);
        Ok(())
    }

    /// The errand of this number.
    pub(crate) fn get(&self, number: u64) -> Option<&Arc<Errand>> {
        self.errands.get(&number).map(|held| &held.errand)
    }

    /// Records `errand`, if there is room for it; else why there is none. The number of the errand that is
    /// to begin then: its own if it is the first of its lane, or the first of the batch that it fills.
    pub(crate) fn add(
        &mut self,
        mut errand: Errand,
        quotas: &Quotas,
        out: &mut Vec<Write>,
    ) -> Result<Option<u64>, String> {
        let lane = self.lanes.get(&errand.lane());
        let waiting = lane.map_or(0, BTreeSet::len);
        let first = lane.and_then(BTreeSet::first).copied();
        self.has_room(waiting, errand.bytes(), quotas)?;
        let number = self.next;
        let batch = batch::batch(&errand);
        if let (None, Some(batch)) = (first, batch) {
            errand.wait_for_others(batch);
        }
        self.record(Write::Errand(number, Some(Arc::new(errand))), out);
        Ok(match batch {
            None => (waiting == 0).then_some(number),
            Some(batch) => first.filter(|first| self.is_full(*first, batch)),
        })
    }

    /// A lane may have as many errands as there is still room for: those with most are refused first.
    fn has_room(&self, waiting: usize, bytes: usize, quotas: &Quotas) -> Result<(), String> {
        let most = usize::try_from(quotas.errands_max).unwrap_or(usize::MAX);
        if waiting >= most.saturating_sub(self.errands.len()) {
            return Err(format!(
                "LimitExceeded: {} errands of rules wait, {waiting} of them for this device; \
                 errands-max is {most}",
                self.errands.len()
            ));
        }
        let most = usize::try_from(quotas.errand_bytes_max).unwrap_or(usize::MAX);
        if bytes > most.saturating_sub(self.bytes) {
            return Err(format!(
                "LimitExceeded: errands of rules that wait have {} bytes; errand-bytes-max is {most}",
                self.bytes
            ));
        }
        Ok(())
    }

    /// Whether a message would have to wait for earlier ones that this rule still evaluates.
    pub(crate) fn is_waited_for(&self, rule: &Arc<str>, message: &Message) -> bool {
        let waits = |lane| self.lanes.contains_key(&lane);
        !self.is_empty() && waits(Lane::of(rule, Place::Statement, message))
    }

    /// An attempt to deliver begins. What is delivered.
    pub(crate) fn begin(&mut self, number: u64, out: &mut Vec<Write>) -> Option<Delivery> {
        let mut errand = Errand::clone(self.get(number)?);
        let batch = batch::batch(&errand);
        let Stage::Deliver { delivery, due, .. } = &mut errand.stage else { return None };
        let delivery = match batch {
            None => delivery.clone(),
            Some(batch) => Delivery::Http(self.share(number, batch)?),
        };
        if due.take().is_some() {
            self.record(Write::Errand(number, Some(Arc::new(errand))), out);
        }
        Some(delivery)
    }

    /// An attempt to deliver has failed. Whether there will be another.
    pub(crate) fn try_again(&mut self, number: u64, now: Timestamp, out: &mut Vec<Write>) -> bool {
        let Some(errand) = self.get(number) else { return false };
        let mut errand = Errand::clone(errand);
        let Stage::Deliver { delivery, failed, due, .. } = &mut errand.stage else { return false };
        *failed = failed.saturating_add(1);
        if *failed >= delivery.attempts_max() {
            return false;
        }
        *due = Some(now.plus_ms(RETRY_MS << (*failed - 1).min(10)));
        self.record(Write::Errand(number, Some(Arc::new(errand))), out);
        true
    }

    /// Notes that an errand asks something. The question's number.
    pub(crate) fn ask(&mut self, number: u64, question: Question) -> u64 {
        self.next_question += 1;
        self.asked.insert((number, self.next_question), question);
        self.next_question
    }

    /// Whether an errand waits for answers.
    pub(crate) fn waits_for_answers(&self, number: u64) -> bool {
        self.asked.range((number, 0)..=(number, u64::MAX)).next().is_some()
    }

    /// Records the answer to a question. Whether the errand still waited for it.
    pub(crate) fn tell(
        &mut self,
        number: u64,
        question: u64,
        answer: Option<Json>,
        out: &mut Vec<Write>,
    ) -> Option<Arc<Errand>> {
        let question = self.asked.remove(&(number, question))?;
        let mut errand = Errand::clone(self.get(number)?);
        let Stage::Evaluate { told } = &mut errand.stage else { return None };
        told.push(Told { question, answer });
        let errand = Arc::new(errand);
        self.record(Write::Errand(number, Some(Arc::clone(&errand))), out);
        Some(errand)
    }

    /// An errand is done with, and those that shared its request. The next of its lane, which is to begin.
    pub(crate) fn close(&mut self, number: u64, out: &mut Vec<Write>) -> Option<u64> {
        let lane = self.get(number)?.lane();
        let sharing = self.shared.remove(&number).unwrap_or_else(|| vec![number]);
        sharing.into_iter().for_each(|number| self.record(Write::Errand(number, None), out));
        self.lanes.get(&lane)?.first().copied()
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    /// When the next errand goes on that waits for a time.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Errands whose time has come.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<u64> {
        let due = self.deadlines.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, number)| *number).collect()
    }

    /// Errands that were being done when the node ended.
    pub(crate) fn interrupted(&self) -> Vec<u64> {
        let firsts = self.lanes.values().filter_map(|numbers| numbers.first());
        let waits = |number: &u64| self.get(*number).is_some_and(|errand| errand.due().is_some());
        let mut firsts: Vec<u64> = firsts.filter(|number| !waits(number)).copied().collect();
        firsts.sort_unstable();
        firsts
    }

    /// Errands that are not done with.
    pub fn len(&self) -> usize {
        self.errands.len()
    }

    /// Whether every errand is done with.
    pub fn is_empty(&self) -> bool {
        self.errands.is_empty()
    }
}
