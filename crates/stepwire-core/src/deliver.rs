//! How messages get to where they go: buses and topics bring them to queues, queues hand them out.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use crate::asking::{Asker, reply_to};
use crate::effect::{Effect, Report};
use crate::error::ApiError;
use crate::events;
use crate::input::{Follow, Input};
use crate::kernel::{Kernel, Step};
use crate::queues::{self, Request};
use crate::read::Reads;
use crate::topics;
use crate::write::Write;

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
        self.deliver(now, deliveries, step);
        Ok(answer)
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
        for events::Delivery { target, body } in deliveries {
            if target.starts_with(&self.settings.arn("sqs", "")) {
                let send = queues::Send { body, ..queues::Send::default() };
                self.deliver(now, vec![topics::Delivery { queue: target, send }], step);
                continue;
            }
            let (subject, attributes) = (None, Vec::new());
            let publish = topics::Publish { message: body, subject, attributes };
            let topic = Arc::clone(&target);
            let request = topics::Request::Publish { topic, publish: Box::new(publish) };
            if let Err(error) = self.call_topics(now, &request, step) {
                undelivered(target, &error, step);
            }
        }
    }

    /// Puts messages into queues. One that cannot be is reported.
    fn deliver(&mut self, now: Timestamp, deliveries: Vec<topics::Delivery>, step: &mut Step) {
        let mut writes = Vec::new();
        for topics::Delivery { queue: arn, send } in deliveries {
            let (queues, settings) = (&mut self.queues, &self.settings);
            let sent = queues.of_arn(&arn, settings);
            let sent =
                sent.and_then(|queue| queues.send(now, &queue, &send, settings, &mut writes));
            if let Err(error) = sent {
                undelivered(arn, &error, step);
            }
        }
        self.queued(now, writes, step);
    }
}

fn undelivered(target: Arc<str>, error: &ApiError, step: &mut Step) {
    let why = error.to_string().into();
    step.effects.push(Effect::Report(Report::Undelivered { target, why }));
}
