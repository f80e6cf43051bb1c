//! Answers of Amazon S3: objects, documents, lists, refusals.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::utf8_percent_encode;
use stepwire_asl::Json;
use stepwire_core::objects::{self, Get};
use stepwire_core::{ApiError, Request};

use super::s3::{HEADERS, Target, URL};
use super::s3_documents;
use super::xml::{self, Lists};
use crate::functions::request_id;
use crate::node::Node;
use crate::shard::{self, ShardRead};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Tells which request an error is about.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// Bytes of an object that are read before the first is sent; the rest as they are taken.
const AT_ONCE: u64 = 1 << 20;

/// An object: its members in headers, its bytes as they are taken.
pub(super) fn object(node: &Node, get: &Get) -> Result<Response, ApiError> {
    let read = node.snapshot();
    let head = Request::Objects(objects::Request::HeadObject(Box::new(get.clone())));
    let unreadable =
        |error: stepwire_store::Error| ApiError::new("InternalError", error.to_string());
    let looked = shard::catch(|| {
        let answer = head.answer(&read, node.settings())?;
        Ok((answer, objects::shown(get, &read)?))
    });
    let (answer, (object, range)) = looked.map_err(unreadable)??;
    let slices: Vec<_> = object.slices(range.clone()).collect();
    let body = if range.end - range.start <= AT_ONCE {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        for slice in &slices {
            bytes.extend_from_slice(&bytes_of(slice, &read)?);
        }
        Body::from(bytes)
    } else {
        Body::from_stream(futures_util::stream::iter(
            slices.into_iter().map(move |slice| bytes_of(&slice, &read)),
        ))
    };
    Ok((status_of(&answer), in_headers(&answer, |_| true), body).into_response())
}

/// The status of an answer that shows an object: that of some of it when a range or a part was asked
/// for.
fn status_of(answer: &Json) -> StatusCode {
    let partial = answer.member("ContentRange").or_else(|| answer.member("PartsCount")).is_some();
    if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }
}

fn bytes_of(slice: &objects::Slice, read: &ShardRead) -> Result<Bytes, ApiError> {
    let bytes = shard::catch(|| slice.read(read));
    let bytes = bytes.map_err(|error| ApiError::new("InternalError", error.to_string()))?;
    bytes.map_err(|corrupt| ApiError::new("InternalError", corrupt.to_string()))
}

/// The members of an answer that are headers.
fn in_headers(answer: &Json, wanted: impl Fn(&str) -> bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let name = HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    };
    for (member, value) in answer.as_object().into_iter().flatten() {
        if **member == *"Metadata" {
            for (name, value) in value.as_object().into_iter().flatten() {
                add(&format!("x-amz-meta-{name}"), value.as_str().unwrap_or_default());
            }
            continue;
        }
        let header = HEADERS.iter().find(|(_, known)| *known == &**member && wanted(member));
        if let Some((name, _)) = header {
            match (&**member, value) {
                ("LastModified", Json::String(text)) => add(name, &http_date(text)),
                ("Expires", Json::String(text)) if text.ends_with('Z') => {
                    add(name, &http_date(text));
                }
                (_, Json::String(text)) => add(name, text),
                (_, other) => add(name, &other.to_text()),
            }
        }
    }
    headers
}

/// An RFC 3339 time as HTTP writes it. Source: RFC 9110 §5.6.7.
fn http_date(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => {
            time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        }
        Err(_) => text.to_owned(),
    }
}

