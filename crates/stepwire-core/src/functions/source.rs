//! Queues whose messages go to functions.
//!
//! Each mapping asks its queue for messages like any caller that waits, and has a few batches with its
//! function at a time. What a batch did not do is received again when its messages are visible again:
//! so nothing is lost with the node, whose memory alone knows which batches are on their way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::{FunctionName, Functions, SourceRecord};
use crate::events::Pattern;
use crate::settings::Settings;

/// Batches that a mapping has with its function at a time, unless it is configured.
pub(super) const CONCURRENCY: u32 = 5;

/// What mappings are about. Not durable.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Those that wait for their queue's answer.
    polling: BTreeSet<u64>,
    /// Those that leave their queue alone until then.
    resting: BTreeMap<u64, Timestamp>,
    /// What has been received for a batch that is not complete, and when it goes nevertheless.
    gathering: BTreeMap<u64, (Vec<Json>, Timestamp)>,
    batches: BTreeMap<u64, Batch>,
    next: u64,
}

impl Functions {
    /// Mappings that may ask their queue now.
    pub(crate) fn ready_sources(&mut self, now: Timestamp) -> Vec<u64> {
        let Functions { sources, sourcing, .. } = self;
        sourcing.resting.retain(|_, until| *until > now);
        let ready = sources.values().filter(|source| {
            let number = source.number;
            let open = sourcing.batches.values().filter(|batch| batch.source == number).count();
            source.enabled
                && !sourcing.polling.contains(&number)
                && !sourcing.resting.contains_key(&number)
                && open < source.batches_max()
        });
        ready.map(|source| source.number).collect()
    }

    /// A mapping asks its queue; whether it may.
    pub(crate) fn begin_poll(&mut self, now: Timestamp, number: u64) -> bool {
        let ready = self.ready_sources(now).contains(&number);
        ready && self.sourcing.polling.insert(number)
    }

    /// A queue has answered; a mapping may leave it alone for a while.
    pub(crate) fn end_poll(&mut self, number: u64, rests_until: Option<Timestamp>) {
        self.sourcing.polling.remove(&number);
        if let Some(until) = rests_until {
            self.sourcing.resting.insert(number, until);
        }
    }

    /// Adds messages to the batch of a mapping; whether it is complete.
    pub(crate) fn gather(
        &mut self,
        now: Timestamp,
        source: &SourceRecord,
        messages: &[Json],
    ) -> bool {
        let until = now.plus_ms(i64::from(source.window_s) * 1_000);
        let gathering = self.sourcing.gathering.entry(source.number);
        let (gathered, _) = gathering.or_insert_with(|| (Vec::new(), until));
        gathered.extend_from_slice(messages);
        source.window_s == 0 || gathered.len() >= source.batch as usize
    }

    /// Mappings whose batch goes although it is not complete.
    pub(crate) fn gathered(&self, now: Timestamp) -> Vec<u64> {
        let due = self.sourcing.gathering.iter().filter(|(_, (_, until))| *until <= now);
        due.map(|(number, _)| *number).collect()
    }

    /// Begins a batch of what a mapping has gathered: its number and messages.
    pub(crate) fn begin_batch(&mut self, number: u64) -> Option<(u64, Vec<Json>)> {
        let (messages, _) = self.sourcing.gathering.remove(&number)?;
        self.sourcing.next += 1;
        let batch = self.sourcing.next;
        self.sourcing.batches.insert(batch, Batch::of(number, &messages));
        Some((batch, messages))
    }

    /// The function has ended with a batch.
    pub(crate) fn end_batch(&mut self, number: u64) -> Option<Batch> {
        self.sourcing.batches.remove(&number)
    }

    /// When mappings are to be looked at.
    pub(super) fn sources_due(&self) -> Option<Timestamp> {
        let gathering = self.sourcing.gathering.values().map(|(_, until)| *until);
        gathering.chain(self.sourcing.resting.values().copied()).min()
    }
}

/// Messages that are with a function.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Number of the mapping.
    pub(crate) source: u64,
    /// Receipts by message id.
    pub(crate) receipts: BTreeMap<Arc<str>, Arc<str>>,
}

impl SourceRecord {
    /// Batches that may be on their way at a time.
    pub(crate) fn batches_max(&self) -> usize {
        self.concurrency.unwrap_or(CONCURRENCY) as usize
    }

    /// Name of the queue.
    pub(crate) fn queue_name(&self) -> &str {
        self.queue.rsplit(':').next().unwrap_or_default()
    }

    /// The function.
    pub(crate) fn function_name(&self) -> FunctionName {
        FunctionName::of(&self.function).qualified(self.qualifier.as_deref())
    }

    /// The event that a function gets for received messages. Source: AWS Lambda developer guide,
    /// "Amazon SQS message event".
    pub(crate) fn event(&self, messages: &[Json], settings: &Settings) -> Json {
        let records = messages.iter().map(|message| self.message(message, settings));
        Json::object([("Records", Json::array(records.collect::<Vec<_>>()))])
    }

