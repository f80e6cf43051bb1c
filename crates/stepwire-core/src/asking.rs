//! Asking and answering: who waits for a request's answer, and what a run of an execution asks for.

use std::sync::Arc;

use stepwire_asl::definition::Pattern;
use stepwire_asl::{Json, Task, Timestamp};

use crate::effect::Effect;
use crate::error::ApiError;
use crate::executions::{self, ExecutionId, Mocked, Origin, Parent, Ran, TaskToken};
use crate::functions::InvokedBy;
use crate::input::{Follow, Input, ReplyId};
use crate::integrations::{self, Call, Carry, Hosted};
use crate::kernel::{Kernel, Step};
use crate::request::Request;
use crate::write::Write;

/// Who asked for something, and so how the answer gets there.
///
/// Kept in memory only: after a restart callers are gone, and executions ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A caller outside.
    Caller(ReplyId),
    /// A task of an execution.
    Task(Call, Hosted),
    /// A rule, which looks at the answer at once or never.
    Rule,
    /// The work on a stack, likewise.
    Stack,
    /// The event source mapping of this number.
    Source(u64),
}

/// Gives `asker` the answer.
pub(crate) fn reply_to(
    asker: Asker,
    answer: Result<Json, ApiError>,
    now: Timestamp,
    step: &mut Step,
) {
    match asker {
        Asker::Caller(reply) => step.effects.push(Effect::Reply { reply, answer }),
        Asker::Task(call, hosted) => {
            let Call { execution, scheduled } = call;
            let result = hosted.result(answer, call, now);
            step.then.push(Input::TaskReturned { execution, scheduled, result });
        }
        Asker::Rule | Asker::Stack => {}
        Asker::Source(number) => {
            step.then.push(Input::Follow(Follow::Sourced(number, answer)));
        }
    }
}

impl Kernel {
    /// Records what a run of an execution changed, sends its tasks on their way, and tells those
    /// whom it concerns.
    pub(crate) fn ask(
        &mut self,
        now: Timestamp,
        execution: ExecutionId,
        ran: Ran,
        step: &mut Step,
    ) {
        if let Some(outcome) = ran.outcome
            && let Some((asker, with_data)) = self.waiting.remove(&execution)
        {
            let answer = if with_data { outcome } else { executions::without_data(&outcome) };
            reply_to(asker, Ok(answer), now, step);
        }
        step.writes.extend(ran.writes.into_iter().map(Write::Executions));
        if let Some(logged) = &ran.logged {
            let mut writes = Vec::new();
            self.logs.log(logged, &mut writes);
            self.logged(now, writes, step);
        }
        step.effects.extend(ran.wake.into_iter().map(|map_run| Effect::Continue { map_run }));
        let asks = ran.asks.into_iter();
        step.effects.extend(asks.map(|(map_run, ask)| Effect::ReadItems { map_run, ask }));
        step.then.extend(ran.redriven_runs.into_iter().map(|(execution, started)| {
            Input::Follow(Follow::RedriveMapRun { execution, started })
        }));
        step.then
            .extend(ran.orphans.into_iter().map(|child| Input::Follow(Follow::Abandon(child))));
        step.then.extend(ran.tell.map(|parent| Input::Follow(Follow::Ended(execution, parent))));
        step.then.extend(ran.mocked.into_iter().map(|mocked| {
            let Mocked { scheduled, waits, result } = mocked;
            Input::Follow(Follow::Mocked { execution, scheduled, waits, result })
        }));
        for task in ran.tasks {
            let scheduled = task.scheduled;
            let returned = |result| Input::TaskReturned { execution, scheduled, result };
            match integrations::carry(&task.resource, &task.parameters) {
                Carry::Worker => {
                    let token = TaskToken { execution, scheduled };
                    let activity = task.resource.api();
                    let at = task.scheduled_at;
                    self.executions.activities.offer(activity, at, token, None);
                    step.then.push(Input::Follow(Follow::HandOut(activity.into())));
                }
                Carry::Http => step.effects.push(Effect::HttpInvoke {
                    execution,
                    scheduled,
                    parameters: task.parameters,
                    timeout_ms: task.timeout_ms,
                }),
                Carry::Outside(service) => step.effects.push(Effect::AwsCall {
                    execution,
                    scheduled,
                    service,
                    api: task.resource.api().into(),
                    parameters: task.parameters,
                    timeout_ms: task.timeout_ms,
                }),
                Carry::Function(form, invoke) => {
                    let caller = InvokedBy::Task { execution, scheduled, form };
                    step.effects.push(Effect::Invoke { caller, invoke });
                }
                Carry::Fails(failure) => step.then.push(returned(Err(failure))),
                Carry::Here(hosted) => {
                    let call = Call { execution, scheduled };
                    match hosted.request(task.resource.api(), &task.parameters, call) {
                        Ok(request) => {
                            let request = from_task(request, &task, call, ran.origin.as_ref());
                            let perform = Follow::Perform { execution, scheduled, hosted, request };
                            step.then.push(Input::Follow(perform));
                        }
                        Err(failure) => step.then.push(returned(Err(failure))),
                    }
                }
            }
        }
    }
}

/// The request, with what it starts told what began it, and whom to tell of its end if the task waits
/// for that.
fn from_task(
    mut request: Request,
    task: &Task,
    call: Call,
    origin: Option<&Arc<Origin>>,
) -> Request {
    if let Request::States(executions::Request::StartExecution(start)) = &mut request {
        start.origin = origin.cloned();
        if matches!(task.resource.pattern(), Pattern::Sync | Pattern::Sync2) {
            let Call { execution, scheduled } = call;
            start.parent = Some(Parent::Task { execution, scheduled });
        }
    }
    request
}
