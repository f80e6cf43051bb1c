//! What a device is answered that shows its certificate in place of a signature: publishing.
//!
//! Source: AWS IoT developer guide, "HTTPS" and "Publishing with HTTPS".

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use stepwire_asl::Json;
use stepwire_aws::error::status;
use stepwire_aws::routes;
use stepwire_core::message::Caller;
use stepwire_core::{ApiError, Request, Service};

use super::{Protocol, rest, shaped, success};
use crate::functions::request_id;
use crate::node::Node;
use crate::warnings::Warnings;

/// How the service is called in what depends on it.
const SERVICE: &str = "iotdata";

/// Answers one request of `caller`.
pub(crate) async fn answer(
    node: &Node,
    warnings: &Warnings,
    caller: Caller,
    parts: &Parts,
    body: &Bytes,
) -> Response {
    let who = (Arc::clone(caller.identity.name()), caller.ip);
    let trace = ("traceId", Json::from(request_id()));
    match publish(node, caller, parts, body).await {
        Ok(()) => {
            let answer = Json::object([("message", Json::from("OK")), trace]);
            success(SERVICE, Protocol::Rest, &answer)
        }
        Err(error) => {
            if error.code == "ForbiddenException" {
                let ((certificate, ip), path) = (who, parts.uri.path());
                let text = format_args!(
                    "certificate `{certificate}` at {ip} was refused `POST {path}`: {}",
                    error.message
                );
                warnings.warn("refused", &format!("{certificate} https"), text);
            }
            let status = StatusCode::from_u16(status(SERVICE, &error.code));
            let status = status.unwrap_or(StatusCode::BAD_REQUEST);
            shaped(status, "application/json", None, &error.with(trace.0, trace.1))
        }
    }
}

async fn publish(node: &Node, caller: Caller, parts: &Parts, body: &Bytes) -> Result<(), ApiError> {
    let matched = rest::matched(routes::IOT_DATA, parts)?;
    let operation = matched.route.operation;
    if operation != "Publish" {
        let message =
            format!("`{operation}` is not available with a certificate: sign the request");
        return Err(ApiError::new("ForbiddenException", message));
    }
    let members = rest::members(&matched, parts, body)?;
    match Request::parse(Service::IotData, operation, &members) {
        Some(Ok(Request::Publish(publish))) => {
            node.call(Request::PublishBy(Arc::new(caller), publish)).await.map(|_| ())
        }
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Err(super::not_available(operation)),
    }
}
