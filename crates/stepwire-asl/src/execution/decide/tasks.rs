//! Tasks and timers.

use std::sync::Arc;

use super::evaluate::About;
use super::leave::unfit;
use super::{Activity, Decider, Ended, OpenTask, runtime};
use crate::definition::{Data, Pattern, Resource, Seconds, State, StateDefinition, TaskDefinition};
use crate::execution::trial::Stage;
use crate::history::{Detail, EventId, Payload, Trouble};
use crate::scope::{Failure, Fault};
use crate::{Json, Timestamp};

impl Decider<'_, '_> {
    pub(super) fn schedule(
        &mut self,
        frame: u32,
        definition: &StateDefinition,
        task: &TaskDefinition,
        input: &Json,
    ) -> Result<(), Fault> {
        let TaskDefinition { resource, timeout, heartbeat, credentials } = task;
        if resource.is_activity() && !(self.turn.activity)(resource.text()) {
            return Err(runtime(format!("The activity {} does not exist.", resource.text())));
        }
        let scheduled: EventId = self.execution.last_id + 1;
        let waits = resource.pattern() != Pattern::RequestResponse;
        let token = waits.then(|| (self.turn.token)(scheduled));
        let about = About { token: token.as_deref(), ..About::default() };
        let parameters = self.parameters(frame, definition, input, about)?;
        let stage = match definition.data {
            Data::JsonPath(_) => Stage::AfterParameters,
            Data::Jsonata { .. } => Stage::AfterArguments,
        };
        self.note(stage, &parameters);
        self.check_size(frame, &parameters)?;
        let read = |decider: &mut Self, seconds: &Option<Seconds>, field| {
            seconds.as_ref().map(|seconds| decider.number(frame, seconds, input, field)).transpose()
        };
        let timeout_s = read(self, timeout, "TimeoutSecondsPath")?;
        let heartbeat_s = read(self, heartbeat, "HeartbeatSecondsPath")?;
        let role = match credentials {
            Some(template) => self.evaluate(frame, input, about, |s, e| template.evaluate(s, e))?,
            None => Json::Null,
        };
        let role_arn = role.member("RoleArn").and_then(Json::as_str).map(Arc::from);
        let (resource_type, shown) = resource.shown();
        self.record(
            frame,
            Detail::Scheduled {
                resource_type: Arc::clone(&resource_type),
                resource: Arc::clone(&shown),
                region: self.region(),
                parameters: Payload::Value(parameters),
                timeout_s,
                heartbeat_s,
                role_arn,
            },
        );
        // An activity's task starts when a worker takes it.
        if !resource.is_activity() {
            let function = resource.is_function();
            self.record(frame, Detail::Started { function, resource_type, resource: shown });
        }
        self.decision.tasks.extend(self.execution.open_task(scheduled));
        Ok(())
    }

    fn region(&self) -> Arc<str> {
        self.execution.execution_arn.split(':').nth(3).unwrap_or_default().into()
    }

    /// The integration answered.
    pub(super) fn returned(&mut self, frame: u32, result: Result<Json, Failure>) {
        match result {
            Ok(output) => self.answered(frame, Payload::Value(output)),
            Err(failure) => self.task_failed(frame, failure.into()),
        }
    }

    /// The job that a submitted task waits for has ended.
    pub(super) fn ended(&mut self, frame: u32, result: Result<Json, Failure>) {
        match result {
            Ok(output) => self.task_succeeded(frame, Payload::Value(output)),
            Err(failure) => self.task_failed(frame, failure.into()),
        }
    }

    fn answered(&mut self, frame: u32, output: Payload) {
        let Some(resource) = self.resource(frame) else { return };
        if resource.pattern() == Pattern::RequestResponse {
            return self.task_succeeded(frame, output);
        }
        if let Some(failure) =
            unfit(resource.service(), output.value(), self.turn.limits.payload_bytes_max)
        {
            return self.task_failed(frame, failure.into());
        }
        let (resource_type, resource) = resource.shown();
        self.record(frame, Detail::Submitted { resource_type, resource, output });
    }

    fn resource(&self, frame: u32) -> Option<Arc<Resource>> {
        match &self.definition(frame)?.state {
            State::Task(task) => Some(Arc::clone(&task.resource)),
            _ => None,
        }
    }

    pub(super) fn task_succeeded(&mut self, frame: u32, output: Payload) {
        let Some(resource) = self.resource(frame) else { return };
        let function = resource.is_function();
        if let Some(failure) =
            unfit(resource.answerer(), output.value(), self.turn.limits.payload_bytes_max)
        {
            return self.task_failed(frame, failure.into());
        }
        let (resource_type, resource) = resource.shown();
        let result = output.value().clone();
        self.note(Stage::Result, &result);
        self.record(frame, Detail::TaskSucceeded { function, resource_type, resource, output });
        self.within(frame, |decider, definition| decider.finish(frame, definition, result));
    }

    pub(super) fn task_failed(&mut self, frame: u32, trouble: Trouble) {
        self.task_ended(frame, trouble, false, Ended::Otherwise);
    }

    fn task_ended(&mut self, frame: u32, trouble: Trouble, timed_out: bool, ended: Ended) {
        let Some(resource) = self.resource(frame) else { return };
        let function = resource.is_function();
        let (resource_type, resource) = resource.shown();
        self.record(
            frame,
            Detail::TaskEnded {
                function,
                timed_out,
                heartbeat: ended == Ended::Heartbeat,
                resource_type,
                resource,
                trouble: trouble.clone(),
            },
        );
        self.troubled(frame, trouble, ended);
    }

    /// Fires everything that is due, earliest first.
    pub(super) fn timers(&mut self) {
        while let Some((due, frame)) = self.execution.deadlines.first().copied() {
            if due > self.turn.now || self.machine_timed_out(due) {
                break;
            }
            self.fire(frame, due);
            self.run();
        }
        if self.machine_timed_out(self.turn.now) {
            self.abort_map_runs();
            let error = Some("States.Timeout".into());
            self.record(0, Detail::ExecutionTimedOut(Trouble { error, cause: None }));
        }
    }

    fn machine_timed_out(&self, at: Timestamp) -> bool {
        let last = self.execution.started.plus_ms(self.turn.limits.run_ms_max);
        let deadline = self.execution.machine_deadline().map_or(last, |own| own.min(last));
        deadline <= at
    }

    fn fire(&mut self, frame: u32, due: Timestamp) {
        let Some(position) = self.position(frame) else { return };
        match &position.activity {
            Activity::Waiting { .. } => {
                self.within(frame, |decider, definition| decider.waited(frame, definition));
            }
            Activity::Retrying { .. } => {
                self.record(frame, Detail::RetryDue);
                self.perform(frame);
            }
            Activity::Task(OpenTask { timeout_at, .. }) => {
                let ended =
                    if *timeout_at == Some(due) { Ended::Otherwise } else { Ended::Heartbeat };
                let trouble = Trouble { error: Some("States.Timeout".into()), cause: None };
                self.task_ended(frame, trouble, true, ended);
            }
            Activity::Deciding
            | Activity::Branches(_)
            | Activity::MapRun(_)
            | Activity::Aborted => {}
        }
    }
}
