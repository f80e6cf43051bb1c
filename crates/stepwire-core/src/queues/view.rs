//! Requests that read.

use std::sync::Arc;

use stepwire_asl::Json;

use super::record::{self, Queue};
use super::{Request, no_queue, nothing, url};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// Most queues of a page.
const PAGE_MAX: usize = 1_000;

/// Attributes that can be asked for.
pub(super) const KNOWN: [&str; 21] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ContentBasedDeduplication",
    "CreatedTimestamp",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "Policy",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

/// The answer to a request that reads.
pub fn answer(request: &Request, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
    match request {
        Request::GetQueueUrl { name } => {
            found(name, read)?;
            Ok(Json::object([("QueueUrl", url(name, settings))]))
        }
        Request::ListQueueTags { queue } => {
            let tags = found(queue, read)?.tags;
            let tags = tags.into_iter().map(|(key, value)| (key, Json::String(value)));
            let tags: Vec<_> = tags.collect();
            if tags.is_empty() {
                return Ok(nothing());
            }
            Ok(Json::object([("Tags", Json::object(tags))]))
        }
        Request::ListQueues { prefix, after, max } => {
            let limit = max.unwrap_or(PAGE_MAX);
            let range = record::queues(prefix, after).limit(limit + 1);
            let entries = read.range(&range);
            let queues = entries.iter().take(limit).map(|(key, value)| {
                record::record::<Queue>(key, value).map_err(|corrupt| unreadable(&corrupt))
            });
            let queues: Vec<Queue> = queues.collect::<Result<_, _>>()?;
            let mut members = Vec::new();
            if !queues.is_empty() {
                let urls = queues.iter().map(|queue| url(&queue.name, settings));
                members.push(("QueueUrls", Json::array(urls)));
            }
            // Without MaxResults AWS answers one page, and no more.
            if entries.len() > limit && max.is_some() {
                let last = queues.last().map(|queue| Json::String(Arc::clone(&queue.name)));
                members.push(("NextToken", last.unwrap_or_default()));
            }
            Ok(Json::object(members))
        }
        Request::ListSources { queue, after, max } => {
            found(queue, read)?;
            let limit = max.unwrap_or(PAGE_MAX);
            let (mut sources, mut last, mut more) = (Vec::new(), None, false);
            for (key, value) in read.range(&record::queues("", after)) {
                let one: Queue = record::record(&key, &value).map_err(|c| unreadable(&c))?;
                let redrive = one.attributes.redrive.as_ref();
                if redrive.is_none_or(|redrive| redrive.target != *queue) {
                    continue;
                }
                more = sources.len() == limit;
                if more {
                    break;
                }
                sources.push(url(&one.name, settings));
                last = Some(Arc::clone(&one.name));
            }
            let mut members = vec![("queueUrls", Json::array(sources))];
            let next = last.filter(|_| more && max.is_some());
            members.extend(next.map(|last| ("NextToken", Json::String(last))));
            Ok(Json::object(members))
        }
        Request::ListMoves { source, max } => super::moves::list(source, *max, read, settings),
        Request::CreateQueue { .. }
        | Request::DeleteQueue { .. }
        | Request::GetQueueAttributes { .. }
        | Request::SetQueueAttributes { .. }
        | Request::SendMessage { .. }
        | Request::SendMessageBatch { .. }
        | Request::ReceiveMessage(_)
        | Request::DeleteMessage { .. }
        | Request::DeleteMessageBatch { .. }
        | Request::ChangeMessageVisibility { .. }
        | Request::ChangeMessageVisibilityBatch { .. }
        | Request::PurgeQueue { .. }
        | Request::AddPermission { .. }
        | Request::RemovePermission { .. }
        | Request::StartMove { .. }
        | Request::CancelMove { .. }
        | Request::TagQueue { .. }
        | Request::UntagQueue { .. } => Ok(nothing()),
    }
}

fn found(name: &str, read: &dyn Read) -> Result<Queue, ApiError> {
    let queue = record::queue(name, read).map_err(|corrupt| unreadable(&corrupt))?;
    queue.ok_or_else(no_queue)
}

pub(super) fn unreadable(corrupt: &Corrupt) -> ApiError {
    ApiError::new("InternalFailure", corrupt.to_string())
}
