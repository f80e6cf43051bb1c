//! How executions begin and end, are tried again, canceled, timed out and removed.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::create::{Work, nothing};
use super::record::{self, Execution, ExecutionStatus, JobStatus};
use super::request::Details;
use super::{Jobs, Out, SLICE, Turn, Write, internal, invalid, rollout, told, view};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

impl Jobs {
    /// A thing has a new execution; `before` is what the one before it of this job ended in.
    pub(super) fn begin(
        &mut self,
        work: &mut Work,
        before: Option<ExecutionStatus>,
        execution: Execution,
        turn: &mut Turn<'_>,
    ) {
        self.record(
            Write::OfThing {
                thing: Arc::clone(&execution.thing),
                job: Arc::clone(&execution.job),
                number: execution.number,
                there: true,
            },
            turn.out,
        );
        self.set(work, before, execution, turn);
    }

    /// Records an execution as it now is.
    pub(super) fn set(
        &mut self,
        work: &mut Work,
        before: Option<ExecutionStatus>,
        execution: Execution,
        turn: &mut Turn<'_>,
    ) {
        self.before(&execution.thing, turn.out);
        work.progress.count(before, Some(execution.status));
        let execution = Arc::new(execution);
        let (thing, job) = (Arc::clone(&execution.thing), Arc::clone(&execution.job));
        let ended = execution.status.is_terminal();
        self.record(Write::Execution(Arc::clone(&execution)), turn.out);
        if ended {
            told::execution_event(&execution, false, turn);
        }
        let execution = (!ended).then_some(execution);
        self.record(Write::Open { thing, job, execution }, turn.out);
    }

    /// An execution ends; it is tried again if the job says so.
    pub(super) fn end(
        &mut self,
        work: &mut Work,
        open: &Execution,
        status: ExecutionStatus,
        details: Option<Details>,
        turn: &mut Turn<'_>,
    ) {
        let ended = Execution {
            status,
            details: details.unwrap_or_else(|| open.details.clone()),
            updated: turn.now,
            version: open.version + 1,
            force_canceled: status == ExecutionStatus::Canceled
                && open.status == ExecutionStatus::InProgress,
            until: None,
            step_until: None,
            ..open.clone()
        };
        let config = &work.job.config;
        let again = work.progress.status == JobStatus::InProgress
            && !work.progress.ended
            && !open.left
            && config.tries_again(status, open.attempt, open.timeouts);
        if !again {
            return self.set(work, Some(open.status), ended, turn);
        }
        self.before(&open.thing, turn.out);
        let timeouts = open.timeouts + u32::from(status == ExecutionStatus::TimedOut);
        let next = Execution {
            number: open.number + 1,
            attempt: open.attempt + 1,
            timeouts,
            status: ExecutionStatus::Queued,
            details: Details::new(),
            queued: turn.now,
            started: None,
            version: 1,
            ..ended.clone()
        };
        told::execution_event(&ended, false, turn);
        self.record(Write::Execution(Arc::new(ended)), turn.out);
        self.begin(work, Some(open.status), next, turn);
    }

    /// Has executions time out whose time has come: at most so many that no step takes long.
    pub(crate) fn time_out(&mut self, now: Timestamp, settings: &Settings, out: &mut Out) {
        let turn = &mut Turn { now, settings, out };
        let due = self.deadlines.iter().take_while(|(at, ..)| *at <= now).take(SLICE);
        let due: Vec<_> = due.map(|(_, thing, job)| (Arc::clone(thing), Arc::clone(job))).collect();
        for (thing, job) in due {
            let open = self.open_by(&thing, &job);
            if let (Some(open), Ok(mut work)) = (open, self.work(&job)) {
                self.end(&mut work, &open, ExecutionStatus::TimedOut, None, turn);
                self.close(work, turn);
            }
        }
    }

    /// Cancels some of the executions of a job that is canceled, and takes it from things that do not
    /// know of it yet.
    pub(super) fn cancel_slice(&mut self, work: &mut Work, turn: &mut Turn<'_>) {
        let Some(force) = work.progress.canceling else { return };
        let id = Arc::clone(&work.job.id);
        let open = self.open_of.get(&id).into_iter().flatten();
        let open = open.filter_map(|thing| self.open.get(thing)?.get(&id));
        let canceled = |open: &&Arc<Execution>| force || open.status == ExecutionStatus::Queued;
        let some: Vec<_> = open.filter(canceled).take(SLICE).cloned().collect();
        for open in &some {
            self.end(work, open, ExecutionStatus::Canceled, None, turn);
        }
        let waiting = self.targets.get(&id).into_iter().flatten().take(SLICE);
        let waiting: Vec<_> = waiting.cloned().collect();
        for thing in &waiting {
            self.unwant(work, thing, turn.out);
        }
        if some.len() < SLICE && waiting.len() < SLICE {
            work.progress.canceling = None;
            work.progress.updated = turn.now;
            told::job_event("canceled", &work.job, &work.progress, turn);
        }
    }

