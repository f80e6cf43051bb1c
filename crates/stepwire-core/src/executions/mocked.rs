//! Tasks that a test case answers in place of their service.

use stepwire_asl::definition::Pattern;
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
        let (Some(case), Some(machine)) = (&record.test_case, self.machine(id.machine)) else {
            return Vec::new();
        };
        let mut mocked = Vec::new();
        tasks.retain(|task| {
            let (machine, state) = (&machine.record.name, &task.state);
            let answer = settings.mocks.answer(machine, case, state, task.attempt);
            mocked.extend(answer.map(|result| Mocked {
                scheduled: task.scheduled,
                waits: task.resource.pattern() != Pattern::RequestResponse,
                result,
            }));
            mocked.last().is_none_or(|mocked| mocked.scheduled != task.scheduled)
        });
        mocked
    }
}
