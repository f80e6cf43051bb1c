//! Sending: a message is in the queue once its commit is.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::message::{md5_of_attributes, md5_of_body};
use super::record::{Message, Queue, State};
use super::{Entry, Queues, Send, Write, results};
use crate::error::ApiError;
use crate::executions::derived_uuid;
use crate::settings::Settings;

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
        };
        let max = queue.attributes.bytes_max;
        if message.size() as i64 > max {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {max} \
                 bytes."
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let number = self.number(out);
        let id: Arc<str> =
            derived_uuid(&settings.secret, "message", &[queue.number, number]).into();
        let mut members = vec![("MD5OfMessageBody", Json::from(md5_of_body(&send.body)))];
        let md5 = md5_of_attributes(send.attributes.iter());
        members.extend(md5.map(|md5| ("MD5OfMessageAttributes", Json::from(md5))));
        members.push(("MessageId", Json::String(Arc::clone(&id))));
        let delay_s = send.delay_s.unwrap_or(queue.attributes.delay_s);
        let state =
            State { sent: now, visible: now.plus_ms(delay_s * 1_000), receives: 0, received: None };
        self.put(queue.number, number, Message { id, ..message }, state, out);
        Ok(members)
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
