//! A case of an IoT SQL corpus: a statement, a message and what is known around it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::{Caller, Client, Identity, Message, Origin, Profile, Properties, QoS};
use stepwire_core::rules::sql::{Answered, Facts, Outside, Question, Statement, Value, Version};
use stepwire_core::rules::template::Template;

/// What became of a case.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// What goes on: its value, and its bytes as text.
    Output(Json, String),
    /// The filter or `WHERE` says no.
    NoMatch,
    /// The statement is refused, or its template has no value.
    Refused(String),
}

/// Evaluates a case.
pub(crate) fn run(case: &Json) -> Outcome {
    let text = |member: &str| case.member(member).and_then(Json::as_str);
    let version = text("sqlVersion").and_then(Version::named).unwrap_or_default();
    let statement = match Statement::parse(text("sql").unwrap_or_default(), version) {
        Ok(statement) => statement,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let (message, settings) = (message(case), settings(case));
    let ingested = text("ruleName").is_some_and(|rule| {
        message
            .topic
            .strip_prefix("$aws/rules/")
            .is_some_and(|rest| rest.split('/').next() == Some(rule))
    });
    if !ingested && !statement.listens_to(&message.topic) {
        return Outcome::NoMatch;
    }
    let payload = Json::parse_bytes(&message.payload).ok();
    let stubs = Stubs(case.member("stubs"));
    let facts = Facts::new(&message, payload.as_ref(), &settings, 1).asking(&stubs);
    let result = statement.run(&facts);
    if let Some(template) = text("template") {
        return match Template::parse(template).and_then(|template| template.text(&facts)) {
            Ok(text) => Outcome::Output(Json::from(text.as_str()), text),
            Err(why) => Outcome::Refused(why),
        };
    }
    match result {
        None => Outcome::NoMatch,
        // A lone Undefined is an empty string.
        Some(Value::Undefined) => Outcome::Output("".into(), String::new()),
        Some(Value::Bytes(bytes)) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Outcome::Output(Json::from(text.as_str()), text)
        }
        Some(Value::Json(json)) => {
            let text = json.to_text();
            Outcome::Output(json, text)
        }
    }
}

fn payload(case: &Json) -> Bytes {
    let text = |member: &str| case.member(member).and_then(Json::as_str);
    if let Some(text) = text("payloadText") {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    match text("payloadBase64") {
        Some(encoded) => STANDARD.decode(encoded).unwrap_or_default().into(),
        None => case.member("payload").map(Json::to_text).unwrap_or_default().into(),
    }
}

fn settings(case: &Json) -> Settings {
    let account = case.member("context").and_then(|context| context.member("accountId"));
    let mut settings = Settings::default();
    if let Some(account) = account.and_then(Json::as_str) {
        settings.account = account.into();
    }
    settings
}

fn message(case: &Json) -> Message {
    let none = Json::object::<&str>([]);
    let context = case.member("context").unwrap_or(&none);
    let text = |member: &str| context.member(member).and_then(Json::as_str);
    let identity = match text("principal") {
        Some(principal) => Identity::Certificate(principal.into()),
        None => Identity::Certificate("ab".repeat(32).into()),
    };
    let ip = text("sourceIp").and_then(|ip| ip.parse().ok());
    let ip = ip.unwrap_or_else(|| [192, 0, 2, 7].into());
    let profile = Profile::Aws;
    let origin = if text("via") == Some("http") {
        Origin::Caller(Arc::new(Caller { identity, ip, profile }))
    } else {
        let id = case.member("clientId").and_then(Json::as_str).unwrap_or("a-client");
        Origin::Client(Arc::new(Client {
            id: id.into(),
            identity,
            profile,
            thing: None,
            exclusive: false,
            ip,
            session: "s".into(),
        }))
    };
    Message {
        topic: case.member("topic").and_then(Json::as_str).unwrap_or_default().into(),
        payload: payload(case),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: properties(context),
        origin,
        at: Timestamp(1_700_000_000_000),
    }
}

/// MQTT 5 properties, under the names that JSON gives them.
fn properties(context: &Json) -> Properties {
    let text = |member: &str| context.member(member).and_then(Json::as_str).map(Arc::from);
    let int = |member: &str| context.member(member).and_then(Json::as_i64);
    let user = context.member("userProperties").and_then(Json::as_array).unwrap_or_default();
    let pair = |pair: &Json| match pair.as_array()? {
        [name, value] => Some((name.as_str()?.into(), value.as_str()?.into())),
        _ => None,
    };
    let correlation = text("correlationData").map(|data: Arc<str>| Bytes::from(data.to_string()));
    Properties {
        payload_is_utf8: int("payloadFormatIndicator").map(|indicator| indicator == 1),
        message_expiry_s: int("messageExpiryInterval").and_then(|it| u32::try_from(it).ok()),
        content_type: text("contentType"),
        response_topic: text("responseTopic"),
        correlation_data: correlation,
        user_properties: user.iter().filter_map(pair).collect(),
    }
}

/// Answers that the case gives.
struct Stubs<'a>(Option<&'a Json>);

impl Outside for Stubs<'_> {
    fn ask(&self, question: &Question) -> Answered {
        let stub = |name: &str| self.0.and_then(|stubs| stubs.member(name));
        let answer = match question {
            Question::Object { bucket, key } => {
                let object = stub("s3").and_then(|s3| s3.member(&format!("{bucket}/{key}")));
                let bytes = object.and_then(Json::as_str).and_then(|it| STANDARD.decode(it).ok());
                bytes.map(|bytes| Value::Bytes(bytes.into()))
            }
            Question::Item { .. } => stub("get_dynamodb").cloned().map(Value::Json),
            Question::Registry { .. } => stub("get_registry_data").cloned().map(Value::Json),
            Question::Shadow { .. } => stub("get_thing_shadow").cloned().map(Value::Json),
            Question::NoRole { .. } => None,
            Question::Secret { .. } => stub("get_secret").cloned().map(Value::Json),
            Question::Prediction { .. } => {
                stub("machinelearning_predict").cloned().map(Value::Json)
            }
            Question::Lambda { .. } => stub("aws_lambda").cloned().map(Value::Json),
        };
        Answered::Now(answer.unwrap_or(Value::Undefined))
    }
}
