//! What callers may ask of the broker: the operations of AWS's `iot-data` besides Publish.
//!
//! Answered from memory, like packets, and in the same order: what an answer says is durable, and
//! what an operation did is durable before its answer. Read in this order: [`Request`], `call`,
//! `view`.

mod call;
mod view;

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::Json;

use super::WillFate;
use crate::error::ApiError;
use crate::message::{Properties, QoS};
use crate::params::Params;
use crate::publish::{self, Publish};
use crate::rules::Ingest;

pub use call::Answer;
pub(super) use call::{Awaited, Confirmation};

/// The error of a request that cannot be.
const INVALID: &str = "InvalidRequestException";
/// Longest client identifier that these operations take, in bytes.
const CLIENT_BYTES_MAX: usize = 128;
/// Most entries of one page.
const PAGE_MAX: i64 = 200;

/// A request about connections, subscriptions and retained messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Ends a client's connection, and its session if asked to.
    DeleteConnection {
        /// Client identifier.
        client: Arc<str>,
        /// Whether its session ends too.
        clean_session: bool,
        /// What becomes of its will.
        will: WillFate,
    },
    /// How a client is connected, or was last.
    GetConnection {
        /// Client identifier.
        client: Arc<str>,
        /// Whether to tell its address.
        sockets: bool,
    },
    /// What a client subscribes to.
    ListSubscriptions {
        /// Client identifier.
        client: Arc<str>,
        /// Which of its filters.
        page: Page,
    },
    /// Sends a message to one client, whatever it subscribes to.
    SendDirectMessage(Box<DirectMessage>),
    /// The retained message of a topic.
    GetRetainedMessage(Arc<str>),
    /// Retained messages without their payloads.
    ListRetainedMessages(Page),
}

/// A message for one client.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectMessage {
    /// Client identifier.
    pub client: Arc<str>,
    /// The message; QoS 1 when it is to be confirmed.
    pub publish: Publish,
    /// How long to wait for the client's PUBACK; `None`: not at all.
    pub confirm_within_ms: Option<i64>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most entries.
    pub max: usize,
    /// The entry before the first.
    pub after: Option<Arc<str>>,
}

type Parse = fn(&Params<'_>) -> Result<Request, ApiError>;

impl Request {
    /// The request that `body` makes of an operation, payloads in base64. `None`: the operation is
    /// not of this part.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let parse: Parse = match operation {
            "DeleteConnection" => |p| {
                p.only(&["clientId", "cleanSession", "preventWillMessage"])?;
                let prevent = p.optional_bool("preventWillMessage")?.unwrap_or(false);
                Ok(Request::DeleteConnection {
                    client: client_id(p)?,
                    clean_session: p.optional_bool("cleanSession")?.unwrap_or(false),
                    will: if prevent { WillFate::Dropped } else { WillFate::Published },
                })
            },
            "GetConnection" => |p| {
                p.only(&["clientId", "includeSocketInformation"])?;
                let sockets = p.optional_bool("includeSocketInformation")?.unwrap_or(false);
                Ok(Request::GetConnection { client: client_id(p)?, sockets })
            },
            "ListSubscriptions" => |p| {
                p.only(&["clientId", "maxResults", "nextToken"])?;
                Ok(Request::ListSubscriptions { client: client_id(p)?, page: page(p, 20)? })
            },
            "SendDirectMessage" => |p| {
                let payload = publish::payload(p)?;
                DirectMessage::parse(p, payload, publish::properties(p)?)
            },
            "GetRetainedMessage" => |p| {
                p.only(&["topic"])?;
                Ok(Request::GetRetainedMessage(p.text("topic")?.into()))
            },
            "ListRetainedMessages" => |p| {
                p.only(&["maxResults", "nextToken"])?;
                Ok(Request::ListRetainedMessages(page(p, PAGE_MAX)?))
            },
            _ => return None,
        };
        Some(parse(&Params::new(body, INVALID)))
    }

    /// Whether its answer may take long to come.
    pub fn waits(&self) -> bool {
        matches!(self, Request::SendDirectMessage(direct) if direct.confirm_within_ms.is_some())
    }
}

impl DirectMessage {
    /// Members of the operation, the payload's and properties' included.
    const MEMBERS: [&str; 10] = [
        "clientId",
        "topic",
        "payload",
        "confirmation",
        "timeout",
        "contentType",
        "responseTopic",
        "userProperties",
        "payloadFormatIndicator",
        "correlationData",
    ];

    /// The request to send `payload` to one client.
    pub(crate) fn parse(
        p: &Params<'_>,
        payload: Bytes,
        properties: Properties,
    ) -> Result<Request, ApiError> {
        p.only(&DirectMessage::MEMBERS)?;
        let confirmed = p.optional_bool("confirmation")?.unwrap_or(false);
        let seconds = p.optional_int("timeout")?.unwrap_or(5);
        if confirmed && !(1..=15).contains(&seconds) {
            return Err(p.invalid("timeout", "it must be 1 to 15 seconds"));
        }
        let qos = if confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        let topic = p.text("topic")?;
        if Ingest::of(topic).is_some() {
            return Err(p.invalid("topic", "topics of Basic Ingest are delivered to nobody"));
        }
        Ok(Request::SendDirectMessage(Box::new(DirectMessage {
            client: client_id(p)?,
            publish: Publish::to(topic, payload, qos, false, properties)?,
            confirm_within_ms: confirmed.then_some(seconds * 1_000),
        })))
    }
}

fn client_id(p: &Params<'_>) -> Result<Arc<str>, ApiError> {
    let id = p.text("clientId")?;
    if id.is_empty() || id.len() > CLIENT_BYTES_MAX || id.starts_with('$') {
        let why = "it must have 1 to 128 bytes and must not begin with `$`";
        return Err(p.invalid("clientId", why));
    }
    Ok(id.into())
}

fn page(p: &Params<'_>, usual: i64) -> Result<Page, ApiError> {
    let max = p.optional_int("maxResults")?.unwrap_or(usual);
    if !(1..=PAGE_MAX).contains(&max) {
        return Err(p.invalid("maxResults", &format!("it must be 1 to {PAGE_MAX}")));
    }
    Ok(Page { max: max as usize, after: p.optional_text("nextToken")?.map(Arc::from) })
}
