//! What is told of jobs: to the things that do them, and to those who listen to events.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::{Execution, ExecutionStatus, Job, Progress, sort_pending};
use super::{
    Event, Jobs, NOTIFIED_MAX, NOTIFIED_SCHEDULED_MAX, Out, Turn, document, view, whole_seconds,
};
use crate::registry::events::Family;
use crate::settings::Settings;

/// A message to a thing's own topics.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// Topic.
    pub(crate) topic: String,
    /// Payload.
    pub(crate) payload: Json,
}

impl Jobs {
    /// What a thing has still to do, in order: what it has begun, then what has waited longest.
    pub(super) fn pending(&self, thing: &str) -> Vec<&Execution> {
        let open = self.open.get(thing).into_iter().flat_map(|of_thing| of_thing.values());
        let mut pending: Vec<&Execution> = open.map(AsRef::as_ref).collect();
        sort_pending(&mut pending);
        pending
    }

    fn pending_ids(&self, thing: &str) -> Vec<(Arc<str>, u64)> {
        let pending = self.pending(thing).into_iter();
        pending.map(|execution| (Arc::clone(&execution.job), execution.number)).collect()
    }

    /// Notes what a thing has to do before that changes.
    pub(super) fn before(&self, thing: &Arc<str>, out: &mut Out) {
        if !out.before.contains_key(thing) {
            out.before.insert(Arc::clone(thing), self.pending_ids(thing));
        }
    }

    /// What the things are told whose lists of what they have to do have changed.
    pub(crate) fn tell(&self, now: Timestamp, settings: &Settings, out: &mut Out) -> Vec<Told> {
        let mut told = Vec::new();
        // Many things are told of one job at a time.
        let mut documents: BTreeMap<Arc<str>, Option<Json>> = BTreeMap::new();
        for (thing, before) in std::mem::take(&mut out.before) {
            let after = self.pending_ids(&thing);
            let sorted = |mut ids: Vec<(Arc<str>, u64)>| {
                ids.sort();
                ids
            };
            let is_other = before.first() != after.first();
            let topic = |what: &str| format!("$aws/things/{thing}/jobs/{what}");
            // A list in another order is not told of.
            if sorted(before) != sorted(after) {
                told.push(Told { topic: topic("notify"), payload: self.notice(&thing, now) });
            }
            if is_other {
                let next = self.pending(&thing).first().map(|next| {
                    let read = || self.document(&next.job, now, settings);
                    let document =
                        documents.entry(Arc::clone(&next.job)).or_insert_with(read).clone();
                    ("execution", view::pending_execution(next, document, now))
                });
                let payload =
                    Json::object([("timestamp", whole_seconds(now))].into_iter().chain(next));
                told.push(Told { topic: topic("notify-next"), payload });
            }
        }
        told
    }

    /// The document of a job, as JSON.
    pub(super) fn document(&self, job: &str, now: Timestamp, settings: &Settings) -> Option<Json> {
        Json::parse(&document::filled(self.jobs.get(job)?, now, settings)).ok()
    }

    fn notice(&self, thing: &str, now: Timestamp) -> Json {
        let (mut scheduled, mut plain) = (0..NOTIFIED_SCHEDULED_MAX, 0..NOTIFIED_MAX);
        let mut pending = self.pending(thing);
        pending.retain(|execution| {
            let of_schedule = self.jobs.get(&execution.job).is_some_and(|job| job.is_scheduled());
            if of_schedule { scheduled.next() } else { plain.next() }.is_some()
        });
        let of = |status: ExecutionStatus| {
            let those = pending.iter().filter(|execution| execution.status == status);
            let those: Vec<Json> =
                those.map(|execution| view::pending_summary(execution)).collect();
            (!those.is_empty()).then(|| (status.word(), Json::array(those)))
        };
        let both = [of(ExecutionStatus::InProgress), of(ExecutionStatus::Queued)];
        Json::object([
            ("timestamp", whole_seconds(now)),
            ("jobs", Json::object(both.into_iter().flatten())),
        ])
    }
}

/// Tells that an execution has ended, or is gone.
pub(super) fn execution_event(execution: &Execution, deleted: bool, turn: &mut Turn<'_>) {
    let word = if deleted { "DELETED" } else { execution.status.word() };
    let details = execution.details.iter();
    let details = details.map(|(name, value)| (Arc::clone(name), Json::string(Arc::clone(value))));
    let arn = turn.settings.arn("iot", &format!("thing/{}", execution.thing));
    turn.out.events.push(Event {
        family: Family::JobExecution,
        topic: format!("jobExecution/{}/{}", execution.job, word.to_ascii_lowercase()),
        members: vec![
            ("eventType", "JOB_EXECUTION".into()),
            ("eventId", Json::Null),
            ("timestamp", Json::Null),
            ("operation", word.to_ascii_lowercase().into()),
            ("jobId", Json::string(Arc::clone(&execution.job))),
            ("thingArn", arn.into()),
            ("status", word.into()),
            ("statusDetails", Json::object(details)),
        ],
    });
}

/// Tells how a job now stands; `operation` is the last level of the topic.
pub(super) fn job_event(
    operation: &'static str,
    job: &Job,
    progress: &Progress,
    turn: &mut Turn<'_>,
) {
    let status = operation.to_ascii_uppercase();
    turn.out.events.push(Event {
        family: Family::Job,
        topic: format!("job/{}/{operation}", job.id),
        members: event_members(operation, &status, job, progress, turn.settings),
    });
}

fn event_members(
    operation: &'static str,
    status: &str,
    job: &Job,
    progress: &Progress,
    settings: &Settings,
) -> Vec<(&'static str, Json)> {
    let text = |text: &Arc<str>| Json::string(Arc::clone(text));
    let counts = &progress.counts;
    let mut members = vec![
        ("eventType", "JOB".into()),
        ("eventId", Json::Null),
        ("timestamp", Json::Null),
        ("operation", operation.into()),
        ("jobId", text(&job.id)),
        ("status", status.into()),
        ("targetSelection", view::selection(job).into()),
        ("targets", Json::array(job.targets.iter().map(|target| target.arn(settings).into()))),
    ];
    members.extend(job.description.as_ref().map(|words| ("description", text(words))));
    members.extend(progress.reason_code.as_ref().map(|code| ("reasonCode", text(code))));
    members.extend(progress.comment.as_ref().map(|words| ("comment", text(words))));
    members.extend(progress.completed.map(|at| ("completedAt", at.0.into())));
    members.extend([
        ("createdAt", job.created.0.into()),
        ("lastUpdatedAt", progress.updated.0.into()),
        (
            "jobProcessDetails",
            Json::object([
                ("numberOfCanceledThings", Json::from(counts.canceled as i64)),
                ("numberOfRejectedThings", Json::from(counts.rejected as i64)),
                ("numberOfFailedThings", Json::from(counts.failed as i64)),
                ("numberOfRemovedThings", Json::from(counts.removed as i64)),
                ("numberOfSucceededThings", Json::from(counts.succeeded as i64)),
                ("numberOfTimedOutThings", Json::from(counts.timed_out as i64)),
            ]),
        ),
    ]);
    members
}
