//! A message that a rule is tried on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};

use crate::broker::is_topic_name;
use crate::error::ApiError;
use crate::message::{Client, Identity, Message, Origin, Profile, Properties, QoS};
use crate::params::Params;
use crate::publish::{properties_with, user_properties};
use crate::settings::Settings;

const INVALID: &str = "InvalidRequestException";
/// Members that `payload`, `payloadText` and `payloadBase64` give one at a time.
const PAYLOADS: [&str; 3] = ["payload", "payloadText", "payloadBase64"];

/// A message as somebody might publish it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Topic name.
    pub topic: Arc<str>,
    /// Payload bytes.
    pub payload: Bytes,
    /// Client id of who publishes it; none for the service side.
    pub client_id: Option<Arc<str>>,
    /// The thing that the connection speaks for; that of the client id's name unless said.
    pub thing: Option<Arc<str>>,
    /// Identifier of the certificate that the client shows.
    pub principal: Option<Arc<str>>,
    /// Where the client comes from; loopback unless said.
    pub source_ip: Option<IpAddr>,
    /// MQTT 5 properties.
    pub properties: Properties,
}

impl Sample {
    /// A message of the service side.
    pub fn new(topic: &str, payload: impl Into<Bytes>) -> Sample {
        Sample {
            topic: topic.into(),
            payload: payload.into(),
            client_id: None,
            thing: None,
            principal: None,
            source_ip: None,
            properties: Properties::default(),
        }
    }

    /// The message that `body` writes: `topic`, one of `payload` (JSON), `payloadText` and
    /// `payloadBase64`, and if wanted `clientId`, `thingName`, `principal`, `sourceIp` and
    /// `properties`, whose members are those of the operation Publish; user properties may be a
    /// list of objects.
    pub fn parse(body: &Json) -> Result<Sample, ApiError> {
        let p = &Params::new(body, INVALID);
        let others = ["topic", "clientId", "thingName", "principal", "sourceIp", "properties"];
        let known: Vec<&str> = PAYLOADS.into_iter().chain(others).collect();
        p.only(&known)?;
        let text = |name: &str| Ok::<_, ApiError>(p.optional_text(name)?.map(Arc::<str>::from));
        let source_ip = match p.optional_text("sourceIp")? {
            None => None,
            Some(ip) => {
                Some(ip.parse().map_err(|_| p.invalid("sourceIp", "it must be an IP address"))?)
            }
        };
        let sample = Sample {
            client_id: text("clientId")?,
            thing: text("thingName")?,
            principal: text("principal")?,
            source_ip,
            properties: match p.get("properties") {
                Some(properties) => of_properties(properties)?,
                None => Properties::default(),
            },
            ..Sample::new(p.text("topic")?, payload(p)?)
        };
        if sample.client_id.is_none() && (sample.thing.is_some() || sample.principal.is_some()) {
            let why = "it is missing: `thingName` and `principal` are those of a client";
            return Err(p.invalid("clientId", why));
        }
        Ok(sample)
    }

    /// The message as if it was published at `at`; refused if it could not be.
    pub fn message(self, at: Timestamp, settings: &Settings) -> Result<Message, ApiError> {
        if !is_topic_name(&self.topic, &settings.mqtt) {
            let why = format!("`{}` is no topic that can be published to", self.topic);
            return Err(ApiError::new(INVALID, why));
        }
        let limit = settings.mqtt.packet_bytes_max as usize;
        if self.payload.len() > limit {
            let why = format!("the payload has {} bytes, at most {limit}", self.payload.len());
            return Err(ApiError::new(INVALID, why));
        }
        Ok(Message {
            origin: match self.client_id.clone() {
                Some(id) => Origin::Client(Arc::new(self.client(id))),
                None => Origin::Service,
            },
            topic: self.topic,
            payload: self.payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: self.properties,
            at,
        })
    }

