//! Telling things of a job, at its pace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::Timestamp;

use super::create::Work;
use super::record::{self, Execution, ExecutionStatus, JobStatus};
use super::{Behavior, Jobs, Out, SLICE, Turn, told};
use crate::read::Read;
use crate::record::Corrupt;
use crate::registry::Registry;
use crate::settings::Settings;

const MINUTE_MS: f64 = 60_000.0;

impl Jobs {
    /// When a job next wants something done.
    pub(super) fn job_due(&self, id: &str) -> Option<Timestamp> {
        let (job, progress) = self.jobs.get(id).zip(self.progress.get(id))?;
        if progress.canceling.is_some() {
            return Some(Timestamp(0));
        }
        let schedule = &job.config.schedule;
        match progress.status {
            JobStatus::Scheduled => schedule.start,
            JobStatus::DeletionInProgress => Some(Timestamp(0)),
            JobStatus::InProgress if !progress.ended => {
                let next = (progress.waiting > 0).then_some(progress.next);
                next.into_iter().chain(schedule.end).min()
            }
            JobStatus::InProgress | JobStatus::Completed | JobStatus::Canceled => None,
        }
    }

    /// Jobs that want something done now.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<Arc<str>> {
        let is_due = |id: &&Arc<str>| self.job_due(id).is_some_and(|due| due <= now);
        self.active.iter().filter(is_due).cloned().collect()
    }

    /// Does a slice of what a job wants done. Whether it is gone now.
    pub(crate) fn go_on(
        &mut self,
        now: Timestamp,
        id: &str,
        registry: &Registry,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<bool, Corrupt> {
        let turn = &mut Turn { now, settings, out };
        let Ok(mut work) = self.work(id) else { return Ok(false) };
        if self.job_due(id).is_none_or(|due| due > now) {
            return Ok(false);
        }
        if work.progress.status == JobStatus::DeletionInProgress {
            return self.delete_slice(work, read, turn);
        }
        if work.progress.canceling.is_some() {
            self.cancel_slice(&mut work, turn);
            self.close(work, turn);
            return Ok(false);
        }
        if work.progress.status == JobStatus::Scheduled {
            work.progress.status = JobStatus::InProgress;
            work.progress.next = now;
            let targets = work.job.targets.clone();
            self.aim(&mut work, &targets, registry, turn);
        }
        if work.job.config.schedule.end.is_some_and(|end| end <= now) && !work.progress.ended {
            self.end_rollout(&mut work, turn);
        } else {
            self.roll_out(&mut work, registry, read, turn)?;
        }
        self.close(work, turn);
        Ok(false)
    }

    /// Reads what the next slice of a job reads, so that it is fetched.
    pub(crate) fn prefetch_slice(&self, id: &str, read: &dyn Read) {
        let Ok(work) = self.work(id) else { return };
        if work.progress.status == JobStatus::DeletionInProgress {
            let _ = record::executions_of(id, None, SLICE, read);
        } else if work.job.continuous {
            for thing in self.targets.get(id).into_iter().flatten().take(SLICE) {
                let _ = record::execution(id, thing, None, read);
            }
        }
    }

    /// The end time of a job has come.
    fn end_rollout(&mut self, work: &mut Work, turn: &mut Turn<'_>) {
        work.progress.ended = true;
        match work.job.config.schedule.behavior {
            Some(Behavior::Cancel) => work.cancel(false, turn),
            Some(Behavior::ForceCancel) => work.cancel(true, turn),
            Some(Behavior::StopRollout) | None => {}
        }
        if work.progress.canceling.is_some() {
            self.cancel_slice(work, turn);
        }
    }

    fn roll_out(
        &mut self,
        work: &mut Work,
        registry: &Registry,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<(), Corrupt> {
        let never = Timestamp(i64::MAX);
        let opens = work.job.config.schedule.open_from(turn.now).unwrap_or(never);
        if opens > turn.now {
            work.progress.next = opens;
            return Ok(());
        }
        let (batch, pause_ms) = match &work.job.config.rollout {
            None => (SLICE, 0),
            Some(rollout) => {
                let succeeded = work.progress.counts.succeeded;
                let pace = rollout.per_minute(work.progress.told, succeeded);
                let batch = (pace / 60.0).ceil().max(1.0);
                (batch as usize, (batch * MINUTE_MS / pace).ceil() as i64)
            }
        };
        let things = self.targets.get(&work.job.id).into_iter().flatten();
        for thing in things.take(batch).cloned().collect::<Vec<_>>() {
            self.unwant(work, &thing, turn.out);
            self.tell_thing(work, &thing, registry, read, turn)?;
        }
        work.progress.next = work.progress.next.max(turn.now).plus_ms(pause_ms);
        Ok(())
    }

    /// Tells a thing, if it is there, of a job that it does not do.
    fn tell_thing(
        &mut self,
        work: &mut Work,
        thing: &Arc<str>,
        registry: &Registry,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<(), Corrupt> {
        if registry.things.find(thing).is_none() {
            return Ok(());
        }
        // Only of a continuous job can a thing have done it before.
        let before = if work.job.continuous {
            record::execution(&work.job.id, thing, None, read)?
        } else {
            None
        };
        work.progress.told += 1;
        let execution = Execution {
            job: Arc::clone(&work.job.id),
            thing: Arc::clone(thing),
            number: before.as_ref().map_or(0, |before| before.number) + 1,
            attempt: 0,
            timeouts: 0,
            status: ExecutionStatus::Queued,
            details: BTreeMap::new(),
            queued: turn.now,
            started: None,
            updated: turn.now,
            version: 1,
            force_canceled: false,
            left: false,
            until: None,
            step_until: None,
        };
        self.begin(work, before.map(|before| before.status), execution, turn);
        Ok(())
    }

    /// Jobs that follow the members of groups follow a change of them.
    pub(crate) fn membership_changed(
        &mut self,
        now: Timestamp,
        change: &Membership<'_>,
        registry: &Registry,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, settings, out };
        let Membership { thing, groups, there } = *change;
        let jobs = groups.iter().filter_map(|group| self.following.get(group)).flatten();
        let jobs: BTreeSet<Arc<str>> = jobs.cloned().collect();
        for id in jobs {
            let Ok(mut work) = self.work(&id) else { continue };
            if work.progress.status != JobStatus::InProgress || work.progress.ended {
                continue;
            }
            if there {
                self.join(&mut work, thing, turn);
            } else if !work.still_meant(thing, registry) {
                self.leave(&mut work, thing, turn);
            } else {
                continue;
            }
            self.close(work, turn);
        }
    }

    /// A thing has become a target of a job: it is told at once, whatever the pace, or when a window
    /// opens.
    fn join(&mut self, work: &mut Work, thing: &Arc<str>, turn: &mut Turn<'_>) {
        let id = Arc::clone(&work.job.id);
        if let Some(open) = self.open_by(thing, &id) {
            if open.left {
                let again = Execution { left: false, ..(*open).clone() };
                self.set(work, Some(open.status), again, turn);
            }
        } else if work.job.config.schedule.open_from(turn.now) == Some(turn.now) {
            turn.out.joined.push((id, Arc::clone(thing)));
        } else {
            self.want(work, thing, turn);
        }
    }

    /// Tells a thing of a job that it has become a target of.
    pub(crate) fn tell_joined(
        &mut self,
        now: Timestamp,
        (job, thing): (&Arc<str>, &Arc<str>),
        registry: &Registry,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Out,
    ) -> Result<(), Corrupt> {
        let turn = &mut Turn { now, settings, out };
        let Ok(mut work) = self.work(job) else { return Ok(()) };
        if work.progress.status == JobStatus::InProgress && self.open_by(thing, job).is_none() {
            if self.targets.get(job).is_some_and(|things| things.contains(thing)) {
                self.unwant(&mut work, thing, turn.out);
            }
            self.tell_thing(&mut work, thing, registry, read, turn)?;
            self.close(work, turn);
        }
        Ok(())
    }

    /// A thing is gone: it does no job any more.
    pub(crate) fn thing_gone(
        &mut self,
        now: Timestamp,
        thing: &Arc<str>,
        settings: &Settings,
        out: &mut Out,
    ) {
        let turn = &mut Turn { now, settings, out };
        let told = self.targets.iter().filter(|(_, things)| things.contains(thing));
        let mut jobs: BTreeSet<Arc<str>> = told.map(|(job, _)| Arc::clone(job)).collect();
        jobs.extend(self.open.get(thing).into_iter().flat_map(|open| open.keys().cloned()));
        for id in jobs {
            let Ok(mut work) = self.work(&id) else { continue };
            self.leave(&mut work, thing, turn);
            if let Some(open) = self.open_by(thing, &id) {
                self.end(&mut work, &open, ExecutionStatus::Removed, None, turn);
            }
            self.close(work, turn);
        }
    }

    /// A thing is no target of a job any more: it does not begin it.
    fn leave(&mut self, work: &mut Work, thing: &Arc<str>, turn: &mut Turn<'_>) {
        let id = Arc::clone(&work.job.id);
        if self.targets.get(&id).is_some_and(|things| things.contains(thing)) {
            self.unwant(work, thing, turn.out);
        }
        let Some(open) = self.open_by(thing, &id) else { return };
        if open.status == ExecutionStatus::Queued {
            self.end(work, &open, ExecutionStatus::Removed, None, turn);
        } else {
            // It may end what it has begun; it is not tried again.
            let last = Execution { left: true, ..(*open).clone() };
            self.set(work, Some(open.status), last, turn);
        }
    }
}

/// A thing is in groups from now on, or no longer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Membership<'a> {
    /// The thing.
    pub(crate) thing: &'a Arc<str>,
    /// A group, and those above it.
    pub(crate) groups: &'a [Arc<str>],
    /// Whether it is.
    pub(crate) there: bool,
}

impl Work {
    /// Whether a target of the job names a thing still.
    fn still_meant(&self, thing: &Arc<str>, registry: &Registry) -> bool {
        let mut groups: Vec<Arc<str>> = Vec::new();
        for group in registry.groups.of(thing) {
            groups.push(Arc::clone(&group.name));
            let above = registry.groups.ancestors(&group.name);
            groups.extend(above.iter().map(|group| Arc::clone(&group.name)));
        }
        self.job.targets.iter().any(|target| match target {
            super::Target::Thing(name) => name == thing,
            super::Target::Group(name) => groups.contains(name),
        })
    }
}

/// Tells of a job that is gone.
pub(super) fn deleted(work: &Work, turn: &mut Turn<'_>) {
    told::job_event("deleted", &work.job, &work.progress, turn);
}
