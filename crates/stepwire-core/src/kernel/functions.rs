//! Invocations that nobody waits for, queues whose messages go to functions, and what functions wrote.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{Kernel, Step};
use crate::asking::Asker;
use crate::effect::{Effect, Report};
use crate::error::ApiError;
use crate::functions::{self, Batch, Ended, Functions, Invoke, Invoked, InvokedBy, Told};
use crate::input::{Follow, Input};
use crate::queues;
use crate::read::Reads;
use crate::request::{Request, Service};
use crate::write::Write;

/// How long a queue is left alone that could not be read.
const BACK_OFF_MS: i64 = 5_000;
/// Seconds that a mapping waits for messages at a time.
const WAIT_S: i64 = 20;

impl Kernel {
    /// Carries out a Lambda request that changes something.
    pub(super) fn call_functions(
        &mut self,
        now: Timestamp,
        request: &functions::Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        if let functions::Request::CreateSource(change) = request {
            let arn = change.queue.as_deref().unwrap_or_default();
            self.queues.of_arn(arn, &self.settings).map_err(|error| {
                let message = format!(
                    "Error occurred while ReceiveMessage. SQS Error Code: \
                     AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: {}",
                    error.message
                );
                ApiError::new("InvalidParameterValueException", message)
            })?;
        }
        let mut writes = Vec::new();
        let answer = self.functions.call(now, request, reads, &self.settings, &mut writes)?;
        let sources = writes.iter().any(|write| matches!(write, functions::Write::Source(..)));
        step.writes.extend(writes.into_iter().map(Write::Functions));
        if sources {
            self.poll_sources(now, step);
        }
        Ok(answer)
    }

