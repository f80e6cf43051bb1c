//! Messages that callers publish: `iot-data` Publish and what it shares with other operations.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};

use crate::broker;
use crate::error::ApiError;
use crate::jobs;
use crate::message::{Message, Origin, Properties, QoS};
use crate::params::Params;
use crate::rules::Ingest;
use crate::shadows::RequestTopic;

const INVALID: &str = "InvalidRequestException";
/// What a message expiry may be, in seconds; others are taken for the nearest of these, as on AWS.
pub(crate) const EXPIRY_S: std::ops::RangeInclusive<i64> = 1..=604_800;

/// A message to publish from the service side, or by a device over HTTP.
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

/// Members that say how to publish, beside payload and properties.
const MEMBERS: [&str; 3] = ["topic", "qos", "retain"];
/// Members of a message's properties.
const PROPERTIES: [&str; 6] = [
    "contentType",
    "responseTopic",
    "userProperties",
    "payloadFormatIndicator",
    "correlationData",
    "messageExpiry",
];

impl Publish {
    /// The message that Publish asks for: payload, user properties and correlation data in base64.
    pub(crate) fn parse(body: &Json) -> Result<Publish, ApiError> {
        let p = &Params::new(body, INVALID);
        let payload = payload(p)?;
        Publish::with(p, payload, properties(p)?)
    }

    /// The message that `p` asks for, its payload and properties read already.
    pub(crate) fn with(
        p: &Params<'_>,
        payload: Bytes,
        properties: Properties,
    ) -> Result<Publish, ApiError> {
        let known: Vec<&str> = MEMBERS.into_iter().chain(PROPERTIES).chain(["payload"]).collect();
        p.only(&known)?;
        let qos = match p.optional_int("qos")? {
            None | Some(0) => QoS::AtMostOnce,
            Some(1) => QoS::AtLeastOnce,
            Some(_) => return Err(p.invalid("qos", "it must be 0 or 1")),
        };
        let retain = p.optional_bool("retain")?.unwrap_or(false);
        Publish::to(p.text("topic")?, payload, qos, retain, properties)
    }

    /// A message to `topic`: no wildcards, not empty, not reserved. Only one of Basic Ingest
    /// ([`Ingest`]) or one that asks for a shadow ([`RequestTopic`]) may begin with `$`; they are not retained.
    pub fn to(
        topic: &str,
        payload: Bytes,
        qos: QoS,
        retain: bool,
        properties: Properties,
    ) -> Result<Publish, ApiError> {
        let refuse = |why: &str| Err(ApiError::new(INVALID, why));
        if topic.is_empty() || topic.len() > 65_535 || topic.contains(['+', '#', '\0']) {
            return refuse("the topic must be 1 to 65535 bytes without `+`, `#` and NUL");
        }
        if jobs::RequestTopic::of(topic).is_some() {
            return refuse(
                "topics of jobs are for MQTT clients, who get the answers\nhint: ask by `iot-jobs-data`",
            );
        }
        let ingested = Ingest::of(topic).is_some() || RequestTopic::of(topic).is_some();
        if topic.starts_with('$') && !ingested {
            return refuse("topics that begin with `$` are reserved");
        }
        if ingested && retain {
            return refuse("nothing is retained on topics of Basic Ingest and of shadows");
        }
        if qos == QoS::ExactlyOnce {
            return refuse("`qos` must be 0 or 1");
        }
        Ok(Publish { topic: topic.into(), payload, qos, retain, properties })
    }

