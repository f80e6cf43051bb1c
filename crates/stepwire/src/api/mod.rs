//! AWS requests: from HTTP to what the kernel is asked, and back. One file for each protocol.

mod certificates;
mod chunked;
mod cloudwatch;
pub(crate) mod code_location;
pub(crate) mod confirm;
pub(crate) mod device;
mod iot;
mod lambda;
mod query;
mod rest;
mod s3;
mod s3_answer;
mod s3_documents;
mod s3_upload;
pub(crate) mod stack_response;
mod target;
mod xml;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepwire_asl::Json;
use stepwire_asl::json::Object;
use stepwire_aws::error::{qualified, status};
use stepwire_aws::rest::query_pairs;
use stepwire_aws::sigv4::{Chunks, Older, Presigned, Signature, Signed};
use stepwire_core::iam::Session;
use stepwire_core::{ApiError, metrics, queues};

use crate::access_key::AccessKey;
use crate::function_key;
use crate::node::Node;

const AWS_JSON: &str = "application/x-amz-json-1.0";
/// Longest body of a request, bytes; DynamoDB's BatchWriteItem is the largest.
const BODY_MAX: usize = 16 << 20;
/// The same for Lambda: 50 MB of code in base64.
const LAMBDA_BODY_MAX: usize = 70 << 20;

/// Longest body that a request for `path` may have, bytes.
pub(crate) fn body_max(path: &str) -> usize {
    let archives = ["/2015-03-31/functions", "/2018-10-31/layers"];
    if archives.iter().any(|begin| path.starts_with(begin)) { LAMBDA_BODY_MAX } else { BODY_MAX }
}

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// The operation in `X-Amz-Target`, JSON in the body.
    Target,
    /// The operation in method and path.
    Rest,
    /// The same, XML in and out.
    RestXml,
    /// The operation in a form field, XML back.
    Query,
    /// The operation in the path, CBOR in the body.
    Cbor,
}

/// Answers one AWS request.
pub(crate) async fn answer(
    node: &Node,
    keys: Option<&AccessKey>,
    parts: &Parts,
    body: Bytes,
) -> Response {
    let signer = match signed(node, keys, parts, Some(&body)) {
        Ok(signer) => signer,
        Err(error) => return refused_unsigned(parts, &error),
    };
    let service = signer.signature.service.as_str();
    let protocol = Protocol::of(parts, service);
    let body = match cloudwatch::inflated(service, parts, body) {
        Ok(body) => body,
        Err(error) => return refused(service, protocol, &error),
    };
    let result = match protocol {
        Protocol::Target => {
            let answer = target::answer(node, service, parts, &body).await;
            answer
                .map(|answer| if service == "sqs" { as_asked(node, parts, answer) } else { answer })
        }
        Protocol::Rest if service == "lambda" => return lambda::answer(node, parts, &body).await,
        Protocol::Rest => rest::answer(node, service, parts, &body).await,
        Protocol::Cbor => return cloudwatch::answer(node, service, parts, &body).await,
        Protocol::RestXml => return s3::answer(node, &signer, parts, body).await,
        Protocol::Query => {
            let session = signer.session.clone();
            match query::answer(node, service, parts, session, &body).await {
                Ok(answer) => return answer,
                Err(error) => Err(error),
            }
        }
    };
    match result {
        Ok(answer) => success(service, protocol, &answer),
        Err(error) => refused(service, protocol, &error),
    }
}

/// The refusal of a request for a page, if it is not let in: on loopback anybody is, else who signs it.
pub(crate) fn turn_away(node: &Node, keys: Option<&AccessKey>, parts: &Parts) -> Option<Response> {
    let error = signed(node, Some(keys?), parts, Some(b"")).err()?;
    Some(shaped(StatusCode::FORBIDDEN, AWS_JSON, Some(error.code.to_string()), &error))
}

/// A refusal of a request that does not say, or not truly, for which service it is.
fn refused_unsigned(parts: &Parts, error: &ApiError) -> Response {
    if is_s3(parts) || s3::is_meant(parts) {
        return s3_answer::refused(parts, &s3::unsigned(parts, error));
    }
    let protocol = Protocol::of(parts, "");
    // REST services say 403 where the others say 400
    refused(if protocol == Protocol::Rest { "iot" } else { "" }, protocol, error)
}

impl Protocol {
    fn of(parts: &Parts, service: &str) -> Protocol {
        let form = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if cloudwatch::is_cbor(parts) {
            Protocol::Cbor
        } else if parts.headers.contains_key("x-amz-target") {
            Protocol::Target
        } else if form && (parts.uri.path() == "/" || service == "sqs") {
            Protocol::Query
        } else if service == "s3" {
            Protocol::RestXml
        } else {
            Protocol::Rest
        }
    }
}

