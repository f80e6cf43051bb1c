//! Receiving: messages are handed out, not shown for a while, and removed when they are done with.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stepwire_asl::{Json, Timestamp};

use super::message::{md5_of_attributes, md5_of_body};
use super::record::{self, Message, Queue, State};
use super::{Change, Queues, Receive, Write};
use crate::asking::Asker;
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::read::Read;
use crate::settings::Settings;
use crate::topics::sequence_number;

/// Most messages that one request looks at.
const LOOKED_AT: usize = 10;

/// A caller that waits for a message.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) asker: Asker,
    receive: Receive,
    until: Timestamp,
}

impl Queues {
    /// Reads the messages that are received next.
    pub(crate) fn prefetch(&self, queue: u64, read: &dyn Read) {
        for (_, number) in self.next(queue) {
            read.get(&record::message_key(queue, number));
        }
    }

    /// The messages that are received next, with when: nothing but these has been read.
    fn next(&self, queue: u64) -> Vec<(Timestamp, u64)> {
        self.messages.get(&queue).map(|messages| messages.next(LOOKED_AT)).unwrap_or_default()
    }

    /// The messages that a request receives now; `None` if there are none and the caller waits.
    pub(crate) fn receive(
        &mut self,
        now: Timestamp,
        asker: Asker,
        receive: &Receive,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Option<Result<Json, ApiError>> {
        let queue = match self.find(&receive.queue) {
            Ok(queue) => queue,
            Err(error) => return Some(Err(error)),
        };
        if let Err(error) = receive.check(&queue) {
            return Some(Err(error));
        }
        let next = self.next(queue.number);
        self.clean(now, &queue, out);
        let messages = self.take(now, &queue, receive, next, read, settings, out);
        let wait_s = receive.wait_s.unwrap_or(queue.attributes.wait_s);
        if messages.is_empty() && wait_s > 0 && asker != Asker::Rule {
            let (receive, until) = (receive.clone(), now.plus_ms(wait_s * 1_000));
            let waiting = self.waiting.entry(queue.number).or_default();
            waiting.push_back(Waiter { asker, receive, until });
            return None;
        }
        Some(Ok(shown(messages)))
    }

    /// Whether somebody waits for a message of this queue and there is one.
    pub(crate) fn is_wanted(&self, now: Timestamp, queue: u64) -> bool {
        let first = self.first_visible(queue);
        self.waiting.contains_key(&queue) && first.is_some_and(|visible| visible <= now)
    }

    /// Gives messages of a queue to the one who has waited longest. `None`: there are none, or
    /// nobody waits.
    pub(crate) fn hand_out(
        &mut self,
        now: Timestamp,
        queue: u64,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Option<(Asker, Json)> {
        if !self.is_wanted(now, queue) {
            return None;
        }
        let receive = self.waiting.get(&queue)?.front()?.receive.clone();
        let queue = self.find(&receive.queue).ok().filter(|found| found.number == queue)?;
        let next = self.next(queue.number);
        let messages = self.take(now, &queue, &receive, next, read, settings, out);
        if messages.is_empty() {
            return None;
        }
        let waiter = self.next_waiter(queue.number, |_| true)?;
        Some((waiter.asker, shown(messages)))
    }

    /// Those who have waited long enough.
    pub(crate) fn gave_up(&mut self, now: Timestamp) -> Vec<Asker> {
        let queues: Vec<u64> = self.waiting.keys().copied().collect();
        let mut askers = Vec::new();
        for queue in queues {
            while let Some(waiter) = self.next_waiter(queue, |waiter| waiter.until <= now) {
                askers.push(waiter.asker);
            }
        }
        askers
    }

    /// Queues of which somebody waits for a message that can be received now.
    pub(crate) fn wanted(&self, now: Timestamp) -> Vec<u64> {
        let waiting = self.waiting.keys().copied();
        waiting.filter(|queue| self.is_wanted(now, *queue)).collect()
    }

    /// When the next of them gives up, or a message comes back that one waits for.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let times = self.waiting.iter().flat_map(|(queue, waiters)| {
            waiters.iter().map(|waiter| waiter.until).chain(self.first_visible(*queue))
        });
        times.min()
    }

    /// When the first message of a queue can be received; `None` for a queue that is gone.
    fn first_visible(&self, queue: u64) -> Option<Timestamp> {
        let messages = self.messages.get(&queue).filter(|_| !self.gone.contains(&queue));
        messages?.first_turn()
    }

    fn next_waiter(&mut self, queue: u64, is: impl Fn(&Waiter) -> bool) -> Option<Waiter> {
        let waiters = self.waiting.get_mut(&queue)?;
        let at = waiters.iter().position(is)?;
        let waiter = waiters.remove(at);
        if waiters.is_empty() {
            self.waiting.remove(&queue);
        }
        waiter
    }

    /// Takes the messages whose turn it is. Those received too often go where the queue says.
    #[expect(clippy::too_many_arguments, reason = "each is another thing")]
    fn take(
        &mut self,
        now: Timestamp,
        queue: &Queue,
        receive: &Receive,
        next: Vec<(Timestamp, u64)>,
        read: &dyn Read,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Vec<Json> {
        let redrive = queue.attributes.redrive.as_ref();
        let redrive = redrive.and_then(|r| Some((self.find(&r.target).ok()?, r.receives_max)));
        let oldest = now.plus_ms(-queue.attributes.retention_s * 1_000);
        let visibility_s = receive.visibility_s.unwrap_or(queue.attributes.visibility_s);
        let mut taken = Vec::new();
        for (at, number) in next {
            if taken.len() == receive.max {
                break;
            }
            let messages = self.messages.get(&queue.number);
            let state = messages.and_then(|messages| messages.get(number)).cloned();
            let Some(state) = state.filter(|_| at <= now) else { continue };
            let key = record::message_key(queue.number, number);
            let message = read.get(&key).and_then(|value| record::record(&key, &value).ok());
            let message: Option<Message> = message;
            let Some(message) = message.filter(|_| state.sent > oldest) else {
                // Kept too long, or not readable: it is nobody's any more.
                self.remove(queue.number, number, out);
                continue;
            };
            if let Some((target, max)) = &redrive
                && state.receives >= *max
            {
                self.remove(queue.number, number, out);
                let number = self.number(out);
                let group = message.group.clone().filter(|_| target.is_fifo());
                let state = State { visible: now, receives: 0, received: None, group, ..state };
                let source = Some(super::arn(&queue.name, settings).into());
                self.put(target.number, number, Message { source, ..message }, state, out);
                continue;
            }
            let state = State {
                visible: now.plus_ms(visibility_s * 1_000),
                receives: state.receives + 1,
                received: state.received.or(Some(now)),
                ..state
            };
            let shown = Some(state.clone());
            self.record(Write::State { queue: queue.number, number, state: shown }, out);
            let receipt = Receipt { queue: queue.number, number, receives: state.receives };
            let receipt = receipt.seal(settings);
            let sequence = queue.is_fifo().then_some(number);
            taken.push(receive.show(&message, &state, sequence, &receipt, settings));
        }
        taken
    }

    /// The message of a receipt, with how it stands; `None` when it is gone, or was received again.
    fn received(
        &self,
        queue: &Queue,
        receipt: &str,
        settings: &Settings,
    ) -> Result<Option<(u64, State)>, ApiError> {
        let opened = Receipt::open(receipt, settings).ok_or_else(|| {
            let message =
                format!("The input receipt handle \"{receipt}\" is not a valid receipt handle.");
            ApiError::new("ReceiptHandleIsInvalid", message)
        })?;
        if opened.queue != queue.number {
            return Ok(None);
        }
        let messages = self.messages.get(&queue.number);
        let state = messages.and_then(|messages| messages.get(opened.number));
        let state = state.filter(|state| state.receives == opened.receives);
        Ok(state.map(|state| (opened.number, state.clone())))
    }

    /// Deleting what is not there succeeds, as on AWS.
    pub(super) fn delete(
        &mut self,
        queue: &Queue,
        receipt: &str,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        if let Some((number, _)) = self.received(queue, receipt, settings)? {
            self.remove(queue.number, number, out);
        }
        Ok(())
    }

    pub(super) fn change_visibility(
        &mut self,
        now: Timestamp,
        queue: &Queue,
        change: &Change,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<(), ApiError> {
        let found = self.received(queue, &change.receipt, settings)?;
        let Some((number, state)) = found.filter(|(_, state)| state.visible > now) else {
            let message = format!(
                "Value {} for parameter ReceiptHandle is invalid. Reason: Message does not exist or \
                 is not available for visibility timeout change.",
                change.receipt
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        };
        let visible = now.plus_ms(change.visibility_s * 1_000);
        let state = Some(State { visible, ..state });
        self.record(Write::State { queue: queue.number, number, state }, out);
        Ok(())
    }
}

impl Receive {
    /// Refuses what cannot be asked of this queue.
    fn check(&self, queue: &Queue) -> Result<(), ApiError> {
        if let Some(attempt) = self.attempt.as_ref().filter(|_| !queue.is_fifo()) {
            let message = format!(
                "Value {attempt} for parameter ReceiveRequestAttemptId is invalid. Reason: The \
                 request include parameter that is not valid for this queue type."
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        Ok(())
    }

    /// A message as the caller asked to see it.
    fn show(
        &self,
        message: &Message,
        state: &State,
        sequence: Option<u64>,
        receipt: &str,
        settings: &Settings,
    ) -> Json {
        let mut members = vec![
            ("MessageId", Json::String(Arc::clone(&message.id))),
            ("ReceiptHandle", receipt.into()),
            ("MD5OfBody", md5_of_body(&message.body).into()),
            ("Body", Json::String(Arc::clone(&message.body))),
        ];
        let ms = |at: Timestamp| Json::from(at.0.to_string());
        let mut system = vec![
            ("SenderId", Json::from(&*settings.account)),
            ("SentTimestamp", ms(state.sent)),
            ("ApproximateReceiveCount", state.receives.to_string().into()),
            ("ApproximateFirstReceiveTimestamp", ms(state.received.unwrap_or(state.sent))),
        ];
        let trace = message.trace_header.as_ref();
        system.extend(trace.map(|trace| ("AWSTraceHeader", Json::String(Arc::clone(trace)))));
        let text = |text: &Arc<str>| Json::String(Arc::clone(text));
        system.extend(message.group.as_ref().map(|group| ("MessageGroupId", text(group))));
        if let Some(number) = sequence {
            system.push(("SequenceNumber", sequence_number(number).into()));
            let id = message.deduplication.as_ref();
            system.extend(id.map(|id| ("MessageDeduplicationId", text(id))));
        }
        let source = message.source.as_ref();
        system.extend(source.map(|arn| ("DeadLetterQueueSourceArn", text(arn))));
        system.retain(|(name, _)| {
            self.system.iter().any(|asked| matches!(&**asked, "All") || **asked == **name)
        });
        if !system.is_empty() {
            members.push(("Attributes", Json::object(system)));
        }
        let wanted = |name: &str| {
            self.attributes.iter().any(|asked| match asked.strip_suffix(".*") {
                Some("") => true,
                Some(prefix) => name.starts_with(prefix),
                None => **asked == *"All" || **asked == *name,
            })
        };
        let attributes: Vec<_> =
            message.attributes.iter().filter(|(name, _)| wanted(name)).collect();
        if let Some(md5) = md5_of_attributes(attributes.iter().copied()) {
            members.push(("MD5OfMessageAttributes", md5.into()));
            let shown = attributes.iter().map(|(name, value)| (Arc::clone(name), value.shown()));
            members.push(("MessageAttributes", Json::object(shown)));
        }
        Json::object(members)
    }
}

fn shown(messages: Vec<Json>) -> Json {
    if messages.is_empty() {
        return super::nothing();
    }
    Json::object([("Messages", Json::array(messages))])
}

/// What a receipt handle says: which receipt of which message. Sealed, so that none can be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Receipt {
    queue: u64,
    number: u64,
    receives: u32,
}

impl Receipt {
    fn seal(self, settings: &Settings) -> String {
        let mut bytes = Vec::new();
        bytes.extend(self.queue.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.receives.to_be_bytes());
        bytes.extend(self.mark(settings).as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(text: &str, settings: &Settings) -> Option<Receipt> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let receives = u32::from_be_bytes(bytes.get(16..20)?.try_into().ok()?);
        let receipt = Receipt { queue: number(0)?, number: number(8)?, receives };
        (bytes.get(20..)? == receipt.mark(settings).as_bytes()).then_some(receipt)
    }

    fn mark(self, settings: &Settings) -> String {
        let parts = [self.queue, self.number, u64::from(self.receives)];
        derived_uuid(&settings.secret, "receipt", &parts)
    }
}
