//! Bringing the tasks of activities and the workers that ask for them together.

use std::sync::Arc;

use stepwire_asl::{Json, Stimulus, Timestamp};

use crate::asking::{Asker, reply_to};
use crate::error::ApiError;
use crate::executions::TaskToken;
use crate::executions::activities::{Match, Poll};
use crate::input::{Follow, Input};
use crate::integrations::Call;
use crate::kernel::{Kernel, Step};
use crate::read::Reads;

impl Kernel {
    /// A worker asks for a task; the answer comes when there is one, or after a minute.
    pub(crate) fn poll(
        &mut self,
        now: Timestamp,
        asker: Asker,
        poll: &Poll,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        self.executions.activities.poll(now, asker, poll, &self.settings)?;
        step.then.push(Input::Follow(Follow::HandOut(Arc::clone(&poll.activity))));
        Ok(())
    }

    /// Reads what handing out a task of an activity will want.
    pub(crate) fn touch_match(&self, activity: &str, reads: &Reads) {
        let Some(found) = self.executions.activities.first_match(activity) else { return };
        self.executions.touch(found.token.execution, reads);
        if let Asker::Task(Call { execution, .. }, _) = found.asker {
            self.executions.touch(execution, reads);
        }
    }

    /// Gives the task that has waited longest to the worker that has, and looks for the next pair.
    pub(crate) fn hand_out(
        &mut self,
        now: Timestamp,
        activity: Arc<str>,
        reads: &Reads,
        step: &mut Step,
    ) {
        let Some(found) = self.executions.activities.first_match(&activity) else { return };
        let asks = match found.asker {
            Asker::Task(Call { execution, scheduled }, _) => {
                self.waits(TaskToken { execution, scheduled }, reads, step)
            }
            Asker::Caller(_) | Asker::Rule | Asker::Stack | Asker::Source(_) => true,
        };
        if asks {
            // The task leaves the queue in any case: it is taken, or no longer wanted.
            self.executions.activities.take_task(found.token);
        }
        if !asks {
            self.executions.activities.take_worker(&activity, found.asker);
        } else if let Some(input) = self.begun(now, &found, reads, step) {
            self.executions.activities.take_worker(&activity, found.asker);
            let token = found.token.seal(&self.settings.secret);
            let answer = [("taskToken", Json::from(token)), ("input", input.to_text().into())];
            reply_to(found.asker, Ok(Json::object(answer)), now, step);
        }
        step.then.push(Input::Follow(Follow::HandOut(activity)));
    }

    /// The input of a task that a worker is given, which with that has started; `None` if it is no
    /// longer wanted.
    fn begun(
        &mut self,
        now: Timestamp,
        found: &Match,
        reads: &Reads,
        step: &mut Step,
    ) -> Option<Json> {
        let TaskToken { execution, scheduled } = found.token;
        if let Some(input) = &found.input {
            return self.waits(found.token, reads, step).then(|| input.clone());
        }
        let input = match self.executions.open_task(found.token, reads) {
            Ok(task) => task?.parameters,
            Err(corrupt) => {
                self.quarantine(execution, &corrupt, step);
                return None;
            }
        };
        let started = Stimulus::ActivityStarted { scheduled, worker: found.worker.clone() };
        self.stimulate(now, execution, started, reads, step).ok()?;
        Some(input)
    }

    /// Whether a task is open.
    pub(crate) fn waits(&mut self, token: TaskToken, reads: &Reads, step: &mut Step) -> bool {
        if self.trials.has(token.execution) {
            return true;
        }
        self.executions.is_task_open(token, reads).unwrap_or_else(|corrupt| {
            self.quarantine(token.execution, &corrupt, step);
            false
        })
    }

    /// Reads what [`Kernel::unheard`] will want.
    pub(crate) fn touch_unheard(&self, answer: &Json, reads: &Reads) {
        if let Some((token, _)) = self.handed_out(answer) {
            self.executions.touch(token.execution, reads);
        }
    }

    /// A worker was gone when its task came: the next one gets it, in its old place.
    pub(crate) fn unheard(&mut self, answer: &Json, reads: &Reads, step: &mut Step) {
        let Some((token, input)) = self.handed_out(answer) else { return };
        let task = self.executions.open_task(token, reads).unwrap_or_else(|corrupt| {
            self.quarantine(token.execution, &corrupt, step);
            None
        });
        if let Some(task) = task.filter(|task| task.resource.is_activity()) {
            let activity = task.resource.api();
            self.executions.activities.offer(activity, task.scheduled_at, token, Some(input));
            step.then.push(Input::Follow(Follow::HandOut(activity.into())));
        }
    }

    /// The task and its input, if this is what a worker was answered.
    fn handed_out(&self, answer: &Json) -> Option<(TaskToken, Json)> {
        let text = |name| answer.member(name).and_then(Json::as_str);
        let token = TaskToken::open(text("taskToken")?, &self.settings.secret)?;
        Some((token, Json::parse(text("input")?).ok()?))
    }
}
