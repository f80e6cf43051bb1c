//! `republish`: a message is published again, on another topic.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stepwire_asl::Json;

use super::field::Field;
use super::{INVALID, Kind, Resolved, bytes, only};
use crate::error::ApiError;
use crate::message::{Properties, QoS};
use crate::params::Params;
use crate::publish::EXPIRY_S;
use crate::rules::sql::{Facts, Value};
use crate::shadows::RequestTopic;

/// Longest value of a header, characters.
const HEADER_MAX: usize = 1_024;
/// Most user properties.
const USER_PROPERTIES_MAX: usize = 100;

/// `republish`
#[derive(Debug, Clone, PartialEq)]
pub struct Republish {
    topic: Field,
    qos: QoS,
    headers: Headers,
}

/// MQTT 5 properties. One whose template has no value for a message is not sent.
#[derive(Debug, Clone, Default, PartialEq)]
struct Headers {
    format: Option<Field>,
    content_type: Option<Field>,
    response_topic: Option<Field>,
    correlation: Option<Field>,
    expiry: Option<Field>,
    user: Vec<(Field, Field)>,
}

pub(super) fn parse(fields: &Params<'_>) -> Result<Republish, ApiError> {
    only(fields, &["topic", "qos", "headers"])?;
    let qos = match fields.optional_int("qos")? {
        None | Some(0) => QoS::AtMostOnce,
        Some(1) => QoS::AtLeastOnce,
        Some(other) => {
            return Err(fields.invalid("qos", &format!("`{other}` is not 0 or 1")));
        }
    };
    let topic = Field::required(fields, "topic")?;
    let checked = match topic.plain() {
        Some(plain) if plain.contains(['+', '#']) => {
            Err(format!("`{plain}` has a wildcard, which a topic that is published on cannot have"))
        }
        Some(plain) => destination(&topic, &plain.into()).map(drop),
        None => beginning(topic.beginning()),
    };
    checked.map_err(|why| fields.invalid("topic", &why))?;
    let headers = match fields.get("headers") {
        Some(headers) => Headers::parse(&Params::new(headers, INVALID))?,
        None => Headers::default(),
    };
    Ok(Republish { topic, qos, headers })
}

/// The topic that `text`, made of `topic`, stands for: a `$$` that was written in front is a `$`.
/// No other topic begins with one.
fn destination(topic: &Field, text: &Arc<str>) -> Result<Arc<str>, String> {
    let written = topic.beginning().starts_with("$$").then(|| text.strip_prefix('$')).flatten();
    let Some(reserved) = written else {
        let why = || format!("`{text}` is a reserved topic\nhint: write it with `$$` in front");
        return if text.starts_with('$') { Err(why()) } else { Ok(Arc::clone(text)) };
    };
    let levels: Vec<&str> = reserved.split('/').collect();
    match (refusal(&levels), levels.as_slice()) {
        (Some(why), _) => Err(is_reserved(reserved, why)),
        // Basic Ingest: the rule named there gets the message.
        (None, ["$aws", "rules", _, ..]) => Ok(reserved.into()),
        // The shadow is got, changed or deleted.
        (None, _) if RequestTopic::of(reserved).is_some() => Ok(reserved.into()),
        (None, _) => Err(is_reserved(reserved, "nothing in stepwire listens to it")),
    }
}

/// Refuses the beginning of a topic whose rest depends on the message, if it is wrong already.
fn beginning(text: &str) -> Result<(), String> {
    let Some(reserved) = text.strip_prefix('$') else { return Ok(()) };
    if !reserved.starts_with('$') {
        return Err(format!("`{text}` begins a reserved topic\nhint: write it with `$$` in front"));
    }
    let whole = reserved.rsplit_once('/').map_or("", |(whole, _)| whole);
    let levels: Vec<&str> = whole.split('/').collect();
    refusal(&levels).map_or(Ok(()), |why| Err(is_reserved(reserved, why)))
}

/// Why rules cannot publish on this reserved topic.
fn refusal(levels: &[&str]) -> Option<&'static str> {
    match levels {
        ["$aws", "things", _, "jobs", ..] => {
            Some("rules cannot publish on topics of jobs, as on AWS")
        }
        ["$aws", "events", ..] => Some("only stepwire itself publishes events"),
        _ => None,
    }
}

fn is_reserved(topic: &str, why: &str) -> String {
    format!("`{topic}` is a reserved topic: {why}")
}

impl Headers {
    fn parse(headers: &Params<'_>) -> Result<Headers, ApiError> {
        headers.only(&[
            "payloadFormatIndicator",
            "contentType",
            "responseTopic",
            "correlationData",
            "messageExpiry",
            "userProperties",
        ])?;
        let parsed = Headers {
            format: header(headers, "payloadFormatIndicator")?,
            content_type: header(headers, "contentType")?,
            response_topic: header(headers, "responseTopic")?,
            correlation: header(headers, "correlationData")?,
            expiry: header(headers, "messageExpiry")?,
            user: user_properties(headers)?,
        };
        parsed.checked(headers)
    }

