//! Testing rules: `POST /-/rules/evaluate` and `GET /-/rules/messages`. Nothing is changed.

use std::sync::Arc;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use stepwire_asl::Json;
use stepwire_asl::json::Object;
use stepwire_core::message::Origin;
use stepwire_core::rules::evaluate::{Refused, Sample, Sources, Tested};
use stepwire_core::{ApiError, Message, Request, Service};

use crate::node::Node;
use crate::recorded::Recording;
use crate::shard;

/// Bytes of a payload that a list shows.
const SHOWN_MAX: usize = 4_096;
/// Messages in a list unless said, and at most.
const LISTED: (usize, usize) = (50, 1_000);
/// Members of a request to evaluate.
const MEMBERS: [&str; 7] =
    ["sql", "awsIotSqlVersion", "topicRulePayload", "rule", "message", "recorded", "answers"];

/// Answers `POST /-/rules/evaluate`: what a rule would make of a message.
pub(crate) async fn evaluate(node: &Node, body: &[u8]) -> Response {
    match explained(node, body).await {
        Ok(explanation) => json(StatusCode::OK, &explanation),
        Err(refused) => refusal(&refused),
    }
}

/// Answers `GET /-/rules/messages?topic=FILTER&limit=N`: the latest messages that the rules saw.
pub(crate) fn messages(node: &Node, uri: &Uri) -> Response {
    match listed(node, uri) {
        Ok(list) => json(StatusCode::OK, &list),
        Err(error) => refusal(&error.into()),
    }
}

async fn explained(node: &Node, body: &[u8]) -> Result<Json, Refused> {
    let body = Json::parse_bytes(body).map_err(|error| {
        ApiError::new("SerializationException", format!("the body is not JSON: {error}"))
    })?;
    let members = body.as_object().ok_or_else(|| invalid("the body must be a JSON object"))?;
    if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_ref())) {
        return Err(invalid(format!("member `{name}` is not known")).into());
    }
    let tested = tested(node, &body).await?;
    let message = message(node, &body)?;
    let answers = body.member("answers").cloned().unwrap_or_default();
    let stored = node.snapshot();
    let explained = shard::catch(|| {
        let sources = Sources { answers, node: Some(&stored) };
        tested.explain(&message, node.settings(), &sources).to_json()
    });
    explained.map_err(|error| ApiError::new("InternalFailure", error.to_string()).into())
}

/// The rule that a request names or writes.
async fn tested(node: &Node, body: &Json) -> Result<Tested, Refused> {
    let text = |name: &str| match body.member(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => {
            value.as_str().map(Some).ok_or_else(|| invalid(format!("`{name}` must be a string")))
        }
    };
    let payload = body.member("topicRulePayload").filter(|payload| !payload.is_null());
    match (text("sql")?, payload, text("rule")?) {
        (Some(sql), None, None) => Tested::of_statement(sql, text("awsIotSqlVersion")?),
        (None, Some(payload), None) => Tested::new(None, payload),
        (None, None, Some(name)) => stored(node, name).await,
        _ => Err(invalid("give one of `sql`, `topicRulePayload` and `rule`").into()),
    }
}

/// A rule of the node.
async fn stored(node: &Node, name: &str) -> Result<Tested, Refused> {
    let body = Json::object([("ruleName", Json::from(name))]);
    let request = Request::parse(Service::Iot, "GetTopicRule", &body);
    let request = request.unwrap_or_else(|| Err(invalid("rules cannot be read")))?;
    let answer = node.call(request).await?;
    let mut payload = Object::new();
    for member in ["sql", "awsIotSqlVersion", "actions", "errorAction", "ruleDisabled"] {
        let value = answer.member("rule").and_then(|rule| rule.member(member));
        payload.extend(value.map(|value| (member.into(), value.clone())));
    }
    Tested::new(Some(name.into()), &Json::Object(Arc::new(payload)))
}