/// Answers a request to S3 whose body is too large to be held, if this is one; else gives the body
/// back.
pub(crate) async fn answer_large(
    node: &Node,
    keys: Option<&AccessKey>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Body> {
    if !is_s3(parts) || !s3_upload::is_large(parts) {
        return Err(body);
    }
    Ok(match signed(node, keys, parts, None) {
        Ok(signer) => s3_upload::answer(node, &signer, parts, body).await,
        Err(error) => refused_unsigned(parts, &error),
    })
}

/// Whether a request says that it is for Amazon S3.
fn is_s3(parts: &Parts) -> bool {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let query = parts.uri.query().unwrap_or_default();
    header.is_some_and(|header| header.contains("/s3/aws4_request") || header.starts_with("AWS "))
        || query.contains("%2Fs3%2Faws4_request")
        || query.contains("/s3/aws4_request")
        || query.contains("AWSAccessKeyId=")
}

/// Who signs a request.
struct Signer {
    signature: Signature,
    /// Whose temporary credentials it uses; `None`: the node's key.
    session: Option<Session>,
    /// What it is signed with, if that was checked.
    secret: Option<String>,
}

impl Signer {
    /// Checks the pieces of the body, if they are signed and signatures are checked.
    fn chunks(&self, parts: &Parts) -> Option<Chunks> {
        let secret = self.secret.as_ref().filter(|_| chunked::is_signed(&parts.headers))?;
        let time = parts.headers.get("x-amz-date").and_then(|time| time.to_str().ok())?;
        Some(Chunks::new(&self.signature, time, secret))
    }

    /// The digest that the body is said to have.
    fn claimed_digest(parts: &Parts) -> Option<&str> {
        let claimed = parts.headers.get("x-amz-content-sha256")?.to_str().ok()?;
        (claimed.len() == 64).then_some(claimed)
    }
}

/// The one gate: before a request is looked at any closer. Off loopback it must be signed with the
/// node's key, with credentials that a session token of this node's proves, or with a function's; on
/// loopback a signature need only have the form of one. Without its body, its head alone is looked at.
fn signed(
    node: &Node,
    keys: Option<&AccessKey>,
    parts: &Parts,
    body: Option<&[u8]>,
) -> Result<Signer, ApiError> {
    use stepwire_aws::sigv4::Refused;
    let refuse = |refused: Refused| ApiError::new(refused.code(), refused.to_string());
    let now = jiff::Timestamp::now().as_second();
    let query = parts.uri.query().unwrap_or_default();
    let header = parts.headers.contains_key(header::AUTHORIZATION);
    let older = (!header && query.contains("AWSAccessKeyId=")).then(|| Older::read(query));
    let older = older.transpose().map_err(refuse)?;
    let presigned = !header && older.is_none() && is_s3(parts);
    let presigned = presigned.then(|| Presigned::read(query)).transpose().map_err(refuse)?;
    let signature = match (&presigned, &older) {
        (Some(presigned), _) => presigned.signature.clone(),
        (None, Some(older)) => older.signature.clone(),
        (None, None) => Signature::read(&parts.headers).map_err(refuse)?,
    };
    let expired = presigned.as_ref().is_some_and(|presigned| presigned.is_expired(now))
        || older.as_ref().is_some_and(|older| older.is_expired(now));
    if expired {
        return Err(ApiError::new("AccessDenied", "Request has expired"));
    }
    let token = parts.headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
    let mut asked = query_pairs(query);
    let asked = asked.find_map(|(name, token)| {
        name.eq_ignore_ascii_case("X-Amz-Security-Token").then_some(token)
    });
    let token = token.map(str::to_owned).or(asked);
    let opened = token.and_then(|token| Session::open(&token, &node.settings().secret));
    let opened = opened.filter(|(_, credentials)| credentials.id == signature.key);
    let Some(keys) = keys else {
        let session = opened.map(|(session, _)| session);
        return Ok(Signer { signature, session, secret: None });
    };
    let (secret, session) = match opened {
        Some((session, _)) if session.expires.0 <= jiff::Timestamp::now().as_millisecond() => {
            let message = "The security token included in the request is expired";
            return Err(ApiError::new("ExpiredTokenException", message));
        }
        Some((session, credentials)) => (credentials.secret, Some(session)),
        None if signature.key == keys.id => (keys.secret.clone(), None),
        None => match function_key::asked(node, parts, &signature.key) {
            Some(key) => (key.secret, None),
            None => return Err(refuse(Refused::UnknownKey)),
        },
    };
    let request = Signed {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query,
        headers: &parts.headers,
        body: body.unwrap_or_default(),
    };
    let claimed = parts.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    match (&presigned, body) {
        _ if older.is_some() => {
            let bucket = s3::bucket_of_host(parts);
            older.map_or(Ok(()), |older| older.verify(&request, bucket, &secret))
        }
        (Some(presigned), _) => presigned.verify_s3(&request, &secret, now),
        (None, Some(_)) => signature.verify(&request, &secret, now),
        (None, None) => {
            let claimed = claimed.unwrap_or_default();
            signature.verify_head(&request, claimed, &secret, now)
        }
    }
    .map_err(refuse)?;
    Ok(Signer { signature, session, secret: Some(secret) })
}

/// What the client's URL begins with; the node's own address for who was led here and has asked AWS.
fn origin(node: &Node, parts: &Parts) -> String {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.filter(|host| !host.contains(".amazonaws.com")) else {
        return node.settings().url.to_string();
    };
    let port = host.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let addresses = node.addresses();
    let https = addresses.https.map(|https| https.port());
    let tls = https.is_some() && port.or(Some(443)) == https && port != Some(addresses.http.port());
    format!("{}://{host}", if tls { "https" } else { "http" })
}

/// An answer of SQS whose URLs of queues begin as the client's own request: newer SDKs warn of others.
fn as_asked(node: &Node, parts: &Parts, answer: Json) -> Json {
    let origin = origin(node, parts);
    let of = |url: &Json| {
        let path = url.as_str().and_then(|url| url.strip_prefix(&*node.settings().url))?;
        Some(Json::from(format!("{origin}{path}")))
    };
    let Json::Object(members) = &answer else { return answer };
    let named = members.iter().map(|(name, value)| {
        let value = match (&**name, value) {
            ("QueueUrl", url) => of(url).unwrap_or_else(|| url.clone()),
            ("QueueUrls" | "queueUrls", Json::Array(urls)) => {
                Json::array(urls.iter().map(|url| of(url).unwrap_or_else(|| url.clone())))
            }
            (_, value) => value.clone(),
        };
        (Arc::clone(name), value)
    });
    Json::object(named)
}

fn not_served(service: &str) -> ApiError {
    let message = format!("service `{service}` is not available in stepwire");
    ApiError::new("UnknownOperationException", message)
}

fn not_available(operation: &str) -> ApiError {
    let message = format!("operation `{operation}` is not available in stepwire yet");
    ApiError::new("UnknownOperationException", message)
}

/// The members in a body; none when it is empty.
fn parsed(body: &[u8]) -> Result<Json, ApiError> {
    let refuse = |why: String| ApiError::new("SerializationException", why);
    if body.is_empty() {
        return Ok(Json::Object(Arc::default()));
    }
    let json = Json::parse_bytes(body)
        .map_err(|error| refuse(format!("the body is not JSON: {error}")))?;
    match json {
        Json::Object(_) => Ok(json),
        _ => Err(refuse("the body must be a JSON object".to_owned())),
    }
}

/// How a service's model names awsJson.
fn aws_json(service: &str) -> &'static str {
    match service {
        "logs" | "events" | "ssm" | "secretsmanager" => "application/x-amz-json-1.1",
        _ => AWS_JSON,
    }
}

