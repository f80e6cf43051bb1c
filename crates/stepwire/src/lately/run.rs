//! One execution, as far as lists show it.

use std::sync::Arc;

use stepwire_asl::history::{Detail, Trouble};
use stepwire_asl::{HistoryEvent, Timestamp};
use stepwire_core::executions::{ExecutionId, ExecutionRecord, Origin, Status};

/// Open states that are known of one execution; branches beyond them are not told apart.
const OPEN_MAX: usize = 32;

/// What an open state waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It is at work.
    Nothing,
    /// Whoever has its task token: a device.
    Device,
    /// A time: of a Wait state, or of a retry.
    Time(Timestamp),
    /// A worker of an activity.
    Worker,
    /// Another execution, or a map run.
    Child,
}

/// A state that was entered and not left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    /// The branch that it is in; a branch without a state has none yet.
    frame: u32,
    /// The branch of the Parallel or Map state around it.
    parent: u32,
    name: Option<Arc<str>>,
    waits: Waits,
    /// It was aborted.
    halted: bool,
    /// Since when it has waited, or been at work.
    since: Timestamp,
}

impl Open {
    fn new(frame: u32, parent: u32, name: Option<Arc<str>>, since: Timestamp) -> Open {
        Open { frame, parent, name, waits: Waits::Nothing, halted: false, since }
    }
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: ExecutionId,
    /// Name of its state machine.
    pub(crate) workflow: Arc<str>,
    /// Its own name.
    pub(crate) name: Arc<str>,
    pub(crate) status: Status,
    pub(crate) started: Timestamp,
    pub(crate) stopped: Option<Timestamp>,
    /// Of one that did not succeed, if it says.
    pub(crate) error: Option<Arc<str>>,
    pub(crate) origin: Option<Arc<Origin>>,
    /// How often it was redriven.
    pub(crate) redrives: u32,
    /// The last event that is folded in.
    seq: u64,
    open: Vec<Open>,
}

impl Run {
    /// One that an event has begun; `None` if it is none of a Standard workflow.
    pub(super) fn begun(id: ExecutionId, arn: &str, event: &HistoryEvent) -> Option<Run> {
        let mut parts = arn.splitn(8, ':').skip(5);
        let (kind, workflow, name) = (parts.next()?, parts.next()?, parts.next()?);
        let run = Run::unread(id, workflow.into(), name.into(), event.at);
        (kind == "execution").then_some(run)
    }

    /// One whose history is still to be folded in.
    fn unread(id: ExecutionId, workflow: Arc<str>, name: Arc<str>, started: Timestamp) -> Run {
        Run {
            id,
            workflow,
            name,
            status: Status::Running,
            started,
            stopped: None,
            error: None,
            origin: None,
            redrives: 0,
            seq: 0,
            open: Vec::new(),
        }
    }

    /// One that is stored, without its history.
    pub(super) fn stored(id: ExecutionId, workflow: Arc<str>, record: &ExecutionRecord) -> Run {
        let mut run = Run::unread(id, workflow, Arc::clone(&record.name), record.started);
        run.record(record);
        run
    }

    /// Takes over what its summary says.
    pub(super) fn record(&mut self, record: &ExecutionRecord) {
        self.status = record.status;
        self.stopped = record.stopped;
        self.origin.clone_from(&record.origin);
        self.redrives = record.redrives();
    }

    /// The device that it is about.
    pub(crate) fn device(&self) -> Option<&Arc<str>> {
        self.origin.as_deref().and_then(Origin::device)
    }

    /// The state that says most of where it is, or where it ended: one that waits for a device, else
    /// the innermost.
    fn here(&self) -> Option<&Open> {
        let named = || self.open.iter().filter(|open| open.name.is_some());
        let waiting = named().find(|open| open.waits == Waits::Device);
        waiting.or_else(|| named().max_by_key(|open| (!open.halted, open.frame, open.since)))
    }

    /// Name of that state. Of one that succeeded there is none.
    pub(crate) fn state(&self) -> Option<&Arc<str>> {
        self.here()?.name.as_ref()
    }

