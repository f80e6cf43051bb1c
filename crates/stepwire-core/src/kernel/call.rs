//! Requests of callers, workflows and rules.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Kernel, Step};
use crate::asking::Asker;
use crate::broker::{self, Action};
use crate::effect::{Effect, Report};
use crate::error::ApiError;
use crate::executions::{self, Ran, activities};
use crate::input::{Follow, Input};
use crate::message::{Message, Origin};
use crate::parameters;
use crate::read::Reads;
use crate::registry;
use crate::request::Request;
use crate::rules;
use crate::tables;
use crate::write::Write;

/// What Amazon Machine Learning is called among the services outside.
const MODELS: &str = "machinelearning";

impl Kernel {
    /// Carries out a request of a caller, a workflow or a rule. `None`: the answer comes later, by
    /// [`reply_to`](crate::asking::reply_to) in another step, and who waits for it is kept by what will give it.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        asker: Asker,
        request: &Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Option<Result<Json, ApiError>> {
        match request {
            Request::States(executions::Request::Activity(activities::Request::Poll(poll))) => {
                self.poll(now, asker, poll, step).err().map(Err)
            }
            Request::States(executions::Request::TestState(test)) => {
                let (id, tasks) = self.trials.begin(now, asker, test, &self.settings);
                self.ask(now, id, Ran { tasks, ..Ran::default() }, step);
                self.end_trial(now, id, step);
                None
            }
            Request::Broker(request) => self.call_broker(now, asker, request, step),
            Request::Registry(registry::Request::Search(request)) if !request.is_read() => {
                self.call_search(now, asker, request, step)
            }
            Request::Queues(request) if !request.is_read() => {
                self.call_queues(now, asker, request, reads, step)
            }
            Request::States(executions::Request::StartSync { start, with_data }) => {
                match self.executions.start_sync(now, start, &self.settings) {
                    Ok((id, ran)) => {
                        self.waiting.insert(id, (asker, *with_data));
                        self.ask(now, id, ran, step);
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            _ => Some(self.answer(now, request, reads, step)),
        }
    }

    /// Carries out a request on connections and retained messages. `None`: the caller waits for a
    /// device.
    fn call_broker(
        &mut self,
        now: Timestamp,
        asker: Asker,
        request: &broker::Request,
        step: &mut Step,
    ) -> Option<Result<Json, ApiError>> {
        let mut out = broker::Out::default();
        let answer =
            self.broker.call(now, request, &self.registry.at(now), &self.settings, &mut out);
        self.absorb(0, out, step);
        match answer {
            broker::Answer::Now(answer) => Some(answer),
            broker::Answer::Later(number) => {
                self.confirmations.insert(number, asker);
                None
            }
        }
    }

    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        request: &Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        if request.is_read() {
            return request.answer(reads, &self.settings);
        }
        match request {
            Request::States(request) => {
                if let executions::Request::Machines(request) = request
                    && let Some(logging) = request.logging()
                {
                    logging.check(|group| self.logs.has(group))?;
                }
                let called = self.executions.call(now, request, reads, &self.settings);
                let called = called.map_err(|c| ApiError::new("InternalFailure", c.to_string()))?;
                let (answer, id, ran) = called?;
                match id {
                    Some(id) => self.ask(now, id, ran, step),
                    None => step.writes.extend(ran.writes.into_iter().map(Write::Executions)),
                }
                Ok(answer)
            }
            Request::Logs(request) => {
                self.check_subscriber(request)?;
                let mut writes = Vec::new();
                let answer = self.logs.call(now, request, &mut writes)?;
                self.logged(now, writes, step);
                Ok(answer)
            }
            Request::Registry(request) => self.call_registry(now, request, step),
            Request::Rules(rules::Request::Destination(request)) => {
                self.call_destinations(now, request, step)
            }
            Request::Rules(request) => {
                if request.asks_models() && !self.settings.outside.contains(MODELS) {
                    let why = format!(
                        "machinelearning_predict asks Amazon Machine Learning, for which no endpoint is \
                         configured\nhint: name one as `services.{MODELS}` in the file of `--secrets`"
                    );
                    return Err(ApiError::new("SqlParseException", why));
                }
                let mut writes = Vec::new();
                let answer = self.rules.call(now, request, &self.settings, &mut writes)?;
                step.writes.extend(writes.into_iter().map(Write::Rules));
                self.want_destinations(now, &request.confirmation_urls(), step);
                if let Some((rule, doubts)) = request.doubts() {
                    step.effects.extend(doubts.into_iter().map(|doubt| {
                        let (rule, what) = (Arc::clone(rule), doubt.to_string().into());
                        Effect::Report(Report::RuleDoubted { rule, what })
                    }));
                }
                if let Some((rule, tags)) = request.retagged() {
                    let mut out = registry::Out::default();
                    let resource = format!("rule/{rule}");
                    self.registry.tag_other(now, &resource, tags, &self.settings, &mut out);
                    self.registered(now, out, step);
                }
                Ok(answer)
            }
            Request::Tables(request) => {
                let mut writes = Vec::new();
                let (tables, settings) = (&mut self.tables, &self.settings);
                let answer = tables.call(now, request, reads, settings, &mut writes)?;
                self.stored(writes, step);
                Ok(answer)
            }
            Request::Objects(request) => {
                self.check_destinations(request)?;
                let mut writes = Vec::new();
                let (objects, settings) = (&mut self.objects, &self.settings);
                let answer = objects.call(now, request, reads, settings, &mut writes)?;
                self.objects_changed(now, writes, reads, step);
                self.test_destinations(now, request, step);
                Ok(answer)
            }
            Request::Topics(request) => self.call_topics(now, request, step),
            Request::Events(request) => self.call_events(now, request, step),
            Request::Metrics(request) => self.call_metrics(now, request, reads, step),
            Request::Alarms(request) => self.call_alarms(now, request, step),
            Request::Stacks(request) => self.call_stacks(now, request, reads, step),
            Request::Iam(request) => {
                let mut writes = Vec::new();
                let answer = self.iam.call(now, request, &self.settings, &mut writes)?;
                step.writes.extend(writes.into_iter().map(Write::Iam));
                Ok(answer)
            }
            Request::Sts(request) => self.iam.call_sts(now, request, &self.settings),
            Request::Parameters(request) => {
                let mut writes = Vec::new();
                let answer = parameters::call(now, request, reads, &mut writes)?;
                step.writes.extend(writes.into_iter().map(Write::Parameters));
                Ok(answer)
            }
            Request::Secrets(request) => {
                let mut writes = Vec::new();
                self.salt = self.salt.wrapping_add(1);
                let (salt, settings) = (self.salt, &self.settings);
                let answer = self.secrets.call(now, request, salt, settings, &mut writes)?;
                step.writes.extend(writes.into_iter().map(Write::Secrets));
                Ok(answer)
            }
            Request::Scheduler(request) => {
                let mut writes = Vec::new();
                let answer = self.scheduler.call(now, request, &self.settings, &mut writes)?;
                step.writes.extend(writes.into_iter().map(Write::Scheduler));
                Ok(answer)
            }
            // These may have to wait: see `call`.
            Request::Queues(_) | Request::Broker(_) => {
                Err(ApiError::new("InternalFailure", "not answered at once"))
            }
            Request::Publish(publish) => {
                publish.within(&self.settings.mqtt)?;
                self.publish(publish.message(now), 0, step);
                Ok(Json::Object(Arc::default()))
            }
            Request::PublishBy(caller, publish) => {
                publish.within(self.settings.limits_of(caller.profile))?;
                let retains = publish.retain.then_some(Action::RetainPublish);
                for action in [Some(Action::Publish), retains].into_iter().flatten() {
                    if !self.registry.allows_caller(now, caller, action, &publish.topic) {
                        return Err(ApiError::new("ForbiddenException", "Forbidden"));
                    }
                }
                let origin = Origin::Caller(Arc::clone(caller));
                self.publish(Message { origin, ..publish.message(now) }, 0, step);
                Ok(Json::Object(Arc::default()))
            }
            Request::Shadows(request) => self.call_shadows(now, request, reads, step),
            Request::Jobs(request) => self.call_jobs(now, request, reads, step),
            Request::JobsData(request) => self.call_jobs_data(now, request, reads, step),
            Request::Functions(request) => self.call_functions(now, request, reads, step),
        }
    }

    pub(super) fn call_registry(
        &mut self,
        now: Timestamp,
        request: &registry::Request,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        if let Some(resource) = request.tagged() {
            let missing = |what: &str| {
                let why = format!("{what} cannot be found.");
                Err(ApiError::new("ResourceNotFoundException", why))
            };
            match resource.strip_prefix("rule/") {
                Some(rule) if !self.rules.has(rule) => return missing(&format!("Rule {rule}")),
                None if !self.has_tagged_job(resource) => {
                    return missing(&format!("Resource {resource}"));
                }
                Some(_) | None => {}
            }
        }
        let mut out = registry::Out::default();
        let answer = self.registry.call(now, request, &self.settings, &mut out)?;
        self.registered(now, out, step);
        Ok(answer)
    }

    /// Takes some things out of groups that are gone.
    pub(super) fn sweep_groups(&mut self, now: Timestamp, step: &mut Step) {
        let mut out = registry::Out::default();
        self.registry.sweep_groups(now, &self.settings, &mut out);
        self.registered(now, out, step);
    }

    /// Takes over what the registry decided, and publishes what it tells of it.
    pub(super) fn registered(&mut self, now: Timestamp, out: registry::Out, step: &mut Step) {
        let concern = self.registry.concern(&out.writes);
        self.jobs_follow(now, &out.writes, step);
        step.writes.extend(out.writes.into_iter().map(Write::Registry));
        for event in out.events {
            let message = event.message(now, self.salt, &self.settings);
            self.publish(message, 0, step);
        }
        if let Some(concern) = concern {
            self.recheck(now, &concern, step);
        }
    }

    /// Records items, and wakes the answers that wait for one of them.
    pub(super) fn stored(&mut self, writes: Vec<tables::Write>, step: &mut Step) {
        for write in writes {
            if let Some((table, operation)) = tables::written_partition(&self.tables, &write) {
                let waiting = self.answers.waiting_for(&table, &operation);
                let looks = waiting
                    .into_iter()
                    .map(|(number, answer)| Input::Follow(Follow::Complete(Some(number), answer)));
                step.then.extend(looks);
            }
            step.writes.push(Write::Tables(write));
        }
    }
}
