//! Jobs: what rules still owe for messages that they took.
//!
//! An action whose result leaves the node, and a statement that asks a function, take longer than
//! the commit that takes the message. What is left to do is a durable [`Job`] of that commit: it is
//! there before the message is acknowledged, goes on after a restart, and ends with the success of
//! what it is for or with the rule's error action. Jobs of one rule, place in it and device are
//! done in order, one after the other; the others do not wait for them.
//!
//! Read in this order: [`Job`], [`Jobs`].

mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

pub use record::{Delivery, Job, NotDelivered, Place, Stage, Write};

use crate::quotas::Quotas;
use crate::record::{Corrupt, Space};
use record::Lane;

/// The wait before the second attempt; each further one is twice as long.
const RETRY_MS: i64 = 1_000;

/// The jobs of a shard.
#[derive(Debug, Default)]
pub struct Jobs {
    jobs: BTreeMap<u64, Held>,
    /// Of all their records.
    bytes: usize,
    /// Larger than every number there has been while it was here.
    next: u64,
    /// Derived from `jobs`: none is empty, and the first of each is being done.
    lanes: BTreeMap<Lane, BTreeSet<u64>>,
    /// Derived from `jobs`: those that wait for a time.
    deadlines: BTreeSet<(Timestamp, u64)>,
}

#[derive(Debug, PartialEq)]
struct Held {
    job: Arc<Job>,
    bytes: usize,
}

impl PartialEq for Jobs {
    fn eq(&self, other: &Self) -> bool {
        self.jobs == other.jobs
            && self.bytes == other.bytes
            && self.lanes == other.lanes
            && self.deadlines == other.deadlines
    }
}

impl Jobs {
    /// What recovery loads.
    pub const SPACES: &'static [Space] = &[Space::RuleJob];

    /// The only thing that changes jobs.
    pub fn apply(&mut self, write: &Write) {
        let Write::Job(number, job) = write;
        self.next = self.next.max(number + 1);
        if let Some(before) = self.jobs.remove(number) {
            self.forget(*number, &before);
        }
        let Some(job) = job else { return };
        let held = Held { bytes: job.bytes(), job: Arc::clone(job) };
        self.bytes += held.bytes;
        self.lanes.entry(job.lane()).or_default().insert(*number);
        self.deadlines.extend(job.due().map(|due| (due, *number)));
        self.jobs.insert(*number, held);
    }

    fn forget(&mut self, number: u64, held: &Held) {
        self.bytes -= held.bytes;
        if let Some(due) = held.job.due() {
            self.deadlines.remove(&(due, number));
        }
        let lane = held.job.lane();
        if let Some(numbers) = self.lanes.get_mut(&lane) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    /// Takes in one stored entry of [`Jobs::SPACES`].
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.apply(&Write::load(key, value)?);
        Ok(())
    }

    /// The job of this number.
    pub(crate) fn get(&self, number: u64) -> Option<&Arc<Job>> {
        self.jobs.get(&number).map(|held| &held.job)
    }

    /// Records `job`, if there is room for it; else why there is none. Its number if it is the
    /// first of its lane: it is to begin then.
    pub(crate) fn add(
        &mut self,
        job: Job,
        quotas: &Quotas,
        out: &mut Vec<Write>,
    ) -> Result<Option<u64>, String> {
        let waiting = self.lanes.get(&job.lane()).map_or(0, BTreeSet::len);
        self.has_room(waiting, job.bytes(), quotas)?;
        let number = self.next;
        self.record(Write::Job(number, Some(Arc::new(job))), out);
        Ok((waiting == 0).then_some(number))
    }

    /// A lane may have as many jobs as there is still room for: those with most are refused first.
    fn has_room(&self, waiting: usize, bytes: usize, quotas: &Quotas) -> Result<(), String> {
        let most = usize::try_from(quotas.rule_jobs_max).unwrap_or(usize::MAX);
        if waiting >= most.saturating_sub(self.jobs.len()) {
            return Err(format!(
                "LimitExceeded: {} jobs of rules wait, {waiting} of them for this device; \
                 rule-jobs-max is {most}",
                self.jobs.len()
            ));
        }
        let most = usize::try_from(quotas.rule_job_bytes_max).unwrap_or(usize::MAX);
        if bytes > most.saturating_sub(self.bytes) {
            return Err(format!(
                "LimitExceeded: jobs of rules that wait have {} bytes; rule-job-bytes-max is {most}",
                self.bytes
            ));
        }
        Ok(())
    }

    /// An attempt to deliver begins. What is delivered.
    pub(crate) fn begin(&mut self, number: u64, out: &mut Vec<Write>) -> Option<Delivery> {
        let job = Arc::clone(self.get(number)?);
        let Stage::Deliver { delivery, place, failed, due } = &job.stage;
        if due.is_some() {
            let (delivery, place, failed) = (delivery.clone(), *place, *failed);
            let stage = Stage::Deliver { place, delivery, failed, due: None };
            self.record(Write::Job(number, Some(Arc::new(Job { stage, ..Job::clone(&job) }))), out);
        }
        Some(delivery.clone())
    }

    /// An attempt to deliver has failed. Whether there will be another.
    pub(crate) fn try_again(&mut self, number: u64, now: Timestamp, out: &mut Vec<Write>) -> bool {
        let Some(job) = self.get(number) else { return false };
        let Stage::Deliver { delivery, place, failed, .. } = &job.stage;
        let failed = failed.saturating_add(1);
        if failed >= delivery.attempts_max() {
            return false;
        }
        let due = Some(now.plus_ms(RETRY_MS << (failed - 1).min(10)));
        let stage = Stage::Deliver { place: *place, delivery: delivery.clone(), failed, due };
        let job = Job { stage, ..Job::clone(job) };
        self.record(Write::Job(number, Some(Arc::new(job))), out);
        true
    }

    /// A job is done with. The next of its lane, which is to begin.
    pub(crate) fn close(&mut self, number: u64, out: &mut Vec<Write>) -> Option<u64> {
        let lane = self.get(number)?.lane();
        self.record(Write::Job(number, None), out);
        self.lanes.get(&lane)?.first().copied()
    }

    fn record(&mut self, write: Write, out: &mut Vec<Write>) {
        self.apply(&write);
        out.push(write);
    }

    /// When the next job goes on that waits for a time.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Jobs whose time has come.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<u64> {
        let due = self.deadlines.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, number)| *number).collect()
    }

    /// Jobs that were being done when the node ended.
    pub(crate) fn interrupted(&self) -> Vec<u64> {
        let firsts = self.lanes.values().filter_map(|numbers| numbers.first());
        let waits = |number: &u64| self.get(*number).is_some_and(|job| job.due().is_some());
        let mut firsts: Vec<u64> = firsts.filter(|number| !waits(number)).copied().collect();
        firsts.sort_unstable();
        firsts
    }

    /// Jobs that are not done with.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether every job is done with.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}