    /// Receipts of the messages that no filter lets through, and the others.
    ///
    /// Source: AWS Lambda developer guide, "Using event filtering with an Amazon SQS event source".
    pub(crate) fn filtered(
        &self,
        messages: &[Json],
        settings: &Settings,
    ) -> (Vec<Arc<str>>, Vec<Json>) {
        let criteria = self.shown.member("FilterCriteria");
        let filters = criteria.and_then(|criteria| criteria.member("Filters")?.as_array());
        let pattern = |filter: &Json| Pattern::parse(filter.member("Pattern")?.as_str()?).ok();
        let filters: Vec<Pattern> =
            filters.unwrap_or_default().iter().filter_map(pattern).collect();
        let (mut out, mut kept) = (Vec::new(), Vec::new());
        for message in messages {
            let fits = filters.is_empty() || {
                let seen = self.message(message, settings);
                let mut seen = seen.as_object().cloned().unwrap_or_default();
                // A body that is JSON is looked into; another is compared as text.
                let body =
                    seen.get("body").and_then(Json::as_str).and_then(|b| Json::parse(b).ok());
                if let Some(body) = body.filter(|body| body.as_object().is_some()) {
                    seen.insert("body".into(), body);
                }
                let seen = Json::Object(Arc::new(seen));
                filters.iter().any(|filter| filter.matches(&seen))
            };
            let receipt = message.member("ReceiptHandle").and_then(Json::as_str);
            match receipt.filter(|_| !fits) {
                Some(receipt) => out.push(receipt.into()),
                None => kept.push(message.clone()),
            }
        }
        (out, kept)
    }

    fn message(&self, message: &Json, settings: &Settings) -> Json {
        let text = |name: &str| message.member(name).cloned().unwrap_or_default();
        let empty = || Json::Object(Arc::default());
        let attributes = message.member("MessageAttributes").and_then(Json::as_object);
        let attributes = attributes.into_iter().flatten().map(|(name, value)| {
            let mut members = vec![
                ("stringListValues", Json::array([])),
                ("binaryListValues", Json::array([])),
                ("dataType", value.member("DataType").cloned().unwrap_or_default()),
            ];
            for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
                members.extend(value.member(from).map(|value| (to, value.clone())));
            }
            (Arc::clone(name), Json::object(members))
        });
        let mut members = vec![
            ("messageId", text("MessageId")),
            ("receiptHandle", text("ReceiptHandle")),
            ("body", text("Body")),
            ("attributes", message.member("Attributes").cloned().unwrap_or_else(empty)),
            ("messageAttributes", Json::object(attributes)),
            ("md5OfBody", text("MD5OfBody")),
            ("eventSource", Json::from("aws:sqs")),
            ("eventSourceARN", Json::String(Arc::clone(&self.queue))),
            ("awsRegion", Json::String(Arc::clone(&settings.region))),
        ];
        let md5 = message.member("MD5OfMessageAttributes");
        members.extend(md5.map(|md5| ("md5OfMessageAttributes", md5.clone())));
        Json::object(members)
    }
}

/// The criteria that these patterns are, as they are kept and shown.
pub(super) fn criteria(patterns: &[Arc<str>]) -> Json {
    let filter =
        |pattern: &Arc<str>| Json::object([("Pattern", Json::String(Arc::clone(pattern)))]);
    let filters = Json::array(patterns.iter().map(filter));
    let criteria = Json::object([("Filters", filters)]);
    let given = (!patterns.is_empty()).then_some(("FilterCriteria", criteria));
    Json::object(given)
}

impl Batch {
    /// A batch of received messages.
    pub(crate) fn of(source: u64, messages: &[Json]) -> Batch {
        let receipt = |message: &Json| {
            let text = |name| message.member(name).and_then(Json::as_str).map(Arc::<str>::from);
            Some((text("MessageId")?, text("ReceiptHandle")?))
        };
        Batch { source, receipts: messages.iter().filter_map(receipt).collect() }
    }

    /// The receipts of messages that are done with, as the function's answer says.
    ///
    /// `None`: the answer cannot be understood, so none is.
    pub(crate) fn done(&self, reports_failures: bool, answer: &str) -> Option<Vec<Arc<str>>> {
        let all = || self.receipts.values().map(Arc::clone).collect();
        if !reports_failures {
            return Some(all());
        }
        let answer = Json::parse(answer).ok()?;
        let Some(failures) = answer.member("batchItemFailures") else {
            return answer.is_null().then(all).or_else(|| {
                answer.as_object().is_some_and(indexmap::IndexMap::is_empty).then(all)
            });
        };
        let failures = match failures {
            Json::Null => return Some(all()),
            failures => failures.as_array()?,
        };
        let mut failed = Vec::new();
        for failure in failures {
            let id = failure.member("itemIdentifier").and_then(Json::as_str)?;
            // One that is not of this batch says that the answer is wrong as a whole.
            failed.push(self.receipts.contains_key(id).then_some(id)?);
        }
        let done = self.receipts.iter().filter(|(id, _)| !failed.contains(&&***id));
        Some(done.map(|(_, receipt)| Arc::clone(receipt)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_function_does_not_name_is_done_with() {
        let receipts = [("a", "1"), ("b", "2")].map(|(id, receipt)| (id.into(), receipt.into()));
        let batch = Batch { source: 0, receipts: receipts.into() };
        let count = |answer: &str| batch.done(true, answer).map(|done| done.len());
        assert_eq!(batch.done(false, "anything").map(|done| done.len()), Some(2));
        assert_eq!(count("null"), Some(2));
        assert_eq!(count("{}"), Some(2));
        assert_eq!(count(r#"{"batchItemFailures":[]}"#), Some(2));
        assert_eq!(count(r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#), Some(1));
        assert_eq!(count(r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#), None);
        assert_eq!(count(r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#), None);
        assert_eq!(count(r#"{"batchItemFailures":7}"#), None);
    }
}