fn success(service: &str, protocol: Protocol, answer: &Json) -> Response {
    let target = protocol == Protocol::Target;
    let kind = if target { aws_json(service) } else { "application/json" };
    let empty = protocol == Protocol::Target && answer.as_object().is_some_and(Object::is_empty);
    let body = if empty { "{}".to_owned() } else { answer.to_text() };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

fn refused(service: &str, protocol: Protocol, error: &ApiError) -> Response {
    let status =
        StatusCode::from_u16(status(service, &error.code)).unwrap_or(StatusCode::BAD_REQUEST);
    match protocol {
        Protocol::Target => {
            let mut response =
                shaped(status, aws_json(service), Some(qualified(service, &error.code)), error);
            if let Some(older) = query_error(service, status, &error.code) {
                response.headers_mut().insert("x-amzn-query-error", older);
            }
            response
        }
        Protocol::Rest | Protocol::RestXml => shaped(status, "application/json", None, error),
        Protocol::Query => query::refused(service, error),
        Protocol::Cbor => cloudwatch::refused(service, status, error),
    }
}

/// What an error is called where a service spoke the query protocol before: SDKs still know it so.
fn query_error(service: &str, status: StatusCode, code: &str) -> Option<HeaderValue> {
    let older = match service {
        "sqs" => queues::older_code(code),
        "monitoring" => metrics::older_code(code).into(),
        _ => return None,
    };
    let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
    HeaderValue::try_from(format!("{older};{fault}")).ok()
}

/// A refusal of what never became a request, in the shape of AWS's errors.
pub(crate) fn refused_early(status: StatusCode, code: &'static str, message: &str) -> Response {
    let error = ApiError::new(code, message);
    shaped(status, AWS_JSON, Some(code.to_owned()), &error)
}

/// An error as JSON; with its full name inside for protocols that want it there.
fn shaped(
    status: StatusCode,
    kind: &'static str,
    name: Option<String>,
    error: &ApiError,
) -> Response {
    let mut members = Object::new();
    members.extend(name.map(|name| ("__type".into(), Json::from(name))));
    members.insert("message".into(), error.message.as_str().into());
    for (name, value) in &error.members {
        members.insert((*name).into(), value.clone());
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(code) = HeaderValue::from_str(&error.code) {
        headers.insert("x-amzn-errortype", code);
    }
    (status, headers, Json::Object(Arc::new(members)).to_text()).into_response()
}
