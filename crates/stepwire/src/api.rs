//! AWS requests: from HTTP to what the kernel is asked, and back.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stepwire_asl::Json;
use stepwire_asl::json::{Number, Object};
use stepwire_aws::error::{qualified, status};
use stepwire_aws::rest::{self, Matched};
use stepwire_aws::routes;
use stepwire_aws::sigv4::{Signature, Signed};
use stepwire_core::message::{Properties, QoS};
use stepwire_core::request::Publish;
use stepwire_core::{ApiError, Request, Service};

use crate::access_key::AccessKey;
use crate::ca::Issuer;
use crate::node::Node;

const AWS_JSON: &str = "application/x-amz-json-1.0";
/// Longest body of a request, bytes; DynamoDB's BatchWriteItem is the largest.
pub(crate) const BODY_MAX: usize = 16 << 20;

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
}

/// Answers one AWS request.
pub(crate) async fn answer(
    node: &Node,
    keys: Option<&AccessKey>,
    parts: &Parts,
    body: Bytes,
) -> Response {
    let signature = match signed(keys, parts, &body) {
        Ok(signature) => signature,
        Err(error) => return refused("", Protocol::of(parts, ""), &error),
    };
    let service = signature.service.as_str();
    let protocol = Protocol::of(parts, service);
    let result = match protocol {
        Protocol::Target => target(node, service, parts, &body).await,
        Protocol::Rest => rest(node, service, parts, &body).await,
        Protocol::RestXml => Err(not_served(service)),
        Protocol::Query => match query(node, service, &body) {
            Ok(answer) => return answer,
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(answer) => success(protocol, &answer),
        Err(error) => refused(service, protocol, &error),
    }
}

impl Protocol {
    fn of(parts: &Parts, service: &str) -> Protocol {
        let form = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if parts.headers.contains_key("x-amz-target") {
            Protocol::Target
        } else if form && parts.uri.path() == "/" {
            Protocol::Query
        } else if service == "s3" {
            Protocol::RestXml
        } else {
            Protocol::Rest
        }
    }
}

/// The one gate: before a request is looked at any closer. Off loopback it must be signed with the
/// node's key; on loopback a signature need only have the form of one.
fn signed(keys: Option<&AccessKey>, parts: &Parts, body: &[u8]) -> Result<Signature, ApiError> {
    use stepwire_aws::sigv4::Refused;
    let refuse = |refused: Refused| ApiError::new(refused.code(), refused.to_string());
    let signature = Signature::read(&parts.headers).map_err(refuse)?;
    let Some(keys) = keys else { return Ok(signature) };
    if signature.key != keys.id {
        return Err(refuse(Refused::UnknownKey));
    }
    let request = Signed {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body,
    };
    let now = jiff::Timestamp::now().as_second();
    signature.verify(&request, &keys.secret, now).map_err(refuse)?;
    Ok(signature)
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

async fn target(
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
        _ if matches!(signed_for, "states" | "dynamodb") => {
            let message = format!("`{prefix}` in `X-Amz-Target` is not available in stepwire");
            return Err(ApiError::new("UnknownOperationException", message));
        }
        _ => return Err(not_served(signed_for)),
    };
    let body = parsed(body)?;
    match Request::parse(service, operation, &body) {
        Some(request) => node.call(request?).await,
        None => Err(not_available(operation)),
    }
}

async fn rest(
    node: &Node,
    signed_for: &str,
    parts: &Parts,
    body: &Bytes,
) -> Result<Json, ApiError> {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let data = matches!(signed_for, "iotdata" | "iotdevicegateway");
    let table = match signed_for {
        "iot" => routes::IOT,
        _ if data => routes::IOT_DATA,
        _ => return Err(not_served(signed_for)),
    };
    let Some(matched) = rest::find(table, method, path) else {
        return Err(if rest::path_exists(table, path) {
            ApiError::new(
                "MethodNotAllowedException",
                format!("`{method}` is not known on `{path}`"),
            )
        } else {
            ApiError::new("ResourceNotFoundException", format!("`{path}` is no path of this API"))
        });
    };
    let operation = matched.route.operation;
    let body = members(&matched, parts, body)?;
    match operation {
        "Publish" if data => node.call(Request::Publish(publish(&body)?)).await,
        "DescribeEndpoint" => describe_endpoint(node, &body),
        "CreateKeysAndCertificate" => create_keys_and_certificate(node, &body).await,
        _ if data => Err(not_available(operation)),
        _ => match Request::parse(Service::Iot, operation, &body) {
            Some(request) => node.call(request?).await,
            None => Err(not_available(operation)),
        },
    }
}

/// Everything a REST request says, as the members of its operation's input.
fn members(matched: &Matched<'_>, parts: &Parts, body: &Bytes) -> Result<Json, ApiError> {
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
    let mut add = |name: &str, text: &str| {
        let value = if route.plain.contains(&name) { plain(text) } else { text.into() };
        members.insert(name.into(), value);
    };
    for (wire, value) in rest::query_pairs(parts.uri.query().unwrap_or_default()) {
        let Some((_, name)) = route.query.iter().find(|(known, _)| *known == wire) else {
            let message = format!("parameter `{wire}` is not supported");
            return Err(ApiError::new("InvalidRequestException", message));
        };
        add(name, &value);
    }
    for (wire, name) in route.headers {
        if let Some(value) = parts.headers.get(*wire).and_then(|value| value.to_str().ok()) {
            add(name, value);
        }
    }
    for (name, value) in &matched.labels {
        add(name, value);
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

fn publish(body: &Json) -> Result<Publish, ApiError> {
    let text = |name: &str| body.member(name).and_then(Json::as_str);
    let invalid = |why: &str| ApiError::new("InvalidRequestException", why);
    let qos = match body.member("qos").map(Json::as_i64) {
        None | Some(Some(0)) => QoS::AtMostOnce,
        Some(Some(1)) => QoS::AtLeastOnce,
        Some(_) => return Err(invalid("`qos` must be 0 or 1")),
    };
    let payload = STANDARD.decode(text("payload").unwrap_or_default());
    let user = text("userProperties").map(user_properties).transpose()?;
    let expiry = body.member("messageExpiry").and_then(Json::as_i64);
    let correlation = text("correlationData").map(|data| STANDARD.decode(data)).transpose();
    let properties = Properties {
        payload_is_utf8: text("payloadFormatIndicator") == Some("UTF8_DATA"),
        message_expiry_s: expiry.and_then(|expiry| u32::try_from(expiry).ok()),
        content_type: text("contentType").map(Arc::from),
        response_topic: text("responseTopic").map(Arc::from),
        correlation_data: correlation
            .map_err(|_| invalid("`correlationData` must be base64"))?
            .map(Bytes::from),
        user_properties: user.unwrap_or_default(),
    };
    let retain = body.member("retain").and_then(Json::as_bool).unwrap_or(false);
    let payload = payload.map_err(|_| invalid("`payload` must be base64"))?;
    Publish::to(text("topic").unwrap_or_default(), payload.into(), qos, retain, properties)
}

type UserProperties = Vec<(Arc<str>, Arc<str>)>;

/// `[{"name": "value"}, …]`, in base64 as the model's header says.
fn user_properties(text: &str) -> Result<UserProperties, ApiError> {
    let invalid = || {
        ApiError::new("InvalidRequestException", "`userProperties` must be base64 of a JSON list")
    };
    let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
    let list = Json::parse_bytes(&bytes).map_err(|_| invalid())?;
    let mut properties = Vec::new();
    for entry in list.as_array().ok_or_else(invalid)? {
        for (name, value) in entry.as_object().ok_or_else(invalid)? {
            properties.push((Arc::clone(name), value.as_str().ok_or_else(invalid)?.into()));
        }
    }
    Ok(properties)
}

/// Where devices of this node connect; a port is part of it unless it is the usual one.
fn describe_endpoint(node: &Node, body: &Json) -> Result<Json, ApiError> {
    let addresses = node.addresses();
    let host = |address: std::net::SocketAddr, usual: u16| {
        let name = if address.ip().is_loopback() || address.ip().is_unspecified() {
            "localhost".to_owned()
        } else {
            address.ip().to_string()
        };
        if address.port() == usual { name } else { format!("{name}:{}", address.port()) }
    };
    let address = match body.member("endpointType").and_then(Json::as_str) {
        None | Some("iot:Data-ATS" | "iot:Data") => host(addresses.mqtts, 8883),
        Some("iot:Jobs" | "iot:CredentialProvider") => host(addresses.http, 443),
        Some(other) => {
            let message = format!("`{other}` is no type of endpoint");
            return Err(ApiError::new("InvalidRequestException", message));
        }
    };
    Ok(Json::object([("endpointAddress", Json::from(address))]))
}

/// The private key is in the answer and nowhere else.
async fn create_keys_and_certificate(node: &Node, body: &Json) -> Result<Json, ApiError> {
    let active = body.member("setAsActive").cloned().unwrap_or_else(|| false.into());
    let issued = node.authority().issue().map_err(|error| {
        ApiError::new("InternalFailureException", format!("cannot make a certificate: {error}"))
    })?;
    let register = Json::object([
        ("certificateId", Json::from(issued.id)),
        ("certificatePem", issued.certificate_pem.into()),
        ("setAsActive", active),
    ]);
    let operation = "RegisterIssuedCertificate";
    let request = Request::parse(Service::Iot, operation, &register);
    let answer = node.call(request.ok_or_else(|| not_available(operation))??).await?;
    let pair = Json::object([
        ("PublicKey", Json::from(issued.public_key_pem)),
        ("PrivateKey", issued.private_key_pem.into()),
    ]);
    let members = answer.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
    Ok(Json::object(members.chain([("keyPair".into(), pair)])))
}

/// `sts` GetCallerIdentity: tools ask who they are before anything else.
fn query(node: &Node, service: &str, body: &[u8]) -> Result<Response, ApiError> {
    if service != "sts" {
        return Err(not_served(service));
    }
    let form = String::from_utf8_lossy(body).into_owned();
    let action =
        rest::query_pairs(&form).find(|(name, _)| name == "Action").map(|(_, action)| action);
    match action.as_deref() {
        Some("GetCallerIdentity") => {
            let account = &node.settings().account;
            let xml = format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult><Arn>arn:aws:iam::{account}:root</Arn><UserId>{account}</UserId>\
                 <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            );
            Ok(([(header::CONTENT_TYPE, "text/xml")], xml).into_response())
        }
        other => Err(not_available(other.unwrap_or("?"))),
    }
}

fn success(protocol: Protocol, answer: &Json) -> Response {
    let kind = if protocol == Protocol::Target { AWS_JSON } else { "application/json" };
    let empty = protocol == Protocol::Target && answer.as_object().is_some_and(Object::is_empty);
    let body = if empty { "{}".to_owned() } else { answer.to_text() };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

fn refused(service: &str, protocol: Protocol, error: &ApiError) -> Response {
    let status =
        StatusCode::from_u16(status(service, &error.code)).unwrap_or(StatusCode::BAD_REQUEST);
    let xml = |body: String| (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response();
    match protocol {
        Protocol::Target => shaped(status, AWS_JSON, Some(qualified(service, &error.code)), error),
        Protocol::Rest => shaped(status, "application/json", None, error),
        Protocol::RestXml => xml(format!("<Error>{}</Error>", in_xml(error))),
        Protocol::Query => xml(format!(
            "<ErrorResponse><Error><Type>Sender</Type>{}</Error></ErrorResponse>",
            in_xml(error)
        )),
    }
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

fn in_xml(error: &ApiError) -> String {
    let (code, message) = (escaped(&error.code), escaped(&error.message));
    format!("<Code>{code}</Code><Message>{message}</Message>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
