//! Lambda: restJson with payloads and statuses of its own.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_aws::error::status;
use stepwire_aws::rest::query_pairs as rest_pairs;
use stepwire_aws::{rest, routes};
use stepwire_core::functions::{FunctionName, Invoke};
use stepwire_core::{ApiError, Request, Service, objects};

use super::rest::{matched, members};
use super::{code_location, not_available};
use crate::functions::request_id;
use crate::node::Node;
use crate::{runner, shard};

/// Answers a request of the Lambda API.
pub(super) async fn answer(node: &Node, parts: &Parts, body: &Bytes) -> Response {
    match perform(node, parts, body).await {
        Ok(response) => response,
        Err(error) => refused(&error),
    }
}

async fn perform(node: &Node, parts: &Parts, body: &Bytes) -> Result<Response, ApiError> {
    let matched = matched(routes::LAMBDA, parts)?;
    let operation = matched.route.operation;
    if operation == "Invoke" {
        return invoke(node, parts, &matched, body).await;
    }
    let (operation, body) = match operation {
        "GetLayerVersionByArn" | "ListLayers" => layers(parts),
        "GetProvisionedConcurrencyConfig" | "ListProvisionedConcurrencyConfigs" => {
            let lists = rest_pairs(parts.uri.query().unwrap_or_default())
                .any(|(name, value)| &*name == "List" && &*value == "ALL");
            let operation = if lists {
                "ListProvisionedConcurrencyConfigs"
            } else {
                "GetProvisionedConcurrencyConfig"
            };
            (operation, provisioned_members(parts, lists, &matched))
        }
        operation => (operation, members(&matched, parts, body)?),
    };
    let request = Request::parse(Service::Lambda, operation, &body);
    let request = request.ok_or_else(|| not_available(operation))??;
    if let Some(archive) = archive(node, &body) {
        let checked = tokio::task::spawn_blocking(move || runner::check(&archive)).await;
        let invalid = |why: String| ApiError::new("InvalidParameterValueException", why);
        checked
            .map_err(|error| invalid(error.to_string()))?
            .map_err(|refused| invalid(refused.to_string()))?;
    }
    let answer = node.call(request).await?;
    let answer = match operation {
        "GetFunction" => code_location::located(node, parts, &body, answer),
        _ => answer,
    };
    match operation {
        "DeleteFunction"
        | "RemovePermission"
        | "DeleteAlias"
        | "DeleteLayerVersion"
        | "DeleteFunctionConcurrency"
        | "DeleteProvisionedConcurrencyConfig"
        | "DeleteFunctionEventInvokeConfig"
        | "TagResource"
        | "UntagResource" => Ok(StatusCode::NO_CONTENT.into_response()),
        "CreateFunction"
        | "AddPermission"
        | "PublishVersion"
        | "CreateAlias"
        | "PublishLayerVersion" => Ok(json(StatusCode::CREATED, &answer)),
        "CreateEventSourceMapping"
        | "UpdateEventSourceMapping"
        | "DeleteEventSourceMapping"
        | "PutProvisionedConcurrencyConfig" => Ok(json(StatusCode::ACCEPTED, &answer)),
        _ => Ok(json(StatusCode::OK, &answer)),
    }
}

/// Two operations share a path: `find` in the query says which is asked for.
fn layers(parts: &Parts) -> (&'static str, Json) {
    let mut operation = "ListLayers";
    let mut members: Vec<(Arc<str>, Json)> = Vec::new();
    for (name, value) in rest_pairs(parts.uri.query().unwrap_or_default()) {
        if &*name == "find" {
            operation = "GetLayerVersionByArn";
        } else {
            members.push((Arc::from(&*name), Json::from(&*value)));
        }
    }
    (operation, Json::object(members))
}

