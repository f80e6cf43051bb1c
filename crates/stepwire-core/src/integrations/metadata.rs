//! What SDK v1 says beside an answer: how it came over HTTP.

use std::sync::Arc;

use stepwire_asl::json::Object;
use stepwire_asl::{Json, Timestamp};

use super::Call;

/// `output` with `SdkHttpMetadata` and `SdkResponseMetadata`, members in order of name; `wire` is
/// the answer as it would have been sent.
pub(super) fn with(output: &Json, wire: &Json, call: Call, now: Timestamp) -> Json {
    let id = call.request_id();
    let headers = [
        ("connection", "keep-alive".to_owned()),
        ("Content-Length", wire.to_text().len().to_string()),
        ("Content-Type", "application/x-amz-json-1.0".to_owned()),
        ("Date", now.http_date()),
        ("x-amzn-RequestId", id.clone()),
    ];
    let every =
        headers.iter().map(|(name, value)| (*name, Json::array([Json::from(value.as_str())])));
    let one = headers.iter().map(|(name, value)| (*name, Json::from(value.as_str())));
    let http = Json::object([
        ("AllHttpHeaders", Json::object(every)),
        ("HttpHeaders", Json::object(one)),
        ("HttpStatusCode", Json::from(200)),
    ]);
    let response = Json::object([("RequestId", Json::from(id))]);
    let mut members: Object = output.as_object().cloned().unwrap_or_default();
    members.insert("SdkHttpMetadata".into(), http);
    members.insert("SdkResponseMetadata".into(), response);
    members.sort_keys();
    Json::Object(Arc::new(members))
}