    /// Since when it has waited there, or been at work.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        Some(self.here()?.since)
    }

    /// What it waits for; nothing once it has ended.
    pub(crate) fn waits(&self) -> Waits {
        let here = self.here().filter(|_| self.status == Status::Running);
        here.map_or(Waits::Nothing, |open| open.waits)
    }

    /// Folds in an event; one that is folded in already changes nothing.
    pub(super) fn apply(&mut self, event: &HistoryEvent) {
        if event.seq <= self.seq {
            return;
        }
        self.seq = event.seq;
        let (frame, at) = (event.frame, event.at);
        match &event.detail {
            Detail::Entered { name, .. } => self.enter(frame, name, at),
            Detail::Exited { next, .. } => {
                self.close_within(frame);
                if next.is_none() && frame > 0 {
                    self.open.retain(|open| open.frame != frame);
                } else if let Some(open) = self.frame(frame) {
                    open.name = None;
                }
            }
            Detail::Aborted(_) => {
                self.wait(frame, Waits::Nothing, at);
                if let Some(open) = self.frame(frame) {
                    open.halted = true;
                }
            }
            Detail::BranchStarted { parent, .. } => self.push(Open::new(frame, *parent, None, at)),
            Detail::ParallelStarted(_) | Detail::MapStarted { .. } => self.close_within(frame),
            Detail::Scheduled { resource_type, resource, .. } => {
                self.wait(frame, waits(resource_type, resource), at);
            }
            Detail::WaitUntil(until) => self.wait(frame, Waits::Time(*until), at),
            Detail::RetryScheduled { due, .. } => self.wait(frame, Waits::Time(*due), at),
            Detail::RetryDue
            | Detail::TaskSucceeded { .. }
            | Detail::TaskEnded { .. }
            | Detail::ActivityStarted { .. } => self.wait(frame, Waits::Nothing, at),
            Detail::DistributedMapStarted { .. } | Detail::MapRunRedriven { .. } => {
                self.wait(frame, Waits::Child, at);
            }
            Detail::ExecutionSucceeded(_) => {
                self.open.clear();
                self.end(Status::Succeeded, at, None);
            }
            Detail::ExecutionFailed(trouble) => self.end(Status::Failed, at, Some(trouble)),
            Detail::ExecutionTimedOut(trouble) => self.end(Status::TimedOut, at, Some(trouble)),
            Detail::ExecutionAborted(trouble) => self.end(Status::Aborted, at, Some(trouble)),
            Detail::ExecutionRedriven(count) => {
                (self.status, self.stopped, self.error) = (Status::Running, None, None);
                self.redrives = *count;
            }
            _ => {}
        }
    }

    fn enter(&mut self, frame: u32, name: &Arc<str>, at: Timestamp) {
        self.close_within(frame);
        let entered = |parent| Open::new(frame, parent, Some(Arc::clone(name)), at);
        match self.frame(frame) {
            Some(open) => *open = entered(open.parent),
            None => self.push(entered(0)),
        }
    }

    fn push(&mut self, open: Open) {
        if self.open.len() < OPEN_MAX {
            self.open.push(open);
        }
    }

    fn wait(&mut self, frame: u32, waits: Waits, at: Timestamp) {
        if let Some(open) = self.frame(frame) {
            (open.waits, open.halted, open.since) = (waits, false, at);
        }
    }

    fn end(&mut self, status: Status, at: Timestamp, trouble: Option<&Trouble>) {
        self.status = status;
        self.stopped = Some(at);
        self.error = trouble.and_then(|trouble| trouble.error.clone());
    }

    fn frame(&mut self, frame: u32) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.frame == frame)
    }

    /// Branches in `frame`, and in those, are over.
    fn close_within(&mut self, frame: u32) {
        let mut over = vec![frame];
        while let Some(parent) = over.pop() {
            let inside = |open: &Open| open.parent == parent && open.frame != parent;
            over.extend(self.open.iter().filter(|open| inside(open)).map(|open| open.frame));
            self.open.retain(|open| !inside(open));
        }
    }
}

/// What a scheduled task waits for.
fn waits(resource_type: &str, resource: &str) -> Waits {
    let pattern = resource.rsplit_once('.').map(|(_, pattern)| pattern);
    match pattern {
        _ if resource_type == "activity" => Waits::Worker,
        Some("waitForTaskToken") => Waits::Device,
        Some("sync" | "sync:2") => Waits::Child,
        _ => Waits::Nothing,
    }
}