    /// Refuses a message that no client could send or be sent.
    pub(crate) fn within(&self, limits: &broker::Limits) -> Result<(), ApiError> {
        if !broker::is_topic_name(&self.topic, limits) {
            let (bytes, levels) = (limits.topic_bytes_max, limits.topic_levels_max);
            let message = format!("a topic has at most {bytes} bytes and {levels} levels");
            return Err(ApiError::new(INVALID, message));
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
}

/// The payload, which is in base64; none is an empty one.
pub(crate) fn payload(p: &Params<'_>) -> Result<Bytes, ApiError> {
    decoded(p, "payload").map(Option::unwrap_or_default)
}

/// The MQTT 5 properties of a message, user properties and correlation data in base64.
pub(crate) fn properties(p: &Params<'_>) -> Result<Properties, ApiError> {
    let user = match decoded(p, "userProperties")? {
        Some(text) => user_properties(p, &text)?,
        None => Vec::new(),
    };
    properties_with(p, user)
}

/// The MQTT 5 properties of a message with these user properties.
pub(crate) fn properties_with(
    p: &Params<'_>,
    user_properties: UserProperties,
) -> Result<Properties, ApiError> {
    let payload_is_utf8 = match p.optional_text("payloadFormatIndicator")? {
        None => None,
        Some("UNSPECIFIED_BYTES") => Some(false),
        Some("UTF8_DATA") => Some(true),
        Some(other) => {
            let why = format!("`{other}` is neither UNSPECIFIED_BYTES nor UTF8_DATA");
            return Err(p.invalid("payloadFormatIndicator", &why));
        }
    };
    let response_topic = p.optional_text("responseTopic")?;
    if response_topic.is_some_and(|topic| topic.is_empty() || topic.contains(['+', '#', '\0'])) {
        return Err(p.invalid("responseTopic", "it must be a topic without wildcards"));
    }
    let expiry = p.optional_int("messageExpiry")?;
    if expiry.is_some_and(|seconds| seconds < 0) {
        return Err(p.invalid("messageExpiry", "it must not be negative"));
    }
    let expiry = expiry.map(|seconds| seconds.clamp(*EXPIRY_S.start(), *EXPIRY_S.end()));
    Ok(Properties {
        payload_is_utf8,
        message_expiry_s: expiry.and_then(|seconds| u32::try_from(seconds).ok()),
        content_type: p.optional_text("contentType")?.map(Arc::from),
        response_topic: response_topic.map(Arc::from),
        correlation_data: decoded(p, "correlationData")?,
        user_properties,
    })
}

/// User properties in order.
pub(crate) type UserProperties = Vec<(Arc<str>, Arc<str>)>;

/// `[{"name": "value"}, …]`.
pub(crate) fn user_properties(p: &Params<'_>, text: &[u8]) -> Result<UserProperties, ApiError> {
    let invalid = || p.invalid("userProperties", "it must be a JSON list of objects with texts");
    let list = Json::parse_bytes(text).map_err(|_| invalid())?;
    let mut properties = Vec::new();
    for entry in list.as_array().ok_or_else(invalid)? {
        for (name, value) in entry.as_object().ok_or_else(invalid)? {
            properties.push((Arc::clone(name), value.as_str().ok_or_else(invalid)?.into()));
        }
    }
    Ok(properties)
}

fn decoded(p: &Params<'_>, name: &'static str) -> Result<Option<Bytes>, ApiError> {
    let Some(text) = p.optional_text(name)? else { return Ok(None) };
    let bytes = STANDARD.decode(text).map_err(|_| p.invalid(name, "it must be base64"))?;
    Ok(Some(bytes.into()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Publish, String> {
        Publish::parse(&Json::parse(body).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn every_member_of_the_operation_reaches_the_message() {
        let published = parse(
            r#"{"topic":"a/b","qos":1,"retain":true,"payload":"aGk=","contentType":"text/plain",
                "responseTopic":"c","userProperties":"W3siayI6InYifSx7ImsiOiJ3In1d",
                "payloadFormatIndicator":"UTF8_DATA","correlationData":"AQI=","messageExpiry":30}"#,
        );
        let expected = Publish {
            topic: "a/b".into(),
            payload: "hi".into(),
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties {
                payload_is_utf8: Some(true),
                message_expiry_s: Some(30),
                content_type: Some("text/plain".into()),
                response_topic: Some("c".into()),
                correlation_data: Some(Bytes::from_static(&[1, 2])),
                user_properties: vec![("k".into(), "v".into()), ("k".into(), "w".into())],
            },
        };
        assert_eq!(published, Ok(expected));
    }

    #[test]
    fn a_message_expiry_is_brought_within_what_aws_takes() {
        for (asked, taken) in [("0", 1), ("1", 1), ("604800", 604_800), ("604801", 604_800)] {
            let body = format!(r#"{{"topic":"a","messageExpiry":{asked}}}"#);
            assert_eq!(parse(&body).unwrap().properties.message_expiry_s, Some(taken));
        }
    }

    #[test]
    fn what_cannot_be_published_is_refused_by_member() {
        for (body, what) in [
            (r#"{"topic":"a","qos":2}"#, "qos"),
            (r#"{"topic":"a","payload":"?"}"#, "payload"),
            (r#"{"topic":"a","correlationData":"?"}"#, "correlationData"),
            (r#"{"topic":"a","userProperties":"e30="}"#, "userProperties"),
            (r#"{"topic":"a","responseTopic":"b/#"}"#, "responseTopic"),
            (r#"{"topic":"a","payloadFormatIndicator":"TEXT"}"#, "payloadFormatIndicator"),
            (r#"{"topic":"a","messageExpiry":-1}"#, "messageExpiry"),
            (r#"{"topic":"a","colour":"red"}"#, "colour"),
            (r#"{"topic":"$aws/x"}"#, "reserved"),
            (r#"{"topic":"$aws/rules/"}"#, "reserved"),
            (r#"{"topic":"$aws/rules/r/a","retain":true}"#, "retained"),
            (r#"{"topic":"a/+"}"#, "topic"),
            (r"{}", "topic"),
        ] {
            let error = parse(body).unwrap_err();
            assert!(error.contains(what), "{body}: {error}");
        }
    }
}
