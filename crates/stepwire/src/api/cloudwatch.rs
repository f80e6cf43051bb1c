//! CloudWatch: compressed bodies, and the RPC v2 CBOR protocol that newer SDKs speak.
//!
//! Source: the Smithy specification, "RPC v2 CBOR protocol" and "awsQueryCompatible".

use std::io::Read;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cbor4ii::core::Value;
use cbor4ii::core::dec::Decode;
use cbor4ii::core::enc::Encode;
use cbor4ii::core::utils::{BufWriter, SliceReader};
use flate2::read::GzDecoder;
use stepwire_asl::json::{Number, Object};
use stepwire_asl::{Json, Timestamp};
use stepwire_aws::error::{qualified, status};
use stepwire_core::{ApiError, Request, Service};

use super::{BODY_MAX, not_available, not_served, query_error};
use crate::node::Node;

const KIND: &str = "application/cbor";
const PROTOCOL: &str = "rpc-v2-cbor";
/// In front of the operation in a path.
const PATH: &str = "/service/GraniteServiceVersion20100801/operation/";
/// The tag of a time: seconds since 1970. Source: RFC 8949 §3.4.2.
const EPOCH: u64 = 1;
/// Members of answers that are integers; every other number is a double.
const INTEGERS: [&str; 3] = ["Period", "EvaluationPeriods", "DatapointsToAlarm"];

/// The body, unpacked if SDKs have packed it: they do that with large requests.
pub(super) fn inflated(service: &str, parts: &Parts, body: Bytes) -> Result<Bytes, ApiError> {
    let packed = parts
        .headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if service != "monitoring" || !packed {
        return Ok(body);
    }
    let refuse = |why: String| ApiError::new("SerializationException", why);
    let mut whole = Vec::new();
    let mut unpacked = GzDecoder::new(body.as_ref()).take(BODY_MAX as u64 + 1);
    unpacked
        .read_to_end(&mut whole)
        .map_err(|error| refuse(format!("the body cannot be unpacked: {error}")))?;
    if whole.len() > BODY_MAX {
        return Err(refuse(format!("the body is longer than {BODY_MAX} bytes")));
    }
    Ok(whole.into())
}

/// Whether a request is of this protocol.
pub(super) fn is_cbor(parts: &Parts) -> bool {
    parts.headers.get("smithy-protocol").is_some_and(|protocol| protocol == PROTOCOL)
}

/// Answers a request whose path names the operation.
pub(super) async fn answer(node: &Node, service: &str, parts: &Parts, body: &[u8]) -> Response {
    match answered(node, service, parts, body).await {
        Ok(answer) => reply(StatusCode::OK, &encoded(&answer)),
        Err(error) => {
            let status = StatusCode::from_u16(status(service, &error.code));
            refused(service, status.unwrap_or(StatusCode::BAD_REQUEST), &error)
        }
    }
}

async fn answered(
    node: &Node,
    service: &str,
    parts: &Parts,
    body: &[u8],
) -> Result<Json, ApiError> {
    let operation = parts.uri.path().strip_prefix(PATH).filter(|_| service == "monitoring");
    let operation = operation.ok_or_else(|| not_served(service))?;
    let body = decoded(body)
        .map_err(|why| ApiError::new("SerializationException", format!("the body {why}")))?;
    match Request::parse(Service::CloudWatch, operation, &body) {
        Some(request) => node.call(request?).await,
        None => Err(not_available(operation)),
    }
}

/// An error as the protocol writes it.
pub(super) fn refused(service: &str, status: StatusCode, error: &ApiError) -> Response {
    let members = [
        ("__type", Json::from(qualified(service, &error.code))),
        ("message", error.message.as_str().into()),
    ];
    let mut response = reply(status, &encoded(&Json::object(members)));
    if let Some(older) = query_error(service, status, &error.code) {
        response.headers_mut().insert("x-amzn-query-error", older);
    }
    response
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let mut out = BufWriter::new(Vec::new());
    if body.encode(&mut out).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(KIND)),
        (header::HeaderName::from_static("smithy-protocol"), HeaderValue::from_static(PROTOCOL)),
    ];
    (status, headers, out.into_inner()).into_response()
}

/// The members in a body; none when it is empty. The error says what is wrong with it.
fn decoded(body: &[u8]) -> Result<Json, String> {
    if body.is_empty() {
        return Ok(Json::Object(Arc::default()));
    }
    let value = Value::decode(&mut SliceReader::new(body));
    let json = json(value.map_err(|error| format!("is not CBOR: {error}"))?)?;
    match json {
        Json::Object(_) => Ok(json),
        _ => Err("must be a map".to_owned()),
    }
}

