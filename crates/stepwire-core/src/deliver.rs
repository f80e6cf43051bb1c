//! How messages get to where they go: buses and topics bring them to queues, functions, HTTP endpoints
//! and whatever else they are for; queues hand them out.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use crate::asking::{Asker, reply_to};
use crate::effect::{Effect, Report};
use crate::error::ApiError;
use crate::events::{self, Entry};
use crate::executions::machines::MachineArn;
use crate::functions::FunctionName;
use crate::input::{Follow, Input};
use crate::kernel::{Kernel, Step};
use crate::logs;
use crate::objects;
use crate::queues::{self, Request, Send};
use crate::read::Reads;
use crate::rules::errands::NotDelivered;
use crate::scheduler::Due;
use crate::topics::{self, To};
use crate::write::Write;

/// Most executions and further buses that events set going because of one input.
const SET_GOING_MAX: usize = 100;

impl Kernel {
    /// Carries out a request on queues. `None`: the caller waits for a message.
    pub(crate) fn call_queues(
        &mut self,
        now: Timestamp,
        asker: Asker,
        request: &Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Option<Result<Json, ApiError>> {
        let mut writes = Vec::new();
        let (queues, settings) = (&mut self.queues, &self.settings);
        let answer = match request {
            Request::ReceiveMessage(receive) => {
                queues.receive(now, asker, receive, reads, settings, &mut writes)
            }
            other => Some(queues.call(now, other, settings, &mut writes)),
        };
        self.queued(now, writes, step);
        answer
    }

    /// Records what changed in queues, and wakes those who wait for a message of one of them.
    pub(crate) fn queued(&mut self, now: Timestamp, writes: Vec<queues::Write>, step: &mut Step) {
        let mut touched = BTreeSet::new();
        for write in writes {
            if let queues::Write::State { queue, state: Some(_), .. } = &write {
                touched.insert(*queue);
            }
            step.writes.push(Write::Queues(write));
        }
        touched.retain(|queue| self.queues.is_wanted(now, *queue));
        step.then.extend(touched.into_iter().map(|queue| Input::Follow(Follow::Receive(queue))));
    }

    /// Gives what has arrived in a queue to one who waits for it, and looks again.
    pub(crate) fn hand_out_messages(
        &mut self,
        now: Timestamp,
        queue: u64,
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut writes = Vec::new();
        let (queues, settings) = (&mut self.queues, &self.settings);
        let handed = queues.hand_out(now, queue, reads, settings, &mut writes);
        self.queued(now, writes, step);
        if let Some((asker, messages)) = handed {
            reply_to(asker, Ok(messages), now, step);
            if self.queues.is_wanted(now, queue) {
                step.then.push(Input::Follow(Follow::Receive(queue)));
            }
        }
    }

    /// Tells those who have waited long enough that nothing came, and gives others what came back.
    pub(crate) fn look_at_waiting(&mut self, now: Timestamp, step: &mut Step) {
        for asker in self.queues.gave_up(now) {
            reply_to(asker, Ok(Json::Object(Arc::default())), now, step);
        }
        let wanted = self.queues.wanted(now).into_iter();
        step.then.extend(wanted.map(|queue| Input::Follow(Follow::Receive(queue))));
    }

    /// Removes some of what queues and topics keep no longer, and goes on with what is due: documents
    /// for HTTP endpoints, dead letters on their way back, schedules.
    pub(crate) fn go_on_with_messages(&mut self, now: Timestamp, step: &mut Step) {
        let mut writes = Vec::new();
        self.queues.tidy(now, &mut writes);
        self.queued(now, writes, step);
        let mut writes = Vec::new();
        self.topics.tidy(now, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Topics));
        for number in self.topics.overdue(now) {
            self.begin_notification(number, step);
        }
        let moves = self.queues.moves_due(now).into_iter();
        step.then.extend(moves.map(|task| Input::Follow(Follow::MoveMessages(task))));
        let (mut writes, mut deliveries) = (Vec::new(), Vec::new());
        self.events.fire(now, &self.settings, &mut writes, &mut deliveries);
        step.writes.extend(writes.into_iter().map(Write::Events));
        self.deliver_events(now, deliveries, step);
        let mut writes = Vec::new();
        let due = self.scheduler.fire(now, &self.settings, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Scheduler));
        for due in due {
            self.deliver_due(now, due, step);
        }
    }

    /// Brings what a schedule does to its target.
    fn deliver_due(&mut self, now: Timestamp, due: Due, step: &mut Step) {
        let Due { schedule_arn, execution, delivery } = due;
        let Err(error) = self.deliver_event(now, &delivery, step) else { return };
        let events::Delivery { target, body, .. } = delivery;
        // Source: EventBridge Scheduler user guide, "Configuring a dead-letter queue".
        let attributes = vec![
            ("ERROR_CODE".into(), attribute(&error.code)),
            ("ERROR_MESSAGE".into(), attribute(&error.message)),
            ("EXECUTION_ID".into(), attribute(&execution)),
            ("EXHAUSTED_RETRY_CONDITION".into(), attribute("MaximumRetryAttempts")),
            ("SCHEDULE_ARN".into(), attribute(&schedule_arn)),
            ("TARGET_ARN".into(), attribute(&target.arn)),
        ];
        let send = Send { body, attributes, ..Send::default() };
        let letter = target.dead_letters.map(|queue| (queue, Box::new(send)));
        self.bury(now, target.arn, &error.to_string(), letter, step);
    }

    /// Moves a slice of dead letters back.
    pub(crate) fn move_messages(
        &mut self,
        now: Timestamp,
        task: u64,
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut writes = Vec::new();
        self.queues.go_on_moving(now, task, reads, &self.settings, &mut writes);
        self.queued(now, writes, step);
    }

    /// Carries out a request on topics.
    pub(crate) fn call_topics(
        &mut self,
        now: Timestamp,
        request: &topics::Request,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        let (mut writes, mut deliveries) = (Vec::new(), Vec::new());
        let (topics, settings) = (&mut self.topics, &self.settings);
        let answer = topics.call(now, request, settings, &mut writes, &mut deliveries)?;
        step.writes.extend(writes.into_iter().map(Write::Topics));
        for topics::Delivery { to, dead_letter } in deliveries {
            self.deliver(now, to, dead_letter, step);
        }
        Ok(answer)
    }

    /// Brings a message of a topic to one who subscribes.
    fn deliver(
        &mut self,
        now: Timestamp,
        to: To,
        dead_letter: Option<(Arc<str>, Box<Send>)>,
        step: &mut Step,
    ) {
        let (endpoint, why) = match to {
            To::Endpoint(number) => return self.begin_notification(number, step),
            To::Queue { arn, send } => match self.send(now, &arn, &send, step) {
                Ok(()) => return,
                Err(error) => (arn, error.to_string()),
            },
            To::Function { arn, payload } => match self.enqueue(now, &arn, payload, step) {
                Ok(()) => return,
                Err(error) => (arn, error.to_string()),
            },
            To::Nowhere { endpoint, why } => (endpoint, why.to_string()),
        };
        self.bury(now, endpoint, &why, dead_letter, step);
    }

    /// What could not be delivered becomes a dead letter, or is reported.
    fn bury(
        &mut self,
        now: Timestamp,
        endpoint: Arc<str>,
        why: &str,
        dead_letter: Option<(Arc<str>, Box<Send>)>,
        step: &mut Step,
    ) {
        let Some((queue, send)) = dead_letter else { return undelivered(endpoint, why, step) };
        if let Err(error) = self.send(now, &queue, &send, step) {
            let why = format!("{why}; nor could it be put into `{queue}`: {error}");
            undelivered(endpoint, &why, step);
        }
    }

    /// Sends a message to a queue of this node; what only FIFO queues know is left out elsewhere.
    fn send(
        &mut self,
        now: Timestamp,
        arn: &Arc<str>,
        send: &Send,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        let queue = self.queues.of_arn(arn, &self.settings)?;
        let mut send = send.clone();
        if !queue.is_fifo() {
            send.deduplication = None;
        }
        let mut writes = Vec::new();
        let sent = self.queues.send(now, &queue, &send, &self.settings, &mut writes);
        self.queued(now, writes, step);
        sent.map(drop)
    }

    /// Has a function of this node invoked; nobody waits for it.
    fn enqueue(
        &mut self,
        now: Timestamp,
        arn: &str,
        payload: Arc<str>,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        let function = FunctionName::parse(arn)?;
        let (mut writes, settings) = (Vec::new(), &self.settings);
        let queued = self.functions.enqueue(now, &function, payload, settings, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Functions));
        queued.map(drop)
    }

    /// An attempt to bring a document to an HTTP endpoint begins.
    pub(crate) fn begin_notification(&mut self, number: u64, step: &mut Step) {
        let mut writes = Vec::new();
        let begun = self.topics.begin(number, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Topics));
        step.effects.extend(
            begun.map(|delivery| Effect::Notify {
                notification: number,
                delivery: Box::new(delivery),
            }),
        );
    }

    /// An attempt to bring a document to an HTTP endpoint has ended.
    pub(crate) fn notified(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<(), NotDelivered>,
        step: &mut Step,
    ) {
        let mut writes = Vec::new();
        let why = result.as_ref().err().map(|failure| Arc::clone(&failure.why));
        let result = result.map_err(|failure| failure.again);
        let given_up = self.topics.notified(now, number, result, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Topics));
        let Some(notification) = given_up else { return };
        let send = Send {
            body: Arc::clone(&notification.body),
            attributes: notification.attributes.clone(),
            ..Send::default()
        };
        let letter = notification.dead_letters.clone().map(|queue| (queue, Box::new(send)));
        let endpoint = Arc::clone(&notification.subscription);
        self.bury(now, endpoint, &why.unwrap_or_default(), letter, step);
    }

    /// Records what changed in log groups, and does what their filters are for.
    pub(crate) fn logged(&mut self, now: Timestamp, writes: Vec<logs::Write>, step: &mut Step) {
        step.writes.extend(writes.into_iter().map(Write::Logs));
        for outcome in self.logs.outcomes(&self.settings) {
            let (whom, done) = match outcome {
                logs::Outcome::Tell { function, payload } => {
                    let told = self.enqueue(now, &function, payload, step);
                    (function, told)
                }
                logs::Outcome::Count { metric, samples } => {
                    let counted = self.count(now, &samples, step);
                    (metric, counted)
                }
            };
            if let Err(error) = done {
                undelivered(whom, &error.to_string(), step);
            }
        }
    }

    /// Refuses a filter that tells a function which is not there.
    pub(crate) fn check_subscriber(&self, request: &logs::Request) -> Result<(), ApiError> {
        let Some(arn) = request.subscriber() else { return Ok(()) };
        let refused = |why: String| ApiError::new("InvalidParameterException", why);
        if arn.split(':').nth(2) != Some("lambda") {
            let why = format!("destinationArn `{arn}`: only functions are told in stepwire");
            return Err(refused(why));
        }
        let found = FunctionName::parse(arn)
            .and_then(|name| self.functions.find_version(&name, &self.settings).map(drop));
        found.map_err(|_| {
            refused(
                "Could not execute the lambda function. Make sure you have given CloudWatch Logs \
                 permission to execute your function."
                    .to_owned(),
            )
        })
    }

    /// Records what changed in buckets, and tells those who want to know.
    pub(crate) fn objects_changed(
        &mut self,
        now: Timestamp,
        mut writes: Vec<objects::Write>,
        reads: &Reads,
        step: &mut Step,
    ) {
        let notices = self.objects.notices(now, reads, &self.settings, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Objects));
        for objects::Notice { to, body } in notices {
            self.tell_of_object(now, to, body, step);
        }
    }

    fn tell_of_object(
        &mut self,
        now: Timestamp,
        to: objects::Destination,
        body: Arc<str>,
        step: &mut Step,
    ) {
        use objects::Destination;
        let (arn, told) = match to {
            Destination::Queue(arn) => {
                let told = self.send(now, &arn, &Send { body, ..Send::default() }, step);
                (arn, told)
            }
            Destination::Topic(arn) => {
                let subject = Some("Amazon S3 Notification".into());
                let publish = Box::new(topics::Publish::plain(body, subject));
                let request = topics::Request::Publish { topic: Arc::clone(&arn), publish };
                (arn, self.call_topics(now, &request, step).map(drop))
            }
            Destination::Function(arn) => {
                let told = self.enqueue(now, &arn, body, step);
                (arn, told)
            }
            Destination::Bus(entry) => return self.put_event(now, *entry, step),
        };
        if let Err(error) = told {
            undelivered(arn, &error.to_string(), step);
        }
    }

    /// Refuses that a bucket tells somebody who is not there.
    pub(crate) fn check_destinations(&self, request: &objects::Request) -> Result<(), ApiError> {
        use objects::Destination;
        for to in request.destinations() {
            let found = match &to {
                Destination::Queue(arn) => {
                    self.queues.of_arn(arn, &self.settings).and_then(|queue| {
                        let why = "a FIFO queue cannot be told";
                        if queue.is_fifo() {
                            Err(ApiError::new("InvalidArgument", why))
                        } else {
                            Ok(())
                        }
                    })
                }
                Destination::Topic(arn) => self.topics.has(arn, &self.settings),
                Destination::Function(arn) => FunctionName::parse(arn)
                    .and_then(|name| self.functions.find_version(&name, &self.settings).map(drop)),
                Destination::Bus(_) => Ok(()),
            };
            let (Destination::Queue(arn) | Destination::Topic(arn) | Destination::Function(arn)) =
                &to
            else {
                continue;
            };
            found.map_err(|error| {
                let message = "Unable to validate the following destination configurations";
                let refused = ApiError::new("InvalidArgument", message);
                let refused = refused.with("ArgumentName1", Json::String(Arc::clone(arn)));
                refused.with("ArgumentValue1", error.message.into())
            })?;
        }
        Ok(())
    }

    /// Queues and topics are told that they will be told of a bucket.
    pub(crate) fn test_destinations(
        &mut self,
        now: Timestamp,
        request: &objects::Request,
        step: &mut Step,
    ) {
        for to in request.destinations() {
            if !matches!(to, objects::Destination::Function(_)) {
                let body = objects::test_event(request.bucket(), now);
                self.tell_of_object(now, to, body, step);
            }
        }
    }

    /// Carries out a request on event buses.
    pub(crate) fn call_events(
        &mut self,
        now: Timestamp,
        request: &events::Request,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        let (mut writes, mut deliveries) = (Vec::new(), Vec::new());
        let (events, settings) = (&mut self.events, &self.settings);
        let answer = events.call(now, request, settings, &mut writes, &mut deliveries)?;
        step.writes.extend(writes.into_iter().map(Write::Events));
        self.deliver_events(now, deliveries, step);
        Ok(answer)
    }

    /// Puts an event on its bus, and brings it where the bus's rules say.
    pub(crate) fn put_event(&mut self, now: Timestamp, entry: events::Entry, step: &mut Step) {
        let (mut writes, mut deliveries) = (Vec::new(), Vec::new());
        self.events.put(now, entry, &self.settings, &mut writes, &mut deliveries);
        step.writes.extend(writes.into_iter().map(Write::Events));
        self.deliver_events(now, deliveries, step);
    }

    fn deliver_events(
        &mut self,
        now: Timestamp,
        deliveries: Vec<events::Delivery>,
        step: &mut Step,
    ) {
        for delivery in deliveries {
            let Err(error) = self.deliver_event(now, &delivery, step) else { continue };
            let events::Delivery { target, rule_arn, body, .. } = delivery;
            // Source: Amazon EventBridge user guide, "Using dead-letter queues".
            let attributes = vec![
                ("ERROR_CODE".into(), attribute(&error.code)),
                ("ERROR_MESSAGE".into(), attribute(&error.message)),
                ("RULE_ARN".into(), attribute(&rule_arn)),
                ("TARGET_ARN".into(), attribute(&target.arn)),
            ];
            let send = Send { body, attributes, ..Send::default() };
            let letter = target.dead_letters.map(|queue| (queue, Box::new(send)));
            self.bury(now, target.arn, &error.to_string(), letter, step);
        }
    }

    /// Brings what a rule of a bus made of an event to one of its targets.
    fn deliver_event(
        &mut self,
        now: Timestamp,
        delivery: &events::Delivery,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        let events::Delivery { target, body, rule, event, .. } = delivery;
        let failed = |why: String| ApiError::new("InternalFailure", why);
        let name = |prefix: &str| target.arn.rsplit_once(prefix).map_or("", |(_, name)| name);
        match events::Kind::of(&target.arn, &self.settings) {
            Some(events::Kind::Queue) => {
                let group = target.group.clone();
                let send = Send { body: Arc::clone(body), group, ..Send::default() };
                self.send(now, &target.arn, &send, step)
            }
            Some(events::Kind::Topic) => {
                let publish = Box::new(topics::Publish::plain(Arc::clone(body), None));
                let topic = Arc::clone(&target.arn);
                let request = topics::Request::Publish { topic, publish };
                self.call_topics(now, &request, step).map(drop)
            }
            Some(events::Kind::Function) => self.enqueue(now, &target.arn, Arc::clone(body), step),
            Some(events::Kind::StateMachine) => {
                self.count_event()?;
                let input =
                    Json::parse(body).map_err(|_| failed("the input is not JSON".into()))?;
                let machine = MachineArn::parse(&target.arn)?;
                self.begin(now, &machine, "", &input, None, step).map_err(failed)
            }
            Some(events::Kind::LogGroup) => {
                let group = name(":log-group:").trim_end_matches(":*");
                let (mut writes, events) = (Vec::new(), [(now, Arc::clone(body))]);
                let logged = self.logs.log_of_rule(now, group, rule, &events, &mut writes);
                self.logged(now, writes, step);
                logged
            }
            Some(events::Kind::Bus) => {
                let Some(entry) = event else {
                    return Err(failed("an event goes from one bus to another only once".into()));
                };
                self.count_event()?;
                let entry = Entry { bus: name(":event-bus/").into(), ..entry.as_ref().clone() };
                let (mut writes, mut deliveries) = (Vec::new(), Vec::new());
                let (events, settings) = (&mut self.events, &self.settings);
                let forwarded = events.forward(now, entry, settings, &mut writes, &mut deliveries);
                step.writes.extend(writes.into_iter().map(Write::Events));
                self.deliver_events(now, deliveries, step);
                forwarded
            }
            None => Err(failed("the target is not of this node".into())),
        }
    }

    /// Counts what an event sets going in this turn: what leads to events in a loop would never let
    /// the turn end.
    fn count_event(&mut self) -> Result<(), ApiError> {
        if self.set_going >= SET_GOING_MAX {
            let why = format!("a loop: {SET_GOING_MAX} executions and buses because of one input");
            return Err(ApiError::new("LoopDetected", why));
        }
        self.set_going += 1;
        Ok(())
    }
}

/// A text as an attribute of a dead letter.
fn attribute(text: &str) -> queues::Attribute {
    queues::Attribute { kind: "String".into(), value: queues::AttributeValue::Text(text.into()) }
}

fn undelivered(target: Arc<str>, why: &str, step: &mut Step) {
    step.effects.push(Effect::Report(Report::Undelivered { target, why: why.into() }));
}
