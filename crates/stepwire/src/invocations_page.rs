//! `GET /-/invocations?execution=ARN`: what the functions wrote that an execution's steps called.

use std::collections::BTreeMap;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use stepwire_asl::Json;
use stepwire_core::functions::{self, RanKey, RanRecord};
use stepwire_core::{ApiError, Request, Service, executions};

use crate::node::Node;
use crate::shard;

/// Most events of a history that are looked at.
const EVENTS_MAX: usize = 25_000;

/// Answers each invocation with the step that asked for it, in order.
pub(crate) async fn page(node: &Node, uri: &Uri) -> Response {
    match found(node, uri).await {
        Ok(found) => json(StatusCode::OK, &found),
        Err(error) => {
            let status = match &*error.code {
                "ExecutionDoesNotExist" => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_REQUEST,
            };
            let members =
                [("code", Json::from(&*error.code)), ("message", error.message.as_str().into())];
            json(status, &Json::object(members))
        }
    }
}

async fn found(node: &Node, uri: &Uri) -> Result<Json, ApiError> {
    let mut query = uri.query().unwrap_or_default().split('&');
    let arn = query.find_map(|pair| pair.strip_prefix("execution="));
    let invalid = || ApiError::new("ValidationException", "give `execution=ARN`");
    let arn = percent_decode_str(arn.ok_or_else(invalid)?).decode_utf8_lossy().into_owned();
    let ran = {
        let read = node.snapshot();
        let ran = shard::catch(|| {
            let id = executions::id_of(&arn, &read, node.settings())?;
            let corrupt =
                |why: stepwire_core::Corrupt| ApiError::new("InternalFailure", why.to_string());
            functions::ran(id, &read).map_err(corrupt)
        });
        ran.map_err(|error| ApiError::new("InternalFailure", error.to_string()))??
    };
    let steps = steps(node, &arn).await?;
    let invocations = ran.iter().map(|(key, ran)| shown(key, ran, steps.get(&key.scheduled)));
    Ok(Json::object([
        ("executionArn", Json::from(arn.as_str())),
        ("invocations", Json::array(invocations.collect::<Vec<_>>())),
    ]))
}

/// The state that scheduled a task, and which of its attempts that was; by `TaskScheduled` event.
pub(crate) async fn steps(
    node: &Node,
    arn: &str,
) -> Result<BTreeMap<u64, (String, i64)>, ApiError> {
    let mut before = BTreeMap::new();
    let mut entered = BTreeMap::new();
    let mut scheduled = Vec::new();
    let mut token: Option<Json> = None;
    loop {
        let mut members = vec![
            ("executionArn", Json::from(arn)),
            ("maxResults", 1_000.into()),
            ("includeExecutionData", false.into()),
        ];
        members.extend(token.take().map(|token| ("nextToken", token)));
        let body = Json::object(members);
        let request = Request::parse(Service::States, "GetExecutionHistory", &body);
        let unknown = || ApiError::new("InternalFailure", "the history cannot be read");
        // Express executions have no history: their invocations stand for themselves.
        let Ok(page) = node.call(request.ok_or_else(unknown)??).await else {
            return Ok(BTreeMap::new());
        };
        for event in page.member("events").and_then(Json::as_array).unwrap_or_default() {
            let number = |name| event.member(name).and_then(Json::as_i64).unwrap_or(0) as u64;
            let id = number("id");
            before.insert(id, number("previousEventId"));
            if let Some(name) = event
                .member("stateEnteredEventDetails")
                .and_then(|details| details.member("name"))
                .and_then(Json::as_str)
            {
                entered.insert(id, name.to_owned());
            }
            let kind = event.member("type").and_then(Json::as_str);
            if matches!(kind, Some("TaskScheduled" | "LambdaFunctionScheduled")) {
                scheduled.push(id);
            }
        }
        token = page.member("nextToken").cloned();
        if token.is_none() || before.len() >= EVENTS_MAX {
            break;
        }
    }
    let mut attempts: BTreeMap<u64, i64> = BTreeMap::new();
    let mut steps = BTreeMap::new();
    for id in scheduled {
        let mut at = id;
        while at > 0 && !entered.contains_key(&at) {
            at = before.get(&at).copied().filter(|next| *next < at).unwrap_or(0);
        }
        let attempt = attempts.entry(at).or_default();
        let name = entered.get(&at).cloned().unwrap_or_default();
        steps.insert(id, (name, *attempt));
        *attempt += 1;
    }
    Ok(steps)
}

fn shown(key: &RanKey, ran: &RanRecord, step: Option<&(String, i64)>) -> Json {
    let text = |text: &std::sync::Arc<str>| Json::String(std::sync::Arc::clone(text));
    let duration_ms = Json::from_f64(ran.took_us as f64 / 1_000.0).unwrap_or_default();
    let mut members = Vec::new();
    if let Some((name, attempt)) = step {
        members.push(("stateName", Json::from(name.as_str())));
        members.push(("attempt", (*attempt).into()));
    }
    members.extend([
        ("taskScheduledEventId", Json::from(key.scheduled as i64)),
        ("requestId", text(&ran.request_id)),
        ("functionName", text(&ran.function)),
        ("version", text(&ran.version)),
        ("startTime", ran.began.rfc3339().into()),
        ("durationMs", duration_ms),
        ("failed", ran.failed.into()),
        ("logGroupName", text(&ran.group)),
        ("logStreamName", text(&ran.stream)),
        ("log", text(&ran.log)),
    ]);
    Json::object(members)
}

fn json(status: StatusCode, body: &Json) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body.to_text()).into_response()
}