    fn client(&self, id: Arc<str>) -> Client {
        Client {
            thing: Some(self.thing.clone().unwrap_or_else(|| Arc::clone(&id))),
            identity: match &self.principal {
                Some(certificate) => Identity::Certificate(Arc::clone(certificate)),
                None => Identity::Anonymous,
            },
            id,
            profile: Profile::Standard,
            exclusive: false,
            ip: self.source_ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            session: "tested".into(),
        }
    }
}

fn payload(p: &Params<'_>) -> Result<Bytes, ApiError> {
    let mut given = PAYLOADS.into_iter().filter(|name| p.get(name).is_some());
    let (Some(name), None) = (given.next(), given.next()) else {
        let why = "give one of `payload`, `payloadText` and `payloadBase64`";
        return Err(p.invalid("payload", why));
    };
    Ok(match name {
        "payload" => p.get(name).map(Json::to_text).unwrap_or_default().into(),
        "payloadText" => p.text(name)?.to_owned().into(),
        _ => {
            let decoded = STANDARD.decode(p.text(name)?);
            decoded.map_err(|_| p.invalid(name, "it must be base64"))?.into()
        }
    })
}

fn of_properties(body: &Json) -> Result<Properties, ApiError> {
    let p = &Params::new(body, INVALID);
    p.only(&[
        "contentType",
        "responseTopic",
        "userProperties",
        "payloadFormatIndicator",
        "correlationData",
        "messageExpiry",
    ])?;
    let user = match p.get("userProperties") {
        None => Vec::new(),
        Some(Json::String(text)) => {
            let decoded = STANDARD.decode(text.as_bytes());
            let decoded = decoded.map_err(|_| p.invalid("userProperties", "it must be base64"))?;
            user_properties(p, &decoded)?
        }
        Some(list) => user_properties(p, list.to_text().as_bytes())?,
    };
    properties_with(p, user)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Sample, String> {
        Sample::parse(&Json::parse(body).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn every_member_reaches_the_message() {
        let sample = parse(
            r#"{"topic": "a/b", "payload": {"n": 1}, "clientId": "c", "principal": "p",
                "sourceIp": "192.0.2.1", "properties": {"contentType": "text/plain",
                "userProperties": [{"k": "v"}]}}"#,
        );
        let message = sample.unwrap().message(Timestamp(5), &Settings::default()).unwrap();
        assert_eq!((&*message.topic, &*message.payload), ("a/b", br#"{"n":1}"#.as_slice()));
        let Origin::Client(client) = &message.origin else { panic!("{:?}", message.origin) };
        assert_eq!((&*client.id, client.thing.as_deref()), ("c", Some("c")));
        assert_eq!(client.identity, Identity::Certificate("p".into()));
        assert_eq!(client.ip.to_string(), "192.0.2.1");
        assert_eq!(message.properties.content_type.as_deref(), Some("text/plain"));
        assert_eq!(message.properties.user_properties, [("k".into(), "v".into())]);
    }

    #[test]
    fn a_payload_is_json_text_or_bytes() {
        let payload = |member: &str| {
            parse(&format!(r#"{{"topic": "a", {member}}}"#)).map(|sample| sample.payload.to_vec())
        };
        assert_eq!(payload(r#""payload": "x""#).unwrap(), b"\"x\"");
        assert_eq!(payload(r#""payloadText": "x""#).unwrap(), b"x");
        assert_eq!(payload(r#""payloadBase64": "eA==""#).unwrap(), b"x");
        assert!(payload(r#""payloadBase64": "?""#).unwrap_err().contains("base64"));
        assert!(payload(r#""payload": 1, "payloadText": "1""#).unwrap_err().contains("one of"));
        assert!(payload(r#""other": 1"#).unwrap_err().contains("`other`"));
    }

    #[test]
    fn a_topic_with_wildcards_is_none() {
        let sample = Sample::new("a/+", "{}");
        assert!(sample.message(Timestamp(0), &Settings::default()).is_err());
    }
}