    /// Removes some of what there is of a job that is deleted. Whether all of it is gone now.
    pub(super) fn delete_slice(
        &mut self,
        mut work: Work,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<bool, Corrupt> {
        let id = Arc::clone(&work.job.id);
        let executions = record::executions_of(&id, None, SLICE, read)?;
        for execution in &executions {
            self.forget(execution, turn);
        }
        let waiting = self.targets.get(&id).into_iter().flatten().take(SLICE);
        let waiting: Vec<_> = waiting.cloned().collect();
        for thing in &waiting {
            self.unwant(&mut work, thing, turn.out);
        }
        if executions.len() == SLICE || waiting.len() == SLICE {
            self.keep(&work.progress, turn.out);
            return Ok(false);
        }
        rollout::deleted(&work, turn);
        self.record(Write::Job(Arc::clone(&id), None), turn.out);
        self.record(Write::Progress(id, None), turn.out);
        Ok(true)
    }

    /// An execution is kept no longer.
    fn forget(&mut self, execution: &Execution, turn: &mut Turn<'_>) {
        let (job, thing, number) =
            (Arc::clone(&execution.job), Arc::clone(&execution.thing), execution.number);
        let open = self.open.get(&thing).and_then(|open| open.get(&job));
        if open.is_some_and(|open| open.number == number) {
            self.before(&thing, turn.out);
            let (thing, job) = (Arc::clone(&thing), Arc::clone(&job));
            self.record(Write::Open { thing, job, execution: None }, turn.out);
        }
        let of_thing = Write::OfThing {
            thing: Arc::clone(&thing),
            job: Arc::clone(&job),
            number,
            there: false,
        };
        self.record(of_thing, turn.out);
        self.record(Write::Forgotten { job, thing, number }, turn.out);
        told::execution_event(execution, true, turn);
    }

    /// The execution of a job by a thing that has not ended, or the latest there is.
    fn latest(
        &self,
        (job, thing): (&Arc<str>, &Arc<str>),
        read: &dyn Read,
    ) -> Result<Execution, ApiError> {
        if let Some(open) = self.open.get(thing).and_then(|open| open.get(job)) {
            return Ok((**open).clone());
        }
        let found = record::execution(job, thing, None, read).map_err(internal)?;
        found.ok_or_else(|| view::no_execution(job, thing))
    }

    pub(super) fn cancel_execution(
        &mut self,
        of: (&Arc<str>, &Arc<str>),
        force: bool,
        expected: Option<u64>,
        details: &Details,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut work = self.work(of.0)?;
        let latest = self.latest(of, read)?;
        let refuse = |why: &str| {
            let status = latest.status.word();
            let why = format!("The execution cannot be canceled: it is {status}{why}");
            Err(ApiError::new("InvalidStateTransitionException", why))
        };
        if latest.status.is_terminal() {
            return refuse(".");
        }
        if latest.status == ExecutionStatus::InProgress && !force {
            return refuse(", and force is not set.");
        }
        if expected.is_some_and(|expected| expected != latest.version) {
            let why = format!("The version of the execution is {}.", latest.version);
            return Err(ApiError::new("VersionConflictException", why));
        }
        let details = (!details.is_empty()).then(|| details.clone());
        self.end(&mut work, &latest, ExecutionStatus::Canceled, details, turn);
        self.close(work, turn);
        Ok(nothing())
    }

    pub(super) fn delete_execution(
        &mut self,
        (job, thing): (&Arc<str>, &Arc<str>),
        number: u64,
        force: bool,
        read: &dyn Read,
        turn: &mut Turn<'_>,
    ) -> Result<Json, ApiError> {
        let mut work = self.work(job)?;
        let found = record::execution(job, thing, Some(number), read).map_err(internal)?;
        let found = found.ok_or_else(|| view::no_execution(job, thing))?;
        if !found.status.is_terminal() && !force {
            let why = format!(
                "The execution cannot be deleted: it is {}, and force is not set.",
                found.status.word()
            );
            return Err(ApiError::new("InvalidStateTransitionException", why));
        }
        if work.progress.status == JobStatus::DeletionInProgress {
            return Err(invalid("The job is being deleted."));
        }
        self.forget(&found, turn);
        // One that was tried again is not counted: the last attempt is.
        let later = record::execution(job, thing, Some(number + 1), read).map_err(internal)?;
        if later.is_none() {
            work.progress.count(Some(found.status), None);
        }
        self.close(work, turn);
        Ok(nothing())
    }
}