/// The message that a request writes, or one that was recorded.
fn message(node: &Node, body: &Json) -> Result<Arc<Message>, ApiError> {
    let there = |name: &str| body.member(name).filter(|value| !value.is_null());
    match (there("message"), there("recorded")) {
        (Some(message), None) => {
            let now = stepwire_asl::Timestamp(jiff::Timestamp::now().as_millisecond());
            Sample::parse(message)?.message(now, node.settings()).map(Arc::new)
        }
        (None, Some(id)) => {
            let id = id.as_i64().and_then(|id| u64::try_from(id).ok());
            let id = id.ok_or_else(|| invalid("`recorded` must be the id of a message"))?;
            let recording = node.recorded().get(id).ok_or_else(|| {
                let why = format!("no message with id {id} is kept (any more)");
                ApiError::new("ResourceNotFoundException", why)
            })?;
            Ok(recording.message)
        }
        _ => Err(invalid("give one of `message` and `recorded`")),
    }
}

fn listed(node: &Node, uri: &Uri) -> Result<Json, ApiError> {
    let (mut filter, mut limit) = (None, LISTED.0);
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace('+', "%20");
        let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
        match name {
            "topic" => filter = Some(value),
            "limit" => {
                let wanted = value.parse().ok().filter(|limit| (1..=LISTED.1).contains(limit));
                let why = || invalid(format!("`limit` must be 1 to {}", LISTED.1));
                limit = wanted.ok_or_else(why)?;
            }
            other => return Err(invalid(format!("parameter `{other}` is not known"))),
        }
    }
    let recorded = node.recorded();
    let latest = recorded.latest(filter.as_deref(), limit);
    let kept = recorded.limits();
    Ok(Json::object([
        ("messages", Json::array(latest.iter().map(shown))),
        ("messagesMax", (kept.messages_max as i64).into()),
        ("bytesMax", (kept.bytes_max as i64).into()),
    ]))
}

/// A kept message: its payload as JSON, as text, or in base64; of a long one the beginning.
pub(crate) fn shown(recording: &Recording) -> Json {
    let Recording { id, message, rules } = recording;
    let mut members = vec![
        ("id", Json::from(i64::try_from(*id).unwrap_or(i64::MAX))),
        ("time", message.at.0.into()),
        ("topic", Json::String(Arc::clone(&message.topic))),
        ("bytes", (message.payload.len() as i64).into()),
        ("rules", Json::array(rules.iter().cloned().map(Json::String))),
    ];
    if let Origin::Client(client) = &message.origin {
        members.push(("clientId", Json::String(Arc::clone(&client.id))));
        members.extend(client.thing.clone().map(|thing| ("thingName", Json::String(thing))));
    }
    let payload = &message.payload[..];
    if payload.len() > SHOWN_MAX {
        members.push(("truncated", true.into()));
        members.push(beginning(&payload[..SHOWN_MAX]));
    } else if let Ok(json) = Json::parse_bytes(payload) {
        members.push(("payload", json));
    } else {
        members.push(beginning(payload));
    }
    Json::object(members)
}

/// Text, but for half a character at the end, or bytes.
fn beginning(bytes: &[u8]) -> (&'static str, Json) {
    match std::str::from_utf8(bytes) {
        Ok(text) => ("payloadText", text.into()),
        Err(error) if error.error_len().is_none() => {
            let whole = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            ("payloadText", whole.into())
        }
        Err(_) => ("payloadBase64", STANDARD.encode(bytes).into()),
    }
}

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", why)
}

/// An error in the shape of AWS's, with the place in the statement if that is what is wrong.
fn refusal(refused: &Refused) -> Response {
    let error = &refused.error;
    let status = match &*error.code {
        "ResourceNotFoundException" | "UnauthorizedException" => StatusCode::NOT_FOUND,
        "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
        "InternalException" | "InternalFailure" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut members =
        vec![("__type", Json::from(&*error.code)), ("message", error.message.as_str().into())];
    members.extend(refused.place_json().map(|place| ("place", place)));
    json(status, &Json::object(members))
}

fn json(status: StatusCode, body: &Json) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body.to_text()).into_response()
}
