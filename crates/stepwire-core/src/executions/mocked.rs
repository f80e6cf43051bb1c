//! Tasks that a test case answers in place of their service.

use stepwire_asl::definition::{Pattern, Resource};
use stepwire_asl::{EventId, Failure, Json, Task};

use super::{ExecutionId, ExecutionRecord, Executions};
use crate::settings::Settings;

/// The answer of a test case to a task.
#[derive(Debug)]
pub(crate) struct Mocked {
    /// Its `TaskScheduled` event.
    pub(crate) scheduled: EventId,
    /// Whether the task is submitted first and then waits (`.sync`, `.waitForTaskToken`).
    pub(crate) waits: bool,
    pub(crate) result: Result<Json, Failure>,
}

impl Executions {
    /// Takes out of `tasks` those that the execution's test case answers.
    pub(super) fn mocked(
        &self,
        id: ExecutionId,
        record: &ExecutionRecord,
        tasks: &mut Vec<Task>,
        settings: &Settings,
    ) -> Vec<Mocked> {
        let machine = self.machine_of(id).and_then(|machine| self.machines.current(machine));
        let (Some(case), Some(machine)) = (&record.test_case, machine) else {
            return Vec::new();
        };
        let mut mocked = Vec::new();
        tasks.retain(|task| {
            let (machine, state) = (&machine.record.name, &task.state);
            let answer = settings.mocks.answer(machine, case, state, task.attempt);
            mocked.extend(answer.map(|result| Mocked {
                scheduled: task.scheduled,
                waits: task.resource.pattern() != Pattern::RequestResponse,
                result: result.map(|answer| result_of(&task.resource, answer)),
            }));
            mocked.last().is_none_or(|mocked| mocked.scheduled != task.scheduled)
        });
        mocked
    }
}

/// The task's result: a mocked response is what the service answers, and of Invoke's answer a task
/// that names a function itself sees the payload alone.
fn result_of(resource: &Resource, answer: Json) -> Json {
    match answer.member("Payload") {
        Some(payload) if resource.is_function() => payload.clone(),
        _ => answer,
    }
}
