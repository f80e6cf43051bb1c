//! What a step will read, told before it runs.

use super::Kernel;
use crate::executions::{self, Executions};
use crate::functions::InvokedBy;
use crate::input::{Follow, Input};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::parameters;
use crate::queues;
use crate::read::{Need, Read, Reads};
use crate::request::Request;

impl Kernel {
    pub(super) fn fetch(&self, input: &Input, source: &dyn Read) -> Reads {
        let mut reads = Reads::default();
        loop {
            let needs = self.needs(input, &reads);
            if needs.is_empty() {
                return reads;
            }
            for need in needs {
                reads.fetch(need, source);
            }
        }
    }

    /// The stored records that stepping `input` will read and `reads` does not hold yet. What they
    /// say may lead to more: ask again until there are none.
    pub fn needs(&self, input: &Input, reads: &Reads) -> Vec<Need> {
        match input {
            Input::Device(_)
            | Input::Tick
            | Input::Confirmed { .. }
            | Input::Delivered { .. }
            | Input::Notified { .. }
            | Input::Gone(_)
            | Input::ItemsRead { .. }
            | Input::FunctionTold(_)
            | Input::Predicted { .. }
            | Input::Indexing => {}
            Input::Unheard(answer) => self.touch_unheard(answer, reads),
            Input::Stack(key) => self.stacks.prefetch_work(key, reads),
            Input::MapRun(number) => {
                self.executions.touch_map_run(*number, reads, &self.settings);
            }
            Input::Call { request, .. } => self.touch(request, reads),
            Input::TaskReturned { execution, .. } => self.executions.touch(*execution, reads),
            Input::FunctionReturned { caller, .. } => match caller {
                InvokedBy::Task { execution, .. } => self.executions.touch(*execution, reads),
                InvokedBy::Event(_) | InvokedBy::Source(_) | InvokedBy::Rule { .. } => {}
            },
            Input::Follow(follow) => match follow {
                Follow::Perform { request, execution, .. } => {
                    self.touch(request, reads);
                    self.executions.touch(*execution, reads);
                }
                Follow::Mocked { execution, .. } => self.executions.touch(*execution, reads),
                Follow::LookAt(evaluation) => drop(evaluation.run(&[], reads, &self.settings)),
                Follow::Evaluate(errand) => self.touch_evaluation(*errand, reads),
                Follow::Act(acting) => {
                    if let Some(request) = acting.request() {
                        self.touch(request, reads);
                    }
                }
                Follow::StackChore(chore) => {
                    chore.prefetch_secrets(reads, &self.settings);
                    if let Some(request) = chore.request() {
                        self.touch(request, reads);
                    }
                }
                Follow::Complete(_, answer) => self.touch_answer(answer, reads),
                Follow::Timers(ids) => ids.iter().for_each(|id| self.executions.touch(*id, reads)),
                Follow::Ended(child, parent) => {
                    self.executions.touch_ended(*child, *parent, reads, &self.settings);
                }
                Follow::HandOut(activity) => self.touch_match(activity, reads),
                Follow::TidyLogs(now) => {
                    let bytes_max = self.settings.quotas.log_group_bytes_max;
                    self.logs.prefetch_tidy(*now, bytes_max, reads);
                }
                Follow::Measure(points) => Metrics::touch(points.keys(), reads),
                Follow::Watch(now, names) => {
                    self.alarms.prefetch(*now, names, &self.metrics, reads);
                }
                Follow::TidyMetrics(now) => {
                    let kept = self.settings.quotas.metric_retention_seconds;
                    self.metrics.prefetch_tidy(*now, kept, reads);
                }
                Follow::Expire(now) => self.objects.prefetch_expiry(*now, reads),
                Follow::TidyTables(now) => self.tables.prefetch_tidy(*now, reads),
                Follow::Sweep(now) => {
                    self.executions.prefetch_sweep(*now, &self.settings, reads);
                }
                Follow::Poll(source) => {
                    if let Some(queue) = self.queue_of_source(*source) {
                        self.queues.prefetch(queue, reads);
                    }
                }
                Follow::Sourced(..) => {}
                Follow::Receive(queue) => self.queues.prefetch(*queue, reads),
                Follow::MoveMessages(task) => self.queues.prefetch_move(*task, reads),
                Follow::RedriveMapRun { execution, .. } => {
                    Executions::touch_map_runs_of(*execution, reads);
                }
                Follow::Announce(id, _) => {
                    let _ = executions::described(*id, reads, &self.settings);
                }
                Follow::Shadow { message, .. } => Kernel::touch_shadow_asked(message, reads),
                Follow::JobAsked { message, .. } => self.touch_job_asked(message, reads),
                Follow::Job(_, job) => self.jobs.prefetch_slice(job, reads),
                Follow::JobJoined { job, thing } => {
                    let _ = crate::jobs::execution(job, thing, None, reads);
                }
                Follow::Abandon(id) | Follow::Resume(id) => self.executions.touch(*id, reads),
            },
        }
        reads.take_missing()
    }

    fn touch(&self, request: &Request, reads: &Reads) {
        if request.is_read() {
            // Reading it is the way to find what reading it needs; the answer comes when all is there.
            let _ = request.answer(reads, &self.settings);
            return;
        }
        match request {
            Request::States(request) => {
                self.executions.prefetch(request, reads, &self.settings);
            }
            Request::Tables(request) => self.tables.prefetch(request, reads),
            Request::Objects(request) => Objects::prefetch(request, reads),
            Request::Queues(queues::Request::ReceiveMessage(receive)) => {
                if let Ok(queue) = self.queues.find(&receive.queue) {
                    self.queues.prefetch(queue.number, reads);
                }
            }
            Request::Metrics(request) => Metrics::prefetch(request, reads),
            Request::Stacks(request) => self.stacks.prefetch(request, reads, &self.settings),
            Request::Shadows(request) => Kernel::touch_shadows(request, reads),
            Request::Jobs(request) => Kernel::touch_jobs(request, reads),
            Request::JobsData(request) => self.jobs.touch(request, reads),
            Request::Parameters(request) => parameters::prefetch(request, reads),
            Request::Functions(request) => super::functions::prefetch(request, reads),
            // What these change is in memory whole.
            Request::Registry(_)
            | Request::Rules(_)
            | Request::Logs(_)
            | Request::Publish(_)
            | Request::PublishBy(..)
            | Request::Broker(_)
            | Request::Queues(_)
            | Request::Topics(_)
            | Request::Events(_)
            | Request::Alarms(_)
            | Request::Iam(_)
            | Request::Scheduler(_)
            | Request::Sts(_)
            | Request::Secrets(_) => {}
        }
    }
}
