//! Dead letters on their way back (`StartMessageMoveTask`), a slice at a time.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::{Json, Timestamp};

use super::record::{self, MoveStatus, MoveTask, State};
use super::{Queues, Write, arn, name_of_arn, nothing, view};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::read::Read;
use crate::settings::Settings;

/// Most messages of one slice.
const SLICE_MAX: usize = 64;
/// Tasks of one queue that are remembered after they have ended.
const REMEMBERED_MAX: usize = 10;

impl Queues {
    pub(super) fn start_move(
        &mut self,
        now: Timestamp,
        source: &Arc<str>,
        destination: Option<&Arc<str>>,
        rate: Option<u32>,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let queue = name_of_arn(source, settings).and_then(|name| self.find(name).ok());
        let queue = queue.ok_or_else(|| missing("SourceArn"))?;
        let mut others = self.by_name.values().filter_map(|q| q.attributes.redrive.as_ref());
        if !others.any(|redrive| redrive.target == queue.name) {
            let message = "Source queue must be configured as a Dead Letter Queue.";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let destination = destination.map(|arn| {
            let queue = name_of_arn(arn, settings).and_then(|name| self.find(name).ok());
            queue.ok_or_else(|| missing("DestinationArn"))
        });
        let destination = destination.transpose()?;
        if destination.as_ref().is_some_and(|to| to.is_fifo() != queue.is_fifo()) {
            let message = "The source and destination queues must be of the same type.";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let of_queue = self.moves.iter().filter(|(_, task)| task.source == queue.name);
        let of_queue: Vec<(u64, bool)> =
            of_queue.map(|(n, task)| (*n, task.status == MoveStatus::Running)).collect();
        if of_queue.iter().any(|(_, running)| *running) {
            let message = "There is already a task running. Only one active task is allowed for a \
                           source queue arn at a given time.";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        for (old, _) in of_queue.iter().rev().skip(REMEMBERED_MAX - 1) {
            self.record(Write::Move(*old, None), out);
        }
        let number = self.number(out);
        let found = self.messages.get(&queue.number).map_or(0, super::Messages::len) as u64;
        let task = MoveTask {
            source: Arc::clone(&queue.name),
            destination: destination.map(|queue| Arc::clone(&queue.name)),
            rate,
            started: now,
            found,
            moved: 0,
            status: MoveStatus::Running,
            due: now,
        };
        self.record(Write::Move(number, Some(Arc::new(task))), out);
        Ok(Json::object([("TaskHandle", handle(number, source, settings))]))
    }

    pub(super) fn cancel_move(
        &mut self,
        handle: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let found = self.moves.iter().find(|(number, task)| {
            let own = self::handle(**number, &arn(&task.source, settings), settings);
            own.as_str() == Some(handle)
        });
        let found = found.map(|(number, task)| (*number, Arc::clone(task)));
        let Some((number, task)) = found.filter(|(_, t)| t.status == MoveStatus::Running) else {
            let message = "Task does not exist.";
            return Err(ApiError::new("ResourceNotFoundException", message));
        };
        let moved = task.moved;
        let ended = MoveTask { status: MoveStatus::Cancelled, ..task.as_ref().clone() };
        self.record(Write::Move(number, Some(Arc::new(ended))), out);
        Ok(Json::object([("ApproximateNumberOfMessagesMoved", count(moved))]))
    }

    /// Tasks whose next slice is due.
    pub(crate) fn moves_due(&self, now: Timestamp) -> Vec<u64> {
        let running = self.moves.iter().filter(|(_, task)| task.status == MoveStatus::Running);
        running.filter(|(_, task)| task.due <= now).map(|(number, _)| *number).collect()
    }

    /// Reads what the next slice of a task moves.
    pub(crate) fn prefetch_move(&self, number: u64, read: &dyn Read) {
        let Some(task) = self.moves.get(&number) else { return };
        let Ok(queue) = self.find(&task.source) else { return };
        for (_, message) in self.slice(task, queue.number) {
            read.get(&record::message_key(queue.number, message));
        }
    }

    fn slice(&self, task: &MoveTask, queue: u64) -> Vec<(Timestamp, u64)> {
        let max = task.rate.map_or(SLICE_MAX, |rate| SLICE_MAX.min(rate as usize));
        self.messages.get(&queue).map(|messages| messages.next(max)).unwrap_or_default()
    }

    /// Moves a slice of a task's messages: those that can be received now.
    pub(crate) fn go_on_moving(
        &mut self,
        now: Timestamp,
        number: u64,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) {
        let Some(task) = self.moves.get(&number).cloned() else { return };
        let mut task = task.as_ref().clone();
        match self.move_some(now, &task, read, settings, out) {
            Ok(0) => task.status = MoveStatus::Completed,
            Ok(moved) => task.moved += moved,
            Err(why) => task.status = MoveStatus::Failed(why.into()),
        }
        // With a rate the next slice comes when its second is over, in parts of it.
        let wait_ms = task
            .rate
            .map_or(0, |rate| 1_000 * i64::from(rate.min(SLICE_MAX as u32)) / i64::from(rate));
        task.due = now.plus_ms(wait_ms);
        self.record(Write::Move(number, Some(Arc::new(task))), out);
    }

    fn move_some(
        &mut self,
        now: Timestamp,
        task: &MoveTask,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<u64, String> {
        let from =
            self.find(&task.source).map_err(|_| "AWS.SimpleQueueService.NonExistentQueue")?;
        let mut moved = 0;
        for (at, number) in self.slice(task, from.number) {
            let state = self.messages.get(&from.number).and_then(|m| m.get(number));
            if state.is_none() || at > now {
                break;
            }
            let key = record::message_key(from.number, number);
            let message = read.get(&key).and_then(|value| record::record(&key, &value).ok());
            let Some(message): Option<record::Message> = message else { break };
            let name = match (&task.destination, &message.source) {
                (Some(name), _) => Arc::clone(name),
                (None, Some(source)) => name_of_arn(source, settings)
                    .map(Arc::from)
                    .ok_or("the source of a message is not of this node")?,
                (None, None) => return Err("CouldNotDetermineMessageSource".to_owned()),
            };
            let to = self.find(&name).map_err(|_| "AWS.SimpleQueueService.NonExistentQueue")?;
            self.remove(from.number, number, out);
            let number = self.number(out);
            let group = message.group.clone().filter(|_| to.is_fifo());
            let state = State { sent: now, visible: now, receives: 0, received: None, group };
            let message = record::Message { source: None, ..message };
            self.put(to.number, number, message, state, out);
            moved += 1;
        }
        Ok(moved)
    }
}

fn missing(name: &str) -> ApiError {
    let message =
        format!("The resource that you specified for the {name} parameter doesn't exist.");
    ApiError::new("ResourceNotFoundException", message)
}

/// What names a task outside. Source: Amazon SQS API reference, StartMessageMoveTask.
fn handle(number: u64, source: &str, settings: &Settings) -> Json {
    let id = derived_uuid(&settings.secret, "move-task", &[number]);
    let text = Json::object([("taskId", Json::from(id)), ("sourceArn", source.into())]).to_text();
    STANDARD.encode(text).into()
}

fn count(count: u64) -> Json {
    Json::from(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The latest tasks of a queue, latest first.
pub(super) fn list(
    source: &str,
    max: usize,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    let name = name_of_arn(source, settings).ok_or_else(|| missing("SourceArn"))?;
    let queue = record::queue(name, read).map_err(|corrupt| view::unreadable(&corrupt))?;
    queue.ok_or_else(|| missing("SourceArn"))?;
    let mut tasks = Vec::new();
    for (key, value) in read.range(&record::moves().reversed()) {
        let task: MoveTask = record::record(&key, &value).map_err(|c| view::unreadable(&c))?;
        if *task.source == *name && tasks.len() < max {
            let number = record::number(&key).map_err(|c| view::unreadable(&c))?;
            tasks.push(shown(number, &task, settings));
        }
    }
    if tasks.is_empty() {
        return Ok(nothing());
    }
    Ok(Json::object([("Results", Json::array(tasks))]))
}

fn shown(number: u64, task: &MoveTask, settings: &Settings) -> Json {
    let source = arn(&task.source, settings);
    let (status, why) = match &task.status {
        MoveStatus::Running => ("RUNNING", None),
        MoveStatus::Completed => ("COMPLETED", None),
        MoveStatus::Cancelled => ("CANCELLED", None),
        MoveStatus::Failed(why) => ("FAILED", Some(why)),
    };
    let mut members = Vec::new();
    if task.status == MoveStatus::Running {
        members.push(("TaskHandle", handle(number, &source, settings)));
    }
    members.extend([("Status", Json::from(status)), ("SourceArn", source.into())]);
    let destination = task.destination.as_ref();
    members.extend(destination.map(|name| ("DestinationArn", Json::from(arn(name, settings)))));
    let rate = task.rate.map(|rate| Json::from(i64::from(rate)));
    members.extend(rate.map(|rate| ("MaxNumberOfMessagesPerSecond", rate)));
    members.extend([
        ("ApproximateNumberOfMessagesMoved", count(task.moved)),
        ("ApproximateNumberOfMessagesToMove", count(task.found)),
        ("StartedTimestamp", Json::from(task.started.0)),
    ]);
    members.extend(why.map(|why| ("FailureReason", Json::String(Arc::clone(why)))));
    Json::object(members)
}
