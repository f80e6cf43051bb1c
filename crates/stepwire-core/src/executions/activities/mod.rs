//! Activities: tasks that workers outside ask for (`GetActivityTask`).
//!
//! Which activities exist is durable. Which tasks wait for a worker is not stored again: they are
//! the open tasks of executions that have not started, and recovery offers them anew. Workers that
//! wait are in memory only, as their connections are.

pub mod request;
pub(super) mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwire_asl::{EventId, Json, Timestamp};

pub use request::{Create, Poll, Request};

use super::call::{Called, seconds};
use super::machines::{Tags, within};
use super::record::Write;
use super::run::Ran;
use super::{ExecutionId, Executions, TaskToken};
use crate::asking::Asker;
use crate::error::ApiError;
use crate::settings::Settings;

/// How long a worker waits for a task.
const POLL_MS: i64 = 60_000;

/// An activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivityRecord {
    /// Name, unique.
    pub name: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
    /// `encryptionConfiguration`, as it was given.
    pub encryption: Option<Json>,
    /// Keys and values, in the order in which they were set.
    pub tags: Tags,
}

/// Activities, the tasks that wait for a worker, and the workers that wait for a task.
#[derive(Debug, Default)]
pub(crate) struct Activities {
    known: BTreeMap<Arc<str>, Arc<ActivityRecord>>,
    queues: BTreeMap<Arc<str>, Queue>,
    /// Where a task waits.
    places: BTreeMap<(ExecutionId, EventId), (Arc<str>, Place)>,
}

/// Tasks and workers of one activity; at rest only one of the two is not empty.
#[derive(Debug, Default)]
struct Queue {
    /// In order of schedule. With its input when a worker had it and is known not to have heard.
    tasks: BTreeMap<Place, Option<Json>>,
    workers: VecDeque<Worker>,
}

/// When a task was scheduled, then which it is.
type Place = (Timestamp, ExecutionId, EventId);

#[derive(Debug)]
struct Worker {
    asker: Asker,
    name: Option<Arc<str>>,
    until: Timestamp,
}

/// A task and the worker who may have it.
#[derive(Debug)]
pub(crate) struct Match {
    pub(crate) token: TaskToken,
    pub(crate) asker: Asker,
    pub(crate) worker: Option<Arc<str>>,
    /// Its input, if it was started before.
    pub(crate) input: Option<Json>,
}

impl Activities {
    pub(super) fn apply(&mut self, name: &Arc<str>, record: Option<&Arc<ActivityRecord>>) {
        match record {
            Some(record) => self.known.insert(Arc::clone(name), Arc::clone(record)),
            None => self.known.remove(name),
        };
    }

    /// Whether the same activities exist.
    pub(super) fn is_same(&self, other: &Activities) -> bool {
        self.known == other.known
    }

