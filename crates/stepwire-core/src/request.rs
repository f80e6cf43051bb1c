//! Requests of the AWS services we host, parsed once at the rim.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};

use crate::error::ApiError;
use crate::message::{Message, Origin, Properties, QoS};
use crate::read::Read;
use crate::settings::Settings;
use crate::{broker, executions, objects, queues, registry, rules, tables};

/// An AWS service we host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// AWS Step Functions.
    States,
    /// AWS IoT, control plane.
    Iot,
    /// AWS IoT, data plane.
    IotData,
    /// Amazon DynamoDB.
    DynamoDb,
    /// Amazon S3.
    S3,
    /// Amazon SQS.
    Sqs,
}

/// A request to one of the services.
#[derive(Debug, Clone)]
pub enum Request {
    /// Step Functions.
    States(executions::Request),
    /// Things, certificates, policies.
    Registry(registry::Request),
    /// Topic rules.
    Rules(rules::Request),
    /// DynamoDB.
    Tables(tables::Request),
    /// `iot-data` Publish.
    Publish(Publish),
    /// S3.
    Objects(objects::Request),
    /// SQS.
    Queues(queues::Request),
}

/// A message to publish from the service side.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Topic name, without wildcards.
    pub topic: Arc<str>,
    /// Payload bytes.
    pub payload: Bytes,
    /// At most QoS 1, as AWS allows here.
    pub qos: QoS,
    /// Keep it as the topic's retained message.
    pub retain: bool,
    /// MQTT 5 properties.
    pub properties: Properties,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: the operation is not served.
    pub fn parse(
        service: Service,
        operation: &str,
        body: &Json,
    ) -> Option<Result<Request, ApiError>> {
        match service {
            Service::States => {
                Some(executions::Request::parse(operation, body)?.map(Request::States))
            }
            Service::DynamoDb => {
                Some(tables::Request::parse(operation, body)?.map(Request::Tables))
            }
            Service::Iot => registry::Request::parse(operation, body)
                .map(|parsed| parsed.map(Request::Registry))
                .or_else(|| Some(rules::Request::parse(operation, body)?.map(Request::Rules))),
            Service::IotData => None,
            Service::S3 => Some(objects::Request::parse(operation, body)?.map(Request::Objects)),
            Service::Sqs => Some(queues::Request::parse(operation, body)?.map(Request::Queues)),
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::States(request) => request.is_read(),
            Request::Registry(request) => request.is_read(),
            Request::Rules(request) => request.is_read(),
            Request::Tables(request) => request.is_read(),
            Request::Publish(_) => false,
            Request::Objects(request) => request.is_read(),
            Request::Queues(request) => request.is_read(),
        }
    }

    /// Whether its answer may take long to come.
    pub fn waits(&self) -> bool {
        match self {
            Request::States(request) => request.waits(),
            Request::Queues(request) => request.waits(),
            Request::Registry(_)
            | Request::Rules(_)
            | Request::Tables(_)
            | Request::Publish(_)
            | Request::Objects(_) => false,
        }
    }

    /// The answer to a request that reads, from committed records alone.
    pub fn answer(&self, read: &dyn Read, settings: &Settings) -> Result<Json, ApiError> {
        match self {
            Request::States(request) => executions::answer(request, read, settings),
            Request::Registry(request) => registry::answer(request, read, settings),
            Request::Rules(request) => rules::answer(request, read, settings),
            Request::Tables(request) => tables::answer(request, read, settings),
            Request::Objects(request) => objects::answer(request, read, settings),
            Request::Queues(request) => queues::answer(request, read, settings),
            Request::Publish(_) => {
                Err(ApiError::new("InvalidRequestException", "publishing is not a read"))
            }
        }
    }
}

impl Publish {
    /// Refuses a message that no client could send or be sent.
    pub(crate) fn within(&self, limits: &broker::Limits) -> Result<(), ApiError> {
        let levels = self.topic.split('/').count();
        if self.topic.len() > limits.topic_bytes_max || levels > limits.topic_levels_max {
            let (bytes, levels) = (limits.topic_bytes_max, limits.topic_levels_max);
            let message = format!("a topic has at most {bytes} bytes and {levels} levels");
            return Err(ApiError::new("InvalidRequestException", message));
        }
        let (bytes, max) = (self.topic.len() + self.payload.len(), limits.packet_bytes_max);
        if bytes > max as usize {
            let message = format!("topic and payload have {bytes} bytes, at most {max}");
            return Err(ApiError::new("RequestEntityTooLargeException", message));
        }
        Ok(())
    }

    /// The message as it is published now.
    pub(crate) fn message(&self, now: Timestamp) -> Message {
        Message {
            topic: Arc::clone(&self.topic),
            payload: self.payload.clone(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.clone(),
            origin: Origin::Service,
            at: now,
        }
    }

    /// A message to `topic`, if clients could be sent it: no wildcards, not empty, not reserved.
    pub fn to(
        topic: &str,
        payload: Bytes,
        qos: QoS,
        retain: bool,
        properties: Properties,
    ) -> Result<Publish, ApiError> {
        let refuse = |why: &str| Err(ApiError::new("InvalidRequestException", why));
        if topic.is_empty() || topic.len() > 65_535 || topic.contains(['+', '#', '\0']) {
            return refuse("the topic must be 1 to 65535 bytes without `+`, `#` and NUL");
        }
        if topic.starts_with('$') {
            return refuse("topics that begin with `$` are reserved");
        }
        if qos == QoS::ExactlyOnce {
            return refuse("`qos` must be 0 or 1");
        }
        Ok(Publish { topic: topic.into(), payload, qos, retain, properties })
    }
}
