//! restJson: the operation in method and path, its members anywhere in the request.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_asl::json::{Number, Object};
use stepwire_aws::rest::{self, Matched};
use stepwire_aws::routes::{self, Route};
use stepwire_core::{ApiError, Request, Service};

use super::{certificates, iot, not_available, not_served, parsed};
use crate::node::Node;

/// Answers a request whose method and path name the operation.
pub(super) async fn answer(
    node: &Node,
    signed_for: &str,
    parts: &Parts,
    body: &Bytes,
) -> Result<Json, ApiError> {
    let data = matches!(signed_for, "iotdata" | "iotdevicegateway");
    let table = match signed_for {
        "iot" => routes::IOT,
        "scheduler" => routes::SCHEDULER,
        "iot-jobs-data" => routes::IOT_JOBS_DATA,
        _ if data => routes::IOT_DATA,
        _ => return Err(not_served(signed_for)),
    };
    let matched = matched(table, parts)?;
    let operation = matched.route.operation;
    let body = members(&matched, parts, body)?;
    match operation {
        "DescribeEndpoint" if signed_for == "iot" => iot::describe_endpoint(node, &body),
        _ => {
            let own = signed_for == "iot";
            if own && let Some(answer) = certificates::answer(node, operation, &body).await {
                return answer;
            }
            let service = match signed_for {
                "iot" => Service::Iot,
                "scheduler" => Service::Scheduler,
                "iot-jobs-data" => Service::IotJobsData,
                _ => Service::IotData,
            };
            match Request::parse(service, operation, &body) {
                Some(request) => node.call(request?).await,
                None => Err(not_available(operation)),
            }
        }
    }
}

/// The route that a request's method and path name.
pub(super) fn matched<'r>(table: &'r [Route], parts: &Parts) -> Result<Matched<'r>, ApiError> {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    rest::find(table, method, path).ok_or_else(|| {
        if rest::path_exists(table, path) {
            let message = format!("`{method}` is not known on `{path}`");
            ApiError::new("MethodNotAllowedException", message)
        } else {
            ApiError::new("ResourceNotFoundException", format!("`{path}` is no path of this API"))
        }
    })
}

/// Everything a REST request says, as the members of its operation's input.
pub(super) fn members(
    matched: &Matched<'_>,
    parts: &Parts,
    body: &Bytes,
) -> Result<Json, ApiError> {
    let route = matched.route;
    let mut members = Object::new();
    match route.payload {
        Some("payload") => {
            members.insert("payload".into(), STANDARD.encode(body).into());
        }
        Some(name) => {
            members.insert(name.into(), parsed(body)?);
        }
        None => {
            let all = parsed(body)?;
            let all = all.as_object().into_iter().flatten();
            members.extend(all.map(|(name, value)| (Arc::clone(name), value.clone())));
        }
    }
    let mut keys = Vec::new();
    let mut add = |name: &str, text: &str| {
        let value = if route.plain.contains(&name) { plain(text) } else { text.into() };
        members.insert(name.into(), value);
    };
    for (wire, value) in rest::query_pairs(parts.uri.query().unwrap_or_default()) {
        let Some((_, name)) = route.query.iter().find(|(known, _)| *known == wire) else {
            let message = format!("parameter `{wire}` is not supported");
            return Err(ApiError::new("InvalidRequestException", message));
        };
        if *name == "TagKeys" {
            // A list: it is said once for each.
            keys.push(Json::from(value));
        } else {
            add(name, &value);
        }
    }
    for (wire, name) in route.headers {
        if let Some(value) = parts.headers.get(*wire).and_then(|value| value.to_str().ok()) {
            add(name, value);
        }
    }
    for (name, value) in &matched.labels {
        add(name, value);
    }
    if !keys.is_empty() {
        members.insert("TagKeys".into(), Json::array(keys));
    }
    Ok(Json::Object(Arc::new(members)))
}

/// A number or truth value of a path or query; other text stays text and is refused as such.
fn plain(text: &str) -> Json {
    match text {
        "true" => true.into(),
        "false" => false.into(),
        text => Number::from_text(text).map_or_else(|| text.into(), Json::Number),
    }
}