/// The answer of an operation that sends no object.
pub(super) fn success(operation: &str, target: &Target, answer: &Json) -> Response {
    if let Some(document) = target.document() {
        return shown_document(operation, document, answer);
    }
    let root = match operation {
        "PutObject" | "UploadPart" | "HeadObject" | "HeadBucket" | "CreateBucket" => {
            let mut headers = in_headers(answer, |_| true);
            if operation != "HeadObject" {
                headers.remove(header::CONTENT_TYPE);
            }
            return (status_of(answer), headers).into_response();
        }
        "DeleteObject" | "DeleteBucket" | "AbortMultipartUpload" => {
            return (StatusCode::NO_CONTENT, in_headers(answer, |_| true)).into_response();
        }
        "ListObjectVersions" => "ListVersionsResult",
        "UploadPartCopy" => "CopyPartResult",
        "ListBuckets" => "ListAllMyBucketsResult",
        "ListObjects" | "ListObjectsV2" => "ListBucketResult",
        "DeleteObjects" => "DeleteResult",
        "CreateMultipartUpload" => "InitiateMultipartUploadResult",
        "CompleteMultipartUpload" => "CompleteMultipartUploadResult",
        "ListParts" => "ListPartsResult",
        "ListMultipartUploads" => "ListMultipartUploadsResult",
        "CopyObject" => "CopyObjectResult",
        _ => "LocationConstraint",
    };
    let begins = operation == "CreateMultipartUpload";
    let listed = operation.starts_with("List");
    let is_header = |member: &str| {
        let of_object = ["ServerSideEncryption", "VersionId", "CopySourceVersionId"];
        !listed && of_object.contains(&member) || begins && member.starts_with("Checksum")
    };
    let headers = in_headers(answer, is_header);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let shown = match operation {
        "CopyObject" => answer.member("CopyObjectResult").cloned().unwrap_or_default(),
        "UploadPartCopy" => answer.member("CopyPartResult").cloned().unwrap_or_default(),
        "GetBucketLocation" => answer.member("LocationConstraint").cloned().unwrap_or_default(),
        _ => answer.clone(),
    };
    match &shown {
        Json::Object(members) => {
            xml.extend(["<", root, " xmlns=\"", NAMESPACE, "\">"]);
            for (member, value) in members.iter().filter(|(member, _)| !is_header(member)) {
                match (&**member, value) {
                    ("Buckets", _) => xml::write(member, value, Lists::Inside("Bucket"), &mut xml),
                    ("Parts", _) => xml::write("Part", value, Lists::Flat, &mut xml),
                    ("Uploads", _) => xml::write("Upload", value, Lists::Flat, &mut xml),
                    ("Versions", _) => xml::write("Version", value, Lists::Flat, &mut xml),
                    ("DeleteMarkers", _) => {
                        xml::write("DeleteMarker", value, Lists::Flat, &mut xml);
                    }
                    _ => xml::write(member, value, Lists::Flat, &mut xml),
                }
            }
            xml.extend(["</", root, ">"]);
        }
        other => {
            let text = other.as_str().map(xml::escaped).unwrap_or_default();
            xml.extend(["<", root, " xmlns=\"", NAMESPACE, "\">", &text, "</", root, ">"]);
        }
    }
    (headers, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

/// The answer of an operation on a document.
fn shown_document(
    operation: &str,
    (_, name, root): &(&str, &str, &str),
    answer: &Json,
) -> Response {
    let version = in_headers(answer, |member| member == "VersionId");
    if !operation.starts_with("Get") {
        let none = operation.starts_with("Delete") || operation == "PutBucketPolicy";
        let status = if none { StatusCode::NO_CONTENT } else { StatusCode::OK };
        return (status, version).into_response();
    }
    let shown = answer.member(root).unwrap_or(answer);
    if *name == "BucketPolicy" {
        let policy = shown.as_str().unwrap_or_default().to_owned();
        return ([(header::CONTENT_TYPE, "application/json")], policy).into_response();
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    if name.ends_with("Acl") {
        xml.push_str(&s3_documents::acl(shown, NAMESPACE));
    } else {
        xml.extend(["<", root, " xmlns=\"", NAMESPACE, "\">"]);
        for (member, value) in shown.as_object().into_iter().flatten() {
            if **member != *"VersionId" {
                s3_documents::write(member, value, &mut xml);
            }
        }
        xml.extend(["</", root, ">"]);
    }
    (version, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

/// The names in a list as `EncodingType` asks for.
pub(super) fn encoded(answer: &Json) -> Json {
    let name = |member: &str| {
        matches!(
            member,
            "Key"
                | "Prefix"
                | "Delimiter"
                | "StartAfter"
                | "Marker"
                | "NextMarker"
                | "KeyMarker"
                | "NextKeyMarker"
        )
    };
    match answer {
        Json::Object(members) => {
            let members = members.iter().map(|(member, value)| {
                let value = match value {
                    Json::String(text) if name(member) => {
                        utf8_percent_encode(text, URL).to_string().into()
                    }
                    other => encoded(other),
                };
                (Arc::clone(member), value)
            });
            Json::Object(Arc::new(members.collect()))
        }
        Json::Array(items) => Json::array(items.iter().map(encoded)),
        other => other.clone(),
    }
}

/// An error as S3 writes it.
pub(super) fn refused(parts: &Parts, error: &ApiError) -> Response {
    let status = stepwire_aws::error::status("s3", &error.code);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let id = request_id();
    let named = Json::object(error.members.iter().map(|(name, value)| (*name, value.clone())));
    let mut headers = in_headers(&named, |member| {
        let always = ["DeleteMarker", "VersionId"].contains(&member);
        always || status == StatusCode::NOT_MODIFIED && ["ETag", "LastModified"].contains(&member)
    });
    headers.extend(HeaderValue::try_from(&id).ok().map(|id| (REQUEST_ID, id)));
    if parts.method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        return (status, headers).into_response();
    }
    let members = error.members.iter().filter(|(name, _)| *name != "DeleteMarker");
    let members = members.map(|(name, value)| (Arc::from(*name), value.clone()));
    let resource = ("Resource".into(), Json::from(parts.uri.path()));
    let shown = [
        ("Code".into(), Json::from(&*error.code)),
        ("Message".into(), error.message.as_str().into()),
    ];
    let host: Arc<str> = "stepwire".into();
    let ids = [("RequestId".into(), Json::from(id)), ("HostId".into(), Json::String(host))];
    let shown = shown.into_iter().chain(members).chain([resource]).chain(ids);
    let shown = Json::object::<Arc<str>>(shown);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml::write("Error", &shown, Lists::Flat, &mut xml);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    (status, headers, xml).into_response()
}
