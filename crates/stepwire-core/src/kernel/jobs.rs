//! Jobs of rules: beginning them, and what comes of them.

use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::{Kernel, Step};
use crate::rules::Run;
use crate::rules::jobs::{Delivery, Job, NotDelivered, Place, Stage};
use crate::write::Write;

impl Kernel {
    /// Has the result of an action of a rule delivered, in order with the others of its kind.
    pub(crate) fn owe(
        &mut self,
        run: &Run,
        place: Place,
        delivery: Delivery,
        step: &mut Step,
    ) -> Result<(), String> {
        let payload = self.rules.payload(&run.rule).ok_or("the rule is gone")?;
        let stage = Stage::Deliver { place, delivery, failed: 0, due: None };
        self.add_job(Job { run: run.clone(), payload, stage }, step)
    }

    fn add_job(&mut self, job: Job, step: &mut Step) -> Result<(), String> {
        let mut writes = Vec::new();
        let added = self.jobs.add(job, &self.settings.quotas, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::RuleJob));
        if let Some(number) = added? {
            self.begin_job(number, step);
        }
        Ok(())
    }

    /// Begins a job that is the first of its lane, or goes on with it.
    pub(super) fn begin_job(&mut self, number: u64, step: &mut Step) {
        let mut writes = Vec::new();
        let begun = self.jobs.begin(number, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::RuleJob));
        if let Some(delivery) = begun {
            self.let_leave(number, delivery, step);
        }
    }

    /// Goes on with jobs whose time has come.
    pub(super) fn go_on_with_jobs(&mut self, now: Timestamp, step: &mut Step) {
        for number in self.jobs.overdue(now) {
            self.begin_job(number, step);
        }
    }

    /// An attempt to deliver has ended.
    pub(super) fn delivered(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<(), NotDelivered>,
        step: &mut Step,
    ) {
        let Some(job) = self.jobs.get(number).map(Arc::clone) else { return };
        let mut writes = Vec::new();
        let again = matches!(&result, Err(NotDelivered { again: true, .. }));
        if again && self.jobs.try_again(number, now, &mut writes) {
            step.writes.extend(writes.into_iter().map(Write::RuleJob));
            return;
        }
        let next = self.jobs.close(number, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::RuleJob));
        if let Err(NotDelivered { why, .. }) = result {
            self.give_up(&job, &why, step);
        }
        if let Some(next) = next {
            self.begin_job(next, step);
        }
    }
}
