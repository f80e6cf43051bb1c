//! Where the code of a function can be fetched for some minutes, as GetFunction tells: a URL that who
//! has it may use.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepwire_asl::Json;
use stepwire_core::executions::derived_uuid;
use stepwire_core::functions::{self, CodeRecord, FunctionName};

use super::origin;
use crate::node::Node;
use crate::shard;

const PATH: &str = "/-/function-code/";
/// How long a URL is good for, seconds (AWS: 10 minutes).
const EXPIRES_S: i64 = 600;

/// `answer` of GetFunction with the URL of the code; as it is for code that runs where it is.
pub(super) fn located(node: &Node, parts: &Parts, asked: &Json, answer: Json) -> Json {
    let code = answer.member("Code").and_then(Json::as_object);
    let name = asked.member("FunctionName").and_then(Json::as_str);
    let name = name.and_then(|name| FunctionName::parse(name).ok());
    let (Some(code), Some(name)) = (code, name) else { return answer };
    if code.contains_key("Location") {
        return answer;
    }
    let name = name.qualified(asked.member("Qualifier").and_then(Json::as_str));
    let read = node.snapshot();
    let found = shard::catch(|| functions::find(&name, 0, &read, node.settings()));
    let Ok(Ok(found)) = found else { return answer };
    let CodeRecord { number, bytes, .. } = found.record.code;
    let expires = jiff::Timestamp::now().as_second() + EXPIRES_S;
    let token = token(node, number, bytes, expires);
    let origin = origin(node, parts);
    let url = format!("{origin}{PATH}{number}?bytes={bytes}&expires={expires}&token={token}");
    let mut code = code.clone();
    code.insert("Location".into(), url.into());
    let members = answer.as_object().into_iter().flatten().map(|(member, value)| {
        let value = if **member == *"Code" { Json::object(code.clone()) } else { value.clone() };
        (std::sync::Arc::clone(member), value)
    });
    Json::object(members)
}

fn token(node: &Node, number: u64, bytes: u64, expires: i64) -> String {
    derived_uuid(&node.settings().secret, "function-code", &[number, bytes, expires as u64])
}

/// Whether a request is for such a URL.
pub(crate) fn is_visit(parts: &Parts) -> bool {
    parts.method == Method::GET && parts.uri.path().starts_with(PATH)
}

/// The archive, if the URL is one that was told, and still good.
pub(crate) fn answer(node: &Node, parts: &Parts) -> Response {
    let query = parts.uri.query().unwrap_or_default();
    let value = |wanted: &str| {
        let mut pairs = stepwire_aws::rest::query_pairs(query);
        pairs.find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let number = parts.uri.path().strip_prefix(PATH).and_then(|number| number.parse().ok());
    let bytes = value("bytes").and_then(|bytes| bytes.parse().ok());
    let expires = value("expires").and_then(|expires| expires.parse::<i64>().ok());
    let refused = || (StatusCode::FORBIDDEN, "the URL is not good, or no longer\n").into_response();
    let (Some(number), Some(bytes), Some(expires)) = (number, bytes, expires) else {
        return refused();
    };
    let good = value("token").is_some_and(|given| given == token(node, number, bytes, expires));
    if !good || jiff::Timestamp::now().as_second() > expires {
        return refused();
    }
    let record = CodeRecord { number, bytes, sha256: [0; 32], folder: None };
    let read = node.snapshot();
    match shard::catch(|| functions::code(&record, &read)) {
        Ok(Some(archive)) => {
            let kind = HeaderValue::from_static("application/zip");
            ([(header::CONTENT_TYPE, kind)], archive).into_response()
        }
        _ => (StatusCode::NOT_FOUND, "the code is gone\n").into_response(),
    }
}
