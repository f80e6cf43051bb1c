//! Sending: a message is in the queue once its commit is.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use stepwire_asl::{Json, Timestamp};

use super::message::{md5_of_attributes, md5_of_body};
use super::record::{Attribute, AttributeValue, Message, Queue, Sent, State};
use super::{DEDUPLICATION_MS, Entry, Queues, Send, Write, results};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::hex::hex;
use crate::settings::Settings;
use crate::topics::sequence_number;

impl Queues {
    /// Puts a message into a queue.
    pub(crate) fn send(
        &mut self,
        now: Timestamp,
        queue: &Queue,
        send: &Send,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        Ok(Json::object(self.sent(now, queue, send, settings, out)?))
    }

    pub(super) fn send_batch(
        &mut self,
        now: Timestamp,
        queue: &Queue,
        entries: &[Entry<Send>],
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        let bytes: usize = entries.iter().flat_map(|entry| &entry.what).map(|s| s.body.len()).sum();
        let max = queue.attributes.bytes_max;
        if bytes as i64 > max {
            let message = format!(
                "Batch requests cannot be longer than {max} bytes. You have sent {bytes} bytes."
            );
            return Err(ApiError::new("BatchRequestTooLong", message));
        }
        Ok(results(entries, |send| self.sent(now, queue, send, settings, out)))
    }

    fn sent(
        &mut self,
        now: Timestamp,
        queue: &Queue,
        send: &Send,
        settings: &Settings,
        out: &mut Vec<Write>,
    ) -> Result<Vec<(&'static str, Json)>, ApiError> {
        let message = Message {
            id: "".into(),
            body: Arc::clone(&send.body),
            attributes: send.attributes.clone(),
            trace_header: send.trace_header.clone(),
            group: send.group.clone(),
            deduplication: deduplication(queue, send)?,
            source: None,
        };
        let max = queue.attributes.bytes_max;
        if message.size() as i64 > max {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {max} \
                 bytes."
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let mut members = vec![("MD5OfMessageBody", Json::from(md5_of_body(&send.body)))];
        let md5 = md5_of_attributes(send.attributes.iter());
        members.extend(md5.map(|md5| ("MD5OfMessageAttributes", Json::from(md5))));
        let trace = send.trace_header.as_ref().map(|header| {
            let value = AttributeValue::Text(Arc::clone(header));
            ("AWSTraceHeader".into(), Attribute { kind: "String".into(), value })
        });
        let md5 = md5_of_attributes(trace.iter());
        members.extend(md5.map(|md5| ("MD5OfMessageSystemAttributes", Json::from(md5))));
        let key = message.deduplication.as_ref().map(|id| match &send.group {
            Some(group) if queue.attributes.by_group => format!("{group}\n{id}").into(),
            _ => Arc::clone(id),
        });
        if let Some(key) = &key
            && let Some((number, sent)) = self.sent_lately(now, queue.number, key)
        {
            members.push(("MessageId", Json::String(sent)));
            members.push(("SequenceNumber", sequence_number(number).into()));
            return Ok(members);
        }
        let number = self.number(out);
        let id: Arc<str> =
            derived_uuid(&settings.secret, "message", &[queue.number, number]).into();
        members.push(("MessageId", Json::String(Arc::clone(&id))));
        if let Some(key) = key {
            members.push(("SequenceNumber", sequence_number(number).into()));
            let sent = Sent { queue: queue.number, key, at: now, id: Arc::clone(&id) };
            self.record(Write::Sent(number, Some(Arc::new(sent))), out);
        }
        let delay_s = send.delay_s.unwrap_or(queue.attributes.delay_s);
        let state = State {
            sent: now,
            visible: now.plus_ms(delay_s * 1_000),
            receives: 0,
            received: None,
            group: send.group.clone().filter(|_| queue.is_fifo()),
        };
        self.put(queue.number, number, Message { id, ..message }, state, out);
        Ok(members)
    }

    /// Number and id of the message that a FIFO queue was sent under a key not long ago.
    fn sent_lately(&self, now: Timestamp, queue: u64, key: &Arc<str>) -> Option<(u64, Arc<str>)> {
        let number = *self.sent_last.get(&(queue, Arc::clone(key)))?;
        let sent = self.sent.get(&number)?;
        let lately = sent.at.plus_ms(DEDUPLICATION_MS) > now;
        lately.then(|| (number, Arc::clone(&sent.id)))
    }

    pub(super) fn put(
        &mut self,
        queue: u64,
        number: u64,
        message: Message,
        state: State,
        out: &mut Vec<Write>,
    ) {
        self.record(Write::Message { queue, number, message: Some(Arc::new(message)) }, out);
        self.record(Write::State { queue, number, state: Some(state) }, out);
    }
}

/// What a message is known by so that a FIFO queue does not take it twice. `None`: the queue is none.
fn deduplication(queue: &Queue, send: &Send) -> Result<Option<Arc<str>>, ApiError> {
    let wrong = |message: String| ApiError::new("InvalidParameterValue", message);
    if !queue.is_fifo() {
        return match &send.deduplication {
            None => Ok(None),
            Some(id) => Err(wrong(format!(
                "Value {id} for parameter MessageDeduplicationId is invalid. Reason: The request \
                 includes a parameter that is not valid for this queue type."
            ))),
        };
    }
    if send.group.is_none() {
        return Err(super::request::missing("MessageGroupId"));
    }
    // What a queue's own delay says holds for FIFO queues alone.
    if let Some(delay_s) = send.delay_s.filter(|delay_s| *delay_s != 0) {
        return Err(wrong(format!(
            "Value {delay_s} for parameter DelaySeconds is invalid. Reason: The request include \
             parameter that is not valid for this queue type."
        )));
    }
    match &send.deduplication {
        Some(id) => Ok(Some(Arc::clone(id))),
        None if queue.attributes.by_content => {
            let sum = Sha256::digest(send.body.as_bytes());
            Ok(Some(hex(&sum).into()))
        }
        None => Err(wrong(
            "The queue should either have ContentBasedDeduplication enabled or \
             MessageDeduplicationId provided explicitly"
                .to_owned(),
        )),
    }
}