    /// The activity of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<ActivityRecord>> {
        self.known.get(name)
    }

    /// Whether this is the ARN of an activity that exists.
    pub(super) fn has(&self, arn: &str, settings: &Settings) -> bool {
        let name = arn.rsplit_once(':').map_or("", |(_, name)| name);
        self.known.contains_key(name) && activity_arn(settings, name) == arn
    }

    /// Queues a task until a worker asks for it.
    pub(crate) fn offer(
        &mut self,
        activity: &str,
        at: Timestamp,
        token: TaskToken,
        input: Option<Json>,
    ) {
        let activity: Arc<str> = activity.into();
        let place = (at, token.execution, token.scheduled);
        self.places.insert((token.execution, token.scheduled), (Arc::clone(&activity), place));
        self.queues.entry(activity).or_default().tasks.insert(place, input);
    }

    /// Forgets the tasks of an execution that wait and are no longer open.
    pub(super) fn withdraw(&mut self, execution: ExecutionId, is_open: impl Fn(EventId) -> bool) {
        let all = (execution, 0)..=(execution, EventId::MAX);
        let closed = self.places.range(all).map(|(key, _)| *key);
        let closed: Vec<_> = closed.filter(|(_, scheduled)| !is_open(*scheduled)).collect();
        closed.into_iter().for_each(|(execution, scheduled)| {
            self.take_task(TaskToken { execution, scheduled });
        });
    }

    /// The task has a worker, or is gone.
    pub(crate) fn take_task(&mut self, token: TaskToken) {
        let key = (token.execution, token.scheduled);
        let Some((activity, place)) = self.places.remove(&key) else { return };
        if let Some(queue) = self.queues.get_mut(&activity) {
            queue.tasks.remove(&place);
            self.drop_if_empty(&activity);
        }
    }

    /// The worker has been answered, or is gone.
    pub(crate) fn take_worker(&mut self, activity: &str, asker: Asker) {
        if let Some(queue) = self.queues.get_mut(activity) {
            queue.workers.retain(|worker| worker.asker != asker);
            self.drop_if_empty(activity);
        }
    }

    /// A caller outside is gone.
    pub(crate) fn forget(&mut self, asker: Asker) {
        let waits = |queue: &Queue| queue.workers.iter().any(|worker| worker.asker == asker);
        let found = self.queues.iter().find(|(_, queue)| waits(queue)).map(|(name, _)| name);
        if let Some(activity) = found.cloned() {
            self.take_worker(&activity, asker);
        }
    }

    fn drop_if_empty(&mut self, activity: &str) {
        let queue = self.queues.get(activity);
        if queue.is_some_and(|queue| queue.tasks.is_empty() && queue.workers.is_empty()) {
            self.queues.remove(activity);
        }
    }

    /// Lets a worker wait for a task of an activity.
    pub(crate) fn poll(
        &mut self,
        now: Timestamp,
        asker: Asker,
        poll: &Poll,
        settings: &Settings,
    ) -> Result<(), ApiError> {
        if !self.known.contains_key(&poll.activity) {
            return Err(no_activity(settings, &poll.activity));
        }
        let queue = self.queues.entry(Arc::clone(&poll.activity)).or_default();
        let max = settings.quotas.pollers_max;
        if queue.workers.len() as u64 >= max {
            let message = "The maximum number of workers concurrently polling for activity tasks \
                           has been reached.";
            return Err(ApiError::new("ActivityWorkerLimitExceeded", message));
        }
        let (name, until) = (poll.worker.clone(), now.plus_ms(POLL_MS));
        queue.workers.push_back(Worker { asker, name, until });
        Ok(())
    }

    /// The task that has waited longest and the worker that has, if there are both.
    pub(crate) fn first_match(&self, activity: &str) -> Option<Match> {
        let queue = self.queues.get(activity)?;
        let ((_, execution, scheduled), input) = queue.tasks.first_key_value()?;
        let worker = queue.workers.front()?;
        Some(Match {
            token: TaskToken { execution: *execution, scheduled: *scheduled },
            asker: worker.asker,
            worker: worker.name.clone(),
            input: input.clone(),
        })
    }

    /// When the first worker has waited long enough.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.queues.values().filter_map(|queue| Some(queue.workers.front()?.until)).min()
    }

    /// Takes out the workers that have waited long enough.
    pub(crate) fn give_up(&mut self, now: Timestamp) -> Vec<Asker> {
        let mut gone = Vec::new();
        for queue in self.queues.values_mut() {
            while let Some(worker) = queue.workers.pop_front_if(|worker| worker.until <= now) {
                gone.push(worker.asker);
            }
        }
        self.queues.retain(|_, queue| !queue.tasks.is_empty() || !queue.workers.is_empty());
        gone
    }
}

impl Executions {
    /// Carries out a request that creates or deletes an activity.
    pub(super) fn call_activity(
        &mut self,
        now: Timestamp,
        request: &Request,
        settings: &Settings,
    ) -> Called {
        match request {
            Request::Create(create) => self.create_activity(now, create, settings),
            Request::Delete(name) => {
                let mut ran = Ran::default();
                // Deleting what is not there succeeds, as on AWS.
                if self.activities.known.contains_key(name) {
                    self.record(Write::Activity(Arc::clone(name), None), &mut ran);
                }
                Ok((Json::Object(Arc::default()), None, ran))
            }
            Request::Describe(_) | Request::List(_) | Request::Poll(_) => {
                Err(ApiError::new("ValidationException", "this request changes nothing"))
            }
        }
    }

    /// Idempotent by name, as on AWS; only another encryption makes it another activity.
    fn create_activity(&mut self, now: Timestamp, create: &Create, settings: &Settings) -> Called {
        let arn = activity_arn(settings, &create.name);
        let answer = |at| {
            Json::object([("activityArn", Json::from(arn.as_str())), ("creationDate", seconds(at))])
        };
        if let Some(there) = self.activities.known.get(&create.name) {
            if there.encryption != create.encryption {
                let message = format!("Activity Already Exists: '{arn}'");
                return Err(ApiError::new("ActivityAlreadyExists", message));
            }
            return Ok((answer(there.created), None, Ran::default()));
        }
        let max = settings.quotas.activities_max;
        if self.activities.known.len() as u64 >= max {
            let message = format!("Activity Limit Exceeded: at most {max}");
            return Err(ApiError::new("ActivityLimitExceeded", message));
        }
        within(&create.tags, &arn, settings)?;
        let record = ActivityRecord {
            name: Arc::clone(&create.name),
            created: now,
            encryption: create.encryption.clone(),
            tags: create.tags.clone(),
        };
        let mut ran = Ran::default();
        self.record(Write::Activity(Arc::clone(&create.name), Some(Arc::new(record))), &mut ran);
        Ok((answer(now), None, ran))
    }
}

/// The ARN of an activity.
fn activity_arn(settings: &Settings, name: &str) -> String {
    settings.arn("states", &format!("activity:{name}"))
}

fn no_activity(settings: &Settings, name: &str) -> ApiError {
    let arn = activity_arn(settings, name);
    ApiError::new("ActivityDoesNotExist", format!("Activity Does Not Exist: '{arn}'"))
}