/// The members of either of two operations that share a path: `List` in the query says which.
fn provisioned_members(parts: &Parts, lists: bool, matched: &rest::Matched<'_>) -> Json {
    let labels = matched.labels.iter();
    let mut found: Vec<(Arc<str>, Json)> =
        labels.map(|(name, value)| (Arc::from(&**name), Json::from(&**value))).collect();
    let own: &[&str] = if lists { &["Marker", "MaxItems"] } else { &["Qualifier"] };
    for (name, value) in rest_pairs(parts.uri.query().unwrap_or_default()) {
        if own.contains(&&*name) {
            found.push((Arc::from(&*name), Json::from(&*value)));
        }
    }
    Json::object(found)
}

/// The archive that a request carries or names, which the kernel takes as it is.
fn archive(node: &Node, body: &Json) -> Option<Vec<u8>> {
    let place = ["Code", "Content"].into_iter().find_map(|name| body.member(name)).unwrap_or(body);
    let text = |name| place.member(name).and_then(Json::as_str);
    if let Some(zip) = text("ZipFile") {
        return STANDARD.decode(zip).ok();
    }
    let (bucket, key) = (text("S3Bucket")?, text("S3Key")?);
    let read = node.snapshot();
    let object = shard::catch(|| objects::find(bucket, key, &read)).ok()?.ok()??;
    let small = object.size() <= S3_ARCHIVE_BYTES_MAX;
    small.then(|| shard::catch(|| object.bytes(&read)).ok()?.ok()).flatten()
}

/// Larger archives are refused by the kernel.
const S3_ARCHIVE_BYTES_MAX: u64 = 128 << 20;

async fn invoke(
    node: &Node,
    parts: &Parts,
    matched: &rest::Matched<'_>,
    body: &Bytes,
) -> Result<Response, ApiError> {
    // The body is the payload, whatever its form.
    let asked = members(matched, parts, &Bytes::new())?;
    let text = |name: &str| asked.member(name).and_then(Json::as_str);
    for name in ["DurableExecutionName", "TenantId"] {
        if text(name).is_some() {
            let message = format!("`{name}` is not available in stepwire yet");
            return Err(ApiError::new("InvalidParameterValueException", message));
        }
    }
    let payload = std::str::from_utf8(body).map_err(|_| {
        let message = "Could not parse request body into json: it is not UTF-8";
        ApiError::new("InvalidRequestContentException", message)
    })?;
    let function = FunctionName::parse(text("FunctionName").unwrap_or_default())?;
    let invoke = Invoke::new(
        function.matching(text("Qualifier"))?,
        text("InvocationType"),
        text("LogType"),
        text("ClientContext"),
        payload.into(),
    )?;
    let id = request_id();
    let invoked = node.invoke_as(&id, &invoke).await?;
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("content-type", "application/json");
    // What the function and its log are told, too.
    add("x-amz-request-id", &id);
    if invoked.status == 200 {
        add("x-amz-executed-version", &invoked.version);
    }
    if invoked.failed {
        add("x-amz-function-error", "Unhandled");
    }
    if let Some(log) = &invoked.log {
        add("x-amz-log-result", log);
    }
    let status = StatusCode::from_u16(invoked.status).unwrap_or_default();
    Ok((status, headers, invoked.payload.to_string()).into_response())
}

fn json(status: StatusCode, answer: &Json) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], answer.to_text()).into_response()
}

/// An error as Lambda's model has it: `Type` and `Message`.
fn refused(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(status("lambda", &error.code)).unwrap_or_default();
    let kind = if status.is_server_error() { "Service" } else { "User" };
    let members = [("Type", Json::from(kind)), ("Message", error.message.as_str().into())];
    let further = error.members.iter().map(|(name, value)| (*name, value.clone()));
    let body = Json::object(
        members.into_iter().chain(further).map(|(name, value)| (Arc::<str>::from(name), value)),
    );
    let mut response = json(status, &body);
    if let Ok(code) = HeaderValue::from_str(&error.code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}