    /// Refuses what would be wrong for every message.
    fn checked(self, headers: &Params<'_>) -> Result<Headers, ApiError> {
        type Check = fn(&str) -> Result<(), String>;
        let checks: [(&'static str, &Option<Field>, Check); 4] = [
            ("payloadFormatIndicator", &self.format, |text| is_utf8(text).map(drop)),
            ("responseTopic", &self.response_topic, |text| response_topic(text).map(drop)),
            ("correlationData", &self.correlation, |text| correlation(text).map(drop)),
            ("messageExpiry", &self.expiry, |text| expiry(text).map(drop)),
        ];
        for (name, field, check) in checks {
            if let Some(plain) = field.as_ref().and_then(Field::plain) {
                check(plain).map_err(|why| headers.invalid(name, &why))?;
            }
        }
        Ok(self)
    }

    fn properties(&self, facts: &Facts<'_>) -> Result<Properties, String> {
        fn of<T>(
            field: Option<&Field>,
            facts: &Facts<'_>,
            read: impl Fn(&str) -> Result<T, String>,
        ) -> Result<Option<T>, String> {
            let text = field.and_then(|field| field.text(facts).ok());
            text.filter(|text| !text.is_empty()).map(|text| read(&text)).transpose()
        }
        let user = self
            .user
            .iter()
            .filter_map(|(key, value)| Some((key.text(facts).ok()?, value.text(facts).ok()?)));
        Ok(Properties {
            payload_is_utf8: of(self.format.as_ref(), facts, is_utf8)?,
            message_expiry_s: of(self.expiry.as_ref(), facts, expiry)?,
            content_type: of(self.content_type.as_ref(), facts, |text| Ok(text.into()))?,
            response_topic: of(self.response_topic.as_ref(), facts, response_topic)?,
            correlation_data: of(self.correlation.as_ref(), facts, correlation)?,
            user_properties: user.collect(),
        })
    }
}

/// A header that may be there; an empty one is not.
fn header(headers: &Params<'_>, name: &'static str) -> Result<Option<Field>, ApiError> {
    headers.optional_text_within(name, HEADER_MAX)?;
    Field::optional(headers, name)
}

fn user_properties(headers: &Params<'_>) -> Result<Vec<(Field, Field)>, ApiError> {
    let Some(given) = headers.get("userProperties") else { return Ok(Vec::new()) };
    let given = given.as_array().filter(|list| (1..=USER_PROPERTIES_MAX).contains(&list.len()));
    let given = given.ok_or_else(|| {
        let why = format!("it must be a list of 1 to {USER_PROPERTIES_MAX} keys and values");
        headers.invalid("userProperties", &why)
    })?;
    let property = |property: &Json| {
        let property = &Params::new(property, INVALID);
        property.only(&["key", "value"])?;
        let field = |name| {
            let text = property.optional_text_within(name, HEADER_MAX)?;
            let text = text.ok_or_else(|| property.invalid(name, "it is missing"))?;
            Field::parse(property, name, text)
        };
        Ok((field("key")?, field("value")?))
    };
    given.iter().map(property).collect()
}

fn is_utf8(text: &str) -> Result<bool, String> {
    match text {
        "UTF8_DATA" => Ok(true),
        "UNSPECIFIED_BYTES" => Ok(false),
        other => Err(format!("`{other}` is neither UNSPECIFIED_BYTES nor UTF8_DATA")),
    }
}

fn response_topic(text: &str) -> Result<Arc<str>, String> {
    if text.contains(['+', '#', '\0']) {
        return Err(format!("`{text}` is not a topic without wildcards"));
    }
    Ok(text.into())
}

fn correlation(text: &str) -> Result<Bytes, String> {
    STANDARD.decode(text).map(Bytes::from).map_err(|_| format!("`{text}` is not base64"))
}

/// Brought within what AWS takes, as for messages that callers publish.
fn expiry(text: &str) -> Result<u32, String> {
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let seconds = seconds.ok_or_else(|| format!("`{text}` is not a number of seconds"))?;
    let seconds = seconds.clamp(*EXPIRY_S.start(), *EXPIRY_S.end());
    u32::try_from(seconds).map_err(|error| error.to_string())
}

impl Kind for Republish {
    fn name(&self) -> &'static str {
        "RepublishAction"
    }

    fn resource(&self) -> &Field {
        &self.topic
    }

    fn resolve(
        &self,
        topic: &Arc<str>,
        facts: &Facts<'_>,
        result: &Value,
    ) -> Result<Resolved, String> {
        Ok(Resolved::Republish {
            topic: destination(&self.topic, topic)?,
            qos: self.qos,
            payload: bytes(result),
            properties: Box::new(self.headers.properties(facts)?),
        })
    }
}
