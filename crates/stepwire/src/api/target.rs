//! awsJson: the operation in `X-Amz-Target`, JSON in the body.

use axum::http::request::Parts;
use stepwire_asl::Json;
use stepwire_core::{ApiError, Request, Service};

use super::{not_available, not_served, parsed};
use crate::node::Node;

/// Answers a request whose header names the operation.
pub(super) async fn answer(
    node: &Node,
    signed_for: &str,
    parts: &Parts,
    body: &[u8],
) -> Result<Json, ApiError> {
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let (prefix, operation) = target.and_then(|target| target.split_once('.')).unwrap_or_default();
    let service = match prefix {
        "AWSStepFunctions" => Service::States,
        "DynamoDB_20120810" => Service::DynamoDb,
        "AmazonSQS" => Service::Sqs,
        "AWSEvents" => Service::Events,
        "Logs_20140328" => Service::Logs,
        "AmazonSSM" => Service::Ssm,
        "secretsmanager" => Service::SecretsManager,
        "GraniteServiceVersion20100801" => Service::CloudWatch,
        _ if matches!(
            signed_for,
            "states"
                | "dynamodb"
                | "sqs"
                | "events"
                | "logs"
                | "monitoring"
                | "ssm"
                | "secretsmanager"
        ) =>
        {
            let message = format!("`{prefix}` in `X-Amz-Target` is not available in stepwire");
            return Err(ApiError::new("UnknownOperationException", message));
        }
        _ => return Err(not_served(signed_for)),
    };
    let max = node.settings().quotas.request_bytes_max;
    if service == Service::States && body.len() as u64 > max {
        let message = format!("Request size exceeds the maximum of {max} bytes");
        return Err(ApiError::new("RequestEntityTooLargeException", message));
    }
    let body = parsed(body)?;
    match Request::parse(service, operation, &body) {
        Some(request) => node.call(request?).await,
        None => Err(not_available(operation)),
    }
}