fn json(value: Value) -> Result<Json, String> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => truth.into(),
        Value::Integer(whole) => {
            Number::from_text(&whole.to_string()).map_or(Json::Null, Json::Number)
        }
        // What no number of JSON is is refused by its name.
        Value::Float(number) => Json::from_f64(number).unwrap_or_else(|| number.to_string().into()),
        Value::Text(text) => text.into(),
        Value::Array(items) => {
            Json::array(items.into_iter().map(json).collect::<Result<Vec<_>, _>>()?)
        }
        Value::Map(members) => {
            let member = |(name, value)| match name {
                Value::Text(name) => Ok((Arc::from(name), json(value)?)),
                _ => Err("has a member without a name".to_owned()),
            };
            let members = members.into_iter().map(member).collect::<Result<Object, String>>()?;
            Json::Object(Arc::new(members))
        }
        Value::Tag(EPOCH, seconds) => json(*seconds)?,
        Value::Tag(tag, _) => return Err(format!("has the tag {tag}, which is not known")),
        Value::Bytes(_) => return Err("has bytes where none are expected".to_owned()),
        _ => return Err("has a value of a kind that is not known".to_owned()),
    })
}

/// Whether a member of answers is a time, or a list of them.
pub(super) fn is_time(member: &str) -> bool {
    member.ends_with("Timestamp") || member.ends_with("Timestamps")
}

/// Times as text.
pub(super) fn written(times: &Json) -> Json {
    match times {
        Json::Array(items) => Json::array(items.iter().map(written)),
        Json::Number(seconds) => {
            Timestamp((seconds.as_f64() * 1_000.0).round() as i64).rfc3339().into()
        }
        other => other.clone(),
    }
}

fn encoded(json: &Json) -> Value {
    member("", json)
}

fn member(name: &str, json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            _ if is_time(name) => Value::Tag(EPOCH, Box::new(Value::Float(number.as_f64()))),
            Some(whole) if INTEGERS.contains(&name) => Value::Integer(whole.into()),
            _ => Value::Float(number.as_f64()),
        },
        Json::String(text) => Value::Text(text.to_string()),
        Json::Array(items) => Value::Array(items.iter().map(|item| member(name, item)).collect()),
        Json::Object(members) => {
            let members = members.iter();
            let members =
                members.map(|(name, value)| (Value::Text(name.to_string()), member(name, value)));
            Value::Map(members.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        let mut out = BufWriter::new(Vec::new());
        value.encode(&mut out).expect("memory");
        out.into_inner()
    }

    #[test]
    fn a_request_is_read_whatever_way_its_numbers_are_written() {
        // {_ "Namespace": "n", "Value": 1.5 (half), "Count": 3, "Timestamp": 1(1700000000.25)}
        let body = [
            &[0xbf, 0x69][..],
            b"Namespace",
            &[0x61, b'n', 0x65],
            b"Value",
            &[0xf9, 0x3e, 0x00, 0x65],
            b"Count",
            &[0x03, 0x69],
            b"Timestamp",
            &[0xc1, 0xfb],
            &1_700_000_000.25_f64.to_be_bytes(),
            &[0xff],
        ]
        .concat();
        let json = decoded(&body).expect("a body");
        let text = r#"{"Namespace":"n","Value":1.5,"Count":3,"Timestamp":1700000000.25}"#;
        assert_eq!(json.to_text(), text);
    }

    #[test]
    fn what_is_no_body_is_refused() {
        for body in [&[0x01][..], &[0xa1, 0x01, 0x01], &[0x9f], &[0xa1, 0x61, b'a', 0x41, 0x00]] {
            assert!(decoded(body).is_err(), "{body:?}");
        }
        let deep = vec![0x81; 100_000];
        assert!(decoded(&deep).is_err());
        // a list that says it is longer than memory
        assert!(decoded(&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn times_have_their_tag_and_only_counts_are_integers() {
        let answer = r#"{"Period":60,"Threshold":2,"Timestamps":[1700000000]}"#;
        let value = encoded(&Json::parse(answer).expect("JSON"));
        let expected = [
            &[0xa3, 0x66][..],
            b"Period",
            &[0x18, 60, 0x69],
            b"Threshold",
            &[0xfb],
            &2_f64.to_be_bytes(),
            &[0x6a],
            b"Timestamps",
            &[0x81, 0xc1, 0xfb],
            &1_700_000_000_f64.to_be_bytes(),
        ]
        .concat();
        assert_eq!(bytes(&value), expected);
    }
}