    /// Begins the next attempt of an invocation that nobody waits for.
    pub(super) fn attempt(&mut self, number: u64, step: &mut Step) {
        let mut writes = Vec::new();
        let begun = self.functions.attempt(number, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Functions));
        if let Some(begun) = begun {
            let invoke = Box::new(begun.invoke());
            step.effects.push(Effect::Invoke { caller: InvokedBy::Event(number), invoke });
        }
    }

    /// An attempt of an invocation that nobody waits for has ended.
    pub(super) fn attempted(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<Invoked, ApiError>,
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut writes = Vec::new();
        let ended = self.functions.attempted(now, number, result, &self.settings, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Functions));
        let Some(ended) = ended else { return };
        if let Some(target) = &ended.destination {
            let record = ended.record(now, &self.settings);
            if let Err(error) = self.tell_destination(now, target, &ended, record, reads, step) {
                let (target, why) = (Arc::clone(target), error.to_string().into());
                step.effects.push(Effect::Report(Report::Undelivered { target, why }));
            }
        }
        if let Some(target) = &ended.dead_letter {
            let attributes = ended.dead_letter_attributes();
            let payload = Json::from(&*ended.invocation.payload);
            let told = self.send_to(now, target, payload, Some(attributes), reads, step);
            if let Err(error) = told {
                let (target, why) = (Arc::clone(target), error.to_string().into());
                step.effects.push(Effect::Report(Report::Undelivered { target, why }));
            }
        }
        if let Some(why) = ended.why {
            let function = ended.invocation.function;
            step.effects.push(Effect::Report(Report::InvocationFailed { function, why }));
        }
    }

    /// Tells a destination what an invocation came to.
    fn tell_destination(
        &mut self,
        now: Timestamp,
        target: &str,
        ended: &Ended,
        record: Json,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        match target.split(':').nth(2) {
            Some("lambda") => {
                let function = functions::FunctionName::parse(target)?;
                let payload = record.to_text().into();
                let mut writes = Vec::new();
                let (functions, settings) = (&mut self.functions, &self.settings);
                let queued = functions.enqueue(now, &function, payload, settings, &mut writes);
                step.writes.extend(writes.into_iter().map(Write::Functions));
                queued
            }
            Some("events") => {
                let kind = if ended.why.is_none() { "Success" } else { "Failure" };
                let source = record.member("requestContext").and_then(|c| c.member("functionArn"));
                let resources =
                    Json::array([Json::from(target), source.cloned().unwrap_or_default()]);
                let entry = Json::object([
                    ("Source", Json::from("lambda")),
                    ("DetailType", format!("Lambda Function Invocation Result - {kind}").into()),
                    ("Detail", record.to_text().into()),
                    ("Resources", resources),
                    ("EventBusName", target.into()),
                ]);
                let body = Json::object([("Entries", Json::array([entry]))]);
                self.perform(now, Service::Events, "PutEvents", &body, reads, step)
            }
            _ => self.send_to(now, target, record.to_text().into(), None, reads, step),
        }
    }

    /// Sends text to a queue or topic.
    fn send_to(
        &mut self,
        now: Timestamp,
        target: &str,
        text: Json,
        attributes: Option<Json>,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        if target.split(':').nth(2) == Some("sqs") {
            let queue = self.queues.of_arn(target, &self.settings)?;
            let url = format!("{}/{}/{}", self.settings.url, self.settings.account, queue.name);
            let mut members = vec![("QueueUrl", Json::from(url)), ("MessageBody", text)];
            members.extend(attributes.map(|attributes| ("MessageAttributes", attributes)));
            let body = Json::object(members);
            return self.perform(now, Service::Sqs, "SendMessage", &body, reads, step);
        }
        let mut members = vec![("TopicArn", Json::from(target)), ("Message", text)];
        members.extend(attributes.map(|attributes| ("MessageAttributes", attributes)));
        self.perform(now, Service::Sns, "Publish", &Json::object(members), reads, step)
    }

    fn perform(
        &mut self,
        now: Timestamp,
        service: Service,
        operation: &str,
        body: &Json,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        let unknown = || ApiError::new("ServiceException", "the operation is not available");
        let request = Request::parse(service, operation, body).ok_or_else(unknown)??;
        match self.call(now, Asker::Rule, &request, reads, step) {
            Some(answer) => answer.map(drop),
            None => Ok(()),
        }
    }

    /// Keeps what an invocation wrote, for CloudWatch Logs and for the step that asked for it.
    pub(super) fn function_told(&mut self, now: Timestamp, told: Told, step: &mut Step) {
        let Told { task, ran } = told;
        let events = events_of(&ran);
        let mut writes = Vec::new();
        self.logs.log_of_function(now, &ran.group, &ran.stream, &events, &mut writes);
        self.logged(now, writes, step);
        if let Some((execution, scheduled)) = task {
            let mut writes = Vec::new();
            self.functions.keep(execution, scheduled, ran, &mut writes);
            step.writes.extend(writes.into_iter().map(Write::Functions));
        }
    }

    /// Has mappings ask their queues that have room for another batch.
    pub(super) fn poll_sources(&mut self, now: Timestamp, step: &mut Step) {
        let ready = self.functions.ready_sources(now);
        step.then.extend(ready.into_iter().map(|number| Input::Follow(Follow::Poll(number))));
    }

    /// Sends off batches that have been gathered long enough, and asks queues again.
    pub(super) fn look_at_sources(&mut self, now: Timestamp, step: &mut Step) {
        for number in self.functions.gathered(now) {
            self.dispatch(number, step);
        }
        self.poll_sources(now, step);
    }

    /// The number of the queue that a mapping reads.
    pub(super) fn queue_of_source(&self, number: u64) -> Option<u64> {
        let source = self.functions.sources.get(&number)?;
        self.queues.of_arn(&source.queue, &self.settings).ok().map(|queue| queue.number)
    }

    /// A mapping asks its queue.
    pub(super) fn poll_queue(
        &mut self,
        now: Timestamp,
        number: u64,
        reads: &Reads,
        step: &mut Step,
    ) {
        let Some(source) = self.functions.sources.get(&number).map(Arc::clone) else { return };
        if !self.functions.begin_poll(now, number) {
            return;
        }
        let url =
            format!("{}/{}/{}", self.settings.url, self.settings.account, source.queue_name());
        let body = Json::object([
            ("QueueUrl", Json::from(url)),
            ("MaxNumberOfMessages", i64::from(source.batch.min(10)).into()),
            ("WaitTimeSeconds", WAIT_S.into()),
            ("AttributeNames", Json::array([Json::from("All")])),
            ("MessageAttributeNames", Json::array([Json::from("All")])),
        ]);
        let request = Request::parse(Service::Sqs, "ReceiveMessage", &body);
        let Some(Ok(request)) = request else { return };
        if let Some(answer) = self.call(now, Asker::Source(number), &request, reads, step) {
            self.sourced(now, number, answer, reads, step);
        }
    }

    /// A queue has answered a mapping.
    pub(super) fn sourced(
        &mut self,
        now: Timestamp,
        number: u64,
        answer: Result<Json, ApiError>,
        reads: &Reads,
        step: &mut Step,
    ) {
        let messages = match &answer {
            Ok(answer) => answer.member("Messages").and_then(Json::as_array).unwrap_or_default(),
            Err(_) => &[],
        };
        let source = self.functions.sources.get(&number).map(Arc::clone);
        let Some(source) = source.filter(|source| source.enabled) else {
            // It is gone or switched off: others may have the messages.
            self.functions.end_poll(number, None);
            for receipt in Batch::of(number, messages).receipts.values() {
                let url = self.queue_url(number);
                let body = Json::object([
                    ("QueueUrl", Json::from(url)),
                    ("ReceiptHandle", Json::String(Arc::clone(receipt))),
                    ("VisibilityTimeout", 0.into()),
                ]);
                let operation = "ChangeMessageVisibility";
                let _ = self.perform(now, Service::Sqs, operation, &body, reads, step);
            }
            return;
        };
        if answer.is_err() {
            return self.functions.end_poll(number, Some(now.plus_ms(BACK_OFF_MS)));
        }
        self.functions.end_poll(number, None);
        let (unwanted, messages) = source.filtered(messages, &self.settings);
        self.remove_messages(now, &source, &unwanted, reads, step);
        if !messages.is_empty() && self.functions.gather(now, &source, &messages) {
            self.dispatch(number, step);
        }
        self.poll_sources(now, step);
    }

    fn queue_url(&self, number: u64) -> String {
        let source = self.functions.sources.get(&number);
        let name = source.map_or("", |source| source.queue_name());
        format!("{}/{}/{name}", self.settings.url, self.settings.account)
    }

    /// Gives what a mapping has gathered to its function.
    fn dispatch(&mut self, number: u64, step: &mut Step) {
        let Some(source) = self.functions.sources.get(&number).map(Arc::clone) else { return };
        let Some((batch, messages)) = self.functions.begin_batch(number) else { return };
        let payload = source.event(&messages, &self.settings).to_text().into();
        let invoke = Box::new(Invoke::for_answer(source.function_name(), payload));
        step.effects.push(Effect::Invoke { caller: InvokedBy::Source(batch), invoke });
    }

    /// A function has ended with a batch of messages.
    pub(super) fn batch_ended(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<Invoked, ApiError>,
        reads: &Reads,
        step: &mut Step,
    ) {
        let Some(batch) = self.functions.end_batch(number) else { return };
        let source = self.functions.sources.get(&batch.source).map(Arc::clone);
        let why = match (&result, source) {
            (Ok(invoked), Some(source)) if !invoked.failed => {
                match batch.done(source.reports_failures, &invoked.payload) {
                    Some(done) => {
                        self.remove_messages(now, &source, &done, reads, step);
                        None
                    }
                    None => Some((source, "its answer names no message of the batch".to_owned())),
                }
            }
            (Ok(invoked), Some(source)) => Some((source, invoked.payload.to_string())),
            (Err(error), Some(source)) => Some((source, error.to_string())),
            (_, None) => None,
        };
        if let Some((source, why)) = why {
            let why = format!("a batch of `{}` is tried again: {why}", source.queue);
            let function = Arc::clone(&source.function);
            step.effects.push(Effect::Report(Report::BatchFailed { function, why: why.into() }));
        }
        self.poll_sources(now, step);
    }

    /// Removes messages that are done with.
    fn remove_messages(
        &mut self,
        now: Timestamp,
        source: &functions::SourceRecord,
        receipts: &[Arc<str>],
        reads: &Reads,
        step: &mut Step,
    ) {
        let queue: Arc<str> = source.queue_name().into();
        for receipt in receipts {
            let (queue, receipt) = (Arc::clone(&queue), Arc::clone(receipt));
            let request = queues::Request::DeleteMessage { queue, receipt };
            // One whose receipt has run out was given to another meanwhile.
            let _ = self.call_queues(now, Asker::Rule, &request, reads, step);
        }
    }
}

/// Most log events of one invocation: more lines share one.
const EVENTS_MAX: usize = 1_000;

/// The lines of an invocation's log, each at its time.
fn events_of(ran: &functions::RanRecord) -> Vec<(Timestamp, Arc<str>)> {
    let lines = functions::log_events(&ran.log);
    let each = lines.len().div_ceil(EVENTS_MAX).max(1);
    let end = ran.began.plus_ms((ran.took_us / 1_000) as i64);
    let at = |line: &str| {
        let ends = line.starts_with("END RequestId: ")
            || line.starts_with("REPORT RequestId: ")
            || line.starts_with("{\"time\":") && line.contains("\"type\":\"platform.r");
        if ends { end } else { ran.began }
    };
    lines.chunks(each).map(|lines| (at(&lines[0]), lines.concat().into())).collect()
}

/// What [`Kernel::needs`] has to know of a request.
pub(super) fn prefetch(request: &functions::Request, reads: &Reads) {
    Functions::prefetch(request, reads);
}
