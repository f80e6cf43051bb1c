//! `sqs`: a message is sent to a queue of Amazon SQS.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;

use super::field::Field;
use super::{Kind, Resolved, bytes, only};
use crate::error::ApiError;
use crate::params::Params;
use crate::request::Service;
use crate::rules::sql::{Facts, Value};

/// `sqs`
#[derive(Debug, Clone, PartialEq)]
pub struct Sqs {
    queue: Field,
    encoding: Encoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Base64,
}

const FIFO: &str = "FIFO queues cannot be targets of rules, as on AWS";

pub(super) fn parse(fields: &Params<'_>) -> Result<Sqs, ApiError> {
    only(fields, &["queueUrl", "useBase64"])?;
    let queue = Field::required(fields, "queueUrl")?;
    if queue.source().ends_with(".fifo") {
        return Err(fields.invalid("queueUrl", FIFO));
    }
    let encoding = match fields.optional_bool("useBase64")? {
        Some(true) => Encoding::Base64,
        Some(false) | None => Encoding::Plain,
    };
    Ok(Sqs { queue, encoding })
}

impl Kind for Sqs {
    fn name(&self) -> &'static str {
        "SqsAction"
    }

    fn resource(&self) -> &Field {
        &self.queue
    }

    fn resolve(&self, queue: &Arc<str>, _: &Facts<'_>, result: &Value) -> Result<Resolved, String> {
        if queue.ends_with(".fifo") {
            return Err(FIFO.to_owned());
        }
        let bytes = bytes(result);
        let message = match self.encoding {
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Plain => String::from_utf8(bytes.into())
                .map_err(|_| "the payload is binary\nhint: set `useBase64`")?,
        };
        let queue = Json::String(Arc::clone(queue));
        let body = Json::object([("QueueUrl", queue), ("MessageBody", message.into())]);
        Ok(Resolved::Request { service: Service::Sqs, operation: "SendMessage", body })
    }
}
